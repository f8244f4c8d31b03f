"""Logs of a program that runs for long: plain lines, or one JSON object a line."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from pyopenadr.errors import ConfigError
from pyopenadr.vtn.context import WHO

__all__ = ["JsonLines", "set_up_logging"]


class JsonLines(logging.Formatter):
    """A line of JSON: `time`, `level`, `logger`, `message`, and where it is known `ven_id`, `request_id`, `error`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        ven_id, request_id = WHO.get()
        if ven_id:
            line["ven_id"] = ven_id
        if request_id:
            line["request_id"] = request_id
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_logging(form: str) -> None:
    """Log to standard error as `text` or `json`.

    Raises:
        ConfigError: there is no such form.
    """
    if form not in ("text", "json"):
        raise ConfigError(f"--log-format may be text or json, not {form}")
    handler = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JsonLines() if form == "json" else plain)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in ("uvicorn", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
