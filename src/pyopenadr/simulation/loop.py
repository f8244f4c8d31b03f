"""Time for a whole simulation: an event loop whose time runs at any speed, or jumps to whatever is due next.

The machine may be too slow for the speed that is asked for. Then the loop's time falls behind in place of waits that
end too late: what happens is the same at every speed, only when it is seen differs.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import time
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pyopenadr.clock import Clock

__all__ = ["LoopClock", "SimulationLoop", "SkewedClock", "run_at_speed"]

T = TypeVar("T")

INSTANTLY = float("inf")
"""As a speed: nothing is waited for."""


class _Pace(selectors.DefaultSelector):
    """Where the loop waits; here its time passes."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self.now = 0.0
        self._speed = speed
        self._zero = time.monotonic()

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(None)  # nothing will ever be due: only the outside can go on
        # Never the same instant twice: far from zero, what is due at it would not be seen as past.
        self.now = math.nextafter(self.now, INSTANTLY)
        if timeout <= 0.0:
            return super().select(0)
        wait = 0.0
        if self._speed != INSTANTLY:
            wait = max(0.0, (self.now + timeout) / self._speed - (time.monotonic() - self._zero))
        came = super().select(wait)
        if came and wait:
            passed = (time.monotonic() - self._zero) * self._speed
            self.now = min(self.now + timeout, max(self.now, passed))
        elif not came:
            self.now += timeout
        return came


class SimulationLoop(asyncio.SelectorEventLoop):
    """An event loop whose time runs `speed` times as fast as the machine's; with infinity it waits for nothing.

    Every wait in it goes by that time. Threads and other processes know nothing of it, so that nothing which matters
    may be left to them.
    """

    def __init__(self, speed: float = INSTANTLY) -> None:
        self._pace = _Pace(speed)
        super().__init__(self._pace)
        if not speed > 0.0:
            self.close()
            raise ValueError(f"speed must be positive, not {speed}")

    def time(self) -> float:
        """Seconds of simulated time since the loop was made."""
        return self._pace.now


class LoopClock:
    """A clock that shows the time of the running event loop, which is `start` at the moment it is made."""

    def __init__(self, start: datetime) -> None:
        self._loop = asyncio.get_running_loop()
        self._start = start
        self._zero = self._loop.time()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._loop.time() - self._zero)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class SkewedClock:
    """Another clock that is wrong by `offset`; it runs as fast."""

    def __init__(self, clock: Clock, offset: timedelta) -> None:
        self._clock = clock
        self.offset = offset

    def now(self) -> datetime:
        return self._clock.now() + self.offset

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


def run_at_speed(work: Coroutine[Any, Any, T], speed: float) -> T:
    """Run a coroutine in a loop of its own whose time runs at `speed`, to its end."""
    with asyncio.Runner(loop_factory=lambda: SimulationLoop(speed)) as runner:
        return runner.run(work)
