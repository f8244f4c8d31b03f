"""How the VTN is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Router, get

from pyopenadr.store.ledger import Role, Token
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.role import ENROLMENT

__all__ = ["router"]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The VTN at a glance. `unsaved` are notices and lines of the audit that wait for the database."""

    vtn_id: str
    version: str
    now: datetime
    vens: int
    registered: int
    online: int
    open_events: int
    unsaved: int


class Whoami(msgspec.Struct, frozen=True, kw_only=True):
    """Whose token this is, and what it may do."""

    token_id: str
    name: str
    role: Role
    expires_at: datetime | None


@get("/health", opt=ENROLMENT, summary="The VTN at a glance")
async def health(office: Desk) -> Health:
    """How many VENs and events there are, and whether the store works."""
    from importlib.metadata import version

    await office.ledger.last_notice()  # raises if the store can't be read
    known = office.service.registrations
    return Health(
        vtn_id=office.server.vtn_id,
        version=version("pyopenadr"),
        now=office.clock.now(),
        vens=len(known),
        registered=sum(ven.registration_id is not None for ven in known),
        online=sum(office.watch.is_online(ven.ven_id) for ven in known),
        open_events=len(office.service.open_events),
        unsaved=office.notices.waiting + office.records.waiting,
    )


@get("/whoami", opt=ENROLMENT, summary="Whose token this is")
async def whoami(request: Request[Token, None, Any]) -> Whoami:
    """The token of this request."""
    token = request.user
    return Whoami(token_id=token.token_id, name=token.name, role=token.role, expires_at=token.expires_at)


router = Router("/", route_handlers=[health, whoami], tags=["health"])
