"""Attestations and provenance documents (PEP 740): what they say, and whether their signatures hold.

What a document says is read here. That it is true is for `pypi-attestations` to prove, which is an extra: it brings
Sigstore, which takes a second to import.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from gitindex.errors import CannotRunError

MAX_SIZE = 1 << 20
"""Bytes of a document; one attestation has some 10 kB."""
MAX_ATTESTATIONS = 20
"""Of one document; each takes some milliseconds to check."""
Kind = Literal["github", "gitlab"]
_HOSTS: Mapping[Kind, str] = {"github": "https://github.com/", "gitlab": "https://gitlab.com/"}
_KINDS: Mapping[str, Kind] = {"GitHub": "github", "GitLab": "gitlab"}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_WORKFLOWS: Mapping[Kind, tuple[str, str]] = {
    "github": ("workflow", "/.github/workflows/"),
    "gitlab": ("workflow_filepath", "//"),
}
"""The key of a publisher that names its workflow, and what stands before that in the certificate's URI."""
_CLAIM = "1.3.6.1.4.1.57264.1."
_SOURCE, _CONFIG = f"{_CLAIM}12", f"{_CLAIM}18"
"""Claims of a certificate: the URI of the repository that was built, and that of the workflow that did it."""
PUBLISHER = re.compile(
    r"(?P<kind>github|gitlab):(?P<repository>[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+)(?:@(?P<workflow>[^\s@]+))?", re.ASCII
)
"""How a publisher is written: `github:owner/name`, or `github:owner/name@release.yml` for one workflow alone."""


class ProvenanceError(Exception):
    """A document that is none, is of another file, or whose signature does not hold; its text ends a sentence."""


class Publisher(NamedTuple):
    """Who attests: the workflow of a repository."""

    kind: Kind
    repository: str
    """With its owner: ``emilie/table-print``."""
    workflow: str
    """The name (GitHub) or path (GitLab) of the workflow's file."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.repository}"

    @property
    def url(self) -> str:
        """Where its repository is."""
        return f"{_HOSTS[self.kind]}{self.repository}"

    def is_one_of(self, wanted: Sequence[str]) -> bool:
        """Tell whether it is one of those that `require_attestation` names; the names of forges know no case."""
        return any(self._is(PUBLISHER.fullmatch(text)) for text in wanted)

    def _is(self, wanted: re.Match[str] | None) -> bool:
        if wanted is None or wanted["kind"] != self.kind:
            return False
        same = wanted["repository"].casefold() == self.repository.casefold()
        return same and wanted["workflow"] in (None, self.workflow)


class Bundle(NamedTuple):
    """What one publisher attests."""

    publisher: Publisher | None
    """``None`` for one of a kind that gitindex does not know."""
    attestations: tuple[Mapping[str, Any], ...]


def read_provenance(document: bytes, filename: str, sha256: str) -> tuple[Bundle, ...]:
    """Read a provenance document of a file; no signature is checked.

    Raises:
        ProvenanceError: it is none, or is of another file.

    """
    data = _parse(document)
    _demand(isinstance(data, dict) and data.get("version") == 1, "is no provenance document of version 1 (PEP 740)")
    listed = data.get("attestation_bundles")
    _demand(isinstance(listed, list) and bool(listed), "has no attestation bundles")
    bundles = [_bundle(item) for item in listed]
    every = [attestation for bundle in bundles for attestation in bundle.attestations]
    _demand(bool(every), "has no attestation")
    _demand(len(every) <= MAX_ATTESTATIONS, f"has {len(every)} attestations, and {MAX_ATTESTATIONS} are taken")
    for attestation in every:
        _check_subject(attestation, filename, sha256)
    return tuple(bundles)


def read_attestation(document: bytes) -> tuple[Mapping[str, Any], str, str]:
    """Read an attestation; return it with the name and the sha256 of the file that it is of. No signature is checked.

    Raises:
        ProvenanceError: it is none.

    """
    data = _parse(document)
    _demand(isinstance(data, dict), "is no attestation (PEP 740)")
    return data, *_subject(data)


def provenance_of(attestations: Sequence[Mapping[str, Any]], filename: str, sha256: str) -> bytes:
    """Return the provenance document of a file, of attestations whose signatures hold, by publisher.

    Raises:
        ProvenanceError: a signature does not hold, or it is of another file or of an unknown kind of publisher.
        CannotRunError: what checks signatures is not installed.

    """
    bundles: dict[Publisher, list[Mapping[str, Any]]] = {}
    for attestation in attestations:
        publisher = _certified(attestation)
        verify(attestation, publisher, filename, sha256)
        known = bundles.setdefault(publisher, [])
        if attestation not in known:
            known.append(attestation)
    listed = [
        {"publisher": _publisher_data(publisher), "attestations": bundles[publisher]} for publisher in sorted(bundles)
    ]
    return (json.dumps({"version": 1, "attestation_bundles": listed}, separators=(",", ":")) + "\n").encode()


def verified_publishers(document: bytes, filename: str, sha256: str) -> tuple[Publisher, ...]:
    """Return the publishers of a provenance document, each of whose attestations was checked, sorted.

    What is said of a publisher of an unknown kind is not checked, and such a one is not among them.

    Raises:
        ProvenanceError: it is no such document, is of another file, or a signature does not hold.
        CannotRunError: what checks signatures is not installed.

    """
    found = set()
    for bundle in read_provenance(document, filename, sha256):
        if bundle.publisher is not None:
            for attestation in bundle.attestations:
                verify(attestation, bundle.publisher, filename, sha256)
                found.add(bundle.publisher)
    return tuple(sorted(found))


def verify(attestation: Mapping[str, Any], publisher: Publisher, filename: str, sha256: str) -> None:
    """Check that an attestation of a file was signed by a publisher, in this user's Sigstore (nothing is asked for).

    Raises:
        ProvenanceError: it was not.
        CannotRunError: what checks signatures is not installed.

    """
    library = _library()
    identity = (
        library.GitHubPublisher(repository=publisher.repository, workflow=publisher.workflow)
        if publisher.kind == "github"
        else library.GitLabPublisher(repository=publisher.repository, workflow_filepath=publisher.workflow)
    )
    try:
        parsed = library.Attestation.model_validate(attestation)
        parsed.verify(identity, library.Distribution(name=filename, digest=sha256), offline=True)
    except Exception as error:  # noqa: BLE001 - a hostile document meets three libraries, and each has errors of its own
        text = " ".join(str(error).split()).removeprefix("Verification failed: ")
        raise ProvenanceError(f"does not hold: {text[:200]}") from None


def _library() -> Any:
    import logging  # noqa: PLC0415

    try:
        import pypi_attestations  # noqa: PLC0415
    except ImportError:
        raise CannotRunError(
            "attestations cannot be checked: pypi-attestations is not installed",
            help="pip install 'gitindex[attestations]'",
        ) from None
    logging.getLogger("sigstore").setLevel(logging.ERROR)  # it warns of each run that asks no network
    return pypi_attestations


def _certified(attestation: Mapping[str, Any]) -> Publisher:
    """Return the publisher that the certificate of an attestation names; only :func:`verify` proves it."""
    library = _library()
    try:
        claims = library.Attestation.model_validate(attestation).certificate_claims
        source, config = claims[_SOURCE], claims[_CONFIG]
    except Exception:  # noqa: BLE001 - as above
        raise ProvenanceError("has no certificate of a workflow of GitHub or GitLab") from None
    for kind, host in _HOSTS.items():
        repository = source.removeprefix(host)
        before = f"{source}{_WORKFLOWS[kind][1]}"
        if repository != source and config.startswith(before):
            return Publisher(kind, repository, config.removeprefix(before).rpartition("@")[0])
    raise ProvenanceError(f"was signed by {config!r}, and gitindex knows workflows of GitHub and GitLab")


def _bundle(data: Any) -> Bundle:
    match data:
        case {"publisher": {"kind": str(name)} as publisher, "attestations": [*attestations]}:
            _demand(
                all(isinstance(attestation, dict) for attestation in attestations), "has an attestation that is none"
            )
        case _:
            raise ProvenanceError("has a bundle without publisher or attestations")
    kind = _KINDS.get(name)
    if kind is None:
        return Bundle(None, tuple(attestations))
    match publisher.get("repository"), publisher.get(_WORKFLOWS[kind][0]):
        case str(repository), str(workflow) if PUBLISHER.fullmatch(f"{kind}:{repository}"):
            return Bundle(Publisher(kind, repository, workflow), tuple(attestations))
    raise ProvenanceError("has a publisher without repository or workflow")


def _publisher_data(publisher: Publisher) -> dict[str, Any]:
    key = _WORKFLOWS[publisher.kind][0]
    named = {"repository": publisher.repository, key: publisher.workflow}
    return {"kind": _NAMES[publisher.kind], **named, "environment": None}


def _check_subject(attestation: Mapping[str, Any], filename: str, sha256: str) -> None:
    name, digest = _subject(attestation)
    if (name, digest) != (filename, sha256):
        raise ProvenanceError(f"is of {name!r} with the sha256 {digest!r}")


def _subject(attestation: Mapping[str, Any]) -> tuple[str, str]:
    match attestation:
        case {"version": 1, "envelope": {"statement": str(text)}}:
            try:
                statement = _parse(base64.b64decode(text, validate=True))
            except ValueError:
                raise ProvenanceError("has a statement that is no base64") from None
        case _:
            raise ProvenanceError("is no attestation of version 1 (PEP 740)")
    match statement:
        case {"subject": [{"name": str(name), "digest": {"sha256": str(digest)}}]}:
            return name, digest
    raise ProvenanceError("does not name one file and its sha256")


def _parse(document: bytes) -> Any:
    _demand(len(document) <= MAX_SIZE, f"has more than {MAX_SIZE:,} bytes")
    try:
        return json.loads(document)
    except (ValueError, RecursionError):
        raise ProvenanceError("is no JSON") from None


def _demand(condition: bool, problem: str) -> None:  # noqa: FBT001
    if not condition:
        raise ProvenanceError(problem)
