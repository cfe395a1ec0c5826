"""Reads manifests, and finds the vLLM server in them with its command, variables, volumes, Services and autoscalers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from vllm_chart.chart import app_version
from vllm_chart.errors import InputError
from vllm_chart.invariants import kubernetes_api
from vllm_chart.migrate import vllm_command
from vllm_chart.migrate.vllm_command import Start
from vllm_chart.render import go_yaml
from vllm_chart.render.objects import Manifest, Objects

Body = Mapping[str, Any]

#: Kinds that keep servers running.
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")


@dataclass(frozen=True)
class Server:
    """A workload, its container that runs vLLM, and what that container's command says."""

    workload: Body
    container: Body
    start: Start

    @property
    def name(self) -> str:
        """The workload's name."""
        return str(self.workload["metadata"]["name"])

    @property
    def pod(self) -> Body:
        """The spec of the pods."""
        spec: Body = self.workload["spec"]["template"]["spec"]
        return spec

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the pods."""
        return dict(self.workload["spec"]["template"].get("metadata", {}).get("labels") or {})

    @cached_property
    def environment(self) -> Mapping[str, Body]:
        """The variables of the container, by name."""
        return {item["name"]: item for item in self.container.get("env", [])}

    @cached_property
    def volumes(self) -> Mapping[str, Body]:
        """The volumes of the pods, by name."""
        return {volume["name"]: volume for volume in self.pod.get("volumes") or []}

    @cached_property
    def mounts(self) -> Mapping[str, Body]:
        """The mounts of the container, by path without a slash at the end."""
        return {folder(mount): mount for mount in self.container.get("volumeMounts") or []}

    def mount_of(self, path: str) -> tuple[Body, str] | None:
        """Return the mount that contains a path, and the rest of the path."""
        for parent in [path.rstrip("/"), *map(str, Path(path).parents)]:
            if parent in self.mounts and parent != "/":
                return self.mounts[parent], path.rstrip("/")[len(parent) :].strip("/")
        return None


def folder(mount: Body) -> str:
    """Return the path of a mount without a slash at the end."""
    return str(mount["mountPath"].rstrip("/") or "/")


def mounted_text(path: str, objects: Iterable[Body], server: Server) -> tuple[str, Body] | None:
    """Return the text of a file from a ConfigMap among the manifests, and its mount; None if no ConfigMap has it."""
    found = server.mount_of(path)
    if found is None:
        return None
    mount, inside = found
    source = server.volumes.get(mount["name"], {}).get("configMap", {})
    keys = {item["path"]: item["key"] for item in source.get("items") or []}
    wanted = mount.get("subPath") or inside
    for body in objects:
        if body["kind"] == "ConfigMap" and body["metadata"]["name"] == source.get("name"):
            text = (body.get("data") or {}).get(keys.get(wanted, wanted))
            if text is not None:
                return str(text), mount
    return None


def read_objects(paths: list[Path]) -> list[Body]:
    """Return every object of the manifests; raises InputError where a file can't be read as such."""
    found: list[Body] = []
    for path in paths:
        try:
            documents = go_yaml.load_all(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise InputError(
                f"{path} can't be read ({reason}): give FROM=deployment.yaml, more files after commas."
            ) from None
        except yaml.YAMLError as error:
            raise InputError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
        for document in documents:
            items = (
                document.get("items", [])
                if isinstance(document, dict) and "List" in str(document.get("kind"))
                else [document]
            )
            for item in items:
                if not (isinstance(item, dict) and item.get("kind") and (item.get("metadata") or {}).get("name")):
                    raise InputError(f"{path} holds no manifest: each document needs kind and metadata.name.")
                if item["kind"] in WORKLOADS and not _has_containers(item):
                    raise InputError(
                        f"{path}: {item['kind']}/{item['metadata']['name']} has no spec.template.spec.containers."
                    )
                if item["kind"] not in ("Secret", "ConfigMap") and not isinstance(item.get("spec", {}), dict):
                    raise InputError(f"{path}: the spec of {item['kind']}/{item['metadata']['name']} is no map.")
                body = _without_nulls(item)
                _validate(path, body)
                found.append({"spec": {}, **body})
    return found


def _without_nulls(value: Any) -> Any:
    """Return a part of an object without what is null, which Kubernetes takes as if it weren't there."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value if inner is not None] if isinstance(value, list) else value


def _validate(path: Path, body: Body) -> None:
    """Raise InputError for an object that Kubernetes would reject; kinds and versions it does not know pass."""
    manifest, minors = Manifest(str(path), {"apiVersion": "", **body}), kubernetes_api.supported()[-1:]
    if not kubernetes_api.knows(manifest, minors):
        return
    for finding in kubernetes_api.findings(Objects([manifest]), minors[0]):
        where = ".".join(map(str, finding.path)) or "the top"
        raise InputError(f"{path}: Kubernetes refuses {manifest} at {where}: {finding.text.rpartition(' (')[0]}.")


def _has_containers(workload: Body) -> bool:
    try:
        return any(workload["spec"]["template"]["spec"]["containers"])
    except (KeyError, TypeError):
        return False


def servers(objects: Iterable[Body]) -> list[Server]:
    """Every workload with a container that runs vLLM."""
    found = []
    for body in objects:
        if body.get("kind") not in WORKLOADS:
            continue
        for container in body["spec"]["template"]["spec"].get("containers", []):
            start = vllm_command.read(container, app_version())
            if start is not None:
                found.append(Server(body, container, start))
                break
    return found


def only_server(objects: list[Body], paths: list[Path]) -> Server:
    """Return the one server of the manifests; raises InputError where there is none, or more than one."""
    found, files = servers(objects), ", ".join(map(str, paths))
    if len(found) > 1:
        names = ", ".join(server.name for server in found)
        raise InputError(
            f"{files} runs {len(found)} servers ({names}), and one release serves one model: give one at a time."
        )
    if found:
        return found[0]
    kinds = ", ".join(f"{body['kind']}/{body['metadata']['name']}" for body in objects) or "nothing"
    raise InputError(
        f"{files} runs no vLLM: there is {kinds}, but no Deployment whose container starts `vllm serve` or "
        "`python -m vllm.entrypoints.openai.api_server`, or takes flags for an image of vLLM."
    )


def services(objects: Iterable[Body], server: Server) -> list[Body]:
    """The Services that select the server's pods."""
    return [
        body
        for body in objects
        if body.get("kind") == "Service"
        and body["spec"].get("selector")
        and body["spec"]["selector"].items() <= server.labels.items()
    ]


def ingresses(objects: Iterable[Body], server: Server) -> Iterator[tuple[Body, list[tuple[str, str]]]]:
    """The Ingresses that route to the server's Services, each with the host and path of its routes."""
    objects = list(objects)
    names = {service["metadata"]["name"] for service in services(objects, server)}
    for body in objects:
        if body.get("kind") == "Ingress" and (routes := list(_routes(body, names))):
            yield body, routes


def _routes(ingress: Body, names: set[str]) -> Iterator[tuple[str, str]]:
    """Host and path of each rule of an Ingress that routes to a Service of these names."""
    for rule in ingress["spec"].get("rules") or []:
        for path in rule.get("http", {}).get("paths", []):
            backend = path.get("backend", {})
            service = backend.get("service", {}).get("name") or backend.get("serviceName")
            if service in names:
                yield rule.get("host", ""), path.get("path", "/")
    default = ingress["spec"].get("defaultBackend", {}).get("service", {}).get("name")
    if default in names:
        yield "", "/"


def autoscalers(objects: Iterable[Body], server: Server) -> list[Body]:
    """The HorizontalPodAutoscalers and ScaledObjects that scale the server."""
    return [
        body
        for body in objects
        if body.get("kind") in ("HorizontalPodAutoscaler", "ScaledObject")
        and body["spec"].get("scaleTargetRef", {}).get("name") == server.name
    ]


def container_port(target: object, server: Server) -> str:
    """Return the number of a port that may be given by its name."""
    for port in server.container.get("ports", []):
        if target == port.get("name"):
            return str(port["containerPort"])
    return str(target)


def ingress_class(ingress: Body) -> str:
    """Return the class of an Ingress, which older ones name in an annotation."""
    annotations = ingress["metadata"].get("annotations") or {}
    return str(ingress["spec"].get("ingressClassName") or annotations.get("kubernetes.io/ingress.class", ""))


def metric_text(metric: Body) -> str:
    """Return a metric of an HPA in a few words."""
    kind = metric.get("type", "")
    part = metric.get(kind[:1].lower() + kind[1:], {})
    name = part.get("metric", {}).get("name") or part.get("metricName") or part.get("name", "")
    target = part.get("target", {})
    amounts = [target.get(key) for key in ("averageValue", "averageUtilization", "value") if key in target]
    amounts += [part[key] for key in part if key.startswith("target") and key != "target"]
    return f"{kind} {name} {quantity(amounts[0]) if amounts else ''}".strip()


def quantity(amount: object) -> str:
    """Return an amount as Kubernetes writes it, so that 4, "4" and 4000m are alike."""
    text = str(amount)
    return str(int(text[:-1]) // 1000) if re.fullmatch(r"\d+000m", text) else text.removesuffix(".0")
