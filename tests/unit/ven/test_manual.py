"""Manual mode: one method, one request; the answer as a pair, or an error."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pyopenadr.clock import FakeClock
from pyopenadr.errors import (
    ConfigError,
    LocalProtocolError,
    Malformed,
    PeerRefused,
    RemoteProtocolError,
    SchemaMismatch,
    TransportError,
)
from pyopenadr.model import DataPoint, Reading, ReportRequest, Span, Unit
from pyopenadr.transport.port import Reply
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge import lower_request
from pyopenadr.v2.codec import decode, encode
from pyopenadr.v2.faults import response
from pyopenadr.v2.signature import SigningKey
from pyopenadr.ven import HandlerFailed, OpenADRClient
from tests.unit.ven.scripted import HOUR, NOW, ScriptedVtn, client_of, event, ok, refusal


@pytest.fixture
def vtn() -> ScriptedVtn:
    return ScriptedVtn()


@pytest.fixture
async def client(vtn: ScriptedVtn) -> OpenADRClient:
    client = client_of(vtn)
    await client.create_party_registration()
    return client


async def test_registering_keeps_the_ids(vtn: ScriptedVtn) -> None:
    client = client_of(vtn)
    kind, payload = await client.create_party_registration()
    assert kind == "oadrCreatedPartyRegistration"
    assert payload["ven_id"] == client.ven_id == "ven-1"
    assert payload["registration_id"] == client.registration_id == "reg-1"
    assert payload["requested_oadr_poll_freq"] == client.poll_interval == timedelta(seconds=10)
    assert client.vtn_id == "vtn-1"
    assert client.registered
    message = vtn.last(wire.OadrCreatePartyRegistration)
    assert (message.ven_name, message.ven_id, message.registration_id) == ("my ven", None, None)
    assert (message.http_pull_model, message.transport_address) == (True, None)


async def test_registering_twice_confirms_the_registration(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    await client.create_party_registration()
    message = vtn.last(wire.OadrCreatePartyRegistration)
    assert (message.ven_id, message.registration_id) == ("ven-1", "reg-1")


async def test_a_refused_registration_raises(vtn: ScriptedVtn) -> None:
    vtn.rules[wire.OadrCreatePartyRegistration] = lambda message: vtn.created(
        message, response=response(message.request_id, "463", "who are you?"), ven_id=None, registration_id=None
    )
    client = client_of(vtn)
    with pytest.raises(PeerRefused, match="463: who are you"):
        await client.create_party_registration()
    assert not client.registered


async def test_a_registration_without_a_ven_id_is_none(vtn: ScriptedVtn) -> None:
    vtn.rules[wire.OadrCreatePartyRegistration] = lambda message: vtn.created(message, ven_id=None)
    with pytest.raises(RemoteProtocolError, match="no venID"):
        await client_of(vtn).create_party_registration()


async def test_a_plain_response_is_no_registration(vtn: ScriptedVtn) -> None:
    vtn.rules[wire.OadrCreatePartyRegistration] = lambda _: ok()
    with pytest.raises(RemoteProtocolError, match="plain oadrResponse"):
        await client_of(vtn).create_party_registration()


async def test_an_agreed_ven_id_is_sent_with_the_first_registration(vtn: ScriptedVtn) -> None:
    await client_of(vtn, ven_id="agreed").create_party_registration()
    message = vtn.last(wire.OadrCreatePartyRegistration)
    assert (message.ven_id, message.registration_id) == ("agreed", None)


async def test_with_both_ids_the_client_is_registered_at_once(vtn: ScriptedVtn) -> None:
    client = client_of(vtn, ven_id="v", registration_id="r")
    assert client.registered
    assert (await client.poll()).message_type == "oadrResponse"
    assert vtn.last(wire.OadrPoll).ven_id == "v"


async def test_a_query_changes_nothing(vtn: ScriptedVtn) -> None:
    client = client_of(vtn)
    kind, payload = await client.query_registration()
    assert kind == "oadrCreatedPartyRegistration"
    assert payload["profiles"] == [{"profile_name": "2.0b", "transports": ["simpleHttp"]}]
    assert not client.registered


async def test_cancelling_forgets_and_allows_a_new_start(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    kind, _ = await client.cancel_party_registration()
    assert kind == "oadrCanceledPartyRegistration"
    assert vtn.last(wire.OadrCancelPartyRegistration).registration_id == "reg-1"
    assert (client.registered, client.ven_id, client.registration_id) == (False, None, None)
    await client.create_party_registration()
    assert vtn.last(wire.OadrCreatePartyRegistration).registration_id is None
    assert client.registered


async def test_a_refused_cancellation_keeps_the_registration(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    vtn.rules[wire.OadrCancelPartyRegistration] = lambda _: refusal("452")
    with pytest.raises(PeerRefused):
        await client.cancel_party_registration()
    assert client.registered
    assert client.registration_id == "reg-1"


async def test_polling_before_registering_says_what_to_do(vtn: ScriptedVtn) -> None:
    with pytest.raises(LocalProtocolError, match="create_party_registration"):
        await client_of(vtn).poll()


async def test_poll_of_an_empty_queue(client: OpenADRClient) -> None:
    kind, payload = await client.poll()
    assert kind == "oadrResponse"
    assert payload["response"]["response_code"] == "200"


async def test_poll_gives_native_types(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    vtn.queue.append(vtn.distribute(event()))
    kind, payload = await client.poll()
    assert kind == "oadrDistributeEvent"
    (found,) = payload["events"]
    assert type(found) is dict
    assert found["active_period"]["dtstart"] == NOW + HOUR
    assert found["active_period"]["duration"] == HOUR
    assert found["event_descriptor"]["modification_number"] == 0


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (refusal("463", "unknown VEN"), PeerRefused, "463: unknown VEN"),
        (None, RemoteProtocolError, "empty body"),
        (b"<html>", Malformed, "html"),
        (b"<a/>", SchemaMismatch, "no OpenADR 2.0 document"),
        (404, TransportError, "HTTP 404.*check the path.*<html>no way</html>"),
        (503, TransportError, "HTTP 503"),
        (TransportError("no cable"), TransportError, "no cable"),
    ],
)
async def test_a_poll_that_fails_raises(
    client: OpenADRClient, vtn: ScriptedVtn, answer: object, error: type[Exception], text: str
) -> None:
    vtn.rules[wire.OadrPoll] = lambda _: answer  # type: ignore[assignment,return-value]
    with pytest.raises(error, match=text):
        await client.poll()


@pytest.mark.parametrize(
    ("status", "retry"),
    [(400, False), (403, False), (404, False), (406, False), (501, False), (408, True), (429, True), (500, True)],
)
async def test_which_statuses_are_worth_another_try(
    client: OpenADRClient, vtn: ScriptedVtn, status: int, retry: bool
) -> None:
    vtn.rules[wire.OadrPoll] = lambda _: status
    with pytest.raises(TransportError) as caught:
        await client.poll()
    assert (caught.value.status, caught.value.retry) == (status, retry)


async def test_a_reregistration_in_place_of_an_answer(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    vtn.rules[wire.OadrRequestEvent] = lambda _: wire.OadrRequestReregistration(ven_id="ven-1")
    with pytest.raises(PeerRefused, match="new registration"):
        await client.request_event()


async def test_another_message_in_place_of_an_answer(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    vtn.rules[wire.OadrRequestEvent] = lambda _: wire.OadrCreatedOpt(response=response(), opt_id="x")
    with pytest.raises(RemoteProtocolError, match="oadrRequestEvent with oadrCreatedOpt, not with oadrDistributeEvent"):
        await client.request_event()


async def test_answering_an_event(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    vtn.queue.append(vtn.distribute(event(modification_number=3), request_id="d-9"))
    await client.poll()
    kind, _ = await client.created_event("e1", "optIn", response_description="gladly")
    assert kind == "oadrResponse"
    message = vtn.last(wire.OadrCreatedEvent)
    assert message.ven_id == "ven-1"
    assert message.response.request_id == ""
    assert message.event_responses is not None
    (answer,) = message.event_responses
    assert (answer.event_id, answer.modification_number, answer.request_id) == ("e1", 3, "d-9")
    assert (answer.opt_type, answer.response_code, answer.response_description) == ("optIn", "200", "gladly")


async def test_answering_an_unknown_event_needs_its_number(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    with pytest.raises(LocalProtocolError, match="unknown"):
        await client.created_event("e7", "optIn")
    await client.created_event("e7", "optOut", modification_number=2, request_id="r")
    answers = vtn.last(wire.OadrCreatedEvent).event_responses
    assert answers is not None
    assert (answers[0].modification_number, answers[0].request_id) == (2, "r")


async def test_requesting_events(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    vtn.events = [event()]
    kind, payload = await client.request_event(reply_limit=4)
    assert kind == "oadrDistributeEvent"
    assert len(payload["events"]) == 1
    assert vtn.last(wire.OadrRequestEvent).reply_limit == 4


async def test_opts(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    kind, payload = await client.create_opt("optOut", availability=[Span(NOW, NOW + HOUR)])
    assert kind == "oadrCreatedOpt"
    sent = vtn.last(wire.OadrCreateOpt)
    assert sent.vavailability is not None
    assert (sent.ven_id, sent.target.ven_id, sent.vavailability[0].duration) == ("ven-1", ("ven-1",), HOUR)
    await client.cancel_opt(payload["opt_id"])
    assert vtn.last(wire.OadrCancelOpt).opt_id == sent.opt_id


async def test_an_opt_on_an_event_knows_its_number(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    vtn.queue.append(vtn.distribute(event(modification_number=2)))
    await client.poll()
    await client.create_opt("optIn", event_id="e1", opt_reason="economic")
    assert vtn.last(wire.OadrCreateOpt).modification_number == 2


KILOWATT = Unit(name="powerReal", symbol="W", scale="k", hertz=50.0, voltage=230.0, ac=True)
POWER = DataPoint(r_id="power", unit=KILOWATT)
ONE_SHOT = ReportRequest(report_request_id="rr", report_specifier_id="spec", r_ids=("power",))


async def test_reports_by_hand(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    client.add_report(points=[POWER], report_specifier_id="spec")
    vtn.rules[wire.OadrRegisterReport] = lambda message: wire.OadrRegisteredReport(
        response=response(message.request_id), report_requests=(lower_request(ONE_SHOT),)
    )
    kind, _ = await client.register_reports()
    assert kind == "oadrRegisteredReport"
    (offered,) = vtn.last(wire.OadrRegisterReport).reports
    assert (offered.report_name, offered.report_request_id) == ("METADATA_TELEMETRY_USAGE", "0")
    assert offered.report_descriptions[0].sampling_rate is not None
    assert vtn.last(wire.OadrCreatedReport).pending_reports == ("rr",)
    assert list(client.report_requests) == ["rr"]

    kind, _ = await client.update_report("rr", {"power": 1.5})
    assert kind == "oadrUpdatedReport"
    (report,) = vtn.last(wire.OadrUpdateReport).reports
    assert (report.report_request_id, report.report_name) == ("rr", "TELEMETRY_USAGE")
    assert report.intervals[0].payloads[0]["value"] == 1.5
    assert not client.report_requests, "a one-shot report is done with one update"
    with pytest.raises(LocalProtocolError, match="no report request 'rr'"):
        await client.update_report("rr", {"power": 1.5})


async def test_values_that_make_no_report(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    client.add_report(points=[POWER], report_specifier_id="spec")
    vtn.queue.append(wire.OadrCreateReport(request_id="q", report_requests=(lower_request(ONE_SHOT),)))
    await client.handle(*await client.poll())
    with pytest.raises(HandlerFailed, match="nobody asked for other"):
        await client.update_report("rr", [Reading(r_id="other", start=NOW, value=1.0)])
    with pytest.raises(HandlerFailed, match="give a number"):
        await client.update_report("rr", {"power": "much"})
    assert not vtn.sent(wire.OadrUpdateReport)


async def test_asking_the_vtn_for_reports(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    kind, payload = await client.create_report([ONE_SHOT])
    assert (kind, payload["pending_reports"]) == ("oadrCreatedReport", ["rr"])
    kind, _ = await client.cancel_report(["rr"], report_to_follow=True)
    assert kind == "oadrCanceledReport"
    assert vtn.last(wire.OadrCancelReport).report_to_follow


async def test_what_poll_brings_can_be_handled_as_in_auto_mode(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    vtn.queue.append(wire.OadrRegisterReport(request_id="q"))
    kind, payload = await client.poll()
    assert vtn.names()[-1] != "oadrRegisteredReport"
    await client.handle(kind, payload)
    assert vtn.last(wire.OadrRegisteredReport).response.request_id == "q"
    with pytest.raises(LocalProtocolError, match="no message 'oadrFun'"):
        await client.handle("oadrFun", {})
    await client.close()


async def test_any_message_can_be_sent(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    kind, payload = await client.send("EiRegisterParty", wire.OadrResponse(response=response(), ven_id="ven-1"))
    assert (kind, payload) == ("", {})
    assert vtn.log[-1][0] == "EiRegisterParty"


async def test_request_ids_are_never_the_same(client: OpenADRClient, vtn: ScriptedVtn) -> None:
    for _ in range(5):
        await client.request_event()
    ids = {message.request_id for message in vtn.sent(wire.OadrRequestEvent)}
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://vtn.example", "https://vtn.example/OpenADR2/Simple/2.0b"),
        ("https://vtn.example/", "https://vtn.example/OpenADR2/Simple/2.0b"),
        ("http://vtn.example:8080/a/b//", "http://vtn.example:8080/a/b/OpenADR2/Simple/2.0b"),
        ("https://vtn.example/OpenADR2/Simple/2.0b", "https://vtn.example/OpenADR2/Simple/2.0b"),
        ("https://vtn.example/x/OpenADR2/Simple/2.0b/", "https://vtn.example/x/OpenADR2/Simple/2.0b"),
    ],
)
def test_vtn_url(url: str, base: str) -> None:
    assert OpenADRClient("v", url)._parts.session.base == base


@pytest.mark.parametrize("url", ["", "vtn.example", "ftp://vtn.example", "https://", "http://h:99999", "http://h/?a=1"])
def test_vtn_url_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match="address must be like"):
        OpenADRClient("v", url)


@pytest.mark.parametrize(
    "setting",
    [
        {"jitter": 2.0},
        {"handler_timeout_s": 0},
        {"default_opt": "maybe"},
        {"poll_interval": 0},
        {"register_again_after": -1},
        {"timeout_s": 1},
        {"leniency": ["everything"]},
        {"key": "only.pem"},
    ],
)
def test_settings_that_are_wrong(setting: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        OpenADRClient("v", "https://vtn.example", **setting)  # type: ignore[arg-type]


@pytest.mark.parametrize(("points", "text"), [([], "at least one"), ([POWER, POWER], "only once")])
def test_reports_that_are_wrong(points: list[DataPoint], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        OpenADRClient("v", "https://vtn.example").add_report(points=points)


def test_a_report_specifier_is_used_once() -> None:
    client = OpenADRClient("v", "https://vtn.example")
    client.add_report(points=[POWER], report_specifier_id="a")
    with pytest.raises(ConfigError, match="report 'a' already"):
        client.add_report(points=[POWER], report_specifier_id="a")


async def test_deviations_are_accepted_and_named_once(
    client: OpenADRClient, vtn: ScriptedVtn, caplog: pytest.LogCaptureFixture
) -> None:
    bare = encode(ok()).replace(b"ei:schemaVersion", b"schemaVersion")
    vtn.rules[wire.OadrPoll] = lambda _: bare
    await client.poll()
    await client.poll()
    named = [record for record in caplog.records if "unqualified-schema-version" in record.getMessage()]
    assert len(named) == 1
    strict = client_of(vtn, leniency=(), ven_id="v", registration_id="r")
    with pytest.raises(SchemaMismatch):
        await strict.poll()


async def test_log_lines_name_ven_and_request(client: OpenADRClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "pyopenadr.ven")
    await client.query_registration()
    record = caplog.records[-1]
    assert record.name == "pyopenadr.ven"
    assert vars(record)["ven_id"] == "ven-1"
    assert vars(record)["request_id"]
    assert "ven_id=ven-1 request_id=" in record.getMessage()


async def test_a_peer_can_forge_no_log_lines(
    client: OpenADRClient, vtn: ScriptedVtn, caplog: pytest.LogCaptureFixture
) -> None:
    vtn.queue.append(wire.OadrRegisterReport(request_id="a\nERROR all is lost", ven_id="not\nme"))
    await client.handle(*await client.poll())
    assert caplog.records
    assert all("\n" not in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("url", "warned"), [("http://vtn.example", True), ("http://localhost:8080", False), ("https://vtn.example", False)]
)
def test_an_unencrypted_address_is_warned_of(url: str, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    OpenADRClient("v", url)
    assert ("not encrypted" in caplog.text) == warned


async def test_with_a_key_every_message_is_signed(vtn: ScriptedVtn) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ven")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + HOUR)
    key = SigningKey.from_pem(
        builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    bodies: list[bytes] = []
    post = vtn.post

    async def overhear(url: str, body: bytes) -> Reply:
        bodies.append(body)
        return await post(url, body)

    vtn.post = overhear  # type: ignore[method-assign]
    client = client_of(vtn, FakeClock(NOW), signing_key=key)
    await client.create_party_registration()
    await client.poll()
    assert all(decode(body).signature is not None for body in bodies)
    assert len(set(bodies)) == len(bodies) == 2
    assert vtn.last(wire.OadrCreatePartyRegistration).xml_signature
