"""`pyopenadr report`: what the VENs of a running VTN report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pyopenadr.cli.remote import DEFAULT_URL, Api, Json, TokenText, Url, part
from pyopenadr.cli.screen import Screen
from pyopenadr.errors import ConfigError

__all__ = ["report"]

report = typer.Typer(help="Reports of VENs, by the VTN's API.", no_args_is_help=True, rich_markup_mode=None)

VenId = Annotated[str, typer.Argument(help="The VEN's ID.")]


@report.command("list")
def list_reports(ven_id: VenId, url: Url = DEFAULT_URL, token: TokenText = None, as_json: Json = False) -> None:
    """List what a VEN offers, and what it is asked for."""
    api, base = Api(url, token), f"/vens/{part(ven_id)}"
    offered, asked = list(api.items(f"{base}/capabilities")), list(api.items(f"{base}/report-requests"))
    if as_json:
        Screen().json({"capabilities": offered, "requests": asked})
        return
    screen = Screen()
    rows = [
        [one["report_specifier_id"], one["report_name"], ", ".join(p["r_id"] for p in one["points"])] for one in offered
    ]
    screen.table(("offers", "name", "data points"), rows)
    rows = [
        [
            stored["request"]["report_request_id"],
            stored["request"]["report_specifier_id"],
            str(stored["request"]["report_back_duration"]),
            "confirmed" if stored["confirmed"] else "not confirmed",
        ]
        for stored in asked
    ]
    screen.table(("request", "of", "every", ""), rows)


@report.command()
def request(
    ven_id: VenId,
    report_specifier_id: Annotated[str, typer.Argument(help="Which report; METADATA for the list of them.")],
    every: Annotated[str, typer.Option(help="How often, as PT15M; once if not given.")] = "PT0S",
    granularity: Annotated[str, typer.Option(help="The length of an interval, as PT1M.")] = "PT0S",
    duration: Annotated[str, typer.Option(help="For how long; for ever if not given.")] = "PT0S",
    r_id: Annotated[list[str] | None, typer.Option(help="A data point; all if not given.")] = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """Ask a VEN for a report."""
    body = {
        "report_specifier_id": report_specifier_id,
        "report_back_duration": every,
        "granularity": granularity,
        "duration": duration,
        "r_ids": r_id or None,
    }
    made = Api(url, token).ask("POST", f"/vens/{part(ven_id)}/report-requests", body)[0]
    if as_json:
        Screen().json(made)
    else:
        Screen().line(f"VEN {ven_id} is asked for report {made['report_request_id']}")


@report.command()
def cancel(
    ven_id: VenId,
    report_request_id: Annotated[str, typer.Argument(help="Which request.")],
    one_more: Annotated[bool, typer.Option("--one-more", help="The VEN shall deliver once more.")] = False,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
) -> None:
    """Have a VEN stop a report."""
    path = f"/vens/{part(ven_id)}/report-requests/{part(report_request_id)}"
    Api(url, token).ask("DELETE", path, query={"one_more": one_more})
    Screen().line(f"VEN {ven_id} is told to stop report {report_request_id}")


@report.command()
def readings(
    ven_id: VenId,
    r_id: Annotated[str | None, typer.Option(help="Only this data point.")] = None,
    start: Annotated[str | None, typer.Option(help="From then on, as 2030-01-31T12:00:00Z.")] = None,
    end: Annotated[str | None, typer.Option(help="Before then.")] = None,
    most: Annotated[int, typer.Option(min=1, help="How many at most.")] = 1000,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
    as_json: Json = False,
) -> None:
    """List what a VEN has measured."""
    query = {"r_id": r_id, "start": start, "end": end}
    found = list(Api(url, token).items(f"/vens/{part(ven_id)}/readings", most=most, **query))
    if as_json:
        Screen().json(found)
        return
    rows = [
        [one["reading"]["start"], one["reading"]["r_id"], str(one["reading"]["value"]), one["reading"]["quality"] or ""]
        for one in found
    ]
    Screen().table(("start", "rID", "value", "quality"), rows)


@report.command()
def export(
    file: Annotated[Path, typer.Argument(help="The file to write: .csv, or .parquet (the VTN needs pyarrow).")],
    ven: Annotated[list[str] | None, typer.Option(help="Only this VEN; may be repeated.")] = None,
    group: Annotated[str | None, typer.Option(help="Only the members of this group.")] = None,
    resource: Annotated[str | None, typer.Option(help="Only what measures this resource.")] = None,
    r_id: Annotated[str | None, typer.Option(help="Only this data point.")] = None,
    start: Annotated[str | None, typer.Option(help="From then on, as 2030-01-31T12:00:00Z.")] = None,
    end: Annotated[str | None, typer.Option(help="Before then.")] = None,
    url: Url = DEFAULT_URL,
    token: TokenText = None,
) -> None:
    """Write the readings of VENs to a file."""
    kind = file.suffix.lower().removeprefix(".")
    if kind not in ("csv", "parquet"):
        raise ConfigError(f"{file.name} is neither .csv nor .parquet")
    Api(url, token).save(
        "/readings/export",
        file,
        format=kind,
        ven_id=ven or None,
        group_id=group,
        resource_id=resource,
        r_id=r_id,
        start=start,
        end=end,
    )
    Screen().line(f"{file} is written")
