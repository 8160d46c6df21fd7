"""`gitindex test`."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, cast

import typer

from gitindex.cli.common import (
    CommitOption,
    IndexOption,
    JsonOption,
    PrOption,
    index_name,
    look,
    moment,
    open_repository,
    project_name,
    release,
    start,
    write,
)
from gitindex.cli.output import say
from gitindex.edits.opened import open_index, open_project, open_release
from gitindex.edits.promotion import newest_sound
from gitindex.errors import CannotRunError
from gitindex.testing.running import Run, Runner


def try_release(
    ctx: typer.Context,
    wanted: Annotated[
        str, typer.Argument(metavar="PROJECT[==VERSION]", help="The release; by default the newest of the project.")
    ],
    index: IndexOption,
    runner: Annotated[
        Runner | None, typer.Option("--runner", help="By default what the sdist has a configuration of, else pytest.")
    ] = None,
    environment: Annotated[
        list[str] | None,
        typer.Option("--environment", "-e", metavar="NAME", help="Of tox or nox; may be given several times."),
    ] = None,
    python: Annotated[
        str,
        typer.Option(
            "--python",
            metavar="PATH",
            help="The interpreter that the environment is made with.",
            show_default="the one that runs gitindex",
        ),
    ] = sys.executable,
    timeout: Annotated[
        int, typer.Option("--timeout", metavar="SECONDS", min=1, help="How long all of it may take.")
    ] = 3600,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Write what the tests say to a file, not here.")
    ] = None,
    record: Annotated[bool, typer.Option("--record/--no-record", help="Write down what came of it.")] = True,
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="-- ARGUMENTS", help="What the tests get, as it is.")
    ] = None,
    commit: CommitOption = False,
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run the tests of a release, and record what came of them.

    Its sdist is unpacked, and tox, nox or pytest run in a clean environment whose only index is the release's own. What
    they test is the release itself. They are a stranger's program: they see no secrets, and are not confined further.
    Exit code 1 says that tests failed or could not be run.
    """
    from gitindex.edits.results import record as record_runs
    from gitindex.loopback import serve
    from gitindex.objects import store_of
    from gitindex.testing import Wanted, fetch, run_tests

    repository = open_repository(ctx)
    snapshot = look(repository, commit=commit, pr=pr)
    name = index_name(index)
    project, version = release(wanted) if "=" in wanted else (project_name(wanted), None)
    manifest = open_release(snapshot, name, project, version or newest_sound(open_project(snapshot, name, project)))
    store = store_of(snapshot, repository.git_directory)
    with tempfile.TemporaryDirectory(prefix="gitindex-test-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        sources = fetch(manifest.files, store, place)
        chosen = Wanted(
            f"{project}=={manifest.version}",
            _extras(next(iter(sources.files))),
            runner,
            tuple(environment or ()),
            python,
            float(timeout),
            tuple(arguments or ()),
        )
        problems: dict[str, None] = {}
        opened = open_index(snapshot, name)
        with serve(snapshot, opened, store, lambda error: problems.setdefault(str(error))) as url, _log(log) as stream:
            runs = run_tests(sources, chosen, url, place, stream)
    for problem in problems:
        print(f"gitindex: {problem}", file=sys.stderr)
    told = [_result(run) for run in runs]
    if record:
        what = f"test {project} {manifest.version} in {name}"
        if not pr:
            snapshot = start(ctx, repository, commit=commit, pr=pr)  # the tests took long: others may have written
        plan = record_runs(snapshot, name, project, manifest.version, told)
        write(repository, snapshot, plan, commit=commit, pr=pr, name=what, as_json=as_json, more={"runs": told})
    elif as_json:
        from gitindex.cli.output import print_json

        print_json({"runs": told})
    else:
        for run in runs:
            say(f"{run.environment}: {run.outcome} in {run.duration:,.1f} s")
    if any(run.outcome != "passed" for run in runs):
        raise typer.Exit(1)


def _extras(sdist: Path) -> frozenset[str]:
    """Return the extras that an sdist says it has."""
    from packaging.metadata import parse_email

    from gitindex.facts import read_core_facts

    with sdist.open("rb") as stream:
        raw, _ = parse_email(read_core_facts(sdist.name, stream).metadata)
    return frozenset(raw.get("provides_extra", ()))


@contextlib.contextmanager
def _log(path: Path | None) -> Iterator[BinaryIO]:
    """Open where the tests speak: a file, else standard error, since standard output holds the answer."""
    if path is None:
        yield sys.stderr.buffer
        return
    try:
        stream = path.open("wb")
    except OSError as error:
        raise CannotRunError(f"{path}: cannot be written: {error.strerror}") from None
    with stream:
        yield cast("BinaryIO", stream)


def _result(run: Run) -> dict[str, Any]:
    return {
        "environment": run.environment,
        "outcome": run.outcome,
        "duration": run.duration,
        "time": moment(),
        "files": list(run.files),
        "log": run.log,
    }
