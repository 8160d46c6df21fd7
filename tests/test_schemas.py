"""The JSON Schemas: generated from the models, valid themselves, and of one mind with the models."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from gitindex import documents
from gitindex.documents import Unreadable, adapter, json_schema, json_schemas
from gitindex.model import SCHEMAS, Manifest, Mirror, ProjectStatements, Settings, Stage, User
from tests.repositories import small_content, toml

FOLDER = Path(__file__).parent.parent / "schemas"

# The examples of the description of the format, filled in where they leave something out.
EXAMPLES: dict[str, Any] = {
    "gitindex": """\
format = 1
[site]
url = "https://packages.example.org/"     # where the rendered site is served; pages use relative links all the same
title = "Example packages"
[storage]
url = "files/"                            # in the repository; or s3://…, gs://…, az://…, file:///…
public_url = ""                           # where stored files are downloaded from; empty: the site's own files/
[groups]
release-team = ["emilie", "bob"]
[policy]
protected_branch = "main"
require_signed_commits = false
ignore = []                               # rule codes; only warnings may be ignored, never an error
[forge]
type = "gitea"                            # or github, gitlab; where it is not given, the name of the remote's host says
url = "https://git.example.org/"          # for people, where that is not the remote's host
[names]
reserved = ["acme-*", "billing"]          # ours even before a release exists: never asked of, or answered by, a mirror
[[waivers]]
rule = "GI405"
path = "indexes/emilie/prod/example/1.*.json"
reason = "1.x is fixed for customers until it ends"
until = 2027-03-31
""",
    "user": """\
email = "emilie@example.org"
title = "Emilie"
identities = ["github:emilie", "ssh:SHA256:4b825dc642cb6eb9a060e54bf8d69288fbee4904"]
admin = false
""",
    "stage": """\
type = "stage"
title = "Releases"
description = "What customers install"
volatile = true
bases = ["root/pypi"]
acl_upload = ["emilie", ":release-team"]
mirror_whitelist = ["*"]
mirror_whitelist_inheritance = "intersection"
merge_mirrors = true
require_tests = false
require_attestation = ["github:emilie/table-print@release.yml", "gitlab:team/tools/table-print"]
""",
    "mirror": """\
type = "mirror"
title = "A curated mirror"
description = "What we have looked at"
mirror_url = "https://simple.example.org/simple/"
mirror_cache_expiry = 1800
mirror_use_external_urls = false
allow = ["django<5", "flask"]
deny = ["evil"]
mirror_min_age = "7d"
mirror_min_age_exempt = ["ours"]
""",
    "manifest": {
        "name": "Example_Devpi",
        "version": "0.0.1",
        "files": [
            {
                "filename": "example_devpi-0.0.1-py3-none-any.whl",
                "hashes": {"sha256": "a" * 64},
                "size": 1482,
                "upload-time": "2026-11-22T07:25:00Z",
                "requires-python": ">=3.8",
                "core-metadata": {"sha256": "b" * 64},
            },
            {
                "filename": "example_devpi-0.0.1.tar.gz",
                "hashes": {"sha256": "c" * 64},
                "size": 1,
                "url": "https://files.example.org/example_devpi-0.0.1.tar.gz",
                "provenance": "d" * 64,
            },
        ],
    },
    "project": """\
status = "archived"
status-reason = "moved"
sources = ["https://files.example.org/"]
[yanked]
"0.0.1" = "broken"
"example_devpi-0.0.1.tar.gz" = ""
""",
    "tests": [
        {
            "environment": "py313",
            "outcome": "passed",
            "duration": 12.5,
            "time": "2026-11-22T07:25:00Z",
            "files": ["a" * 64],
            "log": "b" * 64,
        }
    ],
}


def values_of(example: Any) -> Any:
    return tomllib.loads(example) if isinstance(example, str) else example


def test_the_committed_schemas_are_the_generated_ones() -> None:
    """When this fails, run `gitindex schema --out schemas`, and see what changed for the users of the format."""
    committed = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert committed == {
        f"{name}.schema.json": json.dumps(schema, indent=2) + "\n" for name, schema in json_schemas().items()
    }


@pytest.mark.parametrize("name", ["stage", "mirror"])
def test_the_schema_of_an_index_takes_what_is_a_stage_or_a_mirror(name: str) -> None:
    schema = json_schemas()["index"]
    Draft202012Validator.check_schema(schema)
    values = values_of(EXAMPLES[name])
    assert Draft202012Validator(schema).is_valid(values)
    other = "mirror" if name == "stage" else "stage"
    assert not Draft202012Validator(schema).is_valid({**values, "type": other}), "it has keys of the other"
    assert not Draft202012Validator(schema).is_valid({**values, "unknown": 1})


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_a_schema_is_a_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(json_schema(SCHEMAS[name]))


def as_json(values: Any) -> Any:
    """Return what checkers of schemas make of TOML: its dates are texts to them."""
    return json.loads(json.dumps(values, default=date.isoformat))


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_the_example_of_the_description_is_valid_for_schema_and_model(name: str) -> None:
    values = values_of(EXAMPLES[name])
    schema = json_schema(SCHEMAS[name])
    Draft202012Validator(schema).validate(as_json(values))
    adapter(SCHEMAS[name]).validate_python(values)
    if name == "tests":  # a list of one kind of object
        schema, values = schema["$defs"]["TestRun"], values[0]
    assert set(values) == set(schema["properties"]) - {"bases"} | ({"bases"} & set(values)), "it shows every key"


READERS: dict[str, Callable[[str, bytes], object]] = {
    "gitindex": documents.read_settings,
    "user": documents.read_user,
    "stage": documents.read_definition,
    "mirror": documents.read_definition,
    "manifest": documents.read_manifest,
    "project": documents.read_statements,
    "tests": documents.read_results,
}


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_the_example_is_read_as_the_model(name: str) -> None:
    example = EXAMPLES[name]
    data = example.encode() if isinstance(example, str) else json.dumps(example).encode()
    read = READERS[name]("x.json" if name in {"manifest", "tests"} else "x.toml", data)
    assert read == adapter(SCHEMAS[name]).validate_python(values_of(example))


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_an_unknown_key_is_refused_by_schema_and_model(name: str) -> None:
    values = values_of(EXAMPLES[name])
    values = [{**values[0], "nonsense": 1}] if name == "tests" else {**values, "nonsense": 1}
    assert not Draft202012Validator(json_schema(SCHEMAS[name])).is_valid(as_json(values))
    with pytest.raises(ValidationError):
        adapter(SCHEMAS[name]).validate_python(values)


def file(**facts: Any) -> dict[str, Any]:
    entry = {"filename": "x-1.tar.gz", "hashes": {"sha256": "a" * 64}, "size": 1, **facts}
    return {"name": "x", "version": "1", "files": [{key: value for key, value in entry.items() if value is not ...}]}


def run(**facts: Any) -> dict[str, Any]:
    return {**EXAMPLES["tests"][0], **facts}


def waiver(**facts: Any) -> dict[str, Any]:
    return {"rule": "GI405", "path": "indexes", "reason": "agreed", "until": date(2027, 3, 31), **facts}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("gitindex", {}),
        ("gitindex", {"format": "1"}),
        ("gitindex", {"format": 1.5}),
        ("gitindex", {"format": True}),
        ("gitindex", {"format": 1, "site": {"title": 1}}),
        ("gitindex", {"format": 1, "storage": {"url": "elsewhere/"}}),
        ("gitindex", {"format": 1, "groups": {"team": "emilie"}}),
        ("gitindex", {"format": 1, "names": {"reserved": ["Acme"]}}),
        ("gitindex", {"format": 1, "names": {"reserved": [""]}}),
        ("gitindex", {"format": 1, "waivers": [waiver(path="/indexes")]}),
        ("gitindex", {"format": 1, "waivers": [waiver(path="")]}),
        ("gitindex", {"format": 1, "waivers": [waiver(path="x" * 1001)]}),
        ("gitindex", {"format": 1, "waivers": [waiver(reason=" ")]}),
        ("gitindex", {"format": 1, "waivers": [waiver(until=20270331)]}),
        ("gitindex", {"format": 1, "waivers": [waiver(since="2026-11-22")]}),
        ("gitindex", {"format": 1, "waivers": [waiver()] * 101}),
        ("user", {"admin": "yes"}),
        ("user", {"identities": [1]}),
        ("stage", {"type": "mirror"}),
        ("stage", {"volatile": 0}),
        ("stage", {"bases": "root/pypi"}),
        ("stage", {"mirror_whitelist_inheritance": "both"}),
        ("mirror", {}),
        ("mirror", {"type": "mirror", "mirror_cache_expiry": -1}),
        ("mirror", {"type": "mirror", "mirror_cache_expiry": "1800"}),
        ("mirror", {"type": "mirror", "mirror_min_age": "week"}),
        ("mirror", {"type": "mirror", "acl_upload": ["emilie"]}),
        ("manifest", {"name": "x", "version": "1"}),
        ("manifest", {"name": "x", "version": "1", "files": []}),
        ("manifest", file(size="1")),
        ("manifest", file(size=...)),
        ("manifest", file(hashes={})),
        ("manifest", file(hashes={"sha256": 1})),
        ("manifest", file(hashes={"sha256": "a", "md5": "b"})),
        ("manifest", file(yanked=True)),
        ("manifest", file(**{"core-metadata": True})),
        ("manifest", file(requires_python=">=3")),
        ("project", {"status": "gone"}),
        ("project", {"yanked": {"1.0": True}}),
        ("project", {"yanked": ["1.0"]}),
        ("tests", []),
        ("tests", {}),
        ("tests", [run(outcome="skipped")]),
        ("tests", [run(duration=-1)]),
        ("tests", [run(duration="1")]),
        ("tests", [run(files=[])]),
        ("tests", [run(files=["A" * 64])]),
        ("tests", [run(environment="")]),
        ("tests", [run(log="none")]),
    ],
    ids=str,
)
def test_schema_and_model_refuse_the_same(name: str, values: Any) -> None:
    assert not Draft202012Validator(json_schema(SCHEMAS[name])).is_valid(as_json(values))
    with pytest.raises(ValidationError):
        adapter(SCHEMAS[name]).validate_python(values)


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-22T07:25:00",
        "2026-11-22T07:25:00+00:00",
        "2026-11-22 07:25:00Z",
        "2026-11-22",
        "2026-11-22T07:25Z",
        "2026-11-22T07:25:00.1234567Z",
        "2026-11-22T07:25:00Z\n",
        "٢٠٢٦-11-22T07:25:00Z",
        "",
    ],
)
def test_points_24_and_86_an_upload_time_is_utc_and_nothing_else(time: str) -> None:
    values = file(**{"upload-time": time})
    with pytest.raises(ValidationError):
        adapter(Manifest).validate_python(values)
    assert isinstance(documents.read_manifest("x.json", json.dumps(values).encode()), Unreadable)


@pytest.mark.parametrize("time", ["2026-13-22T07:25:00Z", "2026-02-30T07:25:00Z", "2026-11-22T25:25:00Z"])
def test_points_24_and_86_an_upload_time_is_a_time(time: str) -> None:
    with pytest.raises(ValidationError):
        adapter(Manifest).validate_python(file(**{"upload-time": time}))


@pytest.mark.parametrize("time", ["2026-11-22T07:25:00Z", "2026-11-22T07:25:00.123456Z", "2024-02-29T23:59:59.1Z"])
def test_points_24_and_86_an_upload_time_may_have_a_fraction(time: str) -> None:
    Draft202012Validator(json_schema(Manifest)).validate(file(**{"upload-time": time}))
    assert adapter(Manifest).validate_python(file(**{"upload-time": time})).files[0].upload_time == time


def test_what_init_and_the_tests_write_is_valid_for_the_schemas() -> None:
    content = small_content()
    content.release("emilie/dev", "demo", "1.0", requires_python=">=3.11")
    content.statements("emilie/dev", "demo", yanked={"1.0": ""})
    for path, data in content.items():
        if path.startswith("files/"):
            continue
        values = json.loads(data) if path.endswith(".json") else tomllib.loads(data.decode())
        name = Path(path).stem if not path.endswith(".json") else "manifest"
        model = SCHEMAS.get(values.get("type", name), SCHEMAS.get(name))
        assert model is not None, path
        Draft202012Validator(json_schema(model)).validate(values)


def test_defaults_are_those_of_the_description() -> None:
    stage, mirror, settings = Stage(), Mirror(type="mirror"), Settings(format=1)
    assert (stage.volatile, stage.bases, stage.acl_upload) == (True, (), None)
    assert (stage.mirror_whitelist, stage.mirror_whitelist_inheritance) == ((), "intersection")
    assert (stage.merge_mirrors, stage.require_tests) == (False, False)
    assert (mirror.mirror_url, mirror.mirror_cache_expiry, mirror.mirror_use_external_urls) == (None, 1800, False)
    assert (mirror.allow, mirror.deny, mirror.mirror_min_age) == (None, (), None)
    assert (settings.storage.url, settings.policy.protected_branch) == ("files/", "main")
    assert settings.policy.require_signed_commits is False
    assert (User().admin, ProjectStatements().status) == (False, None)
    assert toml({}) == b""
