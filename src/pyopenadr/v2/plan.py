"""What stands in an element, as a tree: the declarations of a wire class arranged by element instead of by field.

The paths of a class's fields go through common elements. A `Node` is such an element's content: slots in order, in
each slot one element or a choice of them. Reading and writing are compiled from, or guided by, this one tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import msgspec

from pyopenadr.v2.profile import PROFILES, Profile
from pyopenadr.v2.text import Kind
from pyopenadr.v2.wire.base import Choice, Opaque, Variant, Wire
from pyopenadr.v2.wire.declaration import Field, declaration_of, variant_fields

__all__ = ["Arm", "Attribute", "Node", "Shape", "Slot", "shape_of"]


class Shape(msgspec.Struct, frozen=True, eq=False):
    """How an element's content and a value of a class are one another.

    `constants` are the fields that the element's name decides, or that are never there in this profile.
    """

    cls: type[Wire]
    fields: tuple[Field, ...]
    node: Node
    constants: Mapping[str, Any] = MappingProxyType({})


class Attribute(msgspec.Struct, frozen=True, eq=False):
    """An attribute with the field that it gives the value of. `clark` is its name with the namespace in braces."""

    tag: str
    clark: str
    field: Field
    kind: Kind


class Arm(msgspec.Struct, frozen=True, eq=False):
    """One element that may stand in a slot.

    With a `Node` in it, it is only a wrapper; otherwise its content is the value of `field`, or one item of it.
    `clark` is its name with the namespace in braces, as lxml has it.
    """

    tag: str
    clark: str
    field: Field
    content: Kind | Opaque | Shape | Node


class Slot(msgspec.Struct, frozen=True, eq=False):
    """One place in the order of a node, for any one of its arms; for several in a row if it `repeats`.

    `single` marks a list of which the profile allows exactly one item.
    """

    arms: tuple[Arm, ...]
    required: bool
    repeats: bool
    single: bool = False

    @property
    def tags(self) -> list[str]:
        """The names of the elements that may stand here."""
        return [arm.tag for arm in self.arms]


class Node(msgspec.Struct, frozen=True, eq=False):
    """What an element holds: its attributes, and its slots in order.

    `table` finds an element's slot and arm by its name. `fields` are all that have a part in it. `begun` are the
    lists that are empty, not absent, as soon as the element is there.
    """

    slots: tuple[Slot, ...]
    attributes: tuple[Attribute, ...]
    table: Mapping[str, tuple[int, Arm]]
    fields: tuple[Field, ...]
    begun: tuple[str, ...]


class _Builder:
    def __init__(self, profile: Profile, cls: type[Wire], fields: tuple[Field, ...]) -> None:
        self.profile = profile
        self.cls = cls
        self.required_paths = _required_paths(fields)

    def node(self, fields: list[Field], depth: int, *, inside: bool) -> Node:
        """The node at `depth` of these fields' paths.

        `inside` says that it is only there for an optional field, so that what it holds is required.
        """
        slots: list[Slot] = []
        attributes: list[Attribute] = []
        position = 0
        while position < len(fields):
            field = fields[position]
            last = position + 1
            if depth < len(field.path):
                while last < len(fields) and fields[last].path[depth : depth + 1] == field.path[depth : depth + 1]:
                    last += 1
                slots.append(self._path_slot(fields[position:last], depth, inside))
            elif field.attribute is not None:
                assert isinstance(field.content, Kind)
                clark = self.profile.clark(field.attribute)
                attributes.append(Attribute(field.attribute, clark, field, field.content))
            else:
                slots.append(self._choice_slot(field))
            position = last
        begun = tuple(field.name for field in fields if field.nullable and 0 < depth == field.repeats_at)
        table = {arm.clark: (at, arm) for at, slot in enumerate(slots) for arm in slot.arms}
        return Node(tuple(slots), tuple(attributes), MappingProxyType(table), tuple(fields), begun)

    def _arm(self, tag: str, field: Field, content: Kind | Opaque | Shape | Node) -> Arm:
        return Arm(tag, self.profile.clark(tag), field, content)

    def _path_slot(self, fields: list[Field], depth: int, inside: bool) -> Slot:
        field = fields[0]
        is_last = depth == len(field.path) - 1
        is_leaf = is_last and len(fields) == 1 and field.attribute is None and not isinstance(field.content, Choice)
        repeats = field.repeats_at == depth
        required = field.path[: depth + 1] in self.required_paths
        if not required and inside:
            required = not (is_last and field.leaf_optional) and not (repeats and field.minimum == 0)
        content: Kind | Opaque | Shape | Node
        if not is_leaf:
            below_optional = inside or field.path[: depth + 1] not in self.required_paths
            content = self.node(fields, depth + 1, inside=below_optional)
        elif isinstance(field.content, Kind | Opaque):
            content = field.content
        else:
            assert isinstance(field.content, type)
            content = shape_of(self.profile, field.content)
        return Slot((self._arm(field.path[depth], field, content),), required, repeats)

    def _choice_slot(self, field: Field) -> Slot:
        assert isinstance(field.content, Choice)
        arms = tuple(self._arm(v.tag, field, _variant(self.profile.name, v)) for v in field.content.variants)
        if field.repeats_at is None:
            return Slot(arms, field.required, repeats=False)
        single = self.profile.is_single(self.cls, field.name)
        return Slot(arms, field.minimum > 0, repeats=not single, single=single)


def _required_paths(fields: tuple[Field, ...]) -> set[tuple[str, ...]]:
    """Every path that must be there because a required field's path goes through it."""
    paths: set[tuple[str, ...]] = set()
    for field in fields:
        if field.required:
            end = len(field.path) if field.repeats_at is None or field.minimum else field.repeats_at
            paths.update(field.path[:length] for length in range(1, end + 1))
    return paths


@cache
def _variant(profile_name: str, variant: Variant) -> Shape | Node:
    """What is in the element of a member of a substitution group: a structure, or a way to one value."""
    profile = _profile(profile_name)
    if isinstance(variant.content, type) and not variant.fields:
        return shape_of(profile, variant.content)
    fields = variant_fields(variant)
    cls = Wire if isinstance(variant.content, str) else variant.content
    node = _Builder(profile, cls, fields).node(list(fields), 0, inside=False)
    return node if isinstance(variant.content, str) else Shape(cls, fields, node, variant.constants)


def _profile(name: str) -> Profile:
    return next(profile for profile in PROFILES if profile.name == name)


@cache
def _shape(profile_name: str, cls: type[Wire]) -> Shape:
    profile = _profile(profile_name)
    fields = profile.fields(cls)
    absent = profile.absent.get(cls.__name__, frozenset())
    unset = {f.name: () if f.default == () else None for f in declaration_of(cls) if f.name in absent}
    node = _Builder(profile, cls, fields).node(list(fields), 0, inside=False)
    return Shape(cls, fields, node, MappingProxyType(unset))


def shape_of(profile: Profile, cls: type[Wire]) -> Shape:
    """How the class stands in XML in that profile."""
    return _shape(profile.name, cls)
