"""The bare handlers that the server is measured by: the same bytes, the same headers, from memory, and nothing else.

`python bare.py PORT [MODULE ...]` runs it by uvicorn, and imports some modules first; granian is given ``bare:asgi`` or
``bare:rsgi``. What is answered is in the file that the variable BARE_ANSWERS names: a path, and for it the status, the
headers and the body, or a file to send.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

CHUNK = 1 << 20

Message = dict[str, Any]


class Prepared(NamedTuple):
    """What is sent for a path, as ASGI and as RSGI want it."""

    start: Message
    body: Message
    status: int
    headers: list[tuple[str, str]]
    data: bytes
    file: str
    """Empty for an answer from memory."""


def write_answers(path: Path, answers: dict[str, tuple[int, list[tuple[str, str]], bytes, str]]) -> None:
    """Write what is to be answered: status, headers, body, and the file that is sent instead."""
    kept = {
        place: [status, headers, body.decode("latin-1"), file]
        for place, (status, headers, body, file) in answers.items()
    }
    path.write_text(json.dumps(kept), encoding="utf-8")


def _read_answers() -> dict[str, Prepared]:
    kept = json.loads(Path(os.environ["BARE_ANSWERS"]).read_text(encoding="utf-8"))
    prepared = {}
    for place, (status, pairs, text, file) in kept.items():
        headers = [(name, value) for name, value in pairs]
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        data = text.encode("latin-1")
        start = {"type": "http.response.start", "status": status, "headers": raw}
        prepared[place] = Prepared(start, {"type": "http.response.body", "body": data}, status, headers, data, file)
    return prepared


_ANSWERS = _read_answers() if "BARE_ANSWERS" in os.environ else {}


async def asgi(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    del receive
    if scope["type"] != "http":
        return
    prepared = _ANSWERS[scope["path"]]
    await send(prepared.start)
    if not prepared.file:
        await send(prepared.body)
    elif "http.response.pathsend" in scope.get("extensions", ()):
        await send({"type": "http.response.pathsend", "path": prepared.file})
    else:
        with open(prepared.file, "rb") as stream:  # noqa: ASYNC230, PTH123 - as a bare handler does
            while piece := stream.read(CHUNK):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def rsgi(scope: Any, protocol: Any) -> None:
    prepared = _ANSWERS[scope.path]
    if prepared.file:
        protocol.response_file(prepared.status, prepared.headers, prepared.file)
    else:
        protocol.response_bytes(prepared.status, prepared.headers, prepared.data)


if __name__ == "__main__":
    for name in sys.argv[2:]:
        import_module(name)
    import uvicorn

    uvicorn.run(
        asgi,
        port=int(sys.argv[1]),
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
