"""The door with spans of OpenTelemetry: one for each message, from its arrival to its reply."""

from __future__ import annotations

import asyncio
import os
from importlib import import_module
from typing import Any, Protocol

from pyopenadr.errors import ConfigError
from pyopenadr.vtn.doors.observed import gist_of
from pyopenadr.vtn.doors.talk import Peer

__all__ = ["TracedDoor", "Traces", "traces_of"]

_FLUSH_MS = 5000


class _Door(Protocol):
    def is_mine(self, path: str) -> bool: ...

    async def handle(self, path: str, body: bytes, peer: Peer) -> tuple[int, bytes]: ...


class Traces:
    """Where spans go: to a `TracerProvider` of the program's, or to one of our own, which `flush` empties."""

    def __init__(self, provider: Any, *, own: bool) -> None:
        self._provider = provider
        self._own = own

    def traced(self, door: _Door) -> TracedDoor:
        """The door, with a span for each message."""
        return TracedDoor(door, self._provider.get_tracer("pyopenadr.vtn"))

    async def flush(self) -> None:
        """Send what waits; it takes five seconds at most."""
        if self._own:
            await asyncio.to_thread(self._provider.force_flush, _FLUSH_MS)


def traces_of(setting: object) -> Traces | None:
    """What the setting `traces` means: nothing, an exporter by OTLP over HTTP, or a provider of the program's own.

    Raises:
        ConfigError: a package is missing, or that is no provider.
    """
    if setting is False or setting is None:
        return None
    if setting is not True:
        if not hasattr(setting, "get_tracer"):
            raise ConfigError(f"traces may be True, or a TracerProvider of OpenTelemetry, not {setting!r}")
        return Traces(setting, own=False)
    try:  # late, because hardly any program has it
        sdk = import_module("opentelemetry.sdk.trace")
        export = import_module("opentelemetry.sdk.trace.export")
        otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        resource = import_module("opentelemetry.sdk.resources")
    except ImportError as error:
        raise ConfigError(f"traces need more packages: pip install 'pyopenadr[otel]' ({error})") from error
    name = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "pyopenadr-vtn"}
    provider = sdk.TracerProvider(resource=resource.Resource.create(name))
    provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter()))
    return Traces(provider, own=True)


class TracedDoor:
    """Answers as the door behind it does, inside a span that is named as the message.

    The span says which message and reply, of which VEN, with which request ID and response code; it is an error where
    the server has failed. It is the parent of the spans that the user's handlers make.
    """

    def __init__(self, door: _Door, tracer: Any) -> None:
        self._door = door
        self._tracer = tracer
        trace = import_module("opentelemetry.trace")
        self._kind = trace.SpanKind.SERVER
        self._failed = trace.StatusCode.ERROR

    def is_mine(self, path: str) -> bool:
        """Whether the path is one of the 2.0 endpoints."""
        return self._door.is_mine(path)

    async def handle(self, path: str, body: bytes, peer: Peer) -> tuple[int, bytes]:
        """Answer a POST: the HTTP status, and the reply."""
        asked = gist_of(body)
        with self._tracer.start_as_current_span(asked.kind, kind=self._kind) as span:
            status, reply = await self._door.handle(path, body, peer)
            if span.is_recording():
                said = gist_of(reply) if status == 200 else None
                told = {
                    "openadr.message": asked.kind,
                    "openadr.reply": said.kind if said is not None else None,
                    "openadr.ven_id": asked.ven_id or (said.ven_id if said is not None else None),
                    "openadr.request_id": asked.request_id or (said.request_id if said is not None else None),
                    "openadr.response_code": said.code if said is not None else None,
                    "http.response.status_code": status,
                }
                span.set_attributes({name: value for name, value in told.items() if value is not None})
                if status >= 500 or (said is not None and said.code is not None and said.code.startswith("5")):
                    span.set_status(self._failed)
        return status, reply
