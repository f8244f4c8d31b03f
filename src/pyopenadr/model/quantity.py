"""What a number measures: unit, scale, currency."""

from __future__ import annotations

import msgspec

from pyopenadr.errors import ModelError

__all__ = ["SCALE", "Unit"]

SCALE: dict[str, int] = {
    "p": -12, "n": -9, "micro": -6, "m": -3, "c": -2, "d": -1, "none": 0, "k": 3, "M": 6, "G": 9, "T": 12,
}  # fmt: skip
"""Power of ten of each siScaleCode."""


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """The unit of a value.

    `name` is the standard's name of the quantity: voltage, energyReal, energyApparent, energyReactive, powerReal,
    powerApparent, powerReactive, current, frequency, Therm, temperature, pulseCount, currency, currencyPerKW,
    currencyPerKWh, currencyPerThm, customUnit or oadrGBDataDescription. `symbol` is the unit proper (`W`, `Wh`,
    `EUR`, `celsius`), `scale` the siScaleCode (`k` for kilo, `none` for 1; see `SCALE`). `description` is free text
    for customUnit and the standard's own text elsewhere; None means that text. `hertz`, `voltage` and `ac` belong
    to the three power units, `pulse_factor` (kWh per count) to pulseCount, `feed` (an atom feed as XML text) to
    Green Button.
    """

    name: str
    symbol: str | None = None
    scale: str = "none"
    description: str | None = None
    hertz: float | None = None
    voltage: float | None = None
    ac: bool | None = None
    pulse_factor: float | None = None
    feed: str | None = None

    def __post_init__(self) -> None:
        if self.scale not in SCALE:
            raise ModelError(f"scale {self.scale!r} is no siScaleCode: use one of {', '.join(SCALE)}")

    @property
    def factor(self) -> float:
        """What to multiply a value by to get it in the unscaled unit (1000.0 for kilo)."""
        return float(10.0 ** SCALE[self.scale])
