"""Declarations say the same as the official schema: elements, attributes, order, number, enumerations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from xmlschema.validators import XsdGroup

from pyopenadr.v2 import wire
from pyopenadr.v2.plan import Arm, Node, Shape, Slot, shape_of
from pyopenadr.v2.profile import PREFIXES, A, B
from pyopenadr.v2.text import DATE_TIME, FLOAT, STRING, Kind
from pyopenadr.v2.wire.base import AtLeast, Opaque
from pyopenadr.v2.wire.declaration import declaration_of
from pyopenadr.v2.wire.typename import XSI_TYPES
from tests.properties.oracle import reference


def particles(group: Any) -> Iterator[Any]:
    for particle in group:
        if isinstance(particle, XsdGroup):
            yield from particles(particle)
        else:
            yield particle


def names(particle: Any) -> list[str]:
    """The elements that may stand for a particle: itself, or the members of its substitution group."""
    head = reference().maps.elements.get(particle.name) if particle.ref is not None else None
    if head is None:
        return [particle.name]
    members = [head, *head.iter_substitutes()]
    return [member.name for member in members if not member.abstract and not member.type.abstract]


def compare(node: Node, element: Any, path: str, seen: set[str]) -> None:
    """Slot by slot with the schema's content model."""
    expected = list(particles(element.type.content))
    assert len(node.slots) == len(expected), path
    assert {a.clark for a in node.attributes} == {name for name in element.attributes if name is not None}, path
    for slot, particle in zip(node.slots, expected, strict=True):
        here = f"{path}/{slot.arms[0].tag}"
        assert sorted(arm.clark for arm in slot.arms) == sorted(names(particle)), here
        assert slot.required == (particle.min_occurs > 0), here
        assert slot.repeats == (particle.max_occurs is None), here
        for arm in slot.arms:
            declared = particle if arm.clark == particle.name else reference().maps.elements[arm.clark]
            compare_arm(slot, arm, declared, here, seen)


def compare_arm(slot: Slot, arm: Arm, element: Any, path: str, seen: set[str]) -> None:
    content = arm.content
    if isinstance(content, Kind):
        assert element.type.is_simple() or element.type.has_simple_content(), path
        compare_kind(content, element, path)
    elif isinstance(content, Opaque):
        assert arm.tag in ("xcal:components", "atom:feed")
    else:
        key = f"{arm.clark} {element.type.name}"
        if element.type.name is None or key not in seen:
            seen.add(key)
            compare(content.node if isinstance(content, Shape) else content, element, path, seen)


def compare_kind(kind: Kind, element: Any, path: str) -> None:
    if element.fixed is not None:
        assert (kind.name, kind.parse("")) == ("fixed", element.fixed), path
        return
    members = element.type.member_types if element.type.is_union() else [element.type]
    listed = {value for member in members for value in (member.enumeration or ())}
    assert set(kind.words) == listed, path
    if not listed:
        primitive = {"date-time": "dateTime", "duration": "string", "responseCode": "string", "doubleList": "double"}
        name = primitive.get(kind.name, kind.name)
        base = element.type.item_type if element.type.is_list() else element.type
        if name in ("unsignedInt", "confidence"):
            name = "decimal"
        assert base.primitive_type.local_name == name, path


@pytest.mark.parametrize("cls", B.messages)
def test_a_message_is_declared_as_in_the_schema(cls: type[wire.Message]) -> None:
    shape = shape_of(B, cls)
    compare(shape.node, reference().maps.elements[B.clark(cls.tag)], cls.tag, set())


def test_the_comparison_notices_a_difference() -> None:
    poll = reference().maps.elements[B.clark("oadr:oadrPoll")]
    with pytest.raises(AssertionError):
        compare(shape_of(B, wire.OadrQueryRegistration).node, poll, "", set())
    signal = reference().maps.elements[B.clark("ei:eiEventSignal")]
    with pytest.raises(AssertionError):
        compare(shape_of(A, wire.EiEventSignal).node, signal, "", set())


class Example(wire.Wire, frozen=True, kw_only=True):
    plain: Annotated[str, "ei:a"]
    deep: Annotated[float | None, "ei:b/ei:c"] = None
    attribute: Annotated[str | None, "@ei:d", STRING] = None
    many: Annotated[tuple[str, ...], "ei:e/ei:f", AtLeast(1)]
    outer: Annotated[tuple[str, ...], "ei:g*/ei:h"] = ()
    loose: Annotated[str | None, "ei:i/ei:j?"] = None


def test_paths() -> None:
    fields = {field.name: field for field in declaration_of(Example)}
    assert fields["plain"].path == ("ei:a",)
    assert fields["plain"].required
    assert fields["deep"].path == ("ei:b", "ei:c")
    assert fields["deep"].content is FLOAT
    assert (fields["deep"].required, fields["deep"].nullable) == (False, True)
    assert (fields["attribute"].path, fields["attribute"].attribute) == ((), "ei:d")
    assert (fields["many"].repeats_at, fields["many"].minimum) == (1, 1)
    assert (fields["outer"].repeats_at, fields["outer"].minimum) == (0, 0)
    assert fields["loose"].leaf_optional


def test_a_type_without_a_form_is_refused() -> None:
    class Wrong(wire.Wire, frozen=True, kw_only=True):
        field: Annotated[complex, "ei:a"]

    with pytest.raises(TypeError, match="complex"):
        declaration_of(Wrong)


def test_every_prefix_has_its_namespace() -> None:
    assert len(set(PREFIXES.values())) == len(PREFIXES)
    assert B.clark("oadr:oadrPoll") == "{http://openadr.org/oadr-2.0b/2012/07}oadrPoll"
    assert A.clark("oadr:oadrResponse") == "{http://openadr.org/oadr-2.0a/2012/07}oadrResponse"
    assert A.clark("ei:venID") == B.clark("ei:venID")


def test_what_the_a_profile_changes_is_declared() -> None:
    for table in (A.absent, A.required, A.single):
        for name, fields in table.items():
            assert fields <= set(getattr(wire, name).__struct_fields__)
    for name, field in A.contents:
        assert field in getattr(wire, name).__struct_fields__


def test_times_are_declared_as_times() -> None:
    created = next(f for f in declaration_of(wire.EventDescriptor) if f.name == "created_date_time")
    assert created.content is DATE_TIME


def named_types(element: Any, parent: str, seen: set[str]) -> Iterator[tuple[str, str, str]]:
    """Every element of the schema with its parent and its type's name (empty if it has none), from one downwards."""
    tag = prefixed(element.name)
    type_name = prefixed(element.type.name) if element.type.name else ""
    yield parent, tag, type_name
    is_opaque = tag == "atom:feed" or type_name == "xs:anyType"
    if is_opaque or element.type.is_simple() or f"{tag} {type_name}" in seen:
        return
    seen.add(f"{tag} {type_name}")
    for particle in particles(element.type.content):
        for name in names(particle):
            below = particle if name == particle.name else reference().maps.elements[name]
            yield from named_types(below, tag, seen)


def prefixed(name: str) -> str:
    namespaces = {
        **PREFIXES,
        "xs": "http://www.w3.org/2001/XMLSchema",
        "currency": "urn:un:unece:uncefact:codelist:standard:5:ISO42173A:2010-04-07",
    }
    uri, _, local = name[1:].rpartition("}")
    return next(prefix for prefix, known in namespaces.items() if known == uri) + f":{local}"


def test_the_names_of_types_are_those_of_the_schema() -> None:
    seen: set[str] = set()
    met = set()
    for cls in B.messages:
        for parent, tag, name in named_types(reference().maps.elements[B.clark(cls.tag)], "", seen):
            if tag != "atom:feed" and name != "xs:anyType":
                key = f"{parent}/{tag}" if f"{parent}/{tag}" in XSI_TYPES else tag
                assert XSI_TYPES.get(key, "") == name, f"{parent}/{tag}"
                met.add(key)
    assert set(XSI_TYPES) <= met
