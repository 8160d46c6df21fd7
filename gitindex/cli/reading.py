"""`gitindex list`, `show` and `why`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from gitindex.cli.common import IndexOption, JsonOption, current, index_name, open_repository, project_name
from gitindex.cli.output import note, print_json, say, table
from gitindex.devpi import index_config, project_config, user_config
from gitindex.edits.opened import cannot_read, meant_by, open_index, open_user
from gitindex.errors import NotThereError, UsageError
from gitindex.names import ProjectName, parse_version
from gitindex.report.text import count
from gitindex.resolve import ResolvedFile, Step, files_of, project_names, resolution_order, unreadable_in, walk
from gitindex.snapshot import Index, Snapshot


def list_(
    ctx: typer.Context,
    index: IndexOption,
    project: Annotated[str | None, typer.Argument(metavar="PROJECT", help="List the files of this project.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the projects of an index, or the files of a project.

    Inherited ones are listed with the index that each comes from; what only a mirror has is not.
    """
    snapshot = current(open_repository(ctx))
    opened = open_index(snapshot, index_name(index))
    if project is None:
        _list_projects(snapshot, opened, as_json=as_json)
    else:
        _list_files(snapshot, opened, project_name(project), as_json=as_json)


def _list_projects(snapshot: Snapshot, index: Index, *, as_json: bool) -> None:
    order = resolution_order(snapshot, index)
    found = {name: [step.name for step in order if step.has_project(name)] for name in project_names(order)}
    if as_json:
        print_json(
            {"projects": [{"name": name, "indexes": [str(i) for i in indexes]} for name, indexes in found.items()]}
        )
    elif found:
        say(table((name, " ".join(map(str, indexes))) for name, indexes in found.items()))
    elif index.is_mirror:
        note(f"{index.name} is a mirror: its projects are the upstream's, and are not listed here.")
    else:
        note(f"{index.name} has no projects yet.")


def _list_files(snapshot: Snapshot, index: Index, project: ProjectName, *, as_json: bool) -> None:
    steps = _walk(snapshot, index, project)
    _must_be_there(snapshot, index, project, steps)
    shown = sorted((found for found in files_of(steps) if found.shadowed_by is None), key=_newest_last)
    if as_json:
        print_json({"name": project, "files": [_file_json(found) for found in shown]})
    elif shown:
        say(table(_file_rows(shown)))


def _newest_last(found: ResolvedFile) -> tuple[Any, str]:
    return (parse_version(found.version), found.file.filename)


def _file_json(found: ResolvedFile) -> dict[str, Any]:
    return {
        "filename": found.file.filename,
        "version": found.version,
        "index": str(found.index),
        "hashes": {"sha256": found.file.sha256},
        "yanked": False if found.yanked is None else found.yanked or True,
    }


def _file_rows(shown: list[ResolvedFile]) -> Iterator[tuple[str, str, str, str]]:
    for found in shown:
        yanked = "" if found.yanked is None else f"yanked: {found.yanked}" if found.yanked else "yanked"
        yield found.version, found.file.filename, str(found.index), yanked


def _walk(snapshot: Snapshot, index: Index, project: ProjectName) -> tuple[Step, ...]:
    """Walk the order; what is there and cannot be read is an error, not something to leave out."""
    steps = tuple(walk(snapshot, resolution_order(snapshot, index), project))
    if document := unreadable_in(steps):
        raise cannot_read(document)
    return steps


def _must_be_there(snapshot: Snapshot, index: Index, project: ProjectName, steps: tuple[Step, ...]) -> None:
    if not any(step.project for step in steps):
        names = project_names(resolution_order(snapshot, index))
        raise NotThereError(
            f"no index that {index.name} inherits from has a release of {project}",
            help=f"{meant_by(project, names)}see: gitindex why {project} --index {index.name}",
        )


def show(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="USER | USER/INDEX", help="A user or an index; all users by default.")
    ] = None,
    project: Annotated[str | None, typer.Argument(metavar="PROJECT", help="A project of the index.")] = None,
    as_json: JsonOption = True,
) -> None:
    """Show users, an index or a project as JSON.

    The shape is that of devpi's getjson.
    """
    del as_json  # this command answers in JSON in any case
    snapshot = current(open_repository(ctx))
    if name is None:
        users = {user: user_config(snapshot, user) for user in snapshot.user_names()}
        print_json({"type": "list:userconfig", "result": users})
    elif "/" not in name.strip("/"):
        if project is not None:
            raise UsageError(
                f"{name!r} is a user, and projects belong to indexes", help=f"write {name}/INDEX {project}"
            )
        open_user(snapshot, name.strip("/"))
        print_json({"type": "userconfig", "result": user_config(snapshot, name.strip("/"))})
    elif project is None:
        print_json({"type": "indexconfig", "result": index_config(open_index(snapshot, index_name(name)))})
    else:
        index, normal = open_index(snapshot, index_name(name)), project_name(project)
        _walk(snapshot, index, normal)
        versions = project_config(snapshot, index, normal)
        if not versions:
            raise NotThereError(
                f"{index.name} has no files of {normal}", help=f"see: gitindex why {normal} --index {index.name}"
            )
        print_json({"type": "projectconfig", "result": versions})


def why(
    ctx: typer.Context,
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="The project.")],
    index: IndexOption,
    as_json: JsonOption = False,
) -> None:
    """Say which index gives or hides the files of a project.

    The indexes are listed in the order in which they are asked, each with the setting that decides.
    """
    snapshot = current(open_repository(ctx))
    opened, name = open_index(snapshot, index_name(index)), project_name(project)
    steps = _walk(snapshot, opened, name)
    files = tuple(files_of(steps))
    if as_json:
        print_json(
            {
                "name": name,
                "index": str(opened.name),
                "steps": [_step_json(step) for step in steps],
                "files": [_why_json(f) for f in files],
            }
        )
        return
    rows = []
    for step in steps:
        its = [found for found in files if found.index == step.index.name]
        shadowed = sum(found.shadowed_by is not None for found in its)
        told = (
            f"{count(len(its) - shadowed, 'file')} of it shown" + (f", {shadowed:,} shadowed" if shadowed else "")
            if its
            else step.reason
        )
        rows.append((str(step.index.name), step.outcome, told))
    say(table(rows))
    for found in files:
        if found.shadowed_by is not None:
            say(f"{found.file.filename} of {found.index} is shadowed by the one of {found.shadowed_by}")
        elif found.yanked is not None:
            say(f"{found.file.filename} of {found.index} is yanked: {found.yanked or 'no reason given'}")


def _step_json(step: Step) -> dict[str, Any]:
    return {"index": str(step.index.name), "outcome": step.outcome, "reason": step.reason}


def _why_json(found: ResolvedFile) -> dict[str, Any]:
    return {**_file_json(found), "shadowed_by": None if found.shadowed_by is None else str(found.shadowed_by)}
