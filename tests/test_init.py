"""`gitindex init`: what it writes works at once, with the real tools that read it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt

from gitindex import __version__
from gitindex.atomic import TEMPORARY_PREFIX
from tests.actions import Job, artifacts, checkout, read_workflow
from tests.builders import make_wheel
from tests.conftest import Run
from tests.peers.serving import Serving, eventually, pip, serving, uv
from tests.peers.tools import Tools, done, installed
from tests.repositories import IndexRepository, files_below, make_repository
from tests.sites import NODE, node_file, program

BIN = Path(sys.executable).parent
SHA = "0123456789abcdef0123456789abcdef01234567"
EMILIE = ("--user", "emilie")
WORKFLOWS = {
    f".github/workflows/{name}-index.yml"
    for name in ("automerge", "comment", "preview", "publish", "validate", "verify")
}
FORGES = {
    "github": {*WORKFLOWS, ".github/CODEOWNERS", ".github/pull_request_template.md"},
    "gitlab": {".gitlab-ci.yml", ".gitlab/CODEOWNERS", ".gitlab/merge_request_templates/Default.md"},
    "gitea": {".gitea/workflows/index.yml", ".gitea/CODEOWNERS", ".gitea/pull_request_template.md"},
    "none": set(),
}
NOBODY = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def made(run: Run, folder: Path, *options: str | Path) -> IndexRepository:
    """Make a repository, and return it."""
    result = run("init", folder, *EMILIE, *options)
    assert result.code == 0, result.err
    return IndexRepository(folder)


def listed(repository: IndexRepository) -> set[str]:
    return set(repository.git("ls-files").split("\n"))


# What there is


@pytest.mark.parametrize("forge", FORGES)
def test_a_forge_is_given_what_it_looks_for_and_nothing_of_another(run: Run, tmp_path: Path, forge: str) -> None:
    repository = made(run, tmp_path / "new", "--forge", forge)
    always = {".gitattributes", ".gitignore"}
    assert {path for path in listed(repository) if path.startswith((".git", "CODE"))} - always == FORGES[forge]
    assert repository.git("status", "--porcelain") == ""
    settings = tomllib.loads((repository.path / "gitindex.toml").read_text())
    assert settings["forge"] == ({} if forge == "none" else {"type": forge})
    assert run("-C", repository.path, "validate", "--all").code == 0
    assert run("-C", repository.path, "audit").code == 0
    if forge != "none":
        assert run("-C", repository.path, "codeowners", "--forge", forge, "--check").code == 0


@pytest.mark.parametrize(
    ("url", "forge"),
    [
        ("git@gitlab.example.org:emilie/packages.git", "gitlab"),
        ("https://codeberg.example.org/emilie/packages", "gitea"),
        ("https://github.example.org/emilie/packages", "github"),
        ("https://git.example.org/emilie/packages", "github"),
    ],
)
def test_the_remote_tells_the_forge(run: Run, tmp_path: Path, url: str, forge: str) -> None:
    repository = make_repository(tmp_path / "new")
    repository.git("remote", "add", "origin", url)
    made(run, repository.path)
    assert FORGES[forge] <= listed(repository)


@pytest.mark.parametrize(
    ("url", "options", "site"),
    [
        ("git@github.com:Acme/packages.git", [], "https://acme.github.io/packages/"),
        ("https://github.com/acme/Acme.github.io", [], "https://acme.github.io/"),
        ("https://github.example.org/acme/packages", [], ""),
        ("https://github.com/acme/packages", ["--host", "none"], ""),
        ("https://github.com/acme/packages", ["--publish-to", "s3://packages"], ""),
        ("https://github.com/acme/packages", ["--url", "https://p.example.org/"], "https://p.example.org/"),
        ("https://github.com/acme/packages", ["--url", ""], ""),
    ],
)
def test_the_address_of_pages_is_known_where_it_is_certain(
    run: Run, tmp_path: Path, url: str, options: list[str], site: str
) -> None:
    repository = make_repository(tmp_path / "new")
    repository.git("remote", "add", "origin", url)
    made(run, repository.path, *options)
    assert tomllib.loads((repository.path / "gitindex.toml").read_text())["site"]["url"] == site
    lines = f"{site or 'http://127.0.0.1:3141/'}emilie/prod/simple/"
    assert f"index-url = {lines}\n" in (repository.path / "README.md").read_text()


def test_json_names_each_path_and_what_was_left_alone(run: Run, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "new", {"docs/CODEOWNERS": b"* @acme\n"})
    result = run("init", repository.path, *EMILIE, "--json")
    told = json.loads(result.out)
    assert {*told["paths"], "docs/CODEOWNERS"} == listed(repository)
    assert told["commit"] == repository.git("rev-parse", "HEAD")
    assert list(told["add"]) == ["docs/CODEOWNERS"]
    assert "/indexes/emilie/ emilie@example.org\n" in told["add"]["docs/CODEOWNERS"]


# What reads it


def workflows_in(repository: IndexRepository) -> list[Path]:
    return sorted((repository.path / ".github/workflows").iterdir())


@pytest.mark.parametrize(
    "options",
    [[], ["--host", "none"], ["--publish-to", "gs://packages/x"], ["--workflows", f"acme/gitindex@{SHA}"]],
    ids=["pages", "nowhere", "store", "called"],
)
def test_linters_have_nothing_to_say_of_workflows(run: Run, tmp_path: Path, options: list[str]) -> None:
    repository = made(run, tmp_path / "new", *options)
    paths = workflows_in(repository)
    lint = subprocess.run([str(BIN / "actionlint"), *map(str, paths)], capture_output=True, text=True, check=False)
    assert (lint.returncode, lint.stdout) == (0, ""), lint.stderr
    command = [
        str(BIN / "zizmor"),
        "--offline",
        "--pedantic",
        "--no-progress",
        "--format",
        "json",
        str(repository.path),
    ]
    audit = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (audit.returncode, json.loads(audit.stdout)) == (0, []), audit.stderr
    texts = {path.name: path.read_text() for path in paths}
    assert all(f"gitindex=={__version__}" in text for text in texts.values())
    assert all("folder" not in text for text in texts.values()) == ("--workflows" in options)
    published = texts.get("publish-index.yml", "")
    assert (not published) == (options == ["--host", "none"])
    assert ("upload-pages-artifact" in published) == (options == [])
    assert ('TARGET: "gs://packages/x"' in published) == ("--publish-to" in options)
    if "--workflows" in options:
        for name, text in texts.items():
            (job,) = read_workflow(text)["jobs"].values()
            assert job["uses"] == f"acme/gitindex/.github/workflows/{name}@{SHA}"


@pytest.mark.parametrize("options", [[], ["--host", "none"]])
def test_pipelines_of_gitlab_are_what_its_schema_says(run: Run, tmp_path: Path, options: list[str]) -> None:
    repository = made(run, tmp_path / "new", "--forge", "gitlab", *options)
    path = repository.path / ".gitlab-ci.yml"
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.gitlab-ci", str(path)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert ("pages" in yaml.safe_load(path.read_text())) == (not options)


@pytest.mark.parametrize("target", ["", "s3://packages"])
def test_workflow_of_gitea_publishes_to_what_it_is_told(run: Run, tmp_path: Path, target: str) -> None:
    repository = made(run, tmp_path / "new", "--forge", "gitea", *(["--publish-to", target] if target else []))
    path = repository.path / ".gitea/workflows/index.yml"
    lint = subprocess.run([BIN / "actionlint", path], capture_output=True, text=True, check=False)
    assert (lint.returncode, lint.stdout) == (0, ""), lint.stderr
    step = read_workflow(path.read_text())["jobs"]["publish"]["steps"][-1]
    assert step["env"]["TARGET"] == (target or "${{ vars.GITINDEX_TARGET }}")
    assert ("if" in step) == (not target)


@pytest.mark.peers
def test_hooks_run_on_all_files(run: Run, tmp_path: Path) -> None:
    repository = made(run, tmp_path / "new")
    hooks = subprocess.run(
        [BIN / "pre-commit", "run", "--all-files"],
        cwd=repository.path,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert hooks.returncode == 0, hooks.stdout
    assert "gitindex validate" in hooks.stdout
    assert repository.git("status", "--porcelain") == ""


def test_steps_of_the_workflows_succeed_with_what_is_there(run: Run, tmp_path: Path) -> None:
    repository = made(run, tmp_path / "new", "--login", "Emilie")
    release(run, repository, tmp_path, "1.0")
    origin = tmp_path / "origin.git"
    repository.git("clone", "--quiet", "--bare", str(repository.path), str(origin))
    repository.git("remote", "add", "origin", str(origin))
    release(run, repository, tmp_path, "2.0")
    repository.git("push", "--quiet", "origin", "HEAD:refs/heads/release")
    head = repository.git("rev-parse", "HEAD")
    pull: dict[str, Any] = {"number": 1, "head": {"sha": head, "repo": {"fork": False}}, "user": {"login": "emilie"}}
    asked = {"event_name": "pull_request", "base_ref": "main", "event": {"pull_request": pull}}
    pushed = {"event_name": "push", "ref": "refs/heads/main", "event": {}}

    def steps(workflow: str, job: str, github: dict[str, Any]) -> dict[str, int]:
        folder = tmp_path / f"{workflow}-{job}-{pull['user']['login']}"
        actions = {
            "actions/checkout": checkout(origin, "main"),
            "actions/setup-python": lambda _inputs, _job: None,
            **artifacts(folder / "shelf"),
        }
        text = (repository.path / f".github/workflows/{workflow}-index.yml").read_text()
        contexts = {"github": github, "vars": {}}
        running = Job(read_workflow(text), job, folder, contexts, actions=actions, environment=NOBODY)
        return {step.name: step.code for step in running.run()}

    assert steps("validate", "validate", asked) == {"Install gitindex": 0, "Validate what the merge would give": 0}
    assert set(steps("publish", "audit", pushed).values()) == {0}
    assert set(steps("publish", "render", pushed).values()) == {0}
    assert (tmp_path / "publish-render-emilie/shelf/pages/emilie/dev/simple/table-print/index.html").is_file()
    pull["user"] = {"login": "bob"}
    assert steps("validate", "validate", asked)["Validate what the merge would give"] == 1


def release(run: Run, repository: IndexRepository, folder: Path, version: str) -> Path:
    name, data = make_wheel("table-print", version)
    (folder / name).write_bytes(data)
    assert run("-C", repository.path, "upload", folder / name, "--index", "emilie/dev", "--commit").code == 0
    return folder / name


# Serving it


def server_has(server: Serving, tools: Tools, repository: Path) -> None:
    """Wait until a server serves what was committed: it looks a few times a second, and validates."""
    head = done(tools.run("git", "-C", repository, "rev-parse", "HEAD")).strip()
    eventually(lambda: server.status()["revision"] == head, "the commit is not served")


@pytest.mark.peers
def test_served_and_released_to_without_editing_anything(tmp_path: Path) -> None:
    tools = Tools(tmp_path / "home")
    tools.home.mkdir()
    repository = tools.home / "packages"
    done(tools.run("gitindex", "init", repository))
    name, data = make_wheel("table-print", "1.0")
    (tools.home / name).write_bytes(data)
    with serving(tools, repository) as server:
        done(tools.gitindex(repository, "upload", name, "--index", "emilie/dev", "--commit"))
        server_has(server, tools, repository)
        # The README's own lines, at the port that is free here.
        lines = (repository / "README.md").read_text().replace("http://127.0.0.1:3141", server.url)
        (url,) = re.findall(r"^index-url = (\S+/emilie/dev/\S+)$", lines, re.MULTILINE)
        done(pip(tools, url, "table-print"))
        assert installed(tools.home / "target") == {"table-print": "1.0"}
        shutil.rmtree(tools.home / "target")
        sources = [
            tomllib.loads(block)["tool"]["uv"]["index"][0]
            for block in re.findall(r"```toml\n(.*?)```", lines, re.DOTALL)
        ]
        assert [source["name"] for source in sources] == ["emilie-prod", "emilie-dev"]
        assert all(source["default"] for source in sources)
        done(uv(tools, sources[1]["url"], "table-print"))
        assert installed(tools.home / "target") == {"table-print": "1.0"}
        done(tools.gitindex(repository, "push", "table-print==1.0", "emilie/dev", "emilie/prod", "--commit"))
        server_has(server, tools, repository)
        done(pip(tools, sources[0]["url"], "--upgrade", "table-print"))
    done(tools.run("git", "-C", repository, "diff", "--exit-code", "HEAD"))
    done(tools.gitindex(repository, "audit"))


def test_what_is_printed_can_be_run_as_it_is(tmp_path: Path) -> None:
    tools = Tools(tmp_path / "home")
    (tools.home / "dist").mkdir(parents=True)
    name, data = make_wheel("table-print", "1.0")
    (tools.home / "dist" / name).write_bytes(data)
    said = tools.run("gitindex", "init", "my packages")
    done(said)
    assert said.stdout.startswith("An index repository with emilie/prod, emilie/dev and root/pypi is in ")
    (released,) = re.findall(r"^Release to it: +(.*)$", said.stderr, re.MULTILINE)
    (known,) = re.findall(r"checks do not know who you are: (.*)$", said.stderr, re.MULTILINE)
    for command in (released, known):
        done(tools.run("sh", "-ec", command))
    done(tools.gitindex(tools.home / "my packages", "validate"))
    assert 'identities = ["github:LOGIN"]' in (tools.home / "my packages/indexes/emilie/user.toml").read_text()
    assert max(map(len, said.stderr.splitlines())) < 150


# The README


@pytest.mark.parametrize("forge", FORGES)
def test_the_readme_reads_well(run: Run, tmp_path: Path, forge: str) -> None:
    repository = made(run, tmp_path / "new", "--forge", forge, "--title", "Acme <b>\n# Tools", "--no-commit")
    text = (repository.path / "README.md").read_text()
    assert "$" not in text
    tokens = MarkdownIt().enable("table").parse(text)
    headings = [tokens[number + 1].content for number, token in enumerate(tokens) if token.type == "heading_open"]
    wanted = ["Acme <b> # Tools", "Install from it", "Release, promote, yank", "What is checked"]
    assert headings == wanted + ([] if forge == "none" else ["Once, in the settings of the repository"])
    assert "\n\n\n" not in text
    for command in re.findall(r"^gitindex .*$", text, re.MULTILINE):
        words = command.split()
        assert run(words[1], "--help").code == 0
        assert all(option in run(words[1], "--help").out for option in words if option.startswith("--"))


def test_the_readme_names_the_workflows_and_checks_that_there_are(run: Run, tmp_path: Path) -> None:
    repository = made(run, tmp_path / "new")
    text = (repository.path / "README.md").read_text()
    named = set(re.findall(r"^\| ([A-Z][\w, ]+) \| .*\|$", text, re.MULTILINE))
    names = {read_workflow(path.read_text())["name"] for path in workflows_in(repository)}
    assert {name for row in named for name in row.split(", ")} == names
    validate = read_workflow((repository.path / ".github/workflows/validate-index.yml").read_text())
    assert f"the status check `{validate['jobs']['validate']['name']}`" in text
    called = made(run, tmp_path / "called", "--workflows", f"acme/gitindex@{SHA}")
    assert "the status check `validate / Validate`" in (called.path / "README.md").read_text()
    assert "identities+=github:LOGIN" in text
    known = made(run, tmp_path / "known", "--login", "emilie")
    assert "identities+=" not in (known.path / "README.md").read_text()


# Editors


def opened(repository: IndexRepository, asked: Iterable[tuple[str, str, int, int]]) -> list[dict[str, Any]]:
    """Open files in the language servers that VS Code runs, and return what they say."""
    node_file("@taplo/lsp/package.json")
    node_file("vscode-json-languageservice/package.json")
    files = [{"path": path, "text": text, "line": line, "character": at} for path, text, line, at in asked]
    script = Path(__file__).parent / "browser/editors.mjs"
    told = subprocess.run(
        [program("node", "see: .ci/run"), script, NODE, repository.path],
        input=json.dumps(files),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    answers: list[dict[str, Any]] = json.loads(told.stdout)
    return answers


@pytest.mark.parametrize("folder", ["", "services/my [packages]"])
def test_editors_complete_and_check_each_file(run: Run, tmp_path: Path, folder: str) -> None:
    repository = make_repository(tmp_path / "new", {"pyproject.toml": b"[tool]\n"})
    result = run("-C", repository.path, "init", f"./{folder}", *EMILIE)
    assert result.code == 0, result.err
    prefix = f"{folder}/" if folder else ""
    index = f"{prefix}indexes/emilie/dev"
    wanted = {
        f"{prefix}gitindex.toml": ("format = 1\n[policy]\n\n", 2, "protected_branch", "gitindex"),
        f"{prefix}indexes/emilie/user.toml": ("title = 3\n\n", 1, "identities", "user"),
        f"{index}/index.toml": ('type = "stage"\n\n', 1, "acl_upload", "index"),
        f"{prefix}indexes/root/pypi/index.toml": ('type = "mirror"\n\n', 1, "mirror_min_age", "index"),
        f"{index}/demo/project.toml": ("\n", 0, "status-reason", "project"),
        f"{index}/demo/1.0.json": ("{\n\n}", 1, "files", "manifest"),
        f"{index}/demo/1.0.tests.json": ("[{\n\n}]", 1, "environment", "tests"),
    }
    answers = opened(repository, ((path, text, line, 0) for path, (text, line, _, _) in wanted.items()))
    for (path, (_, _, key, schema)), answer in zip(wanted.items(), answers, strict=True):
        assert key in answer["proposed"], path
        if path.endswith(".toml"):
            assert answer["schema"].endswith(f"/schemas/{schema}.schema.json")
    assert "not of type" in answers[1]["problems"][0]
    assert 'Missing property "files".' in answers[5]["problems"]
    assert 'Missing property "environment".' in answers[6]["problems"]
    assert 'Missing property "environment".' not in answers[5]["problems"]


def test_editors_have_nothing_against_what_is_written(run: Run, tmp_path: Path) -> None:
    repository = made(run, tmp_path / "new")
    release(run, repository, tmp_path, "1.0")
    paths = [path for path in listed(repository) if re.match(r"gitindex\.toml|indexes/.*\.(toml|json)", path)]
    assert len(paths) == 7
    answers = opened(repository, ((path, (repository.path / path).read_text(), 0, 0) for path in paths))
    assert [answer["problems"] for answer in answers] == [[]] * len(paths)
    assert all(answer["schema"] for answer in answers)


def test_each_file_has_one_schema_by_the_globs_and_is_valid(run: Run, tmp_path: Path) -> None:
    repository = made(run, tmp_path / "new")
    release(run, repository, tmp_path, "1.0")
    rules = tomllib.loads((repository.path / ".taplo.toml").read_text())["rule"]
    globs = {glob: rule["schema"]["path"] for rule in rules for glob in rule["include"]}
    settings = json.loads((repository.path / ".vscode/settings.json").read_text())
    for schema in settings["json.schemas"]:
        globs[schema["fileMatch"][0].removeprefix("/")] = schema["url"].removeprefix("./")
    seen = []
    for path in listed(repository):
        if path != "gitindex.toml" and not path.startswith("indexes/"):
            continue
        (schema,) = {schema for glob, schema in globs.items() if Path(path).match(glob)}
        text = (repository.path / path).read_text()
        values = tomllib.loads(text) if path.endswith(".toml") else json.loads(text)
        Draft202012Validator(json.loads((repository.path / schema).read_text())).validate(values)
        seen.append(schema)
    assert set(seen) == {f"schemas/{name}.schema.json" for name in ("gitindex", "user", "index", "manifest")}
    assert set(globs.values()) <= listed(repository)


# Git LFS


@pytest.fixture
def lfs() -> None:
    program("git-lfs", "see: .ci/run")


@pytest.mark.peers
@pytest.mark.usefixtures("lfs")
def test_released_files_go_to_git_lfs_and_come_back(run: Run, tmp_path: Path) -> None:
    repository = made(run, tmp_path / "new", "--lfs", "--forge", "none")
    path = release(run, repository, tmp_path, "1.0")
    stored = [name for name in listed(repository) if name.startswith("files/")]
    (wheel,) = (name for name in stored if name.endswith(".whl"))
    (metadata,) = (name for name in stored if name.endswith(".metadata"))
    assert repository.git("show", f"HEAD:{wheel}").startswith("version https://git-lfs.github.com/spec/v1\n")
    assert repository.git("show", f"HEAD:{metadata}").startswith("Metadata-Version: ")
    assert repository.git("status", "--porcelain") == ""
    assert run("-C", repository.path, "validate", "--all").code == 0
    assert run("-C", repository.path, "verify").code == 0
    origin = tmp_path / "origin.git"
    repository.git("init", "--quiet", "--bare", "--initial-branch", "main", str(origin))
    repository.git("remote", "add", "origin", origin.as_uri())
    repository.git("push", "--quiet", "origin", "main")
    clone = tmp_path / "clone"
    environment = {**os.environ, "GIT_LFS_SKIP_SMUDGE": "1"}
    subprocess.run(["git", "clone", "--quiet", origin.as_uri(), clone], env=environment, check=True)
    subprocess.run(["git", "-C", clone, "lfs", "install", "--local"], check=True, capture_output=True)
    assert run("-C", clone, "render", "--out", tmp_path / "early").code == 3, "only pointers are here"
    subprocess.run(["git", "-C", clone, "lfs", "pull"], check=True, capture_output=True)
    assert (clone / wheel).read_bytes() == path.read_bytes()
    assert run("-C", clone, "render", "--out", tmp_path / "site").code == 0
    assert (tmp_path / "site" / wheel).read_bytes() == path.read_bytes()


@pytest.mark.peers
@pytest.mark.usefixtures("lfs")
def test_server_sends_what_git_lfs_keeps(tmp_path: Path) -> None:
    tools = Tools(tmp_path / "home")
    tools.home.mkdir()
    repository = tools.home / "packages"
    done(tools.run("gitindex", "init", repository, "--lfs"))
    name, data = make_wheel("table-print", "1.0")
    (tools.home / name).write_bytes(data)
    with serving(tools, repository) as server:
        done(tools.gitindex(repository, "upload", name, "--index", "emilie/dev", "--commit"))
        server_has(server, tools, repository)
        done(pip(tools, server.simple("emilie/dev"), "table-print"))
    assert installed(tools.home / "target") == {"table-print": "1.0"}
    assert "git lfs install" in (repository / "README.md").read_text()


@pytest.mark.peers
@pytest.mark.usefixtures("lfs")
@pytest.mark.parametrize("tool", ["pre-commit", "prek"])
def test_git_lfs_still_pushes_its_files_beside_the_hooks(tmp_path: Path, tool: str) -> None:
    tools = Tools(tmp_path / "home")
    tools.home.mkdir()
    repository, origin = tools.home / "packages", tools.home / "origin.git"
    done(tools.run("gitindex", "init", repository, "--lfs"))
    done(tools.run("git", "init", "--quiet", "--bare", origin))
    done(tools.run("git", "-C", repository, "remote", "add", "origin", origin.as_uri()))
    done(tools.run("sh", "-c", f"cd packages && {tool} install"))
    name, data = make_wheel("table-print", "1.0")
    (tools.home / name).write_bytes(data)
    done(tools.gitindex(repository, "upload", name, "--index", "emilie/dev", "--commit"))
    done(tools.run("git", "-C", repository, "push", "--quiet", "origin", "main"))
    kept = [path for path in (origin / "lfs/objects").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in kept] == [data]


@pytest.mark.usefixtures("lfs")
def test_hooks_of_somebody_else_stay_and_it_is_said_what_they_lack(run: Run, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "new", {"code.py": b""})
    hook = repository.path / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 0\n")
    hook.chmod(0o755)
    result = run("init", repository.path, *EMILIE, "--lfs")
    assert result.code == 0
    assert hook.read_text() == "#!/bin/sh\nexit 0\n"
    assert f"What belongs into them: git -C {repository.path} lfs update --manual\n" in result.err
    release(run, repository, tmp_path, "1.0")
    (wheel,) = (name for name in listed(repository) if name.endswith(".whl"))
    assert repository.git("show", f"HEAD:{wheel}").startswith("version https://git-lfs")


def test_without_git_lfs_nothing_is_made(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    git = shutil.which("git")
    assert git is not None
    (programs / "git").symlink_to(git)
    # Git looks for its own programs first, where a package of Git LFS may lie too.
    (programs / "git-core").mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("GIT_EXEC_PATH", str(programs / "git-core"))
    result = run("init", tmp_path / "new", *EMILIE, "--lfs")
    assert (result.code, result.out) == (3, "")
    assert result.err == (
        "gitindex: Git LFS is not installed; install git-lfs, or leave out --lfs; nothing was written\n"
    )
    assert not (tmp_path / "new").exists()


# What is refused, and what is left alone


REFUSED = {
    "no object store at gitlab": (
        ["--forge", "gitlab", "--publish-to", "s3://packages"],
        "GitLab's pipeline publishes to no object store; take --host gitlab-pages, or --host none",
    ),
    "a host that github cannot publish to": (
        ["--host", "nginx"],
        "GitHub's workflows cannot publish to nginx; take --host github-pages or --publish-to s3://BUCKET",
    ),
    "pages of another forge": (
        ["--forge", "gitlab", "--host", "github-pages"],
        "GitLab's workflows cannot publish to github-pages; take --host gitlab-pages;",
    ),
    "no pages at gitea": (
        ["--forge", "gitea", "--host", "github-pages"],
        "Gitea's workflows cannot publish to github-pages; take --publish-to s3://BUCKET",
    ),
    "a host without a forge": (["--forge", "none", "--host", "nginx"], "without a forge there is no workflow"),
    "a store without a forge": (
        ["--forge", "none", "--publish-to", "s3://packages"],
        "without a forge there is no workflow",
    ),
    "two places": (
        ["--host", "github-pages", "--publish-to", "s3://packages"],
        "--host and --publish-to exclude each other",
    ),
    "a folder of this machine": (["--publish-to", "file:///srv/site"], "no workflow reaches a folder of this machine"),
    "no place": (["--publish-to", "https://user:secret@example.org/"], "is no place for objects"),
    "a branch for a commit": (["--workflows", "acme/gitindex@main"], "40 hexadecimal digits"),
    "a short commit": (["--workflows", f"acme/gitindex@{SHA[:-1]}"], "40 hexadecimal digits"),
    "a commit and a line": (["--workflows", f"acme/gitindex@{SHA}\n"], "40 hexadecimal digits"),
    "a workflow that is no repository's": (["--workflows", f"../x@{SHA}"], "40 hexadecimal digits"),
    "callers elsewhere": (["--forge", "gitea", "--workflows", f"a/b@{SHA}"], "only GitHub's workflows can call others"),
    "no login": (["--login", "em ilie"], "'em ilie' is no login at github"),
    "a login nowhere": (["--forge", "none", "--login", "emilie"], "without a forge nobody has a login"),
    "an unknown host": (["--host", "geocities"], "geocities"),
    "an unknown forge": (["--forge", "sourceforge"], "sourceforge"),
}


@pytest.mark.parametrize(("options", "said"), REFUSED.values(), ids=REFUSED)
def test_wrong_options_make_nothing(run: Run, tmp_path: Path, options: list[str], said: str) -> None:
    result = run("init", tmp_path / "new", *EMILIE, *options)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert "secret" not in result.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("path", [".gitattributes", "indexes/root/user.toml", "schemas"])
def test_what_is_in_the_way_is_named_and_stays(run: Run, tmp_path: Path, path: str) -> None:
    repository = make_repository(tmp_path / "new", {path: b"mine\n", "code.py": b"\n"})
    before = files_below(repository.path)
    result = run("init", repository.path, *EMILIE)
    assert (result.code, result.out) == (2, "")
    assert re.search(rf"new/{re.escape(path)}\S* is in the way", result.err)
    assert files_below(repository.path) == before


def test_what_a_killed_run_leaves_half_written_is_ignored(run: Run, tmp_path: Path) -> None:
    repository = made(run, tmp_path / "new")
    (repository.path / "indexes/root" / f"{TEMPORARY_PREFIX}0-1").write_bytes(b"half")
    assert repository.git("status", "--porcelain") == ""
    assert run("-C", repository.path, "validate").code == 0


def test_gitignore_that_is_there_stays_and_is_told_of(run: Run, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "new", {".gitignore": b"mine\n"})
    result = run("init", repository.path, *EMILIE)
    assert result.code == 0
    assert (repository.path / ".gitignore").read_bytes() == b"mine\n"
    assert f"{TEMPORARY_PREFIX}*" in result.out + result.err


def test_a_readme_that_is_there_stays_and_ours_is_written_beside_it(run: Run, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "new", {"README.md": b"mine\n"})
    result = run("init", repository.path, *EMILIE)
    assert result.code == 0
    assert (repository.path / "README.md").read_bytes() == b"mine\n"
    assert (repository.path / "PACKAGES.md").read_text().startswith("# ")
    assert "README.md was there already, and is as it was: what is to be known is in PACKAGES.md." in result.err
    assert "new/PACKAGES.md" in result.err
    assert "PACKAGES.md" in listed(repository)


def test_other_files_of_a_repository_stay_and_a_second_init_is_refused(run: Run, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "new", {"LICENSE": b"mine\n", ".github/workflows/test.yml": b"mine\n"})
    made(run, repository.path)
    assert {"LICENSE", ".github/workflows/test.yml"} | FORGES["github"] <= listed(repository)
    before = files_below(repository.path)
    result = run("init", repository.path, *EMILIE)
    assert (result.code, "is an index repository already" in result.err) == (2, True)
    assert files_below(repository.path) == before


def test_a_file_for_a_tool_that_is_there_stays_and_what_belongs_there_is_printed(run: Run, tmp_path: Path) -> None:
    mine = {
        ".vscode/settings.json": b"{}\n",
        "CODEOWNERS": b"* @acme\n",
        ".github/PULL_REQUEST_TEMPLATE.md": b"mine\n",
        ".github/workflows/publish-index.yml": b"mine\n",
    }
    repository = make_repository(tmp_path / "mono", mine)
    result = run("-C", repository.path, "init", "packages", *EMILIE)
    assert result.code == 0
    for path, content in mine.items():
        assert (repository.path / path).read_bytes() == content
        assert f"The {path} at the top of the Git repository was there already, and is as it was." in result.err
    assert not (repository.path / ".github/CODEOWNERS").exists(), "it would put theirs out of force"
    assert not (repository.path / ".github/pull_request_template.md").exists()
    assert "\n/packages/indexes/emilie/ emilie@example.org\n" in result.err
    assert '"url": "./packages/schemas/manifest.schema.json"' in result.err
    assert "\nname: Publish\n" in result.err
    workflow = read_workflow((repository.path / ".github/workflows/validate-index.yml").read_text())
    assert workflow["jobs"]["validate"]["steps"][-2]["env"]["FOLDER"] == "packages"
    assert repository.git("status", "--porcelain") == ""
    assert run("-C", repository.path / "packages", "codeowners", "--check").code == 1
    assert run("-C", repository.path / "packages", "codeowners").out == "Wrote CODEOWNERS.\n"
    assert (repository.path / "CODEOWNERS").read_text().startswith("* @acme\n\n# >>> gitindex codeowners")
    assert not (repository.path / ".github/CODEOWNERS").exists()


def test_a_link_out_of_the_repository_is_not_followed(run: Run, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "new", {"code.py": b""})
    (tmp_path / "elsewhere").mkdir()
    (repository.path / ".github").symlink_to(tmp_path / "elsewhere")
    result = run("init", repository.path, *EMILIE)
    assert result.code == 0
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert "The .github/CODEOWNERS at the top" in result.err


def test_a_bare_repository_is_refused(run: Run, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", tmp_path / "x.git"], check=True)
    before = files_below(tmp_path)
    result = run("init", tmp_path / "x.git", *EMILIE)
    assert result.code == 3
    assert "bare" in result.err
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("forge", ["github", "gitlab", "gitea"])
def test_workflows_and_people_install_gitindex_from_where_it_is(tmp_path: Path, run: Run, forge: str) -> None:
    source = "gitindex @ git+https://git.example.org/tools/gitindex@v0.1.0"
    assert run("init", tmp_path / "new", "--user", "emilie", "--forge", forge, "--requirement", source).code == 0
    texts = [path.read_text() for path in (tmp_path / "new").rglob("*.yml") if "gitindex" in path.read_text()]
    said = [line.split(": ", 1)[1] for text in texts for line in text.splitlines() if "REQUIREMENT:" in line]
    assert said
    assert {json.loads(each) for each in said} == {source}
    assert f"pip install '{source}'" in (tmp_path / "new" / "README.md").read_text()


@pytest.mark.parametrize(
    "requirement", ["", "--index-url=https://example.org", "a\nb", "${{ secrets.X }}", "gitindex "]
)
def test_a_requirement_that_pip_or_a_forge_would_take_otherwise_is_refused(
    tmp_path: Path, run: Run, requirement: str
) -> None:
    result = run("init", tmp_path / "new", "--user", "emilie", "--requirement", requirement)
    assert result.code == 2
    assert "is nothing that pip installs; write it as gitindex==" in result.err
    assert not (tmp_path / "new").exists()
