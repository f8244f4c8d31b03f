"""Reports in both directions: the messages of EiReport."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from pyopenadr.errors import ModelError, ProtocolError, RemoteProtocolError
from pyopenadr.model import Capability, Report, ReportRequest
from pyopenadr.store.port import StoredRequest
from pyopenadr.v2 import bridge, faults, wire
from pyopenadr.v2 import vtn as rules
from pyopenadr.vtn.delivery import CancelReports, RegisterReports, UpdateReport
from pyopenadr.vtn.doors.talk import UNSET, Answer, Peer, Talk

__all__ = ["ReportTalk", "lift_report"]

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
        asked = {request.report_request_id: request for request in await self._by_rule(ven_id, capabilities)}
        asked |= {request.report_request_id: request for request in _requests_of(answer, capabilities)}

        def wanted(earlier: Sequence[ReportRequest]) -> list[ReportRequest]:
            again = (r for r in earlier if r.report_request_id not in asked and _can_serve(r, capabilities))
            return [*asked.values(), *again]

        chosen = await self.service.register_capabilities(ven_id, capabilities, wanted)
        if isinstance(answer, wire.Message):
            return answer
        return wire.OadrRegisteredReport(
            response=faults.response(message.request_id),
            report_requests=tuple(bridge.lower_request(request) for request in chosen),
            ven_id=ven_id,
        )

    async def _by_rule(self, ven_id: str, capabilities: Sequence[Capability]) -> list[ReportRequest]:
        """What the operator's rules ask of the VEN, as far as it can do that."""
        found = []
        for request in await self.service.requests_by_rule(ven_id, capabilities):
            try:
                rules.check_request(request, capabilities, ())
            except ProtocolError as error:
                log.warning("VEN %s can't do what a rule asks: %s", ven_id, error)
            else:
                found.append(request)
        return found

    async def _created_report(self, message: wire.OadrCreatedReport, peer: Peer) -> wire.Message:
        ven_id = self.ven(message.ven_id).registration.ven_id
        answer = await self.ask("on_created_report", message)
        await self.answered(ven_id, message.response, message.pending_reports)
        return answer if isinstance(answer, wire.Message) else self.acknowledge(message.response.request_id, ven_id)

    async def answered(self, ven_id: str, response: wire.EiResponse, pending: Sequence[str]) -> None:
        """The VEN has accepted or refused report requests."""
        if faults.is_success(response.response_code):
            await self.service.confirm_requests(ven_id, response.request_id, pending)
            return
        log.warning(
            "VEN %s refuses a report request: %s %s",
            ven_id,
            response.response_code,
            response.response_description or "",
        )
        if not response.response_code.startswith("5"):  # else it has failed, and is asked again later
            gone = await self.service.refuse_requests(ven_id, response.request_id, pending)
            log.warning("the requests %s to VEN %s are dropped", ", ".join(gone) or "(none)", ven_id)

    async def _update_report(self, message: wire.OadrUpdateReport, peer: Peer) -> wire.Message:
        ven_id = self.ven(message.ven_id).registration.ven_id
        ids = [report.report_request_id for report in message.reports]
        if self.backend.get("on_update_report") is None:
            await self._check_update(ven_id, message.reports)
            await self.service.save_reports(ven_id, [lift_report(report) for report in message.reports])
        answer = await self.ask("on_update_report", message)
        await self.service.note_delivered(ven_id, ids)
        if isinstance(answer, wire.Message):
            return answer
        return wire.OadrUpdatedReport(response=faults.response(message.request_id), ven_id=ven_id)

    async def _check_update(self, ven_id: str, reports: Sequence[wire.OadrReport]) -> None:
        """Whether the VEN has been asked for all of this, and has offered it (2.0b rules 300, 304)."""
        capabilities = {c.report_specifier_id: c for c in await self.service.capabilities_of(ven_id)}
        for report in reports:
            what = f"report {report.report_specifier_id!r}"
            capability = capabilities.get(report.report_specifier_id)
            if capability is None:
                raise RemoteProtocolError(f"there is no {what}: register it first", code="452", rule="304")
            if not await self.service.is_expected(ven_id, report.report_request_id):
                raise RemoteProtocolError(
                    f"{what} answers request {report.report_request_id!r}, which was not made", code="452", rule="304"
                )
            named = {
                payload.r_id
                for interval in report.intervals
                for payload in interval.payloads
                if isinstance(payload, wire.ReportPayload)
            }
            strange = named - {point.r_id for point in capability.points}
            if strange:
                raise RemoteProtocolError(f"{what} has no rID {', '.join(sorted(strange))}", code="452", rule="304")

    async def _canceled_report(self, message: wire.OadrCanceledReport, peer: Peer) -> wire.Message:
        ven_id = self.ven(message.ven_id).registration.ven_id
        await self.settle(ven_id, CancelReports, message.response)
        return self.acknowledge(message.response.request_id, ven_id)

    # --- the VTN is the source --------------------------------------------------------------------------------------

    async def _registered_report(self, message: wire.OadrRegisteredReport, peer: Peer) -> wire.Message:
        ven_id = self.ven(message.ven_id).registration.ven_id
        answer = await self.ask("on_registered_report", message)
        await self.offered(ven_id, message.response)
        if isinstance(answer, wire.Message):
            return answer
        if message.report_requests:
            return await self._accept_requests(ven_id, message.report_requests, message.response.request_id)
        return self.acknowledge(message.response.request_id, ven_id)

    async def offered(self, ven_id: str, response: wire.EiResponse) -> None:
        """The VEN has answered the list of our reports."""
        offer = await self.settle(ven_id, RegisterReports, response)
        if offer is not None:
            await self.provider.offered(ven_id, offer.created_at)

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
        """Take a VEN's requests, all or none (2.0b rule 340).

        `trusted` ones the user has accepted already; they are checked only where we are to deliver them.
        """
        requests = [bridge.lift_request(request) for request in asked]
        in_force = [stored.request for stored in await self.service.requests_of(ven_id)]
        response = faults.response(request_id)
        taken: list[StoredRequest] = []
        try:
            for number, request in enumerate(requests):
                others = [*requests[:number], *(other for other in in_force if other != request)]
                if not trusted or self.provider.offers(request):
                    self.provider.check(request, [other.report_request_id for other in others])
        except (ModelError, ProtocolError) as error:
            log.warning("VEN %s asks for a report that it can't have: %s", ven_id, error)
            response = faults.fault(error, request_id)
        else:
            taken = await self.service.take_requests(ven_id, requests)
        pending = tuple(await self.service.pending_reports(ven_id))
        await self.provider.take(ven_id, taken)
        return wire.OadrCreatedReport(response=response, pending_reports=pending, ven_id=ven_id)

    async def _updated_report(self, message: wire.OadrUpdatedReport, peer: Peer) -> wire.Message:
        ven_id = self.ven(message.ven_id).registration.ven_id
        await self.settle(ven_id, UpdateReport, message.response)
        if message.cancel_report is not None:
            await self._stop(ven_id, message.cancel_report)
        return self.acknowledge(message.response.request_id, ven_id)

    async def _cancel_report(self, message: wire.OadrCancelReport, peer: Peer) -> wire.Message:
        ven_id = self.ven(message.ven_id).registration.ven_id
        unknown = await self._stop(ven_id, message)
        response = faults.response(message.request_id)
        if unknown:
            response = faults.response(message.request_id, "452", f"no such report request: {', '.join(unknown)}")
        return wire.OadrCanceledReport(
            response=response, pending_reports=tuple(await self.service.pending_reports(ven_id)), ven_id=ven_id
        )

    async def _stop(self, ven_id: str, message: wire.OadrCancelReport) -> list[str]:
        """Stop reports of ours. Returns the request IDs that were not in force (2.0b rules 336, 345)."""
        ids = list(dict.fromkeys(message.report_request_id))
        over = await self.provider.deliver_once_more(ven_id, ids) if message.report_to_follow else []
        self.provider.drop(ven_id, ids)
        return await self.service.drop_requests(ven_id, [r_id for r_id in ids if r_id not in over])


def lift_report(report: wire.OadrReport) -> Report:
    """What a data report says."""
    return Report(
        report_request_id=report.report_request_id,
        report_specifier_id=report.report_specifier_id,
        report_name=report.report_name,
        created_date_time=report.created_date_time,
        readings=bridge.lift_readings(report),
    )


def _can_serve(request: ReportRequest, capabilities: Sequence[Capability]) -> bool:
    try:
        rules.check_request(request, capabilities, ())
    except ProtocolError:
        return False
    return True


def _requests_of(answer: object, capabilities: Sequence[Capability]) -> list[ReportRequest]:
    """What a handler has returned as report requests. Errors are those of the handler, hence 500."""
    if answer is None or answer is UNSET:
        return []
    found = [answer] if isinstance(answer, ReportRequest) else answer
    if isinstance(found, wire.OadrRegisteredReport):
        found = [bridge.lift_request(request) for request in found.report_requests]
    elif isinstance(found, wire.Message):
        return []
    if not isinstance(found, Sequence) or not all(isinstance(request, ReportRequest) for request in found):
        raise ProtocolError("on_register_report must return ReportRequests or None", code="500")
    for request in found:
        try:
            rules.check_request(request, capabilities, ())
        except ProtocolError as error:
            raise ProtocolError(
                f"on_register_report asks for what the VEN can't deliver: {error}", code="500"
            ) from error
    return list(found)
