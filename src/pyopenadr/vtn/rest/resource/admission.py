"""The list of those that may register."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from pyopenadr.store.port import Admission
from pyopenadr.vtn.intake import Enrollee, Intake
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.field import Id, Text
from pyopenadr.vtn.rest.page import After, Limit, Page, paged
from pyopenadr.vtn.rest.problem import Refusal
from pyopenadr.vtn.rest.role import ENROLMENT

__all__ = ["AdmissionView", "router", "view_of"]


_MOST_BULK: Final = 32 * 1024 * 1024


class AdmissionView(msgspec.Struct, frozen=True, kw_only=True):
    """A VEN that may register: one to which all that is given applies. `key` is what it is found by.

    `ven_id` is the ID that it has or will get; alone it stands for a VEN that comes with that ID.
    """

    key: str
    fingerprint: str | None
    common_name: str | None
    ven_name: str | None
    ven_id: str | None


class NewAdmission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may register; give at least one of these. The fingerprint is that of OpenADR, or a whole SHA-256, in hex."""

    fingerprint: Text | None = None
    common_name: Text | None = None
    ven_name: Text | None = None
    ven_id: Id | None = None


def view_of(admission: Admission) -> AdmissionView:
    """The entry with its key."""
    return AdmissionView(key=admission.key, **msgspec.structs.asdict(admission))


@get("/", opt=ENROLMENT, summary="Who may register")
async def list_allowed(office: Desk, after: After = None, limit: Limit = 100) -> Page[AdmissionView]:
    """The list, by key; `ven_id` says who somebody has become."""
    found = sorted(map(view_of, await office.server.allowed()), key=lambda one: one.key)
    return paged(found, lambda one: one.key, after, limit)


@post("/", opt=ENROLMENT, summary="Let a VEN register")
async def allow(office: Desk, data: JSONBody[NewAdmission]) -> Response[AdmissionView]:
    """Put a VEN on the list, without a knock; an entry with its key is replaced."""
    made = await office.server.allow(**msgspec.structs.asdict(data))
    return Response(view_of(made), status_code=201)


@delete("/{key:str}", opt=ENROLMENT, status_code=204, summary="Take a VEN off the list")
async def disallow(office: Desk, key: FromPath[str]) -> None:
    """Take an entry off the list. A VEN that has registered already stays; see its fingerprints."""
    if not await office.service.store.delete_admission(key):
        raise Refusal(404, f"{key!r} is not on the list")


class Newcomers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Many VENs that are to come. `line` of each says where it stands in your own list, for what is wrong with it."""

    vens: tuple[Enrollee, ...]


@post(
    "/bulk",
    opt=ENROLMENT,
    status_code=200,
    request_max_body_size=_MOST_BULK,
    summary="Let many VENs register",
)
async def allow_many(
    office: Desk,
    data: JSONBody[Newcomers],
    dry_run: Annotated[bool, QueryParameter(description="Only look whether that would do.")] = False,
) -> Response[Intake]:
    """Put VENs on the list and into groups, and say how often they poll; if anything is wrong, nothing (422)."""
    found = await office.server.enrol(data.vens, dry_run=dry_run)
    return Response(found, status_code=422 if found.faults and not dry_run else 200)


router = Router("/allow-list", route_handlers=[list_allowed, allow, allow_many, disallow], tags=["enrolment"])
