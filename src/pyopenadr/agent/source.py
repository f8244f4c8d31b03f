"""Where the values of reports, and of conditions, come from: a program, HTTP, a CSV file, a constant.

Each source is a struct with the settings that stand in `ven.yaml` under its `from`, and a coroutine `read`.
"""

from __future__ import annotations

import asyncio
import csv
import json
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pyopenadr.agent.reading import AgentError, run

__all__ = ["CommandSource", "ConstantSource", "CsvSource", "HttpSource"]

Seconds = Annotated[float, Meta(gt=0)]
_MOST_BODY = 1_000_000


class ConstantSource(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="from", tag="constant"
):
    """Always the same value."""

    value: float

    async def read(self) -> float:
        """The value."""
        return self.value


class CommandSource(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="from", tag="command"
):
    """What a program prints: a number. `run` is the list of its arguments; there is no shell."""

    run: Annotated[tuple[str, ...], Meta(min_length=1)]
    timeout_s: Seconds = 10.0

    async def read(self) -> float:
        """Run it.

        Raises:
            AgentError: it fails, or prints no number.
        """
        return _number((await run(self.run, self.timeout_s)).strip(), self.run[0])


class HttpSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="from", tag="http"):
    """A number in JSON from an address. `path` is the way to it: names and positions with dots between, such as
    `meters.0.power`; without it the whole answer is the number."""

    url: str
    path: str = ""
    headers: dict[str, str] = {}
    timeout_s: Seconds = 10.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url must begin with http:// or https://, not {self.url!r}")

    async def read(self) -> float:
        """Fetch it.

        Raises:
            AgentError: no answer, or no number in it.
        """
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=self.timeout_s)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=self.headers) as session,
                session.get(self.url) as response,
            ):
                if response.status != 200:
                    raise AgentError(f"{self.url} was answered with HTTP {response.status}")
                found: Any = json.loads(await response.content.read(_MOST_BODY))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise AgentError(f"{self.url} gave no JSON: {str(error) or 'no answer in time'}") from error
        for step in filter(None, self.path.split(".")):
            try:
                found = found[int(step)] if isinstance(found, list) else found[step]
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise AgentError(f"{self.url} has nothing at {self.path!r}: {step!r} is not there") from error
        return _number(found, f"{self.url} at {self.path!r}")


class CsvSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="from", tag="csv"):
    """The last line's number in a column of a CSV file whose first line has the names."""

    file: str
    column: str

    async def read(self) -> float:
        """Read the file's last line.

        Raises:
            AgentError: the file, the column or the number is missing.
        """
        return await asyncio.to_thread(self._last)

    def _last(self) -> float:
        try:
            with open(self.file, newline="", encoding="utf-8") as file:
                last: dict[str, str] = {}
                for last in csv.DictReader(file):  # noqa: B007 - the last one is wanted
                    pass
        except (OSError, ValueError, csv.Error) as error:
            raise AgentError(f"{self.file} can't be read: {error}") from error
        if self.column not in last:
            raise AgentError(f"{self.file} has no line yet with a column {self.column!r}")
        return _number(last[self.column], f"{self.file}, column {self.column!r}")


def _number(text: object, where: str) -> float:
    try:
        if isinstance(text, bool) or not isinstance(text, str | int | float):
            raise TypeError
        return float(text)
    except (TypeError, ValueError) as error:
        raise AgentError(f"{where} gives {str(text)[:60]!r}, which is no number") from error
