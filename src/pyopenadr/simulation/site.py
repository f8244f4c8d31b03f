"""A site: one VEN with its device, and a copy of the device of which nobody ever asks anything."""

from __future__ import annotations

import copy
import math
import random
from array import array
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.model import Event, OptType, Reading
from pyopenadr.simulation.ask import NOTHING, USUAL_PRICE, Ask, ask_of
from pyopenadr.simulation.device import Device
from pyopenadr.transport.port import Reply
from pyopenadr.v2 import bridge, wire
from pyopenadr.v2.codec import decode
from pyopenadr.ven.client import OpenADRClient

__all__ = ["R_ID", "Response", "Site", "mean_kw"]

R_ID = "power"
SPECIFIER = "load"


class Response(msgspec.Struct, kw_only=True):
    """What a site has said of an event: its newest version, when it saw the first, its answer, and when the VTN had
    that.
    """

    event: Event
    seen_at: datetime
    opt_type: OptType
    told_at: datetime | None = None


class Site:
    """One VEN of the simulation.

    `load` and `baseline` are the mean powers of its device and of the copy in each step since the start, in kW.
    `responses` are its answers by event_id, `acknowledged` the readings that the VTN has confirmed if `keeps_readings`.

    Args:
        seed: what the device's lots are drawn from; those of the copy are the same.
        clock: the true time. start, step: when the first step begins, and how long each is.
        opts_out: whether it opts out of every event.
        skew: by how much the VEN's own clock is ahead.
    """

    def __init__(
        self,
        name: str,
        device: Device,
        *,
        seed: str,
        clock: Clock,
        start: datetime,
        step: timedelta,
        opts_out: bool = False,
        skew: timedelta | None = None,
        usual_price: float = USUAL_PRICE,
        keeps_readings: bool = False,
    ) -> None:
        self.name = name
        self.device = device
        self.skew = skew or timedelta(0)
        self.load = array("f")
        self.baseline = array("f")
        self.ask: Ask = NOTHING
        self.responses: dict[str, Response] = {}
        self.acknowledged: list[Reading] = []
        self.client: OpenADRClient | None = None
        self._copy = copy.deepcopy(device)
        self._draw, self._copy_draw = random.Random(seed), random.Random(seed)
        self._clock = clock
        self._start = start
        self._step_s = step.total_seconds()
        self._opt_type = OptType.OUT if opts_out else OptType.IN
        self._usual_price = usual_price
        self._keeps_readings = keeps_readings
        self._has_news = False

    def attach(self, client: OpenADRClient) -> None:
        """Let a client speak for the site: it answers, follows and reports as the site says."""
        self.client = client
        client.on_event = self._decide
        client.on_interval_start = client.on_interval_end = client.on_event_end = self._hear
        client.add_report(
            reading="powerReal",
            unit="kW",
            r_id=R_ID,
            report_specifier_id=SPECIFIER,
            sampling=(timedelta(seconds=1), timedelta(hours=1)),
            source=self._measure,
        )

    def step(self) -> None:
        """Live through the next step."""
        if self._has_news and self.client is not None:
            self._has_news = False
            self.ask = ask_of(self.client.now(), usual_price=self._usual_price)
        self.load.append(self.device.step(self.ask, self._step_s, self._draw))
        self.baseline.append(self._copy.step(NOTHING, self._step_s, self._copy_draw))

    # -- what the client asks ------------------------------------------------------------------------------------

    async def _decide(self, event: Event) -> OptType:
        known = self.responses.get(event.event_id)
        if known is None:
            self.responses[event.event_id] = Response(event=event, seen_at=self._clock.now(), opt_type=self._opt_type)
        else:
            known.event = event
        return self._opt_type

    async def _hear(self, *about: object) -> None:
        self._has_news = True

    async def _measure(self, start: datetime, end: datetime, granularity: timedelta) -> list[float]:
        length = (end - start).total_seconds()
        step = granularity.total_seconds() or length
        first = (start - self.skew - self._start).total_seconds()
        pieces = max(1, round(length / step))
        return [mean_kw(self.load, first + n * step, first + (n + 1) * step, self._step_s) for n in range(pieces)]

    # -- what became of it ---------------------------------------------------------------------------------------

    def answered(self, service: str, body: bytes, reply: Reply) -> None:
        """A message of the site has got its answer."""
        if service == "EiEvent" and b"oadrCreatedEvent" in body:
            now = self._clock.now()
            for event_id, response in self.responses.items():
                if response.told_at is None and event_id.encode() in body:
                    response.told_at = now
        elif self._keeps_readings and service == "EiReport" and b"oadrUpdateReport" in body:
            message = decode(body).message
            if isinstance(message, wire.OadrUpdateReport):
                for report in message.reports:
                    self.acknowledged += bridge.lift_readings(report)


def mean_kw(trace: Sequence[float], start_s: float, end_s: float, step_s: float) -> float:
    """The mean of a trace of steps, from `start_s` to `end_s` after its beginning; outside the trace nothing counts."""
    total = covered = 0.0
    first = max(0, int(start_s // step_s))
    for number in range(first, min(len(trace), math.ceil(end_s / step_s))):
        part = min(end_s, (number + 1) * step_s) - max(start_s, number * step_s)
        total += trace[number] * part
        covered += part
    return total / covered if covered > 0.0 else 0.0
