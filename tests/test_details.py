"""What a page shows beside the files: metadata of any make, and results of tests, out of the repository."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, strategies as st

from gitindex import layout
from gitindex.details import NO_DETAILS, read_details
from gitindex.facts.archive import MAX_METADATA
from gitindex.facts.described import MAX_DESCRIPTION, Dependency, Link, Person, read_described
from gitindex.names import IndexName, ProjectName, UserName
from gitindex.overview import newest_version
from gitindex.pages import Links, project_page
from gitindex.resolve import walk
from gitindex.served import open_index
from gitindex.storage import EmbeddedStore
from tests.repositories import Content, small_content
from tests.strategies import checked

HEAD = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"


def described(fields: str) -> Any:
    found = read_described((HEAD + fields).encode())
    assert found is not None
    return found


def details(content: Content, index: str = "emilie/dev", name: str = "demo") -> Any:
    snapshot = content.snapshot()
    user, _, rest = index.partition("/")
    served = open_index(snapshot, IndexName(UserName(user), rest))
    assert served is not None
    steps = tuple(walk(snapshot, served.order, ProjectName(name)))
    page = project_page(ProjectName(name), steps, Links(snapshot))
    return read_details(page, newest_version(page), steps, EmbeddedStore(snapshot.root))


# Metadata


def test_metadata_of_old_tools_is_understood() -> None:
    found = described(
        "Home-page: UNKNOWN\nAuthor: A\nAuthor-email: a@example.org\nMaintainer: M\nLicense: MIT\nKeywords: one two\n"
        "Description: First line\n        \n        Second line\nRequires-Dist: x (>=1.0)\n"
    )
    assert found.links == ()
    assert found.people == (Person("Author", "A", "a@example.org"), Person("Maintainer", "M", ""))
    assert (found.license, found.keywords, found.content_type) == ("MIT", ("one", "two"), "")
    assert found.description.startswith("First line\n")
    assert found.dependencies == (("", (Dependency(ProjectName("x"), "x", ">=1.0", ""),)),)


def test_a_description_among_the_fields_loses_the_bars_before_its_lines() -> None:
    assert described("Description: One\n       |Two\n       |\n       |Three\n").description == "One\nTwo\n\nThree"


def test_the_text_of_a_licence_is_not_its_name() -> None:
    assert described(f"License: {'Permission is hereby granted ' * 20}\n").license == ""
    assert described("License: old\nLicense-Expression: MIT\n").license == "MIT"


def test_links_keep_their_labels_and_tell_their_kind() -> None:
    found = described(
        "Home-page: https://a.example.org/\nProject-URL: Home, https://a.example.org/\n"
        "Project-URL: What's New?, https://b.example.org/\nProject-URL: Other, https://c.example.org/\n"
        "Download-URL: https://d.example.org/\n"
    )
    assert found.links == (
        Link("homepage", "Homepage", "https://a.example.org/"),
        Link("changelog", "What's New?", "https://b.example.org/"),
        Link("", "Other", "https://c.example.org/"),
        Link("download", "Download", "https://d.example.org/"),
    )


@pytest.mark.parametrize(
    ("address", "person"),
    [
        ("Bob <bob@example.org>", ("Bob", "bob@example.org")),
        ('"Doe, Jane" <jane@example.org>', ("Doe, Jane", "jane@example.org")),
        ("Eve <eve@example.org?bcc=all@example.org>", ("Eve", "")),
        ("Eve <javascript:alert(1)>", ("Eve", "")),
    ],
)
def test_addresses_are_names_and_what_may_be_mailed_to(address: str, person: tuple[str, str]) -> None:
    assert [found[1:] for found in described(f"Author-email: {address}\n").people][:1] == [person]


def test_dependencies_are_grouped_by_the_extra_that_needs_them() -> None:
    found = described(
        "Provides-Extra: b\nProvides-Extra: empty\nRequires-Dist: one\nRequires-Dist: two; extra == 'B'\n"
        "Requires-Dist: three; (os_name == 'nt' or os_name == 'x') and extra == 'b'\n"
        "Requires-Dist: four; extra == 'b' or extra == 'c'\n"
    )
    assert [(extra, [(need.text, need.marker) for need in needs]) for extra, needs in found.dependencies] == [
        ("", [("one", ""), ("four", 'extra == "b" or extra == "c"')]),
        ("b", [("two", ""), ("three", 'os_name == "nt" or os_name == "x"')]),
    ]
    assert found.extras == ("b", "empty")


def test_what_is_without_bounds_is_cut() -> None:
    long = "x" * 5000
    found = described(
        f"Summary: {long}\n" + "".join(f"Keywords: a{n},\n" for n in range(1)) + "Classifier: A :: b\n" * 2000
        + "".join(f"Requires-Dist: a{n}\nProject-URL: {n}, https://a.example.org/{n}\n" for n in range(2000))
        + f"\n{'y' * (MAX_DESCRIPTION + 1)}"
    )  # fmt: skip
    assert len(found.summary) == 1000
    assert sum(len(needs) for _, needs in found.dependencies) == 1000
    assert len(found.links) == 1000
    assert (len(found.description), found.is_cut) == (MAX_DESCRIPTION, True)
    assert not described("\nshort").is_cut


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"\0" * 100, b":\n:\n", HEAD.encode() + b"\n\xff\xfe description"])
def test_what_is_no_metadata_is_no_reason_to_stop(data: bytes) -> None:
    found = read_described(data)
    assert found is None or found.summary == ""


@checked
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: (HEAD + text).encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_passed_over(data: bytes) -> None:
    found = read_described(data)
    assert found is None or isinstance(found.description, str)


# Where it is read from


def test_metadata_comes_from_beside_the_wheel_from_in_it_or_from_the_sdist() -> None:
    content = small_content()
    content.release("emilie/dev", "demo", "1.0", extra="Summary: of the wheel\n")
    assert details(content).described.summary == "of the wheel"
    del content[content.stored("emilie/dev", "demo", "1.0") + ".metadata"]
    assert details(content).described.summary == "of the wheel"
    content = small_content()
    content.release("emilie/dev", "demo", "1.0", kind="sdist", extra="Summary: of the sdist\n")
    assert details(content).described.summary == "of the sdist"


def test_metadata_is_that_of_the_newest_release_that_is_no_prerelease() -> None:
    content = small_content()
    for version in ("1.0", "1.1", "2.0rc1"):
        content.release("emilie/dev", "demo", version, extra=f"Summary: of {version}\n")
    assert details(content).described.summary == "of 1.1"
    content.statements("emilie/dev", "demo", yanked={"1.1": ""})
    assert details(content).described.summary == "of 1.0"


def put(content: Content, name: str, data: bytes) -> Content:
    """Release a file of any bytes, as it could lie in an old repository."""
    import hashlib

    sha256 = hashlib.sha256(data).hexdigest()
    content[layout.stored_path(sha256, name)] = data
    content.add_file("emilie/dev", "demo", "1.0", {"filename": name, "hashes": {"sha256": sha256}, "size": len(data)})
    return content


def zipped(members: dict[str, bytes]) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


WHEEL = "demo-1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    "data",
    [
        b"no archive",
        zipped({"other": b""}),
        zipped({"demo-1.0.dist-info/METADATA": HEAD.encode() + b"\n" + b"x" * (MAX_METADATA + 1)}),
        zipped({"demo-1.0.dist-info/METADATA": b"\0" * (10 << 20)}),
        zipped({"a-1.dist-info/METADATA": HEAD.encode(), "b-1.dist-info/METADATA": HEAD.encode()}),
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n",
    ],
    ids=["no archive", "no metadata", "large", "bomb", "two", "pointer"],
)
def test_a_file_whose_metadata_cannot_be_read_has_none(data: bytes) -> None:
    assert details(put(small_content(), WHEEL, data)).described is None


def test_metadata_beside_a_wheel_that_is_too_large_is_not_read() -> None:
    content = small_content()
    content.release("emilie/dev", "demo", "1.0", extra="Summary: x\n")
    content[content.stored("emilie/dev", "demo", "1.0") + ".metadata"] = b"x" * (MAX_METADATA + 1)
    assert details(content).described is None


def test_a_file_that_is_hosted_elsewhere_tells_nothing() -> None:
    content = small_content()
    entry = {"filename": WHEEL, "hashes": {"sha256": "a" * 64}, "size": 1, "url": f"https://files.example.org/{WHEEL}"}
    content.add_file("emilie/dev", "demo", "1.0", entry)
    assert details(content) == NO_DETAILS


# Tests


def run(content: Content, index: str = "emilie/prod", **values: Any) -> dict[str, Any]:
    sha256 = content.entry(index, "demo", "1.0")["hashes"]["sha256"]
    time = "2026-11-22T08:00:00Z"
    return {"environment": "py", "outcome": "passed", "duration": 1, "time": time, "files": [sha256], **values}


def shown(content: Content, index: str) -> list[tuple[str, str, str]]:
    runs = details(content, index).tested.get("1.0", ())
    return [(run.environment, run.outcome, str(run.index)) for run in runs]


def test_results_are_those_of_the_files_that_are_shown_newest_first() -> None:
    content = small_content()
    content.release("emilie/prod", "demo", "1.0")
    content["indexes/emilie/dev/demo/1.0.json"] = content["indexes/emilie/prod/demo/1.0.json"]
    content["indexes/emilie/prod/demo/1.0.tests.json"] = json.dumps(
        [run(content), run(content, environment="other bytes", files=["0" * 64]), run(content, environment="a")]
    ).encode()
    later = run(content, outcome="failed", time="2026-11-23T08:00:00Z")
    content["indexes/emilie/dev/demo/1.0.tests.json"] = json.dumps([later]).encode()
    inherited = [("a", "passed", "emilie/prod"), ("py", "passed", "emilie/prod")]
    assert shown(content, "emilie/prod") == inherited
    assert shown(content, "emilie/dev") == [("py", "failed", "emilie/dev"), *inherited]


def test_results_that_cannot_be_read_are_no_absence() -> None:
    content = small_content()
    content.release("emilie/prod", "demo", "1.0")
    content["indexes/emilie/prod/demo/1.0.tests.json"] = b"[{}]"
    assert shown(content, "emilie/dev") == [("", "unreadable", "emilie/prod")]
