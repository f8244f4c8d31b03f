"""Compiles the declarations of wire classes into functions that read elements.

A class becomes a tree of nodes, one for each element that its fields' paths go through. A node holds a table from
element name to what is to be done with it; order, number and presence are checked on the way, and stray text. What
does not fit is looked at a second time: a leniency rule that the caller allows may save it, and if none does, the
error says where and what was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import msgspec

from pyopenadr.errors import SchemaMismatch
from pyopenadr.v2 import leniency
from pyopenadr.v2.leniency import Deviation
from pyopenadr.v2.profile import PROFILES, Profile
from pyopenadr.v2.text import XML_SPACE, Kind
from pyopenadr.v2.wire.base import Choice, Opaque, Variant, Wire
from pyopenadr.v2.wire.declaration import Content, Field, declaration_of, variant_fields
from pyopenadr.v2.xml import children_of, name_of, opaque_text, path_of, text_of

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

__all__ = ["Context", "Reader", "reader_of", "refuse"]

Values = dict[str, Any]


class Context:
    """What one decoding keeps: which leniency is allowed and was used, and what was met on the way.

    `ids` are the XML Ids seen, `opaque` the elements that were kept unread, `attributes` the number of attributes
    that some field asked for.
    """

    __slots__ = ("attributes", "deviations", "ids", "lenient", "opaque")

    def __init__(self, lenient: frozenset[str]) -> None:
        self.lenient = lenient
        self.deviations: list[Deviation] = []
        self.ids: list[str] = []
        self.opaque: list[Element] = []
        self.attributes = 0

    def allows(self, rule: str, element: Element, found: str) -> bool:
        """Whether `rule` is allowed; if so, what was found is noted."""
        if rule not in self.lenient:
            return False
        self.deviations.append(Deviation(rule=rule, path=path_of(element), line=element.sourceline, found=found))
        return True


Reader = Callable[["Element", Context], Any]
"""Reads an element as one value."""
Node = Callable[["Element", Values, Context], None]
"""Reads what an element holds into the values of the class whose fields' paths go through it."""


def refuse(message: str, element: Element, *, expected: str | None = None, found: str | None = None) -> NoReturn:
    """Raise SchemaMismatch for an element."""
    raise SchemaMismatch(message, path=path_of(element), line=element.sourceline, expected=expected, found=found)


class _Entry(NamedTuple):
    """What to do with one element name in a node.

    `bit` is its place in the order, `repeats` whether it may stand there several times, `many` whether the field is
    a list. A simple value has `parse` with a `node` for whatever is unusual; its text stands in the element, or in
    the element `inner` below it. A structure has a `reader`, a wrapper around other fields only a `node`.
    """

    bit: int
    repeats: bool
    many: bool
    name: str
    parse: Callable[[str], Any] | None
    inner: str | None
    reader: Reader | None
    node: Node | None


class _Slot(msgspec.Struct):
    """One place in a node's sequence while it is being compiled."""

    tags: list[str]
    required: bool
    repeats: bool
    fields: list[tuple[Field, int]]


def _read_leaf(field: Field, kind: Kind, element: Element, ctx: Context) -> Any:
    """The value of a simple element, the slow way: comments inside, white space, or not what the schema allows."""
    inside = children_of(element)
    if inside:
        found = name_of(str(inside[0].tag))
        holder = name_of(str(element.tag))
        refuse(f"{found} is not allowed in {holder}, which holds text", inside[0], expected=kind.expects, found=found)
    text = text_of(element)
    try:
        return kind.parse(text)
    except ValueError as error:
        if field.nullable and not text.strip(XML_SPACE) and ctx.allows("empty-element", element, "nothing"):
            return None
        saved = leniency.value(kind, text, element, ctx)
        if saved is None:
            refuse(
                f"{name_of(str(element.tag))} must be {kind.expects}, not {str(error)[:120]}",
                element,
                expected=kind.expects,
                found=text[:120],
            )
        return saved


def _leaf_node(field: Field, kind: Kind) -> Node:
    name = field.name

    def read(element: Element, values: Values, ctx: Context) -> None:
        value = _read_leaf(field, kind, element, ctx)
        if field.repeats_at is None:
            values[name] = value
        else:
            values.setdefault(name, []).append(value)

    return read


def _opaque_reader(content: Opaque) -> Reader:
    def read(element: Element, ctx: Context) -> str:
        if content.root is None and not len(element) and not element.keys() and not text_of(element).strip(XML_SPACE):
            return ""
        ctx.opaque.append(element)
        return opaque_text(element)

    return read


def _attribute_node(field: Field, profile: Profile) -> Node:
    assert field.attribute is not None
    assert isinstance(field.content, Kind)
    clark = profile.clark(field.attribute)
    unqualified = field.attribute.partition(":")[2]
    kind = field.content
    name = field.name
    is_id = kind.name == "ID"

    def read(element: Element, values: Values, ctx: Context) -> None:
        text = element.get(clark)
        if text is None:
            text = leniency.unqualified_attribute(unqualified, element, ctx)
            if text is None:
                values[name] = None
                return
        ctx.attributes += 1
        try:
            values[name] = parsed = kind.parse(text)
        except ValueError as error:
            refuse(
                f"attribute {field.attribute} must be {kind.expects}, not {error}",
                element,
                expected=kind.expects,
                found=text[:120],
            )
        if is_id:
            ctx.ids.append(parsed)

    return read


class _NodeBuilder:
    """Gathers the fields that share an element and compiles them into one reading function."""

    def __init__(self, profile: Profile, cls: type[Wire], fields: tuple[Field, ...]) -> None:
        self.profile = profile
        self.cls = cls
        self.required_paths = _required_paths(fields)

    def build(self, fields: list[tuple[Field, int]], *, inside: bool) -> Node:
        """The function for a node; `fields` come with how much of their path lies above it.

        `inside` says that the node itself is only there for an optional field, so that what it holds is required.
        """
        slots: list[_Slot] = []
        attributes: list[Node] = []
        for field, depth in fields:
            if depth == len(field.path) and field.attribute is not None:
                attributes.append(_attribute_node(field, self.profile))
            elif depth == len(field.path):
                slots.append(self._choice_slot(field, depth))
            elif slots and slots[-1].tags == [field.path[depth]]:
                slots[-1].fields.append((field, depth))
            else:
                slots.append(self._path_slot(field, depth, inside))
        table = {}
        for position, slot in enumerate(slots):
            for tag, entry in self._entries(slot, 1 << position, inside):
                table[self.profile.clark(tag)] = entry
        # A list in a wrapper of its own is empty, not absent, as soon as the wrapper is there.
        begun = tuple(field.name for field, depth in fields if field.nullable and 0 < depth == field.repeats_at)
        return _node_reader(table, slots, tuple(attributes), begun)

    def _path_slot(self, field: Field, depth: int, inside: bool) -> _Slot:
        is_last = depth == len(field.path) - 1
        repeats = field.repeats_at == depth
        required = field.path[: depth + 1] in self.required_paths
        if not required and inside:
            required = not (is_last and field.leaf_optional) and not (repeats and field.minimum == 0)
        return _Slot([field.path[depth]], required, repeats, [(field, depth)])

    def _choice_slot(self, field: Field, depth: int) -> _Slot:
        assert isinstance(field.content, Choice)
        many = field.repeats_at is not None
        required = field.minimum > 0 if many else field.required
        repeats = many and not self.profile.is_single(self.cls, field.name)
        return _Slot([variant.tag for variant in field.content.variants], required, repeats, [(field, depth)])

    def _entries(self, slot: _Slot, bit: int, inside: bool) -> Iterator[tuple[str, _Entry]]:
        field, depth = slot.fields[0]
        if isinstance(field.content, Choice) and depth == len(field.path):
            for variant in field.content.variants:
                yield variant.tag, self._variant_entry(field, variant, bit, slot.repeats)
        else:
            yield slot.tags[0], self._path_entry(slot, bit, inside)

    def _variant_entry(self, field: Field, variant: Variant, bit: int, repeats: bool) -> _Entry:
        many = field.repeats_at is not None
        if isinstance(variant.content, str):
            (inner,) = variant_fields(variant)
            inner = msgspec.structs.replace(inner, name=field.name)
            assert isinstance(inner.content, Kind)
            node = _NodeBuilder(self.profile, self.cls, (inner,)).build([(inner, 0)], inside=False)
            tag = self.profile.clark(variant.content)
            return _Entry(bit, repeats, many, field.name, inner.content.parse, tag, None, node)
        return _Entry(bit, repeats, many, field.name, None, None, _variant_reader(self.profile, variant), None)

    def _path_entry(self, slot: _Slot, bit: int, inside: bool) -> _Entry:
        """What to do with an element that some fields' paths go through, or end at."""
        field, depth = slot.fields[0]
        content = field.content
        many = field.repeats_at is not None
        alone = len(slot.fields) == 1 and field.attribute is None
        if alone and depth == len(field.path) - 1:
            if isinstance(content, Kind):
                node = _leaf_node(field, content)
                return _Entry(bit, slot.repeats, many, field.name, content.parse, None, None, node)
            return _Entry(bit, slot.repeats, many, field.name, None, None, self._reader(content), None)
        below_optional = inside or field.path[: depth + 1] not in self.required_paths
        node = self.build([(inner, depth + 1) for inner, _ in slot.fields], inside=below_optional)
        is_chain = alone and depth == len(field.path) - 2 and not field.leaf_optional
        if is_chain and isinstance(content, Kind) and field.repeats_at in (None, depth):
            tag = self.profile.clark(field.path[-1])
            return _Entry(bit, slot.repeats, many, field.name, content.parse, tag, None, node)
        return _Entry(bit, slot.repeats, many, field.name, None, None, None, node)

    def _reader(self, content: Content) -> Reader:
        if isinstance(content, Opaque):
            return _opaque_reader(content)
        assert isinstance(content, type)
        return reader_of(self.profile, content)


def _node_reader(
    table: Mapping[str, _Entry], slots: list[_Slot], attributes: tuple[Node, ...], begun: tuple[str, ...]
) -> Node:
    needed = sum(1 << position for position, slot in enumerate(slots) if slot.required)
    find: Callable[[Any], _Entry | None] = table.get
    shape = _Shape(table, slots, needed)

    def read(element: Element, values: Values, ctx: Context) -> None:
        for attribute in attributes:
            attribute(element, values, ctx)
        for name in begun:
            values[name] = []
        seen = 0
        text = element.text
        if text is not None and text.strip(XML_SPACE):
            shape.stray_text(element, text, ctx, values)
        following = element[0] if len(element) else None  # by getnext: lxml's iterators cost more than a short list
        while following is not None:
            child = following
            following = child.getnext()
            text = child.tail
            if text is not None and text.strip(XML_SPACE):
                shape.stray_text(element, text, ctx, values)
            entry = find(child.tag)
            if entry is None:
                if isinstance(child.tag, str):
                    shape.unexpected(child, seen, ctx)
                continue
            bit, repeats, many, name, parse, inner, reader, node = entry
            if seen >= bit and (not repeats or seen >= bit << 1):
                shape.out_of_order(child, bit, seen)
            seen |= bit
            if parse is not None:
                assert node is not None
                leaf = child
                if inner is not None:
                    if len(child) != 1:
                        node(child, values, ctx)
                        continue
                    leaf = child[0]
                    if leaf.tag != inner or child.text is not None or leaf.tail is not None:
                        node(child, values, ctx)
                        continue
                if len(leaf):
                    node(child, values, ctx)
                    continue
                try:
                    value = parse(leaf.text or "")
                except ValueError:
                    node(child, values, ctx)
                    continue
            elif reader is not None:
                value = reader(child, ctx)
            else:
                assert node is not None
                node(child, values, ctx)
                continue
            if not many:
                values[name] = value
            elif name in values:
                values[name].append(value)
            else:
                values[name] = [value]
        if seen & needed != needed:
            shape.missing(element, values, seen, ctx)

    return read


class _Shape:
    """What a node allows, for the errors: nothing of it is looked at while a document is in order."""

    def __init__(self, table: Mapping[str, _Entry], slots: list[_Slot], needed: int) -> None:
        self._table = table
        self._names = [slot.tags for slot in slots]
        self._needed = needed

    def _expected_after(self, seen: int) -> str:
        following = []
        for position in range(seen.bit_length(), len(self._names)):
            following.append(_alternatives(self._names[position]))
            if self._needed >> position & 1:
                break
        return ", ".join(following) or "nothing more"

    def unexpected(self, child: Element, seen: int, ctx: Context) -> None:
        found = name_of(str(child.tag))
        if not ctx.allows("unknown-element", child, found):
            expected = self._expected_after(seen)
            refuse(f"{found} is not allowed here; expected: {expected}", child, expected=expected, found=found)
        ctx.opaque.append(child)

    def out_of_order(self, child: Element, bit: int, seen: int) -> NoReturn:
        found = name_of(str(child.tag))
        last = seen.bit_length() - 1
        if bit == 1 << last:
            why = "stands twice" if len(self._names[last]) == 1 else "stands where there already is one of its group"
        else:
            why = f"must stand before {_alternatives(self._names[last])}"
        expected = self._expected_after(seen)
        refuse(f"{found} {why}; expected here: {expected}", child, expected=expected, found=found)

    def missing(self, element: Element, values: Values, seen: int, ctx: Context) -> None:
        for position, names in enumerate(self._names):
            if seen >> position & 1 or not self._needed >> position & 1:
                continue
            if names == ["pyld:requestID"] and ctx.allows("missing-request-id", element, "no requestID"):
                values["request_id"] = ""
                continue
            if names == ["xcal:duration"] and self._is_direct(element, values, ctx):
                continue
            absent = _alternatives(names)
            refuse(f"{absent} is missing in {name_of(str(element.tag))}", element, expected=absent)

    def _is_direct(self, element: Element, values: Values, ctx: Context) -> bool:
        """Whether the duration stands right in the element, and may (see `stray_text`)."""
        (entry,) = self._table.values() if len(self._table) == 1 else (None,)
        return entry is not None and entry.name in values

    def stray_text(self, element: Element, text: str, ctx: Context, values: Values) -> None:
        if self._names == [["xcal:duration"]] and not children_of(element):
            (entry,) = self._table.values()
            assert entry.node is not None
            if ctx.allows("direct-duration", element, text.strip(XML_SPACE)):
                entry.node(element, values, ctx)
                return
        refuse(
            f"text {text.strip(XML_SPACE)[:60]!r} is not allowed in {name_of(str(element.tag))}, which holds elements",
            element,
            found=text.strip(XML_SPACE)[:60],
        )


def _alternatives(names: list[str]) -> str:
    return " or ".join(names) if len(names) < 4 else f"{names[0]} or another of its group"


def _required_paths(fields: tuple[Field, ...]) -> set[tuple[str, ...]]:
    """Every path that must be there because a required field's path goes through it."""
    paths: set[tuple[str, ...]] = set()
    for field in fields:
        if field.required:
            end = len(field.path) if field.repeats_at is None or field.minimum else field.repeats_at
            paths.update(field.path[:length] for length in range(1, end + 1))
    return paths


def _compile(
    profile: Profile, cls: type[Wire], fields: tuple[Field, ...], constants: Mapping[str, str | None]
) -> Reader:
    node = _NodeBuilder(profile, cls, fields).build([(field, 0) for field in fields], inside=False)
    # Each list with what stands for its being absent.
    lists = tuple((field.name, None if field.nullable else ()) for field in fields if field.repeats_at is not None)
    fixed = dict(constants)

    def read(element: Element, ctx: Context) -> Wire:
        values: Values = fixed.copy()
        node(element, values, ctx)
        for name, absent in lists:
            values[name] = tuple(values[name]) if name in values else absent
        return cls(**values)

    return read


def _variant_reader(profile: Profile, variant: Variant) -> Reader:
    assert isinstance(variant.content, type)
    if variant.fields:
        return _compile(profile, variant.content, variant_fields(variant), variant.constants)
    return reader_of(profile, variant.content)


@cache
def _reader(profile_name: str, cls: type[Wire]) -> Reader:
    profile = next(profile for profile in PROFILES if profile.name == profile_name)
    absent = profile.absent.get(cls.__name__, frozenset())
    unset = {field.name: None for field in declaration_of(cls) if field.name in absent and field.default == "2.0b"}
    return _compile(profile, cls, profile.fields(cls), unset)


def reader_of(profile: Profile, cls: type[Wire]) -> Reader:
    """The function that reads an element as a wire class in that profile."""
    return _reader(profile.name, cls)
