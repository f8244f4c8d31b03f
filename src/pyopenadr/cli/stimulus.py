"""Moves the operator's side of our own VTN, by its API, for `pyopenadr conformance vtn`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pyopenadr.cli.remote import Api, part
from pyopenadr.conformance.stimulus import EventWish

__all__ = ["ApiStimulus"]

UNITS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "currencyPerKWh": {"name": "currencyPerKWh", "symbol": "EUR", "scale": "none"},
        "powerReal": {
            "name": "powerReal",
            "symbol": "W",
            "scale": "k",
            "hertz": 50.0,
            "voltage": 230.0,
            "ac": True,
        },
    }
)


class ApiStimulus:
    """A `Stimulus` that calls the REST API."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def create_event(self, wish: EventWish) -> str:
        body: dict[str, Any] = {
            "event_id": wish.event_id,
            "ven_ids": [wish.ven_id],
            "start": wish.start.isoformat(),
            "intervals": [{"duration": _seconds(seconds), "value": value} for seconds, value in wish.steps],
            "signal_name": wish.signal_name,
            "signal_type": wish.signal_type,
            "unit": dict(UNITS[wish.unit]) if wish.unit is not None else None,
            "priority": wish.priority,
            "start_after": _seconds(wish.start_after),
            "ramp_up": _seconds(wish.ramp_up) if wish.ramp_up else None,
            "response_required": wish.response_required,
            "test_event": "true" if wish.is_test else None,
            "market_context": "http://MarketContext1",
            "overlap": "allow",
        }
        return str((await self._ask("POST", "/events", body))["event"]["event_id"])

    async def change_event(self, event_id: str, priority: int) -> None:
        path = f"/events/{part(event_id)}"
        seen = (await asyncio.to_thread(self._api.ask, "GET", path))[1]["etag"]
        await asyncio.to_thread(self._api.ask, "PATCH", path, {"priority": priority}, headers={"If-Match": seen})

    async def cancel_event(self, event_id: str) -> None:
        await self._ask("POST", f"/events/{part(event_id)}/cancel")

    async def request_report(self, ven_id: str, specifier_id: str, seconds: int) -> str:
        every = _seconds(seconds)
        body = {"report_specifier_id": specifier_id, "report_back_duration": every, "granularity": every}
        return str((await self._ask("POST", f"/vens/{part(ven_id)}/report-requests", body))["report_request_id"])

    async def cancel_report(self, ven_id: str, request_id: str) -> None:
        await self._ask("DELETE", f"/vens/{part(ven_id)}/report-requests/{part(request_id)}")

    async def reregister(self, ven_id: str) -> None:
        await self._ask("POST", f"/vens/{part(ven_id)}/reregister")

    async def cancel_registration(self, ven_id: str) -> None:
        await self._ask("DELETE", f"/vens/{part(ven_id)}")

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        return (await asyncio.to_thread(self._api.ask, method, path, body))[0]


def _seconds(seconds: int) -> str:
    return f"PT{seconds}S"
