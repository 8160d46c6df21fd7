"""Runs devpi's own client, one command after the other, in a process that imports it once.

Takes a JSON list of arguments on each line of standard input, and answers with the exit code and the output, of
commands that the client itself starts too. It runs in the environment that devpi-client is installed in, and knows
nothing of ours.
"""

import json
import os
import sys
import tempfile
import traceback

from devpi.main import main  # type: ignore[import-not-found] # of the other environment


def run(arguments: list[str]) -> int:
    """Run a command, and return its exit code."""
    try:
        code = main(["devpi", *arguments])
    except SystemExit as stop:
        code = stop.code
    except Exception:  # noqa: BLE001 - as an uncaught one would end it
        traceback.print_exc()
        return 1
    return code if isinstance(code, int) else 0 if code is None else 1


def captured(arguments: list[str]) -> tuple[int, str]:
    """Run a command, and return its exit code and what it and its children wrote."""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(1), os.dup(2)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            code = run(arguments)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in zip((1, 2), kept, strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)
        file.seek(0)
        return code, file.read().decode("utf-8", "replace")


for line in sys.stdin:
    words = json.loads(line)
    if words[0] == "cd":
        os.chdir(words[1])
    code, output = captured(words) if words[0] != "cd" else (0, "")
    sys.stdout.write(json.dumps([code, output]) + "\n")
    sys.stdout.flush()
