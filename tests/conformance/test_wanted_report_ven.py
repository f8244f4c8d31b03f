"""The rules on reports that a VEN follows when it is the one who asks for them."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ModelError
from pyopenadr.model import Report, ReportRequest
from pyopenadr.v2 import wire
from tests.conformance.scene import HearingVtn
from tests.unit.ven.scripted import HOUR, NOW, client_of, running
from tests.unit.ven.test_report import MINUTE, OFFER, WANTED, metadata, update


async def test_rule_306_ven_what_the_vtn_offers_last_is_what_counts(vtn: HearingVtn, clock: FakeClock) -> None:
    vtn.queue.append(metadata())
    async with running(client_of(vtn, clock), clock) as client:
        assert list(client.vtn_capabilities) == [OFFER]
        vtn.queue.append(wire.OadrRegisterReport(request_id="q"))
        await clock.advance(10)
        assert not client.vtn_capabilities


async def test_rule_321_325_338_ven_a_request_says_no_more_than_what_and_when(
    vtn: HearingVtn, clock: FakeClock
) -> None:
    request = ReportRequest(
        report_request_id="mine",
        report_specifier_id="vtn-spec",
        r_ids=("grid",),
        granularity=MINUTE,
        report_back_duration=HOUR,
        start=NOW,
        duration=2 * HOUR,
    )
    async with running(client_of(vtn, clock), clock) as client:
        await client.create_report([request])
        with pytest.raises(ModelError, match="rule 300"):
            await client.create_report([ReportRequest(report_request_id="x", report_specifier_id="y", r_ids=())])
    (sent,) = vtn.last(wire.OadrCreateReport).report_requests
    specifier = sent.report_specifier
    assert specifier.report_interval == wire.WsCalendarInterval(dtstart=NOW, duration=2 * HOUR)
    assert specifier.specifier_payloads == (wire.SpecifierPayload(r_id="grid", reading_type="x-notApplicable"),)


async def test_rule_327_ven_it_asks_for_metadata_by_its_name(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock), clock) as client:
        await client.create_report([ReportRequest(report_request_id="m", report_specifier_id="METADATA", r_ids=())])
    (sent,) = vtn.last(wire.OadrCreateReport).report_requests
    assert sent.report_specifier.report_specifier_id == "METADATA"
    assert [it.r_id for it in sent.report_specifier.specifier_payloads] == ["0"]


async def test_rule_314_315_316_ven_each_interval_has_its_instant(vtn: HearingVtn, clock: FakeClock) -> None:
    taken: list[Report] = []

    async def on_report(report: Report) -> None:
        taken.append(report)

    intervals = tuple(
        wire.Interval(uid=str(n), duration=MINUTE, payloads=(wire.ReportPayload(r_id="grid", value=float(n)),))
        for n in range(3)
    )
    report = wire.OadrReport(
        dtstart=NOW,
        intervals=intervals,
        report_request_id="mine",
        report_specifier_id="vtn-spec",
        report_name="TELEMETRY_USAGE",
        created_date_time=NOW,
    )
    vtn.queue.append(wire.OadrUpdateReport(request_id="u", reports=(report,)))
    async with running(client_of(vtn, clock, on_report=on_report), clock):
        (found,) = taken
        assert [(it.start, it.duration, it.value) for it in found.readings] == [
            (NOW + n * MINUTE, MINUTE, float(n)) for n in range(3)
        ]


async def test_rule_335_336_345_ven_it_stops_reports_by_a_message_of_their_own(
    vtn: HearingVtn, clock: FakeClock
) -> None:
    vtn.queue += [metadata(), update()]

    async def on_report(_: Report) -> None:
        return

    async with running(client_of(vtn, clock, on_report=on_report), clock) as client:
        await client.create_report([WANTED])
        await client.cancel_report(["mine"], report_to_follow=True)
        assert vtn.last(wire.OadrUpdatedReport).cancel_report is None
    cancel = vtn.last(wire.OadrCancelReport)
    assert (cancel.report_request_id, cancel.report_to_follow, cancel.ven_id) == (("mine",), True, "ven-1")


async def test_rule_339_ven_a_report_id_makes_no_difference(vtn: HearingVtn, clock: FakeClock) -> None:
    taken: list[timedelta] = []

    async def on_report(report: Report) -> None:
        taken.append(report.readings[0].start - NOW)

    message = update()
    (report,) = message.reports
    marked = msgspec.structs.replace(report, ei_report_id="9")
    vtn.queue.append(wire.OadrUpdateReport(request_id="u", reports=(marked,)))
    async with running(client_of(vtn, clock, on_report=on_report), clock):
        assert vtn.last(wire.OadrUpdatedReport).response.response_code == "200"
        assert taken == [timedelta(0)]
