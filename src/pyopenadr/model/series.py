"""Readings as series in time: what is missing in one, and what many add up to."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from pyopenadr.errors import ModelError
from pyopenadr.model.quantity import Unit
from pyopenadr.model.report import Reading
from pyopenadr.model.time import Span

__all__ = ["Sum", "Total", "missing"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def missing(starts: Iterable[datetime], start: datetime, end: datetime, step: timedelta) -> list[Span]:
    """The spans between `start` and `end` in which a series with a value for each `step` has none.

    A value may be late by up to half a step, as meters are, before its place counts as empty.
    """
    gaps = []
    expected = start
    for at in sorted(at for at in starts if start - step / 2 <= at < end):
        if at - expected > step / 2:
            gaps.append(Span(expected, at))
        expected = max(expected, at + step)
    if end - expected > step / 2:
        gaps.append(Span(expected, end))
    return gaps


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """What the data points of one quantity add up to, from `start` for one step.

    `unit` is the name of the quantity (powerReal, energyReal, …), and `value` is in its unscaled unit. `points` data
    points of `vens` VENs had a value; the others are not in it.
    """

    start: datetime
    unit: str | None
    value: float
    vens: int
    points: int


class Sum:
    """Adds readings up, step by step.

    Of one data point in one step, values of periods (those with a duration, as energy) are added, and values of
    instants (as power) averaged; then the data points are added. Status reports and values of bad quality don't count.
    """

    def __init__(self, step: timedelta) -> None:
        if step <= timedelta(0):
            raise ModelError(f"readings are summed up over a positive step, not {step}")
        self._step = step
        self._points: dict[tuple[datetime, str | None], dict[tuple[str, ...], _Point]] = {}

    def add(self, ven_id: str, point: tuple[str, ...], unit: Unit | None, reading: Reading) -> None:
        """Count a reading of the data point `point` of a VEN."""
        value = reading.value
        bad = reading.quality is not None and reading.quality.startswith(("Quality Bad", "No Quality"))
        if bad or not isinstance(value, float | int) or not math.isfinite(value):
            return
        start = _EPOCH + (reading.start - _EPOCH) // self._step * self._step
        points = self._points.setdefault((start, unit.name if unit is not None else None), {})
        points.setdefault((ven_id, *point), _Point()).add(
            value * (unit.factor if unit is not None else 1.0), is_period=reading.duration is not None
        )

    def totals(self) -> list[Total]:
        """The sums, by time and quantity."""
        return [
            Total(
                start=start,
                unit=unit,
                value=math.fsum(point.value for point in points.values()),
                vens=len({key[0] for key in points}),
                points=len(points),
            )
            for (start, unit), points in sorted(self._points.items(), key=lambda item: (item[0][0], item[0][1] or ""))
        ]


class _Point:
    """The values of one data point in one step."""

    __slots__ = ("_count", "_is_period", "_sum")

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0
        self._is_period = False

    def add(self, value: float, *, is_period: bool) -> None:
        self._sum += value
        self._count += 1
        self._is_period = is_period

    @property
    def value(self) -> float:
        return self._sum if self._is_period else self._sum / self._count
