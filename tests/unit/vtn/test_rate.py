"""Bounds of what is asked for: by VEN, by address, all together, and of connections; who is beyond gets 503."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pyopenadr.errors import ConfigError
from pyopenadr.transport.crowd import Crowd
from pyopenadr.transport.proxy import TrustedProxy
from pyopenadr.v2 import encode, wire
from pyopenadr.vtn.rate import Buckets, Rates
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.vtn.sample import Ven, running


async def post(vtn: OpenADRServer, message: wire.Message, client: str = "10.0.0.1") -> tuple[int, dict[bytes, bytes]]:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/OpenADR2/Simple/2.0b/OadrPoll",
        "client": (client, 5),
        "headers": [],
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": encode(message)}

    async def send(part: Any) -> None:
        sent.append(part)

    await vtn.app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


def test_a_bucket_fills_again_but_not_over() -> None:
    now = 0.0
    buckets = Buckets(2.0, 1.5, lambda: now)
    assert [buckets.take("a") for _ in range(4)] == [True, True, True, False]
    assert buckets.take("b")
    now = 0.5
    assert [buckets.take("a") for _ in range(2)] == [True, False]
    now = 1000.0
    assert [buckets.take("a") for _ in range(4)] == [True, True, True, False]
    assert all(Buckets(None, 1).take("a") for _ in range(1000))


def test_buckets_that_are_full_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyopenadr.vtn.rate._MOST_KEYS", 3)
    now = 0.0
    buckets = Buckets(1.0, 1.0, lambda: now)
    for key in "abc":
        buckets.take(key)
    now = 0.5
    buckets.take("c")
    now = 1.0
    assert [buckets.take("d"), buckets.take("c")] == [True, True]
    assert set(buckets._left) == {"c", "d"}


async def test_a_ven_that_asks_too_often_is_told_to_come_back_and_others_are_not() -> None:
    async with running(rates=Rates(per_ven=0.001, burst=5000, retry_after_s=7)) as vtn:
        one, two = Ven(vtn), Ven(vtn)
        for name, ven in (("one", one), ("two", two)):
            await ven.register(name)
            await ven.take_offer()
        answers = [await post(vtn, wire.OadrPoll(ven_id=one.ven_id)) for _ in range(5)]
        assert [status for status, _ in answers] == [200] * 3 + [503] * 2
        assert answers[-1][1][b"retry-after"] == b"7"
        event = wire.OadrRequestEvent(request_id="q", ven_id=one.ven_id)
        assert (await one.post("EiEvent", event))[0] == 503
        assert (await post(vtn, wire.OadrPoll(ven_id=two.ven_id)))[0] == 200


async def test_an_address_that_asks_too_often_is_told_before_its_message_is_read() -> None:
    async with running(rates=Rates(per_address=0.001, burst=2000)) as vtn:
        message = wire.OadrPoll(ven_id="nobody")
        assert [(await post(vtn, message))[0] for _ in range(3)] == [200, 200, 503]
        assert (await post(vtn, message, "10.0.0.2"))[0] == 200


async def test_too_much_at_a_time_is_told_at_once() -> None:
    release = asyncio.Event()

    async def slowly(payload: Any) -> None:
        await release.wait()

    async with running(rates=Rates(in_flight=2), on_poll=slowly) as vtn:
        ven = Ven(vtn)
        await ven.register()
        polls = [asyncio.create_task(post(vtn, wire.OadrPoll(ven_id=ven.ven_id))) for _ in range(2)]
        await asyncio.sleep(0.01)
        assert (await post(vtn, wire.OadrPoll(ven_id=ven.ven_id)))[0] == 503
        release.set()
        assert [status for status, _ in await asyncio.gather(*polls)] == [200, 200]
        assert (await post(vtn, wire.OadrPoll(ven_id=ven.ven_id)))[0] == 200


async def test_a_connection_too_many_is_told_so_and_closed() -> None:
    async with OpenADRServer("vtn", port=0, rates=Rates(connections=2)) as vtn:
        port = int(vtn.url.rpartition(":")[2])
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 10\r\n" in answer
        writer.close()
        kept[0][1].close()
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"404"
        for _, each in (*kept, (reader, writer)):
            each.close()


async def answer_of(port: int, source: str) -> bytes:
    """The status that a new connection from that address is answered with, kept open until the caller's loop ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return (await reader.readline()).split()[1]
    except ConnectionError:  # it was closed with our request unread
        return b"503"
    finally:
        writer.close()


async def test_one_address_does_not_take_the_places_of_others(caplog: pytest.LogCaptureFixture) -> None:
    async with OpenADRServer("vtn", port=0, rates=Rates(connections_per_address=2)) as vtn:
        port = int(vtn.url.rpartition(":")[2])
        kept = [await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert [await answer_of(port, "127.0.0.2") for _ in range(2)] == [b"503", b"503"]
        assert caplog.text.count("127.0.0.2 has more than 2 connections open") == 1
        assert await answer_of(port, "127.0.0.1") == b"404"
        kept[0][1].close()
        await asyncio.sleep(0.05)
        assert await answer_of(port, "127.0.0.2") == b"404"
        kept[1][1].close()


async def test_a_trusted_proxy_has_as_many_connections_as_it_likes() -> None:
    proxy = TrustedProxy(addresses=["127.0.0.2"])
    async with OpenADRServer("vtn", port=0, proxy=proxy, rates=Rates(connections_per_address=1)) as vtn:
        port = int(vtn.url.rpartition(":")[2])
        kept = [
            await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            for source in ("127.0.0.2", "127.0.0.2", "127.0.0.1")
        ]
        await asyncio.sleep(0.05)
        assert await answer_of(port, "127.0.0.2") != b"503"
        assert await answer_of(port, "127.0.0.1") == b"503"
        for _, writer in kept:
            writer.close()


def test_what_is_counted_as_one_address() -> None:
    crowd = Crowd(1)
    one = crowd.enter("2001:db8:1:2::1")
    assert not crowd.is_full(one)
    assert crowd.enter("2001:db8:1:2:ffff::9") == one
    assert crowd.is_full(one)
    assert crowd.enter("2001:db8:1:3::1") != one
    assert crowd.enter("::ffff:10.0.0.1") == crowd.enter("10.0.0.1")
    crowd.leave(one)
    assert not crowd.is_full(one)
    assert Crowd(None).enter("10.0.0.1") is None
    assert crowd.enter(None) is None  # a socket in the file system


@pytest.mark.parametrize(
    "field",
    ["per_ven", "per_address", "burst", "in_flight", "connections", "connections_per_address", "retry_after_s"],
)
def test_a_bound_has_to_be_positive(field: str) -> None:
    with pytest.raises(ConfigError, match=f"{field} must be positive"):
        Rates(**{field: 0})


def test_looking_takes_nothing() -> None:
    now = [0.0]
    buckets = Buckets(1.0, 2.0, lambda: now[0])
    assert [buckets.has("a"), buckets.has("a"), buckets.take("a"), buckets.take("a"), buckets.has("a")] == [
        True,
        True,
        True,
        True,
        False,
    ]
    now[0] = 1.0
    assert buckets.has("a")
    assert Buckets(None, 1.0).has("a")
