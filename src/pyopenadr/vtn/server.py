"""`OpenADRServer`: a VTN in a few lines."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from pyopenadr.clock import Clock, SystemClock
from pyopenadr.errors import ConfigError, LocalProtocolError, OpenADRError, ProtocolError
from pyopenadr.model import Capability, DataPoint, Reading, Registration, ReportRequest
from pyopenadr.model.time import ZERO, Duration, is_positive
from pyopenadr.store import Store, open_store
from pyopenadr.store.port import StoredReading, StoredRequest
from pyopenadr.transport.crowd import Crowd
from pyopenadr.transport.proxy import TrustedProxy
from pyopenadr.transport.reach import is_loopback
from pyopenadr.transport.record import Keep, RecordingApp
from pyopenadr.transport.server import HttpServer
from pyopenadr.transport.tls import ServerTls, as_client
from pyopenadr.v2 import bridge
from pyopenadr.v2 import vtn as rules
from pyopenadr.v2.xml import DEFAULT_LIMITS, Limits
from pyopenadr.vtn.app import App, Door
from pyopenadr.vtn.archive import ReportDesk
from pyopenadr.vtn.beside import is_api
from pyopenadr.vtn.credential import create_token
from pyopenadr.vtn.desk import DispatchRules, EventDesk, GroupDesk
from pyopenadr.vtn.doors.conversation import Conversation
from pyopenadr.vtn.doors.talk import Peer
from pyopenadr.vtn.doors.traced import traces_of
from pyopenadr.vtn.doors.v2_http import V2Door
from pyopenadr.vtn.draft import make_request, new_id
from pyopenadr.vtn.enrolment import Enrolment, EnrolmentMode
from pyopenadr.vtn.expiry import Expiry
from pyopenadr.vtn.gate import Gate
from pyopenadr.vtn.handler import Caller
from pyopenadr.vtn.login import Logins
from pyopenadr.vtn.office import ApiSettings, make_office
from pyopenadr.vtn.provider import Provider
from pyopenadr.vtn.push import DEFAULT_PUSH, Push, Pusher
from pyopenadr.vtn.question import QUESTIONS, Backend, Question
from pyopenadr.vtn.rate import DEFAULT_RATES, Rates
from pyopenadr.vtn.security import SignatureMode, enrolment_of, signatures_of
from pyopenadr.vtn.service import Service
from pyopenadr.vtn.watch import Watch, keep_on

if TYPE_CHECKING:
    from pyopenadr.v2.signature import SigningKey

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


class OpenADRServer(ReportDesk, EventDesk, GroupDesk, Gate):
    """A VTN. It does what the protocol asks; you connect the data.

    Without anything configured it serves on loopback, keeps its data in memory and accepts every VEN: a laboratory.
    With certificates, a VEN that is not known waits until `accept` lets it in.
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
        handler_timeout: how long one of your handlers may take; a VEN that waits longer gets an error (500).
        clock: where the time comes from.
        leniency: which deviations of VENs are accepted, see `pyopenadr.v2.leniency`.
        limits: how large a message may be.
        opt_schedules: what is done about VENs that have opted out of the time of an event by a schedule: `send` it all
            the same, `warn` in the log as well, or `skip` them; `add_event` may say otherwise.
        overlap: what is done about an event that overlaps with another of its market context at the same VENs: `allow`
            it, `warn` in the log, or `refuse` it; `add_event` may say otherwise.
        keep_readings: how long readings are kept; None for ever.
        keep_events: how long events that are over are kept, with their answers and messages; None for ever.
        fill_gaps_every: how often to look for missing readings of the last day, and ask for the history where VENs
            offer it; None for never.
        answer_within: how long VENs have to answer an event until `on_event_unanswered` is called; None for ever.
        tls: serve HTTPS, and ask every VEN for a certificate; a VEN is bound to the one that it registers with.
        insecure: serve plain HTTP on an address that others can reach; without it only loopback is allowed.
        proxy: a proxy in front that does TLS, and whose headers say who shows which certificate. Without `tls`, only it
            may connect.
        rates: how much a VEN, an address and all together may ask for, see `pyopenadr.vtn.rate.Rates`.
        enrolment: who may register: "open" is everybody, "allow-list" those that `allow` has named, "knocking" these
            and whoever `accept` has let in. Default: open on loopback without TLS, else knocking.
        signature: what to do about XML signatures: "off" does not look at them, "accept" verifies those that are
            there, "require" wants one in every message. `set_signature` says otherwise for a single VEN.
        signing_key: what the replies to signed messages are signed with, a `pyopenadr.v2.signature.SigningKey`.
        signature_window: how far the clocks of VENs that sign may be off.
        signature_forms: the unusual forms of signatures that are accepted, see `pyopenadr.v2.signature.SWITCHES`.
        push: how to push to VENs that want that; None: not at all.
        listener: a socket in the place of host and port, see `pyopenadr.transport.server.bind`; workers share one.
        api: serve the REST API, for those who have a token (`create_token`); more by `ApiSettings`.
        traces: send a span of OpenTelemetry for each message by OTLP over HTTP, to where OTEL_EXPORTER_OTLP_ENDPOINT
            says; or to a `TracerProvider` of your own.
        handlers: single handlers by name, for example `on_update_report=function`.

    Raises:
        ConfigError: a setting or a handler's name is wrong.
    """

    on_query_registration = Question()
    on_create_party_registration = Question()
    on_cancel_party_registration = Question()
    on_created_event = Question()
    on_request_event = Question()
    on_request_report = Question()
    on_poll = Question()
    on_create_report = Question()
    on_register_report = Question()
    on_registered_report = Question()
    on_created_report = Question()
    on_update_report = Question()
    on_create_opt = Question()
    on_cancel_opt = Question()
    on_event_unanswered = Question()
    on_ven_online = Question()
    on_ven_offline = Question()
    on_certificate_expiring = Question()

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
        handler_timeout: timedelta = timedelta(seconds=30),
        clock: Clock | None = None,
        leniency: Iterable[str] = DEFAULT_LENIENCY,
        limits: Limits = DEFAULT_LIMITS,
        opt_schedules: str = "send",
        overlap: str = "warn",
        answer_within: timedelta | None = None,
        keep_readings: timedelta | None = None,
        keep_events: timedelta | None = None,
        fill_gaps_every: timedelta | None = None,
        tls: ServerTls | None = None,
        insecure: bool = False,
        proxy: TrustedProxy | None = None,
        rates: Rates = DEFAULT_RATES,
        enrolment: EnrolmentMode | None = None,
        signature: SignatureMode = "off",
        signing_key: SigningKey | None = None,
        signature_window: timedelta = timedelta(seconds=60),
        signature_forms: Iterable[str] = (),
        push: Push | None = DEFAULT_PUSH,
        listener: socket.socket | None = None,
        api: bool | ApiSettings = False,
        traces: bool | object = False,
        **handlers: Callable[..., Any] | None,
    ) -> None:
        if not vtn_id:
            raise ConfigError("vtn_id must not be empty")
        if not 0 <= port <= 65535:
            raise ConfigError(f"port must be 0 to 65535, not {port}")
        if misses < 1:
            raise ConfigError(f"misses must be 1 or more, not {misses}")
        self._rules = DispatchRules(opt_schedules, overlap, answer_within)
        upkeep = {"keep_readings": keep_readings, "keep_events": keep_events, "fill_gaps_every": fill_gaps_every}
        self._upkeep = {name: duration for name, duration in upkeep.items() if duration is not None}
        times = {"resend_after": resend_after, "handler_timeout": handler_timeout, "signature_window": signature_window}
        _check_times(poll_frequency=poll_frequency, **times, **self._upkeep)
        if tls is None and proxy is None and not insecure and not is_loopback(host):
            raise ConfigError(
                f"plain HTTP on {host} would let anybody on the network in: give certificates (tls=, or --cert, "
                "--key and --ca), or say that you mean it (insecure=True, or --insecure)"
            )
        if tls is None and proxy is None and insecure and not is_loopback(host):
            log.warning(
                "INSECURE: VTN %s serves plain HTTP on %s; whoever reaches it may speak for any VEN", vtn_id, host
            )
        self.vtn_id = vtn_id
        self.backend = Backend()
        self.clock: Clock = clock if clock is not None else SystemClock()
        store = open_store(database) if database is None or isinstance(database, str) else database
        self._caller = Caller(handler_timeout.total_seconds())
        self._service = Service(
            store,
            self.clock,
            new_id=new_id,
            poll_frequency=poll_frequency,
            resend_after=resend_after,
        )
        self._provider = Provider(self._service, self._caller, self.clock)
        self._watch = Watch(self._service, self.backend, self._caller, self.clock, misses)
        is_lab = tls is None and proxy is None and is_loopback(host)
        self._enrolment = Enrolment(self._service, enrolment_of(enrolment, is_lab=is_lab))
        self._expiry = Expiry(self._service, self.backend, self._caller)
        conversation = Conversation(vtn_id, self._service, self._provider, self.backend, self._caller, self._enrolment)
        self._signatures = signatures_of(
            self._service, tls, signing_key, signature, signature_window, tuple(signature_forms)
        )
        self._pusher = pusher = (
            None
            if push is None
            else Pusher(
                push,
                conversation,
                self._service,
                self._watch,
                self.clock,
                tls=None if tls is None else as_client(tls),
                loopback=is_loopback(host),
                limits=limits,
                leniency=leniency,
                signatures=self._signatures,
            )
        )
        if pusher is not None:
            conversation.allow_push(pusher.check)
        self._can_sign = signing_key is not None
        door = V2Door(
            conversation,
            heard=self._heard,
            limits=limits,
            leniency=leniency,
            signatures=self._signatures,
            rates=rates,
        )
        self._office, beside = make_office(self, self._service, self._watch, api)
        self._door: Door = door if self._office is None else self._office.observed(door)
        if pusher is not None and self._office is not None:
            pusher.keep = self._office.keep_push
        self._traces = traces_of(traces)
        if self._traces is not None:
            self._door = self._traces.traced(self._door)
        self.app = App(
            self._door,
            start=self.start,
            wake=self._wake,
            stop=self.stop,
            now=self.clock.now,
            met=self._expiry.met,
            proxy=proxy,
            logins=Logins(self._service),
            rates=rates,
            beside=beside,
            max_body=limits.max_bytes,
        )
        self._http = HttpServer(
            self.app,
            host,
            port,
            tls=tls,
            listener=listener,
            most_connections=rates.connections,
            crowd=Crowd(rates.connections_per_address, *((proxy.is_proxy,) if proxy is not None else ())),
            now=None if isinstance(self.clock, SystemClock) else self.clock.now,
        )
        self._tasks: set[asyncio.Task[Any]] = set()
        self._starting = asyncio.Lock()
        self._started = False
        self._stopped = False
        self._adopt(backend, handlers)

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("on_") and name not in QUESTIONS:
            raise ConfigError(f"there is no handler {name!r}: use one of {', '.join(QUESTIONS)}")
        super().__setattr__(name, value)

    def _adopt(self, backend: object | None, handlers: dict[str, Callable[..., Any] | None]) -> None:
        for name in QUESTIONS:
            if not isinstance(getattr(type(self), name), Question):
                self.backend.set(name, getattr(self, name))  # a subclass has a method of that name
        if backend is not None:
            self.backend.adopt(backend)
        for name, handler in handlers.items():
            self.backend.set(name, handler)

    # --- running --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the store and begin to work, without listening: for use of `app` in another server. Safe to repeat."""
        self._stopped = False
        if self._started:
            return
        async with self._starting:
            if not self._started:
                await self._begin()
                self._started = True

    async def _wake(self) -> bool:
        """Start at the first request, where nobody did before; not after `stop`. Returns whether it works now."""
        if not self._started and not self._stopped:
            await self.start()
        return self._started

    async def _begin(self) -> None:
        try:
            await self._service.start()
            self._warn_of_bare()
            self._watch.start()
            await self._provider.start()
            if self._pusher is not None:
                await self._pusher.start()
        except BaseException:  # whatever stopped it: nothing may stay open
            await self._service.stop()
            raise
        self._spawn(keep_on(self._service.keep_up, self.clock, 0.0, "taking up what other workers do"))
        if self._office is not None:
            self._office.start()
        if self._pusher is not None and self._service.store.is_shared:
            self._spawn(keep_on(self._pusher.look, self.clock, 1.0, "seeing who pushes"))
        self._spawn(keep_on(self._watch.look, self.clock, self._watch.step_s, "watching the VENs"))
        self._spawn(keep_on(self._service.close_events, self.clock, 10.0, "putting away events that are over"))
        self._spawn(keep_on(self._follow_events, self.clock, 1.0, "following what becomes of events"))
        if "keep_readings" in self._upkeep or "keep_events" in self._upkeep:
            self._spawn(keep_on(self._forget_old, self.clock, 3600.0, "forgetting what is old"))
        if "fill_gaps_every" in self._upkeep:
            pause_s = self._upkeep["fill_gaps_every"].total_seconds()
            self._spawn(keep_on(self._fill_recent_gaps, self.clock, pause_s, "filling gaps in readings"))
        self._spawn(keep_on(self._provider.deliver_due, self.clock, 1.0, "delivering reports of the VTN"))
        self._spawn(keep_on(self._expiry.look, self.clock, 60.0, "looking for certificates that expire"))
        if self._signatures is not None:
            self._spawn(keep_on(self._signatures.tidy, self.clock, 1.0, "giving back nonces of what was not answered"))
        self._spawn(keep_on(self._service.forget_claims, self.clock, 60.0, "forgetting nonces that are too old"))

    async def stop(self) -> None:
        """End everything in order; what is in flight is finished. Safe to repeat."""
        self._stopped = True
        if self._office is not None:
            await self._office.close()
        await self._http.stop()
        async with self._starting:
            if not self._started:
                return
            self._started = False
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._pusher is not None:
                await self._pusher.stop()
            await self._provider.stop()
            await self._watch.stop()
            if self._office is not None:
                await self._office.stop()
            if self._traces is not None:
                await self._traces.flush()
            await self._service.stop()

    async def serve(self) -> None:
        """Start and listen; returns as soon as VENs can connect (see `url`). End it with `stop`.

        Raises:
            TransportError: the address can't be listened on.
            StoreError: the database can't be opened.
        """
        try:
            await self.start()
            await self._http.start()
            if self._office is not None:
                await self._office.listen()
        except OpenADRError:
            await self.stop()
            raise
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

    def record(self, keep: Keep) -> None:
        """Give each exchange over HTTP to `keep`; say it before the server listens."""
        self._http.app = RecordingApp(self.app, keep, self.clock, leave_out=is_api)

    @property
    def url(self) -> str:
        """The base address that VENs are given."""
        return self._http.url

    @property
    def api_url(self) -> str | None:
        """The base address of the REST API, if it is served."""
        return self._office.url if self._office is not None else None

    async def create_token(self, name: str, role: str = "operator", *, expires_at: datetime | None = None) -> str:
        """Make a token for the API, and return its text, which is kept nowhere.

        Raises:
            ConfigError: the role is none of operator, viewer and enrolment.
        """
        await self.start()
        return (await create_token(self._service.store, name, role, now=self.clock.now(), expires_at=expires_at))[1]

    async def handle(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Answer one request without HTTP, as the in-memory transport needs it: status and body."""
        if not await self._wake():
            return 503, b"this VTN has been stopped\n"
        return await self._door.handle(path, body, Peer())

    def _heard(self, ven_id: str) -> None:
        self._watch.heard(ven_id)
        if self._pusher is not None:
            self._pusher.heard(ven_id)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def service(self) -> Service:
        """The use cases and the store behind the server, for those who build on it."""
        return self._service

    # --- VENs -------------------------------------------------------------------------------------------------------

    @property
    def vens(self) -> list[Registration]:
        """Every VEN that is known, registered or not."""
        return [
            msgspec.structs.replace(
                registration,
                online=self._watch.is_online(registration.ven_id),
                last_seen=self._watch.last_seen(registration),
            )
            for registration in self._service.registrations
        ]

    async def add_ven(
        self,
        ven_id: str,
        *,
        ven_name: str | None = None,
        profile: str = "2.0b",
        push_url: str | None = None,
        fingerprint: str | None = None,
        registration_id: str | None = None,
    ) -> Registration:
        """Register a VEN that has its IDs by other means than a registration message (2.0b rule 405; 2.0a).

        One that is registered already stays so; say it at every start of your program. With `push_url`, the base
        address of its own server, it is pushed to and need not poll; `fingerprint` is that of its certificate.
        `registration_id` is the one that it was given, if it has to be that.

        Raises:
            ConfigError: a value is wrong.
            StoreError: another VEN has that registration ID.
            TransportError: `push_url` is no address, or one that must not be called (see `Push`).
        """
        if profile not in ("2.0a", "2.0b") or not ven_id:
            raise ConfigError(f"a VEN needs an ID and a profile, 2.0a or 2.0b, not {ven_id!r} and {profile!r}")
        if push_url is not None:
            if self._pusher is None:
                raise ConfigError("this server does not push: give it push=Push(…)")
            push_url = self._pusher.check(push_url)
        await self.start()
        return await self._service.admit(
            ven_id,
            ven_name,
            profile,
            push_address=push_url,
            fingerprint=fingerprint,
            registration_id=registration_id,
        )

    async def cancel_registration(self, ven_id: str) -> None:
        """End a VEN's registration: it is told, and forgotten when it has answered (2.0b rule 407)."""
        await self._started_with(ven_id)
        await self._service.request_cancellation(ven_id)

    async def request_reregistration(self, ven_id: str) -> None:
        """Ask a VEN to register again with its IDs."""
        await self._started_with(ven_id)
        await self._service.request_reregistration(ven_id)

    async def _started_with(self, ven_id: str) -> None:
        await self.start()
        await self._service.catch_up()
        if not self._service.is_registered(ven_id):
            raise LocalProtocolError(f"VEN {ven_id!r} is not registered", code="463")

    # --- reports ----------------------------------------------------------------------------------------------------

    async def capabilities(self, ven_id: str) -> list[Capability]:
        """What a VEN can report."""
        await self.start()
        return await self._service.capabilities_of(ven_id)

    async def request_report(
        self,
        ven_id: str,
        request: ReportRequest | None = None,
        *,
        report_specifier_id: str | None = None,
        r_ids: Iterable[str] | None = None,
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
        await self._started_with(ven_id)
        offered = await self._service.capabilities_of(ven_id)
        if request is None:
            request = make_request(
                offered,
                report_specifier_id,
                r_ids,
                self._second(),
                granularity=granularity,
                report_back_duration=report_back_duration,
                start=start,
                duration=duration,
            )
        live = [s.request.report_request_id for s in await self.report_requests(ven_id)]
        try:
            rules.check_request(request, offered, live)
        except ProtocolError as error:
            raise LocalProtocolError(f"VEN {ven_id!r} can't do that: {error}", code=error.code) from error
        bridge.lower_request(request)
        await self._service.request_reports(ven_id, [request])
        return request

    async def report_requests(self, ven_id: str) -> list[StoredRequest]:
        """The reports that a VEN has been asked for, and whether it has confirmed."""
        await self.start()
        return await self._service.requests_to(ven_id)

    async def cancel_report(self, ven_id: str, report_request_id: str, *, one_more: bool = False) -> None:
        """Have a VEN stop a report, after one more if `one_more` (2.0b rules 335, 345)."""
        await self._started_with(ven_id)
        await self._service.cancel_reports(ven_id, [report_request_id], one_more=one_more)

    async def readings(self, ven_id: str, **filters: Any) -> list[StoredReading]:
        """The readings of a VEN, by time; filters as in `pyopenadr.store.port.Store.list_readings`."""
        await self.start()
        try:
            return await self._service.store.list_readings(ven_id, **filters)
        except TypeError as error:
            raise ConfigError(f"no such filter of readings: {error}") from error

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
        Without one, use `publish_report`. VENs that are registered are told of the new report.

        Raises:
            ConfigError, ModelError: there is one with that ID, or it can't be written in 2.0b.
        """
        capability = Capability(
            report_specifier_id=report_specifier_id,
            report_name=report_name,
            duration=duration,
            points=tuple(points),
            created_date_time=self._second(),
        )
        self._provider.add(capability, source)
        if self._started:
            self._spawn(self._announce_reports())
        return capability

    async def _announce_reports(self) -> None:
        try:
            await self._provider.announce()
        except OpenADRError:
            log.exception("not all VENs could be told of the new report; they will be at the next start")

    async def publish_report(self, report_specifier_id: str, readings: Iterable[Reading]) -> int:
        """Deliver readings to every VEN that has asked for that report. Returns how many requests were served."""
        await self.start()
        return await self._provider.publish(report_specifier_id, tuple(readings))


def _check_times(poll_frequency: Duration, **times: timedelta) -> None:
    if isinstance(poll_frequency, timedelta) and poll_frequency.microseconds:
        raise ConfigError(f"poll_frequency must be in whole seconds, not {poll_frequency}: 2.0b has no parts of them")
    for name, duration in {"poll_frequency": poll_frequency, **times}.items():
        if not is_positive(duration):
            raise ConfigError(f"{name} must be positive, not {duration}")
