"""`gitindex upload`, `yank`, `unyank` and `remove`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gitindex.cli.common import (
    CommitOption,
    IndexOption,
    JsonOption,
    PrOption,
    index_name,
    moment,
    open_repository,
    project_name,
    release,
    start,
    write,
)
from gitindex.edits import releases
from gitindex.errors import CannotRunError, DistributionError, UsageError
from gitindex.names import IndexName

if TYPE_CHECKING:
    from gitindex.facts import Distribution

_Release = Annotated[str, typer.Argument(metavar="PROJECT==VERSION", help="The release.")]
_File = Annotated[str | None, typer.Option("--file", metavar="FILENAME", help="Only this file of the release.")]


def upload(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Wheels (.whl) and sdists (.tar.gz).")],
    index: IndexOption,
    attestation: Annotated[
        list[Path] | None,
        typer.Option(
            "--attestation",
            metavar="FILE",
            help="A signed attestation of one of the files (PEP 740); may be given several times.",
        ),
    ] = None,
    commit: CommitOption = False,
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Release wheels and sdists to an index.

    Names, versions and requirements are read from the files' own metadata. The same file again changes nothing.
    Attestations (*.attestation) may stand among the files; they are checked, and stored beside what they attest.
    """
    from gitindex.facts import read_distribution

    repository = open_repository(ctx)
    worktree = start(ctx, repository, commit=commit, pr=pr)
    name = index_name(index)
    attesting = [*(attestation or ()), *(path for path in files if path.suffix == ".attestation")]
    read = []
    for path in dict.fromkeys(path for path in files if path.suffix != ".attestation"):
        try:
            with path.open("rb") as stream:
                read.append((read_distribution(path.name, stream), path))
        except OSError as error:
            hint = f"name the files in it: {path}/*" if path.is_dir() else ""
            raise CannotRunError(f"{path}: cannot be read: {error.strerror}", help=hint) from None
    twice = {dist.filename for dist, _ in read if sum(other.filename == dist.filename for other, _ in read) > 1}
    if twice:
        raise UsageError(f"{min(twice)} is given twice, from different folders", help="name it once")
    provenance = _provenance(attesting, {dist.filename: dist.sha256 for dist, _ in read}) if attesting else {}
    plan = releases.upload(worktree, name, read, moment(), provenance)
    what = _upload_name([dist for dist, _ in read], name)
    write(repository, worktree, plan, commit=commit, pr=pr, name=what, as_json=as_json)


def _upload_name(distributions: Sequence[Distribution], index: IndexName) -> str:
    """Return what the branch of an upload is named after: the releases, and a digest of the names of the files."""
    names = dict.fromkeys(f"{dist.project}-{dist.version}" for dist in distributions)
    first, *others = sorted(names)
    digest = hashlib.sha256("\n".join(sorted(dist.filename for dist in distributions)).encode()).hexdigest()
    told = f"{first} and {len(others)} more" if others else first
    return f"upload {told} to {index} {digest[:6]}"


def _provenance(paths: Iterable[Path], files: Mapping[str, str]) -> dict[str, bytes]:
    """Return the provenance documents of *files* (sha256 by filename), of the attestations at *paths*."""
    from gitindex.attestations import MAX_SIZE, ProvenanceError, provenance_of, read_attestation

    found: dict[str, list[Mapping[str, Any]]] = {}
    for path in dict.fromkeys(paths):
        try:
            with path.open("rb") as stream:
                data, filename, _ = read_attestation(stream.read(MAX_SIZE + 1))
        except OSError as error:
            raise CannotRunError(f"{path}: cannot be read: {error.strerror}") from None
        except ProvenanceError as error:
            raise DistributionError(str(path), str(error)) from None
        if filename not in files:
            raise UsageError(f"{path}: attests {filename}, which is not uploaded", help=f"give {filename} too")
        found.setdefault(filename, []).append(data)
    documents = {}
    for name, listed in found.items():
        try:
            documents[name] = provenance_of(listed, name, files[name])
        except ProvenanceError as error:
            raise DistributionError(name, f"its attestation {error}") from None
    return documents


def yank(
    ctx: typer.Context,
    wanted: _Release,
    index: IndexOption,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; installers print it.")] = "",
    filename: _File = None,
    commit: CommitOption = False,
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Advise against a release, and leave it where it is.

    Installers take a yanked release only where it is pinned with == (PEP 592).
    """
    repository = open_repository(ctx)
    worktree = start(ctx, repository, commit=commit, pr=pr)
    project, version = release(wanted)
    plan = releases.yank(worktree, index_name(index), project, version, reason=reason, filename=filename)
    write(repository, worktree, plan, commit=commit, pr=pr, as_json=as_json)


def unyank(
    ctx: typer.Context,
    wanted: _Release,
    index: IndexOption,
    filename: _File = None,
    commit: CommitOption = False,
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take a yank back."""
    repository = open_repository(ctx)
    worktree = start(ctx, repository, commit=commit, pr=pr)
    project, version = release(wanted)
    plan = releases.unyank(worktree, index_name(index), project, version, filename=filename)
    write(repository, worktree, plan, commit=commit, pr=pr, as_json=as_json)


def remove(
    ctx: typer.Context,
    wanted: Annotated[
        str, typer.Argument(metavar="PROJECT[==VERSION]", help="The release, or the project with all of its releases.")
    ],
    index: IndexOption,
    commit: CommitOption = False,
    pr: PrOption = False,
    as_json: JsonOption = False,
) -> None:
    """Remove a release, or a project, from a volatile index.

    Stored files that nothing else names go with it. A non-volatile index refuses: yank there.
    """
    repository = open_repository(ctx)
    worktree = start(ctx, repository, commit=commit, pr=pr)
    project, version = release(wanted) if "=" in wanted else (project_name(wanted), None)
    plan = releases.remove(worktree, index_name(index), project, version)
    write(repository, worktree, plan, commit=commit, pr=pr, as_json=as_json)
