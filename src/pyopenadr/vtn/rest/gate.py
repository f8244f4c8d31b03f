"""What stands before the API: who asks, what was asked before, and what has been done.

Plain ASGI, because it wraps whole requests: it sees the body before and the response after whatever resource serves it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from pyopenadr.errors import OpenADRError
from pyopenadr.store.ledger import Record, Replay, Token
from pyopenadr.vtn.credential import recognise
from pyopenadr.vtn.office import Office
from pyopenadr.vtn.rate import Buckets
from pyopenadr.vtn.rest.problem import MEDIA_TYPE, of_status

__all__ = ["SLASH", "Gate"]

log = logging.getLogger("pyopenadr.vtn")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

SLASH: Final = "\ue000"
"""Stands for a slash inside an ID of a path, which was sent as %2F, until the path has been taken apart."""

_OPEN: Final = ("/api/docs", "/api/openapi.json")
_SECRET: Final = ("/api/tokens", "/api/webhooks")
_STALE: Final = timedelta(minutes=5)
_MOST_BODY: Final = 1024 * 1024
_MOST_KEY: Final = 255
_WRONG_PER_MINUTE: Final = 20
"""How many wrong tokens an address may show, on the average."""

_KEPT_HEADERS: Final = (b"content-type", b"etag", b"location")


class Gate:
    """Wraps the API's application."""

    def __init__(self, app: App, office: Office) -> None:
        self._app = app
        self._office = office
        self._wrong = Buckets(_WRONG_PER_MINUTE / 60, 60.0)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        scope["path"] = _path(scope)
        if scope["path"].rstrip("/") in _OPEN and scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        address = (scope.get("client") or ("",))[0]
        if not self._wrong.has(address):
            await _refuse(send, 429, "too many wrong tokens from this address", (b"retry-after", b"10"))
            return
        try:
            token = await self._token(headers)
        except OpenADRError as error:
            await _refuse(send, 503, str(error), (b"retry-after", b"5"))
            return
        if token is None:
            self._note_wrong(address, headers)
            await _refuse(send, 401, "send Authorization: Bearer with a token", (b"www-authenticate", b"Bearer"))
            return
        scope["user"], scope["auth"] = token, None
        if scope["path"] == "/metrics":
            await self._metrics(send)
            return
        key = headers.get(b"idempotency-key")
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
        elif key is not None and scope["path"].startswith(_SECRET):
            await _refuse(send, 400, "no Idempotency-Key here: the answer holds a secret, which is not to be kept")
        elif scope["method"] == "POST" and key is not None:
            await self._once(scope, receive, send, f"{token.token_id}:{key.decode('latin-1')}", token)
        else:
            await self._noted(scope, receive, send, token)

    def _note_wrong(self, address: str, headers: dict[bytes, bytes]) -> None:
        """Somebody has shown a token that is none; nothing to say of those that show nothing."""
        if b"authorization" not in headers:
            return
        self._wrong.take(address)
        if not self._wrong.has(address):
            log.warning("too many wrong tokens from %s: it is not listened to for some seconds", address or "somewhere")

    async def _token(self, headers: dict[bytes, bytes]) -> Token | None:
        kind, _, text = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if kind.lower() != "bearer":
            return None
        return await recognise(self._office.ledger, text.strip(), self._office.clock.now())

    async def _metrics(self, send: Send) -> None:
        body = self._office.metrics_text().encode()
        headers = [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    # --- the audit --------------------------------------------------------------------------------------------------

    async def _noted(self, scope: Message, receive: Receive, send: Send, token: Token) -> None:
        """Serve a request that changes something, and write down who made it."""
        seen: dict[str, Any] = {}

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.update(status=message["status"], headers=dict(message["headers"]))
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            parts: dict[str, Any] = scope.get("path_params") or {}
            made = seen.get("headers", {}).get(b"location", b"").decode("latin-1").rpartition("/")[2]
            event_id = parts.get("event_id") or (unquote(made) if "/events" in scope["path"] else "")
            ven_id = parts.get("ven_id") or (unquote(made) if scope["path"].endswith("/vens") else "")
            self._office.records.add(
                Record(
                    at=self._office.clock.now(),
                    direction="api",
                    kind=f"{scope['method']} {scope['path'].replace(SLASH, '%2F')}",
                    ven_id=ven_id or None,
                    event_ids=(event_id,) if event_id else (),
                    actor=token.name,
                    status=str(seen.get("status", "")) or None,
                )
            )

    # --- requests that are made again -------------------------------------------------------------------------------

    async def _once(self, scope: Message, receive: Receive, send: Send, key: str, token: Token) -> None:
        """Serve a request with an idempotency key: one that was answered gets the same answer again."""
        if len(key) > _MOST_KEY:
            await _refuse(send, 400, f"an Idempotency-Key may have {_MOST_KEY - 20} characters")
            return
        body = await _body(receive)
        if body is None:
            await _refuse(send, 413, f"a body may have {_MOST_BODY} bytes")
            return
        where = f"{scope['path']}?{scope.get('query_string', b'').decode('latin-1')}\n"
        now, ledger = self._office.clock.now(), self._office.ledger
        claim = Replay(key=key, digest=hashlib.sha256(where.encode() + body).hexdigest(), created_at=now)
        try:
            before = await ledger.claim_replay(claim, stale_before=now - _STALE)
        except OpenADRError as error:
            await _refuse(send, 503, str(error), (b"retry-after", b"5"))
            return
        if before is not None:
            await _again(send, before, claim)
            return
        await self._first(scope, body, send, claim, token)

    async def _first(self, scope: Message, body: bytes, send: Send, claim: Replay, token: Token) -> None:
        waiting = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[Message] = []

        async def given() -> Message:
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def kept(message: Message) -> None:
            sent.append(message)

        ledger, finished = self._office.ledger, False
        try:
            await self._noted(scope, given, kept, token)
            start = sent[0]
            if start["status"] < 500:
                answer = b"".join(message.get("body", b"") for message in sent[1:])
                headers = tuple((n.decode(), v.decode("latin-1")) for n, v in start["headers"] if n in _KEPT_HEADERS)
                done = msgspec.structs.replace(claim, status=start["status"], headers=headers, body=answer)
                await ledger.finish_replay(done)
                finished = True
        except OpenADRError as error:  # what was done is done; a repetition within minutes is refused as under way
            await _refuse(send, 503, f"it was done, but that could not be kept: {error}")
            return
        finally:
            if not finished and (not sent or sent[0]["status"] >= 500):
                await ledger.drop_replay(claim.key)
        for message in sent:
            await send(message)


async def _again(send: Send, before: Replay, claim: Replay) -> None:
    if before.digest != claim.digest:
        await _refuse(send, 422, "this Idempotency-Key came with another request before: take a new one")
    elif before.status is None:
        await _refuse(
            send, 409, "the first request with this Idempotency-Key is still under way", (b"retry-after", b"1")
        )
    else:
        headers = [(name.encode(), value.encode("latin-1")) for name, value in before.headers]
        headers += [(b"idempotent-replayed", b"true"), (b"content-length", str(len(before.body)).encode())]
        await send({"type": "http.response.start", "status": before.status, "headers": headers})
        await send({"type": "http.response.body", "body": before.body})


async def _refuse(send: Send, status: int, detail: str, *headers: tuple[bytes, bytes]) -> None:
    body = msgspec.json.encode(of_status(status, detail))
    plain = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*plain, *headers]})
    await send({"type": "http.response.body", "body": body})


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None if it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > _MOST_BODY:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _path(scope: Message) -> str:
    """The path, with slashes inside of IDs marked."""
    raw: bytes = (scope.get("raw_path") or b"").partition(b"?")[0]
    path: str = scope["path"]
    if b"%2f" not in raw.lower():
        return path
    return "/".join(unquote(part).replace("/", SLASH) for part in raw.decode("latin-1").split("/"))
