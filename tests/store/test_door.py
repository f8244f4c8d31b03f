"""What the VTN's door keeps, in every store: what may happen once, who may register, and who wanted to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pyopenadr.errors import StoreError
from pyopenadr.model import Group, Member, Registration
from pyopenadr.store import Store, open_store
from pyopenadr.store.port import Admission, Claim, Knock
from tests.store.sample import NOW

SECOND = timedelta(seconds=1)


def claim(name: str = "n", scope: str = "s", expires_at: object = NOW) -> Claim:
    return Claim(scope=scope, name=name, expires_at=expires_at)  # type: ignore[arg-type]


async def test_a_claim_is_the_first_once(store: Store) -> None:
    assert await store.claim([claim("a"), claim("b"), claim("a"), claim("a", "t")]) == [True, True, False, True]
    assert await store.claim([claim("a"), claim("c")]) == [False, True]
    assert await store.claim([]) == []


async def test_one_of_many_at_the_same_time_is_the_first(store: Store) -> None:
    results = await asyncio.gather(*(store.claim([claim("a"), claim(f"own {n}")]) for n in range(20)))
    assert sorted(first for first, _ in results) == [False] * 19 + [True]
    assert all(own for _, own in results)


async def test_claims_are_forgotten_after_their_time_and_not_at_it(store: Store) -> None:
    await store.claim([claim("old", expires_at=NOW - SECOND), claim("now"), claim("new", expires_at=NOW + SECOND)])
    assert await store.forget_claims(NOW) == 1
    assert await store.claim([claim("old"), claim("now"), claim("new")]) == [True, False, False]
    assert await store.forget_claims(NOW) == 0


async def test_a_claim_that_is_given_back_can_be_made_again_and_no_other_goes_with_it(store: Store) -> None:
    await store.claim([claim("a"), claim("b"), claim("a", "t")])
    await store.give_back([claim("a"), claim("b", expires_at=NOW + SECOND), claim("unknown")])
    await store.give_back([])
    assert await store.claim([claim("a"), claim("b"), claim("a", "t")]) == [True, False, False]


async def test_a_claim_without_a_time_zone_is_refused_and_nothing_is_kept(store: Store) -> None:
    with pytest.raises(StoreError, match="no time zone"):
        await store.claim([claim("a"), claim("b", expires_at=NOW.replace(tzinfo=None))])
    assert await store.claim([claim("a")]) == [True]


async def test_another_process_at_the_same_database_is_refused(path: Path) -> None:
    one, two = open_store(f"sqlite:///{path}"), open_store(f"sqlite:///{path}")
    await one.open()
    await two.open()
    assert await one.claim([claim()]) == [True]
    assert await two.claim([claim()]) == [False]
    await one.close()
    await two.close()


# --- who may register ---------------------------------------------------------------------------------------------


def knock(key: str = "k", **fields: object) -> Knock:
    return Knock(key=key, **({"first_at": NOW, "last_at": NOW} | fields))  # type: ignore[arg-type]


async def test_admissions_are_found_by_their_strongest_property(store: Store) -> None:
    by_print = Admission(fingerprint="AA", common_name="cn", ven_name="n")
    by_common = Admission(common_name="Device", ven_id="ven1")
    by_name, by_id = Admission(ven_name="Name"), Admission(ven_id="Id")
    await store.save_admissions([by_print, by_common, by_name, by_id])
    keys = ["ven-id Id", "ven-name Name", "common-name device", "fingerprint AA", "ven-name n", "ven-id Id"]
    assert await store.find_admissions(keys) == [by_id, by_name, by_common, by_print]
    assert await store.find_admissions([]) == []
    assert await store.list_admissions() == [by_common, by_print, by_id, by_name]


async def test_an_admission_replaces_the_one_with_its_key_and_can_go(store: Store) -> None:
    await store.save_admissions([Admission(fingerprint="AA"), Admission(fingerprint="AA", ven_id="x")])
    assert await store.list_admissions() == [Admission(fingerprint="AA", ven_id="x")]
    assert await store.delete_admission("fingerprint AA")
    assert not await store.delete_admission("fingerprint AA")
    assert await store.list_admissions() == []


async def test_a_knock_comes_back_as_it_was_and_goes_with_its_admission(store: Store) -> None:
    one = knock(
        "AA",
        fingerprint="AA",
        common_name="cn",
        ven_name="Überraschung",
        ven_id="v",
        profile="2.0a",
        address="1.2.3.4:5",
        times=3,
        rejected=True,
    )
    assert await store.save_knock(one, most=5)
    assert await store.load_knock("AA") == one
    await store.save_admissions([Admission(fingerprint="AA")], knock="AA")
    assert await store.load_knock("AA") is None
    assert not await store.delete_knock("AA")


async def test_knocks_are_listed_as_they_came_and_are_not_endless(store: Store) -> None:
    assert await store.save_knock(knock("b"), most=2)
    assert await store.save_knock(knock("a", first_at=NOW - SECOND), most=2)
    assert not await store.save_knock(knock("c"), most=2)
    assert await store.save_knock(knock("b", times=2), most=2)
    assert [(each.key, each.times) for each in await store.list_knocks()] == [("a", 1), ("b", 2)]
    assert await store.delete_knock("a")
    assert await store.save_knock(knock("c"), most=2)


async def test_a_closed_store_keeps_nothing_of_this(store: Store) -> None:
    await store.close()
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: store.claim([claim()]),
        lambda: store.give_back([claim()]),
        lambda: store.forget_claims(NOW),
        lambda: store.save_admissions([]),
        lambda: store.find_admissions(["x"]),
        store.list_admissions,
        lambda: store.delete_admission("x"),
        lambda: store.save_knock(knock(), most=1),
        lambda: store.load_knock("x"),
        store.list_knocks,
        lambda: store.delete_knock("x"),
    ]
    for call in calls:
        with pytest.raises(StoreError, match="open"):
            await call()


async def test_many_are_kept_at_once_or_nobody(store: Store) -> None:
    await store.save_group(Group(group_id="g"))
    ven = Registration(ven_id="v", own_poll_frequency=timedelta(minutes=1))
    allowed = Admission(ven_id="v")
    with pytest.raises(StoreError, match="nowhere"):
        await store.save_enrolled([ven], [allowed], [Member("g", "v"), Member("nowhere", "v")])
    assert (await store.list_registrations(), await store.list_admissions(), await store.list_members()) == ([], [], [])
    for _ in range(2):
        await store.save_enrolled([ven], [allowed], [Member("g", "v")])
    assert await store.list_registrations() == [ven]
    assert await store.list_admissions() == [allowed]
    assert await store.list_members() == [Member("g", "v")]
