"""Which warnings a repository accepts, and GI408: a waiver that no longer applies.

Waivers are policy, and policy is the base's: a change cannot accept its own warnings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitindex import layout
from gitindex.compare import Change
from gitindex.differences import differing
from gitindex.finding import Finding, Judgement, Severity
from gitindex.model import Settings, Waiver
from gitindex.rules.rule import Hit, Rule
from gitindex.snapshot import Snapshot
from gitindex.tree import Folder

CODE = "GI408"
_DEEPEST = 3
"""How many folders the layout has below `indexes/`: user, index, project."""


def waivers_of(snapshot: Snapshot) -> tuple[Waiver, ...]:
    """Return the waivers of a revision; none where its settings cannot be read."""
    settings = snapshot.settings_or_problem
    return settings.waivers if isinstance(settings, Settings) else ()


def waives(waiver: Waiver, finding: Finding) -> bool:
    """Tell whether a waiver, while it lasts, accepts a finding: a warning of that rule at that path."""
    from gitindex.globs import matches  # noqa: PLC0415 - few repositories have waivers

    is_about = finding.severity is Severity.WARNING and finding.code == waiver.rule != CODE
    return is_about and matches(waiver.path, finding.path)


def has_ended(waiver: Waiver, change: Change) -> bool:
    """Tell whether the last day of a waiver is over."""
    return change.today is not None and change.today > waiver.until


def judged(change: Change, findings: Iterable[Finding]) -> Judgement:
    """Return the findings, and apart those that a waiver accepts; the head's count where there is no base."""
    waivers = [waiver for waiver in waivers_of(change.policy) if not has_ended(waiver, change)]
    told: list[Finding] = []
    waived: list[Finding] = []
    for finding in findings:
        is_waived = any(waives(waiver, finding) for waiver in waivers)
        (waived if is_waived else told).append(finding)
    return Judgement(tuple(told), tuple(waived))


def waiver_applies(change: Change, judgement: Judgement) -> Iterator[Hit]:
    """Each waiver still applies.

    A waiver accepts a warning for a time: `[[waivers]]` in `gitindex.toml`, with `rule`, `path`, `reason` and `until`,
    in force once it is merged. After its last day somebody looks at the reason again, and either removes the waiver or
    gives it another day. Where nothing has its path any more it would accept what comes there next, which nobody has
    looked at. It is told when the waiver was needed, when the settings are changed, when its path is removed, or when
    everything is checked. This warning cannot be waived itself.
    """
    waivers = waivers_of(change.head)
    for place, waiver in enumerate(waivers):
        is_needed = any(waives(waiver, finding) for finding in judgement.findings)
        if has_ended(waiver, change) and (is_needed or change.touches_settings):
            message = f"the waiver of {waiver.rule} for {waiver.path!r} ended on {waiver.until}"
            yield _hit(change, place, message, "remove it; or move `until`, if its reason still holds")
    lasting = [
        (place, waiver)
        for place, waiver in enumerate(waivers)
        if not has_ended(waiver, change) and not any(waives(waiver, finding) for finding in judgement.waived)
    ]
    for place, waiver in _without_a_place(change, lasting):
        message = f"the waiver of {waiver.rule} for {waiver.path!r} matches nothing that is there"
        yield _hit(change, place, message, "remove it, or correct its path")


def _hit(change: Change, place: int, message: str, help_: str) -> Hit:
    return Hit(layout.SETTINGS, message, help_, change.head.line_of(layout.SETTINGS, ("waivers", place)))


def _without_a_place(change: Change, waivers: list[tuple[int, Waiver]]) -> Iterator[tuple[int, Waiver]]:
    """Yield the waivers whose path the head does not have, but for those that the change adds: theirs may come next."""
    if not waivers:
        return
    from gitindex.globs import matches, without_match  # noqa: PLC0415

    if change.has_base:
        known = {(waiver.rule, waiver.path) for waiver in waivers_of(change.base)}
        waivers = [(place, waiver) for place, waiver in waivers if (waiver.rule, waiver.path) in known]
    if waivers and not change.touches_settings:
        gone = list(_removed(layout.INDEXES, change.base.indexes_folder, change.head.indexes_folder))
        waivers = [(place, waiver) for place, waiver in waivers if any(matches(waiver.path, path) for path in gone)]
    patterns = {waiver.path for _, waiver in waivers}
    missing = without_match(patterns, layout.INDEXES, change.head.indexes_folder, deepest=_DEEPEST) if patterns else ()
    yield from ((place, waiver) for place, waiver in waivers if waiver.path in missing)


def _removed(path: str, before: Folder | None, after: Folder | None) -> Iterator[str]:
    """Yield the paths below *path* that are there before and not after."""
    old = before.entries() if before else {}
    new = after.entries() if after else {}
    for name in differing(before, after):
        was, now = old.get(name), new.get(name)
        if was is None:
            continue
        below = f"{path}/{name}"
        if now is None:
            yield below
        if was.kind == "folder" and before and path.count("/") < _DEEPEST:
            inside = after.folder(name) if after and now and now.kind == "folder" else None
            yield from _removed(below, before.folder(name), inside)


RULES = (Rule(CODE, Severity.WARNING, "a waiver that no longer applies", (Judgement,), waiver_applies),)
