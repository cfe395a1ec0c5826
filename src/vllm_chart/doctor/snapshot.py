"""What was read of a cluster, and how to find one's way in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Object = dict[str, Any]

CONTAINER = "vllm"  # the server's name in every pod of the chart
INSTANCE = "app.kubernetes.io/instance"


@dataclass(frozen=True)
class Snapshot:
    """What was read of a cluster.

    Attributes:
        release: the release's name.
        namespace: where it is.
        now: when it was read.
        objects: of the release; claims and events of its namespace; nodes, classes and Prometheuses of the cluster.
        neighbours: the pods of all namespaces, where one of the release waits for a node and they may be read.
        secrets: names of the keys of each Secret that the release refers to; None for one that isn't there.
        logs: the end of what a container has printed, by pod and container.
        helm: status of Helm's last operation on the release, as `deployed`; empty where Helm knows none.
        kubectl: the command with the flags that reach the same cluster.
    """

    release: str
    namespace: str
    now: datetime
    objects: tuple[Object, ...] = ()
    neighbours: tuple[Object, ...] = ()
    secrets: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    logs: Mapping[tuple[str, str], str] = field(default_factory=dict)
    helm: str = ""
    kubectl: str = "kubectl"

    def of(self, *kinds: str) -> list[Object]:
        """The objects of some kinds."""
        return [item for item in self.objects if item["kind"] in kinds]

    def named(self, kind: str, name: str) -> Object | None:
        """The object of a kind with a name."""
        return next((item for item in self.of(kind) if name_of(item) == name), None)

    def workloads(self) -> list[Object]:
        """What makes the release's servers; an umbrella chart may have several."""
        return [item for item in self.of("Deployment", "LeaderWorkerSet") if server_of(pod_spec(item))]

    def servers(self) -> list[Object]:
        """The release's pods with a server."""
        return [pod for pod in self.of("Pod") if server_of(pod["spec"])]

    def events(self, item: Object, *event_reasons: str) -> list[Object]:
        """The events of an object for some reasons, the latest last."""
        found = [
            event
            for event in self.of("Event")
            if event["involvedObject"].get("uid") == item["metadata"].get("uid") and event["reason"] in event_reasons
        ]
        return sorted(found, key=event_time)

    def command(self, text: str) -> str:
        """A kubectl command in the release's namespace."""
        return f"{self.kubectl} -n {self.namespace} {text}"

    def since(self, time: str | None) -> timedelta:
        """The time that has passed since then; none where there is no time."""
        return self.now - time_of(time) if time else timedelta(0)


# -- What objects refer to ---------------------------------------------------------------------------------------------


def pod_spec(workload: Object) -> Object:
    """The spec of a workload's pods; of the leader, where a group of pods is one server."""
    if workload["kind"] == "LeaderWorkerSet":
        template = workload["spec"]["leaderWorkerTemplate"]
        return dict((template.get("leaderTemplate") or template["workerTemplate"])["spec"])
    return dict(workload["spec"]["template"]["spec"])


def secret_references(snapshot: Snapshot) -> Iterator[tuple[Object, str, str, str]]:
    """Who refers to which Secret, to which of its keys (empty for all), and by which value of the chart."""
    for workload in snapshot.workloads():
        spec = pod_spec(workload)
        references = [_secrets_of_container(c) for c in [*spec.get("initContainers", []), *spec["containers"]]]
        references += [_secrets_of_volume(volume) for volume in spec.get("volumes", [])]
        for name, key, value in dict.fromkeys(itertools.chain(*references)):
            yield workload, name, key, value
    for ingress in snapshot.of("Ingress"):
        for entry in ingress["spec"].get("tls", []):
            if name := entry.get("secretName"):
                yield ingress, name, "tls.crt", "ingress.hosts"


def _secrets_of_container(container: Object) -> Iterator[tuple[str, str, str]]:
    values = {"HF_TOKEN": "model.credentials", "VLLM_API_KEY": "server.apiKey.keys"}
    values |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "model.credentials")
    for variable in container.get("env", []):
        if (source := dig(variable, "valueFrom", "secretKeyRef")) and not source.get("optional"):
            yield source["name"], source["key"], values.get(variable["name"], "engine.env")
    for item in container.get("envFrom", []):
        if (source := item.get("secretRef")) and not source.get("optional"):
            yield source["name"], "", "engine.envFrom"


def _secrets_of_volume(volume: Object) -> Iterator[tuple[str, str, str]]:
    values = {"api-keys": "server.apiKey.keys", "tls": "server.tls", "model-key": "model.credentials"}
    sources = [volume.get("secret"), *(part.get("secret") for part in dig(volume, "projected", "sources", default=[]))]
    for source in filter(None, sources):
        if not source.get("optional"):
            for item in source.get("items") or [{"key": ""}]:
                name = source.get("secretName") or source["name"]
                yield name, item["key"], values.get(volume["name"], "extraVolumes")


def pull_secrets(snapshot: Snapshot) -> set[str]:
    """Names of the release's pull secrets, which may be missing as long as images come without them."""
    return {s["name"] for workload in snapshot.workloads() for s in pod_spec(workload).get("imagePullSecrets", [])}


def logs_wanted(snapshot: Snapshot) -> Iterator[tuple[str, str, bool]]:
    """Pod, container and whether the log of the run before is meant, for those that have ended."""
    for pod in snapshot.servers():
        for status in statuses_of(pod):
            ended = dig(status, "state", "terminated")
            if ended or dig(status, "lastState", "terminated"):
                yield name_of(pod), status["name"], not ended


def waits_for_a_node(snapshot: Snapshot) -> bool:
    """Return whether a pod of the release has no node yet."""
    return any((condition_of(pod, "PodScheduled") or {}).get("status") == "False" for pod in snapshot.servers())


def served_name(server: Object) -> str:
    """The first name under which a server's model is asked for, by its arguments."""
    arguments = server.get("args") or ["?"]
    for flag, value in itertools.pairwise(arguments):
        if flag == "--served-model-name":
            return str(value)
        if flag.startswith("--served-model-name="):
            return str(flag.partition("=")[2])
    return str(arguments[0])


def claim_references(snapshot: Snapshot) -> Iterator[tuple[Object, str, str]]:
    """Which workload mounts which claim, and by which value of the chart."""
    values = {"model-cache": "cache.model", "compile-cache": "cache.compile", "model": "model.uri"}
    for workload in snapshot.workloads():
        for volume in pod_spec(workload).get("volumes", []):
            if name := dig(volume, "persistentVolumeClaim", "claimName"):
                given = "model.lora.adapters" if volume["name"].startswith("adapter-") else "extraVolumes"
                yield workload, name, values.get(volume["name"], given)


# -- Parts of objects --------------------------------------------------------------------------------------------------


def dig(item: Any, *keys: str, default: Any = None) -> Any:
    """What stands at a path of keys; `default` where there is nothing."""
    for key in keys:
        item = (item or {}).get(key)
    return default if item is None else item


def name_of(item: Object) -> str:
    """The object's name."""
    return str(item["metadata"]["name"])


def place_of(item: Object) -> str:
    """The object as kubectl takes it, `deployment/llama`."""
    return f"{item['kind'].lower()}/{name_of(item)}"


def condition_of(item: Object, kind: str) -> Object | None:
    """A condition of the status, by its type."""
    return next((c for c in dig(item, "status", "conditions", default=[]) if c["type"] == kind), None)


def is_ready(node: Object) -> bool:
    """Return whether a node is Ready."""
    return (condition_of(node, "Ready") or {}).get("status") == "True"


def server_of(spec: Object) -> Object | None:
    """The server's container in the spec of a pod; None where there is none."""
    return next((c for c in spec["containers"] if c["name"] == CONTAINER), None)


def on_cpu(container: Object) -> bool:
    """Return whether a server computes on CPU."""
    return any(variable["name"] == "VLLM_CPU_OMP_THREADS_BIND" for variable in container.get("env", []))


def statuses_of(pod: Object) -> list[Object]:
    """Statuses of all containers of a pod, those of init containers first."""
    status = pod["status"]
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def status_of(pod: Object, container: str) -> Object:
    """Status of a container; empty before it has one."""
    return next((s for s in statuses_of(pod) if s["name"] == container), {})


def waiting_for(pod: Object, wanted: set[str]) -> Iterator[tuple[Object, Object]]:
    """Status and state of the containers that wait for one of some reasons."""
    for status in statuses_of(pod):
        waiting = dig(status, "state", "waiting", default={})
        if waiting.get("reason") in wanted:
            yield status, waiting


def budget_of(pod: Object, probe_name: str = "startupProbe") -> int:
    """Seconds after which a probe of the server gives it up."""
    probe = (server_of(pod["spec"]) or {}).get(probe_name, {})
    return int(probe.get("failureThreshold", 3)) * int(probe.get("periodSeconds", 10))


def belongs(pod: Object, workload: Object) -> bool:
    """Return whether a workload selects a pod."""
    selector = dig(workload, "spec", "selector", "matchLabels", default={})
    return bool(selector.items() <= pod["metadata"].get("labels", {}).items())


def time_of(text: str | None) -> datetime:
    """A time as the API server writes it; the beginning of time where there is none."""
    return datetime.fromisoformat(text) if text else datetime.min.replace(tzinfo=UTC)


def event_time_text(event: Object) -> str:
    """When an event was last seen, as the API server has it."""
    latest = dig(event, "series", "lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return str(latest or event["metadata"]["creationTimestamp"])


def event_time(event: Object) -> datetime:
    """When an event was last seen."""
    return time_of(event_time_text(event))
