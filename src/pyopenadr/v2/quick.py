"""Reads documents without any peculiarity, fast; gives up on all others, which `decoder` then reads or refuses.

lxml's tree is slow to walk from Python, so a message is first taken apart into flat lists in document order: names,
texts, numbers of children. A function for each class, compiled from its plan, then runs along them once. It compares
names one by one in schema order, and every number of children, so that nothing but the very tree of the plan can
pass: if all elements' counts are right and all elements are used up, no element stands anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import islice
from typing import Any

from pyopenadr.v2.plan import Arm, Node, Shape, Slot, shape_of
from pyopenadr.v2.profile import PROFILES, B, Profile
from pyopenadr.v2.source import Source
from pyopenadr.v2.text import STRING, XML_SPACE, Kind, is_id
from pyopenadr.v2.wire.base import Message, Opaque
from pyopenadr.v2.xml import COUNT_ATTRIBUTES, Element, is_stray

__all__ = ["read", "read_document"]

Read = Callable[..., tuple[Any, int]]
"""(tags, texts, sizes, i) -> the value of the element i, and the index of the first element behind it."""

_PAYLOAD = B.clark("oadr:oadrPayload")
_SIGNED_OBJECT = B.clark("oadr:oadrSignedObject")
_ID = B.clark("oadr:Id")
_SCHEMA_VERSION = B.clark("ei:schemaVersion")
_HANDFUL = 12
_BLOCK = 256  # elements at a time; a list of very many at once would keep the garbage collector busy


class _Unusual(Exception):
    """Something that this module leaves to `decoder`."""


Flat = tuple[list[Element], list[Any], list[str | None], list[int], set[str | None]]
"""A tree in document order: the elements of its first block; names, texts, numbers of children; texts behind them."""


def _flatten(element: Element) -> Flat:
    everything = element.iter()
    block = first = list(islice(everything, _BLOCK))
    tags: list[Any] = [e.tag for e in block]
    texts = [e.text for e in block]
    sizes = [len(e) for e in block]
    tails = {e.tail for e in block}
    while len(block) == _BLOCK:
        block = list(islice(everything, _BLOCK))
        tags += [e.tag for e in block]
        texts += [e.text for e in block]
        sizes += [len(e) for e in block]
        tails.update([e.tail for e in block])
    return first, tags, texts, sizes, tails


def read_document(root: Element) -> tuple[Message, str | None] | None:
    """The message of an unsigned 2.0b document, with the Id of its signed object; None for any other document."""
    if root.tag != _PAYLOAD or len(root) != 1:
        return None
    flat = _flatten(root)
    first, tags, texts, sizes, _ = flat
    if len(tags) < 3 or tags[1] != _SIGNED_OBJECT or sizes[1] != 1 or is_stray(texts[0]) or is_stray(texts[1]):
        return None
    cls = B.message_class(tags[2])
    identity = first[1].get(_ID)
    if cls is None or (identity is not None and not is_id(identity)):
        return None
    version = first[2].get(_SCHEMA_VERSION)
    # XPath is the fastest way to count, but not for a handful.
    found = COUNT_ATTRIBUTES(root) if len(tags) > _HANDFUL else sum([len(e.keys()) for e in first])
    if found != (identity is not None) + (version is not None):
        return None
    message = _run(_message_reader(B.name, cls), flat, 2, version)
    return (message, identity) if message is not None else None


def read(profile: Profile, cls: type[Message], element: Element) -> Message | None:
    """The message that an element is, or None if it needs a closer look."""
    version = element.get(_SCHEMA_VERSION) if profile.has_envelope else None
    if COUNT_ATTRIBUTES(element) != (version is not None):
        return None
    return _run(_message_reader(profile.name, cls), _flatten(element), 0, version)


def _run(reader: Read, flat: Flat, start: int, version: str | None) -> Message | None:
    _, tags, texts, sizes, tails = flat
    count = len(tags)
    tags.append(None)  # so that looking one further is always possible
    try:
        for tail in tails:
            if tail:
                _blank(tail)
        message: Message
        message, end = reader(tags, texts, sizes, start, version)
    except (_Unusual, ValueError, KeyError):
        return None
    return message if end == count else None


@cache
def _message_reader(profile_name: str, cls: type[Message]) -> Read:
    profile = next(profile for profile in PROFILES if profile.name == profile_name)
    return _shape_reader(shape_of(profile, cls))


def _blank(text: str) -> None:
    if text.strip(XML_SPACE):
        raise _Unusual


@cache
def _shape_reader(shape: Shape) -> Read:
    """The function for a structure."""
    builder = _Builder()
    source = builder.source
    with source.block("def read(tags, texts, sizes, i, version=None):"):
        for field in shape.fields:
            absent = "()" if field.repeats_at is not None and not field.nullable else "None"
            source.line(f"v_{field.name} = {absent}")
        builder.node(shape.node)
        for attribute in shape.node.attributes:
            if attribute.field.name == "schema_version":
                with source.block("if version is not None:"):
                    source.line(f"v_schema_version = {source.name(attribute.kind.parse)}(version)")
        values = [f"{field.name}=v_{field.name}" for field in shape.fields]
        values += [f"{name}={value!r}" for name, value in shape.constants.items()]
        source.line(f"return {source.name(shape.cls)}({', '.join(values)}), i")
    return source.function("read")


@cache
def _value_reader(node: Node) -> Read:
    """The function for the one value below an element."""
    builder = _Builder()
    with builder.source.block("def read(tags, texts, sizes, i):"):
        builder.node(node)
        builder.source.line(f"return v_{node.fields[0].name}, i")
    return builder.source.function("read")


class _Builder:
    """Writes the lines that read a node; `i` is always the next element."""

    def __init__(self) -> None:
        self.source = Source({"Unusual": _Unusual, "blank": _blank})
        self.growing: str | None = None  # the list whose items are being read

    def node(self, node: Node) -> None:
        """The element itself, whose name has been compared already, and all that it holds."""
        line = self.source.line
        with self.source.block("if texts[i]:"):
            line("blank(texts[i])")
        for name in node.begun:
            line(f"v_{name} = ()")
        always = sum(slot.required and not slot.repeats for slot in node.slots)
        if always == len(node.slots):
            with self.source.block(f"if sizes[i] != {always}:"):
                line("raise Unusual")
            line("i += 1")
            self._slots(node, "")
            return
        start, count = self.source.fresh("start"), self.source.fresh("count")
        line(f"{start} = i")
        line(f"{count} = {always}")
        line("i += 1")
        self._slots(node, count)
        with self.source.block(f"if sizes[{start}] != {count}:"):
            line("raise Unusual")

    def _slots(self, node: Node, count: str) -> None:
        """What the element holds; the variable `count` counts what may be absent or repeated."""
        for slot in node.slots:
            if len(slot.arms) == 1:
                self._single(slot, slot.arms[0], count)
            else:
                self._choice(slot, count)

    def _single(self, slot: Slot, arm: Arm, count: str) -> None:
        source = self.source
        tag = source.name(arm.clark)
        if slot.required:
            with source.block(f"if tags[i] != {tag}:"):
                source.line("raise Unusual")
            if not slot.repeats:
                self._arm(arm)
                return
        with source.block(f"if tags[i] == {tag}:"):
            if not slot.repeats:
                self._arm(arm)
                source.line(f"{count} += 1")
                return
            items = f"v_{arm.field.name}"
            source.line(f"{items} = []")
            self.growing = items
            with source.block(f"while tags[i] == {tag}:"):
                self._arm(arm)
            self.growing = None
            source.line(f"{count} += len({items})")
            source.line(f"{items} = tuple({items})")

    def _arm(self, arm: Arm) -> None:
        """Read the element `i`."""
        source = self.source
        content = arm.content
        if isinstance(content, Node):
            self.node(content)
        elif isinstance(content, Kind):
            self._keep(arm, self._text(content))
            source.line("i += 1")
        elif isinstance(content, Opaque):
            self._empty(arm, content)
        else:
            source.line(f"value, i = {source.name(_function(content))}(tags, texts, sizes, i)")
            self._keep(arm, "value")

    def _keep(self, arm: Arm, value: str) -> None:
        target = f"v_{arm.field.name}"
        if self.growing == target:
            self.source.line(f"{target}.append({value})")
        elif arm.field.repeats_at is None:
            self.source.line(f"{target} = {value}")
        else:
            self.source.line(f"{target} = ({value},)")  # a list of which the profile allows only one

    def _text(self, kind: Kind) -> str:
        """The expression for the value of the element `i`, which holds text."""
        if kind is STRING:
            return 'texts[i] or ""'
        parse = f'{self.source.name(kind.parse)}(texts[i] or "")'
        return f"{self.source.name(kind.words.get)}(texts[i]) or {parse}" if kind.words else parse

    def _empty(self, arm: Arm, content: Opaque) -> None:
        """An element that is kept unread must have nothing in it here."""
        with self.source.block("if texts[i]:"):
            self.source.line("blank(texts[i])")
        with self.source.block(f"if sizes[i] or {content.root is not None}:"):
            self.source.line("raise Unusual")
        self._keep(arm, '""')
        self.source.line("i += 1")

    def _choice(self, slot: Slot, count: str) -> None:
        source = self.source
        options = source.name({arm.clark: _function(arm.content) for arm in slot.arms})
        target = f"v_{slot.arms[0].field.name}"
        call = f"value, i = {options}[tags[i]](tags, texts, sizes, i)"
        if slot.repeats:
            source.line(f"{target} = []")
            with source.block(f"while tags[i] in {options}:"):
                source.line(call)
                source.line(f"{target}.append(value)")
            if slot.required:
                with source.block(f"if not {target}:"):
                    source.line("raise Unusual")
            source.line(f"{count} += len({target})")
            source.line(f"{target} = tuple({target})")
        elif slot.required:
            source.line(call)
            self._keep(slot.arms[0], "value")
        else:
            with source.block(f"if tags[i] in {options}:"):
                source.line(call)
                self._keep(slot.arms[0], "value")
                source.line(f"{count} += 1")


def _function(content: Kind | Opaque | Shape | Node) -> Read:
    """The function for a structure, or for a plain value below the element of a choice."""
    if isinstance(content, Shape):
        return _shape_reader(content)
    assert isinstance(content, Node)
    return _value_reader(content)
