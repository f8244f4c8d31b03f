"""Simple HTTP of OpenADR 2.0, the client's side: POST, application/xml, no chunks, no redirects."""

from __future__ import annotations

import ssl
import zlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pyopenadr.errors import ConfigError, TransportError
from pyopenadr.transport.port import Reply
from pyopenadr.transport.renewal import FreshContext
from pyopenadr.transport.tls import ClientTls, TlsProfile, explain_tls_error

if TYPE_CHECKING:
    import aiohttp

__all__ = ["DEFAULT_MAX_REPLY", "MIN_TIMEOUT_S", "HttpTransport", "explain_http_error"]

MIN_TIMEOUT_S = 5.0
"""The shortest time-out that the standard allows for a request."""
DEFAULT_MAX_REPLY = 8 * 1024 * 1024
"""How many bytes of a reply are read, before and after decompression."""

_CHUNK = 65536


class HttpTransport:
    """A `Transport` over HTTP/1.1, with connections kept open between requests.

    Connections belong to the event loop in which the first request is sent. After `close` the next request opens
    new ones. Cookies and the environment's settings are not used; a proxy only if it is given.
    """

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
        self._timeout_s = timeout_s
        self._max_reply = max_reply
        self._context = context
        self._fresh = FreshContext(ClientTls(cert=cert, key=key, password=password, ca_file=ca_file, profile=profile))
        if context is None and (cert or ca_file):
            self._fresh.get()  # now, so that a wrong file is told at once
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes) -> Reply:
        """POST `body` to `url` and return whatever comes back.

        Raises:
            TransportError: no answer, a redirect, or an answer beyond the limits; the text says what to look at.
        """
        import aiohttp  # it takes a while to load, and a client in memory does without

        try:
            async with self._opened().post(
                url, data=body, allow_redirects=False, ssl=self._tls(url), proxy=self._proxy
            ) as response:
                if 300 <= response.status < 400:
                    target = response.headers.get("Location", "nowhere")
                    raise TransportError(
                        f"{url} redirects to {target} (HTTP {response.status}), and OpenADR knows no redirects: "
                        "give the address that the server really has (vtn_url, or the VEN's transport address)",
                        status=response.status,
                        retry=False,
                    )
                date = _instant(response.headers.get("Date"))
                wait = _retry_after(response.headers.get("Retry-After"), date)
                return Reply(response.status, await self._read(response, url), wait, date)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise explain_http_error(error, url, self._timeout_s) from error

    async def close(self) -> None:
        """Close every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                # We decompress ourselves, because the size has to be watched while doing so.
                auto_decompress=False,
                headers={
                    "Content-Type": "application/xml",
                    "Accept": "application/xml",
                    "Accept-Encoding": "gzip, deflate",
                    "User-Agent": "pyopenadr",
                },
            )
        return self._session

    def _connector(self) -> aiohttp.BaseConnector | None:
        """What opens connections; None for aiohttp's own."""
        return None

    def _tls(self, url: str) -> ssl.SSLContext | bool:
        if self._context is not None:
            return self._context
        return self._fresh.get() if url[:6].lower() == "https:" else True

    async def _read(self, response: aiohttp.ClientResponse, url: str) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > self._max_reply:
                raise self._too_long(url)
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding in ("", "identity") or not body:
            return bytes(body)
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise TransportError(f"{url} answered with Content-Encoding {encoding!r}, which nobody asked for")
        return self._decompressed(bytes(body), encoding, url)

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
    until = _instant(text)
    if until is None:
        return None
    return max(0.0, (until - (date if date is not None else datetime.now(UTC))).total_seconds())


def _instant(text: str | None) -> datetime | None:
    """The instant in a header, None where there is none that can be read."""
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


def explain_http_error(error: Exception, url: str, timeout_s: float) -> TransportError:
    """The same error as a plain sentence with what to look at."""
    import aiohttp

    match error:
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return TransportError(f"{url!r} is no address: give one like https://vtn.example.com", retry=False)
        case aiohttp.ClientHttpProxyError():
            return TransportError(
                f"the proxy will not pass on to {url}: HTTP {error.status} {error.message}", status=error.status
            )
        case aiohttp.ClientProxyConnectionError():
            return TransportError(f"no connection to the proxy {error.host}:{error.port}: {_reason(error)}")
        case aiohttp.ClientConnectorDNSError():
            return TransportError(f"the name {error.host!r} can't be found: check the address and the machine's DNS")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | ssl.SSLError():
            return TransportError(f"{url}: {explain_tls_error(error)}")
        case TimeoutError():
            return TransportError(f"{url} gave no answer within {timeout_s:g} seconds: is the server overloaded?")
        case aiohttp.ServerDisconnectedError():
            tls = (
                "" if url.lower().startswith("https:") else "; does it want TLS? Then the address begins with https://"
            )
            return TransportError(f"{url} closed the connection without an answer{tls}")
        case aiohttp.ClientConnectorError() if _was_hung_up(error.os_error, url):
            return TransportError(f"{url}: {explain_tls_error(error)}")
        case aiohttp.ClientConnectorError():
            return TransportError(
                f"no connection to {error.host}:{error.port}: {_reason(error)}; "
                "check that the server runs and that no firewall stands between"
            )
    if url.lower().startswith("https:") and _has_tls_cause(error):  # TLS 1.3 tells a refusal at the first read
        return TransportError(f"{url}: {explain_tls_error(error)}")
    return TransportError(f"the exchange with {url} failed: {_reason(error)}")


def _has_tls_cause(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _was_hung_up(error: OSError, url: str) -> bool:
    """Whether the peer ended the TLS handshake without a word, as many do."""
    is_reset = isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError)
    return is_reset and url.lower().startswith("https:")


def _reason(error: Exception) -> str:
    inner = getattr(error, "os_error", error)
    text = str(getattr(inner, "strerror", None) or inner)
    return text or type(inner).__name__
