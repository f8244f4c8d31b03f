"""The tables for the API, the audit and the webhooks; see `pyopenadr.store.table` for what all tables share."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects import postgresql

from pyopenadr.store.table import metadata

__all__ = ["audit", "audit_event", "lease", "notice", "replay", "token", "webhook"]

_TEXT = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")

token = Table(
    "token",
    metadata,
    Column("token_id", _TEXT, primary_key=True),
    Column("name", _TEXT, nullable=False),
    Column("role", _TEXT, nullable=False),
    Column("digest", _TEXT, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
)
"""Who may use the API."""

replay = Table(
    "replay",
    metadata,
    Column("key", _TEXT, primary_key=True),
    Column("digest", _TEXT, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("status", Integer),
    Column("headers", _TEXT, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""The requests that came with an idempotency key, with their answers."""

notice = Table(
    "notice",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True),
    Column("kind", _TEXT, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("ven_id", _TEXT),
    Column("event_id", _TEXT),
    Column("data", _TEXT, nullable=False),
    sqlite_autoincrement=True,
)
"""What happened, for those who are told. No number comes again, not even after the newest rows have gone."""

audit = Table(
    "audit",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("direction", _TEXT, nullable=False),
    Column("kind", _TEXT, nullable=False),
    Column("ven_id", _TEXT),
    Column("request_id", _TEXT, index=True),
    Column("actor", _TEXT),
    Column("status", _TEXT),
    Column("event_ids", _TEXT, nullable=False),
    Column("body", _TEXT),
    Index(None, "ven_id", "seq"),
    sqlite_autoincrement=True,
)
"""Messages in and out, and what was done by the API."""

audit_event = Table(
    "audit_event",
    metadata,
    Column("event_id", _TEXT, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Index(None, "seq"),
)
"""Which lines of the audit concern an event."""

webhook = Table(
    "webhook",
    metadata,
    Column("webhook_id", _TEXT, primary_key=True),
    Column("url", _TEXT, nullable=False),
    Column("secret", _TEXT, nullable=False),
    Column("kinds", _TEXT, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger),
    Column("last_error", _TEXT),
)
"""Who is told of notices, and how far each has come."""

lease = Table(
    "lease",
    metadata,
    Column("name", _TEXT, primary_key=True),
    Column("holder", _TEXT, nullable=False),
    Column("until", BigInteger, nullable=False),
)
"""Which of several processes does a work that only one may do."""
