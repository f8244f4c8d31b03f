"""Workers that are killed without warning under load lose nothing and double nothing, counted at both ends.

`make test` kills a few times; `make kill` 200 times for each engine (the environment variable PYOPENADR_KILLS).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from pyopenadr.model import OptType
from pyopenadr.store import open_store
from pyopenadr.v2 import decode, encode, wire
from tests.faults.test_vtn_kill import free_port
from tests.faults.worker_process import START
from tests.unit.vtn.sample import answer_to, data, event_response, metadata

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("PYOPENADR_KILLS", "8"))
VENS = 12
MINUTE = timedelta(minutes=1)


class Site:
    """A VEN that sends each message until it is answered, and notes what it has been told and promised."""

    def __init__(self, session: aiohttp.ClientSession, url: str, number: int) -> None:
        self._session = session
        self._url = f"{url}/OpenADR2/Simple/2.0b/"
        self.name = f"site{number}"
        self.ven_id = ""
        self.opt = OptType.OUT if number % 2 else OptType.IN
        self.answered: dict[str, int] = {}
        self.measured: dict[datetime, float] = {}
        self.failed = Counter[str]()

    async def send(self, service: str, message: wire.Message) -> wire.Message | None:
        """The reply; the same message is sent again where none comes."""
        while True:
            try:
                async with self._session.post(
                    self._url + service,
                    data=encode(message),
                    headers={"Content-Type": "application/xml"},
                    timeout=aiohttp.ClientTimeout(10),
                ) as reply:
                    body = await reply.read()
                    if reply.status == 200:
                        return decode(body).message if body else None
                    self.failed[str(reply.status)] += 1
            except (aiohttp.ClientError, OSError) as error:
                self.failed[type(error).__name__] += 1
            await asyncio.sleep(0.05)

    async def register(self) -> None:
        message = wire.OadrCreatePartyRegistration(
            request_id="r",
            profile_name="2.0b",
            transport_name="simpleHttp",
            report_only=False,
            xml_signature=False,
            http_pull_model=True,
            ven_name=self.name,
        )
        reply = await self.send("EiRegisterParty", message)
        assert isinstance(reply, wire.OadrCreatedPartyRegistration)
        assert reply.ven_id
        self.ven_id = reply.ven_id
        offer = wire.OadrRegisterReport(request_id="rr", reports=(metadata(),), ven_id=self.ven_id)
        assert isinstance(await self.send("EiReport", offer), wire.OadrRegisteredReport)

    async def poll(self) -> bool:
        """Poll once and do what is asked. Returns whether nothing was."""
        message = await self.send("OadrPoll", wire.OadrPoll(ven_id=self.ven_id))
        if isinstance(message, wire.OadrDistributeEvent):
            await self.answer(message)
        elif isinstance(message, wire.OadrRegisterReport):
            answer = wire.OadrRegisteredReport(response=answer_to(message.request_id), ven_id=self.ven_id)
            await self.send("EiReport", answer)
        elif isinstance(message, wire.OadrCreateReport):
            pending = tuple(request.report_request_id for request in message.report_requests)
            created = wire.OadrCreatedReport(
                response=answer_to(message.request_id), pending_reports=pending, ven_id=self.ven_id
            )
            await self.send("EiReport", created)
        else:
            assert isinstance(message, wire.OadrResponse)
            assert message.response.response_code == "200", message
            return True
        return False

    async def answer(self, message: wire.OadrDistributeEvent) -> None:
        told = {e.event_descriptor.event_id: e.event_descriptor.modification_number for e in message.events}
        assert len(told) == len(message.events)
        responses = tuple(
            event_response(event_id, number, request_id=message.request_id, opt_type=self.opt.value)
            for event_id, number in told.items()
            if self.answered.get(event_id) != number
        )
        if responses:
            created = wire.OadrCreatedEvent(response=answer_to(), event_responses=responses, ven_id=self.ven_id)
            reply = await self.send("EiEvent", created)
            assert isinstance(reply, wire.OadrResponse)
            if reply.response.response_code == "200":
                self.answered |= told
            else:  # an event was changed between its delivery and this answer; the new version will come
                assert reply.response.response_code == "450", reply

    async def report(self, chance: random.Random) -> None:
        start = START + len(self.measured) * MINUTE
        values = [chance.random() for _ in range(10)]
        report = data(f"power-of-{self.ven_id}", *values, start=start)
        reply = await self.send(
            "EiReport", wire.OadrUpdateReport(request_id="u", reports=(report,), ven_id=self.ven_id)
        )
        assert isinstance(reply, wire.OadrUpdatedReport)
        assert reply.response.response_code == "200", reply
        self.measured |= {start + number * MINUTE: value for number, value in enumerate(values)}


@contextlib.asynccontextmanager
async def workers(database: str, port: int, count: int, events: int) -> AsyncIterator[asyncio.Queue[int]]:
    """The workers' process IDs, as they are started."""
    pids: asyncio.Queue[int] = asyncio.Queue()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.worker_process", database, str(port), str(count), str(events)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def read() -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if line.startswith(b"worker "):
                pids.put_nowait(int(line.split()[1]))

    reading = asyncio.create_task(read())
    try:
        yield pids
    finally:
        process.terminate()
        await process.wait()
        await reading


async def kill(pids: asyncio.Queue[int], count: int, chance: random.Random, kills: int) -> None:
    alive = [await pids.get() for _ in range(count)]
    for _ in range(kills):
        await asyncio.sleep(chance.choice((0.02, 0.3, 0.8, 1.5)) * chance.uniform(0.5, 1.5))
        victim = alive.pop(chance.randrange(count))
        os.kill(victim, signal.SIGKILL)
        alive.append(await pids.get())


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_killed_workers_lose_and_double_nothing(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest, postgres_url: str
) -> None:
    is_shared = engine == "postgresql"
    database = postgres_url if is_shared else f"sqlite:///{tmp_path / 'vtn.db'}"
    chance = random.Random(f"{engine} {KILLS}")
    events = max(10, KILLS // 2)
    port = free_port()
    began = time.monotonic()
    killing = True
    async with aiohttp.ClientSession() as session:
        sites = [Site(session, f"http://127.0.0.1:{port}", number) for number in range(VENS)]
        wanted = {f"e{number}": int(number % 3 == 0) for number in range(events)}

        async def live(site: Site) -> None:
            await site.register()
            while killing or site.answered != wanted:
                await site.poll()
                await site.report(chance)

        count = 2 if is_shared else 1
        async with workers(database, port, count, events) as pids:
            living = [asyncio.create_task(live(site)) for site in sites]
            await kill(pids, count, chance, KILLS)
            killing = False
            await asyncio.wait_for(asyncio.gather(*living), 30 + events)
    await check(database, sites, wanted)
    failed = sum((site.failed for site in sites), Counter[str]())
    readings = sum(len(site.measured) for site in sites)
    print(
        f"{engine}: {KILLS} kills in {time.monotonic() - began:.0f} s; {VENS} VENs, {events} events, "
        f"{VENS * events} answers, {readings} readings; messages sent again: {dict(failed)}"
    )


async def check(database: str, sites: list[Site], wanted: dict[str, int]) -> None:
    """What the VTN has is what the VENs know."""
    store = open_store(database)
    await store.open()
    try:
        assert {str(ven.ven_name): ven.ven_id for ven in await store.list_registrations()} == {
            site.name: site.ven_id for site in sites
        }
        stored = [one.event for one in await store.list_events(include_closed=True)]
        assert {event.event_id: event.modification_number for event in stored} == wanted
        assert len(stored) == len(wanted)
        answers = await store.list_answers()
        assert len(answers) == len(sites) * len(wanted)
        for site in sites:
            mine = {a.event_id: a for a in answers if a.ven_id == site.ven_id}
            assert {event_id: a.modification_number for event_id, a in mine.items()} == wanted
            assert {a.opt_type for a in mine.values()} == {site.opt}
            readings = [one.reading for one in await store.list_readings(site.ven_id)]
            assert len(readings) == len(site.measured)
            assert {reading.start: reading.value for reading in readings} == site.measured
    finally:
        await store.close()
