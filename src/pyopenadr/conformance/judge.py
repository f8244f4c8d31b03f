"""What is judged on every message that comes from the side under test, whatever it was sent for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from pyopenadr.conformance.check import Check, Exchange, Level, Outcome, Side
from pyopenadr.errors import Malformed
from pyopenadr.v2 import wire
from pyopenadr.v2.check import RULES, Rule, Scene
from pyopenadr.v2.check.finding import Problem
from pyopenadr.v2.check.place import parts, path_at
from pyopenadr.v2.codec import Payload
from pyopenadr.v2.document import Document, read_document

__all__ = ["Judge", "message_checks"]

_OF_VEN = (
    wire.OadrRequestEvent,
    wire.OadrCreatedEvent,
    wire.EventResponse,
    wire.OadrCreateOpt,
    wire.OadrCreatePartyRegistration,
)
_OF_VTN = (
    wire.EventDescriptor,
    wire.ActivePeriod,
    wire.OadrEvent,
    wire.OadrDistributeEvent,
    wire.EiEventSignal,
    wire.EiEventBaseline,
    wire.SignalPayload,
    wire.OadrCreatedPartyRegistration,
)
_LEVELS: dict[str, Level] = {"error": "must", "warning": "should"}
_SHOWN = 3


@cache
def _rules_for(side: Side) -> tuple[tuple[Check, Rule], ...]:
    """The rules of `v2.check` that a message of that side can break. Notes are no breach, and left out."""
    found = []
    for rule in RULES:
        is_other = issubclass(rule.on, _OF_VEN if side == "vtn" else _OF_VTN)
        if rule.severity == "note" and rule.number != "6":
            continue
        if is_other or rule.profile == "2.0a" or (rule.number == "508" and side == "vtn"):
            continue
        name = rule.check.__name__.strip("_").replace("_", "-")
        made = Check(
            id=f"{side}-message-{rule.number}-{name}",
            rules=(rule.number,),
            title=rule.summary.rstrip("."),
            level=_LEVELS.get(rule.severity, "should"),
        )
        found.append((made, rule))
    return tuple(found)


@cache
def _rules_on(side: Side, kind: type[wire.Wire]) -> tuple[tuple[Check, Rule], ...]:
    """Those that look at such a part of a message."""
    return tuple((made, rule) for made, rule in _rules_for(side) if issubclass(kind, rule.on))


def _on_all(side: Side) -> tuple[Check, ...]:
    """The checks on the text and the HTTP headers of everything."""
    who = "VTN" if side == "vtn" else "VEN"
    headers = "reply" if side == "vtn" else "request"
    checks = [
        (
            f"{side}-message-schema",
            ("33", "N15"),
            f"Every message of the {who} is valid by the schema, in its envelope",
        ),
        (f"{side}-message-1-text", ("1",), "Times are in UTC, and durations are written as ISO 8601 has them"),
        (f"{side}-message-45-location", ("45",), "No message carries a schemaLocation"),
        (f"{side}-http-type", ("53", "N3"), f"Every {headers} has the Content-Type application/xml"),
        (f"{side}-http-length", ("53", "N2"), f"Every {headers} has a Content-Length"),
        (f"{side}-http-chunked", ("N2",), f"No {headers} is sent in chunks"),
    ]
    if side == "ven":
        checks += [
            ("ven-http-host", ("53",), "Every request has a Host header"),
            ("ven-http-method", ("N1",), "Every request is a POST"),
            (
                "ven-http-address",
                ("511",),
                "Every request goes to OpenADR2/Simple/2.0b/ and the service of its message",
            ),
        ]
    return tuple(Check(id=id, rules=rules, title=title, level="must") for id, rules, title in checks)


def message_checks(side: Side) -> tuple[Check, ...]:
    """Everything that is judged on single messages of that side."""
    return (*_on_all(side), *(made for made, _ in _rules_for(side)))


class _Tally:
    """What has been seen of one check."""

    def __init__(self) -> None:
        self.judged = 0
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.exchanges: list[Exchange] = []

    def add(self, exchange: Exchange, problems: Iterable[tuple[str, bool]]) -> None:
        self.judged += 1
        for text, is_error in problems:
            known = self.errors if is_error else self.warnings
            if text not in known:
                known.append(text)
                if len(self.exchanges) < _SHOWN:
                    self.exchanges.append(exchange)


class Judge:
    """Sees every message of the side under test, and says at the end what was wrong with them."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._tallies: dict[str, _Tally] = {made.id: _Tally() for made in message_checks(side)}

    def note(self, name: str, exchange: Exchange, *problems: str) -> None:
        """One more thing was judged; `name` without the side, as in `http-type`."""
        self._tallies[f"{self._side}-{name}"].add(exchange, ((problem, True) for problem in problems))

    def see(self, data: bytes, exchange: Exchange) -> tuple[wire.Message | None, str]:
        """Judge one document of the peer's, and give its message; None if it can't be read, and why."""
        try:
            document = read_document(data)
        except Malformed as error:
            self.note("message-schema", exchange, str(error))
            return None, str(error)
        message = document.payload.message if document.payload is not None else None
        if document.profile != "2.0a":
            self._see_document(document, exchange)
        return message, "" if message is not None or not document.found else document.found[0].message

    def _see_document(self, document: Document, exchange: Exchange) -> None:
        schema = [each for each in document.found if each.rule not in ("1", "45")]
        self.note("message-schema", exchange, *(f"{each.path}: {each.message}" for each in schema))
        for rule, name in (("1", "message-1-text"), ("45", "message-45-location")):
            found = [each for each in document.found if each.rule == rule and each.severity != "note"]
            problems = ((f"{each.path}: {each.message}", each.severity == "error") for each in found)
            self._tallies[f"{self._side}-{name}"].add(exchange, problems)
        if document.payload is not None:
            self._see_message(document.payload, exchange)

    def _see_message(self, payload: Payload, exchange: Exchange) -> None:
        scene = Scene(message=payload.message, profile=payload.profile, sender=self._side)
        for place, part in parts(payload.message):
            for made, rule in _rules_on(self._side, type(part)):
                self._tallies[made.id].add(exchange, list(_problems(rule, part, place, payload, scene)))

    def outcomes(self) -> Iterator[Outcome]:
        """What came of each check."""
        for made in message_checks(self._side):
            tally = self._tallies[made.id]
            if not tally.judged:
                yield Outcome(check=made, verdict="n/a", reason="nothing was sent that this could be judged on")
                continue
            texts = [*tally.errors, *tally.warnings]
            more = f" (and {len(texts) - _SHOWN} more)" if len(texts) > _SHOWN else ""
            reason = "; ".join(texts[:_SHOWN]) + more
            if tally.errors and made.level == "must":
                yield Outcome(check=made, verdict="fail", reason=reason, exchanges=tuple(tally.exchanges))
            elif texts:
                yield Outcome(check=made, verdict="warning", reason=reason, exchanges=tuple(tally.exchanges))
            else:
                yield Outcome(check=made, verdict="pass", reason=f"seen {tally.judged} times")


def _problems(
    rule: Rule, part: wire.Wire, place: tuple[str | int, ...], payload: Payload, scene: Scene
) -> Iterator[tuple[str, bool]]:
    problem: Problem
    for problem in rule.check(part, scene):
        severity = problem.severity or rule.severity
        if severity != "note":
            yield f"{path_at(payload, (*place, *problem.at))}: {problem.message}", severity == "error"
