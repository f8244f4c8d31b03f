"""`pyopenadr doctor` against servers that are broken in one way each."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pyopenadr.cli import app
from pyopenadr.cli.examination import Examination
from pyopenadr.cli.symptom import Finding, Patient
from pyopenadr.clock import SystemClock
from pyopenadr.transport.tls import ServerTls, server_context
from pyopenadr.v2 import decode, encode, wire
from pyopenadr.v2.faults import response
from pyopenadr.v2.signature import SigningKey, sign
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.transport.pki import START, Files, Pki

Answer = Callable[[str], tuple[int, dict[str, str], bytes]]


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("doctor-pki"))


async def examined(url: str, **settings: Any) -> list[Finding]:
    patient = Patient(url=url, timeout_s=1.0, **settings)
    return [finding async for finding in Examination(patient, SystemClock()).findings()]


def error_of(findings: list[Finding]) -> Finding:
    """The one error; it ends the way, so it is the last thing that is said."""
    wrong = [finding for finding in findings if finding.verdict == "error"]
    assert len(wrong) == 1, findings
    assert wrong[0] in findings[-2:]  # only the signature may follow
    return wrong[0]


def good(path: str = "") -> tuple[int, dict[str, str], bytes]:
    reply = wire.OadrCreatedPartyRegistration(
        response=response("doctor"),
        vtn_id="vtn-1",
        profiles=(wire.OadrProfile(profile_name="2.0b", transports=("simpleHttp",)),),
    )
    return (
        200,
        {"Content-Type": "application/xml", "Date": format_datetime(datetime.now(UTC), usegmt=True)},
        encode(reply),
    )


class Quiet(ThreadingHTTPServer):
    """Does TLS in the thread of each connection, and keeps the complaints of broken ones to itself."""

    context: ssl.SSLContext | None = None
    answer: Answer

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(5)
        if self.context is None:
            super().finish_request(request, client_address)
            return
        with self.context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        return


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Quiet)
        status, headers, body = self.server.answer(self.path)
        self.send_response_only(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        return


@contextmanager
def serving(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that answers every request with what the test says; its port."""
    with Quiet(("127.0.0.1", 0), Handler) as server:
        server.context, server.answer = context, answer
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def tls(
    pki: Pki, pair: Files | None = None, *, wants_client: bool = False, ca_file: str | None = None
) -> ssl.SSLContext:
    return server_context(
        ServerTls(
            certificates=[pair or pki.files("vtn-EC")],
            ca_file=pki.ca_file if wants_client else None,
            client_certificate_required=wants_client,
        )
    )


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- the good case ----------------------------------------------------------------------------------------------------


async def test_a_vtn_in_good_order(pki: Pki) -> None:
    files = pki.files("ven-RSA")
    settings = ServerTls(certificates=pki.vtn, ca_file=pki.ca_file, profile="openadr")
    async with OpenADRServer("vtn-1", port=0, tls=settings) as vtn:
        url = vtn.url.replace("127.0.0.1", "localhost")
        findings = await examined(url, cert=files.cert, key=files.key, ca_file=pki.ca_file)
    assert {f.verdict for f in findings} == {"ok"}
    steps = {finding.step: finding for finding in findings}
    assert [*steps] == [
        *("address", "certificate", "name", "connection", "tls", "their certificate"),
        *("suites", "clock", "path", "registration", "signature"),
    ]
    shown = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "pyopenadr", "certs", "fingerprint", files.cert],
        capture_output=True,
        text=True,
        check=True,
    )
    assert steps["certificate"].details["fingerprint"] in shown.stdout
    assert steps["suites"].details == {
        "TLS 1.3": False,
        "TLS 1.2 ECDHE-ECDSA-AES128-SHA256": True,
        "TLS 1.2 AES128-SHA256": True,
    }
    assert steps["registration"].details["vtn_id"] == "vtn-1"
    assert vtn.vens == []


# --- the way to the port ----------------------------------------------------------------------------------------------


async def test_a_name_that_nobody_has() -> None:
    wrong = error_of(await examined("https://vtn.invalid"))
    assert wrong.step == "name"
    assert "spelling" in wrong.do


async def test_a_closed_port() -> None:
    wrong = error_of(await examined(f"http://127.0.0.1:{closed_port()}"))
    assert wrong.step == "connection"
    assert "nothing listens there" in wrong.text


async def test_plain_http_on_a_tls_port() -> None:
    with serving(good) as port:
        wrong = error_of(await examined(f"https://127.0.0.1:{port}"))
    assert wrong.step == "tls"
    assert "speaks plain HTTP" in wrong.text
    assert f"http://127.0.0.1:{port}" in wrong.do


async def test_tls_on_a_plain_port(pki: Pki) -> None:
    with serving(good, tls(pki)) as port:
        wrong = error_of(await examined(f"http://127.0.0.1:{port}"))
    assert wrong.step == "tls"
    assert f"https://127.0.0.1:{port}" in wrong.do


async def test_a_port_that_stays_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        patient = Patient(url=f"https://127.0.0.1:{server.getsockname()[1]}", timeout_s=0.5)
        findings = [finding async for finding in Examination(patient, SystemClock()).findings()]
    wrong = error_of(findings)
    assert wrong.step == "tls"
    assert "no TLS handshake within 0.5 seconds" in wrong.text


# --- certificates -----------------------------------------------------------------------------------------------------


async def test_an_authority_that_we_do_not_trust(pki: Pki, tmp_path: Path) -> None:
    other = Pki.make(tmp_path)
    with serving(good, tls(pki)) as port:
        findings = await examined(f"https://localhost:{port}", ca_file=other.ca_file)
    wrong = error_of(findings)
    assert wrong.details["refused_by"] == "us"
    assert "not trusted" in wrong.text
    assert "--ca" in wrong.do
    shown = next(f for f in findings if f.step == "their certificate")
    assert shown.details["names"] == ["localhost", "127.0.0.1"]


async def test_a_certificate_for_another_name(pki: Pki) -> None:
    pair = pki.keep("other-name", pki.ec.issue("vtn.example.com", hosts=["vtn.example.com"]))
    with serving(good, tls(pki, pair)) as port:
        findings = await examined(f"https://localhost:{port}", ca_file=pki.ca_file)
    wrong = error_of(findings)
    assert wrong.details["refused_by"] == "us"
    assert "another name" in wrong.text
    assert any("vtn.example.com" in f.text for f in findings if f.step == "their certificate")


def raw_context(pair: Files) -> ssl.SSLContext:
    """As `tls`, but with whatever certificate: ours refuses to serve an expired one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


async def test_a_certificate_that_has_expired(pki: Pki) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    pair = pki.keep("expired", pki.ec.issue("localhost", hosts=["localhost"], start=START, end=yesterday))
    with serving(good, raw_context(pair)) as port:
        findings = await examined(f"https://localhost:{port}", ca_file=pki.ca_file)
    wrong = error_of(findings)
    assert wrong.details["refused_by"] == "us"
    assert "expired" in wrong.text
    assert any("expired on" in f.text for f in findings if f.verdict == "warning")


async def test_our_own_certificate_has_expired(pki: Pki) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    pair = pki.keep("own-expired", pki.ec.issue("ven-old", start=START, end=yesterday))
    findings = await examined("https://localhost", cert=pair.cert, key=pair.key)
    wrong = error_of(findings)
    assert wrong.step == "certificate"
    assert "get a new one" in wrong.text


@asynccontextmanager
async def own_server(pki: Pki) -> AsyncIterator[str]:
    """A VTN of ours, which tells clients why they are refused; its address."""
    async with OpenADRServer("vtn", port=0, tls=ServerTls(certificates=pki.vtn, ca_file=pki.ca_file)) as vtn:
        yield vtn.url.replace("127.0.0.1", "localhost")


async def test_a_server_that_hangs_up_without_a_word(pki: Pki) -> None:
    def hang_up(path: str) -> tuple[int, dict[str, str], bytes]:
        raise ConnectionError

    with serving(hang_up, tls(pki)) as port:
        wrong = error_of(await examined(f"https://localhost:{port}", ca_file=pki.ca_file))
    assert wrong.details["refused_by"] == "unknown"
    assert "does not accept our certificate, or got none" in wrong.text


async def test_our_certificate_is_refused(pki: Pki, tmp_path: Path) -> None:
    stranger = Pki.make(tmp_path).files("ven-EC")
    async with own_server(pki) as url:
        findings = await examined(url, cert=stranger.cert, key=stranger.key, ca_file=pki.ca_file)
    wrong = error_of(findings)
    assert wrong.step == "http"  # in TLS 1.3 the refusal comes after the handshake
    assert wrong.details["refused_by"] == "them"
    assert any(f.details.get("fingerprint") for f in findings if f.step == "certificate")


async def test_the_vtn_wants_a_certificate_and_we_have_none(pki: Pki) -> None:
    async with own_server(pki) as url:
        wrong = error_of(await examined(url, ca_file=pki.ca_file))
    assert wrong.details["refused_by"] == "them"
    assert wrong.do == "give --cert and --key"


# --- path and answer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (404, {}, b"nothing here", "there is no VTN"),
        (200, {"Content-Type": "text/html"}, b"<html>Welcome</html>", "an HTML page"),
        (200, {}, b"  <!DOCTYPE html><html></html>", "an HTML page"),
        (200, {}, b"", "nothing"),
        (302, {"Location": "https://elsewhere.example/"}, b"", "redirects to https://elsewhere.example/"),
        (401, {"Content-Type": "text/html"}, b"<html>log in</html>", "does not let us in"),
        (403, {}, b"who are you", "does not let us in (HTTP 403): who are you"),
        (500, {}, b"Traceback", "HTTP 500: Traceback"),
        (503, {}, b"", "an empty answer"),
    ],
)
async def test_no_vtn_behind_the_address(status: int, headers: dict[str, str], body: bytes, said: str) -> None:
    with serving(lambda path: (status, headers, body)) as port:
        wrong = error_of(await examined(f"http://127.0.0.1:{port}"))
    assert wrong.step == "path"
    assert said in wrong.text
    assert wrong.do
    assert wrong.details["status"] == status


async def test_a_wrong_path_is_told_the_right_one() -> None:
    def answer(path: str) -> tuple[int, dict[str, str], bytes]:
        return good() if path.startswith("/openadr/OpenADR2/Simple/2.0b/") else (404, {}, b"no")

    with serving(answer) as port:
        wrong = error_of(await examined(f"http://127.0.0.1:{port}/vtn2"))
    assert wrong.details["use"] == f"http://127.0.0.1:{port}/openadr/OpenADR2/Simple/2.0b"
    assert wrong.details["use"] in wrong.do


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"<hello/>", "no valid OpenADR 2.0b message"),
        (encode(wire.OadrResponse(response=response("", "463", "who is that"), ven_id="")), "463: who is that"),
    ],
)
async def test_an_answer_that_is_no_yes(message: bytes, said: str) -> None:
    with serving(lambda path: (200, {}, message)) as port:
        wrong = error_of(await examined(f"http://127.0.0.1:{port}"))
    assert wrong.step == "registration"
    assert said in wrong.text


async def test_a_vtn_that_speaks_only_2_0a() -> None:
    reply = wire.OadrCreatedPartyRegistration(
        response=response("doctor"),
        vtn_id="old",
        profiles=(wire.OadrProfile(profile_name="2.0a", transports=("simpleHttp",)),),
    )
    with serving(lambda path: (200, {}, encode(reply))) as port:
        wrong = error_of(await examined(f"http://127.0.0.1:{port}"))
    assert "speaks only 2.0a over simpleHttp" in wrong.text


@pytest.mark.parametrize(("skew_s", "verdict"), [(0, "ok"), (30, "warning"), (-30, "warning"), (600, "error")])
async def test_the_clocks(skew_s: int, verdict: str) -> None:
    def answer(path: str) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = good()
        date = datetime.now(UTC) + timedelta(seconds=skew_s)
        return status, {**headers, "Date": format_datetime(date, usegmt=True)}, body

    with serving(answer) as port:
        findings = await examined(f"http://127.0.0.1:{port}")
    clock = next(f for f in findings if f.step == "clock")
    assert clock.verdict == verdict
    assert abs(clock.details["skew_s"] - skew_s) <= 2
    assert findings[-1].step == "signature"  # a wrong clock does not end the way


async def test_a_vtn_that_does_not_tell_its_time() -> None:
    with serving(lambda path: (200, {}, good()[2])) as port:
        findings = await examined(f"http://127.0.0.1:{port}")
    assert next(f for f in findings if f.step == "clock").verdict == "note"


# --- signatures -------------------------------------------------------------------------------------------------------


async def test_signed_answers_and_queries(pki: Pki) -> None:
    files = pki.files("vtn-RSA")
    key = SigningKey.from_pem(Path(files.cert).read_bytes(), Path(files.key).read_bytes())
    reply = decode(good()[2]).message
    signed = sign(reply, key, now=datetime.now(UTC), nonce="0123456789abcdef")
    with serving(lambda path: (200, {}, signed)) as port:
        url = f"http://127.0.0.1:{port}"
        trusted = await examined(url.replace("127.0.0.1", "localhost"), ca_file=pki.ca_file, signing_key=key)
        distrusted = await examined(url)
    assert trusted[-1].verdict == "ok", trusted[-1].text
    assert trusted[-1].details == {"signed": True, "fingerprint": key.fingerprint}
    assert trusted[-1].text.startswith("we sign")
    assert distrusted[-1].verdict == "warning"


# --- the command ------------------------------------------------------------------------------------------------------


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["doctor", *arguments])


def test_exit_codes_and_json() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    told = run(url, "--json")
    assert told.exit_code == 1
    document = json.loads(told.stdout)
    assert document["verdict"] == "error"
    assert [finding["step"] for finding in document["findings"]] == ["address", "name", "connection"]
    plain = run(url)
    assert "ERROR  connection" in plain.stdout
    assert "it ends at connection" in plain.stdout
    assert run("not an address").exit_code == 2
    assert run(url, "--sign").exit_code == 2
    assert run(url, "--tls-profile", "old").exit_code == 2


async def test_exit_code_of_a_good_vtn() -> None:
    with serving(good) as port:
        result = await asyncio.to_thread(run, f"http://127.0.0.1:{port}")
    assert result.exit_code == 0, result.stdout
    assert "A VEN can talk to this VTN." in result.stdout


def test_a_file_that_is_missing_is_a_wrong_setting(pki: Pki) -> None:
    result = run("https://localhost", "--cert", pki.files("nobody").cert)
    assert result.exit_code == 2
    assert "nobody.pem can't be read" in result.output
