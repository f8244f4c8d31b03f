"""Who is this peer: certificate, VEN, venID and registrationID have to go together (2.0b rules 68, 517)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from pyopenadr.errors import RemoteProtocolError
from pyopenadr.model import Registration
from pyopenadr.vtn.service import Service

__all__ = ["Identity", "LoginMissing", "Peer"]


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end.

    `address` is where it is; `fingerprint`, `common_name` and `not_after` are of the certificate that it showed, where
    it showed one. `login` is the ID of the VEN that it has logged in as, by HTTP Basic; then its certificate does not
    count, and `fingerprint` is None. `over_tls` says that it has come by TLS. `signed` says that the message is signed,
    and the signature has been verified.
    """

    address: str = ""
    fingerprint: str | None = None
    common_name: str | None = None
    not_after: datetime | None = None
    profile: Literal["2.0a", "2.0b"] = "2.0b"
    signed: bool = False
    login: str | None = None
    over_tls: bool = False


class LoginMissing(RemoteProtocolError):
    """The peer speaks for a VEN that has to log in, and has not: HTTP 401."""


class Identity:
    """Compares what peers show with what they say."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def is_of(self, ven_id: str, peer: Peer) -> bool:
        """Whether the peer may speak for the VEN, as far as that is known without asking anybody."""
        known = self._service.registration(ven_id)
        if peer.login is not None or (known is not None and known.identity == "basic"):
            return known is not None and known.identity == "basic" and peer.login == ven_id
        if known is None:
            return peer.fingerprint is None
        if peer.fingerprint is None:
            return known.identity == "none" or (known.fingerprint is None and not peer.over_tls)
        return peer.fingerprint in (known.fingerprint, known.second_fingerprint)

    def check(self, ven_id: str, peer: Peer) -> None:
        """Refuse a peer that may not speak for the VEN. A certificate that is nobody's yet passes for a VEN without.

        Raises:
            RemoteProtocolError: 452, the certificate is that of a registered VEN, and there is none with that venID;
                463, in all other cases.
        """
        known = self._service.registration(ven_id)
        if peer.login is not None and peer.login != ven_id:
            raise _refusal(f"the login is that of VEN {peer.login!r}, not of {ven_id!r}")
        if known is not None and (peer.login is not None or known.identity == "basic"):
            self.check_login(known, peer)
            return
        if peer.fingerprint is None:
            if known is not None:
                self.check_bare(known, peer)
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

    @staticmethod
    def check_login(ven: Registration, peer: Peer) -> None:
        """Refuse a peer that has logged in as another VEN, or has not where the VEN has to, or needs its certificate.

        Raises:
            LoginMissing: it has not.
            RemoteProtocolError: 463, in all other cases.
        """
        if peer.login is None and ven.identity == "basic":
            raise LoginMissing(f"VEN {ven.ven_id!r} has to log in: send its user and password (HTTP Basic)", code="463")
        if peer.login is not None and peer.login != ven.ven_id:
            raise _refusal(f"the login is that of VEN {peer.login!r}, not of {ven.ven_id!r}")
        if peer.login is not None and ven.identity != "basic":
            raise _refusal(f"VEN {ven.ven_id!r} does not log in any more")

    @staticmethod
    def check_bare(ven: Registration, peer: Peer) -> None:
        """Refuse a peer without certificate or login that needs one.

        Raises:
            RemoteProtocolError: 463, it does.
        """
        if ven.identity != "certificate":
            return
        if ven.fingerprints:
            raise _refusal(f"VEN {ven.ven_id!r} has a certificate: connect with it")
        if peer.over_tls:
            raise _refusal(
                f"VEN {ven.ven_id!r} shows no certificate: connect with one, or have the operator set its identity"
            )


def _refusal(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(text, code="463")
