"""Reports that the VTN has not acknowledged yet: kept in order and over restarts, but not without bounds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.model import Reading, ReportRequest
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.state import Ledger

__all__ = ["Backlog", "Unsent"]


class Unsent(msgspec.Struct, frozen=True, kw_only=True):
    """A report on its way. It is sent under the same `request_id` and with the same content until it is answered."""

    request_id: str
    request: ReportRequest
    report_name: str
    readings: tuple[Reading, ...]
    created: datetime


class _Count(msgspec.Struct, frozen=True):
    readings: int


class Backlog:
    """The unsent reports, oldest first; at most `most` readings, none of them made longer than `age` ago.

    `dropped` counts the readings that were given up, over the whole life of the state.
    """

    def __init__(self, ledger: Ledger, clock: Clock, journal: Journal, *, age: timedelta, most: int) -> None:
        self._ledger = ledger
        self._clock = clock
        self._journal = journal
        self._age = age
        self._most = most
        self._reports = ledger.load("report", Unsent)
        self._readings = sum(len(report.readings) for report in self._reports.values())
        count = ledger.load("count", _Count).get("dropped")
        self.dropped = count.readings if count is not None else 0

    @property
    def reports(self) -> Mapping[str, Unsent]:
        """The reports by their requestID."""
        return MappingProxyType(self._reports)

    def add(self, report: Unsent) -> None:
        """Keep it until it is answered; the oldest ones may have to go for it."""
        self._reports[report.request_id] = report
        self._readings += len(report.readings)
        self._ledger.put("report", report.request_id, report)
        self.prune()

    def prune(self) -> None:
        """Give up what is too old or too much; the newest report always stays."""
        oldest = self._clock.now() - self._age
        lost = 0
        for name, report in list(self._reports.items())[:-1]:
            if report.created >= oldest and self._readings <= self._most:
                break
            lost += self.give_up(name)
        if lost:
            self._journal.error(
                f"{lost} readings that the VTN did not get are given up, because more than {self._most} wait or the "
                f"oldest has waited for more than {self._age}; {self.dropped} so far"
            )

    def remove(self, request_id: str) -> Unsent | None:
        """The VTN has it."""
        report = self._reports.pop(request_id, None)
        if report is not None:
            self._readings -= len(report.readings)
            self._ledger.drop("report", request_id)
        return report

    def give_up(self, request_id: str) -> int:
        """The VTN will never have it; how many readings that loses."""
        report = self.remove(request_id)
        if report is None:
            return 0
        self.dropped += len(report.readings)
        self._ledger.put("count", "dropped", _Count(self.dropped))
        return len(report.readings)
