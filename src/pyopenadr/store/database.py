"""The door to the database: connections, transactions, and what its errors mean.

Units of work are plain functions of a SQLAlchemy `Connection`. For SQLite they run in threads of this module, one for
writing and a few for reading: a thread is entered once for a unit of work, where an asyncio driver enters one for
every step of every statement, which costs four times as much and takes it from the event loop. PostgreSQL runs the
same functions over its asyncio driver, asyncpg.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool

from pyopenadr.errors import StoreError, StoreUnavailable

__all__ = [
    "DATABASE_ERRORS",
    "AsyncioDatabase",
    "Database",
    "ThreadDatabase",
    "connect",
    "connect_asyncpg",
    "is_conflict",
    "store_error",
]

T = TypeVar("T")

DATABASE_ERRORS = (SQLAlchemyError, sqlite3.Error, OSError, UnicodeError, OverflowError)
"""What the database, its driver and the way to it raise; `store_error` makes sense of each."""

_READERS = 4
_CONNECT_TIMEOUT_S = 10.0
_COMMAND_TIMEOUT_S = 60.0
"""How long PostgreSQL may take to let us in, and for one statement."""

_HINTS = (
    ("unable to open database file", "check that the folder exists and that this user may write in it"),
    ("file is not a database", "that file is something else: give the path of a new file"),
    ("malformed", "the file is damaged: restore it from a backup"),
    ("disk is full", "free some disk space and try again"),
    ("readonly", "this user may not write to the file or its folder: change its permissions"),
    ("read-only", "this user may not write to the file or its folder: change its permissions"),
    ("locked", "another process is writing to it for a long time: stop that, or raise busy_timeout_s"),
    ("disk i/o error", "check the disk and its file system"),
    ("no such table", "its schema is not pyopenadr's: give pyopenadr a database of its own"),
    ("already exists", "it holds another application's tables: give pyopenadr a database of its own"),
    ("unique constraint failed: ven.registration_id", "give each VEN a registration_id of its own"),
    ("foreign key", "the VEN it belongs to is gone"),
    ("surrogates not allowed", "the text holds half a character: use well-formed Unicode"),
    ("password authentication", "check the user and the password in the address"),
    ("does not exist", "make the database first, for example by: createdb NAME"),
    ("no such file", "check that the database server runs and that the address is right"),
    ("connect", "check that the database server runs and that the address is right"),
)


def store_error(error: BaseException, where: str) -> StoreError:
    """The StoreError that says what `error` from the database `where` means, and what to do."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    reason = str(cause) or type(cause).__name__
    hint = next((hint for sign, hint in _HINTS if sign in reason.lower()), "see the database's own log")
    if isinstance(cause, sqlite3.Error) and "unable to open" in reason:
        folder = Path(where).parent
        if not folder.is_dir():
            hint = f"the folder {folder} does not exist: create it"
    if _is_away(error, cause):
        result: StoreError = StoreUnavailable(f"database {where} can't be reached: {reason}; {hint}")
    else:
        result = StoreError(f"database {where}: {reason}; {hint}")
    result.__cause__ = error
    return result


def _is_away(error: BaseException, cause: BaseException) -> bool:
    """Whether the database, and not what was asked of it, is at fault."""
    if isinstance(error, PoolTimeout) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return True
    state = _state(cause)
    # Connection exception, too many connections, and the server shutting down or starting up.
    return isinstance(cause, OSError) or state.startswith(("08", "57P")) or state == "53300"


def _state(error: BaseException | None) -> str:
    """PostgreSQL's code for an error; nothing for the errors of others."""
    return str(getattr(error, "sqlstate", None) or "")


def is_conflict(error: BaseException) -> bool:
    """Whether two transactions were in each other's way, so that the same may work at once."""
    return isinstance(error, DBAPIError) and _state(error.orig) in ("40P01", "40001")


class Database(Protocol):
    """Runs units of work."""

    @property
    def where(self) -> str:
        """What to call the database in messages: without any password."""
        ...

    @property
    def dialect(self) -> str:
        """Whose SQL it speaks: `sqlite` or `postgresql`."""
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a unit of work that only reads and takes one statement."""
        ...

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run a unit of work in a transaction and commit it; roll it back if it raises. One at a time."""
        ...

    async def close(self) -> None:
        """Wait for what runs, and end all connections."""
        ...


def connect(url: URL, *, synchronous: str, busy_timeout_s: float) -> Database:
    """The database of that address. Nothing is opened until the first unit of work."""
    settings = {
        # First, so that the others wait for a lock too.
        "busy_timeout": str(round(busy_timeout_s * 1000)),
        "foreign_keys": "ON",
        "synchronous": synchronous,
    }
    return ThreadDatabase(url, settings) if url.drivername == "sqlite" else AsyncioDatabase(url, settings)


async def connect_asyncpg(url: URL) -> Any:
    """A new connection of asyncpg's own to PostgreSQL.

    Raises:
        OSError: there is none to be had; also where the server answers and refuses.
    """
    import asyncpg  # late: only those with PostgreSQL have it

    try:
        return await asyncpg.connect(
            url.set(drivername="postgresql").render_as_string(hide_password=False),
            timeout=_CONNECT_TIMEOUT_S,
            command_timeout=_COMMAND_TIMEOUT_S,
            server_settings={"application_name": "pyopenadr", "jit": "off"},
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ConnectionError(str(error)) from error


def _set_up(engine: Engine, settings: dict[str, str], begin: str | None) -> None:
    """Have every new connection to SQLite take the settings, and every transaction begin with `begin`.

    Python's driver would begin transactions by itself, too late for SAVEPOINT and for DDL, so it is told not to.
    """

    def connected(connection: Any, _record: object) -> None:
        try:
            connection.isolation_level = None
            cursor = connection.cursor()
            for name, value in settings.items():
                cursor.execute(f"PRAGMA {name}={value}")
            cursor.close()
        except BaseException:  # also cancelled: the file must not stay open
            # SQLAlchemy forgets a connection that its listener refuses, and would leave the file open.
            connection.close()
            raise

    def begun(connection: Connection) -> None:
        if begin is not None:
            connection.exec_driver_sql(begin)

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)


# A writer takes the lock at once: one that reads first and writes later might find that another process wrote
# between, and could only fail. A reader has one statement and needs no transaction at all.
_WRITE = "BEGIN IMMEDIATE"


def _for_writing(settings: dict[str, str]) -> dict[str, str]:
    return {**settings, "journal_mode": "WAL"}


def _for_reading(settings: dict[str, str]) -> dict[str, str]:
    return {**settings, "query_only": "ON"}


class ThreadDatabase:
    """SQLite in threads. A database in memory has only one connection, hence one thread for everything."""

    def __init__(self, url: URL, settings: dict[str, str]) -> None:
        self.where = url.database or "in memory"
        self.dialect = "sqlite"
        in_memory = url.database in (None, "", ":memory:")
        if in_memory:
            one = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
            self._writer = create_engine(url, **one)
        else:
            self._writer = create_engine(url, pool_size=1, max_overflow=0)
        _set_up(self._writer, _for_writing(settings), _WRITE)
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="pyopenadr-store-write")
        self._reader, self._read_threads = self._writer, self._write_thread
        if not in_memory:
            self._reader = create_engine(url, pool_size=_READERS, max_overflow=0)
            _set_up(self._reader, _for_reading(settings), None)
            self._read_threads = ThreadPoolExecutor(_READERS, thread_name_prefix="pyopenadr-store-read")

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._read_threads, _in_thread, self._reader, work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._write_thread, _in_transaction, self._writer, work)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        # The writer goes last: the last connection writes the log back into the file and deletes it, which a
        # reading one may not.
        for threads, engine in ((self._read_threads, self._reader), (self._write_thread, self._writer)):
            threads.shutdown(wait=True)
            engine.dispose()


def _in_thread(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.connect() as connection:
        return work(connection)


def _in_transaction(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)


class AsyncioDatabase:
    """A database behind an asyncio driver: PostgreSQL with asyncpg, or SQLite with aiosqlite in a file."""

    def __init__(self, url: URL, settings: dict[str, str]) -> None:
        creator = {"async_creator": partial(connect_asyncpg, url)} if url.drivername == "postgresql+asyncpg" else {}
        self._writer = create_async_engine(url, pool_size=1, max_overflow=0, **creator)
        self._reader = create_async_engine(url, pool_size=_READERS, max_overflow=0, **creator)
        self._running: set[asyncio.Task[Any]] = set()
        self.dialect = self._writer.dialect.name
        self.where = url.render_as_string(hide_password=True)
        if self.dialect == "sqlite":
            self.where = url.database or ""
            _set_up(self._writer.sync_engine, _for_writing(settings), _WRITE)
            _set_up(self._reader.sync_engine, _for_reading(settings), None)

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._unbroken(self._read(work))

    async def write(self, work: Callable[[Connection], T]) -> T:
        return await self._unbroken(self._write(work))

    async def _read(self, work: Callable[[Connection], T]) -> T:
        async with self._reader.connect() as connection:
            return await connection.run_sync(work)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        async with self._writer.begin() as connection:
            return await connection.run_sync(work)

    async def _unbroken(self, work: Coroutine[Any, Any, T]) -> T:
        # A driver that is cancelled in the middle of a statement gives its connection up, sometimes without closing
        # it. So a caller who is cancelled leaves, and the unit of work ends in its own time.
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen, for a caller who has left

    async def close(self) -> None:
        if self._running:
            await asyncio.wait(set(self._running))
        await self._reader.dispose()
        await self._writer.dispose()
