"""Units (the members of `emix:itemBase`)."""

from __future__ import annotations

from pyopenadr.errors import ModelError
from pyopenadr.model import Unit
from pyopenadr.v2 import wire
from pyopenadr.v2.wire.enumeration import CURRENCIES, CURRENCY_DESCRIPTIONS, POWER_REAL_UNITS, TEMPERATURE_UNITS

__all__ = ["lift_unit", "lower_unit"]

# What the schema wants in itemDescription and itemUnits, where it is a fixed text (or, for the symbol, one of some).
_DESCRIPTIONS = {
    "voltage": "Voltage",
    "energyReal": "RealEnergy",
    "energyApparent": "ApparentEnergy",
    "energyReactive": "ReactiveEnergy",
    "powerReal": "RealPower",
    "powerApparent": "ApparentPower",
    "powerReactive": "ReactivePower",
    "current": "Current",
    "frequency": "Frequency",
    "Therm": "Therm",
    "temperature": "temperature",
    "pulseCount": "pulse count",
    "currency": "currency",
    "currencyPerKW": "currencyPerKW",
    "currencyPerKWh": "currencyPerKWh",
    "currencyPerThm": "currency",  # the schema's list has no currencyPerThm
}
_SYMBOLS = {
    "voltage": ("V",),
    "energyReal": ("Wh",),
    "energyApparent": ("VAh",),
    "energyReactive": ("VARh",),
    "powerReal": POWER_REAL_UNITS,
    "powerApparent": ("VA",),
    "powerReactive": ("VAR",),
    "current": ("A",),
    "frequency": ("Hz",),
    "Therm": ("thm",),
    "temperature": TEMPERATURE_UNITS,
    "pulseCount": ("count",),
    "currency": CURRENCIES,
    "currencyPerKW": CURRENCIES,
    "currencyPerKWh": CURRENCIES,
    "currencyPerThm": CURRENCIES,
}
_POWER = ("powerReal", "powerApparent", "powerReactive")
_PULSES = "pulseCount"
_GREEN_BUTTON = "oadrGBDataDescription"
_NAMES = (*_SYMBOLS, "customUnit", _GREEN_BUTTON)
# Units whose symbol nobody can guess.
_CHOICE = ("temperature", "currency", "currencyPerKW", "currencyPerKWh", "currencyPerThm")


def lift_unit(item: wire.ItemBase | None) -> Unit | None:
    """The unit that an itemBase element gives; None stays None."""
    if item is None:
        return None
    power = item.power_attributes
    description = item.item_description
    return Unit(
        name=item.element,
        symbol=item.item_units,
        scale=item.si_scale_code or "none",
        description=None if description == _DESCRIPTIONS.get(item.element) else description,
        hertz=power.hertz if power is not None else None,
        voltage=power.voltage if power is not None else None,
        ac=power.ac if power is not None else None,
        pulse_factor=item.pulse_factor,
        feed=item.feed,
    )


def lower_unit(unit: Unit | None) -> wire.ItemBase | None:
    """The itemBase element of a unit, with the texts that the standard fixes.

    Raises:
        ModelError: the standard has no such unit, or the unit lacks what its element needs, or has more than that.
    """
    if unit is None:
        return None
    _check_parts(unit)
    if unit.name == _GREEN_BUTTON:
        return wire.ItemBase(element=unit.name, feed=unit.feed)
    power = None
    if unit.hertz is not None and unit.voltage is not None and unit.ac is not None:
        power = wire.PowerAttributes(hertz=unit.hertz, voltage=unit.voltage, ac=unit.ac)
    return wire.ItemBase(
        element=unit.name,
        item_description=_description(unit),
        item_units=_symbol(unit),
        si_scale_code=None if unit.name == _PULSES else unit.scale,
        power_attributes=power,
        pulse_factor=unit.pulse_factor,
    )


def _check_parts(unit: Unit) -> None:
    """Whether the unit has the parts that its element has, and no others."""
    if unit.name not in _NAMES:
        raise ModelError(f"the standard has no unit {unit.name!r}: use one of {', '.join(_NAMES)}")
    needs = {"hertz", "voltage", "ac"} if unit.name in _POWER else set()
    if unit.name == _PULSES:
        needs = {"pulse_factor"}
    if unit.name == _GREEN_BUTTON:
        needs = {"feed"}
    has = {name for name in ("hertz", "voltage", "ac", "pulse_factor", "feed") if getattr(unit, name) is not None}
    if missing := sorted(needs - has):
        raise ModelError(f"the unit {unit.name} needs {', '.join(missing)}: 2.0b requires it")
    if unit.name in (_PULSES, _GREEN_BUTTON) and unit.scale != "none":
        has.add("scale")
    if unit.name == _GREEN_BUTTON:
        has |= {name for name in ("symbol", "description") if getattr(unit, name) is not None}
    if extra := sorted(has - needs):
        raise ModelError(f"the unit {unit.name} has no {', '.join(extra)}: leave it out")


def _description(unit: Unit) -> str:
    standard = _DESCRIPTIONS.get(unit.name)
    if unit.description is None:
        return standard if standard is not None else ""
    allowed = CURRENCY_DESCRIPTIONS if unit.name.startswith("currency") else (standard,)
    if standard is not None and unit.description not in allowed:
        raise ModelError(f"the description of {unit.name} is {standard!r}, not {unit.description!r}: leave it out")
    return unit.description


def _symbol(unit: Unit) -> str:
    symbols = _SYMBOLS.get(unit.name)
    if symbols is None:
        return unit.symbol or ""
    if unit.symbol is None and unit.name not in _CHOICE:
        return symbols[0]
    if unit.symbol not in symbols:
        listed = ", ".join(symbols) if len(symbols) < 5 else "a currency code of ISO 4217 as of 2010, such as EUR"
        raise ModelError(f"the symbol of {unit.name} is {listed}, not {unit.symbol!r}")
    return unit.symbol
