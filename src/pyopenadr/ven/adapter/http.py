"""A number out of JSON that is fetched over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyopenadr.errors import TransportError
from pyopenadr.ven.adapter.field import number_in

__all__ = ["HttpJson", "fetched"]

MOST_BYTES = 1024 * 1024


class HttpJson:
    """A source: fetches `url` for each sample and takes the number in `field` of the JSON there, times `scale`.

    `field` is a path such as `meters.0.power`; without it the document itself is the number. `headers` go with each
    request. A failure is a bad value, and is logged.
    """

    def __init__(
        self,
        url: str,
        field: str | None = None,
        *,
        scale: float = 1.0,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self._url = url
        self._field = field
        self._scale = scale
        self._headers = dict(headers or {})
        self._timeout_s = timeout_s

    async def __call__(self) -> float | None:
        content = await fetched(self._url, self._headers, self._timeout_s)
        return number_in(content, self._field, self._scale)


async def fetched(url: str, headers: Mapping[str, str], timeout_s: float) -> object:
    """The JSON at that address.

    Raises:
        TransportError: there is none.
    """
    import aiohttp  # late: it is slow to load, and only who fetches needs it here

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s), headers=dict(headers)) as session,
            session.get(url, allow_redirects=False) as reply,
        ):
            if reply.status != 200:
                raise TransportError(f"{url} answered {reply.status}", status=reply.status)
            body = b""
            async for chunk in reply.content.iter_chunked(65536):
                body += chunk
                if len(body) > MOST_BYTES:
                    raise TransportError(f"{url} answered more than {MOST_BYTES} bytes")
            content: object = json.loads(body)
            return content
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise TransportError(f"{url} could not be read: {type(error).__name__} {error}") from error
