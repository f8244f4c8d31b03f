"""Events in a few words, and plans that make sense."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pyopenadr.errors import ConfigError
from pyopenadr.model import Interval
from pyopenadr.simulation import Plan, event_in_words, parse_duration
from pyopenadr.v2.vtn import check_event

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_an_event_in_words() -> None:
    event = event_in_words("SIMPLE 1,2.0,1 at +10m for 1h30m", START, event_id="peak")
    [signal] = event.signals
    assert (event.event_id, event.start, event.duration) == ("peak", START + 10 * MINUTE, 90 * MINUTE)
    assert (signal.signal_name, signal.signal_type, signal.unit) == ("SIMPLE", "level", None)
    assert signal.intervals == tuple(Interval(30 * MINUTE, value) for value in (1.0, 2.0, 1.0))


@pytest.mark.parametrize(
    "text",
    [
        "SIMPLE 2 at +10m for 1h",
        "ELECTRICITY_PRICE 0.50 at +0s for 90s",
        "ENERGY_PRICE/priceMultiplier 2 at +1d for 2h",
        "LOAD_DISPATCH/delta -2.5 at +5m for 30m",
        "LOAD_DISPATCH 1.5 at +5m for 30m",
        "LOAD_CONTROL 0.5 at +5m for 30m",
    ],
)
def test_what_is_said_is_legal(text: str) -> None:
    check_event(event_in_words(text, START))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("SIMPLE 2", "is no event"),
        ("SIMPLE 2 at 10m for 1h", "is no event"),
        ("SIMPLE 1.2.3 at +10m for 1h", "no number"),
        ("SIMPLE 2 at +10 for 1h", "'10' is no duration"),
        ("SIMPLE 2 at +10m for 1w", "'1w' is no duration"),
        ("SIMPLE 1,2,3 at +10m for 1s", "whole seconds"),
    ],
)
def test_what_is_said_otherwise_is_refused(text: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        event_in_words(text, START)


def test_durations() -> None:
    assert parse_duration("1d2h3m4s") == timedelta(days=1, hours=2, minutes=3, seconds=4)
    assert parse_duration("1.5h") == 90 * MINUTE


@pytest.mark.parametrize(
    "settings",
    [
        {"vens": 0},
        {"opt_out": 1.1},
        {"usual_price": 0.0},
        {"start": START.replace(tzinfo=None)},
        {"step": timedelta(0)},
        {"ramp": -MINUTE},
        {"poll": timedelta(seconds=1.5)},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        Plan(**{"start": START, "length": 10 * MINUTE, **settings})


def test_nothing_goes_wrong_in_the_end() -> None:
    plan = Plan(start=START, length=30 * MINUTE, settle=10 * MINUTE)
    assert plan.faults_until == START + 20 * MINUTE
    assert Plan(start=START, length=5 * MINUTE).faults_until == START
