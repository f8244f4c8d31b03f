"""Events: what the VTN asks for, when, and what the VEN answers.

An `Event` is independent of any wire form. Its status is no stored thing but follows from its times and an instant
(`status_at`); only `cancelled` is a fact of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

import msgspec

from pyopenadr.model.party import EVERYONE, Target
from pyopenadr.model.quantity import Unit
from pyopenadr.model.time import ZERO, Duration, Span, add, is_positive, is_zero

__all__ = [
    "Baseline",
    "Event",
    "EventStatus",
    "Interval",
    "Opt",
    "OptType",
    "ResponseRequired",
    "Signal",
    "is_listed",
    "same_content",
]


class EventStatus(StrEnum):
    """Where an event stands (2.0b rule 13)."""

    FAR = "far"
    NEAR = "near"
    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class OptType(StrEnum):
    """Whether the VEN takes part."""

    IN = "optIn"
    OUT = "optOut"


class ResponseRequired(StrEnum):
    """Whether the VEN has to answer the event (2.0b rules 12, 62)."""

    ALWAYS = "always"
    NEVER = "never"


class Interval(msgspec.Struct, frozen=True):
    """One step of a signal: `value` holds for `duration`. A zero duration lasts until the event is cancelled."""

    duration: Duration
    value: float


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that an event asks for, as steps in time.

    `signal_name` is one of the standard's names (SIMPLE, ELECTRICITY_PRICE, LOAD_DISPATCH, …) or your own that
    starts with `x-`; `signal_type` says how to read the values (level, price, setpoint, …). The intervals follow
    each other from the start of the event, and their durations sum to that of the event (2.0b rules 8, 102).
    `device_classes` narrows the event's target to kinds of devices (2.0b rule 111).
    """

    signal_name: str
    signal_type: str
    signal_id: str
    intervals: tuple[Interval, ...]
    unit: Unit | None = None
    device_classes: tuple[str, ...] = ()

    def spans(self, start: datetime) -> Iterator[tuple[Span, Interval]]:
        """Each interval with the time it covers, if the signal starts at `start`."""
        for interval in self.intervals:
            span = Span.of(start, interval.duration)
            yield span, interval
            if span.end is None:
                return
            start = span.end

    def interval_at(self, instant: datetime, start: datetime) -> Interval | None:
        """The interval in force at `instant` if the signal starts at `start`, or None before and after."""
        return next((interval for span, interval in self.spans(start) if instant in span), None)


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What the resources would do without the event (2.0b rules 101, 102, 108)."""

    baseline_id: str
    baseline_name: str
    start: datetime
    duration: Duration
    intervals: tuple[Interval, ...]
    resource_ids: tuple[str, ...] = ()
    unit: Unit | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A demand-response event.

    Times: the event is active from `start` for `duration` (zero: until it is cancelled, 2.0b rule 47).
    `start_after` is the width of the window in which each VEN picks its own random start (2.0b rule 30).
    `ramp_up` and `recovery`: positive lies outside the active period, negative inside it (2.0b rule 31).
    `notification` is how long before the start the VEN wants to know.
    `priority`: 1 is the highest, larger is lower, 0 is none and the lowest of all (2.0b rule 3).
    `modification_number` counts the changes (2.0b rule 5). `test_event` is the standard's text: None or "false"
    for a real event, anything else for a test (2.0b rule 6). `market_context` is the programme's URI.
    `created_date_time` is when this version was made.
    """

    event_id: str
    start: datetime
    duration: Duration
    signals: tuple[Signal, ...]
    created_date_time: datetime
    market_context: str
    modification_number: int = 0
    modification_date_time: datetime | None = None
    modification_reason: str | None = None
    priority: int = 0
    cancelled: bool = False
    test_event: str | None = None
    vtn_comment: str | None = None
    start_after: Duration = ZERO
    notification: Duration = ZERO
    ramp_up: Duration | None = None
    recovery: Duration | None = None
    baseline: Baseline | None = None
    target: Target = EVERYONE
    response_required: ResponseRequired = ResponseRequired.ALWAYS

    @property
    def is_test(self) -> bool:
        """Whether this is a test event: anything but absent, empty or `false` is (2.0b rules 6, 46)."""
        return (self.test_event or "").strip() not in ("", "false")

    @property
    def active_span(self) -> Span:
        """The nominal active period, without any VEN's random offset."""
        return Span.of(self.start, self.duration)

    @property
    def near_from(self) -> datetime:
        """When the event turns from far to near: at the start of a ramp that lies before it (2.0b rule 13)."""
        if self.ramp_up is None or not is_positive(self.ramp_up):
            return self.start
        if isinstance(self.ramp_up, msgspec.Struct):
            return add(self.start, msgspec.structs.replace(self.ramp_up, negative=True))
        return self.start - self.ramp_up

    @property
    def listed_until(self) -> datetime | None:
        """Until when a VTN lists the event: its end plus the random window (2.0b rule 66); None for ever."""
        end = self.active_span.end
        return end if end is None or not is_positive(self.start_after) else add(end, self.start_after)

    def status_at(self, now: datetime) -> EventStatus:
        """The status at `now` (2.0b rules 13, 66, 114)."""
        if self.cancelled:
            return EventStatus.CANCELLED
        span = self.active_span
        if now in span:
            return EventStatus.ACTIVE
        if span.end is not None and now >= span.end:
            return EventStatus.COMPLETED
        return EventStatus.NEAR if now >= self.near_from else EventStatus.FAR

    def current_value(self, signal: Signal, now: datetime) -> float:
        """What `signal` says at `now`: the payload of the running interval, and 0 outside (2.0b rules 14, 29)."""
        if self.status_at(now) is not EventStatus.ACTIVE:
            return 0.0
        interval = signal.interval_at(now, self.start)
        return interval.value if interval is not None else 0.0

    @property
    def is_open_ended(self) -> bool:
        """Whether the event lasts until it is cancelled (2.0b rule 47)."""
        return is_zero(self.duration)


def is_listed(event: Event, now: datetime, *, acknowledged: bool) -> bool:
    """Whether a VEN still gets the event (2.0b rules 50, 52, 66).

    An event is listed until its end and the random window after it. A cancelled one is listed until then, but no
    more once it is `acknowledged`: the VEN has answered the cancellation or, where it must not answer, has been
    sent it (as often as the VTN sees fit).
    """
    until = event.listed_until
    is_over = until is not None and now >= until
    return not is_over and not (event.cancelled and acknowledged)


def same_content(old: Event, new: Event) -> bool:
    """Whether two versions of an event differ in nothing that counts as a change (2.0b rule 5).

    When a version was made, and its number, do not count; status and current values are no part of an `Event`.
    """
    return old == msgspec.structs.replace(
        new,
        modification_number=old.modification_number,
        modification_date_time=old.modification_date_time,
        created_date_time=old.created_date_time,
    )


class Opt(msgspec.Struct, frozen=True, kw_only=True):
    """A VEN's own word on its availability, or on one event (EiOpt, 2.0b rules 200 to 211).

    With `event_id` it qualifies that event; without, `availability` lists when `opt_type` holds.
    """

    opt_id: str
    ven_id: str
    opt_type: OptType
    opt_reason: str
    created_date_time: datetime
    market_context: str | None = None
    availability: tuple[Span, ...] = ()
    event_id: str | None = None
    modification_number: int | None = None
    target: Target = EVERYONE
    device_classes: tuple[str, ...] = ()
