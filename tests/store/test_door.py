"""What the VTN's door keeps: claims of what may happen once, in every store."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from pyopenadr.errors import StoreError
from pyopenadr.store import Store, open_store
from pyopenadr.store.port import Claim
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


async def test_a_closed_store_claims_nothing(store: Store) -> None:
    await store.close()
    with pytest.raises(StoreError, match="open"):
        await store.claim([claim()])
    with pytest.raises(StoreError, match="open"):
        await store.forget_claims(NOW)
