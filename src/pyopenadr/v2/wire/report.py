"""Messages and structures of the EiReport service. All of them go in both directions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from pyopenadr.model.time import Duration
from pyopenadr.v2.text import ANY_URI, one_of
from pyopenadr.v2.wire.base import AtLeast, Message, Wire
from pyopenadr.v2.wire.common import ITEM_BASE, SCHEMA_VERSION, EiResponse, EiTarget, Interval, ItemBase
from pyopenadr.v2.wire.enumeration import READING_TYPES, REPORT_NAMES, REPORT_TYPES

__all__ = [
    "OadrCancelReport",
    "OadrCanceledReport",
    "OadrCreateReport",
    "OadrCreatedReport",
    "OadrRegisterReport",
    "OadrRegisteredReport",
    "OadrReport",
    "OadrUpdateReport",
    "OadrUpdatedReport",
    "ReportDescription",
    "ReportRequest",
    "ReportSpecifier",
    "SamplingRate",
    "SpecifierPayload",
    "WsCalendarInterval",
]

_READING_TYPE = one_of("readingType", READING_TYPES, extensible=True)


class SamplingRate(Wire, frozen=True, kw_only=True):
    """How often a data point can be sampled (`oadr:oadrSamplingRate`)."""

    min_period: Annotated[Duration, "oadr:oadrMinPeriod"]
    max_period: Annotated[Duration, "oadr:oadrMaxPeriod"]
    on_change: Annotated[bool, "oadr:oadrOnChange"]


class ReportDescription(Wire, frozen=True, kw_only=True):
    """One data point that can be reported (`oadr:oadrReportDescription`)."""

    r_id: Annotated[str, "ei:rID"]
    report_subject: Annotated[EiTarget | None, "ei:reportSubject"] = None
    report_data_source: Annotated[EiTarget | None, "ei:reportDataSource"] = None
    report_type: Annotated[str, "ei:reportType", one_of("reportType", REPORT_TYPES, extensible=True)]
    item_base: Annotated[ItemBase | None, ITEM_BASE] = None
    reading_type: Annotated[str, "ei:readingType", _READING_TYPE]
    market_context: Annotated[str | None, "emix:marketContext", ANY_URI] = None
    sampling_rate: Annotated[SamplingRate | None, "oadr:oadrSamplingRate"] = None


class OadrReport(Wire, frozen=True, kw_only=True):
    """A report: its description (METADATA, 2.0b rule 305) or its data (2.0b rule 313)."""

    dtstart: Annotated[datetime | None, "xcal:dtstart/xcal:date-time"] = None
    duration: Annotated[Duration | None, "xcal:duration/xcal:duration"] = None
    intervals: Annotated[tuple[Interval, ...], "strm:intervals/ei:interval", AtLeast(1)] = ()
    ei_report_id: Annotated[str | None, "ei:eiReportID"] = None
    report_descriptions: Annotated[tuple[ReportDescription, ...], "oadr:oadrReportDescription"] = ()
    report_request_id: Annotated[str, "ei:reportRequestID"]
    report_specifier_id: Annotated[str, "ei:reportSpecifierID"]
    report_name: Annotated[str | None, "ei:reportName", one_of("reportName", REPORT_NAMES, extensible=True)] = None
    created_date_time: Annotated[datetime, "ei:createdDateTime"]


class SpecifierPayload(Wire, frozen=True, kw_only=True):
    """One data point that is asked for (`ei:specifierPayload`, 2.0b rules 321, 338)."""

    r_id: Annotated[str, "ei:rID"]
    item_base: Annotated[ItemBase | None, ITEM_BASE] = None
    reading_type: Annotated[str, "ei:readingType", _READING_TYPE]


class WsCalendarInterval(Wire, frozen=True, kw_only=True):
    """A period (`xcal:WsCalendarIntervalType`). Reports use only its start and duration (2.0b rule 321)."""

    dtstart: Annotated[datetime, "xcal:properties/xcal:dtstart/xcal:date-time"]
    duration: Annotated[Duration, "xcal:properties/xcal:duration/xcal:duration"]
    start_after: Annotated[Duration | None, "xcal:properties/xcal:tolerance/xcal:tolerate/xcal:startafter?"] = None
    notification: Annotated[Duration | None, "xcal:properties/ei:x-eiNotification/xcal:duration"] = None
    ramp_up: Annotated[Duration | None, "xcal:properties/ei:x-eiRampUp/xcal:duration"] = None
    recovery: Annotated[Duration | None, "xcal:properties/ei:x-eiRecovery/xcal:duration"] = None


class ReportSpecifier(Wire, frozen=True, kw_only=True):
    """What is asked of a report (`ei:reportSpecifier`)."""

    report_specifier_id: Annotated[str, "ei:reportSpecifierID"]
    granularity: Annotated[Duration, "xcal:granularity/xcal:duration"]
    report_back_duration: Annotated[Duration, "ei:reportBackDuration/xcal:duration"]
    report_interval: Annotated[WsCalendarInterval | None, "ei:reportInterval"] = None
    specifier_payloads: Annotated[tuple[SpecifierPayload, ...], "ei:specifierPayload", AtLeast(1)]


class ReportRequest(Wire, frozen=True, kw_only=True):
    """A request for a report (`oadr:oadrReportRequest`)."""

    report_request_id: Annotated[str, "ei:reportRequestID"]
    report_specifier: Annotated[ReportSpecifier, "ei:reportSpecifier"]


class OadrRegisterReport(Message, frozen=True, kw_only=True):
    """Source to requester: these are my reports (2.0b rules 301, 305 to 312)."""

    tag: ClassVar[str] = "oadr:oadrRegisterReport"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    request_id: Annotated[str, "pyld:requestID"]
    reports: Annotated[tuple[OadrReport, ...], "oadr:oadrReport"] = ()
    ven_id: Annotated[str | None, "ei:venID"] = None
    report_request_id: Annotated[str | None, "ei:reportRequestID"] = None


class OadrRegisteredReport(Message, frozen=True, kw_only=True):
    """Requester to source: taken note, and maybe already a request (2.0b rule 344)."""

    tag: ClassVar[str] = "oadr:oadrRegisteredReport"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    response: Annotated[EiResponse, "ei:eiResponse"]
    report_requests: Annotated[tuple[ReportRequest, ...], "oadr:oadrReportRequest"] = ()
    ven_id: Annotated[str | None, "ei:venID"] = None


class OadrCreateReport(Message, frozen=True, kw_only=True):
    """Requester to source: deliver these reports (2.0b rules 317 to 327, 338)."""

    tag: ClassVar[str] = "oadr:oadrCreateReport"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    request_id: Annotated[str, "pyld:requestID"]
    report_requests: Annotated[tuple[ReportRequest, ...], "oadr:oadrReportRequest", AtLeast(1)]
    ven_id: Annotated[str | None, "ei:venID"] = None


class OadrCreatedReport(Message, frozen=True, kw_only=True):
    """Source to requester: this is scheduled now (2.0b rule 329)."""

    tag: ClassVar[str] = "oadr:oadrCreatedReport"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    response: Annotated[EiResponse, "ei:eiResponse"]
    pending_reports: Annotated[tuple[str, ...], "oadr:oadrPendingReports/ei:reportRequestID"]
    ven_id: Annotated[str | None, "ei:venID"] = None


class OadrUpdateReport(Message, frozen=True, kw_only=True):
    """Source to requester: the data (2.0b rules 313 to 319, 346)."""

    tag: ClassVar[str] = "oadr:oadrUpdateReport"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    request_id: Annotated[str, "pyld:requestID"]
    reports: Annotated[tuple[OadrReport, ...], "oadr:oadrReport"] = ()
    ven_id: Annotated[str | None, "ei:venID"] = None


class OadrCancelReport(Message, frozen=True, kw_only=True):
    """Requester to source: stop these (2.0b rules 336, 345)."""

    tag: ClassVar[str] = "oadr:oadrCancelReport"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    request_id: Annotated[str, "pyld:requestID"]
    report_request_id: Annotated[tuple[str, ...], "ei:reportRequestID", AtLeast(1)]
    report_to_follow: Annotated[bool, "pyld:reportToFollow"]
    ven_id: Annotated[str | None, "ei:venID"] = None


class OadrUpdatedReport(Message, frozen=True, kw_only=True):
    """Requester to source: the data has been kept, and maybe: stop (2.0b rules 328, 335)."""

    tag: ClassVar[str] = "oadr:oadrUpdatedReport"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    response: Annotated[EiResponse, "ei:eiResponse"]
    cancel_report: Annotated[OadrCancelReport | None, "oadr:oadrCancelReport"] = None
    ven_id: Annotated[str | None, "ei:venID"] = None


class OadrCanceledReport(Message, frozen=True, kw_only=True):
    """Source to requester: stopped; this is what goes on (2.0b rule 329)."""

    tag: ClassVar[str] = "oadr:oadrCanceledReport"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    response: Annotated[EiResponse, "ei:eiResponse"]
    pending_reports: Annotated[tuple[str, ...], "oadr:oadrPendingReports/ei:reportRequestID"]
    ven_id: Annotated[str | None, "ei:venID"] = None
