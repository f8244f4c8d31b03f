"""Reports in both directions: what can be delivered, what is asked for, what has come."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import msgspec

from pyopenadr.errors import StoreError
from pyopenadr.model import Capability, Report, ReportRequest
from pyopenadr.model.time import ZERO
from pyopenadr.store.port import Outgoing, Source, StoredReading, StoredRequest
from pyopenadr.vtn.delivery import CancelReports, CreateReports, Mailbox, RegisterReports, UpdateReport, pack, unpack
from pyopenadr.vtn.service.party import PartyService

__all__ = ["ReportService"]

log = logging.getLogger("pyopenadr.vtn")


class ReportService(PartyService):
    """Reports of VENs, and reports of the VTN.

    A request to a VEN is kept twice until the VEN has confirmed it: as a request, and in the message that asks.
    """

    # --- the VEN is the source --------------------------------------------------------------------------------------

    async def register_capabilities(
        self,
        ven_id: str,
        capabilities: Sequence[Capability],
        wanted: Callable[[Sequence[ReportRequest]], Sequence[ReportRequest]],
    ) -> list[ReportRequest]:
        """Replace what the VEN can report, and ask for reports again (2.0b rule 306).

        `wanted(earlier)` chooses the requests, given those that were in force. Returns them; they also wait for the
        VEN as a message until it has confirmed them.
        """
        async with self.changing(ven_id) as mailbox:
            questions = mailbox.of_kind(CreateReports)
            ended = {r_id for item in mailbox.of_kind(CancelReports).values() for r_id in item.report_request_ids}
            earlier = {s.request.report_request_id: s.request for s in await self.requests_to(ven_id)}
            for request in (request for question in questions.values() for request in question.requests):
                if not (request.is_metadata and request.is_one_shot):  # which this message fulfils
                    earlier[request.report_request_id] = request
            chosen = list(wanted([request for r_id, request in earlier.items() if r_id not in ended]))
            # The question goes first into the store: wherever this stops, the requests are still somewhere.
            items = self._question(chosen)
            await self.store.add_outgoing(ven_id, items)
            await self.store.save_capabilities(ven_id, Source.VEN, capabilities)
            await self.store.save_requests(ven_id, self._as_stored(chosen))
            old = [*questions, *mailbox.of_kind(CancelReports)]
            await self.store.remove_outgoing(ven_id, old)
            mailbox.remove(old)
            mailbox.add(items)
        self.notices.publish("report-registered", ven_id=ven_id, reports=len(capabilities))
        return chosen

    async def request_reports(self, ven_id: str, requests: Sequence[ReportRequest]) -> None:
        """Ask a VEN for reports, now or at any time."""
        items = self._question(requests)
        async with self.changing(ven_id) as mailbox:
            await self.store.save_requests(ven_id, self._as_stored(requests), outgoing=items)
            mailbox.add(items)

    def _question(self, requests: Sequence[ReportRequest]) -> list[Outgoing]:
        return [pack(self.new_id(), CreateReports(tuple(requests)), self.clock.now())] if requests else []

    def _as_stored(self, requests: Iterable[ReportRequest], *, confirmed: bool = False) -> list[StoredRequest]:
        now = self.clock.now()
        return [
            StoredRequest(request=request, source=Source.VEN, requested_at=now, confirmed=confirmed)
            for request in requests
            if not request.is_metadata
        ]

    async def capabilities_of(self, ven_id: str) -> list[Capability]:
        """What a VEN can report."""
        return list((await self._reportings.of(ven_id)).capabilities)

    async def requests_to(self, ven_id: str) -> list[StoredRequest]:
        """The reports that a VEN has been asked for."""
        return list((await self._reportings.of(ven_id)).requests)

    async def confirm_requests(self, ven_id: str, request_id: str, pending: Sequence[str]) -> None:
        """A VEN has accepted requests; `pending` are the report requests that it has on its list.

        The question is found by its request ID, or, if the VEN had it inside oadrRegisteredReport, by what is
        pending.
        """
        async with self.changing(ven_id) as mailbox:
            questions = mailbox.of_kind(CreateReports)
            listed = frozenset(pending)
            answered = [i for i, q in questions.items() if {r.report_request_id for r in q.requests} <= listed]
            direct = mailbox.matching(CreateReports, request_id)
            if direct is not None and direct.item_id not in answered:
                answered.append(direct.item_id)
            kept = {stored.request.report_request_id: stored for stored in await self.requests_to(ven_id)}
            asked = [request for item_id in answered for request in questions[item_id].requests]
            fresh = self._as_stored((r for r in asked if r.report_request_id not in kept), confirmed=True)
            ids = {request.report_request_id for request in asked} | listed
            known = [
                msgspec.structs.replace(s, confirmed=True) for i, s in kept.items() if i in ids and not s.confirmed
            ]
            if fresh or known:
                await self.store.save_requests(ven_id, [*known, *fresh])
            await self.store.remove_outgoing(ven_id, answered)
            mailbox.remove(answered)

    async def refuse_requests(self, ven_id: str, request_id: str, pending: Sequence[str]) -> list[str]:
        """A VEN has refused the question with that request ID. Returns the requests that are gone now.

        Those that it has confirmed before, or has on its list, stay: then it has only refused the repetition.
        """
        async with self.changing(ven_id) as mailbox:
            direct = mailbox.matching(CreateReports, request_id)
            if direct is None:
                return []
            asked = {request.report_request_id for request in mailbox.of_kind(CreateReports)[direct.item_id].requests}
            confirmed = {s.request.report_request_id for s in await self.requests_to(ven_id) if s.confirmed}
            gone = sorted(asked - confirmed - set(pending))
            await self._end(ven_id, gone)
            await self.store.remove_outgoing(ven_id, [direct.item_id])
            mailbox.remove([direct.item_id])
            return gone

    async def cancel_reports(self, ven_id: str, report_request_ids: Sequence[str], *, one_more: bool = False) -> None:
        """Have a VEN stop reports; with `one_more`, after one more (2.0b rules 335, 345)."""
        item = pack(self.new_id(), CancelReports(tuple(report_request_ids), one_more), self.clock.now())
        async with self.changing(ven_id) as mailbox:
            if one_more:
                last = [
                    msgspec.structs.replace(s, request=msgspec.structs.replace(s.request, report_back_duration=ZERO))
                    for s in await self.requests_to(ven_id)
                    if s.request.report_request_id in report_request_ids
                ]
                await self.store.save_requests(ven_id, last, outgoing=[item])
            else:
                await self._end(ven_id, report_request_ids, outgoing=[item])
            mailbox.add([item])
            await self._ask_no_more(ven_id, mailbox, report_request_ids)

    async def _end(self, ven_id: str, report_request_ids: Iterable[str], *, outgoing: Sequence[Outgoing] = ()) -> None:
        ended = await self.store.delete_requests(ven_id, Source.VEN, report_request_ids, outgoing=outgoing)
        self._vens[ven_id].note_ended(ended)

    async def is_expected(self, ven_id: str, report_request_id: str) -> bool:
        """Whether the VEN has been asked for such a report, now or lately."""
        if report_request_id in self._vens[ven_id].ended_requests:
            return True
        requests = (await self._reportings.of(ven_id)).requests
        return any(stored.request.report_request_id == report_request_id for stored in requests)

    async def _ask_no_more(self, ven_id: str, mailbox: Mailbox, report_request_ids: Iterable[str]) -> None:
        """Take requests out of the questions that wait for the VEN."""
        gone = set(report_request_ids)
        for item_id, question in mailbox.of_kind(CreateReports).items():
            left = tuple(request for request in question.requests if request.report_request_id not in gone)
            if not left:
                await self.store.remove_outgoing(ven_id, [item_id])
                mailbox.remove([item_id])
            elif left != question.requests:
                item = pack(item_id, CreateReports(left), mailbox.items[item_id].created_at)
                await self.store.add_outgoing(ven_id, [item])
                mailbox.items[item_id] = item

    async def save_reports(self, ven_id: str, reports: Sequence[Report]) -> None:
        """Keep the readings of a VEN's reports, all of them or none."""
        await self.store.save_readings(
            [
                StoredReading(
                    ven_id=ven_id,
                    report_specifier_id=report.report_specifier_id,
                    report_request_id=report.report_request_id,
                    reading=reading,
                )
                for report in reports
                for reading in report.readings
            ]
        )
        for report in reports:
            self.notices.publish(
                "report-received",
                ven_id=ven_id,
                report_request_id=report.report_request_id,
                report_specifier_id=report.report_specifier_id,
                readings=len(report.readings),
            )

    async def note_delivered(self, ven_id: str, report_request_ids: Iterable[str]) -> None:
        """Reports have come: whoever delivers has the request, and one for a single report is fulfilled."""
        delivered = set(report_request_ids)
        if self._vens[ven_id].mailbox.is_without(CreateReports):
            requests = (await self._reportings.of(ven_id)).requests
            concerned = [stored for stored in requests if stored.request.report_request_id in delivered]
            if all(stored.confirmed and not stored.request.is_one_shot for stored in concerned):
                return
        async with self.changing(ven_id) as mailbox:
            stored = [s for s in await self.requests_to(ven_id) if s.request.report_request_id in delivered]
            over = [s.request.report_request_id for s in stored if s.request.is_one_shot]
            running = [s for s in stored if not s.request.is_one_shot and not s.confirmed]
            if running:
                await self.store.save_requests(ven_id, [msgspec.structs.replace(s, confirmed=True) for s in running])
            if over:
                await self._end(ven_id, over)
            await self._ask_no_more(ven_id, mailbox, delivered)

    # --- the VTN is the source --------------------------------------------------------------------------------------

    async def requests_of(self, ven_id: str) -> list[StoredRequest]:
        """The reports of ours that a VEN still gets."""
        return await self.store.list_requests(ven_id, Source.VTN)

    async def pending_reports(self, ven_id: str) -> list[str]:
        """The IDs of the reports that a VEN still gets from us (2.0b rule 329)."""
        return [stored.request.report_request_id for stored in await self.requests_of(ven_id)]

    async def offered_to(self, ven_id: str) -> list[Capability]:
        """The reports of ours that the VEN has taken note of."""
        return await self.store.list_capabilities(ven_id, Source.VTN)

    async def note_offered(self, ven_id: str, capabilities: Sequence[Capability], at: datetime) -> list[str]:
        """The VEN has taken note of these reports of ours, which we sent at `at`.

        What it had asked for before is over (2.0b rule 306). Returns the IDs of these requests.
        """
        before = await self.requests_of(ven_id)
        kept = [stored for stored in before if stored.requested_at >= at]
        await self.store.save_capabilities(ven_id, Source.VTN, capabilities)
        if kept:
            await self.store.save_requests(ven_id, kept)
        return [stored.request.report_request_id for stored in before if stored not in kept]

    async def announce_reports(self, ven_id: str) -> None:
        """Tell the VEN again what reports we offer, in the place of what it has not taken note of yet."""
        item = pack(self.new_id(), RegisterReports(), self.clock.now())
        async with self.changing(ven_id) as mailbox:
            old = [i for i, offer in mailbox.of_kind(RegisterReports).items() if offer.report_request_id is None]
            await self.store.add_outgoing(ven_id, [item])
            await self.store.remove_outgoing(ven_id, old)
            mailbox.add([item])
            mailbox.remove(old)

    async def take_requests(self, ven_id: str, requests: Sequence[ReportRequest]) -> list[StoredRequest]:
        """Keep what a VEN wants of our reports; a question for the list of them (METADATA) is answered by a message.

        Returns the requests as kept; one to which the only report waits already is a repetition, and is not.
        """
        now = self.clock.now()
        async with self.changing(ven_id) as mailbox:
            served = [item.request for item in mailbox.of_kind(UpdateReport).values()]
        stored = [
            StoredRequest(request=request, source=Source.VTN, requested_at=now, confirmed=True)
            for request in requests
            if not request.is_metadata and not (request.is_one_shot and request in served)
        ]
        await self.store.save_requests(ven_id, stored)
        ids = [request.report_request_id for request in requests if request.is_metadata]
        await self.enqueue(ven_id, [(f"metadata-{r_id}", RegisterReports(r_id)) for r_id in ids])
        return stored

    async def drop_requests(self, ven_id: str, report_request_ids: Sequence[str]) -> list[str]:
        """A VEN wants some of our reports no more. Returns the IDs that it had not asked for."""
        known = await self.store.delete_requests(ven_id, Source.VTN, report_request_ids)
        return [r_id for r_id in report_request_ids if r_id not in known]

    async def deliver_report(
        self, ven_id: str, request: ReportRequest, report: Report, *, last: bool = False, asked: bool = False
    ) -> None:
        """Have a report of ours wait for the VEN that asked for it; a one-shot or `last` one fulfils the request.

        `asked` says that the request is one that is kept; another worker may have fulfilled it in the meantime.

        Raises:
            StoreError: the report can't be kept, for example because a value is not finite.
        """
        item = pack(self.new_id(), UpdateReport(request, report), self.clock.now())
        try:
            unpack(item)
        except StoreError as error:
            raise StoreError(
                f"report {report.report_specifier_id!r} can't be kept ({error}): use finite numbers"
            ) from error
        over = [request.report_request_id] if request.is_one_shot or last else []
        async with self.changing(ven_id) as mailbox:
            if asked and over and self.store.is_shared and over[0] not in await self.pending_reports(ven_id):
                return
            await self.store.delete_requests(ven_id, Source.VTN, over, outgoing=[item])
            mailbox.add([item])
