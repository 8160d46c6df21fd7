"""The documentation does what it says: the commands of each page are run as they stand there, by `tests/pages.py`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.builders import make_sdist
from tests.pages import DOCS, GENERATED, ROOT, Terminal, matches, pages, read_page, steps_of
from tests.peers.server import SiteServer
from tests.peers.tools import Tools, done, upload, wheel
from tests.publishing.stores import running_s3

WRITTEN = [page for page in pages() if page not in GENERATED]


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a simple index that stands for PyPI, with some versions of what pages bring from there."""
    folder = tmp_path_factory.mktemp("upstream")
    tools = Tools(folder)
    repository = folder / "packages"
    done(tools.run(sys.executable, "-m", "gitindex", "init", repository, "--user", "world"))
    files = [
        wheel("idna", "3.7"),
        wheel("requests", "2.31.0"),
        wheel("requests", "2.32.0", requires=["idna"]),
        wheel("django", "5.2"),
        wheel("numpy", "2.3.5"),
        make_sdist("numpy", "2.3.5"),
        wheel("flask", "3.1.1", requires=["werkzeug>=3.1"]),
        wheel("werkzeug", "3.1.3"),
    ]
    done(upload(tools, repository, "world/dev", files))
    done(tools.gitindex(repository, "render", "--out", folder / "site"))
    with SiteServer(folder / "site") as server:
        yield f"{server.url}/world/dev/simple/"


@pytest.fixture(scope="module")
def s3() -> Iterator[Mapping[str, str]]:
    """What leads to an S3 with the bucket of the page, in the environment."""
    with running_s3() as server:
        server.make_bucket("bucket")
        yield server.environment()


@pytest.fixture
def services(page: str, upstream: str, request: pytest.FixtureRequest) -> Mapping[str, str]:
    """The environment of a page: where the servers and files are that it takes for granted."""
    more: Mapping[str, str] = {}
    if page == "how-to/publish.md":
        more = request.getfixturevalue("s3")
    elif page == "tutorial.md":
        more = {"WHEELS": str(request.getfixturevalue("wheels"))}
    return {"UPSTREAM": upstream, **more}


def run_page(text: str, folder: Path, services: Mapping[str, str]) -> None:
    tools = Tools(folder).with_environment(
        VIRTUAL_ENV=sys.prefix,
        NO_COLOR="1",
        COLUMNS="120",
        PYTHONUNBUFFERED="1",  # what goes to the two outputs comes in the order in which a terminal shows it
        CODE=str(ROOT),
        **services,
    )
    with Terminal(folder, tools.environment_of_commands()) as terminal:
        for step in read_page(text).steps:
            terminal.run(step)


@pytest.mark.peers
@pytest.mark.parametrize("page", [page for page in WRITTEN if read_page(text_of(page)).steps])
def test_commands_of_a_page_run_as_they_stand_there(page: str, tmp_path: Path, services: Mapping[str, str]) -> None:
    run_page(text_of(page), tmp_path, services)


@pytest.mark.parametrize("page", WRITTEN)
def test_a_test_that_is_said_to_run_a_block_takes_it_from_the_page(page: str) -> None:
    for test, _ in read_page(text_of(page)).elsewhere:
        taken = re.findall(r"scripts_run_by\(([^()]*)\)", (ROOT / test).read_text(encoding="utf-8"))
        assert any(f'"{page}"' in words and (f'"{test}"' in words or "TEST," in words) for words in taken), test


@pytest.mark.parametrize("page", WRITTEN)
def test_every_block_has_a_language_and_commands_are_in_blocks_that_are_run(page: str) -> None:
    for language, block in read_page(text_of(page)).blocks:
        assert language, f"a block without a language: {block.splitlines()[0]}"
        if language not in ("console", "sh", "yaml"):
            assert not re.search(r"^(\$ |gitindex [a-z]|(?:uv )?pip |git [a-z])", block, re.MULTILINE), block


@pytest.mark.parametrize("page", GENERATED)
def test_a_page_that_a_program_writes_shows_no_commands_to_run(page: str) -> None:
    blocks = read_page(text_of(page)).blocks
    assert {language for language, _ in blocks} <= {"diff", "json", "text", "toml"}
    assert not [block for _, block in blocks if re.search(r"^\$ ", block, re.MULTILINE)]


def test_a_page_that_lies_is_found_out(tmp_path: Path) -> None:
    for lie, told in {
        "```console\n$ false\n```\n": "exit code 1",
        "```console\n$ echo one\ntwo\n```\n": "is not what the page shows",
        "```console\n$ echo gitindex: refused\ngitindex: refused\n```\n": "exit code 0",
        "```sh\nfalse\ntrue\n```\n": "exit code 1",
        "<!-- run first\nfalse\ntrue\n-->\n": "exit code 1",
        "<!-- run after\nfalse\n-->\n": "exit code 1",
        "<!-- run beside -->\n```console\n$ true\n```\n": "has ended",
        "```console\n$ echo 'Traceback (most recent call last)'\n```\n": "Traceback",
    }.items():
        with pytest.raises(AssertionError, match=told):
            run_page(lie, tmp_path, {})


def test_steps_of_a_page_share_their_folder_and_what_is_exported(tmp_path: Path) -> None:
    run_page(
        "<!-- run first\nmkdir a\nexport WORD=here\n-->\n```console\n$ cd a\n$ echo $WORD\nhere\n$ pwd\n…/a\n```\n"
        "```sh\ncd ..\nWORD=there\n```\n```console\n$ echo $WORD $(ls)\nthere a\n```\n",
        tmp_path,
        {},
    )


def test_blocks_of_commands_are_read() -> None:
    block = "$ cat <<'E'\none\nE\none\n$ echo \\\n  two\ntwo\n$ true\n"
    assert [(step.command, step.shown) for step in steps_of(block)] == [
        ("cat <<'E'\none\nE", "one\n"),
        ("echo \\\n  two", "two\n"),
        ("true", ""),
    ]
    with pytest.raises(ValueError, match="no command"):
        list(steps_of("words\n"))
    for text in ("<!-- run beside -->\n", "<!-- run by tests/x: x -->\n```text\n```\n", "<!-- run beside -->\n" * 2):
        with pytest.raises(ValueError, match=r"marker|block"):
            read_page(text)
    page = read_page("<!-- run by tests/x.py: it needs a key -->\n```console\n$ x\ny\n$ z\n```\n")
    assert page.elsewhere == [("tests/x.py", "x\nz\n")]
    assert page.steps == []


def test_output_is_compared() -> None:
    assert matches("a … c\n…\nend\n", "a b c\nx\ny\nend\n")
    assert matches("a\n", "a  ")
    assert not matches("a …\n", "b c\n")
    assert not matches("a\n", "a\nb\n")
    assert not matches("a.c\n", "abc\n")
