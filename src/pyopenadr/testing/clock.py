"""A clock that stands still until the test moves it, and waits for handlers that run in threads."""

from __future__ import annotations

import asyncio
import threading
import time

from pyopenadr.clock import FakeClock

__all__ = ["StillClock"]

_HANDLER = "pyopenadr handler"
_STEP_S = 0.001


class StillClock(FakeClock):
    """A `FakeClock` for code with plain functions as handlers: these run in threads, which know no event loop.

    Before time moves on, handlers that are running may end; one that still runs after `patience_s` seconds of the
    machine's clock is left to itself, because it may wait for this clock to move.
    """

    patience_s = 1.0

    async def settle(self, rounds: int = 50) -> None:
        """Let every task and every handler in a thread do what it can without time passing."""
        until = time.monotonic() + self.patience_s
        await super().settle(rounds)
        while _busy() and time.monotonic() < until:
            await asyncio.sleep(_STEP_S)
            await super().settle(rounds)


def _busy() -> bool:
    """Whether a thread is at work that tells the event loop when it has ended."""
    return any(thread.name == _HANDLER for thread in threading.enumerate())
