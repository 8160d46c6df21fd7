"""Real web servers that serve a site as docs/how-to/hosts.md says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.pages import free_port
from tests.peers.doors import ROOT
from tests.peers.foreign import listens
from tests.peers.nginx import tool
from tests.peers.serving import WAIT, eventually
from tests.sites import node_file

TEXT = (ROOT / "docs/how-to/hosts.md").read_text(encoding="utf-8")
IS_ROOT = os.geteuid() == 0
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def _block(kind: str, replaced: Mapping[str, str]) -> str:
    """Return the example of the page, with other places in it."""
    (text,) = re.findall(rf"^```{kind}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    for old, new in replaced.items():
        assert old in text, old
        text = text.replace(old, new)
    assert isinstance(text, str)
    return text


def _nginx(folder: Path, root: Path, port: int) -> list[str]:
    example = _block(
        "nginx",
        {
            "listen 443 ssl;": f"listen 127.0.0.1:{port};",
            "    ssl_certificate /etc/nginx/packages.example.org.pem;\n": "",
            "    ssl_certificate_key /etc/nginx/packages.example.org.key;\n": "",
            "/srv/www/.host/nginx": str(folder / "host"),
            "root /srv/www;": f"root {root};",
        },
    )
    temporary = "".join(f"{name}_temp_path {folder}/{name};\n" for name in _NGINX_TEMPORARY)
    (folder / "server.conf").write_text(
        # As root it would give its work to a user who may not enter the folders of tests.
        f"{'user root;' if IS_ROOT else ''}\ndaemon off;\nworker_processes 1;\npid {folder}/pid;\n"
        f"error_log {folder}/error.log warn;\nevents {{ worker_connections 256; }}\nhttp {{\naccess_log off;\n"
        f"{temporary}{example}}}\n"
    )
    return [tool("nginx"), "-p", str(folder), "-c", str(folder / "server.conf"), "-e", str(folder / "error.log")]


_NGINX_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def _caddy(folder: Path, root: Path, port: int) -> list[str]:
    example = _block(
        "caddy",
        {
            "packages.example.org": f"http://127.0.0.1:{port}",
            "/srv/www/.host/caddy": str(folder / "host"),
            "root * /srv/www": f"root * {root}",
        },
    )
    (folder / "Caddyfile").write_text(f"{{\n    admin off\n}}\n{example}")
    return [tool("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def _apache(folder: Path, root: Path, port: int) -> list[str]:
    example = _block(
        "apache",
        {
            "*:443": f"127.0.0.1:{port}",
            "https://packages.example.org": f"http://127.0.0.1:{port}",
            "    SSLEngine on\n": "",
            "    SSLCertificateFile /etc/apache2/packages.example.org.pem\n": "",
            "    SSLCertificateKeyFile /etc/apache2/packages.example.org.key\n": "",
            "/srv/www/.host/apache": str(folder / "host"),
            "/srv/www": str(root),
        },
    )
    modules = Path("/usr/lib/apache2/modules")
    loaded = "".join(f"LoadModule {name}_module {modules}/mod_{name}.so\n" for name in _APACHE_MODULES)
    user = "User #65534\nGroup #65534\n" if IS_ROOT else ""  # it refuses to work as root
    (folder / "cache").mkdir()
    (folder / "cache").chmod(0o777)
    (folder / "server.conf").write_text(
        f"{loaded}ServerRoot {folder}\nPidFile {folder}/pid\nErrorLog {folder}/error.log\nListen 127.0.0.1:{port}\n"
        f"ServerName 127.0.0.1\nMutex file:{folder}\nDefaultRuntimeDir {folder}\nTypesConfig /etc/mime.types\n"
        # As some systems have it: it would have clients unpack what they download.
        f"AddEncoding x-gzip .gz .tgz\nCacheRoot {folder}/cache\n{user}{example}"
    )
    return [tool("apache2"), "-X", "-f", str(folder / "server.conf")]


_APACHE_MODULES = (
    *("mpm_event", "authz_core", "mime", "dir", "alias", "headers", "rewrite", "setenvif", "filter", "deflate"),
    *("ssl", "socache_shmcb", "proxy", "proxy_http", "cache", "cache_disk"),
)


def _cloudflare(folder: Path, root: Path, port: int) -> list[str]:
    """Run the Worker by Cloudflare's own runtime, over the assets that its own code takes from the folder."""
    (host,) = root.rglob(".host/cloudflare")
    wrangler = tomllib.loads((host / "wrangler.toml").read_text(encoding="utf-8"))
    (folder / "wrangler.json").write_text(json.dumps(wrangler))
    script = Path(__file__).parent / "miniflare.mjs"
    arguments = [str(script), str(port), str(folder / "wrangler.json"), str(host)]
    return ["env", f"MINIFLARE={node_file('miniflare').parent}", tool("node"), *arguments]


SERVERS: Mapping[str, Callable[[Path, Path, int], list[str]]] = {
    "nginx": _nginx,
    "caddy": _caddy,
    "apache": _apache,
    "cloudflare": _cloudflare,
}


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder that all may enter, and remove it: those of pytest are closed to who is no root any more."""
    with TemporaryDirectory(prefix="gitindex-hosts-") as name:
        Path(name).chmod(0o755)
        closed = [str(parent) for parent in Path(name).parents if not parent.stat().st_mode & 0o001]
        assert not closed, f"the servers are not root and cannot enter {closed}: chmod it, or name another TMPDIR"
        yield Path(name)


@contextmanager
def webserver(
    name: str, folder: Path, root: Path, base_path: str, *, trusted: Path = SYSTEM_CERTIFICATES
) -> Iterator[str]:
    """Run a server for a site that lies at a path below its root; yield the address of the site, ending in ``/``.

    Upstreams are believed whose certificate *trusted* vouches for.
    """
    folder.mkdir()
    port = free_port()
    (folder / "host").mkdir()
    for path in (root / base_path.strip("/") / ".host" / name).iterdir():
        text = path.read_text(encoding="utf-8")
        for old, new in {
            "/var/cache/gitindex-pages": f"{folder}/cache",
            f"trusted_certificate {SYSTEM_CERTIFICATES}": f"trusted_certificate {trusted}",
            "CACertificatePath /etc/ssl/certs": f"CACertificateFile {trusted}",
        }.items():
            text = text.replace(old, new)
        (folder / "host" / path.name).write_text(text, encoding="utf-8")
    command = SERVERS[name](folder, root, port)
    environment = {"HOME": str(folder), "PATH": os.environ.get("PATH", os.defpath), "SSL_CERT_FILE": str(trusted)}
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        eventually(lambda: process.poll() is not None or listens(port), f"{name} does not start")
        assert process.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}{base_path}"
        if (said := folder / "error.log").exists() and name == "nginx":
            assert not re.search(r"\[(?:warn|alert|crit|emerg)\](?!.* map_hash_max_size)", said.read_text()), (
                said.read_text()
            )
    finally:
        process.terminate()
        process.wait(WAIT)
