"""`pyopenadr explain`: what a message is, and what is wrong with it."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from pyopenadr.cli.gist import gist
from pyopenadr.cli.screen import Screen
from pyopenadr.clock import SystemClock
from pyopenadr.errors import ConfigError, Malformed, SignatureInvalid
from pyopenadr.v2.check import EXCHANGES, Direction, Finding, findings
from pyopenadr.v2.codec import Payload
from pyopenadr.v2.document import read_document
from pyopenadr.v2.profile import ProfileName
from pyopenadr.v2.text import parse_date_time

__all__ = ["Explanation", "Sender", "explain", "explanation_of"]

_MOST = 10
_ANY_AGE = timedelta(days=36_500)
_STYLES = {"error": "red", "warning": "yellow", "note": "cyan"}
_SIDES = {"ven": "a VEN to its VTN", "vtn": "a VTN to a VEN"}


class Sender(StrEnum):
    """Who sends a message."""

    VEN = "ven"
    VTN = "vtn"


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What can be said about one document. `unusable` says why it is no XML document, if it is none.

    `message_type` and what follows it are None if the document can't be read as a message even leniently.
    """

    file: str
    unusable: str | None = None
    message_type: str | None = None
    profile: str | None = None
    sender: str | None = None
    endpoint: str | None = None
    reply: str | None = None
    signature: str | None = None
    sentences: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 without errors, 1 with errors, 2 for what is no XML document."""
        if self.unusable is not None:
            return 2
        return 1 if any(finding.severity == "error" for finding in self.findings) else 0


def _signature(data: bytes, payload: Payload, certificate: bytes | None, now: datetime) -> tuple[str, list[Finding]]:
    """What there is to say about the signature, with what is wrong with it."""
    if payload.signature is None:
        if certificate is None:
            return "none", []
        message = "the message is not signed"
        return "none", [Finding(rule="514", severity="error", path="", message=message, fix="sign it")]
    if certificate is None:
        return "present, not verified (give --cert to verify it)", []
    from pyopenadr.v2.signature import SWITCHES, Trust, verify

    try:
        trust = Trust(certificates=[certificate])
        verified = verify(data, trusted=trust, now=now, window=_ANY_AGE, leniency=("all",), accept=SWITCHES)
    except SignatureInvalid as error:
        wrong = Finding(
            rule=error.rule or "514",
            severity="error",
            path=error.path or "",
            line=error.line,
            message=error.reason,
            fix="send the bytes exactly as they were signed, and give --cert the signer's certificate",
        )
        return "not valid", [wrong]
    unusual = [
        Finding(
            rule="514",
            severity="warning",
            path="oadrPayload/Signature",
            message=f"the signature is in an unusual form ({switch}): {SWITCHES[switch]}",
            fix=f"sign in the usual form, or have the receiver switch on {switch!r}",
        )
        for switch in verified.accepted
    ]
    return f"valid, made {verified.timestamp.isoformat()} by {verified.fingerprint or 'the given key'}", unusual


def explanation_of(
    file: str,
    data: bytes,
    *,
    now: datetime,
    sender: Sender | None = None,
    at: datetime | None = None,
    certificate: bytes | None = None,
) -> Explanation:
    """Everything there is to say about a document.

    Args:
        file: its name, to be shown.
        data: its bytes.
        now: what "in 2 h" counts from, and when certificates have to be valid.
        sender: who sends it, if that is known.
        at: the instant by which statuses and current values are judged; None leaves that out.
        certificate: the certificate (PEM or DER) of whoever must have signed it; None leaves signatures unverified.
    """
    try:
        document = read_document(data)
    except Malformed as error:
        return Explanation(file=file, unusable=f"{file}: {error}")
    payload = document.payload
    if payload is None:
        named, profile = document.message_type, document.profile
        if named is None or profile is None:
            return Explanation(file=file, findings=document.in_order())
        return Explanation(
            file=file,
            message_type=named,
            profile=profile,
            sender=sender or EXCHANGES[named].sender,
            endpoint=_endpoint(profile, named),
            reply=EXCHANGES[named].reply,
            sentences=("The schema does not allow it as it is, so that no more can be said of its contents.",),
            findings=document.in_order(),
        )
    direction: Direction | None = None
    if sender is not None:
        direction = "ven-to-vtn" if sender is Sender.VEN else "vtn-to-ven"
    found = findings(payload, direction=direction, now=at)
    signature, wrong = _signature(data, payload, certificate, now)
    exchange = EXCHANGES[payload.message.message_type]
    return Explanation(
        file=file,
        message_type=payload.message.message_type,
        profile=payload.profile,
        sender=sender or exchange.sender,
        endpoint=_endpoint(payload.profile, payload.message.message_type),
        reply=exchange.reply,
        signature=signature,
        sentences=(f"{exchange.purpose[0].upper()}{exchange.purpose[1:]}.", *gist(payload.message, now)),
        findings=document.in_order([*found, *wrong]),
    )


def _endpoint(profile: ProfileName, message_type: str) -> str:
    return "/OpenADR2/Simple/" + ("EiEvent" if profile == "2.0a" else f"2.0b/{EXCHANGES[message_type].endpoint}")


def _show(screen: Screen, it: Explanation) -> None:
    if it.unusable is not None:
        screen.error(it.unusable)
        return
    if it.message_type is None:
        screen.line(f"{it.file}: no message of OpenADR 2.0 that can be read", "bold")
    else:
        side = _SIDES[it.sender] if it.sender is not None else "either side to the other"
        screen.line(f"{it.file}: {it.message_type}, OpenADR {it.profile}, from {side}", "bold")
        for sentence in it.sentences:
            screen.line(f"  {sentence}")
        screen.line(f"  Endpoint: {it.endpoint}. Reply: {it.reply}.")
        if it.signature is not None:
            screen.line(f"  Signature: {it.signature}.")
    _show_findings(screen, it)
    counts = Counter(finding.severity for finding in it.findings)
    told = [f"{counts[each]} {each}{'' if counts[each] == 1 else 's'}" for each in ("error", "warning", "note")]
    verdict = "No findings." if not it.findings else f"{', '.join(told)}."
    screen.line(f"  {verdict}", "red" if it.exit_code else "green")


def _show_findings(screen: Screen, it: Explanation) -> None:
    shown, left = [], Counter[str]()
    of_rule = Counter[str]()
    for finding in it.findings:
        of_rule[finding.rule] += 1
        if of_rule[finding.rule] <= _MOST:
            shown.append(finding)
        else:
            left[finding.rule] += 1
    if screen.is_terminal and shown:
        rows = [
            (each.severity, str(each.line or ""), f"{_rule(each.rule)}: {each.message}\n{each.path}\nfix: {each.fix}")
            for each in shown
        ]
        screen.table(("", "line", "finding"), rows, [_STYLES[each.severity] for each in shown])
    else:
        for each in shown:
            where = f"{it.file}:{each.line}" if each.line is not None else it.file
            path = f" [{each.path}]" if each.path else ""
            screen.line(f"{where}: {each.severity}: {_rule(each.rule)}: {each.message}{path}")
            screen.line(f"    fix: {each.fix}")
    for rule, number in left.items():
        screen.line(f"  … and {number} more of {_rule(rule)}; --json lists all")


def _rule(rule: str) -> str:
    return f"rule {rule}" if rule.isdigit() else rule


def _bytes_of(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}") from error


def _certificate_in(file: str) -> bytes:
    from pyopenadr.v2.signature import fingerprint

    data = _bytes_of(file)
    try:
        fingerprint(data)
    except ConfigError as error:
        raise ConfigError(f"--cert {file} is no X.509 certificate in DER or PEM form") from error
    return data


def explain(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files with a message each; - is standard input.")],
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, for other programs.")] = False,
    sender: Annotated[
        Sender | None, typer.Option("--from", help="Who sends it, for messages that both sides send.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Judge statuses and current values as of this time, such as 2030-06-01T14:00:00Z."
        ),
    ] = None,
    cert: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Verify signatures: they must be by this certificate (PEM or DER)."),
    ] = None,
) -> None:
    """Say what a message of OpenADR 2.0a or 2.0b is, and what is wrong with it.

    Exits with 0 if there are no errors, 1 if there are, 2 if a file can't be read or is no XML.
    """
    instant = None
    if at is not None:
        try:
            instant = parse_date_time(at)
        except ValueError as error:
            raise typer.BadParameter(
                f"{error} is no UTC time such as 2030-06-01T14:00:00Z", param_hint="--at"
            ) from error
    certificate = _certificate_in(cert) if cert is not None else None
    now = instant or SystemClock().now()
    screen = Screen()
    worst, told = 0, []
    for file in files:
        try:
            data = _bytes_of(file)
        except ConfigError as error:
            it = Explanation(file=file, unusable=str(error))
        else:
            it = explanation_of(file, data, now=now, sender=sender, at=instant, certificate=certificate)
        worst = max(worst, it.exit_code)
        if as_json:
            told.append({"exit_code": it.exit_code, **msgspec.to_builtins(it)})
        else:
            _show(screen, it)
    if as_json:
        screen.json(told)
    raise typer.Exit(worst)
