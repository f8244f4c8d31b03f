"""What an operator does at a VTN: events from the draft to the last answer, and what their targets mean."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import ConfigError, ModelError
from pyopenadr.model import Event, Group, Member, Opt, Resource
from pyopenadr.model.group import WHOLE
from pyopenadr.model.schedule import in_force
from pyopenadr.model.time import Duration
from pyopenadr.store.port import Answer, Draft
from pyopenadr.v2 import vtn as rules
from pyopenadr.vtn.draft import changed_event, check_event, copied_event, make_event, texts
from pyopenadr.vtn.handler import Caller
from pyopenadr.vtn.question import Backend
from pyopenadr.vtn.service import Service
from pyopenadr.vtn.service.board import Board, DeliveryState
from pyopenadr.vtn.service.dispatch import Plan, draft_of

__all__ = ["DispatchRules", "EventDesk", "GroupDesk"]

log = logging.getLogger("pyopenadr.vtn")

_OPT_SCHEDULES = ("send", "warn", "skip")
_OVERLAPS = ("allow", "warn", "refuse")


class DispatchRules(msgspec.Struct, frozen=True):
    """How events are sent out unless `add_event` says otherwise; see `OpenADRServer`."""

    opt_schedules: str = "send"
    overlap: str = "warn"
    answer_within: timedelta | None = None

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("opt_schedules", self.opt_schedules, _OPT_SCHEDULES),
            ("overlap", self.overlap, _OVERLAPS),
        ):
            if value not in allowed:
                raise ConfigError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
        if self.answer_within is not None and self.answer_within <= timedelta(0):
            raise ConfigError(f"answer_within must be positive, not {self.answer_within}")

    def but(self, **given: Any) -> DispatchRules:
        """These rules with those given in place; None leaves one as it is."""
        return msgspec.structs.replace(self, **{name: value for name, value in given.items() if value is not None})


class _Desk(ABC):
    """What the desks need of the server."""

    clock: Clock
    backend: Backend
    _service: Service
    _caller: Caller
    _rules: DispatchRules

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def _apply_rules(self, ven_ids: Iterable[str], *, replaced: str | None = None) -> None: ...

    def _second(self) -> datetime:
        """The present time as it is sent: whole seconds."""
        return self.clock.now().replace(microsecond=0)


class EventDesk(_Desk):
    """Events: draft, preview, publish, change, cancel, copy, and what has become of them."""

    async def add_event(
        self,
        event: Event | None = None,
        *,
        ven_ids: Iterable[str] | None = None,
        opt_schedules: str | None = None,
        overlap: str | None = None,
        answer_within: timedelta | None = None,
        start: datetime | None = None,
        intervals: Sequence[tuple[Duration, float]] = (),
        signal_name: str = "SIMPLE",
        signal_type: str = "level",
        **fields: Any,
    ) -> Event:
        """Publish an event.

        Give a whole `Event`, or `start` and `intervals` (pairs of duration and value) for one signal, and any other
        field of `Event` by name (`market_context`, `priority`, `ramp_up`, …). It is for the VENs in `ven_ids`, else
        for those that its target means, else for every VEN, also those that come later. Where there is a programme of
        its market context (see `add_group`), it is for the VENs in that alone. `opt_schedules`, `overlap` and
        `answer_within` are as in the server's own settings.

        Returns:
            The event as published.

        Raises:
            ModelError: the event is not legal; the error names the rule.
            LocalProtocolError: there is an event with that event_id, or it overlaps with another one and `overlap` is
                `refuse`.
        """
        await self.start()
        event = self._event(event, start, intervals, signal_name, signal_type, fields)
        given = self._rules.but(opt_schedules=opt_schedules, overlap=overlap, answer_within=answer_within)
        await self._publish(event, None if ven_ids is None else texts("ven_ids", ven_ids), given)
        return event

    def _event(
        self,
        event: Event | None,
        start: datetime | None,
        intervals: Sequence[tuple[Duration, float]],
        signal_name: str,
        signal_type: str,
        fields: dict[str, Any],
    ) -> Event:
        if event is None:
            return make_event(start, intervals, signal_name, signal_type, fields, self._second())
        if start is not None or intervals or fields:
            raise ConfigError("give a whole Event, or start and intervals, not both")
        return event

    async def _publish(self, event: Event, ven_ids: Sequence[str] | None, given: DispatchRules) -> None:
        self._check(event)
        plan = await self._service.publish(
            event,
            ven_ids,
            opt_schedules=given.opt_schedules,
            overlap=given.overlap,
            answer_within=given.answer_within,
        )
        if given.overlap == "warn":
            for overlap in plan.overlaps:
                log.warning("event %s overlaps with event %s", event.event_id, overlap.event_id)
        if plan.opted_out:
            what = "left out" if given.opt_schedules == "skip" else "sent it all the same"
            count = len(plan.opted_out)
            log.warning("event %s: %d VENs are not available by their schedules; %s", event.event_id, count, what)
        if not plan.ven_ids and not plan.everyone:
            log.warning("event %s is for nobody at the moment", event.event_id)

    def _check(self, event: Event) -> None:
        """Whether the event may be published now."""
        check_event(event)
        until = event.listed_until
        if until is not None and until <= self.clock.now():
            raise ModelError(f"event {event.event_id!r} ended at {until.isoformat()}: nobody can act on it", rule="20")

    async def preview(
        self,
        event: Event | str,
        *,
        ven_ids: Iterable[str] | None = None,
        opt_schedules: str | None = None,
    ) -> Plan:
        """Who would get the event if it were published now, and what speaks against it; nothing is sent.

        `event` is an event, or the ID of a draft with what the draft says of sending it. VENs that are not available
        by their schedules are named in any case.

        Raises:
            ModelError: the event is not legal; the error names the rule.
            LocalProtocolError: there is no such draft.
        """
        await self.start()
        chosen = None if ven_ids is None else texts("ven_ids", ven_ids)
        if isinstance(event, str):
            draft = await self._service.draft(event)
            event, chosen = draft.event, chosen or draft.ven_ids
            opt_schedules = opt_schedules or draft.opt_schedules
        self._check(event)
        wanted = self._rules.but(opt_schedules=opt_schedules).opt_schedules
        plan, _ = await self._service.plan(event, chosen, "skip" if wanted == "skip" else "warn")
        return plan

    # --- drafts -----------------------------------------------------------------------------------------------------

    async def draft_event(
        self,
        event: Event | None = None,
        *,
        ven_ids: Iterable[str] | None = None,
        opt_schedules: str | None = None,
        overlap: str | None = None,
        answer_within: timedelta | None = None,
        start: datetime | None = None,
        intervals: Sequence[tuple[Duration, float]] = (),
        signal_name: str = "SIMPLE",
        signal_type: str = "level",
        **fields: Any,
    ) -> Event:
        """Keep an event without publishing it; the arguments are those of `add_event`.

        It is not checked before it is published, or previewed. A draft with its event_id is replaced.

        Raises:
            LocalProtocolError: a published event has that event_id.
        """
        await self.start()
        event = self._event(event, start, intervals, signal_name, signal_type, fields)
        self._rules.but(opt_schedules=opt_schedules, overlap=overlap, answer_within=answer_within)
        await self._service.save_draft(
            Draft(
                event=event,
                ven_ids=None if ven_ids is None else texts("ven_ids", ven_ids),
                opt_schedules=opt_schedules,
                overlap=overlap,
                answer_within=answer_within,
            )
        )
        return event

    async def drafts(self) -> list[Event]:
        """The events that are not published yet, by event_id."""
        await self.start()
        return [draft.event for draft in await self._service.store.list_drafts()]

    async def publish_event(self, event_id: str) -> Event:
        """Publish a draft; it may fail as `add_event` may, and stays a draft then."""
        await self.start()
        draft = await self._service.draft(event_id)
        event = msgspec.structs.replace(draft.event, created_date_time=self._second())
        given = self._rules.but(
            opt_schedules=draft.opt_schedules, overlap=draft.overlap, answer_within=draft.answer_within
        )
        await self._publish(event, draft.ven_ids, given)
        return event

    async def discard_draft(self, event_id: str) -> bool:
        """Throw a draft away. Returns whether there was one."""
        await self.start()
        return await self._service.store.delete_draft(event_id)

    async def copy_event(self, event_id: str, /, *, start: datetime, **changes: Any) -> Event:
        """Make a draft like an event, open, over or itself a draft, with a new ID and another `start`.

        `changes` are any other fields of `Event` by name. Publish it by `publish_event`.

        Raises:
            LocalProtocolError: there is no such event.
        """
        await self.start()
        stored = await self._service.store.load_event(event_id)
        draft = await self._service.draft(event_id) if stored is None else draft_of(stored)
        event = copied_event(draft.event, start, changes, self._second())
        await self._service.save_draft(msgspec.structs.replace(draft, event=event))
        return event

    # --- what is published ------------------------------------------------------------------------------------------

    async def change_event(self, event_id: str, **changes: Any) -> Event:
        """Publish a new version of an event: any field of `Event` by name (2.0b rules 5, 20). A draft is just changed.

        Returns:
            The new version; the old one if nothing differs.

        Raises:
            LocalProtocolError: there is no such event, it is cancelled or over, or the change concerns the past.
            ModelError: the event would not be legal; the error names the rule.
        """
        await self.start()
        draft = None if self._service.is_open(event_id) else await self._service.find_draft(event_id)
        if draft is not None:
            try:
                event = msgspec.structs.replace(draft.event, **changes)
            except TypeError as error:
                raise ConfigError(f"no such field of an event: {error}") from error
            await self._service.save_draft(msgspec.structs.replace(draft, event=event))
            return event
        return await self._service.change_event(event_id, lambda stored: changed_event(stored, changes, self._second()))

    async def cancel_event(self, event_id: str) -> Event:
        """Cancel an event; each VEN is told until it has acknowledged (2.0b rules 10, 52). Safe to repeat.

        Raises:
            LocalProtocolError: there is no such event.
        """
        await self.start()
        return await self._service.change_event(
            event_id,
            lambda stored: msgspec.structs.replace(stored, event=rules.cancelled(stored.event, self._second())),
        )

    async def events(self, *, include_closed: bool = False) -> list[Event]:
        """The events that are open, or all there ever were; drafts are none of them."""
        await self.start()
        if not include_closed:
            await self._service.catch_up()
            return [stored.event for stored in self._service.open_events]
        return [stored.event for stored in await self._service.store.list_events(include_closed=True)]

    async def answers(self, event_id: str | None = None, *, ven_id: str | None = None) -> list[Answer]:
        """What VENs last said about events."""
        await self.start()
        return await self._service.store.list_answers(event_id=event_id, ven_id=ven_id)

    async def board(
        self,
        event_id: str,
        *,
        ven_ids: Iterable[str] | None = None,
        states: Iterable[str] | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Board:
        """What has become of an event: one line for each VEN, with its state, its times and every message.

        The lines are in the order of the ven_ids; `ven_ids` and `states` choose some of them, and `limit` of them come
        after the ven_id `after`. The counts are about all.

        Raises:
            LocalProtocolError: there never was such an event.
        """
        await self.start()
        try:
            wanted = None if states is None else {DeliveryState(state) for state in states}
        except ValueError as error:
            raise ConfigError(f"{error}: use {', '.join(DeliveryState)}") from error
        chosen = None if ven_ids is None else set(texts("ven_ids", ven_ids))
        return await self._service.board(event_id, ven_ids=chosen, states=wanted, after=after, limit=limit)

    async def _follow_events(self) -> None:
        """Keep what has happened to events, and tell the program which VENs have not answered in time."""
        await self._service.save_traces()
        handler = self.backend.get("on_event_unanswered")
        if handler is None or not await self._service.store.leads():
            return
        for stored, ven_ids in await self._service.unanswered():
            event_id = stored.event.event_id
            if ven_ids:
                try:
                    await self._caller.call(handler, event_id, ven_ids, peer="")
                except Exception:  # the user's code may raise anything; the VENs are sent the event all the same
                    log.exception("on_event_unanswered(%r) failed", event_id)
            await self._service.note_reported(stored)

    # --- opts -------------------------------------------------------------------------------------------------------

    async def opts(self, ven_id: str) -> list[Opt]:
        """What a VEN has said by EiOpt: its schedules in force (2.0b rule 203), and its word on events."""
        await self.start()
        return in_force(await self._service.store.list_opts(ven_id))


class GroupDesk(_Desk):
    """Groups, programmes and resources: what targets may name besides VENs."""

    async def add_group(
        self,
        group_id: str,
        *,
        name: str | None = None,
        market_context: str | None = None,
        ven_ids: Iterable[str] = (),
        resources: Iterable[tuple[str, str]] = (),
    ) -> Group:
        """Keep a group of VENs and of resources (pairs of ven_id and resource_id); one that is there gets them added.

        Targets name it by `group_id` or by `name`. With a `market_context` it is a programme: events of that market
        context are for its members alone.

        Raises:
            LocalProtocolError: another group has that name.
        """
        if not group_id:
            raise ConfigError("a group needs a group_id")
        await self.start()
        group = Group(group_id=group_id, name=name, market_context=market_context)
        members = _members(group_id, ven_ids, resources)
        await self._service.save_group(group, members)
        await self._apply_rules({member.ven_id for member in members})
        return group

    async def remove_group(self, group_id: str) -> bool:
        """Forget a group. Events that were published to it stay. Returns whether there was one."""
        await self.start()
        members = await self._service.store.list_members(group_id=group_id)
        there = await self._service.delete_group(group_id)
        await self._apply_rules({member.ven_id for member in members})
        return there

    async def groups(self) -> list[Group]:
        """All groups and programmes, by group_id."""
        await self.start()
        return await self._service.store.list_groups()

    async def members(self, group_id: str | None = None, *, ven_id: str | None = None) -> list[Member]:
        """Who is in a group, or in which groups a VEN and its resources are."""
        await self.start()
        return await self._service.store.list_members(group_id=group_id, ven_id=ven_id)

    async def add_to_group(
        self, group_id: str, *, ven_ids: Iterable[str] = (), resources: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Add VENs and resources to a group. They get the open events that the group was sent.

        Raises:
            LocalProtocolError: there is no such group.
        """
        await self.start()
        members = _members(group_id, ven_ids, resources)
        await self._service.save_members(members)
        await self._apply_rules({member.ven_id for member in members})

    async def remove_from_group(
        self, group_id: str, *, ven_ids: Iterable[str] = (), resources: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Take VENs and resources out of a group. Events that they have already stay with them.

        Raises:
            LocalProtocolError: there is no such group.
        """
        await self.start()
        members = _members(group_id, ven_ids, resources)
        await self._service.delete_members(members)
        await self._apply_rules({member.ven_id for member in members})

    async def add_resource(self, ven_id: str, resource_id: str = WHOLE, **known_by: Any) -> Resource:
        """Keep a resource of a VEN, and what targets may know it by: any field of `Resource` by name.

        These are `position`, `party_ids`, `meter_assets`, `pnodes` and others. Without a `resource_id` it is the VEN
        itself. One that is there is replaced.

        Raises:
            ConfigError: there is no such field.
        """
        await self.start()
        try:
            resource = msgspec.convert(
                {"ven_id": ven_id, "resource_id": resource_id, **known_by}, Resource, strict=True
            )
        except msgspec.ValidationError as error:
            raise ConfigError(f"resource {resource_id!r} of VEN {ven_id!r}: {error}") from error
        unknown = known_by.keys() - set(Resource.__struct_fields__)
        if unknown:
            raise ConfigError(f"a resource has no {', '.join(sorted(unknown))}; see pyopenadr.Resource")
        await self._service.save_resources([resource])
        return resource

    async def add_resources(self, resources: Iterable[Resource]) -> None:
        """Keep many resources at once."""
        await self.start()
        await self._service.save_resources(tuple(resources))

    async def remove_resource(self, ven_id: str, resource_id: str = WHOLE) -> None:
        """Forget a resource, and in which groups it is."""
        await self.start()
        await self._service.delete_resources(ven_id, [resource_id])

    async def resources(self, ven_id: str | None = None) -> list[Resource]:
        """The resources of a VEN, or of all."""
        await self.start()
        return await self._service.store.list_resources(ven_id)


def _members(group_id: str, ven_ids: Iterable[str], resources: Iterable[tuple[str, str]]) -> list[Member]:
    vens = (ven_ids,) if isinstance(ven_ids, str) else tuple(ven_ids)
    pairs = [(ven_id, WHOLE) for ven_id in vens] + [tuple(pair) for pair in resources]
    for pair in pairs:
        if len(pair) != 2 or not all(isinstance(part, str) for part in pair) or not pair[0]:
            raise ConfigError(f"a member is a ven_id, or a pair of ven_id and resource_id, not {pair!r}")
    return [Member(group_id, ven_id, resource_id) for ven_id, resource_id in pairs]
