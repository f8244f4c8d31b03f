"""The audit."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Router, get
from litestar.params import FromQuery, QueryParameter

from pyopenadr.store.ledger import Record
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.page import After, Limit, Page
from pyopenadr.vtn.rest.problem import Refusal

__all__ = ["router"]


@get("/audit", summary="The audit")
async def list_records(
    office: Desk,
    ven_id: FromQuery[str | None] = None,
    event_id: FromQuery[str | None] = None,
    request_id: FromQuery[str | None] = None,
    direction: Annotated[
        Literal["in", "out", "api"] | None,
        QueryParameter(description="From VENs, to VENs, or by the API."),
    ] = None,
    after: After = None,
    limit: Limit = 100,
) -> Page[Record]:
    """Messages in and out, as far as they are kept, and who has changed what by the API; newest first."""
    if after is not None and not (after.isascii() and after.isdigit() and len(after) < 19):
        raise Refusal(422, "after must be the `next` of the page before")
    found = await office.ledger.list_records(
        ven_id=ven_id,
        event_id=event_id,
        request_id=request_id,
        direction=direction,
        before=int(after) if after is not None else None,
        limit=limit + 1,
    )
    more = len(found) > limit
    return Page(items=found[:limit], next=str(found[limit - 1].seq) if more else None)


router = Router("/", route_handlers=[list_records], tags=["audit"])
