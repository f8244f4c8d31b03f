"""`pyopenadr rule`: which reports a running VTN asks of which VENs."""

from __future__ import annotations

from typing import Annotated

import typer

from pyopenadr.cli.remote import DEFAULT_URL, Api, Json, TokenText, Url, part
from pyopenadr.cli.screen import Screen

__all__ = ["rule"]

rule = typer.Typer(help="Rules for reports, by the VTN's API.", no_args_is_help=True, rich_markup_mode=None)

RuleId = Annotated[str, typer.Argument(help="The rule's ID, without a colon.")]


@rule.command("list")
def list_rules(url: Url = DEFAULT_URL, token: TokenText = None, as_json: Json = False) -> None:
    """List the rules for reports."""
    found = list(Api(url, token).items("/report-rules"))
    if as_json:
        Screen().json(found)
        return
    rows = [
        [
            one["rule_id"],
            f"group {one['group_id']}" if one["group_id"] else ", ".join(one["ven_ids"]) or "all VENs",
            one["report_specifier_id"] or one["report_name"] or "every report",
            ", ".join(one["r_ids"]) or one["report_type"] or "all data points",
            str(one["report_back_duration"]),
            str(one["granularity"]),
        ]
        for one in found
    ]
    Screen().table(("rule", "of", "report", "readings", "every", "granularity"), rows)


@rule.command("set")
def put(
    rule_id: RuleId,
    every: Annotated[str, typer.Option(help="The time from one report to the next, as PT5M.")],
    group: Annotated[str | None, typer.Option(help="The VENs of this group.")] = None,
    ven: Annotated[list[str] | None, typer.Option(help="This VEN; may be repeated. All if no group either.")] = None,
    report: Annotated[str | None, typer.Option(help="Only the report with this specifier ID.")] = None,
    report_name: Annotated[str, typer.Option(help="The kind of report.")] = "TELEMETRY_USAGE",
    report_type: Annotated[str | None, typer.Option(help="Only readings of this type, as usage.")] = None,
    r_id: Annotated[list[str] | None, typer.Option(help="Only this data point; may be repeated.")] = None,
    granularity: Annotated[str, typer.Option(help="The time from one value to the next, as PT1M.")] = "PT0S",
    duration: Annotated[str, typer.Option(help="For how long; for ever if not given.")] = "PT0S",
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """Ask for reports by rule, of the VENs that are there and of those that come. A rule with its ID is replaced."""
    body = {
        "report_back_duration": every,
        "report_name": None if report is not None else report_name,
        "report_specifier_id": report,
        "r_ids": r_id or [],
        "report_type": report_type,
        "group_id": group,
        "ven_ids": ven or [],
        "granularity": granularity,
        "duration": duration,
    }
    made = Api(url, token).ask("PUT", f"/report-rules/{part(rule_id)}", body, headers={"If-Match": "*"})[0]
    if as_json:
        Screen().json(made)
    else:
        Screen().line(f"rule {rule_id} is in force")


@rule.command()
def remove(rule_id: RuleId, url: Url = DEFAULT_URL, token: TokenText = None) -> None:
    """End a rule; VENs that deliver these reports are told to stop."""
    api, path = Api(url, token), f"/report-rules/{part(rule_id)}"
    api.ask("DELETE", path, headers={"If-Match": api.ask("GET", path)[1]["etag"]})
    Screen().line(f"rule {rule_id} has ended")
