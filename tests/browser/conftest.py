"""Chromium, as it is installed, and the site of the example repository on the loopback interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Request, sync_playwright

from tests.peers.server import SiteServer
from tests.sites import example_site, program

_QUIET = ("--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")
UNSAFE = "elsewhere.example.org"
"""A name for this machine that is no secure origin."""

Open = Callable[..., BrowserContext]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site of the example repository; tests may put more pages into it."""
    return example_site(tmp_path_factory.mktemp("example") / "site")


@pytest.fixture(scope="session")
def url(folder: Path) -> Iterator[str]:
    """Return where that site is served, with a slash at the end."""
    with SiteServer(folder) as server:
        yield f"{server.url}/"


@pytest.fixture(scope="package")
def _playwright() -> Iterator[Playwright]:
    # As long as it is there, its event loop counts as running, and no other test could run one of its own.
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def browser(_playwright: Playwright) -> Iterator[Browser]:
    """Return Chromium with a profile of its own."""
    path = program("chromium", "apt install chromium")
    rules = f"--host-resolver-rules=MAP {UNSAFE} 127.0.0.1"
    browser = _playwright.chromium.launch(
        executable_path=path, headless=True, args=["--no-sandbox", *_QUIET, rules], timeout=60_000
    )
    yield browser
    browser.close()


def _note_failure(request: Request, errors: list[str]) -> None:
    # What a page still loads when it is left is given up.
    if request.failure != "net::ERR_ABORTED":
        errors.append(f"{request.url}: {request.failure}")


@pytest.fixture
def errors() -> list[str]:
    """Return what pages complained of; the test fails where that is anything."""
    return []


@pytest.fixture
def opened(browser: Browser, errors: list[str]) -> Iterator[Open]:
    """Return a function that opens a profile; no page in it may complain of anything."""
    contexts: list[BrowserContext] = []

    def open_(**settings: object) -> BrowserContext:
        context = browser.new_context(**settings)  # type: ignore[arg-type]
        context.set_default_timeout(20_000)
        context.on("console", lambda message: errors.append(f"{message.page and message.page.url}: {message.text}"))
        context.on("weberror", lambda error: errors.append(str(error.error)))
        context.on("requestfailed", lambda request: _note_failure(request, errors))
        contexts.append(context)
        return context

    yield open_
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def page(opened: Open) -> Page:
    """Return a page in a profile of its own."""
    return opened(permissions=["clipboard-read", "clipboard-write"]).new_page()
