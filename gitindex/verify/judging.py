"""What is wrong with a file, by what was read and by what each manifest says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from gitindex.attestations import ProvenanceError
from gitindex.errors import DistributionError
from gitindex.rules.stored import disagreement
from gitindex.verify.reading import Content, Dead

if TYPE_CHECKING:
    from gitindex.documents import KeyPath
    from gitindex.names import IndexName
    from gitindex.verify.plan import Claim, Subject

IsVolatile = Callable[["IndexName"], bool]


class Wrong(NamedTuple):
    """Something that is wrong, where a manifest says it."""

    claim: Claim
    keys: KeyPath
    code: str
    message: str
    help: str


def judge(subject: Subject, outcome: Content | Dead, is_volatile: IsVolatile) -> Iterator[Wrong]:
    """Yield what is wrong, for each manifest that names the file."""
    for claim in subject.claims:
        way_out = _way_out(claim, is_volatile=is_volatile(claim.stage))
        if isinstance(outcome, Dead):
            yield _dead(subject, claim, outcome, way_out)
        elif outcome.sha256 == subject.sha256:
            yield from _of_contents(subject, claim, outcome, way_out)
        else:
            yield _other_bytes(subject, claim, outcome, way_out)


def _way_out(claim: Claim, *, is_volatile: bool) -> str:
    """Return what the owners of a release that cannot be installed can do."""
    release, index = f"{claim.project}=={claim.version}", f"--index {claim.stage}"
    if is_volatile:
        return f"remove the release and upload a sound one: gitindex remove {release} {index}"
    yank = f'gitindex yank {release} {index} --reason "…"'
    return f"the manifest stays as it is: yank the release ({yank}), and release another version"


def _dead(subject: Subject, claim: Claim, outcome: Dead, way_out: str) -> Wrong:
    if subject.is_hosted:
        message = f"dead link: {subject.name}: {outcome.problem}"
        help_ = f"have the file put back there; else {way_out}"
        return Wrong(claim, ("files", claim.place, "url"), "GI011", message, help_)
    return Wrong(claim, ("files", claim.place), "GI011", outcome.problem, _put_back(subject))


def _put_back(subject: Subject) -> str:
    copies = f"from a copy or from the history (git log --all -- {subject.location})"
    return f"put it back {copies}, or upload the file again: gitindex upload"


def _other_bytes(subject: Subject, claim: Claim, outcome: Content, way_out: str) -> Wrong:
    if outcome.sha256 is None:
        stated = f"{claim.file.size:,}" if subject.kind == "file" else f"at most {subject.size:,}"
        found = f"{outcome.size:,} bytes or more, and should have {stated}"
    else:
        found = f"the sha256 {outcome.sha256}, and the manifest says {subject.sha256}"
    if subject.is_hosted:
        message = f"drifted: {subject.name}: {subject.location} has {found}"
        help_ = (
            "the upstream changed the file: do not edit the manifest, since lock files are of the old bytes;"
            f" have those put back; else {way_out}"
        )
    else:
        message = f"the stored file {subject.location} has {found}"
        help_ = _put_back(subject)
    return Wrong(claim, claim.keys(subject.kind), "GI011", message, help_)


def _of_contents(subject: Subject, claim: Claim, outcome: Content, way_out: str) -> Iterator[Wrong]:
    file, here = claim.file, ("files", claim.place)
    if isinstance(outcome.own, ProvenanceError):
        message = f"the provenance of {file.filename} {outcome.own}"
        yield Wrong(claim, (*here, "provenance"), "GI014", message, way_out)
    if subject.kind != "file":
        return
    if outcome.size != file.size:
        message = f"size of {file.filename} is {file.size:,}, and the file has {outcome.size:,} bytes"
        yield Wrong(claim, (*here, "size"), "GI011", message, way_out)
    own = outcome.own
    if isinstance(own, DistributionError):
        yield Wrong(claim, here, "GI012", str(own.args[0]), way_out)
    elif own is not None and not isinstance(own, ProvenanceError):
        if (own.requires_python or None) != (file.requires_python or None):
            stated = f"requires-python of {file.filename} is {file.requires_python!r}"
            message = f"{stated}, and the file says {own.requires_python!r}"
            yield Wrong(claim, (*here, "requires-python"), "GI009", message, way_out)
        problem = disagreement(claim.project, file.filename, file.requires_python, file.core_metadata, own)
        if problem is not None:
            yield Wrong(claim, here, "GI012", problem, way_out)
