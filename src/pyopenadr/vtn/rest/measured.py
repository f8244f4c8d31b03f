"""Readings as the API shows them: JSON has no "not a number" and no infinity, so these are null."""

from __future__ import annotations

import math
from datetime import datetime

import msgspec

from pyopenadr.model import Reading, ResourceStatus
from pyopenadr.model.time import Duration
from pyopenadr.store.port import StoredReading

__all__ = ["MeasuredView", "ReadingView", "view_of"]


class MeasuredView(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value of one data point; `value` is null if the VEN has sent something that is no number.

    `start` is its instant, or the beginning of the period that `duration` gives. `quality` is the standard's text.
    """

    r_id: str
    start: datetime
    value: float | ResourceStatus | None
    duration: Duration | None
    quality: str | None
    confidence: int | None
    accuracy: float | None


class ReadingView(msgspec.Struct, frozen=True, kw_only=True):
    """A reading with where it came from."""

    ven_id: str
    report_specifier_id: str
    report_request_id: str
    reading: MeasuredView


def view_of(stored: StoredReading) -> ReadingView:
    """The reading with null where it has no number."""
    return ReadingView(
        ven_id=stored.ven_id,
        report_specifier_id=stored.report_specifier_id,
        report_request_id=stored.report_request_id,
        reading=_measured(stored.reading),
    )


def _measured(reading: Reading) -> MeasuredView:
    value = reading.value
    return MeasuredView(
        r_id=reading.r_id,
        start=reading.start,
        value=value if isinstance(value, ResourceStatus) else _number(value),
        duration=reading.duration,
        quality=reading.quality,
        confidence=reading.confidence,
        accuracy=_number(reading.accuracy),
    )


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
