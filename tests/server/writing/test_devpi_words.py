"""What devpi's protocol lets somebody say: it ends up in documents alone, and leads nowhere else."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from gitindex.server.devpi.forwarding import _leads_to
from tests.builders import make_wheel
from tests.repositories import IndexRepository
from tests.server.client import Response, basic
from tests.server.writing.form import Uploads, log, told, unchanged

WHEEL = make_wheel("demo", "1.0")
DIGEST = hashlib.sha256(WHEEL[1]).hexdigest()


async def ask(uploads: Uploads, method: str, path: str, sent: bytes | Any) -> Response:
    body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json", **basic(uploads.token)}
    return await uploads.client.request(method, path, headers, body=body)


def test_the_name_of_an_environment_is_one_line_of_a_commit(team: IndexRepository) -> None:
    environment = "py\n\nCo-authored-by: bob <bob@example.org>\n\x1b[31m"

    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL)).status == 200
        report = {"testenvs": {environment: {"test": [{"retcode": 0}]}}}
        path = f"/emilie/dev/+f/{DIGEST[:3]}/{DIGEST[3:16]}/{WHEEL[0]}"
        assert (await ask(uploads, "POST", path, report)).status == 200

    told(team, story)
    for commit in team.git("log", "--format=%H").split():
        text = team.git("cat-file", "commit", commit).partition("\n\n")[2]
        assert "\n" not in text
        assert text.strip().isprintable()
    assert len(log(team)) == 3


def test_half_a_surrogate_is_no_text(team: IndexRepository) -> None:
    async def story(uploads: Uploads) -> None:
        answer = await ask(uploads, "POST", "/emilie/dev", b'{"name": "\\ud800", "version": "1.0"}')
        assert (answer.status, b"could not decode json" in answer.body) == (400, True)

    unchanged(team, lambda: told(team, story))


def test_a_login_is_short(team: IndexRepository) -> None:
    async def story(uploads: Uploads) -> None:
        sent = {"user": "emilie", "password": uploads.token}
        assert (await ask(uploads, "POST", "/+login", sent)).status == 200
        assert (await ask(uploads, "POST", "/+login", {**sent, "more": "x" * 20_000})).status == 413

    told(team, story)


ABOVE = "https://up.example.org/legacy/"


@pytest.mark.parametrize(
    "below",
    ["../admin/", "a/../../admin/", "%2e%2e/admin/", "./../admin/", "a//../b", "\\..\\admin", "a?b=/../", "a#b", ".."],
)
def test_nothing_leads_out_of_where_releases_may_be_pushed(team: IndexRepository, below: str) -> None:
    async def story(uploads: Uploads) -> None:
        sent = {"name": "demo", "version": "1.0", "posturl": ABOVE + below, "username": "x", "password": "y"}
        answer = await ask(uploads, "POST", "/emilie/dev", sent)
        assert (answer.status, b"pushes to no such server" in answer.body) == (403, True)

    told(team, story, push_to=(ABOVE,))


def test_what_is_below_where_releases_may_be_pushed_is_allowed() -> None:
    assert all(_leads_to(ABOVE + below, ABOVE) for below in ("", "emilie/dev", "emilie/dev/", "a.b/c_d/e-f/"))
    assert _leads_to(ABOVE, ABOVE.rstrip("/"))
    assert not _leads_to("https://up.example.org/legacy2/", ABOVE.rstrip("/"))
