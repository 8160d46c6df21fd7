"""A devpi-server as a source: what it says of itself as JSON, and its files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from gitindex.download import Downloader, Memory, Patience, Sink
from gitindex.errors import CannotRunError, DeliveryError
from gitindex.importers.devpi import DevpiSource, Translation
from gitindex.importers.devpi_links import NO_FILES, Link, Release, files_of, log_of
from gitindex.importers.reading import LARGEST, a_list, a_mapping, a_sha256, a_text, read_json
from gitindex.importers.report import Kind, Report
from gitindex.importers.simple import check_url
from gitindex.importers.source import Listed, SourceFile, SourceIndex
from gitindex.names import IndexName, Sha256, normalize
from gitindex.report.text import count
from gitindex.snapshot import Snapshot
from gitindex.threads import spread

_JOBS = 8
_LARGEST_FILE = 16 << 30
_LONGEST_NAME = 200
_AGAIN = "the same command goes on from here"


class DevpiServer(DevpiSource):
    """What a devpi-server has, or some of its indexes with what they inherit from."""

    def __init__(
        self,
        url: str,
        here: Snapshot,
        report: Report,
        *,
        only: Collection[str] = (),
        patience: Patience | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Ask a server what it has.

        Raises:
            UsageError: the URL is none that may be asked.
            CannotRunError: there is no devpi-server.
            NotThereError: it has no index that *only* names.

        """
        check_url(url)
        self._root = url.rstrip("/") + "/"
        self._progress = progress
        self._json = Downloader(patience or Patience(), accept="application/json")
        self._pages = Downloader(patience or Patience(), accept="application/vnd.pypi.simple.v1+json")
        self._files = Downloader(patience or Patience())
        users = self._get("", "list:userconfig")
        indexes = {
            f"{user}/{name}": options
            for user, config in users.items()
            for name, options in a_mapping(a_mapping(config).get("indexes")).items()
        }
        super().__init__(Translation(users, indexes, here, report, [*only]), report)
        if any(a_mapping(options).get("type") == "local" for options in indexes.values()):
            why = "are asked of no server: where some allow all, import what devpi-export writes"
            report.note("", "inheritance rules of projects", why)

    @property
    def told(self) -> str:
        return self._root

    @property
    def place(self) -> str:
        return self._root

    def close(self) -> None:
        """Let no download wait to be tried again."""
        self._json.stop()
        self._pages.stop()
        self._files.stop()

    def listed(self, index: SourceIndex, report: Report) -> Listed:
        there = self._there[index.name]
        try:
            names = self._get(_quoted(there), "indexconfig").get("projects")
        except CannotRunError as error:
            report.add(Kind.MISSING, index.name, "", error.message)
            return Listed(())
        if not isinstance(names, list):
            report.add(Kind.LEFT_OUT, index.name, "", f"{self._root}{_quoted(there)} lists no projects")
        projects = [name for name in a_list(names) if isinstance(name, str) and name]
        if others := len(a_list(names)) - len(projects):
            report.add(Kind.LEFT_OUT, index.name, "", f"lists {count(others, 'project')} without a name")
        files: list[SourceFile] = []
        spreading = spread(projects, partial(self._project, there, index.name), _JOBS, lambda _: None)
        for done, (name, found) in enumerate(spreading, 1):
            if self._progress is not None:
                self._progress(done, len(projects))
            if isinstance(found, list):
                files += found
            elif found is not None:
                report.add(Kind.MISSING, index.name, name[:100], found)
        return Listed(tuple(files))

    def _project(self, there: str, place: IndexName, name: str) -> list[SourceFile] | str:
        """Return the files of a project, or why they are not known."""
        project = normalize(name)
        try:
            versions = self._get(f"{_quoted(there)}/{_segment(name)}?ignore_bases=", "projectconfig")
        except CannotRunError as error:
            return error.message
        files: list[SourceFile] = []
        digests: Mapping[str, Sha256] | None = None
        for version, data in versions.items():
            told = f"{name} {version}"[:_LONGEST_NAME]
            stated = a_mapping(data).get("+links", [] if isinstance(data, dict) else None)
            if not isinstance(stated, list):
                self._report.add(Kind.LEFT_OUT, place, told, "what is said of its files makes no sense")
            links = [*filter(None, (self._link(each, place, told) for each in a_list(stated)))]
            if any(link.rel == "releasefile" and link.sha256 is None for link in links):
                digests = self._digests(there, name) if digests is None else digests
                links = [link._replace(sha256=link.sha256 or digests.get(link.place)) for link in links]
            if stated == [] or (links and not any(link.rel == "releasefile" for link in links)):
                self._report.note(place, told, NO_FILES)
            release = Release(place, project, links, self._translation.user_names)
            files += files_of(release, partial(self._fetch, there), partial(self._report_of, there), self._report)
        if not versions:
            self._report.note(place, name[:100], "has no releases")
        return files

    def _digests(self, there: str, name: str) -> Mapping[str, Sha256]:
        """Return the sha256 of files by place, as the simple page says them: the links of devpi 7 do not."""
        url = f"{self._root}{_quoted(there)}/+simple/{_segment(name)}/"
        try:
            page = read_json(_download(self._pages, url), url)
        except (DeliveryError, CannotRunError):  # then nobody says them, which is told of each file
            return {}
        found = ((_below(file.get("url")), a_sha256(file)) for file in map(a_mapping, a_list(page.get("files"))))
        return {place: sha256 for place, sha256 in found if place is not None and sha256 is not None}

    def _link(self, value: object, index: IndexName, release: str) -> Link | None:
        """Return a link, ``None`` for one that makes no sense, which is told.

        Its URL may be one that only the server's own neighbours can ask, so its path counts.
        """
        stated = a_mapping(value)
        href, rel = stated.get("href"), stated.get("rel")
        place = _below(href)
        if not isinstance(rel, str):
            self._report.add(Kind.LEFT_OUT, index, release, "has a link that does not say of what kind it is")
            return None
        if place is None:
            why = f"its link is {_path_of(href)!a}, and not to a file below /+f/"
            self._report.add(Kind.LEFT_OUT, index, release, f"a {a_text(rel)[:40]} of it cannot be asked for: {why}")
            return None
        about = _below(stated.get("for_href")) or ""
        filename = unquote(place.rpartition("/")[2])
        return Link(
            rel, place, filename, a_sha256(stated), log_of(stated.get("log")), unquote(about.rpartition("/")[2])
        )

    def _url(self, there: str, link: Link) -> str:
        return f"{self._root}{_quoted(there)}/+f/{link.place}"

    def _fetch(self, there: str, link: Link) -> Callable[[Sink], None]:
        url = self._url(there, link)
        return lambda sink: self._files.fetch(url, sink, _LARGEST_FILE)

    def _report_of(self, there: str, link: Link) -> bytes:
        """Download what tox reported; raises DeliveryError."""
        return _download(self._files, self._url(there, link))

    def _get(self, path: str, kind: str) -> Mapping[str, Any]:
        """Return what the server says, of a kind.

        Raises:
            CannotRunError: it does not answer, or is no devpi-server.

        """
        url = f"{self._root}{path}"
        try:
            data = read_json(_download(self._json, url), url)
        except DeliveryError as error:
            raise CannotRunError(f"{url}: {error.problem}", help=_AGAIN) from None
        if data.get("type") != kind:
            what = a_text(data.get("type"))[:40] or "something else"
            help_ = "give the URL of the server itself, and name indexes with --index" if not path else ""
            raise CannotRunError(f"{url}: answers with {what!a}, and not with {kind!a} as devpi does", help=help_)
        if not isinstance(data.get("result"), dict):
            raise CannotRunError(f"{url}: answers with a {kind!a} whose result is no JSON object, which devpi's is")
        return a_mapping(data["result"])


def _quoted(index: str) -> str:
    return "/".join(map(_segment, index.split("/")))


def _segment(name: str) -> str:
    """Return a name as a part of a URL; half of a character, which JSON can bring, names nothing."""
    return quote(name, safe="@", errors="replace")


def _path_of(href: object) -> str:
    """Return the path of a link as it is told: what else is in a URL may be a secret."""
    try:
        return urlsplit(href).path[:_LONGEST_NAME] if isinstance(href, str) else ""
    except ValueError:
        return ""


def _below(href: object) -> str | None:
    """Return the part of a link's path that says which file it is."""
    try:
        path = urlsplit(href).path if isinstance(href, str) else ""
    except ValueError:
        return None
    place = path.partition("/+f/")[2]
    is_plain = place.isascii() and place.isprintable() and not {"", ".", ".."} & set(unquote(place).split("/"))
    return place if place and is_plain else None


def _download(downloader: Downloader, url: str) -> bytes:
    sink = Memory()
    downloader.fetch(url, sink, LARGEST + 1)
    if len(sink.data) > LARGEST:
        raise CannotRunError(f"{url}: answers with more than {LARGEST:,} bytes")
    return bytes(sink.data)
