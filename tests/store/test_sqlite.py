"""What holds for SQLite alone: the file, durability, group commit, and what goes wrong with disks and locks."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, make_url

from pyopenadr.errors import ConfigError, StoreError
from pyopenadr.store import MemoryStore, Store, open_store
from pyopenadr.store.database import connect
from pyopenadr.store.port import Source
from pyopenadr.store.sql import SqlStore
from tests.store.sample import (
    NOW,
    answer,
    capability,
    opt,
    outgoing,
    reading,
    registration,
    report,
    request,
    stored_event,
)


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[Store]:
    store = open_store(url, **settings)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@contextmanager
def listening(name: str, listener: Any) -> Iterator[None]:
    """Have `listener` called by every engine."""
    event.listen(Engine, name, listener)
    try:
        yield
    finally:
        event.remove(Engine, name, listener)


@contextmanager
def counted_commits() -> Iterator[list[Connection]]:
    commits: list[Connection] = []
    with listening("commit", commits.append):
        yield commits


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
async def test_everything_survives_reopening(path: Path, scheme: str) -> None:
    async with opened(f"{scheme}:///{path}") as store:
        await store.save_registration(registration(), outgoing=[outgoing("b"), outgoing("a")])
        await store.save_event(stored_event("e2", recipients=("ven1",), closed=True))
        await store.save_event(stored_event("e1"))
        await store.save_answers([answer()])
        await store.save_opt(opt())
        await store.save_capabilities("ven1", Source.VTN, [capability("y"), capability("x")])
        await store.save_requests("ven1", [request("r2"), request("r1")])
        await store.save_readings([reading()])
    async with opened(f"{scheme}:///{path}") as store:
        assert await store.list_registrations() == [registration()]
        assert await store.list_outgoing("ven1") == [outgoing("b"), outgoing("a")]
        assert await store.list_events(include_closed=True) == [
            stored_event("e2", recipients=("ven1",), closed=True),
            stored_event("e1"),
        ]
        assert await store.list_answers() == [answer()]
        assert await store.list_opts("ven1") == [opt()]
        assert await store.list_capabilities("ven1", Source.VTN) == [capability("y"), capability("x")]
        assert await store.list_requests("ven1", Source.VEN) == [request("r2"), request("r1")]
        assert await store.list_readings("ven1") == [reading()]


async def test_one_store_can_be_opened_again(file_store: Store) -> None:
    await file_store.save_event(stored_event())
    await file_store.close()
    await file_store.open()
    assert await file_store.list_events() == [stored_event()]


async def test_nothing_is_left_beside_the_file_after_close(path: Path) -> None:
    async with opened(f"sqlite:///{path}") as store:
        await store.save_event(stored_event())
        await store.list_events()
        assert len(list(path.parent.iterdir())) == 3
    assert list(path.parent.iterdir()) == [path]


async def test_two_files_share_nothing(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/a.db") as one, opened(f"sqlite:///{tmp_path}/b.db") as other:
        heard: list[str | None] = []
        other.subscribe(heard.append)
        await one.save_registration(registration())
        assert await other.list_registrations() == []
        assert heard == []


async def test_two_in_memory_share_nothing() -> None:
    async with opened("sqlite://") as one, opened("sqlite://") as other:
        await one.save_registration(registration())
        assert await other.list_registrations() == []


async def test_two_stores_can_write_to_one_file(path: Path) -> None:
    async with opened(f"sqlite:///{path}") as one, opened(f"sqlite:///{path}") as other:
        await asyncio.gather(
            *(one.save_event(stored_event(f"a{number}")) for number in range(30)),
            *(other.save_event(stored_event(f"b{number}")) for number in range(30)),
        )
        for number in range(5):
            await one.save_event(stored_event(f"a{number}"))
            await other.save_event(stored_event(f"b{number}"))
        assert len(await one.list_events()) == len(await other.list_events()) == 60


async def test_many_may_open_the_same_new_file(path: Path) -> None:
    stores = [open_store(f"sqlite:///{path}") for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    await stores[0].save_event(stored_event())
    assert [len(await store.list_events()) for store in stores] == [1] * 4
    for store in stores:
        await store.close()


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
@pytest.mark.parametrize(("setting", "level"), [("FULL", 2), ("NORMAL", 1)])
async def test_connections_are_set_up(path: Path, scheme: str, setting: str, level: int) -> None:
    database = connect(make_url(f"{scheme}:///{path}"), synchronous=setting, busy_timeout_s=1.5)

    def pragmas(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert await database.write(pragmas) == ["wal", level, 1, 1500, 0]
    assert await database.read(pragmas) == ["wal", level, 1, 1500, 1]
    await database.close()


# --- group commit -----------------------------------------------------------------------------------------------------


async def test_a_hundred_saves_at_once_are_few_commits(file_store: Store) -> None:
    with counted_commits() as commits:
        await asyncio.gather(*(file_store.save_readings(report(ven, 0)) for ven in range(100)))
    assert 1 <= len(commits) <= 3
    assert len(await file_store.list_readings("ven99")) == 100


async def test_neighbouring_reports_are_one_statement(file_store: Store) -> None:
    rows: list[int] = []

    def executed(_connection: object, _cursor: object, _statement: str, parameters: Any, *_: object) -> None:
        rows.append(len(parameters))

    with listening("before_cursor_execute", executed):
        await asyncio.gather(*(file_store.save_readings(report(ven, 0)) for ven in range(50)))
    assert max(rows) > 100
    assert len(rows) <= 4


async def test_answers_come_after_the_commit(file_store: Store) -> None:
    order: list[str] = []

    async def save() -> None:
        await file_store.save_event(stored_event())
        order.append("answered")

    with listening("commit", lambda _: order.append("committed")):
        await save()
    assert order == ["committed", "answered"]


async def test_units_in_one_group_run_in_the_order_in_which_they_came(file_store: Store) -> None:
    await file_store.save_registration(registration())
    with counted_commits() as commits:
        await asyncio.gather(
            file_store.save_event(stored_event("first")),
            file_store.save_readings([reading(value=1.0)]),
            file_store.delete_ven("ven1"),
            file_store.save_readings([reading(value=2.0)]),
            file_store.save_readings([reading(minute=1)]),
            file_store.save_readings([reading(value=3.0)]),
        )
    assert len(commits) <= 2
    assert await file_store.list_readings("ven1") == [reading(value=3.0), reading(minute=1)]


async def test_a_cancelled_unit_that_waits_is_not_written(file_store: Store) -> None:
    tasks = [asyncio.create_task(file_store.save_event(stored_event(f"e{number}"))) for number in range(10)]
    await asyncio.sleep(0)
    tasks[5].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [number for number, outcome in enumerate(outcomes) if outcome is not None] == [5]
    assert await file_store.load_event("e5") is None
    assert len(await file_store.list_events()) == 9


async def test_when_the_writer_is_cancelled_nobody_waits_for_ever(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    await store.open()
    (writer,) = (task for task in asyncio.all_tasks() if task.get_name() == "pyopenadr-store-writer")
    saves = [asyncio.create_task(store.save_readings(report(ven, 0))) for ven in range(3)]
    await asyncio.sleep(0)
    writer.cancel()
    outcomes = await asyncio.wait_for(asyncio.gather(*saves, return_exceptions=True), 5)
    assert {type(outcome) for outcome in outcomes} == {StoreError}
    with pytest.raises(StoreError):
        await store.save_event(stored_event())
    await store.close()


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
async def test_a_full_disk_is_an_error_for_whom_it_hits_and_passes(path: Path, scheme: str) -> None:
    limit = 2**30

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={limit}")

    async with opened(f"{scheme}:///{path}") as store:
        await store.save_registration(registration())
        with listening("begin", begun):
            limit = 1  # SQLite takes it as "no larger than now"
            with pytest.raises(StoreError, match=r"openadr\.db.*full.*free some disk space"):
                await store.save_readings([one for ven in range(50) for one in report(ven, 0)])
            outcomes = await asyncio.gather(
                store.save_registration(registration(ven_name="changed")),
                *(store.save_readings([one for ven in range(50) for one in report(ven, 0)]) for _ in range(3)),
                store.save_registration(registration("ven2", registration_id="reg-ven1")),
                store.save_presence({"ven1": NOW}, {"ven1": False}),
                return_exceptions=True,
            )
            assert [type(outcome) for outcome in outcomes] == [
                type(None), StoreError, StoreError, StoreError, StoreError, type(None)
            ]  # fmt: skip
            assert await store.list_readings("ven1") == []
            assert await store.list_registrations() == [registration(ven_name="changed", online=False)]
            limit = 2**30
            await store.save_readings(report(1, 0))
        assert len(await store.list_readings("ven1")) == 100
    assert intact(path)


async def test_when_the_commit_fails_the_whole_group_hears_and_the_store_goes_on(path: Path) -> None:
    failing = False

    def committed(_connection: Connection) -> None:
        if failing:
            raise sqlite3.OperationalError("disk I/O error")

    async with opened(f"sqlite:///{path}") as store:
        heard: list[str | None] = []
        store.subscribe(heard.append)
        with listening("commit", committed):
            failing = True
            outcomes = await asyncio.gather(
                *(store.save_event(stored_event(f"e{number}")) for number in range(5)), return_exceptions=True
            )
            assert {type(outcome) for outcome in outcomes} == {StoreError}
            assert "check the disk" in str(outcomes[0])
            assert len({id(outcome) for outcome in outcomes}) == 5
            assert await store.list_events() == []
            assert heard == []
            failing = False
            await store.save_event(stored_event())
    assert intact(path)


async def test_a_database_that_others_keep_locked_is_an_error_and_passes(path: Path) -> None:
    async with opened(f"sqlite:///{path}", busy_timeout_s=0.05) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match=r"locked.*busy_timeout_s"):
                await store.save_event(stored_event())
            assert await store.list_events() == []
            other.execute("ROLLBACK")
        await store.save_event(stored_event())
        assert await store.list_events() == [stored_event()]


async def test_a_database_that_is_locked_for_a_moment_is_waited_for(path: Path) -> None:
    async with opened(f"sqlite:///{path}") as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            save = asyncio.create_task(store.save_event(stored_event()))
            await asyncio.sleep(0.1)
            assert not save.done()
            other.execute("ROLLBACK")
            await save


async def test_a_text_that_is_no_unicode_is_an_error_for_its_caller(file_store: Store) -> None:
    outcomes = await asyncio.gather(
        file_store.save_event(stored_event()),
        file_store.save_readings([reading("half \ud800")]),
        file_store.save_readings([reading("whole")]),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), StoreError, type(None)]
    assert await file_store.list_readings("ven1") == [reading("whole")]
    with pytest.raises(StoreError, match="Unicode"):
        await file_store.load_registration("\ud800")


async def test_a_value_that_was_changed_by_hand_is_an_error_that_says_so(path: Path, file_store: Store) -> None:
    await file_store.save_event(stored_event())
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE event SET body = '{}'")
        other.commit()
    with pytest.raises(StoreError, match=r"an event that can't be read.*changed by hand"):
        await file_store.list_events()


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"missing/openadr\.db.*folder .*missing does not exist: create it"):
        await open_store(f"sqlite:///{tmp_path}/missing/openadr.db").open()


async def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"unable to open.*check"):
        await open_store(f"sqlite:///{tmp_path}").open()


async def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    content = b"something else entirely " * 100
    path.write_bytes(content)
    store = open_store(f"sqlite:///{path}")
    with pytest.raises(StoreError, match=r"openadr\.db: file is not a database; .*give the path of a new file"):
        await store.open()
    assert path.read_bytes() == content
    with pytest.raises(StoreError, match="not open"):
        await store.list_events()
    await store.close()


async def test_a_file_that_may_only_be_read_can_be_read(path: Path) -> None:
    async with opened(f"sqlite:///{path}") as store:
        await store.save_event(stored_event())
        async with opened(f"sqlite:///file:{path}?mode=ro&uri=true") as reader:
            assert await reader.list_events() == [stored_event()]
            with pytest.raises(StoreError, match=r"readonly.*permissions"):
                await reader.save_event(stored_event())
            assert await reader.list_events() == [stored_event()]


async def test_a_store_that_is_not_open_says_so() -> None:
    with pytest.raises(StoreError, match=r"not open; await its open\(\) first"):
        await open_store("sqlite://").list_events()


# --- speed ------------------------------------------------------------------------------------------------------------


async def test_nothing_is_looked_for_by_reading_a_whole_table(path: Path, file_store: Store) -> None:
    asked: list[tuple[str, Any]] = []

    def executed(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            asked.append((statement, parameters[0] if isinstance(parameters, list) else parameters))

    store = file_store
    with listening("before_cursor_execute", executed):
        await store.save_registration(registration(), fresh=True)
        await store.load_registration("ven1")
        await store.find_registration(ven_name="a")
        await store.find_registration(registration_id="a")
        await store.find_registration(fingerprint="a")
        await store.save_presence({"ven1": NOW}, {"ven1": True})
        await store.load_event("event1")
        await store.list_events()
        await store.list_answers(ven_id="ven1")
        await store.list_answers(event_id="event1")
        await store.list_answers(ven_id="ven1", event_id="event1")
        await store.add_outgoing("ven1", [outgoing()])
        await store.list_outgoing("ven1")
        await store.remove_outgoing("ven1", ["item1"])
        await store.save_opt(opt())
        await store.delete_opts("ven1", "opt1")
        await store.list_opts("ven1")
        await store.save_capabilities("ven1", Source.VEN, [capability()])
        await store.list_capabilities("ven1", Source.VEN)
        await store.list_requests("ven1", Source.VEN)
        await store.save_requests("ven1", [request()])
        await store.delete_requests("ven1", Source.VEN, ["request1"])
        await store.list_readings("ven1", report_specifier_id="s", r_id="r", start=NOW, end=NOW)
        await store.list_readings("ven1", start=NOW, limit=10)
        await store.list_readings("ven1", r_id="r", end=NOW, limit=10)
        await store.list_readings("ven1", limit=10, after=reading())
        await store.delete_readings("ven1", NOW)
        await store.delete_event("event1")
        await store.list_traces("event1")
        await store.list_traces("event1", ven_id="ven1")
        await store.list_members(group_id="g")
        await store.list_members(ven_id="ven1")
        await store.list_resources("ven1")
        await store.delete_resources("ven1", ["r"])
        await store.delete_draft("event1")
        await store.end_registration("ven1")
        await store.delete_ven("ven1")
    assert len(asked) > 30
    with closing(sqlite3.connect(path)) as other:
        plans = {
            statement: [str(step[3]) for step in other.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            for statement, parameters in asked
        }
    assert {statement: plan for statement, plan in plans.items() if any("SCAN" in step for step in plan)} == {}
    sorted_readings = [
        plan for statement, plan in plans.items() if "FROM reading" in statement and "LIMIT" in statement
    ]
    assert sorted_readings
    assert not any("TEMP B-TREE FOR ORDER BY" in step for plan in sorted_readings for step in plan)


# --- addresses --------------------------------------------------------------------------------------------------------


async def test_no_address_is_memory() -> None:
    assert isinstance(open_store(None), MemoryStore)
    assert isinstance(open_store(), MemoryStore)
    assert isinstance(open_store("sqlite://"), SqlStore)


@pytest.mark.parametrize("url", ["openadr.db", "/var/lib/openadr.db", "mysql://root:secret@host/db", ""])
def test_other_addresses_are_refused_with_a_hint(url: str) -> None:
    with pytest.raises(ConfigError, match="write sqlite:///path/to/file") as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "asyncpg" else object())
    with pytest.raises(ConfigError, match=r"pip install 'pyopenadr\[postgres\]'"):
        open_store("postgresql://user:secret@host/db")


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"synchronous.*FULL"):
        open_store("sqlite://", synchronous="sometimes")
    with pytest.raises(ConfigError, match="needs a file"):
        open_store("sqlite+aiosqlite://")
    with pytest.raises(ConfigError, match="can't be read"):
        open_store("sqlite://host:port/x")


def intact(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return bool(connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)])
