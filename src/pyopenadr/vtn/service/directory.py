"""Finding a VEN by what it shows or says of itself, without looking through all of them."""

from __future__ import annotations

from pyopenadr.model import Registration

__all__ = ["Directory"]


class Directory:
    """Which VEN has a certificate, a registration ID, a login, a name.

    Only the IDs are kept; the VENs are somebody else's.
    """

    def __init__(self) -> None:
        self._by_print: dict[str, str] = {}
        self._by_registration: dict[str, str] = {}
        self._by_login: dict[str, str] = {}
        self._by_name: dict[str, tuple[str, ...]] = {}

    def note(self, now: Registration, before: Registration | None) -> None:
        """A VEN is known by `now`, and was by `before`."""
        if before is not None:
            for each in before.fingerprints:
                self._drop(self._by_print, each, before.ven_id)
            self._drop(self._by_registration, before.registration_id, before.ven_id)
            self._drop(self._by_login, before.login, before.ven_id)
            if before.ven_name is not None and before.ven_name != now.ven_name:
                self._unname(before.ven_name, before.ven_id)
        for each in now.fingerprints:
            self._by_print[each] = now.ven_id
        if now.registration_id is not None:
            self._by_registration[now.registration_id] = now.ven_id
        if now.login is not None:
            self._by_login[now.login] = now.ven_id
        if now.ven_name is not None and now.ven_id not in self.with_name(now.ven_name):
            self._by_name[now.ven_name] = (*self.with_name(now.ven_name), now.ven_id)

    def _unname(self, ven_name: str, ven_id: str) -> None:
        left = tuple(each for each in self.with_name(ven_name) if each != ven_id)
        if left:
            self._by_name[ven_name] = left
        else:
            self._by_name.pop(ven_name, None)

    @staticmethod
    def _drop(where: dict[str, str], key: str | None, ven_id: str) -> None:
        if key is not None and where.get(key) == ven_id:
            del where[key]

    def with_fingerprint(self, fingerprint: str) -> str | None:
        """The venID of the VEN that a certificate is bound to."""
        return self._by_print.get(fingerprint)

    def with_registration(self, registration_id: str) -> str | None:
        """The venID of the VEN that is registered under that ID."""
        return self._by_registration.get(registration_id)

    @property
    def has_logins(self) -> bool:
        """Whether any VEN logs in."""
        return bool(self._by_login)

    def with_login(self, user: str) -> str | None:
        """The venID of the VEN that logs in as that user."""
        return self._by_login.get(user)

    def with_name(self, ven_name: str) -> tuple[str, ...]:
        """The venIDs of those with that name, the first one first."""
        return self._by_name.get(ven_name, ())
