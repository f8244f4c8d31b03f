"""Between wire and meaning: `lift_…` makes model values of wire values, `lower_…` the other way round.

Lowering is lossy where a profile has no form for something: then it returns the value together with the list of what
was lost. Lifting raises `RemoteProtocolError` with a response code (or `ModelError`) for content without a meaning.
"""

from pyopenadr.v2.bridge.event import lift_event, lower_event, lower_events
from pyopenadr.v2.bridge.lowered import Lowered
from pyopenadr.v2.bridge.opt import lift_opt, lower_opt
from pyopenadr.v2.bridge.report import (
    lift_capability,
    lift_readings,
    lift_request,
    lower_capability,
    lower_readings,
    lower_request,
)
from pyopenadr.v2.bridge.target import lift_target, lower_target
from pyopenadr.v2.bridge.unit import lift_unit, lower_unit

__all__ = [
    "Lowered",
    "lift_capability",
    "lift_event",
    "lift_opt",
    "lift_readings",
    "lift_request",
    "lift_target",
    "lift_unit",
    "lower_capability",
    "lower_event",
    "lower_events",
    "lower_opt",
    "lower_readings",
    "lower_request",
    "lower_target",
    "lower_unit",
]
