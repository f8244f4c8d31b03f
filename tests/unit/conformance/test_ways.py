"""The other ways: TLS with certificates, XML signatures, and push."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyopenadr.clock import AcceleratedClock, SystemClock
from pyopenadr.conformance.line import Line
from pyopenadr.conformance.runner import chosen, run
from pyopenadr.conformance.seal import Seal
from pyopenadr.conformance.served import Served
from pyopenadr.conformance.ven.registry import VEN_CHECKS
from pyopenadr.conformance.vtn.registry import VTN_CHECKS
from pyopenadr.conformance.vtn.stage import VtnStage
from pyopenadr.transport.server import HttpServer
from pyopenadr.transport.tls import ClientTls, ServerTls, TlsProfile, client_context
from pyopenadr.v2.signature import SigningKey, Trust
from pyopenadr.ven.listener import Listener
from pyopenadr.vtn.server import OpenADRServer
from tests.interop.certificate import Authority, Files
from tests.unit.conformance.own import PATIENCE_S, SPEED, a_ven, check_vtn, reasons, unkept
from tests.unit.conformance.stimulus import ServerStimulus

SECURITY = ["vtn-security-*", "vtn-general-poll-idle", "vtn-message-schema"]


def key_of(files: Files) -> SigningKey:
    return SigningKey.from_pem(Path(files.cert).read_bytes(), Path(files.key).read_bytes())


def trust_in(files: Files) -> Trust:
    return Trust(certificates=[Path(files.cert).read_bytes()])


@pytest.mark.parametrize(("profile", "wrong"), [("openadr", set()), ("modern", {"vtn-security-suites"})])
async def test_a_vtn_with_tls_and_signatures(tmp_path: Path, profile: TlsProfile, wrong: set[str]) -> None:
    authority = Authority(tmp_path)
    vtn, ven = authority.issue("vtn", "rsa"), authority.issue("ven", "p256")
    own = client_context(ClientTls(cert=ven.cert, key=ven.key, ca_file=authority.file))
    clock = SystemClock()
    settings: dict[str, Any] = {
        "tls": ServerTls(certificates=[(vtn.cert, vtn.key)], ca_file=authority.file, profile=profile),
        "enrolment": "open",
        "signature": "require",
        "signing_key": key_of(vtn),
    }
    async with OpenADRServer("VTN_1", port=0, **settings) as server:
        line = Line(server.url.replace("127.0.0.1", "localhost"), context=own)
        stage = VtnStage(
            line,
            clock=clock,
            stimulus=ServerStimulus(server),
            seal=Seal(clock, key_of(ven), trust_in(vtn)),
            certified_context=client_context(
                ClientTls(cert=ven.cert, key=ven.key, ca_file=authority.file, profile="openadr")
            ),
            bare_context=client_context(ClientTls(ca_file=authority.file)),
        )
        result = await run(stage, chosen(VTN_CHECKS, SECURITY), target=server.url)
    assert unkept(result) == wrong, reasons(result)
    assert {o.check.id for o in result.outcomes if o.verdict == "n/a"} == set()


async def test_a_vtn_that_looks_at_no_signature_is_found_out(tmp_path: Path) -> None:
    key = key_of(Authority(tmp_path).issue("ven", "p256"))
    result = await check_vtn(*SECURITY, seal=Seal(SystemClock(), key))
    failed = {each.partition(":")[0].removeprefix("vtn-security-") for each in reasons(result)}
    assert failed == {"signed-reply", "unsigned", "tampered", "stale", "replayed"}


async def test_a_vtn_that_pushes() -> None:
    clock = AcceleratedClock(SPEED)
    async with OpenADRServer("VTN_1", port=0, clock=clock) as server:
        stage = VtnStage(Line(server.url), clock=clock, stimulus=ServerStimulus(server), patience_s=PATIENCE_S)
        listener = HttpServer(Served(stage.take_push), "127.0.0.1", 0)
        await listener.start()
        stage.push_url = listener.url
        wanted = ["vtn-registration-create", "vtn-event-new*", "vtn-event-c*", "vtn-report-ask*", "vtn-message-*"]
        result = await run(stage, chosen(VTN_CHECKS, wanted), target=server.url)
        await listener.stop()
    assert reasons(result) == []
    passed = {outcome.check.id for outcome in result.outcomes if outcome.verdict == "pass"}
    assert {"vtn-event-new", "vtn-event-cancel", "vtn-event-change", "vtn-report-ask"} <= passed


async def test_a_ven_that_is_pushed_to(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")

    def call(address: str) -> object:
        line = Line(address)
        return lambda path, body: line.ask(f"{line.prefix}{path}", body)

    ven = {"push": Listener(host="127.0.0.1", port=0)}
    async with a_ven(ven=ven, call=call) as stage:
        wanted = ["ven-push-*", "ven-event-new", "ven-event-cancelled*", "ven-report-o*", "ven-message-*"]
        result = await run(stage, chosen(VEN_CHECKS, wanted), target="ours")
    assert reasons(result) == []
    passed = {outcome.check.id for outcome in result.outcomes if outcome.verdict == "pass"}
    assert {"ven-push-event", "ven-push-nonsense", "ven-event-cancelled", "ven-report-once"} <= passed


async def test_a_ven_with_tls_and_signatures(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")
    authority = Authority(tmp_path)
    vtn, ven = authority.issue("vtn", "rsa"), authority.issue("ven", "p256")
    tls = ServerTls(certificates=[(vtn.cert, vtn.key)], ca_file=authority.file)
    settings = {
        "cert": ven.cert,
        "key": ven.key,
        "ca_file": authority.file,
        "signing_key": key_of(ven),
        "vtn_signature": trust_in(vtn),
    }
    clock = AcceleratedClock(SPEED)
    async with a_ven(tls=tls, ven=settings, seal=Seal(clock, key_of(vtn), trust_in(ven))) as stage:
        result = await run(stage, chosen(VEN_CHECKS, ["ven-security-*", "ven-message-schema"]), target="ours")
    assert reasons(result) == []
    assert {outcome.check.id for outcome in result.outcomes if outcome.verdict == "n/a"} == set()
