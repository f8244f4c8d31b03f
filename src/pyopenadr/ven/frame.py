"""The timeline as a table of pandas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pyopenadr.errors import ConfigError
from pyopenadr.model.timeline import Step

if TYPE_CHECKING:
    import pandas

__all__ = ["frame_of"]


def frame_of(steps: Iterable[Step]) -> pandas.DataFrame:
    """One row for each step, in order of time; an end of NaT is open.

    Raises:
        ConfigError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ConfigError("a table needs pandas: pip install 'pyopenadr[pandas]'") from error
    rows = [
        {
            "start": step.span.start,
            "end": step.span.end,
            "signal_name": step.signal.signal_name,
            "signal_type": step.signal.signal_type,
            "resource": step.resource,
            "device_class": step.device_class,
            "value": step.value,
            "unit": step.signal.unit.symbol if step.signal.unit is not None else "",
            "event_id": step.event.event_id,
            "number": step.number,
        }
        for step in steps
    ]
    columns = [
        *("start", "end", "signal_name", "signal_type", "resource", "device_class"),
        *("value", "unit", "event_id", "number"),
    ]
    table = pandas.DataFrame(rows, columns=columns)
    for name in ("start", "end"):
        table[name] = pandas.to_datetime(table[name], utc=True)
    return table
