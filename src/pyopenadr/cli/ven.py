"""`pyopenadr ven`: a VEN that runs by itself: by `ven.yaml`, or with nothing but its name and the VTN's address."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pyopenadr.cli.interrupt import on_interrupt
from pyopenadr.cli.tape import Tape
from pyopenadr.clock import SystemClock
from pyopenadr.model import Event, OptType
from pyopenadr.transport.http import HttpTransport
from pyopenadr.transport.port import Transport
from pyopenadr.transport.record import RecordingTransport
from pyopenadr.ven.client import OpenADRClient
from pyopenadr.ven.statefile import default_state

_HOME = "pyopenadr.cli"
_OTHERS: Mapping[str, str] = MappingProxyType(
    {
        "init": f"{_HOME}.plan:init",
        "run": f"{_HOME}.plan:run",
        "check": f"{_HOME}.plan:check",
        "schema": f"{_HOME}.plan:print_schema",
        "status": f"{_HOME}.look:status",
        "events": f"{_HOME}.look:events",
        "opt": f"{_HOME}.look:opt",
        "export": f"{_HOME}.look:export",
        "log": f"{_HOME}.look:log",
    }
)
_TALK = "talk"


class _Named(TyperGroup):
    """What does not begin with one of the commands is the name and address of a VEN: `pyopenadr ven NAME URL`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [_TALK, *args]
        return super().parse_args(ctx, args)


ven = typer.Typer(
    cls=_Named,
    help="Run a client (VEN). `pyopenadr ven NAME URL` shows and answers events; the commands are for a VEN that does "
    "more without code: `init` writes a ven.yaml, `run` follows it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@ven.command(_TALK, hidden=True)
def talk(
    name: Annotated[str, typer.Argument(help="The VEN's name.")],
    url: Annotated[str, typer.Argument(help="The VTN's address, for example http://127.0.0.1:8080")],
    opt: Annotated[str, typer.Option(help="What to answer to events: in or out.")] = "in",
    cert: Annotated[Path | None, typer.Option(help="The VEN's certificate, for https.")] = None,
    key: Annotated[Path | None, typer.Option(help="The key of the certificate.")] = None,
    ca: Annotated[Path | None, typer.Option(help="The authorities of the VTN's certificate.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as a line of JSON.")] = False,
    state: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="The file that keeps registration, events and unsent readings over a restart; none keeps nothing. "
            "Default: one for each name and address in the user's state folder.",
            show_default=False,
        ),
    ] = "",
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep every message in this file, without secrets.")
    ] = None,
) -> None:
    """Register with a VTN, poll it, and print and answer every event until interrupted."""
    if opt not in ("in", "out"):
        raise typer.BadParameter("--opt takes in or out")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    answer = OptType.IN if opt == "in" else OptType.OUT

    def on_event(event: Event) -> OptType:
        typer.echo(json.dumps({**_summary(event), "opt": answer}) if as_json else f"{_sentence(event)}: {answer}")
        return answer

    path = None if state == "none" else state or str(default_state(name, url))
    cert_, key_, ca_ = (str(file) if file is not None else None for file in (cert, key, ca))
    typer.echo(f"VEN {name} at {url}, state in {path or 'memory'} (stop with Ctrl-C)", err=True)
    tape = Tape(record, "ven") if record is not None else None
    transport: Transport = HttpTransport(cert=cert_, key=key_, ca_file=ca_)
    if tape is not None:
        transport = RecordingTransport(transport, tape.keep, who=name, clock=SystemClock())
    client = OpenADRClient(name, url, state=path, transport=transport, on_event=on_event)
    for event_id, known in client.events.items():
        typer.echo(f"event {event_id} is kept from before, answered {known.opt_type or 'not yet'}", err=True)
    with tape or contextlib.nullcontext():
        asyncio.run(_run(client))


async def _run(client: OpenADRClient) -> None:
    on_interrupt(client.stop)
    async with client:
        await client.run()


def _summary(event: Event) -> dict[str, object]:
    return {
        "event_id": event.event_id,
        "modification_number": event.modification_number,
        "cancelled": event.cancelled,
        "start": event.start.isoformat(),
        "end": end.isoformat() if (end := event.active_span.end) is not None else None,
        "test": event.is_test,
        "signals": [
            {"name": signal.signal_name, "type": signal.signal_type, "values": [i.value for i in signal.intervals]}
            for signal in event.signals
        ],
    }


def _sentence(event: Event) -> str:
    if event.cancelled:
        return f"event {event.event_id} is cancelled"
    end = event.active_span.end
    until = f"until {end:%Y-%m-%d %H:%M:%S}" if end is not None else "until cancelled"
    signals = "; ".join(
        f"{signal.signal_name} {', '.join(f'{interval.value:g}' for interval in signal.intervals)}"
        for signal in event.signals
    )
    test = " (a test)" if event.is_test else ""
    version = f", version {event.modification_number}" if event.modification_number else ""
    return f"event {event.event_id}{version}{test}: {event.start:%Y-%m-%d %H:%M:%S} {until} UTC, {signals}"


for _name, _target in _OTHERS.items():
    _module, _, _attribute = _target.partition(":")
    ven.command(_name)(getattr(import_module(_module), _attribute))
