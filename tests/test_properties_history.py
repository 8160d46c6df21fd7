"""What holds for any change: a non-volatile index keeps every released fact, and resolution ends on any graph."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import given, settings, strategies as st

from gitindex import layout
from gitindex.compare import Change
from gitindex.finding import Finding, Severity
from gitindex.names import IndexName, UserName
from gitindex.resolve import resolution_order
from gitindex.snapshot import Snapshot
from gitindex.tree import EMPTY, Kind, Leaf, Overlay, leaf
from gitindex.validate import validate

PROD = IndexName(UserName("emilie"), "prod")
PROD_FOLDER = "indexes/emilie/prod"
COMMON = Path(__file__).parent / "cases" / "common"


def snapshot(files: Mapping[str, bytes]) -> Snapshot:
    return snapshot_of({path: leaf(data) for path, data in files.items()})


def snapshot_of(leaves: Mapping[str, Leaf]) -> Snapshot:
    """Return a snapshot in memory, whose files have ids as those in Git have."""
    return Snapshot(Overlay(EMPTY, {path: found._replace(id=found.read()) for path, found in leaves.items()}), None)


# Releases as a model: what validate accepts is what keeps every fact


class Fact(NamedTuple):
    """All that a manifest says of one file."""

    name: str
    sha256: str
    size: int
    upload_time: str | None
    requires_python: str | None
    core_metadata: str | None


class Release(NamedTuple):
    """The place of a file: one version of one project has several."""

    project: str
    version: str
    filename: str


Facts = dict[Release, Fact]

PROJECTS = ("alpha", "beta-two")
VERSIONS = ("1.0", "1.0.0", "1.1", "2.0rc1")
TAGS = ("py3-none-any.whl", "1-py3-none-any.whl", "cp311-abi3-linux_x86_64.whl")

digests = st.sampled_from([hashlib.sha256(bytes([number])).hexdigest() for number in range(4)])
facts = st.builds(
    Fact,
    name=st.just(""),
    sha256=digests,
    size=st.integers(1, 3),
    upload_time=st.sampled_from([None, "2026-11-22T07:25:00Z", "2026-11-22T07:25:00.5Z"]),
    requires_python=st.sampled_from([None, "", ">=3.9", ">= 3.9"]),
    core_metadata=st.none() | digests,
)


def filename(project: str, version: str, end: str) -> str:
    stem = f"{project.replace('-', '_')}-{version}"
    return f"{stem}.tar.gz" if end == "sdist" else f"{stem}-{end}"


releases = st.builds(
    lambda project, version, end: Release(project, version, filename(project, version, end)),
    st.sampled_from(PROJECTS),
    st.sampled_from(VERSIONS),
    st.sampled_from([*TAGS, "sdist"]),
)


def in_order(found: Facts) -> Facts:
    """Make a model one that only its history can be wrong with: one spelling of a version, one of a name."""
    spelling: dict[tuple[str, str], str] = {}
    names: dict[tuple[str, str], str] = {}
    kept: Facts = {}
    for release, fact in found.items():
        version = "1.0" if release.version == "1.0.0" else release.version
        if spelling.setdefault((release.project, version), release.version) == release.version:
            name = names.setdefault((release.project, release.version), fact.name or release.project)
            kept[release] = fact._replace(name=name)
    return kept


@st.composite
def edits(draw: st.DrawFn, before: Facts) -> Facts:
    """Draw what a change makes of the releases."""
    after = dict(before)
    for _ in range(draw(st.integers(0, 3))):
        known = sorted(after)
        kind = draw(st.sampled_from(["add", "fact", "name", "file", "version", "project", "move", "respell"]))
        if kind == "add" or not known:
            after.setdefault(draw(releases), draw(facts))
            continue
        chosen = draw(st.sampled_from(known))
        of_version = [release for release in known if release[:2] == chosen[:2]]
        match kind:
            case "fact":
                key = draw(st.sampled_from(["sha256", "size", "upload_time", "requires_python", "core_metadata"]))
                after[chosen] = after[chosen]._replace(**{key: getattr(draw(facts), key)})
            case "name":
                name = draw(st.sampled_from([chosen.project, chosen.project.upper(), chosen.project.replace("-", "_")]))
                after |= {release: after[release]._replace(name=name) for release in of_version}
            case "file":
                del after[chosen]
            case "version":
                after = {release: fact for release, fact in after.items() if release not in of_version}
            case "project":
                after = {release: fact for release, fact in after.items() if release.project != chosen.project}
            case "move" | "respell":
                target = draw(st.sampled_from(VERSIONS)) if kind == "move" else "1.0.0"
                for release in of_version:
                    name = release.filename.replace(f"-{release.version}", f"-{target}", 1)
                    after[Release(release.project, target, name)] = after.pop(release)
    return in_order(after)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Facts, Facts]:
    before = in_order(draw(st.dictionaries(releases, facts, max_size=5)))
    return before, draw(edits(before))


def manifest_file(release: Release, fact: Fact, *, with_nulls: bool) -> dict[str, Any]:
    values = {
        "filename": release.filename,
        "hashes": {"sha256": fact.sha256},
        "size": fact.size,
        "upload-time": fact.upload_time,
        "requires-python": fact.requires_python,
        "core-metadata": None if fact.core_metadata is None else {"sha256": fact.core_metadata},
    }
    return {key: value for key, value in values.items() if with_nulls or value is not None}


@st.composite
def written(draw: st.DrawFn, found: Facts, *, volatile: bool = False) -> dict[str, bytes]:
    """Draw one way to write a model down: order, white space, escapes and statements are free."""
    files = {
        # Elsewhere than here, so that the facts alone are looked at.
        layout.SETTINGS: b'format = 1\n[storage]\nurl = "s3://bucket/files"\n',
        "indexes/emilie/user.toml": b"",
        f"{PROD_FOLDER}/index.toml": f"volatile = {str(volatile).lower()}\n".encode(),
    }
    for project, version in sorted({release[:2] for release in found}):
        members = [release for release in found if release[:2] == (project, version)]
        document = {
            "name": found[members[0]].name,
            "version": version,
            "files": [
                manifest_file(release, found[release], with_nulls=draw(st.booleans()))
                for release in draw(st.permutations(members))
            ],
        }
        keys = draw(st.permutations(sorted(document)))
        text = json.dumps(
            {key: document[key] for key in keys},
            indent=draw(st.sampled_from([None, 2, "\t"])),
            sort_keys=draw(st.booleans()),
        )
        if draw(st.booleans()):
            text = text.replace('"name"', '"n\\u0061me"').replace("\n", "\r\n") + "\n\n"
        files[f"{PROD_FOLDER}/{project}/{version}.json"] = text.encode()
    for project in sorted({release.project for release in found}):
        status = draw(st.sampled_from(["", 'status = "archived"\n', 'status = "quarantined"\n']))
        keys = [key for release in sorted(found) if release.project == project for key in release[1:]]
        yanked = draw(st.sets(st.sampled_from(keys), max_size=2))
        lines = "".join(f'"{key}" = "because"\n' for key in sorted(yanked))
        if status or lines or draw(st.booleans()):
            files[f"{PROD_FOLDER}/{project}/project.toml"] = f"{status}[yanked]\n{lines}".encode()
    return files


def errors_of(change: Change) -> list[Finding]:
    """Return what refuses a change; a warning does not."""
    return [finding for finding in validate(change) if finding.severity is Severity.ERROR]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_change_of_a_non_volatile_index_is_accepted_exactly_when_it_keeps_every_fact(data: st.DataObject) -> None:
    before, after = data.draw(histories())
    base, head = data.draw(written(before)), data.draw(written(after))
    findings = errors_of(Change(snapshot(base), snapshot(head)))
    is_kept = before.items() <= after.items()
    assert (not findings) == is_kept, findings
    assert {found.code for found in findings} <= {"GI202", "GI203", "GI204", "GI205"}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_change_of_a_volatile_index_is_accepted(data: st.DataObject) -> None:
    before, after = data.draw(histories())
    base, head = data.draw(written(before, volatile=True)), data.draw(written(after, volatile=True))
    assert errors_of(Change(snapshot(base), snapshot(head))) == []


# Any change at all, of paths and bytes: what is accepted has kept the promise


def common() -> dict[str, Leaf]:
    files = (path for path in sorted(COMMON.rglob("*")) if path.is_file())
    return {path.relative_to(COMMON).as_posix(): leaf(path.read_bytes()) for path in files}


def put(tree: dict[str, Leaf], path: str, found: Leaf) -> None:
    remove(tree, path)
    parts = path.split("/")
    for depth in range(1, len(parts)):
        tree.pop("/".join(parts[:depth]), None)
    tree[path] = found


def put_all(tree: dict[str, Leaf], path: str, found: Mapping[str, Leaf]) -> None:
    for below, node in found.items():
        put(tree, path + below, node)


def remove(tree: dict[str, Leaf], path: str) -> dict[str, Leaf]:
    return {known.removeprefix(path): tree.pop(known) for known in list(tree) if f"{known}/".startswith(f"{path}/")}


def places(tree: Iterable[str]) -> list[str]:
    """Return the paths of a tree, those of its folders included."""
    return sorted({"/".join(path.split("/")[:depth]) for path in tree for depth in range(1, path.count("/") + 2)})


BASE = common()
PLACES = [*places(BASE), f"{PROD_FOLDER}/example/1.0.0.json", f"{PROD_FOLDER}/new", "indexes/emilie/old", "indexes/new"]
KINDS: list[Kind] = ["file", "executable", "symlink", "submodule"]
WORDS: list[tuple[str, str]] = [
    ("false", "true"),
    ("stage", "mirror"),
    ('"files/"', '"s3://bucket/files"'),
    ("admin = true", "admin = false"),
    (">=3.9", ">=3.8"),
    ("2026-", "2025-"),
    ('"1.0"', '"1.0.0"'),
    ("Example", "example"),
    ('"size"', '"size": 1, "size"'),
    ("https://files.example.org/hosted/", "https://files.example.org/"),
    ("\n", "\r\n"),
    ("  ", "\t"),
]


@st.composite
def changed_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """Draw what becomes of a file: other words, a cut, something behind it, or the same in another form."""
    match draw(st.sampled_from(["words", "cut", "pad", "form"])):
        case "words":
            old, new = draw(st.sampled_from(WORDS))
            return data.replace(old.encode(), new.encode())
        case "cut":
            return data[: draw(st.integers(0, len(data)))]
        case "pad":
            return data + draw(st.sampled_from([b"\n", b" ", b"{}", b"\0"]))
        case _:
            try:
                return json.dumps(json.loads(data), indent=draw(st.sampled_from([None, 1, 4]))).encode()
            except ValueError:
                return data + b"\n# a comment\n"


@st.composite
def changes(draw: st.DrawFn, before: Mapping[str, Leaf]) -> dict[str, Leaf]:
    """Draw one thing that anybody with write access can do to the files."""
    tree = dict(before)
    there = places(tree) or PLACES
    documents = [known for known in there if known.startswith("indexes/") and known in tree] or there
    path = draw(st.sampled_from(documents) | st.sampled_from(there))
    other = draw(st.sampled_from(PLACES))
    match draw(st.sampled_from(["remove", "move", "copy", "swap", "kind", "bytes", "bytes", "bytes"])):
        case "remove":
            remove(tree, path)
        case "move":
            put_all(tree, other, remove(tree, path))
        case "copy":
            put_all(tree, other, remove(dict(tree), path))
        case "swap" if path in tree and other in tree:
            tree[path], tree[other] = tree[other], tree[path]
        case "kind":
            found = tree.get(path, leaf(b"elsewhere"))
            put(tree, path, found._replace(kind=draw(st.sampled_from(KINDS))))
        case "bytes" if path in tree:
            tree[path] = leaf(draw(changed_bytes(tree[path].read())), tree[path].kind)
        case _:
            pass
    return tree


@st.composite
def changed_trees(draw: st.DrawFn) -> dict[str, Leaf]:
    """Draw what some such things together make of the files."""
    tree = dict(BASE)
    for _ in range(draw(st.integers(1, 4))):
        tree = draw(changes(tree))
    return tree


def promises(tree: Mapping[str, Leaf]) -> set[tuple[str, ...]]:
    """Return what prod promises, read as plainly as can be: every fact of every file, and the bytes that are stored."""
    found: set[tuple[str, ...]] = set()
    for path, manifest in tree.items():
        if path.startswith(f"{PROD_FOLDER}/") and path.endswith(".json") and manifest.kind in ("file", "executable"):
            document = json.loads(manifest.read())
            for file in document["files"]:
                stated = {**{key: value for key, value in document.items() if key != "files"}, **file}
                found.add((path, file["filename"], json.dumps(stated, sort_keys=True)))
                if "url" not in file:
                    digest = file["hashes"]["sha256"]
                    stored = tree.get(layout.stored_path(digest, file["filename"]), leaf(b""))
                    found.add((path, file["filename"], hashlib.sha256(stored.read()).hexdigest(), stored.kind))
                if "core-metadata" in file:
                    beside = tree.get(layout.stored_path(digest, file["filename"]) + ".metadata", leaf(b""))
                    found.add((path, file["filename"], hashlib.sha256(beside.read()).hexdigest(), beside.kind))
    return found


def accepted(before: Mapping[str, Leaf], after: Mapping[str, Leaf]) -> bool:
    return not errors_of(Change(snapshot_of(before), snapshot_of(after)))


@settings(max_examples=150, deadline=None)
@given(changed_trees())
def test_accepted_change_of_any_paths_and_bytes_keeps_the_promise(tree: dict[str, Leaf]) -> None:
    if accepted(BASE, tree):
        assert promises(BASE) <= promises(tree)
        definition = tree[f"{PROD_FOLDER}/index.toml"].read()
        assert b"volatile = false" in definition
        assert b'type = "stage"' in definition


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_promise_outlives_any_series_of_accepted_changes(data: st.DataObject) -> None:
    tree: Mapping[str, Leaf] = BASE
    is_stored_here = True
    for _ in range(8):
        after = data.draw(changes(tree))
        if accepted(tree, after):
            tree = after
            is_stored_here &= b'"files/"' in tree[layout.SETTINGS].read()
    kept = promises(tree)
    of_bytes = {promise for promise in promises(BASE) if promise[-1] in KINDS}
    assert promises(BASE) - of_bytes <= kept
    # Once the settings say so, and that they say so was accepted before, the bytes are kept elsewhere.
    assert not is_stored_here or of_bytes <= kept


@settings(max_examples=60, deadline=None)
@given(changed_trees(), st.booleans())
def test_full_validation_and_that_of_a_change_refuse_the_same(tree: dict[str, Leaf], is_embedded: bool) -> None:  # noqa: FBT001
    base, head = (snapshot_of(found if is_embedded else moved(found)) for found in (BASE, tree))
    whole, change = Change(base, head, everything=True), Change(base, head)
    assert bool(errors_of(whole)) == bool(errors_of(change))
    if not errors_of(whole):
        assert validate(whole) == validate(change), "the warnings are the same"
        assert errors_of(Change(None, head)) == []


def moved(tree: Mapping[str, Leaf]) -> dict[str, Leaf]:
    """Return a tree whose files are kept in another storage, so that manifests alone are looked at."""
    found = dict(tree)
    if layout.SETTINGS in tree:
        old = tree[layout.SETTINGS]
        found[layout.SETTINGS] = leaf(old.read().replace(b'"files/"', b'"s3://bucket/files"'), old.kind)
    return found


# Resolution

NAMES = [IndexName(UserName(user), name) for user in ("one", "two") for name in ("a", "b", "c", "d")]


@st.composite
def graphs(draw: st.DrawFn) -> dict[IndexName, tuple[bool, list[str]]]:
    """Draw indexes (whether each is a mirror, and its bases): loops, rings, names twice, and names of nothing."""
    names = draw(st.sets(st.sampled_from(NAMES), min_size=1))
    bases = st.lists(st.sampled_from([*map(str, NAMES), "nobody/here", "malformed", "../one/a"]), max_size=5)
    return {name: (draw(st.integers(0, 3)) == 0, draw(bases)) for name in sorted(names)}


@settings(max_examples=150, deadline=None)
@given(graphs(), st.data())
def test_resolution_of_any_graph_of_bases_ends_with_each_index_once(
    graph: dict[IndexName, tuple[bool, list[str]]], data: st.DataObject
) -> None:
    files = {layout.SETTINGS: b"format = 1\n"}
    for name, (is_mirror, bases) in graph.items():
        kind = "mirror" if is_mirror else "stage"
        files[layout.index_path(name)] = f'type = "{kind}"\nbases = {json.dumps(bases)}\n'.encode()
    taken = snapshot(files)
    asked = data.draw(st.sampled_from(sorted(graph)))
    index = taken.index(asked)
    assert index is not None
    order = [found.name for found in resolution_order(taken, index)]

    distance = distances(graph, asked)
    assert order[0] == asked
    assert len(order) == len(set(order))
    assert set(order) == set(distance)
    is_mirror_later = [graph[name][0] for name in order[1:]]
    assert is_mirror_later == sorted(is_mirror_later), "a stage stands behind a mirror"
    for kind_is_mirror in (False, True):
        steps = [distance[name] for name in order[1:] if graph[name][0] is kind_is_mirror]
        assert steps == sorted(steps), "not breadth first"


def distances(graph: Mapping[IndexName, tuple[bool, list[str]]], start: IndexName) -> dict[IndexName, int]:
    """Return how many bases lie between an index and each that it inherits from; a mirror inherits from nothing."""
    by_text = {str(name): name for name in graph}
    found = {start: 0}
    for _ in graph:
        for name, steps in list(found.items()):
            is_mirror, bases = graph[name]
            for base in bases if not is_mirror else ():
                if base in by_text:
                    target = by_text[base]
                    found[target] = min(found.get(target, steps + 1), steps + 1)
    return found
