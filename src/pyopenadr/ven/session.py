"""One exchange with the VTN: a message out, the reply in, and a clear error for everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, TypeVar
from urllib.parse import urlsplit

from pyopenadr.clock import Clock
from pyopenadr.errors import (
    ConfigError,
    LocalProtocolError,
    PeerRefused,
    RemoteProtocolError,
    SignatureInvalid,
    TransportError,
    WireError,
)
from pyopenadr.transport.port import Reply, Transport
from pyopenadr.v2 import wire
from pyopenadr.v2.codec import Payload
from pyopenadr.v2.faults import raise_for, response_of
from pyopenadr.v2.leniency import RULES
from pyopenadr.v2.profile import A, ProfileName
from pyopenadr.ven.backoff import MOST_RETRY_AFTER_S, Draw
from pyopenadr.ven.journal import Journal, printable
from pyopenadr.ven.seal import Seal
from pyopenadr.ven.skew import Skew

__all__ = ["DEFAULT_LENIENCY", "PATH", "PATHS", "Session", "asks_to_register", "base_of"]

PATH = "/OpenADR2/Simple/2.0b"
"""The path of every 2.0b service, below the VTN's base address (2.0b rule 511)."""

PATHS: Final[Mapping[str, str]] = MappingProxyType({"2.0a": "/OpenADR2/Simple", "2.0b": PATH})
"""The path of the services, by profile."""

DEFAULT_LENIENCY = tuple(name for name in RULES if name != "unknown-element")
"""What a client takes from a VTN by default: every known deviation but elements whose meaning nobody knows."""

GRACE_S = 2.0
"""How long requests that are on their way may go on when the client is stopped, in seconds of the machine's clock."""

M = TypeVar("M", bound=wire.Message)

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_RETRY_STATUSES = frozenset((408, 425, 429))
_EXCERPT = 200


def base_of(vtn_url: str, profile: ProfileName = "2.0b") -> str:
    """The address that a service's name is added to, of a VTN's base address or one that ends in the profile's path.

    Raises:
        ConfigError: it is no address, or one of the other profile.
    """
    path = PATHS.get(profile)
    if path is None:
        raise ConfigError(f"profile must be {' or '.join(PATHS)}, not {profile!r}")
    try:
        parts = urlsplit(vtn_url.strip())
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
    if not port_is_fine or parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(
            f"the VTN's address must be like https://vtn.example.com or https://vtn.example.com{path}, not {vtn_url!r}"
        )
    base = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
    if profile == "2.0a" and base.endswith(PATH):
        raise ConfigError(f"{vtn_url!r} is the address of 2.0b services: leave out the {PATH}, or the profile 2.0a")
    return base if base.endswith(path) else base + path


def asks_to_register(error: Exception) -> bool:
    """Whether the VTN's refusal means that it doesn't know us as registered."""
    return isinstance(error, PeerRefused) and (error.code == "463" or error.message_type == "oadrRequestReregistration")


class Session:
    """Sends messages to one VTN. `successes` counts those that got the answer which they should get.

    `profile` is that of the seal; only its messages are sent.
    When the VTN says that it wants to be left alone for a while (Retry-After), nothing is sent until then.
    """

    def __init__(
        self,
        vtn_url: str,
        transport: Transport,
        *,
        clock: Clock,
        draw: Draw,
        journal: Journal,
        seal: Seal,
    ) -> None:
        self.profile = seal.profile
        self.base = base_of(vtn_url, self.profile)
        self.transport = transport
        self.seal = seal
        self._clock = clock
        self._draw = draw
        self._journal = journal
        self._deviations: set[str] = set()
        self._quiet: tuple[datetime, float] | None = None
        self._under_way = 0
        self._settled: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._last_poll: tuple[wire.Message, bytes] | None = None
        self._last_idle: tuple[bytes, Payload] | None = None
        self.successes = 0
        self.skew = Skew(clock, journal)
        if self.base.startswith("http:") and urlsplit(self.base).hostname not in _THIS_MACHINE:
            journal.warning(f"{self.base} is not encrypted: everybody on the way can read and change messages")

    def new_id(self) -> str:
        """A fresh random id for a request, a report request or an opt."""
        return f"{self._draw.getrandbits(128):032x}"

    async def ask(self, service: str, message: wire.Message, *expected: type[M]) -> M:
        """Send `message` to the service and give its reply, which must be one of `expected`.

        Raises:
            TransportError: no reply, or an HTTP error.
            WireError: a reply that can't be read.
            PeerRefused: a reply with an error code.
            RemoteProtocolError: a reply of another kind, or an empty one.
            LocalProtocolError: the profile has no such message.
        """
        reply = await self.tell(service, message, *expected)
        if reply is None:
            raise RemoteProtocolError(f"the VTN answered {message.message_type} with an empty body, not with a message")
        if not isinstance(reply, expected):
            raise RemoteProtocolError(
                f"the VTN answered {message.message_type} with a plain {reply.message_type}, "
                f"not with {' or '.join(_name(kind) for kind in expected)}"
            )
        return reply

    async def tell(self, service: str, message: wire.Message, *expected: type[M]) -> M | wire.OadrResponse | None:
        """Like `ask`, but take a plain oadrResponse or an empty body as a yes, too."""
        answer = await self._answer(service, message, *expected)
        self.successes += answer is not None
        return answer

    async def _answer(self, service: str, message: wire.Message, *expected: type[M]) -> M | wire.OadrResponse | None:
        reply = await self._exchange(f"{self.base}/{service}", message)
        if not reply.body.strip():
            # Nothing needs no signature after an answer of ours, because then nothing is what the VTN has to say.
            if self.seal.verifies and not isinstance(message, wire.OadrResponse):
                raise SignatureInvalid(
                    f"the VTN answered {message.message_type} with an empty body, and nothing in it is signed",
                    rule="514",
                )
            return None
        answer = self.read(reply.body).message
        if isinstance(answer, wire.OadrRequestReregistration) and not issubclass(type(answer), expected):
            raise PeerRefused("463", "the VTN wants a new registration first", message_type=answer.message_type)
        raise_for(answer)
        if isinstance(answer, expected):
            return answer
        if isinstance(answer, wire.OadrResponse):
            return answer
        raise RemoteProtocolError(
            f"the VTN answered {message.message_type} with {answer.message_type}, "
            f"not with {' or '.join(_name(kind) for kind in expected) or 'oadrResponse'}"
        )

    def read(self, data: bytes) -> Payload:
        """The message in a document of the VTN; the log says where it departs from the standard.

        Raises:
            WireError: it is none, or its signature is not in order.
        """
        if self._last_idle is not None and data == self._last_idle[0]:
            self._journal.debug("received the same oadrResponse as before")
            return self._last_idle[1]
        payload = self.seal.read(data)
        self._note(payload)
        if isinstance(payload.message, wire.OadrResponse) and not self.seal.verifies:
            self._last_idle = data, payload  # the VTN will say the same when it has no news the next time
        if isinstance(payload.message, wire.OadrDistributeEvent):
            for event in payload.message.events:
                self.skew.created(event.event_descriptor.created_date_time)
        return payload

    async def settle(self) -> None:
        """Let through what is on its way, for a while: half a request is of no use to the VTN. Nothing new is sent
        until `reopen`.
        """
        loop = asyncio.get_running_loop()
        if self._ended is None:
            self._ended = loop.create_future()
        if self._under_way:
            self._settled = loop.create_future()
            await asyncio.wait([self._settled], timeout=GRACE_S)

    def reopen(self) -> None:
        """Send again."""
        ended, self._ended = self._ended, None
        if ended is not None:
            ended.set_result(None)

    async def _exchange(self, url: str, message: wire.Message) -> Reply:
        if self._ended is not None:
            await asyncio.shield(self._ended)
        if self.profile == "2.0a" and type(message) not in A.messages:
            raise LocalProtocolError(
                f"2.0a has no {message.message_type}: it has events only, which poll() or auto mode fetches; "
                "if the VTN speaks 2.0b, leave out profile",
                code="459",
                rule="506",
            )
        self._keep_quiet(message)
        document = self._written(message)
        self._under_way += 1
        sent = self._clock.now()
        try:
            reply = await self.transport.post(url, document)
        finally:
            self._under_way -= 1
            if self._under_way == 0 and self._settled is not None and not self._settled.done():
                self._settled.set_result(None)
        if reply.date is not None:
            self.skew.seen(reply.date, since=sent)
        if reply.status != 200:
            if reply.retry_after_s:
                wait = min(reply.retry_after_s, MOST_RETRY_AFTER_S)
                self._quiet = self._clock.now() + timedelta(seconds=wait), wait
            raise _refusal(url, message, reply)
        return reply

    def _keep_quiet(self, message: wire.Message) -> None:
        """Refuse to send what the VTN does not want to get yet."""
        if self._quiet is None:
            return
        until, asked = self._quiet
        left = (until - self._clock.now()).total_seconds()
        if not 0.0 < left <= asked:  # it is over, or the clock was set back
            self._quiet = None
            return
        raise TransportError(
            f"{message.message_type} is not sent: the VTN asked not to be called for another {left:.0f} s",
            status=503,
            retry_after_s=left,
        )

    def _written(self, message: wire.Message) -> bytes:
        if self._last_poll is not None and message == self._last_poll[0]:
            return self._last_poll[1]
        try:
            document = self.seal.written(message)
        except WireError as error:  # not to be taken for a fault of the VTN
            raise LocalProtocolError(f"{message.message_type} can't be written: {error}", code="459") from error
        if isinstance(message, wire.OadrPoll) and not self.seal.signs:
            self._last_poll = message, document  # each poll is like the one before
        return document

    def _note(self, payload: Payload) -> None:
        response = response_of(payload.message)
        extra = {"request_id": response.request_id if response is not None else ""}
        self._journal.debug(f"received {payload.message.message_type}", extra=extra)
        for deviation in payload.deviations:
            if deviation.rule not in self._deviations:
                self._deviations.add(deviation.rule)
                self._journal.warning(
                    f"the VTN departs from the standard at {deviation.path} ({deviation.found!r}): "
                    f"{RULES[deviation.rule]}; accepted by leniency rule {deviation.rule}, said once",
                    extra=extra,
                )


def _refusal(url: str, message: wire.Message, reply: Reply) -> TransportError:
    status = reply.status
    excerpt = printable(reply.body[: 4 * _EXCERPT].decode("utf-8", "replace"))[:_EXCERPT]
    hint = {
        401: "; the VTN, or something in front of it, wants a user and a password (basic), or these are wrong",
        403: "; the VTN or a proxy does not accept our certificate or our signature",
        404: "; nothing is there: check the path in the VTN's address",
        406: "; the VTN can't read the message",
    }.get(status, "")
    said = f": {excerpt}" if excerpt else ""
    return TransportError(
        f"{message.message_type} to {url} was answered with HTTP {status}{hint}{said}",
        status=status,
        retry=(status >= 500 and status != 501) or status in _RETRY_STATUSES,
        retry_after_s=reply.retry_after_s,
    )


def _name(kind: type[wire.Message]) -> str:
    return kind.tag.partition(":")[2]
