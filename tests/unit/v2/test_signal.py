from __future__ import annotations

import math
from datetime import timedelta

import pytest

from pyopenadr.errors import ModelError
from pyopenadr.model import Baseline, CalendarDuration, Interval, Unit
from pyopenadr.v2.signal import TABLE, check_periods, check_values, is_legal
from pyopenadr.v2.wire.enumeration import SIGNAL_NAMES, SIGNAL_TYPES
from tests.unit.v2.sample import EURO_PER_KWH, HOUR, KILOWATT, MINUTE, START, event, open_ended, signal

NOTHING = timedelta(0)
UNITS = ("voltage", "powerReal", "powerReactive", "energyReal", "currency", "currencyPerKW", "currencyPerKWh", None)


@pytest.mark.parametrize(
    ("name", "kind", "unit"),
    [
        ("SIMPLE", "level", None),
        ("ELECTRICITY_PRICE", "price", "currencyPerKWh"),
        ("ENERGY_PRICE", "priceMultiplier", None),
        ("DEMAND_CHARGE", "priceRelative", "currencyPerKW"),
        ("BID_PRICE", "price", "currency"),
        ("BID_LOAD", "setpoint", "powerReactive"),
        ("BID_ENERGY", "setpoint", "energyReal"),
        ("CHARGE_STATE", "delta", "energyReal"),
        ("LOAD_DISPATCH", "level", "powerReal"),
        ("LOAD_CONTROL", "x-loadControlSetpoint", None),
        ("x-fan", "setpoint", "voltage"),
        ("x-fan", "delta", None),
    ],
)
def test_a_legal_signal_is_one_with_that_unit_only(name: str, kind: str, unit: str | None) -> None:
    assert is_legal(signal(name=name, kind=kind, unit=Unit(name=unit) if unit is not None else None))
    for other in set(UNITS) - {unit}:
        if name.startswith("x-") or (other or "")[:5] == (unit or "")[:5] != "curre":
            continue  # the other kinds of power and of energy are legal too
        assert not is_legal(signal(name=name, kind=kind, unit=Unit(name=other) if other is not None else None))


@pytest.mark.parametrize(("name", "kind"), [("SIMPLE", "price"), ("x-", "level"), ("x-fan", "fast"), ("FAN", "level")])
def test_other_names_and_types_are_not(name: str, kind: str) -> None:
    assert not is_legal(signal(name=name, kind=kind))


def test_the_table_has_every_name_of_the_standard_and_only_its_types() -> None:
    assert {name for name, _ in TABLE} == set(SIGNAL_NAMES) - {"simple"}
    assert {kind for _, kind in TABLE} == set(SIGNAL_TYPES)


@pytest.mark.parametrize(
    ("name", "kind", "good", "bad"),
    [
        ("SIMPLE", "level", (0, 1, 2, 3), (-1, 1.5, 4)),
        ("CHARGE_STATE", "multiplier", (0, 0.5, 1), (-0.1, 1.1)),
        ("LOAD_DISPATCH", "level", (-10, 0, 10), (-11, 0.5, 11)),
        ("LOAD_CONTROL", "x-loadControlCapacity", (0, 0.3, 1), (-1, 2)),
        ("LOAD_CONTROL", "x-loadControlLevelOffset", (-3, 0, 99), (0.5,)),
        ("ELECTRICITY_PRICE", "price", (-1.5, 0, 1e9), ()),
    ],
)
def test_values_in_and_out_of_range(name: str, kind: str, good: tuple[float, ...], bad: tuple[float, ...]) -> None:
    check_values(signal(*good, name=name, kind=kind))
    for value in (*bad, math.nan, math.inf, -math.inf):
        with pytest.raises(ModelError, match=f"rule {'9' if name == 'SIMPLE' else '104'}"):
            check_values(signal(value, name=name, kind=kind))


def test_periods_that_fill_the_event() -> None:
    check_periods(event("e1", signal(1, 2, 3), signal(1, signal_id="s2")))
    check_periods(open_ended())


def test_months_are_counted_from_the_start() -> None:
    months = (Interval(CalendarDuration(1), 1.0), Interval(CalendarDuration(1), 2.0))
    check_periods(event("e1", signal(intervals=months), duration=CalendarDuration(2)))


@pytest.mark.parametrize(
    ("duration", "steps"),
    [
        (HOUR, (HOUR, MINUTE)),
        (HOUR, (MINUTE,)),
        (HOUR, ()),
        (HOUR, (NOTHING,)),
        (HOUR, (NOTHING, HOUR)),
        (HOUR, (-HOUR, 2 * HOUR)),
        (NOTHING, (HOUR,)),
        (NOTHING, (NOTHING, NOTHING)),
        (NOTHING, (HOUR, -HOUR)),
        (-HOUR, (-HOUR,)),
    ],
)
def test_periods_that_do_not(duration: timedelta, steps: tuple[timedelta, ...]) -> None:
    intervals = tuple(Interval(step, 1.0) for step in steps)
    with pytest.raises(ModelError):
        check_periods(event("e1", signal(intervals=intervals), duration=duration))


def test_a_baseline_fills_its_own_period() -> None:
    def baseline(*steps: timedelta) -> Baseline:
        return Baseline(
            baseline_id="b1",
            baseline_name="as ever",
            start=START - HOUR,
            duration=2 * HOUR,
            intervals=tuple(Interval(step, 1.0) for step in steps),
        )

    check_periods(event(baseline=baseline(HOUR, HOUR)))
    with pytest.raises(ModelError, match=r"baseline 'b1'.*rule 102"):
        check_periods(event(baseline=baseline(HOUR)))


def test_units_of_the_samples_are_legal() -> None:
    assert is_legal(signal(name="LOAD_DISPATCH", kind="setpoint", unit=KILOWATT))
    assert is_legal(signal(name="ELECTRICITY_PRICE", kind="price", unit=EURO_PER_KWH))
