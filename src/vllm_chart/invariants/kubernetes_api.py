"""Checks objects against the Kubernetes API, as the package kubernetes-validate carries its schemas.

Custom resources are checked against the schemas that their projects define.
The package builds its registry anew for each object; here it is kept, so that an object takes a millisecond.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import jsonschema
from jsonschema.protocols import Validator
from referencing import Registry, Resource

from vllm_chart.chart import oldest_kubernetes
from vllm_chart.invariants import custom_resources
from vllm_chart.render import helm
from vllm_chart.render.findings import Finding
from vllm_chart.render.objects import Manifest, Objects, nodes

#: What an API server wants of a type, though the type's definition does not say so.
_WANTED = dict.fromkeys(["Pod", "PodTemplateSpec", "Job", "CronJob", "Service", "Ingress"], "spec")
_WANTED |= {"PersistentVolumeClaim": "spec", "HorizontalPodAutoscaler": "spec", "IngressServiceBackend": "port"}

_SCHEMAS = "kubernetes-json-schema"
_OBJECT_META = "https://kubernetes.io/api/_definitions.json#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class UnknownKindError(LookupError):
    """Kubernetes has no such kind of object; a custom resource needs its own definition."""


def findings(objects: Objects, minor: str) -> list[Finding]:
    """Everything that an API server of this minor, such as "1.31", would refuse or drop."""
    found = []
    for manifest in objects:
        for error in _validator(manifest, minor).iter_errors(manifest.body):
            for leaf in _leaves(error):
                found.append(Finding(manifest, tuple(leaf.absolute_path), f"{leaf.message} (Kubernetes {minor})"))
        for path, inner in nodes(manifest.body):
            if inner is None and isinstance(path[-1], int):
                found.append(Finding(manifest, path, f"null is no item of a list (Kubernetes {minor})"))
    return found


@functools.cache
def supported() -> tuple[str, str]:
    """Return the oldest Kubernetes minor that the chart supports, by its kubeVersion, and the newest."""
    return oldest_kubernetes(), helm.KUBE_VERSION.rpartition(".")[0]


def known() -> list[str]:
    """Return the minors of Kubernetes whose API is at hand, oldest first."""
    names = [folder.name for folder in (resources.files("kubernetes_validate") / _SCHEMAS).iterdir()]
    found = (re.fullmatch(r"v(\d+)\.(\d+)\.0-local-strict", name) for name in names)
    return [f"{major}.{minor}" for major, minor in sorted((int(item[1]), int(item[2])) for item in found if item)]


def knows(manifest: Manifest, minors: Iterable[str]) -> bool:
    """Return whether there is a definition of an object's kind in each of these minors."""
    try:
        return all(_validator(manifest, minor) for minor in minors)
    except UnknownKindError:
        return False


def _leaves(error: jsonschema.ValidationError) -> list[jsonschema.ValidationError]:
    return [leaf for inner in error.context for leaf in _leaves(inner)] if error.context else [error]


def _validator(manifest: Manifest, minor: str) -> Validator:
    return _cached_validator(manifest.kind, str(manifest.body["apiVersion"]), minor)


@functools.cache
def _cached_validator(kind: str, api_version: str, minor: str) -> Validator:
    if custom := custom_resources.schemas(kind).get(api_version):
        # every object has Kubernetes' own metadata, of which its definition says nothing
        metadata = {"$ref": _OBJECT_META}
        schema = custom | {"properties": custom["properties"] | {"metadata": metadata}}
        return custom_resources.Validator(schema, registry=_definitions(minor))
    group, _, version = api_version.rpartition("/")
    name = "-".join(part for part in (kind.lower(), group.split(".")[0], version) if part)
    if f"{name}.json" not in _files(minor):
        raise UnknownKindError(f"Kubernetes {minor} has no {api_version} {kind}")
    schema = _wanting(kind, _read(minor, f"{name}.json"))
    registry: Registry[Any] = Resource.from_contents(schema) @ _definitions(minor)
    return jsonschema.Draft202012Validator(schema, registry=registry)


@functools.cache
def _definitions(minor: str) -> Registry[Any]:
    contents = _read(minor, "_definitions.json")
    types = contents["$defs"].items()
    return (
        Resource.from_contents(contents | {"$defs": {name: _wanting(name, schema) for name, schema in types}})
        @ Registry()
    )


def _wanting(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the definition of a type with what an API server wants of it, too."""
    wanted = _WANTED.get(name.rpartition(".")[2])
    return schema | {"required": [*schema.get("required", []), wanted]} if wanted else schema


def _folder(minor: str) -> Traversable:
    return resources.files("kubernetes_validate") / _SCHEMAS / f"v{minor}.0-local-strict"


@functools.cache
def _files(minor: str) -> set[str]:
    """The names of definitions, among which one is looked for, as an object's kind may be no name of a file."""
    return {file.name for file in _folder(minor).iterdir()}


def _read(minor: str, name: str) -> Any:
    return json.loads((_folder(minor) / name).read_text(encoding="utf-8"))
