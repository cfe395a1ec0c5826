"""What the tests of groups share: their values, when a group is whole, and the order in which its pods come and go."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubernetes import client

from ci.demo import MODEL
from ci.helm_release import HelmRelease
from tests.e2e.terminations import PodTerminations
from vllm_chart.errors import UserError

NODES = 2
_DEADLINE_SECONDS = 900
#: Seconds by which a worker may seem to end before its leader, as times are whole seconds.
_SLACK = 2
_INDEX = "leaderworkerset.sigs.k8s.io/worker-index"
_GROUP = "leaderworkerset.sigs.k8s.io/group-index"


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


def leaders(release: HelmRelease) -> list[dict[str, Any]]:
    """The pods with an API server, as the API server has them."""
    return [pod for pod in release.pods() if pod["metadata"]["labels"][_INDEX] == "0"]


def workers(release: HelmRelease) -> list[dict[str, Any]]:
    """The other pods."""
    return [pod for pod in release.pods() if pod["metadata"]["labels"][_INDEX] != "0"]


def identities(release: HelmRelease) -> set[str]:
    """What tells each pod from one that takes its name later."""
    return {pod["metadata"]["uid"] for pod in release.pods()}


def await_groups(release: HelmRelease, count: int = 1, without: set[str] | None = None) -> None:
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


def last_message(release: HelmRelease, index: int) -> str:
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


@dataclass
class PodLifetime:
    """Clock times of a pod in seconds, 0 where they weren't seen.

    Attributes:
        asked: when its deletion was asked for.
        stopped: when its server had ended.
        gone: when the API server had it no more.
    """

    name: str
    group: str
    leads: bool
    created: float
    ready: float = 0.0
    asked: float = 0.0
    stopped: float = 0.0
    gone: float = 0.0

    @property
    def end(self) -> float:
        """When it ended; a leader that LeaderWorkerSet deletes stays on as an object until its workers are gone."""
        return self.stopped or self.gone


class GroupPods(PodTerminations):
    """Watches pods of groups come and go, those too that take the name of another.

    Attributes:
        pods: by their identity, in the order in which they were seen.
    """

    pods: dict[str, PodLifetime]

    def __enter__(self) -> GroupPods:
        self.pods = {}
        super().__enter__()
        return self

    def see(self, event: str, pod: client.V1Pod) -> None:
        """Take note of a change of a pod."""
        meta = pod.metadata
        life = self.pods.setdefault(
            meta.uid,
            PodLifetime(
                meta.name,
                meta.labels.get(_GROUP, ""),
                meta.labels.get(_INDEX) == "0",
                meta.creation_timestamp.timestamp(),
            ),
        )
        for condition in pod.status.conditions or []:
            if condition.type == "Ready" and condition.status == "True":
                life.ready = life.ready or condition.last_transition_time.timestamp()
        if meta.deletion_timestamp and not life.asked:
            life.asked = meta.deletion_timestamp.timestamp() - (meta.deletion_grace_period_seconds or 0)
        for status in pod.status.container_statuses or []:
            if status.state.terminated and status.state.terminated.finished_at:
                life.stopped = status.state.terminated.finished_at.timestamp()
        if event == "DELETED":
            life.gone = time.time()

    def ended(self) -> list[PodLifetime]:
        """Those that are gone, in the order in which they ended."""
        return sorted((life for life in self.pods.values() if life.gone), key=lambda life: life.end)

    def timeline(self) -> str:
        """What happened to pods since the first deletion was asked for, in seconds."""
        start = min((life.asked for life in self.pods.values() if life.asked), default=0.0)
        events = [
            (getattr(life, what) - start, f"{life.name} {what}")
            for life in self.pods.values()
            for what in ("asked", "stopped", "gone", "created", "ready")
            if getattr(life, what) >= start
        ]
        return ", ".join(f"{text} {seconds:.0f}" for seconds, text in sorted(events))

    def assert_leaders_went_first(self) -> None:
        """No worker ended before the leader that had the same group."""
        ended = self.ended()
        pairs = [
            (leader, worker)
            for leader in ended
            for worker in ended
            if leader.leads and not worker.leads and leader.group == worker.group
        ]
        assert pairs, self.timeline()
        early = [worker.name for leader, worker in pairs if worker.end < leader.end - _SLACK]
        assert not early, self.timeline()


def starts(release: HelmRelease) -> tuple[float, dict[str, float]]:
    """Seconds in which the only group became Ready after its creation, and each pod after the start of its server."""
    pods = release.pods()
    ready = {pod["metadata"]["name"]: _ready_at(pod) for pod in pods}
    created = min(_clock(pod["metadata"]["creationTimestamp"]) for pod in pods)
    members = {
        pod["metadata"]["name"]: ready[pod["metadata"]["name"]]
        - _clock(pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"])
        for pod in pods
    }
    return max(ready.values()) - created, members


def start_seconds(leader: dict[str, Any]) -> float:
    """Seconds from the creation of a leader to Ready, as the API server has them."""
    return _ready_at(leader) - _clock(leader["metadata"]["creationTimestamp"])


def _ready_at(pod: dict[str, Any]) -> float:
    (ready,) = [c for c in pod["status"]["conditions"] if c["type"] == "Ready"]
    return _clock(ready["lastTransitionTime"])


def _clock(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
