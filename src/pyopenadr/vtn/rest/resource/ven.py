"""VENs."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from pyopenadr.model import Registration
from pyopenadr.vtn.office import Office
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.page import After, Limit, Page, paged
from pyopenadr.vtn.rest.problem import Refusal
from pyopenadr.vtn.rest.role import ENROLMENT
from pyopenadr.vtn.rest.version import tag_of

__all__ = ["known", "router"]


class NewVen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A VEN that has its IDs by other means than a registration message. `profile` is 2.0a or 2.0b."""

    ven_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    ven_name: str | None = None
    profile: str = "2.0b"


def known(office: Office, ven_id: str) -> Registration:
    """The VEN with that ID as it is now.

    Raises:
        Refusal: 404, there is none.
    """
    registration = office.service.registration(ven_id)
    if registration is None:
        raise Refusal(404, f"there is no VEN {ven_id!r}")
    return _now(office, registration)


def _now(office: Office, registration: Registration) -> Registration:
    return msgspec.structs.replace(
        registration,
        online=office.watch.is_online(registration.ven_id),
        last_seen=office.watch.last_seen(registration),
    )


@get("/", opt=ENROLMENT, summary="VENs")
async def list_vens(
    office: Desk,
    search: Annotated[str | None, QueryParameter(description="A part of the ID or of the name, in any case.")] = None,
    online: FromQuery[bool | None] = None,
    registered: FromQuery[bool | None] = None,
    profile: FromQuery[str | None] = None,
    fingerprint: FromQuery[str | None] = None,
    after: After = None,
    limit: Limit = 100,
) -> Page[Registration]:
    """The VENs that are known, registered or not, by their IDs."""
    part = search.lower() if search else ""

    def is_wanted(ven: Registration) -> bool:
        return (
            (not part or part in ven.ven_id.lower() or part in (ven.ven_name or "").lower())
            and online in (None, office.watch.is_online(ven.ven_id))
            and registered in (None, ven.registration_id is not None)
            and profile in (None, ven.profile)
            and fingerprint in (None, ven.fingerprint)
        )

    found = sorted(filter(is_wanted, office.service.registrations), key=lambda ven: ven.ven_id)
    page = paged(found, lambda ven: ven.ven_id, after, limit)
    return Page(items=[_now(office, ven) for ven in page.items], next=page.next)


@post("/", opt=ENROLMENT, summary="Admit a VEN")
async def add_ven(office: Desk, data: JSONBody[NewVen]) -> Response[Registration]:
    """Register a VEN that has its IDs by other means (2.0b rule 405; 2.0a). One that is registered stays so."""
    made = await office.server.add_ven(data.ven_id, ven_name=data.ven_name, profile=data.profile)
    where = f"/api/vens/{quote(made.ven_id, safe='')}"
    return Response(made, status_code=201, headers={"location": where, "etag": tag_of(made)})


@get("/{ven_id:str}", opt=ENROLMENT, summary="A VEN")
async def show_ven(office: Desk, ven_id: FromPath[str]) -> Registration:
    """One VEN."""
    return known(office, ven_id)


@delete("/{ven_id:str}", opt=ENROLMENT, status_code=204, summary="End a registration, or forget a VEN")
async def remove_ven(
    office: Desk,
    ven_id: FromPath[str],
    forget: Annotated[
        bool,
        QueryParameter(description="Forget the VEN at once with all that it has said; it is not told."),
    ] = False,
) -> None:
    """Tell a VEN that its registration ends, which it does when the VEN has answered; or forget it."""
    ven = known(office, ven_id)
    if forget:
        await office.service.remove(ven_id)
    elif ven.registration_id is not None:
        await office.server.cancel_registration(ven_id)


@post("/{ven_id:str}/reregister", opt=ENROLMENT, status_code=202, summary="Ask a VEN to register again")
async def reregister(office: Desk, ven_id: FromPath[str]) -> None:
    """Ask a VEN to register again with its IDs."""
    known(office, ven_id)
    await office.server.request_reregistration(ven_id)


router = Router("/vens", route_handlers=[list_vens, add_ven, show_ven, remove_ven, reregister], tags=["VENs"])
