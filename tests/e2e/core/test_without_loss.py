"""No request is lost when servers come and go under streaming load, on new connections and on kept ones."""

import time
from collections.abc import Callable

import pytest
from e2e.conftest import DELAY_SECONDS
from e2e.ends import Ends

from scripts import cluster, preload
from scripts.demo import MODEL
from scripts.load import MODES, Load, Report, Stream, under_load
from scripts.release import Release, base_url

#: Short answers; a kept connection that is idle for longer than the delay; answers that take longer than the delay.
STREAMS = [Stream("new"), Stream("reused"), Stream("reused", pause=DELAY_SECONDS + 4), Stream("new", max_tokens=400)]
KILLED = 137
Install = Callable[..., None]
Record = Callable[..., None]


def _streams() -> Load:
    return Load(base_url(), MODEL, STREAMS)


def _nothing_lost(report: Report) -> None:
    for mode in MODES:
        assert report.requests(mode), f"no request was made on {mode} connections"
    assert not report.failures()


def _last_end(report: Report, load_started: float, until: float) -> float:
    """Clock time at which the last of the requests ended that were made before `until`."""
    return max(load_started + o.started + o.seconds for o in report.outcomes if load_started + o.started < until)


def test_a_rolling_update_of_one_server_with_surge(install: Install, ends: Ends, record: Record) -> None:
    install()
    with under_load(_streams()) as load:
        install(podAnnotations={"example.com/round": "1"})
    record("rolling update, 1 replica, surge", load.report)
    _nothing_lost(load.report)
    assert KILLED not in ends.exit_codes.values()


def test_a_rolling_update_of_two_servers_without_surge(install: Install, ends: Ends, record: Record) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    install(replicas=2, strategy=strategy)
    with under_load(_streams()) as load:
        install(replicas=2, strategy=strategy, podAnnotations={"example.com/round": "2"})
    record("rolling update, 2 replicas, no surge", load.report)
    _nothing_lost(load.report)
    assert KILLED not in ends.exit_codes.values()


def test_deleting_one_of_two_pods(install: Install, release: Release, ends: Ends, record: Record) -> None:
    install(replicas=2)
    name = release.pods()[0]["metadata"]["name"]
    with under_load(_streams()) as load:
        deleted = time.monotonic()
        release.kubectl("delete", "pod", name)
        release.settle()
    open_until = deleted + DELAY_SECONDS
    last = max(open_until, _last_end(load.report, load.started, open_until))
    record("one of two pods deleted", load.report, gone_after_the_last_request=f"{ends.gone[name] - last:.1f} s")
    _nothing_lost(load.report)
    assert ends.exit_codes[name] != KILLED


def test_scaling_down_from_two_to_one(install: Install, ends: Ends, record: Record) -> None:
    install(replicas=2)
    with under_load(_streams()) as load:
        install(replicas=1)
    record("scaled down from 2 to 1", load.report)
    _nothing_lost(load.report)
    assert KILLED not in ends.exit_codes.values()


def test_draining_a_node(install: Install, release: Release, ends: Ends, record: Record) -> None:
    if len(preload.workers()) < 2:
        pytest.skip("the cluster has one worker: `make cluster-down`, and `make e2e` makes one with two")
    spread = {
        "topologyKey": "kubernetes.io/hostname",
        "maxSkew": 1,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/instance": release.name}},
    }
    install(replicas=2, podDisruptionBudget={"enabled": True}, topologySpreadConstraints=[spread])
    node = release.pods()[0]["spec"]["nodeName"]
    try:
        with under_load(_streams()) as load:
            selector = f"--pod-selector=app.kubernetes.io/instance={release.name}"
            cluster.kubectl("drain", node, "--delete-emptydir-data", "--timeout=300s", selector)
            release.settle()
    finally:
        cluster.kubectl("uncordon", node)
    record("node drained, 2 replicas, PodDisruptionBudget", load.report)
    _nothing_lost(load.report)
    assert KILLED not in ends.exit_codes.values()


@pytest.mark.parametrize("seconds", [1, 8, 20])
def test_a_pod_that_is_still_loading_is_gone_soon(
    install: Install, release: Release, ends: Ends, record: Record, seconds: int
) -> None:
    install(replicas=1)
    serving = {pod["metadata"]["name"] for pod in release.pods()}
    release.kubectl("scale", f"deployment/{release.name}", "--replicas=2")
    (name,) = release.await_running(2) - serving
    time.sleep(seconds)  # how far it has come is what is varied
    release.kubectl("scale", f"deployment/{release.name}", "--replicas=1")  # takes the one that isn't ready
    deleted = time.monotonic()
    release.settle()
    record(f"deleted {seconds} s into its start", gone_after=f"{ends.gone[name] - deleted:.1f} s")
    assert ends.exit_codes[name] != KILLED
