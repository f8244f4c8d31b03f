"""`pyopenadr certs`: makes certificates for tests, shows fingerprints, and says what is wrong with a certificate."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from pyopenadr.cli.screen import Screen
from pyopenadr.errors import ConfigError

if TYPE_CHECKING:
    from cryptography import x509

    from pyopenadr.cli.authority import Authority, Issued

__all__ = ["certs"]

_STYLES = MappingProxyType({"error": "red", "warning": "yellow", "note": "dim"})
_HOSTS = ("localhost", "127.0.0.1", "::1")

certs = typer.Typer(
    help="Make certificates for tests, show fingerprints, and say what is wrong with a certificate.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]


class _Made(NamedTuple):
    """A party with its files, relative to the folder."""

    name: str
    issued: Issued
    cert: str
    key: str


@certs.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to put the files; it is made if need be.")],
    vens: Annotated[int, typer.Option(min=0, max=1000, help="How many VENs get a certificate.")] = 2,
    host: Annotated[
        list[str] | None,
        typer.Option(help=f"A name or address of the VTN, may be repeated. Default: {', '.join(_HOSTS)}."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=7300, help="For how many days they are valid.")] = 365,
    as_json: AsJson = False,
) -> None:
    """Make an RSA and an EC test authority, the VTN's two certificates, and one for each VEN.

    ca.pem holds both authorities, for everybody to trust. Folder ven-N holds what a device needs: cert.pem, key.pem,
    ca.pem. vens.csv lists them for the VTN's --allow. VENs get RSA and EC by turns. Nothing is overwritten. For tests
    only: the authorities' keys lie there too.
    """
    made, authorities = _make(vens, host or list(_HOSTS), days)
    bundle = b"".join(authority.own.certificate_pem for authority in authorities)
    files = {"ca.pem": bundle}
    for party in made:
        files[party.cert] = party.issued.certificate_pem
        files[party.key] = party.issued.key_pem
        if "/" in party.cert:
            files[party.cert.replace("cert.pem", "ca.pem")] = bundle
    listed = [f"{_described(p.issued.certificate)['fingerprint']},{p.name}\n" for p in made if "/" in p.cert]
    files["vens.csv"] = ("fingerprint,ven_id\n" + "".join(listed)).encode()
    _write(folder, files)
    rows = [
        {
            "name": party.name,
            "cert": str(folder / party.cert),
            "key": str(folder / party.key),
            **_described(party.issued.certificate),
        }
        for party in made
    ]
    screen = Screen()
    if as_json:
        screen.json({"ca_file": str(folder / "ca.pem"), "certificates": rows})
        return
    _show(screen, rows)
    screen.line()
    screen.line(f"{folder / 'ca.pem'} is what the VTN and every VEN trust; each folder ven-N is for one device.")


def _make(vens: int, hosts: list[str], days: int) -> tuple[list[_Made], list[Authority]]:
    from pyopenadr.cli.authority import Authority

    now = datetime.now(UTC).replace(microsecond=0)
    start, end = now - timedelta(hours=1), now + timedelta(days=days)  # clocks differ a little
    rsa, ec = Authority("RSA", start=start, end=end), Authority("EC", start=start, end=end)
    made = [
        _Made(f"CA {a.family}", a.own, f"ca-{a.family.lower()}.pem", f"ca-{a.family.lower()}.key") for a in (rsa, ec)
    ]
    for authority in (rsa, ec):
        try:
            issued = authority.issue(hosts[0], hosts=hosts, unit="VTN")
        except ValueError as error:
            raise ConfigError(f"--host {' '.join(hosts)} can't stand in a certificate: {error}") from error
        kind = authority.family.lower()
        made.append(_Made(f"VTN {authority.family}", issued, f"vtn-{kind}.pem", f"vtn-{kind}.key"))
    for number in range(1, vens + 1):
        name = f"ven-{number}"
        made.append(_Made(name, (ec, rsa)[number % 2].issue(name), f"{name}/cert.pem", f"{name}/key.pem"))
    return made, [rsa, ec]


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Write all of them, keys so that only their owner can read them, or none if one is there already."""
    there = [str(folder / name) for name in files if os.path.lexists(folder / name)]
    if there:
        raise ConfigError(f"{there[0]} exists already, and nothing was written: give another folder, or delete it")
    try:
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            mode = 0o600 if b"PRIVATE KEY" in data else 0o644
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(data)
    except OSError as error:
        raise ConfigError(f"{error.filename or folder} can't be written: {error.strerror}") from error


@certs.command()
def fingerprint(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Certificates, PEM or DER.")],
    as_json: AsJson = False,
) -> None:
    """Show the fingerprints of certificates: OpenADR's (SHA-256), and the one old systems show (SHA-1)."""
    from pyopenadr.transport.certificate import name_text, read_certificates

    rows = [
        {"name": name_text(certificate.subject), "cert": str(path), **_described(certificate)}
        for path in files
        for certificate in read_certificates(path)
    ]
    if as_json:
        Screen().json(rows)
    else:
        _show(Screen(), rows)


@certs.command()
def check(
    cert: Annotated[Path, typer.Argument(help="The certificate, with its chain if it has one, PEM or DER.")],
    key: Annotated[Path | None, typer.Option(help="The private key that should belong to it.")] = None,
    ca: Annotated[Path | None, typer.Option(help="The authorities that the other side trusts.")] = None,
    host: Annotated[
        str | None, typer.Option(help="The name or address under which clients reach it, for a VTN's certificate.")
    ] = None,
    password: Annotated[
        str | None, typer.Option(envvar="PYOPENADR_KEY_PASSWORD", help="The key's password.", show_envvar=True)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with a certificate, its chain and its key.

    Exit status: 0 nothing, or only warnings; 1 others will refuse it; 2 a file can't be used.
    """
    from pyopenadr.transport.certificate import name_text, read_certificates, read_key
    from pyopenadr.transport.chain import Finding, check_chain

    chain = read_certificates(cert)
    findings = check_chain(
        chain,
        now=datetime.now(UTC),
        key=read_key(key, password) if key is not None else None,
        authorities=read_certificates(ca, "the CA file") if ca is not None else (),
        host=host,
    )
    if key is not None and os.name == "posix" and key.stat().st_mode & 0o077:
        findings.append(Finding("warning", f"others can read the private key in {key}: chmod 600 {key}"))
    screen, described = Screen(), _described(chain[0])
    name, errors = name_text(chain[0].subject), sum(finding.severity == "error" for finding in findings)
    if as_json:
        screen.json(
            {"name": name, "cert": str(cert), **described, "findings": [finding._asdict() for finding in findings]}
        )
    else:
        screen.line(f"{cert}: {name}, {described['key_type']}, until {described['not_after']}")
        screen.line(f"  fingerprint {described['fingerprint']} (SHA-1: {described['legacy_fingerprint']})")
        for finding in findings:
            screen.line(f"  {finding.severity}: {finding.text}", _STYLES[finding.severity])
        if all(finding.severity == "note" for finding in findings):
            screen.line("  Nothing is wrong.", "green")
    raise typer.Exit(1 if errors else 0)


def _described(certificate: x509.Certificate) -> dict[str, str]:
    """What is shown of a certificate; names as in --json."""
    from pyopenadr.transport.certificate import certificate_der, key_text, legacy_fingerprint
    from pyopenadr.transport.certificate import fingerprint as openadr_fingerprint

    der = certificate_der(certificate)
    return {
        "key_type": key_text(certificate.public_key()),
        "not_after": f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "fingerprint": openadr_fingerprint(der),
        "legacy_fingerprint": legacy_fingerprint(der),
    }


def _show(screen: Screen, rows: list[dict[str, Any]]) -> None:
    if screen.is_terminal:  # a line each: fingerprints are long, and are there to be copied
        for row in rows:
            screen.line(f"{row['name']} ({row['cert']}), {row['key_type']}", "bold")
            screen.line(f"  SHA-256 {row['fingerprint']}")
            screen.line(f"  SHA-1   {row['legacy_fingerprint']} (the form of old systems)")
        return
    screen.table(
        ("name", "file", "key", "fingerprint (SHA-256)", "old form (SHA-1)"),
        [[row[n] for n in ("name", "cert", "key_type", "fingerprint", "legacy_fingerprint")] for row in rows],
    )
