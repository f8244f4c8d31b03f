"""The command line: `pyopenadr COMMAND`.

Each command is one line in `COMMANDS`; its module is loaded only when it is called, so `pyopenadr explain` loads no
server and `--help` loads none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from pyopenadr.errors import OpenADRError

__all__ = ["COMMANDS", "Command", "app", "main"]


class Command(NamedTuple):
    """A command: `target` is `module:name` of a function, or of a `typer.Typer` with commands of its own."""

    target: str
    help: str


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "demo": Command("pyopenadr.cli.demo:demo", "Watch a server and three clients live through two events."),
        "vtn": Command("pyopenadr.cli.vtn:vtn", "Run a server (VTN)."),
        "ven": Command("pyopenadr.cli.ven:ven", "Run a client (VEN) that shows and answers events."),
        "doctor": Command("pyopenadr.cli.doctor:doctor", "Find out why a VEN can't talk to a VTN, and what to do."),
        "db": Command("pyopenadr.cli.db:db", "Look at a database of the VTN, and bring it up to date."),
        "vens": Command("pyopenadr.cli.vens:vens", "The VENs of a running server."),
        "inbox": Command("pyopenadr.cli.inbox:inbox", "Who waits to be let in at a running server."),
        "allow": Command("pyopenadr.cli.inbox:allow", "Who may register at a running server."),
        "group": Command("pyopenadr.cli.group:group", "Groups and programmes of a running server, and their members."),
        "resource": Command("pyopenadr.cli.group:resource", "Resources of VENs, and what targets know them by."),
        "event": Command("pyopenadr.cli.event:event", "Events of a running server: make, change, cancel, watch."),
        "report": Command("pyopenadr.cli.report:report", "Reports of the VENs of a running server."),
        "rule": Command("pyopenadr.cli.rule:rule", "Which reports a running server asks of which VENs."),
        "opt": Command("pyopenadr.cli.vens:opt", "What the VENs of a running server say of their availability."),
        "audit": Command("pyopenadr.cli.audit:audit", "Search what a running server has kept of messages and changes."),
        "webhook": Command("pyopenadr.cli.audit:webhook", "Who is told of what happens at a running server."),
        "token": Command("pyopenadr.cli.token:token", "Who may use a server's API."),
        "explain": Command("pyopenadr.cli.explain:explain", "Say what a message is, and what is wrong with it."),
        "conformance": Command(
            "pyopenadr.cli.conformance:conformance", "Check the rules of OpenADR 2.0b on any VTN or VEN, from outside."
        ),
        "replay": Command("pyopenadr.cli.replay:replay", "Run recorded traffic against a VTN or a VEN."),
        "simulate": Command("pyopenadr.cli.simulate:simulate", "Simulate a fleet of VENs with devices, and report."),
        "certs": Command("pyopenadr.cli.certs:certs", "Make certificates for tests, show fingerprints, check a chain."),
    }
)


def _loaded(name: str) -> Any:
    """The real command of that name."""
    command = COMMANDS[name]
    module, _, attribute = command.target.partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(name)(found)
        found = alone
    loaded = typer.main.get_command(found)
    loaded.name = name
    return loaded


class _Commands(TyperGroup):
    """Loads a command when it is called, and shows our own errors as a line instead of a traceback."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in COMMANDS:
            self.commands[args[0]] = _loaded(args[0])
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OpenADRError as error:
            from pyopenadr.cli.screen import Screen

            raise typer.Exit(Screen().refuse(error)) from error


app = typer.Typer(
    cls=_Commands,
    help="OpenADR 2.0a and 2.0b: a VTN server, a VEN client, and what helps with them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        import pyopenadr

        typer.echo(f"pyopenadr {pyopenadr.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and stop.")
    ] = False,
) -> None:
    """What stands before the command."""


def _stand_in() -> Callable[[], None]:
    """What is listed under a command's name until the command is called."""

    def unloaded() -> None:
        raise AssertionError("the real command takes this one's place before it is called")

    return unloaded


for _name, _command in COMMANDS.items():
    app.command(_name, help=_command.help)(_stand_in())


def main() -> None:
    """The entry point `pyopenadr`."""
    app()
