"""How the API's tokens, the audit and the webhooks are kept: rows of values, and values of rows."""

from __future__ import annotations

import msgspec

from pyopenadr.store.ledger import Notice, Record, Replay, Role, Token, Webhook
from pyopenadr.store.row import Found, Row, from_micros, to_micros

__all__ = [
    "notice_from_row",
    "notice_to_row",
    "record_from_row",
    "record_to_row",
    "replay_from_row",
    "replay_to_row",
    "token_from_row",
    "token_to_row",
    "webhook_from_row",
    "webhook_to_row",
]


def token_to_row(token: Token) -> Row:
    """The columns of a token."""
    return {
        "token_id": token.token_id,
        "name": token.name,
        "role": token.role.value,
        "digest": token.digest,
        "created_at": to_micros(token.created_at, "created_at"),
        "expires_at": None if token.expires_at is None else to_micros(token.expires_at, "expires_at"),
        "revoked_at": None if token.revoked_at is None else to_micros(token.revoked_at, "revoked_at"),
    }


def token_from_row(row: Found) -> Token:
    """The token of a row."""
    return Token(
        token_id=row["token_id"],
        name=row["name"],
        role=Role(row["role"]),
        digest=row["digest"],
        created_at=from_micros(row["created_at"]),
        expires_at=None if row["expires_at"] is None else from_micros(row["expires_at"]),
        revoked_at=None if row["revoked_at"] is None else from_micros(row["revoked_at"]),
    )


def replay_to_row(replay: Replay) -> Row:
    """The columns of a request with an idempotency key."""
    return {
        "key": replay.key,
        "digest": replay.digest,
        "created_at": to_micros(replay.created_at, "created_at"),
        "status": replay.status,
        "headers": msgspec.json.encode(replay.headers).decode(),
        "body": replay.body,
    }


def replay_from_row(row: Found) -> Replay:
    """The request of a row."""
    return Replay(
        key=row["key"],
        digest=row["digest"],
        created_at=from_micros(row["created_at"]),
        status=row["status"],
        headers=msgspec.json.decode(row["headers"], type=tuple[tuple[str, str], ...]),
        body=row["body"],
    )


def notice_to_row(notice: Notice) -> Row:
    """The columns of a notice; its `seq` is the database's to give."""
    return {
        "kind": notice.kind,
        "at": to_micros(notice.at, "at"),
        "ven_id": notice.ven_id,
        "event_id": notice.event_id,
        "data": msgspec.json.encode(notice.data).decode(),
    }


def notice_from_row(row: Found) -> Notice:
    """The notice of a row."""
    return Notice(
        seq=row["seq"],
        kind=row["kind"],
        at=from_micros(row["at"]),
        ven_id=row["ven_id"],
        event_id=row["event_id"],
        data=msgspec.json.decode(row["data"]),
    )


def record_to_row(record: Record) -> Row:
    """The columns of a line of the audit, but for its events, which have a table of their own."""
    return {
        "at": to_micros(record.at, "at"),
        "direction": record.direction,
        "kind": record.kind,
        "ven_id": record.ven_id,
        "request_id": record.request_id,
        "actor": record.actor,
        "status": record.status,
        "event_ids": msgspec.json.encode(record.event_ids).decode(),
        "body": record.body,
    }


def record_from_row(row: Found) -> Record:
    """The line of a row."""
    return Record(
        seq=row["seq"],
        at=from_micros(row["at"]),
        direction=row["direction"],
        kind=row["kind"],
        ven_id=row["ven_id"],
        event_ids=msgspec.json.decode(row["event_ids"], type=tuple[str, ...]),
        request_id=row["request_id"],
        actor=row["actor"],
        status=row["status"],
        body=row["body"],
    )


def webhook_to_row(webhook: Webhook) -> Row:
    """The columns of a webhook."""
    return {
        "webhook_id": webhook.webhook_id,
        "url": webhook.url,
        "secret": webhook.secret,
        "kinds": msgspec.json.encode(webhook.kinds).decode(),
        "created_at": to_micros(webhook.created_at, "created_at"),
        "position": webhook.position,
        "attempts": webhook.attempts,
        "next_at": None if webhook.next_at is None else to_micros(webhook.next_at, "next_at"),
        "last_error": webhook.last_error,
    }


def webhook_from_row(row: Found) -> Webhook:
    """The webhook of a row."""
    return Webhook(
        webhook_id=row["webhook_id"],
        url=row["url"],
        secret=row["secret"],
        kinds=msgspec.json.decode(row["kinds"], type=tuple[str, ...]),
        created_at=from_micros(row["created_at"]),
        position=row["position"],
        attempts=row["attempts"],
        next_at=None if row["next_at"] is None else from_micros(row["next_at"]),
        last_error=row["last_error"],
    )
