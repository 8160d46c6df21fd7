"""Updating a site: what comes is byte for byte what a full rendering gives, whatever happened in between."""

from __future__ import annotations

import json
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pygit2
import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings, strategies as st

from gitindex import layout
from gitindex.git import Past, Repository
from gitindex.names import normalize
from gitindex.output import MARKER
from gitindex.site import Report, render
from gitindex.views import FEED_LENGTH
from tests.repositories import Content, files_below, make_repository, small_content, toml

PROJECTS = ("alpha", "beta", "gamma", "acme-one", "Delta_Four")
STAGES = ("emilie/prod", "emilie/dev", "bob/team", "bob/lab")
VERSIONS = ("1.0", "1.1", "2.0rc1", "2.0", "10.0")


class Commits:
    """A bare repository that takes whole contents as commits."""

    def __init__(self, path: Path) -> None:
        self.git = pygit2.init_repository(str(path), bare=True, initial_head="main")
        self.repository = Repository.open(path)
        self.last: pygit2.Oid | None = None
        self.contents: dict[str, Content] = {}
        self._moment = 1_790_000_000

    def commit(self, content: Content, *, others: tuple[str, ...] = (), onto: str | None = None) -> str:
        """Commit on the last one, or on *onto*, merging *others*; HEAD is then that."""
        self._moment += 60
        who = pygit2.Signature("Emilie Doe" if self._moment % 120 else "Bob", "emilie@example.org", self._moment, 0)
        first = pygit2.Oid(hex=onto) if onto else self.last
        parents = [] if first is None else [first]
        made = self.git.create_commit(
            None, who, who, "Change", self._tree(content), [*parents, *(pygit2.Oid(hex=o) for o in others)]
        )
        self.go_to(str(made))
        self.contents[str(made)] = Content(content)
        return str(made)

    def go_to(self, commit: str) -> None:
        self.last = pygit2.Oid(hex=commit)
        self.git.references.create("refs/heads/main", self.last, force=True)

    def _tree(self, content: Content) -> pygit2.Oid:
        nested: dict[str, Any] = {}
        for path, data in content.items():
            *folders, name = path.split("/")
            folder = nested
            for part in folders:
                folder = folder.setdefault(part, {})
            folder[name] = data
        return self._folder(nested)

    def _folder(self, nested: dict[str, Any]) -> pygit2.Oid:
        builder = self.git.TreeBuilder()
        for name, value in nested.items():
            if isinstance(value, dict):
                builder.insert(name, self._folder(value), pygit2.enums.FileMode.TREE)
            else:
                builder.insert(name, self.git.create_blob(value), pygit2.enums.FileMode.BLOB)
        return builder.write()

    def render(self, out: Path, **options: Any) -> Report:
        commit = str(self.last)
        return render(self.repository.at(commit), out, past=Past(self.repository, commit), **options)


def site(out: Path) -> dict[str, bytes]:
    return {path: data for path, data in files_below(out).items() if path != MARKER}


def anew(commits: Commits, out: Path, **options: Any) -> dict[str, bytes]:
    """Return what a full rendering gives."""
    shutil.rmtree(out, ignore_errors=True)
    assert commits.render(out, **options).since is None
    return site(out)


def start() -> Content:
    content = small_content(names={"reserved": ["acme-*", "alpha"]}, site={"url": "https://packages.example.org/"})
    content.user("bob").stage("bob/team", bases=["emilie/dev", "emilie/prod"])
    content.release("emilie/prod", "alpha", "1.0")
    content.release("emilie/prod", "beta", "1.0")
    content.release("emilie/dev", "beta", "1.1")
    content.release("bob/team", "gamma", "1.0", kind="sdist")
    return content


# One thing after the other


def update(tmp_path: Path, change: Callable[[Content], object], content: Content | None = None) -> tuple[Report, Path]:
    """Render, change one thing, render again; check that it is what a full rendering gives."""
    content = content or start()
    commits = Commits(tmp_path / "git")
    before = commits.commit(content)
    out = tmp_path / "site"
    commits.render(out)
    change(content)
    commits.commit(content)
    report = commits.render(out)
    assert report.since == before
    assert site(out) == anew(commits, tmp_path / "full")
    return report, out


def test_a_release_touches_the_pages_of_all_that_inherit_it(tmp_path: Path) -> None:
    report, out = update(tmp_path, lambda content: content.release("emilie/prod", "beta", "2.0"))
    assert report.projects == 1
    # Three stages: page in HTML and JSON, page for people, page of the stage; one feed; and the two stored files.
    assert report.written == 3 * 4 + 1 + 2
    assert "2.0" in (out / "bob/team/simple/beta/index.html").read_text()


def test_nothing_is_written_where_nothing_differs(tmp_path: Path) -> None:
    commits = Commits(tmp_path / "git")
    commits.commit(start())
    commits.render(tmp_path / "site")
    assert commits.render(tmp_path / "site") == Report(0, 0, 0, 0, str(commits.last))
    commit = commits.commit(start())
    assert commits.render(tmp_path / "site").written == 0
    assert commits.render(tmp_path / "site").since == commit


def test_a_new_project_comes_into_the_lists_and_a_removed_one_goes(tmp_path: Path) -> None:
    def change(content: Content) -> None:
        content.release("bob/team", "new", "1.0")
        del content["indexes/emilie/dev/beta/1.1.json"]
        del content["indexes/bob/team/gamma/1.0.json"]

    report, out = update(tmp_path, change)
    listed = json.loads((out / "bob/team/simple/index.json").read_text())["projects"]
    assert [project["name"] for project in listed] == ["alpha", "beta", "new"]
    assert not (out / "bob/team/simple/gamma").exists()
    assert report.removed >= 3 + 1  # the pages of gamma, and its sdist


def test_a_stored_file_that_another_index_still_shows_stays(tmp_path: Path) -> None:
    content = start()
    content["indexes/bob/team/beta/1.0.json"] = content["indexes/emilie/prod/beta/1.0.json"]
    stored = content.stored("emilie/prod", "beta", "1.0")

    def change(content: Content) -> None:
        del content["indexes/bob/team/beta/1.0.json"]

    _, out = update(tmp_path, change, content)
    assert (out / stored).is_file()


def test_metadata_that_is_stored_later_is_advertised(tmp_path: Path) -> None:
    content = start()
    path = content.stored("emilie/prod", "beta", "1.0") + ".metadata"
    data = content.pop(path)
    _, out = update(tmp_path, lambda content: content.update({path: data}), content)
    assert "core-metadata" in (out / "bob/team/simple/beta/index.json").read_text()


def result(content: Content, index: str, project: str, version: str, outcome: str) -> bytes:
    sha256 = content.entry(index, project, version)["hashes"]["sha256"]
    run = {"environment": "py313", "outcome": outcome, "duration": 1, "time": "2026-11-22T08:00:00Z", "files": [sha256]}
    return json.dumps([run]).encode()


def test_results_of_tests_come_to_the_pages_of_all_that_show_the_release(tmp_path: Path) -> None:
    def change(content: Content) -> None:
        content["indexes/emilie/prod/beta/1.0.tests.json"] = result(content, "emilie/prod", "beta", "1.0", "failed")

    report, out = update(tmp_path, change)
    assert (report.projects, report.written) == (1, 3)
    for stage in ("emilie/prod", "emilie/dev", "bob/team"):
        assert "tests not passed" in (out / stage / "project/beta/index.html").read_text()


def test_a_dependency_that_comes_or_goes_is_linked_or_not(tmp_path: Path) -> None:
    content = start()
    content.release("emilie/prod", "needy", "1.0", extra="Requires-Dist: Later>=1\nRequires-Dist: beta\n")
    commits, out = Commits(tmp_path / "git"), tmp_path / "site"
    page = out / "bob/team/project/needy/index.html"
    prod = out / "emilie/prod/project/needy/index.html"

    def linked() -> tuple[bool, bool]:
        commits.commit(content)
        commits.render(out)
        assert site(out) == anew(commits, tmp_path / "full")
        return 'href="../later/"' in page.read_text(), 'href="../later/"' in prod.read_text()

    assert linked() == (False, False)
    assert 'href="../beta/"' in page.read_text()
    content.release("bob/team", "later", "1.0")
    assert linked() == (True, False)
    content.release("emilie/prod", "later", "1.0")
    assert linked() == (True, True)
    del content["indexes/emilie/prod/later/1.0.json"]
    del content["indexes/bob/team/later/1.0.json"]
    assert linked() == (False, False)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.stage("emilie/dev", volatile=True, bases=["root/pypi"]),
        lambda c: c.stage("bob/new", bases=["bob/team"]),
        lambda c: c.pop("indexes/emilie/dev/index.toml"),
        lambda c: c.mirror("root/other", mirror_url="https://up.example.org/simple/"),
        lambda c: c.pop("indexes/root/pypi/index.toml"),
        lambda c: c.user("bob", title="Bob the builder"),
        lambda c: c.stage("emilie/prod", volatile=False, bases=["root/pypi"], title="Another title"),
        lambda c: c.statements("emilie/prod", "beta", yanked={"1.0": "broken"}),
        lambda c: c.statements("emilie/prod", "beta", status="quarantined"),
        lambda c: c.statements("emilie/prod", "beta", status="archived", **{"status-reason": "done"}),
        lambda c: c.mirror("emilie/dev"),
        lambda c: c.stage("root/pypi"),
    ],
)
def test_definitions_and_statements_are_carried_through(tmp_path: Path, change: Callable[[Content], object]) -> None:
    update(tmp_path, change)


def test_new_settings_render_everything(tmp_path: Path) -> None:
    commits, content = Commits(tmp_path / "git"), start()
    commits.commit(content)
    commits.render(tmp_path / "site")
    content.settings(site={"title": "Other"})
    commits.commit(content)
    assert commits.render(tmp_path / "site").since is None
    assert site(tmp_path / "site") == anew(commits, tmp_path / "full")


def test_the_newest_releases_are_right_when_some_of_them_go(tmp_path: Path) -> None:
    content = start()
    for number in range(FEED_LENGTH + 20):
        name = f"busy-{number:03}"
        content.release("emilie/prod", name, "1.0")

    def change(content: Content) -> None:
        for number in range(50, 60):
            del content[f"indexes/emilie/prod/busy-{number:03}/1.0.json"]

    _, out = update(tmp_path, change, content)
    assert (out / "emilie/prod/feed.xml").read_text().count("<entry>") == FEED_LENGTH


def test_many_projects_are_split_over_processes(tmp_path: Path) -> None:
    content = start()
    for number in range(210):
        content.add_file("emilie/prod", f"p{number}", "1.0", elsewhere(f"p{number}", "1.0"))

    def change(content: Content) -> None:
        for number in range(205):
            content.add_file("emilie/prod", f"p{number}", "2.0", elsewhere(f"p{number}", "2.0"))

    report, _ = update(tmp_path, change, content)
    assert report.projects == 205


def elsewhere(name: str, version: str) -> dict[str, Any]:
    filename = f"{name}-{version}.tar.gz"
    url = f"https://files.example.org/{filename}"
    return {
        "filename": filename,
        "hashes": {"sha256": "a" * 64},
        "size": 7,
        "upload-time": f"2026-11-22T07:25:00.{len(name)}Z",
        "url": url,
    }


# What an update cannot stand on


@pytest.mark.parametrize("harm", ["no memory", "no database", "an older form", "cut off", "another renderer"])
def test_a_folder_that_remembers_nothing_useful_is_rendered_anew(
    tmp_path: Path, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits, content = Commits(tmp_path / "git"), start()
    commits.commit(content)
    out = tmp_path / "site"
    commits.render(out)
    marker = out / MARKER
    if harm == "no memory":
        marker.write_text('{"renderer": "gitindex 0.0.1", "revision": null}\n')
    elif harm == "no database":
        marker.write_bytes(marker.read_bytes()[:1000] + b"\xff" * 5000)
    elif harm == "another renderer":
        monkeypatch.setattr("gitindex.site.fingerprint", lambda: "gitindex 9")
    else:
        with sqlite3.connect(marker) as database:
            key = "form" if harm == "an older form" else "revision"
            database.execute("update made set value = null where key = ?", (key,))
        database.close()
    (out / "emilie/prod/simple/beta/index.html").unlink()
    content.release("emilie/prod", "alpha", "2.0")
    commits.commit(content)
    assert commits.render(out).since is None
    assert site(out) == anew(commits, tmp_path / "full")


def test_a_full_rendering_is_to_be_had(tmp_path: Path) -> None:
    commits = Commits(tmp_path / "git")
    commits.commit(start())
    commits.render(tmp_path / "site")
    page = tmp_path / "site/emilie/prod/simple/beta/index.html"
    page.write_text("not what it was")
    assert commits.render(tmp_path / "site", full=True).written == 1
    assert site(tmp_path / "site") == anew(commits, tmp_path / "full")


def test_rows_of_a_page_that_somebody_changed_are_not_taken_over(tmp_path: Path) -> None:
    commits, content = Commits(tmp_path / "git"), start()
    commits.commit(content)
    out = tmp_path / "site"
    commits.render(out)
    page = out / "emilie/prod/index.html"
    page.write_text(page.read_text().replace("alpha", "omega"))
    content.release("emilie/prod", "beta", "2.0")
    commits.commit(content)
    assert commits.render(out).since is not None
    assert site(out) == anew(commits, tmp_path / "full")


def test_an_update_that_was_cut_off_is_mended_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits, content = Commits(tmp_path / "git"), start()
    commits.commit(content)
    out = tmp_path / "site"
    commits.render(out)
    content.release("emilie/prod", "beta", "2.0")
    commits.commit(content)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("gitindex.site.write_lists", stop)
        with pytest.raises(KeyboardInterrupt):
            commits.render(out)
    assert commits.render(out).since is None
    assert site(out) == anew(commits, tmp_path / "full")


def test_uncommitted_changes_are_rendered_and_not_remembered(tmp_path: Path) -> None:
    content, out = start(), tmp_path / "site"
    repository = make_repository(tmp_path / "git", content)
    opened = repository.open()

    def again() -> Report:
        return render(opened.worktree(), out, past=Past(opened, opened.head()))

    again()
    start_of_all = opened.head()
    assert again().written == 0
    content.release("emilie/dev", "beta", "3.0")
    repository.put(content)
    report = again()
    assert (report.since, report.projects) == (start_of_all, 1)
    assert b"3.0" in (out / "bob/team/simple/beta/index.json").read_bytes()
    assert again().since is None
    repository.commit()
    assert again().since is None
    render(opened.at("HEAD"), tmp_path / "full", past=Past(opened, opened.head()))
    assert site(out) == site(tmp_path / "full")


# Any history


def needs(draw: random.Random) -> str:
    """Return what the metadata of a release has beside the least: a README, dependencies on the other projects."""
    lines = [f"Requires-Dist: {name}" for name in draw.sample(PROJECTS, draw.randrange(3))]
    readme = draw.choice(("", "\n# Read *me*\n"))
    return (
        "".join(f"{line}\n" for line in lines)
        + ("Description-Content-Type: text/markdown\n" if readme else "")
        + readme
    )


def results(content: Content, path: str, draw: random.Random) -> bytes:
    """Return results of tests of a release, or what is no such thing."""
    files = [file["hashes"]["sha256"] for file in json.loads(content[path])["files"]]
    run = {
        "environment": draw.choice(("py313", "lint")),
        "outcome": draw.choice(("passed", "failed", "error")),
        "duration": draw.randrange(100),
        "time": "2026-11-22T08:00:00Z",
        "files": draw.choice((files, ["0" * 64])),
    }
    return json.dumps([run] * draw.choice((1, 1, 3))).encode() if draw.random() < 0.9 else b"[1]"


def touch(content: Content, draw: random.Random) -> None:  # noqa: C901, PLR0912 - one case for each kind of change
    """Make one change, as people make them, or as they should not."""
    index = draw.choice(STAGES)
    project = draw.choice(PROJECTS)
    folder = f"{layout.INDEXES}/{index}/{normalize(project)}"
    match draw.randrange(14):
        case 0 | 1 | 2:
            version, kind = draw.choice(VERSIONS), draw.choice(("wheel", "sdist"))
            if f"{folder}/{version}.json" not in content:
                content.release(index, project, version, kind=kind, text=draw.choice(("", "other")), extra=needs(draw))
        case 3:
            for path in [path for path in content if path.startswith(f"{folder}/")][: draw.choice((1, 9))]:
                del content[path]
        case 4:
            reasons = {draw.choice(VERSIONS): draw.choice(("", "broken <b>"))}
            status = draw.choice(("active", "archived", "quarantined", "deprecated"))
            content[f"{folder}/project.toml"] = toml({"status": status, "yanked": reasons})
        case 5:
            content.pop(f"{folder}/project.toml", None)
        case 6:
            bases = draw.sample([*STAGES, "root/pypi"], draw.randrange(4))
            extra = draw.choice(({}, {"mirror_whitelist": ["*"]}, {"title": "T"}))
            content.stage(index, bases=[base for base in bases if base != index], **extra)
        case 7:
            for path in [path for path in content if path.startswith(f"indexes/{index}/")]:
                if draw.random() < 0.7 or path.endswith("index.toml"):
                    del content[path]
        case 8:
            content.user(draw.choice(("emilie", "bob")), title=draw.choice(("", "One", "Two")))
        case 9:
            paths = [path for path in content if path.endswith(".metadata")]
            for path in draw.sample(paths, min(len(paths), 2)):
                del content[path]
        case 10:
            settings_ = tomlkit.parse(content["gitindex.toml"].decode())
            settings_["names"] = {"reserved": draw.choice((["acme-*"], ["alpha", "omega"], []))}
            content["gitindex.toml"] = tomlkit.dumps(settings_).encode()
        case 12 | 13:
            manifests = [p for p in content if re.fullmatch(r"indexes/.*[0-9]\.json", p)]
            if manifests:
                path = draw.choice(manifests)
                tests = path.removesuffix(".json") + ".tests.json"
                if tests in content and draw.random() < 0.3:
                    del content[tests]
                else:
                    content[tests] = results(content, path, draw)
        case 11:
            content.mirror("root/pypi", mirror_url=draw.choice(("https://a.example.org/", "https://b.example.org/")))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), steps=st.integers(2, 8))
def test_an_update_gives_what_a_full_rendering_gives_over_any_history(tmp_path: Path, seed: int, steps: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - hypothesis draws the seed; a history is too large for it to build
    folder = tmp_path / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    commits, content = Commits(folder / "git"), start()
    commits.commit(content)
    commits.render(folder / "site")
    for _ in range(steps):
        for _ in range(draw.choice((0, 1, 1, 2, 4))):
            touch(content, draw)
        match draw.randrange(8):
            case 0:  # a merge whose second side has more
                side = commits.commit(content, onto=draw.choice([*commits.contents]))
                touch(content, draw)
                commits.commit(content, others=(side,), onto=draw.choice([*commits.contents]))
            case 1:  # back, or to another branch
                commits.go_to(draw.choice([*commits.contents]))
                content = Content(commits.contents[str(commits.last)])
            case 2:  # two commits at once, the second of which may take the first back
                commits.commit(content)
                content = Content(commits.contents[draw.choice([*commits.contents])])
                commits.commit(content)
            case _:
                commits.commit(content)
        commits.render(folder / "site")
        assert site(folder / "site") == anew(commits, folder / "full")


def test_an_update_needs_neither_templates_nor_pydantic(tmp_path: Path) -> None:
    commits, content = Commits(tmp_path / "git"), start()
    content.add_file("emilie/prod", "table", "1.0", elsewhere("table", "1.0"))
    commits.commit(content)
    out = tmp_path / "site"
    commits.render(out)
    content.add_file("emilie/prod", "table", "1.1", elsewhere("table", "1.1"))
    commits.commit(content)
    code = (
        "import sys\n"
        "from gitindex.__main__ import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    print([name for name in ('jinja2', 'pydantic') if name in sys.modules])"
    )
    words = ("-C", commits.repository.git_directory, "render", "--rev", str(commits.last), "--out", out)
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert "looked at again" in done.stdout
    assert done.stdout.endswith("\n[]\n")
    assert site(out) == anew(commits, tmp_path / "full")
