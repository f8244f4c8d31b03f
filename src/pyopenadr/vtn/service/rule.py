"""Reports as an operator sees them: asked for by rule, found over many VENs, filled up, and forgotten in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from pyopenadr.errors import LocalProtocolError
from pyopenadr.model import Capability, DataPoint, Report, ReportRequest, ReportRule, Span
from pyopenadr.model.group import WHOLE
from pyopenadr.model.series import missing
from pyopenadr.model.time import add
from pyopenadr.store.port import StoredReading, StoredRequest
from pyopenadr.vtn.service.group import GroupService
from pyopenadr.vtn.service.report import ReportService

__all__ = ["Gap", "RuleService", "Scope"]

Scope = dict[str, frozenset[str] | None]
"""VENs by their IDs, each with the resources that count, or None for all of it."""

_FILL = "fill:"
_PAGE = 5000
_AT_ONCE = 200


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A time of which a VEN owes readings of a data point. The last one before now is `late`: it may still come."""

    ven_id: str
    report_specifier_id: str
    r_id: str
    span: Span
    late: bool


class RuleService(GroupService, ReportService):
    """Rules for reports, and readings over many VENs."""

    # --- rules ------------------------------------------------------------------------------------------------------

    async def requests_by_rule(self, ven_id: str, capabilities: Sequence[Capability]) -> list[ReportRequest]:
        """What the rules ask of a VEN that can report this."""
        rules = await self.store.list_rules()
        if not rules:
            return []
        groups = {member.group_id for member in await self.store.list_members(ven_id=ven_id)}
        now = self.clock.now().replace(microsecond=0)
        return [
            request
            for rule in rules
            if (not rule.group_id and not rule.ven_ids) or rule.group_id in groups or ven_id in rule.ven_ids
            for capability in capabilities
            if (request := rule.request(capability, now)) is not None
        ]

    async def under_rule(self, rule: ReportRule) -> list[str]:
        """The registered VENs that a rule is for."""
        found = set(rule.ven_ids)
        if rule.group_id is not None:
            found |= {member.ven_id for member in await self.store.list_members(group_id=rule.group_id)}
        elif not rule.ven_ids:
            found = set(self._vens)
        return sorted(ven_id for ven_id in found if self.is_registered(ven_id))

    # --- readings of many VENs --------------------------------------------------------------------------------------

    async def scope(self, ven_ids: Iterable[str] | None, group_id: str | None, resource_id: str | None) -> Scope:
        """The VENs and resources that a question about readings means.

        Raises:
            LocalProtocolError: there is no such group.
        """
        if group_id is None:
            some = self._vens if ven_ids is None else ven_ids
            only = None if resource_id is None else frozenset((resource_id,))
            return dict.fromkeys(sorted(some), only)
        if group_id not in {group.group_id for group in await self.store.list_groups()}:
            raise LocalProtocolError(f"there is no group {group_id!r}")
        scope: Scope = {}
        chosen = None if ven_ids is None else set(ven_ids)
        for member in await self.store.list_members(group_id=group_id):
            if chosen is not None and member.ven_id not in chosen:
                continue
            before = scope.get(member.ven_id, frozenset())
            whole = before is None or member.resource_id == WHOLE
            scope[member.ven_id] = None if whole or before is None else before | {member.resource_id}
        if resource_id is not None:
            scope = {v: frozenset((resource_id,)) for v, ids in scope.items() if ids is None or resource_id in ids}
        return scope

    async def readings(
        self,
        scope: Scope,
        *,
        report_specifier_id: str | None = None,
        r_id: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        after: StoredReading | None = None,
    ) -> AsyncIterator[StoredReading]:
        """The readings of VENs, by ven_id, then as in the store; `after` is the last one that is known already."""
        for ven_id, resource_ids in sorted(scope.items()):
            if after is not None and ven_id < after.ven_id:
                continue
            last = after if after is not None and after.ven_id == ven_id else None
            points = None if resource_ids is None else await self._points_of(ven_id, resource_ids)
            while points is None or points:
                page = await self.store.list_readings(
                    ven_id,
                    report_specifier_id=report_specifier_id,
                    r_id=r_id,
                    start=start,
                    end=end,
                    limit=_PAGE,
                    after=last,
                )
                for stored in page:
                    if points is None or (stored.report_specifier_id, stored.reading.r_id) in points:
                        yield stored
                if len(page) < _PAGE:
                    break
                last = page[-1]

    async def _points_of(self, ven_id: str, resource_ids: Collection[str]) -> set[tuple[str, str]]:
        """The data points that measure some of these resources, and nothing but these."""
        return {
            (capability.report_specifier_id, point.r_id)
            for capability in await self.capabilities_of(ven_id)
            for point in capability.points
            if point.data_source.resource_ids and set(point.data_source.resource_ids) <= set(resource_ids)
        }

    # --- what is missing --------------------------------------------------------------------------------------------

    async def gaps(self, ven_id: str, start: datetime, end: datetime) -> list[Gap]:
        """What a VEN owes of the periodic reports that it was asked for, between two instants.

        A report is owed when its time is over, and half of that again for the way.
        """
        found = []
        for stored in await self.requests_to(ven_id):
            request = stored.request
            step, back = request.granularity, request.report_back_duration
            if not isinstance(step, timedelta) or not isinstance(back, timedelta) or step <= timedelta(0):
                continue
            first = max(start, request.start or stored.requested_at)
            until = min(end, _over_at(stored) or end)
            owed = min(until, self.clock.now() - back - back / 2)
            for r_id in request.r_ids:
                readings = await self.store.list_readings(
                    ven_id, report_specifier_id=request.report_specifier_id, r_id=r_id, start=first - step, end=until
                )
                starts = [stored.reading.start for stored in readings]
                found += [
                    Gap(
                        ven_id=ven_id,
                        report_specifier_id=request.report_specifier_id,
                        r_id=r_id,
                        span=span,
                        late=span.end == owed,
                    )
                    for span in missing(starts, first, owed, step)
                ]
        return found

    async def fills(self, ven_id: str, start: datetime) -> list[ReportRequest]:
        """Requests for what is missing since `start`, of the histories that the VEN offers (2.0b rule 324).

        There is none for a report whose last filling has not come yet.
        """
        capabilities = await self.capabilities_of(ven_id)
        histories = [capability for capability in capabilities if capability.report_name == "HISTORY_USAGE"]
        if not histories:
            return []
        under_way = {_filled_by(stored.request.report_request_id) for stored in await self.requests_to(ven_id)}
        now = self.clock.now().replace(microsecond=0)
        wanted: dict[tuple[str, str], list[tuple[str, Span]]] = {}
        for gap in await self.gaps(ven_id, start, now):
            source = _source(capabilities, histories, gap)
            since = _oldest(source[0].duration, now) if source is not None else None
            is_lost = since is not None and gap.span.end is not None and gap.span.end <= since
            if source is not None and gap.report_specifier_id not in under_way and not is_lost:
                key = gap.report_specifier_id, source[0].report_specifier_id
                wanted.setdefault(key, []).append((source[1].r_id, gap.span))
        kept = {c.report_specifier_id: c.duration for c in histories}
        return [
            _fill_request(f"{_FILL}{specifier}:{self.new_id()}", history, parts, _oldest(kept[history], now), now)
            for (specifier, history), parts in wanted.items()
        ]

    async def save_reports(self, ven_id: str, reports: Sequence[Report]) -> None:
        await super().save_reports(ven_id, [*reports, *[await self._filled(ven_id, report) for report in reports]])

    async def _filled(self, ven_id: str, report: Report) -> Report:
        """What a history adds to the report that it was asked to fill up: what is not there yet, and is no guess."""
        specifier = _filled_by(report.report_request_id)
        if specifier is None or not report.readings:
            return msgspec.structs.replace(report, readings=())
        capabilities = {c.report_specifier_id: c for c in await self.capabilities_of(ven_id)}
        target, source = capabilities.get(specifier), capabilities.get(report.report_specifier_id)
        added = []
        if target is not None and source is not None:
            starts = [reading.start for reading in report.readings]
            there = await self.store.list_readings(
                ven_id, report_specifier_id=specifier, start=min(starts), end=max(starts) + timedelta(microseconds=1)
            )
            known = {(stored.reading.r_id, stored.reading.start) for stored in there}
            for reading in report.readings:
                point = source.point(reading.r_id)
                r_id = None if point is None else _same_point(point, target)
                if r_id is not None and (r_id, reading.start) not in known:
                    added.append(msgspec.structs.replace(reading, r_id=r_id))
        return msgspec.structs.replace(report, report_specifier_id=specifier, readings=tuple(added))

    # --- retention --------------------------------------------------------------------------------------------------

    async def forget_readings(self, before: datetime) -> int:
        """Forget all readings that are older. Returns how many there were."""
        gone = 0
        ven_ids = list(self._vens)
        for first in range(0, len(ven_ids), _AT_ONCE):
            some = ven_ids[first : first + _AT_ONCE]
            gone += sum(await asyncio.gather(*(self.store.delete_readings(ven_id, before) for ven_id in some)))
        return gone

    async def forget_events(self, before: datetime) -> int:
        """Forget the events that were over before an instant, with answers and messages. Returns how many."""
        gone = 0
        for stored in await self.store.list_events(include_closed=True):
            until = stored.event.listed_until
            over = until if until is not None else stored.event.modification_date_time
            if stored.closed and over is not None and over < before:
                gone += await self.store.delete_event(stored.event.event_id)
        return gone


def _over_at(stored: StoredRequest) -> datetime | None:
    request = stored.request
    if request.duration == timedelta(0):
        return None
    return add(request.start or stored.requested_at, request.duration)


def _filled_by(report_request_id: str) -> str | None:
    """The specifier of the report that a request is to fill up."""
    return report_request_id.removeprefix(_FILL).rpartition(":")[0] if report_request_id.startswith(_FILL) else None


def _same_point(point: DataPoint, other: Capability) -> str | None:
    """The rID of the same quantity of the same thing in another report."""
    same = [
        there.r_id
        for there in other.points
        if (there.report_type, there.unit, there.data_source, there.subject)
        == (point.report_type, point.unit, point.data_source, point.subject)
    ]
    return point.r_id if point.r_id in same else same[0] if len(same) == 1 else None


def _source(
    capabilities: Sequence[Capability], histories: Sequence[Capability], gap: Gap
) -> tuple[Capability, DataPoint] | None:
    """The history, and the data point in it, that has what is missing."""
    owed = next((c for c in capabilities if c.report_specifier_id == gap.report_specifier_id), None)
    point = owed.point(gap.r_id) if owed is not None else None
    if point is None:
        return None
    for history in histories:
        r_id = _same_point(point, history)
        there = history.point(r_id) if r_id is not None else None
        if there is not None:
            return history, there
    return None


def _oldest(kept: timedelta | object, now: datetime) -> datetime | None:
    """Since when a source has its history; None if it did not say."""
    return now - kept if isinstance(kept, timedelta) and kept > timedelta(0) else None


def _fill_request(
    request_id: str, history: str, parts: Sequence[tuple[str, Span]], oldest: datetime | None, now: datetime
) -> ReportRequest:
    first = min(span.start for _, span in parts).replace(microsecond=0)
    last = max(span.end or now for _, span in parts)
    start = first if oldest is None else max(first, oldest)
    return ReportRequest(
        report_request_id=request_id,
        report_specifier_id=history,
        r_ids=tuple(dict.fromkeys(r_id for r_id, _ in parts)),
        start=start,
        duration=max(timedelta(seconds=1), timedelta(seconds=round((last - start).total_seconds()))),
    )
