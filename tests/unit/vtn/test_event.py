"""Events from the program to the VEN and back: delivery, changes, answers, and what survives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import pytest

from pyopenadr.errors import ConfigError, LocalProtocolError, ModelError
from pyopenadr.model import Event, Interval, OptType, ResponseRequired, Signal, Target
from pyopenadr.store import MemoryStore, Store
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge import lower_events
from tests.unit.vtn.sample import (
    HOUR,
    MINUTE,
    NOW,
    OK,
    Broken,
    Ven,
    again,
    answer_to,
    clock_of,
    event,
    event_response,
    eventually,
    ids,
    open_ended,
    running,
    server,
)

SECOND = NOW.replace(microsecond=0)


# --- making -------------------------------------------------------------------------------------------------------


async def test_an_event_in_a_few_words_has_whole_seconds_and_version_0() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        made = await vtn.add_event(start=NOW + HOUR, intervals=[(MINUTE, 1), (2 * MINUTE, 2.0)], priority=3)
        assert made.start == SECOND + HOUR
        message = await ven.poll(wire.OadrDistributeEvent)
        [sent] = message.events
        assert (sent.active_period.dtstart, sent.active_period.duration) == (SECOND + HOUR, 3 * MINUTE)
        assert sent.event_descriptor.created_date_time == SECOND
        assert (sent.event_descriptor.modification_number, sent.event_descriptor.priority) == (0, 3)
        assert sent.event_descriptor.event_status == "far"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, ConfigError),
        ({"start": NOW}, ConfigError),
        ({"intervals": [(HOUR, 1)]}, ConfigError),
        ({"start": NOW, "intervals": [(HOUR, "high")]}, ConfigError),
        ({"start": NOW, "intervals": [HOUR]}, ConfigError),
        ({"start": NOW, "intervals": [("PT1H", 1)]}, ConfigError),
        ({"start": NOW, "intervals": [(HOUR, 1)], "prioritty": 1}, ConfigError),
        ({"start": NOW, "intervals": [(HOUR, 1)], "priority": "high"}, ModelError),
        ({"start": NOW, "intervals": [(HOUR, 1)], "ven_ids": []}, ConfigError),
        ({"start": NOW, "intervals": [(HOUR, 1)], "ven_ids": [7]}, ConfigError),
        ({"start": datetime(2030, 1, 1), "intervals": [(HOUR, 1)]}, ModelError),  # noqa: DTZ001 - that is the point
        ({"start": NOW, "intervals": [(HOUR, 4)]}, ModelError),
        ({"event": event(), "start": NOW}, ConfigError),
        ({"event": event(signals=())}, ModelError),
    ],
)
async def test_a_wrong_event_is_refused_and_nothing_is_published(
    fields: dict[str, Any], error: type[Exception]
) -> None:
    async with running() as vtn:
        with pytest.raises(error):
            await vtn.add_event(**fields)
        assert await vtn.events(include_closed=True) == []


async def test_one_event_id_is_used_once_also_by_two_at_the_same_time() -> None:
    async with running() as vtn:
        results = await asyncio.gather(
            vtn.add_event(event(priority=1)), vtn.add_event(event(priority=2)), return_exceptions=True
        )
        assert [type(result) for result in results] == [Event, LocalProtocolError]
        assert [e.priority for e in await vtn.events()] == [1]


async def test_an_event_may_be_for_some_vens_only() -> None:
    async with running() as vtn:
        one, two = await Ven(vtn).join("one"), await Ven(vtn).join("two")
        await vtn.add_event(event("a"), ven_ids=one.ven_id)  # a single one needs no list
        await vtn.add_event(event("b", target=Target(ven_ids=(one.ven_id, two.ven_id))))
        await vtn.add_event(event("c"), ven_ids=[two.ven_id, "comes later"])
        assert ids(await one.poll(wire.OadrDistributeEvent)) == ["a", "b"]
        message = await two.poll(wire.OadrDistributeEvent)
        assert ids(message) == ["b", "c"]
        assert [e.target.ven_id for e in message.events] == [(two.ven_id,), ()]


# --- delivering ---------------------------------------------------------------------------------------------------


async def test_an_event_is_sent_until_it_is_answered_but_not_at_every_poll(store: Store | str) -> None:
    vtn = server(store)
    ven = await Ven(vtn).join()
    await vtn.add_event(event())
    await ven.poll(wire.OadrDistributeEvent)  # lost
    assert await ven.is_idle()
    await clock_of(vtn).advance(59)
    assert await ven.is_idle()
    await clock_of(vtn).advance(1)
    message = await ven.poll(wire.OadrDistributeEvent)
    assert (await ven.answer(message, "optOut")).response.response_code == "200"
    vtn = await again(vtn, store)
    ven.vtn = vtn
    await clock_of(vtn).advance(600)
    assert await ven.is_idle()
    [answer] = await vtn.answers()
    assert (answer.event_id, answer.ven_id, answer.opt_type) == ("e1", ven.ven_id, OptType.OUT)
    await vtn.stop()


async def test_an_event_that_was_only_sent_is_sent_after_a_restart(store: Store | str) -> None:
    vtn = server(store)
    ven = await Ven(vtn).join()
    await vtn.add_event(event())
    await ven.poll(wire.OadrDistributeEvent)
    vtn = await again(vtn, store)
    ven.vtn = vtn
    assert ids(await ven.poll(wire.OadrDistributeEvent)) == ["e1"]
    await vtn.stop()


async def test_an_event_that_must_not_be_answered_survives_one_lost_reply() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event(response_required=ResponseRequired.NEVER))
        await ven.poll(wire.OadrDistributeEvent)  # lost
        await ven.poll(wire.OadrDistributeEvent)
        await clock_of(vtn).advance(300)
        assert await ven.is_idle()
        await vtn.cancel_event("e1")
        for _ in range(2):
            message = await ven.poll(wire.OadrDistributeEvent)
            assert message.events[0].event_descriptor.event_status == "cancelled"
        assert await ven.is_idle()
        assert ids(await ven.request_events()) == []


async def test_an_answer_to_an_event_that_needs_none_is_taken() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event(response_required=ResponseRequired.NEVER))
        reply = await ven.answer(await ven.poll(wire.OadrDistributeEvent))
        assert reply.response.response_code == "200"
        assert await ven.is_idle()


@pytest.mark.parametrize("make", [event, open_ended])
@pytest.mark.parametrize("to_all", [True, False])
async def test_a_cancelled_event_is_told_until_answered_and_closed_then(
    store: Store | str, make: Callable[[], Event], to_all: bool
) -> None:
    vtn = server(store)
    vens = [await Ven(vtn).join(name) for name in ("one", "two")]
    await Ven(vtn).register("reports only", report_only=True)
    await vtn.add_event(make(), ven_ids=None if to_all else [ven.ven_id for ven in vens])
    for ven in vens:
        await ven.answer(await ven.poll(wire.OadrDistributeEvent))
    cancelled = await vtn.cancel_event("e1")
    assert (cancelled.modification_number, cancelled.modification_date_time) == (1, SECOND)
    assert await vtn.cancel_event("e1") == cancelled
    for ven in vens:
        vtn = await again(vtn, store)
        vens[0].vtn = vens[1].vtn = vtn
        message = await ven.poll(wire.OadrDistributeEvent)
        assert message.events[0].event_descriptor.event_status == "cancelled"
        await clock_of(vtn).advance(20)
        assert len(await vtn.events()) == 1
        await ven.answer(message)
        assert await ven.is_idle()
    await clock_of(vtn).advance(20)

    async def is_closed() -> bool:
        return await vtn.events() == []

    await eventually(is_closed)
    assert [e.cancelled for e in await vtn.events(include_closed=True)] == [True]
    with pytest.raises(LocalProtocolError, match="no open event"):
        await vtn.cancel_event("e1")
    with pytest.raises(LocalProtocolError, match="already"):
        await vtn.add_event(make())
    await vtn.stop()


async def test_an_event_that_is_over_is_put_away_while_others_are_made() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        for number in range(5):
            await vtn.add_event(event(f"e{number}", start_after=MINUTE))
        await clock_of(vtn).advance(2 * HOUR)
        assert len(await vtn.events()) == 5  # the random window is not over
        await asyncio.gather(clock_of(vtn).advance(2 * MINUTE), vtn.add_event(event("new", start=SECOND + 4 * HOUR)))
        assert [e.event_id for e in await vtn.events()] == ["new"]
        assert ids(await ven.request_events()) == ["new"]


async def test_an_event_that_is_made_while_a_poll_is_under_way_is_not_missed() -> None:
    store = Broken(MemoryStore())
    vtn = server(store)
    ven = await Ven(vtn).join()
    vtn = await again(vtn, store)  # so the poll has to load the mailbox
    ven.vtn = vtn

    async def meanwhile(name: str) -> None:
        if name == "list_answers" and await vtn.events() == []:
            await vtn.add_event(event())

    store.before = meanwhile
    replies = [await ven.poll(wire.Message) for _ in range(2)]
    assert [ids(reply) for reply in replies if isinstance(reply, wire.OadrDistributeEvent)] == [["e1"]]
    await vtn.stop()


async def test_events_go_before_other_messages_but_after_the_exchange_of_reports() -> None:
    async with running() as vtn:
        ven = Ven(vtn)
        await ven.register()
        await ven.register_reports()
        await vtn.request_report(ven.ven_id, report_specifier_id="telemetry")
        await vtn.add_event(event())
        kinds = [(await ven.poll(wire.Message)).message_type for _ in range(4)]
        assert kinds == ["oadrRegisterReport", "oadrDistributeEvent", "oadrCreateReport", "oadrResponse"]


async def test_a_ven_that_only_reports_is_not_sent_events() -> None:
    async with running() as vtn:
        ven = Ven(vtn)
        await ven.register(report_only=True)
        await ven.take_offer()
        await vtn.add_event(event())
        assert await ven.is_idle()


async def test_a_reply_limit_cuts_the_list_and_the_rest_stays_due() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        for number in range(3):
            await vtn.add_event(event(f"e{number}"))
        assert ids(await ven.request_events(reply_limit=2)) == ["e0", "e1"]
        assert ids(await ven.request_events(reply_limit=0)) == []
        assert ids(await ven.poll(wire.OadrDistributeEvent)) == ["e0", "e1", "e2"]


# --- changing -----------------------------------------------------------------------------------------------------


async def test_a_change_is_told_as_a_new_version(store: Store | str) -> None:
    vtn = server(store)
    ven = await Ven(vtn).join()
    await vtn.add_event(event())
    await ven.answer(await ven.poll(wire.OadrDistributeEvent))
    changed = await vtn.change_event("e1", priority=2)
    assert (changed.modification_number, changed.modification_date_time) == (1, SECOND)
    assert await vtn.change_event("e1", priority=2) == changed
    vtn = await again(vtn, store)
    ven.vtn = vtn
    message = await ven.poll(wire.OadrDistributeEvent)
    descriptor = message.events[0].event_descriptor
    assert (descriptor.modification_number, descriptor.priority) == (1, 2)
    # The answer to the old version comes late.
    late = await ven.created_event([event_response("e1", 0)])
    assert late.response.response_code == "450"
    await ven.answer(message)
    assert await ven.is_idle()
    await vtn.stop()


async def test_two_changes_at_the_same_time_are_two_versions() -> None:
    async with running() as vtn:
        await vtn.add_event(event())
        await asyncio.gather(vtn.change_event("e1", priority=2), vtn.change_event("e1", vtn_comment="hello"))
        [now] = await vtn.events()
        assert (now.modification_number, now.priority, now.vtn_comment) == (2, 2, "hello")


async def test_a_change_goes_on_when_its_caller_is_cancelled() -> None:
    store = Broken(MemoryStore())
    async with running(store) as vtn:
        await vtn.add_event(event())
        reached = asyncio.Event()

        async def slowly(name: str) -> None:
            reached.set()
            await asyncio.sleep(0.01)

        store.before = slowly
        change = asyncio.create_task(vtn.change_event("e1", priority=2))
        await reached.wait()
        change.cancel()
        await asyncio.gather(change, return_exceptions=True)
        store.before = None
        await asyncio.sleep(0.05)
        assert [e.priority for e in await vtn.events()] == [2]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"prioritty": 1}, ConfigError),
        ({"priority": "high"}, ModelError),
        ({"signals": ()}, ModelError),
        ({"target": Target(ven_ids=("one",))}, LocalProtocolError),
    ],
)
async def test_a_wrong_change_changes_nothing(changes: dict[str, Any], error: type[Exception]) -> None:
    async with running() as vtn:
        before = await vtn.add_event(event())
        with pytest.raises(error):
            await vtn.change_event("e1", **changes)
        assert await vtn.events() == [before]
        with pytest.raises(LocalProtocolError, match="no open event"):
            await vtn.change_event("unknown", priority=1)


async def test_an_event_may_be_widened_to_more_vens_but_not_narrowed() -> None:
    async with running() as vtn:
        one, two = await Ven(vtn).join("one"), await Ven(vtn).join("two")
        await vtn.add_event(event(target=Target(ven_ids=(one.ven_id,))))
        assert await two.is_idle()
        await vtn.change_event("e1", target=Target(ven_ids=(one.ven_id, two.ven_id)))
        assert ids(await two.poll(wire.OadrDistributeEvent)) == ["e1"]
        with pytest.raises(LocalProtocolError, match="more VENs"):
            await vtn.change_event("e1", target=Target(ven_ids=(two.ven_id,)))
        await vtn.change_event("e1", target=Target())
        assert ids(await (await Ven(vtn).join("three")).poll(wire.OadrDistributeEvent)) == ["e1"]


async def test_what_has_happened_is_not_changed() -> None:
    async with running() as vtn:
        await vtn.add_event(event(start=SECOND - MINUTE))
        with pytest.raises(LocalProtocolError, match="rule 20"):
            await vtn.change_event("e1", start=SECOND)
        longer = Signal(
            signal_name="SIMPLE",
            signal_type="level",
            signal_id="s1",
            intervals=(Interval(HOUR, 1.0), Interval(HOUR, 2.0)),
        )
        assert (await vtn.change_event("e1", duration=2 * HOUR, signals=(longer,))).modification_number == 1


# --- answers ------------------------------------------------------------------------------------------------------


async def test_the_good_answers_of_a_message_count_and_the_bad_ones_are_named() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event("a"))
        await vtn.add_event(event("b"))
        message = await ven.poll(wire.OadrDistributeEvent)
        responses = [event_response("a"), event_response("b", 7), event_response("unknown")]
        reply = await ven.created_event(responses)
        assert reply.response.response_code in ("450", "452")
        assert reply.response.response_description is not None
        assert "b" in reply.response.response_description
        assert [a.event_id for a in await vtn.answers()] == ["a"]
        assert len(message.events) == 2


@pytest.mark.parametrize("code", ["200", "460", "462", "500"])
async def test_an_error_is_an_answer_too(code: str) -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        reply = await ven.answer(await ven.poll(wire.OadrDistributeEvent), "optOut", code)
        assert reply.response.response_code == "200"
        assert [(a.response_code, a.opt_type) for a in await vtn.answers(ven_id=ven.ven_id)] == [(code, OptType.OUT)]
        await clock_of(vtn).advance(120)
        assert await ven.is_idle()


async def test_a_ven_answers_only_for_events_of_its_own() -> None:
    async with running() as vtn:
        ven, other = await Ven(vtn).join("one"), await Ven(vtn).join("two")
        await vtn.add_event(event(), ven_ids=[other.ven_id])
        assert (await ven.created_event([event_response("e1")])).response.response_code == "452"
        assert await vtn.answers() == []


async def test_an_answer_without_answers_is_taken() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        assert (await ven.created_event([])).response.response_code == "200"
        refused = wire.OadrCreatedEvent(response=answer_to("d1", "452"), ven_id=ven.ven_id)
        assert (await ven.send("EiEvent", refused, wire.OadrResponse)).response.response_code == "200"
        assert await vtn.answers() == []


# --- the user's events --------------------------------------------------------------------------------------------


async def test_the_users_events_take_the_place_of_the_servers_own(store: Store | str) -> None:
    mine: list[Event] = []
    vtn = server(store, on_request_event=lambda ven_id: mine)
    ven = await Ven(vtn).join()
    await vtn.add_event(event("own"))
    assert await ven.is_idle()
    assert ids(await ven.request_events()) == []
    mine.append(event("user"))
    message = await ven.poll(wire.OadrDistributeEvent)
    assert ids(message) == ["user"]
    vtn = await again(vtn, store, on_request_event=lambda ven_id: mine)
    ven.vtn = vtn
    assert (await ven.answer(message)).response.response_code == "200"
    assert await ven.is_idle()
    mine[0] = msgspec.structs.replace(mine[0], modification_number=1, priority=1)
    assert ids(await ven.poll(wire.OadrDistributeEvent)) == ["user"]
    await vtn.stop()


@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: (e,), lambda e: _message(e)])
async def test_the_user_may_return_an_event_a_list_or_a_message(wrap: Callable[[Event], object]) -> None:
    async with running(on_request_event=lambda ven_id: wrap(event())) as vtn:
        ven = await Ven(vtn).join()
        message = await ven.request_events()
        assert ids(message) == ["e1"]
        assert (await ven.answer(message)).response.response_code == "200"


def _message(*events: Event) -> wire.OadrDistributeEvent:
    return lower_events(events, now=SECOND, vtn_id="vtn", request_id="x", response=OK).value


@pytest.mark.parametrize("answer", ["e1", 7, [7], {"event_id": "e1"}])
async def test_what_is_no_event_is_an_error_of_the_server(answer: object) -> None:
    async with running(on_request_event=lambda ven_id: answer) as vtn:
        ven = Ven(vtn)
        await ven.register()
        message = await ven.request_events()
        assert message.response is not None
        assert (message.response.response_code, message.events) == ("500", ())
        assert message.request_id


@pytest.mark.parametrize("as_message", [True, False])
async def test_on_poll_chooses_events_one_after_the_other_and_takes_late_answers(as_message: bool) -> None:
    line: list[Any] = [_message(event("a")) if as_message else event("a"), event("b"), None]
    async with running(on_poll=lambda ven_id: line.pop(0)) as vtn:
        ven = Ven(vtn)
        await ven.register()
        first = await ven.poll(wire.OadrDistributeEvent)
        second = await ven.poll(wire.OadrDistributeEvent)
        assert (ids(first), ids(second)) == (["a"], ["b"])
        assert (await ven.poll(wire.OadrResponse)).response.response_code == "200"
        for message in (second, first):
            assert (await ven.answer(message)).response.response_code == "200"


# --- 2.0a ---------------------------------------------------------------------------------------------------------


async def test_a_20a_ven_is_known_by_asking_and_gets_what_20a_can_say() -> None:
    async with running() as vtn:
        await vtn.add_event(event(vtn_comment="hello"))
        ven = Ven(vtn, "old")
        request = wire.OadrRequestEvent(schema_version=None, request_id="q", ven_id="old")
        message = await ven.send("EiEvent", request, wire.OadrDistributeEvent, "2.0a")
        assert ids(message) == ["e1"]
        assert message.events[0].event_signals[0].current_value == 0
        answer = wire.OadrCreatedEvent(
            schema_version=None, response=OK, event_responses=(event_response("e1"),), ven_id="old"
        )
        reply = await ven.send("EiEvent", answer, wire.OadrResponse, "2.0a")
        assert (reply.response.response_code, reply.ven_id) == ("200", None)
        assert [(a.ven_id, a.opt_type) for a in await vtn.answers()] == [("old", OptType.IN)]
        assert [(v.ven_id, v.profile) for v in vtn.vens] == [("old", "2.0a")]


async def test_a_nameless_20a_ven_is_refused_and_not_kept() -> None:
    async with running() as vtn:
        request = wire.OadrRequestEvent(schema_version=None, request_id="q", ven_id="")
        message = await Ven(vtn).send("EiEvent", request, wire.OadrDistributeEvent, "2.0a")
        assert message.response is not None
        assert message.response.response_code == "452"
        assert vtn.vens == []


async def test_20a_has_one_service() -> None:
    async with running() as vtn:
        assert (await vtn.handle("/OpenADR2/Simple/EiReport", b""))[0] == 404
