"""What VENs can report is read once, and again when the store may hold something else."""

from __future__ import annotations

import asyncio

import pytest

from pyopenadr.model import Capability, Registration
from pyopenadr.store.memory import MemoryStore
from pyopenadr.store.port import Source
from pyopenadr.vtn.service import reporting
from pyopenadr.vtn.service.reporting import Reportings
from tests.unit.vtn.sample import HOUR, NOW


class Counting(MemoryStore):
    """A memory store that counts what it is asked for, and can be made to wait in the middle of a question."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.go = asyncio.Event()
        self.go.set()

    async def list_capabilities(self, ven_id: str, source: Source) -> list[Capability]:
        self.asked += 1
        found = await super().list_capabilities(ven_id, source)
        await self.go.wait()
        return found


def capability(name: str) -> Capability:
    return Capability(report_specifier_id=name, report_name=name, duration=HOUR, points=(), created_date_time=NOW)


async def offer(store: MemoryStore, ven_id: str, name: str) -> None:
    await store.save_capabilities(ven_id, Source.VEN, [capability(name)])


async def stored() -> tuple[Counting, Reportings]:
    store = Counting()
    await store.open()
    for ven_id in ("v1", "v2", "v3"):
        await store.save_registration(Registration(ven_id=ven_id))
        await offer(store, ven_id, "old")
    reportings = Reportings(store)
    store.subscribe(reportings.forget)
    return store, reportings


async def names(reportings: Reportings, ven_id: str = "v1") -> list[str]:
    return [each.report_specifier_id for each in (await reportings.of(ven_id)).capabilities]


async def test_it_is_read_once_until_it_changes() -> None:
    store, reportings = await stored()
    assert [await names(reportings) for _ in range(3)] == [["old"]] * 3
    assert store.asked == 1
    await offer(store, "v1", "new")
    assert await names(reportings) == ["new"]
    reportings.forget(None)
    assert await names(reportings) == ["new"]
    assert store.asked == 3


async def test_what_changes_while_it_is_read_is_read_again() -> None:
    store, reportings = await stored()
    store.go.clear()
    first = asyncio.ensure_future(names(reportings))
    await asyncio.sleep(0)
    await offer(store, "v1", "new")
    second = asyncio.ensure_future(names(reportings))
    await asyncio.sleep(0)
    store.go.set()
    assert [await first, await second] == [["old"], ["new"]]
    assert await names(reportings) == ["new"]


async def test_there_is_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "_MOST", 2)
    store, reportings = await stored()
    for ven_id in ("v1", "v2", "v3", "v1", "v3"):
        assert await names(reportings, ven_id) == ["old"]
    assert store.asked == 3
