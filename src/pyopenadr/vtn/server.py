"""`OpenADRServer`: a VTN in a few lines."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from pyopenadr.clock import Clock, SystemClock
from pyopenadr.errors import ConfigError, LocalProtocolError, OpenADRError
from pyopenadr.model import (
    Capability,
    DataPoint,
    Event,
    Interval,
    Reading,
    Registration,
    ReportRequest,
    Signal,
)
from pyopenadr.model.time import ZERO, Duration, total_seconds
from pyopenadr.store import Store, open_store
from pyopenadr.store.port import Answer, Source, StoredReading, StoredRequest
from pyopenadr.transport.server import HttpServer
from pyopenadr.v2 import vtn as rules
from pyopenadr.v2.xml import DEFAULT_LIMITS, Limits
from pyopenadr.vtn.app import App
from pyopenadr.vtn.doors.conversation import Conversation
from pyopenadr.vtn.doors.v2_http import V2Door
from pyopenadr.vtn.handler import Caller
from pyopenadr.vtn.presence import Change, Presence
from pyopenadr.vtn.provider import Provider
from pyopenadr.vtn.question import QUESTIONS, Backend
from pyopenadr.vtn.service import Application, Service

__all__ = ["DEFAULT_LENIENCY", "OpenADRServer"]

log = logging.getLogger("pyopenadr.vtn")

DEFAULT_LENIENCY: tuple[str, ...] = (
    "unqualified-schema-version",
    "unqualified-id",
    "missing-request-id",
    "offset-time",
    "week-duration",
    "enumeration-case",
)
"""The deviations that a VTN accepts unless told otherwise: those that leave no doubt about what is meant."""

_F = TypeVar("_F", bound=Callable[..., Any])


class _Question:
    """A handler's place on the server: assign a function to it, or use it as a decorator."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, server: OpenADRServer | None, owner: type) -> Callable[[_F], _F]:
        if server is None:
            return self  # type: ignore[return-value]

        def register(handler: _F) -> _F:
            server.backend.set(self._name, handler)
            return handler

        return register

    def __set__(self, server: OpenADRServer, handler: Callable[..., Any] | None) -> None:
        server.backend.set(self._name, handler)


class OpenADRServer:
    """A VTN. It does what the protocol asks; you connect the data.

    Without anything configured it serves on loopback, keeps its data in memory and accepts every VEN: a laboratory.
    `database="sqlite:///vtn.db"` keeps the data.

    Args:
        vtn_id: the VTN's ID.
        database: where to keep everything, see `pyopenadr.store.open_store`; None is memory.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        poll_frequency: how often VENs are asked to poll.
        misses: how many polls a VEN may miss before it counts as offline.
        resend_after: how long a message that the VEN has not answered rests before it is sent again.
        backend: an object of your own class whose methods answer the questions in `pyopenadr.vtn.question`.
        clock: where the time comes from.
        leniency: which deviations of VENs are accepted, see `pyopenadr.v2.leniency`.
        limits: how large a message may be.
        insecure: serve plain HTTP on an address that others can reach; without it only loopback is allowed.
        handlers: single handlers by name, for example `on_update_report=function`.

    Raises:
        ConfigError: a setting or a handler's name is wrong.
    """

    on_query_registration = _Question()
    on_create_party_registration = _Question()
    on_cancel_party_registration = _Question()
    on_created_event = _Question()
    on_request_event = _Question()
    on_request_report = _Question()
    on_poll = _Question()
    on_create_report = _Question()
    on_register_report = _Question()
    on_registered_report = _Question()
    on_created_report = _Question()
    on_update_report = _Question()
    on_create_opt = _Question()
    on_cancel_opt = _Question()
    on_ven_online = _Question()
    on_ven_offline = _Question()

    def __init__(
        self,
        vtn_id: str,
        *,
        database: str | Store | None = None,
        host: str = "127.0.0.1",
        port: int = 8080,
        poll_frequency: Duration = timedelta(seconds=10),
        misses: int = 3,
        resend_after: timedelta = timedelta(seconds=60),
        backend: object | None = None,
        clock: Clock | None = None,
        leniency: Iterable[str] = DEFAULT_LENIENCY,
        limits: Limits = DEFAULT_LIMITS,
        insecure: bool = False,
        **handlers: Callable[..., Any] | None,
    ) -> None:
        if not vtn_id:
            raise ConfigError("vtn_id must not be empty")
        if misses < 1:
            raise ConfigError(f"misses must be 1 or more, not {misses}")
        if not insecure and not _is_loopback(host):
            raise ConfigError(
                f"plain HTTP on {host} would let anybody on the network in: listen on 127.0.0.1 behind a proxy "
                "that checks certificates, or say insecure=True (--insecure) if you mean it"
            )
        if insecure and not _is_loopback(host):
            log.warning("INSECURE: VTN %s serves plain HTTP on %s; whoever reaches it is accepted", vtn_id, host)
        self.vtn_id = vtn_id
        self.backend = Backend()
        self.clock: Clock = clock if clock is not None else SystemClock()
        store = open_store(database) if database is None or isinstance(database, str) else database
        self._caller = Caller(f"vtn-{vtn_id}")
        self._service = Service(
            store,
            self.clock,
            new_id=functools.partial(secrets.token_hex, 10),
            poll_frequency=poll_frequency,
            resend_after=resend_after,
        )
        self._provider = Provider(self._service, self._caller, self.clock)
        self._misses = misses
        self._presence = Presence(self.clock.now(), misses)
        conversation = Conversation(vtn_id, self._service, self._provider, self.backend, self._caller)
        self._door = V2Door(conversation, heard=self._heard, limits=limits, leniency=leniency)
        self.app = App(self._door, start=self.start, stop=self.stop, max_body=limits.max_bytes)
        self._http = HttpServer(self.app, host, port)
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()
        self._started = False
        self._adopt(backend, handlers)

    def _adopt(self, backend: object | None, handlers: dict[str, Callable[..., Any] | None]) -> None:
        for name in QUESTIONS:
            if not isinstance(getattr(type(self), name), _Question):
                self.backend.set(name, getattr(self, name))  # a subclass has a method of that name
        if backend is not None:
            self.backend.adopt(backend)
        for name, handler in handlers.items():
            self.backend.set(name, handler)

    # --- running --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the store and begin to work, without listening: for use of `app` in another server. Safe to repeat."""
        if self._started:
            return
        async with self._starting:
            if not self._started:
                await self._begin()
                self._started = True

    async def _begin(self) -> None:
        await self._service.start()
        self._presence = Presence(self.clock.now(), self._misses)
        for registration in self._service.registrations:
            if registration.registration_id is not None:
                self._presence.watch(registration)
        await self._provider.start()
        self._spawn(self._keep_presence())
        self._spawn(self._keep_events())
        self._spawn(self._keep_reports())

    async def stop(self) -> None:
        """End everything in order; what is in flight is finished. Safe to repeat."""
        await self._http.stop()
        if not self._started:
            return
        self._started = False
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(OpenADRError):
            await self._save_presence({})
        await self._service.stop()
        self._caller.close()

    async def serve(self) -> None:
        """Start and listen; returns as soon as VENs can connect (see `url`). End it with `stop`.

        Raises:
            TransportError: the address can't be listened on.
            StoreError: the database can't be opened.
        """
        await self.start()
        await self._http.start()
        log.info("VTN %s serves at %s", self.vtn_id, self.url)

    async def run(self) -> None:
        """Serve until this is cancelled or `stop` is called."""
        try:
            await self.serve()
            await self._http.wait()
        finally:
            await self.stop()

    async def __aenter__(self) -> OpenADRServer:
        await self.serve()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """The base address that VENs are given."""
        return self._http.url

    async def handle(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Answer one request without HTTP, as the in-memory transport needs it: status and body."""
        from pyopenadr.vtn.doors.talk import Peer

        await self.start()
        return await self._door.handle(path, body, Peer())

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- presence ---------------------------------------------------------------------------------------------------

    def _heard(self, ven_id: str) -> None:
        if not self._presence.is_watched(ven_id):
            registration = self._service.registration(ven_id)
            if registration is None:
                return
            self._presence.watch(registration)
        change = self._presence.seen(ven_id, self.clock.now())
        if change is not None:
            self._spawn(self._announce(change))

    async def _announce(self, change: Change) -> None:
        try:
            await self._save_presence({change.ven_id: change.online})
        except OpenADRError:
            log.exception("presence of VEN %s could not be saved", change.ven_id)
        name = "on_ven_online" if change.online else "on_ven_offline"
        log.info("VEN %s is %s", change.ven_id, "online" if change.online else "offline")
        handler = self.backend.get(name)
        if handler is not None:
            try:
                await self._caller.call(handler, change.ven_id)
            except Exception:  # the user's code may raise anything; presence goes on
                log.exception("%s(%r) failed", name, change.ven_id)

    async def _save_presence(self, online: dict[str, bool]) -> None:
        last_seen = self._presence.take_unsaved()
        if not last_seen and not online:
            return
        try:
            await self._service.note_presence(last_seen, online)
        except OpenADRError:
            self._presence.unsaved_again(last_seen)
            raise

    async def _keep_presence(self) -> None:
        shortest = max(1.0, total_seconds(self._service.poll_frequency, self.clock.now()) / 2)
        while True:
            await self.clock.sleep(shortest)
            for change in self._presence.gone(self.clock.now()):
                if self._service.is_registered(change.ven_id):
                    await self._announce(change)
            try:
                await self._save_presence({})
            except OpenADRError:
                log.exception("the times of VENs could not be saved; trying again later")

    async def _keep_events(self) -> None:
        while True:
            await self.clock.sleep(10.0)
            try:
                await self._service.close_events()
            except OpenADRError:
                log.exception("events that are over could not be put away; trying again later")

    async def _keep_reports(self) -> None:
        while True:
            try:
                wait = await self._provider.deliver_due()
            except OpenADRError:
                log.exception("a report of the VTN could not be delivered; trying again later")
                wait = 10.0
            await self.clock.sleep(min(max(wait, 0.05), 1.0))

    # --- VENs -------------------------------------------------------------------------------------------------------

    @property
    def vens(self) -> list[Registration]:
        """Every VEN that is known, registered or not."""
        return [
            msgspec.structs.replace(
                registration,
                online=self._presence.is_online(registration.ven_id),
                last_seen=self._presence.last_seen(registration.ven_id) or registration.last_seen,
            )
            for registration in self._service.registrations
        ]

    async def add_ven(self, ven_id: str, *, ven_name: str | None = None, profile: str = "2.0b") -> Registration:
        """Register a VEN that has its IDs by other means than a registration message (2.0b rule 405; 2.0a)."""
        await self.start()
        registration, _ = await self._service.register(
            Application(ven_id=ven_id, ven_name=ven_name, profile=profile), ven_id=ven_id
        )
        return registration

    async def cancel_registration(self, ven_id: str) -> None:
        """End a VEN's registration: it is told, and forgotten when it has answered (2.0b rule 407)."""
        await self.start()
        await self._service.request_cancellation(ven_id)

    async def request_reregistration(self, ven_id: str) -> None:
        """Ask a VEN to register again with its IDs."""
        await self.start()
        await self._service.request_reregistration(ven_id)

    # --- events -----------------------------------------------------------------------------------------------------

    async def add_event(
        self,
        event: Event | None = None,
        *,
        ven_ids: Iterable[str] | None = None,
        start: datetime | None = None,
        intervals: Sequence[tuple[Duration, float]] = (),
        signal_name: str = "SIMPLE",
        signal_type: str = "level",
        **fields: Any,
    ) -> Event:
        """Publish an event.

        Give a whole `Event`, or `start` and `intervals` (pairs of duration and value) for one signal, and any other
        field of `Event` by name (`market_context`, `priority`, `ramp_up`, …). It is for the VENs in `ven_ids`, else
        for those that its target names, else for every VEN, also those that come later.

        Returns:
            The event as published.

        Raises:
            ModelError: the event is not legal; the error names the rule.
            LocalProtocolError: there is an event with that event_id.
        """
        await self.start()
        if event is None:
            event = self._make_event(start, intervals, signal_name, signal_type, fields)
        elif start is not None or intervals or fields:
            raise ConfigError("give a whole Event, or start and intervals, not both")
        rules.check_event(event)
        if await self._service.event(event.event_id) is not None:
            raise LocalProtocolError(f"there is an event {event.event_id!r} already: change it with change_event")
        recipients = tuple(ven_ids) if ven_ids is not None else event.target.ven_ids or None
        await self._service.save_event(event, recipients)
        return event

    def _make_event(
        self,
        start: datetime | None,
        intervals: Sequence[tuple[Duration, float]],
        signal_name: str,
        signal_type: str,
        fields: dict[str, Any],
    ) -> Event:
        if start is None or not intervals:
            raise ConfigError("an event needs start and intervals, for example intervals=[(timedelta(hours=1), 2)]")
        signal = Signal(
            signal_name=signal_name,
            signal_type=signal_type,
            signal_id="signal-1",
            unit=fields.pop("unit", None),
            intervals=tuple(Interval(duration, float(value)) for duration, value in intervals),
        )
        total: Duration = ZERO
        for duration, _ in intervals:
            if not isinstance(duration, timedelta) or not isinstance(total, timedelta):
                raise ConfigError("add up months yourself: give a whole Event")
            total += duration
        known = {"event_id": secrets.token_hex(8), "market_context": "http://localhost/default", **fields}
        try:
            return Event(start=start, duration=total, signals=(signal,), created_date_time=self.clock.now(), **known)
        except TypeError as error:
            raise ConfigError(f"no such field of an event: {error}") from error

    async def change_event(self, event_id: str, **changes: Any) -> Event:
        """Publish a new version of an event: any field of `Event` by name (2.0b rules 5, 20).

        Returns:
            The new version; the old one if nothing differs.

        Raises:
            LocalProtocolError: there is no such event, it is cancelled or over, or the change concerns the past.
            ModelError: the event would not be legal; the error names the rule.
        """
        await self.start()
        stored = await self._service.event(event_id)
        if stored is None or stored.closed:
            raise LocalProtocolError(f"there is no open event {event_id!r}")
        if stored.event.cancelled:
            raise LocalProtocolError(f"event {event_id!r} is cancelled: make a new one")
        try:
            wanted = msgspec.structs.replace(stored.event, **changes)
        except TypeError as error:
            raise ConfigError(f"no such field of an event: {error}") from error
        rules.check_event(wanted)
        changed = rules.next_version(stored.event, wanted, self.clock.now())
        if changed != stored.event:
            recipients = stored.recipients
            if recipients is not None and changed.target.ven_ids:
                recipients = tuple(dict.fromkeys([*recipients, *changed.target.ven_ids]))
            await self._service.save_event(changed, recipients)
        return changed

    async def cancel_event(self, event_id: str) -> Event:
        """Cancel an event; each VEN is told until it has acknowledged (2.0b rules 10, 52). Safe to repeat.

        Raises:
            LocalProtocolError: there is no such event.
        """
        await self.start()
        stored = await self._service.event(event_id)
        if stored is None or stored.closed:
            raise LocalProtocolError(f"there is no open event {event_id!r}")
        if stored.event.cancelled:
            return stored.event
        cancelled = rules.cancelled(stored.event, self.clock.now())
        await self._service.save_event(cancelled, stored.recipients)
        return cancelled

    async def events(self, *, include_closed: bool = False) -> list[Event]:
        """The events that are open, or all there ever were."""
        await self.start()
        if not include_closed:
            return [stored.event for stored in self._service.open_events]
        return [stored.event for stored in await self._service.store.list_events(include_closed=True)]

    async def answers(self, event_id: str | None = None, *, ven_id: str | None = None) -> list[Answer]:
        """What VENs last said about events."""
        await self.start()
        return await self._service.store.list_answers(event_id=event_id, ven_id=ven_id)

    # --- reports ----------------------------------------------------------------------------------------------------

    async def capabilities(self, ven_id: str) -> list[Capability]:
        """What a VEN can report."""
        await self.start()
        return await self._service.store.list_capabilities(ven_id, Source.VEN)

    async def request_report(
        self,
        ven_id: str,
        request: ReportRequest | None = None,
        *,
        report_specifier_id: str | None = None,
        r_ids: Iterable[str] = (),
        granularity: Duration = ZERO,
        report_back_duration: Duration = ZERO,
        start: datetime | None = None,
        duration: Duration = ZERO,
    ) -> ReportRequest:
        """Ask a VEN for a report, now or at any time.

        Without `r_ids` all data points of the report are asked for. A zero `report_back_duration` asks for one
        report at once; a zero `duration` for reports for ever.

        Raises:
            LocalProtocolError: the VEN is not registered, or has not offered that (2.0b rules 300, 317, 340).
        """
        await self.start()
        if not self._service.is_registered(ven_id):
            raise LocalProtocolError(f"VEN {ven_id!r} is not registered", code="463")
        offered = await self._service.store.list_capabilities(ven_id, Source.VEN)
        if request is None:
            if report_specifier_id is None:
                raise ConfigError("say which report: report_specifier_id, or METADATA for the list of reports")
            chosen = tuple(r_ids) or _all_points(offered, report_specifier_id)
            periodic = report_back_duration != ZERO
            request = ReportRequest(
                report_request_id=secrets.token_hex(8),
                report_specifier_id=report_specifier_id,
                r_ids=chosen,
                granularity=granularity,
                report_back_duration=report_back_duration,
                start=start or (self.clock.now().replace(microsecond=0) if periodic else None),
                duration=duration,
            )
        live = [s.request.report_request_id for s in await self._service.store.list_requests(ven_id, Source.VEN)]
        rules.check_request(request, offered, live)
        await self._service.request_reports(ven_id, [request])
        return request

    async def report_requests(self, ven_id: str) -> list[StoredRequest]:
        """The reports that a VEN has been asked for, and whether it has confirmed."""
        await self.start()
        return await self._service.store.list_requests(ven_id, Source.VEN)

    async def cancel_report(self, ven_id: str, report_request_id: str, *, one_more: bool = False) -> None:
        """Have a VEN stop a report, after one more if `one_more` (2.0b rules 335, 345)."""
        await self.start()
        await self._service.cancel_reports(ven_id, [report_request_id], one_more=one_more)

    async def readings(self, ven_id: str, **filters: Any) -> list[StoredReading]:
        """The readings of a VEN, by time; filters as in `pyopenadr.store.port.Store.list_readings`."""
        await self.start()
        return await self._service.store.list_readings(ven_id, **filters)

    def add_report(
        self,
        report_specifier_id: str,
        *,
        points: Iterable[DataPoint],
        report_name: str = "TELEMETRY_USAGE",
        duration: Duration = timedelta(hours=1),
        source: Callable[[ReportRequest], Any] | None = None,
    ) -> Capability:
        """Offer a report of the VTN's own to every VEN.

        `source(request)` is asked whenever a report is due and returns Readings, or a mapping of rID to number.
        Without one, use `publish_report`.
        """
        capability = Capability(
            report_specifier_id=report_specifier_id,
            report_name=report_name,
            duration=duration,
            points=tuple(points),
            created_date_time=self.clock.now(),
        )
        self._provider.add(capability, source)
        return capability

    async def publish_report(self, report_specifier_id: str, readings: Iterable[Reading]) -> int:
        """Deliver readings to every VEN that has asked for that report. Returns how many requests were served."""
        await self.start()
        return await self._provider.publish(report_specifier_id, tuple(readings))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _all_points(capabilities: Sequence[Capability], report_specifier_id: str) -> tuple[str, ...]:
    if report_specifier_id == "METADATA":
        return ("0",)
    for capability in capabilities:
        if capability.report_specifier_id == report_specifier_id:
            return tuple(point.r_id for point in capability.points)
    raise LocalProtocolError(
        f"the VEN offers no report {report_specifier_id!r}; it offers "
        f"{', '.join(c.report_specifier_id for c in capabilities) or 'none'}",
        code="452",
        rule="300",
    )
