"""Bounds of what is asked for: by VEN, by address, all together, and of connections; who is beyond gets 503."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pyopenadr.errors import ConfigError
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


@pytest.mark.parametrize("field", ["per_ven", "per_address", "burst", "in_flight", "connections", "retry_after_s"])
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
