"""Every store there is, opened, for the tests that all of them must pass."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pyopenadr.store import Store, open_store

KINDS = ("memory", "sqlite file", "sqlite memory", "aiosqlite", "postgresql")


def url_of(kind: str, folder: Path) -> str | None:
    """The address of a store of that kind."""
    return {
        "memory": None,
        "sqlite file": f"sqlite:///{folder}/a store.db",
        "sqlite memory": "sqlite://",
        "aiosqlite": f"sqlite+aiosqlite:///{folder}/async.db",
    }[kind]


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return url_of(request.param, tmp_path)


@pytest.fixture
async def store(url: str | None) -> AsyncIterator[Store]:
    made = open_store(url)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database file may be made."""
    return tmp_path / "openadr.db"


@pytest.fixture
async def file_store(path: Path) -> AsyncIterator[Store]:
    """A store in an SQLite file."""
    made = open_store(f"sqlite:///{path}")
    await made.open()
    yield made
    await made.close()
