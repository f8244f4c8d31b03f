"""Two workers on one PostgreSQL are one VTN, whichever of them a VEN's next message reaches."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import pytest
from sqlalchemy import make_url

from pyopenadr.clock import FakeClock
from pyopenadr.errors import StoreUnavailable
from pyopenadr.model import OptType, ReportRequest
from pyopenadr.v2 import wire
from pyopenadr.vtn.server import OpenADRServer
from tests.postgres import execute
from tests.unit.vtn.sample import (
    HOUR,
    MINUTE,
    NOW,
    Ven,
    answer_to,
    data,
    event,
    eventually,
    ids,
    metadata,
    periodic,
    point,
    server,
    wanted,
)
from tests.unit.vtn.test_provider import create_report


class Both:
    """Two servers behind a balancer that gives each message to the other one than the last."""

    def __init__(self, one: OpenADRServer, other: OpenADRServer) -> None:
        self.one, self.other = one, other
        self._next = itertools.cycle((one, other))

    async def handle(self, path: str, body: bytes) -> tuple[int, bytes]:
        return await next(self._next).handle(path, body)

    def ven(self) -> Ven:
        return Ven(cast("OpenADRServer", self))


@asynccontextmanager
async def workers(
    url: str, prepare: Callable[[OpenADRServer], object] = lambda vtn: None, **settings: Any
) -> AsyncIterator[tuple[Both, FakeClock]]:
    clock = FakeClock(NOW)
    both = Both(server(url, clock=clock, **settings), server(url, clock=clock, **settings))
    try:
        for vtn in (both.one, both.other):
            prepare(vtn)
            await vtn.start()
        yield both, clock
    finally:
        for vtn in (both.one, both.other):
            await vtn.stop()


async def test_one_conversation_in_two_halves(postgres_url: str) -> None:
    async with workers(postgres_url) as (both, _):
        ven = await both.ven().join()
        for start in (both.one, both.other):
            name = f"e{start is both.one}"
            await start.add_event(event(name))
            told = await ven.poll(wire.OadrDistributeEvent)
            assert name in ids(told)
            assert await ven.is_idle()  # the other worker knows that the VEN has just been told
            await ven.answer(told)
            for _ in range(3):
                assert await ven.is_idle()
        assert {a.event_id for a in await both.one.answers()} == {"eTrue", "eFalse"}
        await both.one.change_event("eTrue", priority=3)
        changed = await both.other.change_event("eTrue", priority=4)
        assert changed.modification_number == 2
        told = await ven.poll(wire.OadrDistributeEvent)
        assert [e.event_descriptor.modification_number for e in told.events] == [2, 0]


async def test_an_event_is_sent_again_once_for_all_workers(postgres_url: str) -> None:
    async with workers(postgres_url, resend_after=timedelta(seconds=60)) as (both, clock):
        ven = await both.ven().join()
        await both.one.add_event(event())
        await ven.poll(wire.OadrDistributeEvent)
        for _ in range(5):
            await clock.advance(11)
            assert await ven.is_idle()
        await clock.advance(11)
        await ven.poll(wire.OadrDistributeEvent)
        assert await ven.is_idle()


async def test_a_ven_that_registers_at_both_at_once_is_one_ven(postgres_url: str) -> None:
    async with workers(postgres_url) as (both, _):
        for name in ("a", "b", "c"):
            vens = [Ven(both.one), Ven(both.other)] * 2
            await asyncio.gather(*(Ven(ven.vtn).register(name) for ven in vens))
        for vtn in (both.one, both.other):
            await vtn.events()  # which takes up what the other has done
        assert sorted(str(ven.ven_name) for ven in both.one.vens) == ["a", "b", "c"]
        one, other = ({(ven.ven_id, ven.registration_id) for ven in vtn.vens} for vtn in (both.one, both.other))
        assert one == other


async def test_changes_of_one_event_at_both_at_once_are_versions_one_after_the_other(postgres_url: str) -> None:
    async with workers(postgres_url) as (both, _):
        await both.one.add_event(event())
        versions = await asyncio.gather(
            *(vtn.change_event("e1", vtn_comment=f"{number}") for number in range(10) for vtn in (both.one, both.other))
        )
        assert sorted({version.modification_number for version in versions}) == list(range(1, 21))
        assert await both.one.events() == await both.other.events()


async def test_reports_asked_for_at_one_come_in_at_the_other(postgres_url: str) -> None:
    async with workers(postgres_url) as (both, _):
        ven = await both.ven().join()
        await ven.register_reports()
        once = await both.one.request_report(ven.ven_id, report_specifier_id="telemetry")
        question = await ven.poll(wire.OadrCreateReport)
        await ven.created_report(question.request_id, once.report_request_id)
        for _ in range(2):  # the second time because the reply was lost
            reply = await ven.update_report(data(once.report_request_id, 1.0, 2.0))
            assert reply.response.response_code == "200"
        assert len(await both.other.readings(ven.ven_id)) == 2
        assert await both.other.report_requests(ven.ven_id) == []


async def test_what_a_ven_can_report_from_now_on_is_known_to_all_workers(postgres_url: str) -> None:
    async with workers(postgres_url) as (both, _):
        ven = await both.ven().join()
        for r_id, other in (("power", "energy"), ("energy", "power"), ("power", "energy")):
            await ven.register_reports(metadata("telemetry", r_id))
            asked = await both.one.request_report(
                ven.ven_id,
                report_specifier_id="telemetry",
                r_ids=(r_id,),
                report_back_duration=HOUR,
                granularity=MINUTE,
            )
            codes = []
            for name in (r_id, r_id, other, other):  # each at both workers
                reply = await ven.update_report(data(asked.report_request_id, 1.0, r_id=name))
                codes.append(reply.response.response_code)
            assert codes == ["200", "200", "452", "452"]


async def test_a_registration_that_ends_at_one_has_ended_at_the_other(postgres_url: str) -> None:
    async with workers(postgres_url) as (both, _):
        ven = await both.ven().join()
        message = wire.OadrCancelPartyRegistration(
            request_id="c", registration_id=ven.registration_id, ven_id=ven.ven_id
        )
        for _ in range(2):  # repeated, as if the reply was lost
            reply = await ven.send("EiRegisterParty", message, wire.OadrCanceledPartyRegistration)
            assert reply.response.response_code == "200"
        for _ in range(2):
            refused = await ven.poll(wire.OadrResponse)
            assert refused.response.response_code == "463"
        old = ven.ven_id
        await ven.register()
        assert ven.ven_id == old
        await ven.take_offer()
        assert await ven.is_idle()


async def test_coming_and_going_is_told_once(postgres_url: str) -> None:
    told: list[tuple[str, bool]] = []

    def prepare(vtn: OpenADRServer) -> None:
        vtn.on_ven_online = lambda ven_id: told.append((ven_id, True))
        vtn.on_ven_offline = lambda ven_id: told.append((ven_id, False))

    async with workers(postgres_url, prepare, poll_frequency=timedelta(seconds=10), misses=3) as (both, clock):
        ven = await both.ven().join()
        for _ in range(20):
            await clock.advance(5)
            await ven.is_idle()
            await asyncio.sleep(0.02)
        assert told == [(ven.ven_id, True)]

        async def gone() -> bool:
            await clock.advance(5)
            await asyncio.sleep(0.02)
            return len(told) > 1

        await eventually(gone)
        for _ in range(5):
            await gone()
        assert told == [(ven.ven_id, True), (ven.ven_id, False)]
        await ven.is_idle()
        await ven.is_idle()
        await eventually(lambda: asyncio.sleep(0, len(told) > 2))
        await asyncio.sleep(0.1)
        assert told == [(ven.ven_id, True), (ven.ven_id, False), (ven.ven_id, True)]


async def test_the_vtns_periodic_reports_come_from_one_worker_and_go_on_when_it_ends(postgres_url: str) -> None:
    made: list[ReportRequest] = []

    def source(request: ReportRequest) -> dict[str, float]:
        made.append(request)
        return {"price": 1.0}

    def prepare(vtn: OpenADRServer) -> None:
        vtn.add_report("tariff", points=[point()], source=source)

    async with workers(postgres_url, prepare) as (both, clock):
        ven = await both.ven().join()
        await create_report(ven, periodic("q1"))
        await create_report(ven, periodic("q2"))

        async def pass_by(minutes: int) -> None:
            for _ in range(minutes * 6):
                await clock.advance(10)
                await asyncio.sleep(0.01)

        async def reports() -> list[str]:
            found = []
            while isinstance(message := await ven.poll(wire.Message), wire.OadrUpdateReport):
                found += [report.report_request_id for report in message.reports]
                reply = wire.OadrUpdatedReport(response=answer_to(message.request_id), ven_id=ven.ven_id)
                await ven.post("EiReport", reply)
            return sorted(found)

        await pass_by(6)
        assert await reports() == ["q1", "q2"]
        leader = both.one if await both.one._service.store.leads() else both.other
        await leader.stop()
        both._next = itertools.cycle((both.other if leader is both.one else both.one,))
        await pass_by(5)
        assert await reports() == ["q1", "q2"]
        assert len(made) == 4
        await create_report(ven, wanted("single"))
        assert await reports() == ["single"]


async def test_an_opt_at_one_is_the_answer_at_the_other(postgres_url: str) -> None:
    async with workers(postgres_url) as (both, _):
        ven = await both.ven().join()
        await both.one.add_event(event())
        told = await ven.poll(wire.OadrDistributeEvent)
        opt = wire.OadrCreateOpt(
            opt_id="o1",
            opt_type="optOut",
            opt_reason="economic",
            ven_id=ven.ven_id,
            created_date_time=NOW,
            request_id="o",
            event_id="e1",
            modification_number=0,
            target=wire.EiTarget(),
        )
        await ven.send("EiOpt", opt, wire.OadrCreatedOpt)
        await ven.answer(told)
        for vtn in (both.one, both.other):
            assert [a.opt_type for a in await vtn.answers()] == [OptType.OUT]


async def test_without_the_database_nobody_is_answered_and_nothing_is_lost(postgres_url: str, postgres: Any) -> None:
    async with workers(postgres_url) as (both, _):
        ven = await both.ven().join()
        await ven.register_reports(metadata())
        await both.one.add_event(event(start=NOW.replace(microsecond=0) + HOUR + MINUTE))
        told = await ven.poll(wire.OadrDistributeEvent)
        assert await ven.is_idle()
        name = make_url(postgres_url).database
        await execute(postgres, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await execute(postgres, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        await asyncio.sleep(0.3)
        for _ in range(4):
            status, body = await ven.post("OadrPoll", wire.OadrPoll(ven_id=ven.ven_id))
            assert (status, b"database" in body) == (503, True)
        with pytest.raises(StoreUnavailable):
            await both.one.add_event(event("e2"))
        await execute(postgres, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

        async def answered() -> bool:
            try:
                await ven.answer(told)
            except AssertionError:
                return False
            return True

        await eventually(answered)

        async def idle() -> bool:
            status, _ = await ven.post("OadrPoll", wire.OadrPoll(ven_id=ven.ven_id))
            return status == 200

        for _ in range(8):
            await eventually(idle)
        assert len(await both.one.answers("e1")) == 1
        assert len(both.other.vens) == 1
