"""The delivery board: what has become of an event at each VEN, read from what the store keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from pyopenadr.model import Event, OptType, ResponseRequired
from pyopenadr.store.port import Answer, Step, StoredEvent, Trace

__all__ = ["Board", "Delivery", "DeliveryState", "delivery"]

_STEPS = tuple(Step)


class DeliveryState(StrEnum):
    """How far the present version of an event has come with a VEN.

    `received` is sure, though unanswered: the VEN has answered something else of the same message, or has taken the
    push. `error` is an answer by an error code. `silent` is one that should have been answered by now. `skipped` VENs
    do not get the event, because of their own schedules.
    """

    QUEUED = "queued"
    SENT = "sent"
    RECEIVED = "received"
    OPTED_IN = "opted in"
    OPTED_OUT = "opted out"
    ERROR = "error"
    SILENT = "silent"
    SKIPPED = "skipped"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the board: an event and a VEN.

    The times are about the present version: when it was first and last sent, how often, and when it was answered.
    `opt_type` is the VEN's last word, which may be about an earlier version; `resources` has what it has said of single
    resources by EiOpt (2.0b rule 206). `messages` is everything that has happened, with older versions.
    """

    ven_id: str
    state: DeliveryState
    sent_at: datetime | None = None
    last_sent_at: datetime | None = None
    times_sent: int = 0
    received_at: datetime | None = None
    answered_at: datetime | None = None
    opt_type: OptType | None = None
    response_code: str | None = None
    response_description: str | None = None
    resources: Mapping[str, OptType] = {}
    messages: tuple[Trace, ...] = ()


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of an event. `counts` is about all VENs, `deliveries` may be a part of them."""

    event: Event
    answer_by: datetime | None
    counts: Mapping[DeliveryState, int]
    deliveries: tuple[Delivery, ...]


def delivery(
    stored: StoredEvent,
    ven_id: str,
    *,
    answer: Answer | None,
    traces: Sequence[Trace],
    resources: Mapping[str, OptType],
    now: datetime,
    patience: timedelta,
) -> Delivery:
    """The line of one VEN. It counts as silent when it has been sent the event for `patience` without an answer."""
    event = stored.event
    traces = sorted(traces, key=_order)  # several workers keep them, each its own in order
    sent = [trace for trace in _about(event, traces) if trace.step is Step.SENT]
    received = [trace for trace in _about(event, traces) if trace.step is not Step.SENT]
    answered = answer is not None and answer.modification_number >= event.modification_number
    if answered and answer is not None:
        state = _answered(answer)
    elif _is_silent(stored, sent, now, patience):
        state = DeliveryState.SILENT
    elif received:
        state = DeliveryState.RECEIVED
    else:
        state = DeliveryState.SENT if sent else DeliveryState.QUEUED
    return Delivery(
        ven_id=ven_id,
        state=state,
        sent_at=sent[0].at if sent else None,
        last_sent_at=sent[-1].at if sent else None,
        times_sent=len(sent),
        received_at=received[0].at if received else None,
        answered_at=answer.answered_at if answered and answer is not None else None,
        opt_type=answer.opt_type if answer is not None else None,
        response_code=answer.response_code if answer is not None else None,
        response_description=answer.response_description if answer is not None else None,
        resources=resources,
        messages=tuple(traces),
    )


def _order(trace: Trace) -> tuple[datetime, int, int]:
    """When something happened; what goes before what, where that was at the same time."""
    return trace.at, trace.modification_number, _STEPS.index(trace.step)


def _about(event: Event, traces: Iterable[Trace]) -> list[Trace]:
    return [trace for trace in traces if trace.modification_number == event.modification_number]


def _answered(answer: Answer) -> DeliveryState:
    if not answer.response_code.startswith("2"):
        return DeliveryState.ERROR
    return DeliveryState.OPTED_IN if answer.opt_type is OptType.IN else DeliveryState.OPTED_OUT


def _is_silent(stored: StoredEvent, sent: Sequence[Trace], now: datetime, patience: timedelta) -> bool:
    if stored.event.response_required is ResponseRequired.NEVER:
        return False
    answer_by = stored.dispatch.answer_by
    if answer_by is not None:
        return now >= answer_by
    return bool(sent) and now - sent[0].at >= patience
