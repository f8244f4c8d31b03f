"""HTTP Basic, for the VENs that an operator lets in by user and password: how passwords are kept and recognised.

A password is kept as its scrypt digest. That takes some 100 ms and 16 MiB to compare, so it is done in a thread, few
at a time, and not again for a header that was found to be right.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import secrets
from typing import Final, Literal, get_args

import msgspec

from pyopenadr.errors import ConfigError, OpenADRError
from pyopenadr.vtn.rate import Buckets
from pyopenadr.vtn.service import Service

__all__ = ["IdentityKind", "LoginRefused", "Logins", "check_identity", "digest_of"]

log = logging.getLogger("pyopenadr.vtn")

IdentityKind = Literal["certificate", "basic", "none"]
"""What a VEN has to show: its certificate; a user and a password by HTTP Basic; or nothing but its name."""

_COST: Final = 2**14
_BLOCK: Final = 8
_NOBODY: Final = f"scrypt:{_COST}:{_BLOCK}:{'0' * 32}:{'0' * 64}"
_MOST_COMPARED: Final = 2
_MOST_KNOWN: Final = 100_000
_MOST_TEXT: Final = 255
_WRONG_PER_MINUTE: Final = 20
"""How many wrong logins an address may try, on the average."""


class LoginRefused(OpenADRError):
    """The login is wrong (`status` 401), or there were too many wrong ones from there (429)."""

    def __init__(self, status: Literal[401, 429], text: str) -> None:
        super().__init__(text)
        self.status = status


class _Known(msgspec.Struct, frozen=True):
    """A header that was right: for which VEN, and by which digest."""

    ven_id: str
    digest: str


class Logins:
    """Finds out which VEN an Authorization header is of."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: dict[bytes, _Known] = {}
        self._key = secrets.token_bytes(32)
        self._comparing = asyncio.Semaphore(_MOST_COMPARED)
        self._wrong = Buckets(_WRONG_PER_MINUTE / 60, 60.0)

    @property
    def are_used(self) -> bool:
        """Whether any VEN logs in; else nobody's header is looked at."""
        return self._service.has_logins

    async def ven_of(self, header: bytes, address: str) -> str:
        """The ID of the VEN that logs in by this header, from this address.

        Raises:
            LoginRefused: 401, it is none, or wrong; 429, too many were wrong.
        """
        mark = hashlib.blake2b(header, key=self._key, digest_size=32).digest()
        known = self._known.get(mark)
        if known is not None and self._is_theirs(known):
            return known.ven_id
        async with self._comparing:
            if not self._wrong.has(address):
                raise LoginRefused(429, "too many wrong logins from this address, try again later")
            found = await self._compared(header)
        if found is None:
            self._note_wrong(address)
            raise LoginRefused(401, "the user or the password is wrong, or this VEN does not log in (HTTP Basic)")
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[mark] = found
        return found.ven_id

    def _is_theirs(self, known: _Known) -> bool:
        """Whether what was right before still is: the password may have been changed, or the VEN be gone."""
        ven = self._service.registration(known.ven_id)
        return ven is not None and ven.password_digest == known.digest

    async def _compared(self, header: bytes) -> _Known | None:
        user, password = _parts(header)
        ven = self._service.logging_in(user)
        digest = ven.password_digest if ven is not None else None
        # Without such a user the same work is done, so that the time it takes says nothing.
        fits = await asyncio.to_thread(_fits, password, digest or _NOBODY)
        return _Known(ven.ven_id, digest) if fits and ven is not None and digest is not None else None

    def _note_wrong(self, address: str) -> None:
        log.warning("a wrong login from %s", address or "an unknown address")
        self._wrong.take(address)
        if not self._wrong.has(address):
            log.warning("too many wrong logins from %s: new ones wait for some seconds", address or "somewhere")


def check_identity(identity: str, user: str | None, password: str | None) -> None:
    """Raise ConfigError if there is no such identity, or a user or a password is missing, or can't be."""
    if identity not in get_args(IdentityKind):
        raise ConfigError(f"identity may be {', '.join(get_args(IdentityKind))}, not {identity!r}")
    if identity != "basic":
        if user is not None or password is not None:
            raise ConfigError(f"a user and a password are for identity 'basic', not for {identity!r}")
        return
    for name, text in (("user", user), ("password", password)):
        if not text:
            raise ConfigError(f"identity 'basic' needs a user and a password: the {name} is missing")
        if len(text) > _MOST_TEXT or not text.isprintable() or (name == "user" and ":" in text):
            raise ConfigError(f"{name} must be at most {_MOST_TEXT} printable characters, a user without colon")


def digest_of(password: str) -> str:
    """What is kept of a password: how it was made, the salt, and the scrypt digest."""
    salt = secrets.token_bytes(16)
    digest = _scrypt(password.encode(), salt, _COST, _BLOCK)
    return f"scrypt:{_COST}:{_BLOCK}:{salt.hex()}:{digest.hex()}"


def _fits(password: bytes, kept: str) -> bool:
    _, cost, block, salt, digest = kept.split(":")
    ours = _scrypt(password, bytes.fromhex(salt), int(cost), int(block))
    return hmac.compare_digest(ours, bytes.fromhex(digest))


def _scrypt(password: bytes, salt: bytes, cost: int, block: int) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=cost, r=block, p=1, maxmem=256 * cost * block, dklen=32)


def _parts(header: bytes) -> tuple[str, bytes]:
    """The user and the password in a header; nobody and nothing where there are none."""
    kind, _, text = header.partition(b" ")
    if kind.lower() != b"basic":
        return "", b""
    try:
        user, _, password = base64.b64decode(text.strip(), validate=True).partition(b":")
        return user.decode(), password
    except (binascii.Error, UnicodeDecodeError):
        return "", b""
