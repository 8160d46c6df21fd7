"""The verdict on a pull request: of the merge result against the target's tip, bound to the two commits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Result, Run
from tests.repositories import IndexRepository, bare_clone, make_repository, small_content

PROD = "indexes/emilie/prod/index.toml"


@pytest.fixture
def forked(tmp_path: Path) -> IndexRepository:
    """A repository whose main went on after a branch `work` had left it; `work` is checked out."""
    content = small_content()
    content.release("emilie/prod", "table-print", "1.0")
    repository = make_repository(tmp_path / "packages", content)
    repository.git("branch", "work")
    released = small_content()
    released.release("emilie/prod", "table-print", "1.1")
    repository.put(released)
    repository.commit("Release table-print 1.1")
    repository.git("checkout", "--quiet", "work")
    return repository


def validate(run: Run, repository: IndexRepository | Path, *words: str) -> Result:
    path = repository if isinstance(repository, Path) else repository.path
    result = run("-C", path, "validate", "--merge-into", "main", *words)
    assert "Traceback" not in result.err
    return result


def answer(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.out)
    return found


def test_head_that_left_before_a_release_is_judged_by_its_merge(run: Run, forked: IndexRepository) -> None:
    forked.write("indexes/emilie/dev/index.toml", 'bases = ["emilie/prod"]\ntitle = "Work"\n')
    head = forked.commit("Name dev")
    # Compared as it is, the head seems to have removed the release that it never had.
    assert run("-C", forked.path, "validate", "--base", "main", "--head", "work").code == 1
    result = validate(run, forked, "--head", "work", "--json")
    assert result.code == 0
    assert answer(result) == {"base": forked.git("rev-parse", "main"), "head": head, "merged": True, "findings": []}


def test_verdict_names_both_commits(run: Run, forked: IndexRepository) -> None:
    result = validate(run, forked)
    names = [forked.git("rev-parse", "--short=12", name) for name in ("work", "main")]
    assert result.out == f"Valid: {names[0]} merged into {names[1]}.\n"


def test_merge_that_breaks_a_promise_is_refused(run: Run, forked: IndexRepository) -> None:
    forked.git("rm", "-q", "indexes/emilie/prod/table-print/1.0.json")
    forked.commit("Remove 1.0")
    result = validate(run, forked)
    assert result.code == 1
    assert "GI203 table-print 1.0 is removed" in result.out


def test_merge_commit_that_drops_a_release_of_the_target_is_refused(run: Run, forked: IndexRepository) -> None:
    forked.commit("Work")
    forked.git("merge", "--quiet", "--strategy=ours", "--no-edit", "main")
    result = validate(run, forked)
    assert result.code == 1
    assert "GI203 table-print 1.1 is removed" in result.out


def test_conflict_is_the_only_finding(run: Run, forked: IndexRepository) -> None:
    forked.git("checkout", "--quiet", "main")
    forked.write(PROD, 'volatile = false\nbases = ["root/pypi"]\ntitle = "Ours"\n')
    forked.commit("Ours")
    forked.git("checkout", "--quiet", "work")
    forked.write(PROD, 'volatile = false\nbases = ["root/pypi"]\ntitle = "Theirs"\n')
    forked.write("indexes/stray.txt", "a finding of its own\n")
    forked.commit("Theirs")
    result = validate(run, forked, "--json")
    assert result.code == 1
    (finding,) = answer(result)["findings"]
    assert (finding["code"], finding["path"]) == ("GI213", PROD)
    assert f"git merge {forked.git('rev-parse', '--short=12', 'main')}" in finding["help"]


def test_conflict_outside_of_the_index_repository_is_a_finding_too(run: Run, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "packages", small_content(), folder="packages")
    notes = repository.path / "elsewhere.txt"
    for name in ("work", "main"):
        repository.git("checkout", "--quiet", "-B", name, "main~0" if name == "work" else "main")
        notes.write_text(name)
        repository.commit(name)
        repository.git("branch", "--force", "start", "HEAD~1")
        if name == "work":
            repository.git("branch", "--force", "main", "start")
    result = run("-C", repository.root, "validate", "--merge-into", "main", "--head", "work", "--json")
    assert result.code == 1
    (finding,) = answer(result)["findings"]
    assert (finding["code"], finding["path"]) == ("GI213", "elsewhere.txt")


def test_edits_of_one_file_in_different_places_are_merged(run: Run, forked: IndexRepository) -> None:
    settings = (forked.root / "gitindex.toml").read_text()
    lines = 'format = 1\n\n[site]\ntitle = "Example"\n\n\n\n[groups]\nteam = ["emilie"]\n'
    forked.git("checkout", "--quiet", "main")
    forked.write("gitindex.toml", lines)
    forked.commit("Write it out")
    forked.git("checkout", "--quiet", "-B", "work")
    forked.write("gitindex.toml", lines.replace("Example", "Other"))
    forked.commit("Title")
    forked.git("checkout", "--quiet", "main")
    forked.write("gitindex.toml", lines.replace('["emilie"]', '["emilie", "root"]'))
    forked.commit("Group")
    assert settings != lines
    result = validate(run, forked, "--head", "work")
    assert result.code == 0, result.out


def test_nothing_is_written_into_the_repository(run: Run, forked: IndexRepository) -> None:
    forked.write("indexes/emilie/dev/index.toml", 'bases = ["emilie/prod"]\ntitle = "Work"\n')
    forked.commit("Name dev")
    before = forked.git("count-objects", "-v"), forked.git("for-each-ref"), forked.git("status", "--porcelain")
    assert validate(run, forked).code == 0
    assert (
        forked.git("count-objects", "-v"),
        forked.git("for-each-ref"),
        forked.git("status", "--porcelain"),
    ) == before


def test_bare_repository_is_enough(run: Run, forked: IndexRepository, tmp_path: Path) -> None:
    bare = bare_clone(forked, tmp_path / "bare.git")
    assert validate(run, bare, "--head", "work").code == 0


def test_commits_that_are_expected_are_whole_ids_and_have_to_be_there(run: Run, forked: IndexRepository) -> None:
    base, head = forked.git("rev-parse", "main"), forked.git("rev-parse", "work")
    assert validate(run, forked, "--expect-head", head, "--expect-base", base).code == 0
    for words in (["--expect-head", base], ["--expect-base", head]):
        result = validate(run, forked, *words)
        assert (result.code, result.out) == (1, "")
        assert "was expected; it moved" in result.err
        assert result.err.count("\n") == 1
    result = validate(run, forked, "--expect-head", head[:10])
    assert result.code == 2
    assert "must be a whole commit id" in result.err


def test_head_that_moved_is_refused_without_a_merge_too(run: Run, forked: IndexRepository) -> None:
    head = forked.git("rev-parse", "work")
    words = ("-C", forked.path, "validate", "--base", "work", "--head", "work", "--expect-head")
    assert run(*words, head).code == 0
    forked.commit("Pushed in the meantime")
    assert run(*words, head).code == 1


def test_what_shares_no_history_cannot_be_merged(run: Run, forked: IndexRepository) -> None:
    forked.git("checkout", "--quiet", "--orphan", "elsewhere")
    forked.commit("Another beginning")
    result = validate(run, forked, "--head", "elsewhere")
    assert result.code == 3
    assert "refusing to merge unrelated histories" in result.err


@pytest.mark.parametrize("words", [["--base"], ["--merge-into"]], ids=lambda words: words[0])
def test_shallow_clone_that_cannot_tell_says_so(
    run: Run, forked: IndexRepository, tmp_path: Path, words: list[str]
) -> None:
    """It knows neither what a branch comes after, nor what the two share; nothing is wrong with the branch."""
    forked.git("branch", "base", "main")
    forked.git("checkout", "--quiet", "main")
    forked.commit("Work")
    clone = tmp_path / "clone"
    forked.git("clone", "--quiet", "--depth", "1", f"file://{forked.path}", str(clone))
    forked.git("-C", str(clone), "fetch", "--quiet", "--depth", "1", "origin", "base:base")
    result = run("-C", clone, "validate", *words, "base", "--head", "HEAD")
    assert (result.code, result.out) == (3, "")
    assert "git fetch --unshallow" in result.err


@pytest.mark.parametrize(
    "words", [["--base", "main"], ["--staged"], ["--worktree"], ["--pushed"]], ids=lambda words: words[0]
)
def test_options_that_say_something_else_exclude_a_merge(run: Run, forked: IndexRepository, words: list[str]) -> None:
    result = validate(run, forked, *words)
    assert result.code == 2
    assert "exclude each other" in result.err


@pytest.mark.parametrize("words", [["--base", "main"], ["--base", "main", "--head", "HEAD"], ["--merge-into", "main"]])
@pytest.mark.parametrize("has_other", [False, True], ids=["moved up", "another above"])
def test_change_cannot_have_another_folder_looked_at(
    run: Run, tmp_path: Path, words: list[str], *, has_other: bool
) -> None:
    """Where the index repository is, its settings show: a change takes them away, and what they guard."""
    content = small_content()
    content.release("emilie/prod", "table-print", "1.0")
    repository = make_repository(tmp_path / "monorepo", content, folder="packages")
    if has_other:
        (repository.path / "gitindex.toml").write_text("format = 1\n")
        repository.commit("Have another one")
    repository.git("checkout", "--quiet", "-b", "work")
    repository.git("mv", "--force", "packages/gitindex.toml", "gitindex.toml")
    repository.git("rm", "-q", "packages/indexes/emilie/prod/table-print/1.0.json")
    repository.commit("Move")
    result = run("-C", repository.root, "validate", *words)
    assert (result.code, result.out) == (3, "")
    assert "the index repository is taken to be the top, and was packages" in result.err
    result = run("-C", repository.root, "--folder", "packages", "validate", *words)
    assert result.code == 1
    assert "GI202" in result.out


def test_settings_of_whoever_validates_do_not_resolve_a_conflict(run: Run, forked: IndexRepository) -> None:
    attributes = forked.path / ".git/union"
    attributes.write_text("* merge=union\n")
    forked.git("config", "core.attributesFile", str(attributes))
    for name in ("work", "main"):
        forked.git("checkout", "--quiet", name)
        forked.write("indexes/emilie/dev/index.toml", f'bases = ["emilie/prod"]\n# {name}\n')
        forked.commit(name)
    result = validate(run, forked, "--head", "work")
    assert result.code == 1
    assert "GI213" in result.out
