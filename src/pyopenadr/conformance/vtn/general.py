"""Checks on a VTN: OadrPoll, and what holds for all services."""

from __future__ import annotations

from pyopenadr.conformance.check import Broken, NotApplicable, check
from pyopenadr.conformance.vtn.expectation import accepted, refused
from pyopenadr.conformance.vtn.stage import VtnStage
from pyopenadr.errors import WireError
from pyopenadr.v2 import decode, encode, faults, wire

__all__ = ["CHECKS"]


def _polling(stage: VtnStage) -> None:
    if stage.push_url is not None:
        raise NotApplicable("we are pushed to")


@check("vtn-general-poll-idle", "500", "501")
async def _idle(stage: VtnStage) -> None:
    """A poll for which nothing waits is answered by oadrResponse with 200."""
    await stage.registered()
    _polling(stage)
    accepted(await stage.poll(), wire.OadrResponse)


@check("vtn-general-poll-repeated", "500")
async def _repeated(stage: VtnStage) -> None:
    """A VEN may poll again and again."""
    await stage.registered()
    _polling(stage)
    for _ in range(5):
        accepted(await stage.poll(), wire.OadrResponse)


@check("vtn-general-poll-wrong", "500", "21", "517")
async def _wrong(stage: VtnStage) -> None:
    """A poll with a wrong venID is answered by oadrResponse with 452."""
    await stage.registered()
    answer = await stage.say(wire.OadrPoll(ven_id=f"{stage.ven_id}-wrong"))
    refused(answer, "452", "463")
    if not isinstance(answer.message, wire.OadrResponse):
        raise Broken(f"it is answered by {answer}, not by oadrResponse")


@check("vtn-general-case", "512")
async def _case(stage: VtnStage) -> None:
    """A venID in another case is another venID."""
    await stage.registered()
    other = stage.ven_id.swapcase()
    if other == stage.ven_id:
        raise NotApplicable(f"the venID {stage.ven_id!r} has no letters")
    refused(await stage.say(wire.OadrPoll(ven_id=other)), "452", "463")


@check("vtn-general-wrong-service", "33", "N1", level="should")
async def _wrong_service(stage: VtnStage) -> None:
    """A message at the address of another service is refused."""
    await stage.registered()
    message = wire.OadrRegisterReport(request_id=stage.new_id("offer"), ven_id=stage.ven_id)
    answer = await stage.say(message, service="EiEvent")
    if answer.reply.status == 200:
        refused(answer)


@check("vtn-general-response-sent", "51", "500", level="should")
async def _response(stage: VtnStage) -> None:
    """oadrResponse, which a VEN sends in answer to what came by poll, is taken."""
    await stage.registered()
    answer = await stage.say(wire.OadrResponse(response=faults.response(), ven_id=stage.ven_id))
    if answer.reply.status != 200:
        raise Broken(f"it is answered by {answer}")


async def _ask_by_a(stage: VtnStage) -> bytes:
    await stage.registered()
    message = wire.OadrRequestEvent(schema_version=None, request_id="a", ven_id="conformance-2.0a")
    path = f"{stage.line.prefix}/OpenADR2/Simple/EiEvent"
    answer = await stage.post("EiEvent", encode(message, profile="2.0a"), path=path)
    if answer.reply.status == 403:
        raise NotApplicable("the VTN lets no unknown 2.0a VEN in")
    if answer.reply.status != 200:
        raise Broken(f"OpenADR2/Simple/EiEvent is answered by HTTP {answer.reply.status}")
    return answer.reply.body


@check("vtn-general-profile-a", "506")
async def _profile_a(stage: VtnStage) -> None:
    """The service of 2.0a answers oadrRequestEvent in 2.0a."""
    body = await _ask_by_a(stage)
    try:
        message = decode(body, profile="2.0a").message
    except WireError as error:
        raise Broken(f"the reply is no message of 2.0a: {error}") from error
    if not isinstance(message, wire.OadrDistributeEvent | wire.OadrResponse):
        raise Broken(f"the reply is {message.message_type}")


@check("vtn-general-profile-a-plain", "N14", "509")
async def _profile_a_plain(stage: VtnStage) -> None:
    """What is sent in 2.0a has no schemaVersion and no envelope."""
    try:
        body = await _ask_by_a(stage)
    except Broken as error:
        raise NotApplicable(f"there is no reply in 2.0a: {error}") from error
    for unwanted in (b"schemaVersion", b"oadrSignedObject"):
        if unwanted in body:
            raise Broken(f"there is {unwanted.decode()} in it")


CHECKS = (_idle, _repeated, _wrong, _case, _wrong_service, _response, _profile_a, _profile_a_plain)
