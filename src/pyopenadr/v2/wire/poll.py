"""The one message of the OadrPoll service."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pyopenadr.v2.wire.base import Message
from pyopenadr.v2.wire.common import SCHEMA_VERSION

__all__ = ["OadrPoll"]


class OadrPoll(Message, frozen=True, kw_only=True):
    """A pull VEN asks what waits for it (VEN to VTN; 2.0b rule 500)."""

    tag: ClassVar[str] = "oadr:oadrPoll"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    ven_id: Annotated[str, "ei:venID"]
