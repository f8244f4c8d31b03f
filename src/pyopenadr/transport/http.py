"""Simple HTTP of OpenADR 2.0, the client's side: POST, application/xml, no chunks, no redirects."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from pyopenadr.errors import ConfigError, TransportError
from pyopenadr.transport.connection import (
    Address,
    Disconnected,
    HandshakeFailed,
    NotFound,
    ProxyRefused,
    Route,
    Unreached,
    look_up,
)
from pyopenadr.transport.pool import Pool
from pyopenadr.transport.port import Reply
from pyopenadr.transport.reach import is_loopback
from pyopenadr.transport.renewal import FreshContext
from pyopenadr.transport.response import BadResponse, Response, TooLong
from pyopenadr.transport.tls import ClientTls, TlsProfile, explain_tls_error

__all__ = ["DEFAULT_MAX_REPLY", "MIN_TIMEOUT_S", "HttpTransport", "check_login", "instant_of"]

MIN_TIMEOUT_S = 5.0
"""The shortest time-out that the standard allows for a request."""
DEFAULT_MAX_REPLY = 8 * 1024 * 1024
"""How many bytes of a reply are read, before and after decompression."""

_SAFE = "%/:@!$&'()*+,;=-._~"
"""What stands in an address as it is, besides letters and digits."""


class HttpTransport:
    """A `Transport` over HTTP/1.1, with connections kept open between requests.

    Connections belong to the event loop in which the first request is sent. After `close` the next request opens
    new ones. Cookies and the environment's settings are not used; a proxy only if it is given.
    """

    most_connections = 100
    """How many requests are on their way at the same time; the others wait for their turn."""

    def __init__(
        self,
        *,
        timeout_s: float = 30.0,
        context: ssl.SSLContext | None = None,
        cert: str | None = None,
        key: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        profile: TlsProfile = "modern",
        max_reply: int = DEFAULT_MAX_REPLY,
        proxy: str | None = None,
        basic: tuple[str, str] | None = None,
    ) -> None:
        """Make ready; nothing is opened yet.

        Args:
            timeout_s: how long a request may take as a whole, at least 5 s.
            context: a TLS context of your own, in place of the settings below.
            cert, key, password, ca_file, profile: how to do TLS, as in `pyopenadr.transport.tls.ClientTls`. When a file
                changes, new connections go by it.
            max_reply: the most bytes of a reply that are read.
            proxy: the HTTP proxy through which everything goes, such as `http://user:secret@proxy.example:3128`. For
                https it only passes on (CONNECT): TLS is with the peer itself.
            basic: the user and the password for HTTP Basic, sent with each request; only by https, or to this machine.

        Raises:
            ConfigError: a setting or a file is wrong.
        """
        if not timeout_s >= MIN_TIMEOUT_S:
            raise ConfigError(f"timeout_s must be at least {MIN_TIMEOUT_S:g} seconds, not {timeout_s}")
        if max_reply < 1:
            raise ConfigError(f"max_reply must be a positive number of bytes, not {max_reply}")
        if key is not None and cert is None:
            raise ConfigError("key is given without cert: give the certificate that belongs to the key")
        self._proxy = _checked_proxy(proxy)
        self._login = check_login(basic)
        self._timeout_s = timeout_s
        self._max_reply = max_reply
        self._context = context
        self._fresh = FreshContext(ClientTls(cert=cert, key=key, password=password, ca_file=ca_file, profile=profile))
        if context is None and (cert or ca_file):
            self._fresh.get()  # now, so that a wrong file is told at once
        self._pool = Pool(limit=self.most_connections, lookup=self._look_up, check=self._check)

    async def post(self, url: str, body: bytes) -> Reply:
        """POST `body` to `url` and return whatever comes back.

        Raises:
            TransportError: no answer, a redirect, or an answer beyond the limits; the text says what to look at.
        """
        response = await self.exchange(url, body)
        status, headers = response.head.status, response.head.headers
        if 300 <= status < 400:
            raise TransportError(
                f"{url} redirects to {headers.get('location', 'nowhere')} (HTTP {status}), and OpenADR knows no "
                "redirects: give the address that the server really has (vtn_url, or the VEN's transport address)",
                status=status,
                retry=False,
            )
        date = instant_of(headers.get("date"))
        wait = _retry_after(headers.get("retry-after"), date)
        return Reply(status, response.body, wait, date)

    async def exchange(self, url: str, body: bytes) -> Response:
        """POST `body` to `url` and return the response, also if it leads elsewhere. Its body is decompressed.

        Raises:
            TransportError: there is none, or one that is longer than it may be; the text says what to look at.
            ConfigError: a login would go there in the clear.
        """
        try:
            site = _site(url, self._proxy, self._login)
        except ValueError as error:
            text = f"{url!r} is no address: give one like https://vtn.example.com"
            raise TransportError(text, retry=False) from error
        if self._login is not None and site.route.server_name is None:
            _check_way(url)
        try:
            response = await self._pool.exchange(
                site.route,
                None if site.route.server_name is None else self._context or self._fresh.get(),
                b"%b%d\r\n\r\n%b" % (site.head, len(body), body),
                most=self._max_reply,
                timeout_s=self._timeout_s,
            )
        except TooLong:
            raise self._too_long(url) from None
        except (Disconnected, HandshakeFailed, NotFound, ProxyRefused, Unreached, OSError, BadResponse) as error:
            raise _explained(error, url, self._timeout_s) from error
        if "content-encoding" not in response.head.headers:
            return response
        return response._replace(body=self._plain(response, url))

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def _look_up(self, host: str, port: int) -> Sequence[Address]:
        """The addresses of a name that may be called."""
        return await look_up(host, port)

    def _check(self, transport: asyncio.Transport) -> None:
        """Look at a new connection before anything is sent on it; raise if that is not to be."""

    def _plain(self, response: Response, url: str) -> bytes:
        """The body as it was before it was compressed."""
        body = response.body
        encoding = response.head.headers["content-encoding"].lower()
        if encoding in ("", "identity") or not body:
            return body
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise TransportError(f"{url} answered with Content-Encoding {encoding!r}, which nobody asked for")
        return self._decompressed(body, encoding, url)

    def _decompressed(self, body: bytes, encoding: str, url: str) -> bytes:
        # 'deflate' comes with and without the zlib header; the first byte of the header is known.
        wbits = 16 + zlib.MAX_WBITS if "gzip" in encoding else zlib.MAX_WBITS
        if encoding == "deflate" and body[0] & 0x0F != 8:
            wbits = -zlib.MAX_WBITS
        decoder = zlib.decompressobj(wbits)
        try:
            text = decoder.decompress(body, self._max_reply + 1)
        except zlib.error as error:
            raise TransportError(f"{url} answered with broken {encoding} data: {error}") from error
        if len(text) > self._max_reply:
            raise self._too_long(url)
        if not decoder.eof:
            raise TransportError(f"{url} answered with {encoding} data that break off")
        return text

    def _too_long(self, url: str) -> TransportError:
        return TransportError(
            f"the answer of {url} is longer than {self._max_reply} bytes: raise max_reply if it is meant to be"
        )


def _retry_after(text: str | None, date: datetime | None) -> float | None:
    """Seconds from a Retry-After header, which has seconds or a date; that one is by the peer's clock."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return float(text) if len(text) < 10 else None
    until = instant_of(text)
    if until is None:
        return None
    return max(0.0, (until - (date if date is not None else datetime.now(UTC))).total_seconds())


@lru_cache(maxsize=16)  # a peer's Date is the same for a second
def instant_of(text: str | None) -> datetime | None:
    """The instant in a header, None where there is none that can be read."""
    from email.utils import parsedate_to_datetime  # late: it loads half of what can be done with mail

    try:
        instant = parsedate_to_datetime(text) if text is not None else None
    except (ValueError, OverflowError):
        return None
    if instant is None:
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _checked_proxy(proxy: str | None) -> str | None:
    if proxy is None:
        return None
    try:
        parts = urlsplit(proxy)
        is_fine = parts.scheme == "http" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_fine = False
    if not is_fine:
        # Not the text itself: it may hold a password.
        raise ConfigError("proxy must be an address like http://proxy.example:3128")
    return proxy


class _Site(NamedTuple):
    """How an address is called: over which connections, and with which head up to the body's length."""

    route: Route
    head: bytes


@lru_cache(maxsize=256)
def _site(url: str, proxy: str | None, basic: str | None = None) -> _Site:
    """Read the address.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(url)
    name = host if host.isascii() else host.encode("idna").decode("ascii")
    if not name.isprintable() or " " in name:
        raise ValueError(url)
    is_tls = parts.scheme == "https"
    usual = 443 if is_tls else 80
    port = usual if parts.port is None else parts.port
    shown = f"[{name}]" if ":" in name else name
    path = quote(parts.path or "/", safe=_SAFE) + (f"?{quote(parts.query, safe=_SAFE)}" if parts.query else "")
    lines = ["Content-Type: application/xml", "Accept: application/xml", "Accept-Encoding: gzip, deflate"]
    lines.append("User-Agent: pyopenadr")
    if basic is None:
        lines += _login("Authorization", parts)
    else:
        lines.append(f"Authorization: Basic {basic}")
    authority = shown if port == usual else f"{shown}:{port}"
    route = Route(name, port, name.rstrip(".") if is_tls else None, False)
    if proxy is not None:
        by = urlsplit(proxy)
        login = _login("Proxy-Authorization", by)
        tunnel = [f"CONNECT {shown}:{port} HTTP/1.1", f"Host: {shown}:{port}", "User-Agent: pyopenadr", *login]
        request = "\r\n".join([*tunnel, "", ""]).encode("latin-1")
        route = Route(by.hostname or "", by.port or 80, route.server_name, True, request if is_tls else None)
        if not is_tls:
            path = f"http://{authority}{path}"
            lines += login
    lines = [f"POST {path} HTTP/1.1", f"Host: {authority}", *lines, "Content-Length: "]
    return _Site(route, "\r\n".join(lines).encode("latin-1"))


def check_login(basic: tuple[str, str] | None, url: str | None = None) -> str | None:
    """What stands in the header for a user and a password; None without them.

    Raises:
        ConfigError: they are none, or could be read on the way to that address.
    """
    if basic is None:
        return None
    user, password = basic
    if not user or not password:
        raise ConfigError("basic must be a user and a password")  # not what it is: it may hold the password
    if ":" in user or not (user + password).isprintable():
        raise ConfigError("basic: a user and a password must be printable characters, a user without colon")
    if url is not None:
        _check_way(url)
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _check_way(url: str) -> None:
    parts = urlsplit(url.strip())
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ConfigError(f"a login goes by https only, because others could read it on the way to {parts.hostname}")


def _login(header: str, parts: SplitResult) -> list[str]:
    """The header that says who is calling, for an address that has a name and a password in it."""
    if parts.username is None:
        return []
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return [f"{header}: Basic {base64.b64encode(login.encode()).decode()}"]


def _explained(error: Exception, url: str, timeout_s: float) -> TransportError:
    """The same error as a plain sentence with what to look at."""
    is_tls = url[:6].lower() == "https:"
    match error:
        case ProxyRefused():
            return TransportError(
                f"the proxy will not pass on to {url}: HTTP {error.status} {error.reason}", status=error.status
            )
        case NotFound():
            return TransportError(f"the name {error.host!r} can't be found: check the address and the machine's DNS")
        case Unreached() if error.is_proxy:
            return TransportError(f"no connection to the proxy {error.host}:{error.port}: {_reason(error.cause)}")
        case Unreached():
            return TransportError(
                f"no connection to {error.host}:{error.port}: {_reason(error.cause)}; "
                "check that the server runs and that no firewall stands between"
            )
        case HandshakeFailed() | ssl.SSLError():  # TLS 1.3 tells a refusal at the first read
            return TransportError(f"{url}: {explain_tls_error(error)}")
        case TimeoutError():
            return TransportError(f"{url} gave no answer within {timeout_s:g} seconds: is the server overloaded?")
        case Disconnected():
            tls = "" if is_tls else "; does it want TLS? Then the address begins with https://"
            return TransportError(f"{url} closed the connection without an answer{tls}")
    return TransportError(f"the exchange with {url} failed: {_reason(error)}")


def _reason(error: BaseException) -> str:
    number = getattr(error, "errno", None)
    return (os.strerror(number) if isinstance(number, int) else str(error)) or type(error).__name__
