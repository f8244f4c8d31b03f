"""What the VTN's door keeps: what may happen once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003_doorkeeper"
down_revision = "0002_dispatch"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    text = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
    op.create_table(
        "claim",
        sa.Column("scope", text, nullable=False),
        sa.Column("name", text, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "name", name="pk_claim"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_claim_expires_at", "claim", ["expires_at"])
