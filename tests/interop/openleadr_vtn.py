"""openleadr's VTN as a program that the tests control."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from datetime import datetime, timedelta
from typing import Any

from openleadr import OpenADRServer

from tests.interop.control import obey

VTN_ID = "VTN_OLR"
PREFIX = "/OpenADR2/Simple/2.0b"


class Vtn:
    """One VTN of openleadr'swith its handlers."""

    def __init__(self) -> None:
        self.server: Any = None
        self.url = ""
        self.accepts = True
        self.registered: dict[str, dict[str, Any]] = {}
        self.offered: list[list[Any]] = []
        self.readings: list[list[Any]] = []
        self.opts: list[list[str]] = []
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.sampling = self.reporting = timedelta(seconds=1)

    async def start(
        self,
        *,
        poll_frequency: float = 1.0,
        fingerprint: str | None = None,
        sampling: float = 1.0,
        reporting: float = 1.0,
        **settings: Any,
    ) -> str:
        """Serve on a free port of loopback and return the address; `fingerprint` is what every VEN must have."""
        self.sampling, self.reporting = timedelta(seconds=sampling), timedelta(seconds=reporting)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]

        def ven_lookup(ven_id: str) -> dict[str, Any] | None:
            known = self.registered.get(str(ven_id))
            return {**known, "fingerprint": fingerprint} if known is not None else None

        self.server = OpenADRServer(
            VTN_ID,
            http_port=port,
            requested_poll_freq=timedelta(seconds=poll_frequency),
            ven_lookup=ven_lookup,
            **settings,
        )
        for name in (
            "on_create_party_registration",
            "on_cancel_party_registration",
            "on_register_report",
        ):
            self.server.add_handler(name, getattr(self, name))
        await self.server.run()
        self.url = f"{'https' if 'http_cert' in settings else 'http'}://localhost:{port}{PREFIX}"
        return self.url

    def refuse(self) -> None:
        self.accepts = False

    def on_create_party_registration(self, payload: dict[str, Any]) -> Any:
        if not self.accepts:
            return False
        ven_id = payload.get("ven_id") or f"VEN_{payload['ven_name']}"
        self.registered[ven_id] = {
            "ven_id": ven_id,
            "ven_name": payload["ven_name"],
            "registration_id": f"REG_{len(self.registered)}",
        }
        return ven_id, self.registered[ven_id]["registration_id"]

    def on_cancel_party_registration(self, payload: dict[str, Any]) -> None:
        self.registered.pop(payload["ven_id"], None)

    def on_register_report(
        self,
        ven_id: str,
        resource_id: str,
        measurement: str,
        unit: str,
        scale: str,
        min_sampling_interval: timedelta,
        max_sampling_interval: timedelta,
    ) -> Any:
        """Ask for every data point that is offered."""
        self.offered.append([ven_id, resource_id, measurement, unit, scale])

        def take(values: list[tuple[datetime, Any]]) -> None:
            self.readings.extend([measurement, moment.isoformat(), value] for moment, value in values)

        return take, self.sampling, self.reporting

    def add_event(self, *, ven_id: str, start: str, seconds: float, value: float, **arguments: Any) -> str:
        """An event with one interval; its answer goes to the list of opts."""
        interval = {
            "dtstart": datetime.fromisoformat(start),
            "duration": timedelta(seconds=seconds),
            "signal_payload": value,
        }
        arguments = {"signal_name": "SIMPLE", "signal_type": "level", **arguments}
        event_id: str = self.server.add_event(ven_id=ven_id, intervals=[interval], callback=self.on_opt, **arguments)
        return event_id

    def on_opt(self, ven_id: str, event_id: str, opt_type: str) -> None:
        self.opts.append([ven_id, event_id, opt_type])

    def change_event(self, *, ven_id: str, event_id: str, value: float) -> None:
        """A new value, as an application does it that changes the server's own object."""
        event = next(e for e in self.server.events[ven_id] if e.event_descriptor.event_id == event_id)
        event.event_signals[0].intervals[0]["signal_payload"] = value
        event.event_descriptor.modification_number += 1
        self.server.event_callbacks[event_id] = (event, self.on_opt)
        self.server.events_updated[ven_id] = True

    def cancel_event(self, *, ven_id: str, event_id: str) -> None:
        event = next(e for e in self.server.events[ven_id] if e.event_descriptor.event_id == event_id)
        self.server.event_callbacks[event_id] = (event, self.on_opt)
        self.server.cancel_event(ven_id, event_id)

    def drop_event(self, *, ven_id: str, event_id: str) -> None:
        """Take an event off the list without a word (an implied cancellation)."""
        events = self.server.events[ven_id]
        events[:] = [event for event in events if event.event_descriptor.event_id != event_id]
        self.server.events_updated[ven_id] = True

    def say(self, *, message_type: str, payload: dict[str, Any]) -> None:
        """Answer the next poll with this message, as an application does it with a handler for polls."""
        self.messages.append((message_type, payload))
        self.server.add_handler("on_poll", self.on_poll)

    def on_poll(self, ven_id: str) -> Any:
        return self.messages.pop(0) if self.messages else None

    def state(self) -> dict[str, Any]:
        return {
            "registered": self.registered,
            "offered": self.offered,
            "readings": self.readings,
            "opts": self.opts,
        }

    def forget(self) -> None:
        """Lose every registration, as after a restart without a database."""
        self.registered.clear()

    async def stop(self) -> None:
        if self.server is not None:
            with contextlib.suppress(AttributeError):  # it never ran
                await self.server.stop()


async def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    vtn = Vtn()
    names = ("start", "refuse", "add_event", "change_event", "cancel_event", "drop_event", "say", "state", "forget")
    await obey({name: getattr(vtn, name) for name in names})
    await vtn.stop()


if __name__ == "__main__":
    asyncio.run(main())
