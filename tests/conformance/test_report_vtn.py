"""The rules on reports that a VTN follows, each seen from outside by a VEN made by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pyopenadr.errors import LocalProtocolError
from pyopenadr.model import Reading
from pyopenadr.v2 import wire
from tests.conformance.scene import (
    asked,
    create_report,
    offering,
)
from tests.unit.vtn.sample import (
    HOUR,
    MINUTE,
    SECOND,
    Ven,
    answer_to,
    clock_of,
    data,
    event,
    metadata,
    periodic,
    point,
    running,
    server,
    wanted,
)


async def test_rule_300_317_340_vtn_asks_for_no_more_than_is_offered() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        for fields in (
            {"r_ids": ("other",)},
            {"report_back_duration": 2 * HOUR, "granularity": MINUTE},
            {"report_back_duration": MINUTE, "granularity": timedelta(seconds=1)},
        ):
            with pytest.raises(LocalProtocolError):
                await vtn.request_report(ven.ven_id, report_specifier_id="telemetry", **fields)
        assert await ven.is_idle()


async def test_rule_301_305_309_vtn_without_reports_says_so_first_after_a_registration() -> None:
    async with running() as vtn:
        await vtn.add_event(event())
        ven = Ven(vtn)
        await ven.register()
        offer = await ven.poll(wire.OadrRegisterReport)
        assert (offer.reports, offer.report_request_id) == ((), None)


@pytest.mark.parametrize("report", [data("q", 1.0, specifier="other"), data("q", 1.0), data("q", 1.0, r_id="other")])
async def test_rule_304_vtn_data_with_unknown_ids_is_452(report: wire.OadrReport) -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        assert (await ven.update_report(report)).response.response_code == "452"
        assert await vtn.readings(ven.ven_id) == []


async def test_rule_306_vtn_new_metadata_replaces_the_old_and_requests_are_made_again() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports(metadata("telemetry"), metadata("other"))
        request_id = await asked(vtn, ven)
        reply = await ven.register_reports(metadata("telemetry", "power", "energy"))
        assert [c.report_specifier_id for c in await vtn.capabilities(ven.ven_id)] == ["telemetry"]
        assert [request.report_request_id for request in reply.report_requests] == [request_id]
        assert [stored.confirmed for stored in await vtn.report_requests(ven.ven_id)] == [False]


async def test_rule_306_vtn_its_own_new_metadata_ends_what_was_asked_before() -> None:
    vtn, ven = await offering()
    await create_report(ven, periodic())
    await clock_of(vtn).advance(1)
    await create_report(ven, wanted("m", "METADATA"))
    await ven.take_offer()
    await clock_of(vtn).advance(6 * MINUTE)
    assert await ven.is_idle()
    await vtn.stop()


async def test_rule_311_312_313_vtn_metadata_has_the_ids_that_it_should() -> None:
    vtn, ven = await offering()
    await create_report(ven, wanted("m", "METADATA"))
    offer = await ven.take_offer()
    assert offer.report_request_id == "m"
    [report] = offer.reports
    assert (report.report_request_id, report.report_name) == ("0", "METADATA_TELEMETRY_USAGE")
    assert report.duration is not None
    assert (report.dtstart, report.intervals) == (None, ())
    await vtn.stop()


async def test_rule_313_vtn_data_has_a_start_and_the_bare_name() -> None:
    vtn, ven = await offering()
    await create_report(ven, wanted())
    [report] = (await ven.poll(wire.OadrUpdateReport)).reports
    assert (report.report_name, report.report_descriptions) == ("TELEMETRY_USAGE", ())
    assert report.dtstart == SECOND
    assert len(report.intervals) == 1
    await vtn.stop()


async def test_rule_318_vtn_a_missing_value_is_a_placeholder() -> None:
    vtn = server()
    vtn.add_report("tariff", points=[point()])
    ven = await Ven(vtn).join()
    await create_report(ven, wanted())
    [report] = (await ven.poll(wire.OadrUpdateReport)).reports
    [payload] = report.intervals[0].payloads
    assert isinstance(payload, wire.ReportPayload)
    assert payload.data_quality == "No Quality - No Value"
    await vtn.stop()


async def test_rule_321_325_338_vtn_a_request_says_when_and_nothing_that_it_should_not() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        await vtn.request_report(
            ven.ven_id, report_specifier_id="telemetry", granularity=MINUTE, report_back_duration=HOUR
        )
        specifier = (await ven.poll(wire.OadrCreateReport)).report_requests[0].report_specifier
        assert specifier.report_interval is not None
        assert (specifier.report_interval.dtstart, specifier.report_interval.duration) == (SECOND, timedelta(0))
        assert [(p.reading_type, p.item_base) for p in specifier.specifier_payloads] == [("x-notApplicable", None)]


async def test_rule_322_vtn_a_request_id_is_used_once() -> None:
    vtn, ven = await offering()
    await create_report(ven, periodic())
    reply = await create_report(ven, periodic(report_back_duration=10 * MINUTE))
    assert reply.response.response_code == "452"
    await vtn.stop()


async def test_rule_324_vtn_a_single_report_comes_once_and_at_once() -> None:
    vtn, ven = await offering()
    await create_report(ven, wanted())
    report = await ven.poll(wire.OadrUpdateReport)
    message = wire.OadrUpdatedReport(response=answer_to(report.request_id), ven_id=ven.ven_id)
    await ven.send("EiReport", message, wire.OadrResponse)
    await clock_of(vtn).advance(6 * MINUTE)
    assert await ven.is_idle()
    await vtn.stop()


async def test_rule_308_327_vtn_asks_for_metadata_with_rid_0() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.request_report(ven.ven_id, report_specifier_id="METADATA")
        [request] = (await ven.poll(wire.OadrCreateReport)).report_requests
        specifier = request.report_specifier
        assert specifier.report_specifier_id == "METADATA"
        assert [payload.r_id for payload in specifier.specifier_payloads] == ["0"]


async def test_rule_328_vtn_a_cancellation_inside_an_answer_counts() -> None:
    vtn, ven = await offering()
    await create_report(ven, periodic())
    await vtn.publish_report("tariff", [Reading(r_id="price", start=SECOND, value=1.0)])
    report = await ven.poll(wire.OadrUpdateReport)
    stop = wire.OadrCancelReport(request_id="x", report_request_id=("q1",), report_to_follow=False, ven_id=ven.ven_id)
    message = wire.OadrUpdatedReport(response=answer_to(report.request_id), cancel_report=stop, ven_id=ven.ven_id)
    await ven.send("EiReport", message, wire.OadrResponse)
    await clock_of(vtn).advance(6 * MINUTE)
    assert await ven.is_idle()
    await vtn.stop()


async def test_rule_329_336_vtn_all_that_is_pending_is_listed_and_what_is_unknown_is_452() -> None:
    vtn, ven = await offering()
    assert (await create_report(ven, periodic("a"))).pending_reports == ("a",)
    assert (await create_report(ven, periodic("b"))).pending_reports == ("a", "b")
    stop = wire.OadrCancelReport(
        request_id="x", report_request_id=("a", "unknown"), report_to_follow=False, ven_id=ven.ven_id
    )
    reply = await ven.send("EiReport", stop, wire.OadrCanceledReport)
    assert (reply.response.response_code, reply.pending_reports) == ("452", ("b",))
    await vtn.stop()


async def test_rule_340_vtn_more_than_is_offered_is_454() -> None:
    vtn, ven = await offering()
    reply = await create_report(ven, periodic(report_back_duration=2 * HOUR))
    assert (reply.response.response_code, reply.pending_reports) == ("454", ())
    await vtn.stop()


async def test_rule_344_vtn_requests_inside_the_answer_to_metadata_are_served() -> None:
    vtn = server()
    vtn.add_report("tariff", points=[point()], source=lambda request: {"price": 1.0})
    ven = Ven(vtn)
    await ven.register()
    offer = await ven.poll(wire.OadrRegisterReport)
    message = wire.OadrRegisteredReport(
        response=answer_to(offer.request_id), report_requests=(wanted(),), ven_id=ven.ven_id
    )
    reply = await ven.send("EiReport", message, wire.OadrCreatedReport)
    assert reply.response.response_code == "200"
    await ven.poll(wire.OadrUpdateReport)
    await vtn.stop()


async def test_rule_345_vtn_exactly_one_report_follows_a_cancellation_that_wants_it() -> None:
    vtn, ven = await offering()
    await create_report(ven, periodic())
    stop = wire.OadrCancelReport(request_id="x", report_request_id=("q1",), report_to_follow=True, ven_id=ven.ven_id)
    await ven.send("EiReport", stop, wire.OadrCanceledReport)
    report = await ven.poll(wire.OadrUpdateReport)
    message = wire.OadrUpdatedReport(response=answer_to(report.request_id), ven_id=ven.ven_id)
    await ven.send("EiReport", message, wire.OadrResponse)
    await clock_of(vtn).advance(6 * MINUTE)
    assert await ven.is_idle()
    await vtn.stop()


async def test_rule_346_vtn_a_value_that_comes_again_replaces_the_old_one() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        request_id = await asked(vtn, ven)
        for values in ((1.0, 2.0), (1.0, 2.0), (5.0,)):
            assert (await ven.update_report(data(request_id, *values))).response.response_code == "200"
        assert [stored.reading.value for stored in await vtn.readings(ven.ven_id)] == [5.0, 2.0]
