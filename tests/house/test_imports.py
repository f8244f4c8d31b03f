"""Who may import whom: the doors between the rooms, and which third-party packages may come into each.

`ROOMS` is the rule. A module belongs to the longest room name that it starts with. An import inside a
function, under `TYPE_CHECKING` or by `import_module("a constant")` counts like any other. The standard
library is always allowed here; what is too impure for a pure room is the matter of `test_purity.py`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.house.source import Source, sources, within

EVERYTHING = "everything"
PACKAGE_ITSELF = ""


@dataclass(frozen=True)
class Room:
    """What a room may import besides itself, separated by spaces; `never` takes back from `house`."""

    house: str = ""
    outside: str = ""
    never: tuple[str, ...] = ()


SERVICE = Room(
    house="errors clock model store.port store.ledger vtn.service vtn.delivery vtn.presence vtn.identity vtn.notice",
    outside="msgspec",
)

ROOMS = {
    # pure: what OpenADR means and how it is written
    "errors": Room(),
    "model": Room(house="errors", outside="msgspec"),
    "v2": Room(house="errors model", outside="msgspec"),
    "v2.codec": Room(house="errors model v2", outside="msgspec lxml"),
    "v2.xml": Room(house="errors model v2", outside="msgspec lxml"),
    "v2.document": Room(house="errors model v2", outside="msgspec lxml"),
    "v2.signature": Room(house="errors model v2", outside="msgspec lxml cryptography"),
    # the world outside: time, peers, disks
    "clock": Room(house="errors"),
    "transport": Room(
        house="errors clock", outside="aiohttp anyio cryptography h11 httptools multidict uvicorn uvloop yarl"
    ),
    "store": Room(house="errors clock model", outside="aiosqlite alembic asyncpg msgspec sqlalchemy"),
    # the running server: a core that is blind to versions, and the doors before it
    "vtn.service": SERVICE,
    "vtn.delivery": SERVICE,
    "vtn.presence": SERVICE,
    "vtn.identity": SERVICE,
    "vtn.notice": SERVICE,
    "vtn.rest": Room(house="errors clock model store.port store.ledger v2 vtn", outside="litestar msgspec"),
    "vtn": Room(house=EVERYTHING, outside=EVERYTHING, never=("ven", "cli", PACKAGE_ITSELF)),
    # the running client
    "ven": Room(house="errors clock model v2 transport store.port", outside="msgspec"),
    "ven.client": Room(house="errors clock model v2 transport store.port ven", outside="msgspec pandas"),
    "ven.frame": Room(house="errors model", outside="pandas"),
    "ven.adapter": Room(house="errors model ven.source", outside="aiohttp aiomqtt pymodbus"),
    # the client without code: ven.yaml, and what it can do and measure
    "agent": Room(house="errors clock model v2 transport ven", outside="aiohttp aiomqtt msgspec yaml"),
    # the other side, played by hand, for checks on any VTN or VEN
    "conformance": Room(house="errors clock model v2 transport", outside="cryptography msgspec"),
    # fleets that do not exist: pure models of devices, and what runs and judges them
    "simulation": Room(
        house="errors clock model v2 transport ven vtn.server simulation", outside="cryptography msgspec"
    ),
    "simulation.ask": Room(house="model simulation.ask", outside="msgspec"),
    "simulation.device": Room(house="errors simulation.ask"),
    # the roof: where concrete parts are picked
    "cli": Room(house=EVERYTHING, outside=EVERYTHING),
    "testing": Room(house=EVERYTHING, outside=EVERYTHING),
    "__main__": Room(house="cli"),
    PACKAGE_ITSELF: Room(house=EVERYTHING),
}

MODULES = (
    {source.name for source in sources()}
    | set(ROOMS)
    | {name for room in ROOMS.values() for name in room.house.split()}
)


def room_of(module: str) -> str | None:
    return max((name for name in ROOMS if within(module, (name,))), key=len, default=None)


def imports(source: Source) -> Iterator[tuple[int, str]]:
    """The absolute names that a module imports, with their lines. `from a import b` gives `a.b`."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(source, "." * node.level + (node.module or ""))
            for alias in node.names:
                yield node.lineno, f"{origin}.{alias.name}"
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, absolute(source, node.args[0].value)


def absolute(source: Source, name: str) -> str:
    """Resolve the leading dots of a relative import."""
    level = len(name) - len(name.lstrip("."))
    if level == 0:
        return name
    package = ["pyopenadr", *filter(None, source.parent.split("."))]
    package = package[: len(package) - (level - 1)]
    return ".".join([*package, *filter(None, [name.lstrip(".")])])


def forbidden(source: Source) -> Iterator[str]:
    """The imports of a module that its room does not allow, as sentences."""
    here = room_of(source.name)
    if here is None:
        yield f"pyopenadr.{source.name} is in no room: give it a row in ROOMS, with a decision record"
        return
    room = ROOMS[here]
    for line, name in imports(source):
        top, _, inner = name.partition(".")
        where = f"pyopenadr.{source.name}:{line}".replace(".:", ":")
        if top == "pyopenadr":
            # The last part may be a name inside a module; then the import is of the module that holds it.
            while inner and inner not in MODULES:
                inner = inner.rpartition(".")[0]
            granted = room.house == EVERYTHING or within(inner, (here, *room.house.split()))
            if not granted or within(inner, room.never):
                target = f"pyopenadr.{inner}" if inner else "the package itself"
                yield f"{where} imports {target}: not a door of {here!r}"
        elif room.outside != EVERYTHING and top not in {*sys.stdlib_module_names, *room.outside.split()}:
            yield f"{where} imports {top}: not a package for {here!r}"


def test_every_import_goes_through_a_door() -> None:
    assert [sentence for source in sources() for sentence in forbidden(source)] == []


@pytest.mark.parametrize(
    ("module", "line", "found"),
    [
        ("model.event", "import lxml.etree", "lxml"),
        ("model.event", "def f():\n    from pyopenadr.v2 import codec", "v2.codec"),
        ("model.event", "from ..clock import Clock", "clock"),
        ("model.event", "from pyopenadr import OpenADRClient", "the package itself"),
        ("errors", "if TYPE_CHECKING:\n    from pyopenadr.model.event import Event", "model"),
        ("v2.bridge", "from lxml import etree", "lxml"),
        ("v2.codec", "from cryptography import x509", "cryptography"),
        ("transport.http", "from pyopenadr import model", "model"),
        ("store.memory", "from pyopenadr.vtn.service import Service", "vtn.service"),
        ("vtn.service", "from pyopenadr.store.sql import SqlStore", "store"),
        ("vtn.service", "import_module('pyopenadr.v2')", "v2"),
        ("vtn.presence", "from .doors import v2_http", "vtn"),
        ("vtn.doors.v2_http", "from pyopenadr.ven import Client", "ven"),
        ("vtn.app", "from pyopenadr.cli import main", "cli"),
        ("vtn.rest.gate", "from pyopenadr.store.sql import SqlStore", "store"),
        ("ven.session", "from pyopenadr.vtn.app import App", "vtn"),
        ("ven.session", "from pyopenadr.store import memory", "store"),
        ("ven.session", "import aiohttp", "aiohttp"),
        ("simulation.device", "from pyopenadr.ven.client import OpenADRClient", "ven"),
        ("simulation.fleet", "from pyopenadr.vtn.service import Service", "vtn.service"),
        ("", "import aiohttp", "aiohttp"),
        ("surprise", "", "in no room"),
    ],
)
def test_a_closed_door_is_noticed(module: str, line: str, found: str) -> None:
    sentences = list(forbidden(Source(module, line, is_package=module == "")))
    assert len(sentences) == 1
    assert found in sentences[0]


@pytest.mark.parametrize(
    ("module", "line"),
    [
        (
            "model.event",
            "import msgspec, datetime\nfrom pyopenadr.errors import ModelError\nfrom . import time",
        ),
        (
            "v2.codec",
            "from lxml import etree\nfrom pyopenadr.v2.wire import event\nfrom ..model import party",
        ),
        ("v2.signature", "from cryptography.hazmat.primitives import hashes\nfrom lxml import etree"),
        (
            "store.sql",
            "import sqlalchemy\nfrom pyopenadr.store.port import Store\nfrom pyopenadr import clock",
        ),
        ("vtn.service", "from pyopenadr.store import port\nfrom pyopenadr.store.port import Store"),
        ("vtn.doors.v2_http", "from pyopenadr.v2 import bridge\nfrom ..service import Service"),
        ("vtn.server", "import uvicorn\nfrom pyopenadr.store.sql import SqlStore"),
        ("ven.session", "from pyopenadr.v2 import ven\nfrom pyopenadr.transport.http import Http"),
        ("simulation.device", "import random\nfrom pyopenadr.simulation.ask import Ask"),
        ("simulation.counterpart", "from pyopenadr.vtn.server import OpenADRServer"),
        ("cli", "import typer\nfrom pyopenadr import OpenADRServer"),
    ],
)
def test_an_open_door_is_open(module: str, line: str) -> None:
    assert list(forbidden(Source(module, line))) == []
