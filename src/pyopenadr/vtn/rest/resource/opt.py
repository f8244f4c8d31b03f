"""What VENs say of their availability by EiOpt."""

from __future__ import annotations

from litestar import Router, get
from litestar.params import FromPath

from pyopenadr.model import Opt
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.page import Page
from pyopenadr.vtn.rest.resource.ven import known

__all__ = ["router"]


@get("/vens/{ven_id:str}/opts", summary="The opts of a VEN")
async def list_opts(office: Desk, ven_id: FromPath[str]) -> Page[Opt]:
    """A VEN's schedules that are in force (2.0b rule 203), and its word on events, all of them in one page."""
    known(office, ven_id)
    return Page(items=await office.server.opts(ven_id))


router = Router("/", route_handlers=[list_opts], tags=["opts"])
