"""Events: `oadr:oadrEvent` and the message that carries them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import isfinite

import msgspec

from pyopenadr.errors import RemoteProtocolError
from pyopenadr.model import Baseline, Event, EventStatus, Interval, ResponseRequired, Signal
from pyopenadr.model.time import ZERO, add, is_zero
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge.lowered import Lowered
from pyopenadr.v2.bridge.target import has_only, lift_target, lower_target, with_distinct_ids
from pyopenadr.v2.bridge.unit import lift_unit, lower_unit
from pyopenadr.v2.profile import ProfileName
from pyopenadr.v2.signal import SIMPLE

__all__ = ["lift_event", "lower_event", "lower_events"]


def lift_event(event: wire.OadrEvent) -> Event:
    """The event that the element means.

    Its status is dropped except `cancelled`, because it follows from the times (2.0b rule 114); so are the current
    values. An empty text counts as an absent one (rule 46). SIMPLE may be written in any case, and its type says
    nothing (rules 7, 69; we read it so in 2.0b too, though rule 116 wants `level` there).

    Raises:
        RemoteProtocolError: the event has no meaning; its code is the one to answer.
    """
    descriptor, period = event.event_descriptor, event.active_period
    return Event(
        event_id=descriptor.event_id,
        start=period.dtstart,
        duration=period.duration,
        signals=tuple(_lift_signal(signal, period.dtstart) for signal in event.event_signals),
        created_date_time=descriptor.created_date_time,
        market_context=descriptor.market_context,
        modification_number=descriptor.modification_number,
        modification_date_time=descriptor.modification_date_time,
        modification_reason=descriptor.modification_reason or None,
        priority=descriptor.priority or 0,
        cancelled=descriptor.event_status == EventStatus.CANCELLED,
        test_event=descriptor.test_event or None,
        vtn_comment=descriptor.vtn_comment or None,
        start_after=period.start_after if period.start_after is not None else ZERO,
        notification=period.notification if period.notification is not None else ZERO,
        ramp_up=period.ramp_up,
        recovery=period.recovery,
        baseline=_lift_baseline(event.event_baseline) if event.event_baseline is not None else None,
        target=lift_target(event.target),
        response_required=ResponseRequired(event.response_required),
    )


def _lift_signal(signal: wire.EiEventSignal, start: datetime) -> Signal:
    what = f"signal {signal.signal_id!r}"
    if not has_only(signal.target, "end_device_asset"):
        # Passing over them would make the signal act on more than it was meant for.
        raise RemoteProtocolError(f"{what}: its target may name only device classes", code="459", rule="111")
    is_simple = signal.signal_name.upper() == SIMPLE
    return Signal(
        signal_name=SIMPLE if is_simple else signal.signal_name,
        signal_type="level" if is_simple else signal.signal_type,
        signal_id=signal.signal_id,
        intervals=_lift_intervals(what, signal.intervals, start),
        unit=lift_unit(signal.item_base),
        device_classes=signal.target.end_device_asset if signal.target is not None else (),
    )


def _lift_baseline(baseline: wire.EiEventBaseline) -> Baseline:
    return Baseline(
        baseline_id=baseline.baseline_id,
        baseline_name=baseline.baseline_name,
        start=baseline.dtstart,
        duration=baseline.duration,
        intervals=_lift_intervals(f"baseline {baseline.baseline_id!r}", baseline.intervals, baseline.dtstart),
        resource_ids=baseline.resource_id,
        unit=lift_unit(baseline.item_base),
    )


def _lift_intervals(what: str, intervals: Sequence[wire.Interval], start: datetime) -> tuple[Interval, ...]:
    lifted = []
    for number, interval in enumerate(intervals):
        where = f"{what}, interval {number}"
        if interval.uid is not None and interval.uid.strip() != str(number):
            raise RemoteProtocolError(f"{where}: its uid is {interval.uid!r}", code="450", rule="101")
        if interval.duration is None:
            raise RemoteProtocolError(f"{where} has no duration", code="459", rule="102")
        # openleadr writes a dtstart here, against rule 103; one that says nothing new does no harm.
        if interval.dtstart is not None and interval.dtstart != start:
            raise RemoteProtocolError(
                f"{where} starts at {interval.dtstart.isoformat()}, but those before it end at {start.isoformat()}",
                code="459",
                rule="103",
            )
        start = add(start, interval.duration)
        lifted.append(Interval(interval.duration, _lift_value(where, interval)))
    return tuple(lifted)


def _lift_value(where: str, interval: wire.Interval) -> float:
    payload = interval.payloads[0] if len(interval.payloads) == 1 else None
    if not isinstance(payload, wire.SignalPayload) or not isinstance(payload.value, float | int):
        raise RemoteProtocolError(f"{where} needs exactly one signalPayload, a number", code="459", rule="100")
    if not isfinite(payload.value):
        raise RemoteProtocolError(f"{where}: {payload.value} is no value", code="454")
    return payload.value


def lower_event(
    event: Event, *, now: datetime, ven_id: str | None = None, profile: ProfileName = "2.0b"
) -> Lowered[wire.OadrEvent | None]:
    """The element of an event as it stands at `now`, for the VEN `ven_id`.

    Status, current values and createdDateTime are those of `now` (2.0b rules 14, 29, 115). The target names no
    other VEN than this one (rule 63). 2.0a gets the SIMPLE signal alone; None if there is none.

    Raises:
        ModelError: the event holds what no profile can express.
    """
    signals = list(event.signals)
    lost: list[str] = []
    if profile == "2.0a":
        signals, lost = _simple_only(event)
        if not signals:
            return Lowered(None, tuple(lost))
        lost += [
            f"event {event.event_id!r}: 2.0a has no {name}"
            for name in ("modification_date_time", "modification_reason", "baseline")
            if getattr(event, name) is not None
        ]
    target, lost_targets = _lower_event_target(event, ven_id, profile)
    lost += lost_targets
    is_b = profile == "2.0b"
    baseline = _lower_baseline(event.baseline) if event.baseline is not None and is_b else None
    lowered = wire.OadrEvent(
        event_descriptor=wire.EventDescriptor(
            event_id=event.event_id,
            modification_number=event.modification_number,
            modification_date_time=event.modification_date_time if is_b else None,
            modification_reason=event.modification_reason if is_b else None,
            priority=event.priority,
            market_context=event.market_context,
            created_date_time=now,
            event_status=str(event.status_at(now)),
            test_event=event.test_event,
            vtn_comment=event.vtn_comment,
        ),
        active_period=wire.ActivePeriod(
            dtstart=event.start,
            duration=event.duration,
            start_after=None if is_zero(event.start_after) else event.start_after,
            notification=event.notification,
            ramp_up=event.ramp_up,
            recovery=event.recovery,
        ),
        event_signals=tuple(_lower_signal(signal, event.current_value(signal, now), profile) for signal in signals),
        event_baseline=baseline,
        target=target,
        response_required=str(event.response_required),
    )
    return Lowered(lowered, tuple(lost))


def _simple_only(event: Event) -> tuple[list[Signal], list[str]]:
    """The one signal that 2.0a has room for (2.0b rule 7), and what goes."""
    simple = [signal for signal in event.signals if signal.signal_name == SIMPLE]
    chosen = next((signal for signal in simple if not signal.device_classes), simple[0] if simple else None)
    lost = [
        f"signal {signal.signal_id!r}: 2.0a has only one SIMPLE signal, and no {signal.signal_name}"
        if signal.signal_name != SIMPLE
        else f"signal {signal.signal_id!r}: 2.0a has only one SIMPLE signal"
        for signal in event.signals
        if signal is not chosen
    ]
    if chosen is None:
        return [], [*lost, f"event {event.event_id!r}: 2.0a can't express an event without a SIMPLE signal"]
    if chosen.device_classes:
        lost.append(f"signal {chosen.signal_id!r}: 2.0a has no device classes; it acts on all devices")
    if chosen.unit is not None:
        lost.append(f"signal {chosen.signal_id!r}: 2.0a has no units")
    return [chosen], lost


def _lower_event_target(event: Event, ven_id: str | None, profile: ProfileName) -> Lowered[wire.EiTarget]:
    target, lost = event.target, []
    if ven_id is not None:
        target = msgspec.structs.replace(target, ven_ids=(ven_id,) if ven_id in target.ven_ids else ())
    elif len(target.ven_ids) > 1:
        lost.append(f"target: a message names at most one venID, not {', '.join(target.ven_ids)}")
        target = msgspec.structs.replace(target, ven_ids=())
    lowered, lost_kinds = lower_target(target, profile)
    if lost_kinds and ven_id is not None and lowered == wire.EiTarget():
        # What 2.0a can't say was resolved when the event was sent to this VEN and no other.
        lowered = wire.EiTarget(ven_id=(ven_id,))
    return Lowered(with_distinct_ids(lowered, set()), (*lost, *lost_kinds))


def _lower_signal(signal: Signal, current_value: float, profile: ProfileName) -> wire.EiEventSignal:
    is_b = profile == "2.0b"
    return wire.EiEventSignal(
        intervals=_lower_intervals(signal.intervals),
        target=wire.EiTarget(end_device_asset=signal.device_classes) if signal.device_classes and is_b else None,
        # The certified VTN writes it in lower case to 2.0a VENs; both are right (2.0b rule 7).
        signal_name=signal.signal_name if is_b else signal.signal_name.lower(),
        signal_type=signal.signal_type,
        signal_id=signal.signal_id,
        item_base=lower_unit(signal.unit) if is_b else None,
        current_value=current_value,
    )


def _lower_baseline(baseline: Baseline) -> wire.EiEventBaseline:
    return wire.EiEventBaseline(
        dtstart=baseline.start,
        duration=baseline.duration,
        intervals=_lower_intervals(baseline.intervals),
        baseline_id=baseline.baseline_id,
        resource_id=baseline.resource_ids,
        baseline_name=baseline.baseline_name,
        item_base=lower_unit(baseline.unit),
    )


def _lower_intervals(intervals: Sequence[Interval]) -> tuple[wire.Interval, ...]:
    return tuple(
        wire.Interval(duration=interval.duration, uid=str(number), payloads=(wire.SignalPayload(value=interval.value),))
        for number, interval in enumerate(intervals)
    )


def lower_events(
    events: Sequence[Event],
    *,
    now: datetime,
    vtn_id: str,
    request_id: str,
    ven_id: str | None = None,
    response: wire.EiResponse | None = None,
    profile: ProfileName = "2.0b",
) -> Lowered[wire.OadrDistributeEvent]:
    """The message with these events in the order given (see `pyopenadr.v2.vtn.in_order`).

    `request_id` is the message's own and may not be empty (2.0b rule 41); `response` has to be there in an answer
    (rule 40) and is left out in a push. Events that the profile can't express are left out.
    """
    lowered: list[wire.OadrEvent] = []
    lost: list[str] = []
    seen: set[str] = set()
    for event in events:
        element, lost_here = lower_event(event, now=now, ven_id=ven_id, profile=profile)
        lost += lost_here
        if element is not None:
            target = with_distinct_ids(element.target, seen)
            lowered.append(msgspec.structs.replace(element, target=target))
    message = wire.OadrDistributeEvent(
        schema_version="2.0b" if profile == "2.0b" else None,
        response=response,
        request_id=request_id,
        vtn_id=vtn_id,
        events=tuple(lowered),
    )
    return Lowered(message, tuple(lost))
