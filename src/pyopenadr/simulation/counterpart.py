"""The VTN of a simulation: one of its own in the same process, or another one that runs already."""

from __future__ import annotations

import ipaddress
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import ConfigError
from pyopenadr.model import Event, OptType, Reading
from pyopenadr.simulation.plan import Plan
from pyopenadr.simulation.site import Site
from pyopenadr.transport.http import HttpTransport
from pyopenadr.transport.memory import MemoryTransport
from pyopenadr.transport.port import Transport
from pyopenadr.ven.session import base_of

__all__ = ["Counterpart", "OtherVtn", "OwnVtn", "Participation"]


class Participation(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of an event.

    `answers` has the last word of each VEN that has answered, by its name; `refusals` how many answers were error
    codes. `seconds` are the times that the answers took: from publishing, or where nobody knows when that was, from
    when the VEN first saw the event. `concerned` is how many VENs it is for, as far as that is known.
    """

    event: Event
    concerned: int
    answers: Mapping[str, OptType]
    refusals: int
    seconds: tuple[float, ...]


class Counterpart(ABC):
    """A VTN as a simulation needs it. `sees` says in words where its view of the load comes from."""

    url: str
    sees: str
    keeps_readings: bool

    @abstractmethod
    def transport(self) -> Transport:
        """What leads to it."""

    @abstractmethod
    async def start(self) -> None:
        """Be ready for VENs."""

    @abstractmethod
    async def publish(self) -> None:
        """Publish the events of the plan."""

    @abstractmethod
    async def participation(self, sites: Sequence[Site]) -> list[Participation]:
        """What has become of the events, in order."""

    @abstractmethod
    async def readings(self, site: Site) -> Sequence[Reading]:
        """What the VTN has heard of a site's power."""

    @abstractmethod
    async def stop(self) -> None:
        """End what was started."""


class OwnVtn(Counterpart):
    """An `OpenADRServer` in the same process: every message is written, checked and read as on the network, and goes
    from one side to the other in memory. It asks every VEN for its power.
    """

    url = "http://127.0.0.1"
    sees = "the readings in the VTN's store"
    keeps_readings = False

    def __init__(self, plan: Plan, clock: Clock) -> None:
        """Make it; `settings` of `OpenADRServer` follow from the plan."""
        try:
            from pyopenadr.vtn.server import OpenADRServer
        except ImportError as error:
            raise ConfigError(f"a VTN of its own needs {error.name}: pip install 'pyopenadr[vtn]'") from error
        settings: dict[str, Any] = {"clock": clock, "poll_frequency": plan.poll, "push": None}
        if plan.faults.bad_signature:
            from pyopenadr.simulation.forgery import fresh_key

            settings |= {"signature": "accept", "signing_key": fresh_key("simulation", plan.start)}
        self.vtn = OpenADRServer("simulation", **settings)
        self._plan = plan
        self._clock = clock
        self._published: dict[str, datetime] = {}

    def transport(self) -> Transport:
        return MemoryTransport(self.vtn.handle, clock=self._clock)

    async def start(self) -> None:
        await self.vtn.start()
        telemetry = self._plan.telemetry
        await self.vtn.add_report_rule(rule_id="load", granularity=telemetry, report_back_duration=telemetry)

    async def publish(self) -> None:
        for event in self._plan.events:
            await self.vtn.add_event(event)
            self._published[event.event_id] = self._clock.now()

    async def participation(self, sites: Sequence[Site]) -> list[Participation]:
        names = {site.client.ven_id: site.name for site in sites if site.client is not None}
        found = []
        for event in self._plan.events:
            if event.event_id not in self._published:
                continue
            published = self._published[event.event_id]
            answers = [answer for answer in await self.vtn.answers(event.event_id) if answer.ven_id in names]
            good = [answer for answer in answers if answer.response_code.startswith("2")]
            found.append(
                Participation(
                    event=event,
                    concerned=len(sites),
                    answers={names[answer.ven_id]: answer.opt_type for answer in good},
                    refusals=len(answers) - len(good),
                    seconds=tuple((answer.answered_at - published).total_seconds() for answer in answers),
                )
            )
        return found

    async def readings(self, site: Site) -> Sequence[Reading]:
        if site.client is None or site.client.ven_id is None:
            return ()
        return [stored.reading for stored in await self.vtn.readings(site.client.ven_id)]

    async def stop(self) -> None:
        await self.vtn.stop()


class OtherVtn(Counterpart):
    """A VTN over HTTP, which does what it does. What it knows is what it has confirmed to the VENs.

    Raises:
        ConfigError: it is not on this machine, and `anywhere` does not say that that is meant; or no address.
    """

    sees = "the readings that the VTN has confirmed"
    keeps_readings = True

    def __init__(self, url: str, *, anywhere: bool = False, **settings: Any) -> None:
        host = urlsplit(base_of(url)).hostname or ""
        if not anywhere and not _is_this_machine(host):
            raise ConfigError(
                f"{host} is another machine, and a fleet that floods it with faults is an attack unless its owner "
                "agrees: take a VTN on loopback, or say that you mean it (anywhere=True, or "
                "--i-may-load-this-vtn)"
            )
        self.url = url
        self._http = HttpTransport(**settings)

    def transport(self) -> Transport:
        return self._http

    async def start(self) -> None:
        return

    async def publish(self) -> None:
        return

    async def participation(self, sites: Sequence[Site]) -> list[Participation]:
        events = {event_id: response.event for site in sites for event_id, response in site.responses.items()}
        found = []
        for event_id, event in sorted(events.items(), key=lambda item: (item[1].start, item[0])):
            told = {
                site.name: (response.opt_type, (response.told_at - response.seen_at).total_seconds())
                for site in sites
                if (response := site.responses.get(event_id)) is not None and response.told_at is not None
            }
            found.append(
                Participation(
                    event=event,
                    concerned=sum(event_id in site.responses for site in sites),
                    answers={name: opt_type for name, (opt_type, _) in told.items()},
                    refusals=0,
                    seconds=tuple(seconds for _, seconds in told.values()),
                )
            )
        return found

    async def readings(self, site: Site) -> Sequence[Reading]:
        return site.acknowledged

    async def stop(self) -> None:
        await self._http.close()


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
