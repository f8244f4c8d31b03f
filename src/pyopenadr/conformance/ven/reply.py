"""What the VTN that plays to the VEN under test answers, unless a check says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyopenadr.v2 import faults, wire

if TYPE_CHECKING:
    from pyopenadr.conformance.ven.stage import VenStage

__all__ = ["distribution", "reply_to"]

_PROFILES = (wire.OadrProfile(profile_name="2.0b", transports=("simpleHttp",)),)


def distribution(
    stage: VenStage, request_id: str, *, is_push: bool = False, echo: str = ""
) -> wire.OadrDistributeEvent:
    """The list of the VEN's events."""
    return wire.OadrDistributeEvent(
        response=None if is_push else faults.response(echo),
        request_id=request_id,
        vtn_id=stage.vtn_id,
        events=tuple(stage.events),
    )


def _is_known(stage: VenStage, message: wire.Message) -> bool:
    return bool(stage.registration_id) and message.get("ven_id", stage.ven_id) == stage.ven_id


def reply_to(stage: VenStage, message: wire.Message) -> wire.Message | None:
    """The reply to a message of the VEN's; None where there is none."""
    response = faults.response(message.get("request_id", ""))
    match message:
        case wire.OadrQueryRegistration():
            return wire.OadrCreatedPartyRegistration(
                response=response,
                vtn_id=stage.vtn_id,
                profiles=_PROFILES,
                requested_oadr_poll_freq=stage.poll_frequency,
            )
        case wire.OadrCreatePartyRegistration():
            return _register(stage, message)
    if not _is_known(stage, message):
        return _stranger(stage, message)
    match message:
        case wire.OadrCancelPartyRegistration():
            registration_id, stage.registration_id = stage.registration_id, ""
            return wire.OadrCanceledPartyRegistration(
                response=response, registration_id=registration_id, ven_id=stage.ven_id
            )
        case wire.OadrCanceledPartyRegistration() if faults.is_success(message.response.response_code):
            stage.registration_id = ""
        case wire.OadrRequestEvent():
            return distribution(stage, stage.new_id("list"), echo=message.request_id)
        case wire.OadrCreateOpt():
            return wire.OadrCreatedOpt(response=response, opt_id=message.opt_id)
        case wire.OadrCancelOpt():
            return wire.OadrCanceledOpt(response=response, opt_id=message.opt_id)
        case wire.OadrRegisterReport() | wire.OadrCreateReport() | wire.OadrUpdateReport() | wire.OadrCancelReport():
            return _on_reports(stage, message)
    answered = faults.response_of(message)
    return wire.OadrResponse(response=faults.response(answered.request_id if answered is not None else ""))


def _stranger(stage: VenStage, message: wire.Message) -> wire.Message | None:
    code = "452" if stage.registration_id else "463"
    response = faults.response(message.get("request_id", ""), code)
    if isinstance(message, wire.OadrRequestEvent):
        return wire.OadrDistributeEvent(response=response, request_id="none", vtn_id=stage.vtn_id)
    return wire.OadrResponse(response=response)


def _register(stage: VenStage, message: wire.OadrCreatePartyRegistration) -> wire.Message:
    if message.registration_id and message.registration_id != stage.registration_id:
        return wire.OadrCreatedPartyRegistration(
            response=faults.response(message.request_id, "452"), vtn_id=stage.vtn_id, profiles=_PROFILES
        )
    stage.registration_id = message.registration_id or stage.new_id("registration")
    if message.ven_id and not stage.registered_once:
        stage.ven_id = message.ven_id
    is_push = message.http_pull_model is False
    stage.push_address = message.transport_address if is_push else None
    return wire.OadrCreatedPartyRegistration(
        response=faults.response(message.request_id),
        registration_id=stage.registration_id,
        ven_id=stage.ven_id,
        vtn_id=stage.vtn_id,
        profiles=_PROFILES,
        requested_oadr_poll_freq=stage.poll_frequency,
    )


def _on_reports(stage: VenStage, message: wire.Message) -> wire.Message:
    response = faults.response(message.get("request_id", ""))
    match message:
        case wire.OadrRegisterReport():
            stage.offered = {each.report_specifier_id: each for each in message.reports}
            wanted, stage.wanted = stage.wanted, ()
            return wire.OadrRegisteredReport(response=response, report_requests=wanted, ven_id=stage.ven_id)
        case wire.OadrUpdateReport():
            cancel, stage.to_cancel = stage.to_cancel, None
            return wire.OadrUpdatedReport(response=response, cancel_report=cancel, ven_id=stage.ven_id)
        case wire.OadrCancelReport():
            refusal = faults.response(message.request_id, "452")
            return wire.OadrCanceledReport(response=refusal, pending_reports=(), ven_id=stage.ven_id)
    is_metadata = isinstance(message, wire.OadrCreateReport) and all(
        each.report_specifier.report_specifier_id == "METADATA" for each in message.report_requests
    )
    code = "200" if is_metadata else "452"
    return wire.OadrCreatedReport(
        response=faults.response(message.get("request_id", ""), code), pending_reports=(), ven_id=stage.ven_id
    )
