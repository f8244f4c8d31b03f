"""Events and report requests from what a user has said in a few words."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from pyopenadr.errors import ConfigError, LocalProtocolError, ModelError, OpenADRError
from pyopenadr.model import Capability, Event, Interval, ReportRequest, Signal
from pyopenadr.model.time import ZERO, Duration, as_utc
from pyopenadr.store.port import StoredEvent
from pyopenadr.v2 import vtn as rules

__all__ = ["changed_event", "check_event", "copied_event", "make_event", "make_request", "new_id", "texts"]


def new_id() -> str:
    """An ID that nobody can guess. It begins with a letter, because some peers take digits alone for a number."""
    return f"p{secrets.token_hex(10)}"


def texts(name: str, values: Iterable[str]) -> tuple[str, ...]:
    """The IDs in `values`, which may also be a single one.

    Raises:
        ConfigError: there are none, or something else than texts.
    """
    found = (values,) if isinstance(values, str) else tuple(values)
    if not found or any(type(value) is not str or not value for value in found):
        raise ConfigError(f"{name} must name at least one, as texts: {found!r} does not; leave it out to mean all")
    return tuple(dict.fromkeys(found))


def make_event(
    start: datetime | None,
    intervals: Sequence[tuple[Duration, float]],
    signal_name: str,
    signal_type: str,
    fields: dict[str, Any],
    now: datetime,
) -> Event:
    """An event with one signal; see `OpenADRServer.add_event`. Its times are whole seconds."""
    if start is None or not intervals:
        raise ConfigError("an event needs start and intervals, for example intervals=[(timedelta(hours=1), 2)]")
    unit = fields.pop("unit", None)
    try:
        steps = tuple(Interval(duration, float(value)) for duration, value in intervals)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"intervals are pairs of a duration and a number: {error}") from error
    total = ZERO
    for step in steps:
        if not isinstance(step.duration, timedelta):
            raise ConfigError(f"an interval lasts a timedelta, not {step.duration!r}; for months give a whole Event")
        total += step.duration
    signal = Signal(signal_name=signal_name, signal_type=signal_type, signal_id="signal-1", unit=unit, intervals=steps)
    known = {"event_id": new_id(), "market_context": "http://localhost/default", **fields}
    try:
        return Event(
            start=as_utc(start).replace(microsecond=0),
            duration=total,
            signals=(signal,),
            created_date_time=now,
            **known,
        )
    except TypeError as error:
        raise ConfigError(f"no such field of an event: {error}") from error


def check_event(event: Event) -> None:
    """Whether the event may be sent (see `pyopenadr.v2.vtn.check_event`).

    Raises:
        ModelError: it breaks a rule, or a field holds a value of the wrong type.
    """
    try:
        rules.check_event(event)
    except OpenADRError:
        raise
    except Exception as error:  # a value of the wrong type shows itself anywhere
        raise ModelError(f"event {event.event_id!r} has a field of the wrong type: {error}") from error


def changed_event(stored: StoredEvent, changes: dict[str, Any], now: datetime) -> StoredEvent:
    """The next version of an event (2.0b rules 5, 20); see `OpenADRServer.change_event`."""
    old = stored.event
    if old.cancelled:
        raise LocalProtocolError(f"event {old.event_id!r} is cancelled: make a new one")
    try:
        wanted = msgspec.structs.replace(old, **changes)
    except TypeError as error:
        raise ConfigError(f"no such field of an event: {error}") from error
    check_event(wanted)
    new = rules.next_version(old, wanted, now)
    return msgspec.structs.replace(stored, event=new)


def copied_event(event: Event, start: datetime, changes: dict[str, Any], now: datetime) -> Event:
    """The same event as a new one, at another time; see `OpenADRServer.copy_event`."""
    start = as_utc(start).replace(microsecond=0)
    baseline = event.baseline
    if baseline is not None:
        baseline = msgspec.structs.replace(baseline, start=baseline.start + (start - event.start))
    fresh = {
        "event_id": new_id(),
        "start": start,
        "baseline": baseline,
        "created_date_time": now,
        "modification_number": 0,
        "modification_date_time": None,
        "modification_reason": None,
        "cancelled": False,
    }
    try:
        return msgspec.structs.replace(event, **(fresh | changes))
    except TypeError as error:
        raise ConfigError(f"no such field of an event: {error}") from error


def make_request(
    offered: Sequence[Capability],
    report_specifier_id: str | None,
    r_ids: Iterable[str] | None,
    now: datetime,
    *,
    granularity: Duration,
    report_back_duration: Duration,
    start: datetime | None,
    duration: Duration,
) -> ReportRequest:
    """A request for a report; see `OpenADRServer.request_report`."""
    if report_specifier_id is None:
        raise ConfigError("say which report: report_specifier_id, or METADATA for the list of reports")
    if start is None and report_back_duration != ZERO:
        start = now
    return ReportRequest(
        report_request_id=new_id(),
        report_specifier_id=report_specifier_id,
        r_ids=texts("r_ids", r_ids) if r_ids else _all_points(offered, report_specifier_id),
        granularity=granularity,
        report_back_duration=report_back_duration,
        start=as_utc(start).replace(microsecond=0) if start is not None else None,
        duration=duration,
    )


def _all_points(capabilities: Sequence[Capability], report_specifier_id: str) -> tuple[str, ...]:
    if report_specifier_id == "METADATA":
        return ("0",)
    for capability in capabilities:
        if capability.report_specifier_id == report_specifier_id:
            return tuple(point.r_id for point in capability.points)
    raise LocalProtocolError(
        f"the VEN offers no report {report_specifier_id!r}; it offers "
        f"{', '.join(c.report_specifier_id for c in capabilities) or 'none'}",
        code="452",
        rule="300",
    )
