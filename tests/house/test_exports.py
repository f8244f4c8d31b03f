"""The public names: every one of `pyopenadr.__all__` is there, and none is loaded before it is asked for."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys

import pytest

import pyopenadr
from tests.house.source import ROOT

# What `import pyopenadr` alone must not load: the running parts, and what they stand on.
LAZY = (
    *(
        "pyopenadr.cli",
        "pyopenadr.store",
        "pyopenadr.transport",
        "pyopenadr.v2",
        "pyopenadr.ven",
        "pyopenadr.vtn",
    ),
    *("aiohttp", "alembic", "cryptography", "lxml", "rich", "sqlalchemy", "typer", "uvicorn"),
)

# What `from pyopenadr import OpenADRClient` must not load besides: a VEN has to start fast and stay small.
NOT_THE_CLIENTS = (
    *("pyopenadr.agent", "pyopenadr.cli", "pyopenadr.store", "pyopenadr.v2.signature", "pyopenadr.vtn"),
    *("pyopenadr.transport.server", "pyopenadr.ven.fleet", "pyopenadr.ven.listener", "pyopenadr.ven.statefile"),
    *("aiohttp", "alembic", "cryptography", "email.utils", "httptools", "litestar", "pandas", "rich", "sqlalchemy"),
    *("sqlite3", "typer", "uvicorn", "uvloop", "yaml"),
)


def test_every_public_name_resolves() -> None:
    assert [name for name in pyopenadr.__all__ if not hasattr(pyopenadr, name)] == []


def test_a_name_stands_for_one_object() -> None:
    assert [name for name in pyopenadr.__all__ if getattr(pyopenadr, name) is not getattr(pyopenadr, name)] == []


def test_public_names_are_given_once() -> None:
    assert len(set(pyopenadr.__all__)) == len(pyopenadr.__all__)


def test_public_names_are_listed_by_dir() -> None:
    assert set(pyopenadr.__all__) <= set(dir(pyopenadr))


def test_public_classes_and_functions_are_documented() -> None:
    objects = {name: getattr(pyopenadr, name) for name in pyopenadr.__all__}
    code = {name: it for name, it in objects.items() if inspect.isclass(it) or inspect.isfunction(it)}
    assert [name for name, it in code.items() if not inspect.getdoc(it)] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    name = "no_such_name"
    with pytest.raises(AttributeError, match=name):
        getattr(pyopenadr, name)


def test_importing_the_package_loads_none_of_its_running_parts() -> None:
    program = "import sys, pyopenadr; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(set(LAZY) & set(done.stdout.split())) == []


def test_the_client_loads_only_what_it_needs() -> None:
    program = "import sys; from pyopenadr import OpenADRClient; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "pyopenadr.ven.client" in loaded
    assert sorted(set(NOT_THE_CLIENTS) & loaded) == []


def test_importing_by_star_gives_every_public_name() -> None:
    names: dict[str, object] = {}
    exec("from pyopenadr import *", names)
    assert set(pyopenadr.__all__) <= set(names)
