from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from pyopenadr.model import CalendarDuration, EventStatus, Interval, Span
from pyopenadr.model.event import same_content
from tests.unit.v2.sample import BEFORE, HOUR, MINUTE, START, event, open_ended, signal


@pytest.mark.parametrize(
    ("minutes", "status"),
    [(-60, "far"), (-11, "far"), (-10, "near"), (-1, "near"), (0, "active"), (59, "active"), (60, "completed")],
)
def test_the_status_follows_from_the_times(minutes: int, status: str) -> None:
    assert event(ramp_up=10 * MINUTE).status_at(START + minutes * MINUTE) == status


@pytest.mark.parametrize("ramp_up", [None, timedelta(0), -10 * MINUTE, CalendarDuration(1, negative=True)])
def test_without_a_ramp_before_the_start_an_event_is_never_near(ramp_up: timedelta | None) -> None:
    assert event(ramp_up=ramp_up).status_at(START - timedelta(microseconds=1)) is EventStatus.FAR


def test_a_ramp_of_a_month_is_one_of_the_calendar() -> None:
    assert event(ramp_up=CalendarDuration(1)).near_from == datetime(2030, 5, 1, 10, tzinfo=START.tzinfo)


def test_cancelled_is_cancelled_at_any_time() -> None:
    cancelled = event(cancelled=True)
    assert {cancelled.status_at(START + day * timedelta(days=1)) for day in (-1, 0, 1)} == {EventStatus.CANCELLED}


def test_an_open_ended_event_stays_active() -> None:
    assert open_ended().is_open_ended
    assert not event().is_open_ended
    assert open_ended().status_at(START + timedelta(days=9999)) is EventStatus.ACTIVE
    assert open_ended().active_span == Span(START)
    assert open_ended(start_after=MINUTE).listed_until is None


def test_an_event_is_listed_for_its_random_window_too() -> None:
    assert event().listed_until == START + HOUR
    assert event(start_after=5 * MINUTE).listed_until == START + 65 * MINUTE
    assert event(start_after=-5 * MINUTE).listed_until == START + HOUR


@pytest.mark.parametrize(("minutes", "value"), [(-1, 0), (0, 1), (29, 1), (30, 2), (59, 2), (60, 0)])
def test_the_current_value_is_that_of_the_running_interval(minutes: int, value: float) -> None:
    steps = signal(1, 2)
    assert event("e1", steps).current_value(steps, START + minutes * MINUTE) == value


def test_a_cancelled_event_has_no_current_value() -> None:
    one = event(cancelled=True)
    assert one.current_value(one.signals[0], START) == 0


def test_a_signal_that_ends_early_says_nothing_for_the_rest() -> None:
    short = signal(intervals=(Interval(MINUTE, 3.0),))
    assert short.interval_at(START + MINUTE, START) is None
    assert event("e1", short).current_value(short, START + MINUTE) == 0


def test_an_endless_interval_is_the_last() -> None:
    steps = signal(intervals=(Interval(MINUTE, 1.0), Interval(timedelta(0), 2.0), Interval(MINUTE, 3.0)))
    assert list(steps.spans(START)) == [
        (Span(START, START + MINUTE), Interval(MINUTE, 1.0)),
        (Span(START + MINUTE), Interval(timedelta(0), 2.0)),
    ]


@pytest.mark.parametrize(
    ("text", "is_test"),
    [(None, False), ("", False), ("false", False), (" false ", False), ("true", True), ("x", True), ("False", True)],
)
def test_anything_but_false_is_a_test_event(text: str | None, is_test: bool) -> None:
    assert event(test_event=text).is_test is is_test


def test_when_and_which_version_is_no_content() -> None:
    later = msgspec.structs.replace(
        event(), modification_number=7, modification_date_time=START, created_date_time=START
    )
    assert same_content(event(), later)


@pytest.mark.parametrize(
    "change",
    [
        {"start": BEFORE},
        {"duration": MINUTE},
        {"signals": (signal(2.0),)},
        {"market_context": "http://market.example/b"},
        {"modification_reason": "weather"},
        {"priority": 1},
        {"cancelled": True},
        {"test_event": "true"},
        {"vtn_comment": "please"},
        {"start_after": MINUTE},
        {"notification": MINUTE},
        {"ramp_up": MINUTE},
        {"recovery": MINUTE},
        {"response_required": "never"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_else_is(change: dict[str, Any]) -> None:
    assert not same_content(event(), event(**change))
