"""`pyopenadr doctor`: why a VEN can't talk to a VTN, in plain words, with what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

from pyopenadr.cli.examination import Examination
from pyopenadr.cli.screen import Screen
from pyopenadr.cli.symptom import Finding, Patient
from pyopenadr.clock import SystemClock
from pyopenadr.errors import ConfigError

_STYLES: Mapping[str, str] = MappingProxyType({"ok": "green", "note": "", "warning": "yellow", "error": "red"})
_MARKS: Mapping[str, str] = MappingProxyType({"ok": "ok", "note": "note", "warning": "warning", "error": "ERROR"})


def doctor(
    url: Annotated[str, typer.Argument(help="The VTN's address, for example https://vtn.example.com")],
    cert: Annotated[Path | None, typer.Option(help="Our certificate, with its chain, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(help="The key of the certificate.")] = None,
    ca: Annotated[Path | None, typer.Option(help="The authorities of the VTN's certificate.")] = None,
    password: Annotated[
        str | None, typer.Option(envvar="PYOPENADR_KEY_PASSWORD", help="The key's password.", show_envvar=True)
    ] = None,
    tls_profile: Annotated[
        str, typer.Option(help="modern, or openadr for TLS 1.2 with the two suites of rule 67 alone.")
    ] = "modern",
    sign: Annotated[bool, typer.Option("--sign", help="Sign the query with our certificate (high security).")] = False,
    timeout: Annotated[float, typer.Option(min=0.5, help="How long to wait for each step, in seconds.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Go the way of a VEN's first message and say what is wrong on it: the name, the port, TLS and both certificates,
    the clocks, the path, and what the VTN answers. Only a query is sent; nothing changes at the VTN.

    Exit status: 0 nothing is wrong (there may be warnings), 1 something is, 2 a setting or file can't be used.
    """
    if tls_profile not in ("modern", "openadr"):
        raise ConfigError(f"--tls-profile may be modern or openadr, not {tls_profile}")
    if sign and (cert is None or key is None):
        raise ConfigError("--sign needs --cert and --key: give both")
    patient = Patient(
        url=url,
        cert=str(cert) if cert is not None else None,
        key=str(key) if key is not None else None,
        ca_file=str(ca) if ca is not None else None,
        password=password,
        profile="openadr" if tls_profile == "openadr" else "modern",
        timeout_s=timeout,
        signing_key=_signing_key(cert, key, password) if sign and cert and key else None,
    )
    examination = Examination(patient, SystemClock())
    screen = Screen()
    findings = asyncio.run(_examine(examination, None if as_json else screen))
    wrong = [finding for finding in findings if finding.verdict == "error"]
    if as_json:
        screen.json(_document(examination, findings))
    else:
        _conclude(screen, findings, wrong)
    raise typer.Exit(1 if wrong else 0)


def _signing_key(cert: Path, key: Path, password: str | None) -> Any:
    from pyopenadr.transport.certificate import read_file
    from pyopenadr.v2.signature import SigningKey

    certificate, secret = read_file(cert, "the certificate file"), read_file(key, "the key file")
    return SigningKey.from_pem(certificate, secret, password.encode() if password else None)


async def _examine(examination: Examination, screen: Screen | None) -> list[Finding]:
    """All findings; each is shown when it is there, because a step may take its time."""
    found = []
    async for finding in examination.findings():
        found.append(finding)
        if screen is not None:
            screen.line(f"{_MARKS[finding.verdict]:>7}  {finding.step}: {finding.text}", _STYLES[finding.verdict])
            if finding.do:
                screen.line(f"         -> {finding.do}")
    return found


def _conclude(screen: Screen, findings: list[Finding], wrong: list[Finding]) -> None:
    warnings = sum(finding.verdict == "warning" for finding in findings)
    if wrong:
        screen.line(f"A VEN can't talk to this VTN: it ends at {wrong[0].step}.", "bold red")
    elif warnings:
        screen.line(
            f"A VEN can talk to this VTN; look at the warning{'s' if warnings > 1 else ''} above.", "bold yellow"
        )
    else:
        screen.line("A VEN can talk to this VTN.", "bold green")


def _document(examination: Examination, findings: list[Finding]) -> dict[str, Any]:
    verdicts = {finding.verdict for finding in findings}
    return {
        "url": examination.patient.url,
        "base": examination.base,
        "verdict": next((verdict for verdict in ("error", "warning") if verdict in verdicts), "ok"),
        "findings": [finding._asdict() for finding in findings],
    }
