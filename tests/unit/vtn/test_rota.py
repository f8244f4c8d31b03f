"""Whose turn it is: many VENs, few places, and some of them hang or are dead."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.vtn import rota as module
from pyopenadr.vtn.rota import Failure, Rota
from tests.unit.vtn.sample import NOW

Outcome = datetime | Failure | None


class Bench:
    """A rota whose work is played by the test."""

    def __init__(self, places: int = 4) -> None:
        self.clock = FakeClock(NOW)
        self.served: list[str] = []
        self.failures: list[tuple[str, datetime]] = []
        self.outcomes: dict[str, Outcome] = {}
        self.hangs: dict[str, asyncio.Event] = {}
        self.busy: set[str] = set()
        self.rota = Rota(
            self.work,
            lambda ven_id, since: self.failures.append((ven_id, since)),
            clock=self.clock,
            draw=random.Random(1),
            places=places,
        )

    async def work(self, ven_id: str) -> Outcome:
        assert ven_id not in self.busy  # one call at a time for each
        self.busy.add(ven_id)
        try:
            self.served.append(ven_id)
            await asyncio.sleep(0)
            if ven_id in self.hangs:
                await self.hangs[ven_id].wait()
            return self.outcomes.pop(ven_id, None)
        finally:
            self.busy.discard(ven_id)


async def test_everybody_is_served_in_the_order_of_the_calls() -> None:
    bench = Bench()
    for number in range(50):
        bench.rota.call(f"v{number}")
        if number >= 4:
            bench.rota.call(f"v{number}")  # it waits, and twice is once
    await bench.clock.settle(200)
    assert bench.served == [f"v{number}" for number in range(50)]
    await bench.rota.stop()


async def test_a_call_during_the_work_is_another_turn() -> None:
    bench = Bench()
    bench.hangs["a"] = asyncio.Event()
    bench.rota.call("a")
    await bench.clock.settle()
    bench.rota.call("a")
    bench.rota.call("a")
    await bench.clock.settle()
    assert bench.served == ["a"]
    bench.hangs["a"].set()
    await bench.clock.settle()
    assert bench.served == ["a", "a"]
    await bench.rota.stop()


async def test_a_later_turn_comes_at_its_time_and_only_once() -> None:
    bench = Bench()
    bench.outcomes["a"] = NOW + timedelta(seconds=30)
    bench.outcomes["b"] = NOW + timedelta(seconds=10)
    bench.rota.call("a")
    bench.rota.call("b")
    await bench.clock.advance(9)
    assert bench.served == ["a", "b"]
    await bench.clock.advance(2)
    assert bench.served == ["a", "b", "b"]
    await bench.clock.advance(60)
    assert bench.served == ["a", "b", "b", "a"]
    await bench.rota.stop()


async def test_a_turn_before_its_time_takes_the_place_of_the_later_one() -> None:
    bench = Bench()
    bench.outcomes["a"] = NOW + timedelta(seconds=30)
    bench.rota.call("a")
    await bench.clock.advance(5)
    bench.rota.call("a")
    await bench.clock.advance(60)
    assert bench.served == ["a", "a"]
    await bench.rota.stop()


async def test_those_that_hang_give_their_places_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLOW_S", 0.01)
    bench = Bench(places=4)
    for number in range(12):  # three times as many as there are places
        bench.hangs[f"dead{number}"] = asyncio.Event()
        bench.rota.call(f"dead{number}")
    for number in range(5):
        bench.rota.call(f"v{number}")
    await asyncio.sleep(0.2)
    assert {f"v{number}" for number in range(5)} <= set(bench.served)
    await bench.rota.stop()
    assert bench.busy == set()


async def test_those_that_have_failed_take_no_place_from_the_others() -> None:
    bench = Bench(places=2)
    names = [f"dead{number}" for number in range(20)]
    for name in names:
        bench.outcomes[name] = Failure("no connection")
        bench.rota.call(name)
    await bench.clock.settle(200)
    assert bench.rota.troubled == 20
    for name in names:
        bench.hangs[name] = asyncio.Event()
    await bench.clock.advance(2)  # now all of them hang
    bench.rota.call("well")
    await bench.clock.settle()
    assert bench.served[-1] == "well"
    assert len(bench.busy) == 8  # their own places are bounded, too
    await bench.rota.stop()


async def test_a_failure_is_told_with_the_begin_of_the_row() -> None:
    bench = Bench()
    bench.rota.call("a")
    for wait in (0.5, 1, 2):
        bench.outcomes["a"] = Failure("no connection")
        await bench.clock.advance(wait)
    assert bench.failures == [("a", NOW)] * 3
    await bench.clock.advance(5)
    assert bench.rota.troubled == 0
    count = len(bench.served)
    await bench.clock.advance(600)
    assert len(bench.served) == count
    await bench.rota.stop()


async def test_one_in_trouble_is_not_hurried_by_a_call_but_by_a_sign_of_life() -> None:
    bench = Bench()
    bench.outcomes["a"] = Failure("redirects", lasting=True)
    bench.rota.call("a")
    await bench.clock.settle()
    bench.rota.call("a")
    await bench.clock.advance(60)
    assert bench.served == ["a"]
    bench.rota.relieve("a")
    await bench.clock.settle()
    assert bench.served == ["a", "a"]
    bench.rota.relieve("a")  # it is in no trouble
    await bench.clock.advance(600)
    assert bench.served == ["a", "a"]
    await bench.rota.stop()


async def test_a_bug_in_the_work_is_a_failure() -> None:
    bench = Bench()

    async def work(ven_id: str) -> Outcome:
        bench.served.append(ven_id)
        raise ZeroDivisionError

    broken = Rota(work, lambda ven_id, since: None, clock=bench.clock, draw=random.Random(1), places=1)
    broken.call("a")
    await bench.clock.advance(2)
    assert bench.served == ["a", "a"]
    await broken.stop()


async def test_the_idle_cost_nothing() -> None:
    bench = Bench(places=64)
    for number in range(10_000):
        bench.rota.call(f"v{number}")
    await bench.clock.settle(2000)
    assert len(bench.served) == 10_000
    own = [task for task in asyncio.all_tasks() if task.get_name().startswith("pyopenadr")]
    assert own == []
    await bench.rota.stop()
