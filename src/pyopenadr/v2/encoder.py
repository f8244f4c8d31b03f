"""Compiles the declarations of wire classes into functions that write them as XML text.

What is written is canonical XML (no self-closing elements, attributes in order, canonical escapes), so that a
signature can be made over the same text. Values that the schema or a rule does not allow are refused: the fast way
notices, and a second, slow walk says where and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NoReturn

from pyopenadr.errors import SchemaMismatch
from pyopenadr.v2.profile import PREFIXES, PROFILES, Profile
from pyopenadr.v2.text import Kind, escape
from pyopenadr.v2.wire.base import Choice, Opaque, Variant, Wire
from pyopenadr.v2.wire.declaration import Field, variant_fields
from pyopenadr.v2.xml import opaque_text, parse_opaque

__all__ = ["writer_of"]

Out = list[str]
Write = Callable[[Any, Out], None]


class Unwritable(ValueError):
    """A value can't be written; the reason, with the path from the message gathered on the way up."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path


class ClassWriter:
    """How one wire class is written: its attributes into its start tag, its content between the tags."""

    __slots__ = ("attributes", "cls", "content")

    def __init__(self, cls: type[Wire], attributes: Callable[[Any], str] | None, content: Write) -> None:
        self.cls = cls
        self.attributes = attributes
        self.content = content

    def write(self, tag: str, value: Any, out: Out) -> None:
        """The element `tag` with the value in it."""
        if type(value) is not self.cls:
            raise Unwritable(f"{type(value).__name__} {value!r:.60} where a {self.cls.__name__} is needed")
        out.append(f"<{tag}{self.attributes(value)}>" if self.attributes is not None else f"<{tag}>")
        self.content(value, out)
        out.append(f"</{tag}>")


def _kind_writer(tag: str, kind: Kind) -> Write:
    open_, close = f"<{tag}>", f"</{tag}>"
    format_ = kind.format

    def write(value: Any, out: Out) -> None:
        out.append(open_ + format_(value) + close)

    return write


def _class_writer(tag: str, writer: ClassWriter) -> Write:
    def write(value: Any, out: Out) -> None:
        writer.write(tag, value, out)

    return write


def _opaque_writer(tag: str, content: Opaque, profile: Profile) -> Write:
    clark = profile.clark(tag)

    def write(value: Any, out: Out) -> None:
        if not isinstance(value, str):
            raise Unwritable(f"{type(value).__name__} {value!r:.60} where XML text is needed")
        if value == "" and content.root is None:
            out.append(f"<{tag}></{tag}>")
            return
        element = parse_opaque(value)
        if element.tag != clark:
            raise Unwritable(f"XML text with the element {element.tag} where {tag} is needed")
        out.append(opaque_text(element))

    return write


def _wrapped(tags: tuple[str, ...], inner: Write) -> Write:
    if not tags:
        return inner
    open_ = "".join(f"<{tag}>" for tag in tags)
    close = "".join(f"</{tag}>" for tag in reversed(tags))

    def write(value: Any, out: Out) -> None:
        out.append(open_)
        inner(value, out)
        out.append(close)

    return write


def _choice_writer(profile: Profile, choice: Choice) -> Write:
    by_element: dict[str, Write] = {}
    by_type: dict[type, Write] = {}
    for variant in choice.variants:
        write = _variant_writer(profile, variant)
        if "element" in variant.constants:
            by_element[variant.constants["element"]] = write
        elif isinstance(variant.content, str):
            by_type[float] = by_type[int] = write
        else:
            by_type[variant.content] = write

    def write_choice(value: Any, out: Out) -> None:
        write = by_type.get(type(value))
        if write is None:
            write = by_element.get(value.element) if hasattr(value, "element") else None
            if write is None:
                known = ", ".join([*by_element, *(cls.__name__ for cls in by_type)])
                raise Unwritable(f"{type(value).__name__} {value!r:.80} is no {choice.head}: use one of {known}")
        write(value, out)

    return write_choice


def _variant_writer(profile: Profile, variant: Variant) -> Write:
    if isinstance(variant.content, str):
        (field,) = variant_fields(variant)
        assert isinstance(field.content, Kind)
        return _wrapped((variant.tag,), _kind_writer(variant.content, field.content))
    if variant.fields:
        fields = variant_fields(variant)
        content = _content(profile, variant.content, fields)
        allowed = {field.name for field in fields} | set(variant.constants)
        inner = _wrapped((variant.tag,), content)

        def write(value: Any, out: Out) -> None:
            for name in variant.content.__struct_fields__:  # type: ignore[union-attr]
                if name not in allowed and getattr(value, name) is not None:
                    raise Unwritable(f"{variant.tag} has no {name}", name)
            inner(value, out)

        return write
    return _class_writer(variant.tag, writer_of(profile, variant.content))


def _value_writer(profile: Profile, field: Field, tag: str) -> Write:
    content = field.content
    if isinstance(content, Kind):
        return _kind_writer(tag, content)
    if isinstance(content, Opaque):
        return _opaque_writer(tag, content, profile)
    assert isinstance(content, type)
    return _class_writer(tag, writer_of(profile, content))


def _field_writer(profile: Profile, cls: type[Wire], field: Field, depth: int, holder_optional: bool) -> Write:
    """How a field is written from `depth` of its path down; its holder has been opened already."""
    if isinstance(field.content, Choice):
        write_one = _choice_writer(profile, field.content)
        above: tuple[str, ...] = ()
    else:
        end = len(field.path) - 1
        write_one = _value_writer(profile, field, field.path[end])
        if field.repeats_at is not None:
            write_one = _wrapped(field.path[field.repeats_at : end], write_one)
            above = field.path[depth : field.repeats_at]
        else:
            above = field.path[depth:end]
    if field.repeats_at is not None:
        return _list_writer(profile, cls, field, write_one, above)
    return _single_writer(field, _wrapped(above, write_one), holder_optional)


def _located(name: str, error: ValueError) -> Unwritable:
    if isinstance(error, Unwritable):
        error.path = f"{name}/{error.path}" if error.path else name
        return error
    return Unwritable(str(error), name)


def _single_writer(field: Field, write: Write, holder_optional: bool) -> Write:
    name = field.name
    required = field.required or (holder_optional and not field.leaf_optional)
    content = field.content
    expects = content.expects if isinstance(content, Kind) else None

    def write_field(obj: Any, out: Out) -> None:
        value = getattr(obj, name)
        if value is None:
            if required:
                raise Unwritable("is missing", name)
            return
        try:
            write(value, out)
        except ValueError as error:
            if expects is not None and not isinstance(error, Unwritable):
                raise Unwritable(f"must be {expects}, not {error}", name) from error
            raise _located(name, error) from error

    return write_field


def _list_writer(
    profile: Profile, cls: type[Wire], field: Field, write_one: Write, above: tuple[str, ...]
) -> Write:
    name = field.name
    minimum = field.minimum
    single = profile.is_single(cls, name)
    may_be_absent = not field.required
    absent = None if field.nullable else ()
    open_ = "".join(f"<{tag}>" for tag in above)
    close = "".join(f"</{tag}>" for tag in reversed(above))
    expects = field.content.expects if isinstance(field.content, Kind) else "its type"

    def write_list(obj: Any, out: Out) -> None:
        values = getattr(obj, name)
        if values == absent and may_be_absent and (field.nullable or minimum or not values):
            return
        if not isinstance(values, tuple | list):
            raise Unwritable(f"must be a tuple, not {type(values).__name__}", name)
        if len(values) < minimum:
            raise Unwritable(f"needs at least {minimum} of them", name)
        if single and len(values) != 1:
            raise Unwritable(f"holds exactly one in profile {profile.name}, not {len(values)}", name)
        if open_:
            out.append(open_)
        for position, value in enumerate(values):
            try:
                write_one(value, out)
            except ValueError as error:
                located = error if isinstance(error, Unwritable) else Unwritable(f"must be {expects}, not {error}")
                raise _located(f"{name}[{position}]", located) from error
        if close:
            out.append(close)

    return write_list


def _group_writer(
    profile: Profile, cls: type[Wire], tag: str, fields: list[Field], depth: int, required: bool
) -> Write:
    """Several fields that share a wrapper element: it is written if any of them is there."""
    attributes = [field for field in fields if field.attribute is not None and len(field.path) == depth + 1]
    inner = _sequence(profile, cls, [f for f in fields if f not in attributes], depth + 1, not required)
    write_attributes = _attribute_writer(attributes)
    names = tuple(field.name for field in fields)
    close = f"</{tag}>"

    def write(obj: Any, out: Out) -> None:
        if not required and all(getattr(obj, name) in (None, ()) for name in names):
            return
        out.append(f"<{tag}{write_attributes(obj)}>" if write_attributes is not None else f"<{tag}>")
        inner(obj, out)
        out.append(close)

    return write


def _attribute_writer(fields: list[Field]) -> Callable[[Any], str] | None:
    if not fields:
        return None

    def write(obj: Any) -> str:
        text = ""
        for field in fields:
            value = getattr(obj, field.name)
            if value is not None:
                assert isinstance(field.content, Kind)
                try:
                    text += f' {field.attribute}="{field.content.format(value)}"'
                except ValueError as error:
                    raise Unwritable(f"must be {field.content.expects}, not {error}", field.name) from error
        return text

    return write


def _sequence(profile: Profile, cls: type[Wire], fields: list[Field], depth: int, holder_optional: bool) -> Write:
    """The fields in order, those with a common wrapper together."""
    writers: list[Write] = []
    position = 0
    while position < len(fields):
        field = fields[position]
        last = position + 1
        if len(field.path) > depth + 1 or field.attribute is not None:
            while last < len(fields) and fields[last].path[depth : depth + 1] == field.path[depth : depth + 1]:
                last += 1
        group = fields[position:last]
        if len(group) > 1 or field.attribute is not None:
            # Without an optional holder above, a wrapper is required exactly if one of its fields is.
            required = any(f.required for f in group)
            writers.append(_group_writer(profile, cls, field.path[depth], group, depth, required))
        else:
            writers.append(_field_writer(profile, cls, field, depth, holder_optional))
        position = last
    if len(writers) == 1:
        return writers[0]

    def write(obj: Any, out: Out) -> None:
        for each in writers:
            each(obj, out)

    return write


def _content(profile: Profile, cls: type[Wire], fields: tuple[Field, ...]) -> Write:
    elements = [field for field in fields if field.attribute is None or field.path]
    return _sequence(profile, cls, elements, 0, False)


@cache
def _writer(profile_name: str, cls: type[Wire]) -> ClassWriter:
    profile = next(profile for profile in PROFILES if profile.name == profile_name)
    fields = profile.fields(cls)
    content = _content(profile, cls, fields)
    if absent := profile.absent.get(cls.__name__, frozenset()) - {"schema_version"}:
        content = _without(absent, profile, content)
    attributes = [field for field in fields if field.attribute is not None and not field.path]
    return ClassWriter(cls, _attribute_writer(attributes), content)


def _without(absent: frozenset[str], profile: Profile, content: Write) -> Write:
    def write(obj: Any, out: Out) -> None:
        for name in absent:
            if getattr(obj, name) not in (None, ()):
                raise Unwritable(f"is not part of profile {profile.name}", name)
        content(obj, out)

    return write


def writer_of(profile: Profile, cls: type[Wire]) -> ClassWriter:
    """How the class is written in that profile."""
    return _writer(profile.name, cls)


def write_message(profile: Profile, tag: str, value: Wire) -> str:
    """The message's element as canonical text without namespace declarations.

    Raises:
        SchemaMismatch: a value that the profile can't express, with its path by field names.
    """
    out: Out = []
    try:
        writer_of(profile, type(value)).write(tag, value, out)
    except Unwritable as error:
        _refuse(tag, error)
    return "".join(out)


def _refuse(tag: str, error: Unwritable) -> NoReturn:
    local = tag.partition(":")[2]
    path = f"{local}/{error.path}" if error.path else local
    raise SchemaMismatch(f"can't be written: {error.reason}", path=path, found=error.reason) from error


def namespaces_in(profile: Profile, text: str, also: Mapping[str, str]) -> dict[str, str]:
    """The declarations that a text needs, by prefix, in canonical order; those of `also` in any case."""
    used = {
        prefix: profile.uri(prefix)
        for prefix in PREFIXES
        if f"<{prefix}:" in text or f" {prefix}:" in text
    }
    return dict(sorted({**used, **also}.items()))


def attribute_text(value: str) -> str:
    """`value` for use inside double quotes, in canonical form."""
    text = escape(value).replace("&gt;", ">").replace('"', "&quot;")
    return text.replace("\t", "&#x9;").replace("\n", "&#xA;")
