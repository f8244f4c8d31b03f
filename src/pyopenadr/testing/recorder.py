"""Remembers every message of a test, read, and in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from pyopenadr.errors import OpenADRError
from pyopenadr.transport.record import Traffic
from pyopenadr.v2 import wire
from pyopenadr.v2.codec import decode

__all__ = ["Recorded", "Recorder"]

M = TypeVar("M", bound=wire.Message)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One exchange between a VEN and the VTN.

    `request` and `reply` are the messages, None where there is none that can be read (nothing came, or an HTTP
    error); `traffic` has the bytes, the HTTP status and the instant.
    """

    who: str
    service: str
    request: wire.Message | None
    reply: wire.Message | None
    traffic: Traffic

    @property
    def lost(self) -> bool:
        """Whether no answer came."""
        return self.traffic.error is not None


class Recorder:
    """Every exchange in the order in which they ended. Give its `keep` to a `RecordingTransport`."""

    def __init__(self) -> None:
        self.exchanges: list[Recorded] = []

    def keep(self, traffic: Traffic) -> None:
        """Remember an exchange."""
        service = traffic.path.rpartition("/")[2]
        self.exchanges.append(
            Recorded(
                who=traffic.who,
                service=service,
                request=_read(traffic.request),
                reply=_read(traffic.reply) if traffic.status == 200 else None,
                traffic=traffic,
            )
        )

    def sent(self, kind: type[M], *, who: str | None = None) -> list[M]:
        """The messages of that kind that VENs have sent, or one of them; also those that were lost on the way."""
        return [one for one in self._of(who, reply=False) if isinstance(one, kind)]

    def received(self, kind: type[M], *, who: str | None = None) -> list[M]:
        """The messages of that kind that VENs have got, or one of them."""
        return [one for one in self._of(who, reply=True) if isinstance(one, kind)]

    def types(self, *, who: str | None = None, polls: bool = False) -> list[str]:
        """The types of all messages in order, such as oadrCreatedEvent; without idle polls unless `polls`."""
        found: list[str] = []
        for one in self.exchanges:
            idle = isinstance(one.request, wire.OadrPoll) and isinstance(one.reply, wire.OadrResponse)
            if who in (None, one.who) and (polls or not idle):
                found += [message.message_type for message in (one.request, one.reply) if message is not None]
        return found

    def clear(self) -> None:
        """Forget everything so far."""
        self.exchanges.clear()

    def _of(self, who: str | None, *, reply: bool) -> Iterator[wire.Message | None]:
        for one in self.exchanges:
            if who in (None, one.who):
                yield one.reply if reply else one.request


def _read(body: bytes) -> wire.Message | None:
    """The message, if it is one: a test may well be about those that are not."""
    try:
        return decode(body).message if body.strip() else None
    except OpenADRError:
        return None
