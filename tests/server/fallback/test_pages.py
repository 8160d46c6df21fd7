"""Points 58 to 63 of the checklist: what an upstream's page says comes out at the other end of the server."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests import hosts
from tests.hosts import Host
from tests.repositories import make_repository
from tests.server.client import HTML, JSON, PIP, serving
from tests.server.fallback.mirrored import (
    ASKS_HTML,
    ASKS_JSON,
    DEMO,
    OLD,
    PROD,
    Serve,
    attributes,
    files_of,
    offer,
    their_sdist,
    their_wheel,
    world,
)
from tests.upstream.pages import anchors, entry, page, sent

STATED = {
    "yanked": 'breaks "a" <b> & c',
    "requires_python": ">=3.8,<4",
    "upload_time": "2024-02-29T12:00:00.123456Z",
    "core_metadata": {"sha256": "b" * 64},
    "provenance": "https://files.example.org/demo.provenance",
    "size": 4321,
}


@pytest.mark.parametrize("path", [DEMO, PROD, "/emilie/dev/simple/demo/"])
def test_points_58_and_59_what_a_file_states_survives_in_json(host: Host, serve: Serve, path: str) -> None:
    host.on("/simple/demo/", sent(page(entry("demo-1.0.tar.gz", **STATED), versions=["1.0", "0.9"])))
    answer = serve(world(host)).get(path, ASKS_JSON)
    (file,) = answer.json["files"]
    assert answer.json["versions"] == ["0.9", "1.0"]
    assert file.pop("url").endswith(f"/root/world/files/demo/{'a' * 64}/demo-1.0.tar.gz")
    assert file == {
        "filename": "demo-1.0.tar.gz",
        "hashes": {"sha256": "a" * 64},
        **{key.replace("_", "-"): value for key, value in STATED.items()},
    }


def test_points_58_and_59_what_a_file_states_survives_in_html(host: Host, serve: Serve) -> None:
    host.on("/simple/demo/", sent(page(entry("demo-1.0.tar.gz", **STATED))))
    answer = serve(world(host)).get(PROD, ASKS_HTML)
    assert answer.content_type.startswith(HTML)
    (stated,) = attributes(answer.content).values()
    assert stated.pop("href").endswith(f"/root/world/files/demo/{'a' * 64}/demo-1.0.tar.gz#sha256={'a' * 64}")
    assert stated == {
        "data-yanked": STATED["yanked"],
        "data-requires-python": ">=3.8,<4",
        "data-core-metadata": f"sha256={'b' * 64}",
        "data-provenance": STATED["provenance"],
        "data-upload-time": STATED["upload_time"],
        "data-size": "4321",
    }


@pytest.mark.parametrize(
    ("stated", "in_json", "in_html"), [(True, True, ""), ("", True, ""), ('a "b"', 'a "b"', 'a "b"')]
)
def test_point_58_a_yank_with_and_without_a_reason_is_one_to_every_client(
    host: Host, serve: Serve, stated: object, in_json: object, in_html: str
) -> None:
    host.on(
        "/simple/demo/", sent(page(entry("demo-1.0.tar.gz", yanked=stated), entry("demo-1.1.tar.gz", yanked=False)))
    )
    server = serve(world(host))
    files, links = files_of(server), attributes(server.get(PROD, ASKS_HTML).content)
    # An empty reason is no yank to pip in JSON, and one to uv: what a client gets must not depend on which it is.
    assert files["demo-1.0.tar.gz"]["yanked"] == in_json
    assert links["demo-1.0.tar.gz"]["data-yanked"] == in_html
    assert "yanked" not in files["demo-1.1.tar.gz"]
    assert "data-yanked" not in links["demo-1.1.tar.gz"]


def test_point_58_the_status_of_a_project_survives(host: Host, serve: Serve) -> None:
    status = {"status": "archived", "reason": 'by "us"'}
    host.on("/simple/demo/", sent(page(entry("demo-1.0.tar.gz"), project_status=status)))
    server = serve(world(host))
    answer = server.get(PROD, ASKS_JSON)
    assert answer.json["project-status"] == status
    assert len(answer.json["files"]) == 1
    html = server.get(PROD, ASKS_HTML).content.decode()
    assert '<meta name="pypi:project-status" content="archived">' in html
    assert '<meta name="pypi:project-status-reason" content="by &#34;us&#34;">' in html


def test_point_58_of_a_quarantined_project_no_file_is_offered_nor_sent(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo")
    status = {"status": "quarantined", "reason": "malware"}
    quarantined = page(wheel.entry(core_metadata=True), project_status=status)
    host.on("/simple/demo/", sent(page(wheel.entry(core_metadata=True))), sent(quarantined))
    host.on(wheel.path, wheel.data)
    server = serve(world(host))
    assert server.get(wheel.url("demo")).body == wheel.data
    for _ in range(2):
        answer = server.get(PROD, ASKS_JSON)
        assert answer.json["files"] == []
        assert answer.json["project-status"] == status
        assert b"<a " not in server.get(PROD, ASKS_HTML).content
        for suffix in ("", ".metadata"):
            assert server.get(wheel.url("demo", suffix=suffix)).status == 404
        # As PyPI has it: with the files taken from the page.
        host.on("/simple/demo/", sent(page(project_status=status)))


@pytest.mark.parametrize("path", [DEMO, PROD, "/emilie/dev/simple/demo/", "/emilie/dev/+simple/demo/"])
@pytest.mark.parametrize("accept", [ASKS_JSON, ASKS_HTML])
def test_point_61_the_urls_of_files_lead_through_the_cache_to_the_right_bytes(
    host: Host, serve: Serve, path: str, accept: dict[str, str]
) -> None:
    wheel, sdist = their_wheel("demo", "1.0+local.1"), their_sdist("demo")
    offer(host, "demo", wheel, sdist)
    server = serve(world(host))
    answer = server.get(path, accept)
    if accept is ASKS_JSON:
        urls = {file["filename"]: file["url"] for file in answer.json["files"]}
    else:
        urls = {text: stated["href"].partition("#")[0] for text, stated in attributes(answer.content).items()}
    for file in (wheel, sdist):
        for _ in range(2):
            got = server.get(urljoin(path, urls[file.filename]))
            assert got.status == 200
            assert got.body == file.data
            assert got.content_length == str(len(file.data))
            assert got.etag == f'"{file.sha256}"'
            assert "immutable" in got.cache_control
            assert got.get("content-encoding") is None
        assert host.paths.count(file.path) == 1


def test_point_55_a_base_path_keeps_the_urls_of_mirrored_files_right(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo")
    offer(host, "demo", wheel)
    server = serve(world(host), base_path="/pypi")
    (file,) = server.get(f"/pypi{PROD}", ASKS_JSON).json["files"]
    assert server.get(urljoin(f"/pypi{PROD}", file["url"])).body == wheel.data


def test_files_can_stay_at_their_own_urls(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo")
    url = f"{host.url}{wheel.path}"
    host.on("/simple/demo/", sent(page(wheel.entry(core_metadata=True, url=f"{url}?signed=yes"))))
    server = serve(world(host, mirror_use_external_urls=True))
    assert files_of(server)[wheel.filename]["url"] == f"{url}?signed=yes"
    for suffix, location in (("", f"{url}?signed=yes"), (".metadata", f"{url}.metadata?signed=yes")):
        answer = server.get(wheel.url("demo", suffix=suffix))
        assert (answer.status, answer.location) == (302, location)
    assert host.paths.count(wheel.path) == 0


def test_point_61_relative_urls_are_of_where_a_redirect_led(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo")
    host.on("/simple/demo/", hosts.redirect("/elsewhere/deep/demo/"))
    host.on("/elsewhere/deep/demo/", sent(page(wheel.entry(url=f"../pool/{wheel.filename}"))))
    host.on(f"/elsewhere/deep/pool/{wheel.filename}", wheel.data)
    server = serve(world(host))
    assert server.get(urljoin(PROD, files_of(server)[wheel.filename]["url"])).body == wheel.data


def test_point_62_html_without_sizes_is_answered_as_html_whoever_asks(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo")
    line = f'<a href="../../files/{wheel.filename}#sha256={wheel.sha256}" data-requires-python="&gt;=3.8">x</a>'
    host.on("/simple/demo/", sent(anchors(line), "text/html"))
    host.on(wheel.path, wheel.data)
    server = serve(world(host))
    answers = [server.get(PROD, {"accept": accept}) for accept in (PIP, JSON, HTML, "*/*")]
    assert {answer.content_type.partition(";")[0] for answer in answers} == {HTML}
    assert len({answer.etag for answer in answers}) == 1
    for answer in answers:
        stated = attributes(answer.content)[wheel.filename]
        assert stated["data-requires-python"] == ">=3.8"
        assert "data-size" not in stated
    assert server.get(urljoin(PROD, stated["href"].partition("#")[0])).body == wheel.data


def test_point_62_one_that_states_no_digest_is_served_and_not_for_ever(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo")
    host.on("/simple/demo/", sent(anchors(f'<a href="/files/{wheel.filename}">x</a>'), "text/html"))
    host.on(wheel.path, wheel.data)
    server = serve(world(host))
    href = attributes(server.get(PROD, ASKS_HTML).content)[wheel.filename]["href"]
    assert href.endswith(f"/root/world/files/demo/-/{wheel.filename}")
    answer = server.get(urljoin(PROD, href))
    assert answer.body == wheel.data
    assert answer.get("etag") is None
    assert "immutable" not in answer.cache_control


def test_point_62_a_bare_yank_is_passed_on_as_one_that_pip_sees(host: Host, serve: Serve) -> None:
    line = f'<a href="/files/demo-1.0.tar.gz#sha256={"a" * 64}" data-yanked>x</a>'
    host.on("/simple/demo/", sent(anchors(line), "text/html"))
    html = serve(world(host)).get(PROD, {"accept": PIP}).content
    assert attributes(html)["demo-1.0.tar.gz"]["data-yanked"] == ""
    assert b'data-yanked=""' in html


def test_point_62_a_base_is_followed_and_not_passed_on(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo")
    line = f'<a href="pool/{wheel.filename}#sha256={wheel.sha256}">x</a>'
    host.on("/simple/demo/", sent(anchors(line, head=f'<base href="{host.url}/there/">'), "text/html"))
    host.on(f"/there/pool/{wheel.filename}", wheel.data)
    server = serve(world(host))
    html = server.get(PROD, ASKS_HTML).content
    assert b"<base" not in html
    href = attributes(html)[wheel.filename]["href"]
    assert server.get(urljoin(PROD, href.partition("#")[0])).body == wheel.data


@pytest.mark.parametrize("content_type", [JSON, "application/json", f"{JSON}; charset=utf-8"])
def test_point_62_json_alone_is_enough_to_answer_html(host: Host, serve: Serve, content_type: str) -> None:
    host.on("/simple/demo/", sent(page(entry("demo-1.0.tar.gz")), content_type))
    answer = serve(world(host)).get(PROD, ASKS_HTML)
    assert answer.content_type.partition(";")[0] == HTML
    assert set(attributes(answer.content)) == {"demo-1.0.tar.gz"}


@pytest.mark.parametrize(
    "answer",
    [
        hosts.status(406),
        hosts.status(400),
        hosts.status(403),
        hosts.status(401),
        hosts.status(500),
        hosts.status(503),
        sent(page(entry("demo-1.0.tar.gz")), "text/plain"),
        sent(b"PK\x03\x04", "application/octet-stream"),
        sent(b"{", JSON),
        sent(b"[]", JSON),
        sent(page(name="other"), JSON),
        sent(b'{"meta":{"api-version":"2.0"},"name":"demo","files":[]}', JSON),
        hosts.redirect("ftp://files.example.org/simple/demo/"),
        hosts.redirect("http://files.example.org/simple/demo/"),
        hosts.redirect("file:///etc/passwd"),
        hosts.redirect("//"),
        hosts.status(302),
        hosts.hang_up,
        hosts.truncated(page(), 1000),
    ],
)
def test_points_45_and_62_what_is_no_page_is_no_word_on_whether_there_is_one(
    host: Host, serve: Serve, answer: hosts.Answer
) -> None:
    host.on("/simple/demo/", answer)
    server = serve(world(host))
    for path in (PROD, DEMO):
        for accept in (ASKS_JSON, ASKS_HTML):
            got = server.get(path, accept)
            assert got.status == 503
            assert int(got.retry_after) > 0
            assert got.cache_control == "no-store"
            assert got.content_type == "text/plain; charset=utf-8"
            assert len(got.body.decode().splitlines()) == 1
    assert server.get("/emilie/prod/simple/ours/", ASKS_JSON).status == 200


def test_point_63_unknown_keys_are_passed_over_and_private_ones_not_forwarded(host: Host, serve: Serve) -> None:
    stated = {"namespaces": ["a"], "_secret": 1, "alternate-locations": ["https://evil.example.org/"]}
    document = json.loads(page({**entry("demo-1.0.tar.gz", novel=[1], gpg_sig=True), "_own": 1}))
    document |= stated | {"meta": {"api-version": "1.9", "_last-serial": 7, "tracks": ["x"]}}
    host.on("/simple/demo/", sent(json.dumps(document).encode()))
    server = serve(world(host))
    answer = server.get(PROD, ASKS_JSON)
    assert set(answer.json) == {"meta", "name", "versions", "files"}
    assert answer.json["meta"] == {"api-version": "1.4"}
    assert set(answer.json["files"][0]) == {"filename", "url", "hashes", "size"}
    for word in (b"evil", b"_secret", b"_own", b"serial"):
        assert word not in answer.content + server.get(PROD, ASKS_HTML).content


def test_point_60_metadata_is_the_upstreams_own_file(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo")
    assert wheel.core_metadata is not None
    digest = hashlib.sha256(wheel.core_metadata).hexdigest()
    offer(host, "demo", wheel, core_metadata={"sha256": digest})
    host.on(f"{wheel.path}.metadata", wheel.core_metadata)
    server = serve(world(host))
    file = files_of(server)[wheel.filename]
    assert file["core-metadata"] == {"sha256": digest}
    for _ in range(2):
        answer = server.get(urljoin(PROD, f"{file['url']}.metadata"))
        assert answer.body == wheel.core_metadata
        assert answer.content_type.startswith("text/plain")
        assert "immutable" in answer.cache_control
    assert [path for path in host.paths if path.startswith("/files/")] == [f"{wheel.path}.metadata"]


@pytest.mark.parametrize("missing", [404, 410])
@pytest.mark.parametrize("has_digest", [True, False])
def test_point_60_metadata_that_is_promised_and_missing_is_taken_from_the_wheel(
    host: Host, serve: Serve, missing: int, *, has_digest: bool
) -> None:
    wheel = their_wheel("demo")
    assert wheel.core_metadata is not None
    digest = hashlib.sha256(wheel.core_metadata).hexdigest()
    offer(host, "demo", wheel, core_metadata={"sha256": digest} if has_digest else True)
    host.on(f"{wheel.path}.metadata", hosts.status(missing))
    server = serve(world(host))
    assert files_of(server)[wheel.filename]["core-metadata"] == ({"sha256": digest} if has_digest else True)
    for _ in range(2):
        answer = server.get(wheel.url("demo", suffix=".metadata"))
        assert (answer.status, answer.body) == (200, wheel.core_metadata)
    assert server.get(wheel.url("demo")).body == wheel.data
    assert host.paths.count(wheel.path) == 1


def test_point_60_metadata_that_is_nowhere_is_said_to_be_missing_in_one_line(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo", dist_info={"METADATA": None})
    offer(host, "demo", wheel, core_metadata=True)
    answer = serve(world(host)).get(wheel.url("demo", suffix=".metadata"))
    assert answer.status == 502
    assert answer.retry_after
    assert len(answer.body.decode().splitlines()) == 1
    assert b"Traceback" not in answer.body


def test_point_60_wrong_metadata_is_neither_sent_nor_kept(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo")
    assert wheel.core_metadata is not None
    digest = hashlib.sha256(wheel.core_metadata).hexdigest()
    offer(host, "demo", wheel, core_metadata={"sha256": digest})
    host.on(f"{wheel.path}.metadata", hosts.content(b"Name: evil\n"), hosts.content(wheel.core_metadata))
    server = serve(world(host))
    first, second = (server.get(wheel.url("demo", suffix=".metadata")) for _ in range(2))
    assert first.status == 502
    assert b"evil" not in first.body
    assert (second.status, second.body) == (200, wheel.core_metadata)


def test_point_60_metadata_that_is_not_promised_is_not_there(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo")
    offer(host, "demo", wheel)
    host.on(f"{wheel.path}.metadata", b"Name: demo\n")
    assert serve(world(host)).get(wheel.url("demo", suffix=".metadata")).status == 404
    assert f"{wheel.path}.metadata" not in host.paths


def test_a_file_of_another_project_or_digest_is_not_there(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo")
    offer(host, "demo", wheel, upload_time=OLD)
    offer(host, "other")
    server = serve(world(host))
    for path in (
        wheel.url("other"),
        wheel.url("demo").replace(wheel.sha256, "c" * 64),
        wheel.url("demo").replace(wheel.sha256, "-"),
        wheel.url("demo").replace("demo-1.0", "demo-1.1"),
        wheel.url("demo", "emilie/prod"),
        wheel.url("demo", "root/none"),
        wheel.url("demo").replace("/demo/", "/Demo/"),
    ):
        assert server.get(path).status == 404, path
    assert wheel.path not in host.paths


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_point_52_the_list_of_a_mirror_is_the_upstreams(host: Host, serve: Serve, method: str) -> None:
    host.on("/simple/", sent(b'{"meta":{"api-version":"1.0"},"projects":[{"name":"Demo_x"},{"name":"b"}]}'))
    answer = serve(world(host)).request(method, "/root/world/simple/", ASKS_JSON)
    assert answer.status == 200
    if method == "GET":
        assert [project["name"] for project in answer.json["projects"]] == ["b", "demo-x"]


def test_point_60_metadata_whose_digest_is_stated_later_is_asked_for_anew(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo")
    assert wheel.core_metadata is not None
    digest = hashlib.sha256(wheel.core_metadata).hexdigest()
    offer(host, "demo", wheel, core_metadata=True)
    host.on(f"{wheel.path}.metadata", b"Name: other")
    server = serve(world(host))
    first = server.get(wheel.url("demo", suffix=".metadata"))
    assert (first.status, first.body) == (200, b"Name: other")
    assert "immutable" not in first.cache_control
    assert first.get("etag") is None
    offer(host, "demo", wheel, core_metadata={"sha256": digest})
    host.on(f"{wheel.path}.metadata", wheel.core_metadata)
    second = server.get(wheel.url("demo", suffix=".metadata"))
    assert (second.status, second.body, second.etag) == (200, wheel.core_metadata, f'"{digest}"')


def test_revision_that_is_published_later_is_asked_for_upstream_from_then_on(host: Host, tmp_path: Path) -> None:
    wheel = their_wheel("demo")
    offer(host, "demo", wheel, at="/elsewhere/")
    content = world(f"{host.url}/elsewhere/")
    repository = make_repository(tmp_path / "packages", world(host))
    repository.git("switch", "--quiet", "--create", "side")
    repository.put(content)
    side = repository.commit()
    repository.git("switch", "--quiet", "main")

    async def check() -> None:
        async with serving(repository, tmp_path / "cache") as client:
            client.state.live.stop()  # the step is taken by hand
            path = f"/@{side}{PROD}"
            assert (await client.get(path, ASKS_JSON)).status == 404
            assert host.paths == []
            repository.git("merge", "--quiet", "--ff-only", "side")
            repository.put(world(host))
            await client.state._advance(repository.commit())
            assert (await client.get(path, ASKS_JSON)).json["files"][0]["filename"] == wheel.filename

    asyncio.run(check())
