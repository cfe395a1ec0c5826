"""Stands in for kube-state-metrics, which no package registry has: what the chart's rules and dashboard read of it.

Names, labels and values are those of kube-state-metrics; each scrape asks the API server. For tests alone: a cluster
with thousands of pods wants the real one.
"""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PHASES = ("Pending", "Succeeded", "Failed", "Unknown", "Running")


def listed(path: str) -> list[dict[str, Any]]:
    """Every object under a path of the API."""
    token = (ACCOUNT / "token").read_text()
    request = urllib.request.Request(
        f"https://kubernetes.default.svc{path}", headers={"Authorization": f"Bearer {token}"}
    )
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, context=trusted, timeout=10) as answer:  # noqa: S310 - an https URL
        return list(json.load(answer)["items"])


def series(name: str, value: float, **labels: str) -> str:
    """One line of the text format."""
    inside = ",".join(f'{key}="{text}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {float(value)}"


def created(item: dict[str, Any]) -> float:
    """Seconds since 1970."""
    return datetime.fromisoformat(item["metadata"]["creationTimestamp"]).timestamp()


def deployments() -> Iterator[str]:
    """The lines about Deployments."""
    for item in listed("/apis/apps/v1/deployments"):
        labels = {"namespace": item["metadata"]["namespace"], "deployment": item["metadata"]["name"]}
        yield series("kube_deployment_created", created(item), **labels)
        yield series("kube_deployment_spec_replicas", item["spec"]["replicas"], **labels)
        yield series("kube_deployment_status_replicas_ready", item["status"].get("readyReplicas", 0), **labels)


def pods() -> Iterator[str]:
    """The lines about pods."""
    for item in listed("/api/v1/pods"):
        meta, status = item["metadata"], item["status"]
        labels = {"namespace": meta["namespace"], "pod": meta["name"], "uid": meta["uid"]}
        yield series("kube_pod_created", created(item), **labels)
        for phase in PHASES:
            yield series("kube_pod_status_phase", status.get("phase") == phase, **labels, phase=phase)
        (ready,) = [c["status"] for c in status.get("conditions", []) if c["type"] == "Ready"] or ["Unknown"]
        for condition in ("True", "False", "Unknown"):
            yield series("kube_pod_status_ready", ready == condition, **labels, condition=condition.lower())
        for kind in ("container", "init_container"):
            for one in status.get("containerStatuses" if kind == "container" else "initContainerStatuses", []):
                own = labels | {"container": one["name"]}
                yield series(f"kube_pod_{kind}_status_restarts_total", one["restartCount"], **own)
                if reason := one["state"].get("waiting", {}).get("reason"):
                    yield series(f"kube_pod_{kind}_status_waiting_reason", 1, **own, reason=reason)


class Metrics(BaseHTTPRequestHandler):
    """Answers /metrics."""

    def do_GET(self) -> None:
        """Ask the API server and answer, or let the scrape fail."""
        body = "\n".join([*deployments(), *pods(), ""]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8080), Metrics).serve_forever()
