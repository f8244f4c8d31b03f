"""The result of a run for other programs, for CI, and as one page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Any
from xml.etree import ElementTree

from pyopenadr.conformance.check import Exchange, Outcome
from pyopenadr.conformance.runner import Result

__all__ = ["as_html", "as_json", "as_junit", "readable"]

_WORST_FIRST = ("fail", "warning", "pass", "n/a")
_OF_A_PASS = 2
"""How many exchanges are shown of what passed; the others show all there are."""

_UNFIT = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONGEST = 20_000


def _shown(outcome: Outcome) -> tuple[Exchange, ...]:
    return outcome.exchanges[-_OF_A_PASS:] if outcome.verdict == "pass" else outcome.exchanges


def _text(data: bytes) -> str:
    text = _UNFIT.sub("\N{REPLACEMENT CHARACTER}", data.decode("utf-8", "replace"))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … ({len(text)} characters)"


def readable(data: bytes) -> str:
    """A document with a line for each element."""
    depth, lines = 0, []
    for piece in re.sub(r">\s*<", ">\n<", _text(data).strip()).split("\n"):
        closes = piece.startswith("</")
        depth = max(0, depth - closes)
        lines.append("  " * depth + piece)
        opens = piece.startswith("<") and not closes and not piece.startswith(("<?", "<!"))
        depth += opens and "</" not in piece and not piece.endswith("/>")
    return "\n".join(lines)


def as_json(result: Result) -> dict[str, Any]:
    """Everything as plain values."""
    return {
        "side": result.side,
        "target": result.target,
        "started": result.started.isoformat(),
        "ended": result.ended.isoformat(),
        "counts": {verdict: result.counts[verdict] for verdict in ("pass", "fail", "warning", "n/a")},
        "checks": [
            {
                "id": outcome.check.id,
                "rules": list(outcome.check.rules),
                "title": outcome.check.title,
                "level": outcome.check.level,
                "verdict": outcome.verdict,
                "reason": outcome.reason,
                "exchanges": [_exchange(each) for each in _shown(outcome)],
            }
            for outcome in result.outcomes
        ],
    }


def _exchange(each: Exchange) -> dict[str, Any]:
    return {
        "number": each.number,
        "at": each.at.isoformat(),
        "by": each.by,
        "request": each.request,
        "sent": _text(each.sent),
        "status": each.status,
        "received": _text(each.received),
    }


def as_junit(result: Result) -> bytes:
    """The form that CI systems read: a failed check is a failure, what does not apply is skipped."""
    counts = result.counts
    elapsed = (result.ended - result.started).total_seconds()
    suite = ElementTree.Element(
        "testsuite",
        name=f"OpenADR 2.0b {result.side}",
        tests=str(len(result.outcomes)),
        failures=str(counts["fail"]),
        skipped=str(counts["n/a"]),
        errors="0",
        time=f"{elapsed:.3f}",
        timestamp=result.started.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    for outcome in result.outcomes:
        check = outcome.check
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"openadr.{result.side}.{check.group}", name=check.id, time="0"
        )
        reason = _UNFIT.sub("?", outcome.reason)
        cited = f"rule {', '.join(check.rules)}: {check.title}"
        if outcome.verdict == "fail":
            failure = ElementTree.SubElement(case, "failure", message=reason, type=check.level)
            failure.text = "\n\n".join([cited, *(_plain(each) for each in _shown(outcome))])
        elif outcome.verdict == "n/a":
            ElementTree.SubElement(case, "skipped", message=reason)
        elif outcome.verdict == "warning":
            ElementTree.SubElement(case, "system-out").text = f"warning: {reason}\n{cited}"
    suites = ElementTree.Element("testsuites", name="OpenADR 2.0b conformance")
    suites.append(suite)
    text: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return text


def _plain(each: Exchange) -> str:
    return f"{each.by}: {each.request}\n{readable(each.sent)}\n-> {each.status}\n{readable(each.received)}"


_STYLE = """
:root { color-scheme: light dark; --line: #8884; --fail: #c62828; --warning: #b26a00; --pass: #2e7d32; --na: #777; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } .sub { color: var(--na); margin-top: 0; }
.counts span { display: inline-block; margin-right: 1.5rem; font-size: 1.2rem; }
details { border-top: 1px solid var(--line); padding: .4rem 0; } summary { cursor: pointer; }
code, pre { font: 12px/1.45 ui-monospace, monospace; } pre { overflow-x: auto; background: #8881; padding: .6rem; }
.v { display: inline-block; width: 4.5rem; font-weight: 600; } .fail { color: var(--fail); }
.warning { color: var(--warning); } .pass { color: var(--pass); } .na { color: var(--na); }
.rule { color: var(--na); float: right; } .reason { margin: .4rem 0 .4rem 4.8rem; }
#hide-pass:checked ~ section .row-pass, #hide-na:checked ~ section .row-na { display: none; }
"""


def as_html(result: Result) -> str:
    """One page that needs nothing besides: no scripts, no files from elsewhere."""
    counts = result.counts
    who = "VTN" if result.side == "vtn" else "VEN"
    told = "".join(
        f'<span class="{_class(verdict)}">{counts[verdict]} {verdict}</span>'
        for verdict in ("fail", "warning", "pass", "n/a")
    )
    groups = dict.fromkeys(outcome.check.group for outcome in result.outcomes)
    sections = "".join(
        _section(group, [outcome for outcome in result.outcomes if outcome.check.group == group]) for group in groups
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(result.target)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>OpenADR 2.0b conformance of a {who}</h1>"
        f'<p class="sub">{escape(result.target)}, {result.started:%Y-%m-%d %H:%M:%S} UTC, pyopenadr</p>'
        f'<p class="counts">{told}</p>'
        '<input type="checkbox" id="hide-pass"> <label for="hide-pass">without what passed</label> '
        '<input type="checkbox" id="hide-na"> <label for="hide-na">without what does not apply</label>'
        f"{sections}</body></html>\n"
    )


def _section(group: str, outcomes: Iterable[Outcome]) -> str:
    ordered = sorted(outcomes, key=lambda outcome: _WORST_FIRST.index(outcome.verdict))
    return f"<section><h2>{escape(group)}</h2>{''.join(map(_row, ordered))}</section>"


def _class(verdict: str) -> str:
    return verdict.replace("/", "")


def _row(outcome: Outcome) -> str:
    check, verdict = outcome.check, _class(outcome.verdict)
    cited = f"{check.level}, rule {escape(', '.join(check.rules))}"
    reason = f'<p class="reason {verdict}">{escape(outcome.reason)}</p>' if outcome.reason else ""
    messages = "".join(_messages(each) for each in _shown(outcome))
    is_open = " open" if outcome.verdict == "fail" and not messages else ""
    return (
        f'<details class="row-{verdict}"{is_open}><summary><span class="v {verdict}">{outcome.verdict}</span>'
        f'{escape(check.title)} <span class="rule">{cited}</span></summary>'
        f"{reason}<p><code>{escape(check.id)}</code></p>{messages}</details>"
    )


def _messages(each: Exchange) -> str:
    received = f"<pre>{escape(readable(each.received))}</pre>" if each.received else ""
    status = f"HTTP {each.status}" if each.status else "no reply"
    return (
        f"<p>{each.number}. {each.at:%H:%M:%S} the {each.by.upper()} asks: <code>{escape(each.request)}</code></p>"
        f"<pre>{escape(readable(each.sent))}</pre><p>{status}</p>{received}"
    )
