"""What installers see change: each sentence by a case, the whole by a law over random histories, and its cost."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from hypothesis import HealthCheck, given, settings, strategies as st

from gitindex.names import IndexName
from gitindex.preview import Preview, ProjectDifference, preview
from tests.repositories import Content
from tests.test_site_update import STAGES, Commits, site, start, touch

Pages = Mapping[tuple[str, str], tuple[bytes, bytes]]


def simple_pages(files: Mapping[str, bytes]) -> Pages:
    """Return the simple pages of a site, HTML and JSON, by index and project; the list has no project."""
    found = {}
    for path, data in files.items():
        user, _, rest = path.partition("/")
        name, _, rest = rest.partition("/")
        if rest.startswith("simple/") and rest.endswith("index.html"):
            project = rest.removeprefix("simple/").removesuffix("index.html").strip("/")
            found[f"{user}/{name}", project] = data, files[path.removesuffix("html") + "json"]
    return found


def stages_in(content: Content) -> set[str]:
    return {name for name in STAGES if f"indexes/{name}/index.toml" in content}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 4))
def test_a_preview_tells_just_the_pages_that_a_rendering_makes_otherwise(tmp_path: Path, seed: int, steps: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - hypothesis draws the seed; a history is too large for it to build
    folder = tmp_path / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    commits, content = Commits(folder / "git"), start()
    commits.commit(content)
    before, old, base = _rendered(commits, folder), set(stages_in(content)), commits.last
    for _ in range(steps):
        for _ in range(draw.choice((0, 1, 1, 2, 4))):
            touch(content, draw)
        if draw.randrange(4) == 0:
            content = Content(commits.contents[draw.choice([*commits.contents])])
        commits.commit(content)
        found = preview(commits.repository.at(str(base)), commits.repository.at(str(commits.last)))
        after, new = _rendered(commits, folder), set(stages_in(content))
        _check(found, before, after, old & new)
        came = {(str(index.name), index.kind) for index in found.indexes if index.kind != "changed"}
        changed_kind = {index for index in STAGES if (index in old) != (index in new)}
        assert {name for name, _ in came} & set(STAGES) == changed_kind
        if found.is_empty:
            assert before == after
        before, old, base = after, new, commits.last


def _rendered(commits: Commits, folder: Path) -> Pages:
    shutil.rmtree(folder / "site", ignore_errors=True)
    commits.render(folder / "site")
    return simple_pages(site(folder / "site"))


def _check(found: Preview, before: Pages, after: Pages, stages: set[str]) -> None:
    """Check the pages and the lists of the indexes that are there before and after."""
    told = {(str(index), str(project.name)) for index, project in _each(found) if project.alters_page}
    differing = {key for key in before.keys() | after.keys() if key[1] and before.get(key) != after.get(key)}
    assert {key for key in told if key[0] in stages} == {key for key in differing if key[0] in stages}
    for stage in stages:
        old, new = (
            {project["name"] for project in json.loads(pages[stage, ""][1])["projects"]} for pages in (before, after)
        )
        listed = {
            kind: {
                str(project.name) for index, project in _each(found) if str(index) == stage and project.listed == kind
            }
            for kind in ("added", "removed")
        }
        assert listed == {"added": new - old, "removed": old - new}


def _each(found: Preview) -> Iterator[tuple[IndexName, ProjectDifference]]:
    return ((index, project) for project in found.projects for index in project.indexes)
