"""What an operator does with reports: rules, questions over many VENs, sums, gaps, export, and forgetting."""

from __future__ import annotations

import asyncio
import binascii
import logging
from abc import ABC, abstractmethod
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import ConfigError, OpenADRError, ProtocolError
from pyopenadr.model import Reading, ReportRule, Unit
from pyopenadr.model.series import Sum, Total
from pyopenadr.model.time import as_utc, is_positive
from pyopenadr.store.port import StoredReading
from pyopenadr.v2 import vtn as rules
from pyopenadr.vtn.draft import texts
from pyopenadr.vtn.export import Line, csv_text, line_of, to_frame, write_csv, write_parquet
from pyopenadr.vtn.service import Service
from pyopenadr.vtn.service.rule import Gap, Scope

__all__ = ["Page", "ReportDesk"]

log = logging.getLogger("pyopenadr.vtn")

_LINES = 1000
"""How many lines of CSV are written at once."""

_CURSOR = msgspec.json.Decoder(tuple[str, datetime, str, str])


class Page(msgspec.Struct, frozen=True):
    """Some readings; `after` asks for those that follow, and is None at the end."""

    readings: tuple[StoredReading, ...]
    after: str | None = None


class ReportDesk(ABC):
    """Reports by rule, and readings over many VENs."""

    clock: Clock
    _service: Service
    _upkeep: dict[str, timedelta]

    @abstractmethod
    async def start(self) -> None: ...

    # --- rules ------------------------------------------------------------------------------------------------------

    async def add_report_rule(self, rule: ReportRule | None = None, **fields: Any) -> ReportRule:
        """Ask for reports by rule: of which VENs, which readings, how often; give a `ReportRule` or its fields.

        It is asked of the VENs that are there, of every VEN that registers its reports later, and of those that come
        into the group; who leaves the group is asked no more. A rule with the same `rule_id` is replaced. What a VEN
        does not offer, or not as fast, is not asked of it, and the log says so.

        Raises:
            ConfigError: a field is wrong, or `report_back_duration` is not positive: a single report is asked for by
                `request_report`.
        """
        if rule is None:
            try:
                rule = msgspec.convert(fields, ReportRule)
            except msgspec.ValidationError as error:
                raise ConfigError(f"a rule for reports: {error}") from error
            unknown = fields.keys() - set(ReportRule.__struct_fields__)
            if unknown:
                raise ConfigError(f"a rule for reports has no {', '.join(sorted(unknown))}")
        if not rule.rule_id or ":" in rule.rule_id:
            raise ConfigError(f"a rule needs a rule_id without a colon, not {rule.rule_id!r}")
        if not is_positive(rule.report_back_duration) or rule.report_back_duration == timedelta(0):
            raise ConfigError("a rule needs a positive report_back_duration, the time from one report to the next")
        await self.start()
        before = {old.rule_id: old for old in await self._service.store.list_rules()}.get(rule.rule_id)
        concerned = set(await self._service.under_rule(rule))
        if before is not None:
            concerned |= set(await self._service.under_rule(before))
        await self._service.store.save_rule(rule)
        await self._apply_rules(concerned, replaced=rule.prefix if before != rule else None)
        return rule

    async def remove_report_rule(self, rule_id: str) -> bool:
        """Ask for these reports no more: they are cancelled. Returns whether there was such a rule."""
        await self.start()
        rule = {rule.rule_id: rule for rule in await self._service.store.list_rules()}.get(rule_id)
        if rule is None:
            return False
        concerned = await self._service.under_rule(rule)
        await self._service.store.delete_rule(rule_id)
        await self._apply_rules(concerned)
        return True

    async def report_rules(self) -> list[ReportRule]:
        """The rules for reports, by rule_id."""
        await self.start()
        return await self._service.store.list_rules()

    async def _apply_rules(self, ven_ids: Iterable[str], *, replaced: str | None = None) -> None:
        """Have each VEN asked for just what the rules say.

        Requests whose IDs begin with `replaced` are made anew.
        """
        for ven_id in sorted(ven_ids):
            if not self._service.is_registered(ven_id):
                continue
            try:
                await self._apply_rules_to(ven_id, replaced)
            except OpenADRError:
                log.exception("the rules for reports could not be applied to VEN %s", ven_id)

    async def _apply_rules_to(self, ven_id: str, replaced: str | None) -> None:
        offered = await self._service.capabilities_of(ven_id)
        wanted = {
            request.report_request_id: request for request in await self._service.requests_by_rule(ven_id, offered)
        }
        for request in list(wanted.values()):
            try:
                rules.check_request(request, offered, ())
            except ProtocolError as error:
                log.warning("VEN %s can't do what a rule asks: %s", ven_id, error)
                del wanted[request.report_request_id]
        there = {stored.request.report_request_id for stored in await self._service.requests_to(ven_id)}
        over = [r_id for r_id in there if r_id.startswith("rule:") and r_id not in wanted]
        if over:
            await self._service.cancel_reports(ven_id, over)
        fresh = [
            request
            for r_id, request in wanted.items()
            if r_id not in there or (replaced is not None and r_id.startswith(replaced))
        ]
        if fresh:
            await self._service.request_reports(ven_id, fresh)

    # --- readings ---------------------------------------------------------------------------------------------------

    async def find_readings(
        self,
        *,
        ven_ids: Iterable[str] | None = None,
        group_id: str | None = None,
        resource_id: str | None = None,
        limit: int = 1000,
        after: str | None = None,
        **filters: Any,
    ) -> Page:
        """Readings of many VENs, by ven_id, time, rID and report: those in `ven_ids`, in a group, or all.

        `resource_id` leaves the data points that measure this resource alone; so does being a member of the group as a
        single resource. `report_specifier_id`, `r_id`, `start` (inclusive) and `end` (exclusive) choose further.
        `limit` of them make a page; `after` of a page asks for the next one.

        Raises:
            LocalProtocolError: there is no such group.
            ConfigError: a filter, `limit` or `after` is wrong.
        """
        if limit < 1:
            raise ConfigError(f"limit must be 1 or more, not {limit}")
        scope = await self._scope(ven_ids, group_id, resource_id)
        found: list[StoredReading] = []
        async for stored in self._readings(scope, {**filters, "after": _from_cursor(after)}):
            if len(found) == limit:
                return Page(tuple(found), _to_cursor(found[-1]))
            found.append(stored)
        return Page(tuple(found))

    async def _scope(self, ven_ids: Iterable[str] | None, group_id: str | None, resource_id: str | None) -> Scope:
        await self.start()
        chosen = None if ven_ids is None else texts("ven_ids", ven_ids)
        return await self._service.scope(chosen, group_id, resource_id)

    def _readings(self, scope: Scope, filters: dict[str, Any]) -> AsyncIterator[StoredReading]:
        unknown = filters.keys() - {"report_specifier_id", "r_id", "start", "end", "after"}
        if unknown:
            raise ConfigError(f"no such filter of readings: {', '.join(sorted(unknown))}")
        return self._service.readings(scope, **filters)

    async def sum_readings(
        self,
        step: timedelta,
        *,
        ven_ids: Iterable[str] | None = None,
        group_id: str | None = None,
        resource_id: str | None = None,
        **filters: Any,
    ) -> list[Total]:
        """What many VENs measure together, for each `step` of time and each quantity.

        Values are turned into the unscaled unit (W, Wh) by what the VEN has said of its data points. Which readings
        count is chosen as by `find_readings`; `Total.vens` says how many VENs are in a sum.
        """
        scope = await self._scope(ven_ids, group_id, resource_id)
        added = Sum(step)
        units = _Units(self._service)
        async for stored in self._readings(scope, filters):
            point = (stored.report_specifier_id, stored.reading.r_id)
            added.add(stored.ven_id, point, await units.of(stored), stored.reading)
        return added.totals()

    async def export_readings(
        self,
        path: str | Path,
        *,
        ven_ids: Iterable[str] | None = None,
        group_id: str | None = None,
        resource_id: str | None = None,
        **filters: Any,
    ) -> int:
        """Write readings to a file, by its name: `.csv`, or `.parquet` (needs pyopenadr[parquet]).

        Which ones is chosen as by `find_readings`. Returns how many.

        Raises:
            ConfigError: the name ends in something else, or a package is missing.
        """
        path = Path(path)
        if path.suffix not in (".csv", ".parquet"):
            raise ConfigError(f"{path.name} is neither .csv nor .parquet")
        lines = await self._lines(ven_ids, group_id, resource_id, filters)
        return await asyncio.to_thread(write_parquet if path.suffix == ".parquet" else write_csv, lines, path)

    async def frame(
        self,
        *,
        ven_ids: Iterable[str] | None = None,
        group_id: str | None = None,
        resource_id: str | None = None,
        **filters: Any,
    ) -> Any:
        """Readings as a pandas DataFrame (needs pyopenadr[pandas]), chosen as by `find_readings`."""
        return to_frame(await self._lines(ven_ids, group_id, resource_id, filters))

    async def _lines(
        self, ven_ids: Iterable[str] | None, group_id: str | None, resource_id: str | None, filters: dict[str, Any]
    ) -> list[Line]:
        scope = await self._scope(ven_ids, group_id, resource_id)
        return [line async for line in self._each_line(scope, filters)]

    async def _each_line(self, scope: Scope, filters: dict[str, Any]) -> AsyncIterator[Line]:
        units = _Units(self._service)
        async for stored in self._readings(scope, filters):
            yield line_of(stored, await units.of(stored))

    async def csv_of_readings(
        self,
        *,
        ven_ids: Iterable[str] | None = None,
        group_id: str | None = None,
        resource_id: str | None = None,
        **filters: Any,
    ) -> AsyncIterator[str]:
        """Readings as the text of a CSV file, in pieces, so that there may be any number; chosen as elsewhere here.

        Raises:
            LocalProtocolError: there is no such group.
        """
        scope = await self._scope(ven_ids, group_id, resource_id)

        async def pieces() -> AsyncIterator[str]:
            yield csv_text(())
            waiting: list[Line] = []
            async for line in self._each_line(scope, filters):
                waiting.append(line)
                if len(waiting) == _LINES:
                    yield csv_text(waiting, head=False)
                    waiting = []
            yield csv_text(waiting, head=False)

        return pieces()

    # --- what is missing, and what is too much ----------------------------------------------------------------------

    async def gaps(
        self,
        *,
        start: datetime,
        end: datetime | None = None,
        ven_ids: Iterable[str] | None = None,
        group_id: str | None = None,
    ) -> list[Gap]:
        """Where readings are missing that VENs owe by their periodic reports, from `start` to `end` or now.

        A report is owed half its period after it was due; until then it is only under way.
        """
        scope = await self._scope(ven_ids, group_id, None)
        until = as_utc(end) if end is not None else self._service.clock.now()
        return [gap for ven_id in sorted(scope) for gap in await self._service.gaps(ven_id, as_utc(start), until)]

    async def fill_gaps(
        self, *, start: datetime, ven_ids: Iterable[str] | None = None, group_id: str | None = None
    ) -> int:
        """Ask for what is missing since `start`, where VENs offer a HISTORY_USAGE report of the same data points.

        What comes is kept with the history, and put into the gaps. Returns how many VENs were asked.
        """
        scope = await self._scope(ven_ids, group_id, None)
        asked = 0
        for ven_id in sorted(scope):
            requests = await self._service.fills(ven_id, as_utc(start)) if self._service.is_registered(ven_id) else []
            if requests:
                await self._service.request_reports(ven_id, requests)
                asked += 1
        return asked

    async def forget(self, *, readings_before: datetime | None = None, events_before: datetime | None = None) -> None:
        """Forget old readings; and events that were over before an instant, with the answers and messages of each."""
        await self.start()
        if readings_before is not None:
            await self._service.forget_readings(as_utc(readings_before))
        if events_before is not None:
            await self._service.forget_events(as_utc(events_before))

    async def _forget_old(self) -> None:
        now = self.clock.now()
        readings, events = (self._upkeep.get(name) for name in ("keep_readings", "keep_events"))
        await self.forget(
            readings_before=now - readings if readings is not None else None,
            events_before=now - events if events is not None else None,
        )

    async def _fill_recent_gaps(self) -> None:
        await self.fill_gaps(start=self.clock.now() - timedelta(days=1))


class _Units:
    """The units of data points, by what each VEN has said; of one VEN at a time."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._ven_id: str | None = None
        self._units: dict[tuple[str, str], Unit | None] = {}

    async def of(self, stored: StoredReading) -> Unit | None:
        if stored.ven_id != self._ven_id:
            self._ven_id = stored.ven_id
            capabilities = await self._service.capabilities_of(stored.ven_id)
            self._units = {(c.report_specifier_id, p.r_id): p.unit for c in capabilities for p in c.points}
        return self._units.get((stored.report_specifier_id, stored.reading.r_id))


def _to_cursor(stored: StoredReading) -> str:
    reading = stored.reading
    key = (stored.ven_id, reading.start, reading.r_id, stored.report_specifier_id)
    return urlsafe_b64encode(msgspec.json.encode(key)).decode()


def _from_cursor(after: str | None) -> StoredReading | None:
    if after is None:
        return None
    try:
        ven_id, start, r_id, specifier = _CURSOR.decode(urlsafe_b64decode(after))
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise ConfigError(f"after={after!r} is not from a page") from error
    reading = Reading(r_id=r_id, start=start, value=0.0)
    return StoredReading(ven_id=ven_id, report_specifier_id=specifier, report_request_id="", reading=reading)
