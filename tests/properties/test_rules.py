"""What holds for all values: nothing is lost on the way to the wire and back, and the rules agree with plainer forms
of themselves."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeVar

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pyopenadr.errors import LocalProtocolError
from pyopenadr.model import Capability, Event, Opt, OptType, Reading, ReportRequest, Span, Unit
from pyopenadr.model.event import same_content
from pyopenadr.model.time import total_seconds
from pyopenadr.model.timeline import in_force, timeline
from pyopenadr.v2 import decode, encode, wire
from pyopenadr.v2.bridge import (
    lift_capability,
    lift_event,
    lift_opt,
    lift_readings,
    lift_request,
    lift_unit,
    lower_capability,
    lower_event,
    lower_events,
    lower_opt,
    lower_readings,
    lower_request,
    lower_unit,
)
from pyopenadr.v2.ven import KnownEvent, VenScope, consider, executed_span, random_offset
from pyopenadr.v2.vtn import cancelled, check_event, in_order, is_listed, next_version
from tests.properties import rule
from tests.properties.oracle import why_not
from tests.properties.rule import ORIGIN

M = TypeVar("M", bound=wire.Message)
MINUTE = timedelta(minutes=1)
minutes = st.integers(-90, 150).map(lambda count: ORIGIN + count * MINUTE)
quick = settings(max_examples=60, deadline=None)
thorough = settings(max_examples=150, deadline=None)


def on_the_wire(message: M) -> M:
    """The message after a journey as a document that the official schema allows."""
    data = encode(message)
    assert why_not(data) is None
    received = decode(data).message
    assert isinstance(received, type(message))
    return received


# --- lift(lower(x)) == x ------------------------------------------------------------------------------------------


@thorough
@given(rule.units)
def test_units_come_back(unit: Unit) -> None:
    assert lift_unit(lower_unit(unit)) == unit


@thorough
@given(rule.events)
def test_events_come_back(event: Event) -> None:
    lowered = lower_events([event], now=event.created_date_time, vtn_id="vtn", request_id="d1", ven_id="ven1")
    assert lowered.lost == ()
    (received,) = on_the_wire(lowered.value).events
    assert lift_event(received) == event


@thorough
@given(rule.events)
def test_what_2_0a_loses_is_said(event: Event) -> None:
    lowered = lower_event(event, now=event.created_date_time, ven_id="ven1", profile="2.0a")
    if lowered.value is None:
        assert lowered.lost
    elif lift_event(lowered.value) != event:
        assert lowered.lost
        message = wire.OadrDistributeEvent(request_id="d1", vtn_id="vtn", events=(lowered.value,))
        assert lift_event(_received_as_a(message)) == lift_event(lowered.value)
    else:
        assert lowered.lost == ()


def _received_as_a(message: wire.OadrDistributeEvent) -> wire.OadrEvent:
    received = decode(encode(message, profile="2.0a"), profile="2.0a").message
    assert isinstance(received, wire.OadrDistributeEvent)
    return received.events[0]


@quick
@given(st.lists(rule.capabilities, max_size=3))
def test_capabilities_come_back(capabilities: list[Capability]) -> None:
    message = wire.OadrRegisterReport(
        request_id="q1", reports=tuple(map(lower_capability, capabilities)), ven_id="ven1"
    )
    assert list(map(lift_capability, on_the_wire(message).reports)) == capabilities


@quick
@given(st.lists(rule.requests(), min_size=1, max_size=3))
def test_requests_come_back(requests: list[ReportRequest]) -> None:
    message = wire.OadrCreateReport(request_id="q1", report_requests=tuple(map(lower_request, requests)))
    assert list(map(lift_request, on_the_wire(message).report_requests)) == requests


@thorough
@given(st.lists(rule.readings, min_size=1, max_size=6))
def test_readings_come_back_in_order_of_time(readings: list[Reading]) -> None:
    request = ReportRequest(report_request_id="q1", report_specifier_id="spec1", r_ids=("r1",))
    report = lower_readings(request, "TELEMETRY_USAGE", readings, created=ORIGIN)
    (received,) = on_the_wire(wire.OadrUpdateReport(request_id="q1", reports=(report,))).reports
    lifted = lift_readings(received)

    def place(reading: Reading) -> tuple[datetime, float, str]:
        length = total_seconds(reading.duration, reading.start) if reading.duration is not None else 0.0
        return reading.start, length, repr(reading.duration)

    assert list(lifted) == sorted(readings, key=place)


@quick
@given(st.lists(rule.readings, min_size=1, max_size=6))
def test_a_report_is_one_by_the_rules(readings: list[Reading]) -> None:
    request = ReportRequest(report_request_id="q1", report_specifier_id="spec1", r_ids=("r1",))
    report = lower_readings(request, "TELEMETRY_USAGE", readings, created=ORIGIN)
    starts = [interval.dtstart for interval in report.intervals if interval.dtstart is not None]
    assert len(starts) == len(report.intervals)
    assert starts == sorted(starts)
    assert report.dtstart == starts[0]
    assert len({interval.duration is None for interval in report.intervals}) == 1
    assert sum(len(interval.payloads) for interval in report.intervals) == len(readings)


@quick
@given(rule.opts())
def test_opts_come_back(opt: Opt) -> None:
    message = lower_opt(opt, "q1")
    assert lift_opt(on_the_wire(message)) == opt
    assert lift_opt(message) == opt


# --- the rules ----------------------------------------------------------------------------------------------------


@quick
@given(rule.hours(), minutes, minutes)
def test_the_status_only_moves_forward(event: Event, one: datetime, other: datetime) -> None:
    order = ["far", "near", "active", "completed", "cancelled"]
    earlier, later = sorted((one, other))
    assert order.index(event.status_at(earlier)) <= order.index(event.status_at(later))


@quick
@given(st.lists(rule.hours(), max_size=8), minutes)
def test_the_order_has_active_events_first_and_loses_none(events: list[Event], now: datetime) -> None:
    found = in_order(events, now)
    assert sorted(map(id, found)) == sorted(map(id, events))
    running = [msgspec.structs.replace(event, cancelled=False).status_at(now) == "active" for event in found]
    assert running == sorted(running, reverse=True)
    ranks = [event.priority or 99 for event, is_running in zip(found, running, strict=True) if is_running]
    assert ranks == sorted(ranks)
    assert in_order(found, now) == found


@quick
@given(rule.hours("e1"), rule.hours("e1"), minutes)
def test_the_number_rises_by_one_exactly_if_the_content_changes(old: Event, new: Event, now: datetime) -> None:
    try:
        version = next_version(old, new, now)
    except LocalProtocolError:
        assert old.cancelled or old.status_at(now) in ("active", "completed")
        return
    assert version.modification_number == old.modification_number + (not same_content(old, version))
    if not new.cancelled:
        assert same_content(version, new)
    assert next_version(version, version, now) is version


@quick
@given(rule.hours())
def test_these_events_are_right(event: Event) -> None:
    check_event(event)


@quick
@given(st.lists(rule.hours(), max_size=6), minutes)
def test_a_running_or_pending_event_is_always_listed(events: list[Event], now: datetime) -> None:
    for event in events:
        if event.status_at(now) in ("far", "near", "active"):
            assert is_listed(event, now, acknowledged=True)
        if is_listed(event, now, acknowledged=True):
            assert not event.cancelled


def kept(events: list[Event]) -> dict[str, KnownEvent]:
    return {event.event_id: KnownEvent(event=event, opt_type=OptType.IN) for event in events if not event.cancelled}


@quick
@given(st.lists(rule.hours(), max_size=6), st.lists(rule.hours(), max_size=6), minutes)
def test_each_listed_event_has_one_verdict_and_each_other_known_one_ends(
    listed: list[Event], old: list[Event], now: datetime
) -> None:
    known = kept(old)
    message = lower_events(listed, now=now, vtn_id="vtn", request_id="d1").value
    found = consider(message, known, scope=VenScope(ven_id="ven1", vtn_id="vtn"), now=now)
    assert [verdict.event_id for verdict in found.verdicts] == [event.event_id for event in listed]
    for event, verdict in zip(listed, found.verdicts, strict=True):
        assert verdict.answer == (event.response_required == "always")
        assert (verdict.kind == "refused") == (verdict.code != "200")
    gone = set(known) - {event.event_id for event in listed}
    assert set(found.implied_cancels) <= gone
    assert all(known[name].event.status_at(now) == "completed" for name in gone - set(found.implied_cancels))


@quick
@given(st.lists(rule.hours(), max_size=6, unique_by=lambda event: event.event_id), minutes)
def test_the_same_message_again_changes_nothing(listed: list[Event], now: datetime) -> None:
    scope = VenScope(ven_id="ven1", vtn_id="vtn")
    message = lower_events(listed, now=now, vtn_id="vtn", request_id="d1").value
    first = consider(message, {}, scope=scope, now=now)
    known = kept([verdict.event for verdict in first.verdicts if verdict.event is not None])
    again = consider(message, known, scope=scope, now=now)
    assert again.implied_cancels == ()
    for before, after in zip(first.verdicts, again.verdicts, strict=True):
        assert after.kind == ("unchanged" if before.kind == "new" else before.kind)


@quick
@given(rule.hours("e1"), minutes)
def test_a_cancellation_ends_what_it_cancels(event: Event, now: datetime) -> None:
    live = msgspec.structs.replace(event, cancelled=False)
    message = lower_events([cancelled(live, now)], now=now, vtn_id="vtn", request_id="d1").value
    (verdict,) = consider(message, kept([live]), scope=VenScope(ven_id="ven1"), now=now).verdicts
    assert (verdict.kind, verdict.opt_type) == ("cancelled", OptType.IN)


@quick
@given(rule.amounts, st.floats(0, 1, exclude_max=True))
def test_an_offset_lies_in_its_window(window: timedelta, draw: float) -> None:
    offset = random_offset(window, ORIGIN, draw)
    assert 0 <= offset.total_seconds() <= total_seconds(window, ORIGIN)
    assert offset.microseconds == 0


@thorough
@given(st.lists(rule.hours(), max_size=6), minutes, st.lists(st.integers(0, 5), min_size=6, max_size=6))
def test_the_timeline_says_what_applies_at_each_instant(events: list[Event], now: datetime, offsets: list[int]) -> None:
    placed: list[tuple[Event, Span | timedelta]] = [
        (event, offset * MINUTE) for event, offset in zip(events, offsets, strict=False)
    ]
    steps = timeline(placed, ORIGIN - timedelta(hours=2))
    for one, following in pairwise(steps):
        assert one.span.end is not None
        assert one.span.end <= following.span.start
    running = [
        (event.priority or 99, event.start + offset, order, event, offset)
        for order, (event, offset) in enumerate(placed)
        if isinstance(offset, timedelta) and not event.cancelled and now in executed_span(event, offset)
    ]
    applied = [step.value for step in in_force(steps, now)]
    if not running:
        assert applied == []
    else:
        *_, event, offset = min(running, key=lambda item: item[:3])
        interval = event.signals[0].interval_at(now, event.start + offset)
        assert interval is not None
        assert applied == [interval.value]
