"""What the VENs have measured, all of them or those of a group."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

from litestar import Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream

from pyopenadr.model.time import as_utc
from pyopenadr.vtn.office import Office
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.field import Instant
from pyopenadr.vtn.rest.measured import ReadingView, view_of
from pyopenadr.vtn.rest.page import After, Limit, Page
from pyopenadr.vtn.rest.problem import Refusal

__all__ = ["router"]

VenIds = Annotated[list[str] | None, QueryParameter(name="ven_id", description="Only of this VEN; may be repeated.")]
GroupId = Annotated[str | None, QueryParameter(description="Only of the members of this group.")]
ResourceId = Annotated[str | None, QueryParameter(description="Only data points that measure this resource alone.")]
From = Annotated[Instant | None, QueryParameter(description="Readings from then on.")]
Until = Annotated[Instant | None, QueryParameter(description="Readings before then.")]


async def _chosen(
    office: Desk,
    ven_ids: VenIds = None,
    group_id: GroupId = None,
    resource_id: ResourceId = None,
    report_specifier_id: FromQuery[str | None] = None,
    r_id: FromQuery[str | None] = None,
    start: From = None,
    end: Until = None,
) -> dict[str, Any]:
    """The filters of the query as the server takes them.

    Raises:
        Refusal: 404, there is no such group.
    """
    if group_id is not None and group_id not in {group.group_id for group in await office.server.groups()}:
        raise Refusal(404, f"there is no group {group_id!r}")
    return {
        "ven_ids": ven_ids,
        "group_id": group_id,
        "resource_id": resource_id,
        "report_specifier_id": report_specifier_id,
        "r_id": r_id,
        "start": None if start is None else as_utc(start),
        "end": None if end is None else as_utc(end),
    }


Chosen = NamedDependency[dict[str, Any]]


@get("/", summary="What VENs have measured")
async def list_readings(
    office: Desk,
    chosen: Chosen,
    after: After = None,
    limit: Limit = 100,
) -> Page[ReadingView]:
    """Readings of many VENs, by VEN, start, rID and report; all that is given must be so."""
    found = await office.server.find_readings(limit=limit, after=after, **chosen)
    return Page(items=[view_of(stored) for stored in found.readings], next=found.after)


@get("/export", summary="Readings as a file", media_type="text/csv")
async def export_readings(
    office: Desk,
    chosen: Chosen,
    file_format: Annotated[
        Literal["csv", "parquet"], QueryParameter(name="format", description="Parquet needs pyarrow at the VTN.")
    ] = "csv",
) -> Response[Any]:
    """All that is chosen, as CSV, a line for each reading as it is read; or as a Parquet file."""
    headers = {"content-disposition": f'attachment; filename="readings.{file_format}"'}
    if file_format == "parquet":
        data = await _parquet(office, chosen)
        return Response(data, media_type="application/vnd.apache.parquet", headers=headers)
    pieces: AsyncIterator[str] = await office.server.csv_of_readings(**chosen)
    return Stream(pieces, media_type="text/csv; charset=utf-8", headers=headers)


async def _parquet(office: Office, chosen: dict[str, Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "readings.parquet"
        await office.server.export_readings(path, **chosen)
        return await asyncio.to_thread(path.read_bytes)


router = Router(
    "/readings",
    route_handlers=[list_readings, export_readings],
    tags=["reports"],
    dependencies={"chosen": Provide(_chosen)},
)
