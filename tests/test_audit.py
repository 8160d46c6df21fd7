"""The proof over the whole history: which step broke which promise, and what is remembered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gitindex import audit as audit_module
from tests.conftest import Result, Run
from tests.repositories import Content, IndexRepository, bare_clone, make_repository, small_content
from tests.signing import ssh_key

RELEASE = "indexes/emilie/prod/table-print/1.0.json"


class History:
    """A repository with a release, whose history grows by the commits of a test."""

    def __init__(self, path: Path, run: Run) -> None:
        content = small_content()
        content.release("emilie/prod", "table-print", "1.0")
        self.repository: IndexRepository = make_repository(path, content)
        self.run = run

    def audit(self, *words: str) -> Result:
        result = self.run("-C", self.repository.path, "audit", *words)
        assert "Traceback" not in result.err
        return result

    def report(self, *words: str) -> dict[str, Any]:
        result = self.audit("--json", *words)
        found: dict[str, Any] = json.loads(result.out)
        assert result.code == int(bool(found["violations"]))
        return found

    def codes(self, *words: str) -> list[str]:
        return sorted({violation["code"] for violation in self.report(*words)["violations"]})

    def release(self, version: str, index: str = "emilie/prod") -> str:
        content = Content()
        content.release(index, "table-print", version)
        self.repository.put(content)
        return self.repository.commit(f"Release table-print {version}")

    def remove(self, path: str = RELEASE) -> str:
        self.repository.git("rm", "-q", path)
        return self.repository.commit("Tidy up")

    def git(self, *words: str) -> str:
        return self.repository.git(*words)


@pytest.fixture
def history(tmp_path: Path, run: Run) -> History:
    return History(tmp_path / "packages", run)


def test_history_that_kept_everything_is_said_to_have_done_so(history: History) -> None:
    head = history.release("1.1")
    result = history.audit()
    assert (result.code, result.err) == (0, "")
    assert result.out == f"Kept: every promise, in 2 steps of main, up to {head[:12]}.\n"


def test_violation_is_told_with_commit_date_and_author(history: History) -> None:
    commit = history.git("rev-parse", "HEAD")
    history.git("rm", "-q", RELEASE)
    history.git(
        "commit", "-qm", "Tidy up\n\nat last", "--date", "2026-11-20T10:00:00+0100", "--author", "Bob <bob@example.org>"
    )
    commit = history.git("rev-parse", "HEAD")
    history.release("1.1")
    result = history.audit()
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[0] == f"commit {commit[:12]}, 2026-11-20 10:00, Bob <bob@example.org>: Tidy up"
    assert lines[1].startswith("  indexes/emilie/prod/table-print: GI202 ")
    assert lines[-1].startswith("Broken: 1 violation in 1 commit; looked at 3 steps of main, up to ")


def test_report_for_programs_names_what_was_looked_at(history: History) -> None:
    commit = history.remove()
    found = history.report()
    assert (found["head"], found["reference"], found["since"], found["steps"]) == (commit, "refs/heads/main", None, 2)
    (violation,) = found["violations"]
    assert violation["commit"] == commit
    assert violation["email"] == "emilie@example.org"
    assert violation["code"] == "GI202"
    assert violation["subject"] == "Tidy up"


def test_what_was_undone_later_was_broken_all_the_same(history: History) -> None:
    history.remove()
    history.git("revert", "--no-edit", "HEAD")
    assert history.run("-C", history.repository.path, "validate", "--base", "HEAD~2", "--head", "HEAD").code == 0
    assert history.codes() == ["GI202"]


def test_each_step_is_held_to_the_policy_that_was_in_force_then(history: History) -> None:
    # A volatile index may lose a release; that it is non-volatile later changes nothing about that.
    history.release("0.1", "emilie/dev")
    history.remove("indexes/emilie/dev/table-print/0.1.json")
    history.repository.write("indexes/emilie/dev/index.toml", 'volatile = false\nbases = ["emilie/prod"]\n')
    history.repository.commit("Make dev non-volatile")
    assert history.codes() == []
    history.release("0.2", "emilie/dev")
    history.remove("indexes/emilie/dev/table-print/0.2.json")
    assert history.codes() == ["GI202"]


def test_merge_is_compared_with_its_first_parent(history: History) -> None:
    history.git("checkout", "--quiet", "-b", "work")
    # On its way, a branch may do and undo what it likes: nothing of it is published.
    history.release("1.1")
    history.remove("indexes/emilie/prod/table-print/1.1.json")
    history.release("1.2")
    history.git("checkout", "--quiet", "main")
    history.git("merge", "--quiet", "--no-ff", "--no-edit", "work")
    assert history.codes() == []
    assert history.report("--afresh")["steps"] == 2


def test_change_hidden_in_a_merge_is_found(history: History) -> None:
    history.git("checkout", "--quiet", "-b", "work")
    history.release("1.1")
    history.git("checkout", "--quiet", "main")
    history.git("merge", "--quiet", "--no-ff", "--no-commit", "work")
    history.git("rm", "-q", "--force", RELEASE)
    history.git("commit", "-qm", "Merge work")
    assert history.codes() == ["GI203"]


def test_facts_that_are_wrong_are_told_of_the_commit_that_brought_them(history: History) -> None:
    history.repository.write("indexes/emilie/dev/other/1.0.json", "{")
    broken = history.repository.commit("Break it")
    history.release("1.1")
    (violation,) = history.report()["violations"]
    assert (violation["code"], violation["commit"]) == ("GI001", broken)


def test_next_audit_goes_on_where_the_last_one_ended(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    history.release("1.1")
    assert history.report()["known"] == 0
    looked_at: list[str] = []
    check = audit_module._violations

    def spy(*words: Any) -> Any:
        looked_at.append(words[3])
        return check(*words)

    monkeypatch.setattr(audit_module, "_violations", spy)
    commit = history.release("1.2")
    found = history.report()
    assert (found["steps"], found["known"], looked_at) == (3, 2, [commit])
    assert history.report()["known"] == 3
    assert looked_at == [commit]
    assert history.audit().out.endswith("3 of them proven before.\n")


def test_violations_are_not_forgotten(history: History) -> None:
    history.remove()
    assert history.codes() == ["GI202"]
    history.release("1.1")
    assert history.codes() == ["GI202"]
    assert history.codes() == ["GI202"]
    assert history.codes("--afresh") == ["GI202"]


def test_audit_since_a_commit_takes_its_state_for_granted(history: History) -> None:
    history.remove()
    accepted = history.release("1.1")
    history.release("1.2")
    found = history.report("--since", accepted)
    assert (found["since"], found["steps"], found["violations"]) == (accepted, 1, [])
    assert history.codes() == ["GI202"], "it is remembered by itself"
    assert history.report("--since", accepted)["known"] == 1
    assert history.audit("--since", accepted).out.startswith(
        f"Kept: every promise, in 1 step of main since {accepted[:12]}"
    )
    assert history.report("--since", "HEAD")["steps"] == 0


def test_since_names_a_commit_of_the_first_parent_history(history: History) -> None:
    history.git("checkout", "--quiet", "-b", "work")
    history.release("1.1")
    history.git("checkout", "--quiet", "main")
    history.git("merge", "--quiet", "--no-ff", "--no-edit", "work")
    result = history.audit("--since", "work")
    assert result.code == 2
    assert "work is not in the first-parent history of HEAD" in result.err


def test_rewritten_history_is_detected_until_somebody_accepts_it(history: History) -> None:
    history.release("1.1")
    assert history.codes() == []
    history.git("reset", "--quiet", "--hard", "HEAD~1")
    history.release("1.2")
    result = history.audit()
    assert result.code == 1
    assert "GI210" in result.out
    assert "GI203 table-print 1.1 is removed" in result.out
    assert "gitindex audit --afresh" in result.out
    assert history.codes() == ["GI203", "GI209", "GI210"]
    assert history.codes("--afresh") == []
    assert history.codes() == []


def test_history_rewritten_so_that_the_old_commit_is_gone_is_detected(history: History) -> None:
    history.release("1.1")
    assert history.codes() == []
    history.git("reset", "--quiet", "--hard", "HEAD~1")
    history.git("reflog", "expire", "--expire=all", "--all")
    history.git("gc", "--quiet", "--prune=all")
    (violation,) = history.report()["violations"]
    assert violation["code"] == "GI210"
    assert "is not there any more" in violation["message"]


def test_branch_named_after_the_lost_commit_does_not_stand_for_it(history: History) -> None:
    lost = history.release("1.1")
    assert history.codes() == []
    history.git("reset", "--quiet", "--hard", "HEAD~1")
    history.git("reflog", "expire", "--expire=all", "--all")
    history.git("gc", "--quiet", "--prune=all")
    history.git("update-ref", f"refs/heads/{lost}", "HEAD")
    assert history.codes() == ["GI210"]


def test_branch_that_was_turned_back_is_a_rewritten_history(history: History) -> None:
    history.release("1.1")
    assert history.codes() == []
    history.git("reset", "--quiet", "--hard", "HEAD~1")
    assert history.codes() == ["GI203", "GI209", "GI210"]


def test_history_whose_first_parents_were_swapped_is_held_to_what_was_proven(history: History) -> None:
    """A merge whose first parent is the other branch hides what it drops of the published one."""
    history.git("branch", "work")
    history.release("1.1")
    assert history.codes() == []
    history.git("checkout", "--quiet", "work")
    history.release("1.2")
    history.git("merge", "--quiet", "--strategy=ours", "--no-edit", "main")
    history.git("branch", "--force", "main", "work")
    history.git("checkout", "--quiet", "main")
    assert history.codes() == ["GI203", "GI209"]


def test_new_version_of_the_rules_proves_everything_again(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_module, "__version__", "0.0.1")
    history.release("1.1")
    assert history.codes() == []
    monkeypatch.undo()
    assert history.report()["known"] == 0
    assert history.report()["known"] == 2


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"refs/heads/main all .": 1}', '{"refs/heads/main all .": {"last": "x"}}']
)
def test_memory_that_cannot_be_read_is_none(history: History, text: str) -> None:
    assert history.codes() == []
    memory = history.repository.path / ".git/gitindex/audit.json"
    memory.write_text(text)
    assert history.report()["known"] == 0
    assert history.report()["known"] == 1


def test_memory_that_cannot_be_written_is_said(history: History) -> None:
    (history.repository.path / ".git/gitindex").write_text("in the way")
    result = history.audit()
    assert result.code == 0
    assert "The next audit starts again" in result.err


def test_branches_are_remembered_each_by_itself(history: History) -> None:
    history.git("branch", "work")
    history.release("1.1")
    assert history.codes() == []
    assert history.report("work")["known"] == 0
    history.release("1.2")
    assert history.report("main")["known"] == 2
    assert history.report("work")["known"] == 1


def test_detached_head_is_no_rewritten_history(history: History) -> None:
    history.release("1.1")
    history.git("checkout", "--quiet", "--detach", "HEAD")
    assert history.codes() == []
    history.git("checkout", "--quiet", "HEAD~1")
    assert history.codes() == []


def test_bare_repository_remembers_too(history: History, tmp_path: Path) -> None:
    history.remove()
    bare = bare_clone(history.repository, tmp_path / "bare.git")
    for known in (0, 2):
        result = history.run("-C", bare, "audit", "--json")
        assert result.code == 1
        assert json.loads(result.out)["known"] == known


def test_linked_working_trees_share_the_memory(history: History, tmp_path: Path) -> None:
    assert history.codes() == []
    history.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    assert json.loads(history.run("-C", tmp_path / "linked", "audit", "main", "--json").out)["known"] == 1


def test_shallow_clone_cannot_be_proven(history: History, tmp_path: Path) -> None:
    history.release("1.1")
    history.release("1.2")
    clone = tmp_path / "clone"
    history.git("clone", "--quiet", "--depth", "2", f"file://{history.repository.path}", str(clone))
    result = history.run("-C", clone, "audit")
    assert result.code == 3
    assert "git fetch --unshallow" in result.err
    assert result.err.count("\n") == 1
    assert history.run("-C", clone, "audit", "--since", "HEAD~1").code == 0


def test_commits_of_a_history_that_wants_signatures_are_checked(history: History, tmp_path: Path) -> None:
    key = ssh_key(tmp_path, "emilie")
    history.repository.write("gitindex.toml", "format = 1\n[policy]\nrequire_signed_commits = true\n")
    history.repository.write("indexes/emilie/user.toml", f'admin = true\nidentities = ["{key.identity}"]\n')
    history.repository.commit("Want signatures")
    history.git("checkout", "--quiet", "-b", "work")
    key.commit(history.repository, "Signed")
    history.git("checkout", "--quiet", "main")
    key.merge(history.repository, "work")
    assert history.codes() == []
    unsigned = history.release("1.1")
    (violation,) = history.report()["violations"]
    assert (violation["code"], violation["commit"]) == ("GI304", unsigned)


def test_merges_of_many_steps_leave_nothing_behind(history: History, tmp_path: Path) -> None:
    """Each merges the lines of one file: Git makes objects for that, in a folder beside the repository."""
    repository = history.repository
    repository.write("gitindex.toml", "format = 1\n[policy]\nrequire_signed_commits = true\n")
    end = repository.commit("Want signatures")
    middle = "".join(f"# {number}\n" for number in range(9)) + "volatile = false\n"
    texts = {
        name: f"{start}{middle}{last}"
        for name, start, last in (("base", "", ""), ("one", "# 1\n", ""), ("other", "", "# 2\n"))
    }
    texts["merge"] = f"# 1\n{middle}# 2\n"
    commits: list[str] = []
    for number in range(210):
        for name, parents in (("base", [end]), ("one", ["base"]), ("other", ["base"]), ("merge", ["other", "one"])):
            froms = [
                parent if parent not in texts else f":{4 * number + [*texts].index(parent) + 1}" for parent in parents
            ]
            commits.append(
                f"commit refs/heads/main\nmark :{len(commits) + 1}\ncommitter B <b@example.org> 1800000000 +0000\n"
                f"data 1\n.\nfrom {froms[0]}\n{''.join(f'merge {parent}{chr(10)}' for parent in froms[1:])}"
                f"M 100644 inline indexes/emilie/prod/index.toml\ndata {len(texts[name])}\n{texts[name]}\n"
            )
        end = f":{len(commits)}"
    repository.git("fast-import", "--quiet", data="".join(commits).encode())
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "gitindex", "-C", str(repository.path), "audit", "--json"],
        capture_output=True,
        check=False,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    found = json.loads(done.stdout)
    assert (found["steps"], {violation["code"] for violation in found["violations"]}) == (632, {"GI304"})
    assert list(temporary.iterdir()) == []


def test_many_steps_are_split_over_processes_and_told_in_order(history: History) -> None:
    tree = history.git("rev-parse", "HEAD^{tree}")
    history.remove()
    broken = history.git("rev-parse", "HEAD")
    gone = history.git("rev-parse", "HEAD^{tree}")
    lines = []
    for number in range(450):
        lines.append(f"commit refs/heads/main\ncommitter B <b@example.org> {1_800_000_000 + number} +0000\ndata 1\n.\n")
        if number == 0:
            lines.append(f"from {broken}\n")
        lines.append(f'M 040000 {tree if number % 2 == 0 else gone} ""\n\n')
    history.repository.git("fast-import", "--quiet", data="".join(lines).encode())
    found = history.report()
    assert found["steps"] == 452
    commits = [violation["commit"] for violation in found["violations"]]
    in_order = history.git("rev-list", "--first-parent", "--reverse", "main").splitlines()
    assert commits == [broken, *in_order[3::2]]


def test_history_without_an_index_repository_kept_no_promise(run: Run, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "code", {"README.md": b"Code\n"})
    result = run("-C", repository.path, "audit")
    assert (result.code, result.out) == (3, "")
    assert "no gitindex.toml here" in result.err


def test_settings_that_are_removed_are_a_violation_and_no_end_of_the_audit(history: History) -> None:
    history.remove("gitindex.toml")
    assert history.codes() == ["GI212"]
    assert history.codes() == ["GI212"]


def test_empty_repository_has_no_history_to_prove(run: Run, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "packages")
    result = run("-C", repository.path, "audit")
    assert result.code == 1
    assert result.err.count("\n") == 1


def test_hostile_words_of_a_commit_are_spelled_out(history: History) -> None:
    history.git("rm", "-q", RELEASE)
    history.git("commit", "-qm", "Tidy \x1b[31mup", "--author", "B\x1b]0;x\x07ob <bob@example.org>")
    result = history.audit()
    assert "\x1b" not in result.out
    assert "\\x1b" in result.out
