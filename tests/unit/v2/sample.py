"""Values for the tests of the rules: an event, its wire form, a scope, a capability."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from pyopenadr.model import Capability, DataPoint, Event, Interval, ReportRequest, Signal, Unit
from pyopenadr.v2 import decode, wire
from pyopenadr.v2.bridge import lower_event, lower_events
from pyopenadr.v2.ven import KnownEvent, VenScope

START = datetime(2030, 6, 1, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
BEFORE = START - HOUR
KILOWATT = Unit(name="powerReal", symbol="W", scale="k", hertz=50.0, voltage=230.0, ac=True)
EURO_PER_KWH = Unit(name="currencyPerKWh", symbol="EUR")
VECTORS = Path(__file__).parents[2] / "vectors"

M = TypeVar("M", bound=wire.Message)


def vector(name: str, kind: type[M]) -> M:
    """The message in the vector whose file name begins so."""
    (path,) = VECTORS.glob(f"{name}_*.xml")
    message = decode(path.read_bytes()).message
    assert isinstance(message, kind)
    return message


def signal(*values: float, name: str = "SIMPLE", kind: str = "level", **fields: Any) -> Signal:
    """A signal with these values, each for an equal part of an hour."""
    part = HOUR / max(1, len(values))
    defaults: dict[str, Any] = {
        "signal_id": "s1",
        "intervals": tuple(Interval(part, value) for value in values),
    }
    return Signal(signal_name=name, signal_type=kind, **(defaults | fields))


def event(event_id: str = "e1", *signals: Signal, **fields: Any) -> Event:
    """An event of an hour from `START`."""
    defaults: dict[str, Any] = {
        "start": START,
        "duration": HOUR,
        "signals": signals or (signal(1.0),),
        "created_date_time": BEFORE,
        "market_context": "http://market.example/a",
    }
    return Event(event_id=event_id, **(defaults | fields))


def open_ended(event_id: str = "e1", **fields: Any) -> Event:
    """An event that lasts until it is cancelled."""
    endless = signal(signal_id="s1", intervals=(Interval(timedelta(0), 2.0),))
    return event(event_id, endless, duration=timedelta(0), **fields)


def element(of: Event, now: datetime = BEFORE) -> wire.OadrEvent:
    """The event as it stands in a message."""
    lowered = lower_event(of, now=now).value
    assert lowered is not None
    return lowered


def distribute(*events: Event, now: datetime = BEFORE, **fields: Any) -> wire.OadrDistributeEvent:
    """A message with these events."""
    return lower_events(events, now=now, **({"vtn_id": "vtn", "request_id": "d1"} | fields)).value


def scope(**fields: Any) -> VenScope:
    """What VEN `ven1` knows of itself."""
    return VenScope(**({"ven_id": "ven1", "vtn_id": "vtn"} | fields))


def known(*events: Event, **fields: Any) -> dict[str, KnownEvent]:
    """These events as those that the VEN keeps."""
    return {each.event_id: KnownEvent(event=each, **fields) for each in events}


def point(r_id: str = "r1", **fields: Any) -> DataPoint:
    """A data point that is sampled each minute up to each hour."""
    defaults: dict[str, Any] = {"r_id": r_id, "unit": KILOWATT, "min_period": MINUTE, "max_period": HOUR}
    return DataPoint(**(defaults | fields))


def capability(*points: DataPoint, **fields: Any) -> Capability:
    """A report with a day of data."""
    defaults: dict[str, Any] = {
        "report_specifier_id": "spec1",
        "report_name": "TELEMETRY_USAGE",
        "duration": timedelta(days=1),
        "points": points or (point(),),
        "created_date_time": BEFORE,
    }
    return Capability(**(defaults | fields))


def request(**fields: Any) -> ReportRequest:
    """A request for a report each hour with a value for each minute."""
    defaults: dict[str, Any] = {
        "report_request_id": "q1",
        "report_specifier_id": "spec1",
        "r_ids": ("r1",),
        "granularity": MINUTE,
        "report_back_duration": HOUR,
        "start": START,
    }
    return ReportRequest(**(defaults | fields))
