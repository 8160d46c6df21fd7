"""Whatever a server says, what is made of it keeps the rules, and nothing but our own errors stops an import."""

from __future__ import annotations

from typing import Any

import tomlkit
from hypothesis import given, settings, strategies as st

from gitindex.compare import Change
from gitindex.edits import owners
from gitindex.edits.plan import Plan
from gitindex.edits.toml import new_document
from gitindex.finding import Severity
from gitindex.importers.devpi import Translation
from gitindex.importers.devpi_links import Link, Release, files_of, log_of
from gitindex.importers.reading import a_moment
from gitindex.importers.report import Report
from gitindex.layout import user_path
from gitindex.names import IndexName, ProjectName, Sha256, UserName
from gitindex.snapshot import Snapshot
from gitindex.tree import Overlay, leaf
from gitindex.validate import validate
from tests.repositories import Content

_TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
"""Halves of characters too, which JSON can bring."""
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | _TEXT
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=8,
)
_USER_NAMES = ("emilie", "Emilie", "bob", "root", "a b", "..", "ü", "files")
_NAMES = tuple(f"{user}/{name}" for user in _USER_NAMES for name in ("dev", "Dev", "prod", "", "x/y"))
_LISTS = st.lists(st.sampled_from(_NAMES + _USER_NAMES + (":team", ":ANONYMOUS:", "*", "Some_Thing", "")), max_size=5)
_OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(("stage", "mirror", "local", "remote", "constrained", None)) | _JSON,
    "volatile": st.booleans() | st.sampled_from(("False", "true")) | _JSON,
    "bases": _LISTS | _LISTS.map(",".join) | _JSON,
    "acl_upload": _LISTS | _JSON,
    "mirror_whitelist": _LISTS | _JSON,
    "mirror_whitelist_inheritance": st.sampled_from(("union", "intersection")) | _JSON,
    "mirror_url": st.sampled_from(("https://a:b@example.org/x", "http://[", "ftp://x", "https://example.org")) | _JSON,
    "mirror_cache_expiry": st.integers() | _JSON,
    "title": _TEXT | _JSON,
    "description": _JSON,
    "custom_data": _JSON,
}
_CONFIGS = st.fixed_dictionaries({}, optional=_OPTIONS) | _JSON
_INDEXES = st.dictionaries(st.sampled_from(_NAMES), _CONFIGS, max_size=7)
_USERS = st.dictionaries(
    st.sampled_from(_USER_NAMES) | _TEXT,
    st.fixed_dictionaries({}, optional={"email": _TEXT | _JSON, "title": _JSON}) | _JSON,
    max_size=5,
)


def _start() -> Snapshot:
    return Content().settings(groups={"team": []}).user("emilie").snapshot()


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=5))
def test_list_is_written_at_once_as_tomlkit_writes_it_bit_by_bit(values: list[str]) -> None:
    document = tomlkit.document()
    document["key"] = values
    assert new_document({"key": tuple(values)}) == document.as_string().encode()


@settings(max_examples=300, deadline=None)
@given(_USERS, _INDEXES)
def test_what_is_made_of_any_server_breaks_no_rule(users: dict[str, Any], indexes: dict[str, Any]) -> None:
    here = _start()
    translation = Translation(users, indexes, here, Report(), [])
    changes = {
        user_path(user.name): leaf(new_document(dict(user.values)))
        for user in translation.users()
        if here.user(user.name) is None
    }
    there = Snapshot(Overlay(here.root, changes), None)
    for _, index in translation.indexes():
        plan = owners.create_index(there, index.name, index.values)
        there = Snapshot(Overlay(there.root, plan.leaves()), None)
        errors = [f for f in validate(Change(None, there)) if f.severity is Severity.ERROR]
        assert errors == []


@given(_JSON, _JSON, st.sampled_from(("releasefile", "toxresult", "doczip", "x")), _JSON)
def test_any_link_is_read_or_passed_over(log: Any, when: Any, rel: str, result: Any) -> None:
    place = IndexName(UserName("emilie"), "dev")
    logged = log_of([log, {"what": log, "who": when}, {"what": "upload", "who": when, "when": when}])
    links = [
        Link("releasefile", "a", "demo-1.0.tar.gz", Sha256("a" * 64), logged),
        Link(rel, "b", "demo-1.0.tar.gz.toxresult-0", None, logged, "demo-1.0.tar.gz"),
    ]
    release = Release(place, ProjectName("demo"), links, {"emilie": UserName("emilie")})
    found = [*files_of(release, lambda _: Plan, lambda _: repr(result).encode(), Report())]  # type: ignore[arg-type, return-value]
    assert found[0].filename == "demo-1.0.tar.gz"
    assert a_moment(when) is None or str(a_moment(when)).endswith("Z")
