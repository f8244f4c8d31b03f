"""Errors and response codes: what an `ei:eiResponse` says, and which of our errors stands for it (2.0b rule 48).

The exact number is information; what counts is the first digit: 2 is success, 4 the requester's error, 5 ours. So
every function takes any three digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pyopenadr.errors import (
    ModelError,
    OpenADRError,
    PeerRefused,
    ProtocolError,
    SignatureInvalid,
    WireError,
)
from pyopenadr.v2 import wire

__all__ = ["CODES", "code_of", "error_of", "fault", "is_success", "raise_for", "response", "response_of"]

CODES: Mapping[str, str] = MappingProxyType(
    {
        "200": "OK",
        "450": "out of sequence",
        "451": "not allowed",
        "452": "invalid ID",
        "453": "not recognised",
        "454": "invalid data",
        "459": "compliance error",
        "460": "signal not supported",
        "461": "report not supported",
        "462": "target mismatch",
        "463": "not registered or not authorised",
        "469": "deployment error",
        "500": "internal error",
    }
)
"""The codes that we send, with their meaning. Peers may send any three digits."""


def is_success(code: str) -> bool:
    """Whether the code says that all went well (its first digit is 2)."""
    return code.startswith("2")


def code_of(error: OpenADRError) -> str:
    """The response code that tells a peer of `error`.

    A value without meaning is 454, an unreadable message 459, a bad signature 463; protocol errors and refusals bring
    their own code; everything else is our fault: 500.
    """
    if isinstance(error, ProtocolError | PeerRefused):
        return error.code
    if isinstance(error, ModelError):
        return "454"
    if isinstance(error, SignatureInvalid):
        return "463"
    if isinstance(error, WireError):
        return "459"
    return "500"


def response(request_id: str = "", code: str = "200", description: str | None = None) -> wire.EiResponse:
    """An eiResponse. `request_id` echoes the request's (2.0b rules 207, 303); the description defaults to the
    meaning of the code."""
    return wire.EiResponse(
        response_code=code,
        response_description=CODES.get(code) if description is None else description,
        request_id=request_id,
    )


def fault(error: OpenADRError, request_id: str = "") -> wire.EiResponse:
    """The eiResponse that tells a peer of `error`.

    What went wrong inside (500) is nobody else's business, so then the text only says that something did.
    """
    code = code_of(error)
    if isinstance(error, PeerRefused) and error.description:
        return response(request_id, code, error.description)
    return response(request_id, code, None if code == "500" else str(error))


def response_of(message: wire.Message) -> wire.EiResponse | None:
    """The message's own eiResponse, if it has one."""
    found = message.get("response")
    return found if isinstance(found, wire.EiResponse) else None


def raise_for(message: wire.Message) -> None:
    """Pass over success, and over messages without an eiResponse.

    Raises:
        PeerRefused: the message carries an error code.
    """
    found = response_of(message)
    if found is not None and not is_success(found.response_code):
        raise PeerRefused(found.response_code, found.response_description or None, message_type=message.message_type)


def error_of(code: str, description: str | None = None) -> OpenADRError:
    """The error that stands for a peer's error code; the way back from `code_of`."""
    return PeerRefused(code, description or CODES.get(code))
