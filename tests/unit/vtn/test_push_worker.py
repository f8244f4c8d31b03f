"""Push by two workers on one PostgreSQL: one of them pushes, whoever hears of what there is to push."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from sqlalchemy import make_url

from pyopenadr.clock import FakeClock
from pyopenadr.errors import StoreUnavailable
from pyopenadr.model import ResponseRequired
from pyopenadr.transport.memory import Fault
from pyopenadr.transport.port import Reply
from pyopenadr.v2 import wire
from pyopenadr.vtn.push import DEFAULT_PUSH
from pyopenadr.vtn.server import OpenADRServer
from tests.postgres import execute
from tests.unit.vtn.sample import Ven, event, eventually, ids, metadata
from tests.unit.vtn.test_push import ADDRESS, PushedVen
from tests.unit.vtn.test_worker import Both, workers


class Caller(PushedVen):
    """One worker's way to the VENs; `hold` keeps a message on the wire."""

    def __init__(self) -> None:
        super().__init__()
        self.hold: asyncio.Event | None = None

    async def post(self, url: str, body: bytes) -> Reply:
        if self.hold is not None:
            await self.hold.wait()
        return await super().post(url, body)


class Team:
    """The two workers by their parts: the one that pushes, and the other one, each with its own way to the VENs."""

    def __init__(self, both: Both, clock: FakeClock, callers: dict[OpenADRServer, Caller]) -> None:
        self.both, self.clock, self.callers = both, clock, callers
        self.leader = both.one
        self.follower = both.other

    async def pass_by(self, seconds: float) -> None:
        """Let time pass for both, and the news between them arrive."""
        while seconds > 0:
            await self.clock.advance(min(seconds, 2.5))
            await asyncio.sleep(0.01)
            seconds -= 2.5

    async def until(self, condition: Callable[[], bool], most_s: float = 30) -> None:
        for _ in range(int(most_s * 10)):
            if condition():
                return
            await self.pass_by(0.1)
            await asyncio.sleep(0.03)  # the database takes real time
        raise AssertionError("it did not happen")

    def pushed(self, vtn: OpenADRServer) -> list[str]:
        return self.callers[vtn].kinds

    async def join(self, vtn: OpenADRServer) -> Ven:
        """A push VEN that registers at one of them, after the first exchange."""
        ven = Ven(vtn)
        await ven.register("ven", http_pull_model=False, transport_address=ADDRESS)
        await self.until(lambda: self.pushed(self.leader) == ["oadrRegisterReport"])
        return ven


@asynccontextmanager
async def team(url: str) -> AsyncIterator[Team]:
    callers: dict[OpenADRServer, Caller] = {}

    def prepare(vtn: OpenADRServer) -> None:
        callers[vtn] = Caller()
        assert vtn._pusher is not None
        vtn._pusher._settings = msgspec.structs.replace(DEFAULT_PUSH, transport=callers[vtn])

    async with workers(url, prepare) as (both, clock):
        yield Team(both, clock, callers)


async def test_one_pushes_whatever_is_said_to_the_other(postgres_url: str) -> None:
    async with team(postgres_url) as pair:
        leader, follower = pair.leader, pair.follower
        ven = await pair.join(follower)
        await ven.register_reports(metadata())
        await follower.request_report(ven.ven_id, report_specifier_id="telemetry")
        await pair.until(lambda: pair.pushed(leader)[1:] == ["oadrCreateReport"])
        await follower.add_event(event())
        await pair.until(lambda: pair.pushed(leader)[2:] == ["oadrDistributeEvent"])
        await ven.answer(pair.callers[leader].got(wire.OadrDistributeEvent)[-1])  # to the one that did not push it
        await pair.pass_by(65)
        assert pair.pushed(leader)[3:] == []
        assert pair.pushed(follower) == []
        (line,) = (await follower.board("e1")).deliveries
        assert [trace.step for trace in line.messages] == ["sent", "received", "answered"]


async def test_a_ven_that_is_heard_of_at_the_other_is_tried_again_soon(postgres_url: str) -> None:
    async with team(postgres_url) as pair:
        ven = await pair.join(pair.follower)
        caller = pair.callers[pair.leader]
        caller.fault = lambda: Fault(lose_request=True)
        await pair.leader.add_event(event())
        await pair.pass_by(40)
        caller.fault = lambda: None
        assert caller.got(wire.OadrDistributeEvent) == []
        await ven.request_events()  # also shows it the event: the push is about its being there
        await pair.leader.change_event("e1", priority=1)
        await pair.until(lambda: caller.got(wire.OadrDistributeEvent) != [], 4)


async def test_when_the_one_that_pushes_ends_the_other_goes_on_with_what_was_not_taken(postgres_url: str) -> None:
    async with team(postgres_url) as pair:
        leader, follower = pair.leader, pair.follower
        ven = await pair.join(follower)
        await leader.add_event(event("told"))
        await pair.until(lambda: pair.pushed(leader)[1:] == ["oadrDistributeEvent"])
        await ven.answer(pair.callers[leader].got(wire.OadrDistributeEvent)[-1])
        pair.callers[leader].hold = asyncio.Event()
        await leader.add_event(event("on its way"))
        await ven.register_reports(metadata())
        await follower.request_report(ven.ven_id, report_specifier_id="telemetry")
        await pair.pass_by(2)
        await kill(leader)
        await pair.until(lambda: len(pair.pushed(follower)) == 2, 10)  # and not only after resend_after
        assert pair.pushed(follower) == ["oadrDistributeEvent", "oadrCreateReport"]
        (events,) = pair.callers[follower].got(wire.OadrDistributeEvent)
        assert sorted(ids(events)) == ["on its way", "told"]
        await ven.answer(events)
        await pair.pass_by(65)
        assert len(pair.pushed(follower)) == 2
        assert len(pair.pushed(leader)) == 2


async def kill(vtn: OpenADRServer) -> None:
    """End a worker as SIGKILL does for the others: nothing of it is saved, and its connections are gone."""
    pusher, store = vtn._pusher, vtn._service.store
    assert pusher is not None
    vtn._service._traces.clear()
    for task in list(vtn._tasks):
        task.cancel()
    await pusher._leave_off()
    await store._cluster.close()  # type: ignore[attr-defined]


async def test_a_push_that_the_ven_must_not_answer_is_not_repeated_by_the_next_leader(postgres_url: str) -> None:
    async with team(postgres_url) as pair:
        leader, follower = pair.leader, pair.follower
        await pair.join(leader)
        await leader.add_event(event(response_required=ResponseRequired.NEVER))
        await pair.until(lambda: pair.pushed(leader)[1:] == ["oadrDistributeEvent"])
        await pair.pass_by(1)
        await leader.stop()
        await pair.pass_by(65)
        assert pair.pushed(follower) == []
        await follower.change_event("e1", priority=2)
        await pair.until(lambda: pair.pushed(follower) == ["oadrDistributeEvent"])


async def test_without_the_database_nobody_pushes_and_then_one_does(postgres_url: str, postgres: Path) -> None:
    async with team(postgres_url) as pair:
        await pair.join(pair.leader)
        name = make_url(postgres_url).database
        await execute(postgres, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await execute(postgres, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        pushers = [vtn._pusher for vtn in pair.callers]

        def count() -> int:
            return sum(pusher is not None and pusher._rota is not None for pusher in pushers)

        await pair.until(lambda: count() == 0, 60)
        await execute(postgres, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        for _ in range(100):
            await pair.pass_by(0.5)
            if count() == 1:
                break
            await asyncio.sleep(0.05)
        assert count() == 1
        assert pair.both.one.vens[0].online  # that the database was away says nothing of the VEN

        async def added() -> bool:
            with contextlib.suppress(StoreUnavailable):  # as long as old connections are found to be gone
                await pair.follower.add_event(event())
            return pair.follower.service.is_open("e1")

        await eventually(added)
        await pair.until(lambda: sum(len(caller.log) for caller in pair.callers.values()) == 2)
