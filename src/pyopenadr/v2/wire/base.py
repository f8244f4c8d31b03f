"""How wire classes are declared.

A wire class is a frozen struct whose annotations say where each field stands in XML:

    dtstart: Annotated[datetime, "xcal:dtstart/xcal:date-time"]

The string is the path from the element of the class, with the prefixes of `profile.PREFIXES`. `*` marks the element
of a path that repeats (the last one, if the field is a tuple and nothing is marked), `?` an element that may be
missing though its parent is there, `@` an attribute. Fields stand in schema order. A field with a default is
optional; `AtLeast(1)` makes a tuple's repeated element required. The Python type gives the simple type (`str`, `int`,
`float`, `bool`, `datetime`, `Duration`, a wire class), unless a `Kind` in the annotation says otherwise. A `Choice`
lists the members of a substitution group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

import msgspec

from pyopenadr.v2.text import Kind

__all__ = ["AtLeast", "Choice", "Message", "Opaque", "Variant", "Wire"]


class AtLeast(msgspec.Struct, frozen=True):
    """How often the repeated element has to be there at least, where it may be there at all."""

    minimum: int


class Opaque(msgspec.Struct, frozen=True):
    """The element is kept as XML text, unread. `root` is the name it must have, None for any content."""

    root: str | None = None


class Variant(msgspec.Struct, frozen=True, eq=False):
    """One member of a substitution group.

    `tag` is its element; `content` a wire class, or the path below it of a plain float. `constants` are fields that
    the element name itself decides; `fields` replaces the class's own declarations by (field, path, kind).
    """

    tag: str
    content: type[Wire] | str
    constants: Mapping[str, str] = MappingProxyType({})
    fields: tuple[tuple[str, str, Kind | type[Wire] | Opaque], ...] = ()


class Choice(msgspec.Struct, frozen=True, eq=False):
    """A substitution group: exactly one of these elements stands there."""

    head: str
    variants: tuple[Variant, ...]


class Wire(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of the wire classes: immutable, comparable, and readable like a mapping by field name."""

    def __getitem__(self, name: str) -> Any:
        if name in self.__struct_fields__:
            return getattr(self, name)
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return name in self.__struct_fields__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__struct_fields__)

    def __len__(self) -> int:
        return len(self.__struct_fields__)

    def get(self, name: str, default: Any = None) -> Any:
        """The field's value, or `default` if there is no such field or it is absent."""
        value = getattr(self, name, None) if name in self.__struct_fields__ else None
        return default if value is None else value

    def keys(self) -> tuple[str, ...]:
        """The names of the fields, in schema order."""
        return self.__struct_fields__

    def values(self) -> list[Any]:
        """The values of the fields, in schema order."""
        return [getattr(self, name) for name in self.__struct_fields__]

    def items(self) -> list[tuple[str, Any]]:
        """The fields with their values, in schema order."""
        return [(name, getattr(self, name)) for name in self.__struct_fields__]

    def to_dict(self) -> dict[str, Any]:
        """The message as dicts and lists of native Python types, without what is absent by default."""
        result = {}
        for info in msgspec.structs.fields(type(self)):
            value = getattr(self, info.name)
            if not ((value is None or value == ()) and info.default == value):
                result[info.name] = _native(value)
        return result

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The wire value of what `to_dict` gave; also of dicts written by hand.

        Raises:
            SchemaMismatch: a field is unknown, missing, or no dict or list where one is needed.
        """
        from pyopenadr.v2.wire.declaration import build

        return build(cls, fields)


def _native(value: Any) -> Any:
    if isinstance(value, Wire):
        return value.to_dict()
    if isinstance(value, tuple | list):
        return [_native(item) for item in value]
    if type(value) is not str and isinstance(value, str):
        return str.__str__(value)
    return value


class Message(Wire, frozen=True, kw_only=True):
    """Base of the payloads: what may stand in oadrSignedObject (2.0b) or as the document's root (2.0a)."""

    tag: ClassVar[str]

    @property
    def message_type(self) -> str:
        """The name of the element, such as `oadrPoll`."""
        return self.tag.partition(":")[2]
