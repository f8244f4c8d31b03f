"""The inbox: who wanted to register, and waits for an operator."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from pyopenadr.store.port import Knock
from pyopenadr.vtn.office import Office
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.field import Id, Text
from pyopenadr.vtn.rest.page import After, Limit, Page, paged
from pyopenadr.vtn.rest.problem import Refusal
from pyopenadr.vtn.rest.resource.admission import AdmissionView, view_of
from pyopenadr.vtn.rest.role import ENROLMENT

__all__ = ["router"]


class Acceptance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How somebody is let in: `ven_id` is the ID that it gets, `ven_name` a name that it must come with."""

    ven_id: Id | None = None
    ven_name: Text | None = None


async def _knock(office: Office, key: str) -> Knock:
    """Who has knocked so.

    Raises:
        Refusal: 404, nobody has.
    """
    found = await office.service.store.load_knock(key)
    if found is None:
        raise Refusal(404, f"nobody has knocked as {key!r}")
    return found


def _place(knock: Knock) -> str:
    return f"{knock.first_at.isoformat(timespec='microseconds')} {knock.key}"


@get("/", opt=ENROLMENT, summary="Who waits to be let in")
async def list_knocks(
    office: Desk,
    rejected: Annotated[bool, QueryParameter(description="Those that have been rejected instead.")] = False,
    after: After = None,
    limit: Limit = 100,
) -> Page[Knock]:
    """The VENs that nobody knows and that wanted to register, those that came first first.

    Only the fingerprint is sure, and the common name as far as the authority is to be trusted.
    """
    found = sorted(await office.server.knocks(rejected=rejected), key=_place)
    return paged(found, _place, after, limit)


@get("/{key:str}", opt=ENROLMENT, summary="One of them")
async def show_knock(office: Desk, key: FromPath[str]) -> Knock:
    """Who has knocked under that key: the fingerprint, or of those without a certificate `name` and their name."""
    return await _knock(office, key)


@post("/{key:str}/accept", opt=ENROLMENT, summary="Let in who has knocked")
async def accept(office: Desk, key: FromPath[str], data: JSONBody[Acceptance]) -> Response[AdmissionView]:
    """Put it on the list of those allowed; it is registered when it tries again. One that was rejected may be too."""
    await _knock(office, key)
    made = await office.server.accept(key, ven_id=data.ven_id, ven_name=data.ven_name)
    return Response(view_of(made), status_code=201)


@post("/{key:str}/reject", opt=ENROLMENT, status_code=204, summary="Keep out who has knocked")
async def reject(office: Desk, key: FromPath[str]) -> None:
    """It is told 463 for good, and waits no more."""
    await _knock(office, key)
    await office.server.reject(key)


@delete("/{key:str}", opt=ENROLMENT, status_code=204, summary="Take a knock out of the inbox")
async def forget(office: Desk, key: FromPath[str]) -> None:
    """Forget it without an answer; if that VEN comes again, it knocks anew."""
    await _knock(office, key)
    await office.server.forget_knock(key)


router = Router("/inbox", route_handlers=[list_knocks, show_knock, accept, reject, forget], tags=["enrolment"])
