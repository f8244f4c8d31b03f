"""`pyopenadr event`: events of a running VTN, here or elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from pyopenadr.cli.outline import read_file, read_intervals, read_table
from pyopenadr.cli.remote import DEFAULT_URL, Api, Json, TokenText, Url, part
from pyopenadr.cli.screen import Screen
from pyopenadr.errors import ConfigError

__all__ = ["event"]

event = typer.Typer(help="Events of a VTN, by its API.", no_args_is_help=True, rich_markup_mode=None)

EventId = Annotated[str, typer.Argument(help="The event's ID.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
VenIds = Annotated[list[str] | None, typer.Option("--ven", help="A VEN that it is for; several times for several.")]


@event.command("list")
def list_events(
    state: Annotated[str | None, typer.Option(help="draft, open or closed; open ones and drafts if not given.")] = None,
    ven: Annotated[str | None, typer.Option(help="Only those for this VEN.")] = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """List events and drafts."""
    found = list(Api(url, token).items("/events", state=state, ven_id=ven))
    if as_json:
        Screen().json(found)
        return
    Screen().table(("event", "state", "status", "start", "duration", "for"), [_row(view) for view in found])


def _row(view: dict[str, Any]) -> list[str]:
    one = view["event"]
    whom = "everybody" if view["recipients"] is None else f"{len(view['recipients'])} VENs"
    return [one["event_id"], view["state"], view["status"], one["start"], _length(one["duration"]), whom]


def _length(duration: Any) -> str:
    return str(duration) if isinstance(duration, str) else f"{duration.get('months', 0)} months"


@event.command()
def show(event_id: EventId, url: Url = DEFAULT_URL, token: TokenText = None, as_json: Json = False) -> None:
    """Show an event, and how far it has come."""
    api = Api(url, token)
    view = api.get(f"/events/{part(event_id)}")
    board = list(api.items(f"/events/{part(event_id)}/deliveries"))
    if as_json:
        Screen().json({**view, "deliveries": board})
        return
    _describe(view)
    _board(Screen(), board)


def _describe(view: dict[str, Any]) -> None:
    screen, one = Screen(), view["event"]
    screen.line(f"{one['event_id']}  {view['state']}, {view['status']}, version {one['modification_number']}", "bold")
    screen.line(f"from {one['start']} for {_length(one['duration'])}, {one['market_context']}")
    for signal in one["signals"]:
        steps = ", ".join(f"{step['value']:g} for {_length(step['duration'])}" for step in signal["intervals"])
        screen.line(f"{signal['signal_name']} {signal['signal_type']}: {steps}")


def _board(screen: Screen, board: list[dict[str, Any]]) -> None:
    rows = [
        [one["ven_id"], one["ven_name"] or "", "online" if one["online"] else "offline", one["state"]] for one in board
    ]
    screen.table(("VEN", "name", "", "state"), rows)


@event.command()
def create(
    file: Annotated[
        Path | None, typer.Argument(help="A YAML or JSON file with the event; options overrule it.")
    ] = None,
    start: Annotated[str | None, typer.Option(help="When: 2030-01-31T12:00:00Z, or +10m, +2h, +1d from now.")] = None,
    interval: Annotated[list[str] | None, typer.Option(help="A step such as PT1H=2; several times, in order.")] = None,
    csv: Annotated[Path | None, typer.Option(help="The intervals: columns duration,value or start,value.")] = None,
    ven: VenIds = None,
    event_id: Annotated[str | None, typer.Option("--id", help="The event's ID; a new one if not given.")] = None,
    signal_name: Annotated[str | None, typer.Option("--signal", help="The signal's name; SIMPLE if not given.")] = None,
    signal_type: Annotated[str | None, typer.Option("--type", help="The signal's type; level if not given.")] = None,
    market_context: Annotated[str | None, typer.Option(help="The programme's URI.")] = None,
    priority: Annotated[int | None, typer.Option(help="1 is the highest, 0 none.")] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Keep it, and send it to nobody yet.")] = False,
    yes: Yes = False,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """Publish an event; shows who will get it, and asks before."""
    body = read_file(file) if file is not None else {}
    steps = read_intervals(interval or ())
    if csv is not None:
        if steps:
            raise ConfigError("give --interval or --csv, not both")
        first, steps = read_table(csv)
        body = {**body, **({"start": first} if first is not None else {})}
    given = {
        "start": _instant(start) if start is not None else None,
        "intervals": steps or None,
        "ven_ids": ven or None,
        "event_id": event_id,
        "signal_name": signal_name,
        "signal_type": signal_type,
        "market_context": market_context,
        "priority": priority,
        "draft": draft or None,
    }
    body = {**body, **{name: value for name, value in given.items() if value is not None}}
    if "start" not in body:
        raise ConfigError("an event needs a start: --start 2030-01-31T12:00:00Z, or --start +10m")
    api = Api(url, token)
    _confirm(api, body, yes=yes, quiet=as_json)
    made = api.ask("POST", "/events", body)[0]
    _tell(made, "kept as a draft" if made["state"] == "draft" else "published", as_json)


def _confirm(api: Api, body: dict[str, Any], *, yes: bool, quiet: bool) -> None:
    """Show who would get the event, and ask whether that is meant."""
    first = api.ask("POST", "/events/preview", body, query={"limit": 1000})[0]
    if quiet and yes:
        return
    screen, found = Screen(), first["items"]
    many = f"{len(found)}{' or more' if first['next'] else ''} VENs" if found else "no VEN that is known now"
    names = ", ".join(one["ven_name"] or one["ven_id"] for one in found[:10])
    more = ", …" if len(found) > 10 else ""
    if not quiet:
        screen.line(f"It is for {many}{': ' if names else ''}{names}{more}.")
        if first["skipped"]:
            screen.line(f"{len(first['skipped'])} VENs are left out because of their own schedules.")
        if first["overlaps"]:
            screen.line(f"It overlaps with {', '.join(first['overlaps'])}.")
    if body.get("draft") or yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("nobody is there to ask: say --yes to publish it without a question")
    if not typer.confirm("Publish it?", err=True):
        raise typer.Exit(1)


def _tell(view: dict[str, Any], what: str, as_json: bool) -> None:
    if as_json:
        Screen().json(view)
    else:
        Screen().line(f"event {view['event']['event_id']} is {what}")


def _instant(text: str) -> str:
    """An instant as it is, or the one that `+10m` means."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    if text.startswith("+"):
        if text[-1] not in units or not text[1:-1].isdigit() or len(text) > 9:
            raise ConfigError(f"--start {text}: write +90s, +10m, +2h or +1d")
        at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=int(text[1:-1]) * units[text[-1]])
        return at.isoformat()
    return text


@event.command()
def change(
    event_id: EventId,
    file: Annotated[Path | None, typer.Argument(help="A YAML or JSON file with what shall be different.")] = None,
    start: Annotated[str | None, typer.Option(help="Another start.")] = None,
    priority: Annotated[int | None, typer.Option(help="Another priority.")] = None,
    ven: VenIds = None,
    reason: Annotated[str | None, typer.Option(help="Why; VENs are told.")] = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """Publish a new version of an event, or change a draft."""
    given = {
        "start": _instant(start) if start is not None else None,
        "priority": priority,
        "ven_ids": ven or None,
        "modification_reason": reason,
    }
    body = {**(read_file(file) if file else {}), **{name: value for name, value in given.items() if value is not None}}
    if not body:
        raise ConfigError("say what shall be different, by options or a file")
    api, path = Api(url, token), f"/events/{part(event_id)}"
    seen = api.ask("GET", path)[1]["etag"]
    changed = api.ask("PATCH", path, body, headers={"If-Match": seen})[0]
    _tell(changed, f"version {changed['event']['modification_number']} now", as_json)


@event.command()
def cancel(
    event_id: EventId, yes: Yes = False, url: Url = DEFAULT_URL, token: TokenText = None, as_json: Json = False
) -> None:
    """Cancel an event; asks before."""
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError("nobody is there to ask: say --yes to cancel it without a question")
        if not typer.confirm(f"Cancel event {event_id}?", err=True):
            raise typer.Exit(1)
    _tell(Api(url, token).ask("POST", f"/events/{part(event_id)}/cancel")[0], "cancelled", as_json)


@event.command()
def publish(event_id: EventId, url: Url = DEFAULT_URL, token: TokenText = None, as_json: Json = False) -> None:
    """Send a draft to those whom it is for."""
    _tell(Api(url, token).ask("POST", f"/events/{part(event_id)}/publish")[0], "published", as_json)


@event.command()
def delete(event_id: EventId, url: Url = DEFAULT_URL, token: TokenText = None) -> None:
    """Delete a draft."""
    api, path = Api(url, token), f"/events/{part(event_id)}"
    api.ask("DELETE", path, headers={"If-Match": api.ask("GET", path)[1]["etag"]})
    Screen().line(f"draft {event_id} is deleted")


@event.command()
def copy(
    event_id: EventId,
    start: Annotated[str, typer.Option(help="When the copy starts: an instant, or +10m, +2h, +1d from now.")],
    new_id: Annotated[str | None, typer.Option("--id", help="The copy's ID.")] = None,
    now: Annotated[bool, typer.Option("--publish", help="Publish it at once; else it is a draft.")] = False,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """Make an event like another one, at another time."""
    body = {"start": _instant(start), "event_id": new_id, "draft": not now}
    made = Api(url, token).ask("POST", f"/events/{part(event_id)}/copy", body)[0]
    _tell(made, "published" if now else "kept as a draft", as_json)


@event.command()
def watch(
    event_id: EventId,
    every: Annotated[float, typer.Option(min=0.1, help="How often to look, in seconds.")] = 2.0,
    timeout: Annotated[float | None, typer.Option(help="Give up after so many seconds, with exit code 1.")] = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
) -> None:
    """Show how an event comes to its VENs, until all have answered; a line for each change in a pipe.

    An event that wants no answer is shown until it has been sent to all.
    """
    api, screen = Api(url, token), Screen()
    end = time.monotonic() + timeout if timeout is not None else None
    wanted = api.get(f"/events/{part(event_id)}")["event"]["response_required"] != "never"
    open_states = ("queued", "sent", "received", "silent") if wanted else ("queued",)
    before: dict[str, str] = {}
    while True:
        board = list(api.items(f"/events/{part(event_id)}/deliveries"))
        changed = [one for one in board if before.get(one["ven_id"]) != one["state"]]
        if changed and screen.is_terminal:
            typer.echo("\x1b[2J\x1b[H", nl=False)
            _describe(api.get(f"/events/{part(event_id)}"))
            _board(screen, board)
        elif changed:
            for one in changed:
                screen.line(f"{one['ven_id']} {one['state']}")
        before = {one["ven_id"]: one["state"] for one in board}
        states = Counter(before.values())
        if not sum(states[state] for state in open_states):
            screen.line(", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "it is for nobody")
            return
        if end is not None and time.monotonic() >= end:
            raise typer.Exit(1)
        time.sleep(every)
