"""Writes the reference pages that are made from the code: `make docs`. A test fails when one of them is stale."""

from __future__ import annotations

import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from pyopenadr import OpenADRClient, OpenADRServer
from pyopenadr.v2 import wire
from pyopenadr.v2.wire.base import Wire
from pyopenadr.v2.wire.declaration import declaration_of
from pyopenadr.ven.handler import HandlerSlot
from pyopenadr.vtn.question import QUESTIONS

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"

_NOTE = "*Made from the code by `make docs`. Change the code, not this page.*"


def write_pages(folder: Path = FOLDER) -> None:
    """Write every page."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), "utf-8")


# --- handlers -----------------------------------------------------------------------------------------------------


def handlers_page() -> str:
    """The handlers of the server, and what is in the messages that they get."""
    lines = [
        "# The server's handlers",
        _NOTE,
        "How to set them, and an example of each: [Connecting your data](../howto/backends.md).",
    ]
    table = ["| Handler | Gets | When, and what it may return |", "|---|---|---|"]
    payloads: dict[str, type[wire.Message]] = {}
    for name, text in QUESTIONS.items():
        argument, meaning = _question(text)
        gets = f"`{argument}`"
        if argument == "payload":
            payloads[name] = _payload_of(name)
            tag = _tag_of(payloads[name])
            gets = f"`payload`: [{tag}](#{tag.lower()})"
        table.append(f"| `{name}` | {gets} | {meaning} |")
    lines += ["\n".join(table), "## The messages", _MESSAGES]
    lines += [_structure(message, _tag_of(message)) for message in dict.fromkeys(payloads.values())]
    lines += ["## What is in them", "The structures that the messages above are made of."]
    lines += [_structure(part, part.__name__) for part in _parts(payloads.values())]
    return "\n\n".join(lines) + "\n"


_MESSAGES = """\
A field is an attribute (`payload.ven_id`) and an item (`payload["ven_id"]`). `payload.get("ven_id", "nobody")` gives
a default for what is absent, `payload.to_dict()` everything as dicts and lists of native types, and
`payload.message_type` the message's name. A *list* is a tuple. What is marked with *or None* may be absent."""


def _question(text: str) -> tuple[str, str]:
    """The argument of a question, and what it means."""
    found = re.fullmatch(r"\((\w+(?:, \w+)*)\) (.+)", text)
    if found is None:
        raise ValueError(f"a question starts with its argument in brackets, but this does not: {text!r}")
    return found[1], found[2]


def _payload_of(handler: str) -> type[wire.Message]:
    """The message that a handler gets: `on_create_opt` gets OadrCreateOpt."""
    name = "Oadr" + "".join(word.capitalize() for word in handler.removeprefix("on_").split("_"))
    found: type[wire.Message] = getattr(wire, name)
    return found


def _tag_of(cls: type[wire.Message]) -> str:
    return cls.tag.partition(":")[2]


def _structure(cls: type[Wire], title: str) -> str:
    """A structure with its fields."""
    rows = [f"### {title}", "", _plain(inspect.getdoc(cls) or ""), "", "| Field | Type | Element |", "|---|---|---|"]
    elements = _elements(cls)
    for name, hint in _fields(cls):
        element = f"`{elements[name]}`" if elements.get(name) else ""
        rows.append(f"| `{name}` | {_type_text(hint)} | {element} |")
    return "\n".join(rows)


def _fields(cls: type[Wire]) -> list[tuple[str, Any]]:
    hints = typing.get_type_hints(cls)
    return [(name, hints[name]) for name in cls.__struct_fields__]


def _elements(cls: type[Wire]) -> dict[str, str]:
    """The path of each field's element. A member of a substitution group has none of its own: they vary by member."""
    hints = typing.get_type_hints(cls, include_extras=True)
    if not all(hasattr(hints[name], "__metadata__") for name in cls.__struct_fields__):
        return {}
    return {
        field.name: "/".join(field.path) + (f"@{field.attribute}" if field.attribute is not None else "")
        for field in declaration_of(cls)
    }


def _parts(messages: typing.Iterable[type[wire.Message]]) -> list[type[Wire]]:
    """Every structure inside these messages, in the order in which one comes upon them."""
    found: dict[type[Wire], None] = {}

    def visit(cls: type[Wire]) -> None:
        for _, hint in _fields(cls):
            for part in _wires_in(hint):
                if part not in found:
                    found[part] = None
                    visit(part)

    for message in messages:
        visit(message)
    return list(found)


def _wires_in(hint: Any) -> Iterator[type[Wire]]:
    if isinstance(hint, type) and issubclass(hint, Wire):
        yield hint
    for argument in typing.get_args(hint):
        yield from _wires_in(argument)


def _type_text(hint: Any) -> str:
    """A type as a reader may like it."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        names = [_type_text(member) for member in typing.get_args(hint)]
        if "timedelta" in names and "CalendarDuration" in names:
            names = ["Duration" if name == "timedelta" else name for name in names if name != "CalendarDuration"]
        return " or ".join(names)
    if typing.get_origin(hint) is tuple:
        return f"list of {_type_text(typing.get_args(hint)[0])}"
    if hint is type(None):
        return "None"
    if isinstance(hint, type) and issubclass(hint, Wire):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return getattr(hint, "__name__", str(hint))


def _plain(text: str) -> str:
    """A docstring as paragraphs of single lines."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


# --- settings -----------------------------------------------------------------------------------------------------

_HANDLER = "a handler, see [Running a VEN](../howto/ven.md)."


def settings_page() -> str:
    """The arguments of the server and of the client."""
    lines = ["# Settings", _NOTE, "Every argument but the first ones is given by name."]
    for cls, doc in ((OpenADRServer, OpenADRServer.__doc__), (OpenADRClient, OpenADRClient.__init__.__doc__)):
        lines += [f"## {cls.__name__}", _settings_table(cls, doc or "")]
    return "\n\n".join(lines) + "\n"


def _settings_table(cls: type, doc: str) -> str:
    meanings = _arguments(doc)
    rows = ["| Argument | Default | Meaning |", "|---|---|---|"]
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            rows.append(f"| any handler's name | | {meanings[name]} |")
            continue
        default = "" if parameter.default is parameter.empty else f"`{_default_text(parameter.default)}`"
        meaning = _HANDLER if isinstance(inspect.getattr_static(cls, name, None), HandlerSlot) else meanings.get(name)
        rows.append(f"| `{name}` | {default} | {meaning or ''} |")
    return "\n".join(rows)


def _arguments(doc: str) -> dict[str, str]:
    """What the section `Args` of a docstring says of each argument."""
    section = re.search(r"^Args:\n(.+?)(?:\n\n|\Z)", inspect.cleandoc(doc), re.DOTALL | re.MULTILINE)
    found: dict[str, str] = {}
    for item in re.split(r"\n {4}(?! )", "\n" + section[1] if section is not None else ""):
        names, _, meaning = " ".join(item.split()).partition(": ")
        found |= dict.fromkeys(names.split(", "), meaning)
    return found


def _default_text(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    if isinstance(value, tuple) and value and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    if isinstance(value, msgspec.Struct):
        return type(value).__name__
    return str(value)


# --- conformance --------------------------------------------------------------------------------------------------


def conformance_page() -> str:
    """The numbered rules and the tests that are named after them."""
    from tests.conformance.matrix import page

    return page(_NOTE)


PAGES: dict[str, Callable[[], str]] = {
    "conformance.md": conformance_page,
    "handlers.md": handlers_page,
    "settings.md": settings_page,
}
"""Each page's file name, and what makes it."""

if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parents[1]))  # where the tests are found
    write_pages()
