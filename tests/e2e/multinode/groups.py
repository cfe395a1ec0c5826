"""What the tests of groups share: their values, and when a group is whole."""

from __future__ import annotations

import time
from typing import Any

from scripts.common import UserError
from scripts.demo import MODEL
from scripts.release import Release

NODES = 2
_DEADLINE_SECONDS = 900
_INDEX = "leaderworkerset.sigs.k8s.io/worker-index"


def group_values(uri: str) -> dict[str, Any]:
    """Values over values/cpu.yaml for groups of two pods on two nodes, which share each layer of the model."""
    spread = {
        "topologyKey": "kubernetes.io/hostname",
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "vllm"}},
        "matchLabelKeys": ["app.kubernetes.io/instance", "leaderworkerset.sigs.k8s.io/group-index"],
    }
    return {
        "model": {"uri": uri, "name": MODEL},
        "parallelism": {"nodes": NODES, "tensor": 2},
        # shared embeddings are compiled even with enforce-eager, which takes a compiler's time at each start
        "engine": {"env": {"TORCHDYNAMO_DISABLE": "1"}},
        "drain": {"delaySeconds": 8, "timeoutSeconds": 60},
        "topologySpreadConstraints": [spread],
        # four pods on two cores and 24 GiB
        "resources": {"requests": {"cpu": "100m", "memory": "3Gi"}, "limits": {"memory": "5Gi"}},
    }


def leaders(release: Release) -> list[dict[str, Any]]:
    """The pods with an API server, as the API server has them."""
    return [pod for pod in release.pods() if pod["metadata"]["labels"][_INDEX] == "0"]


def workers(release: Release) -> list[dict[str, Any]]:
    """The other pods."""
    return [pod for pod in release.pods() if pod["metadata"]["labels"][_INDEX] != "0"]


def identities(release: Release) -> set[str]:
    """What tells each pod from one that takes its name later."""
    return {pod["metadata"]["uid"] for pod in release.pods()}


def await_groups(release: Release, count: int = 1, without: set[str] | None = None) -> None:
    """Return when so many groups are whole and Ready, and no other pods are there.

    Args:
        release: the release.
        count: number of groups.
        without: identities of pods that must be gone.

    Raises:
        UserError: after 15 minutes; the text names what was gathered.
    """
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while True:
        pods = release.pods()
        ready = [pod for pod in pods if _ready(pod) and pod["metadata"]["uid"] not in (without or set())]
        if len(ready) == len(pods) == NODES * count:
            return
        if time.monotonic() > deadline:
            raise UserError(f"{len(ready)} of {NODES * count} pods are Ready after 15 minutes: {release.collect()}.")
        time.sleep(0.5)


def last_message(release: Release, index: int) -> str:
    """What the first container of a pod said that ended, by the pod's place in its group."""
    deadline = time.monotonic() + 300
    while True:
        for pod in (workers if index else leaders)(release):
            for status in pod["status"].get("containerStatuses", []):
                for state in (status["state"], status["lastState"]):
                    if ended := state.get("terminated"):
                        return str(ended.get("message", ""))
        assert time.monotonic() < deadline, "no container has ended in 5 minutes"
        time.sleep(0.5)


def _ready(pod: dict[str, Any]) -> bool:
    conditions = {condition["type"]: condition["status"] for condition in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]
