"""`pyopenadr inbox` and `pyopenadr allow`: who may register at a running VTN."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from pyopenadr.cli.remote import DEFAULT_URL, Api, Json, TokenText, Url, part
from pyopenadr.cli.screen import Screen
from pyopenadr.errors import ConfigError
from pyopenadr.vtn.intake import read_enrollees

__all__ = ["allow", "inbox"]

inbox = typer.Typer(help="Who waits to be let in, by the VTN's API.", no_args_is_help=True, rich_markup_mode=None)
allow = typer.Typer(help="Who may register, by the VTN's API.", no_args_is_help=True, rich_markup_mode=None)

Key = Annotated[str, typer.Argument(help="The key that `list` shows: a fingerprint, or `name NAME`.")]
_KNOCK = ("key", "common_name", "ven_name", "ven_id", "address", "first_at", "times")
_ALLOWED = ("key", "common_name", "ven_name", "ven_id")


def _rows(found: list[dict[str, Any]], columns: tuple[str, ...]) -> list[list[str]]:
    return [["" if one[column] is None else str(one[column]) for column in columns] for one in found]


@inbox.command("list")
def list_knocks(
    rejected: Annotated[bool, typer.Option("--rejected", help="Those that have been rejected instead.")] = False,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """List the VENs that nobody knows and that want to register."""
    found = list(Api(url, token).items("/inbox", rejected=rejected))
    if as_json:
        Screen().json(found)
    else:
        Screen().table(_KNOCK, _rows(found, _KNOCK))


@inbox.command()
def accept(
    key: Key,
    ven: Annotated[str | None, typer.Option(help="The ID that it gets.")] = None,
    name: Annotated[str | None, typer.Option(help="A name that it must come with.")] = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """Let in who has knocked; compare the fingerprint with that of the device before."""
    made = Api(url, token).ask("POST", f"/inbox/{part(key)}/accept", {"ven_id": ven, "ven_name": name})[0]
    if as_json:
        Screen().json(made)
    else:
        Screen().line(f"{key} is let in when it tries again")


@inbox.command()
def reject(key: Key, url: Url = DEFAULT_URL, token: TokenText = None) -> None:
    """Keep out who has knocked; `accept` takes that back."""
    Api(url, token).ask("POST", f"/inbox/{part(key)}/reject")
    Screen().line(f"{key} is kept out")


@inbox.command()
def forget(key: Key, url: Url = DEFAULT_URL, token: TokenText = None) -> None:
    """Take a knock out of the inbox; if that VEN comes again, it knocks anew."""
    Api(url, token).ask("DELETE", f"/inbox/{part(key)}")
    Screen().line(f"{key} is forgotten")


@allow.command("list")
def list_allowed(url: Url = DEFAULT_URL, token: TokenText = None, as_json: Json = False) -> None:
    """List who may register, and which VEN each has become."""
    found = list(Api(url, token).items("/allow-list"))
    if as_json:
        Screen().json(found)
    else:
        Screen().table(_ALLOWED, _rows(found, _ALLOWED))


@allow.command()
def add(
    fingerprint: Annotated[
        str | None, typer.Option(help="Its certificate's fingerprint: 10 or 32 bytes in hex.")
    ] = None,
    common_name: Annotated[str | None, typer.Option(help="The common name in its certificates.")] = None,
    name: Annotated[str | None, typer.Option(help="Its oadrVenName.")] = None,
    ven: Annotated[str | None, typer.Option(help="The ID that it gets; alone, the one that it must bring.")] = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """Let a VEN register without a knock; all that is given must be so."""
    body = {"fingerprint": fingerprint, "common_name": common_name, "ven_name": name, "ven_id": ven}
    if not any(body.values()):
        raise ConfigError("say who: --fingerprint, --common-name, --name or --ven")
    made = Api(url, token).ask("POST", "/allow-list", body)[0]
    if as_json:
        Screen().json(made)
    else:
        Screen().line(f"{made['key']} may register")


@allow.command("file")
def add_file(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV; its first line names columns of fingerprint, common_name, ven_name, ven_id, groups (a;b) and "
            "poll_frequency (PT30S)."
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look whether that would do.")] = False,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """Let all VENs of a file register, with their groups and how often they poll; nobody if a line is wrong."""
    vens = read_enrollees(file)
    api, body = Api(url, token), {"vens": msgspec.to_builtins(vens)}
    _progress(f"{len(vens)} VENs read from {file}")
    found = api.ask("POST", "/allow-list/bulk", body, query={"dry_run": True})[0]
    _progress(f"{found['vens']} checked, {found['new']} of them new, {len(found['faults'])} wrong")
    for fault in found["faults"]:
        Screen().error(f"{file}, line {fault['line']}: {fault['detail']}")
    if not dry_run and not found["faults"]:
        found = api.ask("POST", "/allow-list/bulk", body)[0]
        _progress(f"{found['vens']} may register")
    if as_json:
        Screen().json(found)
    if found["faults"]:
        raise typer.Exit(1)


def _progress(text: str) -> None:
    typer.echo(text, err=True)


@allow.command()
def remove(
    key: Annotated[str, typer.Argument(help="The key that `list` shows.")],
    url: Url = DEFAULT_URL,
    token: TokenText = None,
) -> None:
    """Take a VEN off the list; one that has registered already stays."""
    Api(url, token).ask("DELETE", f"/allow-list/{part(key)}")
    Screen().line(f"{key} is off the list")
