"""The part of the SQL store that knows groups, resources, drafts and traces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, bindparam, delete, insert, select

from pyopenadr.model import Group, Member, ReportRule, Resource
from pyopenadr.store import dispatch_row as row
from pyopenadr.store import statement, table
from pyopenadr.store.part_sql import SqlPart
from pyopenadr.store.port import Change, Draft, Topic, Trace
from pyopenadr.store.row import to_micros

__all__ = ["SqlDispatch"]

T = TypeVar("T")

_GROUP: Final = Change(Topic.GROUP, "")
_ADD_TRACE: Final = insert(table.trace)


def _add_traces(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    connection.execute(_ADD_TRACE, rows)


class SqlDispatch(SqlPart):
    """See `pyopenadr.store.sql.SqlStore`."""

    # --- events -------------------------------------------------------------------------------------------------

    async def save_draft(self, draft: Draft) -> None:
        kept = row.draft_to_row(draft)
        await self._write(lambda connection: statement.save(connection, table.draft, [kept]))

    async def delete_draft(self, event_id: str) -> bool:
        gone = delete(table.draft).where(table.draft.c.event_id == event_id)
        return await self._write(lambda connection: connection.execute(gone).rowcount > 0)

    async def list_drafts(self) -> list[Draft]:
        return await self._list(select(table.draft).order_by(table.draft.c.event_id), row.draft_from_row)

    async def save_traces(self, traces: Sequence[Trace]) -> None:
        rows = [row.trace_to_row(trace) for trace in traces]
        writer = self._open_writer()
        if rows:
            await writer.run_many(_add_traces, rows)

    async def list_traces(self, event_id: str, *, ven_id: str | None = None) -> list[Trace]:
        query = select(table.trace).where(table.trace.c.event_id == event_id).order_by(table.trace.c.seq)
        if ven_id is not None:
            query = query.where(table.trace.c.ven_id == ven_id)
        return await self._list(query, row.trace_from_row)

    async def delete_event(self, event_id: str) -> bool:
        def work(connection: Connection) -> bool:
            for belongings in (table.trace, table.answer):
                connection.execute(delete(belongings).where(belongings.c.event_id == event_id))
            return connection.execute(delete(table.event).where(table.event.c.event_id == event_id)).rowcount > 0

        return await self._write(work, _GROUP)

    # --- what targets may name ------------------------------------------------------------------------------------

    async def save_group(self, group: Group) -> None:
        kept = row.group_to_row(group)
        await self._write(lambda connection: statement.save(connection, table.ven_group, [kept]), _GROUP)

    async def delete_group(self, group_id: str) -> bool:
        def work(connection: Connection) -> bool:
            connection.execute(delete(table.member).where(table.member.c.group_id == group_id))
            gone = delete(table.ven_group).where(table.ven_group.c.group_id == group_id)
            return connection.execute(gone).rowcount > 0

        return await self._write(work, _GROUP)

    async def list_groups(self) -> list[Group]:
        return await self._list(select(table.ven_group).order_by(table.ven_group.c.group_id), row.group_from_row)

    async def save_members(self, members: Sequence[Member]) -> None:
        rows = [row.member_to_row(member) for member in members]
        wanted = {member.group_id for member in members}

        def work(connection: Connection) -> None:
            statement.check_groups(connection, wanted)
            statement.save(connection, table.member, rows)

        await self._write(work, _GROUP)

    async def delete_members(self, members: Sequence[Member]) -> None:
        rows = [{"g": member.group_id, "v": member.ven_id, "r": member.resource_id} for member in members]
        columns = table.member.c
        gone = delete(table.member).where(
            columns.group_id == bindparam("g"), columns.ven_id == bindparam("v"), columns.resource_id == bindparam("r")
        )
        await self._write(lambda connection: statement.for_each(connection, gone, rows), _GROUP)

    async def list_members(self, *, group_id: str | None = None, ven_id: str | None = None) -> list[Member]:
        columns = table.member.c
        query = select(table.member).order_by(columns.group_id, columns.ven_id, columns.resource_id)
        if group_id is not None:
            query = query.where(columns.group_id == group_id)
        if ven_id is not None:
            query = query.where(columns.ven_id == ven_id)
        return await self._list(query, row.member_from_row)

    async def save_resources(self, resources: Sequence[Resource]) -> None:
        rows = [row.resource_to_row(resource) for resource in resources]
        await self._write(lambda connection: statement.save(connection, table.resource, rows), _GROUP)

    async def delete_resources(self, ven_id: str, resource_ids: Iterable[str]) -> None:
        rows = [{"key": resource_id} for resource_id in resource_ids]

        def work(connection: Connection) -> None:
            for belongings in (table.resource, table.member):
                gone = statement.of_ven(belongings, ven_id).where(belongings.c.resource_id == bindparam("key"))
                statement.for_each(connection, gone, rows)

        await self._write(work, _GROUP)

    async def list_resources(self, ven_id: str | None = None) -> list[Resource]:
        query = select(table.resource).order_by(table.resource.c.ven_id, table.resource.c.resource_id)
        if ven_id is not None:
            query = query.where(table.resource.c.ven_id == ven_id)
        return await self._list(query, row.resource_from_row)

    # --- reports --------------------------------------------------------------------------------------------------

    async def delete_readings(self, ven_id: str, before: datetime) -> int:
        old = statement.of_ven(table.reading, ven_id).where(table.reading.c.start < to_micros(before, "before"))
        return await self._write(lambda connection: connection.execute(old).rowcount)

    async def save_rule(self, rule: ReportRule) -> None:
        kept = row.rule_to_row(rule)
        await self._write(lambda connection: statement.save(connection, table.report_rule, [kept]))

    async def delete_rule(self, rule_id: str) -> bool:
        gone = delete(table.report_rule).where(table.report_rule.c.rule_id == rule_id)
        return await self._write(lambda connection: connection.execute(gone).rowcount > 0)

    async def list_rules(self) -> list[ReportRule]:
        return await self._list(select(table.report_rule).order_by(table.report_rule.c.rule_id), row.rule_from_row)
