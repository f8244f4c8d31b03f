"""The first schema. What a migration builds stays as it was, so it repeats the tables instead of importing them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build everything in an empty database."""
    text = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
    sequence = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "ven",
        sa.Column("ven_id", text, nullable=False),
        sa.Column("ven_name", text),
        sa.Column("registration_id", text),
        sa.Column("fingerprint", text),
        sa.Column("last_seen", sa.BigInteger()),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("body", text, nullable=False),
        sa.PrimaryKeyConstraint("ven_id", name="pk_ven"),
        sa.UniqueConstraint("registration_id", name="uq_ven_registration_id"),
    )
    op.create_index("ix_ven_ven_name", "ven", ["ven_name"])
    op.create_index("ix_ven_fingerprint", "ven", ["fingerprint"])
    op.create_table(
        "event",
        sa.Column("seq", sequence, nullable=False),
        sa.Column("event_id", text, nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("recipients", text),
        sa.Column("body", text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_event"),
        sa.UniqueConstraint("event_id", name="uq_event_event_id"),
    )
    op.create_index("ix_event_closed_seq", "event", ["closed", "seq"])
    op.create_table(
        "answer",
        sa.Column("ven_id", text, nullable=False),
        sa.Column("event_id", text, nullable=False),
        sa.Column("modification_number", sa.BigInteger(), nullable=False),
        sa.Column("opt_type", text, nullable=False),
        sa.Column("response_code", text, nullable=False),
        sa.Column("response_description", text),
        sa.Column("answered_at", sa.BigInteger(), nullable=False),
        sa.Column("by_opt", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("ven_id", "event_id", name="pk_answer"),
    )
    op.create_index("ix_answer_event_id_ven_id", "answer", ["event_id", "ven_id"])
    op.create_table(
        "outgoing",
        sa.Column("seq", sequence, nullable=False),
        sa.Column("ven_id", text, nullable=False),
        sa.Column("item_id", text, nullable=False),
        sa.Column("kind", text, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["ven_id"], ["ven.ven_id"], name="fk_outgoing_ven_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_outgoing"),
        sa.UniqueConstraint("ven_id", "item_id", name="uq_outgoing_ven_id_item_id"),
    )
    op.create_table(
        "opt",
        sa.Column("seq", sequence, nullable=False),
        sa.Column("ven_id", text, nullable=False),
        sa.Column("opt_id", text, nullable=False),
        sa.Column("body", text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_opt"),
    )
    op.create_index("ix_opt_ven_id_opt_id", "opt", ["ven_id", "opt_id"])
    op.create_table(
        "capability",
        sa.Column("ven_id", text, nullable=False),
        sa.Column("source", text, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("body", text, nullable=False),
        sa.PrimaryKeyConstraint("ven_id", "source", "position", name="pk_capability"),
    )
    op.create_table(
        "request",
        sa.Column("seq", sequence, nullable=False),
        sa.Column("ven_id", text, nullable=False),
        sa.Column("source", text, nullable=False),
        sa.Column("report_request_id", text, nullable=False),
        sa.Column("is_metadata", sa.Boolean(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("body", text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_request"),
        sa.UniqueConstraint("ven_id", "source", "report_request_id", name="uq_request_ven_id_source_report_request_id"),
    )
    op.create_table(
        "reading",
        sa.Column("ven_id", text, nullable=False),
        sa.Column("report_specifier_id", text, nullable=False),
        sa.Column("r_id", text, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("duration", text),
        sa.Column("value", sa.Double()),
        sa.Column("status", text),
        sa.Column("quality", text),
        sa.Column("confidence", sa.BigInteger()),
        sa.Column("accuracy", sa.Double()),
        sa.Column("report_request_id", text, nullable=False),
        sa.PrimaryKeyConstraint("ven_id", "report_specifier_id", "r_id", "start", name="pk_reading"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_reading_ven_id_start_r_id_report_specifier_id",
        "reading",
        ["ven_id", "start", "r_id", "report_specifier_id"],
    )
