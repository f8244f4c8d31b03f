"""Finds out why a wire value can't be written: a slow walk along the plan, made only when writing has failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from pyopenadr.errors import SchemaMismatch
from pyopenadr.v2.encoder import by_key, forbidden_fields, opaque_of
from pyopenadr.v2.plan import Arm, Attribute, Node, Shape, Slot
from pyopenadr.v2.text import Kind, described
from pyopenadr.v2.wire.base import Opaque
from pyopenadr.v2.wire.declaration import Field

__all__ = ["explain"]


def explain(shape: Shape, value: object, path: str, profile: str) -> None:
    """Raise SchemaMismatch for the first thing in a value that can't be written; return if there is none.

    `path` is by field names: `oadrDistributeEvent/events[0]/event_descriptor/priority`.
    """
    _Search(profile).structure(shape, value, path)


def _refuse(reason: str, path: str, *, expected: str | None = None, rule: str | None = None) -> NoReturn:
    raise SchemaMismatch(f"can't be written: {reason}", path=path, expected=expected, found=reason, rule=rule)


class _Search:
    def __init__(self, profile: str) -> None:
        self.profile = profile

    def structure(self, shape: Shape, value: object, path: str) -> None:
        if type(value) is not shape.cls:
            expected = shape.cls.__name__
            _refuse(f"{described(value)} where {expected} is needed", path, expected=expected)
        for name, absent in forbidden_fields(shape):
            if getattr(value, name) != absent:
                element = shape.constants.get("element")
                where = f"{element} has none" if element else f"it is not part of profile {self.profile}"
                _refuse(f"{name} must be left out: {where}", f"{path}/{name}")
        values = {field.name: getattr(value, field.name) for field in shape.fields}
        self._node(shape.node, values, path)

    def _node(self, node: Node, values: dict[str, Any], path: str) -> None:
        for attribute in node.attributes:
            if values[attribute.field.name] is not None:
                self._attribute(attribute, values, path)
        for slot in node.slots:
            self._slot(slot, values, path)

    def _attribute(self, attribute: Attribute, values: dict[str, Any], path: str) -> None:
        _check(attribute.kind, values[attribute.field.name], f"{path}/{attribute.field.name}")

    def _slot(self, slot: Slot, values: dict[str, Any], path: str) -> None:
        arm = slot.arms[0]
        wrapped = arm.content if isinstance(arm.content, Node) and len(slot.arms) == 1 else None
        fields = wrapped.fields if wrapped is not None else (arm.field,)
        if not slot.required and all(_is_absent(field, values[field.name]) for field in fields):
            return
        here = f"{path}/{arm.field.name}"
        value = values[arm.field.name]
        if slot.repeats or slot.single:
            self._list(slot, value, here)
        elif wrapped is not None:
            self._node(wrapped, values, path)
        else:
            self._value(slot.arms, value, here)

    def _list(self, slot: Slot, values: object, path: str) -> None:
        if not isinstance(values, tuple | list):
            _refuse(f"{described(values)} where a tuple is needed", path, expected="a tuple")
        if slot.required and not values:
            _refuse("at least one is needed", path, expected="at least one")
        if slot.single and len(values) != 1:
            _refuse(f"{len(values)} of them where profile {self.profile} has exactly one", path, expected="one")
        for position, value in enumerate(values):
            self._value(slot.arms, value, f"{path}[{position}]")

    def _value(self, arms: Sequence[Arm], value: object, path: str) -> None:
        arm = self._arm(tuple(arms), value, path)
        content = arm.content
        if value is None:
            _refuse("it is missing", path, expected=arm.tag)
        if isinstance(content, Kind):
            _check(content, value, path)
        elif isinstance(content, Opaque):
            try:
                opaque_of(value, arm, content)
            except ValueError as error:
                _refuse(str(error), path, expected=arm.tag)
        elif isinstance(content, Shape):
            self.structure(content, value, path)
        else:
            self._value(content.slots[0].arms, value, path)

    def _arm(self, arms: tuple[Arm, ...], value: object, path: str) -> Arm:
        if len(arms) == 1:
            return arms[0]
        members = by_key(arms)
        element = getattr(value, "element", None)
        arm = members.get(type(value)) or (members.get(element) if isinstance(element, str) else None)
        if arm is None:
            known = ", ".join(key if isinstance(key, str) else key.__name__ for key in members if key is not int)  # type: ignore[attr-defined]
            found = f"element {element!r:.60}" if element is not None else described(value)
            _refuse(f"{found} where one of {known} is needed", path, expected=known)
        return arm


def _is_absent(field: Field, value: object) -> bool:
    return value == () if field.repeats_at is not None and not field.nullable else value is None


def _check(kind: Kind, value: object, path: str) -> None:
    try:
        kind.format(value)
    except (ValueError, TypeError) as error:  # TypeError: what can't be hashed is not in a cache
        reason = str(error) if isinstance(error, ValueError) else described(value)
        _refuse(f"it must be {kind.expects}, not {reason[:200]}", path, expected=kind.expects, rule=kind.rule)
