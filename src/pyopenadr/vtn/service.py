"""The VTN's use cases, whatever protocol version a VEN speaks.

The service keeps in memory what every poll needs (who is registered, which events are open, what waits for whom) and
in the store what must not be lost. A change is committed to the store first and taken into memory then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import LocalProtocolError, RemoteProtocolError, StoreError
from pyopenadr.model import Capability, Event, Opt, Registration, Report, ReportRequest
from pyopenadr.model.time import Duration
from pyopenadr.store.port import Answer, Outgoing, Source, Store, StoredEvent, StoredReading, StoredRequest
from pyopenadr.vtn.delivery import (
    CancelRegistration,
    CancelReports,
    CreateReports,
    Item,
    Mailbox,
    RegisterReports,
    Reregister,
    UpdateReport,
    Ven,
    is_listed,
    pack,
)

__all__ = ["Application", "Service"]

log = logging.getLogger("pyopenadr.vtn")


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """What a VEN that wants to register says of itself; IDs are None where it gave none."""

    ven_id: str | None = None
    registration_id: str | None = None
    ven_name: str | None = None
    profile: str = "2.0b"
    transport: str = "simpleHttp"
    push_address: str | None = None
    report_only: bool = False
    xml_signature: bool = False
    fingerprint: str | None = None


class Service:
    """The use cases of one VTN.

    `new_id` makes IDs that nobody can guess; `resend_after` is how long an unanswered message rests before it is
    sent again.
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
        self.store = store
        self.clock = clock
        self.new_id = new_id
        self.poll_frequency = poll_frequency
        self.resend_after = resend_after
        self._vens: dict[str, Ven] = {}
        self._events: dict[str, StoredEvent] = {}
        self._recipients: dict[str, frozenset[str]] = {}
        self._revision = 0
        self._event_lock = asyncio.Lock()

    async def start(self) -> None:
        """Open the store and take up what it holds."""
        await self.store.open()
        for registration in await self.store.list_registrations():
            self._vens[registration.ven_id] = Ven(registration)
        for stored in await self.store.list_events():
            self._take_event(stored)

    async def stop(self) -> None:
        """Close the store."""
        await self.store.close()

    # --- VENs -----------------------------------------------------------------------------------------------------

    @property
    def registrations(self) -> list[Registration]:
        """Every VEN that is known, registered or not."""
        return [ven.registration for ven in self._vens.values()]

    def registration(self, ven_id: str) -> Registration | None:
        """The VEN with that ID."""
        ven = self._vens.get(ven_id)
        return ven.registration if ven is not None else None

    def registered(self, ven_id: str, registration_id: str | None = None) -> Ven:
        """The registered VEN with that ID.

        Raises:
            RemoteProtocolError: 463, it is not registered (2.0b rule 517); 452, it quotes another registration_id
                than its own (2.0b rule 400).
        """
        ven = self._vens.get(ven_id)
        if ven is None or ven.registration.registration_id is None:
            raise RemoteProtocolError(f"VEN {ven_id!r} is not registered here: register first", code="463")
        if registration_id is not None and registration_id != ven.registration.registration_id:
            raise RemoteProtocolError(f"{registration_id!r} is not the registrationID of VEN {ven_id!r}", code="452")
        return ven

    def is_registered(self, ven_id: str) -> bool:
        """Whether a VEN with that ID is registered."""
        ven = self._vens.get(ven_id)
        return ven is not None and ven.registration.registration_id is not None

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
        """The VEN that applies, if it is known: by registration ID, venID, fingerprint or name, in this order.

        Raises:
            RemoteProtocolError: 452, its IDs do not belong together.
        """
        by_id = self.registration(application.ven_id) if application.ven_id is not None else None
        if application.registration_id is not None:
            found = (
                next(
                    (r for r in self.registrations if r.registration_id == application.registration_id),
                    None,
                )
                if by_id is None
                else by_id
            )
            if found is not None:
                registration_id = found.registration_id
                if registration_id is not None and registration_id != application.registration_id:
                    raise RemoteProtocolError(
                        f"{application.registration_id!r} is not the registrationID of VEN {found.ven_id!r}", code="452"
                    )
                if application.ven_id is not None and application.ven_id != found.ven_id:
                    raise RemoteProtocolError(f"venID {application.ven_id!r} is not the one registered", code="452")
                return found
        if by_id is not None or application.ven_id is not None:
            return by_id
        for registration in self.registrations:
            if application.fingerprint is not None and registration.fingerprint == application.fingerprint:
                return registration
            if application.ven_name is not None and registration.ven_name == application.ven_name:
                return registration
        return None

    async def register(
        self,
        application: Application,
        *,
        ven_id: str | None = None,
        registration_id: str | None = None,
        poll_frequency: Duration | None = None,
    ) -> tuple[Registration, bool]:
        """Register a VEN, or register it again with its IDs (2.0b rules 402 to 406).

        `ven_id` and `registration_id` are IDs that the caller has chosen for it. Returns the registration and
        whether it is a new one, with everything about the VEN started anew.

        Raises:
            RemoteProtocolError: 452, IDs that do not belong together.
        """
        known = self.find(application)
        fresh = (
            known is None
            or application.registration_id is None
            or known.registration_id is None
            or registration_id not in (None, known.registration_id)
        )
        chosen = ven_id or (known.ven_id if known is not None else None) or application.ven_id or self._new_ven_id()
        base = known if known is not None and known.ven_id == chosen else self.registration(chosen)
        now = self.clock.now()
        new_registration_id = registration_id or (self.new_id() if fresh or known is None else known.registration_id)
        registration = Registration(
            ven_id=chosen,
            ven_name=application.ven_name or (base.ven_name if base is not None else None),
            registration_id=new_registration_id,
            profile=application.profile,
            transport=application.transport,
            push_address=application.push_address,
            report_only=application.report_only,
            xml_signature=application.xml_signature,
            poll_frequency=poll_frequency or (base.poll_frequency if base is not None else self.poll_frequency),
            registered_at=now if fresh or base is None else base.registered_at,
            last_seen=now,
            online=base.online if base is not None else False,
            fingerprint=application.fingerprint or (base.fingerprint if base is not None else None),
        )
        greeting = [pack(self.new_id(), RegisterReports(), now)] if fresh and application.profile == "2.0b" else []
        await self.store.save_registration(registration, fresh=fresh, outgoing=greeting)
        ven = self._vens.setdefault(chosen, Ven(registration))
        ven.registration = registration
        if fresh:
            ven.mailbox = None  # it is loaded anew with what is left
        elif ven.mailbox is not None:
            ven.mailbox.remove([i.item_id for i in ven.mailbox.items.values() if i.kind == Reregister.__name__])
            await self.store.remove_outgoing(chosen, ["reregister"])
        return registration, fresh

    def _new_ven_id(self) -> str:
        while (ven_id := self.new_id()) in self._vens:
            pass
        return ven_id

    async def end_registration(self, ven_id: str) -> None:
        """The registration is over; everything about the VEN but itself goes (2.0b rule 407)."""
        await self.store.end_registration(ven_id)
        ven = self._vens[ven_id]
        ven.registration = msgspec.structs.replace(ven.registration, registration_id=None)
        ven.mailbox = None

    async def request_cancellation(self, ven_id: str) -> None:
        """Tell the VEN that its registration ends; it ends when the VEN has answered."""
        ven = self.registered(ven_id)
        assert ven.registration.registration_id is not None
        await self.enqueue(ven_id, [("cancel-registration", CancelRegistration(ven.registration.registration_id))])

    async def request_reregistration(self, ven_id: str) -> None:
        """Ask the VEN to register again with its IDs."""
        self.registered(ven_id)
        await self.enqueue(ven_id, [("reregister", Reregister())])

    async def mailbox(self, ven_id: str) -> Mailbox:
        """The VEN's mailbox, loaded from the store when it is needed for the first time."""
        ven = self._vens[ven_id]
        while ven.mailbox is None:
            items = await self.store.list_outgoing(ven_id)
            answers = await self.store.list_answers(ven_id=ven_id)
            if ven.mailbox is None:
                ven.mailbox = Mailbox(items, answers)
        return ven.mailbox

    async def enqueue(self, ven_id: str, items: Sequence[tuple[str, Item]]) -> list[Outgoing]:
        """Have messages wait for a VEN."""
        mailbox = await self.mailbox(ven_id)
        packed = [pack(item_id, item, self.clock.now()) for item_id, item in items]
        await self.store.add_outgoing(ven_id, packed)
        mailbox.add(packed)
        return packed

    async def done(self, ven_id: str, kind: type[Item], request_id: str) -> Outgoing | None:
        """The VEN has answered a message of that kind. Returns the message, or None if none is open."""
        mailbox = await self.mailbox(ven_id)
        item = mailbox.matching(kind, request_id)
        if item is not None:
            await self.store.remove_outgoing(ven_id, [item.item_id])
            mailbox.remove([item.item_id])
        return item

    # --- events ---------------------------------------------------------------------------------------------------

    def _take_event(self, stored: StoredEvent) -> None:
        event_id = stored.event.event_id
        if stored.closed:
            self._events.pop(event_id, None)
            self._recipients.pop(event_id, None)
        else:
            self._events[event_id] = stored
            if stored.recipients is not None:
                self._recipients[event_id] = frozenset(stored.recipients)
        self._revision += 1

    @property
    def open_events(self) -> list[StoredEvent]:
        """The events that are not over yet, in the order in which they were made."""
        return list(self._events.values())

    async def event(self, event_id: str) -> StoredEvent | None:
        """The event with that ID, open or over."""
        return self._events.get(event_id) or await self.store.load_event(event_id)

    async def save_event(self, event: Event, recipients: tuple[str, ...] | None) -> None:
        """Publish an event, or a new version of one.

        Raises:
            LocalProtocolError: a VEN would silently lose an event that it was told of.
        """
        async with self._event_lock:
            old = await self.event(event.event_id)
            if old is not None and _narrows(old.recipients, recipients):
                raise LocalProtocolError(
                    f"event {event.event_id!r} was published to more VENs than that: cancel it for the others "
                    "by a separate event, or keep them"
                )
            stored = StoredEvent(event=event, recipients=recipients)
            await self.store.save_event(stored)
            self._take_event(stored)

    def events_of(self, ven_id: str) -> list[Event]:
        """The open events that are for a VEN."""
        return [
            stored.event
            for event_id, stored in self._events.items()
            if stored.recipients is None or ven_id in self._recipients[event_id]
        ]

    async def listed_events(self, ven_id: str, events: Sequence[Event]) -> list[Event]:
        """Those of a VEN's events that it is told of now (2.0b rule 50), in no particular order."""
        mailbox = await self.mailbox(ven_id)
        return mailbox.listed(events, self.clock.now())

    async def note_told(self, ven_id: str, events: Iterable[Event]) -> None:
        """These events have been put into a reply to the VEN."""
        (await self.mailbox(ven_id)).note_told(events, self.clock.now())

    def is_idle(self, ven: Ven) -> bool:
        """Whether it is known without asking anybody that nothing waits for the VEN."""
        return ven.mailbox is not None and ven.mailbox.is_idle(self._revision, self.clock.now())

    async def due(self, ven: Ven, events: Sequence[Event]) -> Outgoing | list[Event] | None:
        """What to send to the VEN next: a message, all of its `events` that are listed, or nothing.

        Messages go first, because the exchange of report capabilities comes before anything else after a
        registration (2.0b rule 309). Each is sent alone (rule 500).
        """
        ven_id = ven.registration.ven_id
        mailbox = await self.mailbox(ven_id)
        now = self.clock.now()
        item = mailbox.next_item(now, self.resend_after)
        if item is not None:
            mailbox.note_sent(item.item_id, now)
            mailbox.disturb()
            return item
        listed = [] if ven.registration.report_only else mailbox.listed(events, now)
        due_at = mailbox.events_due(listed, self.resend_after)
        if due_at is not None and due_at <= now:
            return listed
        resend_at = mailbox.next_resend(self.resend_after)
        mailbox.note_idle(self._revision, min((at for at in (due_at, resend_at) if at is not None), default=None))
        return None

    async def answer_events(self, ven_id: str, answers: Sequence[Answer]) -> None:
        """Keep what a VEN says of its events, except where it has said it by oadrCreateOpt before (rule 206)."""
        mailbox = await self.mailbox(ven_id)
        kept = []
        for answer in answers:
            before = mailbox.answers.get(answer.event_id)
            if before is not None and before.by_opt and not answer.by_opt:
                answer = msgspec.structs.replace(answer, opt_type=before.opt_type, by_opt=True)
            kept.append(answer)
        if kept:
            await self.store.save_answers(kept)
            mailbox.note_answers(kept)

    async def close_events(self) -> list[str]:
        """Put away the events that are over for everybody. Returns their IDs."""
        now = self.clock.now()
        over = [
            stored
            for stored in self._events.values()
            if not is_listed(stored.event, now, acknowledged=False) or await self._is_settled(stored)
        ]
        for stored in over:
            closed = msgspec.structs.replace(stored, closed=True)
            await self.store.save_event(closed)
            self._take_event(closed)
        return [stored.event.event_id for stored in over]

    async def _is_settled(self, stored: StoredEvent) -> bool:
        """Whether a cancelled event has been acknowledged by all it was for."""
        if not stored.event.cancelled or stored.recipients is None:
            return False
        answers = await self.store.list_answers(event_id=stored.event.event_id)
        settled = {a.ven_id for a in answers if a.modification_number >= stored.event.modification_number}
        return settled >= set(stored.recipients)

    # --- opt ------------------------------------------------------------------------------------------------------

    async def create_opt(self, opt: Opt, events: Sequence[Event]) -> None:
        """Keep an opt; if it qualifies one of the VEN's `events`, it is its answer from now on (2.0b rule 206).

        An opt for some of the VEN's resources is kept, but is no answer for the VEN as a whole.

        Raises:
            RemoteProtocolError: 452, no such event for this VEN; 450, another version of it.
        """
        answers = []
        if opt.event_id is not None:
            event = next((e for e in events if e.event_id == opt.event_id), None)
            if event is None:
                raise RemoteProtocolError(f"no event {opt.event_id!r} is open for this VEN", code="452", rule="206")
            if opt.modification_number != event.modification_number:
                raise RemoteProtocolError(
                    f"event {opt.event_id!r} has modificationNumber {event.modification_number}, "
                    f"not {opt.modification_number}",
                    code="450",
                    rule="206",
                )
            whole = msgspec.structs.replace(opt.target, ven_ids=()).is_empty
            answers += (
                []
                if not whole
                else [
                    Answer(
                        event_id=opt.event_id,
                        ven_id=opt.ven_id,
                        modification_number=event.modification_number,
                        opt_type=opt.opt_type,
                        response_code="200",
                        answered_at=self.clock.now(),
                        by_opt=True,
                    )
                ]
            )
        await self.store.save_opt(opt, answers=answers)
        (await self.mailbox(opt.ven_id)).note_answers(answers)

    async def cancel_opt(self, ven_id: str, opt_id: str) -> None:
        """Forget the VEN's opts with that ID (2.0b rules 204, 208).

        Raises:
            RemoteProtocolError: 452, there is none.
        """
        if not await self.store.delete_opts(ven_id, opt_id):
            raise RemoteProtocolError(f"there is no opt {opt_id!r} of this VEN", code="452", rule="208")

    # --- reports of VENs --------------------------------------------------------------------------------------------

    async def register_capabilities(
        self,
        ven_id: str,
        capabilities: Sequence[Capability],
        wanted: Callable[[Sequence[Capability], Sequence[ReportRequest]], Sequence[ReportRequest]],
    ) -> list[ReportRequest]:
        """Replace what the VEN can report, and ask for reports again (2.0b rule 306).

        `wanted(capabilities, earlier)` chooses the requests, given those that were in force. Returns them; they also
        wait for the VEN as a message until it has confirmed them.
        """
        earlier = [stored.request for stored in await self.store.list_requests(ven_id, Source.VEN)]
        chosen = list(wanted(capabilities, earlier))
        await self.store.save_capabilities(ven_id, Source.VEN, capabilities)
        await self._forget_queued_requests(ven_id)
        if chosen:
            await self.request_reports(ven_id, chosen)
        return chosen

    async def _forget_queued_requests(self, ven_id: str) -> None:
        """Requests that still wait for the VEN refer to capabilities that are gone."""
        mailbox = await self.mailbox(ven_id)
        gone = [item.item_id for item in mailbox.items.values() if item.kind == CreateReports.__name__]
        if gone:
            await self.store.remove_outgoing(ven_id, gone)
            mailbox.remove(gone)

    async def request_reports(self, ven_id: str, requests: Sequence[ReportRequest]) -> None:
        """Ask a VEN for reports, now or at any time."""
        now = self.clock.now()
        item = pack(self.new_id(), CreateReports(tuple(requests)), now)
        stored = [StoredRequest(request=r, source=Source.VEN, requested_at=now) for r in requests if not r.is_metadata]
        mailbox = await self.mailbox(ven_id)
        await self.store.save_requests(ven_id, stored, outgoing=[item])
        mailbox.add([item])

    async def confirm_requests(self, ven_id: str, request_id: str, pending: Sequence[str], *, accepted: bool) -> None:
        """A VEN has answered requests: accepted, or refused as a whole.

        `pending` are the report requests that it has on its list. The question is found by its request ID, or, if
        the VEN had it inside oadrRegisteredReport, by what is pending.
        """
        mailbox = await self.mailbox(ven_id)
        listed = frozenset(pending)
        asked = {
            item.item_id: msgspec.json.decode(item.body, type=CreateReports)
            for item in mailbox.items.values()
            if item.kind == CreateReports.__name__
        }
        answered = [i for i, question in asked.items() if {r.report_request_id for r in question.requests} <= listed]
        direct = mailbox.matching(CreateReports, request_id)
        if direct is not None and direct.item_id not in answered and (request_id == direct.item_id or not answered):
            answered.append(direct.item_id)
        requests = [request for item_id in answered for request in asked[item_id].requests]
        if not accepted:
            await self.store.delete_requests(ven_id, Source.VEN, [r.report_request_id for r in requests])
        else:
            kept = {s.request.report_request_id: s for s in await self.store.list_requests(ven_id, Source.VEN)}
            confirmed = [
                msgspec.structs.replace(kept[r_id], confirmed=True)
                for r_id in {r.report_request_id for r in requests} | listed
                if r_id in kept and not kept[r_id].confirmed
            ]
            await self.store.save_requests(ven_id, confirmed)
        await self.store.remove_outgoing(ven_id, answered)
        mailbox.remove(answered)

    async def cancel_reports(self, ven_id: str, report_request_ids: Sequence[str], *, one_more: bool = False) -> None:
        """Have a VEN stop reports (2.0b rules 335, 345)."""
        item = pack(self.new_id(), CancelReports(tuple(report_request_ids), one_more), self.clock.now())
        mailbox = await self.mailbox(ven_id)
        await self.store.delete_requests(ven_id, Source.VEN, report_request_ids, outgoing=[item])
        mailbox.add([item])

    async def save_report(self, ven_id: str, report: Report) -> None:
        """Keep the readings of a VEN's report."""
        await self.store.save_readings(
            [
                StoredReading(
                    ven_id=ven_id,
                    report_specifier_id=report.report_specifier_id,
                    report_request_id=report.report_request_id,
                    reading=reading,
                )
                for reading in report.readings
            ]
        )

    async def end_one_shots(self, ven_id: str, report_request_ids: Iterable[str]) -> None:
        """Requests for a single report are fulfilled when it has come."""
        delivered = set(report_request_ids)
        requests = await self.store.list_requests(ven_id, Source.VEN)
        over = [
            s.request.report_request_id
            for s in requests
            if s.request.report_request_id in delivered and s.request.is_one_shot
        ]
        if over:
            await self.store.delete_requests(ven_id, Source.VEN, over)

    # --- reports of the VTN -----------------------------------------------------------------------------------------

    async def take_requests(self, ven_id: str, requests: Sequence[ReportRequest]) -> list[str]:
        """Keep what a VEN wants of our reports. Returns the IDs of all that is pending (2.0b rule 329)."""
        now = self.clock.now()
        stored = [
            StoredRequest(request=r, source=Source.VTN, requested_at=now, confirmed=True)
            for r in requests
            if not r.is_metadata
        ]
        await self.store.save_requests(ven_id, stored)
        return await self.pending_reports(ven_id)

    async def pending_reports(self, ven_id: str) -> list[str]:
        """The IDs of the reports that a VEN still gets from us."""
        return [s.request.report_request_id for s in await self.store.list_requests(ven_id, Source.VTN)]

    async def drop_requests(self, ven_id: str, report_request_ids: Sequence[str]) -> list[str]:
        """A VEN wants some of our reports no more. Returns the IDs that it had not asked for."""
        known = await self.store.delete_requests(ven_id, Source.VTN, report_request_ids)
        return [r_id for r_id in report_request_ids if r_id not in known]

    async def deliver_report(self, ven_id: str, request: ReportRequest, report: Report) -> None:
        """Have a report of ours wait for the VEN that asked for it; a one-shot request is fulfilled by it.

        Raises:
            StoreError: a value is not finite.
        """
        try:
            item = pack(self.new_id(), UpdateReport(request, report), self.clock.now())
        except msgspec.MsgspecError as error:
            raise StoreError(f"the report can't be kept: {error}") from error
        mailbox = await self.mailbox(ven_id)
        over = [request.report_request_id] if request.is_one_shot else []
        await self.store.delete_requests(ven_id, Source.VTN, over, outgoing=[item])
        mailbox.add([item])


def _narrows(old: tuple[str, ...] | None, new: tuple[str, ...] | None) -> bool:
    """Whether somebody of `old` is not in `new`; None is everybody."""
    if new is None:
        return False
    return old is None or not set(old) <= set(new)
