"""How others on this machine look into a VEN that runs: a socket for its owner, and a read-only page on loopback.

The socket lies beside the state file, for this user alone; `pyopenadr ven status`, `events`, `opt` and `export` use it.
The page is off unless `ven.yaml` has `status`.
"""

from __future__ import annotations

import contextlib
import html
import os
import socket
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from pyopenadr.agent.agent import Agent
from pyopenadr.agent.calendar import calendar_of
from pyopenadr.clock import Clock
from pyopenadr.errors import ConfigError, OpenADRError
from pyopenadr.model import Event

__all__ = ["Door"]

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Door:
    """Serves what is known of an agent; `async with` opens and closes it."""

    def __init__(self, agent: Agent, clock: Clock, *, path: Path | None, port: int | None) -> None:
        self._agent = agent
        self._clock = clock
        self._path = path
        self._port = port
        self._runners: list[web.AppRunner] = []

    async def __aenter__(self) -> Door:
        try:
            if self._path is not None and hasattr(socket, "AF_UNIX"):
                await self._open_socket(self._path)
            if self._port is not None:
                runner = await self._runner(may_change=False)
                await web.TCPSite(runner, "127.0.0.1", self._port).start()
        except OSError as error:
            await self.close()
            raise ConfigError(
                f"status.port {self._port} can't be listened on: {error.strerror}; take another"
            ) from error
        return self

    async def _open_socket(self, path: Path) -> None:
        if len(os.fsencode(path)) > 100:
            raise ConfigError(f"the path {path} is too long for a socket: give a shorter ven.state")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # the state file's lock has shown that nobody else is at work
        runner = await self._runner(may_change=True)
        before = os.umask(0o177)
        try:
            await web.UnixSite(runner, str(path)).start()
        finally:
            os.umask(before)

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop serving."""
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()

    async def _runner(self, *, may_change: bool) -> web.AppRunner:
        app = web.Application(middlewares=[] if may_change else [_from_here])
        app.router.add_get("/", self._page)
        app.router.add_get("/status", self._status)
        app.router.add_get("/events", self._events)
        app.router.add_get("/timeline", self._timeline)
        app.router.add_get("/events.ics", self._calendar)
        if may_change:
            app.router.add_post("/opt", self._opt)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._runners.append(runner)
        return runner

    # -- what is told --------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """How the VEN stands."""
        client, plan = self._agent.client, self._agent.plan
        safe = client.failsafe
        return {
            "ven": plan.ven.name,
            "ven_id": client.ven_id,
            "vtn": plan.vtn.url,
            "vtn_id": client.vtn_id,
            "registered": client.registered,
            "poll_seconds": client.poll_interval.total_seconds(),
            "failsafe": {"since": safe.since.isoformat(), "action": safe.action} if safe and safe.active else None,
            "events": len(client.events),
            "unsent": client.unsent,
            "dropped": client.dropped,
            "reports": len(client.report_requests),
            "signals": self._agent.values,
            "time": self._clock.now().isoformat(timespec="seconds"),
        }

    def events(self) -> list[dict[str, Any]]:
        """The events that are known, by their start."""
        now = self._clock.now()
        known = sorted(self._agent.client.events.values(), key=lambda known: known.event.start)
        return [{**_event(k.event, now), "opt": str(k.opt_type) if k.opt_type is not None else None} for k in known]

    async def _status(self, request: web.Request) -> web.Response:
        return web.json_response(self.status())

    async def _events(self, request: web.Request) -> web.Response:
        return web.json_response(self.events())

    async def _timeline(self, request: web.Request) -> web.Response:
        now = self._clock.now()
        try:
            hours = float(request.query.get("hours", "24"))
            end = now + timedelta(hours=hours)
        except (ValueError, OverflowError):
            raise web.HTTPBadRequest(text="hours must be a number\n") from None
        steps = self._agent.client.timeline(now, end)
        return web.json_response(
            [
                {
                    "start": step.span.start.isoformat(),
                    "end": step.span.end.isoformat() if step.span.end is not None else None,
                    "signal": step.signal.signal_name,
                    "resource": step.resource,
                    "value": step.value,
                    "event_id": step.event.event_id,
                }
                for step in steps
            ]
        )

    async def _calendar(self, request: web.Request) -> web.Response:
        client = self._agent.client
        text = calendar_of(
            [(known, client.executed_span(event_id)) for event_id, known in client.events.items()],
            self._agent.plan.ven.name,
            self._clock.now(),
        )
        return web.Response(text=text, content_type="text/calendar")

    async def _opt(self, request: web.Request) -> web.Response:
        asked = await request.json()
        change = self._agent.client.opt_in if asked.get("opt") == "in" else self._agent.client.opt_out
        try:
            await change(str(asked.get("event_id")))
        except OpenADRError as error:
            return web.json_response({"error": str(error)}, status=409)
        return web.json_response({"event_id": asked.get("event_id"), "opt": asked.get("opt")})

    async def _page(self, request: web.Request) -> web.Response:
        status, events = self.status(), self.events()
        signals = _table(["signal", "resource", "value", "event_id", "failed"], status.pop("signals"))
        facts = "".join(f"<tr><th>{html.escape(k)}<td>{html.escape(str(v))}" for k, v in status.items())
        listed = _table(["event_id", "status", "start", "end", "signals", "opt"], events)
        body = (
            f"<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=5><title>{html.escape(status['ven'])}"
            "</title><style>body{font:1rem sans-serif;margin:2rem}th{text-align:left;padding-right:1rem}"
            f"td{{padding-right:1rem}}</style><h1>{html.escape(status['ven'])}</h1><table>{facts}</table>"
            f"<h2>Signals</h2>{signals}<h2>Events</h2>{listed}"
        )
        return web.Response(text=body, content_type="text/html")


@web.middleware
async def _from_here(request: web.Request, handler: Any) -> web.StreamResponse:
    """Only under a name of this machine: a page of somebody else's could make a browser ask under its own name."""
    if request.host.rpartition(":")[0] not in LOCAL_NAMES and request.host not in LOCAL_NAMES:
        raise web.HTTPForbidden(text="call this page by 127.0.0.1 or localhost\n")
    answer: web.StreamResponse = await handler(request)
    return answer


def _table(columns: list[str], rows: list[dict[str, Any]]) -> str:
    head = "".join(f"<th>{html.escape(column)}" for column in columns)
    lines = "".join(
        "<tr>"
        + "".join(f"<td>{html.escape(str(row[column] if row[column] is not None else ''))}" for column in columns)
        for row in rows
    )
    return f"<table><tr>{head}{lines}</table>"


def _event(event: Event, now: datetime) -> dict[str, Any]:
    end = event.active_span.end
    return {
        "event_id": event.event_id,
        "modification_number": event.modification_number,
        "status": str(event.status_at(now)),
        "start": event.start.isoformat(),
        "end": end.isoformat() if end is not None else None,
        "test": event.is_test,
        "market_context": event.market_context,
        "signals": {signal.signal_name: [i.value for i in signal.intervals] for signal in event.signals},
    }
