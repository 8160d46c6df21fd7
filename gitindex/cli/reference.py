"""`gitindex rule` and `gitindex schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gitindex import atomic
from gitindex.cli.common import JsonOption
from gitindex.cli.output import note, print_json, say, table
from gitindex.documents import json_schemas
from gitindex.errors import NotThereError
from gitindex.finding import Severity
from gitindex.rules import RULES


def rule(
    code: Annotated[str | None, typer.Argument(metavar="CODE", help="The rule to explain, such as GI205.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the rules, or explain one."""
    chosen = [item for item in RULES if code is None or item.code == code.upper()]
    if not chosen:
        raise NotThereError(f"{code}: no such rule", help="see: gitindex rule")
    if as_json:
        print_json(
            [
                {"code": r.code, "severity": str(r.severity), "refuses": r.statement, "explanation": r.explanation}
                for r in chosen
            ]
        )
    elif code is None:
        say(table((item.code, str(item.severity), item.statement) for item in chosen))
    else:
        item = chosen[0]
        verb = "refuses" if item.severity is Severity.ERROR else "tells of"
        say(f"{item.code} ({item.severity}) {verb} {item.statement}.\n\n{item.explanation}")


def schema(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write one file for each format to DIR.")
    ] = None,
    as_json: JsonOption = True,
) -> None:
    """Print or write the JSON Schemas of the formats."""
    del as_json  # a schema is JSON in any case
    schemas = json_schemas()
    if out is None:
        print_json(schemas)
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise atomic.cannot_write(out, error) from None
    for name, content in schemas.items():
        atomic.write(out / f"{name}.schema.json", [json.dumps(content, indent=2).encode() + b"\n"])
    note(f"{len(schemas)} schemas are in {out}.")
