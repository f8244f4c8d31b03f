"""The statements that several units of work have in common.

Those that run often are made once, because making one takes SQLAlchemy longer than SQLite takes to run it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import Connection, Delete, Executable, Table, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from pyopenadr.errors import StoreError
from pyopenadr.store import ledger_table, table
from pyopenadr.store.row import Row

__all__ = ["append", "check_groups", "check_ven", "for_each", "forget", "insert_first", "of_ven", "save", "upsert"]

_KEYS: Final = {
    table.ven: ("ven_id",),
    table.event: ("event_id",),
    table.answer: ("ven_id", "event_id"),
    table.outgoing: ("ven_id", "item_id"),
    table.request: ("ven_id", "source", "report_request_id"),
    table.reading: ("ven_id", "report_specifier_id", "r_id", "start"),
    table.report_rule: ("rule_id",),
    table.draft: ("event_id",),
    table.ven_group: ("group_id",),
    table.member: ("group_id", "ven_id", "resource_id"),
    table.resource: ("ven_id", "resource_id"),
    table.claim: ("scope", "name"),
    table.admission: ("key",),
    table.knock: ("key",),
    ledger_table.token: ("token_id",),
    ledger_table.replay: ("key",),
    ledger_table.webhook: ("webhook_id",),
    ledger_table.lease: ("name",),
}


def _make_upsert(statement: sqlite.Insert | postgresql.Insert, key: Sequence[str]) -> Executable:
    rest = [column.name for column in statement.excluded if column.name not in (*key, "seq")]
    if not rest:
        return statement.on_conflict_do_nothing(index_elements=key)
    return statement.on_conflict_do_update(index_elements=key, set_={name: statement.excluded[name] for name in rest})


_UPSERTS: Final = {
    (dialect, into): _make_upsert(make(into), key)
    for dialect, make in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
    for into, key in _KEYS.items()
}

_FIRST: Final = {
    (dialect, into): make(into).on_conflict_do_nothing(index_elements=_KEYS[into])
    for dialect, make in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
    for into in (table.claim, ledger_table.replay, ledger_table.lease)
}

_VEN: Final = select(table.ven.c.ven_id).where(table.ven.c.ven_id == bindparam("ven_id"))


def upsert(dialect: str, into: Table) -> Executable:
    """INSERT that replaces the row with the same key, where there is one, in its place; the same object each time."""
    return _UPSERTS[dialect, into]


def insert_first(dialect: str, into: Table) -> Executable:
    """INSERT that leaves the row with the same key as it is, where there is one; the row count says which it was."""
    return _FIRST[dialect, into]


def check_groups(connection: Connection, group_ids: Collection[str]) -> None:
    """Whether there are these groups.

    Raises:
        StoreError: there is none with one of these IDs.
    """
    known = select(table.ven_group.c.group_id).where(table.ven_group.c.group_id.in_(group_ids))
    unknown = set(group_ids) - set(connection.execute(known).scalars())
    if unknown:
        raise StoreError(f"there is no group {min(unknown)!r}: save it first")


def save(connection: Connection, into: Table, rows: Sequence[Row]) -> None:
    """Keep rows, each replacing the one with its key."""
    for_each(connection, upsert(connection.dialect.name, into), rows)


def for_each(connection: Connection, statement: Executable, rows: Sequence[Row]) -> None:
    """Run a statement once for each row, hence not at all for none."""
    if rows:
        connection.execute(statement, rows)


def of_ven(belongings: Table, ven_id: str) -> Delete:
    """DELETE of all that a table has of a VEN."""
    return delete(belongings).where(belongings.c.ven_id == ven_id)


def forget(connection: Connection, ven_id: str) -> None:
    """Delete what goes when a VEN starts anew."""
    for belongings in (table.capability, table.request, table.opt, table.outgoing):
        connection.execute(of_ven(belongings, ven_id))


def check_ven(connection: Connection, ven_id: str) -> None:
    """Raise StoreError if there is no such VEN."""
    if connection.execute(_VEN, {"ven_id": ven_id}).scalar() is None:
        raise StoreError(f"there is no VEN {ven_id!r} to queue messages for: save its registration first")


def append(connection: Connection, items: Sequence[Row]) -> None:
    """Put messages into their VEN's queue."""
    save(connection, table.outgoing, items)
