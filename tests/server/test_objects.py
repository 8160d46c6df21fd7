"""What answers are made of: Git's objects, wherever Git puts them, and what of a repository an ETag depends on."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from urllib.parse import urljoin

import pytest

from gitindex import layout
from tests.repositories import Content, IndexRepository, bare_clone, make_repository
from tests.server.client import HTML, JSON, Client, Served, serving
from tests.server.conftest import shop_content
from tests.server.test_live import MANY, PROD, release
from tests.server.watching import asking, commit_is, shown, until

SIZES = {"small": 100, "medium": 300_000, "large": 3_000_000}


async def urls_of(client: Client) -> dict[str, str]:
    found = {}
    for name in SIZES:
        page = f"/emilie/dev/simple/{name}/"
        found[name] = urljoin(page, (await client.get(page, {"Accept": JSON})).json["files"][0]["url"])
    return found


@pytest.mark.parametrize("is_bare", [True, False])
def test_repository_is_repacked_and_cleaned_while_it_is_served(
    shop: IndexRepository, tmp_path: Path, *, is_bare: bool
) -> None:
    content = Content()
    for name, size in SIZES.items():
        text = f"# {hashlib.shake_256(name.encode()).hexdigest(size // 2)}"
        content.release("emilie/dev", name, "1.0", kind="sdist", text=text)
    shop.put(content)
    shop.commit()
    place = IndexRepository(bare_clone(shop, tmp_path / "bare.git")) if is_bare else shop

    def clean(*command: str) -> None:
        place.git(*command)
        if not is_bare:
            # So that the files come from the objects.
            for path in (shop.path / "files").rglob("*.tar.gz"):
                path.unlink(missing_ok=True)

    async def check() -> None:
        async with serving(place, tmp_path / "cache", page_cache=1) as client:
            urls = await urls_of(client)
            wanted = {name: content[url.lstrip("/")] for name, url in urls.items()}
            for number, command in enumerate(
                (
                    ("repack", "-adq"),
                    ("gc", "--quiet", "--prune=now", "--aggressive"),
                    ("pack-refs", "--all"),
                    ("repack", "-adqf", "--depth=50"),
                    ("multi-pack-index", "write"),
                    ("commit-graph", "write", "--reachable"),
                )
            ):
                async with asking(client, MANY, PROD, "/emilie/dev/simple/", "/emilie/dev/") as answers:
                    loop = asyncio.create_task(asyncio.to_thread(clean, *command))
                    while not loop.done() or len(answers) < 20:
                        for name, url in urls.items():
                            response = await client.get(url)
                            assert (response.status, response.body) == (200, wanted[name])
                            part = await client.get(url, {"Range": "bytes=10-19"})
                            assert part.body == wanted[name][10:20]
                    await loop
                shop.git("checkout", "--", "files")
                commit = await asyncio.to_thread(release, shop, f"{500 + number}.0")
                if is_bare:
                    await asyncio.to_thread(shop.git, "push", "--quiet", str(place.path), "main")
                await shown(client, MANY, f"{500 + number}.0")
                await commit_is(client, commit)

    asyncio.run(check())


def test_large_blob_that_was_never_asked_for_is_read_from_a_pack_that_came_later(tmp_path: Path) -> None:
    content = shop_content()
    content.release("emilie/dev", "large", "1.0", kind="sdist", text=hashlib.shake_256(b"x").hexdigest(1_000_000))
    place = IndexRepository(bare_clone(make_repository(tmp_path / "packages", content), tmp_path / "bare.git"))
    path = content.stored("emilie/dev", "large", "1.0")
    with Served(place.path, tmp_path / "cache") as served:
        assert served.get(MANY).status == 200
        place.git("repack", "-adqf")
        place.git("gc", "--quiet", "--prune=now")
        assert served.get(f"/{path}").body == content[path]
        assert served.get("/emilie/dev/simple/other/").status == 200


def test_blob_that_is_lost_is_told_as_a_failure_and_the_rest_is_served(shop: IndexRepository, tmp_path: Path) -> None:
    path = shop_content().stored("emilie/prod", "foo-bar", "1.0")
    manifest = "indexes/emilie/prod/foo-bar/1.0.json"
    for lost in (path, manifest):
        blob = shop.git("rev-parse", f"HEAD:{lost}")
        (shop.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    (shop.path / path).unlink()
    with Served(shop, tmp_path / "cache") as served:
        for url in (PROD, f"/{path}"):
            response = served.get(url)
            assert (response.status, response.body.count(b"\n")) == (503, 1)
        assert served.get(MANY).status == served.get("/emilie/prod/simple/").status == 200


def test_tags_stay_where_nothing_changed_and_change_where_something_did(shop: IndexRepository, tmp_path: Path) -> None:
    """Cost follows the change: a client that has a page asks again, and is told in a few bytes that it has it."""
    same = (MANY, "/emilie/dev/simple/other/", "/emilie/dev/project/many/", "/emilie/prod/simple/")
    changed = (PROD, "/emilie/dev/simple/foo-bar/", "/emilie/dev/project/foo-bar/", "/emilie/prod/", "/emilie/dev/")

    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client:
            before = {path: await client.get(path, {"Accept": HTML}) for path in (*same, *changed)}
            assert all(response.status == 200 for response in before.values())
            await commit_is(client, release(shop, "1.2", "emilie/prod", "foo-bar"))
            for path, old in before.items():
                new = await client.get(path, {"Accept": HTML, "If-None-Match": old.etag})
                assert new.status == (304 if path in same[:3] else 200), path
                assert path in same or new.body != old.body, path
                assert new.status == 304 or new.etag != old.etag
            # A list is made of all that an index has; it may change its tag with another release, and not its bytes.
            assert (await client.get(same[3], {"Accept": HTML})).body == before[same[3]].body

    asyncio.run(check())


def test_tags_change_with_settings_definitions_and_statements_that_a_page_depends_on(
    shop: IndexRepository, tmp_path: Path
) -> None:
    page = "/emilie/dev/simple/foo-bar/"

    def write(path: str, content: Content) -> str:
        shop.write(path, content[path])
        return shop.commit()

    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client:
            tags = [(await client.get(page, {"Accept": JSON})).etag]
            for path, content in (
                (
                    "indexes/emilie/prod/foo-bar/project.toml",
                    Content().statements("emilie/prod", "foo-bar", yanked={"1.0": "other reason"}),
                ),
                ("indexes/emilie/dev/index.toml", Content().stage("emilie/dev")),
                ("indexes/emilie/dev/index.toml", Content().stage("emilie/dev", bases=["emilie/prod"])),
                ("gitindex.toml", Content().settings(names={"reserved": ["foo-bar"]})),
            ):
                await commit_is(client, await asyncio.to_thread(write, path, content))
                response = await client.get(page, {"Accept": JSON, "If-None-Match": tags[-1]})
                assert response.status in {200, 404}
                tags.append(response.get("etag") or "")
            # Without the base, the project is gone, and with it again the page is what it was before.
            assert tags[1] == tags[3]
            assert len({*tags}) == 4

    asyncio.run(check())


def test_metadata_that_is_stored_later_changes_the_page_and_its_tag(tmp_path: Path) -> None:
    content = shop_content()
    page = "/emilie/dev/simple/other/"
    path = content.stored("emilie/dev", "other", "2.0rc1") + layout.METADATA_SUFFIX
    data = content.pop(path)
    repository = make_repository(tmp_path / "packages", content)

    async def check() -> None:
        async with serving(repository, tmp_path / "cache") as client:
            before = await client.get(page, {"Accept": JSON})
            assert "core-metadata" not in before.json["files"][0]
            assert (await client.get(f"/{path}")).status == 404
            repository.write(path, data)
            await commit_is(client, repository.commit())
            after = await client.get(page, {"Accept": JSON, "If-None-Match": before.etag})
            assert "core-metadata" in after.json["files"][0]
            assert (await client.get(f"/{path}")).body == data

    asyncio.run(check())


def test_page_that_is_made_while_the_revision_changes_is_not_kept_for_the_new_one(
    shop: IndexRepository, tmp_path: Path
) -> None:
    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client:
            client.state.live.stop()  # the step is taken by hand, at the worst moment
            new = release(shop, "100.0")
            for path in (MANY, "/emilie/dev/", "/emilie/dev/feed.xml"):
                assert (await client.get(path + "?x", {"Accept": JSON})).status == 200
            under_way = [asyncio.create_task(client.get(path, {"Accept": JSON})) for path in (MANY, "/emilie/dev/")]
            await asyncio.sleep(0)  # both wait for the thread that reads
            await client.state._advance(new)
            for task in under_way:
                assert (await task).status == 200
            assert "100.0" in (await client.get(MANY, {"Accept": JSON})).json["versions"]
            assert b"many" in (await client.get("/emilie/dev/")).body

    asyncio.run(check())


def test_removed_file_is_not_handed_out_any_longer(shop: IndexRepository, tmp_path: Path) -> None:
    path = shop_content().stored("emilie/dev", "other", "2.0rc1")

    async def check() -> None:
        async with serving(shop, tmp_path / "cache") as client:
            for suffix in ("", ".metadata"):
                assert (await client.get(f"/{path}{suffix}")).status == 200
            shop.git("rm", "--quiet", "-r", "indexes/emilie/dev/other")
            await commit_is(client, shop.commit())
            for suffix in ("", ".metadata"):
                await until(client, f"/{path}{suffix}", lambda answer: answer.status == 404)

    asyncio.run(check())
