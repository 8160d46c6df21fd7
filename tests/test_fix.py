"""`validate --fix`: what is mechanical is put right, what is released stays, and nothing gets worse by it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from gitindex import layout
from gitindex.compare import Change
from gitindex.documents import read_statements
from gitindex.edits.fix import plan_fixes
from gitindex.finding import Severity
from gitindex.names import canonical_version, normalize
from gitindex.tree import Leaf, leaf
from gitindex.validate import validate
from gitindex.write import is_taken
from tests.builders import make_sdist, make_wheel, metadata
from tests.conftest import Run
from tests.repositories import Content, IndexRepository, bare_clone, files_below, make_repository, small_content
from tests.test_properties_history import BASE, changed_trees, put, put_all, remove, snapshot_of

DEV, PROD = "indexes/emilie/dev", "indexes/emilie/prod"


def content() -> Content:
    made = small_content()
    made.release("emilie/prod", "demo", "1.0")
    made.release("emilie/dev", "demo", "1.1")
    return made


@pytest.fixture
def packages(tmp_path: Path) -> IndexRepository:
    """A repository with demo 1.0 in prod, which is non-volatile, and demo 1.1 in dev."""
    return make_repository(tmp_path / "packages", content())


def fix(repository: IndexRepository, run: Run, *options: str) -> tuple[int, list[str], str]:
    """Run `validate --fix`, and return exit code, what was repaired, and what was said of the rest."""
    result = run("-C", repository.root, "validate", "--fix", *options)
    repairs = [line for line in result.out.splitlines() if line.startswith(("Rename ", "Write ", "Make "))]
    return result.code, repairs, result.out.removeprefix("".join(f"{line}\n" for line in repairs))


def assert_fixed(repository: IndexRepository, run: Run, *repairs: str) -> None:
    """Check that these repairs are made and leave nothing to refuse, and that nothing is left to repair."""
    assert run("-C", repository.root, "validate").code == (1 if repairs else 0)
    code, done, rest = fix(repository, run)
    assert (code, done) == (0, list(repairs)), rest
    assert rest.splitlines()[-1].startswith("Valid: ")
    before = files_below(repository.path)
    assert fix(repository, run)[:2] == (0, [])
    assert files_below(repository.path) == before


def store(repository: IndexRepository, filename: str, data: bytes) -> str:
    """Put a file into the store, and return its sha256."""
    sha256 = hashlib.sha256(data).hexdigest()
    repository.write(layout.stored_path(sha256, filename), data)
    return sha256


def manifest(repository: IndexRepository, path: str) -> Any:
    return json.loads((repository.root / path).read_bytes())


# Names


def test_project_folder_gets_its_normal_name_with_all_that_is_in_it(packages: IndexRepository, run: Run) -> None:
    made = Content()
    made.release("emilie/dev", "My.Thing", "1.0")
    made.statements("emilie/dev", "My.Thing", yanked={"1.0": "broken"})
    packages.put(
        {
            path.replace("/my-thing/", "/My.Thing/").replace("/My-Thing/", "/My.Thing/"): data
            for path, data in made.items()
        }
    )
    assert_fixed(packages, run, f"Rename {DEV}/My.Thing to {DEV}/my-thing")
    assert sorted(path.name for path in (packages.root / DEV / "my-thing").iterdir()) == ["1.0.json", "project.toml"]
    assert not (packages.root / DEV / "My.Thing").exists()


def test_project_folders_are_merged_where_no_file_clashes(packages: IndexRepository, run: Run) -> None:
    made = Content()
    made.release("emilie/prod", "Demo", "2.0")
    packages.put({path.replace("/demo/", "/Demo/"): data for path, data in made.items()})
    assert_fixed(packages, run, f"Rename {PROD}/Demo to {PROD}/demo")
    assert sorted(path.name for path in (packages.root / PROD / "demo").iterdir()) == ["1.0.json", "2.0.json"]


def test_project_folders_that_clash_are_left(packages: IndexRepository, run: Run) -> None:
    made = Content()
    made.release("emilie/prod", "Demo", "1.0", text="another file of that name")
    packages.put({path.replace("/demo/", "/Demo/"): data for path, data in made.items()})
    before = files_below(packages.path)
    code, repairs, rest = fix(packages, run)
    assert (code, repairs) == (1, [])
    assert f"{PROD}/Demo: GI004" in rest
    assert "something stands in the way there" in rest
    assert files_below(packages.path) == before


def test_version_gets_its_canonical_spelling_in_name_and_manifest_and_yank(packages: IndexRepository, run: Run) -> None:
    made = Content()
    made.release("emilie/dev", "demo", "2.0rc1")
    path = f"{DEV}/demo/2.0rc1.json"
    packages.put({**made, path: b""})
    (packages.root / path).unlink()
    packages.write(f"{DEV}/demo/2.0RC1.json", made[path].replace(b'"2.0rc1"', b'"2.0RC1"'))
    packages.write(f"{DEV}/demo/project.toml", '# why\n[yanked] # all\n# the first\n"2.0RC1" = "broken" # today\n')
    assert_fixed(packages, run, f"Rename {DEV}/demo/2.0RC1.json to {path}", f"Write {DEV}/demo/project.toml")
    assert (packages.root / path).read_bytes() == made[path]
    text = '# why\n[yanked] # all\n# the first\n"2.0rc1" = "broken" # today\n'
    assert (packages.root / DEV / "demo" / "project.toml").read_text() == text


@pytest.mark.parametrize("other", ["2.0", "2.0.0"])
def test_second_spelling_of_a_version_is_left_for_people(packages: IndexRepository, run: Run, other: str) -> None:
    made = Content()
    made.release("emilie/dev", "demo", "2.0")
    packages.put(made)
    packages.write(f"{DEV}/demo/v{other}.json", made[f"{DEV}/demo/2.0.json"])
    code, _, rest = fix(packages, run)
    assert code == 1
    assert "is the same version as" in rest
    assert len(list((packages.root / DEV / "demo").iterdir())) == 3


def test_keys_that_spell_the_path_otherwise_say_what_it_says(packages: IndexRepository, run: Run) -> None:
    made = Content()
    made.release("emilie/dev", "demo", "2.0")
    path = f"{DEV}/demo/2.0.json"
    packages.put(made)
    packages.write(path, made[path].replace(b'"demo"', b'" Demo "').replace(b'"2.0"', b'"v2.0.0"'))
    assert_fixed(packages, run, f"Write {path}")
    found = manifest(packages, path)
    assert (found["name"], found["version"]) == ("Demo", "2.0")


def test_another_name_or_version_is_no_spelling(packages: IndexRepository, run: Run) -> None:
    made = Content()
    made.release("emilie/dev", "demo", "2.0")
    path = f"{DEV}/demo/2.0.json"
    packages.put(made)
    packages.write(path, made[path].replace(b'"demo"', b'"other"').replace(b'"2.0"', b'"2.1"'))
    code, repairs, rest = fix(packages, run)
    assert (code, repairs) == (1, [])
    assert rest.count(": GI004 ") == 2


# Form


def test_new_and_changed_manifests_get_the_written_form_without_a_finding(packages: IndexRepository, run: Run) -> None:
    made = content()
    made.release("emilie/dev", "demo", "1.2")
    packages.put(made)
    written = {f"{DEV}/demo/{version}.json": made[f"{DEV}/demo/{version}.json"] for version in ("1.1", "1.2")}
    for path, data in written.items():
        document = json.loads(data)
        turned = {"files": [dict(reversed(document["files"][0].items()))], **document}
        packages.write(path, json.dumps(turned, indent="\t").replace("demo", "d\\u0065mo"))
    assert run("-C", packages.root, "validate").code == 0
    assert fix(packages, run)[:2] == (0, [f"Write {path}" for path in written])
    assert {path: (packages.root / path).read_bytes() for path in written} == written


def test_form_of_what_has_not_changed_is_left(packages: IndexRepository, run: Run) -> None:
    path = f"{DEV}/demo/1.1.json"
    packages.write(path, json.dumps(manifest(packages, path)))
    packages.commit()
    assert fix(packages, run)[:2] == (0, [])
    assert fix(packages, run, "--all")[:2] == (0, [])


def test_byte_order_mark_and_carriage_returns_go(packages: IndexRepository, run: Run) -> None:
    for path in (layout.SETTINGS, "indexes/root/user.toml", f"{DEV}/index.toml", f"{DEV}/demo/1.1.json"):
        data = (packages.root / path).read_bytes()
        packages.write(path, b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"))
    packages.write(f"{DEV}/demo/project.toml", b'status = "archived"\r\n')
    code, repairs, rest = fix(packages, run)
    assert code == 0, rest
    assert repairs == [
        f"Write {path}"
        for path in (
            f"{DEV}/demo/1.1.json",
            f"{DEV}/demo/project.toml",
            f"{DEV}/index.toml",
            layout.SETTINGS,
            "indexes/root/user.toml",
        )
    ]
    assert packages.git("status", "--porcelain", "-uall") == f"?? {DEV}/demo/project.toml"
    assert (packages.root / DEV / "demo" / "project.toml").read_bytes() == b'status = "archived"\n'


def test_lists_of_an_index_keep_their_comments(packages: IndexRepository, run: Run) -> None:
    packages.write(
        f"{DEV}/index.toml",
        'bases = [\n  "emilie/prod", # what is ready\n  "root/pypi",\n  "emilie/prod",\n]\n'
        'mirror_whitelist = ["My.Thing", "other", "OTHER", "my_thing", "*"] # ours\n',
    )
    assert_fixed(packages, run, f"Write {DEV}/index.toml")
    assert (packages.root / DEV / "index.toml").read_text() == (
        'bases = [\n  "emilie/prod", # what is ready\n  "root/pypi",\n]\n'
        'mirror_whitelist = ["my-thing", "other", "*"] # ours\n'
    )


def test_yank_that_names_a_file_or_stands_in_both_spellings_is_left(packages: IndexRepository, run: Run) -> None:
    text = '[yanked]\n"1.1" = "one"\n"1.1.0" = "two"\n"demo-1.1.0.tar.gz" = "three"\n'
    packages.write(f"{DEV}/demo/project.toml", text)
    code, repairs, _ = fix(packages, run)
    assert (code, repairs) == (1, [])
    assert (packages.root / DEV / "demo" / "project.toml").read_text() == text


def test_executable_files_become_plain(packages: IndexRepository, run: Run) -> None:
    stored = content().stored("emilie/prod", "demo", "1.0")
    for path in (stored, f"{DEV}/demo/1.1.json"):
        (packages.root / path).chmod(0o755)
    assert_fixed(packages, run, f"Make {stored} a plain file", f"Make {DEV}/demo/1.1.json a plain file")
    assert packages.git("status", "--porcelain") == ""


# Facts of stored files


def test_manifest_of_names_alone_is_filled_in_from_the_store(packages: IndexRepository, run: Run) -> None:
    wheel, data = make_wheel("demo", "2.0", requires_python=">=3.11")
    sdist, source = make_sdist("demo", "2.0", requires_python=">=3.11")
    digests = {wheel: store(packages, wheel, data), sdist: store(packages, sdist, source)}
    path = f"{DEV}/demo/2.0.json"
    files = [{"filename": wheel}, {"filename": sdist, "hashes": {}, "size": None, "requires-python": ""}]
    packages.write(path, json.dumps({"name": "demo", "version": "2.0", "files": files}))
    assert_fixed(packages, run, f"Write {path}")
    core = metadata("demo", "2.0", ">=3.11")
    assert manifest(packages, path)["files"] == [
        {
            "filename": wheel,
            "hashes": {"sha256": digests[wheel]},
            "size": len(data),
            "requires-python": ">=3.11",
            "core-metadata": {"sha256": hashlib.sha256(core).hexdigest()},
        },
        {
            "filename": sdist,
            "hashes": {"sha256": digests[sdist]},
            "size": len(source),
            "requires-python": ">=3.11",
        },
    ]
    assert (packages.root / f"{layout.stored_path(digests[wheel], wheel)}.metadata").read_bytes() == core


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", -1),
        ("size", "842"),
        ("size", True),
        ("hashes", {"sha256": "ABC"}),
        ("hashes", None),
        ("requires-python", "3.9 or newer"),
        ("requires-python", 3),
        ("core-metadata", {"sha256": ""}),
        ("core-metadata", {}),
    ],
)
def test_malformed_fact_is_taken_from_the_file(packages: IndexRepository, run: Run, key: str, value: object) -> None:
    made = Content()
    made.release("emilie/dev", "demo", "2.0")
    path = f"{DEV}/demo/2.0.json"
    packages.put(made)
    document = json.loads(made[path])
    document["files"][0][key] = value
    packages.write(path, json.dumps(document))
    assert_fixed(packages, run, f"Write {path}")
    assert (packages.root / path).read_bytes() == made[path]


def test_well_formed_fact_is_never_changed(packages: IndexRepository, run: Run) -> None:
    made = Content()
    made.release("emilie/dev", "demo", "2.0", requires_python=">=3.9")
    path = f"{DEV}/demo/2.0.json"
    packages.put(made)
    text = made[path].replace(b">=3.9", b">=3.8").replace(b'"size": ', b'"size": 1')
    packages.write(path, text)
    code, repairs, rest = fix(packages, run)
    assert (code, repairs) == (1, [])
    assert "GI009" in rest
    assert "GI011" in rest
    assert (packages.root / path).read_bytes() == text


def test_file_that_is_stored_twice_under_its_name_is_not_chosen(packages: IndexRepository, run: Run) -> None:
    name, data = make_wheel("demo", "2.0")
    store(packages, name, data)
    store(packages, name, make_wheel("demo", "2.0", tag="py3-none-any", files={"demo.py": b"1"})[1])
    packages.write(
        f"{DEV}/demo/2.0.json", json.dumps({"name": "demo", "version": "2.0", "files": [{"filename": name}]})
    )
    code, repairs, rest = fix(packages, run)
    assert (code, repairs) == (1, [])
    assert "GI008" in rest


def test_promised_metadata_is_put_beside_its_wheel(packages: IndexRepository, run: Run) -> None:
    made = Content()
    made.release("emilie/dev", "demo", "2.0")
    sidecar = made.stored("emilie/dev", "demo", "2.0") + ".metadata"
    core = made.pop(sidecar)
    packages.put(made)
    assert_fixed(packages, run, f"Write {sidecar}")
    assert (packages.root / sidecar).read_bytes() == core


def test_wheel_that_is_no_archive_or_another_is_promised_nothing_of(packages: IndexRepository, run: Run) -> None:
    name = "demo-2.0-py3-none-any.whl"
    digest = store(packages, name, b"no archive")
    files = [{"filename": name, "hashes": {"sha256": digest}, "size": 10}]
    packages.write(
        f"{DEV}/demo/2.0.json", json.dumps({"name": "demo", "version": "2.0", "files": files}, indent=2) + "\n"
    )
    code, repairs, rest = fix(packages, run)
    assert "GI012" in rest
    assert code == 1
    assert "core-metadata" not in (packages.root / DEV / "demo" / "2.0.json").read_text()
    assert repairs in ([], [f"Write {DEV}/demo/2.0.json"])


def test_pointer_of_git_lfs_gives_digest_and_size_alone(packages: IndexRepository, run: Run) -> None:
    name, digest = "demo-2.0-py3-none-any.whl", "ab" * 32
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 4711\n"
    packages.write(layout.stored_path(digest, name), pointer)
    path = f"{DEV}/demo/2.0.json"
    packages.write(path, json.dumps({"name": "demo", "version": "2.0", "files": [{"filename": name}]}))
    assert_fixed(packages, run, f"Write {path}")
    assert manifest(packages, path)["files"] == [{"filename": name, "hashes": {"sha256": digest}, "size": 4711}]


def test_manifest_with_an_unknown_key_or_one_twice_is_left(packages: IndexRepository, run: Run) -> None:
    name, data = make_wheel("demo", "2.0")
    store(packages, name, data)
    one = json.dumps({"name": "demo", "version": "2.0", "files": [{"filename": name, "sise": 1}]})
    other = '{"name": "demo", "name": "Demo", "version": "2.1", "files": []}'
    packages.write(f"{DEV}/demo/2.0.json", one)
    packages.write(f"{DEV}/demo/2.1.json", other)
    code, repairs, _ = fix(packages, run)
    assert (code, repairs) == (1, [])


# What is never touched


def test_released_manifest_is_not_touched_whatever_is_wrong_with_it(packages: IndexRepository, run: Run) -> None:
    path = f"{PROD}/demo/1.0.json"
    data = (packages.root / path).read_bytes()
    for text in (b"\xef\xbb\xbf" + data, data.replace(b"  ", b"\t"), data.replace(b'"size"', b'"sice"')):
        packages.write(path, text)
        (packages.root / path).chmod(0o755)
        assert fix(packages, run)[1] == []
        assert (packages.root / path).read_bytes() == text
        assert os.access(packages.root / path, os.X_OK)


def test_released_folder_and_version_keep_even_a_wrong_name(tmp_path: Path, run: Run) -> None:
    made = small_content()
    made.release("emilie/prod", "Demo", "1.0")
    old = {path.replace("/demo/1.0.json", "/Demo/v1.0.json"): data for path, data in made.items()}
    repository = make_repository(tmp_path / "old", old)
    repository.write(f"{PROD}/Demo/README.md", "")
    (repository.root / PROD / "Demo" / "README.md").unlink()
    before = files_below(repository.path)
    code, repairs, _ = fix(repository, run, "--all")
    assert (code, repairs) == (1, [])
    assert files_below(repository.path) == before


def test_promised_metadata_of_the_base_is_not_written_anew(packages: IndexRepository, run: Run) -> None:
    sidecar = packages.root / (content().stored("emilie/prod", "demo", "1.0") + ".metadata")
    sidecar.unlink()
    code, repairs, rest = fix(packages, run)
    assert (code, repairs) == (1, [])
    assert "GI209" in rest
    assert not sidecar.exists()


def test_base_is_the_one_that_is_named(packages: IndexRepository, run: Run) -> None:
    path = f"{PROD}/demo/1.1.json"
    made = Content()
    made.release("emilie/prod", "demo", "1.1")
    packages.put(made)
    packages.write(path, json.dumps(manifest(packages, path)))
    packages.commit()
    assert fix(packages, run)[1] == []
    assert fix(packages, run, "--base", "HEAD~1")[1] == [f"Write {path}"]


def test_first_commit_is_repaired_as_a_whole(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "new")
    repository.put({path.replace("/demo/", "/DEMO/"): data for path, data in content().items()})
    code, repairs, _ = fix(repository, run)
    assert code == 0
    assert repairs == [f"Rename {folder}/DEMO to {folder}/demo" for folder in (DEV, PROD)]


def test_repair_that_would_bring_an_error_is_left_out(packages: IndexRepository, run: Run) -> None:
    # The wheel says another version of itself: once the manifest can be read, that is an error of its own.
    name, data = "demo-2.0-py3-none-any.whl", make_wheel("demo", "2.1")[1]
    store(packages, name, data)
    path = f"{DEV}/demo/2.0.json"
    text = json.dumps({"name": "demo", "version": "2.0", "files": [{"filename": name}]})
    packages.write(path, text)
    packages.write(f"{DEV}/index.toml", 'bases = ["emilie/prod", "emilie/prod"]\n')
    code, repairs, rest = fix(packages, run)
    assert (code, repairs) == (1, [f"Write {DEV}/index.toml"])
    assert "GI008" in rest
    assert (packages.root / path).read_text() == text


# The command


@pytest.mark.parametrize("options", [["--staged"], ["--head", "HEAD"], ["--merge-into", "HEAD"]], ids=" ".join)
def test_only_a_working_tree_is_repaired(packages: IndexRepository, run: Run, options: list[str]) -> None:
    result = run("-C", packages.root, "validate", "--fix", *options)
    assert (result.code, result.out) == (2, "")
    assert result.err == "gitindex: --fix repairs the working tree; leave out --staged, --head and --merge-into\n"


def test_bare_repository_cannot_be_repaired(packages: IndexRepository, run: Run, tmp_path: Path) -> None:
    bare = bare_clone(packages, tmp_path / "bare")
    result = run("-C", bare, "validate", "--fix")
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1
    assert "a bare repository has no working tree" in result.err


def test_answer_for_programs_holds_the_findings_alone(packages: IndexRepository, run: Run) -> None:
    packages.write(f"{DEV}/index.toml", 'bases = ["emilie/prod", "emilie/prod"]\n')
    result = run("-C", packages.root, "validate", "--fix", "--json")
    assert json.loads(result.out)["findings"] == []
    assert result.err.startswith(f"Write {DEV}/index.toml\nTo stage it, in ")
    assert result.err.endswith(": git add --all -- indexes\n")


def test_index_repository_in_a_folder_is_repaired_and_nothing_else(tmp_path: Path, run: Run) -> None:
    repository = make_repository(tmp_path / "mono", content(), folder="packages")
    made = Content()
    made.release("emilie/dev", "Other.Thing", "1.0")
    moved = {path.replace("/other-thing/", "/Other.Thing/"): data for path, data in made.items()}
    repository.put(moved)
    (repository.path / "indexes" / "a" / "b" / "Foo.Bar").mkdir(parents=True)
    (repository.path / "indexes" / "a" / "b" / "Foo.Bar" / "1.0RC1.json").write_text("{}")
    assert_fixed(repository, run, f"Rename {DEV}/Other.Thing to {DEV}/other-thing")
    assert (repository.path / "indexes" / "a" / "b" / "Foo.Bar" / "1.0RC1.json").read_text() == "{}"


# Disks


def test_target_that_git_does_not_see_is_in_the_way(packages: IndexRepository, run: Run) -> None:
    packages.write(".gitignore", "demo-two/\n")
    made = Content()
    made.release("emilie/dev", "demo-two", "1.0")
    packages.put({path.replace("/demo-two/", "/demo_two/"): data for path, data in made.items()})
    hidden = packages.write(f"{DEV}/demo-two/1.0.json", "mine")
    code, repairs, _ = fix(packages, run)
    assert (code, repairs) == (1, [])
    assert hidden.read_text() == "mine"
    assert (packages.root / DEV / "demo_two" / "1.0.json").exists()


def test_link_that_git_does_not_see_is_not_followed(packages: IndexRepository, run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    packages.write(".gitignore", "/indexes/emilie/dev/demo-two\n")
    made = Content()
    made.release("emilie/dev", "demo-two", "1.0")
    packages.put({path.replace("/demo-two/", "/demo_two/"): data for path, data in made.items()})
    (packages.root / DEV / "demo-two").symlink_to(outside)
    code, repairs, _ = fix(packages, run)
    assert (code, repairs) == (1, [])
    assert list(outside.iterdir()) == []


def test_disk_that_takes_two_spellings_for_one_name_loses_nothing(
    packages: IndexRepository, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Content()
    made.release("emilie/dev", "thing", "2.0rc1")
    packages.put({path.replace("/thing/2.0rc1.json", "/Thing/2.0RC1.json"): data for path, data in made.items()})

    def folds(root: Path, path: str) -> bool:
        there = {str(found.relative_to(root)).casefold() for found in root.rglob("*")}
        return is_taken(root, path) or path.casefold() in there

    monkeypatch.setattr("gitindex.write.is_taken", folds)
    before = files_below(packages.path)
    code, repairs, _ = fix(packages, run)
    assert (code, repairs) == (1, [])
    assert files_below(packages.path) == before


def test_file_that_vanishes_is_one_line_and_leaves_all_as_it_is(
    packages: IndexRepository, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = packages.root / content().stored("emilie/prod", "demo", "1.0")
    stored.chmod(0o755)
    packages.write(f"{DEV}/index.toml", 'bases = ["emilie/prod", "emilie/prod"]\n')
    before = files_below(packages.path)

    def vanish(*arguments: Any, **options: Any) -> Any:
        plan = plan_fixes(*arguments, **options)
        stored.unlink()
        return plan

    monkeypatch.setattr("gitindex.edits.fix.plan_fixes", vanish)
    result = run("-C", packages.root, "validate", "--fix")
    assert result.code == 3
    assert result.err.count("\n") == 1
    assert "is not there any more; nothing was written" in result.err
    assert files_below(packages.path) == {path: data for path, data in before.items() if packages.root / path != stored}


def test_mode_that_the_disk_does_not_keep_is_left_to_git(packages: IndexRepository, run: Run) -> None:
    packages.git("update-index", "--chmod=+x", f"{DEV}/demo/1.1.json")
    packages.git("config", "core.fileMode", "false")
    packages.git("commit", "--quiet", "--message", "Executable")
    assert fix(packages, run, "--base", "HEAD~1")[:2] == (1, [])


# What holds for any tree

Tree = dict[str, Leaf]


def spellings(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([text.upper(), text.replace("-", "_"), f"v{text}", f"0{text}", f"{text}.0", f"{text}RC1"])


@st.composite
def spoiled_document(draw: st.DrawFn, data: bytes) -> bytes:
    """Draw what editors and people in a hurry make of a document."""
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    kind = draw(st.sampled_from(["bom", "crlf", "facts", "form", "keys"]))
    if kind == "bom":
        return b"\xef\xbb\xbf" + data
    if kind == "crlf" or not isinstance(document, dict) or not isinstance(document.get("files"), list):
        return data.replace(b"\n", b"\r\n")
    if kind == "facts":
        for file in document["files"]:
            key = draw(st.sampled_from(["hashes", "size", "core-metadata", "requires-python", "provenance"]))
            value = draw(st.sampled_from([None, "", 0, "x", {}, {"sha256": "X"}, ...]))
            if isinstance(file, dict):
                file.pop(key, None)
                file.update({} if value is ... else {key: value})
    if kind == "keys":
        key = draw(st.sampled_from(["name", "version"]))
        document[key] = draw(spellings(str(document.get(key))))
    return json.dumps(document, indent=draw(st.sampled_from([None, 1, 2]))).encode()


@st.composite
def spoiled_trees(draw: st.DrawFn) -> Tree:
    """Draw a tree that is wrong in ways that can be repaired, and maybe in any other way too."""
    tree = dict(draw(st.just(dict(BASE)) | changed_trees()))
    for _ in range(draw(st.integers(1, 4))):
        manifests = [path for path in sorted(tree) if path.startswith("indexes/") and path.endswith(".json")]
        path = draw(st.sampled_from(manifests or ["indexes/emilie/dev/draft/0.1.json"]))
        folder, _, name = path.rpartition("/")
        above, _, project = folder.rpartition("/")
        match draw(st.sampled_from(["folder", "version", "copy", "document", "sidecar", "toml", "mode"])):
            case "folder":
                put_all(tree, f"{above}/{draw(spellings(project))}", remove(tree, folder))
            case "version" if path in tree:
                put(tree, f"{folder}/{draw(spellings(name.removesuffix('.json')))}.json", tree.pop(path))
            case "copy" if path in tree:
                put(tree, f"{DEV}/{draw(spellings(project))}/{name}", tree[path])
            case "document" if documents := [path for path in sorted(tree) if path.endswith((".json", ".toml"))]:
                document = draw(st.sampled_from(documents))
                tree[document] = leaf(draw(spoiled_document(tree[document].read())), tree[document].kind)
            case "sidecar":
                for stored in [stored for stored in tree if stored.endswith(".metadata")]:
                    if draw(st.booleans()):
                        del tree[stored]
            case "toml":
                text = draw(
                    st.sampled_from(['bases = ["emilie/prod", "emilie/prod"]\n', 'mirror_whitelist = ["A_b"]\n'])
                )
                put(tree, f"{DEV}/index.toml", leaf(text.encode()))
                yanks = f'[yanked]\n"{draw(spellings("1.0"))}" = "x" # y\n'
                put(tree, f"{PROD}/example/project.toml", leaf(yanks.encode()))
            case "mode" if tree:
                chosen = draw(st.sampled_from(sorted(tree)))
                tree[chosen] = tree[chosen]._replace(kind="executable")
            case _:
                pass
    return tree


def fixed(base: Mapping[str, Leaf] | None, tree: Tree) -> tuple[Tree, list[str]]:
    """Return a tree as `--fix` leaves it, and what it did."""
    before = None if base is None else snapshot_of(base)
    root = Path("/nowhere")
    plan = plan_fixes(snapshot_of(tree), lambda head: Change(before, head), root, is_taken=lambda _: False)
    after = dict(tree)
    for path, change in plan.changes.items():
        after.pop(path, None)
        if isinstance(change, bytes):
            after[path] = leaf(change)
        elif isinstance(change, Path):
            after[path] = tree[change.relative_to(root).as_posix()]._replace(kind="file")
    return after, plan.notes


def errors(base: Mapping[str, Leaf] | None, tree: Tree) -> set[tuple[str, str]]:
    """Return code and subject of what refuses a tree; a subject is the same in any spelling."""
    change = Change(None if base is None else snapshot_of(base), snapshot_of(tree))
    return {(f.code, subject(f.path)) for f in validate(change) if f.severity is Severity.ERROR}


def subject(path: str) -> str:
    parts = path.split("/")
    if parts[0] == layout.INDEXES and len(parts) > 3:
        parts[3] = normalize(parts[3])
    if len(parts) == 5 and parts[4].endswith(".json"):
        version = parts[4].removesuffix(".json")
        parts[4] = canonical_version(version) or version
    return "/".join(parts)


def content_of(tree: Tree, path: str) -> bytes | None:
    return tree[path].read() if path in tree else None


def releases(tree: Tree) -> list[str]:
    return sorted(subject(path) for path in tree if path.startswith("indexes/") and path.endswith(".json"))


@settings(max_examples=150, deadline=None)
@given(spoiled_trees(), st.booleans())
def test_repairs_make_nothing_worse_and_touch_nothing_that_is_released(tree: Tree, has_base: bool) -> None:  # noqa: FBT001
    base = BASE if has_base else None
    after, notes = fixed(base, tree)
    before, left = errors(base, tree), errors(base, after)
    assert left <= before, notes
    assert releases(after) == releases(tree)
    changed = {path for path in {*tree, *after} if content_of(tree, path) != content_of(after, path)}
    assert all(path == layout.SETTINGS or path.startswith(("indexes/", "files/")) for path in changed)
    assert not any(path.startswith("files/") and path in tree for path in changed)
    if has_base:
        released = {path for path in BASE if path.startswith(f"{PROD}/") and path.endswith(".json")}
        for path in released:
            assert content_of(after, path) == content_of(tree, path)
            assert (path in tree and tree[path].kind) == (path in after and after[path].kind)
        assert not any(path in changed for path in BASE if path.startswith("files/"))


@settings(max_examples=150, deadline=None)
@given(spoiled_trees(), st.booleans())
def test_repairs_leave_nothing_to_repair(tree: Tree, has_base: bool) -> None:  # noqa: FBT001
    base = BASE if has_base else None
    after, _ = fixed(base, tree)
    again, notes = fixed(base, after)
    assert notes == []
    assert again == after


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["1.0.0", "v1.0", "1.0.0.0", "01.0"]), st.text("ab \t#", max_size=5))
def test_yank_keeps_its_reason_and_what_is_around_it(spelling: str, reason: str) -> None:
    text = f'# {reason}\n\n[yanked]\n"1.1" = "a"\n"{spelling}" = {json.dumps(reason)} # {reason}\n\n[other]\n'
    text = text.replace("\n[other]\n", "")
    tree = {**BASE, f"{PROD}/example/project.toml": leaf(text.encode())}
    after, notes = fixed(BASE, tree)
    written = after[f"{PROD}/example/project.toml"].read()
    assert notes == [f"Write {PROD}/example/project.toml"]
    assert written.decode() == text.replace(f'"{spelling}"', '"1.0"').rstrip("\n") + "\n"
    statements = read_statements("", written)
    assert getattr(statements, "yanked", None) == {"1.1": "a", "1.0": reason}
