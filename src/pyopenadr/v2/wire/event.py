"""Messages and structures of the EiEvent service."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from pyopenadr.model.time import Duration
from pyopenadr.v2.text import ANY_URI, RESPONSE_CODE, one_of
from pyopenadr.v2.wire.base import AtLeast, Message, Opaque, Wire
from pyopenadr.v2.wire.common import ITEM_BASE, SCHEMA_VERSION, EiResponse, EiTarget, Interval, ItemBase
from pyopenadr.v2.wire.enumeration import (
    EVENT_STATUSES,
    OPT_TYPES,
    RESPONSE_REQUIRED,
    SIGNAL_NAMES,
    SIGNAL_TYPES,
)

__all__ = [
    "ActivePeriod",
    "EiEventBaseline",
    "EiEventSignal",
    "EventDescriptor",
    "EventResponse",
    "OadrCreatedEvent",
    "OadrDistributeEvent",
    "OadrEvent",
    "OadrRequestEvent",
    "OadrResponse",
]


class EventDescriptor(Wire, frozen=True, kw_only=True):
    """What event it is, in which version and state (`ei:eventDescriptor`)."""

    event_id: Annotated[str, "ei:eventID"]
    modification_number: Annotated[int, "ei:modificationNumber"]
    modification_date_time: Annotated[datetime | None, "ei:modificationDateTime"] = None
    modification_reason: Annotated[str | None, "ei:modificationReason"] = None
    priority: Annotated[int | None, "ei:priority"] = None
    market_context: Annotated[str, "ei:eiMarketContext/emix:marketContext", ANY_URI]
    created_date_time: Annotated[datetime, "ei:createdDateTime"]
    event_status: Annotated[str, "ei:eventStatus", one_of("eventStatus", EVENT_STATUSES)]
    test_event: Annotated[str | None, "ei:testEvent"] = None
    vtn_comment: Annotated[str | None, "ei:vtnComment"] = None


class ActivePeriod(Wire, frozen=True, kw_only=True):
    """When the event is active (`ei:eiActivePeriod`).

    `components` is an element that 2.0 requires and leaves empty; what a peer puts there is kept as XML text.
    """

    dtstart: Annotated[datetime, "xcal:properties/xcal:dtstart/xcal:date-time"]
    duration: Annotated[Duration, "xcal:properties/xcal:duration/xcal:duration"]
    start_after: Annotated[Duration | None, "xcal:properties/xcal:tolerance/xcal:tolerate/xcal:startafter?"] = None
    notification: Annotated[Duration | None, "xcal:properties/ei:x-eiNotification/xcal:duration"] = None
    ramp_up: Annotated[Duration | None, "xcal:properties/ei:x-eiRampUp/xcal:duration"] = None
    recovery: Annotated[Duration | None, "xcal:properties/ei:x-eiRecovery/xcal:duration"] = None
    components: Annotated[str, "xcal:components", Opaque(), AtLeast(1)] = ""


class EiEventSignal(Wire, frozen=True, kw_only=True):
    """One signal of an event (`ei:eiEventSignal`). A signal's target holds only device classes (2.0b rule 111)."""

    intervals: Annotated[tuple[Interval, ...], "strm:intervals/ei:interval", AtLeast(1)]
    target: Annotated[EiTarget | None, "ei:eiTarget"] = None
    signal_name: Annotated[str, "ei:signalName", one_of("signalName", SIGNAL_NAMES, extensible=True)]
    signal_type: Annotated[str, "ei:signalType", one_of("signalType", SIGNAL_TYPES)]
    signal_id: Annotated[str, "ei:signalID"]
    item_base: Annotated[ItemBase | None, ITEM_BASE] = None
    current_value: Annotated[float | None, "ei:currentValue/ei:payloadFloat/ei:value"] = None


class EiEventBaseline(Wire, frozen=True, kw_only=True):
    """What would be used without the event (`ei:eiEventBaseline`, 2.0b rules 101, 102, 108)."""

    dtstart: Annotated[datetime, "xcal:dtstart/xcal:date-time"]
    duration: Annotated[Duration, "xcal:duration/xcal:duration"]
    intervals: Annotated[tuple[Interval, ...], "strm:intervals/ei:interval", AtLeast(1)]
    baseline_id: Annotated[str, "ei:baselineID"]
    resource_id: Annotated[tuple[str, ...], "ei:resourceID"] = ()
    baseline_name: Annotated[str, "ei:baselineName"]
    item_base: Annotated[ItemBase | None, ITEM_BASE] = None


class OadrEvent(Wire, frozen=True, kw_only=True):
    """One event with whether it is to be answered (`oadr:oadrEvent` with its `ei:eiEvent`)."""

    event_descriptor: Annotated[EventDescriptor, "ei:eiEvent/ei:eventDescriptor"]
    active_period: Annotated[ActivePeriod, "ei:eiEvent/ei:eiActivePeriod"]
    event_signals: Annotated[tuple[EiEventSignal, ...], "ei:eiEvent/ei:eiEventSignals/ei:eiEventSignal", AtLeast(1)]
    event_baseline: Annotated[EiEventBaseline | None, "ei:eiEvent/ei:eiEventSignals/ei:eiEventBaseline"] = None
    target: Annotated[EiTarget, "ei:eiEvent/ei:eiTarget"]
    response_required: Annotated[
        str, "oadr:oadrResponseRequired", one_of("oadrResponseRequired", RESPONSE_REQUIRED, exact=True)
    ]


class OadrDistributeEvent(Message, frozen=True, kw_only=True):
    """All events that apply to a VEN (VTN to VEN; 2.0b rules 15, 40, 41, 50)."""

    tag: ClassVar[str] = "oadr:oadrDistributeEvent"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    response: Annotated[EiResponse | None, "ei:eiResponse"] = None
    request_id: Annotated[str, "pyld:requestID"]
    vtn_id: Annotated[str, "ei:vtnID"]
    events: Annotated[tuple[OadrEvent, ...], "oadr:oadrEvent"] = ()


class EventResponse(Wire, frozen=True, kw_only=True):
    """The answer to one event (`ei:eventResponse`)."""

    response_code: Annotated[str, "ei:responseCode", RESPONSE_CODE]
    response_description: Annotated[str | None, "ei:responseDescription"] = None
    request_id: Annotated[str, "pyld:requestID"]
    event_id: Annotated[str, "ei:qualifiedEventID/ei:eventID"]
    modification_number: Annotated[int, "ei:qualifiedEventID/ei:modificationNumber"]
    opt_type: Annotated[str, "ei:optType", one_of("optType", OPT_TYPES)]


class OadrCreatedEvent(Message, frozen=True, kw_only=True):
    """The VEN's answers to events (VEN to VTN; 2.0b rules 12, 35, 42). None and no answers are different things."""

    tag: ClassVar[str] = "oadr:oadrCreatedEvent"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    response: Annotated[EiResponse, "pyld:eiCreatedEvent/ei:eiResponse"]
    event_responses: Annotated[
        tuple[EventResponse, ...] | None, "pyld:eiCreatedEvent/ei:eventResponses/ei:eventResponse"
    ] = None
    ven_id: Annotated[str, "pyld:eiCreatedEvent/ei:venID"]


class OadrRequestEvent(Message, frozen=True, kw_only=True):
    """The VEN asks for its events (VEN to VTN; 2.0b rules 23, 27)."""

    tag: ClassVar[str] = "oadr:oadrRequestEvent"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    request_id: Annotated[str, "pyld:eiRequestEvent/pyld:requestID"]
    ven_id: Annotated[str, "pyld:eiRequestEvent/ei:venID"]
    reply_limit: Annotated[int | None, "pyld:eiRequestEvent/pyld:replyLimit"] = None


class OadrResponse(Message, frozen=True, kw_only=True):
    """A plain acknowledgement or error (both directions; from a VEN with its venID, 2.0b rule 508)."""

    tag: ClassVar[str] = "oadr:oadrResponse"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    response: Annotated[EiResponse, "ei:eiResponse"]
    ven_id: Annotated[str | None, "ei:venID"] = None
