"""From what the user's code returns to readings: stamped, complete, and a placeholder where there is no value.

A data point that was asked for is in every report (2.0b rule 300); where it has no valid value it stands there with
a "Quality Bad" (rule 318).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from pyopenadr.errors import ModelError
from pyopenadr.model import DataPoint, Reading, ResourceStatus
from pyopenadr.model.time import as_utc, total_seconds
from pyopenadr.ven.handler import HandlerFailed

__all__ = [
    "FASTEST",
    "NOT_CONNECTED",
    "NO_VALUE",
    "SENSOR_FAILURE",
    "UNCHANGED",
    "Moment",
    "complete",
    "is_interval_data",
    "placeholder",
    "readings_of",
]

NO_VALUE = "Quality Bad - Non Specific"
"""The quality of a placeholder where the user's code gave None."""
SENSOR_FAILURE = "Quality Bad - Sensor Failure"
"""The quality of a placeholder where the user's code failed."""
NOT_CONNECTED = "Quality Bad - Not Connected"
"""The quality of a placeholder where the feed of a data point has broken off."""
UNCHANGED = "No New Value - Previous Value Used"
"""The quality of a value that is repeated because it has not changed (2.0b rule 317)."""

FASTEST = timedelta(seconds=1)
"""No data point is sampled more often; durations on the wire have no fractions either."""

_ACCUMULATED = frozenset(("energyReal", "energyApparent", "energyReactive", "pulseCount", "Therm"))
_OVER_A_PERIOD = frozenset(("Mean", "Peak", "Summed", "x-Minimum"))
_STATUS = "x-resourceStatus"


def is_interval_data(point: DataPoint) -> bool:
    """Whether its values are accumulated or averaged over a period rather than true at an instant (2.0b rule 342)."""
    accumulates = point.unit is not None and point.unit.name in _ACCUMULATED
    return accumulates or point.reading_type in _OVER_A_PERIOD


class Moment(msgspec.Struct, frozen=True):
    """When something was measured: at `end`, or over the `period` before it.

    A `period` of None means the data point's own shortest one (2.0b rule 337).
    """

    end: datetime
    period: timedelta | None = None

    def stamp(self, point: DataPoint) -> tuple[datetime, timedelta | None]:
        """Start and duration of a reading of that point; only accumulated values have a duration (rule 342)."""
        if not is_interval_data(point):
            return self.end, None
        period = self.period
        if period is None:
            period = timedelta(seconds=total_seconds(point.min_period or FASTEST, self.end))
        return self.end - period, period


def placeholder(point: DataPoint, moment: Moment, quality: str) -> Reading:
    """A reading that says that there is none (2.0b rule 318)."""
    start, duration = moment.stamp(point)
    value: float | ResourceStatus = 0.0
    if point.report_type == _STATUS:
        value = ResourceStatus(online=False, manual_override=False)
    return Reading(r_id=point.r_id, start=start, duration=duration, value=value, quality=quality)


def readings_of(answer: object, point: DataPoint, moment: Moment) -> list[Reading]:
    """What the user's code gave for one data point: a number, a status, one or several readings, or None.

    Raises:
        HandlerFailed: it is something else.
    """
    if answer is None:
        return [placeholder(point, moment, NO_VALUE)]
    if isinstance(answer, Reading):
        return [_checked(answer, point)]
    if isinstance(answer, Sequence) and not isinstance(answer, str | bytes):
        if not answer:
            return [placeholder(point, moment, NO_VALUE)]
        return [_checked(item, point) for item in answer]
    if isinstance(answer, ResourceStatus) or (isinstance(answer, int | float) and not isinstance(answer, bool)):
        value = answer if isinstance(answer, ResourceStatus) else float(answer)
        start, duration = moment.stamp(point)
        return [_checked(Reading(r_id=point.r_id, start=start, duration=duration, value=value), point)]
    raise HandlerFailed(f"the value of {point.r_id} is {answer!r}: give a number, a ResourceStatus, a Reading or None")


def complete(
    answer: object, points: Iterable[DataPoint], moment: Moment, complain: Callable[[str], None]
) -> list[Reading]:
    """What the user's code gave for several data points at once: a mapping from rID, or readings.

    A bare value is taken where there is only one point. Points that are left out get placeholders, and so do those
    whose value has no meaning: that, and readings for points that nobody asked for, is what `complain` hears of.

    Raises:
        HandlerFailed: it is none of these.
    """
    wanted = {point.r_id: point for point in points}
    given: dict[Any, object] = {}
    if isinstance(answer, Mapping):
        given = dict(answer)
    elif (readings := _as_readings(answer)) is not None:
        for reading in readings:
            given[reading.r_id] = [*given.get(reading.r_id, ()), reading]  # type: ignore[misc]
    elif answer is not None and len(wanted) == 1:
        given = dict.fromkeys(wanted, answer)
    elif answer is not None:
        raise HandlerFailed(f"{answer!r} does not say which data point it is: give a mapping from rID, or Readings")
    if unknown := [str(r_id) for r_id in given if r_id not in wanted]:
        complain(f"nobody asked for {', '.join(unknown)}: the request is for {', '.join(wanted)}")
    result: list[Reading] = []
    for r_id, point in wanted.items():
        try:
            result += readings_of(given.get(r_id), point, moment)
        except HandlerFailed as error:
            complain(str(error))
            result.append(placeholder(point, moment, SENSOR_FAILURE))
    return result


def _as_readings(answer: object) -> Sequence[Reading] | None:
    if isinstance(answer, Reading):
        return [answer]
    if isinstance(answer, Sequence) and all(isinstance(item, Reading) for item in answer):
        return None if isinstance(answer, str | bytes) else answer
    return None


def _checked(reading: object, point: DataPoint) -> Reading:
    if not isinstance(reading, Reading):
        raise HandlerFailed(f"{reading!r} is no Reading")
    if reading.r_id != point.r_id:
        raise HandlerFailed(f"a reading of {reading.r_id} was given for {point.r_id}")
    if isinstance(reading.value, ResourceStatus) != (point.report_type == _STATUS):
        kind = "a ResourceStatus" if point.report_type == _STATUS else "a number"
        raise HandlerFailed(f"the value of {point.r_id} must be {kind}, not {reading.value!r}")
    if not isinstance(reading.value, ResourceStatus) and not math.isfinite(reading.value):
        raise HandlerFailed(f"the value of {point.r_id} is {reading.value}, which is no number")
    try:
        as_utc(reading.start)
    except ModelError as error:
        raise HandlerFailed(f"the reading of {point.r_id}: {error}") from error
    return reading
