"""What is wrong with a certificate and its chain, in words."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from pyopenadr.transport.certificate import (
    PrivateKey,
    common_name,
    extension,
    is_authority,
    is_self_issued,
    key_family,
    key_text,
    name_text,
)

__all__ = ["EXPIRY_WARNING", "Finding", "check_chain", "validity"]

EXPIRY_WARNING = timedelta(days=30)
"""How long before its end a certificate is warned about."""

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
_MAC = re.compile(r"[0-9A-Fa-f]{12}|[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")
_SECURE_HASHES = ("sha256", "sha384", "sha512")
_MIN_RSA_BITS = 2048
_MIN_EC_BITS = 224  # 2.0b rule 68; its §10.1 says 256
_GOOD_EC_BITS = 256


Severity = Literal["error", "warning", "note"]


class Finding(NamedTuple):
    """`error`: other parties will refuse it. `warning`: some may, or soon will. `note`: something to know."""

    severity: Severity
    text: str


def validity(certificate: x509.Certificate, now: datetime) -> Finding | None:
    """Whether it is out of its time, or soon will be (2.0b rule 516: an expired one must not be used)."""
    who, start, end = (
        name_text(certificate.subject),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )
    if now < start:
        return Finding(
            "error", f"the certificate of {who} is not valid before {_day(start)}: is this machine's clock right?"
        )
    if now > end:
        return Finding("error", f"the certificate of {who} has expired on {_day(end)}: get a new one")
    if end - now < EXPIRY_WARNING:
        return Finding(
            "warning", f"the certificate of {who} expires on {_day(end)}, in {(end - now).days} days: get a new one"
        )
    return None


def check_chain(
    chain: Sequence[x509.Certificate],
    *,
    now: datetime,
    key: PrivateKey | None = None,
    authorities: Sequence[x509.Certificate] = (),
    host: str | None = None,
) -> list[Finding]:
    """Everything that is wrong with a party's certificate and the chain in its file.

    Args:
        chain: the party's own certificate first.
        now: the time to judge by.
        key: the private key that should belong to it.
        authorities: the certificates that the other side trusts; without any the chain's end is not judged.
        host: the name or address under which clients reach the party, if it is a server.
    """
    path = _path(chain)
    found = [*_leaf(chain[0], host)]
    if key is not None and key.public_key() != _public_key(chain[0]):
        found.append(
            Finding("error", "the private key does not belong to the certificate: they were not made together")
        )
    found += _order(chain, path)
    anchors = _anchors(path[-1], authorities)
    found += _end(path, anchors, authorities)
    whole = [*path, *(anchor for anchor in anchors if anchor not in path)]
    found += _issuers(whole)
    for certificate in whole:
        found += _quality(certificate, is_anchor=certificate in authorities or is_self_issued(certificate))
        if (late := validity(certificate, now)) is not None:
            found.append(late)
    return sorted(found, key=lambda finding: ("error", "warning", "note").index(finding.severity))


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _public_key(certificate: x509.Certificate) -> object:
    """The public key; None if it is of a kind that nobody knows."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _path(chain: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The certificates of the file in the order in which one issued the other, from the first as far as it goes."""
    path = [chain[0]]
    while True:
        issuer = next((other for other in chain if other not in path and _issued(path[-1], other)), None)
        if issuer is None:
            return path
        path.append(issuer)


def _anchors(end: x509.Certificate, authorities: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """What is trusted and has issued the end of the path, up to a root; the end itself if it is trusted."""
    found = [end] if end in authorities else []
    while True:
        issuer = next((a for a in authorities if a not in found and _issued(found[-1] if found else end, a)), None)
        if issuer is None:
            return found
        found.append(issuer)


def _order(chain: Sequence[x509.Certificate], path: Sequence[x509.Certificate]) -> Iterator[Finding]:
    strangers = [certificate for certificate in chain if certificate not in path]
    if strangers:
        names = ", ".join(name_text(stranger.subject) for stranger in strangers)
        yield Finding(
            "warning",
            f"the file holds certificates that have not issued the one before them: {names}; leave them out, or add "
            "what is missing between",
        )
    elif list(chain) != list(path):
        names = ", ".join(name_text(certificate.subject) for certificate in path)
        yield Finding(
            "error", f"the certificates are in the wrong order: each must be followed by its issuer, here {names}"
        )


def _end(
    path: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    authorities: Sequence[x509.Certificate],
) -> Iterator[Finding]:
    end = path[-1]
    if anchors or any(certificate in authorities for certificate in path):
        return
    who, issuer = name_text(end.subject), name_text(end.issuer)
    if not authorities:
        if not is_self_issued(end):
            yield Finding("note", f"whether {issuer} really has issued the certificate of {who} was not checked")
        return
    if any(authority.subject == end.issuer for authority in authorities):
        yield Finding(
            "error",
            f"the chain is broken: a trusted authority is called {issuer}, but it has another key than the one that "
            f"issued the certificate of {who}; get the authority's present certificate",
        )
    elif is_self_issued(end):
        yield Finding("error", f"the chain ends at {who}, which is not among the trusted authorities")
    else:
        yield Finding(
            "error",
            f"the chain is broken: the certificate of {who} is issued by {issuer}, which is neither in its file nor "
            "among the trusted authorities; add the certificate that is missing",
        )


def _issuers(path: Sequence[x509.Certificate]) -> Iterator[Finding]:
    for below, issuer in enumerate(path[1:]):
        who = name_text(issuer.subject)
        if not is_authority(issuer):
            yield Finding("error", f"{who} is no authority (basicConstraints) and so can't have issued certificates")
            continue
        usage = extension(issuer, x509.KeyUsage)
        if usage is not None and not usage.key_cert_sign:
            yield Finding("error", f"{who} may not issue certificates: its keyUsage lacks keyCertSign")
        constraints = extension(issuer, x509.BasicConstraints)
        if constraints is not None and constraints.path_length is not None and constraints.path_length < below:
            yield Finding(
                "error", f"{who} may have {constraints.path_length} authorities below it (pathLength), and has {below}"
            )


def _quality(certificate: x509.Certificate, *, is_anchor: bool) -> Iterator[Finding]:
    """The key, and the signature by the issuer; that of a trusted certificate itself proves nothing anyway."""
    who, key = name_text(certificate.subject), _public_key(certificate)
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _MIN_RSA_BITS:
            yield Finding("error", f"the key of {who} is weak: {key_text(key)}, at least {_MIN_RSA_BITS} are needed")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.key_size < _GOOD_EC_BITS:
            severity: Severity = "error" if key.key_size < _MIN_EC_BITS else "warning"
            yield Finding(severity, f"the key of {who} is weak: {key_text(key)}, P-256 is the usual one")
    else:
        yield Finding("error", f"the key of {who} is neither RSA nor EC, OpenADR has no other")
    if is_anchor:
        return
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        algorithm = None
    name = algorithm.name if algorithm is not None else "an unknown method"
    if name not in _SECURE_HASHES:
        yield Finding("error", f"the certificate of {who} is signed with {name}: it must be SHA-256 (rule 68)")


def _leaf(certificate: x509.Certificate, host: str | None) -> Iterator[Finding]:
    """What the party's own certificate must say about it."""
    who = name_text(certificate.subject)
    name = common_name(certificate.subject)
    if name is None:
        yield Finding("error", f"the certificate of {who} has no common name (CN), which OpenADR knows parties by")
    elif not (_DNS_NAME.fullmatch(name) or _MAC.fullmatch(name)):
        yield Finding("warning", f"the common name {name!r} is neither a DNS name nor a MAC address")
    if is_authority(certificate):
        yield Finding("warning", f"the certificate of {who} is one of an authority: use one that is made for a party")
    yield from _usage(certificate, host is not None)
    names = _names(certificate)
    if host is not None and not any(_matches(host, known) for known in names):
        good_for = f"is good for {', '.join(names)}" if names else "has no subjectAltName"
        yield Finding("error", f"clients refuse the certificate of {who} for {host}: it {good_for}")
    elif not names:
        yield Finding("note", "there is no subjectAltName: that is good enough for a VEN, not for a VTN")


def _usage(certificate: x509.Certificate, is_server: bool) -> Iterator[Finding]:
    who = name_text(certificate.subject)
    usage = extension(certificate, x509.KeyUsage)
    if usage is None:
        yield Finding("warning", f"the certificate of {who} has no keyUsage: OpenADR's own have it, marked critical")
    elif not usage.digital_signature:
        yield Finding("error", f"the keyUsage of {who} lacks digitalSignature: TLS can't prove the key with it")
    elif not usage.key_encipherment and key_family(_public_key(certificate)) == "RSA":
        yield Finding(
            "warning",
            f"the keyUsage of {who} lacks keyEncipherment: some parties then refuse the RSA suite of rule 67",
        )
    purposes = extension(certificate, x509.ExtendedKeyUsage)
    if purposes is None or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes:
        return
    for purpose, side, is_needed in (
        (ExtendedKeyUsageOID.SERVER_AUTH, "server", is_server),
        (ExtendedKeyUsageOID.CLIENT_AUTH, "client", not is_server),
    ):
        if purpose not in purposes:
            yield Finding(
                "error" if is_needed and is_server else "warning",
                f"the extendedKeyUsage of {who} lacks {side}Auth: it is refused where it stands for a TLS {side}",
            )


def _names(certificate: x509.Certificate) -> list[str]:
    """The names and addresses of the subjectAltName."""
    names = extension(certificate, x509.SubjectAlternativeName)
    if names is None:
        return []
    return [
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    ]


def _matches(host: str, name: str) -> bool:
    """Whether a name of a certificate is good for a host (RFC 6125: a star stands for one whole label)."""
    try:
        return ipaddress.ip_address(host) == ipaddress.ip_address(name)
    except ValueError:
        wanted, known = host.lower().rstrip("."), name.lower()
    return wanted == known or (known.startswith("*.") and wanted.partition(".")[2] == known[2:] != "")
