"""Ending in order when the user, or the system, says so."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable

__all__ = ["on_interrupt"]


def on_interrupt(stop: Callable[[], object]) -> None:
    """Have `stop` called in the running loop at Ctrl-C and at SIGTERM, in the place of an exception."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in a loop
            loop.add_signal_handler(number, stop)
