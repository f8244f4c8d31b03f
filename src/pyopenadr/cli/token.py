"""`pyopenadr token`: who may use a VTN's API."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from pyopenadr.cli.remote import Json, token_file
from pyopenadr.cli.screen import Screen
from pyopenadr.clock import SystemClock
from pyopenadr.errors import ConfigError
from pyopenadr.store import Store, open_store
from pyopenadr.vtn.credential import create_token, revoke_token

__all__ = ["token"]

token = typer.Typer(help="Make, list and revoke the tokens of the API.", no_args_is_help=True, rich_markup_mode=None)

T = TypeVar("T")
Database = Annotated[
    str, typer.Option(envvar="PYOPENADR_DATABASE", help="The VTN's database; it may run at the same time.")
]


def _with_store(database: str, work: Callable[[Store], Awaitable[T]]) -> T:
    async def run() -> T:
        store = open_store(database)
        await store.open()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


@token.command()
def create(
    name: Annotated[str, typer.Argument(help="Who uses it; it stands in the audit.")],
    role: Annotated[str, typer.Option(help="operator, viewer or enrolment.")] = "operator",
    days: Annotated[
        int | None, typer.Option(min=1, help="After how many days it expires; never, if not given.")
    ] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Save it for this user's commands instead of showing it.")
    ] = False,
    database: Database = "sqlite:///vtn.db",
    as_json: Json = False,
) -> None:
    """Make a token. Its text is shown this once."""
    now = SystemClock().now()
    expires_at = now + timedelta(days=days) if days is not None else None
    made, text = _with_store(database, lambda store: create_token(store, name, role, now=now, expires_at=expires_at))
    screen = Screen()
    if save:
        _save(text)
    if as_json:
        screen.json({"token_id": made.token_id, "role": made.role.value, "text": None if save else text})
    elif save:
        screen.line(f"token {made.token_id} is saved in {token_file()}")
    else:
        screen.line(text)


def _save(text: str) -> None:
    path = token_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{text}\n")
    except OSError as error:
        raise ConfigError(f"the token can't be saved in {path}: {error.strerror}") from error


@token.command("list")
def list_tokens(database: Database = "sqlite:///vtn.db", as_json: Json = False) -> None:
    """List the tokens, without their secrets."""
    found = _with_store(database, lambda store: store.list_tokens())
    rows: list[dict[str, Any]] = [msgspec.to_builtins(one) for one in found]
    for row in rows:
        del row["digest"]
    if as_json:
        Screen().json(rows)
        return
    columns = ("token_id", "name", "role", "created_at", "expires_at", "revoked_at")
    Screen().table(columns, [[str(row[column] or "") for column in columns] for row in rows])


@token.command()
def revoke(
    token_id: Annotated[str, typer.Argument(help="Its ID, as `list` shows it.")],
    database: Database = "sqlite:///vtn.db",
) -> None:
    """End a token at once."""
    now = SystemClock().now()
    if not _with_store(database, lambda store: revoke_token(store, token_id, now)):
        raise ConfigError(f"there is no token {token_id!r}: see `pyopenadr token list`")
    Screen().line(f"token {token_id} is revoked")
