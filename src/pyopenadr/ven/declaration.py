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
from pyopenadr.ven.order import Offer
from pyopenadr.ven.sample import is_interval_data
from pyopenadr.ven.source import Source, Way, way_of
from pyopenadr.ven.statistic import Statistic, statistic_of

__all__ = ["capability_of", "data_point", "offer_of", "unit_of"]

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


def offer_of(
    capability: Capability,
    source: Source | None,
    *,
    sample_every: timedelta | float | None,
    statistic: str | Mapping[str, str] | None,
) -> Offer:
    """The report with where its values come from.

    Raises:
        ConfigError: some of its values come from nowhere, or make no statistic.
    """
    every = timedelta(seconds=sample_every) if isinstance(sample_every, int | float) else sample_every
    if every is not None and every <= timedelta(0):
        raise ConfigError(f"sample_every must be positive, not {sample_every}")
    r_ids = {point.r_id for point in capability.points}
    if isinstance(source, Mapping) and set(source) != r_ids:
        raise ConfigError(f"source must have one for each of {', '.join(sorted(r_ids))}, not for {', '.join(source)}")
    if isinstance(statistic, Mapping) and (others := set(statistic) - r_ids):
        raise ConfigError(f"statistic names {', '.join(sorted(others))}, which the report does not have")
    offer = Offer(
        capability=capability,
        source=source,
        sample_every=every,
        statistics={point.r_id: _statistic_of(point, statistic) for point in capability.points},
    )
    singles = [offer.source_of(r_id) for r_id in r_ids]
    if every is not None and any(it is None or way_of(it) is not Way.CALLED for it in singles):
        raise ConfigError("sample_every is for sources that are functions of no time: leave it out, or give one")
    if statistic is not None and every is None and all(it is None or way_of(it) is Way.CALLED for it in singles):
        raise ConfigError("a statistic is made of many samples: say how often they are taken by sample_every")
    return offer


def _statistic_of(point: DataPoint, given: str | Mapping[str, str] | None) -> Statistic:
    name = given.get(point.r_id) if isinstance(given, Mapping) else given
    try:
        statistic = statistic_of(point) if name is None else Statistic(name)
    except ValueError:
        raise ConfigError(f"there is no statistic {name!r}: use {', '.join(Statistic)}") from None
    if point.report_type == STATUS and statistic is not Statistic.LAST:
        raise ConfigError(f"{point.r_id} is a status, of which there is no {statistic}")
    if statistic is Statistic.ENERGY and (point.unit is None or not point.unit.name.startswith("energy")):
        raise ConfigError(f"energy is no statistic of {point.r_id}: its reading must be energyReal or another energy")
    if statistic not in (Statistic.LAST, Statistic.ENERGY, Statistic.SUM) and not is_interval_data(point):
        wanted = _READING_TYPES[statistic]
        raise ConfigError(f'{point.r_id} is the {statistic} of its samples: give it reading_type="{wanted}", too')
    return statistic


_READING_TYPES = {Statistic.MEAN: "Mean", Statistic.MAX: "Peak", Statistic.MIN: "x-Minimum"}


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
