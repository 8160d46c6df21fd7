"""Values that are made without pydantic: they are what pydantic makes, and nothing fits that it refuses."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from gitindex.documents import adapter
from gitindex.fitting import fitted
from gitindex.model import SCHEMAS
from gitindex.tokens import _TokenFile
from tests.test_schemas import EXAMPLES, values_of

MODELS: dict[str, Any] = {**SCHEMAS, "tokens": _TokenFile}
TOKEN = {
    "id": "abcdefgh",
    "name": "ci",
    "sha256": "a" * 64,
    "scopes": ["read:emilie/*"],
    "created": "2026-11-22T07:25:00Z",
    "expires": None,
}
VALUES = {name: values_of(example) for name, example in EXAMPLES.items()} | {"tokens": {"format": 1, "tokens": [TOKEN]}}
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1800, 10**30, 1.0, 1e9, float("inf"), float("nan")),
    *(date(2027, 3, 31), datetime(2027, 3, 31, tzinfo=UTC), [], {}, [1], [""], {"": ""}, {"a": 1}, [None], ["*"] * 101),
    *(
        "",
        " ",
        "a",
        "\n",
        "a\n",
        "\ud800",
        "é",
        "٣d",
        "\u3000",
        "\x1c",
        "7d",
        "7d\n",
        "/a",
        "files/",
        "s3://",
        "s3://b",
    ),
    *(
        "https://a.example.org/",
        "https://u@a.example.org/",
        "http://[",
        "2026-11-22T07:25:00.1Z",
        "2026-13-22T07:25:00Z",
    ),
    *("a" * 64, "A" * 64, "stage", "mirror", "union", "archived", "passed", "x" * 201, "x" * 1001),
)


_SOME_ODD = st.sampled_from(ODD).map(deepcopy)
"""Copies, since a later change may be inside one: the next example would be made of what this one has changed."""


@pytest.mark.parametrize("name", list(MODELS))
def test_what_is_usual_fits(name: str) -> None:
    assert fitted(MODELS[name], VALUES[name]) == adapter(MODELS[name]).validate_python(VALUES[name])


@given(data=st.data(), name=st.sampled_from(sorted(MODELS)))
def test_what_fits_is_what_pydantic_makes_of_it(data: st.DataObject, name: str) -> None:
    values = deepcopy(VALUES[name])
    for _ in range(data.draw(st.integers(1, 3))):
        values = changed(data, values)
    value = fitted(MODELS[name], values)
    if value is not None:
        assert repr(value) == repr(adapter(MODELS[name]).validate_python(values))


def changed(data: st.DataObject, values: Any) -> Any:
    """Replace, remove or add something somewhere in the values of a document."""
    if not isinstance(values, (dict, list)) or not values or data.draw(st.integers(0, 9)) == 0:
        return data.draw(st.one_of(_SOME_ODD, st.text()))
    key = data.draw(st.sampled_from(sorted(values) if isinstance(values, dict) else range(len(values))))
    match data.draw(st.sampled_from(("inside", "inside", "remove", "add"))):
        case "remove":
            del values[key]
        case "add" if isinstance(values, dict):
            values[data.draw(st.sampled_from(("nonsense", "type", "bases", "upload_time")))] = data.draw(_SOME_ODD)
        case "add" if isinstance(values, list):
            values.append(data.draw(_SOME_ODD))
        case _:
            values[key] = changed(data, values[key])
    return values


def test_a_document_in_order_is_read_without_pydantic(tmp_path: Path) -> None:
    (tmp_path / "index.toml").write_text(EXAMPLES["mirror"], encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from gitindex.documents import read_definition;"
        "print(read_definition('index.toml', Path('index.toml').read_bytes()).title, 'pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "A curated mirror False\n"
