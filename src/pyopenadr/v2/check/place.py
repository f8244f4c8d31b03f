"""Places in wire values, and the element paths they stand for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyopenadr.v2.check.finding import Place
from pyopenadr.v2.codec import Payload
from pyopenadr.v2.wire import Wire
from pyopenadr.v2.wire.base import Choice
from pyopenadr.v2.wire.declaration import Field, declaration_of, variant_fields

__all__ = ["parts", "path_at"]


def parts(value: Wire, place: Place = ()) -> Iterator[tuple[Place, Wire]]:
    """Every structure in a wire value with its place, in the order of the document; first the value itself."""
    yield place, value
    for name in value.__struct_fields__:
        child = getattr(value, name)
        if isinstance(child, Wire):
            yield from parts(child, (*place, name))
        elif isinstance(child, tuple):
            for position, item in enumerate(child):
                if isinstance(item, Wire):
                    yield from parts(item, (*place, name, position))


def path_at(payload: Payload, place: Place) -> str:
    """The element path of a place in the message, in the form that `decode` uses in its errors."""
    has_envelope = payload.profile == "2.0b" and all(d.rule != "bare-root" for d in payload.deviations)
    names = ["oadrPayload", "oadrSignedObject"] if has_envelope else []
    names.append(payload.message.message_type)
    value: Any = payload.message
    fields = declaration_of(type(payload.message))
    steps = list(place)
    while steps:
        field = next(field for field in fields if field.name == steps[0])
        value = getattr(value, field.name)
        position = steps[1] if len(steps) > 1 and isinstance(steps[1], int) else None
        del steps[: 1 if position is None else 2]
        found, fields = _segments(field, value, position)
        names += found
        if isinstance(position, int):
            value = value[position]
    return "/".join(names)


def _segments(field: Field, value: Any, position: int | None) -> tuple[list[str], tuple[Field, ...]]:
    """The names below a structure on the way to a field's value, and the fields of that value in turn.

    Of a list without a position only the way to its parent is given.
    """
    names = [_local(tag) for tag in field.path]
    if field.repeats_at is not None and position is None:
        return names[: field.repeats_at], ()
    item = value if position is None else value[position]
    twins = len(value) if position is not None else 1
    ordinal = 0 if position is None else position
    below: tuple[Field, ...] = ()
    if isinstance(field.content, Choice):
        tag, below = _variant(field.content, item)
        names.append(_local(tag))
        if position is not None:
            same = [_variant(field.content, other)[0] == tag for other in value]
            twins, ordinal = sum(same), sum(same[:position])
    elif isinstance(item, Wire):
        below = declaration_of(type(item))
    if field.repeats_at is not None and twins > 1:
        names[field.repeats_at] += f"[{ordinal + 1}]"
    return names, below


def _variant(choice: Choice, value: Any) -> tuple[str, tuple[Field, ...]]:
    """The element of a value in a substitution group (its head, if there is no value) and the fields below it."""
    for variant in choice.variants:
        if isinstance(variant.content, str):
            if isinstance(value, float | int):
                return variant.tag, ()
        elif isinstance(value, variant.content) and all(
            getattr(value, name) == constant for name, constant in variant.constants.items()
        ):
            return variant.tag, variant_fields(variant)
    return choice.head, ()


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]
