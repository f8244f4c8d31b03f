"""What tests of all rooms may use: a PostgreSQL of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import drop_database, make_database, prepare, shared_server


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Path]:
    """The folder of this test session's PostgreSQL."""
    base = tmp_path_factory.getbasetemp()
    folder, lock = shared_server(base if worker_id == "master" else base.parent)
    with lock:
        asyncio.run(prepare(folder))
        yield folder


@pytest.fixture
def postgres_url(postgres: Path) -> Iterator[str]:
    """The address of a database with pyopenadr's tables and nothing in them."""
    url = asyncio.run(make_database(postgres))
    yield url
    asyncio.run(drop_database(postgres, url))
