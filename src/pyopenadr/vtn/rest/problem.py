"""Errors of the API: problem details for HTTP (RFC 9457)."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from pyopenadr.errors import ConfigError, ModelError, OpenADRError, ProtocolError, StoreError

__all__ = ["HANDLERS", "MEDIA_TYPE", "Problem", "Refusal", "of_status"]

log = logging.getLogger("pyopenadr.vtn")

MEDIA_TYPE = "application/problem+json"

_TITLES = {
    400: "The request is not well-formed",
    401: "A token is needed",
    403: "The token's role does not allow that",
    404: "There is no such thing",
    405: "The method is not allowed here",
    409: "That is in conflict with what is there",
    412: "It has changed in the meantime",
    413: "The request is too large",
    415: "The body must be JSON",
    422: "That makes no sense",
    428: "Say which version you have seen",
    429: "Too many wrong tokens",
    500: "The server failed on this request",
    503: "Not now; try again",
}


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong. `rule` is the conformance rule that forbids it, `code` OpenADR's response code for it,
    `errors` what is wrong with which part of the request."""

    title: str
    status: int
    detail: str | None = None
    type: str = "about:blank"
    rule: str | None = None
    code: str | None = None
    errors: list[dict[str, str]] | None = None


class Refusal(Exception):
    """A request that is answered by a problem."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def of_status(status: int, detail: str | None = None, **more: Any) -> Problem:
    """The problem of an HTTP status."""
    return Problem(title=_TITLES.get(status, f"HTTP status {status}"), status=status, detail=detail, **more)


def _reply(problem: Problem, headers: dict[str, str] | None = None) -> Response[Any]:
    return Response(problem, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def _refused(_: Request[Any, Any, Any], error: Refusal) -> Response[Any]:
    return _reply(of_status(error.status, error.detail))


def _openadr(_: Request[Any, Any, Any], error: OpenADRError) -> Response[Any]:
    """Our own errors: what is wrong in itself is 422, what does not fit to what is there 409."""
    if isinstance(error, StoreError):
        log.error("the API can't be served: %s", error)
        return _reply(of_status(503, str(error)), {"retry-after": "5"})
    rule = error.rule if isinstance(error, ModelError | ProtocolError) else None
    if isinstance(error, ProtocolError):
        return _reply(of_status(409, str(error), rule=rule, code=error.code))
    if isinstance(error, ModelError | ConfigError):
        return _reply(of_status(422, str(error), rule=rule))
    log.exception("a request to the API failed", exc_info=error)
    return _reply(of_status(500, str(error)))


def _http(_: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """The framework's errors."""
    errors = None
    if isinstance(error.extra, list):
        errors = [{str(key): str(value) for key, value in one.items()} for one in error.extra if isinstance(one, dict)]
    problem = of_status(error.status_code, error.detail or None, errors=errors)
    return _reply(problem, dict(error.headers or {}))


def _overflow(_: Request[Any, Any, Any], error: OverflowError) -> Response[Any]:
    return _reply(of_status(422, f"a number or a time is too large: {error}"))


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _reply(of_status(500))


HANDLERS: Any = {
    Refusal: _refused,
    OpenADRError: _openadr,
    HTTPException: _http,
    OverflowError: _overflow,
    Exception: _unexpected,
}
"""The handlers of exceptions, as Litestar takes them."""
