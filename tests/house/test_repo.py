"""What is and is not in the repository."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.house.source import ROOT

# Put together from pieces, so that this file does not contain what it looks for.
REGISTRIES = re.compile(
    "|".join(
        re.escape("".join(pieces))
        for pieces in (
            ("py", "pi.org"),
            ("python", "hosted.org"),
            ("registry.", "npmjs.org"),
            ("proxy.", "golang.org"),
            ("docker", ".io"),
            ("ghcr", ".io"),
            ("quay", ".io"),
            ("--index", "-url"),
            ("PIP_INDEX", "_URL"),
            ("opt/", "pypi"),
        )
    )
)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|tmp|root|home|Users)/")

NOT_TRACKED = {".git", ".venv", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__"}


def tracked() -> list[Path]:
    """The files of the repository, new ones too; where there is no git (a source archive), all files."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [p for p in ROOT.rglob("*") if not NOT_TRACKED & set(p.relative_to(ROOT).parts)]
    return sorted(path for path in paths if path.is_file())


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    """Where the pattern stands in a text file of the repository."""
    found = []
    for path in tracked():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # a picture or the like
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    return found


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def test_no_schema_file_is_committed() -> None:
    assert [str(path) for path in tracked() if path.suffix == ".xsd"] == []


def test_no_registry_is_named() -> None:
    assert lines_with(REGISTRIES) == []


def test_no_path_of_one_machine_is_named() -> None:
    own = f"{Path(__file__).relative_to(ROOT)}:"
    assert [line for line in lines_with(MACHINE_PATHS) if not line.startswith(own)] == []


@pytest.mark.parametrize(
    ("pattern", "text", "is_breach"),
    [
        (MACHINE_PATHS, "sqlite:////tmp/a.db", True),
        (MACHINE_PATHS, "see /work/shared", True),
        (MACHINE_PATHS, "https://example.com/work/1", False),
        (MACHINE_PATHS, "/var/tmp/a", False),
        (REGISTRIES, "https://py" + "pi.org/simple", True),
        (REGISTRIES, "pip install pyopenadr", False),
    ],
)
def test_a_breach_is_noticed(pattern: re.Pattern[str], text: str, is_breach: bool) -> None:
    assert bool(pattern.search(text)) == is_breach


def test_the_commands_of_the_readme_are_in_the_makefile() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    code = re.findall(r"^(?: {4}|\t|\$ )?make ([a-z][a-z -]*)", readme, re.MULTILINE)
    code += re.findall(r"`make ([a-z][a-z -]*)`", readme)
    commands = {target for command in code for target in command.split()}
    assert {"test", "demo"} <= commands
    assert commands <= make_targets()


def test_every_target_of_the_makefile_is_explained() -> None:
    explained = re.findall(r"^([a-z][a-z-]*):[^#\n]*## \S", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(explained) == make_targets()


def test_continuous_integration_runs_what_people_run() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text("utf-8").splitlines()[-1] == "make test"
