"""The server's settings about who may come in: checked, and made into the parts that act on them."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, get_args

from pyopenadr.errors import ConfigError
from pyopenadr.transport.tls import FilePath, ServerTls
from pyopenadr.vtn.enrolment import EnrolmentMode
from pyopenadr.vtn.service import Service

if TYPE_CHECKING:  # these load `cryptography`, which a VTN without signatures does not need
    from pyopenadr.v2.signature import SigningKey
    from pyopenadr.vtn.doors.signature import Signatures

__all__ = ["SignatureMode", "check_signature_mode", "enrolment_of", "signatures_of"]

SignatureMode = Literal["off", "accept", "require"]
"""`off`: signatures are not looked at. `accept`: those that are there must be valid. `require`: every message needs
one. Replies to valid signatures are signed."""


def check_signature_mode(mode: str | None, *, has_key: bool) -> None:
    """Raise ConfigError if there is no such mode, or if it needs a key and there is none."""
    if mode not in (None, *get_args(SignatureMode)):
        raise ConfigError(f"signature may be {', '.join(get_args(SignatureMode))}, not {mode!r}")
    if mode in ("accept", "require") and not has_key:
        raise ConfigError(f"signature is {mode!r}, so replies have to be signed: give signing_key=SigningKey(…)")


def enrolment_of(mode: EnrolmentMode | None, *, is_lab: bool) -> EnrolmentMode:
    """Who may register: what the operator says, else everybody in a laboratory and nobody unasked elsewhere.

    Raises:
        ConfigError: there is no such mode.
    """
    if mode is None:
        return "open" if is_lab else "knocking"
    if mode not in get_args(EnrolmentMode):
        raise ConfigError(f"enrolment may be {', '.join(get_args(EnrolmentMode))}, not {mode!r}")
    return mode


def signatures_of(
    service: Service,
    tls: ServerTls | None,
    key: SigningKey | None,
    mode: SignatureMode,
    window: timedelta,
    forms: tuple[str, ...],
) -> Signatures | None:
    """What verifies and signs; None without a key. Who issues the VENs' certificates for TLS does so for signatures."""
    check_signature_mode(mode, has_key=key is not None)
    if key is None:
        return None
    from pyopenadr.vtn.doors.signature import Signatures

    ca_file = tls.ca_file if tls is not None else None
    authorities = _authorities(ca_file) if ca_file is not None else ()
    return Signatures(service, key, mode=mode, window=window, accept=forms, authorities=authorities)


def _authorities(ca_file: FilePath) -> tuple[bytes, ...]:
    """The certificates of a CA file that can vouch for a signer: those of version 3 that may issue others."""
    from pyopenadr.transport.certificate import certificate_der, read_certificates
    from pyopenadr.v2.signature import Trust

    found = []
    for certificate in read_certificates(ca_file, "the CA file", der=False):
        der = certificate_der(certificate)
        with contextlib.suppress(ConfigError):
            Trust(authorities=[der], names=["anybody"])
            found.append(der)
    return tuple(found)
