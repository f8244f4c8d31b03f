"""Parties with certificates for the tests of the server's door."""

from __future__ import annotations

import secrets
from datetime import timedelta
from functools import cache
from typing import TypeVar

from pyopenadr.cli.authority import Authority, Issued
from pyopenadr.transport.certificate import certificate_der, described, fingerprint
from pyopenadr.v2 import Payload, decode, encode, wire
from pyopenadr.v2.profile import ProfileName
from pyopenadr.v2.signature import SigningKey, Trust, sign, verify
from pyopenadr.vtn.doors.talk import Peer
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.vtn.sample import NOW, Ven

M = TypeVar("M", bound=wire.Message)
YEAR = timedelta(days=365)


@cache
def authority() -> Authority:
    return Authority("EC", start=NOW - YEAR, end=NOW + YEAR)


@cache
def issued(name: str) -> Issued:
    """A certificate with its key, the same one for the same name."""
    return authority().issue(name)


@cache
def key_of(name: str) -> SigningKey:
    made = issued(name)
    return SigningKey.from_pem(made.certificate_pem, made.key_pem)


def print_of(name: str) -> str:
    return fingerprint(certificate_der(issued(name).certificate))


class SecureVen(Ven):
    """A VEN made by hand that connects with a certificate, or signs, or both. `seen` are the replies as they came."""

    def __init__(
        self, vtn: OpenADRServer, *, shows: str | None = None, signs: str | None = None, ven_id: str = ""
    ) -> None:
        super().__init__(vtn, ven_id)
        self.peer = Peer(address="192.0.2.1:5")
        if shows is not None:
            shown = described(certificate_der(issued(shows).certificate))
            self.peer = Peer("192.0.2.1:5", shown.fingerprint, shown.common_name, shown.not_after)
        self.signs = signs
        self.seen: list[bytes] = []

    def document(self, message: wire.Message) -> bytes:
        if self.signs is None:
            return encode(message)
        return sign(message, key_of(self.signs), now=self.vtn.clock.now(), nonce=secrets.token_hex(16))

    async def post(self, service: str, message: wire.Message, profile: ProfileName = "2.0b") -> tuple[int, bytes]:
        document = self.document(message) if profile == "2.0b" else encode(message, profile=profile)
        return await self.deliver(service, document, profile)

    async def deliver(self, service: str, document: bytes, profile: ProfileName = "2.0b") -> tuple[int, bytes]:
        path = "/OpenADR2/Simple/2.0b/" if profile == "2.0b" else "/OpenADR2/Simple/"
        await self.vtn.start()
        status, body = await self.vtn._door.handle(path + service, document, self.peer)
        self.seen.append(body)
        return status, body

    def last_signed(self, name: str) -> Payload:
        """The last reply, which must be signed by that party."""
        trusted = Trust(fingerprints=[print_of(name)])
        return verify(self.seen[-1], trusted=trusted, now=self.vtn.clock.now()).payload

    def is_last_signed(self) -> bool:
        return decode(self.seen[-1]).signature is not None
