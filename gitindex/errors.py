"""What stops a run. Each error carries its data; the command line turns it into one line and an exit code.

Findings about content are values (see :mod:`gitindex.finding`); an exception means that the run could not go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitindex.finding import Finding


class GitindexError(Exception):
    """Base of all errors that end a run with a message and an exit code."""

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, help: str = "") -> None:  # noqa: A002 - the word users read
        super().__init__(message, help)
        self.message = message
        self.help = help

    def __str__(self) -> str:
        return f"{self.message}; {self.help}" if self.help else self.message


class UsageError(GitindexError):
    """The words of the command are wrong (exit code 2)."""

    exit_code = 2


class NotThereError(GitindexError):
    """The thing asked for does not exist (exit code 1)."""

    exit_code = 1


class ConflictError(GitindexError):
    """What is asked for does not go with something that is there, or with itself (exit code 1)."""

    exit_code = 1


class MovedError(GitindexError):
    """What a verdict was asked for is not what is there any more (exit code 1)."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message, help="it moved: look at what is there now, and validate that")


class CannotRunError(GitindexError):
    """The run could not be done: no repository, a broken object, a disk or a network that fails (exit code 3)."""

    exit_code = 3


class DeclinedError(CannotRunError):
    """A remote was asked, and said no: a hook or a rule of it (exit code 3)."""


class DeliveryError(Exception):
    """Something cannot be given now: whoever has it does not deliver it, or delivers something else."""

    is_wrong: ClassVar[bool] = False
    """Whether the other side answered, and wrongly; else it did not, or nobody could ask."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class RefusedError(GitindexError):
    """A write was refused by the rules, and nothing was written (exit code 1)."""

    exit_code = 1

    def __init__(self, findings: Sequence[Finding], message: str = "refused, and nothing was written") -> None:
        super().__init__(message)
        self.findings = tuple(findings)


class DistributionError(GitindexError):
    """A file that is no sound wheel or sdist (exit code 1)."""

    exit_code = 1

    def __init__(self, filename: str, problem: str, *, help: str = "") -> None:  # noqa: A002
        super().__init__(f"{filename}: {problem}", help=help)
        self.filename = filename
        self.problem = problem
