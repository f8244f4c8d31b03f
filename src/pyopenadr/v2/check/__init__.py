"""What a single message shows about the conformance rules, over and above the schema.

    for finding in findings(decode(data)):
        finding.rule, finding.severity, finding.path, finding.message, finding.fix

Each rule is one function in the table of its module (`RULES` there, all of them in `RULES` here). Rules about the
course of an exchange, such as "a modification adds 1", can't be judged from one message and are not here.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache

from pyopenadr.v2.check import data, event, message, opt, registration, report, signal
from pyopenadr.v2.check.exchange import EXCHANGES, Exchange
from pyopenadr.v2.check.finding import Direction, Finding, Problem, Rule, Scene, Severity
from pyopenadr.v2.check.place import parts, path_at
from pyopenadr.v2.check.source import Element, source_findings
from pyopenadr.v2.codec import Payload
from pyopenadr.v2.wire import Wire

__all__ = [
    "EXCHANGES",
    "RULES",
    "Direction",
    "Element",
    "Exchange",
    "Finding",
    "Problem",
    "Rule",
    "Scene",
    "Severity",
    "findings",
    "source_findings",
]

RULES: tuple[Rule, ...] = (
    *message.RULES,
    *event.RULES,
    *signal.RULES,
    *opt.RULES,
    *report.RULES,
    *data.RULES,
    *registration.RULES,
)
"""Every rule that is judged on decoded values; those of `source_findings` are judged on the text."""


@cache
def _rules_on(cls: type[Wire]) -> tuple[Rule, ...]:
    return tuple(rule for rule in RULES if issubclass(cls, rule.on))


def findings(
    payload: Payload, *, direction: Direction | None = None, now: datetime | None = None
) -> tuple[Finding, ...]:
    """What the message breaks, in the order of the document.

    Args:
        payload: the message, as decoded.
        direction: who sends it to whom, if that is known.
        now: the instant that status and current values are judged by; None leaves that out.
    """
    sender = EXCHANGES[payload.message.message_type].sender
    if direction is not None:
        sender = "ven" if direction == "ven-to-vtn" else "vtn"
    scene = Scene(message=payload.message, profile=payload.profile, sender=sender, now=now)
    return tuple(
        Finding(
            rule=rule.number,
            severity=problem.severity or rule.severity,
            path=path_at(payload, (*place, *problem.at)),
            message=problem.message,
            fix=problem.fix,
        )
        for place, part in parts(payload.message)
        for rule in _rules_on(type(part))
        if rule.profile in (None, payload.profile)
        for problem in rule.check(part, scene)
    )
