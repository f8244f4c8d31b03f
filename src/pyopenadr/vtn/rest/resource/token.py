"""The tokens of the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Router, delete, get, post
from litestar.params import FromPath, JSONBody

from pyopenadr.store.ledger import Role, Token
from pyopenadr.vtn.credential import create_token, revoke_token
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.page import Page
from pyopenadr.vtn.rest.problem import Refusal
from pyopenadr.vtn.rest.role import OPERATOR

__all__ = ["router"]


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret."""

    token_id: str
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token to make. `name` says who uses it."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    role: Role
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class MadeToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token with its text, which is shown this once and kept nowhere."""

    token: TokenView
    text: str


def _view(token: Token) -> TokenView:
    return TokenView(**{name: getattr(token, name) for name in TokenView.__struct_fields__})


@get("/", opt=OPERATOR, summary="Tokens")
async def list_tokens(office: Desk) -> Page[TokenView]:
    """All tokens, also those that are revoked, without their secrets, in one page."""
    return Page(items=[_view(token) for token in await office.ledger.list_tokens()])


@post("/", summary="Make a token")
async def add_token(office: Desk, data: JSONBody[NewToken]) -> MadeToken:
    """Make a token. Do not send an Idempotency-Key: the answer would be kept, and the token in it."""
    token, text = await create_token(
        office.ledger, data.name, data.role, now=office.clock.now(), expires_at=data.expires_at
    )
    return MadeToken(token=_view(token), text=text)


@delete("/{token_id:str}", status_code=204, summary="Revoke a token")
async def remove_token(office: Desk, token_id: FromPath[str]) -> None:
    """End a token at once; it stays in the list."""
    if not await revoke_token(office.ledger, token_id, office.clock.now()):
        raise Refusal(404, f"there is no token {token_id!r}")


router = Router("/tokens", route_handlers=[list_tokens, add_token, remove_token], tags=["tokens"])
