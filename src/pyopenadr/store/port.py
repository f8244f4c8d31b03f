"""The interface that a VTN's store fulfils.

Every method is one unit of work: it has happened wholly, and durably where the store is durable, when it returns, or
not at all when it raises `StoreError`. Values go in and come out as `pyopenadr.model` values. All methods may be
called at the same time from many tasks of one event loop.

Directions of reports: `Source.VEN` is a report that the VEN delivers to the VTN, `Source.VTN` one that the VTN
delivers to the VEN.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

import msgspec

from pyopenadr.model import (
    Capability,
    Event,
    Group,
    Member,
    Opt,
    OptType,
    Reading,
    Registration,
    ReportRequest,
    ReportRule,
    Resource,
)
from pyopenadr.store.ledger import Ledger

__all__ = [
    "Admission",
    "Answer",
    "Change",
    "Claim",
    "Dispatch",
    "Draft",
    "Knock",
    "Outgoing",
    "Source",
    "Step",
    "Store",
    "StoredEvent",
    "StoredReading",
    "StoredRequest",
    "Topic",
    "Trace",
]


class Topic(StrEnum):
    """What a change is about. The key of the change is an event_id for EVENT, nothing for GROUP, else a ven_id.

    The last four are no changes of the store: by them the workers share what they keep in memory only.
    """

    VEN = "ven"
    """The VEN itself, its registration or its presence."""
    MAIL = "mail"
    """The messages that wait for the VEN, or its answers."""
    EVENT = "event"
    GROUP = "group"
    """Groups, their members, or resources."""
    REQUEST = "request"
    """The report requests to a source, which the detail names, for the VEN."""
    SENT = "sent"
    """A message has been sent to the VEN: its item_id, and when."""
    TOLD = "told"
    """The VEN has been told of an event: event_id, modification number, when, and how often by now."""
    ENDED = "ended"
    """Report requests to the VEN are over: their IDs."""
    HEARD = "heard"
    """The VEN, which is pushed to, has sent something of its own."""


class Change(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something that a worker has committed; `detail` as its topic says."""

    topic: Topic
    key: str
    detail: tuple[str, ...] = ()


class Source(StrEnum):
    """Who delivers a report."""

    VEN = "ven"
    VTN = "vtn"


class Dispatch(msgspec.Struct, frozen=True, kw_only=True):
    """How an event is sent out.

    `by_target`: its recipients were found by its target and grow with the groups and resources that it names.
    `opt_schedules` says what is done about VENs that have opted out of its time (`send`, `warn` or `skip`), and
    `skipped` are those that do not get it for that. `answer_within` is how long VENs have for their answers, and
    `answer_by` when that is over for the present version; `reported_number` is the version for which those that had
    not answered were told to the program.
    """

    by_target: bool = False
    opt_schedules: str = "send"
    skipped: tuple[str, ...] = ()
    answer_within: timedelta | None = None
    answer_by: datetime | None = None
    reported_number: int | None = None


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event with the VENs it is for; `recipients` of None means every VEN, also those that register later.

    `closed` events are over for every VEN and no longer delivered. What `dispatch.skipped` names is left out.
    """

    event: Event
    recipients: tuple[str, ...] | None = None
    closed: bool = False
    dispatch: Dispatch = Dispatch()


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is not published yet, with what its author has said about sending it."""

    event: Event
    ven_ids: tuple[str, ...] | None = None
    opt_schedules: str | None = None
    overlap: str | None = None
    answer_within: timedelta | None = None


class Step(StrEnum):
    """What has happened between an event and a VEN."""

    SENT = "sent"
    RECEIVED = "received"
    ANSWERED = "answered"
    OPTED = "opted"


class Trace(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message about an event, to or from a VEN.

    `modification_number` is the version that it was about. `request_id` is that of the message. The rest is what the
    VEN said in it; `resource_ids` are those that an oadrCreateOpt was limited to.
    """

    event_id: str
    ven_id: str
    at: datetime
    step: Step
    modification_number: int
    request_id: str | None = None
    opt_type: OptType | None = None
    response_code: str | None = None
    response_description: str | None = None
    resource_ids: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a VEN last said about an event.

    `modification_number` is the version it answered. `by_opt` is true where an oadrCreateOpt said it, which an
    oadrCreatedEvent does not overrule (2.0b rule 206).
    """

    event_id: str
    ven_id: str
    modification_number: int
    opt_type: OptType
    response_code: str
    answered_at: datetime
    response_description: str | None = None
    by_opt: bool = False


class Outgoing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message that waits for a VEN until the VEN has answered it.

    `item_id` is unique for the VEN and chosen by the caller; items go out in the order in which they were added.
    `kind` and `body` are the caller's; the store does not look into them.
    """

    item_id: str
    kind: str
    body: bytes
    created_at: datetime


class StoredRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A report request and how far it has come.

    `confirmed` says that the source has acknowledged it.
    """

    request: ReportRequest
    source: Source
    requested_at: datetime
    confirmed: bool = False


class StoredReading(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A reading with where it came from."""

    ven_id: str
    report_specifier_id: str
    report_request_id: str
    reading: Reading


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Something that may happen once, in all processes together: `name` within `scope`, until `expires_at`."""

    scope: str
    name: str
    expires_at: datetime


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """A VEN that may register: one to which all that is given of fingerprint, common name and venName applies.

    `ven_id` is the ID that it has or will get; alone it stands for a VEN that comes with that ID.
    """

    fingerprint: str | None = None
    common_name: str | None = None
    ven_name: str | None = None
    ven_id: str | None = None

    @property
    def key(self) -> str:
        """What it is found by: the strongest of its properties."""
        if self.fingerprint is not None:
            return f"fingerprint {self.fingerprint}"
        if self.common_name is not None:
            return f"common-name {self.common_name.casefold()}"
        return f"ven-name {self.ven_name}" if self.ven_name is not None else f"ven-id {self.ven_id}"


class Knock(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody unknown who wanted to register, as an operator sees it.

    `key` is the fingerprint of the certificate, or of those without one `name` and their name. `ven_name`, `ven_id`,
    `profile` and `address` are what it said and where it was the last time; nothing vouches for them.
    """

    key: str
    first_at: datetime
    last_at: datetime
    times: int = 1
    fingerprint: str | None = None
    common_name: str | None = None
    ven_name: str | None = None
    ven_id: str | None = None
    profile: str = "2.0b"
    address: str = ""
    rejected: bool = False


class Store(Ledger, Protocol):
    """What the VTN needs of its store; `Ledger` is the part of the API, the audit and the webhooks."""

    async def open(self) -> None:
        """Make ready: connect, and bring the database's schema up to date where it is ours to do."""
        ...

    async def close(self) -> None:
        """Finish what is in flight and let go of everything. Safe to call twice."""
        ...

    def subscribe(self, listener: Callable[[str | None], None]) -> Callable[[], None]:
        """Have `listener(ven_id)` called after each commit that changes what waits for that VEN.

        None means any VEN may be concerned. The listener must be quick and not raise. Returns a function that ends
        the subscription.
        """
        ...

    # --- other workers --------------------------------------------------------------------------------------------

    @property
    def is_shared(self) -> bool:
        """Whether other processes may work with the same store at the same time."""
        ...

    async def occupy(self) -> None:
        """From now on, until `close`, serve VENs from this store.

        Raises:
            StoreUnavailable: another process does, and the store can't be shared.
        """
        ...

    def follow(self, listener: Callable[[Change | None], None]) -> Callable[[], None]:
        """Have `listener(change)` called for each change that another worker commits; None: anything may differ.

        The listener must be quick and not raise. Returns a function that ends this.
        """
        ...

    async def tell(self, changes: Sequence[Change]) -> None:
        """Tell the other workers of what is kept in memory only."""
        ...

    async def barrier(self) -> None:
        """Return when the followers have heard of everything that other workers had committed before this call."""
        ...

    def holding(self, key: str) -> AbstractAsyncContextManager[None]:
        """A block in which no other worker holds `key`, and a `barrier` at its beginning.

        Tasks of one worker do not exclude each other by this.
        """
        ...

    async def leads(self) -> bool:
        """Whether this worker is the one that does what only one may do; it stays so as long as it can."""
        ...

    # --- VENs ---------------------------------------------------------------------------------------------------

    async def save_registration(
        self, registration: Registration, *, fresh: bool = False, outgoing: Sequence[Outgoing] = ()
    ) -> None:
        """Keep a VEN, replacing what was kept under its ven_id.

        `fresh` starts anew (2.0b rule 406): capabilities and report requests in both directions, opts and waiting
        messages go in the same unit of work; its event answers and readings stay. `outgoing` is then added to its
        queue, in order.

        Raises:
            StoreError: another VEN has the same registration_id.
        """
        ...

    async def save_enrolled(
        self, registrations: Sequence[Registration], admissions: Sequence[Admission], members: Sequence[Member]
    ) -> None:
        """Keep many VENs, who may register, and who belongs to which group, all of it or nothing.

        Each replaces the one with its ID or key.

        Raises:
            StoreError: there is no such group.
        """
        ...

    async def end_registration(self, ven_id: str, *, outgoing: Sequence[Outgoing] = ()) -> bool:
        """Forget the VEN's registration_id and all that `fresh` forgets (2.0b rule 407), but keep the VEN itself.

        Returns whether it was registered.
        """
        ...

    async def delete_ven(self, ven_id: str) -> bool:
        """Forget the VEN with everything about it, readings, answers and resources too, but for traces.

        Returns whether it was there.
        """
        ...

    async def load_registration(self, ven_id: str) -> Registration | None:
        """The VEN with that ID (case-sensitive, 2.0b rule 512), registered or not."""
        ...

    async def find_registration(
        self, *, ven_name: str | None = None, registration_id: str | None = None, fingerprint: str | None = None
    ) -> Registration | None:
        """The VEN that has all of the given properties, or None; the earliest in ven_id order if several do.

        None is no property: with none given there is no such VEN.
        """
        ...

    async def list_registrations(self, *, ven_ids: Collection[str] | None = None) -> list[Registration]:
        """All VENs, or those with these IDs, by ven_id."""
        ...

    async def save_presence(self, last_seen: Mapping[str, datetime], online: Mapping[str, bool]) -> None:
        """Note when VENs were last heard of and whether they count as online; unknown ven_ids are passed over.

        An instant before the one that is kept changes nothing.
        """
        ...

    async def turn(self, ven_id: str, *, online: bool) -> bool:
        """Have the VEN count as online or not. Returns whether that is a change, which only one caller is told."""
        ...

    async def list_silent(self, before: datetime) -> list[Registration]:
        """The VENs that count as online and have not been heard of since `before`, by ven_id."""
        ...

    # --- events -------------------------------------------------------------------------------------------------

    async def save_event(self, stored: StoredEvent) -> None:
        """Keep an event, replacing the version kept under its event_id; a draft with that ID goes."""
        ...

    async def load_event(self, event_id: str) -> StoredEvent | None:
        """The event with that ID."""
        ...

    async def list_events(
        self, *, include_closed: bool = False, event_ids: Collection[str] | None = None
    ) -> list[StoredEvent]:
        """The events, or those with these IDs, in the order in which they were first saved."""
        ...

    async def delete_event(self, event_id: str) -> bool:
        """Forget an event, the answers to it and its traces. Returns whether it was there."""
        ...

    async def save_answers(self, answers: Sequence[Answer]) -> None:
        """Keep what VENs said of events, each replacing what the same VEN said of the same event."""
        ...

    async def list_answers(self, *, ven_id: str | None = None, event_id: str | None = None) -> list[Answer]:
        """The last answers, of one VEN or about one event or both, by event_id and ven_id."""
        ...

    async def save_draft(self, draft: Draft) -> None:
        """Keep an unpublished event, replacing the one kept under its event_id."""
        ...

    async def delete_draft(self, event_id: str) -> bool:
        """Forget an unpublished event. Returns whether it was there."""
        ...

    async def list_drafts(self) -> list[Draft]:
        """The unpublished events, by event_id."""
        ...

    async def save_traces(self, traces: Sequence[Trace]) -> None:
        """Keep what has happened, after all that was kept before."""
        ...

    async def list_traces(self, event_id: str, *, ven_id: str | None = None) -> list[Trace]:
        """What has happened about an event, with one VEN or with all, in the order in which it was kept."""
        ...

    # --- what targets may name ------------------------------------------------------------------------------------

    async def save_group(self, group: Group) -> None:
        """Keep a group, replacing the one kept under its group_id; its members stay."""
        ...

    async def delete_group(self, group_id: str) -> bool:
        """Forget a group and who its members are. Returns whether it was there."""
        ...

    async def list_groups(self) -> list[Group]:
        """All groups, by group_id."""
        ...

    async def save_members(self, members: Sequence[Member]) -> None:
        """Keep who belongs to groups; those that do already are passed over.

        Raises:
            StoreError: no such group.
        """
        ...

    async def delete_members(self, members: Sequence[Member]) -> None:
        """Take members out of their groups; those not there are passed over."""
        ...

    async def list_members(self, *, group_id: str | None = None, ven_id: str | None = None) -> list[Member]:
        """Who belongs to which group, by group_id, ven_id and resource_id."""
        ...

    async def save_resources(self, resources: Sequence[Resource]) -> None:
        """Keep resources, each replacing the one with its ven_id and resource_id."""
        ...

    async def delete_resources(self, ven_id: str, resource_ids: Iterable[str]) -> None:
        """Forget resources of a VEN, and in which groups they are; those not there are passed over."""
        ...

    async def list_resources(self, ven_id: str | None = None) -> list[Resource]:
        """The resources of a VEN, or of all, by ven_id and resource_id."""
        ...

    # --- messages that wait for a VEN -----------------------------------------------------------------------------

    async def add_outgoing(self, ven_id: str, items: Sequence[Outgoing]) -> None:
        """Append to the VEN's queue. An item whose item_id already waits there replaces it, in its place.

        Raises:
            StoreError: no such VEN.
        """
        ...

    async def list_outgoing(self, ven_id: str) -> list[Outgoing]:
        """What waits for the VEN, first come first."""
        ...

    async def remove_outgoing(self, ven_id: str, item_ids: Iterable[str]) -> None:
        """Take items that the VEN has answered from its queue; those not there are passed over."""
        ...

    # --- opt ------------------------------------------------------------------------------------------------------

    async def save_opt(self, opt: Opt, *, answers: Sequence[Answer] = ()) -> None:
        """Keep an opt; several may have one opt_id (2.0b rule 204), but the same opt twice is kept once.

        `answers` are saved in the same unit of work.
        """
        ...

    async def delete_opts(self, ven_id: str, opt_id: str) -> int:
        """Forget every opt of the VEN with that opt_id (2.0b rule 204). Returns how many there were."""
        ...

    async def list_opts(self, ven_id: str | None = None) -> list[Opt]:
        """The VEN's opts in the order in which they came; of all VENs, for None."""
        ...

    # --- reports --------------------------------------------------------------------------------------------------

    async def save_capabilities(self, ven_id: str, source: Source, capabilities: Sequence[Capability]) -> None:
        """Replace everything that the source can deliver (2.0b rule 306).

        In the same unit of work its report requests go, except those for METADATA.
        """
        ...

    async def list_capabilities(self, ven_id: str, source: Source) -> list[Capability]:
        """What the source said it can deliver, in its order."""
        ...

    async def save_requests(
        self, ven_id: str, requests: Sequence[StoredRequest], *, outgoing: Sequence[Outgoing] = ()
    ) -> None:
        """Keep report requests, each replacing that of the same source and report_request_id.

        `outgoing` is added to the VEN's queue in the same unit of work.
        """
        ...

    async def list_requests(self, ven_id: str, source: Source) -> list[StoredRequest]:
        """The requests that are in force, in the order in which they were first saved."""
        ...

    async def delete_requests(
        self,
        ven_id: str,
        source: Source,
        report_request_ids: Iterable[str],
        *,
        outgoing: Sequence[Outgoing] = (),
    ) -> list[str]:
        """End requests, and add `outgoing` to the VEN's queue. Returns the IDs that were there."""
        ...

    async def save_readings(self, readings: Sequence[StoredReading]) -> None:
        """Keep readings. The same (VEN, report specifier, rID, start) replaces, never doubles (rule 346)."""
        ...

    async def list_readings(
        self,
        ven_id: str,
        *,
        report_specifier_id: str | None = None,
        r_id: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
        after: StoredReading | None = None,
    ) -> list[StoredReading]:
        """Readings by start, rID and report specifier; `start` inclusive, `end` exclusive.

        With `after`, those that come after that one in this order.
        """
        ...

    async def delete_readings(self, ven_id: str, before: datetime) -> int:
        """Forget a VEN's readings that start before an instant. Returns how many there were."""
        ...

    async def save_rule(self, rule: ReportRule) -> None:
        """Keep a rule for reports, replacing the one kept under its rule_id."""
        ...

    async def delete_rule(self, rule_id: str) -> bool:
        """Forget a rule for reports. Returns whether it was there."""
        ...

    async def list_rules(self) -> list[ReportRule]:
        """The rules for reports, by rule_id."""
        ...

    # --- at the door ------------------------------------------------------------------------------------------------

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        """For each claim whether it is the first of its scope and name. Which it is stays known until it is forgotten.

        A claim that comes twice in one call is the first once.
        """
        ...

    async def give_back(self, claims: Sequence[Claim]) -> None:
        """Let what was claimed be claimed again. Only just these claims: one with another `expires_at` stays."""
        ...

    async def forget_claims(self, now: datetime) -> int:
        """Forget the claims that had expired before `now`. Returns how many they were."""
        ...

    async def save_admissions(self, admissions: Sequence[Admission], *, knock: str | None = None) -> None:
        """Keep who may register, each replacing the one with its key; the knock of that key goes."""
        ...

    async def find_admissions(self, keys: Sequence[str]) -> list[Admission]:
        """Those with these keys, in the order of the keys."""
        ...

    async def list_admissions(self) -> list[Admission]:
        """All of them, by key."""
        ...

    async def delete_admission(self, key: str) -> bool:
        """Forget one. Returns whether it was there."""
        ...

    async def save_knock(self, knock: Knock, *, most: int) -> bool:
        """Keep a knock, replacing the one with its key. False if it is a new one and there are `most` already."""
        ...

    async def load_knock(self, key: str) -> Knock | None:
        """The knock of that key."""
        ...

    async def list_knocks(self) -> list[Knock]:
        """All of them, those that came first first."""
        ...

    async def delete_knock(self, key: str) -> bool:
        """Forget one. Returns whether it was there."""
        ...
