"""XML signatures at the VTN's door: whose count, what becomes of those that do not, and the replies."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ConfigError, LocalProtocolError, StoreError, StoreUnavailable
from pyopenadr.store import MemoryStore, Store, open_store
from pyopenadr.store.port import Claim
from pyopenadr.transport.tls import ServerTls
from pyopenadr.v2 import decode, wire
from pyopenadr.vtn.rate import Rates
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.vtn.party import SecureVen, authority, issued, key_of, print_of
from tests.unit.vtn.sample import NOW, OK, Ven, again, clock_of, event, event_response, running, server

MINUTE = timedelta(minutes=1)


def settings(**changes: Any) -> dict[str, Any]:
    return {"signature": "accept", "signing_key": key_of("vtn"), **changes}


async def test_a_signed_conversation_gets_signed_replies() -> None:
    async with running(**settings()) as vtn:
        ven = SecureVen(vtn, shows="ven-1", signs="ven-1")
        await ven.register(xml_signature=True)
        assert ven.last_signed("vtn").message.message_type == "oadrCreatedPartyRegistration"
        await ven.take_offer()
        await vtn.add_event(event())
        await ven.answer(await ven.request_events())
        assert ven.last_signed("vtn").message.message_type == "oadrResponse"
        assert await ven.is_idle()
        assert await ven.is_idle()
        ven.last_signed("vtn")
        assert len({*ven.seen}) == len(ven.seen)  # each signature has its own time and nonce


async def test_who_does_not_sign_gets_plain_replies() -> None:
    async with running(**settings()) as vtn:
        ven = SecureVen(vtn, shows="ven-1")
        await ven.register()
        assert not ven.is_last_signed()


async def test_off_looks_at_no_signature() -> None:
    async with running(**settings(signature="off")) as vtn:
        ven = SecureVen(vtn, shows="ven-1", signs="somebody else")
        await ven.register()
        assert ven.ven_id
        assert not ven.is_last_signed()
        await vtn.set_signature(ven.ven_id, "accept")
        assert (await ven.post("OadrPoll", wire.OadrPoll(ven_id=ven.ven_id)))[0] == 403


async def test_a_faulty_request_gets_a_signed_fault() -> None:
    async with running(**settings()) as vtn:
        ven = SecureVen(vtn, shows="ven-1", signs="ven-1")
        ven.ven_id = "unknown"
        await ven.poll(wire.OadrResponse)
        assert ven.last_signed("vtn").message["response"].response_code == "463"
        await ven.send("OadrPoll", wire.OadrQueryRegistration(request_id="x"), wire.OadrCreatedPartyRegistration)
        assert ven.last_signed("vtn").message["response"].response_code == "459"


async def test_require_refuses_what_is_not_signed() -> None:
    async with running(**settings(signature="require")) as vtn:
        ven = SecureVen(vtn, shows="ven-1")
        message = wire.OadrQueryRegistration(request_id="x")
        status, body = await ven.post("EiRegisterParty", message)
        assert (status, b"is not signed, and this VTN wants signatures: sign it" in body) == (403, True)
        status, body = await ven.post("EiEvent", wire.OadrRequestEvent(request_id="x", ven_id="a"), "2.0a")
        assert (status, b"2.0a has no signatures" in body) == (403, True)
        assert vtn.vens == []


async def test_an_idle_poll_that_was_remembered_is_refused_once_signatures_are_required() -> None:
    async with running(**settings()) as vtn:
        ven = SecureVen(vtn, shows="ven-1")
        await ven.register()
        await ven.take_offer()
        assert await ven.is_idle()
        assert await ven.is_idle()
        await vtn.set_signature(ven.ven_id, "require")
        assert (await ven.post("OadrPoll", wire.OadrPoll(ven_id=ven.ven_id)))[0] == 403
        await vtn.set_signature(ven.ven_id, None)
        assert await ven.is_idle()


async def test_require_of_one_ven_can_not_be_got_round_by_its_name_or_registration(store: Store | str) -> None:
    vtn = server(store, **settings())
    ven = SecureVen(vtn, signs="ven-1")
    await vtn.start()
    vtn._signatures._authorities = (issued_authority(),)  # type: ignore[union-attr]
    await ven.register("site")
    await vtn.set_signature(ven.ven_id, "require")
    vtn = await again(vtn, store, **settings())
    thief = Ven(vtn)
    cancel = wire.OadrCancelPartyRegistration(request_id="x", registration_id=ven.registration_id)
    create = wire.OadrCreatePartyRegistration(
        request_id="x",
        profile_name="2.0b",
        transport_name="simpleHttp",
        report_only=False,
        xml_signature=False,
        http_pull_model=True,
        registration_id=ven.registration_id,
    )
    for message in (cancel, create):
        assert (await thief.post("EiRegisterParty", message))[0] == 403
    assert [each.registration_id for each in vtn.vens] == [ven.registration_id]
    await vtn.stop()


def issued_authority() -> bytes:
    return authority().own.certificate_pem


@pytest.mark.parametrize("shows", ["ven-1", None])
async def test_nobody_signs_for_somebody_else(shows: str | None) -> None:
    async with running(**settings()) as vtn:
        ven = SecureVen(vtn, shows="ven-1", signs="ven-1")
        await ven.register()
        thief = SecureVen(vtn, shows=shows, signs="ven-2", ven_id=ven.ven_id)
        status, body = await thief.post("OadrPoll", wire.OadrPoll(ven_id=ven.ven_id))
        assert (status, b"not one that is trusted here" in body) == (403, True)


async def test_a_signature_alone_proves_who_it_is_where_the_connection_does_not(tmp_path: Path) -> None:
    """Behind plain HTTP: the certificate of the signature is bound, if the VENs' authority has issued it."""
    (tmp_path / "ca.pem").write_bytes(issued_authority())
    made = issued("vtn")
    (tmp_path / "vtn.pem").write_bytes(made.certificate_pem)
    (tmp_path / "vtn.key").write_bytes(made.key_pem)
    tls = ServerTls(certificates=[(tmp_path / "vtn.pem", tmp_path / "vtn.key")], ca_file=tmp_path / "ca.pem")
    vtn = OpenADRServer("vtn", tls=tls, clock=FakeClock(NOW), **settings(signature="require", enrolment="open"))
    ven = SecureVen(vtn, signs="ven-1")
    await ven.register()
    assert [each.fingerprint for each in vtn.vens] == [print_of("ven-1")]
    assert (await SecureVen(vtn, signs="ven-2", ven_id=ven.ven_id).post("OadrPoll", wire.OadrPoll(ven_id=ven.ven_id)))[
        0
    ] == 403
    await vtn.stop()


async def test_a_signature_of_nobody_knows_whom_is_refused() -> None:
    async with running(**settings()) as vtn:
        status, body = await SecureVen(vtn, signs="ven-1").post(
            "EiRegisterParty", wire.OadrQueryRegistration(request_id="x")
        )
        assert (status, b"nobody knows whose signature this should be" in body) == (403, True)


async def test_a_changed_or_late_message_is_refused_and_not_acted_on() -> None:
    async with running(**settings(signature_window=MINUTE)) as vtn:
        ven = SecureVen(vtn, shows="ven-1", signs="ven-1")
        await ven.register()
        cancel = wire.OadrCancelPartyRegistration(
            request_id="x", registration_id=ven.registration_id, ven_id=ven.ven_id
        )
        document = ven.document(cancel)
        changed = document.replace(b">x<", b">y<")
        status, body = await ven.deliver("EiRegisterParty", changed)
        assert (status, b"the digest" in body) == (403, True)
        await clock_of(vtn).advance(61)
        status, body = await ven.deliver("EiRegisterParty", document)
        assert (status, b"behind the clock" in body) == (403, True)
        assert [each.registration_id for each in vtn.vens] == [ven.registration_id]


async def test_a_replay_is_refused_also_after_a_restart_and_at_another_worker(postgres_url: str) -> None:
    url = postgres_url
    one, two = server(url, **settings()), server(url, **settings())
    ven = SecureVen(one, shows="ven-1", signs="ven-1")
    await ven.register()
    await two.start()
    poll = ven.document(wire.OadrPoll(ven_id=ven.ven_id))
    assert (await ven.deliver("OadrPoll", poll))[0] == 200
    for vtn in (one, two):
        ven.vtn = vtn
        status, body = await ven.deliver("OadrPoll", poll)
        assert (status, b"received before" in body) == (403, True)
    await two.stop()
    ven.vtn = await again(one, url, **settings())
    assert (await ven.deliver("OadrPoll", poll))[0] == 403
    await ven.vtn.stop()


async def test_many_messages_at_the_same_time_are_each_looked_at() -> None:
    async with running(**settings()) as vtn:
        ven = SecureVen(vtn, shows="ven-1", signs="ven-1")
        await ven.register()
        documents = [ven.document(wire.OadrPoll(ven_id=ven.ven_id)) for _ in range(10)] * 2
        replies = await asyncio.gather(*(ven.deliver("OadrPoll", document) for document in documents))
        assert sorted(status for status, _ in replies) == [200] * 10 + [403] * 10


async def test_nonces_are_forgotten_when_they_are_too_old_to_be_sent_again() -> None:
    store = MemoryStore()
    async with running(store, **settings(signature_window=MINUTE)) as vtn:
        ven = SecureVen(vtn, shows="ven-1", signs="ven-1")
        await ven.register()
        assert len(store._claims) == 1
        await clock_of(vtn).advance(62)
        await clock_of(vtn).advance(62)
        assert store._claims == {}


async def test_without_the_store_nothing_signed_is_taken() -> None:
    class Failing(MemoryStore):
        async def claim(self, claims: Any) -> list[bool]:
            raise StoreError("gone")

    async with running(Failing(), **settings()) as vtn:
        ven = SecureVen(vtn, shows="ven-1", signs="ven-1")
        message = wire.OadrQueryRegistration(request_id="x")
        assert (await ven.post("EiRegisterParty", message))[0] == 503


class Shaky(MemoryStore):
    """A store that is away at the calls named in `away`."""

    def __init__(self) -> None:
        super().__init__()
        self.away: set[str] = set()

    def _check(self, name: str) -> None:
        if name in self.away:
            raise StoreUnavailable("gone")

    async def save_answers(self, answers: Any) -> None:
        self._check("save_answers")
        await super().save_answers(answers)

    async def give_back(self, claims: Any) -> None:
        self._check("give_back")
        await super().give_back(claims)


async def test_what_could_not_be_answered_may_come_again_once_as_it_is() -> None:
    store = Shaky()
    async with running(store, **settings()) as vtn:
        ven = SecureVen(vtn, shows="ven-1", signs="ven-1")
        await ven.register()
        await vtn.add_event(event())
        told = await ven.request_events()
        response = event_response("e1", request_id=told.request_id)
        message = wire.OadrCreatedEvent(response=OK, event_responses=(response,), ven_id=ven.ven_id)
        answer = ven.document(message)
        store.away = {"save_answers"}
        for _ in range(3):
            assert (await ven.deliver("EiEvent", answer))[0] == 503
        store.away = set()
        replies = await asyncio.gather(*(ven.deliver("EiEvent", answer) for _ in range(5)))
        assert sorted(status for status, _ in replies) == [200, 403, 403, 403, 403]
        assert (await ven.deliver("EiEvent", answer))[0] == 403


async def test_a_nonce_that_can_not_be_given_back_at_once_is_given_back_later() -> None:
    store = Shaky()
    async with running(store, **settings()) as vtn:
        ven = SecureVen(vtn, shows="ven-1", signs="ven-1")
        await ven.register()
        await vtn.add_event(event())
        told = await ven.request_events()
        response = event_response("e1", request_id=told.request_id)
        message = wire.OadrCreatedEvent(response=OK, event_responses=(response,), ven_id=ven.ven_id)
        answer = ven.document(message)
        kept = len(store._claims)
        store.away = {"save_answers", "give_back"}
        assert (await ven.deliver("EiEvent", answer))[0] == 503
        await clock_of(vtn).advance(3)
        assert len(store._claims) == kept + 1
        assert (await ven.deliver("EiEvent", answer))[0] == 503  # nothing is claimed before
        store.away = set()
        await clock_of(vtn).advance(1.5)
        assert len(store._claims) == kept
        assert (await ven.deliver("EiEvent", answer))[0] == 200
        assert (await ven.deliver("EiEvent", answer))[0] == 403


async def test_a_ven_that_asks_too_often_may_ask_the_same_later() -> None:
    async with running(**settings(rates=Rates(per_ven=1, burst=4))) as vtn:
        ven = SecureVen(vtn, shows="ven-1", signs="ven-1")
        await ven.register()
        now = [0.0]
        vtn._door._vens._now = lambda: now[0]  # type: ignore[attr-defined]
        vtn._door._vens._left.clear()  # type: ignore[attr-defined]
        documents = [ven.document(wire.OadrPoll(ven_id=ven.ven_id)) for _ in range(6)]
        statuses = [(await ven.deliver("OadrPoll", document))[0] for document in documents]
        assert statuses == [200] * 4 + [503] * 2
        now[0] = 10.0
        statuses = [(await ven.deliver("OadrPoll", document))[0] for document in documents]
        assert statuses == [403] * 4 + [200] * 2


async def test_the_mode_of_a_ven_survives_its_registering_anew(store: Store | str) -> None:
    vtn = server(store, **settings())
    ven = SecureVen(vtn, shows="ven-1", signs="ven-1")
    await ven.register()
    await vtn.set_signature(ven.ven_id, "require")
    await ven.register()
    vtn = await again(vtn, store, **settings())
    await vtn.start()
    assert [each.signature for each in vtn.vens] == ["require"]
    await vtn.stop()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"signing_key": None}, "give signing_key"),
        ({"signing_key": None, "signature": "require"}, "give signing_key"),
        ({"signature": "maybe"}, "off, accept, require"),
        ({"signature_window": timedelta(0)}, "signature_window must be positive"),
        ({"signature_forms": ["md5"]}, "no signature switch md5"),
    ],
)
def test_a_wrong_setting_is_said_at_once(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        server(**settings(**changes))


async def test_a_mode_needs_a_ven_and_a_key() -> None:
    async with running() as vtn:
        with pytest.raises(ConfigError, match="signing_key"):
            await vtn.set_signature("x", "require")
        with pytest.raises(LocalProtocolError, match="no VEN 'x'"):
            await vtn.set_signature("x", "off")


async def test_claims_of_signatures_name_the_key_and_not_the_ven() -> None:
    store = open_store()
    async with running(store, **settings()) as vtn:
        ven = SecureVen(vtn, shows="ven-1", signs="ven-1")
        await ven.register()
        document = ven.document(wire.OadrPoll(ven_id=ven.ven_id))
        await ven.deliver("OadrPoll", document)
        assert decode(document).signature is not None
        (first, _) = store._claims  # type: ignore[attr-defined]
        assert await store.claim([Claim(scope=first[0], name=first[1], expires_at=NOW)]) == [False]
