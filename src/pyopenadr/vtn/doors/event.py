"""Events and opts: the messages of EiEvent and EiOpt."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

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
        # What the user's own backend last offered to each VEN: its answers are judged by that.
        self._offered: dict[str, tuple[Event, ...]] = {}

    def answers(self) -> Mapping[type[wire.Message], Answer]:
        """What this part answers."""
        return {
            wire.OadrRequestEvent: self._request_event,
            wire.OadrCreatedEvent: self._created_event,
            wire.OadrCreateOpt: self._create_opt,
            wire.OadrCancelOpt: self._cancel_opt,
        }

    async def events_for(self, ven_id: str) -> Sequence[Event]:
        """The VEN's events: the user's, or those of the store."""
        answer = await self.ask("on_request_event", ven_id)
        if answer is UNSET:
            return self.service.events_of(ven_id)
        if answer is None:
            events: tuple[Event, ...] = ()
        elif isinstance(answer, Event):
            events = (answer,)
        elif isinstance(answer, wire.OadrDistributeEvent):
            events = tuple(bridge.lift_event(event) for event in answer.events)
        elif isinstance(answer, Sequence) and all(isinstance(event, Event) for event in answer):
            events = tuple(answer)
        else:
            raise ProtocolError(f"on_request_event must return Events or None, not {type(answer).__name__}", code="500")
        self._offered[ven_id] = events
        return events

    async def distribute(
        self,
        ven: Ven,
        events: Sequence[Event],
        request_id: str,
        *,
        limit: int | None = None,
        profile: ProfileName = "2.0b",
    ) -> wire.Message:
        now = self.service.clock.now()
        ordered = rules.in_order(events, now)[:limit]
        ven_id = ven.registration.ven_id
        await self.service.note_told(ven_id, ordered)
        lowered = bridge.lower_events(
            ordered,
            now=now,
            vtn_id=self.vtn_id,
            request_id=self.service.new_id(),
            ven_id=ven_id,
            response=faults.response(request_id),
            profile=profile,
        )
        for loss in lowered.lost:
            log.warning("VEN %s is not told everything: %s", ven_id, loss)
        return lowered.value

    def offer(self, ven_id: str, event: Event) -> None:
        """The user's on_poll has chosen this event for the VEN."""
        self._offered[ven_id] = (event,)

    async def _request_event(self, message: wire.OadrRequestEvent, peer: Peer) -> wire.Message:
        ven = self.ven(message.ven_id)
        events = await self.events_for(message.ven_id)
        listed = await self.service.listed_events(message.ven_id, events)
        return await self.distribute(ven, listed, message.request_id, limit=message.reply_limit, profile=peer.profile)

    async def _known_event(self, ven_id: str, event_id: str) -> Event | None:
        if self.backend.get("on_request_event") is None and self.backend.get("on_poll") is None:
            events: Sequence[Event] = self.service.events_of(ven_id)
        elif ven_id in self._offered:
            events = self._offered[ven_id]
        else:  # after a restart
            events = await self.events_for(ven_id)
        return next((event for event in events if event.event_id == event_id), None)

    async def _created_event(self, message: wire.OadrCreatedEvent, peer: Peer) -> wire.Message:
        ven_id = message.ven_id
        self.ven(ven_id)
        good: list[EventAnswer] = []
        failed: list[tuple[str, str]] = []
        for response in message.event_responses or ():
            event = await self._known_event(ven_id, response.event_id)
            code = rules.judge_answer(response, event)
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
        await self.service.answer_events(ven_id, good)
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
        events: list[Event] = []
        if opt.event_id is not None:
            event = await self._known_event(message.ven_id, opt.event_id)
            events = [event] if event is not None else []
        await self.service.create_opt(opt, events)
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
