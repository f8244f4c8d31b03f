"""A VEN that is pushed to by our VTN: in memory with losses, over HTTP, and over mutual TLS."""

from __future__ import annotations

import asyncio
import io
import random
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ConfigError, LocalProtocolError
from pyopenadr.model import DataPoint, Event, Reading, Report, ReportRequest
from pyopenadr.transport.certificate import fingerprint
from pyopenadr.transport.memory import Fault, MemoryTransport
from pyopenadr.transport.tls import ClientTls, ServerTls, client_context
from pyopenadr.v2 import decode, encode, wire
from pyopenadr.v2.bridge import lower_request
from pyopenadr.v2.signature import Trust
from pyopenadr.ven import OpenADRClient
from pyopenadr.ven.listener import Listener
from pyopenadr.vtn import rota
from pyopenadr.vtn.push import Push
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.transport.pki import Pki
from tests.unit.vtn.party import authority, key_of, print_of
from tests.unit.vtn.sample import KILOWATT, eventually

NOW = datetime(2030, 6, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
PATH = "/OpenADR2/Simple/2.0b/"
POINT = DataPoint(r_id="power", report_type="usage", reading_type="Direct Read", unit=KILOWATT)
REQUEST = ReportRequest(
    report_request_id="r9",
    report_specifier_id="theirs",
    r_ids=("power",),
    granularity=timedelta(minutes=1),
    report_back_duration=timedelta(minutes=1),
)


class Pair:
    """A VTN and a VEN that call each other in memory."""

    def __init__(self, *, state: Path | None = None, ven: dict[str, Any] | None = None, **settings: Any) -> None:
        self.clock = FakeClock(NOW)
        self.ven_settings = ven or {}
        self.fault: Callable[[], Fault | None] = lambda: None
        self.state = state
        self.events: list[Event] = []
        self.reports: list[Report] = []
        self.to_ven = MemoryTransport(self._to_ven, fault=lambda path, body: self.fault(), clock=self.clock)
        self.to_vtn = MemoryTransport(self._to_vtn, fault=lambda path, body: self.fault(), clock=self.clock)
        self.vtn = OpenADRServer(
            "vtn", clock=self.clock, push=Push(transport=self.to_ven), resend_after=timedelta(seconds=30), **settings
        )
        self.ven = self.client()
        self.pushed: list[wire.Message] = []
        self.signed: list[bool] = []
        self.forge: Callable[[bytes], bytes] = lambda reply: reply
        self.posted: list[wire.Message] = []

    def client(self) -> OpenADRClient:
        async def on_event(event: Event) -> str:
            self.events.append(event)
            return "optIn"

        async def on_report(report: Report) -> None:
            self.reports.append(report)

        return OpenADRClient(
            "ven",
            "http://localhost/",
            transport=self.to_vtn,
            push=Listener(host=None, public_url="https://ven.example/"),
            clock=self.clock,
            on_event=on_event,
            on_report=on_report,
            random=random.Random(1),
            state=self.state,
            **self.ven_settings,
        )

    async def _to_ven(self, path: str, body: bytes) -> tuple[int, bytes]:
        payload = decode(body, profile="2.0b")
        self.pushed.append(payload.message)
        self.signed.append(payload.signature is not None)
        status, reply = await self.ven.receive(path, body)
        return status, self.forge(reply)

    async def _to_vtn(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.posted.append(decode(body, profile="2.0b").message)
        return await self.vtn.handle(path, body)

    def count(self, kind: type[wire.Message]) -> int:
        return sum(isinstance(message, kind) for message in [*self.pushed, *self.posted])


@asynccontextmanager
async def pair(**settings: Any) -> AsyncIterator[Pair]:
    both = Pair(**settings)
    if both.vtn._signatures is not None:  # what a CA file does, where there is TLS
        both.vtn._signatures._authorities = (authority().own.certificate_pem,)
    await both.vtn.start()
    running = asyncio.create_task(both.ven.run())
    await both.clock.advance(3)
    try:
        yield both
    finally:
        both.fault = lambda: None
        await both.ven.close()
        await running
        await both.vtn.stop()


async def publish(vtn: OpenADRServer, event_id: str = "e1", **fields: Any) -> None:
    await vtn.add_event(start=vtn.clock.now() + HOUR, intervals=[(HOUR, 2)], event_id=event_id, **fields)


# --- both of ours, in memory ----------------------------------------------------------------------------------------


async def test_the_ven_registers_for_push_and_never_polls() -> None:
    async with pair() as both:
        (known,) = both.vtn.vens
        assert known.push_address == "https://ven.example"
        await both.clock.advance(600)
        assert both.count(wire.OadrPoll) == 0
        assert both.count(wire.OadrCreatePartyRegistration) == 1
        assert both.vtn.vens[0].online
        with pytest.raises(LocalProtocolError, match="does not poll"):
            await both.ven.poll()


async def test_an_event_is_there_at_once_and_answered() -> None:
    async with pair() as both:
        await publish(both.vtn)
        await both.clock.settle()
        assert [event.event_id for event in both.events] == ["e1"]
        await both.clock.advance(2)
        assert [answer.opt_type for answer in await both.vtn.answers("e1")] == ["optIn"]
        await both.vtn.change_event("e1", priority=3)
        await both.clock.advance(2)
        await both.vtn.cancel_event("e1")
        await both.clock.advance(2)
        assert [(e.modification_number, e.cancelled) for e in both.events] == [(0, False), (1, False), (2, True)]
        count = len(both.pushed)
        await both.clock.advance(300)
        assert len(both.pushed) == count


async def test_reports_in_both_directions() -> None:
    async with pair() as both:
        both.ven.add_report(points=[POINT], report_specifier_id="mine", source=lambda: {"power": 7.0})
        await both.ven.register_reports()
        ven_id = both.ven.ven_id or ""
        request = await both.vtn.request_report(ven_id, report_specifier_id="mine")
        for _ in range(200):
            await both.clock.advance(0.1)
            await asyncio.sleep(0.002)  # the source runs in a thread
            if await both.vtn.readings(ven_id):
                break
        assert [stored.reading.value for stored in await both.vtn.readings(ven_id)] == [7.0]
        assert both.count(wire.OadrCreatedReport) == 0  # it was in the response
        both.vtn.add_report("theirs", points=[POINT])
        await both.clock.advance(5)
        (offered,) = both.ven.vtn_capabilities
        await both.ven.create_report([REQUEST])
        await both.vtn.publish_report("theirs", [Reading(r_id="power", start=both.clock.now(), value=3.0)])
        await both.clock.advance(5)
        assert [report.readings[0].value for report in both.reports] == [3.0]
        await both.clock.advance(120)
        assert len(both.reports) == 1  # it was answered in the response
        assert offered.report_specifier_id == "theirs"
        assert request.report_request_id


async def test_the_vtn_ends_the_registration_and_the_ven_registers_again() -> None:
    async with pair() as both:
        ven_id = both.ven.ven_id or ""
        await both.vtn.request_reregistration(ven_id)
        await both.clock.advance(2)
        assert both.count(wire.OadrCreatePartyRegistration) == 2
        await both.vtn.cancel_registration(ven_id)
        await both.clock.advance(2)
        assert both.vtn.vens[0].registration_id is None
        assert [message.message_type for message in both.posted][-1] != "oadrCanceledPartyRegistration"
        await both.clock.advance(65)
        assert both.ven.registered
        await publish(both.vtn)
        await both.clock.advance(3)
        assert [event.event_id for event in both.events] == ["e1"]


async def test_a_vtn_that_has_forgotten_the_ven_is_noticed() -> None:
    async with pair() as both:
        await both.vtn.stop()
        both.vtn = OpenADRServer("vtn", clock=both.clock, push=Push(transport=both.to_ven))
        await both.vtn.start()
        await publish(both.vtn)
        await both.clock.advance(timedelta(minutes=16))
        assert [known.push_address for known in both.vtn.vens] == ["https://ven.example"]
        assert [event.event_id for event in both.events] == ["e1"]


@pytest.mark.parametrize("seed", range(4))
async def test_everything_happens_once_though_half_is_lost(seed: int) -> None:
    draw = random.Random(seed)
    losses = [Fault(lose_request=True), Fault(lose_reply=True), Fault(duplicate=True), None, None, None]
    async with pair() as both:
        both.fault = lambda: draw.choice(losses)
        for number in range(3):
            await publish(both.vtn, f"e{number}")
            await both.clock.advance(draw.uniform(0, 30))
        await both.clock.advance(600)
        assert sorted(event.event_id for event in both.events) == ["e0", "e1", "e2"]
        assert {(a.event_id, a.opt_type) for a in await both.vtn.answers()} == {(f"e{n}", "optIn") for n in range(3)}
        await both.vtn.cancel_registration(both.ven.ven_id or "")
        await both.clock.advance(200)
        both.fault = lambda: None
        await both.clock.advance(200)
        assert both.ven.registered
        assert [known.registration_id is not None for known in both.vtn.vens] == [True]


SIGNS: dict[str, Any] = {"signing_key": key_of("ven-1"), "vtn_signature": Trust(fingerprints=[print_of("vtn")])}


@pytest.mark.parametrize("mode", ["accept", "require"])
async def test_what_is_pushed_to_a_ven_that_signs_is_signed_and_so_is_its_reply(mode: str) -> None:
    async with pair(signature=mode, signing_key=key_of("vtn"), ven=SIGNS) as both:
        await publish(both.vtn)
        await both.clock.advance(2)
        assert [answer.opt_type for answer in await both.vtn.answers("e1")] == ["optIn"]
        assert both.signed == [True] * 2
        replies: list[bytes] = []

        def forge(reply: bytes) -> bytes:
            replies.append(reply)
            return reply

        both.forge = forge
        await both.vtn.request_reregistration(both.ven.ven_id or "")
        await both.clock.advance(2)
        assert decode(replies[0]).signature is not None
        assert both.count(wire.OadrCreatePartyRegistration) == 2


@pytest.mark.parametrize("mode", ["accept", "off"])
async def test_what_is_pushed_to_a_ven_that_does_not_sign_is_not_signed(mode: str) -> None:
    async with pair(signature=mode, signing_key=key_of("vtn")) as both:
        assert both.signed == [False]


async def test_a_reply_that_was_changed_or_is_old_or_not_signed_does_not_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pair(signature="require", signing_key=key_of("vtn"), ven=SIGNS) as both:
        ven_id = both.ven.ven_id or ""
        kept: list[bytes] = []

        def forge(reply: bytes) -> bytes:
            kept.append(reply)
            return forgeries.pop(0)(reply) if forgeries else reply

        both.forge, forgeries = forge, list[Callable[[bytes], bytes]]()
        await both.vtn.request_reregistration(ven_id)
        await both.clock.advance(2)
        forgeries += [
            lambda reply: reply.replace(b"responseCode>200", b"responseCode>201"),
            lambda reply: encode(decode(reply).message),
            lambda reply: kept[0],
            lambda reply: b"",
        ]
        await both.vtn.cancel_registration(ven_id)
        await both.clock.advance(12)
        assert "the digest" in caplog.text
        assert "the reply oadrCanceledPartyRegistration is not signed" in caplog.text
        assert "received before" in caplog.text
        assert forgeries == []
        assert both.vtn.vens[0].registration_id is not None  # an empty reply proves nothing either
        await both.clock.advance(32)
        assert both.vtn.vens[0].registration_id is None


async def test_a_push_that_is_repeated_by_somebody_is_refused_by_the_ven() -> None:
    async with pair(signature="require", signing_key=key_of("vtn"), ven=SIGNS) as both:
        bodies: list[tuple[str, bytes]] = []
        receive = both.ven.receive

        async def listen(path: str, body: bytes) -> tuple[int, bytes]:
            bodies.append((path, body))
            return await receive(path, body)

        both.ven.receive = listen  # type: ignore[method-assign]
        await publish(both.vtn)
        await both.clock.advance(2)
        status, text = await receive(*bodies[0])
        assert (status, b"arrived before" in text) == (403, True)


async def test_the_address_is_part_of_what_is_remembered(tmp_path: Path) -> None:
    async with pair(state=tmp_path / "ven.state") as both:
        await both.ven.close()
        both.ven = both.client()
        running = asyncio.create_task(both.ven.run())
        await both.clock.advance(3)
        assert both.count(wire.OadrCreatePartyRegistration) == 1  # all is as it was
        await both.ven.close()
        await running
        poller = OpenADRClient("ven", "http://localhost/", transport=both.to_vtn, clock=both.clock, state=both.state)
        running = asyncio.create_task(poller.run())
        await both.clock.advance(3)
        assert [known.push_address for known in both.vtn.vens] == [None]
        await poller.close()
        await running


# --- the door -------------------------------------------------------------------------------------------------------


async def answered(both: Pair, message: wire.Message, service: str = "EiEvent") -> wire.Message | None:
    status, body = await both.ven.receive(PATH + service, encode(message))
    assert status == 200
    return decode(body, profile="2.0b").message if body else None


def code_of(message: Any) -> str:
    return str(message.response.response_code)


async def test_a_ven_that_is_not_registered_answers_463() -> None:
    both = Pair()
    messages: list[tuple[wire.Message, type[wire.Message]]] = [
        (
            wire.OadrCreateReport(request_id="q", report_requests=(lower_request(REQUEST),), ven_id="v"),
            wire.OadrCreatedReport,
        ),
        (wire.OadrRegisterReport(request_id="q", reports=(), ven_id="v"), wire.OadrRegisteredReport),
        (
            wire.OadrCancelReport(request_id="q", report_request_id=("r",), report_to_follow=False),
            wire.OadrCanceledReport,
        ),
        (wire.OadrUpdateReport(request_id="q", reports=(), ven_id="v"), wire.OadrUpdatedReport),
        (wire.OadrCancelPartyRegistration(request_id="q", registration_id="r"), wire.OadrCanceledPartyRegistration),
        (wire.OadrRequestReregistration(ven_id="v"), wire.OadrResponse),
        (wire.OadrDistributeEvent(request_id="q", vtn_id="vtn"), wire.OadrResponse),
    ]
    for message, kind in messages:
        reply = await answered(both, message)
        assert isinstance(reply, kind)
        assert code_of(reply) == "463"


async def test_bad_input_gets_a_clear_answer() -> None:
    async with pair() as both:
        for service in ("OadrPoll", "EiOpt", "nothing"):
            assert (await both.ven.receive(PATH + service, b"x"))[0] == 404
        assert (await both.ven.receive("/OpenADR2/Simple/EiEvent", b"x"))[0] == 404
        for body in (b"", b"garbage", b"<a/>", b"<html>", encode(wire.OadrPoll(ven_id="x"))[:100]):
            status, text = await both.ven.receive(PATH + "EiEvent", body)
            assert status == 406
            assert text
        stray = await answered(both, wire.OadrPoll(ven_id="x"))
        assert (type(stray), code_of(stray)) == (wire.OadrResponse, "459")
        other = await answered(both, wire.OadrRegisterReport(request_id="q", reports=(), ven_id="other"), "EiReport")
        assert (type(other), code_of(other)) == (wire.OadrRegisteredReport, "452")
        assert both.ven.registered


async def test_a_handler_that_fails_does_not_confirm_the_report() -> None:
    async with pair() as both:

        def fail(report: Report) -> None:
            raise ZeroDivisionError

        both.ven.on_report = fail
        report = wire.OadrReport(
            intervals=(wire.Interval(dtstart=NOW, payloads=(wire.ReportPayload(r_id="power", value=1.0),)),),
            report_request_id="r",
            report_specifier_id="s",
            created_date_time=NOW,
        )
        reply = await answered(both, wire.OadrUpdateReport(request_id="q", reports=(report,)), "EiReport")
        assert (type(reply), code_of(reply)) == (wire.OadrUpdatedReport, "500")


def test_settings_are_checked() -> None:
    for wrong in (
        {"host": None},
        {"public_url": "ven.example"},
        {"public_url": "https://ven.example/?a"},
        {"host": "0.0.0.0"},
        {"resync": 0},
    ):
        with pytest.raises(ConfigError):
            Listener(**wrong)
    with pytest.raises(ConfigError, match="Listener"):
        _ = OpenADRClient("ven", "http://localhost").app


# --- over sockets -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rota, "FIRST_WAIT_S", 0.05)


@asynccontextmanager
async def auto(client: OpenADRClient) -> AsyncIterator[OpenADRClient]:
    client.auto_polling = True
    async with client:
        yield client


async def until(condition: Callable[[], bool]) -> None:
    async def holds() -> bool:
        return condition()

    await eventually(holds)


@pytest.mark.usefixtures("_short_waits")
async def test_over_http_an_event_takes_no_time() -> None:
    seen: list[Event] = []
    async with OpenADRServer("vtn", port=0) as vtn:
        client = OpenADRClient("ven", vtn.url, push=Listener(port=0), on_event=noting(seen))
        async with auto(client):
            await until(lambda: client.registered and bool(vtn.vens) and vtn.vens[0].online)
            await publish(vtn)
            await until(lambda: len(seen) == 1)
            await eventually(lambda: vtn.answers("e1"))


async def test_the_server_of_the_ven_refuses_what_it_should() -> None:
    async with OpenADRServer("vtn", port=0) as vtn:
        client = OpenADRClient("ven", vtn.url, push=Listener(port=0))
        await client.listen()
        assert client._reception is not None
        url = client._reception.address
        good = {"Content-Type": "application/xml"}
        async with aiohttp.ClientSession() as session:

            async def status(method: str, path: str, size: int = 1, headers: dict[str, str] | None = None) -> int:
                data = io.BytesIO(b"x" * size)
                async with session.request(method, url + path, data=data, headers=good | (headers or {})) as response:
                    assert "Content-Length" in response.headers
                    return response.status

            assert await status("POST", "/") == 404
            assert await status("POST", PATH + "OadrPoll") == 404
            assert await status("GET", PATH + "EiEvent") == 501
            assert await status("PUT", PATH + "EiEvent") == 501
            assert await status("POST", PATH + "EiEvent", headers={"Content-Type": "application/json"}) == 406
            assert await status("POST", PATH + "EiEvent", headers={"Content-Encoding": "gzip"}) == 406
            assert await status("POST", PATH + "EiEvent", 20_000_000) == 413
            assert await status("POST", PATH + "EiEvent") == 406
            assert await status("POST", "/some/prefix" + PATH + "EiEvent/") == 406
        await client.close()


def noting(seen: list[Event]) -> Callable[[Event], str]:
    """An on_event that keeps what it gets."""

    def on_event(event: Event) -> str:
        seen.append(event)
        return "optIn"

    return on_event


def listener(pki: Pki, family: str, **settings: Any) -> Listener:
    tls = ServerTls(certificates=[pki.files(f"ven-{family}")], ca_file=pki.ca_file)
    return Listener(port=0, tls=tls, **settings)


def tls_client(pki: Pki, vtn: OpenADRServer, family: str, push: Listener, **settings: Any) -> OpenADRClient:
    files = pki.files(f"ven-{family}")
    url = vtn.url.replace("127.0.0.1", "localhost")
    return OpenADRClient("ven", url, cert=files.cert, key=files.key, ca_file=pki.ca_file, push=push, **settings)


@pytest.mark.usefixtures("_short_waits")
@pytest.mark.parametrize("family", ["RSA", "EC"])
async def test_over_mutual_tls(pki: Pki, family: str) -> None:
    seen: list[Event] = []
    tls = ServerTls(certificates=pki.vtn, ca_file=pki.ca_file)
    async with OpenADRServer("vtn", port=0, tls=tls, enrolment="open") as vtn:
        client = tls_client(pki, vtn, family, listener(pki, family), on_event=noting(seen))
        async with auto(client):
            await until(lambda: bool(vtn.vens))
            await publish(vtn)
            await until(lambda: len(seen) == 1)


@pytest.mark.parametrize(
    ("who", "marks", "status"),
    [("vtn-RSA", False, 406), ("ven-EC", False, 403), ("vtn-RSA", True, 406), ("vtn-EC", True, 403)],
)
async def test_only_its_own_vtn_gets_in(pki: Pki, who: str, marks: bool, status: int) -> None:
    der = ssl.PEM_cert_to_DER_cert(pki.file_bytes("vtn-RSA.pem").decode().partition("-----END")[0] + _END)
    push = listener(pki, "RSA", vtn_fingerprints=[fingerprint(der)] if marks else [])
    client = OpenADRClient("ven", "https://localhost", push=push)
    await client.listen()
    assert client._reception is not None
    files = pki.files(who)
    context = client_context(ClientTls(cert=files.cert, key=files.key, ca_file=pki.ca_file, check_hostname=False))
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            client._reception.address + PATH + "EiEvent",
            data=b"garbage",
            ssl=context,
            headers={"Content-Type": "application/xml"},
        ) as response,
    ):
        assert response.status == status
    await client.close()


_END = "-----END CERTIFICATE-----\n"
