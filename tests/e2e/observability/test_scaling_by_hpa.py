"""An HPA follows the queue through prometheus-adapter, by exactly the rules that the chart writes for it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pytest_helm_charts.clusters import Cluster

from ci import cluster
from ci.addons import install as addons
from ci.helm_release import HelmRelease
from ci.prometheus import Prometheus
from tests.e2e.conftest import FILES
from tests.e2e.observability.conftest import WATCHED, await_true
from tests.e2e.observability.scaling import BEHAVIOR, TARGET, follows_the_load

Record = Callable[..., None]
METRIC = "vllm_num_requests_waiting"


@contextmanager
def _scaled(release: HelmRelease, values: dict[str, Any], kind: str) -> Iterator[None]:
    """An HPA owns the release, which is down to one server, as nothing waits."""
    own = {"enabled": True, "maxReplicas": 2, "metricType": kind, "targetPerReplica": TARGET, "behavior": BEHAVIOR}
    release.install(FILES, values | WATCHED | {"autoscaling": {"hpa": own}})
    with addons.prometheus_adapter(release):
        await_true(lambda: _status(release)["desiredReplicas"] == 1, "the HPA wants one server")
        release.settle()
        yield


def _status(release: HelmRelease) -> dict[str, Any]:
    return dict(json.loads(release.kubectl("get", f"hpa/{release.name}", "--output=json"))["status"])


def _reads(release: HelmRelease) -> list[str]:
    """The external metrics whose values the HPA last read."""
    current = _status(release).get("currentMetrics") or []
    return [metric["external"]["metric"]["name"] for metric in current if metric["type"] == "External"]


def _served(path: str) -> list[float]:
    """The values of a metric that the cluster's API serves."""
    answer = cluster.kubectl("get", "--raw", f"/apis/{path}")
    return [float(item["value"]) for item in json.loads(answer)["items"]]


def test_replicas_follow_the_queue_of_each_server(
    quiet: HelmRelease, values: dict[str, Any], kube_cluster: Cluster, prometheus: Prometheus, record: Record
) -> None:
    with _scaled(quiet, values, "Pods"):
        assert _served(f"custom.metrics.k8s.io/v1beta1/namespaces/{quiet.namespace}/pods/*/{METRIC}") == [0]
        follows_the_load("HPA", kube_cluster.kube_config_path, quiet, prometheus, record)


def test_an_external_metric_reaches_the_hpa(quiet: HelmRelease, values: dict[str, Any]) -> None:
    with _scaled(quiet, values, "External"):
        assert _served(f"external.metrics.k8s.io/v1beta1/namespaces/{quiet.namespace}/{METRIC}") == [0]
        await_true(lambda: _reads(quiet) == [METRIC], f"the HPA reads {METRIC}", 120)
        active = {c["type"]: c["status"] for c in _status(quiet)["conditions"]}
        assert active["ScalingActive"] == "True", active
