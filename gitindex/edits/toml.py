"""TOML edited so that comments and order stay; settings are given as devpi takes them: ``key=value``, ``+=``, ``-=``.

Nothing here knows which settings there are: the models do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from gitindex.errors import UsageError
from gitindex.model import Mirror, Stage, User
from gitindex.names import normalize
from gitindex.tree import find

if TYPE_CHECKING:
    import tomlkit

    from gitindex.snapshot import Snapshot

_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def new_document(values: Mapping[str, Any]) -> bytes:
    import tomlkit  # noqa: PLC0415

    document = tomlkit.document()
    for key, value in values.items():
        document[key] = _item(value)
    return dump(document)


def dump(document: tomlkit.TOMLDocument) -> bytes:
    text = document.as_string().rstrip("\n")  # a table that was removed leaves an empty line
    return f"{text}\n".encode() if text else b""


def load(snapshot: Snapshot, path: str) -> tomlkit.TOMLDocument:
    import tomlkit  # noqa: PLC0415

    found = find(snapshot.root, path)
    return tomlkit.parse(found[0].read(found[1]).decode()) if found else tomlkit.document()


def modify(
    snapshot: Snapshot,
    path: str,
    settings: Sequence[str],
    model: type[Stage | Mirror | User],
    defaults: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> bytes:
    found = find(snapshot.root, path)
    text = found[0].read(found[1]).decode() if found else ""
    return apply_settings(text, settings, model, defaults)


def apply_settings(
    text: str,
    settings: Sequence[str],
    model: type[Stage | Mirror | User],
    defaults: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> bytes:
    """Return a document with *settings* applied; ``+=`` and ``-=`` start from *defaults* where a key is not given."""
    import tomlkit  # noqa: PLC0415

    document = tomlkit.parse(text)
    if not settings:
        raise UsageError("nothing to modify", help="name settings: key=value, key+=value or key-=value")
    assigned: set[str] = set()
    for setting in settings:
        key, sign, value = _split_setting(setting)
        if sign == "=" and key in assigned:
            raise UsageError(f"{key} is set twice", help="set it once")
        assigned.add(key)
        known = [name for name in model.fields() if name != "type"]
        if key not in known:
            raise UsageError(f"{key!r} cannot be set here", help=f"known are: {', '.join(known)}")
        current = _listed(document.get(key), defaults.get(key, ())) if tuple in _types(model, key) else None
        if sign == "-=" and not value and _may_lack(model, key):
            document.pop(key, None)
            continue
        if sign != "=" and current is None:
            raise UsageError(f"{key} is no list, so {sign} does not apply", help=f"write {key}={value}")
        if sign == "+=":
            assert current is not None  # noqa: S101
            document[key] = _item([*current, *(item for item in _items(key, value) if item not in current)])
        elif sign == "-=":
            assert current is not None  # noqa: S101
            missing = [item for item in _items(key, value) if item not in current]
            if missing:
                raise UsageError(
                    f"{key} does not have {missing[0]!r}", help=f"it has: {', '.join(current) or 'nothing'}"
                )
            gone = _items(key, value)
            document[key] = _item([item for item in current if item not in gone])
        else:
            document[key] = _item(_convert(model, key, value))
    return dump(document)


def with_list(snapshot: Snapshot, path: str, key: str, items: Sequence[str]) -> bytes:
    """Return a document with a list in it that has a line for each item, as a change of one is read best."""
    document = load(snapshot, path)
    document[key] = _item(items).multiline(multiline=True)
    return dump(document)


def _item(value: Any) -> Any:
    """Return a value as a document takes it: a list is made at once, since tomlkit adds to one in quadratic time."""
    import tomlkit  # noqa: PLC0415

    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        return list(value) if isinstance(value, tuple) else value
    return tomlkit.value(f"[{', '.join(tomlkit.string(each).as_string() for each in value)}]")


def _may_lack(model: type[Stage | Mirror | User], key: str) -> bool:
    """Tell whether a key has no value by default, so that it can be taken out again: a title, a URL."""
    plain: Stage | Mirror | User = Mirror(type="mirror") if model is Mirror else User() if model is User else Stage()
    return plain.data()[key] in ("", None) and tuple not in _types(model, key)


def _split_setting(setting: str) -> tuple[str, str, str]:
    left, equals, value = setting.partition("=")
    if not equals:
        raise UsageError(f"{setting!r} is no setting", help="write key=value, key+=value or key-=value")
    sign = "="
    if left[-1:] in ("+", "-"):
        left, sign = left[:-1], left[-1] + "="
    return left.strip(), sign, value.strip()


def _types(model: type[Stage | Mirror | User], key: str) -> frozenset[Any]:
    """Return the types of which a value of *key* may be."""

    def types(annotation: Any) -> Iterator[Any]:
        match get_origin(annotation):
            case origin if origin is Annotated:
                yield from types(get_args(annotation)[0])
            case origin if origin in (Union, UnionType):
                for part in get_args(annotation):
                    yield from types(part)
            case origin if origin is Literal:
                yield str
            case origin:
                yield origin or annotation

    return frozenset(types(get_type_hints(model)[key]))


def _listed(value: Any, default: Sequence[str]) -> list[str]:
    """Return a list that there is; a flag in the place of one (`require_tests = true`) has no items."""
    return list(default if value is None else () if isinstance(value, bool) else value)


def _items(key: str, value: str) -> list[str]:
    items = [item.strip() for item in value.split(",") if item.strip()]
    return [normalize(item) if key == "mirror_whitelist" and item != "*" else item for item in items]


def _convert(model: type[Stage | Mirror | User], key: str, value: str) -> Any:
    kinds = _types(model, key)
    is_flag = bool in kinds and value.lower() in _TRUTH
    if tuple in kinds and not is_flag:
        return _items(key, value)
    if bool in kinds:
        truth = _TRUTH.get(value.lower())
        if truth is None:
            raise UsageError(f"{key} is {value!r}, and must be true or false")
        return truth
    if int in kinds:
        try:
            return int(value)
        except ValueError:
            raise UsageError(f"{key} is {value!r}, and must be a whole number") from None
    return value
