"""GI214 and GI305: results of tests stay, and an index that wants them takes no file without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from gitindex import layout
from gitindex.compare import Change
from gitindex.differences import ProjectChange, differs_in_content, folder_of
from gitindex.documents import Unreadable
from gitindex.finding import Severity
from gitindex.model import Manifest, WantedTests
from gitindex.names import version_key
from gitindex.rules.hints import or_restore
from gitindex.rules.rule import Hit, Rule

if TYPE_CHECKING:
    from gitindex.names import ProjectName
    from gitindex.snapshot import Snapshot


def results_are_kept(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """The results of tests of a non-volatile index are only ever added to.

    What was released because of a result can be asked for that result as long as the release is there. So a failed run
    stays as well: a later one of the same environment counts instead of it. The order of results is no fact. Results
    that could not be read are mended by an admin, as manifests are (GI211).
    """
    if project.before is None or not change.is_frozen(project.index) or change.head.index(project.index) is None:
        return
    for version in project.tested_versions:
        before = project.before.results(version)
        after = project.after.results(version) if project.after else None
        if before is None or (after is None and _is_release_lost(project, version)):
            continue
        path = layout.results_path(project.index, project.name, version)
        help_ = or_restore("results are only added to: put the next one behind them", change, path)
        if isinstance(before, Unreadable):
            name = version + layout.RESULTS_SUFFIX
            is_changed = differs_in_content(folder_of(project.before), folder_of(project.after), name)
            if is_changed and not change.is_by_admin:
                advice = "let an admin compare it with the history and do it (gitindex validate --actor ADMIN)"
                message = "it could not be read in the base, and is changed"
                yield Hit(path, message, or_restore(advice, change, path))
        elif not isinstance(after, tuple):
            what = "removed" if after is None else "made unreadable"
            yield Hit(path, f"the test results of {project.name} {version} are {what}", help_)
        else:
            for run in Counter(before) - Counter(after):
                message = f"the result of {run.environment!r} ({run.outcome}, {run.time}) is removed or changed"
                yield Hit(path, message, help_)


def _is_release_lost(project: ProjectChange, version: str) -> bool:
    """Tell whether the manifest is lost as well: other rules speak of that (GI202, GI203)."""
    return project.after is None or project.after.release(version) is None


def files_are_tested(change: Change, project: ProjectChange) -> Iterator[Hit]:
    """A file that comes into an index with `require_tests` has passed its tests.

    With `require_tests = true` it has passed in some environment, with a list of environments in each of them. Results
    stand beside the manifest, in `<version>.tests.json`, and count from every index of the repository that has one of
    the same project and version, those that the change brings included: so a release is tested where it was uploaded,
    and then pushed. A result is one of the very bytes, by their sha256. Of several of one environment the newest
    counts, and of two of the same time the one that did not pass.

    What it trusts: those who may release to any index of the repository, since these write results. Whether the tests
    ran, and what they test, nobody can tell from here. Whether an index wants results is asked of the base, where that
    has the index; files that it had before it wanted them stay, as do all of those of a repository that is new here.
    """
    demands = change.demands(project.index)
    if project.after is None or demands is None or not (wanted := demands.require_tests):
        return
    for release in project.releases:
        if not isinstance(release.after, Manifest) or (isinstance(release.before, Unreadable) and change.is_by_admin):
            continue
        old = release.before.files if isinstance(release.before, Manifest) else ()
        known = {(file.filename, file.hashes.sha256) for file in old}
        new = [
            (place, file)
            for place, file in enumerate(release.after.files)
            if (file.filename, file.hashes.sha256) not in known
        ]
        outcomes = _newest(change.head, project.name, release.version) if new else {}
        path = project.after.manifest_path(release.version)
        for place, file in new:
            if (problem := _lacking(wanted, outcomes.get(file.hashes.sha256, {}))) is not None:
                line = change.head.line_of(path, ("files", place, "filename"))
                message = f"{file.filename} {problem}, and {project.index} requires tests"
                yield Hit(path, message, or_restore(_help(project.name, release.version), change, path), line)


def _help(project: ProjectName, version: str) -> str:
    test = f"gitindex test {project}=={version} --index USER/INDEX"
    return f"release it to an index that requires none, have its tests run there ({test}), and push it from there"


class _Newest(NamedTuple):
    time: datetime
    is_failed: bool


def _newest(head: Snapshot, project: ProjectName, version: str) -> Mapping[str, Mapping[str, _Newest]]:
    """Return what came last of each environment, by the sha256 of what was tested, in all indexes."""
    key = version_key(version)
    found: dict[str, dict[str, _Newest]] = {}
    for name in head.index_names():
        index = head.index_folder(name)
        opened = index.project(project) if index else None
        for tested in opened.tested_versions() if opened else ():
            results = opened.results(tested) if opened and version_key(tested) == key else None
            for run in results if isinstance(results, tuple) else ():
                outcome = _Newest(datetime.fromisoformat(run.time), run.outcome != "passed")
                for sha256 in run.files:
                    of_file = found.setdefault(sha256, {})
                    of_file[run.environment] = max(outcome, of_file.get(run.environment, outcome))
    return found


def _lacking(wanted: WantedTests, outcomes: Mapping[str, _Newest]) -> str | None:
    """Say what a file lacks whose newest results are *outcomes*; ``None`` where it has all that is wanted."""
    passed = {environment for environment, newest in outcomes.items() if not newest.is_failed}
    failed = sorted(outcomes.keys() - passed)
    if isinstance(wanted, bool):
        if passed:
            return None
        return f"did not pass its tests in {', '.join(failed)}" if failed else "has no test result"
    missing = [environment for environment in wanted if environment not in passed]
    if not missing:
        return None
    verb = "did not pass its tests in" if not set(missing).isdisjoint(failed) else "has no passed test result in"
    return f"{verb} {', '.join(missing)}"


RULES = (
    Rule(
        "GI214",
        Severity.ERROR,
        "a test result of a non-volatile index removed or changed",
        (ProjectChange,),
        results_are_kept,
    ),
    Rule(
        "GI305",
        Severity.ERROR,
        "a file without a passed test result in an index with require_tests",
        (ProjectChange,),
        files_are_tested,
    ),
)
