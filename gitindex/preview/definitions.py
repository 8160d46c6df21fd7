"""What settings and definitions of indexes say otherwise, and who inherits from whom."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from gitindex.documents import Unreadable
from gitindex.model import Definition, Mirror, Settings, Stage
from gitindex.names import IndexName
from gitindex.preview.values import IndexDifference, Kind, SettingDifference, Value
from gitindex.resolve import project_names, resolution_order
from gitindex.rights import Rights
from gitindex.snapshot import Index, Snapshot

_ALWAYS = ("type", "volatile", "bases", "acl_upload", "mirror_url")
"""What is told of a new index in any case."""

Orders = Mapping[IndexName, tuple[Index, ...]]


def setting_differences(
    before: Settings | Unreadable | None, after: Settings | Unreadable | None
) -> tuple[SettingDifference, ...]:
    """Return which settings that concern an installer, or who may release, say something else."""
    old, new = _settings_values(before), _settings_values(after)
    return tuple(
        SettingDifference(key, old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    )


def _settings_values(settings: Settings | Unreadable | None) -> dict[str, Value]:
    if not isinstance(settings, Settings):
        return {}
    values: dict[str, Value] = {
        "site.url": settings.site.url,
        "storage.url": settings.storage.url,
        "storage.public_url": settings.storage.public_url,
        "names.reserved": settings.names.reserved,
    }
    # An empty value is what the key says where it is not there.
    found: dict[str, Value] = {key: value for key, value in values.items() if value}
    found.update({f"groups.{name}": members for name, members in settings.groups.items()})
    return found


def index_differences(base: Snapshot, head: Snapshot, defined: Collection[IndexName]) -> Iterator[IndexDifference]:
    """Yield the indexes that came, went, or are *defined* otherwise, and those whose order is another one, sorted."""
    before, after = _orders(base), _orders(head)
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, ()), after.get(name, ())
        if name not in defined and [each.name for each in old] == [each.name for each in new]:
            continue
        settings = tuple(_differing(_values(name, old), _values(name, new), is_new=not old, is_gone=not new))
        kind: Kind = "added" if not old else "removed" if not new else "changed"
        if kind == "changed" and not settings:
            continue
        inheriting = {stage for orders in (before, after) for stage, order in orders.items() if _has_base(order, name)}
        mirrors = dict.fromkeys(index.name for index in (*old, *new) if index.is_mirror)
        shown = new or old
        count = len(project_names(shown)) if kind != "changed" and not shown[0].is_mirror else None
        yield IndexDifference(name, kind, settings, tuple(mirrors), tuple(sorted(inheriting)), count)


def _orders(snapshot: Snapshot) -> Orders:
    opened = (snapshot.index(name) for name in snapshot.index_names())
    return {
        index.name: (index,) if index.is_mirror else resolution_order(snapshot, index)
        for index in opened
        if index is not None
    }


def _has_base(order: tuple[Index, ...], name: IndexName) -> bool:
    return any(index.name == name for index in order[1:])


def _values(name: IndexName, order: tuple[Index, ...]) -> dict[str, Value]:
    if not order:
        return {}
    definition = order[0].definition
    if isinstance(definition, Unreadable):
        return {"problem": definition.problems[0].message}
    assert definition is not None  # noqa: S101 - else it is no index
    values: dict[str, Value] = definition.data()
    if isinstance(definition, Stage):
        values["acl_upload"] = Rights.uploaders(name, definition)
        values["order"] = tuple(str(index.name) for index in order)
    return values


def _differing(
    old: Mapping[str, Value], new: Mapping[str, Value], *, is_new: bool, is_gone: bool
) -> Iterator[SettingDifference]:
    if is_gone:
        return
    if "problem" in old or "problem" in new:
        yield SettingDifference("problem", old.get("problem"), new.get("problem"))
        return
    plain = _defaults(new) if is_new else {}
    for key in [*new, *(key for key in old if key not in new)]:
        was, now = old.get(key), new.get(key)
        if is_new and (now == plain.get(key) or key == "order") and key not in _ALWAYS:
            continue
        if was != now:
            yield SettingDifference(key, was, now)


def _defaults(values: Mapping[str, Value]) -> Mapping[str, Value]:
    model: Definition = Mirror(type="mirror") if values.get("type") == "mirror" else Stage()
    found: dict[str, Value] = model.data()
    return found
