"""What comes of a request: an answer, or who has to give it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from gitindex.errors import CannotRunError
from gitindex.server import answers
from gitindex.server.answers import Answer

if TYPE_CHECKING:
    from gitindex.served import ServedIndex
    from gitindex.server.access import Reader
    from gitindex.server.negotiation import Format
    from gitindex.server.revision import Outside, Revision
    from gitindex.server.stored import Place
    from gitindex.server.targets import Asked, MirroredFile, PeoplesPage, StoredFile
    from gitindex.upstream.mirror import Upstream


class TooBusyError(CannotRunError):
    """More requests wait than can be served."""


class Wanted(NamedTuple):
    """A request, as far as an answer depends on it."""

    asked: Asked
    format: Format
    gzipped: bool
    reader: Reader


class PageOutside(NamedTuple):
    """A project page that mirrors have to be asked for."""

    served: ServedIndex
    outside: Outside
    revision: Revision
    moves: bool
    """Whether it was asked for by what may soon mean another revision."""


class ListOutside(NamedTuple):
    """The list of a mirror's projects."""

    upstream: Upstream


class FileHere(NamedTuple):
    """A stored file."""

    target: StoredFile
    place: Place
    revision: Revision
    generation: int


class FileOutside(NamedTuple):
    """A mirror's file."""

    target: MirroredFile
    upstream: Upstream
    revision: Revision


class Slow(NamedTuple):
    """A page of people that takes the reading of a whole index, or of the history."""

    target: PeoplesPage
    identity: str
    commit: str


Outcome = Answer | PageOutside | ListOutside | FileHere | FileOutside | Slow

NO_PROJECT = "no such project"
NO_INDEX = "no such index"
NOTHING = "nothing is here"


def not_there(text: str) -> Answer:
    """Return a 404 in one line."""
    return answers.in_words(HTTPStatus.NOT_FOUND, text)
