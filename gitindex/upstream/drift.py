"""Whether the upstreams of mirrors still have what these pin: an upstream takes releases away, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gitindex import layout
from gitindex.errors import CannotRunError
from gitindex.finding import Finding, Severity
from gitindex.model import Mirror
from gitindex.names import normalize, parse_version
from gitindex.snapshot import Snapshot
from gitindex.upstream.client import Upstreams
from gitindex.upstream.mirror import Upstream
from gitindex.upstream.pages import UpstreamPage

if TYPE_CHECKING:
    from packaging.version import Version

_AT_ONCE = 8


def drifted(
    snapshot: Snapshot, upstreams: Upstreams, progress: Callable[[int, int], None] | None = None
) -> Iterator[Finding]:
    """Yield what mirrors allow, one by one, and their upstreams have no longer, or advise against.

    Asked are the names in `allow`; a version is looked for where the entry pins one.

    Raises:
        UpstreamError: an upstream does not say what it has.

    """
    entries = [(upstream, entry) for upstream in _mirrors(snapshot) for entry in upstream.mirror.allow or ()]
    with ThreadPoolExecutor(_AT_ONCE, "upstream") as threads:
        waiting = [threads.submit(upstreams.page, upstream, normalize(_name(entry))) for upstream, entry in entries]
        try:
            for done, ((upstream, entry), page) in enumerate(zip(entries, waiting, strict=True)):
                if progress is not None:
                    progress(done, len(entries))
                problem = _problem(page.result(), entry)
                if problem is not None:
                    path = layout.index_path(upstream.name)
                    message = f"{entry} is allowed, and the upstream {problem}"
                    help_ = "see why it did that; then pin another version, or take the entry out of allow"
                    line = snapshot.line_of(path, ("allow",))
                    yield Finding(path, line, "GI011", Severity.ERROR, message, help_)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _mirrors(snapshot: Snapshot) -> Iterator[Upstream]:
    for name in snapshot.index_names():
        index = snapshot.index(name)
        if index is not None and isinstance(index.definition, Mirror):
            yield Upstream(name, index.definition)


def _name(entry: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

    try:
        return Requirement(entry).name
    except InvalidRequirement:
        raise CannotRunError(
            f"{entry!r} in allow is no requirement", help="write it as NAME or NAME==VERSION"
        ) from None


def _pinned(entry: str) -> Version | None:
    """Return the version that an entry pins; ``None`` where it leaves a choice."""
    from packaging.requirements import Requirement  # noqa: PLC0415

    specifiers = list(Requirement(entry).specifier)
    if len(specifiers) != 1 or specifiers[0].operator not in ("==", "===") or specifiers[0].version.endswith(".*"):
        return None
    return parse_version(specifiers[0].version)


def _problem(page: UpstreamPage | None, entry: str) -> str | None:
    if page is None:
        return "has no such project any more"
    if page.status is not None and page.status.status == "quarantined":
        return "has quarantined the project"
    wanted = _pinned(entry)
    if wanted is None:
        return None
    files = [file for file in page.files if file.version is not None and parse_version(str(file.version)) == wanted]
    if not files:
        return "has no files of that version any more"
    if all(file.yanked is not None for file in files):
        reason = next((file.yanked for file in files if file.yanked), "no reason given")
        return f"has yanked that version: {reason}"
    return None
