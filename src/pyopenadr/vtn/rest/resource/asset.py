"""Resources of VENs: what targets may name behind a VEN, and what they are known by."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar import Response, Router, delete, get, put
from litestar.params import FromPath, JSONBody, QueryParameter

from pyopenadr.model import Position, Resource, TransportInterface
from pyopenadr.model.group import WHOLE
from pyopenadr.vtn.office import Office
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.field import Id, Text
from pyopenadr.vtn.rest.page import After, Limit, Page, paged
from pyopenadr.vtn.rest.problem import Refusal
from pyopenadr.vtn.rest.version import IfMatch, check_version, tag_of

__all__ = ["router"]

_Ids = tuple[Id, ...]


class ResourceFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a resource is known by. Service areas are held against `position`."""

    name: Text | None = None
    position: Position | None = None
    party_ids: _Ids = ()
    end_device_assets: _Ids = ()
    aggregated_pnodes: _Ids = ()
    meter_assets: _Ids = ()
    pnodes: _Ids = ()
    service_delivery_points: _Ids = ()
    transport_interfaces: tuple[TransportInterface, ...] = ()


async def _find(office: Office, ven_id: str, resource_id: str) -> Resource | None:
    for resource in await office.server.resources(ven_id):
        if resource.resource_id == resource_id:
            return resource
    return None


async def _show(office: Office, ven_id: str, resource_id: str) -> Response[Resource]:
    found = await _find(office, ven_id, resource_id)
    if found is None:
        raise Refusal(404, f"nothing is kept of {f'resource {resource_id!r} of ' if resource_id else ''}VEN {ven_id!r}")
    return Response(found, headers={"etag": tag_of(found)})


async def _put(
    office: Office, ven_id: str, resource_id: str, data: ResourceFields, if_match: str | None
) -> Response[Resource]:
    """Keep a resource; one that is there is replaced, by those who have seen it."""
    async with office.drafting:
        before = await _find(office, ven_id, resource_id)
        if before is not None:
            check_version(before, if_match)
        made = Resource(ven_id=ven_id, resource_id=resource_id, **msgspec.structs.asdict(data))
        await office.server.add_resources([made])
    where = "/".join(quote(part, safe="") for part in (ven_id, resource_id) if part)
    headers = {"etag": tag_of(made), "location": f"/api/resources/{where}"}
    return Response(made, status_code=201 if before is None else 200, headers=headers)


async def _remove(office: Office, ven_id: str, resource_id: str, if_match: str | None) -> None:
    async with office.drafting:
        check_version((await _show(office, ven_id, resource_id)).content, if_match)
        await office.server.remove_resource(ven_id, resource_id)


def _key(resource: Resource) -> str:
    return f"{resource.ven_id}\0{resource.resource_id}"


@get("/", summary="Resources")
async def list_resources(
    office: Desk,
    ven_id: Annotated[str | None, QueryParameter(description="Only those of this VEN.")] = None,
    after: After = None,
    limit: Limit = 100,
) -> Page[Resource]:
    """Resources by VEN and ID; the one without an ID is the VEN itself."""
    return paged(sorted(await office.server.resources(ven_id), key=_key), _key, after, limit)


@get("/{ven_id:str}", summary="What a VEN itself is known by")
async def show_ven(office: Desk, ven_id: FromPath[str]) -> Response[Resource]:
    """Where a VEN is, and what else targets may know it by."""
    return await _show(office, ven_id, WHOLE)


@put("/{ven_id:str}", summary="Say what a VEN itself is known by")
async def put_ven(
    office: Desk, ven_id: FromPath[str], data: JSONBody[ResourceFields], if_match: IfMatch = None
) -> Response[Resource]:
    """Say where a VEN is, and what else targets may know it by. To replace that needs If-Match."""
    return await _put(office, ven_id, WHOLE, data, if_match)


@delete("/{ven_id:str}", status_code=204, summary="Forget what a VEN itself is known by")
async def remove_ven(office: Desk, ven_id: FromPath[str], if_match: IfMatch = None) -> None:
    """Forget what a VEN is known by; the VEN stays. Needs If-Match."""
    await _remove(office, ven_id, WHOLE, if_match)


@get("/{ven_id:str}/{resource_id:str}", summary="A resource")
async def show_resource(office: Desk, ven_id: FromPath[str], resource_id: FromPath[str]) -> Response[Resource]:
    """One resource of a VEN."""
    return await _show(office, ven_id, resource_id)


@put("/{ven_id:str}/{resource_id:str}", summary="Keep a resource")
async def put_resource(
    office: Desk,
    ven_id: FromPath[str],
    resource_id: FromPath[str],
    data: JSONBody[ResourceFields],
    if_match: IfMatch = None,
) -> Response[Resource]:
    """Keep a resource of a VEN, whether that is known yet or not. To replace one needs If-Match."""
    return await _put(office, ven_id, resource_id, data, if_match)


@delete("/{ven_id:str}/{resource_id:str}", status_code=204, summary="Forget a resource")
async def remove_resource(
    office: Desk, ven_id: FromPath[str], resource_id: FromPath[str], if_match: IfMatch = None
) -> None:
    """Forget a resource, and in which groups it is. Needs If-Match."""
    await _remove(office, ven_id, resource_id, if_match)


router = Router(
    "/resources",
    route_handlers=[
        list_resources,
        show_ven,
        put_ven,
        remove_ven,
        show_resource,
        put_resource,
        remove_resource,
    ],
    tags=["groups"],
)
