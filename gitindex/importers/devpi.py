"""What devpi calls users, indexes and their options, in our words; what has no counterpart is told.

An answer of a devpi-server and an export of one say the same, so this is what both stand on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from gitindex.errors import NotThereError
from gitindex.importers.reading import a_mapping, a_text, texts
from gitindex.importers.report import Kind, Report
from gitindex.importers.source import SourceIndex, SourceUser
from gitindex.model import Mirror, Settings, Stage
from gitindex.names import (
    MAX_NAME,
    IndexName,
    UserName,
    is_owner_name,
    is_project_name,
    is_user_name,
    normalize,
)
from gitindex.report.text import clipped
from gitindex.snapshot import Snapshot
from gitindex.upstream.mirror import Upstream

_ODD = re.compile(r"[^a-z0-9]*([._-])[^a-z0-9]*|[^a-z0-9]+")
_TYPES_OF_7 = {"local": "stage", "remote": "mirror"}
_OPTIONS_OF_7 = {
    "remote_url": "mirror_url",
    "remote_refresh_delay": "mirror_cache_expiry",
    "remote_use_external_urls": "mirror_use_external_urls",
    "remote_web_url_fmt": "mirror_web_url_fmt",
}
_ANYBODY = frozenset({":ANONYMOUS:", ":AUTHENTICATED:"})
_OF_USERS = frozenset({"username", "email", "title", "indexes", "created", "modified", "password", "pwhash"})
_OF_ALL = frozenset({"type", "volatile", "title", "description", "projects"})
_OF_STAGES = _OF_ALL | {"bases", "acl_upload", "mirror_whitelist", "mirror_whitelist_inheritance"}
_OF_MIRRORS = _OF_ALL | {"mirror_web_url_fmt", "mirror_url", "mirror_cache_expiry", "mirror_use_external_urls"}
_WITHOUT_EFFECT: Mapping[str, Any] = {
    "acl_toxresult_upload": [":ANONYMOUS:"],
    "mirror_ignore_serial_header": False,
    "mirror_no_project_list": False,
    "mirror_provides_core_metadata": False,
}
"""Options without a counterpart, by what they are where nobody has chosen anything."""
_WHY = {
    "acl_toxresult_upload": "who may release records results here",
    "pypi_whitelist": "it is what devpi called mirror_whitelist before version 3",
}
_NEAREST = 8
"""Names that are told of all that there are."""
_PASSWORDS = (
    "are not carried over: who reads gets a token (gitindex token create), who releases an identity (user modify)"
)


class Translation:
    """The users and indexes of a devpi-server as they are here."""

    def __init__(
        self, users: Mapping[str, Any], indexes: Mapping[str, Any], here: Snapshot, report: Report, only: Sequence[str]
    ) -> None:
        """Read what devpi says; *only* names the indexes that are wanted, with all that they inherit from.

        Raises:
            NotThereError: one of these is not there.

        """
        self._here = here
        self._report = report
        self._configs = {str(name): _in_old_words(a_mapping(config)) for name, config in indexes.items()}
        wanted = [*self._closure(only)] if only else [*self._configs]
        owners = dict.fromkeys(name.partition("/")[0] for name in wanted)
        # An owner may be missing in an export: root is there in every devpi.
        releasing = (
            name for index in wanted for name in texts(self._configs[index].get("acl_upload")) if name in users
        )
        named = {**owners, **dict.fromkeys(releasing)} if only else {**owners, **users}
        self._user_configs = {str(name): a_mapping(users.get(name)) for name in named}
        self.user_names = self._named(self._user_configs, UserName, "user", is_user_name)
        self._indexes = self._index_names(wanted)
        self._volatile: dict[IndexName, bool] = {}

    def _closure(self, only: Iterable[str]) -> Iterator[str]:
        """Yield names with those of all that they inherit from."""
        seen = dict.fromkeys(only)
        for name in seen:
            if name not in self._configs:
                raise NotThereError(f"{name}: devpi has no such index", help=_some_of(self._configs, name))
        todo = [*seen]
        while todo:
            name = todo.pop()
            yield name
            bases = [base for base in texts(self._configs[name].get("bases")) if base in self._configs]
            todo += [base for base in bases if base not in seen]
            seen.update(dict.fromkeys(bases))

    def _named(
        self, names: Iterable[str], kind: Callable[[str], Any], what: str, is_name: Callable[[str], bool]
    ) -> dict[str, Any]:
        """Return what names are here: those that are none are spelled as one, where that is free."""
        given = sorted(names, key=lambda name: (not is_name(name), name))
        found: dict[str, Any] = {}
        taken: set[str] = set()
        for name in given:
            spelled = _spelled(name)
            if not is_name(spelled) or spelled in taken:
                self._report.add(Kind.LEFT_OUT, name, what, f"cannot be called {spelled!a} here: rename it in devpi")
                continue
            if spelled != name:
                self._report.note(name, what, f"is called {spelled} here: names are in lower case, without other signs")
            taken.add(spelled)
            found[name] = kind(spelled)
        return found

    def _index_names(self, wanted: Iterable[str]) -> dict[str, IndexName]:
        by_user: dict[str, list[str]] = {}
        for name in sorted(wanted):
            user, _, index = name.partition("/")
            if user in self.user_names:
                by_user.setdefault(user, []).append(index)
            else:
                self._report.add(Kind.LEFT_OUT, name, "", "its owner is not carried over")
        found: dict[str, IndexName] = {}
        for user, indexes in by_user.items():
            named = self._named((f"{user}/{index}" for index in indexes), str, "index", self._is_index)
            found |= {
                name: IndexName(self.user_names[user], spelled.partition("/")[2]) for name, spelled in named.items()
            }
        return found

    @staticmethod
    def _is_index(name: str) -> bool:
        user, _, index = name.partition("/")
        return is_user_name(user) and is_owner_name(index)

    def users(self) -> Iterator[SourceUser]:
        """Yield the users, sorted."""
        for name, config in sorted(self._user_configs.items()):
            if name not in self.user_names:
                continue
            values = {key: text for key in ("email", "title") if (text := a_text(config.get(key)))}
            if self._here.user(self.user_names[name]) is None:
                if "email" not in values and name != "root":
                    why = "has none, by which commits are known for theirs: gitindex user modify NAME email=…"
                    self._report.note(name, "email", why)
                self._note_others(name, config, _OF_USERS)
            yield SourceUser(self.user_names[name], values)

    def indexes(self) -> Iterator[tuple[str, SourceIndex]]:
        """Yield the indexes with what devpi calls them, bases first."""
        for name in self._in_order():
            config, here = self._configs[name], self._here.index(self._indexes[name])
            kind = config.get("type")
            if here is not None and here.is_mirror != (kind == "mirror"):
                self._report.add(Kind.CONFLICT, name, "", "is of another type here")
                del self._indexes[name]
                continue
            values = self._mirror(name, config) if kind == "mirror" else self._stage(name, config)
            if values is None:
                del self._indexes[name]
                continue
            if here is not None and here.definition is not None:
                if isinstance(here.definition, Stage | Mirror) and _differs(here.definition, values):
                    self._report.note(self._indexes[name], "index.toml", "is here already, and stays as it is")
                values = {**values, "volatile": here.is_volatile} if kind != "mirror" else values
            self._volatile[self._indexes[name]] = kind != "mirror" and bool(values["volatile"])
            yield name, SourceIndex(self._indexes[name], values)

    def _in_order(self) -> list[str]:
        """Return the indexes in an order in which each comes after its bases, as far as there is no cycle."""
        order: dict[str, None] = {}
        for start in sorted(self._indexes):
            path = [(start, iter(self._bases_of(start)))]
            open_ = {start}
            while path:
                name, bases = path[-1]
                following = next((base for base in bases if base not in order and base not in open_), None)
                if following is None:
                    order[name] = None
                    open_.discard(name)
                    path.pop()
                else:
                    open_.add(following)
                    path.append((following, iter(self._bases_of(following))))
        return [*order]

    def _bases_of(self, name: str) -> list[str]:
        config = self._configs[name]
        return [] if config.get("type") == "mirror" else [b for b in texts(config.get("bases")) if b in self._indexes]

    def _stage(self, name: str, config: Mapping[str, Any]) -> dict[str, Any] | None:
        kind = config.get("type", "stage")
        if kind != "stage":
            why = f"is of type {str(kind)[:40]!a}, which is not known here"
            self._report.add(Kind.LEFT_OUT, name, "", why)
            return None
        place = self._indexes[name]
        bases = [*self._bases(name, place, config)]
        values: dict[str, Any] = {"type": "stage", **_words(config)}
        values["volatile"] = _truth(config.get("volatile"), default=True)
        soft = [base for base in bases if self._is_volatile(base)]
        if soft and not values["volatile"]:
            why = (
                f"is volatile here, since its base {soft[0]} is: make that one non-volatile, and then this "
                f"(gitindex index modify {place} volatile=false)"
            )
            self._report.note(place, "volatile", why)
            values["volatile"] = True
        values["bases"] = [str(base) for base in bases]
        acl = self._acl(name, place, config)
        if acl != [place.user]:
            values["acl_upload"] = acl
        whitelist = [*self._whitelist(place, config)]
        if whitelist:
            values["mirror_whitelist"] = whitelist
        # devpi's own default, where the key is missing in old data, is this.
        if config.get("mirror_whitelist_inheritance", "union") == "union":
            values["mirror_whitelist_inheritance"] = "union"
        self._note_others(place, config, _OF_STAGES)
        return values

    def _bases(self, name: str, place: IndexName, config: Mapping[str, Any]) -> Iterator[IndexName]:
        seen: set[str] = set()
        for base in texts(config.get("bases")):
            known = self._indexes.get(base)
            if base in seen or base == name:
                self._report.note(place, f"base {base}", "is left out: it is named twice, or is the index itself")
            elif known is None:
                self._report.note(place, f"base {base}", "is left out: it is not carried over")
            elif known not in self._volatile:
                self._report.note(place, f"base {base}", "is left out: it closes a cycle")
            else:
                yield known
            seen.add(base)

    def _is_volatile(self, base: IndexName) -> bool:
        return self._volatile.get(base, False)

    def _acl(self, name: str, place: IndexName, config: Mapping[str, Any]) -> list[str]:
        stated = config.get("acl_upload")
        listed = [name.partition("/")[0]] if stated is None else texts(stated)
        found: dict[str, None] = {}
        settings = self._here.settings_or_problem
        groups = settings.groups if isinstance(settings, Settings) else {}
        for entry in listed:
            if entry in self.user_names or self._here.user(_spelled(entry)) is not None:
                found[self.user_names.get(entry, _spelled(entry))] = None
            elif entry.upper() in _ANYBODY:
                self._report.note(place, f"acl_upload {entry}", "is left out: releases are made by users who are known")
            elif entry.startswith(":") and entry[1:] in groups:
                found[entry] = None
            else:
                what = "group" if entry.startswith(":") else "user"
                self._report.note(place, f"acl_upload {entry}", f"is left out: there is no such {what} here")
        return [*found]

    def _whitelist(self, place: IndexName, config: Mapping[str, Any]) -> Iterator[str]:
        for item in dict.fromkeys(texts(config.get("mirror_whitelist", config.get("pypi_whitelist")))):
            entry = item if item == "*" else normalize(item)
            if entry == "*" or is_project_name(entry):
                yield entry
            else:
                self._report.note(place, f"mirror_whitelist {item}", "is left out: it is no name of a project")

    def _mirror(self, name: str, config: Mapping[str, Any]) -> dict[str, Any] | None:
        place = self._indexes[name]
        url = _plain_url(a_text(config.get("mirror_url")))
        if url is None:
            self._report.add(Kind.LEFT_OUT, name, "", "is a mirror without a mirror_url that can be asked")
            return None
        values: dict[str, Any] = {"type": "mirror", **_words(config)}
        if url != config.get("mirror_url"):
            why = "has more in it than a place, perhaps a secret, which is left out: the environment has that, or netrc"
            self._report.note(place, "mirror_url", why)
        if url.rstrip("/") != Upstream(place, Mirror(type="mirror")).url.rstrip("/"):  # it is PyPI's by default
            values["mirror_url"] = url
        expiry = config.get("mirror_cache_expiry")
        if type(expiry) is int and expiry >= 0 and expiry != Mirror(type="mirror").mirror_cache_expiry:
            values["mirror_cache_expiry"] = expiry
        if _truth(config.get("mirror_use_external_urls"), default=False):
            values["mirror_use_external_urls"] = True
        self._note_others(place, config, _OF_MIRRORS)
        return values

    def _note_others(self, place: object, config: Mapping[str, Any], known: Iterable[str]) -> None:
        """Tell of options without a counterpart, unless they say what holds without them."""
        for key in sorted(config.keys() - set(known)):
            value = config[key]
            if value in (None, "", [], {}) or _WITHOUT_EFFECT.get(key) == value:
                continue
            self._report.note(place, key[:100], f"has no counterpart: {_WHY.get(key, 'nothing here reads it')}")


def _some_of(known: Collection[str], name: str) -> str:
    """Return a hint at what there is, the nearest first: a server may have thousands."""
    from rapidfuzz.process import extract  # noqa: PLC0415 - for a mistake alone

    near = [found[0] for found in extract(name, [*known], limit=_NEAREST)]
    told = ", ".join(clipped(each, MAX_NAME) for each in near)
    if not near:
        return "it has none"
    return f"it has: {told}" if len(near) == len(known) else f"of its {len(known):,} these are the nearest: {told}"


def _in_old_words(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return options of devpi 7 in the words of devpi 6, which are ours too."""
    kind = config.get("type")
    if not isinstance(kind, str) or kind not in _TYPES_OF_7:
        return config
    options = {_OPTIONS_OF_7.get(key, key): value for key, value in config.items()}
    options["type"] = _TYPES_OF_7[kind]
    if options["type"] == "stage":
        rules = options.pop("project_inheritance_rules", None)
        options.setdefault("mirror_whitelist_inheritance", "intersection")
        if rules == ["allow all"]:
            options["mirror_whitelist"] = ["*"]
        elif rules not in (None, ["block type:remote if local_exists"]):
            options["project_inheritance_rules"] = rules
    return options


def _spelled(name: str) -> str:
    """Return a name in lower case, with single `.`, `_` or `-` between letters and digits; a slash stays."""
    return "/".join(
        _ODD.sub(lambda odd: odd[1] or "-", part.lower()).strip("._-")[:MAX_NAME] for part in name.split("/")
    )


def _words(config: Mapping[str, Any]) -> dict[str, str]:
    return {key: text for key in ("title", "description") if (text := a_text(config.get(key)))}


def _truth(value: object, *, default: bool) -> bool:
    if isinstance(value, str):
        return value.lower() in {"true", "yes", "1"}
    return value if isinstance(value, bool) else default


def _differs(definition: Stage | Mirror, values: Mapping[str, Any]) -> bool:
    stated = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    data = definition.data()
    return any(data.get(key) != value for key, value in stated.items())


def _plain_url(url: str) -> str | None:
    """Return a URL without name, password and query, any of which is a secret; ``None``: no mirror can have it."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        _ = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isprintable():
        return None
    return parts._replace(netloc=host, query="", fragment="").geturl()


class DevpiSource:
    """What a devpi has, whether it answers or was exported: its users, and its indexes, bases first."""

    def __init__(self, translation: Translation, report: Report) -> None:
        self._translation = translation
        self._report = report
        self._there: dict[IndexName, str] = {}
        """What devpi calls the indexes that were yielded."""
        report.note("", "passwords", _PASSWORDS)

    def users(self) -> Iterator[SourceUser]:
        return self._translation.users()

    def indexes(self) -> Iterator[SourceIndex]:
        for name, index in self._translation.indexes():
            self._there[index.name] = name
            yield index
