"""Features of docs/reference/features.md as a user meets them: our server and our client with each other."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from pyopenadr import Area, Event, Interval, OpenADRClient, Reading, ReportRequest, Signal, Span, Target
from pyopenadr.clock import FakeClock
from pyopenadr.errors import SchemaMismatch
from pyopenadr.model import Capability, Report
from pyopenadr.transport.memory import MemoryTransport
from pyopenadr.transport.port import Reply
from pyopenadr.v2 import decode, encode, wire
from pyopenadr.v2.bridge import lower_readings
from pyopenadr.v2.profile import A, B
from pyopenadr.vtn.question import QUESTIONS
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.ven import scripted
from tests.unit.vtn.sample import (
    HOUR,
    MINUTE,
    NOW,
    OK,
    SECOND,
    Ven,
    clock_of,
    data,
    event,
    eventually,
    ids,
    point,
    running,
    server,
)

TARIFF = ReportRequest(report_request_id="mine", report_specifier_id="tariff", r_ids=("price",))
METER = ReportRequest(report_request_id="yours", report_specifier_id="meter", r_ids=("power",))
PRICE = (Reading(r_id="price", start=SECOND, value=0.25),)


class Wire:
    """A `Transport` to the server in the same process. It notes what goes through it, as pairs of message types."""

    def __init__(self, vtn: OpenADRServer) -> None:
        self.exchanges: list[tuple[str, str]] = []
        self._transport = MemoryTransport(vtn.handle)

    async def post(self, url: str, body: bytes) -> Reply:
        reply = await self._transport.post(url, body)
        answer = decode(reply.body).message.message_type if reply.body else ""
        self.exchanges.append((decode(body).message.message_type, answer))
        return reply

    async def close(self) -> None:
        await self._transport.close()


def ven_of(vtn: OpenADRServer, **settings: Any) -> OpenADRClient:
    """A client of the server, with the server's clock."""
    defaults: dict[str, Any] = {"transport": Wire(vtn), "random": random.Random(1), "jitter": 0.0}
    return OpenADRClient("site", "https://vtn.example", clock=vtn.clock, **(defaults | settings))


@asynccontextmanager
async def joined(vtn: OpenADRServer, client: OpenADRClient) -> AsyncIterator[OpenADRClient]:
    """The client in auto mode, registered, with nothing left to fetch."""
    client.auto_polling = True
    async with client:
        await passing(vtn, lambda: client.registered)
        await clock_of(vtn).advance(10)
        yield client


async def passing(vtn: OpenADRServer, condition: Callable[[], object]) -> None:
    """Let time pass, second by second, until the condition holds."""

    async def holds() -> object:
        await clock_of(vtn).advance(1)
        return condition()

    await eventually(holds)


def is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


# --- the module, and its client -----------------------------------------------------------------------------------


@pytest.mark.parametrize("opt_type", ["optIn", "optOut"])
async def test_the_opt_that_a_handler_returns_reaches_the_server(opt_type: str) -> None:
    heard: list[wire.OadrCreatedEvent] = []
    async with running(on_created_event=heard.append) as vtn:
        async with joined(vtn, ven_of(vtn, on_event=lambda it: opt_type)) as client:
            await vtn.add_event(event())
            await passing(vtn, lambda: heard)
        [message] = heard
        [answer] = message["event_responses"]
        assert (message["ven_id"], answer["event_id"], answer["opt_type"]) == (client.ven_id, "e1", opt_type)
        assert [(each.event_id, each.opt_type) for each in await vtn.answers()] == [("e1", opt_type)]


async def test_everything_runs_as_coroutines_on_one_loop() -> None:
    loop = asyncio.get_running_loop()
    before = threading.active_count()
    calls: list[str] = []

    def asked(name: str, answer: object = None) -> Callable[[Any], Coroutine[Any, Any, Any]]:
        async def handler(_: Any) -> object:
            assert asyncio.get_running_loop() is loop
            assert threading.active_count() <= before
            calls.append(name)
            await asyncio.sleep(0)
            return answer

        return handler

    names = ("on_created_event", "on_update_report", "on_ven_online")
    handlers: dict[str, Any] = {name: asked(name) for name in names}
    async with running(**handlers) as vtn:
        vtn.add_report("tariff", points=[point()], source=asked("source", {"price": 0.25}))
        clients = [
            OpenADRClient(
                name,
                "https://vtn.example",
                transport=Wire(vtn),
                clock=vtn.clock,
                on_event=asked("on_event", "optIn"),
                on_report=asked("on_report"),
                wanted_reports=asked("wanted_reports", [TARIFF]),
                next_report=asked("next_report", {"power": 1.5}),
            )
            for name in ("one", "two", "three")
        ]
        for client in clients:
            client.add_report(points=[point("power")], report_specifier_id="meter")
        async with joined(vtn, clients[0]), joined(vtn, clients[1]), joined(vtn, clients[2]):
            await vtn.add_event(event())
            for client in clients:
                assert client.ven_id is not None
                await vtn.request_report(client.ven_id, report_specifier_id="meter")
            kinds = {*names, "source", "on_event", "on_report", "wanted_reports", "next_report"}
            await passing(vtn, lambda: all(calls.count(kind) == len(clients) for kind in kinds))
            assert set(calls) == kinds


@pytest.mark.parametrize("is_plain", [True, False])
async def test_every_handler_of_the_client_may_be_a_function_or_a_coroutine(is_plain: bool) -> None:
    calls: list[str] = []

    def handler(name: str, answer: object = None) -> Callable[[Any], Any]:
        def plain(_: Any) -> object:
            assert is_main_thread() is not is_plain
            calls.append(name)
            return answer

        async def coroutine(argument: Any) -> object:
            return plain(argument)

        return plain if is_plain else coroutine

    kinds = {"on_event": "optIn", "on_report": None, "next_report": {"power": 1.5}, "wanted_reports": [TARIFF]}
    async with running() as vtn:
        vtn.add_report("tariff", points=[point()], source=lambda request: {"price": 0.25})
        client = ven_of(vtn, **{name: handler(name, answer) for name, answer in kinds.items()})
        client.add_report(points=[point("power")], report_specifier_id="meter")
        async with joined(vtn, client):
            assert client.ven_id is not None
            await vtn.add_event(event())
            await vtn.request_report(client.ven_id, report_specifier_id="meter")
            await passing(vtn, lambda: sorted(calls) == sorted(kinds) and client.unsent == 0)
        assert [answer.opt_type for answer in await vtn.answers()] == ["optIn"]
        assert [stored.reading.value for stored in await vtn.readings(client.ven_id)] == [1.5]


@pytest.mark.parametrize("is_plain", [True, False])
async def test_a_handler_that_sleeps_does_not_delay_polling(is_plain: bool) -> None:
    clock, vtn = FakeClock(scripted.NOW), scripted.ScriptedVtn()
    release = threading.Event()

    def plain(_: Event) -> str:
        release.wait(20)
        return "optIn"

    async def coroutine(_: Event) -> str:
        while not release.is_set():
            await clock.sleep(1)
        return "optIn"

    handler: Callable[[Event], Any] = plain if is_plain else coroutine
    client = scripted.client_of(vtn, clock, on_event=handler, handler_timeout_s=1000)
    vtn.events = [scripted.event()]
    try:
        async with scripted.running(client, clock):
            await clock.advance(60)
            assert len(vtn.sent(wire.OadrPoll)) == 7, "one at once, and one each 10 seconds"
            assert not vtn.sent(wire.OadrCreatedEvent)
            release.set()
            await clock.advance(1)
            await scripted.threads(clock, lambda: bool(vtn.sent(wire.OadrCreatedEvent)))
            responses = vtn.last(wire.OadrCreatedEvent).event_responses
            assert responses is not None
            assert [response.opt_type for response in responses] == ["optIn"]
    finally:
        release.set()


async def test_a_name_and_an_address_are_enough_for_a_client() -> None:
    async with server() as vtn:
        client = OpenADRClient("site", vtn.url)
        task = asyncio.create_task(client.run())

        async def has_polled() -> bool:
            return client.registered and [ven.ven_name for ven in vtn.vens if ven.online] == ["site"]

        await eventually(has_polled)
        await client.stop()
        await task


NATIVE = (dict, list, str, bool, int, float, datetime, timedelta, type(None))


def leaves(value: object) -> list[object]:
    """The value and all that is in it."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(leaf for each in inside for leaf in leaves(each))]


async def test_manual_mode_registers_once_and_polls_as_often_as_wanted() -> None:
    async with running() as vtn:
        client = ven_of(vtn)
        await client.create_party_registration()
        await vtn.add_event(event())
        answers = [await client.poll() for _ in range(4)]
        assert [kind for kind, _ in answers] == [
            "oadrRegisterReport",
            "oadrDistributeEvent",
            "oadrResponse",
            "oadrResponse",
        ]
        for answer in answers:
            assert isinstance(answer, tuple)
            assert type(answer[1]) is dict
            assert {type(leaf) for leaf in leaves(answer[1])} <= set(NATIVE)


async def test_auto_polling_is_a_switch_on_the_client() -> None:
    async with running() as vtn:
        client = ven_of(vtn)
        assert not client.auto_polling
        client.auto_polling = True
        async with client:
            await passing(vtn, lambda: client.registered)
            before = [ven.last_seen for ven in vtn.vens]
            await clock_of(vtn).advance(30)
            assert [ven.last_seen for ven in vtn.vens] != before


async def test_each_report_of_a_message_is_handed_over_by_itself() -> None:
    clock, vtn = FakeClock(scripted.NOW), scripted.ScriptedVtn()
    taken: list[float] = []

    async def on_report(report: Report) -> None:
        taken.append(report.readings[0].value)  # type: ignore[arg-type]  # these are numbers

    reports = tuple(
        lower_readings(TARIFF, "TELEMETRY_USAGE", [Reading(r_id="price", start=NOW, value=value)], created=created)
        for value, created in ((1.0, NOW), (2.0, NOW + MINUTE))
    )
    vtn.queue.append(wire.OadrUpdateReport(request_id="u", reports=reports))
    async with scripted.running(scripted.client_of(vtn, clock, on_report=on_report), clock):
        assert taken == [1.0, 2.0]
        assert len(vtn.sent(wire.OadrUpdatedReport)) == 1


# --- the server, and its handlers ---------------------------------------------------------------------------------


async def test_a_server_without_any_handler_keeps_everything() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        asked = await vtn.request_report(ven.ven_id, report_specifier_id="telemetry")
        question = await ven.poll(wire.OadrCreateReport)
        await ven.created_report(question.request_id, asked.report_request_id)
        await ven.update_report(data(asked.report_request_id, 1.5))
        await vtn.add_event(event())
        await ven.answer(await ven.poll(wire.OadrDistributeEvent), "optOut")
        assert [each.online for each in vtn.vens] == [True]
        assert [each.report_specifier_id for each in await vtn.capabilities(ven.ven_id)] == ["telemetry"]
        assert [each.reading.value for each in await vtn.readings(ven.ven_id)] == [1.5]
        assert [(each.event_id, each.opt_type) for each in await vtn.answers()] == [("e1", "optOut")]


async def test_no_event_of_the_users_is_the_blank_response_to_a_poll() -> None:
    asked: list[str] = []
    async with running(on_request_event=asked.append) as vtn:  # append returns None
        ven = await Ven(vtn).join()
        await vtn.add_event(event("the server's own"))
        assert await ven.is_idle()
        assert ids(await ven.request_events()) == []
        assert set(asked) == {ven.ven_id}


def tariff_report() -> Report:
    return Report(
        report_request_id="mine",
        report_specifier_id="tariff",
        report_name="TELEMETRY_USAGE",
        created_date_time=SECOND,
        readings=PRICE,
    )


async def test_on_poll_gives_the_next_message_in_line() -> None:
    line: list[Event | Report | None] = [tariff_report(), event("mine"), None]
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event("the server's own"))
        vtn.on_poll = lambda ven_id: line.pop(0)
        update = await ven.poll(wire.OadrUpdateReport)
        assert [each.report_request_id for each in update.reports] == ["mine"]
        assert ids(await ven.poll(wire.OadrDistributeEvent)) == ["mine"]
        assert await ven.is_idle()


async def test_a_report_of_on_poll_arrives_also_when_something_else_waits() -> None:
    line: list[Report | None] = [tariff_report()]
    async with running(on_poll=lambda ven_id: line.pop() if line else None) as vtn:
        ven = Ven(vtn)
        await ven.register()  # after which the VTN's own oadrRegisterReport waits
        kinds = [(await ven.poll(wire.Message)).message_type for _ in range(3)]
        assert "oadrUpdateReport" in kinds


def class_of_ones_own(is_plain: bool, note: Callable[[str], None]) -> object:
    """An object whose class has a method for every question; the methods note that they were called."""

    def method(name: str) -> Callable[..., Any]:
        def plain(self: object, argument: object) -> None:
            assert is_main_thread() is not is_plain
            note(name)

        async def coroutine(self: object, argument: object) -> None:
            plain(self, argument)

        return plain if is_plain else coroutine

    return type("Mine", (), {name: method(name) for name in QUESTIONS})()


@pytest.mark.parametrize("is_plain", [True, False])
async def test_a_class_of_ones_own_answers_every_question(is_plain: bool) -> None:
    asked: list[str] = []
    async with running(backend=class_of_ones_own(is_plain, asked.append)) as vtn:
        client = ven_of(vtn)
        await client.query_registration()
        await client.create_party_registration()
        assert (await client.poll()).message_type == "oadrResponse"
        vtn.on_poll = None  # back to the default, which asks for the rest
        await client.handle(*await client.poll())  # the VTN's reports, and our oadrRegisteredReport
        assert (await client.poll()).message_type == "oadrResponse"
        await client.request_event()
        await client.register_reports()
        await client.create_report([TARIFF])
        opt = await client.create_opt("optOut", availability=[Span(SECOND + HOUR, SECOND + 2 * HOUR)])
        await client.cancel_opt(opt.payload["opt_id"])
        for service, message in (
            ("EiEvent", wire.OadrCreatedEvent(response=OK, event_responses=(), ven_id=client.ven_id or "")),
            ("EiReport", wire.OadrCreatedReport(response=OK, pending_reports=(), ven_id=client.ven_id)),
            ("EiReport", wire.OadrUpdateReport(request_id="u", reports=(data("x", 1.0),), ven_id=client.ven_id)),
        ):
            await client.send(service, message)
        await client.cancel_party_registration()
        await passing(vtn, lambda: set(asked) == set(QUESTIONS) - {"on_event_unanswered", "on_certificate_expiring"})


@pytest.mark.parametrize(("settings", "misses"), [({}, 3), ({"misses": 1}, 1), ({"misses": 5}, 5)])
@pytest.mark.parametrize("seconds", [10, 60])
async def test_a_ven_is_offline_after_three_polling_intervals_or_as_many_as_you_say(
    settings: dict[str, Any], misses: int, seconds: int
) -> None:
    gone: list[str] = []
    async with running(on_ven_offline=gone.append, poll_frequency=timedelta(seconds=seconds), **settings) as vtn:
        ven = await Ven(vtn).join()
        await clock_of(vtn).advance(misses * seconds)
        assert [each.online for each in vtn.vens] == [True]
        await clock_of(vtn).advance(seconds / 2 + 1)  # the server looks each half interval
        assert [each.online for each in vtn.vens] == [False]
        await passing(vtn, lambda: gone == [ven.ven_id])


# --- the flows ----------------------------------------------------------------------------------------------------


async def test_the_ceremony_of_reports_runs_once_each_way() -> None:
    offered: list[Capability] = []
    taken: list[Report] = []

    async def wanted_reports(capabilities: tuple[Capability, ...]) -> list[ReportRequest]:
        offered.extend(capabilities)
        return [TARIFF]

    async def on_report(report: Report) -> None:
        taken.append(report)

    async with running(on_register_report=lambda payload: METER) as vtn:
        vtn.add_report("tariff", points=[point()], source=lambda request: {"price": 0.25})
        transport = Wire(vtn)
        client = ven_of(vtn, transport=transport, wanted_reports=wanted_reports, on_report=on_report)
        client.add_report(points=[point("power")], report_specifier_id="meter", source=lambda r_id: 1.5)
        async with joined(vtn, client):
            ven_as_source = [
                ("oadrRegisterReport", "oadrRegisteredReport"),  # with the VTN's request in it
                ("oadrCreatedReport", "oadrResponse"),
                ("oadrUpdateReport", "oadrUpdatedReport"),
            ]
            vtn_as_source = [
                ("oadrPoll", "oadrRegisterReport"),
                ("oadrRegisteredReport", "oadrResponse"),
                ("oadrCreateReport", "oadrCreatedReport"),
                ("oadrPoll", "oadrUpdateReport"),
                ("oadrUpdatedReport", "oadrResponse"),
            ]
            await passing(vtn, lambda: {ven_as_source[-1], vtn_as_source[-1]} <= set(transport.exchanges))
            for ceremony in (ven_as_source, vtn_as_source):
                assert [each for each in transport.exchanges if each in ceremony] == ceremony
        assert [each.report_specifier_id for each in offered] == ["tariff"]
        assert [(reading.r_id, reading.value) for report in taken for reading in report.readings] == [("price", 0.25)]
        assert client.ven_id is not None
        assert [each.reading.value for each in await vtn.readings(client.ven_id)] == [1.5]


def test_2_0b_has_no_message_to_fetch_a_report() -> None:
    names = {kind.tag.partition(":")[2] for profile in (A, B) for kind in profile.messages}
    assert {"oadrRequestEvent", "oadrUpdateReport"} <= names
    assert "oadrRequestReport" not in names
    poll = encode(wire.OadrPoll(ven_id="v"))
    with pytest.raises(SchemaMismatch, match="oadrRequestReport"):
        decode(poll.replace(b"oadrPoll", b"oadrRequestReport"))


async def test_an_event_arrives_with_tolerance_targets_and_signals() -> None:
    heard: list[Event] = []

    async def on_event(it: Event) -> str:
        heard.append(it)
        return "optIn"

    steps = (Interval(20 * MINUTE, 1.0), Interval(10 * MINUTE, 3.0), Interval(30 * MINUTE, 2.0))
    sent = event(
        start_after=5 * MINUTE,
        target=Target(
            group_ids=("north",),
            end_device_assets=("Thermostat",),
            service_areas=(Area((52.0, 4.0, 52.0, 5.0, 53.0, 5.0, 52.0, 4.0)),),
        ),
        signals=(
            Signal(signal_name="SIMPLE", signal_type="level", signal_id="s1", intervals=steps),
            Signal(signal_name="x-price", signal_type="price", signal_id="s2", intervals=(Interval(HOUR, 0.25),)),
        ),
    )
    async with running() as vtn, joined(vtn, ven_of(vtn, on_event=on_event)) as client:
        await vtn.add_event(sent)
        await passing(vtn, lambda: heard)
        [it] = heard
        assert (it.start, it.duration, it.start_after) == (sent.start, HOUR, 5 * MINUTE)
        assert it.start <= client.executed_span("e1").start <= it.start + 5 * MINUTE
        assert it.target == sent.target
        assert it.signals == sent.signals
        starts = [(span.start - it.start, interval.value) for span, interval in it.signals[0].spans(it.start)]
        assert starts == [(timedelta(0), 1.0), (20 * MINUTE, 3.0), (30 * MINUTE, 2.0)]
