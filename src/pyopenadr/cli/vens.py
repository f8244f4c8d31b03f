"""`pyopenadr vens`: the VENs of a running VTN, here or elsewhere."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pyopenadr.cli.remote import DEFAULT_URL, Api, Json, TokenText, Url, part
from pyopenadr.cli.screen import Screen
from pyopenadr.errors import ConfigError

__all__ = ["opt", "vens"]

vens = typer.Typer(help="The VENs of a VTN, by its API.", no_args_is_help=True, rich_markup_mode=None)
opt = typer.Typer(help="What VENs say of their availability.", no_args_is_help=True, rich_markup_mode=None)

VenId = Annotated[str, typer.Argument(help="The VEN's ID.")]
_COLUMNS = ("ven_id", "ven_name", "profile", "last_seen")


@vens.command("list")
def list_vens(
    search: Annotated[str | None, typer.Option(help="A part of the ID or the name.")] = None,
    online: Annotated[bool | None, typer.Option(help="Only those that are online, or offline.")] = None,
    registered: Annotated[bool | None, typer.Option(help="Only those that are registered, or not.")] = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """List VENs."""
    found = list(Api(url, token).items("/vens", search=search, online=online, registered=registered))
    if as_json:
        Screen().json(found)
        return
    rows = [
        [
            *(str(one[column] or "") for column in _COLUMNS),
            "registered" if one["registration_id"] else "not registered",
            "online" if one["online"] else "offline",
        ]
        for one in found
    ]
    Screen().table((*_COLUMNS, "", ""), rows)


@vens.command()
def show(ven_id: VenId, url: Url = DEFAULT_URL, token: TokenText = None, as_json: Json = False) -> None:
    """Show a VEN."""
    one = Api(url, token).get(f"/vens/{part(ven_id)}")
    if as_json:
        Screen().json(one)
    else:
        Screen().table(("", ""), [[name, "" if value is None else str(value)] for name, value in one.items()])


@vens.command()
def add(
    ven_id: VenId,
    name: Annotated[str | None, typer.Option(help="Its name.")] = None,
    profile: Annotated[str, typer.Option(help="2.0a or 2.0b.")] = "2.0b",
    registration_id: Annotated[str | None, typer.Option(help="Its registrationID; a new one if not given.")] = None,
    fingerprint: Annotated[str | None, typer.Option(help="That of its certificate.")] = None,
    poll: Annotated[str | None, typer.Option(help="How often it shall poll, as PT30S.")] = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """Register a VEN that has its IDs by other means than a registration message."""
    body = {
        "ven_id": ven_id,
        "ven_name": name,
        "profile": profile,
        "registration_id": registration_id,
        "fingerprint": fingerprint,
        "poll_frequency": poll,
    }
    made = Api(url, token).ask("POST", "/vens", body)[0]
    if as_json:
        Screen().json(made)
    else:
        Screen().line(f"VEN {ven_id} is registered as {made['registration_id']}")


@vens.command("set")
def change(
    ven_id: VenId,
    poll: Annotated[str | None, typer.Option(help="How often it shall poll, as PT30S; or `default`.")] = None,
    signature: Annotated[str | None, typer.Option(help="Its signatures: off, accept, require or `default`.")] = None,
    identity: Annotated[
        str | None,
        typer.Option(
            help="What it has to show: certificate; basic (user and password, which is asked for or read from standard "
            "input); none (INSECURE: whoever reaches the VTN may speak for it)."
        ),
    ] = None,
    user: Annotated[str | None, typer.Option(help="The user, for --identity basic.")] = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """Say how often a VEN shall poll (it is asked to register again), how it signs, or what it has to show."""
    given = {"poll_frequency": poll, "signature": signature, "identity": identity, "user": user}
    body = {name: None if value == "default" else value for name, value in given.items() if value is not None}
    if not body:
        raise ConfigError("say what shall be different: --poll, --signature or --identity")
    if identity == "basic":
        body["password"] = _password()
    api, path = Api(url, token), f"/vens/{part(ven_id)}"
    made = api.ask("PATCH", path, body, headers={"If-Match": api.ask("GET", path)[1]["etag"]})[0]
    if as_json:
        Screen().json(made)
    else:
        Screen().line(f"VEN {ven_id} is changed")


def _password() -> str:
    """A password that is in no list of processes and no history of a shell."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


@vens.command()
def remove(
    ven_id: VenId,
    forget: Annotated[bool, typer.Option("--forget", help="Forget it at once, with all it has said.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
) -> None:
    """End a VEN's registration, or forget the VEN; asks before."""
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError("nobody is there to ask: say --yes")
        question = "Forget VEN {} with all it has said?" if forget else "End the registration of VEN {}?"
        if not typer.confirm(question.format(ven_id), err=True):
            raise typer.Exit(1)
    Api(url, token).ask("DELETE", f"/vens/{part(ven_id)}", query={"forget": forget})
    Screen().line(f"VEN {ven_id} is forgotten" if forget else f"VEN {ven_id} is told that its registration ends")


@vens.command()
def reregister(ven_id: VenId, url: Url = DEFAULT_URL, token: TokenText = None) -> None:
    """Ask a VEN to register again with its IDs."""
    Api(url, token).ask("POST", f"/vens/{part(ven_id)}/reregister")
    Screen().line(f"VEN {ven_id} is asked to register again")


@opt.callback()
def _opts() -> None:
    """Keeps `list` a word of its own although there is only one command."""


@opt.command("list")
def list_opts(ven_id: VenId, url: Url = DEFAULT_URL, token: TokenText = None, as_json: Json = False) -> None:
    """List a VEN's schedules in force, and its word on events."""
    found = list(Api(url, token).items(f"/vens/{part(ven_id)}/opts"))
    if as_json:
        Screen().json(found)
        return
    rows = [
        [
            one["opt_id"],
            one["opt_type"],
            one["opt_reason"],
            one["event_id"] or "",
            "; ".join(f"{span['start']} to {span['end'] or 'the end of time'}" for span in one["availability"]),
        ]
        for one in found
    ]
    Screen().table(("opt", "type", "reason", "event", "when"), rows)
