"""The VEN as the one who gets reports: what the VTN offers, what we have asked for, and the data that arrive."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

from pyopenadr.errors import ModelError, OpenADRError, ProtocolError
from pyopenadr.model import Capability, Report, ReportRequest
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge import lift_capability, lift_readings, lower_request
from pyopenadr.v2.faults import fault, response
from pyopenadr.ven.handler import Caller, Handler, HandlerFailed
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.outbox import Letter, Outbox
from pyopenadr.ven.session import Session, asks_to_register
from pyopenadr.ven.state import Ledger

__all__ = ["Requester"]

LANE = "wanted reports"
"""Where the request for the VTN's reports waits."""

REMEMBERED = 200
"""How many reports are remembered, so that one which arrives again is not handed over twice."""


class Requester:
    """Takes the VTN's reports.

    `on_report` and `wanted_reports` give the user's handlers, or None where there are none.
    """

    def __init__(
        self,
        *,
        session: Session,
        outbox: Outbox,
        caller: Caller,
        journal: Journal,
        ledger: Ledger,
        ven_id: Callable[[], str],
        on_report: Callable[[], Handler | None],
        wanted_reports: Callable[[], Handler | None],
        on_lost: Callable[[OpenADRError], None],
    ) -> None:
        self._capabilities = ledger.load("vtn report", Capability)
        self._session = session
        self._outbox = outbox
        self._caller = caller
        self._journal = journal
        self._ledger = ledger
        self._ven_id = ven_id
        self._on_report = on_report
        self._wanted_reports = wanted_reports
        self._on_lost = on_lost
        self._requests = ledger.load("wanted report", ReportRequest)
        self._seen: OrderedDict[Report, None] = OrderedDict()
        self._taking: dict[Report, asyncio.Event] = {}
        self._warned = False

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What the VTN offers."""
        return tuple(self._capabilities.values())

    @property
    def requests(self) -> Mapping[str, ReportRequest]:
        """What we have asked for, by reportRequestID."""
        return MappingProxyType(self._requests)

    def forget(self) -> None:
        """The registration is over: nothing is offered, nothing is asked for."""
        self._offer(())
        self._end(list(self._requests))
        self._seen.clear()

    def _offer(self, capabilities: Sequence[Capability]) -> None:
        for name in self._capabilities:
            self._ledger.drop("vtn report", name)
        self._capabilities = {capability.report_specifier_id: capability for capability in capabilities}
        for name, capability in self._capabilities.items():
            self._ledger.put("vtn report", name, capability)

    def _end(self, names: Sequence[str]) -> None:
        for name in names:
            if self._requests.pop(name, None) is not None:
                self._ledger.drop("wanted report", name)

    # -- asking --------------------------------------------------------------------------------------------------

    async def create(self, requests: Sequence[ReportRequest]) -> wire.OadrCreatedReport | wire.OadrResponse | None:
        """Ask the VTN for reports (2.0b rules 317, 321, 322, 338)."""
        reply = await self._session.tell("EiReport", self._question(requests), wire.OadrCreatedReport)
        self._note(requests)
        return reply

    def _question(self, requests: Sequence[ReportRequest]) -> wire.OadrCreateReport:
        return wire.OadrCreateReport(
            request_id=self._session.new_id(),
            report_requests=tuple(lower_request(request) for request in requests),
            ven_id=self._ven_id(),
        )

    def _note(self, requests: Sequence[ReportRequest]) -> None:
        for request in requests:
            self._requests[request.report_request_id] = request
            self._ledger.put("wanted report", request.report_request_id, request)

    async def cancel(
        self, names: Sequence[str], report_to_follow: bool
    ) -> wire.OadrCanceledReport | wire.OadrResponse | None:
        """Tell the VTN to stop sending reports (2.0b rules 336, 345)."""
        message = wire.OadrCancelReport(
            request_id=self._session.new_id(),
            report_request_id=tuple(names),
            report_to_follow=report_to_follow,
            ven_id=self._ven_id(),
        )
        reply = await self._session.tell("EiReport", message, wire.OadrCanceledReport)
        self._end(names)
        return reply

    # -- METADATA ------------------------------------------------------------------------------------------------

    def registered(self, message: wire.OadrRegisterReport) -> wire.OadrRegisteredReport:
        """Note what the VTN offers, in place of what it offered before (2.0b rule 306), and confirm."""
        answer = response(message.request_id)
        try:
            self._offer([lift_capability(report) for report in message.reports])
            self._end([name for name, request in self._requests.items() if not request.is_metadata])
        except (ModelError, ProtocolError) as error:
            self._journal.warning(f"the VTN's METADATA are refused: {error}", extra={"request_id": message.request_id})
            answer = fault(error, message.request_id)
        return wire.OadrRegisteredReport(response=answer, ven_id=self._ven_id())

    async def ask_for_wanted(self) -> None:
        """Ask for what the user wants of the offer, again and again until the VTN has answered."""
        handler = self._wanted_reports()
        if handler is None or not self.capabilities:
            return
        try:
            wanted = await self._caller.ask(handler, self.capabilities)
            requests = [] if wanted is None else list(wanted)
            if strange := [item for item in requests if not isinstance(item, ReportRequest)]:
                raise HandlerFailed(f"wanted_reports returned {strange[0]!r}: return ReportRequests")
            if requests:
                self._insist(requests)
        except (HandlerFailed, TypeError) as error:
            self._journal.error(f"no report is asked for: {error}")
        except OpenADRError as error:
            self._journal.error(f"no report is asked for: {error}")

    def _insist(self, requests: Sequence[ReportRequest]) -> None:
        message = self._question(requests)

        def refused(error: OpenADRError) -> None:
            self._journal.error(f"the VTN does not give the reports that were asked for: {error}")
            if asks_to_register(error):
                self._on_lost(error)

        self._outbox.drop(LANE)  # what was wanted of an older offer
        self._outbox.put(
            LANE,
            Letter(
                service="EiReport",
                subject="the request for reports",
                build=lambda: message,
                expected=(wire.OadrCreatedReport,),
                delivered=lambda reply: self._note(requests),
                refused=refused,
            ),
        )

    # -- data ----------------------------------------------------------------------------------------------------

    async def receive(
        self, message: wire.OadrUpdateReport, deliver: Callable[[Letter], Awaitable[None]] | None = None
    ) -> None:
        """Hand over each report, then acknowledge (by `deliver`, if given); not before, so that nothing is lost."""
        answer = response(message.request_id)
        for item in message.reports:
            problem = await self._hand_over(item)
            if problem is not None:
                answer = fault(problem, message.request_id)
        updated = wire.OadrUpdatedReport(response=answer, ven_id=self._ven_id())
        try:
            await (deliver or self._outbox.deliver)(
                Letter(service="EiReport", subject="the receipt of a report", build=lambda: updated)
            )
        except OpenADRError as error:
            self._on_lost(error)

    async def _hand_over(self, item: wire.OadrReport) -> OpenADRError | None:
        """Give one report to the user; what is to be told to the VTN if that fails."""
        extra = {"request_id": item.report_request_id}
        try:
            report = Report(
                report_request_id=item.report_request_id,
                report_specifier_id=item.report_specifier_id,
                report_name=item.report_name,
                created_date_time=item.created_date_time,
                readings=lift_readings(item),
            )
        except (ModelError, ProtocolError) as error:
            self._journal.warning(f"a report of the VTN is refused: {error}", extra=extra)
            return error
        while (taking := self._taking.get(report)) is not None:  # it has come again while the user has it
            await taking.wait()
        if report in self._seen:
            self._journal.debug(f"report {report.report_request_id} has arrived before", extra=extra)
            return None
        handler = self._on_report()
        if handler is None:
            if not self._warned:
                self._warned = True
                self._journal.warning("there is no on_report handler: the VTN's reports are dropped, said once")
        else:
            taken = self._taking[report] = asyncio.Event()
            try:
                await self._caller.ask(handler, report)
            except HandlerFailed as error:
                self._journal.error(
                    f"report {report.report_request_id}: {error}; the VTN is told that it was not taken", extra=extra
                )
                return error
            finally:
                del self._taking[report]
                taken.set()
        self._seen[report] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return None
