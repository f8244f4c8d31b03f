"""Versions of things: an entity tag for each, and the check that nobody overwrites what he has not seen (RFC 9110)."""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec
from litestar.params import HeaderParameter

from pyopenadr.vtn.rest.problem import Refusal

__all__ = ["IfMatch", "check_version", "tag_of"]

IfMatch = Annotated[
    str | None,
    HeaderParameter(name="If-Match", description="The ETag of the version that you have seen, or * for any."),
]


def tag_of(value: object) -> str:
    """The entity tag of a value: the same for the same content."""
    return f'"{hashlib.sha256(msgspec.json.encode(value)).hexdigest()[:32]}"'


def check_version(value: object, if_match: str | None, *, needed: bool = True) -> None:
    """Whether `value` is the version that the client has seen.

    Raises:
        Refusal: 428, it does not say which; 412, it is another one.
    """
    if if_match is None:
        if needed:
            raise Refusal(
                428, "send If-Match with the ETag that a GET has given you, or * to overwrite whatever is there"
            )
        return
    wanted = {tag.strip() for tag in if_match.split(",")}
    if "*" not in wanted and tag_of(value) not in wanted:
        raise Refusal(
            412, "somebody has changed it since you have read it: GET it again, and see whether you still want to"
        )
