"""The one suite that every store passes: each method of `Store`, and each sentence of its description."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from pyopenadr.errors import StoreError
from pyopenadr.model import Interval, OptType, Signal
from pyopenadr.store import Store
from pyopenadr.store.port import Source, StoredReading
from tests.store.sample import (
    MINUTE,
    NOW,
    STATUS,
    answer,
    capability,
    event,
    opt,
    outgoing,
    reading,
    registration,
    report,
    request,
    stored_event,
)

METADATA = "METADATA"


async def ids_waiting(store: Store, ven_id: str = "ven1") -> list[str]:
    return [item.item_id for item in await store.list_outgoing(ven_id)]


async def fill(store: Store, ven_id: str) -> None:
    """Keep one of everything for a VEN."""
    await store.save_registration(registration(ven_id), outgoing=[outgoing()])
    await store.save_opt(opt(ven_id=ven_id))
    await store.save_answers([answer(ven_id=ven_id)])
    for source in Source:
        await store.save_capabilities(ven_id, source, [capability()])
        await store.save_requests(ven_id, [request(source=source)])
    await store.save_readings([reading(ven_id=ven_id)])


async def kept_by_fresh(store: Store, ven_id: str) -> list[Any]:
    return [await store.list_answers(ven_id=ven_id), await store.list_readings(ven_id)]


async def lost_by_fresh(store: Store, ven_id: str) -> list[Any]:
    return [
        await store.list_opts(ven_id),
        await store.list_outgoing(ven_id),
        *[await store.list_capabilities(ven_id, source) for source in Source],
        *[await store.list_requests(ven_id, source) for source in Source],
    ]


# --- opening and closing ----------------------------------------------------------------------------------------------


async def test_open_and_close_may_be_called_twice(store: Store) -> None:
    await store.open()
    await store.save_registration(registration())
    await asyncio.gather(store.close(), store.close())
    await store.close()


async def test_a_closed_store_refuses_everything(store: Store) -> None:
    await store.close()
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: store.save_registration(registration()),
        lambda: store.end_registration("ven1"),
        lambda: store.delete_ven("ven1"),
        lambda: store.load_registration("ven1"),
        lambda: store.find_registration(ven_name="x"),
        store.list_registrations,
        lambda: store.save_presence({"ven1": NOW}, {}),
        lambda: store.save_event(stored_event()),
        lambda: store.load_event("event1"),
        store.list_events,
        lambda: store.save_answers([answer()]),
        store.list_answers,
        lambda: store.add_outgoing("ven1", [outgoing()]),
        lambda: store.list_outgoing("ven1"),
        lambda: store.remove_outgoing("ven1", ["item1"]),
        lambda: store.save_opt(opt()),
        lambda: store.delete_opts("ven1", "opt1"),
        lambda: store.list_opts("ven1"),
        lambda: store.save_capabilities("ven1", Source.VEN, []),
        lambda: store.list_capabilities("ven1", Source.VEN),
        lambda: store.save_requests("ven1", [request()]),
        lambda: store.list_requests("ven1", Source.VEN),
        lambda: store.delete_requests("ven1", Source.VEN, ["request1"]),
        lambda: store.save_readings([reading()]),
        lambda: store.save_readings([]),
        lambda: store.list_readings("ven1"),
    ]
    for call in calls:
        with pytest.raises(StoreError, match="open"):
            await call()


async def test_close_finishes_what_was_asked_before(store: Store) -> None:
    tasks = [asyncio.create_task(store.save_readings(report(1, minute * 10))) for minute in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*tasks)


def test_every_method_of_the_port_is_there_with_the_same_arguments(store: Store) -> None:
    for name, method in inspect.getmembers(Store, inspect.isfunction):
        if not name.startswith("_"):
            parts = inspect.signature(method).parameters
            assert list(inspect.signature(getattr(store, name)).parameters) == list(parts)[1:]


# --- VENs -------------------------------------------------------------------------------------------------------------


async def test_a_registration_comes_back_as_it_was(store: Store) -> None:
    await store.save_registration(registration())
    assert await store.load_registration("ven1") == registration()
    bare = registration("ven2", ven_name=None, registration_id=None, last_seen=None, fingerprint=None, online=False)
    await store.save_registration(bare)
    assert await store.load_registration("ven2") == bare


async def test_saving_a_registration_replaces_it_and_keeps_the_rest(store: Store) -> None:
    await fill(store, "ven1")
    before = [*await kept_by_fresh(store, "ven1"), *await lost_by_fresh(store, "ven1")]
    changed = registration(ven_name="other", profile="2.0a", last_seen=None, registration_id=None)
    await store.save_registration(changed)
    assert await store.list_registrations() == [changed]
    assert [*await kept_by_fresh(store, "ven1"), *await lost_by_fresh(store, "ven1")] == before
    assert all(before)


async def test_fresh_forgets_all_but_answers_and_readings_then_queues(store: Store) -> None:
    await fill(store, "ven1")
    await fill(store, "ven2")
    kept = await kept_by_fresh(store, "ven1")
    assert all(kept)
    assert all(await lost_by_fresh(store, "ven1"))
    await store.save_registration(registration(), fresh=True, outgoing=[outgoing("b"), outgoing("a")])
    assert await kept_by_fresh(store, "ven1") == kept
    assert await ids_waiting(store) == ["b", "a"]
    await store.save_registration(registration(), fresh=True)
    assert not any(await lost_by_fresh(store, "ven1"))
    assert all(await lost_by_fresh(store, "ven2"))


async def test_two_vens_cannot_have_one_registration_id(store: Store) -> None:
    await store.save_registration(registration("ven1", registration_id="reg"), outgoing=[outgoing()])
    with pytest.raises(StoreError, match=r"'ven2'.*'reg'.*'ven1'.*choose another"):
        await store.save_registration(registration("ven2", registration_id="reg"), outgoing=[outgoing()])
    assert await store.load_registration("ven2") is None
    assert await ids_waiting(store, "ven2") == []
    await store.save_registration(registration("ven2", registration_id=None))
    await store.save_registration(registration("ven3", registration_id=None))
    with pytest.raises(StoreError):
        await store.save_registration(registration("ven2", registration_id="reg"), fresh=True)
    assert await store.load_registration("ven2") == registration("ven2", registration_id=None)
    await store.end_registration("ven1")
    await store.save_registration(registration("ven2", registration_id="reg"))


async def test_end_registration(store: Store) -> None:
    await fill(store, "ven1")
    kept = await kept_by_fresh(store, "ven1")
    assert await store.end_registration("ven1", outgoing=[outgoing("bye")]) is True
    assert await store.load_registration("ven1") == registration(registration_id=None)
    assert await ids_waiting(store) == ["bye"]
    assert await kept_by_fresh(store, "ven1") == kept
    assert await store.end_registration("ven1") is False
    assert not any(await lost_by_fresh(store, "ven1"))
    assert await store.end_registration("unknown") is False
    with pytest.raises(StoreError, match="no VEN 'unknown'"):
        await store.end_registration("unknown", outgoing=[outgoing()])


async def test_delete_ven_forgets_everything_about_it_and_nothing_else(store: Store) -> None:
    await fill(store, "ven1")
    await fill(store, "ven2")
    assert await store.delete_ven("ven1") is True
    assert await store.load_registration("ven1") is None
    assert not any([*await kept_by_fresh(store, "ven1"), *await lost_by_fresh(store, "ven1")])
    assert all([*await kept_by_fresh(store, "ven2"), *await lost_by_fresh(store, "ven2")])
    assert await store.delete_ven("ven1") is False
    await store.save_registration(registration("ven1"))
    assert not any([*await kept_by_fresh(store, "ven1"), *await lost_by_fresh(store, "ven1")])


async def test_ven_ids_are_case_sensitive(store: Store) -> None:
    await store.save_registration(registration("VEN"))
    assert await store.load_registration("ven") is None
    await store.save_registration(registration("ven"))
    assert [ven.ven_id for ven in await store.list_registrations()] == ["VEN", "ven"]


async def test_find_registration_needs_all_properties_and_takes_the_first(store: Store) -> None:
    for ven_id in ("b", "a", "c"):
        await store.save_registration(registration(ven_id, ven_name="same"))
    found = await store.find_registration(ven_name="same")
    assert found is not None
    assert found.ven_id == "a"
    assert await store.find_registration(ven_name="same", fingerprint="AA:c") == registration("c", ven_name="same")
    assert await store.find_registration(registration_id="reg-b") == registration("b", ven_name="same")
    assert await store.find_registration(registration_id="reg-b", fingerprint="AA:c") is None
    assert await store.find_registration(ven_name="Same") is None


async def test_find_registration_with_no_property_finds_nobody(store: Store) -> None:
    # A peer without a certificate must not turn into the first VEN there is.
    await store.save_registration(registration("ven1", fingerprint=None))
    assert await store.find_registration() is None
    assert await store.find_registration(fingerprint=None) is None


async def test_registrations_are_listed_by_ven_id(store: Store) -> None:
    for ven_id in ("é", "b", "Z", "a1", "a10", "a"):
        await store.save_registration(registration(ven_id))
    assert [ven.ven_id for ven in await store.list_registrations()] == ["Z", "a", "a1", "a10", "b", "é"]


async def test_presence_changes_only_presence_and_passes_unknown_vens_over(store: Store) -> None:
    await store.save_registration(registration("ven1"))
    await store.save_registration(registration("ven2"))
    later = NOW + MINUTE
    await store.save_presence({"ven1": later, "unknown": later}, {"ven2": False, "unknown": True})
    assert await store.list_registrations() == [
        registration("ven1", last_seen=later),
        registration("ven2", online=False),
    ]
    await store.save_presence({}, {})


# --- events -----------------------------------------------------------------------------------------------------------


async def test_an_event_comes_back_as_it_was(store: Store) -> None:
    for recipients in (None, (), ("ven1", "ven2")):
        kept = stored_event(recipients=recipients)
        await store.save_event(kept)
        assert await store.load_event("event1") == kept
    assert await store.load_event("event2") is None


async def test_events_are_listed_as_first_saved_closed_ones_on_demand(store: Store) -> None:
    for event_id in ("c", "a", "b"):
        await store.save_event(stored_event(event_id))
    await store.save_event(stored_event("c", modification_number=1))
    await store.save_event(stored_event("a", closed=True))
    assert [one.event.event_id for one in await store.list_events()] == ["c", "b"]
    assert [one.event.event_id for one in await store.list_events(include_closed=True)] == ["c", "a", "b"]
    assert (await store.list_events())[0].event.modification_number == 1
    await store.save_event(stored_event("a"))
    assert [one.event.event_id for one in await store.list_events()] == ["c", "a", "b"]


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
async def test_an_event_with_a_number_that_json_has_not_is_refused(store: Store, number: float) -> None:
    signal = Signal(signal_name="SIMPLE", signal_type="level", signal_id="s", intervals=(Interval(MINUTE, number),))
    with pytest.raises(StoreError, match=r"event 'event1'.*finite"):
        await store.save_event(stored_event(signals=(signal,)))
    assert await store.load_event("event1") is None


async def test_lists_come_back_as_tuples(store: Store) -> None:
    given = stored_event()
    await store.save_event(stored_event(signals=list(given.event.signals)))
    assert await store.load_event("event1") == given


async def test_instants_are_the_same_in_any_time_zone(store: Store) -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    await store.save_event(stored_event(start=there))
    await store.save_registration(registration(last_seen=there))
    assert await store.load_event("event1") == stored_event()
    assert await store.load_registration("ven1") == registration()


async def test_an_instant_without_a_time_zone_is_refused(store: Store) -> None:
    naive = datetime(2030, 1, 1)  # noqa: DTZ001 - that is the point
    with pytest.raises(StoreError, match="time zone"):
        await store.save_registration(registration(last_seen=naive))
    await store.save_registration(registration())
    with pytest.raises(StoreError, match="time zone"):
        await store.save_presence({"ven1": naive}, {})
    with pytest.raises(StoreError, match="time zone"):
        await store.save_answers([answer(answered_at=naive)])
    with pytest.raises(StoreError, match="time zone"):
        await store.list_readings("ven1", start=naive)


async def test_answers_replace_what_the_same_ven_said_of_the_same_event(store: Store) -> None:
    await store.save_answers([answer("e2", "v1"), answer("e1", "v2"), answer("e1", "v1"), answer("e1", "v2")])
    bare = answer("e1", "v1", opt_type=OptType.IN, response_description=None, by_opt=False)
    await store.save_answers([bare])
    assert await store.list_answers() == [bare, answer("e1", "v2"), answer("e2", "v1")]
    assert await store.list_answers(ven_id="v1") == [bare, answer("e2", "v1")]
    assert await store.list_answers(event_id="e1") == [bare, answer("e1", "v2")]
    assert await store.list_answers(ven_id="v2", event_id="e1") == [answer("e1", "v2")]
    assert await store.list_answers(ven_id="v2", event_id="e2") == []
    await store.save_answers([])


# --- messages that wait for a VEN -------------------------------------------------------------------------------------


async def test_outgoing_is_first_in_first_out_until_removed(store: Store) -> None:
    await store.save_registration(registration("ven1"))
    await store.save_registration(registration("ven2"))
    await store.add_outgoing("ven1", [outgoing("c"), outgoing("a")])
    await store.add_outgoing("ven2", [outgoing("a")])
    await store.add_outgoing("ven1", [outgoing("b")])
    assert await store.list_outgoing("ven1") == [outgoing("c"), outgoing("a"), outgoing("b")]
    await store.remove_outgoing("ven1", (item_id for item_id in ("a", "not there")))
    assert await ids_waiting(store, "ven1") == ["c", "b"]
    assert await ids_waiting(store, "ven2") == ["a"]
    await store.remove_outgoing("ven1", [])
    await store.remove_outgoing("unknown", ["a"])
    await store.add_outgoing("ven1", [outgoing("a")])
    assert await ids_waiting(store, "ven1") == ["c", "b", "a"]
    assert await store.list_outgoing("unknown") == []


async def test_an_item_replaces_the_one_with_its_id_in_its_place(store: Store) -> None:
    await store.save_registration(registration(), outgoing=[outgoing("a"), outgoing("b")])
    again = outgoing("a", b"new", "oadrCancelReport")
    await store.add_outgoing("ven1", [again])
    assert await store.list_outgoing("ven1") == [again, outgoing("b")]
    await store.add_outgoing("ven1", [outgoing("c", b"1"), outgoing("d"), outgoing("c", b"2")])
    assert await store.list_outgoing("ven1") == [again, outgoing("b"), outgoing("c", b"2"), outgoing("d")]


async def test_nothing_can_wait_for_a_ven_that_is_not_there(store: Store) -> None:
    for items in ([outgoing()], []):
        with pytest.raises(StoreError, match="no VEN 'unknown'"):
            await store.add_outgoing("unknown", items)
    assert await store.list_outgoing("unknown") == []


# --- opt --------------------------------------------------------------------------------------------------------------


async def test_several_opts_may_have_one_id_but_the_same_is_kept_once(store: Store) -> None:
    other = opt(opt_reason="x-other")
    there = opt(created_date_time=NOW.astimezone(timezone(timedelta(hours=1))))
    for one in (opt(), opt("z"), other, opt(), there, opt(ven_id="ven2")):
        await store.save_opt(one)
    assert await store.list_opts("ven1") == [opt(), opt("z"), other]
    assert await store.list_opts("ven2") == [opt(ven_id="ven2")]
    assert await store.delete_opts("ven1", "opt1") == 2
    assert await store.delete_opts("ven1", "opt1") == 0
    assert await store.list_opts("ven1") == [opt("z")]
    assert await store.list_opts("ven2") == [opt(ven_id="ven2")]
    await store.save_opt(opt())
    assert await store.list_opts("ven1") == [opt("z"), opt()]


async def test_an_opt_saves_its_answers(store: Store) -> None:
    qualified = opt(event_id="event1", modification_number=2, availability=())
    await store.save_opt(qualified, answers=[answer(), answer("event2")])
    assert await store.list_opts("ven1") == [qualified]
    assert await store.list_answers(ven_id="ven1") == [answer(), answer("event2")]


# --- reports ----------------------------------------------------------------------------------------------------------


async def test_capabilities_replace_those_of_the_same_source(store: Store) -> None:
    await store.save_capabilities("ven1", Source.VEN, [capability("b"), capability("a")])
    await store.save_capabilities("ven1", Source.VTN, [capability("v")])
    await store.save_capabilities("ven2", Source.VEN, [capability("x")])
    assert await store.list_capabilities("ven1", Source.VEN) == [capability("b"), capability("a")]
    await store.save_capabilities("ven1", Source.VEN, [capability("c"), capability("b")])
    assert await store.list_capabilities("ven1", Source.VEN) == [capability("c"), capability("b")]
    await store.save_capabilities("ven1", Source.VEN, [])
    assert await store.list_capabilities("ven1", Source.VEN) == []
    assert await store.list_capabilities("ven1", Source.VTN) == [capability("v")]
    assert await store.list_capabilities("ven2", Source.VEN) == [capability("x")]


async def test_new_capabilities_end_the_requests_of_that_source_but_for_metadata(store: Store) -> None:
    meta = request("meta", report_specifier_id=METADATA)
    await store.save_requests("ven1", [request("a"), meta, request("b"), request("v", Source.VTN)])
    await store.save_requests("ven2", [request("a")])
    await store.save_capabilities("ven1", Source.VEN, [capability()])
    assert await store.list_requests("ven1", Source.VEN) == [meta]
    assert await store.list_requests("ven1", Source.VTN) == [request("v", Source.VTN)]
    assert await store.list_requests("ven2", Source.VEN) == [request("a")]


async def test_requests_keep_their_order_and_replace_their_like(store: Store) -> None:
    await store.save_registration(registration())
    await store.save_requests("ven1", [request("b"), request("a")], outgoing=[outgoing("x"), outgoing("y")])
    await store.save_requests("ven1", [request("c"), request("b", confirmed=True), request("b", Source.VTN)])
    assert await store.list_requests("ven1", Source.VEN) == [
        request("b", confirmed=True),
        request("a"),
        request("c"),
    ]
    assert await store.list_requests("ven1", Source.VTN) == [request("b", Source.VTN)]
    assert await ids_waiting(store) == ["x", "y"]
    assert await store.list_requests("ven2", Source.VEN) == []


async def test_delete_requests_says_which_were_there(store: Store) -> None:
    await store.save_registration(registration())
    await store.save_requests("ven1", [request("a"), request("b"), request("c"), request("b", Source.VTN)])
    there = await store.delete_requests(
        "ven1", Source.VEN, iter(["c", "unknown", "a", "c"]), outgoing=[outgoing("cancel")]
    )
    assert there == ["c", "a"]
    assert await store.list_requests("ven1", Source.VEN) == [request("b")]
    assert await store.list_requests("ven1", Source.VTN) == [request("b", Source.VTN)]
    assert await ids_waiting(store) == ["cancel"]
    assert await store.delete_requests("ven2", Source.VEN, ["b"]) == []


async def test_requests_and_their_messages_are_kept_together_or_not_at_all(store: Store) -> None:
    await store.save_requests("ven1", [request("a")])
    with pytest.raises(StoreError, match="no VEN 'ven1'"):
        await store.save_requests("ven1", [request("b")], outgoing=[outgoing()])
    with pytest.raises(StoreError, match="no VEN 'ven1'"):
        await store.delete_requests("ven1", Source.VEN, ["a"], outgoing=[outgoing()])
    assert await store.list_requests("ven1", Source.VEN) == [request("a")]


@pytest.mark.parametrize(
    "kept",
    [
        reading(),
        reading(value=-0.1, duration=timedelta(seconds=1.5), quality="Quality Good - Non Specific"),
        reading(value=math.inf, confidence=100, accuracy=0.1),
        reading(value=-math.inf, accuracy=math.inf),
        reading(value=STATUS, duration=registration().poll_frequency),
        reading(value=1e308),
    ],
)
async def test_a_reading_comes_back_as_it_was(store: Store, kept: StoredReading) -> None:
    await store.save_readings([kept])
    assert await store.list_readings("ven1") == [kept]


async def test_a_reading_that_is_not_a_number_stays_one(store: Store) -> None:
    await store.save_readings([reading(value=math.nan, accuracy=math.nan), reading(minute=1)])
    first, second = await store.list_readings("ven1")
    assert isinstance(first.reading.value, float)
    assert math.isnan(first.reading.value)
    assert first.reading.accuracy is None
    assert second == reading(minute=1)


async def test_a_reading_replaces_and_never_doubles(store: Store) -> None:
    await store.save_readings([reading(value=1.0), reading(value=2.0)])
    assert await store.list_readings("ven1") == [reading(value=2.0)]
    again = reading(value=STATUS, quality="x", report_request_id="request2")
    await store.save_readings([again])
    assert await store.list_readings("ven1") == [again]
    others = [
        reading("rid2"),
        reading(minute=1),
        reading(report_specifier_id="spec2"),
        reading(ven_id="ven2"),
    ]
    await store.save_readings(others)
    assert len(await store.list_readings("ven1")) == 4
    assert await store.list_readings("ven2") == [reading(ven_id="ven2")]


async def test_readings_are_listed_by_start_then_rid_within_the_limits(store: Store) -> None:
    everything = [
        reading(r_id, minute, report_specifier_id=spec)
        for minute in (-1, 0, 1, 2)
        for r_id in ("a", "b")
        for spec in ("s", "t")
    ]
    await store.save_readings(everything[::-1])

    async def listed(**limits: Any) -> list[StoredReading]:
        return await store.list_readings("ven1", **limits)

    assert await listed() == everything
    assert await listed(r_id="b") == [one for one in everything if one.reading.r_id == "b"]
    assert await listed(report_specifier_id="t") == [one for one in everything if one.report_specifier_id == "t"]
    assert await listed(start=NOW) == everything[4:]
    assert await listed(end=NOW + MINUTE) == everything[:8]
    assert await listed(start=NOW, end=NOW) == []
    assert await listed(start=NOW, end=NOW + MINUTE, r_id="a", report_specifier_id="s") == everything[4:5]
    assert await listed(limit=3) == everything[:3]
    assert await listed(start=NOW + MINUTE, limit=0) == []
    assert await store.list_readings("ven2") == []
    with pytest.raises(StoreError, match="limit"):
        await listed(limit=-1)


async def test_saving_no_readings_is_nothing(store: Store) -> None:
    await store.save_readings([])
    assert await store.list_readings("ven1") == []


async def test_numbers_beyond_the_columns_are_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="64 bits"):
        await store.save_readings([reading("good"), reading(confidence=2**63)])
    with pytest.raises(StoreError, match="64 bits"):
        await store.save_answers([answer(modification_number=2**63)])
    assert await store.list_readings("ven1") == []


# --- many at the same time --------------------------------------------------------------------------------------------


async def test_many_tasks_at_the_same_time(store: Store) -> None:
    await asyncio.gather(*(store.save_registration(registration(f"ven{ven}")) for ven in range(20)))
    await asyncio.gather(
        *(store.add_outgoing(f"ven{ven}", [outgoing(f"i{item}")]) for ven in range(20) for item in range(5)),
        *(store.save_readings(report(ven, 0)) for ven in range(20)),
        *(store.list_registrations() for _ in range(20)),
    )
    for ven in range(20):
        assert await ids_waiting(store, f"ven{ven}") == [f"i{item}" for item in range(5)]
        assert len(await store.list_readings(f"ven{ven}")) == 100


async def test_one_failure_is_its_callers_alone(store: Store) -> None:
    await store.save_registration(registration("ven1", registration_id="taken"))
    outcomes = await asyncio.gather(
        store.save_readings(report(1, 0)),
        store.add_outgoing("ven1", [outgoing("a")]),
        store.save_registration(registration("ven2", registration_id="taken")),
        store.add_outgoing("unknown", [outgoing()]),
        store.save_event(stored_event()),
        store.add_outgoing("unknown", [outgoing()]),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [
        type(None), type(None), StoreError, StoreError, type(None), StoreError
    ]  # fmt: skip
    assert outcomes[3] is not outcomes[5]
    assert await ids_waiting(store) == ["a"]
    assert len(await store.list_readings("ven1")) == 100
    assert await store.load_registration("ven2") is None
    assert await store.load_event("event1") == stored_event()


async def test_a_cancelled_caller_breaks_nothing(store: Store) -> None:
    for turns in range(8):
        tasks = [asyncio.create_task(store.save_readings(report(ven, 0))) for ven in range(5)]
        tasks += [asyncio.create_task(store.save_event(stored_event(f"e{turns}")))]
        readers = [asyncio.create_task(store.list_readings("ven1")) for _ in range(10)]
        for _ in range(turns):
            await asyncio.sleep(0.0005 * turns)
        for task in (*tasks[::2], *readers):
            task.cancel()
        outcomes = await asyncio.gather(*tasks, *readers, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {type(None), list, asyncio.CancelledError}
    await store.save_registration(registration())
    assert await store.load_registration("ven1") == registration()
    assert len(await store.list_readings("ven1")) == 100


# --- change feed ------------------------------------------------------------------------------------------------------


async def test_listeners_hear_what_concerns_a_ven_after_the_commit(store: Store) -> None:
    heard: list[str | None] = []
    store.subscribe(heard.append)

    async def told(call: Awaitable[object]) -> set[str | None]:
        heard.clear()
        await call
        return set(heard)

    assert await told(store.save_registration(registration("ven1"))) == {"ven1"}
    assert await told(store.save_registration(registration("ven1"), fresh=True)) == {"ven1"}
    assert await told(store.add_outgoing("ven1", [outgoing()])) == {"ven1"}
    assert await told(store.remove_outgoing("ven1", ["item1"])) == {"ven1"}
    assert await told(store.save_opt(opt(), answers=[answer(ven_id="ven2")])) == {"ven1", "ven2"}
    assert await told(store.delete_opts("ven1", "opt1")) == {"ven1"}
    assert await told(store.save_requests("ven1", [request()])) == {"ven1"}
    assert await told(store.delete_requests("ven1", Source.VEN, ["request1"])) == {"ven1"}
    assert await told(store.save_capabilities("ven1", Source.VEN, [capability()])) == {"ven1"}
    assert await told(store.save_answers([answer(ven_id="v1"), answer(ven_id="v2")])) == {"v1", "v2"}
    assert await told(store.save_event(stored_event())) == {None}
    assert await told(store.end_registration("ven1")) == {"ven1"}
    assert await told(store.delete_ven("ven1")) == {"ven1"}
    # What waits for nobody:
    assert await told(store.save_readings([reading()])) == set()
    assert await told(store.save_presence({"ven1": NOW}, {"ven1": True})) == set()


async def test_a_failed_unit_of_work_is_not_told(store: Store) -> None:
    heard: list[str | None] = []
    store.subscribe(heard.append)
    with pytest.raises(StoreError):
        await store.add_outgoing("unknown", [outgoing()])
    assert heard == []


async def test_a_listener_that_hears_can_rely_on_what_it_heard_of(store: Store) -> None:
    await store.save_registration(registration())
    reads: list[asyncio.Task[list[str]]] = []
    store.subscribe(lambda ven_id: reads.append(asyncio.ensure_future(ids_waiting(store, str(ven_id)))))
    await store.add_outgoing("ven1", [outgoing("a")])
    assert [await read for read in reads] == [["a"]]


async def test_a_subscription_ends(store: Store) -> None:
    heard: list[str | None] = []
    others: list[str | None] = []
    unsubscribe = store.subscribe(heard.append)
    store.subscribe(others.append)
    unsubscribe()
    unsubscribe()
    await store.save_event(stored_event())
    assert (heard, others) == ([], [None])


async def test_a_listener_that_raises_is_logged_and_stops_nobody(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: str | None) -> None:
        raise RuntimeError("listener is broken")

    heard: list[str | None] = []
    store.subscribe(broken)
    store.subscribe(heard.append)
    with caplog.at_level(logging.ERROR, "pyopenadr.store"):
        await store.save_event(stored_event())
    assert heard == [None]
    assert "listener is broken" in caplog.text
    assert await store.load_event("event1") == stored_event()
    await store.save_event(stored_event("event2", created_date_time=event().created_date_time))
