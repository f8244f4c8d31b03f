"""Gaps in series, and sums of many."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from pyopenadr.errors import ModelError
from pyopenadr.model import Reading, ResourceStatus, Span, Unit
from pyopenadr.model.series import Sum, Total, missing

NOW = datetime(2030, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KILOWATT = Unit(name="powerReal", symbol="W", scale="k")
WATT = Unit(name="powerReal", symbol="W")
ENERGY = Unit(name="energyReal", symbol="Wh")


@pytest.mark.parametrize(
    ("minutes", "gaps"),
    [
        ([0, 1, 2, 3, 4], []),
        ([4, 2, 0, 3, 1], []),
        ([0, 1, 4], [(2, 4)]),
        ([2, 3, 4], [(0, 2)]),
        ([0, 1, 2], [(3, 5)]),
        ([], [(0, 5)]),
        ([0.4, 1.4, 2.4, 3.4, 4.4], []),  # shifted
        ([0, 1.6, 2.6, 4], [(1, 1.6)]),
        ([-1, 0, 1, 2, 3, 4, 5, 9], []),
        ([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4], []),
    ],
)
def test_what_is_missing(minutes: list[float], gaps: list[tuple[float, float]]) -> None:
    starts = [NOW + minute * MINUTE for minute in minutes]
    expected = [Span(NOW + first * MINUTE, NOW + last * MINUTE) for first, last in gaps]
    assert missing(starts, NOW, NOW + 5 * MINUTE, MINUTE) == expected


def test_nothing_is_missing_of_no_time() -> None:
    assert missing([], NOW, NOW, MINUTE) == []
    assert missing([], NOW, NOW - MINUTE, MINUTE) == []


def reading(minute: float, value: float | ResourceStatus, **fields: object) -> Reading:
    return Reading(r_id="r", start=NOW + minute * MINUTE, value=value, **fields)  # type: ignore[arg-type]  # by name


def test_power_is_averaged_for_each_point_and_then_added() -> None:
    added = Sum(5 * MINUTE)
    for minute, value in ((0, 1.0), (1, 3.0), (5, 4.0)):
        added.add("one", ("s", "r"), KILOWATT, reading(minute, value))
    added.add("one", ("s", "q"), WATT, reading(0, 500.0))
    added.add("two", ("s", "r"), WATT, reading(4.9, 100.0))
    assert added.totals() == [
        Total(start=NOW, unit="powerReal", value=2600.0, vens=2, points=3),
        Total(start=NOW + 5 * MINUTE, unit="powerReal", value=4000.0, vens=1, points=1),
    ]


def test_energy_is_added_and_other_quantities_stand_apart() -> None:
    added = Sum(15 * MINUTE)
    for minute in (0, 5, 10):
        added.add("one", ("s", "r"), ENERGY, reading(minute, 2.0, duration=5 * MINUTE))
    added.add("one", ("s", "q"), None, reading(0, 7.0))
    assert [(total.unit, total.value) for total in added.totals()] == [(None, 7.0), ("energyReal", 6.0)]


def test_what_is_no_value_does_not_count() -> None:
    added = Sum(MINUTE)
    added.add("one", ("r",), WATT, reading(0, math.nan))
    added.add("one", ("r",), WATT, reading(0, math.inf))
    added.add("one", ("r",), WATT, reading(0, 1.0, quality="Quality Bad - Sensor Failure"))
    added.add("one", ("r",), WATT, reading(0, 1.0, quality="No Quality - No Value"))
    added.add("one", ("r",), None, reading(0, ResourceStatus(online=True, manual_override=False)))
    assert added.totals() == []
    added.add("one", ("r",), WATT, reading(0, 1.0, quality="Quality Good - Non Specific"))
    assert len(added.totals()) == 1


def test_a_step_is_positive() -> None:
    with pytest.raises(ModelError, match="positive step"):
        Sum(timedelta(0))
