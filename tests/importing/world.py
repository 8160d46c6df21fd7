"""A simple index on the loopback interface that can be told to lie, and a run that can be killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.hosts import Answer, Host, content
from tests.importing.shown import digest
from tests.upstream.pages import page, projects, sent

TIME = "2024-03-01T12:00:00Z"


class World:
    """A simple index with projects, by whatever its pages are told to state."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.url = f"{host.url}/simple/"
        self._files: dict[str, list[dict[str, Any]]] = {}

    def add(self, project: str, file: tuple[str, bytes], *answers: Answer | bytes, **stated: Any) -> str:
        """List a file, and return its path; *stated* overrides what its page says (``None``: nothing)."""
        filename, data = file
        entry: dict[str, Any] = {
            "filename": filename,
            "url": f"../../files/{filename}",
            "hashes": {"sha256": digest(data)},
            "size": len(data),
            "upload-time": TIME,
            **{key.replace("_", "-"): value for key, value in stated.items()},
        }
        self._files.setdefault(project, []).append({key: value for key, value in entry.items() if value is not None})
        self.host.on(f"/files/{filename}", *(answers or (content(data),)))
        self.show(project)
        return f"/files/{filename}"

    def show(self, project: str, **more: Any) -> None:
        """Let the page of a project, and the list, say what there is."""
        self.host.on(f"/simple/{project}/", sent(page(*self._files.setdefault(project, []), name=project, **more)))
        self.host.on("/simple/", sent(projects(*self._files)))

    def asked_for(self) -> list[str]:
        """Return the paths of the files that were asked for, sorted, and forget them."""
        paths = sorted(path for path in self.host.paths if path.startswith("/files/"))
        self.host.requests.clear()
        return paths


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Run the command line beside the test."""
    command = [sys.executable, "-m", "gitindex", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
