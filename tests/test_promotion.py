"""Pushes: several at once, with what they require, by who may, and not without tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gitindex.closure import matters
from tests.builders import make_wheel
from tests.conftest import Run
from tests.repositories import Content, files_below, make_repository, small_content


def requiring(*lines: str, extras: tuple[str, ...] = ()) -> str:
    return "".join(
        [*(f"Provides-Extra: {extra}\n" for extra in extras), *(f"Requires-Dist: {line}\n" for line in lines)]
    )


def stocked(*releases: tuple[str, str, tuple[str, ...]], target: str = "emilie/prod", **settings: Any) -> Content:
    """Return an index with releases in emilie/dev, each with what it requires; the target has no base."""
    content = small_content(**settings)
    content.stage("emilie/dev", volatile=True)
    content.stage(target, volatile=False)
    for name, version, required in releases:
        content.release("emilie/dev", name, version, extra=requiring(*required))
    return content


class Shop:
    """A repository in which things are pushed."""

    def __init__(self, path: Path, run: Run, content: Content) -> None:
        self.repository = make_repository(path / "packages", content)
        self._run = run

    def run(self, *words: str) -> Any:
        return self._run("-C", self.repository.root, *words)

    def push(self, *words: str, to: str = "emilie/prod") -> Mapping[str, Any]:
        """Push from emilie/dev, and return what the command says; it must be done."""
        result = self.run("push", *words, "emilie/dev", to, "--json")
        assert result.code == 0, result
        return dict(json.loads(result.out))

    def taken(self, *words: str, to: str = "emilie/prod") -> dict[str, list[str]]:
        """Push with what is required, and return what was taken along, and why."""
        releases = self.push(*words, "--with-dependencies", to=to)["releases"]
        return {f"{each['project']} {each['version']}": each["because"] for each in releases if each["because"]}

    def refused(self, *words: str, to: str = "emilie/prod", code: int = 1) -> str:
        """Push what is refused, and return what is said; nothing may be written."""
        before = files_below(self.repository.root)
        result = self.run("push", *words, "emilie/dev", to)
        assert (result.code, result.out) == (code, ""), result
        assert files_below(self.repository.root) == before
        return str(result.err)

    def has(self, index: str = "emilie/prod") -> set[str]:
        folder = self.repository.root / "indexes" / index
        return {f"{path.parent.name} {path.stem}" for path in folder.glob("*/*.json")}


@pytest.fixture
def open_shop(tmp_path: Path, run: Run) -> Any:
    return lambda content: Shop(tmp_path, run, content)


def test_several_releases_are_pushed_in_one_change(open_shop: Any) -> None:
    shop = open_shop(stocked(("one", "1.0", ()), ("two", "2.0", ()), ("two", "2.1", ())))
    said = shop.push("one==1.0", "two==2.0", "--commit")
    assert said["done"] == [
        "Push one 1.0 from emilie/dev to emilie/prod",
        "Push two 2.0 from emilie/dev to emilie/prod",
    ]
    assert shop.repository.git("log", "-1", "--format=%s") == f"{said['done'][0]} and 1 more"
    assert shop.has() == {"one 1.0", "two 2.0"}


def test_all_or_nothing_is_pushed(open_shop: Any) -> None:
    shop = open_shop(stocked(("one", "1.0", ())))
    assert "emilie/dev itself has no project two" in shop.refused("one==1.0", "two==2.0")


@pytest.mark.parametrize(
    ("versions", "newest"),
    [(("1.9", "1.10", "2.0rc1"), "1.10"), (("1.0a1", "1.0a2"), "1.0a2"), (("1.0", "1.1"), "1.0")],
)
def test_a_project_alone_means_its_newest_sound_release(open_shop: Any, versions: tuple[str, ...], newest: str) -> None:
    content = stocked(*(("one", version, ()) for version in versions))
    content.statements("emilie/dev", "one", yanked={"1.1": "broken"})
    shop = open_shop(content)
    assert shop.push("One")["done"] == [f"Push one {newest} from emilie/dev to emilie/prod"]


def test_a_project_of_which_all_is_yanked_has_no_newest(open_shop: Any) -> None:
    content = stocked(("one", "1.0", ()))
    content.statements("emilie/dev", "one", yanked={"1.0": ""})
    assert "no release of one that is not yanked" in open_shop(content).refused("one")


def test_what_is_quarantined_is_not_promoted(open_shop: Any) -> None:
    content = stocked(("one", "1.0", ()))
    content.statements("emilie/dev", "one", status="quarantined")
    assert "one is quarantined in emilie/dev" in open_shop(content).refused("one==1.0", code=2)


# What is required


def test_what_is_required_goes_along_and_is_told(open_shop: Any) -> None:
    shop = open_shop(
        stocked(
            ("app", "1.0", ("Lib>=1", "tool")),
            ("lib", "1.0", ("deep~=1.0",)),
            ("lib", "1.2", ("deep~=1.0",)),
            ("tool", "3.0", ("deep",)),
            ("deep", "1.5", ()),
            ("deep", "2.0", ()),
            ("unrelated", "1.0", ()),
        )
    )
    said = shop.push("app==1.0", "--with-dependencies")
    assert said["done"] == [
        "Push app 1.0 from emilie/dev to emilie/prod",
        "Push deep 1.5 from emilie/dev to emilie/prod (lib 1.2, tool 3.0 requires it)",
        "Push lib 1.2 from emilie/dev to emilie/prod (app 1.0 requires it)",
        "Push tool 3.0 from emilie/dev to emilie/prod (app 1.0 requires it)",
    ]
    assert shop.has() == {"app 1.0", "deep 1.5", "lib 1.2", "tool 3.0"}


def test_without_the_option_nothing_goes_along(open_shop: Any) -> None:
    shop = open_shop(stocked(("app", "1.0", ("lib",)), ("lib", "1.0", ())))
    shop.push("app")
    assert shop.has() == {"app 1.0"}


def test_the_newest_gives_way_where_its_own_requirements_conflict(open_shop: Any) -> None:
    shop = open_shop(
        stocked(
            ("app", "1.0", ("lib", "base<2")),
            ("lib", "2.0", ("base>=2",)),
            ("lib", "1.0", ("base>=1",)),
            ("base", "1.0", ()),
            ("base", "2.0", ()),
        )
    )
    assert set(shop.taken("app")) == {"lib 1.0", "base 1.0"}


def test_what_the_target_shows_stays_and_what_that_requires_is_taken(open_shop: Any) -> None:
    content = stocked(("app", "1.0", ("lib",)), ("lib", "2.0", ()), ("deep", "1.0", ()), target="emilie/top")
    content.stage("emilie/top", bases=["emilie/prod"])
    content.release("emilie/prod", "lib", "1.0", extra=requiring("deep"))
    shop = open_shop(content)
    assert shop.taken("app", to="emilie/top") == {"deep 1.0": ["lib 1.0"]}
    assert shop.has("emilie/top") == {"app 1.0", "deep 1.0"}


def test_what_the_target_shows_and_does_not_fit_is_taken(open_shop: Any) -> None:
    content = stocked(("app", "1.0", ("lib>=2",)), ("lib", "2.0", ()))
    content.release("emilie/prod", "lib", "1.0")
    assert set(open_shop(content).taken("app")) == {"lib 2.0"}


def test_a_yanked_release_of_the_target_does_not_fit(open_shop: Any) -> None:
    content = stocked(("app", "1.0", ("lib",)), ("lib", "0.9", ()))
    content.release("emilie/prod", "lib", "1.0")
    content.statements("emilie/prod", "lib", yanked={"1.0": "broken"})
    assert set(open_shop(content).taken("app")) == {"lib 0.9"}


def test_yanked_releases_and_pre_releases_are_not_taken_unless_they_are_wanted(open_shop: Any) -> None:
    content = stocked(
        ("app", "1.0", ("lib", "pre>=2.0rc1", "only")),
        *(("lib", version, ()) for version in ("1.0", "1.1", "2.0rc1")),
        ("pre", "2.0rc1", ()),
        ("only", "1.0b1", ()),
    )
    content.statements("emilie/dev", "lib", yanked={"1.1": "broken"})
    assert set(open_shop(content).taken("app")) == {"lib 1.0", "pre 2.0rc1", "only 1.0b1"}


@pytest.mark.parametrize(("asked", "taken"), [("app", {"plain 1.0"}), ("app[Fa_st]", {"plain 1.0", "speed 1.0"})])
def test_what_an_extra_requires_is_taken_where_it_is_asked_for(open_shop: Any, asked: str, taken: set[str]) -> None:
    content = stocked(("plain", "1.0", ()), ("speed", "1.0", ()))
    content.release(
        "emilie/dev",
        "app",
        "1.0",
        extra=requiring(
            'speed; extra == "fa-st" and python_version < "3"', 'plain; sys_platform == "win32"', extras=("fa-st",)
        ),
    )
    assert set(open_shop(content).taken(f"{asked}==1.0")) == taken


def test_extras_of_what_is_required_count(open_shop: Any) -> None:
    content = stocked(("app", "1.0", ("lib[fast]<2",)), ("tool", "1.0", ("lib",)), ("speed", "1.0", ()))
    for version in ("1.0", "2.0"):
        content.release("emilie/dev", "lib", version, extra=requiring('speed; extra == "fast"', extras=("fast",)))
    assert open_shop(content).taken("app") == {"lib 1.0": ["app 1.0"], "speed 1.0": ["lib 1.0"]}


def test_a_circle_comes_to_an_end(open_shop: Any) -> None:
    shop = open_shop(stocked(("app", "1.0", ("lib",)), ("lib", "1.0", ("app>=1",))))
    assert set(shop.taken("app==1.0")) == {"lib 1.0"}


def test_what_only_an_sdist_says_is_read(open_shop: Any) -> None:
    content = stocked(("lib", "1.0", ()))
    content.release("emilie/dev", "app", "1.0", kind="sdist", extra=requiring("lib"))
    assert set(open_shop(content).taken("app")) == {"lib 1.0"}


def test_an_sdist_that_is_to_be_built_first_is_refused(open_shop: Any) -> None:
    content = stocked(("lib", "1.0", ()))
    content.release("emilie/dev", "app", "1.0", kind="sdist", extra="Dynamic: Requires-Dist\n")
    assert "says what it requires only when it is built" in open_shop(content).refused(
        "app", "--with-dependencies", code=3
    )


def test_metadata_that_is_not_here_is_said_and_nothing_is_pushed(open_shop: Any) -> None:
    content = stocked()
    url = "https://files.example.org/app/"
    entry = {"filename": "app-1.0-py3-none-any.whl", "hashes": {"sha256": "0" * 64}, "size": 1}
    content.add_file("emilie/dev", "app", "1.0", entry | {"url": f"{url}app-1.0-py3-none-any.whl"})
    content.statements("emilie/dev", "app", sources=[url])
    shop = open_shop(content)
    assert "hosted elsewhere, and what it requires is not known here" in shop.refused(
        "app", "--with-dependencies", code=3
    )


def test_a_mirror_behind_the_target_may_have_what_is_required(open_shop: Any) -> None:
    content = stocked(("app", "1.0", ("numbers>=2",)))
    content.stage("emilie/prod", volatile=False, bases=["root/pypi"])
    assert open_shop(content).taken("app") == {}


@pytest.mark.parametrize("bases", [["root/pypi"], []])
def test_what_nobody_can_have_is_said_with_who_wants_it(open_shop: Any, bases: list[str]) -> None:
    names = {"reserved": ["acme-*"]} if bases else {}
    content = stocked(("app", "1.0", ("lib",)), ("lib", "1.0", ("acme-core>=2",)), names=names)
    content.stage("emilie/prod", volatile=False, bases=bases)
    said = open_shop(content).refused("app", "--with-dependencies")
    assert "lib 1.0 requires acme-core>=2: emilie/dev itself has no acme-core, and no mirror behind the" in said


def test_what_is_inherited_is_said_to_be_pushed_from_where_it_is(open_shop: Any) -> None:
    content = stocked(("app", "1.0", ("lib",)), target="emilie/other")
    content.stage("emilie/dev", bases=["emilie/prod"]).release("emilie/prod", "lib", "1.0")
    said = open_shop(content).refused("app", "--with-dependencies", to="emilie/other")
    assert "gitindex push lib emilie/prod emilie/other" in said


def test_versions_that_are_there_are_said_where_none_fits(open_shop: Any) -> None:
    shop = open_shop(stocked(("app", "1.0", ("lib>=3",)), ("lib", "1.0", ()), ("lib", "2.0", ())))
    assert "app 1.0 requires lib>=3: there is only 2.0, 1.0" in shop.refused("app", "--with-dependencies")


def test_a_conflict_names_both_who_want_it(open_shop: Any) -> None:
    shop = open_shop(
        stocked(
            ("app", "1.0", ("lib", "tool")),
            ("lib", "1.0", ("base<2",)),
            ("tool", "1.0", ("base>=2",)),
            ("base", "1.0", ()),
            ("base", "2.0", ()),
        )
    )
    said = shop.refused("app", "--with-dependencies")
    assert "lib 1.0 requires base<2, and tool 1.0 requires base>=2: no version fits" in said


def test_two_releases_that_do_not_go_together_are_pushed_each_with_its_own(open_shop: Any) -> None:
    shop = open_shop(
        stocked(("one", "1.0", ("base<2",)), ("two", "1.0", ("base>=2",)), ("base", "1.0", ()), ("base", "2.0", ()))
    )
    assert set(shop.taken("one", "two")) == {"base 1.0", "base 2.0"}


def test_requirement_that_is_none_is_refused(open_shop: Any) -> None:
    content = stocked(("app", "1.0", ("lib ==",)))
    assert "app 1.0 requires 'lib ==', which is no requirement" in open_shop(content).refused(
        "app", "--with-dependencies", code=3
    )


@pytest.mark.parametrize(
    ("marker", "plain", "with_extra"),
    [
        ("", True, True),
        ('python_version < "3"', True, True),
        ('extra == "fast"', False, True),
        ('"fast" == extra', False, True),
        ('extra == "slow" or extra == "fast"', False, True),
        ('extra == "fast" and extra == "slow"', False, False),
        ('extra == "slow" or python_version < "3"', True, True),
        ('platform_machine == "extra"', True, True),
        ('platform_machine == "extra" and extra == "fast"', False, True),
        ('platform_release not in "a b" and extra == "slow"', False, False),
    ],
)
def test_markers_count_as_true_but_for_extras(marker: str, *, plain: bool, with_extra: bool) -> None:
    assert (matters(marker, []), matters(marker, ["fast"])) == (plain, with_extra)


@pytest.mark.parametrize("extra", ["Fast_Er", "fast-er", "slow", "both"])
def test_an_extra_is_asked_for_as_the_release_writes_it(open_shop: Any, extra: str) -> None:
    lines = ('lib; extra == "fast.er"', 'lib; extra == "slow" or python_version < "3"', 'app[slow]; extra == "both"')
    shop = open_shop(stocked(("app", "1.0", lines), ("lib", "1.0", ())))
    assert set(shop.taken(f"app[{extra}]==1.0")) == {"lib 1.0"}


def test_an_extra_that_nothing_is_required_with_is_refused(open_shop: Any) -> None:
    lines = ('lib; extra == "fast"', 'lib; os_name == "fats"')
    shop = open_shop(stocked(("app", "1.0", lines), ("lib", "1.0", ())))
    said = shop.refused("app[fast,fats]==1.0", "--with-dependencies")
    assert "app 1.0 requires nothing with the extra fats" in said


# Who, and with what tests


def team() -> Content:
    content = stocked(("one", "1.0", ())).user("bob", email="bob@example.org")
    return content.stage("emilie/prod", volatile=False, acl_upload=["bob"])


def test_who_is_known_by_their_mail_has_to_have_the_right(open_shop: Any) -> None:
    assert "GI301 emilie may not release to emilie/prod" in open_shop(team()).refused("one")


@pytest.mark.parametrize(("actor", "code"), [("bob", 0), ("emilie", 1), ("github:nobody", 1), ("", 1)])
def test_who_is_named_has_to_have_the_right(open_shop: Any, actor: str, code: int) -> None:
    shop = open_shop(team())
    result = shop.run("push", "one", "emilie/dev", "emilie/prod", "--actor", actor)
    assert (result.code, "GI301" in result.err) == (code, bool(code))


def test_who_is_named_by_the_environment_has_to_have_the_right(open_shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = open_shop(team())
    monkeypatch.setenv("GITINDEX_ACTOR", "bob")
    shop.push("one")
    assert shop.has() == {"one 1.0"}


@pytest.mark.parametrize("mail", ["nobody@example.org", "shared@example.org", ""])
def test_nothing_is_claimed_of_somebody_unknown(open_shop: Any, mail: str) -> None:
    content = team()
    for name in ("carol", "dave"):
        content.user(name, email="shared@example.org")
    shop = open_shop(content)
    shop.repository.git("config", "user.email", mail)
    shop.push("one")


def test_a_right_that_the_working_tree_grants_is_none(open_shop: Any) -> None:
    shop = open_shop(team())
    shop.repository.write("indexes/emilie/prod/index.toml", 'volatile = false\nacl_upload = ["bob", "emilie"]\n')
    assert "GI301" in shop.refused("one")


def test_another_wrong_in_the_working_tree_hides_no_lack_of_right(open_shop: Any) -> None:
    shop = open_shop(stocked(("one", "1.0", ()), ("one", "2.0", ())).user("bob", email="bob@example.org"))
    shop.repository.publish()
    shop.push("one==1.0")
    result = shop.run("push", "one==2.0", "emilie/dev", "emilie/prod", "--actor", "bob")
    assert (result.code, "GI301 bob may not release" in result.err) == (1, True)


def passed(content: Content, name: str, version: str, **facts: Any) -> None:
    digest = content.entry("emilie/dev", name, version)["hashes"]["sha256"]
    run = {"environment": "py313", "outcome": "passed", "duration": 1, "time": "2026-11-22T08:00:00Z"}
    results = [run | {"files": [digest]} | facts]
    content[f"indexes/emilie/dev/{name}/{version}.tests.json"] = json.dumps(results).encode()


def test_what_is_taken_along_has_to_be_tested_as_well(open_shop: Any) -> None:
    content = stocked(("app", "1.0", ("lib",)), ("lib", "1.0", ()))
    content.stage("emilie/prod", volatile=False, require_tests=True)
    passed(content, "app", "1.0")
    shop = open_shop(content)
    said = shop.refused("app", "--with-dependencies")
    assert "GI305 lib-1.0-py3-none-any.whl has no test result, and emilie/prod requires tests" in said
    assert "GI305 app" not in said
    assert "push it from there" in said
    shop.push("app")
    assert shop.has() == {"app 1.0"}


def test_tests_in_the_environments_that_are_named(open_shop: Any) -> None:
    content = stocked(("app", "1.0", ()))
    content.stage("emilie/prod", volatile=False, require_tests=["py311", "py313"])
    passed(content, "app", "1.0")
    assert "has no passed test result in py311" in open_shop(content).refused("app")


def test_upload_straight_into_an_index_that_requires_tests_is_refused(open_shop: Any, tmp_path: Path) -> None:
    content = stocked()
    content.stage("emilie/prod", volatile=False, require_tests=True)
    shop = open_shop(content)
    filename, data = make_wheel("app", "1.0")
    (tmp_path / filename).write_bytes(data)
    result = shop.run("upload", str(tmp_path / filename), "--index", "emilie/prod")
    assert (result.code, "GI305" in result.err, "push it from there" in result.err) == (1, True, True)
    assert not shop.has()
