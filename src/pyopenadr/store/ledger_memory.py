"""The memory store's part for the API, the audit and the webhooks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime

import msgspec

from pyopenadr.store.ledger import Notice, Record, Replay, Token, Webhook
from pyopenadr.store.part_memory import MemoryPart

__all__ = ["MemoryLedger"]


class MemoryLedger(MemoryPart):
    """A `Ledger` in plain dictionaries and lists."""

    def __init__(self) -> None:
        super().__init__()
        self._tokens: dict[str, Token] = {}
        self._replays: dict[str, Replay] = {}
        self._notices: list[Notice] = []
        self._records: list[Record] = []
        self._webhooks: dict[str, Webhook] = {}
        self._leases: dict[str, tuple[str, datetime]] = {}
        self._sequence = itertools.count(1)

    async def save_token(self, token: Token) -> None:
        self._check_open()
        self._tokens[token.token_id] = token

    async def load_token(self, token_id: str) -> Token | None:
        self._check_open()
        return self._tokens.get(token_id)

    async def list_tokens(self) -> list[Token]:
        self._check_open()
        return sorted(self._tokens.values(), key=lambda token: (token.created_at, token.token_id))

    async def claim_replay(self, replay: Replay, *, stale_before: datetime) -> Replay | None:
        self._check_open()
        known = self._replays.get(replay.key)
        if known is not None and (known.status is not None or known.created_at >= stale_before):
            return known
        self._replays[replay.key] = replay
        return None

    async def finish_replay(self, replay: Replay) -> None:
        self._check_open()
        self._replays[replay.key] = replay

    async def drop_replay(self, key: str) -> None:
        self._check_open()
        self._replays.pop(key, None)

    async def add_notices(self, notices: Sequence[Notice]) -> None:
        self._check_open()
        self._notices.extend(msgspec.structs.replace(notice, seq=next(self._sequence)) for notice in notices)

    async def list_notices(self, *, after: int, limit: int) -> list[Notice]:
        self._check_open()
        return list(itertools.islice((notice for notice in self._notices if notice.seq > after), limit))

    async def last_notice(self) -> int:
        self._check_open()
        return self._notices[-1].seq if self._notices else 0

    async def add_records(self, records: Sequence[Record]) -> None:
        self._check_open()
        self._records.extend(msgspec.structs.replace(record, seq=next(self._sequence)) for record in records)

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
        self._check_open()
        found = (
            record
            for record in reversed(self._records)
            if ven_id in (None, record.ven_id)
            and (event_id is None or event_id in record.event_ids)
            and request_id in (None, record.request_id)
            and direction in (None, record.direction)
            and (before is None or record.seq < before)
        )
        return list(itertools.islice(found, limit))

    async def save_webhook(self, webhook: Webhook) -> None:
        self._check_open()
        self._webhooks[webhook.webhook_id] = webhook

    async def note_webhook(self, webhook: Webhook) -> None:
        self._check_open()
        if webhook.webhook_id in self._webhooks:
            self._webhooks[webhook.webhook_id] = webhook

    async def list_webhooks(self) -> list[Webhook]:
        self._check_open()
        return sorted(self._webhooks.values(), key=lambda webhook: (webhook.created_at, webhook.webhook_id))

    async def delete_webhook(self, webhook_id: str) -> bool:
        self._check_open()
        return self._webhooks.pop(webhook_id, None) is not None

    async def lease(self, name: str, holder: str, *, now: datetime, until: datetime) -> bool:
        self._check_open()
        owner, end = self._leases.get(name, (holder, now))
        if owner != holder and end > now:
            return False
        self._leases[name] = holder, until
        return True

    async def prune(self, *, notices: datetime, records: datetime, replays: datetime) -> None:
        self._check_open()
        self._notices = [notice for notice in self._notices if notice.at >= notices]
        self._records = [record for record in self._records if record.at >= records]
        self._replays = {key: replay for key, replay in self._replays.items() if replay.created_at >= replays}
