"""GitHub's own description of its API: what it takes, what it answers, and examples of both."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from openapi_schema_validator import OAS30Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from tests.sites import node_file


class Operation(NamedTuple):
    """What a request asks for."""

    template: str
    variables: Mapping[str, str]
    description: Mapping[str, Any]


class Description:
    """An OpenAPI description; it says what is wrong with requests and answers."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._registry: Registry[Any] = Registry().with_resource("", DRAFT4.create_resource(document))
        self._paths = {_pattern(template): template for template in document["paths"]}

    def operation(self, method: str, path: str) -> Operation | None:
        """Find what a request asks for."""
        for pattern, template in self._paths.items():
            found = pattern.fullmatch(path)
            described = self._document["paths"][template].get(method.lower())
            if found and described:
                return Operation(template, found.groupdict(), described)
        return None

    def request_problems(self, operation: Operation, query: str, body: Any) -> Iterator[str]:
        """Yield what is wrong with a request: unknown parameters and keys too."""
        parameters = [self._resolved(parameter) for parameter in operation.description.get("parameters", [])]
        known = {parameter["name"]: parameter["schema"] for parameter in parameters if parameter["in"] == "query"}
        for key, text in parse_qsl(query, strict_parsing=True) if query else ():
            if key not in known:
                yield f"unknown parameter {key}"
                continue
            schema = self._resolved(known[key])
            yield from self._problems(schema, int(text) if schema.get("type") == "integer" else text)
        content = self._resolved(operation.description.get("requestBody", {})).get("content", {})
        if not content:
            yield from ["a body that nobody asked for"] if body is not None else []
            return
        schema = self._resolved(content["application/json"]["schema"])
        yield from self._problems(schema, body)
        yield from (f"unknown key {key}" for key in body or () if key not in schema["properties"])

    def answer_problems(self, operation: Operation, status: int, body: Any) -> Iterator[str]:
        """Yield what is wrong with an answer."""
        described = operation.description["responses"].get(str(status))
        if described is None:
            if status < 400:
                yield f"an undescribed answer {status}"
            return
        content = self._resolved(described).get("content", {}).get("application/json")
        if content is not None:
            yield from self._problems(content["schema"], body)

    def example(self, name: str) -> Any:
        """Return an example to change."""
        return copy.deepcopy(self._document["components"]["examples"][name]["value"])

    def _resolved(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in value:
            found: Any = self._document
            for key in value["$ref"].removeprefix("#/").split("/"):
                found = found[key]
            value = found
        return value

    def _problems(self, schema: Mapping[str, Any], value: Any) -> Iterator[str]:
        validator = OAS30Validator(schema, registry=self._registry, _resolver=self._registry.resolver(""))
        for error in validator.iter_errors(value):
            yield f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    text = "".join(re.escape(part) if number % 2 == 0 else f"(?P<{part}>[^/]+)" for number, part in enumerate(parts))
    return re.compile(text)


@cache
def github() -> Description:
    """Read the description that `make node` brings, or skip the test."""
    document = json.loads(node_file("@octokit/openapi/generated/api.github.com.json").read_bytes())
    used = ("/user", "/repos/{owner}/{repo}/pulls", "/repos/{owner}/{repo}/issues")
    paths = {path: value for path, value in document["paths"].items() if path.startswith(used)}
    return Description({**document, "paths": paths})
