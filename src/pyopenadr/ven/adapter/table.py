"""Values out of a CSV file or a pandas DataFrame."""

from __future__ import annotations

import csv
import math
import os
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pyopenadr.errors import ConfigError, ModelError
from pyopenadr.model.time import as_utc

__all__ = ["Table"]


class Table:
    """A source for a whole time: for each rID a list of times and values.

    Raises:
        ConfigError: a time has no time zone.
    """

    def __init__(self, columns: Mapping[str, Sequence[tuple[datetime, float]]]) -> None:
        self._columns: dict[str, list[tuple[datetime, float]]] = {}
        for r_id, pairs in columns.items():
            try:
                self._columns[r_id] = sorted((as_utc(at), float(value)) for at, value in pairs)
            except ModelError as error:
                raise ConfigError(f"the table's {r_id}: {error}") from error

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str], *, time: str = "time", delimiter: str = ",") -> Table:
        """The table in a file whose first line names the columns: the one of the time, and one for each rID.

        Times are those of ISO 8601, with their time zone; an empty cell is no value. The file is read once.

        Raises:
            ConfigError: it can't be read, or is no such table.
        """
        columns: dict[str, list[tuple[datetime, float]]] = {}
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file, delimiter=delimiter, strict=True)
                if time not in (reader.fieldnames or ()):
                    raise ConfigError(f"{os.fspath(path)} has no column {time!r}: its first line must name it")
                for row in reader:
                    at = datetime.fromisoformat(row.pop(time))
                    for r_id, cell in row.items():
                        pairs = columns.setdefault(r_id, [])
                        if cell is not None and cell.strip():
                            pairs.append((at, float(cell)))
        except (OSError, csv.Error, ValueError, TypeError, AttributeError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"{os.fspath(path)} is no table of times and numbers: {error}") from error
        return cls(columns)

    @classmethod
    def from_frame(cls, frame: Any) -> Table:
        """The table in a pandas DataFrame: its index is the time, with a time zone, and it has a column for each rID.

        NaN is no value.

        Raises:
            ConfigError: it is no such table.
        """
        try:
            times = [at.to_pydatetime() for at in frame.index]
            columns = {
                str(name): [
                    (at, float(value))
                    for at, value in zip(times, frame[name], strict=True)
                    if not math.isnan(float(value))
                ]
                for name in frame.columns
            }
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigError(f"it is no DataFrame of numbers with a time for its index: {error}") from error
        return cls(columns)

    async def __call__(
        self, r_id: str, start: datetime, end: datetime, granularity: timedelta
    ) -> list[tuple[datetime, float]]:
        if r_id not in self._columns:
            raise ModelError(f"the table has no {r_id}, only {', '.join(self._columns)}")
        pairs = self._columns[r_id]
        return pairs[bisect_left(pairs, (start, -math.inf)) : bisect_left(pairs, (end, -math.inf))]
