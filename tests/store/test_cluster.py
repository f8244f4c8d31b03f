"""What the workers on one PostgreSQL hear of each other, and what only one of them may do at a time."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url

from pyopenadr.errors import StoreError, StoreUnavailable
from pyopenadr.store import MemoryStore, Store, open_store
from pyopenadr.store.cluster import _number
from pyopenadr.store.port import Change, Source, Topic
from tests.postgres import execute, url_of
from tests.store.sample import answer, outgoing, registration, request, stored_event

Heard = list[Change | None]


@pytest.fixture
async def pair(postgres_url: str) -> AsyncIterator[tuple[Store, Store]]:
    stores = open_store(postgres_url), open_store(postgres_url)
    for store in stores:
        await store.open()
    yield stores
    for store in stores:
        await store.close()


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(500):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to pass")


async def cut(postgres: Path, url: str) -> None:
    name = make_url(url).database
    await execute(postgres, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


async def test_after_a_barrier_everything_committed_before_has_been_heard(pair: tuple[Store, Store]) -> None:
    one, other = pair
    heard: Heard = []
    other.follow(heard.append)
    for number in range(200):
        await one.save_event(stored_event(f"e{number}"))
        await other.barrier()
        assert heard[-1] == Change(Topic.EVENT, f"e{number}")
    assert len(heard) == 200


async def test_a_worker_does_not_follow_itself(pair: tuple[Store, Store]) -> None:
    one, _ = pair
    heard: Heard = []
    one.follow(heard.append)
    await one.save_event(stored_event())
    await one.barrier()
    assert heard == []


async def test_each_change_has_its_topic(pair: tuple[Store, Store]) -> None:
    one, other = pair
    heard: Heard = []
    other.follow(heard.append)

    async def told() -> Heard:
        await other.barrier()
        changes, heard[:] = list(heard), []
        return changes

    ven, mail = Change(Topic.VEN, "ven1"), Change(Topic.MAIL, "ven1")
    await one.save_registration(registration(online=False))
    assert await told() == [ven, mail]
    await one.save_answers([answer()])
    assert await told() == [mail]
    await one.add_outgoing("ven1", [outgoing()])
    assert await told() == [mail]
    await one.save_requests("ven1", [request(source=Source.VTN)], outgoing=[outgoing("i2")])
    assert await told() == [Change(Topic.REQUEST, "ven1", ("vtn",)), mail]
    await one.delete_requests("ven1", Source.VEN, ["r1"])
    assert await told() == [Change(Topic.REQUEST, "ven1", ("ven",)), Change(Topic.ENDED, "ven1", ("r1",))]
    assert await one.turn("ven1", online=True)
    assert await told() == [ven]
    note = Change(Topic.SENT, "ven1", ("i1", "2030-01-01T00:00:00+00:00"))
    await one.tell([note])
    assert await told() == [note]
    await one.end_registration("ven1")
    assert await told() == [ven, mail]


async def test_what_is_rolled_back_is_not_heard_of(pair: tuple[Store, Store]) -> None:
    one, other = pair
    heard: Heard = []
    other.follow(heard.append)
    outcomes = await asyncio.gather(
        one.add_outgoing("nobody", [outgoing()]), one.save_event(stored_event()), return_exceptions=True
    )
    await other.barrier()
    assert [type(outcome) for outcome in outcomes] == [StoreError, type(None)]
    assert heard == [Change(Topic.EVENT, "event1")]


async def test_many_changes_at_once_fit_into_notes_and_very_many_are_anything(pair: tuple[Store, Store]) -> None:
    one, other = pair
    heard: Heard = []
    other.follow(heard.append)
    changes = [Change(Topic.MAIL, f"a VEN with quite a long name {number}") for number in range(5000)]
    await one.tell(changes)
    await other.barrier()
    assert heard == changes
    heard.clear()
    await one.tell([Change(Topic.MAIL, "x" * 1000 + str(number)) for number in range(5000)])
    await other.tell([])
    await other.barrier()
    assert heard == [None]


async def test_a_key_is_held_by_one_worker_and_the_next_has_heard_of_what_it_did(pair: tuple[Store, Store]) -> None:
    heard: tuple[Heard, Heard] = ([], [])
    holders = 0
    done: list[str] = []

    async def work(store: Store, mine: Heard, name: str) -> None:
        nonlocal holders
        for number in range(20):
            async with store.holding("key"):
                holders += 1
                assert holders == 1
                theirs = [key for key in done if not key.startswith(name)]
                assert [change.key for change in mine if change is not None] == theirs
                await store.save_event(stored_event(f"{name}{number}"))
                done.append(f"{name}{number}")
                holders -= 1

    for store, mine in zip(pair, heard, strict=True):
        store.follow(mine.append)
    await asyncio.gather(work(pair[0], heard[0], "a"), work(pair[1], heard[1], "b"))
    assert len(done) == 40


async def test_different_keys_do_not_wait_for_each_other(pair: tuple[Store, Store]) -> None:
    one, other = pair
    async with one.holding("a"), other.holding("b"), one.holding("c"), other.holding("d"):
        pass


async def test_who_gives_up_waiting_leaves_the_key_to_others(pair: tuple[Store, Store]) -> None:
    one, other = pair

    async def hold() -> None:
        async with other.holding("key"):
            pass

    for pause in (0.0, 0.0005, 0.001, 0.002, 0.005) * 5:
        waiting = asyncio.create_task(hold())
        await asyncio.sleep(pause)
        waiting.cancel()
        await asyncio.wait([waiting])
        async with asyncio.timeout(5), one.holding("key"):
            pass


async def test_one_worker_leads_until_it_ends(pair: tuple[Store, Store]) -> None:
    one, other = pair
    assert await one.leads()
    assert await one.leads()
    assert not await other.leads()
    await one.close()
    await eventually(other.leads)
    assert await other.leads()


async def test_when_the_connection_is_lost_anything_may_have_changed_and_locks_are_gone(
    pair: tuple[Store, Store], postgres: Path, postgres_url: str
) -> None:
    one, other = pair
    heard: Heard = []
    one.follow(heard.append)
    assert await one.leads()
    async with one.holding("key"):
        await cut(postgres, postgres_url)
        await eventually(lambda: asyncio.sleep(0, len(heard) >= 2))
        assert heard[:2] == [None, None]  # once when it was lost, and once when it was there again

    async def works() -> bool:
        try:
            await other.barrier()
            await one.barrier()
        except StoreUnavailable:
            return False
        return True

    await eventually(works)
    async with other.holding("key"):
        pass
    assert [await one.leads(), await other.leads()].count(True) == 1


async def end_feed(postgres: Path, url: str) -> None:
    """End the connections by which the workers hear of each other, and no other; return when they have gone."""
    name = make_url(url).database
    connection = await asyncpg.connect(url_of(postgres, "postgres"))
    try:
        which = f"FROM pg_stat_activity WHERE datname = '{name}' AND query ILIKE '%advisory_lock(%'"
        assert await connection.fetchval(f"SELECT count(pg_terminate_backend(pid)) {which}")

        async def has_gone() -> bool:
            return not await connection.fetchval(f"SELECT count(*) {which}")

        await eventually(has_gone)
    finally:
        await connection.close()


async def test_what_is_changed_when_the_lock_has_been_lost_is_not_kept(
    pair: tuple[Store, Store], postgres: Path, postgres_url: str
) -> None:
    one, other = pair
    async with one.holding("key"):
        await one.save_event(stored_event("before"))
        await end_feed(postgres, postgres_url)
        outcomes = await asyncio.gather(
            one.save_event(stored_event("unlocked")),
            asyncio.create_task(one.save_event(stored_event("free")), context=contextvars.Context()),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable, type(None)]
        with pytest.raises(StoreUnavailable, match="lost during a change"):
            await one.save_event(stored_event("unlocked"))
    assert [stored.event.event_id for stored in await other.list_events()] == ["before", "free"]

    async def again() -> bool:
        try:
            async with one.holding("key"):
                await one.save_event(stored_event("after"))
        except StoreUnavailable:
            return False
        return True

    await eventually(again)
    assert [stored.event.event_id for stored in await other.list_events()] == ["before", "free", "after"]


async def test_a_key_is_had_after_the_transaction_of_who_had_it_before(
    pair: tuple[Store, Store], postgres_url: str
) -> None:
    one, _ = pair
    connection = await asyncpg.connect(postgres_url)
    transaction = connection.transaction()
    await transaction.start()
    # As a worker does whose transaction is still under way when it has lost its key.
    await connection.execute("SELECT pg_advisory_xact_lock_shared(~$1::bigint)", _number("key"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3), one.holding("key"):
            pass
    await transaction.commit()
    await connection.close()
    async with one.holding("key"):
        await one.save_event(stored_event())


async def test_a_task_that_outlives_the_block_may_write(pair: tuple[Store, Store]) -> None:
    one, other = pair
    go_on = asyncio.Event()

    async def late() -> None:
        await go_on.wait()
        await one.save_event(stored_event())

    async with one.holding("key"):
        task = asyncio.create_task(late())
        await asyncio.sleep(0)
    async with other.holding("key"):
        go_on.set()
        await task
    assert len(await other.list_events()) == 1


async def test_while_the_connection_is_away_nothing_can_be_held(
    pair: tuple[Store, Store], postgres: Path, postgres_url: str
) -> None:
    one, _ = pair
    await one.barrier()
    name = make_url(postgres_url).database
    await execute(postgres, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await cut(postgres, postgres_url)

    async def lost() -> bool:
        try:
            await one.barrier()
        except StoreUnavailable as error:
            return "can't be reached" in str(error)
        return False

    await eventually(lost)
    with pytest.raises(StoreUnavailable):
        async with one.holding("key"):
            pass
    assert not await one.leads()
    await execute(postgres, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    async def back() -> bool:
        try:
            await one.barrier()
        except StoreUnavailable:
            return False
        return True

    await eventually(back)


async def test_a_store_that_is_not_shared_leads_and_holds_everything(tmp_path: Path) -> None:
    for store in (MemoryStore(), open_store(f"sqlite:///{tmp_path}/a.db")):
        await store.open()
        heard: Heard = []
        store.follow(heard.append)()
        async with store.holding("key"), store.holding("key"):
            await store.save_event(stored_event())
        await store.barrier()
        await store.tell([Change(Topic.VEN, "ven1")])
        assert not store.is_shared
        assert await store.leads()
        assert heard == []
        await store.close()


async def test_a_second_server_on_one_file_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    one, other = open_store(url), open_store(url)
    for store in (one, other):
        await store.open()
    await one.occupy()
    await one.occupy()
    with pytest.raises(StoreUnavailable, match=r"a\.db: another VTN serves from it.*one process.*PostgreSQL"):
        await other.occupy()
    await one.close()
    await other.occupy()
    await other.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.db"]
