"""Requests of devpi's protocol that nobody of good faith sends: each is answered, and the repository stays in order."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gitindex import tokens
from tests.conftest import Run
from tests.repositories import make_repository
from tests.server.client import basic
from tests.server.writing.form import taking, team_content

WORDS = [
    *("", "emilie", "dev", "prod", "emilie/dev", "emilie/prod", "demo", "1.0", "0.1.0", "../..", "/", "\x00", "é"),
    *("volatile=true", "bases+=emilie/dev", "acl_upload-=emilie", "title=x", "title-=", "=", "+=", "*", ":group"),
    *("x" * 300, "true", "stage", "mirror", "http://127.0.0.1:9/", "file:///etc/passwd", "1" * 400, "-1", "\u202e"),
]
KEYS = [
    *("name", "version", "targetindex", "posturl", "username", "password", "no_docs", "only_docs", "user", "email"),
    *("title", "type", "bases", "volatile", "acl_upload", "mirror_url", "mirror_whitelist", "description", "projects"),
    *("testenvs", "py", "test", "setup", "retcode", "result", "success", "duration", "indexes", "admin", "identities"),
]
PATHS = [
    *("/", "/+login", "/+api", "/emilie", "/mallory", "/emilie/dev", "/emilie/new", "/emilie/prod", "/nobody/x"),
    *("/emilie/dev/demo", "/emilie/dev/demo/0.1.0", "/emilie/prod/demo", "/emilie/dev/+simple/demo/refresh"),
    *("/emilie/dev/+f/123/4567890123456/demo-1.0.tar.gz", "/@main/emilie/dev", "/emilie/dev/simple/demo/"),
]
METHODS = [*(3 * ["PUT", "PATCH", "DELETE"]), "POST", "POST", "GET", "HEAD", "OPTIONS", "PUSH"]


def value(chance: random.Random, depth: int = 0) -> Any:
    """Return something that JSON can say."""
    kind = chance.randrange(9 if depth < 3 else 6)
    if kind < 3:
        return chance.choice(WORDS)
    if kind < 6:
        return chance.choice([None, True, False, 0, -1, 10**30, 1.5, 1e308])
    if kind == 6:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(KEYS): value(chance, depth + 1) for _ in range(chance.randrange(6))}


def body(chance: random.Random) -> bytes:
    """Return what is sent: mostly what may be meant, and some of it nothing at all."""
    kind = chance.random()
    if kind < 0.1:
        return chance.randbytes(chance.randrange(50))
    if kind < 0.3:
        return json.dumps([chance.choice(WORDS) for _ in range(chance.randrange(3))]).encode()
    if kind < 0.7:
        return json.dumps({chance.choice(KEYS): chance.choice(WORDS) for _ in range(chance.randrange(3))}).encode()
    return json.dumps(value(chance)).encode()


@pytest.mark.parametrize("seed", range(4))
def test_any_request_is_answered_and_leaves_the_repository_in_order(seed: int, tmp_path: Path, run: Run) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same requests each time
    repository = make_repository(tmp_path / "packages", team_content())
    statuses, made = set(), set()
    scopes = ["define:*", "upload:*"]
    token = tokens.create(
        tmp_path / "tokens.json", "definer", scopes, expires=None, now=datetime.now(UTC), user="emilie"
    )

    async def story() -> None:
        async with taking(repository, tmp_path) as uploads:
            others = [basic(uploads.token), basic(uploads.tokens["reader"]), {}, basic("gitindex_none_none")]
            who = [*(6 * [basic(token.text)]), *others]
            for _ in range(500):
                method, path = chance.choice(METHODS), chance.choice(PATHS)
                headers = {"Accept": "application/json", "Content-Type": "application/json", **chance.choice(who)}
                if chance.random() < 0.5:
                    headers["Host"] = "packages.example.org"
                query = chance.choice(
                    ["", "force=", "no_projects=", "ignore_bases=", "error_on_noop=", "%ff=&&=", "a" * 2000]
                )
                sent = [body(chance)]
                answer = await uploads.client.request(method, path, headers, query=query, body=sent)
                statuses.add(answer.status)
                if answer.status in {200, 201} and method not in {"GET", "HEAD"}:
                    made.add(method)
                assert answer.status < 500, (method, path, sent, answer)
                if answer.content_type == "application/json" and answer.status >= 400:
                    assert method == "HEAD" or answer.json["message"]

    asyncio.run(story())
    assert {400, 401, 403, 404, 405} <= statuses
    assert len({"PUT", "PATCH", "DELETE"} & made) > 1  # and some of it is in order
    assert run("-C", str(repository.root), "validate", "--all").code == 0
    assert run("-C", str(repository.root), "audit").code == 0
    assert repository.git("status", "--short") == ""


def test_of_two_headers_devpis_counts_and_of_several_of_it_none(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "packages", team_content())

    async def story() -> None:
        async with taking(repository, tmp_path) as uploads:
            good, other = (basic(token)["Authorization"].removeprefix("Basic ") for token in (uploads.token, "wrong"))

            async def status(*headers: tuple[str, str]) -> int:
                sent = [("Accept", "application/json"), *headers]
                return (await uploads.client.request("GET", "/emilie", sent)).status

            devpi, plain = "X-Devpi-Auth", "Authorization"
            assert await status((devpi, good)) == 200
            # A proxy in front may want the other one for itself.
            assert await status((devpi, good), (plain, f"Basic {other}")) == 200
            assert await status((devpi, other), (plain, f"Basic {good}")) == 401
            for headers in (((devpi, good), (devpi, good)), ((devpi, ""),), ((devpi, "x y"),), ((devpi, f"{good}!"),)):
                assert await status(*headers) == 401, headers

    asyncio.run(story())
