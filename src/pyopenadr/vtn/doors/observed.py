"""The door with somebody beside it who counts, and keeps what is to be kept of each message."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Literal, NamedTuple

from pyopenadr.model import Registration
from pyopenadr.store.ledger import Record
from pyopenadr.transport.port import Reply
from pyopenadr.vtn.doors.talk import Peer
from pyopenadr.vtn.doors.v2_http import IDLE_BODY, V2Door
from pyopenadr.vtn.metric import Metrics

__all__ = ["Gist", "ObservedDoor", "gist_of", "records_of", "records_of_push"]

_KIND = re.compile(rb"<(?:[\w.-]+:)?(oadr(?!Payload|SignedObject)\w+)")
_VEN = re.compile(rb"venID>\s*([^<]*?)\s*<")
_REQUEST = re.compile(rb"requestID>\s*([^<]*?)\s*<")
_EVENT = re.compile(rb"eventID>\s*([^<\s][^<]*?)\s*<")
_CODE = re.compile(rb"responseCode>\s*(\d{3})\s*<")
_SECRET = re.compile(rb"(registrationID>)[^<]+(<)")
_SERVICES = {name.lower(): name for name in ("EiEvent", "EiReport", "EiOpt", "EiRegisterParty", "OadrPoll")}
_MOST_BODY = 256 * 1024


class ObservedDoor:
    """Answers as the door behind it does.

    Polls with nothing to say are only counted. Of every other message and its reply, `keep` gets a record each, unless
    `mode` is none; `full` ones hold the message without its registrationID, which is as good as a password where no
    certificates are used. What a message concerns is read from its text, because it may not be well-formed.
    """

    def __init__(
        self,
        door: V2Door,
        metrics: Metrics,
        mode: Literal["none", "headers", "full"],
        keep: Callable[[Record], None],
        now: Callable[[], datetime],
    ) -> None:
        self._door = door
        self._metrics = metrics
        self._mode = mode
        self._keep = keep
        self._now = now

    def is_mine(self, path: str) -> bool:
        """Whether the path is one of the 2.0 endpoints."""
        return self._door.is_mine(path)

    async def handle(self, path: str, body: bytes, peer: Peer) -> tuple[int, bytes]:
        """Answer a POST: the HTTP status, and the reply."""
        started, came = time.perf_counter(), self._now() if self._mode != "none" else None
        status, reply = await self._door.handle(path, body, peer)
        if reply is IDLE_BODY:
            self._metrics.idle_polls += 1
            return status, reply
        code = _first(_CODE, reply) or ""
        service = _SERVICES.get(path.rstrip("/").rpartition("/")[2].lower(), "other")
        self._metrics.note(service, status, code, time.perf_counter() - started)
        if came is not None:
            for record in records_of(body, reply, status, peer, came, self._now(), full=self._mode == "full"):
                self._keep(record)
        return status, reply


class Gist(NamedTuple):
    """What a message is about, read from its text: its name, and what it says, None for what it does not."""

    kind: str
    ven_id: str | None
    request_id: str | None
    code: str | None


def gist_of(text: bytes) -> Gist:
    """What a message, or what should be one, is about."""
    kind = _first(_KIND, text) or ("empty" if not text else "unknown")
    return Gist(kind, _first(_VEN, text), _first(_REQUEST, text), _first(_CODE, text))


def records_of(
    body: bytes, reply: bytes, status: int, peer: Peer, came: datetime, went: datetime, *, full: bool
) -> tuple[Record, Record]:
    """The lines of the audit for a message and its reply."""
    line = partial(
        _line,
        ven_id=_first(_VEN, body) or _first(_VEN, reply),
        actor=peer.fingerprint or peer.address or None,
        asked=body,
        full=full,
    )
    code = _first(_CODE, reply) if status == 200 else str(status)
    return line("in", body, came, _first(_CODE, body)), line("out", reply, went, code)


def records_of_push(
    ven: Registration, body: bytes, sent_at: datetime, reply: Reply | None, now: datetime, *, full: bool
) -> tuple[Record, ...]:
    """The lines of the audit for a message that was pushed to a VEN, and what it said; it may have said nothing."""
    line = partial(_line, ven_id=ven.ven_id, actor=ven.push_address, asked=body, full=full)
    if reply is None:
        return (line("out", body, sent_at, "no reply"),)
    code = _first(_CODE, reply.body) if reply.status == 200 else str(reply.status)
    return line("out", body, sent_at, _first(_CODE, body)), line("in", reply.body, now, code)


def _line(
    direction: str,
    text: bytes,
    at: datetime,
    code: str | None,
    *,
    ven_id: str | None,
    actor: str | None,
    asked: bytes,
    full: bool,
) -> Record:
    return Record(
        at=at,
        direction=direction,
        kind=_first(_KIND, text) or ("empty" if not text else "unknown"),
        ven_id=ven_id,
        event_ids=tuple(dict.fromkeys(_text(found) for found in _EVENT.findall(text))),
        request_id=_first(_REQUEST, text) or _first(_REQUEST, asked),
        actor=actor,
        status=code,
        body=_text(_SECRET.sub(rb"\1...\2", text[:_MOST_BODY])) if full else None,
    )


def _first(pattern: re.Pattern[bytes], text: bytes) -> str | None:
    found = pattern.search(text)
    return _text(found[1]) or None if found is not None else None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\0", "\ufffd")
