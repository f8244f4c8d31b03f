"""Checks on a VEN: EiEvent, versions and answers."""

from __future__ import annotations

from typing import Any

import msgspec

from pyopenadr.conformance.check import Broken, Questionable, check
from pyopenadr.conformance.ven.expectation import followed, rejected, same, turned_down
from pyopenadr.conformance.ven.sample import HOUR, event, signal, with_descriptor
from pyopenadr.conformance.ven.stage import VenStage
from pyopenadr.v2 import wire

__all__ = ["CHECKS"]


def _id(one: wire.OadrEvent) -> str:
    return one.event_descriptor.event_id


async def _known(stage: VenStage, **fields: Any) -> wire.OadrEvent:
    """An event that the VEN has had and answered."""
    await stage.registered()
    one = event(stage, **fields)
    await stage.distribute(one)
    await stage.response_to(_id(one))
    return one


async def _anew(stage: VenStage, *events: wire.OadrEvent, request_id: str | None = None) -> str:
    """Send a list; only what is answered from here on counts."""
    stage.forget_answers()
    return await stage.distribute(*events, request_id=request_id)


@check("ven-event-new", "12", "56", "62")
async def _new(stage: VenStage) -> None:
    """A new event is answered by oadrCreatedEvent, without an error."""
    await stage.registered()
    one = event(stage)
    await stage.distribute(one)
    followed(await stage.response_to(_id(one)))


@check("ven-event-new-number", "42", "48")
async def _number(stage: VenStage) -> None:
    """The answer names the modificationNumber of the event."""
    await stage.registered()
    one = event(stage, number=3)
    await stage.distribute(one)
    same("modificationNumber", (await stage.response_to(_id(one))).modification_number, 3)


@check("ven-event-request-id", "42")
async def _request_id(stage: VenStage) -> None:
    """The answer quotes the requestID of the list that brought the event."""
    await stage.registered()
    one = event(stage)
    await stage.distribute(one, request_id="list-with-this-id")
    same("the requestID", (await stage.response_to(_id(one))).request_id, "list-with-this-id")


@check("ven-event-again", "12")
async def _again(stage: VenStage) -> None:
    """An event that comes a second time, unchanged, is answered a second time."""
    one = await _known(stage)
    await _anew(stage, one)
    await stage.response_to(_id(one))


@check("ven-event-never", "12")
async def _never(stage: VenStage) -> None:
    """An event with oadrResponseRequired never is not answered."""
    await stage.registered()
    one = event(stage, response_required="never")
    await stage.distribute(one)
    await stage.settle()
    answers = [each for message in stage.messages(wire.OadrCreatedEvent) for each in message.event_responses or ()]
    if any(each.event_id == _id(one) for each in answers):
        raise Broken("it is answered")


@check("ven-event-never-beside", "12", "62")
async def _never_beside(stage: VenStage) -> None:
    """In a list with one event that wants an answer and one that does not, just the first is answered."""
    await stage.registered()
    silent, loud = event(stage, response_required="never"), event(stage)
    await stage.distribute(silent, loud)
    await stage.response_to(_id(loud))
    await stage.settle()
    answers = [each for message in stage.messages(wire.OadrCreatedEvent) for each in message.event_responses or ()]
    if any(each.event_id == _id(silent) for each in answers):
        raise Broken("both are answered")


@check("ven-event-two", "62", "12")
async def _two(stage: VenStage) -> None:
    """Every event of a list is answered."""
    await stage.registered()
    one, two = event(stage), event(stage)
    await stage.distribute(one, two)
    for each in (one, two):
        await stage.response_to(_id(each))


@check("ven-event-one-message", "12", level="should")
async def _one_message(stage: VenStage) -> None:
    """The events of a list are answered in one oadrCreatedEvent."""
    await stage.registered()
    one, two = event(stage), event(stage)
    await stage.distribute(one, two)
    for each in (one, two):
        await stage.response_to(_id(each))
    found = [message for message in stage.messages(wire.OadrCreatedEvent) if message.event_responses]
    if len(found) > 1:
        raise Questionable(f"they are answered in {len(found)}, which is allowed, too")


@check("ven-event-empty", "35", "62")
async def _empty(stage: VenStage) -> None:
    """A list without events is not answered."""
    await stage.registered()
    await stage.distribute()
    await stage.settle()
    if stage.messages(wire.OadrCreatedEvent):
        raise Broken("it is answered")


@check("ven-event-constant-request-id", "43")
async def _constant(stage: VenStage) -> None:
    """Lists with the same requestID are each looked at."""
    await stage.registered()
    one = event(stage)
    await stage.distribute(one, request_id="the-same")
    await stage.response_to(_id(one))
    two = event(stage)
    await _anew(stage, one, two, request_id="the-same")
    await stage.response_to(_id(two))


@check("ven-event-changed", "57", "12")
async def _changed(stage: VenStage) -> None:
    """An event with a higher modificationNumber replaces what is known, and is answered with that number."""
    one = await _known(stage)
    await _anew(stage, with_descriptor(one, modification_number=1, priority=1))
    response = await stage.response_to(_id(one), number=1)
    followed(response)


@check("ven-event-lower", "58", level="should")
async def _lower(stage: VenStage) -> None:
    """An event with a lower modificationNumber than known is refused with 450."""
    one = await _known(stage, number=2)
    await _anew(stage, with_descriptor(one, modification_number=1))
    rejected(await stage.response_to(_id(one)), "450")


@check("ven-event-lower-cancelled", "58", level="should")
async def _lower_cancelled(stage: VenStage) -> None:
    """So is a cancellation with a lower modificationNumber."""
    one = await _known(stage, number=2)
    await _anew(stage, with_descriptor(one, modification_number=1, event_status="cancelled"))
    rejected(await stage.response_to(_id(one)), "450")


@check("ven-event-cancelled", "36", "59")
async def _cancelled(stage: VenStage) -> None:
    """A cancellation is answered without an error."""
    one = await _known(stage)
    await _anew(stage, with_descriptor(one, modification_number=1, event_status="cancelled"))
    followed(await stage.response_to(_id(one), number=1))


@check("ven-event-cancelled-opt", "36", level="should")
async def _cancelled_opt(stage: VenStage) -> None:
    """The cancellation of an event that has not begun is confirmed by optIn."""
    one = await _known(stage)
    await _anew(stage, with_descriptor(one, modification_number=1, event_status="cancelled"))
    same("optType", (await stage.response_to(_id(one), number=1)).opt_type, "optIn")


@check("ven-event-cancelled-unknown", "60", "21")
async def _cancelled_unknown(stage: VenStage) -> None:
    """The cancellation of an event that the VEN does not know is answered without an error."""
    await stage.registered()
    one = event(stage, status="cancelled", number=1)
    await stage.distribute(one)
    followed(await stage.response_to(_id(one)))


@check("ven-event-implied-cancel", "61")
async def _implied(stage: VenStage) -> None:
    """An event that is missing in the next list is deleted: with the same ID it may come anew, from number 0."""
    one = await _known(stage, number=2)
    await stage.distribute()
    await stage.settle(2)
    await _anew(stage, with_descriptor(one, modification_number=0))
    followed(await stage.response_to(_id(one), number=0))


@check("ven-event-implied-beside", "61", "58", level="should")
async def _implied_beside(stage: VenStage) -> None:
    """An event that stays in the list is kept: a lower modificationNumber of it is refused."""
    await stage.registered()
    one, two = event(stage, number=2), event(stage)
    await stage.distribute(one, two)
    await stage.response_to(_id(one))
    await stage.distribute(one)
    await stage.settle(2)
    await _anew(stage, with_descriptor(one, modification_number=1))
    rejected(await stage.response_to(_id(one)))


@check("ven-event-wrong-vtn", "21", "512")
async def _wrong_vtn(stage: VenStage) -> None:
    """A list with another vtnID is refused with 452."""
    await stage.registered()
    one = event(stage)
    own, stage.vtn_id = stage.vtn_id, "ANOTHER_VTN"
    try:
        await stage.distribute(one)
    finally:
        stage.vtn_id = own
    message = await stage.hear(wire.OadrCreatedEvent)
    if message.event_responses and message.response.response_code.startswith("2"):
        rejected(message.event_responses[0], "452")
    else:
        turned_down(message.response, "452")


@check("ven-event-mixed", "19")
async def _mixed(stage: VenStage) -> None:
    """Of a list with a good event and a bad one, the good one is taken."""
    await stage.registered()
    good = event(stage)
    await stage.distribute(event(stage, target=wire.EiTarget(ven_id=("another-ven",))), good)
    followed(await stage.response_to(_id(good)))


@check("ven-event-target-other", "48", "22")
async def _other_target(stage: VenStage) -> None:
    """An event for another VEN is refused with 462."""
    await stage.registered()
    one = event(stage, target=wire.EiTarget(ven_id=("another-ven",)))
    await stage.distribute(one)
    rejected(await stage.response_to(_id(one)), "462", "452")


@check("ven-event-target-empty", "22", "46")
async def _empty_target(stage: VenStage) -> None:
    """An event with an empty target is for the VEN."""
    await stage.registered()
    one = event(stage, target=wire.EiTarget())
    await stage.distribute(one)
    followed(await stage.response_to(_id(one)))


@check("ven-event-context", "48", level="may")
async def _context(stage: VenStage) -> None:
    """An event of an unknown market context is refused with 462, unless the VEN takes any."""
    await stage.registered()
    one = event(stage, market_context="http://nobody.example/context")
    await stage.distribute(one)
    response = await stage.response_to(_id(one))
    if not response.response_code.startswith("2"):
        rejected(response, "462")


@check("ven-event-signal-unknown", "48", "109")
async def _unknown_signal(stage: VenStage) -> None:
    """A combination of signal and type that the standard does not have is refused with 460."""
    await stage.registered()
    one = event(stage, signal(1.0, signal_name="ELECTRICITY_PRICE", signal_type="level"))
    await stage.distribute(one)
    rejected(await stage.response_to(_id(one)), "460")


@check("ven-event-two-payloads", "100", level="should")
async def _two_payloads(stage: VenStage) -> None:
    """An interval with two values is refused."""
    await stage.registered()
    good = signal(1.0)
    payload = good.intervals[0].payloads[0]
    interval = msgspec.structs.replace(good.intervals[0], payloads=(payload, payload))
    one = event(stage, msgspec.structs.replace(good, intervals=(interval,)))
    await stage.distribute(one)
    rejected(await stage.response_to(_id(one)))


@check("ven-event-durations", "33", "102", level="should")
async def _durations(stage: VenStage) -> None:
    """An event whose intervals do not add up to its length is refused."""
    await stage.registered()
    good = event(stage)
    one = msgspec.structs.replace(good, active_period=msgspec.structs.replace(good.active_period, duration=2 * HOUR))
    await stage.distribute(one)
    rejected(await stage.response_to(_id(one)))


CHECKS = (
    _new,
    _number,
    _request_id,
    _again,
    _never,
    _never_beside,
    _two,
    _one_message,
    _empty,
    _constant,
    _changed,
    _lower,
    _lower_cancelled,
    _cancelled,
    _cancelled_opt,
    _cancelled_unknown,
    _implied,
    _implied_beside,
    _wrong_vtn,
    _mixed,
    _other_target,
    _empty_target,
    _context,
    _unknown_signal,
    _two_payloads,
    _durations,
)
