"""What a VTN serves beside OpenADR: whether it lives, whether it works, its figures, and the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pyopenadr.errors import OpenADRError

__all__ = ["Beside", "is_api"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]

_ELSEWHERE = "nothing is here; OpenADR 2.0b is at /OpenADR2/Simple/2.0b/<service>\n"


def is_api(path: str) -> bool:
    """Whether the path is the API's, where there is one."""
    return path in ("/metrics", "/api") or path.startswith("/api/")


class Beside:
    """An ASGI application for the paths that are not OpenADR's.

    `/healthz` says that the process answers, `/readyz` that it works with its store (`check` raises if not); both tell
    nothing else, and ask nobody who he is. Everything else is for `api`, where there is one.
    """

    def __init__(self, check: Callable[[], Awaitable[None]], api: Asgi | None = None) -> None:
        self._check = check
        self._api = api

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path == "/healthz":
            await _say(send, scope, 200, "alive\n")
        elif path == "/readyz":
            await self._say_ready(scope, send)
        elif self._api is not None and is_api(path):
            await self._api(scope, receive, send)
        else:
            await _say(send, scope, 404, _ELSEWHERE)

    async def _say_ready(self, scope: Message, send: Send) -> None:
        try:
            await self._check()
        except OpenADRError:
            await _say(send, scope, 503, "not ready\n")
        else:
            await _say(send, scope, 200, "ready\n")


async def _say(send: Send, scope: Message, status: int, text: str) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
