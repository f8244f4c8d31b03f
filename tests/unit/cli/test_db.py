"""`pyopenadr db`: what it says of a database, and what it does to it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pyopenadr.cli import app
from pyopenadr.store.table import HEAD
from tests.postgres import drop_database, make_database


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["db", *arguments])
    return result.exit_code, result.output


def test_a_new_file_is_made_and_then_fits(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/vtn.db"
    code, said = run("status", "--database", url)
    assert code == 1
    assert "there is no database" in said
    assert not (tmp_path / "vtn.db").exists()
    assert run("upgrade", "--database", url)[0] == 0
    code, said = run("status", "--database", url, "--json")
    assert (code, json.loads(said)) == (
        0,
        {
            "database": f"{tmp_path}/vtn.db",
            "engine": "sqlite",
            "state": "current",
            "version": HEAD,
            "wanted": HEAD,
        },
    )
    code, said = run("status", "--database", url)
    assert "up to date; for a backup while it is in use: sqlite3" in said


@pytest.mark.parametrize(("version", "state", "word"), [("9999", "newer", "newer pyopenadr")])
def test_another_version_is_named(tmp_path: Path, version: str, state: str, word: str) -> None:
    url = f"sqlite:///{tmp_path}/vtn.db"
    run("upgrade", "--database", url)
    with closing(sqlite3.connect(tmp_path / "vtn.db")) as connection:
        connection.execute(f"UPDATE alembic_version SET version_num = '{version}'")
        connection.commit()
    code, said = run("status", "--database", url)
    assert (code, word in said) == (1, True)
    assert json.loads(run("status", "--database", url, "--json")[1])["state"] == state
    assert run("upgrade", "--database", url)[0] == 1


def test_postgresql_is_made_ready_by_it(postgres: Path) -> None:
    url = asyncio.run(make_database(postgres, "template1"))
    code, said = run("status", "--database", url)
    assert (code, "make them by: pyopenadr db upgrade" in said) == (1, True)
    code, said = run("upgrade", "--database", url, "--json")
    assert (code, json.loads(said)["state"], json.loads(said)["engine"]) == (0, "current", "postgresql")
    code, said = run("status", "--database", url)
    assert (code, "pg_dump" in said) == (0, True)
    asyncio.run(drop_database(postgres, url))


def test_no_database_is_an_error() -> None:
    assert run("status", "--database", "memory")[0] == 2
