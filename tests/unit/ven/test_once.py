"""Each call to the device code is carried out once, whatever the moment at which the process dies."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.model import Event
from pyopenadr.ven import DeviceCall
from pyopenadr.ven.handler import given
from pyopenadr.ven.state import MemoryLedger
from tests.unit.ven.mortal import MortalLedger, mortal
from tests.unit.ven.scripted import NOW, ScriptedVtn, client_of, problems, running
from tests.unit.ven.test_scheduler import BEGIN, MINUTE, deliver, levels, simple

CALLS = ("on_ramp_up", "on_event_start", "on_interval_start", "on_interval_end", "on_event_end", "on_recovery")


class Machine:
    """A device with a journal of its own, which outlives the process: what it has carried out, by the call's key.

    `dies` is the number of the call in which the process dies, and whether the device has carried it out by then.
    """

    def __init__(self, vtn: ScriptedVtn, clock: FakeClock) -> None:
        self.vtn = vtn
        self.clock = clock
        self.journal: list[str] = []
        self.reports: list[DeviceCall] = []
        self.asked: list[DeviceCall] = []
        self.count = 0
        self.dies: tuple[int, bool] | None = None

    def process(self, ledger: MortalLedger | MemoryLedger, **settings: Any) -> Any:
        """A client that works the device."""

        async def carry_out(*args: object, call: DeviceCall) -> None:
            assert args == call.args
            self.count += 1
            is_last = self.dies is not None and self.dies[0] == self.count and isinstance(ledger, MortalLedger)
            if is_last and self.dies is not None and not self.dies[1]:
                await self.dead(ledger)
            self.journal.append(call.key)
            self.reports.append(call)
            if is_last:
                await self.dead(ledger)

        handlers = dict.fromkeys(CALLS, carry_out)
        return client_of(self.vtn, self.clock, state=ledger, on_event=lambda event: "optIn", **handlers, **settings)

    async def dead(self, ledger: Any) -> None:
        ledger.die()
        await asyncio.get_running_loop().create_future()

    def was_made(self, call: DeviceCall) -> bool:
        self.asked.append(call)
        return call.key in self.journal


async def two_lives(
    life: int | None = None, dies: tuple[int, bool] | None = None, rests: timedelta = timedelta(0), **settings: Any
) -> tuple[int, Machine]:
    """Two overlapping events with a change, and one death on the way, at a commit or in a call; the commits."""
    clock, vtn = FakeClock(NOW), ScriptedVtn()
    vtn.clock = clock
    vtn.events = [levels("a", 1, 2, ramp_up=MINUTE / 2), levels("b", 3, start=BEGIN + MINUTE, recovery=MINUTE)]
    changed = [levels("a", 1, 2), levels("b", 3, 2, start=BEGIN + MINUTE, recovery=MINUTE, modification_number=1)]
    machine = Machine(vtn, clock)
    machine.dies = dies

    async def spell(ledger: MortalLedger) -> None:
        client = machine.process(ledger, **({"on_interrupted": machine.was_made} | settings))
        async with mortal(client, ledger, clock):
            while clock.now() < NOW + 8 * MINUTE and not ledger.dead:
                await clock.advance(5)
                if clock.now() == NOW + timedelta(seconds=145):
                    vtn.events = changed
                    vtn.queue.append(vtn.distribute())

    first = MortalLedger(life=life)
    await spell(first)
    if first.dead:
        await clock.advance(rests)
        await spell(MortalLedger(first.grave))
    return first.commits, machine


def ends_of(journal: list[str]) -> set[str]:
    """The ends that have to come of what was begun."""
    begins = (key.replace("on_ramp_up", "on_event_start") for key in journal)
    return {key.replace("_start", "_end") for key in begins if "_start" in key}


# -- death at any moment ---------------------------------------------------------------------------------------------


async def test_death_at_every_single_commit_skips_no_call_and_repeats_none() -> None:
    commits, machine = await two_lives()
    calls = machine.journal
    assert len(calls) == len(set(calls)) == 14
    assert machine.asked == []
    assert [call.key for call in machine.reports if call.repeated] == []
    questions = 0
    for life in range(1, commits):
        _, machine = await two_lives(life)
        assert sorted(machine.journal) == sorted(calls), f"life {life}: each is carried out once"
        questions += len(machine.asked)
    assert questions >= 14, "each call was interrupted at least once"


@pytest.mark.parametrize("carried_out", [False, True], ids=["before", "after"])
async def test_death_within_each_call_skips_none_and_repeats_none(carried_out: bool) -> None:
    _, machine = await two_lives()
    calls = machine.journal
    for number in range(1, len(calls) + 1):
        _, machine = await two_lives(dies=(number, carried_out))
        assert machine.asked
        assert sorted(machine.journal) == sorted(calls), f"call {number}: each is carried out once"


@pytest.mark.parametrize("carried_out", [False, True], ids=["before", "after"])
async def test_where_nobody_knows_what_was_under_way_is_repeated_and_says_so(carried_out: bool) -> None:
    _, machine = await two_lives()
    calls = machine.journal
    for number in range(1, len(calls) + 1):
        _, machine = await two_lives(dies=(number, carried_out), on_interrupted=None)
        assert set(machine.journal) == set(calls), f"call {number}: none is skipped"
        again = [call for call in machine.reports if call.repeated]
        assert again, f"call {number}: the one that was under way is marked"
        twice = [key for key, count in Counter(machine.journal).items() if count > 1]
        assert set(twice) <= {call.key for call in again}, f"call {number}: nothing else is repeated"
        assert twice or not carried_out


@pytest.mark.parametrize("carried_out", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("knows", [False, True])
async def test_no_end_is_left_out_after_a_long_death(carried_out: bool, knows: bool) -> None:
    _, machine = await two_lives()
    for number in range(1, len(machine.journal) + 1):
        settings: dict[str, Any] = {} if knows else {"on_interrupted": None}
        _, machine = await two_lives(dies=(number, carried_out), rests=timedelta(hours=1), **settings)
        ends = [key for key in machine.journal if "_end" in key]
        assert ends_of(machine.journal) <= set(ends), f"call {number}: what was begun has ended"
        if knows:
            assert sorted(ends) == sorted(ends_of(machine.journal)), f"call {number}: once, and nothing else has"


# -- what the user is told, and says -----------------------------------------------------------------------------------


def parts_of(keys: list[str]) -> list[str]:
    return [key.removeprefix("e/on_") for key in keys]


async def test_what_begins_anew_has_another_key() -> None:
    clock, vtn = FakeClock(NOW), ScriptedVtn()
    vtn.events = [levels("e", 1, 2)]
    machine = Machine(vtn, clock)
    client = machine.process(MemoryLedger())
    async with running(client, clock):
        await clock.advance(70)
        await deliver(vtn, clock, levels("e", 3, 2, modification_number=1))
        await client.opt_out("e")
        await clock.advance(10)
        await client.opt_in("e")
        await clock.advance(10)
        await deliver(vtn, clock, levels("e", 3, 5, modification_number=2))
        await clock.advance(120)
    assert parts_of(machine.journal) == [
        "event_start/1",
        "interval_start/s/0/1",
        "interval_end/s/0/1",
        "interval_start/s/0/2",
        "interval_end/s/0/2",
        "event_end/1",
        "event_start/2",
        "interval_start/s/0/3",
        "interval_end/s/0/3",
        "interval_start/s/1/1",
        "interval_end/s/1/1",
        "event_end/2",
    ]


async def test_keys_tell_signals_and_odd_ids_apart() -> None:
    clock, vtn = FakeClock(NOW), ScriptedVtn()
    vtn.events = [levels("e", 1, signals=(simple(1, signal_id="a/b"),)), levels("e/on_event_start", 1)]
    machine = Machine(vtn, clock)
    async with running(machine.process(MemoryLedger()), clock):
        await clock.advance(200)
    assert len(set(machine.journal)) == len(machine.journal) == 8
    assert "e/on_interval_start/a%2Fb/0/1" in machine.journal
    assert "e%2Fon_event_start/on_event_start/1" in machine.journal


async def interrupted(
    answer: Callable[[DeviceCall], object] | None, rest: float = 5, later: Callable[[ScriptedVtn], object] | None = None
) -> tuple[Machine, list[str]]:
    """A VEN that dies in the start of an interval, which has been carried out; what its device is told afterwards."""
    clock, vtn = FakeClock(NOW), ScriptedVtn()
    vtn.events = [levels("e", 1, 2)]
    machine = Machine(vtn, clock)
    machine.dies = (2, True)
    first = MortalLedger()
    async with mortal(machine.process(first), first, clock):
        await clock.advance(61)
    assert parts_of(machine.journal) == ["event_start/1", "interval_start/s/0/1"]
    machine.journal.clear()
    machine.dies = None
    if later is not None:
        later(vtn)
    await clock.advance(rest)
    async with running(machine.process(first.grave, on_interrupted=answer), clock):
        await clock.advance(10)
        after = parts_of(machine.journal)
    return machine, after


async def test_what_was_carried_out_is_not_repeated() -> None:
    _, after = await interrupted(lambda call: True)
    assert after == []


async def test_what_was_not_carried_out_is_made_if_it_still_is_due() -> None:
    machine, after = await interrupted(lambda call: False)
    assert after == ["interval_start/s/0/1"]
    assert not machine.reports[-1].repeated, "it is made for the first time"


async def test_what_was_not_carried_out_and_is_past_needs_no_end() -> None:
    _, after = await interrupted(lambda call: False, rest=60)
    assert after == ["interval_start/s/1/1"]


async def test_what_was_carried_out_and_is_past_is_ended() -> None:
    _, after = await interrupted(lambda call: True, rest=60)
    assert after == ["interval_end/s/0/1", "interval_start/s/1/1"]


async def test_what_perhaps_was_carried_out_and_is_past_is_ended_without_a_repetition() -> None:
    _, after = await interrupted(None, rest=60)
    assert after == ["interval_end/s/0/1", "interval_start/s/1/1"]


async def test_what_has_another_value_now_is_ended_and_begins_anew() -> None:
    def change(vtn: ScriptedVtn) -> None:
        vtn.events = [levels("e", 3, 2, modification_number=1)]

    _, after = await interrupted(None, later=change)
    assert after[-2:] == ["interval_end/s/0/1", "interval_start/s/0/2"]


async def test_what_was_cancelled_meanwhile_is_ended() -> None:
    def cancel(vtn: ScriptedVtn) -> None:
        vtn.events = [levels("other", 1, start=NOW + 60 * MINUTE)]

    _, after = await interrupted(lambda call: True, later=cancel)
    assert after == ["interval_end/s/0/1", "event_end/1"]


@pytest.mark.parametrize("answer", [1 / 2, "yes", RuntimeError("no idea")], ids=str)
async def test_an_answer_without_meaning_is_none(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    def say(call: DeviceCall) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    machine, after = await interrupted(say)
    assert after == ["interval_start/s/0/1"]
    assert machine.reports[-1].repeated
    assert "repeated" in problems(caplog.records)[0]


async def test_a_client_that_is_stopped_in_a_call_asks_when_it_goes_on() -> None:
    clock, vtn = FakeClock(NOW), ScriptedVtn()
    vtn.events = [levels("e", 1)]
    told: list[DeviceCall] = []

    async def hang(event: Event, *, call: DeviceCall) -> None:
        await clock.sleep(20)
        told.append(call)

    client = client_of(vtn, clock, on_event=lambda event: "optIn", on_event_start=hang)
    async with running(client, clock):
        await clock.advance(65)
        assert told == []
    async with running(client, clock):
        await clock.advance(30)
    assert [(call.key, call.repeated) for call in told] == [("e/on_event_start/1", True)]


async def test_an_event_that_is_cancelled_while_it_begins_is_ended() -> None:
    clock, vtn = FakeClock(NOW), ScriptedVtn()
    vtn.events = [levels("e", 1)]
    told: list[str] = []

    async def begin(event: Event) -> None:
        await clock.sleep(20)
        told.append("start")

    client = client_of(
        vtn,
        clock,
        on_event=lambda event: "optIn",
        on_event_start=begin,
        on_event_end=lambda event, reason: told.append(str(reason)),
    )
    async with running(client, clock):
        await clock.advance(61)
        await deliver(vtn, clock)
        await clock.advance(60)
    assert told == ["start", "cancelled"]


def test_a_handler_is_given_what_it_has_a_parameter_for() -> None:
    def plain(event: str) -> str:
        return event

    def named(event: str, call: int) -> str:
        return f"{event} {call}"

    def own(call: str) -> str:
        return call

    def everything(*args: object, **more: object) -> str:
        return f"{args} {more}"

    def keyword(*args: str, call: int = 0) -> str:
        return f"{args[0]} {call}"

    found = [given(it, ("e",), call=7)("e") for it in (plain, named, own, everything, keyword, str)]
    assert found == ["e", "e 7", "e", "('e',) {}", "e 7", "e"]
