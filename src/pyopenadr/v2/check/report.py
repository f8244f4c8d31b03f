"""Rules on the offer of reports (METADATA) and on requests for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import msgspec

from pyopenadr.model.time import Duration, is_positive, is_zero
from pyopenadr.v2.check.finding import Place, Problem, Scene, rule
from pyopenadr.v2.check.message import device_class_problems
from pyopenadr.v2.text import format_duration
from pyopenadr.v2.wire import (
    Message,
    OadrRegisterReport,
    OadrReport,
    ReportDescription,
    ReportRequest,
    ReportSpecifier,
    SamplingRate,
)

__all__ = ["METADATA", "REPORTS", "RULES", "KnownReport", "is_longer", "report_name"]

METADATA = "METADATA_"


class KnownReport(msgspec.Struct, frozen=True):
    """One row of the standard's table of reports. No units means: none may be given."""

    report_type: str
    reading_type: str
    units: tuple[str, ...]


_USAGE = KnownReport("usage", "Direct Read", ("powerReal", "energyReal", "pulseCount"))

REPORTS: Mapping[str, KnownReport] = MappingProxyType(
    {
        "TELEMETRY_USAGE": _USAGE,
        "HISTORY_USAGE": _USAGE,
        "TELEMETRY_STATUS": KnownReport("x-resourceStatus", "x-notApplicable", ()),
    }
)
"""The reports of the standard (2.0b rule 331). Green Button reports are in the schema, but not in the rule."""


def report_name(report: OadrReport) -> str:
    """The name of a report without METADATA_, empty if it has none."""
    return (report.report_name or "").removeprefix(METADATA)


def is_longer(one: Duration, other: Duration) -> bool:
    """Whether `one` is surely longer than `other`; months count 28 to 31 days."""
    return _days(one, 28) > _days(other, 31)


def _days(duration: Duration, month: int) -> float:
    if isinstance(duration, msgspec.Struct):
        return duration.months * month + duration.rest.total_seconds() / 86400
    return duration.total_seconds() / 86400


def _reports(message: OadrRegisterReport) -> Iterator[tuple[Place, str, OadrReport]]:
    for position, report in enumerate(message.reports):
        yield ("reports", position), f"report {report.report_specifier_id!r}", report


def _twice(values: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The values that were there before, with their positions."""
    seen = set()
    for position, value in enumerate(values):
        if value in seen:
            yield position, value
        seen.add(value)


@rule("305", OadrRegisterReport)
def _offers_no_data(message: OadrRegisterReport, scene: Scene) -> Iterator[Problem]:
    """An offered report describes data points and holds no data."""
    for place, name, report in _reports(message):
        for field, element in (("dtstart", "dtstart"), ("intervals", "intervals")):
            if report.get(field):
                yield Problem(
                    f"{name} is an offer, but has {element}",
                    f"leave {element} out: data is sent by oadrUpdateReport",
                    (*place, field),
                )
        if report.ei_report_id is not None:
            fix = "leave eiReportID out; nobody uses it"
            yield Problem(f"{name} is an offer, but has eiReportID", fix, (*place, "ei_report_id"), "warning")
        if not report.report_descriptions:
            yield Problem(
                f"{name} offers no data point",
                "add an oadrReportDescription for each, or leave the oadrReport out if there is none",
                (*place, "report_descriptions"),
            )


@rule("307", ReportDescription)
def _report_subject(description: ReportDescription, scene: Scene) -> Iterator[Problem]:
    """reportSubject holds only device classes."""
    for problem in device_class_problems(description.report_subject, "reportSubject"):
        yield msgspec.structs.replace(problem, at=("report_subject", *problem.at))


@rule("308", OadrRegisterReport)
def _unique_ids(message: OadrRegisterReport, scene: Scene) -> Iterator[Problem]:
    """reportSpecifierIDs are unique in an offer, and rIDs in a report."""
    for position, specifier_id in _twice(report.report_specifier_id for report in message.reports):
        yield Problem(
            f"two reports have the reportSpecifierID {specifier_id!r}",
            "give each report its own",
            ("reports", position, "report_specifier_id"),
        )
    for place, name, report in _reports(message):
        for position, r_id in _twice(description.r_id for description in report.report_descriptions):
            yield Problem(
                f"{name} offers two data points with the rID {r_id!r}",
                "give each data point its own",
                (*place, "report_descriptions", position, "r_id"),
            )


@rule("311", OadrRegisterReport)
def _request_ids_of_an_offer(message: OadrRegisterReport, scene: Scene) -> Iterator[Problem]:
    """The reportRequestID in each offered report is 0; the outer one is that of the request, or absent."""
    for place, name, report in _reports(message):
        if report.report_request_id != "0":
            yield Problem(
                f"{name} has reportRequestID {report.report_request_id!r}",
                "write 0 there; the ID of a request for METADATA stands outside, after venID",
                (*place, "report_request_id"),
            )
    if message.report_request_id in ("", "0"):
        yield Problem(
            f"the outer reportRequestID is {message.report_request_id!r}",
            "leave it out unless the VTN or VEN asked for METADATA by oadrCreateReport",
            ("report_request_id",),
        )


@rule("312", OadrRegisterReport)
def _how_much_there_is(message: OadrRegisterReport, scene: Scene) -> Iterator[Problem]:
    """Each offered report has a duration, and can be sampled at least once in it."""
    for place, name, report in _reports(message):
        if report.duration is None:
            yield Problem(
                f"{name} does not say for how long it keeps data",
                "add xcal:duration, such as PT2H for two hours of data",
                (*place, "duration"),
            )
            continue
        for position, description in enumerate(report.report_descriptions):
            rate = description.sampling_rate
            if rate is not None and is_longer(rate.max_period, report.duration):
                yield Problem(
                    f"data point {description.r_id!r} may be sampled every {format_duration(rate.max_period)},"
                    f" but {name} keeps data only for {format_duration(report.duration)}",
                    "make oadrMaxPeriod no longer than the duration of the report",
                    (*place, "report_descriptions", position, "sampling_rate", "max_period"),
                )


@rule("312", SamplingRate, severity="warning")
def _rates_in_order(rate: SamplingRate, scene: Scene) -> Iterator[Problem]:
    """The shortest sampling period is not longer than the longest."""
    if is_longer(rate.min_period, rate.max_period):
        yield Problem(
            f"oadrMinPeriod {format_duration(rate.min_period)} is longer than"
            f" oadrMaxPeriod {format_duration(rate.max_period)}",
            "oadrMinPeriod is the fastest sampling, oadrMaxPeriod the slowest",
            ("min_period",),
        )


@rule("331", OadrRegisterReport)
def _offered_names(message: OadrRegisterReport, scene: Scene) -> Iterator[Problem]:
    """The name of an offered report starts with METADATA_ and is one of the standard, or x-."""
    for place, name, report in _reports(message):
        if not (report.report_name or "").startswith(METADATA):
            found = f"is named {report.report_name}" if report.report_name else "has no reportName"
            wanted = METADATA + (report.report_name or "TELEMETRY_USAGE")
            if report.report_name is None or not report.report_name.startswith("x-"):
                yield Problem(f"{name} is an offer, but {found}", f"write {wanted}", (*place, "report_name"))


@rule("331", OadrReport)
def _known_reports(report: OadrReport, scene: Scene) -> Iterator[Problem]:
    """The data points of the standard's reports have the standard's types and units."""
    known = REPORTS.get(report_name(report))
    if known is None:
        return
    name = report_name(report)
    for position, description in enumerate(report.report_descriptions):
        place: Place = ("report_descriptions", position)
        where = f"data point {description.r_id!r} of {name}"
        if description.report_type != known.report_type:
            problem = f"{where} has reportType {description.report_type}"
            yield Problem(problem, f"write {known.report_type}", (*place, "report_type"))
        if description.reading_type != known.reading_type:
            problem = f"{where} has readingType {description.reading_type}"
            yield Problem(problem, f"write {known.reading_type}", (*place, "reading_type"))
        unit = description.item_base.element if description.item_base is not None else None
        if unit is None and known.units:
            yield Problem(f"{where} has no unit", f"add {' or '.join(known.units)}", (*place, "item_base"))
        elif unit is not None and unit not in known.units:
            fix = f"use {' or '.join(known.units)}" if known.units else "leave the unit out"
            yield Problem(f"{where} is given in {unit}", fix, (*place, "item_base"))


@rule("333", OadrReport)
def _sampling_rate(report: OadrReport, scene: Scene) -> Iterator[Problem]:
    """Each data point of telemetry says how fast it can be sampled."""
    if report_name(report).startswith("TELEMETRY_"):
        for position, description in enumerate(report.report_descriptions):
            if description.sampling_rate is None:
                yield Problem(
                    f"data point {description.r_id!r} of {report_name(report)} has no oadrSamplingRate",
                    "add it with oadrMinPeriod, oadrMaxPeriod and oadrOnChange",
                    ("report_descriptions", position, "sampling_rate"),
                )


@rule("317", ReportSpecifier)
def _granularity(specifier: ReportSpecifier, scene: Scene) -> Iterator[Problem]:
    """A granularity fits into the time between two reports; without such a time it means nothing."""
    back = specifier.report_back_duration
    for field, name in (("granularity", "granularity"), ("report_back_duration", "reportBackDuration")):
        duration = specifier[field]
        if not (is_zero(duration) or is_positive(duration)):
            yield Problem(f"{name} is {format_duration(duration)}", "give no negative duration", (field,))
            return
    if is_positive(back) and is_longer(specifier.granularity, back):
        yield Problem(
            f"granularity {format_duration(specifier.granularity)} is longer than"
            f" reportBackDuration {format_duration(back)}",
            "make reportBackDuration a multiple of the granularity",
            ("granularity",),
        )
    elif is_zero(back) and is_positive(specifier.granularity) and not _is_metadata(specifier):
        yield Problem(
            "reportBackDuration 0 asks for a single report: telemetry then ignores the granularity,"
            " and for history it must be 0",
            "write granularity PT0S, or a reportBackDuration for a series of reports",
            ("granularity",),
            "warning",
        )


def _is_metadata(specifier: ReportSpecifier) -> bool:
    return specifier.report_specifier_id == "METADATA"


@rule("321", ReportSpecifier)
def _nothing_that_requests_lack(specifier: ReportSpecifier, scene: Scene) -> Iterator[Problem]:
    """A request has no unit, and its interval only a start and a duration."""
    interval = specifier.report_interval
    for field, name in (
        ("start_after", "tolerance"),
        ("notification", "x-eiNotification"),
        ("ramp_up", "x-eiRampUp"),
        ("recovery", "x-eiRecovery"),
    ):
        if interval is not None and interval.get(field) is not None:
            yield Problem(f"reportInterval has {name}", f"leave {name} out", ("report_interval", field))
    for position, payload in enumerate(specifier.specifier_payloads):
        if payload.item_base is not None:
            yield Problem(
                f"data point {payload.r_id!r} is asked for in {payload.item_base.element}",
                "leave the unit out: METADATA decides it",
                ("specifier_payloads", position, "item_base"),
            )


@rule("322", Message)
def _unique_request_ids(message: Message, scene: Scene) -> Iterator[Problem]:
    """Each requested report has a reportRequestID of its own."""
    requests: tuple[ReportRequest, ...] = message.get("report_requests", ())
    for position, request in enumerate(requests):
        if request.report_request_id == "":
            place = ("report_requests", position, "report_request_id")
            yield Problem("reportRequestID is empty", "give each request an ID of its own", place)
    for position, request_id in _twice(request.report_request_id for request in requests):
        if request_id:
            yield Problem(
                f"two requests have the reportRequestID {request_id!r}",
                "give each request an ID of its own",
                ("report_requests", position, "report_request_id"),
            )


@rule("324", ReportSpecifier)
def _series_have_a_period(specifier: ReportSpecifier, scene: Scene) -> Iterator[Problem]:
    """A request for a series of reports says when it begins and how long it goes on."""
    back = specifier.report_back_duration
    is_series = is_positive(back) and not is_zero(back) and not _is_metadata(specifier)
    if is_series and specifier.report_interval is None:
        yield Problem(
            f"a report is wanted every {format_duration(back)}, but there is no reportInterval",
            "add reportInterval with dtstart and duration (PT0S: for ever)",
            ("report_interval",),
        )


@rule("327", ReportSpecifier)
def _metadata_by_its_name(specifier: ReportSpecifier, scene: Scene) -> Iterator[Problem]:
    """METADATA is asked for by the reportSpecifierID METADATA, with the rID 0."""
    name = specifier.report_specifier_id
    if name != "METADATA" and (name.upper() == "METADATA" or name.startswith(METADATA)):
        yield Problem(
            f"reportSpecifierID {name!r} does not ask for METADATA",
            "write METADATA, or the reportSpecifierID of an offered report",
            ("report_specifier_id",),
            "warning",
        )
    if _is_metadata(specifier) and [payload.r_id for payload in specifier.specifier_payloads] != ["0"]:
        yield Problem(
            "a request for METADATA names one data point, 0",
            "send a single specifierPayload with rID 0",
            ("specifier_payloads", 0, "r_id"),
            "warning",
        )


@rule("338", ReportSpecifier)
def _reading_type_of_a_request(specifier: ReportSpecifier, scene: Scene) -> Iterator[Problem]:
    """The readingType in a request is x-notApplicable."""
    for position, payload in enumerate(specifier.specifier_payloads):
        if payload.reading_type != "x-notApplicable":
            yield Problem(
                f"data point {payload.r_id!r} is asked for with readingType {payload.reading_type}",
                "write x-notApplicable: METADATA decides it",
                ("specifier_payloads", position, "reading_type"),
            )


RULES = (
    _offers_no_data,
    _report_subject,
    _unique_ids,
    _request_ids_of_an_offer,
    _how_much_there_is,
    _rates_in_order,
    _granularity,
    _nothing_that_requests_lack,
    _unique_request_ids,
    _series_have_a_period,
    _metadata_by_its_name,
    _offered_names,
    _known_reports,
    _sampling_rate,
    _reading_type_of_a_request,
)
