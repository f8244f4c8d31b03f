"""What was measured, kept for a while: the VTN may ask for it later, and statistics are made of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta

from pyopenadr.clock import Clock
from pyopenadr.model import Reading
from pyopenadr.model.time import as_utc
from pyopenadr.ven.state import Ledger

__all__ = ["LEAST", "History"]

LEAST = 100
"""So many readings of a data point are kept however old they are (2.0b rule 510)."""

_TRIM_EVERY = 100


class History:
    """The readings of each data point, by time: those of the last `age`, and `most` of them at most.

    It is the VEN's own and has nothing to do with who asked for what, so it outlives requests and registrations.
    """

    def __init__(self, ledger: Ledger, clock: Clock, *, age: timedelta, most: int) -> None:
        self._ledger = ledger
        self._clock = clock
        self._age = age
        self._most = most
        self._counts: Counter[str] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self) -> None:
        """From here on this loop is the one that keeps things; other threads hand them over to it."""
        self._loop = asyncio.get_running_loop()

    def add(self, reading: Reading) -> None:
        """Keep it, in place of the one of that time. May be called from any thread; never waits.

        Raises:
            ModelError: nobody knows when it was.
        """
        at = as_utc(reading.start)
        loop = self._loop
        if loop is None or not loop.is_running() or _is_running_here(loop):
            self._keep(reading, at)
        else:
            loop.call_soon_threadsafe(self._keep, reading, at)

    def _keep(self, reading: Reading, at: datetime) -> None:
        r_id = reading.r_id
        self._ledger.record(r_id, at, reading)
        if self._counts[r_id] % _TRIM_EVERY == 0:
            self._ledger.trim(r_id, self._clock.now() - self._age, least=LEAST, most=self._most)
        self._counts[r_id] += 1

    async def between(self, r_id: str, start: datetime, end: datetime, most: int | None = None) -> list[Reading]:
        """The readings that begin from `start` until before `end`, the oldest first, and only the first `most`.

        Raises:
            StoreError: they can't be read.
        """
        return await self._ledger.recorded(r_id, start, end, Reading, most if most is not None else self._most)

    async def before(self, r_id: str, at: datetime) -> Reading | None:
        """The last reading that begins before `at`.

        Raises:
            StoreError: it can't be read.
        """
        return await self._ledger.recorded_before(r_id, at, Reading)


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
