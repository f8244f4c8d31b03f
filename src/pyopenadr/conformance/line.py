"""HTTP as bytes, so that requests can be wrong in every way: one connection for each."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from pyopenadr.errors import ConfigError, TransportError
from pyopenadr.transport.tls import explain_tls_error

__all__ = ["HttpReply", "Line"]

_MOST_HEAD = 64 * 1024
_MOST_BODY = 8 * 1024 * 1024


class HttpReply(NamedTuple):
    """What came back. The names of headers are in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The value of a header, None if it is not there."""
        return next((value for key, value in self.headers if key == name), None)


class Line:
    """The way to one peer. `prefix` is what stands before `/OpenADR2` in its address."""

    def __init__(self, url: str, *, context: ssl.SSLContext | None = None, timeout_s: float = 10.0) -> None:
        split = urlsplit(url)
        if split.scheme not in ("http", "https") or not split.hostname:
            raise ConfigError(f"{url!r} is no address: give one like https://vtn.example.com")
        self.is_tls = split.scheme == "https"
        self.host = split.hostname
        self.port = split.port or (443 if self.is_tls else 80)
        path = split.path.rstrip("/")
        at = path.lower().find("/openadr2/simple")
        self.prefix = path if at < 0 else path[:at]
        self.context = context
        self._timeout_s = timeout_s

    async def ask(
        self,
        path: str,
        body: bytes = b"",
        *,
        method: str = "POST",
        headers: Mapping[str, str | None] | None = None,
    ) -> HttpReply:
        """Send one request. `headers` are added to, or with None taken from, those that OpenADR wants.

        Raises:
            TransportError: there is no reply.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        given: dict[str, str | None] = {
            "Host": f"{host}:{self.port}",
            "Content-Type": "application/xml",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **(headers or {}),
        }
        lines = [
            f"{method} {path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in given.items() if value is not None),
        ]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(head + body, has_body=method != "HEAD")
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise TransportError(f"{self.host}:{self.port}: {explain_tls_error(error)}") from error
        except TimeoutError as error:
            raise TransportError(f"{self.host}:{self.port} gave no answer within {self._timeout_s:g} s") from error
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            raise TransportError(f"the exchange with {self.host}:{self.port} failed: {error}") from error

    async def handshake(self, context: ssl.SSLContext) -> tuple[str, str, bytes]:
        """TLS only: the version, the suite and the certificate (DER) that come of it.

        Raises:
            TransportError: the handshake fails, or the peer ends the connection after it.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                _, writer = await asyncio.open_connection(self.host, self.port, ssl=context)
        except (OSError, TimeoutError) as error:
            raise TransportError(f"{self.host}:{self.port}: {explain_tls_error(error)}") from error
        found: ssl.SSLObject = writer.get_extra_info("ssl_object")
        cipher = found.cipher()
        result = str(found.version()), cipher[0] if cipher else "", found.getpeercert(binary_form=True) or b""
        writer.transport.abort()
        return result

    async def _exchange(self, request: bytes, *, has_body: bool) -> HttpReply:
        reader, writer = await asyncio.open_connection(
            self.host, self.port, ssl=self.context if self.is_tls else None, limit=_MOST_HEAD
        )
        try:
            writer.write(request)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            first, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            pairs = tuple((n.strip().lower(), v.strip()) for n, _, v in (line.partition(":") for line in rest))
            reply = HttpReply(int(first.split(" ")[1]), pairs)
            return reply._replace(body=await _body(reader, reply)) if has_body else reply
        finally:
            writer.transport.abort()


async def _body(reader: asyncio.StreamReader, reply: HttpReply) -> bytes:
    if "chunked" in (reply.header("transfer-encoding") or "").lower():
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(min(size, _MOST_BODY))
            await reader.readexactly(2)
        return body
    length = reply.header("content-length")
    if length is not None:
        return await reader.readexactly(min(int(length), _MOST_BODY))
    return await reader.read(_MOST_BODY)
