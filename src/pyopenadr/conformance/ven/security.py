"""Checks on a VEN: its own server for push, TLS, and XML signatures."""

from __future__ import annotations

from datetime import timedelta

from pyopenadr.conformance.check import Broken, NotApplicable, check
from pyopenadr.conformance.ven.reply import distribution
from pyopenadr.conformance.ven.sample import event
from pyopenadr.conformance.ven.stage import VenStage
from pyopenadr.v2 import decode, encode, faults, wire

__all__ = ["CHECKS"]


@check("ven-push-event", "37", "51")
async def _push_event(stage: VenStage) -> None:
    """An event that is pushed is taken by HTTP 200 with an empty body, and answered by oadrCreatedEvent."""
    await stage.registered()
    one = event(stage)
    stage.events = [one]
    reply = await stage.push("EiEvent", stage.seal.write(distribution(stage, stage.new_id("list"), is_push=True)))
    if reply.status != 200 or reply.body:
        raise Broken(f"it is answered by HTTP {reply.status} and {len(reply.body)} bytes")
    await stage.response_to(one.event_descriptor.event_id)


@check("ven-push-request-event", "23", "33")
async def _push_request(stage: VenStage) -> None:
    """oadrRequestEvent, which only a VEN sends, is refused."""
    await stage.registered()
    message = wire.OadrRequestEvent(request_id="r", ven_id=stage.ven_id)
    reply = await stage.push("EiEvent", stage.seal.write(message))
    if reply.status != 200:
        return
    answered = faults.response_of(decode(reply.body).message) if reply.body else None
    if answered is None or faults.is_success(answered.response_code):
        raise Broken("it is taken")


@check("ven-push-poll", "500", "511")
async def _push_poll(stage: VenStage) -> None:
    """A VEN has no service OadrPoll."""
    await stage.registered()
    reply = await stage.push("OadrPoll", stage.seal.write(wire.OadrPoll(ven_id=stage.ven_id)))
    if reply.status < 400:
        raise Broken(f"it is answered by HTTP {reply.status}")


@check("ven-push-nonsense", "33", "N1")
async def _push_nonsense(stage: VenStage) -> None:
    """What is no XML is answered by HTTP 406."""
    await stage.registered()
    reply = await stage.push("EiEvent", b"<oadr")
    if reply.status != 406:
        raise Broken(f"it is answered by HTTP {reply.status}")


def _certificates(stage: VenStage) -> list[object]:
    return [each.asked.certificate for each in stage.heard if each.asked.method]


@check("ven-security-certificate", "68", "N10")
async def _certificate(stage: VenStage) -> None:
    """The VEN shows a certificate on every connection."""
    await stage.registered()
    shown = _certificates(stage)
    if not any(shown):
        raise NotApplicable("we are reached by plain HTTP, or did not ask for one")
    if not all(shown):
        raise Broken("some connections came without")


@check("ven-security-time", "516")
async def _time(stage: VenStage) -> None:
    """The VEN's certificate has not expired."""
    await stage.registered()
    until = [each["not_after"] for each in _certificates(stage) if isinstance(each, dict)]
    if not until:
        raise NotApplicable("we are reached by plain HTTP, or did not ask for one")
    if min(until) < stage.clock.now():
        raise Broken(f"it has expired at {min(until).isoformat()}")


def _signs(stage: VenStage) -> None:
    if stage.seal.key is None:
        raise NotApplicable("needs --sign: nothing is signed in this run")


@check("ven-security-signed", "514")
async def _signed(stage: VenStage) -> None:
    """The VEN signs every message."""
    await stage.registered()
    _signs(stage)
    for each in stage.heard:
        if each.asked.body and b"SignatureValue" not in each.asked.body:
            raise Broken(f"{each.message.message_type} is not signed")
        if each.asked.body and each.at_s > stage.clock.now().timestamp() - 30:
            stage.seal.check(each.asked.body)


@check("ven-security-signed-event", "514")
async def _signed_event(stage: VenStage) -> None:
    """A signed event is acted upon."""
    await stage.registered()
    _signs(stage)
    one = event(stage)
    await stage.distribute(one)
    await stage.response_to(one.event_descriptor.event_id)


async def _ignored(stage: VenStage, one: wire.OadrEvent, body: bytes) -> None:
    await stage.deliver_bytes("EiEvent", body)
    await stage.settle()
    answers = [each for message in stage.messages(wire.OadrCreatedEvent) for each in message.event_responses or ()]
    if any(each.event_id == one.event_descriptor.event_id for each in answers):
        raise Broken("it is answered as if it were in order")


@check("ven-security-unsigned", "514")
async def _unsigned(stage: VenStage) -> None:
    """An event that is not signed is not acted upon."""
    await stage.registered()
    _signs(stage)
    one = event(stage)
    stage.events = [one]
    await _ignored(stage, one, encode(distribution(stage, stage.new_id("list"))))


@check("ven-security-tampered", "514")
async def _tampered(stage: VenStage) -> None:
    """An event that was changed after it was signed is not acted upon."""
    await stage.registered()
    _signs(stage)
    one = event(stage, vtn_comment="as-signed")
    stage.events = [one]
    body = stage.seal.write(distribution(stage, stage.new_id("list"))).replace(b"as-signed", b"modified!")
    await _ignored(stage, one, body)


@check("ven-security-stale", "514")
async def _stale(stage: VenStage) -> None:
    """An event that was signed an hour ago is not acted upon."""
    await stage.registered()
    _signs(stage)
    one = event(stage)
    stage.events = [one]
    await _ignored(stage, one, stage.seal.write(distribution(stage, stage.new_id("list")), age=timedelta(hours=1)))


CHECKS = (
    _push_event,
    _push_request,
    _push_poll,
    _push_nonsense,
    _certificate,
    _time,
    _signed,
    _signed_event,
    _unsigned,
    _tampered,
    _stale,
)
