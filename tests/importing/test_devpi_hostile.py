"""A server that speaks as devpi does, and says what no devpi-server would, or what is not allowed here."""

from __future__ import annotations

import json
import threading
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests import hosts
from tests.builders import make_wheel
from tests.conftest import Result, Run
from tests.hosts import Host
from tests.importing.shown import digest, entry, released
from tests.importing.world import start
from tests.repositories import Content, IndexRepository, files_below, make_repository

WHEEL, OTHER, ODD = make_wheel("demo", "1.0"), make_wheel("other", "1.0"), make_wheel("odd", "1.0")


class Spoken:
    """What a server says, and says as devpi does."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.users: dict[str, Any] = {"emilie": {"email": "emilie@example.org", "indexes": {}}, "root": {"indexes": {}}}
        self.projects: dict[str, dict[str, dict[str, list[Any]]]] = {}

    def index(self, name: str, **options: Any) -> None:
        user, _, index = name.partition("/")
        self.users[user]["indexes"][index] = {"type": "stage", "volatile": True, "bases": [], **options}
        self.projects.setdefault(name, {})

    def file(self, index: str, project: str, file: tuple[str, bytes], **stated: Any) -> str:
        """List a file, of which the link says what is *stated* too, and return its path."""
        sha256 = digest(file[1])
        path = f"/{index}/+f/{sha256[:3]}/{sha256[3:16]}/{file[0]}"
        when = [2024, 3, 1, 12, 0, 0]
        link = {
            "rel": "releasefile",
            "href": f"http://devpi.example.org{path}",
            "hashes": {"sha256": sha256},
            "log": [{"what": "upload", "who": "emilie", "when": when, "dst": index}],
            **stated,
        }
        self.projects[index].setdefault(project, {}).setdefault("1.0", []).append(link)
        self.host.on(path, file[1])
        return path

    def say(self) -> str:
        """Let the server say it, and return its URL."""
        self.tell("/", "list:userconfig", self.users)
        for index, projects in self.projects.items():
            self.tell(f"/{index}", "indexconfig", {"projects": [*projects]})
            for name, versions in projects.items():
                data = {version: {"name": name, "+links": links} for version, links in versions.items()}
                self.tell(f"/{index}/{name}?ignore_bases=", "projectconfig", data)
        return self.host.url

    def tell(self, path: str, kind: Any, result: Any) -> None:
        self.host.on(path, json.dumps({"type": kind, "result": result}).encode())


@pytest.fixture
def spoken(host: Host) -> Spoken:
    return Spoken(host)


@pytest.fixture
def empty(tmp_path: Path) -> IndexRepository:
    return make_repository(tmp_path / "packages", Content().settings(groups={"team": []}))


def left(done: Result) -> dict[str, str]:
    """Return what is said of each thing that was not carried over."""
    listed = json.loads(done.out)["left"]
    return {" ".join(filter(None, (each["kind"], each["place"], each["what"]))): each["why"] for each in listed}


def import_(run: Run, repository: IndexRepository, url: str, *options: str) -> Result:
    return run("-C", repository.path, "import", "devpi", url, "--commit", "--json", *options)


def definition(repository: IndexRepository, name: str) -> dict[str, Any]:
    return tomllib.loads((repository.path / f"indexes/{name}/index.toml").read_text())


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"<html>", "is no JSON that can be read"),
        (b"[" * 100_000, "is no JSON that can be read"),
        (b'{"type": ' + b"[" * 500_000 + b"]" * 500_000 + b"}", "is no JSON that can be read"),
        (b"[]", "is not a JSON object"),
        (b'{"type": "indexconfig", "result": {}}', "give the URL of the server itself, and name indexes with --index"),
        (
            b'{"type": "list:userconfig", "result": []}',
            "whose result is no JSON object",
        ),
        (b"[" + b"0," * 9_000_000 + b"0]", "has more than 8,000,000 values"),
        (hosts.status(403), "access is refused"),
        (hosts.status(404), "answers 404"),
        (hosts.redirect("http://192.0.2.1/"), "leads to 'http://192.0.2.1', which is not https"),
        (hosts.redirect("file:///etc/passwd"), "which is not https"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_devpi_is_told_in_one_line(
    run: Run, empty: IndexRepository, host: Host, *, answer: Any, told: str
) -> None:
    host.on("/", answer)
    before = files_below(empty.path)
    done = run("-C", empty.path, "import", "devpi", host.url)
    assert (done.code, done.out) == (3, "")
    assert told in done.err
    assert len(done.err.splitlines()) == 1
    assert files_below(empty.path) == before


def test_endless_answer_ends(run: Run, empty: IndexRepository, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitindex.importers.devpi_server.LARGEST", 1 << 20)
    host.on("/", hosts.endless)
    done = run("-C", empty.path, "import", "devpi", host.url)
    assert done.code == 3
    assert "answers with more than 1,048,576 bytes" in done.err


def test_names_that_lead_elsewhere_are_none(run: Run, empty: IndexRepository, spoken: Spoken) -> None:
    for name in ("..", "a/b", "../x", "", "con\x00", "files", "ü-ser", "x" * 300):
        spoken.users[name] = {"indexes": {"dev": {"type": "stage"}}}
    for name in ("..", ".", "../../x", "", "a b", "Ü"):
        spoken.users["emilie"]["indexes"][name] = {"type": "stage"}
        spoken.tell(f"/emilie/{name}", "indexconfig", {"projects": []})
    spoken.index("emilie/dev")
    spoken.file("emilie/dev", "demo", WHEEL)
    done = import_(run, empty, spoken.say())
    assert done.code == 1
    written = [path.relative_to(empty.path).as_posix() for path in empty.path.rglob("*.toml")]
    assert all(path.count("/") <= 3 and ".." not in path for path in written), written
    assert released(empty, "emilie/dev") == {WHEEL[0]: digest(WHEEL[1])}
    assert not [path for path in (empty.path.parent).iterdir() if path.name != "packages"]
    assert run("-C", empty.path, "validate", "--all").code == 0


def test_names_in_other_spellings_are_brought_to_one(run: Run, empty: IndexRepository, spoken: Spoken) -> None:
    spoken.users["Emilie"] = {"email": "other@example.org", "indexes": {}}
    spoken.users["Bob.B@x"] = {"email": "bob@example.org", "indexes": {}}
    spoken.index("Bob.B@x/De__v", bases=["emilie/DEV"], acl_upload=["Bob.B@x"])
    spoken.index("emilie/DEV")
    spoken.index("emilie/dev")
    done = import_(run, empty, spoken.say())
    told = left(done)
    assert done.code == 1
    assert told["left out Emilie user"] == "cannot be called 'emilie' here: rename it in devpi"
    assert told["left out emilie/DEV index"] == "cannot be called 'emilie/dev' here: rename it in devpi"
    assert told["note Bob.B@x user"].startswith("is called bob.b-x here")
    assert told["note bob.b-x/de_v base emilie/DEV"] == "is left out: it is not carried over"
    assert definition(empty, "bob.b-x/de_v") == {"type": "stage", "volatile": True, "bases": [], **UNION}


UNION = {"mirror_whitelist_inheritance": "union"}
"""What devpi does where old data do not say it."""


def test_options_that_break_rules_are_brought_in_order(run: Run, empty: IndexRepository, spoken: Spoken) -> None:
    spoken.index("emilie/a", bases=["emilie/b", "emilie/b", "emilie/a", "emilie/gone", "nonsense", 7])
    spoken.index("emilie/b", bases=["emilie/c"])
    spoken.index("emilie/c", bases=["emilie/a"], volatile="False", title=["x"], description="Line\none\x1b[31m")
    spoken.index("emilie/firm", volatile=False, bases=["emilie/b"], acl_upload=[":team", ":ldap", ":ANONYMOUS:"])
    spoken.index("emilie/firmer", volatile=False, bases=["emilie/firm"])
    spoken.index("emilie/old", pypi_whitelist=["Some_Thing", "*", "no name"], uploadtrigger_jenkins="x", acl_upload=[])
    spoken.users["emilie"]["indexes"]["odd"] = {"type": "constrained", "constraints": ["pip<1"]}
    spoken.users["emilie"]["indexes"]["on-odd"] = {"type": "stage", "bases": ["emilie/odd"]}
    spoken.tell("/emilie/on-odd", "indexconfig", {"projects": []})
    spoken.users["root"]["indexes"]["up"] = {
        "type": "mirror",
        "mirror_url": "https://bob:s3cr3t@packages.example.org/simple/?token=t0ken#end",
        "mirror_cache_expiry": 60,
        "mirror_use_external_urls": True,
        "mirror_no_project_list": True,
        "title": "Up",
    }
    spoken.users["root"]["indexes"]["bad"] = {"type": "mirror", "mirror_url": "javascript:alert(1)"}
    spoken.users["root"]["indexes"]["none"] = {"type": "mirror"}
    done = import_(run, empty, spoken.say())
    told = left(done)
    assert done.code == 1, done.err
    assert run("-C", empty.path, "validate", "--all").code == 0
    cycle = [key for key, why in told.items() if "closes a cycle" in why]
    assert len(cycle) == 1
    assert definition(empty, "emilie/firm") == {
        "type": "stage",
        "volatile": True,
        "bases": ["emilie/b"],
        "acl_upload": [":team"],
        **UNION,
    }
    assert definition(empty, "emilie/firmer")["volatile"] is True
    assert definition(empty, "emilie/old")["mirror_whitelist"] == ["some-thing", "*"]
    assert definition(empty, "emilie/old")["acl_upload"] == []
    assert definition(empty, "root/up") == {
        "type": "mirror",
        "title": "Up",
        "mirror_url": "https://packages.example.org/simple/",
        "mirror_cache_expiry": 60,
        "mirror_use_external_urls": True,
    }
    assert "s3cr3t" not in done.out
    assert "t0ken" not in done.out
    assert told["left out emilie/odd"] == "is of type 'constrained', which is not known here"
    assert told["note emilie/on-odd base emilie/odd"] == "is left out: it is not carried over"
    assert (
        told["left out root/bad"] == told["left out root/none"] == "is a mirror without a mirror_url that can be asked"
    )
    for key in ("uploadtrigger_jenkins", "pypi_whitelist", "mirror_whitelist no name"):
        assert f"note emilie/old {key}" in told
    for key in ("acl_upload :ldap", "acl_upload :ANONYMOUS:", "volatile"):
        assert f"note emilie/firm {key}" in told
    assert "note root/up mirror_no_project_list" in told


def test_words_of_devpi_7_are_understood(run: Run, empty: IndexRepository, spoken: Spoken) -> None:
    spoken.users["root"]["indexes"]["up"] = {
        "type": "remote",
        "volatile": False,
        "remote_url": "https://packages.example.org/simple/",
        "remote_refresh_delay": 60,
    }
    blocking = {"project_inheritance_rules": ["block type:remote if local_exists"]}
    spoken.index("emilie/prod", type="local", volatile=False, bases=["root/up"], **blocking)
    spoken.index("emilie/open", type="local", bases=["emilie/prod"], project_inheritance_rules=["allow all"])
    spoken.index("emilie/odd", type="local", project_inheritance_rules=["block all"])
    spoken.file("emilie/prod", "demo", WHEEL)
    newer = make_wheel("demo", "2.0")
    path = spoken.file(
        "emilie/prod", "demo", newer, hashes=None, log=[{"what": "upload", "when": "2024-05-01T00:00:00Z"}]
    )
    page = {"files": [{"url": f"../..{path.removeprefix('/emilie/prod')}", "hashes": {"sha256": digest(newer[1])}}]}
    spoken.host.on("/emilie/prod/+simple/demo/", json.dumps(page).encode())
    done = import_(run, empty, spoken.say())
    assert done.code == 0, done.out
    assert entry(empty, "emilie/prod", newer[0])["upload-time"] == "2024-05-01T00:00:00Z"
    assert "note inheritance rules of projects" in left(done)
    assert definition(empty, "root/up") == {
        "type": "mirror",
        "mirror_url": "https://packages.example.org/simple/",
        "mirror_cache_expiry": 60,
    }
    assert definition(empty, "emilie/prod") == {"type": "stage", "volatile": False, "bases": ["root/up"]}
    assert definition(empty, "emilie/open")["mirror_whitelist"] == ["*"]
    assert "note emilie/odd project_inheritance_rules" in left(done)


def test_file_that_is_not_what_the_link_says_is_left_out(run: Run, empty: IndexRepository, spoken: Spoken) -> None:
    spoken.index("emilie/dev")
    spoken.file("emilie/dev", "demo", WHEEL)
    lying = spoken.file("emilie/dev", "other", OTHER)
    spoken.host.on(lying, b"PK others")
    md5 = make_wheel("weak", "1.0")
    spoken.file("emilie/dev", "weak", md5, hashes={}, hash_spec="md5=0")
    prefix = make_wheel("demo-tools", "1.0")
    spoken.file("emilie/dev", "demo", prefix)
    done = import_(run, empty, spoken.say())
    told = left(done)
    assert done.code == 1
    assert told[f"left out emilie/dev {OTHER[0]}"].startswith("has the sha256 ")
    assert told[f"left out emilie/dev {md5[0]}"].startswith("no sha256 is stated of it")
    assert told[f"left out emilie/dev {prefix[0]}"] == "is listed under demo, and is named after demo-tools"
    assert released(empty, "emilie/dev") == {WHEEL[0]: digest(WHEEL[1])}


def test_links_that_make_no_sense_are_told(run: Run, empty: IndexRepository, spoken: Spoken) -> None:
    spoken.index("emilie/dev")
    spoken.file("emilie/dev", "demo", WHEEL)
    odd = [None, 7, {}, {"rel": "releasefile"}, {"rel": 5, "href": "/emilie/dev/+f/a/b/c"}, {"rel": "x", "href": 7}]
    ways = ["/+f/../../../etc/passwd", "/+f/%2e%2e/x-1.0.tar.gz", "/+f/", "//[", "/x/y/z-1.0.tar.gz"]
    links = spoken.projects["emilie/dev"]["demo"]["1.0"]
    links += [*odd, *({"rel": "releasefile", "href": f"http://127.0.0.1{way}"} for way in ways)]
    spoken.projects["emilie/dev"]["hollow"] = {"1.0": []}
    done = import_(run, empty, spoken.say())
    assert done.code == 1
    assert released(empty, "emilie/dev") == {WHEEL[0]: digest(WHEEL[1])}
    assert "note emilie/dev hollow 1.0" in left(done)
    told = [each["why"] for each in json.loads(done.out)["left"] if each["what"] == "demo 1.0"]
    assert "has a link that does not say of what kind it is" in told
    for way in ["/+f/../../../etc/passwd", "/x/y/z-1.0.tar.gz", ""]:
        assert f"a releasefile of it cannot be asked for: its link is {way!r}, and not to a file below /+f/" in told
    assert not [path for path in spoken.host.paths if ".." in path or "etc" in path]


def test_project_that_does_not_come_leaves_the_others(run: Run, empty: IndexRepository, spoken: Spoken) -> None:
    spoken.index("emilie/dev")
    spoken.file("emilie/dev", "demo", WHEEL)
    spoken.file("emilie/dev", "other", OTHER)
    url = spoken.say()
    spoken.host.on("/emilie/dev/other?ignore_bases=", hosts.status(403))
    done = import_(run, empty, url)
    assert done.code == 3
    assert "access is refused" in left(done)["missing emilie/dev other"]
    assert released(empty, "emilie/dev") == {WHEEL[0]: digest(WHEEL[1])}
    spoken.say()
    assert import_(run, empty, url).code == 0
    assert len(released(empty, "emilie/dev")) == 2


@pytest.mark.parametrize(
    ("report", "kept", "told"),
    [
        (b"no json", False, "is no JSON that can be read"),
        (b'{"testenvs": 7}', False, "is no report of tox"),
        (b'{"testenvs": {"py": {"test": [{"retcode": "--5"}]}}}', False, "does not say how the commands of 'py' ended"),
        (b'{"testenvs": {"py": {"test": [{"retcode": 0}]}}}', True, ""),
        (b'{"testenvs": {"py": {"test": [{"retcode": 0}]}, ".pkg": {}, "": {}}}', True, "of it has no name"),
        (b'{"installpkg": {"sha256": "00"}, "testenvs": {"py": {"test": [{"retcode": 0}]}}}', False, "other bytes"),
        (b'{"testenvs": {"py": {"test": [{"retcode": 0, "elapsed": 1e400}], "result": {"duration": -5}}}}', True, ""),
    ],
)
def test_result_that_makes_no_sense_is_left_out(
    run: Run, empty: IndexRepository, spoken: Spoken, *, report: bytes, kept: bool, told: str
) -> None:
    spoken.index("emilie/dev")
    path = spoken.file("emilie/dev", "demo", WHEEL)
    link = spoken.projects["emilie/dev"]["demo"]["1.0"][0]
    place = f"{path}.toxresult-20240301-0"
    tested = {"rel": "toxresult", "href": f"http://x{place}", "for_href": link["href"], "log": link["log"]}
    spoken.projects["emilie/dev"]["demo"]["1.0"].append(tested)
    spoken.host.on(place, report)
    done = import_(run, empty, spoken.say())
    results = empty.path / "indexes/emilie/dev/demo/1.0.tests.json"
    assert results.exists() == kept
    said = [why for what, why in left(done).items() if "toxresult" in what]
    assert [told in why for why in said] == ([True] if told else [])
    assert run("-C", empty.path, "validate", "--all").code == 0
    if kept:
        (found,) = json.loads(results.read_text())
        assert (found["environment"], found["outcome"], found["log"]) == ("py", "passed", digest(report))


def test_results_that_find_no_room_are_left_out_alone(run: Run, empty: IndexRepository, spoken: Spoken) -> None:
    spoken.index("emilie/dev")
    path = spoken.file("emilie/dev", "demo", WHEEL)
    (link,) = links = spoken.projects["emilie/dev"]["demo"]["1.0"]
    for number in range(30):
        place = f"{path}.toxresult-20240301-{number}"
        links.append({"rel": "toxresult", "href": f"http://x{place}", "for_href": link["href"], "log": link["log"]})
        environments = {f"{each}{'x' * 190}": {"test": [{"retcode": number}]} for each in range(100)}
        spoken.host.on(place, json.dumps({"testenvs": environments}).encode())
    done = import_(run, empty, spoken.say())
    assert done.code == 1
    assert left(done)[f"left out emilie/dev results of {WHEEL[0]}"].startswith("GI001: ")
    assert released(empty, "emilie/dev") == {WHEEL[0]: digest(WHEEL[1])}


def test_password_of_netrc_goes_to_the_server_alone(
    run: Run, empty: IndexRepository, spoken: Spoken, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login emilie password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    spoken.index("emilie/dev")
    spoken.file("emilie/dev", "demo", WHEEL)
    with Host() as elsewhere:
        path = spoken.file("emilie/dev", "other", OTHER)
        spoken.host.on(path, hosts.redirect(elsewhere.on("/away", OTHER[1])))
        assert import_(run, empty, spoken.say()).code == 0
        assert all("Authorization" in request.headers for request in spoken.host.requests)
        assert [("Authorization" in request.headers) for request in elsewhere.requests] == [False]


def test_killed_import_is_gone_on_with(run: Run, empty: IndexRepository, spoken: Spoken) -> None:
    go = threading.Event()
    spoken.index("emilie/prod", volatile=False)
    spoken.index("emilie/dev", bases=["emilie/prod"])
    first = spoken.file("emilie/prod", "demo", WHEEL)
    second = spoken.file("emilie/dev", "other", OTHER)
    spoken.host.on(second, hosts.held(go, hosts.content(OTHER[1])))
    url = spoken.say()
    running = start("-C", empty.path, "import", "devpi", url, "--commit")
    end = time.monotonic() + 30
    while second not in spoken.host.paths:
        assert time.monotonic() < end
        time.sleep(0.02)
    running.kill()
    running.communicate()
    go.set()
    assert released(empty, "emilie/prod") == {WHEEL[0]: digest(WHEEL[1])}
    spoken.host.requests.clear()
    done = import_(run, empty, url)
    assert done.code == 0, done.out
    assert first not in spoken.host.paths
    assert released(empty, "emilie/dev") == {OTHER[0]: digest(OTHER[1])}
    assert empty.git("status", "--porcelain") == ""
    assert run("-C", empty.path, "audit").code == 0


NO_PLACES = {
    "elsewhere": (f"http://devpi.example.org/emilie/dev/+e/https_x/{ODD[0]}", f"'/emilie/dev/+e/https_x/{ODD[0]}'"),
    "not ASCII": ("http://devpi.example.org/emilie/dev/+f/abc/d\u00e9mo-1.0.tar.gz", "'/emilie/dev/+f/abc/d\\xe9mo"),
    "a number": (5, "''"),
    "empty": ("", "''"),
    "no URL": ("http://[/emilie/dev/+f/abc/odd-1.0.tar.gz", "''"),
}


@pytest.mark.parametrize("case", NO_PLACES)
def test_link_to_no_file_of_devpi_is_told(run: Run, empty: IndexRepository, spoken: Spoken, case: str) -> None:
    href, told = NO_PLACES[case]
    spoken.index("emilie/dev")
    spoken.file("emilie/dev", "demo", WHEEL)
    spoken.file("emilie/dev", "odd", ODD, href=href)
    done = import_(run, empty, spoken.say())
    assert done.code == 1
    (why,) = (why for what, why in left(done).items() if "odd" in what)
    assert why.startswith(f"a releasefile of it cannot be asked for: its link is {told}")
    assert released(empty, "emilie/dev") == {WHEEL[0]: digest(WHEEL[1])}


def test_what_is_said_in_other_types_is_told(run: Run, empty: IndexRepository, spoken: Spoken) -> None:
    for name in ("dev", "numbered", "unlisted"):
        spoken.index(f"emilie/{name}")
    spoken.file("emilie/dev", "demo", WHEEL, rel=7)
    spoken.projects["emilie/dev"]["other"] = {"1.0": 5, "2.0": []}  # type: ignore[dict-item]
    url = spoken.say()
    spoken.tell("/emilie/dev/other?ignore_bases=", "projectconfig", {"1.0": 5, "2.0": {"name": "other"}})
    spoken.tell("/emilie/numbered", "indexconfig", {"projects": [1, None]})
    spoken.tell("/emilie/unlisted", "indexconfig", {"projects": 5})
    done = import_(run, empty, url)
    told = {what: why for what, why in left(done).items() if "passwords" not in what}
    assert (done.code, told) == (
        1,
        {
            "note emilie/dev other 2.0": "has no files: nothing but its name was registered",
            "left out emilie/dev demo 1.0": "has a link that does not say of what kind it is",
            "left out emilie/dev other 1.0": "what is said of its files makes no sense",
            "left out emilie/numbered": "lists 2 projects without a name",
            "left out emilie/unlisted": f"{url}/emilie/unlisted lists no projects",
        },
    )
