"""Reads `ven.yaml`; whatever is wrong is said with file, line and key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from pyopenadr.agent.plan import Plan
from pyopenadr.errors import ConfigError, OpenADRError
from pyopenadr.transport.http import check_login
from pyopenadr.ven.declaration import data_point
from pyopenadr.ven.session import base_of

__all__ = ["read_plan"]

_VARIABLE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


def read_plan(path: str | os.PathLike[str]) -> Plan:
    """The plan in a file. `${env:NAME}` in a text stands for that environment variable, so no secret need be in it.

    Raises:
        ConfigError: the file can't be read, or something in it is wrong.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path} can't be read: {reason}; `pyopenadr ven init` writes one") from error
    try:
        import yaml
    except ImportError as error:
        raise ConfigError("ven.yaml needs another package: pip install 'pyopenadr[ven]'") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        spot = f", line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{path}{spot} is no YAML: {getattr(error, 'problem', None) or error}") from error
    for double, line in _doubled(root):
        raise ConfigError(f"{path}, line {line}: {double} stands there twice: leave one out")
    try:
        plan = msgspec.convert(_with_environment(value, path), Plan)
    except msgspec.ValidationError as error:
        said, _, where = str(error).partition(" - at `$")
        where = where.rstrip("`")
        raise ConfigError(f"{path}, line {_line_of(root, where)}, {where.lstrip('.') or 'the file'}: {said}") from error
    _check(plan, lambda where, said: ConfigError(f"{path}, line {_line_of(root, where)}, {where.lstrip('.')}: {said}"))
    return plan


def _check(plan: Plan, wrong: Any) -> None:
    """What the types can't say."""
    try:
        base_of(plan.vtn.url, plan.vtn.profile)
    except ConfigError as error:
        raise wrong(".vtn.url", str(error)) from error
    if (plan.vtn.user is None) != (plan.vtn.password is None):
        raise wrong(".vtn", "user and password go together")
    try:
        check_login(plan.vtn.basic, plan.vtn.url)
    except ConfigError as error:
        raise wrong(".vtn.user", str(error)) from error
    if plan.vtn.profile == "2.0a":
        _check_2_0a(plan, wrong)
    if plan.tls.sign and (plan.tls.cert is None or plan.tls.key is None):
        raise wrong(".tls.sign", "signing needs cert and key")
    for number, rule in enumerate(plan.opt.rules):
        where = f".opt.rules[{number}]"
        if rule.signal is None and (rule.above is not None or rule.below is not None):
            raise wrong(where, "above and below need the name of a signal")
        if rule.signal is None and rule.market_context is None and rule.measured is None:
            raise wrong(where, "it fits every event: say that by opt.default")
        if rule.measured is not None and rule.measured.above is None and rule.measured.below is None:
            raise wrong(f"{where}.measured", "give above or below")
    for number, signal in enumerate(plan.signals):
        low, high = signal.minimum, signal.maximum
        if low is not None and high is not None and low > high:
            raise wrong(f".signals[{number}].minimum", f"{low:g} is above maximum, {high:g}")
    for number, report in enumerate(plan.reports):
        for position, point in enumerate(report.points):
            try:
                data_point(point.reading, r_id=point.id, resource_id=point.resource, unit=point.unit)
            except OpenADRError as error:
                raise wrong(f".reports[{number}].points[{position}]", str(error)) from error


def _check_2_0a(plan: Plan, wrong: Any) -> None:
    """Whether nothing is wanted that 2.0a does not have."""
    if not plan.ven.ven_id:
        raise wrong(".ven", "2.0a has no registration: give the ven_id that was agreed upon with the VTN's operator")
    if plan.reports:
        raise wrong(".reports", "2.0a has no reports: leave them out, or vtn.profile if the VTN speaks 2.0b")
    if plan.tls.sign:
        raise wrong(".tls.sign", "2.0a has no signatures: leave it out, or vtn.profile if the VTN speaks 2.0b")
    for number, signal in enumerate(plan.signals):
        if signal.signal != "SIMPLE":
            raise wrong(f".signals[{number}].signal", f"2.0a has the signal SIMPLE only, not {signal.signal}")


def _with_environment(value: Any, path: object) -> Any:
    if isinstance(value, dict):
        return {name: _with_environment(item, path) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_environment(item, path) for item in value]
    if isinstance(value, str):

        def of(found: re.Match[str]) -> str:
            if found[1] not in os.environ:
                raise ConfigError(f"{path} needs the environment variable {found[1]}, which is not set")
            return os.environ[found[1]]

        return _VARIABLE.sub(of, value)
    return value


def _doubled(node: Any) -> Iterator[tuple[str, int]]:
    """Keys that stand twice in one mapping: YAML takes the last, and nobody notices."""
    if node is None or isinstance(node.value, str):
        return
    seen: set[str] = set()
    for item in node.value:
        if isinstance(item, tuple):
            key = str(item[0].value)
            if key in seen:
                yield key, item[0].start_mark.line + 1
            seen.add(key)
            yield from _doubled(item[1])
        else:
            yield from _doubled(item)


def _line_of(root: Any, where: str) -> int:
    """The line of a place such as `.signals[0].actions[1].url`, or of the nearest part around it that is there."""
    node = root
    line = 1
    for name, position in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", where):
        if node is None or isinstance(node.value, str):
            break
        entries = node.value
        if position:
            if int(position) >= len(entries) or isinstance(entries[int(position)], tuple):
                break
            node = entries[int(position)]
            line = node.start_mark.line + 1
        else:
            found = next((pair for pair in entries if isinstance(pair, tuple) and pair[0].value == name), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
    return line
