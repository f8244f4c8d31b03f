"""What the pure rooms do without, and what no room may do.

Pure rooms get time, ids and random draws as arguments; so a test can give them any, and the same call gives
the same answer for ever.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator

import pytest

from tests.house.source import Source, sources, within

PURE = ("errors", "model", "v2", "v3")

IMPURE_MODULES = (
    # concurrency and the world outside
    *("asyncio", "concurrent", "multiprocessing", "selectors", "socket", "ssl", "subprocess", "threading"),
    *("http", "sqlite3", "urllib.request"),
    # randomness and settings
    *("random", "secrets", "os", "tempfile", "logging.config"),
)
IMPURE_NAMES = (
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"),
    *("time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.sleep"),
    *("time.localtime", "time.gmtime", "uuid.uuid1", "uuid.uuid4"),
    *("logging.basicConfig", "logging.disable", "logging.captureWarnings"),
)
LOGGING_SET_UP = ("addHandler", "removeHandler", "setLevel")

MUTABLE_LITERALS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MUTABLE_CALLS = ("list", "dict", "set", "bytearray", "defaultdict", "deque", "Counter", "OrderedDict")
CONSTANT = re.compile(r"_*[A-Z][A-Z0-9_]*|__\w+__")

BLIND = ("Exception", "BaseException")
DIRECTIVE = re.compile(r"(noqa|type:\s*ignore|pragma)(:?\s*(\[[\w, -]*\]|[A-Z]+\d+(,\s*[A-Z]+\d+)*|no \w+))?")

JUNK_DRAWERS = re.compile(r"(utils?|helpers?|misc|common)")
JUNK_DRAWERS_ALLOWED = ("v2.wire.common",)


def origins(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for: `{"dt": "datetime.datetime"}`."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                found[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                origin = "." * node.level + (node.module or "")
                found[alias.asname or alias.name] = f"{origin}.{alias.name}"
    return found


def impurities(source: Source) -> Iterator[str]:
    """Where a pure module waits, looks at a clock, draws lots or sets up logging."""
    tree = source.tree
    known = origins(tree)
    for node in ast.walk(tree):
        match node:
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield f"pyopenadr.{source.name}:{node.lineno} is async"
            case ast.Import() | ast.ImportFrom():
                names = [alias.name for alias in node.names]
                if isinstance(node, ast.ImportFrom):
                    names = [f"{'.' * node.level}{node.module or ''}.{name}" for name in names]
                for name in names:
                    if within(name, IMPURE_MODULES) or name in IMPURE_NAMES:
                        yield f"pyopenadr.{source.name}:{node.lineno} imports {name}"
            case ast.Attribute():
                head, _, rest = ast.unparse(node).partition(".")
                if f"{known.get(head, '')}.{rest}" in IMPURE_NAMES:
                    yield f"pyopenadr.{source.name}:{node.lineno} uses {head}.{rest}"
                elif node.attr in LOGGING_SET_UP:
                    yield f"pyopenadr.{source.name}:{node.lineno} sets up logging"


def module_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run at import, also in `if`, `try`, `with` and loops; not in classes."""
    for statement in body:
        yield statement
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for part in ("body", "orelse", "finalbody"):
                yield from module_level(getattr(statement, part, []))
            for handler in getattr(statement, "handlers", []):
                yield from module_level(handler.body)


def states(source: Source) -> Iterator[str]:
    """Where a pure module keeps something that could change. Constants are upper case, or `Final`."""
    tree = source.tree
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield f"pyopenadr.{source.name}:{node.lineno} changes a global"
    for node in module_level(tree.body):
        targets: list[ast.expr]
        match node:
            case ast.Assign(targets=targets, value=value):
                pass
            case ast.AnnAssign(target=annotated, value=ast.expr() as value, annotation=annotation):
                if "Final" in ast.unparse(annotation):
                    continue
                targets = [annotated]
            case _:
                continue
        is_mutable = isinstance(value, MUTABLE_LITERALS) or (
            isinstance(value, ast.Call)
            and ast.unparse(value.func).partition("[")[0].rpartition(".")[2] in MUTABLE_CALLS
        )
        for target in targets:
            if is_mutable and isinstance(target, ast.Name) and not CONSTANT.fullmatch(target.id):
                yield f"pyopenadr.{source.name}:{node.lineno} keeps state in {target.id}"


def blind_excepts(source: Source) -> Iterator[str]:
    """Where any error at all is caught without a comment on the same line that gives the reason."""
    reasons = {}
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT:
            reasons[token.start[0]] = DIRECTIVE.sub("", token.string)
    for node in ast.walk(source.tree):
        match node:
            case ast.ExceptHandler(type=None):
                caught = ["Exception"]
            case ast.ExceptHandler(type=ast.Tuple(elts=elements)):
                caught = [ast.unparse(element) for element in elements]
            case ast.ExceptHandler(type=ast.expr() as one):
                caught = [ast.unparse(one)]
            case ast.Call(func=func, args=arguments) if ast.unparse(func).endswith("suppress"):
                caught = [ast.unparse(argument) for argument in arguments]
            case _:
                continue
        reason = re.findall(r"\w+", reasons.get(node.lineno, ""))
        if any(name.rpartition(".")[2] in BLIND for name in caught) and len(reason) < 2:
            yield f"pyopenadr.{source.name}:{node.lineno} catches everything and gives no reason"


def junk_drawers(source: Source) -> Iterator[str]:
    """Modules whose name does not say what they are for."""
    if JUNK_DRAWERS.fullmatch(source.name.rpartition(".")[2]) and source.name not in JUNK_DRAWERS_ALLOWED:
        yield f"pyopenadr.{source.name} is named after nothing: call it by what it holds"


def test_pure_rooms_are_pure() -> None:
    assert [s for source in sources() if within(source.name, PURE) for s in impurities(source)] == []


def test_pure_rooms_keep_no_state() -> None:
    assert [s for source in sources() if within(source.name, PURE) for s in states(source)] == []


def test_whoever_catches_everything_says_why() -> None:
    assert [s for source in sources() for s in blind_excepts(source)] == []


def test_no_junk_drawers() -> None:
    assert [s for source in sources() for s in junk_drawers(source)] == []


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (impurities, "async def f(): pass"),
        (impurities, "from datetime import datetime as dt\nx = dt.now()"),
        (impurities, "import datetime\nx = datetime.datetime.utcnow()"),
        (impurities, "from datetime import date\nx = date.today()"),
        (impurities, "import time\nx = time.monotonic"),
        (impurities, "from time import time"),
        (impurities, "def f():\n    import random"),
        (impurities, "from secrets import token_hex"),
        (impurities, "from os import urandom"),
        (impurities, "import uuid\nx = str(uuid.uuid4())"),
        (impurities, "from uuid import uuid4"),
        (impurities, "import logging\nlogging.basicConfig()"),
        (impurities, "import logging\nlogging.getLogger('a').setLevel(10)"),
        (states, "cache = {}"),
        (states, "seen: set[str] = set()"),
        (states, "if True:\n    rows = [1]"),
        (states, "from collections import defaultdict\nrows = defaultdict[str, int](int)"),
        (states, "def f():\n    global x\n    x = 1"),
        (blind_excepts, "try:\n    f()\nexcept:\n    pass"),
        (blind_excepts, "try:\n    f()\nexcept Exception:\n    pass"),
        (blind_excepts, "try:\n    f()\nexcept Exception:  # noqa: BLE001\n    pass"),
        (blind_excepts, "try:\n    f()\nexcept (OSError, BaseException) as error:\n    pass"),
        (blind_excepts, "with contextlib.suppress(Exception):\n    pass"),
    ],
)
def test_a_breach_is_noticed(check: Callable[[Source], Iterator[str]], text: str) -> None:
    assert len(list(check(Source("model.made_up", text)))) == 1


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (impurities, "from datetime import UTC, datetime\nx = datetime(2030, 1, 1, tzinfo=UTC)"),
        (impurities, "import logging\nlog = logging.getLogger(__name__)"),
        (impurities, "from pyopenadr.model import time\nx = time.parse('PT1H')"),
        (impurities, "def f(now): return now()"),
        (states, "TABLE = {}\n_NAMES = []\n__all__ = ['a']"),
        (states, "from typing import Final\ntable: Final = {}\nrows: Final[list[int]] = [1]"),
        (states, "point = (1, 2)\nnames = frozenset({'a'})"),
        (states, "def f():\n    rows = []\nclass A:\n    rows = []"),
        (blind_excepts, "try:\n    f()\nexcept OSError:\n    pass"),
        (
            blind_excepts,
            "try:\n    f()\nexcept Exception:  # noqa: BLE001 - a handler may raise anything\n    pass",
        ),
    ],
)
def test_what_is_no_breach_passes(check: Callable[[Source], Iterator[str]], text: str) -> None:
    assert list(check(Source("model.made_up", text))) == []


@pytest.mark.parametrize("name", ["utils", "ven.helpers", "v2.common", "misc"])
def test_a_junk_drawer_is_noticed(name: str) -> None:
    assert list(junk_drawers(Source(name, ""))) != []
