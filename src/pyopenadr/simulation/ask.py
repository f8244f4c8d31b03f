"""What a device is asked for at a moment: the signals that apply, boiled down to what a model can follow."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pyopenadr.model import Unit
from pyopenadr.model.timeline import Step

__all__ = ["NOTHING", "USUAL_PRICE", "Ask", "ask_of"]

USUAL_PRICE = 0.25
"""What a kWh costs on an ordinary day, in the currency of the signals."""
HIGHEST_LEVEL = 3.0

_PRICES = ("ELECTRICITY_PRICE", "ENERGY_PRICE")


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a device.

    `curtail` is how much of what it can do without it should do without: 0 nothing, 1 all of it; below 0 it is
    welcome to use more. The other three bound its power: to `limit_kw`, to what it would use now plus `delta_kw`, and
    to `share` of its greatest power or, with `of_usual`, of what it would use now.
    """

    curtail: float = 0.0
    limit_kw: float | None = None
    delta_kw: float | None = None
    share: float | None = None
    of_usual: bool = False

    def limit(self, usual_kw: float, rated_kw: float) -> float | None:
        """The lowest of the bounds in kW, for a device that would use `usual_kw` now and can use `rated_kw`."""
        bounds = []
        if self.limit_kw is not None:
            bounds.append(self.limit_kw)
        if self.delta_kw is not None:
            bounds.append(usual_kw + self.delta_kw)
        if self.share is not None:
            bounds.append(self.share * (usual_kw if self.of_usual else rated_kw))
        return min(bounds, default=None)


NOTHING = Ask()
"""Nothing is asked."""


def ask_of(steps: Iterable[Step], *, usual_price: float = USUAL_PRICE) -> Ask:
    """What the steps that apply now ask for. Signals that no model here can follow ask for nothing.

    SIMPLE levels ask for a third, two thirds or all of what can be done without; so do prices, in proportion, from the
    usual one to twice that. LOAD_DISPATCH setpoint, delta and multiplier and the capacity of LOAD_CONTROL bound the
    power of each VEN. Where several ask, the strictest counts.
    """
    curtails = [0.0]
    welcome = 0.0
    found: dict[str, float] = {}
    of_usual = False
    for step in steps:
        match step.signal.signal_name, step.signal.signal_type:
            case "SIMPLE", _:
                curtails.append(step.value / HIGHEST_LEVEL)
            case name, kind if name in _PRICES:
                above = _above(kind, step.value, usual_price)
                curtails.append(above)
                welcome = min(welcome, above)
            case "LOAD_DISPATCH", "setpoint":
                found["limit_kw"] = _kilowatts(step.value, step.signal.unit)
            case "LOAD_DISPATCH", "delta":
                found["delta_kw"] = _kilowatts(step.value, step.signal.unit)
            case "LOAD_DISPATCH", "multiplier":
                found["share"], of_usual = step.value, True
            case "LOAD_CONTROL", "x-loadControlCapacity":
                found["share"], of_usual = step.value, False
    strictest = max(curtails)
    curtail = strictest if strictest > 0.0 else welcome
    return Ask(curtail=max(-1.0, min(1.0, curtail)), of_usual=of_usual, **found)


def _above(kind: str, value: float, usual: float) -> float:
    """By which share of the usual price this one is above it."""
    match kind:
        case "priceMultiplier":
            return value - 1.0
        case "priceRelative":
            return value / usual
    return value / usual - 1.0


def _kilowatts(value: float, unit: Unit | None) -> float:
    return value * (unit.factor if unit is not None else 1000.0) / 1000.0
