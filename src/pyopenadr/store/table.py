"""The tables of the database, and the versions that its schema has had.

Columns hold what is searched for, sorted by or changed alone; the rest of a value is JSON in `body`. Instants are
microseconds since 1970 in UTC. Text compares byte by byte in every engine, so IDs are case-sensitive and the order is
Python's. `seq` remembers the order in which rows first came.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql

__all__ = [
    "HEAD",
    "VERSIONS",
    "admission",
    "answer",
    "capability",
    "claim",
    "draft",
    "event",
    "knock",
    "member",
    "metadata",
    "opt",
    "outgoing",
    "reading",
    "report_rule",
    "request",
    "resource",
    "trace",
    "ven",
    "ven_group",
]

VERSIONS = ("0001", "0002_dispatch", "0003_doorkeeper", "0004_report_rule", "0005_enrolment", "0006_rest")
"""Every revision in `migrations/versions`, oldest first; here too so that Alembic need not be imported to compare."""

HEAD = VERSIONS[-1]
"""The revision that these tables are."""

_TEXT = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ven = Table(
    "ven",
    metadata,
    Column("ven_id", _TEXT, primary_key=True),
    Column("ven_name", _TEXT, index=True),
    Column("registration_id", _TEXT),
    Column("fingerprint", _TEXT, index=True),
    Column("last_seen", BigInteger),
    Column("online", Boolean, nullable=False),
    Column("body", _TEXT, nullable=False),
    UniqueConstraint("registration_id"),
)
"""The VENs. The columns are the truth for what they hold; `body` has the rest."""

event = Table(
    "event",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True),
    Column("event_id", _TEXT, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("recipients", _TEXT),
    Column("body", _TEXT, nullable=False),
    Column("dispatch", _TEXT),
    UniqueConstraint("event_id"),
    Index(None, "closed", "seq"),
)
"""The events; `recipients` is a JSON list of ven_ids, or NULL for every VEN; `dispatch` is NULL where nothing is
said about it."""

draft = Table(
    "draft",
    metadata,
    Column("event_id", _TEXT, primary_key=True),
    Column("body", _TEXT, nullable=False),
)
"""The events that are not published yet."""

trace = Table(
    "trace",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True),
    Column("event_id", _TEXT, nullable=False),
    Column("ven_id", _TEXT, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("step", _TEXT, nullable=False),
    Column("modification_number", BigInteger, nullable=False),
    Column("request_id", _TEXT),
    Column("opt_type", _TEXT),
    Column("response_code", _TEXT),
    Column("response_description", _TEXT),
    Column("resource_ids", _TEXT),
    Index(None, "event_id", "ven_id"),
)
"""Every message about an event, to and from each VEN. Rows are only added."""

ven_group = Table(
    "ven_group",
    metadata,
    Column("group_id", _TEXT, primary_key=True),
    Column("name", _TEXT),
    Column("market_context", _TEXT),
)
"""The groups of VENs and resources; those with a market context are programmes."""

member = Table(
    "member",
    metadata,
    Column("group_id", _TEXT, ForeignKey("ven_group.group_id"), primary_key=True),
    Column("ven_id", _TEXT, primary_key=True),
    Column("resource_id", _TEXT, primary_key=True),
    Index(None, "ven_id"),
)
"""Who is in which group; a resource_id of '' is the VEN as a whole."""

resource = Table(
    "resource",
    metadata,
    Column("ven_id", _TEXT, primary_key=True),
    Column("resource_id", _TEXT, primary_key=True),
    Column("body", _TEXT, nullable=False),
)
"""What is behind each VEN; a resource_id of '' is the VEN itself."""

answer = Table(
    "answer",
    metadata,
    Column("ven_id", _TEXT, primary_key=True),
    Column("event_id", _TEXT, primary_key=True),
    Column("modification_number", BigInteger, nullable=False),
    Column("opt_type", _TEXT, nullable=False),
    Column("response_code", _TEXT, nullable=False),
    Column("response_description", _TEXT),
    Column("answered_at", BigInteger, nullable=False),
    Column("by_opt", Boolean, nullable=False),
    Index(None, "event_id", "ven_id"),
)
"""What each VEN last said of each event."""

outgoing = Table(
    "outgoing",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True),
    Column("ven_id", _TEXT, ForeignKey("ven.ven_id"), nullable=False),
    Column("item_id", _TEXT, nullable=False),
    Column("kind", _TEXT, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("ven_id", "item_id"),
)
"""The messages that wait for a VEN."""

opt = Table(
    "opt",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True),
    Column("ven_id", _TEXT, nullable=False),
    Column("opt_id", _TEXT, nullable=False),
    Column("body", _TEXT, nullable=False),
    Index(None, "ven_id", "opt_id"),
)
"""What VENs said of their own accord about their availability."""

capability = Table(
    "capability",
    metadata,
    Column("ven_id", _TEXT, primary_key=True),
    Column("source", _TEXT, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("body", _TEXT, nullable=False),
)
"""What each side said it can deliver."""

request = Table(
    "request",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True),
    Column("ven_id", _TEXT, nullable=False),
    Column("source", _TEXT, nullable=False),
    Column("report_request_id", _TEXT, nullable=False),
    Column("is_metadata", Boolean, nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("body", _TEXT, nullable=False),
    UniqueConstraint("ven_id", "source", "report_request_id"),
)
"""The report requests in force, in both directions."""

reading = Table(
    "reading",
    metadata,
    Column("ven_id", _TEXT, primary_key=True),
    Column("report_specifier_id", _TEXT, primary_key=True),
    Column("r_id", _TEXT, primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("duration", _TEXT),
    Column("value", Double),
    Column("status", _TEXT),
    Column("quality", _TEXT),
    Column("confidence", BigInteger),
    Column("accuracy", Double),
    Column("report_request_id", _TEXT, nullable=False),
    Index(None, "ven_id", "start", "r_id", "report_specifier_id"),
    sqlite_with_rowid=False,
)
"""The readings. The primary key serves the history of one rID, the index that of a whole VEN. Without a row number
of its own the table is a fifth smaller in SQLite."""

claim = Table(
    "claim",
    metadata,
    Column("scope", _TEXT, primary_key=True),
    Column("name", _TEXT, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)
"""What may happen once: the nonces of signatures that were seen, and warnings that were given."""

report_rule = Table(
    "report_rule",
    metadata,
    Column("rule_id", _TEXT, primary_key=True),
    Column("body", _TEXT, nullable=False),
)
"""The rules by which reports are asked for."""

admission = Table(
    "admission",
    metadata,
    Column("key", _TEXT, primary_key=True),
    Column("body", _TEXT, nullable=False),
)
"""Who may register."""

knock = Table(
    "knock",
    metadata,
    Column("key", _TEXT, primary_key=True),
    Column("first_at", BigInteger, nullable=False),
    Column("body", _TEXT, nullable=False),
)
"""Who wanted to register and may not yet."""
