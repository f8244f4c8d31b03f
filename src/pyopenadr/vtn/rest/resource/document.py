"""The API's description: OpenAPI 3.1 for programs, and a page for people that needs nothing from elsewhere."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get

from pyopenadr.vtn.rest.browser import PAGE
from pyopenadr.vtn.rest.role import OPEN

__all__ = ["router"]

_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'"
)


@get("/openapi.json", include_in_schema=False, opt=OPEN)
async def document(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The OpenAPI document."""
    schema: dict[str, Any] = request.app.openapi_schema.to_schema()
    return schema


@get("/docs", include_in_schema=False, opt=OPEN)
async def browser() -> Response[str]:
    """The page that shows the document, and tries requests."""
    headers = {"content-security-policy": _POLICY, "x-content-type-options": "nosniff", "x-frame-options": "DENY"}
    return Response(PAGE, media_type="text/html; charset=utf-8", headers=headers)


router = Router("/", route_handlers=[document, browser])
