"""What devpi's protocol is made of: paths, reports of tox, documents; none of it trusts what it is given."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st

from gitindex.devpi import file_path, version_fields
from gitindex.errors import UsageError
from gitindex.model import TestRun
from gitindex.server.devpi.targets import (
    Api,
    File,
    Index,
    Login,
    Misnamed,
    Project,
    Refresh,
    Result,
    Root,
    User,
    Version,
    parse,
)
from gitindex.toxreport import report_of, runs_in
from tests.builders import metadata
from tests.repositories import DEV

SHA = "ab" * 32
NOW = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/", Root()),
        ("/+login", Login()),
        ("/+api", Api(None)),
        ("/emilie/+api", Api(None)),
        ("/emilie/dev/+api", Api(DEV)),
        ("/emilie", User("emilie")),  # type: ignore[arg-type]
        ("/emilie/", User("emilie")),  # type: ignore[arg-type]
        ("/Emilie", Misnamed("Emilie")),
        ("/emilie/Dev", Misnamed("emilie/Dev")),
        ("/emilie/dev", Index(DEV)),
        ("/emilie/dev/", Index(DEV)),
        ("/emilie/dev/Foo.Bar", Project(DEV, "foo-bar")),  # type: ignore[arg-type]
        ("/emilie/dev/foo/1.0/", Version(DEV, "foo", "1.0")),  # type: ignore[arg-type]
        ("/emilie/dev/+simple/foo/refresh", Refresh(DEV, "foo")),  # type: ignore[arg-type]
        ("/emilie/dev/%2Bf/123/4567890123456/a-1.0.tar.gz", File(DEV, "1234567890123456", "a-1.0.tar.gz")),
        (
            "/emilie/dev/+f/123/4567890123456/a-1.0.tar.gz.toxresult-20261128093000-2",
            Result(File(DEV, "1234567890123456", "a-1.0.tar.gz"), "20261128093000", 2),
        ),
        ("", None),
        ("//", None),
        ("/emilie//dev", None),
        ("/@main/emilie/dev", None),
        ("/@main/+api", None),
        ("/+status", None),
        ("/emilie/dev/..", None),
        ("/emilie/dev/%2e%2e/x", None),
        ("/emilie/dev/+f/123/4567890123456/..", None),
        ("/emilie/dev/+f/12g/4567890123456/a-1.0.tar.gz", None),
        ("/emilie/dev/+f/123/456789012345/a-1.0.tar.gz", None),
        ("/emilie/dev/foo/+x", None),
        ("/emilie/dev/foo/1.0/more", None),
        ("/emilie/dev/" + "x" * 3000, None),
        ("/emilie/%ff", None),
    ],
)
def test_path_is_what_devpi_means_by_it(path: str, wanted: object) -> None:
    assert parse(path.encode()) == wanted


@given(st.binary(max_size=80))
def test_no_path_is_too_odd_to_be_looked_at(path: bytes) -> None:
    parse(b"/" + path)
    parse(b"/emilie/dev/" + path)
    parse(b"/emilie/dev/+f/" + path)


@given(st.from_regex(r"[a-z][a-z0-9_]{0,8}-[0-9]\.[0-9]\.tar\.gz", fullmatch=True), st.sampled_from([SHA, "0f" * 32]))
def test_path_of_a_file_is_read_as_it_is_written(filename: str, sha256: str) -> None:
    assert parse(file_path(DEV, sha256, filename).encode()) == File(DEV, sha256[:16], filename)


def report(**environments: Any) -> bytes:
    return json.dumps({"testenvs": environments}).encode()


PASSED, FAILED = [{"retcode": 0}], [{"retcode": 0}, {"retcode": "1"}]


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ({"setup": PASSED, "test": PASSED}, "passed"),
        ({"test": PASSED}, "passed"),
        ({"test": [{"retcode": "0"}]}, "passed"),
        ({"setup": PASSED, "test": FAILED}, "failed"),
        ({"setup": FAILED, "test": PASSED}, "error"),
        ({"setup": FAILED}, "error"),
        ({"setup": PASSED, "test": []}, "error"),
        ({}, "error"),
        ({"result": {"success": True}}, "error"),
        ({"test": PASSED, "result": {"success": False}}, "failed"),
        ({"test": [{"retcode": -9}]}, "failed"),
    ],
)
def test_outcome_is_never_better_than_what_was_run(said: dict[str, Any], outcome: str) -> None:
    (run,) = runs_in(report(py=said), SHA, NOW)
    assert run["outcome"] == outcome
    assert run["files"] == [SHA]
    assert run["time"] == "2026-11-28T09:30:00Z"
    assert TestRun(**run)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"[]",
        b"{}",
        b'{"testenvs": []}',
        b'{"testenvs": {}}',
        b'{"testenvs": {".pkg": {}}}',
        b'{"testenvs": {"py": null}}',
        b'{"testenvs": {"py": {"test": [null]}}}',
        b'{"testenvs": {"py": {"test": [{"retcode": "x"}]}}}',
        b'{"testenvs": {"py": {"test": 1}}}',
        report(**{f"py{number}": {"test": PASSED} for number in range(200)}),
        b"[" * 100_000,
    ],
)
def test_what_is_no_report_is_refused(sent: bytes) -> None:
    with pytest.raises(UsageError, match=r"^the result "):
        runs_in(sent, SHA, NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["retcode", "success"]), inner),
    max_leaves=6,
)
environments = st.dictionaries(
    st.text(max_size=5), st.dictionaries(st.sampled_from(["setup", "test", "result"]), json_values), max_size=3
)


@given(environments)
def test_any_report_is_read_or_refused(found: dict[str, Any]) -> None:
    try:
        runs = runs_in(report(**found), SHA, NOW)
    except UsageError:
        return
    assert {run["outcome"] for run in runs} <= {"passed", "failed", "error"}
    assert all(0 <= run["duration"] < 1e8 for run in runs)


@given(st.sampled_from(["passed", "failed", "error"]), st.floats(0, 1e6))
def test_what_is_told_of_a_run_is_read_as_that_run(outcome: Any, duration: float) -> None:
    run = TestRun(
        environment="py", outcome=outcome, duration=round(duration, 1), time="2026-11-28T09:30:00Z", files=(SHA,)
    )
    (again,) = runs_in(report_of(run), SHA, NOW)
    assert (again["outcome"], again["duration"], again["environment"]) == (outcome, run.duration, "py")


def test_metadata_has_the_names_of_devpi() -> None:
    extra = (
        "Summary: A demo\nKeywords: one,two\nPlatform: any\nProject-URL: Home, https://example.org/\nRequires-Dist: x\n"
    )
    fields = version_fields(metadata("Pkg", "1.0", ">=3.8", extra, "2.1"))
    assert fields["summary"] == "A demo"
    assert fields["keywords"] == "one,two"
    assert fields["platform"] == ["any"]
    assert fields["project_urls"] == ["Home, https://example.org/"]
    assert fields["requires_dist"] == ["x"]
    assert "name" not in fields


@given(st.binary(max_size=200))
def test_metadata_of_any_kind_is_read(data: bytes) -> None:
    version_fields(data)
