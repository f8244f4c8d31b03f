"""Registration: who gets which IDs, what a VEN loses by registering anew, and how a registration ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ConfigError, LocalProtocolError
from pyopenadr.store import MemoryStore, Store
from pyopenadr.v2 import wire
from tests.unit.vtn.sample import Ven, again, answer_to, clock_of, event, ids, running, server


async def test_a_new_ven_gets_ids_and_is_asked_to_take_note_of_the_reports_first() -> None:
    async with running() as vtn:
        ven = Ven(vtn)
        reply = await ven.register()
        assert (reply.response.response_code, reply.response.request_id) == ("200", "r1")
        assert reply.ven_id
        assert reply.registration_id
        assert reply.vtn_id == "vtn"
        assert reply.requested_oadr_poll_freq is not None
        assert [p.profile_name for p in reply.profiles] == ["2.0a", "2.0b"]
        await vtn.add_event(event())
        offer = await ven.poll(wire.OadrRegisterReport)
        assert (offer.reports, offer.report_request_id, offer.ven_id) == ((), None, ven.ven_id)


async def test_a_query_says_what_there_is_and_registers_nobody() -> None:
    async with running() as vtn:
        reply = await Ven(vtn).send(
            "EiRegisterParty", wire.OadrQueryRegistration(request_id="x"), wire.OadrCreatedPartyRegistration
        )
        assert (reply.ven_id, reply.registration_id, reply.response.request_id) == (None, None, "x")
        assert vtn.vens == []


async def test_a_lost_reply_to_a_registration_leaves_one_ven() -> None:
    async with running() as vtn:
        first = await Ven(vtn).register("site")
        second = await Ven(vtn).register("site")
        assert first.ven_id == second.ven_id
        assert first.registration_id != second.registration_id
        assert len(vtn.vens) == 1


async def test_vens_that_register_at_the_same_time_under_one_name_are_one_ven() -> None:
    async with running() as vtn:
        replies = await asyncio.gather(*(Ven(vtn).register("site") for _ in range(5)))
        assert len({reply.ven_id for reply in replies}) == 1
        assert [ven.registration_id for ven in vtn.vens] == [replies[-1].registration_id]


async def test_nameless_vens_are_different_ones() -> None:
    async with running() as vtn:
        assert (await Ven(vtn).register(None)).ven_id != (await Ven(vtn).register(None)).ven_id


async def test_a_ven_may_bring_its_own_id() -> None:
    async with running() as vtn:
        assert (await Ven(vtn).register(None, ven_id="mine")).ven_id == "mine"


async def test_registering_again_with_its_ids_changes_nothing_but_what_it_says(store: Store | str) -> None:
    vtn = server(store)
    ven = await Ven(vtn).join()
    await ven.register_reports()
    await vtn.request_report(ven.ven_id, report_specifier_id="telemetry")
    reply = await ven.register("other name", ven_id=ven.ven_id, registration_id=ven.registration_id)
    assert (reply.ven_id, reply.registration_id) == (ven.ven_id, ven.registration_id)
    assert [v.ven_name for v in vtn.vens] == ["other name"]
    assert len(await vtn.report_requests(ven.ven_id)) == 1
    await ven.poll(wire.OadrCreateReport)
    vtn = await again(vtn, store)
    assert [v.registration_id for v in vtn.vens] == []  # nothing is loaded before the start
    await vtn.start()
    assert [v.registration_id for v in vtn.vens] == [ven.registration_id]
    await vtn.stop()


async def test_registering_anew_wipes_reports_and_tells_events_again(store: Store | str) -> None:
    vtn = server(store)
    ven = await Ven(vtn).join()
    await ven.register_reports()
    await vtn.request_report(ven.ven_id, report_specifier_id="telemetry")
    await vtn.add_event(event())
    await ven.answer(await ven.poll(wire.OadrDistributeEvent))
    await clock_of(vtn).advance(1)
    old = ven.registration_id
    await ven.register(ven_id=ven.ven_id)
    assert ven.registration_id != old
    assert await vtn.capabilities(ven.ven_id) == []
    assert await vtn.report_requests(ven.ven_id) == []
    vtn = await again(vtn, store)
    ven.vtn = vtn
    await ven.take_offer()
    assert ids(await ven.poll(wire.OadrDistributeEvent)) == ["e1"]
    await vtn.stop()


@pytest.mark.parametrize(
    "wrong",
    [
        {"registration_id": "wrong"},
        {"registration_id": "wrong", "ven_id": "known"},
        {"registration_id": "wrong", "ven_id": "unknown"},
        {"registration_id": "right", "ven_id": "unknown"},
        {"registration_id": "right", "ven_id": "other"},
    ],
)
async def test_wrong_ids_are_452_and_change_nothing(wrong: dict[str, str]) -> None:
    async with running() as vtn:
        ven, other = Ven(vtn), Ven(vtn)
        await ven.register("one")
        await other.register("two")
        names = {"known": ven.ven_id, "other": other.ven_id, "right": ven.registration_id}
        before = vtn.vens
        reply = await Ven(vtn).register("x", **{key: names.get(value, value) for key, value in wrong.items()})
        assert reply.response.response_code == "452"
        assert (reply.ven_id, reply.registration_id) == (None, None)
        assert reply.requested_oadr_poll_freq is not None
        assert vtn.vens == before


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"transport_name": "xmpp", "transport_address": "a@b/c"}, "459"),
        ({"http_pull_model": False, "transport_address": "http://a"}, "459"),
        ({"http_pull_model": None}, "200"),
    ],
)
async def test_what_the_vtn_does_not_speak_is_refused(fields: dict[str, Any], code: str) -> None:
    async with running() as vtn:
        reply = await Ven(vtn).register(**fields)
        assert reply.response.response_code == code
        assert len(vtn.vens) == (code == "200")


@pytest.mark.parametrize(
    ("answer", "ven_id", "code"),
    [
        (None, None, "200"),
        (True, None, "200"),
        (("v7", "g7"), "v7", "200"),
        (("v7", None), "v7", "200"),
        (False, None, "463"),
        ("v7", None, "500"),
        ((1, 2), None, "500"),
        (("", ""), None, "500"),
    ],
)
async def test_the_users_code_admits_and_names_vens(answer: object, ven_id: str | None, code: str) -> None:
    async with running(on_create_party_registration=lambda payload: answer) as vtn:
        reply = await Ven(vtn).register()
        assert reply.response.response_code == code
        assert (reply.ven_id == ven_id) if ven_id else (bool(reply.ven_id) == (code == "200"))
        assert len(vtn.vens) == (code == "200")


async def test_a_reply_made_by_the_user_gets_the_ids() -> None:
    def create(payload: wire.OadrCreatePartyRegistration) -> wire.OadrCreatedPartyRegistration:
        profile = wire.OadrProfile(profile_name="2.0b", transports=("simpleHttp",))
        return wire.OadrCreatedPartyRegistration(response=answer_to("r1"), vtn_id="vtn", profiles=(profile,))

    async with running(on_create_party_registration=create) as vtn:
        reply = await Ven(vtn).register()
        assert [(v.ven_id, v.registration_id) for v in vtn.vens] == [(reply.ven_id, reply.registration_id)]
        assert len(reply.profiles) == 1
        assert reply.requested_oadr_poll_freq is not None


async def test_an_id_of_somebody_else_from_the_users_code_is_an_error_and_changes_nothing() -> None:
    async with running(on_create_party_registration=lambda payload: (payload.ven_name, "same")) as vtn:
        assert (await Ven(vtn).register("a")).response.response_code == "200"
        assert (await Ven(vtn).register("b")).response.response_code == "500"
        assert [v.ven_id for v in vtn.vens] == ["a"]


# --- the end ------------------------------------------------------------------------------------------------------


def cancel(ven: Ven, **fields: Any) -> wire.OadrCancelPartyRegistration:
    defaults: dict[str, Any] = {
        "request_id": "c1",
        "ven_id": ven.ven_id,
        "registration_id": ven.registration_id,
    }
    return wire.OadrCancelPartyRegistration(**(defaults | fields))


@pytest.mark.parametrize("with_ven_id", [True, False])
async def test_a_ven_ends_its_registration_also_twice(with_ven_id: bool) -> None:
    called: list[str] = []
    async with running(on_cancel_party_registration=lambda payload: called.append(payload.registration_id)) as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        message = cancel(ven) if with_ven_id else cancel(ven, ven_id=None)
        reply = await ven.send("EiRegisterParty", message, wire.OadrCanceledPartyRegistration)
        assert (reply.response.response_code, reply.registration_id) == ("200", ven.registration_id)
        assert (await ven.poll(wire.OadrResponse)).response.response_code == "463"
        assert await vtn.capabilities(ven.ven_id) == []
        # The reply was lost, so the VEN asks again.
        repeated = await ven.send("EiRegisterParty", cancel(ven), wire.OadrCanceledPartyRegistration)
        assert repeated.response.response_code == "200"
        assert called == [ven.registration_id]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"registration_id": "wrong"}, "452"),
        ({"ven_id": "nobody"}, "463"),
        ({"ven_id": None, "registration_id": "wrong"}, "463"),
    ],
)
async def test_a_cancellation_with_wrong_ids_ends_nothing(fields: dict[str, Any], code: str) -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        reply = await ven.send("EiRegisterParty", cancel(ven, **fields), wire.OadrCanceledPartyRegistration)
        assert reply.response.response_code == code
        assert await ven.is_idle()


async def test_the_vtn_ends_a_registration_when_the_ven_has_answered(store: Store | str) -> None:
    vtn = server(store)
    ven = await Ven(vtn).join()
    await vtn.cancel_registration(ven.ven_id)
    await ven.poll(wire.OadrCancelPartyRegistration)  # and the reply is lost
    vtn = await again(vtn, store)
    ven.vtn = vtn
    asked = await ven.poll(wire.OadrCancelPartyRegistration)
    assert asked.registration_id == ven.registration_id
    for _ in range(2):  # the second time because the reply is lost
        done = wire.OadrCanceledPartyRegistration(response=answer_to(asked.request_id), ven_id=ven.ven_id)
        reply = await ven.send("EiRegisterParty", done, wire.OadrResponse)
        assert reply.response.response_code == "200"
    assert (await ven.poll(wire.OadrResponse)).response.response_code == "463"
    await vtn.stop()


async def test_a_ven_may_refuse_to_leave() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.cancel_registration(ven.ven_id)
        asked = await ven.poll(wire.OadrCancelPartyRegistration)
        refused = wire.OadrCanceledPartyRegistration(response=answer_to(asked.request_id, "452"), ven_id=ven.ven_id)
        await ven.send("EiRegisterParty", refused, wire.OadrResponse)
        assert await ven.is_idle()


async def test_a_plain_response_ends_a_registration_too() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.cancel_registration(ven.ven_id)
        asked = await ven.poll(wire.OadrCancelPartyRegistration)
        message = wire.OadrResponse(response=answer_to(asked.request_id), ven_id=ven.ven_id)
        assert await ven.post("EiRegisterParty", message) == (200, b"")
        assert (await ven.poll(wire.OadrResponse)).response.response_code == "463"


async def test_a_reregistration_is_asked_for_once(store: Store | str) -> None:
    vtn = server(store)
    ven = await Ven(vtn).join()
    await vtn.request_reregistration(ven.ven_id)
    await ven.poll(wire.OadrRequestReregistration)
    message = wire.OadrResponse(response=answer_to(), ven_id=ven.ven_id)
    assert await ven.post("EiRegisterParty", message) == (200, b"")
    await clock_of(vtn).advance(120)
    assert await ven.is_idle()
    await vtn.stop()


async def test_whoever_registers_again_needs_not_be_asked_to(store: Store | str) -> None:
    vtn = server(store)
    ven = await Ven(vtn).join()
    await vtn.request_reregistration(ven.ven_id)
    vtn = await again(vtn, store)  # so the queue is in the store only
    ven.vtn = vtn
    await ven.register(ven_id=ven.ven_id, registration_id=ven.registration_id)
    assert await ven.is_idle()
    vtn = await again(vtn, store)
    ven.vtn = vtn
    assert await ven.is_idle()
    await vtn.stop()


# --- without a message --------------------------------------------------------------------------------------------


async def test_a_ven_added_by_the_program_stays_as_it_is_at_the_next_start(store: Store | str) -> None:
    vtn = server(store)
    registration = await vtn.add_ven("v1", ven_name="one")
    ven = Ven(vtn, "v1")
    await ven.take_offer()
    await ven.register_reports()
    await vtn.request_report("v1", report_specifier_id="telemetry")
    vtn = await again(vtn, store)
    assert (await vtn.add_ven("v1", ven_name="new name")).registration_id == registration.registration_id
    assert [v.ven_name for v in vtn.vens] == ["new name"]
    assert len(await vtn.report_requests("v1")) == 1
    await vtn.stop()


async def test_the_program_is_told_of_vens_that_are_not_there() -> None:
    async with running() as vtn:
        for work in (
            vtn.cancel_registration("nobody"),
            vtn.request_reregistration("nobody"),
            vtn.request_report("nobody", report_specifier_id="x"),
            vtn.cancel_report("nobody", "x"),
        ):
            with pytest.raises(LocalProtocolError, match="nobody"):
                await work
        with pytest.raises(ConfigError):
            await vtn.add_ven("")
        with pytest.raises(ConfigError):
            await vtn.add_ven("x", profile="3.0")


async def test_the_poll_frequency_is_that_of_the_server_at_each_registration() -> None:
    store = MemoryStore()
    vtn = server(store)
    ven = await Ven(vtn).join()
    vtn = await again(vtn, store, poll_frequency=timedelta(seconds=30))
    ven.vtn = vtn
    reply = await ven.register(ven_id=ven.ven_id, registration_id=ven.registration_id)
    assert reply.requested_oadr_poll_freq == timedelta(seconds=30)
    await vtn.stop()


async def test_a_registration_is_registered_at_once_and_seen() -> None:
    async with running(clock=FakeClock(event().start)) as vtn:
        ven = Ven(vtn)
        await ven.register()
        [known] = vtn.vens
        assert (known.online, known.last_seen) == (True, event().start)
        await vtn.add_ven("quiet")
        assert [v.last_seen for v in vtn.vens if v.ven_id == "quiet"] == [None]
