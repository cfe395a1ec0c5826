"""Reads a release and its surroundings from a cluster by kubectl. It only reads; of Secrets only the names of keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from vllm_chart.doctor.snapshot import (
    INSTANCE,
    Object,
    Snapshot,
    logs_wanted,
    pull_secrets,
    secret_references,
    waits_for_a_node,
)
from vllm_chart.errors import CommandError, InputError, UserError
from vllm_chart.process import run

# Kinds and the API group that must be served for them to be asked for; the first ones always are.
_LABELLED = {
    "deployments,replicasets,statefulsets,pods,services,endpointslices,ingresses,horizontalpodautoscalers": "",
    "leaderworkersets": "leaderworkerset.x-k8s.io",
    "httproutes": "gateway.networking.k8s.io",
    "servicemonitors,podmonitors,prometheusrules": "monitoring.coreos.com",
    "scaledobjects": "keda.sh",
}
_WHOLE_NAMESPACE = ("persistentvolumeclaims,events",)
_WHOLE_CLUSTER = {
    "nodes,storageclasses,ingressclasses": "",
    "prometheuses,prometheusagents": "monitoring.coreos.com",
}
_LOG_LINES = 300


@dataclass
class Reader:
    """Reads a cluster by kubectl.

    Attributes:
        command: kubectl with the flags that choose the cluster.
        namespace: of the release.
        unread: what may not be read, with kubectl's reason.
    """

    command: tuple[str, ...]
    namespace: str
    unread: list[str]

    def ask(self, *arguments: str) -> str:
        """What kubectl prints in the release's namespace.

        Raises:
            CommandError: where kubectl fails.
        """
        return run([*self.command, "--namespace", self.namespace, "--request-timeout=20s", *arguments])

    def get(self, kinds: str, *flags: str) -> list[Object]:
        """Objects of some kinds; what may not be read is noted and left out."""
        try:
            return list(json.loads(self.ask("get", kinds, "--output=json", *flags))["items"])
        except CommandError as error:
            if "," in kinds:
                return [item for kind in kinds.split(",") for item in self.get(kind, *flags)]
            if "doesn't have a resource type" not in error.output:
                self.unread.append(f"{kinds} ({_reason(error)})")
            return []

    def groups(self) -> set[str]:
        """The API groups that the cluster serves.

        Raises:
            UserError: if the cluster does not answer.
        """
        try:
            return {group["name"] for group in json.loads(self.ask("get", "--raw", "/apis"))["groups"]}
        except CommandError as error:
            raise UserError(
                f"Cannot read the cluster: {_reason(error)}. Check --kube-context and --kubeconfig; "
                f"`{' '.join(self.command)} get --raw /version` shows the same."
            ) from None
        except (ValueError, LookupError, TypeError):
            raise UserError(f"{self.command[0]}: does not answer like kubectl. Put kubectl on PATH.") from None

    def secret(self, name: str) -> Iterator[frozenset[str] | None]:
        """Names of the keys of a Secret, None where it isn't there, nothing where it may not be read."""
        keys = 'go-template={{range $key, $value := .data}}{{$key}}{{"\\n"}}{{end}}'
        try:
            yield frozenset(self.ask("get", "secret", name, f"--output={keys}").split())
        except CommandError as error:
            if "not found" in error.output:
                yield None
            else:
                self.unread.append(f"secret {name} ({_reason(error)})")

    def log(self, pod: str, container: str, *, previous: bool) -> str:
        """The end of what a container has printed, empty where the node has it no more."""
        flags = [f"--tail={_LOG_LINES}", *(["--previous"] if previous else [])]
        try:
            return self.ask("logs", pod, f"--container={container}", *flags)
        except CommandError:
            return ""

    def helm_status(self, release: str) -> str:
        """Status of the release's last revision, from the labels of what Helm keeps; empty where it keeps nothing."""
        path = 'jsonpath={range .items[*]}{.metadata.labels.version} {.metadata.labels.status}{"\\n"}{end}'
        try:
            lines = self.ask("get", "secrets", f"--selector=owner=helm,name={release}", f"--output={path}").splitlines()
        except CommandError:
            return ""
        revisions = sorted((int(version), status) for version, status in (line.split() for line in lines))
        return revisions[-1][1] if revisions else ""


def look(release: str, reader: Reader) -> Snapshot:
    """Read everything that `diagnose` needs.

    Raises:
        UserError: if the cluster does not answer, or has no such release; the text names those that there are.
    """
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", release):
        raise InputError(f"{release}: not a release name. `helm list --all-namespaces` shows the releases.")
    served = reader.groups() | {""}
    objects: list[Object] = []
    for kinds, group in _LABELLED.items():
        if group in served:
            objects += reader.get(kinds, f"--selector={INSTANCE}={release}")
    snapshot = Snapshot(
        release=release,
        namespace=reader.namespace,
        now=datetime.now(UTC),
        objects=tuple(objects),
        helm=reader.helm_status(release),
        kubectl=" ".join(reader.command),
    )
    if not snapshot.workloads() and not snapshot.helm:
        raise UserError(_no_such_release(snapshot, reader))
    for kinds in _WHOLE_NAMESPACE:
        objects += reader.get(kinds)
    for kinds, group in _WHOLE_CLUSTER.items():
        if group in served:
            objects += reader.get(kinds, "--all-namespaces")
    snapshot = replace(snapshot, objects=tuple(objects))
    neighbours = reader.get("pods", "--all-namespaces") if waits_for_a_node(snapshot) else []
    names = {name for _, name, _, _ in secret_references(snapshot)} | pull_secrets(snapshot)
    return replace(
        snapshot,
        neighbours=tuple(neighbours),
        secrets={name: keys for name in sorted(names) for keys in reader.secret(name)},
        logs={
            (pod, container): reader.log(pod, container, previous=previous)
            for pod, container, previous in logs_wanted(snapshot)
        },
    )


def _no_such_release(snapshot: Snapshot, reader: Reader) -> str:
    if reader.unread:
        return (
            f"Namespace {snapshot.namespace}: cannot read the release {snapshot.release}: {reader.unread[0]}. "
            "Use an account with the ClusterRole view."
        )
    everywhere = replace(snapshot, objects=tuple(reader.get("deployments", "--all-namespaces")))
    names = sorted(
        f"{workload['metadata']['labels'].get(INSTANCE)} in {workload['metadata']['namespace']}"
        for workload in everywhere.workloads()
        if INSTANCE in workload["metadata"].get("labels", {})
    )
    there = f"The cluster has {', '.join(names)}" if names else "No other namespace has one"
    return (
        f"Namespace {snapshot.namespace}: no release {snapshot.release} of the chart. {there}. "
        "Check the release's name, --namespace and --kube-context."
    )


def _reason(error: CommandError) -> str:
    """What kubectl says, in one line."""
    lines = [line for line in error.output.strip().splitlines() if not re.match(r"[EWI]\d{4} ", line)]
    text = (lines or error.output.strip().splitlines() or ["no answer"])[-1]
    return re.sub(r"^(error|Error from server \(\w+\)|Unable to connect to the server): ", "", text).rstrip(".")


def reader(namespace: str = "", context: str = "", kubeconfig: str = "") -> Reader:
    """A reader of a cluster and namespace; without them, of those that kubectl's configuration names.

    Raises:
        UserError: if kubectl's configuration has no such context.
    """
    flags = {"context": context, "kubeconfig": kubeconfig}
    command = ("kubectl", *(f"--{name}={value}" for name, value in flags.items() if value))
    if not namespace:  # the context's own
        try:
            path = "--output=jsonpath={..namespace}"
            namespace = run([*command, "config", "view", "--minify", path]).strip() or "default"
        except CommandError as error:
            raise UserError(
                f"Cannot read kubectl's configuration: {_reason(error)}. Check --kube-context and --kubeconfig."
            ) from None
    return Reader(command, namespace, [])
