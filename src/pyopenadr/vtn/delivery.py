"""What waits for a VEN, what has been sent to it, and what it has answered.

A message counts as delivered when the VEN has answered it. What was only sent is sent again after a while, and after
a restart at once, because the record of sending is kept in memory and that of answers in the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TypeVar

import msgspec

from pyopenadr.errors import StoreError
from pyopenadr.model import Event, Registration, Report, ReportRequest, ResponseRequired
from pyopenadr.model.event import is_listed
from pyopenadr.store.port import Answer, Change, Outgoing, Topic

__all__ = [
    "KINDS",
    "CancelRegistration",
    "CancelReports",
    "Carried",
    "CreateReports",
    "Item",
    "Mailbox",
    "RegisterReports",
    "Reregister",
    "UpdateReport",
    "Ven",
    "pack",
    "unpack",
]

_MOST_ENDED = 1000
"""How many of a VEN's report requests that are over are remembered."""

NEVER_DELIVERIES = 2
"""How often an event is sent that the VEN must not answer: once more than a single lost reply can undo."""


class RegisterReports(msgspec.Struct, frozen=True, tag=True):
    """Tell the VEN what reports the VTN offers; `report_request_id` where it asked for them (2.0b rule 311)."""

    report_request_id: str | None = None


class CreateReports(msgspec.Struct, frozen=True, tag=True):
    """Ask the VEN for reports."""

    requests: tuple[ReportRequest, ...]


class CancelReports(msgspec.Struct, frozen=True, tag=True):
    """Tell the VEN to stop reports, after one more if `report_to_follow` (2.0b rule 345)."""

    report_request_ids: tuple[str, ...]
    report_to_follow: bool = False


class UpdateReport(msgspec.Struct, frozen=True, tag=True):
    """Deliver a report of the VTN's own."""

    request: ReportRequest
    report: Report


class CancelRegistration(msgspec.Struct, frozen=True, tag=True):
    """Tell the VEN that its registration is over (2.0b rule 407)."""

    registration_id: str


class Reregister(msgspec.Struct, frozen=True, tag=True):
    """Ask the VEN to register again with its IDs."""


Item = RegisterReports | CreateReports | CancelReports | UpdateReport | CancelRegistration | Reregister
_I = TypeVar("_I")

KINDS: Mapping[str, type[Item]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (RegisterReports, CreateReports, CancelReports, UpdateReport, CancelRegistration, Reregister)
    }
)
"""The kinds of messages by their names in the store."""

_DECODER = msgspec.json.Decoder(Item)


def pack(item_id: str, item: Item, now: datetime) -> Outgoing:
    """The item as the store keeps it."""
    return Outgoing(item_id=item_id, kind=type(item).__name__, body=msgspec.json.encode(item), created_at=now)


def unpack(outgoing: Outgoing) -> Item:
    """What `pack` packed.

    Raises:
        StoreError: it is something else, as it may be if another program wrote to the database.
    """
    try:
        item: Item = _DECODER.decode(outgoing.body)
    except msgspec.DecodeError as error:
        raise StoreError(f"the queued message {outgoing.item_id} ({outgoing.kind}) can't be read: {error}") from error
    return item


class _Told(msgspec.Struct, gc=False):
    """What was last sent of an event: which version, how often, when."""

    modification_number: int
    times: int
    at: datetime


class Carried(msgspec.Struct, frozen=True, gc=False):
    """A message with events: its request ID, the version of each event in it, and when it was sent."""

    request_id: str | None
    versions: dict[str, int]
    at: datetime


class Mailbox:
    """All that concerns the delivery to one VEN.

    `carried` is the last message with events that it was given, and `pushed` the last that was begun to be pushed, as
    long as it is not certain that the VEN has got it.

    It mirrors the store: changes go there first. When it is not sure what the store holds, it is `stale` and is
    refreshed before it is used again. `has_more`: there may be something to send that nobody has looked at.
    """

    __slots__ = (
        "_idle_at_revision",
        "_idle_until",
        "_notes",
        "_sent_at",
        "_told",
        "answers",
        "carried",
        "doubts",
        "has_more",
        "items",
        "pushed",
        "stale",
    )

    def __init__(self) -> None:
        self.items: dict[str, Outgoing] = {}
        self.answers: dict[str, Answer] = {}
        self.stale = True
        self.carried: Carried | None = None
        self.pushed: Carried | None = None
        self.has_more = False
        self.doubts = 0
        self._notes: tuple[tuple[Topic, tuple[str, ...]], ...] = ()
        self._sent_at: dict[str, datetime] = {}
        self._told: dict[str, _Told] = {}
        self._idle_at_revision = -1
        self._idle_until: datetime | None = None

    def refresh(self, items: Iterable[Outgoing], answers: Iterable[Answer]) -> None:
        """Take what the store holds."""
        self.items = {item.item_id: item for item in items}
        self.answers = {answer.event_id: answer for answer in answers}
        self.stale = False
        self.disturb()

    def doubt(self) -> None:
        """Something went wrong in the middle of a change: what the store holds is not known."""
        self.stale = True
        self.has_more = True
        self.doubts += 1
        self.disturb()

    # --- the quick way for an idle poll -------------------------------------------------------------------------

    def is_idle(self, revision: int, now: datetime) -> bool:
        """Whether it is known, without looking, that there is nothing to send."""
        is_noted = self._idle_at_revision == revision and not self.stale
        return is_noted and (self._idle_until is None or now < self._idle_until)

    def note_idle(self, revision: int, until: datetime | None) -> None:
        """There is nothing to send while the events stay at `revision` and it is not `until` yet."""
        self._idle_at_revision = revision
        self._idle_until = until

    def disturb(self) -> None:
        """Something has changed: the next poll must look."""
        self._idle_at_revision = -1

    # --- what other workers send ------------------------------------------------------------------------------------

    def take_notes(self, ven_id: str) -> list[Change]:
        """What was sent since the last time, for the other workers."""
        notes, self._notes = self._notes, ()
        return [Change(topic, ven_id, detail) for topic, detail in notes]

    def heed(self, change: Change) -> None:
        """Another worker has sent something."""
        if change.topic is Topic.SENT:
            item_id, at = change.detail
            self._sent_at[item_id] = datetime.fromisoformat(at)
        elif change.topic is Topic.TOLD:
            event_id, number, at, times = change.detail
            self._told[event_id] = _Told(int(number), int(times), datetime.fromisoformat(at))
        self.disturb()

    # --- messages -------------------------------------------------------------------------------------------------

    def next_item(self, now: datetime, resend_after: timedelta, kind: type[Item] | None = None) -> Outgoing | None:
        """The first message (of that kind) that has not been sent, or not answered for `resend_after`."""
        for item_id, item in self.items.items():
            if kind is not None and item.kind != kind.__name__:
                continue
            sent = self._sent_at.get(item_id)
            if sent is None or now - sent >= resend_after:
                return item
        return None

    def note_sent(self, item_id: str, now: datetime) -> None:
        """The message has been handed to the VEN."""
        self._sent_at[item_id] = now
        self._notes += ((Topic.SENT, (item_id, now.isoformat())),)
        self.disturb()

    def add(self, items: Iterable[Outgoing]) -> None:
        """Messages that the store has taken for the VEN."""
        for item in items:
            self.items[item.item_id] = item
            self._sent_at.pop(item.item_id, None)
            self.has_more = True
        self.disturb()

    def remove(self, item_ids: Iterable[str]) -> None:
        """Messages that the VEN has answered."""
        for item_id in item_ids:
            self.items.pop(item_id, None)
            self._sent_at.pop(item_id, None)
        self.disturb()

    def matching(self, kind: type[Item], request_id: str) -> Outgoing | None:
        """The message of that kind which a reply answers: the one with its request ID.

        Some VENs leave the request ID out of their replies; that answers the oldest one that was sent. One that we
        don't know answers nothing, because it may be that of a message which was answered before.
        """
        of_kind = (item for item in self.items.values() if item.kind == kind.__name__)
        if request_id:
            return next((item for item in of_kind if item.item_id == request_id), None)
        return next((item for item in of_kind if item.item_id in self._sent_at), None)

    def of_kind(self, kind: type[_I]) -> dict[str, _I]:
        """The messages of that kind by their IDs, unpacked.

        Raises:
            StoreError: one can't be read.
        """
        found = {item_id: unpack(item) for item_id, item in self.items.items() if item.kind == kind.__name__}
        return {item_id: item for item_id, item in found.items() if isinstance(item, kind)}

    def is_without(self, kind: type[Item]) -> bool:
        """Whether it is known that no message of that kind waits."""
        return not self.stale and all(item.kind != kind.__name__ for item in self.items.values())

    # --- events ---------------------------------------------------------------------------------------------------

    def acknowledged(self, event: Event) -> bool:
        """Whether the VEN has answered the event's present version."""
        answer = self.answers.get(event.event_id)
        return answer is not None and answer.modification_number >= event.modification_number

    def is_done(self, event: Event) -> bool:
        """Whether the VEN needs to be told no more: it has answered or, where it must not, has been told enough."""
        if self.acknowledged(event) or event.response_required is not ResponseRequired.NEVER:
            return self.acknowledged(event)
        told = self._told_now(event)
        return told is not None and told.times >= NEVER_DELIVERIES

    def listed(self, events: Iterable[Event], now: datetime) -> list[Event]:
        """Those of the VEN's events that it is told of."""
        return [event for event in events if is_listed(event, now, acknowledged=self.is_done(event))]

    def _told_now(self, event: Event) -> _Told | None:
        """What was sent of the event's present version."""
        told = self._told.get(event.event_id)
        return told if told is not None and told.modification_number == event.modification_number else None

    def _due_at(self, event: Event, resend_after: timedelta) -> datetime | None:
        """When the event has to be sent; the beginning of time for now, None for never again."""
        if self.is_done(event):
            return None
        told = self._told_now(event)
        if told is None or event.response_required is ResponseRequired.NEVER:
            return datetime.min.replace(tzinfo=UTC)
        return told.at + resend_after

    def events_due(self, events: Iterable[Event], resend_after: timedelta) -> datetime | None:
        """When the events have to be sent next; None if nothing is outstanding."""
        due = [at for event in events if (at := self._due_at(event, resend_after)) is not None]
        return min(due, default=None)

    def note_told(self, events: Iterable[Event], now: datetime, *, confirmed: bool = False) -> None:
        """The events have been sent to the VEN as they are now.

        If it has `confirmed` that it has got them, one that it must not answer needs no repetition.
        """
        for event in events:
            told = self._told_now(event)
            times = NEVER_DELIVERIES if confirmed else told.times + 1 if told is not None else 1
            self._told[event.event_id] = _Told(event.modification_number, times, now)
            note = (event.event_id, str(event.modification_number), now.isoformat(), str(times))
            self._notes += ((Topic.TOLD, note),)
        self.disturb()

    def note_answers(self, answers: Iterable[Answer]) -> None:
        """The VEN has answered events."""
        for answer in answers:
            self.answers[answer.event_id] = answer
        self.disturb()

    def next_resend(self, resend_after: timedelta) -> datetime | None:
        """When the first unanswered message is to be sent again."""
        sent = [at for item_id, at in self._sent_at.items() if item_id in self.items]
        return min(sent) + resend_after if sent else None


class Ven:
    """A VEN while the server runs: its registration, its mailbox, and the lock for whoever changes either.

    `ended` is the registration ID that it had last, to know a repeated cancellation by; `ended_requests` are those
    of its report requests that are over, to know a late or repeated report by.
    """

    __slots__ = ("ended", "ended_requests", "lock", "mailbox", "registration")

    def __init__(self, registration: Registration) -> None:
        self.registration = registration
        self.mailbox = Mailbox()
        self.lock = asyncio.Lock()
        self.ended: str | None = None
        self.ended_requests: tuple[str, ...] = ()

    def note_ended(self, report_request_ids: Iterable[str]) -> None:
        """These report requests are over."""
        self.ended_requests = (*self.ended_requests, *report_request_ids)[-_MOST_ENDED:]

    @property
    def is_registered(self) -> bool:
        """Whether it has a registration."""
        return self.registration.registration_id is not None
