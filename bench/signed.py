"""Signed polls over HTTP, each verified and its reply signed: our VTN, openleadr's, and the floor of the stack.

The floor is an ASGI application on uvicorn that does with lxml and cryptography what no server can leave out: it parses
the poll, compares the digests, verifies the signature, and writes a reply with digests and a signature of its own.
Each poll has a nonce of its own. openleadr verifies over mutual TLS only, so it is given that; it takes less than a
hundredth of its time.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bench.load import Load, Next, Server, post, serve
from bench.measure import Row
from bench.poll import PATH, ROUNDS, SECONDS, compared
from bench.tls import certificates
from pyopenadr.v2 import faults, wire
from pyopenadr.v2.signature import SigningKey, sign

PACKAGES = ("pyopenadr", "openleadr", "cryptography", "lxml", "signxml", "uvicorn", "aiohttp")
POLLS = 2000
WINDOW = timedelta(minutes=10)
NONCE = b"0" * 32
DSIG = "{http://www.w3.org/2000/09/xmldsig#}"

__all__ = ["PACKAGES", "run"]


def _key(folder: Path, name: str) -> SigningKey:
    return SigningKey.from_pem((folder / f"{name}.pem").read_bytes(), (folder / f"{name}.key").read_bytes())


async def ours(port: int, folder: str) -> None:
    """Our VTN, which wants signatures; its VEN has nothing to wait for."""
    from pyopenadr import OpenADRServer
    from pyopenadr.v2 import encode

    vtn = OpenADRServer(
        "vtn", port=port, signature="accept", signing_key=_key(Path(folder), "vtn"), signature_window=WINDOW
    )
    await vtn.add_ven("ven-1")
    for path, message in (
        (PATH, wire.OadrPoll(ven_id="ven-1")),
        (PATH.replace("OadrPoll", "EiReport"), wire.OadrRegisteredReport(response=faults.response(), ven_id="ven-1")),
    ):
        await vtn.handle(path, encode(message))
    await vtn.add_fingerprint("ven-1", _key(Path(folder), "ven").fingerprint)
    await vtn.set_signature("ven-1", "require")
    await vtn.run()


async def theirs(port: int, folder: str) -> None:
    """openleadr's VTN with the same."""
    import asyncio

    from openleadr import OpenADRServer, messaging, utils

    logging.disable(logging.CRITICAL)
    messaging.REPLAY_PROTECT_MAX_TIME_DELTA = WINDOW
    at = Path(folder)
    shown = utils.certificate_fingerprint((at / "ven.pem").read_text("ascii"))

    async def lookup(ven_id: str) -> dict[str, Any]:
        return {"ven_id": ven_id, "registration_id": "r-1", "fingerprint": shown}

    cert, key = str(at / "vtn.pem"), str(at / "vtn.key")
    vtn = OpenADRServer(
        vtn_id="vtn",
        http_port=port,
        ven_lookup=lookup,
        cert=cert,
        key=key,
        http_cert=cert,
        http_key=key,
        http_ca_file=str(at / "ca.pem"),
        show_fingerprint=False,
    )
    await vtn.run_async()
    await asyncio.Event().wait()


def _verifier(folder: Path) -> Callable[[bytes, bytes], None]:
    """Verifies signatures by the VEN's key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

    key = x509.load_pem_x509_certificate((folder / "ven.pem").read_bytes()).public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return partial(key.verify, padding=padding.PKCS1v15(), algorithm=hashes.SHA256())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    verify = key.verify

    def verified(signature: bytes, data: bytes) -> None:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))

    return verified


async def floor(port: int, folder: str) -> None:
    """The least that has to be done."""
    import uvicorn
    from lxml import etree

    key, verify = _key(Path(folder), "vtn"), _verifier(Path(folder))
    reply = sign(wire.OadrResponse(response=faults.response()), key, now=datetime.now(UTC), nonce=NONCE.decode())
    tree = etree.fromstring(reply)
    signed_object, properties, info = (
        etree.tostring(next(tree.iter(tag)), method="c14n")
        for tag in ("{http://openadr.org/oadr-2.0b/2012/07}oadrSignedObject", f"{DSIG}Object", f"{DSIG}SignedInfo")
    )
    begin, _, rest = reply.partition(b"<ds:SignatureValue>")
    end = rest.partition(b"</ds:SignatureValue>")[2]

    timestamp = str(next(tree.iter("{*}timestamp")).text).encode()

    def digest(data: bytes) -> bytes:
        return base64.b64encode(hashlib.sha256(data).digest())

    digests = digest(signed_object), digest(properties)
    if any(each not in info for each in digests) or NONCE not in properties:
        raise ValueError("the signature is not made as this floor takes it to be")

    def answer(body: bytes) -> bytes:
        signature, thing = etree.fromstring(body)
        their_info, value, _, their_properties = signature
        found = [str(each.text).encode() for each in their_info.iter(f"{DSIG}DigestValue")]
        if found != [digest(etree.tostring(part, method="c14n")) for part in (thing, their_properties)]:
            raise ValueError("a digest is wrong")
        verify(base64.b64decode(str(value.text)), etree.tostring(their_info, method="c14n"))
        now, nonce = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode(), secrets.token_hex(16).encode()
        ours = digest(signed_object), digest(properties.replace(NONCE, nonce).replace(timestamp, now))
        said, head = info, begin
        for old, new in zip(digests, ours, strict=True):
            said, head = said.replace(old, new), head.replace(old, new)
        signed = base64.b64encode(key.sign_bytes(said))
        tail = end.replace(NONCE, nonce).replace(timestamp, now)
        return b"%b<ds:SignatureValue>%b</ds:SignatureValue>%b" % (head, signed, tail)

    async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        text = answer((await receive())["body"])
        headers = [(b"content-type", b"application/xml"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    settings: dict[str, Any] = {"lifespan": "off", "log_config": None, "access_log": False, "server_header": False}
    await uvicorn.Server(uvicorn.Config(app, port=port, **settings)).serve()


SERVERS = {"ours": ours, "theirs": theirs, "floor": floor}


def _once(requests: Iterable[bytes]) -> Next:
    left = iter(requests)
    return lambda number, reply: next(left, None)


def _row(kind: str, folder: Path, context: ssl.SSLContext, target: float, floor_target: float) -> Row:
    key, poll, now = _key(folder, "ven"), wire.OadrPoll(ven_id="ven-1"), datetime.now(UTC)
    polls = [post(PATH, sign(poll, key, now=now, nonce=f"{number:032}")) for number in range(POLLS + 16)]
    loads: dict[str, list[Load]] = {name: [] for name in SERVERS}
    for _ in range(ROUNDS):
        for name, measured in loads.items():
            with Server("bench.signed", name, str(folder)) as server:
                tls = context if name == "theirs" else None
                server.load(_once(polls[:16]), context=tls, many=4)
                load = server.load(_once(polls[16:]), seconds=SECONDS, context=tls, many=16)
                measured.append(load)
    return compared(f"signed poll, {kind}", loads, target=target, floor_target=floor_target)


def run() -> list[Row]:
    """Measure with both kinds of key."""
    rows = []
    for kind, family, target, floor_target in (("RSA-2048", "RSA", 1.0, 0.75), ("P-256", "EC", 6.0, 0.0)):
        with tempfile.TemporaryDirectory() as folder:
            context = certificates(Path(folder), family)
            rows.append(_row(kind, Path(folder), context, target, floor_target))
    return rows


if __name__ == "__main__":
    serve(SERVERS)
