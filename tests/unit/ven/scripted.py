"""A VTN that says what the test wants, and remembers what it was told."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pyopenadr.clock import FakeClock
from pyopenadr.model import Event, Interval, Signal
from pyopenadr.transport.port import Reply
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge import lower_events
from pyopenadr.v2.codec import decode, encode
from pyopenadr.v2.faults import response
from pyopenadr.ven import OpenADRClient

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
BASE = "https://vtn.example/OpenADR2/Simple/2.0b/"
HOUR = timedelta(hours=1)

M = TypeVar("M", bound=wire.Message)
Answer = wire.Message | bytes | int | Exception | None
Rule = Callable[[Any], Answer]


class ScriptedVtn:
    """A `Transport` whose other end is played by the test.

    `queue` is what polls bring, `rules` replaces the answers to a kind of message. An answer is a message, a body, an
    HTTP status, an error that is raised, or None for an empty body.
    """

    def __init__(self) -> None:
        self.queue: deque[Answer] = deque()
        self.rules: dict[type[wire.Message], Rule] = {}
        self.log: list[tuple[str, wire.Message]] = []
        self.times: list[datetime] = []
        self.clock: FakeClock | None = None
        self.events: list[Event] = []
        self.poll_frequency: timedelta | None = timedelta(seconds=10)
        self.closed = 0

    async def post(self, url: str, body: bytes) -> Reply:
        assert url.startswith(BASE), url
        message = decode(body, profile="2.0b").message
        self.log.append((url.removeprefix(BASE), message))
        if self.clock is not None:
            self.times.append(self.clock.now())
        await asyncio.sleep(0)
        rule = self.rules.get(type(message), self.default)
        answer = rule(message)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            return Reply(answer, b"<html>no\r\nway</html>")
        if isinstance(answer, bytes):
            return Reply(200, answer)
        return Reply(200, b"" if answer is None else encode(answer))

    async def close(self) -> None:
        self.closed += 1

    def default(self, message: wire.Message) -> Answer:
        match message:
            case wire.OadrPoll():
                return self.queue.popleft() if self.queue else ok()
            case wire.OadrQueryRegistration() | wire.OadrCreatePartyRegistration():
                return self.created(message)
            case wire.OadrCancelPartyRegistration():
                return wire.OadrCanceledPartyRegistration(response=response(message.request_id))
            case wire.OadrRequestEvent():
                return self.distribute(response=response(message.request_id))
            case wire.OadrRegisterReport():
                return wire.OadrRegisteredReport(response=response(message.request_id))
            case wire.OadrUpdateReport():
                return wire.OadrUpdatedReport(response=response(message.request_id))
            case wire.OadrCreateReport():
                ids = tuple(request.report_request_id for request in message.report_requests)
                return wire.OadrCreatedReport(response=response(message.request_id), pending_reports=ids)
            case wire.OadrCancelReport():
                return wire.OadrCanceledReport(response=response(message.request_id), pending_reports=())
            case wire.OadrCreateOpt():
                return wire.OadrCreatedOpt(response=response(message.request_id), opt_id=message.opt_id)
            case wire.OadrCancelOpt():
                return wire.OadrCanceledOpt(response=response(message.request_id), opt_id=message.opt_id)
            case wire.OadrResponse():
                return None
        return ok()

    def created(self, message: wire.Message, **fields: Any) -> wire.OadrCreatedPartyRegistration:
        is_query = isinstance(message, wire.OadrQueryRegistration)
        values: dict[str, Any] = {
            "response": response(message["request_id"]),
            "registration_id": None if is_query else "reg-1",
            "ven_id": None if is_query else "ven-1",
            "vtn_id": "vtn-1",
            "profiles": (wire.OadrProfile(profile_name="2.0b", transports=("simpleHttp",)),),
            "requested_oadr_poll_freq": self.poll_frequency,
        }
        return wire.OadrCreatedPartyRegistration(**(values | fields))

    def distribute(self, *events: Event, **fields: Any) -> wire.OadrDistributeEvent:
        now = self.clock.now() if self.clock is not None else NOW
        values: dict[str, Any] = {"now": now, "vtn_id": "vtn-1", "request_id": "d-1", "response": response()}
        return lower_events(events or self.events, **(values | fields)).value

    def names(self) -> list[str]:
        """The kinds of all messages so far, without the polls."""
        return [message.message_type for _, message in self.log if not isinstance(message, wire.OadrPoll)]

    def sent(self, kind: type[M]) -> list[M]:
        """All messages of a kind."""
        return [message for _, message in self.log if isinstance(message, kind)]

    def last(self, kind: type[M]) -> M:
        """The last message of a kind."""
        return self.sent(kind)[-1]


def ok(request_id: str = "") -> wire.OadrResponse:
    return wire.OadrResponse(response=response(request_id))


def refusal(code: str, text: str = "no") -> wire.OadrResponse:
    return wire.OadrResponse(response=response("", code, text))


def event(event_id: str = "e1", **fields: Any) -> Event:
    """An event of an hour, in an hour."""
    signal = Signal(signal_name="SIMPLE", signal_type="level", signal_id="s", intervals=(Interval(HOUR, 1.0),))
    values: dict[str, Any] = {
        "start": NOW + HOUR,
        "duration": HOUR,
        "signals": (signal,),
        "created_date_time": NOW,
        "market_context": "http://market.example/",
    }
    return Event(event_id=event_id, **(values | fields))


def client_of(vtn: ScriptedVtn, clock: FakeClock | None = None, **settings: Any) -> OpenADRClient:
    """A client of that VTN that draws the same lots each time and has no jitter."""
    kind = settings.pop("kind", OpenADRClient)
    vtn.clock = clock
    values: dict[str, Any] = {"transport": vtn, "clock": clock, "random": random.Random(1), "jitter": 0.0}
    made: OpenADRClient = kind("my ven", "https://vtn.example", **(values | settings))
    return made


@asynccontextmanager
async def running(client: OpenADRClient, clock: FakeClock) -> AsyncIterator[OpenADRClient]:
    """The client in auto mode; afterwards no task may be left."""
    before = asyncio.all_tasks()
    task = asyncio.create_task(client.run())
    try:
        await clock.settle()
        yield client
        assert not task.done(), "auto mode must not end by itself"
    finally:
        await client.stop()
        await task
    left = asyncio.all_tasks() - before
    assert not left, left


async def threads(clock: FakeClock, done: Callable[[], bool]) -> None:
    """Let handlers that run in threads come to an end."""
    for _ in range(500):
        await clock.settle(5)
        if done():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the thread did not get done")


def problems(records: list[logging.LogRecord]) -> list[str]:
    """What was logged as a warning or worse."""
    return [record.getMessage() for record in records if record.levelno >= logging.WARNING]
