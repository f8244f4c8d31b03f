"""The state of an entity of Home Assistant."""

from __future__ import annotations

from collections.abc import Mapping

from pyopenadr.ven.adapter.field import number_in
from pyopenadr.ven.adapter.http import fetched

__all__ = ["HomeAssistantEntity"]

_NO_STATE = ("unknown", "unavailable", "none", "")


class HomeAssistantEntity:
    """A source: the state of `entity_id`, times `scale`, or one of its attributes.

    `url` is the address of Home Assistant, such as `http://homeassistant.local:8123`, and `token` a long-lived access
    token (Profile, Security). An entity that is unavailable or unknown is a bad value.
    """

    def __init__(
        self,
        url: str,
        token: str,
        entity_id: str,
        *,
        attribute: str | None = None,
        scale: float = 1.0,
        timeout_s: float = 10.0,
    ) -> None:
        self._url = f"{url.rstrip('/')}/api/states/{entity_id}"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._field = "state" if attribute is None else f"attributes.{attribute}"
        self._scale = scale
        self._timeout_s = timeout_s

    async def __call__(self) -> float | None:
        content = await fetched(self._url, self._headers, self._timeout_s)
        if isinstance(content, Mapping) and content.get("state") in _NO_STATE:
            return None
        return number_in(content, self._field, self._scale)
