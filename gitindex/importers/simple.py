"""Any simple index as a source: its pages, HTML or JSON, as mirrors read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gitindex.attestations import MAX_SIZE
from gitindex.errors import NotThereError, UsageError
from gitindex.importers.report import Kind, Report
from gitindex.importers.source import Fetch, Listed, OneIndex, SourceFile, SourceIndex
from gitindex.model import Mirror
from gitindex.names import ProjectName
from gitindex.pages import Status
from gitindex.threads import spread
from gitindex.upstream.client import Upstreams
from gitindex.upstream.mirror import Upstream
from gitindex.upstream.pages import UpstreamError, UpstreamFile, UpstreamPage
from gitindex.web import UnfitURLError, check_target, split

MOST_PROJECTS = 20_000
"""More than that is somebody's whole world, and not what a private index has."""
_JOBS = 8
_LARGEST = 16 << 30
"""Bytes of a file of which the page states no size."""


def check_url(url: str) -> None:
    """Refuse a URL that nothing may be asked for.

    Raises:
        UsageError: it is not https (or http on this machine), or has credentials in it.

    """
    try:
        parts = split(url)
        check_target(parts, parts)
    except UnfitURLError as error:
        if "credentials" in str(error):
            help_ = "name and password come from ~/.netrc"
        else:
            help_ = "write https://…; a server without it is reached through a tunnel: ssh -L 3141:127.0.0.1:3141 HOST"
        raise UsageError(f"{url.rpartition('@')[2].partition('?')[0]}: {error}", help=help_) from None
    if parts.query or parts.fragment:
        plain = parts._replace(query="", fragment="").geturl()
        raise UsageError(f"{plain}: has a query or a fragment", help="write it without")


class Simple(OneIndex):
    """The projects of a simple index, or those that are named."""

    def __init__(
        self,
        url: str,
        index: SourceIndex,
        upstreams: Upstreams,
        *,
        names: Sequence[ProjectName] = (),
        attested: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Take an index at a URL.

        Args:
            url: where it is.
            index: the index that it comes into.
            upstreams: ask it.
            names: its projects that are brought; all of them where none is named.
            attested: whether the attestations of its files are brought too.
            progress: is told how many pages were read, and of how many.

        Raises:
            UsageError: the URL is none that may be asked.

        """
        check_url(url)
        self._upstream = Upstream(index.name, Mirror(type="mirror", mirror_url=url))
        super().__init__(index)
        self._upstreams = upstreams
        self._names = names
        self._attested = attested
        self._progress = progress

    @property
    def told(self) -> str:
        return self._upstream.url

    @property
    def place(self) -> str:
        return self._upstream.url

    def listed(self, index: SourceIndex, report: Report) -> Listed:
        files: list[SourceFile] = []
        statuses: dict[ProjectName, Status] = {}
        for name, page in self._pages(report):
            if page.status is not None:
                statuses[name] = page.status
            files += (self._file(name, file) for file in page.files)
            attested = sum(file.provenance is not None for file in page.files)
            if attested and not self._attested:
                report.note(index.name, name, f"the attestations of {attested:,} of its files are not carried over")
            for what, why in page.refused:
                report.add(Kind.LEFT_OUT, index.name, what, f"is on the page of {name}, and not taken: {why}")
            if not page.files and not page.refused:
                state = f", and is {page.status.status}" if page.status is not None else ""
                report.note(index.name, name, f"lists no files{state}: nothing of it is here")
        return Listed(tuple(files), statuses)

    def _pages(self, report: Report) -> Iterator[tuple[ProjectName, UpstreamPage]]:
        names = self._names or self._all()
        spreading = spread(names, self._page, _JOBS, lambda _: None)
        for done, (name, found) in enumerate(spreading, 1):
            if self._progress is not None:
                self._progress(done, len(names))
            if isinstance(found, UpstreamError):
                report.add(Kind.MISSING, self._index.name, name, found.message)
            elif found == ():
                report.add(Kind.LEFT_OUT, self._index.name, name, f"{self._upstream.url} has no such project")
            elif isinstance(found, UpstreamPage):
                yield name, found

    def _all(self) -> tuple[ProjectName, ...]:
        names = self._upstreams.projects(self._upstream)
        if not names:
            raise NotThereError(
                f"{self._upstream.url} lists no projects", help="give the URL of its simple page, or --project NAME"
            )
        if len(names) > MOST_PROJECTS:
            raise UsageError(
                f"{self._upstream.url} lists {len(names):,} projects, which is no private index",
                help="name those that you want: --project NAME",
            )
        return names

    def _page(self, name: ProjectName) -> UpstreamPage | UpstreamError | tuple[()]:
        try:
            return self._upstreams.page(self._upstream, name) or ()
        except UpstreamError as error:
            return error

    def _file(self, name: ProjectName, file: UpstreamFile) -> SourceFile:
        time = file.upload_time
        return SourceFile(
            file.filename,
            self._upstreams.fetcher(self._upstream, file.url, file.size, _LARGEST),
            project=name,
            sha256=file.sha256,
            size=file.size,
            upload_time=None if time is None else time.isoformat().replace("+00:00", "Z"),
            yanked=file.yanked,
            provenance=self._provenance(file),
        )

    def _provenance(self, file: UpstreamFile) -> Fetch | None:
        if file.provenance is None or not self._attested:
            return None
        return self._upstreams.provenance_fetcher(self._upstream, file.provenance, file.url, MAX_SIZE + 1)
