"""Sources of every kind: functions in their forms, tables, and feeds that tell by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.model import Reading
from pyopenadr.ven import RECORDED, OpenADRClient, data_point
from pyopenadr.ven.source import Record, Way, takes_r_id, way_of
from pyopenadr.ven.state import MemoryLedger
from tests.unit.ven.scripted import NOW, ScriptedVtn, client_of, problems, running
from tests.unit.ven.test_report import asked, offsets, periodic, piggyback, readings

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def vtn() -> ScriptedVtn:
    return ScriptedVtn()


def offering(vtn: ScriptedVtn, clock: FakeClock, source: Any, *r_ids: str, **words: Any) -> OpenADRClient:
    settings = {"state": words.pop("state", None)}
    client = client_of(vtn, clock, **settings)
    reading = words.pop("reading", "powerReal")
    point = {name: words.pop(name) for name in ("reading_type", "report_type") if name in words}
    points = [data_point(reading, r_id=r_id, **point) for r_id in r_ids or ("p",)]
    client.add_report(**({"points": points, "report_specifier_id": "spec"} | words), source=source)
    return client


class Meter:
    async def __call__(self, r_id: str) -> float:
        return 1.0


class Silent:
    async def run(self, record: Record) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("source", "way", "names"),
    [
        (lambda: 1.0, Way.CALLED, False),
        (lambda r_id: 1.0, Way.CALLED, True),
        (lambda r_id="p": 1.0, Way.CALLED, False),
        (lambda *r_ids: 1.0, Way.CALLED, True),
        (lambda start, end, granularity: [], Way.RANGED, False),
        (lambda r_id, start, end, granularity: [], Way.RANGED, True),
        ({}.get, Way.CALLED, True),
        (Meter(), Way.CALLED, True),
    ],
)
def test_a_function_says_by_its_parameters_how_it_is_called(source: Any, way: Way, names: bool) -> None:
    assert (way_of(source), takes_r_id(source)) == (way, names)


def test_feeds_and_recorded_values_are_kept() -> None:
    assert way_of(RECORDED) is way_of(Silent()) is Way.KEPT


# -- functions of a whole time ---------------------------------------------------------------------------------------


async def test_a_function_of_a_time_is_asked_when_the_report_is_due(vtn: ScriptedVtn, clock: FakeClock) -> None:
    calls: list[tuple[datetime, datetime, timedelta]] = []

    async def power(start: datetime, end: datetime, granularity: timedelta) -> list[float]:
        calls.append((start, end, granularity))
        return [float(n) for n in range((end - start) // granularity)]

    piggyback(vtn, periodic("p", every=MINUTE, back=3 * MINUTE))
    async with running(offering(vtn, clock, power), clock):
        await clock.advance(361)
        assert calls == [(NOW, NOW + 3 * MINUTE, MINUTE), (NOW + 3 * MINUTE, NOW + 6 * MINUTE, MINUTE)]
        first, second = readings(vtn)
        assert [(offsets([it])[0], it.value) for it in first] == [(0.0, 0.0), (60.0, 1.0), (120.0, 2.0)]
        assert offsets(second) == [180.0, 240.0, 300.0]


async def test_it_is_asked_for_the_time_of_a_standstill_too(vtn: ScriptedVtn, clock: FakeClock) -> None:
    """Nothing that the meter remembers is lost because we did not run."""

    async def power(start: datetime, end: datetime, granularity: timedelta) -> list[float]:
        return [1.0] * ((end - start) // granularity)

    ledger = MemoryLedger()
    piggyback(vtn, periodic("p", every=MINUTE, back=2 * MINUTE))
    async with running(offering(vtn, clock, power, state=ledger), clock):
        await clock.advance(130)
    await clock.advance(1000)
    vtn.rules.clear()
    async with running(offering(vtn, clock, power, state=ledger), clock):
        await clock.advance(200)
        starts = [offset for found in readings(vtn) for offset in offsets(found)]
        assert starts == [60.0 * n for n in range(len(starts))]
        assert len(starts) >= 20


async def test_a_very_long_standstill_is_not_made_up_for_in_one_report(
    vtn: ScriptedVtn, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def power(start: datetime, end: datetime, granularity: timedelta) -> list[float]:
        return [1.0] * ((end - start) // granularity)

    monkeypatch.setattr("pyopenadr.ven.sampler.MOST_PAST", 5)
    piggyback(vtn, periodic("p", every=MINUTE, back=10 * MINUTE))
    async with running(offering(vtn, clock, power), clock):
        await clock.advance(601)
        assert [offsets(found) for found in readings(vtn)] == [[300.0, 360.0, 420.0, 480.0, 540.0]]
        assert any("5 intervals behind" in text for text in problems(caplog.records))


PAIRS: list[tuple[datetime, float]] = [(NOW - HOUR + n * 20 * SECOND, float(n)) for n in range(180)]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ([(NOW + 5 * SECOND, 1.0), (NOW + 15 * SECOND, 3.0)], [(5.0, 1.0), (15.0, 3.0)]),
        ([(NOW + 5 * SECOND, 1.0), (NOW + 8 * SECOND, 3.0)], [(8.0, 3.0)]),
        ([(NOW - SECOND, 1.0), (NOW + MINUTE, 1.0), (NOW, 2.0)], [(0.0, 2.0)]),
        ([Reading(r_id="p", start=NOW + SECOND, value=4.0)], [(1.0, 4.0)]),
        ({"p": [7.0], "other": [1.0]}, [(0.0, 7.0)]),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [(10.0 * n, float(n)) for n in range(6)]),
    ],
)
async def test_what_such_a_function_may_return(vtn: ScriptedVtn, clock: FakeClock, answer: Any, found: Any) -> None:
    async def power(end: datetime, start: datetime, granularity: timedelta) -> Any:
        assert start < end
        return answer

    piggyback(vtn, periodic("p", back=MINUTE))
    async with running(offering(vtn, clock, power), clock):
        await clock.advance(61)
        assert [(offsets([it])[0], it.value) for it in readings(vtn)[0]] == found


@pytest.mark.parametrize(
    ("answer", "quality"),
    [
        (None, "Quality Bad - Non Specific"),
        ([], "Quality Bad - Non Specific"),
        (5.0, "Quality Bad - Sensor Failure"),
        ("12", "Quality Bad - Sensor Failure"),
        (["a"], "Quality Bad - Sensor Failure"),
        ([(NOW.replace(tzinfo=None), 1.0)], "Quality Bad - Sensor Failure"),
    ],
)
async def test_where_there_is_nothing_a_placeholder_says_so(
    vtn: ScriptedVtn, clock: FakeClock, answer: Any, quality: str
) -> None:
    """2.0b rule 318."""

    async def power(start: datetime, end: datetime, granularity: timedelta) -> Any:
        return answer

    piggyback(vtn, periodic("p", back=MINUTE))
    async with running(offering(vtn, clock, power), clock):
        await clock.advance(61)
        ((reading,),) = readings(vtn)
        assert reading.quality == quality


async def test_samples_of_a_time_are_condensed_like_all_others(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async def power(r_id: str, start: datetime, end: datetime, granularity: timedelta) -> list[tuple[datetime, float]]:
        return [(start, 2.0), (start + MINUTE / 2, 4.0)]

    piggyback(vtn, periodic("a", "b", every=MINUTE, back=MINUTE))
    client = offering(vtn, clock, power, "a", "b", reading_type="Mean")
    async with running(client, clock):
        await clock.advance(61)
        (found,) = readings(vtn)
        assert {it.r_id: (it.value, it.start, it.duration) for it in found} == {
            "a": (3.0, NOW, MINUTE),
            "b": (3.0, NOW, MINUTE),
        }


async def test_a_single_report_is_about_the_last_interval(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async def power(start: datetime, end: datetime, granularity: timedelta) -> list[float]:
        assert (end - start, end, granularity) == (MINUTE, NOW, MINUTE)
        return [3.5]

    piggyback(vtn, asked("p", granularity=MINUTE))
    async with running(offering(vtn, clock, power), clock):
        ((reading,),) = readings(vtn)
        assert (reading.value, reading.start) == (3.5, NOW - MINUTE)


async def test_the_past_is_asked_for_as_it_is(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async def power(start: datetime, end: datetime, granularity: timedelta) -> list[tuple[datetime, float]]:
        assert granularity == timedelta(0)
        return PAIRS

    piggyback(vtn, asked("p", start=NOW - HOUR, duration=2 * MINUTE))
    async with running(offering(vtn, clock, power, report_name="HISTORY_USAGE"), clock):
        (found,) = readings(vtn)
        assert [it.value for it in found] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


# -- forecasts and baselines -----------------------------------------------------------------------------------------


async def test_a_forecast_is_about_what_is_to_come(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async def forecast(start: datetime, end: datetime, granularity: timedelta) -> list[float]:
        return [float(n) for n in range((end - start) // granularity)]

    client = offering(vtn, clock, forecast, reading_type="Projected", duration=24 * HOUR)
    piggyback(vtn, periodic("p", every=HOUR, back=HOUR))
    async with running(client, clock):
        await clock.advance(timedelta(minutes=61))
        assert client.capabilities[0].report_name == "x-TELEMETRY_USAGE"
        first, second = readings(vtn)
        assert offsets(first) == [3600.0 * n for n in range(24)]
        assert offsets(second) == [3600.0 * n for n in range(1, 25)]
        assert await client.history("p", NOW - HOUR, NOW + 48 * HOUR) == [], "what is expected is not what was measured"


async def test_a_forecast_may_come_as_readings(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async def forecast() -> list[Reading]:
        return [Reading(r_id="p", start=NOW + HOUR, value=9.0)]

    piggyback(vtn, asked("p"))
    async with running(offering(vtn, clock, forecast, reading_type="Projected"), clock):
        ((reading,),) = readings(vtn)
        assert (reading.start, reading.value) == (NOW + HOUR, 9.0)


async def test_a_baseline_is_reported_and_is_no_history(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async def baseline() -> float:
        return 42.0

    client = offering(vtn, clock, baseline, report_type="baseline")
    piggyback(vtn, asked("p"))
    async with running(client, clock):
        ((reading,),) = readings(vtn)
        assert reading.value == 42.0
        assert await client.history("p", NOW - HOUR) == []


# -- a source for each data point ------------------------------------------------------------------------------------


async def test_each_data_point_may_have_its_own(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async def ranged(start: datetime, end: datetime, granularity: timedelta) -> list[float]:
        return [2.0]

    async def plain() -> float:
        return 1.0

    async def named(r_id: str) -> str:
        return r_id

    client = offering(
        vtn, clock, {"a": plain, "b": ranged, "c": RECORDED, "d": named, "e": lambda: 4.0}, "a", "b", "c", "d", "e"
    )
    client.record("c", 3.0)
    piggyback(vtn, asked("a", "b", "c"))
    async with running(client, clock):
        (found,) = readings(vtn)
        assert {it.r_id: it.value for it in found} == {"a": 1.0, "b": 2.0, "c": 3.0}


# -- feeds -----------------------------------------------------------------------------------------------------------


class Scripted:
    """A feed that does one step each time it is run."""

    def __init__(self, *steps: Callable[[Record], None]) -> None:
        self.steps = list(steps)
        self.runs = 0

    async def run(self, record: Record) -> None:
        self.runs += 1
        if not self.steps:
            await asyncio.Event().wait()
        self.steps.pop(0)(record)


def fails(record: Record) -> None:
    record(2.0)
    raise ValueError("broken pipe")


async def test_a_feed_fills_the_report_and_is_started_again(
    vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    feed = Scripted(fails, lambda record: record("nonsense"))  # type: ignore[arg-type]
    client = offering(vtn, clock, feed)
    async with running(client, clock):
        await clock.advance(10)
        assert feed.runs == 3
        values = [(it.value, it.quality) for it in await client.history("p", NOW)]
        assert values[-1] == (0.0, "Quality Bad - Not Connected"), "from then on there is no value"
        logged = problems(caplog.records)
        assert any("ValueError: broken pipe" in text for text in logged)
        assert any("'nonsense'" in text for text in logged)


async def test_a_feed_ends_with_the_client_and_begins_with_it_again(vtn: ScriptedVtn, clock: FakeClock) -> None:
    feed = Scripted()
    client = offering(vtn, clock, feed)
    for runs in (1, 2):
        async with running(client, clock):
            assert feed.runs == runs


async def test_a_report_may_be_added_while_the_client_runs(vtn: ScriptedVtn, clock: FakeClock) -> None:
    feed = Scripted()
    async with running(offering(vtn, clock, Silent()), clock) as client:
        client.add_report(reading="voltage", source=feed)
        await clock.settle()
        assert feed.runs == 1
