"""What a check is, and what comes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

__all__ = [
    "Broken",
    "Check",
    "Exchange",
    "Level",
    "NotApplicable",
    "Outcome",
    "Questionable",
    "Side",
    "Verdict",
    "check",
]

Side = Literal["vtn", "ven"]
Level = Literal["must", "should", "may"]
Verdict = Literal["pass", "fail", "warning", "n/a"]

Stage = TypeVar("Stage")


class Broken(Exception):
    """The rule is not kept; the text says what was seen. A `must` then fails, the others are warned of."""


class Questionable(Exception):
    """The rule is kept by its words, but something about it is unusual: a warning."""


class NotApplicable(Exception):
    """The rule can't be looked at here; the text says why."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is looked at, from outside.

    `id` begins with the side that is under test, as in `vtn-event-order`. `rules` are numbers of the 2.0b profile's
    conformance rules, or N1 to N15 for requirements of its text that have none. `run` is given the stage; without one
    the check is judged on every message that the peer sends.
    """

    id: str
    rules: tuple[str, ...]
    title: str
    level: Level
    run: Callable[[Any], Awaitable[None]] | None = None

    @property
    def side(self) -> Side:
        """Who is under test."""
        return "vtn" if self.id.startswith("vtn-") else "ven"

    @property
    def group(self) -> str:
        """The part of the protocol that it is about."""
        return self.id.split("-")[1]


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One request with its reply, as bytes. `by` is who asked; a status of 0 says that there was no reply."""

    number: int
    at: datetime
    by: Side
    request: str
    sent: bytes
    status: int
    received: bytes


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one check. `exchanges` are those that it looked at, the last of them where there were many."""

    check: Check
    verdict: Verdict
    reason: str = ""
    exchanges: tuple[Exchange, ...] = ()


def check(id: str, *rules: str, level: Level = "must") -> Callable[[Callable[[Stage], Awaitable[None]]], Check]:
    """Make a check of the coroutine function that follows; the first line of its docstring is the title."""

    def of(run: Callable[[Stage], Awaitable[None]]) -> Check:
        title = (run.__doc__ or "").partition("\n")[0].rstrip(".")
        return Check(id=id, rules=rules, title=title, level=level, run=run)

    return of
