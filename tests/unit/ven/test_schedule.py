"""The times of a periodic report."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.model import CalendarDuration, DataPoint, ReportRequest, Unit
from pyopenadr.ven.schedule import Plan, follow, plan_of
from tests.unit.ven.scripted import HOUR, NOW

TEN = timedelta(seconds=10)
MINUTE = timedelta(minutes=1)
POWER = DataPoint(r_id="p", min_period=TEN)
ENERGY = DataPoint(r_id="e", unit=Unit(name="energyReal", symbol="Wh"))


def request(**fields: object) -> ReportRequest:
    values = {"report_request_id": "r", "report_specifier_id": "s", "r_ids": ("p",), "granularity": TEN}
    return ReportRequest(**(values | {"report_back_duration": MINUTE} | fields))  # type: ignore[arg-type]


def test_a_start_in_the_past_begins_now_and_ends_as_asked() -> None:
    plan = plan_of(request(start=NOW - HOUR, duration=2 * HOUR), [POWER], NOW, in_one_go=False)
    assert (plan.start, plan.end, plan.step, plan.back) == (NOW, NOW + HOUR, TEN, MINUTE)


def test_months_have_the_length_of_the_first_one() -> None:
    month = CalendarDuration(1)
    plan = plan_of(request(report_back_duration=month, granularity=month), [POWER], NOW, in_one_go=False)
    assert plan.back == timedelta(days=31)


@pytest.mark.parametrize(
    ("granularity", "points", "at_once"),
    [(MINUTE, [POWER], True), (TEN, [POWER], False), (MINUTE, [POWER, ENERGY], False), (timedelta(0), [POWER], False)],
)
def test_when_each_sample_is_sent_at_once(granularity: timedelta, points: list[DataPoint], at_once: bool) -> None:
    assert plan_of(request(granularity=granularity), points, NOW, in_one_go=False).at_once == at_once


def test_on_change_is_sampled_as_fast_as_offered() -> None:
    plan = plan_of(request(granularity=timedelta(0)), [POWER], NOW, in_one_go=False)
    assert (plan.on_change, plan.step) == (True, TEN)
    plan = plan_of(request(granularity=timedelta(0)), [ENERGY], NOW, in_one_go=False)
    assert plan.step == timedelta(seconds=1)


class Diary:
    """What was done, by seconds since the start."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.lines: list[tuple[object, ...]] = []
        self.takes = 0.0

    def at(self, instant: datetime) -> float:
        return (instant - NOW).total_seconds()

    async def period(self, start: datetime, end: datetime) -> None:
        self.lines.append(("period", self.at(start), self.at(end)))

    async def instant(self, instant: datetime) -> None:
        self.lines.append(("instant", self.at(instant)))
        await self.clock.sleep(self.takes)

    async def send(self, instant: datetime) -> None:
        self.lines.append(("send", self.at(instant)))


async def done(clock: FakeClock, plan: Plan, diary: Diary) -> None:
    await follow(plan, clock, sample_period=diary.period, sample_instant=diary.instant, send=diary.send)


def plan(**fields: object) -> Plan:
    values = {"start": NOW, "step": TEN, "back": 2 * TEN, "end": None, "at_once": False, "on_change": False}
    return Plan(**(values | fields))  # type: ignore[arg-type]


async def test_the_order_of_samples_and_sending() -> None:
    clock = FakeClock(NOW)
    diary = Diary(clock)
    task = asyncio.create_task(done(clock, plan(end=NOW + timedelta(seconds=35)), diary))
    await clock.advance(100)
    await task
    assert diary.lines == [
        ("instant", 0),
        ("period", 0, 10),
        ("instant", 10),
        ("period", 10, 20),
        ("send", 20),
        ("instant", 20),
        ("period", 20, 30),
        ("instant", 30),
        ("period", 30, 35),
        ("send", 35),
    ]


async def test_what_is_missed_is_left_out() -> None:
    clock = FakeClock(NOW)
    diary = Diary(clock)
    diary.takes = 25
    task = asyncio.create_task(done(clock, plan(end=NOW + MINUTE), diary))
    await clock.advance(100)
    await task
    assert [line for line in diary.lines if line[0] == "instant"] == [("instant", 0), ("instant", 30)]
    assert ("send", 30) in diary.lines
    assert diary.lines[-1] == ("send", 60)
