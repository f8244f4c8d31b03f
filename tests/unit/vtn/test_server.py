"""The server as a whole: settings, starting and stopping, two of them, failures of the store, idle polls."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pyopenadr.errors import ConfigError, StoreError, TransportError
from pyopenadr.model import ReportRequest
from pyopenadr.store import MemoryStore, Store
from pyopenadr.store.port import Outgoing
from pyopenadr.v2 import encode, wire
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.vtn.sample import (
    NOW,
    Broken,
    Ven,
    again,
    clock_of,
    data,
    event,
    event_response,
    eventually,
    ids,
    metadata,
    point,
    running,
    server,
)


@pytest.mark.parametrize(
    "settings",
    [
        {"vtn_id": ""},
        {"misses": 0},
        {"poll_frequency": timedelta(0)},
        {"poll_frequency": timedelta(seconds=0.5)},
        {"resend_after": timedelta(seconds=-1)},
        {"handler_timeout": timedelta(0)},
        {"host": "0.0.0.0"},
        {"host": "example.com"},
        {"database": "somewhere"},
        {"database": "mysql://x"},
        {"leniency": ("anything-goes",)},
    ],
)
def test_a_wrong_setting_is_said_at_once(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        OpenADRServer(**({"vtn_id": "vtn"} | settings))


def test_an_open_door_has_to_be_meant(caplog: pytest.LogCaptureFixture) -> None:
    OpenADRServer("vtn", host="0.0.0.0", insecure=True)
    assert "INSECURE" in caplog.text


async def test_starting_and_stopping_may_be_repeated_and_keeps_the_data(store: Store | str) -> None:
    vtn = server(store)
    await vtn.stop()
    await asyncio.gather(*(vtn.start() for _ in range(3)))
    ven = await Ven(vtn).join()
    await vtn.add_event(event())
    for _ in range(2):
        await vtn.stop()
        await vtn.stop()
        await asyncio.gather(vtn.start(), vtn.start())
        assert ids(await ven.request_events()) == ["e1"]
    await vtn.stop()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_serving_gives_an_address_and_may_be_repeated() -> None:
    vtn = server()
    async with vtn:
        await vtn.serve()
        assert vtn.url.startswith("http://127.0.0.1:")
        assert not vtn.url.endswith(":0")
        taken = server(port=int(vtn.url.rpartition(":")[2]))
        with pytest.raises(TransportError, match="can't listen"):
            await taken.serve()
        assert [t.get_name() for t in asyncio.all_tasks() if "keep_on" in repr(t)] != []
        with pytest.raises(TransportError):
            async with taken:
                pass
    async with vtn:
        assert vtn.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("by_stop", [True, False])
async def test_run_serves_until_it_is_cancelled_or_stopped(by_stop: bool) -> None:
    vtn = server()
    serving = asyncio.create_task(vtn.run())

    async def has_an_address() -> bool:
        return not vtn.url.endswith(":0")

    await eventually(has_an_address)
    await Ven(vtn).register()
    if by_stop:
        await vtn.stop()
        await serving
    else:
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_a_store_that_can_not_be_opened_is_an_error_that_leaves_nothing_behind(tmp_path: Path) -> None:
    vtn = server(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    for work in (vtn.start, vtn.serve, vtn.run):
        with pytest.raises(StoreError):
            await work()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_a_start_that_fails_half_way_can_be_repeated() -> None:
    store = Broken(MemoryStore())
    vtn = server(store)
    for step in ("open", "list_registrations", "list_events"):
        store.fails[step] = StoreError("the disk is on fire")
        with pytest.raises(StoreError, match="on fire"):
            await vtn.start()
        assert store.calls[-1] == "close"
        store.fails.clear()
    await Ven(vtn).join()
    await vtn.stop()


async def test_two_servers_share_nothing() -> None:
    async with running() as one, running() as two:
        one.add_report("tariff", points=[point()])
        two.on_poll = lambda ven_id: None
        await one.add_event(event())
        ven = await Ven(one).join()
        assert (await two.events(), two.vens) == ([], [])
        stranger = Ven(two, ven.ven_id)
        assert (await stranger.poll(wire.OadrResponse)).response.response_code == "463"
        assert ids(await ven.poll(wire.OadrDistributeEvent)) == ["e1"]


# --- idle polls ---------------------------------------------------------------------------------------------------


async def test_an_idle_poll_asks_neither_the_store_nor_the_user() -> None:
    store = Broken(MemoryStore())
    async with running(store) as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        await ven.answer(await ven.poll(wire.OadrDistributeEvent))
        assert await ven.is_idle()
        await clock_of(vtn).advance(timedelta(seconds=1))  # what has happened to the event is kept
        before = list(store.calls)
        for _ in range(100):
            assert await ven.is_idle()
        assert store.calls == before
        await clock_of(vtn).advance(timedelta(seconds=5))
        assert store.calls[len(before) :] == ["save_presence"]  # in one batch, later


# --- the store fails ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["fails", "fails_after"])
@pytest.mark.parametrize(
    "step",
    [
        "save_registration",
        "end_registration",
        "save_answers",
        "add_outgoing",
        "remove_outgoing",
        "save_opt",
        "delete_opts",
        "save_capabilities",
        "list_capabilities",
        "save_requests",
        "list_requests",
        "delete_requests",
        "save_readings",
        "list_outgoing",
        "list_answers",
        "list_opts",
    ],
)
async def test_a_store_that_fails_once_costs_a_500_and_nothing_else(step: str, when: str) -> None:
    kept = MemoryStore()
    store = Broken(kept)
    question = ReportRequest(report_request_id="q1", report_specifier_id="telemetry", r_ids=("power",))
    handlers: dict[str, Any] = {
        "on_create_party_registration": lambda payload: ("v", "r"),
        "on_register_report": lambda payload: question,
    }
    vtn = server(store, **handlers)
    ven = await Ven(vtn).join()
    await vtn.add_event(event())
    vtn = await again(vtn, store, **handlers)
    ven.vtn = vtn
    await vtn.start()
    getattr(store, when)[step] = StoreError("the disk is full")
    failed = 0
    for message in conversation(ven):
        service = SERVICE[type(message)]
        status, body = await ven.post(service, message)
        assert status == 200
        if b"500</" in body:
            failed += 1
            assert b"disk" not in body
            getattr(store, when).clear()
            status, body = await ven.post(service, message)  # the VEN repeats its request
            assert b"500</" not in body
    assert failed == 1
    assert [(a.event_id, a.modification_number) for a in await kept.list_answers()] == [("e1", 0)]
    [reading] = await kept.list_readings(ven.ven_id)
    assert reading.reading.value == 1.0
    assert await kept.list_outgoing(ven.ven_id) == []
    [registration] = await kept.list_registrations()
    assert registration.registration_id is None
    await vtn.stop()


SERVICE: dict[type[wire.Message], str] = {
    wire.OadrPoll: "OadrPoll",
    wire.OadrCreatePartyRegistration: "EiRegisterParty",
    wire.OadrCancelPartyRegistration: "EiRegisterParty",
    wire.OadrRegisterReport: "EiReport",
    wire.OadrCreatedReport: "EiReport",
    wire.OadrUpdateReport: "EiReport",
    wire.OadrRegisteredReport: "EiReport",
    wire.OadrCreatedEvent: "EiEvent",
    wire.OadrCreateOpt: "EiOpt",
    wire.OadrCancelOpt: "EiOpt",
}


def conversation(ven: Ven) -> list[wire.Message]:
    """What a VEN sends from its registration to the end of it."""
    opt = wire.OadrCreateOpt(
        opt_id="o1",
        opt_type="optIn",
        opt_reason="economic",
        ven_id=ven.ven_id,
        created_date_time=NOW,
        request_id="x",
        vavailability=(wire.WsCalendarInterval(dtstart=event().start, duration=timedelta(hours=1)),),
        target=wire.EiTarget(),
    )
    return [
        wire.OadrCreatePartyRegistration(
            request_id="x",
            ven_id=ven.ven_id,
            profile_name="2.0b",
            transport_name="simpleHttp",
            report_only=False,
            xml_signature=False,
            http_pull_model=True,
        ),
        wire.OadrPoll(ven_id=ven.ven_id),
        wire.OadrRegisteredReport(response=wire.EiResponse(response_code="200", request_id=""), ven_id=ven.ven_id),
        wire.OadrRegisterReport(request_id="x", reports=(metadata(),), ven_id=ven.ven_id),
        wire.OadrCreatedReport(
            response=wire.EiResponse(response_code="200", request_id="x"), pending_reports=("q1",), ven_id=ven.ven_id
        ),
        wire.OadrPoll(ven_id=ven.ven_id),
        wire.OadrCreatedEvent(
            response=wire.EiResponse(response_code="200", request_id=""),
            event_responses=(event_response("e1"),),
            ven_id=ven.ven_id,
        ),
        wire.OadrUpdateReport(request_id="x", reports=(data("q1", 1.0),), ven_id=ven.ven_id),
        opt,
        wire.OadrCancelOpt(request_id="x", opt_id="o1", ven_id=ven.ven_id),
        wire.OadrCancelPartyRegistration(request_id="x", registration_id="r", ven_id=ven.ven_id),
    ]


async def test_a_change_of_an_event_that_the_store_refuses_is_not_told() -> None:
    store = Broken(MemoryStore())
    async with running(store) as vtn:
        ven = await Ven(vtn).join()
        before = await vtn.add_event(event(start=NOW.replace(microsecond=0) - timedelta(minutes=59)))
        store.fails["save_event"] = StoreError("the disk is full")
        for work in (vtn.change_event("e1", priority=1), vtn.cancel_event("e1"), vtn.add_event(event("e2"))):
            with pytest.raises(StoreError):
                await work
        assert await vtn.events() == [before]
        message = await ven.poll(wire.OadrDistributeEvent)
        assert [e.event_descriptor.modification_number for e in message.events] == [0]
        await clock_of(vtn).advance(timedelta(minutes=2))  # putting it away fails, again and again
        assert len(await vtn.events()) == 1
        store.fails.clear()
        await clock_of(vtn).advance(10)
        assert await vtn.events() == []


async def test_a_cancelled_request_leaves_memory_and_store_the_same() -> None:
    kept = MemoryStore()
    store = Broken(kept)
    async with running(store) as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        reached = asyncio.Event()

        async def slowly(name: str) -> None:
            if name == "save_requests":
                reached.set()
                await asyncio.sleep(10)

        asked = asyncio.create_task(vtn.request_report(ven.ven_id, report_specifier_id="telemetry"))
        store.before = slowly
        await reached.wait()
        # The commit happens although nobody waits for it any more, as it does in a real database.
        await kept.add_outgoing(
            ven.ven_id,
            [Outgoing(item_id="reregister", kind="Reregister", body=b'{"type":"Reregister"}', created_at=NOW)],
        )
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        store.before = None
        await ven.poll(wire.OadrRequestReregistration)


async def test_many_messages_of_one_ven_at_the_same_time(store: Store | str) -> None:
    vtn = server(store)
    ven = await Ven(vtn).join()
    await ven.register_reports()
    asked = [await vtn.request_report(ven.ven_id, report_specifier_id="telemetry") for _ in range(5)]
    await vtn.add_event(event())
    await asyncio.gather(
        *(ven.update_report(data(request.report_request_id, 1.0)) for request in asked),
        *(ven.poll(wire.Message) for _ in range(5)),
        *(ven.created_event([event_response("e1")]) for _ in range(5)),
        vtn.request_reregistration(ven.ven_id),
        ven.register_reports(),
    )
    vtn = await again(vtn, store)
    ven.vtn = vtn
    kinds = set()
    while not isinstance(reply := await ven.poll(wire.Message), wire.OadrResponse):
        kinds.add(reply.message_type)
    assert kinds <= {"oadrRequestReregistration", "oadrCreateReport"}
    assert "oadrRequestReregistration" in kinds
    assert len(await vtn.answers()) == 1
    await vtn.stop()


async def test_the_bytes_of_a_message_are_all_that_a_transport_needs() -> None:
    async with running() as vtn:
        body = encode(wire.OadrPoll(ven_id="nobody"))
        assert (await vtn.handle("/OpenADR2/Simple/2.0b/OadrPoll", body))[0] == 200
        assert (await vtn.handle("/OpenADR2/Simple/2.0b/Nothing", body))[0] == 404
        assert (await vtn.handle("/OpenADR2/Simple/2.0b/OadrPoll", b"<poll/>"))[0] == 406
