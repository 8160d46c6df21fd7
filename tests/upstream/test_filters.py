"""What a mirror shows of its upstream."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gitindex.errors import CannotRunError
from gitindex.names import ProjectName, Sha256, parse_version
from gitindex.pages import Status
from gitindex.upstream.pages import UpstreamFile, UpstreamPage
from tests.upstream.pages import DEMO, NAME, mirror_of

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
URL = "https://world.example.org/simple/"


def file(version: str | None, days: float | None = 100, *, name: str = "") -> UpstreamFile:
    """Return a file that was uploaded so many days ago."""
    filename = name or f"demo-{version}-py3-none-any.whl"
    time = None if days is None else NOW - timedelta(days=days)
    return UpstreamFile(filename, version, f"{URL}{filename}", Sha256("a" * 64), 7, time)


def page(*files: UpstreamFile, versions: tuple[str, ...] = (), status: Status | None = None) -> UpstreamPage:
    return UpstreamPage(DEMO, files, versions, status, "0" * 64)


def shown(*files: UpstreamFile, until: datetime | None = None, **settings: Any) -> list[str]:
    filters = mirror_of(URL, **settings).filters
    return [file.filename for file in filters.shown(page(*files), NOW, until).files]


@pytest.mark.parametrize(
    ("settings", "versions"),
    [
        ({}, "1.0 1.5rc1 2.0"),
        ({"allow": ["demo"]}, "1.0 1.5rc1 2.0"),
        ({"allow": ["Demo<2"]}, "1.0 1.5rc1"),
        ({"allow": ["demo<1.2", "demo==2.*"]}, "1.0 2.0"),
        ({"allow": ["other"]}, ""),
        ({"deny": ["demo"]}, ""),
        ({"deny": ["demo<2"]}, "2.0"),
        ({"deny": ["other"]}, "1.0 1.5rc1 2.0"),
        ({"allow": ["demo"], "deny": ["demo>=2"]}, "1.0 1.5rc1"),
    ],
)
def test_allow_and_deny_leave_versions_of_a_project(settings: dict[str, Any], versions: str) -> None:
    expected = versions.split()
    names = shown(file("2.0"), file("1.0"), file("1.5rc1"), **settings)
    assert names == [f"demo-{version}-py3-none-any.whl" for version in expected]
    filters = mirror_of(URL, **settings).filters
    assert [version for version in ("1.0", "1.5rc1", "2.0") if filters.shows(DEMO, parse_version(version))] == expected


def test_a_file_of_no_known_version_is_shown_where_no_version_matters() -> None:
    odd = file(None, name="demo-setup.exe")
    assert shown(odd, file("1.0")) == ["demo-setup.exe", "demo-1.0-py3-none-any.whl"]
    assert shown(odd, allow=["demo"]) == ["demo-setup.exe"]
    assert shown(odd, deny=["other<2"]) == ["demo-setup.exe"]
    assert shown(odd, deny=["demo<2"]) == shown(odd, allow=["demo>=1"]) == shown(odd, deny=["demo"]) == []


def test_a_young_file_or_one_of_unknown_age_is_held_back() -> None:
    files = (file("1.0", 8), file("2.0", 7), file("3.0", 6.9), file("4.0", None))
    assert shown(*files, mirror_min_age="7d") == ["demo-1.0-py3-none-any.whl", "demo-2.0-py3-none-any.whl"]
    assert len(shown(*files, mirror_min_age="7d", mirror_min_age_exempt=["Demo"])) == 4
    assert shown(*files, mirror_min_age="999999999w") == []


def test_of_a_past_day_nothing_newer_is_shown_and_the_age_counts_from_then() -> None:
    until = NOW - timedelta(days=30)
    files = (file("1.0", 60), file("2.0", 35), file("3.0", 30), file("4.0", 29), file("5.0", None))
    names = [f"demo-{version}-py3-none-any.whl" for version in ("1.0", "2.0", "3.0")]
    assert shown(*files, until=until) == names
    assert shown(*files, until=until, mirror_min_age="7d") == names[:1]
    assert shown(*files, until=until, mirror_min_age="7d", mirror_min_age_exempt=["demo"]) == names


def test_of_a_quarantined_project_nothing_is_shown_but_that() -> None:
    status = Status("quarantined", "malware")
    made = mirror_of(URL).filters.shown(page(file("1.0"), versions=("1.0",), status=status), NOW)
    assert (made.files, made.versions, made.status) == ((), (), status)


def test_versions_without_files_are_listed_where_nothing_depends_on_their_age() -> None:
    stated = page(file("2.0"), versions=("1.0", "2.0", "3.0"))
    assert mirror_of(URL).filters.shown(stated, NOW).versions == ("1.0", "2.0", "3.0")
    assert mirror_of(URL, deny=["demo<2"]).filters.shown(stated, NOW).versions == ("2.0", "3.0")
    assert mirror_of(URL, mirror_min_age="1d").filters.shown(stated, NOW).versions == ("2.0",)
    assert mirror_of(URL).filters.shown(stated, NOW, NOW).versions == ("2.0",)


def test_equal_versions_are_listed_once() -> None:
    made = mirror_of(URL).filters.shown(page(file("1.0"), file("1.0.0"), versions=("1",)), NOW)
    assert made.versions == ("1.0",)
    assert {file.version for file in made.files} == {"1.0"}


def test_a_page_keeps_what_its_files_state() -> None:
    stated = UpstreamFile(
        "demo-1.0.tar.gz",
        "1.0",
        f"{URL}demo-1.0.tar.gz",
        None,
        None,
        datetime(2025, 1, 1, 0, 0, 0, 5, tzinfo=UTC),
        ">=3.11",
        True,
        "",
        "https://world.example.org/p",
    )
    (made,) = mirror_of(URL).filters.shown(page(stated), NOW).files
    assert made.index == NAME
    assert (made.sha256, made.size, made.upload_time) == (None, None, "2025-01-01T00:00:00.000005Z")
    assert (made.requires_python, made.core_metadata, made.yanked) == (">=3.11", True, "")
    assert made.provenance == "https://world.example.org/p"


def test_projects_are_shown_or_not_as_a_whole() -> None:
    filters = mirror_of(URL, deny=["demo", "other<2", "odd<<1"]).filters
    assert not filters.shows_project(DEMO)
    assert filters.shows_project(ProjectName("other"))
    assert not mirror_of(URL, allow=["other<2"]).filters.shows_project(DEMO)
    assert filters.leave(map(ProjectName, ["other", "demo", "odd", "new"])) == ("new", "other")
    assert mirror_of(URL).filters.allowed() is None
    allowing = mirror_of(URL, allow=["Zope.Demo<2", "demo", "other", "../x"], deny=["other"])
    assert allowing.filters.allowed() == ("demo", "zope-demo")


def test_an_entry_that_makes_no_sense_closes_its_project_and_no_other() -> None:
    filters = mirror_of(URL, deny=["demo<<2"]).filters
    with pytest.raises(CannotRunError, match=r"^indexes/root/world/index.toml: deny has 'demo<<2'"):
        filters.shown(page(file("1.0")), NOW)
    with pytest.raises(CannotRunError, match="no name with version specifiers"):
        filters.shows_project(DEMO)
    assert filters.shows_all_of(ProjectName("other"))


@pytest.mark.parametrize(
    ("settings", "is_all"),
    [
        ({}, True),
        ({"allow": ["demo"]}, True),
        ({"deny": ["other<2"]}, True),
        ({"deny": ["demo<2"]}, False),
        ({"allow": ["demo<2"]}, False),
        ({"mirror_min_age": "1d"}, False),
        ({"mirror_min_age": "1d", "mirror_min_age_exempt": ["demo"]}, True),
    ],
)
def test_a_page_is_passed_on_whole_where_no_file_is_hidden(settings: dict[str, Any], is_all: bool) -> None:  # noqa: FBT001
    assert mirror_of(URL, **settings).filters.shows_all_of(DEMO) is is_all
