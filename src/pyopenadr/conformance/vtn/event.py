"""Checks on a VTN: EiEvent, as far as no event is needed; and how one is had."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pyopenadr.conformance.check import Broken, NotApplicable, check
from pyopenadr.conformance.stimulus import EventWish
from pyopenadr.conformance.vtn import sample
from pyopenadr.conformance.vtn.expectation import accepted, echoed, refused, same
from pyopenadr.conformance.vtn.stage import Answer, VtnStage
from pyopenadr.v2 import faults, wire

__all__ = ["CHECKS", "answered", "find", "listed", "published", "wished"]


def find(message: wire.OadrDistributeEvent, event_id: str) -> wire.OadrEvent | None:
    """The event in a list of events."""
    return next((each for each in message.events if each.event_descriptor.event_id == event_id), None)


def wished(stage: VtnStage, **fields: Any) -> EventWish:
    """An event of an hour that begins in an hour, unless `fields` say otherwise; `after` is seconds from now."""
    after = fields.pop("after", 3600)
    start = stage.clock.now().replace(microsecond=0) + timedelta(seconds=after)
    return EventWish(**{"event_id": stage.new_id("event"), "ven_id": stage.ven_id, "start": start, **fields})


async def published(stage: VtnStage, **fields: Any) -> wire.OadrEvent:
    """Have the VTN send an event and opt in to it; the event as it came.

    Raises:
        NotApplicable: nothing moves the VTN.
        Broken: the event does not come.
    """
    stimulus = stage.stimulus
    await stage.registered()
    event_id = await stimulus.create_event(wished(stage, **fields))
    message = await stage.fetch(wire.OadrDistributeEvent, holds=lambda each: find(each, event_id) is not None)
    await stage.answer(message)
    event = find(message, event_id)
    assert event is not None
    return event


async def listed(stage: VtnStage, event_id: str) -> wire.OadrEvent:
    """The event as the VTN lists it now.

    Raises:
        Broken: it does not.
    """
    event = find(await stage.events(), event_id)
    if event is None:
        raise Broken(f"event {event_id} is not in the answer to oadrRequestEvent")
    return event


async def answered(
    stage: VtnStage, event: wire.OadrEvent, opt_type: str, *, number: int | None = None, code: str = "200"
) -> Answer:
    """Answer an event once more."""
    descriptor = event.event_descriptor
    chosen = number if number is not None else descriptor.modification_number
    response = sample.event_response(descriptor.event_id, chosen, "request-1", opt_type, code)
    return await stage.say(
        wire.OadrCreatedEvent(response=faults.response(), event_responses=(response,), ven_id=stage.ven_id)
    )


async def _asked(stage: VtnStage, **fields: Any) -> Answer:
    await stage.registered()
    return await stage.say(
        wire.OadrRequestEvent(**{"request_id": stage.new_id("request"), "ven_id": stage.ven_id, **fields})
    )


async def _list(stage: VtnStage, **fields: Any) -> wire.OadrDistributeEvent:
    answer = await _asked(stage, **fields)
    if not isinstance(answer.message, wire.OadrDistributeEvent):
        raise NotApplicable(f"the reply is {answer}, no oadrDistributeEvent")
    return answer.message


@check("vtn-event-request", "500", "502", "51")
async def _request(stage: VtnStage) -> None:
    """oadrRequestEvent is answered by oadrDistributeEvent."""
    accepted(await _asked(stage), wire.OadrDistributeEvent)


@check("vtn-event-request-response", "40")
async def _response(stage: VtnStage) -> None:
    """The answer to oadrRequestEvent has an eiResponse."""
    message = await _list(stage)
    if message.response is None:
        raise Broken("there is none")


@check("vtn-event-request-echo", "207", "303", level="should")
async def _echo(stage: VtnStage) -> None:
    """The eiResponse in the answer to oadrRequestEvent quotes its requestID."""
    echoed(await _asked(stage, request_id="request-of-events"), "request-of-events")


@check("vtn-event-request-id", "41")
async def _own_id(stage: VtnStage) -> None:
    """oadrDistributeEvent has a requestID of its own."""
    if not (await _list(stage)).request_id:
        raise Broken("it is empty")


@check("vtn-event-vtn-id", "21", "512")
async def _vtn_id(stage: VtnStage) -> None:
    """oadrDistributeEvent has the vtnID of the registration."""
    message = await _list(stage)
    same("vtnID", message.vtn_id, stage.vtn_id)


@check("vtn-event-request-wrong", "21", "517")
async def _request_wrong(stage: VtnStage) -> None:
    """oadrRequestEvent with a wrong venID is refused with 452."""
    await stage.registered()
    refused(await _asked(stage, ven_id=f"{stage.ven_id}-wrong"), "452", "463")


@check("vtn-event-distribute-sent", "23", "33")
async def _distribute_sent(stage: VtnStage) -> None:
    """oadrDistributeEvent, which only a VTN sends, is refused."""
    await stage.registered()
    answer = await stage.say(wire.OadrDistributeEvent(request_id="d", vtn_id=stage.vtn_id))
    if answer.reply.status == 200:
        refused(answer)


@check("vtn-event-unknown", "48", "21", level="should")
async def _unknown(stage: VtnStage) -> None:
    """An answer to an event that the VTN does not know is refused with 452."""
    await stage.registered()
    response = sample.event_response("never-there", 0, "request-1", "optIn")
    answer = await stage.say(
        wire.OadrCreatedEvent(response=faults.response(), event_responses=(response,), ven_id=stage.ven_id)
    )
    refused(answer, "452")


@check("vtn-event-failure", "25", "33")
async def _failure(stage: VtnStage) -> None:
    """oadrCreatedEvent that reports an error as a whole is taken: oadrResponse."""
    await stage.registered()
    message = wire.OadrCreatedEvent(response=faults.response("d", "452"), ven_id=stage.ven_id)
    answer = await stage.say(message)
    if not isinstance(answer.message, wire.OadrResponse):
        raise Broken(f"it is answered by {answer}")


@check("vtn-event-answer-wrong-ven", "21", "517", level="should")
async def _answer_wrong(stage: VtnStage) -> None:
    """oadrCreatedEvent with a wrong venID is refused."""
    await stage.registered()
    response = sample.event_response("never-there", 0, "request-1", "optIn")
    message = wire.OadrCreatedEvent(
        response=faults.response(), event_responses=(response,), ven_id=f"{stage.ven_id}-wrong"
    )
    refused(await stage.say(message), "452", "463")


@check("vtn-event-limit", "27")
async def _limit(stage: VtnStage) -> None:
    """replyLimit bounds the number of events."""
    await stage.registered()
    whole = await stage.events()
    if len(whole.events) < 2:
        for number in range(2):
            await stage.stimulus.create_event(wished(stage, after=7200 + number * 7200))
        whole = await stage.events()
    if len(whole.events) < 2:
        raise NotApplicable("the VTN lists fewer than two events")
    found = await stage.events(reply_limit=1)
    same("the number of events with replyLimit 1", len(found.events), 1)
    first = whole.events[0].event_descriptor.event_id
    same("the event with replyLimit 1", found.events[0].event_descriptor.event_id, first)


CHECKS = (
    _request,
    _response,
    _echo,
    _own_id,
    _vtn_id,
    _request_wrong,
    _distribute_sent,
    _unknown,
    _failure,
    _answer_wrong,
    _limit,
)
