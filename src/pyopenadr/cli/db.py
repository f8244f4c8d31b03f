"""`pyopenadr db`: the state of a database, and bringing it up to date."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
import typer

from pyopenadr.errors import ConfigError
from pyopenadr.store import open_store
from pyopenadr.store.schema import Status
from pyopenadr.store.sql import SqlStore

__all__ = ["db"]

db = typer.Typer(
    help="Look at a database of the VTN, and bring it up to date.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Database = Annotated[str, typer.Option(help="The database: sqlite:///FILE or postgresql://user@host/name.")]
_Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]

_DEFAULT = "sqlite:///vtn.db"


@db.command()
def status(database: _Database = _DEFAULT, json: _Json = False) -> None:
    """Say whether the database fits this version; exit code 0 if it does, 1 if not."""
    found = _status(database)
    if json:
        typer.echo(msgspec.json.encode(found))
    else:
        typer.echo(_in_words(found))
    raise typer.Exit(0 if found.state == "current" else 1)


@db.command()
def upgrade(database: _Database = _DEFAULT, json: _Json = False) -> None:
    """Make the tables in an empty database, or bring those of an older version up to date. Make a backup before."""

    async def work() -> None:
        store = open_store(database, migrate=True)
        await store.open()
        await store.close()

    asyncio.run(work())
    found = _status(database)
    typer.echo(msgspec.json.encode(found) if json else _in_words(found))


def _status(database: str) -> Status:
    store = open_store(database)
    if not isinstance(store, SqlStore):
        raise ConfigError("give the address of a database: sqlite:///FILE or postgresql://user@host/name")
    return asyncio.run(store.status())


def _in_words(found: Status) -> str:
    backup = f"pg_dump -Fc -f backup.dump {found.database.replace('+asyncpg', '')}"
    if found.engine == "sqlite":
        backup = f"sqlite3 {found.database} '.backup backup.db'"
    words = {
        "current": f"version {found.version}, up to date; for a backup while it is in use: {backup}",
        "empty": "no tables of pyopenadr yet; make them by: pyopenadr db upgrade",
        "old": f"version {found.version}, and this pyopenadr wants {found.wanted}; stop the servers, make a backup "
        f"({backup}), then run: pyopenadr db upgrade",
        "newer": f"version {found.version} of a newer pyopenadr; this one knows {found.wanted} at most",
    }
    return f"database {found.database}: {words[found.state]}"
