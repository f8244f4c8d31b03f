"""Reports: capabilities (METADATA), requests, readings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from math import isinf

from pyopenadr.errors import ModelError, RemoteProtocolError
from pyopenadr.model import (
    EVERYONE,
    Capability,
    DataPoint,
    Duration,
    LoadControlState,
    LoadControlValue,
    Reading,
    ReportRequest,
    ResourceStatus,
)
from pyopenadr.model.time import ZERO, add, is_zero, total_seconds
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge.target import lift_target, lower_target
from pyopenadr.v2.bridge.unit import lift_unit, lower_unit

__all__ = [
    "lift_capability",
    "lift_readings",
    "lift_request",
    "lower_capability",
    "lower_readings",
    "lower_request",
]

METADATA = "METADATA"
_PREFIX = "METADATA_"
_NOT_APPLICABLE = "x-notApplicable"
_CONTROLS = ("capacity", "level_offset", "percent_offset", "set_point")


def lift_capability(report: wire.OadrReport) -> Capability:
    """What a METADATA report offers; its name without `METADATA_`.

    Without the duration that rule 312 asks for, it is zero: how much data there is stays unknown. Of a reportSubject
    only the device classes count (rule 307).

    Raises:
        RemoteProtocolError: the report has no name.
    """
    if not report.report_name:
        raise RemoteProtocolError(
            f"the METADATA report {report.report_specifier_id!r} has no reportName", code="459", rule="331"
        )
    return Capability(
        report_specifier_id=report.report_specifier_id,
        report_name=report.report_name.removeprefix(_PREFIX),
        duration=report.duration if report.duration is not None else ZERO,
        points=tuple(map(_lift_point, report.report_descriptions)),
        created_date_time=report.created_date_time,
    )


def _lift_point(description: wire.ReportDescription) -> DataPoint:
    rate, subject = description.sampling_rate, description.report_subject
    return DataPoint(
        r_id=description.r_id,
        report_type=description.report_type,
        reading_type=description.reading_type,
        unit=lift_unit(description.item_base),
        data_source=lift_target(description.report_data_source),
        subject=subject.end_device_asset if subject is not None else (),
        market_context=description.market_context or None,
        min_period=rate.min_period if rate is not None else None,
        max_period=rate.max_period if rate is not None else None,
        on_change=rate.on_change if rate is not None else False,
    )


def lower_capability(capability: Capability) -> wire.OadrReport:
    """The METADATA report of a capability (2.0b rules 305, 311 to 313).

    The names of one's own (`x-…`) get no `METADATA_`: the schema has no form for that.

    Raises:
        ModelError: a data point has no form in 2.0b.
    """
    name = capability.report_name
    return wire.OadrReport(
        duration=capability.duration,
        report_descriptions=tuple(map(_lower_point, capability.points)),
        report_request_id="0",
        report_specifier_id=capability.report_specifier_id,
        report_name=name if name.startswith("x-") else f"{_PREFIX}{name}",
        created_date_time=capability.created_date_time,
    )


def _lower_point(point: DataPoint) -> wire.ReportDescription:
    rate = None
    if point.min_period is not None and point.max_period is not None:
        rate = wire.SamplingRate(min_period=point.min_period, max_period=point.max_period, on_change=point.on_change)
    elif point.min_period is not None or point.max_period is not None or point.on_change:
        raise ModelError(f"rID {point.r_id!r}: a sampling rate needs both min_period and max_period", rule="333")
    return wire.ReportDescription(
        r_id=point.r_id,
        report_subject=wire.EiTarget(end_device_asset=point.subject) if point.subject else None,
        report_data_source=None if point.data_source == EVERYONE else lower_target(point.data_source).value,
        report_type=point.report_type,
        item_base=lower_unit(point.unit),
        reading_type=point.reading_type,
        market_context=point.market_context,
        sampling_rate=rate,
    )


def lift_request(request: wire.ReportRequest) -> ReportRequest:
    """What is asked for. A request for METADATA has no rIDs, whatever it says (2.0b rule 308)."""
    specifier = request.report_specifier
    interval = specifier.report_interval
    is_metadata = specifier.report_specifier_id == METADATA
    return ReportRequest(
        report_request_id=request.report_request_id,
        report_specifier_id=specifier.report_specifier_id,
        r_ids=() if is_metadata else tuple(payload.r_id for payload in specifier.specifier_payloads),
        granularity=specifier.granularity,
        report_back_duration=specifier.report_back_duration,
        start=interval.dtstart if interval is not None else None,
        duration=interval.duration if interval is not None else ZERO,
    )


def lower_request(request: ReportRequest) -> wire.ReportRequest:
    """The element of a request (2.0b rules 308, 321, 338); it says when only if the request has a start.

    Raises:
        ModelError: it asks for no data point, or has a duration without a start.
    """
    if not request.r_ids and not request.is_metadata:
        raise ModelError(f"report request {request.report_request_id!r} names no rID", rule="300")
    if request.start is None and not is_zero(request.duration):
        raise ModelError(f"report request {request.report_request_id!r} has a duration, but no start", rule="325")
    interval = None
    if request.start is not None:
        interval = wire.WsCalendarInterval(dtstart=request.start, duration=request.duration)
    return wire.ReportRequest(
        report_request_id=request.report_request_id,
        report_specifier=wire.ReportSpecifier(
            report_specifier_id=request.report_specifier_id,
            granularity=request.granularity,
            report_back_duration=request.report_back_duration,
            report_interval=interval,
            specifier_payloads=tuple(
                wire.SpecifierPayload(r_id=r_id, reading_type=_NOT_APPLICABLE)
                for r_id in (("0",) if request.is_metadata else request.r_ids)
            ),
        ),
    )


def lift_readings(report: wire.OadrReport) -> tuple[Reading, ...]:
    """The values of a data report, each with the instant it belongs to (2.0b rules 314, 315, 342).

    An interval without a dtstart begins where the one before it ends, the first of them with the report. Their
    order in the document counts; uids are not looked at, since there are VENs that write the same one everywhere. A
    duration of zero is none. NaN passes: it is how some sources say that there is no value (rule 318).

    Raises:
        RemoteProtocolError: an interval belongs to no known instant, or holds something else than readings.
    """
    readings = []
    for start, interval in _placed(report):
        duration = None if interval.duration is None or is_zero(interval.duration) else interval.duration
        readings += [_lift_reading(payload, start, duration) for payload in interval.payloads]
    return tuple(readings)


def _placed(report: wire.OadrReport) -> Iterator[tuple[datetime, wire.Interval]]:
    """Each interval with its beginning."""
    start = report.dtstart
    for number, interval in enumerate(report.intervals):
        if interval.dtstart is not None:
            start = interval.dtstart
        if start is None:
            raise RemoteProtocolError(
                f"report {report.report_request_id!r}, interval {number}: nothing says when it is; "
                "a report needs a dtstart, and intervals without one need durations",
                code="459",
                rule="315" if number else "314",
            )
        yield start, interval
        start = add(start, interval.duration) if interval.duration is not None else None


def _lift_reading(
    payload: wire.SignalPayload | wire.ReportPayload | wire.GBPayload, start: datetime, duration: Duration | None
) -> Reading:
    if isinstance(payload, wire.GBPayload):
        raise RemoteProtocolError("Green Button data has no readings: read the feed in the message", code="461")
    if isinstance(payload, wire.SignalPayload):
        raise RemoteProtocolError("a signalPayload belongs into events, not into reports", code="459")
    if isinstance(payload.value, wire.ResourceStatus):
        value: float | ResourceStatus = _lift_status(payload.value)
    elif isinf(payload.value):
        raise RemoteProtocolError(f"rID {payload.r_id!r}: {payload.value} is no value", code="454")
    else:
        value = payload.value
    return Reading(
        r_id=payload.r_id,
        start=start,
        value=value,
        duration=duration,
        quality=payload.data_quality or None,
        confidence=payload.confidence,
        accuracy=payload.accuracy,
    )


def _lift_status(status: wire.ResourceStatus) -> ResourceStatus:
    state = status.load_control_state
    lifted = None
    if state is not None:
        parts = {}
        for name in _CONTROLS:
            part: wire.LoadControlStateType | None = getattr(state, name)
            if part is not None:
                parts[name] = LoadControlValue(
                    current=part.current, minimum=part.min, maximum=part.max, normal=part.normal
                )
        lifted = LoadControlState(**parts)
    return ResourceStatus(online=status.online, manual_override=status.manual_override, load_control_state=lifted)


def _lower_status(status: ResourceStatus) -> wire.ResourceStatus:
    state = status.load_control_state
    lowered = None
    if state is not None:
        parts = {}
        for name in _CONTROLS:
            part: LoadControlValue | None = getattr(state, name)
            if part is not None:
                parts[name] = wire.LoadControlStateType(
                    current=part.current, min=part.minimum, max=part.maximum, normal=part.normal
                )
        lowered = wire.LoadControlState(**parts)
    return wire.ResourceStatus(online=status.online, manual_override=status.manual_override, load_control_state=lowered)


def lower_readings(
    request: ReportRequest, report_name: str, readings: Sequence[Reading], *, created: datetime
) -> wire.OadrReport:
    """The data report that answers `request` with `readings` (2.0b rules 313 to 316, 342).

    Readings of one instant and duration share an interval; intervals ascend in time, and each has a dtstart. Where
    some readings have a duration and some are points, all intervals get a duration (rule 315), that of points is
    zero.

    Raises:
        ModelError: there are no readings; say that a value is missing by a reading with a quality (rule 318).
    """
    if not readings:
        raise ModelError(f"report {request.report_request_id!r} would hold no readings", rule="313")
    has_periods = any(reading.duration is not None for reading in readings)

    def place(reading: Reading) -> tuple[datetime, float, str]:
        length = total_seconds(reading.duration, reading.start) if reading.duration is not None else 0.0
        return reading.start, length, repr(reading.duration)  # a month may be as long as 30 days, but is not the same

    intervals = []
    for (start, *_), together in groupby(sorted(readings, key=place), key=place):
        group = list(together)
        duration = group[0].duration
        intervals.append(
            wire.Interval(
                dtstart=start,
                duration=ZERO if duration is None and has_periods else duration,
                payloads=tuple(map(_lower_reading, group)),
            )
        )
    return wire.OadrReport(
        dtstart=intervals[0].dtstart,
        intervals=tuple(intervals),
        report_request_id=request.report_request_id,
        report_specifier_id=request.report_specifier_id,
        report_name=report_name,
        created_date_time=created,
    )


def _lower_reading(reading: Reading) -> wire.ReportPayload:
    value = reading.value
    return wire.ReportPayload(
        r_id=reading.r_id,
        confidence=reading.confidence,
        accuracy=reading.accuracy,
        value=_lower_status(value) if isinstance(value, ResourceStatus) else value,
        data_quality=reading.quality,
    )
