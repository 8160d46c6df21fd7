"""What hosts that cannot run here make of their rules, as their documentation says it.

Where it does not say how a path is read before it is compared, both readings are tried: as it came, and with its
escapes, dots and doubled slashes resolved.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote


class Reply(NamedTuple):
    """An answer."""

    status: int
    location: str = ""
    file: str = ""
    """The file that is sent."""
    headers: Mapping[str, str] = {}


Site = Mapping[str, bytes]


def readings(path: str) -> Iterator[str]:
    """Yield the paths for which a host may take one, without its query."""
    raw = path.partition("?")[0].partition("#")[0]
    resolved: list[str] = []
    decoded = unquote(raw)
    for part in decoded.split("/"):
        if part == "..":
            del resolved[-1:]
        elif part not in ("", "."):
            resolved.append(part)
    end = "/" if decoded.endswith("/") and resolved else ""
    yield from dict.fromkeys((raw, decoded, re.sub("/+", "/", raw), f"/{'/'.join(resolved)}{end}"))


def file_at(site: Site, path: str) -> str | None:
    """Return the file that is sent for a path, ``None`` where there is none."""
    name = path.lstrip("/")
    tried = (f"{name}index.html",) if name.endswith("/") or not name else (name, f"{name}/index.html")
    return next((each for each in tried if each in site), None)


def redirects(site: Site, path: str, file: str | None = None) -> Reply:
    """Answer by `_redirects` (Netlify, GitLab Pages): a file comes first, then the first rule with that path.

    *file* is how the host reads the path to find a file, where that differs.

    A slash at the end does not count; `*` stands for the rest, and `:name` for a segment.
    """
    if (found := file_at(site, path if file is None else file)) is not None:
        return Reply(200, file=found)
    for line in site["_redirects"].decode().splitlines():
        origin, target, status = line.split()
        assert "!" not in status, "such a rule overrides a file"
        pattern = re.sub(r":[a-z]+", "[^/]+", re.escape(origin.rstrip("/"))).replace(r"\*", ".*")
        if re.fullmatch(pattern, path.rstrip("/")):
            assert ":" not in origin.partition("//")[2], "no placeholder is filled in here"
            return Reply(int(status), target)
    return Reply(404)


def s3(site: Site, path: str) -> Reply:
    """Answer as the website of a bucket: the key, its index document, then the first routing rule of the error."""
    website = json.loads(site[".host/s3/website.json"])
    key = path.removeprefix("/")
    asked = key + website["IndexDocument"]["Suffix"] if key.endswith("/") or not key else key
    if asked in site:
        return Reply(200, file=asked)
    if f"{key}/{website['IndexDocument']['Suffix']}" in site:
        return Reply(302, f"/{key}/")
    for rule in website.get("RoutingRules", ()):
        condition, redirect = rule["Condition"], rule["Redirect"]
        prefix = condition["KeyPrefixEquals"]
        if condition["HttpErrorCodeReturnedEquals"] == "404" and key.startswith(prefix):
            place = f"{redirect['Protocol']}://{redirect['HostName']}/{redirect['ReplaceKeyWith']}"
            return Reply(int(redirect["HttpRedirectCode"]), place)
    return Reply(404, file=website["ErrorDocument"]["Key"])


def vercel(site: Site, path: str, accept: str = "") -> Reply:
    """Answer by the routes of `vercel.json`: in order, those after `handle: filesystem` once no file was found."""
    headers: dict[str, str] = {}
    for route in json.loads(site["vercel.json"])["routes"]:
        if route.get("handle") == "filesystem":
            if (found := file_at(site, path)) is not None:
                return Reply(200, file=found, headers=headers)
            continue
        assert route["src"][0] + route["src"][-1] == "^$", "Vercel adds what is missing: a route is of the whole path"
        match = re.search(route["src"], path, 0 if route.get("caseSensitive") else re.IGNORECASE)
        if match is None or not all(_has(condition, accept) for condition in route.get("has", ())):
            continue
        given = {name: _filled(value, match) for name, value in route.get("headers", {}).items()}
        if route.get("continue"):
            headers |= given
            path = _filled(route["dest"], match) if "dest" in route else path
            continue
        if "dest" in route and "status" not in route:
            found = file_at(site, _filled(route["dest"], match))
            if found is None and route.get("check"):
                continue
            return Reply(200 if found else 404, file=found or "", headers=headers | given)
        return Reply(route["status"], given.get("Location", ""), _filled(route.get("dest", ""), match), headers | given)
    return Reply(404)


def _has(condition: Mapping[str, Any], accept: str) -> bool:
    assert (condition["type"], condition["key"]) == ("header", "accept")
    # Whether an expression is one for the whole of a header is not documented: both must be the same.
    found = {bool(fits(condition["value"], accept)) for fits in (re.search, re.fullmatch)}
    assert len(found) == 1, (condition["value"], accept)
    return found.pop()


def _filled(text: str, match: re.Match[str]) -> str:
    """Fill in groups as Vercel does: `$1` goes on as far as letters and digits, all of which it swallows."""
    return re.sub(r"\$([1-9a-zA-Z]+)", lambda found: match[int(re.match("[0-9]+", found[1])[0])] or "", text)  # type: ignore[index]


def netlify_headers(site: Site, path: str) -> dict[str, str]:
    """Return the headers of `_headers` (Netlify): those of all rules that fit; a value of several is joined."""
    found: dict[str, str] = {}
    fits = False
    for line in site["_headers"].decode().splitlines():
        if not line.startswith(" "):
            pattern = re.sub(r":[a-z]+", "[^/]+", re.escape(line)).replace(r"\*", ".*")
            fits = re.fullmatch(pattern, path) is not None
        elif fits:
            name, _, value = line.strip().partition(": ")
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found
