"""Pods that the tests run beside servers."""

from __future__ import annotations

from typing import Any

from ci.images import VLLM

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def pod(name: str, command: list[str], volumes: dict[str, dict[str, Any]], **container: Any) -> dict[str, Any]:
    """A pod of the server's image that meets "restricted", with room at /work.

    Args:
        name: of the pod, and of its label `app`.
        command: what it runs.
        volumes: more volumes by the path where they are mounted.
        container: more of the container.
    """
    volumes = {"/work": {"emptyDir": {}}} | volumes
    named = {f"volume-{number}": path for number, path in enumerate(volumes)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 2000,
                "runAsGroup": 0,
                "fsGroup": 0,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": name,
                    "image": VLLM,
                    "imagePullPolicy": "IfNotPresent",
                    "command": command,
                    "env": [{"name": name, "value": "/work"} for name in ("HOME", "TMPDIR")],
                    "securityContext": RESTRICTED,
                    "volumeMounts": [{"name": volume, "mountPath": path} for volume, path in named.items()],
                    **container,
                }
            ],
            "volumes": [{"name": volume, **volumes[path]} for volume, path in named.items()],
        },
    }
