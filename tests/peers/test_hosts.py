"""Real web servers with the configurations of `gitindex render --host`: what they answer, and what falls through."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gitindex.hosts import HOSTS, host_site
from gitindex.site import render
from tests.builders import metadata
from tests.hosts import Host, content, status
from tests.peers.nginx import tool
from tests.peers.serving import Got, pip, target, uv
from tests.peers.tools import Tools, done, origin, wheel
from tests.peers.webservers import SERVERS, SYSTEM_CERTIFICATES, open_folder, webserver
from tests.repositories import Content, small_content

pytestmark = pytest.mark.peers

JSON = "application/vnd.pypi.simple.v1+json"
VENDOR_HTML = "application/vnd.pypi.simple.v1+html"
HTML = "text/html"
PIP = f"{JSON}, {VENDOR_HTML}; q=0.1, {HTML}; q=0.01"
UV = f"{JSON}, {VENDOR_HTML};q=0.2, {HTML};q=0.01"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
INSTALLERS = pytest.mark.parametrize("install", [pip, uv])
ITS_OWN = ("cloudflare",)
"""Hosts that have a server of their own before the files: it compresses, and gives no parts."""
UPSTREAM = ("demo", "acme-secret", "acme-x", "billing", "denied", "popular", "dependent", "zope-interface", "secret")
"""What the upstream has: all of it is newer, and some of it is ours."""


@dataclass(frozen=True)
class Web:
    """A site that a web server serves."""

    url: str
    """Ending in ``/``."""
    upstream: Host
    is_proxy: bool
    folder: Path
    name: str = ""

    def get(self, path: str, method: str = "GET", **headers: str) -> Got:
        """Ask for a path just as it is written: nothing is resolved or quoted before."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        try:
            connection.putrequest(method, parts.path + path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            answer = connection.getresponse()
            return Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    @property
    def simple(self) -> str:
        return f"{self.url}emilie/prod/simple/"

    def falls_through(self, path: str) -> bool:
        """Ask for a path, and tell whether the upstream is asked, or answers, or the client is sent there.

        That a proxy asks anew for a page which it showed before does not count.
        """
        before = len(self.upstream.requests)
        got = self.get(path, Accept=PIP)
        location = got.headers.get("location", "")
        return (
            bool(set(self.upstream.paths[before:]) - {"/simple/popular/"})
            or self.upstream.netloc in location
            or self.upstream.netloc.encode() in got.body
        )


def ours(mirror_url: str, **settings: Any) -> Content:
    """Return a repository whose names the upstream has too."""
    repository = small_content(names={"reserved": ["acme-*", "billing"]}, **settings)
    repository.mirror("root/pypi", mirror_url=mirror_url, deny=["denied"], mirror_cache_expiry=1)
    repository.stage("emilie/alone", bases=[])
    for name, version, requires in (
        ("demo", "1.0", ["popular"]),
        ("Zope.Interface", "1.0", []),
        ("local", "1.0+x.1", []),
    ):
        filename, data = wheel(name, version, requires=requires)
        sha256 = hashlib.sha256(data).hexdigest()
        core = metadata(name, version, None, "".join(f"Requires-Dist: {each}\n" for each in requires))
        entry = {
            "filename": filename,
            "hashes": {"sha256": sha256},
            "size": len(data),
            "core-metadata": {"sha256": hashlib.sha256(core).hexdigest()},
        }
        repository.add_file("emilie/prod", name, version, entry)
        repository[f"files/{sha256[:2]}/{sha256[2:]}/{filename}"] = data
        repository[f"files/{sha256[:2]}/{sha256[2:]}/{filename}.metadata"] = core
    repository.release("emilie/prod", "secret", "1.0")
    return repository.statements("emilie/prod", "secret", status="quarantined")


def fill(upstream: Host) -> None:
    """Let the upstream have pages as PyPI has them: links are absolute."""
    for name in UPSTREAM:
        filename, data = wheel(name, "9.0", origin="world")
        file = upstream.on(f"/files/{filename}", data)
        core = metadata(name, "9.0")
        upstream.on(f"/files/{filename}.metadata", core)
        entry = {
            "filename": filename,
            "url": file,
            "hashes": {"sha256": hashlib.sha256(data).hexdigest()},
            "core-metadata": {"sha256": hashlib.sha256(core).hexdigest()},
        }
        page = {
            "meta": {"api-version": "1.4"},
            "name": name,
            "versions": ["9.0"],
            "files": [entry | {"size": len(data)}],
        }
        answer = content(json.dumps(page).encode(), Content_Type=JSON, Set_Cookie="world=1", Vary="Accept")
        upstream.on(f"/simple/{name}/", answer)


@contextmanager
def web(
    name: str,
    folder: Path,
    base_path: str,
    upstream: Host,
    *,
    is_proxy: bool,
    url: str = "",
    trusted: Path = SYSTEM_CERTIFICATES,
    **mirror: Any,
) -> Iterator[Web]:
    """Serve a site above an upstream (at its own URL, or another one that leads there)."""
    root = folder / "www"
    site = root / base_path.strip("/")
    site.parent.mkdir(parents=True, exist_ok=True)
    repository = ours(f"{url or upstream.url}/simple/", site={"url": f"https://packages.example.org{base_path}"})
    if mirror:
        repository.mirror("root/pypi", mirror_url=f"{upstream.url}/simple/", **mirror)
    snapshot = repository.snapshot()
    render(snapshot, site, extras=HOSTS[name].files(host_site(snapshot, is_proxy=is_proxy)))
    for path in site.rglob("*"):
        # Apache takes the tag of a file for a weak one in the second after it was written.
        os.utime(path, (_EARLIER, _EARLIER))
    with webserver(name, folder / name, root, base_path, trusted=trusted) as address:
        yield Web(address, upstream, is_proxy, site, name)


_EARLIER = 1_760_000_000
"""Seconds since 1970."""
PROXIES = [name for name in SERVERS if HOSTS[name].cannot_proxy is not None]
WAYS = [(name, way) for name in SERVERS for way in ("redirect", "proxy" if name in PROXIES else "below a path")]


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def served(request: pytest.FixtureRequest) -> Iterator[Web]:
    """Serve a site by each server, in each way: redirecting at the root, as a proxy (if it can be one) below a path."""
    name, way = request.param
    with Host() as upstream, open_folder() as folder:
        fill(upstream)
        base_path = "/" if way == "redirect" else "/py/packages/"
        with web(name, folder, base_path, upstream, is_proxy=way == "proxy") as running:
            yield running


@INSTALLERS
def test_ours_and_what_falls_through_are_installed(served: Web, tools: Tools, install: Callable[..., Any]) -> None:
    done(install(tools, served.simple, "demo"))
    assert target(tools) == {"demo": "1.0", "popular": "9.0"}
    assert origin(tools.home / "target", "demo") == "ours"
    assert origin(tools.home / "target", "popular") == "world"


@INSTALLERS
@pytest.mark.parametrize("name", ["acme-secret", "billing", "denied", "secret"])
def test_what_must_not_fall_through_is_not_installed(
    served: Web, tools: Tools, install: Callable[..., Any], name: str
) -> None:
    assert install(tools, served.simple, name).returncode
    assert f"/simple/{name}/" not in served.upstream.paths


def test_no_upstream_is_asked_for_an_index_without_mirrors(served: Web) -> None:
    assert not served.falls_through("emilie/alone/simple/popular/")
    assert served.falls_through("emilie/dev/simple/popular/")


def spellings(name: str) -> Iterator[str]:
    """Yield paths below an index's `simple/` that could be taken for a project."""
    names = {name, name.upper(), name.title(), name.replace("-", "_"), name.replace("-", "."), name.replace("-", "--")}
    names |= {f"%{ord(name[0]):02x}{name[1:]}", name.replace("-", "%2d"), name.replace("-", "%5F"), f"{name}%20"}
    names |= {f"{name}%00", f"{name}.", f"./{name}", f"%2e/{name}", f"x/../{name}", f"x/%2e%2e/{name}", f"/{name}"}
    names |= {
        f"x%2f..%2f{name}",
        f"..%2fsimple%2f{name}",
        f"../simple/{name}",
        f"{name};x",
        f"{name}%0d%0ax",
        f"\\{name}",
    }
    names |= {f"{name}%252f", f"popular/../{name}", f"popular%2f..%2f{name}", f"%2561{name[1:]}"}
    ends = ["/", "", "//", "/index.html", "/index.json", "/?x=popular", "/#popular", "/.", "/./", "/popular/../", "%2f"]
    ends += ["/%0a", "%0a", "/%0d%0a", "/%00", "/%20", "/%3f", "/;x", "/index.html%0a", "/index.html/"]
    yield from map("".join, itertools.product(sorted(names), ends))


@pytest.mark.parametrize("name", ["acme-secret", "billing", "demo", "zope-interface", "denied", "secret"])
def test_a_name_of_ours_falls_through_in_no_spelling(served: Web, name: str) -> None:
    through = [path for path in spellings(name) if served.falls_through(f"emilie/prod/simple/{path}")]
    assert through == []


@pytest.mark.parametrize("length", [200, 201, 2000])
def test_a_pattern_holds_for_names_of_any_length(served: Web, length: int) -> None:
    assert not served.falls_through(f"emilie/prod/simple/{'acme-'.ljust(length, 'x')}/")


@pytest.mark.parametrize(
    "path",
    [
        *(f"emilie/prod/simple/{name}" for name in ("Popular/", "popular_/", "pop%00ular/", "popular/x/", "-popular/")),
        "emilie/prod/simple/popular/index.html",
        "emilie/nothing/simple/popular/",
        "root/pypi/simple/popular/",
        "simple/popular/",
        ".gitindex/1/popular/",
        ".gitindex/1/acme-secret/",
    ],
)
def test_what_is_no_project_in_normal_form_does_not_fall_through(served: Web, path: str) -> None:
    assert not served.falls_through(path)


def test_a_project_without_a_page_falls_through_in_its_way(served: Web) -> None:
    got = served.get("emilie/prod/simple/popular/?x=y", Accept=PIP, Authorization="Basic eDp5", Cookie="a=b")
    asked = f"{served.upstream.url}/simple/popular/"
    if not served.is_proxy:
        assert (got.status, got.headers["location"]) == (302, asked)
        return
    assert (got.status, got.headers["content-type"]) == (200, JSON)
    assert got.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert got.headers["vary"].startswith("Accept")
    assert "set-cookie" not in got.headers
    told = served.upstream.requests[-1].headers
    assert not {"authorization", "cookie"} & {name.lower() for name in told}
    assert served.upstream.paths[-1] == "/simple/popular/"


def test_what_neither_has_is_not_found(served: Web) -> None:
    got = served.get("emilie/prod/simple/absent/", Accept=PIP)
    if served.is_proxy:
        assert got.status == 404
    else:
        assert got.headers["location"].endswith("/simple/absent/")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (PIP, JSON),
        (UV, JSON),
        (BROWSER, HTML),
        (None, HTML),
        ("*/*", HTML),
        ("", HTML),
        ("image/png", HTML),
        (JSON, JSON),
        (JSON.upper(), JSON),
        ("application/vnd.pypi.simple.latest+json", JSON),
        ("application/vnd.pypi.simple.latest+html", VENDOR_HTML),
        (VENDOR_HTML, VENDOR_HTML),
        (HTML, HTML),
        (f"{HTML}, {JSON}", JSON),
        (f"{HTML}, {JSON};q=0.9", HTML),
        (f"{HTML};q=0.8, {JSON} ; q = 0.9", JSON),
        (f"{HTML};q=0.9, {JSON};q=0.8", HTML),
        (f"{VENDOR_HTML};q=0.9, {JSON};q=0.8", VENDOR_HTML),
        (f"{JSON};q=0.05", JSON),
        (f"{JSON};q=0, {HTML}", HTML),
        (f"{JSON};q=0.000, */*", HTML),
        (f"{JSON};q=1.000, {HTML}", JSON),
        (f"x{JSON}", HTML),
        (f"{JSON}x", HTML),
    ],
)
def test_a_page_has_the_form_that_is_asked_for(served: Web, accept: str | None, expected: str) -> None:
    for path in ("emilie/prod/simple/", "emilie/prod/simple/demo/", "emilie/prod/simple/billing/"):
        got = served.get(path, **({} if accept is None else {"Accept": accept}))
        assert (got.status, got.headers["content-type"].partition(";")[0]) == (200, expected), path
        assert "Accept" in got.headers["vary"].replace(" ", "").split(","), path
        assert got.body.startswith(b"{" if expected == JSON else b"<!DOCTYPE html>"), path
        assert got.headers["cache-control"] == "max-age=0, must-revalidate", path


def test_a_page_is_not_sent_again(served: Web) -> None:
    tags = set()
    for accept in (JSON, HTML):
        first = served.get("emilie/prod/simple/demo/", Accept=accept)
        second = served.get("emilie/prod/simple/demo/", Accept=accept, If_None_Match=first.headers["etag"])
        assert (second.status, second.body) == (304, b"")
        assert second.headers["cache-control"] == "max-age=0, must-revalidate"
        tags.add(first.headers["etag"])
    assert len(tags) == 2


def test_a_page_is_compressed_and_not_sent_again(served: Web) -> None:
    if served.name in ITS_OWN:
        pytest.skip("the host compresses by itself")
    first = served.get("emilie/prod/", Accept_Encoding="gzip")
    assert first.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in first.headers["vary"]
    second = served.get("emilie/prod/", Accept_Encoding="gzip", If_None_Match=first.headers["etag"])
    assert (second.status, second.body) == (304, b"")


def test_head_says_what_get_says(served: Web) -> None:
    for path in ("emilie/prod/simple/demo/", "emilie/prod/", wheel_of(served)):
        got, head = served.get(path, Accept=JSON), served.get(path, "HEAD", Accept=JSON)
        assert (head.status, head.body) == (200, b"")
        lengths = () if served.name in ITS_OWN else ("content-length",)
        for name in ("content-type", "etag", "cache-control", *lengths):
            assert head.headers[name] == got.headers[name]


def wheel_of(served: Web) -> str:
    """Return the path of the wheel of demo."""
    page = json.loads(served.get("emilie/prod/simple/demo/", Accept=JSON).body)
    found: str = page["files"][0]["url"]
    return found.removeprefix("../../../../")


def test_a_stored_file_is_immutable_and_comes_in_parts(served: Web) -> None:
    path = wheel_of(served)
    whole = served.get(path, Accept_Encoding="gzip")
    assert (whole.status, whole.body) == (200, (served.folder / path).read_bytes())
    assert whole.headers["content-type"] == "application/octet-stream"
    assert whole.headers["cache-control"] == "max-age=365000000, immutable"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["etag"]
    assert "content-encoding" not in whole.headers
    part = served.get(path, Range="bytes=10-19", If_Range=whole.headers["etag"])
    expected = (200, whole.body) if served.name in ITS_OWN else (206, whole.body[10:20])
    assert (part.status, part.body) == expected
    core = served.get(f"{path}.metadata")
    assert (core.status, core.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert core.body.startswith(b"Metadata-Version")


def test_a_file_of_a_local_version_is_one_however_its_plus_is_written(served: Web) -> None:
    page = json.loads(served.get("emilie/prod/simple/local/", Accept=JSON).body)
    path = page["files"][0]["url"].removeprefix("../../../../")
    assert "+" in path.replace("%2B", "+")
    for spelling in (path.replace("%2B", "+"), path.replace("+", "%2B")):
        got = served.get(spelling)
        assert (got.status, got.headers["content-type"]) == (200, "application/octet-stream"), spelling
        assert got.headers["cache-control"] == "max-age=365000000, immutable"
        assert got.body == (served.folder / path.replace("%2B", "+")).read_bytes()


def test_an_sdist_is_not_unpacked_on_the_way(served: Web) -> None:
    if served.name in ITS_OWN:
        pytest.skip("files are taken when the site is put up")
    path = f"files/{'0' * 2}/{'0' * 62}/demo-1.0.tar.gz"
    (served.folder / path).parent.mkdir(parents=True)
    (served.folder / path).write_bytes(b"\x1f\x8b" + bytes(2000))
    got = served.get(path, Accept_Encoding="gzip")
    assert (got.status, got.headers["content-type"], len(got.body)) == (200, "application/octet-stream", 2002)
    assert "content-encoding" not in got.headers


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", "text/html; charset=utf-8"),
        ("emilie/prod/", "text/html; charset=utf-8"),
        ("emilie/prod/project/demo/", "text/html; charset=utf-8"),
        ("emilie/prod/feed.xml", "application/atom+xml; charset=utf-8"),
        ("+site/style.css", "text/css; charset=utf-8"),
        ("emilie/prod/simple/demo/index.json", JSON),
        ("emilie/prod/simple/demo/index.html", "text/html; charset=utf-8"),
    ],
)
def test_what_is_for_people_has_its_type(served: Web, path: str, expected: str) -> None:
    got = served.get(path)
    assert (got.status, got.headers["content-type"].lower()) == (200, expected)
    assert got.headers["cache-control"] == "max-age=0, must-revalidate"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in got.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in got.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("emilie/prod/simple/demo", "emilie/prod/simple/demo/"),
        ("emilie/prod/simple", "emilie/prod/simple/"),
        ("emilie/prod", "emilie/prod/"),
        ("emilie/prod/project/demo", "emilie/prod/project/demo/"),
    ],
)
def test_a_missing_slash_is_added(served: Web, path: str, expected: str) -> None:
    got = served.get(path)
    assert got.status in {301, 307, 308}
    location = got.headers["location"]
    assert location in {served.url + expected, urlsplit(served.url).path + expected}


@pytest.mark.parametrize(
    "path",
    [
        ".host/",
        ".gitindex-site",
        "%2ehost/",
        "x/../.host/",
        ".git/config",
        "emilie/",
        "files/",
        "nothing",
        "emilie/prod/simple/Demo/",
        "emilie/prod/simple/demo/nothing",
    ],
)
def test_what_is_not_there_is_not_found(served: Web, path: str) -> None:
    (served.folder / ".git").mkdir(exist_ok=True)
    (served.folder / ".git/config").write_text("secret")
    got = served.get(path)
    assert (got.status, b"Nothing is here" in got.body) == (404, True)
    assert got.headers["x-content-type-options"] == "nosniff"


def test_configurations_are_hidden(served: Web) -> None:
    files = [path.relative_to(served.folder) for path in served.folder.rglob(".host/**/*") if path.is_file()]
    assert files
    assert {served.get(str(path)).status for path in files} == {404}


def test_nothing_but_reading_is_done(served: Web) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert served.get("emilie/prod/", method, Content_Length="0").status in {403, 404, 405, 501}


OPENSSL = """\
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
commonName = localhost
[extensions]
subjectAltName = DNS:localhost
basicConstraints = critical,CA:TRUE
"""


@pytest.fixture(scope="module")
def secure() -> Iterator[tuple[Host, str, Path]]:
    """Run an upstream with TLS; return it, its URL and the certificate that vouches for it."""
    with open_folder() as folder:
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        (folder / "openssl.cnf").write_text(OPENSSL)
        making = [tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        making += ["-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2"]
        making += ["-config", str(folder / "openssl.cnf")]
        subprocess.run(making, check=True, capture_output=True, timeout=60)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        with Host(context) as upstream:
            fill(upstream)
            yield upstream, f"https://localhost:{upstream.netloc.rpartition(':')[2]}", certificate


@pytest.mark.parametrize("name", PROXIES)
def test_an_upstream_is_believed_only_with_its_certificate(secure: tuple[Host, str, Path], name: str) -> None:
    upstream, url, certificate = secure
    with open_folder() as folder, web(name, folder, "/", upstream, is_proxy=True, url=url) as served:
        before = len(upstream.requests)
        assert served.get("emilie/prod/simple/popular/", Accept=PIP).status in {500, 502, 503}
        assert len(upstream.requests) == before
    with (
        open_folder() as folder,
        web(name, folder, "/", upstream, is_proxy=True, url=url, trusted=certificate) as served,
    ):
        got = served.get("emilie/prod/simple/popular/", Accept=PIP)
        assert (got.status, json.loads(got.body)["name"]) == (200, "popular")
        assert upstream.requests[-1].headers["Host"] == url.removeprefix("https://")


@pytest.mark.parametrize("name", SERVERS)
def test_long_lists_are_held(name: str) -> None:
    allow = ["popular", *(f"allowed-{number}" for number in range(3000)), f"long-{'x' * 150}"]
    with Host() as upstream, open_folder() as folder:
        fill(upstream)
        with web(name, folder, "/", upstream, is_proxy=False, allow=allow) as served:
            for project in ("popular", "allowed-2999", allow[-1]):
                assert served.falls_through(f"emilie/prod/simple/{project}/")
            for project in ("dependent", "allowed-3000", "allowed", "denied", "acme-secret", allow[-1][:-1]):
                assert not served.falls_through(f"emilie/prod/simple/{project}/")


@pytest.mark.parametrize("name", PROXIES)
def test_what_becomes_ours_is_ours_at_once(name: str) -> None:
    with Host() as upstream, open_folder() as folder:
        fill(upstream)
        with web(name, folder, "/", upstream, is_proxy=True) as served:
            for _ in range(2):
                assert b"world" not in served.get("emilie/prod/simple/demo/", Accept=PIP).body
                assert upstream.netloc.encode() in served.get("emilie/prod/simple/popular/", Accept=PIP).body
            shutil.copytree(served.folder / "emilie/prod/simple/demo", served.folder / "emilie/prod/simple/popular")
            assert not served.falls_through("emilie/prod/simple/popular/")
            assert upstream.netloc.encode() not in served.get("emilie/prod/simple/popular/", Accept=PIP).body


@pytest.mark.parametrize(("name", "way"), [(name, way) for name, way in WAYS if way in {"redirect", "proxy"}])
def test_ours_stays_when_the_upstream_is_lost(tools: Tools, name: str, way: str) -> None:
    with Host() as upstream, open_folder() as folder:
        fill(upstream)
        with web(name, folder, "/", upstream, is_proxy=way == "proxy") as served:
            done(pip(tools, served.simple, "popular"))
            upstream.__exit__(None, None, None)
            time.sleep(1.1)  # what is kept is not fresh any more
            done(pip(tools, served.simple, "zope.interface"))
            assert target(tools) == {"popular": "9.0", "Zope.Interface": "1.0"}
            if way == "redirect":
                return
            got = served.get("emilie/prod/simple/popular/", Accept=PIP)
            assert got.status == (502 if name == "caddy" else 200)
            if name != "caddy":
                assert json.loads(got.body)["name"] == "popular"
            assert served.get("emilie/prod/simple/dependent/", Accept=PIP).status in {502, 503, 504}


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("code", [401, 403, 429, 500, 503])
def test_a_refusal_of_the_upstream_is_no_absence(shared_refusals: dict[str, Web], name: str, code: int) -> None:
    got = shared_refusals[name].get(f"emilie/prod/simple/refused-{code}/", Accept=PIP)
    assert got.status in ({code, 502} if code < 500 else {code, 502, 503, 504})
    assert got.status != 401 or "www-authenticate" not in got.headers  # nobody sends a password meant for it


@pytest.fixture(scope="module")
def shared_refusals() -> Iterator[dict[str, Web]]:
    """Run a proxy of each kind before an upstream that refuses."""
    with ExitStack() as stack:
        upstream = stack.enter_context(Host())
        for code in (401, 403, 429, 500, 503):
            upstream.on(f"/simple/refused-{code}/", status(code, WWW_Authenticate='Basic realm="world"'))
        running = {}
        for name in PROXIES:
            folder = stack.enter_context(open_folder())
            running[name] = stack.enter_context(web(name, folder, "/", upstream, is_proxy=True))
        yield running
