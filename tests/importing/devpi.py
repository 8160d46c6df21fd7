"""A real devpi-server on the loopback interface, and what fills it: `make peers`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from tests.builders import make_sdist, make_wheel, make_zip
from tests.devpi import servers
from tests.devpi.servers import init_devpi, run_devpi
from tests.importing.shown import digest

ROOT_PASSWORD = "root-password"
JSON = {"Accept": "application/json"}


class Devpi:
    """A devpi-server that runs."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self._http = requests.Session()
        self._http.trust_env = False

    def get(self, path: str, accept: str = "application/json") -> Any:
        answer = self._http.get(f"{self.url}{path}", headers={"Accept": accept}, timeout=30)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
        return answer.json()

    def put(self, path: str, by: str, **values: Any) -> None:
        """Make a user, or an index, by the user *by*."""
        self._ok(self._http.put(f"{self.url}{path}", json=values, headers=JSON, auth=_login(by), timeout=30))

    def user(self, name: str, **values: Any) -> None:
        self.put(f"/{name}", "root", password=f"{name}-password", **values)

    def index(self, name: str, **values: Any) -> None:
        self.put(f"/{name}", name.partition("/")[0], **values)

    def upload(self, index: str, file: tuple[str, bytes], name: str, version: str, **fields: str) -> str:
        """Upload a file as its owner, and return its URL."""
        owner = fields.pop("by", index.partition("/")[0])
        form = {":action": "file_upload", "name": name, "version": version, **fields}
        answer = self._http.post(
            f"{self.url}/{index}/", data=form, files={"content": file}, auth=_login(owner), timeout=60
        )
        self._ok(answer)
        sha256 = digest(file[1])
        return f"{self.url}/{index}/+f/{sha256[:3]}/{sha256[3:16]}/{file[0]}"

    def post(self, path: str, by: str, data: Mapping[str, Any]) -> None:
        self._ok(self._http.post(f"{self.url}{path}", json=data, headers=JSON, auth=_login(by), timeout=30))

    def test_result(self, url: str, result: Mapping[str, Any]) -> None:
        self._ok(self._http.post(url, data=json.dumps(result), headers=JSON, timeout=30))

    def docs(self, index: str, name: str, version: str, data: bytes) -> None:
        form = {":action": "doc_upload", "name": name, "version": version}
        files = {"content": (f"{name}.zip", data)}
        owner = index.partition("/")[0]
        self._ok(self._http.post(f"{self.url}/{index}/", data=form, files=files, auth=_login(owner), timeout=30))

    def simple(self, index: str) -> dict[str, dict[str, str]]:
        """Return the files that the simple pages of an index list, with their sha256, by project."""
        accept = "application/vnd.pypi.simple.v1+json"
        names = [each["name"] for each in self.get(f"/{index}/+simple/", accept)["projects"]]
        pages = {name: self.get(f"/{index}/+simple/{name}/", accept) for name in names}
        return {
            name: {file["filename"]: file["hashes"]["sha256"] for file in page["files"]}
            for name, page in pages.items()
            if page["files"]
        }

    @staticmethod
    def _ok(answer: requests.Response) -> None:
        assert answer.status_code in {200, 201}, (answer.url, answer.status_code, answer.reason, answer.text[:500])

    def close(self) -> None:
        self._http.close()


def _login(user: str) -> tuple[str, str]:
    return user, f"{user}-password"


DEMO, DEMO_SDIST = make_wheel("demo", "1.0", requires_python=">=3.9"), make_sdist("demo", "1.0")
DEMO_TOO, NEWER = make_wheel("demo", "1.1"), make_wheel("demo", "2.0")
DOTTED = make_wheel("Dotted.Name", "1.0")
RESULT = {
    "reportversion": "1",
    "toxversion": "4.30",
    "platform": "linux",
    "host": "builder",
    "installpkg": {"basename": DEMO[0], "sha256": digest(DEMO[1])},
    "testenvs": {
        "py311": {
            "test": [{"command": "pytest", "retcode": 0, "output": "1 passed"}],
            "setup": [],
            "result": {"duration": 1.5},
        },
        "py312": {"test": [{"command": "pytest", "retcode": 1, "output": "1 failed"}], "setup": []},
        "docs": {"test": [], "setup": [{"command": "pip install x", "retcode": 1, "output": "no"}]},
    },
}
"""What devpi-client posts of a run of tox."""


def fill(devpi: Devpi) -> None:
    """Put everything into a devpi-server that it is used for, and what gitindex refuses."""
    devpi.user("emilie", email="emilie@example.org", title="Emilie Example", custom_data="x")
    devpi.user("bob")
    devpi.user("Carla", email="carla@example.org")
    devpi.put("/root/pypi", "root", type="mirror", mirror_url="https://packages.example.org/simple/", volatile=False)
    devpi.index("emilie/prod", volatile=False, bases=["root/pypi"], acl_upload=["emilie", "bob", ":AUTHENTICATED:"])
    devpi.index("emilie/dev", bases=["emilie/prod"], title="Where we work", mirror_whitelist=["Demo"])
    devpi.index("emilie/stable", volatile=False, bases=["emilie/dev"], custom_data="y")
    devpi.index("bob/team", bases=["emilie/stable"], acl_upload=["bob", "gone"])
    devpi.index("Carla/Mixed", bases=["emilie/dev"])
    url = devpi.upload("emilie/dev", DEMO, "demo", "1.0")
    devpi.upload("emilie/dev", DEMO_SDIST, "demo", "1.0")
    devpi.upload("emilie/dev", DOTTED, "Dotted.Name", "1.0")
    devpi.test_result(url, RESULT)
    devpi.docs("emilie/dev", "demo", "1.0", make_zip([("index.html", b"<p>docs</p>")]))
    devpi.post("/emilie/dev", "emilie", {"name": "demo", "version": "1.0", "targetindex": "emilie/prod"})
    devpi.upload("emilie/prod", NEWER, "demo", "2.0", by="bob")
    devpi.upload("bob/team", DEMO_TOO, "demo", "1.1")
    devpi.upload("Carla/Mixed", make_wheel("own", "1.0"), "own", "1.0")
    devpi.upload("emilie/dev", ("broken-1.0-py3-none-any.whl", b"no zip"), "broken", "1.0")
    devpi.upload("emilie/dev", ("banana-x.tar.gz", b"no tar"), "banana", "x")


@contextlib.contextmanager
def devpi_server(folder: Path, *, imported: Path | None = None, data: Path | None = None) -> Iterator[Devpi]:
    """Run a devpi-server; its *data* may be there already, and are those of an export where one is *imported*."""
    folder.mkdir(parents=True, exist_ok=True)
    data = data or folder / "server"
    if imported is not None:
        run_devpi("devpi-import", "--serverdir", data, imported)
    elif not data.exists():
        init_devpi(data, ROOT_PASSWORD)
    with servers.devpi_server(data, folder / "server.log") as url, contextlib.closing(Devpi(url, folder)) as devpi:
        yield devpi
