"""Who may do what, as a snapshot states it: users and their identities, admins, owners, ACLs and groups."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from gitindex.model import Settings, Stage, User
from gitindex.names import IndexName, UserName, identity_key, is_user_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitindex.snapshot import Snapshot


class Actor(NamedTuple):
    """Who makes a change."""

    identity: str
    """As it was given: the name of a user, or an identity such as ``github:emilie``; not checked."""
    user: UserName | None
    """The user it belongs to; ``None`` for somebody whom the snapshot does not know, who has no right at all."""

    def __str__(self) -> str:
        if self.user is None:
            return f"{self.identity!r}, who is no user here,"
        return self.user if self.user == self.identity else f"{self.user} ({self.identity})"


class Rights:
    """The rights that a snapshot gives. What cannot be read gives none, but to an admin."""

    def __init__(self, policy: Snapshot) -> None:
        self._policy = policy
        self._admins: dict[UserName, bool] = {}
        """Who was asked about, and whether they are one."""

    @cached_property
    def identities(self) -> Mapping[str, UserName | None]:
        """The users by the keys of their identities; ``None`` for one that several claim, which is then nobody's."""
        found: dict[str, UserName | None] = {}
        for name in self._policy.user_names():
            user = self._policy.user(name)
            for key in {*map(identity_key, user.identities)} if isinstance(user, User) else ():
                if key is not None:
                    found[key] = None if key in found else name
        return found

    def actor(self, identity: str) -> Actor:
        """Return who *identity* is: the name of a user, or one of their identities."""
        if ":" in identity:
            key = identity_key(identity)
            return Actor(identity, None if key is None else self.identities.get(key))
        is_known = is_user_name(identity) and isinstance(self._policy.user(identity), User)
        return Actor(identity, UserName(identity) if is_known else None)

    def is_admin(self, actor: Actor) -> bool:
        """Tell whether the actor may change users, groups, policy and settings."""
        if actor.user is None:
            return False
        if actor.user not in self._admins:
            user = self._policy.user(actor.user)
            self._admins[actor.user] = isinstance(user, User) and user.admin
        return self._admins[actor.user]

    def may_define(self, actor: Actor, index: IndexName) -> bool:
        """Tell whether the actor may create, change or delete an index: its owner, or an admin."""
        return actor.user is not None and (actor.user == index.user or self.is_admin(actor))

    def may_release(self, actor: Actor, index: IndexName) -> bool:
        """Tell whether the actor may change the releases of an index: those in its ACL, by default the owner.

        To an index that is not there yet, or cannot be read, those may release who may define it.
        """
        opened = self._policy.index(index)
        definition = opened.definition if opened else None
        if not isinstance(definition, Stage):
            return self.may_define(actor, index)
        return actor.user is not None and self._is_listed(actor.user, self.uploaders(index, definition))

    @staticmethod
    def uploaders(index: IndexName, definition: Stage) -> tuple[str, ...]:
        """Return the ACL that is in force: users and ``:groups``."""
        return (index.user,) if definition.acl_upload is None else definition.acl_upload

    def members(self, entries: tuple[str, ...]) -> frozenset[str]:
        """Return the users that the entries of an ACL name, those of their groups included."""
        settings = self._policy.settings_or_problem
        groups = settings.groups if isinstance(settings, Settings) else {}
        return frozenset(
            user for entry in entries for user in (groups.get(entry[1:], ()) if entry.startswith(":") else (entry,))
        )

    def _is_listed(self, user: UserName, entries: tuple[str, ...]) -> bool:
        return user in self.members(entries)

    def may_release_somewhere(self, actor: Actor) -> bool:
        """Tell whether the actor may release to any index at all, and so bring stored files."""
        return actor.user is not None and (
            self.is_admin(actor) or any(self.may_release(actor, name) for name in self._policy.index_names())
        )
