"""The pages of people of one revision: what the site has, byte for byte."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from gitindex.names import ProjectName, is_project_name
from gitindex.overview import Gathered, feed_view, index_view, landing_view, project_view
from gitindex.pages import project_page
from gitindex.render import feed as atom, people
from gitindex.resolve import project_names, walk
from gitindex.served import ServedIndex, is_known
from gitindex.server.revision import Made, MayRead, Revision

if TYPE_CHECKING:
    from gitindex.resolve import Step


def project(revision: Revision, served: ServedIndex, name: ProjectName) -> Made | None:
    """Return the page of a project; ``None`` where the stages do not have it.

    Raises:
        CannotRunError: it cannot be made.

    """
    steps: tuple[Step, ...] = tuple(walk(revision.snapshot, served.order, name))
    if not is_known(steps) or not is_project_name(name):
        return None
    page = project_page(name, steps, revision.links)
    body = people.project(project_view(revision.snapshot, served.name, page, steps))
    return revision.made(body, revision.project_identity(served, name), page, steps)


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


def static(name: str) -> Made:
    """Return what people's pages load, whose name stays the same over versions."""
    body = people.static(name)
    return Made(body, hashlib.sha256(body).hexdigest()[:32])
