"""Writes wire values as XML text.

A function for each class, compiled from its plan, puts the text together in one expression. It writes canonical XML
(no self-closing elements, attributes in order, canonical escapes), so that a signature can be made over the same
text. The functions only notice that a value can't be written; `refusal` then finds out where and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from pyopenadr.v2.plan import Arm, Attribute, Node, Shape, Slot
from pyopenadr.v2.profile import PREFIXES, Profile
from pyopenadr.v2.source import Source
from pyopenadr.v2.text import Kind, described
from pyopenadr.v2.wire.base import Opaque
from pyopenadr.v2.wire.declaration import Field
from pyopenadr.v2.xml import nil_fault, opaque_text, parse_opaque

__all__ = [
    "RARE",
    "Written",
    "attribute_text",
    "by_key",
    "forbidden_fields",
    "namespaces_in",
    "opaque_of",
    "prefixes_of",
    "writer_of",
]

RARE = frozenset(("atom", "gml", "power", "scale"))
"""Prefixes that most messages don't need; they are declared only where they are used."""


class Unwritable(ValueError):
    """A value can't be written."""


class Written:
    """What was written on the way: the rare prefixes, and the XML Ids."""

    __slots__ = ("ids", "prefixes")

    def __init__(self) -> None:
        self.prefixes: set[str] = set()
        self.ids: list[str] = []


Write = Callable[[Any, Written], str]
"""Writes a value as a whole element."""


def opaque_of(value: object, arm: Arm, content: Opaque) -> str:
    """An element that is kept as text, checked and in canonical form.

    Raises:
        ValueError: it is no text of such an element.
    """
    if not isinstance(value, str):
        raise Unwritable(f"{described(value)} where XML text is needed")
    if value == "" and content.root is None:
        return f"<{arm.tag}></{arm.tag}>"
    element = parse_opaque(value)
    if element.tag != arm.clark:
        raise Unwritable(f"XML text with the element {element.tag!r:.60} where {arm.tag} is needed")
    if fault := nil_fault(element, nillable=content.root is None):
        raise Unwritable(fault)
    return opaque_text(element)


def _items(value: object) -> tuple[Any, ...]:
    if isinstance(value, tuple | list):
        return tuple(value)
    raise Unwritable


def attribute_text(text: str) -> str:
    """Escaped character data for use inside double quotes, in canonical form."""
    return text.replace("&gt;", ">").replace('"', "&quot;").replace("\t", "&#x9;").replace("\n", "&#xA;")


@cache
def writer_of(shape: Shape, tag: str) -> Write:
    """The function that writes a structure as an element of that name."""
    builder = _Builder()
    source = builder.source
    with source.block("def write(o, met):"):
        conditions = [f"type(o) is not {source.name(shape.cls)}"]
        conditions += [f"o.{name} {_present(absent)}" for name, absent in forbidden_fields(shape)]
        with source.block(f"if {' or '.join(conditions)}:"):
            source.line("raise Unwritable")
        values = {field.name: f"o.{field.name}" for field in shape.fields}
        source.line(f"return f'{builder.node(tag, shape.node, values)}'")
    return source.function("write")


def forbidden_fields(shape: Shape) -> list[tuple[str, object]]:
    """The fields of the class that this shape has no form for, with the value that stands for being absent.

    In 2.0a a schema_version is passed over, so that the same message can be written in either profile.
    """
    known = {field.name for field in shape.fields} | {"schema_version", "element"}
    return [(name, shape.constants.get(name)) for name in shape.cls.__struct_fields__ if name not in known]


def _present(absent: object) -> str:
    return "is not None" if absent is None else f"!= {absent!r}"


class _Builder:
    """Puts the f-string for a structure together, after lines for whatever may be absent."""

    def __init__(self) -> None:
        self.source = Source({"Unwritable": Unwritable, "items": _items})

    def node(self, tag: str, node: Node, values: Mapping[str, str]) -> str:
        """The piece for an element with attributes or elements in it; `values` are the expressions for its fields."""
        self._mention(tag)
        attributes = "".join([self._attribute(attribute, values) for attribute in node.attributes])
        return f"<{tag}{attributes}>" + "".join([self._slot(slot, values) for slot in node.slots]) + f"</{tag}>"

    def _attribute(self, attribute: Attribute, values: Mapping[str, str]) -> str:
        source = self.source
        name = source.fresh("a")
        value = values[attribute.field.name]
        format_ = source.name(lambda value: attribute_text(attribute.kind.format(value)))
        source.line(f"{name} = ''")
        with source.block(f"if {value} is not None:"):
            self._mention(attribute.tag)
            source.line(f"{name} = f' {attribute.tag}=\"{{{format_}({value})}}\"'")
            if attribute.kind.name == "ID":
                source.line(f"met.ids.append({value})")
        return f"{{{name}}}"

    def _mention(self, tag: str) -> None:
        prefix = tag.partition(":")[0]
        if prefix in RARE:
            self.source.line(f"met.prefixes.add({prefix!r})")

    def _slot(self, slot: Slot, values: Mapping[str, str]) -> str:
        """The f-string's piece for a slot."""
        if slot.repeats:
            return self._list(slot, values)
        if slot.required:
            return self._one(slot, values)
        source = self.source
        content = slot.arms[0].content
        fields: tuple[Field, ...] = (slot.arms[0].field,)
        if isinstance(content, Node) and len(slot.arms) == 1:
            fields = content.fields
        name = source.fresh("p")
        source.line(f"{name} = ''")
        absent = [
            f"{values[f.name]} {_present(() if f.repeats_at is not None and not f.nullable else None)}" for f in fields
        ]
        with source.block(f"if {' or '.join(absent)}:"):
            source.line(f"{name} = f'{self._one(slot, values)}'")
        return f"{{{name}}}"

    def _one(self, slot: Slot, values: Mapping[str, str]) -> str:
        """The piece for the one element of a slot."""
        arm = slot.arms[0]
        value = values[arm.field.name]
        if slot.single:
            value = f"{self.source.name(_only)}({value})"
        return self._member(slot, value) if len(slot.arms) > 1 else self.element(arm, value, values)

    def _member(self, slot: Slot, value: str) -> str:
        """The piece for a member of a substitution group, chosen by the value's class, or by its `element`."""
        writers = self.source.name({key: _arm_writer(arm) for key, arm in by_key(slot.arms).items()})
        by_element = any(isinstance(arm.content, Shape) and arm.content.constants for arm in slot.arms)
        key = f"{value}.element" if by_element else f"type({value})"
        return f"{{{writers}[{key}]({value}, met)}}"

    def element(self, arm: Arm, value: str, values: Mapping[str, str]) -> str:
        """The piece for an element with all it holds."""
        name = self.source.name
        content = arm.content
        if isinstance(content, Node):
            return self.node(arm.tag, content, values)
        if isinstance(content, Shape):
            return f"{{{name(writer_of(content, arm.tag))}({value}, met)}}"
        if isinstance(content, Opaque):
            return f"{{{name(partial(opaque_of, arm=arm, content=content))}({value})}}"
        self._mention(arm.tag)
        return f"<{arm.tag}>{{{self._text(content, value)}}}</{arm.tag}>"

    def _text(self, kind: Kind, value: str) -> str:
        usual = f"{self.source.name(kind.words.get)}({value}) or " if kind.words else ""
        return f"{usual}{self.source.name(kind.format)}({value})"

    def _list(self, slot: Slot, values: Mapping[str, str]) -> str:
        source = self.source
        field = slot.arms[0].field
        name, items = source.fresh("p"), source.fresh("items")
        source.line(f"{name} = ''")
        source.line(f"{items} = {values[field.name]}")
        with source.block(f"if {items} != ():"):
            with source.block(f"if type({items}) is not tuple:"):
                source.line(f"{items} = items({items})")
            if len(slot.arms) > 1:
                item = self._member(slot, "item")
            else:
                item = self.element(slot.arms[0], "item", {field.name: "item"})
            with source.block(f"if len({items}) == 1:"):  # the usual case, in half the time
                source.line(f"item = {items}[0]")
                source.line(f"{name} = f'{item}'")
            with source.block("else:"):
                source.line(f"{name} = ''.join([f'{item}' for item in {items}])")
        if slot.required:
            with source.block(f"if not {name}:"):
                source.line("raise Unwritable")
        return f"{{{name}}}"


def _only(values: object) -> Any:
    items = _items(values)
    if len(items) != 1:
        raise Unwritable
    return items[0]


def by_key(arms: tuple[Arm, ...]) -> Mapping[object, Arm]:
    """The members of a substitution group by what decides for them: the value's class, or its `element`."""
    found: dict[object, Arm] = {}
    for arm in arms:
        if isinstance(arm.content, Shape):
            found[arm.content.constants.get("element", arm.content.cls)] = arm
        else:
            found[float] = found[int] = arm
    return found


@cache
def _arm_writer(arm: Arm) -> Write:
    if isinstance(arm.content, Shape):
        return writer_of(arm.content, arm.tag)
    assert isinstance(arm.content, Node)
    builder = _Builder()
    with builder.source.block("def write(o, met):"):
        values = {field.name: "o" for field in arm.content.fields}
        builder.source.line(f"return f'{builder.node(arm.tag, arm.content, values)}'")
    return builder.source.function("write")


@cache
def prefixes_of(shape: Shape) -> frozenset[str]:
    """The prefixes that may occur in a structure."""
    return _prefixes(shape.node)


def _prefixes(node: Node) -> frozenset[str]:
    found = {attribute.tag.partition(":")[0] for attribute in node.attributes}
    for slot in node.slots:
        for arm in slot.arms:
            found.add(arm.tag.partition(":")[0])
            if isinstance(arm.content, Shape):
                found |= prefixes_of(arm.content)
            elif isinstance(arm.content, Node):
                found |= _prefixes(arm.content)
    return frozenset(found)


def namespaces_in(profile: Profile, text: str, also: Mapping[str, str]) -> dict[str, str]:
    """The declarations that a text needs, by prefix, in canonical order; those of `also` in any case."""
    used = {
        prefix: profile.uri(prefix)
        for prefix in PREFIXES
        if prefix not in also and (f"<{prefix}:" in text or f" {prefix}:" in text)
    }
    return dict(sorted({**used, **also}.items()))
