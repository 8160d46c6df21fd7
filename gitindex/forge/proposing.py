"""Proposes a plan: validated, committed on top of what is published, pushed, and its pull request opened."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from gitindex import layout
from gitindex.edits.plan import Plan
from gitindex.errors import CannotRunError, MovedError
from gitindex.finding import Finding
from gitindex.forge import gitea, gitlab, words
from gitindex.forge.remotes import Kind, Place, forge_of, read_remote, shown_at
from gitindex.git import Repository
from gitindex.objects import StoredObjects
from gitindex.snapshot import Snapshot
from gitindex.tree import find
from gitindex.write import checked

Request = Literal["created", "updated", "unchanged", "pushed", "none"]


_NO_FORGE = "the remote is a folder or a server that is no forge's"
_UNKNOWN_FORGE = "the remote's address does not tell which forge it is; say it as type under [forge] in gitindex.toml"


class Proposal(NamedTuple):
    """What became of a plan that was proposed."""

    paths: tuple[str, ...]
    """What the change writes or removes, in the index repository; empty where nothing has to change."""
    warnings: tuple[Finding, ...] = ()
    branch: str | None = None
    commit: str | None = None
    is_pushed: bool = False
    """Whether something was pushed; else the remote had it already, or nothing has to change."""
    url: str | None = None
    """The pull request; where there is none yet, the page that opens it with one click."""
    request: Request = "none"
    """What became of the pull request; ``pushed``: it is for the user to open, or the server told nothing of it."""
    remark: str = ""
    """Why the pull request was not opened."""


class _Change(NamedTuple):
    """What is pushed, and where to."""

    branch: str
    target: str
    commit: str
    is_there: bool
    """Whether the remote has it already."""
    title: str
    body: Callable[[int], str]
    """Makes the text in at most so many bytes."""


def propose(
    repository: Repository,
    base: Snapshot,
    plan: Plan,
    *,
    name: str,
    today: date | None = None,
    actor: str | None = None,
    beside: Mapping[str, bytes] = MappingProxyType({}),
) -> Proposal:
    """Propose a plan that was made from *base*, what is published; *name* tells what it does in a few words.

    Where it is known, the *actor* has to have the right to what the plan does. *beside* are files, by path from the top
    of the Git repository, that are committed with it: they are no part of the index repository, and no rule knows them.

    The same again is the same branch and the same pull request: what is there already is neither pushed nor opened
    once more.

    Raises:
        RefusedError: the rules refuse what it would make; nothing is pushed.
        MovedError: the branch was pushed by somebody else meanwhile.
        CannotRunError: the remote or the forge does not answer, or refuses.

    """
    if not plan.changes and not beside:
        return Proposal(())
    branch, judge = words.branch_name(name), partial(checked, base, base, plan, today, actor)
    try:
        return _proposed(repository, base, plan, branch, judge, beside=beside)
    except MovedError:
        # Perhaps the same command did it, somewhere else at the same time.
        repository.proposals.published()
        return _proposed(repository, base, plan, branch, judge, beside=beside)


def _proposed(
    repository: Repository,
    base: Snapshot,
    plan: Plan,
    branch: str,
    judge: Callable[[], list[Finding]],
    *,
    beside: Mapping[str, bytes],
) -> Proposal:
    proposals = repository.proposals
    pending = proposals.pending(branch)
    if pending is not None:
        _keep_times(plan, repository.at(pending))
    warnings = judge()
    if plan.uploads:
        StoredObjects(base.settings.storage.url).keep(plan.uploads)
    commit = proposals.commit(str(base.name), plan.changes, words.message(plan), branch, beside)
    is_there = pending is not None and proposals.is_same(pending, commit)
    if is_there and pending is not None:
        commit = pending
    head = repository.at(commit)
    change = _Change(
        branch,
        proposals.branch,
        commit,
        is_there,
        words.title(plan),
        lambda limit: words.body(plan, base, head, limit=limit),
    )
    place = read_remote(proposals.url)
    shown = shown_at(place, base.settings)
    match forge_of(place, base.settings):
        case Kind.GITHUB if place is not None:
            made = _on_github(repository, change, place, shown or place)
        case Kind.GITLAB:
            made = _on_gitlab(repository, change, shown)
        case Kind.GITEA:
            made = _on_gitea(repository, change, shown)
        case _:
            made = _pushed(repository, change)
            made = made._replace(remark=_NO_FORGE if place is None else _UNKNOWN_FORGE)
    if place is None and made.remark:
        made = made._replace(remark=_NO_FORGE)
    return made._replace(paths=tuple(sorted(plan.changes)), warnings=tuple(warnings))


def _keep_times(plan: Plan, pending: Snapshot) -> None:
    """Let what is proposed already keep the time at which it was: a run again must not make another change of it."""
    for path, content in plan.changes.items():
        if isinstance(content, bytes) and layout.is_manifest(path) and path.startswith(f"{layout.INDEXES}/"):
            found = find(pending.root, path)
            there = None if found is None else found[0].read(found[1])
            if there is not None and _without_times(there) == _without_times(content):
                plan.changes[path] = there


def _without_times(manifest: bytes) -> Any:
    try:
        value = json.loads(manifest)
        for file in value["files"]:
            file.pop("upload-time", None)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return manifest
    return value


def _pushed(repository: Repository, change: _Change) -> Proposal:
    if not change.is_there:
        repository.proposals.push(change.commit, change.branch)
    request: Request = "unchanged" if change.is_there else "pushed"
    return Proposal((), (), change.branch, change.commit, not change.is_there, None, request)


def _on_github(repository: Repository, change: _Change, place: Place, shown: Place) -> Proposal:
    from gitindex.forge import github  # noqa: PLC0415 - it asks over HTTP, the others do not

    client = github.client_for(place)  # what is wrong with the token is said before something is pushed
    made = _pushed(repository, change)
    if client is None:
        url = github.compare_url(shown, change.target, change.branch, change.title)
        return made._replace(url=url, remark=github.NO_TOKEN)
    try:
        pull = client.open_pull(change.branch, change.target, change.title, change.body(github.LIMIT))
    except CannotRunError as error:
        message = f"{change.branch} is pushed, and its pull request is not opened: {error.message}"
        raise CannotRunError(message, help=error.help or "run the same command again") from None
    return made._replace(url=pull.url, request=pull.outcome)


def _on_gitlab(repository: Repository, change: _Change, place: Place | None) -> Proposal:
    if change.is_there:
        made, said = _pushed(repository, change), None
    else:
        options = _fitting(lambda body: gitlab.options(change.target, change.title, body), change, gitlab.LIMIT)
        said = repository.proposals.push_with_options(change.commit, change.branch, options)
        made = Proposal((), (), change.branch, change.commit, is_pushed=True, request="pushed")
        if said is None:
            made = _pushed(repository, change)._replace(remark="the server takes no push options")
    url = gitlab.request_url(said or "")
    if url is None and place is not None:
        url = gitlab.compare_url(place, change.target, change.branch)
    return made._replace(url=url, request="updated" if said else made.request)


def _on_gitea(repository: Repository, change: _Change, place: Place | None) -> Proposal:
    """Push for review. No branch of the remote tells what is there: it is pushed again, and the server knows."""
    made = Proposal((), (), change.branch, change.commit, is_pushed=True, request="updated")
    options = _fitting(lambda body: gitea.options(change.branch, change.title, body), change, gitea.LIMIT)
    try:
        said = repository.proposals.push_for_review(change.commit, options)
    except CannotRunError as error:
        if gitea.SAME not in str(error):
            raise
        return made._replace(is_pushed=False, request="unchanged")
    if said is None:
        made = _pushed(repository, change)._replace(remark="the server takes no push options")
        return made._replace(url=place and gitea.compare_url(place, change.target, change.branch))
    return made._replace(url=gitea.request_url(said))


_LONGEST_OPTION = 65_000


def _fitting(options: Callable[[str], list[str]], change: _Change, limit: int) -> list[str]:
    """Return the options of a push, with a shorter text where one would be too long."""
    found = options(change.body(limit))
    while max(len(option.encode()) for option in found) > _LONGEST_OPTION:
        limit //= 2
        found = options(change.body(limit))
    return found
