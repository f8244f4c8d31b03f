"""A store in an SQL database: SQLite, or PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, bindparam, delete, insert, or_, select, true, tuple_, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from pyopenadr.errors import ConfigError, StoreError
from pyopenadr.model import Capability, Opt, Registration
from pyopenadr.store import row, schema, statement, table
from pyopenadr.store.claim import Claim
from pyopenadr.store.cluster import Cluster
from pyopenadr.store.database import DATABASE_ERRORS, Database, connect, connect_asyncpg, store_error
from pyopenadr.store.dispatch_sql import SqlDispatch
from pyopenadr.store.door_sql import SqlDoor
from pyopenadr.store.feed import Feed
from pyopenadr.store.ledger_sql import SqlLedger
from pyopenadr.store.port import Answer, Change, Outgoing, Source, StoredEvent, StoredReading, StoredRequest, Topic
from pyopenadr.store.reading import save_readings
from pyopenadr.store.row import Found, Row
from pyopenadr.store.sharing import Sharing
from pyopenadr.store.writer import Writer

__all__ = ["SqlStore"]

T = TypeVar("T")

_SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")


class SqlStore(SqlDispatch, SqlDoor, SqlLedger, Sharing):
    """A `Store` in a database; see `pyopenadr.store.open_store` for the arguments.

    PostgreSQL may be shared by any number of workers. The feed of `subscribe` tells of what this object commits, and
    that of `follow` of what other workers do.
    """

    def __init__(
        self,
        url: str,
        *,
        migrate: bool | None = None,
        synchronous: str = "FULL",
        busy_timeout_s: float = 5.0,
    ) -> None:
        try:
            self._url = make_url(url)
        except (ArgumentError, ValueError) as error:
            # The address may hold a password, so it is not repeated.
            raise ConfigError("the store's address can't be read: write sqlite:///path/to/file.db") from error
        if self._url.drivername == "postgresql":
            self._url = self._url.set(drivername="postgresql+asyncpg")
        if self._url.database == "":
            raise ConfigError("the store's address names no file: write sqlite:///path/to/file.db")
        if self._url.drivername == "sqlite+aiosqlite" and self._url.database in (None, "", ":memory:"):
            raise ConfigError("sqlite+aiosqlite needs a file: write sqlite:// for a database in memory")
        if synchronous not in _SYNCHRONOUS:
            raise ConfigError(f"synchronous can't be {synchronous!r}: use one of {', '.join(_SYNCHRONOUS)}")
        self._migrate = migrate
        self._connect = partial(connect, self._url, synchronous=synchronous, busy_timeout_s=busy_timeout_s)
        self._feed: Feed[str | None] = Feed()
        self._claim: Claim | None = None
        self._database: Database | None = None
        self._writer: Writer | None = None
        self._lifecycle = asyncio.Lock()

    async def open(self) -> None:
        async with self._lifecycle:
            if self._database is not None:
                return
            database = self._connect()
            allowed = database.dialect == "sqlite" if self._migrate is None else self._migrate
            try:
                if not await database.read(schema.is_current):
                    await database.write(partial(schema.upgrade, where=database.where, allowed=allowed))
                if self.is_shared:
                    self._cluster = Cluster(partial(connect_asyncpg, self._url), database.where)
                    await self._cluster.open()
            except DATABASE_ERRORS as error:
                await database.close()
                raise store_error(error, database.where) from error
            except BaseException:  # cancelled or not ours to open: leave no thread and no connection behind
                await database.close()
                raise
            told = (self._cluster.announce, self._cluster.secure) if self._cluster is not None else (None, None)
            self._database, self._writer = database, Writer(database, self._feed, *told)
            self._writer.start()

    async def status(self) -> schema.Status:
        """How the schema of the database stands to this version. Changes nothing; the store need not be open.

        Raises:
            StoreError: there is no such database.
        """
        if self._url.get_backend_name() == "sqlite":
            self._check_file()
        database = self._connect()
        try:
            return await database.read(partial(schema.status, where=database.where))
        except DATABASE_ERRORS as error:
            raise store_error(error, database.where) from error
        finally:
            await database.close()

    def _check_file(self) -> None:
        name = self._url.database
        if not name or not Path(name).is_file():
            raise StoreError(f"there is no database {name}: a server makes it, or pyopenadr db upgrade")

    async def close(self) -> None:
        async with self._lifecycle:
            database, self._database = self._database, None
            if database is not None and self._writer is not None:
                try:
                    await self._writer.close()
                finally:
                    if self._cluster is not None:
                        await self._cluster.close()
                    if self._claim is not None:
                        self._claim.give_back()
                    await database.close()

    @property
    def is_shared(self) -> bool:
        return self._url.get_backend_name() == "postgresql"

    async def occupy(self) -> None:
        name = self._url.database
        if self.is_shared or name in (None, "", ":memory:"):
            return
        self._claim = self._claim or Claim(Path(str(name)))
        self._claim.take()

    async def tell(self, changes: Sequence[Change]) -> None:
        if self.is_shared and changes:
            await self._open_writer().run_many(_nothing, (), changes)

    def subscribe(self, listener: Callable[[str | None], None]) -> Callable[[], None]:
        return self._feed.subscribe(listener)

    async def _read(self, work: Callable[[Connection], T]) -> T:
        database = self._database
        if database is None:
            raise self._is_closed()
        try:
            return await database.read(work)
        except DATABASE_ERRORS as error:
            raise store_error(error, database.where) from error

    async def _list(self, query: Select[Any], read: Callable[[Found], T]) -> list[T]:
        return await self._read(lambda connection: [read(found) for found in connection.execute(query).mappings()])

    async def _first(self, query: Select[Any], read: Callable[[Found], T]) -> T | None:
        found = await self._list(query.limit(1), read)
        return found[0] if found else None

    async def _write(self, work: Callable[[Connection], T], *concerns: Change) -> T:
        return await self._open_writer().run(work, concerns)

    def _open_writer(self) -> Writer:
        if self._database is None or self._writer is None:
            raise self._is_closed()
        return self._writer

    def _is_closed(self) -> StoreError:
        where = self._url.render_as_string(hide_password=True)
        return StoreError(f"the store {where} is not open; await its open() first")

    # --- VENs ---------------------------------------------------------------------------------------------------

    async def save_registration(
        self, registration: Registration, *, fresh: bool = False, outgoing: Sequence[Outgoing] = ()
    ) -> None:
        ven_id = registration.ven_id
        kept = row.registration_to_row(registration)
        items = _outgoing(ven_id, outgoing)

        def work(connection: Connection) -> None:
            same = select(table.ven.c.ven_id).where(
                table.ven.c.registration_id == kept["registration_id"], table.ven.c.ven_id != ven_id
            )
            other = connection.execute(same).scalar() if kept["registration_id"] is not None else None
            if other is not None:
                raise StoreError(
                    f"VEN {ven_id!r} can't have registration_id {kept['registration_id']!r}: "
                    f"VEN {other!r} has it; choose another"
                )
            statement.save(connection, table.ven, [kept])
            if fresh:
                statement.forget(connection, ven_id)
            statement.append(connection, items)

        await self._write(work, Change(Topic.VEN, ven_id), Change(Topic.MAIL, ven_id))

    async def end_registration(self, ven_id: str, *, outgoing: Sequence[Outgoing] = ()) -> bool:
        items = _outgoing(ven_id, outgoing)

        def work(connection: Connection) -> bool:
            if items:
                statement.check_ven(connection, ven_id)
            statement.forget(connection, ven_id)
            ended = connection.execute(
                update(table.ven)
                .where(table.ven.c.ven_id == ven_id, table.ven.c.registration_id.is_not(None))
                .values(registration_id=None)
            )
            statement.append(connection, items)
            return ended.rowcount > 0

        return await self._write(work, Change(Topic.VEN, ven_id), Change(Topic.MAIL, ven_id))

    async def delete_ven(self, ven_id: str) -> bool:
        def work(connection: Connection) -> bool:
            statement.forget(connection, ven_id)
            for belongings in (table.reading, table.answer, table.resource, table.member):
                connection.execute(statement.of_ven(belongings, ven_id))
            return connection.execute(statement.of_ven(table.ven, ven_id)).rowcount > 0

        return await self._write(work, Change(Topic.VEN, ven_id))

    async def load_registration(self, ven_id: str) -> Registration | None:
        query = select(table.ven).where(table.ven.c.ven_id == ven_id)
        return await self._first(query, row.registration_from_row)

    async def find_registration(
        self, *, ven_name: str | None = None, registration_id: str | None = None, fingerprint: str | None = None
    ) -> Registration | None:
        columns = table.ven.c
        pairs = (
            (columns.ven_name, ven_name),
            (columns.registration_id, registration_id),
            (columns.fingerprint, fingerprint),
        )
        wanted = [column == value for column, value in pairs if value is not None]
        query = select(table.ven).where(*wanted).order_by(columns.ven_id)
        return await self._first(query, row.registration_from_row) if wanted else None

    async def list_registrations(self, *, ven_ids: Collection[str] | None = None) -> list[Registration]:
        query = select(table.ven).order_by(table.ven.c.ven_id)
        if ven_ids is not None:
            query = query.where(table.ven.c.ven_id.in_(list(ven_ids)))
        return await self._list(query, row.registration_from_row)

    async def save_presence(self, last_seen: Mapping[str, datetime], online: Mapping[str, bool]) -> None:
        seen = [{"key": ven_id, "value": row.to_micros(at, "last_seen")} for ven_id, at in last_seen.items()]
        presence = [{"key": ven_id, "value": is_online} for ven_id, is_online in online.items()]

        def work(connection: Connection) -> None:
            columns = table.ven.c
            change = update(table.ven).where(columns.ven_id == bindparam("key"))
            later = change.where(or_(columns.last_seen.is_(None), columns.last_seen < bindparam("value")))
            statement.for_each(connection, later.values(last_seen=bindparam("value")), seen)
            statement.for_each(connection, change.values(online=bindparam("value")), presence)

        if seen or presence:
            await self._write(work)

    async def turn(self, ven_id: str, *, online: bool) -> bool:
        columns = table.ven.c
        change = update(table.ven).where(columns.ven_id == ven_id, columns.online.is_not(online)).values(online=online)
        return await self._write(lambda connection: connection.execute(change).rowcount > 0, Change(Topic.VEN, ven_id))

    async def list_silent(self, before: datetime) -> list[Registration]:
        columns = table.ven.c
        silent = or_(columns.last_seen.is_(None), columns.last_seen < row.to_micros(before, "before"))
        query = select(table.ven).where(columns.online.is_(True), silent).order_by(columns.ven_id)
        return await self._list(query, row.registration_from_row)

    # --- events -------------------------------------------------------------------------------------------------

    async def save_event(self, stored: StoredEvent) -> None:
        kept = row.event_to_row(stored)
        published = delete(table.draft).where(table.draft.c.event_id == stored.event.event_id)

        def work(connection: Connection) -> None:
            statement.save(connection, table.event, [kept])
            connection.execute(published)

        await self._write(work, Change(Topic.EVENT, kept["event_id"]))

    async def load_event(self, event_id: str) -> StoredEvent | None:
        return await self._first(select(table.event).where(table.event.c.event_id == event_id), row.event_from_row)

    async def list_events(
        self, *, include_closed: bool = False, event_ids: Collection[str] | None = None
    ) -> list[StoredEvent]:
        query = select(table.event).order_by(table.event.c.seq)
        if event_ids is not None:
            query = query.where(table.event.c.event_id.in_(list(event_ids)))
        if not include_closed:
            query = query.where(table.event.c.closed.is_(False))
        return await self._list(query, row.event_from_row)

    async def save_answers(self, answers: Sequence[Answer]) -> None:
        rows = [row.answer_to_row(answer) for answer in answers]
        await self._write(lambda connection: statement.save(connection, table.answer, rows), *_mail(answers))

    async def list_answers(self, *, ven_id: str | None = None, event_id: str | None = None) -> list[Answer]:
        query = select(table.answer).order_by(table.answer.c.event_id, table.answer.c.ven_id)
        if ven_id is not None:
            query = query.where(table.answer.c.ven_id == ven_id)
        if event_id is not None:
            query = query.where(table.answer.c.event_id == event_id)
        return await self._list(query, row.answer_from_row)

    # --- messages that wait for a VEN -----------------------------------------------------------------------------

    async def add_outgoing(self, ven_id: str, items: Sequence[Outgoing]) -> None:
        rows = _outgoing(ven_id, items)

        def work(connection: Connection) -> None:
            statement.check_ven(connection, ven_id)
            statement.append(connection, rows)

        await self._write(work, Change(Topic.MAIL, ven_id))

    async def list_outgoing(self, ven_id: str) -> list[Outgoing]:
        query = select(table.outgoing).where(table.outgoing.c.ven_id == ven_id).order_by(table.outgoing.c.seq)
        return await self._list(query, row.outgoing_from_row)

    async def remove_outgoing(self, ven_id: str, item_ids: Iterable[str]) -> None:
        rows = [{"key": item_id} for item_id in item_ids]
        answered = statement.of_ven(table.outgoing, ven_id).where(table.outgoing.c.item_id == bindparam("key"))
        await self._write(lambda connection: statement.for_each(connection, answered, rows), Change(Topic.MAIL, ven_id))

    # --- opt ------------------------------------------------------------------------------------------------------

    async def save_opt(self, opt: Opt, *, answers: Sequence[Answer] = ()) -> None:
        kept = row.opt_to_row(opt)
        wanted = row.opt_from_row(kept)
        rows = [row.answer_to_row(answer) for answer in answers]

        def work(connection: Connection) -> None:
            same_id = select(table.opt.c.body).where(table.opt.c.ven_id == opt.ven_id, table.opt.c.opt_id == opt.opt_id)
            # By value: the same instant may be written in two time zones.
            if wanted not in [row.opt_from_row(found) for found in connection.execute(same_id).mappings()]:
                connection.execute(insert(table.opt), [kept])
            statement.save(connection, table.answer, rows)

        await self._write(work, Change(Topic.MAIL, opt.ven_id), *_mail(answers))

    async def delete_opts(self, ven_id: str, opt_id: str) -> int:
        gone = statement.of_ven(table.opt, ven_id).where(table.opt.c.opt_id == opt_id)
        return await self._write(lambda connection: connection.execute(gone).rowcount, Change(Topic.MAIL, ven_id))

    async def list_opts(self, ven_id: str | None = None) -> list[Opt]:
        query = select(table.opt).order_by(table.opt.c.seq)
        if ven_id is not None:
            query = query.where(table.opt.c.ven_id == ven_id)
        return await self._list(query, row.opt_from_row)

    # --- reports --------------------------------------------------------------------------------------------------

    async def save_capabilities(self, ven_id: str, source: Source, capabilities: Sequence[Capability]) -> None:
        rows = [
            row.capability_to_row(ven_id, source, position, capability)
            for position, capability in enumerate(capabilities)
        ]

        def work(connection: Connection) -> None:
            connection.execute(
                statement.of_ven(table.capability, ven_id).where(table.capability.c.source == source.value)
            )
            connection.execute(
                statement.of_ven(table.request, ven_id).where(
                    table.request.c.source == source.value, table.request.c.is_metadata.is_(False)
                )
            )
            statement.for_each(connection, insert(table.capability), rows)

        await self._write(work, _requests(ven_id, source))

    async def list_capabilities(self, ven_id: str, source: Source) -> list[Capability]:
        query = (
            select(table.capability)
            .where(table.capability.c.ven_id == ven_id, table.capability.c.source == source.value)
            .order_by(table.capability.c.position)
        )
        return await self._list(query, row.capability_from_row)

    async def save_requests(
        self, ven_id: str, requests: Sequence[StoredRequest], *, outgoing: Sequence[Outgoing] = ()
    ) -> None:
        rows = [row.request_to_row(ven_id, stored) for stored in requests]
        items = _outgoing(ven_id, outgoing)

        def work(connection: Connection) -> None:
            if items:
                statement.check_ven(connection, ven_id)
            statement.save(connection, table.request, rows)
            statement.append(connection, items)

        sources = {stored.source for stored in requests}
        await self._write(work, *(_requests(ven_id, source) for source in sources), *_mail(items))

    async def list_requests(self, ven_id: str, source: Source) -> list[StoredRequest]:
        query = (
            select(table.request)
            .where(table.request.c.ven_id == ven_id, table.request.c.source == source.value)
            .order_by(table.request.c.seq)
        )
        return await self._list(query, row.request_from_row)

    async def delete_requests(
        self,
        ven_id: str,
        source: Source,
        report_request_ids: Iterable[str],
        *,
        outgoing: Sequence[Outgoing] = (),
    ) -> list[str]:
        ids = tuple(dict.fromkeys(report_request_ids))
        items = _outgoing(ven_id, outgoing)

        def work(connection: Connection) -> list[str]:
            if items:
                statement.check_ven(connection, ven_id)
            columns = table.request.c
            in_force = select(columns.report_request_id).where(columns.ven_id == ven_id, columns.source == source.value)
            there = set(connection.execute(in_force).scalars())
            ended = [report_request_id for report_request_id in ids if report_request_id in there]
            gone = statement.of_ven(table.request, ven_id).where(
                columns.source == source.value, columns.report_request_id == bindparam("key")
            )
            statement.for_each(connection, gone, [{"key": report_request_id} for report_request_id in ended])
            statement.append(connection, items)
            return ended

        changes = [_requests(ven_id, source), *_mail(items)]
        if source is Source.VEN:
            changes.append(Change(Topic.ENDED, ven_id, ids))
        return await self._write(work, *changes)

    async def save_readings(self, readings: Sequence[StoredReading]) -> None:
        rows = [row.reading_to_values(stored) for stored in readings]
        writer = self._open_writer()
        if rows:
            await writer.run_many(save_readings, rows)

    async def list_readings(
        self,
        ven_id: str,
        *,
        report_specifier_id: str | None = None,
        r_id: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
        after: StoredReading | None = None,
    ) -> list[StoredReading]:
        columns = table.reading.c
        wanted = [
            columns.ven_id == ven_id,
            columns.report_specifier_id == report_specifier_id if report_specifier_id is not None else true(),
            columns.r_id == r_id if r_id is not None else true(),
            columns.start >= row.to_micros(start, "start") if start is not None else true(),
            columns.start < row.to_micros(end, "end") if end is not None else true(),
        ]
        if after is not None:
            last = row.reading_to_row(after)
            order = ("start", "r_id", "report_specifier_id")
            wanted.append(tuple_(*(columns[name] for name in order)) > tuple_(*(last[name] for name in order)))
        query = (
            select(table.reading)
            .where(*wanted)
            .order_by(columns.start, columns.r_id, columns.report_specifier_id)
            .limit(row.to_limit(limit))
        )
        return await self._list(query, row.reading_from_row)


def _outgoing(ven_id: str, items: Sequence[Outgoing]) -> list[Row]:
    return [row.outgoing_to_row(ven_id, item) for item in items]


def _mail(belongings: Iterable[Row | Answer]) -> list[Change]:
    """The changes that these are for the VENs whom they concern."""
    ven_ids = (one.ven_id if isinstance(one, Answer) else one["ven_id"] for one in belongings)
    return [Change(Topic.MAIL, ven_id) for ven_id in dict.fromkeys(ven_ids)]


def _requests(ven_id: str, source: Source) -> Change:
    """The change that other requests to a source are."""
    return Change(Topic.REQUEST, ven_id, (source.value,))


def _nothing(connection: Connection, rows: Sequence[Row]) -> None:
    """The work of who only has something to say."""
