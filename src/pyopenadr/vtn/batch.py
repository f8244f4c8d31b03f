"""Collects what is to be kept and writes it together, so that nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from pyopenadr.errors import OpenADRError

__all__ = ["Batch"]

log = logging.getLogger("pyopenadr.vtn")

T = TypeVar("T")


class Batch(Generic[T]):
    """A queue with one writer.

    `save(items)` is called with all that has come within `pause_s` seconds. While it fails, at most `most` items are
    kept and later ones are dropped and counted in `dropped`. What has not been saved is lost if the process is killed.
    """

    def __init__(
        self,
        save: Callable[[Sequence[T]], Awaitable[None]],
        what: str,
        *,
        pause_s: float = 0.1,
        most: int = 20_000,
    ) -> None:
        self.dropped = 0
        self._save = save
        self._what = what
        self._pause_s = pause_s
        self._most = most
        self._items: list[T] = []
        self._some = asyncio.Event()
        self._saving = asyncio.Lock()
        self._saved = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many items wait to be saved."""
        return len(self._items)

    def add(self, item: T) -> None:
        """Have an item written soon."""
        if len(self._items) >= self._most:
            self.dropped += 1
            return
        self._items.append(item)
        self._some.set()

    async def flush(self) -> None:
        """Write what is there now.

        Raises:
            StoreError: it could not be saved; it stays in the queue.
        """
        async with self._saving:
            items, self._items = self._items, []
            self._some.clear()
            if not items:
                return
            try:
                await self._save(items)
            except BaseException:  # whatever it was: nothing is given up but what is too much
                self._items = items + self._items
                self._some.set()
                raise
            before, self._saved = self._saved, asyncio.Event()
            before.set()

    async def saved(self, timeout_s: float) -> None:
        """Wait until something has been saved, or for `timeout_s` seconds."""
        # Not wait_for: that may swallow a cancellation that comes together with the event.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._saved.wait()

    def wake(self) -> None:
        """Let everybody go who waits in `saved`."""
        before, self._saved = self._saved, asyncio.Event()
        before.set()

    async def run(self) -> None:
        """Write for ever; failures are logged, and tried again after a second."""
        while True:
            await self._some.wait()
            await asyncio.sleep(self._pause_s)
            try:
                await self.flush()
            except OpenADRError:
                log.exception("%s could not be saved; trying again", self._what)
                await asyncio.sleep(1.0)
