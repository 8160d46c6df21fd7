"""The lines that point a tool to an index: what `gitindex config` prints and what people copy from a page.

Each makes the index the only one that the tool asks. A second one beside it is how names get confused.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from gitindex.names import IndexName, ProjectName

UNKNOWN_URL = "URL"
"""Stands where it is not known at which URL an index is served."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """Lines to copy."""

    tool: str
    """The tool in lower case, or ``pylock``."""
    title: str
    """Where they belong: the name of a file, or ``command line``."""
    language: str
    """``sh``, ``toml`` or ``ini``."""
    text: str
    """Without a newline at the end."""


def for_index(url: str, index: IndexName) -> tuple[Snippet, ...]:
    """Return the lines that point each tool to an index; the last of a tool are those that stay in a file.

    *url* is that of its simple index, and may be empty where it is not known.
    """
    address, label = url or UNKNOWN_URL, _label(index)
    quoted, source = shlex.quote(address), json.dumps(address, ensure_ascii=False)
    uv = f'[[tool.uv.index]]\nname = "{label}"\nurl = {source}\ndefault = true'
    poetry = f'[[tool.poetry.source]]\nname = "{label}"\nurl = {source}\npriority = "primary"'
    # PDM asks PyPI beside all sources unless one of them takes its name.
    pdm = f'[[tool.pdm.source]]\nname = "pypi"\nurl = {source}\nverify_ssl = true'
    return (
        _command("pip", f"pip install --index-url {quoted} NAME"),
        Snippet("pip", "pip.conf", "ini", f"[global]\nindex-url = {address}"),
        Snippet("uv", "pyproject.toml", "toml", uv),
        Snippet("poetry", "pyproject.toml", "toml", poetry),
        Snippet("pdm", "pyproject.toml", "toml", pdm),
        _command("pylock", f"pip lock --index-url {quoted} --requirement requirements.txt"),
    )


def for_project(url: str, index: IndexName, project: ProjectName, version: str | None) -> tuple[Snippet, ...]:
    """Return the lines by which each tool installs a project, or that *version* of it, from an index alone.

    *url* is that of its simple index, and may be empty where it is not known. *version* may be of any text.
    """
    label, address = _label(index), shlex.quote(url or UNKNOWN_URL)
    wanted = shlex.quote(f"{project}=={version}" if version is not None else project)
    named = shlex.quote(f"{label}={url or UNKNOWN_URL}")
    return (
        _command("pip", f"pip install --index-url {address} {wanted}"),
        _command("uv", f"uv add --default-index {named} {wanted}"),
        _command("poetry", f"poetry source add --priority primary {label} {address}\npoetry add {wanted}"),
        _command("pdm", f"pdm config --local pypi.url {address}\npdm add {wanted}"),
        _command("pylock", f"pip lock --index-url {address} {wanted}"),
    )


def for_uploads(url: str, index: IndexName) -> Snippet:
    """Return the lines that let twine upload to an index; *url* is that of the index, which ends with a slash."""
    label = _label(index)
    lines = ("[distutils]", f"index-servers = {label}", "", f"[{label}]", f"repository = {url}", "username = __token__")
    return Snippet("twine", ".pypirc", "ini", "\n".join(lines))


def _label(index: IndexName) -> str:
    return f"{index.user}-{index.name}"


def _command(tool: str, text: str) -> Snippet:
    return Snippet(tool, "command line", "sh", text)
