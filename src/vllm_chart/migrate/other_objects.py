"""Disruption budgets, monitors, and objects that the server refers to or that are not its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

from vllm_chart.invariants import references
from vllm_chart.migrate.manifests import Body, Server
from vllm_chart.migrate.part import Part
from vllm_chart.values_file import Values

#: Kinds that other parts of the migration read.
_READ_ELSEWHERE = {"Service", "Ingress", "HorizontalPodAutoscaler", "ScaledObject"}


def other_objects(objects: Sequence[Body], server: Server, carried: Values) -> Part:
    """Return what every other object becomes.

    Args:
        objects: the manifests.
        server: the server.
        carried: the values of everything else, which may refer to an object.
    """
    part = Part()
    for body in objects:
        kind, name = body["kind"], body["metadata"]["name"]
        subject = f"{kind} {name}"
        if body is server.workload or kind in _READ_ELSEWHERE:
            continue
        if kind == "PodDisruptionBudget":
            _disruption_budget(part, subject, body["spec"])
        elif kind in ("ServiceMonitor", "PodMonitor"):
            _monitor(part, body)
        elif kind in ("PersistentVolumeClaim", "ConfigMap", "Secret", "ServiceAccount", "Namespace"):
            if _in_use(kind, name, carried):
                part.note("todo", subject, "stays: the values name it, so keep it when you delete the rest")
            else:
                part.note("lost", subject, "nothing of the server names it any more")
        else:
            part.note("lost", subject, "is not the server's: keep it, or write it in extraObjects")
    return part


def _disruption_budget(part: Part, subject: str, spec: Body) -> None:
    part.put("podDisruptionBudget", "enabled", True)
    if spec.get("maxUnavailable", 1) != 1:
        part.put("podDisruptionBudget", "maxUnavailable", spec["maxUnavailable"])
    if "minAvailable" in spec:
        part.note("changed", subject, "one server at a time may be gone (podDisruptionBudget.maxUnavailable)")


def _monitor(part: Part, body: Body) -> None:
    monitor: Values = {"enabled": True}
    endpoints = body["spec"].get("endpoints") or body["spec"].get("podMetricsEndpoints") or [{}]
    if endpoints[0].get("interval"):
        monitor["interval"] = endpoints[0]["interval"]
    if labels := body["metadata"].get("labels"):
        monitor["labels"] = labels
    part.put("metrics", body["kind"][0].lower() + body["kind"][1:], monitor)


def _in_use(kind: str, name: str, carried: Values) -> bool:
    keys = {"PersistentVolumeClaim": "claimName", "ServiceAccount": "name"}.get(kind, "name")
    text = yaml.safe_dump(carried)
    return (
        (kind, name) in references.declared_external(carried)
        or re.search(rf"\b({keys}|secretName): {re.escape(name)}$", text, re.M) is not None
        or f"pvc://{name}" in text
    )
