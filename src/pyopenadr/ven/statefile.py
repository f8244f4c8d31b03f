"""The state of a client in an SQLite file: safe against `kill -9` and power cuts, and never in the loop's way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from pyopenadr.errors import ConfigError, StoreError
from pyopenadr.v2.profile import ProfileName
from pyopenadr.ven.session import base_of
from pyopenadr.ven.state import Ledger, row_of, stamp_of

__all__ = ["FileLedger", "default_state", "open_ledger"]

R = TypeVar("R", bound=msgspec.Struct)

APPLICATION_ID = 0x6F616452
"""Marks the file as ours ("oadR"), so that no other program's database is written into."""

MIGRATIONS = (
    """
    CREATE TABLE entry (
        position INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        value BLOB NOT NULL,
        UNIQUE (kind, name)
    )
    """,
    """
    CREATE TABLE record (
        r_id TEXT NOT NULL,
        at INTEGER NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (r_id, at)
    ) WITHOUT ROWID
    """,
)
"""What makes version n + 1 of the file out of version n. Only ever added to."""

AUTO = "auto"
"""The setting that lets us choose the path."""

PATIENCE_S = 0.5
"""How long to wait for a process that is about to let go of the file."""

_UPSERT = """
    INSERT INTO entry (kind, name, value) VALUES (?, ?, ?)
    ON CONFLICT (kind, name) DO UPDATE SET value = excluded.value
"""
_RECORD = """
    INSERT INTO record (r_id, at, value) VALUES (?, ?, ?)
    ON CONFLICT (r_id, at) DO UPDATE SET value = excluded.value
"""
_RECORDED = "SELECT at, value FROM record WHERE r_id = ? AND at >= ? AND at < ? ORDER BY at LIMIT ?"
_RECORDED_BEFORE = "SELECT at, value FROM record WHERE r_id = ? AND at < ? ORDER BY at DESC LIMIT 1"
_NTH_LAST = "(SELECT at FROM record WHERE r_id = :r_id ORDER BY at DESC LIMIT 1 OFFSET {})"
_TRIM = f"""
    DELETE FROM record WHERE r_id = :r_id AND (
        at <= {_NTH_LAST.format(":most")} OR (at < :before AND at <= {_NTH_LAST.format(":least")})
    )
"""


class _Batch(msgspec.Struct):
    """What is to be written, in one transaction: rows (None: dropped), records, and what to trim."""

    entries: dict[tuple[str, str], bytes | None] = {}
    records: dict[tuple[str, int], bytes] = {}
    trims: dict[str, tuple[int, int, int]] = {}

    def __bool__(self) -> bool:
        return bool(self.entries or self.records or self.trims)

    def followed_by(self, later: _Batch) -> _Batch:
        """Both, where the later one counts."""
        return _Batch(self.entries | later.entries, self.records | later.records, self.trims | later.trims)


class FileLedger:
    """Rows in a file. The loop only collects what is to be written; a thread of its own writes it.

    What the loop collects between two of its turns is one transaction, and what is collected while one is being
    written is the next. The file is locked as long as it is open; after `close` the next write opens it again.
    """

    def __init__(self, path: str, complain: Callable[[str], None]) -> None:
        self.path = path
        self._complain = complain
        self._connection: sqlite3.Connection | None = _connected(path)
        self._pending = _Batch()
        self._writing: asyncio.Task[None] | None = None
        self._worker: ThreadPoolExecutor | None = None
        self._failing = False

    def load(self, kind: str, row: type[R]) -> dict[str, R]:
        """All rows of a kind, as they are in the file: for the time before the loop runs."""
        assert self._connection is not None
        found = self._connection.execute("SELECT name, value FROM entry WHERE kind = ? ORDER BY position", (kind,))
        return {name: row_of(value, row, f"{kind} {name} in {self.path}") for name, value in found}

    def put(self, kind: str, name: str, row: msgspec.Struct) -> None:
        self._pending.entries[kind, name] = msgspec.msgpack.encode(row)
        self._collected()

    def drop(self, kind: str, name: str) -> None:
        self._pending.entries[kind, name] = None
        self._collected()

    def record(self, r_id: str, at: datetime, row: msgspec.Struct) -> None:
        self._pending.records[r_id, stamp_of(at)] = msgspec.msgpack.encode(row)
        self._collected()

    async def recorded(self, r_id: str, start: datetime, end: datetime, row: type[R], most: int) -> list[R]:
        first, last = stamp_of(start), stamp_of(end)
        found = await self._found(_RECORDED, (r_id, first, last, most))
        found |= self._unwritten(r_id, first, last)
        return [row_of(found[at], row, f"the record of {r_id} in {self.path}") for at in sorted(found)[:most]]

    async def recorded_before(self, r_id: str, at: datetime, row: type[R]) -> R | None:
        found = await self._found(_RECORDED_BEFORE, (r_id, stamp_of(at)))
        found |= self._unwritten(r_id, None, stamp_of(at))
        return row_of(found[max(found)], row, f"the record of {r_id} in {self.path}") if found else None

    def trim(self, r_id: str, before: datetime, *, least: int, most: int) -> None:
        self._pending.trims[r_id] = (stamp_of(before), least, most)
        self._collected()

    def _unwritten(self, r_id: str, first: int | None, last: int) -> dict[int, bytes]:
        """The records in that time that are not in the file yet; usually there are none."""
        return {
            at: value
            for (name, at), value in self._pending.records.items()
            if name == r_id and (first is None or first <= at) and at < last
        }

    async def _found(self, query: str, values: tuple[str | int, ...]) -> dict[int, bytes]:
        """What a query finds after all that was collected before it has been written."""
        await self.kept()
        return await asyncio.get_running_loop().run_in_executor(self._thread(), self._read, query, values)

    def _read(self, query: str, values: tuple[str | int, ...]) -> dict[int, bytes]:
        """In the worker's thread."""
        try:
            if self._connection is None:
                self._connection = _connected(self.path)
            return dict(self._connection.execute(query, values).fetchall())
        except (sqlite3.Error, ConfigError) as error:
            raise StoreError(f"what was measured can't be read from {self.path}: {error}") from error

    def _thread(self) -> ThreadPoolExecutor:
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="pyopenadr state")
        return self._worker

    def _collected(self) -> None:
        try:
            self._begin()
        except RuntimeError:  # there is no loop yet; the next one writes it
            return

    async def kept(self) -> None:
        if self._pending:
            self._begin()
        if self._writing is not None:
            await asyncio.shield(self._writing)

    async def close(self) -> None:
        await self.kept()
        if self._worker is not None:
            worker, self._worker = self._worker, None
            worker.shutdown()  # it has nothing to do any more
        self.release()

    def release(self) -> None:
        """Let go of the file at once, without what has not been written yet."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _begin(self) -> None:
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write_all(), name="pyopenadr state")

    async def _write_all(self) -> None:
        """Write until there is nothing left. A task starts in the loop's next turn, so it sees whole turns only."""
        loop = asyncio.get_running_loop()
        while self._pending:
            batch, self._pending = self._pending, _Batch()
            problem: Exception | None = None
            done = False
            try:
                problem = await loop.run_in_executor(self._thread(), self._write, batch)
                done = problem is None
            finally:
                if not done:  # also if this task is cancelled: writing it twice does no harm
                    self._pending = batch.followed_by(self._pending)
            if problem is not None:
                if not self._failing:
                    self._complain(
                        f"the state can't be written to {self.path}: {problem}; what happens from now on is lost if "
                        "the program ends before that works again"
                    )
                self._failing = True
                return
            self._failing = False

    def _write(self, batch: _Batch) -> Exception | None:
        """One transaction, in the worker's thread; what went wrong."""
        try:
            if self._connection is None:
                self._connection = _connected(self.path)
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                for (kind, name), value in batch.entries.items():
                    if value is None:
                        connection.execute("DELETE FROM entry WHERE kind = ? AND name = ?", (kind, name))
                    else:
                        connection.execute(_UPSERT, (kind, name, value))
                connection.executemany(_RECORD, [(r_id, at, value) for (r_id, at), value in batch.records.items()])
                for r_id, (before, least, most) in batch.trims.items():
                    connection.execute(_TRIM, {"r_id": r_id, "before": before, "least": least, "most": most})
                connection.execute("COMMIT")
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, ConfigError) as error:
            return error
        return None


def _connected(path: str) -> sqlite3.Connection:
    """The file, locked, and brought to the present version.

    Raises:
        ConfigError: it can't be used.
    """
    connection: sqlite3.Connection | None = None
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            # Never open a file that is there: closing it again would take away the locks of this process on it.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None, check_same_thread=False)
        # With an exclusive lock SQLite needs no shared memory, and the operating system frees it when the process dies.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        _check(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN EXCLUSIVE")
        _migrate(connection)
        connection.execute("COMMIT")
    except ConfigError:
        assert connection is not None
        connection.close()
        raise
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            raise ConfigError(
                f"the state file {path} is in use by another client: give each VEN a state file of its own, "
                "or end the other one first"
            ) from error
        raise ConfigError(f"the state file {path} can't be used: {error}") from error
    return connection


def _check(connection: sqlite3.Connection, path: str) -> None:
    """Whether we may write into it; nothing has been changed yet."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION_ID:
        raise ConfigError(f"{path} is a database, but not the state of a VEN: give another path")
    if version > len(MIGRATIONS):
        raise ConfigError(
            f"the state file {path} was written by a newer pyopenadr (version {version} of its form, this one knows "
            f"{len(MIGRATIONS)}): update pyopenadr, or give another path"
        )


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the present version, within the transaction that is open."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for script in MIGRATIONS[version:]:
        connection.execute(script)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def default_state(ven_name: str, vtn_url: str, profile: ProfileName = "2.0b") -> Path:
    """The state file of that VEN at that VTN in the user's folder: $XDG_STATE_HOME, or ~/.local/state."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", ven_name).strip(".-") or "ven"
    # The name is in the hash too: two names may look alike once they are made fit for a file.
    tail = hashlib.sha256(f"{ven_name}\n{base_of(vtn_url, profile)}".encode()).hexdigest()[:12]
    return folder / "pyopenadr" / f"{plain[:80]}-{tail}.db"


class Owner(msgspec.Struct, frozen=True):
    """Whose state it is."""

    ven_name: str
    vtn: str


def open_ledger(
    state: str | os.PathLike[str] | Ledger,
    *,
    ven_name: str,
    vtn: str,
    complain: Callable[[str], None],
    profile: ProfileName = "2.0b",
) -> Ledger:
    """The ledger of that VEN at that VTN: in the file at that path, or in the user's folder ("auto").

    A ledger is taken as it is.

    `complain` hears of rows that could not be written.

    Raises:
        ConfigError: the file is no state file, another process or client has it, or it is another VEN's.
    """
    owner = Owner(ven_name, vtn)
    if not isinstance(state, str | os.PathLike):
        _own(state, owner, "it")
        return state
    path = default_state(ven_name, vtn, profile) if state == AUTO else state
    ledger = FileLedger(os.fspath(path), complain)
    try:
        _own(ledger, owner, ledger.path)
    except ConfigError:
        ledger.release()
        raise
    return ledger


def _own(ledger: Ledger, owner: Owner, where: str) -> None:
    found = ledger.load("owner", Owner).get("")
    if found is None:
        ledger.put("owner", "", owner)
    elif found != owner:
        raise ConfigError(
            f"the state in {where} is that of VEN {found.ven_name!r} at {found.vtn}, "
            f"not of {owner.ven_name!r} at {owner.vtn}: give each VEN a state file of its own"
        )
