"""How groups, resources, drafts and traces are kept; see `pyopenadr.store.row`."""

from __future__ import annotations

from pyopenadr.model import Group, Member, OptType, ReportRule, Resource
from pyopenadr.store.port import Draft, Step, Trace
from pyopenadr.store.row import Found, Row, from_json, from_micros, to_json, to_micros, to_whole

__all__ = [
    "draft_from_row",
    "draft_to_row",
    "group_from_row",
    "group_to_row",
    "member_from_row",
    "member_to_row",
    "resource_from_row",
    "resource_to_row",
    "rule_from_row",
    "rule_to_row",
    "trace_from_row",
    "trace_to_row",
]

_TEXTS = tuple[str, ...]


def draft_to_row(draft: Draft) -> Row:
    """The columns of an unpublished event."""
    return {"event_id": draft.event.event_id, "body": to_json(draft, f"draft {draft.event.event_id!r}")}


def draft_from_row(row: Found) -> Draft:
    """The unpublished event of a row."""
    return from_json(row["body"], Draft, "a draft")


def group_to_row(group: Group) -> Row:
    """The columns of a group."""
    return {"group_id": group.group_id, "name": group.name, "market_context": group.market_context}


def group_from_row(row: Found) -> Group:
    """The group of a row."""
    return Group(group_id=row["group_id"], name=row["name"], market_context=row["market_context"])


def member_to_row(member: Member) -> Row:
    """The columns of a member of a group."""
    return {"group_id": member.group_id, "ven_id": member.ven_id, "resource_id": member.resource_id}


def member_from_row(row: Found) -> Member:
    """The member of a row."""
    return Member(row["group_id"], row["ven_id"], row["resource_id"])


def resource_to_row(resource: Resource) -> Row:
    """The columns of a resource."""
    what = f"resource {resource.resource_id!r} of VEN {resource.ven_id!r}"
    return {"ven_id": resource.ven_id, "resource_id": resource.resource_id, "body": to_json(resource, what)}


def resource_from_row(row: Found) -> Resource:
    """The resource of a row."""
    return from_json(row["body"], Resource, "a resource")


def rule_to_row(rule: ReportRule) -> Row:
    """The columns of a rule for reports."""
    return {"rule_id": rule.rule_id, "body": to_json(rule, f"rule {rule.rule_id!r}")}


def rule_from_row(row: Found) -> ReportRule:
    """The rule for reports of a row."""
    return from_json(row["body"], ReportRule, "a rule for reports")


def trace_to_row(trace: Trace) -> Row:
    """The columns of a message about an event."""
    what = f"a message about event {trace.event_id!r}"
    return {
        "event_id": trace.event_id,
        "ven_id": trace.ven_id,
        "at": to_micros(trace.at, f"{what}: at"),
        "step": Step(trace.step).value,
        "modification_number": to_whole(trace.modification_number, f"{what}: modification_number"),
        "request_id": trace.request_id,
        "opt_type": None if trace.opt_type is None else OptType(trace.opt_type).value,
        "response_code": trace.response_code,
        "response_description": trace.response_description,
        "resource_ids": to_json(trace.resource_ids, f"{what}: resource_ids") if trace.resource_ids else None,
    }


def trace_from_row(row: Found) -> Trace:
    """The message about an event of a row."""
    return Trace(
        event_id=row["event_id"],
        ven_id=row["ven_id"],
        at=from_micros(row["at"]),
        step=Step(row["step"]),
        modification_number=row["modification_number"],
        request_id=row["request_id"],
        opt_type=None if row["opt_type"] is None else OptType(row["opt_type"]),
        response_code=row["response_code"],
        response_description=row["response_description"],
        resource_ids=from_json(row["resource_ids"], _TEXTS, "resource_ids") if row["resource_ids"] else (),
    )
