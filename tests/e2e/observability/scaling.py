"""Load comes and goes, an autoscaler follows, and no client notices."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from kubernetes import client, config

from ci.demo import MODEL
from ci.helm_release import HelmRelease, base_url
from ci.prometheus import Prometheus
from tests.e2e.load import Load, Stream, under_load
from tests.e2e.observability.conftest import await_true
from tests.e2e.terminations import PodTerminations

KILLED = 137
#: Requests in the queue for each server above which one is added.
TARGET = 2
#: Of the time that an autoscaler takes to ask for a server, beginning with a queue that is longer.
PROMISED_SECONDS = 60
#: Quick to take away, as a test has no ten minutes to wait; how servers are added is the chart's default.
BEHAVIOR = {
    "scaleDown": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]}
}
#: There all the time, so that every change of the servers is seen by somebody.
LIGHT = [Stream("new", pause=1), Stream("reused", pause=1)]
#: More than two servers have in work, so that the queue stays above the target of one and no lower than that of two.
HEAVY = [Stream("new")] * 12


class Replicas:
    """Watches a Deployment while the block runs.

    Attributes:
        wanted: each number of servers that was asked for, in turn.
        ready: the number that is ready.
    """

    def __init__(self, kubeconfig: str, release: HelmRelease) -> None:
        self.wanted: list[int] = []
        self.ready = 0
        self._apps = client.AppsV1Api(config.new_client_from_config(kubeconfig))
        self._release = release
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Replicas:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            self._look()

    def _look(self) -> None:
        deployment = self._apps.read_namespaced_deployment(self._release.name, self._release.namespace)
        if self.wanted[-1:] != [deployment.spec.replicas]:
            self.wanted.append(deployment.spec.replicas)
        self.ready = deployment.status.ready_replicas or 0


def follows_the_load(
    how: str, kubeconfig: str, release: HelmRelease, prometheus: Prometheus, record: Callable[..., None]
) -> None:
    """Load on one server brings a second, which shares it; without load that goes again, and nothing was lost."""
    own = f'namespace="{release.namespace}",pod=~"{release.name}-[a-z0-9]+-[a-z0-9]{{5}}"'
    queue = f"sum(vllm:num_requests_waiting{{{own}}}) > {TARGET}"
    (first,) = {pod["metadata"]["name"] for pod in release.pods()}
    answered = f'sum(vllm:request_success_total{{{own},pod!="{first}"}}) > 20'
    light, heavy = (Load(base_url(), MODEL, streams) for streams in (LIGHT, HEAVY))
    with (
        Replicas(kubeconfig, release) as replicas,
        PodTerminations(kubeconfig, release) as terminations,
        under_load(light),
    ):
        with under_load(heavy):
            over = await_true(lambda: prometheus.query(queue), "the queue passes its target", 60)
            added = await_true(lambda: replicas.wanted[-1] == 2, "a second server is asked for", 120)
            ready = await_true(lambda: replicas.ready == 2, "the second server is ready")
            shared = await_true(lambda: prometheus.query(answered), "the second server has answered 20 requests", 180)
            time.sleep(75)  # longer than the window after which one that isn't needed is taken away
            assert replicas.wanted == [1, 2]
        ended = time.monotonic()
        removed = await_true(lambda: replicas.wanted[-1] == 1, "one server is asked for", 240)
        release.settle()
    record(
        f"{how}, load",
        heavy.report,
        asked_for_after_the_queue_passed_its_target=f"{added - over:.1f} s",
        ready_after_that=f"{ready - added:.1f} s",
        twenty_answers_after_that=f"{shared - ready:.1f} s",
        replicas=replicas.wanted,
    )
    codes = sorted(terminations.exit_codes.values())
    record(f"{how}, end of the load", light.report, removed_after=f"{removed - ended:.1f} s", exit_codes=codes)
    assert replicas.wanted == [1, 2, 1]
    assert added - over <= PROMISED_SECONDS
    assert not heavy.report.failures()
    assert not light.report.failures()
    assert codes
    assert KILLED not in codes
