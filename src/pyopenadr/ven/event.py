"""The VEN's event book: what is known, what the user decides about it, and what the VTN has to be told."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import LocalProtocolError, OpenADRError
from pyopenadr.model import Event, OptType, ResponseRequired, Span
from pyopenadr.v2 import wire
from pyopenadr.v2.ven import (
    KnownEvent,
    VenScope,
    Verdict,
    cancel_delay,
    consider,
    created_event,
    created_event_fault,
    event_response,
    executed_span,
    keep_offset,
    random_offset,
)
from pyopenadr.ven.backoff import Draw
from pyopenadr.ven.execution import EndReason
from pyopenadr.ven.handler import Caller, Handler, HandlerFailed
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.outbox import Letter, Outbox
from pyopenadr.ven.reply import Defer, EventReply, reply_of
from pyopenadr.ven.schedule import sleep_until
from pyopenadr.ven.session import asks_to_register
from pyopenadr.ven.state import Ledger
from pyopenadr.ven.task import Crew

__all__ = ["EventBook"]

GATHER_S = 1.0
"""How long a decided answer waits for others that are being decided, so that they go in one message (rule 12)."""
LANE = "event"


class _Decision:
    """An answer of the user that is awaited. `defaulted`: the VTN was given the default in the meantime."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.defaulted = False
        self.task: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        if self.task is not None:
            self.task.cancel()


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an event. `undecided`: the user has not answered it yet."""

    known: KnownEvent
    undecided: bool


class _Deferral(msgspec.Struct, frozen=True, kw_only=True):
    """An event that somebody decides about later; at `until`, `default` is the answer."""

    until: datetime
    default: OptType


class _Ending(msgspec.Struct, frozen=True, kw_only=True):
    """A cancelled event that the user has yet to hear of, at `until`."""

    event: Event
    until: datetime


class EventBook:
    """Receives events, has them decided, and answers; what it knows survives a restart.

    `handler` gives the user's handler, or None where there is none; `word_on` may decide in its place. `on_lost` is
    called if the VTN no longer knows us, `on_change` whenever the known events have changed, and `on_end` with an event
    that is taken back, until when it still runs, and why.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        caller: Caller,
        crew: Crew,
        clock: Clock,
        draw: Draw,
        journal: Journal,
        ledger: Ledger,
        default_opt: OptType,
        ven_id: Callable[[], str],
        handler: Callable[[], Handler | None],
        word_on: Callable[[Event, Span], OptType | None],
        on_lost: Callable[[OpenADRError], None],
        on_change: Callable[[], None],
        on_end: Callable[[str, Event, datetime, EndReason], None],
    ) -> None:
        rows = ledger.load("event", _Row)
        self.known: dict[str, KnownEvent] = {event_id: row.known for event_id, row in rows.items()}
        self._undecided = {event_id for event_id, row in rows.items() if row.undecided}
        self._outbox = outbox
        self._caller = caller
        self._crew = crew
        self._clock = clock
        self._draw = draw
        self._journal = journal
        self._ledger = ledger
        self._default = EventReply(opt_type=default_opt)
        self._handler = handler
        self._word_on = word_on
        self._on_lost = on_lost
        self._on_change = on_change
        self._on_end = on_end
        self._ven_id = ven_id
        self._deciding: dict[str, _Decision] = {}
        self._deferrals = ledger.load("deferral", _Deferral)
        self._deadlines: dict[str, asyncio.Task[None]] = {}
        self._endings = ledger.load("ending", _Ending)
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._answers = ledger.load("answer", wire.EventResponse)
        self._gathering: asyncio.Task[None] | None = None
        self._warned = False

    @property
    def events(self) -> Mapping[str, KnownEvent]:
        """The known events by their id."""
        return MappingProxyType(self.known)

    @property
    def deferred(self) -> Mapping[str, datetime]:
        """The events that wait for somebody's decision, with until when."""
        return {event_id: deferral.until for event_id, deferral in self._deferrals.items()}

    def receive(self, message: wire.OadrDistributeEvent, scope: VenScope, *, reply_limit: int | None = None) -> bool:
        """Take in a list of events; whether it held anything new."""
        outcome = consider(message, self.known, scope=scope, now=self._clock.now(), reply_limit=reply_limit)
        if outcome.fault is not None:
            self._refuse(outcome.fault)
            return False
        for verdict in outcome.verdicts:
            self._take(verdict, message.request_id)
        self._drop_unlisted(message, outcome.implied_cancels, reply_limit)
        self._send_when_decided()
        return bool(outcome.implied_cancels) or any(verdict.kind != "unchanged" for verdict in outcome.verdicts)

    def opted(self, event_id: str, opt_type: OptType) -> None:
        """The user has answered this event by hand, and has told the VTN."""
        if event_id in self.known:
            self._undecide(event_id)
            self._note(msgspec.structs.replace(self.known[event_id], opt_type=opt_type), undecided=False)

    def decide(self, event_id: str, opt_type: OptType) -> None:
        """Somebody decides about an event, also about one that has an answer; the VTN gets to know it.

        Raises:
            LocalProtocolError: there is no such event.
        """
        known = self.known.get(event_id)
        if known is None:
            raise LocalProtocolError(f"there is no event {event_id!r}, or none any more", code="452")
        if known.opt_type is opt_type and event_id not in self._undecided:
            return
        self._undecide(event_id)
        self._settle(self._verdict_on(known.event), EventReply(opt_type=opt_type), final=True)
        self._send_when_decided()

    def revise(self) -> None:
        """The availabilities have changed: what they say to the known events counts."""
        for event_id, known in list(self.known.items()):
            span = executed_span(known.event, known.offset)
            is_over = span.end is not None and span.end <= self._clock.now()
            word = None if is_over else self._word_on(known.event, span)
            if word is not None:
                self.decide(event_id, word)

    def forget(self) -> None:
        """The registration is over: every event ends, and nothing is answered any more."""
        for event_id in list(self.known):
            self._end(event_id, cancelled_version(self.known[event_id].event), EndReason.UNREGISTERED)
        for decision in self._deciding.values():
            decision.cancel()
        self._deciding.clear()
        for event_id in list(self._answers):
            self._drop_answer(event_id)
        self._outbox.drop(LANE)

    def resume(self) -> None:
        """Go on with what was begun before a stop or a restart: ask what is undecided, tell what has ended."""
        for event_id in [it for it in self.known if it in self._undecided and it not in self._deciding]:
            if event_id in self._deferrals:
                self._await_deadline(event_id, self._deferrals[event_id])
            else:
                event = self.known[event_id].event
                self._decide(self._verdict_on(event), event)
        for event_id, ending in self._endings.items():
            if event_id not in self._ending:
                self._await_end(event_id, ending)
        self._send_when_decided()

    async def answered(self) -> None:
        """Wait until the VTN has got its answers (2.0b rule 64), but no longer than a handler may take.

        It must not be deaf for long, so it does not wait for those that somebody decides about later.
        """
        for _ in range(math.ceil(self._caller.timeout_s / GATHER_S)):
            if not self._answers and not any(map(self._is_open, self._deciding)):
                return
            await self._clock.sleep(GATHER_S)

    def clear_tasks(self) -> None:
        """The client stops: its tasks are gone, and so is what was being decided."""
        self._deciding.clear()
        self._deadlines.clear()
        self._ending.clear()
        self._gathering = None

    def _refuse(self, fault: wire.EiResponse) -> None:
        self._journal.error(
            f"the VTN's list of events is refused with {fault.response_code}: {fault.response_description}",
            extra={"request_id": fault.request_id},
        )
        message = created_event_fault(self._ven_id(), fault)
        self._outbox.put(LANE, Letter(service="EiEvent", subject="the refusal of events", build=lambda: message))

    def _take(self, verdict: Verdict, request_id: str) -> None:
        event_id, event = verdict.event_id, verdict.event
        old = self.known.get(event_id)
        match verdict.kind:
            case "new" | "changed":
                assert event is not None
                self._keep(event, old, request_id)
                self._decide(verdict, event)
                return
            case "unchanged":
                assert old is not None
                # The answer quotes the message that brought the event last (2.0b rule 42).
                self.known[event_id] = msgspec.structs.replace(old, request_id=request_id)
                if old.opt_type is None and event_id not in self._deciding and event_id not in self._deferrals:
                    self._decide(verdict, old.event)
                    return
            case "cancelled":
                if old is not None:
                    self._end(event_id, event or cancelled_version(old.event))
            case "refused":
                self._journal.warning(
                    f"event {event_id} is refused with {verdict.code}: {verdict.description}",
                    extra={"request_id": request_id, "event_id": event_id},
                )
        opt_type = verdict.opt_type or (old.opt_type if old is not None else None)
        if verdict.answer and opt_type is not None and not self._is_open(event_id):
            self._answer(event_response(verdict, opt_type, request_id))

    def _keep(self, event: Event, old: KnownEvent | None, request_id: str) -> None:
        offset = old.offset if old is not None and keep_offset(old, event) else None
        if offset is None:
            offset = random_offset(event.start_after, event.start, self._draw.random())
        self._note(KnownEvent(event=event, offset=offset, request_id=request_id), undecided=True)
        if self._endings.pop(event.event_id, None) is not None:
            self._ledger.drop("ending", event.event_id)
        if (ending := self._ending.pop(event.event_id, None)) is not None:
            ending.cancel()

    def _note(self, known: KnownEvent, *, undecided: bool) -> None:
        event_id = known.event.event_id
        self.known[event_id] = known
        (self._undecided.add if undecided else self._undecided.discard)(event_id)
        self._ledger.put("event", event_id, _Row(known=known, undecided=undecided))
        self._on_change()

    def _drop(self, event_id: str) -> KnownEvent:
        self._undecide(event_id)
        self._undecided.discard(event_id)
        self._ledger.drop("event", event_id)
        self._on_change()
        return self.known.pop(event_id)

    def _answer(self, answer: wire.EventResponse) -> None:
        self._answers[answer.event_id] = answer
        self._ledger.put("answer", answer.event_id, answer)

    def _drop_answer(self, event_id: str) -> None:
        if self._answers.pop(event_id, None) is not None:
            self._ledger.drop("answer", event_id)

    def _drop_unlisted(
        self, message: wire.OadrDistributeEvent, cancelled: tuple[str, ...], reply_limit: int | None
    ) -> None:
        for event_id in cancelled:
            if event_id in self.known:
                self._journal.info(f"event {event_id} is no longer listed: cancelled", extra={"event_id": event_id})
                self._end(event_id, cancelled_version(self.known[event_id].event))
        if reply_limit is not None and len(message.events) >= reply_limit:
            return  # the list may be cut off, so absence says nothing
        listed = {item.event_descriptor.event_id for item in message.events}
        for event_id in [name for name in self.known if name not in listed]:
            known = self.known[event_id]
            end = executed_span(known.event, known.offset).end
            if end is not None and end <= self._clock.now():
                self._drop(event_id)  # it has run its course

    # -- what the user says --------------------------------------------------------------------------------------

    def _decide(self, verdict: Verdict, event: Event) -> None:
        self._undecide(event.event_id)
        self._drop_answer(event.event_id)
        word = self._word_on(event, executed_span(event, self.known[event.event_id].offset))
        if word is not None:
            self._journal.info(f"event {event.event_id}: {word} by the availabilities that were told")
            self._settle(verdict, EventReply(opt_type=word), final=True)
            return
        handler = self._handler()
        if handler is None:
            if not self._warned:
                self._warned = True
                self._journal.warning(
                    f"there is no on_event handler: every event is answered with {self._default.opt_type}, said once"
                )
            self._settle(verdict, self._default, final=True)
            return
        decision = self._deciding[event.event_id] = _Decision(verdict)
        decision.task = self._crew.spawn(self._ask(handler, decision, event), f"event {event.event_id}")

    async def _ask(self, handler: Handler, decision: _Decision, event: Event) -> None:
        await self._ledger.kept()  # a call whose event could be forgotten again would be made twice
        call = self._caller.start(handler, event)
        try:
            if not await self._caller.ends_within(call, self._caller.timeout_s):
                self._complain(event, f"on_event gave no answer within {self._caller.timeout_s:g} seconds")
                decision.defaulted = True
                self._settle(decision.verdict, self._default, final=False)
                self._send_when_decided()
                await asyncio.wait({call})
            try:
                reply = reply_of(call.result())
            except HandlerFailed as error:
                self._complain(event, str(error))
                reply = self._default
            if isinstance(reply, Defer):
                self._defer(decision.verdict, event, reply)
                return
            self._settle(decision.verdict, reply, final=True, told=decision.defaulted and reply == self._default)
        finally:
            call.cancel()
            if self._deciding.get(event.event_id) is decision:
                del self._deciding[event.event_id]
        self._send_when_decided()

    def _verdict_on(self, event: Event) -> Verdict:
        """What is to be done with an event that was received before."""
        return Verdict(
            kind="new",
            event_id=event.event_id,
            modification_number=event.modification_number,
            answer=event.response_required == ResponseRequired.ALWAYS,
        )

    def _undecide(self, event_id: str) -> None:
        """Nobody is asked about this event any more."""
        if (decision := self._deciding.pop(event_id, None)) is not None:
            decision.cancel()
        if (deadline := self._deadlines.pop(event_id, None)) is not None:
            deadline.cancel()
        if self._deferrals.pop(event_id, None) is not None:
            self._ledger.drop("deferral", event_id)

    def _defer(self, verdict: Verdict, event: Event, defer: Defer) -> None:
        known = self.known.get(event.event_id)
        if known is None or known.event.modification_number != verdict.modification_number:
            return
        until = defer.deadline(event, known.offset, self._clock.now())
        default = self._default.opt_type if defer.default is None else defer.default
        deferral = _Deferral(until=until, default=OptType(default))
        self._deferrals[event.event_id] = deferral
        self._ledger.put("deferral", event.event_id, deferral)
        self._await_deadline(event.event_id, deferral)

    def _await_deadline(self, event_id: str, deferral: _Deferral) -> None:
        if event_id not in self._deadlines:
            work = self._default_at(event_id, deferral)
            self._deadlines[event_id] = self._crew.spawn(work, f"deadline of {event_id}")

    async def _default_at(self, event_id: str, deferral: _Deferral) -> None:
        await sleep_until(self._clock, deferral.until)
        self._deadlines.pop(event_id, None)  # it must not be cancelled by what follows
        self._journal.warning(
            f"event {event_id}: nobody has decided, so it is answered with {deferral.default}",
            extra={"event_id": event_id},
        )
        self.decide(event_id, deferral.default)

    def _complain(self, event: Event, problem: str) -> None:
        known = self.known.get(event.event_id)
        self._journal.error(
            f"event {event.event_id}: {problem}; answered with {self._default.opt_type}",
            extra={"event_id": event.event_id, "request_id": known.request_id if known is not None else ""},
        )

    def _settle(self, verdict: Verdict, reply: EventReply, *, final: bool, told: bool = False) -> None:
        """Note the answer, if it is still about the version that is known; one that is not `final` may change.

        `told`: the VTN has got this very answer already.
        """
        known = self.known.get(verdict.event_id)
        if known is None or known.event.modification_number != verdict.modification_number:
            return
        opt_type = OptType(reply.opt_type)
        self._note(msgspec.structs.replace(known, opt_type=opt_type), undecided=not final)
        if verdict.answer and not told:
            code, description = reply.response_code, reply.response_description
            self._answer(event_response(verdict, opt_type, known.request_id, code=code, description=description))

    def _is_open(self, event_id: str) -> bool:
        decision = self._deciding.get(event_id)
        return decision is not None and not decision.defaulted

    # -- the end of events ---------------------------------------------------------------------------------------

    def _end(self, event_id: str, event: Event, reason: EndReason = EndReason.CANCELLED) -> None:
        """The event is cancelled: the user hears of it when it really ends (2.0b rule 65)."""
        known = self._drop(event_id)
        self._drop_answer(event_id)
        now = self._clock.now()
        ending = _Ending(event=event, until=now + cancel_delay(known, now, self._draw.random()))
        self._endings[event_id] = ending
        self._ledger.put("ending", event_id, ending)
        self._on_end(event_id, event, ending.until, reason)
        self._await_end(event_id, ending)

    def _await_end(self, event_id: str, ending: _Ending) -> None:
        self._ending[event_id] = self._crew.spawn(self._tell_end(ending), f"end of {event_id}")

    async def _tell_end(self, ending: _Ending) -> None:
        event_id = ending.event.event_id
        await self._ledger.kept()
        await sleep_until(self._clock, ending.until)
        try:
            if (handler := self._handler()) is not None:
                await self._caller.ask(handler, ending.event)
        except HandlerFailed as error:
            self._journal.error(f"event {event_id} is cancelled, but {error}", extra={"event_id": event_id})
        if self._endings.get(event_id) is ending:
            del self._endings[event_id], self._ending[event_id]
            self._ledger.drop("ending", event_id)

    # -- what the VTN hears --------------------------------------------------------------------------------------

    def _send_when_decided(self) -> None:
        """Send the answers: at once if nobody is deciding, else after a short while for those that come soon."""
        if not self._answers:
            return
        if not any(map(self._is_open, self._deciding)):
            self._send()
        elif self._gathering is None or self._gathering.done():
            self._gathering = self._crew.spawn(self._gather(), "gathering of answers")

    async def _gather(self) -> None:
        await self._clock.sleep(GATHER_S)
        self._send()

    def _send(self) -> None:
        if self._outbox.waiting(LANE) > 1:
            return  # the last one in the lane takes along whatever there is when its turn comes
        sent: dict[str, wire.EventResponse] = {}

        def build() -> wire.OadrCreatedEvent | None:
            sent.clear()
            sent.update(self._answers)
            return created_event(self._ven_id(), list(sent.values())) if sent else None

        def settled(*_: object) -> None:
            for event_id, answer in sent.items():
                if self._answers.get(event_id) is answer:
                    self._drop_answer(event_id)

        def refused(error: OpenADRError) -> None:
            settled()
            if asks_to_register(error):
                self._on_lost(error)

        letter = Letter(
            service="EiEvent", subject="the answer to events", build=build, delivered=settled, refused=refused
        )
        self._outbox.put(LANE, letter)


def cancelled_version(event: Event) -> Event:
    """The event as one that has been cancelled without a word (2.0b rule 61)."""
    return msgspec.structs.replace(event, cancelled=True)
