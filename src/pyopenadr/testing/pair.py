"""A VTN with VENs in one process: no network, no database, no waiting, and every fault a network can have."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pyopenadr.errors import ConfigError
from pyopenadr.model import Event
from pyopenadr.testing.clock import StillClock
from pyopenadr.testing.recorder import Recorder
from pyopenadr.transport.memory import FaultHook, MemoryTransport
from pyopenadr.transport.record import RecordingTransport
from pyopenadr.ven.client import OpenADRClient
from pyopenadr.vtn.server import OpenADRServer

__all__ = ["Pair"]

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
ADDRESS = "http://localhost"


class Pair:
    """A real `OpenADRServer` and a real `OpenADRClient` that talk in memory, on a clock that stands still.

    Enter it with `async with`. Then the VEN is registered and polls, and `advance` lets time pass: everything that is
    due in that time happens, at its own instant, before `advance` returns. Set handlers before you enter, or at any
    time later.

    Attributes:
        vtn: the server. ven: the first client; `vens` has all by name.
        clock: the clock of all of them. recorder: every message there was.
        fault: what goes wrong with requests: None, or a function of path and body that returns a `Fault` or None.

    Args:
        start: the instant at which the clock stands in the beginning.
        clock: a clock of your own in place of one that stands at `start`.
        ven: settings of the first VEN, as for `OpenADRClient`.
        vtn: settings of the VTN, as for `OpenADRServer`.
        ven_name: the name of the first VEN.
        seed: what the VENs' random draws come from, so that each run is the same; the VTN's IDs are new each time.
    """

    def __init__(
        self,
        *,
        start: datetime = START,
        clock: StillClock | None = None,
        ven: dict[str, Any] | None = None,
        vtn: dict[str, Any] | None = None,
        ven_name: str = "ven",
        seed: int = 0,
    ) -> None:
        self.clock = clock if clock is not None else StillClock(start)
        self.recorder = Recorder()
        self.fault: FaultHook | None = None
        self._random = random.Random(seed)
        self.vtn = OpenADRServer(**{"vtn_id": "vtn", "clock": self.clock, **(vtn or {})})
        self.vens: dict[str, OpenADRClient] = {}
        self._running: list[asyncio.Task[None]] = []
        self._entered = False
        self.ven = self.add_ven(ven_name, **(ven or {}))

    def add_ven(self, ven_name: str, client: Callable[..., OpenADRClient] = OpenADRClient, **settings: Any) -> Any:
        """One more VEN at the same VTN. `client` makes it: `OpenADRClient`, or a subclass of yours.

        Raises:
            ConfigError: there is one with that name.
        """
        if ven_name in self.vens:
            raise ConfigError(f"there is a VEN {ven_name!r} already: give each its own name")
        memory = MemoryTransport(self.vtn.handle, fault=self._fault, clock=self.clock)
        transport = RecordingTransport(memory, self.recorder.keep, who=ven_name, clock=self.clock)
        given = {"transport": transport, "clock": self.clock, "random": self._random, "jitter": 0.0, **settings}
        made = client(ven_name, ADDRESS, **given)
        self.vens[ven_name] = made
        if self._entered:
            self._start(made)
        return made

    def _fault(self, path: str, body: bytes) -> Any:
        return self.fault(path, body) if self.fault is not None else None

    def _start(self, ven: OpenADRClient) -> None:
        self._running.append(asyncio.get_running_loop().create_task(ven.run(), name=f"VEN {ven.ven_name}"))

    async def __aenter__(self) -> Self:
        await self.vtn.start()
        self._entered = True
        for ven in self.vens.values():
            self._start(ven)
        await self.clock.settle()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._entered = False
        for ven in self.vens.values():
            await ven.close()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running.clear()
        await self.vtn.stop()

    async def advance(self, step: timedelta | float | None = None, **parts: float) -> None:
        """Let time pass: `advance(timedelta(minutes=1))`, `advance(60)` (seconds) or `advance(minutes=1)`."""
        if (step is None) == (not parts):
            raise ConfigError("say how long: advance(seconds), advance(timedelta(…)) or advance(minutes=…)")
        await self.clock.advance(timedelta(**parts) if step is None else step)

    async def until(
        self, holds: Callable[[], object], *, within: timedelta | float = 3600.0, step: float = 1.0
    ) -> None:
        """Let time pass until `holds()` is true, looking every `step` seconds.

        Raises:
            TimeoutError: it is not, within that time of the clock (seconds, if a number).
        """
        limit = within if isinstance(within, timedelta) else timedelta(seconds=within)
        end = self.clock.now() + limit
        await self.clock.settle()
        while not holds():
            if self.clock.now() >= end:
                raise TimeoutError(f"it did not come true within {limit} of the clock")
            await self.clock.advance(step)

    async def event(
        self, *values: float, minutes: float = 60.0, after: timedelta = timedelta(0), **fields: Any
    ) -> Event:
        """Publish an event in short: a SIMPLE signal with these levels, each for so many `minutes`, which begins
        `after` from now; `fields` as for `OpenADRServer.add_event`. The VENs hear of it with their next poll.
        """
        step = timedelta(minutes=minutes)
        intervals = [(step, value) for value in values or (1.0,)]
        return await self.vtn.add_event(start=self.clock.now() + after, intervals=intervals, **fields)
