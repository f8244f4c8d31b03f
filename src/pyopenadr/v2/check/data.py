"""Rules on reports with data (oadrUpdateReport)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from math import isfinite

from pyopenadr.errors import ModelError
from pyopenadr.model.time import Duration, add
from pyopenadr.v2.check.finding import Place, Problem, Scene, rule
from pyopenadr.v2.check.report import METADATA, report_name
from pyopenadr.v2.text import format_date_time, format_duration
from pyopenadr.v2.wire import (
    GBPayload,
    LoadControlState,
    OadrReport,
    OadrUpdateReport,
    ReportPayload,
    ResourceStatus,
    SignalPayload,
)

__all__ = ["RULES"]

_Payload = tuple[Place, int, ReportPayload]


def _reports(message: OadrUpdateReport) -> Iterator[tuple[Place, str, OadrReport]]:
    for position, report in enumerate(message.reports):
        yield ("reports", position), f"report {report.report_request_id!r}", report


def _payloads(report: OadrReport) -> Iterator[_Payload]:
    """The values of data points, each with its place in the report and the position of its interval."""
    for position, interval in enumerate(report.intervals):
        for index, payload in enumerate(interval.payloads):
            if isinstance(payload, ReportPayload):
                yield ("intervals", position, "payloads", index), position, payload


@rule("311", OadrUpdateReport, severity="warning")
def _belongs_to_a_request(message: OadrUpdateReport, scene: Scene) -> Iterator[Problem]:
    """Data names the request that it was sent for; 0 is kept for METADATA."""
    for place, _, report in _reports(message):
        if report.report_request_id in ("", "0"):
            yield Problem(
                f"reportRequestID {report.report_request_id!r} names no request",
                "write the reportRequestID of the request for this report",
                (*place, "report_request_id"),
            )


@rule("313", OadrUpdateReport)
def _data_not_metadata(message: OadrUpdateReport, scene: Scene) -> Iterator[Problem]:
    """A report with data has dtstart, intervals and its plain name, and no description."""
    for place, name, report in _reports(message):
        for field, element in (("dtstart", "dtstart"), ("intervals", "intervals"), ("report_name", "reportName")):
            if not report.get(field):
                yield Problem(f"{name} has no {element}", f"add {element}", (*place, field))
        if (report.report_name or "").startswith(METADATA):
            yield Problem(
                f"{name} holds data, but is named {report.report_name}",
                f"write {report_name(report)}",
                (*place, "report_name"),
            )
        if report.report_descriptions:
            yield Problem(
                f"{name} holds data, and oadrReportDescription besides",
                "leave oadrReportDescription out: it belongs in oadrRegisterReport",
                (*place, "report_descriptions", 0),
            )


def _some_but_not_all(report: OadrReport, field: str, element: str) -> Iterator[Problem]:
    has = [interval.get(field) is not None for interval in report.intervals]
    if any(has) and not all(has):
        position = has.index(False)
        yield Problem(
            f"some intervals have {element}, but interval {position + 1} has none",
            f"give {element} to all intervals or to none",
            ("intervals", position, field),
        )


@rule("314", OadrReport)
def _starts(report: OadrReport, scene: Scene) -> Iterator[Problem]:
    """The report starts with its first interval; all intervals have a start or none; they ascend."""
    yield from _some_but_not_all(report, "dtstart", "dtstart")
    starts = [interval.dtstart for interval in report.intervals]
    if starts and starts[0] is not None and report.dtstart is not None and report.dtstart != starts[0]:
        yield Problem(
            f"the report starts at {format_date_time(report.dtstart)},"
            f" but its first interval at {format_date_time(starts[0])}",
            "make them equal",
            ("dtstart",),
        )
    for position, (one, other) in enumerate(pairwise(starts)):
        if one is not None and other is not None and other < one:
            yield Problem(
                f"interval {position + 2} starts before the one in front of it",
                "send the intervals in the order of time",
                ("intervals", position + 1, "dtstart"),
            )


def _end(start: datetime, durations: list[Duration]) -> datetime | None:
    try:
        for duration in durations:
            start = add(start, duration)
    except ModelError:
        return None
    return start


@rule("315", OadrReport)
def _durations(report: OadrReport, scene: Scene) -> Iterator[Problem]:
    """All intervals have a duration or none; without starts they need one; the report's is that of the whole."""
    yield from _some_but_not_all(report, "duration", "duration")
    intervals = report.intervals
    if len(intervals) > 1 and all(one.dtstart is None and one.duration is None for one in intervals):
        yield Problem(
            "the intervals have neither dtstart nor duration: nobody can tell when they are",
            "give each its dtstart, or each its duration",
            ("intervals", 1),
        )
    if report.duration is None or report.dtstart is None or not intervals:
        return
    last, lengths = intervals[-1], [one.duration for one in intervals if one.duration is not None]
    if last.dtstart is not None:
        end = _end(last.dtstart, lengths[-1:] if last.duration is not None else [])
    elif len(lengths) == len(intervals):
        end = _end(report.dtstart, lengths)
    else:
        return
    if end is not None and end != _end(report.dtstart, [report.duration]):
        yield Problem(
            f"the report says that it lasts {format_duration(report.duration)},"
            f" but its intervals end at {format_date_time(end)}",
            "give the time from the start of the first interval to the end of the last, or leave duration out",
            ("duration",),
        )


@rule("316", OadrReport)
def _uids(report: OadrReport, scene: Scene) -> Iterator[Problem]:
    """Intervals without a start are numbered 0, 1, 2, … by uid; Green Button needs no numbers."""
    for position, interval in enumerate(report.intervals):
        if interval.dtstart is not None or any(isinstance(payload, GBPayload) for payload in interval.payloads):
            continue
        if interval.uid is None or interval.uid.strip() != str(position):
            found = "no uid" if interval.uid is None else f"uid {interval.uid!r}"
            yield Problem(
                f"interval {position + 1} has no dtstart and {found}",
                f"number the intervals 0, 1, 2, …: here uid {position}",
                ("intervals", position, "uid"),
            )


@rule("300", OadrReport, severity="warning")
def _each_point_once(report: OadrReport, scene: Scene) -> Iterator[Problem]:
    """An interval gives each data point one value."""
    seen = set()
    for place, position, payload in _payloads(report):
        if (position, payload.r_id) in seen:
            yield Problem(
                f"interval {position + 1} gives two values for data point {payload.r_id!r}",
                "give each rID one value in an interval",
                (*place, "r_id"),
            )
        seen.add((position, payload.r_id))


@rule("318", OadrReport, severity="warning")
def _missing_values(report: OadrReport, scene: Scene) -> Iterator[Problem]:
    """Where there is no valid value, a placeholder with a bad quality stands for it."""
    for place, _, payload in _payloads(report):
        if isinstance(payload.value, float) and not isfinite(payload.value):
            yield Problem(
                f"data point {payload.r_id!r} has the value {payload.value}",
                "send a finite placeholder such as 0 with an oadrDataQuality that starts with Quality Bad",
                (*place, "value"),
            )


@rule("319", OadrReport)
def _accuracy(report: OadrReport, scene: Scene) -> Iterator[Problem]:
    """A resource status has no accuracy, because it has no unit."""
    for place, _, payload in _payloads(report):
        if payload.accuracy is not None and isinstance(payload.value, ResourceStatus):
            yield Problem(
                f"data point {payload.r_id!r} is a resource status, but has an accuracy",
                "leave accuracy out",
                (*place, "accuracy"),
            )


@rule("331", OadrReport)
def _kind_of_values(report: OadrReport, scene: Scene) -> Iterator[Problem]:
    """Status reports hold resource states, usage reports numbers; no report holds the payload of a signal."""
    name = report_name(report)
    for position, interval in enumerate(report.intervals):
        for index, payload in enumerate(interval.payloads):
            place: Place = ("intervals", position, "payloads", index)
            if isinstance(payload, SignalPayload):
                fix = "use oadrReportPayload with the rID"
                yield Problem(f"interval {position + 1} of a report holds a signalPayload", fix, place)
            elif isinstance(payload, ReportPayload):
                is_status = isinstance(payload.value, ResourceStatus)
                where = f"data point {payload.r_id!r} of {name}"
                if name == "TELEMETRY_STATUS" and not is_status:
                    yield Problem(f"{where} is a number", "send oadrPayloadResourceStatus", (*place, "value"))
                elif name in ("TELEMETRY_USAGE", "HISTORY_USAGE") and is_status:
                    yield Problem(f"{where} is a resource status", "send payloadFloat", (*place, "value"))


@rule("342", OadrReport, severity="warning")
def _states_have_no_length(report: OadrReport, scene: Scene) -> Iterator[Problem]:
    """A resource status belongs to an instant, so its interval has no duration."""
    for place, position, payload in _payloads(report):
        if isinstance(payload.value, ResourceStatus) and report.intervals[position].duration is not None:
            yield Problem(
                f"interval {position + 1} holds a resource status, and has a duration",
                "give the interval its dtstart only",
                (*place[:2], "duration"),
            )


def _shape(status: ResourceStatus) -> frozenset[str] | None:
    state: LoadControlState | None = status.load_control_state
    return None if state is None else frozenset(name for name, part in state.items() if part is not None)


@rule("334", OadrReport)
def _same_parts(report: OadrReport, scene: Scene) -> Iterator[Problem]:
    """A data point has the same parts of oadrLoadControlState in every interval."""
    first: dict[str, frozenset[str] | None] = {}
    for place, position, payload in _payloads(report):
        if isinstance(payload.value, ResourceStatus):
            shape = _shape(payload.value)
            if first.setdefault(payload.r_id, shape) != shape:
                yield Problem(
                    f"data point {payload.r_id!r} has other parts of oadrLoadControlState in interval"
                    f" {position + 1} than before",
                    "send the same parts in all intervals",
                    (*place, "value"),
                )


RULES = (
    _each_point_once,
    _belongs_to_a_request,
    _data_not_metadata,
    _starts,
    _durations,
    _uids,
    _missing_values,
    _accuracy,
    _kind_of_values,
    _same_parts,
    _states_have_no_length,
)
