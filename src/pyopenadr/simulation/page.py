"""The report as one HTML file that needs nothing from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pyopenadr.simulation.chart import svg_chart
from pyopenadr.simulation.report import EventOutcome, Outcome, Percentiles

__all__ = ["Table", "page_of", "tables_of"]

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""A title, the heads of the columns, and the rows."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; }
th, td { padding: 0.2rem 1rem 0.2rem 0; text-align: left; }
th { border-bottom: 1px solid #bbb; } svg { width: 100%; height: auto; } .bad { color: #a11; } .good { color: #171; }
"""


def tables_of(outcome: Outcome) -> list[Table]:
    """The figures of a report, as tables for a terminal or a page."""
    events = [_event_row(event) for event in outcome.events]
    telemetry, heard = outcome.telemetry, outcome.telemetry.readings > 0
    found: list[Table] = [
        ("Participation", ("event", "opted in", "opted out", "silent", "errors"), [row[:5] for row in events]),
        (
            "Load in the event's time",
            ("event", "baseline", "load", "shed", "on average", "at most", "as the VTN sees it"),
            [(row[0], *row[5:]) for row in events],
        ),
        (
            "Telemetry",
            ("readings", "coverage", "truth", "as the VTN sees it", "difference"),
            [
                (
                    str(telemetry.readings),
                    f"{telemetry.coverage:.1%}",
                    f"{telemetry.truth_kwh:.1f} kWh",
                    f"{telemetry.seen_kwh:.1f} kWh",
                    f"{telemetry.difference:.2%}",
                )
            ]
            if heard
            else [],
        ),
        (
            "Response times",
            ("of", "count", "median", "95 %", "most"),
            [
                *(("answers to " + event.event_id, *_times(event.answers, 1.0, "s")) for event in outcome.events),
                ("polls (machine's time)", *_times(outcome.polls, 1.0, "ms")),
            ],
        ),
        (
            "Faults",
            ("fault", "injected", "recovered"),
            [(fault.kind.value, str(fault.injected), str(fault.recovered)) for fault in outcome.faults],
        ),
        ("Errors", ("error", "times"), [(text, str(times)) for text, times in outcome.errors.items()]),
    ]
    return [table for table in found if table[2]]


def _event_row(event: EventOutcome) -> tuple[str, ...]:
    seen = "-" if event.seen_shed_kwh is None else f"{event.seen_shed_kwh:.1f} kWh"
    return (
        event.event_id,
        str(event.opted_in),
        str(event.opted_out),
        str(event.silent),
        str(event.refused),
        f"{event.baseline_kwh:.1f} kWh",
        f"{event.load_kwh:.1f} kWh",
        f"{event.shed_kwh:.1f} kWh",
        f"{event.mean_shed_kw:.1f} kW",
        f"{event.most_shed_kw:.1f} kW",
        seen,
    )


def _times(found: Percentiles, factor: float, unit: str) -> tuple[str, ...]:
    if found.p50 is None or found.p95 is None or found.most is None:
        return ("0", "-", "-", "-")
    return (str(found.count), *(f"{factor * value:.3g} {unit}" for value in (found.p50, found.p95, found.most)))


def page_of(outcome: Outcome) -> str:
    """The report as a page."""
    devices = ", ".join(f"{count} {kind}" for kind, count in sorted(outcome.devices.items()))
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><title>A simulated fleet</title>',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{outcome.vens} simulated VENs</h1>",
        f"<p>{escape(devices)}. The VTN: {escape(outcome.vtn)}. From {outcome.start:%Y-%m-%d %H:%M} UTC for "
        f"{outcome.length_s / 60:g} minutes, seed {outcome.seed}.</p>",
        svg_chart(outcome),
    ]
    if outcome.problems:
        parts.append("<ul>" + "".join(f'<li class="bad">{escape(text)}</li>' for text in outcome.problems) + "</ul>")
    else:
        parts.append('<p class="good">Everything went as it should.</p>')
    for title, heads, rows in tables_of(outcome):
        head = "".join(f"<th>{escape(text)}</th>" for text in heads)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        parts.append(f"<h2>{escape(title)}</h2><table><tr>{head}</tr>{body}</table>")
    parts.append(
        f"<p>{outcome.exchanges} exchanges in {outcome.wall_s:.1f} s, {outcome.cpu_s:.1f} s of processor time."
        "</p></body></html>\n"
    )
    return "\n".join(parts)
