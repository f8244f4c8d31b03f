"""The messages of the VEN that plays to the VTN under test."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pyopenadr.conformance.quantity import POWER
from pyopenadr.v2 import faults, wire

if TYPE_CHECKING:
    from pyopenadr.conformance.vtn.stage import VtnStage

__all__ = [
    "SPECIFIER",
    "created_event",
    "created_report",
    "data",
    "event_response",
    "offered",
    "opt",
    "registration",
    "reply_to",
]

SPECIFIER = "conformance-usage"
STATUS_SPECIFIER = "conformance-status"
R_ID = "rid power/1"
"""A free text with a blank, because rule 330 lets it be one."""


def registration(stage: VtnStage, **fields: Any) -> wire.OadrCreatePartyRegistration:
    """A registration of our VEN."""
    defaults: dict[str, Any] = {
        "request_id": stage.new_id("registration"),
        "profile_name": "2.0b",
        "transport_name": "simpleHttp",
        "transport_address": stage.push_url,
        "report_only": False,
        "xml_signature": stage.seal.key is not None,
        "http_pull_model": stage.push_url is None,
        "ven_name": stage.ven_name,
    }
    return wire.OadrCreatePartyRegistration(**(defaults | fields))


def offered(now: datetime, *specifiers: str) -> tuple[wire.OadrReport, ...]:
    """What our VEN can report: one power, and the state of one resource."""
    rate = wire.SamplingRate(min_period=timedelta(seconds=1), max_period=timedelta(hours=1), on_change=False)
    created = now.replace(microsecond=0)
    usage = wire.ReportDescription(
        r_id=R_ID, report_type="usage", item_base=POWER, reading_type="Direct Read", sampling_rate=rate
    )
    status = wire.ReportDescription(
        r_id="rid-status",
        report_data_source=wire.EiTarget(resource_id=("resource-1",)),
        report_type="x-resourceStatus",
        reading_type="x-notApplicable",
        sampling_rate=rate,
    )
    return tuple(
        wire.OadrReport(
            duration=timedelta(hours=2),
            report_descriptions=(description,),
            report_request_id="0",
            report_specifier_id=specifier,
            report_name=name,
            created_date_time=created,
        )
        for specifier, name, description in (
            (SPECIFIER, "METADATA_TELEMETRY_USAGE", usage),
            (STATUS_SPECIFIER, "METADATA_TELEMETRY_STATUS", status),
        )
        if not specifiers or specifier in specifiers
    )


def data(now: datetime, request_id: str, *values: float, quality: str | None = None) -> wire.OadrReport:
    """A report with one value for each minute up to now."""
    start = now.replace(microsecond=0) - timedelta(minutes=len(values))
    return wire.OadrReport(
        dtstart=start,
        intervals=tuple(
            wire.Interval(
                dtstart=start + number * timedelta(minutes=1),
                payloads=(wire.ReportPayload(r_id=R_ID, value=value, data_quality=quality),),
            )
            for number, value in enumerate(values)
        ),
        report_request_id=request_id,
        report_specifier_id=SPECIFIER,
        report_name="TELEMETRY_USAGE",
        created_date_time=now.replace(microsecond=0),
    )


def event_response(event_id: str, number: int, request_id: str, opt_type: str, code: str = "200") -> wire.EventResponse:
    """The answer to one event."""
    return wire.EventResponse(
        response_code=code,
        response_description=faults.CODES.get(code),
        request_id=request_id,
        event_id=event_id,
        modification_number=number,
        opt_type=opt_type,
    )


def created_event(stage: VtnStage, message: wire.OadrDistributeEvent, opt_type: str) -> wire.OadrCreatedEvent:
    """The answer to all events of a list that want one."""
    responses = tuple(
        event_response(
            each.event_descriptor.event_id, each.event_descriptor.modification_number, message.request_id, opt_type
        )
        for each in message.events
        if each.response_required == "always"
    )
    return wire.OadrCreatedEvent(response=faults.response(), event_responses=responses, ven_id=stage.ven_id)


def created_report(stage: VtnStage, request_id: str, pending: tuple[str, ...]) -> wire.OadrCreatedReport:
    """A request for reports is accepted."""
    return wire.OadrCreatedReport(response=faults.response(request_id), pending_reports=pending, ven_id=stage.ven_id)


def opt(stage: VtnStage, **fields: Any) -> wire.OadrCreateOpt:
    """An availability of one hour from tomorrow on."""
    start = stage.clock.now().replace(microsecond=0) + timedelta(days=1)
    defaults: dict[str, Any] = {
        "opt_id": stage.new_id("opt"),
        "opt_type": "optOut",
        "opt_reason": "economic",
        "ven_id": stage.ven_id,
        "created_date_time": stage.clock.now().replace(microsecond=0),
        "request_id": stage.new_id("request"),
        "target": wire.EiTarget(),
        "vavailability": (wire.WsCalendarInterval(dtstart=start, duration=timedelta(hours=1)),),
    }
    return wire.OadrCreateOpt(**(defaults | fields))


def reply_to(stage: VtnStage, message: wire.Message) -> wire.Message | None:
    """What a VEN sends back; None where there is nothing."""
    ven_id = stage.ven_id
    response = faults.response(message.get("request_id", ""))
    match message:
        case wire.OadrCreateReport():
            ids = tuple(each.report_request_id for each in message.report_requests)
            return wire.OadrCreatedReport(response=response, pending_reports=ids, ven_id=ven_id)
        case wire.OadrRegisterReport():
            return wire.OadrRegisteredReport(response=response, ven_id=ven_id)
        case wire.OadrCancelReport():
            return wire.OadrCanceledReport(response=response, pending_reports=(), ven_id=ven_id)
        case wire.OadrUpdateReport():
            return wire.OadrUpdatedReport(response=response, ven_id=ven_id)
        case wire.OadrCancelPartyRegistration():
            return wire.OadrCanceledPartyRegistration(
                response=response, registration_id=message.registration_id, ven_id=ven_id
            )
        case wire.OadrRequestReregistration():
            return wire.OadrResponse(response=faults.response(), ven_id=ven_id)
    return None
