"""The pages of people of one revision: what the site has, byte for byte."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gitindex.details import read_details
from gitindex.names import ProjectName
from gitindex.overview import Gathered, feed_view, index_view, landing_view, newest_version, project_view
from gitindex.pages import project_page
from gitindex.render import feed as atom, people, project as project_html
from gitindex.resolve import project_names, walk
from gitindex.served import ServedIndex
from gitindex.server.revision import Made, MayRead, Revision
from gitindex.views import HISTORY_LENGTH

if TYPE_CHECKING:
    from gitindex.git import Past
    from gitindex.happenings import Happening


def project(revision: Revision, past: Past, served: ServedIndex, name: ProjectName) -> Made:
    """Return the page of a project that the stages have.

    Raises:
        CannotRunError: it cannot be made.

    """
    steps = tuple(walk(revision.snapshot, served.order, name))
    page = project_page(name, steps, revision.links)
    places = tuple(index.name for index in served.order if not index.is_mirror)
    history = past.newest(revision.commit, places, name, HISTORY_LENGTH)
    details = read_details(page, newest_version(page), steps, revision.store)
    view = project_view(revision.snapshot, served, page, steps, history=tuple(history), details=details)
    body = project_html.project(view)
    # It shows which other projects are there, so what it is made of is told by what it became.
    identity = hashlib.blake2b(body, digest_size=16).hexdigest()
    made = revision.made(body, identity, page, steps)
    # A wheel that is stored later brings its metadata along.
    return made._replace(lacks_files=made.lacks_files or (details.described is None and bool(page.files)))


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
    return Made(people.index(view, people.rows_of(rows)), revision.list_identity(served))


def feed(revision: Revision, served: ServedIndex, gathered: Gathered, happened: Iterable[Happening]) -> Made:
    """Return the feed of an index."""
    body = atom.feed(feed_view(revision.snapshot, served.index, gathered, happened))
    return Made(body, hashlib.blake2b(body, digest_size=16).hexdigest())


def missing(site_title: str, depth: int) -> bytes:
    """Return the page for what is not there, at a path that lies *depth* folders below the root of this server.

    The site has the same page, with links from the root: it is asked for at any path and made once.
    """
    return people.missing(site_title, "../" * depth or "./")


def static(name: str) -> Made:
    """Return what people's pages load, whose name stays the same over versions."""
    body = people.static(name)
    return Made(body, hashlib.sha256(body).hexdigest()[:32])
