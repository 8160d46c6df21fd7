"""The workflows of GitHub Actions, GitLab and Gitea: linted by who knows them, and each of their steps run for real."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitindex.edits.workflows import ACTIONS, WORKFLOWS, caller, for_gitea, for_gitlab, reusable, whole
from gitindex.forge.github import Pull
from gitindex.forge.judging import reason_to_leave
from gitindex.git import Repository
from tests.actions import Job, Step, artifacts, checkout, read_workflow
from tests.builders import make_sdist, make_wheel
from tests.conftest import Run
from tests.forge.github import APP_TOKEN, REPOSITORY, TOKEN, GitHubServer, github_server
from tests.peers.forge import http_server
from tests.repositories import IndexRepository, make_repository, small_content

PROJECT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
SOURCE = f"example/gitindex@{'a' * 40}"
ALL = frozenset({"sarif", "pages", "store"})
INPUTS: Mapping[str, Any] = {"requirement": "gitindex", "folder": "", "sarif": False, "to": ""}
PIP = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
"""gitindex is installed: pip has to see that, and need not look through all that it stands on."""
OF_INDEXES = [name for name, workflow in WORKFLOWS.items() if workflow.on]


def texts() -> dict[str, str]:
    """Return every workflow in every form, by a name for its file."""
    found = {f"{name}.yml": reusable(name) for name in WORKFLOWS}
    for name in OF_INDEXES:
        found[f"whole-{name}.yml"] = whole(name, branch="main", chosen=ALL, requirement="gitindex==0.1.0", to="s3://x")
        found[f"lean-{name}.yml"] = whole(name, branch="main", requirement="gitindex==0.1.0")
        found[f"caller-{name}.yml"] = caller(name, SOURCE, branch="main", requirement="gitindex==0.1.0", folder="a b")
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workflows")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    target = folder / ".github" / "workflows"
    target.mkdir(parents=True)
    for name, text in texts().items():
        (target / name).write_text(text)
    return target


def test_workflows_of_this_project_are_made_of_their_templates() -> None:
    for name in WORKFLOWS:
        assert (PROJECT / ".github" / "workflows" / f"{name}.yml").read_text("utf-8") == reusable(name), (
            "run: make workflows"
        )


def test_actionlint_has_nothing_to_say(written: Path) -> None:
    paths = [*sorted(written.iterdir()), *sorted((PROJECT / ".github" / "workflows").iterdir())]
    done = subprocess.run([str(BIN / "actionlint"), *map(str, paths)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_zizmor_has_nothing_to_say(written: Path) -> None:
    command = [str(BIN / "zizmor"), "--offline", "--pedantic", "--no-progress", "--format", "json"]
    done = subprocess.run(
        [*command, str(written), str(PROJECT / ".github" / "workflows")], capture_output=True, text=True, check=False
    )
    assert json.loads(done.stdout) == [], done.stdout
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("name", "text"), texts().items(), ids=texts())
def test_workflow_takes_no_more_than_it_needs(name: str, text: str) -> None:
    assert "<<" not in text
    workflow = read_workflow(text)
    assert workflow["permissions"] == {}
    used = re.findall(r"uses: (\S+?)@(\S+)", text)
    for action, commit in used:
        assert re.fullmatch("[0-9a-f]{40}", commit), f"{action} is not at a commit"
        assert action in ACTIONS or name.startswith("caller-")
    for job in workflow["jobs"].values():
        assert "permissions" in job
        for step in job.get("steps", ()):
            assert "${{" not in step.get("run", ""), "an expression in a script is a hole"
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", WORKFLOWS)
def test_caller_grants_what_the_jobs_take(name: str) -> None:
    workflow = read_workflow(reusable(name))
    taken: dict[str, str] = {}
    for job in workflow["jobs"].values():
        for right, level in job["permissions"].items():
            taken[right] = max(level, taken.get(right, ""))
    assert taken == WORKFLOWS[name].rights
    assert set(workflow["on"]["workflow_call"]["inputs"]) == set(WORKFLOWS[name].inputs)
    if WORKFLOWS[name].on:
        called = read_workflow(caller(name, SOURCE, branch="main", requirement="gitindex"))
        (job,) = called["jobs"].values()
        assert job["permissions"] == taken
        assert job["uses"] == f"example/gitindex/.github/workflows/{name}.yml@{'a' * 40}"


def test_odd_folder_and_branch_stay_words() -> None:
    text = whole("publish-index", branch='rel"ease', folder='a "b" $(c)', requirement="gitindex", chosen=ALL)
    workflow = read_workflow(text)
    assert workflow["on"]["push"]["branches"] == ['rel"ease']
    steps = workflow["jobs"]["audit"]["steps"]
    assert steps[-1]["env"]["FOLDER"] == 'a "b" $(c)'


def test_pipelines_of_gitlab_are_what_its_schema_says(tmp_path: Path) -> None:
    path = tmp_path / ".gitlab-ci.yml"
    path.write_text(for_gitlab(requirement="gitindex==0.1.0", folder="packages"))
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.gitlab-ci", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# Each step, run for real.


class Scene:
    """A remote with what is published, a pull request to it, and the workflows of an index repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        content = small_content(site={"url": "https://packages.example.org/"}, forge={"type": "github"})
        content.user("bob", email="bob@example.org", identities=["github:bob"])
        content.user("emilie", email="emilie@example.org", admin=True, identities=["github:emilie"])
        content.release("emilie/prod", "table-print", "1.0")
        self.work = make_repository(folder / "work", content)
        self.remote = IndexRepository(folder / "remotes" / f"{REPOSITORY}.git")
        self.remote.path.mkdir(parents=True)
        self.remote.git("init", "--quiet", "--bare", "--initial-branch", "main")
        self.remote.git("config", "uploadpack.allowAnySHA1InWant", "true")
        self.remote.git("config", "http.receivepack", "true")
        self.work.git("remote", "add", "origin", str(self.remote.path))
        self.work.git("push", "--quiet", "origin", "main")
        self.content = content
        self.jobs = 0

    def propose(self, branch: str = "release") -> str:
        """Commit what is in the working tree to a branch of the remote, and return the commit."""
        self.work.git("checkout", "--quiet", "-B", branch, "origin/main")
        commit = self.work.commit("Propose")
        self.work.git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
        return commit

    def merge_commit(self, head: str) -> str:
        """Make the merge commit that GitHub makes of a pull request, and return its name there."""
        self.work.git("checkout", "--quiet", "--detach", "origin/main")
        self.work.git("merge", "--quiet", "--no-ff", "--message", "Merge", head)
        self.work.git("push", "--quiet", "--force", "origin", "HEAD:refs/pull/1/merge", f"{head}:refs/pull/1/head")
        return "refs/pull/1/merge"

    def job(
        self, workflow: Mapping[str, Any], name: str, github: Mapping[str, Any], default: str = "main", **more: Any
    ) -> Job:
        self.jobs += 1
        contexts = {"github": github, "inputs": INPUTS, "vars": {}, **more.pop("contexts", {})}
        actions = {
            "actions/checkout": checkout(self.remote.path, default),
            "actions/setup-python": lambda _inputs, _job: None,
            **artifacts(self.folder / "shelf"),
        }
        environment = {**PIP, **more.pop("environment", {})}
        folder = self.folder / f"job{self.jobs}"
        return Job(workflow, name, folder, contexts, actions=actions, environment=environment)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def pull_request(head: str, author: str = "emilie") -> dict[str, Any]:
    """Return what GitHub says of a pull request."""
    pull = {"number": 1, "head": {"sha": head, "repo": {"fork": False}}, "user": {"login": author}}
    return {
        "event_name": "pull_request",
        "base_ref": "main",
        "sha": "0" * 40,
        "ref": "refs/pull/1/merge",
        "event": {"pull_request": pull},
    }


def codes(steps: list[Step]) -> dict[str, int]:
    return {step.name: step.code for step in steps}


def called(name: str) -> dict[str, Any]:
    """Return a workflow as it is called; those that stand in repositories have the same steps, as a test says."""
    return read_workflow(reusable(name))


@pytest.mark.parametrize("name", OF_INDEXES)
def test_whole_workflow_has_the_steps_of_the_one_that_is_called(name: str) -> None:
    values = {"requirement": "wanted", "folder": "packages", "to": "s3://packages"}
    known = {f"${{{{ inputs.{key} }}}}": value for key, value in values.items()}
    text = whole(name, branch="main", chosen=ALL, **values)
    jobs, others = read_workflow(text)["jobs"], called(name)["jobs"]
    assert list(jobs) == list(others)
    for job, other in zip(jobs.values(), others.values(), strict=True):
        for step in other["steps"]:
            for key, value in step.get("env", {}).items():
                step["env"][key] = known.get(value, value)
        assert job["steps"] == other["steps"]
        assert job["permissions"] == other["permissions"]


def test_release_is_validated_as_the_merge_would_have_it(scene: Scene) -> None:
    workflow = called("validate-index")
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.work.put(scene.content)
    head = scene.propose()
    job = scene.job(workflow, "validate", pull_request(head))
    steps = job.run()
    assert codes(steps) == {"Install gitindex": 0, "Validate what the merge would give": 0}, steps
    assert steps[-1].out.startswith("Valid: ")
    assert job.summary.read_text().startswith("### gitindex: valid")
    shelf = json.loads((scene.folder / "shelf/index-findings/findings.sarif").read_text())
    assert shelf["runs"][0]["results"] == []


def test_destructive_pull_request_is_refused_with_annotations(scene: Scene) -> None:
    workflow = called("validate-index")
    (scene.work.path / "indexes/emilie/prod/table-print/1.0.json").unlink()
    head = scene.propose()
    job = scene.job(workflow, "validate", pull_request(head))
    steps = job.run()
    assert codes(steps) == {"Install gitindex": 0, "Validate what the merge would give": 1}
    assert "::error file=indexes/emilie/prod/table-print,title=gitindex GI202::" in steps[-1].out
    assert "GI202" in job.summary.read_text()
    shelf = json.loads((scene.folder / "shelf/index-findings/findings.sarif").read_text())
    assert "GI202" in {result["ruleId"] for result in shelf["runs"][0]["results"]}


def test_pull_request_of_somebody_without_rights_is_refused(scene: Scene) -> None:
    workflow = called("validate-index")
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.work.put(scene.content)
    job = scene.job(workflow, "validate", pull_request(scene.propose(), author="bob"))
    steps = job.run()
    assert steps[-1].code == 1
    assert "GI301" in steps[-1].out


def test_merge_queue_is_validated_too(scene: Scene) -> None:
    workflow = called("validate-index")
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.work.put(scene.content)
    head = scene.propose("gh-readonly-queue/main/pr-1")
    group = {"base_sha": scene.work.git("rev-parse", "origin/main"), "head_sha": head}
    github = {"event_name": "merge_group", "sha": head, "ref": "x", "event": {"merge_group": group}}
    steps = scene.job(workflow, "validate", github, default=head).run()
    assert codes(steps) == {"Install gitindex": 0, "Validate what the merge queue would give": 0}, steps


def test_alerts_are_shown_where_they_are_asked_for(scene: Scene) -> None:
    workflow = read_workflow(reusable("validate-index"))
    event = pull_request("0" * 40)
    assert not scene.job(workflow, "code-scanning", event).is_wanted
    wanted = {"inputs": {**INPUTS, "sarif": True}}
    assert scene.job(workflow, "code-scanning", event, contexts=wanted).is_wanted
    event["event"]["pull_request"]["head"]["repo"]["fork"] = True
    assert not scene.job(workflow, "code-scanning", event, contexts=wanted).is_wanted


def test_preview_says_what_changes_and_pip_installs_from_it(scene: Scene, tmp_path: Path) -> None:
    workflow = called("preview-index")
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.work.put(scene.content)
    merged = scene.merge_commit(scene.propose())
    job = scene.job(workflow, "preview", pull_request("x"), default=merged)
    steps = job.run()
    assert set(codes(steps).values()) == {0}, steps
    assert "1.1" in job.summary.read_text()
    assert "table-print" in job.summary.read_text()
    index = (scene.folder / "shelf/index-site/emilie/prod/simple").as_uri() + "/"
    target = tmp_path / "installed"
    pip = [str(BIN / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), "--isolated"]
    subprocess.run([*pip, "--index-url", index, "table-print==1.1"], check=True)
    assert (target / "table_print-1.1.dist-info").is_dir()


def test_protected_branch_is_audited_and_rendered_for_pages(scene: Scene) -> None:
    workflow = called("publish-index")
    github = {"event_name": "push", "ref": "refs/heads/main", "event": {}}
    steps = scene.job(workflow, "audit", github).run()
    assert set(codes(steps).values()) == {0}, steps
    job = scene.job(workflow, "render", github)
    assert job.is_wanted
    steps = job.run()
    assert set(codes(steps).values()) == {0}, steps
    assert (scene.folder / "shelf/pages/emilie/prod/simple/table-print/index.html").is_file()


def test_history_that_broke_a_promise_is_not_published(scene: Scene) -> None:
    workflow = called("publish-index")
    (scene.work.path / "indexes/emilie/prod/table-print/1.0.json").unlink()
    scene.work.commit("Break it")
    scene.work.git("push", "--quiet", "origin", "main")
    steps = scene.job(workflow, "audit", {"event_name": "push", "event": {}}).run()
    assert codes(steps)["Prove that each promise was kept"] == 1


def test_protected_branch_is_published_to_an_object_store(scene: Scene, tmp_path: Path) -> None:
    target = (tmp_path / "bucket").as_uri()
    (tmp_path / "bucket").mkdir()
    reused = scene.job(
        read_workflow(reusable("publish-index")), "store", {}, contexts={"inputs": {**INPUTS, "to": target}}
    )
    assert reused.is_wanted
    text = whole("publish-index", branch="main", chosen=frozenset({"store"}), requirement="gitindex", to=target)
    assert "pages" not in read_workflow(text)["jobs"]
    for job in (reused, scene.job(read_workflow(text), "store", {})):
        steps = job.run()
        assert codes(steps) == {"Install gitindex": 0, "Publish": 0}, steps
    assert (tmp_path / "bucket/emilie/prod/simple/table-print/index.html").is_file()


def test_one_publish_at_a_time_and_none_is_cancelled() -> None:
    workflow = read_workflow(reusable("publish-index"))
    assert workflow["concurrency"] == {"group": "publish-index", "cancel-in-progress": False}
    assert workflow["jobs"]["render"]["needs"] == "audit"
    assert workflow["jobs"]["store"]["needs"] == "audit"


# What tells people, and what merges: by GitHub's own description of its API.


@pytest.fixture
def github(scene: Scene) -> Iterator[GitHubServer]:
    with github_server(scene.remote.path) as server:
        yield server
    assert server.problems == []


def as_workflow(github: GitHubServer) -> dict[str, str]:
    """Return what GitHub tells each step."""
    return {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_SERVER_URL": "https://github.com"}


def after(head: str, branch: str = "release", conclusion: str = "success", pusher: str = "emilie") -> dict[str, Any]:
    """Return what GitHub says of a workflow that has run for a pull request."""
    run: dict[str, Any] = {"id": 1, "event": "pull_request", "conclusion": conclusion, "head_sha": head}
    run |= {"head_branch": branch, "actor": {"login": pusher}}
    run["head_repository"] = {"owner": {"login": "emilie"}}
    return {"token": APP_TOKEN, "event": {"workflow_run": run, "repository": {"default_branch": "main"}}}


def open_pull(github: GitHubServer, branch: str, author: str = "emilie") -> dict[str, Any]:
    """Open the pull request of a branch of the remote, by *author*."""
    reply = github._open_pull((author, "User"), {"head": branch, "base": "main", "title": "Release", "body": ""})
    assert reply.status == 201
    pull = github.pulls[-1]
    pull["draft"] = False
    return pull


def commented(scene: Scene, github: GitHubServer, head: str) -> str:
    """Run the workflow that comments, and return the one comment that is there then."""
    job = scene.job(called("comment-index"), "comment", after(head), environment=as_workflow(github))
    assert job.is_wanted
    steps = job.run()
    assert set(codes(steps).values()) == {0}, steps
    (comment,) = github.comments
    return str(comment["body"])


@pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not here")
def test_preview_is_told_in_one_comment_that_edits_itself(scene: Scene, github: GitHubServer) -> None:
    for version in ("1.1", "1.2"):
        scene.content.release("emilie/prod", "table-print", version)
        scene.work.put(scene.content)
        head = scene.propose()
        if not github.pulls:
            open_pull(github, "release")
        body = commented(scene, github, head)
        assert body.startswith("### gitindex: what installers see")
        assert version in body
    assert commented(scene, github, "f" * 40) == body
    assert not scene.job(called("comment-index"), "comment", after(head, conclusion="failure")).is_wanted


@pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not here")
def test_comment_is_not_what_the_pull_request_wants_it_to_be(scene: Scene, github: GitHubServer) -> None:
    """A workflow of the pull request, by the name of ours, has left an artifact; the branch has files of such names."""
    shelf = scene.folder / "shelf/index-comment"
    shelf.mkdir(parents=True)
    (shelf / "comment.md").write_text("Nothing changes @everybody")
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.work.put(scene.content)
    for name in ("comment.md", "gitindex.py", "sitecustomize.py"):
        scene.work.write(name, "print('Nothing changes @everybody')\n")
    head = scene.propose()
    open_pull(github, "release", "bob")
    body = commented(scene, github, head)
    assert "1.1" in body
    assert "Nothing changes" not in body


@pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not here")
def test_comment_says_that_there_are_conflicts(scene: Scene, github: GitHubServer) -> None:
    scene.content.statements("emilie/prod", "table-print", status="archived")
    scene.work.put(scene.content)
    head = scene.propose()
    scene.work.git("checkout", "--quiet", "-B", "main", "origin/main")
    scene.content.statements("emilie/prod", "table-print", status="deprecated")
    scene.work.put(scene.content)
    scene.work.commit("Say otherwise")
    scene.work.git("push", "--quiet", "origin", "main")
    open_pull(github, "release")
    assert commented(scene, github, head).startswith("It cannot be merged without conflicts")


@pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not here")
def test_comment_says_what_it_is_compared_with_where_that_is_not_what_is_published(
    scene: Scene, github: GitHubServer
) -> None:
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.work.put(scene.content)
    head = scene.propose()
    target = "lax`<b>@everybody"
    scene.work.git("push", "--quiet", "origin", f"{head}:refs/heads/{target}")
    open_pull(github, "release")["base"]["ref"] = target
    first, _, third, *_ = commented(scene, github, head).splitlines()
    assert first == "This is told of ``lax`<b>@everybody``, and `main` is the protected branch."
    assert third == "### gitindex: what installers see"


def test_verdict_is_on_what_goes_to_the_protected_branch_alone() -> None:
    """A check counts for a commit, also once its pull request goes elsewhere: to a branch with other rights, say."""
    gitea = for_gitea(branch="stable", requirement="gitindex")
    for text in (whole("validate-index", branch="stable"), caller("validate-index", SOURCE, branch="stable"), gitea):
        assert read_workflow(text)["on"]["pull_request"] == {"branches": ["stable"]}


def automerged(scene: Scene, github: GitHubServer, head: str, pusher: str = "emilie") -> str:
    """Run the workflow that merges, and return what it says."""
    variables = {"vars": {"GITINDEX_AUTOMERGE": "true"}}
    job = scene.job(
        called("automerge-index"),
        "automerge",
        after(head, pusher=pusher),
        contexts=variables,
        environment=as_workflow(github),
    )
    assert job.is_wanted
    steps = job.run()
    assert set(codes(steps).values()) == {0}, steps
    return steps[-1].out


@pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not here")
def test_release_by_somebody_in_the_acl_is_merged(scene: Scene, github: GitHubServer) -> None:
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.work.put(scene.content)
    head = scene.propose()
    open_pull(github, "release")
    assert "Pull request 1 merged" in automerged(scene, github, head)
    assert scene.remote.git("rev-parse", "main") == head


def _other_person(scene: Scene) -> None:
    scene.content.release("emilie/prod", "table-print", "1.1")


def _yank(scene: Scene) -> None:
    scene.content.statements("emilie/prod", "table-print", yanked={"1.0": "broken"})


def _workflow(scene: Scene) -> None:
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.work.write(".github/workflows/validate-index.yml", "on: push\n")


def _definition(scene: Scene) -> None:
    scene.content.stage("emilie/dev", volatile=True, bases=["root/pypi"])


def _removal(scene: Scene) -> None:
    path = scene.content.stored("emilie/prod", "table-print", "1.0")
    del scene.content[path]
    (scene.work.path / path).unlink()


def _changed(scene: Scene) -> None:
    path = "indexes/emilie/prod/table-print/1.0.json"
    scene.content[path] = scene.content[path].replace(b'"name": "table-print"', b'"name": "Table-Print"')


def _lower_version(scene: Scene) -> None:
    scene.content.release("emilie/prod", "table-print", "0.9")


def _readme(scene: Scene) -> None:
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.work.write("README.md", "More.\n")


def _page_alone(scene: Scene) -> None:
    data = b"<script>alert(1)</script>"
    sha256 = hashlib.sha256(data).hexdigest()
    scene.content[f"files/{sha256[:2]}/{sha256[2:]}/page.html"] = data


def _page(scene: Scene) -> None:
    scene.content.release("emilie/prod", "table-print", "1.1")
    _page_alone(scene)


def _sidecar(scene: Scene) -> None:
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.content[scene.content.stored("emilie/prod", "table-print", "1.0") + ".provenance"] = b"{}"


def _pointer(scene: Scene) -> None:
    scene.content.release("emilie/prod", "table-print", "1.1")
    entry = scene.content.entry("emilie/prod", "table-print", "1.1")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{entry['hashes']['sha256']}\n"
    path = scene.content.stored("emilie/prod", "table-print", "1.1")
    scene.content[path] = f"{pointer}size {entry['size']}\n".encode()


LEFT: Mapping[str, tuple[Callable[[Scene], None], str, str]] = {
    "somebody without rights": (_other_person, "bob", "GI301"),
    "a yank": (_yank, "emilie", "it changes indexes/emilie/prod/table-print/project.toml"),
    "a workflow beside it": (_workflow, "emilie", "it changes .github/workflows/validate-index.yml"),
    "the definition of an index": (_definition, "emilie", "it changes indexes/emilie/dev/index.toml"),
    "a stored file taken away": (_removal, "emilie", "it changes the stored file files/"),
    "a released manifest changed": (_changed, "emilie", "it changes indexes/emilie/prod/table-print/1.0.json"),
    "a warning": (_lower_version, "emilie", "GI405"),
    "a file at the top": (_readme, "emilie", "it changes README.md"),
    "a page that no release needs": (_page, "emilie", ".html, which no file that it releases needs"),
    "a document beside an old file": (_sidecar, "emilie", ".provenance, which no file that it releases needs"),
    "a file that Git LFS has": (_pointer, "emilie", "which Git LFS keeps where nobody has read it"),
    "nothing": (lambda _: None, "bob", "it adds no file to a release"),
    "a page alone, by somebody without rights": (_page_alone, "bob", "it adds no file to a release"),
}


@pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not here")
@pytest.mark.parametrize("what", LEFT)
def test_everything_else_is_left_to_people(
    scene: Scene, github: GitHubServer, what: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command of the workflow: that the workflow calls it, others of these tests see."""
    change, author, reason = LEFT[what]
    change(scene)
    scene.work.put(scene.content)
    head = scene.propose()
    open_pull(github, "release", author)
    before = scene.remote.git("rev-parse", "main")
    for name, value in {**as_workflow(github), "GH_TOKEN": APP_TOKEN}.items():
        monkeypatch.setenv(name, value)
    command = ["forge", "automerge", "--branch", "emilie:release", "--expect-head", head, "--pushed-by", author]
    said = run("-C", scene.work.path, *command)
    assert (said.code, said.out.partition(":")[0]) == (0, "Pull request 1 is left to people")
    assert reason in said.out
    assert scene.remote.git("rev-parse", "main") == before


@pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not here")
def test_what_somebody_else_pushed_is_left_to_people(scene: Scene, github: GitHubServer) -> None:
    """Whoever can write to a repository can push to the branches of others there."""
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.work.put(scene.content)
    head = scene.propose()
    open_pull(github, "release")
    assert "bob pushed to it, and emilie opened it" in automerged(scene, github, head, pusher="bob")
    assert "Pull request 1 merged: " in automerged(scene, github, head, pusher="Emilie")


@pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not here")
def test_submodule_that_moves_in_secret_is_left_to_people(scene: Scene, github: GitHubServer) -> None:
    hidden = '[submodule "tools"]\npath = tools\nurl = https://packages.example.org/tools\nignore = all\n'
    scene.work.write(".gitmodules", hidden)
    scene.work.git("add", ".gitmodules")
    scene.work.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},tools")
    scene.work.git("commit", "--quiet", "--message", "Add tools")
    scene.work.git("push", "--quiet", "origin", "main")
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.work.put(scene.content)
    scene.work.git("checkout", "--quiet", "-B", "release")
    scene.work.git("add", "indexes", "files")
    scene.work.git("update-index", "--cacheinfo", f"160000,{'2' * 40},tools")
    scene.work.git("commit", "--quiet", "--message", "Release")
    scene.work.git("push", "--quiet", "origin", "release")
    open_pull(github, "release")
    assert "it changes tools" in automerged(scene, github, scene.work.git("rev-parse", "HEAD"))


@pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not here")
def test_draft_another_branch_and_another_head_are_left_to_people(scene: Scene, github: GitHubServer) -> None:
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.work.put(scene.content)
    head = scene.propose()
    pull = open_pull(github, "release")
    pull["draft"] = True
    assert "it is a draft" in automerged(scene, github, head)
    pull["draft"] = False
    pull["base"]["ref"] = "old"
    assert "it goes to old, and main is the protected branch" in automerged(scene, github, head)
    assert "nothing to merge" in automerged(scene, github, "e" * 40)


def test_signed_commits_are_not_squashed(scene: Scene) -> None:
    scene.content.settings(policy={"require_signed_commits": True})
    scene.work.put(scene.content)
    scene.work.commit("Demand it")
    scene.work.git("push", "--quiet", "origin", "main")
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.work.put(scene.content)
    head = scene.propose()
    pull = Pull(1, "emilie", "main", is_draft=False)
    repository = Repository.open(scene.work.path)
    told = {
        is_squash: reason_to_leave(repository, pull, head, date(2026, 11, 28), pushed_by="emilie", is_squash=is_squash)
        for is_squash in (False, True)
    }
    assert "GI304" in str(told[False])
    assert told[True] == "its commits have to be signed, and the forge alone would sign a squash of them"


def test_nothing_is_merged_until_somebody_turns_it_on(scene: Scene) -> None:
    workflow = read_workflow(reusable("automerge-index"))
    assert not scene.job(workflow, "automerge", after("a" * 40)).is_wanted
    off = {"vars": {"GITINDEX_AUTOMERGE": "false"}}
    assert not scene.job(workflow, "automerge", after("a" * 40), contexts=off).is_wanted


def test_what_is_wrong_at_night_is_in_one_issue_that_is_closed_again(scene: Scene, github: GitHubServer) -> None:
    workflow = called("verify-index")

    def night() -> dict[str, int]:
        context = {"token": APP_TOKEN, "event_name": "schedule"}
        return codes(scene.job(workflow, "verify", context, environment=as_workflow(github)).run())

    read = "Read every file, and ask the upstreams"
    assert night()[read] == 0
    assert github.issues == []
    stored = scene.content.stored("emilie/prod", "table-print", "1.0")
    scene.work.write(stored, b"other bytes")
    scene.work.commit("Damage it")
    scene.work.git("push", "--quiet", "origin", "main")
    for _ in range(2):
        assert night()[read] == 1
        (issue,) = github.issues
        assert issue["state"] == "open"
        assert "GI011" in issue["body"]
    scene.work.put(scene.content)
    scene.work.commit("Mend it")
    scene.work.git("push", "--quiet", "origin", "main")
    done = night()
    # The audit still tells of the night when it was damaged: such a history is not mended by what comes after.
    assert done[read] == 0
    assert done["Prove that each promise was kept"] == 1
    assert github.issues[0]["state"] == "open"


def test_issue_is_closed_once_all_is_well(scene: Scene, github: GitHubServer) -> None:
    workflow = read_workflow(reusable("verify-index"))
    title = "The nightly check of the index failed"
    run = gitindex("forge", "issue", "--title", title, "--body-file", "-", "--marker", "gitindex-verify")
    done = subprocess.run(
        run,
        input="Something was wrong.\n",
        text=True,
        check=False,
        env={**os.environ, **as_workflow(github), "GITHUB_TOKEN": APP_TOKEN},
    )
    assert done.returncode == 0
    assert github.issues[0]["state"] == "open"
    context = {"token": APP_TOKEN, "event_name": "schedule"}
    steps = scene.job(workflow, "verify", context, environment=as_workflow(github)).run()
    assert set(codes(steps).values()) == {0}, steps
    assert github.issues[0]["state"] == "closed"


def gitindex(*words: str) -> list[str]:
    return [sys.executable, "-m", "gitindex", *words]


BACKEND = """\
import shutil


def build_wheel(folder, *_):
    return shutil.copy("built/table_print-2.0-py3-none-any.whl", folder).rpartition("/")[2]


def build_sdist(folder, *_):
    return shutil.copy("built/table_print-2.0.tar.gz", folder).rpartition("/")[2]
"""


@pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not here")
def test_repository_of_a_package_proposes_its_release(scene: Scene, github: GitHubServer, tmp_path: Path) -> None:
    project = (
        b'[build-system]\nrequires = []\nbuild-backend = "tiny"\nbackend-path = ["backend"]\n'
        b'[project]\nname = "table-print"\nversion = "2.0"\n'
    )
    wheel = make_wheel("table-print", "2.0")
    # `build` makes the wheel from the sdist, so that has to have what the wheel is made of.
    members = {"pyproject.toml": project, "backend/tiny.py": BACKEND.encode(), f"built/{wheel[0]}": wheel[1]}
    sdist = make_sdist("table-print", "2.0", files=members)
    package = make_repository(tmp_path / "package", {**members, f"built/{sdist[0]}": sdist[1]})
    workflow = read_workflow(reusable("release"))
    inputs = {"inputs": {**INPUTS, "repository": "packages", "index": "emilie/dev"}, "secrets": {}}
    built = scene.job(workflow, "build", {}, contexts=inputs)
    built.actions["actions/checkout"] = checkout(package.path, "main")
    steps = built.run()
    assert set(codes(steps).values()) == {0}, steps
    dist = scene.folder / "shelf/release-dist"
    assert len(list(dist.iterdir())) == 2
    # Signing asks Sigstore for a certificate: here the notary of the tests does it.
    (sign,) = [step["run"] for step in workflow["jobs"]["attest"]["steps"] if step.get("name", "").startswith("Attest")]
    assert sign == "python -P -m pypi_attestations sign dist/*"
    attested = scene.folder / "shelf/release-attested"
    shutil.copytree(dist, attested)
    token = {"steps": {"token": {"outputs": {"token": TOKEN}}}}
    person = {"repository_owner": "emilie", "actor": "emilie", "actor_id": 7}
    job = scene.job(workflow, "propose", person, contexts={**inputs, **token}, environment=as_workflow(github))
    job.actions["actions/create-github-app-token"] = lambda _inputs, _job: None
    remotes = f"{REPOSITORY}.git"
    with http_server(scene.folder / "remotes") as url:
        address = f"{url.replace('://', '://emilie:secret@')}/{remotes}"
        job.actions["actions/checkout"] = checkout(scene.remote.path, "main", address)
        steps = job.run()
    assert set(codes(steps).values()) == {0}, steps
    (pull,) = github.pulls
    assert pull["head"]["ref"] in steps[-1].out
    manifest = scene.remote.git("show", f"{pull['head']['ref']}:indexes/emilie/dev/table-print/2.0.json")
    assert [file["filename"] for file in json.loads(manifest)["files"]] == [wheel[0], sdist[0]]


def run_pipeline(name: str, clone: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the script of a job of GitLab in a clone, as its runner does: line by line, to the first that fails."""
    pipelines = yaml.safe_load(for_gitlab(requirement="gitindex"))
    job = pipelines[name]
    lines = [*pipelines[".gitindex"]["before_script"], *job["script"]]
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(lines)],
        cwd=clone,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **PIP}
        | {key: str(value) for key, value in pipelines["variables"].items()}
        | dict(variables),
        capture_output=True,
        text=True,
        check=False,
    )


def test_pipelines_of_gitlab_run(scene: Scene, tmp_path: Path) -> None:
    scene.content.user("emilie", email="emilie@example.org", admin=True, identities=["gitlab:emilie"])
    scene.work.put(scene.content)
    scene.work.commit("Know her at GitLab")
    scene.work.git("push", "--quiet", "origin", "main")
    base = scene.work.git("rev-parse", "HEAD")
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.work.put(scene.content)
    head = scene.propose()
    # Somebody aims it at a branch where they have every right, and would have it go elsewhere once it is judged.
    scene.work.git("checkout", "--quiet", "-b", "lax", base)
    path = "indexes/emilie/prod/index.toml"
    scene.work.write(path, 'volatile = true\nacl_upload = ["mallory"]\n')
    scene.work.write("indexes/mallory/user.toml", 'identities = ["gitlab:mallory"]\nadmin = true\n')
    scene.work.commit("Take over")
    scene.work.git("push", "--quiet", "origin", "lax")
    clone = tmp_path / "clone"
    scene.work.git("clone", "--quiet", str(scene.remote.path), str(clone))
    subprocess.run(["git", "-C", str(clone), "checkout", "--quiet", head], check=True)
    variables = {
        "CI_DEFAULT_BRANCH": "main",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "lax",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
        "CI_COMMIT_SHA": head,
        "GITLAB_USER_LOGIN": "emilie",
    }
    done = run_pipeline("validate", clone, variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((clone / "gl-code-quality-report.json").read_text()) == []
    refused = run_pipeline("validate", clone, {**variables, "GITLAB_USER_LOGIN": "mallory"})
    assert (refused.returncode, "GI301" in refused.stdout) == (1, True)
    done = run_pipeline("preview", clone, variables)
    assert done.returncode == 0, done.stderr
    assert "1.1" in (clone / "preview.md").read_text()
    assert (clone / "site/emilie/prod/simple/table-print/index.html").is_file()
    for name in ("pages", "verify"):
        done = run_pipeline(name, clone, variables)
        assert done.returncode == 0, done.stderr
    assert (clone / "public/_redirects").is_file()
    assert "all is well" in (clone / "report.md").read_text()


@pytest.mark.parametrize("job_name", ["validate", "publish", "verify"])
def test_workflow_of_gitea_runs(scene: Scene, tmp_path: Path, job_name: str) -> None:
    scene.content.user("emilie", email="emilie@example.org", admin=True, identities=["gitea:emilie"])
    scene.work.put(scene.content)
    scene.work.commit("Know her at Gitea")
    scene.work.git("push", "--quiet", "origin", "main")
    base = scene.work.git("rev-parse", "HEAD")
    scene.content.release("emilie/prod", "table-print", "1.1")
    scene.work.put(scene.content)
    event = pull_request(scene.propose())
    event["event"]["pull_request"]["merge_base"] = base
    (tmp_path / "bucket").mkdir()
    github = {
        "validate": event,
        "publish": {"event_name": "push"},
        "verify": {"event_name": "schedule"},
    }[job_name]
    variables = {"vars": {"GITINDEX_TARGET": (tmp_path / "bucket").as_uri()}, "secrets": {}}
    workflow = read_workflow(for_gitea(branch="main", requirement="gitindex"))
    job = scene.job(workflow, job_name, github, contexts=variables)
    assert job.is_wanted
    steps = job.run()
    assert set(codes(steps).values()) == {0}, steps
    if job_name == "publish":
        assert (tmp_path / "bucket/emilie/prod/simple/table-print/index.html").is_file()
