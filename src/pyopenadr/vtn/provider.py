"""The VTN as a source of reports: what it offers, and when which VEN gets what."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import ConfigError, ModelError, OpenADRError
from pyopenadr.model import Capability, Reading, Report, ReportRequest
from pyopenadr.model.time import Duration, add, is_zero
from pyopenadr.store.port import StoredRequest
from pyopenadr.v2 import bridge, encode, wire
from pyopenadr.v2 import vtn as rules
from pyopenadr.vtn.handler import Caller
from pyopenadr.vtn.service import Service

__all__ = ["Provider"]

log = logging.getLogger("pyopenadr.vtn")

Supply = Callable[[ReportRequest], Any]
NO_VALUE = "No Quality - No Value"
SENSOR_FAILURE = "Quality Bad - Sensor Failure"
RETRY_AFTER = timedelta(seconds=10)
PATIENCE_S = 2.0
"""How long a VEN that asks for a single report waits for the source; a slower one goes on by itself."""


class _Schedule(msgspec.Struct):
    """A periodic request with when its next report is due; `busy` while that is being made."""

    ven_id: str
    request: ReportRequest
    due: datetime
    busy: bool = False


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
        self._tasks: set[asyncio.Task[Any]] = set()
        self._leads = False
        self._changed: set[str] = set()
        service.on_requests = self._changed.add

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What the VTN offers."""
        return tuple(self._capabilities.values())

    def offers(self, request: ReportRequest) -> bool:
        """Whether the request is for a report that the VTN offers."""
        return request.report_specifier_id in self._capabilities

    def check(self, request: ReportRequest, live: Iterable[str]) -> None:
        """Whether a VEN can have what it asks for, while its requests `live` are in force.

        Raises:
            RemoteProtocolError: it can't (see `pyopenadr.v2.vtn.check_request`).
            ModelError: it asks for times beyond the year 9999.
        """
        rules.check_request(request, self.capabilities, frozenset(live))
        if not request.is_one_shot and not request.is_metadata:
            _next_due(request.start or self._clock.now(), request.report_back_duration, self._clock.now())
            self._is_over(request)

    def add(self, capability: Capability, source: Supply | None) -> None:
        """Offer a report.

        Raises:
            ConfigError: another one has its reportSpecifierID, or it has no points or one twice.
            ModelError, SchemaMismatch: it can't be written in 2.0b.
        """
        specifier = capability.report_specifier_id
        if specifier in self._capabilities:
            raise ConfigError(f"there is a report with the reportSpecifierID {specifier!r} already")
        r_ids = [point.r_id for point in capability.points]
        if not r_ids or len(set(r_ids)) < len(r_ids):
            raise ConfigError(f"report {specifier!r} needs points, each with an rID of its own, not {r_ids}")
        encode(wire.OadrRegisterReport(request_id="0", reports=(bridge.lower_capability(capability),)))
        self._capabilities[specifier] = capability
        if source is not None:
            self._sources[specifier] = source

    # --- beginning --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up the requests that VENs made before a restart, if this worker leads."""
        self._schedules.clear()
        self._changed.clear()
        self._leads = bool(self._capabilities) and await self._service.store.leads()
        if not self._leads:
            return
        for registration in self._service.registrations:
            if registration.registration_id is not None:
                await self.take(registration.ven_id, await self._service.requests_of(registration.ven_id))
        await self.announce()

    async def stop(self) -> None:
        """End what is being delivered; it is taken up again at the next start."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def announce(self) -> None:
        """Tell the VENs that know another list of our reports (2.0b rules 301, 306)."""
        current = [_undated(capability) for capability in self.capabilities]
        for registration in self._service.registrations:
            ven_id = registration.ven_id
            if registration.registration_id is None or registration.profile != "2.0b":
                continue
            if [_undated(capability) for capability in await self._service.offered_to(ven_id)] != current:
                await self._service.announce_reports(ven_id)

    async def offered(self, ven_id: str, at: datetime) -> None:
        """The VEN has taken note of our reports; what it had asked for before `at` is over (2.0b rule 306)."""
        self.drop(ven_id, await self._service.note_offered(ven_id, self.capabilities, at))

    # --- requests ---------------------------------------------------------------------------------------------------

    async def take(self, ven_id: str, requests: Sequence[StoredRequest]) -> None:
        """Begin to serve a VEN's requests: those for a single report at once, the others when they are due."""
        at_once = set()
        for stored in requests:
            request = stored.request
            if not self.offers(request):
                continue
            if request.is_one_shot:
                at_once.add(self._spawn(self._try(ven_id, request, last=True)))
            elif request.report_specifier_id in self._sources:
                self._plan(ven_id, stored)
        if at_once:
            await asyncio.wait(at_once, timeout=PATIENCE_S)

    def _plan(self, ven_id: str, stored: StoredRequest) -> None:
        request = stored.request
        known = self._schedules.get((ven_id, request.report_request_id))
        if known is not None and known.request == request:
            return  # the same request once more
        anchor = max(request.start or stored.requested_at, stored.requested_at)
        due = _next_due(anchor, request.report_back_duration, max(anchor, self._clock.now()))
        self._schedules[ven_id, request.report_request_id] = _Schedule(ven_id, request, due)

    def drop(self, ven_id: str, report_request_ids: Sequence[str] | None = None) -> None:
        """Stop serving requests of a VEN; all of them, if none is named."""
        for key in [k for k in self._schedules if k[0] == ven_id]:
            if report_request_ids is None or key[1] in report_request_ids:
                del self._schedules[key]

    async def deliver_once_more(self, ven_id: str, report_request_ids: Sequence[str]) -> list[str]:
        """A last report for requests that are cancelled (2.0b rule 345). Returns those that are over by that."""
        self.drop(ven_id, report_request_ids)
        over = []
        for request in (stored.request for stored in await self._service.requests_of(ven_id)):
            if request.report_request_id in report_request_ids and self.offers(request):
                await self._deliver(ven_id, request, last=True)
                over.append(request.report_request_id)
        return over

    # --- reports ----------------------------------------------------------------------------------------------------

    async def publish(self, report_specifier_id: str, readings: Sequence[Reading]) -> int:
        """Deliver readings to every VEN that has asked for that report. Returns how many requests were served.

        Raises:
            ConfigError: there is no such report, or no such data point in it.
            ModelError, SchemaMismatch: the readings can't be written in 2.0b.
        """
        capability = self._capabilities.get(report_specifier_id)
        if capability is None:
            raise ConfigError(f"there is no report {report_specifier_id!r}: declare it with add_report first")
        for reading in readings:
            if capability.point(reading.r_id) is None:
                raise ConfigError(f"report {report_specifier_id!r} has no rID {reading.r_id!r}")
        if not readings:
            return 0
        self._check(capability, readings)
        self._latest.setdefault(report_specifier_id, {}).update((reading.r_id, reading) for reading in readings)
        reached = 0
        for registration in self._service.registrations:
            if registration.registration_id is None:
                continue
            for request in (stored.request for stored in await self._service.requests_of(registration.ven_id)):
                chosen = [reading for reading in readings if reading.r_id in request.r_ids]
                if request.report_specifier_id == report_specifier_id and chosen:
                    reached += await self._publish_to(registration.ven_id, request, chosen)
        return reached

    async def _publish_to(self, ven_id: str, request: ReportRequest, readings: Sequence[Reading]) -> bool:
        if self._is_over(request):
            await self._service.drop_requests(ven_id, [request.report_request_id])
            return False
        if request.start is not None and request.start > self._clock.now():
            return False
        await self._send(ven_id, request, readings, last=False)
        return True

    async def deliver_due(self) -> None:
        """Begin to deliver the periodic reports whose time has come, each by itself; on the worker that leads."""
        if not self._capabilities or not await self._service.store.leads():
            self._leads = False
            return
        if not self._leads:
            await self.start()  # whoever led before is gone, with all its schedules
        await self._follow()
        now = self._clock.now()
        for key, schedule in self._schedules.items():
            if schedule.due <= now and not schedule.busy:
                schedule.busy = True
                self._spawn(self._deliver_scheduled(key, schedule))

    async def _follow(self) -> None:
        """Plan what VENs have asked other workers for, and no longer what they have cancelled there."""
        while self._changed:
            ven_id = self._changed.pop()
            try:
                requests = await self._service.requests_of(ven_id)
            except OpenADRError:
                self._changed.add(ven_id)
                raise
            ids = {stored.request.report_request_id for stored in requests}
            self.drop(ven_id, [key for ven, key in self._schedules if ven == ven_id and key not in ids])
            await self.take(ven_id, [stored for stored in requests if not stored.request.is_one_shot])

    async def _deliver_scheduled(self, key: tuple[str, str], schedule: _Schedule) -> None:
        request = schedule.request
        last = self._is_over(request)
        done = await self._try(schedule.ven_id, request, last=last)
        if done and last and self._schedules.get(key) is schedule:
            del self._schedules[key]
        now = self._clock.now()
        schedule.due = _next_due(schedule.due, request.report_back_duration, now) if done else now + RETRY_AFTER
        schedule.busy = False

    def _is_over(self, request: ReportRequest) -> bool:
        if request.start is None or is_zero(request.duration):
            return False
        return self._clock.now() >= add(request.start, request.duration)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _try(self, ven_id: str, request: ReportRequest, *, last: bool) -> bool:
        """Deliver a report; whether that went well."""
        try:
            await self._deliver(ven_id, request, last=last)
        except Exception:  # one report that fails, for whatever reason, must not end the others
            log.exception("report %s for VEN %s could not be delivered", request.report_specifier_id, ven_id)
            return False
        return True

    async def _deliver(self, ven_id: str, request: ReportRequest, *, last: bool) -> None:
        await self._send(ven_id, request, await self._readings(ven_id, request), last=last)

    async def _send(self, ven_id: str, request: ReportRequest, readings: Sequence[Reading], *, last: bool) -> None:
        report = Report(
            report_request_id=request.report_request_id,
            report_specifier_id=request.report_specifier_id,
            report_name=self._capabilities[request.report_specifier_id].report_name,
            created_date_time=self._clock.now().replace(microsecond=0),
            readings=tuple(readings),
        )
        await self._service.deliver_report(ven_id, request, report, last=last, asked=True)

    def _check(self, capability: Capability, readings: Sequence[Reading]) -> None:
        """Whether the readings can be kept and written."""
        for reading in readings:
            if isinstance(reading.value, float | int) and not isfinite(reading.value):
                raise ModelError(f"rID {reading.r_id!r}: {reading.value} is no value; give it a quality instead")
        request = ReportRequest(report_request_id="0", report_specifier_id=capability.report_specifier_id, r_ids=())
        report = bridge.lower_readings(
            request, capability.report_name, readings, created=self._clock.now().replace(microsecond=0)
        )
        encode(wire.OadrUpdateReport(request_id="0", reports=(report,)))

    # --- where readings come from -----------------------------------------------------------------------------------

    async def _readings(self, ven_id: str, request: ReportRequest) -> list[Reading]:
        """What the source says, or what was published last; a placeholder for what is missing (2.0b rule 318)."""
        specifier = request.report_specifier_id
        source = self._sources.get(specifier)
        now = self._clock.now().replace(microsecond=0)
        found: list[Reading] = []
        missing = NO_VALUE
        if source is None:
            found = list(self._latest.get(specifier, {}).values())
        else:
            try:
                found = _as_readings(await self._caller.call(source, request, peer=ven_id), now)
                self._check(self._capabilities[specifier], found or [Reading(r_id="", start=now, value=0.0)])
            except Exception:  # the user's code may raise anything; the VEN then gets a placeholder
                found, missing = [], SENSOR_FAILURE
                log.exception("the source of report %s failed; it should return Readings or {rID: number}", specifier)
        readings = []
        for r_id in request.r_ids:
            placeholder = Reading(r_id=r_id, start=now, value=0.0, quality=missing)
            readings += [reading for reading in found if reading.r_id == r_id] or [placeholder]
        return readings


def _next_due(due: datetime, step: Duration, now: datetime) -> datetime:
    """The first of the instants `due`, `due` + `step`, … that lies after `now`; `due` itself does not count."""
    if isinstance(step, timedelta):
        missed = max(0, (now - due) // step) * step
        return add(due + missed, step)
    due = add(due, step)
    while due <= now:
        due = add(due, step)
    return due


def _undated(capability: Capability) -> Capability:
    return msgspec.structs.replace(capability, created_date_time=datetime.min.replace(tzinfo=UTC))


def _as_readings(supplied: object, now: datetime) -> list[Reading]:
    """What a source has returned, as readings."""
    if supplied is None:
        return []
    if isinstance(supplied, Mapping):
        return [Reading(r_id=r_id, start=now, value=value) for r_id, value in supplied.items()]
    if isinstance(supplied, Iterable):
        readings = list(supplied)
        strange = next((one for one in readings if not isinstance(one, Reading)), None)
        if strange is None:
            return readings
        supplied = strange
    raise ConfigError(f"a source returns Readings or a mapping of rID to value, not {type(supplied).__name__}")
