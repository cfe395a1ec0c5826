"""Autoscalers of the server."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vllm_chart.migrate.manifests import Body, Server, autoscalers, metric_text
from vllm_chart.migrate.part import Part
from vllm_chart.values_file import Values


def autoscaling(objects: Sequence[Body], server: Server) -> Part:
    """Return what HorizontalPodAutoscalers and ScaledObjects become."""
    part = Part()
    for body in autoscalers(objects, server):
        (_hpa if body["kind"] == "HorizontalPodAutoscaler" else _keda)(part, body["spec"])
    return part


def _hpa(part: Part, spec: Body) -> None:
    hpa: Values = {"enabled": True, "minReplicas": spec.get("minReplicas", 1), "maxReplicas": spec["maxReplicas"]}
    metrics = list(spec.get("metrics") or [])
    if "targetCPUUtilizationPercentage" in spec:
        target = {"averageUtilization": spec["targetCPUUtilizationPercentage"]}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    followed = next((metric for metric in metrics if _chart_metric(metric)), None)
    kind = _chart_metric(followed) if followed else "waiting"
    hpa["metric"] = kind
    text = metric_text(followed) if followed else ""
    if followed and followed["type"] in ("External", "Pods"):
        hpa["metricType"] = followed["type"]
    amount = re.search(r"([\d.]+)(m?)%?$", text)
    if amount:
        number = float(amount.group(1)) / (1000 if amount.group(2) else 1)
        if kind == "kvCache" and number > 1:
            number /= 100
        hpa["targetPerReplica"] = int(number) if number == int(number) else number
    if spec.get("behavior"):
        hpa["behavior"] = spec["behavior"]
    part.put("autoscaling", "hpa", hpa)
    if kind != "cpu":
        part.note(
            "todo",
            "autoscaling metric",
            "prometheus-adapter takes its rules, from the chart's ConfigMap NAME-adapter-config",
        )
    for metric in metrics:
        if metric is not followed:
            part.note(
                "lost",
                f"metric {metric_text(metric)}",
                "the chart's HPA follows one metric: write another HPA in extraObjects",
            )


def _chart_metric(metric: Body) -> str:
    """Return the chart's name for what a metric of an HPA counts; empty where it has none."""
    text = metric_text(metric).lower()
    if text.startswith(("resource", "containerresource")):
        return "cpu" if " cpu" in text else ""
    for pattern, name in (
        ("wait|queue|pending", "waiting"),
        ("running|concurren|active", "running"),
        ("cache", "kvCache"),
    ):
        if re.search(pattern, text):
            return name
    return ""


def _keda(part: Part, spec: Body) -> None:
    trigger = next((item for item in spec.get("triggers") or [] if item.get("type") == "prometheus"), None)
    if trigger is None:
        part.note(
            "lost",
            "autoscaling",
            "the chart's KEDA trigger asks a Prometheus: write the ScaledObject in extraObjects",
        )
        return
    asked = trigger.get("metadata", {})
    keda: Values = {
        "enabled": True,
        "minReplicas": spec.get("minReplicaCount", 0),
        "maxReplicas": spec.get("maxReplicaCount", 100),
        "serverAddress": asked.get("serverAddress", ""),
    }
    if asked.get("threshold"):
        keda["targetPerReplica"] = (
            float(asked["threshold"]) if "." in str(asked["threshold"]) else int(asked["threshold"])
        )
    if "num_requests_waiting" not in str(asked.get("query", "num_requests_waiting")):
        keda["query"] = asked["query"]
    for key in ("pollingInterval", "cooldownPeriod"):
        if key in spec:
            keda[key] = spec[key]
    if keda["minReplicas"] == 0 and "query" not in keda:
        keda["minReplicas"] = 1
        part.note(
            "changed", "replicas", "at least 1: without a server nothing counts the requests that would start one"
        )
    part.put("autoscaling", "keda", keda)
