"""Who may register: everybody, those on a list, or whoever an operator lets in after a knock."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Literal, NoReturn

import msgspec

from pyopenadr.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from pyopenadr.model import Registration
from pyopenadr.store.port import Admission, Knock
from pyopenadr.vtn.identity import Identity, Peer
from pyopenadr.vtn.service import Application, Service

__all__ = ["Enrolment", "EnrolmentMode", "fingerprint_text", "make_admission"]

log = logging.getLogger("pyopenadr.vtn")

EnrolmentMode = Literal["open", "knocking", "allow-list"]
"""`open`: everybody who gets as far as the door. `allow-list`: who is on the list. `knocking`: these too, and whoever
else comes waits until an operator decides."""

MOST_KNOCKS: Final = 10_000
_NOTED_EVERY: Final = timedelta(minutes=1)
_COLUMNS: Final = ("fingerprint", "common_name", "ven_name", "ven_id")
_HEX: Final = re.compile("[0-9A-F]{20}|[0-9A-F]{64}").fullmatch


class Enrolment:
    """Decides about VENs that are not known yet, and binds certificates to VENs."""

    def __init__(self, service: Service, mode: EnrolmentMode) -> None:
        self._service = service
        self._mode = mode
        self._identity = Identity(service)
        self._noted: dict[str, datetime] = {}

    def is_of(self, ven_id: str, peer: Peer) -> bool:
        """Whether the peer may speak for the VEN, as far as that is known without asking anybody."""
        return self._identity.is_of(ven_id, peer)

    async def introduce(self, ven_id: str, peer: Peer) -> None:
        """See that a peer may speak for the VEN that a message of its names.

        A VEN that has no certificate yet is bound to the one it shows, if it may come in with that; one that changes
        certificates, to the new one, if that is on the list for it.

        Raises:
            RemoteProtocolError: 452 or 463, it may not.
        """
        if self._identity.is_of(ven_id, peer):
            return
        fingerprint, known = peer.fingerprint, self._service.registration(ven_id)
        if peer.login is not None or (known is not None and known.identity == "basic"):
            self._identity.check(ven_id, peer)
            return
        if fingerprint is None or self._service.bound(fingerprint) is not None or known is None:
            self._identity.check(ven_id, peer)
            return
        application = Application(
            ven_id=ven_id, ven_name=known.ven_name, profile=known.profile, fingerprint=fingerprint
        )
        admission = await self._admission(application, peer)
        if _vouched(admission) == ven_id:
            await self._service.bind(ven_id, fingerprint, in_place_of_oldest=True)
            return
        self._identity.check(ven_id, peer)
        if self._mode != "open" and admission is None:
            await self._turn_away(application, peer)
        await self._service.bind(ven_id, fingerprint)

    async def enrol(self, application: Application, peer: Peer) -> Admission | None:
        """See that a VEN may register; who it is on the list, where it is there and not known yet.

        Raises:
            RemoteProtocolError: 452, its IDs are wrong; 463, it may not.
        """
        if self._is_set(application, peer):
            return None
        fingerprint = application.fingerprint
        is_new = fingerprint is not None and self._service.bound(fingerprint) is None
        admission = await self._admission(application, peer) if is_new else None
        theirs = _vouched(admission)
        if fingerprint is not None and theirs is not None and self._service.registration(theirs) is not None:
            await self._service.bind(theirs, fingerprint, in_place_of_oldest=True)
        found = self._service.find(application)
        if found is not None and (fingerprint is None or fingerprint in found.fingerprints):
            return None
        if admission is None and not is_new:
            admission = await self._admission(application, peer)
        if admission is None:
            if self._mode != "open":
                await self._turn_away(application, peer)
            return None
        self._check_id(admission, application)
        return admission

    def _is_set(self, application: Application, peer: Peer) -> bool:
        """Whether the operator has set that this VEN comes by login, or without a certificate.

        Raises:
            RemoteProtocolError: 452, its IDs are wrong; 463, it does not come as it is set.
        """
        concerned = self._service.concerned(application)
        if peer.login is not None or (concerned is not None and concerned.identity == "basic"):
            found = self._service.find(application)
            if found is None:
                raise RemoteProtocolError(
                    f"there is no VEN {application.ven_id!r}: with this login you are VEN {peer.login!r}", code="452"
                )
            self._identity.check_login(found, peer)
            return True
        if peer.fingerprint is not None or not peer.over_tls:
            return False
        found = self._service.find(application)
        if found is not None:
            self._identity.check_bare(found, peer)
            return True
        who = application.ven_name or application.ven_id or "without a name"
        log.warning("VEN %r from %s shows no certificate: refused", who, peer.address or "an unknown address")
        raise RemoteProtocolError(
            f"VEN {who!r} shows no certificate: connect with one, or have the operator add it and set its identity",
            code="463",
        )

    async def note(self, admission: Admission, registration: Registration) -> None:
        """Somebody on the list has registered: from now on the list says who that is."""
        if admission.ven_id != registration.ven_id:
            kept = msgspec.structs.replace(admission, ven_id=registration.ven_id)
            await self._service.store.save_admissions([kept])

    async def accept(self, key: str, ven_id: str | None, ven_name: str | None) -> Admission:
        """Let in who has knocked."""
        knock = await self._knock(key)
        admission = make_admission(
            fingerprint=knock.fingerprint,
            ven_name=ven_name if ven_name is not None else (knock.ven_name if knock.fingerprint is None else None),
            ven_id=ven_id if ven_id is not None else self._free_id(knock),
        )
        self._noted.pop(key, None)
        await self._service.store.save_admissions([admission], knock=key)
        return admission

    async def reject(self, key: str) -> Knock:
        """Keep somebody out who has knocked, and don't ask again."""
        rejected = msgspec.structs.replace(await self._knock(key), rejected=True)
        await self._service.store.save_knock(rejected, most=MOST_KNOCKS)
        return rejected

    async def _knock(self, key: str) -> Knock:
        knock = await self._service.store.load_knock(key)
        if knock is None:
            raise LocalProtocolError(f"nobody has knocked as {key!r}", code="452")
        return knock

    def _free_id(self, knock: Knock) -> str | None:
        """The venID that somebody came with, unless it is that of a VEN with a certificate."""
        known = self._service.registration(knock.ven_id) if knock.ven_id is not None else None
        return None if known is not None and known.fingerprints else knock.ven_id

    async def _admission(self, application: Application, peer: Peer) -> Admission | None:
        """What the list says of somebody; the strongest proof counts."""
        shown = {
            "fingerprint": application.fingerprint,
            "common_name": peer.common_name,
            "ven_name": application.ven_name,
            "ven_id": application.ven_id,
        }
        keys = [Admission(**{name: value}).key for name, value in shown.items() if value is not None]
        found = await self._service.store.find_admissions(keys)
        return next((each for each in found if _applies(each, shown)), None)

    def _check_id(self, admission: Admission, application: Application) -> None:
        meant, said = admission.ven_id, application.ven_id
        if meant is not None and said not in (None, meant):
            raise RemoteProtocolError(f"venID {said!r} is not the one that this VEN has here", code="452")
        known = self._service.registration(meant) if meant is not None else None
        if known is not None and known.fingerprints and application.fingerprint not in known.fingerprints:
            raise RemoteProtocolError(
                f"VEN {application.ven_name or meant!r} is here already, with another certificate", code="463"
            )

    async def _turn_away(self, application: Application, peer: Peer) -> NoReturn:
        who = application.ven_name or application.ven_id or "without a name"
        shown = f"certificate {application.fingerprint}" if application.fingerprint is not None else "no certificate"
        if self._mode == "allow-list":
            log.warning("VEN %r (%s, %s) is not on the allow-list", who, shown, peer.address or "unknown address")
            raise RemoteProtocolError(f"this VEN ({shown}) is not on the list of this VTN", code="463")
        key = application.fingerprint or f"name {application.ven_name or application.ven_id or ''}"
        knock = await self._service.store.load_knock(key)
        if knock is not None and knock.rejected:
            raise RemoteProtocolError(f"the operator has refused this VEN ({shown})", code="463")
        await self._note_knock(key, knock, application, peer)
        raise RemoteProtocolError(
            f"this VEN ({shown}) waits until the operator lets it in: try again later", code="463"
        )

    async def _note_knock(self, key: str, knock: Knock | None, application: Application, peer: Peer) -> None:
        now = self._service.clock.now()
        if knock is not None and now - self._noted.get(key, knock.last_at) < _NOTED_EVERY:
            return
        if len(self._noted) >= MOST_KNOCKS:
            self._noted.clear()
        self._noted[key] = now
        kept = Knock(
            key=key,
            first_at=knock.first_at if knock is not None else now,
            last_at=now,
            times=knock.times + 1 if knock is not None else 1,
            fingerprint=application.fingerprint,
            common_name=peer.common_name,
            ven_name=application.ven_name,
            ven_id=application.ven_id,
            profile=application.profile,
            address=peer.address,
        )
        if not await self._service.store.save_knock(kept, most=MOST_KNOCKS):
            log.error("a new VEN can't knock, because %d wait already: accept or reject them", MOST_KNOCKS)
        elif knock is None:
            log.warning(
                "a new VEN knocks: %r, certificate %s (%s), from %s",
                application.ven_name or application.ven_id,
                application.fingerprint or "none",
                peer.common_name or "no name",
                peer.address or "an unknown address",
            )


def _vouched(admission: Admission | None) -> str | None:
    """The VEN that the list has a certificate for, not just the name that somebody gives."""
    is_by_certificate = admission is not None and (admission.fingerprint or admission.common_name)
    return admission.ven_id if admission is not None and is_by_certificate else None


def _applies(admission: Admission, shown: Mapping[str, str | None]) -> bool:
    """Whether everything that the list says of somebody is so; an ID only where there is nothing else."""
    given = [name for name in _COLUMNS[:3] if getattr(admission, name) is not None]
    for name in given or ["ven_id"]:
        wanted, found = getattr(admission, name), shown[name]
        if found is None or (wanted != found and not (name == "common_name" and wanted.casefold() == found.casefold())):
            return False
    return True


def fingerprint_text(text: str) -> str:
    """A fingerprint as OpenADR writes it, of one with or without colons, or of a whole SHA-256 digest.

    Raises:
        ConfigError: it is none.
    """
    plain = text.replace(":", "").replace(" ", "").upper()
    if _HEX(plain) is None:
        raise ConfigError(f"{text[:100]!r} is no fingerprint: give 10 bytes (OpenADR) or 32 bytes (SHA-256) in hex")
    return ":".join(plain[-20:][start : start + 2] for start in range(0, 20, 2))


def make_admission(
    *,
    fingerprint: str | None = None,
    common_name: str | None = None,
    ven_name: str | None = None,
    ven_id: str | None = None,
) -> Admission:
    """Somebody for the list.

    Raises:
        ConfigError: nothing is said, or the fingerprint is none.
    """
    if not (fingerprint or common_name or ven_name or ven_id):
        raise ConfigError("say who may register: a fingerprint, a common_name, a ven_name or a ven_id")
    return Admission(
        fingerprint=fingerprint_text(fingerprint) if fingerprint else None,
        common_name=common_name or None,
        ven_name=ven_name or None,
        ven_id=ven_id or None,
    )
