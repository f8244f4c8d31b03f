"""The part of the memory store that knows groups, resources, drafts and traces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyopenadr.errors import StoreError
from pyopenadr.model import Group, Member, ReportRule, Resource
from pyopenadr.store import dispatch_row as row
from pyopenadr.store.feed import Feed
from pyopenadr.store.part_memory import MemoryPart
from pyopenadr.store.port import Draft, Trace

__all__ = ["MemoryDispatch"]


class MemoryDispatch(MemoryPart):
    """See `pyopenadr.store.memory.MemoryStore`."""

    _feed: Feed[str | None]

    def __init__(self) -> None:
        super().__init__()
        self._rules: dict[str, ReportRule] = {}
        self._drafts: dict[str, Draft] = {}
        self._traces: dict[str, list[Trace]] = {}
        self._groups: dict[str, Group] = {}
        self._members: dict[str, dict[tuple[str, str], Member]] = {}
        self._resources: dict[str, dict[str, Resource]] = {}

    async def save_draft(self, draft: Draft) -> None:
        self._check_open()
        self._drafts[draft.event.event_id] = row.draft_from_row(row.draft_to_row(draft))

    async def delete_draft(self, event_id: str) -> bool:
        self._check_open()
        return self._drafts.pop(event_id, None) is not None

    async def list_drafts(self) -> list[Draft]:
        self._check_open()
        return [draft for _, draft in sorted(self._drafts.items(), key=lambda item: item[0])]

    async def save_traces(self, traces: Sequence[Trace]) -> None:
        self._check_open()
        for trace in [row.trace_from_row(row.trace_to_row(trace)) for trace in traces]:
            self._traces.setdefault(trace.event_id, []).append(trace)

    async def list_traces(self, event_id: str, *, ven_id: str | None = None) -> list[Trace]:
        self._check_open()
        return [trace for trace in self._traces.get(event_id, ()) if ven_id in (None, trace.ven_id)]

    async def save_rule(self, rule: ReportRule) -> None:
        self._check_open()
        self._rules[rule.rule_id] = row.rule_from_row(row.rule_to_row(rule))

    async def delete_rule(self, rule_id: str) -> bool:
        self._check_open()
        return self._rules.pop(rule_id, None) is not None

    async def list_rules(self) -> list[ReportRule]:
        self._check_open()
        return [rule for _, rule in sorted(self._rules.items(), key=lambda item: item[0])]

    async def save_group(self, group: Group) -> None:
        self._check_open()
        self._groups[group.group_id] = group
        self._feed.publish((None,))

    async def delete_group(self, group_id: str) -> bool:
        self._check_open()
        for members in self._members.values():
            for key in [key for key in members if key[0] == group_id]:
                del members[key]
        self._feed.publish((None,))
        return self._groups.pop(group_id, None) is not None

    async def list_groups(self) -> list[Group]:
        self._check_open()
        return [group for _, group in sorted(self._groups.items(), key=lambda item: item[0])]

    async def save_members(self, members: Sequence[Member]) -> None:
        self._check_open()
        for member in members:
            if member.group_id not in self._groups:
                raise StoreError(f"there is no group {member.group_id!r}: save it first")
        for member in members:
            self._members.setdefault(member.ven_id, {})[member.group_id, member.resource_id] = member
        self._feed.publish((None,))

    async def delete_members(self, members: Sequence[Member]) -> None:
        self._check_open()
        for member in members:
            self._members.get(member.ven_id, {}).pop((member.group_id, member.resource_id), None)
        self._feed.publish((None,))

    async def list_members(self, *, group_id: str | None = None, ven_id: str | None = None) -> list[Member]:
        self._check_open()
        some = self._members.values() if ven_id is None else [self._members.get(ven_id, {})]
        found = [one for members in some for one in members.values() if group_id in (None, one.group_id)]
        return sorted(found, key=lambda one: (one.group_id, one.ven_id, one.resource_id))

    async def save_resources(self, resources: Sequence[Resource]) -> None:
        self._check_open()
        for one in [row.resource_from_row(row.resource_to_row(resource)) for resource in resources]:
            self._resources.setdefault(one.ven_id, {})[one.resource_id] = one
        self._feed.publish((None,))

    async def delete_resources(self, ven_id: str, resource_ids: Iterable[str]) -> None:
        self._check_open()
        members = self._members.get(ven_id, {})
        for resource_id in resource_ids:
            self._resources.get(ven_id, {}).pop(resource_id, None)
            for key in [key for key in members if key[1] == resource_id]:
                del members[key]
        self._feed.publish((None,))

    async def list_resources(self, ven_id: str | None = None) -> list[Resource]:
        self._check_open()
        some = self._resources.values() if ven_id is None else [self._resources.get(ven_id, {})]
        found = [one for resources in some for one in resources.values()]
        return sorted(found, key=lambda one: (one.ven_id, one.resource_id))

    def _forget_places(self, ven_id: str) -> None:
        """What goes with a VEN that is deleted."""
        self._resources.pop(ven_id, None)
        self._members.pop(ven_id, None)
