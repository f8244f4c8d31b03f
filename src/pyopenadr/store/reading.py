"""Keeping readings, which come by the million: statements for many rows as they are, without anything in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import dialect as postgresql

from pyopenadr.store import table
from pyopenadr.store.row import READING_COLUMNS

__all__ = ["save_readings"]

_KEY: Final = 4
"""How many of the columns are the key."""


def _upsert(source: str) -> str:
    """INSERT of what `source` gives, each row in the place of the one with its key."""
    key = ", ".join(f'"{name}"' for name in READING_COLUMNS[:_KEY])
    rest = ", ".join(f'"{name}" = excluded."{name}"' for name in READING_COLUMNS[_KEY:])
    into = ", ".join(f'"{name}"' for name in READING_COLUMNS)
    return f"INSERT INTO reading ({into}) {source} ON CONFLICT ({key}) DO UPDATE SET {rest}"


def _unnest() -> str:
    """Columns of values, each one parameter: PostgreSQL takes them four times as fast as rows one by one."""
    columns = [table.reading.columns[name] for name in READING_COLUMNS]
    types = [column.type.compile(postgresql()) for column in columns]  # type: ignore[no-untyped-call]
    arrays = ", ".join(f"${place}::{kind.partition(' COLLATE')[0]}[]" for place, kind in enumerate(types, 1))
    return f"SELECT * FROM unnest({arrays})"


_BY_COLUMNS: Final = _upsert(_unnest())
_BY_ROWS: Final = _upsert(f"VALUES ({', '.join('?' * len(READING_COLUMNS))})")


def save_readings(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Keep readings as `reading_to_values` gives them, each in the place of the one with its key; the last counts."""
    if connection.dialect.name != "postgresql":
        connection.exec_driver_sql(_BY_ROWS, list(rows))
        return
    # One INSERT may touch a row once only; and two workers that touch the same rows in one order can't lock each
    # other out.
    last = {row[:_KEY]: row for row in rows}
    connection.exec_driver_sql(_BY_COLUMNS, tuple(map(list, zip(*[last[key] for key in sorted(last)], strict=True))))
