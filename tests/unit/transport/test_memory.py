"""The transport without a network, and its faults."""

from __future__ import annotations

import asyncio

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import TransportError
from pyopenadr.transport.memory import Fault, MemoryTransport
from pyopenadr.transport.port import Reply
from tests.unit.ven.scripted import NOW

URL = "https://vtn.example/a/EiEvent"


class Door:
    """Remembers who knocks, and counts."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes]] = []

    async def __call__(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.calls.append((path, body))
        return 200, b"%d" % len(self.calls)


async def test_a_request_goes_straight_to_the_door() -> None:
    door = Door()
    transport = MemoryTransport(door)
    reply = await transport.post(URL, b"x")
    assert reply == Reply(200, b"1")
    assert door.calls == [("/a/EiEvent", b"x")]
    await transport.close()


@pytest.mark.parametrize(
    ("fault", "calls", "answer"),
    [
        (Fault(lose_request=True), 0, None),
        (Fault(lose_reply=True), 1, None),
        (Fault(duplicate=True), 2, b"2"),
        (Fault(duplicate=True, lose_reply=True), 2, None),
        (None, 1, b"1"),
    ],
)
async def test_faults(fault: Fault | None, calls: int, answer: bytes | None) -> None:
    door = Door()
    transport = MemoryTransport(door, fault=lambda path, body: fault)
    if answer is None:
        with pytest.raises(TransportError, match="lost on its way") as caught:
            await transport.post(URL, b"x")
        assert caught.value.retry
    else:
        assert (await transport.post(URL, b"x")).body == answer
    assert len(door.calls) == calls


async def test_a_delay_takes_the_clocks_time() -> None:
    door = Door()
    clock = FakeClock(NOW)
    transport = MemoryTransport(door, fault=lambda path, body: Fault(delay_s=5), clock=clock)
    task = asyncio.create_task(transport.post(URL, b"x"))
    await clock.advance(4)
    assert not door.calls
    await clock.advance(1)
    assert (await task).status == 200
