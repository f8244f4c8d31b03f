"""Groups, resources, drafts, and what has happened between events and VENs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002_dispatch"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables, and how an event is sent out."""
    text = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
    sequence = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("event", sa.Column("dispatch", text))
    op.create_table(
        "draft",
        sa.Column("event_id", text, nullable=False),
        sa.Column("body", text, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_draft"),
    )
    op.create_table(
        "trace",
        sa.Column("seq", sequence, nullable=False),
        sa.Column("event_id", text, nullable=False),
        sa.Column("ven_id", text, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("step", text, nullable=False),
        sa.Column("modification_number", sa.BigInteger(), nullable=False),
        sa.Column("request_id", text),
        sa.Column("opt_type", text),
        sa.Column("response_code", text),
        sa.Column("response_description", text),
        sa.Column("resource_ids", text),
        sa.PrimaryKeyConstraint("seq", name="pk_trace"),
    )
    op.create_index("ix_trace_event_id_ven_id", "trace", ["event_id", "ven_id"])
    op.create_table(
        "ven_group",
        sa.Column("group_id", text, nullable=False),
        sa.Column("name", text),
        sa.Column("market_context", text),
        sa.PrimaryKeyConstraint("group_id", name="pk_ven_group"),
    )
    op.create_table(
        "member",
        sa.Column("group_id", text, nullable=False),
        sa.Column("ven_id", text, nullable=False),
        sa.Column("resource_id", text, nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["ven_group.group_id"], name="fk_member_group_id"),
        sa.PrimaryKeyConstraint("group_id", "ven_id", "resource_id", name="pk_member"),
    )
    op.create_index("ix_member_ven_id", "member", ["ven_id"])
    op.create_table(
        "resource",
        sa.Column("ven_id", text, nullable=False),
        sa.Column("resource_id", text, nullable=False),
        sa.Column("body", text, nullable=False),
        sa.PrimaryKeyConstraint("ven_id", "resource_id", name="pk_resource"),
    )
