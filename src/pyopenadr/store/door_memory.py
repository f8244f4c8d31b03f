"""What the VTN's door keeps, in plain dictionaries: a part of `MemoryStore`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from pyopenadr.store import row
from pyopenadr.store.port import Claim

__all__ = ["MemoryDoor"]


class MemoryDoor(ABC):
    """The part of a store in memory that is about who may come in."""

    def __init__(self) -> None:
        super().__init__()
        self._claims: dict[tuple[str, str], int] = {}

    @abstractmethod
    def _check_open(self) -> None: ...

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        self._check_open()
        wanted = [((each.scope, each.name), row.to_micros(each.expires_at, "expires_at")) for each in claims]
        first = []
        for key, expires_at in wanted:
            first.append(key not in self._claims)
            self._claims.setdefault(key, expires_at)
        return first

    async def forget_claims(self, now: datetime) -> int:
        self._check_open()
        before = row.to_micros(now, "now")
        old = [key for key, expires_at in self._claims.items() if expires_at < before]
        for key in old:
            del self._claims[key]
        return len(old)
