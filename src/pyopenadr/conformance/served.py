"""Our side as a server: whatever is asked of it, right or wrong, is given to one function."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

from pyopenadr.errors import ConfigError
from pyopenadr.transport.body import BodyRefused, Gone, read_body

__all__ = ["Asked", "Handle", "Served", "address_of"]

_MOST_BODY = 8 * 1024 * 1024


class Asked(NamedTuple):
    """One request as it came. `headers` are in lower case; `certificate` is what the client has shown of TLS."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    certificate: Mapping[str, Any] | None = None


Handle = Callable[[Asked], Awaitable[tuple[int, bytes]]]


class Served:
    """`handle` as an ASGI application."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        try:
            body = await read_body(receive, headers, most=_MOST_BODY, timeout_s=30.0)
        except Gone:
            return
        except BodyRefused as error:
            status, answer = error.status, str(error).encode()
        else:
            plain = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
            shown = (scope.get("extensions") or {}).get("tls")
            status, answer = await self._handle(Asked(scope["method"], scope["path"], plain, body, shown))
        kind = b"application/xml" if status == 200 else b"text/plain; charset=utf-8"
        out = [(b"content-type", kind), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": out})
        await send({"type": "http.response.body", "body": answer})


def address_of(text: str) -> tuple[str, int]:
    """HOST:PORT, as it is given on the command line.

    Raises:
        ConfigError: it is none.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ConfigError(f"{text!r} is no HOST:PORT to listen on, such as 0.0.0.0:8080")
    return host.strip("[]") or "127.0.0.1", int(port)
