"""Push: the VTN calls VENs that want that; a VEN made by hand stands at the other end of a transport in memory."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.errors import ConfigError, LocalProtocolError, TransportError
from pyopenadr.model import Interval, ResponseRequired, Signal
from pyopenadr.store import Store
from pyopenadr.transport.memory import Fault
from pyopenadr.transport.port import Reply
from pyopenadr.v2 import decode, encode, wire
from pyopenadr.v2.profile import ProfileName
from pyopenadr.vtn.push import Push
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.vtn.sample import (
    HOUR,
    NOW,
    OK,
    Ven,
    again,
    answer_to,
    clock_of,
    event,
    event_response,
    eventually,
    ids,
    metadata,
    running,
    server,
)

Answer = wire.Message | bytes | int | Exception | None
ADDRESS = "https://ven.example:8443/here"


class PushedVen:
    """A `Transport` with VENs at the other end: what they get is in `log`, `rules` replaces what they say to a kind."""

    def __init__(self) -> None:
        self.log: list[tuple[str, wire.Message]] = []
        self.rules: dict[type[wire.Message], Callable[[Any], Answer]] = {}
        self.fault: Callable[[], Fault | None] = lambda: None
        self.tries = 0

    async def post(self, url: str, body: bytes) -> Reply:
        self.tries += 1
        fault = self.fault() or Fault()
        if fault.lose_request:
            raise TransportError("the request was lost")
        profile: ProfileName = "2.0b" if "/2.0b/" in url else "2.0a"
        message = decode(body, profile=profile).message
        self.log.append((url, message))
        answer = self.rules.get(type(message), default)(message)
        if isinstance(answer, Exception):
            raise answer
        if fault.lose_reply:
            raise TransportError("the reply was lost")
        if isinstance(answer, int):
            return Reply(answer, b"" if answer == 204 else b"<html>")
        if isinstance(answer, bytes):
            return Reply(200, answer)
        return Reply(200, b"" if answer is None else encode(answer, profile=profile))

    async def close(self) -> None:
        return

    def got(self, kind: type[wire.Message]) -> list[Any]:
        return [message for _, message in self.log if isinstance(message, kind)]

    @property
    def kinds(self) -> list[str]:
        return [message.message_type for _, message in self.log]


def default(message: Any) -> Answer:
    """What a VEN without trouble says."""
    match message:
        case wire.OadrRegisterReport():
            return wire.OadrRegisteredReport(response=answer_to(message.request_id))
        case wire.OadrCreateReport():
            pending = tuple(request.report_request_id for request in message.report_requests)
            return wire.OadrCreatedReport(response=answer_to(message.request_id), pending_reports=pending)
        case wire.OadrCancelReport():
            return wire.OadrCanceledReport(response=answer_to(message.request_id), pending_reports=())
        case wire.OadrUpdateReport():
            return wire.OadrUpdatedReport(response=answer_to(message.request_id))
        case wire.OadrCancelPartyRegistration():
            return wire.OadrCanceledPartyRegistration(response=answer_to(message.request_id))
        case wire.OadrRequestReregistration():
            return wire.OadrResponse(response=answer_to())
    return None


@asynccontextmanager
async def pushing(store: Store | str | None = None, **settings: Any) -> AsyncIterator[tuple[OpenADRServer, PushedVen]]:
    """A VTN and what it pushes to."""
    other = PushedVen()
    async with running(store, push=Push(transport=other), **settings) as vtn:
        yield vtn, other


async def join(vtn: OpenADRServer, name: str = "ven", **fields: Any) -> Ven:
    """A VEN that has registered for push, after the first exchange."""
    ven = Ven(vtn)
    defaults: dict[str, Any] = {"http_pull_model": False, "transport_address": ADDRESS}
    await ven.register(name, **(defaults | fields))
    await clock_of(vtn).advance(1.1)
    return ven


# --- registration -------------------------------------------------------------------------------------------------


async def test_a_ven_registers_for_push_and_is_greeted_at_its_address() -> None:
    async with pushing() as (vtn, other):
        await join(vtn)
        assert [url for url, _ in other.log] == [f"{ADDRESS}/OpenADR2/Simple/2.0b/EiReport"]
        assert other.kinds == ["oadrRegisterReport"]
        (known,) = vtn.vens
        assert known.push_address == ADDRESS
        await clock_of(vtn).advance(600)
        assert other.kinds == ["oadrRegisterReport"]  # it has been answered


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://ven.example", "https://ven.example/OpenADR2/Simple/2.0b/EiReport"),
        ("https://ven.example/", "https://ven.example/OpenADR2/Simple/2.0b/EiReport"),
        ("https://ven.example/a/b/", "https://ven.example/a/b/OpenADR2/Simple/2.0b/EiReport"),
        ("https://ven.example/OpenADR2/Simple/2.0b/", "https://ven.example/OpenADR2/Simple/2.0b/EiReport"),
        ("http://127.0.0.1:9999/x", "http://127.0.0.1:9999/x/OpenADR2/Simple/2.0b/EiReport"),
    ],
)
async def test_the_service_is_added_to_the_base_address(address: str, url: str) -> None:
    async with pushing() as (vtn, other):
        await join(vtn, transport_address=address)
        assert [url for url, _ in other.log] == [url]


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "nonsense",
        "ftp://ven.example",
        "https://",
        "https://user:secret@ven.example",
        "https://ven.example:99999",
        "https://ven.example/?a=b",
        "http://ven.example",  # not encrypted
        "https://169.254.169.254/latest",
        "https://[fe80::1]/",
        "https://0.0.0.0",
        "https://224.0.0.1",
        "https://[::ffff:169.254.169.254]/",
    ],
)
async def test_an_address_that_must_not_be_called_is_refused(address: str | None) -> None:
    async with pushing() as (vtn, other):
        reply = await Ven(vtn).register("ven", http_pull_model=False, transport_address=address)
        assert reply.response.response_code == "459"
        assert "oadrTransportAddress" in (reply.response.response_description or "")
        assert vtn.vens == []
        await clock_of(vtn).advance(60)
        assert other.tries == 0


async def test_only_the_networks_that_are_set_may_be_called() -> None:
    async with running(push=Push(transport=PushedVen(), networks=("10.0.0.0/8",))) as vtn:
        fields = {"http_pull_model": False}
        inside = await Ven(vtn).register("a", transport_address="https://10.1.2.3", **fields)
        outside = await Ven(vtn).register("b", transport_address="https://192.168.0.1", **fields)
        here = await Ven(vtn).register("c", transport_address="https://127.0.0.1", **fields)
        codes = [reply.response.response_code for reply in (inside, outside, here)]
        assert codes == ["200", "459", "459"]


async def test_a_server_that_does_not_push_says_so() -> None:
    async with running(push=None) as vtn:
        reply = await Ven(vtn).register("ven", http_pull_model=False, transport_address=ADDRESS)
        assert reply.response.response_code == "459"
        with pytest.raises(ConfigError):
            await vtn.add_ven("a", profile="2.0a", push_url=ADDRESS)


async def test_networks_are_checked() -> None:
    with pytest.raises(ConfigError):
        server(push=Push(networks=("here",)))


async def test_a_ven_that_registers_for_pull_again_is_pushed_to_no_more() -> None:
    async with pushing() as (vtn, other):
        ven = await join(vtn)
        await ven.register("ven", ven_id=ven.ven_id, registration_id=ven.registration_id)
        await vtn.add_event(event())
        await clock_of(vtn).advance(60)
        assert other.kinds == ["oadrRegisterReport"]
        assert ids(await ven.poll(wire.OadrDistributeEvent)) == ["e1"]


async def test_a_new_address_counts_from_the_registration_on() -> None:
    async with pushing() as (vtn, other):
        ven = await join(vtn)
        fields = {"ven_id": ven.ven_id, "registration_id": ven.registration_id}
        await ven.register("ven", http_pull_model=False, transport_address="https://new.example", **fields)
        await vtn.add_event(event())
        await clock_of(vtn).advance(2)
        assert other.log[-1][0] == "https://new.example/OpenADR2/Simple/2.0b/EiEvent"


# --- events -------------------------------------------------------------------------------------------------------


async def test_an_event_is_pushed_at_once_and_until_it_is_answered() -> None:
    async with pushing() as (vtn, other):
        ven = await join(vtn)
        await vtn.add_event(event(start=NOW.replace(microsecond=0) + timedelta(minutes=15)))
        await clock_of(vtn).settle()
        (pushed,) = other.got(wire.OadrDistributeEvent)
        assert ids(pushed) == ["e1"]
        assert pushed.response is None  # it answers nothing
        await clock_of(vtn).advance(61)
        assert len(other.got(wire.OadrDistributeEvent)) == 2  # the VEN has not answered
        await ven.answer(pushed)
        await clock_of(vtn).advance(1200)  # the changes of its status are not pushed
        assert len(other.got(wire.OadrDistributeEvent)) == 2
        await vtn.change_event("e1", priority=2)
        await clock_of(vtn).settle()
        assert other.got(wire.OadrDistributeEvent)[-1].events[0].event_descriptor.modification_number == 1
        await ven.answer(other.got(wire.OadrDistributeEvent)[-1])
        await vtn.cancel_event("e1")
        await clock_of(vtn).settle()
        assert other.got(wire.OadrDistributeEvent)[-1].events[0].event_descriptor.event_status == "cancelled"
        await ven.answer(other.got(wire.OadrDistributeEvent)[-1])
        count = other.tries
        await clock_of(vtn).advance(300)
        assert other.tries == count


async def test_an_event_that_needs_no_answer_is_pushed_once() -> None:
    async with pushing() as (vtn, other):
        await join(vtn)
        await vtn.add_event(event(response_required=ResponseRequired.NEVER))
        await clock_of(vtn).advance(600)
        assert len(other.got(wire.OadrDistributeEvent)) == 1


async def test_only_those_get_an_event_whom_it_is_for() -> None:
    async with pushing() as (vtn, other):
        mine = await join(vtn, "a", transport_address="https://a.example")
        await join(vtn, "b", transport_address="https://b.example")
        await vtn.add_event(event(), ven_ids=[mine.ven_id])
        await clock_of(vtn).advance(10)
        urls = [url for url, message in other.log if isinstance(message, wire.OadrDistributeEvent)]
        assert urls == ["https://a.example/OpenADR2/Simple/2.0b/EiEvent"]


@pytest.mark.parametrize(
    "reply",
    [
        lambda message: None,
        lambda message: wire.OadrResponse(response=answer_to(message.request_id)),
        lambda message: wire.OadrResponse(response=answer_to()),
    ],
)
async def test_every_yes_to_events_is_taken(reply: Callable[[Any], Answer]) -> None:
    async with pushing() as (vtn, other):
        other.rules[wire.OadrDistributeEvent] = reply
        await join(vtn)
        await vtn.add_event(event())
        await clock_of(vtn).advance(30)
        assert len(other.got(wire.OadrDistributeEvent)) == 1


async def test_an_answer_to_events_may_come_in_the_response() -> None:
    async with pushing() as (vtn, other):
        ven = await join(vtn)

        def created(message: wire.OadrDistributeEvent) -> Answer:
            answer = event_response("e1", request_id=message.request_id)
            return wire.OadrCreatedEvent(response=OK, event_responses=(answer,), ven_id=ven.ven_id)

        other.rules[wire.OadrDistributeEvent] = created
        await vtn.add_event(event())
        await clock_of(vtn).advance(300)
        assert len(other.got(wire.OadrDistributeEvent)) == 1
        assert [(answer.ven_id, answer.opt_type) for answer in await vtn.answers("e1")] == [(ven.ven_id, "optIn")]


# --- other messages -----------------------------------------------------------------------------------------------


async def test_a_report_is_asked_for_and_confirmed_in_the_response() -> None:
    async with pushing() as (vtn, other):
        ven = await join(vtn)
        await ven.register_reports(metadata())
        request = await vtn.request_report(
            ven.ven_id, report_specifier_id="telemetry", granularity=timedelta(minutes=5)
        )
        await clock_of(vtn).settle()
        (asked,) = other.got(wire.OadrCreateReport)
        assert asked.ven_id == ven.ven_id
        (stored,) = await vtn.report_requests(ven.ven_id)
        assert stored.confirmed
        await vtn.cancel_report(ven.ven_id, request.report_request_id)
        await clock_of(vtn).settle()
        assert other.kinds[-1] == "oadrCancelReport"
        await clock_of(vtn).advance(600)
        assert other.kinds == ["oadrRegisterReport", "oadrCreateReport", "oadrCancelReport"]


async def test_a_report_that_the_ven_refuses_is_dropped() -> None:
    async with pushing() as (vtn, other):
        other.rules[wire.OadrCreateReport] = lambda message: wire.OadrCreatedReport(
            response=answer_to(message.request_id, "461"), pending_reports=()
        )
        ven = await join(vtn)
        await ven.register_reports(metadata())
        await vtn.request_report(ven.ven_id, report_specifier_id="telemetry")
        await clock_of(vtn).advance(300)
        assert len(other.got(wire.OadrCreateReport)) == 1
        assert await vtn.report_requests(ven.ven_id) == []


@pytest.mark.parametrize("reply", [None, 204])
async def test_an_empty_response_is_a_yes(reply: Answer) -> None:
    async with pushing() as (vtn, other):
        other.rules = {kind: lambda _: reply for kind in (wire.OadrRegisterReport, wire.OadrCreateReport)}
        ven = await join(vtn)
        await ven.register_reports(metadata())
        await vtn.request_report(ven.ven_id, report_specifier_id="telemetry")
        await clock_of(vtn).advance(300)
        assert other.kinds == ["oadrRegisterReport", "oadrCreateReport"]


async def test_a_plain_response_answers_whatever_was_pushed() -> None:
    async with pushing() as (vtn, other):
        plain: tuple[type[wire.Message], ...] = (
            wire.OadrRegisterReport,
            wire.OadrCreateReport,
            wire.OadrRequestReregistration,
        )
        other.rules = {kind: lambda _: wire.OadrResponse(response=answer_to()) for kind in plain}
        ven = await join(vtn)
        await ven.register_reports(metadata())
        await vtn.request_report(ven.ven_id, report_specifier_id="telemetry")
        await clock_of(vtn).settle()
        await vtn.request_reregistration(ven.ven_id)
        await clock_of(vtn).advance(600)
        assert other.kinds == ["oadrRegisterReport", "oadrCreateReport", "oadrRequestReregistration"]


@pytest.mark.parametrize("code", ["200", "452", "463"])
async def test_the_end_of_a_registration_is_the_end_of_push(code: str) -> None:
    async with pushing() as (vtn, other):
        other.rules[wire.OadrCancelPartyRegistration] = lambda message: wire.OadrCanceledPartyRegistration(
            response=answer_to(message.request_id, code)
        )
        ven = await join(vtn)
        await vtn.cancel_registration(ven.ven_id)
        await vtn.add_event(event())
        await clock_of(vtn).advance(300)
        assert other.kinds.count("oadrCancelPartyRegistration") == 1
        assert vtn.vens[0].registration_id is None


async def test_what_a_ven_refuses_by_its_status_is_given_up() -> None:
    async with pushing() as (vtn, other):
        ven = await join(vtn)
        await ven.register_reports(metadata())
        other.rules[wire.OadrCreateReport] = lambda message: 406
        await vtn.request_report(ven.ven_id, report_specifier_id="telemetry")
        await clock_of(vtn).advance(600)
        assert len(other.got(wire.OadrCreateReport)) == 1
        assert await vtn.report_requests(ven.ven_id) == []


# --- the board ----------------------------------------------------------------------------------------------------


def steps_of(board: Any) -> list[tuple[str, float]]:
    """What has happened with the one VEN of a board, and at which second of the test."""
    (line,) = board.deliveries
    return [(trace.step.value, (trace.at - NOW).total_seconds()) for trace in line.messages]


async def test_an_event_counts_as_sent_when_the_ven_has_taken_it_and_as_received_with_that() -> None:
    async with pushing() as (vtn, other):
        ven = await join(vtn)
        seen: list[str] = []

        async def slowly(url: str, body: bytes) -> Reply:
            seen.extend(line.state for line in (await vtn.board("e1")).deliveries)
            await vtn.clock.sleep(3)
            seen.extend(line.state for line in (await vtn.board("e1")).deliveries)
            return await quickly(url, body)

        quickly, other.post = other.post, slowly  # type: ignore[method-assign]
        other.fault = lambda: Fault(lose_request=True)
        await vtn.add_event(event())
        await clock_of(vtn).advance(3.5)  # the first push has failed, and the second waits
        assert steps_of(await vtn.board("e1")) == []
        other.fault = lambda: None
        await clock_of(vtn).advance(5)
        assert seen == ["queued"] * 4
        board = await vtn.board("e1")
        [(first, sent_at), (second, received_at)] = steps_of(board)
        assert (first, second) == ("sent", "received")
        assert received_at - sent_at == pytest.approx(3)  # seconds as floats
        (line,) = board.deliveries
        assert (line.state, line.times_sent) == ("received", 1)
        await ven.answer(other.got(wire.OadrDistributeEvent)[-1])
        assert [step for step, _ in steps_of(await vtn.board("e1"))] == ["sent", "received", "answered"]


async def test_an_answer_that_comes_before_the_reply_to_the_push_follows_what_was_sent() -> None:
    async with pushing() as (vtn, other):
        ven = await join(vtn)

        async def late(url: str, body: bytes) -> Reply:
            reply = await quickly(url, body)
            await vtn.clock.sleep(2)
            await ven.answer(other.got(wire.OadrDistributeEvent)[-1])
            await vtn.clock.sleep(2)
            return reply

        quickly, other.post = other.post, late  # type: ignore[method-assign]
        await vtn.add_event(event())
        await clock_of(vtn).advance(10)
        (sent, answered) = steps_of(await vtn.board("e1"))
        assert (sent[0], answered[0]) == ("sent", "answered")
        assert answered[1] - sent[1] == 2
        assert other.tries == 2


async def test_a_push_whose_reply_was_lost_counts_as_sent_with_the_answer() -> None:
    async with pushing() as (vtn, other):
        ven = await join(vtn)
        other.fault = lambda: Fault(lose_reply=True)
        await vtn.add_event(event())
        await clock_of(vtn).advance(0.5)
        assert steps_of(await vtn.board("e1")) == []
        await ven.answer(other.got(wire.OadrDistributeEvent)[-1])
        assert [step for step, _ in steps_of(await vtn.board("e1"))] == ["sent", "answered"]


# --- faults -------------------------------------------------------------------------------------------------------


TROUBLE: dict[str, Answer] = {
    "garbage": b"\x00\x01garbage",
    "HTML": b"<html><body>Welcome</body></html>",
    "half a message": b"<?xml version='1.0'?><oadr:oadrPayload xmlns:oadr='http://openadr.org/oadr-2.0b/2012/07'>",
    "500": 500,
    "503": 503,
    "403": 403,
    "302": TransportError("redirects", status=302, retry=False),
    "no answer": TransportError("gave no answer within 30 seconds"),
    "another VEN": wire.OadrResponse(response=answer_to(), ven_id="somebody-else"),
    "not registered": wire.OadrResponse(response=answer_to(code="463")),
    "its own failure": wire.OadrResponse(response=answer_to(code="500")),
    "another message": wire.OadrCanceledReport(response=answer_to(), pending_reports=()),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE.keys())
async def test_a_ven_in_trouble_gets_its_events_when_it_is_well(trouble: Answer) -> None:
    async with pushing() as (vtn, other):
        ven = await join(vtn)
        other.rules[wire.OadrDistributeEvent] = lambda _: trouble
        await vtn.add_event(event())
        await clock_of(vtn).advance(400)
        tries = len(other.got(wire.OadrDistributeEvent))
        assert 3 <= tries <= 12
        del other.rules[wire.OadrDistributeEvent]
        await clock_of(vtn).advance(140)
        (*_, pushed) = other.got(wire.OadrDistributeEvent)
        assert len(other.got(wire.OadrDistributeEvent)) > tries
        await ven.answer(pushed)
        count = other.tries
        await clock_of(vtn).advance(600)
        assert other.tries == count


async def test_the_waits_double_and_are_not_the_same_for_all() -> None:
    async with pushing() as (vtn, other):
        await join(vtn)
        times = []

        def fail(_: object) -> Answer:
            times.append(vtn.clock.now())
            return TransportError("nobody is there")

        other.rules[wire.OadrDistributeEvent] = fail
        await vtn.add_event(event())
        await clock_of(vtn).advance(1000)
        waits = [(b - a).total_seconds() for a, b in itertools.pairwise(times)]
        for wait, ideal in zip(waits, [1, 2, 4, 8, 16, 32, 64, 120, 120], strict=False):
            assert 0.9 * ideal <= wait <= 1.1 * ideal
        assert len(waits) > 8
        assert len({wait / round(wait) for wait in waits}) > 1


async def test_retry_after_is_heeded() -> None:
    async with pushing() as (vtn, other):
        await join(vtn)
        other.rules[wire.OadrDistributeEvent] = lambda _: TransportError("busy", status=503, retry_after_s=300)
        await vtn.add_event(event())
        await clock_of(vtn).advance(299)
        assert len(other.got(wire.OadrDistributeEvent)) == 1
        await clock_of(vtn).advance(2)
        assert len(other.got(wire.OadrDistributeEvent)) == 2


async def test_a_ven_that_is_heard_of_is_tried_at_once() -> None:
    async with pushing() as (vtn, other):
        ven = await join(vtn)
        other.fault = lambda: Fault(lose_request=True)
        await vtn.add_event(event())
        await clock_of(vtn).advance(300)
        other.fault = lambda: None
        await ven.register_reports(metadata())
        await clock_of(vtn).settle()
        assert len(other.got(wire.OadrDistributeEvent)) == 1


async def test_what_was_not_answered_is_pushed_by_the_next_run(store: Store | str) -> None:
    other = PushedVen()
    async with running(store, push=Push(transport=other)) as vtn:
        ven = await join(vtn)
        await ven.register_reports(metadata())
        other.fault = lambda: Fault(lose_request=True)
        await vtn.add_event(event())
        await vtn.request_report(ven.ven_id, report_specifier_id="telemetry")
        await clock_of(vtn).settle()
    other.fault = lambda: None
    new = await again(vtn, store, push=Push(transport=other))
    await new.start()
    try:
        for _ in range(100):
            await clock_of(new).advance(0.1)
            if len(other.log) == 3:
                break
        assert other.kinds[1:] == ["oadrDistributeEvent", "oadrCreateReport"]
    finally:
        await new.stop()


@pytest.mark.parametrize("seed", range(5))
async def test_everything_arrives_though_half_of_it_is_lost(seed: int) -> None:
    draw = random.Random(seed)
    losses = [Fault(lose_request=True), Fault(lose_reply=True), None, None]
    async with pushing() as (vtn, other):
        other.fault = lambda: draw.choice(losses)
        ven = await join(vtn)
        await ven.register_reports(metadata())
        for number in range(3):
            await vtn.add_event(event(f"e{number}"))
            await vtn.request_report(ven.ven_id, report_specifier_id="telemetry", granularity=HOUR)
            await clock_of(vtn).advance(draw.uniform(0, 20))
        await clock_of(vtn).advance(900)
        assert all(stored.confirmed for stored in await vtn.report_requests(ven.ven_id))
        last = other.got(wire.OadrDistributeEvent)[-1]
        assert sorted(ids(last)) == ["e0", "e1", "e2"]
        await ven.answer(last)
        count = other.tries
        await clock_of(vtn).advance(900)
        assert other.tries == count


# --- who is online ------------------------------------------------------------------------------------------------


async def test_a_push_ven_is_online_as_long_as_it_can_be_reached() -> None:
    seen = []
    handlers: dict[str, Any] = {
        "on_ven_online": lambda ven_id: seen.append("online"),
        "on_ven_offline": lambda ven_id: seen.append("offline"),
    }

    async def told(text: list[str]) -> None:
        async def is_so() -> bool:
            await clock_of(vtn).settle()
            return seen == text

        await eventually(is_so)

    async with pushing(**handlers) as (vtn, other):
        await join(vtn)
        await clock_of(vtn).advance(300)  # silence says nothing
        await told(["online"])
        other.fault = lambda: Fault(lose_request=True)
        await vtn.add_event(event(start=NOW.replace(microsecond=0) + 3 * HOUR))
        await clock_of(vtn).advance(20)
        await told(["online"])
        await clock_of(vtn).advance(50)  # by chance the last try before 30 seconds are over comes just before that
        await told(["online", "offline"])
        other.fault = lambda: None
        await clock_of(vtn).advance(130)
        await told(["online", "offline", "online"])


# --- the user's own data ------------------------------------------------------------------------------------------


async def test_the_users_events_are_looked_at_as_often_as_by_polls() -> None:
    mine: list[Any] = []
    async with pushing(on_request_event=lambda ven_id: mine) as (vtn, other):
        await join(vtn)
        mine.append(event("mine"))
        for _ in range(200):
            await clock_of(vtn).advance(0.1)
            await eventually_idle()
        assert [ids(message) for message in other.got(wire.OadrDistributeEvent)] == [["mine"]]


async def eventually_idle() -> None:
    """Give threads a moment: plain handlers run in one."""
    await asyncio.sleep(0.001)


# --- 2.0a ---------------------------------------------------------------------------------------------------------


async def test_a_2_0a_ven_is_pushed_to_in_2_0a() -> None:
    async with pushing() as (vtn, other):
        await vtn.add_ven("old", profile="2.0a", push_url="https://old.example/")
        await join(vtn)
        await vtn.add_event(event())
        await clock_of(vtn).advance(2)
        urls = [url for url, _ in other.log if url.startswith("https://old")]
        assert urls == ["https://old.example/OpenADR2/Simple/EiEvent"]
        assert {url for url, _ in other.log if url.startswith(ADDRESS)} == {
            f"{ADDRESS}/OpenADR2/Simple/2.0b/{name}" for name in ("EiReport", "EiEvent")
        }
        (pushed,) = [message for url, message in other.log if url.startswith("https://old")]
        assert isinstance(pushed, wire.OadrDistributeEvent)
        old = Ven(vtn, "old")
        answer = wire.OadrCreatedEvent(response=answer_to(), ven_id="old", event_responses=(_response(pushed),))
        await old.send("EiEvent", answer, wire.OadrResponse, "2.0a")
        await clock_of(vtn).advance(59)
        assert len([url for url, _ in other.log if url.startswith("https://old")]) == 1
        assert ("old", "optIn") in [(answer.ven_id, answer.opt_type) for answer in await vtn.answers("e1")]


def _response(pushed: wire.OadrDistributeEvent) -> wire.EventResponse:
    return event_response("e1", request_id=pushed.request_id)


async def test_what_2_0a_can_not_say_is_not_pushed_in_2_0a() -> None:
    price = Signal(
        signal_name="ELECTRICITY_PRICE", signal_type="priceMultiplier", signal_id="p", intervals=(Interval(HOUR, 1.0),)
    )
    async with pushing() as (vtn, other):
        await vtn.add_ven("old", profile="2.0a", push_url="https://old.example/")
        await vtn.add_event(event(signals=(price,)))
        await clock_of(vtn).advance(300)
        assert other.tries == 0


async def test_the_end_of_a_2_0a_ven_needs_no_message() -> None:
    async with pushing() as (vtn, other):
        await vtn.add_ven("old", profile="2.0a", push_url="https://old.example/")
        with pytest.raises(LocalProtocolError):
            await vtn.request_reregistration("old")
        await vtn.cancel_registration("old")
        await vtn.add_event(event())
        await clock_of(vtn).advance(300)
        assert other.tries == 0


async def test_add_ven_may_change_the_address_and_the_certificate() -> None:
    async with pushing() as (vtn, _):
        await vtn.add_ven("old", profile="2.0a", push_url="https://a.example/", fingerprint="AA")
        await vtn.add_ven("old", profile="2.0a", push_url="https://b.example/", fingerprint="BB")
        (known,) = vtn.vens
        assert (known.push_address, known.fingerprint) == ("https://b.example", "BB")
        with pytest.raises(TransportError):
            await vtn.add_ven("old", profile="2.0a", push_url="https://169.254.169.254/")
