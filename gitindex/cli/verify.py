"""`gitindex verify`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from gitindex import atomic
from gitindex.cli.common import JsonOption, current, index_name, open_repository
from gitindex.cli.output import note, print_json, say
from gitindex.compare import Change
from gitindex.edits.opened import open_stage
from gitindex.finding import Finding, sort_findings
from gitindex.git import Repository
from gitindex.report.json import finding_json
from gitindex.report.markdown import verification_report
from gitindex.report.progress import progress_in_bytes, progress_of
from gitindex.report.text import count, findings_text, has_colour
from gitindex.snapshot import Snapshot
from gitindex.verify import Journal, Report, total_size, verify as verify_files

_SHOWN = 5
"""Files that are named for one reason why they could not be checked; a lost server is one for all of its."""


def verify(
    ctx: typer.Context,
    index: Annotated[
        list[str] | None,
        typer.Option("--index", metavar="USER/INDEX", help="Only this index; may be given several times."),
    ] = None,
    rev: Annotated[
        str | None, typer.Option("--rev", metavar="REV", help="The revision; by default the working tree.")
    ] = None,
    changed_since: Annotated[
        str | None,
        typer.Option("--changed-since", metavar="REV", help="Only files that are new or changed against REV."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", metavar="N", min=1, max=64, help="Files at a time; by default 8, or fewer from a disk."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted run stopped.", show_default=False)
    ] = False,
    upstream: Annotated[
        bool,
        typer.Option("--upstream", help="Ask the upstreams too: do they still have what mirrors allow by name?"),
    ] = False,
    report_file: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write what is found to a file too, as Markdown.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read or download every released file, and check its bytes.

    Sha256, size, the whole archive and its metadata are compared with the manifests. Exit code 1 says that something
    is wrong, 3 that some files could not be read, and no other one is wrong.
    """
    atomic.check_out(report_file, "--report")
    repository = open_repository(ctx)
    snapshot = repository.at(rev) if rev is not None else current(repository)
    names = [open_stage(snapshot, index_name(name)).name for name in index or ()]
    change = None if changed_since is None else Change(repository.at(changed_since), snapshot)
    bytes_to_read = partial(total_size, snapshot, change=change, indexes=names)
    with _journal(repository, resume=resume) as journal, progress_in_bytes(bytes_to_read) as advance:
        report = verify_files(
            snapshot,
            repository.blobs,
            change=change,
            indexes=names,
            lfs_objects=repository.git_directory / "lfs" / "objects",
            journal=journal,
            jobs=jobs,
            advance=advance,
        )
        if journal is not None and not report.unchecked:
            journal.remove()
    if upstream:
        report = report._replace(findings=tuple(sort_findings([*report.findings, *_drifted(snapshot)])))
    if report_file is not None:
        lines = _unchecked_lines(snapshot, report)
        text = verification_report(_summary(report), report.findings, repository.folder, lines)
        atomic.write_out(report_file, text.encode())
    _print(snapshot, report, as_json=as_json)
    if report.findings or report.unchecked:
        raise typer.Exit(1 if report.findings else 3)


@contextlib.contextmanager
def _journal(repository: Repository, *, resume: bool) -> Iterator[Journal | None]:
    """Open the journal, and say how to go on where the run is interrupted."""
    journal = Journal.open(repository.git_directory, repository.folder, resume=resume)
    if journal is None:
        note("Another run works here, or the Git folder is read-only: this run keeps no journal to go on from.")
    elif resume:
        note(f"{count(journal.resumed, 'file')} proven by an earlier run.")
    try:
        yield journal
    except KeyboardInterrupt:
        if journal is not None:
            proven = f"{count(journal.proven, 'file')} {'is' if journal.proven == 1 else 'are'} proven"
            note(f"Interrupted: {proven}; to go on, add --resume to the same command.")
        raise
    finally:
        if journal is not None:
            journal.close()


def _print(snapshot: Snapshot, report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(_values(snapshot, report))
        return
    sys.stdout.write(findings_text(report.findings, colour=has_colour(sys.stdout)))
    for line in _unchecked_lines(snapshot, report):
        say(line)
    if report.unnamed:
        note(f"{count(report.unnamed, 'stored file')} of no release: no manifest of any index names them.")
    say(_summary(report))


def _summary(report: Report) -> str:
    resumed = f" ({report.resumed:,} by an earlier run)" if report.resumed else ""
    wrong = f"{report.wrong:,} wrong" if report.wrong else "none wrong"
    unchecked = f", {len(report.unchecked):,} could not be checked" if report.unchecked else ""
    return f"{count(report.files, 'file')}{resumed}, {count(report.bytes, 'byte')}: {wrong}{unchecked}."


def _drifted(snapshot: Snapshot) -> list[Finding]:
    """Return what mirrors allow and their upstreams have no longer."""
    from gitindex.upstream.client import Upstreams
    from gitindex.upstream.drift import drifted

    upstreams = Upstreams(None)
    try:
        with progress_of("projects of mirrors") as progress:
            return list(drifted(snapshot, upstreams, progress))
    finally:
        upstreams.close()


def _unchecked_lines(snapshot: Snapshot, report: Report) -> Iterator[str]:
    """Yield each reason once, with the first files that it concerns."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for unchecked in report.unchecked:
        line = snapshot.line_of(unchecked.path, unchecked.keys)
        place = unchecked.path if line is None else f"{unchecked.path}:{line}"
        by_reason.setdefault((unchecked.problem, unchecked.help), []).append(
            f"{place}: {unchecked.name} could not be checked" if unchecked.name else f"{place}: could not be checked"
        )
    for (problem, help_), places in by_reason.items():
        yield from (f"{place}: {problem}" for place in places[:_SHOWN])
        if len(places) > _SHOWN:
            yield f"    and {len(places) - _SHOWN:,} more for this reason"
        yield f"    {help_}"


def _values(snapshot: Snapshot, report: Report) -> dict[str, Any]:
    return {
        "revision": snapshot.name,
        "files": report.files,
        "resumed": report.resumed,
        "bytes": report.bytes,
        "wrong": report.wrong,
        "unchecked": [
            {
                "path": unchecked.path,
                "line": snapshot.line_of(unchecked.path, unchecked.keys),
                "filename": unchecked.name or None,
                "message": unchecked.problem,
                "help": unchecked.help,
            }
            for unchecked in report.unchecked
        ],
        "unnamed": report.unnamed,
        "findings": [*map(finding_json, report.findings)],
    }
