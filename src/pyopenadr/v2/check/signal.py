"""Rules on the signals and the baseline of an event: intervals, values, and which signals there are at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import inf, isfinite
from types import MappingProxyType

import msgspec

from pyopenadr.errors import ModelError
from pyopenadr.model.time import ZERO, Duration, add, is_positive, is_zero
from pyopenadr.v2.check.finding import Place, Problem, Scene, rule
from pyopenadr.v2.check.message import device_class_problems
from pyopenadr.v2.signal import TABLE
from pyopenadr.v2.text import format_duration
from pyopenadr.v2.wire import EiEventBaseline, EiEventSignal, Interval, ItemBase, OadrEvent, SignalPayload

__all__ = ["RULES", "is_simple", "length_problem"]


class _Range(msgspec.Struct, frozen=True):
    """The values that a signal may have, where they are limited."""

    low: float = -inf
    high: float = inf
    whole: bool = False

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high and (not self.whole or value == int(value))

    def __str__(self) -> str:
        kind = "whole numbers" if self.whole else "numbers"
        return f"{kind} from {self.low:g} to {self.high:g}" if isfinite(self.low) else kind


_RANGES: Mapping[tuple[str, str], _Range] = MappingProxyType(
    {
        ("CHARGE_STATE", "multiplier"): _Range(0, 1),
        ("LOAD_DISPATCH", "level"): _Range(-10, 10, True),
        ("LOAD_CONTROL", "x-loadControlCapacity"): _Range(0, 1),
        ("LOAD_CONTROL", "x-loadControlLevelOffset"): _Range(whole=True),
    }
)


def is_simple(signal: EiEventSignal) -> bool:
    """Whether it is the SIMPLE signal, which 2.0a also writes in lower case."""
    return signal.signal_name in ("SIMPLE", "simple")


def _said(durations: Sequence[Duration]) -> str:
    total = ZERO
    for duration in durations:
        if not isinstance(duration, timedelta):
            return " + ".join(format_duration(duration) for duration in durations)
        try:
            total += duration
        except OverflowError:
            return "too long"
    return format_duration(total)


def _end(start: datetime, durations: Sequence[Duration]) -> datetime | None:
    """When these durations, one behind the other, end; None if outside the years 1 to 9999."""
    try:
        for duration in durations:
            start = add(start, duration)
    except ModelError:
        return None
    return start


def length_problem(
    start: datetime, intervals: Sequence[Interval], duration: Duration, name: str, whole: str
) -> Problem | None:
    """That intervals do not fill the period they belong to; None if they do, or if one has no duration at all."""
    durations = [interval.duration for interval in intervals if interval.duration is not None]
    if len(durations) < len(intervals):
        return None
    for position, length in enumerate(durations):
        if not (is_zero(length) or is_positive(length)):
            return Problem(
                f"interval {position + 1} of {name} has the negative duration {format_duration(length)}",
                "give each interval a positive duration",
                ("intervals", position, "duration"),
            )
    if _end(start, durations) == _end(start, [duration]):
        return None
    fix = f"make the durations sum to {format_duration(duration)}, or change the duration of {whole}"
    if is_zero(duration):
        fix = f"{whole} is open-ended (duration 0): give it a single interval of duration PT0S"
    return Problem(
        f"the intervals of {name} last {_said(durations)}, but {whole} lasts {format_duration(duration)}",
        fix,
        ("intervals",),
    )


def _lists(event: OadrEvent, *, baseline: bool = True) -> Iterator[tuple[Place, str, tuple[Interval, ...]]]:
    """The lists of intervals of an event, each with the place of its owner and a name for it."""
    for position, signal in enumerate(event.event_signals):
        yield ("event_signals", position), f"signal {signal.signal_id!r}", signal.intervals
    if baseline and event.event_baseline is not None:
        yield ("event_baseline",), f"baseline {event.event_baseline.baseline_id!r}", event.event_baseline.intervals


def _uid_problems(place: Place, name: str, intervals: Sequence[Interval]) -> Iterator[Problem]:
    for position, interval in enumerate(intervals):
        if interval.uid is None or interval.uid.strip() != str(position):
            found = "has no uid" if interval.uid is None else f"has uid {interval.uid!r}"
            yield Problem(
                f"interval {position + 1} of {name} {found}",
                f"number the intervals 0, 1, 2, …: here uid {position}",
                (*place, "intervals", position, "uid"),
            )


@rule("2", OadrEvent)
def _signal_uids(event: OadrEvent, scene: Scene) -> Iterator[Problem]:
    """The intervals of a signal are numbered 0, 1, 2, … by uid."""
    for place, name, intervals in _lists(event, baseline=False):
        yield from _uid_problems(place, name, intervals)


@rule("101", EiEventBaseline)
def _baseline_uids(baseline: EiEventBaseline, scene: Scene) -> Iterator[Problem]:
    """The intervals of a baseline are numbered 0, 1, 2, … by uid."""
    yield from _uid_problems((), f"baseline {baseline.baseline_id!r}", baseline.intervals)


@rule("8", OadrEvent)
def _signals_fill_the_event(event: OadrEvent, scene: Scene) -> Iterator[Problem]:
    """The intervals of each signal sum to the active period."""
    period = event.active_period
    if not (is_zero(period.duration) or is_positive(period.duration)):
        yield Problem(
            f"the event lasts {format_duration(period.duration)}, which is negative",
            "give it a positive duration, or PT0S for an open end",
            ("active_period", "duration"),
        )
        return
    for place, name, intervals in _lists(event, baseline=False):
        problem = length_problem(period.dtstart, intervals, period.duration, name, "the event")
        if problem is not None:
            yield msgspec.structs.replace(problem, at=(*place, *problem.at))


@rule("102", OadrEvent, profile="2.0b")
def _every_interval_lasts(event: OadrEvent, scene: Scene) -> Iterator[Problem]:
    """Every interval of signals and baseline has a duration; those of the baseline sum to its own."""
    for place, name, intervals in _lists(event):
        for position, interval in enumerate(intervals):
            if interval.duration is None:
                yield Problem(
                    f"interval {position + 1} of {name} has no duration",
                    "add xcal:duration",
                    (*place, "intervals", position, "duration"),
                )
    baseline = event.event_baseline
    if baseline is not None:
        name = f"baseline {baseline.baseline_id!r}"
        problem = length_problem(baseline.dtstart, baseline.intervals, baseline.duration, name, "the baseline")
        if problem is not None:
            yield msgspec.structs.replace(problem, at=("event_baseline", *problem.at))


@rule("7", OadrEvent, profile="2.0a")
def _one_simple_signal(event: OadrEvent, scene: Scene) -> Iterator[Problem]:
    """A 2.0a event has exactly one signal, and it is SIMPLE."""
    if len(event.event_signals) > 1:
        yield Problem(
            f"a 2.0a event has one signal, not {len(event.event_signals)}",
            "send only the SIMPLE signal to 2.0a VENs",
            ("event_signals", 1),
        )
    for position, signal in enumerate(event.event_signals):
        if not is_simple(signal):
            yield Problem(
                f"2.0a has no signal {signal.signal_name!r}",
                "name the signal SIMPLE, with the levels 0 to 3",
                ("event_signals", position, "signal_name"),
            )


def _values(intervals: Sequence[Interval]) -> Iterator[tuple[Place, int, float]]:
    """The numbers in intervals, each with its place and the position of its interval."""
    for position, interval in enumerate(intervals):
        for index, payload in enumerate(interval.payloads):
            if isinstance(payload, SignalPayload) and isinstance(payload.value, float | int):
                yield ("intervals", position, "payloads", index, "value"), position, payload.value


@rule("9", EiEventSignal)
def _simple_levels(signal: EiEventSignal, scene: Scene) -> Iterator[Problem]:
    """The levels of SIMPLE are 0, 1, 2 and 3."""
    if is_simple(signal):
        for place, position, value in _values(signal.intervals):
            if value not in (0, 1, 2, 3):
                yield Problem(
                    f"interval {position + 1} of SIMPLE has level {value:g}",
                    "use 0 (normal), 1 (moderate), 2 (high) or 3 (special)",
                    place,
                )


@rule("14", OadrEvent)
def _no_level_while_inactive(event: OadrEvent, scene: Scene) -> Iterator[Problem]:
    """The current value of SIMPLE is 0 while the event is not active."""
    status = event.event_descriptor.event_status
    for position, signal in enumerate(event.event_signals):
        if is_simple(signal) and status != "active" and signal.current_value not in (None, 0):
            yield Problem(
                f"the event is {status}, but the currentValue of SIMPLE is {signal.current_value:g}",
                "send currentValue 0 unless the event is active",
                ("event_signals", position, "current_value"),
            )


def _running(event: OadrEvent, signal: EiEventSignal, now: datetime) -> set[float]:
    """The values that the signal has at an instant."""
    start = event.active_period.dtstart
    for position, interval in enumerate(signal.intervals):
        end = _end(start, [interval.duration or ZERO])
        if end is None or start <= now < end or is_zero(interval.duration or ZERO):
            return {value for _, at, value in _values(signal.intervals) if at == position}
        start = end
    return set()


@rule("29", OadrEvent)
def _current_value_is_real(event: OadrEvent, scene: Scene) -> Iterator[Problem]:
    """The current value of an active event is that of the running interval."""
    if event.event_descriptor.event_status != "active":
        return
    for position, signal in enumerate(event.event_signals):
        if signal.current_value is None:
            continue
        if scene.now is None:
            allowed = {value for _, _, value in _values(signal.intervals)}
        else:
            allowed = _running(event, signal, scene.now)
        if allowed and signal.current_value not in allowed:
            listed = ", ".join(f"{value:g}" for value in sorted(allowed))
            yield Problem(
                f"the currentValue of signal {signal.signal_id!r} is {signal.current_value:g},"
                f" but its interval says {listed}",
                "send the value of the running interval",
                ("event_signals", position, "current_value"),
            )


@rule("100", OadrEvent, profile="2.0b")
def _one_number_for_each_interval(event: OadrEvent, scene: Scene) -> Iterator[Problem]:
    """Every interval of signals and baseline has exactly one signalPayload, a number."""
    for place, name, intervals in _lists(event):
        for position, interval in enumerate(intervals):
            payloads = interval.payloads
            is_number = (
                len(payloads) == 1 and isinstance(payloads[0], SignalPayload) and isinstance(payloads[0].value, float)
            )
            if not is_number:
                yield Problem(
                    f"interval {position + 1} of {name} holds "
                    + (f"{len(payloads)} payloads" if len(payloads) != 1 else "no number"),
                    "give it one signalPayload with a payloadFloat",
                    (*place, "intervals", position, "payloads", min(1, len(payloads) - 1)),
                )


@rule("103", OadrEvent, profile="2.0b")
def _no_start_of_intervals(event: OadrEvent, scene: Scene) -> Iterator[Problem]:
    """The intervals of signals and baseline have no dtstart: each begins where the one before ends."""
    for place, name, intervals in _lists(event):
        for position, interval in enumerate(intervals):
            if interval.dtstart is not None:
                yield Problem(
                    f"interval {position + 1} of {name} has a dtstart",
                    "leave it out: intervals follow each other from the start of the event",
                    (*place, "intervals", position, "dtstart"),
                )


@rule("104", EiEventSignal, profile="2.0b")
def _known_signal(signal: EiEventSignal, scene: Scene) -> Iterator[Problem]:
    """A signal of the standard has the type, the unit and the values that the standard gives it."""
    name, kind = signal.signal_name, signal.signal_type
    if name == "simple":
        yield Problem("2.0b writes SIMPLE in capitals", "write SIMPLE", ("signal_name",), "warning")
    types = [known for known_name, known in TABLE if known_name == name]
    if not types or is_simple(signal):
        return
    if kind not in types:
        fix = f"use {', '.join(types)}, or a signalName of your own that starts with x-"
        yield Problem(f"{name} has no signalType {kind}", fix, ("signal_type",))
        return
    units = sorted(unit for unit in TABLE[name, kind] if unit is not None)
    unit = signal.item_base.element if signal.item_base is not None else None
    if unit not in TABLE[name, kind]:
        found = "has no unit" if unit is None else f"is not given in {unit}"
        fix = f"use {' or '.join(units)}" if units else "leave the unit out"
        yield Problem(f"{name} {kind} {found}", fix, ("item_base",))
    allowed = _RANGES.get((name, kind))
    for place, position, value in _values(signal.intervals):
        if allowed is not None and isfinite(value) and value not in allowed:
            message = f"interval {position + 1} of {name} {kind} has the value {value:g}"
            yield Problem(message, f"its values are {allowed}", place)


@rule("104", EiEventSignal, profile="2.0b")
def _simple_has_no_unit(signal: EiEventSignal, scene: Scene) -> Iterator[Problem]:
    """SIMPLE has no unit."""
    if is_simple(signal) and signal.item_base is not None:
        yield Problem(f"SIMPLE is not given in {signal.item_base.element}", "leave the unit out", ("item_base",))


@rule("104", ItemBase, severity="warning", profile="2.0b")
def _description_of_the_currency(unit: ItemBase, scene: Scene) -> Iterator[Problem]:
    """The description of a price's unit says the same as its element."""
    expected = "currency" if unit.element == "currencyPerThm" else unit.element
    if unit.element.startswith("currency") and unit.item_description != expected:
        yield Problem(
            f"the unit is {unit.element}, but its itemDescription says {unit.item_description!r}",
            f"write {expected}",
            ("item_description",),
        )


@rule("32", SignalPayload, severity="warning")
def _finite_value(payload: SignalPayload, scene: Scene) -> Iterator[Problem]:
    """A VEN can act on every value."""
    if isinstance(payload.value, float) and not isfinite(payload.value):
        yield Problem(f"{payload.value} is no value that a VEN can act on", "send a finite number", ("value",))


@rule("107", OadrEvent, profile="2.0b")
def _unique_signal_ids(event: OadrEvent, scene: Scene) -> Iterator[Problem]:
    """The signals of one event have different signalIDs."""
    seen = set()
    for position, signal in enumerate(event.event_signals):
        if signal.signal_id in seen:
            yield Problem(
                f"two signals of the event have the signalID {signal.signal_id!r}",
                "give each signal its own",
                ("event_signals", position, "signal_id"),
            )
        seen.add(signal.signal_id)


@rule("111", EiEventSignal, profile="2.0b")
def _signal_target(signal: EiEventSignal, scene: Scene) -> Iterator[Problem]:
    """The target of a signal holds only device classes."""
    for problem in device_class_problems(signal.target, "the eiTarget of a signal"):
        yield msgspec.structs.replace(problem, at=("target", *problem.at))


@rule("116", EiEventSignal, profile="2.0b")
def _simple_is_a_level(signal: EiEventSignal, scene: Scene) -> Iterator[Problem]:
    """The signalType of SIMPLE is level."""
    if is_simple(signal) and signal.signal_type != "level":
        yield Problem(f"SIMPLE has the signalType {signal.signal_type}", "write level", ("signal_type",))


RULES = (
    _signal_uids,
    _one_simple_signal,
    _signals_fill_the_event,
    _simple_levels,
    _no_level_while_inactive,
    _current_value_is_real,
    _finite_value,
    _one_number_for_each_interval,
    _baseline_uids,
    _every_interval_lasts,
    _no_start_of_intervals,
    _known_signal,
    _simple_has_no_unit,
    _description_of_the_currency,
    _unique_signal_ids,
    _signal_target,
    _simple_is_a_level,
)
