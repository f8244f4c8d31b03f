"""Reads elements as wire values, exactly: whatever is in order is read, and whatever is not gets a precise answer.

Order, number, presence, simple types and stray text are checked along the plan of the class (see `plan`). What does
not fit may be saved by a leniency rule that the caller allows; if none does, the error says where and what was
expected. `quick` reads documents without any peculiarity in a fraction of the time; all others come here.
"""

from __future__ import annotations

from typing import Any, NoReturn

from pyopenadr.errors import SchemaMismatch
from pyopenadr.v2 import leniency
from pyopenadr.v2.leniency import Deviation
from pyopenadr.v2.plan import Arm, Attribute, Node, Shape
from pyopenadr.v2.text import XML_SPACE, Kind
from pyopenadr.v2.wire.base import Opaque, Wire
from pyopenadr.v2.xml import (
    Element,
    Paths,
    children_of,
    is_stray,
    line_of,
    name_of,
    nil_fault,
    opaque_text,
    path_of,
    text_of,
)

__all__ = ["Context", "read", "refuse"]

Values = dict[str, Any]


class Context:
    """What one decoding keeps: which leniency is allowed and was used, and what was met on the way.

    `ids` are the XML Ids seen, `opaque` the elements that were kept unread, `attributes` the number of attributes
    that some field asked for.
    """

    __slots__ = ("_paths", "attributes", "deviations", "ids", "lenient", "opaque")

    def __init__(self, lenient: frozenset[str]) -> None:
        self.lenient = lenient
        self.deviations: list[Deviation] = []
        self.ids: list[str] = []
        self.opaque: set[Element] = set()
        self.attributes = 0
        self._paths = Paths()

    def allows(self, rule: str, element: Element, found: str) -> bool:
        """Whether `rule` is allowed; if so, what was found is noted."""
        if rule not in self.lenient:
            return False
        path = self._paths.of(element)
        self.deviations.append(Deviation(rule=rule, path=path, line=line_of(element), found=found[:120]))
        return True


def refuse(
    message: str,
    element: Element,
    *,
    expected: str | None = None,
    found: str | None = None,
    rule: str | None = None,
) -> NoReturn:
    """Raise SchemaMismatch for an element."""
    path, line = path_of(element), line_of(element)
    raise SchemaMismatch(message, path=path, line=line, expected=expected, found=found, rule=rule)


def read(shape: Shape, element: Element, ctx: Context) -> Wire:
    """The value of an element.

    Raises:
        SchemaMismatch: the schema does not allow it, and no leniency rule of the context does.
    """
    values: Values = dict(shape.constants)
    lists = [field for field in shape.fields if field.repeats_at is not None]
    for field in lists:
        values[field.name] = None if field.nullable else []
    _read_node(shape.node, element, values, ctx)
    for field in lists:
        if values[field.name] is not None:
            values[field.name] = tuple(values[field.name])
    return shape.cls(**values)


def _read_node(node: Node, element: Element, values: Values, ctx: Context) -> None:
    for attribute in node.attributes:
        values[attribute.field.name] = _read_attribute(attribute, element, ctx)
    for name in node.begun:
        values[name] = []
    if is_stray(element.text) and _read_direct_duration(node, element, values, ctx):
        return
    if len(element) == 0 and _is_left_empty(node, element, ctx):
        return
    met: set[int] = set()
    last = -1
    for child in element:
        if is_stray(child.tail):
            _refuse_text(element, child.tail)
        entry = node.table.get(child.tag)
        if entry is None:
            if isinstance(child.tag, str):
                _unexpected(node, child, last, ctx)
            continue
        position, arm = entry
        if position < last or (position == last and not node.slots[position].repeats):
            _out_of_order(node, child, position, last)
        met.add(position)
        last = position
        _read_arm(arm, child, values, ctx)
    for position, slot in enumerate(node.slots):
        if slot.required and position not in met:
            _missing(slot.tags, element, values, ctx)


def _read_arm(arm: Arm, element: Element, values: Values, ctx: Context) -> None:
    content = arm.content
    if isinstance(content, Node):
        _read_node(content, element, values, ctx)
        return
    value: Any
    if isinstance(content, Kind):
        value = _read_leaf(arm, content, element, ctx)
    elif isinstance(content, Opaque):
        value = _read_opaque(content, element, ctx)
    else:
        value = read(content, element, ctx)
    if arm.field.repeats_at is None:
        values[arm.field.name] = value
    else:
        values[arm.field.name].append(value)


def _read_leaf(arm: Arm, kind: Kind, element: Element, ctx: Context) -> Any:
    if len(element):
        for child in children_of(element):
            found = name_of(str(child.tag))
            holder = name_of(str(element.tag))
            refuse(f"{found} is not allowed in {holder}, which holds text", child, expected=kind.expects, found=found)
    text = text_of(element)
    try:
        return kind.parse(text)
    except ValueError as error:
        if arm.field.nullable and not text.strip(XML_SPACE) and ctx.allows("empty-element", element, "nothing"):
            return None
        saved = leniency.value(kind, text, element, ctx)
        if saved is None:
            refuse(
                f"{name_of(str(element.tag))} must be {kind.expects}, not {_short(error)}",
                element,
                expected=kind.expects,
                found=text[:120],
                rule=kind.rule,
            )
        return saved


def _read_opaque(content: Opaque, element: Element, ctx: Context) -> str:
    if content.root is None and not len(element) and not element.keys() and not is_stray(element.text):
        return ""
    if fault := nil_fault(element, nillable=content.root is None):
        refuse(fault, element, expected="nothing of the kind", found="xsi:nil")
    ctx.opaque.add(element)
    return opaque_text(element)


def _read_attribute(attribute: Attribute, element: Element, ctx: Context) -> Any:
    text = element.get(attribute.clark)
    if text is None:
        text = leniency.unqualified_attribute(attribute.tag.partition(":")[2], element, ctx)
        if text is None:
            return None
    ctx.attributes += 1
    kind = attribute.kind
    try:
        value = kind.parse(text)
    except ValueError as error:
        refuse(
            f"attribute {attribute.tag} must be {kind.expects}, not {_short(error)}",
            element,
            expected=kind.expects,
            found=text[:120],
        )
    if kind.name == "ID":
        ctx.ids.append(value)
    return value


def _short(error: ValueError) -> str:
    text = str(error)
    return text if len(text) <= 120 else f"{text[:119]}…"


def _refuse_text(element: Element, text: str | None) -> NoReturn:
    stray = (text or "").strip(XML_SPACE)[:60]
    name = name_of(str(element.tag))
    refuse(f"text {stray!r} is not allowed in {name}, which holds elements", element, found=stray)


def _read_direct_duration(node: Node, element: Element, values: Values, ctx: Context) -> bool:
    """Whether the text of an element for xcal:duration was taken for it; the text is refused if not."""
    text = (element.text or "").strip(XML_SPACE)
    if len(node.slots) == 1 and node.slots[0].tags == ["xcal:duration"] and not children_of(element):
        (arm,) = node.slots[0].arms
        if ctx.allows("direct-duration", element, text):
            _read_arm(arm, element, values, ctx)
            return True
    _refuse_text(element, text)


def _is_left_empty(node: Node, element: Element, ctx: Context) -> bool:
    """Whether an element without the value that it is there for counts as absent, as a rule allows it."""
    optional = all(field.nullable and field.repeats_at is None for field in node.fields)
    return optional and any(slot.required for slot in node.slots) and ctx.allows("empty-element", element, "nothing")


def _expected_after(node: Node, last: int) -> str:
    """The elements that may follow the slot `last`, up to the first that must."""
    following = []
    for slot in node.slots[last + 1 :]:
        following.append(_alternatives(slot.tags))
        if slot.required:
            break
    return ", ".join(following) or "nothing more"


def _alternatives(tags: list[str]) -> str:
    return " or ".join(tags) if len(tags) < 4 else f"{tags[0]} or another of its group"


def _unexpected(node: Node, child: Element, last: int, ctx: Context) -> None:
    found = name_of(str(child.tag))
    if not ctx.allows("unknown-element", child, found):
        expected = _expected_after(node, last)
        refuse(f"{found} is not allowed here; expected: {expected}", child, expected=expected, found=found)
    ctx.opaque.add(child)


def _out_of_order(node: Node, child: Element, position: int, last: int) -> NoReturn:
    found = name_of(str(child.tag))
    tags = node.slots[last].tags
    if position == last:
        why = "stands twice" if len(tags) == 1 else "stands where there already is one of its group"
    else:
        why = f"must stand before {_alternatives(tags)}"
    expected = _expected_after(node, last)
    refuse(f"{found} {why}; expected here: {expected}", child, expected=expected, found=found)


def _missing(tags: list[str], element: Element, values: Values, ctx: Context) -> None:
    if tags == ["pyld:requestID"] and ctx.allows("missing-request-id", element, "no requestID"):
        values["request_id"] = ""
        return
    absent = _alternatives(tags)
    refuse(f"{absent} is missing in {name_of(str(element.tag))}", element, expected=absent, found="nothing")
