"""Values to keep: one of each kind, with every field that can be awkward set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pyopenadr.model import (
    Area,
    Baseline,
    CalendarDuration,
    Capability,
    DataPoint,
    Event,
    Interval,
    LoadControlState,
    LoadControlValue,
    Opt,
    OptType,
    Reading,
    Registration,
    ReportRequest,
    ResourceStatus,
    ResponseRequired,
    Signal,
    Span,
    Target,
    TransportInterface,
    Unit,
)
from pyopenadr.store.port import Answer, Outgoing, Source, StoredEvent, StoredReading, StoredRequest

NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MONTH = CalendarDuration(1, timedelta(hours=2), negative=True)

TARGET = Target(
    ven_ids=("ven1",),
    service_areas=(Area((52.1, 4.3, 52.2, 4.4), "c1"),),
    transport_interfaces=(TransportInterface("here", "there"),),
)
UNIT = Unit(name="powerReal", symbol="W", scale="k", hertz=50.0, voltage=230.0, ac=True)
STATUS = ResourceStatus(
    online=True,
    manual_override=False,
    load_control_state=LoadControlState(capacity=LoadControlValue(current=1.5, maximum=3.0)),
)


def registration(ven_id: str = "ven1", **fields: Any) -> Registration:
    defaults: dict[str, Any] = {
        "ven_name": f"name of {ven_id}",
        "registration_id": f"reg-{ven_id}",
        "push_address": "https://ven.example/",
        "poll_frequency": MONTH,
        "registered_at": NOW,
        "last_seen": NOW,
        "online": True,
        "fingerprint": f"AA:{ven_id}",
    }
    return Registration(ven_id=ven_id, **(defaults | fields))


def event(event_id: str = "event1", **fields: Any) -> Event:
    defaults: dict[str, Any] = {
        "start": NOW,
        "duration": timedelta(hours=1),
        "signals": (
            Signal(
                signal_name="ELECTRICITY_PRICE",
                signal_type="price",
                signal_id="s1",
                intervals=(Interval(timedelta(minutes=30), 0.1), Interval(timedelta(minutes=30), -2.0)),
                unit=UNIT,
                device_classes=("Thermostat",),
            ),
        ),
        "created_date_time": NOW,
        "market_context": "http://market",
        "modification_date_time": NOW,
        "modification_reason": "why <not> & so",
        "test_event": "false",
        "vtn_comment": "Überraschung 🔌",
        "start_after": timedelta(minutes=5),
        "ramp_up": MONTH,
        "recovery": -timedelta(minutes=3, microseconds=1),
        "baseline": Baseline(
            baseline_id="b1",
            baseline_name="base",
            start=NOW,
            duration=MONTH,
            intervals=(Interval(MINUTE, 1.0),),
            resource_ids=("r1",),
        ),
        "target": TARGET,
        "response_required": ResponseRequired.NEVER,
    }
    return Event(event_id=event_id, **(defaults | fields))


def stored_event(event_id: str = "event1", *, recipients: tuple[str, ...] | None = None, **fields: Any) -> StoredEvent:
    about = {name: fields.pop(name) for name in ("closed", "dispatch") if name in fields}
    return StoredEvent(event=event(event_id, **fields), recipients=recipients, **about)


def answer(event_id: str = "event1", ven_id: str = "ven1", **fields: Any) -> Answer:
    defaults: dict[str, Any] = {
        "modification_number": 3,
        "opt_type": OptType.OUT,
        "response_code": "200",
        "answered_at": NOW,
        "response_description": "fine",
        "by_opt": True,
    }
    return Answer(event_id=event_id, ven_id=ven_id, **(defaults | fields))


def outgoing(item_id: str = "item1", body: bytes = b"\x00\xff<xml/>", kind: str = "oadrCreateReport") -> Outgoing:
    return Outgoing(item_id=item_id, kind=kind, body=body, created_at=NOW)


def opt(opt_id: str = "opt1", ven_id: str = "ven1", **fields: Any) -> Opt:
    defaults: dict[str, Any] = {
        "opt_type": OptType.IN,
        "opt_reason": "participating",
        "created_date_time": NOW,
        "availability": (Span(NOW, NOW + MINUTE), Span(NOW)),
        "target": TARGET,
    }
    return Opt(opt_id=opt_id, ven_id=ven_id, **(defaults | fields))


def capability(report_specifier_id: str = "spec1", **fields: Any) -> Capability:
    defaults: dict[str, Any] = {
        "report_name": "TELEMETRY_USAGE",
        "duration": MONTH,
        "points": (DataPoint(r_id="rid1", unit=UNIT, data_source=TARGET, min_period=MINUTE, max_period=MONTH),),
        "created_date_time": NOW,
    }
    return Capability(report_specifier_id=report_specifier_id, **(defaults | fields))


def request(
    report_request_id: str = "request1",
    source: Source = Source.VEN,
    *,
    confirmed: bool = False,
    report_specifier_id: str = "spec1",
) -> StoredRequest:
    asked = ReportRequest(
        report_request_id=report_request_id,
        report_specifier_id=report_specifier_id,
        r_ids=("rid1", "rid2"),
        granularity=MINUTE,
        report_back_duration=MONTH,
        start=NOW,
    )
    return StoredRequest(request=asked, source=source, requested_at=NOW, confirmed=confirmed)


def reading(
    r_id: str = "rid1",
    minute: int = 0,
    value: float | ResourceStatus = 1.5,
    *,
    ven_id: str = "ven1",
    report_specifier_id: str = "spec1",
    report_request_id: str = "request1",
    **fields: Any,
) -> StoredReading:
    return StoredReading(
        ven_id=ven_id,
        report_specifier_id=report_specifier_id,
        report_request_id=report_request_id,
        reading=Reading(r_id=r_id, start=NOW + minute * MINUTE, value=value, **fields),
    )


def report(ven: int, first_minute: int, *, r_ids: int = 10, minutes: int = 10) -> list[StoredReading]:
    """A report of 100 readings, as a VEN with ten data points would send it every ten minutes."""
    return [
        reading(f"rid{r_id}", first_minute + minute, float(r_id), ven_id=f"ven{ven}", duration=MINUTE)
        for minute in range(minutes)
        for r_id in range(r_ids)
    ]
