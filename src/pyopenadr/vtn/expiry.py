"""Warns of certificates of VENs that will soon expire (2.0b rule 516), once per certificate and day."""

from __future__ import annotations

import logging
from datetime import date, datetime, timedelta
from typing import Final

from pyopenadr.errors import OpenADRError
from pyopenadr.store.port import Claim
from pyopenadr.vtn.handler import Caller
from pyopenadr.vtn.identity import Peer
from pyopenadr.vtn.question import Backend
from pyopenadr.vtn.service import Service

__all__ = ["Expiry"]

log = logging.getLogger("pyopenadr.vtn")

WARN_BEFORE: Final = timedelta(days=30)
_REMEMBER_BEFORE: Final = timedelta(days=400)
"""A connection may last; what expires later than that is left to the next one."""


class Expiry:
    """Remembers until when the certificates are valid that VENs have connected with."""

    def __init__(self, service: Service, backend: Backend, caller: Caller) -> None:
        self._service = service
        self._backend = backend
        self._caller = caller
        self._ends: dict[str, datetime] = {}
        self._told: dict[str, date] = {}

    def met(self, peer: Peer) -> None:
        """Somebody has connected."""
        if peer.fingerprint is None or peer.not_after is None:
            return
        if peer.not_after - self._service.clock.now() < _REMEMBER_BEFORE:
            self._ends[peer.fingerprint] = peer.not_after

    async def look(self) -> None:
        """Warn of those of VENs that expire soon. What another process has said today is not said again."""
        now = self._service.clock.now()
        for fingerprint, end in list(self._ends.items()):
            if end < now:
                self._ends.pop(fingerprint, None)
                self._told.pop(fingerprint, None)
                continue
            known = self._service.bound(fingerprint)
            if end - now >= WARN_BEFORE or known is None or self._told.get(fingerprint) == now.date():
                continue
            name = f"{fingerprint} {now:%Y-%m-%d}"
            claim = Claim(scope="certificate expires", name=name, expires_at=now + timedelta(days=2))
            try:
                [is_first] = await self._service.store.claim([claim])
            except OpenADRError:
                log.exception("whether a certificate was warned of can't be found out; trying again later")
                return
            self._told[fingerprint] = now.date()
            if is_first:
                await self._tell(known.ven_id, fingerprint, end)

    async def _tell(self, ven_id: str, fingerprint: str, end: datetime) -> None:
        log.warning("the certificate %s of VEN %s expires at %s: it needs a new one", fingerprint, ven_id, end)
        self._service.notices.publish(
            "certificate-expiring", ven_id=ven_id, fingerprint=fingerprint, not_after=end.isoformat()
        )
        handler = self._backend.get("on_certificate_expiring")
        if handler is not None:
            try:
                await self._caller.call(handler, ven_id, end, peer=ven_id)
            except Exception:  # the user's code may raise anything; the others are warned of too
                log.exception("on_certificate_expiring(%r) failed", ven_id)
