"""How the operator's side of the VTN under test is moved: events made, changed and cancelled, reports asked for."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any, Protocol

import msgspec

from pyopenadr.conformance.check import NotApplicable
from pyopenadr.errors import ConfigError

__all__ = ["CommandStimulus", "EventWish", "Stimulus"]


class EventWish(msgspec.Struct, frozen=True, kw_only=True):
    """An event that the VTN shall send. `steps` are seconds and value of each interval; seconds of 0 have no end.

    `start_after` and `ramp_up` are seconds. `unit` is the standard's element, such as `currencyPerKWh`.
    """

    event_id: str
    ven_id: str
    start: datetime
    steps: tuple[tuple[int, float], ...] = ((3600, 1.0),)
    signal_name: str = "SIMPLE"
    signal_type: str = "level"
    unit: str | None = None
    priority: int = 0
    start_after: int = 0
    ramp_up: int = 0
    response_required: str = "always"
    is_test: bool = False


class Stimulus(Protocol):
    """What the checks ask for. What the VTN can't do is refused by `NotApplicable`."""

    async def create_event(self, wish: EventWish) -> str:
        """Have an event published; returns its eventID."""
        ...

    async def change_event(self, event_id: str, priority: int) -> None:
        """Have its priority changed."""
        ...

    async def cancel_event(self, event_id: str) -> None:
        """Have it cancelled."""
        ...

    async def request_report(self, ven_id: str, specifier_id: str, seconds: int) -> str:
        """Have a report asked for every so many seconds (0: once); returns the reportRequestID."""
        ...

    async def cancel_report(self, ven_id: str, request_id: str) -> None:
        """Have a report ended."""
        ...

    async def reregister(self, ven_id: str) -> None:
        """Have the VEN asked to register again."""
        ...

    async def cancel_registration(self, ven_id: str) -> None:
        """Have the VEN's registration ended by the VTN."""
        ...


class CommandStimulus:
    """Runs a program for each wish. It gets one line of JSON on its standard input, such as
    `{"action": "create_event", "event_id": …}`, and prints one object, such as `{"event_id": …}`, or nothing. An exit
    status of 3 says that it can't do that.
    """

    def __init__(self, command: str, *, timeout_s: float = 30.0) -> None:
        self._command = command
        self._timeout_s = timeout_s

    async def create_event(self, wish: EventWish) -> str:
        found = await self._run("create_event", msgspec.to_builtins(wish))
        return str(found.get("event_id", wish.event_id))

    async def change_event(self, event_id: str, priority: int) -> None:
        await self._run("change_event", {"event_id": event_id, "priority": priority})

    async def cancel_event(self, event_id: str) -> None:
        await self._run("cancel_event", {"event_id": event_id})

    async def request_report(self, ven_id: str, specifier_id: str, seconds: int) -> str:
        wish = {"ven_id": ven_id, "report_specifier_id": specifier_id, "seconds": seconds}
        found = await self._run("request_report", wish)
        return str(found.get("report_request_id", ""))

    async def cancel_report(self, ven_id: str, request_id: str) -> None:
        await self._run("cancel_report", {"ven_id": ven_id, "report_request_id": request_id})

    async def reregister(self, ven_id: str) -> None:
        await self._run("reregister", {"ven_id": ven_id})

    async def cancel_registration(self, ven_id: str) -> None:
        await self._run("cancel_registration", {"ven_id": ven_id})

    async def _run(self, action: str, wish: dict[str, Any]) -> dict[str, Any]:
        process = await asyncio.create_subprocess_shell(
            self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        told = json.dumps({"action": action, **wish}).encode() + b"\n"
        try:
            out, _ = await asyncio.wait_for(process.communicate(told), self._timeout_s)
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise ConfigError(f"{self._command!r} has not ended {action} within {self._timeout_s:g} s") from error
        if process.returncode == 3:
            raise NotApplicable(f"the stimulus has no {action}")
        if process.returncode:
            raise ConfigError(f"{self._command!r} has failed at {action} with status {process.returncode}")
        try:
            found = json.loads(out) if out.strip() else {}
        except ValueError as error:
            raise ConfigError(f"{self._command!r} prints no JSON at {action}") from error
        return found if isinstance(found, dict) else {}
