"""`pyopenadr vtn`: a VTN that runs by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from pyopenadr.errors import ConfigError, LocalProtocolError
from pyopenadr.v2.text import parse_date_time, parse_duration
from pyopenadr.vtn.server import OpenADRServer

log = logging.getLogger("pyopenadr.vtn")


def vtn(
    vtn_id: Annotated[str, typer.Option(help="The VTN's ID, which VENs check.")] = "vtn",
    database: Annotated[
        str, typer.Option(help="Where to keep everything: sqlite:///FILE, or memory to forget it at the end.")
    ] = "sqlite:///vtn.db",
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.")] = 8080,
    poll_seconds: Annotated[int, typer.Option(min=1, help="How often VENs are asked to poll, in seconds.")] = 10,
    misses: Annotated[int, typer.Option(min=1, help="Polls that a VEN may miss before it counts as offline.")] = 3,
    events: Annotated[
        Path | None, typer.Option(help="A JSON file with events to publish at the start; known event_ids are kept.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Serve plain HTTP on an address that others can reach.")
    ] = False,
) -> None:
    """Serve OpenADR 2.0a and 2.0b VENs by HTTP pull until interrupted.

    Every VEN that can reach the address is accepted, so this is for a laboratory, or behind something that lets only
    the right ones in. An event in the file given by --events looks like this:
    {"event_id": "e1", "start": "2030-01-31T12:00:00Z", "intervals": [["PT1H", 2]], "market_context": "http://x/y"}
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    planned = _read_events(events) if events is not None else []
    server = OpenADRServer(
        vtn_id,
        database=None if database == "memory" else database,
        host=host,
        port=port,
        poll_frequency=timedelta(seconds=poll_seconds),
        misses=misses,
        insecure=insecure,
    )
    asyncio.run(_serve(server, planned))


async def _serve(server: OpenADRServer, planned: list[dict[str, Any]]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in a loop
            loop.add_signal_handler(number, stopping.set)
    async with server:
        typer.echo(f"VTN {server.vtn_id} at {server.url}/OpenADR2/Simple/2.0b (stop with Ctrl-C)")
        for event in planned:
            try:
                published = await server.add_event(**event)
                typer.echo(f"event {published.event_id} published")
            except LocalProtocolError as error:
                log.info("%s", error)
        await stopping.wait()


def _read_events(path: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(event, dict) for event in found):
        raise ConfigError(f"{path} must hold a list of events")
    return [_read_event(event, f"{path}, event {number}") for number, event in enumerate(found, 1)]


def _read_event(event: dict[str, Any], where: str) -> dict[str, Any]:
    try:
        start: datetime = parse_date_time(event["start"])
        intervals = [(parse_duration(duration), float(value)) for duration, value in event["intervals"]]
    except KeyError as error:
        raise ConfigError(f"{where}: {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f'{where}: {error}; write "start" as 2030-01-31T12:00:00Z and "intervals" as [["PT1H", 2]]'
        ) from error
    return {**event, "start": start, "intervals": intervals}
