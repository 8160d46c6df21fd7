"""Edits that the promise has nothing against, each of its own kind. One that yields is in order after each step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from tests.mutants import oracle
from tests.mutants.destructive import SETTINGS, SUBMODULE, SYMLINK, pointer
from tests.mutants.work import Edit, NothingToDoError, Work, index_of, stored_path
from tests.trees import PLAIN

EXECUTABLE = 0o100755


def any_stage(work: Work) -> str:
    return work.pick([*work.stages(volatile=False), *work.stages(volatile=True)])


def _spare_version(work: Work) -> str:
    return f"{work.random.randint(100, 10**6)}.{work.random.randint(0, 9)}"


# Releases


def new_project(work: Work) -> None:
    work.release(
        any_stage(work), work.word(), work.pick(["1.0", "0.1.0", "2026.11", "1!1.0", "1.0+local.1", "2.0.dev3"])
    )


def new_release(work: Work) -> None:
    path = work.manifest()
    work.release(index_of(path), path.split("/")[3], _spare_version(work), work.pick(["wheel", "sdist"]))


def tested_release(work: Work) -> None:
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
    work.write_json(path.removesuffix(".json") + ".tests.json", [run])


def result_added(work: Work) -> None:
    """Add a result, wherever in the list."""
    path, runs = work.results()
    new = work.pick(runs) | {"outcome": "failed", "time": "2026-11-23T07:00:00Z"}
    runs.insert(work.random.randint(0, len(runs)), new)
    work.write_json(path, runs)


def new_file(work: Work) -> None:
    """Add an sdist to a release that has none."""
    paths = [
        path
        for path in work.manifests()
        if not any(file["filename"].endswith(".tar.gz") or "url" in file for file in work.json(path)["files"])
    ]
    path = work.pick(paths)
    manifest = work.json(path)
    version = PurePosixPath(path).name.removesuffix(".json")
    manifest["files"].append(work.distribution(path.split("/")[3], version, "sdist"))
    work.write_json(path, manifest)


def hosted_project(work: Work) -> None:
    index, name = any_stage(work), work.word()
    folder = f"indexes/{index}/{name}"
    source = f"https://files.example.org/{name}/"
    work.write(f"{folder}/project.toml", f'sources = ["{source}"]\n')
    filename = f"{name}-1.0.tar.gz"
    file = {"filename": filename, "hashes": {"sha256": work.digest()}, "size": 10, "url": source + filename}
    work.write_json(f"{folder}/1.0.json", {"name": name, "version": "1.0", "files": [file]})


def more_sources(work: Work) -> None:
    path = work.pick(p for p in _statements(work) if b"sources" in work.read(p))
    work.set(path, "sources", [*work.toml(path)["sources"], "https://more.example.org/"])


def pushed(work: Work) -> None:
    """Promote a release: its manifest is written to another index."""
    known = [path.decode() for path in work.files]
    pairs = [
        (path, f"indexes/{index}/{path.split('/', 3)[3]}")
        for path in [*work.manifests(volatile=True), *work.manifests()]
        for index in work.stages(volatile=False)
        if not any(other.startswith(f"indexes/{index}/{path.split('/')[3]}/") for other in known)
        and not any("url" in file for file in work.json(path)["files"])  # its sources would have to be stated there
    ]
    path, to = work.pick(pairs)
    work.write(to, work.read(path))


# Statements


def _statements(work: Work) -> list[str]:
    return sorted(path.decode() for path in work.files if path.endswith(b"/project.toml") and path.count(b"/") == 4)


def _project(work: Work) -> tuple[str, str]:
    """Choose a manifest, and the path of its project's statements."""
    path = work.pick([*work.manifests(), *work.manifests(volatile=True)])
    return path, f"{path.rpartition('/')[0]}/project.toml"


def yank(work: Work) -> None:
    path, statements = _project(work)
    if statements.encode() not in work.files:
        work.write(statements, "")
    version = PurePosixPath(path).name.removesuffix(".json")
    what = work.pick([version, work.json(path)["files"][0]["filename"]])
    document = work.toml(statements)
    document.setdefault("yanked", {})[what] = work.pick(["", "broken", "a\nreason", 'with "quotes" — and more'])
    work.write(statements, document.as_string())


def unyank(work: Work) -> None:
    path = work.pick(path for path in _statements(work) if b"[yanked]" in work.read(path))
    work.set(path, "yanked", None)


def status(work: Work) -> None:
    _, statements = _project(work)
    if statements.encode() not in work.files:
        work.write(statements, "")
    document = work.toml(statements)
    inner: dict[str, Any] = document
    inner["status"] = work.pick(["active", "archived", "deprecated", "quarantined"])
    tables = {key: inner.pop(key) for key in ("yanked",) if key in inner}
    inner.update(tables)
    work.write(statements, document.as_string())


def no_statements(work: Work) -> None:
    work.remove(work.pick(path for path in _statements(work) if b"sources" not in work.read(path)))


# The same in another form


def reformat(work: Work) -> None:
    path = work.manifest()
    manifest = work.json(path)
    indent = work.pick([None, 0, 1, 4, "\t"])
    text = json.dumps(
        manifest, indent=indent, sort_keys=work.pick([True, False]), ensure_ascii=work.pick([True, False])
    )
    text = work.pick([text, text.replace("\n", "\r\n"), f"\n\n  {text}\n\n", text.replace(":", " :")])
    work.write(path, text if json.loads(text) == manifest else json.dumps(manifest))


def reorder_keys(work: Work) -> None:
    path = work.manifest()
    manifest = work.json(path)
    keys = list(manifest)
    work.random.shuffle(keys)
    files = [dict(work.random.sample(list(file.items()), len(file))) for file in manifest["files"]]
    work.write(path, json.dumps({key: files if key == "files" else manifest[key] for key in keys}))


def reorder_files(work: Work) -> None:
    path = work.pick(path for path in work.manifests() if len(work.json(path)["files"]) > 1)
    manifest = work.json(path)
    manifest["files"].reverse()
    work.write_json(path, manifest)


def escapes(work: Work) -> None:
    path = work.manifest()
    data = work.read(path)
    work.write(path, data.replace(b'"sha256"', b'"sha\\u003256"').replace(b"https://", b"https:\\/\\/"))


def nulls(work: Work) -> None:
    path = work.manifest()
    manifest = work.json(path)
    optional = ("upload-time", "requires-python", "core-metadata", "url", "provenance")
    manifest["files"] = [{**dict.fromkeys(optional), **file} for file in manifest["files"]]
    work.write_json(path, manifest)


def comments(work: Work) -> None:
    path = work.pick(sorted(path.decode() for path in work.files if path.endswith(b".toml")))
    work.write(path, b"# %d\n" % work.number() + work.read(path) + b"\n# the end\n")


# Definitions, users, settings


def title(work: Work) -> None:
    work.set(f"indexes/{any_stage(work)}/index.toml", work.pick(["title", "description"]), f"Title {work.number()}")


def acl(work: Work) -> None:
    work.set(f"indexes/{any_stage(work)}/index.toml", "acl_upload", work.pick([[], ["emilie"], [":team", "bob"]]))


def whitelist(work: Work) -> None:
    work.set(f"indexes/{any_stage(work)}/index.toml", "mirror_whitelist", work.pick([[], ["six"], ["*"]]))


def base_taken_away(work: Work) -> None:
    work.set(f"indexes/{any_stage(work)}/index.toml", "bases", [])


def base_added(work: Work) -> None:
    """Inherit from an index that nobody inherits from in turn: the new one."""
    path = f"indexes/{any_stage(work)}/index.toml"
    name = f"{work.pick(['emilie', 'bob'])}/{work.word()}"
    work.write(f"indexes/{name}/index.toml", "volatile = false\n")
    work.set(path, "bases", [*work.toml(path).get("bases", []), name])


def new_index(work: Work) -> None:
    text = work.pick(['type = "stage"\n', "volatile = false\n", 'bases = ["root/pypi"]\n', "volatile = true\n"])
    work.write(f"indexes/{work.pick(['emilie', 'bob'])}/{work.word()}/index.toml", text)


def new_user(work: Work) -> None:
    name = work.word()
    work.write(f"indexes/{name}/user.toml", f'email = "{name}@example.org"\n')
    work.write(f"indexes/{name}/dev/index.toml", 'bases = ["emilie/prod"]\n')


def new_mirror(work: Work) -> None:
    url = f"https://{work.word()}.example.org/simple/"
    work.write(f"indexes/root/{work.word()}/index.toml", f'type = "mirror"\nmirror_url = "{url}"\n')


def other_mirror(work: Work) -> None:
    work.set("indexes/root/pypi/index.toml", *work.pick([("mirror_min_age", "7d"), ("deny", ["left-pad"])]))


def user_edited(work: Work) -> None:
    work.set(f"indexes/{work.pick(['emilie', 'bob'])}/user.toml", "title", f"Title {work.number()}")


def idle_user_deleted(work: Work) -> None:
    work.remove("indexes/carol")


def frozen_now(work: Work) -> None:
    """Make a volatile index non-volatile, which has no volatile base."""
    volatile = work.stages(volatile=True)
    names = [n for n in volatile if not set(work.toml(f"indexes/{n}/index.toml").get("bases", [])) & set(volatile)]
    work.set(f"indexes/{work.pick(names)}/index.toml", "volatile", False)


def settings(work: Work) -> None:
    changes = [("site.title", "Another"), ("names.reserved", ["acme-*"]), ("site.url", "https://p.example.org/")]
    changes += [("groups.team", ["bob"]), ("policy.ignore", [])]
    work.set(SETTINGS, *work.pick(changes))


def storage_moved(work: Work) -> None:
    """Say that files are kept elsewhere from now on; those that are here stay for this time."""
    work.set(SETTINGS, "storage.url", work.pick(["s3://bucket/files", "az://container/files"]))


def moved_files_dropped(work: Work) -> None:
    """Give up the files in the repository, once it is published that they are kept elsewhere."""
    if oracle.is_embedded(work.published) or oracle.is_embedded(work.files):
        raise NothingToDoError
    work.remove("files")


# Volatile indexes


def _volatile(work: Work) -> str:
    return work.pick(work.manifests(volatile=True))


def volatile_file_replaced(work: Work) -> None:
    path = _volatile(work)
    version = PurePosixPath(path).name.removesuffix(".json")
    work.remove(path)
    work.files.remove(f"{path.rpartition('/')[0]}/project.toml".encode())
    work.release(index_of(path), path.split("/")[3], version)


def volatile_release_removed(work: Work) -> None:
    path = _volatile(work)
    work.files.remove(f"{path.rpartition('/')[0]}/project.toml".encode())
    work.remove(path)


def volatile_project_removed(work: Work) -> None:
    work.remove(_volatile(work).rpartition("/")[0])


def volatile_index_removed(work: Work) -> None:
    work.remove(f"indexes/{_leaf(work)}")


def _leaf(work: Work) -> str:
    """Choose a volatile index that nobody inherits from."""
    bases = {base for values in oracle.definitions(work.files).values() for base in values.get("bases", [])}
    return work.pick(name for name in work.stages(volatile=True) if name not in bases)


def volatile_renamed(work: Work) -> None:
    name = _leaf(work)
    work.move(f"indexes/{name}", f"indexes/{name.split('/')[0]}/{work.word()}")


def there_and_back(work: Work) -> Iterator[None]:
    """Remove a volatile release, and revert that."""
    path = _volatile(work)
    folder = path.rpartition("/")[0]
    before = work.remove(folder)
    yield
    work.restore(folder, before)


# The store


def orphans_removed(work: Work) -> Iterator[None]:
    """Store a file that no manifest names, and remove what no manifest names."""
    orphan_stored(work)
    yield
    stages = [*work.stages(volatile=False), *work.stages(volatile=True)]
    named = {place.encode() for index in stages for place in oracle.stored_by(work.files, index)}
    for path in [path for path in work.files if path.startswith(b"files/") and path not in named]:
        del work.files[path]


def orphan_stored(work: Work) -> None:
    if not work.is_embedded:
        raise NothingToDoError
    work.distribution(work.word(), "1.0")


def into_pointer(work: Work) -> None:
    """Hand a stored file over to Git LFS."""
    path = work.stored()
    data = work.read(path)
    if data.startswith(b"version https://git-lfs"):
        raise NothingToDoError
    work.known["".join(path.split("/")[1:3])] = data
    work.write(path, pointer("".join(path.split("/")[1:3]), len(data)))


def out_of_pointer(work: Work) -> None:
    """Take a stored file back from Git LFS."""
    paths = [path for path, node in work.files.items() if node.data.startswith(b"version https://git-lfs")]
    path = work.pick(sorted(path.decode() for path in paths))
    digest = "".join(path.split("/")[1:3])
    if digest not in work.known or stored_path(digest, PurePosixPath(path).name) != path:
        raise NothingToDoError
    work.write(path, work.known[digest])


# What is no business of the guard


def beside(work: Work) -> None:
    path, mode = work.pick(
        [
            ("README.md", PLAIN),
            (".gitattributes", PLAIN),
            ("bin/run.sh", EXECUTABLE),
            ("link", SYMLINK),
            ("vendor", SUBMODULE),
            ("docs/Indexes/x.json", PLAIN),
            ("docs/indexes/emilie/prod/alpha/1.0.json", PLAIN),
            (".github/workflows/x.yml", PLAIN),
            ("na\N{COMBINING DIAERESIS}me \N{SNOWMAN}.txt", PLAIN),
        ]
    )
    work.write(path, work.random.randbytes(20), mode)


def beside_removed(work: Work) -> None:
    ours = (b"indexes/", b"files/", b"gitindex.toml")
    work.remove(work.pick(sorted(path.decode() for path in work.files if not path.startswith(ours))))


def nothing(_: Work) -> None:
    """Change nothing: an empty commit."""


EDITS: dict[str, Edit] = {
    "new project": new_project,
    "new release": new_release,
    "new file in a release": new_file,
    "new release that is tested": tested_release,
    "result of tests added": result_added,
    "new hosted project": hosted_project,
    "more sources": more_sources,
    "release promoted": pushed,
    "yank": yank,
    "unyank": unyank,
    "status": status,
    "statements removed": no_statements,
    "manifest in another form": reformat,
    "keys in another order": reorder_keys,
    "files in another order": reorder_files,
    "text in escapes": escapes,
    "absent facts as null": nulls,
    "comments": comments,
    "title": title,
    "ACL": acl,
    "whitelist": whitelist,
    "base taken away": base_taken_away,
    "base added": base_added,
    "new index": new_index,
    "new user": new_user,
    "new mirror": new_mirror,
    "other mirror": other_mirror,
    "user edited": user_edited,
    "idle user deleted": idle_user_deleted,
    "made non-volatile": frozen_now,
    "settings": settings,
    "storage moved": storage_moved,
    "moved files dropped": moved_files_dropped,
    "volatile file replaced": volatile_file_replaced,
    "volatile release removed": volatile_release_removed,
    "volatile project removed": volatile_project_removed,
    "volatile index removed": volatile_index_removed,
    "volatile index renamed": volatile_renamed,
    "volatile release removed, and back": there_and_back,
    "orphans removed": orphans_removed,
    "orphan stored": orphan_stored,
    "stored file into an LFS pointer": into_pointer,
    "stored file out of an LFS pointer": out_of_pointer,
    "files beside": beside,
    "files beside removed": beside_removed,
    "nothing": nothing,
}
"""All kinds by their names."""


def new_frozen_project(work: Work) -> None:
    work.release(work.pick(work.stages(volatile=False)), work.word(), "1.0")


APART: tuple[Edit, ...] = (new_frozen_project, new_user, new_mirror)
"""What gets along with whatever harmless another branch does."""
