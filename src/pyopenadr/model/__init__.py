"""What OpenADR means, apart from how it is written on any wire: frozen values with native Python types."""

from pyopenadr.model.area import Position
from pyopenadr.model.event import (
    Baseline,
    Event,
    EventStatus,
    Interval,
    Opt,
    OptType,
    ResponseRequired,
    Signal,
)
from pyopenadr.model.group import Group, Member, Resource
from pyopenadr.model.party import EVERYONE, Area, Registration, Target, TransportInterface
from pyopenadr.model.quantity import Unit
from pyopenadr.model.report import (
    Capability,
    DataPoint,
    LoadControlState,
    LoadControlValue,
    Reading,
    Report,
    ReportRequest,
    ReportRule,
    ResourceStatus,
)
from pyopenadr.model.time import CalendarDuration, Duration, Span

__all__ = [
    "EVERYONE",
    "Area",
    "Baseline",
    "CalendarDuration",
    "Capability",
    "DataPoint",
    "Duration",
    "Event",
    "EventStatus",
    "Group",
    "Interval",
    "LoadControlState",
    "LoadControlValue",
    "Member",
    "Opt",
    "OptType",
    "Position",
    "Reading",
    "Registration",
    "Report",
    "ReportRequest",
    "ReportRule",
    "Resource",
    "ResourceStatus",
    "ResponseRequired",
    "Signal",
    "Span",
    "Target",
    "TransportInterface",
    "Unit",
]
