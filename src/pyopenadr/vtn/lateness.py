"""Notices reports that do not come: a VEN that has delivered, and then misses two reports in a row, is late."""

from __future__ import annotations

from datetime import datetime, timedelta

from pyopenadr.clock import Clock
from pyopenadr.model.time import total_seconds
from pyopenadr.store.ledger import Notice
from pyopenadr.vtn.service import Service

__all__ = ["Lateness"]

_SLACK = timedelta(seconds=60)


class Lateness:
    """Follows the reports that have come since the start; each is called late once, until it comes again."""

    def __init__(self, service: Service, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._came: dict[tuple[str, str], datetime] = {}
        self._late: set[tuple[str, str]] = set()

    def note(self, notice: Notice) -> None:
        """Something has happened."""
        if notice.kind == "report-received" and notice.ven_id is not None:
            key = (notice.ven_id, str(notice.data["report_request_id"]))
            self._came[key] = notice.at
            self._late.discard(key)

    async def look(self) -> None:
        """See which reports are late, and say so."""
        now = self._clock.now()
        silent = [(key, at) for key, at in self._came.items() if now - at > _SLACK and key not in self._late]
        for key, at in silent:
            ven_id, report_request_id = key
            live = await self._service.requests_to(ven_id) if self._service.is_registered(ven_id) else []
            request = next((s.request for s in live if s.request.report_request_id == report_request_id), None)
            if request is None or request.is_one_shot:
                self._came.pop(key, None)
                continue
            period = timedelta(seconds=total_seconds(request.report_back_duration, at))
            if now - at > 2 * period + _SLACK and self._came.get(key) == at:
                self._late.add(key)
                self._service.notices.publish(
                    "report-late",
                    ven_id=ven_id,
                    report_request_id=report_request_id,
                    report_specifier_id=request.report_specifier_id,
                    last_came=at.isoformat(),
                )
