"""What every store does with groups, resources, drafts and traces: the second part of the contract."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.errors import StoreError
from pyopenadr.model import Group, Member, OptType, Position, ReportRule, Resource, TransportInterface
from pyopenadr.store import Store
from pyopenadr.store.port import Dispatch, Draft, Step, Trace
from tests.store.sample import MINUTE, MONTH, NOW, answer, event, opt, reading, registration, stored_event


def resource(ven_id: str = "ven1", resource_id: str = "boiler", **fields: Any) -> Resource:
    return Resource(
        ven_id=ven_id,
        resource_id=resource_id,
        name="the boiler",
        position=Position(52.25, 4.5),
        party_ids=("party",),
        transport_interfaces=(TransportInterface("here", "there"),),
        **fields,
    )


def trace(ven_id: str = "ven1", event_id: str = "event1", **fields: Any) -> Trace:
    defaults: dict[str, Any] = {"at": NOW, "step": Step.SENT, "modification_number": 3}
    return Trace(event_id=event_id, ven_id=ven_id, **(defaults | fields))


async def test_a_closed_store_refuses_everything(store: Store) -> None:
    await store.close()
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: store.save_draft(Draft(event=event())),
        lambda: store.delete_draft("event1"),
        store.list_drafts,
        lambda: store.save_traces([]),
        lambda: store.save_traces([trace()]),
        lambda: store.list_traces("event1"),
        lambda: store.save_group(Group(group_id="g")),
        lambda: store.delete_group("g"),
        store.list_groups,
        lambda: store.save_members([Member("g", "ven1")]),
        lambda: store.delete_members([Member("g", "ven1")]),
        store.list_members,
        lambda: store.save_resources([resource()]),
        lambda: store.delete_resources("ven1", ["boiler"]),
        store.list_resources,
        store.list_opts,
        lambda: store.delete_event("event1"),
        lambda: store.delete_readings("ven1", NOW),
        lambda: store.save_rule(ReportRule(rule_id="r")),
        lambda: store.delete_rule("r"),
        store.list_rules,
    ]
    for call in calls:
        with pytest.raises(StoreError, match="open"):
            await call()


async def test_how_an_event_is_sent_out_comes_back(store: Store) -> None:
    dispatch = Dispatch(
        by_target=True,
        opt_schedules="skip",
        skipped=("ven2",),
        answer_within=timedelta(hours=2),
        answer_by=NOW + timedelta(hours=1),
        reported_number=2,
    )
    kept = stored_event(recipients=("ven1",), dispatch=dispatch)
    await store.save_event(kept)
    loaded = await store.load_event("event1")
    assert loaded == kept
    assert loaded is not None
    assert loaded.dispatch == dispatch


async def test_a_draft_is_kept_until_it_is_published_or_thrown_away(store: Store) -> None:
    full = Draft(
        event=event("b"), ven_ids=("v",), opt_schedules="skip", overlap="refuse", answer_within=timedelta(hours=2)
    )
    await store.save_draft(full)
    await store.save_draft(Draft(event=event("a")))
    await store.save_draft(Draft(event=event("c")))
    await store.save_draft(Draft(event=event("c", priority=9)))
    assert await store.list_drafts() == [Draft(event=event("a")), full, Draft(event=event("c", priority=9))]
    assert await store.list_events(include_closed=True) == []
    await store.save_event(stored_event("b"))
    assert [await store.delete_draft("a"), await store.delete_draft("a")] == [True, False]
    assert [draft.event.event_id for draft in await store.list_drafts()] == ["c"]


async def test_traces_are_kept_in_their_order_and_never_replaced(store: Store) -> None:
    said = trace(
        step=Step.OPTED,
        request_id="r",
        opt_type=OptType.OUT,
        response_code="450",
        response_description="no",
        resource_ids=("a", "b"),
    )
    await store.save_traces([trace(), trace("ven2"), trace(event_id="event2")])
    await store.save_traces([trace(), said])
    await store.save_traces([])
    assert await store.list_traces("event1") == [trace(), trace("ven2"), trace(), said]
    assert await store.list_traces("event1", ven_id="ven2") == [trace("ven2")]
    assert await store.list_traces("event3") == []


async def test_traces_stay_when_the_ven_goes(store: Store) -> None:
    await store.save_registration(registration())
    await store.save_traces([trace()])
    await store.delete_ven("ven1")
    assert await store.list_traces("event1") == [trace()]


async def test_a_group_keeps_its_members_when_it_changes_and_loses_them_when_it_goes(store: Store) -> None:
    await store.save_group(Group(group_id="b", name="north", market_context="http://m"))
    await store.save_group(Group(group_id="a"))
    await store.save_members([Member("a", "ven2"), Member("a", "ven1", "boiler"), Member("b", "ven1")])
    await store.save_members([Member("a", "ven2")])
    await store.save_group(Group(group_id="a", name="south"))
    assert await store.list_groups() == [
        Group(group_id="a", name="south"),
        Group(group_id="b", name="north", market_context="http://m"),
    ]
    in_a = [Member("a", "ven1", "boiler"), Member("a", "ven2")]
    assert await store.list_members() == [*in_a, Member("b", "ven1")]
    assert await store.list_members(group_id="a") == in_a
    assert await store.list_members(ven_id="ven1") == [in_a[0], Member("b", "ven1")]
    assert await store.list_members(group_id="b", ven_id="ven2") == []
    await store.delete_members([Member("a", "ven1"), Member("a", "ven2")])
    assert await store.list_members(group_id="a") == [in_a[0]]
    assert [await store.delete_group("a"), await store.delete_group("a")] == [True, False]
    assert await store.list_members() == [Member("b", "ven1")]


async def test_members_of_no_group_are_refused_together(store: Store) -> None:
    await store.save_group(Group(group_id="a"))
    with pytest.raises(StoreError, match="no group 'z'"):
        await store.save_members([Member("a", "ven1"), Member("z", "ven1")])
    assert await store.list_members() == []


async def test_a_resource_goes_with_its_memberships_and_with_its_ven(store: Store) -> None:
    await store.save_registration(registration())
    await store.save_group(Group(group_id="a"))
    others = [resource("ven1", ""), resource("ven2", "boiler")]
    await store.save_resources([resource(), *others])
    await store.save_resources([resource(pnodes=("p",))])
    assert await store.list_resources() == [others[0], resource(pnodes=("p",)), others[1]]
    assert await store.list_resources("ven1") == [others[0], resource(pnodes=("p",))]
    await store.save_members([Member("a", "ven1"), Member("a", "ven1", "boiler"), Member("a", "ven2", "boiler")])
    await store.delete_resources("ven1", ["boiler", "unknown"])
    assert await store.list_resources("ven1") == [others[0]]
    assert await store.list_members() == [Member("a", "ven1"), Member("a", "ven2", "boiler")]
    await store.delete_ven("ven1")
    assert await store.list_resources() == [others[1]]
    assert await store.list_members() == [Member("a", "ven2", "boiler")]


async def test_changes_of_groups_and_resources_are_told(store: Store) -> None:
    heard: list[str | None] = []
    store.subscribe(heard.append)
    changes: list[Callable[[], Awaitable[object]]] = [
        lambda: store.save_group(Group(group_id="a")),
        lambda: store.save_members([Member("a", "ven1"), Member("a", "ven2")]),
        lambda: store.delete_members([Member("a", "ven1")]),
        lambda: store.save_resources([resource()]),
        lambda: store.delete_resources("ven1", ["boiler"]),
        lambda: store.delete_group("a"),
    ]
    for change in changes:
        heard.clear()
        await change()
        assert heard == [None]


async def test_the_opts_of_all_vens_are_listed_at_once(store: Store) -> None:
    await store.save_opt(opt(ven_id="ven2"))
    await store.save_opt(opt(ven_id="ven1"))
    assert {one.ven_id for one in await store.list_opts()} == {"ven1", "ven2"}
    assert [one.ven_id for one in await store.list_opts("ven1")] == ["ven1"]


async def test_a_rule_is_kept_under_its_id(store: Store) -> None:
    full = ReportRule(
        rule_id="b",
        report_name=None,
        report_specifier_id="s",
        r_ids=("r",),
        report_type="usage",
        group_id="g",
        ven_ids=("v",),
        granularity=MINUTE,
        report_back_duration=MONTH,
        duration=MINUTE,
    )
    await store.save_rule(full)
    await store.save_rule(ReportRule(rule_id="a"))
    await store.save_rule(ReportRule(rule_id="a", group_id="h"))
    assert await store.list_rules() == [ReportRule(rule_id="a", group_id="h"), full]
    assert [await store.delete_rule("a"), await store.delete_rule("a")] == [True, False]
    assert await store.list_rules() == [full]


async def test_an_event_is_forgotten_with_its_answers_and_traces(store: Store) -> None:
    for event_id in ("event1", "event2"):
        await store.save_event(stored_event(event_id, closed=True))
        await store.save_answers([answer(event_id)])
        await store.save_traces([trace(event_id=event_id)])
    assert [await store.delete_event("event1"), await store.delete_event("event1")] == [True, False]
    assert [kept.event.event_id for kept in await store.list_events(include_closed=True)] == ["event2"]
    assert [kept.event_id for kept in await store.list_answers()] == ["event2"]
    assert await store.list_traces("event1") == []
    assert await store.list_traces("event2") == [trace(event_id="event2")]


async def test_readings_come_in_pages(store: Store) -> None:
    kept = [
        reading("a", report_specifier_id="s"),
        reading("a", report_specifier_id="t"),
        reading("b", report_specifier_id="s"),
        reading("a", 1, report_specifier_id="s"),
        reading("b", 2, report_specifier_id="s"),
    ]
    await store.save_readings([*kept[::-1], reading("a", ven_id="ven2")])
    found, last = [], None
    while page := await store.list_readings("ven1", limit=2, after=last):
        found += page
        last = page[-1]
    assert found == kept
    assert await store.list_readings("ven1", r_id="b", after=kept[1]) == [kept[2], kept[4]]


async def test_old_readings_are_forgotten(store: Store) -> None:
    await store.save_readings([reading("a", minute) for minute in range(4)])
    await store.save_readings([reading("a", ven_id="ven2")])
    assert await store.delete_readings("ven1", NOW + 2 * MINUTE) == 2
    assert await store.list_readings("ven1") == [reading("a", 2), reading("a", 3)]
    assert await store.delete_readings("ven1", NOW) == 0
    assert len(await store.list_readings("ven2")) == 1
