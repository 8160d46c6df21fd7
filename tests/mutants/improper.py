"""Edits that destroy no released fact, and are refused all the same: what they leave is not in order."""

from __future__ import annotations

import hashlib

from tests.mutants.destructive import SETTINGS, SUBMODULE, SYMLINK, gone, of_manifest, there
from tests.mutants.work import Edit, NothingToDoError, Work, stored_path

EXECUTABLE = 0o100755


def executable(work: Work) -> None:
    path = work.pick([work.manifest(), f"{work.frozen()}/index.toml"])
    work.write(path, work.read(path), EXECUTABLE)


def stray(work: Work) -> None:
    """Put a file where nothing of the layout has its place, under a name that hides it or looks like one that has."""
    project, index = work.project(), work.frozen()
    user = index.rpartition("/")[0]
    path = work.pick(
        [
            f"{project}/.git",
            f"{project}/1.0.json.orig",
            f"{project}/1.0.JSON",
            f"{project}/.hidden.json/x",
            f"{project}/1.0.json /x",
            f"{project}/.gitattributes",
            f"{index}/.gitattributes",
            f"{index}/.git/config",
            f"{index}/index.toml~",
            f"{index}/.alpha",
            f"{user}/user.toml.json",
            f"{user}/.gitmodules",
            "indexes/.gitattributes",
            "indexes/README.md",
            f"indexes/{work.word()}/x",
            f"indexes/\N{ZERO WIDTH SPACE}{work.word()}/user.toml",
            "files/.gitattributes",
            "files/README",
            "files/ab/x",
            f"files/ab/{'0' * 61}/x-1.0.tar.gz",
        ]
    )
    if path.startswith("files/") and not work.is_embedded:
        raise NothingToDoError
    work.write(path, "* filter=evil\n")


def stray_of_another_kind(work: Work) -> None:
    folder = work.pick(["indexes", work.project(), work.frozen()])
    mode = work.pick([SYMLINK, SUBMODULE, EXECUTABLE])
    work.write(f"{folder}/{work.word()}", b"\1" * 20, mode)


def same_version_again(work: Work) -> None:
    path = work.manifest()
    folder, _, name = path.rpartition("/")
    version = name.removesuffix(".json")
    again = f"{version}.0" if version.replace(".", "").isdigit() else version.replace("rc", "-rc")
    if again == version:
        raise NothingToDoError
    work.write_json(f"{folder}/{again}.json", work.json(path) | {"version": again})


def file_twice(work: Work) -> None:
    """List a released file once more, with another digest, before or behind the true one."""
    path = work.manifest()
    manifest = work.json(path)
    file = work.pick(manifest["files"]) | {"hashes": {"sha256": work.digest()}}
    manifest["files"].insert(work.random.choice([0, len(manifest["files"])]), file)
    work.write_json(path, manifest)


def file_of_another(work: Work) -> None:
    path = work.manifest()
    manifest = work.json(path)
    manifest["files"].append(work.distribution(work.word(), "1.0"))
    work.write_json(path, manifest)


def wrong_bytes(work: Work) -> None:
    """Release a file whose stored bytes are not those of its digest."""
    if not work.is_embedded:
        raise NothingToDoError
    path = work.release(work.pick(work.stages(volatile=False)), work.word(), "1.0")
    file = work.json(path)["files"][0]
    work.write(stored_path(file["hashes"]["sha256"], file["filename"]), b"other bytes")


def missing_bytes(work: Work) -> None:
    if not work.is_embedded:
        raise NothingToDoError
    path = work.release(work.pick(work.stages(volatile=False)), work.word(), "1.0")
    file = work.json(path)["files"][0]
    work.remove(stored_path(file["hashes"]["sha256"], file["filename"]))


def other_facts_than_the_bytes(work: Work) -> None:
    if not work.is_embedded:
        raise NothingToDoError
    path = work.release(work.pick(work.stages(volatile=False)), work.word(), "1.0")
    manifest = work.json(path)
    manifest["files"][0]["requires-python"] = ">=3.11"
    work.write_json(path, manifest)


def untested(work: Work) -> None:
    """Release to an index that requires tests what has failed, was not tested where it is wanted, or not at all."""
    if b"indexes/emilie/gate/index.toml" not in work.files:
        raise NothingToDoError
    path = work.release("emilie/gate", work.word(), "1.0")
    digest = work.json(path)["files"][0]["hashes"]["sha256"]
    run = {
        "environment": "py313",
        "duration": 1,
        "time": "2026-11-22T07:00:00Z",
        "outcome": "passed",
        "files": [digest],
    }
    runs = work.pick(
        [
            [],
            [run | {"outcome": "failed"}],
            [run, run | {"outcome": "error", "time": "2026-11-22T07:00:00.1Z"}],
            [run | {"environment": "PY313"}],
            [run | {"files": [work.digest()]}],
        ]
    )
    if runs:
        work.write_json(path.removesuffix(".json") + ".tests.json", runs)


def demand_dropped(work: Work) -> None:
    """Take the demand away, and release in the same change what it would have refused."""
    untested(work)
    work.set("indexes/emilie/gate/index.toml", "require_tests", None)


def released_to_mirror(work: Work) -> None:
    if b"indexes/root/pypi/index.toml" not in work.files:
        raise NothingToDoError
    work.release("root/pypi", work.word(), "1.0")


def cycle(work: Work) -> None:
    """Have two non-volatile indexes inherit from each other."""
    one = work.pick(work.stages(volatile=False))
    other = work.pick([name for name in work.stages(volatile=False) if name != one])
    work.set(f"indexes/{one}/index.toml", "bases", [other])
    work.set(f"indexes/{other}/index.toml", "bases", [one])


def base_of_itself(work: Work) -> None:
    index = work.frozen()
    work.set(f"{index}/index.toml", "bases", [index.removeprefix("indexes/")])


def twin(work: Work) -> None:
    """Put a folder beside `indexes/` that some file systems take for the same."""
    looks_alike = ["Indexes", "indexe\N{LATIN SMALL LETTER LONG S}", "indexes\N{ZERO WIDTH SPACE}", "indexes."]
    name = work.pick(looks_alike)
    work.write(f"{name}/emilie/prod/alpha/1.0.json", "{}")


def source_taken_away(work: Work) -> None:
    path = work.pick(
        sorted(
            path.decode()
            for path, node in work.files.items()
            if path.endswith(b"/project.toml") and b"sources" in node.data
        )
    )
    work.set(path, "sources", None)


def same_digest_elsewhere(work: Work) -> None:
    """Claim, from a hosted file, the filename of another project."""
    path = work.manifest()
    manifest = work.json(path)
    manifest["files"][0] = dict(manifest["files"][0])
    digest = hashlib.sha256(b"").hexdigest()
    manifest["files"].append({"filename": f"{work.word()}-1.0.zip", "hashes": {"sha256": digest}, "size": 1})
    work.write_json(path, manifest)


EDITS: dict[str, Edit] = {
    "executable": executable,
    "stray file": stray,
    "stray of another kind": stray_of_another_kind,
    "unknown key in a manifest": of_manifest(lambda _, manifest: manifest.update(yanked=True)),
    "unknown key in a definition": lambda work: work.set(f"{work.frozen()}/index.toml", "volatlie", False),
    "same version again": same_version_again,
    "released file listed twice": file_twice,
    "file of another project": file_of_another,
    "file of another digest": same_digest_elsewhere,
    "release of wrong bytes": wrong_bytes,
    "release without bytes": missing_bytes,
    "release of other facts than its bytes state": other_facts_than_the_bytes,
    "release that is not tested": untested,
    "release that is not tested, and the demand taken away": demand_dropped,
    "release to a mirror": released_to_mirror,
    "bases in a cycle": cycle,
    "base that does not exist": lambda work: work.set(f"{work.frozen()}/index.toml", "bases", ["nobody/here"]),
    "base named twice": lambda work: work.set(f"{work.frozen()}/index.toml", "bases", ["root/pypi", "root/pypi"]),
    "base of itself": base_of_itself,
    "mirror with bases": lambda work: work.set("indexes/root/pypi/index.toml", "bases", ["emilie/prod"]),
    "user.toml deleted": gone(lambda work: f"{work.frozen().rpartition('/')[0]}/user.toml"),
    "gitindex.toml deleted": gone(there(SETTINGS)),
    "gitindex.toml renamed": lambda work: work.move(SETTINGS, "GitIndex.toml"),
    "gitindex.toml that cannot be read": lambda work: work.write(SETTINGS, "format = 1\nformat = 1\n"),
    "gitindex.toml into a symlink": lambda work: work.write(SETTINGS, "README.md", SYMLINK),
    "format lowered": lambda work: work.set(SETTINGS, "format", 0),
    "format raised": lambda work: work.set(SETTINGS, "format", 2),
    "errors ignored by policy": lambda work: work.set(SETTINGS, "policy.ignore", ["GI205"]),
    "a twin of indexes/": twin,
    "sources of a hosted file taken away": source_taken_away,
}
"""All kinds by their names. Each is refused if it comes last."""
