"""Hypothesis strategies for the values that pages are made of: sound ones, and ones with hostile text everywhere."""

from __future__ import annotations

import hashlib
import operator
from functools import partial
from urllib.parse import quote

from hypothesis import settings, strategies as st
from packaging.version import Version

from gitindex.names import IndexName, ProjectName, Sha256, UserName
from gitindex.pages import FilePage, ProjectList, ProjectPage, Status
from gitindex.views import (
    FeedEntry,
    FeedView,
    IndexCard,
    IndexView,
    Inheritance,
    LandingView,
    ProjectRow,
    ProjectView,
)

HOSTILE = (
    "<script>alert(1)</script>",
    "</title></style></table></a><img src=x onerror=alert(1)>",
    "\"onmouseover=\"alert(1)' onload='alert(1)",
    "javascript:alert(1)",
    " JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "--></script><!-- {{ 7*7 }} {% raw %} ${7*7}",
    "&lt;b&gt; &amp; &#0; &unknown",
    "nul\0bell\x07delete\x7fnext\x85line",
    "cr\rlf\ncrlf\r\ntab\tfeed\f",
    "surrogate\ud800end\udfff",
    "noncharacter\ufffe\uffff\ufdd0\U0001ffff",
    "naïve — 日本語 \u2028 \u202e \U0001f600",
    "]]> <?xml version='1.0'?>",
    " ",
    "",
)
"""Text that breaks out of a page which forgets to escape, or that some page cannot carry."""

checked = settings(max_examples=50, deadline=None)
"""For tests that parse whole pages: html5lib is exact and slow."""

MARKERS = ("active", "archived", "deprecated", "quarantined")

sha256s = st.binary(max_size=8).map(lambda data: Sha256(hashlib.sha256(data).hexdigest()))
words = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
project_names = st.lists(words, min_size=1, max_size=3).map(lambda parts: ProjectName("-".join(parts)))
index_names = st.builds(IndexName, words.map(UserName), words)
hostile_texts = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=()), max_size=20)
plain_texts = st.text(st.characters(min_codepoint=32, exclude_categories=("Cc", "Cs", "Cn")), max_size=20)
versions = st.builds(
    "{}.{}{}".format,
    st.integers(0, 30),
    st.integers(0, 30),
    st.sampled_from(["", ".0", "a1", "rc2", ".post3", ".dev4", "+local.5"]),
)
upload_times = st.datetimes().map(lambda time: time.isoformat() + "Z")
specifiers = st.sampled_from([">=3.8", ">=3.9,<4", "~=3.11", "!=3.9.1,>=3.8 ", "==3.*"])
provenances = st.sampled_from(["https://example.org/p/1", "https://example.org/?a=1&b=2", "http://127.0.0.1:3141/p"])
statuses = st.builds(Status, st.sampled_from(MARKERS), st.none() | hostile_texts)


def _filename(project: str, version: str, kind: str) -> str:
    stem = f"{project.replace('-', '_')}-{version}"
    return f"{stem}.tar.gz" if kind == "sdist" else f"{stem}-py3-none-{kind}.whl"


@st.composite
def files(draw: st.DrawFn, project: str, version: str) -> FilePage:
    """Draw a file as the resolution makes it: only its yank reason is free text."""
    filename = _filename(project, version, draw(st.sampled_from(["sdist", "any", "win32", "macosx_11_0_arm64"])))
    sha256 = draw(sha256s)
    prefix = draw(st.sampled_from(["../../../../files", "https://files.example.org/a%20b"]))
    return FilePage(
        filename=filename,
        version=version,
        index=draw(index_names),
        url=f"{prefix}/{sha256[:2]}/{sha256[2:]}/{quote(filename)}",
        sha256=sha256,
        size=draw(st.integers(1, 10**13)),
        upload_time=draw(st.none() | upload_times),
        requires_python=draw(st.none() | specifiers),
        core_metadata=draw(st.none() | sha256s),
        yanked=draw(st.none() | hostile_texts),
        provenance=draw(st.none() | provenances),
    )


@st.composite
def project_pages(draw: st.DrawFn) -> ProjectPage:
    """Draw a page that keeps the promises of :class:`ProjectPage`."""
    name = draw(project_names)
    shown = sorted(draw(st.sets(versions, max_size=3).map(_without_equals)), key=Version)
    found: list[FilePage] = []
    for version in shown:
        drawn = draw(st.lists(files(name, version), max_size=3, unique_by=operator.attrgetter("filename")))
        found += sorted(drawn, key=operator.attrgetter("filename"))
    return ProjectPage(name, tuple(shown), tuple(found), draw(st.none() | statuses))


def _without_equals(texts: set[str]) -> list[str]:
    return list({Version(text): text for text in sorted(texts)}.values())


hostile_files = st.builds(
    FilePage,
    filename=hostile_texts,
    version=hostile_texts,
    index=index_names,
    url=hostile_texts,
    sha256=sha256s,
    size=st.integers(0, 10**13),
    upload_time=st.none() | hostile_texts,
    requires_python=st.none() | hostile_texts,
    core_metadata=st.none() | sha256s,
    yanked=st.none() | hostile_texts,
    provenance=st.none() | hostile_texts | hostile_texts.map("https://example.org/{}".format),
)
hostile_pages = st.builds(
    ProjectPage,
    name=hostile_texts.map(ProjectName),
    versions=st.lists(hostile_texts, max_size=3).map(tuple),
    files=st.lists(hostile_files, max_size=3).map(tuple),
    status=st.none() | st.builds(Status, st.sampled_from(MARKERS) | hostile_texts, st.none() | hostile_texts),
)
"""Pages that no check has seen: only what has a checked type of its own (a hash, an index) is sound."""

project_lists = st.sets(project_names, max_size=5).map(lambda names: ProjectList(tuple(sorted(names))))

_tuples = partial(st.lists, max_size=3)
index_cards = st.builds(
    IndexCard,
    name=index_names,
    kind=st.sampled_from(["stage", "mirror"]),
    title=hostile_texts,
    volatile=st.booleans(),
    projects=st.none() | st.integers(0, 10**6),
)
landing_views = st.builds(
    LandingView,
    title=hostile_texts,
    users=_tuples(st.tuples(hostile_texts, hostile_texts, _tuples(index_cards).map(tuple))).map(tuple),
)
project_rows = st.builds(
    ProjectRow,
    name=hostile_texts.map(ProjectName),
    latest=hostile_texts,
    status=hostile_texts,
    index=st.none() | index_names,
)
feed_entries = st.builds(
    FeedEntry,
    project=hostile_texts.map(ProjectName),
    version=hostile_texts,
    index=index_names,
    updated=st.none() | upload_times,
    link=hostile_texts,
    yanked=_tuples(hostile_texts).map(tuple),
)
inheritances = st.builds(
    Inheritance,
    name=index_names,
    kind=st.sampled_from(["stage", "mirror"]),
    volatile=st.booleans(),
    bases=_tuples(index_names).map(tuple),
)
index_views = st.builds(
    IndexView,
    site_title=hostile_texts,
    name=index_names,
    kind=st.sampled_from(["stage", "mirror"]),
    title=hostile_texts,
    description=hostile_texts,
    volatile=st.booleans(),
    bases=_tuples(index_names).map(tuple),
    order=_tuples(index_names).map(tuple),
    uploaders=_tuples(hostile_texts).map(tuple),
    mirror_url=hostile_texts,
    projects=st.integers(0, 100_000),
    newest=_tuples(feed_entries).map(tuple),
    index_url=hostile_texts,
    inherits=_tuples(inheritances).map(tuple),
)
project_views = st.builds(
    ProjectView,
    site_title=hostile_texts,
    index=index_names,
    page=hostile_pages,
    display_name=hostile_texts,
    latest=hostile_texts,
    index_url=hostile_texts,
)
feed_views = st.builds(
    FeedView,
    index=index_names,
    title=hostile_texts,
    site_url=hostile_texts | st.just("https://packages.example.org/"),
    entries=_tuples(feed_entries).map(tuple),
)
