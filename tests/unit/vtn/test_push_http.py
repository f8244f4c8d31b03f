"""Push over real sockets: VENs that misbehave byte by byte, and mutual TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pyopenadr.transport.certificate import fingerprint
from pyopenadr.transport.tls import ServerTls, server_context
from pyopenadr.v2 import decode, wire
from pyopenadr.vtn import rota
from pyopenadr.vtn.push import Push
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.transport.pki import Pki, certificate
from tests.unit.vtn.sample import eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rota, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(rota, "MOST_WAIT_S", 0.1)


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("pki"))


class RawVen:
    """A server that answers each request with the next of `answers`, and by an empty 200 when there are none."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.messages: list[wire.Message] = []
        self.answers: list[bytes | None] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
                self.heads.append(head)
                self.messages.append(decode(await reader.readexactly(length), profile="2.0b").message)
                answer = self.answers.pop(0) if self.answers else OK
                if answer is None:
                    await reader.read()  # it hangs until the other side has had enough
                    break
                writer.write(answer)
                await writer.drain()
                if answer != OK:
                    break
        writer.close()


@asynccontextmanager
async def raw_ven(context: ssl.SSLContext | None = None) -> AsyncIterator[RawVen]:
    ven = RawVen()
    listener = await asyncio.start_server(ven.serve, "127.0.0.1", 0, ssl=context)
    ven.port = listener.sockets[0].getsockname()[1]
    try:
        yield ven
    finally:
        listener.close()


async def publish(vtn: OpenADRServer, event_id: str = "e1") -> None:
    start = datetime.now(UTC) + timedelta(hours=1)
    await vtn.add_event(start=start, intervals=[(timedelta(hours=1), 1)], event_id=event_id, response_required="never")


async def arrived(ven: RawVen, number: int) -> None:
    async def is_so() -> bool:
        return len(ven.messages) >= number

    await eventually(is_so)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nOops",
        b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ngarbage",
        b"HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"",
    ],
)
async def test_whatever_a_ven_answers_it_gets_its_events_when_it_is_well(answer: bytes) -> None:
    async with raw_ven() as ven, OpenADRServer("vtn", port=0) as vtn:
        ven.answers = [answer, answer]
        await vtn.add_ven("v1", push_url=f"http://127.0.0.1:{ven.port}/x")
        await arrived(ven, 1)
        await publish(vtn)
        await eventually(lambda: _got(ven, wire.OadrDistributeEvent))
        assert ven.heads[0].startswith("POST /x/OpenADR2/Simple/2.0b/EiReport HTTP/1.1\r\n")
        lower = ven.heads[0].lower()
        assert "\r\ncontent-type: application/xml\r\n" in lower
        assert "transfer-encoding" not in lower
        assert "content-encoding" not in lower


async def _got(ven: RawVen, kind: type[wire.Message]) -> bool:
    return any(isinstance(message, kind) for message in ven.messages)


async def test_a_hanging_and_a_dead_ven_delay_no_other() -> None:
    async with (
        raw_ven() as hanging,
        raw_ven() as well,
        OpenADRServer("vtn", port=0, push=Push(places=1, timeout=timedelta(seconds=5))) as vtn,
    ):
        hanging.answers = [None] * 10
        await vtn.add_ven("hanging", push_url=f"http://127.0.0.1:{hanging.port}")
        await vtn.add_ven("dead", push_url="http://127.0.0.1:1")
        await arrived(hanging, 1)
        await vtn.add_ven("well", push_url=f"http://127.0.0.1:{well.port}")
        await publish(vtn)
        await eventually(lambda: _got(well, wire.OadrDistributeEvent))
        assert not await _got(hanging, wire.OadrDistributeEvent)


def mark_of(pki: Pki, name: str) -> str:
    return fingerprint(certificate(pki.files(name)).public_bytes(Encoding.DER))


def tls(pki: Pki, name: str) -> ServerTls:
    return ServerTls(certificates=[pki.files(name)], ca_file=pki.ca_file)


def vtn_with(pki: Pki, **settings: Any) -> OpenADRServer:
    return OpenADRServer("vtn", port=0, tls=ServerTls(certificates=pki.vtn, ca_file=pki.ca_file), **settings)


@pytest.mark.parametrize("family", ["RSA", "EC"])
async def test_over_tls_both_sides_show_their_certificates(pki: Pki, family: str) -> None:
    name = f"ven-{family}"
    mark = mark_of(pki, name)
    context = server_context(tls(pki, name))
    async with raw_ven(context) as ven, vtn_with(pki) as vtn:
        await vtn.add_ven("v1", push_url=f"https://127.0.0.1:{ven.port}", fingerprint=mark)
        await arrived(ven, 1)  # the context lets nobody in without a certificate


async def test_nothing_is_sent_to_the_owner_of_another_certificate(pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
    mark = mark_of(pki, "ven-RSA")
    async with raw_ven(server_context(tls(pki, "ven-EC"))) as thief, vtn_with(pki) as vtn:
        await vtn.add_ven("v1", push_url=f"https://127.0.0.1:{thief.port}", fingerprint=mark)

        async def is_told() -> bool:
            return "another certificate" in caplog.text

        await eventually(is_told)
        assert thief.messages == []


async def test_a_ven_whose_certificate_is_not_known_is_recognised_by_its_name(
    pki: Pki, caplog: pytest.LogCaptureFixture
) -> None:
    pki.keep("named", pki.rsa.issue("named", hosts=["localhost", "127.0.0.1"]))
    async with (
        raw_ven(server_context(tls(pki, "ven-EC"))) as nameless,
        raw_ven(server_context(tls(pki, "named"))) as named,
        vtn_with(pki) as vtn,
    ):
        await vtn.add_ven("a", push_url=f"https://127.0.0.1:{named.port}")
        await vtn.add_ven("b", push_url=f"https://127.0.0.1:{nameless.port}")
        await arrived(named, 1)

        async def is_told() -> bool:
            return "VEN b can't be reached" in caplog.text

        await eventually(is_told)
        assert nameless.messages == []


async def test_an_address_that_is_not_allowed_is_not_called_by_its_name() -> None:
    async with raw_ven() as ven, OpenADRServer("vtn", port=0, push=Push(networks=("10.0.0.0/8",))) as vtn:
        await vtn.add_ven("a", push_url=f"http://localhost:{ven.port}")
        await asyncio.sleep(0.2)
        assert ven.messages == []
