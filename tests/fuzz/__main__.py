"""`python -m tests.fuzz`: coverage-guided fuzzing of every target for `FUZZ_SECONDS` (600) in all.

`python -m tests.fuzz TARGET SECONDS` is one of them. What makes a target fail is kept in `.fuzz/TARGET`, and the exit
code says that there is something.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

WORK = Path(".fuzz")
LONGEST = 20_000


def fuzz(name: str, seconds: int) -> None:
    """Run one target in this process, which ends with it."""
    # It has no stubs that mypy knows, and no wheel on some platforms.
    atheris: Any = import_module("atheris")
    logging.disable(logging.CRITICAL)
    with atheris.instrument_imports(include=["pyopenadr"]):
        from tests.fuzz.target import TARGETS, seeds

    folder = WORK / name / "corpus"
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (folder / f"seed-{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-artifact_prefix={WORK / name}/"]
    atheris.Setup([sys.argv[0], *options, str(folder)], TARGETS[name])
    atheris.Fuzz()


def main() -> int:
    """Every target, one after the other; 0 if none fails."""
    if len(sys.argv) == 3:
        fuzz(sys.argv[1], int(sys.argv[2]))
    from tests.fuzz.target import TARGETS

    share = max(1, int(os.environ.get("FUZZ_SECONDS", "600")) // len(TARGETS))
    failed = []
    for name in TARGETS:
        print(f"{name}: {share} s", flush=True)
        if subprocess.run([sys.executable, "-m", "tests.fuzz", name, str(share)], check=False).returncode:
            failed.append(name)
    print(f"failed: {', '.join(failed)}; the inputs are in {WORK}/" if failed else "nothing found")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
