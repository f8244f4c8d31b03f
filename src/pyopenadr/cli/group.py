"""`pyopenadr group` and `pyopenadr resource`: what targets may name, at a running VTN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from pyopenadr.cli.remote import DEFAULT_URL, Api, Json, TokenText, Url, part
from pyopenadr.cli.screen import Screen
from pyopenadr.errors import ConfigError

__all__ = ["group", "resource"]

group = typer.Typer(help="Groups and programmes, by the VTN's API.", no_args_is_help=True, rich_markup_mode=None)
resource = typer.Typer(help="Resources of VENs, by the VTN's API.", no_args_is_help=True, rich_markup_mode=None)

GroupId = Annotated[str, typer.Argument(help="The group's ID.")]
VenId = Annotated[str, typer.Argument(help="The VEN's ID.")]
ResourceId = Annotated[str, typer.Argument(help="The resource's ID; the VEN itself if not given.")]
Vens = Annotated[list[str] | None, typer.Option("--ven", help="A VEN; several times for several.")]
Places = Annotated[list[str] | None, typer.Option("--resource", help="A resource of a VEN, as VEN:RESOURCE.")]
Name = Annotated[str | None, typer.Option(help="A name that targets may use too.")]
Programme = Annotated[
    str | None, typer.Option("--market-context", help="Makes it a programme: its events are for its members alone.")
]
_COLUMNS = ("group_id", "name", "market_context")


def _places(given: Sequence[str] | None) -> list[dict[str, str]]:
    found = []
    for text in given or ():
        ven_id, sign, resource_id = text.partition(":")
        if not (ven_id and sign and resource_id):
            raise ConfigError(f"--resource {text}: write VEN:RESOURCE")
        found.append({"ven_id": ven_id, "resource_id": resource_id})
    return found


def _seen(api: Api, path: str) -> dict[str, str]:
    """The header that says which version was seen."""
    return {"If-Match": api.ask("GET", path)[1]["etag"]}


@group.command("list")
def list_groups(
    search: Annotated[str | None, typer.Option(help="A part of the ID or the name.")] = None,
    ven: Annotated[str | None, typer.Option(help="Only those that this VEN is in.")] = None,
    programmes: Annotated[
        bool | None, typer.Option("--programmes/--no-programmes", help="Only programmes, or none of them.")
    ] = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """List groups and programmes."""
    found = list(Api(url, token).items("/groups", search=search, ven_id=ven, programme=programmes))
    if as_json:
        Screen().json(found)
    else:
        Screen().table(_COLUMNS, [[one[column] or "" for column in _COLUMNS] for one in found])


@group.command()
def show(group_id: GroupId, url: Url = DEFAULT_URL, token: TokenText = None, as_json: Json = False) -> None:
    """Show a group and its members."""
    api, path = Api(url, token), f"/groups/{part(group_id)}"
    one, members = api.get(path), list(api.items(f"{path}/members"))
    if as_json:
        Screen().json({**one, "members": members})
        return
    screen = Screen()
    screen.table(_COLUMNS, [[one[column] or "" for column in _COLUMNS]])
    screen.table(("VEN", "resource"), [[member["ven_id"], member["resource_id"]] for member in members])


@group.command()
def add(
    group_id: GroupId,
    name: Name = None,
    market_context: Programme = None,
    ven: Vens = None,
    place: Places = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """Make a group or a programme."""
    body = {
        "group_id": group_id,
        "name": name,
        "market_context": market_context,
        "ven_ids": ven or [],
        "resources": _places(place),
    }
    made = Api(url, token).ask("POST", "/groups", body)[0]
    _tell(made, f"group {group_id} is there", as_json)


def _tell(made: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        Screen().json(made)
    else:
        Screen().line(text)


@group.command()
def change(
    group_id: GroupId,
    name: Annotated[str | None, typer.Option(help='Another name; "" for none.')] = None,
    market_context: Annotated[
        str | None, typer.Option(help='Another programme\'s URI; "" makes it a plain group.')
    ] = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """Give a group another name or another market context."""
    given = {"name": name, "market_context": market_context}
    body = {field: value or None for field, value in given.items() if value is not None}
    if not body:
        raise ConfigError("say what shall be different: --name or --market-context")
    api, path = Api(url, token), f"/groups/{part(group_id)}"
    _tell(api.ask("PATCH", path, body, headers=_seen(api, path))[0], f"group {group_id} is changed", as_json)


@group.command()
def remove(group_id: GroupId, url: Url = DEFAULT_URL, token: TokenText = None) -> None:
    """Remove a group; events that were published to it stay."""
    api, path = Api(url, token), f"/groups/{part(group_id)}"
    api.ask("DELETE", path, headers=_seen(api, path))
    Screen().line(f"group {group_id} is removed")


@group.command()
def join(
    group_id: GroupId, ven: Vens = None, place: Places = None, url: Url = DEFAULT_URL, token: TokenText = None
) -> None:
    """Put VENs and resources into a group; they get its events that are still listed."""
    body = {"ven_ids": ven or [], "resources": _places(place)}
    Api(url, token).ask("POST", f"/groups/{part(group_id)}/members", body)
    Screen().line(f"they are in group {group_id}")


@group.command()
def leave(
    group_id: GroupId, ven: Vens = None, place: Places = None, url: Url = DEFAULT_URL, token: TokenText = None
) -> None:
    """Take VENs and resources out of a group; events that they have stay with them."""
    api, gone = Api(url, token), [{"ven_id": one} for one in ven or ()] + _places(place)
    for query in gone:
        api.ask("DELETE", f"/groups/{part(group_id)}/members", query={**query})
    Screen().line(f"{len(gone)} members have left group {group_id}")


@resource.command("list")
def list_resources(
    ven: Annotated[str | None, typer.Option(help="Only those of this VEN.")] = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """List resources, and what they are known by."""
    found = list(Api(url, token).items("/resources", ven_id=ven))
    if as_json:
        Screen().json(found)
        return
    rows = [[one["ven_id"], one["resource_id"], one["name"] or "", _known_by(one)] for one in found]
    Screen().table(("VEN", "resource", "name", "known by"), rows)


def _known_by(one: dict[str, Any]) -> str:
    where = one["position"]
    words = [f"{where['latitude']:g},{where['longitude']:g}"] if where else []
    for kind in ("party_ids", "meter_assets", "pnodes", "end_device_assets", "service_delivery_points"):
        words += one[kind]
    return " ".join(words)


@resource.command("set")
def put(
    ven_id: VenId,
    resource_id: ResourceId = "",
    name: Annotated[str | None, typer.Option(help="Its name, for people.")] = None,
    position: Annotated[
        str | None, typer.Option(help="Where it is: latitude,longitude in degrees; service areas mean it by that.")
    ] = None,
    party: Annotated[list[str] | None, typer.Option(help="A party that it belongs to; may be repeated.")] = None,
    meter: Annotated[list[str] | None, typer.Option(help="A meter; may be repeated.")] = None,
    pnode: Annotated[list[str] | None, typer.Option(help="A pricing node; may be repeated.")] = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """Say what a resource of a VEN, or the VEN itself, is known by; what was said before is replaced."""
    api, path = Api(url, token), _path(ven_id, resource_id)
    body = {
        "name": name,
        "position": _position(position),
        "party_ids": party or [],
        "meter_assets": meter or [],
        "pnodes": pnode or [],
    }
    made = api.ask("PUT", path, body, headers={"If-Match": "*"})[0]
    _tell(made, f"{resource_id or 'VEN'} {'of VEN ' if resource_id else ''}{ven_id} is kept", as_json)


def _path(ven_id: str, resource_id: str) -> str:
    return "/".join(["/resources", *(part(text) for text in (ven_id, resource_id) if text)])


def _position(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    latitude, _, longitude = text.partition(",")
    try:
        return {"latitude": float(latitude), "longitude": float(longitude)}
    except ValueError:
        raise ConfigError(f"--position {text}: write latitude,longitude, such as 52.37,4.90") from None


@resource.command("remove")
def remove_resource(
    ven_id: VenId, resource_id: ResourceId = "", url: Url = DEFAULT_URL, token: TokenText = None
) -> None:
    """Forget a resource, and in which groups it is."""
    api, path = Api(url, token), _path(ven_id, resource_id)
    api.ask("DELETE", path, headers=_seen(api, path))
    Screen().line("it is forgotten")
