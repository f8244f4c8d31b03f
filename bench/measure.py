"""How things are measured, shown and kept."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

__all__ = ["Row", "compare", "keep", "pin", "show"]

RESULTS = Path(__file__).parent / "results"
ROUNDS = 15
BATCH_S = 0.02

Work = Callable[[], object]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison: medians in microseconds, and how many times as fast ours should be at least.

    `floor_us` is what the libraries below us take alone, where that can be told.
    """

    what: str
    ours_us: float
    theirs_us: float
    floor_us: float | None = None
    target: float

    @property
    def ratio(self) -> float:
        """How many times as fast ours is."""
        return self.theirs_us / self.ours_us


def pin() -> None:
    """Stay on one core, where the system lets us."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _batch(work: Work) -> int:
    """How many times the work is done in one batch."""
    work()
    started = time.perf_counter()
    work()
    return max(1, int(BATCH_S / (time.perf_counter() - started)))


def _time(work: Work, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - started) / times * 1e6


def compare(what: str, ours: Work, theirs: Work, *, target: float, floor: Work | None = None) -> Row:
    """Measure both in turns, batch after batch, so that what else the machine does hits both alike."""
    works = [ours, theirs] + ([floor] if floor is not None else [])
    batches = [_batch(work) for work in works]
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, batch, measured in zip(works, batches, times, strict=True):
            measured.append(_time(work, batch))
    medians = [statistics.median(measured) for measured in times]
    return Row(
        what=what,
        ours_us=medians[0],
        theirs_us=medians[1],
        floor_us=medians[2] if floor is not None else None,
        target=target,
    )


HEAD = ("", "ours µs", "theirs µs", "floor µs", "ratio", "target", "")


def _cells(row: Row) -> tuple[str, ...]:
    floor = "" if row.floor_us is None else f"{row.floor_us:,.1f}"
    verdict = "ok" if row.ratio >= row.target else "MISSED"
    ratio, target = f"{row.ratio:.1f}", f"≥ {row.target:g}"
    return row.what, f"{row.ours_us:,.1f}", f"{row.theirs_us:,.1f}", floor, ratio, target, verdict


def show(title: str, rows: Sequence[Row]) -> None:
    """Print the rows: as a table on a terminal, as plain lines in a pipe."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(*HEAD, title=title)
        for column in table.columns[1:6]:
            column.justify = "right"
        for row in rows:
            table.add_row(*_cells(row))
        Console().print(table)
        return
    lines = [HEAD, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    print(title)
    for line in lines:
        first, *others = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        print("  ".join([first.strip().ljust(widths[0]), *others]).rstrip())


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def keep(part: str, rows: Sequence[Row], packages: Sequence[str]) -> Path:
    """Write the rows to bench/results, with what they were measured on, and say where."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{part}.json"
    kept = {
        "python": platform.python_version(),
        "packages": {package: version(package) for package in packages},
        "machine": {"system": platform.system(), "architecture": platform.machine(), "processor": _processor()},
        "rows": [
            {**msgspec.structs.asdict(row), "ratio": round(row.ratio, 2), "met": row.ratio >= row.target}
            for row in rows
        ],
    }
    text = json.dumps(kept, indent=2, ensure_ascii=False, default=str)
    path.write_text(text + "\n", "utf-8")
    return path
