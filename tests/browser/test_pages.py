"""The pages for people in a browser: what they do by script, and that they do without."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, expect

from gitindex.names import IndexName, UserName
from gitindex.pages import ProjectPage
from gitindex.render import people
from gitindex.render.project import project
from gitindex.views import IndexCard, LandingView
from tests.browser.conftest import UNSAFE, Open
from tests.sites import index_of_many, pages_of
from tests.test_render_people import INDEX, PROJECT, a_file

Record = Callable[[str, object], None]
MANY, FILES = 10_000, 2_000


def put(folder: Path, path: str, page: bytes) -> str:
    """Put a page into the site, and return its path."""
    (folder / path).mkdir(parents=True, exist_ok=True)
    (folder / path / "index.html").write_bytes(page)
    return path


@pytest.fixture(scope="session")
def many(folder: Path) -> str:
    """Return the path of an index of 10,000 projects."""
    return put(folder, "many/projects/", index_of_many(INDEX, MANY))


def test_no_page_complains_or_asks_for_anything_of_others(opened: Open, folder: Path, url: str) -> None:
    page = opened().new_page()
    asked: list[Response] = []
    page.on("response", lambda response: asked.append(response))  # noqa: PLW0108 - it takes no builtin
    for path in pages_of(folder):
        page.goto(url + path)
    assert len({response.url for response in asked}) > 15
    assert {response.status for response in asked} <= {200, 304}
    assert all(response.url.startswith(url) for response in asked)


def test_a_long_name_of_an_index_is_whole_above_its_badge(page: Page, url: str, folder: Path) -> None:
    names = (IndexName(UserName("emilie"), "dev"), IndexName(UserName("emilie-of-the-team"), "packages"))
    cards = tuple(IndexCard(name, "stage", "", volatile=False, projects=1) for name in names)
    put(
        folder,
        "cards/",
        people.landing(LandingView("Cards", (("emilie", "", cards),))).replace(b"./+site", b"../+site"),
    )
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{url}cards/")
    short, long = (
        [box for part in ("h3", ".badge") if (box := card.locator(part).bounding_box()) is not None]
        for card in page.locator(".card").all()
    )
    assert short[0]["y"] + short[0]["height"] > short[1]["y"], "a badge is beside a short name"
    assert long[0]["y"] + long[0]["height"] <= long[1]["y"]
    assert long[0]["height"] == short[0]["height"], "no line is broken where there is room for it"


def test_projects_are_found_by_what_is_typed(page: Page, url: str, many: str) -> None:
    page.goto(url + many)
    page.keyboard.press("/")
    search = page.get_by_role("searchbox", name="Find a project")
    expect(search).to_be_focused()
    search.fill("JSON_tool 0000")
    rows = page.locator("#projects tbody tr:visible")
    expect(rows).to_have_text([re.compile("json-tool-00009")])
    expect(page.get_by_role("status")).to_contain_text([f"1 of {MANY:,}"])
    expect(page.get_by_role("navigation", name="Projects by letter")).to_be_hidden()
    assert page.locator("#projects tbody:visible").count() == 1
    search.press("Escape")
    expect(rows).to_have_count(MANY)
    expect(page.get_by_role("navigation", name="Projects by letter")).to_be_visible()
    search.fill("no such thing")
    expect(rows).to_have_count(0)


def test_enter_opens_what_was_found(page: Page, url: str) -> None:
    page.goto(f"{url}emilie/prod/")
    search = page.get_by_role("searchbox")
    search.fill("t")
    search.press("Enter")
    expect(page).to_have_url(f"{url}emilie/prod/")
    search.fill("slug")
    search.press("Enter")
    expect(page).to_have_url(f"{url}emilie/prod/project/slug-tools/")


def test_indexes_are_found_by_any_word_of_theirs(page: Page, url: str) -> None:
    page.goto(url)
    search = page.get_by_role("searchbox", name="Find an index")
    for words, found in (("team runs", ["bob/team", "emilie/prod"]), ("mirror", ["bob/curated", "root/pypi"])):
        search.fill(words)
        expect(page.locator(".card:visible h3")).to_have_text(found)
    expect(page.locator("section:visible h2")).to_have_text(["bob", "root"])


def test_without_script_all_is_there_and_letters_lead_to_projects(opened: Open, url: str, many: str) -> None:
    page = opened(java_script_enabled=False).new_page()
    page.goto(url + many)
    assert page.get_by_role("searchbox").count() == 0
    assert page.get_by_role("button").count() == 0
    assert page.locator("#projects tbody tr").count() == MANY
    letters = page.get_by_role("navigation", name="Projects by letter").get_by_role("link")
    assert letters.all_text_contents() == ["0–9", *"ABCDEFGHJLY"]  # noqa: RUF001 - from 0 to 9
    letters.get_by_text("J").click()
    expect(page.get_by_role("link", name="json-tool-00009")).to_be_in_viewport()
    page.get_by_role("radio", name="uv").check()
    expect(page.locator(".lines:visible")).to_contain_text("[[tool.uv.index]]")


def test_lines_are_copied(page: Page, url: str) -> None:
    page.goto(f"{url}emilie/prod/project/slug-tools/")
    page.get_by_role("button", name="Copy the lines for pip").click()
    expect(page.locator(".copy", has_text="Copied")).to_have_count(1)
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "pip install --index-url https://packages.example.org/emilie/prod/simple/ slug-tools"
    expect(page.get_by_role("status").get_by_text("Copied the lines for pip")).to_have_count(1)
    hash_ = page.locator("code[data-copy]").first
    hash_.locator("xpath=following-sibling::button").click()
    page.wait_for_function("document.querySelector('code[data-copy] + .copy').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == hash_.text_content()
    expect(page.locator(".copy", has_text="Copied")).to_have_count(0)


def test_lines_are_copied_where_there_is_no_clipboard_to_write_to(page: Page, url: str) -> None:
    page.goto(f"{url.replace('127.0.0.1', UNSAFE)}emilie/prod/")
    assert page.evaluate("navigator.clipboard === undefined")
    page.get_by_role("button", name="Copy the lines for pip").last.click()
    expect(page.locator(".copy", has_text="Copied")).to_have_count(1)
    page.goto(url)
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "[global]\nindex-url = https://packages.example.org/emilie/prod/simple/"


def test_the_tool_that_was_chosen_is_shown_on_the_next_page(page: Page, url: str) -> None:
    page.goto(f"{url}emilie/prod/")
    expect(page.locator(".lines:visible")).to_contain_text("pip install")
    page.get_by_role("radio", name="pip").focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".lines:visible")).to_contain_text("[[tool.poetry.source]]")
    page.goto(f"{url}emilie/dev/project/unit-convert/")
    expect(page.get_by_role("radio", name="poetry")).to_be_checked()
    expect(page.locator(".lines:visible")).to_contain_text("poetry add unit-convert")


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))


def test_the_theme_follows_the_system_until_one_is_chosen_and_is_there_before_anything_is_drawn(
    opened: Open, url: str
) -> None:
    context = opened(color_scheme="light")
    context.add_init_script(
        "new MutationObserver(() => { if (document.body && !window.first) "
        "window.first = document.documentElement.dataset.theme; })"
        ".observe(document, { childList: true, subtree: true });"
    )
    page = context.new_page()
    page.goto(url)
    light = background(page)
    page.emulate_media(color_scheme="dark")
    dark = background(page)
    assert light != dark
    button = page.get_by_role("button", name="Theme")
    for name, wanted in (("light", light), ("dark", dark)):
        button.click()
        expect(button).to_have_accessible_name(f"Theme: {name}")
        assert background(page) == wanted
    page.emulate_media(color_scheme="light")
    page.goto(f"{url}emilie/prod/")
    assert background(page) == dark
    assert page.evaluate("window.first") == "dark"
    page.get_by_role("button", name="Theme").click()
    assert background(page) == light


@pytest.mark.parametrize("width", [320, 390, 768])
def test_no_page_is_wider_than_the_screen(opened: Open, folder: Path, url: str, many: str, width: int) -> None:
    page = opened(viewport={"width": width, "height": 700}).new_page()
    for path in [*pages_of(folder), many]:
        page.goto(url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_the_keyboard_reaches_the_content_first(page: Page, url: str) -> None:
    page.goto(f"{url}emilie/prod/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{url}emilie/prod/#content")


def test_an_index_of_ten_thousand_projects_stays_usable(
    page: Page, url: str, many: str, record_property: Record
) -> None:
    page.goto(url + many)
    # Until the script has run, and until a letter that was typed is answered and drawn.
    ready = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    typed = page.evaluate(
        """async () => {
            const input = document.querySelector("input[type=search]");
            const times = [];
            for (const text of ["j", "js", "jso", "json", "json-tool-1", "", "z"]) {
                const start = performance.now();
                input.value = text;
                input.dispatchEvent(new Event("input", { bubbles: true }));
                await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
                times.push(performance.now() - start);
            }
            return times;
        }"""
    )
    record_property("ready", ready)
    record_property("typed", typed)
    assert ready < 5000
    assert max(typed) < 1000


def test_a_project_of_two_thousand_files_stays_usable(
    page: Page, folder: Path, url: str, record_property: Record
) -> None:
    versions = tuple(f"1.{at}" for at in range(FILES // 4))
    files = tuple(
        a_file(f"demo-{version}-{tag}.whl", version, f"{at * 4 + number:064x}")
        for at, version in enumerate(versions)
        for number, tag in enumerate(("py3-none-any", "cp311-abi3-win32", "cp312-abi3-win32", "cp313-abi3-win32"))
    )
    view = replace(PROJECT, page=ProjectPage(PROJECT.page.name, versions, files), latest=versions[-1])
    path = put(folder, "many/projects/project/demo/", project(view))
    page.goto(url + path)
    ready = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    record_property("ready", ready)
    assert page.locator("code[data-copy]").count() == FILES
    assert ready < 5000
