"""Reports that are declared in a line."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ConfigError
from pyopenadr.model import DataPoint, ResourceStatus, Target, Unit
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge import lower_unit
from pyopenadr.ven import data_point
from pyopenadr.ven.declaration import unit_of
from tests.unit.ven.scripted import NOW, ScriptedVtn, client_of, running
from tests.unit.ven.test_report import asked, piggyback, readings

KILOWATT = Unit(name="powerReal", symbol="W", scale="k", hertz=50.0, voltage=230.0, ac=True)
SECOND = timedelta(seconds=1)


def test_a_line_is_enough() -> None:
    client = client_of(ScriptedVtn())
    client.add_report(reading="powerReal", resource_id="boiler", unit="kW", sampling=(10, timedelta(minutes=15)))
    (capability,) = client.capabilities
    assert (capability.report_name, capability.duration) == ("TELEMETRY_USAGE", timedelta(hours=1))
    assert capability.points == (
        DataPoint(
            r_id="boiler-powerReal",
            unit=KILOWATT,
            data_source=Target(resource_ids=("boiler",)),
            min_period=10 * SECOND,
            max_period=900 * SECOND,
        ),
    )


def test_a_report_of_several_points_is_declared_with_the_same_words() -> None:
    client = client_of(ScriptedVtn())
    client.add_report(points=[data_point("powerReal", unit="kW", r_id="p"), data_point("energyReal", unit="kWh")])
    (capability,) = client.capabilities
    assert [(it.r_id, it.unit and it.unit.symbol) for it in capability.points] == [("p", "W"), ("energyReal", "Wh")]
    assert {it.max_period for it in capability.points} == {timedelta(hours=1)}


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ({"reading": "powerReal"}, "TELEMETRY_USAGE"),
        ({"reading": "pulseCount"}, "TELEMETRY_USAGE"),
        ({"reading": "status", "resource_id": "r"}, "TELEMETRY_STATUS"),
        ({"reading": "voltage"}, "x-TELEMETRY_USAGE"),
        ({"reading": "powerReal", "reading_type": "Mean"}, "x-TELEMETRY_USAGE"),
        ({"reading": "powerReal", "reading_type": "Projected"}, "x-TELEMETRY_USAGE"),
        ({"reading": "powerReal", "report_type": "baseline"}, "x-TELEMETRY_USAGE"),
        ({"reading": "humidity", "unit": "%"}, "x-TELEMETRY_USAGE"),
        ({"reading": "powerReal", "report_name": "HISTORY_USAGE"}, "HISTORY_USAGE"),
        ({"reading": "powerReal", "report_name": "x-mine"}, "x-mine"),
    ],
)
def test_the_name_is_the_standards_only_where_it_fits(words: dict[str, Any], name: str) -> None:
    """2.0b rule 331."""
    client = client_of(ScriptedVtn())
    client.add_report(**words)
    assert client.capabilities[0].report_name == name


def test_a_history_goes_back_thirty_days() -> None:
    client = client_of(ScriptedVtn())
    client.add_report("HISTORY_USAGE", reading="energyReal", unit="kWh")
    assert client.capabilities[0].duration == timedelta(days=30)


def test_what_differs_has_another_rid() -> None:
    kinds: list[dict[str, Any]] = [{}, {"reading_type": "Mean"}, {"report_type": "baseline"}, {"resource_id": "a"}]
    assert len({data_point("powerReal", **kind).r_id for kind in kinds}) == len(kinds)


@pytest.mark.parametrize(
    ("reading", "text", "symbol", "scale"),
    [
        ("powerReal", "kW", "W", "k"),
        ("powerReal", None, "W", "none"),
        ("powerReactive", "kvar", "VAR", "k"),
        ("energyReal", "MWh", "Wh", "M"),
        ("temperature", "°C", "celsius", "none"),
        ("voltage", "mV", "V", "m"),
        ("current", "µA", "A", "micro"),
        ("currencyPerKWh", "EUR", "EUR", "none"),
        ("Therm", "therm", "thm", "none"),
        ("pulseCount", None, "count", "none"),
    ],
)
def test_units_as_people_write_them(reading: str, text: str | None, symbol: str, scale: str) -> None:
    unit = unit_of(reading, text)
    assert (unit.name, unit.symbol, unit.scale) == (reading, symbol, scale)
    assert lower_unit(unit) is not None


def test_a_unit_of_ones_own() -> None:
    assert unit_of("humidity", "%") == Unit(name="customUnit", symbol="%", description="humidity")


def test_a_unit_may_be_given_whole() -> None:
    american = Unit(name="powerReal", symbol="W", hertz=60.0, voltage=120.0, ac=True)
    assert data_point("powerReal", unit=american).unit == american


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({}, "say what the report holds"),
        ({"reading": "powerReal", "unit": "kWh"}, "not measured in 'kWh'"),
        ({"reading": "powerReal", "unit": "xW"}, "not measured in 'xW'"),
        ({"reading": "powerReal", "unit": Unit(name="voltage")}, "none of powerReal"),
        ({"reading": "currency"}, "needs a unit"),
        ({"reading": "currency", "unit": "florin"}, "can't be offered"),
        ({"reading": "status", "unit": "W"}, "has no unit"),
        ({"reading": "powerReal", "sampling": (60, 10)}, "shortest, longest"),
        ({"reading": "powerReal", "points": [DataPoint(r_id="p")]}, "not in both places"),
        ({"points": [DataPoint(r_id="p", unit=Unit(name="powerReal"))]}, "needs ac, hertz, voltage"),
    ],
)
def test_nonsense_is_refused_when_it_is_declared(words: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        client_of(ScriptedVtn()).add_report(**words)


async def test_a_status_is_declared_and_delivered() -> None:
    vtn, clock = ScriptedVtn(), FakeClock(NOW)
    client = client_of(vtn, clock)

    async def state() -> ResourceStatus:
        return ResourceStatus(online=True, manual_override=False)

    client.add_report(reading="status", resource_id="boiler", report_specifier_id="spec", source=state)
    piggyback(vtn, asked("boiler-status"))
    async with running(client, clock):
        description = vtn.last(wire.OadrRegisterReport).reports[0].report_descriptions[0]
        assert (description.report_type, description.reading_type) == ("x-resourceStatus", "x-notApplicable")
        ((reading,),) = readings(vtn)
        assert reading.value == ResourceStatus(online=True, manual_override=False)
