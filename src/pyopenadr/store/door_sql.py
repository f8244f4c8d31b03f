"""What the VTN's door keeps, in a database: a part of `SqlStore`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, delete, func, select

from pyopenadr.model import Member, Registration
from pyopenadr.store import dispatch_row, row, statement, table
from pyopenadr.store.part_sql import SqlPart
from pyopenadr.store.port import Admission, Change, Claim, Knock, Topic

__all__ = ["SqlDoor"]

T = TypeVar("T")


class SqlDoor(SqlPart):
    """The part of a store in a database that is about who may come in."""

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        rows = [
            {"scope": each.scope, "name": each.name, "expires_at": row.to_micros(each.expires_at, "expires_at")}
            for each in claims
        ]

        def work(connection: Connection) -> list[bool]:
            first = statement.insert_first(connection.dialect.name, table.claim)
            return [connection.execute(first, each).rowcount == 1 for each in rows]

        return await self._write(work)

    async def give_back(self, claims: Sequence[Claim]) -> None:
        columns = table.claim.c
        gone = [
            delete(table.claim).where(
                columns.scope == each.scope,
                columns.name == each.name,
                columns.expires_at == row.to_micros(each.expires_at, "expires_at"),
            )
            for each in claims
        ]

        def work(connection: Connection) -> None:
            for each in gone:
                connection.execute(each)

        await self._write(work)

    async def forget_claims(self, now: datetime) -> int:
        old = delete(table.claim).where(table.claim.c.expires_at < row.to_micros(now, "now"))
        return await self._write(lambda connection: connection.execute(old).rowcount)

    async def save_admissions(self, admissions: Sequence[Admission], *, knock: str | None = None) -> None:
        rows = [row.admission_to_row(each) for each in admissions]

        def work(connection: Connection) -> None:
            statement.save(connection, table.admission, rows)
            if knock is not None:
                connection.execute(delete(table.knock).where(table.knock.c.key == knock))

        await self._write(work)

    async def save_enrolled(
        self, registrations: Sequence[Registration], admissions: Sequence[Admission], members: Sequence[Member]
    ) -> None:
        vens = [row.registration_to_row(each) for each in registrations]
        allowed = [row.admission_to_row(each) for each in admissions]
        belong = [dispatch_row.member_to_row(each) for each in members]

        def work(connection: Connection) -> None:
            statement.check_groups(connection, {member.group_id for member in members})
            statement.save(connection, table.ven, vens)
            statement.save(connection, table.admission, allowed)
            statement.save(connection, table.member, belong)

        vens_changed = [Change(Topic.VEN, each.ven_id) for each in registrations]
        await self._write(work, *vens_changed, Change(Topic.GROUP, ""))

    async def find_admissions(self, keys: Sequence[str]) -> list[Admission]:
        query = select(table.admission).where(table.admission.c.key.in_(keys))
        found = {each.key: each for each in await self._list(query, row.admission_from_row)}
        return [found[key] for key in dict.fromkeys(keys) if key in found]

    async def list_admissions(self) -> list[Admission]:
        return await self._list(select(table.admission).order_by(table.admission.c.key), row.admission_from_row)

    async def delete_admission(self, key: str) -> bool:
        gone = delete(table.admission).where(table.admission.c.key == key)
        return await self._write(lambda connection: connection.execute(gone).rowcount > 0)

    async def save_knock(self, knock: Knock, *, most: int) -> bool:
        kept = row.knock_to_row(knock)
        others = select(func.count()).select_from(table.knock).where(table.knock.c.key != knock.key)
        same = select(table.knock.c.key).where(table.knock.c.key == knock.key)

        def work(connection: Connection) -> bool:
            is_new = connection.execute(same).scalar() is None
            if is_new and (connection.execute(others).scalar() or 0) >= most:
                return False
            statement.save(connection, table.knock, [kept])
            return True

        return await self._write(work)

    async def load_knock(self, key: str) -> Knock | None:
        return await self._first(select(table.knock).where(table.knock.c.key == key), row.knock_from_row)

    async def list_knocks(self) -> list[Knock]:
        query = select(table.knock).order_by(table.knock.c.first_at, table.knock.c.key)
        return await self._list(query, row.knock_from_row)

    async def delete_knock(self, key: str) -> bool:
        gone = delete(table.knock).where(table.knock.c.key == key)
        return await self._write(lambda connection: connection.execute(gone).rowcount > 0)
