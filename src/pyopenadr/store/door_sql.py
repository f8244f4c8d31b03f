"""What the VTN's door keeps, in a database: a part of `SqlStore`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, delete

from pyopenadr.store import row, statement, table
from pyopenadr.store.port import Change, Claim

__all__ = ["SqlDoor"]

T = TypeVar("T")


class SqlDoor(ABC):
    """The part of a store in a database that is about who may come in."""

    @abstractmethod
    async def _write(self, work: Callable[[Connection], T], *concerns: Change) -> T: ...

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        rows = [
            {"scope": each.scope, "name": each.name, "expires_at": row.to_micros(each.expires_at, "expires_at")}
            for each in claims
        ]

        def work(connection: Connection) -> list[bool]:
            first = statement.insert_first(connection.dialect.name, table.claim)
            return [connection.execute(first, each).rowcount == 1 for each in rows]

        return await self._write(work)

    async def forget_claims(self, now: datetime) -> int:
        old = delete(table.claim).where(table.claim.c.expires_at < row.to_micros(now, "now"))
        return await self._write(lambda connection: connection.execute(old).rowcount)
