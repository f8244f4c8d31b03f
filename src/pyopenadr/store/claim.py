"""Sees to it that one process alone serves VENs from a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyopenadr.errors import StoreError, StoreUnavailable

__all__ = ["Claim"]


class Claim:
    """A lock beside a database file. It goes with the process, however that ends.

    The file `<database>-server` may stay behind when the process is killed; that means nothing.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database.with_name(f"{database.name}-server")
        self._handle: int | None = None

    def take(self) -> None:
        """Take the lock, unless it is ours.

        Raises:
            StoreUnavailable: another process, or another server in this one, has it.
        """
        while self._handle is None:
            try:
                handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise StoreError(
                    f"{self._path} can't be made: {error.strerror}; check that this user may write in its folder"
                ) from error
            try:
                _lock(handle)
            except OSError as error:
                os.close(handle)
                raise StoreUnavailable(
                    f"database {self._database}: another VTN serves from it, and SQLite is for one process alone; "
                    "stop the other one, give this one a file of its own, or use PostgreSQL for several workers"
                ) from error
            if self._is_current(handle):
                self._handle = handle
            else:  # whoever had it has just given it back
                os.close(handle)

    def _is_current(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), os.stat(self._path))
        except FileNotFoundError:
            return False

    def give_back(self) -> None:
        """Let others have the file. Safe to call twice."""
        if self._handle is not None:
            if sys.platform != "win32":  # there an open file can't be removed; it may stay
                self._path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
