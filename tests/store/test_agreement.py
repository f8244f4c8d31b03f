"""Whatever is done to them in whatever order, the memory store and the database give the same answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyopenadr.errors import StoreError
from pyopenadr.model import Interval, OptType, Signal
from pyopenadr.store import MemoryStore, Store, open_store
from pyopenadr.store.port import Source
from tests.store.sample import (
    MINUTE,
    NOW,
    answer,
    capability,
    opt,
    outgoing,
    reading,
    registration,
    request,
    stored_event,
)

Step = Callable[[Store], Awaitable[Any]]

vens = st.sampled_from(["ven1", "VEN1", "ven2"])
names = st.sampled_from(["a", "b", "B", "é"])
sources = st.sampled_from(list(Source))
instants = st.integers(-3, 3).map(lambda minutes: NOW + minutes * MINUTE)
numbers = st.one_of(st.floats(allow_nan=False), st.sampled_from([0.0, -0.0]))
queue = st.lists(st.builds(outgoing, names, st.binary(max_size=3)), max_size=3)
answers = st.lists(st.builds(answer, names, vens, opt_type=st.sampled_from(OptType), by_opt=st.booleans()), max_size=3)
registrations = st.builds(
    registration,
    vens,
    registration_id=st.none() | names,
    ven_name=st.none() | names,
    fingerprint=st.none() | names,
    last_seen=st.none() | instants,
)
requests = st.lists(
    st.builds(
        request,
        names,
        sources,
        confirmed=st.booleans(),
        report_specifier_id=st.sampled_from(["spec1", "METADATA"]),
    ),
    max_size=3,
)
readings = st.lists(
    st.builds(
        reading,
        names,
        st.integers(-3, 3),
        numbers,
        ven_id=vens,
        report_specifier_id=names,
        accuracy=st.none() | st.floats(),
        duration=st.none() | st.timedeltas(min_value=timedelta(0)),
    ),
    max_size=6,
)
signals = st.builds(
    lambda value: Signal(
        signal_name="SIMPLE", signal_type="level", signal_id="s", intervals=(Interval(MINUTE, value),)
    ),
    st.floats(),
)


@st.composite
def steps(draw: st.DrawFn) -> tuple[str, Step]:
    """A call of one method, with its name for the report of a failure."""
    ven_id, source, name, items = draw(vens), draw(sources), draw(names), draw(queue)
    match draw(st.integers(0, 15)):
        case 0 | 1 | 2:
            ven, fresh = draw(registrations), draw(st.booleans())
            return f"save {ven}", lambda store: store.save_registration(ven, fresh=fresh, outgoing=items)
        case 3:
            return f"end {ven_id}", lambda store: store.end_registration(ven_id, outgoing=items)
        case 4:
            return f"delete {ven_id}", lambda store: store.delete_ven(ven_id)
        case 5:
            seen = draw(st.dictionaries(vens, instants))
            online = draw(st.dictionaries(vens, st.booleans()))
            return f"presence {seen} {online}", lambda store: store.save_presence(seen, online)
        case 6:
            kept = stored_event(
                name, signals=(draw(signals),), closed=draw(st.booleans()), recipients=draw(st.none() | st.tuples(vens))
            )
            return f"save {kept}", lambda store: store.save_event(kept)
        case 7:
            said = draw(answers)
            return f"save {said}", lambda store: store.save_answers(said)
        case 8:
            return f"queue {ven_id} {items}", lambda store: store.add_outgoing(ven_id, items)
        case 9:
            gone = draw(st.lists(names))
            return f"remove {ven_id} {gone}", lambda store: store.remove_outgoing(ven_id, gone)
        case 10:
            said = draw(answers)
            one = opt(name, ven_id, opt_type=draw(st.sampled_from(OptType)))
            return f"save {one} {said}", lambda store: store.save_opt(one, answers=said)
        case 11:
            return f"delete opts {ven_id} {name}", lambda store: store.delete_opts(ven_id, name)
        case 12:
            offered = [capability(spec) for spec in draw(st.lists(names, max_size=3))]
            return f"offer {offered}", lambda store: store.save_capabilities(ven_id, source, offered)
        case 13:
            asked = draw(requests)
            return f"ask {asked}", lambda store: store.save_requests(ven_id, asked, outgoing=items)
        case 14:
            ended = draw(st.lists(names))
            return f"end {ended}", lambda store: store.delete_requests(ven_id, source, ended, outgoing=items)
        case _:
            measured = draw(readings)
            return f"measured {measured}", lambda store: store.save_readings(measured)


async def outcome(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except StoreError:
        return StoreError


async def everything(store: Store) -> list[Any]:
    """All that the store has to say."""
    found: list[Any] = [
        await store.list_registrations(),
        await store.list_events(),
        await store.list_events(include_closed=True),
        await store.list_answers(),
    ]
    for name in ("a", "b", "B"):
        found += [
            await store.load_event(name),
            await store.list_answers(event_id=name),
            await store.find_registration(ven_name=name),
            await store.find_registration(registration_id=name, fingerprint=name),
        ]
    for ven_id in ("ven1", "VEN1", "ven2"):
        found += [
            await store.load_registration(ven_id),
            await store.list_answers(ven_id=ven_id),
            await store.list_outgoing(ven_id),
            await store.list_opts(ven_id),
            await store.list_readings(ven_id),
            await store.list_readings(ven_id, r_id="b", start=NOW, limit=2),
            await store.list_readings(ven_id, report_specifier_id="a", end=NOW),
            *[await store.list_capabilities(ven_id, source) for source in Source],
            *[await store.list_requests(ven_id, source) for source in Source],
        ]
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps(), min_size=1, max_size=25))
def test_memory_and_database_agree(sequence: list[tuple[str, Step]]) -> None:
    async def compare() -> None:
        memory, database = MemoryStore(), open_store("sqlite://")
        await database.open()
        try:
            for name, step in sequence:
                assert await outcome(step(memory)) == await outcome(step(database)), name
            assert await everything(memory) == await everything(database)
        finally:
            await database.close()

    asyncio.run(compare())
