"""Checks on a VTN: simple HTTP."""

from __future__ import annotations

import gzip
import zlib

from pyopenadr.conformance.check import Broken, Questionable, check
from pyopenadr.conformance.line import HttpReply
from pyopenadr.conformance.vtn.expectation import accepted
from pyopenadr.conformance.vtn.stage import PATH, Answer, VtnStage
from pyopenadr.v2 import wire

__all__ = ["AT_THE_END", "CHECKS"]

_REGISTER = "EiRegisterParty"


def _query(stage: VtnStage) -> bytes:
    return stage.seal.write(wire.OadrQueryRegistration(request_id=stage.new_id("query")))


def _status(answer: Answer, wanted: int) -> None:
    status = answer.reply.status
    if status < 400:
        raise Broken(f"it is answered by HTTP {status}, as if nothing were wrong; {wanted} is right")
    if status != wanted:
        raise Questionable(f"it is answered by HTTP {status}; {wanted} is right")


@check("vtn-transport-post", "N1", "37", "38")
async def _post(stage: VtnStage) -> None:
    """A message that is posted to its service is answered by HTTP 200 with a message."""
    accepted(await stage.post(_REGISTER, _query(stage)), wire.OadrCreatedPartyRegistration)


@check("vtn-transport-get", "N1")
async def _get(stage: VtnStage) -> None:
    """GET is answered by HTTP 501."""
    _status(await stage.post(_REGISTER, b"", method="GET"), 501)


@check("vtn-transport-put", "N1")
async def _put(stage: VtnStage) -> None:
    """PUT is answered by HTTP 501."""
    _status(await stage.post(_REGISTER, _query(stage), method="PUT"), 501)


@check("vtn-transport-unknown-service", "N1", "511")
async def _unknown_service(stage: VtnStage) -> None:
    """An address that is no service is answered by HTTP 404."""
    _status(await stage.post("EiNothing", _query(stage)), 404)


@check("vtn-transport-no-xml", "N1", "33")
async def _no_xml(stage: VtnStage) -> None:
    """A body that is no XML is answered by HTTP 406."""
    _status(await stage.post(_REGISTER, b"<oadr:oadrPayload"), 406)


@check("vtn-transport-empty", "N1", "33")
async def _empty(stage: VtnStage) -> None:
    """An empty body is answered by HTTP 406."""
    _status(await stage.post(_REGISTER, b""), 406)


@check("vtn-transport-schema", "N1", "33")
async def _schema(stage: VtnStage) -> None:
    """A message that the schema does not allow is answered by HTTP 406."""
    body = _query(stage).replace(b"</oadr:oadrQueryRegistration>", b"<oadr:x></oadr:x></oadr:oadrQueryRegistration>")
    _status(await stage.post(_REGISTER, body), 406)


@check("vtn-transport-missing-element", "N1", "33")
async def _missing_element(stage: VtnStage) -> None:
    """A message without an element that it must have is answered by HTTP 406."""
    body = stage.seal.write(wire.OadrPoll(ven_id="x")).replace(b"<ei:venID>x</ei:venID>", b"")
    _status(await stage.post("OadrPoll", body), 406)


@check("vtn-transport-content-type", "N1", "N3")
async def _content_type(stage: VtnStage) -> None:
    """A body that is not sent as XML is answered by HTTP 406."""
    _status(await stage.post(_REGISTER, _query(stage), headers={"Content-Type": "application/json"}), 406)


@check("vtn-transport-charset", "N3")
async def _charset(stage: VtnStage) -> None:
    """The Content-Type may name the charset utf-8."""
    answer = await stage.post(_REGISTER, _query(stage), headers={"Content-Type": "application/xml; charset=utf-8"})
    accepted(answer, wire.OadrCreatedPartyRegistration)


@check("vtn-transport-percent", "511")
async def _percent(stage: VtnStage) -> None:
    """An address with a letter in percent form is the same address."""
    path = f"{stage.line.prefix}{PATH}{_REGISTER}".replace("OpenADR2", "%4FpenADR2")
    accepted(await stage.post(_REGISTER, _query(stage), path=path), wire.OadrCreatedPartyRegistration)


@check("vtn-transport-dots", "511")
async def _dots(stage: VtnStage) -> None:
    """An address with a dot segment is the same address."""
    path = f"{stage.line.prefix}/.{PATH}{_REGISTER}"
    accepted(await stage.post(_REGISTER, _query(stage), path=path), wire.OadrCreatedPartyRegistration)


@check("vtn-transport-prefixes", "33", "46")
async def _prefixes(stage: VtnStage) -> None:
    """A message may use any namespace prefixes."""
    body = _query(stage)
    if b"ds:Signature" not in body:  # a signature would not survive it
        for old, new in ((b"oadr:", b"ns2:"), (b":oadr=", b":ns2="), (b"pyld:", b"p:"), (b":pyld=", b":p=")):
            body = body.replace(old, new)
    accepted(await stage.post(_REGISTER, body), wire.OadrCreatedPartyRegistration)


@check("vtn-transport-indented", "33")
async def _indented(stage: VtnStage) -> None:
    """A message may have an XML declaration and white space between its elements."""
    body = _query(stage)
    if b"ds:Signature" not in body:
        body = b'<?xml version="1.0" encoding="UTF-8"?>\n' + body.replace(b"><", b">\n  <")
    accepted(await stage.post(_REGISTER, body), wire.OadrCreatedPartyRegistration)


@check("vtn-transport-gzip", "N4", level="should")
async def _gzip(stage: VtnStage) -> None:
    """A reply is compressed by gzip for those who ask, and says so."""
    answer = await stage.post(_REGISTER, _query(stage), headers={"Accept-Encoding": "gzip"})
    coding = answer.reply.header("content-encoding")
    if coding is None:
        raise Broken("the reply is not compressed")
    if coding.lower() not in ("gzip", "x-gzip") or b"oadrPayload" not in _unpacked(answer.reply):
        raise Broken(f"Content-Encoding is {coding}, and gzip was asked for")


def _unpacked(reply: HttpReply) -> bytes:
    try:
        return gzip.decompress(reply.body)
    except (OSError, EOFError, zlib.error) as error:
        raise Broken(f"the reply is no gzip: {error}") from error


@check("vtn-transport-uncompressed", "N4")
async def _uncompressed(stage: VtnStage) -> None:
    """A reply is not compressed for those who do not ask."""
    answer = await stage.post(_REGISTER, _query(stage), headers={"Accept-Encoding": "identity"})
    if answer.reply.header("content-encoding") not in (None, "identity"):
        raise Broken(f"Content-Encoding is {answer.reply.header('content-encoding')}")


@check("vtn-transport-declared-entity", "33", level="should")
async def _entity(stage: VtnStage) -> None:
    """A document with a type declaration of its own is refused: OpenADR has none, and it is a way to attack."""
    entity = b'<!DOCTYPE x [<!ENTITY e "surprise">]>'
    body = entity + _query(stage).replace(b"<pyld:requestID>", b"<pyld:requestID>&e;")
    answer = await stage.post(_REGISTER, body)
    if b"surprise" in answer.reply.body:
        raise Broken("the entity in it is read and comes back")
    if answer.reply.status < 400:
        raise Broken(f"it is answered by {answer}")


CHECKS = (
    _post,
    _get,
    _put,
    _unknown_service,
    _no_xml,
    _empty,
    _schema,
    _missing_element,
    _content_type,
    _charset,
    _percent,
    _dots,
    _prefixes,
    _indented,
    _gzip,
    _uncompressed,
)
AT_THE_END = (_entity,)
"""What may harm a VTN that is not prepared for it."""
