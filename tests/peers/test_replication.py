"""docs/how-to/replicate.md, set up: a bare writer, two readers, nginx in front of both, and files in an S3 store."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pages import free_port, scripts_run_by
from tests.peers.doors import ROOT
from tests.peers.foreign import listens
from tests.peers.nginx import BLOCKS, Proxy, nginx, tool
from tests.peers.serving import WAIT, Got, commit, define, eventually, get, make, release, serving, target
from tests.peers.test_deploy_page import options_of
from tests.peers.tools import Tools, done, wheel
from tests.publishing.stores import running_s3

pytestmark = pytest.mark.peers

TEXT = (ROOT / "docs/how-to/replicate.md").read_text(encoding="utf-8")
JSON = "application/vnd.pypi.simple.v1+json"
PAGE = "/emilie/prod/simple/demo/"
HOOK = "/+hooks/push"
BODY = b'{"ref": "refs/heads/main"}'


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


@dataclass
class Reader:
    """A server of a clone of its own."""

    tools: Tools
    repository: Path
    secret: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command: list[str | Path] = [sys.executable, "-m", "gitindex", "-C", self.repository, "serve"]
        command += ["--port", str(self.port), "--cache", self.repository.with_suffix(".cache"), "--workers", "2"]
        command += ["--pull-every", "60", "--hook-secret-file", self.secret]
        log = self.repository.with_suffix(".log").open("ab")
        with log:
            environment = self.tools.environment_of_commands()
            self.process = subprocess.Popen(command, env=environment, cwd=self.tools.home, stderr=log)
        eventually(lambda: listens(self.port), "a reader does not start")

    def end(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(WAIT)
            self.process = None

    def get(self, path: str, **headers: str) -> Got:
        return get(f"{self.url}{path}", "GET", None, None, None, **headers)

    def status(self) -> Any:
        return json.loads(self.get("/+status").body)["result"]

    def all_statuses(self) -> list[Any]:
        """Return what its workers say; who answers is chance."""
        return [self.status() for _ in range(8)]

    def serves(self, commit_id: str) -> bool:
        return {found["revision"] for found in self.all_statuses()} == {commit_id}

    def versions(self) -> list[str]:
        found: list[str] = json.loads(self.get(PAGE, Accept=JSON).body)["versions"]
        return found


@dataclass(frozen=True)
class Fleet:
    """All that runs."""

    tools: Tools
    clone: Path
    writer: Path
    readers: list[Reader]
    proxy: Proxy
    secret: bytes

    def push(self, version: str) -> str:
        """Release a version, push it as people do, and return the commit."""
        release(self.tools, self.clone, "emilie/prod", [wheel("demo", version)], "2026-02-01")
        done(self.tools.run("git", "-C", self.clone, "push", "--quiet", "origin", "main"))
        return self.head()

    def head(self) -> str:
        return done(self.tools.run("git", "-C", self.clone, "rev-parse", "HEAD")).strip()

    def call(self) -> Got:
        """Call the webhook as GitHub does."""
        signature = hmac.new(self.secret, BODY, hashlib.sha256).hexdigest()
        return self.proxy.get(HOOK, "POST", None, BODY, X_Hub_Signature_256=f"sha256={signature}")

    def all_serve(self, commit_id: str) -> None:
        eventually(lambda: all(reader.serves(commit_id) for reader in self.readers), "it is not served by all")

    def all_say(self, is_so: Callable[[Any], bool], what: str) -> None:
        """Wait until all workers of all readers say something of themselves."""
        eventually(lambda: all(map(is_so, [found for each in self.readers for found in each.all_statuses()])), what)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "home").mkdir()
    with ExitStack() as stack:
        s3 = stack.enter_context(running_s3())
        s3.make_bucket("packages-files")
        tools = Tools(folder / "home", s3.environment())
        clone = make(tools, folder / "clone")
        (storage,) = blocks("toml")
        settings = clone / "gitindex.toml"
        text, number = re.subn(r"^\[storage\]\n.*\n", storage, settings.read_text(), flags=re.MULTILINE)
        assert number == 1
        settings.write_text(text)
        define(clone, "emilie/prod", bases=[])
        release(tools, clone, "emilie/prod", [wheel("demo", "1.0")], "2026-01-01")
        assert not (clone / "files").exists()
        writer = folder / "packages.git"
        done(tools.run("git", "clone", "--quiet", "--bare", clone, writer))
        done(tools.run("git", "-C", clone, "remote", "add", "origin", writer))

        secret = folder / "hook-secret"
        readers = [Reader(tools, folder / f"reader-{number}.git", secret) for number in (1, 2)]
        for reader in readers:
            done(tools.run("git", "clone", "--quiet", "--bare", writer, reader.repository))
        more = configured(readers)
        proxy = stack.enter_context(nginx(folder / "nginx", readers[0].url, **more))
        (script,) = scripts_run_by("tests/peers/test_replication.py", "how-to/replicate.md")
        script = script.replace("/srv/gitindex", str(folder)).replace("https://packages.example.org", proxy.url)
        done(tools.run("bash", "-euc", script))
        assert (secret.stat().st_mode & 0o777, len(secret.read_text())) == (0o600, 65)
        for reader in readers:
            stack.callback(reader.end, signal.SIGKILL)
            reader.start()
        tools = tools.with_environment(CURL_CA_BUNDLE=str(proxy.certificate))
        yield Fleet(tools, clone, writer, readers, proxy, secret.read_bytes().strip())
        for reader in readers:
            reader.end(signal.SIGTERM)


def configured(readers: list[Reader]) -> dict[str, str]:
    """Return what the page puts where into nginx's configuration of the other page."""
    servers, others = blocks("nginx")
    for number, reader in enumerate(readers, 1):
        old = f"10.0.0.1{number}:3141"
        assert (servers.count(old), others.count(old)) == (1, 1)
        servers, others = (text.replace(old, f"127.0.0.1:{reader.port}") for text in (servers, others))
    return {
        f"    server 127.0.0.1:{readers[0].port};\n": servers,
        "    location / {\n": f"{others}\n    location / {{\n",
    }


def test_push_arrives_at_all_readers_by_the_webhook_and_pip_installs_it_through_nginx(
    fleet: Fleet, tmp_path: Path
) -> None:
    fleet.all_say(lambda found: found["remote"]["last_success"] is not None, "nothing is fetched at the start")
    started = time.monotonic()
    commit_id = fleet.push("1.1")
    fleet.all_serve(commit_id)
    # By the clock alone it would be a minute.
    assert time.monotonic() - started < WAIT
    for reader in fleet.readers:
        found = reader.status()
        assert (found["state"], found["failing"], found["behind"]) == ("serving", [], {"commits": 0, "seconds": 0})
        assert (found["remote"]["tip"], found["remote"]["every"], found["remote"]["by_hook"]) == (commit_id, 60, True)
        assert found["counters"]["hooks"] == 1
        assert sorted(reader.versions()) == ["1.0", "1.1"]
    tools = fleet.proxy.tools(tmp_path / "home")
    time.sleep(1.1)  # nginx answers itself for a second
    url = fleet.proxy.simple("emilie/prod")
    done(tools.pip("install", "--target", tools.home / "target", "--index-url", url, "demo==1.1"))
    assert target(tools) == {"demo": "1.1"}


def test_webhook_through_nginx_takes_what_forges_send_and_nothing_else(fleet: Fleet) -> None:

    def heard() -> list[int]:
        return [reader.status()["counters"]["hooks"] for reader in fleet.readers]

    before = heard()
    assert (fleet.call().status, fleet.call().body) == (202, b"the branch will be pulled\n")
    large = json.dumps({"commits": ["x" * 1000] * 5000}).encode()
    signature = hmac.new(fleet.secret, large, hashlib.sha256).hexdigest()
    assert fleet.proxy.get(HOOK, "POST", None, large, X_Gitea_Signature=signature).status == 202
    after = [number + 3 for number in before]
    eventually(lambda: heard() == after, "they do not hear it")  # nginx answers before the copies are
    assert fleet.proxy.get(HOOK, "POST", None, BODY).status == 401
    assert fleet.proxy.get(HOOK, "POST", None, BODY, X_Gitea_Signature=signature).status == 403
    assert fleet.proxy.get(HOOK).status == 405
    assert fleet.proxy.get(HOOK, "POST", None, bytes(27 << 20), X_Gitea_Signature=signature).status == 413
    assert fleet.proxy.get("/+hooks/2", "POST", None, BODY, X_Gitlab_Token=fleet.secret.decode()).status == 404
    assert heard() == after


def test_reader_that_is_cut_off_says_so_and_how_far_it_is_behind_once_it_returns(fleet: Fleet) -> None:
    one, other = fleet.readers
    old, before = one.status()["revision"], one.versions()
    place = done(fleet.tools.run("git", "-C", one.repository, "remote", "get-url", "origin")).strip()
    done(fleet.tools.run("git", "-C", one.repository, "remote", "set-url", "origin", "/nowhere/packages.git"))
    fleet.push("2.0")
    new = fleet.push("2.1")
    eventually(lambda: other.serves(new), "the other reader does not get it")
    eventually(lambda: all(found["failing"] for found in one.all_statuses()), "it does not notice")
    found = one.status()
    assert (found["state"], found["failing"], found["revision"]) == ("degraded", ["fetch"], old)
    assert "/nowhere/packages.git" in found["remote"]["problem"]
    assert found["remote"]["seconds_since_success"] >= 0
    assert b"\ngitindex_remote_failing 1.0\n" in one.get("/+metrics").body
    assert one.versions() == before
    # Who asks nginx gets the new file, whichever reader is asked first: what one does not have, the other one has.
    (file,) = [file for file in json.loads(other.get(PAGE, Accept=JSON).body)["files"] if "-2.1-" in file["filename"]]
    path = "/" + file["url"].removeprefix("../../../../")
    assert one.get(path).status == 404
    for number in range(4):
        assert fleet.proxy.get(f"{path}?{number}").status == 200
    done(fleet.tools.run("git", "-C", one.repository, "remote", "set-url", "origin", place))
    # It tries again by itself. While it validates what it fetched, it is behind.
    seen: list[Any] = []
    eventually(lambda: seen.append(one.status()) or seen[-1]["revision"] == new, "it does not come back")  # type: ignore[func-returns-value]
    behind = [found for found in seen if found["remote"]["tip"] == new and found["revision"] == old]
    for found in behind:
        assert (found["state"], found["behind"]["commits"]) == ("serving", 2)
        assert found["behind"]["seconds"] > 3600  # these commits say that they are of a day of 2026
    eventually(lambda: {str(found["behind"]) for found in one.all_statuses()} == {str(CAUGHT_UP)}, "it stays behind")


CAUGHT_UP = {"commits": 0, "seconds": 0}


def test_upload_over_http_to_a_clone_that_pushes_arrives_at_all_readers(fleet: Fleet, tmp_path: Path) -> None:
    tokens, clone, tools = tmp_path / "tokens.json", tmp_path / "door.git", fleet.tools
    done(tools.run("git", "clone", "--quiet", "--bare", fleet.writer, clone))
    making = ["token", "create", "ci", "--user", "emilie", "--upload", "emilie/prod", "--read", "emilie/prod"]
    token = done(tools.gitindex(fleet.clone, *making, "--tokens", tokens)).strip()
    name, data = wheel("demo", "2.5")
    (tmp_path / name).write_bytes(data)
    options = ("--writable", "--push-remote", "--tokens", tokens)
    with serving(tools, clone, *options) as door:
        sending: list[str | Path] = ["twine", "upload", "--non-interactive", "--disable-progress-bar", tmp_path / name]
        sending += ["--repository-url", f"{door.url}/emilie/prod/", "--username", "__token__", "--password", token]
        done(tools.run(*sending))
    commit_id = done(tools.run("git", "-C", fleet.writer, "rev-parse", "main")).strip()
    assert commit_id != fleet.head()
    fleet.all_serve(commit_id)
    assert all("2.5" in reader.versions() for reader in fleet.readers)
    done(tools.run("git", "-C", fleet.clone, "pull", "--quiet", "--ff-only", "origin", "main"))


def test_commit_that_does_not_validate_is_served_by_nobody_and_told(fleet: Fleet) -> None:
    good = fleet.head()
    shutil.rmtree(fleet.clone / "indexes/emilie/prod/demo")
    commit(fleet.tools, fleet.clone, "2026-03-01", "Take it back")
    bad = fleet.head()
    # Somebody who has the machine brings it past the writer's own hooks.
    done(fleet.tools.run("git", "-C", fleet.writer, "fetch", "--quiet", fleet.clone, "main:main"))
    assert fleet.call().status == 202

    def is_refused(found: Any) -> bool:
        return (found["refused"] or {}).get("commit") == bad

    fleet.all_say(is_refused, "it is not refused")
    for reader in fleet.readers:
        found = reader.status()
        assert (found["state"], found["failing"], found["revision"]) == ("degraded", ["validation"], good)
        assert (found["behind"]["commits"], found["remote"]["tip"]) == (1, bad)
        assert "GI202" in {finding["code"] for finding in found["refused"]["findings"]}
        assert "1.0" in reader.versions()
    done(fleet.tools.run("git", "-C", fleet.clone, "revert", "--no-edit", "HEAD"))
    done(fleet.tools.run("git", "-C", fleet.clone, "push", "--quiet", "origin", "main"))
    fleet.all_serve(fleet.head())
    fleet.all_say(lambda found: not found["failing"], "they are not well again")


def test_reader_that_is_killed_is_bridged_by_nginx_and_catches_up(fleet: Fleet, tmp_path: Path) -> None:
    one, other = fleet.readers
    other.end(signal.SIGKILL)
    eventually(lambda: not listens(other.port), "its workers do not end")
    commit_id = fleet.push("3.0")  # its hook is told by nginx that one of them took it
    eventually(lambda: one.serves(commit_id), "the reader that lives does not get it")
    time.sleep(1.1)
    tools = fleet.proxy.tools(tmp_path / "home")
    url = fleet.proxy.simple("emilie/prod")
    done(tools.pip("install", "--target", tools.home / "target", "--index-url", url, "demo==3.0"))
    started = time.monotonic()
    other.start()
    assert "1.0" in other.versions()  # from its first moment on
    fleet.all_serve(commit_id)
    assert time.monotonic() - started < WAIT
    time.sleep(3.1)  # nginx asks it again
    one.end(signal.SIGKILL)
    eventually(lambda: not listens(one.port), "its workers do not end")
    for number in range(5):
        assert fleet.proxy.get(f"{PAGE}?{number}", Accept=JSON).status == 200
    one.start()
    fleet.all_serve(commit_id)


# The rest of the page


def test_the_drop_in_of_the_page_is_sound_for_systemd(tmp_path: Path) -> None:
    program = tool("systemd-analyze")
    ours = str(Path(sys.executable).with_name("gitindex"))
    (unit,), (drop_in,) = BLOCKS["ini"], blocks("ini")
    (tmp_path / "gitindex.service.d").mkdir()
    (tmp_path / "gitindex.service").write_text(unit.replace("/opt/gitindex/bin/gitindex", ours))
    changed = tmp_path / "gitindex.service.d/reader.conf"
    changed.write_text(drop_in.replace("/opt/gitindex/bin/gitindex", ours))
    checking = [program, "verify", "--man=no", str(tmp_path / "gitindex.service")]
    checked = subprocess.run(checking, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    # It is looked at: what is wrong in it is told.
    changed.write_text(drop_in.replace("/opt/gitindex/bin/gitindex", "/nowhere/gitindex"))
    checked = subprocess.run(checking, capture_output=True, text=True, check=False)
    assert "/nowhere/gitindex" in checked.stdout + checked.stderr


def test_the_options_and_keys_of_the_page_exist(fleet: Fleet) -> None:
    (drop_in,) = blocks("ini")
    (starting,) = re.findall(r"^ExecStart=(/opt/gitindex/bin/gitindex .*)$", drop_in, re.MULTILINE)
    options_of(shlex.split(starting)[1:])
    found = fleet.readers[0].status()
    rows = re.findall(r"^\| (`[a-z_.]+`(?:, `[a-z_.]+`)*) \| ", TEXT, re.MULTILINE)
    keys = [key for row in rows for key in re.findall(r"`([^`]+)`", row)]
    assert len(keys) == 12
    for key in keys:
        value = found
        for part in key.split("."):
            assert part in value, key
            value = value[part]
    metrics = fleet.readers[0].get("/+metrics").body.decode()
    named = set(re.findall(r"gitindex_[a-z_]+(?=`| [>)]|\))", TEXT))
    assert len(named) == 6
    for name in named:
        assert re.search(rf"^{name} [0-9]", metrics, re.MULTILINE), name


def test_the_rules_of_the_page_name_metrics_that_exist() -> None:
    (rules,) = [yaml.safe_load(block) for block in blocks("yaml")]
    ((group),) = rules["groups"]
    assert [set(rule) for rule in group["rules"]] == [{"alert", "expr", "for"}] * 2


def test_scripts_of_the_page_are_sound() -> None:
    assert len(blocks("sh")) == 2
    for script in blocks("sh"):
        subprocess.run(["bash", "-n", "-c", script], check=True, timeout=60)
