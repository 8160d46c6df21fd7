"""Says to a client what became of a change that it asked for: a status, one line, and all of it."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from gitindex import layout
from gitindex.errors import (
    ConflictError,
    DeclinedError,
    DistributionError,
    GitindexError,
    NotThereError,
    RefusedError,
    UsageError,
)
from gitindex.finding import Finding, Severity
from gitindex.report.text import printable
from gitindex.server import answers
from gitindex.server.answers import Answer
from gitindex.server.body import BodyError
from gitindex.server.connection import REASON
from gitindex.server.delivery import Exchange

if TYPE_CHECKING:
    from gitindex.server.batches import Written

_LONGEST = 400
"""Bytes of a reason phrase."""
_LATER = (b"retry-after", b"5")
_UNSEEN = re.compile(r"[^ -~]+")


class Failure(NamedTuple):
    """Why a change was not made."""

    status: HTTPStatus
    lines: tuple[str, ...]
    """The first one says it alone."""

    @property
    def reason(self) -> bytes:
        """The first line as a reason phrase takes it: what can be seen of ASCII, and spaces."""
        return _UNSEEN.sub("?", self.lines[0])[:_LONGEST].encode("ascii")

    @property
    def is_passing(self) -> bool:
        """Whether the same may be taken later."""
        return self.status == HTTPStatus.SERVICE_UNAVAILABLE


def failure(error: GitindexError) -> Failure:
    """Return what a client is told of an error."""
    match error:
        case BodyError(status=status):
            return Failure(status, (printable(str(error)),))
        case RefusedError(findings=findings):
            worst = [finding for finding in findings if finding.severity is Severity.ERROR]
            # What is wrong with a release says more than what is wrong with its stored file.
            worst.sort(key=lambda finding: finding.path.startswith(f"{layout.FILES}/"))
            return Failure(_status(worst), tuple(map(_line, worst)))
        case DeclinedError():
            status = HTTPStatus.FORBIDDEN
        case NotThereError():
            status = HTTPStatus.NOT_FOUND
        case ConflictError():
            status = HTTPStatus.CONFLICT
        case UsageError() | DistributionError():
            status = HTTPStatus.BAD_REQUEST
        case _:
            status = HTTPStatus.SERVICE_UNAVAILABLE
    return Failure(status, (printable(" ".join(str(error).split())),))


def told(exchange: Exchange, found: Failure, *others: tuple[bytes, bytes]) -> Answer:
    """Return the answer that says why nothing was changed; its reason phrase does so too."""
    exchange.scope[REASON] = found.reason
    more = (*others, *([_LATER] if found.is_passing else []))
    return answers.in_words(found.status, "\n".join(found.lines), *more)


def done(written: Written, *, knows_accepted: bool = True) -> Answer:
    """Return the answer that says what was changed; 202 where it is proposed, to who knows that status."""
    warnings = [f"warning: {finding.code} {finding.message}" for finding in written.warnings]
    lines = [*written.notes, *([f"Proposed: {written.url}"] if written.url else []), *warnings]
    status = HTTPStatus.ACCEPTED if written.is_proposed and knows_accepted else HTTPStatus.OK
    return answers.in_words(status, "\n".join(lines))


def _status(findings: list[Finding]) -> HTTPStatus:
    """Return the status of a refusal: who may not, may not, whatever else is wrong; then what is promised counts."""
    codes = {finding.code[:3] for finding in findings}
    if "GI3" in codes:
        return HTTPStatus.FORBIDDEN
    return HTTPStatus.CONFLICT if "GI2" in codes else HTTPStatus.BAD_REQUEST


def _line(finding: Finding) -> str:
    text = f"{finding.code} {finding.message}"
    return printable(" ".join((f"{text}; {finding.help}" if finding.help else text).split()))
