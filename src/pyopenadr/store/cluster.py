"""The one connection by which a worker hears of the other workers on its PostgreSQL, and keeps out of their way.

Changes travel by NOTIFY in the transaction that makes them, so they are heard of if and only if they are committed.
Locks are PostgreSQL's advisory locks: they go with the connection, also when the worker is killed. Both use the same
connection on purpose. PostgreSQL hands out what was notified before it says that a statement is done; so whoever has
got a lock has heard of everything that was committed before the lock was given back. What many tasks want is asked for
in one statement, as the writer does with commits.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from pyopenadr.errors import StoreError, StoreUnavailable
from pyopenadr.store.feed import Feed
from pyopenadr.store.hold import HOLDS, Hold
from pyopenadr.store.port import Change

__all__ = ["Cluster"]

log = logging.getLogger(__name__)

_CHANNEL = "pyopenadr"
_LONGEST_NOTE = 7000
"""PostgreSQL takes 7999 bytes."""

_MOST_NOTES = 200
"""Beyond that many, the others are told that everything may have changed."""

_PING_S = 5.0
_PATIENCE_S = 15.0
"""How long to wait for what another worker holds."""

_ASK = """SELECT CASE
    WHEN NOT wanted THEN pg_advisory_unlock(key)
    WHEN NOT pg_try_advisory_lock(key) THEN false
    WHEN pg_try_advisory_xact_lock(~key) THEN true
    ELSE NOT pg_advisory_unlock(key)
END FROM unnest($1::bigint[], $2::boolean[]) AS asked (key, wanted)"""
"""A key is had only if no transaction is under way that was begun by who had it before, see `_HELD`."""

_HELD = """SELECT held.count FROM (
    SELECT count(pg_advisory_xact_lock_shared(~key)) AS locked FROM unnest($1::bigint[]) AS key
) AS fence CROSS JOIN LATERAL (
    SELECT count(*) AS count FROM pg_locks
    WHERE fence.locked >= 0 AND locktype = 'advisory' AND objsubid = 1 AND granted AND pid = $2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (classid::bigint << 32 | objid::bigint) = ANY ($1::bigint[])
) AS held"""
"""First have whoever gets one of the keys from now on wait for the end of this transaction, then look who has them."""


class _Note(msgspec.Struct, array_like=True):
    """What a NOTIFY carries: who tells, and which changes; none stands for any."""

    sender: str
    changes: list[Change] | None


_decoder = msgspec.json.Decoder(_Note)


class Cluster:
    """This worker among those on the same database.

    `connect` makes a connection of asyncpg's and raises OSError if it can't; `where` names the database in messages.
    """

    def __init__(self, connect: Callable[[], Awaitable[Any]], where: str) -> None:
        self._connect = connect
        self._where = where
        self._name = secrets.token_hex(4)
        self._feed: Feed[Change | None] = Feed()
        self._connection: Any = None
        self._epoch = 0
        self._pid = 0
        self._led_in = -1
        self._electing = asyncio.Lock()
        self._wanted: list[tuple[int | None, asyncio.Future[bool]]] = []
        self._returned: list[int] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect and listen.

        Raises:
            OSError: the database can't be reached.
        """
        self._connection = await self._listen()
        self._task = asyncio.create_task(self._run(), name="pyopenadr-store-cluster")

    async def close(self) -> None:
        """Give all locks back and hear nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        connection, self._connection = self._connection, None
        self._forsake()
        if connection is not None:
            connection.terminate() if connection.is_closed() else await connection.close()

    def follow(self, listener: Callable[[Change | None], None]) -> Callable[[], None]:
        """Have `listener` called for each change of another worker, None for any; returns what ends that."""
        return self._feed.subscribe(listener)

    def announce(self, connection: Connection, changes: Sequence[Change]) -> None:
        """Tell the other workers of changes if and when the transaction of `connection` is committed."""
        for note in self._notes(list(dict.fromkeys(changes))):
            connection.exec_driver_sql("SELECT pg_notify($1, $2)", (_CHANNEL, note))

    def _notes(self, changes: list[Change]) -> list[str]:
        notes: list[str] = []
        while changes:
            count = len(changes)
            while len(text := msgspec.json.encode(_Note(self._name, changes[:count]))) > _LONGEST_NOTE and count > 1:
                count = min(count // 2, count * _LONGEST_NOTE // len(text) + 1)
            notes.append(text.decode())
            changes = changes[count:]
            if len(text) > _LONGEST_NOTE or len(notes) > _MOST_NOTES:
                return [msgspec.json.encode(_Note(self._name, None)).decode()]
        return notes

    # --- locks ----------------------------------------------------------------------------------------------------

    async def barrier(self) -> None:
        """Return when the listeners have heard of everything that was committed before this call."""
        await self._ask(None)

    @contextlib.asynccontextmanager
    async def holding(self, key: str) -> AsyncIterator[None]:
        """No other worker holds `key` in this block, and at its begin the listeners have heard of all before it.

        Tasks of one worker do not exclude each other by this. What is written in this block is kept only if the key
        is still held at the commit: else the writing raises StoreUnavailable.

        Raises:
            StoreUnavailable: the database is away, or another worker holds the key for too long.
        """
        hold = Hold(_number(key), self._epoch)
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + _PATIENCE_S, 0.001
        while not await self._ask(hold.number):
            if loop.time() > deadline:
                raise StoreUnavailable(f"database {self._where}: another worker holds {key!r} for long; try again")
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.05)
            hold.epoch = self._epoch
        outer = HOLDS.get()
        HOLDS.set((*outer, hold))
        try:
            yield
        finally:
            HOLDS.set(outer)
            hold.is_over = True
            if hold.epoch == self._epoch:  # else the lock went with its connection
                self._give_back(hold.number)

    def secure(self, connection: Connection, holds: Sequence[Hold]) -> None:
        """Have the keys held until the transaction of `connection` has ended, also if our other connection is lost.

        Raises:
            StoreUnavailable: that was lost before, and the keys with it.
        """
        numbers = sorted({hold.number for hold in holds})
        is_lost = any(hold.epoch != self._epoch for hold in holds)
        if is_lost or connection.exec_driver_sql(_HELD, (numbers, self._pid)).scalar_one() < len(numbers):
            raise StoreUnavailable(f"database {self._where}: the connection was lost during a change; try again")

    async def leads(self) -> bool:
        """Whether this worker is the one that does what only one may do; it stays so while its connection lasts."""
        async with self._electing:
            if self._led_in != self._epoch or self._connection is None:
                try:
                    if not await self._ask(_number("leader")):
                        return False
                except StoreUnavailable:
                    return False
                self._led_in = self._epoch
                log.info("this worker leads")
            return True

    async def _ask(self, number: int | None) -> bool:
        if self._connection is None:
            raise self._away()
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._wanted.append((number, answer))
        self._wake.set()
        try:
            return await answer
        except asyncio.CancelledError:
            # The answer may have come in the very moment in which the caller was told to leave.
            is_granted = answer.done() and not answer.cancelled() and answer.exception() is None and answer.result()
            if is_granted and number is not None:
                self._give_back(number)
            raise

    def _give_back(self, number: int) -> None:
        self._returned.append(number)
        self._wake.set()

    def _away(self) -> StoreError:
        return StoreUnavailable(f"database {self._where} can't be reached; see whether its server runs")

    # --- the connection -------------------------------------------------------------------------------------------

    async def _listen(self) -> Any:
        connection = await self._connect()
        try:
            connection.add_termination_listener(lambda _: self._wake.set())
            await connection.add_listener(_CHANNEL, self._hear)
            self._pid = connection.get_server_pid()
        except BaseException:  # also cancelled: leave no connection behind
            connection.terminate()
            raise
        return connection

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        try:
            note = _decoder.decode(payload)
        except msgspec.MsgspecError:
            log.warning("a NOTIFY on channel %s can't be read; do other programs use it?", _CHANNEL)
            self._feed.publish([None])
            return
        if note.sender != self._name:
            self._feed.publish([None] if note.changes is None else note.changes)

    async def _run(self) -> None:
        pause = 0.1
        while True:
            if self._connection is None:
                try:
                    self._connection = await self._listen()
                except Exception as error:  # noqa: BLE001 - whatever the driver raises: the next attempt may succeed
                    log.debug("database %s: %s", self._where, error)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 2.0)
                    continue
                pause = 0.1
                log.info("database %s is back", self._where)
                self._feed.publish([None])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _PING_S)
            self._wake.clear()
            try:
                await self._round()
            except Exception as error:  # noqa: BLE001 - whatever the driver raises: this connection is of no use any more
                log.warning("database %s can't be reached: %s", self._where, str(error) or type(error).__name__)
                connection, self._connection = self._connection, None
                self._forsake()
                connection.terminate()
                self._feed.publish([None])

    async def _round(self) -> None:
        """Ask for all that is wanted by now, and give back what is not needed any more."""
        wanted, returned = self._wanted, self._returned
        self._wanted, self._returned = [], []
        numbers = [number for number, _ in wanted if number is not None]
        try:
            if self._connection.is_closed():
                raise ConnectionError("the connection was closed")
            got = await self._connection.fetch(
                _ASK,
                [*returned, *numbers],
                [False] * len(returned) + [True] * len(numbers),
                timeout=_PATIENCE_S,
            )
        except BaseException:  # also cancelled: nobody may wait for ever
            self._wanted = [*wanted, *self._wanted]
            raise
        answers = iter(got[len(returned) :])
        for number, answer in wanted:
            granted = True if number is None else bool(next(answers)[0])
            if not answer.done():
                answer.set_result(granted)
            elif granted and number is not None:  # who wanted it has left
                self._give_back(number)

    def _forsake(self) -> None:
        """The connection is gone, and every lock with it."""
        self._epoch += 1
        wanted, self._wanted, self._returned = self._wanted, [], []
        for _, answer in wanted:
            if not answer.done():
                answer.set_exception(self._away())


def _number(key: str) -> int:
    """PostgreSQL's locks have numbers for names."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), signed=True)
