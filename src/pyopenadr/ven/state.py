"""What a client must not forget: rows of several kinds, kept in memory, or in a file that outlives the process.

Each part of the client puts the rows of what it knows, and loads them when the client is made. What is put without
an `await` in between is kept as a whole or not at all.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import msgspec

from pyopenadr.errors import ConfigError

__all__ = ["Ledger", "MemoryLedger", "row_of"]

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

    def load(self, kind: str, row: type[R]) -> dict[str, R]:
        return {name: row_of(data, row, f"{kind} {name}") for name, data in self._rows.get(kind, {}).items()}

    def put(self, kind: str, name: str, row: msgspec.Struct) -> None:
        self._rows.setdefault(kind, {})[name] = msgspec.msgpack.encode(row)

    def drop(self, kind: str, name: str) -> None:
        self._rows.get(kind, {}).pop(name, None)

    async def kept(self) -> None:
        return

    async def close(self) -> None:
        return


def row_of(data: bytes, row: type[R], where: str) -> R:
    """The row that was written as `data`.

    Raises:
        ConfigError: it can't be read.
    """
    try:
        return msgspec.msgpack.decode(data, type=row)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ConfigError(f"the client's state is damaged at {where} ({error}): move it away to begin anew") from error
