"""A server with TLS, called by real clients over loopback."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import uvloop
from uvicorn.protocols.http import httptools_impl

from pyopenadr.errors import ConfigError
from pyopenadr.transport.certificate import certificate_der, fingerprint
from pyopenadr.transport.server import HttpServer
from pyopenadr.transport.tls import (
    ClientTls,
    ServerTls,
    TlsProfile,
    client_context,
    explain_tls_error,
    server_context,
)
from tests.unit.transport.pki import FAMILIES, NOW, START, Files, Pki, certificate, revocation_list

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Echo:
    """An application that keeps what it was told of the client, and answers with the subject."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        self.seen.append(scope)
        told = scope.get("extensions", {}).get("tls", {})
        body = json.dumps({"subject": told.get("subject"), "scheme": scope["scheme"]}).encode()
        length = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(tls: ServerTls | None, app: Echo | None = None) -> AsyncIterator[HttpServer]:
    server = HttpServer(app or Echo(), "127.0.0.1", 0, tls=tls)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def call(url: str, tls: ClientTls, times: int = 1) -> list[dict[str, Any]]:
    """What a client gets back for some requests over one connection."""
    connector = aiohttp.TCPConnector(ssl=client_context(tls), limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        answers = []
        for _ in range(times):
            async with session.post(url, data=b"x") as response:
                answers.append(await response.json(content_type=None))
        return answers


async def refusal(url: str, tls: ClientTls) -> str:
    """Why a client gets nothing, in words."""
    with pytest.raises(aiohttp.ClientError) as caught:
        await call(url, tls)
    return explain_tls_error(caught.value)


async def negotiated(url: str, context: ssl.SSLContext) -> tuple[str, str]:
    """Version and suite that the server picks for a client."""
    port = int(url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    connection = writer.get_extra_info("ssl_object")
    name, version = connection.cipher()[0], connection.version()
    writer.transport.abort()
    return version, name


def server_tls(pki: Pki, **changes: Any) -> ServerTls:
    return ServerTls(**{"certificates": pki.vtn, "ca_file": pki.ca_file, **changes})


def client_tls(pki: Pki, files: Files | None, **changes: Any) -> ClientTls:
    cert, key = files or (None, None)
    return ClientTls(**{"cert": cert, "key": key, "ca_file": pki.ca_file, **changes})


# --- who may come in ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["modern", "openadr"])
@pytest.mark.parametrize("family", FAMILIES)
async def test_the_application_is_told_the_certificate_of_the_client(
    pki: Pki, family: str, profile: TlsProfile
) -> None:
    app, files = Echo(), pki.files(f"ven-{family}")
    async with serving(server_tls(pki, profile=profile), app) as server:
        assert server.url.startswith("https://127.0.0.1:")
        answers = await call(server.url, client_tls(pki, files, profile=profile), times=2)
    subject = f"CN=ven-{family},OU=TEST {family} VEN Certificate,O=pyopenadr"
    assert answers == [{"subject": subject, "scheme": "https"}] * 2
    der = certificate_der(certificate(files))
    expected = {
        "certificate": der,
        "fingerprint": fingerprint(der),
        "common_name": f"ven-{family}",
        "subject": subject,
        "not_after": certificate(files).not_valid_after_utc,
    }
    assert [scope["extensions"] for scope in app.seen] == [{"tls": expected}] * 2
    assert len({scope["client"] for scope in app.seen}) == 1  # over one connection


async def test_connections_do_not_mix(pki: Pki) -> None:
    async with serving(server_tls(pki)) as server:
        answers = await asyncio.gather(
            *(call(server.url, client_tls(pki, pki.files(f"ven-{family}")), times=5) for family in FAMILIES * 4)
        )
    subjects = [{answer["subject"].partition(",")[0] for answer in each} for each in answers]
    assert subjects == [{f"CN=ven-{family}"} for family in FAMILIES * 4]


async def test_without_tls_nothing_is_added() -> None:
    app = Echo()
    async with serving(None, app) as server, aiohttp.ClientSession() as session:
        assert server.url.startswith("http://")
        async with session.post(server.url, data=b"x") as response:
            assert response.status == 200
    assert "extensions" not in app.seen[0]


async def test_a_client_without_certificate_may_be_let_in(pki: Pki) -> None:
    app = Echo()
    async with serving(server_tls(pki, client_certificate_required=False), app) as server:
        assert await call(server.url, client_tls(pki, None)) == [{"subject": None, "scheme": "https"}]
        (known,) = await call(server.url, client_tls(pki, pki.files("ven-EC")))
    assert known["subject"].startswith("CN=ven-EC,")
    assert "extensions" not in app.seen[0]


async def test_what_a_proxy_says_is_left_to_the_application() -> None:
    app = Echo()
    headers = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
    async with serving(None, app) as server, aiohttp.ClientSession() as session:
        await session.post(server.url, data=b"x", headers=headers)
    assert (app.seen[0]["client"][0], app.seen[0]["scheme"]) == ("127.0.0.1", "http")


def test_it_works_with_uvloop_too(pki: Pki) -> None:
    async def scenario() -> tuple[list[dict[str, Any]], str]:
        async with serving(server_tls(pki)) as server:
            answers = await call(server.url, client_tls(pki, pki.files("ven-EC")))
            return answers, await refusal(server.url, client_tls(pki, None))

    answers, said = uvloop.run(scenario())
    assert answers[0]["subject"].startswith("CN=ven-EC,")
    assert said == "the other side refused: it wants a certificate from us; give cert and key"


# --- who may not --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["modern", "openadr"])
async def test_a_client_without_certificate_is_refused(
    pki: Pki, profile: TlsProfile, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(server_tls(pki, profile=profile)) as server:
        said = await refusal(server.url, client_tls(pki, None))
    assert said.startswith("the other side refused: ")
    assert "give cert and key" in said
    assert "a TLS connection failed: we refused: the client showed no certificate; it needs cert and key" in caplog.text


@pytest.mark.parametrize("profile", ["modern", "openadr"])
async def test_a_client_of_another_authority_is_refused(
    pki: Pki, profile: TlsProfile, caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    stranger = Pki.make(tmp_path).files("ven-EC")
    async with serving(server_tls(pki, profile=profile)) as server:
        said = await refusal(server.url, client_tls(pki, stranger))
    assert said.startswith("the other side refused: it does not trust the authority of our certificate;")
    assert "we refused the other side's certificate: it is issued by an authority that is not trusted" in caplog.text


@pytest.mark.parametrize("profile", ["modern", "openadr"])
async def test_an_expired_client_is_refused(
    pki: Pki, profile: TlsProfile, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired = pki.keep("expired", pki.ec.issue("old-ven", end=NOW - timedelta(days=1)))
    # A client that does not look at its own certificate.
    monkeypatch.setattr("pyopenadr.transport.tls._check_time", lambda *_: None)
    async with serving(server_tls(pki, profile=profile)) as server:
        said = await refusal(server.url, client_tls(pki, expired))
    assert said == "the other side refused: our certificate has expired; get a new one (or its clock is wrong)"
    assert "it, or one in its chain, has expired; the other side needs a new one" in caplog.text


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_revoked_client_is_refused(pki: Pki, family: str, caplog: pytest.LogCaptureFixture) -> None:
    good, revoked = pki.files(f"ven-{family}"), pki.keep(f"revoked-{family}", pki.of(family).issue("revoked"))
    lists = b"".join(
        revocation_list(authority, [certificate(revoked)] if authority.family == family else [])
        for authority in (pki.rsa, pki.ec)
    )
    crl_file = pki.file(f"{family}.crl", lists)
    async with serving(server_tls(pki, crl_file=crl_file)) as server:
        assert len(await call(server.url, client_tls(pki, good))) == 1
        said = await refusal(server.url, client_tls(pki, revoked))
    assert said == "the other side refused: our certificate is revoked; get a new one"
    assert "we refused the other side's certificate: it is revoked" in caplog.text


async def test_an_authority_without_list_is_refused_if_there_are_lists(
    pki: Pki, caplog: pytest.LogCaptureFixture
) -> None:
    crl_file = pki.file("rsa-only.crl", revocation_list(pki.rsa))
    async with serving(server_tls(pki, crl_file=crl_file)) as server:
        assert len(await call(server.url, client_tls(pki, pki.files("ven-RSA")))) == 1
        await refusal(server.url, client_tls(pki, pki.files("ven-EC")))
    assert "there is no revocation list of the authority that has issued it" in caplog.text


async def test_a_client_refuses_a_server_of_another_authority(pki: Pki, tmp_path: Any) -> None:
    other = Pki.make(tmp_path)
    async with serving(server_tls(pki)) as server:
        said = await refusal(server.url, client_tls(pki, pki.files("ven-EC"), ca_file=other.ca_file))
    assert said.startswith("we refused the other side's certificate: the root of its chain is not trusted")


async def test_a_client_refuses_a_server_under_another_name_unless_told(pki: Pki) -> None:
    device = pki.keep("device", pki.ec.issue("0A1B2C3D4E5F"))
    async with serving(server_tls(pki, certificates=[device])) as server:
        said = await refusal(server.url, client_tls(pki, pki.files("vtn-EC")))
        assert said.startswith("we refused the other side's certificate: it is for another address")
        assert len(await call(server.url, client_tls(pki, pki.files("vtn-EC"), check_hostname=False))) == 1


# --- versions and suites ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "picked"),
    [
        ("AES128-SHA256", "AES128-SHA256"),
        ("ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA256"),
        ("ECDHE+AESGCM:ECDHE-ECDSA-AES128-SHA256:AES128-SHA256", "ECDHE-ECDSA-AES128-SHA256"),
    ],
)
@pytest.mark.parametrize("family", FAMILIES)
async def test_profile_openadr_picks_its_two_suites_whatever_is_offered(
    pki: Pki, offered: str, picked: str, family: str
) -> None:
    context = client_context(client_tls(pki, pki.files(f"ven-{family}"), ciphers=offered))
    async with serving(server_tls(pki, profile="openadr")) as server:
        assert await negotiated(server.url, context) == ("TLSv1.2", picked)


async def test_profile_openadr_refuses_a_client_with_gcm_only(pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
    client = client_tls(pki, pki.files("ven-EC"), ciphers="ECDHE+AESGCM")
    async with serving(server_tls(pki, profile="openadr")) as server:
        said = await refusal(server.url, client)
    assert said.startswith("the other side refused: the two sides have no TLS version or suite in common")
    assert "a client offered no TLS version or suite that we take" in caplog.text


async def test_profile_modern_refuses_a_client_of_profile_openadr(pki: Pki) -> None:
    async with serving(server_tls(pki)) as server:
        said = await refusal(server.url, client_tls(pki, pki.files("ven-EC"), profile="openadr"))
    assert said.startswith("the other side refused: the two sides have no TLS version or suite in common")


async def test_profile_modern_speaks_tls_1_3_and_1_2_with_aead(pki: Pki) -> None:
    ven = pki.files("ven-RSA")
    async with serving(server_tls(pki)) as server:
        version, _ = await negotiated(server.url, client_context(client_tls(pki, ven)))
        assert version == "TLSv1.3"
        for auth in ("RSA", "ECDSA"):
            context = client_context(
                client_tls(pki, ven, maximum_version="1.2", ciphers=f"ECDHE-{auth}-AES128-GCM-SHA256")
            )
            assert await negotiated(server.url, context) == ("TLSv1.2", f"ECDHE-{auth}-AES128-GCM-SHA256")


async def test_a_client_of_profile_modern_can_talk_to_a_server_of_profile_openadr(pki: Pki) -> None:
    async with serving(server_tls(pki, profile="openadr")) as server:
        assert len(await call(server.url, client_tls(pki, pki.files("ven-EC")))) == 1


async def test_versions_and_suites_may_be_given(pki: Pki) -> None:
    settings = server_tls(pki, maximum_version="1.2", ciphers="ECDHE-RSA-AES256-GCM-SHA384")
    async with serving(settings) as server:
        picked = await negotiated(server.url, client_context(client_tls(pki, pki.files("ven-EC"))))
        assert picked == ("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384")
    async with serving(server_tls(pki, minimum_version="1.3")) as server:
        said = await refusal(server.url, client_tls(pki, pki.files("ven-EC"), maximum_version="1.2"))
    assert said == (
        "the other side refused: it does not speak our TLS versions; compare minimum_version and maximum_version"
    )


async def test_a_client_of_http_is_told_apart(pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(server_tls(pki)) as server, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post(server.url.replace("https", "http"), data=b"x")
    assert "a client spoke plain HTTP to a TLS port; it must call https" in caplog.text


async def test_a_server_of_http_is_told_apart(pki: Pki) -> None:
    async with serving(None) as server:
        said = await refusal(server.url.replace("http", "https"), client_tls(pki, None))
    assert said.startswith("the other side does not speak TLS on this port")


# --- starting -----------------------------------------------------------------------------------------------------


async def test_a_wrong_setting_is_told_before_anything_is_opened(pki: Pki) -> None:
    server = HttpServer(Echo(), "127.0.0.1", 0, tls=server_tls(pki, ca_file="missing.pem"))
    with pytest.raises(ConfigError, match=r"missing\.pem can't be read"):
        await server.start()
    assert server.port == 0


async def test_start_reads_the_files_anew(pki: Pki) -> None:
    pair = pki.keep("changing", pki.ec.issue("localhost", hosts=["127.0.0.1"], start=START))
    server = HttpServer(Echo(), "127.0.0.1", 0, tls=server_tls(pki, certificates=[pair]))
    client, names = client_tls(pki, pki.files("ven-EC"), check_hostname=False), []
    for name in ("first", "second"):
        pki.keep("changing", pki.ec.issue(name))
        await server.start()
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=client_context(client))
        names.append(writer.get_extra_info("ssl_object").getpeercert()["subject"][-1][0][1])
        writer.transport.abort()
        await server.stop()
    assert names == ["first", "second"]


@pytest.mark.parametrize("hook", ["connection_made", "on_message_begin"])
async def test_a_uvicorn_without_the_hooks_is_refused(pki: Pki, monkeypatch: pytest.MonkeyPatch, hook: str) -> None:
    class Other:
        connection_made = on_message_begin = staticmethod(lambda: None)

    monkeypatch.setattr(Other, hook, None)
    monkeypatch.setattr(httptools_impl, "HttpToolsProtocol", Other)
    with pytest.raises(ConfigError, match="uvicorn"):
        await HttpServer(Echo(), "127.0.0.1", 0, tls=server_tls(pki)).start()


async def test_one_family_alone_is_warned_about_in_profile_openadr(pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        server_context(server_tls(pki, profile="openadr", certificates=[pki.files("vtn-EC")]))
    assert "rule 67 wants an RSA and an EC certificate; with EC alone" in caplog.text
