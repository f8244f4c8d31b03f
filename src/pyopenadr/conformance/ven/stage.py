"""A VTN made by hand that plays to the VEN under test."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple, TypeVar

from pyopenadr.clock import Clock
from pyopenadr.conformance.check import Broken, Exchange, NotApplicable
from pyopenadr.conformance.judge import Judge
from pyopenadr.conformance.line import HttpReply
from pyopenadr.conformance.record import Record
from pyopenadr.conformance.seal import Seal
from pyopenadr.conformance.served import Asked
from pyopenadr.conformance.ven import reply as replies
from pyopenadr.errors import TransportError, WireError
from pyopenadr.v2 import decode, encode, faults, wire
from pyopenadr.v2.check import EXCHANGES

__all__ = ["Heard", "VenStage"]

M = TypeVar("M", bound=wire.Message)
Call = Callable[[str, bytes], Awaitable[HttpReply]]
_LOOK_S = 0.1
_PREFIX = "/openadr2/simple/2.0b/"


class Heard(NamedTuple):
    """One message of the VEN, with when and where it came."""

    message: wire.Message
    exchange: Exchange
    asked: Asked

    @property
    def at_s(self) -> float:
        """When, in seconds of the stage's clock."""
        return self.exchange.at.timestamp()


class VenStage:
    """The VTN: what it knows of the VEN, what waits for it, and what it has heard.

    Messages wait until the VEN polls, or are pushed to it by `call` if it has registered with an address. `tamper` may
    change what the VEN sends before it is looked at; the tests of the checks use it.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        vtn_id: str = "TH_VTN",
        poll_frequency: timedelta = timedelta(seconds=1),
        seal: Seal | None = None,
        call: Callable[[str], Call] | None = None,
        patience_s: float = 8.0,
        boot_s: float = 60.0,
        tamper: Callable[[bytes], bytes] = lambda body: body,
    ) -> None:
        self.clock = clock
        self.record = Record(clock)
        self.judge = Judge("ven")
        self.seal = seal if seal is not None else Seal(clock)
        self.vtn_id = vtn_id
        self.poll_frequency = poll_frequency
        self.patience_s = patience_s
        self.boot_s = boot_s
        self.ven_id = "conformance-ven"
        self.registration_id = ""
        self.registered_once = False
        self.push_address: str | None = None
        self.events: list[wire.OadrEvent] = []
        self.offered: dict[str, wire.OadrReport] = {}
        self.wanted: tuple[wire.ReportRequest, ...] = ()
        self.to_cancel: wire.OadrCancelReport | None = None
        self.heard: list[Heard] = []
        self.unreadable: list[str] = []
        self.trouble: deque[tuple[int, bytes]] = deque()
        self.request_id = ""
        self._waiting: deque[bytes] = deque()
        self._call = call
        self._tamper = tamper
        self._mark = 0
        self._names = 0

    def begin(self) -> None:
        """A new check begins."""
        self.record.mark()
        self._mark = len(self.heard)
        self.events.clear()
        self._waiting.clear()
        self.trouble.clear()
        self.wanted, self.to_cancel = (), None

    async def is_there(self) -> bool:
        """A VEN comes by itself, or does not: each check says so."""
        return True

    def new_id(self, kind: str) -> str:
        """An ID that this run has not used."""
        self._names += 1
        return f"{kind}-{self._names}"

    # --- the server ---------------------------------------------------------------------------------------------------

    async def handle(self, asked: Asked) -> tuple[int, bytes]:
        """Answer one request of the VEN."""
        body = self._tamper(asked.body)
        asked = asked._replace(body=body)
        request = f"{asked.method} {asked.path}"
        try:
            message = decode(body, leniency=("all",)).message
        except WireError as error:
            exchange = self.record.keep("ven", request, body, 406, b"")
            self.judge.see(body, exchange)
            self._note_request(asked, exchange, None)
            self.unreadable.append(str(error))
            return 406, f"{error}\n".encode()
        if self.trouble and isinstance(message, wire.OadrPoll):
            status, answer = self.trouble.popleft()
        elif self._waiting and isinstance(message, wire.OadrPoll) and message.ven_id == self.ven_id:
            status, answer = 200, self._waiting.popleft()
        else:
            reply = replies.reply_to(self, message)
            status, answer = 200, self.seal.write(reply) if reply is not None else b""
        exchange = self.record.keep("ven", request, body, status, answer)
        self._keep(message, exchange, asked)
        return status, answer

    def _keep(self, message: wire.Message, exchange: Exchange, asked: Asked | None) -> None:
        self.judge.see(exchange.sent if asked is not None else exchange.received, exchange)
        if asked is not None:
            self._note_request(asked, exchange, message)
        self.heard.append(Heard(message, exchange, asked or Asked("", "", {}, b"")))

    def _note_request(self, asked: Asked, exchange: Exchange, message: wire.Message | None) -> None:
        if not asked.headers:  # it came without HTTP
            return
        note, headers = self.judge.note, asked.headers
        kind = headers.get("content-type", "nothing").lower()
        is_xml = kind.split(";")[0].strip() == "application/xml"
        note("http-type", exchange, *(() if is_xml else (f"the Content-Type is {kind}",)))
        note("http-length", exchange, *(() if "content-length" in headers else ("there is no Content-Length",)))
        note("http-chunked", exchange, *(("it comes in chunks",) if "transfer-encoding" in headers else ()))
        note("http-host", exchange, *(() if "host" in headers else ("there is no Host",)))
        note("http-method", exchange, *(() if asked.method == "POST" else (f"it is {asked.method}",)))
        if message is not None:
            service = EXCHANGES[message.message_type].endpoint
            path = asked.path.lower()
            is_right = path.endswith(f"{_PREFIX}{service.lower()}") or isinstance(message, wire.OadrResponse)
            problem = f"{message.message_type} comes to {asked.path}, and belongs to {service}"
            note("http-address", exchange, *(() if is_right else (problem,)))

    # --- the course of things -----------------------------------------------------------------------------------------

    async def registered(self) -> None:
        """Wait until the VEN is registered and has done what it does then.

        Raises:
            NotApplicable: it does not register.
        """
        await self._until(lambda: bool(self.registration_id), self.boot_s if not self.registered_once else 90.0)
        if not self.registration_id:
            raise NotApplicable("the VEN does not register")
        if not self.registered_once:
            await self._until(lambda: self._polls() > 0 or self.push_address is not None, self.patience_s)
            await self.clock.sleep(2.0)
            self.registered_once = True
        await self._until(lambda: not self._waiting and self._is_quiet(), self.patience_s)
        self._mark = len(self.heard)

    def _is_quiet(self) -> bool:
        """Whether the VEN does nothing but poll, so that what is left of the last check does not count for the next."""
        if self.push_address is not None:
            return not self.heard or self.clock.now().timestamp() > self.heard[-1].at_s + 1.0
        return all(isinstance(each.message, wire.OadrPoll) for each in self.heard[-2:])

    def _polls(self) -> int:
        return sum(isinstance(each.message, wire.OadrPoll) for each in self.heard[self._mark :])

    async def _until(self, holds: Callable[[], bool], within_s: float) -> bool:
        end = self.clock.now().timestamp() + within_s
        while not holds():
            if self.clock.now().timestamp() > end:
                return False
            await self.clock.sleep(_LOOK_S)
        return True

    async def deliver(self, message: wire.Message) -> None:
        """Have a message reach the VEN: at its next poll, or by push.

        Raises:
            Broken: the VEN does not come for it.
        """
        await self.deliver_bytes(EXCHANGES[message.message_type].endpoint, self.seal.write(message))

    async def deliver_bytes(self, service: str, body: bytes) -> None:
        """The same with a document as it is."""
        if self.push_address is not None:
            await self.push(service, body)
            return
        self._waiting.append(body)
        if not await self._until(lambda: not self._waiting, self.patience_s):
            raise Broken(f"the VEN has not polled for {self.patience_s:g} s")

    async def push(self, service: str, body: bytes) -> HttpReply:
        """Post to the VEN's own server.

        Raises:
            NotApplicable: it has none.
            TransportError: there is no reply.
        """
        if self.push_address is None or self._call is None:
            raise NotApplicable("the VEN is not pushed to")
        path = f"/OpenADR2/Simple/2.0b/{service}"
        try:
            reply = await self._call(self.push_address)(path, body)
        except TransportError:
            self.record.keep("vtn", f"POST {path}", body, 0, b"")
            raise
        exchange = self.record.keep("vtn", f"POST {path}", body, reply.status, reply.body)
        if reply.status == 200 and reply.body:
            try:
                message = decode(reply.body, leniency=("all",)).message
            except WireError as error:
                self.judge.see(reply.body, exchange)
                self.unreadable.append(str(error))
            else:
                self._keep(message, exchange, None)
        return reply

    async def hear(
        self, kind: type[M], *, holds: Callable[[M], bool] = lambda message: True, within_s: float | None = None
    ) -> M:
        """The first such message of the VEN's in this check, from before or still to come.

        Raises:
            Broken: it does not come.
        """
        patience_s = within_s if within_s is not None else self.patience_s
        found: list[M] = []

        def is_there() -> bool:
            found.extend(m for m in self.messages(kind) if holds(m))
            return bool(found)

        if not await self._until(is_there, patience_s):
            more = f"; what came can't be read: {self.unreadable[-1]}" if self.unreadable else ""
            name = f"{kind.__name__[0].lower()}{kind.__name__[1:]}"
            raise Broken(f"no such {name} has come within {patience_s:g} s{more}")
        return found[0]

    def messages(self, kind: type[M]) -> list[M]:
        """Every such message of this check so far."""
        return [each.message for each in self.heard[self._mark :] if isinstance(each.message, kind)]

    async def settle(self, polls: int = 3) -> None:
        """Wait until the VEN has polled a few times more, so that it has had time for whatever it does.

        Raises:
            Broken: it has stopped polling.
        """
        if self.push_address is not None:
            await self.clock.sleep(2.0)
            return
        before = self._polls()
        if not await self._until(lambda: self._polls() >= before + polls, self.patience_s + polls):
            raise Broken("the VEN polls no more")

    async def distribute(self, *events: wire.OadrEvent, request_id: str | None = None) -> str:
        """Send the VEN the list of its events; returns the requestID of the list."""
        self.events = list(events)
        self.request_id = request_id or self.new_id("list")
        await self.deliver(replies.distribution(self, self.request_id, is_push=self.push_address is not None))
        return self.request_id

    async def response_to(self, event_id: str, *, number: int | None = None) -> wire.EventResponse:
        """The VEN's answer to one event, in this check.

        Raises:
            Broken: there is none.
        """

        def fits(each: wire.EventResponse) -> bool:
            return each.event_id == event_id and number in (None, each.modification_number)

        def has_it(message: wire.OadrCreatedEvent) -> bool:
            return any(fits(each) for each in message.event_responses or ())

        try:
            message = await self.hear(wire.OadrCreatedEvent, holds=has_it)
        except Broken:
            whole = [each.response for each in self.messages(wire.OadrCreatedEvent) if not each.event_responses]
            if whole and not faults.is_success(whole[-1].response_code):
                raise Broken(f"the whole list is refused with {whole[-1].response_code}") from None
            raise Broken(f"event {event_id} is not answered within {self.patience_s:g} s") from None
        return next(each for each in message.event_responses or () if fits(each))

    def forget_answers(self) -> None:
        """From here on only what comes later counts."""
        self._mark = len(self.heard)

    def unsigned(self, message: wire.Message) -> bytes:
        """The message without a signature."""
        return encode(message)
