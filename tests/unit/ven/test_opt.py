"""Who decides about an event: a person later, the availabilities that were told, and whoever changes his mind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ConfigError, LocalProtocolError, TransportError
from pyopenadr.model import Event, Interval, Opt, OptType, ResponseRequired, Signal, Span, Target
from pyopenadr.v2 import wire
from pyopenadr.ven import DEFER, Defer
from pyopenadr.ven.availability import word_on
from pyopenadr.ven.state import MemoryLedger
from tests.unit.ven.scripted import HOUR, NOW, ScriptedVtn, client_of, event, ok, problems, running

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def vtn() -> ScriptedVtn:
    vtn = ScriptedVtn()
    vtn.events = [event()]
    return vtn


class Asked:
    """An `on_event` that says the same each time, and counts."""

    def __init__(self, answer: object = DEFER) -> None:
        self.answer = answer
        self.calls: list[tuple[str, int]] = []

    async def __call__(self, event: Event) -> object:
        self.calls.append((event.event_id, event.modification_number))
        return self.answer


def answers(vtn: ScriptedVtn) -> list[tuple[str, int, str]]:
    """What the VTN was told of events: id, version, opt."""
    return [
        (it.event_id, it.modification_number, it.opt_type)
        for message in vtn.sent(wire.OadrCreatedEvent)
        for it in message.event_responses or ()
    ]


async def test_a_person_decides_in_time(vtn: ScriptedVtn, clock: FakeClock) -> None:
    asked = Asked()
    vtn.rules[wire.OadrPoll] = lambda _: vtn.distribute()
    async with running(client_of(vtn, clock, on_event=asked), clock) as client:
        await clock.advance(30 * MINUTE)
        assert client.deferred == {"e1": NOW + HOUR}
        assert answers(vtn) == []
        await client.opt_in("e1")
        await clock.advance(5)
        assert client.deferred == {}
        assert answers(vtn) == [("e1", 0, "optIn")]
        assert asked.calls == [("e1", 0)]


@pytest.mark.parametrize(
    ("answer", "minute", "opt"),
    [
        (DEFER, 60, "optOut"),
        (Defer(within=600), 10, "optOut"),
        (Defer(within=timedelta(minutes=5), default="optIn"), 5, "optIn"),
        (Defer(within=90 * MINUTE, default=OptType.IN), 90, "optIn"),
    ],
)
async def test_nobody_decides(
    vtn: ScriptedVtn, clock: FakeClock, answer: Defer, minute: int, opt: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(client_of(vtn, clock, on_event=Asked(answer)), clock):
        await clock.advance(minute * MINUTE - MINUTE)
        assert answers(vtn) == []
        await clock.advance(2 * MINUTE)
        assert answers(vtn) == [("e1", 0, opt)]
    assert any(f"nobody has decided, so it is answered with {opt}" in line for line in problems(caplog.records))


async def test_a_running_event_is_not_waited_with_unless_told_so(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [event(start=NOW - MINUTE)]
    async with running(client_of(vtn, clock, on_event=Asked()), clock):
        await clock.advance(1)
        assert answers(vtn) == [("e1", 0, "optOut")]


async def test_a_deferral_survives_a_restart(vtn: ScriptedVtn, clock: FakeClock) -> None:
    state, asked = MemoryLedger(), Asked()
    vtn.events = [event(), event("e2")]
    async with running(client_of(vtn, clock, on_event=asked, state=state), clock):
        await clock.advance(10 * MINUTE)
    async with running(client_of(vtn, clock, on_event=asked, state=state), clock) as client:
        assert set(client.deferred) == {"e1", "e2"}
        await client.opt_in("e2")
        await clock.advance(HOUR)
        assert sorted(answers(vtn)) == [("e1", 0, "optOut"), ("e2", 0, "optIn")]
    assert sorted(asked.calls) == [("e1", 0), ("e2", 0)]
    assert not state._rows["deferral"]


async def test_a_deadline_that_passes_while_the_ven_is_down(vtn: ScriptedVtn, clock: FakeClock) -> None:
    state = MemoryLedger()
    async with running(client_of(vtn, clock, on_event=Asked(Defer(within=60)), state=state), clock):
        pass
    await clock.advance(10 * MINUTE)
    async with running(client_of(vtn, clock, on_event=Asked(), state=state), clock):
        await clock.advance(1)
        assert set(answers(vtn)) == {("e1", 0, "optOut")}


async def test_a_new_version_is_asked_about_anew(vtn: ScriptedVtn, clock: FakeClock) -> None:
    asked = Asked()
    async with running(client_of(vtn, clock, on_event=asked), clock) as client:
        vtn.queue.append(vtn.distribute(event(modification_number=1, start=NOW + 2 * HOUR)))
        await clock.advance(90 * MINUTE)
        assert asked.calls == [("e1", 0), ("e1", 1)]
        assert client.deferred == {"e1": NOW + 2 * HOUR}
        assert answers(vtn) == []


async def test_a_cancelled_event_needs_no_decision(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock, on_event=Asked()), clock) as client:
        vtn.queue.append(vtn.distribute(event(modification_number=1, cancelled=True)))
        await clock.advance(2 * HOUR)
        assert client.deferred == {}
        assert answers(vtn) == [("e1", 1, "optIn")]
        with pytest.raises(LocalProtocolError, match="there is no event 'e1'"):
            await client.opt_in("e1")


async def test_a_change_of_mind_in_the_middle_reaches_the_vtn_also_if_it_is_away(
    vtn: ScriptedVtn, clock: FakeClock
) -> None:
    story: list[str] = []

    async def begins(_: Event) -> None:
        story.append("begins")

    async def ends(_: Event, reason: str) -> None:
        story.append(str(reason))

    settings: dict[str, Any] = {"on_event_start": begins, "on_event_end": ends, "on_event": Asked("optIn")}
    async with running(client_of(vtn, clock, **settings), clock) as client:
        await clock.advance(70 * MINUTE)
        lost: list[Any] = [TransportError("lost")]
        vtn.rules[wire.OadrCreatedEvent] = lambda _: lost.pop() if lost else ok()
        await client.opt_out("e1")
        await clock.advance(MINUTE)
        await client.opt_out("e1")
        await client.opt_in("e1")
        await clock.advance(MINUTE)
    assert answers(vtn) == [("e1", 0, opt) for opt in ("optIn", "optOut", "optOut", "optIn")]
    assert story == ["begins", "optOut", "begins"]


async def test_a_decision_by_hand_comes_before_one_that_is_awaited(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async def slow(_: Event) -> str:
        await clock.sleep(20)
        return "optOut"

    async with running(client_of(vtn, clock, on_event=slow), clock) as client:
        await client.opt_in("e1")
        await clock.advance(MINUTE)
        assert answers(vtn) == [("e1", 0, "optIn")]


async def test_who_needs_no_answer_gets_none(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [event(response_required=ResponseRequired.NEVER)]
    async with running(client_of(vtn, clock, on_event=Asked()), clock) as client:
        await client.opt_in("e1")
        await clock.advance(MINUTE)
        assert client.events["e1"].opt_type is OptType.IN
        assert answers(vtn) == []


@pytest.mark.parametrize("wrong", [{"within": 0}, {"within": -MINUTE}, {"default": "maybe"}])
def test_a_deferral_that_makes_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Defer(**wrong)


# --- availabilities ---------------------------------------------------------------------------------------------------


def opt(opt_type: str, *spans: tuple[float, float | None], **fields: Any) -> Opt:
    """An availability; its times are in minutes from now."""
    availability = tuple(Span(NOW + a * MINUTE, None if b is None else NOW + b * MINUTE) for a, b in spans)
    values: dict[str, Any] = {"opt_id": "o", "ven_id": "ven-1", "opt_reason": "x", "created_date_time": NOW}
    return Opt(opt_type=OptType(opt_type), availability=availability, **(values | fields))


def for_devices(*classes: tuple[str, ...]) -> Event:
    steps = (Interval(HOUR, 1.0),)
    signals = tuple(
        Signal(signal_name="SIMPLE", signal_type="level", signal_id=str(n), intervals=steps, device_classes=each)
        for n, each in enumerate(classes)
    )
    return event(signals=signals)


A, B = Target(resource_ids=("a",)), Target(resource_ids=("b",))
BOTH = Target(ven_ids=("ven-1",), resource_ids=("a", "b"))


@pytest.mark.parametrize(
    ("said", "what", "word"),
    [
        (opt("optOut", (60, 120)), event(), "optOut"),
        (opt("optOut", (0, 61)), event(), "optOut"),
        (opt("optOut", (0, 60)), event(), None),
        (opt("optOut", (120, None)), event(), None),
        (opt("optOut", (0, 1), (90, 91)), event(), "optOut"),
        (opt("optIn", (60, 120)), event(), "optIn"),
        (opt("optIn", (0, None)), event(), "optIn"),
        (opt("optIn", (60, 119)), event(), None),
        (opt("optIn", (0, 1000)), event(duration=timedelta(0)), None),
        (opt("optIn", (0, None)), event(duration=timedelta(0)), "optIn"),
        (opt("optOut", (0, None), market_context="http://market.example"), event(), "optOut"),
        (opt("optOut", (0, None), market_context="http://other.example"), event(), None),
        (opt("optOut", (0, None), target=Target(ven_ids=("ven-1",))), event(target=A), "optOut"),
        (opt("optOut", (0, None), target=A), event(target=A), "optOut"),
        (opt("optOut", (0, None), target=A), event(target=B), None),
        (opt("optOut", (0, None), target=A), event(target=BOTH), None),
        (opt("optOut", (0, None), target=BOTH), event(target=A), "optOut"),
        (opt("optOut", (0, None), target=A), event(), None),
        (opt("optOut", (0, None), device_classes=("HVAC",)), for_devices(("HVAC",)), "optOut"),
        (opt("optOut", (0, None), device_classes=("HVAC",)), for_devices(("HVAC",), ("EV",)), None),
        (opt("optOut", (0, None), device_classes=("HVAC", "EV")), for_devices(("HVAC",), ("EV",)), "optOut"),
        (opt("optOut", (0, None), device_classes=("HVAC",)), for_devices(()), None),
    ],
)
def test_what_an_availability_says_to_an_event(said: Opt, what: Event, word: str | None) -> None:
    assert word_on(said, what, what.active_span) == word


async def test_availabilities_decide_if_they_are_to(vtn: ScriptedVtn, clock: FakeClock) -> None:
    asked, state = Asked("optIn"), MemoryLedger()
    vtn.events = []
    settings: dict[str, Any] = {"on_event": asked, "opts_decide": True, "state": state}
    async with running(client_of(vtn, clock, **settings), clock) as client:
        await client.create_opt("optOut", availability=[Span(NOW + HOUR, NOW + 2 * HOUR)], opt_id="o1")
    vtn.events = [event(), event("later", start=NOW + 2 * HOUR)]
    vtn.queue.append(vtn.distribute())
    async with running(client_of(vtn, clock, **settings), clock) as client:
        await clock.advance(20)
        assert sorted(answers(vtn)) == [("e1", 0, "optOut"), ("later", 0, "optIn")]
        assert asked.calls == [("later", 0)]
        await client.create_opt("optOut", availability=[Span(NOW + HOUR)], opt_id="o2")
        await clock.advance(20)
        assert answers(vtn)[2:] == [("later", 0, "optOut")], "what was told of before is answered anew"
        await client.cancel_opt("o1")
        await client.cancel_opt("o2")
        vtn.queue.append(vtn.distribute(event("after"), event("later", start=NOW + 2 * HOUR)))
        await clock.advance(20)
        assert client.events["after"].opt_type is OptType.IN


async def test_availabilities_that_are_not_to_decide_are_only_told(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock, on_event=Asked("optIn")), clock) as client:
        await client.create_opt("optOut", availability=[Span(NOW, NOW + 2 * HOUR)])
        await clock.advance(20)
        assert answers(vtn) == [("e1", 0, "optIn")]


async def test_availabilities_that_are_over_are_forgotten(vtn: ScriptedVtn, clock: FakeClock) -> None:
    state = MemoryLedger()
    client = client_of(vtn, clock, state=state)
    await client.create_party_registration()
    await client.create_opt("optOut", availability=[Span(NOW, NOW + HOUR)], opt_id="past")
    await client.create_opt("optOut", availability=[Span(NOW)], opt_id="for ever")
    await clock.advance(HOUR)
    assert set(client_of(vtn, clock, state=state).opts) == {"for ever"}
