"""Readings as tables: CSV, Parquet, and pandas. The packages for the last two are loaded when they are asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec

from pyopenadr.errors import ConfigError
from pyopenadr.model import ResourceStatus, Unit
from pyopenadr.model.time import total_seconds
from pyopenadr.store.port import StoredReading

__all__ = ["COLUMNS", "Line", "csv_text", "line_of", "to_frame", "write_csv", "write_parquet"]

COLUMNS: Final = (
    "ven_id",
    "report_specifier_id",
    "r_id",
    "start",
    "duration_s",
    "value",
    "unit",
    "quality",
    "confidence",
    "accuracy",
    "online",
    "manual_override",
    "load_control_state",
    "report_request_id",
)
"""The columns of a table of readings. `unit` is written as `kW`; `load_control_state` is JSON."""

Line = dict[str, Any]
"""A reading by the names of its columns."""


def line_of(stored: StoredReading, unit: Unit | None) -> Line:
    """A reading as a line of a table; None where there is nothing."""
    reading, value = stored.reading, stored.reading.value
    status = value if isinstance(value, ResourceStatus) else None
    state = status.load_control_state if status is not None else None
    duration = reading.duration
    cells = (
        stored.ven_id,
        stored.report_specifier_id,
        reading.r_id,
        reading.start,
        None if duration is None else total_seconds(duration, reading.start),
        None if isinstance(value, ResourceStatus) else float(value),
        _unit_text(unit),
        reading.quality,
        reading.confidence,
        reading.accuracy,
        None if status is None else status.online,
        None if status is None else status.manual_override,
        None if state is None else msgspec.json.encode(state).decode(),
        stored.report_request_id,
    )
    return dict(zip(COLUMNS, cells, strict=True))


def _unit_text(unit: Unit | None) -> str | None:
    if unit is None:
        return None
    return f"{'' if unit.scale == 'none' else unit.scale}{unit.symbol or unit.name}"


def csv_text(lines: Iterable[Line], *, head: bool = True) -> str:
    """The lines as CSV, below their names if there is a `head`; times in ISO 8601."""
    file = io.StringIO()
    _write(file, lines, head=head)
    return file.getvalue()


def write_csv(lines: Sequence[Line], path: Path) -> int:
    """Write the lines to a CSV file. Returns how many."""
    with path.open("w", encoding="utf-8", newline="") as file:
        _write(file, lines, head=True)
    return len(lines)


def _write(file: TextIO, lines: Iterable[Line], *, head: bool) -> None:
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    if head:
        writer.writeheader()
    for line in lines:
        cells = {**line, "start": line["start"].isoformat()}
        writer.writerow({name: _safe(cell) for name, cell in cells.items()})


def _safe(cell: object) -> object:
    """The cell, but for texts that a spreadsheet would take for a formula: peers choose their IDs."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _package(name: str, extra: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(f"this needs one more package: pip install 'pyopenadr[{extra}]'") from error


def to_frame(lines: Iterable[Line]) -> Any:
    """The lines as a pandas DataFrame.

    Raises:
        ConfigError: pandas is not installed.
    """
    pandas = _package("pandas", "pandas")
    frame = pandas.DataFrame(list(lines), columns=list(COLUMNS))
    return frame.assign(start=pandas.to_datetime(frame["start"], utc=True))


def write_parquet(lines: Sequence[Line], path: Path) -> int:
    """Write the lines to a Parquet file. Returns how many.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    arrow, parquet = _package("pyarrow", "parquet"), _package("pyarrow.parquet", "parquet")
    kinds = {
        "start": arrow.timestamp("us", tz="UTC"),
        "duration_s": arrow.float64(),
        "value": arrow.float64(),
        "confidence": arrow.int64(),
        "accuracy": arrow.float64(),
        "online": arrow.bool_(),
        "manual_override": arrow.bool_(),
    }
    schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in COLUMNS])
    parquet.write_table(arrow.Table.from_pylist(list(lines), schema=schema), path)
    return len(lines)
