from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pyopenadr.errors import ModelError
from pyopenadr.model.time import (
    ZERO,
    CalendarDuration,
    Duration,
    Span,
    add,
    as_utc,
    is_positive,
    is_zero,
    total_seconds,
)

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(("months", "rest"), [(0, HOUR), (-1, ZERO), (1, -HOUR)])
def test_a_calendar_duration_has_months_and_no_negative_parts(months: int, rest: timedelta) -> None:
    with pytest.raises(ModelError):
        CalendarDuration(months, rest)


@pytest.mark.parametrize(
    ("duration", "zero", "positive"),
    [
        (ZERO, True, False),
        (HOUR, False, True),
        (-HOUR, False, False),
        (CalendarDuration(1), False, True),
        (CalendarDuration(1, negative=True), False, False),
    ],
)
def test_zero_and_positive(duration: Duration, zero: bool, positive: bool) -> None:
    assert (is_zero(duration), is_positive(duration)) == (zero, positive)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (HOUR, datetime(2030, 1, 31, 13, tzinfo=UTC)),
        (CalendarDuration(1), datetime(2030, 2, 28, 12, tzinfo=UTC)),
        (CalendarDuration(25, HOUR), datetime(2032, 2, 29, 13, tzinfo=UTC)),
        (CalendarDuration(1, HOUR, negative=True), datetime(2029, 12, 31, 11, tzinfo=UTC)),
        (CalendarDuration(12, negative=True), datetime(2029, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_months_are_added_by_the_calendar(duration: Duration, expected: datetime) -> None:
    assert add(NOON, duration) == expected
    assert total_seconds(duration, NOON) == (expected - NOON).total_seconds()


@pytest.mark.parametrize(
    "duration", [timedelta.max, CalendarDuration(12 * 8000), CalendarDuration(12 * 2031, negative=True)]
)
def test_no_instant_lies_beyond_the_years_1_to_9999(duration: Duration) -> None:
    with pytest.raises(ModelError, match="years 1 to 9999"):
        add(NOON, duration)


def test_an_instant_needs_a_zone() -> None:
    assert as_utc(datetime(2030, 1, 31, 14, tzinfo=timezone(2 * HOUR))) == NOON
    assert as_utc(NOON) is NOON
    with pytest.raises(ModelError, match="no time zone"):
        as_utc(datetime(2030, 1, 31, 14))  # noqa: DTZ001 - that is the point


def test_a_span_contains_its_start_but_not_its_end() -> None:
    span = Span.of(NOON, HOUR)
    assert NOON in span
    assert NOON + HOUR not in span
    assert NOON - timedelta(microseconds=1) not in span


def test_a_span_of_no_duration_is_for_ever() -> None:
    assert Span.of(NOON, ZERO) == Span(NOON)
    assert datetime.max.replace(tzinfo=UTC) in Span(NOON)


@pytest.mark.parametrize(
    ("other", "overlaps"),
    [
        (Span(NOON + HOUR, None), False),
        (Span(NOON + HOUR - timedelta(microseconds=1), None), True),
        (Span(NOON - HOUR, NOON), False),
        (Span(NOON - HOUR, None), True),
        (Span(NOON + HOUR / 4, NOON + HOUR / 2), True),
    ],
)
def test_spans_that_only_touch_do_not_overlap(other: Span, overlaps: bool) -> None:
    span = Span(NOON, NOON + HOUR)
    assert span.overlaps(other) is overlaps
    assert other.overlaps(span) is overlaps
