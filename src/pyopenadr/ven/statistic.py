"""From many samples to one value for each interval of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from pyopenadr.model import DataPoint, Reading, ResourceStatus
from pyopenadr.ven.sample import UNCHANGED, Moment, is_interval_data

__all__ = ["UNCERTAIN", "Statistic", "condensed", "intervals", "is_bad", "statistic_of"]

UNCERTAIN = "Quality Uncertain - Sub Normal"
"""The quality of a value for less than `ENOUGH` of whose time there was something to make it of."""

ENOUGH = 0.9


class Statistic(StrEnum):
    """What is made of the samples of an interval."""

    LAST = "last"
    """the last one"""
    MEAN = "mean"
    """their mean over time: a sample counts until the next one"""
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    """the samples added up"""
    ENERGY = "energy"
    """the samples are power; what that is over the interval, in their unit times hours"""


_BY_READING_TYPE = {
    "Mean": Statistic.MEAN,
    "Peak": Statistic.MAX,
    "x-Minimum": Statistic.MIN,
    "Summed": Statistic.SUM,
}


def statistic_of(point: DataPoint) -> Statistic:
    """What the data point's reading type stands for."""
    return _BY_READING_TYPE.get(point.reading_type, Statistic.LAST)


def is_bad(reading: Reading) -> bool:
    """Whether it only says that there was no value."""
    return reading.quality is not None and reading.quality.startswith(("Quality Bad", "No Quality"))


def intervals(start: datetime, end: datetime, step: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """The intervals of length `step` from `start` to `end`; the last one may be shorter."""
    while start < end:
        until = min(start + step, end)
        yield start, until
        start = until


def condensed(
    point: DataPoint,
    statistic: Statistic,
    samples: Sequence[Reading],
    former: Reading | None,
    *,
    start: datetime,
    end: datetime,
    hold: timedelta | None,
) -> Reading | None:
    """The reading of the interval, made of the `samples` in it and the one before it; None if there is no value.

    A sample holds until the next one, but no longer than `hold` (None: without end).
    """
    good = [sample for sample in samples if not is_bad(sample)]
    if statistic in (Statistic.LAST, Statistic.SUM):
        return _read(point, statistic, good, samples, former, Moment(end, end - start), hold)
    pieces = list(_pieces(samples, former, start, end, hold))
    covered = sum((length for _, length in pieces), timedelta(0))
    if not covered:
        return None
    share = covered / (end - start)
    values = [value for value, _ in pieces]
    total = sum(value * length.total_seconds() for value, length in pieces)
    match statistic:
        case Statistic.MIN:
            value = min(values)
        case Statistic.MAX:
            value = max(values)
        case Statistic.ENERGY:
            value = total / 3600.0
        case _:
            value = total / covered.total_seconds()
    quality = UNCERTAIN if share < ENOUGH else None if good else UNCHANGED
    confidence = int(100 * share) if share < ENOUGH else None
    begin, duration = Moment(end, end - start).stamp(point)
    return Reading(r_id=point.r_id, start=begin, duration=duration, value=value, quality=quality, confidence=confidence)


def _read(
    point: DataPoint,
    statistic: Statistic,
    good: Sequence[Reading],
    samples: Sequence[Reading],
    former: Reading | None,
    moment: Moment,
    hold: timedelta | None,
) -> Reading | None:
    """Sum or last value: nothing is made up between the samples."""
    start, duration = moment.stamp(point)
    if good and statistic is Statistic.SUM:
        return Reading(r_id=point.r_id, start=start, duration=duration, value=sum(map(_number, good)))
    if good:
        last = good[-1]
        if is_interval_data(point):
            return msgspec.structs.replace(last, start=start, duration=duration)
        return last  # it keeps the time at which it was measured
    if statistic is Statistic.SUM or samples or former is None or is_bad(former):
        return None
    if hold is not None and former.start + hold <= moment.end:
        return None
    return msgspec.structs.replace(former, start=start, duration=duration, quality=UNCHANGED)


def _pieces(
    samples: Sequence[Reading], former: Reading | None, start: datetime, end: datetime, hold: timedelta | None
) -> Iterator[tuple[float, timedelta]]:
    """Each value with the time for which it holds within the interval."""
    known = [former, *samples] if former is not None else list(samples)
    for number, sample in enumerate(known):
        until = known[number + 1].start if number + 1 < len(known) else end
        if hold is not None:
            until = min(until, sample.start + hold)
        length = min(until, end) - max(sample.start, start)
        if length > timedelta(0) and not is_bad(sample):
            yield _number(sample), length


def _number(reading: Reading) -> float:
    assert not isinstance(reading.value, ResourceStatus)  # refused when the report is declared
    return reading.value
