"""What installers could install from an index, they can from the target that it was pushed to, with nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

from gitindex.names import ProjectName
from tests.peers.tools import Done, Tools, done, installed
from tests.repositories import Content, IndexRepository, make_repository, small_content

pytestmark = pytest.mark.peers

PROJECTS = ("lib", "base", "tool", "deep")
SEEDS = range(12)
SIGNS = ("", "==", "<", ">=", "!=", "~=")


def random_index(random: Random) -> Content:
    """Return an index with what `app 1.0` requires, or not quite; the target has some of it already."""
    content = small_content()
    content.stage("emilie/dev", volatile=True).stage("emilie/prod", volatile=False)
    versions = {project: random.sample(["1.0", "1.1", "2.0", "3.0"], random.randint(1, 3)) for project in PROJECTS}
    there = [("app", "1.0"), *((project, version) for project in PROJECTS for version in versions[project])]
    for name, version in there:
        others = [*PROJECTS] if name == "app" else [other for other in PROJECTS if other != name]
        lines = [_requirement(random, other) for other in random.sample(others, random.randint(0, 2))]
        if name == "app":
            lines = [_requirement(random, other) for other in random.sample(others, 3)]
            lines.append('missing; extra == "never"')
        extra = "Provides-Extra: never\n" + "".join(f"Requires-Dist: {line}\n" for line in lines)
        content.release("emilie/dev", name, version, extra=extra)
        if name != "app" and random.random() < 0.2:
            content.release("emilie/prod", name, version, extra=extra)
    return content


def _requirement(random: Random, name: str) -> str:
    sign = random.choice(SIGNS)
    extra = random.choice(["", "", "[never]"]) if name == "deep" else ""
    return f"{name}{extra}{sign}{random.choice(['1.0', '1.1', '2.0', '3.0']) if sign else ''}"


def install(tools: Tools, repository: IndexRepository, index: str, *options: str) -> Done:
    target = tools.home / "target"
    shutil.rmtree(target, ignore_errors=True)
    return tools.gitindex(
        repository.root, "install", *options, "--index", index, "--", "app==1.0", "--target", str(target)
    )


def chance(seed: int) -> Random:
    return Random(f"promotion {seed}")  # noqa: S311


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_installable_is_installable_from_the_target_alone(tools: Tools, tmp_path: Path, seed: int) -> None:
    repository = make_repository(tmp_path / "packages", random_index(chance(seed)))
    # What is in the target counts, as what is pushed comes beside it.
    repository.write("indexes/emilie/both/index.toml", 'bases = ["emilie/prod", "emilie/dev"]\n')
    options = ["--uv"] if seed % 4 else []
    before = install(tools, repository, "emilie/both", *options)
    pushed = tools.gitindex(repository.root, "push", "app==1.0", "emilie/dev", "emilie/prod", "--with-dependencies")
    assert (before.returncode == 0) == (pushed.returncode == 0), (before.stderr, pushed.stderr)
    if before.returncode == 0:
        done(install(tools, repository, "emilie/prod", *options))
        assert installed(tools.home / "target")[ProjectName("app")] == "1.0"


def test_seeds_give_indexes_that_can_be_installed_and_others(tools: Tools, tmp_path: Path) -> None:
    codes = []
    for seed in SEEDS:
        repository = make_repository(tmp_path / f"{seed}", random_index(chance(seed)))
        words = ["push", "app==1.0", "emilie/dev", "emilie/prod", "--with-dependencies"]
        codes.append(tools.gitindex(repository.root, *words).returncode)
    assert set(codes) == {0, 1}
    assert min(codes.count(0), codes.count(1)) >= 3
