"""Reports: what can be measured, what is asked for, what was measured.

Either side can be the source of a report; the same values serve both directions.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from pyopenadr.model.party import EVERYONE, Target
from pyopenadr.model.quantity import Unit
from pyopenadr.model.time import ZERO, Duration, is_zero

__all__ = [
    "Capability",
    "DataPoint",
    "LoadControlState",
    "LoadControlValue",
    "Reading",
    "Report",
    "ReportRequest",
    "ReportRule",
    "ResourceStatus",
]


class DataPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be measured (one rID of a report).

    `report_type` and `reading_type` are the standard's terms (`usage`, `Direct Read`, …) or your own with `x-`.
    `data_source` names the resources that are summed up in it; empty means all of the sender's (2.0b rules 302,
    343). `subject` narrows it to device classes (2.0b rule 307). `min_period` is the fastest sampling, `max_period`
    the slowest, `on_change` whether it can be recorded when it changes (2.0b rule 333).
    """

    r_id: str
    report_type: str = "usage"
    reading_type: str = "Direct Read"
    unit: Unit | None = None
    data_source: Target = EVERYONE
    subject: tuple[str, ...] = ()
    market_context: str | None = None
    min_period: Duration | None = None
    max_period: Duration | None = None
    on_change: bool = False


class Capability(msgspec.Struct, frozen=True, kw_only=True):
    """A report that somebody can deliver (METADATA, 2.0b rules 305 to 312).

    `report_name` is the bare name (TELEMETRY_USAGE, TELEMETRY_STATUS, HISTORY_USAGE, or `x-…`); `duration` is how
    much data is kept for it.
    """

    report_specifier_id: str
    report_name: str
    duration: Duration
    points: tuple[DataPoint, ...]
    created_date_time: datetime

    def point(self, r_id: str) -> DataPoint | None:
        """The data point with that rID, or None."""
        return next((point for point in self.points if point.r_id == r_id), None)


class ReportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants of a report (2.0b rules 317 to 325).

    `report_back_duration` of zero asks for one report now; else one is due each time it has passed. `granularity`
    is the length of an interval. `start` and `duration` bound the request in time; a zero duration is for ever.
    """

    report_request_id: str
    report_specifier_id: str
    r_ids: tuple[str, ...]
    granularity: Duration = ZERO
    report_back_duration: Duration = ZERO
    start: datetime | None = None
    duration: Duration = ZERO

    @property
    def is_metadata(self) -> bool:
        """Whether it asks for the list of capabilities itself (2.0b rule 327)."""
        return self.report_specifier_id == "METADATA"

    @property
    def is_one_shot(self) -> bool:
        """Whether it asks for exactly one report, at once (2.0b rule 324)."""
        return self.report_back_duration == ZERO


class ReportRule(msgspec.Struct, frozen=True, kw_only=True):
    """Which reports a VTN asks of which VENs, whenever they say what they can report.

    It is for the members of `group_id` and for `ven_ids`; with neither, for every VEN. It asks for the reports with
    that `report_name`, or the one with that `report_specifier_id`, and there for the points with these `r_ids` or this
    `report_type`; what is not given does not matter. The rest is as in `ReportRequest`; `start` is when it is asked.
    """

    rule_id: str
    report_name: str | None = "TELEMETRY_USAGE"
    report_specifier_id: str | None = None
    r_ids: tuple[str, ...] = ()
    report_type: str | None = None
    group_id: str | None = None
    ven_ids: tuple[str, ...] = ()
    granularity: Duration = ZERO
    report_back_duration: Duration = ZERO
    duration: Duration = ZERO

    def request(self, capability: Capability, now: datetime) -> ReportRequest | None:
        """What it asks of a report that a VEN offers; None if nothing.

        The request's ID is the same each time, so that asking again replaces what was asked before.
        """
        if self.report_name not in (None, capability.report_name):
            return None
        if self.report_specifier_id not in (None, capability.report_specifier_id):
            return None
        r_ids = tuple(
            point.r_id
            for point in capability.points
            if (not self.r_ids or point.r_id in self.r_ids) and self.report_type in (None, point.report_type)
        )
        if not r_ids:
            return None
        return ReportRequest(
            report_request_id=f"{self.prefix}{capability.report_specifier_id}",
            report_specifier_id=capability.report_specifier_id,
            r_ids=r_ids,
            granularity=self.granularity,
            report_back_duration=self.report_back_duration,
            start=None if is_zero(self.report_back_duration) else now,
            duration=self.duration,
        )

    @property
    def prefix(self) -> str:
        """What the IDs of all its requests begin with."""
        return f"rule:{self.rule_id}:"


class LoadControlValue(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One controllable quantity of a resource, with its range and its normal value where known."""

    current: float
    minimum: float | None = None
    maximum: float | None = None
    normal: float | None = None


class LoadControlState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a resource's load is being controlled (2.0b rule 334)."""

    capacity: LoadControlValue | None = None
    level_offset: LoadControlValue | None = None
    percent_offset: LoadControlValue | None = None
    set_point: LoadControlValue | None = None


class ResourceStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The state of a resource: reachable, overridden by hand, and how it is controlled."""

    online: bool
    manual_override: bool
    load_control_state: LoadControlState | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One measured value of one data point.

    `start` is the instant of a point value, or the beginning of the period that `duration` gives for a value that
    was accumulated (2.0b rules 314, 315). `value` is a number, or a `ResourceStatus` in status reports. `quality` is
    the standard's text, None for unstated; `confidence` is 0 to 100; `accuracy` is in the value's unit (rule 319).
    """

    r_id: str
    start: datetime
    value: float | ResourceStatus
    duration: Duration | None = None
    quality: str | None = None
    confidence: int | None = None
    accuracy: float | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A report with data, as its requester gets it: which request it answers, and what was measured."""

    report_request_id: str
    report_specifier_id: str
    report_name: str | None
    created_date_time: datetime
    readings: tuple[Reading, ...]


DEFAULT_HISTORY = timedelta(days=30)
"""How much data a source keeps if nothing else is said."""
