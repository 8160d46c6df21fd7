"""`gitindex validate`, whole: its options, declared once, and what it does. It knows no Typer.

A hook runs it at each commit, and a quarter of the time would go into importing Typer.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path

from gitindex.compare import Change
from gitindex.errors import MovedError, UsageError
from gitindex.finding import Verdict
from gitindex.git import STAGED, WORKTREE, Repository
from gitindex.guard import attribute, merged_change, verdict_on
from gitindex.names import is_commit_id
from gitindex.snapshot import Snapshot
from gitindex.words import Option


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"
    GITLAB = "gitlab"
    MARKDOWN = "markdown"


OPTIONS = (
    Option(
        "base",
        "--base",
        "What is published; by default what HEAD shares with the protected branch of origin, else HEAD.",
        "REV",
    ),
    Option("head", "--head", "What would be; by default the working tree.", "REV"),
    Option("staged", "--staged", "Check what is staged: what the next commit would hold."),
    Option("worktree", "--worktree", "Check the working tree (the default)."),
    Option("everything", "--all", "Check every file, not only what the change touches."),
    Option("into", "--merge-into", "Compare what a merge of the head into REV would give with REV.", "REV"),
    Option("expect_base", "--expect-base", "Refuse if the base is another commit by now.", "SHA"),
    Option("expect_head", "--expect-head", "Refuse if the head is another commit by now.", "SHA"),
    Option("pushed", "--pushed", "Check what is being pushed: for a pre-push hook."),
    Option("fix", "--fix", "Repair in the working tree what is mechanical and not released, then check it."),
    Option("actor", "--actor", "Who makes the change: a user, or an identity such as github:emilie.", "ID"),
    Option("strict", "--strict", "Let a warning refuse the change as an error does."),
    Option("sarif", "--sarif", "Write the findings to a file too, as SARIF.", "FILE", Path),
    Option("form", "--format", "How to print the findings.", "FORMAT", Format),
    Option("as_json", "--json", "The same as --format json."),
)


def run(
    directory: Path,
    folder: str | None,
    *,
    base: str | None = None,
    head: str | None = None,
    staged: bool = False,
    worktree: bool = False,
    everything: bool = False,
    into: str | None = None,
    expect_base: str | None = None,
    expect_head: str | None = None,
    pushed: bool = False,
    fix: bool = False,
    actor: str | None = None,
    strict: bool = False,
    sarif: Path | None = None,
    form: Format = Format.TEXT,
    as_json: bool = False,
) -> int:
    """Check a change, print the findings, and return the exit code: 1 where it is refused, else 0."""
    _exclude({"--head": head is not None, "--staged": staged, "--worktree": worktree, "--pushed": pushed})
    _exclude({"--merge-into": into is not None, "--staged": staged, "--worktree": worktree, "--pushed": pushed})
    _exclude({"--merge-into": into is not None, "--base": base is not None, "--pushed": pushed})
    _exclude({"--sarif": sarif is not None, "--pushed": pushed})
    if sarif is not None:
        from gitindex.atomic import check_out

        check_out(sarif, "--sarif")
    repository = Repository.open(directory, folder)
    shown = Format.JSON if as_json else form
    if pushed:
        return _check_push(repository, actor, shown, strict=strict)
    with repository.writing() if fix else nullcontext():
        after = repository.at(head or "HEAD") if into is not None else head_of(repository, head, staged=staged)
        is_named = head is not None
        before = repository.at(into) if into is not None else base_of(repository, base, after, is_revision=is_named)
        _expect("base", expect_base, before)
        _expect("head", expect_head, after)
        if after.settings_or_problem is None and (before is None or before.settings_or_problem is None):
            _ = after.settings  # says that this is no index repository
        if fix:
            after = _fix(repository, before, after, everything=everything, actor=actor, form=shown)
    is_revision = after.name not in (WORKTREE, STAGED)
    if into is not None and before is not None:
        change = merged_change(repository, before, after, everything=everything, today=today())
    else:
        is_pair = is_revision and base is not None and before is not None
        descends = repository.descends(str(after.name), str(before.name)) if is_pair and before else None
        change = Change(before, after, everything=everything, descends=descends, today=today())
    attribute(repository, change, actor=actor, head=after.name if is_revision else None)
    verdict = verdict_on(change, folder=repository.folder, is_merged=into is not None, is_strict=strict)
    write_sarif(verdict, sarif)
    print_verdict(verdict, shown)
    return int(verdict.is_refused)


def today() -> date:
    """Return the day that it is, in UTC: the same everywhere for everybody who judges a change."""
    return datetime.now(UTC).date()


def _check_push(repository: Repository, actor: str | None, form: Format, *, strict: bool) -> int:
    if form is not Format.TEXT:
        raise UsageError("--pushed prints text", help="a push may bring several branches, each with its verdict")
    from gitindex.receive import Door, hook_lines, read_push

    updates = read_push(os.environ, hook_lines(sys.stdin.buffer), repository.history.remote_tip)
    door = Door(repository, actor, is_strict=strict, today=today())
    verdicts = [verdict for _, verdict in door.sent(updates)]
    for verdict in verdicts:
        print_verdict(verdict, form)
    return int(any(verdict.is_refused for verdict in verdicts))


def _exclude(given: Mapping[str, bool]) -> None:
    flags = [flag for flag, is_given in given.items() if is_given]
    if len(flags) > 1:
        raise UsageError(f"{' and '.join(flags)} exclude each other", help="give one of them")


def _expect(side: str, expected: str | None, found: Snapshot | None) -> None:
    """Refuse to go on where a side of the change is not the commit that the caller means."""
    if expected is None:
        return
    if not is_commit_id(expected):
        raise UsageError(f"--expect-{side} is {expected!r}, and must be a whole commit id", help="see: git rev-parse")
    name = found.name if found is not None else None
    if name != expected:
        raise MovedError(f"the {side} is {name or 'nothing'}, and {expected} was expected")


def head_of(repository: Repository, head: str | None, *, staged: bool) -> Snapshot:
    """Open what would be: a revision, what is staged, or the working tree."""
    if head is not None:
        return repository.at(head)
    if staged:
        return repository.staged()
    if repository.is_bare:
        raise UsageError("a bare repository has no working tree", help="name a revision with --head")
    return repository.worktree()


def base_of(repository: Repository, base: str | None, head: Snapshot, *, is_revision: bool) -> Snapshot | None:
    """Open what is published: a revision, by default what origin has; ``None`` where there is nothing yet."""
    if base is not None:
        # What Git hooks and forges pass for "nothing was there before".
        return None if set(base) == {"0"} else repository.at(base)
    return repository.origin.published(head.name if is_revision else None)


def _fix(
    repository: Repository,
    before: Snapshot | None,
    worktree: Snapshot,
    *,
    everything: bool,
    actor: str | None,
    form: Format,
) -> Snapshot:
    """Repair the working tree, tell what was done, and return what there is now."""
    from gitindex.edits.fix import plan_fixes
    from gitindex.report.text import printable
    from gitindex.write import is_taken, put, settled

    if worktree.name != WORKTREE:
        raise UsageError("--fix repairs the working tree", help="leave out --staged, --head and --merge-into")

    def change_to(head: Snapshot) -> Change:
        return attribute(repository, Change(before, head, everything=everything), actor=actor, head=None)

    root = repository.root
    plan = plan_fixes(worktree, change_to, root, is_taken=partial(is_taken, root), clears_modes=repository.keeps_modes)
    with settled(repository, worktree, plan):
        put(root, plan)
    # What a program reads holds the findings alone.
    stream = sys.stdout if form is Format.TEXT else sys.stderr
    stream.writelines(f"{printable(note)}\n" for note in plan.notes)
    if not plan.changes:
        return worktree
    tops = sorted({path.split("/")[0] for path in plan.changes})
    sys.stderr.write(f"To stage it, in {root}: git add --all -- {' '.join(tops)}\n")
    return repository.worktree()


def write_sarif(verdict: Verdict, path: Path | None) -> None:
    """Write the findings to a file as SARIF, where one is named."""
    if path is not None:
        from gitindex import atomic
        from gitindex.report.sarif import sarif_report

        atomic.write_out(path, sarif_report(verdict).encode())


def print_verdict(verdict: Verdict, form: Format) -> None:
    """Print the findings."""
    match form:  # each format is imported when it is asked for
        case Format.TEXT:
            from gitindex.report.text import findings_text, has_colour, verdict_line

            colour = has_colour(sys.stdout)
            report = f"{findings_text(verdict.findings, colour=colour)}{verdict_line(verdict, colour=colour)}\n"
        case Format.JSON:
            from gitindex.report.json import verdict_json

            report = verdict_json(verdict)
        case Format.GITHUB:
            report = _github(verdict)
        case Format.SARIF:
            from gitindex.report.sarif import sarif_report

            report = sarif_report(verdict)
        case Format.GITLAB:
            from gitindex.report.gitlab import gitlab_report

            report = gitlab_report(verdict)
        case Format.MARKDOWN:
            from gitindex.report.markdown import markdown_report

            report = markdown_report(verdict)
    sys.stdout.write(report)


def _github(verdict: Verdict) -> str:
    """Add the findings to the summary of the job, where there is one, and return what to print."""
    from gitindex.report.github import github_log, job_summary

    has_summary = False
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(path).open("ab") as file:
                summary = job_summary(verdict, file.tell()).encode()
                has_summary = file.write(summary) > 0
        except OSError as error:
            # The verdict does not depend on it, and the findings are printed then.
            print(f"gitindex: the summary of the job cannot be written: {error.strerror}", file=sys.stderr)
    return github_log(verdict, has_summary=has_summary)
