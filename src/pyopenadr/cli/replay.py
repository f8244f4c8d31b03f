"""`pyopenadr replay`: recorded traffic, run against a VTN or a VEN that is to behave the same."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import typer

from pyopenadr.cli.screen import Screen
from pyopenadr.cli.tape import Line, message_in, read_tape
from pyopenadr.errors import ConfigError, OpenADRError, TransportError
from pyopenadr.transport.http import HttpTransport
from pyopenadr.v2 import wire
from pyopenadr.v2.codec import decode, encode
from pyopenadr.ven.session import DEFAULT_LENIENCY, base_of

__all__ = ["Difference", "Player", "Stage", "differences", "replay"]

ALWAYS_NEW = frozenset(("request_id", "registration_id", "ven_id", "vtn_id", "opt_id", "created_date_time"))
"""What may differ from one run to the next without meaning anything; times may, too."""


class Difference(NamedTuple):
    """Where a replay went otherwise than the record. `number` counts the exchanges from 1."""

    number: int
    message: str
    text: str


def replay(
    file: Annotated[Path, typer.Argument(help="What --record has written.")],
    vtn: Annotated[str | None, typer.Option(help="Play the VEN: send the requests to the VTN at this address.")] = None,
    serve: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Play the VTN: answer a VEN on this port of loopback.")
    ] = None,
    wait: Annotated[float, typer.Option(min=1, help="With --serve: how long to wait for the VEN, in seconds.")] = 60.0,
    cert: Annotated[Path | None, typer.Option(help="Our certificate, for https.")] = None,
    key: Annotated[Path | None, typer.Option(help="The key of the certificate.")] = None,
    ca: Annotated[Path | None, typer.Option(help="The authorities of the VTN's certificate.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the differences as JSON.")] = False,
) -> None:
    """Run recorded traffic against a VTN, or as a VTN against a VEN, and say what differs.

    IDs that either side gives anew, and times, may differ. When a VTN is played, the times in its messages are moved
    to today, so that events that lay ahead do so again.

    Exit status: 0 everything went as recorded, 1 something differs, 2 a setting or the file can't be used.
    """
    if (vtn is None) == (serve is None):
        raise ConfigError("say what to play against: --vtn URL for a VTN, or --serve PORT for a VEN")
    lines = list(read_tape(file))
    if not lines:
        raise ConfigError(f"{file} holds no exchange: record some with --record first")
    if vtn is not None:
        cert_, key_, ca_ = (str(path) if path is not None else None for path in (cert, key, ca))
        transport = HttpTransport(cert=cert_, key=key_, ca_file=ca_)
        found = asyncio.run(Player(lines, vtn, transport).play())
    else:
        stage = Stage(lines)
        found = asyncio.run(_on_stage(stage, serve or 0, wait))
    screen = Screen()
    if as_json:
        screen.json({"exchanges": len(lines), "differences": [difference._asdict() for difference in found]})
    else:
        for number, message, text in found:
            screen.line(f"exchange {number}, {message}: {text}", "yellow")
        many = f"{len(found)} differences in {len(lines)} exchanges"
        screen.line(many if found else f"All {len(lines)} exchanges went as recorded.", "red" if found else "green")
    raise typer.Exit(1 if found else 0)


class Player:
    """Plays the VEN of a record against a VTN."""

    def __init__(self, lines: list[Line], url: str, transport: HttpTransport) -> None:
        self._lines = lines
        self._base = base_of(url)
        self._transport = transport
        self._ids: dict[str, str] = {}

    async def play(self) -> list[Difference]:
        """Send every request, each after the answer to the one before; what differs."""
        found: list[Difference] = []
        try:
            for number, line in enumerate(self._lines, 1):
                request = message_in(line.request)
                if request is None or line.error is not None:
                    continue  # what was no message, or was lost on the way, has no answer to compare
                found += [
                    Difference(number, request.message_type, text) for text in await self._exchange(line, request)
                ]
        finally:
            await self._transport.close()
        return found

    async def _exchange(self, line: Line, request: wire.Message) -> list[str]:
        sent = mapped(request, lambda name, value: self._ids.get(value, value) if isinstance(value, str) else value)
        try:
            reply = await self._transport.post(f"{self._base}/{line.service}", encode(sent))
        except TransportError as error:
            return [str(error)]
        if reply.status != line.status:
            return [f"HTTP {reply.status}, and it was {line.status}"]
        answer, recorded = message_in(reply.body.decode("utf-8", "replace")), message_in(line.reply)
        self._learn(recorded, answer)
        return list(differences(recorded, answer))

    def _learn(self, recorded: wire.Message | None, answer: wire.Message | None) -> None:
        """The IDs that the VTN has given in place of those of the record."""
        kind = wire.OadrCreatedPartyRegistration
        if isinstance(recorded, kind) and isinstance(answer, kind):
            pairs = ((recorded.ven_id, answer.ven_id), (recorded.registration_id, answer.registration_id))
            self._ids |= {old: new for old, new in pairs if old and new}


class Stage:
    """Plays the VTN of a record for a VEN: each kind of request gets its recorded answers, one after the other."""

    def __init__(self, lines: list[Line], now: datetime | None = None) -> None:
        self._waiting: dict[str, deque[tuple[int, Line, wire.Message]]] = {}
        for number, line in enumerate(lines, 1):
            request = message_in(line.request)
            if request is not None and line.reply is not None:
                self._waiting.setdefault(request.message_type, deque()).append((number, line, request))
        self._shift = (now or datetime.now(UTC)) - lines[0].at
        self.found: list[Difference] = []
        self.done = asyncio.Event()

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and document of the answer to a request."""
        try:
            request = decode(body, leniency=DEFAULT_LENIENCY).message
        except OpenADRError as error:
            self.found.append(Difference(0, path, f"what the VEN sent is no message: {error}"))
            return 406, b"no message\n"
        waiting = self._waiting.get(request.message_type)
        if not waiting:
            if request.message_type != "oadrPoll":
                self.found.append(Difference(0, request.message_type, "the record has no more of these"))
            return 200, encode(wire.OadrResponse(response=wire.EiResponse(response_code="200", request_id="")))
        number, line, recorded = waiting.popleft()
        self.found += [Difference(number, request.message_type, text) for text in differences(recorded, request)]
        if not any(self._waiting.values()):
            self.done.set()
        reply = message_in(line.reply)
        if reply is None:
            return line.status or 500, (line.reply or "").encode()
        ids = {str(recorded.get("request_id") or ""): str(request.get("request_id") or "")}

        def change(name: str, value: Any) -> Any:
            if isinstance(value, datetime):
                return value + self._shift
            return ids.get(value, value) if name == "request_id" else value

        return line.status, encode(mapped(reply, change))

    def missing(self) -> list[Difference]:
        """What the VEN has not asked for."""
        return [
            Difference(number, kind, "the VEN did not send this")
            for kind, waiting in self._waiting.items()
            for number, _, _ in waiting
        ]


async def _on_stage(stage: Stage, port: int, wait: float) -> list[Difference]:
    from aiohttp import web

    async def post(request: web.Request) -> web.Response:
        status, body = stage.answer(urlsplit(str(request.url)).path, await request.read())
        return web.Response(status=status, body=body, content_type="application/xml")

    app = web.Application()
    app.router.add_post("/{path:.*}", post)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(f"port {port} can't be listened on: {error.strerror}; give another one") from error
        host, taken = runner.addresses[0][:2]
        typer.echo(f"playing the VTN at http://{host}:{taken} (stop with Ctrl-C)", err=True)
        try:
            async with asyncio.timeout(wait):
                await stage.done.wait()
            await asyncio.sleep(0.2)  # the last answer is still to go out
        except TimeoutError:
            return [*stage.found, *stage.missing()]
    finally:
        await runner.cleanup()
    return stage.found


def mapped(value: Any, change: Callable[[str, Any], Any], name: str = "") -> Any:
    """The same value with `change(field, leaf)` in place of each leaf."""
    if isinstance(value, msgspec.Struct):
        fields = {field: mapped(getattr(value, field), change, field) for field in value.__struct_fields__}
        return msgspec.structs.replace(value, **fields)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(mapped(item, change, name) for item in value)
    return change(name, value)


def differences(recorded: wire.Message | None, seen: wire.Message | None) -> Iterator[str]:
    """In what a message differs from the recorded one, but for IDs that are new each time, and times."""
    if recorded is None or seen is None:
        if recorded is not seen:
            yield f"{_type(seen)}, and it was {_type(recorded)}"
        return
    if type(recorded) is not type(seen):
        yield f"{_type(seen)}, and it was {_type(recorded)}{_code(seen)}"
        return
    yield from _compared(recorded.to_dict(), seen.to_dict(), "")


def _compared(old: Any, new: Any, where: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            if key not in ALWAYS_NEW:
                yield from _compared(old.get(key), new.get(key), f"{where}.{key}" if where else str(key))
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple):
        if len(old) != len(new):
            yield f"{where} has {len(new)} entries, and had {len(old)}"
            return
        for position, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from _compared(left, right, f"{where}[{position}]")
    elif old != new and not (isinstance(old, datetime | timedelta) and isinstance(new, datetime | timedelta)):
        yield f"{where} is {new!r}, and was {old!r}"


def _type(message: wire.Message | None) -> str:
    return message.message_type if message is not None else "no message"


def _code(message: wire.Message) -> str:
    response = getattr(message, "response", None)
    return f" ({response.response_code} {response.response_description or ''})" if response is not None else ""
