"""Messages and structures of the EiOpt service."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from pyopenadr.v2.text import ANY_URI, one_of
from pyopenadr.v2.wire.base import Message
from pyopenadr.v2.wire.common import SCHEMA_VERSION, EiResponse, EiTarget
from pyopenadr.v2.wire.enumeration import OPT_REASONS, OPT_TYPES
from pyopenadr.v2.wire.report import WsCalendarInterval

__all__ = ["OadrCancelOpt", "OadrCanceledOpt", "OadrCreateOpt", "OadrCreatedOpt"]


class OadrCreateOpt(Message, frozen=True, kw_only=True):
    """The VEN's availability, or its word on one event (VEN to VTN; 2.0b rules 200 to 211)."""

    tag: ClassVar[str] = "oadr:oadrCreateOpt"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    opt_id: Annotated[str, "ei:optID"]
    opt_type: Annotated[str, "ei:optType", one_of("optType", OPT_TYPES)]
    opt_reason: Annotated[str, "ei:optReason", one_of("optReason", OPT_REASONS, extensible=True)]
    market_context: Annotated[str | None, "emix:marketContext", ANY_URI] = None
    ven_id: Annotated[str, "ei:venID"]
    vavailability: Annotated[
        tuple[WsCalendarInterval, ...] | None, "xcal:vavailability/xcal:components/xcal:available"
    ] = None
    created_date_time: Annotated[datetime, "ei:createdDateTime"]
    request_id: Annotated[str, "pyld:requestID"]
    event_id: Annotated[str | None, "ei:qualifiedEventID/ei:eventID"] = None
    modification_number: Annotated[int | None, "ei:qualifiedEventID/ei:modificationNumber"] = None
    target: Annotated[EiTarget, "ei:eiTarget"]
    device_class: Annotated[EiTarget | None, "oadr:oadrDeviceClass"] = None


class OadrCreatedOpt(Message, frozen=True, kw_only=True):
    """The VTN has taken note of the opt."""

    tag: ClassVar[str] = "oadr:oadrCreatedOpt"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    response: Annotated[EiResponse, "ei:eiResponse"]
    opt_id: Annotated[str, "ei:optID"]


class OadrCancelOpt(Message, frozen=True, kw_only=True):
    """The VEN takes an availability schedule back (2.0b rules 204, 211)."""

    tag: ClassVar[str] = "oadr:oadrCancelOpt"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    request_id: Annotated[str, "pyld:requestID"]
    opt_id: Annotated[str, "ei:optID"]
    ven_id: Annotated[str, "ei:venID"]


class OadrCanceledOpt(Message, frozen=True, kw_only=True):
    """The VTN has dropped the opt."""

    tag: ClassVar[str] = "oadr:oadrCanceledOpt"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    response: Annotated[EiResponse, "ei:eiResponse"]
    opt_id: Annotated[str | None, "ei:optID"] = None
