"""GI301 to GI304: nobody changes what is not theirs. Users, groups and ACLs are those of the base."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gitindex import layout
from gitindex.compare import Act, Change
from gitindex.differences import ProjectChange, differs_in_content, folder_of
from gitindex.documents import Unreadable
from gitindex.finding import Severity
from gitindex.model import Stage, User
from gitindex.rules.hints import or_restore, short
from gitindex.rules.rule import Hit, Rule

if TYPE_CHECKING:
    from gitindex.names import IndexName, UserName
    from gitindex.rights import Actor


def releases_are_by_uploaders(change: Change, act: Act) -> Iterator[Hit]:
    """Releases of an index are changed by those whom its `acl_upload` names (its owner, where it names nobody).

    Yanks and status are releases' business too. The ACL and the groups are the base's: who is to release here is
    written down in a change of its own, and merged first. To an index that the change creates, its owner or an admin
    releases. A manifest that could not be read is repaired by an admin. Where commits must be signed, the one who
    signed a commit has to have the right to what that commit does.
    """
    if act.actor is None:
        return
    for project in act.change.projects():
        paths = list(project.different_paths())
        if not paths or change.rights.may_release(act.actor, project.index) or _is_closed(act, project):
            continue
        if change.rights.is_admin(act.actor) and all(_was_unreadable(act, project, path) for path in paths):
            continue
        help_ = or_restore(_uploaders_help(change, project.index), change, paths[0])
        yield Hit(paths[0], f"{_by(act)} may not release to {project.index}", help_)
    if act.change.stored and not change.rights.may_release_somewhere(act.actor):
        path = act.change.stored[0].path
        yield Hit(path, f"{_by(act)} may release to no index, and so store no files", "ask somebody who may")


def _is_closed(act: Act, project: ProjectChange) -> bool:
    """Tell whether the whole index is deleted, folder and all: a change of its definition (GI302)."""
    before, after = act.change.base.index(project.index), act.change.head.index_folder(project.index)
    return before is not None and after is None


def _was_unreadable(act: Act, project: ProjectChange, path: str) -> bool:
    name = path.removeprefix(f"{project.path}/")
    before = project.before
    if before is None:
        return project.base_is_unreadable
    if name == layout.PROJECT:
        return isinstance(before.statements, Unreadable)
    if name.endswith(layout.RESULTS_SUFFIX):
        return isinstance(before.results(name.removesuffix(layout.RESULTS_SUFFIX)), Unreadable)
    return isinstance(before.release(name.removesuffix(layout.MANIFEST_SUFFIX)), Unreadable)


def _uploaders_help(change: Change, index: IndexName) -> str:
    opened = change.policy.index(index)
    definition = opened.definition if opened else None
    if not isinstance(definition, Stage):
        return f"let its owner ({index.user}) or an admin do it"
    entries = change.rights.uploaders(index, definition)
    listed = f"one of {', '.join(entries)}" if len(entries) > 1 else "".join(entries)
    allowed = f"let {listed} do it" if entries else "nobody may: acl_upload is empty"
    return f"{allowed}, or have acl_upload changed first, in a change of its own"


def _by(act: Act) -> str:
    return str(act.actor) if act.commit is None else f"{act.actor}, who signed commit {act.commit.id[:12]},"


def definitions_are_by_owners(change: Change, act: Act) -> Iterator[Hit]:
    """An index is created, changed and deleted by its owner or an admin.

    Its owner is the user in whose folder it lies: a user of the base, so that nobody makes themself one.
    """
    if act.actor is None:
        return
    for name, (before, after) in act.change.indexes.items():
        is_changed = differs_in_content(folder_of(before), folder_of(after), layout.INDEX)
        if is_changed and not change.rights.may_define(act.actor, name):
            what = "create" if before is None else "delete" if after is None else "change"
            message = f"{_by(act)} may not {what} the index {name}"
            help_ = f"let its owner ({name.user}) or an admin do it"
            yield Hit(layout.index_path(name), message, or_restore(help_, change, layout.index_path(name)))


def settings_are_by_admins(change: Change, act: Act) -> Iterator[Hit]:
    """Users, groups, policy and settings are changed by an admin.

    A user may edit their own title and e-mail address, and add identities. To take one away is an admin's: whoever got
    hold of one key of somebody could lock them out. Of other files not even a comment or the order of the lines is
    changed: where the lines of two groups change places, Git merges what an admin adds to one into the other.
    """
    if act.actor is None or change.rights.is_admin(act.actor):
        return
    base, head = act.change.base, act.change.head
    if differs_in_content(base.root, head.root, layout.SETTINGS):
        message = f"{_by(act)} may not change {layout.SETTINGS}"
        yield Hit(layout.SETTINGS, message, or_restore(_admins_help(change), change, layout.SETTINGS))
    for user in act.change.changed_users:
        before, after = base.user(user), head.user(user)
        is_changed = differs_in_content(base.user_folder(user), head.user_folder(user), layout.USER)
        if not is_changed or _is_own_edit(act.actor, user, before, after):
            continue
        if isinstance(before, User) and isinstance(after, User) and act.actor.user == user:
            message = f"{_by(act)} may change no more of themself than title, email and added identities"
        else:
            what = "create" if before is None else "delete" if after is None else "change"
            message = f"{_by(act)} may not {what} the user {user}"
        path = layout.user_path(user)
        yield Hit(path, message, or_restore(_admins_help(change), change, path))


def _is_own_edit(actor: Actor, user: UserName, before: object, after: object) -> bool:
    if actor.user != user or not isinstance(before, User) or not isinstance(after, User):
        return False
    return before.admin == after.admin and set(before.identities) <= set(after.identities)


def _admins_help(change: Change) -> str:
    admins = [name for name in change.policy.user_names() if change.rights.is_admin(change.rights.actor(name))]
    return f"let an admin do it ({', '.join(admins) or 'there is none: the base names no user with admin = true'})"


def commits_are_signed(change: Change, act: Act) -> Iterator[Hit]:
    """Where `require_signed_commits` is set, each commit has a valid signature of a user's key.

    Git checks the signature, SSH or GPG; the key has to be an identity of a user of the base: `ssh:SHA256:…`, as
    `ssh-keygen -l` prints it, or `gpg:` with the fingerprint of the primary key. Author and committer are words that
    anybody can write, and count for nothing. What a merge has beyond what its two sides make of each other is its
    signer's doing.
    """
    if act.commit is not None and act.commit.problem:
        sign = "git commit --amend --no-edit --gpg-sign"
        if change.head.name != act.commit.id:
            sign = f"git rebase --rebase-merges --exec '{sign}' {short(change.base)}"
        help_ = f"sign it with a key that is an identity of yours in the base: {sign}"
        yield Hit(layout.SETTINGS, f"commit {act.commit.id[:12]} {act.commit.problem}", help_)


RULES = (
    Rule(
        "GI301",
        Severity.ERROR,
        "a change to an index's releases by someone not in its acl_upload",
        (Act,),
        releases_are_by_uploaders,
    ),
    Rule(
        "GI302",
        Severity.ERROR,
        "a change to an index's definition by someone who is neither its owner nor an admin",
        (Act,),
        definitions_are_by_owners,
    ),
    Rule(
        "GI303",
        Severity.ERROR,
        "a change to users, groups, policy or settings by someone who is not an admin",
        (Act,),
        settings_are_by_admins,
    ),
    Rule(
        "GI304",
        Severity.ERROR,
        "a commit without a valid signature of a known identity, where require_signed_commits",
        (Act,),
        commits_are_signed,
    ),
)
