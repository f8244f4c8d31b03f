"""The VTN over real connections: what stands in the bytes, and what a rude client can do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from pyopenadr.v2 import encode, wire
from pyopenadr.vtn.server import OpenADRServer

POLL = encode(wire.OadrPoll(ven_id="nobody"))
HEAD = "POST /OpenADR2/Simple/2.0b/OadrPoll HTTP/1.1\r\nHost: vtn\r\nContent-Type: application/xml\r\n"


@pytest.fixture
async def vtn() -> AsyncIterator[OpenADRServer]:
    async with OpenADRServer("vtn", port=0) as started:
        yield started


class Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, vtn: OpenADRServer) -> Line:
        host, _, port = vtn.url.removeprefix("http://").rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def say(self, data: bytes | str) -> None:
        self.writer.write(data.encode() if isinstance(data, str) else data)
        await self.writer.drain()

    async def hear(self, *, body: bool = True) -> tuple[str, dict[str, str], bytes]:
        """A reply: its first line, its headers, its body."""
        async with asyncio.timeout(5):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            length = int(headers.get("content-length", "0")) if body else 0
            return first, headers, await self.reader.readexactly(length)

    async def is_closed(self) -> bool:
        async with asyncio.timeout(5):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True
            finally:
                await self.close()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


def request(body: bytes = POLL, more: str = "") -> bytes:
    return f"{HEAD}Content-Length: {len(body)}\r\n{more}\r\n".encode() + body


async def test_a_reply_has_a_length_is_not_chunked_and_the_connection_is_kept(vtn: OpenADRServer) -> None:
    line = await Line.to(vtn)
    for _ in range(3):
        await line.say(request())
        first, headers, body = await line.hear()
        assert first == "HTTP/1.1 200 OK"
        assert headers["content-type"] == "application/xml"
        assert int(headers["content-length"]) == len(body)
        assert "transfer-encoding" not in headers
        assert "" not in headers.values()
        assert body.startswith(b"<")
    await line.close()


async def test_requests_in_a_row_are_answered_in_order(vtn: OpenADRServer) -> None:
    line = await Line.to(vtn)
    await line.say(request() + request(b"<") + request())
    assert [(await line.hear())[0].split()[1] for _ in range(3)] == ["200", "406", "200"]
    await line.close()


@pytest.mark.parametrize(("method", "has_body"), [("GET", True), ("HEAD", False), ("PUT", True)])
async def test_other_methods_are_501(vtn: OpenADRServer, method: str, has_body: bool) -> None:
    line = await Line.to(vtn)
    await line.say(HEAD.replace("POST", method, 1) + "Content-Length: 0\r\n\r\n")
    first, headers, _ = await line.hear(body=has_body)
    assert first.split()[1] == "501"
    assert "content-length" in headers
    await line.close()


async def test_no_continue_is_sent_that_was_not_asked_for(vtn: OpenADRServer) -> None:
    line = await Line.to(vtn)
    await line.say(HEAD + f"Content-Length: {len(POLL)}\r\n\r\n")
    await asyncio.sleep(0.05)
    await line.say(POLL)
    assert (await line.hear())[0].split()[1] == "200"
    await line.say(HEAD + f"Content-Length: {len(POLL)}\r\nExpect: 100-continue\r\n\r\n")
    assert (await line.hear())[0].split()[1] == "100"
    await line.say(POLL)
    assert (await line.hear())[0].split()[1] == "200"
    await line.close()


async def test_a_percent_encoded_path_is_the_same_path(vtn: OpenADRServer) -> None:
    line = await Line.to(vtn)
    await line.say(request().replace(b"/OpenADR2", b"/%4FpenADR2", 1))
    assert (await line.hear())[0].split()[1] == "200"
    await line.close()


async def test_chunks_are_understood(vtn: OpenADRServer) -> None:
    line = await Line.to(vtn)
    await line.say(HEAD + "Transfer-Encoding: chunked\r\n\r\n")
    await line.say(f"{len(POLL):x}\r\n".encode() + POLL + b"\r\n0\r\n\r\n")
    assert (await line.hear())[0].split()[1] == "200"
    await line.close()


async def test_a_huge_message_is_refused_by_its_length(vtn: OpenADRServer) -> None:
    line = await Line.to(vtn)
    await line.say(HEAD + "Content-Length: 999999999\r\n\r\n<")
    first, headers, _ = await line.hear()
    assert (first.split()[1], headers["connection"]) == ("413", "close")
    assert await line.is_closed()


async def test_endless_headers_are_cut_off(vtn: OpenADRServer) -> None:
    line = await Line.to(vtn)
    await line.say(HEAD)
    for _ in range(7):
        await line.say("X-More: " + "x" * 10_000 + "\r\n")
    assert (await line.hear())[0].split()[1] == "400"
    assert await line.is_closed()


async def test_a_connection_that_says_nothing_or_only_half_a_head_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyopenadr.transport.server._HEAD_TIMEOUT_S", 0.1)
    async with OpenADRServer("vtn", port=0) as vtn:
        silent, half, second = [await Line.to(vtn) for _ in range(3)]
        await half.say(HEAD)
        await second.say(request())
        await second.hear()
        await second.say(HEAD)
        for line in (silent, half, second):
            assert await line.is_closed()
        kept = await Line.to(vtn)
        await kept.say(request())
        await kept.hear()
        await asyncio.sleep(0.2)
        await kept.say(request())  # silence between requests is no fault
        await kept.hear()
        await kept.close()


async def test_what_is_no_http_is_refused(vtn: OpenADRServer) -> None:
    line = await Line.to(vtn)
    await line.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n" * 10)
    assert (await line.hear())[0].split()[1] == "400"
    assert await line.is_closed()
    # Nobody else is concerned.
    other = await Line.to(vtn)
    await other.say(request())
    assert (await other.hear())[0].split()[1] == "200"
    await other.close()


async def test_many_connections_at_the_same_time(vtn: OpenADRServer) -> None:
    async def poll() -> str:
        line = await Line.to(vtn)
        await line.say(request())
        first, _, _ = await line.hear()
        await line.close()
        return first

    assert set(await asyncio.gather(*(poll() for _ in range(100)))) == {"HTTP/1.1 200 OK"}


async def test_stopping_finishes_what_is_in_flight() -> None:
    release = asyncio.Event()

    async def slowly(payload: wire.OadrQueryRegistration) -> None:
        await release.wait()

    async with OpenADRServer("vtn", port=0, on_query_registration=slowly) as vtn:
        line = await Line.to(vtn)
        query = encode(wire.OadrQueryRegistration(request_id="x"))
        await line.say(request(query).replace(b"OadrPoll", b"EiRegisterParty", 1))
        await asyncio.sleep(0.1)
        stopping = asyncio.create_task(vtn.stop())
        await asyncio.sleep(0.1)
        release.set()
        assert (await line.hear())[0] == "HTTP/1.1 200 OK"
        await stopping
        await line.close()


async def test_stopping_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyopenadr.transport.server._GRACE_S", 1)

    async def hangs(payload: wire.OadrQueryRegistration) -> None:
        await asyncio.sleep(60)

    async with asyncio.timeout(10), OpenADRServer("vtn", port=0, on_query_registration=hangs) as vtn:
        line = await Line.to(vtn)
        query = encode(wire.OadrQueryRegistration(request_id="x"))
        await line.say(request(query).replace(b"OadrPoll", b"EiRegisterParty", 1))
        await asyncio.sleep(0.1)
        await vtn.stop()
        await line.close()
