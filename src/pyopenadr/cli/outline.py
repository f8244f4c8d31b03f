"""Events as operators write them: options, a YAML or JSON file, intervals in a CSV file."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from pyopenadr.errors import ConfigError

__all__ = ["read_file", "read_intervals", "read_table"]


def read_file(path: Path) -> dict[str, Any]:
    """The event in a JSON file, or in a YAML file if PyYAML is installed.

    Raises:
        ConfigError: it can't be read, or is no event.
    """
    text = _text(path)
    try:
        found = json.loads(text) if path.suffix.lower() == ".json" else _yaml(text)
    except ValueError as error:
        raise ConfigError(f"{path} can't be read: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} must hold one event: names and values, such as start and intervals")
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return plain


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise ConfigError("YAML files need PyYAML (pip install 'pyopenadr[vtn]'); or write the event as JSON") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no UTF-8 text: {error}") from error


def read_intervals(given: Sequence[str]) -> list[dict[str, Any]]:
    """Intervals as `PT1H=2`, in their order."""
    found = []
    for text in given:
        duration, sign, value = text.partition("=")
        if not sign:
            raise ConfigError(f"--interval {text}: write a duration and a value, such as PT1H=2")
        found.append({"duration": duration.strip(), "value": _number(value, f"--interval {text}")})
    return found


def read_table(path: Path) -> tuple[str | None, list[dict[str, Any]]]:
    """The start, if the file says it, and the intervals of a CSV file.

    Its first line names the columns: `duration,value`, or `start,value` where an interval lasts until the next one
    starts; the last one then lasts as long as the one before, unless a column `end` says otherwise.
    """
    rows = list(csv.DictReader(_text(path).splitlines()))
    if not rows or "value" not in rows[0] or not {"duration", "start"} & rows[0].keys():
        raise ConfigError(
            f"{path}: the first line must name the columns duration,value or start,value, and rows follow"
        )
    values = [_number(row["value"], f"{path}, line {line}") for line, row in enumerate(rows, 2)]
    if "duration" in rows[0]:
        return None, [
            {"duration": (row["duration"] or "").strip(), "value": value}
            for row, value in zip(rows, values, strict=True)
        ]
    starts = [_instant(row["start"], f"{path}, line {line}") for line, row in enumerate(rows, 2)]
    last = rows[-1].get("end")
    if last:
        end = _instant(last, f"{path}, line {len(rows) + 1}")
    elif len(starts) > 1:
        end = starts[-1] + (starts[-1] - starts[-2])
    else:
        raise ConfigError(f"{path}: with one start only, say in a column end until when it lasts")
    lengths = [after - before for before, after in zip(starts, [*starts[1:], end], strict=True)]
    for line, length in enumerate(lengths, 2):
        if length <= timedelta(0):
            raise ConfigError(f"{path}, line {line}: the interval ends before it starts")
    steps = [
        {"duration": f"PT{length.total_seconds():g}S", "value": value}
        for length, value in zip(lengths, values, strict=True)
    ]
    return starts[0].isoformat(), steps


def _number(text: str | None, where: str) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise ConfigError(f"{where}: {text!r} is no number") from None


def _instant(text: str | None, where: str) -> datetime:
    try:
        found: datetime | None = datetime.fromisoformat((text or "").strip())
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ConfigError(f"{where}: {text!r} is no time with a zone, such as 2030-01-31T12:00:00Z")
    return found
