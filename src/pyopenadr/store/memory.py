"""A store in plain dictionaries, for tests, demonstrations and VTNs that may forget.

No method waits anywhere between its first change and its last, and each checks before it changes; so each is one unit
of work. Values are kept as they would come back from a database's row. The store is ready from the start, `open`
only undoes `close`, and what it holds stays while it is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from pyopenadr.errors import StoreError
from pyopenadr.model import Capability, Member, Opt, Registration
from pyopenadr.store import row
from pyopenadr.store.dispatch_memory import MemoryDispatch
from pyopenadr.store.door_memory import MemoryDoor
from pyopenadr.store.feed import Feed
from pyopenadr.store.ledger_memory import MemoryLedger
from pyopenadr.store.port import Admission, Answer, Outgoing, Source, StoredEvent, StoredReading, StoredRequest
from pyopenadr.store.sharing import Sharing

__all__ = ["MemoryStore"]


class MemoryStore(MemoryDispatch, MemoryDoor, MemoryLedger, Sharing):
    """A `Store` that lives as long as the object."""

    def __init__(self) -> None:
        super().__init__()
        self._feed: Feed[str | None] = Feed()
        self._closed = False
        self._vens: dict[str, Registration] = {}
        self._events: dict[str, StoredEvent] = {}
        self._answers: dict[tuple[str, str], Answer] = {}
        self._outgoing: dict[str, dict[str, Outgoing]] = {}
        self._opts: dict[str, list[Opt]] = {}
        self._capabilities: dict[tuple[str, Source], list[Capability]] = {}
        self._requests: dict[tuple[str, Source], dict[str, StoredRequest]] = {}
        self._readings: dict[str, dict[tuple[str, str, int], StoredReading]] = {}

    async def open(self) -> None:
        self._closed = False

    async def close(self) -> None:
        self._closed = True

    def subscribe(self, listener: Callable[[str | None], None]) -> Callable[[], None]:
        return self._feed.subscribe(listener)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store in memory is closed; open() it first")

    # --- VENs ---------------------------------------------------------------------------------------------------

    async def save_registration(
        self, registration: Registration, *, fresh: bool = False, outgoing: Sequence[Outgoing] = ()
    ) -> None:
        self._check_open()
        ven_id = registration.ven_id
        kept = row.registration_from_row(row.registration_to_row(registration))
        items = _outgoing(ven_id, outgoing)
        if kept.registration_id is not None:
            for other in self._vens.values():
                if other.registration_id == kept.registration_id and other.ven_id != ven_id:
                    raise StoreError(
                        f"VEN {ven_id!r} can't have registration_id {kept.registration_id!r}: "
                        f"VEN {other.ven_id!r} has it; choose another"
                    )
        self._vens[ven_id] = kept
        if fresh:
            self._forget(ven_id)
        self._append(ven_id, items)
        self._feed.publish((ven_id,))

    async def save_enrolled(
        self, registrations: Sequence[Registration], admissions: Sequence[Admission], members: Sequence[Member]
    ) -> None:
        self._check_open()
        kept = [row.registration_from_row(row.registration_to_row(each)) for each in registrations]
        await self.save_members(members)  # the one that may fail comes first
        await self.save_admissions(admissions)
        self._vens |= {each.ven_id: each for each in kept}

    async def end_registration(self, ven_id: str, *, outgoing: Sequence[Outgoing] = ()) -> bool:
        self._check_open()
        items = _outgoing(ven_id, outgoing)
        if items:
            self._check_ven(ven_id)
        self._forget(ven_id)
        known = self._vens.get(ven_id)
        if known is not None:
            self._vens[ven_id] = msgspec.structs.replace(known, registration_id=None)
        self._append(ven_id, items)
        self._feed.publish((ven_id,))
        return known is not None and known.registration_id is not None

    async def delete_ven(self, ven_id: str) -> bool:
        self._check_open()
        self._forget(ven_id)
        self._readings.pop(ven_id, None)
        self._answers = {key: answer for key, answer in self._answers.items() if answer.ven_id != ven_id}
        self._forget_places(ven_id)
        there = self._vens.pop(ven_id, None) is not None
        self._feed.publish((ven_id,))
        return there

    async def load_registration(self, ven_id: str) -> Registration | None:
        self._check_open()
        return self._vens.get(ven_id)

    async def find_registration(
        self, *, ven_name: str | None = None, registration_id: str | None = None, fingerprint: str | None = None
    ) -> Registration | None:
        self._check_open()
        given = {"ven_name": ven_name, "registration_id": registration_id, "fingerprint": fingerprint}
        wanted = {name: value for name, value in given.items() if value is not None}
        if not wanted:
            return None
        for _, ven in sorted(self._vens.items()):
            if all(getattr(ven, name) == value for name, value in wanted.items()):
                return ven
        return None

    async def list_registrations(self, *, ven_ids: Collection[str] | None = None) -> list[Registration]:
        self._check_open()
        return [ven for ven_id, ven in sorted(self._vens.items()) if ven_ids is None or ven_id in ven_ids]

    async def save_presence(self, last_seen: Mapping[str, datetime], online: Mapping[str, bool]) -> None:
        self._check_open()
        # There and back, for the check that an instant has a time zone.
        seen = {ven_id: row.from_micros(row.to_micros(at, "last_seen")) for ven_id, at in last_seen.items()}
        for ven_id, at in seen.items():
            known = self._vens.get(ven_id)
            if known is not None and (known.last_seen is None or known.last_seen < at):
                self._vens[ven_id] = msgspec.structs.replace(known, last_seen=at)
        for ven_id, is_online in online.items():
            if ven_id in self._vens:
                self._vens[ven_id] = msgspec.structs.replace(self._vens[ven_id], online=is_online)

    async def turn(self, ven_id: str, *, online: bool) -> bool:
        self._check_open()
        known = self._vens.get(ven_id)
        if known is None or known.online == online:
            return False
        self._vens[ven_id] = msgspec.structs.replace(known, online=online)
        self._feed.publish((ven_id,))
        return True

    async def list_silent(self, before: datetime) -> list[Registration]:
        self._check_open()
        last = row.from_micros(row.to_micros(before, "before"))
        return [
            ven
            for _, ven in sorted(self._vens.items())
            if ven.online and (ven.last_seen is None or ven.last_seen < last)
        ]

    def _forget(self, ven_id: str) -> None:
        """What goes when a VEN starts anew."""
        for source in Source:
            self._capabilities.pop((ven_id, source), None)
            self._requests.pop((ven_id, source), None)
        self._opts.pop(ven_id, None)
        self._outgoing.pop(ven_id, None)

    def _check_ven(self, ven_id: str) -> None:
        if ven_id not in self._vens:
            raise StoreError(f"there is no VEN {ven_id!r} to queue messages for: save its registration first")

    # --- events -------------------------------------------------------------------------------------------------

    async def save_event(self, stored: StoredEvent) -> None:
        self._check_open()
        self._events[stored.event.event_id] = row.event_from_row(row.event_to_row(stored))
        self._drafts.pop(stored.event.event_id, None)
        self._feed.publish((None,))

    async def load_event(self, event_id: str) -> StoredEvent | None:
        self._check_open()
        return self._events.get(event_id)

    async def list_events(
        self, *, include_closed: bool = False, event_ids: Collection[str] | None = None
    ) -> list[StoredEvent]:
        self._check_open()
        return [
            stored
            for event_id, stored in self._events.items()
            if (include_closed or not stored.closed) and (event_ids is None or event_id in event_ids)
        ]

    async def delete_event(self, event_id: str) -> bool:
        self._check_open()
        self._answers = {key: answer for key, answer in self._answers.items() if answer.event_id != event_id}
        self._traces.pop(event_id, None)
        there = self._events.pop(event_id, None) is not None
        self._feed.publish((None,))
        return there

    async def save_answers(self, answers: Sequence[Answer]) -> None:
        self._check_open()
        self._keep_answers(_answers(answers))
        self._feed.publish(answer.ven_id for answer in answers)

    async def list_answers(self, *, ven_id: str | None = None, event_id: str | None = None) -> list[Answer]:
        self._check_open()
        return [
            answer
            for _, answer in sorted(self._answers.items())
            if ven_id in (None, answer.ven_id) and event_id in (None, answer.event_id)
        ]

    def _keep_answers(self, answers: Iterable[Answer]) -> None:
        self._answers.update({(answer.event_id, answer.ven_id): answer for answer in answers})

    # --- messages that wait for a VEN -----------------------------------------------------------------------------

    async def add_outgoing(self, ven_id: str, items: Sequence[Outgoing]) -> None:
        self._check_open()
        kept = _outgoing(ven_id, items)
        self._check_ven(ven_id)
        self._append(ven_id, kept)
        self._feed.publish((ven_id,))

    async def list_outgoing(self, ven_id: str) -> list[Outgoing]:
        self._check_open()
        return list(self._outgoing.get(ven_id, {}).values())

    async def remove_outgoing(self, ven_id: str, item_ids: Iterable[str]) -> None:
        self._check_open()
        queue = self._outgoing.get(ven_id, {})
        for item_id in tuple(item_ids):
            queue.pop(item_id, None)
        self._feed.publish((ven_id,))

    def _append(self, ven_id: str, items: Sequence[Outgoing]) -> None:
        if items:
            self._outgoing.setdefault(ven_id, {}).update({item.item_id: item for item in items})

    # --- opt ------------------------------------------------------------------------------------------------------

    async def save_opt(self, opt: Opt, *, answers: Sequence[Answer] = ()) -> None:
        self._check_open()
        kept = row.opt_from_row(row.opt_to_row(opt))
        self._keep_answers(_answers(answers))
        opts = self._opts.setdefault(kept.ven_id, [])
        if kept not in opts:
            opts.append(kept)
        self._feed.publish((opt.ven_id, *(answer.ven_id for answer in answers)))

    async def delete_opts(self, ven_id: str, opt_id: str) -> int:
        self._check_open()
        before = self._opts.get(ven_id, [])
        after = [opt for opt in before if opt.opt_id != opt_id]
        self._opts[ven_id] = after
        self._feed.publish((ven_id,))
        return len(before) - len(after)

    async def list_opts(self, ven_id: str | None = None) -> list[Opt]:
        self._check_open()
        if ven_id is None:
            return [opt for opts in self._opts.values() for opt in opts]
        return list(self._opts.get(ven_id, ()))

    # --- reports --------------------------------------------------------------------------------------------------

    async def save_capabilities(self, ven_id: str, source: Source, capabilities: Sequence[Capability]) -> None:
        self._check_open()
        self._capabilities[ven_id, source] = [
            row.capability_from_row(row.capability_to_row(ven_id, source, position, capability))
            for position, capability in enumerate(capabilities)
        ]
        requests = self._requests.get((ven_id, source), {})
        self._requests[ven_id, source] = {k: stored for k, stored in requests.items() if stored.request.is_metadata}
        self._feed.publish((ven_id,))

    async def list_capabilities(self, ven_id: str, source: Source) -> list[Capability]:
        self._check_open()
        return list(self._capabilities.get((ven_id, source), ()))

    async def save_requests(
        self, ven_id: str, requests: Sequence[StoredRequest], *, outgoing: Sequence[Outgoing] = ()
    ) -> None:
        self._check_open()
        kept = [row.request_from_row(row.request_to_row(ven_id, stored)) for stored in requests]
        items = _outgoing(ven_id, outgoing)
        if items:
            self._check_ven(ven_id)
        for stored in kept:
            self._requests.setdefault((ven_id, stored.source), {})[stored.request.report_request_id] = stored
        self._append(ven_id, items)
        self._feed.publish((ven_id,))

    async def list_requests(self, ven_id: str, source: Source) -> list[StoredRequest]:
        self._check_open()
        return list(self._requests.get((ven_id, source), {}).values())

    async def delete_requests(
        self,
        ven_id: str,
        source: Source,
        report_request_ids: Iterable[str],
        *,
        outgoing: Sequence[Outgoing] = (),
    ) -> list[str]:
        self._check_open()
        ids = tuple(dict.fromkeys(report_request_ids))
        items = _outgoing(ven_id, outgoing)
        if items:
            self._check_ven(ven_id)
        requests = self._requests.get((ven_id, source), {})
        ended = [report_request_id for report_request_id in ids if requests.pop(report_request_id, None) is not None]
        self._append(ven_id, items)
        self._feed.publish((ven_id,))
        return ended

    async def save_readings(self, readings: Sequence[StoredReading]) -> None:
        self._check_open()
        rows = [row.reading_to_row(stored) for stored in readings]
        for one in rows:
            key = (one["report_specifier_id"], one["r_id"], one["start"])
            self._readings.setdefault(one["ven_id"], {})[key] = row.reading_from_row(one)

    async def list_readings(
        self,
        ven_id: str,
        *,
        report_specifier_id: str | None = None,
        r_id: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
        after: StoredReading | None = None,
    ) -> list[StoredReading]:
        self._check_open()
        first = None if start is None else row.to_micros(start, "start")
        last = None if end is None else row.to_micros(end, "end")
        found = [
            (at, rid, specifier)
            for specifier, rid, at in self._readings.get(ven_id, {})
            if report_specifier_id in (None, specifier)
            and r_id in (None, rid)
            and (first is None or first <= at)
            and (last is None or at < last)
        ]
        if after is not None:
            before = (row.to_micros(after.reading.start, "after"), after.reading.r_id, after.report_specifier_id)
            found = [key for key in found if key > before]
        found.sort()
        kept = self._readings.get(ven_id, {})
        return [kept[specifier, rid, at] for at, rid, specifier in found[: row.to_limit(limit)]]

    async def delete_readings(self, ven_id: str, before: datetime) -> int:
        self._check_open()
        until = row.to_micros(before, "before")
        readings = self._readings.get(ven_id, {})
        old = [key for key in readings if key[2] < until]
        for key in old:
            del readings[key]
        return len(old)


def _outgoing(ven_id: str, items: Sequence[Outgoing]) -> list[Outgoing]:
    return [row.outgoing_from_row(row.outgoing_to_row(ven_id, item)) for item in items]


def _answers(answers: Sequence[Answer]) -> list[Answer]:
    return [row.answer_from_row(row.answer_to_row(answer)) for answer in answers]
