"""What a store has to say about other workers: with a cluster where there may be some, and without where not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from pyopenadr.errors import StoreError
from pyopenadr.store.port import Change

__all__ = ["Sharing"]


class Sharing:
    """The part of a `Store` about other workers. Nothing is said to nobody, and who is alone leads."""

    _cluster: Any = None
    """A `Cluster` while a store that can be shared is open. It is not named, because it needs a database's packages."""

    @property
    def is_shared(self) -> bool:
        return False

    async def occupy(self) -> None:
        return None

    def follow(self, listener: Callable[[Change | None], None]) -> Callable[[], None]:
        if not self.is_shared:
            return _nothing
        end: Callable[[], None] = self._open_cluster().follow(listener)
        return end

    async def barrier(self) -> None:
        if self.is_shared:
            await self._open_cluster().barrier()

    def holding(self, key: str) -> AbstractAsyncContextManager[None]:
        if not self.is_shared:
            return nullcontext()
        block: AbstractAsyncContextManager[None] = self._open_cluster().holding(key)
        return block

    async def leads(self) -> bool:
        return not self.is_shared or bool(self._cluster is not None and await self._cluster.leads())

    async def tell(self, changes: Sequence[Change]) -> None:
        return None

    def _open_cluster(self) -> Any:
        if self._cluster is None:
            raise StoreError("the store is not open; await its open() first")
        return self._cluster


def _nothing() -> None:
    """What ends a subscription to nothing."""
