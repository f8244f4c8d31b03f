"""How one event is executed: which call to the device code is due next. Pure: time and progress are given.

`Run` says how far an event has got. `next_call` compares that with what should be at an instant, so late calls, changed
events and early ends need no rules of their own: the next call is always one step from what is to what should be.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from pyopenadr.model import CalendarDuration, Duration, Event, Signal, Span
from pyopenadr.model.time import ZERO, add, is_positive

__all__ = ["Call", "EndReason", "Run", "TimedInterval", "next_boundary", "next_call"]


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


class _Running(msgspec.Struct, frozen=True, kw_only=True):
    """An interval that has been started, and of what."""

    signal: Signal
    interval: TimedInterval

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
    intervals by signal.
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

    @property
    def begun(self) -> bool:
        """Whether the device code has heard of it, and not yet of its end."""
        return (self.ramped or self.started) and not self.ended

    def at(self, now: datetime) -> datetime:
        """The instant to go by: the present, but never one before what has been dealt with."""
        return now if self.reached is None else max(now, self.reached)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call to the device code. `made` gives the run after it; `is_end` whether it ends something."""

    handler: str
    args: tuple[Any, ...]
    made: Callable[[Run], Run]
    is_end: bool = False


def next_call(run: Run, now: datetime) -> Call | None:
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


def _before(run: Run, instant: datetime) -> Call | None:
    """Before the start: the ramp that leads to it. What has been started already was moved to a later time."""
    if run.started:
        return _ending(run, instant, EndReason.MODIFIED)
    ramp = _ramp_up(run)
    return (
        _phase("on_ramp_up", "ramped", run, ramp) if ramp is not None and instant in ramp and not run.ramped else None
    )


def _during(run: Run, instant: datetime) -> Call | None:
    if not run.started:
        return Call(
            handler="on_event_start", args=(run.event,), made=lambda it: _moved(it, run.start, {"started": True})
        )
    ramp, recovery = _ramp_up(run), _recovery(run)
    if ramp is not None and instant in ramp and not run.ramped:
        return _phase("on_ramp_up", "ramped", run, ramp)
    wanted = _wanted(run, instant)
    for key, running in run.running.items():
        if key not in wanted or not running.is_same(wanted[key]):
            return _interval_end(run, key, instant)
    for key, running in wanted.items():
        if key not in run.running:
            return _interval_start(run, key, running)
    if recovery is not None and instant in recovery and not run.recovered:
        return _phase("on_recovery", "recovered", run, recovery)
    return None


def _ending(run: Run, at: datetime, reason: EndReason) -> Call | None:
    """The end at `at`: of each interval, then of the event."""
    for key in run.running:
        return _interval_end(run, key, at)
    if not run.begun:
        return None

    def made(it: Run) -> Run:
        # What was changed while the call was made must not change what has ended.
        return _moved(it, at, {"ended": True, "end": at, "reason": reason, "running": {}})

    return Call(handler="on_event_end", args=(run.event, reason), made=made, is_end=True)


def _after(run: Run, instant: datetime) -> Call | None:
    recovery = _recovery(run)
    if recovery is None or run.recovered or instant not in recovery:
        return None
    return _phase("on_recovery", "recovered", run, recovery)


def _phase(handler: str, done: str, run: Run, span: Span) -> Call:
    return Call(handler=handler, args=(run.event, span), made=lambda it: _moved(it, span.start, {done: True}))


def _interval_start(run: Run, key: str, running: _Running) -> Call:
    return Call(
        handler="on_interval_start",
        args=(run.event, running.signal, running.interval),
        made=lambda it: _moved(it, running.interval.start, {"running": {**it.running, key: running}}),
    )


def _interval_end(run: Run, key: str, instant: datetime) -> Call:
    running = run.running[key]
    end = running.interval.end
    end = instant if end is None else min(end, instant)

    def made(it: Run) -> Run:
        return _moved(it, end, {"running": {name: rest for name, rest in it.running.items() if name != key}})

    interval = msgspec.structs.replace(running.interval, end=end)
    return Call(handler="on_interval_end", args=(run.event, running.signal, interval), made=made, is_end=True)


def _moved(run: Run, instant: datetime, changes: dict[str, Any]) -> Run:
    return msgspec.structs.replace(run, reached=run.at(instant), **changes)


def _wanted(run: Run, instant: datetime) -> dict[str, _Running]:
    """The interval of each signal that should be running, by a key that tells the signals apart."""
    wanted: dict[str, _Running] = {}
    for place, signal in enumerate(run.event.signals):
        for number, (span, interval) in enumerate(signal.spans(run.start)):
            if instant in span:
                end = min((it for it in (span.end, run.end) if it is not None), default=None)
                timed = TimedInterval(number=number, start=span.start, end=end, value=interval.value)
                key = signal.signal_id if signal.signal_id not in wanted else f"{signal.signal_id} {place}"
                wanted[key] = _Running(signal=signal, interval=timed)
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
