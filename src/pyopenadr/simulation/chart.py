"""The load over time as a picture: in characters for a terminal, and as SVG."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from datetime import timedelta
from html import escape

from pyopenadr.simulation.report import Outcome

__all__ = ["svg_chart", "text_chart"]

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT = 880, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 40
_COLOURS = {"baseline": "#888888", "load": "#1f6fb4", "seen": "#d9822b"}


def text_chart(outcome: Outcome, *, width: int = 72, height: int = 12) -> list[str]:
    """The chart as lines of `width` columns beside the axis: filled is the load, dotted the baseline above or in it.

    Below it stands what the first signal of each event says, and the time in hours and minutes since the start.
    """
    curve = outcome.curve
    steps = len(curve.load_kw)
    if not steps:
        return ["no time has passed"]
    columns = min(width, steps)
    load, baseline = _columns(curve.load_kw, columns), _columns(curve.baseline_kw, columns)
    low, top, unit, scale = _axis([*load, *baseline])
    lines = []
    for row in range(height - 1, -1, -1):
        bottom, ceiling = (low + (top - low) * edge / height for edge in (row, row + 1))
        cells = [_cell(a, b, bottom, ceiling) for a, b in zip(load, baseline, strict=True)]
        label = f"{ceiling / scale:8.4g} {unit}" if row % 3 == 2 or row == height - 1 else ""
        lines.append(f"{label:>11} ┤{''.join(cells)}")
    lines.append(f"{low / scale:8.4g} {unit} └{'─' * columns}")
    for event in outcome.events:
        cells = [" "] * columns
        for phase in event.phases:
            first, last = (round(s / curve.step_s / steps * columns) for s in (phase.start_s, phase.end_s))
            for column in range(max(0, first), min(columns, last)):
                cells[column] = "▔"
            text = f"{phase.value:g}"
            for offset, char in enumerate(text):
                if 0 <= first + offset < min(columns, last):
                    cells[first + offset] = char
        lines.append(f"{event.signal_name[:11]:>11}  {''.join(cells).rstrip()}")
    lines.append(" " * 13 + _times(curve.step_s * steps, columns))
    return lines


def _columns(values: Sequence[float], columns: int) -> list[float]:
    """The means of `columns` parts of equal length."""
    edges = [round(number * len(values) / columns) for number in range(columns + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]


def _axis(values: Sequence[float]) -> tuple[float, float, str, float]:
    """The lowest and the highest value of the axis, its unit, and how many kW that is."""
    most = max(max(values), 0.001)
    least = min(0.0, min(values))
    step = 10.0 ** math.floor(math.log10(most - least)) / 2.0
    top, low = math.ceil(most / step) * step, math.floor(least / step) * step
    unit, scale = ("MW", 1000.0) if top >= 10_000.0 else ("kW", 1.0)
    return low, top, unit, scale


def _cell(load: float, baseline: float, bottom: float, ceiling: float) -> str:
    share = (load - bottom) / (ceiling - bottom)
    if bottom <= baseline < ceiling and share < 0.5:
        return "·"
    return _EIGHTHS[max(0, min(8, round(8 * share)))]


def _times(length_s: float, columns: int) -> str:
    text = ""
    for column in range(0, columns, 12):
        minutes = round(length_s * column / columns / 60.0)
        text = text.ljust(column) + f"{minutes // 60}:{minutes % 60:02d}"
    return text


def svg_chart(outcome: Outcome) -> str:
    """The chart as an SVG document that needs nothing from anywhere."""
    curve = outcome.curve
    seen = _seen(outcome)
    values = [*curve.load_kw, *curve.baseline_kw, *(value for _, value in seen)] or [0.0]
    low, top, unit, scale = _axis(values)
    inner_w, inner_h = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    length_s = max(curve.step_s, curve.step_s * len(curve.load_kw))

    def x_of(seconds: float) -> float:
        return round(_LEFT + inner_w * max(0.0, min(1.0, seconds / length_s)), 1)

    def y_of(kilowatts: float) -> float:
        return round(_TOP + inner_h * (top - kilowatts) / (top - low), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12">',
        "<title>Load of the fleet over time</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
    ]
    for event in outcome.events:
        for phase in event.phases:
            left, right = x_of(phase.start_s), x_of(phase.end_s)
            text = escape(f"{event.signal_name} {phase.value:g}")
            parts.append(
                f'<rect x="{left}" y="{_TOP}" width="{round(right - left, 1)}" height="{inner_h}" fill="#f3ead7"/>'
                f'<text x="{left + 4}" y="{_TOP + 14}" fill="#7a5c16">{text}</text>'
            )
    for number in range(5):
        value = low + (top - low) * number / 4
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y_of(value)}" y2="{y_of(value)}" stroke="#dddddd"/>'
            f'<text x="{_LEFT - 6}" y="{y_of(value) + 4}" text-anchor="end">{value / scale:g} {unit}</text>'
        )
    for number in range(7):
        seconds = length_s * number / 6
        label = str(timedelta(seconds=round(seconds)))[:-3]
        parts.append(f'<text x="{x_of(seconds)}" y="{_HEIGHT - 22}" text-anchor="middle">{label}</text>')
    series = {"baseline": list(enumerate(curve.baseline_kw)), "load": list(enumerate(curve.load_kw)), "seen": seen}
    for name, line in series.items():
        points = " ".join(f"{x_of((n + 0.5) * curve.step_s)},{y_of(value)}" for n, value in line)
        dashes = ' stroke-dasharray="5 4"' if name != "load" else ""
        parts.append(f'<polyline points="{points}" fill="none" stroke="{_COLOURS[name]}" stroke-width="2"{dashes}/>')
    legend = {"baseline": "baseline, without any event", "load": "load", "seen": "as the VTN sees it"}
    for number, (name, text) in enumerate(legend.items()):
        left = _LEFT + 230 * number
        parts.append(
            f'<line x1="{left}" x2="{left + 24}" y1="{_HEIGHT - 8}" y2="{_HEIGHT - 8}" stroke="{_COLOURS[name]}" '
            f'stroke-width="3"/><text x="{left + 30}" y="{_HEIGHT - 4}">{text}</text>'
        )
    return "\n".join([*parts, "</svg>"])


def _seen(outcome: Outcome) -> list[tuple[int, float]]:
    """The VTN's view, in the steps of which it has heard from nearly all."""
    curve = outcome.curve
    enough = 0.95 * max(curve.heard, default=0)
    return [(n, value) for n, value in enumerate(curve.seen_kw) if curve.heard[n] and curve.heard[n] >= enough]
