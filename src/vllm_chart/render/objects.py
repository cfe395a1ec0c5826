"""Indexes rendered objects, and reaches into them without ever taking a missing parent for a missing value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from vllm_chart.render import go_yaml

Step = str | int

#: Kinds that make pods, with the path to each of their pod templates and what their controller adds to its labels.
_LWS = "leaderworkerset.sigs.k8s.io/worker-index"
TEMPLATES: dict[str, dict[tuple[Step, ...], dict[str, str]]] = {
    "Pod": {(): {}},
    "Deployment": {("spec", "template"): {}},
    "StatefulSet": {("spec", "template"): {}},
    "DaemonSet": {("spec", "template"): {}},
    "Job": {("spec", "template"): {}},
    "CronJob": {("spec", "jobTemplate", "spec", "template"): {}},
    "LeaderWorkerSet": {
        ("spec", "leaderWorkerTemplate", "leaderTemplate"): {_LWS: "0"},
        ("spec", "leaderWorkerTemplate", "workerTemplate"): {_LWS: "1"},
    },
}


class MissingPathError(LookupError):
    """A path that was asked for leads nowhere."""


@dataclass(frozen=True)
class Manifest:
    """One rendered object and the template that it came from."""

    source: str
    body: dict[str, Any]

    @property
    def kind(self) -> str:
        """The object's kind."""
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.body["metadata"]["name"])

    @property
    def of_chart(self) -> bool:
        """Return whether the object is the chart's own, not one of extraObjects."""
        return not self.source.endswith("/extra-objects.yaml")

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    def without_nulls(self) -> Manifest:
        """Return the object without keys that are null, which an API server takes for keys that are not there."""
        return replace(self, body=_without_nulls(self.body))

    def at(self, *path: Step) -> Any:
        """Return the value at the path; a word picks a key of a map, or the list item with that name or mountPath.

        Raises MissingPathError that says how far the path leads.
        """
        value: Any = self.body
        for index, step in enumerate(path):
            try:
                value = _descend(value, step)
            except LookupError:
                reached = ".".join(map(str, path[:index])) or "the object"
                raise MissingPathError(f"{self} ({self.source}): {reached} has no {step!r}") from None
        return value

    def lacks(self, *path: Step) -> bool:
        """Return whether the last step of the path is absent; raises MissingPathError if its parent is."""
        parent = self.at(*path[:-1])
        try:
            _descend(parent, path[-1])
        except LookupError:
            return True
        return False


def _descend(value: Any, step: Step) -> Any:
    if isinstance(value, list) and isinstance(step, str):
        for item in value:
            if isinstance(item, dict) and step in (item.get("name"), item.get("mountPath")):
                return item
        raise KeyError(step)
    if isinstance(value, dict | list):
        return value[step]  # type: ignore[index]
    raise KeyError(step)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def nodes(value: Any, path: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], Any]]:
    """Everything in a map or list, at any depth, with the path to it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in items:
        yield (*path, step), inner
        yield from nodes(inner, (*path, step))


@dataclass(frozen=True)
class Pod:
    """One kind of pod that an object makes, with the path to its spec and the labels that its pods have."""

    manifest: Manifest
    path: tuple[Step, ...]
    labels: dict[str, str]

    @property
    def spec(self) -> dict[str, Any]:
        """The pod's spec."""
        spec: dict[str, Any] = self.manifest.at(*self.path)
        return spec

    def containers(self) -> list[Container]:
        """Every container of the pod, init and ephemeral ones too."""
        found = []
        for group in ("initContainers", "containers", "ephemeralContainers"):
            for body in self.spec.get(group, []):
                found.append(Container(self.manifest, (*self.path, group, body["name"]), body))
        return found


@dataclass(frozen=True)
class Container:
    """One container of an object's pod, with the path that leads to it."""

    manifest: Manifest
    path: tuple[Step, ...]
    body: dict[str, Any]


class Objects:
    """Every object of one render, by kind and name."""

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        self._all = tuple(manifests)

    @classmethod
    def parse(cls, text: str) -> Objects:
        """Return the objects in the output of `helm template`; raises yaml.YAMLError where a document is malformed."""
        manifests = []
        for part in re.split(r"^---\s*$", text, flags=re.MULTILINE):
            source = re.search(r"^# Source: (\S+)$", part, flags=re.MULTILINE)
            body = go_yaml.load(part)
            if body is not None:
                manifests.append(Manifest(source.group(1) if source else "?", body))
        return cls(manifests)

    def __iter__(self) -> Iterator[Manifest]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def of(self, kind: str) -> list[Manifest]:
        """All objects of a kind."""
        return [manifest for manifest in self._all if manifest.kind == kind]

    def one(self, kind: str, name: str | None = None) -> Manifest:
        """Return the only object of the kind, or of that kind and name.

        Raises MissingPathError where it is not just one.
        """
        found = [manifest for manifest in self.of(kind) if name in (None, manifest.name)]
        if len(found) != 1:
            wanted = kind if name is None else f"{kind}/{name}"
            there = ", ".join(map(str, self._all)) or "nothing"
            raise MissingPathError(f"{len(found)} objects are {wanted}; rendered: {there}")
        return found[0]

    def names(self) -> set[tuple[str, str]]:
        """Kind and name of every object."""
        return {(manifest.kind, manifest.name) for manifest in self._all}

    def workloads(self) -> list[Manifest]:
        """Return the objects that make pods."""
        return [manifest for manifest in self._all if manifest.kind in TEMPLATES]

    def servers(self) -> list[Manifest]:
        """Return the objects that keep pods running, which leaves out a pod of its own, as `helm test` makes."""
        return [manifest for manifest in self.workloads() if manifest.kind != "Pod"]


def pods(manifest: Manifest) -> list[Pod]:
    """Every kind of pod that an object makes: one, or the leader and the worker of a group; none for other objects."""
    return [
        Pod(manifest, (*path, "spec"), manifest.at(*path).get("metadata", {}).get("labels", {}) | added)
        for path, added in TEMPLATES.get(manifest.kind, {}).items()
    ]


def containers(manifest: Manifest) -> list[Container]:
    """Every container of every kind of pod that an object makes."""
    return [container for pod in pods(manifest) for container in pod.containers()]
