"""What happens, as a list and as a stream of server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from litestar import Router, get
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream

from pyopenadr.store.ledger import Notice
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.page import Limit, Page

__all__ = ["router"]

_Position = Annotated[int | None, QueryParameter(ge=0, le=2**53, description="The seq of the last one seen.")]


@get("/changes", summary="What has happened")
async def list_changes(office: Desk, after: _Position = None, limit: Limit = 100) -> Page[Notice]:
    """What has happened in the last seven days, oldest first."""
    found = await office.ledger.list_notices(after=after or 0, limit=limit + 1)
    more = len(found) > limit
    return Page(items=found[:limit], next=str(found[limit - 1].seq) if more else None)


@get("/changes/stream", summary="What happens, as it happens", media_type="text/event-stream")
async def stream_changes(
    office: Desk,
    after: _Position = None,
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
) -> Stream:
    """Server-sent events without an end: from now on, or after the one with that number (also as Last-Event-ID)."""
    if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 17:
        after = int(last_event_id)

    async def lines() -> AsyncIterator[bytes]:
        yield b": the changes of this VTN\n\n"
        async for notice in office.follow(after):
            if notice is None:
                yield b": still here\n\n"
            else:
                data = msgspec.json.encode(notice)
                yield b"id: %d\nevent: %s\ndata: %s\n\n" % (notice.seq, notice.kind.encode(), data)

    return Stream(lines(), media_type="text/event-stream", headers={"cache-control": "no-store"})


router = Router("/", route_handlers=[list_changes, stream_changes], tags=["changes"])
