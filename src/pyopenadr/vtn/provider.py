"""The VTN as a source of reports: what it offers, and when which VEN gets what."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import ConfigError, OpenADRError
from pyopenadr.model import Capability, Reading, Report, ReportRequest
from pyopenadr.model.time import add, is_zero
from pyopenadr.store.port import Source
from pyopenadr.vtn.handler import Caller
from pyopenadr.vtn.service import Service

__all__ = ["Provider"]

log = logging.getLogger("pyopenadr.vtn")

Supply = Callable[[ReportRequest], Any]
NO_VALUE = "No Quality - No Value"
SENSOR_FAILURE = "Quality Bad - Sensor Failure"


class _Schedule(msgspec.Struct):
    """A periodic request with when its next report is due."""

    ven_id: str
    request: ReportRequest
    due: datetime


class Provider:
    """Keeps the VTN's capabilities and delivers what VENs have asked for.

    A capability with a source is asked for readings whenever a report is due. Without a source, reports go out when
    `publish` is called; a request for a single report then gets what was published last.
    """

    def __init__(self, service: Service, caller: Caller, clock: Clock) -> None:
        self._service = service
        self._caller = caller
        self._clock = clock
        self._capabilities: dict[str, Capability] = {}
        self._sources: dict[str, Supply] = {}
        self._latest: dict[str, dict[str, Reading]] = {}
        self._schedules: dict[tuple[str, str], _Schedule] = {}

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What the VTN offers."""
        return tuple(self._capabilities.values())

    def add(self, capability: Capability, source: Supply | None) -> None:
        """Offer a report.

        Raises:
            ConfigError: another one has its reportSpecifierID.
        """
        specifier = capability.report_specifier_id
        if specifier in self._capabilities:
            raise ConfigError(f"there is a report with the reportSpecifierID {specifier!r} already")
        self._capabilities[specifier] = capability
        if source is not None:
            self._sources[specifier] = source

    async def start(self) -> None:
        """Take up the requests that VENs made before a restart."""
        if not self._capabilities:
            return
        for registration in self._service.registrations:
            if registration.registration_id is not None:
                stored = await self._service.store.list_requests(registration.ven_id, Source.VTN)
                await self.take(registration.ven_id, [s.request for s in stored])

    async def take(self, ven_id: str, requests: Sequence[ReportRequest]) -> None:
        """Begin to serve a VEN's requests: those for a single report at once, the others when they are due."""
        for request in requests:
            if request.is_metadata:
                continue
            if request.is_one_shot:
                await self._deliver(ven_id, request)
            elif request.report_specifier_id in self._sources:
                start = max(request.start or self._clock.now(), self._clock.now())
                due = add(start, request.report_back_duration)
                self._schedules[ven_id, request.report_request_id] = _Schedule(ven_id, request, due)

    def drop(self, ven_id: str, report_request_ids: Sequence[str] | None = None) -> None:
        """Stop serving requests of a VEN; all of them, if none is named."""
        for key in [k for k in self._schedules if k[0] == ven_id]:
            if report_request_ids is None or key[1] in report_request_ids:
                del self._schedules[key]

    async def deliver_once_more(self, ven_id: str, report_request_ids: Sequence[str]) -> None:
        """A last report for requests that are about to be cancelled (2.0b rule 345)."""
        stored = await self._service.store.list_requests(ven_id, Source.VTN)
        for request in (s.request for s in stored if s.request.report_request_id in report_request_ids):
            if request.report_specifier_id in self._capabilities:
                await self._deliver(ven_id, request)

    async def publish(self, report_specifier_id: str, readings: Sequence[Reading]) -> int:
        """Deliver readings to every VEN that has asked for that report. Returns how many VENs.

        Raises:
            ConfigError: there is no such report.
        """
        if report_specifier_id not in self._capabilities:
            raise ConfigError(f"there is no report {report_specifier_id!r}: declare it with add_report first")
        latest = self._latest.setdefault(report_specifier_id, {})
        latest.update((reading.r_id, reading) for reading in readings)
        reached = 0
        for registration in self._service.registrations:
            if registration.registration_id is None:
                continue
            stored = await self._service.store.list_requests(registration.ven_id, Source.VTN)
            for request in (s.request for s in stored if s.request.report_specifier_id == report_specifier_id):
                chosen = [reading for reading in readings if reading.r_id in request.r_ids]
                if chosen and not self._is_over(request):
                    await self._send(registration.ven_id, request, chosen)
                    reached += 1
        return reached

    async def deliver_due(self) -> float:
        """Deliver the periodic reports whose time has come. Returns the seconds until the next one, at most 60."""
        now = self._clock.now()
        for key, schedule in list(self._schedules.items()):
            if schedule.due > now:
                continue
            await self._deliver(schedule.ven_id, schedule.request)
            while schedule.due <= now:
                schedule.due = add(schedule.due, schedule.request.report_back_duration)
            if self._is_over(schedule.request):
                self._schedules.pop(key, None)
                await self._service.drop_requests(schedule.ven_id, [schedule.request.report_request_id])
        waits = [(schedule.due - now).total_seconds() for schedule in self._schedules.values()]
        return min([60.0, *waits])

    def _is_over(self, request: ReportRequest) -> bool:
        if request.start is None or is_zero(request.duration):
            return False
        return self._clock.now() >= add(request.start, request.duration)

    async def _deliver(self, ven_id: str, request: ReportRequest) -> None:
        await self._send(ven_id, request, await self._readings(request))

    async def _send(self, ven_id: str, request: ReportRequest, readings: Sequence[Reading]) -> None:
        report = Report(
            report_request_id=request.report_request_id,
            report_specifier_id=request.report_specifier_id,
            report_name=self._capabilities[request.report_specifier_id].report_name,
            created_date_time=self._clock.now(),
            readings=tuple(readings),
        )
        await self._service.deliver_report(ven_id, request, report)

    async def _readings(self, request: ReportRequest) -> list[Reading]:
        """What the source says, or what was published last; a placeholder for what is missing (2.0b rule 318)."""
        source = self._sources.get(request.report_specifier_id)
        found: dict[str, list[Reading]] = {}
        missing = NO_VALUE
        if source is None:
            latest = self._latest.get(request.report_specifier_id, {})
            found = {r_id: [latest[r_id]] for r_id in request.r_ids if r_id in latest}
        else:
            try:
                supplied = await self._caller.call(source, request)
                found = self._sorted(request, supplied)
            except Exception as error:  # the user's code may raise anything; the VEN then gets a placeholder
                missing = SENSOR_FAILURE
                hint = "" if isinstance(error, OpenADRError) else " (it should return Readings or {rID: number})"
                log.exception("the source of report %s failed%s", request.report_specifier_id, hint)
        now = self._clock.now().replace(microsecond=0)
        readings = []
        for r_id in request.r_ids:
            placeholder = Reading(r_id=r_id, start=now, value=0.0, quality=missing)
            readings += found.get(r_id) or [placeholder]
        return readings

    def _sorted(self, request: ReportRequest, supplied: object) -> dict[str, list[Reading]]:
        now = self._clock.now().replace(microsecond=0)
        readings: list[Reading] = []
        if isinstance(supplied, Mapping):
            readings = [Reading(r_id=r_id, start=now, value=value) for r_id, value in supplied.items()]
        elif isinstance(supplied, Sequence):
            readings = list(supplied)
        elif supplied is not None:
            raise ConfigError(f"a source returns Readings or a mapping of rID to value, not {type(supplied).__name__}")
        found: dict[str, list[Reading]] = {}
        for reading in readings:
            if not isinstance(reading, Reading):
                raise ConfigError(f"a source returns Readings, not {type(reading).__name__}")
            if reading.r_id in request.r_ids:
                found.setdefault(reading.r_id, []).append(reading)
        return found
