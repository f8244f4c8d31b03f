"""Who is this peer: certificate, VEN, venID and registrationID have to go together (2.0b rules 68, 517)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from pyopenadr.errors import RemoteProtocolError
from pyopenadr.vtn.service import Service

__all__ = ["Identity", "Peer"]


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end.

    `address` is where it is; `fingerprint`, `common_name` and `not_after` are of the certificate that it showed, where
    it showed one. `signed` says that the message is signed, and the signature has been verified.
    """

    address: str = ""
    fingerprint: str | None = None
    common_name: str | None = None
    not_after: datetime | None = None
    profile: Literal["2.0a", "2.0b"] = "2.0b"
    signed: bool = False


class Identity:
    """Compares what peers show with what they say."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def is_of(self, ven_id: str, peer: Peer) -> bool:
        """Whether the peer may speak for the VEN, as far as that is known without asking anybody."""
        known = self._service.registration(ven_id)
        if known is None:
            return peer.fingerprint is None
        if peer.fingerprint is None:
            return known.fingerprint is None
        return peer.fingerprint in (known.fingerprint, known.second_fingerprint)

    def check(self, ven_id: str, peer: Peer) -> None:
        """Refuse a peer that may not speak for the VEN. A certificate that is nobody's yet passes for a VEN without.

        Raises:
            RemoteProtocolError: 452, the certificate is that of a registered VEN, and there is none with that venID;
                463, in all other cases.
        """
        known = self._service.registration(ven_id)
        if peer.fingerprint is None:
            if known is not None and known.fingerprints:
                raise _refusal(f"VEN {ven_id!r} has a certificate: connect with it")
            return
        owner = self._service.bound(peer.fingerprint)
        if owner is not None and owner.ven_id != ven_id:
            if known is None and owner.registration_id is not None:
                raise RemoteProtocolError(
                    f"there is no VEN {ven_id!r}: with this certificate you are VEN {owner.ven_id!r}", code="452"
                )
            raise _refusal(f"the certificate {peer.fingerprint} is not that of VEN {ven_id!r}")
        if owner is None and known is None:
            raise _refusal(f"no VEN is known by the certificate {peer.fingerprint}: register first")
        if owner is None and known is not None and known.fingerprints:
            raise _refusal(
                f"the certificate {peer.fingerprint} is not that of VEN {ven_id!r}: if it is a new one, have the "
                "operator add it"
            )


def _refusal(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(text, code="463")
