"""Edits that destroy something of what a non-volatile index promises, each of its own kind.

Whether one does so in the end, together with others, the oracle decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.mutants.work import Edit, NothingToDoError, Work, index_of, stored_path
from tests.trees import Files

Entry = dict[str, Any]
SYMLINK, SUBMODULE = 0o120000, 0o160000
SETTINGS = "gitindex.toml"


# Facts of a file


def of_file(change: Callable[[Work, Entry], object], needs: str = "") -> Edit:
    """Return an edit of one file's entry in a manifest; only of one that has the fact *needs*."""

    def edit(work: Work) -> None:
        places = [
            (path, place)
            for path in work.manifests()
            for place, file in enumerate(work.json(path)["files"])
            if isinstance(file, dict) and (not needs or file.get(needs) is not None)
        ]
        path, place = work.pick(places)
        manifest = work.json(path)
        change(work, manifest["files"][place])
        work.write_json(path, manifest)

    return edit


def of_manifest(change: Callable[[Work, dict[str, Any]], object]) -> Edit:
    """Return an edit of a whole manifest."""

    def edit(work: Work) -> None:
        path = work.manifest()
        manifest = work.json(path)
        change(work, manifest)
        work.write_json(path, manifest)

    return edit


def of_text(change: Callable[[Work, bytes], bytes]) -> Edit:
    """Return an edit of a manifest's bytes."""

    def edit(work: Work) -> None:
        path = work.manifest()
        before = work.read(path)
        after = change(work, before)
        if after == before:
            raise NothingToDoError
        work.write(path, after)

    return edit


def _nothing() -> None:
    raise NothingToDoError


def put(key: str, value: Any) -> Callable[[Work, Entry], object]:
    return lambda _, file: file.update({key: value})


def drop(key: str) -> Callable[[Work, Entry], object]:
    return lambda _, file: file.pop(key, None)


def _other_digest(work: Work, file: Entry) -> None:
    file["hashes"] = {"sha256": work.digest()}


def _digest_of_another(work: Work, file: Entry) -> None:
    others = {
        other["hashes"]["sha256"]
        for path in work.manifests()
        for other in work.json(path)["files"]
        if isinstance(other, dict) and isinstance(other.get("hashes"), dict) and "sha256" in other["hashes"]
    }
    file["hashes"] = {"sha256": work.pick(sorted(others - {file.get("hashes", {}).get("sha256")}))}


def _digest_in_upper_case(_: Work, file: Entry) -> None:
    file["hashes"]["sha256"] = file["hashes"]["sha256"].upper()


def _digest_in_full_width(_: Work, file: Entry) -> None:
    digits = str.maketrans("0123456789", "０１２３４５６７８９")  # noqa: RUF001 - that is the trick
    file["hashes"]["sha256"] = file["hashes"]["sha256"].translate(digits)


def _really_other_bytes(work: Work, file: Entry) -> None:
    """Replace a release by a sound one of other bytes: only the promise speaks against it."""
    name, version = file["filename"].split("-")[:2]
    kind = "wheel" if file["filename"].endswith(".whl") else "sdist"
    made = work.distribution(name, version.removesuffix(".tar.gz"), kind)
    if made["filename"] != file["filename"]:
        raise NothingToDoError
    file.clear()
    file.update(made)


def _later_by_nothing(_: Work, file: Entry) -> None:
    file["upload-time"] = file["upload-time"].replace("Z", ".000Z").replace(".000.000Z", ".0Z")


def _space_in_specifier(_: Work, file: Entry) -> None:
    file["requires-python"] = " " + file["requires-python"]


def _no_break_space(_: Work, file: Entry) -> None:
    file["requires-python"] += "\N{NO-BREAK SPACE}"


def _to_elsewhere(_: Work, file: Entry) -> None:
    file["url"] = file["url"].replace("/hosted/", "/hosted/../hosted/")


def _to_another_host(work: Work, file: Entry) -> None:
    file["url"] = f"https://{work.word()}.example.org/{file['filename']}"


def _host_it(_: Work, file: Entry) -> None:
    if "url" in file:
        raise NothingToDoError
    file["url"] = f"https://files.example.org/hosted/{file['filename']}"


def _other_build(_: Work, file: Entry) -> None:
    file["filename"] = file["filename"].replace("-py3-", "-1-py3-").replace(".tar.gz", ".zip")


def _upper_filename(_: Work, file: Entry) -> None:
    file["filename"] = file["filename"][0].upper() + file["filename"][1:]


def _invisible_in_filename(work: Work, file: Entry) -> None:
    mark = work.pick(["\N{ZERO WIDTH SPACE}", "\N{RIGHT-TO-LEFT OVERRIDE}", "\N{COMBINING ACUTE ACCENT}", "\0"])
    file["filename"] = file["filename"].replace("-", f"{mark}-", 1)


FACTS: dict[str, Edit] = {
    "sha256 changed": of_file(_other_digest),
    "sha256 of another file": of_file(_digest_of_another),
    "sha256 in upper case": of_file(_digest_in_upper_case, "hashes"),
    "sha256 in full-width digits": of_file(_digest_in_full_width, "hashes"),
    "sha256 taken away": of_file(put("hashes", {})),
    "file replaced by a sound one": of_file(_really_other_bytes),
    "size changed": of_file(lambda work, file: file.update(size=work.random.randrange(1, 10**6))),
    "size as a float": of_file(lambda _, file: file.update(size=float(file["size"]))),
    "size as a string": of_file(lambda _, file: file.update(size=str(file["size"]))),
    "size taken away": of_file(drop("size")),
    "upload-time changed": of_file(put("upload-time", "2026-11-22T07:25:01Z")),
    "upload-time with a fraction": of_file(_later_by_nothing, "upload-time"),
    "upload-time taken away": of_file(drop("upload-time"), "upload-time"),
    "upload-time null": of_file(put("upload-time", None), "upload-time"),
    "requires-python changed": of_file(put("requires-python", ">=3.13"), "requires-python"),
    "requires-python with a space": of_file(_space_in_specifier, "requires-python"),
    "requires-python with a no-break space": of_file(_no_break_space, "requires-python"),
    "requires-python taken away": of_file(drop("requires-python"), "requires-python"),
    "core-metadata changed": of_file(
        lambda work, file: file.update({"core-metadata": {"sha256": work.digest()}}), "core-metadata"
    ),
    "core-metadata taken away": of_file(drop("core-metadata"), "core-metadata"),
    "url changed": of_file(_to_another_host, "url"),
    "url with dots": of_file(_to_elsewhere, "url"),
    "url taken away": of_file(drop("url"), "url"),
    "filename of another build": of_file(_other_build),
    "filename in upper case": of_file(_upper_filename),
    "filename with an invisible character": of_file(_invisible_in_filename),
    "provenance changed": of_file(lambda work, file: file.update(provenance=work.digest()), "provenance"),
    "provenance taken away": of_file(drop("provenance"), "provenance"),
    "requires-python added": of_file(
        lambda _, file: file.update({"requires-python": ">=2.7"}) if "requires-python" not in file else _nothing()
    ),
    "core-metadata added": of_file(
        lambda work, file: (
            file.update({"core-metadata": {"sha256": work.digest()}}) if "core-metadata" not in file else _nothing()
        )
    ),
    "provenance added": of_file(
        lambda work, file: file.update(provenance=work.digest()) if "provenance" not in file else _nothing()
    ),
    "stored file given a url": of_file(_host_it),
}


# Manifests


def _files_replaced(work: Work, manifest: dict[str, Any]) -> None:
    name = manifest["name"].lower().replace(".", "-").replace("_", "-")
    manifest["files"] = [work.distribution(name, manifest["version"])]


def _one_file_less(work: Work, manifest: dict[str, Any]) -> None:
    manifest["files"].pop(work.random.randrange(len(manifest["files"])))


def _key_twice(work: Work, data: bytes) -> bytes:
    """Put a key before the true one: a reader that takes the last sees no difference, one that takes the first does."""
    twice = work.pick([b'"sha256":', b'"size":', b'"filename":', b'"version":', b'"files":'])
    value = {b'"sha256":': b'"%s"' % work.digest().encode(), b'"size":': b"1", b'"files":': b"[]"}.get(twice, b'"x"')
    return data.replace(twice, b"%s %s, %s" % (twice, value, twice), 1)


def _escaped_key_twice(work: Work, data: bytes) -> bytes:
    return data.replace(b'"sha256":', b'"sha\\u0032\\u0035\\u0036": "%s", "sha256":' % work.digest().encode(), 1)


def _key_in_upper_case(work: Work, data: bytes) -> bytes:
    key = work.pick([b'"name"', b'"size"', b'"hashes"', b'"sha256"', b'"filename"'])
    return data.replace(key, key.title(), 1)


def _cut(work: Work, data: bytes) -> bytes:
    return data[: work.random.randrange(max(1, data.rindex(b"}")))]


def swap_manifests(work: Work) -> None:
    paths = work.manifests()
    one, other = work.pick(paths), work.pick(paths)
    if work.read(one) == work.read(other):
        raise NothingToDoError
    a, b = work.read(one), work.read(other)
    work.write(one, b)
    work.write(other, a)


def respell_version(work: Work) -> None:
    path = work.manifest()
    folder, _, name = path.rpartition("/")
    version = name.removesuffix(".json")
    other = work.pick([f"{version}.0", f"v{version}", f"{version}.post0", f"0!{version}", version.replace("rc", ".rc")])
    if other == version:
        raise NothingToDoError
    manifest = work.json(path)
    work.remove(path)
    work.write_json(f"{folder}/{other}.json", manifest | {"version": other})


def invisible_in_version(work: Work) -> None:
    path = work.manifest()
    mark = work.pick(["\N{ZERO WIDTH SPACE}", "\N{ZERO WIDTH JOINER}", " ", "\N{NO-BREAK SPACE}"])
    work.move(path, path.removesuffix(".json") + f"{mark}.json")


def delete_manifest(work: Work) -> None:
    work.remove(work.manifest())


def delete_and_add_again(work: Work) -> Iterator[None]:
    path = work.manifest()
    manifest = work.json(path)
    work.remove(path)
    yield
    manifest["files"][0]["hashes"] = {"sha256": work.digest()}
    work.write_json(path, manifest)


def break_and_mend(work: Work) -> Iterator[None]:
    path = work.manifest()
    manifest = work.json(path)
    work.write(path, work.read(path)[:-5])
    yield
    manifest["files"][0]["hashes"] = {"sha256": work.digest()}
    work.write_json(path, manifest)


def rename_away_and_back(work: Work) -> Iterator[None]:
    path = work.manifest()
    away = path.removesuffix(".json") + ".old"
    work.move(path, away)
    yield
    work.replace(away, b'"sha256": "', b'"sha256": "0')
    yield
    work.move(away, path)


def turned(place: Callable[[Work], str], mode: int, data: Callable[[Work, str], bytes]) -> Edit:
    """Return an edit that puts something of another kind into the place of a file or a folder."""

    def edit(work: Work) -> None:
        path = place(work)
        content = data(work, path)
        work.remove(path)
        work.write(path, content, mode)

    return edit


def into_symlink(place: Callable[[Work], str]) -> Edit:
    def edit(work: Work) -> None:
        path = place(work)
        name = path.rpartition("/")[2]
        away = work.pick([f"moved/{name}", f"{path}.real", f"{path.rpartition('/')[0]}/.{name}".lstrip("/")])
        work.move(path, away)
        work.write(path, "../" * path.count("/") + away, SYMLINK)

    return edit


def into_submodule(place: Callable[[Work], str]) -> Edit:
    return turned(place, SUBMODULE, lambda work, _: work.random.randbytes(20))


def into_file(place: Callable[[Work], str]) -> Edit:
    return turned(place, 0o100644, lambda *_: b"")


def into_folder(place: Callable[[Work], str]) -> Edit:
    """Return an edit that puts a folder, with the file in it, into a file's place."""

    def edit(work: Work) -> None:
        path = place(work)
        found = work.remove(path)
        name = path.rpartition("/")[2]
        work.restore(f"{path}/{work.pick([name, 'x', '.git'])}", found)

    return edit


def gone(place: Callable[[Work], str]) -> Edit:
    def edit(work: Work) -> None:
        work.remove(place(work))

    return edit


def moved(place: Callable[[Work], str], to: Callable[[Work, str], str]) -> Edit:
    def edit(work: Work) -> None:
        path = place(work)
        target = to(work, path)
        if target == path:
            raise NothingToDoError
        work.move(path, target)

    return edit


def there(path: str) -> Callable[[Work], str]:
    return lambda _: path


MANIFESTS: dict[str, Edit] = {
    "name spelled otherwise": of_manifest(lambda _, manifest: manifest.update(name=manifest["name"].swapcase())),
    "name of another project": of_manifest(lambda work, manifest: manifest.update(name=work.word())),
    "version said to be another": of_manifest(lambda _, manifest: manifest.update(version=manifest["version"] + ".1")),
    "one file less": of_manifest(_one_file_less),
    "all files replaced": of_manifest(_files_replaced),
    "no files": of_manifest(lambda _, manifest: manifest.update(files=[])),
    "manifest emptied": of_text(lambda *_: b""),
    "manifest cut off": of_text(_cut),
    "manifest with a byte order mark": of_text(lambda _, data: b"\xef\xbb\xbf" + data),
    "manifest in UTF-16": of_text(lambda _, data: data.decode("utf-8", "replace").encode("utf-16")),
    "manifest with something behind it": of_text(lambda work, data: data + work.pick([b"{}", b"\0", b"]", data])),
    "manifest too large by white space": of_text(lambda _, data: data + b" " * (1024 * 1024)),
    "manifest with a conflict": of_text(lambda _, data: b"<<<<<<< ours\n" + data + b"=======\n{}\n>>>>>>> theirs\n"),
    "key twice": of_text(_key_twice),
    "key twice, once in escapes": of_text(_escaped_key_twice),
    "key in upper case": of_text(_key_in_upper_case),
    "manifests swapped": swap_manifests,
    "manifest deleted": delete_manifest,
    "manifest deleted, added again with another hash": delete_and_add_again,
    "manifest broken, then repaired": break_and_mend,
    "manifest renamed away and back": rename_away_and_back,
    "version spelled otherwise": respell_version,
    "version with an invisible character": invisible_in_version,
    "manifest into a symlink": into_symlink(Work.manifest),
    "manifest into a submodule": into_submodule(Work.manifest),
    "manifest into a folder": into_folder(Work.manifest),
    "manifest hidden": moved(Work.manifest, lambda _, path: path.removesuffix(".json") + ".JSON"),
}


# Results of tests


def of_results(change: Callable[[Work, list[dict[str, Any]]], object]) -> Edit:
    """Return an edit of what came of testing a release."""

    def edit(work: Work) -> None:
        path, runs = work.results()
        change(work, runs)
        work.write_json(path, runs)

    return edit


def _results(work: Work) -> str:
    return work.results()[0]


RESULTS: dict[str, Edit] = {
    "result removed": of_results(lambda work, runs: runs.remove(work.pick(runs))),
    "result made a passed one": of_results(lambda _, runs: runs[0].update(outcome="passed", duration=1)),
    "result of another file": of_results(lambda work, runs: work.pick(runs).update(files=[work.digest()])),
    "result made an older one": of_results(lambda work, runs: work.pick(runs).update(time="2026-01-01T00:00:00Z")),
    "results deleted": gone(_results),
    "results into a symlink": into_symlink(_results),
    "results hidden": moved(_results, lambda _, path: path.removesuffix(".json") + ".JSON"),
}


# Projects, indexes, users, and what holds them


def _sibling(work: Work, path: str) -> str:
    return f"{path.rpartition('/')[0]}/{work.word()}"


def _other_case(_work: Work, path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/{name.capitalize()}"


def _other_spelling(work: Work, path: str) -> str:
    folder, _, name = path.rpartition("/")
    marked = work.pick(["\N{ZERO WIDTH SPACE}", " ", ".", "_"])
    return f"{folder}/{name.replace('-', marked) if '-' in name else name + marked}"


def _homoglyph(_work: Work, path: str) -> str:
    folder, _, name = path.rpartition("/")
    looks = str.maketrans("aeop", "аеор")  # noqa: RUF001 - that is the trick
    return f"{folder}/{name.translate(looks)}"


def _elsewhere(work: Work, path: str) -> str:
    others = [*work.stages(volatile=True), *work.stages(volatile=False)]
    index = work.pick([name for name in others if name != index_of(path)])
    return f"indexes/{index}/{path.rpartition('/')[2]}"


def _owner(work: Work) -> str:
    return work.frozen().rpartition("/")[0]


def _definition(work: Work) -> str:
    return f"indexes/{work.pick(work.stages(volatile=False))}/index.toml"


def project_without_releases(work: Work) -> None:
    folder = work.project()
    for path in work.manifests():
        if path.startswith(f"{folder}/"):
            work.remove(path)
    work.write(f"{folder}/project.toml", 'status = "archived"\n')


def swap_indexes(work: Work) -> None:
    one, other = work.frozen(), f"indexes/{work.pick(work.stages(volatile=True))}"
    work.move(one, "aside")
    work.move(other, one)
    work.move("aside", other)


def swap_contents(work: Work) -> None:
    """Give the releases of one index to another, each under its own definition."""
    one, other = work.frozen(), f"indexes/{work.pick([*work.stages(volatile=True), *work.stages(volatile=False)])}"
    if one == other:
        raise NothingToDoError
    definitions = {path: work.read(f"{path}/index.toml") for path in (one, other)}
    work.move(one, "aside")
    work.move(other, one)
    work.move("aside", other)
    for path, data in definitions.items():
        work.write(f"{path}/index.toml", data)


def thaw(work: Work) -> None:
    work.set(_definition(work), "volatile", True)


def thaw_by_default(work: Work) -> None:
    work.set(_definition(work), "volatile", None)


def thaw_change_and_freeze(work: Work) -> Iterator[None]:
    path = work.manifest()
    definition = f"indexes/{index_of(path)}/index.toml"
    frozen = work.read(definition)
    work.set(definition, "volatile", True)
    yield
    manifest = work.json(path)
    if work.random.random() < 0.5:
        work.remove(path)
    else:
        manifest["files"][0]["hashes"] = {"sha256": work.digest()}
        work.write_json(path, manifest)
    yield
    work.write(definition, frozen)


def definition_then_content(work: Work) -> Iterator[None]:
    folder = work.frozen()
    definition = work.remove(f"{folder}/index.toml")
    yield
    work.remove(folder)
    yield
    if work.random.random() < 0.5:
        work.restore(f"{folder}/index.toml", definition)


def mirror_and_back(work: Work) -> Iterator[None]:
    path = work.manifest()
    definition = f"indexes/{index_of(path)}/index.toml"
    stage = work.read(definition)
    work.write(definition, 'type = "mirror"\n')
    yield
    work.remove(path)
    yield
    work.write(definition, stage)


def break_definition_and_empty(work: Work) -> Iterator[None]:
    path = work.manifest()
    definition = f"indexes/{index_of(path)}/index.toml"
    stage = work.read(definition)
    work.write(definition, stage + b"\nvolatile = maybe\n")
    yield
    work.remove(path)
    yield
    work.write(definition, stage)


def freeze_into_another(work: Work) -> None:
    """Have a non-volatile index inherit from a volatile one."""
    definition = _definition(work)
    work.set(definition, "bases", [work.pick(work.stages(volatile=True))])


def thaw_beneath(work: Work) -> None:
    """Put a volatile index where the mirror stood that non-volatile ones inherit from."""
    mirror = work.pick(
        sorted(
            base
            for name in work.stages(volatile=False)
            for base in work.toml(f"indexes/{name}/index.toml").get("bases", [])
            if f"indexes/{base}/index.toml".encode() in work.files
        )
    )
    work.write(f"indexes/{mirror}/index.toml", 'type = "stage"\nvolatile = true\n')


def into_subfolder(work: Work) -> None:
    """Move the whole of it into a folder."""
    found = Files(work.files)
    work.files.clear()
    work.restore("packages/", found)


PLACES: dict[str, Edit] = {
    "project deleted": gone(Work.project),
    "project without releases": project_without_releases,
    "project renamed": moved(Work.project, _sibling),
    "project in upper case": moved(Work.project, _other_case),
    "project spelled otherwise": moved(Work.project, _other_spelling),
    "project by letters that look alike": moved(Work.project, _homoglyph),
    "project moved to another index": moved(Work.project, _elsewhere),
    "project moved down": moved(Work.project, lambda _, path: f"{path}/{path.rpartition('/')[2]}"),
    "project into a file": into_file(Work.project),
    "project into a symlink": into_symlink(Work.project),
    "project into a submodule": into_submodule(Work.project),
    "project with a .git": moved(Work.project, lambda _, path: f"{path}/.git"),
    "index deleted": gone(Work.frozen),
    "index renamed": moved(Work.frozen, _sibling),
    "index in upper case": moved(Work.frozen, _other_case),
    "index with an invisible character": moved(Work.frozen, lambda _, path: f"{path}\N{ZERO WIDTH SPACE}"),
    "index given to another user": moved(Work.frozen, lambda _, path: f"indexes/bob/{path.rpartition('/')[2]}x"),
    "index into a file": into_file(Work.frozen),
    "index into a symlink": into_symlink(Work.frozen),
    "index into a submodule": into_submodule(Work.frozen),
    "indexes swapped": swap_indexes,
    "contents of indexes swapped": swap_contents,
    "definition deleted": gone(_definition),
    "definition deleted, then the content": definition_then_content,
    "definition into a symlink": into_symlink(_definition),
    "definition into a submodule": into_submodule(_definition),
    "definition into a folder": into_folder(_definition),
    "definition in upper case": moved(_definition, lambda _, path: path.replace("index.toml", "INDEX.toml")),
    "definition that cannot be read": lambda work: work.write(_definition(work), "volatile = false\nvolatile = true\n"),
    "definition broken, index emptied, definition mended": break_definition_and_empty,
    "made volatile": thaw,
    "volatile by default": thaw_by_default,
    "made volatile, changed, made non-volatile": thaw_change_and_freeze,
    "type changed to mirror": lambda work: work.write(_definition(work), 'type = "mirror"\n'),
    "type changed, release deleted, type changed back": mirror_and_back,
    "a volatile base": freeze_into_another,
    "a mirror beneath made a volatile stage": thaw_beneath,
    "user folder deleted": gone(_owner),
    "user folder renamed": moved(_owner, _sibling),
    "user folder in upper case": moved(_owner, _other_case),
    "user folder into a file": into_file(_owner),
    "user folder into a symlink": into_symlink(_owner),
    "user folder into a submodule": into_submodule(_owner),
    "indexes/ deleted": gone(there("indexes")),
    "indexes/ renamed": moved(there("indexes"), lambda *_: "Indexes"),
    "indexes/ moved down": moved(there("indexes"), lambda *_: "indexes/indexes"),
    "indexes/ into a file": into_file(there("indexes")),
    "indexes/ into a symlink": into_symlink(there("indexes")),
    "indexes/ into a submodule": into_submodule(there("indexes")),
    "all of it into a folder": into_subfolder,
}


# Stored bytes


def of_stored(change: Callable[[Work, bytes], bytes], suffix: str = "") -> Edit:
    """Return an edit of the bytes of a stored file."""

    def edit(work: Work) -> None:
        path = work.stored(suffix)
        before = work.read(path)
        after = change(work, before)
        if after == before:
            raise NothingToDoError
        work.write(path, after)

    return edit


def _stored(work: Work) -> str:
    return work.stored()


def _sidecar(work: Work) -> str:
    return work.stored(work.pick([".metadata", ".provenance"]))


def _prefix(work: Work) -> str:
    return work.stored().rpartition("/")[0].rpartition("/")[0]


def _digest_folder(work: Work) -> str:
    return work.stored().rpartition("/")[0]


def pointer(sha256: str, size: int) -> bytes:
    """Return a Git LFS pointer."""
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (sha256.encode(), size)


def _pointer_to_another(work: Work, data: bytes) -> bytes:
    return pointer(work.digest(), len(data))


def pointer_of_other_size(work: Work) -> None:
    path = work.stored()
    sha256 = "".join(path.split("/")[1:3])
    work.write(path, pointer(sha256, work.random.randrange(10**6, 10**7)))


def bytes_and_manifest(work: Work) -> None:
    """Replace a stored file by another, and have its place say so: the manifest alone stays."""
    path = work.stored()
    data = work.read(path)
    other = data + b"\0"
    work.remove(path)
    work.write(stored_path(work.digest(), path.rpartition("/")[2]), other)


def delete_and_store_again(work: Work) -> Iterator[None]:
    path = work.stored()
    data = work.read(path)
    work.remove(path)
    yield
    work.write(path, data[:-1])


def storage_moved_and_emptied(work: Work) -> Iterator[None]:
    """Name another storage and delete what frozen releases need before that is in force."""
    if not work.has_store:
        raise NothingToDoError
    work.set(SETTINGS, "storage.url", "s3://bucket/files")
    yield
    work.remove("files")


def storage_moved_and_back(work: Work) -> Iterator[None]:
    path = work.stored()
    settings = work.read(SETTINGS)
    if not work.has_store:
        raise NothingToDoError
    work.set(SETTINGS, "storage.url", "gs://bucket/files")
    yield
    work.remove(path)
    yield
    work.write(SETTINGS, settings)


STORED: dict[str, Edit] = {
    "stored file deleted": gone(_stored),
    "stored file changed": of_stored(lambda work, data: data[:-1] + bytes([data[-1] ^ work.random.randint(1, 255)])),
    "stored file cut off": of_stored(lambda work, data: data[: work.random.randrange(len(data))]),
    "stored file of white space more": of_stored(lambda _, data: data + b"\n"),
    "stored file renamed": moved(_stored, lambda work, path: f"{path.rpartition('/')[0]}/{work.word()}-1.0.tar.gz"),
    "stored file in upper case": moved(_stored, _other_case),
    "stored file into a symlink": into_symlink(_stored),
    "stored file into a submodule": into_submodule(_stored),
    "stored file into a folder": into_folder(_stored),
    "stored file moved to another digest": bytes_and_manifest,
    "stored file deleted, then stored again": delete_and_store_again,
    "LFS pointer of another file": of_stored(_pointer_to_another),
    "LFS pointer of another size": pointer_of_other_size,
    "sidecar deleted": gone(_sidecar),
    "sidecar changed": lambda work: of_stored(lambda _, data: data + b"X: y\n", _sidecar(work)[-9:])(work),
    "sidecar into an LFS pointer of another": of_stored(_pointer_to_another, ".metadata"),
    "sidecar into a symlink": into_symlink(_sidecar),
    "folder of a digest in upper case": moved(_digest_folder, lambda _, path: path[:9] + path[9:].upper()),
    "folder of a digest into a submodule": into_submodule(_digest_folder),
    "folder of a prefix deleted": gone(_prefix),
    "folder of a prefix into a symlink": into_symlink(_prefix),
    "files/ deleted": gone(there("files")),
    "files/ renamed": lambda work: work.move("files", "Files"),
    "files/ into a submodule": into_submodule(there("files")),
    "files/ into a symlink": into_symlink(there("files")),
    "storage moved and emptied at once": storage_moved_and_emptied,
    "storage moved, a file deleted, storage moved back": storage_moved_and_back,
}


EDITS: dict[str, Edit] = FACTS | MANIFESTS | RESULTS | PLACES | STORED
"""All kinds by their names."""
EMBEDDED = frozenset(STORED)
"""Kinds that need the files to be in the repository."""
