"""Pages of upstreams as they come: good, old, odd and hostile."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gitindex.names import ProjectName
from gitindex.pages import Status
from gitindex.upstream.pages import UpstreamFile, UpstreamPage
from gitindex.upstream.reading import Answer, NotAPageError, read_list, read_page
from tests.upstream.pages import DEMO, JSON, anchors, entry, page, wheel

BASE = "https://world.example.org/simple/demo/"
SHA = "a" * 64


def from_json(*files: dict[str, Any], **more: Any) -> UpstreamPage:
    return read_page(DEMO, Answer(BASE, JSON, page(*files, **more)))


def from_html(*lines: str, head: str = "", url: str = BASE, content_type: str = "text/html") -> UpstreamPage:
    return read_page(DEMO, Answer(url, content_type, anchors(*lines, head=head)))


def only(made: UpstreamPage) -> UpstreamFile:
    (file,) = made.files
    return file


def link(filename: str = "demo-1.0-py3-none-any.whl", attributes: str = "", fragment: str = f"#sha256={SHA}") -> str:
    return f'<a href="../../files/{filename}{fragment}" {attributes}>{filename}</a><br>'


def test_points_58_and_59_a_json_page_is_read_with_all_that_it_states() -> None:
    made = from_json(
        wheel(
            "1.0",
            requires_python=">=3.11",
            core_metadata={"sha256": "b" * 64},
            upload_time="2026-01-02T03:04:05.678Z",
            yanked="it < loses data",
            provenance="https://world.example.org/p",
        ),
        versions=["1.0", "2.0", "none at all", 7],
        project_status={"status": "archived", "reason": "done"},
    )
    assert only(made) == UpstreamFile(
        "demo-1.0-py3-none-any.whl",
        "1.0",
        "https://world.example.org/files/demo-1.0-py3-none-any.whl",
        SHA,  # type: ignore[arg-type]
        7,
        datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        ">=3.11",
        "b" * 64,  # type: ignore[arg-type]
        "it < loses data",
        "https://world.example.org/p",
    )
    assert made.versions == ("1.0", "2.0")
    assert made.status == Status("archived", "done")


@pytest.mark.parametrize("content_type", ["application/json", f"{JSON}; charset=utf-8", "APPLICATION/JSON ;x=y"])
def test_point_62_json_by_another_name_is_read(content_type: str) -> None:
    assert only(read_page(DEMO, Answer(BASE, content_type, page(wheel("1.0"))))).version == "1.0"


def test_point_63_unknown_keys_and_files_that_make_no_sense_are_passed_over() -> None:
    made = from_json(
        wheel("1.0", _private=1, tracks=[]),
        {"filename": "demo-2.0.tar.gz"},
        wheel("3.0", yanked=["no"]),
        "demo-4.0.tar.gz",  # type: ignore[arg-type]
        wheel("5.0", size=None, upload_time=None, yanked=None, requires_python=None, provenance=None),
        wheel("6.0", upload_time="yesterday", provenance="nowhere", size="much", core_metadata=7),
        wheel("7.0", upload_time="0001-01-01T00:00:00+14:00", size=-1),
        _last_serial=7,
        project_status={"status": "on fire"},
    )
    assert [file.version for file in made.files] == ["1.0", "5.0", "6.0", "7.0"]
    assert [(file.size, file.upload_time, file.yanked) for file in made.files[1:]] == [(None, None, None)] * 3
    # Whether it may be asked for is told where it is.
    assert [file.provenance for file in made.files[1:]] == [None, "nowhere", None]
    assert made.status is None


def test_a_file_without_a_digest_is_passed_on_without() -> None:
    made = from_json(wheel("1.0", hashes={}), wheel("2.0", hashes={"md5": "0" * 32}), wheel("3.0", hashes=None))
    assert [file.sha256 for file in made.files] == [None] * 3
    assert only(from_json(wheel("1.0", hashes={"sha256": "A" * 64}))).sha256 == SHA
    assert only(from_json(wheel("1.0", hashes={"sha256": "short"}))).sha256 is None


@pytest.mark.parametrize(
    ("stated", "metadata"),
    [
        ({"core_metadata": True}, True),
        ({"core_metadata": False}, None),
        ({"core_metadata": {}}, True),
        ({"core_metadata": {"md5": "0"}}, True),
        ({"dist_info_metadata": {"sha256": "b" * 64}}, "b" * 64),
        ({"data_dist_info_metadata": {"sha256": "b" * 64}}, "b" * 64),
        ({"core_metadata": False, "dist_info_metadata": True}, None),
    ],
)
def test_point_60_metadata_is_there_where_the_page_says_so(stated: dict[str, Any], metadata: object) -> None:
    assert only(from_json(wheel("1.0", **stated))).core_metadata == metadata


@pytest.mark.parametrize(
    ("attributes", "metadata"),
    [
        ('data-core-metadata="true"', True),
        ("data-core-metadata", None),
        (f'data-core-metadata="sha256={"b" * 64}"', "b" * 64),
        ('data-dist-info-metadata="true"', True),
        (f'data-dist-info-metadata="sha256={"b" * 64}"', "b" * 64),
        ('data-core-metadata="false" data-dist-info-metadata="true"', None),
        ("", None),
    ],
)
def test_points_60_and_62_html_says_it_by_the_old_name_too(attributes: str, metadata: object) -> None:
    assert only(from_html(link(attributes=attributes))).core_metadata == metadata


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [("data-yanked", ""), ('data-yanked=""', ""), ('data-yanked="a &lt; b"', "a < b"), ("", None)],
)
def test_point_62_a_bare_yank_is_a_yank(attributes: str, reason: str | None) -> None:
    assert only(from_html(link(attributes=attributes))).yanked == reason


def test_points_58_and_61_an_html_page_is_read_against_where_it_came_from() -> None:
    made = from_html(
        link(attributes='data-requires-python="&gt;=3.11" data-provenance="https://world.example.org/p"'),
        head='<meta name="pypi:project-status" content="deprecated">'
        '<meta name="pypi:repository-version" content="1.9">',
        content_type="text/html; charset=ISO-8859-1",
    )
    file = only(made)
    assert file.url == "https://world.example.org/files/demo-1.0-py3-none-any.whl"
    assert (file.requires_python, file.size, file.upload_time) == (">=3.11", None, None)
    assert file.provenance == "https://world.example.org/p"
    assert made.status == Status("deprecated")


@pytest.mark.parametrize(
    ("attributes", "size", "time"),
    [
        (
            'data-size="1482" data-upload-time="2026-11-22T07:25:00Z"',
            1482,
            datetime(2026, 11, 22, 7, 25, tzinfo=UTC),
        ),
        ('data-size="-1" data-upload-time="yesterday"', None, None),
        ('data-size="٣" data-upload-time="2026-13-01T00:00:00Z"', None, None),
        (f'data-size="{"9" * 5000}" data-upload-time', None, None),
    ],
)
def test_size_and_time_of_an_html_page_are_read_where_it_says_them(
    attributes: str, size: int | None, time: datetime | None
) -> None:
    file = only(from_html(link(attributes=attributes)))
    assert (file.size, file.upload_time) == (size, time)


@pytest.mark.parametrize(
    ("head", "url"),
    [
        ('<base href="https://files.example.org/a/b/">', "https://files.example.org/files/demo-1.0-py3-none-any.whl"),
        ('<base href="/x/y/z/">', "https://world.example.org/x/files/demo-1.0-py3-none-any.whl"),
        ('<base href="https://[">', None),
    ],
)
def test_point_62_links_are_relative_to_the_base_that_a_page_states(head: str, url: str | None) -> None:
    assert [file.url for file in from_html(link(), head=head).files] == ([url] if url else [])


@pytest.mark.parametrize("fragment", ["", "#md5=0123456789abcdef0123456789abcdef", "#sha256=", "#egg=demo"])
def test_point_62_an_html_page_without_useful_digests_is_read(fragment: str) -> None:
    file = only(from_html(link(fragment=fragment)))
    assert (file.sha256, file.version, "#" in file.url) == (None, "1.0", False)


def test_an_old_html_page_with_upper_case_text_and_other_links_is_read() -> None:
    made = from_html(
        '<A HREF="https://world.example.org/">home</A>',
        '<a href="../">up</a><a>none</a>',
        f"<a href='../../files/demo-1.0.zip#sha256={SHA}'>Download the\nzip!</a>",
        '<a href="/about">about</a>',
    )
    assert only(made).filename == "demo-1.0.zip"


def test_files_that_are_no_wheels_and_no_sdists_are_passed_on() -> None:
    names = ["demo-1.0.win32.exe", "demo-1.0-py2.7.egg", "demo-1.0-py3-none-any-cuda12.whl", "demo.phar", "demo-x.rpm"]
    assert [file.filename for file in from_json(*map(entry, names)).files] == names


@pytest.mark.parametrize(
    ("filename", "url"),
    [
        ("demo-1.0.tar.gz", "https://files.example.org/demo-2.0.tar.gz"),
        ("demo-1.0.tar.gz", "https://files.example.org/blob/1"),
        ("demo-1.0.tar.gz", "http://files.example.org/demo-1.0.tar.gz"),
        ("demo-1.0.tar.gz", "http://127.0.0.1/demo-1.0.tar.gz"),
        ("demo-1.0.tar.gz", "file:///etc/demo-1.0.tar.gz"),
        ("demo-1.0.tar.gz", "javascript:x/demo-1.0.tar.gz"),
        ("demo-1.0.tar.gz", "https://emilie:secret@files.example.org/demo-1.0.tar.gz"),
        ("demo-1.0.tar.gz", "https://[/demo-1.0.tar.gz"),
        ("demo-1.0.tar.gz", "https://files.example.org/a b/demo-1.0.tar.gz"),
        ("../demo-1.0.tar.gz", "https://files.example.org/%2e%2e%2fdemo-1.0.tar.gz"),
        ("..", "https://files.example.org/.."),
        (".demo", "https://files.example.org/.demo"),
        ("a\\b.zip", "https://files.example.org/a%5cb.zip"),
        ("a\0.zip", "https://files.example.org/a%00.zip"),
        ("a\n.zip", "https://files.example.org/a%0a.zip"),
        ("a" * 300 + ".zip", "https://files.example.org/" + "a" * 300 + ".zip"),
        ("", "https://files.example.org/"),
    ],
)
def test_a_file_that_must_not_be_asked_for_or_named_is_left_out(filename: str, url: str) -> None:
    assert from_json(entry(filename, url=url)).files == ()
    assert [file.filename for file in from_html(f'<a href="{url}#sha256={SHA}">{filename}</a>').files] in (
        [],
        ["demo-2.0.tar.gz"],
        ["1"],
    )


def test_a_loopback_upstream_may_link_to_loopback() -> None:
    made = from_html(link(), url="http://127.0.0.1:8000/simple/demo/")
    assert only(made).url.startswith("http://127.0.0.1:8000/files/")


def test_of_two_files_of_one_name_the_first_counts() -> None:
    assert only(from_json(wheel("1.0", size=1), wheel("1.0", size=2))).size == 1


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        (JSON, b"<html>Please log in</html>", "JSON that cannot be read"),
        (JSON, b"[" * 100_000, "JSON that cannot be read"),
        (JSON, b"[]", "no page of a simple index"),
        (JSON, b"{}", "no page of a simple index"),
        (JSON, b'{"meta":{"api-version":"2.0"},"name":"demo","files":[]}', "version '2.0'"),
        (JSON, b'{"meta":{"api-version":1},"name":"demo","files":[]}', "version '1'"),
        (JSON, b'{"meta":{"api-version":"1.0"},"files":[]}', "no project page"),
        (JSON, b'{"meta":{"api-version":"1.0"},"name":"demo","files":{}}', "no project page"),
        (JSON, page(name="other"), "the page of 'other'"),
        ("application/json", b'{"detail":"not found"}', "no page of a simple index"),
        (
            JSON,
            b'{"meta":{"api-version":"1.0"},"name":"demo","files":[' + b"{}," * 2_000_001,
            "more than 4,000,000 values",
        ),
        (JSON, page(*[entry("a.zip")] * 200_001), "more than 200,000 files"),
        ("text/plain", page(), "Content-Type 'text/plain'"),
        ("text/html", b"<a href=x" * 2_000_000, "does not come to an end"),
        ("text/html", b"<a " + b"x " * 2_000_000 + b">", "does not come to an end"),
        ("text/html", b"<a href='" * 2_000_000, "does not come to an end"),
        ("text/html", b"<![" * 1000, "HTML that cannot be read"),
        ("application/vnd.pypi.simple.latest+json", page(), "Content-Type"),
        ("text/html", anchors(head='<meta name="pypi:repository-version" content="2.0">'), "version '2.0'"),
    ],
)
def test_what_is_no_page_is_not_taken_for_one(content_type: str, body: bytes, words: str) -> None:
    with pytest.raises(NotAPageError, match=words):
        read_page(DEMO, Answer(BASE, content_type, body))


def test_a_page_without_content_type_or_files_is_an_empty_html_page() -> None:
    assert read_page(DEMO, Answer(BASE, "", b"<p>nothing")).files == ()


def test_a_charset_that_is_a_trick_is_not_believed() -> None:
    body = anchors(link(attributes='data-yanked="\u00e9"'))
    for charset in ("utf-8", '"UTF-8"', "unicode_escape", "rot13", "no-such"):
        assert only(read_page(DEMO, Answer(BASE, f"text/html; charset={charset}", body))).yanked == "\u00e9"


def test_the_identity_changes_with_what_is_answered_and_from_where() -> None:
    answers = [
        Answer(BASE, JSON, page()),
        Answer(BASE, JSON, page(wheel("1.0"))),
        Answer(f"{BASE}x/", JSON, page()),
        Answer(BASE, "application/json", page()),
    ]
    identities = [read_page(DEMO, answer).identity for answer in answers]
    assert len(set(identities)) == 4
    assert read_page(DEMO, answers[0]).identity == identities[0]


def test_lists_are_read_in_both_forms() -> None:
    body = b'{"meta":{"api-version":"1.0"},"projects":[{"name":"Zope.Demo"},{"name":"demo"},{"name":"Demo"},{},7]}'
    listed = [
        Answer(BASE, JSON, body),
        Answer(
            BASE, "text/html", anchors('<a href="/simple/zope-demo/">Zope</a><a href="Demo/">Demo</a><a href="../">')
        ),
    ]
    assert [read_list(answer) for answer in listed] == [(DEMO, ProjectName("zope-demo"))] * 2
    with pytest.raises(NotAPageError, match="no list of projects"):
        read_list(Answer(BASE, JSON, page()))
    with pytest.raises(NotAPageError, match="Content-Type 'image/png'"):
        read_list(Answer(BASE, "image/png", b""))


def test_mirrors_keep_nothing_of_what_cannot_be_taken() -> None:
    answer = Answer(BASE, JSON, page(wheel("1.0"), {**wheel("2.0"), "url": "/download"}))
    assert read_page(DEMO, answer).refused == ()
    (refused,) = read_page(DEMO, answer, tells_refused=True).refused
    assert (refused.what, read_page(DEMO, answer).files) == (wheel("2.0")["filename"], (only(read_page(DEMO, answer)),))


def test_name_that_is_listed_twice_is_told_where_the_bytes_may_differ() -> None:
    first, elsewhere = wheel("1.0", hashes={}), wheel("1.0", hashes={}, url=f"/elsewhere/{wheel('1.0')['filename']}")
    for listed, told in (((first, first), 0), ((first, elsewhere), 1), ((wheel("1.0"), elsewhere), 1)):
        refused = read_page(DEMO, Answer(BASE, JSON, page(*listed)), tells_refused=True).refused
        assert [each.why for each in refused] == [
            "is listed twice, and one of the two may have other bytes: the first one counts"
        ] * told
