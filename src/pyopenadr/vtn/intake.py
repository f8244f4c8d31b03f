"""Many VENs at once: the list of those that may register, with groups and poll frequencies; all of it or nothing."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from pyopenadr.errors import ConfigError
from pyopenadr.model import Member, Registration
from pyopenadr.model.group import WHOLE
from pyopenadr.model.time import Duration, is_positive
from pyopenadr.store.port import Admission
from pyopenadr.v2.text import parse_duration
from pyopenadr.vtn.enrolment import make_admission
from pyopenadr.vtn.service import Service

__all__ = ["COLUMNS", "Enrollee", "Fault", "Intake", "check_poll_frequency", "read_enrollees", "take_in"]

COLUMNS = ("fingerprint", "common_name", "ven_name", "ven_id", "groups", "poll_frequency")
_OF_ADMISSION = COLUMNS[:4]


class Enrollee(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A VEN that is to come: who it is (see `OpenADRServer.allow`), its groups, and how often it shall poll.

    Groups and poll frequency need the `ven_id`, which they are kept under. `line` says where it stands, for errors.
    """

    fingerprint: str | None = None
    common_name: str | None = None
    ven_name: str | None = None
    ven_id: str | None = None
    groups: tuple[str, ...] = ()
    poll_frequency: Duration | None = None
    line: int | None = None


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with which line."""

    line: int
    detail: str


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """What became of many VENs: how many there are, and how many of these were not known. `done` is false if they were
    only looked at, or if anything is wrong: then nothing has been changed."""

    vens: int
    new: int
    done: bool
    faults: tuple[Fault, ...] = ()


class _Prepared(msgspec.Struct):
    admissions: list[Admission]
    members: list[Member]
    registrations: list[Registration]
    faults: list[Fault]
    new: int = 0


# --- reading --------------------------------------------------------------------------------------------------------


def read_enrollees(path: Path) -> list[Enrollee]:
    """The VENs in a CSV file. Its first line names the columns; groups are separated by semicolons.

    Raises:
        ConfigError: it can't be read, or a line is wrong; the text says which.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_enrollees_in(csv.DictReader(file), path))
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} is no CSV in UTF-8: {error}") from error


def _enrollees_in(rows: csv.DictReader[str], path: Path) -> Iterator[Enrollee]:
    columns = [name.strip() for name in rows.fieldnames or ()]
    if not set(columns) <= set(COLUMNS) or not columns:
        raise ConfigError(f"{path}: the first line must name columns, of {', '.join(COLUMNS)}; it has {columns}")
    rows.fieldnames = columns
    for line in rows:
        if None in line:
            raise ConfigError(f"{path}, line {rows.line_num}: there are more values than columns")
        cells = {name: (value or "").strip() for name, value in line.items()}
        groups = tuple(part.strip() for part in cells.pop("groups", "").split(";") if part.strip())
        try:
            frequency = _frequency(cells.pop("poll_frequency", ""))
        except ValueError as error:
            raise ConfigError(f"{path}, line {rows.line_num}: {error}") from error
        told: dict[str, str | None] = {name: value or None for name, value in cells.items()}
        yield Enrollee(**told, groups=groups, poll_frequency=frequency, line=rows.line_num)


def _frequency(text: str) -> Duration | None:
    try:
        return parse_duration(text) if text else None
    except ValueError as error:
        raise ValueError(f"poll_frequency {text!r} is no duration, such as PT30S: {error}") from error


def check_poll_frequency(frequency: Duration) -> None:
    """Whether VENs can be asked to poll so often.

    Raises:
        ConfigError: it is not positive, or not in whole seconds.
    """
    if not is_positive(frequency):
        raise ConfigError(f"poll_frequency must be positive, not {frequency}")
    if isinstance(frequency, timedelta) and frequency.microseconds:
        raise ConfigError(f"poll_frequency must be in whole seconds, not {frequency}: 2.0b has no parts of them")


# --- taking in ------------------------------------------------------------------------------------------------------


async def take_in(service: Service, enrollees: Sequence[Enrollee], *, dry_run: bool) -> Intake:
    """Put VENs on the list, into their groups, and make those with a venID known; nothing if anything is wrong.

    Those with a venID are known from then on, and registered when they come. What is there of a VEN already stays,
    but for what is said here.
    """
    groups = {group.group_id for group in await service.store.list_groups()}
    if dry_run:
        found = _prepare(service, enrollees, groups)
        return Intake(vens=len(enrollees), new=found.new, done=False, faults=tuple(found.faults))
    async with service.enrolling():
        found = _prepare(service, enrollees, groups)
        if not found.faults:
            await service.keep_enrolled(found.registrations, found.admissions, found.members)
    if not found.faults:
        await service.regroup()
    return Intake(vens=len(enrollees), new=found.new, done=not found.faults, faults=tuple(found.faults))


def _prepare(service: Service, enrollees: Iterable[Enrollee], groups: set[str]) -> _Prepared:
    found = _Prepared([], [], [], [])
    keys: dict[str, int] = {}
    ven_ids: dict[str, int] = {}
    for number, one in enumerate(enrollees, 1):
        line = one.line if one.line is not None else number
        try:
            admission = make_admission(**{name: getattr(one, name) for name in _OF_ADMISSION})
            _check_single(keys, admission.key, line, admission.key)
            if one.ven_id is None and (one.groups or one.poll_frequency is not None):
                raise ConfigError("groups and poll_frequency need the ven_id, which they are kept under")
            if one.ven_id is not None:
                _check_single(ven_ids, one.ven_id, line, f"ven_id {one.ven_id}")
                unknown = [group_id for group_id in one.groups if group_id not in groups]
                if unknown:
                    raise ConfigError(f"there is no group {', '.join(unknown)}: add it first")
                found.registrations.append(_known(service, one, one.ven_id, admission.fingerprint))
                found.members += [Member(group_id, one.ven_id, WHOLE) for group_id in one.groups]
            found.new += one.ven_id is None or service.registration(one.ven_id) is None
            found.admissions.append(admission)
        except ConfigError as error:
            found.faults.append(Fault(line, str(error)))
    return found


def _check_single(seen: dict[str, int], key: str, line: int, what: str) -> None:
    if key in seen:
        raise ConfigError(f"{what} stands in line {seen[key]} already")
    seen[key] = line


def _known(service: Service, one: Enrollee, ven_id: str, fingerprint: str | None) -> Registration:
    """The VEN as it will be known."""
    if one.poll_frequency is not None:
        check_poll_frequency(one.poll_frequency)
    before = service.registration(ven_id)
    owner = service.bound(fingerprint) if fingerprint is not None else None
    if owner is not None and owner.ven_id != ven_id:
        raise ConfigError(f"the certificate {fingerprint} is that of VEN {owner.ven_id!r}")
    if before is None:
        before = Registration(ven_id=ven_id, ven_name=one.ven_name, poll_frequency=service.poll_frequency)
    if fingerprint is not None and before.fingerprints and fingerprint not in before.fingerprints:
        raise ConfigError(f"VEN {ven_id!r} has another certificate: add this one by add_fingerprint")
    return msgspec.structs.replace(
        before,
        ven_name=before.ven_name or one.ven_name,
        fingerprint=before.fingerprint or fingerprint,
        own_poll_frequency=one.poll_frequency if one.poll_frequency is not None else before.own_poll_frequency,
    )
