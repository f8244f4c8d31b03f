"""Sending events out: whom a new one reaches, what it collides with, who is left out, and who has not answered."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta

import msgspec

from pyopenadr.errors import LocalProtocolError
from pyopenadr.model import Event, Opt, OptType, ResponseRequired, Span
from pyopenadr.model.schedule import opted_out, resource_opts
from pyopenadr.model.time import add, is_positive
from pyopenadr.model.uri import is_same
from pyopenadr.store.port import Dispatch, Draft, Step, StoredEvent, Trace
from pyopenadr.vtn.service.board import Board, Delivery, DeliveryState, delivery
from pyopenadr.vtn.service.event import EventService

__all__ = ["DispatchService", "Overlap", "Plan", "draft_of"]


class Overlap(msgspec.Struct, frozen=True):
    """An open event of the same market context, at the same time, for some of the same VENs; None is every VEN."""

    event_id: str
    ven_ids: tuple[str, ...] | None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an event would reach, and what speaks against it.

    `ven_ids` are the VENs that get it, in order, as far as they are known now; with `everyone` every other VEN gets
    it too when it registers. `unregistered` are those of them that can't be reached yet. `opted_out` has the VENs
    that are not available by their own schedules, with that schedule; `skipped` are those of them that are left out.
    `overlaps` are the other events that it collides with.
    """

    ven_ids: tuple[str, ...]
    everyone: bool
    unregistered: tuple[str, ...] = ()
    opted_out: dict[str, Opt] = {}
    skipped: tuple[str, ...] = ()
    overlaps: tuple[Overlap, ...] = ()


class DispatchService(EventService):
    """Plans and publishes events, and keeps drafts of them."""

    # --- planning ---------------------------------------------------------------------------------------------------

    async def plan(self, event: Event, ven_ids: Iterable[str] | None, opt_schedules: str) -> tuple[Plan, StoredEvent]:
        """Whom the event would reach if it were published now, and what would be kept of it.

        `ven_ids` names the VENs, whatever the target says. `opt_schedules` is one of `send`, `warn` and `skip`.

        Raises:
            ModelError: its target names a group or a resource that there is not.
        """
        chosen, by_target = (frozenset(ven_ids), False) if ven_ids is not None else await self._chosen(event)
        candidates = sorted(self._vens) if chosen is None else sorted(chosen)
        dispatch = Dispatch(by_target=by_target, opt_schedules=opt_schedules)
        opted = await self._opted_out(event, by_target, candidates) if opt_schedules != "send" else {}
        skipped = tuple(opted) if opt_schedules == "skip" else ()
        left = set(candidates) - set(skipped)
        stored = StoredEvent(
            event=event,
            recipients=None if chosen is None else tuple(sorted(left)),
            dispatch=msgspec.structs.replace(dispatch, skipped=skipped),
        )
        return Plan(
            ven_ids=tuple(sorted(left)),
            everyone=chosen is None,
            unregistered=tuple(sorted(ven_id for ven_id in left if not self.is_registered(ven_id))),
            opted_out=opted,
            skipped=skipped,
            overlaps=self._overlaps(stored),
        ), stored

    async def _chosen(self, event: Event) -> tuple[frozenset[str] | None, bool]:
        audience = await self.audience(event)
        return audience.ven_ids, audience.by_target

    async def _opted_out(self, event: Event, by_target: bool, ven_ids: Iterable[str]) -> dict[str, Opt]:
        """Those of the VENs that are not available at the time of the event by their schedules."""
        by_ven: dict[str, list[Opt]] = {}
        for opt in await self.store.list_opts():
            by_ven.setdefault(opt.ven_id, []).append(opt)
        found = {}
        for ven_id in ven_ids:
            opts = by_ven.get(ven_id)
            if not opts:
                continue
            resource_ids = event.target.resource_ids
            if by_target:
                selection = await self.selection(ven_id, event.target)
                resource_ids = selection.resource_ids if selection is not None and not selection.whole else ()
            schedule = opted_out(opts, event, resource_ids)
            if schedule is not None:
                found[ven_id] = schedule
        return found

    def _overlaps(self, new: StoredEvent) -> tuple[Overlap, ...]:
        """The open events that share market context, time and VENs with a new one, and not only other resources."""
        found = []
        for old in self.open_events:
            if old.event.event_id == new.event.event_id or not _collide(old.event, new.event):
                continue
            known = self._recipients.get(old.event.event_id)
            if new.recipients is None:
                shared = None if known is None else tuple(sorted(known))
            else:
                shared = tuple(ven_id for ven_id in new.recipients if known is None or ven_id in known)
            if shared is None or shared:
                found.append(Overlap(old.event.event_id, shared))
        return tuple(found)

    # --- publishing -------------------------------------------------------------------------------------------------

    async def publish(
        self,
        event: Event,
        ven_ids: Iterable[str] | None,
        *,
        opt_schedules: str,
        overlap: str,
        answer_within: timedelta | None,
    ) -> Plan:
        """Publish an event. Returns whom it has been published to.

        Raises:
            ModelError: its target names what there is not.
            LocalProtocolError: there is or was an event with its ID; or it overlaps with another one, and `overlap`
                is `refuse`.
        """
        plan, stored = await self.plan(event, ven_ids, opt_schedules)
        if plan.overlaps and overlap == "refuse":
            raise LocalProtocolError(
                f"event {event.event_id!r} overlaps with {', '.join(o.event_id for o in plan.overlaps)} of the same "
                f"market context at the same VENs: change its time, or say overlap='allow'"
            )
        await self.add_event(self._with_deadline(stored, answer_within))
        return plan

    def _with_deadline(self, stored: StoredEvent, answer_within: timedelta | None) -> StoredEvent:
        answer_by = None if answer_within is None else self.clock.now() + answer_within
        dispatch = msgspec.structs.replace(stored.dispatch, answer_within=answer_within, answer_by=answer_by)
        return msgspec.structs.replace(stored, dispatch=dispatch)

    async def _readdress(self, old: StoredEvent, new: StoredEvent) -> StoredEvent:
        before, after = old.event, new.event
        if after.modification_number != before.modification_number:
            new = self._with_deadline(new, old.dispatch.answer_within)
        moved = after.target != before.target or after.market_context != before.market_context
        if moved and (chosen_by_hand(old) is None or after.target.ven_ids != before.target.ven_ids):
            audience = await self.audience(after)
            recipients = None if audience.ven_ids is None else tuple(sorted(audience.ven_ids))
            dispatch = msgspec.structs.replace(new.dispatch, by_target=audience.by_target, skipped=())
            fresh = msgspec.structs.replace(new, recipients=recipients, dispatch=dispatch)
            return await self._leave_out(fresh, keep=old.recipients)
        if new.dispatch.skipped and (before.start, before.duration) != (after.start, after.duration):
            back = msgspec.structs.replace(new.dispatch, skipped=())
            recipients = None if new.recipients is None else (*new.recipients, *new.dispatch.skipped)
            again = msgspec.structs.replace(new, dispatch=back, recipients=recipients)
            return await self._leave_out(again, keep=old.recipients, only=old.dispatch.skipped)
        return new

    async def _leave_out(
        self, stored: StoredEvent, *, keep: Sequence[str] | None, only: Sequence[str] | None = None
    ) -> StoredEvent:
        """The event without the new VENs that are not available.

        `keep` have it already (None: everyone). With `only`, just these are looked at, and have it not.
        """
        if stored.dispatch.opt_schedules != "skip":
            return stored
        known = sorted(self._vens)
        candidates = only if only is not None else known if stored.recipients is None else stored.recipients
        have = set(keep) if keep is not None else set() if only is not None else set(known)
        fresh = [ven_id for ven_id in candidates if ven_id not in have]
        opted = await self._opted_out(stored.event, stored.dispatch.by_target, fresh)
        recipients = stored.recipients
        if recipients is not None:
            recipients = tuple(sorted(set(recipients) - opted.keys()))
        skipped = tuple(sorted({*stored.dispatch.skipped, *opted}))
        return msgspec.structs.replace(
            stored, recipients=recipients, dispatch=msgspec.structs.replace(stored.dispatch, skipped=skipped)
        )

    async def regroup(self) -> None:
        """Groups or resources have changed: whoever belongs to a published event now gets it, and nobody loses it."""
        await super().regroup()
        async with self.alone(self._event_lock, "events"):
            for stored in self.open_events:
                if not stored.dispatch.by_target or stored.recipients is None or stored.event.cancelled:
                    continue
                audience = await self.audience(stored.event, strict=False)
                here = {*stored.recipients, *stored.dispatch.skipped}
                fresh = (audience.ven_ids or frozenset()) - here
                if fresh:
                    grown = msgspec.structs.replace(stored, recipients=tuple(sorted({*stored.recipients, *fresh})))
                    await self._save(await self._leave_out(grown, keep=stored.recipients))

    # --- drafts -----------------------------------------------------------------------------------------------------

    async def save_draft(self, draft: Draft) -> None:
        """Keep an event that is not published yet.

        Raises:
            LocalProtocolError: there is or was a published event with its ID.
        """
        event_id = draft.event.event_id
        if event_id in self._events or await self.store.load_event(event_id) is not None:
            raise LocalProtocolError(f"event {event_id!r} is published already: change it with change_event")
        await self.store.save_draft(draft)

    async def draft(self, event_id: str) -> Draft:
        """The draft with that ID; LocalProtocolError if there is none."""
        draft = await self.find_draft(event_id)
        if draft is None:
            raise LocalProtocolError(f"there is no draft of an event {event_id!r}", code="452")
        return draft

    async def find_draft(self, event_id: str) -> Draft | None:
        """The draft with that ID, if there is one."""
        return next((draft for draft in await self.store.list_drafts() if draft.event.event_id == event_id), None)

    # --- what has become of it --------------------------------------------------------------------------------------

    async def board(
        self,
        event_id: str,
        *,
        ven_ids: Collection[str] | None = None,
        states: Collection[DeliveryState] | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Board:
        """What has become of an event at every VEN that it is for; see `OpenADRServer.board`.

        Raises:
            LocalProtocolError: there never was such an event.
        """
        await self.save_traces()
        stored = self._events.get(event_id) or await self.store.load_event(event_id)
        if stored is None:
            raise LocalProtocolError(f"there is no event {event_id!r}", code="452")
        answers = {answer.ven_id: answer for answer in await self.store.list_answers(event_id=event_id)}
        traces: dict[str, list[Trace]] = {}
        for trace in await self.store.list_traces(event_id):
            traces.setdefault(trace.ven_id, []).append(trace)
        resources = await self._resource_opts(event_id, traces)
        counts: dict[DeliveryState, int] = {}
        lines = []
        for ven_id in self._concerned(stored, {*answers, *traces}):
            line = delivery(
                stored,
                ven_id,
                answer=answers.get(ven_id),
                traces=traces.get(ven_id, ()),
                resources=resources.get(ven_id, {}),
                now=self.clock.now(),
                patience=self.resend_after,
            )
            counts[line.state] = counts.get(line.state, 0) + 1
            if (ven_ids is None or ven_id in ven_ids) and (states is None or line.state in states):
                lines.append(line)
        skipped = [Delivery(ven_id=ven_id, state=DeliveryState.SKIPPED) for ven_id in stored.dispatch.skipped]
        if skipped:
            counts[DeliveryState.SKIPPED] = len(skipped)
            if states is None or DeliveryState.SKIPPED in states:
                lines += [line for line in skipped if ven_ids is None or line.ven_id in ven_ids]
        lines.sort(key=lambda line: line.ven_id)
        shown = [line for line in lines if after is None or line.ven_id > after][:limit]
        return Board(event=stored.event, answer_by=stored.dispatch.answer_by, counts=counts, deliveries=tuple(shown))

    def _concerned(self, stored: StoredEvent, known: set[str]) -> set[str]:
        """The VENs that an event is for; of those that it was for, when it is over, what is known of them."""
        if stored.recipients is not None:
            return known | set(stored.recipients)
        if stored.closed:
            return known
        return known | {ven_id for ven_id in self._awaited() if self.is_for(stored, ven_id)}

    def _awaited(self) -> list[str]:
        """The VENs that can get events now."""
        return [ven_id for ven_id, ven in self._vens.items() if ven.is_registered and not ven.registration.report_only]

    async def _resource_opts(
        self, event_id: str, traces: Mapping[str, Sequence[Trace]]
    ) -> dict[str, dict[str, OptType]]:
        """What VENs have said of single resources by EiOpt, by VEN."""
        found = {}
        for ven_id, steps in traces.items():
            if any(trace.step is Step.OPTED for trace in steps):
                found[ven_id] = resource_opts(await self.store.list_opts(ven_id), event_id)
        return found

    async def unanswered(self) -> list[tuple[StoredEvent, list[str]]]:
        """The events whose time to answer is over and not reported yet, with the VENs that have not answered."""
        found = []
        for stored in self.open_events:
            event, dispatch = stored.event, stored.dispatch
            if (
                dispatch.answer_by is None
                or self.clock.now() < dispatch.answer_by
                or dispatch.reported_number == event.modification_number
                or event.response_required is ResponseRequired.NEVER
            ):
                continue
            answers = await self.store.list_answers(event_id=event.event_id)
            done = {answer.ven_id for answer in answers if answer.modification_number >= event.modification_number}
            wanted = self._awaited() if stored.recipients is None else stored.recipients
            found.append((stored, [v for v in sorted(wanted) if v not in done and self.is_for(stored, v)]))
        return found

    async def note_reported(self, stored: StoredEvent) -> None:
        """The program knows who has not answered this version."""
        async with self.alone(self._event_lock, "events"):
            now = self._events.get(stored.event.event_id)
            if now is not None and now.event == stored.event:
                number = stored.event.modification_number
                dispatch = msgspec.structs.replace(now.dispatch, reported_number=number)
                await self._save(msgspec.structs.replace(now, dispatch=dispatch))


def chosen_by_hand(stored: StoredEvent) -> tuple[str, ...] | None:
    """The VENs that an event was published to by name, and not by its target; None if it was by its target."""
    if stored.recipients is None or stored.dispatch.by_target:
        return None
    named = {*stored.recipients, *stored.dispatch.skipped}
    return None if named == set(stored.event.target.ven_ids) else tuple(sorted(named))


def draft_of(stored: StoredEvent) -> Draft:
    """A published event as a draft, to be sent out to the same VENs in the same way."""
    dispatch = stored.dispatch
    return Draft(
        event=stored.event,
        ven_ids=chosen_by_hand(stored),
        opt_schedules=dispatch.opt_schedules,
        answer_within=dispatch.answer_within,
    )


def _collide(one: Event, other: Event) -> bool:
    """Whether two events are of one market context, overlap in time, and may concern the same resources."""
    if one.cancelled or other.cancelled or not is_same(one.market_context, other.market_context):
        return False
    if not _effective(one).overlaps(_effective(other)):
        return False
    mine, theirs = set(one.target.resource_ids), set(other.target.resource_ids)
    only_resources = all(
        msgspec.structs.replace(event.target, resource_ids=(), ven_ids=()).is_empty for event in (one, other)
    )
    return not (mine and theirs and only_resources and mine.isdisjoint(theirs))


def _effective(event: Event) -> Span:
    """The time of the event with its random window (2.0b rule 18)."""
    end = event.active_span.end
    if end is not None and is_positive(event.start_after):
        end = add(end, event.start_after)
    return Span(event.start, end)
