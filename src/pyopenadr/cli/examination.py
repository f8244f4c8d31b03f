"""What `pyopenadr doctor` does: goes the way of a VEN's first message, step by step, and says where it ends and why.

Nothing is changed on the other side: the only message that is sent is a query of what the VTN supports.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from pyopenadr.cli.interview import Interview
from pyopenadr.cli.symptom import Finding, Patient, as_options, side_of
from pyopenadr.clock import Clock
from pyopenadr.errors import ConfigError
from pyopenadr.transport.tls import TlsVersion, client_context, explain_tls_error
from pyopenadr.ven.session import base_of

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["SUITES", "Examination"]

SUITES = ("ECDHE-ECDSA-AES128-SHA256", "AES128-SHA256")
"""The two suites of TLS 1.2 of which a certified VTN has both (2.0b rule 67)."""


class Examination:
    """One examination; `findings()` gives what each step finds as it goes. It ends where the way ends.

    Raises:
        ConfigError: the address or a file can't be used at all.
    """

    def __init__(self, patient: Patient, clock: Clock) -> None:
        self.patient = patient
        self.base = base_of(patient.url)
        parts = urlsplit(self.base)
        self.is_tls = parts.scheme == "https"
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if self.is_tls else 80)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.is_local = self.host == "localhost" or _is_loopback(self.host)
        self._clock = clock
        self._context: ssl.SSLContext | None = None

    async def findings(self) -> AsyncIterator[Finding]:
        """What there is to say, in order."""
        for finding in self._address():
            yield finding
        for finding in self._own_certificate():
            yield finding
            if finding.verdict == "error":
                return
        for step in (self._name, self._connection, self._tls, self._talk):
            failed = False
            async for finding in step():
                yield finding
                failed = failed or finding.verdict == "error"
            if failed:
                return

    # -- before anything is sent ---------------------------------------------------------------------------------

    def _address(self) -> list[Finding]:
        found = [Finding("address", "ok", f"messages go to {self.base}/<service>", details={"base": self.base})]
        if not self.is_tls and not self.is_local:
            found.append(
                Finding(
                    "address",
                    "warning",
                    f"{self.base} is plain HTTP: everybody on the way can read and change messages",
                    "ask the VTN's operator for the https address",
                )
            )
        return found

    def _own_certificate(self) -> list[Finding]:
        """Our own certificate, with what the VTN's operator has to be told."""
        patient = self.patient
        if not self.is_tls:
            return []
        if patient.cert is None:
            text, do = "no certificate of our own is given", "VTNs usually want one: give --cert and --key"
            self._context = client_context(self.patient.tls())
            return [Finding("certificate", "note", text, do)]
        from pyopenadr.transport.certificate import (
            certificate_der,
            fingerprint,
            legacy_fingerprint,
            name_text,
            read_certificates,
            read_key,
        )
        from pyopenadr.transport.chain import check_chain

        chain = read_certificates(patient.cert, der=False)
        key = read_key(patient.key or patient.cert, patient.password)
        der = certificate_der(chain[0])
        shown, old = fingerprint(der), legacy_fingerprint(der)
        found = [
            Finding(
                "certificate",
                "ok",
                f"we are {name_text(chain[0].subject)}, valid until {chain[0].not_valid_after_utc:%Y-%m-%d}; "
                f"fingerprint {shown} (old form, SHA-1: {old})",
                "the VTN's operator has to know this fingerprint",
                {"fingerprint": shown, "legacy_fingerprint": old, "subject": name_text(chain[0].subject)},
            )
        ]
        # The chain's end is not judged: whom the VTN trusts is not known here.
        for severity, text in check_chain(chain, now=self._clock.now(), key=key):
            if severity != "note":
                found.append(Finding("certificate", severity, text))
        if all(finding.verdict != "error" for finding in found):
            self._context = client_context(self.patient.tls())
        return found

    # -- the way to the port -------------------------------------------------------------------------------------

    async def _name(self) -> AsyncIterator[Finding]:
        try:
            async with asyncio.timeout(self.patient.timeout_s):
                found = await asyncio.get_running_loop().getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "no answer"
            yield Finding(
                "name",
                "error",
                f"the name {self.host} can't be found: {reason}",
                "check the spelling of the address, and the DNS server of this machine (`getent hosts NAME`)",
            )
            return
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        yield Finding("name", "ok", f"{self.host} is {', '.join(addresses)}", details={"addresses": addresses})

    async def _connection(self) -> AsyncIterator[Finding]:
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self.patient.timeout_s):
                _, writer = await asyncio.open_connection(self.host, self.port)
        except TimeoutError:
            yield Finding(
                "connection",
                "error",
                f"{self.host}:{self.port} gives no answer within {self.patient.timeout_s:g} seconds",
                "a firewall drops the packets, or the machine is down: ask the network's operator whether this machine "
                f"may open TCP port {self.port} there",
            )
            return
        except ConnectionRefusedError:
            yield Finding(
                "connection",
                "error",
                f"{self.host} refuses connections on port {self.port}: nothing listens there",
                "check the port in the address, and that the VTN runs",
            )
            return
        except OSError as error:
            yield Finding(
                "connection",
                "error",
                f"no connection to {self.host}:{self.port}: {error.strerror or error}",
                "check this machine's network and its route to that address",
            )
            return
        took = asyncio.get_running_loop().time() - began
        await _shut(writer)
        text = f"port {self.port} takes connections ({took * 1000:.0f} ms)"
        yield Finding("connection", "ok", text, details={"milliseconds": round(took * 1000, 1)})

    async def _talk(self) -> AsyncIterator[Finding]:
        interview = Interview(self.patient, self._clock, self._context)
        async for finding in interview.findings():
            if finding.verdict == "error" and not self.is_tls and await self._speaks_tls():
                yield Finding(
                    "tls",
                    "error",
                    f"port {self.port} speaks TLS, and the address says http",
                    f"call it by https://{self.host}:{self.port}",
                )
                return
            yield finding

    async def _speaks_tls(self) -> bool:
        """Whether the port answers the beginning of a TLS handshake with TLS, be it a refusal."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            await self._shake_hands(context)
        except ssl.SSLError as error:
            return "_ALERT_" in (error.reason or "")
        except (OSError, EOFError):
            return False
        return True

    # -- TLS -----------------------------------------------------------------------------------------------------

    async def _shake_hands(self, context: ssl.SSLContext) -> tuple[str, str, list[bytes]]:
        """TLS version, suite, and the other side's certificates (DER), its own first."""
        async with asyncio.timeout(self.patient.timeout_s):
            _, writer = await asyncio.open_connection(
                self.host, self.port, ssl=context, server_hostname=self.host, ssl_shutdown_timeout=1.0
            )
        found: ssl.SSLObject = writer.get_extra_info("ssl_object")
        cipher = found.cipher()
        told = (found.version() or "", cipher[0] if cipher else "", _chain_of(found))
        await _shut(writer)
        return told

    async def _tls(self) -> AsyncIterator[Finding]:
        if self._context is None:
            return  # plain HTTP
        chain: list[bytes] = []
        failure: Exception | None = None
        try:
            version, suite, chain = await self._shake_hands(self._context)
        except (OSError, EOFError) as error:  # TimeoutError and those of ssl are OSErrors
            failure = error
        if failure is None:
            details = {"version": version, "suite": suite}
            yield Finding("tls", "ok", f"{version} with {suite}; we trust the VTN's certificate", details=details)
        else:
            chain = await self._shown_anyway()
        for finding in self._their_chain(chain, trusted=failure is None):
            yield finding
        if failure is not None:
            yield await self._tls_failed(failure)
            return
        yield await self._suites()

    async def _tls_failed(self, error: Exception) -> Finding:
        is_late = isinstance(error, TimeoutError)
        late = f"no TLS handshake within {self.patient.timeout_s:g} seconds"
        text, _, do = (late if is_late else explain_tls_error(error)).partition("; ")
        details = {"refused_by": side_of(text)}
        if is_late or details["refused_by"] == "unknown":
            plain = msgspec.structs.replace(self.patient, url=f"http://{self.host}:{self.port}")
            if await Interview(plain, self._clock, None).speaks_http():
                text = f"port {self.port} speaks plain HTTP, and the address says https"
                do = f"the VTN's operator has to switch TLS on; only in a laboratory call it by {plain.url}"
            elif is_late:
                do = "check the port in the address, and whether something between holds the connection up"
        return Finding("tls", "error", text, as_options(do), details)

    async def _shown_anyway(self) -> list[bytes]:
        """The certificates that the other side shows, without trusting them: only to say what is wrong with them."""
        settings = self.patient.tls(check_hostname=False)
        with contextlib.suppress(OSError, EOFError, ConfigError):
            context = client_context(settings)
            context.verify_mode = ssl.CERT_NONE
            return (await self._shake_hands(context))[2]
        return []

    def _their_chain(self, ders: Sequence[bytes], *, trusted: bool) -> list[Finding]:
        """The VTN's certificate: who it is, for what names, and what is wrong with it."""
        if not ders:
            return []
        from cryptography import x509

        from pyopenadr.transport.certificate import fingerprint, name_text, read_certificates
        from pyopenadr.transport.chain import check_chain

        chain = [x509.load_der_x509_certificate(der) for der in ders]
        names = _names_of(chain[0])
        details = {
            "subject": name_text(chain[0].subject),
            "issuer": name_text(chain[0].issuer),
            "names": names,
            "not_after": f"{chain[0].not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
            "fingerprint": fingerprint(ders[0]),
            "chain": [name_text(certificate.subject) for certificate in chain],
        }
        text = (
            f"the VTN shows {details['subject']} for {', '.join(names) or 'no name at all'}, issued by "
            f"{details['issuer']}, until {details['not_after'][:10]}; fingerprint {details['fingerprint']}"
        )
        found = [Finding("their certificate", "ok", text, details=details)]
        if trusted:
            return found
        ca_file = self.patient.ca_file
        authorities = read_certificates(ca_file, "the CA file") if ca_file is not None else ()
        findings = check_chain(chain, now=self._clock.now(), authorities=authorities, host=self.host)
        # What ended the handshake is an error of its own; these say more about the reason.
        found += [Finding("their certificate", "warning", text) for severity, text in findings if severity == "error"]
        return found

    async def _suites(self) -> Finding:
        """What of TLS the VTN can do, by trying it."""
        can: dict[str, bool] = {"TLS 1.3": await self._can("1.3", None)}
        for suite in SUITES:
            can[f"TLS 1.2 {suite}"] = await self._can("1.2", suite)
        said = ", ".join(f"{name}: {'yes' if able else 'no'}" for name, able in can.items())
        both = all(able for name, able in can.items() if name != "TLS 1.3")
        text = f"{said}; {'both' if both else 'not both'} suites of 2.0b rule 67"
        return Finding("suites", "ok" if both else "note", text, details=can)

    async def _can(self, version: TlsVersion, suite: str | None) -> bool:
        settings = self.patient.tls(minimum_version=version, maximum_version=version, ciphers=suite)
        try:
            await self._shake_hands(client_context(settings))
        except (OSError, EOFError):
            return False
        return True


def _names_of(certificate: x509.Certificate) -> list[str]:
    from cryptography import x509

    from pyopenadr.transport.certificate import extension

    names = extension(certificate, x509.SubjectAlternativeName)
    if names is None:
        return []
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return [*names.get_values_for_type(x509.DNSName), *addresses]


def _chain_of(connection: ssl.SSLObject) -> list[bytes]:
    """All certificates that the other side has sent; before Python 3.13 only its own can be had."""
    whole = getattr(connection, "get_unverified_chain", None)
    if whole is not None:
        return [bytes(der) for der in whole()]
    own = connection.getpeercert(binary_form=True)
    return [own] if own is not None else []


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _shut(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):  # it is over anyway
        await writer.wait_closed()
