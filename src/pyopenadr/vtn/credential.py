"""The bearer tokens of the API: how they are made, and how one that somebody shows is recognised.

A token is `poa_<token_id>_<secret>`. The secret has 256 random bits, so that its plain SHA-256 in the store can't be
turned back, and no slow hash is needed at each request.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime

import msgspec

from pyopenadr.errors import ConfigError
from pyopenadr.store.ledger import Ledger, Role, Token

__all__ = ["create_token", "recognise", "revoke_token"]

_PREFIX = "poa"


async def create_token(
    ledger: Ledger, name: str, role: str, *, now: datetime, expires_at: datetime | None = None
) -> tuple[Token, str]:
    """Make a token and keep its digest. Returns it with its text, which nobody can find out again.

    Raises:
        ConfigError: there is no such role, or no name.
    """
    if role not in list(Role):
        raise ConfigError(f"a token's role may be {', '.join(Role)}, not {role!r}")
    if not name.strip():
        raise ConfigError("a token needs a name, such as that of who uses it: it stands in the audit")
    if expires_at is not None and expires_at <= now:
        raise ConfigError(f"a token that expires at {expires_at.isoformat()} is of no use: that is in the past")
    secret = secrets.token_urlsafe(32)
    token = Token(
        token_id=secrets.token_hex(6),
        name=name.strip(),
        role=Role(role),
        digest=_digest(secret),
        created_at=now,
        expires_at=expires_at,
    )
    await ledger.save_token(token)
    return token, f"{_PREFIX}_{token.token_id}_{secret}"


async def recognise(ledger: Ledger, text: str, now: datetime) -> Token | None:
    """The token of that text, if it is one and in force."""
    prefix, _, rest = text.partition("_")
    token_id, _, secret = rest.partition("_")
    token = await ledger.load_token(token_id) if prefix == _PREFIX and token_id else None
    # Without such a token the same work is done, so that the time it takes says nothing.
    digest = token.digest if token is not None else _digest("")
    fits = hmac.compare_digest(digest, _digest(secret)) and secret != ""
    if token is None or not fits or token.revoked_at is not None:
        return None
    return token if token.expires_at is None or now < token.expires_at else None


async def revoke_token(ledger: Ledger, token_id: str, now: datetime) -> bool:
    """End a token. Returns whether there is one; it may have been revoked before."""
    token = await ledger.load_token(token_id)
    if token is None:
        return False
    if token.revoked_at is None:
        await ledger.save_token(msgspec.structs.replace(token, revoked_at=now))
    return True


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
