"""From what the user's code returns to readings: stamped, complete, and a placeholder where there is no value.

A data point that was asked for is in every report (2.0b rule 300); where it has no valid value it stands there with
a "Quality Bad" (rule 318).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pyopenadr.errors import ModelError
from pyopenadr.model import DataPoint, Duration, Reading, ResourceStatus
from pyopenadr.model.time import as_utc
from pyopenadr.ven.handler import HandlerFailed

__all__ = ["NO_VALUE", "SENSOR_FAILURE", "UNCHANGED", "complete", "is_interval_data", "placeholder", "readings_of"]

NO_VALUE = "Quality Bad - Non Specific"
"""The quality of a placeholder where the user's code gave None."""
SENSOR_FAILURE = "Quality Bad - Sensor Failure"
"""The quality of a placeholder where the user's code failed."""
UNCHANGED = "No New Value - Previous Value Used"
"""The quality of a value that is repeated because it has not changed (2.0b rule 317)."""

_ACCUMULATED = frozenset(("energyReal", "energyApparent", "energyReactive", "pulseCount", "Therm"))
_STATUS = "x-resourceStatus"


def is_interval_data(point: DataPoint) -> bool:
    """Whether its values are accumulated over a period rather than true at an instant (2.0b rule 342)."""
    return point.unit is not None and point.unit.name in _ACCUMULATED


def placeholder(point: DataPoint, start: datetime, duration: Duration | None, quality: str) -> Reading:
    """A reading that says that there is none (2.0b rule 318)."""
    value: float | ResourceStatus = 0.0
    if point.report_type == _STATUS:
        value = ResourceStatus(online=False, manual_override=False)
    return Reading(r_id=point.r_id, start=start, duration=duration, value=value, quality=quality)


def readings_of(answer: object, point: DataPoint, start: datetime, duration: Duration | None) -> list[Reading]:
    """What the user's code gave for one data point: a number, a status, one or several readings, or None.

    Raises:
        HandlerFailed: it is something else.
    """
    if answer is None:
        return [placeholder(point, start, duration, NO_VALUE)]
    if isinstance(answer, Reading):
        return [_checked(answer, point)]
    if isinstance(answer, Sequence) and not isinstance(answer, str | bytes):
        if not answer:
            return [placeholder(point, start, duration, NO_VALUE)]
        return [_checked(item, point) for item in answer]
    if isinstance(answer, ResourceStatus) or (isinstance(answer, int | float) and not isinstance(answer, bool)):
        value = answer if isinstance(answer, ResourceStatus) else float(answer)
        return [_checked(Reading(r_id=point.r_id, start=start, duration=duration, value=value), point)]
    raise HandlerFailed(f"the value of {point.r_id} is {answer!r}: give a number, a ResourceStatus, a Reading or None")


def complete(
    answer: object, points: Iterable[DataPoint], start: datetime, durations: Mapping[str, Duration | None]
) -> list[Reading]:
    """What the user's code gave for several data points at once: a mapping from rID, or readings.

    Points that it leaves out get placeholders. A bare value is taken where there is only one point.

    Raises:
        HandlerFailed: it is something else, or names points that nobody asked for.
    """
    wanted = {point.r_id: point for point in points}
    given: dict[str, object] = {}
    if isinstance(answer, Mapping):
        given = dict(answer)
    elif isinstance(answer, Reading) or (isinstance(answer, Sequence) and not isinstance(answer, str | bytes)):
        for reading in [answer] if isinstance(answer, Reading) else answer:
            if not isinstance(reading, Reading):
                raise HandlerFailed(f"{reading!r} is no Reading")
            kept = given.setdefault(reading.r_id, [])
            assert isinstance(kept, list)
            kept.append(reading)
    elif answer is not None and len(wanted) == 1:
        given = dict.fromkeys(wanted, answer)
    elif answer is not None:
        raise HandlerFailed(f"{answer!r} does not say which data point it is: give a mapping from rID, or Readings")
    if unknown := sorted(str(r_id) for r_id in given if r_id not in wanted):
        raise HandlerFailed(f"nobody asked for {', '.join(unknown)}: the request is for {', '.join(wanted)}")
    return [
        reading
        for r_id, point in wanted.items()
        for reading in readings_of(given.get(r_id), point, start, durations.get(r_id))
    ]


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
