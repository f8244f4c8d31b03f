"""What the fuzzer feeds: each takes any bytes and may only fail in the ways that it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache

from pyopenadr.errors import SignatureInvalid, WireError
from pyopenadr.v2 import decode, encode, wire
from pyopenadr.v2.signature import SWITCHES, Trust, sign, verify
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.v2.signer import NOW, ecc_ven
from tests.vectors import vectors

__all__ = ["TARGETS", "seeds"]

SERVICES = ("EiEvent", "EiReport", "EiOpt", "EiRegisterParty", "OadrPoll")


@cache
def trust() -> Trust:
    return Trust(certificates=[ecc_ven().der])


def read_message(data: bytes) -> None:
    """What can be read can be written, and read again as the same."""
    try:
        payload = decode(data, leniency=["all"])
    except WireError:
        return
    if not payload.deviations:
        written = encode(payload)
        assert decode(written).message == payload.message


def verify_signature(data: bytes) -> None:
    """Nothing but the signature that we made ourselves is believed."""
    try:
        verified = verify(data, trusted=trust(), now=NOW, leniency=["all"], accept=SWITCHES)
    except (SignatureInvalid, WireError):
        return
    assert verified.payload.message in signed_messages()


class Door:
    """A VTN with a loop of its own, which lives as long as the process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.vtn = OpenADRServer("vtn")

    def ask(self, path: str, data: bytes) -> tuple[int, bytes]:
        return self.loop.run_until_complete(self.vtn.handle(path, data))


@cache
def door() -> Door:
    return Door()


def knock(data: bytes) -> None:
    """The door answers everything with a message or with an HTTP error that is the client's fault."""
    service = SERVICES[data[0] % len(SERVICES)] if data else SERVICES[0]
    status, reply = door().ask(f"/OpenADR2/Simple/2.0b/{service}", data[1:])
    assert status < 500, f"{service}: {status} {reply!r}"
    if status == 200 and reply:
        decode(reply)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "decode": read_message,
    "signature": verify_signature,
    "door": knock,
}


@cache
def signed_messages() -> tuple[wire.Message, ...]:
    return (wire.OadrPoll(ven_id="ven"), wire.OadrRequestEvent(request_id="r", ven_id="ven"))


def seeds(name: str) -> list[bytes]:
    """What a target begins with."""
    if name == "signature":
        return [sign(one, ecc_ven().signing_key, now=NOW, nonce="abc") for one in signed_messages()]
    if name == "door":
        return [bytes([n]) + data for data in vectors() for n in range(len(SERVICES))]
    return vectors()
