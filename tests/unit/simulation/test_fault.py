"""Faults happen as often as they should, in the same way each time, and are counted."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ConfigError, SignatureInvalid, TransportError
from pyopenadr.simulation import Faults, FaultTransport
from pyopenadr.simulation.fault import FaultKind, Tally
from pyopenadr.simulation.forgery import Forger
from pyopenadr.transport.port import Reply
from pyopenadr.v2 import encode, wire
from pyopenadr.v2.signature import Trust, verify

START = datetime(2030, 1, 1, tzinfo=UTC)
URL = "http://localhost/OpenADR2/Simple/2.0b/OadrPoll"


class Inner:
    """Answers everything, and remembers it; `fails` is what it raises instead."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.reply = Reply(200, b"fine")
        self.fails: TransportError | None = None

    async def post(self, url: str, body: bytes) -> Reply:
        self.bodies.append(body)
        if self.fails is not None:
            raise self.fails
        return self.reply

    async def close(self) -> None:
        self.bodies.clear()


class Instant(FakeClock):
    """A clock that moves on by itself when it is slept by."""

    async def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class Line:
    """A transport with faults, and all that it needs."""

    def __init__(self, faults: Faults, seed: int = 1, until: datetime | None = None) -> None:
        self.inner, self.clock, self.tally = Inner(), Instant(START), Tally()
        self.heard: list[str] = []
        self.transport = FaultTransport(
            self.inner,
            faults,
            draw=random.Random(seed),
            clock=self.clock,
            tally=self.tally,
            forge=lambda body: b"forged " + body,
            answered=lambda service, body, reply: self.heard.append(service),
            until=until,
        )

    async def send(self, times: int = 1) -> list[str]:
        """What became of each request."""
        found = []
        for number in range(times):
            try:
                await self.transport.post(URL, b"%d" % number)
                found.append("answered")
            except TransportError as error:
                found.append(str(error).partition(":")[0])
        return found


async def test_faults_come_at_their_rate_and_as_the_seed_has_it() -> None:
    faults = Faults(drop=0.1, delay=0.05, duplicate=0.05, bad_signature=0.02)
    line, again, other = Line(faults), Line(faults), Line(faults, seed=2)
    first = await line.send(4000)
    assert first == await again.send(4000)
    assert first != await other.send(4000)
    assert line.inner.bodies == again.inner.bodies
    assert line.tally.injected == again.tally.injected
    shares = {kind: count / 4000 for kind, count in line.tally.injected.items()}
    wanted = {FaultKind.DROP: 0.1, FaultKind.DELAY: 0.05, FaultKind.DUPLICATE: 0.05, FaultKind.BAD_SIGNATURE: 0.02}
    assert shares == pytest.approx(wanted, abs=0.02)
    assert line.tally.errors == {}


async def test_a_lost_request_does_not_arrive_and_a_lost_answer_does() -> None:
    line = Line(Faults(drop=1.0))
    outcomes = Counter(await line.send(100))
    assert set(outcomes) == {"the request was lost on its way", "the answer was lost on its way"}
    assert len(line.inner.bodies) == outcomes["the answer was lost on its way"]
    assert 30 < len(line.inner.bodies) < 70


async def test_repeated_delayed_and_spoiled_requests_arrive_as_such() -> None:
    line = Line(Faults(duplicate=1.0))
    assert await line.send() == ["answered"]
    assert line.inner.bodies == [b"0", b"0"]
    line = Line(Faults(delay=1.0, delay_s=10.0))
    assert await line.send() == ["answered"]
    assert timedelta(seconds=5) <= line.clock.now() - START <= timedelta(seconds=15)
    line = Line(Faults(bad_signature=1.0))
    await line.send()
    assert line.inner.bodies == [b"forged 0"]
    assert line.heard == []


async def test_a_connection_that_is_gone_comes_back() -> None:
    line = Line(Faults(disconnect=1.0, disconnect_s=100.0), until=START + timedelta(hours=1))
    assert await line.send(3) == ["there is no connection"] * 3
    assert line.tally.injected == {FaultKind.DISCONNECT: 1}
    assert line.tally.recovered == {}
    await line.clock.sleep(3600.0)  # from now on nothing goes wrong
    assert await line.send(2) == ["answered"] * 2
    assert line.tally.recovered == {FaultKind.DISCONNECT: 1}
    assert line.inner.bodies == [b"0", b"1"]


async def test_a_fault_is_recovered_with_the_next_answer() -> None:
    line = Line(Faults(drop=0.5), seed=3)
    await line.send(50)
    line.transport._until = START
    await line.send()
    assert line.tally.injected[FaultKind.DROP] > 10
    assert line.tally.recovered == line.tally.injected
    assert line.heard == ["OadrPoll"] * line.tally.exchanges
    assert len(line.tally.polls_s) == line.tally.exchanges


async def test_failures_that_nobody_arranged_are_errors() -> None:
    line = Line(Faults())
    line.inner.fails = TransportError("the cable is cut")
    assert await line.send(2) == ["the cable is cut"] * 2
    line.inner.fails, line.inner.reply = None, Reply(503, b"later")
    assert await line.send() == ["answered"]
    assert line.tally.errors == {"the cable is cut": 2, "HTTP 503 from OadrPoll": 1}
    assert line.heard == []
    await line.transport.close()
    assert line.inner.bodies == []


def test_a_forged_signature_is_right_in_itself_and_by_a_stranger() -> None:
    forger = Forger(FakeClock(START), random.Random(1))
    body = encode(wire.OadrPoll(ven_id="ven-1"))
    forged = forger(body)
    assert b"Signature" in forged
    assert forger(body) != forged
    with pytest.raises(SignatureInvalid, match="trust"):
        verify(forged, trusted=Trust(fingerprints=["00:" * 9 + "00"]), now=START, window=timedelta(minutes=1))
    assert forger(b"no message") == b"no message"


def test_some_clocks_are_wrong() -> None:
    faults = Faults(clock_skew=0.3, clock_skew_s=20.0)
    skews = [faults.skew(random.Random(seed)) for seed in range(1000)]
    wrong = [skew for skew in skews if skew is not None]
    assert 230 < len(wrong) < 370
    assert all(abs(skew) <= timedelta(seconds=20) for skew in wrong)
    assert min(wrong) < timedelta(0) < max(wrong)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"drop": 1.5}, "drop is a share"),
        ({"clock_skew": -0.1}, "clock_skew is a share"),
        ({"drop": 0.6, "delay": 0.6}, "not be more than 1"),
        ({"delay_s": 0.0}, "delay_s must be positive"),
    ],
)
def test_faults_that_make_no_sense_are_refused(settings: dict[str, float], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Faults(**settings)
