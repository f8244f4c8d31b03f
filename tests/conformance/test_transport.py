"""The rules on HTTP, TLS and signatures, over real connections where it is about these."""

from __future__ import annotations

import ssl
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ConfigError, PeerRefused, SignatureInvalid, TransportError
from pyopenadr.transport.http import HttpTransport
from pyopenadr.transport.tls import ServerTls, client_context
from pyopenadr.v2 import decode, encode, faults, wire
from pyopenadr.v2.signature import Trust, sign, verify
from pyopenadr.ven import OpenADRClient
from pyopenadr.vtn.server import OpenADRServer
from tests.conformance.scene import HearingVtn
from tests.unit.transport.pki import NOW, START, Pki, certificate
from tests.unit.transport.test_http import answer, listening, opened
from tests.unit.transport.test_server import call, client_tls, negotiated, refusal, server_tls, serving
from tests.unit.ven.scripted import client_of
from tests.unit.vtn.party import SecureVen, key_of, print_of
from tests.unit.vtn.sample import MINUTE, clock_of, event, ids, running
from tests.unit.vtn.test_http import Line, request

SUITES = ("AES128-SHA256", "ECDHE-ECDSA-AES128-SHA256")


def server(pki: Pki, **settings: Any) -> OpenADRServer:
    """A VTN over TLS that only those may enter whose authority it trusts."""
    tls = ServerTls(certificates=pki.vtn, ca_file=pki.ca_file)
    return OpenADRServer("vtn", port=0, tls=tls, **({"enrolment": "open"} | settings))


def client(pki: Pki, vtn: OpenADRServer, cert: str, key: str, **settings: Any) -> OpenADRClient:
    url = vtn.url.replace("127.0.0.1", "localhost")
    return OpenADRClient("ven", url, cert=cert, key=key, ca_file=pki.ca_file, **settings)


# --- HTTP ---------------------------------------------------------------------------------------------------------


async def test_rule_053_ven_a_request_has_its_headers() -> None:
    async with listening() as there, opened(HttpTransport()) as transport:
        there.answers = [answer(b"<b/>")]
        await transport.post(there.url, b"<poll/>")
        ((first, headers, _),) = there.requests
    assert first.startswith("POST ")
    assert headers["host"] == f"127.0.0.1:{there.port}"
    assert headers["content-length"] == "7"
    assert headers["content-type"] == "application/xml"


async def test_rule_053_vtn_a_reply_has_its_headers() -> None:
    async with OpenADRServer("vtn", port=0) as vtn:
        line = await Line.to(vtn)
        await line.say(request())
        first, headers, body = await line.hear()
        await line.close()
    assert first == "HTTP/1.1 200 OK"
    assert (headers["content-type"], int(headers["content-length"])) == ("application/xml", len(body))


# --- TLS ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", SUITES)
async def test_rule_067_vtn_it_takes_both_suites_and_only_these(pki: Pki, suite: str) -> None:
    async with serving(server_tls(pki, profile="openadr")) as there:
        for offered in (suite, f"ECDHE+AESGCM:{suite}"):
            context = client_context(client_tls(pki, pki.files("ven-EC"), ciphers=offered))
            assert await negotiated(there.url, context) == ("TLSv1.2", suite)
        only_others = client_tls(pki, pki.files("ven-EC"), ciphers="ECDHE+AESGCM")
        assert "no TLS version or suite in common" in await refusal(there.url, only_others)


def test_rule_067_vtn_calling_it_offers_both_suites(pki: Pki) -> None:
    context = client_context(client_tls(pki, pki.vtn[0], profile="openadr"))
    assert {it["name"] for it in context.get_ciphers()} >= set(SUITES)
    assert context.maximum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("suite", SUITES)
async def test_rule_067_ven_it_offers_the_suites_and_tls_1_2(pki: Pki, suite: str) -> None:
    kind = "RSA" if suite == SUITES[0] else "EC"
    tls = server_tls(pki, certificates=[pki.files(f"vtn-{kind}")], ciphers=suite, maximum_version="1.2")
    async with serving(tls) as there:
        assert len(await call(there.url, client_tls(pki, pki.files("ven-EC"), profile="openadr"))) == 1


@pytest.mark.parametrize("family", ["RSA", "EC"])
async def test_rule_068_ven_both_families_of_certificates_are_used(pki: Pki, family: str) -> None:
    async with server(pki) as vtn, client(pki, vtn, *pki.files(f"ven-{family}")) as ven:
        await ven.create_party_registration()
        assert ven.registered


@pytest.mark.parametrize(("family", "suite"), [("RSA", SUITES[0]), ("EC", SUITES[1])])
async def test_rule_068_vtn_it_has_certificates_of_both_families(pki: Pki, family: str, suite: str) -> None:
    context = client_context(client_tls(pki, pki.files(f"ven-{family}"), ciphers=suite))
    async with serving(server_tls(pki, profile="openadr")) as there:
        assert await negotiated(there.url, context) == ("TLSv1.2", suite)
    sizes = {certificate(files).public_key().key_size for files in pki.vtn}  # type: ignore[union-attr]
    assert min(sizes) >= 224


async def test_rule_516_vtn_a_ven_whose_certificate_has_expired_is_not_let_in(pki: Pki) -> None:
    old = pki.keep("expired-ven", pki.ec.issue("old", start=START, end=NOW - timedelta(days=1)))
    context = ssl.create_default_context(cafile=pki.ca_file)
    context.load_cert_chain(old.cert, old.key)
    connector = aiohttp.TCPConnector(ssl=context)
    async with server(pki) as vtn, aiohttp.ClientSession(connector=connector) as session:
        url = vtn.url.replace("127.0.0.1", "localhost")
        body = encode(wire.OadrQueryRegistration(request_id="q"))
        with pytest.raises(aiohttp.ClientError):
            await session.post(f"{url}/EiRegisterParty", data=body)


def test_rule_516_ven_it_does_not_begin_with_a_certificate_that_has_expired(pki: Pki) -> None:
    old = pki.keep("expired-ven", pki.ec.issue("old", start=START, end=NOW - timedelta(days=1)))
    with pytest.raises(ConfigError, match="expired"):
        OpenADRClient("ven", "https://vtn.example", cert=old.cert, key=old.key, ca_file=pki.ca_file)


async def test_rule_516_ven_a_vtn_whose_certificate_has_expired_is_not_talked_to(pki: Pki) -> None:
    issued = pki.ec.issue("localhost", hosts=["localhost"], start=START, end=NOW - timedelta(days=1))
    old = pki.keep("expired-vtn", issued)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(old.cert, old.key)
    async with listening(context) as there:
        transport = HttpTransport(ca_file=pki.ca_file)
        with pytest.raises(TransportError, match="expired"):
            await transport.post(f"https://localhost:{there.port}/", b"<poll/>")
        await transport.close()
        assert there.requests == []


async def test_rule_517_vtn_who_is_registered_and_who_is_not(pki: Pki) -> None:
    async with server(pki) as vtn, client(pki, vtn, *pki.files("ven-RSA")) as known:
        await known.create_party_registration()
        stranger = client(pki, vtn, *pki.files("ven-EC"), ven_id="nobody", registration_id="none")
        async with stranger:
            with pytest.raises(PeerRefused) as refused:
                await stranger.poll()
            assert refused.value.code == "463"
        wrong = wire.OadrPoll(ven_id=f"{known.ven_id}x")
        status, body = await vtn.handle("/OpenADR2/Simple/2.0b/OadrPoll", encode(wrong))
        response = faults.response_of(decode(body).message)
        assert status == 200
        assert response is not None
        assert response.response_code in ("452", "463")


# --- signatures ---------------------------------------------------------------------------------------------------


async def test_rule_514_vtn_if_told_so_it_takes_only_what_is_signed_fresh_and_new() -> None:
    async with running(signature="require", signing_key=key_of("vtn"), enrolment="open") as vtn:
        ven = SecureVen(vtn, shows="ven", signs="ven")
        await ven.register()
        await vtn.add_event(event())
        assert ids(await ven.request_events()) == ["e1"]
        ven.last_signed("vtn")
        document = ven.document(wire.OadrPoll(ven_id=ven.ven_id))
        assert (await ven.deliver("OadrPoll", document))[0] == 200
        assert (await ven.deliver("OadrPoll", document))[0] == 403, "the same nonce again"
        assert (await ven.deliver("OadrPoll", ven.document(wire.OadrPoll(ven_id="x")).replace(b"x<", b"y<")))[0] == 403
        late = ven.document(wire.OadrPoll(ven_id=ven.ven_id))
        await clock_of(vtn).advance(2 * MINUTE)
        assert (await ven.deliver("OadrPoll", late))[0] == 403
        assert (await ven.deliver("OadrPoll", encode(wire.OadrPoll(ven_id=ven.ven_id))))[0] == 403


async def test_rule_514_ven_if_told_so_it_takes_only_what_its_vtn_has_signed(vtn: HearingVtn, clock: FakeClock) -> None:
    trust = Trust(fingerprints=[print_of("vtn")])
    ven = client_of(vtn, clock, signing_key=key_of("ven"), vtn_signature=trust)
    with pytest.raises(SignatureInvalid):
        await ven.create_party_registration()
    assert ven.registration_id is None
    shown = verify(vtn.bodies[0], trusted=Trust(fingerprints=[print_of("ven")]), now=clock.now())
    assert shown.timestamp == clock.now()
    assert len(shown.nonce) >= 8

    def signed(message: wire.Message) -> bytes:
        return sign(vtn.created(message), key_of("vtn"), now=clock.now(), nonce="n" * 32)

    vtn.rules[wire.OadrCreatePartyRegistration] = signed
    await ven.create_party_registration()
    assert ven.registered
    other = vtn.bodies[-1]
    assert verify(other, trusted=Trust(fingerprints=[print_of("ven")]), now=clock.now()).nonce != shown.nonce
