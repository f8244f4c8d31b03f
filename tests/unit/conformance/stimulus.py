"""The operator's side of our own VTN, moved directly."""

from __future__ import annotations

from datetime import timedelta

from pyopenadr.conformance.stimulus import EventWish
from pyopenadr.model import Event, Interval, ResponseRequired, Signal, Unit
from pyopenadr.vtn.server import OpenADRServer

UNITS = {
    "currencyPerKWh": Unit(name="currencyPerKWh", symbol="EUR", scale="none"),
    "powerReal": Unit(name="powerReal", symbol="W", scale="k", hertz=50.0, voltage=230.0, ac=True),
}


class ServerStimulus:
    """Does with a server what the checks ask for."""

    def __init__(self, server: OpenADRServer) -> None:
        self.server = server

    async def create_event(self, wish: EventWish) -> str:
        intervals = tuple(Interval(timedelta(seconds=seconds), value) for seconds, value in wish.steps)
        signal = Signal(
            signal_name=wish.signal_name,
            signal_type=wish.signal_type,
            signal_id="s1",
            intervals=intervals,
            unit=UNITS.get(wish.unit or ""),
        )
        event = Event(
            event_id=wish.event_id,
            start=wish.start,
            duration=timedelta(seconds=sum(seconds for seconds, _ in wish.steps)),
            signals=(signal,),
            created_date_time=self.server.clock.now().replace(microsecond=0),
            market_context="http://MarketContext1",
            priority=wish.priority,
            start_after=timedelta(seconds=wish.start_after),
            ramp_up=timedelta(seconds=wish.ramp_up) if wish.ramp_up else None,
            response_required=ResponseRequired(wish.response_required),
            test_event="true" if wish.is_test else None,
        )
        await self.server.add_event(event, ven_ids=[wish.ven_id], overlap="allow")
        return event.event_id

    async def change_event(self, event_id: str, priority: int) -> None:
        await self.server.change_event(event_id, priority=priority)

    async def cancel_event(self, event_id: str) -> None:
        await self.server.cancel_event(event_id)

    async def request_report(self, ven_id: str, specifier_id: str, seconds: int) -> str:
        request = await self.server.request_report(
            ven_id,
            report_specifier_id=specifier_id,
            granularity=timedelta(seconds=seconds),
            report_back_duration=timedelta(seconds=seconds),
        )
        return request.report_request_id

    async def cancel_report(self, ven_id: str, request_id: str) -> None:
        await self.server.cancel_report(ven_id, request_id)

    async def reregister(self, ven_id: str) -> None:
        await self.server.request_reregistration(ven_id)

    async def cancel_registration(self, ven_id: str) -> None:
        await self.server.cancel_registration(ven_id)
