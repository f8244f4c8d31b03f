"""What still has to reach the VTN: kept until it has answered, and sent again and again until then.

Messages wait in lanes. Within a lane they keep their order; a lane that does not get on stops no other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import OpenADRError, PeerRefused, RemoteProtocolError, TransportError, WireError
from pyopenadr.v2 import wire
from pyopenadr.ven.backoff import Backoff, Draw
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.session import Session, asks_to_register
from pyopenadr.ven.state import Ledger
from pyopenadr.ven.task import Crew

__all__ = ["Letter", "Outbox", "may_succeed_later"]

MOST_ANSWERED_TRIES = 10
"""How often a message is sent again that a VTN does not take which takes others, before it is given up."""

MOST_LEFT_BEHIND = 20
"""How many answers of one kind wait at the same time. The VTN asks again for what it has no answer to."""

Message = wire.Message


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One message on its way.

    `build` gives it, or None if there is nothing left to say; it is asked again for each try. `delivered` gets the
    VTN's reply, `refused` the error if the VTN will not have it. `outlives_registration`: a VTN that does not know us
    any more will take it once we have registered again, so it is kept until then. `tries` is how often it is sent to a
    VTN that takes others, but fails at this one.
    """

    service: str
    subject: str
    build: Callable[[], Message | None]
    expected: tuple[type[Message], ...] = ()
    delivered: Callable[[Message | None], None] = lambda reply: None
    refused: Callable[[OpenADRError], None] = lambda error: None
    outlives_registration: bool = False
    tries: int = MOST_ANSWERED_TRIES

    def is_done_by(self, error: OpenADRError | None) -> bool:
        """Whether it needs no more sending, after a try that ended with `error`."""
        if error is None:
            return True
        return not (may_succeed_later(error) or (self.outlives_registration and asks_to_register(error)))


def may_succeed_later(error: OpenADRError) -> bool:
    """Whether the same message may be taken if it is sent again: unless it is the VTN's own word that refuses it.

    An HTTP error can come from anybody on the way, and nonsense from a VTN that is ill.
    """
    if isinstance(error, TransportError | WireError | RemoteProtocolError):
        return True
    return isinstance(error, PeerRefused) and error.code.startswith("5")


class Outbox:
    """The lanes of one client. `most_wait_s` is the longest wait between two tries.

    Nothing leaves before what it follows from is safe in the ledger.
    """

    def __init__(
        self, session: Session, clock: Clock, draw: Draw, crew: Crew, journal: Journal, ledger: Ledger
    ) -> None:
        self.most_wait_s = 60.0
        self._session = session
        self._clock = clock
        self._draw = draw
        self._crew = crew
        self._journal = journal
        self._ledger = ledger
        self._lanes: dict[str, deque[Letter]] = {}

    def __len__(self) -> int:
        """How many messages wait."""
        return sum(map(len, self._lanes.values()))

    def waiting(self, lane: str) -> int:
        """How many messages wait in the lane, the one that is on its way included."""
        return len(self._lanes.get(lane, ()))

    def put(self, lane: str, letter: Letter) -> None:
        """Send it as soon as those before it in the lane are through."""
        waiting = self._lanes.get(lane)
        if waiting is None:
            waiting = self._lanes[lane] = deque()
            self._crew.spawn(self._drive(lane, waiting), f"outbox {lane}")
        waiting.append(letter)

    async def deliver(self, letter: Letter) -> None:
        """Send it now; only if the VTN can't be reached, put it in a lane of its own and go on without waiting.

        Raises:
            PeerRefused: the VTN does not know us as registered. Other refusals are logged.
        """
        error = await self._try(letter)
        if error is None:
            return
        if may_succeed_later(error):
            if sum(lane.startswith(f"{letter.subject} ") for lane in self._lanes) >= MOST_LEFT_BEHIND:
                self._journal.warning(f"{letter.subject} is given up, because many others wait: {error}")
                return
            self._journal.warning(f"{letter.subject} waits: {error}")
            self.put(f"{letter.subject} {id(letter)}", letter)
        elif asks_to_register(error):
            raise error

    def drop(self, lane: str | None = None) -> None:
        """Forget what waits in the lane, or in all of them."""
        for name, waiting in self._lanes.items():
            if lane is None or name == lane:
                waiting.clear()

    async def _drive(self, lane: str, waiting: deque[Letter]) -> None:
        backoff = Backoff(self._draw)
        tries: dict[int, int] = {}
        seen = 0
        try:
            while waiting:
                letter = waiting[0]
                successes = self._session.successes
                error = await self._try(letter)
                if error is None or letter.is_done_by(error):
                    backoff.reset()
                    tries.pop(id(letter), None)
                    _remove(waiting, letter)
                    continue
                # While the VTN takes nothing at all, the fault is not in the letter.
                counts = _was_refused(error) and successes > seen
                seen = successes
                if counts and self._is_stuck(letter, waiting, tries, error):
                    continue
                backoff.most_s = self.most_wait_s
                wait = backoff.next(getattr(error, "retry_after_s", None))
                self._journal.warning(f"{letter.subject} waits: {error}; next try in {wait:.1f} s")
                await self._clock.sleep(wait)
        finally:
            if self._lanes.get(lane) is waiting:
                del self._lanes[lane]

    def _is_stuck(self, letter: Letter, waiting: deque[Letter], tries: dict[int, int], error: OpenADRError) -> bool:
        """Whether another one's turn has come: it is given up, or it goes behind those that wait with it."""
        number = tries[id(letter)] = tries.get(id(letter), 0) + 1
        if number < letter.tries:
            if number % MOST_ANSWERED_TRIES == 0 and len(waiting) > 1 and waiting[0] is letter:
                waiting.rotate(-1)
                return True
            return False
        self._journal.error(f"{letter.subject} is given up after {number} tries: {error}")
        letter.refused(error)
        del tries[id(letter)]
        _remove(waiting, letter)
        return True

    async def _try(self, letter: Letter) -> OpenADRError | None:
        """Send it; None once it needs no more sending."""
        message = letter.build()
        if message is None:
            return None
        await self._ledger.kept()
        try:
            reply = await self._session.tell(letter.service, message, *letter.expected)
            if reply is None and letter.outlives_registration:
                raise RemoteProtocolError(f"the VTN answered {message.message_type} with an empty body")
        except OpenADRError as error:
            if not may_succeed_later(error):
                self._journal.error(f"{letter.subject} was refused: {error}")
                letter.refused(error)
            return error
        letter.delivered(reply)
        return None


def _was_refused(error: OpenADRError) -> bool:
    """Whether the VTN is there and has looked at the message, so that there is no use in trying for ever."""
    if isinstance(error, PeerRefused):
        return not asks_to_register(error)
    return not isinstance(error, TransportError) or error.status not in (None, 429, 503)


def _remove(waiting: deque[Letter], letter: Letter) -> None:
    # While it was on its way it may have been dropped.
    if waiting and waiting[0] is letter:
        waiting.popleft()
