"""How one event is executed: which call to the device code is due next. Pure: time and progress are given.

`Run` says how far an event has got. `next_call` compares that with what should be at an instant, so late calls, changed
events and early ends need no rules of their own: the next call is always one step from what is to what should be.
`made` is the run after a call.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import msgspec

from pyopenadr.model import CalendarDuration, Duration, Event, Signal, Span
from pyopenadr.model.time import ZERO, add, is_positive

__all__ = ["DeviceCall", "EndReason", "Run", "TimedInterval", "is_due", "made", "next_boundary", "next_call"]


class EndReason(StrEnum):
    """Why the execution of an event ends."""

    COMPLETED = "completed"
    """Its time is over."""
    CANCELLED = "cancelled"
    """The VTN cancelled it, in words or by leaving it out (2.0b rule 61)."""
    OPTED_OUT = "optOut"
    """This VEN takes no part any more."""
    MODIFIED = "modified"
    """A new version begins later, or is only a test."""
    UNREGISTERED = "unregistered"
    """The registration ended, and with it every event (2.0b rule 407)."""
    FAILSAFE = "failsafe"
    """The VTN has been silent for so long that the VEN is to let go; the event begins again if the VTN is back."""


class TimedInterval(msgspec.Struct, frozen=True, kw_only=True):
    """An interval of a signal with its times on this VEN, random offset included; `end` of None is open.

    `number` counts the intervals of the signal from 0.
    """

    number: int
    start: datetime
    end: datetime | None
    value: float


class DeviceCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call to the device code: of `handler`, about `event`.

    Calls about an interval have its `signal` and `interval`, transitions the `span` in which they take place, and the
    end of an event the `reason`. `at` is when it was due. `turn` counts from 1 how often this event, or this interval
    of it, has begun: it is more than 1 for what was ended early and begins again. `repeated` says that it may have been
    carried out before, because the process died during the call. `slot` tells the signals of an event apart.
    """

    handler: str
    event: Event
    at: datetime
    turn: int
    slot: str = ""
    signal: Signal | None = None
    interval: TimedInterval | None = None
    span: Span | None = None
    reason: EndReason | None = None
    repeated: bool = False

    @property
    def key(self) -> str:
        """What this call is known by for ever: the same if it is repeated, or if the event has a new version."""
        parts = [self.event.event_id, self.handler]
        if self.interval is not None:
            parts += [self.slot, str(self.interval.number)]
        return "/".join(quote(part, safe="") for part in (*parts, str(self.turn)))

    @property
    def is_end(self) -> bool:
        """Whether it ends something."""
        return self.handler in ("on_interval_end", "on_event_end")

    @property
    def args(self) -> tuple[Any, ...]:
        """What the handler is called with."""
        return (self.event, *(it for it in (self.signal, self.interval, self.span, self.reason) if it is not None))


class _Running(msgspec.Struct, frozen=True, kw_only=True):
    """An interval that has been started, of what, and for which time."""

    signal: Signal
    interval: TimedInterval
    turn: int = 1

    def is_same(self, other: _Running) -> bool:
        """Whether a device need not be told that one has become the other."""
        mine, theirs = self.interval, other.interval
        if (mine.number, mine.value) != (theirs.number, theirs.value):
            return False
        return msgspec.structs.replace(self.signal, intervals=()) == msgspec.structs.replace(other.signal, intervals=())


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """How far the execution of an event has got.

    It lasts from `start` to `end` (None: for ever), and ends for `reason`. `reached` is the latest instant that has
    been dealt with: the execution never goes back behind it, even if the clock is set back. `running` are the started
    intervals by slot. `pending` is the call that is being made: one that is found at a start was under way when the
    process died. `turn` counts the executions of this event, `starts` by slot and number how often an interval began.
    """

    event: Event
    start: datetime
    end: datetime | None
    reason: EndReason = EndReason.COMPLETED
    reached: datetime | None = None
    ramped: bool = False
    started: bool = False
    recovered: bool = False
    ended: bool = False
    running: dict[str, _Running] = msgspec.field(default_factory=dict)
    pending: DeviceCall | None = None
    turn: int = 1
    starts: dict[str, dict[int, int]] = msgspec.field(default_factory=dict)

    @property
    def begun(self) -> bool:
        """Whether the device code has heard of it, or is hearing of it, and not yet of its end."""
        is_beginning = self.pending is not None and self.pending.handler in ("on_ramp_up", "on_event_start")
        return (self.ramped or self.started or is_beginning) and not self.ended

    def at(self, now: datetime) -> datetime:
        """The instant to go by: the present, but never one before what has been dealt with."""
        return now if self.reached is None else max(now, self.reached)


def next_call(run: Run, now: datetime) -> DeviceCall | None:
    """What is due at `now` and has not been done."""
    instant = run.at(now)
    if run.ended:
        return _after(run, instant)
    if run.end is not None and instant >= run.end:
        return _ending(run, run.end, run.reason)
    if instant < run.start:
        return _before(run, instant)
    return _during(run, instant)


def next_boundary(run: Run, now: datetime) -> datetime | None:
    """The next instant after `now` at which a call can become due."""
    instant = run.at(now)
    spans = [Span(run.start, run.end), _ramp_up(run), _recovery(run)]
    spans += [span for signal in run.event.signals for span, _ in signal.spans(run.start)]
    instants = (it for span in spans if span is not None for it in (span.start, span.end) if it is not None)
    return min((it for it in instants if it > instant), default=None)


def made(run: Run, call: DeviceCall) -> Run:
    """The run after the call has been made. What was changed meanwhile does not change what was begun or has ended."""
    changes: dict[str, Any] = {}
    match call.handler:
        case "on_interval_start":
            running = _started(call)
            starts = {**run.starts.get(call.slot, {}), running.interval.number: call.turn}
            changes = {"running": {**run.running, call.slot: running}, "starts": {**run.starts, call.slot: starts}}
        case "on_interval_end":
            changes = {"running": {slot: rest for slot, rest in run.running.items() if slot != call.slot}}
        case _ if call.turn != run.turn:  # the event has begun again since it recovered
            return msgspec.structs.replace(run, pending=None)
        case "on_event_end":
            changes = {"ended": True, "end": call.at, "reason": call.reason, "running": {}}
        case handler:
            changes = {_DONE[handler]: True}
    return msgspec.structs.replace(run, pending=None, reached=run.at(call.at), **changes)


_DONE = {"on_ramp_up": "ramped", "on_event_start": "started", "on_recovery": "recovered"}


def _started(call: DeviceCall) -> _Running:
    """The interval that an on_interval_start starts."""
    assert call.signal is not None
    assert call.interval is not None
    return _Running(signal=call.signal, interval=call.interval, turn=call.turn)


def is_due(run: Run, call: DeviceCall, now: datetime) -> bool:
    """Whether a call that was begun before still is to be made, in this very form. An end always is."""
    instant = run.at(now)
    match call.handler:
        case "on_ramp_up" | "on_recovery":
            span = _ramp_up(run) if call.handler == "on_ramp_up" else _recovery(run)
            return span is not None and instant in span
        case "on_event_start":
            return instant in Span(run.start, run.end)
        case "on_interval_start":
            wanted = _wanted(run, instant).get(call.slot) if instant in Span(run.start, run.end) else None
            return wanted is not None and wanted.is_same(_started(call))
    return True


def _before(run: Run, instant: datetime) -> DeviceCall | None:
    """Before the start: the ramp that leads to it. What has been started already was moved to a later time."""
    if run.started:
        return _ending(run, instant, EndReason.MODIFIED)
    ramp = _ramp_up(run)
    return _phase("on_ramp_up", run, ramp) if ramp is not None and instant in ramp and not run.ramped else None


def _during(run: Run, instant: datetime) -> DeviceCall | None:
    if not run.started:
        return DeviceCall(handler="on_event_start", event=run.event, at=run.start, turn=run.turn)
    ramp, recovery = _ramp_up(run), _recovery(run)
    if ramp is not None and instant in ramp and not run.ramped:
        return _phase("on_ramp_up", run, ramp)
    wanted = _wanted(run, instant)
    for slot, running in run.running.items():
        if slot not in wanted or not running.is_same(wanted[slot]):
            return _interval_end(run, slot, instant)
    for slot, running in wanted.items():
        if slot not in run.running:
            return _interval_start(run, slot, running)
    if recovery is not None and instant in recovery and not run.recovered:
        return _phase("on_recovery", run, recovery)
    return None


def _ending(run: Run, at: datetime, reason: EndReason) -> DeviceCall | None:
    """The end at `at`: of each interval, then of the event."""
    for slot in run.running:
        return _interval_end(run, slot, at)
    if not run.begun:
        return None
    return DeviceCall(handler="on_event_end", event=run.event, at=at, turn=run.turn, reason=reason)


def _after(run: Run, instant: datetime) -> DeviceCall | None:
    recovery = _recovery(run)
    if recovery is None or run.recovered or instant not in recovery:
        return None
    return _phase("on_recovery", run, recovery)


def _phase(handler: str, run: Run, span: Span) -> DeviceCall:
    return DeviceCall(handler=handler, event=run.event, at=span.start, turn=run.turn, span=span)


def _interval_start(run: Run, slot: str, wanted: _Running) -> DeviceCall:
    interval = wanted.interval
    return DeviceCall(
        handler="on_interval_start",
        event=run.event,
        at=interval.start,
        turn=run.starts.get(slot, {}).get(interval.number, 0) + 1,
        slot=slot,
        signal=wanted.signal,
        interval=interval,
    )


def _interval_end(run: Run, slot: str, instant: datetime) -> DeviceCall:
    running = run.running[slot]
    end = running.interval.end
    end = instant if end is None else min(end, instant)
    return DeviceCall(
        handler="on_interval_end",
        event=run.event,
        at=end,
        turn=running.turn,
        slot=slot,
        signal=running.signal,
        interval=msgspec.structs.replace(running.interval, end=end),
    )


def _wanted(run: Run, instant: datetime) -> dict[str, _Running]:
    """The interval of each signal that should be running, by slot: what tells the signals of an event apart."""
    wanted: dict[str, _Running] = {}
    for place, signal in enumerate(run.event.signals):
        for number, (span, interval) in enumerate(signal.spans(run.start)):
            if instant in span:
                end = min((it for it in (span.end, run.end) if it is not None), default=None)
                timed = TimedInterval(number=number, start=span.start, end=end, value=interval.value)
                slot = signal.signal_id if signal.signal_id not in wanted else f"{signal.signal_id} {place}"
                wanted[slot] = _Running(signal=signal, interval=timed)
    return wanted


def _ramp_up(run: Run) -> Span | None:
    """When the transition to the event takes place: before its start if positive, else within it (rule 31)."""
    ramp = run.event.ramp_up
    if ramp is None or ramp == ZERO:
        return None
    if is_positive(ramp):
        return Span(run.start - (run.event.start - run.event.near_from), run.start)
    return Span(run.start, add(run.start, _absolute(ramp)))


def _recovery(run: Run) -> Span | None:
    """When the transition back takes place: after the end if positive, else within the event (rule 31)."""
    recovery = run.event.recovery
    if recovery is None or recovery == ZERO or run.end is None or run.reason is not EndReason.COMPLETED:
        return None
    other = add(run.end, recovery)
    return Span(run.end, other) if is_positive(recovery) else Span(other, run.end)


def _absolute(duration: Duration) -> Duration:
    if isinstance(duration, CalendarDuration):
        return msgspec.structs.replace(duration, negative=False)
    return abs(duration)
