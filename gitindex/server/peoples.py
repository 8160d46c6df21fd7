"""The pages of people of one revision: what the site has, byte for byte."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from gitindex.names import ProjectName
from gitindex.overview import Gathered, feed_view, index_view, landing_view, project_view
from gitindex.pages import project_page
from gitindex.render import feed as atom, people
from gitindex.resolve import project_names, walk
from gitindex.served import ServedIndex
from gitindex.server.revision import Made, MayRead, Revision
from gitindex.views import HISTORY_LENGTH

if TYPE_CHECKING:
    from gitindex.git import Past


def project(revision: Revision, past: Past, served: ServedIndex, name: ProjectName) -> Made:
    """Return the page of a project that the stages have.

    Raises:
        CannotRunError: it cannot be made.

    """
    steps = tuple(walk(revision.snapshot, served.order, name))
    page = project_page(name, steps, revision.links)
    places = tuple(index.name for index in served.order if not index.is_mirror)
    history = past.newest(revision.commit, places, name, HISTORY_LENGTH)
    body = people.project(project_view(revision.snapshot, served.name, page, steps, tuple(history)))
    made_of = f"{revision.project_identity(served, name)} {[entry.commit for entry in history]}"
    identity = hashlib.blake2b(made_of.encode(), digest_size=16).hexdigest()
    return revision.made(body, identity, page, steps)


def landing(revision: Revision, may_read: MayRead) -> Made:
    """Return the landing page with the indexes that a client may read."""
    shown = list(revision.indexes(may_read))
    counts = {served.name: len(project_names(served.order)) for served in shown if not served.index.is_mirror}
    body = people.landing(landing_view(revision.snapshot, shown, counts))
    return Made(body, revision.landing_identity())


def add_project(gathered: Gathered, revision: Revision, served: ServedIndex, name: ProjectName) -> None:
    """Read a project of a stage for the page and the feed of the stage.

    Raises:
        CannotRunError: it cannot be shown.

    """
    steps = tuple(walk(revision.snapshot, served.order, name))
    gathered.add_project(name, project_page(name, steps, revision.links), served.name)


def index(revision: Revision, served: ServedIndex, gathered: Gathered) -> Made:
    """Return the page of an index."""
    gathered.keep_newest()
    rows = {row.name: people.project_row(row) for row in gathered.rows}
    view = index_view(revision.snapshot, served, len(rows), tuple(gathered.entries), serves_mirror=True)
    return Made(people.index(view, rows), revision.list_identity(served))


def feed(revision: Revision, served: ServedIndex, gathered: Gathered) -> Made:
    """Return the feed of an index."""
    view = feed_view(revision.snapshot, served.index, gathered)
    return Made(atom.feed(view), revision.list_identity(served))


def stylesheet() -> Made:
    """Return the stylesheet, whose name stays the same over versions."""
    body = people.stylesheet()
    return Made(body, hashlib.sha256(body).hexdigest()[:32])
