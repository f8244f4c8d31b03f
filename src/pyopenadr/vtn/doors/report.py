"""Reports in both directions: the messages of EiReport."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from pyopenadr.errors import ProtocolError, RemoteProtocolError
from pyopenadr.model import Capability, Report, ReportRequest
from pyopenadr.v2 import bridge, faults, wire
from pyopenadr.v2 import vtn as rules
from pyopenadr.vtn.delivery import CancelReports, RegisterReports, UpdateReport
from pyopenadr.vtn.doors.talk import UNSET, Answer, Peer, Talk

__all__ = ["ReportTalk"]

log = logging.getLogger("pyopenadr.vtn")


class ReportTalk(Talk):
    """Answers EiReport, with the VEN or the VTN as the source."""

    def answers(self) -> Mapping[type[wire.Message], Answer]:
        """What this part answers."""
        return {
            wire.OadrRegisterReport: self._register_report,
            wire.OadrCreatedReport: self._created_report,
            wire.OadrUpdateReport: self._update_report,
            wire.OadrCanceledReport: self._canceled_report,
            wire.OadrRegisteredReport: self._registered_report,
            wire.OadrCreateReport: self._create_report,
            wire.OadrUpdatedReport: self._updated_report,
            wire.OadrCancelReport: self._cancel_report,
        }

    # --- the VEN is the source --------------------------------------------------------------------------------------

    async def _register_report(self, message: wire.OadrRegisterReport, peer: Peer) -> wire.Message:
        ven_id = self.ven(message.ven_id).registration.ven_id
        capabilities = [bridge.lift_capability(report) for report in message.reports]
        answer = await self.ask("on_register_report", message)
        if isinstance(answer, wire.Message):
            await self.service.register_capabilities(ven_id, capabilities, lambda _new, _earlier: ())
            return answer
        asked = _requests_of(answer)

        def wanted(new: Sequence[Capability], earlier: Sequence[ReportRequest]) -> list[ReportRequest]:
            ids = {request.report_request_id for request in asked}
            again = [r for r in earlier if r.report_request_id not in ids and _can_serve(r, new)]
            for request in asked:
                rules.check_request(request, new, ())
            return [*asked, *again]

        chosen = await self.service.register_capabilities(ven_id, capabilities, wanted)
        return wire.OadrRegisteredReport(
            response=faults.response(message.request_id),
            report_requests=tuple(bridge.lower_request(request) for request in chosen),
            ven_id=ven_id,
        )

    async def _created_report(self, message: wire.OadrCreatedReport, peer: Peer) -> wire.Message:
        ven_id = self.ven(message.ven_id).registration.ven_id
        answer = await self.ask("on_created_report", message)
        accepted = message.response.response_code.startswith("2")
        if not accepted:
            log.warning(
                "VEN %s refuses a report request: %s %s",
                ven_id,
                message.response.response_code,
                message.response.response_description,
            )
        await self.service.confirm_requests(
            ven_id, message.response.request_id, message.pending_reports, accepted=accepted
        )
        return answer if isinstance(answer, wire.Message) else self.acknowledge(message.response.request_id, ven_id)

    async def _update_report(self, message: wire.OadrUpdateReport, peer: Peer) -> wire.Message:
        ven_id = self.ven(message.ven_id).registration.ven_id
        reports = [
            Report(
                report_request_id=report.report_request_id,
                report_specifier_id=report.report_specifier_id,
                report_name=report.report_name,
                created_date_time=report.created_date_time,
                readings=bridge.lift_readings(report),
            )
            for report in message.reports
        ]
        answer = await self.ask("on_update_report", message)
        if answer is UNSET:
            for report in reports:
                await self.service.save_report(ven_id, report)
        await self.service.end_one_shots(ven_id, [report.report_request_id for report in reports])
        if isinstance(answer, wire.Message):
            return answer
        return wire.OadrUpdatedReport(response=faults.response(message.request_id), ven_id=ven_id)

    async def _canceled_report(self, message: wire.OadrCanceledReport, peer: Peer) -> wire.Message:
        ven_id = self.ven(message.ven_id).registration.ven_id
        await self.service.done(ven_id, CancelReports, message.response.request_id)
        return self.acknowledge(message.response.request_id, ven_id)

    # --- the VTN is the source --------------------------------------------------------------------------------------

    async def _registered_report(self, message: wire.OadrRegisteredReport, peer: Peer) -> wire.Message:
        ven_id = self.ven(message.ven_id).registration.ven_id
        answer = await self.ask("on_registered_report", message)
        await self.service.done(ven_id, RegisterReports, message.response.request_id)
        if isinstance(answer, wire.Message):
            return answer
        if message.report_requests:
            return await self._accept_requests(ven_id, message.report_requests, message.response.request_id)
        return self.acknowledge(message.response.request_id, ven_id)

    async def _create_report(self, message: wire.OadrCreateReport, peer: Peer) -> wire.Message:
        ven_id = self.ven(message.ven_id).registration.ven_id
        answer = await self.ask("on_create_report", message)
        if answer is False:
            raise RemoteProtocolError("this VTN does not deliver that report", code="461")
        if isinstance(answer, wire.Message):
            return answer
        return await self._accept_requests(
            ven_id, message.report_requests, message.request_id, trusted=answer is not UNSET
        )

    async def _accept_requests(
        self, ven_id: str, asked: Sequence[wire.ReportRequest], request_id: str, *, trusted: bool = False
    ) -> wire.Message:
        """Take a VEN's requests, all or none (2.0b rule 340); `trusted` ones the user has accepted already."""
        requests = [bridge.lift_request(request) for request in asked]
        if not trusted:
            for request in requests:
                rules.check_request(request, self.provider.capabilities, ())
        pending = await self.service.take_requests(ven_id, requests)
        offered = [
            r for r in requests if r.report_specifier_id in {c.report_specifier_id for c in self.provider.capabilities}
        ]
        await self.provider.take(ven_id, offered)
        for request in requests:
            if request.is_metadata:
                await self.service.enqueue(
                    ven_id, [(self.service.new_id(), RegisterReports(request.report_request_id))]
                )
        return wire.OadrCreatedReport(
            response=faults.response(request_id), pending_reports=tuple(pending), ven_id=ven_id
        )

    async def _updated_report(self, message: wire.OadrUpdatedReport, peer: Peer) -> wire.Message:
        ven_id = self.ven(message.ven_id).registration.ven_id
        await self.service.done(ven_id, UpdateReport, message.response.request_id)
        if message.cancel_report is not None:
            self.provider.drop(ven_id, message.cancel_report.report_request_id)
            await self.service.drop_requests(ven_id, message.cancel_report.report_request_id)
        return self.acknowledge(message.response.request_id, ven_id)

    async def _cancel_report(self, message: wire.OadrCancelReport, peer: Peer) -> wire.Message:
        ven_id = self.ven(message.ven_id).registration.ven_id
        if message.report_to_follow:
            await self.provider.deliver_once_more(ven_id, message.report_request_id)
        self.provider.drop(ven_id, message.report_request_id)
        unknown = await self.service.drop_requests(ven_id, message.report_request_id)
        response = faults.response(message.request_id)
        if unknown:
            response = faults.response(message.request_id, "452", f"no such report request: {', '.join(unknown)}")
        return wire.OadrCanceledReport(
            response=response, pending_reports=tuple(await self.service.pending_reports(ven_id)), ven_id=ven_id
        )


def _can_serve(request: ReportRequest, capabilities: Sequence[Capability]) -> bool:
    try:
        rules.check_request(request, capabilities, ())
    except ProtocolError:
        return False
    return not request.is_one_shot


def _requests_of(answer: object) -> list[ReportRequest]:
    """What a handler has returned as report requests."""
    if answer is None or answer is UNSET:
        return []
    found = [answer] if isinstance(answer, ReportRequest) else answer
    if not isinstance(found, Sequence) or not all(isinstance(request, ReportRequest) for request in found):
        raise ProtocolError("on_register_report must return ReportRequests or None", code="500")
    return list(found)
