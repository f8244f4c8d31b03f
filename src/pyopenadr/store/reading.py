"""Keeping readings, which come by the million: one statement for many rows, whatever their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import dialect as postgresql

from pyopenadr.store import statement, table
from pyopenadr.store.row import Row

__all__ = ["save_readings"]

_COLUMNS: Final = tuple(column.name for column in table.reading.columns)
_KEY: Final = tuple(column.name for column in table.reading.primary_key.columns)


def _insert_many() -> str:
    """INSERT of columns of values, each one parameter: PostgreSQL takes them four times as fast as rows one by one."""
    types = [column.type.compile(postgresql()) for column in table.reading.columns]  # type: ignore[no-untyped-call]
    arrays = ", ".join(f"${place}::{kind.partition(' COLLATE')[0]}[]" for place, kind in enumerate(types, 1))
    rest = ", ".join(f'"{name}" = excluded."{name}"' for name in _COLUMNS if name not in _KEY)
    into = ", ".join(f'"{name}"' for name in _COLUMNS)
    key = ", ".join(f'"{name}"' for name in _KEY)
    return f"INSERT INTO reading ({into}) SELECT * FROM unnest({arrays}) ON CONFLICT ({key}) DO UPDATE SET {rest}"


_INSERT_MANY: Final = _insert_many()


def save_readings(connection: Connection, rows: Sequence[Row]) -> None:
    """Keep readings, each replacing the one with its key; of several in `rows` the last counts."""
    if connection.dialect.name != "postgresql":
        statement.save(connection, table.reading, rows)
        return
    # One INSERT may touch a row once only; and two workers that touch the same rows in one order can't lock each
    # other out.
    last = {tuple(row[name] for name in _KEY): row for row in rows}
    ordered = [last[key] for key in sorted(last)]
    connection.exec_driver_sql(_INSERT_MANY, tuple([row[name] for row in ordered] for name in _COLUMNS))
