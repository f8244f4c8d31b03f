"""Who takes part: VENs, resources, and the targets that select them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from pyopenadr.model.time import Duration

__all__ = ["Area", "Registration", "Target", "TransportInterface"]


class Area(msgspec.Struct, frozen=True):
    """A polygon on the earth: `positions` as the standard's posList of numbers, pairwise latitude and longitude.

    `collection_id` and `polygon_id` are the optional gml:id attributes.
    """

    positions: tuple[float, ...]
    collection_id: str | None = None
    polygon_id: str | None = None


class TransportInterface(msgspec.Struct, frozen=True):
    """A way through the grid between two named points."""

    point_of_receipt: str
    point_of_delivery: str


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Whom something is for. The values are alternatives (OR), across kinds and within a kind (2.0b rule 22).

    An empty target means everything behind the VEN it is sent to.
    """

    ven_ids: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()
    group_names: tuple[str, ...] = ()
    resource_ids: tuple[str, ...] = ()
    party_ids: tuple[str, ...] = ()
    end_device_assets: tuple[str, ...] = ()
    aggregated_pnodes: tuple[str, ...] = ()
    meter_assets: tuple[str, ...] = ()
    pnodes: tuple[str, ...] = ()
    service_areas: tuple[Area, ...] = ()
    service_delivery_points: tuple[str, ...] = ()
    service_locations: tuple[Area, ...] = ()
    transport_interfaces: tuple[TransportInterface, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether no kind has a value."""
        return self == EVERYONE


EVERYONE = Target()


class Registration(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A VEN as the VTN knows it.

    `registration_id` is None while the VEN is known but not registered. `push_address` is the base address of a
    push VEN's own server and None for a pull VEN. `profile` is "2.0a" or "2.0b". `poll_frequency` is how often the
    VTN asks it to poll, and `own_poll_frequency` what the operator wants of this VEN alone, from its next registration
    on; None is what is asked of everybody. `last_seen` is when its last message arrived and `online` what the presence
    callbacks were last told. `fingerprint` is that of its certificate, where one is bound to it, and
    `second_fingerprint` that of another one while it changes certificates. `signature` is what the VTN does about XML
    signatures of this VEN ("off", "accept" or "require"); None is what it does about everybody's. `identity` is what
    it has to show: its "certificate"; the user `login` and a password by HTTP "basic", of which only `password_digest`
    is kept; or "none", its name is enough.
    """

    ven_id: str
    ven_name: str | None = None
    registration_id: str | None = None
    profile: str = "2.0b"
    transport: str = "simpleHttp"
    push_address: str | None = None
    report_only: bool = False
    xml_signature: bool = False
    poll_frequency: Duration = timedelta(seconds=10)
    registered_at: datetime | None = None
    last_seen: datetime | None = None
    online: bool = False
    fingerprint: str | None = None
    signature: str | None = None
    second_fingerprint: str | None = None
    own_poll_frequency: Duration | None = None
    identity: Literal["certificate", "basic", "none"] = "certificate"
    login: str | None = None
    password_digest: str | None = None

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Those of the certificates that are bound to it: none, one, or two during a change."""
        return tuple(each for each in (self.fingerprint, self.second_fingerprint) if each is not None)
