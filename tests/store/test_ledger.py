"""The part of the store for the API, the audit and the webhooks, in every store."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from pyopenadr.store import Store
from pyopenadr.store.ledger import Notice, Record, Replay, Role, Token, Webhook
from tests.store.sample import MINUTE, NOW


def token(token_id: str = "t1", **fields: Any) -> Token:
    return Token(
        **{"token_id": token_id, "name": "me", "role": Role.VIEWER, "digest": "d", "created_at": NOW, **fields}
    )


def webhook(webhook_id: str = "w1", **fields: Any) -> Webhook:
    given = {"url": "https://x/", "secret": "s", "kinds": ("a", "b"), "created_at": NOW, "position": 7}
    return Webhook(**{"webhook_id": webhook_id, **given, **fields})


async def test_a_token_comes_back_as_it_was(store: Store) -> None:
    plain, full = token(), token("t0", expires_at=NOW + MINUTE, revoked_at=NOW, created_at=NOW + MINUTE)
    for one in (full, plain):
        await store.save_token(one)
    assert await store.load_token("t0") == full
    assert await store.load_token("T0") is None
    assert await store.list_tokens() == [plain, full]


async def test_a_token_replaces_the_one_with_its_id(store: Store) -> None:
    await store.save_token(token())
    await store.save_token(token(revoked_at=NOW))
    assert await store.list_tokens() == [token(revoked_at=NOW)]


async def test_a_key_is_claimed_once(store: Store) -> None:
    first = Replay(key="k", digest="d", created_at=NOW)
    assert await store.claim_replay(first, stale_before=NOW - MINUTE) is None
    again = msgspec.structs.replace(first, digest="other", created_at=NOW + MINUTE)
    assert await store.claim_replay(again, stale_before=NOW - MINUTE) == first


async def test_of_many_at_the_same_time_one_claims_a_key(store: Store) -> None:
    claims = [Replay(key="k", digest=str(n), created_at=NOW) for n in range(20)]
    got = await asyncio.gather(*(store.claim_replay(claim, stale_before=NOW) for claim in claims))
    assert got.count(None) == 1


async def test_an_answer_is_kept_for_good_and_a_request_without_one_is_given_up(store: Store) -> None:
    for key in ("answered", "open"):
        await store.claim_replay(Replay(key=key, digest="d", created_at=NOW), stale_before=NOW)
    done = Replay(key="answered", digest="d", created_at=NOW, status=201, headers=(("etag", "x"),), body=b"\x00{}")
    await store.finish_replay(done)
    late = NOW + MINUTE
    assert await store.claim_replay(Replay(key="answered", digest="d", created_at=late), stale_before=late) == done
    assert await store.claim_replay(Replay(key="open", digest="d", created_at=late), stale_before=late) is None


async def test_a_dropped_key_can_be_claimed_again(store: Store) -> None:
    claim = Replay(key="k", digest="d", created_at=NOW)
    await store.claim_replay(claim, stale_before=NOW)
    await store.drop_replay("k")
    await store.drop_replay("k")
    assert await store.claim_replay(claim, stale_before=NOW) is None


async def test_notices_are_read_on_from_where_one_was(store: Store) -> None:
    assert await store.last_notice() == 0
    await store.add_notices([])
    given = [Notice(kind=f"k{n}", at=NOW, ven_id="v", event_id=None, data={"n": n, "x": None}) for n in range(5)]
    await store.add_notices(given[:3])
    await store.add_notices(given[3:])
    found = await store.list_notices(after=0, limit=10)
    assert [msgspec.structs.replace(notice, seq=0) for notice in found] == given
    numbers = [notice.seq for notice in found]
    assert numbers == sorted(set(numbers))
    assert await store.last_notice() == numbers[-1]
    assert await store.list_notices(after=numbers[1], limit=2) == found[2:4]


async def test_no_number_of_a_notice_comes_again(store: Store) -> None:
    await store.add_notices([Notice(kind="k", at=NOW)])
    before = await store.last_notice()
    await store.prune(notices=NOW + MINUTE, records=NOW, replays=NOW)
    assert await store.list_notices(after=0, limit=9) == []
    await store.add_notices([Notice(kind="k", at=NOW)])
    assert await store.last_notice() > before


def record(kind: str, **fields: Any) -> Record:
    return Record(**{"at": NOW, "direction": "in", "kind": kind, **fields})


async def test_the_audit_is_found_by_ven_event_and_request(store: Store) -> None:
    await store.add_records([])
    await store.add_records(
        [
            record("a", ven_id="v1", event_ids=("e1", "e2", "e1"), request_id="r1", status="200", body="<x/>"),
            record("b", ven_id="v2", direction="out"),
            record("c", ven_id="v1", actor="me", event_ids=("e2",), direction="api"),
        ]
    )

    async def kinds(**wanted: Any) -> list[str]:
        return [found.kind for found in await store.list_records(**wanted)]

    assert await kinds() == ["c", "b", "a"]
    assert await kinds(ven_id="v1") == ["c", "a"]
    assert await kinds(event_id="e1") == ["a"]
    assert await kinds(event_id="e2") == ["c", "a"]
    assert await kinds(event_id="e2", ven_id="v1", direction="api") == ["c"]
    assert await kinds(request_id="r1") == ["a"]
    [found] = await store.list_records(request_id="r1")
    expected = record("a", ven_id="v1", event_ids=("e1", "e2", "e1"), request_id="r1", status="200", body="<x/>")
    assert msgspec.structs.replace(found, seq=0) == expected


async def test_the_audit_is_read_newest_first_in_pages(store: Store) -> None:
    for number in range(5):
        await store.add_records([record(str(number))])
    first = await store.list_records(limit=2)
    second = await store.list_records(limit=2, before=first[-1].seq)
    assert [found.kind for found in (*first, *second)] == ["4", "3", "2", "1"]


async def test_a_webhook_comes_back_as_it_was(store: Store) -> None:
    plain, full = webhook(), webhook("w0", created_at=NOW + MINUTE, attempts=2, next_at=NOW, last_error="no")
    for one in (full, plain):
        await store.save_webhook(one)
    assert await store.list_webhooks() == [plain, full]


async def test_what_is_noted_of_a_webhook_does_not_bring_it_back(store: Store) -> None:
    await store.save_webhook(webhook())
    await store.note_webhook(webhook(position=9))
    assert await store.list_webhooks() == [webhook(position=9)]
    assert await store.delete_webhook("w1")
    assert not await store.delete_webhook("w1")
    await store.note_webhook(webhook(position=10))
    assert await store.list_webhooks() == []


async def test_a_lease_is_had_by_one(store: Store) -> None:
    assert await store.lease("work", "a", now=NOW, until=NOW + MINUTE)
    assert not await store.lease("work", "b", now=NOW, until=NOW + MINUTE)
    assert await store.lease("other", "b", now=NOW, until=NOW + MINUTE)
    assert await store.lease("work", "a", now=NOW + MINUTE / 2, until=NOW + 2 * MINUTE)
    assert not await store.lease("work", "b", now=NOW + MINUTE, until=NOW + 3 * MINUTE)
    assert await store.lease("work", "b", now=NOW + 2 * MINUTE, until=NOW + 3 * MINUTE)
    assert not await store.lease("work", "a", now=NOW + 2 * MINUTE, until=NOW + 3 * MINUTE)


async def test_what_is_old_is_forgotten(store: Store) -> None:
    old, new = NOW - timedelta(days=1), NOW
    for at in (old, new):
        await store.add_notices([Notice(kind="k", at=at)])
        await store.add_records([record("k", at=at, event_ids=("e",))])
        await store.claim_replay(Replay(key=at.isoformat(), digest="d", created_at=at), stale_before=at)
    await store.prune(notices=new, records=new, replays=new)
    assert [notice.at for notice in await store.list_notices(after=0, limit=9)] == [new]
    assert [found.at for found in await store.list_records(event_id="e")] == [new]
    again = Replay(key=old.isoformat(), digest="x", created_at=old)
    assert await store.claim_replay(again, stale_before=old) is None
    kept = Replay(key=new.isoformat(), digest="x", created_at=new)
    assert (await store.claim_replay(kept, stale_before=new)) is not None


@pytest.mark.parametrize("fields", [{}, {"data": {"text": "ü", "flag": True, "size": 1.5}}])
async def test_a_notice_comes_back_as_it_was(store: Store, fields: dict[str, Any]) -> None:
    given = Notice(kind="k", at=NOW, **fields)
    await store.add_notices([given])
    [found] = await store.list_notices(after=0, limit=1)
    assert msgspec.structs.replace(found, seq=0) == given
