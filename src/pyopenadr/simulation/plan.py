"""What is simulated: how many VENs with which devices, the events, the faults, and the times of it all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from pyopenadr.errors import ConfigError
from pyopenadr.model import Event, Interval, Signal, Unit
from pyopenadr.simulation.ask import USUAL_PRICE
from pyopenadr.simulation.fault import NO_FAULTS, Faults

__all__ = ["MIX", "Plan", "event_in_words", "parse_duration"]

MIX: Mapping[str, float] = {"thermostat": 4.0, "battery": 1.0, "ev": 2.0, "flexible": 3.0}
"""The weights of the kinds of devices, if nothing else is said."""

_FORM = re.compile(
    r"(?P<name>[A-Za-z0-9_-]+)(?:/(?P<type>[A-Za-z0-9-]+))? +(?P<values>-?[0-9.]+(?:,-?[0-9.]+)*)"
    r" +at +\+(?P<start>\S+) +for +(?P<length>\S+)"
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_POWER = Unit(name="powerReal", symbol="W", scale="k", hertz=50.0, voltage=230.0, ac=True)
_PRICE = Unit(name="currencyPerKWh", symbol="EUR")
_SIGNALS: Mapping[str, tuple[str, Mapping[str, Unit]]] = {
    "SIMPLE": ("level", {}),
    "ELECTRICITY_PRICE": ("price", {"price": _PRICE, "priceRelative": _PRICE}),
    "ENERGY_PRICE": ("price", {"price": _PRICE, "priceRelative": _PRICE}),
    "LOAD_DISPATCH": ("setpoint", {"setpoint": _POWER, "delta": _POWER}),
    "LOAD_CONTROL": ("x-loadControlCapacity", {}),
}
"""The type of each signal if none is said, and the unit of each type."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A simulation.

    Args:
        vens: how many VENs there are.
        devices: the weights of the kinds of devices, of which each VEN has one.
        start: when it begins, by the clock of the simulation; whole minutes are best.
        length: how long it lasts.
        events: what the VTN of the simulation publishes as soon as the VENs have had the time to register.
        opt_out: the share of the VENs that opt out of whatever comes.
        faults: what goes wrong; nothing does in the last `settle` of the time, so that all can recover.
        step: for how long the power of a device stays as it is.
        poll: how often the VTN of the simulation has the VENs poll; whole seconds.
        telemetry: how often each VEN reports its power, as the mean of that time; whole seconds.
        ramp: over which time the VENs begin.
        usual_price: the price of a kWh from which on prices ask for less.
        seed: what all lots are drawn from.

    Raises:
        ConfigError: a value makes no sense.
    """

    vens: int = 100
    devices: Mapping[str, float] = msgspec.field(default_factory=lambda: MIX)
    start: datetime
    length: timedelta
    events: tuple[Event, ...] = ()
    opt_out: float = 0.05
    faults: Faults = NO_FAULTS
    step: timedelta = timedelta(minutes=1)
    poll: timedelta = timedelta(minutes=1)
    telemetry: timedelta = timedelta(minutes=5)
    ramp: timedelta = timedelta(minutes=1)
    settle: timedelta = timedelta(minutes=10)
    usual_price: float = USUAL_PRICE
    seed: int = 0

    def __post_init__(self) -> None:
        if self.vens < 1:
            raise ConfigError(f"vens must be 1 or more, not {self.vens}")
        if not 0.0 <= self.opt_out <= 1.0:
            raise ConfigError(f"opt_out is a share from 0 to 1, not {self.opt_out}")
        if not self.usual_price > 0.0:
            raise ConfigError(f"usual_price must be positive, not {self.usual_price}")
        if self.start.tzinfo is None:
            raise ConfigError("start must have a time zone, such as UTC")
        for name in ("length", "step", "poll", "telemetry"):
            if getattr(self, name) <= timedelta(0):
                raise ConfigError(f"{name} must be positive, not {getattr(self, name)}")
        if self.ramp < timedelta(0) or self.settle < timedelta(0):
            raise ConfigError("ramp and settle must not be negative")
        for name in ("poll", "telemetry"):
            if getattr(self, name).microseconds:
                raise ConfigError(
                    f"{name} must be in whole seconds, not {getattr(self, name)}: 2.0b has no parts of them"
                )

    @property
    def end(self) -> datetime:
        """When it ends."""
        return self.start + self.length

    @property
    def faults_until(self) -> datetime:
        """From when on nothing goes wrong any more."""
        return max(self.start, self.end - self.settle)


def parse_duration(text: str) -> timedelta:
    """A duration in few words: 90s, 10m, 1.5h, 2d, 1h30m.

    Raises:
        ConfigError: it is none.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ConfigError(f"{text!r} is no duration: write 90s, 10m, 1h30m or 2d")
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))


def event_in_words(text: str, start: datetime, *, event_id: str = "event-1") -> Event:
    """The event that is said as `SIMPLE 2 at +10m for 1h`, counted from `start`.

    Several values, as in `SIMPLE 1,3,1 at +10m for 90m`, have an equal part of the time each. After the name of the
    signal stands its type, as in `LOAD_DISPATCH/delta -2 at +5m for 30m`, if it is not the usual one: level of SIMPLE,
    price of prices (per kWh), setpoint of LOAD_DISPATCH (kW), x-loadControlCapacity of LOAD_CONTROL.

    Raises:
        ConfigError: it is not said in that form.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{text!r} is no event: write for example 'SIMPLE 2 at +10m for 1h'")
    name = found["name"]
    usual_type, units = _SIGNALS.get(name, ("level", {}))
    kind = found["type"] or usual_type
    try:
        values = [float(value) for value in found["values"].split(",")]
    except ValueError as error:
        raise ConfigError(f"{text!r} has a value that is no number: {error}") from error
    length = parse_duration(found["length"])
    each = length / len(values)
    if each.microseconds or each <= timedelta(0):
        raise ConfigError(f"{text!r}: each of the {len(values)} values must last whole seconds, not {each}")
    signal = Signal(
        signal_name=name,
        signal_type=kind,
        signal_id="signal-1",
        unit=units.get(kind),
        intervals=tuple(Interval(each, value) for value in values),
    )
    return Event(
        event_id=event_id,
        start=(start + parse_duration(found["start"])).astimezone(UTC).replace(microsecond=0),
        duration=length,
        signals=(signal,),
        created_date_time=start,
        market_context="http://localhost/simulation",
    )
