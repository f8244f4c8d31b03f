"""A VTN that is killed without warning, at any moment, loses nothing."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import socket
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from pyopenadr.model import DataPoint, Event, OptType, Unit
from pyopenadr.store import open_store
from pyopenadr.ven.client import OpenADRClient
from tests.faults.vtn_process import GRANULARITY, MINUTE, clock_since

FACTOR = 30.0
LENGTH = 15 * MINUTE
ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Site:
    """A VEN that notes what it is told."""

    def __init__(self, name: str, url: str, epoch: float, opt: OptType) -> None:
        self.name = name
        self.told: Counter[tuple[str, int, bool]] = Counter()
        self.opt = opt
        self.client = OpenADRClient(name, url, clock=clock_since(epoch, FACTOR), on_event=self.on_event)
        self.client.add_report(
            report_specifier_id="telemetry",
            points=[
                DataPoint(
                    r_id="power",
                    unit=Unit(name="powerReal", symbol="W", scale="k", hertz=50.0, voltage=230.0, ac=True),
                    min_period=GRANULARITY,
                    max_period=timedelta(hours=1),
                )
            ],
            source=lambda: 5.0,
        )

    def on_event(self, event: Event) -> OptType:
        self.told[event.event_id, event.modification_number, event.cancelled] += 1
        return self.opt


async def start_vtn(database: str, port: int, epoch: float) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.vtn_process",
        database,
        str(port),
        str(FACTOR),
        str(epoch),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 20)
    assert line == b"ready\n"
    return process


async def all_answered(database: str, event_ids: set[str], vens: int) -> None:
    """Wait until each event has an answer to its second version from each VEN, for as long as a slow machine needs."""
    for _ in range(100):
        store = open_store(database, migrate=False)
        await store.open()
        try:
            answers = [a for a in await store.list_answers() if a.modification_number == 1]
        finally:
            await store.close()
        if len(answers) == len(event_ids) * vens:
            return
        await asyncio.sleep(0.3)


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_killed_vtn_loses_nothing(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    database = f"sqlite:///{tmp_path / 'vtn.db'}"
    port = free_port()
    epoch = time.time()
    url = f"http://127.0.0.1:{port}"
    vtn = await start_vtn(database, port, epoch)
    sites = [Site("willing", url, epoch, OptType.IN), Site("unwilling", url, epoch, OptType.OUT)]
    running = [asyncio.create_task(site.client.run()) for site in sites]
    kills = 0
    end = epoch + LENGTH.total_seconds() / FACTOR
    try:
        while time.time() < end - 5:
            await asyncio.sleep(chance.uniform(0.3, 2.5))
            os.kill(vtn.pid, signal.SIGKILL)
            await vtn.wait()
            kills += 1
            vtn = await start_vtn(database, port, epoch)
        await asyncio.sleep(max(0.0, end - time.time()))
        await all_answered(database, {"peak", "evening"}, len(sites))
    finally:
        for site in sites:
            site.client.stop()
        await asyncio.wait(running, timeout=5)
        vtn.kill()
        await vtn.wait()
    assert kills >= 5
    store = open_store(database)
    await store.open()
    try:
        vens = {ven.ven_name: ven.ven_id for ven in await store.list_registrations()}
        assert set(vens) == {"willing", "unwilling"}
        answers = {(a.ven_id, a.event_id): a for a in await store.list_answers()}
        for site in sites:
            peak = answers[vens[site.name], "peak"]
            assert (peak.opt_type, peak.modification_number) == (site.opt, 1)
            assert answers[vens[site.name], "evening"].modification_number == 1
            # Versions that were replaced while the VTN was down may never have been seen; none is seen twice.
            assert site.told["peak", 1, False] == 1
            assert site.told["evening", 1, True] == 1
            assert max(site.told.values()) == 1
            starts = [stored.reading.start for stored in await store.list_readings(vens[site.name])]
            assert len(starts) == len(set(starts))
            assert starts[-1] - starts[0] > timedelta(minutes=8)
            assert {b - a for a, b in itertools.pairwise(starts)} == {GRANULARITY}
    finally:
        await store.close()
