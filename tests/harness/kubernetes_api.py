"""Checks objects against the Kubernetes API, as the package kubernetes-validate carries its schemas.

Custom resources are checked against their own definitions, which crds/ holds as their projects publish them.
The package builds its registry anew for each object; here it is kept, so that an object takes a millisecond.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource

from harness import go_yaml
from harness.findings import Finding
from harness.objects import Manifest, Objects

#: The oldest and the newest Kubernetes minor that the chart supports.
SUPPORTED = ("1.31", "1.37")


#: Definitions of custom resources: Prometheus Operator 0.93.0, and KEDA of August 2026; both Apache-2.0.
CUSTOM = Path(__file__).parent / "crds"


class UnknownKindError(LookupError):
    """Kubernetes has no such kind of object; a custom resource needs its own definition."""


def findings(objects: Objects, minor: str) -> list[Finding]:
    """Everything that an API server of this minor, such as "1.31", would refuse or drop."""
    found = []
    for manifest in objects:
        for error in _validator(manifest, minor).iter_errors(manifest.body):
            for leaf in _leaves(error):
                found.append(Finding(manifest, tuple(leaf.absolute_path), f"{leaf.message} (Kubernetes {minor})"))
    return found


def _leaves(error: jsonschema.ValidationError) -> list[jsonschema.ValidationError]:
    return [leaf for inner in error.context for leaf in _leaves(inner)] if error.context else [error]


def _validator(manifest: Manifest, minor: str) -> jsonschema.Draft202012Validator:
    return _cached_validator(manifest.kind, str(manifest.body["apiVersion"]), minor)


@functools.cache
def _cached_validator(kind: str, api_version: str, minor: str) -> jsonschema.Draft202012Validator:
    group, _, version = api_version.rpartition("/")
    custom = _custom_schema(kind, api_version)
    if custom is not None:
        return jsonschema.Draft202012Validator(custom)
    name = "-".join(part for part in (kind.lower(), group.split(".")[0], version) if part)
    try:
        schema = _read(minor, f"{name}.json")
    except FileNotFoundError:
        raise UnknownKindError(f"Kubernetes {minor} has no {api_version} {kind}") from None
    registry: Registry[Any] = Resource.from_contents(schema) @ _definitions(minor)
    return jsonschema.Draft202012Validator(schema, registry=registry)


@functools.cache
def _custom_schemas() -> dict[tuple[str, str], Any]:
    """The schema of each custom resource in crds/ by kind and apiVersion."""
    found = {}
    for path in sorted(CUSTOM.glob("*.yaml")):
        spec = go_yaml.load(path.read_text(encoding="utf-8").removeprefix("---\n"))["spec"]
        for version in spec["versions"]:
            key = (spec["names"]["kind"], f"{spec['group']}/{version['name']}")
            found[key] = _closed(version["schema"]["openAPIV3Schema"])
    return found


def _custom_schema(kind: str, api_version: str) -> Any:
    return _custom_schemas().get((kind, api_version))


def _closed(node: Any) -> Any:
    """The schema with every object closed that lists its fields, as an API server drops what is not listed."""
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(value) for key, value in node.items()}
    listed = node.get("type") == "object" and "properties" in node
    if listed and not node.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed


@functools.cache
def _definitions(minor: str) -> Registry[Any]:
    return Resource.from_contents(_read(minor, "_definitions.json")) @ Registry()


def _read(minor: str, name: str) -> Any:
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{minor}.0-local-strict"
    return json.loads((folder / name).read_text(encoding="utf-8"))
