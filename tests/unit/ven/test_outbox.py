"""What waits for the VTN, and how long."""

from __future__ import annotations

import random

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import TransportError
from pyopenadr.v2 import wire
from pyopenadr.v2.faults import response
from pyopenadr.ven.backoff import MOST_RETRY_AFTER_S, Backoff
from pyopenadr.ven.outbox import MOST_LEFT_BEHIND, Letter, Outbox
from tests.unit.ven.scripted import NOW, ScriptedVtn, client_of, ok, problems


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def vtn() -> ScriptedVtn:
    return ScriptedVtn()


def letter(name: str) -> Letter:
    message = wire.OadrResponse(response=response(name), ven_id="v")
    return Letter(service="EiRegisterParty", subject=name, build=lambda: message)


def outbox_of(vtn: ScriptedVtn, clock: FakeClock) -> Outbox:
    return client_of(vtn, clock)._parts.outbox


def sent(vtn: ScriptedVtn) -> list[str]:
    return [message.response.request_id for message in vtn.sent(wire.OadrResponse)]


async def test_a_lane_keeps_its_order(vtn: ScriptedVtn, clock: FakeClock) -> None:
    failures = [TransportError("lost")]
    vtn.rules[wire.OadrResponse] = lambda _: failures.pop() if failures else ok()
    outbox = outbox_of(vtn, clock)
    for name in "abc":
        outbox.put("lane", letter(name))
    await clock.advance(10)
    assert sent(vtn) == ["a", "a", "b", "c"]
    assert len(outbox) == 0


async def test_a_lane_that_is_stuck_stops_no_other(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.rules[wire.OadrResponse] = lambda m: TransportError("lost") if m.response.request_id == "a" else ok()
    client = client_of(vtn, clock)
    outbox = client._parts.outbox
    outbox.put("one", letter("a"))
    outbox.put("two", letter("b"))
    await clock.advance(10)
    assert len(outbox) == 1
    assert sent(vtn).count("b") == 1
    assert sent(vtn).count("a") > 2
    await client.close()


async def test_answers_that_the_vtn_asks_for_again_do_not_pile_up(
    vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    vtn.rules[wire.OadrResponse] = lambda _: TransportError("away")
    outbox = outbox_of(vtn, clock)
    for _ in range(MOST_LEFT_BEHIND + 2):
        await outbox.deliver(letter("a"))
    assert len(outbox) == MOST_LEFT_BEHIND
    assert len([line for line in problems(caplog.records) if "given up" in line]) == 2
    outbox.drop()
    await clock.advance(120)


async def test_a_dropped_lane_is_not_sent_any_more(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.rules[wire.OadrResponse] = lambda _: TransportError("away")
    outbox = outbox_of(vtn, clock)
    outbox.put("one", letter("a"))
    outbox.put("two", letter("b"))
    await clock.settle()
    outbox.drop("one")
    vtn.log.clear()
    await clock.advance(3)
    assert set(sent(vtn)) == {"b"}
    outbox.drop()
    await clock.advance(100)
    assert len(outbox) == 0


async def test_a_message_that_can_not_be_written_is_refused(
    vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    refused: list[Exception] = []
    broken = wire.OadrResponse(response=response("a", "not a code"))
    outbox = outbox_of(vtn, clock)
    outbox.put("lane", Letter(service="X", subject="it", build=lambda: broken, refused=refused.append))
    outbox.put("lane", letter("b"))
    await clock.settle()
    assert len(refused) == 1
    assert sent(vtn) == ["b"]
    assert any("it was refused" in line for line in problems(caplog.records))


def test_the_waits_double_up_to_the_longest() -> None:
    backoff = Backoff(random.Random(3), most_s=20)
    waits = [backoff.next() for _ in range(2000)]
    for wait, nominal in zip(waits, (1, 2, 4, 8, 16, 20, 20), strict=False):
        assert 0.9 * nominal <= wait <= 1.1 * nominal
    assert len({round(wait / 20, 3) for wait in waits[5:]}) > 50, "each is shifted at random"
    backoff.reset()
    assert backoff.next() <= 1.1


def test_the_peers_wish_counts_within_reason() -> None:
    backoff = Backoff(random.Random(3))
    assert backoff.next(30) == 30
    assert backoff.next(0.1) >= 1.8
    assert backoff.next(10**9) == MOST_RETRY_AFTER_S
