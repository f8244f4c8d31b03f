"""Checks on a VEN: EiReport."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pyopenadr.conformance.check import Broken, NotApplicable, check
from pyopenadr.conformance.ven.expectation import same, succeeded, turned_down
from pyopenadr.conformance.ven.sample import request, telemetry
from pyopenadr.conformance.ven.stage import VenStage
from pyopenadr.v2 import faults, wire

__all__ = ["CHECKS"]


def _metadata(stage: VenStage) -> wire.ReportRequest:
    return wire.ReportRequest(
        report_request_id=stage.new_id("metadata"),
        report_specifier=wire.ReportSpecifier(
            report_specifier_id="METADATA",
            granularity=timedelta(0),
            report_back_duration=timedelta(0),
            specifier_payloads=(wire.SpecifierPayload(r_id="0", reading_type="x-notApplicable"),),
        ),
    )


async def _ask(stage: VenStage, *requests: wire.ReportRequest, **fields: Any) -> wire.OadrCreatedReport:
    """Ask the VEN for reports; its answer."""
    defaults: dict[str, Any] = {"request_id": stage.new_id("ask"), "report_requests": requests, "ven_id": stage.ven_id}
    message = wire.OadrCreateReport(**(defaults | fields))
    await stage.deliver(message)

    def is_it(each: wire.OadrCreatedReport) -> bool:
        return each.response.request_id == message.request_id

    try:
        return await stage.hear(wire.OadrCreatedReport, holds=is_it)
    except Broken:
        others = stage.messages(wire.OadrCreatedReport)
        return others[-1] if others else await stage.hear(wire.OadrCreatedReport, within_s=0.0)


async def _data(stage: VenStage, request_id: str, least: int = 1) -> list[wire.OadrReport]:
    """That many reports for a request, as they come."""

    def found() -> list[wire.OadrReport]:
        messages = stage.messages(wire.OadrUpdateReport)
        return [each for message in messages for each in message.reports if each.report_request_id == request_id]

    await stage.hear(
        wire.OadrUpdateReport, holds=lambda _: len(found()) >= least, within_s=stage.patience_s + 3.0 * least
    )
    return found()


async def _series(stage: VenStage, *, every: timedelta | None = None) -> str:
    """The VEN has been asked for a series, and accepted; the reportRequestID."""
    await stage.registered()
    offered = telemetry(stage)
    wanted = request(stage, offered, every=every if every is not None else _step(offered))
    succeeded((await _ask(stage, wanted)).response)
    return wanted.report_request_id


def _step(offered: wire.OadrReport) -> timedelta:
    """How often data may be asked for: not more often than the VEN can, and at least a second."""
    rates = [each.sampling_rate for each in offered.report_descriptions]
    periods = [each.min_period for each in rates if each is not None]
    if any(not isinstance(each, timedelta) or each > timedelta(seconds=10) for each in periods):
        raise NotApplicable("the VEN measures too seldom to wait for it")
    return max((each for each in periods if isinstance(each, timedelta)), default=timedelta(seconds=1)) or timedelta(
        seconds=1
    )


async def _stop(stage: VenStage, *ids: str, follow: bool = False, request_id: str = "") -> wire.OadrCanceledReport:
    message = wire.OadrCancelReport(
        request_id=request_id or stage.new_id("stop"),
        report_request_id=ids,
        report_to_follow=follow,
        ven_id=stage.ven_id,
    )
    await stage.deliver(message)
    return await stage.hear(wire.OadrCanceledReport)


@check("ven-report-usage", "510", level="should")
async def _usage(stage: VenStage) -> None:
    """The VEN offers TELEMETRY_USAGE."""
    await _offers(stage, "METADATA_TELEMETRY_USAGE")


@check("ven-report-status", "510", level="should")
async def _status(stage: VenStage) -> None:
    """The VEN offers TELEMETRY_STATUS, unless it is for reports only."""
    await _offers(stage, "METADATA_TELEMETRY_STATUS")


async def _offers(stage: VenStage, name: str) -> None:
    await stage.registered()
    names = sorted(each.report_name or "" for each in stage.offered.values())
    if name not in names:
        raise Broken(f"it offers {', '.join(names) or 'nothing'}")


@check("ven-report-metadata", "301", "303", "327")
async def _metadata_taken(stage: VenStage) -> None:
    """A request for METADATA is answered by oadrCreatedReport, quoting its requestID."""
    await stage.registered()
    reply = await _ask(stage, _metadata(stage), request_id="request-of-metadata")
    succeeded(reply.response)
    same("the requestID", reply.response.request_id, "request-of-metadata")


@check("ven-report-metadata-delivered", "301", "311")
async def _metadata_delivered(stage: VenStage) -> None:
    """Asked for METADATA, the VEN sends oadrRegisterReport that names the reportRequestID."""
    await stage.registered()
    wanted = _metadata(stage)
    await _ask(stage, wanted)
    message = await stage.hear(wire.OadrRegisterReport)
    same("the outer reportRequestID", message.report_request_id, wanted.report_request_id)


@check("ven-report-metadata-unsolicited", "311")
async def _metadata_unsolicited(stage: VenStage) -> None:
    """The oadrRegisterReport that nobody has asked for has no outer reportRequestID."""
    await stage.registered()
    first = next((each.message for each in stage.heard if isinstance(each.message, wire.OadrRegisterReport)), None)
    if first is None:
        raise NotApplicable("none has come")
    if first.report_request_id:
        raise Broken(f"it has {first.report_request_id!r}")


@check("ven-report-piggyback", "344", "328")
async def _piggyback(stage: VenStage) -> None:
    """A request in oadrRegisteredReport is answered by oadrCreatedReport."""
    await stage.registered()
    wanted = request(stage, telemetry(stage))
    stage.wanted = (wanted,)
    await _ask(stage, _metadata(stage))
    await stage.hear(wire.OadrRegisterReport)
    await _data(stage, wanted.report_request_id)
    if len(stage.messages(wire.OadrCreatedReport)) < 2:
        raise Broken("the data come, but no oadrCreatedReport for the request")


@check("ven-report-once", "324")
async def _once(stage: VenStage) -> None:
    """A report that is asked for once comes at once."""
    await stage.registered()
    wanted = request(stage, telemetry(stage))
    succeeded((await _ask(stage, wanted)).response)
    await _data(stage, wanted.report_request_id)


@check("ven-report-once-only", "324")
async def _once_only(stage: VenStage) -> None:
    """A report that is asked for once comes once."""
    await stage.registered()
    wanted = request(stage, telemetry(stage))
    await _ask(stage, wanted)
    await _data(stage, wanted.report_request_id)
    await stage.settle(4)
    same("the number of reports", len(await _data(stage, wanted.report_request_id)), 1)


@check("ven-report-specifier", "311", "300")
async def _specifier(stage: VenStage) -> None:
    """The data name the reportSpecifierID that was asked for."""
    await stage.registered()
    offered = telemetry(stage)
    wanted = request(stage, offered)
    await _ask(stage, wanted)
    report = (await _data(stage, wanted.report_request_id))[0]
    same("reportSpecifierID", report.report_specifier_id, offered.report_specifier_id)


@check("ven-report-points", "300")
async def _points(stage: VenStage) -> None:
    """The data hold every data point that was asked for, and no other."""
    await stage.registered()
    offered = telemetry(stage)
    wanted = request(stage, offered)
    await _ask(stage, wanted)
    report = (await _data(stage, wanted.report_request_id))[0]
    found = {payload.get("r_id") for interval in report.intervals for payload in interval.payloads}
    same("the data points", found, {each.r_id for each in offered.report_descriptions})


@check("ven-report-echo", "303")
async def _echo(stage: VenStage) -> None:
    """oadrCreatedReport quotes the requestID."""
    await stage.registered()
    reply = await _ask(stage, request(stage, telemetry(stage)), request_id="request-of-report")
    same("the requestID", reply.response.request_id, "request-of-report")


@check("ven-report-series", "324", "325")
async def _periodic(stage: VenStage) -> None:
    """A report that is asked for again and again comes again and again."""
    request_id = await _series(stage)
    await _data(stage, request_id, 2)
    await _stop(stage, request_id)


@check("ven-report-pending", "329")
async def _pending(stage: VenStage) -> None:
    """oadrPendingReports in oadrCreatedReport lists the report that was asked for."""
    await stage.registered()
    offered = telemetry(stage)
    wanted = request(stage, offered, every=_step(offered))
    reply = await _ask(stage, wanted)
    if wanted.report_request_id not in reply.pending_reports:
        raise Broken(f"it lists {reply.pending_reports}")
    await _stop(stage, wanted.report_request_id)


@check("ven-report-cancel", "336", "303")
async def _cancel(stage: VenStage) -> None:
    """oadrCancelReport is answered by oadrCanceledReport, quoting its requestID."""
    request_id = await _series(stage)
    reply = await _stop(stage, request_id, request_id="request-of-stop")
    succeeded(reply.response)
    same("the requestID", reply.response.request_id, "request-of-stop")


@check("ven-report-cancel-pending", "329")
async def _cancel_pending(stage: VenStage) -> None:
    """oadrPendingReports in oadrCanceledReport no longer lists the report."""
    request_id = await _series(stage)
    if request_id in (await _stop(stage, request_id)).pending_reports:
        raise Broken("it does")


@check("ven-report-cancel-ends", "335", "336")
async def _cancel_ends(stage: VenStage) -> None:
    """After oadrCancelReport no more data come."""
    request_id = await _series(stage)
    await _data(stage, request_id)
    await _stop(stage, request_id)
    await _silent(stage, request_id)


async def _silent(stage: VenStage, request_id: str) -> None:
    await stage.settle(1)
    stage.forget_answers()
    await stage.settle(4)
    reports = [each for message in stage.messages(wire.OadrUpdateReport) for each in message.reports]
    if any(each.report_request_id == request_id for each in reports):
        raise Broken("data go on coming")


@check("ven-report-cancel-follow", "345")
async def _follow(stage: VenStage) -> None:
    """With reportToFollow, one last report comes."""
    request_id = await _series(stage, every=timedelta(hours=1))
    stage.forget_answers()
    succeeded((await _stop(stage, request_id, follow=True)).response)
    await _data(stage, request_id)


@check("ven-report-cancel-unknown", "336")
async def _cancel_unknown(stage: VenStage) -> None:
    """oadrCancelReport for a report that is not being sent is refused with 4xx."""
    await stage.registered()
    turned_down((await _stop(stage, "never-there")).response)


@check("ven-report-cancel-mixed", "336")
async def _cancel_mixed(stage: VenStage) -> None:
    """oadrCancelReport for one report that is being sent and one that is not is refused with 4xx."""
    request_id = await _series(stage)
    reply = await _stop(stage, request_id, "never-there")
    if request_id in reply.pending_reports:
        await _stop(stage, request_id)
    turned_down(reply.response)


@check("ven-report-piggyback-cancel", "328", "344")
async def _piggyback_cancel(stage: VenStage) -> None:
    """A cancellation in oadrUpdatedReport is followed."""
    request_id = await _series(stage)
    stage.to_cancel = wire.OadrCancelReport(
        request_id=stage.new_id("stop"),
        report_request_id=(request_id,),
        report_to_follow=False,
        ven_id=stage.ven_id,
    )
    await _data(stage, request_id)
    await _silent(stage, request_id)


@check("ven-report-unknown", "304", level="should")
async def _unknown(stage: VenStage) -> None:
    """A request for a report that was not offered is refused with 452."""
    await stage.registered()
    wanted = request(stage, telemetry(stage), report_specifier_id="never-there")
    turned_down((await _ask(stage, wanted)).response, "452", "461")


@check("ven-report-unknown-point", "304", "300", level="should")
async def _unknown_point(stage: VenStage) -> None:
    """A request for a data point that was not offered is refused with 452."""
    await stage.registered()
    payload = wire.SpecifierPayload(r_id="never-there", reading_type="x-notApplicable")
    wanted = request(stage, telemetry(stage), specifier_payloads=(payload,))
    turned_down((await _ask(stage, wanted)).response, "452")


@check("ven-report-too-fast", "340", "317", level="should")
async def _too_fast(stage: VenStage) -> None:
    """A request for data more often than oadrMinPeriod is refused with 454."""
    await stage.registered()
    offered = telemetry(stage)
    periods = [each.sampling_rate.min_period for each in offered.report_descriptions if each.sampling_rate is not None]
    slow = [each for each in periods if isinstance(each, timedelta) and each > timedelta(seconds=1)]
    if not slow:
        raise NotApplicable("the VEN measures every second")
    reply = await _ask(stage, request(stage, offered, every=timedelta(seconds=1)))
    turned_down(reply.response, "454")


@check("ven-report-wrong-ven", "304", "21", level="should")
async def _wrong_ven(stage: VenStage) -> None:
    """oadrCreateReport for another venID is refused with 452."""
    await stage.registered()
    reply = await _ask(stage, _metadata(stage), ven_id=f"{stage.ven_id}-wrong")
    turned_down(reply.response, "452")


@check("ven-report-vtn-offers", "301", "303")
async def _vtn_offers(stage: VenStage) -> None:
    """oadrRegisterReport of the VTN is answered by oadrRegisteredReport, quoting its requestID."""
    await stage.registered()
    await stage.deliver(wire.OadrRegisterReport(request_id="request-of-offer", ven_id=stage.ven_id))
    reply = await stage.hear(wire.OadrRegisteredReport)
    succeeded(reply.response)
    same("the requestID", reply.response.request_id, "request-of-offer")


@check("ven-report-data-unknown", "304", level="should")
async def _data_unknown(stage: VenStage) -> None:
    """Data that the VEN has not asked for are answered by oadrUpdatedReport or refused, but not ignored."""
    await stage.registered()
    await stage.deliver(wire.OadrUpdateReport(request_id="request-of-data", ven_id=stage.ven_id))
    reply = await stage.hear(wire.OadrUpdatedReport)
    if faults.is_success(reply.response.response_code):
        same("the requestID", reply.response.request_id, "request-of-data")


CHECKS = (
    _usage,
    _status,
    _metadata_taken,
    _metadata_delivered,
    _metadata_unsolicited,
    _piggyback,
    _once,
    _once_only,
    _specifier,
    _points,
    _echo,
    _periodic,
    _pending,
    _cancel,
    _cancel_pending,
    _cancel_ends,
    _follow,
    _cancel_unknown,
    _cancel_mixed,
    _piggyback_cancel,
    _unknown,
    _unknown_point,
    _too_fast,
    _wrong_ven,
    _vtn_offers,
    _data_unknown,
)
