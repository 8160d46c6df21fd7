"""`gitindex export`: nobody is locked in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run
from tests.importing.shown import digest, released
from tests.repositories import (
    Content,
    IndexRepository,
    bare_clone,
    files_below,
    make_repository,
    small_content,
    toml,
)


@pytest.fixture
def content() -> Content:
    content = small_content()
    content.release("emilie/prod", "demo", "1.0")
    content.release("emilie/prod", "demo", "1.0", kind="sdist")
    content.release("emilie/dev", "other", "1.0")
    return content


@pytest.fixture
def filled(tmp_path: Path, content: Content) -> IndexRepository:
    return make_repository(tmp_path / "packages", content)


def test_each_index_is_a_folder_of_plain_files(run: Run, filled: IndexRepository, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("-C", filled.path, "export", "dir", out)
    assert (done.code, done.out) == (
        0,
        "emilie/dev: 1 file\nemilie/prod: 2 files\nnote: root/pypi: is a mirror: it has no files of its own\n",
    )
    for index in ("emilie/dev", "emilie/prod"):
        files = {name: digest(data) for name, data in files_below(out / index).items()}
        assert files == released(filled, index)
    before = files_below(out)
    assert run("-C", filled.path, "export", "dir", out).code == 0
    assert files_below(out) == before


def test_what_is_exported_can_be_imported(run: Run, filled: IndexRepository, tmp_path: Path) -> None:
    run("-C", filled.path, "export", "dir", tmp_path / "out", "--index", "emilie/prod")
    other = make_repository(tmp_path / "other", small_content())
    done = run("-C", other.path, "import", "dir", tmp_path / "out/emilie/prod", "--index", "emilie/prod")
    assert done.code == 0
    assert released(other, "emilie/prod") == released(filled, "emilie/prod")
    assert not (tmp_path / "out/emilie/dev").exists()


def test_other_bytes_at_the_place_stay(run: Run, filled: IndexRepository, tmp_path: Path) -> None:
    place = tmp_path / "out/emilie/prod/demo-1.0.tar.gz"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"mine")
    done = run("-C", filled.path, "export", "dir", tmp_path / "out", "--index", "emilie/prod")
    assert done.code == 1
    assert f"{place}: something else is there" in done.err
    assert place.read_bytes() == b"mine"


def test_stored_file_that_was_changed_is_not_passed_on(
    run: Run, filled: IndexRepository, content: Content, tmp_path: Path
) -> None:
    filled.write(content.stored("emilie/dev", "other", "1.0"), b"changed")
    done = run("-C", filled.path, "export", "dir", tmp_path / "out", "--index", "emilie/dev")
    assert done.code == 3
    assert "the bytes have the sha256" in done.err
    assert [*(tmp_path / "out").rglob("*.whl")] == []
    assert run("-C", filled.path, "export", "dir", tmp_path / "out", "--rev", "HEAD").code == 0


def test_file_that_lies_elsewhere_is_told(run: Run, tmp_path: Path, content: Content) -> None:
    url = "https://packages.example.org/away-1.0.tar.gz"
    entry = {"filename": "away-1.0.tar.gz", "hashes": {"sha256": "a" * 64}, "size": 1, "url": url}
    content.add_file("emilie/dev", "away", "1.0", entry)
    repository = make_repository(tmp_path / "packages", content)
    done = run("-C", repository.path, "export", "dir", tmp_path / "out", "--index", "emilie/dev")
    assert (done.code, done.out) == (
        1,
        f"emilie/dev: 1 file\nleft out: emilie/dev: away-1.0.tar.gz: lies elsewhere: {url}\n",
    )


def test_what_plain_files_do_not_say_is_told(run: Run, tmp_path: Path, content: Content) -> None:
    content["indexes/emilie/dev/other/project.toml"] = toml({"status": "quarantined", "yanked": {"1.0": "slow"}})
    repository = make_repository(tmp_path / "packages", content)
    done = run("-C", repository.path, "export", "dir", tmp_path / "out", "--index", "emilie/dev")
    assert (done.code, done.out.splitlines()) == (
        0,
        [
            "emilie/dev: 1 file",
            "note: emilie/dev: other: is quarantined, and plain files do not say so",
            "note: emilie/dev: other 1.0: is yanked, and plain files do not say so",
        ],
    )


@pytest.mark.parametrize("kind", ["dir", "devpi"])
@pytest.mark.parametrize("place", ["files", "indexes/emilie", ".git", ".git/new", "link/x"])
def test_repository_itself_is_no_place_to_export_to(
    run: Run, filled: IndexRepository, *, kind: str, place: str
) -> None:
    (filled.path / "link").symlink_to("files")
    before = files_below(filled.path)
    done = run("-C", filled.path, "export", kind, filled.path / place)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert f"{filled.path / place}: belongs to the repository itself; export to a folder" in done.err
    assert files_below(filled.path) == before


def test_bare_repository_is_no_place_to_export_to(run: Run, filled: IndexRepository, tmp_path: Path) -> None:
    bare = bare_clone(filled, tmp_path / "bare.git")
    assert run("-C", bare, "export", "dir", bare / "out").code == 2
    assert run("-C", bare, "export", "dir", tmp_path / "out").code == 0


def test_statements_that_cannot_be_read_stop_an_export(run: Run, tmp_path: Path, content: Content) -> None:
    content["indexes/emilie/dev/other/project.toml"] = b"status ="
    repository = make_repository(tmp_path / "packages", content)
    done = run("-C", repository.path, "export", "dir", tmp_path / "out", "--index", "emilie/dev")
    assert (done.code, done.out, (tmp_path / "out").exists()) == (3, "", False)
    assert "indexes/emilie/dev/other/project.toml" in done.err
