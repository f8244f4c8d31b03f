"""Faults by rate: a transport that loses, delays, repeats and spoils messages, each run in the same way by its seed."""

from __future__ import annotations

import random
import time
from array import array
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import ConfigError, TransportError
from pyopenadr.transport.port import Reply, Transport

__all__ = ["NO_FAULTS", "FaultKind", "FaultTransport", "Faults", "Tally"]


class FaultKind(StrEnum):
    """What can go wrong."""

    DROP = "drop"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    DISCONNECT = "disconnect"
    BAD_SIGNATURE = "bad signature"
    CLOCK_SKEW = "clock skew"


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """How often something goes wrong: shares from 0 to 1, of the requests, and for `clock_skew` of the VENs.

    `drop`: the request gets lost or, as often, its answer. `delay`: it takes about `delay_s` seconds longer.
    `duplicate`: it arrives twice. `disconnect`: the VEN has no connection for `disconnect_s` seconds. `bad_signature`:
    it carries the signature of somebody whom nobody knows. `clock_skew`: the VEN's clock is wrong by up to
    `clock_skew_s` seconds.

    Raises:
        ConfigError: a share is none, or they are more than 1 together.
    """

    drop: float = 0.0
    delay: float = 0.0
    duplicate: float = 0.0
    disconnect: float = 0.0
    bad_signature: float = 0.0
    clock_skew: float = 0.0
    delay_s: float = 5.0
    disconnect_s: float = 300.0
    clock_skew_s: float = 30.0

    def __post_init__(self) -> None:
        shares = {"clock_skew": self.clock_skew, **{kind.name.lower(): share for kind, share in self.of_requests}}
        for name, share in shares.items():
            if not 0.0 <= share <= 1.0:
                raise ConfigError(f"{name} is a share from 0 to 1, not {share}")
        if sum(share for _, share in self.of_requests) > 1.0:
            raise ConfigError("a request has one fault at most: the shares together must not be more than 1")
        for name in ("delay_s", "disconnect_s", "clock_skew_s"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"{name} must be positive, not {getattr(self, name)}")

    @property
    def of_requests(self) -> tuple[tuple[FaultKind, float], ...]:
        """The share of requests that have each fault."""
        return (
            (FaultKind.DROP, self.drop),
            (FaultKind.DELAY, self.delay),
            (FaultKind.DUPLICATE, self.duplicate),
            (FaultKind.DISCONNECT, self.disconnect),
            (FaultKind.BAD_SIGNATURE, self.bad_signature),
        )

    def kind_at(self, lot: float) -> FaultKind | None:
        """The fault that a lot from 0 to 1 stands for."""
        for kind, share in self.of_requests:
            if lot < share:
                return kind
            lot -= share
        return None

    def skew(self, draw: random.Random) -> timedelta | None:
        """By how much a VEN's clock is wrong; None: not at all."""
        lot, by = draw.random(), draw.uniform(-1.0, 1.0)
        return timedelta(seconds=round(by * self.clock_skew_s, 3)) if lot < self.clock_skew else None


NO_FAULTS = Faults()


class Tally:
    """What has happened on all transports of a fleet.

    A fault is `recovered` from when a later message of the same VEN, or the same one, has got its answer. `errors`
    are failures that nobody has arranged, by what was said. `polls_s` are the seconds of the machine's time from a poll
    to its answer.
    """

    def __init__(self) -> None:
        self.injected: Counter[FaultKind] = Counter()
        self.recovered: Counter[FaultKind] = Counter()
        self.errors: Counter[str] = Counter()
        self.exchanges = 0
        self.polls_s = array("d")


class FaultTransport:
    """A `Transport` over another one, on which things go wrong until `until` (None: to the end).

    Which requests have which fault follows from `draw` and the number of requests before, and from nothing else.
    `forge` puts a bad signature on a document. `answered` is called with path, request and answer of each exchange that
    was well.
    """

    def __init__(
        self,
        inner: Transport,
        faults: Faults,
        *,
        draw: random.Random,
        clock: Clock,
        tally: Tally,
        forge: Callable[[bytes], bytes],
        answered: Callable[[str, bytes, Reply], None] = lambda path, body, reply: None,
        until: datetime | None = None,
    ) -> None:
        self._inner = inner
        self._faults = faults
        self._draw = draw
        self._clock = clock
        self._tally = tally
        self._forge = forge
        self._answered = answered
        self._until = until
        self._away_until: datetime | None = None
        self._pending: Counter[FaultKind] = Counter()

    async def post(self, url: str, body: bytes) -> Reply:
        """As the other transport does, unless a fault says otherwise.

        Raises:
            TransportError: the request or its answer is lost; or as the other transport does.
        """
        self._refuse_while_away()
        match self._next():
            case FaultKind.DROP, part:
                if part < 0.5:
                    raise TransportError("the request was lost on its way: a fault of the simulation")
                await self._inner.post(url, body)
                raise TransportError("the answer was lost on its way: a fault of the simulation")
            case FaultKind.DELAY, part:
                await self._clock.sleep(self._faults.delay_s * (0.5 + part))
            case FaultKind.DUPLICATE, _:
                await self._inner.post(url, body)
            case FaultKind.DISCONNECT, part:
                away = timedelta(seconds=self._faults.disconnect_s * (0.5 + part))
                self._away_until = self._clock.now() + away
                self._refuse_while_away()
            case FaultKind.BAD_SIGNATURE, _:
                return await self._inner.post(url, self._forge(body))
        return await self._well(url, body)

    async def close(self) -> None:
        """Close the other transport."""
        await self._inner.close()

    def _is_over(self) -> bool:
        return self._until is not None and self._clock.now() >= self._until

    def _next(self) -> tuple[FaultKind | None, float]:
        lot, part = self._draw.random(), self._draw.random()
        kind = self._faults.kind_at(lot)
        if kind is None or self._is_over():
            return None, part
        self._tally.injected[kind] += 1
        self._pending[kind] += 1
        return kind, part

    def _refuse_while_away(self) -> None:
        if self._away_until is None:
            return
        if self._clock.now() >= self._away_until or self._is_over():
            self._away_until = None
            return
        raise TransportError("there is no connection: a fault of the simulation")

    async def _well(self, url: str, body: bytes) -> Reply:
        tally = self._tally
        begun = time.perf_counter()
        try:
            reply = await self._inner.post(url, body)
        except TransportError as error:
            tally.errors[str(error)] += 1
            raise
        tally.exchanges += 1
        service = url.rpartition("/")[2]
        if service == "OadrPoll":
            tally.polls_s.append(time.perf_counter() - begun)
        if reply.status != 200:
            tally.errors[f"HTTP {reply.status} from {service}"] += 1
            return reply
        if self._pending:
            tally.recovered.update(self._pending)
            self._pending.clear()
        self._answered(service, body, reply)
        return reply
