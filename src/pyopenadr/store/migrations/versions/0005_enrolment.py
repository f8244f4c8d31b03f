"""Who may register, and who wanted to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005_enrolment"
down_revision = "0004_report_rule"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    text = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
    op.create_table(
        "admission",
        sa.Column("key", text, nullable=False),
        sa.Column("body", text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_admission"),
    )
    op.create_table(
        "knock",
        sa.Column("key", text, nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("body", text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_knock"),
    )
