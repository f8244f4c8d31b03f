"""Writes wire values as XML text.

A function for each class, compiled from its plan, puts the text together in one expression. It writes canonical XML
(no self-closing elements, attributes in order, canonical escapes), so that a signature can be made over the same
text. The functions only notice that a value can't be written; `refusal` then finds out where and why.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any

from pyopenadr.v2.plan import Arm, Attribute, Node, Shape, Slot
from pyopenadr.v2.profile import PREFIXES, Profile
from pyopenadr.v2.source import Source
from pyopenadr.v2.text import Kind, escape
from pyopenadr.v2.wire.base import Opaque, Wire
from pyopenadr.v2.xml import opaque_text, parse_opaque

__all__ = ["Unwritable", "Written", "attribute_text", "namespaces_in", "opaque_of", "prefixes_of", "writer_of"]

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
"""Writes a value from behind the name in its start tag up to its end tag."""


def opaque_of(value: object, clark: str, content: Opaque) -> str:
    """An element that is kept as text, from behind the name in its start tag up to its end tag.

    Raises:
        ValueError: it is no text of such an element.
    """
    if not isinstance(value, str):
        raise Unwritable(f"{type(value).__name__} {value!r:.60} where XML text is needed")
    if value == "" and content.root is None:
        return ""
    element = parse_opaque(value)
    if element.tag != clark:
        raise Unwritable(f"XML text with the element {element.tag!r:.60} where {clark} is needed")
    return opaque_text(element)


def _items(value: object) -> tuple[Any, ...]:
    if isinstance(value, tuple | list):
        return tuple(value)
    raise Unwritable


def attribute_text(text: str) -> str:
    """Escaped character data for use inside double quotes, in canonical form."""
    return text.replace("&gt;", ">").replace('"', "&quot;").replace("\t", "&#x9;").replace("\n", "&#xA;")


@cache
def writer_of(shape: Shape) -> Write:
    """The function that writes a structure."""
    builder = _Builder()
    source = builder.source
    with source.block("def write(o, met):"):
        conditions = [f"type(o) is not {source.name(shape.cls)}"]
        conditions += [f"o.{name} {_present(absent)}" for name, absent in forbidden_fields(shape)]
        with source.block(f"if {' or '.join(conditions)}:"):
            source.line("raise Unwritable")
        values = {field.name: f"o.{field.name}" for field in shape.fields}
        source.line(f"return f'{builder.content(shape.node, values)}'")
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

    def content(self, node: Node, values: Mapping[str, str]) -> str:
        """What stands behind the name in the start tag of a node, up to the end tag."""
        attributes = "".join([self._attribute(attribute, values) for attribute in node.attributes])
        return f"{attributes}>" + "".join([self._slot(slot, values) for slot in node.slots])

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
        arm = slot.arms[0]
        if len(slot.arms) > 1:
            fields = (arm.field,)
        else:
            fields = arm.content.fields if isinstance(arm.content, Node) else (arm.field,)
        if slot.required:
            return self._one(slot, values)
        source = self.source
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
        value = values.get(arm.field.name, "")
        if arm.field.repeats_at is not None and not isinstance(arm.content, Node):
            # A list of which the profile allows only one.
            value = f"{self.source.name(_only)}({value})"
        if len(slot.arms) > 1:
            return f"{{{self.source.name(_chooser(slot.arms))}({value}, met)}}"
        return self._element(arm, value, values)

    def _element(self, arm: Arm, value: str, values: Mapping[str, str]) -> str:
        source = self.source
        self._mention(arm.tag)
        content = arm.content
        if isinstance(content, Node):
            return f"<{arm.tag}{self.content(content, values)}</{arm.tag}>"
        if isinstance(content, Kind):
            return f"<{arm.tag}>{{{self._text(content, value)}}}</{arm.tag}>"
        if isinstance(content, Opaque):
            return f"{{{source.name(_opaque_writer(arm, content))}({value})}}"
        return f"<{arm.tag}{{{source.name(writer_of(content))}({value}, met)}}</{arm.tag}>"

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
                item = f"{{{source.name(_chooser(slot.arms))}(item, met)}}"
            else:
                item = self._element(slot.arms[0], "item", {field.name: "item"})
            source.line(f"{name} = ''.join([f'{item}' for item in {items}])")
        if slot.required or field.minimum:
            with source.block(f"if not {name}:"):
                source.line("raise Unwritable")
        return f"{{{name}}}"


def _only(values: object) -> Any:
    items = _items(values)
    if len(items) != 1:
        raise Unwritable
    return items[0]


def _opaque_writer(arm: Arm, content: Opaque) -> Callable[[object], str]:
    def write(value: object) -> str:
        return opaque_of(value, arm.clark, content) or f"<{arm.tag}></{arm.tag}>"

    return write


def arm_for(arms: Collection[Arm], value: object) -> Arm | None:
    """The member of a substitution group that stands for the value."""
    element = getattr(value, "element", None)
    for arm in arms:
        content = arm.content
        if isinstance(content, Shape):
            if type(value) is content.cls and content.constants.get("element", element) == element:
                return arm
        elif type(value) in (float, int):
            return arm
    return None


@cache
def _chooser(arms: tuple[Arm, ...]) -> Write:
    """The function that writes a member of a substitution group, chosen by the value's class, or by `element`."""
    writers = {_key(arm): _arm_writer(arm) for arm in arms}
    floats = writers.get(float)

    def write(value: Any, met: Written) -> str:
        if type(value) is float and floats is not None:
            return floats(value, met)
        writer = writers.get(type(value)) or writers[value.element if isinstance(value, Wire) else None]
        return writer(value, met)

    return write
