"""Checks on a VTN: TLS and XML signatures."""

from __future__ import annotations

import ssl
from datetime import timedelta

from pyopenadr.conformance.check import Broken, NotApplicable, Questionable, check
from pyopenadr.conformance.vtn.expectation import accepted, refused
from pyopenadr.conformance.vtn.stage import Answer, VtnStage
from pyopenadr.errors import TransportError
from pyopenadr.v2 import encode, faults, wire

__all__ = ["CHECKS"]


def _tls(stage: VtnStage) -> ssl.SSLContext:
    if not stage.line.is_tls or stage.line.context is None:
        raise NotApplicable("the VTN is reached by plain HTTP")
    return stage.line.context


async def _shown(stage: VtnStage) -> bytes:
    _tls(stage)
    assert stage.line.context is not None
    return (await stage.line.handshake(stage.line.context))[2]


@check("vtn-security-version", "67")
async def _version(stage: VtnStage) -> None:
    """TLS 1.2 or later is spoken."""
    version, suite, _ = await stage.line.handshake(_tls(stage))
    if version not in ("TLSv1.2", "TLSv1.3"):
        raise Broken(f"it is {version} with {suite}")


@check("vtn-security-suites", "67")
async def _suites(stage: VtnStage) -> None:
    """A VEN with nothing but TLS 1.2 and the suites of the standard is served."""
    _tls(stage)
    if stage.certified_context is None:
        raise NotApplicable("there is no TLS context with these suites alone")
    try:
        await stage.line.handshake(stage.certified_context)
    except TransportError as error:
        raise Broken(f"the handshake fails: {error}") from error


@check("vtn-security-time", "516")
async def _time(stage: VtnStage) -> None:
    """The VTN's certificate has not expired."""
    from pyopenadr.transport.certificate import described

    until = described(await _shown(stage)).not_after
    if until < stage.clock.now():
        raise Broken(f"it has expired at {until.isoformat()}")


@check("vtn-security-key", "68")
async def _key(stage: VtnStage) -> None:
    """The VTN's key is RSA with 2048 bits or more, or an elliptic curve with 256 or more."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key = x509.load_der_x509_certificate(await _shown(stage)).public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise Broken(f"it is {type(key).__name__}")
    least = 2048 if isinstance(key, rsa.RSAPublicKey) else 256
    if key.key_size < least:
        raise Broken(f"it has {key.key_size} bits")


@check("vtn-security-certificate", "N10", "68")
async def _certificate(stage: VtnStage) -> None:
    """A VEN without a certificate is turned away."""
    _tls(stage)
    if stage.bare_context is None:
        raise NotApplicable("there is no TLS context without a certificate")
    own, stage.line.context = stage.line.context, stage.bare_context
    try:
        answer = await stage.post("OadrPoll", stage.seal.write(wire.OadrPoll(ven_id=stage.ven_id or "x")))
    except TransportError:
        return
    finally:
        stage.line.context = own
    if answer.reply.status != 403:
        refused(answer, "463")


def _signs(stage: VtnStage) -> None:
    if stage.seal.key is None:
        raise NotApplicable("needs --sign: nothing is signed in this run")


async def _poll(stage: VtnStage, body: bytes) -> Answer:
    return await stage.post("OadrPoll", body)


def _turned_away(answer: Answer) -> None:
    """That a message was not acted upon: an HTTP error, or an error in the reply."""
    code = answer.code
    if answer.reply.status == 200 and (code is None or faults.is_success(code)):
        raise Broken(f"it is answered by {answer}")


@check("vtn-security-signed", "514")
async def _signed(stage: VtnStage) -> None:
    """A signed message is answered."""
    _signs(stage)
    await stage.registered()
    accepted(await stage.poll(), wire.OadrResponse)


@check("vtn-security-signed-reply", "514")
async def _signed_reply(stage: VtnStage) -> None:
    """The reply to a signed message is signed, and its signature is in order."""
    _signs(stage)
    await stage.registered()
    answer = await stage.poll()
    if b"SignatureValue" not in answer.reply.body:
        raise Broken("it is not signed")
    if stage.seal.trust is None:
        raise Questionable("it is signed; --signed-by would have let its signature be verified")
    stage.seal.check(answer.reply.body)


@check("vtn-security-unsigned", "514")
async def _unsigned(stage: VtnStage) -> None:
    """A message that is not signed is not acted upon."""
    _signs(stage)
    await stage.registered()
    _turned_away(await _poll(stage, encode(wire.OadrPoll(ven_id=stage.ven_id))))


@check("vtn-security-tampered", "514")
async def _tampered(stage: VtnStage) -> None:
    """A message that was changed after it was signed is not acted upon."""
    _signs(stage)
    await stage.registered()
    message = wire.OadrRequestEvent(request_id="signed-so", ven_id=stage.ven_id)
    body = stage.seal.write(message).replace(b"signed-so", b"changed!!")
    _turned_away(await stage.post("EiEvent", body))


@check("vtn-security-stale", "514")
async def _stale(stage: VtnStage) -> None:
    """A message that was signed an hour ago is not acted upon."""
    _signs(stage)
    await stage.registered()
    body = stage.seal.write(wire.OadrPoll(ven_id=stage.ven_id), age=timedelta(hours=1))
    _turned_away(await _poll(stage, body))


@check("vtn-security-replayed", "514", level="may")
async def _replayed(stage: VtnStage) -> None:
    """A signed message that is sent a second time is not acted upon."""
    _signs(stage)
    await stage.registered()
    body = stage.seal.write(wire.OadrPoll(ven_id=stage.ven_id))
    accepted(await _poll(stage, body), wire.OadrResponse)
    _turned_away(await _poll(stage, body))


CHECKS = (
    _version,
    _suites,
    _time,
    _key,
    _certificate,
    _signed,
    _signed_reply,
    _unsigned,
    _tampered,
    _stale,
    _replayed,
)
