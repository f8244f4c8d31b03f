"""A ledger whose process is killed at a moment of the test's choice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
        self._pending: list[tuple[str, str, msgspec.Struct | None]] = []
        self._writer: asyncio.Task[None] | None = None

    def load(self, kind: str, row: type[R]) -> dict[str, R]:
        return self.grave.load(kind, row)

    def put(self, kind: str, name: str, row: msgspec.Struct) -> None:
        # As bytes at once, so that what changes later is not written before its time.
        self._collect(kind, name, msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=type(row)))

    def drop(self, kind: str, name: str) -> None:
        self._collect(kind, name, None)

    def _collect(self, kind: str, name: str, row: msgspec.Struct | None) -> None:
        self._pending.append((kind, name, row))
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
            for kind, name, row in batch:
                if row is None:
                    self.grave.drop(kind, name)
                else:
                    self.grave.put(kind, name, row)
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
