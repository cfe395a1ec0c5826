"""No request is lost when servers come and go under streaming load, on new connections and on kept ones."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from e2e.conftest import DELAY_SECONDS
from e2e.ends import Ends

from scripts import cluster, preload
from scripts.common import CHART
from scripts.demo import MODEL
from scripts.load import MODES, Load, Report, Stream, under_load
from scripts.release import Release, base_url

#: Short answers with pauses, or a second server would hardly start on two cores; one client that leaves its connection
#: idle for longer than the delay, and one whose answers take longer than the delay.
STREAMS = [
    Stream("new", pause=1),
    Stream("reused", pause=1),
    Stream("reused", pause=DELAY_SECONDS + 4),
    Stream("new", max_tokens=300, pause=2),
]
KILLED = 137
Change = Callable[..., None]
Record = Callable[..., None]


@pytest.fixture(scope="module")
def change(install: Callable[..., None]) -> Change:
    """Changes some values of the release, and returns when old pods are gone; what was changed before stays."""
    changed: dict[str, Any] = {}

    def apply(**values: Any) -> None:
        changed.update(values)
        install(**changed)

    return apply


def _streams() -> Load:
    return Load(base_url(), MODEL, STREAMS)


def _nothing_lost(report: Report, ends: Ends) -> None:
    for mode in MODES:
        assert report.requests(mode), f"no request was made on {mode} connections"
    assert not report.failures()
    assert ends.exit_codes, "no server has ended"
    assert KILLED not in ends.exit_codes.values()


def _last_end(load: Load, until: float) -> float:
    """Clock time at which the last of the requests ended that were made before `until`."""
    ends = [load.started + o.started + o.seconds for o in load.report.outcomes if load.started + o.started < until]
    return max(ends)


@pytest.mark.usefixtures("release")
def test_a_rolling_update_of_one_server_with_surge(change: Change, ends: Ends, record: Record) -> None:
    with under_load(_streams()) as load:
        change(podAnnotations={"example.com/round": "1"})
    record("rolling update, 1 replica, surge", load.report)
    _nothing_lost(load.report, ends)


def _scale(release: Release, replicas: int) -> None:
    """By Helm and not by kubectl, which would own the number from then on, and Helm be refused it."""
    release.helm("upgrade", release.name, CHART, "--reuse-values", "--set", f"replicas={replicas}")


@pytest.mark.parametrize("seconds", [1, 8, 20])
def test_a_pod_that_is_still_loading_is_gone_soon(release: Release, ends: Ends, record: Record, seconds: int) -> None:
    serving = {pod["metadata"]["name"] for pod in release.pods()}
    _scale(release, 2)
    (name,) = release.await_running(2) - serving
    time.sleep(seconds)  # how far it has come is what is varied
    _scale(release, 1)  # takes the one that isn't ready
    deleted = time.monotonic()
    release.settle()
    record(f"deleted {seconds} s into its start", gone_after=f"{ends.gone[name] - deleted:.1f} s")
    assert ends.exit_codes[name] != KILLED


def test_deleting_one_of_two_pods(change: Change, release: Release, ends: Ends, record: Record) -> None:
    change(replicas=2)
    name = release.pods()[0]["metadata"]["name"]
    with under_load(_streams()) as load:
        open_until = time.monotonic() + DELAY_SECONDS
        release.kubectl("delete", "pod", name)
        release.settle()
    last = max(open_until, _last_end(load, open_until))
    record("one of two pods deleted", load.report, gone_after_the_last_request=f"{ends.gone[name] - last:.1f} s")
    _nothing_lost(load.report, ends)


def test_a_rolling_update_of_two_servers_without_surge(change: Change, ends: Ends, record: Record) -> None:
    change(replicas=2, strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}})
    with under_load(_streams()) as load:
        change(podAnnotations={"example.com/round": "2"})
    record("rolling update, 2 replicas, no surge", load.report)
    _nothing_lost(load.report, ends)


def test_draining_a_node(change: Change, release: Release, ends: Ends, record: Record) -> None:
    if len(preload.workers()) < 2:
        pytest.skip("the cluster has one worker: `make cluster-down`, and `make e2e` makes one with two")
    change(replicas=2, podDisruptionBudget={"enabled": True})
    node = release.pods()[0]["spec"]["nodeName"]
    try:
        with under_load(_streams()) as load:
            selector = f"--pod-selector=app.kubernetes.io/instance={release.name}"
            cluster.kubectl("drain", node, "--delete-emptydir-data", "--timeout=300s", selector)
            release.settle()
    finally:
        cluster.kubectl("uncordon", node)
    record("node drained, 2 replicas, PodDisruptionBudget", load.report)
    _nothing_lost(load.report, ends)


def test_scaling_down_from_two_to_one(change: Change, ends: Ends, record: Record) -> None:
    change(replicas=2)
    with under_load(_streams()) as load:
        change(replicas=1)
    record("scaled down from 2 to 1", load.report)
    _nothing_lost(load.report, ends)
