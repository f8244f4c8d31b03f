"""A VTN that falls silent: the VEN holds, releases or goes to a level, says so once, and comes back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ConfigError, TransportError
from pyopenadr.model import Event, OptType
from pyopenadr.transport.port import Reply
from pyopenadr.ven import EndReason, FailSafe, OpenADRClient
from pyopenadr.ven.state import MemoryLedger
from tests.unit.ven.scripted import HOUR, NOW, ScriptedVtn, client_of, event, running

TEN = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)


class SilentVtn(ScriptedVtn):
    """A VTN that can be silent."""

    silent = False

    async def post(self, url: str, body: bytes) -> Reply:
        if self.silent:
            raise TransportError("nobody there")
        return await super().post(url, body)


class Device:
    """Notes what it is told, with the minute at which."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.story: list[str] = []

    def _note(self, text: str) -> None:
        self.story.append(f"{(self.clock.now() - NOW) / MINUTE:.0f} {text}")

    async def begins(self, event: Event) -> None:
        self._note(f"{event.event_id} begins")

    async def ends(self, event: Event, reason: EndReason) -> None:
        self._note(f"{event.event_id} {reason}")

    async def failsafe(self, state: FailSafe) -> None:
        level = "" if state.level is None else f" {state.level:g}"
        self._note(f"{state.action}{level} since {(state.since - NOW) / MINUTE:.0f}" if state.active else "back")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def vtn() -> SilentVtn:
    vtn = SilentVtn()
    vtn.poll_frequency = MINUTE
    vtn.events = [event(start=NOW + TEN)]
    return vtn


async def opt_in(_: Event) -> OptType:
    return OptType.IN


def is_alone(client: OpenADRClient) -> bool:
    return client.failsafe is not None and client.failsafe.active


def guarded(
    vtn: ScriptedVtn, clock: FakeClock, device: Device, failsafe: str | float, **settings: object
) -> OpenADRClient:
    values: dict[str, object] = {
        "failsafe": failsafe,
        "failsafe_after": TEN,
        "on_event": opt_in,
        "on_event_start": device.begins,
        "on_event_end": device.ends,
        "on_failsafe": device.failsafe,
    }
    return client_of(vtn, clock, **(values | settings))


@pytest.mark.parametrize(
    ("failsafe", "story"),
    [
        ("hold", ["10 e1 begins", "30 hold since 20", "44 back", "70 e1 completed"]),
        (
            "release",
            ["10 e1 begins", "30 e1 failsafe", "30 release since 20", "44 back", "44 e1 begins", "70 e1 completed"],
        ),
        (
            0.5,
            ["10 e1 begins", "30 e1 failsafe", "30 level 0.5 since 20", "44 back", "44 e1 begins", "70 e1 completed"],
        ),
    ],
)
async def test_gone_and_back(vtn: SilentVtn, clock: FakeClock, failsafe: str | float, story: list[str]) -> None:
    device = Device(clock)
    async with running(guarded(vtn, clock, device, failsafe), clock) as client:
        await clock.advance(20 * MINUTE)
        assert not is_alone(client)
        vtn.silent = True
        await clock.advance(20 * MINUTE)
        assert is_alone(client)
        assert bool(client.now()) is (failsafe == "hold")
        await clock.advance(4 * MINUTE)
        vtn.silent = False
        await clock.advance(60 * MINUTE)
        assert not is_alone(client)
    assert device.story == story


async def test_an_event_that_begins_in_the_silence(vtn: SilentVtn, clock: FakeClock) -> None:
    device = Device(clock)
    vtn.events = [event(start=NOW + HOUR)]
    async with running(guarded(vtn, clock, device, "release"), clock):
        await clock.advance(MINUTE)
        vtn.silent = True
        await clock.advance(3 * HOUR)
    assert device.story == ["11 release since 1"]


async def test_a_short_silence_is_none(vtn: SilentVtn, clock: FakeClock) -> None:
    device, state = Device(clock), MemoryLedger()
    async with running(guarded(vtn, clock, device, "release", state=state), clock):
        for _ in range(5):
            vtn.silent = True
            await clock.advance(8 * MINUTE)
            vtn.silent = False
            await clock.advance(6 * MINUTE)
    assert not [line for line in device.story if "since" in line or "back" in line]
    assert not state._rows.get("failsafe")


async def test_without_a_time_it_never_happens(vtn: SilentVtn, clock: FakeClock) -> None:
    device = Device(clock)
    async with running(guarded(vtn, clock, device, "release", failsafe_after=None), clock):
        vtn.silent = True
        await clock.advance(5 * HOUR)
    assert device.story == ["10 e1 begins", "70 e1 completed"]


async def test_answers_that_make_no_sense_are_silence(vtn: SilentVtn, clock: FakeClock) -> None:
    device = Device(clock)
    async with running(guarded(vtn, clock, device, "hold"), clock):
        await clock.advance(MINUTE)
        vtn.rules = dict.fromkeys((type(message) for _, message in vtn.log), lambda _: b"<html/>")
        await clock.advance(12 * MINUTE)
    assert "11 hold since 1" in device.story


@pytest.mark.parametrize(("silent", "story"), [(True, []), (False, ["back", "e1 begins", "e1 completed"])])
async def test_it_survives_a_restart(vtn: SilentVtn, clock: FakeClock, silent: bool, story: list[str]) -> None:
    state, device = MemoryLedger(), Device(clock)
    async with running(guarded(vtn, clock, device, 2.0, state=state), clock):
        await clock.advance(15 * MINUTE)
        vtn.silent = True
        await clock.advance(15 * MINUTE)
    assert device.story == ["10 e1 begins", "25 e1 failsafe", "25 level 2 since 15"]
    device.story.clear()
    vtn.silent = silent
    async with running(guarded(vtn, clock, device, 2.0, state=state), clock) as client:
        await clock.settle()
        assert (client.failsafe is not None) is silent
        await clock.advance(2 * HOUR)
    assert [line.partition(" ")[2] for line in device.story] == story


async def test_silence_before_a_restart_counts(vtn: SilentVtn, clock: FakeClock) -> None:
    state, device = MemoryLedger(), Device(clock)
    async with running(guarded(vtn, clock, device, "hold", state=state), clock):
        await clock.advance(4 * MINUTE)
        vtn.silent = True
        await clock.advance(8 * MINUTE)
    async with running(guarded(vtn, clock, device, "hold", state=state), clock):
        await clock.advance(3 * MINUTE)
    assert device.story == ["10 e1 begins", "14 hold since 4"]


async def test_a_machine_that_slept_asks_before_it_believes_that(vtn: SilentVtn, clock: FakeClock) -> None:
    device = Device(clock)
    async with running(guarded(vtn, clock, device, "release"), clock):
        await clock.advance(5.5 * MINUTE)
        clock._now += 4 * HOUR  # nobody is woken, as in a suspended machine
        await clock.advance(5 * MINUTE)
    assert device.story == []


async def test_a_registration_that_was_ended_is_no_silence(vtn: SilentVtn, clock: FakeClock) -> None:
    device = Device(clock)
    async with running(guarded(vtn, clock, device, "hold"), clock) as client:
        await client.cancel_party_registration()
        vtn.silent = True
        await clock.advance(HOUR)
    assert device.story == []


async def test_a_handler_that_fails_does_no_harm(vtn: SilentVtn, clock: FakeClock) -> None:
    device = Device(clock)

    async def failing(_: FailSafe) -> None:
        raise RuntimeError("no relay")

    async with running(guarded(vtn, clock, device, "release", on_failsafe=failing), clock):
        await clock.advance(15 * MINUTE)
        vtn.silent = True
        await clock.advance(15 * MINUTE)
        vtn.silent = False
        await clock.advance(15 * MINUTE)
    assert device.story == ["10 e1 begins", "25 e1 failsafe", "31 e1 begins"]


@pytest.mark.parametrize("failsafe", ["off", True, ""])
def test_settings_that_are_wrong(failsafe: str) -> None:
    with pytest.raises(ConfigError, match='failsafe must be "hold", "release" or a level'):
        OpenADRClient("v", "https://vtn.example", failsafe=failsafe)
