"""What an action is told, and the failure that both actions and sources have."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from string import Template
from typing import Any

import msgspec

__all__ = ["AgentError", "Change", "check_template", "run"]

FIELDS = ("value", "signal", "type", "resource", "event_id", "start", "end", "ven")
_MOST_OUTPUT = 64 * 1024
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


class AgentError(Exception):
    """An action or a source has failed; the text says how, and what to look at."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A new value of a signal. `event_id` is empty while no event applies; `end` is None if it is open."""

    value: float
    signal: str
    ven: str
    type: str = ""
    resource: str = ""
    event_id: str = ""
    start: datetime | None = None
    end: datetime | None = None

    def texts(self) -> dict[str, str]:
        """Every field as text, without control characters: some of it comes from the VTN."""
        found = {}
        for name in FIELDS:
            value = getattr(self, name)
            text = (
                f"{value:g}"
                if isinstance(value, float)
                else value.isoformat()
                if isinstance(value, datetime)
                else value
            )
            found[name] = _UNSAFE.sub(" ", text or "")
        return found

    def document(self) -> dict[str, Any]:
        """Every field for JSON."""
        return {**self.texts(), "value": self.value}

    def filled(self, template: Any) -> Any:
        """A template with `$value` and so on filled in; a text that is `$value` alone becomes the number."""
        if isinstance(template, str):
            return self.value if template == "$value" else Template(template).substitute(self.texts())
        if isinstance(template, Mapping):
            return {name: self.filled(item) for name, item in template.items()}
        if isinstance(template, list | tuple):
            return [self.filled(item) for item in template]
        return template


def check_template(what: str, template: Any) -> None:
    """Refuse what `Change.filled` can't fill in.

    Raises:
        ValueError: it names something that there is not.
    """
    if isinstance(template, Mapping):
        template = list(template.values())
    if isinstance(template, list | tuple):
        for item in template:
            check_template(what, item)
    elif isinstance(template, str):
        unknown = set(Template(template).get_identifiers()) - set(FIELDS) if Template(template).is_valid() else {"$"}
        if unknown:
            names = ", ".join(f"${name}" for name in FIELDS)
            raise ValueError(f"{what} has {sorted(unknown)[0]!r}, and there is only {names} ($$ is a dollar sign)")


async def run(arguments: Sequence[str], timeout_s: float, environment: Mapping[str, str] | None = None) -> str:
    """Run a program without a shell and give what it prints.

    Raises:
        AgentError: it can't be started, takes too long, or ends with an error.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )
    except (OSError, ValueError) as error:
        raise AgentError(f"{arguments[0]} can't be started: {error}; give its whole path") from error
    try:
        async with asyncio.timeout(timeout_s):
            out, complaint = await process.communicate()
    except TimeoutError:
        raise AgentError(f"{arguments[0]} did not end within {timeout_s:g} seconds") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        said = " ".join(complaint[-300:].decode("utf-8", "replace").split())
        raise AgentError(f"{arguments[0]} ended with status {process.returncode}: {said or 'it said nothing'}")
    return out[:_MOST_OUTPUT].decode("utf-8", "replace")
