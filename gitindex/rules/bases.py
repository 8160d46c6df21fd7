"""GI101 to GI108: indexes, what they inherit from, who may release to them, and who that is."""

from __future__ import annotations

from collections.abc import Iterator

from gitindex import layout
from gitindex.compare import Change
from gitindex.differences import ProjectChange
from gitindex.documents import Unreadable
from gitindex.finding import Severity
from gitindex.model import Mirror, Settings, Stage, User
from gitindex.names import IndexName, UserName, identity_key, is_user_name, parse_index_name
from gitindex.rights import Rights
from gitindex.rules.hints import FIX, or_restore, out_of, quoted, set_key
from gitindex.rules.rule import Hit, Rule
from gitindex.snapshot import Index, Snapshot


def _bases_hit(change: Change, index: Index, message: str, help_: str) -> Hit:
    return Hit(index.path, message, help_, change.head.line_of(index.path, ("bases",)))


def base_exists(change: Change, index: Index) -> Iterator[Hit]:
    """Each base names an index that is there.

    An index that inherits from nothing shows less than its users think, and would suddenly show more once somebody
    makes an index of that name.
    """
    for text in index.definition.bases if isinstance(index.definition, Stage) else ():
        name = parse_index_name(text)
        if name is None:
            help_ = out_of(index.name, "bases", text, "write it as user/name")
            yield _bases_hit(change, index, f"the base {text!r} is no name of an index", help_)
        elif change.head.index(name) is None:
            help_ = out_of(index.name, "bases", text, f"create it (gitindex index create {name})")
            if change.base.index(name) is not None:
                advice = f"take it out of bases ({set_key(index.name, f'bases-={name}')})"
                help_ = or_restore(advice, change, layout.index_path(name))
            yield _bases_hit(change, index, f"the base {name} does not exist", help_)


def no_cycle(change: Change, index: Index) -> Iterator[Hit]:
    """No index inherits from itself through others.

    A cycle has no order that can be explained: each index would show what the others hide.
    """
    cycle = _cycle_through(change.head, index)
    if cycle:
        path = " -> ".join(str(name) for name in cycle)
        help_ = out_of(index.name, "bases", str(cycle[1]), "decide which of them builds on the other")
        yield _bases_hit(change, index, f"the bases form a cycle: {path}", help_)


def _cycle_through(snapshot: Snapshot, index: Index) -> tuple[IndexName, ...]:
    """Return the shortest way from an index back to itself through at least one other, empty where there is none."""
    ways: list[tuple[IndexName, ...]] = [(index.name,)]
    seen = {index.name}
    while ways:
        way = ways.pop(0)
        opened = snapshot.index(way[-1])
        for base in opened.bases if opened else ():
            if base == index.name and len(way) > 1:
                return (*way, base)
            if base not in seen:
                seen.add(base)
                ways.append((*way, base))
    return ()


def mirror_has_no_bases(change: Change, index: Index) -> Iterator[Hit]:
    """A mirror has no bases.

    It shows another index as it is; put both into the bases of a stage instead.
    """
    if isinstance(index.definition, Mirror) and index.definition.bases:
        help_ = f"a stage may have several mirrors as bases; here there are none: {set_key(index.name, 'bases=')}"
        yield _bases_hit(change, index, "a mirror has no bases", help_)


def mirror_has_no_releases(change: Change, subject: Index | ProjectChange) -> Iterator[Hit]:
    """A mirror has no releases.

    Nobody can upload to a mirror: its files are the upstream's. Release to a stage that has the mirror as a base.
    """
    match subject:
        case Index() if subject.is_mirror and subject.name in change.changed_definitions:
            paths = [layout.project_folder(subject.name, project) for project in subject.project_names()]
        case ProjectChange() if subject.after is not None:
            index = change.head.index(subject.index)
            paths = [subject.path] if index is not None and index.is_mirror else []
        case _:
            paths = []
    for path in paths:
        target = layout.project_folder(IndexName(UserName("USER"), "INDEX"), path.rpartition("/")[2])
        help_ = f"move it to a stage that has the mirror as a base: git mv -- {quoted(path)} {quoted(target)}"
        yield Hit(path, "a mirror has no releases", help_)


def promise_needs_stable_bases(change: Change, index: Index) -> Iterator[Hit]:
    """A non-volatile index has no volatile base.

    What it shows would change whenever somebody replaces a release in the base, so its promise would be empty. A mirror
    counts as non-volatile: nobody can push to it. Devpi documents this rule and does not enforce it.
    """
    if not isinstance(index.definition, Stage) or index.definition.volatile:
        return
    for name in index.bases:
        base = change.head.index(name)
        if base is not None and isinstance(base.definition, Stage) and base.definition.volatile and name != index.name:
            push = f"gitindex push PROJECT==VERSION {name} {quoted(str(index.name))}"
            help_ = out_of(index.name, "bases", str(name), f"push what is ready into it ({push})")
            message = f"{index.name} is non-volatile, and its base {name} is volatile"
            yield _bases_hit(change, index, message, help_)


def bases_are_distinct(change: Change, index: Index) -> Iterator[Hit]:
    """A base is named once, and an index does not name itself."""
    names = [parse_index_name(text) for text in (index.definition.bases if isinstance(index.definition, Stage) else ())]
    for name in sorted({name for name in names if name is not None and names.count(name) > 1}):
        yield _bases_hit(change, index, f"the base {name} is named twice", f"keep the first: {FIX}")
    if index.name in names:
        help_ = out_of(index.name, "bases", str(index.name), "name the index that was meant")
        yield _bases_hit(change, index, f"{index.name} names itself as a base", help_)


def acl_names_someone(change: Change, subject: Change | Index) -> Iterator[Hit]:
    """Each entry of an ACL or a group names a user or a group that is there.

    Whoever takes a name that a right was left to would have the right with it.
    """
    head = change.head
    settings = head.settings_or_problem
    groups = settings.groups if isinstance(settings, Settings) else {}
    if isinstance(subject, Index):
        acl = subject.definition.acl_upload or () if isinstance(subject.definition, Stage) else ()
        for entry in acl:
            if entry.startswith(":"):
                if entry[1:] not in groups and not isinstance(settings, Unreadable):
                    line = head.line_of(subject.path, ("acl_upload",))
                    yield Hit(
                        subject.path,
                        f"acl_upload names the group {entry!r}, which is not in {layout.SETTINGS}",
                        _group_help(change, subject, entry),
                        line,
                    )
            elif head.user(entry) is None:
                line = head.line_of(subject.path, ("acl_upload",))
                yield Hit(
                    subject.path,
                    f"acl_upload names {entry!r}, and there is no such user",
                    out_of(subject.name, "acl_upload", entry, _user_help(entry)),
                    line,
                )
        return
    for group, members in groups.items() if change.touches_settings or change.changed_users else ():
        for member in members:
            if (change.touches_settings or member in change.changed_users) and head.user(member) is None:
                line = head.line_of(layout.SETTINGS, ("groups", group))
                yield Hit(
                    layout.SETTINGS,
                    f"the group {group!r} names {member!r}, and there is no such user",
                    _member_help(change, member),
                    line,
                )


def _group_help(change: Change, index: Index, entry: str) -> str:
    if change.head.settings_or_problem is None:  # all groups are gone, and it is not the ACL that is wrong
        return or_restore(f"add it under [groups] in {layout.SETTINGS}", change, layout.SETTINGS)
    return out_of(index.name, "acl_upload", entry, "add it under [groups]")


def _user_help(name: str) -> str:
    return f"create the user (gitindex user create {name})" if is_user_name(name) else "name a user"


def _member_help(change: Change, member: str) -> str:
    advice = f"take {member!r} out of the group in {layout.SETTINGS}"
    if not is_user_name(member):
        return advice
    if isinstance(change.base.user(member), User):
        return or_restore(advice, change, layout.user_path(member))
    return f"{advice}, or create the user: gitindex user create {member}"


def identity_is_one_users(change: Change, subject: Change) -> Iterator[Hit]:
    """An identity of a user is well-formed, and no other user's.

    What is done under an identity is held to be done by its user. One that two users claim says nothing, so none of
    them has a right by it. `github:emilie` names an account at a forge; `ssh:SHA256:…`, as `ssh-keygen -l` prints it,
    and `gpg:` with the fingerprint of a primary key name the keys that a user signs commits with.
    """
    rights = Rights(change.head)
    for name in subject.changed_users:
        user = change.head.user(name)
        for identity in user.identities if isinstance(user, User) else ():
            path, key = layout.user_path(name), identity_key(identity)
            line = change.head.line_of(path, ("identities",))
            if key is None:
                advice = "write it as github:login, ssh:SHA256:fingerprint or gpg:fingerprint"
                message = f"the identity {identity!r} is malformed"
                yield Hit(path, message, _out_of_identities(name, identity, advice), line)
            elif rights.identities.get(key) != name:
                message = f"the identity {identity!r} is another user's too"
                help_ = _out_of_identities(name, identity, "leave it to the one whose it is")
                yield Hit(path, message, help_, line)


def _out_of_identities(user: UserName, identity: str, advice: str) -> str:
    if not is_user_name(user) or not identity.strip() or identity != identity.strip() or "," in identity:
        return f"{advice}, or take it out of identities"
    return f"{advice}, or take it out: gitindex user modify {user} {quoted(f'identities-={identity}')}"


RULES = (
    Rule("GI101", Severity.ERROR, "a base that does not exist", (Index,), base_exists),
    Rule("GI102", Severity.ERROR, "bases that form a cycle", (Index,), no_cycle),
    Rule("GI103", Severity.ERROR, "a mirror with bases", (Index,), mirror_has_no_bases),
    Rule("GI104", Severity.ERROR, "a mirror with releases", (Index, ProjectChange), mirror_has_no_releases),
    Rule(
        "GI105",
        Severity.ERROR,
        "a non-volatile index with a volatile base",
        (Index,),
        promise_needs_stable_bases,
    ),
    Rule(
        "GI106",
        Severity.ERROR,
        "a base named twice, or an index that names itself",
        (Index,),
        bases_are_distinct,
    ),
    Rule(
        "GI107",
        Severity.ERROR,
        "an ACL or group entry that names no user or group",
        (Change, Index),
        acl_names_someone,
    ),
    Rule(
        "GI108",
        Severity.ERROR,
        "an identity that is malformed, or that another user has too",
        (Change,),
        identity_is_one_users,
    ),
)
