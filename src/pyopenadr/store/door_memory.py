"""What the VTN's door keeps, in plain dictionaries: a part of `MemoryStore`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pyopenadr.store import row
from pyopenadr.store.part_memory import MemoryPart
from pyopenadr.store.port import Admission, Claim, Knock

__all__ = ["MemoryDoor"]


class MemoryDoor(MemoryPart):
    """The part of a store in memory that is about who may come in."""

    def __init__(self) -> None:
        super().__init__()
        self._claims: dict[tuple[str, str], int] = {}
        self._admissions: dict[str, Admission] = {}
        self._knocks: dict[str, Knock] = {}

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        self._check_open()
        wanted = [((each.scope, each.name), row.to_micros(each.expires_at, "expires_at")) for each in claims]
        first = []
        for key, expires_at in wanted:
            first.append(key not in self._claims)
            self._claims.setdefault(key, expires_at)
        return first

    async def give_back(self, claims: Sequence[Claim]) -> None:
        self._check_open()
        for each in claims:
            if self._claims.get((each.scope, each.name)) == row.to_micros(each.expires_at, "expires_at"):
                del self._claims[each.scope, each.name]

    async def forget_claims(self, now: datetime) -> int:
        self._check_open()
        before = row.to_micros(now, "now")
        old = [key for key, expires_at in self._claims.items() if expires_at < before]
        for key in old:
            del self._claims[key]
        return len(old)

    async def save_admissions(self, admissions: Sequence[Admission], *, knock: str | None = None) -> None:
        self._check_open()
        kept = [row.admission_from_row(row.admission_to_row(each)) for each in admissions]
        self._admissions |= {each.key: each for each in kept}
        if knock is not None:
            self._knocks.pop(knock, None)

    async def find_admissions(self, keys: Sequence[str]) -> list[Admission]:
        self._check_open()
        return [self._admissions[key] for key in dict.fromkeys(keys) if key in self._admissions]

    async def list_admissions(self) -> list[Admission]:
        self._check_open()
        return [each for _, each in sorted(self._admissions.items())]

    async def delete_admission(self, key: str) -> bool:
        self._check_open()
        return self._admissions.pop(key, None) is not None

    async def save_knock(self, knock: Knock, *, most: int) -> bool:
        self._check_open()
        kept = row.knock_from_row(row.knock_to_row(knock))
        if knock.key not in self._knocks and len(self._knocks) >= most:
            return False
        self._knocks[knock.key] = kept
        return True

    async def load_knock(self, key: str) -> Knock | None:
        self._check_open()
        return self._knocks.get(key)

    async def list_knocks(self) -> list[Knock]:
        self._check_open()
        return sorted(self._knocks.values(), key=lambda knock: (knock.first_at, knock.key))

    async def delete_knock(self, key: str) -> bool:
        self._check_open()
        return self._knocks.pop(key, None) is not None
