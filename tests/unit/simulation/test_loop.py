"""Time that runs at any speed."""

from __future__ import annotations

import asyncio
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from pyopenadr.simulation.loop import INSTANTLY, LoopClock, SimulationLoop, SkewedClock, run_at_speed

START = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_year_passes_in_no_time_and_in_order() -> None:
    seen: list[tuple[str, timedelta]] = []

    async def rest(name: str, clock: LoopClock, seconds: float) -> None:
        await clock.sleep(seconds)
        seen.append((name, clock.now() - START))

    async def work() -> datetime:
        clock = LoopClock(START)
        await asyncio.gather(rest("c", clock, 86400.0 * 365), rest("a", clock, 0.001), rest("b", clock, 3600.0))
        return clock.now()

    begun = time.monotonic()
    assert run_at_speed(work(), INSTANTLY) == START + timedelta(days=365)
    assert time.monotonic() - begun < 5.0
    assert [name for name, _ in seen] == ["a", "b", "c"]
    assert [after.total_seconds() for _, after in seen] == pytest.approx([0.001, 3600.0, 86400.0 * 365])


def test_time_limits_go_by_the_same_time() -> None:
    async def work() -> float:
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7200.0):
                await asyncio.Event().wait()
        return loop.time()

    assert run_at_speed(work(), INSTANTLY) == pytest.approx(7200.0)


def test_a_speed_is_kept() -> None:
    async def work() -> float:
        begun = time.monotonic()
        await asyncio.sleep(60.0)
        return time.monotonic() - begun

    assert run_at_speed(work(), 600.0) >= 0.095


def test_the_outside_is_heard_while_time_passes_slowly() -> None:
    async def work() -> float:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            loop.call_soon(theirs.send, b"x")
            assert await asyncio.wait_for(loop.sock_recv(ours, 1), 3600.0) == b"x"
        return loop.time()

    assert run_at_speed(work(), 1.0) < 60.0


def test_a_clock_can_be_wrong() -> None:
    async def work() -> None:
        clock = LoopClock(START)
        wrong = SkewedClock(clock, timedelta(seconds=-20))
        await wrong.sleep(5.0)
        assert clock.now() - wrong.now() == timedelta(seconds=20)
        assert wrong.now() == START - timedelta(seconds=15)

    run_at_speed(work(), INSTANTLY)


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="positive"):
        SimulationLoop(0.0)
