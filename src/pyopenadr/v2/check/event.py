"""Rules on events as wholes, on the list of them, and on the answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from pyopenadr.errors import ModelError
from pyopenadr.model.time import CalendarDuration, Span, add, is_positive, is_zero
from pyopenadr.v2.check.finding import Problem, Scene, rule
from pyopenadr.v2.check.message import is_failure
from pyopenadr.v2.text import format_date_time, format_duration
from pyopenadr.v2.wire import (
    ActivePeriod,
    EventDescriptor,
    EventResponse,
    OadrCreatedEvent,
    OadrDistributeEvent,
    OadrEvent,
    OadrRequestEvent,
)

__all__ = ["RULES"]


@rule("6", EventDescriptor, severity="note")
def _test_event(descriptor: EventDescriptor, scene: Scene) -> Iterator[Problem]:
    """Any testEvent other than `false` makes the event a test."""
    text = descriptor.test_event
    if text is None or text.strip() == "false":
        return
    fix = "write false, or leave testEvent out, if it is meant to be carried out"
    if text.strip() == "":
        yield Problem("testEvent is empty: peers may read that as a test or as none", fix, ("test_event",), "warning")
    elif text.strip().lower() in ("false", "0", "no"):
        message = f"testEvent {text!r} makes this a test event: only the word false does not"
        yield Problem(message, fix, ("test_event",), "warning")
    else:
        yield Problem(f"testEvent {text!r}: this is a test event", fix, ("test_event",))


@rule("10", EventDescriptor)
def _cancelling_is_a_change(descriptor: EventDescriptor, scene: Scene) -> Iterator[Problem]:
    """Cancelling an event adds 1 to its modificationNumber."""
    if descriptor.event_status == "cancelled" and descriptor.modification_number == 0:
        yield Problem(
            f"event {descriptor.event_id!r} is cancelled, but its modificationNumber is still 0",
            "add 1 to the modificationNumber when you cancel",
            ("modification_number",),
        )


def _near_from(period: ActivePeriod) -> datetime:
    ramp = period.ramp_up
    if ramp is None or not is_positive(ramp):
        return period.dtstart
    back = msgspec.structs.replace(ramp, negative=True) if isinstance(ramp, CalendarDuration) else -ramp
    return add(period.dtstart, back)


def _status_at(period: ActivePeriod, now: datetime) -> str | None:
    """The status that follows from an event's times; None where they lie outside the years 1 to 9999."""
    try:
        span = Span.of(period.dtstart, period.duration)
        if now in span:
            return "active"
        if now >= period.dtstart:
            return "completed"
        return "near" if now >= _near_from(period) else "far"
    except ModelError:
        return None


@rule("13", OadrEvent)
def _status_fits(event: OadrEvent, scene: Scene) -> Iterator[Problem]:
    """An event is near only during a ramp before its start; its status follows its times."""
    status = event.event_descriptor.event_status
    period = event.active_period
    place = ("event_descriptor", "event_status")
    if status == "none":
        yield Problem("the status none says nothing", "use far, near, active, completed or cancelled", place, "warning")
    elif status == "near" and (period.ramp_up is None or not is_positive(period.ramp_up)):
        yield Problem(
            "the event is near, but has no positive x-eiRampUp",
            "without a ramp the status goes from far to active directly",
            place,
        )
    elif scene.now is not None and status != "cancelled":
        expected = _status_at(period, scene.now)
        if expected is not None and expected != status:
            at = format_date_time(scene.now.replace(microsecond=0))
            yield Problem(f"the event is {status}, but at {at} it should be {expected}", f"send {expected}", place)


@rule("50", OadrEvent, severity="warning")
def _no_past_events(event: OadrEvent, scene: Scene) -> Iterator[Problem]:
    """A completed event is listed only as long as its random window lasts (also rule 66)."""
    after = event.active_period.start_after
    if event.event_descriptor.event_status == "completed" and (after is None or not is_positive(after)):
        yield Problem(
            f"event {event.event_descriptor.event_id!r} is completed and has no startafter",
            "leave completed events out",
            ("event_descriptor", "event_status"),
        )


@rule("30", ActivePeriod, severity="warning")
def _random_window(period: ActivePeriod, scene: Scene) -> Iterator[Problem]:
    """The random window of the start points forward."""
    after = period.start_after
    if after is not None and not (is_zero(after) or is_positive(after)):
        yield Problem(
            f"startafter is {format_duration(after)}: VENs will start without a random delay",
            "give a positive duration, or leave tolerance out",
            ("start_after",),
        )


@rule("105", OadrEvent, profile="2.0b")
def _notification(event: OadrEvent, scene: Scene) -> Iterator[Problem]:
    """Every event has x-eiNotification, though the schema does not ask for it."""
    if event.active_period.notification is None:
        yield Problem(
            "x-eiNotification is missing",
            "add <ei:x-eiNotification><xcal:duration>PT0S</xcal:duration></ei:x-eiNotification>",
            ("active_period", "notification"),
        )


@rule("63", OadrEvent)
def _one_ven(event: OadrEvent, scene: Scene) -> Iterator[Problem]:
    """The target of an event names at most one VEN."""
    if len(event.target.ven_id) > 1:
        yield Problem(
            f"the target names {len(event.target.ven_id)} VENs",
            "send each VEN its own message, with at most its own venID",
            ("target", "ven_id", 1),
        )


@rule("70", OadrDistributeEvent)
def _unique_event_ids(message: OadrDistributeEvent, scene: Scene) -> Iterator[Problem]:
    """No two events that a VEN gets have the same eventID, and none has an empty one."""
    seen = set()
    for position, event in enumerate(message.events):
        event_id = event.event_descriptor.event_id
        place = ("events", position, "event_descriptor", "event_id")
        if event_id == "":
            yield Problem("eventID is empty", "give the event an ID", place)
        elif event_id in seen:
            yield Problem(f"two events have the eventID {event_id!r}", "give each event its own", place)
        seen.add(event_id)


def _rank(event: OadrEvent) -> tuple[int, float, datetime] | None:
    """What events are ordered by: active ones first, by priority, then by start; None where any place is right."""
    status = event.event_descriptor.event_status
    if status == "active":
        return 0, event.event_descriptor.priority or float("inf"), event.active_period.dtstart
    if status in ("far", "near"):
        return 1, 0, event.active_period.dtstart
    return None


@rule("15", OadrDistributeEvent)
def _order(message: OadrDistributeEvent, scene: Scene) -> Iterator[Problem]:
    """Active events come first, by priority (0 last) and start; then pending ones by start."""
    before = None
    for position, event in enumerate(message.events):
        rank = _rank(event)
        if rank is None:
            continue
        if before is not None and rank < before:
            yield Problem(
                f"event {event.event_descriptor.event_id!r} should stand before the event in front of it",
                "order active events by priority (1 first, 0 last) and start, then pending events by start",
                ("events", position),
            )
        before = rank


@rule("18", OadrDistributeEvent, severity="note")
def _overlap(message: OadrDistributeEvent, scene: Scene) -> Iterator[Problem]:
    """Events may overlap, but what a VEN does then is not defined."""
    latest: tuple[datetime | None, str] | None = None
    spans = sorted(_spans(message), key=lambda found: found[0].start)
    for span, event_id, position in spans:
        if latest is not None and (latest[0] is None or span.start < latest[0]):
            yield Problem(
                f"event {event_id!r} overlaps event {latest[1]!r}: what the VEN does then is up to its settings",
                "agree with the VEN's operator which of them counts",
                ("events", position),
            )
        if latest is None or (latest[0] is not None and (span.end is None or span.end > latest[0])):
            latest = span.end, event_id


def _spans(message: OadrDistributeEvent) -> Iterator[tuple[Span, str, int]]:
    """When each live event may be executed, its random window included."""
    for position, event in enumerate(message.events):
        period = event.active_period
        if event.event_descriptor.event_status not in ("cancelled", "completed"):
            try:
                span = Span.of(period.dtstart, period.duration)
                if span.end is not None and period.start_after is not None:
                    span = Span(span.start, add(span.end, period.start_after))
            except ModelError:
                continue
            yield span, event.event_descriptor.event_id, position


@rule("40", OadrDistributeEvent, severity="note")
def _says_whether_it_answers(message: OadrDistributeEvent, scene: Scene) -> Iterator[Problem]:
    """An answer to a poll or a request has an eiResponse; a push has none."""
    if message.response is None:
        yield Problem(
            "there is no eiResponse: fine if the VTN pushes this, wrong in an answer to a poll or a request",
            "add eiResponse with 200 if this is an answer",
            ("response",),
        )


@rule("41", OadrDistributeEvent)
def _has_a_request_id(message: OadrDistributeEvent, scene: Scene) -> Iterator[Problem]:
    """The list of events has a requestID of its own, for the VEN to quote."""
    if not message.request_id:
        yield Problem("requestID is empty", "fill it; it may be the same every time", ("request_id",))


@rule("48", OadrDistributeEvent, severity="warning")
def _error_without_events(message: OadrDistributeEvent, scene: Scene) -> Iterator[Problem]:
    """An error answer lists no events."""
    if message.response is not None and is_failure(message.response.response_code) and message.events:
        yield Problem(
            f"eiResponse says {message.response.response_code}, and yet there are events",
            "send 200 with the events, or the error without",
            ("response", "response_code"),
        )


@rule("115", OadrDistributeEvent, profile="2.0b")
def _made_at_once(message: OadrDistributeEvent, scene: Scene) -> Iterator[Problem]:
    """All events of one message have the same createdDateTime."""
    for position, event in enumerate(message.events):
        if event.event_descriptor.created_date_time != message.events[0].event_descriptor.created_date_time:
            yield Problem(
                f"event {event.event_descriptor.event_id!r} has another createdDateTime than the first event",
                "give all events of a message the instant at which the message is made",
                ("events", position, "event_descriptor", "created_date_time"),
            )


@rule("27", OadrRequestEvent, severity="warning")
def _asks_for_something(message: OadrRequestEvent, scene: Scene) -> Iterator[Problem]:
    """A replyLimit leaves room for an event."""
    if message.reply_limit == 0:
        yield Problem("replyLimit 0 asks for no event at all", "leave replyLimit out to get all", ("reply_limit",))


@rule("35", OadrCreatedEvent)
def _answers_or_fails(message: OadrCreatedEvent, scene: Scene) -> Iterator[Problem]:
    """There are eventResponses unless eiResponse is an error."""
    if not message.event_responses and not is_failure(message.response.response_code):
        yield Problem(
            "there is no eventResponse, though eiResponse is no error",
            "answer each event that wants it; send nothing at all if none does",
            ("event_responses",),
        )


@rule("42", OadrCreatedEvent)
def _request_ids(message: OadrCreatedEvent, scene: Scene) -> Iterator[Problem]:
    """Each answer quotes the requestID of the list that brought the event; the one of eiResponse is empty."""
    if message.event_responses and message.response.request_id:
        yield Problem(
            "the requestID of eiResponse is filled although there are eventResponses",
            "leave it empty: <pyld:requestID/>",
            ("response", "request_id"),
        )
    for position, response in enumerate(message.event_responses or ()):
        if not response.request_id:
            yield Problem(
                f"the answer to event {response.event_id!r} quotes no requestID",
                "quote the requestID of the oadrDistributeEvent that brought the event",
                ("event_responses", position, "request_id"),
            )


@rule("48", OadrCreatedEvent, severity="warning")
def _errors_of_single_events(message: OadrCreatedEvent, scene: Scene) -> Iterator[Problem]:
    """An error of one event stands in its eventResponse, and eiResponse stays 200."""
    if message.event_responses and is_failure(message.response.response_code):
        yield Problem(
            f"eiResponse says {message.response.response_code}: the VTN need not read the eventResponses then",
            "put the error into the eventResponse of its event, and 200 here",
            ("response", "response_code"),
        )


@rule("48", EventResponse)
def _error_opts_out(response: EventResponse, scene: Scene) -> Iterator[Problem]:
    """An event that was refused with an error is opted out of."""
    if is_failure(response.response_code) and response.opt_type == "optIn":
        yield Problem(
            f"event {response.event_id!r} is refused with {response.response_code}, but opted in to",
            "send optOut with an error",
            ("opt_type",),
        )


RULES = (
    _test_event,
    _cancelling_is_a_change,
    _status_fits,
    _order,
    _overlap,
    _asks_for_something,
    _random_window,
    _answers_or_fails,
    _says_whether_it_answers,
    _has_a_request_id,
    _request_ids,
    _error_without_events,
    _errors_of_single_events,
    _error_opts_out,
    _no_past_events,
    _one_ven,
    _unique_event_ids,
    _notification,
    _made_at_once,
)
