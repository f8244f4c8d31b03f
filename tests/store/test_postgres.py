"""What holds for PostgreSQL alone: its schema, group commit, conflicts, and what its errors mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, event, make_url

from pyopenadr.errors import StoreError, StoreUnavailable
from pyopenadr.store import Store, open_store, table
from pyopenadr.store.database import connect
from tests.postgres import drop_database, execute, make_database
from tests.store.sample import answer, reading, registration, report, stored_event


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    made = open_store(postgres_url)
    await made.open()
    yield made
    await made.close()


async def test_migrations_build_what_the_tables_say(postgres_url: str) -> None:
    url = make_url(postgres_url).set(drivername="postgresql+asyncpg")
    database = connect(url, synchronous="FULL", busy_timeout_s=1)

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, table.metadata))

    assert await database.read(differences) == []
    await database.close()


async def test_without_leave_the_schema_is_not_made(postgres: Path) -> None:
    url = await make_database(postgres, "template1")
    with pytest.raises(StoreError, match="no tables of pyopenadr yet"):
        await open_store(url).open()
    made = open_store(url, migrate=True)
    await made.open()
    await made.save_event(stored_event())
    await made.close()
    await drop_database(postgres, url)


async def test_everything_survives_reopening(store: Store) -> None:
    await store.save_registration(registration())
    await store.save_readings([reading()])
    await store.close()
    await store.open()
    assert await store.list_registrations() == [registration()]
    assert await store.list_readings("ven1") == [reading()]


async def test_a_hundred_saves_at_once_are_few_commits(store: Store) -> None:
    commits: list[Connection] = []

    def committed(connection: Connection) -> None:
        commits.append(connection)

    event.listen(Engine, "commit", committed)
    try:
        await asyncio.gather(*(store.save_readings(report(ven, 0)) for ven in range(100)))
    finally:
        event.remove(Engine, "commit", committed)
    assert 1 <= len(commits) <= 3
    assert len(await store.list_readings("ven99")) == 100


async def test_one_batch_may_hold_a_reading_twice_and_the_last_counts(store: Store) -> None:
    await asyncio.gather(
        store.save_readings([reading(value=1.0), reading(value=2.0)]), store.save_readings([reading(value=3.0)])
    )
    assert await store.list_readings("ven1") == [reading(value=3.0)]


async def test_two_workers_that_touch_the_same_rows_do_not_lock_each_other_out(store: Store, postgres_url: str) -> None:
    other = open_store(postgres_url)
    await other.open()
    events = [stored_event(f"e{number}") for number in range(20)]
    answers = [answer(f"e{number}") for number in range(20)]
    await asyncio.gather(
        *(store.save_event(one) for one in events),
        *(other.save_event(one) for one in reversed(events)),
        *(store.save_answers(answers) for _ in range(5)),
        *(other.save_answers(answers[::-1]) for _ in range(5)),
        *(store.save_readings(report(1, 0)) for _ in range(5)),
        *(other.save_readings(report(1, 0)[::-1]) for _ in range(5)),
    )
    assert len(await other.list_events()) == len(await other.list_answers()) == 20
    assert len(await other.list_readings("ven1")) == 100
    await other.close()


async def test_a_value_that_can_not_be_kept_is_an_error_for_its_caller_alone(store: Store) -> None:
    outcomes = await asyncio.gather(
        store.save_readings([reading("good")]),
        store.save_readings([reading("bad \x00")]),
        store.save_readings([reading("better")]),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), StoreError, type(None)]
    assert [kept.reading.r_id for kept in await store.list_readings("ven1")] == ["better", "good"]


async def test_a_database_that_is_not_there_is_named_with_what_to_do(postgres: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"nothing.*does not exist; make the database first"):
        await open_store(f"postgresql://postgres@/nothing?host={postgres}").open()


async def test_a_server_that_is_not_there_is_unavailable_and_the_password_stays_secret(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"can't be reached.*check that the database server runs") as caught:
        await open_store(f"postgresql://me:secret@/db?host={tmp_path}").open()
    assert "secret" not in str(caught.value)


async def test_connections_that_were_cut_cost_one_attempt(store: Store, postgres: Path, postgres_url: str) -> None:
    await store.save_event(stored_event())
    await store.list_events()
    name = make_url(postgres_url).database
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    await execute(postgres, cut)
    with pytest.raises(StoreUnavailable):
        await store.save_event(stored_event("e2"))
    await store.save_event(stored_event("e3"))
    with pytest.raises(StoreUnavailable):
        await store.list_events()
    assert [stored.event.event_id for stored in await store.list_events()] == ["event1", "e3"]
