"""Spans of OpenTelemetry: one for each message."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from pyopenadr.errors import ConfigError
from pyopenadr.v2 import wire
from tests.unit.vtn.sample import HOUR, Ven, running, server

pytest.importorskip("opentelemetry.sdk")


@pytest.fixture
def exporter() -> Any:
    return import_module("opentelemetry.sdk.trace.export.in_memory_span_exporter").InMemorySpanExporter()


@pytest.fixture
def provider(exporter: Any) -> Iterator[Any]:
    made = import_module("opentelemetry.sdk.trace").TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(import_module("opentelemetry.sdk.trace.export").SimpleSpanProcessor(exporter))
    yield made
    made.shutdown()


async def test_each_message_is_a_span(provider: Any, exporter: Any) -> None:
    async with running(traces=provider, api=True) as vtn:
        ven = await Ven(vtn).join("one")
        await vtn.add_event(start=vtn.clock.now() + HOUR, intervals=[(HOUR, 1)])
        exporter.clear()
        await ven.answer(await ven.poll(wire.OadrDistributeEvent))
        assert await ven.is_idle()
        poll, answer, idle = exporter.get_finished_spans()
        assert [span.name for span in (poll, answer, idle)] == ["oadrPoll", "oadrCreatedEvent", "oadrPoll"]
        assert dict(poll.attributes)["openadr.reply"] == "oadrDistributeEvent"
        told = dict(answer.attributes)
        assert (told["openadr.ven_id"], told["openadr.response_code"]) == (ven.ven_id, "200")
        assert (told["http.response.status_code"], answer.kind.name, answer.status.is_ok) == (200, "SERVER", True)
        assert dict(idle.attributes)["openadr.ven_id"] == ven.ven_id


async def test_what_is_no_message_and_what_fails_are_spans_too(provider: Any, exporter: Any) -> None:
    def fails(_: object) -> None:
        raise ValueError("no")

    async with running(traces=provider, on_register_report=fails) as vtn:
        await vtn.handle("/OpenADR2/Simple/2.0b/OadrPoll", b"<x/>")
        ven = await Ven(vtn).join("one")
        exporter.clear()
        report = wire.OadrRegisterReport(request_id="q", ven_id=ven.ven_id)
        await ven.send("EiReport", report, wire.OadrRegisteredReport)
        [failed] = exporter.get_finished_spans()
        told = dict(failed.attributes)
        assert (told["openadr.request_id"], told["openadr.response_code"], failed.status.is_ok) == ("q", "500", False)


def test_off_there_is_nothing_in_the_way() -> None:
    plain = server()
    assert plain._traces is None
    assert type(plain._door).__name__ == "V2Door"


async def test_ones_own_exporter_is_made_when_asked_for_and_emptied_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    success = import_module("opentelemetry.sdk.trace.export").SpanExportResult.SUCCESS
    otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    sent: list[Any] = []

    def export(_: object, spans: Any) -> Any:
        sent.extend(spans)
        return success

    monkeypatch.setattr(otlp.OTLPSpanExporter, "export", export)
    async with running(traces=True) as vtn:
        await Ven(vtn).join("one")
    assert sent[0].name == "oadrCreatePartyRegistration"
    assert sent[0].resource.attributes["service.name"] == "pyopenadr-vtn"


def test_what_is_missing_or_no_provider_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="TracerProvider"):
        server(traces="yes")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"pyopenadr\[otel\]"):
        server(traces=True)
