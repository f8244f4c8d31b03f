"""What a check gives, and how a rule is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

from pyopenadr.v2.profile import ProfileName
from pyopenadr.v2.wire import Message, Wire

__all__ = ["Direction", "Finding", "Place", "Problem", "Rule", "Scene", "Severity", "rule"]

Severity = Literal["error", "warning", "note"]
Direction = Literal["ven-to-vtn", "vtn-to-ven"]
Place = tuple[str | int, ...]
"""Where something stands in a wire value: field names, and positions (from 0) in those that are lists."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something about a message that its receiver may stumble over.

    `rule` is the number of the conformance rule, `schema`, or the name of a leniency rule. An `error` breaks a rule
    that must be kept, a `warning` one that should be, or something that known peers have trouble with; a `note` is
    right but may surprise. `path` is the element concerned; where it is missing, the place where it should be.
    `line` is 1-based, and None where the text is not at hand.
    """

    rule: str
    severity: Severity
    path: str
    line: int | None = None
    message: str
    fix: str


class Problem(msgspec.Struct, frozen=True):
    """What a rule found: a sentence, what to do, where (from the value that it looked at), and how bad it is."""

    message: str
    fix: str
    at: Place = ()
    severity: Severity | None = None


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule may know besides the value before it.

    `sender` is None where both sides may send the message and nobody said which one did; `now` is the instant to
    judge by, None to leave such rules out.
    """

    message: Message
    profile: ProfileName
    sender: Literal["ven", "vtn"] | None = None
    now: datetime | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One conformance rule, as far as a single message shows whether it is kept.

    `on` is the wire class that it looks at, `profile` the only profile that it holds in (None: both).
    """

    number: str
    on: type[Wire]
    severity: Severity
    profile: ProfileName | None
    check: Callable[[Any, Scene], Iterable[Problem]]

    @property
    def summary(self) -> str:
        """The rule in one line."""
        return (self.check.__doc__ or "").partition("\n")[0]


_W = TypeVar("_W", bound=Wire)


def rule(
    number: str, on: type[_W], *, severity: Severity = "error", profile: ProfileName | None = None
) -> Callable[[Callable[[_W, Scene], Iterable[Problem]]], Rule]:
    """Make a rule of the function that follows."""

    def of(check: Callable[[_W, Scene], Iterable[Problem]]) -> Rule:
        return Rule(number=number, on=on, severity=severity, profile=profile, check=check)

    return of
