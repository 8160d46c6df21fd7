"""Asks a server again and again while something happens behind it, and waits, within bounds, for what it shall say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.server.client import JSON, Client, Response

PATIENCE = 60.0
"""Seconds for what takes less than one of them on a machine that is not busy."""


async def until(client: Client, path: str, is_right: Callable[[Response], bool]) -> Response:
    """Ask until the answer is right."""
    async with asyncio.timeout(PATIENCE):
        while True:
            response = await client.get(path, {"Accept": JSON})
            if is_right(response):
                return response
            await asyncio.sleep(0.02)


async def shown(client: Client, page: str, version: str) -> Response:
    """Ask until a project page has a version."""
    return await until(client, page, lambda answer: answer.status == 200 and version in answer.json["versions"])


async def status_when(client: Client, is_right: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask for the status until it is right."""
    found: dict[str, Any] = (await until(client, "/+status", lambda answer: is_right(answer.json["result"]))).json
    result: dict[str, Any] = found["result"]
    return result


async def commit_is(client: Client, commit: str) -> None:
    """Wait until a commit is served."""
    await status_when(client, lambda result: result["revision"] == commit and result["refused"] is None)
    await until(client, "/+changelog?limit=1", lambda answer: answer.json["result"][0]["commit"] == commit)


@asynccontextmanager
async def asking(client: Client, *paths: str) -> AsyncIterator[list[Response]]:
    """Ask for *paths* all the time meanwhile; every answer has to be a good one."""
    answers: list[Response] = []
    is_over = asyncio.Event()

    async def ask(path: str) -> None:
        while not is_over.is_set():
            response = await client.get(path, {"Accept": JSON})
            answers.append(response)
            assert response.status == 200, (path, response)
            await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(ask(path)) for path in paths]
    try:
        yield answers
    finally:
        is_over.set()
        await asyncio.gather(*tasks)
    assert len(answers) >= len(paths)
