"""Checks on a VTN: EiRegisterParty."""

from __future__ import annotations

from pyopenadr.conformance.check import Broken, NotApplicable, check
from pyopenadr.conformance.vtn import sample
from pyopenadr.conformance.vtn.expectation import accepted, echoed, refused, same
from pyopenadr.conformance.vtn.stage import Answer, VtnStage
from pyopenadr.model.time import is_positive
from pyopenadr.v2 import faults, wire

__all__ = ["AT_THE_END", "BEFORE", "CHECKS"]

_STRANGER = "nobody-by-this-id"


async def _asked(stage: VtnStage) -> wire.OadrCreatedPartyRegistration:
    answer = await stage.say(wire.OadrQueryRegistration(request_id=stage.new_id("query")))
    return accepted(answer, wire.OadrCreatedPartyRegistration)


@check("vtn-registration-query", "404")
async def _query(stage: VtnStage) -> None:
    """oadrQueryRegistration is answered by oadrCreatedPartyRegistration."""
    await _asked(stage)


@check("vtn-registration-query-echo", "207", "303", level="should")
async def _query_echo(stage: VtnStage) -> None:
    """The answer to oadrQueryRegistration quotes its requestID."""
    request_id = stage.new_id("query")
    echoed(await stage.say(wire.OadrQueryRegistration(request_id=request_id)), request_id)


@check("vtn-registration-query-ids", "404")
async def _query_ids(stage: VtnStage) -> None:
    """A VEN that is not registered is given no registrationID and no venID by a query."""
    created = await _asked(stage)
    if created.registration_id or created.ven_id:
        raise NotApplicable("the VTN knows us already, by our certificate or from before")


@check("vtn-registration-query-profiles", "404", "510")
async def _query_profiles(stage: VtnStage) -> None:
    """The answer to a query lists the profile 2.0b over simpleHttp."""
    created = await _asked(stage)
    listed = {(each.profile_name, transport) for each in created.profiles for transport in each.transports}
    if ("2.0b", "simpleHttp") not in listed:
        raise Broken(f"it lists {sorted(listed)}")


@check("vtn-registration-query-vtn-id", "404", level="should")
async def _query_vtn_id(stage: VtnStage) -> None:
    """The answer to a query gives the vtnID."""
    if not (await _asked(stage)).vtn_id:
        raise Broken("vtnID is empty")


async def _stranger(stage: VtnStage) -> None:
    if stage.registration_id or (await _asked(stage)).registration_id:
        raise NotApplicable("the VTN knows us already, so that we can't come as a stranger")


@check("vtn-registration-stranger-poll", "517", "500")
async def _stranger_polls(stage: VtnStage) -> None:
    """A VEN that is not registered gets 463 for a poll."""
    await _stranger(stage)
    refused(await stage.say(wire.OadrPoll(ven_id=_STRANGER)), "463", "452")


@check("vtn-registration-stranger-event", "517")
async def _stranger_asks(stage: VtnStage) -> None:
    """A VEN that is not registered gets 463 for oadrRequestEvent."""
    await _stranger(stage)
    refused(await stage.say(wire.OadrRequestEvent(request_id="r", ven_id=_STRANGER)), "463", "452")


@check("vtn-registration-stranger-report", "517")
async def _stranger_offers(stage: VtnStage) -> None:
    """A VEN that is not registered gets 463 for oadrRegisterReport."""
    await _stranger(stage)
    refused(await stage.say(wire.OadrRegisterReport(request_id="r", ven_id=_STRANGER)), "463", "452")


@check("vtn-registration-stranger-opt", "517")
async def _stranger_opts(stage: VtnStage) -> None:
    """A VEN that is not registered gets 463 for oadrCreateOpt."""
    await _stranger(stage)
    refused(await stage.say(sample.opt(stage, ven_id=_STRANGER)), "463", "452")


@check("vtn-registration-stranger-ids", "400", "402", level="should")
async def _made_up_ids(stage: VtnStage) -> None:
    """A registration with IDs that the VTN has never given is refused with 452."""
    await _stranger(stage)
    wrong = sample.registration(stage, ven_id=_STRANGER, registration_id="made-up")
    refused(await stage.say(wrong), "452", "463")


async def _made(stage: VtnStage) -> Answer:
    answer = await stage.register()
    if not stage.registration_id:
        raise NotApplicable(f"the VTN does not register us: {answer}")
    return answer


@check("vtn-registration-create", "403")
async def _create(stage: VtnStage) -> None:
    """oadrCreatePartyRegistration is answered by oadrCreatedPartyRegistration with registrationID and venID."""
    created = accepted(await stage.register(), wire.OadrCreatedPartyRegistration)
    if not created.registration_id or not created.ven_id:
        raise Broken(f"registrationID is {created.registration_id!r}, venID {created.ven_id!r}")


@check("vtn-registration-create-echo", "207", "303", level="should")
async def _create_echo(stage: VtnStage) -> None:
    """The answer to oadrCreatePartyRegistration quotes its requestID."""
    await _made(stage)
    request_id = stage.new_id("registration")
    echoed(await stage.register(request_id=request_id), request_id)


@check("vtn-registration-poll-frequency", "403")
async def _frequency(stage: VtnStage) -> None:
    """A VEN that polls is told how often: a positive oadrRequestedOadrPollFreq."""
    if stage.push_url is not None:
        raise NotApplicable("we are pushed to")
    created = accepted(await _made(stage), wire.OadrCreatedPartyRegistration)
    frequency = created.requested_oadr_poll_freq
    if frequency is None or not is_positive(frequency):
        raise Broken(f"oadrRequestedOadrPollFreq is {frequency}")


@check("vtn-registration-profiles", "403", "510")
async def _profiles(stage: VtnStage) -> None:
    """The answer to a registration lists the profile 2.0b over simpleHttp."""
    created = accepted(await _made(stage), wire.OadrCreatedPartyRegistration)
    listed = {(each.profile_name, transport) for each in created.profiles for transport in each.transports}
    if ("2.0b", "simpleHttp") not in listed:
        raise Broken(f"it lists {sorted(listed)}")


@check("vtn-registration-profile-a", "506", "403")
async def _profile_a(stage: VtnStage) -> None:
    """The answer to a registration lists the profile 2.0a besides."""
    created = accepted(await _made(stage), wire.OadrCreatedPartyRegistration)
    if all(each.profile_name != "2.0a" for each in created.profiles):
        raise Broken(f"it lists {', '.join(each.profile_name for each in created.profiles)}")


@check("vtn-registration-again", "402", "405", "406")
async def _again(stage: VtnStage) -> None:
    """A VEN that registers again with its IDs keeps its venID."""
    await stage.registered()
    answer = await stage.say(sample.registration(stage, ven_id=stage.ven_id, registration_id=stage.registration_id))
    created = accepted(answer, wire.OadrCreatedPartyRegistration)
    same("venID", created.ven_id, stage.ven_id)
    stage.registration_id = created.registration_id or stage.registration_id


@check("vtn-registration-again-wrong", "400", level="should")
async def _again_wrong(stage: VtnStage) -> None:
    """A registration that is repeated with a wrong registrationID is refused with 452."""
    await stage.registered()
    refused(await stage.say(sample.registration(stage, ven_id=stage.ven_id, registration_id="made-up")), "452")
    stage.registration_id = ""


@check("vtn-registration-anew", "406")
async def _anew(stage: VtnStage) -> None:
    """A VEN that is registered may register anew without IDs."""
    await stage.registered()
    stage.registration_id = ""
    created = accepted(await stage.register(), wire.OadrCreatedPartyRegistration)
    if not created.registration_id or not created.ven_id:
        raise Broken("no IDs come back")


@check("vtn-registration-anew-empty", "406")
async def _anew_reports(stage: VtnStage) -> None:
    """After a new registration the reports asked for before are forgotten."""
    stimulus = stage.stimulus
    await stage.registered()
    await stage.offer()
    asked = await stimulus.request_report(stage.ven_id, sample.SPECIFIER, 60)
    request = await stage.fetch(wire.OadrCreateReport)
    await stage.answer(request)
    stage.registration_id = ""
    await stage.registered()
    report = sample.data(stage.clock.now(), asked or request.report_requests[0].report_request_id, 1.0)
    answer = await stage.say(
        wire.OadrUpdateReport(request_id=stage.new_id("update"), reports=(report,), ven_id=stage.ven_id)
    )
    refused(answer)


@check("vtn-registration-empty-request-id", "207", "303")
async def _empty_request_id(stage: VtnStage) -> None:
    """A requestID may be empty."""
    await stage.registered()
    answer = await stage.say(
        sample.registration(stage, request_id="", ven_id=stage.ven_id, registration_id=stage.registration_id)
    )
    accepted(answer, wire.OadrCreatedPartyRegistration)


@check("vtn-registration-reply-sent", "401", "33")
async def _reply_sent(stage: VtnStage) -> None:
    """oadrCreatedPartyRegistration, which only a VTN sends, is refused."""
    await stage.registered()
    created = wire.OadrCreatedPartyRegistration(
        response=faults.response(),
        vtn_id=stage.vtn_id,
        profiles=(wire.OadrProfile(profile_name="2.0b", transports=("simpleHttp",)),),
    )
    await _refused_somehow(stage, created)


@check("vtn-registration-reregistration-sent", "401", "33")
async def _reregistration_sent(stage: VtnStage) -> None:
    """oadrRequestReregistration, which only a VTN sends, is refused."""
    await stage.registered()
    await _refused_somehow(stage, wire.OadrRequestReregistration(ven_id=stage.ven_id))


async def _refused_somehow(stage: VtnStage, message: wire.Message) -> None:
    answer = await stage.say(message)
    if answer.reply.status == 200:
        refused(answer, "459", "451", "452")


@check("vtn-registration-cancel-wrong", "400", level="should")
async def _cancel_wrong(stage: VtnStage) -> None:
    """oadrCancelPartyRegistration with a wrong registrationID is refused with 452."""
    await stage.registered()
    message = wire.OadrCancelPartyRegistration(request_id="c", registration_id="made-up", ven_id=stage.ven_id)
    answer = await stage.say(message)
    if answer.code is not None and faults.is_success(answer.code):
        stage.registration_id = ""
    refused(answer, "452")


@check("vtn-registration-requested", "401")
async def _requested(stage: VtnStage) -> None:
    """A VEN that shall register again gets oadrRequestReregistration with its venID."""
    await stage.registered()
    await stage.stimulus.reregister(stage.ven_id)
    message = await stage.fetch(wire.OadrRequestReregistration)
    same("venID", message.ven_id, stage.ven_id)
    await stage.answer(message)


@check("vtn-registration-requested-once", "401", "500")
async def _requested_once(stage: VtnStage) -> None:
    """A VEN that has registered again is not asked a second time."""
    await stage.registered()
    await stage.stimulus.reregister(stage.ven_id)
    await stage.answer(await stage.fetch(wire.OadrRequestReregistration))
    for _ in range(3):
        answer = await stage.poll()
        if isinstance(answer.message, wire.OadrRequestReregistration):
            raise Broken("oadrRequestReregistration comes again")


async def _cancelled(stage: VtnStage) -> Answer:
    await stage.registered()
    message = wire.OadrCancelPartyRegistration(
        request_id=stage.new_id("cancel"), registration_id=stage.registration_id, ven_id=stage.ven_id
    )
    answer = await stage.say(message)
    stage.registration_id = ""
    return answer


@check("vtn-registration-cancel", "401", "407")
async def _cancel(stage: VtnStage) -> None:
    """oadrCancelPartyRegistration is answered by oadrCanceledPartyRegistration."""
    accepted(await _cancelled(stage), wire.OadrCanceledPartyRegistration)


@check("vtn-registration-cancel-echo", "207", "303", level="should")
async def _cancel_echo(stage: VtnStage) -> None:
    """oadrCanceledPartyRegistration quotes the requestID of the cancellation."""
    answer = await _cancelled(stage)
    echoed(answer, f"cancel-{answer.exchange.sent.split(b'cancel-')[1].split(b'<')[0].decode()}")


@check("vtn-registration-cancelled-poll", "407", "517")
async def _cancelled_poll(stage: VtnStage) -> None:
    """After the end of its registration a VEN gets 463 for a poll."""
    await _cancelled(stage)
    refused(await stage.poll(), "463", "452")


@check("vtn-registration-cancelled-event", "407", "517")
async def _cancelled_event(stage: VtnStage) -> None:
    """After the end of its registration a VEN gets 463 for oadrRequestEvent."""
    await _cancelled(stage)
    refused(await stage.say(wire.OadrRequestEvent(request_id="r", ven_id=stage.ven_id)), "463", "452")


@check("vtn-registration-cancelled-anew", "401", "405")
async def _cancelled_anew(stage: VtnStage) -> None:
    """After the end of its registration a VEN may register anew."""
    await _cancelled(stage)
    created = accepted(await stage.register(), wire.OadrCreatedPartyRegistration)
    if not created.registration_id:
        raise Broken("no registrationID comes back")


@check("vtn-registration-ended", "401", "407")
async def _ended(stage: VtnStage) -> None:
    """A VTN that ends a registration sends oadrCancelPartyRegistration with the registrationID, and then knows it no
    more."""
    await stage.registered()
    await stage.stimulus.cancel_registration(stage.ven_id)
    message = await stage.fetch(wire.OadrCancelPartyRegistration)
    same("registrationID", message.registration_id, stage.registration_id)
    await stage.answer(message)
    refused(await stage.poll(), "463", "452")


BEFORE = (
    _query,
    _query_echo,
    _query_ids,
    _query_profiles,
    _query_vtn_id,
    _stranger_polls,
    _stranger_asks,
    _stranger_offers,
    _stranger_opts,
    _made_up_ids,
)
CHECKS = (
    _create,
    _create_echo,
    _frequency,
    _profiles,
    _profile_a,
    _again,
    _again_wrong,
    _anew,
    _anew_reports,
    _empty_request_id,
    _reply_sent,
    _reregistration_sent,
    _cancel_wrong,
    _requested,
    _requested_once,
)
AT_THE_END = (
    _cancel,
    _cancel_echo,
    _cancelled_poll,
    _cancelled_event,
    _cancelled_anew,
    _ended,
)
