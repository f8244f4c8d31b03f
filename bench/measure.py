"""How things are measured, shown and kept."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

__all__ = ["Figure", "Row", "compare", "keep", "pin", "show"]

RESULTS = Path(__file__).parent / "results"
ROUNDS = 15
BATCH_S = 0.02

Work = Callable[[], object]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison: medians in microseconds, and how many times as fast ours should be at least.

    `floor_us` is what the libraries below us take alone, where that can be told, and `floor_target` how much of their
    speed ours should have. `per_s` are rates by the clock, where there are some.
    """

    what: str
    ours_us: float
    theirs_us: float
    floor_us: float | None = None
    target: float
    floor_target: float = 0.0
    per_s: Mapping[str, float] = {}

    @property
    def ratio(self) -> float:
        """How many times as fast ours is."""
        return self.theirs_us / self.ours_us

    @property
    def of_floor(self) -> float | None:
        """How much of the floor's speed ours has; 1 is all."""
        return None if self.floor_us is None else self.floor_us / self.ours_us

    @property
    def is_met(self) -> bool:
        """Whether the targets are met."""
        return self.ratio >= self.target and (self.of_floor or 0.0) >= self.floor_target


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of ours, with the least or the most that it should be; without either it is only told."""

    what: str
    value: float
    unit: str
    least: float | None = None
    most: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the target is met."""
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)


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


HEAD = ("", "ours µs", "theirs µs", "floor µs", "ratio", "target", "of floor", "target", "")
FIGURE_HEAD = ("", "ours", "", "target", "")


def _cells(row: Row) -> tuple[str, ...]:
    floor = "" if row.floor_us is None else f"{row.floor_us:,.1f}"
    verdict = "ok" if row.is_met else "MISSED"
    of_floor = "" if row.of_floor is None else f"{row.of_floor:.0%}"
    floor_target = f"≥ {row.floor_target:.0%}" if row.floor_target else ""
    ratio, target = f"{row.ratio:.1f}", f"≥ {row.target:g}"
    times = f"{row.ours_us:,.1f}", f"{row.theirs_us:,.1f}", floor
    return row.what, *times, ratio, target, of_floor, floor_target, verdict


def _figure_cells(figure: Figure) -> tuple[str, ...]:
    least = "" if figure.least is None else f"≥ {figure.least:,g}"
    most = "" if figure.most is None else f"≤ {figure.most:,g}"
    verdict = ("ok" if figure.is_met else "MISSED") if least or most else ""
    digits = 0 if figure.value >= 100 else 2
    return figure.what, f"{figure.value:,.{digits}f}", figure.unit, least or most, verdict


def show(title: str, rows: Sequence[Row | Figure]) -> None:
    """Print the comparisons, then the figures: as tables on a terminal, as plain lines in a pipe."""
    comparisons = [_cells(row) for row in rows if isinstance(row, Row)]
    figures = [_figure_cells(row) for row in rows if isinstance(row, Figure)]
    for head, lines in ((HEAD, comparisons), (FIGURE_HEAD, figures)):
        if lines:
            _print(title, head, lines)


def _print(title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(*head, title=title)
        for column in table.columns[1:-1]:
            column.justify = "right"
        for line in lines:
            table.add_row(*line)
        Console().print(table)
        return
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    print(title)
    for line in (head, *lines):
        first, *others = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        print("  ".join([first.strip().ljust(widths[0]), *others]).rstrip())


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _kept(row: Row | Figure) -> dict[str, object]:
    """The row as it is kept, with what follows from it."""
    fields = {name: value for name, value in msgspec.structs.asdict(row).items() if value not in (None, {}, 0.0)}
    ratio = {} if isinstance(row, Figure) else {"ratio": round(row.ratio, 2)}
    of_floor = {} if isinstance(row, Figure) or row.of_floor is None else {"of_floor": round(row.of_floor, 2)}
    return {**fields, **ratio, **of_floor, "met": row.is_met}


def keep(part: str, rows: Sequence[Row | Figure], packages: Sequence[str]) -> Path:
    """Write the rows to bench/results, with what they were measured on, and say where."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{part}.json"
    kept = {
        "python": platform.python_version(),
        "packages": {package: version(package) for package in packages},
        "machine": {"system": platform.system(), "architecture": platform.machine(), "processor": _processor()},
        "rows": [_kept(row) for row in rows],
    }
    text = json.dumps(kept, indent=2, ensure_ascii=False, default=str)
    path.write_text(text + "\n", "utf-8")
    return path
