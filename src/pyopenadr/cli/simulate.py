"""`pyopenadr simulate`: a fleet of VENs that do not exist, at a VTN, with faults if you like, and a report."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pyopenadr.cli.interrupt import on_interrupt
from pyopenadr.cli.outline import read_file
from pyopenadr.cli.screen import Screen
from pyopenadr.errors import ConfigError
from pyopenadr.model import Event
from pyopenadr.simulation import (
    Faults,
    Outcome,
    Plan,
    Progress,
    Simulation,
    event_in_words,
    parse_duration,
    run_at_speed,
)
from pyopenadr.simulation.chart import text_chart
from pyopenadr.simulation.page import page_of, tables_of

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

__all__ = ["simulate"]

DEFAULT_EVENT = "SIMPLE 2 at +15m for 1h"
DEFAULT_DEVICES = ("thermostat=4", "battery=1", "ev=2", "flexible=3")


def simulate(
    vens: Annotated[int, typer.Option(min=1, help="How many VENs.")] = 100,
    event: Annotated[
        list[str] | None, typer.Option(help=f"An event of the built-in VTN, such as '{DEFAULT_EVENT}'; several times.")
    ] = None,
    event_file: Annotated[
        list[Path] | None, typer.Option(help="An event as `pyopenadr event create` takes it, in YAML or JSON.")
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option(help="The weight of a kind of device: thermostat, battery, ev, flexible.")
    ] = None,
    vtn: Annotated[str | None, typer.Option(help="A VTN on this machine, in place of the built-in one.")] = None,
    i_may_load_this_vtn: Annotated[
        bool, typer.Option("--i-may-load-this-vtn", help="The VTN may be on another machine: its owner has agreed.")
    ] = False,
    speed: Annotated[
        str, typer.Option(help="1 is real time, 60 a minute each second, max as fast as the machine can.")
    ] = "max",
    length: Annotated[
        str | None, typer.Option(help="How long, such as 2h; else until 30 min after the events.")
    ] = None,
    poll: Annotated[str, typer.Option(help="How often the built-in VTN has the VENs poll.")] = "1m",
    telemetry: Annotated[str, typer.Option(help="How often it has them report their power.")] = "5m",
    step: Annotated[str, typer.Option(help="For how long the power of a device stays as it is.")] = "1m",
    ramp: Annotated[str | None, typer.Option(help="Over which time the VENs begin.")] = None,
    opt_out: Annotated[float, typer.Option(min=0, max=1, help="The share of VENs that opt out.")] = 0.05,
    drop: Annotated[float, typer.Option(min=0, max=1, help="The share of requests that get lost.")] = 0.0,
    delay: Annotated[float, typer.Option(min=0, max=1, help="… that take some seconds longer.")] = 0.0,
    duplicate: Annotated[float, typer.Option(min=0, max=1, help="… that arrive twice.")] = 0.0,
    disconnect: Annotated[
        float, typer.Option(min=0, max=1, help="… at which the connection is gone for minutes.")
    ] = 0.0,
    bad_signature: Annotated[float, typer.Option(min=0, max=1, help="… with a stranger's signature.")] = 0.0,
    clock_skew: Annotated[float, typer.Option(min=0, max=1, help="The share of VENs whose clock is wrong.")] = 0.0,
    usual_price: Annotated[float, typer.Option(help="The price of a kWh above which devices use less.")] = 0.25,
    seed: Annotated[int, typer.Option(help="What all lots are drawn from.")] = 0,
    report: Annotated[Path | None, typer.Option(help="Write the report to this file, as a page (HTML).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Simulate a fleet of VENs with thermostats, batteries, cars and flexible loads.

    They live through the events of a built-in VTN, or of one that runs on this machine already (--vtn). The report says
    who took part, what was shed, what the VTN could see of it, how fast answers came, and what became of faults. Exit
    status 0 if everything went as it should, else 1.
    """
    faults = Faults(
        drop=drop,
        delay=delay,
        duplicate=duplicate,
        disconnect=disconnect,
        bad_signature=bad_signature,
        clock_skew=clock_skew,
    )
    start = datetime.now(UTC) if vtn is not None else datetime.now(UTC).replace(second=0, microsecond=0)
    events = _events(event or (), event_file or (), start, is_built_in=vtn is None)
    whole = parse_duration(length) if length is not None else _length(events, start)
    default_ramp = timedelta(minutes=1) if vtn is None else timedelta(seconds=10 + 0.02 * vens)
    plan = Plan(
        vens=vens,
        devices=_mix(device or DEFAULT_DEVICES),
        start=start,
        length=whole,
        events=events,
        opt_out=opt_out,
        faults=faults,
        step=parse_duration(step),
        poll=parse_duration(poll),
        telemetry=parse_duration(telemetry),
        ramp=default_ramp if ramp is None else parse_duration(ramp),
        settle=min(timedelta(minutes=10), whole / 4),
        usual_price=usual_price,
        seed=seed,
    )
    if report is not None:
        _check_writable(report)
    pace = _speed(speed, is_built_in=vtn is None)
    outcome = _run(plan, pace, vtn=vtn, anywhere=i_may_load_this_vtn)
    if report is not None:
        report.write_text(page_of(outcome), "utf-8")
    if as_json:
        Screen().json(outcome.to_dict())
    else:
        _print(outcome, report)
    raise typer.Exit(0 if outcome.good else 1)


def _events(words: Sequence[str], files: Sequence[Path], start: datetime, *, is_built_in: bool) -> tuple[Event, ...]:
    if not is_built_in:
        if words or files:
            raise ConfigError(
                "--event and --event-file are for the built-in VTN: publish events at the other one there"
            )
        return ()
    if not words and not files:
        words = [DEFAULT_EVENT]
    made = [event_in_words(text, start, event_id=f"event-{number}") for number, text in enumerate(words, 1)]
    return (*made, *(_event_of(path, start) for path in files))


def _event_of(path: Path, start: datetime) -> Event:
    import msgspec

    from pyopenadr.vtn.rest.authoring import NewEvent, new_draft

    body = read_file(path)
    begin = body.get("start")
    if isinstance(begin, str) and begin.startswith("+"):
        body["start"] = (start + parse_duration(begin[1:])).isoformat()
    body.setdefault("event_id", path.stem)
    try:
        new = msgspec.convert(body, NewEvent)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path} holds no event: {error}") from error
    if new.ven_ids or new.draft:
        raise ConfigError(f"{path}: ven_ids and draft have no meaning here, the VENs don't exist yet; leave them out")
    return new_draft(new, start).event


def _length(events: Sequence[Event], start: datetime) -> timedelta:
    """Until some time after the last event."""
    ends = [event.active_span.end for event in events]
    if not ends:
        return timedelta(minutes=10)
    if any(end is None for end in ends):
        raise ConfigError("an event has no end: say by --length how long the simulation lasts")
    return max(end for end in ends if end is not None) - start + timedelta(minutes=30)


def _mix(given: Sequence[str]) -> Mapping[str, float]:
    mix = {}
    for text in given:
        kind, _, weight = text.partition("=")
        try:
            mix[kind] = float(weight or 1)
        except ValueError:
            raise ConfigError(f"--device {text}: write a kind and its weight, such as ev=2") from None
    return mix


def _speed(text: str, *, is_built_in: bool) -> float:
    if not is_built_in and text in ("max", "1"):
        return 1.0
    try:
        speed = float("inf") if text == "max" else float(text)
    except ValueError:
        speed = 0.0
    if not speed > 0.0:
        raise ConfigError(f"--speed {text}: write max, or how many times faster than real time, such as 60")
    if not is_built_in:
        raise ConfigError("a VTN that runs elsewhere lives in real time: leave out --speed")
    return speed


def _check_writable(path: Path) -> None:
    try:
        path.touch()
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}") from error


# -- while it runs -----------------------------------------------------------------------------------------------------


def _run(plan: Plan, speed: float, *, vtn: str | None, anywhere: bool) -> Outcome:
    logging.getLogger("pyopenadr").setLevel(logging.CRITICAL)  # what fails is counted
    if vtn is not None and anywhere:
        Screen().error(f"{vtn} will be loaded by {plan.vens} VENs, with all faults that were asked for")
    with _Gauge() as gauge:
        simulation = Simulation(plan, vtn_url=vtn, anywhere=anywhere, progress=gauge.show)

        async def work() -> Outcome:
            on_interrupt(simulation.stop)
            return await simulation.run()

        return run_at_speed(work(), speed)


class _Gauge:
    """Shows on standard error how far it is: a bar on a terminal, else a line for each tenth."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._tenths = 0

    def __enter__(self) -> _Gauge:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                BarColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("the VENs begin", total=1.0)
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, progress: Progress) -> None:
        """Show the newest state."""
        text = (
            f"{progress.at:%H:%M} {progress.registered} registered, {progress.load_kw:.0f} kW of "
            f"{progress.baseline_kw:.0f} kW, {progress.exchanges} exchanges, {progress.faults} faults"
        )
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=progress.done, description=text)
        elif int(progress.done * 10) > self._tenths:
            self._tenths = int(progress.done * 10)
            print(f"{progress.done:4.0%} {text}", file=sys.stderr)


# -- the report --------------------------------------------------------------------------------------------------------


def _print(outcome: Outcome, report: Path | None) -> None:
    screen = Screen()
    devices = ", ".join(f"{count} {kind}" for kind, count in sorted(outcome.devices.items()))
    screen.line(f"{outcome.registered} of {outcome.vens} VENs registered ({devices}); VTN: {outcome.vtn}")
    screen.line()
    screen.line("Load of all sites; the dots are the baseline, as it would have been without any event", "bold")
    for line in text_chart(outcome):
        screen.line(line)
    for title, heads, rows in tables_of(outcome):
        screen.line()
        screen.line(title, "bold")
        screen.table(heads, rows)
    screen.line()
    rate = outcome.exchanges / outcome.cpu_s if outcome.cpu_s else 0.0
    screen.line(
        f"{outcome.exchanges} exchanges in {outcome.wall_s:.1f} s, {outcome.cpu_s:.1f} s of processor time: "
        f"{rate:.0f} for each second of it"
    )
    if report is not None:
        screen.line(f"the report is in {report}")
    for problem in outcome.problems:
        screen.line(f"not so good: {problem}", "red")
    if outcome.good:
        screen.line("Everything went as it should.", "green")
