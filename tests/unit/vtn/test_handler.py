"""The user's handlers: every way to set one, what they may be, and that one which fails harms nobody else."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.errors import ConfigError, ProtocolError
from pyopenadr.v2 import wire
from pyopenadr.vtn.handler import MOST_PER_PEER, Caller
from pyopenadr.vtn.question import QUESTIONS
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.vtn.sample import OK, Ven, answer_to, data, event, metadata, running, server


async def test_every_question_is_asked_with_its_argument() -> None:
    calls: list[tuple[str, str]] = []

    def asked(name: str, argument: Any) -> None:
        calls.append((name, argument if isinstance(argument, str) else argument.message_type))

    handlers: dict[str, Any] = {name: functools.partial(asked, name) for name in QUESTIONS}
    async with running(**handlers) as vtn:
        ven = Ven(vtn)
        await ven.send("EiRegisterParty", wire.OadrQueryRegistration(request_id="x"), wire.OadrCreatedPartyRegistration)
        await ven.register()
        await ven.poll(wire.OadrResponse)
        vtn.on_poll = None  # back to the default
        offer = await ven.take_offer()
        await ven.poll(wire.OadrResponse)
        await ven.request_events()
        await ven.created_event([])
        await ven.register_reports()
        await ven.created_report("x")
        await ven.update_report(data("x", 1.0))
        create = wire.OadrCreateReport(
            request_id="x",
            report_requests=(
                wire.ReportRequest(
                    report_request_id="q",
                    report_specifier=wire.ReportSpecifier(
                        report_specifier_id="s",
                        granularity=timedelta(0),
                        report_back_duration=timedelta(0),
                        specifier_payloads=(wire.SpecifierPayload(r_id="r", reading_type="x-notApplicable"),),
                    ),
                ),
            ),
            ven_id=ven.ven_id,
        )
        await ven.send("EiReport", create, wire.OadrCreatedReport)
        opt = wire.OadrCreateOpt(
            opt_id="o",
            opt_type="optIn",
            opt_reason="economic",
            ven_id=ven.ven_id,
            created_date_time=event().start,
            request_id="x",
            vavailability=(wire.WsCalendarInterval(dtstart=event().start, duration=timedelta(hours=1)),),
            target=wire.EiTarget(),
        )
        await ven.send("EiOpt", opt, wire.OadrCreatedOpt)
        cancel_opt = wire.OadrCancelOpt(request_id="x", opt_id="o", ven_id=ven.ven_id)
        await ven.send("EiOpt", cancel_opt, wire.OadrCanceledOpt)
        cancel = wire.OadrCancelPartyRegistration(
            request_id="x", registration_id=ven.registration_id, ven_id=ven.ven_id
        )
        await ven.send("EiRegisterParty", cancel, wire.OadrCanceledPartyRegistration)
        await vtn.clock.advance(6)  # type: ignore[attr-defined]  # it is a FakeClock
        await asyncio.sleep(0.05)
        assert offer.reports == ()
    # These have tests of their own, in test_dispatch and test_enrolment.
    assert {name for name, _ in calls} == set(QUESTIONS) - {"on_event_unanswered", "on_certificate_expiring"}
    takes_ven_id = ("on_poll", "on_request_event", "on_request_report", "on_ven_online", "on_ven_offline")
    for name, argument in calls:
        assert argument == (ven.ven_id if name in takes_ven_id else f"oadr{_camel(name)}")


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.removeprefix("on_").split("_"))


class Ways:
    """Each way to set a handler for on_created_event; all of them note the call in `calls`."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def note(self, payload: wire.OadrCreatedEvent) -> None:
        self.calls.append(payload["ven_id"])

    def argument(self) -> OpenADRServer:
        return server(on_created_event=self.note)

    def attribute(self) -> OpenADRServer:
        vtn = server()
        vtn.on_created_event = self.note
        return vtn

    def decorator(self) -> OpenADRServer:
        vtn = server()

        @vtn.on_created_event
        async def note(payload: wire.OadrCreatedEvent) -> None:
            self.note(payload)

        assert note.__name__ == "note"
        return vtn

    def backend(self) -> OpenADRServer:
        note = self.note

        class Mine:
            def on_created_event(self, payload: wire.OadrCreatedEvent) -> None:
                note(payload)

        return server(backend=Mine())

    def subclass(self) -> OpenADRServer:
        note = self.note

        class Mine(OpenADRServer):
            async def on_created_event(self, payload: wire.OadrCreatedEvent) -> None:
                note(payload)

        return Mine("vtn", clock=server().clock)

    def partial(self) -> OpenADRServer:
        async def note(_: int, payload: wire.OadrCreatedEvent) -> None:
            self.note(payload)

        return server(on_created_event=functools.partial(note, 1))

    def wrapped(self) -> OpenADRServer:
        async def note(payload: wire.OadrCreatedEvent) -> None:
            self.note(payload)

        return server(on_created_event=lambda payload: note(payload))

    def instance(self) -> OpenADRServer:
        note = self.note

        class Callable_:
            async def __call__(self, payload: wire.OadrCreatedEvent) -> None:
                note(payload)

        return server(on_created_event=Callable_())


@pytest.mark.parametrize(
    "way", ["argument", "attribute", "decorator", "backend", "subclass", "partial", "wrapped", "instance"]
)
async def test_a_handler_may_be_set_in_any_way(way: str) -> None:
    ways = Ways()
    vtn: OpenADRServer = getattr(ways, way)()
    await vtn.start()
    ven = await Ven(vtn).join()
    await ven.created_event([])
    assert ways.calls == [ven.ven_id]
    await vtn.stop()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: server(on_update_reports=print),
        lambda: server(prot=8080),
        lambda: server(on_poll=7),
        lambda: server(backend=object()),
        lambda: setattr(server(), "on_update_reports", print),
        lambda: setattr(server(), "on_poll", 7),
        lambda: server().on_poll("ven"),  # which asks nothing
    ],
)
def test_a_wrong_handler_is_said_at_once(wrong: Callable[[], object]) -> None:
    with pytest.raises(ConfigError):
        wrong()


def test_a_misspelt_method_of_a_backend_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    class Mine:
        def on_update_report(self, payload: object) -> None: ...

        def on_created_events(self, payload: object) -> None: ...

    server(backend=Mine())
    assert "Mine.on_created_events" in caplog.text


def raises(argument: object) -> None:
    raise ZeroDivisionError("a secret")


@pytest.mark.parametrize("make", [lambda: raises, lambda: _raises_in_coroutine])
async def test_a_handler_that_raises_is_a_500_that_keeps_its_secrets(make: Callable[[], Any]) -> None:
    handlers = {name: make() for name in QUESTIONS if name not in ("on_create_party_registration", "on_poll")}
    async with running(**handlers) as vtn:
        ven = Ven(vtn)
        await ven.register()
        for service, message in (
            ("EiReport", wire.OadrRegisterReport(request_id="x", reports=(metadata(),), ven_id=ven.ven_id)),
            ("EiReport", wire.OadrUpdateReport(request_id="x", reports=(data("q", 1.0),), ven_id=ven.ven_id)),
            ("EiEvent", wire.OadrRequestEvent(request_id="x", ven_id=ven.ven_id)),
            ("EiEvent", wire.OadrCreatedEvent(response=OK, event_responses=(), ven_id=ven.ven_id)),
            ("OadrPoll", wire.OadrPoll(ven_id=ven.ven_id)),
        ):
            reply = await ven.send(service, message, wire.Message)
            response = reply["response"]
            assert (response.response_code, response.request_id) == ("500", message.get("request_id", ""))
            assert "secret" not in (response.response_description or "")
        assert await vtn.capabilities(ven.ven_id) == []


async def _raises_in_coroutine(argument: object) -> None:
    raises(argument)


async def test_what_a_handler_returns_is_sent_and_what_can_not_be_written_is_a_500() -> None:
    replies: list[Any] = [
        wire.OadrResponse(response=answer_to("mine"), ven_id="x"),
        wire.OadrResponse(response=answer_to(code="two hundred")),
        wire.OadrResponse(response=7),  # type: ignore[arg-type]  # users do such things
    ]
    async with running(on_poll=lambda ven_id: replies.pop(0)) as vtn:
        ven = Ven(vtn)
        await ven.register()
        assert (await ven.poll(wire.OadrResponse)).response.request_id == "mine"
        assert (await ven.poll(wire.OadrResponse)).response.response_code == "500"
        assert (await ven.poll(wire.OadrResponse)).response.response_code == "500"


@pytest.mark.parametrize("is_thread", [True, False])
async def test_a_handler_that_hangs_on_one_ven_leaves_the_others_alone(is_thread: bool) -> None:
    release = threading.Event()
    stuck = asyncio.Event()
    bad = ""

    def hangs(payload: wire.OadrCreatedEvent) -> None:
        if payload.ven_id == bad:
            release.wait(10)

    async def hangs_too(payload: wire.OadrCreatedEvent) -> None:
        if payload.ven_id == bad:
            await stuck.wait()

    before = threading.active_count()
    handler = hangs if is_thread else hangs_too
    async with running(on_created_event=handler, handler_timeout=timedelta(seconds=0.3)) as vtn:
        one, two = await Ven(vtn).join("one"), await Ven(vtn).join("two")
        bad = one.ven_id
        requests = [asyncio.create_task(one.created_event([])) for _ in range(100)]
        await asyncio.sleep(0.05)
        assert threading.active_count() - before <= MOST_PER_PEER
        assert await two.is_idle()
        assert (await two.created_event([])).response.response_code == "200"
        assert await one.is_idle()
        replies = await asyncio.gather(*requests)
        assert {reply.response.response_code for reply in replies} == {"500"}
        release.set()
        await asyncio.sleep(0.05)
        bad = ""
        assert (await one.created_event([])).response.response_code == "200"


async def test_all_threads_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyopenadr.vtn.handler.MOST_THREADS", 3)
    release = threading.Event()
    caller = Caller(0.1)
    before = threading.active_count()
    calls = [asyncio.create_task(caller.call(release.wait, 5, peer=str(n))) for n in range(10)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} == {ProtocolError}
    assert threading.active_count() - before == 3
    release.set()
    await asyncio.sleep(0.05)
    assert await caller.call(lambda: 7, peer="x") == 7


async def test_a_timeout_of_the_handlers_own_is_its_own() -> None:
    def handler() -> None:
        raise TimeoutError("the database")

    with pytest.raises(TimeoutError, match="the database"):
        await Caller(5).call(handler, peer="x")


async def test_a_handler_that_ends_its_thread_is_an_error() -> None:
    def handler() -> None:
        raise SystemExit

    with pytest.raises(RuntimeError, match="SystemExit"):
        await Caller(5).call(handler, peer="x")
