"""Whatever clients do to a server that listens, good VENs are served, nothing is changed, and nothing breaks."""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from pyopenadr.transport import server as transport_server
from pyopenadr.v2 import decode, encode, wire
from pyopenadr.vtn.server import OpenADRServer
from tests.faults.hostile import POLL, Bad, all_bad, post
from tests.unit.vtn.party import key_of

GOOD = 5
IDLE = 1000
DRIPPING = 60
SLOW_S = 20.0
"""How long a good VEN may wait: it shares one core with the attackers, who are in this very process."""
_CODE = re.compile(rb"responseCode>(\d+)<").search


@pytest.fixture(autouse=True)
def _many_files() -> Iterator[None]:
    """Each connection has its two ends in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3000:
        pytest.skip(f"needs 3000 open files, and this user may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class World:
    """A VTN that listens, a few good VENs that poll all the time, and what went wrong."""

    def __init__(self, vtn: OpenADRServer, session: aiohttp.ClientSession) -> None:
        self.vtn = vtn
        self.port = int(vtn.url.rpartition(":")[2])
        self._session = session
        self.polls = 0
        self.longest_s = 0.0

    async def send(self, service: str, message: wire.Message) -> wire.Message | None:
        url = f"{self.vtn.url}/OpenADR2/Simple/2.0b/{service}"
        began = time.monotonic()
        headers = {"Content-Type": "application/xml"}
        async with self._session.post(url, data=encode(message), headers=headers) as reply:
            body = await reply.read()
            assert reply.status == 200
        self.longest_s = max(self.longest_s, time.monotonic() - began)
        return decode(body).message if body else None

    async def join(self, name: str) -> str:
        message = wire.OadrCreatePartyRegistration(
            request_id="r",
            profile_name="2.0b",
            transport_name="simpleHttp",
            report_only=False,
            xml_signature=False,
            http_pull_model=True,
            ven_name=name,
        )
        reply = await self.send("EiRegisterParty", message)
        assert isinstance(reply, wire.OadrCreatedPartyRegistration)
        assert reply.ven_id
        return reply.ven_id

    async def live(self, ven_id: str) -> None:
        """Poll, and ask for the event, as long as the world lasts."""
        while True:
            polled = await self.send("OadrPoll", wire.OadrPoll(ven_id=ven_id))
            assert isinstance(polled, wire.OadrResponse | wire.OadrRegisterReport | wire.OadrDistributeEvent)
            asked = await self.send("EiEvent", wire.OadrRequestEvent(request_id="q", ven_id=ven_id))
            assert isinstance(asked, wire.OadrDistributeEvent)
            assert [event.event_descriptor.event_id for event in asked.events] == ["e1"]
            self.polls += 1
            await asyncio.sleep(0.05)

    async def state(self) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """What attackers must not change."""
        store = self.vtn.service.store
        vens = sorted(self.vtn.vens, key=lambda ven: ven.ven_id)
        events = await store.list_events(include_closed=True)
        rest = [await store.list_answers(), await store.list_opts(), await store.list_knocks()]
        kept = [(v.ven_id, v.ven_name, v.registration_id, v.push_address, v.fingerprints, v.profile) for v in vens]
        assert len(kept) == GOOD
        return kept, events, rest


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Good VENs live in it, and at its end all must be as it was."""
    broken: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    timeout = aiohttp.ClientTimeout(SLOW_S)
    vtn = OpenADRServer("vtn", port=0, enrolment="allow-list", signature="accept", signing_key=key_of("vtn"))
    async with vtn, aiohttp.ClientSession(timeout=timeout) as session:
        here = World(vtn, session)
        await vtn.add_event(
            event_id="e1", start=datetime.now(UTC) + timedelta(hours=1), intervals=[(timedelta(hours=1), 1)]
        )
        for number in range(GOOD):
            await vtn.allow(ven_name=f"good {number}")
        ven_ids = [await here.join(f"good {number}") for number in range(GOOD)]
        before, tasks = await here.state(), set(vtn._tasks)
        living = [asyncio.create_task(here.live(ven_id)) for ven_id in ven_ids]
        yield here
        polls = here.polls
        while here.polls < polls + GOOD:  # they live on
            assert not any(task.done() for task in living), [task for task in living if task.done()]
            await asyncio.sleep(0.01)
        for task in living:
            task.cancel()
        ends = await asyncio.gather(*living, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
        assert set(vtn._tasks) == tasks
        assert not any(task.done() for task in tasks)
        assert await here.state() == before
        assert here.longest_s < SLOW_S
    assert broken == []


async def deliver(port: int, work: Iterator[Bad], seen: Counter[str], wrong: list[str]) -> None:
    """Send one after the other on a connection that is made anew where the server has closed it."""
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    for bad in work:
        if reader is None or writer is None or reader.at_eof() or writer.is_closing():
            await leave(writer)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        status, code = None, b""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(bad.data)
            if not bad.cut:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SLOW_S)
                status = int(head.split(b" ", 2)[1])
                length = re.search(rb"(?i)content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                found = _CODE(body)
                code = found[1] if found else b""
        seen[f"{status or 'closed'} {code.decode()}".strip()] += 1
        is_refused = status is None or 400 <= status < 500 or (status == 200 and code != b"200")
        if not is_refused and not (status == 501 and bad.kind == "method"):
            wrong.append(f"{bad.kind}: {status} {code!r}\n{bad.data[:3000]!r}")
        if bad.cut or status is None:
            await leave(writer)
            reader = writer = None
    await leave(writer)


async def leave(*writers: asyncio.StreamWriter | None) -> None:
    for writer in writers:
        if writer is not None:
            writer.close()
    for writer in writers:
        if writer is not None:
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def test_two_thousand_bad_requests_change_nothing_and_hold_nobody_up() -> None:
    bad = all_bad()
    assert len(bad) >= 2000
    seen, wrong = Counter[str](), list[str]()
    async with world() as here:
        work = iter(bad)
        await asyncio.gather(*(deliver(here.port, work, seen, wrong) for _ in range(8)))
    assert wrong == [], (len(wrong), wrong[:3])
    assert seen.total() == len(bad)
    assert len(seen) > 5


async def test_a_thousand_idle_and_many_dripping_connections_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_server, "_HEAD_TIMEOUT_S", 1.5)
    request = post(POLL)
    head_length = request.index(b"\r\n\r\n")
    gone: list[str] = []

    async def drip(port: int, data: bytes, begin: int) -> None:
        """Send the rest byte by byte, and note when the server has had enough."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = asyncio.create_task(reader.read(100))
        writer.write(data[:begin])
        for at in range(begin, len(data)):
            await asyncio.wait([answer], timeout=0.1)
            if answer.done():
                break
            writer.write(data[at : at + 1])
        with contextlib.suppress(ConnectionError):
            gone.append((await answer).partition(b"\r\n")[0].decode())
        await leave(writer)

    async with world() as here:
        here.vtn.app._body_timeout_s = 1.5
        idle = [await asyncio.open_connection("127.0.0.1", here.port) for _ in range(IDLE)]
        for number, (_, writer) in enumerate(idle):
            writer.write(request[: number % head_length] if number % 2 else b"")
        polls = here.polls
        drips = [drip(here.port, request, 5) for _ in range(DRIPPING)]
        drips += [drip(here.port, request, head_length + 10) for _ in range(DRIPPING)]
        await asyncio.wait_for(asyncio.gather(*drips), 60)
        assert here.polls >= polls + GOOD
        assert Counter(line[:12] for line in gone)["HTTP/1.1 408"] == DRIPPING
        assert not any(line.startswith("HTTP/1.1 200") for line in gone)
        async with asyncio.timeout(30):
            for reader, _ in idle:
                assert await reader.read() == b""
        await leave(*(writer for _, writer in idle))
