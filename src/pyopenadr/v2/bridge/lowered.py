"""What lowering gives: the wire value, and what it could not say."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

__all__ = ["Lowered"]

W = TypeVar("W")


class Lowered(NamedTuple, Generic[W]):
    """A wire value, and a sentence for each thing that had no form there."""

    value: W
    lost: tuple[str, ...] = ()
