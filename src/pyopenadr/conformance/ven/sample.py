"""The events and requests that are sent to the VEN under test."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from pyopenadr.conformance.check import NotApplicable
from pyopenadr.v2 import wire

if TYPE_CHECKING:
    from pyopenadr.conformance.ven.stage import VenStage

__all__ = ["CONTEXT", "PRICE", "event", "request", "signal", "telemetry", "with_descriptor"]

CONTEXT = "http://MarketContext1"
HOUR = timedelta(hours=1)
PRICE = wire.ItemBase(
    element="currencyPerKWh", item_description="currencyPerKWh", item_units="EUR", si_scale_code="none"
)


def signal(*values: float, length: timedelta = HOUR, **fields: Any) -> wire.EiEventSignal:
    """A signal, SIMPLE unless told otherwise, with these values in intervals of the same length."""
    step = length / max(1, len(values))
    defaults: dict[str, Any] = {
        "intervals": tuple(
            wire.Interval(duration=step, uid=str(number), payloads=(wire.SignalPayload(value=value),))
            for number, value in enumerate(values)
        ),
        "signal_name": "SIMPLE",
        "signal_type": "level",
        "signal_id": "signal-1",
        "current_value": None,
    }
    return wire.EiEventSignal(**(defaults | fields))


def event(
    stage: VenStage,
    *signals: wire.EiEventSignal,
    event_id: str | None = None,
    after: timedelta = HOUR,
    duration: timedelta = HOUR,
    status: str = "far",
    number: int = 0,
    response_required: str = "always",
    target: wire.EiTarget | None = None,
    **fields: Any,
) -> wire.OadrEvent:
    """An event that begins `after` from now; `fields` are those of its descriptor and its active period."""
    now = stage.clock.now().replace(microsecond=0)
    period_fields = {name: fields.pop(name) for name in ("start_after", "ramp_up", "recovery") if name in fields}
    descriptor: dict[str, Any] = {
        "event_id": event_id or stage.new_id("event"),
        "modification_number": number,
        "market_context": CONTEXT,
        "created_date_time": now,
        "event_status": status,
    }
    return wire.OadrEvent(
        event_descriptor=wire.EventDescriptor(**(descriptor | fields)),
        active_period=wire.ActivePeriod(
            dtstart=now + after, duration=duration, notification=timedelta(0), **period_fields
        ),
        event_signals=signals or (signal(1.0, length=duration),),
        target=target if target is not None else wire.EiTarget(ven_id=(stage.ven_id,)),
        response_required=response_required,
    )


def with_descriptor(old: wire.OadrEvent, **fields: Any) -> wire.OadrEvent:
    """The same event with other words in its descriptor."""
    return msgspec.structs.replace(old, event_descriptor=msgspec.structs.replace(old.event_descriptor, **fields))


def telemetry(stage: VenStage) -> wire.OadrReport:
    """A telemetry report that the VEN offers.

    Raises:
        NotApplicable: it offers none.
    """
    for offered in stage.offered.values():
        if "TELEMETRY" in (offered.report_name or ""):
            return offered
    raise NotApplicable("the VEN offers no telemetry")


def request(
    stage: VenStage,
    offered: wire.OadrReport,
    *,
    every: timedelta = timedelta(0),
    start: datetime | None = None,
    **fields: Any,
) -> wire.ReportRequest:
    """A request for all data points of an offered report, once or `every` so often."""
    points = tuple(
        wire.SpecifierPayload(r_id=each.r_id, reading_type="x-notApplicable") for each in offered.report_descriptions
    )
    begin = start if start is not None else stage.clock.now().replace(microsecond=0)
    is_series = every > timedelta(0)
    defaults: dict[str, Any] = {
        "report_specifier_id": offered.report_specifier_id,
        "granularity": every,
        "report_back_duration": every,
        "report_interval": wire.WsCalendarInterval(dtstart=begin, duration=timedelta(0)) if is_series else None,
        "specifier_payloads": points,
    }
    request_id = fields.pop("report_request_id", None) or stage.new_id("report")
    return wire.ReportRequest(
        report_request_id=request_id, report_specifier=wire.ReportSpecifier(**(defaults | fields))
    )
