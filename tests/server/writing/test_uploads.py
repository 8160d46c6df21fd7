"""Uploads: what is taken becomes a commit and is served at once, and what is refused changes nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import subprocess
from pathlib import Path

import pytest

from tests.builders import make_sdist, make_wheel
from tests.conftest import Run
from tests.repositories import IndexRepository, bare_clone, files_below, make_repository
from tests.server.client import GONE, JSON, Response, basic
from tests.server.writing.form import (
    BOUNDARY,
    Uploads,
    form,
    log,
    taking,
    team_content,
    told,
    unchanged,
    upload_form,
)
from tests.sites import program

WHEEL = make_wheel("demo", "1.0", requires_python=">=3.8")
OTHER = make_wheel("demo", "1.0", requires_python=">=3.9")
SDIST = make_sdist("demo", "1.0")


def test_an_upload_is_a_commit_of_its_user_that_is_served_at_once(team: IndexRepository, run: Run) -> None:
    async def story(uploads: Uploads) -> None:
        answer = await uploads.upload(*WHEEL, name="Demo", version="1.0")
        assert (answer.status, answer.body) == (200, b"Upload demo-1.0-py3-none-any.whl to emilie/dev\n")
        page = await uploads.client.get("/emilie/dev/simple/demo/", {"Accept": JSON})
        (file,) = page.json["files"]
        assert file["hashes"] == {"sha256": hashlib.sha256(WHEEL[1]).hexdigest()}
        path = f"/files/{file['hashes']['sha256'][:2]}/{file['hashes']['sha256'][2:]}/{file['filename']}"
        assert (await uploads.client.get(path)).body == WHEEL[1]
        assert (await uploads.client.get(f"{path}.metadata")).status == 200

    told(team, story)
    assert team.git("log", "-1", "--format=%an <%ae> %s%n%b").strip() == (
        "emilie <emilie@example.org> Upload demo-1.0-py3-none-any.whl to emilie/dev"
    )
    assert team.git("status", "--short") == ""
    assert "demo" in team.git("reflog", "-1", "main")
    assert run("-C", str(team.root), "validate", "--all").code == 0
    assert run("-C", str(team.root), "audit").code == 0


def test_the_same_bytes_again_are_no_commit(team: IndexRepository) -> None:
    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL)).status == 200
        answer = await uploads.upload(*WHEEL)
        assert (answer.status, answer.body) == (200, b"Unchanged: demo-1.0-py3-none-any.whl in emilie/dev\n")
        assert (await uploads.upload(*SDIST)).status == 200

    told(team, story)
    assert len(log(team)) == 3


def test_other_bytes_are_a_conflict_where_releases_stay(team: IndexRepository) -> None:
    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL, index="emilie/prod")).status == 200
        answer = await uploads.upload(*OTHER, index="emilie/prod")
        assert answer.status == 409
        assert answer.body.startswith(b"GI205 ")
        # devpi does so too: in a volatile index the file is another one from now on.
        assert (await uploads.upload(*WHEEL)).status == 200
        assert (await uploads.upload(*OTHER)).status == 200

    told(team, story)
    assert len(log(team)) == 4


NO_TOKEN, BAD = "", "no-token"


@pytest.mark.parametrize(
    ("what", "index", "status", "words"),
    [
        ({"token": BAD}, "emilie/dev", 401, "wrong, has expired or was revoked"),
        ({"Authorization": ""}, "emilie/dev", 401, "a token is needed"),
        ({}, "bob/dev", 403, "this token may not upload to bob/dev"),
        ({}, "emilie/none", 404, "there is no index emilie/none"),
        ({"Content_Type": "application/octet-stream"}, "emilie/dev", 415, "send a form"),
        ({"Content_Type": "multipart/form-data"}, "emilie/dev", 415, "send a form"),
        ({"Content_Type": f"multipart/form-data; boundary={'x' * 300}"}, "emilie/dev", 400, "no form"),
        ({"Content_Type": "multipart/form-data; boundary=other"}, "emilie/dev", 400, "form"),
        ({"Content_Length": "99999999999999"}, "emilie/dev", 413, "larger than"),
    ],
)
def test_what_is_not_allowed_or_no_form_is_refused(
    team: IndexRepository, what: dict[str, str], index: str, status: int, words: str
) -> None:
    async def story(uploads: Uploads) -> None:
        answer = await uploads.send(upload_form(*WHEEL), index, **what)
        assert (answer.status, words in answer.body.decode()) == (status, True), answer.body
        assert answer.body.count(b"\n") == 1
        if status == 401:
            assert answer.www_authenticate.startswith("Basic ")

    unchanged(team, lambda: told(team, story))


BROKEN = WHEEL[1][:-30]
REFUSED = {
    "form that breaks off": (upload_form(*WHEEL)[:-20], 400, "breaks off"),
    "no form at all": (b"x" * 5000, 400, "no form"),
    "empty": (b"", 400, "breaks off"),
    "no file": (form({":action": "file_upload", "name": "demo"}), 400, "no file"),
    "two files": (form({":action": "file_upload"}, WHEEL, SDIST), 400, "more than one file"),
    "unknown action": (form({":action": "explode"}, WHEEL), 400, "'explode' is not known"),
    "broken wheel": (upload_form(WHEEL[0], BROKEN), 400, "broken archive"),
    "no distribution": (upload_form("readme.txt", b"hello"), 400, "not the name of a wheel or an sdist"),
    "path": (upload_form("../../etc/demo-1.0-py3-none-any.whl", WHEEL[1]), 400, "not the name"),
    "NUL": (upload_form("demo-1.0-py3-none-any.whl\0", WHEEL[1]), 400, "not the name"),
    "another name": (upload_form(*WHEEL, name="other"), 400, "the form says other"),
    "another version": (upload_form(*WHEEL, version="1.1"), 400, "the form says 1.1"),
    "no version": (upload_form(*WHEEL, version="one"), 400, "the form says one"),
    "sha256": (upload_form(*WHEEL, sha256_digest="0" * 64), 400, "damaged on the way"),
    "blake2": (upload_form(*WHEEL, sha256_digest="", blake2_256_digest="0" * 64), 400, "damaged on the way"),
    "md5": (upload_form(*WHEEL, sha256_digest="", md5_digest="0" * 32), 400, "damaged on the way"),
    "many fields": (form({"classifiers": ["x"] * 3000}, WHEEL), 400, "more than 2,000 fields"),
    "large field": (form({"description": "x" * (9 << 20)}, WHEEL), 413, "larger than"),
    "large field that counts": (
        form({"attestations": "x" * (3 << 20)}, WHEEL),
        413,
        "the field attestations is larger",
    ),
    "part without a name": (b"--%b\r\nX: y\r\n\r\nz\r\n--%b--\r\n" % (BOUNDARY, BOUNDARY), 400, "has no name"),
    "attestations": (upload_form(*WHEEL, attestations="{"), 400, "no JSON"),
    "attestation": (upload_form(*WHEEL, attestations='[{"version": 1}]'), 400, "attestation"),
    "attestations in a table": (upload_form(*WHEEL, attestations='{"a": 1}'), 400, "no list"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_changes_nothing_and_says_why(team: IndexRepository, name: str) -> None:
    body, status, words = REFUSED[name]

    async def story(uploads: Uploads) -> None:
        answer = await uploads.send(body)
        assert (answer.status, words in answer.body.decode()) == (status, True), answer.body
        assert answer.body.count(b"\n") == 1

    unchanged(team, lambda: told(team, story))


def test_digests_of_old_clients_are_looked_at(team: IndexRepository) -> None:
    async def story(uploads: Uploads) -> None:
        blake = hashlib.blake2b(WHEEL[1], digest_size=32).hexdigest()
        assert (await uploads.upload(*WHEEL, sha256_digest="", blake2_256_digest=blake.upper())).status == 200
        md5 = hashlib.md5(SDIST[1], usedforsecurity=False).hexdigest()
        assert (await uploads.upload(*SDIST, sha256_digest="", md5_digest=md5)).status == 200

    told(team, story)


def test_a_client_that_goes_leaves_nothing(team: IndexRepository) -> None:
    async def story(uploads: Uploads) -> None:
        head = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}", **basic(uploads.token)}
        body = upload_form(*WHEEL)
        with pytest.raises(ValueError, match="not enough values"):  # no answer goes to nobody
            await uploads.client.request("POST", "/emilie/dev/", head, body=[body[:500], GONE])

    unchanged(team, lambda: told(team, story))


def test_a_file_that_is_too_large_is_not_taken(team: IndexRepository) -> None:
    async def story(uploads: Uploads) -> None:
        answer = await uploads.upload(*WHEEL)
        assert (answer.status, b"larger than 100 bytes" in answer.body) == (413, True)

    unchanged(team, lambda: told(team, story, largest_upload=100))


def test_who_may_not_release_is_told_so(team: IndexRepository) -> None:
    async def story(uploads: Uploads) -> None:
        bobs = uploads.tokens["bob"]
        answer = await uploads.send(upload_form(*WHEEL), token=bobs)
        assert (answer.status, b"bob may not release to emilie/dev" in answer.body) == (403, True)
        answer = await uploads.send(upload_form(*WHEEL), token=uploads.tokens["zoe"])
        assert (answer.status, b"'zoe', who is no user here" in answer.body) == (403, True)
        mirror = await uploads.send(upload_form(*WHEEL), "root/pypi", token=bobs)
        assert (mirror.status, b"root/pypi is a mirror" in mirror.body) == (403, True)
        answer = await uploads.send(upload_form(*WHEEL), token=uploads.tokens["reader"])
        assert (answer.status, b"may not upload" in answer.body) == (403, True)
        assert (await uploads.send(upload_form(*WHEEL), "bob/dev", token=bobs, slash="")).status == 200

    told(team, story)
    assert len(log(team)) == 2


def test_other_methods_and_places_are_refused(team: IndexRepository) -> None:
    async def story(uploads: Uploads) -> None:
        nowhere = (("PUT", "/"), ("POST", "/"), ("POST", "/emilie/dev/simple/"), ("PATCH", "/emilie/dev/x/1.0"))
        for method, path in nowhere:
            answer = await uploads.client.request(method, path, basic(uploads.token))
            assert (answer.status, answer.allow) == (405, "GET, HEAD"), path

    unchanged(team, lambda: told(team, story))


def test_a_bare_repository_takes_uploads(team: IndexRepository, tmp_path: Path) -> None:
    bare = bare_clone(team, tmp_path / "bare.git")

    async def run() -> None:
        async with taking(bare, tmp_path) as uploads:
            assert (await uploads.upload(*WHEEL)).status == 200

    asyncio.run(run())
    assert len(IndexRepository(bare).git("log", "--format=%s", "main").splitlines()) == 2


def test_an_index_repository_in_a_folder_takes_uploads(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "packages", team_content(), folder="py")

    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL)).status == 200

    told(repository, story)
    assert all(line.startswith("py/") for line in repository.git("show", "--format=", "--name-only").splitlines())
    assert repository.git("status", "--short") == ""


def test_what_is_not_committed_stays_and_may_be_in_the_way(team: IndexRepository) -> None:
    team.write("notes.txt", "mine")
    team.write("gitindex.toml", (team.root / "gitindex.toml").read_bytes() + b"\n")

    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL)).status == 200
        team.write("indexes/emilie/dev/demo/1.1.json", "mine too")
        answer = await uploads.upload(*make_wheel("demo", "1.1"))
        assert (answer.status, b"the working tree is in the way" in answer.body) == (503, True)

    told(team, story)
    assert len(log(team)) == 2
    assert (team.root / "notes.txt").read_text() == "mine"
    assert team.git("status", "--short").splitlines() == [
        "M gitindex.toml",
        "?? indexes/emilie/dev/demo/1.1.json",
        "?? notes.txt",
    ]


def test_files_of_git_lfs_are_kept_where_it_looks(tmp_path: Path) -> None:
    content = team_content()
    content[".gitattributes"] = b"files/** filter=lfs diff=lfs merge=lfs -text\n"
    repository = make_repository(tmp_path / "packages", content)

    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL)).status == 200
        sha256 = hashlib.sha256(WHEEL[1]).hexdigest()
        answer = await uploads.client.get(f"/files/{sha256[:2]}/{sha256[2:]}/{WHEEL[0]}")
        assert answer.body == WHEEL[1]

    bare = bare_clone(repository, tmp_path / "bare.git")

    async def run_() -> None:
        async with taking(bare, tmp_path) as uploads:
            await story(uploads)

    asyncio.run(run_())
    git = IndexRepository(bare)
    (path,) = (line for line in git.git("ls-tree", "-r", "--name-only", "main").splitlines() if line.endswith(".whl"))
    assert git.git("cat-file", "blob", f"main:{path}").startswith(
        "version https://git-lfs.github.com/spec/v1\noid sha256:"
    )


def test_another_filter_is_refused(tmp_path: Path) -> None:
    content = team_content()
    content[".gitattributes"] = b"files/** filter=crypt\n"
    repository = make_repository(tmp_path / "packages", content)

    async def story(uploads: Uploads) -> None:
        answer = await uploads.upload(*WHEEL)
        assert (answer.status, b"the filter crypt" in answer.body) == (503, True)

    unchanged(repository, lambda: told(repository, story))


def test_files_go_to_the_storage_before_the_commit(tmp_path: Path) -> None:
    store = tmp_path / "store"
    repository = make_repository(tmp_path / "packages", team_content(storage={"url": f"file://{store}"}))

    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL)).status == 200
        broken = await uploads.upload(*WHEEL, index="emilie/none")
        assert broken.status == 404

    told(repository, story)
    stored = {path.name for path in store.rglob("*") if path.is_file()}
    assert stored == {WHEEL[0], f"{WHEEL[0]}.metadata"}
    assert not [line for line in repository.git("ls-files").splitlines() if line.startswith("files/")]


def test_a_refused_file_never_gets_to_the_storage(tmp_path: Path) -> None:
    store = tmp_path / "store"
    repository = make_repository(tmp_path / "packages", team_content(storage={"url": f"file://{store}"}))

    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*WHEEL, index="emilie/prod")).status == 200
        assert (await uploads.upload(*OTHER, index="emilie/prod")).status == 409

    told(repository, story)
    assert len([path for path in files_below(store) if path.endswith(".whl")]) == 1


def test_large_files_are_written_beside_the_others(team: IndexRepository) -> None:
    body = bytes(range(256)) * (3 << 12)
    large = make_wheel("large", "1.0", files={"large/data.bin": body})

    async def story(uploads: Uploads) -> None:
        assert (await uploads.upload(*large)).status == 200

    told(team, story)
    (path,) = (line for line in team.git("ls-files").splitlines() if line.endswith("large-1.0-py3-none-any.whl"))
    assert (team.path / path).read_bytes() == large[1]


def test_signed_commits_are_nobodys_here(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "packages", team_content(policy={"require_signed_commits": True}))

    async def story(uploads: Uploads) -> None:
        answer = await uploads.upload(*WHEEL)
        assert (answer.status, b"wants signed commits" in answer.body) == (400, True)

    unchanged(repository, lambda: told(repository, story))


def test_nothing_is_added_to_what_is_not_in_order(team: IndexRepository) -> None:
    team.write("indexes/emilie/dev/index.toml", "volatile = maybe\n")

    async def story(uploads: Uploads) -> None:
        team.commit("Break it")
        answer = await uploads.upload(*WHEEL)
        assert (answer.status, b"is not in order" in answer.body) == (503, True)
        assert answer.retry_after

    told(team, story)
    assert log(team)[0] == "Break it"


def test_what_somebody_commits_meanwhile_is_gone_on_from(team: IndexRepository) -> None:
    async def story(uploads: Uploads) -> None:
        for version in range(3):
            team.write("README.md", f"{version}")
            team.commit(f"By hand {version}")
            assert (await uploads.upload(*make_wheel("demo", f"{version}.0"))).status == 200

    told(team, story)
    assert len(log(team)) == 7


def test_who_follows_the_branch_never_takes_back_what_was_written(team: IndexRepository) -> None:
    """What was proven of the branch a moment ago may come to be served after what was written since."""

    async def story(uploads: Uploads) -> None:
        state = uploads.client.state
        advance = state.writer._advance

        async def late(commit: str) -> None:
            await advance(commit)
            await asyncio.get_running_loop().run_in_executor(None, state.live._serve, before, before)

        for version in ("1.0", "2.0", "3.0"):
            before = state.live.commit
            state.writer._advance = late
            assert (await uploads.upload(*make_wheel("demo", version))).status == 200
            page = await uploads.client.get("/emilie/dev/simple/demo/", {"Accept": JSON})
            assert page.json["versions"][-1] == version

    told(team, story)


def test_many_at_once_all_land_on_one_line(team: IndexRepository, run: Run) -> None:
    wheels = [make_wheel(f"demo-{number % 7}", f"{number}.0") for number in range(60)]
    refused = [make_wheel("demo-1", f"{number}.0", requires_python=">=3.7") for number in (1, 8)]

    async def story(uploads: Uploads) -> None:
        sent = [uploads.upload(*wheel, index="emilie/prod") for wheel in wheels]
        answers: list[Response] = await asyncio.gather(*sent)
        assert {answer.status for answer in answers} == {200}
        again = await asyncio.gather(
            *(uploads.upload(*wheel, index="emilie/prod") for wheel in (*refused, *wheels[:3]))
        )
        assert sorted(answer.status for answer in again) == [200, 200, 200, 409, 409]
        listed = await uploads.client.get("/emilie/prod/simple/demo-3/", {"Accept": JSON})
        assert len(listed.json["files"]) == sum(number % 7 == 3 for number in range(60))

    told(team, story)
    assert len(log(team, "--first-parent")) == len(log(team)) == 61
    assert run("-C", str(team.root), "audit").code == 0


class TestRemote:
    """Where the remote has the last word."""

    @pytest.fixture
    def remote(self, team: IndexRepository, tmp_path: Path) -> IndexRepository:
        bare = bare_clone(team, tmp_path / "remote.git")
        team.git("remote", "add", "origin", str(bare))
        team.git("fetch", "--quiet", "origin")
        return IndexRepository(bare)

    def push_from_elsewhere(self, remote: IndexRepository, tmp_path: Path, name: str) -> None:
        other = IndexRepository(tmp_path / f"other-{name}")
        subprocess.run(["git", "clone", "--quiet", remote.path, other.path], check=True)
        other.write(f"{name}.txt", name)
        other.commit(f"Elsewhere {name}")
        other.git("push", "--quiet", "origin", "main")

    def test_the_remote_has_it_before_the_answer(self, team: IndexRepository, remote: IndexRepository) -> None:
        async def story(uploads: Uploads) -> None:
            assert (await uploads.upload(*WHEEL)).status == 200
            assert remote.git("rev-parse", "main") == team.git("rev-parse", "main")

        told(team, story, is_pushed=True)

    def test_what_was_pushed_meanwhile_is_fetched_and_gone_on_from(
        self, team: IndexRepository, remote: IndexRepository, tmp_path: Path
    ) -> None:
        async def story(uploads: Uploads) -> None:
            self.push_from_elsewhere(remote, tmp_path, "one")
            assert (await uploads.upload(*WHEEL)).status == 200

        told(team, story, is_pushed=True)
        assert log(remote, "main") == log(team)
        assert log(team)[1] == "Elsewhere one"
        assert team.git("status", "--short") == ""

    def test_what_the_remote_refuses_is_not_here_either(self, team: IndexRepository, remote: IndexRepository) -> None:
        hook = remote.path / "hooks/update"
        hook.write_text(
            '#!/bin/sh\ngit log --format=%s $2..$3 | grep -q demo-1 || exit 0\necho "no demo-1 here"\nexit 1\n'
        )
        hook.chmod(0o755)

        async def story(uploads: Uploads) -> None:
            wheels = [make_wheel("demo", version) for version in ("1.0", "2.0", "3.0")]
            answers = await asyncio.gather(*(uploads.upload(*wheel) for wheel in wheels))
            assert [answer.status for answer in answers] == [403, 200, 200]
            assert b"no demo-1 here" in answers[0].body

        told(team, story, is_pushed=True)
        assert log(remote, "main") == log(team)
        assert len(log(team)) == 3

    def test_without_the_remote_nothing_changes(self, team: IndexRepository, remote: IndexRepository) -> None:
        async def story(uploads: Uploads) -> None:
            remote.path.rename(remote.path.with_name("away"))
            answer = await uploads.upload(*WHEEL)
            assert (answer.status, answer.retry_after) == (503, "5")

        unchanged(team, lambda: told(team, story, is_pushed=True))

    @pytest.mark.parametrize("size", [100, 3 << 20], ids=["small", "large"])
    def test_the_remote_gets_what_git_lfs_keeps(self, tmp_path: Path, size: int) -> None:
        program("git-lfs", "it comes with Debian's git-lfs")
        content = team_content()
        # As `init --lfs` writes it: metadata stays in Git, so that the large file alone is a pointer.
        content[".gitattributes"] = b"files/** filter=lfs diff=lfs merge=lfs -text\nfiles/**/*.metadata !filter -text\n"
        repository = make_repository(tmp_path / "packages", content)
        bare = IndexRepository(bare_clone(repository, tmp_path / "bare.git"))
        remote = IndexRepository(bare_clone(repository, tmp_path / "remote.git"))
        bare.git("remote", "set-url", "origin", str(remote.path))
        wheel = make_wheel("demo", "1.0", files={"demo/data.bin": random.Random(7).randbytes(size)})  # noqa: S311

        async def run() -> None:
            async with taking(bare.path, tmp_path, is_pushed=True) as uploads:
                assert (await uploads.upload(*wheel)).status == 200

        asyncio.run(run())
        assert remote.git("rev-parse", "main") == bare.git("rev-parse", "main")
        oid = hashlib.sha256(wheel[1]).hexdigest()
        assert (remote.path / "lfs/objects" / oid[:2] / oid[2:4] / oid).read_bytes() == wheel[1]

    def test_an_upload_may_be_a_proposal(self, team: IndexRepository, remote: IndexRepository) -> None:
        async def story(uploads: Uploads) -> None:
            answer = await uploads.upload(*WHEEL)
            assert answer.status == 202
            again = await uploads.upload(*WHEEL)
            assert again.status == 202

        told(team, story, is_proposed=True)
        assert len(log(team)) == 1
        (branch,) = [line for line in remote.git("branch", "--format=%(refname:short)").splitlines() if line != "main"]
        assert branch.startswith("gitindex/upload-demo-1.0-to-emilie-dev")
        changed = json.loads(remote.git("show", f"{branch}:indexes/emilie/dev/demo/1.0.json"))
        assert changed["name"] == "demo"
