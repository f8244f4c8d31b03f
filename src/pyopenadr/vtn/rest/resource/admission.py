"""The list of those that may register."""

from __future__ import annotations

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.params import FromPath, JSONBody

from pyopenadr.store.port import Admission
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.field import Id, Text
from pyopenadr.vtn.rest.page import After, Limit, Page, paged
from pyopenadr.vtn.rest.problem import Refusal
from pyopenadr.vtn.rest.role import ENROLMENT

__all__ = ["AdmissionView", "router", "view_of"]


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


router = Router("/allow-list", route_handlers=[list_allowed, allow, disallow], tags=["enrolment"])
