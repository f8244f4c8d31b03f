"""Many VENs in one process: each lives by itself, and they share what can be shared."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ConfigError
from pyopenadr.model import Event, Reading
from pyopenadr.v2 import wire
from pyopenadr.ven import VenFleet
from tests.unit.ven.scripted import NOW, ScriptedVtn, event

URL = "https://vtn.example"


class CrowdVtn(ScriptedVtn):
    """A VTN that gives each VEN an id made of its name. Those in `ill` get garbage."""

    ill: frozenset[str] = frozenset()

    def default(self, message: wire.Message) -> Any:
        if isinstance(message, wire.OadrCreatePartyRegistration):
            return self.created(message, ven_id=f"id of {message.ven_name}", registration_id=f"r {message.ven_name}")
        if message.get("ven_id") in self.ill:
            return b"<html>"
        return super().default(message)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def vtn(clock: FakeClock) -> CrowdVtn:
    vtn = CrowdVtn()
    vtn.clock = clock
    return vtn


def fleet_of(vtn: ScriptedVtn, clock: FakeClock, **settings: Any) -> VenFleet:
    values: dict[str, Any] = {"transport": vtn, "clock": clock, "random": random.Random(1), "jitter": 0.0}
    return VenFleet(**(values | settings))


@asynccontextmanager
async def sailing(fleet: VenFleet, clock: FakeClock) -> AsyncIterator[VenFleet]:
    task = asyncio.create_task(fleet.run())
    try:
        await clock.advance(12)
        yield fleet
        assert not task.done()
    finally:
        fleet.stop()
        await task
        await fleet.close()


async def test_all_register_poll_and_answer(vtn: CrowdVtn, clock: FakeClock) -> None:
    async def opt_in(_: Event) -> str:
        return "optIn"

    vtn.events = [event()]
    fleet = fleet_of(vtn, clock, on_event=opt_in)
    for number in range(20):
        fleet.add(f"v{number}", URL)
    async with sailing(fleet, clock):
        assert len(fleet) == 20
        assert {client.ven_id for client in fleet} == {f"id of v{number}" for number in range(20)}
        begun = [when for when, (_, m) in zip(vtn.times, vtn.log, strict=True) if "CreateParty" in m.tag]
        assert len(set(begun)) > 15, "not all at once"
        await clock.advance(30)
        assert {message.ven_id for message in vtn.sent(wire.OadrCreatedEvent)} == {f"id of v{n}" for n in range(20)}
        assert {message.ven_id for message in vtn.sent(wire.OadrPoll)} == {f"id of v{n}" for n in range(20)}
    assert not vtn.closed, "a transport of the user's is his to close"


async def test_one_vens_trouble_is_its_own(vtn: CrowdVtn, clock: FakeClock) -> None:
    async def broken(_: Event) -> str:
        raise RuntimeError("no")

    async def fine(_: Event) -> str:
        return "optIn"

    vtn.ill = frozenset({"id of ill"})
    vtn.events = [event()]
    fleet = fleet_of(vtn, clock, start_over_s=0.0, on_event=fine)
    fleet.add("ill", URL)
    bad = fleet.add("bad code", URL, on_event=broken)
    well = fleet.add("well", URL)
    async with sailing(fleet, clock):
        await clock.advance(60)
        assert bad.events["e1"].opt_type == "optOut"
        assert well.events["e1"].opt_type == "optIn"
        polls = [message.ven_id for message in vtn.sent(wire.OadrPoll)]
        assert polls.count("id of well") == polls.count("id of bad code") == 8


async def test_they_share_a_file_and_each_finds_its_own(vtn: CrowdVtn, clock: FakeClock, tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    for _ in range(2):
        fleet = fleet_of(vtn, clock, state=path, start_over_s=0.0)
        for name in ("a", "b"):
            fleet.add(name, URL)
        task = asyncio.create_task(fleet.run())
        while not all(client.registered and client._parts.session.successes > 2 for client in fleet):
            await clock.advance(1)
            await asyncio.sleep(0.01)  # the file is written by a thread
        assert {client.ven_id for client in fleet} == {"id of a", "id of b"}
        fleet.stop()
        await task
        await fleet.close()
    assert len(vtn.sent(wire.OadrCreatePartyRegistration)) == 2


async def test_coming_and_going_while_it_runs(vtn: CrowdVtn, clock: FakeClock) -> None:
    fleet = fleet_of(vtn, clock)
    first = fleet.add("first", URL)
    async with sailing(fleet, clock):
        second = fleet.add("second", URL)
        await clock.settle()
        assert second.registered
        await fleet.remove(first)
        assert fleet.get("first", URL) is None
        assert fleet.get("second", URL) is second
        before = len(vtn.sent(wire.OadrPoll))
        await clock.advance(30)
        assert {message.ven_id for message in vtn.sent(wire.OadrPoll)[before:]} == {"id of second"}
        assert second.running
        assert not first.running


async def test_connections_are_shared_by_those_with_the_same_files() -> None:
    fleet = VenFleet(timeout_s=7.0)
    fleet.add("a", URL)
    fleet.add("b", "https://other.example")
    fleet.add("c", URL, proxy="http://proxy.example:3128")
    assert len(fleet._transports) == 2
    await fleet.close()


def test_what_makes_no_sense() -> None:
    fleet = VenFleet()
    fleet.add("a", URL)
    with pytest.raises(ConfigError, match="has a VEN 'a' at"):
        fleet.add("a", URL + "/")
    with pytest.raises(ConfigError, match="start_over_s"):
        VenFleet(start_over_s=-1)


async def test_it_ends_at_once_also_while_it_begins(vtn: CrowdVtn, clock: FakeClock) -> None:
    fleet = fleet_of(vtn, clock, start_over_s=1000.0)
    for number in range(5):
        fleet.add(f"v{number}", URL)
    task = asyncio.create_task(fleet.run())
    await clock.settle()
    fleet.stop()
    await asyncio.wait_for(task, 2)
    assert not vtn.log
    await fleet.close()


async def test_the_readings_of_two_vens_do_not_mix(tmp_path: Path) -> None:
    fleet = VenFleet(state=tmp_path / "fleet.db")
    one, other = (fleet.add(name, URL)._parts.ledger for name in ("one", "other"))
    one.record("meter", NOW, Reading(r_id="meter", start=NOW, value=1.0))
    other.record("meter", NOW, Reading(r_id="meter", start=NOW, value=2.0))
    await one.kept()
    span = (NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    assert [it.value for it in await one.recorded("meter", *span, Reading, 10)] == [1.0]
    before = await other.recorded_before("meter", NOW + timedelta(minutes=1), Reading)
    assert before is not None
    assert before.value == 2.0
    one.trim("meter", NOW + timedelta(minutes=1), least=0, most=0)
    assert await one.recorded("meter", *span, Reading, 10) == []
    assert len(await other.recorded("meter", *span, Reading, 10)) == 1
    await fleet.close()
