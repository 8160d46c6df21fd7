"""Runs the tests of a release, which are in its sdist, against the index that it was released to."""

from gitindex.testing.fetching import Sources, fetch
from gitindex.testing.running import Run, Wanted, run_tests

__all__ = ["Run", "Sources", "Wanted", "fetch", "run_tests"]
