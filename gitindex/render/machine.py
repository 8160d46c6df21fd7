"""The simple API's pages: HTML (PEP 503) and JSON (PEP 691) of one value, api-version 1.4.

Built from fragments, not templates: a repository has 100,000 of these lines. Nothing is resolved here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache

from gitindex.names import writes_itself
from gitindex.pages import API_VERSION, FilePage, ProjectList, ProjectPage, Status
from gitindex.render.text import carried, escaped, escaped_often, is_link, is_secure

MARKERS = frozenset({"active", "archived", "deprecated", "quarantined"})
"""The project status markers (PEP 792)."""


def project_html(page: ProjectPage) -> bytes:
    """Return the HTML page of a project (PEP 503, 592, 629, 658, 714, 740, 792): one anchor per file.

    ``data-size`` and ``data-upload-time`` are not in the standard; uv's ``exclude-newer`` reads the time
    where a host cannot serve JSON, and other readers ignore both.
    """
    return _document(
        f"Links for {page.name}",
        _status_metas(_marker(page)),
        (_anchor(file, is_plain=page.is_plain) for file in offered(page)),
    )


def project_json(page: ProjectPage) -> bytes:
    """Return the JSON page of a project (PEP 691, 700): what :func:`project_html` says, and the versions.

    Raises :class:`ValueError` where a size is not known: the standard demands one of every file, and uv rejects the
    whole page without. Ask :func:`has_json` first.
    """
    if not has_json(page):
        raise ValueError(f"{page.name}: a JSON page states the size of every file, and one is not known")
    marker = _marker(page)
    status = "" if marker is None else f',"project-status":{_status_object(marker)}'
    versions = ",".join(map(_string, page.versions))
    files = ",".join([_file_object(file, is_plain=page.is_plain) for file in offered(page)])
    return (
        f'{{"meta":{{"api-version":"{API_VERSION}"}},"name":{_string(page.name)}{status},'
        f'"versions":[{versions}],"files":[{files}]}}\n'
    ).encode()


def has_json(page: ProjectPage) -> bool:
    """Tell whether a page can be JSON: all sizes are known. Only a page of an upstream can be HTML alone."""
    return all(file.size is not None for file in offered(page))


def list_html(projects: ProjectList) -> bytes:
    """Return the HTML list of an index's projects (PEP 503); Poetry takes the links for the names."""
    anchors = (f'<a href="{name}/">{name}</a><br>\n' for name in map(escaped, projects.projects))
    return _document("Simple index", "", anchors)


def list_json(projects: ProjectList) -> bytes:
    """Return the JSON list of an index's projects (PEP 691)."""
    names = ",".join(f'{{"name":{_string(name)}}}' for name in projects.projects)
    return f'{{"meta":{{"api-version":"{API_VERSION}"}},"projects":[{names}]}}\n'.encode()


def _document(title: str, metas: str, lines: Iterable[str]) -> bytes:
    title = escaped(title)
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="pypi:repository-version" content="{API_VERSION}">\n{metas}'
        f"<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n"
    )
    return f"{head}{''.join(lines)}</body>\n</html>\n".encode()


def _marker(page: ProjectPage) -> Status | None:
    """Return the status as far as it is one of PEP 792: another marker would make the page invalid."""
    return page.status if page.status and page.status.status in MARKERS else None


def _status_metas(marker: Status | None) -> str:
    if marker is None:
        return ""
    metas = f'<meta name="pypi:project-status" content="{marker.status}">\n'
    if marker.reason:
        metas += f'<meta name="pypi:project-status-reason" content="{escaped(marker.reason)}">\n'
    return metas


def offered(page: ProjectPage) -> tuple[FilePage, ...]:
    """Return what clients may have: of a quarantined project nothing, since no client asks the marker."""
    return () if page.status and page.status.status == "quarantined" else page.files


def _address(url: str) -> str:
    """Return *url*, or a relative one that leads nowhere where it is of a scheme that no page may link to."""
    return url if is_link(url) else f"./{url}"


def _anchor(file: FilePage, *, is_plain: bool) -> str:
    filename, _, _, url, sha256, size, time, python, metadata, yanked, provenance = file
    if not is_plain:
        filename, url, time = escaped(filename), escaped(_address(url)), time and escaped(time)
    line = f'<a href="{url}'
    if sha256 is not None:
        line += f"#sha256={sha256}"
    line += '"'
    if python:
        line += f' data-requires-python="{escaped_often(python)}"'
    if metadata is not None:
        line += f' data-core-metadata="{"true" if metadata is True else f"sha256={metadata}"}"'
    if yanked is not None:  # never bare: pip does not see an attribute without a value
        line += f' data-yanked="{escaped(yanked)}"'
    if provenance and is_secure(provenance):
        line += f' data-provenance="{escaped(provenance)}"'
    if size is not None:
        line += f' data-size="{size}"'
    if time is not None:
        line += f' data-upload-time="{time}"'
    return f"{line}>{filename}</a><br>\n"


def _file_object(file: FilePage, *, is_plain: bool) -> str:
    """Return a file as a JSON object. What is not known is left out: uv rejects a whole page for one null."""
    filename, _, _, url, sha256, size, time, python, metadata, yanked, provenance = file
    if not is_plain:
        filename, url, time = _inner(filename), _inner(_address(url)), time and _inner(time)
    hashes = f'"sha256":"{sha256}"' if sha256 is not None else ""
    line = f'{{"filename":"{filename}","url":"{url}","hashes":{{{hashes}}},"size":{size}'
    if time is not None:
        line += f',"upload-time":"{time}"'
    if python:
        line += f',"requires-python":{_string_often(python)}'
    if metadata is not None:
        stated = "true" if metadata is True else f'{{"sha256":"{metadata}"}}'
        line += f',"core-metadata":{stated}'
    if yanked is not None:  # an empty string is "not yanked" to pip and "yanked" to uv
        line += f',"yanked":{_string(yanked) if yanked else "true"}'
    if provenance and is_secure(provenance):
        line += f',"provenance":{_string(provenance)}'
    return line + "}"


def _status_object(marker: Status) -> str:
    reason = f',"reason":{_string(marker.reason)}' if marker.reason else ""
    return f'{{"status":"{marker.status}"{reason}}}'


def _string(text: str) -> str:
    """Return *text*, as :func:`~gitindex.render.text.carried`, as a JSON string; beyond ASCII it is not escaped."""
    # Nearly all strings have nothing to escape: to put them between quotes costs a fifth of asking a library.
    return f'"{text}"' if writes_itself(text) else json.dumps(carried(text), ensure_ascii=False)


def _inner(text: str) -> str:
    """Return what stands between the quotes of a JSON string."""
    return _string(text)[1:-1]


_string_often = lru_cache(maxsize=4096)(_string)
