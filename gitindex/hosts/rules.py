"""What every host of a site has to keep, as values: which names fall through and whereto, types, caching, headers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from gitindex.errors import CannotRunError
from gitindex.media import HTML, JSON, VENDOR_HTML
from gitindex.names import MAX_PROJECT_NAME, IndexName, ProjectName
from gitindex.render import policy

COARSE_ACCEPT = (
    "An Accept header is compared by the first decimal of its qualities, and a refusal (text/html;q=0) is not heeded."
)
EXACT_NAMES = (
    "A project name that is not in normal form (Foo_Bar) is not found; pip, uv and Poetry ask for the normal form."
)
COARSE_ETAG = (
    "A page is told from the one before by size and second (ETag): what is written twice within a second, in equal "
    "length, is taken for the same."
)
ABSOLUTE_LINKS = (
    "An upstream's page is passed on as it is: its links to files must be absolute, as those of PyPI are. Otherwise "
    "take the redirect."
)
"""What several hosts cannot do."""

FORMS: Mapping[str, str] = {JSON: "json", VENDOR_HTML: "vendor", HTML: "html"}
"""A word for each, in configurations."""
WANTED: Mapping[str, str] = {
    JSON: f"{JSON}, {VENDOR_HTML};q=0.2, {HTML};q=0.1",
    VENDOR_HTML: f"{VENDOR_HTML}, {HTML};q=0.1",
    HTML: HTML,
}
"""What a proxy asks an upstream for, by what it was asked for: one question, however clients put it."""

STALE_SECONDS = 30 * 86400
"""How long a proxy shows a page of an upstream that is down."""
UPSTREAM_HEADERS = (
    "Access-Control-Allow-Origin",
    "Alt-Svc",
    "Cache-Control",
    "Clear-Site-Data",
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
    "Expires",
    "Link",
    "NEL",
    "Permissions-Policy",
    "Referrer-Policy",
    "Refresh",
    "Report-To",
    "Service-Worker-Allowed",
    "Set-Cookie",
    "Strict-Transport-Security",
    "Vary",
    "WWW-Authenticate",
    "X-Content-Type-Options",
    "X-Frame-Options",
)
"""What an upstream says that is not its to say on this site: a proxy drops it."""

HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Of every answer."""
PEOPLE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": policy.IN_HEADER,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Of pages for people."""
MACHINE_HEADERS: Mapping[str, str] = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
"""Of simple pages and stored files. With a proxy some are an upstream's: no browser shall run what is in them."""

NORMAL_NAME = "[a-z0-9]+(?:-[a-z0-9]+)*"
"""A project name in normal form (PEP 503), as a regular expression: no other spelling falls through."""
OWNER_NAME = "[a-z0-9]+(?:[._-][a-z0-9]+)*"
"""A user's or an index's name, as a regular expression."""
STORED_FILE = "files/[0-9a-f]{2}/[0-9a-f]{62}/[A-Za-z0-9][A-Za-z0-9._+!-]*"
"""The path of a stored file, as a regular expression."""
SAFE_URL = re.compile(
    r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/(?:[A-Za-z0-9._~+-]+/)*", re.ASCII
)
"""What may stand in the configuration of a server: nothing in it means something else there."""
SAFE_PATH = re.compile(r"/(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*/)*", re.ASCII)


NO_JSON = (
    "It chooses nothing by Accept: every simple page is HTML, which has upload times for uv and none for pip. The JSON "
    "is beside it, as index.json."
)


class Limits(NamedTuple):
    """How much of a site a host takes; ``None`` is no limit."""

    files: int | None = None
    largest: int | None = None
    """Bytes of a file."""
    whole: int | None = None
    """Bytes of all files."""


class Rules(NamedTuple):
    """Whereto names fall through; equal ones are written once."""

    otherwise: str | None
    named: tuple[tuple[ProjectName, str | None], ...]


@dataclass(frozen=True, slots=True)
class Fallback:
    """Whereto the names fall through that a stage has no page of.

    Reserved names are :class:`HostSite`'s to say, and names of ours the folder's, which has a page of each.
    """

    index: IndexName
    otherwise: str | None
    """The simple index that is asked for a name, ending in ``/``; ``None``: none is."""
    named: Mapping[ProjectName, str | None]
    """What differs from that, by name."""

    def upstream(self, project: ProjectName) -> str | None:
        """Return the simple index that is asked for a project which the stage has no page of."""
        return self.named.get(project, self.otherwise)

    @property
    def rules(self) -> Rules:
        """It without its index."""
        return Rules(self.otherwise, tuple(self.named.items()))


@dataclass(frozen=True, slots=True)
class HostSite:
    """What a host has to know of a site."""

    base_path: str
    """The path of the site's address, beginning and ending in ``/``."""
    stages: tuple[IndexName, ...]
    """The indexes that have simple pages."""
    fallbacks: tuple[Fallback, ...]
    """Of the stages above a mirror that has something for them."""
    reserved: tuple[str, ...]
    """Names and patterns that never fall through."""
    is_proxy: bool = False
    """Whether the host asks the upstream itself; otherwise it sends clients there."""
    fresh_seconds: int = 1800
    """How long a proxy takes an upstream's page for right."""
    owned: Mapping[IndexName, frozenset[ProjectName]] = field(default_factory=dict)
    """Of the projects that fallbacks name, those that the stage has itself."""
    notes: tuple[str, ...] = ()
    """What of the repository's settings no host without a program can hold, and what is done instead."""

    def upstream(self, index: IndexName, project: ProjectName) -> str | None:
        """Return the simple index that is asked for a project of which there is no page; ``None``: none is."""
        if self.reserved and _any_of(self.reserved).fullmatch(project):
            return None
        return next((fallback.upstream(project) for fallback in self.fallbacks if fallback.index == index), None)

    def rules(self) -> tuple[Rules, ...]:
        """Return the rules that indexes have, each once."""
        return tuple(dict.fromkeys(fallback.rules for fallback in self.fallbacks))

    def upstreams(self) -> tuple[str, ...]:
        """Return the simple indexes that are asked for something, each once."""
        found = (url for rules in self.rules() for url in (rules.otherwise, *dict(rules.named).values()))
        return tuple(dict.fromkeys(filter(None, found)))


@lru_cache(maxsize=8)
def _any_of(globs: tuple[str, ...]) -> re.Pattern[str]:
    """Return what recognises a name that is reserved: thousands of names are asked about, by hosts with a rule each."""
    return re.compile("|".join(map(glob_pattern, globs)))


def glob_pattern(glob: str, *, is_atomic: bool = True) -> str:
    """Return the regular expression of a reserved name or pattern, for the whole of a name in normal form.

    The time it takes grows with the name's length alone where it is atomic; an engine that never goes back (RE2 of Go
    and Rust) needs no such groups and knows none.
    """
    start, *others = [part.replace("?", "[a-z0-9-]") for part in re.sub(r"\*+", "*", glob).split("*")]
    if not others:
        return start
    *middle, end = others
    group = "(?>[a-z0-9-]*?{})" if is_atomic else "[a-z0-9-]*?{}"
    return start + "".join(group.format(part) for part in middle) + f"[a-z0-9-]{{0,{MAX_PROJECT_NAME}}}{end}"


def reserved_patterns(site: HostSite, *, is_atomic: bool = True) -> list[str]:
    """Return regular expressions, each for the whole of a name, of what never falls through where there is no page.

    The last is for what is too long for the name of a project: the expression of a glob ends there too.
    """
    globs = [glob_pattern(glob, is_atomic=is_atomic) for glob in site.reserved]
    return [*globs, f"[a-z0-9-]{{{MAX_PROJECT_NAME}}}[a-z0-9-]+"]


class Case(NamedTuple):
    """What is done with names that some indexes have no page of."""

    indexes: tuple[IndexName, ...]
    projects: tuple[ProjectName, ...]
    """The names; empty for all that no case before names."""
    upstream: str | None


def cases(site: HostSite) -> Iterator[Case]:
    """Yield the cases of a site, the first that fits counts. Reserved names are asked about before."""
    for rules in site.rules():
        indexes = tuple(fallback.index for fallback in site.fallbacks if fallback.rules == rules)
        for upstream in dict.fromkeys(url for _, url in rules.named):
            yield Case(indexes, tuple(name for name, url in rules.named if url == upstream), upstream)
        if rules.otherwise:
            yield Case(indexes, (), rules.otherwise)


class Single(NamedTuple):
    """A project of a stage that falls through, by its name alone."""

    stage: IndexName
    project: ProjectName
    upstream: str


def singles(site: HostSite) -> Iterator[Single]:
    """Yield the projects that a mirror's `allow` names, for hosts whose rules cannot tell one spelling from another.

    There a rule for all names would pass on names of ours in other spellings, and reserved patterns.
    """
    for fallback in site.fallbacks:
        owned = site.owned.get(fallback.index, frozenset())
        for project in fallback.named:
            if project not in owned and (upstream := site.upstream(fallback.index, project)) is not None:
                yield Single(fallback.index, project, upstream)


def at_the_top(site: HostSite, host: str) -> None:
    """Raise :class:`CannotRunError` for a site that is served below a path, where *host* knows none."""
    if site.base_path != "/":
        raise CannotRunError(
            f"gitindex.toml: url in [site] has the path {site.base_path}, and {host} serves a site at the top",
            help="take the path away, or serve the site elsewhere",
        )


def open_notes(site: HostSite) -> Iterator[str]:
    """Yield what is said of fallbacks that :func:`singles` leaves out."""
    if any(fallback.otherwise for fallback in site.fallbacks):
        yield (
            "a mirror without a list `allow` does not fall through on this host: its rules know no patterns of names, "
            "so they could not keep yours apart; write a list (gitindex mirror lock --names), or add --carry"
        )


class Accepted(NamedTuple):
    """A line of the table that chooses the serialisation of a simple page by ``Accept``: the first that fits."""

    pattern: str
    """A regular expression for a search in the header, upper and lower case alike."""
    media_type: str


def accepted() -> Iterator[Accepted]:
    """Yield the table; where nothing fits, the page is HTML.

    It compares qualities to the first decimal, and knows no wildcards: what a client does not name is not wanted more
    than HTML is.
    """
    qualities = [r"1(?:\.0*)?", *(rf"0?\.{digit}[0-9]*" for digit in range(9, 0, -1)), r"0?\.0[0-9]*[1-9][0-9]*"]
    for place, quality in enumerate(qualities):
        for media_type in (JSON, VENDOR_HTML, HTML):
            name = media_type.replace("v1", "(?:v1|latest)").replace(".", r"\.").replace("+", r"\+")
            parameter = rf";[ \t]*q[ \t]*=[ \t]*{quality}[ \t]*"
            yield Accepted(rf"(?:^|,)[ \t]*{name}[ \t]*(?:{parameter}){'?' if place == 0 else ''}(?:,|$)", media_type)


def chunks(patterns: Sequence[str], longest: int) -> Iterator[str]:
    """Yield alternations of *patterns*, each with at most so many characters where a single one has not more."""
    found = ""
    for pattern in patterns:
        if found and len(found) + 1 + len(pattern) > longest:
            yield found
            found = ""
        found = f"{found}|{pattern}" if found else pattern
    if found:
        yield found
