"""VTNs that are ill: whatever they answer, the VEN goes on, says what it saw, and recovers by itself.

Each case is one way to be ill. Before it, a VEN is well and has an event; during it, every answer of the VTN is a bad
one; after it, the VTN is well again, and has a new event. The VEN must have kept the first event throughout, have named
the trouble in its log, answer the new event, and deliver each reading once, also those of the bad time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import TransportError
from pyopenadr.model import DataPoint, ReportRequest, Unit
from pyopenadr.transport.port import Reply
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge import lift_readings, lower_request
from pyopenadr.v2.codec import decode, encode
from pyopenadr.v2.faults import response
from pyopenadr.ven import OpenADRClient
from tests.unit.ven.scripted import NOW, ScriptedVtn, client_of, event, ok, problems, refusal, running, threads

MINUTE = timedelta(minutes=1)
KILOWATT = Unit(name="powerReal", symbol="W", scale="k", hertz=50.0, voltage=230.0, ac=True)
BYTES = encode(ok())
EVENTS = encode(ScriptedVtn().distribute(event("e1"), event("new")))

Illness = Callable[["IllVtn", wire.Message], Reply | Exception | None]


class IllVtn(ScriptedVtn):
    """A VTN that answers by `illness` as long as there is one; None of it stands for the usual answer."""

    def __init__(self) -> None:
        super().__init__()
        self.illness: Illness | None = None
        self.well: list[wire.OadrUpdateReport] = []

    async def post(self, url: str, body: bytes) -> Reply:
        if self.illness is not None:
            message = decode(body).message
            bad = self.illness(self, message)
            if isinstance(bad, Exception):
                self.log.append((url.rpartition("/")[2], message))
                raise bad
            if bad is not None:
                self.log.append((url.rpartition("/")[2], message))
                return bad
        if isinstance(update := decode(body).message, wire.OadrUpdateReport):
            self.well.append(update)
        return await super().post(url, body)


def body(data: bytes | str, status: int = 200, **fields: Any) -> Illness:
    """Every answer is this."""
    answer = Reply(status, data if isinstance(data, bytes) else data.encode(), **fields)
    return lambda vtn, message: answer


def message(answer: wire.Message) -> Illness:
    """Every answer is this message."""
    return body(encode(answer))


def fails(text: str, **fields: Any) -> Illness:
    """No request gets through."""
    return lambda vtn, message: TransportError(text, **fields)


def polls(make: Callable[[IllVtn], wire.Message | bytes]) -> Illness:
    """Polls are answered so, and the rest as usual."""

    def illness(vtn: IllVtn, request: wire.Message) -> Reply | None:
        if not isinstance(request, wire.OadrPoll):
            return None
        answer = make(vtn)
        return Reply(200, answer if isinstance(answer, bytes) else encode(answer))

    return illness


def nested(depth: int) -> bytes:
    return BYTES.replace(b"<oadr:oadrSignedObject>", b"<oadr:oadrSignedObject>" + b"<a>" * depth)


def stranger(vtn: IllVtn) -> wire.Message:
    return vtn.distribute(event("of-another"), vtn_id="vtn-2")


WANTED = ReportRequest(
    report_request_id="R",
    report_specifier_id="S",
    r_ids=("m",),
    granularity=MINUTE,
    report_back_duration=MINUTE,
    start=NOW,
)


ASKED = lower_request(WANTED)
DTD = b'<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><p>&b;</p>'
EXTERNAL = b'<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a SYSTEM "file:///etc/passwd">]><p>&a;</p>'
HTML = "<html><head><title>Login</title></head><body><form>please log in</form></body></html>"
SOAP = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>'
V2A = "http://openadr.org/oadr-2.0a/2012/07"

CASES: dict[str, tuple[Illness, str]] = {
    # no answer at all
    "refused connection": (fails("no connection to vtn.example:443: Connection refused"), "no connection"),
    "name not found": (fails("the name 'vtn.example' can't be found"), "can't be found"),
    "hangs": (fails("gave no answer within 30 seconds: is the server overloaded?"), "no answer within"),
    "closed connection": (fails("closed the connection without an answer"), "closed the connection"),
    "tls failure": (fails("the certificate of vtn.example has expired"), "has expired"),
    "proxy refuses": (fails("the proxy will not pass on: HTTP 407", status=407), "407"),
    "redirect": (fails("redirects to https://login.example/", status=302, retry=False), "redirects to"),
    "redirect to itself": (fails("redirects to /OpenADR2 (HTTP 308)", status=308, retry=False), "redirects to"),
    "too long": (fails("the answer is longer than 8388608 bytes"), "longer than"),
    "broken gzip": (fails("answered with broken gzip data"), "broken gzip"),
    # HTTP errors
    **{
        f"HTTP {status}": (body(HTML, status), f"HTTP {status}")
        for status in (
            400,
            401,
            403,
            404,
            405,
            406,
            408,
            409,
            410,
            413,
            415,
            418,
            425,
            429,
            500,
            501,
            502,
            503,
            504,
            599,
        )
    },
    "HTTP 204": (body(b"", 204), "HTTP 204"),
    "HTTP 202": (body(BYTES, 202), "HTTP 202"),
    "HTTP 500 with a message": (body(BYTES, 500), "HTTP 500"),
    "HTTP 503 for a while": (body(b"busy", 503, retry_after_s=25.0), "HTTP 503"),
    "HTTP 429 for a while": (body(b"slow down", 429, retry_after_s=45.0), "HTTP 429"),
    # bodies that are no document
    "nothing": (body(b""), "empty body"),
    "blanks": (body(b" \r\n\t "), "empty body"),
    "garbage": (body(bytes(range(256)) * 4), "no valid OpenADR 2.0b message"),
    "zeros": (body(bytes(1000)), "no valid OpenADR 2.0b message"),
    "text": (body("Internal error, call 555-1234"), "no valid OpenADR 2.0b message"),
    "JSON": (body('{"error": "not found"}'), "no valid OpenADR 2.0b message"),
    "HTML": (body(HTML), "no valid OpenADR 2.0b message"),
    "broken HTML": (body("<html><br><p>Bad gateway"), "no valid OpenADR 2.0b message"),
    "half a message": (body(BYTES[: len(BYTES) // 2]), "no valid OpenADR 2.0b message"),
    "all but the last byte": (body(BYTES[:-1]), "no valid OpenADR 2.0b message"),
    "two messages": (body(BYTES + BYTES), "no valid OpenADR 2.0b message"),
    "message and noise": (body(BYTES + b"<!-- --> OK"), "no valid OpenADR 2.0b message"),
    "half of the events": (body(EVENTS[: len(EVENTS) // 2]), "no valid OpenADR 2.0b message"),
    "EBCDIC": (body(BYTES.decode().encode("cp500")), "no valid OpenADR 2.0b message"),
    "wrong encoding": (body(BYTES.replace(b"OK", b"\xff\xfe")), "no valid OpenADR 2.0b message"),
    "control characters": (body(BYTES.replace(b"OK", b"\x01\x02")), "no valid OpenADR 2.0b message"),
    # dangerous documents
    "entities": (body(DTD), "no valid OpenADR 2.0b message"),
    "external entity": (body(EXTERNAL), "no valid OpenADR 2.0b message"),
    "deep": (body(nested(100_000)), "no valid OpenADR 2.0b message"),
    "deep and closed": (body(b"<a>" * 5_000 + b"</a>" * 5_000), "no valid OpenADR 2.0b message"),
    "huge": (body(b"<a>" + b"<b/>" * 450_000 + b"</a>"), "no valid OpenADR 2.0b message"),
    "one huge text": (body(BYTES.replace(b"OK", b"x" * 12_000_000)), "no valid OpenADR 2.0b message"),
    "many attributes": (
        body(b"<a " + b" ".join(b'a%d="1"' % n for n in range(25_000)) + b"/>"),
        "no valid OpenADR 2.0b message",
    ),
    # XML that is something else
    "SOAP": (body(SOAP), "no valid OpenADR 2.0b message"),
    "no namespace": (body("<oadrPayload><oadrSignedObject/></oadrPayload>"), "no valid OpenADR 2.0b message"),
    "2.0a": (body(BYTES.decode().replace("http://openadr.org/oadr-2.0b/2012/07", V2A)), "2.0"),
    "nothing signed": (
        body('<p:oadrPayload xmlns:p="http://openadr.org/oadr-2.0b/2012/07"/>'),
        "no valid OpenADR 2.0b message",
    ),
    "unknown message": (body(BYTES.replace(b"oadrResponse", b"oadrHello")), "no valid OpenADR 2.0b message"),
    "no code": (body(BYTES.replace(b"responseCode", b"responseKode")), "no valid OpenADR 2.0b message"),
    "a code of letters": (body(BYTES.replace(b">200<", b">OK<")), "no valid OpenADR 2.0b message"),
    # messages that say no
    **{
        f"code {code}": (message(refusal(code, "not now")), f"{code}: not now")
        for code in ("450", "451", "453", "454", "459", "460", "469", "500", "503", "999")
    },
    "not registered": (message(refusal("463", "who are you")), "463"),
    "unknown VEN": (message(refusal("452", "unknown venID")), "452"),
    # messages at the wrong place
    "our own poll": (message(wire.OadrPoll(ven_id="ven-1")), "oadrPoll"),
    "the answer to an opt": (message(wire.OadrCreatedOpt(response=response(), opt_id="o")), "oadrCreatedOpt"),
    "a request for events": (message(wire.OadrRequestEvent(request_id="r", ven_id="ven-1")), "oadrRequestEvent"),
    "an answer to events": (message(wire.OadrCreatedEvent(response=response(), ven_id="ven-1")), "oadrCreatedEvent"),
    # polls that bring what is wrong
    "events of another VTN": (polls(stranger), "our VTN is 'vtn-1'"),
    "an error with events": (polls(lambda v: v.distribute(event("e9"), response=response("", "500", "down"))), "down"),
    "a report request for another VEN": (
        polls(lambda _: wire.OadrCreateReport(request_id="r", report_requests=(ASKED,), ven_id="ven-9")),
        "ven-9",
    ),
    "a cancellation for another VEN": (
        polls(lambda _: wire.OadrCancelPartyRegistration(request_id="r", registration_id="reg-1", ven_id="ven-9")),
        "ven-9",
    ),
    "the end of reports of another VEN": (
        polls(
            lambda _: wire.OadrCancelReport(
                request_id="r", report_request_id=("R",), report_to_follow=False, ven_id="ven-9"
            )
        ),
        "ven-9",
    ),
    "reports of the VTN for another VEN": (
        polls(lambda _: wire.OadrRegisterReport(request_id="r", ven_id="ven-9")),
        "ven-9",
    ),
    "a reregistration of another VEN": (
        polls(lambda _: wire.OadrRequestReregistration(ven_id="ven-9")),
        "ven-9",
    ),
}


def _metered(vtn: IllVtn, clock: FakeClock) -> OpenADRClient:
    client = client_of(vtn, clock, on_event=lambda _: "optIn", register_again_after=10.0)
    client.add_report(points=[DataPoint(r_id="m", unit=KILOWATT)], report_specifier_id="S", source=lambda _: 1.0)
    return client


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
async def test_the_ven_goes_on_and_recovers(name: str, caplog: pytest.LogCaptureFixture) -> None:
    illness, said = CASES[name]
    vtn, clock = IllVtn(), FakeClock(NOW)
    vtn.rules[wire.OadrRegisterReport] = lambda m: wire.OadrRegisteredReport(
        response=response(m.request_id), report_requests=(ASKED,)
    )
    vtn.events = [event("e1")]
    async with running(_metered(vtn, clock), clock) as client:
        await clock.advance(5)
        await _decided(client, clock, "e1")
        first = client.events["e1"].event
        caplog.clear()
        vtn.illness = illness
        await clock.advance(3 * MINUTE)
        assert "e1" in client.events, "the event is kept"
        assert client.events["e1"].event == first
        assert set(client.events) == {"e1"}, "nothing of it is believed"
        assert any(said in line for line in problems(caplog.records)), problems(caplog.records)
        assert not any("bug in pyopenadr" in line for line in problems(caplog.records))
        asked = len(vtn.log)
        assert asked < 200, "it does not press a VTN that is ill"
        vtn.illness = None
        vtn.events = [event("e1"), event("new")]
        vtn.queue.append(vtn.distribute())
        await clock.advance(6 * MINUTE)
        await _decided(client, clock, "new")
        await clock.advance(MINUTE)
    answered = {answer.event_id for m in vtn.sent(wire.OadrCreatedEvent) for answer in m.event_responses or ()}
    assert answered >= {"e1", "new"}
    if name.startswith(("code", "unknown VEN", "not registered")):
        return  # a VTN that says no to a report means it, and one that registers us anew asks for it anew
    assert not client.dropped
    assert taken(vtn) == [NOW + n * MINUTE for n in range(len(taken(vtn)))], "each reading once, and in order"
    assert len(taken(vtn)) >= 9


def taken(vtn: IllVtn) -> list[datetime]:
    """The times of the readings that the VTN has taken, in the order in which they came."""
    return [reading.start for m in vtn.well for report in m.reports for reading in lift_readings(report)]


async def _decided(client: OpenADRClient, clock: FakeClock, event_id: str) -> None:
    await threads(clock, lambda: event_id in client.events and client.events[event_id].opt_type == "optIn")
