"""A ledger whose process is killed at a moment of the test's choice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import TypeVar

import msgspec

from pyopenadr.clock import FakeClock
from pyopenadr.ven import OpenADRClient
from pyopenadr.ven.state import MemoryLedger
from tests.unit.ven.scripted import ScriptedVtn

R = TypeVar("R", bound=msgspec.Struct)


class MortalLedger:
    """Rows that are safe a turn of the loop after they were put, as in a file.

    The process dies at the first commit after `life` of them: nothing is written any more, and whoever waits for that
    waits for ever, until the process is `buried`. `commits` counts them; `grave` is what a new process finds.
    """

    def __init__(self, grave: MemoryLedger | None = None, life: int | None = None) -> None:
        self.grave = grave if grave is not None else MemoryLedger()
        self.commits = 0
        self.dead = False
        self.buried = False
        self._life = life
        self._pending: list[Callable[[], None]] = []
        self._writer: asyncio.Task[None] | None = None

    def die(self) -> None:
        """The process dies now."""
        self.dead, self._life = True, self.commits

    def load(self, kind: str, row: type[R]) -> dict[str, R]:
        return self.grave.load(kind, row)

    def put(self, kind: str, name: str, row: msgspec.Struct) -> None:
        self._collect(partial(self.grave.put, kind, name, _as_it_is(row)))

    def drop(self, kind: str, name: str) -> None:
        self._collect(partial(self.grave.drop, kind, name))

    def record(self, r_id: str, at: datetime, row: msgspec.Struct) -> None:
        self._collect(partial(self.grave.record, r_id, at, _as_it_is(row)))

    async def recorded(self, r_id: str, start: datetime, end: datetime, row: type[R], most: int) -> list[R]:
        await self.kept()
        return await self.grave.recorded(r_id, start, end, row, most)

    async def recorded_before(self, r_id: str, at: datetime, row: type[R]) -> R | None:
        await self.kept()
        return await self.grave.recorded_before(r_id, at, row)

    def trim(self, r_id: str, before: datetime, *, least: int, most: int) -> None:
        self._collect(partial(self.grave.trim, r_id, before, least=least, most=most))

    def _collect(self, write: Callable[[], None]) -> None:
        self._pending.append(write)
        self._begin()

    def _begin(self) -> None:
        if self._writer is None or self._writer.done():
            try:
                self._writer = asyncio.get_running_loop().create_task(self._write())
            except RuntimeError:
                return

    async def _write(self) -> None:
        while self._pending:
            if self.commits == self._life:
                self.dead = True
                await asyncio.get_running_loop().create_future()
            batch, self._pending = self._pending, []
            for write in batch:
                write()
            self.commits += 1
            await asyncio.sleep(0)

    async def kept(self) -> None:
        if self.buried:
            return
        if self._pending:
            self._begin()
        if self._writer is not None:
            await asyncio.shield(self._writer)

    async def close(self) -> None:
        await self.kept()


def _as_it_is(row: R) -> R:
    """The row as bytes would keep it, so that what changes later is not written before its time."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=type(row))


@asynccontextmanager
async def mortal(client: OpenADRClient, ledger: MortalLedger, clock: FakeClock) -> AsyncIterator[None]:
    """The client in auto mode, which may hang for ever because its process is dead."""
    task = asyncio.create_task(client.run())
    try:
        await clock.settle()
        yield
        assert not task.done(), "auto mode must not end by itself"
    finally:
        ledger.buried = True
        client._parts.session.transport = ScriptedVtn()  # the dead send nothing, and nobody hears them
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for it in others:
                it.cancel()
            await asyncio.wait(others)
