"""The one task that writes: everything that waits goes into one transaction, and is answered after its commit.

A commit that is safe against power loss waits for the disk, for as long with one unit of work in it as with a
hundred. So the writer takes whatever has been queued while it wrote, runs each in a SAVEPOINT of its own, and commits
once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from pyopenadr.errors import StoreError
from pyopenadr.store.database import DATABASE_ERRORS, Database, is_conflict, store_error
from pyopenadr.store.feed import Feed
from pyopenadr.store.hold import HOLDS, Hold
from pyopenadr.store.port import Change, Topic

__all__ = ["Writer"]

T = TypeVar("T")

Announce = Callable[[Connection, Sequence[Change]], None]
Secure = Callable[[Connection, Sequence[Hold]], None]

_KEPT = frozenset((Topic.VEN, Topic.MAIL, Topic.EVENT, Topic.GROUP, Topic.REQUEST))
_FOR_ANY = (Topic.EVENT, Topic.GROUP)
_TRIES = 5
"""How often a transaction is run that another worker's is in the way of."""


@dataclass(frozen=True)
class _Bulk:
    """What is done with many rows at once. Neighbours in the queue with the same `perform` run as one."""

    perform: Callable[[Connection, Sequence[Any]], None]
    rows: Sequence[Any]


@dataclass(frozen=True)
class _Unit:
    """A unit of work, what it changes, where its outcome goes, and what must be held for it."""

    work: Callable[[Connection], Any] | _Bulk
    concerns: Sequence[Change]
    outcome: asyncio.Future[Any]
    holds: tuple[Hold, ...]


@dataclass(frozen=True)
class _Failure:
    """What a unit of work came to that was undone by itself."""

    error: Exception


class _RunAlone(Exception):
    """The transaction is spoilt for the other units: run each in one of its own."""


class Writer:
    """Runs units of work for as long as it is open. Belongs to the event loop that `start` ran in.

    `feed` hears of what concerns a VEN after the commit. `announce` is called with all changes in each transaction,
    as its last statement, and `secure` before it with what the callers hold.
    """

    def __init__(
        self,
        database: Database,
        feed: Feed[str | None],
        announce: Announce | None = None,
        secure: Secure | None = None,
    ) -> None:
        self._database = database
        self._feed = feed
        self._announce = announce
        self._secure = secure
        self._queue: deque[_Unit] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="pyopenadr-store-writer")

    async def close(self) -> None:
        """Take no more, write what is queued, and stop."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def run(self, work: Callable[[Connection], T], concerns: Sequence[Change] = ()) -> T:
        """Run `work` in a transaction; returns when it is committed.

        `work` may run twice if its first transaction has to be given up for the sake of its neighbours. A caller
        that is cancelled leaves the queue if its turn has not come; else its work is done all the same.

        Raises:
            StoreUnavailable: also if the caller holds a key, and lost it before the commit. Nothing was changed.
        """
        return cast("T", await self._enqueue(work, concerns))

    async def run_many(
        self,
        perform: Callable[[Connection, Sequence[T]], None],
        rows: Sequence[T],
        concerns: Sequence[Change] = (),
    ) -> None:
        """Have `perform` called with these rows, and perhaps those of others; returns when that is committed."""
        await self._enqueue(_Bulk(perform, rows), concerns)

    async def _enqueue(self, work: Callable[[Connection], Any] | _Bulk, concerns: Sequence[Change]) -> Any:
        if self._closing or self._task is None or self._task.done():
            raise StoreError(f"database {self._database.where}: the store is closed; open() it first")
        unit = _Unit(work, concerns, asyncio.get_running_loop().create_future(), HOLDS.get())
        self._queue.append(unit)
        self._wake.set()
        return await unit.outcome

    async def _run(self) -> None:
        group: list[_Unit] = []
        try:
            while self._queue or not self._closing:
                self._wake.clear()
                if not self._queue:
                    await self._wake.wait()
                group = [unit for unit in self._queue if not unit.outcome.done()]
                self._queue.clear()
                if group:
                    await self._write(group)
        finally:
            # Nobody may wait for a writer that is gone, whatever ended it.
            for unit in (*group, *self._queue):
                self._fail(unit, StoreError(f"database {self._database.where}: the store was stopped while it wrote"))

    async def _write(self, group: Sequence[_Unit]) -> None:
        try:
            outcomes = await self._transact(group)
        except _RunAlone:
            for unit in group:
                await self._write([unit])
        except Exception as error:  # noqa: BLE001 - whatever the transaction raises is its callers' to hear of
            for unit in group:
                self._fail(unit, error)
        else:
            done = [unit for unit, outcome in zip(group, outcomes, strict=True) if not isinstance(outcome, _Failure)]
            # Before the callers go on, so that none of them sees a cache that this commit has made stale.
            changes = [change for unit in done for change in unit.concerns]
            self._feed.publish(
                None if change.topic in _FOR_ANY else change.key for change in changes if change.topic in _KEPT
            )
            for unit, outcome in zip(group, outcomes, strict=True):
                if isinstance(outcome, _Failure):
                    self._fail(unit, outcome.error)
                elif not unit.outcome.done():
                    unit.outcome.set_result(outcome)

    async def _transact(self, group: Sequence[_Unit]) -> list[Any]:
        def work(connection: Connection) -> list[Any]:
            outcomes = _perform(connection, group)
            if self._secure is not None and (holds := _holds(group)):
                try:
                    self._secure(connection, holds)
                except StoreError as error:
                    if len(group) == 1:
                        raise
                    raise _RunAlone from error  # the others may still hold theirs
            if self._announce is not None:
                self._announce(connection, [change for unit in group for change in unit.concerns])
            return outcomes

        for _ in range(_TRIES - 1):
            try:
                return await self._database.write(work)
            except DATABASE_ERRORS as error:
                if not is_conflict(error):
                    raise
        return await self._database.write(work)

    def _fail(self, unit: _Unit, error: Exception) -> None:
        if unit.outcome.done():
            return
        if isinstance(error, StoreError):
            # A fresh one for each caller: a raised exception collects the traceback of whom it is raised in.
            fresh = type(error)(str(error))
            fresh.__cause__ = error.__cause__
            unit.outcome.set_exception(fresh)
        elif isinstance(error, DATABASE_ERRORS):
            unit.outcome.set_exception(store_error(error, self._database.where))
        else:
            unit.outcome.set_exception(error)


def _holds(group: Sequence[_Unit]) -> list[Hold]:
    """What must be held at the commit. Who was cancelled has left its block, but its work counts on it."""
    return [hold for unit in group for hold in unit.holds if not hold.is_over or unit.outcome.cancelled()]


def _perform(connection: Connection, group: Sequence[_Unit]) -> list[Any]:
    """Run the units in their order; an outcome for each. Raises what a unit raises if it is the only one."""
    if len(group) == 1:
        return [_do(connection, group[0].work)]
    outcomes: list[Any] = []
    if connection.dialect.name == "postgresql":
        # There a SAVEPOINT costs two round trips for each unit, and failures are rare.
        for work, count in _batches(group):
            try:
                outcomes += [_do(connection, work)] * count
            except Exception as error:  # whatever it is, the transaction is spoilt
                raise _RunAlone from error
        return outcomes
    for work, count in _batches(group):
        try:
            with connection.begin_nested():
                result = _do(connection, work)
        except (StoreError, IntegrityError) as error:
            # The value's own fault: undone by itself, and the transaction is as good as before.
            if count > 1:
                raise _RunAlone from error
            outcomes.append(_Failure(error))
        except Exception as error:  # a full disk and its like, or a bug in one unit
            # SQLite may have rolled the whole transaction back already.
            raise _RunAlone from error
        else:
            outcomes += [result] * count
    return outcomes


def _do(connection: Connection, work: Callable[[Connection], Any] | _Bulk) -> Any:
    if isinstance(work, _Bulk):
        work.perform(connection, work.rows)
        return None
    return work(connection)


def _batches(group: Sequence[_Unit]) -> Iterator[tuple[Callable[[Connection], Any] | _Bulk, int]]:
    """The works in their order, neighbouring bulks of one statement as one, each with how many units it is."""
    bulk: _Bulk | None = None
    rows: list[Any] = []
    count = 0
    for unit in group:
        work = unit.work
        if bulk is not None and not (isinstance(work, _Bulk) and work.perform is bulk.perform):
            yield _Bulk(bulk.perform, rows), count
            bulk, rows, count = None, [], 0
        if isinstance(work, _Bulk):
            bulk = work
            rows.extend(work.rows)
            count += 1
        else:
            yield work, 1
    if bulk is not None:
        yield _Bulk(bulk.perform, rows), count
