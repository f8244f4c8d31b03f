"""A client's TLS context that follows its files: a renewed certificate is used without a restart."""

from __future__ import annotations

import logging
import os
import ssl
import time

from pyopenadr.errors import ConfigError
from pyopenadr.transport.tls import ClientTls, client_context

__all__ = ["FreshContext"]

log = logging.getLogger("pyopenadr.transport")

LOOK_EVERY_S = 30.0
"""How often it is looked at whether a file has changed."""
WARN_EVERY_S = 86_400.0
"""How often a certificate is looked at that does not change: it may be about to expire."""

Stamp = tuple[int, int, int]


class FreshContext:
    """The context of some settings, made again when one of their files has changed.

    Files that can't be used, perhaps because somebody is just writing them, change nothing: the context that there is
    stays in use, and the log says why.
    """

    def __init__(self, settings: ClientTls) -> None:
        self._settings = settings
        self._context: ssl.SSLContext | None = None
        self._stamps: list[Stamp | None] = []
        self._looked = self._made = 0.0

    def get(self) -> ssl.SSLContext:
        """The context by the files as they are now.

        Raises:
            ConfigError: the files can't be used, and never could.
        """
        now = time.monotonic()
        if self._context is None:
            self._stamps = self._look()
            self._context = client_context(self._settings)
            self._looked = self._made = now
        elif now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            stamps = self._look()
            if stamps != self._stamps or now - self._made >= WARN_EVERY_S:
                self._renew(stamps != self._stamps)
                self._stamps, self._made = stamps, now
        return self._context

    def _renew(self, has_changed: bool) -> None:
        try:
            context = client_context(self._settings)  # which also warns of certificates that are about to expire
        except ConfigError as error:
            log.error("the TLS files can't be used, and what was read before stays in use: %s", error)
            return
        if has_changed:
            self._context = context
            log.info("the TLS files have changed: new connections use them as they are now")

    def _look(self) -> list[Stamp | None]:
        settings = self._settings
        return [_stamp(path) for path in (settings.cert, settings.key, settings.ca_file, settings.crl_file)]


def _stamp(path: str | os.PathLike[str] | None) -> Stamp | None:
    """What changes when a file does."""
    try:
        found = os.stat(path) if path is not None else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found is not None else None
