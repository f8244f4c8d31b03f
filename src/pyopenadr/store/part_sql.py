"""What a part of the store in a database has of the whole: its reading and its writing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Select

from pyopenadr.store.port import Change
from pyopenadr.store.row import Found
from pyopenadr.store.writer import Writer

__all__ = ["SqlPart"]

T = TypeVar("T")


class SqlPart(ABC):
    """A part of `pyopenadr.store.sql.SqlStore`, which has the connection."""

    @abstractmethod
    async def _list(self, query: Select[Any], read: Callable[[Found], T]) -> list[T]: ...

    @abstractmethod
    async def _first(self, query: Select[Any], read: Callable[[Found], T]) -> T | None: ...

    @abstractmethod
    async def _write(self, work: Callable[[Connection], T], *concerns: Change) -> T: ...

    @abstractmethod
    def _open_writer(self) -> Writer: ...
