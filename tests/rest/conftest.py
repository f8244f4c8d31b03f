"""A VTN with its API, on a socket, and clients of each role."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pyopenadr import OpenADRServer
from tests.unit.vtn.sample import server, store_at


class Client:
    """Requests to the API; each gives the reply with its body read."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def ask(self, method: str, path: str, **more: Any) -> Reply:
        async with self._session.request(method, self.url + path, allow_redirects=False, **more) as reply:
            return Reply(reply.status, dict(reply.headers), await reply.read(), reply)

    async def get(self, path: str, **more: Any) -> Reply:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Reply:
        return await self.ask("POST", path, **({"json": body} if body is not None else {}), **more)

    @property
    def session(self) -> aiohttp.ClientSession:
        return self._session


class Reply:
    def __init__(self, status: int, headers: dict[str, str], body: bytes, reply: aiohttp.ClientResponse) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body
        self._reply = reply

    @property
    def json(self) -> Any:
        import json

        return json.loads(self.body)

    @property
    def etag(self) -> str:
        return self.headers["etag"]


@pytest.fixture(params=["memory", "sqlite"])
async def vtn(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenADRServer]:
    async with server(store_at(request.param, tmp_path), api=True) as running:
        yield running


@pytest.fixture
async def connect(vtn: OpenADRServer) -> AsyncIterator[Callable[..., Any]]:
    """`await connect(role)` gives a client with a token of that role; of no role without one."""
    async with AsyncExitStack() as stack:

        async def client(role: str | None = "operator", token: str | None = None) -> Client:
            if role is not None:
                token = await vtn.create_token(f"a {role}", role)
            headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
            session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
            return Client(session, vtn.url)

        yield client


@pytest.fixture
async def api(connect: Callable[..., Any]) -> Client:
    """A client of an operator."""
    client: Client = await connect("operator")
    return client
