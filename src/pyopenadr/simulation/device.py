"""Models of devices: their state, and the power that they draw when something is asked of them, and when not.

They know no clock: `step` moves a device on by some seconds, and lots are drawn from a `random.Random` that is given.
A device draws the same number of lots in each step whatever is asked of it, so that a copy of which nothing is asked
lives through the same day: that is the baseline. Powers are in kW, drawn from the grid if positive; energies in kWh.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from pyopenadr.errors import ConfigError
from pyopenadr.simulation.ask import Ask

__all__ = ["KINDS", "Battery", "Device", "ElectricVehicle", "FlexibleLoad", "Thermostat", "make_device"]

_HOUR_S = 3600.0


@dataclass(kw_only=True)
class Device(ABC):
    """A device at a site. `rated_kw` is the greatest power that it draws."""

    kind: ClassVar[str]

    rated_kw: float

    @abstractmethod
    def step(self, ask: Ask, dt_s: float, draw: random.Random) -> float:
        """Live through `dt_s` seconds in which `ask` holds; the mean power in kW."""


@dataclass(kw_only=True)
class Thermostat(Device):
    """A room kept cool by a heat pump with a variable speed.

    It is kept at `target_c`; what is asked may let it become warmer, but never warmer than `comfort_c`, as far as
    `rated_kw` suffices for that. `heat_kwh_k` is the heat that warms the room by one kelvin, `loss_kw_k` how much
    comes in from `outdoor_c` for each kelvin of difference, `gain_kw` the heat of people and machines on average, and
    `cop` how much heat a kW of power takes out.
    """

    kind = "thermostat"

    temperature_c: float
    target_c: float = 22.0
    comfort_c: float = 25.0
    outdoor_c: float = 33.0
    heat_kwh_k: float = 2.5
    loss_kw_k: float = 0.35
    gain_kw: float = 1.0
    cop: float = 3.0

    def step(self, ask: Ask, dt_s: float, draw: random.Random) -> float:
        gain = self.gain_kw * draw.uniform(0.8, 1.2)
        usual = self._power_for(self.target_c, gain, dt_s)
        relief = max(0.0, ask.curtail) * (self.comfort_c - self.target_c)
        power = self._power_for(self.target_c + relief, gain, dt_s)
        limit = ask.limit(usual, self.rated_kw)
        if limit is not None:
            power = max(min(power, limit), self._power_for(self.comfort_c, gain, dt_s))
        decay = math.exp(-self._rate(dt_s))
        final = self._final(power, gain)
        self.temperature_c = final + (self.temperature_c - final) * decay
        return power

    def _rate(self, dt_s: float) -> float:
        return self.loss_kw_k * dt_s / _HOUR_S / self.heat_kwh_k

    def _final(self, power: float, gain: float) -> float:
        """The temperature that the room would have in the end, with that power."""
        return self.outdoor_c + (gain - self.cop * power) / self.loss_kw_k

    def _power_for(self, temperature_c: float, gain: float, dt_s: float) -> float:
        """The power with which the room has that temperature after `dt_s`, as far as there is one."""
        decay = math.exp(-self._rate(dt_s))
        final = (temperature_c - self.temperature_c * decay) / (1.0 - decay)
        power = (gain - (final - self.outdoor_c) * self.loss_kw_k) / self.cop
        return max(0.0, min(self.rated_kw, power))


@dataclass(kw_only=True)
class Battery(Device):
    """A battery behind the meter of a house that uses `load_kw` on average.

    At rest it holds `rest_kwh`, and goes back to that slowly after it was needed. It is never emptied below
    `reserve_kwh`. `efficiency` is what is left of energy that goes in, and again of energy that comes out.
    `battery_kw` is the most that goes in or out, on the side of the grid.
    """

    kind = "battery"

    capacity_kwh: float
    energy_kwh: float
    rest_kwh: float
    reserve_kwh: float = 0.0
    battery_kw: float = 5.0
    efficiency: float = 0.95
    load_kw: float = 0.8
    recharge_share: float = 0.3

    def step(self, ask: Ask, dt_s: float, draw: random.Random) -> float:
        hours = dt_s / _HOUR_S
        load = self.load_kw * draw.uniform(0.7, 1.3)
        if ask.curtail:
            wanted = -ask.curtail * self.battery_kw
        else:
            missing = self.rest_kwh - self.energy_kwh
            wanted = missing / self.efficiency / hours if missing > 0.0 else missing * self.efficiency / hours
            gentle = self.recharge_share * self.battery_kw
            wanted = max(-gentle, min(gentle, wanted))
        limit = ask.limit(load, self.rated_kw)
        if limit is not None:
            wanted = min(wanted, limit - load)
        return load + self._move(wanted, hours)

    def _move(self, wanted_kw: float, hours: float) -> float:
        """Charge (positive) or discharge as far as the battery can; the power on the side of the grid."""
        most_in = (self.capacity_kwh - self.energy_kwh) / self.efficiency / hours
        most_out = max(0.0, self.energy_kwh - self.reserve_kwh) * self.efficiency / hours
        power = max(-self.battery_kw, -most_out, min(self.battery_kw, most_in, wanted_kw))
        self.energy_kwh += hours * (power * self.efficiency if power > 0.0 else power / self.efficiency)
        self.energy_kwh = max(0.0, min(self.capacity_kwh, self.energy_kwh))  # what rounding has left over
        return power


@dataclass(kw_only=True)
class ElectricVehicle(Device):
    """A car that is plugged in after `arrives_s`, needs `missing_kwh`, and leaves after `leaves_s`, both from now on.

    By itself it charges as fast as it can. It follows what is asked as long as it will still be full when it leaves.
    `efficiency` is what of the energy drawn gets into its battery. When it has left it draws nothing.
    """

    kind = "ev"

    missing_kwh: float
    arrives_s: float
    leaves_s: float
    efficiency: float = 0.92

    def step(self, ask: Ask, dt_s: float, draw: random.Random) -> float:
        plugged_s = max(0.0, min(dt_s, self.leaves_s) - max(0.0, self.arrives_s))
        self.arrives_s -= dt_s
        self.leaves_s -= dt_s
        hours = plugged_s / _HOUR_S
        if hours <= 0.0 or self.missing_kwh <= 0.0:
            return 0.0
        most = min(self.rated_kw, self.missing_kwh / self.efficiency / hours)
        power = min(most, self.rated_kw * (1.0 - max(0.0, ask.curtail)))
        limit = ask.limit(most, self.rated_kw)
        if limit is not None:
            power = min(power, max(0.0, limit))
        later_kwh = self.rated_kw * self.efficiency * max(0.0, self.leaves_s) / _HOUR_S
        needed = (self.missing_kwh - later_kwh) / self.efficiency / hours
        power = min(most, max(power, needed))
        self.missing_kwh = max(0.0, self.missing_kwh - power * self.efficiency * hours)
        return power * plugged_s / dt_s


@dataclass(kw_only=True)
class FlexibleLoad(Device):
    """A process, such as pumps or cold stores, that can put off the share `flexible` of what it does.

    `payback` of what was put off has to be made up for later, at `catch_up_kw` at most. Its usual power is `usual_kw`
    on average, and wanders around that by `unrest`.
    """

    kind = "flexible"

    usual_kw: float
    flexible: float = 0.5
    payback: float = 0.6
    catch_up_kw: float = 1.0
    unrest: float = 0.05
    owed_kwh: float = 0.0
    drift: float = 0.0

    def step(self, ask: Ask, dt_s: float, draw: random.Random) -> float:
        hours = dt_s / _HOUR_S
        self.drift = 0.9 * self.drift + self.unrest * max(-2.0, min(2.0, draw.gauss(0.0, 1.0)))
        usual = min(self.rated_kw, self.usual_kw * max(0.0, 1.0 + self.drift))
        shed = max(0.0, ask.curtail) * self.flexible * usual
        limit = ask.limit(usual, self.rated_kw)
        if limit is not None:
            shed = max(shed, min(usual - limit, self.flexible * usual))
        made_up = 0.0
        if shed <= 0.0:
            made_up = min(self.catch_up_kw, self.owed_kwh / hours, self.rated_kw - usual)
            if limit is not None:
                made_up = max(0.0, min(made_up, limit - usual))
        self.owed_kwh = max(0.0, self.owed_kwh + (shed * self.payback - made_up) * hours)
        return usual - shed + made_up


def _thermostat(draw: random.Random) -> Device:
    target = draw.uniform(21.0, 23.5)
    return Thermostat(
        rated_kw=draw.uniform(3.0, 4.5),
        temperature_c=target,
        target_c=target,
        comfort_c=target + draw.uniform(1.5, 3.0),
        outdoor_c=draw.uniform(30.0, 35.0),
        heat_kwh_k=draw.uniform(1.5, 4.0),
        loss_kw_k=draw.uniform(0.2, 0.4),
        gain_kw=draw.uniform(0.5, 1.5),
        cop=draw.uniform(2.6, 3.6),
    )


def _battery(draw: random.Random) -> Device:
    capacity, power = draw.uniform(8.0, 15.0), draw.uniform(3.0, 6.0)
    return Battery(
        rated_kw=power + 2.0,
        capacity_kwh=capacity,
        energy_kwh=0.7 * capacity,
        rest_kwh=0.7 * capacity,
        reserve_kwh=0.1 * capacity,
        battery_kw=power,
        load_kw=draw.uniform(0.4, 1.5),
    )


def _vehicle(draw: random.Random) -> Device:
    arrives = draw.uniform(-2.0, 0.5) * _HOUR_S
    return ElectricVehicle(
        rated_kw=draw.choice((3.7, 7.4, 11.0)),
        missing_kwh=draw.uniform(8.0, 30.0),
        arrives_s=arrives,
        leaves_s=draw.uniform(8.5, 11.0) * _HOUR_S,
    )


def _flexible(draw: random.Random) -> Device:
    usual = draw.uniform(2.0, 8.0)
    return FlexibleLoad(
        rated_kw=1.6 * usual,
        usual_kw=usual,
        flexible=draw.uniform(0.3, 0.7),
        payback=draw.uniform(0.3, 0.9),
        catch_up_kw=0.25 * usual,
    )


KINDS = MappingProxyType(
    {"thermostat": _thermostat, "battery": _battery, "ev": _vehicle, "flexible": _flexible},
)
"""How a device of each kind is made."""


def make_device(mix: Mapping[str, float], draw: random.Random) -> Device:
    """A device of a kind that is drawn by the weights in `mix`, with properties that are drawn too.

    Raises:
        ConfigError: the mix names something else, or has no weight.
    """
    unknown = sorted(set(mix) - set(KINDS))
    if unknown or not all(weight >= 0.0 for weight in mix.values()) or not sum(mix.values()) > 0.0:
        wrong = f"not {', '.join(unknown)}" if unknown else "with weights that are not negative, and one above 0"
        raise ConfigError(f"the devices are {', '.join(KINDS)}, {wrong}")
    [kind] = draw.choices(list(mix), weights=list(mix.values()))
    return KINDS[kind](draw)
