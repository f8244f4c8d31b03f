"""Runs checks one after the other, and keeps what came of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Protocol

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.conformance.check import Broken, Check, NotApplicable, Outcome, Questionable, Side, Verdict
from pyopenadr.conformance.judge import Judge
from pyopenadr.conformance.record import Record
from pyopenadr.errors import OpenADRError

__all__ = ["Result", "Stage", "chosen", "run"]


class Stage(Protocol):
    """What the checks of one side play on."""

    @property
    def clock(self) -> Clock: ...
    @property
    def record(self) -> Record: ...
    @property
    def judge(self) -> Judge: ...

    def begin(self) -> None:
        """A new check begins."""
        ...

    async def is_there(self) -> bool:
        """Whether the peer can still be reached, as far as that is up to us."""
        ...


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run against one peer."""

    side: Side
    target: str
    started: datetime
    ended: datetime
    outcomes: tuple[Outcome, ...]

    def count(self, verdict: Verdict) -> int:
        """How many checks came out so."""
        return self.counts[verdict]

    @property
    def counts(self) -> Counter[Verdict]:
        """How many checks came out how."""
        return Counter(outcome.verdict for outcome in self.outcomes)

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.counts["fail"]


def chosen(checks: Iterable[Check], patterns: Iterable[str]) -> tuple[Check, ...]:
    """The checks whose ID fits one of the patterns (`vtn-event-*`), or that cite one as a rule (`452`); no patterns
    choose all."""
    wanted = tuple(patterns)
    return tuple(
        each for each in checks if not wanted or any(fnmatchcase(each.id, one) or one in each.rules for one in wanted)
    )


async def run(
    stage: Stage,
    checks: Iterable[Check],
    *,
    target: str,
    told: Callable[[Outcome], None] = lambda outcome: None,
    timeout_s: float = 120.0,
) -> Result:
    """Make every check; those on single messages come last, because each message counts for them.

    Args:
        stage: what is played on.
        checks: which checks, in their order.
        target: what is tested, in words.
        told: is given each outcome at once.
        timeout_s: how long one check may take.
    """
    started = stage.clock.now()
    outcomes: list[Outcome] = []
    wanted = tuple(checks)
    is_there = True
    for each in wanted:
        if each.run is not None:
            stage.begin()
            outcome = Outcome(check=each, verdict="n/a", reason="the peer can't be reached any more")
            if is_there:
                outcome = await _make(stage, each, timeout_s)
                is_there = outcome.verdict != "fail" or await stage.is_there()
            outcomes.append(outcome)
            told(outcome)
    passive = {each.id for each in wanted if each.run is None}
    for outcome in stage.judge.outcomes():
        if outcome.check.id in passive:
            outcomes.append(outcome)
            told(outcome)
    side: Side = wanted[0].side if wanted else "vtn"
    return Result(side=side, target=target, started=started, ended=stage.clock.now(), outcomes=tuple(outcomes))


async def _make(stage: Stage, each: Check, timeout_s: float) -> Outcome:
    assert each.run is not None
    verdict: Verdict = "pass"
    reason = ""
    try:
        async with asyncio.timeout(timeout_s):
            await each.run(stage)
    except NotApplicable as error:
        verdict, reason = "n/a", str(error)
    except Questionable as error:
        verdict, reason = "warning", str(error)
    except Broken as error:
        verdict, reason = "fail" if each.level == "must" else "warning", str(error)
    except TimeoutError:
        verdict, reason = "fail", f"it did not come to an end within {timeout_s:g} s"
    except OpenADRError as error:
        verdict, reason = "fail", f"the exchange failed: {error}"
    return Outcome(check=each, verdict=verdict, reason=reason, exchanges=stage.record.since_mark())
