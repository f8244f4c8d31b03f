"""The client's HTTP against a small server that says exactly what the test wants, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from pyopenadr.errors import ConfigError, TransportError
from pyopenadr.transport.connection import Address
from pyopenadr.transport.http import HttpTransport
from pyopenadr.transport.port import Reply
from pyopenadr.transport.renewal import FreshContext
from pyopenadr.transport.tls import ClientTls, client_context


class Server:
    """Reads requests and gives each the next of the answers it was given."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[bytes] = []
        self.connections = 0
        self.port = 0
        self.tasks: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.tasks.add(asyncio.current_task())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().strip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.requests.append((first, headers, body))
                answer = self.answers.pop(0)
                writer.write(answer)
                await writer.drain()
                if b"close" in answer or not answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            await closed(writer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/OpenADR2/Simple/2.0b/OadrPoll"


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


def answer(body: bytes = b"<a/>", status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/xml"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@asynccontextmanager
async def listening(tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()
        await asyncio.gather(*filter(None, server.tasks))


@asynccontextmanager
async def opened(transport: HttpTransport) -> AsyncIterator[HttpTransport]:
    try:
        yield transport
    finally:
        await transport.close()


async def test_the_request_is_as_the_standard_wants_it() -> None:
    async with listening() as server, opened(HttpTransport()) as transport:
        server.answers = [answer(b"<b/>")]
        assert await transport.post(server.url, b"<poll/>") == Reply(200, b"<b/>")
        ((first, headers, body),) = server.requests
        assert first == "POST /OpenADR2/Simple/2.0b/OadrPoll HTTP/1.1"
        assert body == b"<poll/>"
        assert headers["content-type"] == headers["accept"] == "application/xml"
        assert headers["content-length"] == "7"
        assert headers["accept-encoding"] == "gzip, deflate"
        assert not {"transfer-encoding", "expect", "cookie"} & set(headers)


async def test_connections_are_kept_and_cookies_are_not() -> None:
    async with listening() as server, opened(HttpTransport()) as transport:
        server.answers = [answer(Set_Cookie="a=b"), answer()]
        await transport.post(server.url, b"1")
        await transport.post(server.url, b"2")
        assert server.connections == 1
        assert "cookie" not in server.requests[1][1]
        await transport.close()
        server.answers = [answer()]
        await transport.post(server.url, b"3")
        assert server.connections == 2, "after close it can be used again"


async def test_any_status_comes_back() -> None:
    async with listening() as server, opened(HttpTransport()) as transport:
        server.answers = [answer(b"no", "503 Busy", Retry_After="17"), answer(b"", "406 No", Retry_After="Fri")]
        assert await transport.post(server.url, b"1") == Reply(503, b"no", 17.0)
        assert await transport.post(server.url, b"1") == Reply(406, b"")


HERS = "Wed, 01 Jan 2030 12:00:00 GMT"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Wed, 01 Jan 2030 12:02:00 GMT", 120.0),
        ("Wednesday, 01-Jan-30 12:02:00 GMT", 120.0),
        ("Wed, 01 Jan 2030 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1" * 20, None),
        ("Wed, 99 Jan 2030 12:02:00 GMT", None),
    ],
)
async def test_a_date_to_wait_for_is_by_the_peers_clock(text: str, seconds: float | None) -> None:
    async with listening() as server, opened(HttpTransport()) as transport:
        server.answers = [answer(b"no", "503 Busy", Retry_After=text, Date=HERS)]
        reply = await transport.post(server.url, b"1")
        assert reply.retry_after_s == seconds
        assert reply.date == datetime(2030, 1, 1, 12, tzinfo=UTC)


async def test_through_a_proxy() -> None:
    async with (
        listening() as proxy,
        opened(HttpTransport(proxy=f"http://me:secret@127.0.0.1:{proxy.port}")) as transport,
    ):
        proxy.answers = [answer(b"<b/>")]
        reply = await transport.post("http://vtn.example:8080/OpenADR2/Simple/2.0b/OadrPoll", b"<poll/>")
        assert reply.body == b"<b/>"
        ((first, headers, _),) = proxy.requests
        assert first == "POST http://vtn.example:8080/OpenADR2/Simple/2.0b/OadrPoll HTTP/1.1"
        assert headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"


async def test_a_proxy_passes_tls_on_and_may_refuse() -> None:
    async with listening() as proxy, opened(HttpTransport(proxy=f"http://127.0.0.1:{proxy.port}")) as transport:
        proxy.answers = [b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"]
        with pytest.raises(TransportError, match=r"the proxy will not pass on to https://vtn.example/: HTTP 407"):
            await transport.post("https://vtn.example/", b"<poll/>")
        assert proxy.requests[0][0] == "CONNECT vtn.example:443 HTTP/1.1"


async def test_a_proxy_that_is_away() -> None:
    async with opened(HttpTransport(proxy="http://127.0.0.1:1")) as transport:
        with pytest.raises(TransportError, match=r"no connection to the proxy 127.0.0.1:1"):
            await transport.post("http://vtn.example/", b"<poll/>")


@pytest.mark.parametrize("proxy", ["socks5://a:1", "proxy.example:3128", "http://", "http://a:x", "https://a:1"])
def test_a_proxy_that_is_none(proxy: str) -> None:
    with pytest.raises(ConfigError, match="proxy must be an address"):
        HttpTransport(proxy=proxy)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"<a/>" * 100, mtime=0)),
        ("deflate", zlib.compress(b"<a/>" * 100)),
        ("deflate", zlib.compress(b"<a/>" * 100, wbits=-15)),
        ("identity", b"<a/>" * 100),
    ],
)
async def test_compressed_answers(encoding: str, packed: bytes) -> None:
    async with listening() as server, opened(HttpTransport()) as transport:
        server.answers = [answer(packed, Content_Encoding=encoding)]
        assert (await transport.post(server.url, b"1")).body == b"<a/>" * 100


BOMB = gzip.compress(b"\0" * 1_000_000, mtime=0)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (answer(b"x" * 2000), "longer than 1000 bytes"),
        (answer(BOMB[:900], Content_Encoding="gzip"), "longer than 1000 bytes|break off"),
        (answer(gzip.compress(b"\0" * 100_000, mtime=0), Content_Encoding="gzip"), "longer than 1000 bytes"),
        (answer(gzip.compress(b"abc", mtime=0)[:-4], Content_Encoding="gzip"), "break off"),
        (answer(b"not gzip", Content_Encoding="gzip"), "broken gzip"),
        (answer(b"x", Content_Encoding="br"), "'br'"),
        (answer(b"", "302 Found", Location="https://elsewhere.example/"), "redirects to https://elsewhere.example/"),
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "failed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX: close\r\n\r\nabc", "failed"),
    ],
)
async def test_answers_that_are_none(reply: bytes, said: str) -> None:
    async with listening() as server, opened(HttpTransport(max_reply=1000)) as transport:
        server.answers = [reply]
        with pytest.raises(TransportError, match=said) as caught:
            await transport.post(server.url, b"1")
        assert caught.value.retry == ("redirects" not in said)


async def test_nobody_listens() -> None:
    async with listening() as server:
        url = server.url
    async with opened(HttpTransport()) as transport:
        with pytest.raises(TransportError, match=r"no connection to 127.0.0.1:\d+.*check that the server runs"):
            await transport.post(url, b"1")


async def test_a_name_that_is_not_found() -> None:
    async with opened(HttpTransport()) as transport:
        with pytest.raises(TransportError, match=r"'vtn\.invalid' can't be found: check the address"):
            await transport.post("http://vtn.invalid/", b"1")


@pytest.mark.parametrize("url", ["http://", "nonsense", "ftp://a.example/"])
async def test_an_address_that_is_none(url: str) -> None:
    async with opened(HttpTransport()) as transport:
        with pytest.raises(TransportError, match="is no address") as caught:
            await transport.post(url, b"1")
        assert not caught.value.retry


async def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyopenadr.transport.http.MIN_TIMEOUT_S", 0.1)

    over = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await closed(writer)
        over.set()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with opened(HttpTransport(timeout_s=0.2)) as transport:
        with pytest.raises(TransportError, match=r"no answer within 0.2 seconds"):
            await transport.post(f"http://127.0.0.1:{port}/", b"1")
    listener.close()
    await listener.wait_closed()
    await over.wait()


@pytest.mark.parametrize(
    "setting", [{"timeout_s": 4.9}, {"timeout_s": float("nan")}, {"max_reply": 0}, {"key": "k.pem"}, {"cert": "no.pem"}]
)
def test_settings_that_are_wrong(setting: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        HttpTransport(**setting)  # type: ignore[arg-type]


def test_the_http_library_is_loaded_late() -> None:
    program = "import sys, pyopenadr.ven.client; print('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"False\n"


# -- connections -----------------------------------------------------------------------------------------------------


async def test_only_so_many_requests_are_on_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HttpTransport, "most_connections", 2)
    async with listening() as server, opened(HttpTransport()) as transport:
        server.answers = [answer(b"%d" % number) for number in range(7)]
        replies = await asyncio.gather(*(transport.post(server.url, b"1") for _ in range(7)))
        assert {reply.body for reply in replies} == {b"%d" % number for number in range(7)}
        assert server.connections == 2


async def test_who_gives_up_waiting_keeps_nobody_from_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HttpTransport, "most_connections", 1)
    async with listening() as server, opened(HttpTransport()) as transport:
        server.answers = [answer() for _ in range(4)]
        tasks = [asyncio.create_task(transport.post(server.url, b"1")) for _ in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(it) for it in done] == [Reply, asyncio.CancelledError, Reply, Reply]
        assert (await transport.post(server.url, b"1")).status == 200, "every turn was given back"


async def test_a_request_that_is_given_up_leaves_no_answer_for_the_next() -> None:
    arrived, given_up = asyncio.Event(), asyncio.Event()
    bodies: list[bytes] = []

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                bodies.append(await reader.readexactly(1))
                if bodies[-1] == b"2":
                    arrived.set()
                    await given_up.wait()
                writer.write(answer(b"answer to " + bodies[-1]))
        await closed(writer)

    listener = await asyncio.start_server(slow, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/"
    async with opened(HttpTransport()) as transport:
        await transport.post(url, b"1")
        task = asyncio.create_task(transport.post(url, b"2"))
        await arrived.wait()
        task.cancel()
        await asyncio.wait([task])
        given_up.set()
        assert (await transport.post(url, b"3")).body == b"answer to 3"
        assert bodies == [b"1", b"2", b"3"]
    listener.close()
    await listener.wait_closed()


async def test_connections_that_nobody_uses_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyopenadr.transport.pool.KEEP_S", 0.05)
    async with listening() as server, opened(HttpTransport()) as transport:
        server.answers = [answer(), answer()]
        await transport.post(server.url, b"1")
        await asyncio.wait_for(asyncio.gather(*filter(None, server.tasks)), 5)
        await transport.post(server.url, b"2")
        assert server.connections == 2


@pytest.mark.parametrize("unasked", [b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", b"x"])
async def test_what_comes_unasked_is_not_taken_for_the_next_answer(unasked: bytes) -> None:
    async with listening() as server, opened(HttpTransport()) as transport:
        server.answers = [answer(b"one") + unasked, answer(b"two")]
        assert (await transport.post(server.url, b"1")).body == b"one"
        assert (await transport.post(server.url, b"2")).body == b"two"
        assert server.connections == 2


async def test_a_body_may_come_in_chunks_or_end_with_the_connection() -> None:
    async with listening() as server, opened(HttpTransport()) as transport:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        server.answers = [head + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: close\r\n\r\nabc"]
        assert [(await transport.post(server.url, b"1")).body for _ in range(2)] == [b"abc", b"abc"]
        assert server.connections == 1


@pytest.mark.parametrize(
    ("url", "first", "host"),
    [
        ("http://{}@127.0.0.1:{port}", "/", "127.0.0.1:{port}"),
        ("http://127.0.0.1:{port}/a b/ä?x=1 2#part", "/a%20b/%C3%A4?x=1%202", "127.0.0.1:{port}"),
        ("http://127.0.0.1:{port}/a%20b", "/a%20b", "127.0.0.1:{port}"),
        ("HTTP://LOCALHOST:{port}/A", "/A", "localhost:{port}"),
    ],
)
async def test_addresses(url: str, first: str, host: str) -> None:
    async with listening() as server, opened(HttpTransport()) as transport:
        server.answers = [answer()]
        await transport.post(url.format("me:s%40crt", port=server.port), b"1")
        ((line, headers, _),) = server.requests
        assert line == f"POST {first} HTTP/1.1"
        assert headers["host"] == host.format(port=server.port)
        assert headers.get("authorization") == ("Basic bWU6c0BjcnQ=" if "@" in url else None)


async def test_a_name_with_several_addresses_is_reached_at_the_one_that_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening() as server:
        closed_port = Address(socket.AF_INET, ("127.0.0.1", 1))
        fine = Address(socket.AF_INET, ("127.0.0.1", server.port))

        async def look_up(self: HttpTransport, host: str, port: int) -> list[Address]:
            return [closed_port, fine, fine]

        monkeypatch.setattr(HttpTransport, "_look_up", look_up)
        async with opened(HttpTransport()) as transport:
            server.answers = [answer(b"found")]
            assert (await transport.post("http://vtn.example/", b"1")).body == b"found"
            assert server.requests[0][1]["host"] == "vtn.example"


async def test_a_name_of_which_no_address_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up(self: HttpTransport, host: str, port: int) -> list[Address]:
        return [Address(socket.AF_INET, ("127.0.0.1", 1)), Address(socket.AF_INET, ("127.0.0.1", 2))]

    monkeypatch.setattr(HttpTransport, "_look_up", look_up)
    async with opened(HttpTransport()) as transport:
        with pytest.raises(TransportError, match=r"no connection to vtn\.example:80: Connection refused; check"):
            await transport.post("http://vtn.example/", b"1")


# -- TLS -------------------------------------------------------------------------------------------------------------


class Authority:
    """A certificate authority for one test run, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
        self.file = str(folder / "ca.pem")
        Path(self.file).write_bytes(self._signed(self._name, self._key.public_key(), ca=True))

    def _signed(self, name: x509.Name, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, *, ca: bool = False) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str, *, kind: str = "ecc") -> str:
        """A file with a certificate and its key."""
        key = (
            ec.generate_private_key(ec.SECP256R1())
            if kind == "ecc"
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        path = self.folder / f"{name}.pem"
        path.write_bytes(
            self._signed(subject, key.public_key())
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return str(path)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def server_context(authority: Authority, *, suites: str, kind: str = "ecc") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue(f"server-{kind}", kind=kind))
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suites)
    return context


@pytest.mark.parametrize("profile", ["modern", "openadr"])
@pytest.mark.parametrize(("kind", "suite"), [("ecc", "ECDHE-ECDSA-AES128-SHA256"), ("rsa", "AES128-SHA256")])
async def test_mutual_tls_with_the_suites_of_the_standard(
    authority: Authority, profile: str, kind: str, suite: str
) -> None:
    cert = authority.issue("ven")
    transport = HttpTransport(cert=cert, ca_file=authority.file, profile=profile)  # type: ignore[arg-type]
    async with listening(server_context(authority, suites=suite, kind=kind)) as server, opened(transport):
        server.answers = [answer(b"<tls/>")]
        reply = await transport.post(f"https://localhost:{server.port}/", b"1")
        assert reply.body == b"<tls/>"


async def test_tls_through_a_proxy(authority: Authority) -> None:
    tls = server_context(authority, suites="ECDHE-ECDSA-AES128-SHA256")
    asked: list[bytes] = []

    async with listening(tls) as server:

        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            inner, outer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(pump(reader, outer), pump(inner, writer))

        proxy = await asyncio.start_server(pass_on, "127.0.0.1", 0)
        address = f"http://me:secret@127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        ours = HttpTransport(cert=authority.issue("ven"), ca_file=authority.file, proxy=address)
        async with opened(ours) as transport:
            server.answers = [answer(b"<1/>"), answer(b"<2/>")]
            for number in (b"1", b"2"):
                reply = await transport.post(f"https://localhost:{server.port}/", b"x")
                assert reply.body == b"<%b/>" % number
        assert len(asked) == 1, "the connection is kept"
        assert asked[0].startswith(b"CONNECT localhost:%d HTTP/1.1\r\n" % server.port)
        assert b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in asked[0]
        assert "proxy-authorization" not in server.requests[0][1]
        proxy.close()
        await proxy.wait_closed()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    await closed(writer)


async def test_a_certificate_that_nobody_vouches_for(authority: Authority) -> None:
    tls = server_context(authority, suites="ECDHE-ECDSA-AES128-SHA256")
    async with listening(tls) as server, opened(HttpTransport()) as transport:
        with pytest.raises(TransportError, match=r"localhost:\d+.*refused the other side's certificate.*ca_file"):
            await transport.post(f"https://localhost:{server.port}/", b"1")


async def test_a_certificate_for_another_name(authority: Authority) -> None:
    tls = server_context(authority, suites="ECDHE-ECDSA-AES128-SHA256")
    async with listening(tls) as server, opened(HttpTransport(ca_file=authority.file)) as transport:
        with pytest.raises(TransportError, match="refused the other side's certificate: it is for another address"):
            await transport.post(f"https://127.0.0.1:{server.port}/", b"1")


async def test_no_certificate_of_our_own(authority: Authority) -> None:
    tls = server_context(authority, suites="ECDHE-ECDSA-AES128-SHA256")
    async with listening(tls) as server, opened(HttpTransport(ca_file=authority.file)) as transport:
        with pytest.raises(TransportError, match="it may have refused our certificate"):
            await transport.post(f"https://localhost:{server.port}/", b"1")


async def test_no_suite_in_common(authority: Authority) -> None:
    tls = server_context(authority, suites="ECDHE-ECDSA-AES256-GCM-SHA384")
    transport = HttpTransport(cert=authority.issue("ven"), ca_file=authority.file, profile="openadr")
    async with listening(tls) as server, opened(transport):
        with pytest.raises(TransportError, match="refused our certificate or version"):
            await transport.post(f"https://localhost:{server.port}/", b"1")


def test_the_standard_profile_offers_tls_1_2_and_its_two_suites(authority: Authority) -> None:
    context = client_context(ClientTls(profile="openadr", ca_file=authority.file))
    assert context.maximum_version == context.minimum_version == ssl.TLSVersion.TLSv1_2
    names = {cipher["name"] for cipher in context.get_ciphers() if not cipher["name"].startswith("TLS_")}
    assert names == {"ECDHE-ECDSA-AES128-SHA256", "AES128-SHA256"}


def test_a_key_of_another_certificate(authority: Authority) -> None:
    one, other = authority.issue("one"), authority.issue("other")
    with pytest.raises(ConfigError, match="does not belong to the certificate"):
        client_context(ClientTls(cert=one, key=other))


async def test_a_renewed_certificate_is_used_without_a_restart(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pyopenadr.transport.renewal.LOOK_EVERY_S", 0.0)
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls = writer.get_extra_info("ssl_object")
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(1)
                seen.append(tls.getpeercert(binary_form=True))
                writer.write(answer())
                await writer.drain()
        await closed(writer)

    context = server_context(authority, suites="ECDHE-ECDSA-AES128-SHA256")
    listener = await asyncio.start_server(serve, "localhost", 0, ssl=context)
    url = f"https://localhost:{listener.sockets[0].getsockname()[1]}/"
    cert = authority.issue("renewed")
    async with opened(HttpTransport(cert=cert, ca_file=authority.file)) as transport:
        await transport.post(url, b"1")
        await transport.post(url, b"1")
        old = Path(cert).read_text("utf-8")
        Path(cert).write_text(old[: len(old) // 2], "utf-8")
        await transport.post(url, b"1")
        assert "what was read before stays in use" in caplog.text
        assert len(set(seen)) == 1
        authority.issue("renewed")
        await transport.post(url, b"1")
        assert len(set(seen)) == 2
        Path(cert).unlink()
        await transport.post(url, b"1")
        assert len(set(seen)) == 2
    listener.close()
    await listener.wait_closed()


async def test_a_certificate_that_is_about_to_expire_is_told_again_each_day(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    monkeypatch.setattr("pyopenadr.transport.renewal.time.monotonic", lambda: now)
    fresh = FreshContext(ClientTls(cert=authority.issue("old"), ca_file=authority.file))
    first = fresh.get()
    for _ in range(48):
        now += 3600.0
        assert fresh.get() is first
    assert len([line for line in caplog.messages if "expires on" in line and "old" in line]) == 3
