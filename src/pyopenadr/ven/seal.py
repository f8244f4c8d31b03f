"""XML signatures between the VEN and its VTN: what leaves is signed, what arrives is verified and taken only once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import ConfigError, SignatureInvalid
from pyopenadr.v2 import wire
from pyopenadr.v2.codec import Payload, decode, encode
from pyopenadr.v2.leniency import rules
from pyopenadr.v2.profile import ProfileName
from pyopenadr.ven.backoff import Draw
from pyopenadr.ven.state import Ledger

if TYPE_CHECKING:
    from pyopenadr.v2.signature import SigningKey, Trust

__all__ = ["Seal"]


class _Nonce(msgspec.Struct, frozen=True):
    """A nonce that has been seen, and until when its message would be young enough to be taken again."""

    expires: datetime


class Seal:
    """Writes and reads the documents of one client, with or without signatures.

    With a `key` everything that is written is signed. With `trust` everything that is read must be signed by one of
    those, at most `window` ago by our clock, and never before: nonces are kept in the ledger as long as they matter.
    `accept` names deviating forms of signatures (`pyopenadr.v2.signature.SWITCHES`) and `leniency` those of messages.

    Raises:
        ConfigError: a setting is wrong, or is about signatures, which the profile 2.0a does not have.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        draw: Draw,
        ledger: Ledger,
        leniency: Iterable[str],
        key: SigningKey | None = None,
        trust: Trust | None = None,
        window: timedelta = timedelta(seconds=60),
        accept: Iterable[str] = (),
        profile: ProfileName = "2.0b",
    ) -> None:
        if profile == "2.0a" and (key is not None or trust is not None):
            raise ConfigError("2.0a has no signatures: leave out signing_key and vtn_signature, or profile")
        self.profile = profile
        self._clock = clock
        self._draw = draw
        self._ledger = ledger
        self._leniency = rules(leniency)
        self._key = key
        self._trust = trust
        self._window = window
        self._accept = tuple(accept)
        if self._accept:
            _check_switches(self._accept)
        self._nonces = ledger.load("nonce", _Nonce)

    @property
    def signs(self) -> bool:
        """Whether what is written is signed."""
        return self._key is not None

    @property
    def verifies(self) -> bool:
        """Whether what is read has to be signed."""
        return self._trust is not None

    def written(self, message: wire.Message) -> bytes:
        """The message as a document; to be written anew for each try, because a signature has its time."""
        if self._key is None:
            return encode(message, profile=self.profile)
        from pyopenadr.v2.signature import sign

        return sign(message, self._key, now=self._clock.now(), nonce=f"{self._draw.getrandbits(128):032x}")

    def read(self, data: bytes) -> Payload:
        """The message in a document of the VTN.

        Raises:
            Malformed, SchemaMismatch: it is none.
            SignatureInvalid: it is not signed as it has to be, or it has been received before.
        """
        if self._trust is None:
            return decode(data, profile=self.profile, leniency=self._leniency)
        from pyopenadr.v2.signature import verify

        now = self._clock.now()
        verified = verify(
            data, trusted=self._trust, now=now, window=self._window, leniency=self._leniency, accept=self._accept
        )
        name = hashlib.sha256(verified.public_key + verified.nonce.encode()).hexdigest()
        if name in self._nonces:
            raise SignatureInvalid(
                "this very message has arrived before: somebody repeats it, or the VTN uses its nonces twice",
                rule="514",
            )
        self._keep(name, _Nonce(verified.expires), now)
        return verified.payload

    def _keep(self, name: str, nonce: _Nonce, now: datetime) -> None:
        for old in [it for it, seen in self._nonces.items() if seen.expires < now]:
            del self._nonces[old]
            self._ledger.drop("nonce", old)
        self._nonces[name] = nonce
        self._ledger.put("nonce", name, nonce)


def _check_switches(names: tuple[str, ...]) -> None:
    from pyopenadr.v2.signature import SWITCHES

    if unknown := sorted(set(names) - SWITCHES.keys()):
        raise ConfigError(f"signature_accept has no {', '.join(unknown)}: use {', '.join(SWITCHES)}")
