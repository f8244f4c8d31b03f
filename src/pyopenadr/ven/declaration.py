"""Declaring reports in a few words: from `reading="powerReal", unit="kW"` to what METADATA say."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from pyopenadr.errors import ConfigError, ModelError
from pyopenadr.model import Capability, DataPoint, Duration, Target, Unit
from pyopenadr.model.quantity import SCALE
from pyopenadr.model.report import DEFAULT_HISTORY
from pyopenadr.v2.bridge import lower_capability

__all__ = ["capability_of", "data_point", "unit_of"]

STATUS = "x-resourceStatus"
_STATUS_REPORT = "TELEMETRY_STATUS"
_WELL_KNOWN = ("powerReal", "energyReal", "pulseCount")

_SYMBOLS: Mapping[str, Mapping[str, str]] = {
    "powerReal": {"W": "W", "J/s": "J/s"},
    "powerApparent": {"VA": "VA"},
    "powerReactive": {"VAR": "VAR", "var": "VAR"},
    "energyReal": {"Wh": "Wh"},
    "energyApparent": {"VAh": "VAh"},
    "energyReactive": {"VARh": "VARh", "varh": "VARh"},
    "voltage": {"V": "V"},
    "current": {"A": "A"},
    "frequency": {"Hz": "Hz"},
    "Therm": {"thm": "thm", "therm": "thm"},
    "temperature": {"celsius": "celsius", "°C": "celsius", "fahrenheit": "fahrenheit", "°F": "fahrenheit"},
    "pulseCount": {"count": "count"},
}
"""The symbols of each quantity as people write them, and as the standard does."""
_CURRENCIES = ("currency", "currencyPerKW", "currencyPerKWh", "currencyPerThm")
_PREFIXES = {("" if code == "none" else code): code for code in SCALE} | {"µ": "micro", "u": "micro"}
_POWER = ("powerReal", "powerApparent", "powerReactive")


def data_point(
    reading: str,
    *,
    r_id: str | None = None,
    resource_id: str | None = None,
    unit: str | Unit | None = None,
    sampling: tuple[timedelta | float, timedelta | float] | None = None,
    on_change: bool = False,
    reading_type: str | None = None,
    report_type: str | None = None,
) -> DataPoint:
    """One thing that can be measured, in a line; `OpenADRClient.add_report` explains the arguments.

    Raises:
        ConfigError: the unit is none of that quantity, or the sampling makes no sense.
    """
    is_status = reading == "status"
    if is_status and unit is not None:
        raise ConfigError(f"a status has no unit, but {unit!r} was given: leave it out")
    report_type = report_type if report_type is not None else (STATUS if is_status else "usage")
    reading_type = reading_type if reading_type is not None else ("x-notApplicable" if is_status else "Direct Read")
    if r_id is None:
        parts = [resource_id, reading, None if report_type in ("usage", STATUS) else report_type]
        parts.append(None if reading_type in ("Direct Read", "x-notApplicable") else reading_type)
        r_id = "-".join(part for part in parts if part)
    shortest, longest = _rate(sampling) if sampling is not None else (None, None)
    return DataPoint(
        r_id=r_id,
        report_type=report_type,
        reading_type=reading_type,
        unit=None if is_status else unit_of(reading, unit),
        data_source=Target(resource_ids=(resource_id,)) if resource_id is not None else Target(),
        min_period=shortest,
        max_period=longest,
        on_change=on_change,
    )


def _rate(sampling: tuple[timedelta | float, timedelta | float]) -> tuple[timedelta, timedelta]:
    shortest, longest = (it if isinstance(it, timedelta) else timedelta(seconds=it) for it in sampling)
    if not timedelta(0) <= shortest <= longest:
        raise ConfigError(f"sampling is (shortest, longest), not ({shortest}, {longest})")
    return shortest, longest


def unit_of(reading: str, unit: str | Unit | None) -> Unit:
    """The unit of a quantity from its symbol with prefix, such as "kW"; a `Unit` is taken as it is.

    `reading` is the standard's name of the quantity (`powerReal`, see `model.Unit`); another one is a customUnit.
    Power is that of a European mains: 50 Hz, 230 V, AC; give a `Unit` for another.

    Raises:
        ConfigError: the quantity is not measured in that.
    """
    if isinstance(unit, Unit):
        if unit.name not in (reading, "customUnit"):
            raise ConfigError(f"the unit {unit.name} is none of {reading}: give a Unit of that name, or leave it out")
        return unit
    if reading in _CURRENCIES:
        if unit is None:
            raise ConfigError(f"{reading} needs a unit, such as EUR")
        return Unit(name=reading, symbol=unit)
    symbols = _SYMBOLS.get(reading)
    if symbols is None:
        return Unit(name="customUnit", symbol=unit or "", description=reading)
    text = unit if unit is not None else next(iter(symbols))
    for written, symbol in symbols.items():
        code = _PREFIXES.get(text.removesuffix(written)) if text.endswith(written) else None
        if code is not None:
            mains = {"hertz": 50.0, "voltage": 230.0, "ac": True} if reading in _POWER else {}
            counted = {"pulse_factor": 1.0} if reading == "pulseCount" else {}
            return msgspec.convert({"name": reading, "symbol": symbol, "scale": code} | mains | counted, Unit)
    raise ConfigError(f"{reading} is not measured in {text!r}: use {' or '.join(symbols)}, with a prefix such as k")


def capability_of(
    report_name: str | None,
    points: Sequence[DataPoint],
    *,
    report_specifier_id: str | None,
    duration: Duration | None,
    taken: Container[str],
    now: datetime,
) -> Capability:
    """The report that holds these points, under a name that fits and an id that is not `taken`.

    Raises:
        ConfigError: it makes no report.
    """
    if not points or len({point.r_id for point in points}) != len(points):
        raise ConfigError("points must hold at least one data point, and each rID only once")
    if report_name is None:
        report_name = _name_of(points)
    if duration is None:
        duration = DEFAULT_HISTORY if report_name.startswith("HISTORY_") else timedelta(hours=1)
    specifier = report_specifier_id if report_specifier_id is not None else _specifier_of(report_name, points, taken)
    if specifier in taken:
        raise ConfigError(f"there is a report {specifier!r} already: give another report_specifier_id")
    if report_name.removeprefix("x-").startswith("TELEMETRY_"):
        points = [_with_sampling_rate(point, duration) for point in points]
    capability = Capability(
        report_specifier_id=specifier,
        report_name=report_name,
        duration=duration,
        points=tuple(points),
        created_date_time=now,
    )
    try:
        lower_capability(capability)
    except ModelError as error:
        raise ConfigError(f"the report {specifier!r} can't be offered: {error}") from error
    return capability


def _name_of(points: Sequence[DataPoint]) -> str:
    """The standard's name if the points are what it stands for (2.0b rule 331), else one of our own."""
    if all(point.report_type == STATUS for point in points):
        return _STATUS_REPORT
    fits = all(
        point.report_type == "usage"
        and point.reading_type == "Direct Read"
        and (point.unit is None or point.unit.name in _WELL_KNOWN)
        for point in points
    )
    return "TELEMETRY_USAGE" if fits else "x-TELEMETRY_USAGE"


def _specifier_of(report_name: str, points: Sequence[DataPoint], taken: Container[str]) -> str:
    """An id for a report that is the same each time the program runs."""
    text = "\n".join([report_name, *(point.r_id for point in points)])
    base = f"{report_name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    names = (base if number == 1 else f"{base}-{number}" for number in itertools.count(1))
    return next(name for name in names if name not in taken)


def _with_sampling_rate(point: DataPoint, longest: Duration) -> DataPoint:
    """The same point with the sampling rate that telemetry must have (2.0b rules 312, 333)."""
    return msgspec.structs.replace(
        point,
        min_period=timedelta(seconds=1) if point.min_period is None else point.min_period,
        max_period=longest if point.max_period is None else point.max_period,
    )
