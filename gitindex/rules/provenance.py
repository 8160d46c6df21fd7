"""GI014, GI306 and GI409: provenance documents (PEP 740) beside the files, and who has to attest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gitindex import layout
from gitindex.compare import Change
from gitindex.differences import ProjectChange
from gitindex.finding import Severity
from gitindex.model import File, Manifest
from gitindex.names import is_safe_filename, is_sha256
from gitindex.rules.hints import upload
from gitindex.rules.rule import Hit, Rule
from gitindex.rules.stored import is_embedded
from gitindex.stored import is_pointer, read_digest, read_size
from gitindex.tree import find

if TYPE_CHECKING:
    from gitindex.snapshot import Snapshot

Place = tuple[str, int, File]
"""Path of a manifest, place in it, file."""


def document_is_of_its_file(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """A provenance document is one (PEP 740, version 1), and each of its attestations is of the file beside it.

    Signatures are not checked here, since that takes an extra: `gitindex upload` and `gitindex verify` do it, and GI306
    where an index requires attestations. What Git LFS keeps elsewhere is not read.
    """
    for path, place, file in _new_files(change, project):
        document = _document(change.head, file)
        if document is None:
            continue
        from gitindex.attestations import ProvenanceError, read_provenance  # noqa: PLC0415 - few files have one

        try:
            read_provenance(document, file.filename, file.hashes.sha256)
        except ProvenanceError as error:
            yield _hit(change, path, place, f"the provenance of {file.filename} {error}", _ask_again(project))


def release_is_attested(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """A file that comes into an index with `require_attestation` has one, signed by one of the publishers named there.

    Which are named is read from the base, where that has the index: a demand is in force for what comes in after it.
    The signatures are checked with `pypi-attestations`, against the Sigstore that this user trusts; where that is not
    installed nothing passes: `pip install 'gitindex[attestations]'`. A file that stays as it was is not asked for. With
    an external storage a document has to be stated, and `gitindex verify` checks it; of what Git LFS keeps elsewhere
    nothing can be read, so documents belong into Git itself.
    """
    demands = change.demands(project.index)
    if demands is None or not demands.require_attestation:
        return
    for path, place, file in _new_files(change, project):
        if problem := _lacking(change.head, file, demands.require_attestation):
            yield _hit(change, path, place, f"{file.filename} {problem}", _ask_again(project))


def _lacking(head: Snapshot, file: File, wanted: tuple[str, ...]) -> str:
    """Say in what a file fails what is demanded of it; empty where it does not."""
    from gitindex.attestations import ProvenanceError, verified_publishers  # noqa: PLC0415
    from gitindex.errors import CannotRunError  # noqa: PLC0415

    listed = ", ".join(wanted)
    if file.provenance is None or file.url is not None:
        return f"has no attestation, and the index requires one of {listed}"
    if not is_embedded(head):
        return ""
    document = _document(head, file)
    if document is None:
        return "has a provenance document that is not in the repository itself"
    try:
        publishers = verified_publishers(document, file.filename, file.hashes.sha256)
    except ProvenanceError as error:
        return f"has a provenance that {error}"
    except CannotRunError as error:
        return f"has attestations, which cannot be checked here: {error.help}"
    if any(publisher.is_one_of(wanted) for publisher in publishers):
        return ""
    told = ", ".join(f"{publisher}@{publisher.workflow}" for publisher in publishers) or "nobody that gitindex knows"
    return f"is attested by {told}, and the index requires one of {listed}"


def attestation_is_kept_up(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """Once files of a project had attestations, a new file without one is worth a look.

    Who got hold of an account or a token can release, and not attest. To demand attestations, name the publishers in
    `require_attestation` of the index.
    """
    lacking = [(path, place, file) for path, place, file in _new_files(change, project) if file.provenance is None]
    if not lacking or project.before is None:
        return
    for release in project.before.released:
        for known in release.files if isinstance(release.files, tuple) else ():
            if known.provenance is not None:
                for path, place, file in lacking:
                    message = f"{file.filename} has no attestation, and {known.filename} has one"
                    yield _hit(change, path, place, message, _ask_again(project))
                return


def _new_files(change: Change, project: ProjectChange) -> Iterator[Place]:
    """Yield the files that come in, or whose provenance does."""
    if project.after is None:
        return
    for release in project.releases:
        if isinstance(release.after, Manifest):
            new = {place for place, _ in release.new_files()}
            for place, file in enumerate(release.after.files):
                is_sound = is_sha256(file.hashes.sha256) and is_safe_filename(file.filename)
                if is_sound and (place in new or _path(file) in change.stored_paths):
                    yield project.after.manifest_path(release.version), place, file


def _path(file: File) -> str:
    return layout.stored_path(file.hashes.sha256, file.filename) + layout.PROVENANCE_SUFFIX


def _document(head: Snapshot, file: File) -> bytes | None:
    """Return the provenance document that a manifest names; ``None`` where it is not here, or another (GI011)."""
    from gitindex.attestations import MAX_SIZE  # noqa: PLC0415

    if file.provenance is None or file.url is not None or not is_embedded(head):
        return None
    found = find(head.root, _path(file))
    if found is None or found[0].entries()[found[1]].kind not in ("file", "executable") or is_pointer(*found):
        return None
    if read_size(*found) > MAX_SIZE:
        return b" " * (MAX_SIZE + 1)
    return found[0].read(found[1]) if read_digest(*found).sha256 == file.provenance else None


def _ask_again(project: ProjectChange) -> str:
    return f"upload it with what attests it: {upload(project.index)} --attestation FILE.publish.attestation"


def _hit(change: Change, path: str, place: int, message: str, help_: str) -> Hit:
    return Hit(path, message, help_, change.head.line_of(path, ("files", place)))


RULES = (
    Rule(
        "GI014",
        Severity.ERROR,
        "a stored provenance document that is none of its file",
        (ProjectChange,),
        document_is_of_its_file,
    ),
    Rule(
        "GI306",
        Severity.ERROR,
        "a release without an attestation that its index requires",
        (ProjectChange,),
        release_is_attested,
    ),
    Rule(
        "GI409",
        Severity.WARNING,
        "a file without attestation in a project that has some",
        (ProjectChange,),
        attestation_is_kept_up,
    ),
)
