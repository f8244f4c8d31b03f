"""VENs: who is registered, and what waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from pyopenadr.model import Member, Registration
from pyopenadr.model.time import Duration
from pyopenadr.store.port import Admission, Change, Outgoing, Source, Store, Topic
from pyopenadr.vtn.delivery import KINDS, CancelRegistration, Item, Mailbox, RegisterReports, Reregister, Ven, pack
from pyopenadr.vtn.notice import Notices
from pyopenadr.vtn.service.directory import Directory
from pyopenadr.vtn.service.replica import Replica
from pyopenadr.vtn.service.reporting import Reportings

__all__ = ["Application", "PartyService"]

_REREGISTER = "reregister"
_CANCEL_REGISTRATION = "cancel-registration"


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """What a VEN that wants to register says of itself; IDs are None where it gave none.

    `login` is the venID of the VEN that it has logged in as.
    """

    ven_id: str | None = None
    registration_id: str | None = None
    ven_name: str | None = None
    profile: str = "2.0b"
    transport: str = "simpleHttp"
    push_address: str | None = None
    report_only: bool = False
    xml_signature: bool = False
    fingerprint: str | None = None
    login: str | None = None


class PartyService(Replica):
    """VENs and their mailboxes.

    `new_id` makes IDs that nobody can guess; `resend_after` is how long an unanswered message rests before it is
    sent again. `on_due` hears of the VENs for which there may be something new to send; None means any VEN.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        new_id: Callable[[], str],
        poll_frequency: Duration,
        resend_after: timedelta,
    ) -> None:
        super().__init__(store, clock)
        self.new_id = new_id
        self.poll_frequency = poll_frequency
        self.resend_after = resend_after
        self.on_due: Callable[[Iterable[str] | None], None] = lambda ven_ids: None
        self._vens: dict[str, Ven] = {}
        self._directory = Directory()
        self._registering = asyncio.Lock()
        self.on_ven: Callable[[Registration], None] = _ignore
        """Called for each VEN that another worker has changed, or that polls at another pace from now on."""
        self.on_requests: Callable[[str], None] = _ignore
        """Called with the ven_id when another worker has changed which reports of ours the VEN gets."""
        self.on_heard: Callable[[str], None] = _ignore
        """Called with the ven_id when another worker has heard a VEN that is pushed to."""
        self.notices = Notices(clock)
        self._reportings = Reportings(store)
        self._unsubscribe: Callable[[], None] = lambda: None

    async def start(self) -> None:
        self._vens = {}
        self._directory = Directory()
        self._reportings.forget(None)
        self._unsubscribe()
        self._unsubscribe = self.store.subscribe(self._reportings.forget)
        await super().start()

    async def stop(self) -> None:
        self._unsubscribe()
        await super().stop()

    # --- what other workers do --------------------------------------------------------------------------------------

    async def _take_vens(self, ven_ids: Collection[str] | None) -> None:
        concerned = list(self._vens) if ven_ids is None else ven_ids
        before = {ven_id: ven.registration for ven_id in concerned if (ven := self._vens.get(ven_id)) is not None}
        found = {r.ven_id: r for r in await self.store.list_registrations(ven_ids=ven_ids)}
        for ven_id in {**before, **found}:
            ven, registration = self._vens.get(ven_id), found.get(ven_id)
            if ven is not None and ven.registration is not before.get(ven_id):
                self._again(Topic.VEN, ven_id)
            elif registration is None:
                self._vens.pop(ven_id, None)
            elif ven is None:
                self._vens[ven_id] = Ven(registration)
                self._directory.note(registration, None)
                self.on_due((ven_id,))
            else:
                old = ven.registration.registration_id
                if old != registration.registration_id:
                    ven.ended = old or ven.ended
                    ven.mailbox = Mailbox()
                self._directory.note(registration, ven.registration)
                ven.registration = registration
                self.on_ven(registration)
                self.on_due((ven_id,))

    def _doubt_all(self) -> None:
        self._reportings.forget(None)
        for ven in self._vens.values():
            ven.mailbox.doubt()
        self.on_due(None)

    def _heed(self, change: Change) -> None:
        ven = self._vens.get(change.key)
        if change.topic in (Topic.VEN, Topic.REQUEST):
            self._reportings.forget(change.key)
        if change.topic is Topic.REQUEST and change.detail == (Source.VTN.value,):
            self.on_requests(change.key)
        if ven is None or change.topic is Topic.EVENT:
            return
        if change.topic in (Topic.VEN, Topic.MAIL):
            ven.mailbox.doubt()
            self.on_due((change.key,))
        elif change.topic is Topic.HEARD:
            self.on_heard(change.key)
        elif change.topic is Topic.ENDED:
            ven.note_ended(change.detail)
        elif change.topic in (Topic.SENT, Topic.TOLD):
            ven.mailbox.heed(change)

    async def forget_claims(self) -> None:
        """Forget what could only happen once, and now can't any more, as a message that is too old."""
        await self.store.forget_claims(self.clock.now())

    # --- who is who -------------------------------------------------------------------------------------------------

    @property
    def registrations(self) -> list[Registration]:
        """Every VEN that is known, registered or not."""
        return [ven.registration for ven in self._vens.values()]

    def registration(self, ven_id: str) -> Registration | None:
        """The VEN with that ID."""
        ven = self._vens.get(ven_id)
        return ven.registration if ven is not None else None

    def bound(self, fingerprint: str) -> Registration | None:
        """The VEN that a certificate is bound to."""
        ven_id = self._directory.with_fingerprint(fingerprint)
        return self.registration(ven_id) if ven_id is not None else None

    @property
    def has_logins(self) -> bool:
        """Whether any VEN logs in."""
        return self._directory.has_logins

    def logging_in(self, user: str) -> Registration | None:
        """The VEN that logs in as that user."""
        ven_id = self._directory.with_login(user)
        return self.registration(ven_id) if ven_id is not None else None

    def concerned(self, application: Application) -> Registration | None:
        """The VEN that a message is about, by the first of venID, registration ID, login, certificate and name that
        says so.

        It need not be the one that sent it.
        """
        if application.ven_id is not None:
            return self.registration(application.ven_id)
        if application.registration_id is not None:
            ven_id = self._directory.with_registration(application.registration_id)
            return self.registration(ven_id) if ven_id is not None else None
        if application.login is not None:
            return self.registration(application.login)
        found = self.bound(application.fingerprint) if application.fingerprint is not None else None
        named = self._named(application.ven_name)
        return found or next((r for r in named if application.fingerprint is None or r.fingerprint is None), None)

    def _named(self, ven_name: str | None) -> list[Registration]:
        """The VENs of that name."""
        return [self._vens[ven_id].registration for ven_id in self._directory.with_name(ven_name or "")]

    def registered(self, ven_id: str, registration_id: str | None = None) -> Ven:
        """The registered VEN with that ID.

        Raises:
            RemoteProtocolError: 463, it is not registered (2.0b rule 517); 452, it quotes another registration_id
                than its own (2.0b rule 400).
        """
        ven = self._vens.get(ven_id)
        if ven is None or not ven.is_registered:
            raise RemoteProtocolError(f"VEN {ven_id!r} is not registered here: register first", code="463")
        if registration_id is not None and registration_id != ven.registration.registration_id:
            raise RemoteProtocolError(f"{registration_id!r} is not the registrationID of VEN {ven_id!r}", code="452")
        return ven

    def is_registered(self, ven_id: str) -> bool:
        """Whether a VEN with that ID is registered."""
        ven = self._vens.get(ven_id)
        return ven is not None and ven.is_registered

    def has_ended(self, ven_id: str, registration_id: str | None = None) -> bool:
        """Whether the VEN is known and has no registration any more; that one, if it is named."""
        ven = self._vens.get(ven_id)
        return ven is not None and not ven.is_registered and registration_id in (None, ven.ended)

    async def note_presence(self, last_seen: Mapping[str, datetime], online: Mapping[str, bool]) -> None:
        """Keep when VENs were last heard of, and which have come or gone."""
        await self.store.save_presence(last_seen, online)
        for ven_id in {*last_seen, *online}:
            ven = self._vens.get(ven_id)
            if ven is not None:
                before = ven.registration
                ven.registration = msgspec.structs.replace(
                    before,
                    last_seen=last_seen.get(ven_id, before.last_seen),
                    online=online.get(ven_id, before.online),
                )

    def find(self, application: Application) -> Registration | None:
        """The VEN that applies, if it is known: by registration ID, venID, login, certificate or name, in this order.

        Raises:
            RemoteProtocolError: 452, its IDs are wrong or do not belong together (2.0b rule 400); 463, it shows the
                certificate of somebody else, or none where it has one, or comes under a new name without its IDs.
        """
        found = self._find(application)
        shown = application.fingerprint
        owner = self.bound(shown) if shown is not None else None
        if owner is not None and found is None:
            raise RemoteProtocolError(
                f"there is no VEN {application.ven_id!r}: with this certificate you are VEN {owner.ven_id!r}",
                code="452",
            )
        if found is None:
            return None
        if found.identity == "basic":
            return found  # its certificate does not count
        if owner is not None and owner.ven_id != found.ven_id:
            raise RemoteProtocolError("the certificate is that of another VEN", code="463")
        if found.identity == "none" and shown is None:
            return found
        if found.fingerprints and shown not in found.fingerprints:
            text = "has a certificate: connect with it" if shown is None else "has another certificate than this one"
            raise RemoteProtocolError(f"VEN {found.ven_name or found.ven_id!r} {text}", code="463")
        self._check_name(found, application)
        return found

    @staticmethod
    def _check_name(found: Registration, application: Application) -> None:
        """A second name may not take over a registered VEN by its certificate alone."""
        is_by_print = application.registration_id is None and application.ven_id is None and found.fingerprints
        is_renamed = None not in (application.ven_name, found.ven_name) and application.ven_name != found.ven_name
        if is_by_print and is_renamed and found.registration_id is not None:
            raise RemoteProtocolError(
                f"the certificate is that of VEN {found.ven_name!r}: {application.ven_name!r} needs one of its own, "
                "or, if it is the same VEN by another name, must quote its venID",
                code="463",
            )

    def _find(self, application: Application) -> Registration | None:
        ven_id, registration_id = application.ven_id, application.registration_id
        if registration_id is None:
            # A name is a weak proof: it counts only where no certificate says otherwise.
            return self.concerned(application)
        found = self.concerned(msgspec.structs.replace(application, ven_id=None))
        if found is None:
            raise RemoteProtocolError(
                f"{registration_id!r} is no registrationID of this VTN: register without one",
                code="452",
                rule="400",
            )
        if ven_id not in (None, found.ven_id):
            raise RemoteProtocolError(
                f"venID {ven_id!r} is not the one with registrationID {registration_id!r}", code="452", rule="400"
            )
        return found

    # --- registration -----------------------------------------------------------------------------------------------

    async def register(
        self,
        application: Application,
        *,
        ven_id: str | None = None,
        registration_id: str | None = None,
        heard: bool = True,
    ) -> tuple[Registration, bool]:
        """Register a VEN, or register it again with its IDs (2.0b rules 402 to 406).

        `ven_id` and `registration_id` are IDs that the caller has chosen for it; `heard` says that the VEN itself
        has asked. Returns the registration and whether it is a new one, with everything about the VEN started anew.

        Raises:
            RemoteProtocolError: 452, IDs that are wrong or do not belong together.
            StoreError: another VEN has that registration ID.
        """
        async with self.alone(self._registering, "registering"):
            known = self.find(application)
            chosen = ven_id or (known.ven_id if known is not None else None) or application.ven_id or self._new_ven_id()
            base = known if known is not None and known.ven_id == chosen else self.registration(chosen)
            fresh = (
                application.registration_id is None
                or base is None
                or base.registration_id != application.registration_id
                or registration_id not in (None, base.registration_id)
            )
            if heard and base is not None and base.identity == "basic" and application.login != chosen:
                raise RemoteProtocolError(f"VEN {chosen!r} has to log in by HTTP Basic", code="463")
            now = self.clock.now()
            registration = Registration(
                ven_id=chosen,
                ven_name=application.ven_name or (base.ven_name if base is not None else None),
                registration_id=registration_id or (self.new_id() if fresh or base is None else base.registration_id),
                profile=application.profile,
                transport=application.transport,
                push_address=application.push_address,
                report_only=application.report_only,
                xml_signature=application.xml_signature,
                poll_frequency=self._poll_frequency_for(base),
                own_poll_frequency=base.own_poll_frequency if base is not None else None,
                registered_at=now if fresh or base is None else base.registered_at,
                last_seen=now if heard else (base.last_seen if base is not None else None),
                online=base.online if base is not None else False,
                fingerprint=self._print_for(chosen, application.fingerprint, base),
                signature=base.signature if base is not None else None,
                second_fingerprint=base.second_fingerprint if base is not None else None,
                identity=base.identity if base is not None else "certificate",
                login=base.login if base is not None else None,
                password_digest=base.password_digest if base is not None else None,
            )
            await self._keep(registration, fresh=fresh)
            if base is not None and base.poll_frequency != registration.poll_frequency:
                self.on_ven(registration)
            self.notices.publish("ven-registered", ven_id=registration.ven_id, fresh=fresh)
            return registration, fresh

    def _poll_frequency_for(self, ven: Registration | None) -> Duration:
        return self.poll_frequency if ven is None or ven.own_poll_frequency is None else ven.own_poll_frequency

    async def set_poll_frequency(self, ven_id: str, frequency: Duration | None) -> Registration:
        """Keep how often a VEN shall poll, None as often as all; it is asked to register again if that is new to it.

        Raises:
            LocalProtocolError: there is no such VEN.
        """
        ven = await self.amend(ven_id, own_poll_frequency=frequency)
        await self.tell_poll_frequency(ven_id)
        return ven

    async def tell_poll_frequency(self, ven_id: str) -> None:
        """Ask a VEN to register again if it polls at another pace than it shall."""
        ven = self._operated(ven_id).registration
        is_told = ven.poll_frequency == self._poll_frequency_for(ven)
        if not is_told and ven.registration_id is not None and ven.profile == "2.0b":
            await self.request_reregistration(ven_id)

    @asynccontextmanager
    async def enrolling(self) -> AsyncIterator[None]:
        """A block in which nobody else registers, nor changes who a VEN is."""
        async with self.alone(self._registering, "registering"):
            yield

    async def keep_enrolled(
        self, registrations: Sequence[Registration], admissions: Sequence[Admission], members: Sequence[Member]
    ) -> None:
        """Make VENs known, with who may register and who belongs to which group; within `enrolling`."""
        await self.store.save_enrolled(registrations, admissions, members)
        for registration in registrations:
            ven = self._vens.get(registration.ven_id)
            if ven is None:
                self._vens[registration.ven_id] = Ven(registration)
                self._directory.note(registration, None)
            else:
                self._directory.note(registration, ven.registration)
                ven.registration = registration

    def _print_for(self, ven_id: str, shown: str | None, base: Registration | None) -> str | None:
        """The (first) certificate of a VEN that registers under an ID, which somebody else may have chosen for it."""
        owner = self.bound(shown) if shown is not None else None
        if owner is not None and owner.ven_id != ven_id:
            raise RemoteProtocolError(
                f"the certificate of VEN {owner.ven_id!r} can't be that of {ven_id!r} too", code="463"
            )
        ours = base.fingerprints if base is not None else ()
        if shown is not None and ours and shown not in ours:
            raise RemoteProtocolError(f"VEN {ven_id!r} has another certificate", code="463")
        return ours[0] if ours else shown

    async def _keep(self, registration: Registration, *, fresh: bool) -> None:
        ven = self._vens.get(registration.ven_id) or Ven(registration)
        now = self.clock.now()
        greeting = [pack(self.new_id(), RegisterReports(), now)] if fresh and registration.profile == "2.0b" else []
        async with ven.lock, self.store.holding(_key(registration.ven_id)):
            ven.mailbox.doubt()
            await self.store.save_registration(registration, fresh=fresh, outgoing=greeting)
            self._vens[registration.ven_id] = ven
            self._directory.note(registration, ven.registration)
            ven.registration = registration
            if fresh:
                ven.mailbox = Mailbox()
        if not fresh:
            async with self.changing(registration.ven_id) as mailbox:
                if _REREGISTER in mailbox.items:
                    await self.store.remove_outgoing(registration.ven_id, [_REREGISTER])
                    mailbox.remove([_REREGISTER])
        self.on_due((registration.ven_id,))

    def _new_ven_id(self) -> str:
        while (ven_id := self.new_id()) in self._vens:
            pass
        return ven_id

    async def amend(self, ven_id: str, **changes: Any) -> Registration:
        """Change what the operator has set of a VEN; its registration and all that waits for it stay.

        Raises:
            LocalProtocolError: 452, there is no such VEN.
        """
        async with self.alone(self._registering, "registering"):
            return await self._amend(self._operated(ven_id), changes)

    def _operated(self, ven_id: str) -> Ven:
        ven = self._vens.get(ven_id)
        if ven is None:
            raise LocalProtocolError(f"there is no VEN {ven_id!r}", code="452")
        return ven

    async def _amend(self, ven: Ven, changes: dict[str, Any]) -> Registration:
        amended = msgspec.structs.replace(ven.registration, **changes)
        async with ven.lock:
            await self.store.save_registration(amended)
            self._directory.note(amended, ven.registration)
            ven.registration = amended
        return amended

    async def set_identity(
        self, ven_id: str, identity: Literal["certificate", "basic", "none"], login: str | None, digest: str | None
    ) -> Registration:
        """Keep what a VEN has to show.

        Raises:
            LocalProtocolError: 452, there is no such VEN; 463, another VEN logs in as that user.
        """
        async with self.alone(self._registering, "registering"):
            ven, other = self._operated(ven_id), self.logging_in(login) if login is not None else None
            if other is not None and other.ven_id != ven_id:
                raise LocalProtocolError(
                    f"VEN {other.ven_id!r} logs in as {login!r} already: give another user", code="463"
                )
            return await self._amend(ven, {"identity": identity, "login": login, "password_digest": digest})

    async def bind(self, ven_id: str, fingerprint: str, *, in_place_of_oldest: bool = False) -> Registration:
        """Bind a certificate to a VEN, besides the one it has. Safe to repeat.

        `in_place_of_oldest` takes the older one away where there are two already.

        Raises:
            LocalProtocolError: there is no such VEN, it has two certificates, or it is another VEN's.
        """
        async with self.alone(self._registering, "registering"):
            ven, owner = self._operated(ven_id), self.bound(fingerprint)
            if owner is not None and owner.ven_id != ven_id:
                raise LocalProtocolError(
                    f"the certificate {fingerprint} is that of VEN {owner.ven_id!r}: take it away from there first",
                    code="463",
                )
            known = ven.registration.fingerprints
            if fingerprint in known:
                return ven.registration
            if len(known) > 1 and not in_place_of_oldest:
                raise LocalProtocolError(
                    f"VEN {ven_id!r} has two certificates already, {' and '.join(known)}: remove one first", code="463"
                )
            return await self._amend(ven, _prints((*known, fingerprint)[-2:]))

    async def unbind(self, ven_id: str, fingerprint: str) -> Registration:
        """Take a certificate away from a VEN. It may not speak with it any more.

        Raises:
            LocalProtocolError: there is no such VEN, or that is not its certificate.
        """
        async with self.alone(self._registering, "registering"):
            ven = self._operated(ven_id)
            known = ven.registration.fingerprints
            if fingerprint not in known:
                raise LocalProtocolError(f"{fingerprint} is no certificate of VEN {ven_id!r}", code="463")
            return await self._amend(ven, _prints(tuple(each for each in known if each != fingerprint)))

    async def admit(
        self,
        ven_id: str,
        ven_name: str | None,
        profile: str,
        *,
        push_address: str | None = None,
        fingerprint: str | None = None,
        registration_id: str | None = None,
    ) -> Registration:
        """Register a VEN that has its IDs by other means (2.0b rule 405); one that is registered stays so.

        `registration_id` is the one that it was given, if it has to be that. None for the name, the address or the
        certificate leaves what is known.
        """
        known = self.registration(ven_id)
        other = known is not None and registration_id not in (None, known.registration_id)
        if known is None or known.registration_id is None or known.profile != profile or other:
            theirs = fingerprint or (known.fingerprint if known is not None else None)
            application = Application(
                ven_id=ven_id, ven_name=ven_name, profile=profile, push_address=push_address, fingerprint=theirs
            )
            known = (await self.register(application, registration_id=registration_id, heard=False))[0]
        told = {"ven_name": ven_name, "push_address": push_address, "fingerprint": fingerprint}
        async with self.alone(self._registering, "registering"):
            known = self._vens[ven_id].registration
            changed = msgspec.structs.replace(known, **{name: it for name, it in told.items() if it is not None})
            if changed != known:
                await self._keep(changed, fresh=False)
        return changed

    async def end_registration(self, ven_id: str) -> None:
        """The registration is over; everything about the VEN but itself goes (2.0b rule 407)."""
        ven = self._vens[ven_id]
        async with self.alone(self._registering, "registering"), ven.lock, self.store.holding(_key(ven_id)):
            ven.mailbox.doubt()
            await self.store.end_registration(ven_id)
            before = ven.registration
            ven.ended = before.registration_id or ven.ended
            ven.registration = msgspec.structs.replace(before, registration_id=None)
            self._directory.note(ven.registration, before)
            ven.mailbox = Mailbox()
        self.notices.publish("ven-unregistered", ven_id=ven_id)

    async def remove(self, ven_id: str) -> None:
        """Forget a VEN with all that it has said and reported. It is not told, and may come again as a stranger."""
        ven = self._vens.get(ven_id)
        if ven is None:
            return
        async with self.alone(self._registering, "registering"), ven.lock, self.store.holding(_key(ven_id)):
            ven.mailbox.doubt()
            await self.store.delete_ven(ven_id)
            before = ven.registration
            ven.registration = msgspec.structs.replace(before, registration_id=None)
            nobody = {"ven_name": None, "login": None, "fingerprint": None, "second_fingerprint": None}
            self._directory.note(msgspec.structs.replace(ven.registration, **nobody), before)
            ven.mailbox = Mailbox()
            self._vens.pop(ven_id, None)
        self.notices.publish("ven-removed", ven_id=ven_id)

    async def request_cancellation(self, ven_id: str) -> None:
        """Tell the VEN that its registration ends; it ends when the VEN has answered."""
        registration = self.registered(ven_id).registration
        registration_id = registration.registration_id
        assert registration_id is not None
        if registration.profile == "2.0a":
            await self.end_registration(ven_id)  # there is no message for it
            return
        await self.enqueue(ven_id, [(_CANCEL_REGISTRATION, CancelRegistration(registration_id))])

    async def request_reregistration(self, ven_id: str) -> None:
        """Ask the VEN to register again with its IDs."""
        if self.registered(ven_id).registration.profile == "2.0a":
            raise LocalProtocolError(f"VEN {ven_id!r} speaks 2.0a, which has no registration")
        await self.enqueue(ven_id, [(_REREGISTER, Reregister())])

    # --- what waits -------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def changing(self, ven_id: str) -> AsyncIterator[Mailbox]:
        """The VEN's mailbox, for the caller alone until the end of the block.

        When something fails in between, nobody knows whether the store has it; then the mailbox is read anew before
        it is used again, so that memory never differs from the store.
        """
        ven = self._vens[ven_id]
        async with ven.lock, self.store.holding(_key(ven_id)):
            await self._take_up()
            mailbox = ven.mailbox
            if mailbox.stale:
                await self._refresh(ven)
            try:
                yield mailbox
                await self.store.tell(mailbox.take_notes(ven_id))
            except ProtocolError:
                raise  # the peer or the caller was wrong, which is found out before anything is changed
            except BaseException:  # also when the task is cancelled: a commit may be under way
                mailbox.doubt()
                raise
            finally:
                if mailbox.has_more:
                    mailbox.has_more = False
                    self.on_due((ven_id,))

    async def _refresh(self, ven: Ven) -> None:
        ven_id, since = ven.registration.ven_id, ven.registration.registered_at
        mailbox, doubts = ven.mailbox, ven.mailbox.doubts
        items = await self.store.list_outgoing(ven_id)
        answers = await self.store.list_answers(ven_id=ven_id)
        # A VEN that has registered anew may have forgotten all (2.0b rule 406): it is told of its events again.
        mailbox.refresh(items, (answer for answer in answers if since is None or answer.answered_at >= since))
        if mailbox.doubts != doubts:
            mailbox.stale = True  # something was heard of while this was read

    async def enqueue(self, ven_id: str, items: Sequence[tuple[str, Item]]) -> None:
        """Have messages wait for a VEN."""
        packed = [pack(item_id, item, self.clock.now()) for item_id, item in items]
        async with self.changing(ven_id) as mailbox:
            await self.store.add_outgoing(ven_id, packed)
            mailbox.add(packed)

    async def open_item(self, ven_id: str, kind: type[Item], request_id: str) -> Outgoing | None:
        """The message of that kind which a reply with `request_id` answers, if one is open."""
        async with self.changing(ven_id) as mailbox:
            return mailbox.matching(kind, request_id)

    async def kind_of(self, ven_id: str, item_id: str) -> type[Item] | None:
        """What kind of message waits for the VEN under that ID."""
        async with self.changing(ven_id) as mailbox:
            item = mailbox.items.get(item_id)
            return KINDS.get(item.kind) if item is not None else None

    async def done(self, ven_id: str, item_id: str) -> None:
        """The VEN has answered a message."""
        async with self.changing(ven_id) as mailbox:
            await self.store.remove_outgoing(ven_id, [item_id])
            mailbox.remove([item_id])


def _key(ven_id: str) -> str:
    """What a worker holds that changes something for a VEN."""
    return f"ven {ven_id}"


def _ignore(_: object) -> None:
    """For those who want to hear nothing."""


def _prints(fingerprints: tuple[str, ...]) -> dict[str, str | None]:
    """One or two fingerprints as the fields of a registration."""
    first, second, *_ = (*fingerprints, None, None)
    return {"fingerprint": first, "second_fingerprint": second}
