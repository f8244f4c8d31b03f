"""A VTN without sockets and VENs made by hand, for the tests of the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from pyopenadr.clock import FakeClock
from pyopenadr.model import DataPoint, Event, Interval, Signal, Unit
from pyopenadr.store import MemoryStore, Store
from pyopenadr.store.sharing import Sharing
from pyopenadr.v2 import decode, encode, wire
from pyopenadr.v2.profile import ProfileName
from pyopenadr.vtn.server import OpenADRServer

NOW = datetime(2030, 6, 1, 10, 0, 0, 250_000, tzinfo=UTC)
SECOND = NOW.replace(microsecond=0)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
KILOWATT = Unit(name="powerReal", symbol="W", scale="k", hertz=50.0, voltage=230.0, ac=True)
OK = wire.EiResponse(response_code="200", response_description="OK", request_id="")

M = TypeVar("M", bound=wire.Message)


def server(store: Store | str | None = None, **settings: Any) -> OpenADRServer:
    """A VTN whose clock stands still."""
    defaults: dict[str, Any] = {"clock": FakeClock(NOW), "port": 0, "database": store}
    return OpenADRServer("vtn", **(defaults | settings))


@asynccontextmanager
async def running(store: Store | str | None = None, **settings: Any) -> AsyncIterator[OpenADRServer]:
    """Such a VTN, started and stopped without a socket."""
    vtn = server(store, **settings)
    await vtn.start()
    try:
        yield vtn
    finally:
        await vtn.stop()


def clock_of(vtn: OpenADRServer) -> FakeClock:
    """The clock of such a VTN."""
    assert isinstance(vtn.clock, FakeClock)
    return vtn.clock


async def again(vtn: OpenADRServer, store: Store | str, **settings: Any) -> OpenADRServer:
    """The VTN after a restart of its process: everything in memory is gone but what the store holds."""
    await vtn.stop()
    return server(store, clock=vtn.clock, **settings)


def store_at(kind: str, tmp_path: Path) -> Store | str:
    """A store that outlives the server: memory, or a file."""
    return MemoryStore() if kind == "memory" else f"sqlite:///{tmp_path / 'vtn.db'}"


def answer_to(request_id: str = "", code: str = "200") -> wire.EiResponse:
    """What a VEN says to a request."""
    return wire.EiResponse(response_code=code, response_description="", request_id=request_id)


async def eventually(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait until the condition holds: what threads do takes real time, whatever the clock of the test says."""
    for _ in range(1000):
        if await condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


class Ven:
    """A VEN made by hand: it sends what it is told to, and checks nothing but the schema."""

    def __init__(self, vtn: OpenADRServer, ven_id: str = "") -> None:
        self.vtn = vtn
        self.ven_id = ven_id
        self.registration_id = ""

    async def post(self, service: str, message: wire.Message, profile: ProfileName = "2.0b") -> tuple[int, bytes]:
        path = "/OpenADR2/Simple/2.0b/" if profile == "2.0b" else "/OpenADR2/Simple/"
        return await self.vtn.handle(path + service, encode(message, profile=profile))

    async def send(self, service: str, message: wire.Message, kind: type[M], profile: ProfileName = "2.0b") -> M:
        """The reply to a message; it has to be one of that kind and valid by the schema."""
        status, body = await self.post(service, message, profile)
        assert status == 200
        reply = decode(body, profile=profile).message
        assert isinstance(reply, kind), reply
        return reply

    async def register(self, name: str | None = "ven", **fields: Any) -> wire.OadrCreatedPartyRegistration:
        defaults: dict[str, Any] = {
            "request_id": "r1",
            "profile_name": "2.0b",
            "transport_name": "simpleHttp",
            "report_only": False,
            "xml_signature": False,
            "http_pull_model": True,
            "ven_name": name,
        }
        message = wire.OadrCreatePartyRegistration(**(defaults | fields))
        reply = await self.send("EiRegisterParty", message, wire.OadrCreatedPartyRegistration)
        self.ven_id = reply.ven_id or self.ven_id
        self.registration_id = reply.registration_id or self.registration_id
        return reply

    async def join(self, name: str | None = "ven") -> Ven:
        """Register and take note of the VTN's (absent) reports."""
        await self.register(name)
        await self.take_offer()
        return self

    async def take_offer(self, **fields: Any) -> wire.OadrRegisterReport:
        """Poll for the VTN's reports and answer."""
        offer = await self.poll(wire.OadrRegisterReport)
        reply = wire.OadrRegisteredReport(response=answer_to(offer.request_id), ven_id=self.ven_id, **fields)
        status, _ = await self.post("EiReport", reply)
        assert status == 200
        return offer

    async def poll(self, kind: type[M]) -> M:
        return await self.send("OadrPoll", wire.OadrPoll(ven_id=self.ven_id), kind)

    async def is_idle(self) -> bool:
        """Whether a poll gets the blank oadrResponse."""
        reply = await self.poll(wire.Message)
        return isinstance(reply, wire.OadrResponse) and reply.response.response_code == "200"

    async def request_events(self, **fields: Any) -> wire.OadrDistributeEvent:
        message = wire.OadrRequestEvent(request_id="q1", ven_id=self.ven_id, **fields)
        return await self.send("EiEvent", message, wire.OadrDistributeEvent)

    async def answer(
        self, events: wire.OadrDistributeEvent, opt_type: str = "optIn", code: str = "200"
    ) -> wire.OadrResponse:
        """Answer all events of a message."""
        responses = [
            event_response(
                event.event_descriptor.event_id,
                event.event_descriptor.modification_number,
                request_id=events.request_id,
                opt_type=opt_type,
                code=code,
            )
            for event in events.events
        ]
        return await self.created_event(responses)

    async def created_event(self, responses: Sequence[wire.EventResponse]) -> wire.OadrResponse:
        message = wire.OadrCreatedEvent(response=OK, event_responses=tuple(responses), ven_id=self.ven_id)
        return await self.send("EiEvent", message, wire.OadrResponse)

    async def register_reports(self, *reports: wire.OadrReport, **fields: Any) -> wire.OadrRegisteredReport:
        message = wire.OadrRegisterReport(
            request_id="rr1", reports=reports or (metadata(),), ven_id=self.ven_id, **fields
        )
        return await self.send("EiReport", message, wire.OadrRegisteredReport)

    async def created_report(self, request_id: str, *pending: str, code: str = "200") -> wire.OadrResponse:
        message = wire.OadrCreatedReport(
            response=answer_to(request_id, code), pending_reports=pending, ven_id=self.ven_id
        )
        return await self.send("EiReport", message, wire.OadrResponse)

    async def update_report(self, *reports: wire.OadrReport) -> wire.OadrUpdatedReport:
        message = wire.OadrUpdateReport(request_id="u1", reports=reports, ven_id=self.ven_id)
        return await self.send("EiReport", message, wire.OadrUpdatedReport)


def event_response(
    event_id: str, modification_number: int = 0, *, request_id: str = "d1", opt_type: str = "optIn", code: str = "200"
) -> wire.EventResponse:
    return wire.EventResponse(
        response_code=code,
        request_id=request_id,
        event_id=event_id,
        modification_number=modification_number,
        opt_type=opt_type,
    )


def event(event_id: str = "e1", **fields: Any) -> Event:
    """An event of an hour that starts in an hour."""
    defaults: dict[str, Any] = {
        "start": NOW.replace(microsecond=0) + HOUR,
        "duration": HOUR,
        "signals": (
            Signal(signal_name="SIMPLE", signal_type="level", signal_id="s1", intervals=(Interval(HOUR, 1.0),)),
        ),
        "created_date_time": NOW.replace(microsecond=0),
        "market_context": "http://market.example/a",
    }
    return Event(event_id=event_id, **(defaults | fields))


def open_ended(event_id: str = "e1", **fields: Any) -> Event:
    """An event that lasts until it is cancelled, and is running."""
    signal = Signal(signal_name="SIMPLE", signal_type="level", signal_id="s1", intervals=(Interval(timedelta(0), 1.0),))
    start = NOW.replace(microsecond=0) - HOUR
    return event(event_id, start=start, duration=timedelta(0), signals=(signal,), **fields)


def ids(message: wire.OadrDistributeEvent) -> list[str]:
    """The events of a message."""
    return [event.event_descriptor.event_id for event in message.events]


def metadata(specifier: str = "telemetry", *r_ids: str) -> wire.OadrReport:
    """A report that a VEN offers: each rID sampled each minute up to each hour, an hour of it kept."""
    return wire.OadrReport(
        duration=HOUR,
        report_descriptions=tuple(
            wire.ReportDescription(
                r_id=r_id,
                report_type="usage",
                item_base=wire.ItemBase(
                    element="powerReal",
                    item_description="RealPower",
                    item_units="W",
                    si_scale_code="k",
                    power_attributes=wire.PowerAttributes(hertz=50.0, voltage=230.0, ac=True),
                ),
                reading_type="Direct Read",
                sampling_rate=wire.SamplingRate(min_period=MINUTE, max_period=HOUR, on_change=False),
            )
            for r_id in r_ids or ("power",)
        ),
        report_request_id="0",
        report_specifier_id=specifier,
        report_name="METADATA_TELEMETRY_USAGE",
        created_date_time=NOW,
    )


def data(
    report_request_id: str,
    *values: float,
    specifier: str = "telemetry",
    r_id: str = "power",
    start: datetime = SECOND,
) -> wire.OadrReport:
    """A report with one value for each minute."""
    return wire.OadrReport(
        dtstart=start,
        intervals=tuple(
            wire.Interval(dtstart=start + number * MINUTE, payloads=(wire.ReportPayload(r_id=r_id, value=value),))
            for number, value in enumerate(values)
        ),
        report_request_id=report_request_id,
        report_specifier_id=specifier,
        report_name="TELEMETRY_USAGE",
        created_date_time=start,
    )


def point(r_id: str = "price") -> DataPoint:
    """A data point that the VTN offers."""
    return DataPoint(r_id=r_id, unit=KILOWATT, min_period=MINUTE, max_period=HOUR)


def wanted(report_request_id: str = "q1", specifier: str = "tariff", **fields: Any) -> wire.ReportRequest:
    """A VEN's request for a single report of the VTN."""
    defaults: dict[str, Any] = {"granularity": timedelta(0), "report_back_duration": timedelta(0)}
    r_id = fields.pop("r_id", "price")
    return wire.ReportRequest(
        report_request_id=report_request_id,
        report_specifier=wire.ReportSpecifier(
            report_specifier_id=specifier,
            specifier_payloads=(wire.SpecifierPayload(r_id=r_id, reading_type="x-notApplicable"),),
            **(defaults | fields),
        ),
    )


def periodic(report_request_id: str = "q1", **fields: Any) -> wire.ReportRequest:
    """A VEN's request for a report of the VTN each 5 minutes, from now on."""
    interval = wire.WsCalendarInterval(dtstart=NOW.replace(microsecond=0), duration=timedelta(0))
    defaults: dict[str, Any] = {
        "granularity": MINUTE,
        "report_back_duration": 5 * MINUTE,
        "report_interval": interval,
    }
    return wanted(report_request_id, **(defaults | fields))


class Broken:
    """A store that stops working when told to, before or after the change; it also counts what is asked of it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.calls: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.fails_after: dict[str, Exception] = {}
        self.before: Callable[[str], Awaitable[None]] | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        if name == "subscribe" or name in vars(Sharing):
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            if self.before is not None:
                await self.before(name)
            if name in self.fails:
                raise self.fails[name]
            result = await method(*args, **kwargs)
            if name in self.fails_after:
                raise self.fails_after[name]
            return result

        return call
