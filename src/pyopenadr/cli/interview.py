"""The last part of an examination: asks a VTN what it supports, and judges what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from pyopenadr.cli.symptom import Finding, Patient, as_options, side_of
from pyopenadr.clock import Clock
from pyopenadr.errors import OpenADRError, TransportError
from pyopenadr.transport.http import MIN_TIMEOUT_S, HttpTransport, instant_of
from pyopenadr.v2 import wire
from pyopenadr.v2.codec import Payload, decode, encode
from pyopenadr.v2.faults import is_success
from pyopenadr.v2.leniency import RULES
from pyopenadr.ven.session import DEFAULT_LENIENCY, PATH, base_of

if TYPE_CHECKING:
    from pyopenadr.v2.signature import SigningKey

__all__ = ["SKEW_NOTED_S", "SKEW_WRONG_S", "Interview"]

SKEW_NOTED_S, SKEW_WRONG_S = 5.0, 60.0
"""From where on a difference of the clocks is worth a warning, and from where on events begin at the wrong time."""


class Answer(NamedTuple):
    """What came back over HTTP."""

    status: int
    kind: str
    location: str
    body: bytes
    date: datetime | None
    sent: datetime
    received: datetime


class Interview:
    """Queries the registration, as a VEN would before it registers; nothing changes at the VTN.

    `context` does TLS, None for plain HTTP.
    """

    def __init__(self, patient: Patient, clock: Clock, context: ssl.SSLContext | None) -> None:
        self.patient = patient
        self.base = base_of(patient.url)
        parts = urlsplit(self.base)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self._clock = clock
        self._context = context

    async def findings(self) -> AsyncIterator[Finding]:
        """What there is to say, in order."""
        url = f"{self.base}/EiRegisterParty"
        try:
            answer = await self._ask(url)
        except TransportError as error:
            yield self._no_answer(str(error))
            return
        yield _skew(answer)
        wrong = await self._path(url, answer)
        if wrong is not None:
            yield wrong
            return
        yield Finding("path", "ok", f"{url} answers", details={"url": url})
        for finding in self._registration(answer):
            yield finding

    def _no_answer(self, error: str) -> Finding:
        text, _, do = error.rpartition("; ")
        text, do = (text, as_options(do)) if text else (error, "look at the VTN's log")
        if self._context is None:
            return Finding("http", "error", text, do)
        side = side_of(error)
        if side == "unknown" and "no answer within" not in error:
            text += "; in TLS 1.3 a server that does not accept our certificate, or got none, often ends it like that"
            do = "ask the VTN's operator what its log says, and whether it trusts the authority of our certificate"
        return Finding("http", "error", text, do, {"refused_by": side})

    async def speaks_http(self) -> bool:
        """Whether HTTP comes back at all."""
        try:
            await self._ask(f"{self.base}/EiRegisterParty", path_only=True)
        except TransportError:
            return False
        return True

    async def _ask(self, url: str, path_only: bool = False) -> Answer:
        """Query the registration, as a VEN would.

        Raises:
            TransportError: no answer.
        """
        message = wire.OadrQueryRegistration(request_id="doctor")
        body = self._signed(message) if not path_only else encode(message)
        patience = self.patient.timeout_s
        transport = HttpTransport(timeout_s=max(patience, MIN_TIMEOUT_S), context=self._context)
        sent = self._clock.now()
        try:
            async with asyncio.timeout(patience):
                response = await transport.exchange(url, body)
        except TimeoutError as error:
            raise TransportError(
                f"{url} gave no answer within {patience:g} seconds: is the server overloaded?"
            ) from error
        finally:
            await transport.close()
        received = self._clock.now()
        headers = response.head.headers
        return Answer(
            response.head.status,
            headers.get("content-type", ""),
            headers.get("location", ""),
            response.body,
            instant_of(headers.get("date")),
            sent,
            received,
        )

    def _signed(self, message: wire.Message) -> bytes:
        key: SigningKey | None = self.patient.signing_key
        if key is None:
            return encode(message)
        import secrets

        from pyopenadr.v2.signature import sign

        return sign(message, key, now=self._clock.now(), nonce=secrets.token_hex(16))

    async def _path(self, url: str, answer: Answer) -> Finding | None:
        """Whether the address is that of a VTN; what is wrong if not."""
        status, details = answer.status, {"status": answer.status}
        if 300 <= status < 400:
            text = f"{url} redirects to {answer.location or 'nowhere'} (HTTP {status}), and OpenADR knows no redirects"
            return Finding("path", "error", text, "use the address the VTN really has", details)
        is_page = "html" in answer.kind.lower() or answer.body.lstrip()[:9].lower().startswith((b"<!doctype", b"<html"))
        if status in (404, 405, 501) or (status == 200 and (is_page or not answer.body.strip())):
            what = "an HTML page" if is_page else "nothing" if not answer.body.strip() else "a text"
            better = await self._elsewhere()
            text = f"at {url} there is no VTN: it answers with HTTP {status} and {what}"
            if better is not None:
                return Finding(
                    "path",
                    "error",
                    f"{text}; but there is one at {better}",
                    f"use {better}",
                    {**details, "use": better},
                )
            do = (
                f"ask the VTN's operator for the path; usually it is https://NAME{PATH}, sometimes with a prefix before"
            )
            return Finding("path", "error", text, do, details)
        if status in (401, 403, 407):
            text = f"the VTN, or something before it, does not let us in (HTTP {status}): {_excerpt(answer.body)}"
            do = "give the fingerprint of your certificate to the VTN's operator; where a proxy wants a login, ask for "
            return Finding("path", "error", text, f"{do}the VTN's own address", details)
        if status != 200:
            text = f"{url} answers with HTTP {status}: {_excerpt(answer.body)}"
            do = "the fault is on the other side: tell its operator" if status >= 500 else "ask the VTN's operator"
            return Finding("path", "error", text, do, details)
        return None

    async def _elsewhere(self) -> str | None:
        """Another usual address of the same machine where a VTN answers."""
        for base in dict.fromkeys([f"{self.origin}{PATH}", f"{self.origin}/openadr{PATH}", f"{self.origin}/vtn{PATH}"]):
            if base == self.base:
                continue
            with contextlib.suppress(OpenADRError):
                answer = await self._ask(f"{base}/EiRegisterParty", path_only=True)
                if answer.status == 200:
                    decode(answer.body, leniency=DEFAULT_LENIENCY)
                    return base
        return None

    def _registration(self, answer: Answer) -> list[Finding]:
        try:
            payload = decode(answer.body, leniency=DEFAULT_LENIENCY)
        except OpenADRError as error:
            text = f"the answer is no valid OpenADR 2.0b message: {error}"
            do = "keep the answer and show it to the VTN's maker; `pyopenadr explain FILE` says more"
            return [Finding("registration", "error", text, do, {"excerpt": _excerpt(answer.body)})]
        found = [self._query(payload.message)]
        for rule in dict.fromkeys(deviation.rule for deviation in payload.deviations):
            text = f"the VTN departs from the standard: {RULES[rule]} (accepted by leniency rule {rule})"
            found.append(Finding("registration", "note", text, details={"leniency": rule}))
        found.append(self._signature(answer.body, payload))
        return found

    def _query(self, message: wire.Message) -> Finding:
        if not isinstance(message, wire.OadrCreatedPartyRegistration):
            response = getattr(message, "response", None)
            code, said = getattr(response, "response_code", ""), getattr(response, "response_description", "") or ""
            text = f"the VTN answers the query with {message.message_type}{f' {code}: {said}' if code else ''}"
            do = "463 and 452 mean that it does not know this VEN: give its operator your fingerprint and VEN name"
            return Finding("registration", "error", text, do if code else "ask the VTN's maker", {"code": code})
        response = message.response
        if not is_success(response.response_code):
            text = f"the VTN refuses: {response.response_code} {response.response_description or ''}".rstrip()
            do = "give its operator your fingerprint and VEN name, and ask what is missing"
            return Finding("registration", "error", text, do, {"code": response.response_code})
        profiles = {profile.profile_name: list(profile.transports) for profile in message.profiles}
        said = ", ".join(f"{name} over {' and '.join(transports)}" for name, transports in profiles.items())
        details = {"vtn_id": message.vtn_id, "profiles": profiles}
        if "simpleHttp" not in profiles.get("2.0b", []):
            do = "this client needs 2.0b over simpleHttp"
            return Finding("registration", "error", f"VTN {message.vtn_id!r} speaks only {said}", do, details)
        return Finding("registration", "ok", f"VTN {message.vtn_id!r} speaks {said}", details=details)

    def _signature(self, body: bytes, payload: Payload) -> Finding:
        signs = "we sign" if self.patient.signing_key is not None else "we don't sign"
        if payload.signature is None:
            return Finding("signature", "ok", f"{signs}, the VTN's answer is not signed", details={"signed": False})
        from pyopenadr.v2.signature import Trust, verify

        try:
            trusted = Trust(authorities=self._authorities(), names=[urlsplit(self.base).hostname or ""])
            verified = verify(body, trusted=trusted, now=self._clock.now(), leniency=DEFAULT_LENIENCY)
        except OpenADRError as error:
            text = f"{signs}; the VTN's answer is signed, but the signature is not in order: {error}"
            do = "check --ca and the clocks; `pyopenadr explain FILE --cert CERTIFICATE` says more"
            return Finding("signature", "warning", text, do, {"signed": True})
        text = f"{signs}; the VTN's answer is signed by {verified.fingerprint}, and that is in order"
        return Finding("signature", "ok", text, details={"signed": True, "fingerprint": verified.fingerprint})

    def _authorities(self) -> tuple[bytes, ...]:
        if self.patient.ca_file is None:
            return ()
        from pyopenadr.transport.certificate import certificate_der, read_certificates

        return tuple(map(certificate_der, read_certificates(self.patient.ca_file, "the CA file")))


def _skew(answer: Answer) -> Finding:
    """How far the VTN's clock is from ours, from the Date of its answer, which has whole seconds."""
    if answer.date is None:
        return Finding("clock", "note", "the VTN does not tell its time (no Date header)", "compare the clocks by hand")
    middle = answer.sent + (answer.received - answer.sent) / 2
    skew = (answer.date - middle).total_seconds() + 0.5  # a Date is cut off to the second before
    text = f"the VTN's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours"
    details = {"skew_s": round(skew, 1)}
    if abs(skew) <= SKEW_NOTED_S:
        return Finding("clock", "ok", f"both clocks agree to within {SKEW_NOTED_S:g} s", details=details)
    do = "have both machines set their clocks by NTP (`timedatectl` shows how this one stands)"
    if abs(skew) <= SKEW_WRONG_S:
        return Finding("clock", "warning", f"{text}: events begin that much too early or late", do, details)
    more = "events begin at the wrong time, and signed messages count as replayed"
    return Finding("clock", "error", f"{text}: {more}", do, details)


def _excerpt(body: bytes) -> str:
    return " ".join(body[:300].decode("utf-8", "replace").split())[:160] or "an empty answer"
