"""A VEN made by hand that plays to the VTN under test."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from pyopenadr.clock import Clock
from pyopenadr.conformance.check import Broken, Exchange, NotApplicable
from pyopenadr.conformance.judge import Judge
from pyopenadr.conformance.line import HttpReply, Line
from pyopenadr.conformance.record import Record
from pyopenadr.conformance.seal import Seal
from pyopenadr.conformance.served import Asked
from pyopenadr.conformance.stimulus import Stimulus
from pyopenadr.conformance.vtn import sample
from pyopenadr.errors import TransportError, WireError
from pyopenadr.v2 import decode, faults, wire
from pyopenadr.v2.check import EXCHANGES

__all__ = ["Answer", "VtnStage"]

M = TypeVar("M", bound=wire.Message)
PATH = "/OpenADR2/Simple/2.0b/"
_POLLS_APART_S = 0.2
_MOST_WAITING = 50


class Answer(NamedTuple):
    """The VTN's reply to one request. `message` is None if it can't be read, and `wrong` says why."""

    reply: HttpReply
    exchange: Exchange
    message: wire.Message | None = None
    wrong: str = ""

    def __str__(self) -> str:
        if self.reply.status != 200:
            return f"HTTP {self.reply.status}"
        if self.message is None:
            return self.wrong
        response = faults.response_of(self.message)
        return self.message.message_type + (f" with {response.response_code}" if response is not None else "")

    @property
    def code(self) -> str | None:
        """The response code in the message, None where there is none."""
        response = faults.response_of(self.message) if self.message is not None else None
        return response.response_code if response is not None else None


class VtnStage:
    """The VEN, what it is registered as, and what it can do.

    With TLS, `bare_context` is one without a certificate, and `certified_context` one with nothing but TLS 1.2 and
    the two suites of rule 67.

    `tamper` may change a reply before it is looked at; the tests of the checks use it.
    """

    def __init__(
        self,
        line: Line,
        *,
        clock: Clock,
        ven_name: str = "conformance",
        seal: Seal | None = None,
        stimulus: Stimulus | None = None,
        push_url: str | None = None,
        bare_context: ssl.SSLContext | None = None,
        certified_context: ssl.SSLContext | None = None,
        patience_s: float = 5.0,
        tamper: Callable[[str, HttpReply], HttpReply] = lambda request, reply: reply,
    ) -> None:
        self.line = line
        self.clock = clock
        self.record = Record(clock)
        self.judge = Judge("vtn")
        self.seal = seal if seal is not None else Seal(clock)
        self.ven_name = ven_name
        self.push_url = push_url
        self.bare_context = bare_context
        self.certified_context = certified_context
        self.patience_s = patience_s
        self.ven_id = ""
        self.registration_id = ""
        self.vtn_id = ""
        self._stimulus = stimulus
        self._tamper = tamper
        self._pushed: asyncio.Queue[wire.Message] = asyncio.Queue()
        self._names = 0
        self._round = f"{clock.now():%m%d%H%M%S}"

    def begin(self) -> None:
        """A new check begins."""
        self.record.mark()

    @property
    def stimulus(self) -> Stimulus:
        """What moves the operator's side.

        Raises:
            NotApplicable: there is none.
        """
        if self._stimulus is None:
            raise NotApplicable("needs the operator's side: give --api or --stimulus")
        return self._stimulus

    def new_id(self, kind: str) -> str:
        """An ID that this run has not used."""
        self._names += 1
        return f"{kind}-{self._round}-{self._names}"

    async def reach(self) -> None:
        """See that somebody is there, before all checks fail for nothing.

        Raises:
            TransportError: nobody is.
        """
        await self.line.ask(f"{self.line.prefix}{PATH}EiRegisterParty", b"")

    async def is_there(self) -> bool:
        """Whether somebody still is."""
        try:
            await self.reach()
        except TransportError:
            return False
        return True

    # --- one exchange -----------------------------------------------------------------------------------------------

    async def post(
        self,
        service: str,
        body: bytes,
        *,
        path: str | None = None,
        method: str = "POST",
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Send any bytes to a service, or to any path.

        Raises:
            TransportError: there is no reply.
        """
        where = path if path is not None else f"{self.line.prefix}{PATH}{service}"
        request = f"{method} {where}"
        try:
            reply = await self.line.ask(where, body, method=method, headers=headers)
        except TransportError:
            self.record.keep("ven", request, body, 0, b"")
            raise
        reply = self._tamper(service, reply)
        exchange = self.record.keep("ven", request, body, reply.status, reply.body)
        if reply.status != 200 or not reply.body or reply.header("content-encoding") not in (None, "identity"):
            return Answer(reply, exchange, wrong=f"HTTP {reply.status} without a message")
        self._note_headers(reply, exchange)
        message, wrong = self.judge.see(reply.body, exchange)
        return Answer(reply, exchange, message, f"what can't be read: {wrong}" if message is None else "")

    def _note_headers(self, reply: HttpReply, exchange: Exchange) -> None:
        kind = (reply.header("content-type") or "nothing").lower()
        is_xml = kind.split(";")[0].strip() == "application/xml"
        self.judge.note("http-type", exchange, *(() if is_xml else (f"the Content-Type is {kind}",)))
        has_length = reply.header("content-length") is not None
        self.judge.note("http-length", exchange, *(() if has_length else ("there is no Content-Length",)))
        is_chunked = "chunked" in (reply.header("transfer-encoding") or "").lower()
        self.judge.note("http-chunked", exchange, *(("it comes in chunks",) if is_chunked else ()))

    async def say(self, message: wire.Message, *, service: str | None = None) -> Answer:
        """Send a message to its service, or to another one."""
        answer = await self.post(service or EXCHANGES[message.message_type].endpoint, self.seal.write(message))
        if answer.message is not None and self.seal.trust is not None:
            self.seal.check(answer.reply.body)
        return answer

    # --- the course of things -----------------------------------------------------------------------------------------

    async def register(self, **fields: object) -> Answer:
        """Send a registration, and keep the IDs that come back."""
        answer = await self.say(sample.registration(self, **fields))
        created = answer.message
        if isinstance(created, wire.OadrCreatedPartyRegistration) and faults.is_success(created.response.response_code):
            self.ven_id = created.ven_id or self.ven_id
            self.registration_id = created.registration_id or self.registration_id
            self.vtn_id = created.vtn_id
        return answer

    async def registered(self) -> None:
        """Be registered, with our reports offered and nothing waiting.

        Raises:
            NotApplicable: the VTN does not let us in.
        """
        if not self.registration_id:
            await self._join()
        await self.drain()

    async def _join(self) -> None:
        answer = await self.register()
        if not self.registration_id:
            raise NotApplicable(f"the VTN does not register us: {answer}")
        await self.offer()
        await self.say(wire.OadrRequestEvent(request_id=self.new_id("request"), ven_id=self.ven_id))

    async def offer(self) -> Answer:
        """Offer our reports."""
        message = wire.OadrRegisterReport(
            request_id=self.new_id("offer"), reports=sample.offered(self.clock.now()), ven_id=self.ven_id
        )
        answer = await self.say(message)
        if isinstance(answer.message, wire.OadrRegisteredReport) and answer.message.report_requests:
            ids = tuple(each.report_request_id for each in answer.message.report_requests)
            await self.say(sample.created_report(self, message.request_id, ids))
        return answer

    async def poll(self) -> Answer:
        """Ask what waits."""
        return await self.say(wire.OadrPoll(ven_id=self.ven_id))

    async def drain(self) -> None:
        """Take and answer whatever waits."""
        if self.push_url is not None:
            while not self._pushed.empty():
                await self.answer(self._pushed.get_nowait())
            return
        for _ in range(_MOST_WAITING):
            waiting = await self.poll()
            if waiting.message is None or isinstance(waiting.message, wire.OadrResponse):
                return
            await self.answer(waiting.message)

    async def fetch(
        self, kind: type[M], *, holds: Callable[[M], bool] = lambda message: True, within_s: float | None = None
    ) -> M:
        """The next such message of the VTN's, by polling or by push. Others that come before are answered.

        Raises:
            Broken: it does not come.
        """
        patience_s = within_s if within_s is not None else self.patience_s
        end = self.clock.now().timestamp() + patience_s
        while True:
            found = await self._next()
            if isinstance(found, kind) and holds(found):
                return found
            if found is not None and not isinstance(found, wire.OadrResponse):
                await self.answer(found)
            elif self.clock.now().timestamp() > end:
                raise Broken(f"no such {kind.__name__[0].lower()}{kind.__name__[1:]} has come within {patience_s:g} s")
            else:
                await self.clock.sleep(_POLLS_APART_S)

    async def _next(self) -> wire.Message | None:
        if self.push_url is None:
            return (await self.poll()).message
        return self._pushed.get_nowait() if not self._pushed.empty() else None

    async def answer(self, message: wire.Message, opt_type: str = "optIn") -> Answer | None:
        """Answer a message of the VTN's as a VEN should; None if nothing is to be sent."""
        if isinstance(message, wire.OadrDistributeEvent):
            wanted = [each for each in message.events if each.response_required == "always"]
            return await self.say(sample.created_event(self, message, opt_type)) if wanted else None
        reply = sample.reply_to(self, message)
        answer = await self.say(reply) if reply is not None and self.push_url is None else None
        if isinstance(message, wire.OadrRequestReregistration):
            await self.register(ven_id=self.ven_id, registration_id=self.registration_id)
        elif isinstance(message, wire.OadrCancelPartyRegistration):
            self.registration_id = ""
        return answer

    async def take_push(self, asked: Asked) -> tuple[int, bytes]:
        """Our own server: what the VTN pushes is kept for `fetch`, and answered in the same exchange."""
        request = f"{asked.method} {asked.path}"
        try:
            message = decode(asked.body, leniency=("all",)).message
        except WireError as error:
            exchange = self.record.keep("vtn", request, asked.body, 406, b"")
            self.judge.see(asked.body, exchange)
            return 406, str(error).encode()
        reply = sample.reply_to(self, message)
        body = self.seal.write(reply) if reply is not None else b""
        exchange = self.record.keep("vtn", request, asked.body, 200, body)
        self.judge.see(asked.body, exchange)
        self._pushed.put_nowait(message)
        return 200, body

    async def events(self, reply_limit: int | None = None) -> wire.OadrDistributeEvent:
        """The VTN's list of our events, asked for; oadrResponse with success counts as an empty one.

        Raises:
            Broken: something else comes back.
        """
        request = wire.OadrRequestEvent(request_id=self.new_id("request"), ven_id=self.ven_id, reply_limit=reply_limit)
        answer = await self.say(request)
        if isinstance(answer.message, wire.OadrDistributeEvent):
            return answer.message
        if isinstance(answer.message, wire.OadrResponse) and faults.is_success(answer.message.response.response_code):
            return wire.OadrDistributeEvent(request_id="", vtn_id=self.vtn_id)
        raise Broken(f"oadrRequestEvent is answered by {answer}")
