"""Failed TLS connections in words: which side refused, why, and what to do."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Mapping
from types import MappingProxyType

__all__ = ["ToldHandshake", "explain_tls_error"]

log = logging.getLogger("pyopenadr.transport")

_WE_REFUSE: Mapping[int, str] = MappingProxyType(
    {  # X509_V_ERR_… of OpenSSL
        3: "there is no revocation list of the authority that has issued it; add its list to crl_file",
        9: "it is not valid yet; check the clocks of both machines",
        10: "it, or one in its chain, has expired; the other side needs a new one (check this machine's clock too)",
        11: "the revocation list is not valid yet; check this machine's clock",
        12: "the revocation list is out of date; put the present one into crl_file and start anew",
        18: "it is self-signed and not trusted; put it into ca_file if it is the right one",
        19: "the root of its chain is not trusted; put the root's certificate into ca_file if it is the right one",
        20: "it is issued by an authority that is not trusted, or a certificate between is missing; check ca_file, "
        "and that the other side sends its whole chain",
        21: "it is issued by an authority that is not trusted; check ca_file",
        23: "it is revoked; the other side needs a new one",
        24: "an authority in its chain may not issue certificates; the other side needs another one",
        26: "its extendedKeyUsage forbids this use; the other side needs another one",
        62: "it is for another name; call the server by a name in its certificate, or get one for this name",
        64: "it is for another address; call the server by a name in its certificate, or get one for this address",
        66: "its key is too weak; the other side needs one of RSA 2048 or P-256",
        68: "it is signed with a method that is broken; the other side needs one signed with SHA-256",
    }
)

_NO_COMMON = (
    "the two sides have no TLS version or suite in common, or an expected certificate was not shown; compare their "
    "profiles (modern, openadr), and give cert and key"
)
_THEY_REFUSE: Mapping[str, str] = MappingProxyType(
    {  # alerts of RFC 8446 as OpenSSL names them, without the prefix
        "HANDSHAKE_FAILURE": _NO_COMMON,
        "INSUFFICIENT_SECURITY": _NO_COMMON,
        "PROTOCOL_VERSION": "it does not speak our TLS versions; compare minimum_version and maximum_version",
        "CERTIFICATE_REQUIRED": "it wants a certificate from us; give cert and key",
        "UNKNOWN_CA": "it does not trust the authority of our certificate; its ca_file must have it, and ours must be "
        "sent with its whole chain",
        "BAD_CERTIFICATE": "it does not accept our certificate, or got none; check it with `pyopenadr certs check`",
        "CERTIFICATE_UNKNOWN": "it does not accept our certificate; check it with `pyopenadr certs check`",
        "UNSUPPORTED_CERTIFICATE": "our certificate is not made for this use; check it with `pyopenadr certs check`",
        "CERTIFICATE_EXPIRED": "our certificate has expired; get a new one (or its clock is wrong)",
        "CERTIFICATE_REVOKED": "our certificate is revoked; get a new one",
        "ACCESS_DENIED": "it knows our certificate and does not let us in; ask its operator",
        "DECRYPT_ERROR": "our proof of the private key did not hold; check that cert and key belong together",
        "DECODE_ERROR": "it could not read our message; something between may have changed it",
        "ILLEGAL_PARAMETER": "it could not accept our message; something between may have changed it",
        "UNRECOGNIZED_NAME": "it has nothing under the name that was called; check the address",
        "INTERNAL_ERROR": "it has a fault of its own; look at its log",
    }
)

_NO_TLS = "the other side does not speak TLS on this port; check the address: http or https, and the port"
_NO_SHARED = "a client offered no TLS version or suite that we take; compare the profiles (modern, openadr) of the two"
_NO_CLIENT_OF_TLS = ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER", "UNEXPECTED_EOF_WHILE_READING")
_BROKEN_OFF = (
    "the other side broke off the TLS handshake without a reason; it may have refused our certificate or version, or "
    "something between closed the connection"
)
_FAILED: Mapping[str, str] = MappingProxyType(
    {
        "WRONG_VERSION_NUMBER": _NO_TLS,
        "HTTP_REQUEST": "a client spoke plain HTTP to a TLS port; it must call https",
        "NO_SHARED_CIPHER": _NO_SHARED,
        "NO_SHARED_SIGNATURE_ALGORITHMS": _NO_SHARED,
        "UNSUPPORTED_PROTOCOL": "we refused: the other side's TLS version is too old or too new; compare the settings",
        "VERSION_TOO_LOW": "we refused: the other side's TLS version is too old; compare the settings",
        "PEER_DID_NOT_RETURN_A_CERTIFICATE": "we refused: the client showed no certificate; it needs cert and key",
        "UNEXPECTED_EOF_WHILE_READING": _BROKEN_OFF,
        "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": "we refused: the other side's TLS is too old to be safe; it needs an "
        "update",
        "DH_KEY_TOO_SMALL": "we refused: the other side's Diffie-Hellman key is too weak; change its settings",
        "EE_KEY_TOO_SMALL": "we refused: the other side's key is too weak; it needs one of RSA 2048 or P-256",
    }
)


def explain_tls_error(error: BaseException) -> str:
    """Why a TLS connection failed, with what to do, for any error that has the one of TLS somewhere behind it.

    "We" is the side that says so. Works for the errors of `ssl`, asyncio and aiohttp.
    """
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_code"):
            why = _WE_REFUSE.get(cause.verify_code, f"{cause.verify_message}; look at it with the other side")
            return f"we refused the other side's certificate: {why}"
    for cause in causes:
        # aiohttp has errors of the same kind without a reason, around the real one.
        reason = getattr(cause, "reason", None)
        if isinstance(cause, ssl.SSLError) and isinstance(reason, str):
            return _said(reason)
    if any(
        isinstance(cause, ConnectionError | EOFError | ssl.SSLEOFError | ssl.SSLZeroReturnError) for cause in causes
    ):
        return _BROKEN_OFF
    return f"the TLS connection failed: {error}"


def _said(reason: str) -> str:
    """OpenSSL's reason in our words."""
    if reason in _FAILED:
        return _FAILED[reason]
    name = reason.partition("_ALERT_")[2] or reason.partition("TLSV1_")[2]
    words = name.lower().replace("_", " ")
    if name:
        return f"the other side refused: {_THEY_REFUSE.get(name, f'{words}; look at its log')}"
    return f"the TLS connection failed: {reason.lower().replace('_', ' ')}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what is behind it; aiohttp has that in attributes."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [getattr(cause, name, None) for name in ("certificate_error", "os_error")]
        waiting += [cause.__cause__, cause.__context__, *cause.args]


class ToldHandshake(ssl.SSLObject):
    """A server's side of a connection that tells both sides why a handshake failed; asyncio tells neither.

    The log gets it in words. For the client OpenSSL has an alert ready, but on an error asyncio closes without
    sending what is ready; so it is made to believe once that the client has to say more, and sends it.
    """

    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """As in `ssl.SSLObject`, but a failure is raised when the client has said something more, if it does."""
        if self._failure is not None:
            raise self._failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            log.warning("a TLS connection failed: %s", explain_tls_error(error))
            reason = error.reason or ""
            if "_ALERT_" in reason or reason in _NO_CLIENT_OF_TLS:
                raise  # the client has given up, or would not understand
            self._failure = error
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the alert is to be sent") from error
