"""Reads manifests in the very form that gitindex writes, and proves in one pass that no rule can object to them.

It exists for speed alone: nearly all manifests are plain, and reading all of them need not build a model of each.
Whatever is not recognised takes the ordinary way. Property tests hold the two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache

from gitindex.layout import MANIFEST_SUFFIX, MAX_DOCUMENT
from gitindex.names import canonical_version, is_display_name, is_specifier_set, normalize
from gitindex.released import ReleasedFile

_DATE = r"[12]\d{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
_TIME = _DATE + r"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ"
_FILE = (
    r'    \{\n      "filename": "([A-Za-z0-9][A-Za-z0-9._+!-]{0,239})",\n'
    r'      "hashes": \{\n        "sha256": "([0-9a-f]{64})"\n      \},\n'
    r'      "size": ([1-9]\d{0,17})'
    r'(?:,\n      "upload-time": "(' + _TIME + r')")?'
    r'(?:,\n      "requires-python": "([ !#-\[\]-~]*)")?'
    r'(?:,\n      "core-metadata": \{\n        "sha256": "([0-9a-f]{64})"\n      \})?'
    r"\n    \}"
)
_UNGROUPED = re.sub(r"\((?!\?)", "(?:", _FILE)
_TAG = r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*"
_PYTHON_TAG = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*"


# Compiled when they are used first: a change of one release does without.
@cache
def _manifest() -> re.Pattern[str]:
    """Return the pattern of a manifest: the facts of two files are groups, and those of others are found by `_more`.

    Nearly all releases have one or two.
    """
    head = r'\{\n  "name": "([A-Za-z0-9._-]+)",\n  "version": "([A-Za-z0-9.!+]+)",\n  "files": \[\n'
    return re.compile(rf"{head}{_FILE}(?:,\n{_FILE})?((?:,\n{_UNGROUPED})*)\n  \]\n\}}\n", re.ASCII)


@cache
def _more() -> re.Pattern[str]:
    return re.compile(_FILE, re.ASCII)


@cache
def _simple_version() -> re.Pattern[str]:
    return re.compile(r"(?:0|[1-9]\d{0,17})(?:\.(?:0|[1-9]\d{0,17}))*", re.ASCII)


@cache
def _wheel_end() -> re.Pattern[str]:
    return re.compile(rf"(?:-[0-9][A-Za-z0-9_.]*)?-{_PYTHON_TAG}-{_TAG}-{_TAG}\.whl", re.ASCII)


def read(data: bytes) -> tuple[str, str, tuple[ReleasedFile, ...]] | None:
    """Return name, version and files of a manifest in the written form, ``None`` where it is in another.

    What it returns is what :func:`gitindex.documents.read_manifest` reads; hashes, sizes and times are well-formed, and
    filenames safe for a path. Name, version, filenames and specifiers may still be wrong.
    """
    if not data.isascii() or len(data) > MAX_DOCUMENT:
        return None
    match = _manifest().fullmatch(data.decode("ascii"))
    if match is None:
        return None
    name, version, f1, h1, s1, t1, p1, m1, f2, h2, s2, t2, p2, m2, more = match.groups()
    first = ReleasedFile(f1, h1, int(s1), t1, p1, m1)
    if f2 is None:
        return name, version, (first,)
    second = ReleasedFile(f2, h2, int(s2), t2, p2, m2)
    if not more:
        return name, version, (first, second)
    others = (ReleasedFile(f, h, int(s), t, p, m) for f, h, s, t, p, m in _facts_of(more))
    return name, version, (first, second, *others)


def _facts_of(more: str) -> Iterator[tuple[str, str, str, str | None, str | None, str | None]]:
    for match in _more().finditer(more):
        yield match.groups()  # type: ignore[misc] # six groups, as the pattern says


def plain_versions(files: Iterable[tuple[str, bytes]], project: str) -> Iterator[str]:
    """Yield the versions of the plain manifests among the *files* (name and content) of a project's folder.

    Plain: in the written form, files in the storage, all facts in order, filenames in normal form. *project* must be in
    normal form. Whether stored files are there is not asked. Of what is not yielded nothing is said.
    """
    is_simple = _simple_version().fullmatch
    prefix = f"{project.replace('-', '_')}-"
    for filename, data in files:
        found = read(data)
        if found is None:
            continue
        name, version, released = found
        if filename != version + MANIFEST_SUFFIX or not _is_name_of(name, project):
            continue
        if not (is_simple(version) or canonical_version(version) == version):
            continue
        if _are_plain(released, prefix + version):
            yield version


def _are_plain(files: tuple[ReleasedFile, ...], stem: str) -> bool:
    length = len(stem)
    for file in files:
        name = file.filename
        if name[:length] != stem or not _ends_filename(name[length:]):
            return False
        if file.requires_python is not None and not is_specifier_set(file.requires_python):
            return False
    return len(files) == 1 or len({file.filename for file in files}) == len(files)


@lru_cache(maxsize=1024)
def _is_name_of(name: str, project: str) -> bool:
    return is_display_name(name) and normalize(name) == project


@lru_cache(maxsize=4096)
def _ends_filename(end: str) -> bool:
    return end == ".tar.gz" or _wheel_end().fullmatch(end) is not None
