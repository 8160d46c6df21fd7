"""What hosts of a site are told: which names fall through and whereto, and what their files are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from gitindex.documents import adapter
from gitindex.errors import CannotRunError, UsageError
from gitindex.hosts import HOSTS, host_site
from gitindex.hosts.rules import Fallback, HostSite, accepted, cases, chunks, glob_pattern
from gitindex.media import HTML
from gitindex.model import Mirror
from gitindex.names import ProjectName
from gitindex.rendering import run
from gitindex.server.negotiation import negotiate
from gitindex.upstream.filters import Filters
from tests.repositories import DEV, PROD, PYPI, Content, files_below, make_repository, small_content

FIRST, SECOND = "https://first.example.org/simple/", "https://second.example.org/py/simple/"


def mirrored(*mirrors: Mapping[str, Any], **settings: Any) -> HostSite:
    """Return what hosts are told of a repository whose prod stands on mirrors with these settings."""
    content = Content().settings(**settings)
    for number, mirror in enumerate(mirrors):
        content.mirror(f"root/m{number}", **{"mirror_url": (FIRST, SECOND)[number], **mirror})
    content.stage("emilie/prod", bases=[f"root/m{number}" for number in range(len(mirrors))])
    content.stage("emilie/alone")
    return host_site(content.snapshot())


def asked(site: HostSite, *names: str) -> list[str | None]:
    return [site.upstream(PROD, ProjectName(name)) for name in names]


def test_what_has_no_page_is_asked_of_the_mirror() -> None:
    site = mirrored({})
    assert asked(site, "django", "x") == [FIRST, FIRST]
    assert site.fallbacks == (Fallback(PROD, FIRST, {}),)
    assert site.notes == ()


def test_an_index_without_a_mirror_asks_nobody() -> None:
    assert mirrored().fallbacks == ()
    assert [fallback.index for fallback in mirrored({}).fallbacks] == [PROD]


def test_reserved_names_and_patterns_are_never_asked_for() -> None:
    site = mirrored({}, names={"reserved": ["acme-*", "billing", "b?g"]})
    assert asked(site, "acme-", "acme-x", "acme-x-y", "billing", "big") == [None] * 5
    assert asked(site, "acme", "billing-x", "bigg") == [FIRST] * 3


def test_a_mirror_is_asked_for_what_it_may_show() -> None:
    site = mirrored({"allow": ["Django", "flask", "numpy"], "deny": ["flask"]})
    assert asked(site, "django", "flask", "numpy", "other") == [FIRST, None, FIRST, None]
    assert asked(mirrored({"deny": ["Fl_ask"]}), "fl-ask", "other") == [None, FIRST]


def test_what_a_mirror_shows_in_part_is_not_asked_for() -> None:
    site = mirrored({"allow": ["django<5", "flask"], "deny": ["numpy>2"]})
    assert asked(site, "django", "flask", "numpy") == [None, FIRST, None]
    assert "shows some versions alone" in site.notes[0]
    assert site.notes[0].endswith("django")
    site = mirrored({"deny": ["numpy>2"]})
    assert asked(site, "numpy", "flask") == [None, FIRST]


def test_an_age_leaves_only_what_is_exempt() -> None:
    site = mirrored({"mirror_min_age": "7d", "mirror_min_age_exempt": ["Our_Friend"]})
    assert asked(site, "our-friend", "django") == [FIRST, None]
    assert "mirror_min_age" in site.notes[0]


def test_an_entry_that_makes_no_sense_opens_nothing() -> None:
    assert asked(mirrored({"deny": ["django ; python_version<'3'"]}), "django", "flask") == [None, FIRST]
    assert asked(mirrored({"deny": ["!!"]}), "django") == [None]


def test_of_two_mirrors_the_first_that_may_show_it_is_asked() -> None:
    site = mirrored({"allow": ["django", "flask<2"]}, {"deny": ["bad"]})
    assert asked(site, "django", "flask", "bad", "other") == [FIRST, None, None, SECOND]
    assert any("emilie/prod has several mirrors" in note for note in site.notes)


@pytest.mark.parametrize(
    "url",
    [
        'https://first.example.org/"; } location / { return 200; }/',
        "https://first.example.org/$host/",
        "https://first.example.org/a b/",
        "https://first.example.org/%2561/",
        "https://first.example.org/?x=1",
        "https://first.example.org/{env.HOME}/",
        "https://first.example.org/\nx/",
    ],
)
def test_an_address_that_means_something_in_a_configuration_is_refused(url: str) -> None:
    with pytest.raises(CannotRunError, match="mirror_url"):
        mirrored({"mirror_url": url})


def test_the_path_of_the_site_is_taken_over_or_refused() -> None:
    def path(url: str) -> str:
        return mirrored(site={"url": url}).base_path

    assert [path(""), path("https://example.org"), path("https://example.org/a/b-c")] == ["/", "/", "/a/b-c/"]
    for wrong in ("https://example.org/a b/", 'https://example.org/"/', "https://example.org/../x/"):
        with pytest.raises(CannotRunError, match="url in"):
            path(wrong)


def test_cases_say_what_the_rules_say() -> None:
    site = mirrored({"allow": ["django", "flask<2", "numpy"]}, {"deny": ["bad"]})
    for name in ("django", "flask", "numpy", "bad", "other"):
        first = next(case for case in cases(site) if not case.projects or name in case.projects)
        assert first.upstream == site.upstream(PROD, ProjectName(name))


entries = st.lists(st.sampled_from(["a", "A", "b", "b<2", "b>=3", "c.d", "c-d==1", "e ; x", "!"]), max_size=4)


@given(st.none() | entries, entries, st.sampled_from([None, "7d"]), st.lists(st.sampled_from(["a", "B"]), max_size=2))
def test_what_is_said_of_one_project_is_what_all_say(
    allow: list[str] | None, deny: list[str], age: str | None, exempt: list[str]
) -> None:
    mirror = adapter(Mirror).validate_python(
        {"type": "mirror", "allow": allow, "deny": deny, "mirror_min_age": age, "mirror_min_age_exempt": exempt}
    )
    filters = Filters(PYPI, mirror)
    apart = filters.apart()

    def answers(asked: Filters, name: str) -> list[object]:
        found: list[object] = []
        for question in (asked.shows_project, asked.shows_all_of, asked.is_delayed):
            try:
                found.append(question(ProjectName(name)))
            except CannotRunError as error:
                found.append(error.message)
        return found

    for name in ("a", "b", "c-d", "e", "other"):
        assert answers(apart.get(ProjectName(name), apart[ProjectName("")]), name) == answers(filters, name)


names = st.from_regex(r"[ab]{1,8}(-[ab]{1,8}){0,3}", fullmatch=True)


@given(st.text("ab-*?", min_size=1, max_size=9), names)
def test_a_pattern_is_matched_as_the_repository_matches_it(glob: str, name: str) -> None:
    for is_atomic in (True, False):
        assert bool(re.fullmatch(glob_pattern(glob, is_atomic=is_atomic), name)) == fnmatchcase(name, glob)


def test_a_pattern_takes_no_time() -> None:
    assert not re.fullmatch(glob_pattern("*a" * 50 + "b"), "a" * 200)


def form(accept: str) -> str:
    return next((row.media_type for row in accepted() if re.search(row.pattern, accept, re.IGNORECASE)), HTML)


media_types = st.sampled_from(sorted({row.media_type for row in accepted()}))
qualities = st.integers(1, 10).map(lambda tenths: f"{tenths / 10:.1f}")


@given(st.lists(st.tuples(media_types, qualities), min_size=1, max_size=4, unique_by=lambda pair: pair[0]))
def test_the_table_of_forms_chooses_as_the_server_does(wanted: list[tuple[str, str]]) -> None:
    accept = ", ".join(f"{media_type};q={quality}" for media_type, quality in wanted)
    chosen = negotiate(accept.encode())
    assert chosen is not None
    assert form(accept) == chosen.value


def test_alternations_are_cut_where_they_get_long() -> None:
    parts = [f"name-{number}" for number in range(1000)]
    found = list(chunks(parts, 100))
    assert max(map(len, found)) <= 100
    assert "|".join(found) == "|".join(parts)
    assert list(chunks([], 100)) == []


@pytest.mark.parametrize("name", HOSTS)
def test_files_do_not_grow_with_the_repository(name: str) -> None:
    def size(projects: int) -> int:
        content = small_content()
        for number in range(projects):
            content.release("emilie/prod", f"project-{number}", "1.0")
        return sum(map(len, HOSTS[name].files(host_site(content.snapshot())).values()))

    assert size(2) == size(20)


@pytest.mark.parametrize("name", ["nginx", "apache", "caddy"])
def test_no_line_is_too_long_for_a_server(name: str) -> None:
    reserved = [f"pattern-{number}-*" for number in range(2000)]
    allow = [f"allowed-{number}" for number in range(2000)]
    content = small_content(names={"reserved": reserved})
    content.mirror("root/pypi", mirror_url=FIRST, allow=allow)
    for data in HOSTS[name].files(host_site(content.snapshot())).values():
        assert max(map(len, data.splitlines())) < (4000 if name == "nginx" else 32000)


def render(root: Path, out: Path, **options: Any) -> int:
    return run(root, None, out=out, **options)


def test_files_of_a_host_come_and_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repository = make_repository(tmp_path / "packages", small_content())
    out = tmp_path / "site"
    render(repository.root, out)
    plain = files_below(out, but=".gitindex-site")
    render(repository.root, out, host="nginx")
    assert set(files_below(out, but=".gitindex-site")) - set(plain) == {
        ".host",
        ".host/nginx",
        ".host/nginx/http.conf",
        ".host/nginx/server.conf",
    }
    said = capsys.readouterr().out
    assert all(f"note: {sentence}" in said for sentence in HOSTS["nginx"].cannot)
    render(repository.root, out, host="caddy", as_json=True)
    assert json.loads(capsys.readouterr().out)["notes"] == list(HOSTS["caddy"].cannot)
    assert sorted(path.name for path in (out / ".host").iterdir()) == ["caddy"]
    render(repository.root, out)
    assert files_below(out, but=".gitindex-site") == plain


def test_a_host_stays_right_when_only_a_mirror_changes(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "packages", small_content())
    out = tmp_path / "site"
    render(repository.root, out, host="nginx")
    repository.write("indexes/root/pypi/index.toml", f'type = "mirror"\nmirror_url = "{FIRST}"\n')
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "Move")
    render(repository.root, out, host="nginx")
    assert FIRST in (out / ".host/nginx/http.conf").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"host": "iis"}, "'iis' is no host that gitindex knows; take one of: nginx, "),
        ({"host": "nginx", "fallback": "magic"}, "'magic' is no way to fall back"),
        ({"fallback": "proxy"}, "--fallback says how a host falls back"),
    ],
)
def test_wrong_words_are_refused(tmp_path: Path, options: dict[str, str], message: str) -> None:
    repository = make_repository(tmp_path / "packages", small_content())
    with pytest.raises(UsageError, match=re.escape(message)):
        render(repository.root, tmp_path / "site", **options)
    assert not (tmp_path / "site").exists()


def test_what_a_host_cannot_do_is_in_the_documentation() -> None:
    text = (Path(__file__).parent.parent / "docs/how-to/hosts.md").read_text(encoding="utf-8")
    for name in HOSTS:
        assert f"--host {name}`" in text, name


def test_stages_are_those_of_the_site() -> None:
    snapshot = small_content().snapshot()
    assert host_site(snapshot).stages == (DEV, PROD)
    assert host_site(snapshot, [PROD]).stages == (PROD,)
