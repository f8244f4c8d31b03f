"""TLS of OpenADR 2.0: contexts for both sides from files, and the errors of handshakes in words.

Both sides show certificates (2.0b rule 68). Two profiles: `modern` is TLS 1.2 and 1.3 with AEAD suites; `openadr`
is what rule 67 wants by default, TLS 1.2 with the two suites that every certified device has.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from pyopenadr.errors import ConfigError
from pyopenadr.transport.handshake import explain_tls_error

if TYPE_CHECKING:
    from cryptography import x509

__all__ = [
    "ClientTls",
    "FilePath",
    "ServerTls",
    "TlsProfile",
    "TlsVersion",
    "as_client",
    "client_context",
    "explain_tls_error",
    "server_context",
]

log = logging.getLogger("pyopenadr.transport")

FilePath = str | os.PathLike[str]
TlsProfile = Literal["modern", "openadr"]
TlsVersion = Literal["1.2", "1.3"]

_OPENADR_SUITES = "ECDHE-ECDSA-AES128-SHA256:AES128-SHA256"
"""The two suites of 2.0b rule 67. Python's own list lacks the second."""
_MODERN_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"
_VERSIONS = MappingProxyType({"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3})


@dataclass(frozen=True, kw_only=True)
class ServerTls:
    """How a server does TLS.

    `certificates` are pairs of files, certificate (with its chain) and private key, PEM; None for the key means that
    it is in the same file. At most one RSA and one EC: what a client can do decides which it gets.
    `ca_file` has the authorities of the clients' certificates, those of both families, PEM; `crl_file` their
    revocation lists, and then each authority that issues clients' certificates needs one.
    `profile`, or `minimum_version`, `maximum_version` and `ciphers` (OpenSSL's names, for TLS 1.2; those of 1.3 are
    fixed) in place of what the profile says.
    `client_certificate_required`: whether clients without a certificate are refused, which is the standard.
    `password` is that of the private keys, where they are encrypted.
    """

    certificates: Sequence[tuple[FilePath, FilePath | None]]
    ca_file: FilePath | None = None
    crl_file: FilePath | None = None
    profile: TlsProfile = "modern"
    minimum_version: TlsVersion | None = None
    maximum_version: TlsVersion | None = None
    ciphers: str | None = None
    client_certificate_required: bool = True
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class ClientTls:
    """How a client does TLS. Fields as in `ServerTls`.

    `cert` and `key` are ours; `ca_file` has the authorities of the server's certificate, None trusts what the machine
    trusts. `modern` offers a server the suites of rule 67 too, as the last choice, so it can talk to certified ones.
    `check_hostname`: whether the certificate must be good for the name that is called; a VTN that calls VENs turns
    that off, because their certificates have device names. The chain is checked always.
    """

    cert: FilePath | None = None
    key: FilePath | None = None
    ca_file: FilePath | None = None
    crl_file: FilePath | None = None
    profile: TlsProfile = "modern"
    minimum_version: TlsVersion | None = None
    maximum_version: TlsVersion | None = None
    ciphers: str | None = None
    check_hostname: bool = True
    password: str | None = field(default=None, repr=False)


def as_client(tls: ServerTls) -> ClientTls | None:
    """How a server with these settings calls others: with its first certificate, trusting whom it trusts as a server.

    None if it trusts nobody in particular.
    """
    if tls.ca_file is None or not tls.certificates:
        return None
    cert, key = tls.certificates[0]
    return ClientTls(
        cert=cert,
        key=key,
        ca_file=tls.ca_file,
        crl_file=tls.crl_file,
        profile=tls.profile,
        minimum_version=tls.minimum_version,
        maximum_version=tls.maximum_version,
        ciphers=tls.ciphers,
        password=tls.password,
    )


class _Limits(NamedTuple):
    """What a profile allows; `accepted` are the suites of a server, `offered` those of a client."""

    minimum: TlsVersion
    maximum: TlsVersion
    accepted: str
    offered: str


_PROFILES = MappingProxyType(
    {
        "modern": _Limits("1.2", "1.3", _MODERN_SUITES, f"{_MODERN_SUITES}:{_OPENADR_SUITES}"),
        "openadr": _Limits("1.2", "1.2", _OPENADR_SUITES, _OPENADR_SUITES),
    }
)


class _Limited(Protocol):
    """What both kinds of settings say about versions and suites."""

    @property
    def profile(self) -> TlsProfile: ...
    @property
    def minimum_version(self) -> TlsVersion | None: ...
    @property
    def maximum_version(self) -> TlsVersion | None: ...
    @property
    def ciphers(self) -> str | None: ...


def server_context(settings: ServerTls) -> ssl.SSLContext:
    """The TLS context of a server.

    Raises:
        ConfigError: a setting or a file is wrong; the text says which, and what to do.
    """
    if not settings.certificates:
        raise ConfigError("certificates is empty: a server needs at least one pair of certificate and key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _limit(context, settings, is_server=True)
    # The certificate is looked at once per connection, so it must not change within one.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    families: list[str] = []
    for cert, key in settings.certificates:
        family = _load_own(context, cert, key, settings.password)
        if family in families:
            raise ConfigError(f"there are two {family} certificates, and only one of each family can be used")
        families.append(family)
    if settings.profile == "openadr" and settings.ciphers is None and len(families) < 2:
        log.warning(
            "2.0b rule 67 wants an RSA and an EC certificate; with %s alone some VENs can't connect", families[0]
        )
    if settings.ca_file is not None:
        _trust(context, settings.ca_file, settings.crl_file)
        context.verify_mode = ssl.CERT_REQUIRED if settings.client_certificate_required else ssl.CERT_OPTIONAL
    elif settings.client_certificate_required:
        raise ConfigError(
            "ca_file is missing: give the file with the authorities of the clients' certificates, "
            "or say client_certificate_required=False"
        )
    elif settings.crl_file is not None:
        raise ConfigError("crl_file is given without ca_file: revocation lists need the authorities that signed them")
    return context


def client_context(settings: ClientTls | None = None) -> ssl.SSLContext:
    """The TLS context of a client.

    Raises:
        ConfigError: a setting or a file is wrong; the text says which, and what to do.
    """
    settings = settings if settings is not None else ClientTls()
    if settings.key is not None and settings.cert is None:
        raise ConfigError("key is given without cert: give the certificate that belongs to the key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies
    _limit(context, settings, is_server=False)
    context.check_hostname = settings.check_hostname
    if settings.ca_file is not None:
        _trust(context, settings.ca_file, settings.crl_file)
    elif settings.crl_file is not None:
        raise ConfigError("crl_file is given without ca_file: revocation lists need the authorities that signed them")
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if settings.cert is not None:
        _load_own(context, settings.cert, settings.key, settings.password)
    return context


def _limit(context: ssl.SSLContext, settings: _Limited, *, is_server: bool) -> None:
    """Set versions and suites."""
    limits = _PROFILES.get(settings.profile)
    if limits is None:
        raise ConfigError(f"profile is {settings.profile!r}, and may be {' or '.join(_PROFILES)}")
    minimum, maximum = settings.minimum_version or limits.minimum, settings.maximum_version or limits.maximum
    for version in (minimum, maximum):
        if version not in _VERSIONS:
            raise ConfigError(f"{version!r} is no TLS version that can be used: minimum and maximum are 1.2 or 1.3")
    if _VERSIONS[minimum] > _VERSIONS[maximum]:
        raise ConfigError(
            f"the minimum version, TLS {minimum}, is above the maximum, TLS {maximum}; "
            f"profile {settings.profile} is {limits.minimum} to {limits.maximum}"
        )
    context.minimum_version, context.maximum_version = _VERSIONS[minimum], _VERSIONS[maximum]
    suites = settings.ciphers or (limits.accepted if is_server else limits.offered)
    try:
        context.set_ciphers(suites)
    except ssl.SSLError as error:
        raise ConfigError(
            f"ciphers is {suites!r}, and OpenSSL knows no suite for TLS 1.2 of that name (`openssl ciphers` lists "
            "them); those of TLS 1.3 can't be chosen"
        ) from error


def _load_own(context: ssl.SSLContext, cert: FilePath, key: FilePath | None, password: str | None) -> str:
    """Put our certificate into the context and return its family, RSA or EC."""
    from pyopenadr.transport.certificate import key_family, read_certificates, read_file

    chain = read_certificates(cert, der=False)
    _check_time(chain[0], os.fspath(cert))
    where = os.fspath(cert if key is None else key)
    secret = read_file(where, "the key file")
    if b"PRIVATE KEY-----" not in secret:
        raise ConfigError(
            f"{where} holds no private key in PEM form: give the file of the key that belongs to {os.fspath(cert)}"
        )
    is_encrypted = b"ENCRYPTED" in secret
    if is_encrypted and not password:
        raise ConfigError(f"the private key in {where} is encrypted: give its password")
    try:
        # Never None: OpenSSL would then ask for a password on the terminal.
        context.load_cert_chain(cert, key, password or "")
    except ssl.SSLError as error:
        raise ConfigError(_own_wrong(error, os.fspath(cert), where, is_encrypted)) from error
    return key_family(chain[0].public_key())


def _own_wrong(error: ssl.SSLError, cert: str, key: str, is_encrypted: bool) -> str:
    match error.reason:
        case "KEY_VALUES_MISMATCH" | "KEY_TYPE_MISMATCH" | "NO_CERTIFICATE_ASSIGNED":  # the last: of another family
            return f"the private key in {key} does not belong to the certificate in {cert}: give the key made for it"
        case "EE_KEY_TOO_SMALL" | "CA_KEY_TOO_SMALL":
            return f"a key in {cert} is too weak for TLS: get a certificate for RSA 2048 or P-256"
        case "CA_MD_TOO_WEAK" | "EE_MD_TOO_WEAK":
            return f"a certificate in {cert} is signed with a method that is broken: get one signed with SHA-256"
    if is_encrypted:
        return f"the private key in {key} can't be used: the password is wrong, or the file is damaged"
    return f"the certificate in {cert} and the private key in {key} can't be used: {error}; is one of them damaged?"


def _trust(context: ssl.SSLContext, ca_file: FilePath, crl_file: FilePath | None) -> None:
    """Trust the authorities of a file, and not what they have revoked."""
    from pyopenadr.transport.certificate import is_authority, is_self_issued, read_certificates

    where = os.fspath(ca_file)
    trusted = read_certificates(ca_file, "the CA file", der=False)
    if not any(is_authority(certificate) or is_self_issued(certificate) for certificate in trusted):
        raise ConfigError(
            f"the CA file {where} holds no certificate of an authority: give that of the authority that has issued "
            "the other side's certificates"
        )
    now = datetime.now(UTC)
    if not any(certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc for certificate in trusted):
        _check_time(trusted[0], where)
    try:
        context.load_verify_locations(ca_file)
        # Whoever puts the VEN CA alone into the file means it; OpenSSL wants the root besides unless told so.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if crl_file is not None:
            _check_lists(crl_file, trusted, now)
            context.load_verify_locations(crl_file)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except ssl.SSLError as error:
        raise ConfigError(f"OpenSSL can't use {where} or {crl_file}: {error}") from error


def _check_lists(crl_file: FilePath, trusted: Sequence[x509.Certificate], now: datetime) -> None:
    from pyopenadr.transport.certificate import name_text, read_revocation_lists

    for revoked in read_revocation_lists(crl_file):
        issuer, end = name_text(revoked.issuer), revoked.next_update_utc
        if end is not None and end < now:
            raise ConfigError(
                f"the list of {issuer} in the CRL file {os.fspath(crl_file)} is out of date since {end:%Y-%m-%d}, and "
                "every certificate would be refused: get the present one"
            )
        if not any(certificate.subject == revoked.issuer for certificate in trusted):
            log.warning("%s has a list of %s, which is not in the CA file", Path(crl_file), issuer)


def _check_time(certificate: x509.Certificate, where: str) -> None:
    """Refuse a certificate out of its time, and warn of one that soon will be."""
    from pyopenadr.transport.chain import validity

    match validity(certificate, datetime.now(UTC)):
        case ("error", text):
            raise ConfigError(f"{where}: {text}")
        case ("warning", text):
            log.warning("%s: %s", where, text)
