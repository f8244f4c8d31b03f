"""openleadr's VEN against our VTN: reports both ways, as far as it can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from pyopenadr.model import DataPoint, Reading, Report, ReportRequest, Unit
from pyopenadr.v2 import decode, wire
from pyopenadr.vtn.server import OpenADRServer
from tests.interop.peer import Peer, PeerFailed, eventually

pytestmark = pytest.mark.interop

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
POWER = Unit(name="powerReal", symbol="W", scale="none", hertz=50.0, voltage=230.0, ac=True)
WEATHER = DataPoint(r_id="outside", unit=Unit(name="temperature", symbol="celsius", scale="none"))


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer("openleadr_ven") as process:
        yield process


@pytest.fixture
async def vtn() -> AsyncIterator[OpenADRServer]:
    """Our VTN; it asks VENs to poll once an hour, so that a test says when."""
    async with OpenADRServer("VTN_1", port=0, poll_frequency=HOUR) as server:
        yield server


async def connect(peer: Peer, vtn: OpenADRServer) -> str:
    await peer.ask("start", name="laboratory", url=f"{vtn.url}/OpenADR2/Simple/2.0b", run=True, reports=True)
    return vtn.vens[0].ven_id


async def poll(peer: Peer) -> None:
    await peer.ask("call", method="_poll")


def received(vtn: OpenADRServer, request: ReportRequest, count: int) -> Callable[[], Awaitable[bool]]:
    """Whether at least that many values of a request have arrived."""

    async def look() -> bool:
        readings = await vtn.readings(vtn.vens[0].ven_id)
        mine = [each for each in readings if each.report_request_id == request.report_request_id]
        return len(mine) >= count

    return look


def none_open(vtn: OpenADRServer) -> Callable[[], Awaitable[bool]]:
    """Whether the VEN owes no report."""

    async def look() -> bool:
        return await vtn.report_requests(vtn.vens[0].ven_id) == []

    return look


# --- reports of the VEN ---------------------------------------------------------------------------------------------


async def test_what_it_can_report_is_known_here(vtn: OpenADRServer, peer: Peer) -> None:
    ven_id = await connect(peer, vtn)
    power, status = await vtn.capabilities(ven_id)
    assert (power.report_name, power.report_specifier_id, power.duration) == ("TELEMETRY_USAGE", "power", HOUR)
    assert [point.r_id for point in power.points] == ["power-roof", "power-cellar"]
    assert {point.unit for point in power.points} == {POWER}
    assert power.points[0].data_source.resource_ids == ("roof",)
    assert (power.points[0].min_period, power.points[0].max_period) == (SECOND, SECOND)
    assert (status.report_name, status.points[0].report_type) == ("TELEMETRY_STATUS", "x-resourceStatus")


async def test_a_request_in_the_reply_to_its_offer_is_served_until_it_is_cancelled(peer: Peer) -> None:
    request = ReportRequest(
        report_request_id="REQUEST-1",
        report_specifier_id="power",
        r_ids=("power-roof", "power-cellar"),
        granularity=SECOND,
        report_back_duration=SECOND,
        start=datetime.now(UTC).replace(microsecond=0),
    )
    async with OpenADRServer("VTN_1", port=0, poll_frequency=SECOND, on_register_report=lambda payload: request) as vtn:
        ven_id = await connect(peer, vtn)
        await eventually(received(vtn, request, 4))
        assert [each.confirmed for each in await vtn.report_requests(ven_id)] == [True]
        values = {(each.reading.r_id, each.reading.value) for each in await vtn.readings(ven_id)}
        assert values == {("power-roof", 1.5), ("power-cellar", 2.5)}

        await vtn.cancel_report(ven_id, "REQUEST-1")

        async def is_confirmed() -> bool:
            types = [decode(text.encode()).message.message_type for text in (await peer.ask("traffic"))["sent"]]
            return "oadrCanceledReport" in types

        await eventually(is_confirmed)
        await eventually(none_open(vtn))
        assert (await peer.ask("state"))["report_requests"] == []
        assert "Updating one last time report" in peer.log


async def test_several_samples_are_gathered_into_one_report(vtn: OpenADRServer, peer: Peer) -> None:
    ven_id = await connect(peer, vtn)
    request = await vtn.request_report(
        ven_id, report_specifier_id="power", granularity=SECOND, report_back_duration=2 * SECOND
    )
    await poll(peer)
    await eventually(received(vtn, request, 4))
    updates = [decode(text.encode()).message for text in (await peer.ask("traffic"))["sent"]]
    (first, *_) = [message for message in updates if isinstance(message, wire.OadrUpdateReport)]
    assert [len(report.intervals) for report in first.reports] == [4]


async def test_a_single_report_comes_at_once(vtn: OpenADRServer, peer: Peer) -> None:
    """Its intervals have the duration P, which the schema allows: a duration of nothing."""
    ven_id = await connect(peer, vtn)
    request = await vtn.request_report(ven_id, report_specifier_id="power")
    await poll(peer)
    await eventually(received(vtn, request, 2))
    readings = [each.reading for each in await vtn.readings(ven_id)]
    assert [(each.r_id, each.value, each.duration) for each in readings] == [
        ("power-roof", 1.5, None),
        ("power-cellar", 2.5, None),
    ]
    await eventually(none_open(vtn))


async def test_its_status_report_carries_a_number_instead_of_a_status(vtn: OpenADRServer, peer: Peer) -> None:
    ven_id = await connect(peer, vtn)
    request = await vtn.request_report(ven_id, report_specifier_id="status")
    await poll(peer)
    await eventually(received(vtn, request, 1))
    assert [each.reading.value for each in await vtn.readings(ven_id)] == [1.0]


# --- reports of the VTN ---------------------------------------------------------------------------------------------


async def test_it_confirms_our_reports_and_asks_for_none(vtn: OpenADRServer, peer: Peer) -> None:
    vtn.add_report("weather", points=[WEATHER])
    await connect(peer, vtn)
    (answer,) = [
        message
        for text in (await peer.ask("traffic"))["sent"]
        if isinstance(message := decode(text.encode()).message, wire.OadrRegisteredReport)
    ]
    assert (answer.response.response_code, answer.report_requests) == ("200", ())
    assert await vtn.publish_report("weather", [Reading(r_id="outside", start=datetime.now(UTC), value=4.0)]) == 0


async def test_it_fails_on_a_report_of_ours_and_still_gets_the_next_message(peer: Peer) -> None:
    """It has no code for oadrUpdateReport. The report is sent again, and what waits behind it is not held up."""
    now = datetime.now(UTC).replace(microsecond=0)
    report = Report(
        report_request_id="REQUEST-1",
        report_specifier_id="weather",
        report_name="TELEMETRY_USAGE",
        created_date_time=now,
        readings=(Reading(r_id="outside", start=now, value=4.0),),
    )
    rest = timedelta(seconds=1)
    async with OpenADRServer("VTN_1", port=0, poll_frequency=HOUR, resend_after=rest) as vtn:
        ven_id = await connect(peer, vtn)
        vtn.on_request_report = lambda ven_id: report
        with pytest.raises(PeerFailed, match=r"AttributeError.*_on_report"):
            await poll(peer)
        vtn.on_request_report = None
        event = await vtn.add_event(start=now + HOUR, intervals=[(HOUR, 1)])
        await poll(peer)
        assert [answer.ven_id for answer in await vtn.answers(event.event_id)] == [ven_id]
        await asyncio.sleep(rest.total_seconds())
        with pytest.raises(PeerFailed, match=r"AttributeError.*_on_report"):
            await poll(peer)
