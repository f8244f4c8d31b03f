"""Instants, durations and half-open intervals.

Instants are aware `datetime`s in UTC. A duration is a `timedelta`, or a `CalendarDuration` where months or years
occur, because those have no fixed length. Spans are half-open: the start belongs to them, the end does not, so
adjacent events never overlap (2.0b rule 18).
"""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta

import msgspec

from pyopenadr.errors import ModelError

__all__ = [
    "ZERO",
    "CalendarDuration",
    "Duration",
    "Span",
    "add",
    "as_utc",
    "is_positive",
    "is_zero",
    "total_seconds",
]

ZERO = timedelta(0)


class CalendarDuration(msgspec.Struct, frozen=True, order=False):
    """A duration with months in it (a year is twelve of them), then days and clock time in `rest`.

    `negative` turns the whole round. Months are counted by the calendar from the instant the duration is added
    to: one month after 31 January is the last day of February.
    """

    months: int
    rest: timedelta = ZERO
    negative: bool = False

    def __post_init__(self) -> None:
        if self.months <= 0 or self.rest < ZERO:
            raise ModelError("a CalendarDuration has at least one month, and a rest that is not negative")


Duration = timedelta | CalendarDuration


def is_zero(duration: Duration) -> bool:
    """Whether the duration has no length; for an event, a report or an availability that means "for ever"."""
    return duration == ZERO


def is_positive(duration: Duration) -> bool:
    """Whether the duration points forward in time."""
    if isinstance(duration, CalendarDuration):
        return not duration.negative
    return duration > ZERO


def add(instant: datetime, duration: Duration) -> datetime:
    """The instant after `duration`; months and years by the calendar.

    Raises:
        ModelError: the result lies outside the years 1 to 9999.
    """
    try:
        if isinstance(duration, timedelta):
            return instant + duration
        sign = -1 if duration.negative else 1
        month0 = instant.year * 12 + (instant.month - 1) + sign * duration.months
        year, month = divmod(month0, 12)
        day = min(instant.day, calendar.monthrange(year, month + 1)[1]) if 1 <= year <= 9999 else 0
        return instant.replace(year=year, month=month + 1, day=day) + sign * duration.rest
    except (OverflowError, ValueError) as error:
        raise ModelError(f"{instant.isoformat()} plus {duration} is outside the years 1 to 9999") from error


def total_seconds(duration: Duration, start: datetime) -> float:
    """The length in seconds, counted from `start` where the calendar matters."""
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    return (add(start, duration) - start).total_seconds()


def as_utc(instant: datetime) -> datetime:
    """The same instant in UTC.

    Raises:
        ModelError: `instant` is naive; nobody can know which instant it means.
    """
    if instant.tzinfo is UTC:
        return instant
    if instant.tzinfo is None:
        raise ModelError(f"{instant.isoformat()} has no time zone: give an aware datetime, for example in UTC")
    return instant.astimezone(UTC)


class Span(msgspec.Struct, frozen=True, order=False):
    """The half-open interval from `start` to `end`; an `end` of None means for ever."""

    start: datetime
    end: datetime | None = None

    @classmethod
    def of(cls, start: datetime, duration: Duration) -> Span:
        """The span of `duration` from `start`; a zero duration means for ever (2.0b rules 47, 210)."""
        return cls(start, None if is_zero(duration) else add(start, duration))

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant and (self.end is None or instant < self.end)

    def overlaps(self, other: Span) -> bool:
        """Whether any instant lies in both; spans that only touch do not overlap (2.0b rule 18)."""
        return (other.end is None or self.start < other.end) and (self.end is None or other.start < self.end)
