"""Reads the declarations of wire classes: what stands where, and how often.

`declaration_of(cls)` gives the fields as data, for the decoder and the encoder to compile; `build` makes wire values
of plain dicts with the same knowledge.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar

import msgspec

from pyopenadr.errors import SchemaMismatch
from pyopenadr.model.time import CalendarDuration
from pyopenadr.v2.text import BOOLEAN, DATE_TIME, DURATION, FLOAT, STRING, UNSIGNED_INT, Kind
from pyopenadr.v2.wire.base import AtLeast, Choice, Opaque, Variant, Wire

__all__ = ["Content", "Field", "build", "declaration_of", "variant_fields"]

Content = Kind | type[Wire] | Opaque | Choice


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a wire class.

    `path` are the element names from the class's own element down; `attribute` is an attribute's name instead of
    the last of them. `repeats_at` is the index in `path` of the element that repeats (the length of `path` for a
    choice that repeats), None for a single value. `leaf_optional` marks a last element that may be missing in its
    parent. `nullable` means that None stands for absent.
    """

    name: str
    path: tuple[str, ...]
    content: Content
    attribute: str | None = None
    repeats_at: int | None = None
    minimum: int = 0
    leaf_optional: bool = False
    required: bool = True
    nullable: bool = False
    default: Any = None


_KINDS: tuple[tuple[type, Kind], ...] = (
    (str, STRING),
    (bool, BOOLEAN),
    (int, UNSIGNED_INT),
    (float, FLOAT),
    (datetime, DATE_TIME),
    (timedelta, DURATION),
    (CalendarDuration, DURATION),
)


def _content_of(annotation: Any) -> Kind | type[Wire]:
    if isinstance(annotation, type) and issubclass(annotation, Wire):
        return annotation
    for python_type, kind in _KINDS:
        if annotation is python_type:
            return kind
    raise TypeError(f"no simple type is known for {annotation!r}")


def _split(path: str) -> tuple[tuple[str, ...], str | None, int | None, bool]:
    names: list[str] = []
    attribute = None
    repeats_at = None
    optional = path.endswith("?")
    for position, segment in enumerate(path.removesuffix("?").split("/")):
        if segment.startswith("@"):
            attribute = segment[1:]
            continue
        if segment.endswith("*"):
            repeats_at = position
        names.append(segment.removesuffix("*"))
    return tuple(names), attribute, repeats_at, optional


def _members(annotation: Any) -> tuple[tuple[Any, ...], bool]:
    """The alternatives of an annotation without None, and whether None was among them."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        members = typing.get_args(annotation)
        return tuple(member for member in members if member is not type(None)), type(None) in members
    return (annotation,), False


@cache
def declaration_of(cls: type[Wire]) -> tuple[Field, ...]:
    """The fields of a wire class that is declared by annotations, in schema order."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = []
    for info in msgspec.structs.fields(cls):
        base, *marks = typing.get_args(hints[info.name])
        path, attribute, repeats_at, leaf_optional = _split(next((m for m in marks if isinstance(m, str)), ""))
        if path == ("",):
            path = ()
        members, nullable = _members(base)
        is_tuple = typing.get_origin(members[0]) is tuple
        item = typing.get_args(members[0])[0] if is_tuple else members[0]
        marked = [mark for mark in marks if isinstance(mark, Kind | Choice | Opaque)]
        content: Content = marked[0] if marked else _content_of(_members(item)[0][0])
        if is_tuple and isinstance(content, Kind) and content.name == "doubleList":
            is_tuple = False  # one element holds the whole list
        if is_tuple and repeats_at is None:
            repeats_at = len(path) if isinstance(content, Choice) else len(path) - 1
        minimum = next((m.minimum for m in marks if isinstance(m, AtLeast)), 0)
        fields.append(
            Field(
                name=info.name,
                path=path,
                content=content,
                attribute=attribute,
                repeats_at=repeats_at,
                minimum=minimum,
                leaf_optional=leaf_optional,
                required=info.required or (minimum > 0 and not is_tuple),
                nullable=nullable,
                default=None if info.required else info.default,
            )
        )
    return tuple(fields)


def variant_fields(variant: Variant) -> tuple[Field, ...]:
    """The fields of one member of a substitution group."""
    if isinstance(variant.content, str):
        return (Field(name="value", path=(variant.content,), content=FLOAT),)
    if not variant.fields:
        return declaration_of(variant.content)
    return tuple(Field(name=name, path=(path,), content=content) for name, path, content in variant.fields)


_W = TypeVar("_W", bound=Wire)


def _variant_for(choice: Choice, value: Mapping[str, Any], path: str) -> type[Wire]:
    """The class whose fields the mapping has: all that it needs, and no other."""
    for variant in choice.variants:
        if not isinstance(variant.content, str):
            infos = msgspec.structs.fields(variant.content)
            if set(value) <= {info.name for info in infos} and {i.name for i in infos if i.required} <= set(value):
                return variant.content
    raise SchemaMismatch(f"the fields {sorted(value)} fit no {choice.head}", path=path, expected=choice.head)


def _value(content: Content, value: Any, path: str) -> Any:
    if isinstance(value, Wire):
        return value
    if isinstance(content, type):
        return _build(content, value, path)
    if isinstance(content, Choice) and isinstance(value, Mapping):
        return _build(_variant_for(content, value, path), value, path)
    if isinstance(content, Kind) and content.name == "doubleList":
        return tuple(value)
    return value


def _build(cls: type[_W], fields: Any, path: str) -> _W:
    if not isinstance(fields, Mapping):
        raise SchemaMismatch(f"{type(fields).__name__} {fields!r:.60}", path=path, expected="a dict")
    infos = {info.name: info for info in msgspec.structs.fields(cls)}
    if unknown := sorted(set(fields) - set(infos)):
        raise SchemaMismatch(
            f"no such field: {', '.join(unknown)}", path=path, expected=", ".join(infos), found=unknown[0]
        )
    if missing := [name for name, info in infos.items() if info.required and name not in fields]:
        raise SchemaMismatch(f"missing: {', '.join(missing)}", path=path, expected=missing[0])
    contents = {field.name: field for field in declaration_of(cls)} if _is_declared(cls) else {}
    values: dict[str, Any] = {}
    for name, value in fields.items():
        field = contents.get(name)
        here = f"{path}/{name}"
        if value is None:
            values[name] = value
        elif field is None:
            content: Any = _plain_content(infos[name].type)
            values[name] = value if content is None else _value(content, value, here)
        elif field.repeats_at is None:
            values[name] = _value(field.content, value, here)
        elif isinstance(value, list | tuple):
            values[name] = tuple(_value(field.content, item, f"{here}[{i}]") for i, item in enumerate(value))
        else:
            raise SchemaMismatch(f"{type(value).__name__} {value!r:.60}", path=here, expected="a list")
    return cls(**values)


def _is_declared(cls: type[Wire]) -> bool:
    return cls.__name__ != "ItemBase"


def _plain_content(annotation: Any) -> type[Wire] | None:
    members, _ = _members(annotation)
    return members[0] if isinstance(members[0], type) and issubclass(members[0], Wire) else None


def build(cls: type[_W], fields: Mapping[str, Any]) -> _W:
    """A wire value from dicts and lists.

    Raises:
        SchemaMismatch: a field is unknown, missing, or no dict or list where one is needed.
    """
    return _build(cls, fields, cls.__name__)
