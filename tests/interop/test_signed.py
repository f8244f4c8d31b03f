"""Signed messages between openleadr and us, in both directions, with RSA and P-256."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pyopenadr.errors import PeerRefused, SignatureInvalid
from pyopenadr.model import DataPoint, OptType, Unit
from pyopenadr.transport.http import HttpTransport
from pyopenadr.transport.tls import ServerTls
from pyopenadr.v2.signature import SigningKey, Trust, Verified, fingerprint, verify
from pyopenadr.ven.client import OpenADRClient
from pyopenadr.vtn.server import OpenADRServer
from tests.interop.certificate import Authority, Files, Kind
from tests.interop.peer import Peer, Recorder, eventually

pytestmark = pytest.mark.interop

HOUR = timedelta(hours=1)
KINDS = pytest.mark.parametrize("kind", ["rsa", "p256"])

POWER = Unit(name="powerReal", symbol="W", scale="none", hertz=50.0, voltage=230.0, ac=True)


def in_an_hour() -> str:
    return (datetime.now(UTC) + HOUR).isoformat()


def signing_key(files: Files) -> SigningKey:
    return SigningKey.from_pem(Path(files.cert).read_bytes(), Path(files.key).read_bytes())


def verified(data: bytes, certificate: str) -> Verified:
    """The message, if its signature is that of the certificate, in the strict form of the profile."""
    return verify(data, trusted=Trust(certificates=[Path(certificate).read_bytes()]), now=datetime.now(UTC))


@KINDS
async def test_what_openleadrs_ven_signs_is_taken_and_verifies(kind: Kind, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("ven", kind)
    async with OpenADRServer("VTN_1", port=0, poll_frequency=HOUR) as vtn, Peer("openleadr_ven") as peer:
        await peer.ask(
            "start",
            name="laboratory",
            url=f"{vtn.url}/OpenADR2/Simple/2.0b",
            run=True,
            reports=True,
            ca_file=authority.file,
            **files._asdict(),
        )
        event = await vtn.add_event(start=datetime.now(UTC) + HOUR, intervals=[(HOUR, 1)])
        await peer.ask("call", method="_poll")
        assert [answer.opt_type for answer in await vtn.answers(event.event_id)] == [OptType.IN]
        sent = [text.encode() for text in (await peer.ask("traffic"))["sent"]]
    results = [verified(data, files.cert) for data in sent]
    assert [each.payload.message.message_type for each in results] == [
        "oadrQueryRegistration",
        "oadrCreatePartyRegistration",
        "oadrRegisterReport",
        "oadrRequestEvent",
        "oadrPoll",
        "oadrRegisteredReport",
        "oadrPoll",
        "oadrCreatedEvent",
    ]
    assert {each.fingerprint for each in results} == {fingerprint(Path(files.cert).read_bytes())}
    assert len({each.nonce for each in results}) == len(results)
    with pytest.raises(SignatureInvalid, match="digest"):
        verified(sent[1].replace(b"laboratory", b"lavatory"), files.cert)


@KINDS
async def test_openleadrs_ven_takes_the_replies_that_our_vtn_signs(kind: Kind, tmp_path: Path) -> None:
    """Over mutual TLS, with signatures required: what our VTN answers, openleadr's VEN verifies and acts on."""
    authority = Authority(tmp_path)
    files, ours = authority.issue("ven", kind), authority.issue("localhost", kind)
    key = signing_key(ours)
    tls = ServerTls(certificates=[(ours.cert, ours.key)], ca_file=authority.file)
    settings: dict[str, Any] = {
        "tls": tls,
        "enrolment": "open",
        "signature": "require",
        "signing_key": key,
        "poll_frequency": HOUR,
    }
    async with OpenADRServer("VTN_1", port=0, **settings) as vtn, Peer("openleadr_ven") as peer:
        await peer.ask(
            "start",
            name="laboratory",
            url=f"{vtn.url.replace('127.0.0.1', 'localhost')}/OpenADR2/Simple/2.0b",
            run=True,
            reports=True,
            ca_file=authority.file,
            vtn_fingerprint=key.fingerprint,
            **files._asdict(),
        )
        event = await vtn.add_event(start=datetime.now(UTC) + HOUR, intervals=[(HOUR, 1)])
        await peer.ask("call", method="_poll")
        assert [answer.opt_type for answer in await vtn.answers(event.event_id)] == [OptType.IN]
        received = [text.encode() for text in (await peer.ask("traffic"))["received"]]
    assert len(received) >= 8
    for data in received:
        if data:
            verified(data, ours.cert)


def tls_settings(files: Files, authority: Authority) -> dict[str, str]:
    """What openleadr's VTN wants to know to sign, and to talk TLS."""
    return {**files._asdict(), "http_cert": files.cert, "http_key": files.key, "http_ca_file": authority.file}


@KINDS
async def test_openleadrs_vtn_verifies_what_our_ven_signs_and_signs_its_replies(kind: Kind, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours, theirs = authority.issue("ven", kind), authority.issue("vtn", kind)
    key = signing_key(ours)
    recorder = Recorder(HttpTransport(cert=ours.cert, key=ours.key, ca_file=authority.file))
    async with Peer("openleadr_vtn") as peer:
        url = await peer.ask("start", fingerprint=key.fingerprint, **tls_settings(theirs, authority))
        client = OpenADRClient(
            "laboratory", url, on_event=lambda event: "optIn", transport=recorder, signing_key=key, auto_polling=True
        )
        client.add_report(points=[DataPoint(r_id="power", unit=POWER)], source=lambda r_id: 1.5)
        async with client:
            await eventually(lambda: client.registered)
            await peer.ask("add_event", ven_id=client.ven_id, start=in_an_hour(), seconds=3600, value=1)

            async def is_done() -> bool:
                state = await peer.ask("state")
                return bool(state["opts"] and state["readings"])

            await eventually(is_done)
    assert {reply.status for _, _, reply in recorder.exchanges} == {200}
    assert {"EiRegisterParty", "EiReport", "EiEvent", "OadrPoll"} == {service for service, _, _ in recorder.exchanges}
    for _, _, reply in recorder.exchanges:
        assert verified(reply.body, theirs.cert).payload.deviations == ()


async def test_openleadrs_vtn_refuses_another_key_than_that_of_the_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours, other, theirs = (authority.issue(name, "p256") for name in ("ven", "other", "vtn"))
    transport = HttpTransport(cert=ours.cert, key=ours.key, ca_file=authority.file)
    async with Peer("openleadr_vtn") as peer:
        expected = fingerprint(Path(ours.cert).read_bytes())
        url = await peer.ask("start", fingerprint=expected, **tls_settings(theirs, authority))
        async with OpenADRClient("laboratory", url, transport=transport, signing_key=signing_key(other)) as client:
            await client.create_party_registration()
            with pytest.raises(PeerRefused, match="fingerprint") as refusal:
                await client.poll()
            assert refusal.value.code == "463"
