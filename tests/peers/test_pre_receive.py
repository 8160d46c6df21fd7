"""The door where pushes come in: `gitindex pre-receive` as the hook of a bare repository, and the real `git push`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.doors import MANIFEST, Clone, copy, publish, released_content, write_hook
from tests.peers.forge import Login, environment_of_server, git_daemon, has_git_daemon, http_server
from tests.peers.tools import Done, Tools, done
from tests.repositories import small_content, toml
from tests.signing import ssh_key

pytestmark = pytest.mark.peers

HOOK = "exec gitindex pre-receive"
PROJECT = "indexes/emilie/prod/table-print"
PROMISE = "    released files stay: yank them (gitindex yank), or release a new version"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    folder = tmp_path_factory.mktemp("published")
    (folder / "home").mkdir()
    clone = publish(Tools(folder / "home"), folder, released_content())
    done(clone.tools.run("git", "-C", clone.upstream, "config", "http.receivepack", "true"))
    return clone


@pytest.fixture
def clone(published: Clone, tools: Tools, tmp_path: Path) -> Clone:
    """Return a clone of a guarded repository; it has no hooks itself."""
    made = copy(published, tools, tmp_path)
    write_hook(made.upstream, "pre-receive", HOOK)
    return made


@pytest.fixture(params=["path", "http", "daemon"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return where the bare repositories of a test are: a folder, or the URL of one of Git's servers."""
    match request.param:
        case "path":
            yield str(tmp_path)
        case "http":
            with http_server(tmp_path) as url:
                yield url
        case _:
            if not has_git_daemon():
                pytest.skip("git daemon is not installed here")
            with git_daemon(tmp_path) as url:
                yield url


@pytest.fixture
def served(clone: Clone, way: str) -> Clone:
    """Return the clone, with the way as its origin."""
    clone.git("remote", "set-url", "origin", f"{way}/upstream.git")
    return clone


def told(result: Done) -> list[str]:
    """Return the lines that the server sent to somebody whose push it refused."""
    assert result.returncode != 0, result.stderr
    assert "[remote rejected]" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert not any(character < " " and character != "\n" for character in result.stderr)
    lines = [line.rstrip() for line in result.stderr.splitlines()]
    return [line.removeprefix("remote: ") for line in lines if line.startswith("remote: ")]


def references(clone: Clone) -> str:
    return done(clone.tools.run("git", "-C", clone.upstream, "for-each-ref"))


# Over a folder, over HTTP, and by git daemon


def test_a_release_is_pushed_and_fetched(served: Clone, way: str, tmp_path: Path) -> None:
    served.release("2.0")
    served.without_hooks()
    result = served.attempt("push", "origin", "main")
    done(result)
    assert f"remote: main: Valid: {served.head()[:12]} against {served.head('HEAD~1')[:12]}." in result.stderr
    fetched = tmp_path / "fetched"
    done(served.tools.run("git", "clone", "--quiet", f"{way}/upstream.git", fetched))
    assert done(served.tools.run("git", "-C", fetched, "rev-parse", "HEAD")).strip() == served.head()


def test_a_destructive_push_is_refused_with_the_finding_its_path_and_what_to_do(served: Clone) -> None:
    before = served.head()
    served.git("rm", "--quiet", MANIFEST)
    after = served.without_hooks()
    assert told(served.attempt("push", "origin", "main")) == [
        f"{PROJECT}: GI202 the project table-print of the non-volatile index emilie/prod is deleted",
        f"{PROMISE}; to get back what was there: git checkout {before[:12]} -- {PROJECT}",
        f"main: Refused: 1 error in {after[:12]} against {before[:12]}. Why: gitindex rule GI202",
    ]
    assert served.tip() == before


def test_a_force_push_and_a_deletion_of_the_protected_branch_are_refused(served: Clone) -> None:
    before = served.head()
    served.git("commit", "--quiet", "--amend", "--message", "Rewritten")
    (finding, help_, verdict) = told(served.attempt("push", "--force", "origin", "main"))
    assert finding.startswith("gitindex.toml: GI210 ")
    assert help_.startswith("    ")
    assert verdict.startswith(f"main: Refused: 1 error in {served.head()[:12]} against {before[:12]}.")
    deletion = told(served.attempt("push", "origin", ":main"))
    assert deletion[:2] == [
        "gitindex.toml: GI210 main is the protected branch, and would be deleted",
        "    leave it; delete another branch",
    ]
    assert served.tip() == before


def test_of_several_references_one_that_is_bad_refuses_all(served: Clone) -> None:
    before = references(served)
    served.git("branch", "good")
    served.git("tag", "v1")
    served.break_promise()
    served.without_hooks()
    result = served.attempt("push", "origin", "good", "v1", "main")
    assert any("GI205" in line for line in told(result))
    assert result.stderr.count("[remote rejected]") == 3
    assert references(served) == before


def test_tags_and_other_branches_are_not_its_business(served: Clone) -> None:
    before = served.tip()
    served.git("tag", "v1")
    served.break_promise()
    served.git("tag", "--annotate", "--message", "Broken", "broken", served.without_hooks())
    result = served.attempt("push", "origin", "v1", "broken", "main:refs/heads/feature")
    done(result)
    assert "remote:" not in result.stderr
    served.git("commit", "--quiet", "--amend", "--message", "Rewritten")
    done(served.attempt("push", "--force", "origin", "main:refs/heads/feature"))
    done(served.attempt("push", "origin", ":feature", ":v1"))
    assert served.tip() == before


@pytest.mark.parametrize("head", ["main", "master"])
def test_the_first_push_into_an_empty_repository_is_checked_whole(clone: Clone, way: str, head: str) -> None:
    empty = clone._replace(upstream=clone.upstream.with_name("empty.git"))
    done(clone.tools.run("git", "init", "--quiet", "--bare", "--initial-branch", head, empty.upstream))
    done(clone.tools.run("git", "-C", empty.upstream, "config", "http.receivepack", "true"))
    write_hook(empty.upstream, "pre-receive", HOOK)
    url = f"{way}/empty.git"
    sound = clone.head()
    clone.repository.write("indexes/emilie/prod/index.toml", 'type = "stage"\nbases = ["root/nowhere"]\n')
    broken = clone.without_hooks()
    assert told(clone.attempt("push", url, "main"))[-1].startswith(f"main: Refused: 1 error in all of {broken[:12]}.")
    assert references(empty) == ""
    result = clone.attempt("push", url, f"{sound}:refs/heads/main")
    done(result)
    assert f"remote: main: Valid: all of {sound[:12]}." in result.stderr
    # From then on it is protected, whichever branch HEAD is.
    told(clone.attempt("push", url, "main"))
    told(clone.attempt("push", url, ":main"))
    assert empty.tip() == sound


# Which branch is protected


def test_a_branch_that_the_policy_protects_is_protected_beside_the_one_that_head_is(clone: Clone) -> None:
    clone.repository.write("gitindex.toml", 'format = 1\n[policy]\nprotected_branch = "stable"\n')
    clone.without_hooks()
    done(clone.attempt("push", "origin", "main"))
    before = clone.tip()
    # The branch is new: it starts from what is published, and goes forward from there.
    clone.break_promise()
    clone.without_hooks()
    assert any("GI205" in line for line in told(clone.attempt("push", "origin", "main:refs/heads/stable")))
    # The old one is still what HEAD is.
    assert any("GI205" in line for line in told(clone.attempt("push", "origin", "main")))
    done(clone.attempt("push", "origin", f"{before}:refs/heads/stable"))
    told(clone.attempt("push", "--force", "origin", "main:stable"))
    told(clone.attempt("push", "origin", ":stable"))
    told(clone.attempt("push", "origin", ":main"))
    assert clone.tip() == clone.tip("refs/heads/stable") == before


def test_where_head_has_no_commits_a_branch_does_not_end_its_own_protection(clone: Clone) -> None:
    done(clone.tools.run("git", "-C", clone.upstream, "symbolic-ref", "HEAD", "refs/heads/elsewhere"))
    before = clone.head()
    clone.repository.write("gitindex.toml", 'format = 1\n[policy]\nprotected_branch = "stable"\n')
    clone.without_hooks()
    (line,) = told(clone.attempt("push", "origin", "main"))
    assert line == (
        "gitindex: main would not be protected any more, and HEAD of this repository is not on a branch with commits; "
        "on the server: git symbolic-ref HEAD refs/heads/main"
    )
    assert clone.tip() == before
    done(clone.tools.run("git", "-C", clone.upstream, "symbolic-ref", "HEAD", "refs/heads/main"))
    done(clone.attempt("push", "origin", "main"))


def test_another_name_of_the_protected_branch_is_the_protected_branch(clone: Clone) -> None:
    done(clone.tools.run("git", "-C", clone.upstream, "symbolic-ref", "refs/heads/master", "refs/heads/main"))
    before = clone.tip()
    clone.break_promise()
    clone.without_hooks()
    assert any("GI205" in line for line in told(clone.attempt("push", "origin", "main:master")))
    # By Git alone, this deletes what the name stands for.
    assert any("GI210" in line for line in told(clone.attempt("push", "origin", ":master")))
    assert clone.tip() == before


def test_other_branches_are_checked_where_that_is_asked_for(clone: Clone) -> None:
    write_hook(clone.upstream, "pre-receive", f"{HOOK} --every-branch")
    clone.git("checkout", "--quiet", "-b", "feature")
    clone.release("2.0")
    clone.without_hooks()
    done(clone.attempt("push", "origin", "feature"))
    clone.git("commit", "--quiet", "--amend", "--message", "Rewritten")
    done(clone.attempt("push", "--force", "origin", "feature"))
    clone.break_promise()
    clone.without_hooks()
    lines = told(clone.attempt("push", "origin", "feature"))
    assert lines[-1].startswith("feature: Refused: 1 error in ")
    done(clone.attempt("push", "origin", ":feature"))
    # What has no index has nothing to check.
    clone.git("checkout", "--quiet", "--orphan", "pages")
    clone.git("rm", "-r", "--quiet", "--force", ".")
    clone.without_hooks()
    done(clone.attempt("push", "origin", "pages"))


def test_an_index_in_a_folder_of_the_repository_is_checked_there(tools: Tools, tmp_path: Path) -> None:
    content = {"packages/" + path: data for path, data in released_content().items()}
    made = publish(tools, tmp_path, content)
    write_hook(made.upstream, "pre-receive", "exec gitindex --folder packages pre-receive")
    made.repository.write("code.py", "print()\n")
    made.without_hooks()
    done(made.attempt("push", "origin", "main"))
    made.git("rm", "--quiet", f"packages/{MANIFEST}")
    made.without_hooks()
    assert "GI202" in told(made.attempt("push", "origin", "main"))[0]

    # A hook that names the wrong folder checks nothing, and must not look as if it did.
    write_hook(made.upstream, "pre-receive", "exec gitindex --folder package pre-receive")
    for target in ("main", "main:refs/heads/feature"):
        (line,) = told(made.attempt("push", "origin", target))
        assert line == (
            "gitindex: there is no package/gitindex.toml here, so this is no index repository; "
            "on the server: name its folder in hooks/pre-receive, gitindex --folder PATH pre-receive"
        )


def test_what_is_no_index_repository_is_refused(tools: Tools, tmp_path: Path) -> None:
    made = publish(tools, tmp_path, {"code.py": b""})
    write_hook(made.upstream, "pre-receive", HOOK)
    made.repository.write("code.py", "print()\n")
    made.without_hooks()
    for target in ("main", "main:refs/heads/feature"):
        (line,) = told(made.attempt("push", "origin", target))
        assert line.startswith("gitindex: there is no gitindex.toml here, so this is no index repository; ")
    # A change may make it one.
    made.repository.put(small_content())
    made.without_hooks()
    done(made.attempt("push", "origin", "main"))


# Where the objects are


def test_what_is_refused_was_in_quarantine_and_is_not_in_the_repository(clone: Clone) -> None:
    note = clone.upstream / "seen"
    write_hook(clone.upstream, "pre-receive", f'echo "$GIT_QUARANTINE_PATH" > {note}\n{HOOK}')
    clone.break_promise()
    broken = clone.without_hooks()
    told(clone.attempt("push", "origin", "main"))
    quarantine = Path(note.read_text().strip())
    assert quarantine.is_relative_to(clone.upstream)
    assert not quarantine.exists()
    assert clone.tools.run("git", "-C", clone.upstream, "cat-file", "-e", broken).returncode != 0
    done(clone.tools.run("git", "-C", clone.upstream, "fsck", "--strict"))


def test_a_repository_that_borrows_its_objects_is_checked(clone: Clone, tmp_path: Path) -> None:
    borrower = clone._replace(upstream=tmp_path / "borrower.git")
    done(clone.tools.run("git", "clone", "--quiet", "--bare", "--shared", clone.upstream, borrower.upstream))
    assert not any(path.is_file() for path in (borrower.upstream / "objects").rglob("[0-9a-f][0-9a-f]/*"))
    write_hook(borrower.upstream, "pre-receive", HOOK)
    clone.release("2.0")
    good = clone.without_hooks()
    done(clone.attempt("push", borrower.upstream, "main"))
    clone.break_promise()
    clone.without_hooks()
    assert any("GI205" in line for line in told(clone.attempt("push", borrower.upstream, "main")))
    assert borrower.tip() == good


def test_a_working_repository_and_a_linked_working_tree_of_it_are_guarded(clone: Clone, tmp_path: Path) -> None:
    work = tmp_path / "work"
    done(clone.tools.run("git", "clone", "--quiet", clone.upstream, work))
    done(clone.tools.run("git", "-C", work, "worktree", "add", "--quiet", "-b", "linked", tmp_path / "linked"))
    done(clone.tools.run("git", "-C", work, "config", "receive.denyCurrentBranch", "ignore"))
    write_hook(work / ".git", "pre-receive", HOOK)
    clone.repository.write("gitindex.toml", 'format = 1\n[policy]\nprotected_branch = "stable"\n')
    clone.without_hooks()
    done(clone.attempt("push", work, "main", "main:linked"))
    clone.break_promise()
    clone.without_hooks()
    # Both branches are protected for being a HEAD alone: that of the repository, that of the working tree pushed to.
    for target, branch in ((work, "main"), (tmp_path / "linked", "main"), (tmp_path / "linked", "linked")):
        assert any("GI205" in line for line in told(clone.attempt("push", target, f"HEAD:{branch}")))


# Who pushes


@pytest.fixture
def team(tools: Tools, tmp_path: Path) -> Clone:
    content = released_content()
    content.user("emilie", identities=["github:emilie-gh"], admin=True)
    content.user("bob", identities=["github:bob-gh"]).stage("bob/dev", volatile=True)
    made = publish(tools, tmp_path, content)
    write_hook(made.upstream, "pre-receive", 'exec gitindex pre-receive --actor "github:$REMOTE_USER"')
    done(tools.run("git", "-C", made.upstream, "config", "http.receivepack", "true"))
    return made


@pytest.mark.parametrize(
    ("login", "wanted"),
    [
        (Login("emilie-gh"), ""),
        (Login("bob-gh"), "bob (github:bob-gh) may not release to emilie/prod"),
        (Login("mallory\x1b[31m"), r"'github:mallory\x1b[31m', who is no user here, may not release to emilie/prod"),
        (None, "'github:', who is no user here, may not release to emilie/prod"),
    ],
    ids=["may", "may-not", "unknown", "anonymous"],
)
def test_who_pushes_must_have_the_right_to(team: Clone, tmp_path: Path, login: Login | None, wanted: str) -> None:
    before = team.head()
    manifest = team.release("2.0")
    team.without_hooks()
    with http_server(tmp_path) as url:
        result = team.attempt(*(login.options if login else ()), "push", f"{url}/upstream.git", "main")
    if not wanted:
        done(result)
        assert team.tip() == team.head()
        return
    assert f"{manifest}: GI301 {wanted}" in told(result)
    assert team.tip() == before


def test_one_may_release_to_what_is_ones_own(team: Clone, tmp_path: Path) -> None:
    team.release("0.1", project="notes", index="bob/dev")
    team.without_hooks()
    with http_server(tmp_path) as url:
        done(team.attempt(*Login("bob-gh").options, "push", f"{url}/upstream.git", "main"))
    assert team.tip() == team.head()


def test_an_actor_that_the_server_does_not_know_is_nobody(team: Clone) -> None:
    write_hook(team.upstream, "pre-receive", f'GITINDEX_ACTOR="$NOBODY_SETS_THIS" {HOOK}')
    team.release("2.0")
    team.without_hooks()
    assert any("GI301 '', who is no user here," in line for line in told(team.attempt("push", "origin", "main")))


def test_commits_are_signed_by_those_who_may_where_the_policy_says_so(tools: Tools, tmp_path: Path) -> None:
    emilie, bob = ssh_key(tmp_path, "emilie"), ssh_key(tmp_path, "bob")
    content = released_content().settings(policy={"require_signed_commits": True})
    content.user("emilie", identities=[emilie.identity], admin=True).user("bob", identities=[bob.identity])
    made = publish(tools, tmp_path, content)
    write_hook(made.upstream, "pre-receive", HOOK)
    start = made.head()

    made.release("2.0")
    unsigned = made.without_hooks()
    assert f"gitindex.toml: GI304 commit {unsigned[:12]} is not signed" in told(made.attempt("push", "origin", "main"))
    made.git("reset", "--quiet", "--soft", start)
    by_bob = bob.commit(made.repository)
    words = f"GI301 bob ({bob.identity}), who signed commit {by_bob[:12]}, may not release to emilie/prod"
    assert any(words in line for line in told(made.attempt("push", "origin", "main")))
    made.git("reset", "--quiet", "--soft", start)
    emilie.commit(made.repository)
    done(made.attempt("push", "origin", "main"))
    # What Git makes of a merge by itself is computed while its parents are in quarantine.
    made.git("checkout", "--quiet", "-b", "side", start)
    made.release("3.0")
    emilie.commit(made.repository)
    made.git("checkout", "--quiet", "main")
    bob.merge(made.repository, "side")
    done(made.attempt("push", "origin", "main"))
    assert made.tip() == made.head()


# What is broken or hostile


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (b"", "gitindex: there is no line `old new reference`, so nothing is pushed; "),
        (b"\n", "gitindex: '' is no line `old new reference`; "),
        (b"junk\n", "gitindex: 'junk' is no line `old new reference`; "),
        (b"0 1 refs/heads/main\n", "gitindex: '0 1 refs/heads/main' is no line `old new reference`; "),
        (b"%s %s \n" % (b"0" * 40, b"1" * 40), "gitindex: '0000"),
        (b"\xff\x1b[31m\n", r"gitindex: '\udcff\x1b[31m' is no line `old new reference`; "),
    ],
)
def test_a_hook_that_is_called_wrongly_refuses_in_one_line(clone: Clone, given: bytes, wanted: str) -> None:
    result = call(clone, given)
    assert result.returncode == 2
    assert result.stdout == b""
    (line,) = result.stderr.decode().splitlines()
    assert line.startswith(wanted)
    assert line.endswith("put `exec gitindex pre-receive` into hooks/pre-receive")


def test_a_commit_that_is_not_there_is_refused_in_one_line(clone: Clone) -> None:
    result = call(clone, f"{clone.head()} {'1' * 40} refs/heads/main\n".encode())
    assert result.returncode == 1
    assert result.stderr.decode() == f"gitindex: {'1' * 40}: no such revision; see: git log, git branch -a\n"


def call(clone: Clone, given: bytes) -> subprocess.CompletedProcess[bytes]:
    words = ["gitindex", "-C", str(clone.upstream), "pre-receive"]
    environment = {**environment_of_server(), "HOME": str(clone.tools.home)}
    return subprocess.run(words, input=given, capture_output=True, env=environment, timeout=60, check=False)


def test_a_push_of_what_is_no_commit_is_refused(clone: Clone) -> None:
    before = clone.tip()
    tree = clone.head("HEAD^{tree}")
    assert told(clone.attempt("push", "--force", "origin", f"{tree}:refs/heads/main"))[0].startswith(
        f"gitindex: {tree}: no such "
    )
    assert clone.tip() == before


def test_hostile_names_and_texts_send_nothing_to_the_terminal_of_the_pusher(clone: Clone) -> None:
    write_hook(clone.upstream, "pre-receive", f"{HOOK} --every-branch")
    repository = clone.repository
    repository.write("indexes/emilie/prod/\x1b[31mred\x07/1.0.json", "{}")
    repository.write("indexes/emilie/prod/\u202egnp/1.0.json", "{}")
    repository.write("indexes/emilie/prod/line\nbreak/1.0.json", "{}")
    repository.write("indexes/emilie/dev/index.toml", toml({"type": "\x1b]0;title\x07", "bases": ["a\x1b[2J"]}))
    (repository.root / "indexes/emilie/prod").joinpath(b"\xff\x9b31m".decode("utf-8", "surrogateescape")).mkdir()
    repository.write(b"indexes/emilie/prod/\xff\x9b31m/1.0.json".decode("utf-8", "surrogateescape"), "{}")
    clone.without_hooks("\x1b[31mA message\x07\n\nremote: main: Valid")
    for branch in ("main", "feature\u202e\u009b"):
        result = clone.attempt("push", "origin", f"HEAD:refs/heads/{branch}")
        lines = told(result)
        assert len([line for line in lines if " GI004 " in line or " GI002 " in line]) >= 4
        # The pusher's own git repeats the name of the branch; what the server sends is what counts.
        assert all(character.isprintable() for line in lines for character in line)
        assert any(r"\x1b[31mred\x07" in line for line in lines)
        assert any(r"line\nbreak" in line for line in lines)
