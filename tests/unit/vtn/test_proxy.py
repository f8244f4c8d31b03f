"""The VTN behind a proxy: by hand, and behind the real ones with the configurations of the documentation."""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pyopenadr.errors import PeerRefused, TransportError
from pyopenadr.transport.certificate import certificate_der, fingerprint
from pyopenadr.transport.proxy import TrustedProxy
from pyopenadr.v2 import decode, encode, wire
from pyopenadr.ven.client import OpenADRClient
from pyopenadr.vtn.server import OpenADRServer
from tests.house.source import ROOT
from tests.unit.transport.pki import Pki, certificate
from tests.unit.vtn.party import issued
from tests.unit.vtn.sample import NOW, running

PAGE = ROOT / "docs" / "howto" / "proxy.md"
BEHIND = TrustedProxy(addresses=["10.0.0.1"], header="X-Cert", form="der", address_header="X-Forwarded-For")
QUERY = "/OpenADR2/Simple/2.0b/EiRegisterParty"


def header_of(name: str) -> str:
    return base64.b64encode(certificate_der(issued(name).certificate)).decode()


async def post(
    vtn: OpenADRServer, message: wire.Message, *, client: str = "10.0.0.1", scheme: str = "http", **headers: str
) -> tuple[int, bytes]:
    scope = {
        "type": "http",
        "method": "POST",
        "path": QUERY
        if isinstance(message, wire.OadrCreatePartyRegistration)
        else QUERY.replace("EiRegisterParty", "OadrPoll"),
        "scheme": scheme,
        "client": (client, 5),
        "headers": [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()],
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": encode(message)}

    async def send(part: Any) -> None:
        sent.append(part)

    await vtn.app(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


def create() -> wire.OadrCreatePartyRegistration:
    return wire.OadrCreatePartyRegistration(
        request_id="r",
        profile_name="2.0b",
        transport_name="simpleHttp",
        report_only=False,
        xml_signature=False,
        http_pull_model=True,
        ven_name="site",
    )


async def test_a_ven_behind_the_proxy_is_known_by_its_certificate() -> None:
    async with running(proxy=BEHIND, host="0.0.0.0") as vtn:
        status, body = await post(vtn, create(), X_Cert=header_of("a"), X_Forwarded_For="6.6.6.6, 1.2.3.4")
        assert (status, b"463" in body) == (200, True)
        [knock] = await vtn.knocks()
        assert (knock.common_name, knock.address) == ("a", "1.2.3.4")
        await vtn.accept(knock)
        status, body = await post(vtn, create(), X_Cert=header_of("a"))
        ven_id = decode(body).message["ven_id"]
        assert [ven.fingerprint for ven in vtn.vens] == [knock.fingerprint]
        poll = wire.OadrPoll(ven_id=ven_id)
        for headers, is_in in (({"X_Cert": header_of("a")}, True), ({"X_Cert": header_of("b")}, False), ({}, False)):
            status, body = await post(vtn, poll, **headers)
            assert (status, b"463" not in body) == (200, is_in)


async def test_nobody_else_may_say_whose_certificate_it_is(caplog: pytest.LogCaptureFixture) -> None:
    async with running(proxy=BEHIND) as vtn:
        for scheme in ("http", "https"):
            status, body = await post(vtn, create(), client="10.0.0.2", scheme=scheme, X_Cert=header_of("a"))
            assert (status, b"only the proxy may send X-Cert" in body) == (403, True)
        assert "is no trusted proxy and sends X-Cert" in caplog.text
        assert (await post(vtn, create(), client="10.0.0.2"))[0] == 403
        assert (await post(vtn, create(), client="10.0.0.2", scheme="https"))[0] == 200
        assert vtn.vens == []


async def test_a_damaged_header_is_refused_and_a_certificate_that_has_expired_too() -> None:
    async with running(proxy=BEHIND) as vtn:
        assert (await post(vtn, create(), X_Cert="?"))[0] == 403
        vtn.clock._now = NOW + timedelta(days=366)  # type: ignore[attr-defined]  # it is a FakeClock
        status, body = await post(vtn, create(), X_Cert=header_of("a"))
        assert (status, b"has expired" in body) == (403, True)


# --- real ones ----------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def configuration(language: str, vtn: OpenADRServer, port: int, folder: Path) -> str:
    """The configuration of the documentation, for other ports and another folder."""
    text: str
    [text] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return (
        text.replace("8080", vtn.url.rpartition(":")[2]).replace("8443", str(port)).replace("/etc/openadr", str(folder))
    )


NGINX = """
daemon off; pid {0}/pid; error_log {0}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fastcgi;
    uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi;
    {1}
}}
"""


@asynccontextmanager
async def in_front(program: str, vtn: OpenADRServer, folder: Path) -> AsyncIterator[str]:
    """The proxy, as long as the block lasts; its address."""
    port, file = free_port(), folder / "proxy.conf"
    text = configuration(program, vtn, port, folder)
    file.write_text(NGINX.format(folder, text) if program == "nginx" else text)
    command = {
        "nginx": ["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(file)],
        "haproxy": ["haproxy", "-db", "-f", str(file)],
    }[program]
    with (folder / "out").open("w+") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=subprocess.STDOUT)
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert process.returncode is None, (folder / "out").read_text()
                await asyncio.sleep(0.05)
            yield f"https://localhost:{port}"
        finally:
            process.terminate()
            await process.wait()


@pytest.mark.parametrize(("program", "form"), [("nginx", "pem"), ("haproxy", "der")])
async def test_the_configuration_of_the_documentation_works(program: str, form: Any, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed (apt-get install {program})")
    pki = Pki.make(tmp_path)
    for family in ("RSA", "EC"):
        for end in ("pem", "key"):
            (tmp_path / f"vtn-{family.lower()}.{end}").write_bytes(pki.file_bytes(f"vtn-{family}.{end}"))
    (tmp_path / "vtn-both.pem").write_bytes(pki.file_bytes("vtn-EC.pem") + pki.file_bytes("vtn-EC.key"))
    proxy = TrustedProxy(
        addresses=["127.0.0.1"],
        header="X-SSL-Client-Cert",
        form=form,
        verify_header="X-SSL-Client-Verify",
        address_header="X-Forwarded-For",
    )
    async with OpenADRServer("vtn", port=0, proxy=proxy) as vtn, in_front(program, vtn, tmp_path) as url:

        def client(name: str, **ids: str | None) -> OpenADRClient:
            files = pki.files(name)
            return OpenADRClient(name, url, cert=files.cert, key=files.key, ca_file=pki.ca_file, **ids)  # type: ignore[arg-type]

        async with client("ven-EC") as ven, client("ven-RSA") as other:
            with pytest.raises(PeerRefused, match="waits until the operator"):
                await ven.create_party_registration()
            [knock] = await vtn.knocks()
            assert knock.fingerprint == fingerprint(certificate_der(certificate(pki.files("ven-EC"))))
            assert (knock.common_name, knock.address) == ("ven-EC", "127.0.0.1")
            await vtn.accept(knock)
            await ven.create_party_registration()
            assert (await ven.poll())[0] == "oadrRegisterReport"
            with pytest.raises(PeerRefused, match="waits until the operator"):
                await other.create_party_registration()
        async with client("ven-RSA", ven_id=ven.ven_id, registration_id=ven.registration_id) as thief:
            with pytest.raises(PeerRefused, match="463"):
                await thief.poll()
        async with OpenADRClient("nobody", url, ca_file=pki.ca_file) as bare:
            with pytest.raises(TransportError):
                await bare.create_party_registration()
