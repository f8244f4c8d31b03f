"""Reports of VENs: what they offer, what they are asked for, what they have measured."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from pyopenadr.model import Capability, ReportRequest
from pyopenadr.model.time import ZERO, Duration, as_utc
from pyopenadr.store.port import StoredReading, StoredRequest
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.field import Id, Instant
from pyopenadr.vtn.rest.measured import ReadingView, view_of
from pyopenadr.vtn.rest.page import After, Limit, Page
from pyopenadr.vtn.rest.problem import Refusal
from pyopenadr.vtn.rest.resource.ven import known

__all__ = ["router"]


class NewRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A report to ask for. Without `r_ids` all data points are meant. METADATA asks for the list of reports.

    A zero `report_back_duration` asks for one report at once; a zero `duration` for reports for ever.
    """

    report_specifier_id: Id
    r_ids: tuple[Id, ...] | None = None
    granularity: Duration = ZERO
    report_back_duration: Duration = ZERO
    start: Instant | None = None
    duration: Duration = ZERO


@get("/capabilities", summary="What a VEN can report")
async def list_capabilities(office: Desk, ven_id: FromPath[str]) -> Page[Capability]:
    """The reports that a VEN offers, all of them in one page."""
    known(office, ven_id)
    return Page(items=await office.server.capabilities(ven_id))


@get("/report-requests", summary="What a VEN is asked to report")
async def list_requests(office: Desk, ven_id: FromPath[str]) -> Page[StoredRequest]:
    """The report requests in force, all of them in one page; `confirmed` says that the VEN has accepted."""
    known(office, ven_id)
    return Page(items=await office.server.report_requests(ven_id))


@post("/report-requests", summary="Ask a VEN for a report")
async def add_request(office: Desk, ven_id: FromPath[str], data: JSONBody[NewRequest]) -> Response[ReportRequest]:
    """Ask a VEN for a report that it offers; it learns of it when it polls."""
    known(office, ven_id)
    made = await office.server.request_report(
        ven_id,
        report_specifier_id=data.report_specifier_id,
        r_ids=data.r_ids or None,
        granularity=data.granularity,
        report_back_duration=data.report_back_duration,
        start=data.start,
        duration=data.duration,
    )
    return Response(made, status_code=201)


@delete("/report-requests/{report_request_id:str}", status_code=204, summary="Stop a report")
async def remove_request(
    office: Desk,
    ven_id: FromPath[str],
    report_request_id: FromPath[str],
    one_more: Annotated[bool, QueryParameter(description="The VEN shall deliver once more (2.0b rule 335).")] = False,
) -> None:
    """Have a VEN stop a report."""
    known(office, ven_id)
    requests = await office.server.report_requests(ven_id)
    if all(stored.request.report_request_id != report_request_id for stored in requests):
        raise Refusal(404, f"VEN {ven_id!r} is not asked for a report {report_request_id!r}")
    await office.server.cancel_report(ven_id, report_request_id, one_more=one_more)


@get("/readings", summary="What a VEN has measured")
async def list_readings(
    office: Desk,
    ven_id: FromPath[str],
    report_specifier_id: FromQuery[str | None] = None,
    r_id: FromQuery[str | None] = None,
    start: Annotated[Instant | None, QueryParameter(description="Readings from then on.")] = None,
    end: Annotated[Instant | None, QueryParameter(description="Readings before then.")] = None,
    after: After = None,
    limit: Limit = 100,
) -> Page[ReadingView]:
    """Readings by their start, then by rID. A value that is not a number is null."""
    known(office, ven_id)
    start = as_utc(start) if start is not None else None
    end = as_utc(end) if end is not None else None
    place = _place(after) if after is not None else None
    if place is not None:
        start = place[0]
    asked = limit + 1
    while True:  # the readings of one instant may fill more than a page
        found = await office.server.readings(
            ven_id, report_specifier_id=report_specifier_id, r_id=r_id, start=start, end=end, limit=asked
        )
        left = [stored for stored in found if place is None or _key(stored) > place]
        if len(left) > limit or len(found) < asked:
            break
        asked *= 2
    more = len(left) > limit
    return Page(items=[view_of(stored) for stored in left[:limit]], next=_cursor(left[limit - 1]) if more else None)


def _key(stored: StoredReading) -> tuple[datetime, str, str]:
    return stored.reading.start, stored.reading.r_id, stored.report_specifier_id


def _cursor(stored: StoredReading) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(_key(stored))).decode()


def _place(after: str) -> tuple[datetime, str, str]:
    try:
        place = msgspec.json.decode(base64.urlsafe_b64decode(after.encode()), type=tuple[Instant, str, str])
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise Refusal(422, "after must be the `next` of the page before") from error
    return place


router = Router(
    "/vens/{ven_id:str}",
    route_handlers=[list_capabilities, list_requests, add_request, remove_request, list_readings],
    tags=["reports"],
)
