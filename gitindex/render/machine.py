"""The simple API's pages: HTML (PEP 503) and JSON (PEP 691) of one value, api-version 1.4.

Built from fragments, not templates: a repository has 100,000 of these lines. Nothing is resolved here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache

from gitindex.pages import API_VERSION, FilePage, ProjectList, ProjectPage, Status
from gitindex.render.text import carried, escaped, escaped_often, is_link, is_secure

MARKERS = frozenset({"active", "archived", "deprecated", "quarantined"})
"""The project status markers (PEP 792)."""


def project_html(page: ProjectPage) -> bytes:
    """Return the HTML page of a project (PEP 503, 592, 629, 658, 714, 740, 792): one anchor per file.

    ``data-size`` and ``data-upload-time`` are not in the standard; uv's ``exclude-newer`` reads the time
    where a host cannot serve JSON, and other readers ignore both.
    """
    return _document(f"Links for {page.name}", _status_metas(_marker(page)), map(_anchor, offered(page)))


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
    files = ",".join(map(_file_object, offered(page)))
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


def _provenance(file: FilePage) -> str | None:
    """Return the provenance's address where a page may carry it: absolute, of a secure origin (PEP 740)."""
    return file.provenance if file.provenance and is_secure(file.provenance) else None


def _anchor(file: FilePage) -> str:
    url = _address(file.url)
    href = escaped(url)
    # Where the address needed no escaping, the name at its end needs none either.
    text = file.filename if href is url and url.endswith(file.filename) else escaped(file.filename)
    python = f' data-requires-python="{escaped_often(file.requires_python)}"' if file.requires_python else ""
    metadata = ""
    if file.core_metadata is not None:
        stated = "true" if file.core_metadata is True else f"sha256={file.core_metadata}"
        metadata = f' data-core-metadata="{stated}"'
    # Never bare: pip does not see an attribute without a value.
    yanked = f' data-yanked="{escaped(file.yanked)}"' if file.yanked is not None else ""
    provenance = f' data-provenance="{escaped(source)}"' if (source := _provenance(file)) else ""
    size = f' data-size="{file.size}"' if file.size is not None else ""
    time = f' data-upload-time="{escaped(file.upload_time)}"' if file.upload_time is not None else ""
    fragment = f"#sha256={file.sha256}" if file.sha256 is not None else ""
    return f'<a href="{href}{fragment}"{python}{metadata}{yanked}{provenance}{size}{time}>{text}</a><br>\n'


def _file_object(file: FilePage) -> str:
    """Return a file as a JSON object. What is not known is left out: uv rejects a whole page for one null."""
    time = f',"upload-time":{_string(file.upload_time)}' if file.upload_time is not None else ""
    python = f',"requires-python":{_string_often(file.requires_python)}' if file.requires_python else ""
    metadata = ""
    if file.core_metadata is not None:
        stated = "true" if file.core_metadata is True else f'{{"sha256":"{file.core_metadata}"}}'
        metadata = f',"core-metadata":{stated}'
    hashes = f'"sha256":"{file.sha256}"' if file.sha256 is not None else ""
    # An empty string is "not yanked" to pip and "yanked" to uv.
    yanked = f',"yanked":{_string(file.yanked) if file.yanked else "true"}' if file.yanked is not None else ""
    provenance = f',"provenance":{_string(source)}' if (source := _provenance(file)) else ""
    return (
        f'{{"filename":{_string(file.filename)},"url":{_string(_address(file.url))},"hashes":{{{hashes}}},'
        f'"size":{file.size}{time}{python}{metadata}{yanked}{provenance}}}'
    )


def _status_object(marker: Status) -> str:
    reason = f',"reason":{_string(marker.reason)}' if marker.reason else ""
    return f'{{"status":"{marker.status}"{reason}}}'


def _string(text: str) -> str:
    """Return *text*, as :func:`~gitindex.render.text.carried`, as a JSON string; beyond ASCII it is not escaped."""
    # Nearly all strings have nothing to escape: to put them between quotes costs a fifth of asking a library.
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return json.dumps(carried(text), ensure_ascii=False)


_string_often = lru_cache(maxsize=4096)(_string)
