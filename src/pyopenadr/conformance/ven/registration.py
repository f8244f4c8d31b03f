"""Checks on a VEN: how it begins, EiRegisterParty, and polling."""

from __future__ import annotations

from pyopenadr.conformance.check import Broken, NotApplicable, check
from pyopenadr.conformance.ven.expectation import same, succeeded, turned_down
from pyopenadr.conformance.ven.stage import VenStage
from pyopenadr.v2 import faults, wire

__all__ = ["AT_THE_END", "CHECKS"]

_POLLS = 5


async def _beginning(stage: VenStage) -> list[wire.Message]:
    """What the VEN has sent from its beginning, up to its second poll."""
    await stage.registered()
    found: list[wire.Message] = []
    for each in stage.heard:
        if isinstance(each.message, wire.OadrPoll) and any(isinstance(one, wire.OadrPoll) for one in found):
            break
        found.append(each.message)
    return found


async def _after_registration(stage: VenStage) -> list[wire.Message]:
    """What came after the first registration."""
    found = await _beginning(stage)
    creates = [n for n, each in enumerate(found) if isinstance(each, wire.OadrCreatePartyRegistration)]
    if not creates:
        raise NotApplicable("the VEN was registered before we came")
    return found[creates[-1] + 1 :]


def _place(messages: list[wire.Message], kind: type[wire.Message]) -> int | None:
    return next((n for n, each in enumerate(messages) if isinstance(each, kind)), None)


@check("ven-registration-first", "405", level="should")
async def _first(stage: VenStage) -> None:
    """The VEN registers before it does anything else."""
    first = (await _beginning(stage))[0]
    if not isinstance(first, wire.OadrCreatePartyRegistration | wire.OadrQueryRegistration):
        raise Broken(f"its first message is {first.message_type}")


@check("ven-registration-new", "402")
async def _new(stage: VenStage) -> None:
    """A VEN that registers for the first time sends no registrationID."""
    creates = [each for each in await _beginning(stage) if isinstance(each, wire.OadrCreatePartyRegistration)]
    if not creates:
        raise NotApplicable("the VEN was registered before we came")
    if creates[-1].registration_id:
        raise Broken(f"it sends {creates[-1].registration_id!r}")


@check("ven-registration-profile", "402", "510")
async def _profile(stage: VenStage) -> None:
    """The VEN registers for the profile 2.0b over simpleHttp."""
    creates = [each for each in await _beginning(stage) if isinstance(each, wire.OadrCreatePartyRegistration)]
    if not creates:
        raise NotApplicable("the VEN was registered before we came")
    same("the profile", (creates[-1].profile_name, creates[-1].transport_name), ("2.0b", "simpleHttp"))


@check("ven-registration-metadata", "301", "405")
async def _metadata(stage: VenStage) -> None:
    """After it has registered, the VEN sends oadrRegisterReport, also if it has nothing to offer."""
    if _place(await _after_registration(stage), wire.OadrRegisterReport) is None:
        raise Broken("none has come")


@check("ven-registration-metadata-first", "309")
async def _metadata_first(stage: VenStage) -> None:
    """METADATA is exchanged before anything else but oadrRequestEvent."""
    messages = await _after_registration(stage)
    place = _place(messages, wire.OadrRegisterReport)
    before = [each.message_type for each in messages[: place if place is not None else len(messages)]]
    wrong = [name for name in before if name not in ("oadrRequestEvent", "oadrRegisteredReport")]
    if wrong:
        raise Broken(f"{wrong[0]} comes first")


@check("ven-registration-events", "405")
async def _events(stage: VenStage) -> None:
    """After it has registered, the VEN asks for its events by oadrRequestEvent."""
    if _place(await _after_registration(stage), wire.OadrRequestEvent) is None:
        raise Broken("none has come")


@check("ven-registration-ven-id", "508", "402")
async def _ven_id(stage: VenStage) -> None:
    """The VEN uses the venID that the registration gave it."""
    for each in await _after_registration(stage):
        same(f"the venID of {each.message_type}", each.get("ven_id", stage.ven_id), stage.ven_id)


def _pulls(stage: VenStage) -> None:
    if stage.push_address is not None:
        raise NotApplicable("the VEN is pushed to")


@check("ven-general-polls", "500", "501", "37")
async def _polls(stage: VenStage) -> None:
    """A VEN that pulls polls again and again."""
    await stage.registered()
    _pulls(stage)
    await stage.settle()


@check("ven-general-poll-frequency", "500", level="should")
async def _frequency(stage: VenStage) -> None:
    """An idle VEN polls as often as it was asked to, and not more often."""
    await stage.registered()
    _pulls(stage)
    await stage.settle(_POLLS)
    at = [each.at_s for each in stage.heard if isinstance(each.message, wire.OadrPoll)][-_POLLS:]
    gap = (at[-1] - at[0]) / (len(at) - 1)
    wanted = stage.poll_frequency.total_seconds()
    if gap < 0.9 * wanted:
        raise Broken(f"it polls every {gap:.2f} s, and was asked for every {wanted:g} s")


@check("ven-general-drain", "500", level="should")
async def _drain(stage: VenStage) -> None:
    """A VEN that gets a message by a poll polls on until nothing waits."""
    await stage.registered()
    _pulls(stage)
    await stage.distribute()
    await stage.settle(1)
    polls = [each for each in stage.heard if isinstance(each.message, wire.OadrPoll)]
    place = next(n for n, each in reversed(list(enumerate(polls))) if b"oadrDistributeEvent" in each.exchange.received)
    gap = polls[place + 1].at_s - polls[place].at_s
    if gap > 0.7 * stage.poll_frequency.total_seconds():
        raise Broken(f"its next poll comes {gap:.2f} s later")


@check("ven-general-poll-trouble", "N7", "N1")
async def _trouble(stage: VenStage) -> None:
    """A poll that is answered by HTTP 503 is tried again."""
    await _survives(stage, 503, b"busy")


@check("ven-general-poll-failure", "N7", "N1")
async def _failure(stage: VenStage) -> None:
    """A poll that is answered by HTTP 500 is tried again."""
    await _survives(stage, 500, b"failed")


@check("ven-general-poll-nonsense", "33", "N7")
async def _nonsense(stage: VenStage) -> None:
    """A reply that is no XML does not stop the VEN."""
    await _survives(stage, 200, b"<html>surprise")


async def _survives(stage: VenStage, status: int, body: bytes) -> None:
    await stage.registered()
    _pulls(stage)
    stage.trouble.append((status, body))
    await stage.settle(2)


@check("ven-general-poll-error", "500", "48")
async def _poll_error(stage: VenStage) -> None:
    """A poll that is answered by an error 500 in oadrResponse does not stop the VEN."""
    await stage.registered()
    _pulls(stage)
    await stage.deliver(wire.OadrResponse(response=faults.response("", "500")))
    await stage.settle(2)


@check("ven-registration-requested", "401", "508")
async def _requested(stage: VenStage) -> None:
    """oadrRequestReregistration is answered by oadrResponse with the venID."""
    await stage.registered()
    await stage.deliver(wire.OadrRequestReregistration(ven_id=stage.ven_id))
    reply = await stage.hear(wire.OadrResponse)
    same("venID", reply.ven_id, stage.ven_id)
    succeeded(reply.response)


@check("ven-registration-again", "402", "401")
async def _again(stage: VenStage) -> None:
    """Asked to, the VEN registers again, with its registrationID and venID."""
    await stage.registered()
    known = stage.registration_id
    await stage.deliver(wire.OadrRequestReregistration(ven_id=stage.ven_id))
    message = await stage.hear(wire.OadrCreatePartyRegistration)
    same("registrationID", message.registration_id, known)
    same("venID", message.ven_id, stage.ven_id)


@check("ven-registration-requested-wrong", "21", level="should")
async def _requested_wrong(stage: VenStage) -> None:
    """oadrRequestReregistration for another venID is refused with 452."""
    await stage.registered()
    await stage.deliver(wire.OadrRequestReregistration(ven_id=f"{stage.ven_id}-wrong"))
    turned_down((await stage.hear(wire.OadrResponse)).response, "452")


def _end(stage: VenStage, registration_id: str, request_id: str = "end-1") -> wire.OadrCancelPartyRegistration:
    return wire.OadrCancelPartyRegistration(request_id=request_id, registration_id=registration_id, ven_id=stage.ven_id)


@check("ven-registration-end-wrong", "400", level="should")
async def _end_wrong(stage: VenStage) -> None:
    """oadrCancelPartyRegistration with a wrong registrationID is refused with 452."""
    await stage.registered()
    await stage.deliver(_end(stage, "made-up"))
    turned_down((await stage.hear(wire.OadrCanceledPartyRegistration)).response, "452")


@check("ven-registration-end", "401", "407", "508")
async def _ended(stage: VenStage) -> None:
    """oadrCancelPartyRegistration is answered by oadrCanceledPartyRegistration with venID and requestID."""
    await stage.registered()
    await stage.deliver(_end(stage, stage.registration_id))
    message = await stage.hear(wire.OadrCanceledPartyRegistration)
    succeeded(message.response)
    same("venID", message.ven_id, stage.ven_id)
    same("the requestID", message.response.request_id, "end-1")


@check("ven-registration-end-anew", "401", "407", "402", level="may")
async def _end_anew(stage: VenStage) -> None:
    """After the end of its registration the VEN registers anew, without a registrationID."""
    if stage.registration_id:
        await stage.deliver(_end(stage, stage.registration_id))
        await stage.hear(wire.OadrCanceledPartyRegistration)
    try:
        message = await stage.hear(wire.OadrCreatePartyRegistration, within_s=90.0)
    except Broken as error:
        raise NotApplicable("the VEN does not register again by itself within 90 s") from error
    if message.registration_id:
        raise Broken(f"it sends {message.registration_id!r}")


CHECKS = (
    _first,
    _new,
    _profile,
    _metadata,
    _metadata_first,
    _events,
    _ven_id,
    _polls,
    _frequency,
    _drain,
    _trouble,
    _failure,
    _nonsense,
    _poll_error,
    _requested,
    _again,
    _requested_wrong,
    _end_wrong,
)
AT_THE_END = (_ended, _end_anew)
