"""Events: which are open, which are due for whom, and what VENs say of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import LocalProtocolError, RemoteProtocolError
from pyopenadr.model import Event, Opt, Target
from pyopenadr.model.event import is_listed
from pyopenadr.model.time import Duration
from pyopenadr.store.port import Answer, Outgoing, Step, Store, StoredEvent, Topic, Trace
from pyopenadr.vtn.delivery import Carried, Item, RegisterReports, Ven
from pyopenadr.vtn.service.group import GroupService

__all__ = ["EventService"]


class EventService(GroupService):
    """Events, the answers to them, and opts."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        new_id: Callable[[], str],
        poll_frequency: Duration,
        resend_after: timedelta,
    ) -> None:
        super().__init__(store, clock, new_id=new_id, poll_frequency=poll_frequency, resend_after=resend_after)
        self._events: dict[str, StoredEvent] = {}
        self._recipients: dict[str, frozenset[str]] = {}
        self._skipped: dict[str, frozenset[str]] = {}
        self._traces: list[Trace] = []
        self._revision = 0
        self._event_lock = asyncio.Lock()

    async def start(self) -> None:
        self._events.clear()
        self._recipients.clear()
        self._skipped.clear()
        await super().start()

    async def stop(self) -> None:
        async with self._event_lock:  # what is under way is finished
            try:
                await self.save_traces()
            finally:
                await super().stop()

    def _take(self, stored: StoredEvent) -> None:
        event_id = stored.event.event_id
        self._recipients.pop(event_id, None)
        self._skipped.pop(event_id, None)
        if stored.closed:
            self._events.pop(event_id, None)
        else:
            self._events[event_id] = stored
            self._skipped[event_id] = frozenset(stored.dispatch.skipped)
            if stored.recipients is not None:
                self._recipients[event_id] = frozenset(stored.recipients)
            self.on_due(stored.recipients)
        self._revision += 1

    async def _take_events(self, event_ids: Collection[str] | None) -> None:
        before = dict(self._events)
        found = await self.store.list_events(event_ids=event_ids, include_closed=event_ids is not None)
        for stored in found:
            event_id = stored.event.event_id
            if self._events.get(event_id) is not before.get(event_id):
                self._again(Topic.EVENT, event_id)
            elif stored != before.get(event_id):
                self._take(stored)
        if event_ids is None:
            for event_id in before.keys() - {stored.event.event_id for stored in found}:
                if self._events.get(event_id) is before[event_id]:
                    self._take(msgspec.structs.replace(before[event_id], closed=True))

    # --- making and changing ----------------------------------------------------------------------------------------

    @property
    def open_events(self) -> list[StoredEvent]:
        """The events that are not over yet, in the order in which they were made."""
        return list(self._events.values())

    def is_open(self, event_id: str) -> bool:
        """Whether there is an event with that ID that is not over yet."""
        return event_id in self._events

    async def add_event(self, stored: StoredEvent) -> None:
        """Publish an event.

        Raises:
            LocalProtocolError: there is or was one with its ID.
        """
        await _to_the_end(self._add_event(stored))

    async def _add_event(self, stored: StoredEvent) -> None:
        async with self.alone(self._event_lock, "events"):
            event_id = stored.event.event_id
            if event_id in self._events or await self.store.load_event(event_id) is not None:
                raise LocalProtocolError(f"there is an event {event_id!r} already: change it with change_event")
            await self._save(stored)
            self._say("event-published", stored.event)

    async def change_event(self, event_id: str, change: Callable[[StoredEvent], StoredEvent]) -> Event:
        """Publish what `change` makes of an open event, and return it; see `change_stored`."""
        return (await self.change_stored(event_id, change)).event

    async def change_stored(self, event_id: str, change: Callable[[StoredEvent], StoredEvent]) -> StoredEvent:
        """Publish what `change` makes of an open event. Returns its new version.

        Raises:
            LocalProtocolError: there is no such open event, or a VEN that was told of it would silently lose it.
        """
        changed: StoredEvent = await _to_the_end(self._change_event(event_id, change))
        return changed

    async def _change_event(self, event_id: str, change: Callable[[StoredEvent], StoredEvent]) -> StoredEvent:
        async with self.alone(self._event_lock, "events"):
            old = self._events.get(event_id)
            if old is None:
                raise LocalProtocolError(f"there is no open event {event_id!r}", code="452")
            new = await self._readdress(old, change(old))
            if _narrows(old.recipients, new.recipients):
                raise LocalProtocolError(
                    f"event {event_id!r} was published to more VENs than that: they would take it for cancelled "
                    "without being told; cancel it and make a new one, or keep them"
                )
            if new != old:
                await self._save(new)
                kind = "event-cancelled" if new.event.cancelled else "event-changed"
                self._say(kind, new.event)
            return new

    def _say(self, kind: str, event: Event) -> None:
        self.notices.publish(kind, event_id=event.event_id, modification_number=event.modification_number)

    async def _readdress(self, old: StoredEvent, new: StoredEvent) -> StoredEvent:
        """The new version of an event with whom it is for, where that has changed."""
        return new

    async def _save(self, stored: StoredEvent) -> None:
        await self.store.save_event(stored)
        self._take(stored)

    async def close_events(self) -> list[str]:
        """Put away the events that are over for everybody, if this worker leads. Returns their IDs."""
        if not await self.store.leads():
            return []
        closed: list[str] = await _to_the_end(self._close_events())
        return closed

    async def _close_events(self) -> list[str]:
        closed = []
        async with self.alone(self._event_lock, "events"):
            for stored in self.open_events:
                over = not is_listed(stored.event, self.clock.now(), acknowledged=False)
                if over or (stored.event.cancelled and await self._is_settled(stored)):
                    await self._save(msgspec.structs.replace(stored, closed=True))
                    closed.append(stored.event.event_id)
                    self._say("event-closed", stored.event)
        return closed

    async def _is_settled(self, stored: StoredEvent) -> bool:
        """Whether everybody whom a cancelled event was for knows that it is cancelled.

        VENs that are not registered are not waited for: their events went with their registration.
        """
        event = stored.event
        answers = await self.store.list_answers(event_id=event.event_id)
        settled = {a.ven_id for a in answers if a.modification_number >= event.modification_number}
        return all(
            ven_id in settled or ven.mailbox.is_done(event)
            for ven_id, ven in self._vens.items()
            if ven.is_registered and not ven.registration.report_only and self.is_for(stored, ven_id)
        )

    # --- delivering -------------------------------------------------------------------------------------------------

    def events_of(self, ven_id: str) -> list[Event]:
        """The open events that are for a VEN."""
        return [stored.event for stored in self._events.values() if self.is_for(stored, ven_id)]

    def is_for(self, stored: StoredEvent, ven_id: str) -> bool:
        """Whether an open event is for the VEN."""
        if stored.recipients is None:
            return ven_id not in self._skipped[stored.event.event_id]
        return ven_id in self._recipients[stored.event.event_id]

    async def addressed(self, ven_id: str, events: Iterable[Event]) -> list[Event]:
        """The events with their targets as this VEN is to be told them.

        Where a target was resolved here, it names the VEN or its resources that were found by it, and nobody else.
        """
        told = []
        for event in events:
            stored = self._events.get(event.event_id)
            if stored is not None and stored.dispatch.by_target and not event.target.is_empty:
                selection = await self.selection(ven_id, event.target)
                target = selection.target if selection is not None else Target(ven_ids=(ven_id,))
                event = msgspec.structs.replace(event, target=target)
            told.append(event)
        return told

    async def listed_events(self, ven_id: str, events: Sequence[Event]) -> list[Event]:
        """Those of a VEN's events that it is told of now (2.0b rule 50), in no particular order."""
        async with self.changing(ven_id) as mailbox:
            return mailbox.listed(events, self.clock.now())

    async def note_told(self, ven_id: str, events: Sequence[Event], request_id: str | None = None) -> None:
        """These events have been put into a message to the VEN; `request_id` is that of the message."""
        carried = Carried(request_id, _versions(events), self.clock.now())
        async with self.changing(ven_id) as mailbox:
            mailbox.note_told(events, carried.at)
            mailbox.carried = carried
        self._note(Step.SENT, ven_id, carried.versions, carried)

    def note_push(self, ven_id: str, events: Sequence[Event], request_id: str) -> None:
        """These events are about to be pushed; whether they have been sent is certain when the VEN has answered."""
        self._vens[ven_id].mailbox.pushed = Carried(request_id, _versions(events), self.clock.now())

    async def note_pushed(self, ven_id: str, item_id: str | None, events: Sequence[Event], at: datetime) -> None:
        """The VEN has taken what was pushed to it at an instant: a message that waits for it, or its events."""
        async with self.changing(ven_id) as mailbox:
            if item_id is not None and item_id in mailbox.items:
                mailbox.note_sent(item_id, at)
            mailbox.note_told(events, at, confirmed=True)
            pushed = mailbox.pushed
        if events and pushed is not None and pushed.request_id is not None:
            self.note_received(ven_id, pushed.request_id)

    def note_received(self, ven_id: str, request_id: str, *, answered: Collection[str] = ()) -> None:
        """The VEN has certainly got its last message with events, if it has that request ID.

        So it has received those events in it that it has not `answered`.
        """
        mailbox = self._vens[ven_id].mailbox
        carried = mailbox.carried
        if mailbox.pushed is not None and mailbox.pushed.request_id == request_id:
            carried, mailbox.pushed = mailbox.pushed, None
            self._note(Step.SENT, ven_id, carried.versions, carried)
        elif carried is not None and carried.request_id == request_id:
            mailbox.carried = None
        else:
            return
        left = {i: version for i, version in carried.versions.items() if i not in answered}
        self._note(Step.RECEIVED, ven_id, left, msgspec.structs.replace(carried, at=self.clock.now()))

    def _note(self, step: Step, ven_id: str, versions: Mapping[str, int], message: Carried) -> None:
        self._traces += [
            Trace(
                event_id=event_id,
                ven_id=ven_id,
                at=message.at,
                step=step,
                modification_number=modification_number,
                request_id=message.request_id,
            )
            for event_id, modification_number in versions.items()
            if event_id in self._events
        ]

    async def save_traces(self) -> None:
        """Keep what has happened since the last time, in one go. What can't be kept now is kept later."""
        traces, self._traces = self._traces, []
        if not traces:
            return
        try:
            await self.store.save_traces(traces)
        except BaseException:  # also cancelled: whatever stopped it, they are not lost
            self._traces = [*traces, *self._traces]
            raise

    def is_idle(self, ven_id: str) -> bool:
        """Whether it is known without asking anybody that the VEN is registered and nothing waits for it."""
        ven = self._vens.get(ven_id)
        if ven is None or ven.registration.registration_id is None:
            return False
        return ven.mailbox.is_idle(self._revision, self.clock.now())

    async def due(
        self, ven: Ven, events: Sequence[Event] | None = None, *, sent: bool = True
    ) -> Outgoing | list[Event] | None:
        """What to send to the VEN next: a message, all of its events that are listed, or nothing.

        `events` stand in for those of `events_of` where the user has events of his own. A message counts as `sent`
        with that; one that is pushed only when the VEN has taken it (`note_pushed`).

        The exchange of report capabilities comes first after a registration (2.0b rule 309); then events, because
        they are urgent; then whatever else waits. Each message is sent alone (rule 500).
        """
        async with self.changing(ven.registration.ven_id) as mailbox:
            now = self.clock.now()
            item = mailbox.next_item(now, self.resend_after, RegisterReports)
            known = self.events_of(ven.registration.ven_id) if events is None else events
            listed = [] if ven.registration.report_only else mailbox.listed(known, now)
            due_at = mailbox.events_due(listed, self.resend_after)
            if item is None and due_at is not None and due_at <= now:
                return listed
            item = item or mailbox.next_item(now, self.resend_after)
            if item is not None:
                if sent:
                    mailbox.note_sent(item.item_id, now)
                return item
            if events is None:
                resend_at = mailbox.next_resend(self.resend_after)
                next_at = min((at for at in (due_at, resend_at) if at is not None), default=None)
                mailbox.note_idle(self._revision, next_at)
            return None

    async def next_due(self, ven: Ven, events: Sequence[Event] | None = None) -> datetime | None:
        """When something that has been sent to the VEN is to be sent again; None if it has answered everything."""
        async with self.changing(ven.registration.ven_id) as mailbox:
            known = self.events_of(ven.registration.ven_id) if events is None else events
            listed = [] if ven.registration.report_only else mailbox.listed(known, self.clock.now())
            due = (mailbox.events_due(listed, self.resend_after), mailbox.next_resend(self.resend_after))
            return min((at for at in due if at is not None), default=None)

    async def due_item(self, ven: Ven, kind: type[Item], *, sent: bool = True) -> Outgoing | None:
        """The next message of that kind to send to the VEN, whatever else waits; None if none is due. See `due`."""
        async with self.changing(ven.registration.ven_id) as mailbox:
            now = self.clock.now()
            item = mailbox.next_item(now, self.resend_after, kind)
            if item is not None and sent:
                mailbox.note_sent(item.item_id, now)
            return item

    # --- answers and opts -------------------------------------------------------------------------------------------

    async def answer_events(self, ven_id: str, answers: Sequence[Answer], request_id: str | None = None) -> None:
        """Keep what a VEN says of its events, except where it has said it by oadrCreateOpt before (rule 206).

        `request_id` is that of the message which the VEN answers.
        """
        async with self.changing(ven_id) as mailbox:
            kept = []
            for answer in answers:
                before = mailbox.answers.get(answer.event_id)
                if before is not None and before.by_opt and not answer.by_opt:
                    answer = msgspec.structs.replace(answer, opt_type=before.opt_type, by_opt=True)
                kept.append(answer)
            if kept:
                await self.store.save_answers(kept)
                mailbox.note_answers(kept)
        if request_id:
            self.note_received(ven_id, request_id, answered=[answer.event_id for answer in answers])
        self._traces += [_trace(answer, Step.ANSWERED, request_id=request_id) for answer in answers]
        self._note_answers(kept)

    def _note_answers(self, answers: Iterable[Answer]) -> None:
        for answer in answers:
            self.notices.publish(
                "event-answered",
                ven_id=answer.ven_id,
                event_id=answer.event_id,
                modification_number=answer.modification_number,
                opt_type=answer.opt_type.value,
                response_code=answer.response_code,
            )

    async def create_opt(self, opt: Opt, event: Event | None) -> None:
        """Keep an opt; if it qualifies `event`, it is the VEN's answer from now on (2.0b rule 206).

        An opt for some of the VEN's resources or devices is kept, but is no answer for the VEN as a whole.

        Raises:
            RemoteProtocolError: 452, it names an event that is not open for this VEN, or another VEN; 450, another
                version of the event; 462, targets that are none of the event's.
        """
        if any(ven_id != opt.ven_id for ven_id in opt.target.ven_ids):
            raise RemoteProtocolError(f"opt {opt.opt_id!r} is for another VEN than its sender", code="452", rule="202")
        answers = []
        if opt.event_id is not None:
            _check_opt(opt, event)
            whole = msgspec.structs.replace(opt.target, ven_ids=()).is_empty and not opt.device_classes
            if whole and event is not None:
                answers.append(
                    Answer(
                        event_id=event.event_id,
                        ven_id=opt.ven_id,
                        modification_number=event.modification_number,
                        opt_type=opt.opt_type,
                        response_code="200",
                        answered_at=self.clock.now(),
                        by_opt=True,
                    )
                )
        async with self.changing(opt.ven_id) as mailbox:
            await self.store.save_opt(opt, answers=answers)
            mailbox.note_answers(answers)
        if event is not None:
            self._traces.append(
                Trace(
                    event_id=event.event_id,
                    ven_id=opt.ven_id,
                    at=self.clock.now(),
                    step=Step.OPTED,
                    modification_number=event.modification_number,
                    opt_type=opt.opt_type,
                    response_code="200",
                    response_description=opt.opt_reason,
                    resource_ids=opt.target.resource_ids,
                )
            )
        self._note_answers(answers)
        self.notices.publish(
            "opt-created", ven_id=opt.ven_id, event_id=opt.event_id, opt_id=opt.opt_id, opt_type=opt.opt_type.value
        )

    async def cancel_opt(self, ven_id: str, opt_id: str) -> None:
        """Forget the VEN's schedules with that ID (2.0b rules 204, 208).

        Raises:
            RemoteProtocolError: 452, there is none; 459, it is about an event, which can't be cancelled (rule 211).
        """
        opts = [opt for opt in await self.store.list_opts(ven_id) if opt.opt_id == opt_id]
        if any(opt.event_id is not None for opt in opts):
            raise RemoteProtocolError(
                f"opt {opt_id!r} is about an event: create another one to change your mind", code="459", rule="211"
            )
        if not opts or not await self.store.delete_opts(ven_id, opt_id):
            raise RemoteProtocolError(f"there is no opt {opt_id!r} of this VEN", code="452", rule="208")
        self.notices.publish("opt-cancelled", ven_id=ven_id, opt_id=opt_id)


def _versions(events: Iterable[Event]) -> dict[str, int]:
    return {event.event_id: event.modification_number for event in events}


def _trace(answer: Answer, step: Step, *, request_id: str | None) -> Trace:
    return Trace(
        event_id=answer.event_id,
        ven_id=answer.ven_id,
        at=answer.answered_at,
        step=step,
        modification_number=answer.modification_number,
        request_id=request_id,
        opt_type=answer.opt_type,
        response_code=answer.response_code,
        response_description=answer.response_description,
    )


def _narrows(old: tuple[str, ...] | None, new: tuple[str, ...] | None) -> bool:
    """Whether somebody of `old` is not in `new`; None is everybody."""
    if new is None:
        return False
    return old is None or not set(old) <= set(new)


def _check_opt(opt: Opt, event: Event | None) -> None:
    """Whether an opt fits the event that it qualifies."""
    if event is None:
        raise RemoteProtocolError(f"no event {opt.event_id!r} is open for this VEN", code="452", rule="206")
    if opt.market_context is not None:
        raise RemoteProtocolError(f"opt {opt.opt_id!r} is about an event, so it has no marketContext", rule="206")
    if opt.modification_number != event.modification_number:
        raise RemoteProtocolError(
            f"event {opt.event_id!r} has modificationNumber {event.modification_number}, not {opt.modification_number}",
            code="450",
            rule="206",
        )
    if event.target.is_empty or event.target.ven_ids:
        return  # the event is for the VEN as a whole, and what belongs to that only the VEN knows
    for kind in Target.__struct_fields__:
        strange = [value for value in getattr(opt.target, kind) if value not in getattr(event.target, kind)]
        if strange and kind != "ven_ids":
            raise RemoteProtocolError(
                f"event {opt.event_id!r} is not for {kind} {', '.join(map(str, strange))}", code="462", rule="206"
            )


async def _to_the_end(work: Any) -> Any:
    """Await work that must not stop half-way when its caller is cancelled."""
    return await asyncio.shield(asyncio.ensure_future(work))
