"""Rules for reports: which VENs report what, and how often."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from litestar import Response, Router, delete, get, put
from litestar.params import FromPath, JSONBody

from pyopenadr.model import ReportRule
from pyopenadr.model.time import ZERO, Duration
from pyopenadr.vtn.office import Office
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.field import Id
from pyopenadr.vtn.rest.page import After, Limit, Page, paged
from pyopenadr.vtn.rest.problem import Refusal
from pyopenadr.vtn.rest.version import IfMatch, check_version, tag_of

__all__ = ["router"]


class RuleFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which reports are asked of which VENs: of the members of `group_id` and of `ven_ids`; with neither, of all.

    It means the reports with that `report_name`, or the one with that `report_specifier_id`, and in these the points
    with these `r_ids` or this `report_type`. `report_back_duration` is the time from one report to the next,
    `granularity` that from one value to the next; a zero `duration` is for ever.
    """

    report_back_duration: Duration
    report_name: Id | None = "TELEMETRY_USAGE"
    report_specifier_id: Id | None = None
    r_ids: tuple[Id, ...] = ()
    report_type: Id | None = None
    group_id: Id | None = None
    ven_ids: tuple[Id, ...] = ()
    granularity: Duration = ZERO
    duration: Duration = ZERO


async def _find(office: Office, rule_id: str) -> ReportRule | None:
    return next((rule for rule in await office.server.report_rules() if rule.rule_id == rule_id), None)


async def _rule(office: Office, rule_id: str) -> ReportRule:
    found = await _find(office, rule_id)
    if found is None:
        raise Refusal(404, f"there is no rule {rule_id!r}")
    return found


@get("/", summary="Rules for reports")
async def list_rules(office: Desk, after: After = None, limit: Limit = 100) -> Page[ReportRule]:
    """The rules by their IDs."""
    found = sorted(await office.server.report_rules(), key=lambda rule: rule.rule_id)
    return paged(found, lambda rule: rule.rule_id, after, limit)


@get("/{rule_id:str}", summary="A rule for reports")
async def show_rule(office: Desk, rule_id: FromPath[str]) -> Response[ReportRule]:
    """One rule."""
    found = await _rule(office, rule_id)
    return Response(found, headers={"etag": tag_of(found)})


@put("/{rule_id:str}", summary="Ask for reports by rule")
async def put_rule(
    office: Desk, rule_id: FromPath[str], data: JSONBody[RuleFields], if_match: IfMatch = None
) -> Response[ReportRule]:
    """Ask for reports by rule, of the VENs that are there and of those that come. To replace one needs If-Match."""
    async with office.drafting:
        before = await _find(office, rule_id)
        if before is not None:
            check_version(before, if_match)
        fields = msgspec.structs.asdict(data)
        if data.group_id is not None and data.group_id not in {g.group_id for g in await office.server.groups()}:
            raise Refusal(409, f"there is no group {data.group_id!r}: add it first")
        made = await office.server.add_report_rule(ReportRule(rule_id=rule_id, **fields))
    headers = {"etag": tag_of(made), "location": f"/api/report-rules/{quote(rule_id, safe='')}"}
    return Response(made, status_code=201 if before is None else 200, headers=headers)


@delete("/{rule_id:str}", status_code=204, summary="End a rule for reports")
async def remove_rule(office: Desk, rule_id: FromPath[str], if_match: IfMatch = None) -> None:
    """Ask for these reports no more; VENs that deliver them are told to stop. Needs If-Match."""
    async with office.drafting:
        check_version(await _rule(office, rule_id), if_match)
        await office.server.remove_report_rule(rule_id)


router = Router("/report-rules", route_handlers=[list_rules, show_rule, put_rule, remove_rule], tags=["reports"])
