"""The schema: what migrations build is what the tables say, and no database is taken for what it is not."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, Table, create_engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement

from pyopenadr.errors import StoreError
from pyopenadr.store import open_store, statement, table
from pyopenadr.store.schema import MIGRATIONS, upgrade
from tests.store.sample import stored_event


def built(path: Path) -> dict[str, str]:
    """The name and the statement of everything in the database, but for Alembic's own table."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    # Constraints may be written in any order, so compare the parts.
    return {name: " ".join(sorted(sql.replace(",", " ").split())) for name, sql in found if name != "alembic_version"}


@contextmanager
def engine_of(path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


async def make(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    await store.open()
    await store.close()


async def test_migrations_build_what_the_tables_say(tmp_path: Path) -> None:
    migrated, created = tmp_path / "migrated.db", tmp_path / "created.db"
    await make(migrated)
    with engine_of(created) as engine:
        table.metadata.create_all(engine)
    assert built(migrated) == built(created)
    with engine_of(migrated) as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, table.metadata) == []


def test_the_versions_are_those_of_the_migrations() -> None:
    scripts = ScriptDirectory(MIGRATIONS)
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert tuple(reversed(revisions)) == table.VERSIONS
    assert scripts.get_heads() == [table.HEAD]


async def test_a_database_of_a_newer_version_is_refused(path: Path) -> None:
    await make(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(StoreError, match=r"openadr\.db.*version 9999.*knows \S+ at most.*use the newer pyopenadr"):
        await open_store(f"sqlite:///{path}").open()


async def test_without_leave_nothing_is_changed(path: Path) -> None:
    with pytest.raises(StoreError, match="no tables of pyopenadr yet; run: pyopenadr db upgrade"):
        await open_store(f"sqlite:///{path}", migrate=False).open()
    await make(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(table.HEAD,)]
    store = open_store(f"sqlite:///{path}", migrate=False)
    await store.open()
    await store.save_event(stored_event())
    await store.close()


def test_an_older_version_is_not_changed_without_leave(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyopenadr.store.schema.HEAD", "0002")
    monkeypatch.setattr("pyopenadr.store.schema.VERSIONS", ("0001", "0002"))
    with engine_of(path) as engine, engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num TEXT)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('0001')")
        with pytest.raises(StoreError, match="older version 0001; run: pyopenadr db upgrade, after a backup"):
            upgrade(connection, where="x", allowed=False)


async def test_another_applications_database_is_left_as_it_was(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE request (id INTEGER)")
    before = built(path)
    with pytest.raises(StoreError, match=r"table request already exists; .*a database of its own"):
        await open_store(f"sqlite:///{path}").open()
    assert built(path) == before


async def test_a_new_file_opens_quickly(path: Path) -> None:
    start = time.process_time()
    await make(path)
    assert time.process_time() - start < 0.3


def test_only_who_asks_for_a_database_waits_for_its_packages(path: Path) -> None:
    asyncio.run(make(path))
    program = """
import asyncio, sys
from pyopenadr.store import open_store
open_store()
assert "sqlalchemy" not in sys.modules, "sqlalchemy for a store in memory"
async def reopen():
    store = open_store(sys.argv[1])
    await store.open()
    await store.close()
asyncio.run(reopen())
assert "alembic" not in sys.modules, "alembic for a database that is up to date"
assert "aiosqlite" not in sys.modules
"""
    source = str(MIGRATIONS.parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program, f"sqlite:///{path}"],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("into", list(table.metadata.sorted_tables), ids=lambda into: into.name)
def test_every_statement_has_a_form_in_both_dialects(into: Table) -> None:
    for name, dialect in (("sqlite", sqlite.dialect()), ("postgresql", postgresql.dialect())):  # type: ignore[no-untyped-call]
        made: list[DDLElement] = [CreateTable(into), *(CreateIndex(index) for index in into.indexes)]
        for ddl in made:
            assert into.name in str(ddl.compile(dialect=dialect))
        if into.name not in ("opt", "capability", "trace", "notice", "audit", "audit_event"):
            text = str(statement.upsert(name, into).compile(dialect=dialect))  # type: ignore[attr-defined]
            assert "ON CONFLICT" in text
            assert ("DO NOTHING" if into.name == "member" else "DO UPDATE SET") in text
            assert "seq =" not in text


def test_text_compares_alike_in_both_engines() -> None:
    ddl = str(CreateTable(table.ven).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert 'ven_id TEXT COLLATE "C"' in ddl
