"""What a push would change, on both sides of it: what hooks are told, which branch is protected, what is compared."""

from __future__ import annotations

import io
import pty
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gitindex.errors import CannotRunError, UsageError
from gitindex.git import Repository
from gitindex.receive import Door, Update, hook_lines, read_push, read_updates
from tests.conftest import Run
from tests.repositories import Content, IndexRepository, bare_clone, make_repository, small_content

NULL, ONE, TWO = "0" * 40, "1" * 40, "2" * 40
MAIN, FEATURE = "refs/heads/main", "refs/heads/feature"


def never_seen(branch: str, remote: str) -> None:
    """Say that no branch of a remote was ever seen."""
    del branch, remote


# What hooks are told


def test_lines_of_pre_receive_are_read() -> None:
    lines = [f"{NULL} {ONE} {MAIN}", f"{ONE} {NULL} refs/tags/a b", f"{ONE} {TWO} refs/heads/\udcff"]
    assert read_updates(lines) == [
        Update(MAIN, None, ONE),
        Update("refs/tags/a b", ONE, None),
        Update("refs/heads/\udcff", ONE, TWO),
    ]


@pytest.mark.parametrize("lines", [[], [""], [f"{ONE} {TWO}"], [f"{ONE} {TWO} "], [f"{ONE[1:]} {TWO} {MAIN}"]])
def test_lines_that_are_none_of_pre_receive_are_refused(lines: list[str]) -> None:
    with pytest.raises(UsageError):
        read_updates(lines)


def test_lines_of_pre_push_are_read() -> None:
    lines = [f"{MAIN} {ONE} {MAIN} {NULL}", f"(delete) {NULL} {FEATURE} {TWO}"]
    assert read_push({}, lines, never_seen) == [Update(MAIN, None, ONE), Update(FEATURE, TWO, None)]
    assert read_push({}, [], never_seen) == []


@pytest.mark.parametrize("line", ["", "junk", f"{ONE} {TWO} {MAIN}", f"{MAIN} {ONE} {MAIN} {TWO[1:]}"])
def test_lines_that_are_none_of_pre_push_are_refused(line: str) -> None:
    with pytest.raises(UsageError):
        read_push({}, [line], never_seen)


def test_what_was_last_seen_of_the_remote_goes_before_what_pre_commit_says() -> None:
    told = {"PRE_COMMIT": "1", "PRE_COMMIT_REMOTE_BRANCH": MAIN, "PRE_COMMIT_REMOTE_NAME": "origin"}
    whole = {**told, "PRE_COMMIT_LOCAL_BRANCH": "refs/heads/mine"}
    part = {**whole, "PRE_COMMIT_FROM_REF": ONE, "PRE_COMMIT_TO_REF": TWO}
    assert read_push(told, [], never_seen) == [Update(MAIN, None, "HEAD")]
    assert read_push(whole, [], never_seen) == [Update(MAIN, None, "refs/heads/mine")]
    assert read_push(part, [], never_seen) == [Update(MAIN, ONE, TWO)]
    seen = {("main", "origin"): "3" * 40}
    assert read_push(part, [], lambda *of: seen.get(of)) == [Update(MAIN, "3" * 40, TWO)]


def test_pre_commit_that_is_run_without_a_push_checks_nothing_and_says_so() -> None:
    with pytest.raises(UsageError, match="pre-commit names nothing that is pushed"):
        read_push({"PRE_COMMIT": "1"}, [], never_seen)


def test_bytes_that_are_not_utf8_come_through() -> None:
    assert list(hook_lines(io.BytesIO(b"a\n\xff\rb\nc"))) == ["a", "\udcff\rb", "c"]


def test_somebody_at_a_terminal_is_not_kept_waiting() -> None:
    ours, theirs = pty.openpty()
    with (
        open(ours, "rb", buffering=0),  # noqa: PTH123 - open descriptors
        open(theirs, "rb", buffering=0) as terminal,  # noqa: PTH123
        pytest.raises(UsageError, match="this is run by git"),
    ):
        next(hook_lines(terminal))


# Before it is sent


def codes(repository: IndexRepository, updates: Sequence[Update]) -> dict[str, list[str]]:
    """Return the codes of the findings on each branch that is checked before it is sent."""
    found = Door(repository.open()).sent(updates)
    return {branch: sorted({finding.code for finding in verdict.findings}) for branch, verdict in found}


@pytest.fixture
def repo(tmp_path: Path) -> IndexRepository:
    """A repository with a release, not published yet."""
    content = small_content()
    content.release("emilie/prod", "demo", "1.0")
    return make_repository(tmp_path / "packages", content)


def broken(repository: IndexRepository) -> str:
    """Commit that a released project is deleted."""
    (repository.root / "indexes/emilie/prod/demo/1.0.json").unlink()
    return repository.commit("Break")


def test_before_the_first_push_there_is_nothing_to_compare_with(repo: IndexRepository) -> None:
    head = repo.commit()
    ((branch, verdict),) = Door(repo.open()).sent([Update(MAIN, None, head)])
    assert (branch, verdict.base, verdict.head, verdict.findings) == ("main", None, head, ())
    assert codes(repo, [Update(FEATURE, None, head), Update(FEATURE, None, "HEAD")]) == {"feature": []}


def test_the_protected_branch_goes_forward_from_what_the_remote_has(repo: IndexRepository) -> None:
    start = repo.commit()
    repo.publish()
    bad = broken(repo)
    assert codes(repo, [Update(MAIN, start, bad)]) == {"main": ["GI202"]}
    assert codes(repo, [Update(MAIN, bad, start)]) == {"main": ["GI210"]}
    assert codes(repo, [Update(MAIN, start, None)]) == {"main": ["GI210"]}
    assert codes(repo, [Update(MAIN, None, bad)]) == {"main": ["GI202"]}  # of another remote, which has none yet
    with pytest.raises(CannotRunError, match="git fetch, and push what comes after it"):
        codes(repo, [Update(MAIN, ONE, bad)])


def test_another_branch_is_compared_with_what_it_started_from(repo: IndexRepository) -> None:
    start = repo.commit()
    repo.publish()
    bad = broken(repo)
    assert codes(repo, [Update(FEATURE, bad, start), Update("refs/tags/v1", None, bad)]) == {"feature": []}
    assert codes(repo, [Update(FEATURE, None, bad), Update("refs/heads/gone", bad, None)]) == {"feature": ["GI202"]}


def test_a_branch_with_a_history_of_its_own_is_checked_whole_or_has_no_index(repo: IndexRepository) -> None:
    repo.publish()
    repo.git("checkout", "--quiet", "--orphan", "own")
    repo.write("indexes/emilie/prod/index.toml", 'type = "stage"\nbases = ["root/nowhere"]\n')
    assert codes(repo, [Update(FEATURE, None, repo.commit())]) == {"feature": ["GI101"]}
    repo.git("rm", "-r", "--quiet", ".")
    assert codes(repo, [Update(FEATURE, None, repo.commit())]) == {}


def test_a_protected_branch_that_was_never_fetched_is_an_error(repo: IndexRepository) -> None:
    repo.git("update-ref", "refs/remotes/origin/other", "HEAD")
    with pytest.raises(CannotRunError, match="origin/main, the protected branch, is not here"):
        codes(repo, [Update(FEATURE, None, repo.commit())])
    assert codes(repo, [Update(MAIN, None, repo.commit())]) == {"main": []}  # the remote has none, it says


def test_what_is_being_merged_counts_as_published(repo: IndexRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.git("checkout", "--quiet", "-b", "side")
    mine = repo.commit("Mine")
    repo.git("checkout", "--quiet", "main")
    theirs = repo.commit("Theirs")
    repo.publish()
    repo.git("checkout", "--quiet", "side")
    start = repo.git("merge-base", mine, theirs)
    assert published(repo) == start
    repo.git("merge", "--quiet", "--no-commit", "--no-ff", "main")
    assert published(repo) == theirs
    repo.git("merge", "--abort")
    assert published(repo) == start
    monkeypatch.setenv(f"GITHEAD_{theirs}", "main")
    monkeypatch.setenv("GITHEAD_main", "no commit id")
    assert published(repo) == theirs


def published(repository: IndexRepository) -> str | None:
    snapshot = repository.open().origin.published()
    return None if snapshot is None else snapshot.name


# Before it is received


def received(upstream: Path, *updates: Update, every_branch: bool = False) -> dict[str, list[str]]:
    """Return the codes of the findings on each branch that is checked before it is received."""
    found = Door(Repository.open(upstream)).received(updates, every_branch=every_branch)
    return {branch: sorted({finding.code for finding in verdict.findings}) for branch, verdict in found}


def test_other_branches_and_tags_are_received_unseen(repo: IndexRepository, tmp_path: Path) -> None:
    start, bad = repo.commit(), broken(repo)
    upstream = bare_clone(repo, tmp_path / "upstream.git")
    repo.git("--git-dir", str(upstream), "update-ref", MAIN, start)
    others = [Update(FEATURE, None, bad), Update("refs/tags/v1", None, bad), Update(FEATURE, bad, None)]
    assert received(upstream, *others) == {}
    assert received(upstream, *others, every_branch=True) == {"feature": ["GI202"]}
    assert received(upstream, *others, Update(MAIN, start, bad)) == {"main": ["GI202"]}


def test_the_branch_that_the_policy_names_is_protected_before_it_is_there(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "packages", small_content(policy={"protected_branch": "stable"}))
    start = repo.commit()
    upstream = bare_clone(repo, tmp_path / "upstream.git")
    (repo.root / "indexes/emilie/prod/index.toml").unlink()
    bad = repo.commit()
    repo.git("push", "--quiet", str(upstream), f"{bad}:{FEATURE}")
    assert received(upstream, Update("refs/heads/stable", None, bad)) == {"stable": ["GI101", "GI201"]}
    assert received(upstream, Update(MAIN, start, bad)) == {"main": ["GI101", "GI201"]}


def test_a_detached_head_leaves_the_branch_protected_that_protects_itself(
    repo: IndexRepository, tmp_path: Path
) -> None:
    start = repo.commit()
    upstream = bare_clone(repo, tmp_path / "upstream.git")
    repo.git("--git-dir", str(upstream), "update-ref", "--no-deref", "HEAD", start)
    bad = broken(repo)
    repo.git("push", "--quiet", str(upstream), f"{bad}:{FEATURE}")
    assert received(upstream, Update(MAIN, start, bad)) == {"main": ["GI202"]}
    repo.write("gitindex.toml", "format = 1\n[policy]\nprotected_branch = 'feature'\n")
    ends = repo.commit()
    repo.git("push", "--quiet", "--force", str(upstream), f"{ends}:{FEATURE}")
    with pytest.raises(CannotRunError, match="main would not be protected any more"):
        received(upstream, Update(MAIN, start, ends))


def test_names_of_references_lead_to_what_they_stand_for(repo: IndexRepository) -> None:
    repo.git("symbolic-ref", "refs/heads/two", MAIN)
    repo.git("symbolic-ref", "refs/heads/one", "refs/heads/two")
    repo.git("symbolic-ref", "refs/heads/loop", "refs/heads/pool")
    repo.git("symbolic-ref", "refs/heads/pool", "refs/heads/loop")
    history = repo.open().history
    assert history.resolve("refs/heads/one") == history.resolve(MAIN) == MAIN
    assert history.resolve("refs/heads/none") == "refs/heads/none"
    assert history.resolve("refs/heads/loop") in {"refs/heads/loop", "refs/heads/pool"}


# The commands


def hear(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_the_hook_command_says_what_it_checked_and_refuses(
    repo: IndexRepository, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    start, bad = repo.commit(), broken(repo)
    upstream = bare_clone(repo, tmp_path / "upstream.git")
    hear(monkeypatch, f"{start} {start} {MAIN}\n")
    result = run("-C", upstream, "pre-receive")
    assert (result.code, result.out) == (0, "")
    assert result.err == f"main: Valid: {start[:12]} against {start[:12]}.\n"
    hear(monkeypatch, f"{start} {bad} {MAIN}\n")
    result = run("-C", upstream, "pre-receive")
    assert result.code == 1
    assert f"\nmain: Refused: 1 error in {bad[:12]} against {start[:12]}." in result.err


def test_the_hook_command_holds_an_empty_actor_for_nobody(
    repo: IndexRepository, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    start = repo.commit()
    content = Content()
    content.release("emilie/prod", "demo", "2.0")
    repo.put(content)
    head = repo.commit()
    upstream = bare_clone(repo, tmp_path / "upstream.git")
    for actor, code in (("emilie", 0), ("", 1)):
        monkeypatch.setenv("GITINDEX_ACTOR", actor)
        hear(monkeypatch, f"{start} {head} {MAIN}\n")
        result = run("-C", upstream, "pre-receive")
        assert (result.code, "GI301" in result.err) == (code, bool(code))


def test_a_push_hook_says_what_it_checked(repo: IndexRepository, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    head = repo.commit()
    hear(monkeypatch, f"{MAIN} {head} {MAIN} {NULL}\n")
    result = run("-C", repo.path, "validate", "--pushed")
    assert result == (0, f"Valid: all of {head[:12]}.\n", "")
    hear(monkeypatch, f"(delete) {NULL} {MAIN} {head}\n")
    result = run("-C", repo.path, "validate", "--pushed")
    assert result.code == 1
    assert "GI210 main is the protected branch, and would be deleted" in result.out
