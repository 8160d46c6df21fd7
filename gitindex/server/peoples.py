"""The pages of people of one revision: what the site has, byte for byte."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from gitindex.details import read_details
from gitindex.names import ProjectName, is_project_name
from gitindex.overview import Gathered, feed_view, index_view, landing_view, newest_version, project_view
from gitindex.pages import project_page
from gitindex.render import feed as atom, people, project as project_html
from gitindex.resolve import project_names, walk
from gitindex.served import ServedIndex, is_known
from gitindex.server.revision import Made, MayRead, Revision
from gitindex.storage import EmbeddedStore

if TYPE_CHECKING:
    from gitindex.resolve import Step


def project_identity(revision: Revision, served: ServedIndex, name: ProjectName) -> str:
    """Return what the page of a project is made of: it links to other projects of the index where these are there."""
    return f"{revision.list_identity(served)} {name}"


def project(revision: Revision, served: ServedIndex, name: ProjectName, lfs_objects: Path) -> Made | None:
    """Return the page of a project; ``None`` where the stages do not have it.

    Raises:
        CannotRunError: it cannot be made.

    """
    steps: tuple[Step, ...] = tuple(walk(revision.snapshot, served.order, name))
    if not is_known(steps) or not is_project_name(name):
        return None
    page = project_page(name, steps, revision.links)
    is_embedded = revision.snapshot.settings.storage.is_embedded
    store = EmbeddedStore(revision.snapshot.root, lfs_objects) if is_embedded else None
    details = read_details(page, newest_version(page), steps, store)
    body = project_html.project(project_view(revision.snapshot, served, page, steps, (), details))
    made = revision.made(body, hashlib.blake2b(body, digest_size=16).hexdigest(), page, steps)
    # A wheel that is stored later brings its metadata along.
    return made._replace(lacks_files=True) if details.described is None and page.files else made


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
