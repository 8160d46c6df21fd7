"""Devpi's client asks the same of our server and of devpi's own: both do the same, but for what is listed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.devpi.client import Ran
from tests.devpi.comparing import OURS, THEIRS, essence, keys_of, without_places
from tests.devpi.conftest import Door, content, our_door, their_door
from tests.devpi.script import STEPS, Step, write
from tests.peers.serving import get
from tests.repositories import make_repository

pytestmark = pytest.mark.peers


RAW = (
    ("GET", "/nobody", None),
    ("GET", "/emilie/nothing", None),
    ("GET", "/emilie/nothing/pkg", None),
    ("GET", "/emilie/dev/nothing", None),
    ("GET", "/emilie/prod/pkg/77", None),
    ("GET", "/emilie/nothing/+api", None),
    ("POST", "/+login", {"user": "emilie"}),
    ("POST", "/+login", b"no json"),
    ("POST", "/+login", {"user": "emilie", "password": "wrong"}),
)
"""Requests whose refusal is the same to the letter, or begins with theirs."""


class Outcome(NamedTuple):
    """What a command did at either server."""

    theirs: Ran
    ours: Ran


class Compared(NamedTuple):
    """What both servers did."""

    steps: list[tuple[Step, Outcome]]
    raw: dict[tuple[str, str, str], list[tuple[int, str, str | None]]]
    """Status, message and version of the protocol, theirs and ours."""


@pytest.fixture(scope="module")
def home() -> Iterator[None]:
    """Say who commits, where no test has a home yet."""
    with pytest.MonkeyPatch.context() as patch:
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "Emilie")
            patch.setenv(f"GIT_{who}_EMAIL", "emilie@example.org")
        yield


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, upstream: str, home: None) -> Compared:
    """Run the whole script at both servers."""
    del home
    base = tmp_path_factory.mktemp("devpi")
    write(base / "dist")
    tools = str(Path(sys.executable).parent)  # tox is there
    with ExitStack() as stack:
        repository = make_repository(base / "ours" / "packages", content())
        targets = [str(base / name) for name in ("target-of-theirs", "target-of-ours")]
        theirs = stack.enter_context(their_door(base / "theirs", PIP_TARGET=targets[0], TOOLS=tools))
        ours = stack.enter_context(
            our_door(base / "ours", repository, "--public", "*", PIP_TARGET=targets[1], TOOLS=tools)
        )
        doors = theirs, ours.door

        def run(step: Step) -> Outcome:
            return Outcome(*(_run(step, door, base, upstream, to) for door, to in zip(doors, targets, strict=True)))

        steps = [(step, run(step)) for step in STEPS]
        raw = {
            (method, path, str(body)): [_asked(door.client.url, method, path, body) for door in doors]
            for method, path, body in RAW
        }
        return Compared(steps, raw)


@pytest.fixture
def outcomes(compared: Compared) -> list[tuple[Step, Outcome]]:
    """What became of each step of the script."""
    return compared.steps


def _asked(url: str, method: str, path: str, body: Any) -> tuple[int, str, str | None]:
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    got = get(f"{url}{path}", method, body=data, Accept="application/json", Content_Type="application/json")
    assert got.headers["content-type"] == "application/json"
    return got.status, json.loads(got.body)["message"], got.headers.get("x-devpi-api-version")


def _run(step: Step, door: Door, base: Path, upstream: str, target: str) -> Ran:
    command = step.command.replace("DIST/", f"{base / 'dist'}/").replace("UPSTREAM", upstream)
    for user, password in door.passwords.items():
        command = command.replace(f"PW:{user}", password)
    ran = door.client(command)
    assert "Traceback" not in ran.output, f"{step.command}\n{ran.output}"
    places: dict[str, Path | str] = {
        "DIST": base / "dist",
        "HOME": door.client.folder,
        "TARGET": target,
        "UPSTREAM": upstream,
    }
    return without_places(ran, door.client.url, places)


def test_outcomes_are_the_same_where_nothing_else_is_listed(outcomes: list[tuple[Step, Outcome]]) -> None:
    for step, outcome in outcomes:
        if not step.differs:
            assert essence(outcome.ours) == essence(outcome.theirs), f"{step.command}\n{outcome.ours.output}"


def test_refusals_of_what_is_not_there_are_devpis_to_the_letter(compared: Compared) -> None:
    for request, (theirs, ours) in compared.raw.items():
        assert (ours[0], ours[2]) == (theirs[0], theirs[2]), request
        assert ours[1].startswith(theirs[1]), request


def test_what_is_listed_as_different_is_different(outcomes: list[tuple[Step, Outcome]]) -> None:
    same = [step.command for step, found in outcomes if step.differs and essence(found.ours) == essence(found.theirs)]
    assert same == []


def test_keys_that_differ_everywhere_are_those_that_are_listed(outcomes: list[tuple[Step, Outcome]]) -> None:
    theirs, ours = set(), set()
    for _, outcome in outcomes:
        one, other = keys_of(outcome.theirs), keys_of(outcome.ours)
        theirs |= one - other
        ours |= other - one
    assert set(OURS) <= ours
    assert set(THEIRS) - {"who"} <= theirs
    told = [outcome for _, outcome in outcomes if '"who"' in outcome.theirs.output]
    assert told
    assert all('"who": null' in outcome.ours.output for outcome in told)


def test_every_refusal_of_ours_says_why(outcomes: list[tuple[Step, Outcome]]) -> None:
    for step, outcome in outcomes:
        refused = [line for line in outcome.ours.output.splitlines() if line[:2] in {"40", "50"}]
        assert not any(line.startswith("5") for line in refused), step.command
        for line in refused:
            assert ": " in line or " FAIL " in line, (step.command, line)


def test_where_our_rules_win_the_rule_is_named(outcomes: list[tuple[Step, Outcome]]) -> None:
    named = [(step, outcome) for step, outcome in outcomes if "(GI" in step.differs]
    assert len(named) == 10
    for step, outcome in named:
        code = step.differs.partition("(")[2][:5]
        assert outcome.ours.code == 1
        assert f"{code} " in outcome.ours.output, (step.command, outcome.ours.output)
        assert outcome.theirs.code == 0
