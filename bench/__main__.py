"""Run the parts named on the command line, or all there are. A part is a module here with a `run` function."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Sequence

import bench
from bench.measure import keep, pin, show


def parts() -> list[str]:
    """The names of the parts: all modules here but those that help them."""
    names = [module.name for module in pkgutil.iter_modules(bench.__path__)]
    return [name for name in names if name not in ("__main__", "measure", "load", "database")]


def main(names: Sequence[str]) -> int:
    """Measure, show and keep; 1 if a target was missed, 2 if there is no such part."""
    if unknown := sorted(set(names) - set(parts())):
        print(f"no such part: {', '.join(unknown)}; there are {', '.join(parts())}", file=sys.stderr)
        return 2
    pin()
    missed = 0
    for name in names or parts():
        part = importlib.import_module(f"bench.{name}")
        rows = part.run()
        if not rows:
            continue  # the part has said why
        show(str(part.__doc__).splitlines()[0], rows)
        print(f"kept in bench/results/{keep(name, rows, part.PACKAGES).name}")
        missed += sum(not row.is_met for row in rows)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
