"""Every store there is, opened, for the tests that all of them must pass."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pyopenadr.store import Store, open_store

KINDS = ("memory", "sqlite file", "sqlite memory", "aiosqlite")


def url_of(kind: str, folder: Path) -> str | None:
    """The address of a store of that kind. `aiosqlite` stands for every engine behind an asyncio driver."""
    return {
        "memory": None,
        "sqlite file": f"sqlite:///{folder}/a store.db",
        "sqlite memory": "sqlite://",
        "aiosqlite": f"sqlite+aiosqlite:///{folder}/async.db",
    }[kind]


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made = open_store(url_of(request.param, tmp_path))
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
