"""`pyopenadr ven status`, `events`, `opt`, `export` and `log`: into a VEN that runs, and into what it has said."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pyopenadr.agent.file import read_plan
from pyopenadr.cli.plan import DEFAULT, File, socket_of
from pyopenadr.cli.screen import Screen
from pyopenadr.cli.tape import Line, message_in, read_tape
from pyopenadr.errors import ConfigError, TransportError

__all__ = ["events", "export", "log", "opt", "status"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def status(
    file: File = DEFAULT,
    once: Annotated[bool, typer.Option("--once", help="Show it once, also on a terminal.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show how a VEN that runs stands: registration, what applies, events; on a terminal it is kept fresh.

    Exit status: 0, or 1 if the VEN does not run.
    """
    screen = Screen()
    if as_json:
        screen.json(_ask(file, "/status"))
        return
    if not screen.is_terminal or once:
        for line in _lines(_ask(file, "/status"), _ask(file, "/events")):
            screen.line(line)
        return
    from rich.live import Live
    from rich.text import Text

    with Live(refresh_per_second=2) as live:
        try:
            while True:
                live.update(Text("\n".join(_lines(_ask(file, "/status"), _ask(file, "/events")))))
                time.sleep(1)
        except KeyboardInterrupt:
            return


def _lines(status: dict[str, Any], events: list[dict[str, Any]]) -> list[str]:
    known = f"registered as {status['ven_id']} with {status['vtn_id']}" if status["registered"] else "not registered"
    lines = [
        f"VEN {status['ven']} at {status['vtn']}: {known}, {status['time']}",
        f"polls every {status['poll_seconds']:g} s; {status['reports']} reports asked for; {status['unsent']} messages "
        f"unsent, {status['dropped']} readings given up",
    ]
    if status["failsafe"]:
        lines.append(f"FAIL-SAFE since {status['failsafe']['since']}: {status['failsafe']['action']}")
    for signal in status["signals"]:
        where = f"{signal['signal']} {signal['resource']}".strip()
        value = "unknown" if signal["value"] is None else f"{signal['value']:g}"
        by = f" by event {signal['event_id']}" if signal["event_id"] else " (no event)"
        lines += [f"  {where}: {value}{by}", *(f"    failed: {text}" for text in signal["failed"])]
    lines += [f"  {_sentence(event)}" for event in events]
    return lines


def _sentence(event: dict[str, Any]) -> str:
    values = "; ".join(f"{name} {', '.join(f'{v:g}' for v in values)}" for name, values in event["signals"].items())
    until = event["end"] or "cancelled"
    test = " (a test)" if event["test"] else ""
    return (
        f"event {event['event_id']}{test}: {event['status']}, {event['start']} until {until}, {values}, {event['opt']}"
    )


def events(file: File = DEFAULT, as_json: AsJson = False) -> None:
    """List the events that a VEN that runs knows. Exit status: 0, or 1 if it does not run."""
    screen, found = Screen(), _ask(file, "/events")
    if as_json:
        screen.json(found)
        return
    for event in found:
        screen.line(_sentence(event))
    if not found:
        screen.line("There are no events.")


def opt(
    event_id: Annotated[str, typer.Argument(help="The event.")],
    answer: Annotated[str, typer.Argument(help="in or out.")],
    file: Annotated[Path, typer.Option(help="The VEN's file.")] = DEFAULT,
) -> None:
    """Opt in to an event, or out of it, through a VEN that runs. Exit status: 0, or 1 if that can't be."""
    if answer not in ("in", "out"):
        raise typer.BadParameter("say in or out")
    _ask(file, "/opt", {"event_id": event_id, "opt": answer})
    typer.echo(f"event {event_id}: opt {answer}")


def export(
    file: File = DEFAULT,
    output: Annotated[Path | None, typer.Option(help="Where to write it; by default it is printed.")] = None,
) -> None:
    """Print the events of a VEN that runs as a calendar (iCalendar). Exit status: 0, or 1 if it does not run."""
    text = _ask(file, "/events.ics")
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, "utf-8", newline="")
    except OSError as error:
        raise ConfigError(f"{output} can't be written: {error.strerror}") from error


def _ask(file: Path, path: str, body: dict[str, str] | None = None) -> Any:
    """What the running VEN answers.

    Raises:
        TransportError: it does not run, or refuses.
    """
    plan = read_plan(file)
    where = socket_of(plan)
    if where is None:
        raise ConfigError(f"{file} has ven.state: none, so there is no way to the VEN: give it a state file")
    try:
        return asyncio.run(_exchange(where, path, body))
    except (OSError, TimeoutError) as error:
        raise TransportError(f"VEN {plan.ven.name} does not run on this machine: `pyopenadr ven run {file}`") from error


async def _exchange(where: Path, path: str, body: dict[str, str] | None) -> Any:
    import aiohttp

    connector, timeout = aiohttp.UnixConnector(str(where)), aiohttp.ClientTimeout(total=10)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        session.request("GET" if body is None else "POST", f"http://ven{path}", json=body) as response,
    ):
        if response.status != 200:
            raise TransportError(str((await response.json()).get("error", response.status)))
        return await response.text() if path.endswith(".ics") else await response.json()


def log(
    file: File = DEFAULT,
    search: Annotated[str | None, typer.Option(help="Only messages in which this text stands.")] = None,
    kind: Annotated[
        str | None, typer.Option("--type", help="Only exchanges with this type, as oadrCreatedEvent.")
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="Only from this time (UTC) on.")] = None,
    polls: Annotated[bool, typer.Option("--polls", help="Also polls that brought nothing.")] = False,
    last: Annotated[int | None, typer.Option(min=1, help="Only so many, the latest.")] = None,
    whole: Annotated[bool, typer.Option("--xml", help="Print the messages themselves.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look into the messages that a VEN has kept, where its ven.yaml has `log`. Secrets are not in there.

    Exit status: 0, or 2 if there is no log.
    """
    plan = read_plan(file)
    if plan.log is None:
        raise ConfigError(
            f"{file} keeps no messages: write `log: {{file: messages.jsonl}}` into it, and start the VEN anew"
        )
    start = since.replace(tzinfo=UTC) if since is not None else None
    found = []
    for line in read_tape(plan.log.file):
        types = [message.message_type if message else "" for message in map(message_in, (line.request, line.reply))]
        idle = types == ["oadrPoll", "oadrResponse"]
        if (idle and not polls) or (start is not None and line.at < start) or (kind is not None and kind not in types):
            continue
        if search is None or search.lower() in f"{line.request} {line.reply} {line.error}".lower():
            found.append((line, types))
    screen = Screen()
    for line, types in found[-last:] if last is not None else found:
        _print_line(screen, line, types, whole=whole, as_json=as_json)


def _print_line(screen: Screen, line: Line, types: list[str], *, whole: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"at": line.at.isoformat(), "sent": types[0], "got": types[1], "error": line.error}))
        return
    outcome = line.error or f"{types[1] or f'HTTP {line.status}'} ({line.seconds * 1000:.0f} ms)"
    screen.line(f"{line.at:%Y-%m-%d %H:%M:%S} {types[0] or line.service} -> {outcome}", "red" if line.error else "")
    if whole:
        for text in filter(None, (line.request, line.reply)):
            screen.line(f"  {text}")
