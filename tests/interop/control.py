"""The child's end of a remote control: a peer in a process of its own obeys commands, one line of JSON each.

openleadr keeps state in modules and classes, so each peer gets a process of its own.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

LONGEST_LINE = 16 * 1024 * 1024


async def obey(commands: Mapping[str, Callable[..., Any]]) -> None:
    """Carry out commands from the standard input, one after the other, until it is closed."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the peer prints must not get between the replies
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        name, arguments = json.loads(line)
        try:
            result = commands[name](**arguments)
            answer = {"result": await result if inspect.isawaitable(result) else result}
        except Exception as error:  # noqa: BLE001 - whatever the peer does is told to the test
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=str), file=replies, flush=True)
    pipe.close()
    replies.close()
