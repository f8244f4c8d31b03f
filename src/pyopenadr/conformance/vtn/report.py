"""Checks on a VTN: EiReport."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from pyopenadr.conformance.check import Broken, NotApplicable, Questionable, check
from pyopenadr.conformance.vtn import sample
from pyopenadr.conformance.vtn.expectation import accepted, echoed, refused, same
from pyopenadr.conformance.vtn.stage import Answer, VtnStage
from pyopenadr.v2 import faults, wire

__all__ = ["CHECKS"]

_METADATA = "METADATA"


async def _offered(stage: VtnStage, *reports: wire.OadrReport, **fields: Any) -> Answer:
    await stage.registered()
    defaults: dict[str, Any] = {"request_id": stage.new_id("offer"), "reports": reports, "ven_id": stage.ven_id}
    return await stage.say(wire.OadrRegisterReport(**(defaults | fields)))


def _ours(stage: VtnStage) -> tuple[wire.OadrReport, ...]:
    return sample.offered(stage.clock.now())


@check("vtn-report-offer", "301", "306", "308")
async def _offer(stage: VtnStage) -> None:
    """oadrRegisterReport is answered by oadrRegisteredReport."""
    accepted(await _offered(stage, *_ours(stage)), wire.OadrRegisteredReport)


@check("vtn-report-offer-echo", "303")
async def _offer_echo(stage: VtnStage) -> None:
    """oadrRegisteredReport quotes the requestID."""
    echoed(await _offered(stage, *_ours(stage), request_id="request-of-offer"), "request-of-offer")


@check("vtn-report-offer-empty-request-id", "303")
async def _offer_no_id(stage: VtnStage) -> None:
    """The requestID of oadrRegisterReport may be empty."""
    accepted(await _offered(stage, *_ours(stage), request_id=""), wire.OadrRegisteredReport)


@check("vtn-report-offer-nothing", "301")
async def _nothing(stage: VtnStage) -> None:
    """A VEN may say that it has no report."""
    accepted(await _offered(stage), wire.OadrRegisteredReport)


@check("vtn-report-offer-twice", "306")
async def _twice(stage: VtnStage) -> None:
    """A VEN may replace its offer by another one."""
    accepted(await _offered(stage, *_ours(stage)), wire.OadrRegisteredReport)
    accepted(await _offered(stage, *_ours(stage)), wire.OadrRegisteredReport)


@check("vtn-report-offer-wrong-ven", "304", "517", level="should")
async def _offer_wrong(stage: VtnStage) -> None:
    """oadrRegisterReport with a wrong venID is refused."""
    await stage.registered()
    refused(await _offered(stage, ven_id=f"{stage.ven_id}-wrong"), "452", "463")


@check("vtn-report-offer-history", "331", "510")
async def _history(stage: VtnStage) -> None:
    """A VEN may offer HISTORY_USAGE."""
    usage = msgspec.structs.replace(
        sample.offered(stage.clock.now(), sample.SPECIFIER)[0],
        report_specifier_id="conformance-history",
        report_name="METADATA_HISTORY_USAGE",
    )
    accepted(await _offered(stage, usage), wire.OadrRegisteredReport)


@check("vtn-report-offer-own-name", "331")
async def _own_name(stage: VtnStage) -> None:
    """A VEN may offer a report of its own kind, with names that begin with x-."""
    usage = sample.offered(stage.clock.now(), sample.SPECIFIER)[0]
    point = msgspec.structs.replace(usage.report_descriptions[0], report_type="x-colour", reading_type="x-seen")
    own = msgspec.structs.replace(
        usage, report_specifier_id="conformance-own", report_name="x-METADATA_OWN", report_descriptions=(point,)
    )
    accepted(await _offered(stage, own), wire.OadrRegisteredReport)


async def _ask(stage: VtnStage, specifier: str, r_id: str, **fields: Any) -> Answer:
    await stage.registered()
    request = wire.ReportRequest(
        report_request_id=fields.pop("report_request_id", None) or stage.new_id("report"),
        report_specifier=wire.ReportSpecifier(
            report_specifier_id=specifier,
            granularity=timedelta(0),
            report_back_duration=timedelta(0),
            specifier_payloads=(wire.SpecifierPayload(r_id=r_id, reading_type="x-notApplicable"),),
        ),
    )
    defaults: dict[str, Any] = {
        "request_id": stage.new_id("ask"),
        "report_requests": (request,),
        "ven_id": stage.ven_id,
    }
    return await stage.say(wire.OadrCreateReport(**(defaults | fields)))


async def _metadata_asked(stage: VtnStage, **fields: Any) -> Answer:
    answer = await _ask(stage, _METADATA, "0", **fields)
    if not isinstance(answer.message, wire.OadrCreatedReport):
        raise NotApplicable(f"the VTN does not take the request: {answer}")
    return answer


@check("vtn-report-metadata", "301", "327")
async def _metadata(stage: VtnStage) -> None:
    """A request for METADATA is answered by oadrCreatedReport."""
    accepted(await _ask(stage, _METADATA, "0"), wire.OadrCreatedReport)


@check("vtn-report-metadata-echo", "303")
async def _metadata_echo(stage: VtnStage) -> None:
    """oadrCreatedReport quotes the requestID."""
    echoed(await _metadata_asked(stage, request_id="request-of-metadata"), "request-of-metadata")


@check("vtn-report-metadata-delivered", "301")
async def _metadata_delivered(stage: VtnStage) -> None:
    """After a request for METADATA the VTN sends oadrRegisterReport, also if it has nothing to offer."""
    accepted(await _metadata_asked(stage), wire.OadrCreatedReport)
    await stage.answer(await stage.fetch(wire.OadrRegisterReport))


@check("vtn-report-metadata-request-id", "311")
async def _metadata_id(stage: VtnStage) -> None:
    """The oadrRegisterReport that was asked for names the reportRequestID of the request."""
    accepted(await _metadata_asked(stage, report_request_id="metadata-1"), wire.OadrCreatedReport)
    message = await stage.fetch(wire.OadrRegisterReport)
    await stage.answer(message)
    same("the outer reportRequestID", message.report_request_id, "metadata-1")


@check("vtn-report-metadata-taken", "303", "500", level="should")
async def _metadata_taken(stage: VtnStage) -> None:
    """oadrRegisteredReport, with which a VEN answers what it has polled for, is acknowledged by oadrResponse."""
    if stage.push_url is not None:
        raise NotApplicable("we are pushed to")
    accepted(await _metadata_asked(stage), wire.OadrCreatedReport)
    answer = await stage.answer(await stage.fetch(wire.OadrRegisterReport))
    assert answer is not None
    accepted(answer, wire.OadrResponse)


@check("vtn-report-unknown", "304", "300", level="should")
async def _unknown(stage: VtnStage) -> None:
    """A request for a report that the VTN has not offered is refused with 452."""
    refused(await _ask(stage, "never-there", "r"), "452", "461")


@check("vtn-report-ask-wrong-ven", "304", "517", level="should")
async def _ask_wrong(stage: VtnStage) -> None:
    """oadrCreateReport with a wrong venID is refused."""
    await stage.registered()
    refused(await _ask(stage, _METADATA, "0", ven_id=f"{stage.ven_id}-wrong"), "452", "463")


async def _end(stage: VtnStage, *ids: str, **fields: Any) -> Answer:
    await stage.registered()
    defaults: dict[str, Any] = {
        "request_id": stage.new_id("end"),
        "report_request_id": ids,
        "report_to_follow": False,
        "ven_id": stage.ven_id,
    }
    return await stage.say(wire.OadrCancelReport(**(defaults | fields)))


@check("vtn-report-cancel-unknown", "336")
async def _cancel_unknown(stage: VtnStage) -> None:
    """oadrCancelReport for a report that is not being sent is refused with 4xx."""
    refused(await _end(stage, "never-there"))


@check("vtn-report-cancel-unknown-kind", "336", "33", level="should")
async def _cancel_kind(stage: VtnStage) -> None:
    """oadrCancelReport is answered by oadrCanceledReport also where it is refused."""
    answer = await _end(stage, "never-there")
    if not isinstance(answer.message, wire.OadrCanceledReport):
        raise Broken(f"it is answered by {answer}")


async def _delivered(stage: VtnStage, *reports: wire.OadrReport, **fields: Any) -> Answer:
    defaults: dict[str, Any] = {"request_id": stage.new_id("update"), "reports": reports, "ven_id": stage.ven_id}
    return await stage.say(wire.OadrUpdateReport(**(defaults | fields)))


@check("vtn-report-data-unknown", "304", level="should")
async def _data_unknown(stage: VtnStage) -> None:
    """Data for a report that nobody has asked for is refused."""
    await stage.registered()
    refused(await _delivered(stage, sample.data(stage.clock.now(), "never-there", 1.0)), "452")


@check("vtn-report-data-wrong-ven", "304", "517", level="should")
async def _data_wrong(stage: VtnStage) -> None:
    """oadrUpdateReport with a wrong venID is refused."""
    await stage.registered()
    refused(await _delivered(stage, ven_id=f"{stage.ven_id}-wrong"), "452", "463")


@check("vtn-report-data-nothing", "313", "46", level="should")
async def _data_nothing(stage: VtnStage) -> None:
    """oadrUpdateReport without a report is answered by oadrUpdatedReport."""
    await stage.registered()
    answer = await _delivered(stage)
    if not isinstance(answer.message, wire.OadrUpdatedReport):
        raise Questionable(f"it is answered by {answer}")


async def _asked(stage: VtnStage, specifier: str = sample.SPECIFIER, seconds: int = 60) -> wire.OadrCreateReport:
    """The VTN's request for a report of ours, accepted."""
    stimulus = stage.stimulus
    accepted(await _offered(stage, *_ours(stage)), wire.OadrRegisteredReport)
    asked = await stimulus.request_report(stage.ven_id, specifier, seconds)

    def is_it(message: wire.OadrCreateReport) -> bool:
        ids = [each.report_request_id for each in message.report_requests]
        return asked in ids if asked else message.report_requests[0].report_specifier.report_specifier_id == specifier

    message = await stage.fetch(wire.OadrCreateReport, holds=is_it)
    await stage.answer(message)
    return message


@check("vtn-report-ask", "300", "317")
async def _ask_for(stage: VtnStage) -> None:
    """A VTN that wants a report sends oadrCreateReport."""
    await _asked(stage)


@check("vtn-report-ask-offered", "300")
async def _ask_offered(stage: VtnStage) -> None:
    """A VTN asks only for what was offered."""
    for request in (await _asked(stage)).report_requests:
        same("reportSpecifierID", request.report_specifier.report_specifier_id, sample.SPECIFIER)
        unknown = {each.r_id for each in request.report_specifier.specifier_payloads} - {sample.R_ID}
        if unknown:
            raise Broken(f"it asks for {sorted(unknown)}")


@check("vtn-report-ask-back", "317", "324")
async def _ask_back(stage: VtnStage) -> None:
    """The request says how often the report is wanted."""
    specifier = (await _asked(stage, seconds=60)).report_requests[0].report_specifier
    same("reportBackDuration", specifier.report_back_duration, timedelta(seconds=60))


@check("vtn-report-ask-once", "324")
async def _ask_once(stage: VtnStage) -> None:
    """A single report is asked for with a reportBackDuration of 0."""
    specifier = (await _asked(stage, seconds=0)).report_requests[0].report_specifier
    same("reportBackDuration", specifier.report_back_duration, timedelta(0))


@check("vtn-report-ask-status", "510", "331")
async def _ask_status(stage: VtnStage) -> None:
    """A VTN can ask for TELEMETRY_STATUS."""
    message = await _asked(stage, sample.STATUS_SPECIFIER)
    specifier = message.report_requests[0].report_specifier.report_specifier_id
    same("reportSpecifierID", specifier, sample.STATUS_SPECIFIER)


@check("vtn-report-accepted", "303", "500", level="should")
async def _accepted(stage: VtnStage) -> None:
    """oadrCreatedReport, with which a VEN accepts, is acknowledged by oadrResponse."""
    if stage.push_url is not None:
        raise NotApplicable("we are pushed to")
    message = await _asked(stage)
    ids = tuple(each.report_request_id for each in message.report_requests)
    accepted(await stage.say(sample.created_report(stage, message.request_id, ids)), wire.OadrResponse)


async def _id(stage: VtnStage) -> str:
    return (await _asked(stage)).report_requests[0].report_request_id


@check("vtn-report-data", "313", "314")
async def _data(stage: VtnStage) -> None:
    """Data that was asked for is acknowledged by oadrUpdatedReport."""
    report = sample.data(stage.clock.now(), await _id(stage), 1.0, 2.0)
    accepted(await _delivered(stage, report), wire.OadrUpdatedReport)


@check("vtn-report-data-echo", "303")
async def _data_echo(stage: VtnStage) -> None:
    """oadrUpdatedReport quotes the requestID."""
    report = sample.data(stage.clock.now(), await _id(stage), 1.0)
    echoed(await _delivered(stage, report, request_id="request-of-data"), "request-of-data")


@check("vtn-report-data-again", "346")
async def _data_again(stage: VtnStage) -> None:
    """The same data may be sent twice."""
    report = sample.data(stage.clock.now(), await _id(stage), 1.0)
    for _ in range(2):
        accepted(await _delivered(stage, report), wire.OadrUpdatedReport)


@check("vtn-report-data-quality", "318", "317")
async def _data_quality(stage: VtnStage) -> None:
    """Data may be of a bad quality, or say that there is no new value."""
    request_id = await _id(stage)
    for quality in ("Quality Bad - Sensor Failure", "No New Value - Previous Value Used"):
        report = sample.data(stage.clock.now(), request_id, 0.0, quality=quality)
        accepted(await _delivered(stage, report), wire.OadrUpdatedReport)


@check("vtn-report-data-durations", "315", "316")
async def _data_durations(stage: VtnStage) -> None:
    """Intervals may have a uid and a duration in place of a start."""
    report = sample.data(stage.clock.now(), await _id(stage), 1.0, 2.0, 3.0)
    intervals = tuple(
        msgspec.structs.replace(each, dtstart=None, duration=timedelta(minutes=1), uid=str(number))
        for number, each in enumerate(report.intervals)
    )
    accepted(await _delivered(stage, msgspec.structs.replace(report, intervals=intervals)), wire.OadrUpdatedReport)


@check("vtn-report-data-point-unknown", "304", "300", level="should")
async def _point_unknown(stage: VtnStage) -> None:
    """Data of a point that was not offered is refused."""
    report = sample.data(stage.clock.now(), await _id(stage), 1.0)
    payload = wire.ReportPayload(r_id="never-there", value=1.0)
    interval = msgspec.structs.replace(report.intervals[0], payloads=(payload,))
    refused(await _delivered(stage, msgspec.structs.replace(report, intervals=(interval,))), "452")


@check("vtn-report-cancel", "335", "336")
async def _cancel(stage: VtnStage) -> None:
    """A VTN that wants a report no more sends oadrCancelReport with its reportRequestID."""
    request_id = await _id(stage)
    await stage.stimulus.cancel_report(stage.ven_id, request_id)
    message = await stage.fetch(wire.OadrCancelReport)
    await stage.answer(message)
    same("reportRequestID", message.report_request_id, (request_id,))


@check("vtn-report-cancel-taken", "303", "500", level="should")
async def _cancel_taken(stage: VtnStage) -> None:
    """oadrCanceledReport, with which a VEN confirms, is acknowledged by oadrResponse."""
    if stage.push_url is not None:
        raise NotApplicable("we are pushed to")
    await stage.stimulus.cancel_report(stage.ven_id, await _id(stage))
    message = await stage.fetch(wire.OadrCancelReport)
    reply = wire.OadrCanceledReport(
        response=faults.response(message.request_id), pending_reports=(), ven_id=stage.ven_id
    )
    accepted(await stage.say(reply), wire.OadrResponse)


CHECKS = (
    _offer,
    _offer_echo,
    _offer_no_id,
    _nothing,
    _twice,
    _offer_wrong,
    _history,
    _own_name,
    _metadata,
    _metadata_echo,
    _metadata_delivered,
    _metadata_id,
    _metadata_taken,
    _unknown,
    _ask_wrong,
    _cancel_unknown,
    _cancel_kind,
    _data_unknown,
    _data_wrong,
    _data_nothing,
    _ask_for,
    _ask_offered,
    _ask_back,
    _ask_once,
    _ask_status,
    _accepted,
    _data,
    _data_echo,
    _data_again,
    _data_quality,
    _data_durations,
    _point_unknown,
    _cancel,
    _cancel_taken,
)
