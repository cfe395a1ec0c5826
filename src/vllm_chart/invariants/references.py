"""Checks that what an object names is there, and that nothing which must be unique is given twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import ItemsView, Iterator, Mapping
from typing import Any

from vllm_chart.render.findings import Finding
from vllm_chart.render.objects import Manifest, Objects, Pod, Step, pods

#: Lists that Kubernetes takes for maps, with what makes an item's key.
POD_LISTS: dict[str, tuple[str, ...]] = {
    "volumes": ("name",),
    "initContainers": ("name",),
    "containers": ("name",),
    "imagePullSecrets": ("name",),
    "resourceClaims": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "hostAliases": ("ip",),
}
CONTAINER_LISTS: dict[str, tuple[str, ...]] = {
    "env": ("name",),
    "ports": ("containerPort", "protocol"),
    "volumeMounts": ("mountPath",),
}

#: Fields that name another object, with its kind and, where it varies, the key of the name.
_VOLUME_SOURCES = {
    "configMap": ("ConfigMap", "name"),
    "secret": ("Secret", "secretName"),
    "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName"),
}
_PROJECTED_SOURCES = {"configMap": "ConfigMap", "secret": "Secret"}
_ENV_SOURCES = {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}
_ENV_FROM_SOURCES = {"secretRef": "Secret", "configMapRef": "ConfigMap"}

#: Kinds that pick pods or Services by labels, with the path to the selector.
_SELECTORS: dict[str, tuple[Step, ...]] = {
    "PodDisruptionBudget": ("spec", "selector"),
    "NetworkPolicy": ("spec", "podSelector"),
    "ServiceMonitor": ("spec", "selector"),
    "PodMonitor": ("spec", "selector"),
    "InferencePool": ("spec", "selector"),
}

#: Keys of a values file that name an object which is there already, with its kind.
_DECLARING = {"existingSecret": "Secret", "tlsSecret": "Secret", "claimName": "PersistentVolumeClaim"}

#: Kind and name of objects that exist without the chart.
External = set[tuple[str, str]]


def declared_external(values: Any) -> External:
    """Return the objects that a values file says exist already, by kind and name."""
    found: External = set()
    if isinstance(values, Mapping):
        for key, kind in _DECLARING.items():
            if isinstance(values.get(key), str):
                found.add((kind, values[key]))
        account = values.get("serviceAccount")
        if isinstance(account, Mapping) and account.get("create") is False and isinstance(account.get("name"), str):
            found.add(("ServiceAccount", account["name"]))
        scheme, _, place = str(values.get("uri")).partition("://")
        if scheme == "pvc":
            found.add(("PersistentVolumeClaim", place.partition("/")[0]))
        named = {"endpointPicker": "Service"} | _ENV_SOURCES | _ENV_FROM_SOURCES
        for key, kind in named.items():
            part = values.get(key)
            if isinstance(part, Mapping) and isinstance(part.get("name"), str):
                found.add((kind, part["name"]))
        volumes = values.get("extraVolumes")
        for volume in volumes.values() if isinstance(volumes, Mapping) else ():
            if isinstance(volume, Mapping):
                found |= {(kind, name) for kind, name in _sources(volume) if name}
        values = list(values.values())
    if isinstance(values, list):
        for item in values:
            found |= declared_external(item)
    return found


def findings(objects: Objects, external: External) -> list[Finding]:
    """Every name that leads nowhere, and every selector of the chart's that does not pick one workload or Service."""
    known = objects.names() | external | {("ServiceAccount", "default")}
    found = [finding for manifest in objects.workloads() for pod in pods(manifest) for finding in _pod(pod, known)]
    for manifest in filter(lambda item: item.of_chart, objects):
        if manifest.kind == "Service":
            found += _service(manifest, objects)
        elif manifest.kind in _SELECTORS:
            found += _selector(manifest, _SELECTORS[manifest.kind], objects)
    for manifest in objects:
        for where, kind, name, port in _backends(manifest):
            if (kind, name) not in known:
                found.append(Finding(manifest, where, f"{kind} {name} is not there"))
            elif port and port not in _ports(kind, name, objects):
                found.append(Finding(manifest, where, f"{kind} {name} has no port {port}"))
    for manifest in objects:
        target = manifest.body.get("spec", {}).get("scaleTargetRef")
        if target and (target["kind"], target["name"]) not in objects.names():
            where = ("spec", "scaleTargetRef")
            found.append(Finding(manifest, where, f"{target['kind']} {target['name']} is not there"))
    return found


def _selector(manifest: Manifest, path: tuple[Step, ...], objects: Objects) -> Iterator[Finding]:
    """What is wrong with a selector that must pick one workload's pods or, in a ServiceMonitor, one Service."""
    selector = manifest.at(*path, "matchLabels").items()
    if manifest.kind == "ServiceMonitor":
        picked = [item for item in objects.of("Service") if selector <= item.at("metadata", "labels").items()]
        ports: list[set[Any]] = [{port["name"] for port in item.at("spec", "ports")} for item in picked]
    else:
        found = _pods_of(selector, objects)
        picked = _workloads(found)
        ports = [_open_ports(pod) for pod in found]
        if manifest.kind == "NetworkPolicy":  # one may be about pods of which only some have the port
            ports = [set().union(*ports)]
    if len(picked) != 1:
        names = ", ".join(map(str, picked)) or "nothing"
        yield Finding(manifest, path, f"picks {names}, not one")
        return
    spec = manifest.at("spec")
    asked = [endpoint["port"] for key in ("endpoints", "podMetricsEndpoints") for endpoint in spec.get(key, [])]
    asked += [port["port"] for rule in spec.get("ingress", []) for port in rule.get("ports", [])]
    asked += [port["number"] for port in spec.get("targetPorts", [])]
    for port in asked:
        if not all(port in given for given in ports):
            yield Finding(manifest, ("spec",), f"{picked[0]} has no port {port}")


def _pods_of(selector: ItemsView[str, Any], objects: Objects) -> list[Pod]:
    """Every kind of pod that a selector picks, a pod of its own too."""
    return [pod for item in objects.workloads() for pod in pods(item) if selector <= pod.labels.items()]


def _workloads(picked: list[Pod]) -> list[Manifest]:
    """What makes these pods, each once."""
    return list({str(pod.manifest): pod.manifest for pod in picked}.values())


def _open_ports(pod: Pod) -> set[str | int | None]:
    """Return the names and numbers of the ports of a pod's containers."""
    given = [port for found in pod.containers() for port in found.body.get("ports", [])]
    return {port.get(key) for port in given for key in ("name", "containerPort")}


def _backends(manifest: Manifest) -> Iterator[tuple[tuple[Step, ...], str, str, str | int | None]]:
    """Path, kind, name and, where one is given, port of everything to which an object of the network leads."""
    spec = manifest.body.get("spec", {})
    if manifest.kind == "Ingress":
        for entry in spec.get("tls", []):
            if "secretName" in entry:  # else the controller's own certificate is meant
                yield ("spec", "tls"), "Secret", entry["secretName"], None
        backends: list[tuple[tuple[str, ...], dict[str, Any]]]
        paths = [item for rule in spec.get("rules", []) for item in rule.get("http", {}).get("paths", [])]
        backends = [(("rules", item.get("path", "/")), item["backend"]) for item in paths]
        backends.append((("defaultBackend",), spec.get("defaultBackend", {})))
        for where, backend in backends:
            if service := backend.get("service"):  # else it leads to a resource that is no Service
                port = service["port"].get("name") or service["port"]["number"]
                yield ("spec", *where), "Service", service["name"], port
    if manifest.kind == "HTTPRoute":
        for rule in spec.get("rules", []):
            for backend in rule.get("backendRefs", []):
                where = ("spec", "rules", "backendRefs")
                yield where, backend.get("kind", "Service"), backend["name"], backend.get("port")
    if manifest.kind == "InferencePool":
        picker = spec["endpointPickerRef"]
        yield ("spec", "endpointPickerRef"), picker.get("kind", "Service"), picker["name"], None


def _ports(kind: str, name: str, objects: Objects) -> set[str | int]:
    """Return the names and numbers of the ports of a Service of this render."""
    given = objects.one(kind, name).body.get("spec", {}).get("ports", [])
    return {port.get(key) for port in given for key in ("name", "port")}


def _pod(pod: Pod, known: set[tuple[str, str]]) -> Iterator[Finding]:
    manifest, spec, path = pod.manifest, pod.spec, pod.path
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    mounted = set()
    for where, kind, name in _named(spec):
        if not name:
            yield Finding(manifest, (*path, *where), f"names no {kind}")
        elif (kind, name) not in known:
            yield Finding(manifest, (*path, *where), f"{kind} {name} is not there")
    for container in pod.containers():
        for mount in container.body.get("volumeMounts", []):
            mounted.add(mount["name"])
            if mount["name"] not in volumes:
                where = (*container.path, "volumeMounts", mount["mountPath"])
                yield Finding(manifest, where, f"the pod has no volume {mount['name']}")
        ports = {port.get("name") for port in container.body.get("ports", [])}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            port = container.body.get(probe, {}).get("httpGet", {}).get("port")
            if isinstance(port, str) and port not in ports:
                yield Finding(manifest, (*container.path, probe), f"the container has no port {port}")
    for name in sorted(volumes - mounted):
        yield Finding(manifest, (*path, "volumes", name), "no container mounts it")


def _named(spec: dict[str, Any]) -> Iterator[tuple[tuple[Step, ...], str, str | None]]:
    """Path, kind and name of every object that a pod names; the name is empty where it is left out."""
    if "serviceAccountName" in spec:
        yield ("serviceAccountName",), "ServiceAccount", spec["serviceAccountName"]
    for volume in spec.get("volumes", []):
        for kind, name in _sources(volume):
            yield ("volumes", volume["name"]), kind, name
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        for variable in container.get("env", []):
            for source in variable.get("valueFrom", {}).keys() & _ENV_SOURCES.keys():
                name = variable["valueFrom"][source].get("name")
                yield (container["name"], "env", variable["name"]), _ENV_SOURCES[source], name
        for origin in container.get("envFrom", []):
            for source in origin.keys() & _ENV_FROM_SOURCES.keys():
                yield (container["name"], "envFrom"), _ENV_FROM_SOURCES[source], origin[source].get("name")


def _sources(volume: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Kind and name of every object whose content a volume shows; the name is None where it isn't given."""
    for source in volume.keys() & _VOLUME_SOURCES.keys():
        kind, key = _VOLUME_SOURCES[source]
        yield kind, volume[source].get(key)
    for projected in volume.get("projected", {}).get("sources", []):
        for source in projected.keys() & _PROJECTED_SOURCES.keys():
            yield _PROJECTED_SOURCES[source], projected[source].get("name")


def _service(service: Manifest, objects: Objects) -> Iterator[Finding]:
    selector = service.at("spec", "selector").items()
    found = _pods_of(selector, objects)
    picked = _workloads(found)
    if len(picked) != 1:
        names = ", ".join(map(str, picked)) or "nothing"
        yield Finding(service, ("spec", "selector"), f"picks {names}, not one workload")
        return
    for port in service.at("spec", "ports"):
        target = port.get("targetPort")
        if isinstance(target, str) and not all(target in _open_ports(pod) for pod in found):
            yield Finding(service, ("spec", "ports", port["name"]), f"{picked[0]} has no port {target}")


def repetitions(objects: Objects) -> list[Finding]:
    """Everything that a server-side apply refuses for being given twice: objects, and items of a pod's lists."""
    found = []
    seen: set[tuple[str, str]] = set()
    for manifest in objects:
        key = (manifest.kind, manifest.name)
        if key in seen:
            found.append(Finding(manifest, ("metadata", "name"), "another object of the kind has this name"))
        seen.add(key)
    for pod in [pod for manifest in objects.workloads() for pod in pods(manifest)]:
        groups = [(pod.path, pod.spec, POD_LISTS)]
        groups += [(container.path, container.body, CONTAINER_LISTS) for container in pod.containers()]
        for where, body, lists in groups:
            for name, keys in lists.items():
                counts = Counter(tuple(item.get(key) for key in keys) for item in body.get(name, []))
                for values, count in counts.items():
                    if count > 1:
                        label = " ".join(map(str, values))
                        found.append(Finding(pod.manifest, (*where, name), f"{label} is there {count} times"))
    return found
