"""Reads pages of other indexes, JSON and HTML (PEP 503, 691, 700, 714, 740, 792), leniently: what makes sense of them.

One file that makes no sense is left out, and keys that nobody knows are passed over. What a page says is hostile.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urljoin

from pypi_simple import DistributionPackage, Link

from gitindex.names import (
    MAX_FILENAME,
    ProjectName,
    Sha256,
    is_project_name,
    is_safe_filename,
    is_sha256,
    normalize,
    parse_filename,
    parse_version,
)
from gitindex.pages import Status
from gitindex.upstream.pages import Refused, UpstreamFile, UpstreamPage
from gitindex.web import UnfitURLError, check_target, split

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.2, text/html; q=0.1"
_JSON = frozenset({"application/vnd.pypi.simple.v1+json", "application/json"})
"""The second is what a proxy says that does not know the first: it must prove to be such a page."""
_HTML = frozenset({"application/vnd.pypi.simple.v1+html", "text/html"})
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "windows-1252", "cp1252"})
_MARKERS = frozenset({"active", "archived", "deprecated", "quarantined"})
_MAX_FILES = 200_000
_MOST_REFUSED = 1_000
"""Told of one page, each by itself."""
_LONGEST_NAME = 200
_TEXT = ">"
"""Stands for the text of a link among its attributes, none of which can be called so."""
_MAX_VALUES = 4_000_000
"""Values in JSON: each takes many times the memory that its bytes do."""
_PIECE = 1 << 16
_MAX_TAG = 1 << 18
"""Characters; the parser looks at a tag that does not end again and again."""
_MAX_SECONDS = 30.0
"""Time to read an HTML page, which goes by its length unless somebody wants it to take long."""
_MOST_DIGITS = 16
_READER = 4
"""Counted up when the same answer is read differently."""
_OPTIONAL = frozenset({"core-metadata", "gpg-sig", "size", "upload-time"})
"""What a file can do without where it makes no sense; `yanked` and `requires-python` are not among it."""


class NotAPageError(ValueError):
    """An answer that is no page of a simple index; the message says what is wrong, in the upstream's name."""


class Answer(NamedTuple):
    """What an upstream answered."""

    url: str
    """Where the answer came from, after all redirects."""
    content_type: str
    body: bytes

    @property
    def media_type(self) -> str:
        """The content type without its parameters; HTML where there is none, as clients take it."""
        return self.content_type.partition(";")[0].strip().lower() or "text/html"

    @property
    def text(self) -> str:
        """The body, decoded; what cannot be is replaced."""
        _, _, parameters = self.content_type.partition(";")
        charset = "utf-8"
        for parameter in parameters.split(";"):
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "charset" and value.strip(" \"'").lower() in _CHARSETS:
                charset = value.strip(" \"'")
        return self.body.decode(charset, "replace").removeprefix("\ufeff")


def identity(answer: Answer) -> str:
    """Return what changes whenever an answer, or how it is read, does."""
    digest = hashlib.sha256(f"{_READER}\0{answer.url}\0{answer.content_type}\0".encode())
    digest.update(answer.body)
    return digest.hexdigest()


def read_page(name: ProjectName, answer: Answer, *, tells_refused: bool = False) -> UpstreamPage:
    """Return what an answer says of a project; *tells_refused* says whether what cannot be taken is told, too.

    Raises:
        NotAPageError: it is no project page, or that of another project, or of a major version nobody knows.

    """
    refusals = _Refusals() if tells_refused else None
    refuse = _pass_over if refusals is None else refusals.add
    if answer.media_type in _JSON:
        packages, versions, status = _read_json(name, answer, refuse)
    elif answer.media_type in _HTML:
        packages, versions, status = _read_html(name, answer, refuse)
    else:
        raise NotAPageError(f"answers with Content-Type {answer.media_type[:60]!a}, which is no page")
    files: dict[str, UpstreamFile] = {}
    for number, package in enumerate(packages):
        if number >= _MAX_FILES:
            raise NotAPageError(f"answers with more than {_MAX_FILES:,} files")
        file = _file(package, answer.url)
        if isinstance(file, str):
            refuse(package.filename, file)
        elif (first := files.setdefault(file.filename, file)) is not file and not _is_same(first, file):
            refuse(file.filename, _twice(first, file))
    refused = () if refusals is None else refusals.told()
    return UpstreamPage(name, tuple(files.values()), tuple(versions), status, identity(answer), refused=refused)


Refuse = Callable[[object, str], None]
"""Is told what cannot be taken, by whatever the page calls it, and why."""


def _pass_over(what: object, why: str) -> None:
    """Let it go."""


class _Refusals:
    """Collects what cannot be taken, within bounds: a page can have millions."""

    def __init__(self) -> None:
        self._found: list[Refused] = []
        self._more = 0

    def add(self, what: object, why: str) -> None:
        if len(self._found) < _MOST_REFUSED:
            self._found.append(Refused(_text(what)[:_LONGEST_NAME] or "a file without a name", why))
        else:
            self._more += 1

    def told(self) -> tuple[Refused, ...]:
        more = Refused(f"{self._more:,} more of its files", "cannot be taken either")
        return (*self._found, *([more] if self._more else ()))


def _is_same(one: UpstreamFile, other: UpstreamFile) -> bool:
    """Tell whether two entries of a name lead to the same bytes."""
    return one.sha256 == other.sha256 and (one.sha256 is not None or one.url == other.url)


def _twice(first: UpstreamFile, second: UpstreamFile) -> str:
    if first.sha256 is None or second.sha256 is None:
        return "is listed twice, and one of the two may have other bytes: the first one counts"
    return f"is listed twice, with the sha256 {first.sha256} and {second.sha256}: the first one counts"


def read_list(answer: Answer) -> tuple[ProjectName, ...]:
    """Return the names that an answer lists, in normal form, sorted, each once.

    Raises:
        NotAPageError: it is no list of projects.

    """
    if answer.media_type in _JSON:
        projects = _object(answer).get("projects")
        if not isinstance(projects, list):
            raise NotAPageError("answers with JSON that is no list of projects")
        names: Iterable[Any] = (project.get("name") for project in projects if isinstance(project, dict))
    elif answer.media_type in _HTML:
        names = (_last_segment(_as_folder(link["href"])) for link in _read_anchors(answer).links)
    else:
        raise NotAPageError(f"answers with Content-Type {answer.media_type[:60]!a}, which is no page")
    normal = {normalize(name) for name in names if isinstance(name, str)}
    return tuple(sorted(name for name in normal if is_project_name(name)))


_Contents = tuple[Iterator[DistributionPackage], Iterable[str], Status | None]


def _object(answer: Answer) -> dict[str, Any]:
    if sum(map(answer.body.count, (b",", b"[", b"{"))) > _MAX_VALUES:
        raise NotAPageError(f"answers with JSON of more than {_MAX_VALUES:,} values")
    try:
        data = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise NotAPageError("answers with JSON that cannot be read") from None
    meta = data.get("meta") if isinstance(data, dict) else None
    if not isinstance(meta, dict):
        raise NotAPageError("answers with JSON that is no page of a simple index (PEP 691)")
    _check_version(meta.get("api-version"))
    assert isinstance(data, dict)  # noqa: S101 - its key was read just now
    return data


def _check_version(version: object) -> None:
    """Refuse a page of another major version (PEP 629); a newer minor one says more, and nothing else."""
    if not isinstance(version, str) or version.partition(".")[0].strip() != "1":
        raise NotAPageError(f"answers with a page of version {str(version)[:20]!a}; 1 is known")


def _read_json(name: ProjectName, answer: Answer, refuse: Refuse) -> _Contents:
    data = _object(answer)
    stated, files, versions = data.get("name"), data.get("files"), data.get("versions")
    if not isinstance(stated, str) or not isinstance(files, list):
        raise NotAPageError("answers with JSON that is no project page")
    if normalize(stated) != name:
        raise NotAPageError(f"answers with the page of {stated[:80]!a}")
    listed = versions if isinstance(versions, list) else []
    known = (version for version in listed if isinstance(version, str) and parse_version(version) is not None)
    status = data.get("project-status")
    marker = _status(status.get("status"), status.get("reason")) if isinstance(status, dict) else None
    return _json_packages(name, files, answer.url, refuse), known, marker


def _json_packages(name: ProjectName, files: list[Any], base: str, refuse: Refuse) -> Iterator[DistributionPackage]:
    for file in files:
        if not isinstance(file, dict) or not file.get("filename") or not file.get("url"):
            refuse(file.get("filename") if isinstance(file, dict) else None, "the page states no filename or no url")
            continue
        # `null` says what a missing key says; the old name of a key is read where the new one is missing (PEP 714).
        stated = {key: value for key, value in file.items() if value is not None}
        if "core-metadata" not in stated:
            for old in ("dist-info-metadata", "data-dist-info-metadata"):
                if old in stated:
                    stated["core-metadata"] = stated[old]
        stated.setdefault("hashes", {})
        # As HTML has it, whatever it says: whoever asks for it says what is wrong with it.
        provenance = _text(stated.pop("provenance", None)) or None
        needed = {key: value for key, value in stated.items() if key not in _OPTIONAL}
        for tried in (stated, needed):
            with contextlib.suppress(ValueError):
                yield replace(DistributionPackage.from_json_data(tried, name, base), provenance_url=provenance)
                break
        else:
            refuse(file["filename"], "what the page states of it makes no sense")


def _read_html(name: ProjectName, answer: Answer, refuse: Refuse) -> _Contents:
    page = _read_anchors(answer, _Anchors if refuse is _pass_over else _Texts)
    if "repository-version" in page.metas:
        _check_version(page.metas["repository-version"])
    status = _status(page.metas.get("project-status"), page.metas.get("project-status-reason"))
    return _html_packages(name, page, refuse), (), status


class _Anchors(HTMLParser):
    """Collects what a page of a simple index says; its text, and how it is nested, mean nothing."""

    def __init__(self, base: str) -> None:
        super().__init__(convert_charrefs=True)
        self.base = base
        self.links: list[dict[str, str]] = []
        self.metas: dict[str, str] = {}
        self._has_base = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"a", "base", "meta"}:
            return
        stated = {key: value or "" for key, value in reversed(attrs)}
        if tag == "a" and "href" in stated:
            self.links.append(stated)
        elif tag == "base" and "href" in stated and not self._has_base:
            self._has_base = True
            self.base = _joined(self.base, stated["href"])
        elif tag == "meta" and stated.get("name", "").startswith("pypi:"):
            self.metas.setdefault(stated["name"][5:], stated.get("content", ""))


class _Texts(_Anchors):
    """Collects the texts of links too: a link that leads to no file may be called one."""

    def __init__(self, base: str) -> None:
        super().__init__(base)
        self._is_open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        before = len(self.links)
        super().handle_starttag(tag, attrs)
        if tag == "a":
            self._is_open = len(self.links) > before
            if self._is_open:
                self.links[-1][_TEXT] = ""

    def handle_data(self, data: str) -> None:
        if self._is_open:
            self.links[-1][_TEXT] = (self.links[-1][_TEXT] + data)[: MAX_FILENAME + 1]

    def handle_endtag(self, tag: str) -> None:
        self._is_open = self._is_open and tag != "a"


def _read_anchors(answer: Answer, kind: type[_Anchors] = _Anchors) -> _Anchors:
    parser, text = kind(answer.url), answer.text
    ends = time.monotonic() + _MAX_SECONDS
    try:
        for start in range(0, len(text), _PIECE):
            parser.feed(text[start : start + _PIECE])
            if len(parser.rawdata) > _MAX_TAG or time.monotonic() > ends:
                raise NotAPageError("answers with HTML that does not come to an end of anything")
        parser.close()
    except AssertionError:  # what the standard library's parser says of some malformed declarations
        raise NotAPageError("answers with HTML that cannot be read") from None
    return parser


def _html_packages(name: ProjectName, page: _Anchors, refuse: Refuse) -> Iterator[DistributionPackage]:
    for attributes in page.links:
        url = _joined(page.base, attributes["href"].strip())
        stated: dict[str, str | list[str]] = dict(attributes)
        if "data-dist-info-metadata" in stated:
            stated.setdefault("data-core-metadata", stated["data-dist-info-metadata"])
        # The name that installers see, whatever the text says.
        link = Link(text=_last_segment(url), url=url, attrs=stated)
        try:
            package = DistributionPackage.from_link(link, name)
        except ValueError:
            refuse(link.text or attributes["href"], "what the page states of it makes no sense")
            continue
        # What has neither the name of a distribution nor a digest leads to another page.
        if package.package_type is not None or package.digests:
            yield replace(package, size=_size(attributes), upload_time=_upload_time(attributes))
        elif parse_filename(called := attributes.get(_TEXT, "").strip()) is not None:
            refuse(called, _other_name(package.filename))


def _size(attributes: Mapping[str, str]) -> int | None:
    """Return the bytes that ``data-size`` states: no standard has it, and gitindex's own pages do."""
    text = attributes.get("data-size", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < _MOST_DIGITS else None


def _upload_time(attributes: Mapping[str, str]) -> datetime | None:
    """Return the time that ``data-upload-time`` states, as uv reads it."""
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(attributes.get("data-upload-time", ""))
    return None


def _joined(base: str, url: str) -> str:
    try:
        return urljoin(base, url)
    except ValueError:
        return ""


def _as_folder(url: str) -> str:
    """Return a link of a list without the page that plain files make of a folder, and without slashes at its end."""
    return url.partition("#")[0].partition("?")[0].removesuffix("/index.html").rstrip("/")


def _last_segment(url: str) -> str:
    return unquote(url.partition("#")[0].partition("?")[0].rpartition("/")[2])


def _file(package: DistributionPackage, page_url: str) -> UpstreamFile | str:
    """Return a file as far as it may be asked for and named in a path, or why it may not."""
    url = package.url.partition("#")[0]
    if not is_safe_filename(package.filename):
        return "is no filename that can be taken"
    if (ending := _last_segment(url)) != package.filename:
        return _other_name(ending)
    try:
        check_target(split(url), split(page_url))
    except UnfitURLError as error:
        return f"its link {error}"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "its URL has signs in it that have to be escaped"
    sha256 = package.digests.get("sha256", "").lower()
    time = package.upload_time
    return UpstreamFile(
        package.filename,
        package.version if package.version and parse_version(package.version) is not None else None,
        url,
        Sha256(sha256) if is_sha256(sha256) else None,
        package.size if package.size is not None and package.size >= 0 else None,
        None if time is None else _utc(time),
        package.requires_python or None,
        _core_metadata(package),
        _text(package.yanked_reason) if package.is_yanked else None,
        package.provenance_url,
    )


def _other_name(ending: str) -> str:
    return f"its URL ends with {ending[:_LONGEST_NAME]!a}, and pip calls a file by that"


def _core_metadata(package: DistributionPackage) -> Sha256 | Literal[True] | None:
    digests = package.metadata_digests
    if digests is None or not package.has_metadata:
        return None
    sha256 = digests.get("sha256", "").lower()
    return Sha256(sha256) if is_sha256(sha256) else True


def _status(marker: object, reason: object) -> Status | None:
    """Return a marker of PEP 792; another one says nothing that anybody could act on."""
    if not isinstance(marker, str) or marker not in _MARKERS:
        return None
    return Status(marker, _text(reason) or None)


def _text(value: object) -> str:
    """Return a text, an empty one for anything else; JSON can bring half of a character, which nothing can hold."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _utc(time: datetime) -> datetime | None:
    # PEP 700 demands UTC; an upstream that leaves the zone out means it, too.
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        return None
