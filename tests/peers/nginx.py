"""A real nginx with the configuration of docs/how-to/deploy.md, in front of a server."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.pages import free_port
from tests.peers.doors import ROOT
from tests.peers.foreign import listens
from tests.peers.serving import WAIT, Got, eventually, get
from tests.peers.tools import Tools

TEXT = (ROOT / "docs/how-to/deploy.md").read_text(encoding="utf-8")
BLOCKS: dict[str, list[str]] = {
    kind: re.findall(rf"^```{kind}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE) for kind in ("ini", "nginx", "sh")
}


def tool(name: str) -> str:
    """Return the path of a program of the system, or skip the test; on a build machine it has to be there."""
    found: str | None = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))
    if found is None:
        assert "CI" not in os.environ, f"{name} is missing"
        pytest.skip(f"{name} is not installed")
    return found


@dataclass(frozen=True)
class Proxy:
    """An nginx that runs."""

    url: str
    certificate: Path
    cache: Path

    def get(
        self, path: str, method: str = "GET", source: str | None = None, body: bytes | None = None, **headers: str
    ) -> Got:
        context = ssl.create_default_context(cafile=str(self.certificate))
        return get(f"{self.url}{path}", method, source, context, body, **headers)

    def simple(self, index: str) -> str:
        return f"{self.url}/{index}/simple/"

    def tools(self, home: Path) -> Tools:
        """Return tools that trust the certificate, with caches and a home of their own."""
        home.mkdir()
        trusted = str(self.certificate)
        return Tools(home, {"PIP_CERT": trusted, "SSL_CERT_FILE": trusted})


def filled_in(folder: Path, port: int, server: int, replaced: dict[str, str]) -> str:
    """Return the configuration of the page with ports, folders and a certificate."""
    places = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "    listen [::]:443 ssl;\n": "",
        "server 127.0.0.1:3141;": f"server 127.0.0.1:{server};",
        "/etc/nginx/packages.example.org.pem": str(folder / "certificate.pem"),
        "/etc/nginx/packages.example.org.key": str(folder / "certificate.key"),
        "/var/cache/gitindex-nginx": str(folder / "cache"),
        **replaced,
    }
    text = BLOCKS["nginx"][0]
    for old, new in places.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


MAIN = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    gzip on;
    gzip_proxied any;
    gzip_types *;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/gitindex.conf;
}}
"""


OPENSSL = """\
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
commonName = 127.0.0.1
[extensions]
subjectAltName = IP:127.0.0.1
basicConstraints = critical,CA:FALSE
keyUsage = digitalSignature
"""


@contextmanager
def nginx(folder: Path, server: str, **replaced: str) -> Iterator[Proxy]:
    """Run nginx in front of a server that is at a URL."""
    program = tool("nginx")
    folder.mkdir()
    certificate = folder / "certificate.pem"
    (folder / "openssl.cnf").write_text(OPENSSL)
    making = [tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    making += ["-keyout", str(folder / "certificate.key"), "-out", str(certificate), "-days", "2"]
    making += ["-config", str(folder / "openssl.cnf")]
    subprocess.run(making, check=True, capture_output=True, timeout=60)
    port = free_port()
    (folder / "gitindex.conf").write_text(filled_in(folder, port, urlsplit(server).port or 0, replaced))
    # As root it would give its work to a user who may not enter the folders of tests.
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user="user root;" if os.geteuid() == 0 else ""))
    starting = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    process = subprocess.Popen(starting, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        eventually(lambda: process.poll() is not None or listens(port), "nginx does not start")
        assert process.poll() is None, (process.communicate()[1], (folder / "error.log").read_text())
        yield Proxy(f"https://127.0.0.1:{port}", certificate, folder / "cache")
        said = (folder / "error.log").read_text()
        assert not re.search(r"\[(?:alert|crit|emerg)\]", said), said
    finally:
        process.terminate()
        process.communicate(timeout=WAIT)
