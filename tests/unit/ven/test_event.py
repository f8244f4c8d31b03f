"""Events in auto mode: who is asked, what is answered, and what a bad handler can't do."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import TransportError
from pyopenadr.model import Event, OptType, ResponseRequired
from pyopenadr.v2 import wire
from pyopenadr.ven import EventReply, HandlerFailed, OpenADRClient
from pyopenadr.ven.reply import reply_of
from tests.unit.ven.scripted import HOUR, NOW, ScriptedVtn, client_of, event, ok, problems, refusal, running, threads


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def vtn() -> ScriptedVtn:
    return ScriptedVtn()


def answers(vtn: ScriptedVtn) -> list[tuple[str, int, str, str]]:
    """Event, number, opt and code of every answer that was sent."""
    return [
        (answer.event_id, answer.modification_number, answer.opt_type, answer.response_code)
        for message in vtn.sent(wire.OadrCreatedEvent)
        for answer in message.event_responses or ()
    ]


class Recorder:
    """A handler that keeps what it is called with, and says yes."""

    def __init__(self, answer: object = "optIn") -> None:
        self.calls: list[Event] = []
        self.answer = answer

    async def __call__(self, it: Event) -> object:
        self.calls.append(it)
        return self.answer


async def deliver(vtn: ScriptedVtn, clock: FakeClock, *events: Event, **fields: Any) -> None:
    """Have the next poll bring these events."""
    vtn.events = list(events)
    vtn.queue.append(vtn.distribute(**fields))
    await clock.advance(10)


# -- the ways to give a handler --------------------------------------------------------------------------------------


class Subclass(OpenADRClient):
    """A client with its handler built in."""

    def on_event(self, it: Event) -> str:
        return "optIn" if self.ven_name == "my ven" else "optOut"


class AsyncSubclass(OpenADRClient):
    """The same, with a coroutine."""

    async def on_event(self, it: Event) -> str:
        return "optIn"


def plain(it: Event) -> str:
    assert threading.current_thread() is not threading.main_thread()
    return "optIn"


async def coroutine(it: Event) -> str:
    assert threading.current_thread() is threading.main_thread()
    return "optIn"


def by_decorator(handler: Callable[[Event], Any], client: OpenADRClient) -> None:
    assert client.on_event(handler) is handler


def by_attribute(handler: Callable[[Event], Any], client: OpenADRClient) -> None:
    client.on_event = handler


@pytest.mark.parametrize("handler", [plain, coroutine, lambda it: coroutine(it), lambda it: OptType.IN])
@pytest.mark.parametrize("give", [by_decorator, by_attribute, None])
async def test_handlers_of_every_kind(
    vtn: ScriptedVtn, clock: FakeClock, handler: Callable[[Event], Any], give: Callable[..., None] | None
) -> None:
    client = client_of(vtn, clock, on_event=None if give else handler)
    if give is not None:
        give(handler, client)
    vtn.events = [event()]
    async with running(client, clock):
        await threads(clock, lambda: bool(answers(vtn)))
        assert answers(vtn) == [("e1", 0, "optIn", "200")]


@pytest.mark.parametrize("kind", [Subclass, AsyncSubclass])
async def test_handlers_of_a_subclass(vtn: ScriptedVtn, clock: FakeClock, kind: type[OpenADRClient]) -> None:
    vtn.events = [event()]
    async with running(client_of(vtn, clock, kind=kind), clock):
        await threads(clock, lambda: bool(answers(vtn)))
        assert answers(vtn) == [("e1", 0, "optIn", "200")]


async def test_an_attribute_overrules_a_subclass(vtn: ScriptedVtn, clock: FakeClock) -> None:
    client = client_of(vtn, clock, kind=AsyncSubclass, on_event=Recorder("optOut"))
    vtn.events = [event()]
    async with running(client, clock):
        assert answers(vtn) == [("e1", 0, "optOut", "200")]


@pytest.mark.parametrize("wrong", [3, "optIn"])
def test_what_is_no_handler(vtn: ScriptedVtn, wrong: object) -> None:
    client = client_of(vtn)
    with pytest.raises(TypeError, match="on_event must be a function"):
        client.on_event = wrong  # type: ignore[assignment]
    with pytest.raises(TypeError, match="takes your function"):
        client.on_event(wrong)


async def test_without_a_handler_the_default_is_answered_and_said_once(
    vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(vtn, clock, on_event=Recorder())
    client.on_event = None
    vtn.events = [event("a"), event("b")]
    async with running(client, clock):
        assert answers(vtn) == [("a", 0, "optOut", "200"), ("b", 0, "optOut", "200")]
    assert len([line for line in problems(caplog.records) if "no on_event handler" in line]) == 1


# -- what is called and answered -------------------------------------------------------------------------------------


async def test_one_call_per_version_and_one_answer_per_delivery(vtn: ScriptedVtn, clock: FakeClock) -> None:
    handler = Recorder()
    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=handler), clock):
        await deliver(vtn, clock, event(), request_id="d-2")
        assert len(handler.calls) == 1
        messages = vtn.sent(wire.OadrCreatedEvent)
        assert [m.event_responses[0].request_id for m in messages if m.event_responses] == ["d-1", "d-2"]
        await deliver(vtn, clock, event(modification_number=1, priority=2))
        assert [call.modification_number for call in handler.calls] == [0, 1]
        assert answers(vtn)[-1] == ("e1", 1, "optIn", "200")


async def test_several_events_in_one_message_get_one_answer(vtn: ScriptedVtn, clock: FakeClock) -> None:
    handler = Recorder()
    vtn.events = [event("a"), event("b"), event("c")]
    async with running(client_of(vtn, clock, on_event=handler), clock):
        assert [call.event_id for call in handler.calls] == ["a", "b", "c"]
        assert len(vtn.sent(wire.OadrCreatedEvent)) == 1
        assert [answer[0] for answer in answers(vtn)] == ["a", "b", "c"]


async def test_events_that_want_no_answer_get_none(vtn: ScriptedVtn, clock: FakeClock) -> None:
    handler = Recorder()
    vtn.events = [event(response_required=ResponseRequired.NEVER)]
    async with running(client_of(vtn, clock, on_event=handler), clock) as client:
        assert len(handler.calls) == 1
        assert vtn.sent(wire.OadrCreatedEvent) == []
        assert client.events["e1"].opt_type is OptType.IN


async def test_the_contents_of_the_answer_can_be_given(vtn: ScriptedVtn, clock: FakeClock) -> None:
    reply = EventReply(opt_type=OptType.OUT, response_code="469", response_description="the boiler is out")
    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=Recorder(reply)), clock):
        (message,) = vtn.sent(wire.OadrCreatedEvent)
        assert message.event_responses is not None
        (answer,) = message.event_responses
        assert (answer.opt_type, answer.response_code) == ("optOut", "469")
        assert answer.response_description == "the boiler is out"


def test_what_a_handler_may_return() -> None:
    assert reply_of("optIn") == EventReply(opt_type=OptType.IN)
    assert reply_of(OptType.OUT) == EventReply(opt_type=OptType.OUT)
    own = SimpleNamespace(opt_type="optIn", response_description="fine")
    assert reply_of(own) == EventReply(opt_type=OptType.IN, response_description="fine")


@pytest.mark.parametrize(
    "nonsense",
    [None, True, "optin", 1, {"opt_type": "optIn"}, SimpleNamespace(opt_type="optIn", response_code=200), [], object()],
)
def test_what_a_handler_must_not_return(nonsense: object) -> None:
    with pytest.raises(HandlerFailed, match='return "optIn", "optOut", an EventReply or DEFER'):
        reply_of(nonsense)


async def test_a_refused_event_is_not_shown_to_the_handler(vtn: ScriptedVtn, clock: FakeClock) -> None:
    handler = Recorder()
    vtn.events = [event("good"), event("bad", market_context="http://other.example/")]
    client = client_of(vtn, clock, on_event=handler, market_contexts=["http://market.example/"])
    async with running(client, clock):
        assert [call.event_id for call in handler.calls] == ["good"]
        assert sorted(answers(vtn)) == [("bad", 0, "optOut", "462"), ("good", 0, "optIn", "200")]
        assert list(client.events) == ["good"]


async def test_events_of_another_vtn_are_refused_as_a_whole(vtn: ScriptedVtn, clock: FakeClock) -> None:
    handler = Recorder()
    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=handler), clock) as client:
        await deliver(vtn, clock, event(modification_number=1, priority=1), vtn_id="another")
        message = vtn.last(wire.OadrCreatedEvent)
        assert (message.response.response_code, message.event_responses) == ("452", None)
        assert len(handler.calls) == 1
        assert list(client.events) == ["e1"]


# -- cancellation ----------------------------------------------------------------------------------------------------


async def test_a_cancelled_event(vtn: ScriptedVtn, clock: FakeClock) -> None:
    handler = Recorder("optOut")
    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=handler), clock) as client:
        await deliver(vtn, clock, event(modification_number=1, cancelled=True))
        assert [call.cancelled for call in handler.calls] == [False, True]
        assert answers(vtn)[-1] == ("e1", 1, "optIn", "200")
        assert not client.events


async def test_an_unknown_cancelled_event_is_answered_without_a_call(vtn: ScriptedVtn, clock: FakeClock) -> None:
    handler = Recorder()
    vtn.events = [event(modification_number=1, cancelled=True)]
    async with running(client_of(vtn, clock, on_event=handler), clock):
        assert handler.calls == []
        assert answers(vtn) == [("e1", 1, "optIn", "200")]


async def test_an_event_that_is_no_longer_listed_is_cancelled(vtn: ScriptedVtn, clock: FakeClock) -> None:
    handler = Recorder()
    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=handler), clock) as client:
        await deliver(vtn, clock)
        assert [call.cancelled for call in handler.calls] == [False, True]
        assert not client.events
        assert len(vtn.sent(wire.OadrCreatedEvent)) == 1


async def test_an_event_that_is_over_just_goes(vtn: ScriptedVtn, clock: FakeClock) -> None:
    handler = Recorder()
    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=handler), clock) as client:
        await clock.advance(2 * HOUR)
        await deliver(vtn, clock)
        assert len(handler.calls) == 1
        assert not client.events


async def test_a_running_event_with_a_random_window_ends_within_it(vtn: ScriptedVtn, clock: FakeClock) -> None:
    window = timedelta(minutes=10)
    ends: list[float] = []

    async def on_event(it: Event) -> str:
        if it.cancelled:
            ends.append((clock.now() - cancelled_at).total_seconds())
        return "optIn"

    it = event(start=NOW - timedelta(minutes=20), start_after=window)
    vtn.events = [it]
    async with running(client_of(vtn, clock, on_event=on_event), clock) as client:
        offset = client.events["e1"].offset
        assert timedelta(0) <= offset <= window
        assert client.executed_span("e1").start == it.start + offset
        cancelled_at = clock.now() + timedelta(seconds=10)
        await deliver(vtn, clock, event(start=it.start, start_after=window, modification_number=1, cancelled=True))
        assert answers(vtn)[-1] == ("e1", 1, "optIn", "200"), "the VTN need not wait"
        await clock.advance(window)
        assert len(ends) == 1
        assert 0 < ends[0] <= window.total_seconds()


async def test_the_offset_stays_unless_the_window_changes(vtn: ScriptedVtn, clock: FakeClock) -> None:
    day = timedelta(days=1)
    vtn.events = [event(start_after=day)]
    async with running(client_of(vtn, clock, on_event=Recorder()), clock) as client:
        offset = client.events["e1"].offset
        await deliver(vtn, clock, event(start_after=day, priority=1, modification_number=1))
        assert client.events["e1"].offset == offset
        await deliver(vtn, clock, event(start_after=2 * day, priority=1, modification_number=2))
        assert client.events["e1"].offset != offset


# -- handlers that misbehave -----------------------------------------------------------------------------------------


async def raises(_: Event) -> str:
    raise RuntimeError("out of coffee")


def raises_plainly(_: Event) -> str:
    raise RuntimeError("out of coffee")


def exits(_: Event) -> str:
    raise SystemExit(3)


def stops_iterating(_: Event) -> str:
    raise StopIteration


async def cancels_itself(_: Event) -> str:
    raise asyncio.CancelledError


async def nonsense(_: Event) -> object:
    return "perhaps"


def no_arguments() -> str:
    return "optIn"


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (raises, "raises raised RuntimeError: out of coffee"),
        (raises_plainly, "raises_plainly raised RuntimeError: out of coffee"),
        (exits, "raised SystemExit"),
        (stops_iterating, "raised StopIteration"),
        (cancels_itself, "was cancelled from within"),
        (nonsense, "returned 'perhaps'"),
        (no_arguments, "raised TypeError"),
    ],
)
async def test_a_handler_that_fails_is_logged_and_answered_by_the_default(
    vtn: ScriptedVtn,
    clock: FakeClock,
    handler: Callable[[Event], Any],
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    vtn.events = [event("e77")]
    async with running(client_of(vtn, clock, on_event=handler), clock):
        await threads(clock, lambda: bool(answers(vtn)))
        assert answers(vtn) == [("e77", 0, "optOut", "200")]
        polls = len(vtn.sent(wire.OadrPoll))
        await clock.advance(20)
        assert len(vtn.sent(wire.OadrPoll)) == polls + 2
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert said in record.getMessage()
    assert vars(record)["event_id"] == "e77"


async def test_the_default_can_be_set(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=raises, default_opt="optIn"), clock):
        assert answers(vtn) == [("e1", 0, "optIn", "200")]


async def test_a_slow_handler_delays_nothing_and_changes_its_mind_in_time(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async def on_event(it: Event) -> str:
        if it.event_id == "slow":
            await clock.sleep(100)
        return "optIn"

    vtn.events = [event("slow"), event("quick")]
    async with running(client_of(vtn, clock, on_event=on_event, handler_timeout_s=60), clock):
        assert answers(vtn) == [], "the quick one waits a moment for the slow one"
        await clock.advance(1)
        assert answers(vtn) == [("quick", 0, "optIn", "200")]
        await clock.advance(28)
        assert len(vtn.sent(wire.OadrPoll)) == 3, "polling goes on"
        await clock.advance(31)
        assert answers(vtn)[1:] == [("slow", 0, "optOut", "200")], "in time: the default"
        await clock.advance(41)
        assert answers(vtn)[2:] == [("slow", 0, "optIn", "200")], "and later the change of mind"


async def test_a_handler_that_fails_after_its_time_changes_nothing(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async def on_event(_: Event) -> str:
        await clock.sleep(100)
        raise RuntimeError

    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=on_event), clock):
        await clock.advance(200)
        assert answers(vtn) == [("e1", 0, "optOut", "200")]


async def test_a_new_version_supersedes_a_decision_that_is_still_awaited(vtn: ScriptedVtn, clock: FakeClock) -> None:
    ended: list[int] = []

    async def on_event(it: Event) -> str:
        try:
            await clock.sleep(500 if it.modification_number == 0 else 1)
        finally:
            ended.append(it.modification_number)
        return "optIn"

    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=on_event, handler_timeout_s=30), clock):
        await deliver(vtn, clock, event(modification_number=1, priority=1))
        assert ended == [0], "the old call is cancelled"
        await clock.advance(600)
        assert answers(vtn) == [("e1", 1, "optIn", "200")]


async def test_hanging_threads_block_neither_the_loop_nor_the_end(vtn: ScriptedVtn, clock: FakeClock) -> None:
    release = threading.Event()

    def hangs(_: Event) -> str:
        release.wait(20)
        return "optIn"

    vtn.events = [event(f"e{n}") for n in range(20)]
    started = time.monotonic()
    try:
        async with running(client_of(vtn, clock, on_event=hangs, handler_timeout_s=5), clock):
            await clock.advance(10)
            assert len(answers(vtn)) == 20
            assert {answer[2] for answer in answers(vtn)} == {"optOut"}
            assert len(vtn.sent(wire.OadrPoll)) == 2
        assert time.monotonic() - started < 10
    finally:
        release.set()


async def test_an_answer_is_sent_until_the_vtn_has_taken_it(vtn: ScriptedVtn, clock: FakeClock) -> None:
    failures: list[Any] = [TransportError("lost"), 503, TransportError("lost")]
    vtn.rules[wire.OadrCreatedEvent] = lambda _: failures.pop() if failures else ok()
    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=Recorder()), clock) as client:
        assert client.unsent == 1
        await clock.advance(20)
        assert client.unsent == 0
        assert answers(vtn) == [("e1", 0, "optIn", "200")] * 4


async def test_a_refused_answer_is_not_sent_again(
    vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    vtn.rules[wire.OadrCreatedEvent] = lambda _: refusal("450", "too late")
    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=Recorder()), clock):
        await clock.advance(100)
        assert len(answers(vtn)) == 1
    assert any("450: too late" in line for line in problems(caplog.records))


async def test_an_answer_that_always_breaks_the_vtn_is_given_up(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.rules[wire.OadrCreatedEvent] = lambda _: 500
    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=Recorder()), clock) as client:
        await clock.advance(HOUR / 2)
        assert 10 <= len(answers(vtn)) <= 15, "only those count between which the VTN was well"
        assert client.unsent == 0


async def test_a_vtn_that_no_longer_knows_us_is_registered_with_again(vtn: ScriptedVtn, clock: FakeClock) -> None:
    refusals = [refusal("463")]
    vtn.rules[wire.OadrCreatedEvent] = lambda _: refusals.pop() if refusals else ok()
    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=Recorder()), clock):
        await clock.advance(20)
        assert len(vtn.sent(wire.OadrCreatePartyRegistration)) == 2
        assert len(answers(vtn)) == 2


async def test_changing_ones_mind_by_hand(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.events = [event(modification_number=4)]
    async with running(client_of(vtn, clock, on_event=Recorder()), clock) as client:
        await client.created_event("e1", "optOut")
        assert answers(vtn)[-1] == ("e1", 4, "optOut", "200")
        await deliver(vtn, clock, event(modification_number=4))
        assert answers(vtn)[-1] == ("e1", 4, "optOut", "200"), "and it stays so"
