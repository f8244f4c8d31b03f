"""Whole simulations: short, in memory, and in no time."""

from __future__ import annotations

import asyncio
import json
import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import msgspec
import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ConfigError
from pyopenadr.model import Reading
from pyopenadr.simulation import (
    Ask,
    Device,
    Faults,
    Outcome,
    Plan,
    Progress,
    Simulation,
    event_in_words,
    run_at_speed,
    simulate,
    svg_chart,
    text_chart,
)
from pyopenadr.simulation.counterpart import OtherVtn
from pyopenadr.simulation.page import page_of, tables_of
from pyopenadr.simulation.report import Percentiles, curve_of
from pyopenadr.simulation.site import Site, mean_kw
from pyopenadr.vtn.server import OpenADRServer

START = datetime(2030, 7, 1, 14, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EVENT = event_in_words("SIMPLE 1,3 at +10m for 20m", START)
FAULTY = Faults(drop=0.03, delay=0.03, duplicate=0.03, disconnect=0.01, bad_signature=0.02, clock_skew=0.2)


def plan(**settings: object) -> Plan:
    values = {"vens": 30, "start": START, "length": 45 * MINUTE, "events": (EVENT,), "opt_out": 0.2, "seed": 4}
    return Plan(**(values | settings))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return simulate(plan())


def test_everybody_takes_part_or_says_so(outcome: Outcome) -> None:
    assert outcome.problems == ()
    assert outcome.registered == outcome.vens == sum(outcome.devices.values()) == 30
    [event] = outcome.events
    assert event.opted_in + event.opted_out == 30
    assert 2 <= event.opted_out <= 12
    assert (event.silent, event.refused) == (0, 0)
    assert event.answers.count == 30
    assert event.answers.most is not None
    assert 0.0 < event.answers.most <= 67.0  # a poll, and the jitter of it
    assert outcome.polls.count > 30 * 35


def test_load_is_shed_by_level_and_only_in_the_events_time(outcome: Outcome) -> None:
    curve = outcome.curve
    shed = [b - a for a, b in zip(curve.load_kw, curve.baseline_kw, strict=True)]
    assert len(shed) == 45
    assert shed[:10] == pytest.approx([0.0] * 10)
    low, high = sum(shed[10:20]) / 10, sum(shed[20:30]) / 10
    assert 0.05 * curve.baseline_kw[10] < low < high
    assert max(shed[30:35]) < 0.0  # they make up for it
    [event] = outcome.events
    assert event.shed_kwh == pytest.approx(sum(shed[10:30]) / 60)
    assert event.baseline_kwh - event.load_kwh == pytest.approx(event.shed_kwh)
    assert event.most_shed_kw == max(shed[10:30])
    assert event.mean_shed_kw == pytest.approx(sum(shed[10:30]) / 20)


def test_the_vtn_sees_it_by_telemetry(outcome: Outcome) -> None:
    telemetry = outcome.telemetry
    assert telemetry.readings >= 30 * 7
    assert 0.8 < telemetry.coverage < 1.0
    assert telemetry.difference < 0.02
    assert telemetry.seen_kwh != telemetry.truth_kwh
    [event] = outcome.events
    assert event.seen_shed_kwh == pytest.approx(event.shed_kwh, rel=0.3)


def test_it_is_the_same_each_time_and_another_with_another_seed() -> None:
    first, again, other = (simulate(plan(vens=8, faults=FAULTY, seed=seed)) for seed in (1, 1, 2))
    assert first.curve.load_kw == again.curve.load_kw
    assert first.events == again.events
    assert first.faults == again.faults
    assert first.curve.baseline_kw != other.curve.baseline_kw


def test_faults_are_survived() -> None:
    outcome = simulate(plan(faults=FAULTY, length=55 * MINUTE, settle=15 * MINUTE))
    assert outcome.problems == ()
    injected = {fault.kind.value: fault.injected for fault in outcome.faults}
    assert set(injected) == {"drop", "delay", "duplicate", "disconnect", "bad signature", "clock skew"}
    assert [fault.recovered for fault in outcome.faults] == list(injected.values())
    [event] = outcome.events
    assert event.opted_in + event.opted_out == 30


def test_what_is_not_well_is_said() -> None:
    outcome = simulate(plan(vens=5, faults=Faults(drop=1.0), settle=timedelta(0)))
    assert not outcome.good
    assert outcome.registered == 0
    assert outcome.problems[:2] == ("5 of 5 VENs are not registered", "event event-1: 5 VENs have not answered")
    assert "faults of the kind drop are not recovered" in outcome.problems[2]
    assert (outcome.telemetry.readings, outcome.events[0].seen_shed_kwh) == (0, None)
    assert "not registered" in page_of(outcome)


def test_progress_is_told_and_a_run_can_be_ended() -> None:
    seen: list[Progress] = []

    async def work() -> Outcome:
        simulation = Simulation(plan(vens=3), progress=seen.append)
        running = asyncio.create_task(simulation.run())
        await asyncio.sleep(600.0)
        simulation.stop()
        return await running

    outcome = run_at_speed(work(), float("inf"))
    assert [progress.at - START for progress in seen] == pytest.approx([n * MINUTE for n in range(10)], abs=MINUTE)
    assert (seen[-1].registered, seen[-1].answered) == (3, 3)
    assert outcome.length_s == 600.0


# --- another VTN ------------------------------------------------------------------------------------------------------


async def test_a_vtn_over_http_is_known_by_what_it_confirms() -> None:
    second = timedelta(seconds=1)
    async with OpenADRServer("vtn", port=0, poll_frequency=second) as vtn:
        await vtn.add_report_rule(rule_id="load", granularity=second, report_back_duration=second)
        start = datetime.now(UTC)
        await vtn.add_event(start=start, intervals=[(MINUTE, 3)], event_id="now")
        times = {"start": start, "length": 4 * second, "step": second / 2, "ramp": second / 2, "telemetry": second}
        outcome = await Simulation(plan(vens=4, events=(), **times), vtn_url=vtn.url).run()
    assert outcome.problems == ()
    [event] = outcome.events
    assert (event.event_id, event.opted_in + event.opted_out, event.silent) == ("now", 4, 0)
    assert outcome.vtn == vtn.url
    assert outcome.telemetry.readings >= 4


@pytest.mark.parametrize("url", ["http://192.0.2.7:8080", "https://vtn.example.com"])
def test_another_machine_is_left_alone_unless_that_is_meant(url: str) -> None:
    with pytest.raises(ConfigError, match="another machine"):
        OtherVtn(url)
    assert OtherVtn(url, anywhere=True).url == url


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ConfigError, match="publish them at the other"):
        simulate(plan(), vtn_url="http://127.0.0.1:1")
    with pytest.raises(ConfigError, match="real time"):
        simulate(plan(events=()), vtn_url="http://127.0.0.1:1", speed=60.0)
    with pytest.raises(ConfigError, match="devices are"):
        Simulation(plan(devices={"toaster": 1.0}))


# --- the parts of the report ------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Counter(Device):
    """Draws 1, 2, 3, … kW."""

    kind: ClassVar[str] = "counter"
    power_kw: float = 0.0

    def step(self, ask: Ask, dt_s: float, draw: random.Random) -> float:
        self.power_kw += 1.0
        return self.power_kw


def test_readings_stand_for_the_time_until_the_next() -> None:
    device = Counter(rated_kw=99.0)
    site = Site("a", device, seed="1", clock=FakeClock(START), start=START, step=MINUTE)
    for _ in range(10):
        site.step()

    def read(minute: float, value: float, quality: str | None = None) -> Reading:
        return Reading(r_id="power", start=START + minute * MINUTE, value=value, quality=quality)

    told = (read(4, 60.0), read(2, 30.0), read(6, 0.0, "Quality Bad - Non Specific"), read(8.4, 90.0))
    curve, count = curve_of([site], [told], plan(vens=1, events=()))
    assert count == 3
    assert list(curve.load_kw) == list(range(1, 11))
    assert list(curve.seen_kw) == [0, 0, 30, 30, 60, 60, 0, 0, 90, 90]
    assert list(curve.heard) == [0, 0, 1, 1, 1, 1, 0, 0, 1, 1]
    assert list(curve.heard_kw) == [0, 0, 3, 4, 5, 6, 0, 0, 9, 10]


def test_a_meter_gives_the_mean_of_any_time() -> None:
    trace = [1.0, 3.0, 5.0]
    assert mean_kw(trace, 0.0, 120.0, 60.0) == 2.0
    assert mean_kw(trace, 30.0, 90.0, 60.0) == 2.0
    assert mean_kw(trace, -60.0, 60.0, 60.0) == 1.0
    assert mean_kw(trace, 150.0, 600.0, 60.0) == 5.0
    assert mean_kw(trace, 600.0, 660.0, 60.0) == 0.0


def test_percentiles() -> None:
    assert Percentiles.of([]) == Percentiles()
    found = Percentiles.of(range(100, -1, -1))
    assert (found.count, found.p50, found.p95, found.most) == (101, 50, 95, 100)


def test_the_report_in_its_forms(outcome: Outcome) -> None:
    plain = json.loads(json.dumps(outcome.to_dict()))
    assert plain["good"] is True
    assert msgspec.convert({**plain, "good": None} | {}, Outcome) == outcome
    page = page_of(outcome)
    assert page.startswith("<!doctype html>")
    assert "30 simulated VENs" in page
    assert svg_chart(outcome) in page
    links = re.findall(r"(?:src|href)=|url\(|@import|https?://[^\"]*", page)
    assert links == ["http://www.w3.org/2000/svg"]  # the name of the format; nothing is fetched
    titles = [title for title, _, _ in tables_of(outcome)]
    assert titles == ["Participation", "Load in the event's time", "Telemetry", "Response times"]
    assert all(len(heads) == len(row) for _, heads, rows in tables_of(outcome) for row in rows)


def test_the_chart_in_characters(outcome: Outcome) -> None:
    lines = text_chart(outcome, width=45, height=6)
    assert len(lines) == 9
    assert lines[-2].split() == ["SIMPLE", "1▔▔▔▔▔▔▔▔▔3▔▔▔▔▔▔▔▔▔"]
    assert lines[-1].split() == ["0:00", "0:12", "0:24", "0:36"]
    filled = [sum(line[13 + column] == "█" for line in lines[:6]) for column in range(45)]
    assert min(filled[22:30]) < min(filled[:10])  # lower in the event than before
    assert max(filled[30:]) > max(filled[:10])
    assert "·" in "".join(line[23:43] for line in lines[:6])
