"""What a VTN's store keeps besides the protocol: who may use the API, what happened, and who is told of it.

The values and the part of the store's interface that deals with them. As everywhere in the store, each method is one
unit of work.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

__all__ = ["Ledger", "Notice", "Record", "Replay", "Role", "Token", "Webhook"]

Plain = str | float | bool | None


class Role(StrEnum):
    """What the bearer of a token may do: everything; read; look after the VENs that come and go."""

    OPERATOR = "operator"
    VIEWER = "viewer"
    ENROLMENT = "enrolment"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A right to use the API. `digest` is the SHA-256 of its secret in hex; the secret itself is kept nowhere."""

    token_id: str
    name: str
    role: Role
    digest: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """A request that came with an idempotency key, and its answer once there is one.

    `digest` is that of the request, so that a key that comes with another request is noticed. `status` is None while
    the first request is being answered.
    """

    key: str
    digest: str
    created_at: datetime
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened and that others may want to know. `seq` is given by the store and rises."""

    kind: str
    at: datetime
    ven_id: str | None = None
    event_id: str | None = None
    data: dict[str, Plain] = {}
    seq: int = 0


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the audit: a message of a VEN (`in`), one to a VEN (`out`), or a change by the API (`api`).

    `kind` is the message's name or the API's method and path, `actor` the token's name or the VEN's certificate,
    `status` the response code in it or of it, `body` the message without secrets.
    """

    at: datetime
    direction: str
    kind: str
    ven_id: str | None = None
    event_ids: tuple[str, ...] = ()
    request_id: str | None = None
    actor: str | None = None
    status: str | None = None
    body: str | None = None
    seq: int = 0


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is told of notices: those of `kinds`, or all if there are none.

    `position` is the `seq` of the last notice that was delivered; after a failure the next one is tried again at
    `next_at`, for the (`attempts` + 1)th time.
    """

    webhook_id: str
    url: str
    secret: str
    kinds: tuple[str, ...]
    created_at: datetime
    position: int
    attempts: int = 0
    next_at: datetime | None = None
    last_error: str | None = None


class Ledger(Protocol):
    """The part of the store for the API, the audit and the webhooks."""

    async def save_token(self, token: Token) -> None:
        """Keep a token, replacing the one with its token_id."""
        ...

    async def load_token(self, token_id: str) -> Token | None:
        """The token with that ID, also a revoked one."""
        ...

    async def list_tokens(self) -> list[Token]:
        """All tokens in the order in which they were made, then by token_id."""
        ...

    async def claim_replay(self, replay: Replay, *, stale_before: datetime) -> Replay | None:
        """Keep `replay` if nothing is kept under its key; else return what is.

        A request without an answer that was kept before `stale_before` counts as given up, and is replaced.
        """
        ...

    async def finish_replay(self, replay: Replay) -> None:
        """Keep the answer, replacing what is kept under the key."""
        ...

    async def drop_replay(self, key: str) -> None:
        """Forget a request that has failed, so that it can be made again."""
        ...

    async def add_notices(self, notices: Sequence[Notice]) -> None:
        """Append to the notices; each gets its `seq`."""
        ...

    async def list_notices(self, *, after: int, limit: int) -> list[Notice]:
        """The notices after the one with that `seq`, oldest first."""
        ...

    async def last_notice(self) -> int:
        """The highest `seq` of a notice, 0 without any."""
        ...

    async def add_records(self, records: Sequence[Record]) -> None:
        """Append to the audit; each gets its `seq`."""
        ...

    async def list_records(
        self,
        *,
        ven_id: str | None = None,
        event_id: str | None = None,
        request_id: str | None = None,
        direction: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Record]:
        """Lines of the audit that have all of these, newest first; `before` is the `seq` to go on from."""
        ...

    async def save_webhook(self, webhook: Webhook) -> None:
        """Keep a webhook, replacing the one with its webhook_id."""
        ...

    async def note_webhook(self, webhook: Webhook) -> None:
        """Keep how far a webhook has come, if it is still there."""
        ...

    async def list_webhooks(self) -> list[Webhook]:
        """All webhooks in the order in which they were made, then by webhook_id."""
        ...

    async def delete_webhook(self, webhook_id: str) -> bool:
        """Forget a webhook. Returns whether it was there."""
        ...

    async def lease(self, name: str, holder: str, *, now: datetime, until: datetime) -> bool:
        """Take or prolong a lease, so that one of several processes does a work. Returns whether `holder` has it."""
        ...

    async def prune(self, *, notices: datetime, records: datetime, replays: datetime) -> None:
        """Forget what was kept before these instants."""
        ...
