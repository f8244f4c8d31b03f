"""Webhooks: others are told of notices by HTTP, signed, in order, until they have taken them.

Each webhook has its place in the kept notices. So nothing has to be queued, the order is that of the notices, and a
restart goes on where it stopped. The requests follow the "Standard Webhooks" convention: `webhook-id`,
`webhook-timestamp`, and `webhook-signature`, which is `v1,` and the base64 of the HMAC-SHA256 of
`<id>.<timestamp>.<body>` under the secret.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import logging
import secrets
import socket
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from pyopenadr.clock import Clock
from pyopenadr.errors import ConfigError, OpenADRError
from pyopenadr.store.ledger import Ledger, Notice, Webhook
from pyopenadr.vtn.notice import KINDS

__all__ = ["WebhookSender", "check_target", "make_webhook", "signature"]

log = logging.getLogger("pyopenadr.vtn")

_TIMEOUT_S = 10.0
_LONGEST_PAUSE_S = 3600
_PAGE = 100
_LEASE = timedelta(seconds=30)


def check_target(url: str, *, http: bool, private: bool) -> None:
    """Whether notices may go to that address, as far as it can be seen from its text.

    Raises:
        ConfigError: they may not.
    """
    try:
        split = urlsplit(url)
        host, _ = split.hostname, split.port
    except ValueError as error:
        raise ConfigError(f"the webhook's address can't be read: {error}") from error
    if split.scheme != "https" and not (http and split.scheme == "http"):
        raise ConfigError("a webhook's address must begin with https://")
    if (
        not host
        or split.username is not None
        or split.fragment
        or not url.isascii()
        or not url.isprintable()
        or " " in url
    ):
        raise ConfigError("a webhook's address has a host, and neither a user nor a fragment")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return  # a name; it is looked at when it is resolved
    if not private and not _is_public(address):
        raise ConfigError(f"{host} is no address that everybody can reach")


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    inner = None
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    return address.is_global and not address.is_multicast and (inner is None or _is_public(inner))


def make_webhook(url: str, kinds: tuple[str, ...], *, clock: Clock, position: int) -> Webhook:
    """A webhook that begins after the notice at `position`.

    Raises:
        ConfigError: there is no such kind of notice.
    """
    strange = [kind for kind in kinds if kind not in KINDS]
    if strange:
        raise ConfigError(f"there is no notice {', '.join(strange)}: use {', '.join(KINDS)}")
    return Webhook(
        webhook_id=f"w{secrets.token_hex(8)}",
        url=url,
        secret=f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
        kinds=kinds,
        created_at=clock.now(),
        position=position,
    )


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """What proves that a request comes from us and is whole."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"


class _PublicResolver(AbstractResolver):
    """Resolves names, and gives only addresses that everybody can reach; the connection goes to just these."""

    def __init__(self) -> None:
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if any(not _is_public(ipaddress.ip_address(one["host"].partition("%")[0])) for one in found):
            raise OSError(None, f"{host} is no host that everybody can reach")
        return found

    async def close(self) -> None:
        await self._inner.close()


class WebhookSender:
    """Tells every webhook, each in a task of its own, so that a slow one holds up nobody else.

    Of several processes on one database, one does it at a time.
    """

    def __init__(self, ledger: Ledger, clock: Clock, *, http: bool = False, private: bool = False) -> None:
        self._ledger = ledger
        self._clock = clock
        self._http = http
        self._private = private
        self._holder = secrets.token_hex(8)
        self._session: aiohttp.ClientSession | None = None
        self._serving: dict[str, asyncio.Task[None]] = {}

    async def look(self) -> None:
        """See which webhooks have something coming, and begin to tell them."""
        now = self._clock.now()
        webhooks = await self._ledger.list_webhooks()
        if not webhooks or not await self._ledger.lease("webhooks", self._holder, now=now, until=now + _LEASE):
            await self._drop(list(self._serving.values()))
            return
        last = await self._ledger.last_notice()
        gone = self._serving.keys() - {webhook.webhook_id for webhook in webhooks}
        await self._drop([self._serving[webhook_id] for webhook_id in gone])
        for webhook in webhooks:
            is_due = webhook.position < last and (webhook.next_at is None or webhook.next_at <= now)
            if is_due and webhook.webhook_id not in self._serving:
                task = asyncio.create_task(self._serve(webhook))
                self._serving[webhook.webhook_id] = task
                task.add_done_callback(partial(self._served, webhook.webhook_id))

    def _served(self, webhook_id: str, _: asyncio.Task[None]) -> None:
        self._serving.pop(webhook_id, None)

    async def stop(self) -> None:
        """Stop what is under way; it is told again at the next start."""
        await self._drop(list(self._serving.values()))
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _drop(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, webhook: Webhook) -> None:
        try:
            while found := await self._ledger.list_notices(after=webhook.position, limit=_PAGE):
                for notice in found:
                    error = None
                    if not webhook.kinds or notice.kind in webhook.kinds:
                        error = await self._tell(webhook, notice)
                    webhook = self._after(webhook, notice, error)
                    if error is not None or notice is found[-1] or notice.kind in webhook.kinds or not webhook.kinds:
                        await self._ledger.note_webhook(webhook)
                    if error is not None:
                        return
        except OpenADRError:
            log.exception("webhook %s can't go on; trying again", webhook.webhook_id)

    def _after(self, webhook: Webhook, notice: Notice, error: str | None) -> Webhook:
        if error is None:
            return msgspec.structs.replace(webhook, position=notice.seq, attempts=0, next_at=None, last_error=None)
        log.warning("webhook %s did not take notice %s: %s", webhook.webhook_id, notice.seq, error)
        pause = min(2 ** min(webhook.attempts, 12), _LONGEST_PAUSE_S)
        return msgspec.structs.replace(
            webhook,
            attempts=webhook.attempts + 1,
            next_at=self._clock.now() + timedelta(seconds=pause),
            last_error=error[:500],
        )

    async def _tell(self, webhook: Webhook, notice: Notice) -> str | None:
        """Send a notice. Returns what went wrong, or None."""
        body = msgspec.json.encode(notice)
        message_id, timestamp = f"{webhook.webhook_id}-{notice.seq}", int(self._clock.now().timestamp())
        headers = {
            "content-type": "application/json",
            "user-agent": "pyopenadr",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(webhook.secret, message_id, timestamp, body),
        }
        try:
            check_target(webhook.url, http=self._http, private=self._private)
            async with self._client().post(webhook.url, data=body, headers=headers, allow_redirects=False) as reply:
                return None if 200 <= reply.status < 300 else f"it answers {reply.status}"
        except (aiohttp.ClientError, ConfigError, OSError, TimeoutError, ValueError) as error:
            return str(error) or type(error).__name__

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            settings: dict[str, Any] = {} if self._private else {"resolver": _PublicResolver()}
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit_per_host=8, use_dns_cache=False, **settings),
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session
