"""Lists in pages."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter

__all__ = ["After", "Limit", "Page", "paged"]

T = TypeVar("T")

Limit = Annotated[int, QueryParameter(ge=1, le=1000, description="How many to list at most.")]
After = Annotated[str | None, QueryParameter(description="Go on after here: the `next` of the page before.")]


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Part of a list. `next` is what to give as `after` for the next part; there is none if it is null."""

    items: Sequence[T]
    next: str | None = None


def paged(items: Sequence[T], key: Callable[[T], str], after: str | None, limit: int) -> Page[T]:
    """The page after the item with that key, or after where it would be; `items` are in the order of their keys."""
    start = 0 if after is None else bisect_right(items, after, key=key)
    found = items[start : start + limit]
    more = start + limit < len(items)
    return Page(items=found, next=key(found[-1]) if more else None)
