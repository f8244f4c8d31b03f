"""openleadr's VEN as a program that the tests control."""

from __future__ import annotations

import asyncio
import inspect
import logging
from datetime import datetime, timedelta
from typing import Any

from openleadr import OpenADRClient, objects
from openleadr.enums import MEASUREMENTS

from tests.interop.control import obey


class Ven:
    """One VEN of openleadr's, its handlers, and everything it sent and received."""

    def __init__(self) -> None:
        self.client: Any = None
        self.opt_type = "optIn"
        self.heard: list[list[Any]] = []
        self.sent: list[str] = []
        self.received: list[str] = []

    async def start(
        self,
        *,
        name: str,
        url: str,
        run: bool = False,
        reports: bool = False,
        cert: str | None = None,
        key: str | None = None,
        ca_file: str | None = None,
        vtn_fingerprint: str | None = None,
    ) -> None:
        """Make the client; with `run` in its automatic mode, else it does what it is told."""
        self.client = OpenADRClient(name, url, cert=cert, key=key, ca_file=ca_file, vtn_fingerprint=vtn_fingerprint)
        self.client.add_handler("on_event", self.on_event)
        self.client.add_handler("on_update_event", self.on_update_event)
        self.client.add_hook("before_send_xml", self.sent.append)
        self.client.add_hook("after_receive_xml", self.received.append)
        if reports:
            self.add_reports()
        if run:
            await self.client.run()

    def add_reports(self) -> None:
        for resource, value in (("roof", 1.5), ("cellar", 2.5)):
            self.client.add_report(
                callback=lambda value=value: value,
                report_specifier_id="power",
                r_id=f"power-{resource}",
                resource_id=resource,
                measurement=MEASUREMENTS.POWER_REAL,
                sampling_rate=timedelta(seconds=1),
            )
        self.client.add_report(
            callback=lambda: 1,
            report_specifier_id="status",
            r_id="status-roof",
            resource_id="roof",
            report_name="TELEMETRY_STATUS",
            report_type="x-resourceStatus",
            reading_type="x-notApplicable",
            sampling_rate=timedelta(seconds=1),
        )

    def on_event(self, event: dict[str, Any]) -> str:
        self.hear("new", event)
        return self.opt_type

    def on_update_event(self, event: dict[str, Any]) -> str:
        self.hear("changed", event)
        return self.opt_type

    def hear(self, kind: str, event: dict[str, Any]) -> None:
        descriptor = event["event_descriptor"]
        values = [[interval["signal_payload"] for interval in signal["intervals"]] for signal in event["event_signals"]]
        self.heard.append(
            [kind, descriptor["event_id"], descriptor["modification_number"], descriptor["event_status"], values]
        )

    def set_opt(self, *, opt_type: str) -> None:
        self.opt_type = opt_type

    def state(self) -> dict[str, Any]:
        frequency = self.client.poll_frequency
        return {
            "ven_id": self.client.ven_id,
            "registration_id": self.client.registration_id,
            "poll_frequency": frequency.total_seconds() if frequency is not None else None,
            "heard": self.heard,
            "report_requests": [request["report_request_id"] for request in self.client.report_requests or ()],
        }

    def traffic(self) -> dict[str, list[str]]:
        return {"sent": self.sent, "received": self.received}

    async def call(self, *, method: str, **arguments: Any) -> Any:
        """Any method of the client."""
        result = getattr(self.client, method)(**arguments)
        return await result if inspect.isawaitable(result) else result

    async def create_opt(self, *, available: list[Any] | None = None, target: str, **arguments: Any) -> Any:
        """An opt; `available` is one start with a length in seconds."""
        if available is not None:
            component = objects.VavailabilityComponent(
                datetime.fromisoformat(available[0]), timedelta(seconds=available[1])
            )
            arguments["vavailability"] = objects.Vavailability([component])
        return await self.client.create_opt(targets=[objects.Target(resource_id=target)], **arguments)

    async def stop(self) -> None:
        if self.client is not None and self.client.client_session is not None:
            await self.client.stop()


async def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    ven = Ven()
    await obey({name: getattr(ven, name) for name in ("start", "set_opt", "state", "traffic", "call", "create_opt")})
    await ven.stop()


if __name__ == "__main__":
    asyncio.run(main())
