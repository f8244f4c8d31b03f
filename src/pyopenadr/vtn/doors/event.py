"""Events and opts: the messages of EiEvent and EiOpt."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence

from pyopenadr.errors import ProtocolError, RemoteProtocolError
from pyopenadr.model import Event, OptType
from pyopenadr.store.port import Answer as EventAnswer
from pyopenadr.v2 import bridge, faults, wire
from pyopenadr.v2 import vtn as rules
from pyopenadr.v2.profile import ProfileName
from pyopenadr.vtn.delivery import Ven
from pyopenadr.vtn.doors.talk import UNSET, Answer, Peer, Talk
from pyopenadr.vtn.handler import Caller
from pyopenadr.vtn.provider import Provider
from pyopenadr.vtn.question import Backend
from pyopenadr.vtn.service import Service

__all__ = ["EventTalk"]

log = logging.getLogger("pyopenadr.vtn")


class EventTalk(Talk):
    """Answers EiEvent and EiOpt."""

    def __init__(self, vtn_id: str, service: Service, provider: Provider, backend: Backend, caller: Caller) -> None:
        super().__init__(vtn_id, service, provider, backend, caller)
        # What the user's own backend has offered to each VEN: its answers are judged by that.
        self._offered: dict[str, dict[str, Event]] = {}

    def answers(self) -> Mapping[type[wire.Message], Answer]:
        """What this part answers."""
        return {
            wire.OadrRequestEvent: self._request_event,
            wire.OadrCreatedEvent: self._created_event,
            wire.OadrCreateOpt: self._create_opt,
            wire.OadrCancelOpt: self._cancel_opt,
        }

    async def events_for(self, ven_id: str) -> Sequence[Event] | None:
        """The events that the user has for the VEN; None if the service's own count."""
        answer = await self.ask("on_request_event", ven_id)
        if answer is UNSET:
            return None
        events = _as_events(answer)
        self.offer(ven_id, events)
        return events

    async def distribute(
        self,
        ven: Ven,
        events: Sequence[Event],
        request_id: str | None,
        *,
        limit: int | None = None,
        profile: ProfileName = "2.0b",
    ) -> wire.Message:
        """The message with a VEN's events as they are now, in the order of the rules; at most `limit` of them.

        It answers the request with that ID; None where it answers none, because it is pushed.
        """
        now = self.service.clock.now().replace(microsecond=0)
        ordered = rules.in_order(events, now)[:limit]
        ven_id = ven.registration.ven_id
        own_id = self.service.new_id()
        if request_id is None:
            self.service.note_push(ven_id, ordered, own_id)
        else:
            await self.service.note_told(ven_id, ordered, own_id)
        lowered = bridge.lower_events(
            await self.service.addressed(ven_id, ordered),
            now=now,
            vtn_id=self.vtn_id,
            request_id=own_id,
            ven_id=ven_id,
            response=faults.response(request_id) if request_id is not None else None,
            profile=profile,
        )
        for loss in lowered.lost:
            log.warning("VEN %s is not told everything: %s", ven_id, loss)
        return lowered.value

    def offer(self, ven_id: str, events: Iterable[Event]) -> None:
        """The user's code has chosen these events for the VEN."""
        now = self.service.clock.now()
        offered = self._offered.setdefault(ven_id, {})
        offered.update((event.event_id, event) for event in events)
        for event_id, event in list(offered.items()):
            if event.listed_until is not None and event.listed_until < now:
                del offered[event_id]

    async def _request_event(self, message: wire.OadrRequestEvent, peer: Peer) -> wire.Message:
        ven = self.ven(message.ven_id)
        events = await self.events_for(message.ven_id)
        if events is None:
            events = self.service.events_of(message.ven_id)
        listed = await self.service.listed_events(message.ven_id, events)
        return await self.distribute(ven, listed, message.request_id, limit=message.reply_limit, profile=peer.profile)

    async def _known_events(self, ven_id: str, event_ids: Collection[str]) -> dict[str, Event]:
        """Those of the events that are open for the VEN: the user's own, or the service's."""
        known = {event.event_id: event for event in self.service.events_of(ven_id)}
        known |= self._offered.get(ven_id, {})
        if not known.keys() >= set(event_ids) and self.backend.get("on_request_event") is not None:
            await self.events_for(ven_id)  # after a restart nothing has been offered yet
            known |= self._offered.get(ven_id, {})
        return known

    async def _created_event(self, message: wire.OadrCreatedEvent, peer: Peer) -> wire.Message:
        ven_id = message.ven_id
        self.ven(ven_id)
        good: list[EventAnswer] = []
        failed: list[tuple[str, str]] = []
        responses = message.event_responses or ()
        known = await self._known_events(ven_id, [response.event_id for response in responses])
        for response in responses:
            code = rules.judge_answer(response, known.get(response.event_id))
            if code == "200":
                good.append(
                    EventAnswer(
                        event_id=response.event_id,
                        ven_id=ven_id,
                        modification_number=response.modification_number,
                        opt_type=OptType(response.opt_type),
                        response_code=response.response_code,
                        response_description=response.response_description,
                        answered_at=self.service.clock.now(),
                    )
                )
            else:
                failed.append((response.event_id, code))
        answer = await self.ask("on_created_event", message)
        await self.service.answer_events(ven_id, good, next((r.request_id for r in responses), None))
        for each in good:
            what = (ven_id, each.opt_type, each.event_id, each.modification_number, each.response_code)
            log.info("VEN %s answers %s to event %s, version %d (%s)", *what)
        if isinstance(answer, wire.Message):
            return answer
        if failed:
            which = ", ".join(f"{event_id} ({faults.CODES[code]})" for event_id, code in failed)
            fault = faults.response(message.response.request_id, failed[0][1], f"not accepted: {which}")
            return wire.OadrResponse(response=fault, ven_id=ven_id)
        return self.acknowledge(message.response.request_id, ven_id)

    async def _create_opt(self, message: wire.OadrCreateOpt, peer: Peer) -> wire.Message:
        self.ven(message.ven_id)
        opt = bridge.lift_opt(message)
        answer = await self.ask("on_create_opt", message)
        if answer is False:
            raise RemoteProtocolError("this opt is not accepted", code="459")
        event = None
        if opt.event_id is not None:
            event = (await self._known_events(message.ven_id, [opt.event_id])).get(opt.event_id)
            if event is not None:
                [event] = await self.service.addressed(message.ven_id, [event])
        await self.service.create_opt(opt, event)
        if isinstance(answer, wire.Message):
            return answer
        return wire.OadrCreatedOpt(response=faults.response(message.request_id), opt_id=message.opt_id)

    async def _cancel_opt(self, message: wire.OadrCancelOpt, peer: Peer) -> wire.Message:
        self.ven(message.ven_id)
        answer = await self.ask("on_cancel_opt", message)
        await self.service.cancel_opt(message.ven_id, message.opt_id)
        if isinstance(answer, wire.Message):
            return answer
        return wire.OadrCanceledOpt(response=faults.response(message.request_id), opt_id=message.opt_id)


def _as_events(answer: object) -> tuple[Event, ...]:
    """What the user's on_request_event has returned, as events."""
    if answer is None:
        return ()
    if isinstance(answer, Event):
        return (answer,)
    if isinstance(answer, wire.OadrDistributeEvent):
        return tuple(bridge.lift_event(event) for event in answer.events)
    if isinstance(answer, Sequence) and all(isinstance(event, Event) for event in answer):
        return tuple(answer)
    raise ProtocolError(f"on_request_event must return Events or None, not {type(answer).__name__}", code="500")
