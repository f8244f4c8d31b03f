"""Where a VTN keeps what must not be lost. `port` is the interface, `open_store` picks what stands behind it."""

from __future__ import annotations

import importlib.util

from pyopenadr.errors import ConfigError
from pyopenadr.store.memory import MemoryStore
from pyopenadr.store.port import Store

__all__ = ["MemoryStore", "Store", "open_store"]

_DRIVERS = {
    "sqlite": (),
    "sqlite+aiosqlite": ("aiosqlite",),
    "postgresql": ("asyncpg",),
    "postgresql+asyncpg": ("asyncpg",),
}


def open_store(
    url: str | None = None,
    *,
    migrate: bool | None = None,
    synchronous: str = "FULL",
    busy_timeout_s: float = 5.0,
) -> Store:
    """The store for an address; `await store.open()` before use.

    - None: in memory, gone when the process ends.
    - `sqlite:///openadr.db` or `sqlite:////var/lib/openadr.db`: a file, relative or absolute; made if missing.
    - `sqlite://`: SQLite in memory, for tests.
    - `postgresql://user:password@host/database`: PostgreSQL, for several workers; needs `pyopenadr[postgres]`.

    `migrate` says whether `open()` may change the schema: by default in SQLite, not in PostgreSQL. For SQLite,
    `synchronous` is FULL to survive a power cut with everything that was acknowledged; NORMAL may lose the last
    commits then, but nothing else. `busy_timeout_s` is how long to wait for another process that writes.

    Raises:
        ConfigError: no store has that address, or a package for it is missing.
    """
    if url is None:
        return MemoryStore()
    scheme = url.partition("://")[0]
    if "://" not in url or scheme not in _DRIVERS:
        shown = scheme if "://" in url else url
        raise ConfigError(
            f"{shown!r} is no address of a store: write sqlite:///path/to/file.db, or "
            "postgresql://user:password@host/database, or none at all to keep everything in memory"
        )
    missing = [name for name in ("sqlalchemy", "alembic", *_DRIVERS[scheme]) if not importlib.util.find_spec(name)]
    if missing:
        extra = "postgres" if scheme.startswith("postgresql") else "vtn"
        wanted = f"'pyopenadr[{extra}]'"
        raise ConfigError(f"a store at {scheme}:// needs more packages: pip install {wanted}")
    # Late: SQLAlchemy takes a third of a second to import, which those without a database need not spend.
    from pyopenadr.store.sql import SqlStore

    return SqlStore(url, migrate=migrate, synchronous=synchronous, busy_timeout_s=busy_timeout_s)
