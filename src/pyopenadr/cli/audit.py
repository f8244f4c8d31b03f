"""`pyopenadr audit` and `pyopenadr webhook`: what a running VTN has kept of messages, and whom it tells."""

from __future__ import annotations

from typing import Annotated

import typer

from pyopenadr.cli.remote import DEFAULT_URL, Api, Json, TokenText, Url, part
from pyopenadr.cli.screen import Screen

__all__ = ["audit", "webhook"]

webhook = typer.Typer(
    help="Who is told of what happens, by the VTN's API.", no_args_is_help=True, rich_markup_mode=None
)

_COLUMNS = ("at", "direction", "kind", "ven_id", "events", "request_id", "actor", "status")


def audit(
    ven: Annotated[str | None, typer.Option(help="Only about this VEN.")] = None,
    event: Annotated[str | None, typer.Option(help="Only about this event.")] = None,
    request: Annotated[str | None, typer.Option(help="Only messages with this request ID.")] = None,
    direction: Annotated[str | None, typer.Option(help="in (from VENs), out (to VENs) or api (changes by it).")] = None,
    most: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """Search the audit of a VTN: messages in and out, and who changed what by the API; newest first.

    How much is kept of messages is a setting of the VTN (--audit); with `full`, --json shows them.
    """
    query = {"ven_id": ven, "event_id": event, "request_id": request, "direction": direction}
    found = list(Api(url, token).items("/audit", most=most, **query))
    if as_json:
        Screen().json(found)
        return
    rows = [
        [
            "" if value is None else str(value)
            for value in ({**one, "events": " ".join(one["event_ids"])}[c] for c in _COLUMNS)
        ]
        for one in found
    ]
    Screen().table(_COLUMNS, rows)


@webhook.command("list")
def list_webhooks(url: Url = DEFAULT_URL, token: TokenText = None, as_json: Json = False) -> None:
    """List who is told, and how far each has come."""
    found = list(Api(url, token).items("/webhooks"))
    if as_json:
        Screen().json(found)
        return
    rows = [[one["webhook_id"], one["url"], ", ".join(one["kinds"]) or "all", one["last_error"] or ""] for one in found]
    Screen().table(("webhook", "address", "kinds", "last error"), rows)


@webhook.command()
def add(
    address: Annotated[str, typer.Argument(help="The https address that is called.")],
    kind: Annotated[list[str] | None, typer.Option(help="A kind of notice; may be repeated; all if not given.")] = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """Have an address told of what happens. The secret that the requests are signed with is shown this once."""
    made = Api(url, token).ask("POST", "/webhooks", {"url": address, "kinds": kind or []})[0]
    if as_json:
        Screen().json(made)
    else:
        Screen().line(made["secret"])


@webhook.command()
def remove(
    webhook_id: Annotated[str, typer.Argument(help="Its ID, as `list` shows it.")],
    url: Url = DEFAULT_URL,
    token: TokenText = None,
) -> None:
    """Tell it no more."""
    Api(url, token).ask("DELETE", f"/webhooks/{part(webhook_id)}")
    Screen().line(f"webhook {webhook_id} is removed")
