"""Bringing a database's schema up to date, and noticing one that is not ours or not for this version."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Literal

import msgspec
from sqlalchemy import Connection, inspect, text

from pyopenadr.errors import StoreError
from pyopenadr.store.table import HEAD, VERSIONS

__all__ = ["MIGRATIONS", "Status", "is_current", "status", "upgrade"]

MIGRATIONS = Path(__file__).parent / "migrations"

# Alembic keeps the migration that runs in a global of its own (`alembic.context`, `alembic.op`), so that only one
# thread of the process may migrate at a time.
_ALEMBIC_IN_USE = threading.Lock()


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How a database's schema stands to this version of pyopenadr.

    `state` is `current`, `empty` (no tables of ours), `old` (`upgrade` brings it up to date) or `newer` (made by a
    newer pyopenadr). `version` is what it has, None where it has nothing, and `wanted` what this version has.
    """

    database: str
    engine: str
    state: Literal["current", "empty", "old", "newer"]
    version: str | None
    wanted: str = HEAD


def status(connection: Connection, *, where: str) -> Status:
    """How the schema stands. Changes nothing."""
    version = _version(connection)
    state: Literal["current", "empty", "old", "newer"] = "newer"
    if version is None:
        state = "empty"
    elif version in VERSIONS:
        state = "current" if version == HEAD else "old"
    return Status(database=where, engine=connection.dialect.name, state=state, version=version)


def is_current(connection: Connection) -> bool:
    """Whether the schema is this version's. Does not import Alembic, which takes longer than all the rest."""
    return _version(connection) == HEAD


def upgrade(connection: Connection, *, where: str, allowed: bool) -> None:
    """Build the schema in an empty database, or bring an older one up to date; if `allowed`.

    Raises:
        StoreError: the schema is newer than this version, or old or missing and it is not allowed to change it.
    """
    version = _version(connection)
    if version == HEAD:
        return
    if version is not None and version not in VERSIONS:
        raise StoreError(
            f"database {where}: its schema has version {version}, and this pyopenadr knows {HEAD} at most; "
            "use the newer pyopenadr that made it, or give this one a database of its own"
        )
    if not allowed:
        state = "no tables of pyopenadr yet" if version is None else f"the tables of the older version {version}"
        raise StoreError(f"database {where}: it has {state}; run: pyopenadr db upgrade, after a backup")
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with _ALEMBIC_IN_USE:
        command.upgrade(config, HEAD)
