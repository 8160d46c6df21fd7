"""`gitindex upload` refuses what PyPI's upload refuses, and then writes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.builders import file_info, make_sdist, make_tar_gz, make_wheel, metadata
from tests.peers.tools import Tools, done, upload

pytestmark = pytest.mark.peers

GOOD = make_wheel("demo", "1.0")
RENAMED = ("other-1.0-py3-none-any.whl", GOOD[1])
TRUNCATED = (GOOD[0], GOOD[1][:-40])
OTHER_METADATA = make_wheel("demo", "1.0", dist_info={"METADATA": metadata("other", "1.0")})
OTHER_TOP = (
    "demo-1.0.tar.gz",
    make_tar_gz(
        [(file_info(f"demo/{name}", data), data) for name, data in {"PKG-INFO": metadata("demo", "1.0")}.items()]
    ),
)
OLD_SPELLING = ("Demo-1.0.tar.gz", make_sdist("demo", "1.0")[1])


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    done(Tools(home).run("gitindex", "init", "repository", "--user", "emilie"))
    return home / "repository"


@pytest.mark.parametrize(
    ("file", "words"),
    [
        pytest.param(RENAMED, "other", id="72-renamed"),
        pytest.param(TRUNCATED, "zip", id="82-truncated"),
        pytest.param(OTHER_METADATA, "other", id="78-metadata-of-another"),
        pytest.param(OTHER_TOP, "demo-1.0", id="83-other-top-folder"),
        pytest.param(OLD_SPELLING, "demo-1.0.tar.gz", id="73-old-spelling"),
    ],
)
def test_points_72_and_73_and_78_and_82_and_83_an_unsound_file_is_refused_in_one_line_and_nothing_is_written(
    tools: Tools, repository: Path, file: tuple[str, bytes], words: str
) -> None:
    result = upload(tools, repository, "emilie/dev", [make_wheel("fine", "1.0"), file])
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"gitindex: {file[0]}: ")
    assert words in line.partition(": ")[2]
    assert done(tools.run("git", "-C", repository, "status", "--porcelain")) == ""
    assert not (repository / "files").exists()


def test_point_75_other_bytes_of_a_released_filename_are_refused_and_the_same_change_nothing(
    tools: Tools, repository: Path
) -> None:
    copy = shutil.copytree(repository, tools.home / "copy")
    done(upload(tools, copy, "emilie/prod", [GOOD]))
    done(tools.run("git", "-C", copy, "add", "."))
    done(tools.run("git", "-C", copy, "commit", "--quiet", "--message", "Release demo 1.0"))  # so it is published

    done(upload(tools, copy, "emilie/prod", [GOOD], "2025-01-01"))
    assert done(tools.run("git", "-C", copy, "status", "--porcelain")) == ""

    result = upload(tools, copy, "emilie/prod", [make_wheel("demo", "1.0", files={"demo.py": b"# changed"})])
    assert result.returncode == 1
    assert "GI205" in result.stderr
    assert done(tools.run("git", "-C", copy, "status", "--porcelain")) == ""
