"""How model values are kept: instants as integers, whole values as JSON, what is searched for in columns of its own.

For each kind of value there is a function that makes a row of it and one that reads it back. Every store goes through
them, the memory store too; so they all take, refuse and give back the same.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

import msgspec

from pyopenadr.errors import StoreError
from pyopenadr.model import (
    Capability,
    Duration,
    Event,
    Opt,
    OptType,
    Reading,
    Registration,
    ReportRequest,
    ResourceStatus,
)
from pyopenadr.store.port import (
    Admission,
    Answer,
    Dispatch,
    Knock,
    Outgoing,
    Source,
    StoredEvent,
    StoredReading,
    StoredRequest,
)

__all__ = [
    "READING_COLUMNS",
    "Found",
    "Row",
    "admission_from_row",
    "admission_to_row",
    "answer_from_row",
    "answer_to_row",
    "capability_from_row",
    "capability_to_row",
    "event_from_row",
    "event_to_row",
    "from_json",
    "from_micros",
    "knock_from_row",
    "knock_to_row",
    "opt_from_row",
    "opt_to_row",
    "outgoing_from_row",
    "outgoing_to_row",
    "reading_from_row",
    "reading_to_row",
    "reading_to_values",
    "registration_from_row",
    "registration_to_row",
    "request_from_row",
    "request_to_row",
    "to_json",
    "to_limit",
    "to_micros",
    "to_whole",
]

T = TypeVar("T")
Row = dict[str, Any]
"""What to put into the columns of a table."""

Found = Mapping[Any, Any]
"""What a database gives back: a row by the names of its columns."""

READING_COLUMNS: Final = (
    "ven_id",
    "report_specifier_id",
    "r_id",
    "start",
    "duration",
    "value",
    "status",
    "quality",
    "confidence",
    "accuracy",
    "report_request_id",
)
"""The columns of a reading; the first four are its key."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_VEN_IDS = tuple[str, ...]


# --- single values ------------------------------------------------------------------------------------------------


def to_micros(instant: datetime, what: str) -> int:
    """The instant as microseconds since 1970 in UTC, an integer that orders as the instants do.

    Raises:
        StoreError: `instant` has no time zone, so nobody can know which instant it is.
    """
    if instant.tzinfo is None:
        raise StoreError(
            f"{what} of {instant.isoformat()} has no time zone: give an aware datetime, for example in UTC"
        )
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The instant that `to_micros` made `micros` of, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def to_limit(limit: int | None) -> int | None:
    """How many to list at most; None is all.

    Raises:
        StoreError: `limit` is negative.
    """
    if limit is not None and limit < 0:
        raise StoreError(f"limit can't be {limit}: give the most readings to list, or None for all")
    return limit


def to_whole(number: int, what: str) -> int:
    """The number, if it fits into 64 bits; else StoreError."""
    if not -(2**63) <= number < 2**63:
        raise StoreError(f"{what} of {number} can't be kept: it has to fit into 64 bits")
    return number


def to_json(value: object, what: str) -> str:
    """The JSON text of a model value. Lists where the model has tuples will come back as tuples.

    Raises:
        StoreError: the value would not survive, because it holds NaN, an infinity or something of the wrong type.
    """
    try:
        text = msgspec.json.encode(value)
        same = msgspec.json.decode(text, type=type(value))
        survives = same == value or _is_finite(msgspec.to_builtins(value))
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise StoreError(
            f"{what} can't be kept, since it would not read back as it is ({error}): "
            "use finite numbers, and the types that the model declares"
        ) from error
    if not survives:
        raise StoreError(f"{what} can't be kept: it holds NaN or an infinity, so use finite numbers")
    return text.decode()


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return all(map(_is_finite, value)) if isinstance(value, list | tuple) else True


def from_json(text: str, kind: type[T], what: str) -> T:
    """The value that `to_json` made the text of; StoreError if it is something else."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise StoreError(
            f"the database holds {what} that can't be read ({error}): "
            "was it written by another version of pyopenadr, or changed by hand?"
        ) from error


# --- one kind after the other -------------------------------------------------------------------------------------


def registration_to_row(registration: Registration) -> Row:
    """The columns of a VEN."""
    what = f"VEN {registration.ven_id!r}"
    seen = registration.last_seen
    return {
        "ven_id": registration.ven_id,
        "ven_name": registration.ven_name,
        "registration_id": registration.registration_id,
        "fingerprint": registration.fingerprint,
        "last_seen": None if seen is None else to_micros(seen, f"{what}: last_seen"),
        "online": registration.online,
        "body": to_json(registration, what),
    }


def registration_from_row(row: Found) -> Registration:
    """The VEN of a row; the columns are right where `body` says otherwise."""
    ven = from_json(row["body"], Registration, "a registration")
    return msgspec.structs.replace(
        ven,
        profile=sys.intern(ven.profile),  # one text for all VENs
        transport=sys.intern(ven.transport),
        registration_id=row["registration_id"],
        last_seen=None if row["last_seen"] is None else from_micros(row["last_seen"]),
        online=row["online"],
    )


def admission_to_row(admission: Admission) -> Row:
    """The columns of somebody who may register."""
    return {"key": admission.key, "body": to_json(admission, f"the admission of {admission.key}")}


def admission_from_row(row: Found) -> Admission:
    """Who may register, of a row."""
    return from_json(row["body"], Admission, "an admission")


def knock_to_row(knock: Knock) -> Row:
    """The columns of a knock."""
    what = f"the knock {knock.key!r}"
    to_micros(knock.last_at, f"{what}: last_at")
    return {
        "key": knock.key,
        "first_at": to_micros(knock.first_at, f"{what}: first_at"),
        "body": to_json(knock, what),
    }


def knock_from_row(row: Found) -> Knock:
    """The knock of a row."""
    return from_json(row["body"], Knock, "a knock")


def event_to_row(stored: StoredEvent) -> Row:
    """The columns of an event."""
    what = f"event {stored.event.event_id!r}"
    recipients = None if stored.recipients is None else to_json(tuple(stored.recipients), f"{what}: recipients")
    return {
        "event_id": stored.event.event_id,
        "closed": stored.closed,
        "recipients": recipients,
        "body": to_json(stored.event, what),
        "dispatch": None if stored.dispatch == Dispatch() else to_json(stored.dispatch, f"{what}: dispatch"),
    }


def event_from_row(row: Found) -> StoredEvent:
    """The event of a row."""
    recipients = None if row["recipients"] is None else from_json(row["recipients"], _VEN_IDS, "recipients")
    dispatch = Dispatch() if row["dispatch"] is None else from_json(row["dispatch"], Dispatch, "a dispatch")
    event = from_json(row["body"], Event, "an event")
    return StoredEvent(event=event, recipients=recipients, closed=row["closed"], dispatch=dispatch)


def answer_to_row(answer: Answer) -> Row:
    """The columns of what a VEN said of an event."""
    what = f"the answer of VEN {answer.ven_id!r} to event {answer.event_id!r}"
    return {
        "ven_id": answer.ven_id,
        "event_id": answer.event_id,
        "modification_number": to_whole(answer.modification_number, f"{what}: modification_number"),
        "opt_type": OptType(answer.opt_type).value,
        "response_code": answer.response_code,
        "response_description": answer.response_description,
        "answered_at": to_micros(answer.answered_at, f"{what}: answered_at"),
        "by_opt": answer.by_opt,
    }


def answer_from_row(row: Found) -> Answer:
    """The answer of a row."""
    return Answer(
        event_id=row["event_id"],
        ven_id=row["ven_id"],
        modification_number=row["modification_number"],
        opt_type=OptType(row["opt_type"]),
        response_code=row["response_code"],
        answered_at=from_micros(row["answered_at"]),
        response_description=row["response_description"],
        by_opt=row["by_opt"],
    )


def outgoing_to_row(ven_id: str, item: Outgoing) -> Row:
    """The columns of a message that waits for a VEN."""
    return {
        "ven_id": ven_id,
        "item_id": item.item_id,
        "kind": item.kind,
        "body": item.body,
        "created_at": to_micros(item.created_at, f"outgoing {item.item_id!r}: created_at"),
    }


def outgoing_from_row(row: Found) -> Outgoing:
    """The message of a row."""
    return Outgoing(
        item_id=row["item_id"], kind=row["kind"], body=row["body"], created_at=from_micros(row["created_at"])
    )


def opt_to_row(opt: Opt) -> Row:
    """The columns of an opt."""
    return {"ven_id": opt.ven_id, "opt_id": opt.opt_id, "body": to_json(opt, f"opt {opt.opt_id!r}")}


def opt_from_row(row: Found) -> Opt:
    """The opt of a row."""
    return from_json(row["body"], Opt, "an opt")


def capability_to_row(ven_id: str, source: Source, position: int, capability: Capability) -> Row:
    """The columns of a report that a source can deliver, the `position`th of those it named."""
    body = to_json(capability, f"report {capability.report_specifier_id!r}")
    return {"ven_id": ven_id, "source": source.value, "position": position, "body": body}


def capability_from_row(row: Found) -> Capability:
    """The report of a row."""
    return from_json(row["body"], Capability, "a report capability")


def request_to_row(ven_id: str, stored: StoredRequest) -> Row:
    """The columns of a report request."""
    what = f"report request {stored.request.report_request_id!r}"
    return {
        "ven_id": ven_id,
        "source": stored.source.value,
        "report_request_id": stored.request.report_request_id,
        "is_metadata": stored.request.is_metadata,
        "requested_at": to_micros(stored.requested_at, f"{what}: requested_at"),
        "confirmed": stored.confirmed,
        "body": to_json(stored.request, what),
    }


def request_from_row(row: Found) -> StoredRequest:
    """The report request of a row."""
    return StoredRequest(
        request=from_json(row["body"], ReportRequest, "a report request"),
        source=Source(row["source"]),
        requested_at=from_micros(row["requested_at"]),
        confirmed=row["confirmed"],
    )


def reading_to_values(stored: StoredReading) -> tuple[Any, ...]:
    """The columns of a reading, in the order of `READING_COLUMNS`: they come by the million.

    SQLite has no NaN and makes NULL of it. So a number goes to `value`, a `ResourceStatus` to `status`, and a row
    that has neither is NaN. An accuracy of NaN says nothing and comes back as None.
    """
    reading = stored.reading
    start, duration, confidence, accuracy = reading.start, reading.duration, reading.confidence, reading.accuracy
    value: float | None = None
    status: str | None = None
    if isinstance(reading.value, ResourceStatus):
        status = to_json(reading.value, f"a reading of {reading.r_id!r}")
    elif not math.isnan(reading.value):
        value = float(reading.value)
    if start.tzinfo is None or (confidence is not None and not -(2**63) <= confidence < 2**63):
        what = f"a reading of {reading.r_id!r}"
        to_micros(start, f"{what}: start")
        to_whole(confidence or 0, f"{what}: confidence")
    return (
        stored.ven_id,
        stored.report_specifier_id,
        reading.r_id,
        (start - _EPOCH) // _MICROSECOND,
        None if duration is None else _duration_to_json(duration),
        value,
        status,
        reading.quality,
        confidence,
        None if accuracy is None or math.isnan(accuracy) else float(accuracy),
        stored.report_request_id,
    )


@lru_cache(maxsize=1024)  # most readings have the same few
def _duration_to_json(duration: Duration) -> str:
    return msgspec.json.encode(duration).decode()


@lru_cache(maxsize=1024)
def _duration_from_json(text: str) -> Duration:
    # A union is a type to msgspec, but none to the type checker.
    return from_json(text, cast("type[Duration]", Duration), "a duration")


def reading_to_row(stored: StoredReading) -> Row:
    """The columns of a reading by their names."""
    return dict(zip(READING_COLUMNS, reading_to_values(stored), strict=True))


def reading_from_row(row: Found) -> StoredReading:
    """The reading of a row."""
    value: float | ResourceStatus = math.nan if row["value"] is None else row["value"]
    if row["status"] is not None:
        value = from_json(row["status"], ResourceStatus, "a resource status")
    duration = None if row["duration"] is None else _duration_from_json(row["duration"])
    return StoredReading(
        ven_id=row["ven_id"],
        report_specifier_id=row["report_specifier_id"],
        report_request_id=row["report_request_id"],
        reading=Reading(
            r_id=row["r_id"],
            start=from_micros(row["start"]),
            value=value,
            duration=duration,
            quality=row["quality"],
            confidence=row["confidence"],
            accuracy=row["accuracy"],
        ),
    )
