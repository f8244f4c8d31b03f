"""Which signals 2.0b allows (its Table 1, rule 104), and what every event's intervals have to add up to.

The VTN checks its events with this before they go out, the VEN those that come in.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pyopenadr.errors import ModelError
from pyopenadr.model import Baseline, Duration, Event, Interval, Signal
from pyopenadr.model.time import add, is_positive, is_zero
from pyopenadr.v2.wire.enumeration import SIGNAL_TYPES

__all__ = ["SIMPLE", "TABLE", "check_periods", "check_values", "is_legal", "is_own_name"]

SIMPLE = "SIMPLE"

_NONE: frozenset[str | None] = frozenset({None})
_POWER: frozenset[str | None] = frozenset({"powerReal", "powerApparent", "powerReactive"})
_ENERGY: frozenset[str | None] = frozenset({"energyReal", "energyApparent", "energyReactive"})
_PER_KWH: frozenset[str | None] = frozenset({"currencyPerKWh"})
_PER_KW: frozenset[str | None] = frozenset({"currencyPerKW"})

TABLE: Mapping[tuple[str, str], frozenset[str | None]] = MappingProxyType(
    {
        (SIMPLE, "level"): _NONE,
        ("ELECTRICITY_PRICE", "price"): _PER_KWH,
        ("ELECTRICITY_PRICE", "priceRelative"): _PER_KWH,
        ("ELECTRICITY_PRICE", "priceMultiplier"): _NONE,
        ("ENERGY_PRICE", "price"): _PER_KWH,
        ("ENERGY_PRICE", "priceRelative"): _PER_KWH,
        ("ENERGY_PRICE", "priceMultiplier"): _NONE,
        ("DEMAND_CHARGE", "price"): _PER_KW,
        ("DEMAND_CHARGE", "priceRelative"): _PER_KW,
        ("DEMAND_CHARGE", "priceMultiplier"): _NONE,
        ("BID_PRICE", "price"): frozenset({"currency"}),
        ("BID_LOAD", "setpoint"): _POWER,
        ("BID_ENERGY", "setpoint"): _ENERGY,
        ("CHARGE_STATE", "setpoint"): _ENERGY,
        ("CHARGE_STATE", "delta"): _ENERGY,
        ("CHARGE_STATE", "multiplier"): _NONE,
        ("LOAD_DISPATCH", "setpoint"): _POWER,
        ("LOAD_DISPATCH", "delta"): _POWER,
        ("LOAD_DISPATCH", "multiplier"): _NONE,
        ("LOAD_DISPATCH", "level"): _POWER,
        ("LOAD_CONTROL", "x-loadControlCapacity"): _NONE,
        ("LOAD_CONTROL", "x-loadControlLevelOffset"): _NONE,
        ("LOAD_CONTROL", "x-loadControlSetpoint"): _NONE,
        ("LOAD_CONTROL", "x-loadControlPercentOffset"): _NONE,
    }
)
"""The units that each pair of signalName and signalType may have; None is no unit."""

# (lowest, highest, whole numbers only) for the pairs whose values are limited
_RANGES: Mapping[tuple[str, str], tuple[float, float, bool]] = MappingProxyType(
    {
        (SIMPLE, "level"): (0, 3, True),
        ("CHARGE_STATE", "multiplier"): (0, 1, False),
        ("LOAD_DISPATCH", "level"): (-10, 10, True),
        ("LOAD_CONTROL", "x-loadControlCapacity"): (0, 1, False),
        ("LOAD_CONTROL", "x-loadControlLevelOffset"): (float("-inf"), float("inf"), True),
    }
)


def is_own_name(text: str) -> bool:
    """Whether this is a name of somebody's own (`x-…`) and none of the standard's."""
    return text.startswith("x-") and len(text) > 2


def is_legal(signal: Signal) -> bool:
    """Whether Table 1 has this name with this type and unit (2.0b rule 104); own names go with any of them."""
    if is_own_name(signal.signal_name):
        return signal.signal_type in SIGNAL_TYPES
    unit = signal.unit.name if signal.unit is not None else None
    return unit in TABLE.get((signal.signal_name, signal.signal_type), ())


def check_values(signal: Signal) -> None:
    """Whether the values are among those that Table 1 allows (2.0b rules 9, 104).

    Raises:
        ModelError: one is not.
    """
    low, high, whole = _RANGES.get((signal.signal_name, signal.signal_type), (float("-inf"), float("inf"), False))
    for interval in signal.intervals:
        value = interval.value
        # Written so that NaN fails; infinities have no meaning anywhere.
        if low <= value <= high and abs(value) != float("inf") and not (whole and value != int(value)):
            continue
        kind = "a whole number" if whole else "a number"
        limits = f" from {low:g} to {high:g}" if high < float("inf") else ""
        raise ModelError(
            f"signal {signal.signal_id!r}: {signal.signal_name} {signal.signal_type} is {kind}{limits}, not {value!r}",
            rule="9" if signal.signal_name == SIMPLE else "104",
        )


def check_periods(event: Event) -> None:
    """Whether the intervals of each signal, and of the baseline, fill its period (2.0b rules 8, 47, 102).

    An event of no duration is open-ended; its signals then have one interval of no duration.

    Raises:
        ModelError: they don't.
    """
    for signal in event.signals:
        _check_intervals(f"signal {signal.signal_id!r}", signal.intervals, event, event.duration)
    baseline = event.baseline
    if baseline is not None:
        _check_intervals(f"baseline {baseline.baseline_id!r}", baseline.intervals, baseline, baseline.duration)


def _check_intervals(what: str, intervals: tuple[Interval, ...], whole: Event | Baseline, duration: Duration) -> None:
    if is_zero(duration):
        if len(intervals) != 1 or not is_zero(intervals[0].duration):
            raise ModelError(f"{what} of an open-ended period needs one interval, of duration zero", rule="8")
        return
    if not is_positive(duration):
        raise ModelError(f"{what}: a period can't be negative, but it is {duration}")
    end = whole.start
    for number, interval in enumerate(intervals):
        if is_zero(interval.duration) or not is_positive(interval.duration):
            raise ModelError(
                f"{what}: interval {number} needs a positive duration, not {interval.duration}", rule="102"
            )
        end = add(end, interval.duration)
    if end != add(whole.start, duration):
        raise ModelError(
            f"{what}: its intervals end at {end.isoformat()}, but its period at "
            f"{add(whole.start, duration).isoformat()}; make the durations sum to that of the period",
            rule="8" if isinstance(whole, Event) else "102",
        )
