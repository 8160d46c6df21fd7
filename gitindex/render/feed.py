"""Atom feeds (RFC 4287): of an index's releases, and of a log. No clock: the same releases give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

from gitindex.render.text import carried, escaped, is_link
from gitindex.views import FEED_LENGTH, FeedEntry, FeedView, HappenedEntry, LogFeedView

_TAG = "tag:gitindex.invalid,2026:"
NEVER = "1970-01-01T00:00:00Z"
"""Stands where a time is not known: Atom demands one."""


def feed(view: FeedView) -> bytes:
    """Return the feed at ``/<user>/<index>/feed.xml``: the newest 50 releases, pushes, yanks and the like.

    Links are absolute where the site has an http(s) URL, else relative to the feed. Entries of the same time
    keep the order in which they are given.
    """
    base = _base(view.site_url, f"{view.index}/")
    identity = base or f"{_TAG}{view.index}/"
    site = _base(view.site_url, "")
    entries = [_release(view, entry, base, identity) for entry in view.entries]
    # What happened last is told first, where a release and its yank have one time.
    entries = [_happened(entry, site, f"{view.index}/") for entry in view.happened] + entries
    newest = sorted(entries, key=_time, reverse=True)[:FEED_LENGTH]
    links = _link("self", "application/atom+xml", f"{base}feed.xml"), _link("alternate", "text/html", base or "./")
    head = _Head(view.title or f"Releases of {view.index}", identity, view.index.user, links)
    return _document(head, newest)


def log_feed(view: LogFeedView) -> bytes:
    """Return the feed of a log, whose entries stand in their order; it may be kept anywhere, so it links to a site."""
    base = _base(view.site_url, "")
    identity = f"{_log(base)}{quote(carried(view.scope))}"
    links = (_link("alternate", "text/html", base),) if base else ()
    return _document(_Head(view.title, identity, "gitindex", links), [_happened(entry, base) for entry in view.entries])


class _Head(NamedTuple):
    """What a feed says of itself."""

    title: str
    identity: str
    author: str
    links: tuple[str, ...]


class _Entry(NamedTuple):
    title: str
    identity: str
    updated: str
    link: str
    summary: str
    author: str = ""


def _document(head: _Head, entries: Sequence[_Entry]) -> bytes:
    return "".join(f"{line}\n" for line in _lines(head, entries)).encode()


def _time(entry: _Entry) -> str:
    # Without the Z a fraction of a second sorts after its whole second.
    return entry.updated.removesuffix("Z")


def _lines(head: _Head, entries: Sequence[_Entry]) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield '<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en">'
    yield f"<title>{escaped(head.title)}</title>"
    yield f"<id>{escaped(head.identity)}</id>"
    yield f"<updated>{escaped(entries[0].updated if entries else NEVER)}</updated>"
    yield f"<author><name>{escaped(head.author)}</name></author>"
    yield from head.links
    for entry in entries:
        yield from _entry_lines(entry)
    yield "</feed>"


def _link(relation: str, kind: str, address: str) -> str:
    return f'<link rel="{relation}" type="{kind}" href="{escaped(address)}"/>'


def _base(site_url: str, below: str) -> str:
    if not site_url.lower().startswith(("https://", "http://")):
        return ""
    return f"{site_url.rstrip('/')}/{below}"


def _entry_lines(entry: _Entry) -> Iterator[str]:
    yield "<entry>"
    yield f"<title>{escaped(entry.title)}</title>"
    yield f"<id>{escaped(entry.identity)}</id>"
    yield f"<updated>{escaped(entry.updated)}</updated>"
    if entry.author:
        yield f"<author><name>{escaped(entry.author)}</name></author>"
    if entry.link:
        yield _link("alternate", "text/html", entry.link)
    if entry.summary:
        yield f"<summary>{escaped(entry.summary)}</summary>"
    yield "</entry>"


def _release(view: FeedView, entry: FeedEntry, base: str, identity: str) -> _Entry:
    version = quote(carried(entry.version), safe="!+")
    link = base + entry.link if base or is_link(entry.link) else "./"
    title, place = f"{entry.project} {entry.version}", f"{identity}project/{entry.project}/#{version}"
    return _Entry(title, place, entry.updated or NEVER, link, _summary(view, entry))


def _log(base: str) -> str:
    return f"{base}#log/" if base else f"{_TAG}log/"


def _happened(entry: HappenedEntry, base: str, here: str = "") -> _Entry:
    """Return what happened; without a *base* only a feed of the site has a link, relative to where it is: *here*."""
    # What happened is one thing for ever: the commit, and what of it.
    identity = f"{_log(base)}{entry.commit}/{quote(carried(entry.key), safe='/+!')}"
    link = base + entry.link if base else entry.link.removeprefix(here) if here else ""
    return _Entry(entry.title, identity, entry.time, link, entry.summary, entry.author)


def _summary(view: FeedView, entry: FeedEntry) -> str:
    sentences = []
    if entry.index != view.index:
        sentences.append(f"From {entry.index}.")
    if entry.yanked:
        reasons = "; ".join(filter(None, entry.yanked))
        sentences.append(f"Yanked: {reasons}" if reasons else "Yanked.")
    return " ".join(sentences)
