"""Signed messages between openleadr and us, in both directions, with RSA and P-256."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pyopenadr.errors import PeerRefused, SignatureInvalid
from pyopenadr.model import OptType
from pyopenadr.transport.http import HttpTransport
from pyopenadr.v2.signature import SigningKey, Trust, Verified, fingerprint, verify
from pyopenadr.ven.client import OpenADRClient
from pyopenadr.vtn.server import OpenADRServer
from tests.interop.certificate import Authority, Files, Kind
from tests.interop.peer import Peer, Recorder, eventually

pytestmark = pytest.mark.interop

HOUR = timedelta(hours=1)
KINDS = pytest.mark.parametrize("kind", ["rsa", "p256"])

ACCEPTED = ("properties-reference",)
"""openleadr signs ds:SignatureProperty (its Id is `prop`) where the profile wants ds:Object."""


def signing_key(files: Files) -> SigningKey:
    return SigningKey.from_pem(Path(files.cert).read_bytes(), Path(files.key).read_bytes())


def verified(data: bytes, certificate: str, accept: tuple[str, ...] = ACCEPTED) -> Verified:
    trusted = Trust(certificates=[Path(certificate).read_bytes()])
    return verify(data, trusted=trusted, now=datetime.now(UTC), accept=accept)


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
    assert {each.accepted for each in results} == {ACCEPTED}
    assert len({each.nonce for each in results}) == len(results)
    with pytest.raises(SignatureInvalid, match="properties-reference"):
        verified(sent[0], files.cert, accept=())
    with pytest.raises(SignatureInvalid):
        verified(sent[0].replace(b"2.0b", b"2.0a", 1) + b" ", authority.file)


@KINDS
async def test_what_our_ven_signs_is_verified_by_openleadrs_vtn_over_mutual_tls(kind: Kind, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours, theirs = authority.issue("ven", kind), authority.issue("vtn", kind)
    key = signing_key(ours)
    recorder = Recorder(HttpTransport(cert=ours.cert, key=ours.key, ca_file=authority.file))
    async with Peer("openleadr_vtn") as peer:
        url = await peer.ask(
            "start",
            fingerprint=key.fingerprint,
            cert=theirs.cert,
            key=theirs.key,
            http_cert=theirs.cert,
            http_key=theirs.key,
            http_ca_file=authority.file,
        )
        client = OpenADRClient(
            "laboratory", url, on_event=lambda event: "optIn", transport=recorder, signing_key=key, poll_interval=0.2
        )
        async with client:
            run = client.run()
