"""No request is lost when servers come and go under streaming load, on new connections and on kept ones."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ci import cluster, images, load_images
from ci.demo import MODEL
from ci.helm_release import HelmRelease, base_url
from tests.e2e.conftest import DELAY_SECONDS
from tests.e2e.load import MODES, Load, Report, Stream, under_load
from tests.e2e.terminations import PodTerminations
from vllm_chart.chart import CHART

#: Short answers with pauses, or a second server would hardly start on two cores; one client that leaves its connection
#: idle for longer than the delay, and one whose answers take longer than the delay.
STREAMS = [
    Stream("new", pause=1),
    Stream("reused", pause=1),
    Stream("reused", pause=DELAY_SECONDS + 4),
    Stream("new", max_tokens=300, pause=2),
]
#: One answer that is longer than those of all other clients, and than the drain's delay.
LONGEST = Stream("new", max_tokens=300, pause=3600)
#: A pod that isn't gone by itself inside its grace period; how long the others take is recorded (goal: 15 s).
KILLED = 137
Change = Callable[..., None]
Record = Callable[..., None]


@pytest.fixture(scope="module")
def change(install: Callable[..., None], release: HelmRelease) -> Change:
    """Changes some values of the release, and returns when old pods are gone; what was changed before stays.

    Two servers are on two nodes from the first change on, so that draining one takes a server that is known.
    """
    spread = {
        "topologyKey": "kubernetes.io/hostname",
        "maxSkew": 1,
        "nodeTaintsPolicy": "Honor",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/instance": release.name}},
        "matchLabelKeys": ["pod-template-hash"],
    }
    changed: dict[str, Any] = {"topologySpreadConstraints": [spread]}

    def apply(**values: Any) -> None:
        changed.update(values)
        install(**changed)

    return apply


def _streams() -> Load:
    return Load(base_url(), MODEL, STREAMS)


def _short_streams() -> Load:
    return Load(base_url(), MODEL, [stream for stream in STREAMS if stream.max_tokens < LONGEST.max_tokens])


def _nothing_lost(report: Report, terminations: PodTerminations) -> None:
    for mode in MODES:
        assert report.requests(mode), f"no request was made on {mode} connections"
    assert not report.failures()
    assert terminations.exit_codes, "no server has ended"
    assert KILLED not in terminations.exit_codes.values()


@contextmanager
def _pinned(release: HelmRelease, pod: str) -> Iterator[Load]:
    """A long answer that this pod gives, on a connection that no Service moves."""
    with (
        release.forward(f"pod/{pod}", 8000) as address,
        under_load(Load(f"http://{address}", MODEL, [LONGEST])) as load,
    ):
        yield load


def _gone_after(pod: str, pinned: Load, terminations: PodTerminations) -> float:
    """Seconds that a pod took to be gone after its last request, which outlasted the drain's delay."""
    (longest,) = pinned.report.outcomes
    assert not longest.failure
    answered = pinned.started + longest.started + longest.seconds
    assert answered > terminations.deleted[pod] + DELAY_SECONDS, "the answer was too short"
    return terminations.gone[pod] - answered


@pytest.fixture(scope="module")
def second_tag() -> str:
    """Another tag of the server's image, on every node."""
    again = f"{images.VLLM}-again"
    for node in load_images.workers():
        cluster.in_node(node, "ctr", "--namespace=k8s.io", "images", "tag", "--force", images.VLLM, again)
    return again.rpartition(":")[2]


@pytest.mark.usefixtures("release")
def test_a_rolling_update_of_one_server_with_surge(
    change: Change, second_tag: str, terminations: PodTerminations, record: Record
) -> None:
    with under_load(_streams()) as load:
        change(image={"tag": second_tag})
    record("new image, 1 replica, surge", load.report)
    _nothing_lost(load.report, terminations)


def _scale(release: HelmRelease, replicas: int) -> None:
    """By Helm and not by kubectl, which would own the number from then on, and Helm be refused it."""
    release.helm("upgrade", release.name, CHART, "--reuse-values", "--set", f"replicas={replicas}")


@pytest.mark.parametrize("seconds", [1, 8, 20])
def test_a_pod_that_is_still_loading_is_gone_soon(
    release: HelmRelease, terminations: PodTerminations, record: Record, seconds: int
) -> None:
    serving = {pod["metadata"]["name"] for pod in release.pods()}
    _scale(release, 2)
    (name,) = release.await_running(2) - serving
    time.sleep(seconds)  # how far it has come is what is varied
    _scale(release, 1)  # takes the one that isn't ready
    release.settle()
    gone = terminations.gone[name] - terminations.deleted[name]
    record(f"deleted {seconds} s into its start", gone_after=f"{gone:.1f} s")
    assert terminations.exit_codes[name] != KILLED


def test_deleting_one_of_two_pods(
    change: Change, release: HelmRelease, terminations: PodTerminations, record: Record
) -> None:
    change(replicas=2)
    name = release.pods()[0]["metadata"]["name"]
    with under_load(_short_streams()) as load, _pinned(release, name) as pinned:
        release.kubectl("delete", "pod", name)
        release.settle()
    gone = _gone_after(name, pinned, terminations)
    record("one of two pods deleted", load.report, gone_after_the_last_request=f"{gone:.1f} s")
    _nothing_lost(load.report, terminations)


def test_a_rolling_update_of_two_servers_with_surge(
    change: Change, terminations: PodTerminations, record: Record
) -> None:
    change(replicas=2)
    with under_load(_streams()) as load:
        change(engine={"args": {"seed": 1}})
    record("new argument, 2 replicas, surge", load.report)
    _nothing_lost(load.report, terminations)


def test_a_rolling_update_of_two_servers_without_surge(
    change: Change, terminations: PodTerminations, record: Record
) -> None:
    change(replicas=2, strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}})
    with under_load(_streams()) as load:
        change(engine={"args": {"seed": 1}, "files": {"template.jinja": "another content"}})
    record("new file, 2 replicas, no surge", load.report)
    _nothing_lost(load.report, terminations)


def test_draining_a_node(change: Change, release: HelmRelease, terminations: PodTerminations, record: Record) -> None:
    if len(load_images.workers()) < 2:
        pytest.skip("the cluster has one worker: `make cluster-down`, and `make e2e` makes one with two")
    change(replicas=2, podDisruptionBudget={"enabled": True})
    pod = release.pods()[0]
    name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
    try:
        with under_load(_short_streams()) as load, _pinned(release, name) as pinned:
            selector = f"--pod-selector=app.kubernetes.io/instance={release.name}"
            cluster.kubectl("drain", node, "--delete-emptydir-data", "--timeout=300s", selector)
            release.settle()
    finally:
        cluster.kubectl("uncordon", node)
    gone = _gone_after(name, pinned, terminations)
    record("node drained, 2 replicas, PodDisruptionBudget", load.report, gone_after_the_last_request=f"{gone:.1f} s")
    _nothing_lost(load.report, terminations)


def test_scaling_down_from_two_to_one(
    change: Change, release: HelmRelease, terminations: PodTerminations, record: Record
) -> None:
    change(replicas=2)
    name = release.pods()[0]["metadata"]["name"]
    release.kubectl("annotate", "pod", name, "controller.kubernetes.io/pod-deletion-cost=-1")
    with under_load(_short_streams()) as load, _pinned(release, name) as pinned:
        change(replicas=1)
    gone = _gone_after(name, pinned, terminations)
    record("scaled down from 2 to 1", load.report, gone_after_the_last_request=f"{gone:.1f} s")
    _nothing_lost(load.report, terminations)
