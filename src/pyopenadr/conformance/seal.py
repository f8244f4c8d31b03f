"""Writing and reading messages, with or without XML signatures."""

from __future__ import annotations

import secrets
from datetime import timedelta

from pyopenadr.clock import Clock
from pyopenadr.conformance.check import Broken
from pyopenadr.errors import SignatureInvalid
from pyopenadr.v2 import encode, wire
from pyopenadr.v2.signature import SWITCHES, SigningKey, Trust, sign, verify

__all__ = ["Seal"]


class Seal:
    """How this side writes. With `key` every message is signed; `trust` is whose signature the peer's must have."""

    def __init__(self, clock: Clock, key: SigningKey | None = None, trust: Trust | None = None) -> None:
        self._clock = clock
        self.key = key
        self.trust = trust

    def write(self, message: wire.Message, *, age: timedelta = timedelta(0), nonce: str | None = None) -> bytes:
        """The message as a document, signed if this side signs, as if it had been `age` ago."""
        if self.key is None:
            return encode(message)
        chosen = nonce if nonce is not None else secrets.token_hex(16)
        return sign(message, self.key, now=self._clock.now() - age, nonce=chosen)

    def check(self, data: bytes) -> None:
        """Look at the peer's signature.

        Raises:
            Broken: there is none, or it is not in order.
        """
        if self.trust is not None:
            try:
                verify(data, trusted=self.trust, now=self._clock.now(), leniency=("all",), accept=SWITCHES)
            except SignatureInvalid as error:
                raise Broken(f"the signature is not in order: {error}") from error
