"""KEDA follows the queue, and starts a first server for requests that found none."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pytest_helm_charts.clusters import Cluster

from ci.addons import install as addons
from ci.common import ROOT
from ci.demo import MODEL
from ci.helm_release import HelmRelease
from ci.prometheus import Prometheus
from tests.e2e.conftest import FILES
from tests.e2e.observability.conftest import WATCHED, Watching, await_true
from tests.e2e.observability.scaling import BEHAVIOR, TARGET, follows_the_load

Record = Callable[..., None]
PROMETHEUS = "http://prometheus.monitoring:9090"
#: Requests of the last minute, also where they are the first of their series: see docs/how-to/scale-to-zero.md.
REQUESTS = (
    "sum(increase(gateway_requests_total[1m]) > 0"
    " or (gateway_requests_total unless gateway_requests_total offset 1m)) or vector(0)"
)


def _keda(**own: Any) -> dict[str, Any]:
    """What is laid over values/autoscaling.yaml on this cluster, which has no operator of Prometheus."""
    keda = {"serverAddress": PROMETHEUS, "maxReplicas": 2, "behavior": BEHAVIOR, **own}
    return {"autoscaling": {"keda": keda}, "metrics": {**WATCHED["metrics"], "podMonitor": {"enabled": False}}}


@pytest.fixture(scope="module")
def scale(watched: HelmRelease, values: dict[str, Any]) -> Iterator[Callable[..., None]]:
    """Gives the release to KEDA with some values."""
    files = [ROOT / "values" / "autoscaling.yaml", *FILES]
    with addons.keda():
        yield lambda changes, **own: watched.install(files, values | WATCHED | _keda(**own) | changes)
        # while there is somebody to let go of the ScaledObject
        watched.install(FILES, values | WATCHED)


def _servers(release: HelmRelease) -> int:
    return int(release.kubectl("get", f"deployment/{release.name}", "--output=jsonpath={.spec.replicas}"))


def test_replicas_follow_the_queue_of_the_release(
    quiet: HelmRelease, scale: Callable[..., None], kube_cluster: Cluster, prometheus: Prometheus, record: Record
) -> None:
    scale({}, targetPerReplica=TARGET)
    await_true(lambda: _servers(quiet) == 1, "KEDA wants one server")
    quiet.settle()
    follows_the_load("KEDA", kube_cluster.kube_config_path, quiet, prometheus, record)


def test_one_request_at_the_gateway_starts_the_first_server(
    quiet: HelmRelease, scale: Callable[..., None], watching: Watching, record: Record
) -> None:
    own = {"minReplicas": 0, "cooldownPeriod": 10, "query": REQUESTS}
    # the new server's traces go out by the other protocol
    tracing = {"endpoint": "http://collector.monitoring:4318/v1/traces", "protocol": "http/protobuf"}
    scale({"tracing": tracing}, **own, targetPerReplica=100)
    emptied = await_true(lambda: _servers(quiet) == 0, "KEDA wants no server")
    await_true(lambda: not quiet.pods(), "the last server is gone")
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8}
    refused = 0
    with addons.MONITORING.forward("service/gateway", 8080) as address:

        def status() -> int:
            return httpx.post(f"http://{address}/v1/chat/completions", json=body, timeout=120).status_code

        began = time.monotonic()
        assert began > emptied
        assert status() == 503
        refused_after = time.monotonic() - began
        asked = await_true(lambda: _servers(quiet) == 1, "KEDA wants a server", 120)
        while (answer := status()) != 200:
            assert answer == 503
            assert time.monotonic() < began + 300, f"refused {refused} times more"
            refused += 1
            time.sleep(1)
        answered = time.monotonic()
    record(
        "KEDA, from no server",
        first_request=f"503 after {refused_after:.2f} s",
        server_asked_for_after=f"{asked - began:.1f} s",
        refused_meanwhile=refused,
        answered_after=f"{answered - began:.1f} s",
    )
    await_true(lambda: [span for span in watching.spans() if span["protocol"] == "http"], "a span over HTTP", 60)
