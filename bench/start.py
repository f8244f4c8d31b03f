"""Starting a VEN: what an import takes, ours and openleadr's, and how much memory `pyopenadr ven run` has.

An import is a fresh process that does it, less one that does nothing: the CPU of it, which is the time by the clock
where nothing else runs. Bytecode is there, as after an installation.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench.measure import Figure, Row
from bench.ven import constant_vtn

PACKAGES = ("pyopenadr", "openleadr", "aiohttp", "lxml", "msgspec")
ROUNDS = 11
SETTLED_S = 10.0
NOTHING = "pass"
OURS = "from pyopenadr import OpenADRClient"
THEIRS = "from openleadr import OpenADRClient"

__all__ = ["PACKAGES", "run"]


def _took_ms(program: str, environment: Mapping[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


def _imports_ms() -> tuple[float, float]:
    """The medians, ours and theirs."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = folder
        times: dict[str, list[float]] = {NOTHING: [], OURS: [], THEIRS: []}
        for program in times:
            _took_ms(program, environment)  # writes the bytecode
        for _ in range(ROUNDS):
            for program, measured in times.items():
                measured.append(_took_ms(program, environment))
    nothing, ours, theirs = (statistics.median(measured) for measured in times.values())
    return ours - nothing, theirs - nothing


def _resident_mb() -> float:
    """The memory of a VEN without code, once it has registered and polls."""
    with tempfile.TemporaryDirectory() as folder, constant_vtn() as vtn:
        path = Path(folder) / "ven.yaml"
        path.write_text(
            f"vtn:\n  url: http://127.0.0.1:{vtn.port}\nven:\n  name: v\n  state: {folder}/state\n", "utf-8"
        )
        command = [sys.executable, "-m", "pyopenadr", "ven", "run", str(path)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(SETTLED_S)  # what it has in memory is asked when it polls
            assert process.poll() is None, "the VEN has ended"
            pages = int(Path(f"/proc/{process.pid}/statm").read_text("ascii").split()[1])
        finally:
            process.terminate()
            process.wait()
    return pages * resource.getpagesize() / 1e6


def run() -> list[Row | Figure]:
    """Measure; memory only where the system tells it as Linux does."""
    ours, theirs = _imports_ms()
    rows: list[Row | Figure] = [
        Row(what="import of OpenADRClient", ours_us=ours * 1e3, theirs_us=theirs * 1e3, target=1),
        Figure(what="import of OpenADRClient", value=ours, unit="ms", most=150.0),
    ]
    if Path("/proc/self/statm").exists():
        rows.append(Figure(what="resident memory of pyopenadr ven run", value=_resident_mb(), unit="MB", most=80.0))
    return rows
