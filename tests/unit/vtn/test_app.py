"""The VTN as an ASGI application: paths, methods, headers, bodies, compression; alone and inside another one."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import MutableMapping
from typing import Any

import pytest

from pyopenadr.errors import StoreError
from pyopenadr.store import MemoryStore
from pyopenadr.v2 import decode, encode, wire
from pyopenadr.vtn.app import App
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.vtn.sample import Broken, Ven, answer_to, event, running, server

POLL = "/OpenADR2/Simple/2.0b/OadrPoll"
BODY = encode(wire.OadrPoll(ven_id="nobody"))
Parts = list[MutableMapping[str, Any]]


class Reply:
    """What an application has sent."""

    def __init__(self) -> None:
        self.sent: Parts = []

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return bytes(self.sent[1]["body"])


async def ask(
    app: Any,
    path: str = POLL,
    *,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    body: bytes = BODY,
    parts: Parts | None = None,
    **scope: Any,
) -> Reply:
    """One request, as an ASGI server would hand it over."""
    line = [{"type": "http.request", "body": body, "more_body": False}] if parts is None else list(parts)

    async def receive() -> MutableMapping[str, Any]:
        if not line:
            await asyncio.sleep(60)
        return line.pop(0)

    reply = Reply()
    given = {"content-type": "application/xml"} if headers is None else headers
    full = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        **scope,
    }
    await app(full, receive, reply.send)
    if reply.sent:
        assert reply.headers[b"content-length"] == str(len(reply.body)).encode()
        assert [message["type"] for message in reply.sent] == ["http.response.start", "http.response.body"]
    return reply


@pytest.mark.parametrize(
    "path",
    [
        POLL,
        POLL + "/",
        "/prefix/of/mine" + POLL,
        "/openadr2/simple/2.0b/oadrpoll",
        "/./OpenADR2/Simple//2.0b/x/../OadrPoll",
    ],
)
async def test_a_service_is_found_in_every_form_of_its_address(path: str) -> None:
    async with running() as vtn:
        reply = await ask(vtn.app, path)
        assert reply.status == 200
        assert reply.headers[b"content-type"] == b"application/xml"
        assert decode(reply.body).message.message_type == "oadrResponse"


@pytest.mark.parametrize(
    "path", ["/", "/OpenADR2/Simple/2.0b", "/OpenADR2/Simple/2.0b/EiQuote", POLL + "x", POLL + "\n"]
)
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_elsewhere_there_is_nothing(path: str, method: str) -> None:
    async with running() as vtn:
        assert (await ask(vtn.app, path, method=method)).status == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_another_method_is_501(method: str) -> None:
    async with running() as vtn:
        reply = await ask(vtn.app, method=method)
        assert (reply.status, reply.headers[b"content-type"]) == (501, b"text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/xml", 200),
        ("Application/XML;charset=UTF-8", 200),
        ('application/xml; charset="utf-8"', 200),
        ("text/xml", 200),
        (None, 200),
        ("application/json", 406),
        ("application/xml; charset=latin-1", 406),
        ("", 406),
    ],
)
async def test_the_content_type_is_xml_in_utf_8(kind: str | None, status: int) -> None:
    async with running() as vtn:
        reply = await ask(vtn.app, headers={} if kind is None else {"content-type": kind})
        assert reply.status == status


@pytest.mark.parametrize(
    "body", [b"", b"<", b"<a/>", b"<!DOCTYPE a><a/>", BODY.replace(b"venID", b"venId"), BODY + b"<", b"\xff\xfe"]
)
async def test_what_is_no_message_is_406(body: bytes) -> None:
    async with running() as vtn:
        reply = await ask(vtn.app, body=body)
        assert reply.status == 406
        assert reply.headers[b"content-type"].startswith(b"text/plain")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_a_compressed_message_is_406(coding: str) -> None:
    async with running() as vtn:
        headers = {"content-type": "application/xml", "content-encoding": coding}
        assert (await ask(vtn.app, headers=headers, body=gzip.compress(BODY))).status == 406
        headers["content-encoding"] = "identity"
        assert (await ask(vtn.app, headers=headers)).status == 200


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", b"gzip"),
        ("deflate, gzip;q=0.5", b"deflate"),
        ("br, GZIP;q=0.1", b"gzip"),
        ("gzip;q=0, deflate", b"deflate"),
        ("gzip; q=0.000", None),
        ("identity", None),
        ("*", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("idle", [True, False])
async def test_the_reply_is_compressed_as_the_ven_wishes(accepted: str, coding: bytes | None, idle: bool) -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        assert await ven.is_idle()
        body = encode(wire.OadrPoll(ven_id=ven.ven_id if idle else "nobody"))
        plain = (await ask(vtn.app, body=body)).body
        headers = {"content-type": "application/xml", "accept-encoding": accepted}
        reply = await ask(vtn.app, headers=headers, body=body)
        assert reply.headers.get(b"content-encoding") == coding
        unpacked = reply.body
        if coding is not None:
            unpacked = gzip.decompress(reply.body) if coding == b"gzip" else zlib.decompress(reply.body)
        assert unpacked == plain


async def test_an_error_is_not_compressed() -> None:
    async with running() as vtn:
        reply = await ask(vtn.app, headers={"content-type": "a/b", "accept-encoding": "gzip"})
        assert b"content-encoding" not in reply.headers


async def test_an_empty_reply_has_a_length_of_zero() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        message = wire.OadrResponse(response=wire.EiResponse(response_code="200", request_id=""), ven_id=ven.ven_id)
        headers = {"content-type": "application/xml", "accept-encoding": "gzip"}
        reply = await ask(vtn.app, "/OpenADR2/Simple/2.0b/EiRegisterParty", body=encode(message), headers=headers)
        assert (reply.status, reply.body) == (200, b"")


# --- bodies -------------------------------------------------------------------------------------------------------


def small_app(vtn: OpenADRServer, timeout_s: float = 0.05) -> App:
    """The VTN's door with little room and patience."""
    return App(
        vtn.app._door,
        start=vtn.start,
        wake=vtn._wake,
        stop=vtn.stop,
        now=vtn.clock.now,
        max_body=2000,
        body_timeout_s=timeout_s,
    )


def part(body: bytes, more: bool) -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_may_come_in_parts() -> None:
    async with running() as vtn:
        parts = [part(BODY[:10], True), part(b"", True), part(BODY[10:], True), part(b"", False)]
        assert (await ask(vtn.app, parts=parts)).status == 200


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_large_is_413_and_not_read_to_the_end(declared: bool) -> None:
    async with running() as vtn:
        headers = {"content-type": "application/xml"} | ({"content-length": "2001"} if declared else {})
        parts = [part(b"x" * 1000, True) for _ in range(10)]
        reply = await ask(small_app(vtn), headers=headers, parts=parts)
        assert (reply.status, reply.headers[b"connection"]) == (413, b"close")


@pytest.mark.parametrize("parts", [[], [part(BODY[:10], True)]])
async def test_a_body_that_does_not_come_is_408(parts: Parts) -> None:
    async with running() as vtn:
        reply = await ask(small_app(vtn), parts=parts)
        assert (reply.status, reply.headers[b"connection"]) == (408, b"close")


@pytest.mark.parametrize("parts", [[], [part(BODY[:10], True)]])
async def test_whoever_leaves_gets_no_reply(parts: Parts) -> None:
    async with running() as vtn:
        assert (await ask(vtn.app, parts=[*parts, {"type": "http.disconnect"}])).sent == []


async def test_what_nobody_expected_is_500_and_no_exception() -> None:
    async with running() as vtn:

        async def fails() -> bool:
            raise ZeroDivisionError("a secret")

        reply = await ask(App(vtn.app._door, start=vtn.start, wake=fails, stop=vtn.stop, now=vtn.clock.now))
        assert reply.status == 500
        assert b"secret" not in reply.body


# --- in other servers ---------------------------------------------------------------------------------------------


async def lifespan(app: Any, *kinds: str) -> list[str]:
    line = [{"type": kind} for kind in kinds]
    sent: Parts = []

    async def receive() -> MutableMapping[str, Any]:
        return line.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app({"type": "lifespan"}, receive, send)
    return [message["type"] for message in sent]


async def test_the_host_starts_and_stops_it() -> None:
    store = Broken(MemoryStore())
    vtn = server(store)
    done = await lifespan(vtn.app, "lifespan.startup", "lifespan.shutdown")
    assert done == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert (store.calls[0], store.calls[-1]) == ("open", "close")


async def test_a_start_that_fails_is_told_to_the_host() -> None:
    store = Broken(MemoryStore())
    store.fails["open"] = StoreError("the disk is on fire")
    vtn = server(store)
    assert await lifespan(vtn.app, "lifespan.startup") == ["lifespan.startup.failed"]
    # Whoever has no lifespan meets it at the first request.
    assert (await ask(vtn.app)).status == 500
    store.fails.clear()
    assert (await ask(vtn.app)).status == 200
    await vtn.stop()


async def test_it_is_mounted_in_another_application_and_starts_by_itself() -> None:
    vtn = server()

    async def host(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["path"].startswith("/vtn/"):
            await vtn.app(dict(scope, path=scope["path"].removeprefix("/vtn"), root_path="/vtn"), receive, send)
        else:
            await send({"type": "http.response.start", "status": 204, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

    assert (await ask(host, "/other")).status == 204
    assert (await ask(host, "/vtn" + POLL, client=None, extensions=None)).status == 200
    assert (await ask(host, "/vtn" + POLL, client=("127.0.0.1", 7), extensions={})).status == 200
    await vtn.add_event(event())
    await vtn.stop()


async def test_after_the_end_it_is_503_until_it_is_started_again() -> None:
    vtn = server()
    assert (await ask(vtn.app)).status == 200
    await vtn.stop()
    assert (await ask(vtn.app)).status == 503
    assert (await vtn.handle(POLL, BODY))[0] == 503
    assert await lifespan(vtn.app, "lifespan.startup", "lifespan.shutdown") != []
    assert (await ask(vtn.app)).status == 503
    await vtn.start()
    assert (await ask(vtn.app)).status == 200
    await vtn.stop()


async def test_a_ven_is_known_by_its_certificate_and_by_no_other() -> None:
    def shown(fingerprint: str | None) -> dict[str, object]:
        return {"tls": {"fingerprint": fingerprint}} if fingerprint is not None else {}

    async def post(service: str, message: wire.Message, fingerprint: str | None) -> wire.Message:
        path = f"/OpenADR2/Simple/2.0b/{service}"
        reply = await ask(vtn.app, path, body=encode(message), extensions=shown(fingerprint))
        return decode(reply.body).message

    def create(**fields: Any) -> wire.OadrCreatePartyRegistration:
        return wire.OadrCreatePartyRegistration(
            request_id="r",
            profile_name="2.0b",
            transport_name="simpleHttp",
            report_only=False,
            xml_signature=False,
            http_pull_model=True,
            **fields,
        )

    async with running() as vtn:
        one = await post("EiRegisterParty", create(ven_name="same"), "AA")
        two = await post("EiRegisterParty", create(ven_name="same"), "BB")
        assert one["ven_id"] != two["ven_id"]
        assert (await post("EiRegisterParty", create(), "AA"))["ven_id"] == one["ven_id"]
        query = await post("EiRegisterParty", wire.OadrQueryRegistration(request_id="q"), "AA")
        assert query["ven_id"] == one["ven_id"]
        poll = wire.OadrPoll(ven_id=one["ven_id"])
        offer = await post("OadrPoll", poll, "AA")
        answer = wire.OadrRegisteredReport(response=answer_to(offer["request_id"]), ven_id=one["ven_id"])
        await post("EiReport", answer, "AA")
        for fingerprint, code in (("AA", "200"), ("BB", "463"), (None, "463"), ("AA", "200")):
            reply = await post("OadrPoll", poll, fingerprint)
            assert reply["response"].response_code == code
        stolen = await post("EiRegisterParty", create(ven_id=one["ven_id"]), "BB")
        assert stolen["response"].response_code == "463"


async def test_websockets_are_closed() -> None:
    reply = Reply()
    await server().app({"type": "websocket"}, None, reply.send)  # type: ignore[arg-type]  # nothing is received
    assert [message["type"] for message in reply.sent] == ["websocket.close"]
