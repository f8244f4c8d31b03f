"""The API's application."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Router
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from pyopenadr.vtn.office import Office
from pyopenadr.vtn.rest.gate import SLASH, Gate
from pyopenadr.vtn.rest.problem import HANDLERS
from pyopenadr.vtn.rest.resource import RESOURCES
from pyopenadr.vtn.rest.role import check_role

__all__ = ["make_api"]

_ABOUT = """\
How a VTN is run. Every request needs a bearer token (`pyopenadr token create`): an operator's for everything, a
viewer's to read, one for enrolment to look after VENs.

Lists come in pages (`limit`, `after`). Errors are problem details (RFC 9457). What is changed needs If-Match with the
ETag that was seen. A POST with an Idempotency-Key may be repeated until it is answered, and is done once. Instants are
RFC 3339 with a time zone, durations ISO 8601 (`PT15M`)."""


def make_api(office: Office) -> Gate:
    """The API as an ASGI application for everything under `/api`."""
    from importlib.metadata import version

    def provide() -> Office:
        return office

    app = Litestar(
        [Router("/api", route_handlers=list(RESOURCES))],
        dependencies={"office": Provide(provide, sync_to_thread=False)},
        guards=[_mend_ids, check_role],
        exception_handlers=HANDLERS,
        openapi_config=OpenAPIConfig(
            title="pyopenadr VTN",
            version=version("pyopenadr"),
            description=_ABOUT,
            components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
            security=[{"token": []}],
        ),
        request_max_body_size=1024 * 1024,
        debug=False,
        logging_config=None,
    )
    return Gate(app, office)  # type: ignore[arg-type]  # Litestar's own names for the same ASGI types


async def _mend_ids(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Put the slashes back into the IDs of the path."""
    parts: dict[str, Any] = connection.scope["path_params"]
    for name, value in parts.items():
        if isinstance(value, str):
            parts[name] = value.replace(SLASH, "/")
