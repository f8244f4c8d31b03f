"""The VEN's rules, without any input or output: what to make of the events that arrive, and what to answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from pyopenadr.errors import LocalProtocolError, ModelError, RemoteProtocolError
from pyopenadr.model import EVERYONE, Duration, Event, EventStatus, OptType, ResponseRequired, Signal, Span, Target
from pyopenadr.model.event import same_content
from pyopenadr.model.time import ZERO, total_seconds
from pyopenadr.model.uri import normalised
from pyopenadr.v2 import faults, wire
from pyopenadr.v2.bridge import lift_event
from pyopenadr.v2.signal import SIMPLE, check_periods, check_values, is_legal

__all__ = [
    "Consideration",
    "KnownEvent",
    "VenScope",
    "Verdict",
    "cancel_delay",
    "consider",
    "created_event",
    "created_event_fault",
    "event_response",
    "executed_span",
    "keep_offset",
    "random_offset",
    "simple_only",
]


# The kinds of a target that have a set of their own in the scope.
_SETS = {
    "group_ids": "group_ids",
    "group_names": "group_names",
    "resource_ids": "resource_ids",
    "party_ids": "party_ids",
    "end_device_assets": "device_classes",
}


class VenScope(msgspec.Struct, frozen=True, kw_only=True):
    """What the VEN knows of itself, to tell which events are for it and which signals it can follow.

    `vtn_id` of None takes events from any VTN, `market_contexts` of None those of any programme (2.0b rule 48).
    The sets name what is behind this VEN; `others` names the rest (pnodes, meters, areas, …) as a target would.
    `accepts_unknown_targets` says whether targets that match none of it are taken too; None means: only if nothing
    of it is configured, because a VEN that was told nothing cannot tell. Another VEN's venID is always refused.
    `supports` decides whether a signal can be followed (None: whatever Table 1 of 2.0b rule 104 allows, and `x-`
    signals), `resolves` whether the VEN can tell which resources the signal of the event is for (rule 112; None:
    always).
    """

    ven_id: str
    vtn_id: str | None = None
    market_contexts: frozenset[str] | None = None
    group_ids: frozenset[str] = frozenset()
    group_names: frozenset[str] = frozenset()
    resource_ids: frozenset[str] = frozenset()
    party_ids: frozenset[str] = frozenset()
    device_classes: frozenset[str] = frozenset()
    others: Target = EVERYONE
    accepts_unknown_targets: bool | None = None
    supports: Callable[[Signal], bool] | None = None
    resolves: Callable[[Event, Signal], bool] | None = None

    @property
    def takes_unknown_targets(self) -> bool:
        """`accepts_unknown_targets`, decided."""
        if self.accepts_unknown_targets is not None:
            return self.accepts_unknown_targets
        return not any(getattr(self, name) for name in _SETS.values()) and self.others.is_empty

    def has_any_of(self, target: Target) -> bool:
        """Whether anything that the target names is behind this VEN; its own venID aside."""
        for kind in Target.__struct_fields__:
            own = set(getattr(self.others, kind))
            if kind in _SETS:
                own |= getattr(self, _SETS[kind])
            if not own.isdisjoint(getattr(target, kind)):
                return True
        return False


class KnownEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that the VEN keeps: the version, its answer to it, and the random offset of its start.

    `request_id` is that of the oadrDistributeEvent which brought it; later answers quote it (2.0b rule 42).
    """

    event: Event
    opt_type: OptType | None = None
    offset: timedelta = timedelta(0)
    request_id: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What to do with one received event.

    `event` is the version to keep from now on (new, changed, unchanged) or that ends (cancelled); None where there
    is nothing to keep. `code` and `description` go into the answer. `answer` says whether one is due (2.0b rules
    12, 62). `opt_type` is what has to be answered; None means that the user decides.
    """

    kind: Literal["new", "changed", "unchanged", "cancelled", "unknown-cancelled", "refused"]
    event_id: str
    modification_number: int
    event: Event | None = None
    code: str = "200"
    description: str | None = None
    answer: bool = True
    opt_type: OptType | None = None


class Consideration(msgspec.Struct, frozen=True, kw_only=True):
    """What to do with a received oadrDistributeEvent.

    `implied_cancels` are known events that it no longer lists (2.0b rule 61); those whose time is over are not among
    them. `fault` is the answer to the whole message where it is unusable; then the rest is empty.
    """

    verdicts: tuple[Verdict, ...] = ()
    implied_cancels: tuple[str, ...] = ()
    fault: wire.EiResponse | None = None


def consider(
    message: wire.OadrDistributeEvent,
    known: Mapping[str, KnownEvent],
    *,
    scope: VenScope,
    now: datetime,
    reply_limit: int | None = None,
) -> Consideration:
    """Judge a received list of events against those that are known.

    An error reply of the VTN says nothing about events, so nothing follows from it. A vtnID that is not the
    expected one makes the message unusable (2.0b rule 21); an empty one counts as absent. `reply_limit` is what
    the oadrRequestEvent asked for: a list of that length may be cut off, so nothing follows from what is absent.
    """
    if message.response is not None and not faults.is_success(message.response.response_code):
        return Consideration()
    if scope.vtn_id is not None and message.vtn_id not in ("", scope.vtn_id):
        text = f"these events are from {message.vtn_id!r}, but our VTN is {scope.vtn_id!r}"
        return Consideration(fault=faults.response(message.request_id, "452", text))
    versions = {event_id: item.event for event_id, item in known.items()}
    verdicts = []
    for element in message.events:
        event_id = element.event_descriptor.event_id
        verdict = _judge(element, versions.get(event_id), scope, now)
        if verdict.kind == "unchanged" and event_id in known:
            verdict = msgspec.structs.replace(verdict, opt_type=known[event_id].opt_type)
        if verdict.kind == "cancelled":
            del versions[event_id]
        elif verdict.event is not None:
            versions[event_id] = verdict.event
        verdicts.append(verdict)
    listed = {verdict.event_id for verdict in verdicts}
    is_whole = reply_limit is None or len(message.events) < reply_limit
    gone = (event_id for event_id, item in known.items() if event_id not in listed and not _is_over(item, now))
    return Consideration(verdicts=tuple(verdicts), implied_cancels=tuple(gone) if is_whole else ())


def _is_over(known: KnownEvent, now: datetime) -> bool:
    end = executed_span(known.event, known.offset).end
    return end is not None and now >= end


def _judge(element: wire.OadrEvent, old: Event | None, scope: VenScope, now: datetime) -> Verdict:
    descriptor = element.event_descriptor
    verdict = Verdict(
        kind="refused",
        event_id=descriptor.event_id,
        modification_number=descriptor.modification_number,
        answer=element.response_required == ResponseRequired.ALWAYS,
        opt_type=OptType.OUT,
    )
    if old is not None and descriptor.modification_number < old.modification_number:
        text = f"version {old.modification_number} of this event is known already (rule 58)"
        return msgspec.structs.replace(verdict, code="450", description=text)
    if descriptor.event_status == EventStatus.CANCELLED:
        if old is None:
            return msgspec.structs.replace(verdict, kind="unknown-cancelled", opt_type=OptType.IN)
        ended = msgspec.structs.replace(old, cancelled=True, modification_number=descriptor.modification_number)
        return msgspec.structs.replace(verdict, kind="cancelled", event=ended, opt_type=OptType.IN)
    try:
        event = lift_event(element)
        _check(event, scope)
        if old is None and event.listed_until is not None and now >= event.listed_until:
            raise RemoteProtocolError(f"this event ended at {event.active_span.end}", code="459", rule="33")
    except (ModelError, RemoteProtocolError) as error:
        return msgspec.structs.replace(verdict, code=faults.code_of(error), description=str(error))
    if old is None:
        return msgspec.structs.replace(verdict, kind="new", event=event, opt_type=None)
    # The same number with another content is a fault of the VTN; what it says last is what it wants.
    is_same = event.modification_number == old.modification_number and same_content(old, event)
    kind: Literal["unchanged", "changed"] = "unchanged" if is_same else "changed"
    return msgspec.structs.replace(verdict, kind=kind, event=event, opt_type=None)


def _check(event: Event, scope: VenScope) -> None:
    """Whether the event is for us, and we can follow it; the errors bring the code to answer with."""
    if scope.market_contexts is not None:
        contexts = set(map(normalised, scope.market_contexts))
        if normalised(event.market_context) not in contexts:
            raise RemoteProtocolError(f"{event.market_context!r} is none of our market contexts", code="462", rule="48")
    _check_target(event, scope)
    for signal in event.signals:
        supports = scope.supports if scope.supports is not None else is_legal
        if not supports(signal):
            unit = signal.unit.name if signal.unit is not None else "no unit"
            raise RemoteProtocolError(
                f"{signal.signal_name} {signal.signal_type} with {unit} is not supported", code="460", rule="109"
            )
        check_values(signal)
    try:
        check_periods(event)
    except ModelError as error:
        raise RemoteProtocolError(str(error), code="459") from error
    for signal in event.signals:
        if scope.resolves is not None and not scope.resolves(event, signal):
            raise RemoteProtocolError(
                f"it is not clear which resource signal {signal.signal_id!r} is for", code="469", rule="112"
            )


def simple_only(supports: Callable[[Signal], bool] | None) -> Callable[[Signal], bool]:
    """What a 2.0a VEN can follow: the SIMPLE signal (2.0b rule 7), if `supports` has nothing against it."""
    decides = supports if supports is not None else is_legal
    return lambda signal: signal.signal_name == SIMPLE and decides(signal)


def _check_target(event: Event, scope: VenScope) -> None:
    """Whether any of the target's values is ours (2.0b rule 22), and any of the signals is for our devices (111)."""
    target = event.target
    if target.ven_ids and scope.ven_id not in target.ven_ids:
        raise RemoteProtocolError(f"the target names {', '.join(target.ven_ids)}, not us", code="452", rule="21")
    if scope.takes_unknown_targets:
        return
    if not (target.is_empty or target.ven_ids or scope.has_any_of(target)):
        raise RemoteProtocolError("nothing behind this VEN is in the target", code="462", rule="48")
    classes = scope.device_classes.union(scope.others.end_device_assets)
    if classes and not any(
        not signal.device_classes or classes.intersection(signal.device_classes) for signal in event.signals
    ):
        raise RemoteProtocolError("no signal is for a device class behind this VEN", code="462", rule="111")


def event_response(
    verdict: Verdict,
    opt_type: OptType,
    request_id: str,
    *,
    code: str | None = None,
    description: str | None = None,
) -> wire.EventResponse:
    """The answer to one event, with the requestID of the oadrDistributeEvent that brought it (2.0b rule 42).

    `code` and `description` replace those of the verdict. With an error the answer is always optOut (rule 48).
    """
    chosen = verdict.code if code is None else code
    text = verdict.description if code is None and description is None else description
    return wire.EventResponse(
        response_code=chosen,
        response_description=faults.CODES.get(chosen) if text is None else text,
        request_id=request_id,
        event_id=verdict.event_id,
        modification_number=verdict.modification_number,
        opt_type=str(opt_type if faults.is_success(chosen) else OptType.OUT),
    )


def created_event(ven_id: str, responses: Sequence[wire.EventResponse]) -> wire.OadrCreatedEvent:
    """The message with answers to events; its own requestID is empty (2.0b rule 42).

    Raises:
        LocalProtocolError: there is nothing to answer, and then no message is due (rule 35).
    """
    if not responses:
        raise LocalProtocolError("an oadrCreatedEvent needs at least one answer: send none", rule="35")
    return wire.OadrCreatedEvent(response=faults.response(), event_responses=tuple(responses), ven_id=ven_id)


def created_event_fault(ven_id: str, response: wire.EiResponse) -> wire.OadrCreatedEvent:
    """The message that refuses a whole oadrDistributeEvent; `response` has its requestID (2.0b rule 35)."""
    return wire.OadrCreatedEvent(response=response, ven_id=ven_id)


def random_offset(start_after: Duration, start: datetime, draw: float) -> timedelta:
    """The random start offset: whole seconds, evenly distributed in [0, start_after] (2.0b rules 30, 65).

    `draw` is a random number in [0, 1); months in `start_after` count from `start`. Without a positive window there
    is no offset.
    """
    width = int(total_seconds(start_after, start))
    return timedelta(seconds=min(int(draw * (width + 1)), width)) if width > 0 else ZERO


def cancel_delay(known: KnownEvent, now: datetime, draw: float) -> timedelta:
    """How long an event that is cancelled at `now`, in words or by its absence, still runs (2.0b rule 65).

    A running one stops at random within its window, but never after its own end; one that does not run yet is
    dropped at once.
    """
    span = executed_span(known.event, known.offset)
    if now not in span:
        return ZERO
    delay = random_offset(known.event.start_after, now, draw)
    return delay if span.end is None else min(delay, span.end - now)


def executed_span(event: Event, offset: timedelta) -> Span:
    """When this VEN executes the event: the active period, moved by its offset (2.0b rule 30)."""
    return Span.of(event.start + offset, event.duration)


def keep_offset(old: KnownEvent, new: Event) -> bool:
    """Whether the new version starts with the same offset: unless its window changed (2.0b rule 30)."""
    return old.event.start_after == new.start_after
