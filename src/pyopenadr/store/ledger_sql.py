"""The SQL store's part for the API, the audit and the webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import (
    BindParameter,
    Connection,
    Table,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from pyopenadr.store import ledger_row, ledger_table, row, statement
from pyopenadr.store.ledger import Notice, Record, Replay, Token, Webhook
from pyopenadr.store.part_sql import SqlPart

__all__ = ["SqlLedger"]

T = TypeVar("T")


class SqlLedger(SqlPart):
    """A `Ledger` in a database, on top of the store's reading and writing."""

    async def _keep(self, into: Table, kept: row.Row) -> None:
        await self._write(lambda connection: statement.save(connection, into, [kept]))

    # --- tokens ---------------------------------------------------------------------------------------------------

    async def save_token(self, token: Token) -> None:
        await self._keep(ledger_table.token, ledger_row.token_to_row(token))

    async def load_token(self, token_id: str) -> Token | None:
        query = select(ledger_table.token).where(ledger_table.token.c.token_id == token_id)
        return await self._first(query, ledger_row.token_from_row)

    async def list_tokens(self) -> list[Token]:
        columns = ledger_table.token.c
        query = select(ledger_table.token).order_by(columns.created_at, columns.token_id)
        return await self._list(query, ledger_row.token_from_row)

    # --- repeated requests ------------------------------------------------------------------------------------------

    async def claim_replay(self, replay: Replay, *, stale_before: datetime) -> Replay | None:
        kept = ledger_row.replay_to_row(replay)
        query = select(ledger_table.replay).where(ledger_table.replay.c.key == replay.key)

        def work(connection: Connection) -> Replay | None:
            # To insert first makes a second process wait for the first one's commit, where a database has many writers.
            if connection.execute(statement.insert_first(connection.dialect.name, ledger_table.replay), kept).rowcount:
                return None
            known = ledger_row.replay_from_row(connection.execute(query.with_for_update()).mappings().one())
            if known.status is not None or known.created_at >= stale_before:
                return known
            statement.save(connection, ledger_table.replay, [kept])
            return None

        return await self._write(work)

    async def finish_replay(self, replay: Replay) -> None:
        await self._keep(ledger_table.replay, ledger_row.replay_to_row(replay))

    async def drop_replay(self, key: str) -> None:
        gone = delete(ledger_table.replay).where(ledger_table.replay.c.key == key)
        await self._write(lambda connection: connection.execute(gone).rowcount)

    # --- notices ----------------------------------------------------------------------------------------------------

    async def add_notices(self, notices: Sequence[Notice]) -> None:
        rows = [ledger_row.notice_to_row(notice) for notice in notices]

        def work(connection: Connection) -> None:
            if connection.dialect.name == "postgresql":
                # Or a higher number could be seen before a lower one, and who reads on from it would miss that.
                connection.execute(text("LOCK TABLE notice IN SHARE ROW EXCLUSIVE MODE"))
            statement.for_each(connection, insert(ledger_table.notice), rows)

        if rows:
            await self._write(work)

    async def list_notices(self, *, after: int, limit: int) -> list[Notice]:
        columns = ledger_table.notice.c
        query = select(ledger_table.notice).where(columns.seq > after).order_by(columns.seq).limit(limit)
        return await self._list(query, ledger_row.notice_from_row)

    async def last_notice(self) -> int:
        query = select(func.max(ledger_table.notice.c.seq).label("last"))
        found = await self._list(query, lambda found: int(found["last"] or 0))
        return found[0]

    # --- audit ------------------------------------------------------------------------------------------------------

    async def add_records(self, records: Sequence[Record]) -> None:
        rows = [ledger_row.record_to_row(record) for record in records]

        def work(connection: Connection) -> None:
            adding = insert(ledger_table.audit).returning(ledger_table.audit.c.seq, sort_by_parameter_order=True)
            numbers = connection.execute(adding, rows).scalars()
            about = [
                {"event_id": event_id, "seq": seq}
                for record, seq in zip(records, numbers, strict=True)
                for event_id in dict.fromkeys(record.event_ids)
            ]
            statement.for_each(connection, insert(ledger_table.audit_event), about)

        if rows:
            await self._write(work)

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
        columns = ledger_table.audit.c
        query = select(ledger_table.audit).order_by(columns.seq.desc()).limit(limit)
        for column, value in (
            (columns.ven_id, ven_id),
            (columns.request_id, request_id),
            (columns.direction, direction),
        ):
            if value is not None:
                query = query.where(column == value)
        if event_id is not None:
            about = ledger_table.audit_event.c
            query = query.where(columns.seq.in_(select(about.seq).where(about.event_id == event_id)))
        if before is not None:
            query = query.where(columns.seq < before)
        return await self._list(query, ledger_row.record_from_row)

    # --- webhooks ---------------------------------------------------------------------------------------------------

    async def save_webhook(self, webhook: Webhook) -> None:
        await self._keep(ledger_table.webhook, ledger_row.webhook_to_row(webhook))

    async def note_webhook(self, webhook: Webhook) -> None:
        kept = ledger_row.webhook_to_row(webhook)
        change = update(ledger_table.webhook).where(ledger_table.webhook.c.webhook_id == kept.pop("webhook_id"))
        await self._write(lambda connection: connection.execute(change.values(kept)).rowcount)

    async def list_webhooks(self) -> list[Webhook]:
        columns = ledger_table.webhook.c
        query = select(ledger_table.webhook).order_by(columns.created_at, columns.webhook_id)
        return await self._list(query, ledger_row.webhook_from_row)

    async def delete_webhook(self, webhook_id: str) -> bool:
        gone = delete(ledger_table.webhook).where(ledger_table.webhook.c.webhook_id == webhook_id)
        return await self._write(lambda connection: connection.execute(gone).rowcount > 0)

    # --- upkeep -----------------------------------------------------------------------------------------------------

    async def lease(self, name: str, holder: str, *, now: datetime, until: datetime) -> bool:
        present, end = row.to_micros(now, "now"), row.to_micros(until, "until")
        kept = {"name": name, "holder": holder, "until": end}
        columns = ledger_table.lease.c
        taken = (
            update(ledger_table.lease)
            .where(columns.name == name, or_(columns.holder == holder, columns.until <= present))
            .values(holder=holder, until=end)
        )

        def work(connection: Connection) -> bool:
            if connection.execute(statement.insert_first(connection.dialect.name, ledger_table.lease), kept).rowcount:
                return True
            return connection.execute(taken).rowcount > 0

        return await self._write(work)

    async def prune(self, *, notices: datetime, records: datetime, replays: datetime) -> None:
        gone: BindParameter[int] = bindparam("gone")
        about = ledger_table.audit_event.c
        old = select(ledger_table.audit.c.seq).where(ledger_table.audit.c.at < gone)
        steps = (
            (delete(ledger_table.notice).where(ledger_table.notice.c.at < gone), notices),
            (delete(ledger_table.audit_event).where(about.seq.in_(old)), records),
            (delete(ledger_table.audit).where(ledger_table.audit.c.at < gone), records),
            (delete(ledger_table.replay).where(ledger_table.replay.c.created_at < gone), replays),
        )

        def work(connection: Connection) -> None:
            for step, before in steps:
                connection.execute(step, {"gone": row.to_micros(before, "before")})

        await self._write(work)
