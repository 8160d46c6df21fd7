"""What lets editors complete and check the files of an index repository, offline: schemas, and which file has which."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from gitindex import layout
from gitindex.documents import json_schemas

SCHEMAS = "schemas"
_TOML = {
    layout.SETTINGS: "gitindex",
    f"{layout.INDEXES}/*/{layout.USER}": "user",
    f"{layout.INDEXES}/*/*/{layout.INDEX}": "index",
    f"{layout.INDEXES}/*/*/*/{layout.PROJECT}": "project",
}
_MANIFESTS = f"{layout.INDEXES}/*/*/*/*{layout.MANIFEST_SUFFIX}"
_RESULTS = f"{layout.INDEXES}/*/*/*/*{layout.RESULTS_SUFFIX}"
_TOML_EXTENSION = "tamasfe.even-better-toml"


def schema_files() -> dict[str, bytes]:
    """Return the schemas, by path in the index repository."""
    return {_path(name): json.dumps(schema, indent=2).encode() + b"\n" for name, schema in json_schemas().items()}


def editor_files(folder: str) -> Mapping[str, bytes]:
    """Return the settings of editors, by path from the top of the Git repository; *folder* is the index repository's.

    TOML has its schemas from `.taplo.toml`, which VS Code's extension reads too: a relative path in VS Code's settings
    is to that extension one beside the folder, not in it.
    """
    prefix = f"{folder}/" if folder else ""
    # What has a meaning in patterns stands for itself as any one character.
    pattern = re.sub(r"[^\w./ -]", "?", prefix)
    settings = {
        "json.schemas": [
            {
                "fileMatch": [f"/{pattern}{_MANIFESTS}", f"!/{pattern}{_RESULTS}"],
                "url": f"./{prefix}{_path('manifest')}",
            },
            {"fileMatch": [f"/{pattern}{_RESULTS}"], "url": f"./{prefix}{_path('tests')}"},
        ]
    }
    rules = [
        f"[[rule]]\ninclude = [{_quoted(pattern + files)}]\n\n[rule.schema]\npath = {_quoted(prefix + _path(name))}\n"
        for files, name in _TOML.items()
    ]
    head = "# For editors that know Taplo (in VS Code: Even Better TOML): which schema belongs to which file.\n"
    return {
        ".taplo.toml": "\n".join([head, *rules]).encode(),
        ".vscode/extensions.json": _json({"recommendations": [_TOML_EXTENSION]}),
        ".vscode/settings.json": _json(settings),
    }


def _path(name: str) -> str:
    return f"{SCHEMAS}/{name}.schema.json"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
