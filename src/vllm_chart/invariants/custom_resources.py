"""Turns the schema of a custom resource into a JSON Schema that refuses what an API server refuses or drops.

The schemas in data/custom-resources are those that the resources' projects define, as its README.md says. Rules in CEL,
which only an API server evaluates, are not among them.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema

#: The schemas by apiVersion, in one file for each kind.
FOLDER = Path(__file__).parent / "data" / "custom-resources"

Schema = dict[str, Any]


@functools.cache
def schemas(kind: str) -> dict[str, Schema]:
    """Return the schema of each served version by apiVersion; nothing for a kind that is not there."""
    file = next((file for file in FOLDER.glob("*.json") if file.stem == kind), None)
    if file is None:
        return {}
    versions = json.loads(file.read_text(encoding="utf-8"))
    return {api_version: strict(schema) for api_version, schema in versions.items()}


def strict(node: Schema) -> Schema:
    """Return a schema as JSON Schema, which takes no field that is not listed and wants none that has a default.

    An API server fills in defaults before it checks, and drops what is not listed, even from an object of which nothing
    is listed. What stands in anyOf and its like only adds rules.
    """
    schema = dict(node)
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            schema[key] = strict(node[key])
    if "properties" in node:
        schema["properties"] = {name: strict(inner) for name, inner in node["properties"].items()}
        filled_in = {name for name, inner in node["properties"].items() if "default" in inner}
        schema["required"] = [name for name in node.get("required", []) if name not in filled_in]
    if node.get("type") == "object" and not node.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    if node.get("x-kubernetes-int-or-string"):  # of which anyOf says no more
        schema.pop("anyOf", None)
        schema["type"] = ["integer", "string"]
    if "pattern" in node:  # Go takes flags behind the beginning, Python does not
        schema["pattern"] = node["pattern"].replace("^(?i)", "(?i)^")
    if node.get("nullable"):
        schema["type"] = [node["type"], "null"]
    if node.get("x-kubernetes-list-type") == "set":
        schema["uniqueItems"] = True
    return schema


def _list_map_keys(_: Any, keys: list[str], items: Any, schema: Schema) -> Iterator[jsonschema.ValidationError]:
    """A list with keys is a map to an API server, and a key is there once."""
    if not isinstance(items, list):
        return
    fields = schema["items"]["properties"]
    given = [[item.get(key, fields[key].get("default")) for key in keys] for item in items if isinstance(item, dict)]
    for text, count in Counter(map(json.dumps, given)).items():
        if count > 1:
            yield jsonschema.ValidationError(f"{text} is there {count} times as {keys}")


#: A validator that knows the keyword for the keys of a list.
Validator: type[jsonschema.protocols.Validator] = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator, {"x-kubernetes-list-map-keys": _list_map_keys}
)
