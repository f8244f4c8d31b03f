"""Events, from the draft to the last answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec
from litestar import Response, Router, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET

from pyopenadr.model import Event, EventStatus, OptType
from pyopenadr.store.port import Answer, Draft, StoredEvent, Trace
from pyopenadr.v2 import vtn as rules
from pyopenadr.vtn.office import Office
from pyopenadr.vtn.rest.authoring import (
    EventChanges,
    EventCopy,
    NewEvent,
    copied_draft,
    new_draft,
    revised_draft,
    revised_event,
)
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.page import After, Limit, Page, paged
from pyopenadr.vtn.rest.problem import Refusal
from pyopenadr.vtn.rest.version import IfMatch, check_version, tag_of
from pyopenadr.vtn.service.board import Delivery, DeliveryState

__all__ = ["router"]

State = Literal["draft", "open", "closed"]


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """An event with whom it is for, and where it stands: `status` is that of now (2.0b rule 13).

    A `draft` has been sent to nobody, an `open` event is delivered, a `closed` one is over for everybody. `recipients`
    are null for everybody, and in a draft, for those whom its target will mean when it is published.
    """

    state: State
    status: EventStatus
    recipients: tuple[str, ...] | None
    event: Event


class PlannedVen(msgspec.Struct, frozen=True, kw_only=True):
    """A VEN that would get an event. `available` is false if its own schedules have opted out of that time."""

    ven_id: str
    ven_name: str | None
    online: bool
    registered: bool
    available: bool


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an event would reach, a page of them, and what speaks against it.

    With `everyone`, VENs that register later get it too. `skipped` are left out because of their own schedules, and
    `overlaps` are the other events that it collides with.
    """

    items: list[PlannedVen]
    next: str | None
    everyone: bool
    skipped: tuple[str, ...]
    overlaps: tuple[str, ...]


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """How far the present version of an event has come with a VEN.

    `received` is sure, though unanswered; `error` is an answer by an error code; `silent` is one that should have been
    answered by now; `skipped` VENs do not get the event, because of their own schedules. `opt_type` is the VEN's last
    word, which may be about an earlier version, and `resources` what it has said of single resources.
    """

    ven_id: str
    ven_name: str | None
    online: bool
    state: DeliveryState
    sent_at: datetime | None
    last_sent_at: datetime | None
    times_sent: int
    received_at: datetime | None
    answered_at: datetime | None
    opt_type: OptType | None
    response_code: str | None
    response_description: str | None
    resources: Mapping[str, OptType]


class Deliveries(msgspec.Struct, frozen=True, kw_only=True):
    """A page of deliveries. `counts` says how many VENs are in which state, of all; `answer_by` is the deadline."""

    items: list[DeliveryView]
    next: str | None
    counts: dict[str, int]
    answer_by: datetime | None


class DeliveryDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery with all that has happened: each message, when, and of which version of the event."""

    delivery: DeliveryView
    messages: tuple[Trace, ...]


def _view(office: Office, found: StoredEvent | Draft) -> EventView:
    if isinstance(found, Draft):
        state: State = "draft"
        recipients = found.ven_ids or found.event.target.ven_ids or None
    else:
        state, recipients = "closed" if found.closed else "open", found.recipients
    status = found.event.status_at(office.clock.now())
    return EventView(state=state, status=status, recipients=recipients, event=found.event)


def _version(found: StoredEvent | Draft) -> object:
    """What the ETag is of: what a client can change, and not what the server notes of an event."""
    return found if isinstance(found, Draft) else (found.event, found.recipients)


def _reply(office: Office, found: StoredEvent | Draft, *, made: bool = False) -> Response[EventView]:
    headers = {"etag": tag_of(_version(found))}
    if made:
        headers["location"] = f"/api/events/{quote(found.event.event_id, safe='')}"
    return Response(_view(office, found), status_code=201 if made else 200, headers=headers)


def _second(office: Office) -> datetime:
    return office.clock.now().replace(microsecond=0)


async def _found(office: Office, event_id: str) -> StoredEvent | Draft:
    """The event or draft with that ID.

    Raises:
        Refusal: 404, there is none.
    """
    found = await office.service.store.load_event(event_id) or await office.service.find_draft(event_id)
    if found is None:
        raise Refusal(404, f"there is no event {event_id!r}")
    return found


async def _make(office: Office, new: Draft, *, draft: bool) -> Response[EventView]:
    """Keep a new event, as a draft or published."""
    event_id = new.event.event_id
    async with office.drafting:
        if await office.service.find_draft(event_id) is not None:
            raise Refusal(409, f"there is a draft {event_id!r} already: change it, or choose another ID")
        if draft:
            await office.service.save_draft(new)
            return _reply(office, new, made=True)
        await office.server.add_event(
            new.event,
            ven_ids=new.ven_ids,
            opt_schedules=new.opt_schedules,
            overlap=new.overlap,
            answer_within=new.answer_within,
        )
    return _reply(office, await _found(office, event_id), made=True)


@get("/", summary="Events")
async def list_events(
    office: Desk,
    in_state: Annotated[
        State | None, QueryParameter(name="state", description="Only those; without it, open ones and drafts.")
    ] = None,
    status: FromQuery[EventStatus | None] = None,
    ven_id: Annotated[str | None, QueryParameter(description="Only those that are for this VEN.")] = None,
    market_context: FromQuery[str | None] = None,
    after: After = None,
    limit: Limit = 100,
) -> Page[EventView]:
    """Events and drafts, by their IDs."""
    views: list[EventView] = []
    if in_state in (None, "draft"):
        views += [_view(office, draft) for draft in await office.service.store.list_drafts()]
    if in_state == "closed":
        found = await office.service.store.list_events(include_closed=True)
        views += [_view(office, stored) for stored in found if stored.closed]
    if in_state in (None, "open"):
        await office.service.catch_up()
        views += [_view(office, stored) for stored in office.service.open_events]
    wanted = [
        view
        for view in views
        if status in (None, view.status)
        and market_context in (None, view.event.market_context)
        and (ven_id is None or view.recipients is None or ven_id in view.recipients)
    ]
    return paged(sorted(wanted, key=_id), _id, after, limit)


def _id(view: EventView) -> str:
    return view.event.event_id


@post("/", summary="Make an event")
async def add_event(office: Desk, data: JSONBody[NewEvent]) -> Response[EventView]:
    """Publish an event, or keep it as a draft."""
    return await _make(office, new_draft(data, _second(office)), draft=data.draft)


@get("/{event_id:str}", summary="An event")
async def show_event(office: Desk, event_id: FromPath[str]) -> Response[EventView]:
    """One event or draft; its ETag is that of the version, not of the status."""
    return _reply(office, await _found(office, event_id))


@patch("/{event_id:str}", summary="Change an event")
async def change_event(
    office: Desk, event_id: FromPath[str], data: JSONBody[EventChanges], if_match: IfMatch = None
) -> Response[EventView]:
    """Publish a new version of an event (2.0b rules 5, 20), or change a draft. Needs If-Match."""
    found = await _found(office, event_id)
    check_version(_version(found), if_match)
    if isinstance(found, StoredEvent):
        return _reply(office, await _change(office, found, data, if_match))
    async with office.drafting:
        present = await office.service.find_draft(event_id)
        if present is None:
            raise Refusal(412, f"the draft {event_id!r} has been published or removed in the meantime")
        check_version(_version(present), if_match)
        revised = revised_draft(present, data, _second(office))
        await office.service.save_draft(revised)
    return _reply(office, revised)


async def _change(office: Office, stored: StoredEvent, data: EventChanges, if_match: str | None) -> StoredEvent:
    """Publish the next version of an event, and to others where that is said."""
    fresh: StoredEvent | None = None
    if data.ven_ids is not UNSET:
        if data.target is not UNSET or data.market_context is not UNSET:
            raise Refusal(422, "change ven_ids, or target and market_context, which say who it is for; not both")
        fresh = (await office.service.plan(stored.event, data.ven_ids or None, stored.dispatch.opt_schedules))[1]

    def change(present: StoredEvent) -> StoredEvent:
        check_version(_version(present), if_match)
        revised = revised_event(present, data, _second(office))
        return revised if fresh is None else _readdressed(revised, fresh)

    return await office.service.change_stored(stored.event.event_id, change)


def _readdressed(stored: StoredEvent, fresh: StoredEvent) -> StoredEvent:
    """The event for those that `fresh` is for; who has it already keeps it, whatever its schedules say."""
    skipped, recipients = fresh.dispatch.skipped, fresh.recipients
    if recipients is None:
        have = set(skipped) if stored.recipients is None else set(skipped) & set(stored.recipients)
        have -= set(stored.dispatch.skipped)
    else:
        have = set(skipped) & set(stored.recipients or ())
        recipients = tuple(sorted({*recipients, *have}))
    dispatch = msgspec.structs.replace(
        stored.dispatch,
        by_target=fresh.dispatch.by_target,
        skipped=tuple(ven_id for ven_id in skipped if ven_id not in have),
    )
    return msgspec.structs.replace(stored, recipients=recipients, dispatch=dispatch)


@post("/{event_id:str}/publish", status_code=200, summary="Publish a draft")
async def publish_event(office: Desk, event_id: FromPath[str], if_match: IfMatch = None) -> Response[EventView]:
    """Send a draft to those whom it is for. One that has been published already stays as it is."""
    async with office.drafting:
        found = await _found(office, event_id)
        if isinstance(found, Draft):
            check_version(_version(found), if_match, needed=False)
            await office.server.publish_event(event_id)
            found = await _found(office, event_id)
    return _reply(office, found)


@post("/{event_id:str}/cancel", status_code=200, summary="Cancel an event")
async def cancel_event(office: Desk, event_id: FromPath[str], if_match: IfMatch = None) -> Response[EventView]:
    """Cancel a published event; each VEN is told until it has acknowledged (2.0b rules 10, 52). Safe to repeat."""
    found = await _found(office, event_id)
    if isinstance(found, Draft):
        raise Refusal(409, f"{event_id!r} is a draft that nobody has been told of: delete it")
    if found.event.cancelled:
        return _reply(office, found)

    def change(present: StoredEvent) -> StoredEvent:
        check_version(_version(present), if_match, needed=False)
        return msgspec.structs.replace(present, event=rules.cancelled(present.event, _second(office)))

    return _reply(office, await office.service.change_stored(event_id, change))


@post("/{event_id:str}/copy", summary="Copy an event")
async def copy_event(office: Desk, event_id: FromPath[str], data: JSONBody[EventCopy]) -> Response[EventView]:
    """Make an event like this one, at another time; it is a draft unless `draft` is false."""
    found = await _found(office, event_id)
    return await _make(office, copied_draft(found, data, _second(office)), draft=data.draft)


@delete("/{event_id:str}", status_code=204, summary="Delete a draft")
async def remove_event(office: Desk, event_id: FromPath[str], if_match: IfMatch = None) -> None:
    """Forget a draft. What has been published can only be cancelled. Needs If-Match."""
    async with office.drafting:
        found = await _found(office, event_id)
        if not isinstance(found, Draft):
            raise Refusal(409, f"event {event_id!r} has been published: cancel it")
        check_version(_version(found), if_match)
        await office.server.discard_draft(event_id)


@post("/preview", status_code=200, summary="What an event would be, and for whom")
async def preview_event(office: Desk, data: JSONBody[NewEvent], after: After = None, limit: Limit = 100) -> Preview:
    """Check an event without keeping it, and list the VENs that would get it."""
    draft = new_draft(data, _second(office))
    plan = await office.server.preview(draft.event, ven_ids=draft.ven_ids, opt_schedules=draft.opt_schedules)
    page = paged(plan.ven_ids, lambda ven_id: ven_id, after, limit)
    unregistered = set(plan.unregistered)
    return Preview(
        items=[
            PlannedVen(
                ven_id=ven_id,
                ven_name=_name(office, ven_id),
                online=office.watch.is_online(ven_id),
                registered=ven_id not in unregistered,
                available=ven_id not in plan.opted_out,
            )
            for ven_id in page.items
        ],
        next=page.next,
        everyone=plan.everyone,
        skipped=plan.skipped,
        overlaps=tuple(overlap.event_id for overlap in plan.overlaps),
    )


def _name(office: Office, ven_id: str) -> str | None:
    ven = office.service.registration(ven_id)
    return ven.ven_name if ven is not None else None


@get("/{event_id:str}/answers", summary="Answers to an event")
async def list_answers(office: Desk, event_id: FromPath[str], after: After = None, limit: Limit = 100) -> Page[Answer]:
    """What VENs have last said of an event, by their IDs."""
    await _found(office, event_id)
    return paged(await office.server.answers(event_id), lambda answer: answer.ven_id, after, limit)


@get("/{event_id:str}/deliveries", summary="How far an event has come")
async def list_deliveries(
    office: Desk,
    event_id: FromPath[str],
    states: Annotated[
        list[DeliveryState] | None, QueryParameter(name="state", description="Only in this state; may be repeated.")
    ] = None,
    after: After = None,
    limit: Limit = 100,
) -> Deliveries:
    """Every VEN that the event is for, and how far it has come there; by their IDs. A draft has come nowhere."""
    if isinstance(await _found(office, event_id), Draft):
        return Deliveries(items=[], next=None, counts={}, answer_by=None)
    board = await office.server.board(event_id, states=states, after=after, limit=limit + 1)
    shown = board.deliveries[:limit]
    return Deliveries(
        items=[_delivery(office, line) for line in shown],
        next=shown[-1].ven_id if len(board.deliveries) > limit else None,
        counts={state.value: count for state, count in board.counts.items()},
        answer_by=board.answer_by,
    )


@get("/{event_id:str}/deliveries/{ven_id:str}", summary="How far an event has come with a VEN")
async def show_delivery(office: Desk, event_id: FromPath[str], ven_id: FromPath[str]) -> DeliveryDetail:
    """How far an event has come with one VEN, and everything that has happened, also about older versions."""
    found = await _found(office, event_id)
    lines = () if isinstance(found, Draft) else (await office.server.board(event_id, ven_ids=[ven_id])).deliveries
    if not lines:
        raise Refusal(404, f"event {event_id!r} is not for VEN {ven_id!r}")
    return DeliveryDetail(delivery=_delivery(office, lines[0]), messages=lines[0].messages)


def _delivery(office: Office, line: Delivery) -> DeliveryView:
    return DeliveryView(
        ven_id=line.ven_id,
        ven_name=_name(office, line.ven_id),
        online=office.watch.is_online(line.ven_id),
        state=line.state,
        sent_at=line.sent_at,
        last_sent_at=line.last_sent_at,
        times_sent=line.times_sent,
        received_at=line.received_at,
        answered_at=line.answered_at,
        opt_type=line.opt_type,
        response_code=line.response_code,
        response_description=line.response_description,
        resources=line.resources,
    )


router = Router(
    "/events",
    route_handlers=[
        list_events,
        add_event,
        preview_event,
        show_event,
        change_event,
        publish_event,
        cancel_event,
        copy_event,
        remove_event,
        list_answers,
        list_deliveries,
        show_delivery,
    ],
    tags=["events"],
)
