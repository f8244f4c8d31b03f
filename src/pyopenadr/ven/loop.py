"""Auto mode: register, exchange METADATA, fetch the events, and then poll for ever, whatever happens.

In 2.0a, which has only events, it fetches these for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from pyopenadr.clock import Clock
from pyopenadr.errors import (
    LocalProtocolError,
    OpenADRError,
    PeerRefused,
    RemoteProtocolError,
    SignatureInvalid,
    TransportError,
    WireError,
)
from pyopenadr.v2 import wire
from pyopenadr.ven.backoff import Backoff, Draw
from pyopenadr.ven.dispatch import Dispatcher
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.outbox import Outbox, may_succeed_later
from pyopenadr.ven.registration import DEFAULT_POLL_INTERVAL, Registrar, State
from pyopenadr.ven.session import Session, asks_to_register

__all__ = ["Loop"]

MOST_IN_A_ROW = 100
"""How many messages are fetched without a pause, in case a VTN's queue never runs empty."""
MOST_ALIKE = 3
"""How often the very same message is taken in a row, from a VTN that seems to turn in circles."""
MOST_BOOTSTRAP_TRIES = 3
"""How often a step of the bootstrap is tried that the VTN answers with an error, before the rest goes on without."""
FIRST_REVISION_S, MOST_REVISION_S = 60.0, 3600.0
"""After which times a step of the bootstrap that was left out is tried again."""
_STEPS = 2
LEAST_CAP_S, MOST_CAP_S = 10.0, 300.0
"""The longest wait after failures is the poll interval, but within these bounds."""


class Loop:
    """The heart of auto mode. Nothing but cancellation ends `run`.

    `on_news` is called each time the VTN has been asked what is new, or could not be, and `on_contact` with whether it
    gave the answers that it should.
    `resync` is how often a VEN that is pushed to asks for its events all the same; None: it polls.
    `jitter` lengthens each wait by up to that share of it, so that many VENs don't all poll at the same instant.
    `again_after` is how long to wait before registering anew when the VTN has ended the registration.
    """

    def __init__(
        self,
        *,
        registrar: Registrar,
        dispatcher: Dispatcher,
        session: Session,
        outbox: Outbox,
        clock: Clock,
        draw: Draw,
        journal: Journal,
        on_news: Callable[[], None],
        on_contact: Callable[[bool], None],
        jitter: float,
        query_first: bool,
        again_after: timedelta,
        resync: timedelta | None = None,
    ) -> None:
        self._registrar = registrar
        self._dispatcher = dispatcher
        self._session = session
        self._outbox = outbox
        self._clock = clock
        self._draw = draw
        self._journal = journal
        self._on_news = on_news
        self._on_contact = on_contact
        self._jitter = jitter
        self._query_first = query_first
        self._again_after = again_after
        self._resync = resync
        self._has_asked = False
        self._woken: asyncio.Event | None = None
        self._backoff = Backoff(draw)
        self._served: int | None = None
        self._step = 0
        self._tries = 0
        self._left_out: set[str] = set()
        self._revision = Backoff(draw, first_s=FIRST_REVISION_S, most_s=MOST_REVISION_S)
        self._revision_at: datetime | None = None

    async def run(self) -> None:
        """Poll for ever."""
        registrar = self._registrar
        if registrar.state is State.REGISTERED and not registrar.confirmed:
            # The ids come from the configuration; the VTN confirms them and says how often to poll.
            registrar.state = State.STALE
        self._served = None
        if registrar.metadata is not None and registrar.metadata == self._dispatcher.reporter.offered:
            # The VTN knows everything already; only what has happened to the events meanwhile has to be asked.
            self._served, self._step, self._tries = registrar.count, 1, 0  # the step of METADATA is done
        self._woken = asyncio.Event()
        while True:
            self._woken.clear()
            wait = await self._cycle()
            self._on_news()
            await self._pause(wait, self._woken)

    def wake(self) -> None:
        """Something has happened to the registration of a VEN that is pushed to: see to it now."""
        if self._woken is not None:
            self._woken.set()

    async def _pause(self, seconds: float, woken: asyncio.Event) -> None:
        if self._resync is None:
            await self._clock.sleep(seconds)
            return
        waits = [asyncio.ensure_future(woken.wait()), asyncio.ensure_future(self._clock.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for it in waits:
                it.cancel()

    async def _cycle(self) -> float:
        """Everything that is due now; the seconds until the next time."""
        try:
            if self._dispatcher.cancelled:
                self._dispatcher.cancelled = False
                await self._clock.sleep(self._again_after.total_seconds())
            if self._registrar.state is State.ENDED:
                return DEFAULT_POLL_INTERVAL.total_seconds()
            if self._session.profile == "2.0a":
                await self._dispatcher.events.answered()
                await self.request_event()
            else:
                await self._keep_up()
            self._has_asked = False
        except OpenADRError as error:
            return self._failed(error)
        except Exception:  # noqa: BLE001 - a bug must not end polling, the more so as events may be running
            self._journal.exception("polling failed by a bug in pyopenadr; it goes on")
            return self._backoff.next()
        self._backoff.reset()
        self._on_contact(True)
        interval = (self._resync or self._registrar.poll_interval).total_seconds()
        return interval * (1.0 + self._jitter * self._draw.random())

    async def _keep_up(self) -> None:
        """What a 2.0b VEN does each time."""
        if self._registrar.state is not State.REGISTERED:
            await self._register()
        if not self._is_served:
            await self._bootstrap()
        if self._resync is None:
            await self._drain()
        elif not self._has_asked:
            await self.request_event()

    def _failed(self, error: OpenADRError) -> float:
        self._on_contact(False)
        if asks_to_register(error):
            self._registrar.state = State.NONE
        longest = DEFAULT_POLL_INTERVAL.total_seconds()
        if self._registrar.state is State.REGISTERED:
            longest = min(max(self._registrar.poll_interval.total_seconds(), LEAST_CAP_S), MOST_CAP_S)
        self._backoff.most_s = self._outbox.most_wait_s = longest
        wait = self._backoff.next(getattr(error, "retry_after_s", None))
        self._journal.warning(f"{_told(error, self._session.profile)}; next try in {wait:.1f} s")
        return wait

    # -- the way to a registration -------------------------------------------------------------------------------

    async def _register(self) -> None:
        registrar = self._registrar
        if registrar.state is State.NONE:
            if self._query_first:
                reply = await registrar.query()
                offered = ", ".join(f"{p.profile_name} over {'/'.join(p.transports)}" for p in reply.profiles)
                self._journal.info(f"VTN {reply.vtn_id!r} offers {offered}")
            await registrar.register(anew=True)
        elif registrar.state is State.STALE:
            try:
                await registrar.register(anew=False)
            except PeerRefused as error:
                if error.code.startswith("4"):
                    registrar.state = State.NONE  # it does not know our ids: without them, next time
                raise

    @property
    def _is_served(self) -> bool:
        """Whether nothing is left to do of what has to follow a registration."""
        return self._served == self._registrar.count and self._step == _STEPS and not self._left_out

    async def _bootstrap(self) -> None:
        """What has to follow a new registration, in this order (2.0b rules 309, 405)."""
        if self._served != self._registrar.count:
            self._served = self._registrar.count
            self._step = self._tries = 0
            self._left_out.clear()
            self._revision.reset()
        steps: list[tuple[str, Callable[[], Coroutine[Any, Any, Any]]]] = [
            ("the exchange of METADATA", self._dispatcher.reporter.register),
            ("the request for events", self.request_event),
        ]
        assert len(steps) == _STEPS
        while self._step < _STEPS:
            await self._try(*steps[self._step])
            self._step += 1
            self._tries = 0
        if self._left_out and self._revision_at is not None and self._clock.now() >= self._revision_at:
            self._tries = MOST_BOOTSTRAP_TRIES  # one try each
            for subject, work in steps:
                if subject in self._left_out:
                    await self._try(subject, work)

    async def _try(self, subject: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Do a step of the bootstrap. One that always fails is left out for a while, so that it stops no other."""
        try:
            await work()
        except OpenADRError as error:
            is_away = isinstance(error, TransportError) and error.status is None
            self._tries += not is_away
            if asks_to_register(error) or (may_succeed_later(error) and self._tries < MOST_BOOTSTRAP_TRIES):
                raise
            self._journal.error(f"{subject} failed, and polling goes on without: {error}")
            self._left_out.discard(subject)
            if may_succeed_later(error):
                self._left_out.add(subject)
                self._revision_at = self._clock.now() + timedelta(seconds=self._revision.next())
        else:
            self._left_out.discard(subject)

    async def request_event(self, reply_limit: int | None = None) -> wire.Message | None:
        """Fetch all events, and have them handled (2.0b rules 27, 405)."""
        message = self.question(reply_limit)
        reply = await self._session.tell("EiEvent", message, wire.OadrDistributeEvent)
        self._has_asked = True
        if isinstance(reply, wire.OadrDistributeEvent):
            await self.handle(reply, reply_limit)
        return reply

    def question(self, reply_limit: int | None = None) -> wire.OadrRequestEvent:
        """What asks for the events."""
        return wire.OadrRequestEvent(
            request_id=self._session.new_id(), ven_id=self._registrar.ven_id, reply_limit=reply_limit
        )

    # -- polling -------------------------------------------------------------------------------------------------

    async def poll(self) -> wire.Message:
        """Ask for one message; in 2.0a, which has no oadrPoll, for the events.

        Raises:
            LocalProtocolError: who is pushed to must not poll (2.0b rule 500).
            PeerRefused: the VTN answered with an error. If it doesn't know us any more, that is noted.
        """
        if self._resync is not None:
            raise LocalProtocolError("this VEN is pushed to, and does not poll: use request_event()")
        try:
            if self._session.profile == "2.0a":
                return await self._session.ask("EiEvent", self.question(), wire.Message)
            return await self._session.ask("OadrPoll", wire.OadrPoll(ven_id=self._registrar.ven_id), wire.Message)
        except PeerRefused as error:
            if error.code in ("452", "463"):
                self._registrar.state = State.NONE
            raise

    async def _drain(self) -> None:
        """Poll until there is nothing more (2.0b rule 500)."""
        repeated = False
        last: wire.Message | None = None
        times = 0
        for _ in range(MOST_IN_A_ROW):
            message = await self.poll()
            if isinstance(message, wire.OadrResponse):
                return
            times = times + 1 if message == last else 1
            if times > MOST_ALIKE:
                self._journal.warning(f"the VTN repeats its {message.message_type}: the rest comes with the next poll")
                return
            last = message
            news = await self.handle(message)
            if self._registrar.state is not State.REGISTERED:
                await self._register_again()
                return
            if isinstance(message, wire.OadrDistributeEvent) and not news:
                if repeated:
                    return  # a VTN that answers each poll with the same list
                repeated = True
        self._journal.warning(f"the VTN had {MOST_IN_A_ROW} messages in a row: the rest comes with the next poll")

    async def _register_again(self) -> None:
        if self._registrar.state is State.STALE:
            await self._register()

    async def handle(self, message: wire.Message, reply_limit: int | None = None) -> bool:
        """Have one message handled. Whatever goes wrong with it does not keep the next one from being fetched."""
        try:
            return await self._dispatcher.handle(message, reply_limit=reply_limit)
        except RemoteProtocolError as error:
            self._journal.warning(f"{message.message_type} is passed over: {error}")
        except OpenADRError as error:
            if asks_to_register(error):
                raise
            self._journal.error(f"{message.message_type} could not be handled: {error}")
        except Exception:  # noqa: BLE001 - a bug in the handling of one message must not end polling
            self._journal.exception(f"{message.message_type} could not be handled; this is a bug in pyopenadr")
        return True


def _told(error: OpenADRError, profile: str) -> str:
    """The error, and where it is a document of the VTN that is wrong, that it is."""
    if isinstance(error, SignatureInvalid):
        return f"what the VTN sent is not acted on: {error}"
    if isinstance(error, WireError):
        return f"{error}; what the VTN sent is no valid OpenADR {profile} message"
    return str(error)
