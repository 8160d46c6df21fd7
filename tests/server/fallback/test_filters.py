"""What a mirror leaves out, it leaves out of lists, of pages and of the URLs of files alike."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests import hosts
from tests.hosts import Host
from tests.server.client import Response, Served
from tests.server.fallback.mirrored import (
    ASKS_HTML,
    ASKS_JSON,
    OLD,
    Serve,
    Theirs,
    attributes,
    offer,
    their_wheel,
    world,
)
from tests.upstream.pages import page, projects, sent

PAGES = ("/root/world/simple/{}/", "/emilie/prod/simple/{}/", "/emilie/dev/simple/{}/")


def ago(**time: float) -> str:
    """Return the moment that was so long ago."""
    return (datetime.now(UTC) - timedelta(**time)).strftime("%Y-%m-%dT%H:%M:%SZ")


def gets(server: Served, name: str, *files: Theirs, at: str = "") -> set[str]:
    """Return which of the files a server gives, of which it is made sure that pages and files agree on that."""
    found = []
    for path in PAGES:
        as_json = server.get(at + path.format(name), ASKS_JSON)
        as_html = server.get(at + path.format(name), ASKS_HTML)
        assert as_json.status == as_html.status
        if as_json.status == 200:
            found.append({file["filename"] for file in as_json.json["files"]})
            found.append(set(attributes(as_html.content)))
            # Nor does anything else of a page tell of what is left out.
            assert len(as_json.json["versions"]) == len(found[-1])
        else:
            assert as_json.status == 404
            found.append(set())
    for suffix in ("", ".metadata"):
        answers = {file: server.get(at + file.url(name, suffix=suffix)) for file in files}
        found.append({file.filename for file, answer in answers.items() if is_given(file, answer, suffix)})
    first, *others = found
    assert all(other == first for other in others), found
    return first


def is_given(file: Theirs, answer: Response, suffix: str) -> bool:
    assert answer.status in {200, 404}
    assert answer.status == 404 or answer.body == (file.core_metadata if suffix else file.data)
    return answer.status == 200


def offer_with(host: Host, name: str, *files: tuple[Theirs, str | None]) -> None:
    """Have the host offer files that were uploaded then."""
    entries = [file.entry(core_metadata=True, **({"upload_time": time} if time else {})) for file, time in files]
    host.on(f"/simple/{name}/", sent(page(*entries, name=name)))
    for file, _ in files:
        host.on(file.path, file.data)
        assert file.core_metadata is not None
        host.on(f"{file.path}.metadata", file.core_metadata)


@pytest.mark.parametrize(
    ("settings", "given", "is_asked"),
    [
        ({"allow": ["demo"]}, ["1.0", "2.0"], True),
        ({"allow": ["Demo<2"]}, ["1.0"], True),
        ({"allow": ["other"]}, [], False),
        ({"allow": []}, [], False),
        ({"deny": ["DEMO"]}, [], False),
        ({"deny": ["demo>=2"]}, ["1.0"], True),
        ({"allow": ["demo>=1"], "deny": ["demo==1.0"]}, ["2.0"], True),
    ],
)
def test_allow_and_deny_are_enforced_on_page_and_file(
    host: Host, serve: Serve, settings: dict[str, Any], given: list[str], *, is_asked: bool
) -> None:
    wheels = {version: their_wheel("demo", version) for version in ("1.0", "2.0")}
    offer_with(host, "demo", *((wheel, OLD) for wheel in wheels.values()))
    server = serve(world(host, **settings))
    assert gets(server, "demo", *wheels.values()) == {wheels[version].filename for version in given}
    assert bool(host.paths) == is_asked
    asked = {path.removesuffix(".metadata") for path in host.paths if path.startswith("/files/")}
    assert asked == {wheels[version].path for version in given}


def test_allow_and_deny_are_enforced_on_the_list(host: Host, serve: Serve) -> None:
    host.on("/simple/", sent(projects("a", "b", "c", "d")))
    for settings, names in (
        ({}, ["a", "b", "c", "d"]),
        ({"allow": ["b", "c<2", "x"]}, ["b", "c", "x"]),
        ({"deny": ["b", "c<2"]}, ["a", "c", "d"]),
        ({"allow": ["a", "b"], "deny": ["b"]}, ["a"]),
    ):
        server = serve(world(host, **settings))
        listed = server.get("/root/world/simple/", ASKS_JSON)
        assert [project["name"] for project in listed.json["projects"]] == names
        assert set(attributes(server.get("/root/world/simple/", ASKS_HTML).content)) == set(names)


def test_young_files_and_those_of_unknown_age_are_held_back_unless_the_project_is_exempt(
    host: Host, serve: Serve
) -> None:
    old, young, future, unknown = (their_wheel("demo", version) for version in ("1.0", "2.0", "3.0", "4.0"))
    files = ((old, ago(days=7, minutes=1)), (young, ago(days=7, minutes=-5)), (future, ago(days=-1)), (unknown, None))
    offer_with(host, "demo", *files)
    everything = {file.filename for file, _ in files}
    delayed = serve(world(host, mirror_min_age="7d"))
    assert gets(delayed, "demo", *(file for file, _ in files)) == {old.filename}
    exempt = serve(world(host, mirror_min_age="7d", mirror_min_age_exempt=["Demo"]))
    assert gets(exempt, "demo", *(file for file, _ in files)) == everything
    # What the cache has by now is held back all the same.
    assert gets(delayed, "demo", *(file for file, _ in files)) == {old.filename}


def test_a_file_comes_of_age_although_the_page_is_kept(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo")
    offer_with(host, "demo", (wheel, ago(seconds=-30)))
    server = serve(world(host, mirror_min_age="0s", mirror_cache_expiry=3600), page_cache=1 << 20)
    assert gets(server, "demo", wheel) == set()
    answers = [answer for answer in server.client.state.cache._answers.values() if answer.status == 200]
    assert len(answers) == 2 * len(PAGES)
    assert all(answer.expires <= time.monotonic() + 60 for answer in answers)


def test_of_a_past_day_there_is_what_was_there_then_as_page_and_as_file(host: Host, serve: Serve) -> None:
    before, then, later, unknown = (their_wheel("demo", version) for version in ("1.0", "2.0", "3.0", "4.0"))
    now = datetime.now(UTC)
    date = (now + timedelta(days=1)).strftime("%Y-%m-%d")
    files = (
        (before, OLD),
        (then, f"{date}T23:59:59.5Z"),
        (later, (now + timedelta(days=2)).strftime("%Y-%m-%dT00:00:00Z")),
        (unknown, None),
    )
    offer_with(host, "demo", *files)
    server = serve(world(host))
    wheels = [file for file, _ in files]
    assert gets(server, "demo", *wheels) == {wheel.filename for wheel in wheels}
    assert gets(server, "demo", *wheels, at=f"/@{date}") == {before.filename, then.filename}
    # A commit is of no day: what mirrors have is not part of it.
    assert gets(server, "demo", *wheels, at="/@main") == {wheel.filename for wheel in wheels}
    kept = server.get(f"/@{date}" + before.url("demo"))
    assert kept.body == before.data


def test_the_age_of_a_file_counts_from_the_day_that_is_asked_for(host: Host, serve: Serve) -> None:
    old, young = their_wheel("demo", "1.0"), their_wheel("demo", "2.0")
    now = datetime.now(UTC)
    offer_with(host, "demo", (old, ago(days=2)), (young, ago(hours=1)))
    server = serve(world(host, mirror_min_age="7d"))
    assert gets(server, "demo", old, young) == set()
    for days, given in ((4, set()), (6, {old.filename}), (9, {old.filename, young.filename})):
        moment = (now + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert gets(server, "demo", old, young, at=f"/@{moment}") == given


def test_a_file_that_the_upstream_has_taken_back_is_no_file_of_a_past_day(host: Host, serve: Serve) -> None:
    wheel = their_wheel("demo")
    offer_with(host, "demo", (wheel, OLD))
    server = serve(world(host))
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d")
    assert server.get(f"/@{tomorrow}" + wheel.url("demo")).body == wheel.data
    host.on("/simple/demo/", sent(page()))
    assert server.get(wheel.url("demo")).body == wheel.data
    assert server.get(f"/@{tomorrow}" + wheel.url("demo")).status == 404


def test_a_file_that_the_cache_has_is_not_given_once_it_is_denied(host: Host, serve: Serve) -> None:
    wheel, other = their_wheel("demo", "1.0"), their_wheel("demo", "2.0")
    offer(host, "demo", wheel, other)
    server = serve(world(host))
    assert server.get(wheel.url("demo")).body == wheel.data
    host.on("/simple/demo/", sent(page()))
    for settings in ({"deny": ["demo==1.0"]}, {"deny": ["demo"]}, {"allow": ["demo>1"]}, {"allow": ["other"]}):
        assert serve(world(host, **settings)).get(wheel.url("demo")).status == 404
    host.on("/simple/demo/", hosts.status(500))
    assert serve(world(host, deny=["demo==1.0"])).get(wheel.url("demo")).status in {404, 503}
    assert serve(world(host, deny=["demo==2.0"])).get(wheel.url("demo")).body == wheel.data


def test_an_entry_that_makes_no_sense_closes_its_project_and_no_other(host: Host, serve: Serve) -> None:
    demo, other = their_wheel("demo"), their_wheel("other")
    offer(host, "demo", demo)
    offer(host, "other", other)
    server = serve(world(host, deny=["demo<<5"]))
    for path in ("/emilie/prod/simple/demo/", "/root/world/simple/demo/", demo.url("demo")):
        answer = server.get(path)
        assert answer.status in {404, 503}, path
        assert b"Traceback" not in answer.body
    assert server.get("/emilie/prod/simple/other/", ASKS_JSON).status == 200
    assert server.get(other.url("other")).body == other.data
    assert demo.path not in host.paths
