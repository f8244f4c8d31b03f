"""The execution of events: what the device code is told, and when, in auto mode with a clock that the test moves."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import TransportError
from pyopenadr.model import Event, Interval, OptType, Signal, Span, Target
from pyopenadr.v2 import wire
from pyopenadr.v2.faults import response
from pyopenadr.ven import EndReason, OpenADRClient, TimedInterval
from pyopenadr.ven.execution import Run
from pyopenadr.ven.scheduler import LONGEST_REST_S
from pyopenadr.ven.state import Ledger, MemoryLedger
from tests.unit.ven.scripted import NOW, ScriptedVtn, client_of, event, problems, running, threads

MINUTE = timedelta(minutes=1)
BEGIN = NOW + MINUTE


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def vtn() -> ScriptedVtn:
    return ScriptedVtn()


@pytest.fixture
def state() -> MemoryLedger:
    return MemoryLedger()


def simple(*values: float, signal_id: str = "s", each: timedelta = MINUTE, **fields: Any) -> Signal:
    intervals = tuple(Interval(each, value) for value in values)
    return Signal(
        **({"signal_name": "SIMPLE", "signal_type": "level", "signal_id": signal_id, "intervals": intervals} | fields)
    )


def levels(event_id: str, *values: float, start: datetime = BEGIN, **fields: Any) -> Event:
    """An event with one interval of a minute for each value."""
    signals = fields.pop("signals", (simple(*values),))
    return event(event_id, **({"start": start, "duration": len(values) * MINUTE, "signals": signals} | fields))


class Device:
    """Device code that notes what it is told, with the seconds since the start of the test."""

    def __init__(
        self, vtn: ScriptedVtn, clock: FakeClock, state: Ledger | None = None, opt: str = "optIn", **settings: Any
    ) -> None:
        self.clock = clock
        self.opt = opt
        self.told: list[tuple[Any, ...]] = []
        self.takes: dict[str, float] = {}
        names = ("on_event_start", "on_interval_start", "on_interval_end", "on_event_end", "on_ramp_up", "on_recovery")
        handlers = {name: getattr(self, name) for name in names}
        # Each process draws other lots.
        draw = random.Random(f"{clock.now()} {len(vtn.log)}")
        values: dict[str, Any] = {"state": state, "on_event": self.on_event, "random": draw, **handlers, **settings}
        self.client = client_of(vtn, clock, **values)

    async def on_event(self, it: Event) -> str:
        return self.opt

    async def on_event_start(self, it: Event) -> None:
        await self._tell("start", it)

    async def on_interval_start(self, it: Event, signal: Signal, interval: TimedInterval) -> None:
        await self._tell("interval", it, interval.number, interval.value, *self._seconds(interval.start, interval.end))

    async def on_interval_end(self, it: Event, signal: Signal, interval: TimedInterval) -> None:
        await self._tell("over", it, interval.number, interval.value, *self._seconds(interval.start, interval.end))

    async def on_event_end(self, it: Event, reason: EndReason) -> None:
        await self._tell("end", it, str(reason))

    async def on_ramp_up(self, it: Event, span: Span) -> None:
        await self._tell("ramp-up", it, *self._seconds(span.start, span.end))

    async def on_recovery(self, it: Event, span: Span) -> None:
        await self._tell("recovery", it, *self._seconds(span.start, span.end))

    def _seconds(self, *instants: datetime | None) -> list[float | None]:
        return [None if it is None else (it - NOW).total_seconds() for it in instants]

    async def _tell(self, what: str, it: Event, *words: object) -> None:
        self.told.append(((self.clock.now() - NOW).total_seconds(), what, it.event_id, *words))
        await self.clock.sleep(self.takes.get(f"{what} {it.event_id}", 0.0))

    @property
    def story(self) -> list[str]:
        """What was told, as lines: seconds, what, of which event, and the value or the reason."""
        return [
            f"{line[0]:g} {line[1]} {line[2]}"
            + (f" {line[4]:g}" if line[1] in ("interval", "over") else f" {line[3]}" if line[1] == "end" else "")
            for line in self.told
        ]


async def deliver(vtn: ScriptedVtn, clock: FakeClock, *events: Event) -> None:
    """Have the next poll bring these events."""
    vtn.events = list(events)
    vtn.queue.append(
        vtn.distribute() if events else wire.OadrDistributeEvent(response=response(), request_id="d-2", vtn_id="vtn-1")
    )
    await clock.advance(10)


# -- one event -------------------------------------------------------------------------------------------------------


async def test_an_event_from_start_to_end(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [levels("e", 1, 2)]
    device = Device(vtn, clock)
    async with running(device.client, clock):
        await clock.advance(10 * MINUTE)
        assert device.told == [
            (60, "start", "e"),
            (60, "interval", "e", 0, 1, 60, 120),
            (120, "over", "e", 0, 1, 60, 120),
            (120, "interval", "e", 1, 2, 120, 180),
            (180, "over", "e", 1, 2, 120, 180),
            (180, "end", "e", "completed"),
        ]


async def test_an_event_that_still_is_listed_after_its_end_does_not_begin_again(
    vtn: ScriptedVtn, clock: FakeClock
) -> None:
    vtn.events = [levels("e", 1)]
    device = Device(vtn, clock)
    async with running(device.client, clock):
        for _ in range(10):
            await clock.advance(15)
            vtn.queue.append(vtn.distribute())
        assert device.story == ["60 start e", "60 interval e 1", "120 over e 1", "120 end e completed"]


async def test_signals_have_their_own_steps(vtn: ScriptedVtn, clock: FakeClock) -> None:
    price = simple(0.5, signal_id="p", each=2 * MINUTE, signal_name="ELECTRICITY_PRICE", signal_type="priceMultiplier")
    vtn.events = [levels("e", 1, 2, signals=(simple(1, 2), price))]
    device = Device(vtn, clock)
    async with running(device.client, clock):
        await clock.advance(10 * MINUTE)
        assert device.story == [
            "60 start e",
            "60 interval e 1",
            "60 interval e 0.5",
            "120 over e 1",
            "120 interval e 2",
            "180 over e 0.5",
            "180 over e 2",
            "180 end e completed",
        ]


async def test_the_random_offset_moves_everything(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [levels("e", 1, 2, start_after=10 * MINUTE)]
    device = Device(vtn, clock)
    async with running(device.client, clock) as client:
        offset = client.events["e"].offset.total_seconds()
        assert offset > 0
        await clock.advance(20 * MINUTE)
        assert [line[0] - offset for line in device.told] == [60, 60, 120, 120, 180, 180]
        assert device.told[1][-2:] == (60 + offset, 120 + offset)


@pytest.mark.parametrize(
    ("ramp", "recovery", "story"),
    [
        (
            30,
            40,
            ["30 ramp-up e", "60 start e", "60 interval e 1", "120 over e 1", "120 end e completed", "120 recovery e"],
        ),
        (
            -30,
            -40,
            ["60 start e", "60 ramp-up e", "60 interval e 1", "80 recovery e", "120 over e 1", "120 end e completed"],
        ),
        (0, 0, ["60 start e", "60 interval e 1", "120 over e 1", "120 end e completed"]),
    ],
)
async def test_the_transitions(vtn: ScriptedVtn, clock: FakeClock, ramp: int, recovery: int, story: list[str]) -> None:
    vtn.events = [levels("e", 1, ramp_up=timedelta(seconds=ramp), recovery=timedelta(seconds=recovery))]
    device = Device(vtn, clock)
    async with running(device.client, clock):
        await clock.advance(5 * MINUTE)
        assert device.story == story
        spans = {line[1]: line[3:] for line in device.told if line[1] in ("ramp-up", "recovery")}
        assert spans.get("ramp-up", (0, 0))[1] - spans.get("ramp-up", (0, 0))[0] == abs(ramp)
        assert spans.get("recovery", (0, 0))[1] - spans.get("recovery", (0, 0))[0] == abs(recovery)


async def test_an_open_ended_event_lasts_until_it_is_cancelled(vtn: ScriptedVtn, clock: FakeClock) -> None:
    zero = timedelta(0)
    it = levels("e", 1, duration=zero, signals=(simple(3, each=zero),))
    vtn.events = [it]
    device = Device(vtn, clock)
    async with running(device.client, clock):
        await clock.advance(60 * MINUTE)
        assert device.told == [(60, "start", "e"), (60, "interval", "e", 0, 3, 60, None)]
        await deliver(vtn, clock, msgspec.structs.replace(it, modification_number=1, cancelled=True))
        assert device.told[2:] == [(3610, "over", "e", 0, 3, 60, 3610), (3610, "end", "e", "cancelled")]


async def test_only_what_is_opted_in_is_executed(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [levels("e", 1)]
    device = Device(vtn, clock, opt="optOut")
    async with running(device.client, clock):
        await clock.advance(5 * MINUTE)
        assert device.told == []


@pytest.mark.parametrize("switch", [False, True])
async def test_tests_are_kept_from_devices_unless_they_are_wanted(
    vtn: ScriptedVtn, clock: FakeClock, switch: bool
) -> None:
    vtn.events = [levels("e", 1, test_event="true")]
    device = Device(vtn, clock, run_test_events=switch)
    async with running(device.client, clock):
        assert device.client.events["e"].opt_type is OptType.IN
        await clock.advance(5 * MINUTE)
        assert bool(device.told) == switch


# -- several events --------------------------------------------------------------------------------------------------


async def test_of_adjacent_events_one_ends_before_the_other_begins(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [levels("b", 2, start=BEGIN + MINUTE), levels("a", 1)]
    device = Device(vtn, clock)
    device.takes = {"over a": 5, "end a": 5}
    async with running(device.client, clock):
        await clock.advance(5 * MINUTE)
        assert device.story == [
            "60 start a",
            "60 interval a 1",
            "120 over a 1",
            "125 end a completed",
            "130 start b",
            "130 interval b 2",
            "180 over b 2",
            "180 end b completed",
        ]


async def test_slow_code_of_one_event_does_not_delay_another(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [levels("a", 1, 2), levels("b", 3, start=BEGIN + MINUTE / 2)]
    device = Device(vtn, clock, handler_timeout_s=50)
    device.takes = {"start a": 200}
    async with running(device.client, clock):
        await clock.advance(5 * MINUTE)
        story = device.story
        assert "90 start b" in story
        assert "150 end b completed" in story
        assert story.index("110 interval a 1") > story.index("90 start b"), "and it goes on without what took too long"
        assert story[-1] == "180 end a completed"


async def test_what_applies_when_events_overlap(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [
        levels("a", 1, 1, 1, priority=2),
        levels("b", 3, start=BEGIN + MINUTE, priority=1),
        levels("c", 2, start=BEGIN + MINUTE, target=Target(resource_ids=("boiler",)), priority=0),
        levels("t", 2, start=BEGIN, test_event="true"),
    ]
    device = Device(vtn, clock)
    async with running(device.client, clock) as client:
        seen = [
            ((step.span.start - NOW).total_seconds(), step.resource, step.event.event_id, step.value)
            for step in client.timeline(NOW, NOW + 10 * MINUTE)
        ]
        assert [line for line in seen if line[1] == ""] == [(60, "", "a", 1), (120, "", "b", 3), (180, "", "a", 1)]
        assert {line[2] for line in seen if line[1] == "boiler"} == {"a", "b"}
        assert client.now() == ()
        await clock.advance(2 * MINUTE)
        (step,) = (step for step in client.now() if step.resource == "")
        assert (step.event.event_id, step.span) == ("b", Span(BEGIN + MINUTE, BEGIN + 2 * MINUTE))
        assert {line[2] for line in device.told} == {"a", "b", "c"}, "the calls are each event's own"


# -- changes ---------------------------------------------------------------------------------------------------------


async def test_a_change_before_the_start(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [levels("e", 1)]
    device = Device(vtn, clock)
    async with running(device.client, clock):
        await deliver(vtn, clock, levels("e", 2, start=BEGIN + 2 * MINUTE, modification_number=1))
        await clock.advance(10 * MINUTE)
        assert device.story == ["180 start e", "180 interval e 2", "240 over e 2", "240 end e completed"]


@pytest.mark.parametrize(
    ("changed", "story"),
    [
        (levels("e", 1, 3), ["120 over e 1", "120 interval e 3", "180 over e 3", "180 end e completed"]),
        (
            levels("e", 1, 2, 2),
            [
                "120 over e 1",
                "120 interval e 2",
                "180 over e 2",
                "180 interval e 2",
                "240 over e 2",
                "240 end e completed",
            ],
        ),
        (
            levels("e", 3, 2),
            [
                "90 over e 1",
                "90 interval e 3",
                "120 over e 3",
                "120 interval e 2",
                "180 over e 2",
                "180 end e completed",
            ],
        ),
        (levels("e", 1), ["120 over e 1", "120 end e completed"]),
        (
            levels("e", 1, 2, start=BEGIN + 2 * MINUTE),
            [
                "90 over e 1",
                "90 end e modified",
                "180 start e",
                "180 interval e 1",
                "240 over e 1",
                "240 interval e 2",
                "300 over e 2",
                "300 end e completed",
            ],
        ),
        (levels("e", 1, 2, test_event="true"), ["90 over e 1", "90 end e modified"]),
        (
            levels("e", 1, 2, priority=1, vtn_comment="hurry"),
            ["120 over e 1", "120 interval e 2", "180 over e 2", "180 end e completed"],
        ),
    ],
    ids=["a later value", "longer", "this value", "shorter", "moved", "a test", "nothing that matters"],
)
async def test_a_change_during_the_event(vtn: ScriptedVtn, clock: FakeClock, changed: Event, story: list[str]) -> None:
    vtn.events = [levels("e", 1, 2)]
    device = Device(vtn, clock)
    async with running(device.client, clock):
        await clock.advance(80)
        assert device.story == ["60 start e", "60 interval e 1"]
        await deliver(vtn, clock, msgspec.structs.replace(changed, modification_number=1))
        await clock.advance(10 * MINUTE)
        assert device.story[2:] == story


async def test_while_a_new_version_is_being_decided_the_old_one_runs_on(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [levels("e", 1, 2)]
    device = Device(vtn, clock, handler_timeout_s=100)
    async with running(device.client, clock) as client:
        await clock.advance(70)

        @client.on_event
        async def slow(_: Event) -> str:
            await clock.sleep(55)
            return "optOut"

        await deliver(vtn, clock, levels("e", 3, 3, modification_number=1))
        await clock.advance(5 * MINUTE)
        assert device.story[2:] == ["120 over e 1", "120 interval e 2", "135 over e 2", "135 end e optOut"]


async def test_nothing_begins_by_a_version_that_is_being_replaced(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [levels("e", 1, 2)]
    device = Device(vtn, clock, handler_timeout_s=100)
    async with running(device.client, clock) as client:
        await clock.advance(45)

        @client.on_event
        async def slow(_: Event) -> str:
            await clock.sleep(40)
            return "optIn"

        await deliver(vtn, clock, levels("e", 3, 3, modification_number=1))
        await clock.advance(5 * MINUTE)
        assert device.story[:2] == ["90 start e", "90 interval e 3"]


async def test_an_event_that_is_made_longer_after_its_end_begins_again(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [levels("e", 1)]
    device = Device(vtn, clock)
    async with running(device.client, clock):
        await clock.advance(130)
        assert device.story[-1] == "120 end e completed"
        await deliver(vtn, clock, levels("e", 1, 1, modification_number=1))
        await clock.advance(5 * MINUTE)
        assert device.story[4:] == ["140 start e", "140 interval e 1", "180 over e 1", "180 end e completed"]


async def test_a_cancelled_event_ends_at_random_within_its_window(vtn: ScriptedVtn, clock: FakeClock) -> None:
    fields: dict[str, Any] = {"start_after": 3 * MINUTE, "start": NOW - 20 * MINUTE}
    values = [1.0] * 40
    vtn.events = [levels("e", *values, **fields)]
    device = Device(vtn, clock)
    async with running(device.client, clock) as client:
        await clock.advance(5)
        count = len(device.told)
        assert count == 2
        await deliver(vtn, clock, levels("e", *values, modification_number=1, cancelled=True, **fields))
        assert device.story[-1].partition(" ")[2] != "end e cancelled", "not at once"
        assert len(client.now()) == 1
        await clock.advance(4 * MINUTE)
        (end,) = [line for line in device.told if line[1] == "end"]
        assert end[3] == "cancelled"
        assert 15 < end[0] <= 15 + 180
        assert client.now() == ()
        assert device.told[-1] == end


@pytest.mark.parametrize("said", [True, False])
async def test_an_event_that_is_taken_back(vtn: ScriptedVtn, clock: FakeClock, said: bool) -> None:
    vtn.events = [levels("e", 1, 2), levels("later", 1, start=NOW + 3 * MINUTE)]
    device = Device(vtn, clock)
    async with running(device.client, clock):
        await clock.advance(80)
        gone = [
            levels("e", 1, 2, modification_number=1, cancelled=True),
            levels("later", 1, start=NOW + 3 * MINUTE, modification_number=1, cancelled=True),
        ]
        await deliver(vtn, clock, *(gone if said else []))
        await clock.advance(5 * MINUTE)
        assert device.story == ["60 start e", "60 interval e 1", "90 over e 1", "90 end e cancelled"]


async def test_opting_out_and_in_again_in_the_middle(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [levels("e", 1, 2)]
    device = Device(vtn, clock)
    async with running(device.client, clock) as client:
        await clock.advance(70)
        await client.created_event("e", "optOut")
        await clock.advance(60)
        await client.create_opt("optIn", event_id="e")
        await clock.advance(5 * MINUTE)
        assert device.story[2:] == [
            "70 over e 1",
            "70 end e optOut",
            "130 start e",
            "130 interval e 2",
            "180 over e 2",
            "180 end e completed",
        ]


async def test_the_end_of_the_registration_ends_every_event(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [levels("e", 1, 2, ramp_up=MINUTE), levels("ramping", 1, start=NOW + 2 * MINUTE, ramp_up=MINUTE)]
    device = Device(vtn, clock)
    async with running(device.client, clock):
        await clock.advance(80)
        vtn.events = []
        vtn.queue.append(wire.OadrCancelPartyRegistration(request_id="c", registration_id="reg-1", ven_id="ven-1"))
        await clock.advance(5 * MINUTE)
        story = device.story
        # Events don't wait for each other, except for an end.
        assert sorted(story[:4]) == ["0 ramp-up e", "60 interval e 1", "60 ramp-up ramping", "60 start e"]
        assert sorted(story[4:]) == ["90 end e unregistered", "90 end ramping unregistered", "90 over e 1"]


# -- the user's code -------------------------------------------------------------------------------------------------


async def test_plain_functions_run_in_threads(vtn: ScriptedVtn, clock: FakeClock) -> None:
    told: list[str] = []
    vtn.events = [levels("e", 1, start=NOW)]
    client = client_of(vtn, clock, on_event=lambda _: "optIn")

    @client.on_event_start
    def start(it: Event) -> None:
        told.append(it.event_id)

    async with running(client, clock):
        await threads(clock, lambda: told == ["e"])


async def test_methods_of_a_subclass_are_called(vtn: ScriptedVtn, clock: FakeClock) -> None:
    told: list[str] = []

    class Boiler(OpenADRClient):
        async def on_event(self, it: Event) -> str:
            return "optIn"

        async def on_event_end(self, it: Event, reason: EndReason) -> None:
            told.append(reason)

    vtn.events = [levels("e", 1, start=NOW)]
    async with running(client_of(vtn, clock, kind=Boiler), clock):
        await clock.advance(2 * MINUTE)
        assert told == ["completed"]


async def test_code_that_fails_is_called_once_and_the_rest_goes_on(
    vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    vtn.events = [levels("e", 1)]
    device = Device(vtn, clock)
    calls: list[str] = []

    @device.client.on_interval_start
    async def broken(*_: object) -> None:
        calls.append("x")
        raise OSError("relay stuck")

    async with running(device.client, clock):
        await clock.advance(5 * MINUTE)
        assert calls == ["x"]
        assert device.story == ["60 start e", "120 over e 1", "120 end e completed"]
    assert any("relay stuck" in line and "event e" in line for line in problems(caplog.records))


async def test_an_event_that_can_not_be_reckoned_with_stops_no_other(
    vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    vtn.events = [levels("odd", 1, recovery=timedelta(days=3_000_000)), levels("e", 1)]
    device = Device(vtn, clock)
    async with running(device.client, clock):
        await clock.advance(5 * MINUTE)
        assert device.story[-1] == "120 end e completed"
    assert any("odd can't be executed" in line for line in problems(caplog.records))


# -- clocks that jump ------------------------------------------------------------------------------------------------


class JumpyClock(FakeClock):
    """A clock that can be set, as a machine's is: what sleeps is not woken by that."""

    shift = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.shift


@pytest.mark.parametrize("jump", [-90, -30])
async def test_a_clock_that_is_set_back_repeats_nothing(vtn: ScriptedVtn, jump: int) -> None:
    clock = JumpyClock(NOW)
    vtn.events = [levels("e", 1, 2, 3)]
    device = Device(vtn, clock)
    async with running(device.client, clock):
        await clock.advance(150)
        clock.shift = timedelta(seconds=jump)
        await clock.advance(10 * MINUTE)
        # The times are those of the clock that was set.
        assert [line.partition(" ")[2] for line in device.story] == [
            "start e",
            "interval e 1",
            "over e 1",
            "interval e 2",
            "over e 2",
            "interval e 3",
            "over e 3",
            "end e completed",
        ]
        assert device.told[4][0] == 180
        assert device.told[-1][0] == 240


async def test_a_clock_that_is_set_back_after_the_end_does_not_begin_it_again(vtn: ScriptedVtn) -> None:
    clock = JumpyClock(NOW)
    vtn.events = [levels("e", 1, start_after=MINUTE * 5)]
    device = Device(vtn, clock, random=random.Random(7))
    async with running(device.client, clock):
        await clock.advance(7 * MINUTE)
        assert len(device.told) == 4
        clock.shift = timedelta(seconds=-300)
        await clock.advance(10 * MINUTE)
        assert len(device.told) == 4


@pytest.mark.parametrize(
    ("jump", "story"),
    [
        (10, ["over e 1", "interval e 2", "over e 2", "interval e 3", "over e 3", "end e completed"]),
        (20, ["over e 1", "interval e 3", "over e 3", "end e completed"]),
        (60, ["over e 1", "end e completed"]),
    ],
)
async def test_a_clock_that_is_set_forward_is_caught_up_with(vtn: ScriptedVtn, jump: int, story: list[str]) -> None:
    clock = JumpyClock(NOW)
    ten = 10 * MINUTE
    vtn.events = [levels("e", duration=3 * ten, signals=(simple(1, 2, 3, each=ten),))]
    device = Device(vtn, clock)
    async with running(device.client, clock):
        await clock.advance(61)
        clock.shift = jump * MINUTE
        await clock.advance(LONGEST_REST_S)
        assert device.story[2].partition(" ")[2] == "over e 1", "noticed soon"
        await clock.advance(30 * MINUTE)
        assert [line.partition(" ")[2] for line in device.story[2:]] == story


# -- restarts --------------------------------------------------------------------------------------------------------


async def lives(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger, *spells: tuple[float, float], **settings: Any
) -> list[str]:
    """What is told by a VEN that runs and rests in turns, for so many seconds each."""
    story = []
    for runs, rests in spells:
        device = Device(vtn, clock, state, **settings)
        async with running(device.client, clock):
            await clock.advance(runs)
        await clock.advance(rests)
        story += [*device.story, "-"]
    return story


@pytest.mark.parametrize(
    ("spells", "story"),
    [
        (
            [(80, 10), (300, 0)],
            [
                "60 start e",
                "60 interval e 1",
                "-",
                "120 over e 1",
                "120 interval e 2",
                "180 over e 2",
                "180 end e completed",
                "-",
            ],
        ),
        (
            [(80, 60), (300, 0)],
            [
                "60 start e",
                "60 interval e 1",
                "-",
                "140 over e 1",
                "140 interval e 2",
                "180 over e 2",
                "180 end e completed",
                "-",
            ],
        ),
        ([(80, 600), (300, 0)], ["60 start e", "60 interval e 1", "-", "680 over e 1", "680 end e completed", "-"]),
        ([(30, 100), (300, 0)], ["-", "130 start e", "130 interval e 2", "180 over e 2", "180 end e completed", "-"]),
        ([(30, 600), (300, 0)], ["-", "-"]),
        (
            [(125, 1), (1, 1), (1, 1), (300, 0)],
            [
                "60 start e",
                "60 interval e 1",
                "120 over e 1",
                "120 interval e 2",
                "-",
                "-",
                "-",
                "180 over e 2",
                "180 end e completed",
                "-",
            ],
        ),
        (
            [(185, 1), (300, 0)],
            [
                "60 start e",
                "60 interval e 1",
                "120 over e 1",
                "120 interval e 2",
                "180 over e 2",
                "180 end e completed",
                "-",
                "-",
            ],
        ),
    ],
    ids=["within an interval", "into the next", "over the end", "over the start", "over everything", "often", "after"],
)
async def test_a_restart_goes_on(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger, spells: list[tuple[float, float]], story: list[str]
) -> None:
    # The VTN lists it a while longer than it lasts, as with a random window.
    vtn.events = [levels("e", 1, 2)]
    assert await lives(vtn, clock, state, *spells) == story


async def test_nothing_is_left_of_an_event_that_is_over(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger
) -> None:
    vtn.events = [levels("e", 1, 2), levels("f", 1, 2, 3), levels("g", 1, recovery=MINUTE)]
    device = Device(vtn, clock, state)
    async with running(device.client, clock):
        await clock.advance(150)
        assert sorted(state.load("run", Run)) == ["e", "f", "g"]
        await deliver(vtn, clock, levels("e", 1, 2))
        await clock.advance(5 * MINUTE)
        await deliver(vtn, clock)
        assert state.load("run", Run) == {}
        assert device.client._parts.scheduler._runs == {}


async def test_after_a_restart_the_timeline_is_there_at_once(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger
) -> None:
    vtn.events = [levels("e", 1, 2)]
    await lives(vtn, clock, state, (80, 0))
    (step,) = Device(vtn, clock, state).client.now()
    assert (step.value, step.span) == (1, Span(BEGIN, BEGIN + MINUTE))


async def test_the_ramp_of_an_event_that_was_missed_is_left_out(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger
) -> None:
    vtn.events = [levels("e", 1, ramp_up=30 * timedelta(seconds=1), recovery=30 * timedelta(seconds=1))]
    assert await lives(vtn, clock, state, (20, 50), (20, 80), (20, 0)) == [
        "-",
        "70 start e",
        "70 interval e 1",
        "-",
        "170 over e 1",
        "170 end e completed",
        "-",
    ], "and so is a recovery whose time has passed"


async def test_an_event_cancelled_while_the_ven_was_down(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger
) -> None:
    vtn.events = [levels("running", 1, 2), levels("pending", 1, start=BEGIN + MINUTE)]
    await lives(vtn, clock, state, (80, 60))
    vtn.events = [levels("other", 1, start=NOW + 60 * MINUTE)]
    story = await lives(vtn, clock, state, (300, 0))
    assert story[-2:] == ["140 end running cancelled", "-"]
    assert not [line for line in story if "pending" in line], "what is not wanted any more never begins"


async def test_what_is_due_begins_without_the_vtn_but_not_at_once(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger
) -> None:
    async def never(url: str, body: bytes) -> Any:
        await asyncio.get_running_loop().create_future()

    vtn.events = [levels("e", 1, 2)]
    await lives(vtn, clock, state, (30, 40))
    vtn.post = never  # type: ignore[method-assign]
    device = Device(vtn, clock, state)
    async with running(device.client, clock):
        await clock.advance(300)
        assert device.story[0] == "80 start e", "ten seconds are for the VTN to say that it is cancelled"
        assert device.story[-1] == "180 end e completed"


async def test_what_is_due_begins_at_once_if_the_vtn_is_away(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger
) -> None:
    vtn.events = [levels("e", 1, 2)]
    await lives(vtn, clock, state, (30, 40))
    vtn.rules[wire.OadrRequestEvent] = lambda _: TransportError("away")
    assert (await lives(vtn, clock, state, (5, 0)))[0] == "70 start e"


async def test_a_random_end_survives_a_restart(vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger) -> None:
    values = [1.0] * 40
    vtn.events = [levels("e", *values, start=NOW - 20 * MINUTE, start_after=3 * MINUTE)]
    first = Device(vtn, clock, state)
    async with running(first.client, clock):
        await clock.advance(5)
        await deliver(vtn, clock)
        (step,) = first.client.now()
    assert step.event.cancelled
    second = Device(vtn, clock, state)
    assert second.client.now() == (step,)
    async with running(second.client, clock):
        await clock.advance(4 * MINUTE)
        (end,) = [line for line in second.told if line[1] == "end"]
        assert end[3] == "cancelled"
        assert second.told[-1] == end
