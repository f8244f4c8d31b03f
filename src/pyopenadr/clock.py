"""Time as a part that can be exchanged: the system's clock, a faster one for demonstrations, a still one for tests.

Everything that runs (`ven`, `vtn`, `transport`) asks its `Clock` for the time and for its waits. The rules
(`model`, `v2`) know no clock at all: instants are given to them.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["AcceleratedClock", "Clock", "FakeClock", "SystemClock"]


class Clock(Protocol):
    """What a clock can do."""

    def now(self) -> datetime:
        """The present instant, aware and in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait until `seconds` of this clock's time have passed; zero or less only yields to other tasks."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class AcceleratedClock:
    """A clock that runs `factor` times faster than the machine's, from `start` on (default: the present)."""

    def __init__(self, factor: float, start: datetime | None = None) -> None:
        if factor <= 0:
            raise ValueError(f"factor must be positive, not {factor}")
        self._factor = factor
        self._start = start if start is not None else datetime.now(UTC)
        self._zero = time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=(time.monotonic() - self._zero) * self._factor)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self._factor)


class FakeClock:
    """A clock that stands still until the test moves it with `advance`."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("start must be aware: give it a time zone, for example UTC")
        self._now = start.astimezone(UTC)
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + timedelta(seconds=seconds), next(self._order), woken))
        await woken

    async def advance(self, step: timedelta | float) -> None:
        """Move on by `step` (seconds, if a number), waking every sleeper at its own instant, in order."""
        target = self._now + (step if isinstance(step, timedelta) else timedelta(seconds=step))
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            self._now = max(self._now, self._sleepers[0][0])
            # All of one instant together: settling is what takes time.
            while self._sleepers and self._sleepers[0][0] <= self._now:
                _, _, woken = heapq.heappop(self._sleepers)
                if not woken.done():
                    woken.set_result(None)
            await self.settle()
        self._now = target
        await self.settle()

    async def settle(self, rounds: int = 50) -> None:
        """Let every task that can run without time passing do so."""
        for _ in range(rounds):
            await asyncio.sleep(0)
