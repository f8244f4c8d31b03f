"""Figures of a running VTN in the text format of Prometheus.

Our own dozen lines: a client library would keep its figures in globals, which two servers in one process would share.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

__all__ = ["Metrics"]

_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PREFIX = "pyopenadr_vtn"


class Metrics:
    """What is counted at the door. `idle_polls` are polls with nothing to say; all other messages are in `note`."""

    def __init__(self) -> None:
        self.idle_polls = 0
        self._replies: dict[tuple[str, str, str], int] = {}
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._notices: dict[str, int] = {}

    def note(self, service: str, status: int, code: str, seconds: float) -> None:
        """A message has been answered: with that HTTP status, that response code in it, after so long."""
        key = (service, str(status), code)
        self._replies[key] = self._replies.get(key, 0) + 1
        buckets = self._buckets.setdefault(service, [0] * (len(_BOUNDS_S) + 1))
        buckets[bisect_left(_BOUNDS_S, seconds)] += 1
        self._seconds[service] = self._seconds.get(service, 0.0) + seconds

    def note_notice(self, kind: str) -> None:
        """A notice has been put up."""
        self._notices[kind] = self._notices.get(kind, 0) + 1

    def text(self, gauges: dict[str, tuple[str, float]]) -> str:
        """Everything, with gauges that are read now: name to meaning and value."""
        return "\n".join([*self._lines(), *_gauges(gauges), ""])

    def _lines(self) -> Iterator[str]:
        yield from _head("idle_polls_total", "counter", "Polls that were answered with nothing to say.")
        yield f"{_PREFIX}_idle_polls_total {self.idle_polls}"
        yield from _head("replies_total", "counter", "Replies to all other messages, by HTTP status and response code.")
        for (service, status, code), count in sorted(self._replies.items()):
            yield f'{_PREFIX}_replies_total{{service="{service}",status="{status}",code="{code}"}} {count}'
        yield from _head("reply_seconds", "histogram", "How long these replies took.")
        for service, buckets in sorted(self._buckets.items()):
            total = 0
            for bound, count in zip((*map(str, _BOUNDS_S), "+Inf"), buckets, strict=True):
                total += count
                yield f'{_PREFIX}_reply_seconds_bucket{{service="{service}",le="{bound}"}} {total}'
            yield f'{_PREFIX}_reply_seconds_sum{{service="{service}"}} {self._seconds[service]:.6f}'
            yield f'{_PREFIX}_reply_seconds_count{{service="{service}"}} {total}'
        yield from _head("notices_total", "counter", "What has happened, by kind.")
        for kind, count in sorted(self._notices.items()):
            yield f'{_PREFIX}_notices_total{{kind="{kind}"}} {count}'


def _head(name: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"# HELP {_PREFIX}_{name} {meaning}"
    yield f"# TYPE {_PREFIX}_{name} {kind}"


def _gauges(gauges: dict[str, tuple[str, float]]) -> Iterator[str]:
    for name, (meaning, value) in gauges.items():
        yield from _head(name, "gauge", meaning)
        yield f"{_PREFIX}_{name} {value:g}"
