"""The hook `proc-receive` of a server with AGit: it makes a request of what is pushed to `refs/for/`, and tells so.

It is run by git itself; what it is told goes to the file that is its first argument.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SAME = "new commit is same with old commit"


def _lines() -> Iterator[bytes]:
    while (size := int(sys.stdin.buffer.read(4), 16)) > 0:
        yield sys.stdin.buffer.read(size - 4).rstrip(b"\n")


def _say(*lines: str) -> None:
    for line in lines:
        data = line.encode()
        sys.stdout.buffer.write(b"%04x" % (len(data) + 4) + data)
    sys.stdout.buffer.write(b"0000")
    sys.stdout.buffer.flush()


def main() -> None:
    """Speak the protocol of git-receive-pack and its hook, version 1."""
    list(_lines())
    _say("version=1\0push-options\n")
    commands = [line.decode().split(" ") for line in _lines()]
    options = [line.decode() for line in _lines()]
    with Path(sys.argv[1]).open("a", encoding="utf-8") as log:
        log.write(json.dumps({"commands": commands, "options": options}) + "\n")
    _, new, name = commands[0]
    request = "refs/pull/1/head"
    old = subprocess.run(["git", "rev-parse", "--verify", "-q", request], capture_output=True, text=True, check=False)
    if old.stdout.strip() == new:
        _say(f"ng {name} {SAME}\n")
        return
    environment = {key: value for key, value in os.environ.items() if key != "GIT_QUARANTINE_PATH"}
    subprocess.run(["git", "update-ref", request, new], check=True, env=environment)
    sys.stderr.write("\nVisit the existing pull request:\n  https://gitea.example.org/emilie/packages/pulls/1\n\n")
    _say(f"ok {name}\n", f"option refname {request}\n")


if __name__ == "__main__":
    main()
