"""What a site needs when its revision changes: which pages of which stages, found by what differs between two trees.

A change of a base concerns every stage that inherits it. Where an update could not give what a full rendering gives,
there is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set as AbstractSet

from gitindex.carried import Carried, Identities
from gitindex.errors import CannotRunError
from gitindex.names import IndexName, ProjectName
from gitindex.pages import Links, project_page
from gitindex.resolve import walk
from gitindex.served import ServedIndex, open_index
from gitindex.site.memory import Listed
from gitindex.site.stage import StageWork, gathering, stored_paths, whole
from gitindex.snapshot import Snapshot
from gitindex.storage import Store
from gitindex.touched import Touched, project_of


def other_carried(old: Identities, new: Identities) -> Mapping[IndexName, AbstractSet[ProjectName]]:
    """Return the projects of which mirrors have something else than they had, by stage."""
    found: defaultdict[IndexName, set[ProjectName]] = defaultdict(set)
    for stage, project in dict([*(old.items() ^ new.items())]):
        found[stage].add(project)
    return found


def stage_work(
    old: Snapshot,
    new: Snapshot,
    stages: Iterable[ServedIndex],
    known: Mapping[IndexName, Listed],
    *,
    found: Touched,
    linking: AbstractSet[ProjectName],
    carried: Carried,
    others: Mapping[IndexName, AbstractSet[ProjectName]],
) -> Iterator[StageWork]:
    """Yield the stages that differ, with the projects that are looked at anew in each.

    The pages of those in *linking* link to what came or went. *carried* is what mirrors have, *others* where that is
    something else than it was.
    """
    for served in stages:
        before = open_index(old, served.name)
        places = {index.name for index in served.order}
        if before is None or served.name not in known or found.definitions & places or _order(before) != _order(served):
            yield whole(new, served, carried.of(served.name))
            continue
        touched = {name for place in places for name in found.projects.get(place, ())}
        touched |= {name for name in found.stored | linking if any(index.has_project(name) for index in served.order)}
        touched |= others.get(served.name, frozenset())
        if touched:
            listed = known[served.name]
            names = frozenset(touched)
            theirs = carried.of(served.name)
            yield StageWork(served, names, is_whole=False, known=listed, gathered=gathering(listed), carried=theirs)


def _order(served: ServedIndex) -> list[IndexName]:
    return [index.name for index in served.order]


class StoredFiles:
    """Which stored files the pages of a snapshot's stages link to."""

    def __init__(self, snapshot: Snapshot, stages: Sequence[ServedIndex], store: Store, links: Links) -> None:
        self._snapshot = snapshot
        self._stages = stages
        self._store = store
        self._links = links

    def of(self, name: ProjectName) -> set[str]:
        """Return the paths of those of a project.

        Raises:
            CannotRunError: it cannot be shown, or shows a file of another project, which may be shown there too.

        """
        paths: set[str] = set()
        for served in self._stages:
            steps = tuple(walk(self._snapshot, served.order, name))
            if any(step.outcome == "shown" for step in steps):
                page = project_page(name, steps, self._links)
                if any(project_of(file.filename) != name for file in page.files):
                    raise CannotRunError(f"{name}: has a file of another project")
                paths.update(path for path, _ in stored_paths(page, self._store))
        return paths
