"""Stands in for two parts of a cluster's monitoring that no package registry has; each answer asks the API server anew.

`/metrics` is what the chart's rules and dashboard read of kube-state-metrics, with its names, labels and values.
`/targets?namespace=NAME` is what `kubernetes_sd_configs` of role pod would discover there, for `http_sd_configs` of a
Prometheus without it, as Debian's is: each port of each container, with the labels that Prometheus documents but for
the container's id. Relabeling and scraping are then the real Prometheus' own; that it finds pods itself, and may list
them, is not shown.

For tests alone: a cluster with thousands of pods wants the real ones.
"""

from __future__ import annotations

import json
import re
import ssl
import urllib.parse
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


def targets(pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The groups of targets that Prometheus discovers in a pod; none as long as it has no address."""
    meta, spec, status = pod["metadata"], pod["spec"], pod["status"]
    if not (address := status.get("podIP")):
        return
    (ready,) = [c["status"] for c in status.get("conditions", []) if c["type"] == "Ready"] or ["Unknown"]
    own = {
        "namespace": meta["namespace"],
        "pod_name": meta["name"],
        "pod_uid": meta["uid"],
        "pod_ip": address,
        "pod_host_ip": status.get("hostIP", ""),
        "pod_node_name": spec.get("nodeName", ""),
        "pod_phase": status.get("phase", ""),
        "pod_ready": ready.lower(),
    }
    for kind in ("label", "annotation"):
        for key, text in meta.get(f"{kind}s", {}).items():
            name = re.sub(r"[^a-zA-Z0-9_]", "_", key)
            own |= {f"pod_{kind}_{name}": text, f"pod_{kind}present_{name}": "true"}
    for owner in meta.get("ownerReferences", []):
        if owner.get("controller"):
            own |= {"pod_controller_kind": owner["kind"], "pod_controller_name": owner["name"]}
    for kind, is_init in (("containers", "false"), ("initContainers", "true")):
        for container in spec.get(kind, []):
            of_container = own | {
                "pod_container_name": container["name"],
                "pod_container_image": container["image"],
                "pod_container_init": is_init,
            }
            if "ports" not in container:
                yield target(address, of_container)
            for port in container.get("ports", []):
                of_port = {
                    "pod_container_port_name": port.get("name", ""),
                    "pod_container_port_number": str(port["containerPort"]),
                    "pod_container_port_protocol": port["protocol"],
                }
                yield target(f"{address}:{port['containerPort']}", of_container | of_port)


def target(address: str, labels: dict[str, str]) -> dict[str, Any]:
    """A group of one target."""
    return {"targets": [address], "labels": {f"__meta_kubernetes_{key}": text for key, text in labels.items()}}


class Answer(BaseHTTPRequestHandler):
    """Answers /metrics and /targets."""

    def do_GET(self) -> None:
        """Ask the API server and answer, or let Prometheus' request fail."""
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/targets":
            (namespace,) = urllib.parse.parse_qs(url.query)["namespace"]
            found = [group for pod in listed(f"/api/v1/namespaces/{namespace}/pods") for group in targets(pod)]
            kind, text = "application/json", json.dumps(found)
        else:
            kind, text = "text/plain; version=0.0.4", "\n".join([*deployments(), *pods(), ""])
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8080), Answer).serve_forever()
