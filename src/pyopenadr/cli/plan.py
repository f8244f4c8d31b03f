"""`pyopenadr ven init`, `run`, `check` and `schema`: the VEN without code."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pyopenadr.agent.file import read_plan
from pyopenadr.agent.plan import Plan, schema
from pyopenadr.cli.interrupt import on_interrupt
from pyopenadr.clock import SystemClock
from pyopenadr.errors import ConfigError

__all__ = ["check", "init", "print_schema", "run", "socket_of", "state_of"]

File = Annotated[Path, typer.Argument(help="The VEN's file.")]
DEFAULT = Path("ven.yaml")


def init(
    file: File = DEFAULT,
    url: Annotated[str | None, typer.Option(help="The VTN's address.")] = None,
    name: Annotated[str | None, typer.Option(help="The VEN's name.")] = None,
    cert: Annotated[str | None, typer.Option(help="The VEN's certificate, PEM.")] = None,
    key: Annotated[str | None, typer.Option(help="The key of the certificate.")] = None,
    ca: Annotated[str | None, typer.Option(help="The authorities of the VTN's certificate.")] = None,
    signal_name: Annotated[str | None, typer.Option("--signal", help="The signal to follow.")] = None,
    http: Annotated[str | None, typer.Option(help="Call this address with each new value.")] = None,
    mqtt: Annotated[str | None, typer.Option(help="Publish each new value: HOST or HOST/TOPIC.")] = None,
    modbus: Annotated[str | None, typer.Option(help="Write each new value: HOST/REGISTER.")] = None,
    command: Annotated[
        list[str] | None, typer.Option(help="Run this program with each new value; once for each argument.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing; what is not given has its default.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Ask what is needed and write a ven.yaml.

    Exit status: 0 it is written, 2 something is missing or wrong; then nothing is written.
    """
    if file.exists() and not force:
        raise ConfigError(f"{file} is there already: give another name, or --force")
    asks = _is_asked(yes)
    url = url or (typer.prompt("The VTN's address", default="https://") if asks else None)
    name = name or (typer.prompt("The VEN's name") if asks else None)
    if not url or not name:
        raise ConfigError("the VTN's address and the VEN's name are needed: give --url and --name")
    if asks and url.startswith("https:"):
        cert = cert or typer.prompt("The VEN's certificate (a PEM file; empty for none)", default="") or None
        key = key or (typer.prompt("Its key") if cert else None)
        ca = ca or typer.prompt("The authorities of the VTN's certificate (empty: the machine's)", default="") or None
    signal_name = signal_name or (typer.prompt("The signal to follow", default="SIMPLE") if asks else "SIMPLE")
    if asks and not (http or mqtt or modbus or command):
        http = typer.prompt("The address to call with each new value (empty for none)", default="") or None
    actions = [*_http(http), *_mqtt(mqtt), *_modbus(modbus)]
    if command:
        actions.append({"do": "command", "run": command})
    plan: dict[str, Any] = {"vtn": {"url": url}, "ven": {"name": name}}
    if given := {k: v for k, v in {"cert": cert, "key": key, "ca": ca}.items() if v}:
        plan["tls"] = given
    plan["signals"] = [{"signal": signal_name, "idle": 0, "actions": actions}] if actions else []
    plan["opt"] = {"default": "in"}
    _write(file, plan)
    typer.echo(f"{file} is written. Now: pyopenadr ven run {file}")


def _is_asked(yes: bool) -> bool:
    """Whether there is somebody to ask."""
    return not yes and sys.stdin.isatty()


def _http(url: str | None) -> list[dict[str, Any]]:
    return [{"do": "http", "url": url}] if url else []


def _mqtt(where: str | None) -> list[dict[str, Any]]:
    if not where:
        return []
    host, _, topic = where.partition("/")
    return [{"do": "mqtt", "host": host, "topic": topic or "openadr/$ven/$signal", "home_assistant": True}]


def _modbus(where: str | None) -> list[dict[str, Any]]:
    if not where:
        return []
    host, _, register = where.partition("/")
    if not register.isdigit():
        raise ConfigError(f"--modbus wants HOST/REGISTER, such as 192.0.2.7/40, not {where!r}")
    return [{"do": "modbus", "host": host, "register": int(register)}]


def _write(file: Path, plan: dict[str, Any]) -> None:
    """Write it if it can be read again, and not otherwise."""
    lines = ["# A VEN without code; every key is explained in docs/howto/no-code.md and by `pyopenadr ven schema`.", ""]
    for part, value in plan.items():
        lines += [f"{part}:", *(f"  {line}" for line in _yaml(value))]
    draft = file.with_name(f"{file.name}.new")
    try:
        draft.write_text("\n".join(lines) + "\n", "utf-8")
        try:
            read_plan(draft)
        except ConfigError:
            draft.unlink()
            raise
        draft.replace(file)
    except OSError as error:
        raise ConfigError(f"{file} can't be written: {error.strerror}") from error


def _yaml(value: Any) -> list[str]:
    """A value as lines of YAML; texts are written as in JSON, which YAML reads the same."""
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in _entry(f"{key}:", item)]
    if isinstance(value, list) and value:
        lines = []
        for item in value:
            first, *others = _yaml(item)
            lines += [f"- {first}", *(f"  {line}" for line in others)]
        return lines
    return [json.dumps(value, ensure_ascii=False)]


def _entry(key: str, item: Any) -> list[str]:
    if isinstance(item, dict | list) and item:
        return [key, *(f"  {line}" for line in _yaml(item))]
    return [f"{key} {json.dumps(item, ensure_ascii=False)}"]


def run(file: File = DEFAULT) -> None:
    """Run the VEN of a ven.yaml until interrupted.

    Exit status: 0 it was ended, 2 the file, or one that it names, can't be used.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    plan = read_plan(file)
    asyncio.run(_run(plan))


async def _run(plan: Plan) -> None:
    from pyopenadr.agent.agent import Agent
    from pyopenadr.agent.door import Door
    from pyopenadr.cli.tape import Tape
    from pyopenadr.transport.http import HttpTransport
    from pyopenadr.transport.port import Transport
    from pyopenadr.transport.record import RecordingTransport

    tls, clock = plan.tls, SystemClock()
    transport: Transport = HttpTransport(
        cert=tls.cert, key=tls.key, ca_file=tls.ca, profile=tls.profile, proxy=tls.proxy, basic=plan.vtn.basic
    )
    with Tape(plan.log.file, "ven") if plan.log is not None else contextlib.nullcontext() as tape:
        if tape is not None:
            transport = RecordingTransport(transport, tape.keep, who=plan.ven.name, clock=clock)
        state = state_of(plan)
        agent = Agent(plan, transport, state=str(state) if state else None, clock=clock, signing_key=_signing_key(plan))
        on_interrupt(agent.stop)
        port = plan.status.port if plan.status is not None else None
        async with Door(agent, clock, path=socket_of(plan), port=port):
            typer.echo(
                f"VEN {plan.ven.name} at {plan.vtn.url}, state in {state or 'memory'} (stop with Ctrl-C)", err=True
            )
            await agent.run()


def _signing_key(plan: Plan) -> Any:
    if not plan.tls.sign or plan.tls.cert is None or plan.tls.key is None:
        return None
    from pyopenadr.transport.certificate import read_file
    from pyopenadr.v2.signature import SigningKey

    return SigningKey.from_pem(read_file(plan.tls.cert, "tls.cert"), read_file(plan.tls.key, "tls.key"))


def state_of(plan: Plan) -> Path | None:
    """The VEN's state file; None if it keeps none."""
    from pyopenadr.ven.statefile import default_state

    if plan.ven.state == "none":
        return None
    if plan.ven.state is not None:
        return Path(plan.ven.state)
    return default_state(plan.ven.name, plan.vtn.url, plan.vtn.profile)


def socket_of(plan: Plan) -> Path | None:
    """The socket by which the commands reach a VEN that runs; None if it has no state file to lie beside."""
    state = state_of(plan)
    return state.with_suffix(".sock") if state is not None else None


def check(file: File = DEFAULT) -> None:
    """Say whether a ven.yaml is in order. Exit status: 0 it is, 2 it is not."""
    plan = read_plan(file)
    typer.echo(f"{file} is in order: VEN {plan.ven.name}, {len(plan.signals)} signals, {len(plan.reports)} reports")


def print_schema() -> None:
    """Print the JSON Schema of ven.yaml, for editors that check and complete."""
    typer.echo(json.dumps(schema(), indent=2))
