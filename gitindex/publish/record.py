"""What a publish writes down at its target: what is there, what is being done, and by whom. Pure.

Whoever can write to the target can write this too, so nothing of it is believed before it is checked: no path leads
out of the site, and no part is other than its name says.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from gitindex.errors import CannotRunError
from gitindex.names import is_commit_id, is_sha256, parse_index_name
from gitindex.objects import Headers
from gitindex.publish.kinds import is_site_path

FOLDER = ".gitindex"
LOG = f"{FOLDER}/log"
DATA = f"{FOLDER}/data"
MAX_DOCUMENT = 4 << 20
MAX_DATA = 512 << 20
"""Largest sizes in bytes of what is read."""
_FORM = 1
_SHARDS = (1, 16, 256, 4096)
_PER_SHARD = 2000
_HOLDER = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"(\d{10})-([0-9a-f]{64})")
_TEXT = re.compile(r"[ -~]{1,200}")

State = Literal["begun", "writing", "published"]
"""Nothing was done yet, and what was before holds; being written; whole."""


class Entry(NamedTuple):
    """What is at a path."""

    sha256: str
    size: int
    headers: Headers


class Step(NamedTuple):
    """Something to do: to write a path, or to remove it."""

    path: str
    entry: Entry | None


class Generation(NamedTuple):
    """One publish, as its document says."""

    number: int
    state: State
    holder: str
    """Who does it: random, and known to nobody else in advance."""
    expires: datetime
    """When others may take over, unless it is said anew."""
    revision: str
    """The commit whose site it is."""
    lasting: tuple[str, ...] = ()
    """The non-volatile indexes of the site."""
    shards: tuple[str, ...] = ()
    """Names of the parts of the record: what was there for certain before the steps."""
    steps: str = ""
    """Name of the list of steps; empty where none are left."""
    reached: int = 0
    """How many of the steps are done for certain."""


class BadRecordError(CannotRunError):
    """What is at the target is nothing that gitindex wrote."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(
            f"{path} at the target is not what gitindex writes: {problem}",
            help=f"see who can write there; to begin anew, remove {FOLDER}/ there, and publish with --force",
        )


def log_path(number: int) -> str:
    return f"{LOG}/{number:010}.json"


def log_number(path: str) -> int | None:
    """Return the number of a generation by the path of its document; ``None`` for another path."""
    match = re.fullmatch(rf"{re.escape(LOG)}/(\d{{10}})\.json", path)
    return int(match[1]) if match else None


def data_path(name: str) -> str:
    return f"{DATA}/{name}.json"


def data_name(path: str) -> str | None:
    """Return the name of a part of a record by its path; ``None`` for another path."""
    name = path.removeprefix(f"{DATA}/").removesuffix(".json")
    return name if _NAME.fullmatch(name) and data_path(name) == path else None


def name_for(number: int, data: bytes) -> str:
    """Return the name of a part: which generation wrote it, and what is in it."""
    return f"{number:010}-{hashlib.sha256(data).hexdigest()}"


def is_named(name: str, data: bytes) -> bool:
    """Tell whether a part has that name, whichever generation wrote it."""
    return name[11:] == hashlib.sha256(data).hexdigest()


def number_of(name: str) -> int:
    """Return the generation that wrote a part."""
    return int(name[:10])


# Parts


def shard_count(files: int) -> int:
    """Return into how many parts a record of so many files is split, so that an update writes few and small ones."""
    return next((count for count in _SHARDS if files <= count * _PER_SHARD), _SHARDS[-1])


def split(files: Mapping[str, Entry], count: int) -> list[dict[str, Entry]]:
    """Return the files by the part of the record that they belong to."""
    shards: list[dict[str, Entry]] = [{} for _ in range(count)]
    for path, entry in files.items():
        digest = hashlib.blake2b(path.encode(), digest_size=2).digest()
        shards[int.from_bytes(digest) % count][path] = entry
    return shards


def shard_bytes(files: Mapping[str, Entry]) -> bytes:
    return _bytes_of(Step(path, files[path]) for path in sorted(files))


def steps_bytes(steps: Iterable[Step]) -> bytes:
    return _bytes_of(steps)


def _bytes_of(steps: Iterable[Step]) -> bytes:
    headers: dict[Headers, int] = {}
    rows = [
        [path] if entry is None else [path, entry.sha256, entry.size, headers.setdefault(entry.headers, len(headers))]
        for path, entry in steps
    ]
    return json.dumps({"headers": list(headers), "paths": rows}, separators=(",", ":")).encode()


def read_shard(path: str, data: bytes) -> dict[str, Entry]:
    """Return the files of a part of a record.

    Raises:
        BadRecordError: it is none.

    """
    found = {step.path: step.entry for step in read_steps(path, data)}
    files = {name: entry for name, entry in found.items() if entry is not None}
    if len(files) != len(found):
        raise BadRecordError(path, "something that is there has no digest")
    return files


def read_steps(path: str, data: bytes) -> list[Step]:
    """Return a list of steps.

    Raises:
        BadRecordError: it is none, or a path in it leads out of the site.

    """
    if data_path(name_for(number_of(path[len(DATA) + 1 :]), data)) != path:
        raise BadRecordError(path, "its name says another digest")
    try:
        document = json.loads(data)
        headers = [_headers(*row) for row in document["headers"]]
        return [_step(headers, *row) for row in document["paths"]]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise BadRecordError(path, _why(error)) from None


def _headers(content_type: str, cache_control: str) -> Headers:
    if not (_TEXT.fullmatch(content_type) and _TEXT.fullmatch(cache_control)):
        raise ValueError("a header has characters that it may not have")
    return Headers(content_type, cache_control)


def _step(headers: Sequence[Headers], path: str, *facts: Any) -> Step:
    if not isinstance(path, str) or not is_site_path(path):
        raise ValueError(f"{path!a:.200} is no path of a site")
    if not facts:
        return Step(path, None)
    sha256, size, kind = facts
    if not is_sha256(sha256) or not _is_count(size) or not _is_count(kind):
        raise ValueError(f"{path}: its facts are none")
    return Step(path, Entry(sha256, size, headers[kind]))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _why(error: Exception) -> str:
    return str(error) if type(error) is ValueError else "it does not have the form"


# Documents


def document_bytes(generation: Generation) -> bytes:
    values = generation._asdict()
    del values["number"]
    values["expires"] = generation.expires.astimezone(UTC).isoformat(timespec="seconds")
    return json.dumps({"form": _FORM, **values}, indent=1).encode()


def read_document(number: int, data: bytes) -> Generation:
    """Return the publish that a document tells of.

    Raises:
        BadRecordError: it is no such document.
        CannotRunError: a newer gitindex wrote it.

    """
    path = log_path(number)
    try:
        values = json.loads(data)
        form = values.pop("form")
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        raise BadRecordError(path, "it is no JSON object of the form") from None
    if _is_count(form) and form > _FORM:
        raise CannotRunError(f"{path} at the target was written by a newer gitindex", help="use that")
    try:
        generation = Generation(number, **values)
        lasting, shards = tuple(generation.lasting), tuple(generation.shards)
        expires = datetime.fromisoformat(generation.expires)  # type: ignore[arg-type]
        is_right = (
            _is_count(form)
            and form == _FORM
            and generation.state in {"begun", "writing", "published"}
            and _HOLDER.fullmatch(generation.holder)
            and expires.tzinfo is not None
            and is_commit_id(generation.revision)
            and all(isinstance(name, str) and parse_index_name(name) for name in lasting)
            and len(shards) in {0, *_SHARDS}
            and all(not name or _NAME.fullmatch(name) for name in shards)
            and (not generation.steps or _NAME.fullmatch(generation.steps))
            and _is_count(generation.reached)
        )
        expires = expires.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        is_right = False
    if not is_right:
        raise BadRecordError(path, "it does not have the form")
    return generation._replace(lasting=lasting, shards=shards, expires=expires)
