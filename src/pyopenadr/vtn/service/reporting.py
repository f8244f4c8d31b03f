"""What VENs can report and have been asked for, kept in memory: every report that comes is judged by it."""

from __future__ import annotations

from typing import Final

import msgspec

from pyopenadr.model import Capability
from pyopenadr.store.port import Source, Store, StoredRequest

__all__ = ["Reporting", "Reportings"]

_MOST: Final = 20_000
"""How many VENs are kept at most; one takes about 2 kB."""


class Reporting(msgspec.Struct, frozen=True):
    """What a VEN can report, and the reports that it has been asked for."""

    capabilities: tuple[Capability, ...]
    requests: tuple[StoredRequest, ...]


class Reportings:
    """Those of the VENs that reported lately, until the store holds something else."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[str, Reporting] = {}
        self._reading: dict[str, object] = {}

    async def of(self, ven_id: str) -> Reporting:
        """That of a VEN, read from the store if need be."""
        kept = self._kept.get(ven_id)
        if kept is not None:
            return kept
        mark = self._reading[ven_id] = object()
        try:
            found = Reporting(
                tuple(await self._store.list_capabilities(ven_id, Source.VEN)),
                tuple(await self._store.list_requests(ven_id, Source.VEN)),
            )
        finally:
            is_last = self._reading.get(ven_id) is mark  # else something has changed, and this may be old
            if is_last:
                del self._reading[ven_id]
        if is_last:
            if len(self._kept) >= _MOST:
                self._kept.popitem()  # the newest: VENs report in turns, so the oldest is wanted next
            self._kept[ven_id] = found
        return found

    def forget(self, ven_id: str | None) -> None:
        """The store holds something else of that VEN, or of any."""
        if ven_id is None:
            self._kept.clear()
            self._reading.clear()
        else:
            self._kept.pop(ven_id, None)
            self._reading.pop(ven_id, None)
