"""A plan carried out against a VTN in memory, on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from pyopenadr.agent.action import Command
from pyopenadr.agent.agent import Agent
from pyopenadr.agent.calendar import calendar_of
from pyopenadr.agent.plan import Plan
from pyopenadr.agent.reading import AgentError, Change
from pyopenadr.model import Event, Interval, Signal, Span, Target, Unit
from pyopenadr.testing import Fault, StillClock
from pyopenadr.transport.memory import MemoryTransport
from pyopenadr.v2.ven import KnownEvent
from pyopenadr.vtn.server import OpenADRServer

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Lab:
    """A VTN and an agent; what its actions were told is in `told`."""

    def __init__(self, plan: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = StillClock(START)
        self.vtn = OpenADRServer("vtn", clock=self.clock)
        self.told: list[tuple[str, float]] = []
        self.fails = 0
        self.cut = False
        transport = MemoryTransport(self.vtn.handle, fault=self._fault, clock=self.clock)
        whole = {"vtn": {"url": "http://localhost"}, "ven": {"name": "box", "poll_seconds": 5}, **plan}
        self.agent = Agent(msgspec.convert(whole, Plan), transport, state=None, clock=self.clock)

        async def perform(action: Command, change: Change) -> None:
            if self.fails:
                self.fails -= 1
                raise AgentError("the relay is stuck")
            self.told.append((action.run[0], change.value))

        monkeypatch.setattr(Command, "perform", perform)

    def _fault(self, path: str, body: bytes) -> Fault | None:
        return Fault(lose_request=True) if self.cut else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.vtn.start()
        task = asyncio.create_task(self.agent.run())
        await self.clock.settle()
        try:
            yield
        finally:
            self.agent.stop()
            await task
            await self.vtn.stop()

    async def publish(self, *values: float, after: timedelta = MINUTE, **fields: Any) -> str:
        intervals = [(MINUTE, value) for value in values]
        event = await self.vtn.add_event(start=self.clock.now() + after, intervals=intervals, **fields)
        return event.event_id

    async def answer(self, event_id: str) -> str:
        return ",".join(str(a.opt_type) for a in await self.vtn.answers(event_id))


def signals(**more: Any) -> dict[str, Any]:
    return {"signals": [{"signal": "SIMPLE", "actions": [{"do": "command", "run": ["a"]}], **more}]}


async def test_values_are_followed_and_released(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(signals(), monkeypatch)
    async with lab.running():
        await lab.publish(1, 3)
        await lab.clock.advance(timedelta(minutes=5))
    assert lab.told == [("a", 0), ("a", 1), ("a", 3), ("a", 0)]


async def test_a_vtn_of_2_0a_is_followed_just_so(monkeypatch: pytest.MonkeyPatch) -> None:
    vtn = {"url": "http://localhost", "profile": "2.0a"}
    lab = Lab(signals() | {"vtn": vtn, "ven": {"name": "box", "ven_id": "old", "poll_seconds": 5}}, monkeypatch)
    async with lab.running():
        event_id = await lab.publish(1, 3)
        await lab.clock.advance(timedelta(minutes=5))
        assert await lab.answer(event_id) == "optIn"
        assert [it.profile for it in lab.vtn.vens] == ["2.0a"]
    assert lab.told == [("a", 0), ("a", 1), ("a", 3), ("a", 0)]


async def test_limits_idle_and_the_end_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(signals(idle=7, minimum=1, maximum=2, at_stop="idle"), monkeypatch)
    async with lab.running():
        await lab.publish(0, 3)
        await lab.clock.advance(timedelta(seconds=150))
    assert lab.told == [("a", 7), ("a", 1), ("a", 2), ("a", 7)]


async def test_what_fails_is_tried_again_with_what_applies_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lab = Lab(signals(), monkeypatch)
    async with lab.running():
        await lab.publish(1, 2)
        await lab.clock.advance(timedelta(seconds=30))
        lab.fails = 3
        await lab.clock.advance(timedelta(seconds=35))
        assert lab.agent.values[0]["failed"] == ["signals.SIMPLE, action 1: the relay is stuck"]
        await lab.clock.advance(timedelta(seconds=30))
        assert lab.told == [("a", 0), ("a", 1)]
        assert lab.agent.values[0]["failed"] == []
    assert sum("the relay is stuck" in line for line in caplog.messages) == 1


async def test_a_better_event_wins_while_it_lasts_and_a_cancelled_one_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(signals(), monkeypatch)
    async with lab.running():
        long = await lab.publish(1, 1, 1, 1, 1)
        await lab.publish(3, after=2 * MINUTE, priority=1)
        await lab.clock.advance(timedelta(seconds=210))
        await lab.vtn.cancel_event(long)
        await lab.clock.advance(timedelta(seconds=20))
    order = [value for number, (_, value) in enumerate(lab.told) if number == 0 or lab.told[number - 1][1] != value]
    assert order == [0, 1, 3, 1, 0]


async def test_resources_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = {
        "ven": {"name": "box", "poll_seconds": 5, "resources": ["heater", "charger"]},
        "signals": [
            {"signal": "SIMPLE", "resource": name, "actions": [{"do": "command", "run": [name]}]}
            for name in ("heater", "charger")
        ],
    }
    lab = Lab(plan, monkeypatch)
    async with lab.running():
        await lab.publish(2, target=Target(resource_ids=("heater",)))
        await lab.clock.advance(timedelta(seconds=90))
    assert ("heater", 2) in lab.told
    assert ("charger", 2) not in lab.told


@pytest.mark.parametrize(
    ("rule", "event", "answer"),
    [
        ({"answer": "out", "signal": "ELECTRICITY_PRICE", "above": 0.5}, (0.2, 0.6), "optOut"),
        ({"answer": "out", "signal": "ELECTRICITY_PRICE", "above": 0.5}, (0.2, 0.5), "optIn"),
        ({"answer": "out", "signal": "SIMPLE", "above": 0.5}, (0.6,), "optIn"),
        ({"answer": "out", "market_context": "http://localhost/default"}, (0.1,), "optOut"),
        (
            {
                "answer": "out",
                "signal": "ELECTRICITY_PRICE",
                "above": 0.5,
                "measured": {"source": {"from": "constant", "value": 3}, "below": 5},
            },
            (0.6,),
            "optOut",
        ),
        (
            {
                "answer": "out",
                "signal": "ELECTRICITY_PRICE",
                "above": 0.5,
                "measured": {"source": {"from": "constant", "value": 9}, "below": 5},
            },
            (0.6,),
            "optIn",
        ),
        (
            {"answer": "out", "measured": {"source": {"from": "csv", "file": "no", "column": "x"}, "below": 5}},
            (1,),
            "optIn",
        ),
    ],
)
async def test_opt_rules(
    monkeypatch: pytest.MonkeyPatch, rule: dict[str, Any], event: tuple[float, ...], answer: str
) -> None:
    lab = Lab({"opt": {"rules": [rule]}}, monkeypatch)
    async with lab.running():
        event_id = await price(lab, event)
        await lab.clock.advance(timedelta(seconds=20))
        assert await lab.answer(event_id) == answer


async def price(lab: Lab, values: tuple[float, ...]) -> str:
    signal = Signal(
        signal_name="ELECTRICITY_PRICE",
        signal_type="price",
        signal_id="s",
        intervals=tuple(Interval(MINUTE, value) for value in values),
        unit=Unit(name="currencyPerKWh", symbol="EUR"),
    )
    event = Event(
        event_id="p",
        start=lab.clock.now() + 10 * MINUTE,
        duration=len(values) * MINUTE,
        signals=(signal,),
        created_date_time=lab.clock.now(),
        market_context="http://localhost/default",
    )
    return (await lab.vtn.add_event(event)).event_id


async def test_somebody_may_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab({"opt": {"default": "ask"}}, monkeypatch)
    async with lab.running():
        event_id = await lab.publish(1, after=30 * MINUTE)
        await lab.clock.advance(timedelta(seconds=20))
        assert await lab.answer(event_id) == ""
        await lab.agent.client.opt_in(event_id)
        await lab.clock.advance(timedelta(seconds=20))
        assert await lab.answer(event_id) == "optIn"


async def test_the_failsafe_sets_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab({**signals(), "failsafe": {"after_minutes": 2, "then": 2.0}}, monkeypatch)
    async with lab.running():
        await lab.clock.advance(timedelta(seconds=20))
        lab.cut = True
        await lab.clock.advance(timedelta(minutes=4))
        assert lab.told == [("a", 0), ("a", 2)]
        lab.cut = False
        await lab.clock.advance(timedelta(minutes=2))
    assert lab.told == [("a", 0), ("a", 2), ("a", 0)]


async def test_reports_have_their_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        {"reading": "powerReal", "unit": "kW", "id": "p", "source": {"from": "constant", "value": 3.5}},
        {"reading": "temperature", "unit": "celsius", "id": "t", "source": {"from": "constant", "value": 21}},
    ]
    lab = Lab({"reports": [{"name": "x-mixed", "id": "r", "points": points}]}, monkeypatch)
    async with lab.running():
        ven_id = lab.agent.client.ven_id
        assert ven_id is not None
        await lab.vtn.request_report(
            ven_id, report_specifier_id="r", granularity=MINUTE, report_back_duration=MINUTE, start=lab.clock.now()
        )
        await lab.clock.advance(timedelta(minutes=3))
        readings = await lab.vtn.readings(ven_id)
        assert {(r.reading.r_id, r.reading.value) for r in readings} == {("p", 3.5), ("t", 21.0)}


async def test_a_calendar_that_a_vtn_can_t_break(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab({}, monkeypatch)
    event_id = await price(lab, (0.25,))
    [event] = await lab.vtn.events()
    event = msgspec.structs.replace(event, event_id="a;b,c\r\nBEGIN:VEVENT\\" + "x" * 200)
    text = calendar_of([(KnownEvent(event=event), Span.of(event.start, MINUTE))], "my box", START)
    lines = text.split("\r\n")
    assert lines[0] == "BEGIN:VCALENDAR"
    assert text.endswith("END:VCALENDAR\r\n")
    assert lines.count("BEGIN:VEVENT") == 1
    assert all(len(line.encode()) <= 75 for line in lines)
    assert "DTSTART:20300101T121000Z" in lines
    assert "DTEND:20300101T121100Z" in lines
    assert event_id == "p"
    await lab.vtn.stop()
