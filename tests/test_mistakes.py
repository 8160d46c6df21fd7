"""What people get wrong, and what they are told: each was tried by somebody who knew the README alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gitindex.edits.setup import pre_commit_config
from tests.builders import make_wheel
from tests.conftest import Run
from tests.repositories import IndexRepository, files_below


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    name, data = make_wheel("demo", "1.0")
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.fixture
def released(repository: IndexRepository, run: Run, wheel: Path) -> IndexRepository:
    """The repository with demo 1.0 in dev."""
    assert run("-C", repository.root, "upload", wheel, "--index", "emilie/dev", "--commit").code == 0
    return repository


@pytest.mark.parametrize(
    "command", [["validate"], ["validate", "--all"], ["validate", "--head", "HEAD"], ["index", "list"]]
)
def test_a_git_repository_without_an_index_is_not_valid_but_none(tmp_path: Path, run: Run, command: list[str]) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "commit", "--quiet", "--allow-empty", "--message", "x"], check=True)
    result = run("-C", tmp_path, *command)
    assert (result.code, result.out) == (3, "")
    assert "there is no gitindex.toml here" in result.err


def test_nothing_is_written_to_a_format_that_is_not_known(released: IndexRepository, run: Run, wheel: Path) -> None:
    settings = released.root / "gitindex.toml"
    settings.write_text(settings.read_text().replace("format = 1", "format = 2"))
    before = files_below(released.root)
    for command in (
        ["user", "create", "kim"],
        ["upload", str(wheel), "--index", "emilie/prod"],
        ["list", "--index", "emilie/dev"],
    ):
        result = run("-C", released.root, *command)
        assert result.code == 3
        assert "format is 2, and this gitindex reads format 1" in result.err
    assert files_below(released.root) == before


@pytest.mark.parametrize(
    "command",
    [
        ["list", "demo", "--index", "emilie/dev"],
        ["why", "demo", "--index", "emilie/dev"],
        ["show", "emilie/dev", "demo"],
    ],
)
def test_a_broken_manifest_is_said_and_not_left_out(released: IndexRepository, run: Run, command: list[str]) -> None:
    (released.root / "indexes/emilie/dev/demo/1.0.json").write_text("{")
    result = run("-C", released.root, *command)
    assert (result.code, result.out) == (3, "")
    assert "indexes/emilie/dev/demo/1.0.json" in result.err


def test_a_broken_index_is_said_and_not_left_out_of_the_list(released: IndexRepository, run: Run) -> None:
    (released.root / "indexes/emilie/dev/index.toml").write_text("volatile =")
    result = run("-C", released.root, "index", "list")
    assert (result.code, result.out) == (3, "")
    assert "indexes/emilie/dev/index.toml" in result.err


def test_what_is_yanked_is_not_promoted(released: IndexRepository, run: Run) -> None:
    assert run("-C", released.root, "yank", "demo==1.0", "--index", "emilie/dev", "--reason", "breaks").code == 0
    before = files_below(released.root)
    result = run("-C", released.root, "push", "demo==1.0", "emilie/dev", "emilie/prod")
    assert result.code == 2
    assert "1.0 of demo is yanked in emilie/dev: breaks" in result.err
    assert files_below(released.root) == before


def test_a_yank_without_a_reason_keeps_the_one_that_was_given(released: IndexRepository, run: Run) -> None:
    for arguments in (["--reason", "breaks"], []):
        assert run("-C", released.root, "yank", "demo==1.0", "--index", "emilie/dev", *arguments).code == 0
    assert "breaks" in (released.root / "indexes/emilie/dev/demo/project.toml").read_text()


def test_unyank_says_which_yank_there_is(released: IndexRepository, run: Run, wheel: Path) -> None:
    run("-C", released.root, "yank", "demo==1.0", "--index", "emilie/dev")
    whole = run("-C", released.root, "unyank", "demo==1.0", "--index", "emilie/dev", "--file", wheel.name)
    assert (whole.code, "is yanked as a whole" in whole.err) == (2, True)
    run("-C", released.root, "unyank", "demo==1.0", "--index", "emilie/dev")
    run("-C", released.root, "yank", "demo==1.0", "--index", "emilie/dev", "--file", wheel.name)
    one = run("-C", released.root, "unyank", "demo==1.0", "--index", "emilie/dev")
    assert (one.code, f"add --file {wheel.name}" in one.err) == (2, True)


def test_what_an_earlier_command_wrote_is_committed_under_a_title_that_says_so(
    repository: IndexRepository, run: Run, wheel: Path
) -> None:
    for arguments in ([], ["--commit"]):
        assert run("-C", repository.root, "upload", wheel, "--index", "emilie/dev", *arguments).code == 0
    assert repository.git("log", "-1", "--format=%s") == f"Keep {wheel.name} in emilie/dev"
    assert repository.git("status", "--porcelain") == ""


def test_a_commit_that_a_hook_refuses_leaves_the_files_and_says_so(
    repository: IndexRepository, run: Run, wheel: Path
) -> None:
    hook = repository.root / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    hook.chmod(0o755)
    result = run("-C", repository.root, "upload", wheel, "--index", "emilie/dev", "--commit")
    assert (result.code, "written, and not committed" in result.err) == (3, True)


def test_a_change_that_changes_nothing_is_unchanged(repository: IndexRepository, run: Run) -> None:
    assert run("-C", repository.root, "user", "modify", "emilie", "title=T", "--commit").code == 0
    assert run("-C", repository.root, "user", "modify", "emilie", "title=T").out == "Unchanged: user emilie\n"
    assert (
        run("-C", repository.root, "index", "modify", "emilie/dev", "volatile=true").out
        == "Unchanged: index emilie/dev\n"
    )


@pytest.mark.parametrize(
    "settings", [["--volatile", "volatile=false"], ["title=a", "title=b"], ["--title", "a", "title=b"]]
)
def test_what_is_given_twice_is_refused(repository: IndexRepository, run: Run, settings: list[str]) -> None:
    result = run("-C", repository.root, "index", "create", "emilie/new", *settings)
    assert (result.code, "twice" in result.err) == (2, True)


@pytest.mark.parametrize("argument", ["--index-url=http://127.0.0.1/", "--extra-index-url", "-f"])
def test_install_takes_no_other_index(released: IndexRepository, run: Run, argument: str) -> None:
    result = run("-C", released.root, "install", "--index", "emilie/dev", "--", argument, "demo")
    assert (result.code, "names another index beside ours" in result.err) == (2, True)


def test_install_needs_an_environment_that_somebody_named(
    released: IndexRepository, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    result = run("-C", released.root, "install", "--index", "emilie/dev", "--", "demo")
    assert (result.code, "no environment is active" in result.err) == (2, True)


@pytest.mark.parametrize("out", ["indexes/emilie/site", "files/site", ".git/site"])
def test_a_site_is_not_written_into_the_repositorys_own_folders(released: IndexRepository, run: Run, out: str) -> None:
    result = run("-C", released.root, "render", "--out", released.root / out)
    assert (result.code, "lies in the repository's own folders" in result.err) == (2, True)
    assert not (released.root / out).exists()


def test_what_a_host_needs_in_the_site_stays(released: IndexRepository, run: Run, tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert run("-C", released.root, "render", "--out", site).code == 0
    for name in ("CNAME", ".nojekyll", "other.txt"):
        (site / name).write_text("x")
    assert run("-C", released.root, "render", "--out", site, "--full").code == 0
    assert {name for name in ("CNAME", ".nojekyll", "other.txt") if (site / name).exists()} == {"CNAME", ".nojekyll"}


@pytest.mark.parametrize(
    ("host", "name"), [("github-pages", ".nojekyll"), ("cloudflare", ".assetsignore"), ("vercel", ".vercelignore")]
)
def test_what_a_rendering_for_a_host_put_at_the_top_goes_with_it(
    released: IndexRepository, run: Run, tmp_path: Path, host: str, name: str
) -> None:
    site = tmp_path / "site"
    words = ("-C", released.root, "render", "--out", site)
    assert run(*words, "--host", host).code == 0
    assert (site / name).is_file()
    (site / ".well-known").mkdir()
    assert run(*words, "--host", host).code == 0
    assert (site / name).is_file()
    assert run(*words).code == 0
    assert not (site / name).exists()
    assert (site / ".well-known").is_dir()


def test_a_missing_stored_file_stops_a_second_rendering_too(
    released: IndexRepository, run: Run, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    assert run("-C", released.root, "render", "--out", site).code == 0
    next((released.root / "files").glob("*/*/*.whl")).unlink()
    result = run("-C", released.root, "render", "--out", site)
    assert (result.code, "the stored file is missing" in result.err) == (3, True)


def test_a_file_of_the_site_that_was_cut_is_mended(released: IndexRepository, run: Run, tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert run("-C", released.root, "render", "--out", site).code == 0
    file = next((site / "files").glob("*/*/*.whl"))
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    assert run("-C", released.root, "render", "--out", site, "--full").code == 0
    assert file.read_bytes() == whole


def test_init_in_an_index_repository_is_refused(released: IndexRepository, run: Run) -> None:
    before = files_below(released.root)
    result = run("init", released.root / "indexes/q", "--user", "bob")
    assert (result.code, "is an index repository already" in result.err) == (2, True)
    assert files_below(released.root) == before


@pytest.mark.parametrize("arguments", [["--url", "foo"], ["--branch", "a b"], ["--user", "root"], ["--title", 'a"\n']])
def test_a_refused_init_makes_nothing(tmp_path: Path, run: Run, arguments: list[str]) -> None:
    result = run("init", tmp_path / "new", "--user", "emilie", *arguments)
    if arguments[0] == "--title":  # any title can be written
        assert result.code == 0
    else:
        assert result.code == 2
        assert not (tmp_path / "new").exists()


def test_init_in_a_folder_of_a_repository_says_where_the_hook_belongs(tmp_path: Path, run: Run) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".pre-commit-config.yaml").write_text("repos: []\n")
    result = run("init", tmp_path / "pk", "--user", "emilie")
    assert result.code == 0
    assert not (tmp_path / "pk/.pre-commit-config.yaml").exists()
    assert (tmp_path / ".pre-commit-config.yaml").read_text() == "repos: []\n"
    assert pre_commit_config("pk") in result.err
    assert '        entry: "gitindex -C pk validate --staged"\n' in result.err


def test_the_hint_to_commit_works_from_where_the_user_is(
    repository: IndexRepository, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository.root / "indexes")
    result = run("user", "create", "kim")
    hint = result.err.partition("To commit it: ")[2]
    subprocess.run(["bash", "-ec", hint], check=True, capture_output=True)
    assert repository.git("log", "-1", "--format=%s") == "Create user kim"


def test_point_76_the_same_bytes_under_another_name_are_refused(
    released: IndexRepository, run: Run, wheel: Path
) -> None:
    other = wheel.with_name("demo-1.0-1-py3-none-any.whl")
    other.write_bytes(wheel.read_bytes())
    before = files_below(released.root)
    for files in ([other], [wheel, other]):
        result = run("-C", released.root, "upload", *files, "--index", "emilie/dev")
        assert (result.code, result.out) == (2, "")
        assert f"{other.name} has the very bytes of {wheel.name}" in result.err
    assert files_below(released.root) == before
    # In another index, where the other name is not known, it stands alone; the same name again changes nothing.
    assert run("-C", released.root, "upload", wheel, "--index", "emilie/dev").code == 0


def test_what_to_do_about_other_bytes_of_a_released_file_is_said_once(
    repository: IndexRepository, run: Run, wheel: Path
) -> None:
    assert run("-C", repository.root, "upload", wheel, "--index", "emilie/prod", "--commit").code == 0
    wheel.write_bytes(make_wheel("demo", "1.0", files={"demo.py": b"other = True\n"})[1])
    refused = run("-C", repository.root, "upload", wheel, "--index", "emilie/prod")
    lines = refused.err.splitlines()
    assert refused.code == 1
    assert sum(" GI205 " in line for line in lines) > 1
    assert sum("or release a new version" in line for line in lines) == 1


def test_what_replaces_a_file_says_where_it_does(repository: IndexRepository, run: Run, wheel: Path) -> None:
    assert run("-C", repository.root, "upload", wheel, "--index", "emilie/dev", "--commit").code == 0
    wheel.write_bytes(make_wheel("demo", "1.0", files={"demo.py": b"other = True\n"})[1])
    assert run("-C", repository.root, "upload", wheel, "--index", "emilie/dev").out == (
        f"Replace {wheel.name} in emilie/dev\n"
    )


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            ["list", "--index", "emile/dev"],
            "emile/dev: no such index; did you mean emilie/dev? see: gitindex index list",
        ),
        (["list", "dmeo", "--index", "emilie/dev"], "did you mean demo? see: gitindex why dmeo --index emilie/dev"),
        (["push", "dem", "emilie/dev", "emilie/prod"], "did you mean demo? see: gitindex list --index emilie/dev"),
        (["user", "show", "emily"], "emily: no such user; did you mean emilie? see: gitindex user list"),
        (["list", "--index", "somebody/else"], "somebody/else: no such index; see: gitindex index list"),
    ],
    ids=["index", "project of all", "project", "user", "nothing alike"],
)
def test_a_misspelt_name_is_answered_with_the_one_that_is_meant(
    released: IndexRepository, run: Run, command: list[str], said: str
) -> None:
    result = run("-C", released.root, *command)
    assert (result.code, result.out) == (1, "")
    assert result.err.endswith(f"{said}\n")


def test_outside_of_any_repository_it_is_said_how_to_name_one(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("index", "list").err == (
        "gitindex: the current folder is not in a Git repository; "
        "go to your index repository, or name it (gitindex -C DIR …); to make one: gitindex init DIR\n"
    )


def test_a_first_user_who_cannot_have_that_name_is_told_which_names_there_are(tmp_path: Path, run: Run) -> None:
    result = run("init", tmp_path / "new", "--user", "Emilie")
    assert result.code == 2
    assert "'Emilie' cannot name a user; use lower-case letters and digits" in result.err
    assert result.err.endswith(": gitindex init --user emilie\n")


def test_a_folder_to_publish_to_is_written_whole(repository: IndexRepository, run: Run, tmp_path: Path) -> None:
    result = run("-C", repository.root, "publish", "--to", f"file://{tmp_path}/here/../there")
    assert result.code == 2
    assert "write the whole path of the folder, without empty parts, `.` and `..`" in result.err


def test_a_push_whose_words_are_in_another_order_is_told_the_right_one(released: IndexRepository, run: Run) -> None:
    result = run("-C", released.root, "push", "emilie/dev", "emilie/prod", "demo")
    assert result.code == 2
    assert result.err == (
        "gitindex: 'emilie/dev' stands where a release does; "
        "name releases first, then two indexes: gitindex push PROJECT==VERSION FROM TO\n"
    )


def test_a_folder_that_is_uploaded_is_answered_with_its_files(
    repository: IndexRepository, run: Run, wheel: Path
) -> None:
    result = run("-C", repository.root, "upload", wheel.parent, "--index", "emilie/dev")
    assert result.code == 3
    assert result.err.endswith(f"name the files in it: {wheel.parent}/*\n")
