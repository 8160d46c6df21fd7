"""Reads the repository for the server, in one thread: each answer is made from one revision."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from http import HTTPStatus

from gitindex.errors import CannotRunError, NotThereError
from gitindex.model import Mirror
from gitindex.names import IndexName
from gitindex.server import answers
from gitindex.server.answers import Answer
from gitindex.server.bodies import BY_ACCEPT, peoples_page, simple_page
from gitindex.server.live import Source
from gitindex.server.outcomes import (
    NO_INDEX,
    NO_PROJECT,
    NOTHING,
    FileHere,
    FileOutside,
    ListOutside,
    Outcome,
    PageOutside,
    Slow,
    Wanted,
    not_there,
)
from gitindex.server.revision import Outside, Revision, changed_store
from gitindex.server.stored import InGit, Stores
from gitindex.server.targets import MirroredFile, PeoplesPage, ProjectList, SimpleProject, StoredFile
from gitindex.server.travel import Moment, Timeline, find_moment
from gitindex.upstream.mirror import Upstream

_MOST_REVISIONS = 8
"""Other revisions than the served one that are kept open: each holds the trees that it was asked for."""
_MOST_DATES = 1000
MOVES = 1.0
"""Seconds for which what a name or a date stands for is taken to be the same."""


class Reading:
    """The repository, open for one thread."""

    def __init__(self, source: Source, commit: str, *, is_confined: bool = False) -> None:
        self.repository = source.open()
        self._is_confined = is_confined
        """Whether only what the served branch has come from may be asked for, since readers have tokens."""
        top = None if self.repository.is_bare else self.repository.root
        self._stores = Stores(self.repository.git_directory / "lfs" / "objects", top)
        self._others: OrderedDict[Moment, Revision] = OrderedDict()
        self._timeline = Timeline()
        self._dates: dict[tuple[str, str], Moment] = {}
        self._published: dict[tuple[str, str], bool] = {}
        self.generation = 1
        self._added_in = self._lost_in = 1
        """The last generations in which stored files came, and went."""
        self.current = self._open(commit)

    def _open(self, commit: str) -> Revision:
        return Revision(self.repository.at(commit))

    def advance(self, commit: str) -> None:
        """Serve another commit from now on.

        Raises:
            CannotRunError: it cannot be opened; what was served stays.

        """
        new = self._open(commit)
        change = changed_store(self.current.snapshot.files_folder, new.snapshot.files_folder)
        self.current = new
        self.generation += 1
        self._added_in = self.generation if change.added else self._added_in
        self._lost_in = self.generation if change.lost else self._lost_in

    def _is_usable(self, stale: Answer) -> bool:
        """Tell whether what an earlier revision answered is right, if what it is made of is the same."""
        newest = max(self._lost_in, self._added_in) if stale.lacks_files else self._lost_in
        return stale.key is not None and stale.generation >= newest

    def read_blob(self, file: FileHere) -> bytes:
        """Read a small stored file whole.

        Raises:
            CannotRunError: the object is broken, or gone.

        """
        found = file.revision.snapshot.find_stored(file.target.path)
        if found is None:
            raise CannotRunError(f"{file.target.path}: it is gone")
        return found[0].read(found[1])

    def answer(self, wanted: Wanted, stale: Answer | None) -> tuple[Outcome, int]:
        """Return the answer, or who has to give it, and the generation it is of.

        *stale* is what an earlier revision answered.

        Raises:
            CannotRunError: it cannot be made.

        """
        outcome: Outcome
        try:
            revision, moment = self._revision(wanted.asked.revision)
        except NotThereError as error:
            # A tag may come to be without any new commit of the branch.
            missing = not_there(str(error))
            missing.expires = time.monotonic() + MOVES
            outcome, moment = missing, None
        else:
            is_usable = moment is None and stale is not None and self._is_usable(stale)
            outcome = self._outcome(wanted, revision, stale if is_usable else None)
        if moment is not None and isinstance(outcome, (PageOutside, ListOutside, FileOutside)):
            outcome = self._if_asked(outcome, moment)
        if isinstance(outcome, Answer):
            outcome.generation = self.generation
        if isinstance(outcome, Answer) and moment is not None:
            outcome = _of_moment(outcome, moment)
        return outcome, self.generation

    def _if_asked(
        self, outcome: PageOutside | ListOutside | FileOutside, moment: Moment
    ) -> PageOutside | ListOutside | FileOutside | Answer:
        """Return what mirrors have to be asked for, unless nobody has published that they be asked.

        Whoever may push a branch, but not to the one that is served, would otherwise say where this server connects to.
        """
        upstreams = outcome.outside.upstreams if isinstance(outcome, PageOutside) else (outcome.upstream,)
        for upstream in upstreams:
            served = self.current.mirror(upstream.name)
            is_same = served is not None and served.url == upstream.url
            if not is_same and not self._is_published(moment.commit):
                return not_there(f"{upstream.name} shows another index there than in any revision that was published")
        return outcome

    def _may_use_storage(self, revision: Revision) -> bool:
        """Tell whether a revision's files may be taken from where it says; nobody has published each revision.

        Whoever may push a branch would otherwise say which folder of this machine is served.
        """
        storage = revision.snapshot.settings.storage
        is_same = storage.is_embedded or storage == self.current.snapshot.settings.storage
        return is_same or self._is_published(revision.commit)

    def _is_published(self, commit: str) -> bool:
        key = commit, self.current.commit
        if key not in self._published:
            while len(self._published) >= _MOST_DATES:
                del self._published[next(iter(self._published))]
            self._published[key] = self.repository.descends(self.current.commit, commit)
        return self._published[key]

    def _revision(self, text: str | None) -> tuple[Revision, Moment | None]:
        if text is None:
            return self.current, None
        moment = self._confined(text) if self._is_confined else self._moment(text)
        found = self._others.get(moment)
        if found is None:
            snapshot = self.repository.at(moment.commit)
            if snapshot.settings_or_problem is None:
                raise NotThereError(f"{text[:100]!a}: there is no index repository in it")
            found = self._others[moment] = Revision(snapshot, until=moment.until)
            while len(self._others) > _MOST_REVISIONS:
                self._others.popitem(last=False)
        self._others.move_to_end(moment)
        return found, moment

    def _confined(self, text: str) -> Moment:
        """Return a moment of the served history; of what is beside that, not even the names are told."""
        hidden = NotThereError(f"{text[:100]!a}: no such revision")
        try:
            moment = self._moment(text)
        except NotThereError:
            raise hidden from None
        if not self._is_published(moment.commit):
            raise hidden
        return moment

    def _moment(self, text: str) -> Moment:
        key = text, self.current.commit
        if key in self._dates:
            return self._dates[key]
        moment = find_moment(self.repository, text, self.current.commit, self._timeline)
        if moment.until is not None:
            while len(self._dates) >= _MOST_DATES:
                del self._dates[next(iter(self._dates))]
            self._dates[key] = moment
        return moment

    def _outcome(self, wanted: Wanted, revision: Revision, stale: Answer | None) -> Outcome:
        match wanted.asked.target:
            case SimpleProject() as target:
                return self._simple_project(target, wanted, revision, stale)
            case ProjectList(index):
                return self._project_list(index, wanted, revision, stale)
            case StoredFile() as target:
                may_read = wanted.reader.may_read
                is_offered = revision.offers(target.sha256, target.filename, may_read)
                is_offered = is_offered and self._may_use_storage(revision)
                place = self._stores.find(revision.snapshot, target) if is_offered else None
                if place is None:
                    return not_there("no such file")
                made_of = place.object_id.hex() if isinstance(place, InGit) and target.suffix else target.sha256
                is_same = isinstance(place, InGit) and stale is not None and stale.key == made_of
                return stale if stale is not None and is_same else FileHere(target, place, revision, self.generation)
            case MirroredFile() as target:
                return self._mirrored(target, wanted, revision)
            case PeoplesPage() as target if wanted.asked.revision is None:
                return self._peoples_page(target, wanted, revision, stale)
            case _:
                return not_there(NOTHING)

    def _simple_project(
        self, target: SimpleProject, wanted: Wanted, revision: Revision, stale: Answer | None
    ) -> Outcome:
        served = revision.index(target.index)
        if served is None:
            return not_there(NO_INDEX)
        if stale is not None and stale.key == revision.project_identity(served, target.project):
            return stale
        made = revision.project(served, target.project, wanted.format)
        if made is None:
            return not_there(NO_PROJECT)
        if isinstance(made, Outside):
            asked = wanted.asked.revision
            moves = asked is not None and asked != revision.commit
            return PageOutside(served, made, revision, moves)
        return simple_page(made, wanted, revision.project_identity(served, target.project))

    def _project_list(self, name: IndexName, wanted: Wanted, revision: Revision, stale: Answer | None) -> Outcome:
        served = revision.index(name)
        if served is None:
            return not_there(NO_INDEX)
        definition = served.index.definition
        if isinstance(definition, Mirror):
            return ListOutside(Upstream(name, definition))
        identity = revision.list_identity(served)
        if stale is not None and stale.key == identity:
            return stale
        return simple_page(revision.project_list(served, wanted.format), wanted, identity)

    def _mirrored(self, target: MirroredFile, wanted: Wanted, revision: Revision) -> Outcome:
        upstream = revision.mirror(target.index)
        if upstream is None or not revision.reaches(target.index, wanted.reader.may_read):
            return not_there("no such file")
        if revision.hides(upstream, target.project):
            return not_there("no such file")
        return FileOutside(target, upstream, revision)

    def _peoples_page(self, target: PeoplesPage, wanted: Wanted, revision: Revision, stale: Answer | None) -> Outcome:
        from gitindex.server import peoples  # noqa: PLC0415 - installers never ask for these

        if target.index is None:
            identity = revision.landing_identity()
            if self._is_confined:  # each reader sees another page
                made_of = f"{identity} {sorted(wanted.reader.scopes)}"
                identity = hashlib.blake2b(made_of.encode(), digest_size=16).hexdigest()
            if stale is not None and stale.key == identity:
                return stale
            made = peoples.landing(revision, wanted.reader.may_read)._replace(identity=identity)
            return peoples_page(made, wanted, identity, varies=BY_ACCEPT)
        served = revision.index(target.index)
        if served is None:
            return not_there(NO_INDEX)
        if target.project is not None:
            if not revision.has_project(served, target.project):
                return not_there(NO_PROJECT)
            # Commits may undo each other, and the history that the page shows has both.
            identity = f"{revision.project_identity(served, target.project)} {revision.commit}"
        else:
            identity = revision.list_identity(served)
            if target.is_feed:
                identity = f"{identity} {revision.commit}"
        if stale is not None and stale.key == identity:
            return stale
        return Slow(target, identity, revision.commit)


def _of_moment(answer: Answer, moment: Moment) -> Answer:
    """Return an answer of another revision, with how long it may be kept: of a whole commit id, for ever.

    What is not there may be there once a commit was published.
    """
    if moment.is_immutable:
        if answer.status == HTTPStatus.OK:
            answer.generation = answers.ALWAYS
            answer.set_caching(answers.FOR_EVER)
    else:
        answer.expires = time.monotonic() + MOVES
    return answer
