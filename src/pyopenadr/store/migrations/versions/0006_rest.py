"""The tables for the API's tokens and repeated requests, for notices with webhooks, and for the audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006_rest"
down_revision = "0005_enrolment"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    text = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
    sequence = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "token",
        sa.Column("token_id", text, nullable=False),
        sa.Column("name", text, nullable=False),
        sa.Column("role", text, nullable=False),
        sa.Column("digest", text, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("token_id", name="pk_token"),
    )
    op.create_table(
        "replay",
        sa.Column("key", text, nullable=False),
        sa.Column("digest", text, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("headers", text, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_replay"),
    )
    op.create_index("ix_replay_created_at", "replay", ["created_at"])
    op.create_table(
        "notice",
        sa.Column("seq", sequence, nullable=False),
        sa.Column("kind", text, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ven_id", text),
        sa.Column("event_id", text),
        sa.Column("data", text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_notice"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notice_at", "notice", ["at"])
    op.create_table(
        "audit",
        sa.Column("seq", sequence, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("direction", text, nullable=False),
        sa.Column("kind", text, nullable=False),
        sa.Column("ven_id", text),
        sa.Column("request_id", text),
        sa.Column("actor", text),
        sa.Column("status", text),
        sa.Column("event_ids", text, nullable=False),
        sa.Column("body", text),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_request_id", "audit", ["request_id"])
    op.create_index("ix_audit_ven_id_seq", "audit", ["ven_id", "seq"])
    op.create_table(
        "audit_event",
        sa.Column("event_id", text, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("event_id", "seq", name="pk_audit_event"),
    )
    op.create_index("ix_audit_event_seq", "audit_event", ["seq"])
    op.create_table(
        "webhook",
        sa.Column("webhook_id", text, nullable=False),
        sa.Column("url", text, nullable=False),
        sa.Column("secret", text, nullable=False),
        sa.Column("kinds", text, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger()),
        sa.Column("last_error", text),
        sa.PrimaryKeyConstraint("webhook_id", name="pk_webhook"),
    )
    op.create_table(
        "lease",
        sa.Column("name", text, nullable=False),
        sa.Column("holder", text, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
    )
