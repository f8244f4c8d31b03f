"""The two profiles as data: 2.0b as the wire classes declare it, and what 2.0a takes away from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Literal

import msgspec

from pyopenadr.v2 import wire
from pyopenadr.v2.text import STRING, one_of
from pyopenadr.v2.wire.base import Choice, Message, Variant, Wire
from pyopenadr.v2.wire.common import SignalPayload
from pyopenadr.v2.wire.declaration import Content, Field, declaration_of
from pyopenadr.v2.wire.enumeration import SIGNAL_TYPES_A

__all__ = ["PREFIXES", "PROFILES", "A", "B", "Profile", "ProfileName"]

ProfileName = Literal["2.0a", "2.0b"]

OADR_A = "http://openadr.org/oadr-2.0a/2012/07"
OADR_B = "http://openadr.org/oadr-2.0b/2012/07"

PREFIXES: Mapping[str, str] = MappingProxyType(
    {
        "atom": "http://www.w3.org/2005/Atom",
        "ds": "http://www.w3.org/2000/09/xmldsig#",
        "dsp": "http://openadr.org/oadr-2.0b/2012/07/xmldsig-properties",
        "ei": "http://docs.oasis-open.org/ns/energyinterop/201110",
        "emix": "http://docs.oasis-open.org/ns/emix/2011/06",
        "gml": "http://www.opengis.net/gml/3.2",
        "oadr": OADR_B,
        "power": "http://docs.oasis-open.org/ns/emix/2011/06/power",
        "pyld": "http://docs.oasis-open.org/ns/energyinterop/201110/payloads",
        "scale": "http://docs.oasis-open.org/ns/emix/2011/06/siscale",
        "strm": "urn:ietf:params:xml:ns:icalendar-2.0:stream",
        "xcal": "urn:ietf:params:xml:ns:icalendar-2.0",
        "xsi": "http://www.w3.org/2001/XMLSchema-instance",
    }
)
"""The prefixes that declarations and our own messages use. Peers may use any others."""


class Profile(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One profile of OpenADR 2.0.

    `absent`, `required` and `contents` name what differs from the declarations, by class and field; `single` are
    the fields of which there is exactly one where a declaration allows many.
    """

    name: ProfileName
    namespace: str
    has_envelope: bool
    messages: tuple[type[Message], ...]
    absent: Mapping[str, frozenset[str]] = MappingProxyType({})
    required: Mapping[str, frozenset[str]] = MappingProxyType({})
    single: Mapping[str, frozenset[str]] = MappingProxyType({})
    contents: Mapping[tuple[str, str], Content] = MappingProxyType({})

    def uri(self, prefix: str) -> str:
        """The namespace of one of our prefixes in this profile."""
        return self.namespace if prefix == "oadr" else PREFIXES[prefix]

    def clark(self, tag: str) -> str:
        """`ei:eventID` as `{namespace}eventID`."""
        prefix, _, local = tag.partition(":")
        return f"{{{self.uri(prefix)}}}{local}"

    def fields(self, cls: type[Wire]) -> tuple[Field, ...]:
        """The fields that the class has in this profile, in schema order."""
        name = cls.__name__
        absent = self.absent.get(name, frozenset())
        required = self.required.get(name, frozenset())
        fields = []
        for field in declaration_of(cls):
            if field.name in absent:
                continue
            content = self.contents.get((name, field.name), field.content)
            is_required = field.required or field.name in required
            fields.append(
                msgspec.structs.replace(
                    field, content=content, required=is_required, nullable=field.nullable and not is_required
                )
            )
        return tuple(fields)

    def is_single(self, cls: type[Wire], field: str) -> bool:
        """Whether there is only one of a field that is declared as repeated."""
        return field in self.single.get(cls.__name__, frozenset())

    def message_class(self, clark: str) -> type[Message] | None:
        """The class of the message with that element name."""
        return _message_classes(self.name).get(clark)


B = Profile(
    name="2.0b",
    namespace=OADR_B,
    has_envelope=True,
    messages=(
        wire.OadrDistributeEvent,
        wire.OadrCreatedEvent,
        wire.OadrRequestEvent,
        wire.OadrResponse,
        wire.OadrCancelOpt,
        wire.OadrCanceledOpt,
        wire.OadrCreateOpt,
        wire.OadrCreatedOpt,
        wire.OadrCancelReport,
        wire.OadrCanceledReport,
        wire.OadrCreateReport,
        wire.OadrCreatedReport,
        wire.OadrRegisterReport,
        wire.OadrRegisteredReport,
        wire.OadrUpdateReport,
        wire.OadrUpdatedReport,
        wire.OadrCancelPartyRegistration,
        wire.OadrCanceledPartyRegistration,
        wire.OadrCreatePartyRegistration,
        wire.OadrCreatedPartyRegistration,
        wire.OadrRequestReregistration,
        wire.OadrQueryRegistration,
        wire.OadrPoll,
    ),
)

_FLOAT_ONLY = Choice("ei:payloadFloat", (Variant("ei:payloadFloat", "ei:value"),))
_SIGNAL_ONLY = Choice("ei:signalPayload", (Variant("ei:signalPayload", SignalPayload),))

A = Profile(
    name="2.0a",
    namespace=OADR_A,
    has_envelope=False,
    messages=(wire.OadrDistributeEvent, wire.OadrCreatedEvent, wire.OadrRequestEvent, wire.OadrResponse),
    absent={
        "OadrDistributeEvent": frozenset({"schema_version"}),
        "OadrCreatedEvent": frozenset({"schema_version"}),
        "OadrRequestEvent": frozenset({"schema_version"}),
        "OadrResponse": frozenset({"schema_version", "ven_id"}),
        "EventDescriptor": frozenset({"modification_date_time", "modification_reason"}),
        "OadrEvent": frozenset({"event_baseline"}),
        "EiEventSignal": frozenset({"target", "item_base"}),
        "Interval": frozenset({"dtstart"}),
        "EiTarget": frozenset(
            {
                "aggregated_pnode",
                "end_device_asset",
                "meter_asset",
                "pnode",
                "service_area",
                "service_delivery_point",
                "service_location",
                "transport_interface",
                "group_name",
            }
        ),
    },
    required={
        "ActivePeriod": frozenset({"notification"}),
        "EiEventSignal": frozenset({"current_value"}),
        "Interval": frozenset({"duration", "uid"}),
    },
    single={"Interval": frozenset({"payloads"})},
    contents={
        ("EiEventSignal", "signal_name"): STRING,
        ("EiEventSignal", "signal_type"): one_of("signalType", SIGNAL_TYPES_A),
        ("Interval", "payloads"): _SIGNAL_ONLY,
        ("SignalPayload", "value"): _FLOAT_ONLY,
    },
)

PROFILES: tuple[Profile, ...] = (B, A)


@cache
def _message_classes(name: str) -> Mapping[str, type[Message]]:
    profile = next(profile for profile in PROFILES if profile.name == name)
    return MappingProxyType({profile.clark(cls.tag): cls for cls in profile.messages})
