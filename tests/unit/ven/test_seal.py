"""A VTN whose messages have to be signed: what is signed by it is acted on, and nothing else is."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ConfigError, SignatureInvalid
from pyopenadr.transport.port import Reply
from pyopenadr.v2 import wire
from pyopenadr.v2.codec import decode
from pyopenadr.v2.signature import Trust, sign
from pyopenadr.ven import OpenADRClient
from pyopenadr.ven.state import MemoryLedger
from tests.unit.v2.signer import Identity, ecc_ven, issue, rsa_ven, stranger
from tests.unit.ven.scripted import HOUR, NOW, ScriptedVtn, client_of, event, problems, running

EXPIRED = issue("vtn", end=NOW - HOUR)
TRUST = Trust(certificates=[ecc_ven().pem, EXPIRED.pem])


class SealedVtn(ScriptedVtn):
    """A VTN that signs. `signer` and `skew` say by whom and when; `forged` changes what is signed; `again` repeats."""

    def __init__(self, signer: Identity | None = None) -> None:
        super().__init__()
        self.signer = signer if signer is not None else ecc_ven()
        self.skew = timedelta(0)
        self.forged: Callable[[bytes], bytes] = lambda data: data
        self.again: bytes | None = None
        self._nonces = itertools.count()

    async def post(self, url: str, body: bytes) -> Reply:
        reply = await super().post(url, body)
        if reply.status != 200 or not reply.body:
            return reply
        if self.again is not None:
            return Reply(200, self.again)
        now = self.clock.now() if self.clock is not None else NOW
        document = sign(
            decode(reply.body), self.signer.signing_key, now=now + self.skew, nonce=f"n{next(self._nonces)}"
        )
        return Reply(200, self.forged(document))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


def sealed(vtn: ScriptedVtn, clock: FakeClock, **settings: object) -> OpenADRClient:
    return client_of(vtn, clock, **({"vtn_signature": TRUST, "signing_key": rsa_ven().signing_key} | settings))


async def test_both_sides_sign(clock: FakeClock) -> None:
    vtn = SealedVtn()
    async with running(sealed(vtn, clock, on_event=lambda _: "optIn"), clock) as client:
        vtn.events = [event()]
        vtn.queue.append(vtn.distribute())
        await clock.advance(10)
        assert set(client.events) == {"e1"}
    assert vtn.last(wire.OadrCreatePartyRegistration).xml_signature


def _cut(data: bytes) -> bytes:
    return data.replace(b"<ei:eventID>e1<", b"<ei:eventID>e2<")


def _unsigned(data: bytes) -> bytes:
    start, end = data.index(b"<ds:Signature>"), data.index(b"</ds:Signature>") + len(b"</ds:Signature>")
    return data[:start] + data[end:]


def by_stranger(vtn: SealedVtn) -> None:
    vtn.signer = stranger()


def by_the_ven_itself(vtn: SealedVtn) -> None:
    vtn.signer = rsa_ven()


def changed(vtn: SealedVtn) -> None:
    vtn.forged = _cut


def unsigned(vtn: SealedVtn) -> None:
    vtn.forged = _unsigned


def stale(vtn: SealedVtn) -> None:
    vtn.skew = timedelta(seconds=-61)


def from_the_future(vtn: SealedVtn) -> None:
    vtn.skew = timedelta(seconds=61)


def expired(vtn: SealedVtn) -> None:
    vtn.signer = EXPIRED


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (by_stranger, "not one that is trusted here"),
        (by_the_ven_itself, "not one that is trusted here"),
        (changed, "digest"),
        (unsigned, "is not signed"),
        (stale, "clock"),
        (from_the_future, "clock"),
        (expired, "expired"),
    ],
)
async def test_what_is_not_signed_by_the_vtn_is_not_acted_on_and_the_ven_recovers(
    clock: FakeClock, wrong: Callable[[SealedVtn], None], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    vtn = SealedVtn()
    async with running(sealed(vtn, clock, on_event=lambda _: "optIn"), clock) as client:
        well = dict(vars(vtn))
        wrong(vtn)
        vtn.events = [event()]
        vtn.rules[wire.OadrPoll] = lambda _: vtn.distribute()
        await clock.advance(30)
        assert not client.events
        assert any("is not acted on" in line and text in line for line in problems(caplog.records))
        vtn.signer, vtn.skew, vtn.forged = well["signer"], well["skew"], well["forged"]
        await clock.advance(60)
        assert set(client.events) == {"e1"}


async def test_a_message_is_taken_once_also_over_a_restart(clock: FakeClock) -> None:
    vtn, state = SealedVtn(), MemoryLedger()
    vtn.clock = clock
    recorded = sign(vtn.distribute(event()), ecc_ven().signing_key, now=NOW, nonce="once")
    client = sealed(vtn, clock, state=state)
    await client.create_party_registration()
    vtn.again = recorded
    assert (await client.poll()).message_type == "oadrDistributeEvent"
    with pytest.raises(SignatureInvalid, match="has arrived before"):
        await client.poll()
    with pytest.raises(SignatureInvalid, match="has arrived before"):
        await sealed(vtn, clock, state=state).poll()


async def test_nonces_are_forgotten_when_they_can_do_no_harm(clock: FakeClock) -> None:
    vtn, state = SealedVtn(), MemoryLedger()
    async with running(sealed(vtn, clock, state=state, signature_window=20), clock):
        await clock.advance(600)
    assert len(state._rows["nonce"]) <= 4


async def test_nothing_is_no_answer_if_it_would_have_to_be_signed(clock: FakeClock) -> None:
    vtn = SealedVtn()
    client = sealed(vtn, clock)
    await client.create_party_registration()
    vtn.rules[wire.OadrCreatedEvent] = lambda _: None
    with pytest.raises(SignatureInvalid, match="empty body"):
        await client.created_event("e1", "optIn", modification_number=0, request_id="r")


async def test_the_window_is_a_setting(clock: FakeClock) -> None:
    vtn = SealedVtn()
    vtn.skew = timedelta(seconds=-90)
    with pytest.raises(SignatureInvalid, match="90"):
        await sealed(vtn, clock).create_party_registration()
    await sealed(vtn, clock, signature_window=timedelta(minutes=2)).create_party_registration()


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ConfigError, match="signature_accept has no md5"):
        OpenADRClient("v", "https://vtn.example", vtn_signature=TRUST, signature_accept=["md5"])
