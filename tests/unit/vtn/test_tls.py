"""The VTN over mutual TLS: who gets in, and as whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pyopenadr.errors import PeerRefused, TransportError
from pyopenadr.transport.tls import ServerTls
from pyopenadr.v2 import encode, wire
from pyopenadr.ven.client import OpenADRClient
from pyopenadr.vtn.app import App
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.transport.pki import END, Pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("pki"))


def server(pki: Pki, **settings: Any) -> OpenADRServer:
    return OpenADRServer(
        "vtn", port=0, tls=ServerTls(certificates=pki.vtn, ca_file=pki.ca_file), **({"enrolment": "open"} | settings)
    )


def client(pki: Pki, vtn: OpenADRServer, name: str, **settings: Any) -> OpenADRClient:
    files = pki.files(name)
    url = vtn.url.replace("127.0.0.1", "localhost")
    return OpenADRClient(name, url, cert=files.cert, key=files.key, ca_file=pki.ca_file, **settings)


@pytest.mark.parametrize("family", ["RSA", "EC"])
async def test_a_ven_registers_and_polls_with_its_certificate(pki: Pki, family: str) -> None:
    async with server(pki) as vtn, client(pki, vtn, f"ven-{family}") as ven:
        await ven.create_party_registration()
        await vtn.add_event(start=datetime.now(UTC) + timedelta(hours=1), intervals=[(timedelta(hours=1), 2)])
        assert (await ven.poll())[0] == "oadrRegisterReport"
        assert (await ven.poll())[0] == "oadrDistributeEvent"
        (known,) = vtn.vens
        assert known.fingerprint is not None
        assert len(known.fingerprint) == 29


async def test_a_ven_may_not_speak_for_another(pki: Pki) -> None:
    async with server(pki) as vtn, client(pki, vtn, "ven-RSA") as honest:
        await honest.create_party_registration()
        async with client(pki, vtn, "ven-EC", ven_id=honest.ven_id, registration_id=honest.registration_id) as thief:
            with pytest.raises(PeerRefused) as refused:
                await thief.poll()
            assert refused.value.code == "463"
            with pytest.raises(PeerRefused):
                await thief.create_party_registration()
        assert (await honest.poll())[0] == "oadrRegisterReport"


async def test_nobody_gets_in_without_a_certificate(pki: Pki) -> None:
    async with server(pki) as vtn:
        url = vtn.url.replace("127.0.0.1", "localhost")
        async with OpenADRClient("nobody", url, ca_file=pki.ca_file) as ven:
            with pytest.raises(TransportError, match="certificate"):
                await ven.create_party_registration()
        assert vtn.vens == []


async def test_a_connection_ends_when_its_certificate_does(pki: Pki) -> None:
    """A connection may outlive the certificate that it was opened with (2.0b rule 516)."""
    vtn = OpenADRServer("vtn", port=0)
    moment = END - timedelta(seconds=1)
    app = App(vtn.app._door, start=vtn.start, wake=vtn._wake, stop=vtn.stop, now=lambda: moment)
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/OpenADR2/Simple/2.0b/OadrPoll",
        "headers": [],
        "extensions": {"tls": {"fingerprint": "AA", "not_after": END}},
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": encode(wire.OadrPoll(ven_id="x"))}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    moment = END + timedelta(seconds=1)
    await app(scope, receive, send)
    await vtn.stop()
    assert [message["status"] for message in sent if "status" in message] == [200, 403]


def test_tls_may_serve_others(pki: Pki) -> None:
    assert server(pki, host="0.0.0.0").url.startswith("https://")
