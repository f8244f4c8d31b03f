"""Events as they are given to the API: whole, in a few words, as changes, and as copies of others."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from pyopenadr.errors import ModelError
from pyopenadr.model import Baseline, Event, Interval, ResponseRequired, Signal, Target, Unit
from pyopenadr.model.time import ZERO, Duration, as_utc
from pyopenadr.store.port import Draft, StoredEvent
from pyopenadr.vtn.draft import changed_event, check_event, copied_event, new_id
from pyopenadr.vtn.service.dispatch import draft_of

__all__ = ["EventChanges", "EventCopy", "NewEvent", "copied_draft", "new_draft", "revised_draft", "revised_event"]

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
EventId = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
VenIds = tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=256)], ...]


class _Fields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of an event that may be given or left out."""

    duration: Duration | UnsetType = UNSET
    signals: tuple[Signal, ...] | UnsetType = UNSET
    market_context: str | UnsetType = UNSET
    modification_reason: str | UnsetType | None = UNSET
    priority: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | UnsetType = UNSET
    test_event: str | UnsetType | None = UNSET
    vtn_comment: str | UnsetType | None = UNSET
    start_after: Duration | UnsetType = UNSET
    notification: Duration | UnsetType = UNSET
    ramp_up: Duration | UnsetType | None = UNSET
    recovery: Duration | UnsetType | None = UNSET
    baseline: Baseline | UnsetType | None = UNSET
    target: Target | UnsetType = UNSET
    response_required: ResponseRequired | UnsetType = UNSET

    def given(self, *without: str) -> dict[str, Any]:
        """The fields that are not left out."""
        pairs = ((name, getattr(self, name)) for name in self.__struct_fields__ if name not in without)
        return {name: value for name, value in pairs if value is not UNSET}


class NewEvent(_Fields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event to make.

    Give `intervals` for one signal, named by `signal_name`, `signal_type` and `unit`; or `signals`, and `duration` if
    it is not that of the first one's intervals. It is for `ven_ids`, else for the VENs of its target, else for all.
    A `draft` is kept and sent to nobody until it is published. `opt_schedules`, `overlap` and `answer_within` say how
    it is sent out, where that is not as the server's settings say.
    """

    start: Instant
    event_id: EventId | None = None
    intervals: tuple[Interval, ...] = ()
    signal_name: str = "SIMPLE"
    signal_type: str = "level"
    unit: Unit | None = None
    ven_ids: VenIds | None = None
    draft: bool = False
    opt_schedules: Literal["send", "warn", "skip"] | None = None
    overlap: Literal["allow", "warn", "refuse"] | None = None
    answer_within: timedelta | None = None


class EventChanges(_Fields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be different in an event; what is left out stays. A published event may get more VENs, not fewer."""

    start: Instant | UnsetType = UNSET
    ven_ids: VenIds | UnsetType | None = UNSET


class EventCopy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a copy differs from its original: it has another start and ID, and is a draft unless told otherwise."""

    start: Instant
    event_id: EventId | None = None
    ven_ids: VenIds | UnsetType | None = UNSET
    draft: bool = True


_OF_ONE_SIGNAL = ("event_id", "start", "intervals", "signal_name", "signal_type", "unit")
_OF_DISPATCH = ("ven_ids", "draft", "opt_schedules", "overlap", "answer_within")


def new_draft(new: NewEvent, now: datetime) -> Draft:
    """The event that `new` describes, checked, with how it is to be sent out.

    Raises:
        ModelError: it is not legal.
    """
    fields = new.given(*_OF_ONE_SIGNAL, *_OF_DISPATCH)
    if ("signals" in fields) == bool(new.intervals):
        raise ModelError("an event needs either intervals, for one signal, or signals")
    if "signals" not in fields:
        one = Signal(
            signal_name=new.signal_name,
            signal_type=new.signal_type,
            signal_id="signal-1",
            unit=new.unit,
            intervals=new.intervals,
        )
        fields["signals"] = (one,)
    if "duration" not in fields:
        fields["duration"] = _total(interval for signal in fields["signals"][:1] for interval in signal.intervals)
    event = Event(
        **{
            "event_id": new.event_id or new_id(),
            "start": as_utc(new.start).replace(microsecond=0),
            "created_date_time": now,
            "market_context": "http://localhost/default",
            **fields,
        }
    )
    check_event(event)
    return Draft(
        event=event,
        ven_ids=new.ven_ids or None,
        opt_schedules=new.opt_schedules,
        overlap=new.overlap,
        answer_within=new.answer_within,
    )


def _total(intervals: Iterable[Interval]) -> timedelta:
    total = ZERO
    for interval in intervals:
        if not isinstance(interval.duration, timedelta):
            raise ModelError("say the event's duration where intervals are given in months")
        total += interval.duration
    return total


def revised_event(stored: StoredEvent, changes: EventChanges, now: datetime) -> StoredEvent:
    """The next version of a published event (2.0b rules 5, 20); whom it is for is another matter."""
    return changed_event(stored, _changed(changes), now)


def revised_draft(draft: Draft, changes: EventChanges, now: datetime) -> Draft:
    """A draft with the changes; it has no versions yet."""
    event = msgspec.structs.replace(draft.event, **_changed(changes), created_date_time=now)
    check_event(event)
    ven_ids = draft.ven_ids if changes.ven_ids is UNSET else changes.ven_ids or None
    return msgspec.structs.replace(draft, event=event, ven_ids=ven_ids)


def _changed(changes: EventChanges) -> dict[str, Any]:
    fields = changes.given("ven_ids")
    if "start" in fields:
        fields["start"] = as_utc(fields["start"]).replace(microsecond=0)
    return fields


def copied_draft(old: StoredEvent | Draft, copy: EventCopy, now: datetime) -> Draft:
    """A new event like another one, at another time."""
    if isinstance(old, StoredEvent):
        old = draft_of(old)
    event = copied_event(old.event, copy.start, {"event_id": copy.event_id or new_id()}, now)
    check_event(event)
    ven_ids = old.ven_ids if copy.ven_ids is UNSET else copy.ven_ids or None
    return msgspec.structs.replace(old, event=event, ven_ids=ven_ids)
