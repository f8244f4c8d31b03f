"""Requests generated from the API's own document: whatever comes, the server answers as it says there, never by 5xx."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from pyopenadr import DataPoint, OpenADRServer
from pyopenadr.store.port import Knock, Source, StoredReading
from tests.rest.background import Background, background
from tests.store.sample import NOW, capability, opt, reading


async def furnish(server: OpenADRServer) -> str:
    """Something of everything, and a token."""
    await server.add_ven("ven1", ven_name="one")
    await server.add_event(event_id="event1", start=NOW, intervals=[(timedelta(hours=1), 1)])
    await server.add_event(event_id="event2", start=NOW, intervals=[(timedelta(hours=1), 1)], priority=1)
    await server.add_group("group1", name="one", ven_ids=["ven1"], resources=[("ven1", "boiler")])
    await server.add_resource("ven1", "boiler", meter_assets=("m1",))
    await server.add_report_rule(rule_id="rule1", group_id="group1", report_back_duration=timedelta(minutes=5))
    await server.allow(ven_name="two")
    knock = Knock(key="name three", first_at=NOW, last_at=NOW, ven_name="three")
    await server.service.store.save_knock(knock, most=10)
    server.add_report("own", points=[DataPoint(r_id="r")])
    store: Any = server.service.store
    await store.save_capabilities("ven1", Source.VEN, [capability()])
    await store.save_opt(opt(ven_id="ven1"))
    kept: list[StoredReading] = [reading(ven_id="ven1", r_id=f"r{n}") for n in range(5)]
    await store.save_readings(kept)
    return await server.create_token("generated")


@pytest.fixture(scope="module")
def vtn() -> Iterator[tuple[Background, str]]:
    with background(lambda: OpenADRServer("vtn", port=0, api=True)) as running:
        yield running, running.run(furnish(running.server))


@pytest.fixture(scope="module")
def document(vtn: tuple[Background, str]) -> Any:
    # The stream has no end to wait for; it has tests of its own.
    return schemathesis.openapi.from_url(f"{vtn[0].url}/api/openapi.json").exclude(path="/api/changes/stream")


BOUNDED = settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)


def test_no_request_fails_the_server(document: Any, vtn: tuple[Background, str]) -> None:
    served = 0
    headers = {"Authorization": f"Bearer {vtn[1]}"}
    checks = [schemathesis.checks.not_a_server_error, schemathesis.checks.response_schema_conformance]
    for found in document.get_all_operations():
        operation = found.ok()

        @BOUNDED
        @given(case=operation.as_strategy())
        def serve(case: Any) -> None:
            reply = case.call(headers=headers)
            assert reply.status_code < 500, f"{case.as_curl_command()}\n{reply.text}"
            case.validate_response(reply, checks=checks)

        serve()
        served += 1
    assert served > 50
