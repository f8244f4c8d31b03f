"""The pair: a VTN and VENs in one process, on a clock that the test moves."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from pyopenadr import ConfigError, DataPoint, Event, OpenADRClient, Signal, Unit
from pyopenadr.testing import Fault, Pair, StillClock
from pyopenadr.transport.memory import MemoryTransport
from pyopenadr.v2 import wire
from pyopenadr.ven import EndReason, TimedInterval


async def test_the_ven_is_registered_and_answers() -> None:
    async with Pair(ven={"on_event": lambda event: "optIn"}) as pair:
        assert pair.ven.registered
        event = await pair.event(2, minutes=10)
        await pair.advance(seconds=12)
        [answer] = await pair.vtn.answers(event.event_id)
        assert answer.opt_type == "optIn"
        [created] = pair.recorder.sent(wire.OadrCreatedEvent)
        assert created["event_responses"][0]["event_id"] == event.event_id


async def test_a_whole_event_takes_no_time() -> None:
    calls: list[str] = []
    pair = Pair(ven={"on_event": lambda event: "optIn"})

    def begin(event: Event, signal: Signal, interval: TimedInterval) -> None:
        calls.append(f"{interval.value:g} at {interval.start:%H:%M}")

    def end(event: Event, reason: EndReason) -> None:
        calls.append(f"end, {reason}, {pair.clock.now():%H:%M}")

    pair.ven.on_interval_start = begin
    pair.ven.on_event_end = end

    began = time.monotonic()
    async with pair:
        await pair.event(1, 2, minutes=10, after=timedelta(minutes=20))
        await pair.advance(minutes=45)
    assert calls == ["1 at 12:20", "2 at 12:30", "end, completed, 12:40"]
    assert time.monotonic() - began < 60


async def test_what_is_lost_is_seen_and_made_good() -> None:
    async with Pair(ven={"on_event": lambda event: "optIn"}) as pair:
        event = await pair.event(1)
        lost: list[str] = []

        def lose_first_answer(path: str, body: bytes) -> Fault | None:
            if b"oadrCreatedEvent" in body and not lost:
                lost.append(path)
                return Fault(lose_request=True)
            return None

        pair.fault = lose_first_answer
        await pair.advance(minutes=2)
        assert [one.lost for one in pair.recorder.exchanges if isinstance(one.request, wire.OadrCreatedEvent)] == [
            True,
            False,
        ]
        assert [a.opt_type for a in await pair.vtn.answers(event.event_id)] == ["optIn"]


async def test_more_vens_also_while_it_runs() -> None:
    class Mine(OpenADRClient):
        async def on_event(self, event: object) -> str:
            return "optOut"

    async with Pair(ven={"on_event": lambda event: "optIn"}) as pair:
        second = pair.add_ven("second", Mine)
        assert isinstance(second, Mine)
        await pair.until(lambda: second.registered)
        event = await pair.event(1)
        await pair.advance(seconds=15)
        answers = {a.ven_id: str(a.opt_type) for a in await pair.vtn.answers(event.event_id)}
        assert answers == {pair.ven.ven_id: "optIn", second.ven_id: "optOut"}
        assert pair.recorder.sent(wire.OadrCreatedEvent, who="second") != []
        with pytest.raises(ConfigError, match="already"):
            pair.add_ven("second")


async def test_readings_arrive() -> None:
    pair = Pair()
    power = Unit(name="powerReal", symbol="W", scale="k", hertz=50, voltage=230, ac=True)
    specifier = pair.ven.add_report(points=[DataPoint(r_id="p", unit=power)], source=lambda: 3.7)
    async with pair:
        assert pair.ven.ven_id is not None
        minute = timedelta(minutes=1)
        await pair.vtn.request_report(
            pair.ven.ven_id,
            report_specifier_id=specifier,
            granularity=minute,
            report_back_duration=minute,
            start=pair.clock.now(),
        )
        await pair.advance(minutes=5)
        assert {reading.reading.value for reading in await pair.vtn.readings(pair.ven.ven_id)} == {3.7}


async def test_two_runs_are_the_same() -> None:
    async def run() -> list[tuple[datetime, str]]:
        async with Pair(ven={"jitter": 0.5}) as pair:
            await pair.advance(minutes=3)
            return [(one.traffic.at, one.service) for one in pair.recorder.exchanges]

    first = await run()
    assert len(first) > 10
    assert await run() == first


async def test_until_gives_up() -> None:
    async with Pair() as pair:
        with pytest.raises(TimeoutError, match="0:00:05"):
            await pair.until(lambda: False, within=5)
        with pytest.raises(ConfigError, match="how long"):
            await pair.advance()


async def test_a_recorder_lists_types_without_idle_polls_and_forgets() -> None:
    async with Pair() as pair:
        assert pair.recorder.types()[:2] == ["oadrCreatePartyRegistration", "oadrCreatedPartyRegistration"]
        pair.recorder.clear()
        await pair.advance(seconds=25)
        assert pair.recorder.types() == []
        assert set(pair.recorder.types(polls=True)) == {"oadrPoll", "oadrResponse"}
        assert pair.recorder.received(wire.OadrResponse, who="nobody") == []


@pytest.mark.parametrize("fault", [Fault(truncate_request=True), Fault(truncate_reply=True), Fault(delay_reply_s=90)])
async def test_a_spoilt_answer_is_made_good(fault: Fault) -> None:
    calls: list[str] = []

    async def decide(event: Event) -> str:
        calls.append(event.event_id)
        return "optIn"

    async with Pair(ven={"on_event": decide}) as pair:
        event = await pair.event(1)
        hit: list[Fault] = []

        def spoil(path: str, body: bytes) -> Fault | None:
            if b"oadrCreatedEvent" not in body or hit:
                return None
            hit.append(fault)
            return fault

        pair.fault = spoil
        await pair.advance(minutes=3)
        assert hit == [fault]
        assert [a.opt_type for a in await pair.vtn.answers(event.event_id)] == ["optIn"]
        assert calls == [event.event_id]


async def test_a_copy_arrives_late() -> None:
    taken: list[str] = []

    async def door(path: str, body: bytes) -> tuple[int, bytes]:
        taken.append(f"{body.decode()} at {clock.now():%H:%M}")
        return 200, b"taken"

    clock = StillClock(datetime(2030, 1, 1, 12, tzinfo=UTC))
    faults = iter([Fault(repeat_after_s=600)])
    transport = MemoryTransport(door, fault=lambda path, body: next(faults, None), clock=clock)
    assert (await transport.post("http://vtn/a", b"first")).body == b"taken"
    await clock.advance(60)
    await transport.post("http://vtn/a", b"second")
    await clock.advance(600)
    assert taken == ["first at 12:00", "second at 12:01", "first at 12:10"]
    await transport.close()
