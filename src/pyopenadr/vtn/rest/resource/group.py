"""Groups and programmes, and who belongs to them."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar import Response, Router, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from pyopenadr.model import Group, Member
from pyopenadr.model.group import WHOLE
from pyopenadr.vtn.office import Office
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.field import Id, Text
from pyopenadr.vtn.rest.page import After, Limit, Page, paged
from pyopenadr.vtn.rest.problem import Refusal
from pyopenadr.vtn.rest.version import IfMatch, check_version, tag_of

__all__ = ["router"]

_Members = Annotated[tuple[Id, ...], msgspec.Meta(max_length=10_000)]


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A single resource of a VEN."""

    ven_id: Id
    resource_id: Id


class NewGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group to make. With a `market_context` it is a programme: its events are for its members alone."""

    group_id: Id
    name: Text | None = None
    market_context: Text | None = None
    ven_ids: _Members = ()
    resources: tuple[Place, ...] = ()


class GroupChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be different; what is left out stays."""

    name: Text | UnsetType | None = UNSET
    market_context: Text | UnsetType | None = UNSET


class Members(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """VENs as a whole, and single resources of VENs."""

    ven_ids: _Members = ()
    resources: tuple[Place, ...] = ()


def _pairs(places: tuple[Place, ...]) -> list[tuple[str, str]]:
    return [(place.ven_id, place.resource_id) for place in places]


async def _group(office: Office, group_id: str) -> Group:
    """The group with that ID.

    Raises:
        Refusal: 404, there is none.
    """
    for group in await office.server.groups():
        if group.group_id == group_id:
            return group
    raise Refusal(404, f"there is no group {group_id!r}")


def _reply(group: Group, *, made: bool = False) -> Response[Group]:
    headers = {"etag": tag_of(group)}
    if made:
        headers["location"] = f"/api/groups/{quote(group.group_id, safe='')}"
    return Response(group, status_code=201 if made else 200, headers=headers)


@get("/", summary="Groups and programmes")
async def list_groups(
    office: Desk,
    search: Annotated[str | None, QueryParameter(description="A part of the ID or of the name, in any case.")] = None,
    market_context: FromQuery[str | None] = None,
    programme: Annotated[bool | None, QueryParameter(description="Only programmes, or none of them.")] = None,
    ven_id: Annotated[str | None, QueryParameter(description="Only those that this VEN is in.")] = None,
    after: After = None,
    limit: Limit = 100,
) -> Page[Group]:
    """Groups by their IDs. Those with a `market_context` are programmes."""
    part = search.lower() if search else ""
    theirs = None if ven_id is None else {member.group_id for member in await office.server.members(ven_id=ven_id)}
    found = [
        group
        for group in await office.server.groups()
        if (not part or part in group.group_id.lower() or part in (group.name or "").lower())
        and market_context in (None, group.market_context)
        and programme in (None, group.market_context is not None)
        and (theirs is None or group.group_id in theirs)
    ]
    return paged(sorted(found, key=lambda group: group.group_id), lambda group: group.group_id, after, limit)


@post("/", summary="Make a group or a programme")
async def add_group(office: Desk, data: JSONBody[NewGroup]) -> Response[Group]:
    """Keep a group of VENs and of resources, which targets then may name by its ID or its name."""
    async with office.drafting:
        if data.group_id in {group.group_id for group in await office.server.groups()}:
            raise Refusal(409, f"there is a group {data.group_id!r} already: change it, or choose another ID")
        made = await office.server.add_group(
            data.group_id,
            name=data.name,
            market_context=data.market_context,
            ven_ids=data.ven_ids,
            resources=_pairs(data.resources),
        )
    return _reply(made, made=True)


@get("/{group_id:str}", summary="A group")
async def show_group(office: Desk, group_id: FromPath[str]) -> Response[Group]:
    """One group; its members are at `members`."""
    return _reply(await _group(office, group_id))


@patch("/{group_id:str}", summary="Change a group")
async def change_group(
    office: Desk, group_id: FromPath[str], data: JSONBody[GroupChanges], if_match: IfMatch = None
) -> Response[Group]:
    """Give a group another name, or another market context. Needs If-Match."""
    async with office.drafting:
        group = await _group(office, group_id)
        check_version(group, if_match)
        given = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not UNSET}
        wanted = msgspec.structs.replace(group, **given)
        made = await office.server.add_group(group_id, name=wanted.name, market_context=wanted.market_context)
    return _reply(made)


@delete("/{group_id:str}", status_code=204, summary="Remove a group")
async def remove_group(office: Desk, group_id: FromPath[str], if_match: IfMatch = None) -> None:
    """Forget a group; events that were published to it stay. Needs If-Match."""
    async with office.drafting:
        check_version(await _group(office, group_id), if_match)
        await office.server.remove_group(group_id)


@get("/{group_id:str}/members", summary="Who is in a group")
async def list_members(office: Desk, group_id: FromPath[str], after: After = None, limit: Limit = 100) -> Page[Member]:
    """The members by VEN and resource; a member without a `resource_id` is the whole VEN."""
    await _group(office, group_id)
    found = sorted(await office.server.members(group_id), key=_place)
    return paged(found, _place, after, limit)


def _place(member: Member) -> str:
    return f"{member.ven_id}\0{member.resource_id}"


@post("/{group_id:str}/members", status_code=204, summary="Put VENs into a group")
async def add_members(office: Desk, group_id: FromPath[str], data: JSONBody[Members]) -> None:
    """Add VENs and resources; who is there already stays. They get the group's events that are still listed."""
    await _group(office, group_id)
    await office.server.add_to_group(group_id, ven_ids=data.ven_ids, resources=_pairs(data.resources))


@delete("/{group_id:str}/members", status_code=204, summary="Take a VEN out of a group")
async def remove_member(
    office: Desk,
    group_id: FromPath[str],
    ven_id: FromQuery[str],
    resource_id: Annotated[str, QueryParameter(description="One resource of it; else the VEN as a whole.")] = WHOLE,
) -> None:
    """Take a member out; events that it has already stay with it."""
    await _group(office, group_id)
    if Member(group_id, ven_id, resource_id) not in await office.server.members(group_id):
        raise Refusal(404, f"{resource_id or 'the whole'} of VEN {ven_id!r} is not in group {group_id!r}")
    await office.server.remove_from_group(group_id, resources=[(ven_id, resource_id)])


router = Router(
    "/groups",
    route_handlers=[
        list_groups,
        add_group,
        show_group,
        change_group,
        remove_group,
        list_members,
        add_members,
        remove_member,
    ],
    tags=["groups"],
)
