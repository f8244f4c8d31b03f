from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from pyopenadr.errors import LocalProtocolError, ModelError, RemoteProtocolError
from pyopenadr.model import Area, CalendarDuration, Event, Interval, OptType, Signal, Target, Unit
from pyopenadr.v2.ven import Verdict, event_response
from pyopenadr.v2.vtn import (
    cancelled,
    check_event,
    check_request,
    in_order,
    is_for,
    is_listed,
    judge_answer,
    may_overrule,
    next_version,
)
from tests.unit.v2.sample import (
    BEFORE,
    EURO_PER_KWH,
    HOUR,
    KILOWATT,
    MINUTE,
    START,
    capability,
    event,
    open_ended,
    point,
    request,
    signal,
)

NOTHING = timedelta(0)
DURING = START + 30 * MINUTE
AFTER = START + HOUR
replace = msgspec.structs.replace


def ids(*events: Event, now: datetime = DURING) -> list[str]:
    return [each.event_id for each in in_order(events, now)]


def test_active_events_come_before_pending_ones() -> None:
    assert ids(event("far", start=AFTER, priority=1), event("active")) == ["active", "far"]


def test_active_events_are_ordered_by_priority_with_0_last() -> None:
    assert ids(event("none"), event("third", priority=3), event("first", priority=1)) == ["first", "third", "none"]


def test_active_events_of_one_priority_are_ordered_by_start() -> None:
    assert ids(event("late"), event("early", start=START - MINUTE)) == ["early", "late"]


def test_pending_events_are_ordered_by_start_whatever_their_priority() -> None:
    near = event("near", start=AFTER + MINUTE, ramp_up=HOUR, priority=9)
    assert ids(event("far", start=AFTER + 2 * MINUTE, priority=1), near) == ["near", "far"]


def test_a_cancelled_event_keeps_its_place() -> None:
    first = event("first", priority=1)
    others = [event("second", priority=2), event("third", start=AFTER)]
    assert ids(*others, first) == ids(*others, replace(first, cancelled=True)) == ["first", "second", "third"]


def test_events_that_are_over_come_last() -> None:
    over = event("over", start=BEFORE, start_after=HOUR, priority=1)
    assert ids(over, event("far", start=AFTER), event("active")) == ["active", "far", "over"]


def test_ties_keep_their_order() -> None:
    assert ids(*[event(name) for name in "bca"]) == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("one", "acknowledged", "now", "listed"),
    [
        (event(), False, BEFORE, True),
        (event(), True, DURING, True),
        (event(), False, AFTER, False),
        (event(start_after=MINUTE), True, AFTER, True),
        (event(start_after=MINUTE), True, AFTER + MINUTE, False),
        (event(cancelled=True), False, DURING, True),
        (event(cancelled=True), True, DURING, False),
        (event(cancelled=True), False, AFTER, False),
        (open_ended(), True, START + timedelta(days=999), True),
        (open_ended(cancelled=True), False, START + timedelta(days=999), True),
        (open_ended(cancelled=True), True, START, False),
    ],
)
def test_how_long_an_event_is_listed(one: Event, acknowledged: bool, now: datetime, listed: bool) -> None:
    assert is_listed(one, now, acknowledged=acknowledged) is listed


def test_an_event_is_for_those_that_its_target_names() -> None:
    assert is_for(event(), "ven1")
    assert is_for(event(target=Target(resource_ids=("r1",))), "ven1")
    assert is_for(event(target=Target(ven_ids=("ven1", "ven2"))), "ven2")
    assert not is_for(event(target=Target(ven_ids=("VEN1",))), "ven1")


# --- versions -----------------------------------------------------------------------------------------------------


def test_a_change_is_the_next_version() -> None:
    old = event(modification_number=3)
    new = next_version(old, event(priority=1, modification_number=99, created_date_time=START), BEFORE)
    assert new == event(priority=1, modification_number=4, modification_date_time=BEFORE, created_date_time=BEFORE)


def test_no_change_is_no_version() -> None:
    old = event(modification_number=3)
    assert next_version(old, event(created_date_time=START, modification_date_time=START), BEFORE) is old


def test_another_event_is_no_version() -> None:
    with pytest.raises(LocalProtocolError, match="no version of event 'e1'"):
        next_version(event("e1"), event("e2"), BEFORE)


def test_the_cancelled_event_is_the_next_version_and_the_last() -> None:
    gone = cancelled(event(modification_number=3), DURING)
    assert gone == event(modification_number=4, cancelled=True, modification_date_time=DURING, created_date_time=DURING)
    assert cancelled(gone, AFTER) is gone
    assert next_version(event(modification_number=3), event(cancelled=True, priority=7), DURING) == gone
    with pytest.raises(LocalProtocolError, match="make a new event"):
        next_version(gone, event(), AFTER)


def changes(now: datetime, *signals: Signal, old: Event | None = None, **fields: Any) -> Event:
    return next_version(old if old is not None else event("e1", signal(1, 2)), event("e1", *signals, **fields), now)


def test_before_its_start_everything_may_change() -> None:
    assert changes(BEFORE, signal(3), start=START - MINUTE).modification_number == 1


@pytest.mark.parametrize(
    ("signals", "fields"),
    [
        ((signal(1, 3),), {}),
        ((signal(1, 2), signal(7, name="x-fan", signal_id="s2")), {}),
        ((signal(7, name="x-fan", signal_id="s2"),), {}),
        ((signal(1, 2),), {"duration": 2 * HOUR}),
        ((signal(intervals=(Interval(40 * MINUTE, 1.0),)),), {"duration": 40 * MINUTE}),
        ((signal(intervals=(Interval(10 * MINUTE, 1.0), Interval(50 * MINUTE, 1.0))),), {}),
        ((signal(1, 2),), {"priority": 1, "vtn_comment": "more"}),
    ],
)
def test_what_is_to_come_may_change(signals: tuple[Signal, ...], fields: dict[str, Any]) -> None:
    assert changes(DURING, *signals, **fields).modification_number == 1


@pytest.mark.parametrize(
    ("signals", "fields", "reason"),
    [
        ((signal(2, 2),), {}, "can't change before"),
        ((signal(intervals=(Interval(10 * MINUTE, 1.0), Interval(50 * MINUTE, 2.0))),), {}, "can't change before"),
        ((signal(1, 2),), {"start": START + MINUTE}, "start can't be changed"),
        ((signal(1, 2),), {"duration": 30 * MINUTE}, "cancel it instead"),
    ],
)
def test_what_has_been_may_not(signals: tuple[Signal, ...], fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(LocalProtocolError, match=reason) as caught:
        changes(DURING, *signals, **fields)
    assert (caught.value.code, caught.value.rule) == ("451", "20")


def test_an_event_that_is_over_can_not_change() -> None:
    with pytest.raises(LocalProtocolError, match="is over"):
        changes(AFTER, signal(1, 3), old=event("e1", signal(1, 2), start_after=HOUR))


def test_an_open_ended_event_can_be_given_an_end() -> None:
    assert changes(DURING, signal(2), old=open_ended()).duration == HOUR


# --- which events are right ---------------------------------------------------------------------------------------

DISPATCH = signal(5, name="LOAD_DISPATCH", kind="setpoint", unit=KILOWATT, signal_id="s2")


@pytest.mark.parametrize(
    "good",
    [
        event(),
        open_ended(),
        event("e1", signal(0, 1, 2, 3), DISPATCH),
        event("e1", signal(1, device_classes=("Thermostat", "x-fan"))),
        event("e1", signal(1, name="x-fan", kind="delta", unit=Unit(name="voltage"))),
        event("e1", signal(0.3, name="ELECTRICITY_PRICE", kind="price", unit=EURO_PER_KWH)),
        event(target=Target(ven_ids=("ven1", "ven2"))),
        event(notification=HOUR, start_after=MINUTE, ramp_up=-MINUTE, recovery=-MINUTE),
        event("e1", signal(intervals=(Interval(CalendarDuration(1), 1.0),)), duration=CalendarDuration(1)),
    ],
)
def test_a_right_event_passes(good: Event) -> None:
    check_event(good)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (event(""), "rule 70"),
        (event(start=datetime(2030, 1, 1)), "no time zone"),  # noqa: DTZ001 - that is the point
        (event(signals=()), "needs a signal"),
        (event("e1", signal(1), replace(DISPATCH, signal_id="s1")), "rule 107"),
        (event("e1", signal(1), duration=2 * HOUR), "rule 8"),
        (event("e1", signal(4)), "rule 9"),
        (event("e1", signal(math.nan)), "rule 9"),
        (event("e1", signal(1, kind="price")), "rule 116"),
        (event("e1", signal(1, unit=KILOWATT)), "use level with no unit"),
        (event("e1", signal(1, name="simple")), "starts with x-"),
        (event("e1", signal(1, name="LOAD_DISPATCH", kind="setpoint")), "powerApparent or powerReactive or powerReal"),
        (event("e1", signal(11, name="LOAD_DISPATCH", kind="level", unit=KILOWATT)), "rule 104"),
        (event("e1", signal(1, device_classes=("Toaster",))), "rule 111"),
        (event(start_after=-MINUTE), "start_after can't be negative"),
        (event(notification=-MINUTE), "notification can't be negative"),
        (event(priority=-1), "priority"),
        (event(ramp_up=timedelta(milliseconds=1)), "whole number of seconds"),
        (event(vtn_comment="\0"), "XML can't carry"),
        (event(market_context="http://[not a uri"), "market_context"),
        (event(target=Target(service_areas=(Area((1.0, 2.0), "1 is no name"),))), "an XML name"),
        (
            event("e1", signal(1, name="x-fan", unit=Unit(name="powerReal", symbol="W"))),
            "needs ac, hertz, voltage",
        ),
    ],
)
def test_a_wrong_event_does_not(bad: Event, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        check_event(bad)


# --- answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(2, "450"), (3, "200"), (4, "450")])
def test_an_answer_has_to_name_the_version(number: int, code: str) -> None:
    verdict = Verdict(kind="new", event_id="e1", modification_number=number)
    answer = event_response(verdict, OptType.IN, "d1")
    assert judge_answer(answer, event(modification_number=3)) == code
    assert judge_answer(answer, None) == "452"


def test_an_opt_is_overruled_by_opts_only() -> None:
    assert [may_overrule(old, new) for old in (False, True) for new in (False, True)] == [True, True, False, True]


# --- report requests ----------------------------------------------------------------------------------------------

OFFER = (capability(point("r1"), point("r2", on_change=True)),)
HISTORY = (capability(report_specifier_id="spec1", report_name="HISTORY_USAGE"),)
ONCE = {"granularity": NOTHING, "report_back_duration": NOTHING}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"r_ids": ("r1", "r2")},
        {"start": None},
        {"granularity": HOUR},
        {"granularity": 2 * HOUR, "report_back_duration": 3 * HOUR},
        {"duration": timedelta(days=9999)},
        {"report_back_duration": timedelta(days=1)},
        {"r_ids": ("r2",), "granularity": NOTHING},
        ONCE,
        ONCE | {"granularity": timedelta(seconds=1)},
        {"report_specifier_id": "METADATA", "r_ids": ("0",), "report_request_id": "live"},
    ],
)
def test_a_request_for_what_is_offered_passes(fields: dict[str, Any]) -> None:
    check_request(request(**fields), OFFER, {"live"})


@pytest.mark.parametrize(
    ("fields", "code", "rule"),
    [
        ({"report_request_id": "live"}, "452", "322"),
        ({"report_specifier_id": "spec2"}, "452", "304"),
        ({"r_ids": ("r1", "r3")}, "452", "304"),
        ({"r_ids": ()}, "459", "300"),
        ({"granularity": timedelta(seconds=59)}, "454", "317"),
        ({"granularity": 2 * HOUR}, "454", "317"),
        ({"granularity": -MINUTE}, "454", "317"),
        ({"granularity": NOTHING}, "454", "317"),
        ({"report_back_duration": timedelta(days=1, seconds=1)}, "454", "340"),
        ({"report_back_duration": CalendarDuration(1)}, "454", "340"),
        ({"report_back_duration": -HOUR}, "454", "324"),
    ],
)
def test_a_request_for_more_is_refused(fields: dict[str, Any], code: str, rule: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        check_request(request(**fields), OFFER, {"live"})
    assert (caught.value.code, caught.value.rule) == (code, rule)


@pytest.mark.parametrize(
    "fields", [{}, {"duration": timedelta(days=1)}, {"granularity": MINUTE}, {"duration": NOTHING}]
)
def test_a_history_is_given_once(fields: dict[str, Any]) -> None:
    check_request(request(**(ONCE | fields)), HISTORY, ())


@pytest.mark.parametrize(
    ("fields", "code", "rule"),
    [
        ({"duration": timedelta(days=2)}, "454", "340"),
        ({"report_back_duration": HOUR}, "454", "324"),
        ({"start": None}, "459", "324"),
    ],
)
def test_but_not_more_than_is_kept(fields: dict[str, Any], code: str, rule: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        check_request(request(**(ONCE | fields)), HISTORY, ())
    assert (caught.value.code, caught.value.rule) == (code, rule)


def test_who_does_not_say_how_much_is_kept_may_be_asked_for_anything() -> None:
    for offer in (OFFER, HISTORY):
        silent = [replace(each, duration=NOTHING) for each in offer]
        once = {} if offer is OFFER else ONCE
        check_request(request(**({"report_back_duration": timedelta(days=99)} | once)), silent, ())
