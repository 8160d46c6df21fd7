"""Plans for users and indexes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gitindex import layout
from gitindex.edits import toml
from gitindex.edits.manifests import drop_unused_files, stored_files
from gitindex.edits.opened import open_index, open_user, paths_below
from gitindex.edits.plan import Plan
from gitindex.errors import UsageError
from gitindex.model import Mirror, Stage, User
from gitindex.names import IndexName, is_owner_name, is_user_name
from gitindex.snapshot import Snapshot
from gitindex.tree import find

NAME_HELP = "use lower-case letters and digits, with single `.`, `_` or `-` between them, at most 64 characters"


def create_user(snapshot: Snapshot, name: str, *, email: str = "", title: str = "", admin: bool = False) -> Plan:
    """Plan a new user.

    Raises:
        UsageError: the name is none, or is taken.

    """
    if not is_user_name(name):
        raise UsageError(f"{name!r} cannot name a user", help=NAME_HELP)
    if snapshot.user(name) is not None:
        raise UsageError(f"the user {name} exists already", help=f"see: gitindex user show {name}")
    values: dict[str, Any] = {"email": email, "title": title}
    values = {key: value for key, value in values.items() if value}
    if admin:
        values["admin"] = True
    return Plan({layout.user_path(name): toml.new_document(values)}, [f"Create user {name}"])


def modify_user(snapshot: Snapshot, name: str, settings: Sequence[str]) -> Plan:
    """Plan a change of a user by ``key=value``, ``key+=value`` and ``key-=value``."""
    open_user(snapshot, name)
    path = layout.user_path(name)
    return _modified(snapshot, path, toml.modify(snapshot, path, settings, User), f"user {name}")


def _modified(snapshot: Snapshot, path: str, data: bytes, what: str) -> Plan:
    found = find(snapshot.root, path)
    if found is not None and found[0].read(found[1]) == data:
        return Plan({}, [f"Unchanged: {what}"], [path])
    return Plan({path: data}, [f"Modify {what}"])


def delete_user(snapshot: Snapshot, name: str) -> Plan:
    """Plan the removal of a user with all their indexes."""
    open_user(snapshot, name)
    return Plan(dict.fromkeys(paths_below(snapshot, layout.user_folder(name))), [f"Delete user {name}"])


def create_index(snapshot: Snapshot, name: IndexName, values: Mapping[str, Any], settings: Sequence[str] = ()) -> Plan:
    """Plan a new index; *values* are the keys of `index.toml`, *settings* more of them as ``key=value``.

    Raises:
        UsageError: the name is taken, or the owner is no user.

    """
    if not is_owner_name(name.name):
        raise UsageError(f"{name.name!r} cannot name an index", help=NAME_HELP)
    if snapshot.user(name.user) is None:
        raise UsageError(f"there is no user {name.user}", help=f"create it: gitindex user create {name.user}")
    if snapshot.index(name) is not None:
        raise UsageError(f"the index {name} exists already", help=f"see: gitindex index show {name}")
    data = toml.new_document(dict(values))
    if settings:
        model = Mirror if values.get("type") == "mirror" else Stage
        data = toml.apply_settings(data.decode(), settings, model, _defaults(name))
    return Plan({layout.index_path(name): data}, [f"Create index {name}"])


def modify_index(snapshot: Snapshot, name: IndexName, settings: Sequence[str]) -> Plan:
    """Plan a change of an index by ``key=value``, ``key+=value`` and ``key-=value``, as devpi writes them."""
    index = open_index(snapshot, name)
    model = Mirror if index.is_mirror else Stage
    data = toml.modify(snapshot, index.path, settings, model, _defaults(name))
    return _modified(snapshot, index.path, data, f"index {name}")


def _defaults(name: IndexName) -> Mapping[str, Sequence[str]]:
    """Return the lists that an index has without being told: its owner may release."""
    return {"acl_upload": (name.user,)}


def delete_index(snapshot: Snapshot, name: IndexName) -> Plan:
    """Plan the removal of an index with its releases."""
    index = open_index(snapshot, name)
    plan = Plan(dict.fromkeys(paths_below(snapshot, layout.index_folder(name))), [f"Delete index {name}"])
    files = [file for project in index.project_names() for file in stored_files(index.project(project))]
    drop_unused_files(snapshot, plan, files)
    return plan
