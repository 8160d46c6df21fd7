"""The Atom feed of an index's releases (RFC 4287). No clock: the same releases give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from gitindex.render.text import carried, escaped, is_link
from gitindex.views import FEED_LENGTH, FeedEntry, FeedView

NEVER = "1970-01-01T00:00:00Z"
"""Stands where a time is not known: Atom demands one."""


def feed(view: FeedView) -> bytes:
    """Return the feed at ``/<user>/<index>/feed.xml``: the newest 50 releases.

    Links are absolute where the site has an http(s) URL, else relative to the feed. Entries of the same time
    keep the order in which they are given.
    """
    newest = sorted(view.entries, key=_time, reverse=True)[:FEED_LENGTH]
    return "".join(f"{line}\n" for line in _lines(view, newest)).encode()


def _time(entry: FeedEntry) -> str:
    # Without the Z a fraction of a second sorts after its whole second.
    return (entry.updated or NEVER).removesuffix("Z")


def _lines(view: FeedView, entries: Sequence[FeedEntry]) -> Iterator[str]:
    base = _base(view)
    identity = base or f"tag:gitindex.invalid,2026:{view.index}/"
    updated = entries[0].updated if entries else None
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield '<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en">'
    yield f"<title>{escaped(view.title or f'Releases of {view.index}')}</title>"
    yield f"<id>{escaped(identity)}</id>"
    yield f"<updated>{escaped(updated or NEVER)}</updated>"
    yield f"<author><name>{escaped(view.index.user)}</name></author>"
    yield f'<link rel="self" type="application/atom+xml" href="{escaped(base)}feed.xml"/>'
    yield f'<link rel="alternate" type="text/html" href="{escaped(base or "./")}"/>'
    for entry in entries:
        yield from _entry_lines(view, entry, base, identity)
    yield "</feed>"


def _base(view: FeedView) -> str:
    if not view.site_url.lower().startswith(("https://", "http://")):
        return ""
    return f"{view.site_url.rstrip('/')}/{view.index}/"


def _entry_lines(view: FeedView, entry: FeedEntry, base: str, identity: str) -> Iterator[str]:
    version = quote(carried(entry.version), safe="!+")
    link = base + entry.link if base or is_link(entry.link) else "./"
    yield "<entry>"
    yield f"<title>{escaped(entry.project)} {escaped(entry.version)}</title>"
    yield f"<id>{escaped(f'{identity}project/{entry.project}/#{version}')}</id>"
    yield f"<updated>{escaped(entry.updated or NEVER)}</updated>"
    yield f'<link rel="alternate" type="text/html" href="{escaped(link)}"/>'
    if summary := _summary(view, entry):
        yield f"<summary>{escaped(summary)}</summary>"
    yield "</entry>"


def _summary(view: FeedView, entry: FeedEntry) -> str:
    sentences = []
    if entry.index != view.index:
        sentences.append(f"From {entry.index}.")
    if entry.yanked:
        reasons = "; ".join(filter(None, entry.yanked))
        sentences.append(f"Yanked: {reasons}" if reasons else "Yanked.")
    return " ".join(sentences)
