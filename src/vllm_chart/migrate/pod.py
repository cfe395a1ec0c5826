"""Replicas, placement, labels, further containers and security of the server's pods."""

from __future__ import annotations

from collections.abc import Sequence

from vllm_chart.migrate.manifests import Body, Server, autoscalers
from vllm_chart.migrate.part import Part
from vllm_chart.migrate.storage import without_literal_secrets


def pod(objects: Sequence[Body], server: Server) -> Part:
    """Return what the workload's spec and its pods' become, but for the server's container and the volumes."""
    part, template, spec = Part(), server.pod, server.workload["spec"]
    if spec.get("replicas", 1) != 1 and not autoscalers(objects, server):
        part.put("replicas", spec["replicas"])
    if spec.get("strategy"):
        part.put("strategy", spec["strategy"])
    _placement(part, template)
    account = template.get("serviceAccountName")
    if account and account != "default":
        part.put("serviceAccount", {"create": False, "name": account})
    _metadata(part, server)
    others = [item for item in template.get("containers", []) if item is not server.container]
    if others:
        part.put("podSpec", "containers", [without_literal_secrets(part, item, server) for item in others])
        part.note(
            "todo",
            "containers",
            f"{', '.join(item['name'] for item in others)}: in podSpec.containers, and needs a securityContext "
            "as Pod Security restricted wants it",
        )
    _security(part, server)
    for key in ("dnsPolicy", "hostAliases", "schedulerName", "nodeName"):
        if template.get(key) and template[key] not in ("ClusterFirst", "default-scheduler"):
            part.put("podSpec", key, template[key])
    return part


def _placement(part: Part, template: Body) -> None:
    for key in (
        "nodeSelector",
        "tolerations",
        "affinity",
        "priorityClassName",
        "runtimeClassName",
        "imagePullSecrets",
        "topologySpreadConstraints",
    ):
        if template.get(key):
            part.put(key, template[key])
    if "labelSelector" in str([template.get("affinity"), template.get("topologySpreadConstraints")]):
        part.note("todo", "affinity", "its labelSelector names old labels: write app.kubernetes.io/instance: RELEASE")


def _metadata(part: Part, server: Server) -> None:
    spec = server.workload["spec"]
    selected = spec.get("selector", {}).get("matchLabels") or {}
    if labels := {name: text for name, text in server.labels.items() if name not in selected}:
        part.put("podLabels", labels)
    annotations = dict(spec["template"].get("metadata", {}).get("annotations") or {})
    if annotations.pop("prometheus.io/scrape", "") == "true":
        part.put("metrics", "scrapeAnnotations", "enabled", True)
    for name in ("prometheus.io/port", "prometheus.io/path", "prometheus.io/scheme"):
        annotations.pop(name, None)
    if annotations:
        part.put("podAnnotations", annotations)


def _security(part: Part, server: Server) -> None:
    security = {**(server.pod.get("securityContext") or {}), **(server.container.get("securityContext") or {})}
    if security:
        part.note(
            "chart",
            "securityContext",
            f"Pod Security restricted, user 2000, group 0 (yours set {', '.join(security)}); podSecurityContext or "
            "securityContext replace it",
        )
    for key in ("hostNetwork", "hostIPC", "hostPID", "shareProcessNamespace"):
        if server.pod.get(key):
            part.note("lost", key, f"is against Pod Security restricted: write podSpec.{key} if vLLM needs it")
