"""The VTN's rules, without any input or output: which events go out and how they change, and what answers mean.

`check_request` serves both sides: whoever delivers a report judges with it what is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import msgspec

from pyopenadr.errors import LocalProtocolError, ModelError, RemoteProtocolError, SchemaMismatch
from pyopenadr.model import Capability, DataPoint, Event, EventStatus, ReportRequest, Signal
from pyopenadr.model.event import is_listed, same_content
from pyopenadr.model.time import Duration, as_utc, is_positive, is_zero, total_seconds
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge import lower_events
from pyopenadr.v2.codec import encode
from pyopenadr.v2.signal import SIMPLE, TABLE, check_periods, check_values, is_legal, is_own_name
from pyopenadr.v2.wire.enumeration import DEVICE_CLASSES

__all__ = [
    "cancelled",
    "check_event",
    "check_request",
    "in_order",
    "is_for",
    "is_listed",
    "judge_answer",
    "may_overrule",
    "next_version",
    "same_content",
]


# --- which events go out ----------------------------------------------------------------------------------------


def in_order(events: Iterable[Event], now: datetime) -> list[Event]:
    """The events in the order of an oadrDistributeEvent at `now` (2.0b rule 15).

    Active ones first, by priority (1 is the highest, 0 the lowest), then by start; pending ones by start alone. A
    cancelled event keeps the place that it would have. Those that are over, listed only for their random window
    (rule 66), come last: nothing says where, and they matter least. Ties keep the order given, so give them always
    in the same one.
    """
    return sorted(events, key=lambda event: _place(event, now))


def _place(event: Event, now: datetime) -> tuple[int, bool, int, datetime]:
    status = msgspec.structs.replace(event, cancelled=False).status_at(now)
    if status is EventStatus.ACTIVE:
        return 0, event.priority == 0, event.priority, event.start
    return (2 if status is EventStatus.COMPLETED else 1), False, 0, event.start


def is_for(event: Event, ven_id: str) -> bool:
    """Whether the event is for that VEN, by the venIDs of its target; without any it is for everyone."""
    return not event.target.ven_ids or ven_id in event.target.ven_ids


# --- how events change --------------------------------------------------------------------------------------------


def next_version(old: Event, new: Event, now: datetime) -> Event:
    """`new` as the next version of `old`: with the next number if it differs, else `old` itself (2.0b rule 5).

    What the number and the times of modification are in `new` does not matter.

    Raises:
        LocalProtocolError: it is another event, `old` is cancelled, or the change concerns the past (rule 20): the
            event is over, or running and its start, its end before `now` or values before `now` would change.
    """
    if new.event_id != old.event_id:
        raise LocalProtocolError(f"event {new.event_id!r} is no version of event {old.event_id!r}", code="452")
    if same_content(old, new):
        return old
    if old.cancelled:
        raise LocalProtocolError(f"event {old.event_id!r} is cancelled: make a new event instead", code="451")
    if new.cancelled:
        return cancelled(old, now)
    _check_past(old, new, now)
    return msgspec.structs.replace(
        new,
        modification_number=old.modification_number + 1,
        modification_date_time=now,
        created_date_time=now,
    )


def _check_past(old: Event, new: Event, now: datetime) -> None:
    """Whether what has happened by the old version stays (2.0b rule 20); a pending event has no past."""
    status = old.status_at(now)
    if status is EventStatus.COMPLETED:
        raise LocalProtocolError(f"event {old.event_id!r} is over and can't be changed", code="451", rule="20")
    if status is not EventStatus.ACTIVE:
        return
    if new.start != old.start:
        raise LocalProtocolError(
            f"event {old.event_id!r} runs since {old.start.isoformat()}, so its start can't be changed",
            code="451",
            rule="20",
        )
    if now not in new.active_span:
        raise LocalProtocolError(
            f"event {old.event_id!r} runs at {now.isoformat()} and can't have ended before: cancel it instead",
            code="451",
            rule="20",
        )
    signals = {signal.signal_id: signal for signal in new.signals}
    for signal in old.signals:
        other = signals.get(signal.signal_id)
        if other is not None and _past(signal, old.start, now) != _past(other, old.start, now):
            raise LocalProtocolError(
                f"event {old.event_id!r}: signal {signal.signal_id!r} can't change before {now.isoformat()}",
                code="451",
                rule="20",
            )


def _past(signal: Signal, start: datetime, now: datetime) -> list[tuple[float, datetime]]:
    """The signal's values before `now`, each with when it ends or `now`; equal neighbours as one."""
    steps: list[tuple[float, datetime]] = []
    for span, interval in signal.spans(start):
        if span.start >= now:
            break
        if steps and steps[-1][0] == interval.value:
            steps.pop()
        steps.append((interval.value, now if span.end is None else min(span.end, now)))
    return steps


def cancelled(event: Event, now: datetime) -> Event:
    """The event's cancelled version, one number higher (2.0b rules 5, 10); of a cancelled event, itself."""
    if event.cancelled:
        return event
    return msgspec.structs.replace(
        event,
        cancelled=True,
        modification_number=event.modification_number + 1,
        modification_date_time=now,
        created_date_time=now,
    )


# --- which events are right ---------------------------------------------------------------------------------------


def check_event(event: Event) -> None:
    """Whether the event may be sent: it obeys the rules and can be written in 2.0b.

    Its target may name several VENs, though a message may name only one (2.0b rule 63): each VEN is sent its own.

    Raises:
        ModelError: it breaks a rule, which the message says.
    """
    if not event.event_id:
        raise ModelError("an event needs an event_id", rule="70")
    as_utc(event.start)
    for name in ("start_after", "notification"):
        duration: Duration = getattr(event, name)
        if not is_zero(duration) and not is_positive(duration):
            raise ModelError(f"{name} can't be negative, but it is {duration}")
    if not event.signals:
        raise ModelError(f"event {event.event_id!r} needs a signal")
    ids = [signal.signal_id for signal in event.signals]
    if len(set(ids)) < len(ids):
        raise ModelError(f"event {event.event_id!r}: give each signal an ID of its own, not {ids}", rule="107")
    for signal in event.signals:
        _check_signal(signal)
    check_periods(event)
    try:
        encode(lower_events((event,), now=event.created_date_time, vtn_id="vtn", request_id="0").value)
    except SchemaMismatch as error:
        raise ModelError(f"event {event.event_id!r} can't be written in 2.0b: {error}") from error


def _check_signal(signal: Signal) -> None:
    what = f"signal {signal.signal_id!r}"
    if signal.signal_name == SIMPLE and signal.signal_type != "level":
        raise ModelError(f"{what}: the type of SIMPLE is level, not {signal.signal_type}", rule="116")
    if not is_legal(signal):
        unit = signal.unit.name if signal.unit is not None else "no unit"
        legal = "; ".join(
            f"{kind} with {' or '.join(sorted(name or 'no unit' for name in units))}"
            for (signal_name, kind), units in TABLE.items()
            if signal_name == signal.signal_name
        )
        hint = f"use {legal}" if legal else "use a name of the standard, or one of your own that starts with x-"
        raise ModelError(
            f"{what}: 2.0b has no {signal.signal_name} {signal.signal_type} with {unit}; {hint}", rule="104"
        )
    check_values(signal)
    for device_class in signal.device_classes:
        if device_class not in DEVICE_CLASSES and not is_own_name(device_class):
            raise ModelError(
                f"{what}: {device_class!r} is no device class of the standard: use {', '.join(DEVICE_CLASSES)}, "
                "or one of your own that starts with x-",
                rule="111",
            )


# --- what VENs say ------------------------------------------------------------------------------------------------


def judge_answer(response: wire.EventResponse, event: Event | None) -> str:
    """The code for a VEN's answer to an event (2.0b rule 48): 452 for an event that we don't know, 450 for another
    version than the one we have, else 200."""
    if event is None:
        return "452"
    return "200" if response.modification_number == event.modification_number else "450"


def may_overrule(old_by_opt: bool, new_by_opt: bool) -> bool:
    """Whether a new answer replaces the old one: what an oadrCreateOpt said stands until another one (2.0b rule
    206)."""
    return new_by_opt or not old_by_opt


# --- which reports can be delivered -------------------------------------------------------------------------------


def check_request(request: ReportRequest, capabilities: Sequence[Capability], live: Collection[str]) -> None:
    """Whether the source can deliver what is asked. METADATA it always can.

    `live` are the IDs of the requests in force; leave out that of an identical one, because repeating a request is
    no error. A capability whose duration is zero did not say how much it keeps; then nothing is too much.

    Raises:
        RemoteProtocolError: it can't; the code is 452 for an unknown or used ID (2.0b rules 304, 322), 454 for
            more or faster than offered (rules 317, 340), 459 where something is missing.
    """
    if request.is_metadata:
        return
    what = f"report request {request.report_request_id!r}"
    if request.report_request_id in live:
        raise RemoteProtocolError(f"{what} is in force already: use another ID", code="452", rule="322")
    offers = (item for item in capabilities if item.report_specifier_id == request.report_specifier_id)
    capability = next(offers, None)
    if capability is None:
        raise RemoteProtocolError(f"{what}: there is no report {request.report_specifier_id!r}", code="452", rule="304")
    if not request.r_ids:
        raise RemoteProtocolError(f"{what} names no rID", code="459", rule="300")
    points = [_offered(capability, r_id, what) for r_id in request.r_ids]
    if capability.report_name.startswith("HISTORY_"):
        _check_history(request, capability, what)
    elif not request.is_one_shot:
        _check_periodic(request, capability, points, what)


def _offered(capability: Capability, r_id: str, what: str) -> DataPoint:
    point = capability.point(r_id)
    if point is None:
        raise RemoteProtocolError(
            f"{what}: report {capability.report_specifier_id!r} has no rID {r_id!r}", code="452", rule="304"
        )
    return point


def _exceeds(asked: Duration, offered: Duration, capability: Capability) -> bool:
    """Whether `asked` is longer, with months counted from the day of the METADATA."""
    origin = capability.created_date_time
    return total_seconds(asked, origin) > total_seconds(offered, origin)


def _check_history(request: ReportRequest, capability: Capability, what: str) -> None:
    """Of a history there is one report, of a time that is named; the granularity can't be chosen, so we ignore it."""
    if not request.is_one_shot:
        raise RemoteProtocolError(f"{what}: a history is sent once", code="454", rule="324")
    if request.start is None:
        raise RemoteProtocolError(f"{what}: a history needs a reportInterval", code="459", rule="324")
    if not is_zero(capability.duration) and _exceeds(request.duration, capability.duration, capability):
        raise RemoteProtocolError(
            f"{what} asks for {request.duration}, but only {capability.duration} is kept", code="454", rule="340"
        )


def _check_periodic(request: ReportRequest, capability: Capability, points: Sequence[DataPoint], what: str) -> None:
    """A report may hold as much as the source keeps, sampled no faster than it offers. The slowest rate that it
    names is no limit: rule 317 knows none. Nor is a missing start an error: then it starts now."""
    back = request.report_back_duration
    if not is_positive(back):
        raise RemoteProtocolError(f"{what}: reportBackDuration is negative", code="454", rule="324")
    if not is_zero(capability.duration) and _exceeds(back, capability.duration, capability):
        raise RemoteProtocolError(
            f"{what}: a report of {back} is asked for, but only {capability.duration} is kept", code="454", rule="340"
        )
    if is_zero(request.granularity):
        unable = [point.r_id for point in points if not point.on_change]
        if unable:
            raise RemoteProtocolError(
                f"{what}: {', '.join(unable)} can't be recorded on change: give a granularity", code="454", rule="317"
            )
        return
    if not is_positive(request.granularity) or _exceeds(request.granularity, back, capability):
        raise RemoteProtocolError(
            f"{what}: the granularity can't be longer than reportBackDuration, nor negative", code="454", rule="317"
        )
    for point in points:
        if point.min_period is not None and _exceeds(point.min_period, request.granularity, capability):
            raise RemoteProtocolError(
                f"{what}: {point.r_id} can't be sampled faster than each {point.min_period}", code="454", rule="317"
            )
