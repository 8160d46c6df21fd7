"""What tox reports of a run, in the words of `<version>.tests.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from gitindex.importers.reading import a_list, a_mapping
from gitindex.names import Sha256

_LONGEST_NAME = 200
_LONGEST_RUN = 1e9
_MOST_ENVIRONMENTS = 100

Outcome = Literal["passed", "failed", "error"]


def runs_of(report: Mapping[str, Any], *, time: str, log: str) -> Iterator[dict[str, Any]]:
    """Yield the runs of a report, an environment each, without the files that were tested; *log* is its sha256."""
    for name, environment in [*a_mapping(report.get("testenvs")).items()][:_MOST_ENVIRONMENTS]:
        if name and len(name) <= _LONGEST_NAME and name.isprintable() and not name.startswith("."):
            stated = a_mapping(environment)
            yield {
                "environment": name,
                "outcome": _outcome(stated),
                "duration": _duration(stated),
                "time": time,
                "log": log,
            }


def is_about(report: Mapping[str, Any], sha256: Sha256 | None) -> bool:
    """Tell whether a report is, as far as it says, one of the very bytes."""
    stated = a_mapping(report.get("installpkg")).get("sha256")
    return not isinstance(stated, str) or sha256 is None or stated.lower() == sha256


def _outcome(environment: Mapping[str, Any]) -> Outcome:
    """Say what an environment came to: tests failed where commands ran, and anything else is an error."""
    setup, tests = _codes(environment.get("setup")), _codes(environment.get("test"))
    if any(setup) or not tests:
        return "error"
    success = a_mapping(environment.get("result")).get("success")
    return "failed" if any(tests) or success is False else "passed"


def _codes(commands: object) -> list[int]:
    """Return the exit codes of commands; what states none is none that succeeded."""
    found = (a_mapping(command).get("retcode") for command in a_list(commands))
    return [int(code) if isinstance(code, int) else 1 for code in found]


def _duration(environment: Mapping[str, Any]) -> float:
    """Return the seconds that it took, 0 where it does not say."""
    whole = a_mapping(environment.get("result")).get("duration")
    parts = (a_mapping(command).get("elapsed") for command in a_list(environment.get("test")))
    stated = [whole] if whole is not None else [*parts]
    numbers = [float(each) for each in stated if isinstance(each, int | float) and 0 <= each < _LONGEST_RUN]
    return round(min(sum(numbers), _LONGEST_RUN - 1), 3)
