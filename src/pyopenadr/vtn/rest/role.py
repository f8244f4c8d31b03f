"""Who may do what: a route that says nothing is read by operators and viewers, and changed by operators."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from pyopenadr.store.ledger import Role, Token
from pyopenadr.vtn.rest.problem import Refusal

__all__ = ["ENROLMENT", "OPEN", "OPERATOR", "check_role"]

_READ = frozenset({Role.OPERATOR, Role.VIEWER})
_CHANGE = frozenset({Role.OPERATOR})

ENROLMENT: dict[str, Any] = {"also": Role.ENROLMENT}
"""The `opt` of a route that is also for those who look after VENs."""

OPERATOR: dict[str, Any] = {"only": Role.OPERATOR}
"""The `opt` of a route that is for operators alone, although it only reads."""

OPEN: dict[str, Any] = {"open": True}
"""The `opt` of a route that needs no token; `pyopenadr.vtn.rest.gate` names them too."""


async def check_role(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse a token whose role is not served by the route."""
    if "open" in handler.opt:
        return
    token: Token = connection.scope["user"]
    roles = _READ if connection.scope.get("method") in ("GET", "HEAD") else _CHANGE
    if "only" in handler.opt:
        roles = _CHANGE
    if token.role not in roles and token.role is not handler.opt.get("also"):
        raise Refusal(403, f"the token {token.name!r} has the role {token.role.value}")
