"""`pyopenadr demo`: a VTN and three VENs live through two events before your eyes."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from pyopenadr.cli.scene import GRANULARITY, Outcome, Scene, Series
from pyopenadr.model import Event

BARS = " ▁▂▃▄▅▆▇█"
FULL_KW = 8.0


def demo(
    database: Annotated[
        Path | None, typer.Option(help="Where to keep the VTN's database; a temporary folder if not given.")
    ] = None,
    speed: Annotated[float, typer.Option(min=1, max=120, help="How many times faster than real time.")] = 50.0,
) -> None:
    """Run a VTN and three VENs through a published, changed, active and completed event, and a cancelled one.

    Real HTTP on loopback, a real SQLite file, a clock that runs fast. One VEN opts out, one loses its connection in
    the middle and comes back. Exit status 0 only if everything that should have happened did.
    """
    path = database or Path(tempfile.mkdtemp(prefix="pyopenadr-demo-")) / "vtn.db"
    try:
        outcome = _play(path, speed)
    except KeyboardInterrupt:
        if database is None:
            shutil.rmtree(path.parent)
        raise
    _print_timeline(outcome)
    _print_chart(outcome)
    good = _print_checks(outcome)
    _print_database(path)
    raise typer.Exit(0 if good else 1)


def _play(path: Path, speed: float) -> Outcome:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task("starting", total=1.0)

        def say(who: str, what: str) -> None:
            bar.update(task, description=f"{who} {what}"[:70])

        scene = Scene(f"sqlite:///{path}", speed, progress=lambda done: bar.update(task, completed=done), say=say)
        return asyncio.run(scene.play())


def _clock(outcome: Outcome, at: datetime) -> str:
    seconds = int((at - outcome.start).total_seconds())
    return f"{seconds // 60:2d}:{seconds % 60:02d}"


def _print_timeline(outcome: Outcome) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="What happened (minutes:seconds on the fast clock)", title_justify="left", box=None)
    table.add_column("time", justify="right")
    table.add_column("who", style="bold")
    table.add_column("what")
    for happening in outcome.happenings:
        table.add_row(_clock(outcome, happening.at), happening.who, happening.what)
    Console().print(table)


def _print_chart(outcome: Outcome) -> None:
    event = outcome.event
    first = min((r.start for one in outcome.series for r in one.readings), default=event.start)
    last = max((r.start for one in outcome.series for r in one.readings), default=event.start)
    columns = int((last - first) / GRANULARITY) + 1
    print(f"\nPower at each site, {int(FULL_KW)} kW at full height, two columns a minute, below it the event's level")
    for one in outcome.series:
        print(f"{one.name:>9} {_row(one, first, columns)}")
    print(f"{'level':>9} {_levels(event, first, columns)}")


def _row(series: Series, first: datetime, columns: int) -> str:
    cells = [" "] * columns
    for reading in series.readings:
        if isinstance(reading.value, float):
            height = round(reading.value / FULL_KW * (len(BARS) - 1))
            cells[int((reading.start - first) / GRANULARITY)] = BARS[max(0, min(height, len(BARS) - 1))]
    return "".join(cells)


def _levels(event: Event, first: datetime, columns: int) -> str:
    text = ""
    for column in range(columns):
        at = first + column * GRANULARITY
        level = event.current_value(event.signals[0], at)
        text += str(int(level)) if at in event.active_span else "."
    return text


def _print_checks(outcome: Outcome) -> bool:
    from rich.console import Console

    console = Console()
    failed = [check for check in outcome.checks if not check.holds]
    console.print(f"\n{len(outcome.checks) - len(failed)} of {len(outcome.checks)} things happened as they should.")
    for check in failed:
        console.print(f"[red]not so:[/red] {check.what} (seen: {check.seen or 'no'})")
    return not failed


def _print_database(path: Path) -> None:
    print("\nThe VTN's database is an ordinary SQLite file; look into it with")
    print(f"  sqlite3 {path} 'select ven_id, r_id, value from reading limit 5'")
