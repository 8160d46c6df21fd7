"""Uploads over HTTP: PyPI's legacy upload API, as twine, uv, Poetry, Flit, Hatch and devpi speak it.

`POST /<user>/<index>/` with a form. See PyPI's documentation of that API; the fields that repeat the metadata are not
needed, and where they are there, they have to say what the file says.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from gitindex.edits import releases
from gitindex.errors import CannotRunError, DistributionError, GitindexError
from gitindex.facts import Distribution, read_distribution
from gitindex.names import IndexName, normalize, parse_version
from gitindex.server.access import Reader
from gitindex.server.answers import Answer
from gitindex.server.body import BodyError
from gitindex.server.changing import check_known, may_not_release
from gitindex.server.delivery import Exchange
from gitindex.server.devpi import AUTHORIZATION
from gitindex.server.failures import done, failure, told
from gitindex.server.form import Form, read_form

if TYPE_CHECKING:
    from gitindex.server.batches import Written
    from gitindex.server.state import State


class Digest(Protocol):
    """What :mod:`hashlib` makes."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


_OTHERS = {
    "doc_upload": "documentation is not kept here: publish it with the other pages, and name it in project URLs",
    "submit": "a release comes with its first file, so there is nothing to register before",
}
"""What else devpi takes."""
_FIELDS = frozenset({":action", "name", "version", "attestations", "sha256_digest", "blake2_256_digest", "md5_digest"})
"""What is looked at of a form; what else it says, the file says."""
_PIECE = 1 << 20
_MORE = 16 << 20
"""Bytes of a form beside its file."""


async def upload(state: State, exchange: Exchange, index: IndexName, reader: Reader) -> Answer:
    """Take a distribution that is sent to an index; return the answer.

    Raises:
        GoneError: the client has gone.

    """
    try:
        refused = await state.read(lambda: may_not_release(state.reading.current.snapshot, index, reader))
        if refused is not None:
            return told(exchange, refused)
        form = Form(state.uploads / secrets.token_hex(16), _FIELDS)
        try:
            await read_form(exchange, form, state.options.largest_upload + _MORE, state.uploading)
            check_known(state, exchange)
            written = await _release(state, form, index, reader)
        finally:
            form.remove()
    except GitindexError as error:
        return told(exchange, failure(error))
    except OSError as error:
        return told(exchange, failure(CannotRunError(f"a disk fails: {error.strerror}")))
    is_devpis = any(name == AUTHORIZATION for name, _ in exchange.scope["headers"])
    return done(written, knows_accepted=not is_devpis)


async def _release(state: State, form: Form, index: IndexName, reader: Reader) -> Written:
    action = form.value(":action") or "file_upload"
    if action != "file_upload":
        why = _OTHERS.get(action, f"the action {action!r} is not known here; wanted: file_upload")
        raise BodyError(HTTPStatus.BAD_REQUEST, why)
    if form.filename is None:
        raise BodyError(HTTPStatus.BAD_REQUEST, "the form has no file; send it in the field content")
    if form.size > state.options.largest_upload:
        problem = f"the file is larger than {state.options.largest_upload:,} bytes"
        raise BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, problem)
    loop = asyncio.get_running_loop()
    dist, provenance = await loop.run_in_executor(state.uploading, _read, form)
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return await state.writer.write(
        lambda snapshot: releases.upload(snapshot, index, [(dist, form.content)], time, provenance),
        actor=reader.user,
        name=f"upload {dist.project}-{dist.version} to {index} {dist.sha256[:6]}",
    )


def _read(form: Form) -> tuple[Distribution, dict[str, bytes]]:
    """Return what was sent, and what attests it; the form has to agree with both."""
    assert form.filename is not None  # noqa: S101 - looked at before
    with form.open() as stream:
        dist = read_distribution(form.filename, stream)
    _check(form, dist)
    return dist, _provenance(form, dist)


def _check(form: Form, dist: Distribution) -> None:
    name, version = form.value("name"), form.value("version")
    if name is not None and normalize(name) != dist.project:
        raise _disagrees(dist, f"has the name {dist.name}, and the form says {name}")
    if version is not None and str(parse_version(version)) != dist.version:
        raise _disagrees(dist, f"has the version {dist.version}, and the form says {version}")
    if form.sha256.hexdigest() != dist.sha256:
        raise CannotRunError(f"{dist.filename}: the disk gives back other bytes than were written")
    digests: dict[str, Callable[[], str]] = {
        "sha256_digest": lambda: str(dist.sha256),
        "blake2_256_digest": lambda: _digest(form, hashlib.blake2b(digest_size=32)),
        "md5_digest": lambda: _digest(form, hashlib.md5(usedforsecurity=False)),
    }
    # The first of them is enough: what is wrong with it is a file that was damaged on the way.
    for field, digest in digests.items():
        if (stated := form.value(field)) is not None:
            if stated.lower() != digest():
                raise _disagrees(dist, f"was damaged on the way: its {field} is not {stated}")
            return


def _digest(form: Form, digest: Digest) -> str:
    with form.open() as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _provenance(form: Form, dist: Distribution) -> dict[str, bytes]:
    sent = form.value("attestations")
    if sent is None:
        return {}
    from gitindex.attestations import MAX_SIZE, ProvenanceError, provenance_of, read_attestation  # noqa: PLC0415

    try:
        listed = json.loads(sent)
        if not isinstance(listed, list) or len(sent) > MAX_SIZE:
            raise _disagrees(dist, "comes with attestations that are no list, or too large")
        read = [read_attestation(json.dumps(one).encode())[0] for one in listed]
        return {dist.filename: provenance_of(read, dist.filename, dist.sha256)} if read else {}
    except (ValueError, RecursionError):
        raise _disagrees(dist, "comes with attestations that are no JSON") from None
    except ProvenanceError as error:
        raise _disagrees(dist, f"has an attestation that {error}") from None


def _disagrees(dist: Distribution, problem: str) -> DistributionError:
    return DistributionError(dist.filename, problem)
