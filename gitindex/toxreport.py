"""Tox's report as devpi takes and gives it: results of tests are read from one, and told in the shape of one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from gitindex.errors import UsageError
from gitindex.model import TestRun

_MOST_ENVIRONMENTS = 100
_CODE = re.compile(r"-?[0-9]{1,10}", re.ASCII)
"""How a command ended: devpi has it as text."""
_PACKAGING = ".pkg"
"""What the environments are called in which tox builds: nothing is tested there."""
_LONGEST = 10_000_000.0
"""Seconds; more is no duration of tests."""


def runs_in(report: bytes, sha256: str, now: datetime) -> list[dict[str, Any]]:
    """Return the results in a report on the file with that *sha256*, as `<version>.tests.json` lists them.

    Raises:
        UsageError: it is no report of tox.

    """
    try:
        value = json.loads(report)
    except (ValueError, RecursionError):
        raise UsageError("the result is no JSON") from None
    environments = value.get("testenvs") if isinstance(value, dict) else None
    if not isinstance(environments, dict):
        raise UsageError("the result is no report of tox: it has no testenvs")
    if len(environments) > _MOST_ENVIRONMENTS:
        raise UsageError(f"the result has more than {_MOST_ENVIRONMENTS} environments")
    time = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    log = hashlib.sha256(report).hexdigest()
    runs = [
        {
            "environment": name,
            "outcome": _outcome(name, said),
            "duration": _duration(said),
            "time": time,
            "files": [sha256],
            "log": log,
        }
        for name, said in environments.items()
        if not name.startswith(_PACKAGING)
    ]
    if not runs:
        raise UsageError("the result has no environment in which anything was tested")
    return runs


def _outcome(name: str, said: Any) -> str:
    if not isinstance(said, dict):
        raise UsageError(f"the result says nothing of the environment {name!r}")
    codes = {step: list(_codes(said.get(step, []), name)) for step in ("setup", "test")}
    if any(codes["setup"]):
        return "error"
    result = said.get("result")
    is_success = result.get("success") if isinstance(result, dict) else None
    if any(codes["test"]) or is_success is False:
        return "failed"
    # Where nothing was run nothing has passed, whatever tox says of it.
    return "passed" if codes["test"] else "error"


def _codes(commands: Any, name: str) -> Iterator[int]:
    for command in commands if isinstance(commands, list) else [None]:
        code = command.get("retcode") if isinstance(command, dict) else None
        if isinstance(code, str) and _CODE.fullmatch(code):
            code = int(code)
        if not isinstance(code, int):
            raise UsageError(f"the result does not say how the commands of {name!r} ended")
        yield code


def _duration(said: Mapping[str, Any]) -> float:
    result = said.get("result")
    duration = result.get("duration") if isinstance(result, dict) else None
    if isinstance(duration, bool) or not isinstance(duration, (int, float)) or not 0 <= duration <= _LONGEST:
        return 0.0  # what tox 3 and devpi's own reports do not say
    return round(float(duration), 1)


def report_of(run: TestRun) -> bytes:
    """Return what is recorded of a run in the shape of tox's report; what commands printed is not kept."""
    is_set_up = run.outcome != "error"
    setup = {"command": [], "output": "", "retcode": "0" if is_set_up else "1"}
    test = {"command": [], "output": "", "retcode": "0" if run.outcome == "passed" else "1"}
    report = {
        "reportversion": "1",
        "toxversion": "",
        "platform": "",
        "host": "",
        "testenvs": {
            run.environment: {
                "setup": [setup],
                "test": [test] if is_set_up else [],
                "result": {"success": run.outcome == "passed", "duration": run.duration},
            }
        },
    }
    return json.dumps(report, indent=1).encode()
