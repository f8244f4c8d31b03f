"""`pyopenadr conformance`: the rules of the standard, checked from outside on any VTN or VEN."""

from __future__ import annotations

import asyncio
import dataclasses
import shlex
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

import typer

from pyopenadr.cli.screen import Screen
from pyopenadr.clock import SystemClock
from pyopenadr.conformance.check import Check, Outcome
from pyopenadr.conformance.line import Line
from pyopenadr.conformance.report import as_html, as_json, as_junit
from pyopenadr.conformance.runner import Result, chosen, run
from pyopenadr.conformance.seal import Seal
from pyopenadr.conformance.served import Served, address_of
from pyopenadr.conformance.stimulus import CommandStimulus, Stimulus
from pyopenadr.conformance.ven.registry import VEN_CHECKS
from pyopenadr.conformance.ven.stage import Call, VenStage
from pyopenadr.conformance.vtn.registry import VTN_CHECKS
from pyopenadr.conformance.vtn.stage import VtnStage
from pyopenadr.errors import ConfigError
from pyopenadr.transport.server import HttpServer
from pyopenadr.transport.tls import ClientTls, ServerTls, client_context

__all__ = ["conformance"]

conformance = typer.Typer(
    help="Check the rules of OpenADR 2.0b on any VTN or VEN, from outside.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

_STYLES: Mapping[str, str] = MappingProxyType({"pass": "green", "fail": "red", "warning": "yellow", "n/a": "dim"})

Cert = Annotated[Path | None, typer.Option(help="Our certificate, with its chain, PEM.")]
Key = Annotated[Path | None, typer.Option(help="The key of the certificate.")]
Ca = Annotated[Path | None, typer.Option(help="The authorities of the other side's certificate.")]
Sign = Annotated[bool, typer.Option("--sign", help="Sign every message with our certificate (high security).")]
SignedBy = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The certificate that the other side signs with, PEM.")
]
Only = Annotated[
    list[str] | None,
    typer.Option(metavar="ID", help="Only checks with such an ID (vtn-event-*) or on such a rule (48); several times."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print everything as JSON, with the messages.")]
Junit = Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML, for CI.")]
Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Write one page with all messages.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show what failed and what is warned of only.")]


class _Outputs(NamedTuple):
    """Where the result goes."""

    as_json: bool
    junit: Path | None
    html: Path | None
    quiet: bool


@conformance.command("list")
def list_checks(
    side: Annotated[str | None, typer.Argument(help="vtn or ven; both if not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the checks: ID, level, rules, and what is checked."""
    if side not in (None, "vtn", "ven"):
        raise typer.BadParameter("it may be vtn or ven")
    checks = [each for each in (*VTN_CHECKS, *VEN_CHECKS) if side in (None, each.side)]
    if as_json:
        Screen().json([{"id": c.id, "level": c.level, "rules": list(c.rules), "title": c.title} for c in checks])
        return
    Screen().table(("check", "level", "rules", ""), [(c.id, c.level, " ".join(c.rules), c.title) for c in checks])


@conformance.command()
def vtn(
    url: Annotated[str, typer.Argument(help="The VTN's address, for example https://vtn.example.com")],
    name: Annotated[str, typer.Option(help="The name under which we register.")] = "conformance",
    cert: Cert = None,
    key: Key = None,
    ca: Ca = None,
    sign: Sign = False,
    signed_by: SignedBy = None,
    api: Annotated[
        str | None, typer.Option(metavar="URL", help="The REST API of a pyopenadr VTN, to make events and so on.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="PYOPENADR_TOKEN", show_envvar=True, help="The token for the API.")
    ] = None,
    stimulus: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="A program that makes events and so on at the VTN.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Register for push, and listen there (with --push-url).")
    ] = None,
    push_url: Annotated[str | None, typer.Option(help="The address at which the VTN reaches us for push.")] = None,
    patience: Annotated[float, typer.Option(min=0.5, help="How long to wait for a message, in seconds.")] = 5.0,
    only: Only = None,
    as_json: AsJson = False,
    junit: Junit = None,
    html: Html = None,
    quiet: Quiet = False,
) -> None:
    """Play a VEN to a VTN, and check what it does.

    Take a VTN for tests: we register, opt, offer reports, and end the registration. Checks that need an event or a
    request for a report are made if --api or --stimulus says how one is had.

    Exit status: 0 nothing failed (there may be warnings), 1 something did, 2 a setting or file can't be used.
    """
    if (listen is None) != (push_url is None):
        raise ConfigError("push needs both --listen and --push-url")
    if api is not None and stimulus is not None:
        raise ConfigError("give --api or --stimulus, not both")
    clock = SystemClock()
    own = _client_tls(cert, key, ca)
    stage = VtnStage(
        Line(url, context=client_context(own)),
        clock=clock,
        ven_name=name,
        seal=_seal(clock, cert, key, sign, signed_by),
        stimulus=_stimulus(api, token, stimulus),
        push_url=push_url,
        certified_context=client_context(dataclasses.replace(own, profile="openadr")),
        bare_context=client_context(ClientTls(ca_file=str(ca) if ca is not None else None)),
        patience_s=patience,
    )
    server = None
    if listen is not None:
        server = HttpServer(Served(stage.take_push), *address_of(listen), tls=_server_tls(cert, key, ca))
    outputs = _Outputs(as_json, junit, html, quiet)
    _finish(asyncio.run(_play(stage, chosen(VTN_CHECKS, only or ()), url, server, None, outputs)), outputs)


@conformance.command()
def ven(
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where we listen.")] = "127.0.0.1:8080",
    cert: Cert = None,
    key: Key = None,
    ca: Ca = None,
    sign: Sign = False,
    signed_by: SignedBy = None,
    vtn_id: Annotated[str, typer.Option(help="Our vtnID.")] = "TH_VTN",
    poll: Annotated[int, typer.Option(min=1, help="How often the VEN shall poll, in seconds.")] = 1,
    command: Annotated[
        str | None,
        typer.Option("--exec", metavar="COMMAND", help="Starts the VEN; it is ended afterwards. {url} is our address."),
    ] = None,
    wait: Annotated[float, typer.Option(min=1, help="How long to wait for the VEN to register, in seconds.")] = 60.0,
    patience: Annotated[float, typer.Option(min=0.5, help="How long to wait for a message, in seconds.")] = 8.0,
    only: Only = None,
    as_json: AsJson = False,
    junit: Junit = None,
    html: Html = None,
    quiet: Quiet = False,
) -> None:
    """Play a VTN to a VEN, and check what it does.

    Start it, and then the VEN with our address and without a registration from before; or have it started by --exec.

    Exit status: 0 nothing failed (there may be warnings), 1 something did, 2 a setting or file can't be used.
    """
    clock = SystemClock()
    own = _client_tls(cert, key, ca)

    def call(address: str) -> Call:
        tls = ClientTls(cert=own.cert, key=own.key, ca_file=own.ca_file, check_hostname=False)
        line = Line(address, context=client_context(tls))
        return lambda path, body: line.ask(f"{line.prefix}{path}", body)

    stage = VenStage(
        clock=clock,
        vtn_id=vtn_id,
        poll_frequency=timedelta(seconds=poll),
        seal=_seal(clock, cert, key, sign, signed_by),
        call=call,
        patience_s=patience + 3.0 * (poll - 1),
        boot_s=wait,
    )
    server = HttpServer(Served(stage.handle), *address_of(listen), tls=_server_tls(cert, key, ca))
    outputs = _Outputs(as_json, junit, html, quiet)
    target = command or "the VEN that registered"
    _finish(asyncio.run(_play(stage, chosen(VEN_CHECKS, only or ()), target, server, command, outputs)), outputs)


def _client_tls(cert: Path | None, key: Path | None, ca: Path | None) -> ClientTls:
    cert_, key_, ca_ = (str(file) if file is not None else None for file in (cert, key, ca))
    return ClientTls(cert=cert_, key=key_, ca_file=ca_)


def _server_tls(cert: Path | None, key: Path | None, ca: Path | None) -> ServerTls | None:
    if cert is None:
        return None
    return ServerTls(certificates=[(cert, key)], ca_file=ca, client_certificate_required=ca is not None)


def _seal(clock: SystemClock, cert: Path | None, key: Path | None, sign: bool, signed_by: Path | None) -> Seal:
    from pyopenadr.transport.certificate import read_file
    from pyopenadr.v2.signature import SigningKey, Trust

    if sign and (cert is None or key is None):
        raise ConfigError("--sign needs --cert and --key: give both")
    own = None
    if sign and cert is not None and key is not None:
        own = SigningKey.from_pem(read_file(cert, "the certificate file"), read_file(key, "the key file"))
    trust = Trust(certificates=[read_file(signed_by, "the file of --signed-by")]) if signed_by is not None else None
    return Seal(clock, own, trust)


def _stimulus(api: str | None, token: str | None, command: str | None) -> Stimulus | None:
    if api is not None:
        from pyopenadr.cli.remote import Api
        from pyopenadr.cli.stimulus import ApiStimulus

        return ApiStimulus(Api(api, token))
    return CommandStimulus(command) if command is not None else None


async def _play(
    stage: VtnStage | VenStage,
    checks: Iterable[Check],
    target: str,
    server: HttpServer | None,
    command: str | None,
    outputs: _Outputs,
) -> Result:
    wanted = tuple(checks)
    if not wanted:
        raise ConfigError("--only leaves no check: `pyopenadr conformance list` has their IDs")
    screen = Screen()

    def told(outcome: Outcome) -> None:
        if not outputs.as_json and not screen.is_terminal and _is_told(outcome, outputs):
            reason = f": {outcome.reason}" if outcome.reason and outcome.verdict != "pass" else ""
            rules = ", ".join(outcome.check.rules)
            screen.line(f"{outcome.verdict:>7}  {outcome.check.id} [{rules}] {outcome.check.title}{reason}")

    process = None
    if isinstance(stage, VtnStage):
        await stage.reach()
    try:
        if server is not None:
            await server.start()
            if not outputs.as_json:
                typer.echo(f"we listen at {server.url}", err=True)
        if command is not None and server is not None:
            process = await asyncio.create_subprocess_exec(*shlex.split(command.replace("{url}", server.url)))
        return await _with_progress(screen, outputs, len(wanted), told, _runner(stage, wanted, target))
    finally:
        if process is not None and process.returncode is None:
            process.terminate()
            await process.wait()
        if server is not None:
            await server.stop()


Told = Callable[[Outcome], None]


def _runner(stage: VtnStage | VenStage, checks: tuple[Check, ...], target: str) -> Callable[[Told], Awaitable[Result]]:
    return lambda told: run(stage, checks, target=target, told=told)


async def _with_progress(
    screen: Screen, outputs: _Outputs, total: int, told: Told, work: Callable[[Told], Awaitable[Result]]
) -> Result:
    """Run, with a bar on a terminal."""
    if outputs.as_json or not screen.is_terminal:
        return await work(told)
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("checking", total=total)

        def step(outcome: Outcome) -> None:
            bar.update(task, advance=1, description=outcome.check.id)

        return await work(step)


def _is_told(outcome: Outcome, outputs: _Outputs) -> bool:
    return not outputs.quiet or outcome.verdict in ("fail", "warning")


def _finish(result: Result, outputs: _Outputs) -> None:
    """Write everything, and exit."""
    screen = Screen()
    _write(outputs.junit, as_junit(result))
    _write(outputs.html, as_html(result).encode())
    if outputs.as_json:
        screen.json(as_json(result))
        raise typer.Exit(0 if result.passed else 1)
    if screen.is_terminal:
        told = [outcome for outcome in result.outcomes if _is_told(outcome, outputs)]
        rows = [(o.verdict, ", ".join(o.check.rules), f"{o.check.title}{_why(o)}\n{o.check.id}") for o in told]
        screen.table(("", "rules", "check"), rows, [_STYLES[o.verdict] for o in told])
    counts: Any = result.counts
    told_counts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("pass", "fail", "warning", "n/a"))
    screen.line(f"{len(result.outcomes)} checks: {told_counts}", "bold green" if result.passed else "bold red")
    raise typer.Exit(0 if result.passed else 1)


def _why(outcome: Outcome) -> str:
    return f"\n{outcome.reason}" if outcome.reason and outcome.verdict != "pass" else ""


def _write(file: Path | None, data: bytes) -> None:
    if file is not None:
        try:
            file.write_bytes(data)
        except OSError as error:
            raise ConfigError(f"{file} can't be written: {error.strerror}") from error
