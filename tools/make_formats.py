"""Writes `docs/reference/formats.md`: the keys of each file of an index repository, from its schema, and an example.

The examples are those of `tests/test_schemas.py`, where each is read by its model and judged by its schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gitindex.documents import json_schema
from gitindex.model import SCHEMAS
from tests.test_schemas import EXAMPLES

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "formats.md"
TITLES = {
    "gitindex": "Settings",
    "user": "User",
    "stage": "Index: stage",
    "mirror": "Index: mirror",
    "manifest": "Release",
    "project": "Project",
    "tests": "Test results",
}
INTRODUCTION = """\
<!-- Made by `make docs` from the schemas. Change the models, not this page. -->
# Formats

The files of an index repository, format 1. TOML is for what people write and change, JSON for facts that programs write
once.

| file | what it is |
|---|---|
"""
MORE = """
The bytes of released files lie in `files/<sha256[0:2]>/<sha256[2:]>/<filename>`, unless `[storage]` names another
place.

`<project>` is the normalised name, `<version>` the canonical version. Names of users and indexes are of lower-case
letters and digits, with `.`, `_` and `-` between them, and have at most 64 characters. Files are UTF-8, and at most
1 MiB. A key that is unknown, or that stands twice, is refused ([GI001](rules.md#gi001)). What the rules demand beyond
types is in [Rules](rules.md).

`gitindex schema --out schemas` writes the same as JSON Schemas, for editors and other checkers. A type that begins with
a capital, such as `Site`, is a table of its own below.
"""


class _Schema:
    """A schema, and the tables that its types name."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.whole = schema
        self.tables = schema.get("$defs", {})

    def type_of(self, node: Mapping[str, Any]) -> str:
        """Return the type of a value, in words."""
        if "$ref" in node:
            return str(node["$ref"].rpartition("/")[2])
        if "const" in node:
            return f"`{json.dumps(node['const'])}`"
        if "enum" in node:
            return ", ".join(f"`{json.dumps(each)}`" for each in node["enum"])
        if "anyOf" in node:
            return " or ".join(self.type_of(each) for each in node["anyOf"] if each.get("type") != "null")
        kind = node["type"]
        if kind == "array":
            return f"list of {self.type_of(node['items'])}"
        if kind == "object":
            return f"table of {self.type_of(node['additionalProperties'])}"
        return str({"string": "text", "integer": "whole number", "boolean": "true or false"}.get(kind, kind))

    def about(self, node: Mapping[str, Any]) -> str:
        """Return what the schema says of a value; of a table, what it is."""
        found = node.get("description") or self.tables.get(self.type_of(node), {}).get("description", "")
        return str(found)

    def rows(self, table: Mapping[str, Any]) -> Iterator[str]:
        required = table.get("required", ())
        for name, node in table["properties"].items():
            value = node.get("default")
            default = "required" if name in required else "" if value in (None, "", []) else f"`{json.dumps(value)}`"
            cells = (f"`{name}`", self.type_of(node), default, self.about(node))
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def table_of(schema: _Schema, table: Mapping[str, Any]) -> str:
    """Return the keys of a table."""
    return "| key | type | default | what it says |\n|---|---|---|---|\n" + "".join(schema.rows(table))


def example_of(name: str) -> str:
    """Return the example of a file."""
    example = EXAMPLES[name]
    if isinstance(example, str):
        return f"```toml\n{example.rstrip()}\n```\n"
    return f"```json\n{json.dumps(example, indent=2)}\n```\n"


def section(name: str) -> str:
    """Return what is said of one file."""
    schema = _Schema(json_schema(SCHEMAS[name]))
    parts = [f"## {TITLES[name]}\n\n{schema.whole['description']}\n"]
    if "properties" in schema.whole:
        parts.append(table_of(schema, schema.whole))
    else:
        parts.append(f"A {schema.type_of(schema.whole)}.\n")
    for title, table in schema.tables.items():
        parts.append(f"**{title}.** {table['description']}\n")
        parts.append(table_of(schema, table))
    parts.append(f"Every key of it, as an example:\n\n{example_of(name)}")
    return "\n".join(parts)


def page() -> str:
    """Return the page."""
    files = []
    for name, model in SCHEMAS.items():
        path, _, what = json_schema(model)["description"].partition(": ")
        title = TITLES[name]
        anchor = title.lower().replace(":", "").replace(" ", "-")
        files.append(f"| {path} | [{title}](#{anchor}): {what.rstrip('.')} |\n")
    return INTRODUCTION + "".join(files) + MORE + "\n" + "\n".join(map(section, SCHEMAS))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
