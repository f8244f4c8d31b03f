"""From the draft of an event to the last answer: preview, overlap, schedules, the board, and who stays silent."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.errors import ConfigError, LocalProtocolError, ModelError, StoreError
from pyopenadr.model import Baseline, Interval, OptType, ResponseRequired, Target
from pyopenadr.store import MemoryStore, Store
from pyopenadr.store.port import Step
from pyopenadr.v2 import wire
from pyopenadr.vtn.server import OpenADRServer
from pyopenadr.vtn.service.board import DeliveryState
from tests.unit.vtn.sample import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    Broken,
    Ven,
    again,
    clock_of,
    event,
    event_response,
    eventually,
    ids,
    open_ended,
    running,
    server,
)


async def joined(vtn: OpenADRServer, *names: str) -> list[Ven]:
    """VENs with the IDs that they are called by."""
    vens = []
    for name in names:
        ven = Ven(vtn, name)
        await ven.register(name, ven_id=name)
        await ven.take_offer()
        vens.append(ven)
    return vens


def create_opt(ven_id: str, opt_id: str = "o", **fields: Any) -> wire.OadrCreateOpt:
    """A schedule that opts out of the time of `event()`."""
    defaults: dict[str, Any] = {
        "opt_type": "optOut",
        "opt_reason": "economic",
        "created_date_time": SECOND,
        "request_id": "x",
        "vavailability": (wire.WsCalendarInterval(dtstart=SECOND + 90 * MINUTE, duration=HOUR),),
        "target": wire.EiTarget(ven_id=(ven_id,)),
    }
    return wire.OadrCreateOpt(opt_id=opt_id, ven_id=ven_id, **(defaults | fields))


async def opt(ven: Ven, **fields: Any) -> None:
    reply = await ven.send("EiOpt", create_opt(ven.ven_id, **fields), wire.OadrCreatedOpt)
    assert reply.response.response_code == "200"


async def about(ven: Ven, event_id: str, opt_type: str, *resource_ids: str, modification_number: int = 0) -> None:
    """The VEN's word on an event by EiOpt."""
    await opt(
        ven,
        opt_id=f"{opt_type}-{'-'.join(resource_ids)}",
        opt_type=opt_type,
        vavailability=None,
        event_id=event_id,
        modification_number=modification_number,
        target=wire.EiTarget(resource_id=resource_ids),
    )


# --- drafts ---------------------------------------------------------------------------------------------------------


async def test_a_draft_reaches_nobody_until_it_is_published(store: Store | str) -> None:
    vtn = server(store)
    one, two = await joined(vtn, "one", "two")
    draft = await vtn.draft_event(event("d"), ven_ids=["one"], answer_within=HOUR)
    await vtn.draft_event(start=NOW + HOUR, intervals=[(MINUTE, 1)], event_id="c")
    assert await one.is_idle()
    vtn = await again(vtn, store)
    one.vtn = two.vtn = vtn
    assert [e.event_id for e in await vtn.drafts()] == ["c", "d"]
    assert await vtn.events(include_closed=True) == []
    changed = await vtn.change_event("d", priority=2)
    assert (changed.modification_number, changed.priority) == (0, 2)
    assert (await vtn.preview("d")).ven_ids == ("one",)
    await clock_of(vtn).advance(60)
    published = await vtn.publish_event("d")
    assert published.created_date_time == draft.created_date_time + MINUTE
    assert ids(await one.poll(wire.OadrDistributeEvent)) == ["d"]
    assert await two.is_idle()
    assert [e.event_id for e in await vtn.drafts()] == ["c"]
    assert (await vtn.board("d")).answer_by == NOW + MINUTE + HOUR
    assert [await vtn.discard_draft("c"), await vtn.discard_draft("c")] == [True, False]
    await vtn.stop()


async def test_a_draft_may_be_unfinished_but_not_published_like_that() -> None:
    async with running() as vtn:
        await vtn.draft_event(event(signals=()))
        for attempt in (vtn.publish_event, vtn.preview):
            with pytest.raises(ModelError, match="needs a signal"):
                await attempt("e1")
        await vtn.change_event("e1", signals=event().signals)
        assert (await vtn.preview("e1")).everyone
        with pytest.raises(ConfigError, match="no such field"):
            await vtn.change_event("e1", colour="red")
        await vtn.publish_event("e1")
        with pytest.raises(LocalProtocolError, match="no draft"):
            await vtn.publish_event("e1")
        with pytest.raises(LocalProtocolError, match="published already"):
            await vtn.draft_event(event())
        with pytest.raises(LocalProtocolError, match="no draft"):
            await vtn.preview("e2")
        with pytest.raises(ConfigError, match="overlap must be one of"):
            await vtn.draft_event(event("e3"), overlap="never")
        with pytest.raises(ConfigError, match="not both"):
            await vtn.draft_event(event("e3"), start=NOW)
        assert await vtn.drafts() == []


async def test_a_copy_is_a_new_draft_at_another_time() -> None:
    baseline = Baseline(
        baseline_id="b", baseline_name="b", start=SECOND, duration=HOUR, intervals=(Interval(HOUR, 1.0),)
    )
    async with running() as vtn:
        original = await vtn.add_event(event(baseline=baseline, priority=3), ven_ids=["one", "two"], answer_within=HOUR)
        await vtn.cancel_event("e1")
        copy = await vtn.copy_event("e1", start=original.start + 24 * HOUR, event_id="e2", priority=4)
        assert (copy.event_id, copy.priority, copy.cancelled, copy.modification_number) == ("e2", 4, False, 0)
        assert copy.baseline is not None
        assert copy.baseline.start == SECOND + 24 * HOUR
        assert (await vtn.preview("e2")).ven_ids == ("one", "two")
        third = await vtn.copy_event("e2", start=original.start)
        assert third.event_id not in ("e1", "e2")
        await vtn.publish_event("e2")
        assert (await vtn.board("e2")).answer_by == NOW + HOUR
        with pytest.raises(LocalProtocolError, match="no draft"):
            await vtn.copy_event("e9", start=NOW)
        with pytest.raises(ConfigError, match="no such field"):
            await vtn.copy_event("e2", start=NOW, colour="red")


# --- what is refused --------------------------------------------------------------------------------------------------


async def test_an_event_that_is_over_is_refused() -> None:
    async with running() as vtn:
        with pytest.raises(ModelError, match=r"ended at .*rule 20"):
            await vtn.add_event(event(start=SECOND - HOUR))
        await vtn.add_event(event(start=SECOND - HOUR, start_after=MINUTE))  # some VENs run it for another minute
        await vtn.add_event(open_ended("o"))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"opt_schedules": "ignore"}, "opt_schedules"),
        ({"overlap": "yes"}, "overlap"),
        ({"answer_within": timedelta(0)}, "answer_within"),
    ],
)
async def test_a_wrong_setting_is_refused(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        server(**settings)
    async with running() as vtn:
        with pytest.raises(ConfigError, match=name):
            await vtn.add_event(event(), **settings)


# --- overlap ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "ven_ids", "overlaps"),
    [
        ({}, None, ("one", "two")),
        ({}, ["two", "three"], ("two",)),
        ({}, ["three"], ()),
        ({"market_context": "http://other"}, None, ()),
        ({"start": SECOND + 2 * HOUR}, None, ()),  # it only touches
        ({"start": SECOND + 2 * HOUR - MINUTE}, None, ("one", "two")),
        ({"start": SECOND, "start_after": MINUTE}, None, ("one", "two")),
        ({"start": SECOND}, None, ()),
        ({"target": Target(resource_ids=("car",))}, ["one"], ()),
        ({"target": Target(resource_ids=("car", "boiler"))}, ["one"], ("one",)),
    ],
)
async def test_an_overlap_is_found_before_publishing(
    fields: dict[str, Any], ven_ids: list[str] | None, overlaps: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as vtn:
        await vtn.add_event(event("old", target=Target(resource_ids=("boiler",))), ven_ids=["one", "two"])
        new = event("new", **fields)
        found = (await vtn.preview(new, ven_ids=ven_ids)).overlaps
        assert [(overlap.event_id, overlap.ven_ids) for overlap in found] == ([("old", overlaps)] if overlaps else [])
        if overlaps:
            with pytest.raises(LocalProtocolError, match="overlaps with old"):
                await vtn.add_event(new, ven_ids=ven_ids, overlap="refuse")
        with caplog.at_level(logging.WARNING):
            await vtn.add_event(new, ven_ids=ven_ids)
        assert ("new overlaps with event old" in caplog.text) is bool(overlaps)


async def test_a_cancelled_event_and_an_old_version_overlap_with_nothing() -> None:
    async with running(overlap="refuse") as vtn:
        await vtn.add_event(event("a"))
        assert [o.ven_ids for o in (await vtn.preview(event("b"))).overlaps] == [None]
        assert (await vtn.preview(event("a"))).overlaps == ()
        await vtn.cancel_event("a")
        await vtn.add_event(event("b"))
        await vtn.add_event(event("c"), overlap="allow")


# --- opt schedules ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["send", "warn", "skip"])
@pytest.mark.parametrize("everyone", [True, False])
async def test_opt_schedules_are_heeded_as_the_setting_says(
    policy: str, everyone: bool, store: Store | str, caplog: pytest.LogCaptureFixture
) -> None:
    vtn = server(store, opt_schedules=policy)
    one, two = await joined(vtn, "one", "two")
    await opt(one)
    vens = None if everyone else ["one", "two"]
    plan = await vtn.preview(event(), ven_ids=vens)
    assert set(plan.opted_out) == {"one"}
    assert plan.skipped == (("one",) if policy == "skip" else ())
    assert plan.ven_ids == (("two",) if policy == "skip" else ("one", "two"))
    with caplog.at_level(logging.WARNING):
        await vtn.add_event(event(), ven_ids=vens)
    assert ("1 VENs are not available" in caplog.text) is (policy != "send")
    vtn = await again(vtn, store)
    one.vtn = two.vtn = vtn
    assert ids(await one.request_events()) == ([] if policy == "skip" else ["e1"])
    assert ids(await two.request_events()) == ["e1"]
    counts = (await vtn.board("e1")).counts
    assert counts.get(DeliveryState.SKIPPED, 0) == (1 if policy == "skip" else 0)
    await vtn.stop()


@pytest.mark.parametrize(
    ("fields", "is_out"),
    [
        ({}, True),
        ({"opt_type": "optIn"}, False),
        ({"market_context": "http://market.example/a"}, True),
        ({"market_context": "http://other"}, False),
        ({"target": wire.EiTarget(resource_id=("car",))}, False),
        ({"device_class": wire.EiTarget(end_device_asset=("Thermostat",))}, False),
        ({"vavailability": (wire.WsCalendarInterval(dtstart=SECOND, duration=HOUR),)}, False),
        ({"vavailability": (wire.WsCalendarInterval(dtstart=SECOND, duration=timedelta(0)),)}, True),
    ],
)
async def test_which_schedules_count(fields: dict[str, Any], is_out: bool) -> None:
    async with running() as vtn:
        [ven] = await joined(vtn, "one")
        await opt(ven, **fields)
        assert ("one" in (await vtn.preview(event())).opted_out) is is_out


async def test_a_schedule_for_resources_counts_when_the_event_is_for_these_alone() -> None:
    async with running() as vtn:
        [ven] = await joined(vtn, "one")
        await opt(ven, target=wire.EiTarget(resource_id=("car",)))
        await opt(ven, opt_id="p", target=wire.EiTarget(resource_id=("boiler",)))
        await vtn.add_group("cars", resources=[("one", "car")])
        await vtn.add_group("more", resources=[("one", "car"), ("one", "pump")])
        for target, is_out in (
            (Target(group_ids=("cars",)), True),
            (Target(group_ids=("more",)), False),
        ):
            assert ("one" in (await vtn.preview(event(target=target))).opted_out) is is_out
        both = event(target=Target(resource_ids=("car", "boiler")))
        assert "one" in (await vtn.preview(both, ven_ids=["one"])).opted_out


async def test_who_is_left_out_gets_the_event_when_it_is_moved() -> None:
    async with running(opt_schedules="skip") as vtn:
        one, two = await joined(vtn, "one", "two")
        await opt(one)
        await vtn.add_group("g", ven_ids=["two"])
        await vtn.add_event(event("a"), ven_ids=["one", "two"])
        await vtn.add_event(event("b"))
        await vtn.add_event(event("c", target=Target(group_ids=("g",))))
        await vtn.add_to_group("g", ven_ids=["one"])
        assert ids(await one.request_events()) == []
        await vtn.change_event("a", priority=1)
        assert ids(await one.request_events()) == []
        for event_id in ("a", "b", "c"):
            await vtn.change_event(event_id, start=SECOND + 5 * HOUR)
        assert ids(await one.request_events()) == ["a", "b", "c"]
        assert ids(await two.request_events()) == ["a", "b", "c"]


# --- the board --------------------------------------------------------------------------------------------------------


async def test_the_board_shows_each_state(store: Store | str) -> None:
    vtn = server(store)
    vens = await joined(vtn, "asleep", "error", "in", "out", "sent", "silent")
    named = {ven.ven_id: ven for ven in vens}
    await vtn.add_event(event())
    await named["silent"].poll(wire.OadrDistributeEvent)
    await clock_of(vtn).advance(60)
    await named["sent"].poll(wire.OadrDistributeEvent)
    for ven_id, opt_type, code in (("in", "optIn", "200"), ("out", "optOut", "200"), ("error", "optOut", "460")):
        await named[ven_id].answer(await named[ven_id].poll(wire.OadrDistributeEvent), opt_type, code)
    expected = {
        "asleep": DeliveryState.QUEUED,
        "error": DeliveryState.ERROR,
        "in": DeliveryState.OPTED_IN,
        "out": DeliveryState.OPTED_OUT,
        "sent": DeliveryState.SENT,
        "silent": DeliveryState.SILENT,
    }
    for _ in range(2):
        board = await vtn.board("e1")
        assert {line.ven_id: line.state for line in board.deliveries} == expected
        assert board.counts == dict.fromkeys(expected.values(), 1)
        vtn = await again(vtn, store)  # all of it survives a restart
    lines = {line.ven_id: line for line in (await vtn.board("e1")).deliveries}
    later = NOW + MINUTE
    assert (lines["silent"].sent_at, lines["silent"].times_sent) == (NOW, 1)
    assert (lines["in"].sent_at, lines["in"].received_at, lines["in"].answered_at) == (later, later, later)
    assert (lines["error"].response_code, lines["error"].opt_type) == ("460", OptType.OUT)
    assert [(m.step, m.opt_type) for m in lines["out"].messages] == [(Step.SENT, None), (Step.ANSWERED, OptType.OUT)]
    assert lines["out"].messages[0].request_id == lines["out"].messages[1].request_id
    assert lines["asleep"].messages == ()
    await vtn.stop()


async def test_a_part_of_the_board() -> None:
    async with running() as vtn:
        vens = await joined(vtn, "a", "b", "c", "d")
        await vtn.add_event(event())
        await vens[1].answer(await vens[1].poll(wire.OadrDistributeEvent))

        async def shown(**filters: Any) -> list[str]:
            board = await vtn.board("e1", **filters)
            assert board.counts == {DeliveryState.QUEUED: 3, DeliveryState.OPTED_IN: 1}
            return [line.ven_id for line in board.deliveries]

        assert await shown(ven_ids="c") == ["c"]
        assert await shown(states=["queued"]) == ["a", "c", "d"]
        assert await shown(limit=2) == ["a", "b"]
        assert await shown(after="b", limit=1) == ["c"]
        with pytest.raises(ConfigError, match="use queued"):
            await vtn.board("e1", states=["lost"])
        with pytest.raises(LocalProtocolError, match="no event 'e2'"):
            await vtn.board("e2")


async def test_a_ven_that_answers_one_event_has_received_the_others_of_the_message() -> None:
    async with running() as vtn:
        [ven] = await joined(vtn, "one")
        await vtn.add_event(event("a"))
        await vtn.add_event(event("n", response_required=ResponseRequired.NEVER))
        await vtn.add_event(event("later", response_required=ResponseRequired.ALWAYS))
        message = await ven.poll(wire.OadrDistributeEvent)
        await ven.created_event([event_response("a", request_id=message.request_id)])
        states = {e: (await vtn.board(e)).deliveries[0].state for e in ("a", "n", "later")}
        assert states == {
            "a": DeliveryState.OPTED_IN,
            "n": DeliveryState.RECEIVED,
            "later": DeliveryState.RECEIVED,
        }
        await clock_of(vtn).advance(60)
        assert (await vtn.board("later")).counts == {DeliveryState.SILENT: 1}
        assert (await vtn.board("n")).counts == {DeliveryState.RECEIVED: 1}


async def test_a_new_version_starts_over_and_a_cancelled_event_is_followed_until_it_is_acknowledged(
    store: Store | str,
) -> None:
    vtn = server(store)
    one, two = await joined(vtn, "one", "two")
    await vtn.add_event(event())
    for ven in (one, two):
        await ven.answer(await ven.poll(wire.OadrDistributeEvent))
    await vtn.cancel_event("e1")
    board = await vtn.board("e1")
    assert board.counts == {DeliveryState.QUEUED: 2}
    assert board.deliveries[0].opt_type is OptType.IN
    await one.answer(await one.poll(wire.OadrDistributeEvent))
    vtn = await again(vtn, store)
    one.vtn = two.vtn = vtn
    assert (await vtn.board("e1")).counts == {DeliveryState.QUEUED: 1, DeliveryState.OPTED_IN: 1}
    await two.answer(await two.poll(wire.OadrDistributeEvent), "optOut")  # it can't be cancelled there (rule 36)
    await clock_of(vtn).advance(20)

    async def is_over() -> bool:
        return await vtn.events() == []

    await eventually(is_over)
    line = (await vtn.board("e1", ven_ids=["two"])).deliveries[0]
    assert line.state is DeliveryState.OPTED_OUT
    assert [m.modification_number for m in line.messages] == [0, 0, 1, 1]
    await vtn.stop()


async def test_resources_may_opt_otherwise_than_their_ven() -> None:
    """An opt of single resources stands beside the VEN's answer; a later one for the VEN replaces it (rule 206)."""
    async with running() as vtn:
        [ven] = await joined(vtn, "one")
        await vtn.add_event(event())
        message = await ven.poll(wire.OadrDistributeEvent)
        await ven.answer(message, "optIn")

        async def line() -> tuple[Any, Any]:
            found = (await vtn.board("e1")).deliveries[0]
            return found.opt_type, found.resources

        await about(ven, "e1", "optOut", "car", "boiler")
        assert await line() == (OptType.IN, {"car": OptType.OUT, "boiler": OptType.OUT})
        await about(ven, "e1", "optIn", "car")
        await ven.answer(message, "optOut")
        assert await line() == (OptType.OUT, {"car": OptType.IN, "boiler": OptType.OUT})
        await about(ven, "e1", "optIn")
        assert await line() == (OptType.IN, {})
        await ven.answer(message, "optOut")  # it has said so by EiOpt
        assert await line() == (OptType.IN, {})
        await vtn.change_event("e1", priority=1)
        await ven.answer(await ven.poll(wire.OadrDistributeEvent), "optOut")
        assert await line() == (OptType.IN, {})


async def test_what_has_happened_is_kept_later_if_the_store_fails() -> None:
    broken = Broken(MemoryStore())
    async with running(broken) as vtn:
        [ven] = await joined(vtn, "one")
        await vtn.add_event(event())
        await ven.poll(wire.OadrDistributeEvent)
        broken.fails["save_traces"] = StoreError("disk full")
        with pytest.raises(StoreError):
            await vtn.board("e1")
        del broken.fails["save_traces"]
        assert (await vtn.board("e1")).counts == {DeliveryState.SENT: 1}


# --- who does not answer ----------------------------------------------------------------------------------------------


async def test_the_silent_are_told_to_the_program_once_and_are_sent_the_event_again(store: Store | str) -> None:
    calls: list[tuple[str, list[str]]] = []

    def unanswered(event_id: str, ven_ids: list[str]) -> None:
        calls.append((event_id, ven_ids))

    settings: dict[str, Any] = {"answer_within": 5 * MINUTE, "on_event_unanswered": unanswered}
    vtn = server(store, **settings)
    one, two, three = await joined(vtn, "one", "two", "three")
    made = await vtn.add_event(event())
    await one.answer(await one.poll(wire.OadrDistributeEvent))
    await two.poll(wire.OadrDistributeEvent)
    vtn = await again(vtn, store, **settings)
    one.vtn = two.vtn = three.vtn = vtn
    await vtn.start()
    await clock_of(vtn).advance(298)
    assert calls == []
    await clock_of(vtn).advance(3)

    async def told() -> bool:
        return calls == [("e1", ["three", "two"])]

    await eventually(told)
    assert (await vtn.board("e1")).counts == {DeliveryState.OPTED_IN: 1, DeliveryState.SILENT: 2}
    assert ids(await two.poll(wire.OadrDistributeEvent)) == ["e1"]
    vtn = await again(vtn, store, **settings)
    one.vtn = two.vtn = vtn
    await vtn.start()
    await clock_of(vtn).advance(10)
    assert len(calls) == 1
    # A new version has a time of its own, and so has a cancellation.
    await vtn.cancel_event(made.event_id)
    await one.answer(await one.poll(wire.OadrDistributeEvent))
    await clock_of(vtn).advance(302)

    async def told_again() -> bool:
        return calls[1:] == [("e1", ["three", "two"])]

    await eventually(told_again)
    await vtn.stop()


async def test_a_handler_that_fails_is_not_called_again(caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    async def unanswered(event_id: str, ven_ids: list[str]) -> None:
        calls.append(event_id)
        raise RuntimeError("no")

    async with running(on_event_unanswered=unanswered) as vtn:
        [ven] = await joined(vtn, "one")
        await vtn.add_event(event("a"), answer_within=MINUTE)
        await vtn.add_event(event("n", response_required=ResponseRequired.NEVER), answer_within=MINUTE)
        await vtn.add_event(event("done"), answer_within=MINUTE)
        message = await ven.request_events()
        await ven.created_event([event_response("done", request_id=message.request_id)])
        for _ in range(70):
            await clock_of(vtn).advance(1)
        assert calls == ["a"]
        assert "on_event_unanswered('a') failed" in caplog.text
