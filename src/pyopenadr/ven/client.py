"""`OpenADRClient`: a VEN for OpenADR 2.0b, or 2.0a, over simple HTTP."""

from __future__ import annotations

import asyncio
import os
import random as randomness
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pyopenadr.clock import Clock, SystemClock
from pyopenadr.errors import ConfigError
from pyopenadr.model import Event, OptType, Signal, Span
from pyopenadr.model.report import DEFAULT_HISTORY
from pyopenadr.model.timeline import Step, in_force, timeline
from pyopenadr.transport.http import HttpTransport, check_login
from pyopenadr.transport.port import Transport
from pyopenadr.v2.profile import ProfileName
from pyopenadr.v2.ven import KnownEvent, VenScope, executed_span, simple_only
from pyopenadr.ven.backoff import Draw
from pyopenadr.ven.blocking import BlockingClient
from pyopenadr.ven.ending import Ending, finish
from pyopenadr.ven.failsafe import FailSafe
from pyopenadr.ven.frame import frame_of
from pyopenadr.ven.handler import Handler, HandlerSlot, handler_of
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.manual import ManualMode
from pyopenadr.ven.part import Settings, assemble, interval
from pyopenadr.ven.registration import Identity, Registrar
from pyopenadr.ven.seal import Seal
from pyopenadr.ven.session import DEFAULT_LENIENCY, Session, base_of
from pyopenadr.ven.state import Ledger, MemoryLedger

if TYPE_CHECKING:
    import pandas

    from pyopenadr.v2.signature import SigningKey, Trust
    from pyopenadr.ven.listener import Listener, PushApp, Reception

__all__ = ["OpenADRClient"]

_BEGINNING = datetime.min.replace(tzinfo=UTC)


class OpenADRClient(ManualMode):
    """A VEN.

    Manual mode: `create_party_registration()` once, then `poll()` and whatever else you like. Auto mode: set the
    handlers and `await client.run()`; or set `auto_polling = True`, and `async with client:` polls in the background.

    Handlers may be plain functions (they run in a thread) or coroutine functions. They are given as an argument,
    assigned (`client.on_event = f`), set by decorator (`@client.on_event`), or defined in a subclass.
    """

    on_event = HandlerSlot()
    """Called with each new version of an event (`model.Event`), also when it is cancelled (`event.cancelled`).
    Returns "optIn", "optOut", an `EventReply`, which sets the contents of the oadrCreatedEvent, or `DEFER` or a
    `Defer` if somebody decides later. For a cancelled event what it returns is not used. If it fails or takes too long,
    the answer is `default_opt`."""

    on_report = HandlerSlot()
    """Called with each report (`model.Report`) that the VTN sends. The VTN gets its acknowledgement when it returns;
    if it fails or takes too long, the VTN is told that the report was not taken (500)."""

    on_event_start = HandlerSlot()
    """Called with an event (`model.Event`) that this VEN has opted in to, when its execution begins."""

    on_interval_start = HandlerSlot()
    """Called with the event, the `model.Signal` and the `TimedInterval` that begins."""

    on_interval_end = HandlerSlot()
    """Called with the event, the `model.Signal` and the `TimedInterval` that has ended, also if something ended it
    early."""

    on_event_end = HandlerSlot()
    """Called with the event and an `EndReason`, when its execution ends, whatever the reason."""

    on_ramp_up = HandlerSlot()
    """Called with the event and a `model.Span`, when the transition to the event begins: before its start or at it."""

    on_recovery = HandlerSlot()
    """Called with the event and a `model.Span`, when the transition back begins: before its end or at it."""

    on_interrupted = HandlerSlot()
    """Called at a start with a `DeviceCall` that was under way when the process died. Returns True if it was carried
    out, False if it was not, or None if nobody knows: then what was begun counts as begun, and is repeated if it still
    is due, as an end always is."""

    on_failsafe = HandlerSlot()
    """Called with a `FailSafe` when the VTN has been silent for `failsafe_after`, and when it is back."""

    next_report = HandlerSlot()
    """Called with a `model.ReportRequest` each time a report without a source is due. Returns the readings: a list of
    `model.Reading`, or a mapping from rID to number or `ResourceStatus`; None reports that there is no valid value.
    They leave as oadrUpdateReport."""

    wanted_reports = HandlerSlot()
    """Called with the VTN's capabilities when it has told them. Returns the `model.ReportRequest`s to ask for."""

    def __init__(
        self,
        ven_name: str,
        vtn_url: str,
        *,
        ven_id: str | None = None,
        registration_id: str | None = None,
        vtn_id: str | None = None,
        profile: ProfileName = "2.0b",
        state: str | os.PathLike[str] | Ledger | None = None,
        auto_polling: bool = False,
        on_event: Handler | None = None,
        on_event_start: Handler | None = None,
        on_interval_start: Handler | None = None,
        on_interval_end: Handler | None = None,
        on_event_end: Handler | None = None,
        on_ramp_up: Handler | None = None,
        on_recovery: Handler | None = None,
        on_interrupted: Handler | None = None,
        on_failsafe: Handler | None = None,
        on_report: Handler | None = None,
        next_report: Handler | None = None,
        wanted_reports: Handler | None = None,
        default_opt: OptType | str = OptType.OUT,
        handler_timeout_s: float = 30.0,
        run_test_events: bool = False,
        opts_decide: bool = False,
        failsafe: str | float = "hold",
        failsafe_after: timedelta | float | None = None,
        poll_interval: timedelta | float | None = None,
        jitter: float = 0.1,
        query_first: bool = False,
        register_again_after: timedelta | float = 60.0,
        keep_unsent: timedelta | float = timedelta(days=7),
        most_unsent: int = 100_000,
        keep_history: timedelta | float = DEFAULT_HISTORY,
        most_history: int = 100_000,
        market_contexts: Iterable[str] | None = None,
        group_ids: Iterable[str] = (),
        group_names: Iterable[str] = (),
        resource_ids: Iterable[str] = (),
        party_ids: Iterable[str] = (),
        device_classes: Iterable[str] = (),
        supports: Callable[[Signal], bool] | None = None,
        resolves: Callable[[Event, Signal], bool] | None = None,
        leniency: Iterable[str] = DEFAULT_LENIENCY,
        push: Listener | None = None,
        timeout_s: float = 30.0,
        cert: str | None = None,
        key: str | None = None,
        ca_file: str | None = None,
        proxy: str | None = None,
        basic: tuple[str, str] | None = None,
        signing_key: SigningKey | None = None,
        vtn_signature: Trust | None = None,
        signature_window: timedelta | float = 60.0,
        signature_accept: Iterable[str] = (),
        transport: Transport | None = None,
        clock: Clock | None = None,
        random: Draw | None = None,
    ) -> None:
        """Make a client; nothing is sent yet.

        Args:
            ven_name: the name under which the VTN knows this VEN.
            vtn_url: the VTN's address; `/OpenADR2/Simple/2.0b` (2.0a: `/OpenADR2/Simple`) is added if it does not end
                in it.
            ven_id: the VEN's id if it was agreed upon beforehand. With `registration_id` too the VEN counts as
                registered.
            vtn_id: the VTN's id, if it is known: another VTN is not registered with, and its events are refused.
            profile: "2.0b", or "2.0a" for a VTN of that kind: SIMPLE events only, without registration, reports, opts
                and signatures. It needs `ven_id`.
            state: the file in which the client keeps what it must not forget: registration, events, what it still
                has to send, and so on, so that a restart goes on where it stopped. Each VEN needs one of its own.
                "auto" takes one for each name and address in `$XDG_STATE_HOME/pyopenadr` (`~/.local/state/pyopenadr`).
                With None all that ends with the process.
            auto_polling: whether `async with` starts auto mode. It can be set later, too.
            default_opt: the answer to events where `on_event` is missing, fails or takes too long. "optOut", because
                a VTN must not count on a load that nobody has taken off.
            handler_timeout_s: how long a handler may take.
            run_test_events: whether test events are executed like others; else they are only answered.
            opts_decide: whether an availability of `create_opt` answers the events that it is about, in place of
                `on_event`: those that overlap an optOut, and those that lie within an optIn.
            failsafe: what to do while the VTN is silent: "hold" goes on with the events that are known, "release"
                ends them, and a number ends them and asks `on_failsafe` to go to that level.
            failsafe_after: how long (seconds, if a number) it must have been silent for that; None: that never happens.
            poll_interval: how often to poll (seconds, if a number); None means as often as the VTN asks.
            jitter: the share by which a wait is lengthened at random, at most.
            query_first: whether auto mode sends oadrQueryRegistration before it registers.
            register_again_after: how long to wait before registering anew when the VTN has ended the registration.
            keep_unsent, most_unsent: how long (seconds, if a number) and how many readings are kept for a VTN that does
                not take them; the oldest are given up first.
            keep_history, most_history: how long (seconds, if a number) and how many readings of each data point are
                kept after they were measured, for statistics and for a VTN that asks for the past.
            market_contexts: the programmes whose events are taken; None takes all.
            group_ids, group_names, resource_ids, party_ids, device_classes: what an event may be aimed at. If nothing
                is given, every target is taken that does not name another VEN.
            supports: decides whether a signal can be followed; None: whatever the standard allows.
            resolves: decides whether it is clear which resource a signal of an event is for, else 469; None: always.
            leniency: the deviations that are taken from the VTN, see `pyopenadr.v2.leniency.RULES`.
            push: how this VEN's own server is reached, for a VTN that pushes; None: the client polls.
            timeout_s, cert, key, ca_file, proxy, basic: see `HttpTransport`; not used if `transport` is given.
            signing_key: signs every message (high security).
            vtn_signature: whose XML signature each message of the VTN must have, a `pyopenadr.v2.signature.Trust`; what
                is not signed so is not acted on. None takes messages with and without a signature, unverified.
            signature_window: how far the time in a signature may be from ours (seconds, if a number).
            signature_accept: deviating forms of signatures that are taken, see `pyopenadr.v2.signature.SWITCHES`.
            transport, clock, random: the parts that talk to the network, tell the time and draw lots.

        Raises:
            ConfigError: a setting is wrong.
        """
        settings = Settings(
            scope=VenScope(
                ven_id="",
                market_contexts=None if market_contexts is None else frozenset(market_contexts),
                group_ids=frozenset(group_ids),
                group_names=frozenset(group_names),
                resource_ids=frozenset(resource_ids),
                party_ids=frozenset(party_ids),
                device_classes=frozenset(device_classes),
                supports=supports if profile == "2.0b" else simple_only(supports),
                resolves=resolves,
            ),
            default_opt=default_opt,
            handler_timeout_s=handler_timeout_s,
            poll_interval=poll_interval,
            jitter=jitter,
            query_first=query_first,
            register_again_after=register_again_after,
            keep_unsent=keep_unsent,
            most_unsent=most_unsent,
            keep_history=keep_history,
            most_history=most_history,
            run_test_events=run_test_events,
            opts_decide=opts_decide,
            failsafe=failsafe,
            failsafe_after=failsafe_after,
            resync=None if push is None else interval("resync", push.resync),
        )
        clock = clock if clock is not None else SystemClock()
        draw: Draw = random if random is not None else randomness.SystemRandom()
        if transport is None:
            check_login(basic, vtn_url)
            transport = HttpTransport(
                timeout_s=timeout_s, cert=cert, key=key, ca_file=ca_file, proxy=proxy, basic=basic
            )
        identity = Identity(ven_name=ven_name, ven_id=ven_id, registration_id=registration_id, vtn_id=vtn_id)
        journal = Journal(lambda: identity.ven_id or ven_name)
        base = base_of(vtn_url, profile)
        ledger: Ledger = MemoryLedger()
        if state is not None:
            from pyopenadr.ven.statefile import open_ledger

            ledger = open_ledger(state, ven_name=ven_name, vtn=base, complain=journal.error, profile=profile)
        seal = Seal(
            clock=clock,
            draw=draw,
            ledger=ledger,
            leniency=leniency,
            key=signing_key,
            trust=vtn_signature,
            window=interval("signature_window", signature_window),
            accept=signature_accept,
            profile=profile,
        )
        session = Session(base, transport, clock=clock, draw=draw, journal=journal, seal=seal)
        registrar = Registrar(
            identity,
            session,
            ledger=ledger,
            clock=clock,
            journal=journal,
            poll_interval=None if poll_interval is None else interval("poll_interval", poll_interval),
        )
        super().__init__(
            assemble(
                settings,
                clock=clock,
                draw=draw,
                journal=journal,
                ledger=ledger,
                session=session,
                registrar=registrar,
                handler=lambda name: handler_of(self, name),
            )
        )
        self._reception: Reception | None = None
        if push is not None:
            from pyopenadr.ven.listener import Reception

            self._reception = reception = Reception(self._parts, push)
            registrar.push_address = lambda: reception.address
        self.ven_name = ven_name
        self.auto_polling = auto_polling
        self._set_handlers(
            on_event=on_event,
            on_event_start=on_event_start,
            on_interval_start=on_interval_start,
            on_interval_end=on_interval_end,
            on_event_end=on_event_end,
            on_ramp_up=on_ramp_up,
            on_recovery=on_recovery,
            on_interrupted=on_interrupted,
            on_failsafe=on_failsafe,
            on_report=on_report,
            next_report=next_report,
            wanted_reports=wanted_reports,
        )
        self._stop: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._background: asyncio.Task[None] | None = None

    def _set_handlers(self, **handlers: Handler | None) -> None:
        for name, handler in handlers.items():
            if handler is not None:
                setattr(self, name, handler)

    # -- what the client knows -----------------------------------------------------------------------------------

    @property
    def ven_id(self) -> str | None:
        """The VEN's id, once the VTN has given it."""
        return self._parts.registrar.identity.ven_id

    @property
    def registration_id(self) -> str | None:
        """The registration's id, once the VTN has given it."""
        return self._parts.registrar.identity.registration_id

    @property
    def vtn_id(self) -> str | None:
        """The VTN's id, once it has told it."""
        return self._parts.registrar.identity.vtn_id

    @property
    def poll_interval(self) -> timedelta:
        """How often auto mode polls."""
        return self._parts.registrar.poll_interval

    @property
    def running(self) -> bool:
        """Whether auto mode is at work."""
        return self._ended is not None and not self._ended.done()

    @property
    def events(self) -> Mapping[str, KnownEvent]:
        """The events of auto mode by their id, each with our answer and the random offset of its start."""
        return self._parts.events.events

    @property
    def unsent(self) -> int:
        """How many messages wait because the VTN could not be reached."""
        return len(self._parts.outbox)

    @property
    def dropped(self) -> int:
        """How many readings were given up because the VTN did not take them, as far as the state goes back."""
        return self._parts.reporter.backlog.dropped

    @property
    def clock_skew(self) -> timedelta | None:
        """How far the VTN's clock is ahead of ours, as far as that can be told; None: not yet known."""
        return self._parts.session.skew.value

    @property
    def failsafe(self) -> FailSafe | None:
        """The fail-safe that is in force because the VTN has been silent for `failsafe_after`, if it is."""
        return self._parts.guard.state

    def executed_span(self, event_id: str) -> Span:
        """When this VEN executes the event: its active period, moved by the random offset (2.0b rule 30)."""
        known = self._parts.events.known[event_id]
        return executed_span(known.event, known.offset)

    def timeline(self, start: datetime, end: datetime | None = None) -> tuple[Step, ...]:
        """What applies from `start` to `end` (None: for ever), as `pyopenadr.model.timeline` has it: for each signal
        and resource, which event's which interval. It holds the events that are executed: opted in to, and no tests.
        """
        return timeline(self._parts.scheduler.executions(), start, end)

    def timeline_frame(self, start: datetime, end: datetime | None = None) -> pandas.DataFrame:
        """The `timeline` as a table of pandas (`pip install 'pyopenadr[pandas]'`).

        Raises:
            ConfigError: pandas is not installed.
        """
        return frame_of(self.timeline(start, end))

    def now(self) -> tuple[Step, ...]:
        """What of the `timeline` applies now, each with the whole time for which it does."""
        return in_force(self.timeline(_BEGINNING), self._parts.clock.now())

    # -- auto mode -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Auto mode: register, then poll and handle whatever comes, until `stop()`. No failure ends it."""
        if self._ended is not None and not self._ended.done():
            await asyncio.shield(self._ended)
            return
        loop = asyncio.get_running_loop()
        await self.listen()
        stop, ended = loop.create_future(), loop.create_future()
        self._stop, self._ended = stop, ended
        self._parts.registrar.check_address()
        self._parts.resume()
        self._parts.crew.spawn(self._parts.scheduler.run(), "execution of events")
        self._parts.crew.spawn(self._parts.guard.run(), "fail-safe")
        main = self._parts.crew.spawn(self._parts.loop.run(), "polling")
        try:
            await asyncio.wait({main, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            try:
                await self._wind_down()
            finally:
                ended.set_result(None)

    # -- push ----------------------------------------------------------------------------------------------------

    @property
    def app(self) -> PushApp:
        """The ASGI application that answers the VTN's pushes, to be mounted in one of your own.

        Raises:
            ConfigError: the client was not given `push`.
        """
        return self._listening().app

    async def listen(self) -> None:
        """Start the server for pushes, if there is one. Auto mode does that itself; for manual mode.

        Raises:
            ConfigError: what it needs is not installed: pip install 'pyopenadr[push]'.
            TransportError: the address can't be listened on.
        """
        if self._reception is not None:
            await self._reception.start()

    async def receive(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Answer one push without HTTP, as `transport.memory` needs it: status and body."""
        return await self._listening().door.handle(path, body)

    def _listening(self) -> Reception:
        if self._reception is None:
            raise ConfigError("this client polls: give it push=Listener(…) to be pushed to")
        return self._reception

    def stop(self) -> Ending:
        """End auto mode. What is on its way is let through; what waits is not sent any more.

        May be called from anywhere, also from a handler or another thread. `await client.stop()`, in the event loop,
        waits until all has ended.
        """
        stop, ended = self._stop, self._ended
        if stop is not None and ended is not None and not ended.done():
            stop.get_loop().call_soon_threadsafe(finish, stop)
        return Ending(ended)

    async def close(self) -> None:
        """End auto mode if it runs, close all connections, and let go of the state file."""
        await self.stop()
        if self._background is not None:
            background, self._background = self._background, None
            await asyncio.wait({background})
        await self._wind_down()
        await self._parts.ledger.close()

    def blocking(self) -> BlockingClient:
        """This client for code without coroutines: `with OpenADRClient(…).blocking() as ven: ven.poll()`."""
        return BlockingClient(self)

    async def __aenter__(self) -> Self:
        if self.auto_polling:
            self._background = asyncio.get_running_loop().create_task(self.run(), name="pyopenadr client")
            await asyncio.sleep(0)  # from here on it runs
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _wind_down(self) -> None:
        if self.unsent:
            self._parts.journal.warning(f"the client stops with {self.unsent} messages that the VTN did not get")
        if self._reception is not None:
            await self._reception.stop()
        await self._parts.session.settle()
        try:
            await self._parts.crew.close()
        finally:
            self._parts.session.reopen()
        self._parts.events.clear_tasks()
        await self._parts.session.transport.close()
        await self._parts.ledger.kept()
