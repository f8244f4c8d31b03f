"""Groups, programmes and resources, and whom a target means by them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from pyopenadr.errors import LocalProtocolError, ModelError
from pyopenadr.model import Event, Group, Member, Resource, Target
from pyopenadr.model.group import Selection, selected
from pyopenadr.model.uri import is_same
from pyopenadr.store.port import Change, Topic
from pyopenadr.vtn.service.party import PartyService

__all__ = ["Audience", "GroupService"]

_BY_GROUP = ("group_ids", "group_names")
_BY_AREA = ("service_areas", "service_locations")
_BY_RESOURCE = tuple(kind for kind in Target.__struct_fields__ if kind not in ("ven_ids", *_BY_GROUP, *_BY_AREA))


class Audience(msgspec.Struct, frozen=True):
    """Whom an event is for: these VENs, or every VEN (None). `by_target` says that what is kept here decided it."""

    ven_ids: frozenset[str] | None
    by_target: bool = False


class GroupService(PartyService):
    """What targets may name, kept in the store; what is asked for at each delivery is remembered."""

    _groups: dict[str, Group] | None = None
    _places: tuple[dict[str, list[Resource]], dict[str, list[Member]]] | None = None

    # --- keeping ----------------------------------------------------------------------------------------------------

    async def save_group(self, group: Group, members: Sequence[Member] = ()) -> None:
        """Keep a group, and add members to it.

        Raises:
            LocalProtocolError: another group has its name, so that a target could mean either.
        """
        for other in await self.store.list_groups():
            if group.name is not None and other.name == group.name and other.group_id != group.group_id:
                raise LocalProtocolError(f"group {other.group_id!r} has the name {group.name!r}: choose another")
        await self.store.save_group(group)
        await self.store.save_members(members)
        await self.regroup()

    async def delete_group(self, group_id: str) -> bool:
        """Forget a group. Events that were published to it stay with the VENs that have them."""
        there = await self.store.delete_group(group_id)
        await self.regroup()
        return there

    async def save_members(self, members: Sequence[Member]) -> None:
        """Add members to groups: events for these are theirs too, if they are still listed."""
        await self._check_groups(members)
        await self.store.save_members(members)
        await self.regroup()

    async def delete_members(self, members: Sequence[Member]) -> None:
        """Take members out of groups; events that they have already stay with them."""
        await self._check_groups(members)
        await self.store.delete_members(members)
        await self.regroup()

    async def save_resources(self, resources: Sequence[Resource]) -> None:
        """Keep resources: events for what they are known by are theirs too, if they are still listed."""
        await self.store.save_resources(resources)
        await self.regroup()

    async def delete_resources(self, ven_id: str, resource_ids: Sequence[str]) -> None:
        """Forget resources; events that their VEN has already stay with it."""
        await self.store.delete_resources(ven_id, resource_ids)
        await self.regroup()

    async def _check_groups(self, members: Iterable[Member]) -> None:
        unknown = {member.group_id for member in members} - {group.group_id for group in await self.store.list_groups()}
        if unknown:
            raise LocalProtocolError(f"there is no group {', '.join(sorted(unknown))}: add it first")

    async def regroup(self) -> None:
        """Groups or resources have changed."""
        self._forget_groups()

    def _forget_groups(self) -> None:
        self._groups = None
        self._places = None

    def _doubt_all(self) -> None:
        super()._doubt_all()
        self._forget_groups()

    def _heed(self, change: Change) -> None:
        super()._heed(change)
        if change.topic is Topic.GROUP:
            self._forget_groups()

    # --- whom a target means ----------------------------------------------------------------------------------------

    async def audience(self, event: Event, *, strict: bool = True) -> Audience:
        """The VENs that the event's target and programme mean.

        Kinds of values that nothing is kept of are left to the VENs: then the event is for everyone. `strict` refuses
        values that are not among those kept.

        Raises:
            ModelError: the target names a group or a resource that there is not.
        """
        groups = await self.store.list_groups()
        enrolled: set[str] | None = None
        programmes = [group.group_id for group in groups if is_same(group.market_context, event.market_context)]
        if programmes:
            enrolled = await self._members_of(programmes)
        named, resolved = await self._vens_named(event.target, groups, strict=strict)
        if named is None:
            return Audience(None if enrolled is None else frozenset(enrolled), enrolled is not None)
        chosen = named if enrolled is None else named & enrolled
        return Audience(frozenset(chosen), enrolled is not None or resolved)

    async def _members_of(self, group_ids: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for group_id in group_ids:
            found.update(member.ven_id for member in await self.store.list_members(group_id=group_id))
        return found

    async def _vens_named(
        self, target: Target, groups: Sequence[Group], *, strict: bool
    ) -> tuple[set[str] | None, bool]:
        """The VENs that a target names, None for all; and whether what is kept here has told so."""
        found = set(target.ven_ids)
        by_group = any(getattr(target, kind) for kind in _BY_GROUP)
        by_resource = any(getattr(target, kind) for kind in (*_BY_RESOURCE, *_BY_AREA))
        resources = await self.store.list_resources() if by_resource else []
        if strict and ((by_group and not groups) or (by_resource and not resources)):
            return (found or None), False
        if by_group:
            wanted = [g.group_id for g in groups if g.group_id in target.group_ids or g.name in target.group_names]
            if strict:
                _refuse_unknown("group_ids", target.group_ids, {group.group_id for group in groups})
                _refuse_unknown("group_names", target.group_names, {group.name for group in groups})
            found |= await self._members_of(wanted)
        if by_resource:
            found |= _owners(target, resources, strict=strict)
        return (None if target.is_empty else found), by_group or by_resource

    async def selection(self, ven_id: str, target: Target) -> Selection | None:
        """What of one VEN a target means."""
        if self._groups is None:
            self._groups = {group.group_id: group for group in await self.store.list_groups()}
        if self._places is None:
            self._places = {}, {}
        groups, (resources_of, members_of) = self._groups, self._places
        resources, members = resources_of.get(ven_id, []), members_of.get(ven_id, [])
        if ven_id not in resources_of and any(getattr(target, kind) for kind in (*_BY_RESOURCE, *_BY_AREA)):
            resources = resources_of[ven_id] = await self.store.list_resources(ven_id)
        if ven_id not in members_of and any(getattr(target, kind) for kind in _BY_GROUP):
            members = members_of[ven_id] = await self.store.list_members(ven_id=ven_id)
        return selected(target, ven_id, resources=resources, members=members, groups=groups)


def _owners(target: Target, resources: Iterable[Resource], *, strict: bool) -> set[str]:
    """The VENs whose resources a target names."""
    known: dict[str, set[object]] = {kind: set() for kind in _BY_RESOURCE}
    found = set()
    for resource in resources:
        selection = selected(target, resource.ven_id, resources=(resource,))
        by_resource = selection is not None and (selection.resource_ids or selection.target.ven_ids)
        if selection is None or not by_resource:
            continue
        found.add(resource.ven_id)
        for kind in _BY_RESOURCE:
            known[kind].update(getattr(selection.target, kind))
    if strict:
        for kind in _BY_RESOURCE:
            _refuse_unknown(kind, getattr(target, kind), known[kind])
    return found


def _refuse_unknown(kind: str, values: Iterable[object], known: Collection[object]) -> None:
    unknown = [value for value in values if value not in known]
    if unknown:
        raise ModelError(
            f"nothing is kept here under {kind} {', '.join(map(str, unknown))}: check the spelling, add it first, or "
            "say by ven_ids who gets the event",
            rule="48",
        )
