"""What a client must not forget: rows of several kinds, kept in memory, or in a file that outlives the process.

Each part of the client puts the rows of what it knows, and loads them when the client is made. What is put without
an `await` in between is kept as a whole or not at all.

Beside the rows there is a record of what was measured: too long to be held in memory, and asked for by time.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

import msgspec

from pyopenadr.errors import ConfigError

__all__ = ["Ledger", "MemoryLedger", "row_of", "stamp_of"]

R = TypeVar("R", bound=msgspec.Struct)


class Ledger(Protocol):
    """Rows, each under its kind and a name that is unique within the kind."""

    def load(self, kind: str, row: type[R]) -> dict[str, R]:
        """All rows of a kind by their name, in the order in which they were first put."""
        ...

    def put(self, kind: str, name: str, row: msgspec.Struct) -> None:
        """Keep a row, in place of the one of that name. Never waits."""
        ...

    def drop(self, kind: str, name: str) -> None:
        """Forget a row, if it is there. Never waits."""
        ...

    def record(self, r_id: str, at: datetime, row: msgspec.Struct) -> None:
        """Keep what was measured of a data point at a time, in place of what there is of that time. Never waits."""
        ...

    async def recorded(self, r_id: str, start: datetime, end: datetime, row: type[R], most: int) -> list[R]:
        """What was measured from `start` until before `end`, the oldest first, but no more than the first `most`.

        Raises:
            StoreError: it can't be read.
        """
        ...

    async def recorded_before(self, r_id: str, at: datetime, row: type[R]) -> R | None:
        """The last one before `at`.

        Raises:
            StoreError: it can't be read.
        """
        ...

    def trim(self, r_id: str, before: datetime, *, least: int, most: int) -> None:
        """Forget what was measured before a time, except for the last `least`, and all but the last `most`."""
        ...

    async def kept(self) -> None:
        """Wait until everything that was put and dropped so far is safe."""
        ...

    async def close(self) -> None:
        """`kept`, and let go of the file."""
        ...


class MemoryLedger:
    """Rows that end with the process."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, bytes]] = {}
        self._records: dict[str, tuple[list[int], list[bytes]]] = {}

    def load(self, kind: str, row: type[R]) -> dict[str, R]:
        return {name: row_of(data, row, f"{kind} {name}") for name, data in self._rows.get(kind, {}).items()}

    def put(self, kind: str, name: str, row: msgspec.Struct) -> None:
        self._rows.setdefault(kind, {})[name] = msgspec.msgpack.encode(row)

    def drop(self, kind: str, name: str) -> None:
        self._rows.get(kind, {}).pop(name, None)

    def record(self, r_id: str, at: datetime, row: msgspec.Struct) -> None:
        times, rows = self._records.setdefault(r_id, ([], []))
        stamp = stamp_of(at)
        index = bisect_left(times, stamp)
        if index < len(times) and times[index] == stamp:
            rows[index] = msgspec.msgpack.encode(row)
        else:
            times.insert(index, stamp)
            rows.insert(index, msgspec.msgpack.encode(row))

    async def recorded(self, r_id: str, start: datetime, end: datetime, row: type[R], most: int) -> list[R]:
        times, rows = self._records.get(r_id, ([], []))
        first, last = bisect_left(times, stamp_of(start)), bisect_left(times, stamp_of(end))
        return [row_of(data, row, f"the record of {r_id}") for data in rows[first : min(last, first + most)]]

    async def recorded_before(self, r_id: str, at: datetime, row: type[R]) -> R | None:
        times, rows = self._records.get(r_id, ([], []))
        index = bisect_left(times, stamp_of(at))
        return row_of(rows[index - 1], row, f"the record of {r_id}") if index else None

    def trim(self, r_id: str, before: datetime, *, least: int, most: int) -> None:
        times, rows = self._records.get(r_id, ([], []))
        old = min(bisect_left(times, stamp_of(before)), max(0, len(times) - least))
        count = max(old, len(times) - most)
        del times[:count], rows[:count]

    async def kept(self) -> None:
        return

    async def close(self) -> None:
        return


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stamp_of(at: datetime) -> int:
    """The instant in microseconds, by which records are ordered."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def row_of(data: bytes, row: type[R], where: str) -> R:
    """The row that was written as `data`.

    Raises:
        ConfigError: it can't be read.
    """
    try:
        return msgspec.msgpack.decode(data, type=row)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ConfigError(f"the client's state is damaged at {where} ({error}): move it away to begin anew") from error
