"""Keeps what a worker has in memory the same as what the store holds, whoever changes it."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from pyopenadr.clock import Clock
from pyopenadr.errors import StoreError
from pyopenadr.store.port import Change, Store, Topic

__all__ = ["Replica"]

log = logging.getLogger("pyopenadr.vtn")


class Replica(ABC):
    """What is in memory of the store, and what of it other workers have changed since.

    Other workers' changes are noted when they are heard of, and read when they matter: soon by `keep_up`, and before a
    message is answered by `catch_up`. Where the store is not shared, nothing is ever heard.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self._changed: dict[Topic, set[str]] = {Topic.VEN: set(), Topic.EVENT: set()}
        self._all_changed = True
        self._stirred = asyncio.Event()
        self._taking_up = asyncio.Lock()
        self._unfollow: Callable[[], None] | None = None

    async def start(self) -> None:
        """Open the store and take up what it holds."""
        await self.store.open()
        await self.store.occupy()
        self._unfollow = self.store.follow(self._hear)
        self._all_changed = True
        await self._take_up()

    async def stop(self) -> None:
        """Close the store."""
        if self._unfollow is not None:
            self._unfollow()
            self._unfollow = None
        await self.store.close()

    async def catch_up(self) -> None:
        """Take up everything that other workers have committed before this call.

        Raises:
            StoreUnavailable: nobody can know, because the database is away.
        """
        if self.store.is_shared:
            await self.store.barrier()
            await self._take_up()

    async def keep_up(self) -> None:
        """Wait until something has changed, and take it up."""
        await self._stirred.wait()
        self._stirred.clear()
        try:
            await self._take_up()
        except StoreError as error:
            log.warning("what other workers do is not known: %s", error)
            await self.clock.sleep(1)

    @asynccontextmanager
    async def alone(self, lock: asyncio.Lock, key: str) -> AsyncIterator[None]:
        """A block that runs once at a time on all workers, and knows what those before it have done."""
        async with lock, self.store.holding(key):
            await self._take_up()
            yield

    def _hear(self, change: Change | None) -> None:
        if change is None:
            self._all_changed = True
            self._doubt_all()
        elif change.topic in self._changed:
            self._changed[change.topic].add(change.key)
        self._stirred.set()
        if change is not None:
            self._heed(change)

    async def _take_up(self) -> None:
        if not (self._all_changed or any(self._changed.values()) or self._taking_up.locked()):
            return
        # Also where another task is at it: what it reads is only known when it has done.
        async with self._taking_up:
            changed, self._changed = self._changed, {topic: set() for topic in self._changed}
            everything, self._all_changed = self._all_changed, False
            try:
                if everything or changed[Topic.VEN]:
                    await self._take_vens(None if everything else changed[Topic.VEN])
                if everything or changed[Topic.EVENT]:
                    await self._take_events(None if everything else changed[Topic.EVENT])
            except BaseException:  # also cancelled: it is still to be done
                self._all_changed = self._all_changed or everything
                for topic, keys in changed.items():
                    self._changed[topic] |= keys
                self._stirred.set()
                raise

    def _again(self, topic: Topic, key: str) -> None:
        """This was changed here while it was read, so what was read may be old."""
        self._changed[topic].add(key)
        self._stirred.set()

    @abstractmethod
    async def _take_vens(self, ven_ids: Collection[str] | None) -> None:
        """Read these VENs, or all."""

    @abstractmethod
    async def _take_events(self, event_ids: Collection[str] | None) -> None:
        """Read these events, or all that are open."""

    @abstractmethod
    def _doubt_all(self) -> None:
        """Rely on nothing that is in memory."""

    @abstractmethod
    def _heed(self, change: Change) -> None:
        """Note a change of another worker that need not be read."""
