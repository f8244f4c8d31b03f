"""The parts of one client and how they are put together. Two clients have no part in common."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import ConfigError, OpenADRError
from pyopenadr.model import OptType
from pyopenadr.model.time import ZERO
from pyopenadr.v2.ven import VenScope
from pyopenadr.ven.availability import OptBook
from pyopenadr.ven.backlog import Backlog
from pyopenadr.ven.backoff import Draw
from pyopenadr.ven.dispatch import Dispatcher
from pyopenadr.ven.event import EventBook
from pyopenadr.ven.failsafe import Guard, action_of
from pyopenadr.ven.handler import Caller, Handler
from pyopenadr.ven.history import LEAST, History
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.loop import Loop
from pyopenadr.ven.measure import Measurer
from pyopenadr.ven.order import OrderBook
from pyopenadr.ven.outbox import Outbox
from pyopenadr.ven.recorder import Recorder
from pyopenadr.ven.registration import Registrar, State
from pyopenadr.ven.report import Reporter
from pyopenadr.ven.requester import Requester
from pyopenadr.ven.sampler import Sampler
from pyopenadr.ven.scheduler import Scheduler
from pyopenadr.ven.session import Session
from pyopenadr.ven.state import Ledger
from pyopenadr.ven.task import Crew

__all__ = ["Parts", "Settings", "assemble"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What can be set about a client's behaviour; `OpenADRClient` explains it.

    Raises:
        ConfigError: a setting is wrong.
    """

    scope: VenScope
    default_opt: OptType | str
    handler_timeout_s: float
    poll_interval: timedelta | float | None
    jitter: float
    query_first: bool
    register_again_after: timedelta | float
    keep_unsent: timedelta | float
    most_unsent: int
    keep_history: timedelta | float
    most_history: int
    run_test_events: bool
    opts_decide: bool
    failsafe: str | float
    failsafe_after: timedelta | float | None
    resync: timedelta | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.jitter <= 1.0:
            raise ConfigError(f"jitter must be between 0 and 1, not {self.jitter}")
        if not self.handler_timeout_s > 0.0:
            raise ConfigError(f"handler_timeout_s must be positive, not {self.handler_timeout_s}")
        if self.default_opt not in ("optIn", "optOut"):
            raise ConfigError(f'default_opt must be "optIn" or "optOut", not {self.default_opt!r}')
        if self.poll_interval is not None:
            interval("poll_interval", self.poll_interval)
        interval("register_again_after", self.register_again_after)
        interval("keep_unsent", self.keep_unsent)
        action_of(self.failsafe)
        if self.failsafe_after is not None:
            interval("failsafe_after", self.failsafe_after)
        if self.most_unsent < 1:
            raise ConfigError(f"most_unsent must be at least 1, not {self.most_unsent}")
        interval("keep_history", self.keep_history)
        if self.most_history < LEAST:
            raise ConfigError(f"most_history must be at least {LEAST} (2.0b rule 510), not {self.most_history}")


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one client."""

    clock: Clock
    journal: Journal
    ledger: Ledger
    crew: Crew
    session: Session
    outbox: Outbox
    registrar: Registrar
    opts: OptBook
    events: EventBook
    scheduler: Scheduler
    history: History
    recorder: Recorder
    reporter: Reporter
    requester: Requester
    dispatcher: Dispatcher
    loop: Loop
    guard: Guard

    def resume(self) -> None:
        """Go on with what was begun before a stop or a restart, and measure."""
        self.recorder.begin()
        if self.registrar.identity.ven_id is not None:
            self.events.resume()
            self.reporter.resume()


def assemble(
    settings: Settings,
    *,
    clock: Clock,
    draw: Draw,
    journal: Journal,
    ledger: Ledger,
    session: Session,
    registrar: Registrar,
    handler: Callable[[str], Handler | None],
) -> Parts:
    """Put the parts together. `handler` gives the user's handler of a name, or None."""
    crew = Crew(journal)
    caller = Caller(clock, settings.handler_timeout_s, crew)
    outbox = Outbox(session, clock, draw, crew, journal, ledger)

    def ven_id() -> str:
        return registrar.ven_id

    def scope() -> VenScope:
        return msgspec.structs.replace(settings.scope, ven_id=ven_id(), vtn_id=registrar.identity.vtn_id)

    def on_lost(error: OpenADRError) -> None:
        journal.warning(f"the VTN no longer knows this VEN: {error}")
        registrar.state = State.NONE
        loop.wake()

    scheduler = Scheduler(
        caller=caller,
        crew=crew,
        clock=clock,
        journal=journal,
        ledger=ledger,
        known=lambda: events.known,
        handler=handler,
        takes_tests=settings.run_test_events,
    )
    opts = OptBook(ledger, clock, decides=settings.opts_decide)
    events = EventBook(
        outbox=outbox,
        caller=caller,
        crew=crew,
        clock=clock,
        draw=draw,
        journal=journal,
        ledger=ledger,
        default_opt=OptType(settings.default_opt),
        ven_id=ven_id,
        handler=lambda: handler("on_event"),
        word_on=opts.word_on,
        on_lost=on_lost,
        on_change=scheduler.wake,
        on_end=scheduler.finish,
    )
    orders = OrderBook(ledger, session.new_id)
    measurer = Measurer(caller, journal, lambda: handler("next_report"))
    age = interval("keep_history", settings.keep_history)
    history = History(ledger, clock, age=age, most=settings.most_history)
    recorder = Recorder(crew=crew, clock=clock, draw=draw, journal=journal, measurer=measurer, history=history)
    sampler = Sampler(
        measurer=measurer, recorder=recorder, history=history, orders=orders, clock=clock, journal=journal
    )
    reporter = Reporter(
        session=session,
        outbox=outbox,
        measurer=measurer,
        sampler=sampler,
        crew=crew,
        clock=clock,
        draw=draw,
        journal=journal,
        orders=orders,
        backlog=Backlog(
            ledger, clock, journal, age=interval("keep_unsent", settings.keep_unsent), most=settings.most_unsent
        ),
        ven_id=ven_id,
        registrations=lambda: registrar.count,
        on_told=registrar.told,
        on_lost=on_lost,
    )
    requester = Requester(
        session=session,
        outbox=outbox,
        caller=caller,
        journal=journal,
        ledger=ledger,
        ven_id=ven_id,
        on_report=lambda: handler("on_report"),
        wanted_reports=lambda: handler("wanted_reports"),
        on_lost=on_lost,
    )
    dispatcher = Dispatcher(
        registrar=registrar,
        events=events,
        reporter=reporter,
        requester=requester,
        outbox=outbox,
        crew=crew,
        journal=journal,
        scope=scope,
    )
    after = settings.failsafe_after
    guard = Guard(
        after=None if after is None else interval("failsafe_after", after),
        failsafe=settings.failsafe,
        scheduler=scheduler,
        caller=caller,
        clock=clock,
        journal=journal,
        ledger=ledger,
        handler=lambda: handler("on_failsafe"),
        is_meant=lambda: registrar.state is not State.ENDED,
    )
    loop = Loop(
        registrar=registrar,
        dispatcher=dispatcher,
        session=session,
        outbox=outbox,
        clock=clock,
        draw=draw,
        journal=journal,
        on_news=scheduler.release,
        on_contact=lambda well: guard.heard() if well else guard.missed(),
        jitter=settings.jitter,
        query_first=settings.query_first,
        again_after=interval("register_again_after", settings.register_again_after),
        resync=settings.resync,
    )
    return Parts(
        clock=clock,
        journal=journal,
        ledger=ledger,
        crew=crew,
        session=session,
        outbox=outbox,
        registrar=registrar,
        opts=opts,
        events=events,
        scheduler=scheduler,
        history=history,
        recorder=recorder,
        reporter=reporter,
        requester=requester,
        dispatcher=dispatcher,
        loop=loop,
        guard=guard,
    )


def interval(name: str, value: timedelta | float) -> timedelta:
    """A positive time, given as such or in seconds."""
    length = value if isinstance(value, timedelta) else timedelta(seconds=value)
    if length <= ZERO:
        raise ConfigError(f"{name} must be positive, not {value}")
    return length
