"""Readings taken in over HTTP in reports of 100: our VTN on SQLite and on PostgreSQL, and openleadr's.

Ours commits them to the disk before it answers; openleadr's gives them to a handler that does nothing. The figures are
by processor time of the VTN, hence for a core of its own; PostgreSQL does its part on another one.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.database import postgres
from bench.load import CONNECTIONS, Load, Next, Server, post, serve
from bench.measure import Figure, Row
from bench.poll import BASE, PATH, compared
from pyopenadr import OpenADRServer
from pyopenadr.model import ReportRequest
from pyopenadr.v2 import encode, faults, wire

PACKAGES = ("pyopenadr", "openleadr", "sqlalchemy", "asyncpg", "uvicorn", "uvloop", "lxml", "msgspec")
READINGS, SECONDS, ROUNDS = 100, 4, 3
DAY = b"2030-06-01"

__all__ = ["PACKAGES", "make_vtn", "reporting", "run"]

START = datetime(2030, 6, 1, tzinfo=UTC)


async def make_vtn(port: int, database: str) -> OpenADRServer:
    """Our VTN, with as many VENs as connections, all of which it has asked for reports."""

    def ask(message: wire.OadrRegisterReport) -> list[ReportRequest]:
        wanted = ReportRequest(
            report_request_id="request",
            report_specifier_id="telemetry",
            r_ids=("power",),
            granularity=timedelta(minutes=1),
            report_back_duration=timedelta(minutes=READINGS),
            start=START,
        )
        return [wanted]

    vtn = OpenADRServer("vtn", port=port, database=database, on_register_report=ask)
    minute = timedelta(minutes=1)
    rate = wire.SamplingRate(min_period=minute, max_period=minute, on_change=False)
    description = wire.ReportDescription(
        r_id="power", report_type="usage", reading_type="Direct Read", sampling_rate=rate
    )
    offered = wire.OadrReport(
        duration=timedelta(hours=4),
        report_descriptions=(description,),
        report_request_id="0",
        report_specifier_id="telemetry",
        report_name="METADATA_TELEMETRY_USAGE",
        created_date_time=START,
    )
    for ven_id in map(_ven_id, range(CONNECTIONS)):
        await vtn.add_ven(ven_id)
        await vtn.handle(PATH, encode(wire.OadrPoll(ven_id=ven_id)))
        for message in (
            wire.OadrRegisteredReport(response=faults.response(), ven_id=ven_id),
            wire.OadrRegisterReport(request_id="r", reports=(offered,), ven_id=ven_id),
            wire.OadrCreatedReport(response=faults.response(), pending_reports=("request",), ven_id=ven_id),
        ):
            _, reply = await vtn.handle(f"{BASE}EiReport", encode(message))
            if b">200<" not in reply:
                raise RuntimeError(f"{message.message_type} is refused: {reply!r}")
    return vtn


async def ours(port: int, database: str) -> None:
    """Our VTN."""
    await (await make_vtn(port, database)).run()


async def theirs(port: int) -> None:
    """openleadr's VTN."""
    from openleadr import OpenADRServer as OpenleadrServer

    logging.disable(logging.CRITICAL)

    async def lookup(ven_id: str) -> dict[str, Any]:
        return {"ven_id": ven_id, "registration_id": "r-1", "fingerprint": None}

    async def taken(report: object) -> None:
        return None

    vtn = OpenleadrServer(vtn_id="vtn", http_port=port, ven_lookup=lookup, verify_message_signatures=False)
    vtn.services["report_service"].on_update_report = taken
    await vtn.run_async()
    await asyncio.Event().wait()


SERVERS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {"ours": ours, "theirs": theirs}


def _ven_id(number: int) -> str:
    return f"ven-{number}"


def _report(number: int) -> bytes:
    intervals = tuple(
        wire.Interval(
            dtstart=START + step * timedelta(minutes=1),
            duration=timedelta(minutes=1),
            payloads=(
                wire.ReportPayload(
                    r_id="power",
                    value=step * 1.37,
                    confidence=100,
                    accuracy=0.5,
                    data_quality="Quality Good - Non Specific",
                ),
            ),
        )
        for step in range(READINGS)
    )
    report = wire.OadrReport(
        dtstart=START,
        intervals=intervals,
        report_request_id="request",
        report_specifier_id="telemetry",
        report_name="TELEMETRY_USAGE",
        created_date_time=START,
    )
    return encode(wire.OadrUpdateReport(request_id="u", reports=(report,), ven_id=_ven_id(number)))


def reporting() -> Next:
    """Reports of as many VENs as there are connections, each about another day than the one before."""
    texts = [_report(number) for number in range(CONNECTIONS)]
    days = [0] * CONNECTIONS

    def following(number: int, reply: bytes) -> bytes:
        if reply and b"<ei:responseCode>200<" not in reply:
            raise RuntimeError(f"the report is refused: {reply!r}")
        days[number] += 1
        day = (START + timedelta(days=days[number])).strftime("%Y-%m-%d").encode()
        return post(f"{BASE}EiReport", texts[number].replace(DAY, day))

    return following


def run() -> list[Row | Figure]:
    """Measure in turns."""
    with postgres() as url, tempfile.TemporaryDirectory() as folder:
        databases = {"SQLite": f"sqlite:///{folder}/%d.db"} | ({"PostgreSQL": url} if url is not None else {})
        loads: dict[str, list[Load]] = {name: [] for name in (*databases, "theirs")}
        for turn in range(ROUNDS):
            for name, database in databases.items():
                with Server("bench.readings", "ours", database.replace("%d", str(turn))) as server:
                    server.load(reporting(), seconds=0.5)
                    loads[name].append(server.load(reporting(), seconds=SECONDS))
            with Server("bench.readings", "theirs") as server:
                loads["theirs"].append(server.load(reporting(), seconds=SECONDS))
        rows: list[Row | Figure] = []
        for name in databases:
            row = compared(
                f"report of {READINGS}, committed, {name}",
                {"ours": loads[name], "theirs": loads["theirs"]},
                target=1,
                floor_target=0,
            )
            per_s = Figure(
                what=f"readings, {name}", value=READINGS * 1e6 / row.ours_us, unit="per s and core", least=50_000
            )
            rows += [row, per_s, Figure(what="the same by the clock", value=READINGS * row.per_s["ours"], unit="per s")]
        return rows


if __name__ == "__main__":
    serve(SERVERS)
