"""The quick way to read manifests says nothing that the ordinary way does not say."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings, strategies as st

from gitindex.compare import Change
from gitindex.documents import read_manifest
from gitindex.edits.manifests import manifest_bytes
from gitindex.model import Manifest
from gitindex.plain import plain_versions, read
from gitindex.released import files_of, is_fit
from gitindex.snapshot import Snapshot
from gitindex.tree import EMPTY, Overlay, leaf
from gitindex.validate import validate

HEX = "0123456789abcdef"
sha256 = st.one_of(st.text(HEX, min_size=64, max_size=64), st.sampled_from(["0" * 63, "A" * 64, "g" * 64, ""]))
versions = st.sampled_from(
    ["1.0", "1.0.0", "2.0rc1", "01.0", "1!2.0", "1.0+local.1", "1.0-1", "1.0.post1", "banana", "1" * 30]
)
names = st.sampled_from(["demo-one", "Demo_One", "demo.one", "demo", "-demo-one", "demo--one"])
stems = st.sampled_from(["demo_one", "Demo_One", "demo-one", "demo"])
ends = st.sampled_from(
    [
        ".tar.gz",
        "-py3-none-any.whl",
        "-1-py3-none-any.whl",
        "-x-py3-none-any.whl",
        "-3py-none-any.whl",
        ".zip",
        "-py2.py3-none-any.whl",
    ]
)
times = st.sampled_from(
    ["2026-02-28T00:00:00Z", "2026-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2026-04-31T00:00:00Z",
     "2026-12-31T23:59:59Z",
     "2026-01-01T24:00:00Z", "2026-01-01T00:00:00.5Z", "2026-01-01", "0000-01-01T00:00:00Z"]
)  # fmt: skip
pythons = st.sampled_from([">=3.11", ">=3.8,!=3.9.*", "", "3.11", ">=3.8 ", '>="3', ">=3.11\n", "~=3.11"])


@st.composite
def manifests(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw the name of a manifest, and a manifest that is in order or nearly so."""
    version = draw(versions)

    def file() -> dict[str, Any]:
        made: dict[str, Any] = {
            "filename": f"{draw(stems)}-{draw(st.sampled_from([version, '1.0']))}{draw(ends)}",
            "hashes": {"sha256": draw(sha256)},
            "size": draw(st.sampled_from([1, 1482, 0, -1, 10**17])),
        }
        if draw(st.booleans()):
            made["upload-time"] = draw(times)
        if draw(st.booleans()):
            made["requires-python"] = draw(pythons)
        if draw(st.booleans()):
            made["core-metadata"] = {"sha256": draw(sha256)}
        if draw(st.integers(0, 9)) == 0:
            made["url"] = "https://files.example.org/x.whl"
        return made

    stated = draw(st.sampled_from([version, version, "1.0"]))
    return version, {"name": draw(names), "version": stated, "files": [file() for _ in range(draw(st.integers(1, 4)))]}


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a manifest's name and bytes: as gitindex writes them, in another form, or with a byte changed."""
    version, manifest = draw(manifests())
    data = draw(st.sampled_from([manifest_bytes(manifest), json.dumps(manifest).encode()]))
    if draw(st.integers(0, 2)) == 0:
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw(st.binary(max_size=2)) + data[at + draw(st.integers(0, 2)) :]
    return version, data


@given(texts())
@settings(max_examples=150, deadline=None)
def test_what_is_read_quickly_is_what_the_model_reads(text: tuple[str, bytes]) -> None:
    _, data = text
    quick = read(data)
    if quick is not None:
        manifest = read_manifest("x.json", data)
        assert isinstance(manifest, Manifest)
        assert quick == (manifest.name, manifest.version, files_of(manifest))
        assert all(map(is_fit, quick[2]))


SETTINGS = b'format = 1\n[storage]\nurl = "s3://bucket/"\npublic_url = "https://files.example.org/"\n'


@given(st.lists(texts(), max_size=3, unique_by=lambda text: text[0]))
@settings(max_examples=60, deadline=None)
def test_rules_have_nothing_to_say_of_what_is_plain(files: list[tuple[str, bytes]]) -> None:
    folder = "indexes/emilie/prod/demo-one"
    plain = set(plain_versions([(f"{version}.json", data) for version, data in files], "demo-one"))
    paths = {f"{folder}/{version}.json": leaf(data) for version, data in files}
    rest = {
        "gitindex.toml": leaf(SETTINGS),
        "indexes/emilie/user.toml": leaf(b""),
        "indexes/emilie/prod/index.toml": leaf(b""),
    }
    head = Snapshot(Overlay(EMPTY, {**rest, **paths}), "worktree")
    # A base without the project: the ordinary way looks at each manifest, since it is new.
    base = Snapshot(Overlay(EMPTY, dict(rest)), None)
    ordinary = validate(Change(base, head))
    about = {version for version, _ in files if any(finding.path == f"{folder}/{version}.json" for finding in ordinary)}
    equals = {finding.path for finding in ordinary if finding.code == "GI005" and "same version" in finding.message}
    assert not {version for version in plain & about if f"{folder}/{version}.json" not in equals}
    # And with everything checked, skipping what is plain changes nothing.
    assert validate(Change(None, head)) == validate(Change(base, head, everything=True)) == ordinary


def test_what_gitindex_writes_is_plain() -> None:
    file = {
        "filename": "demo_one-1.0-py3-none-any.whl",
        "hashes": {"sha256": "ab" * 32},
        "size": 1482,
        "upload-time": "2026-11-22T07:25:00Z",
        "requires-python": ">=3.8",
        "core-metadata": {"sha256": "cd" * 32},
    }
    sdist = {"filename": "demo_one-1.0.tar.gz", "hashes": {"sha256": "ef" * 32}, "size": 9}
    other = {**file, "filename": "demo_one-1.0-cp311-cp311-win_amd64.whl"}
    for listed in ([file], [file, sdist], [file, sdist, other]):
        data = manifest_bytes({"name": "Demo.One", "version": "1.0", "files": listed})
        assert list(plain_versions([("1.0.json", data)], "demo-one")) == ["1.0"]
