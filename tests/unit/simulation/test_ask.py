"""What devices make of the signals that apply."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pyopenadr.model import Event, Interval, Signal, Span, Unit
from pyopenadr.model.timeline import Step
from pyopenadr.simulation import NOTHING, Ask, ask_of

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KW = Unit(name="powerReal", symbol="W", scale="k", hertz=50.0, voltage=230.0, ac=True)


def step(name: str, kind: str, value: float, unit: Unit | None = None) -> Step:
    signal = Signal(signal_name=name, signal_type=kind, signal_id="s", unit=unit, intervals=(Interval(HOUR, value),))
    event = Event(
        event_id="e",
        start=NOON,
        duration=HOUR,
        signals=(signal,),
        created_date_time=NOON,
        market_context="http://localhost",
    )
    return Step(span=Span(NOON, NOON + HOUR), resource="", device_class="", event=event, signal=signal, number=0)


@pytest.mark.parametrize(
    ("steps", "ask"),
    [
        ([], NOTHING),
        ([step("SIMPLE", "level", 0)], NOTHING),
        ([step("SIMPLE", "level", 3)], Ask(curtail=1.0)),
        ([step("ELECTRICITY_PRICE", "price", 0.375)], Ask(curtail=0.5)),
        ([step("ELECTRICITY_PRICE", "price", 9.0)], Ask(curtail=1.0)),
        ([step("ELECTRICITY_PRICE", "price", 0.125)], Ask(curtail=-0.5)),
        ([step("ENERGY_PRICE", "priceRelative", 0.125)], Ask(curtail=0.5)),
        ([step("ENERGY_PRICE", "priceMultiplier", 1.5)], Ask(curtail=0.5)),
        ([step("ENERGY_PRICE", "price", 0.1), step("SIMPLE", "level", 3)], Ask(curtail=1.0)),
        ([step("LOAD_DISPATCH", "setpoint", 3.0, KW)], Ask(limit_kw=3.0)),
        ([step("LOAD_DISPATCH", "setpoint", 3000.0, Unit(name="powerReal", symbol="W"))], Ask(limit_kw=3.0)),
        ([step("LOAD_DISPATCH", "delta", -2.0, KW)], Ask(delta_kw=-2.0)),
        ([step("LOAD_DISPATCH", "multiplier", 0.5)], Ask(share=0.5, of_usual=True)),
        ([step("LOAD_CONTROL", "x-loadControlCapacity", 0.5)], Ask(share=0.5)),
        ([step("BID_PRICE", "price", 4.0), step("x-mine", "level", 4.0)], NOTHING),
    ],
)
def test_signals_ask(steps: list[Step], ask: Ask) -> None:
    assert ask_of(steps) == ask


def test_the_usual_price_can_be_another() -> None:
    assert ask_of([step("ELECTRICITY_PRICE", "price", 30.0)], usual_price=20.0) == Ask(curtail=0.5)


def test_the_strictest_bound_counts() -> None:
    assert NOTHING.limit(3.0, 5.0) is None
    assert Ask(limit_kw=2.5, delta_kw=-1.0, share=0.6).limit(3.0, 5.0) == 2.0
    assert Ask(share=0.5, of_usual=True).limit(3.0, 5.0) == 1.5
    assert Ask(share=0.5).limit(3.0, 5.0) == 2.5
