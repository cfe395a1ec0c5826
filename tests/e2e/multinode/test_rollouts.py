"""Two servers of two nodes each are updated, drained and scaled down under streaming load; an autoscaler finds them."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from ci import cluster, load_images
from ci.addons import install as addons
from ci.demo import MODEL
from ci.helm_release import NODE_PORT_VALUES, HelmRelease, base_url
from tests.e2e.conftest import FILES
from tests.e2e.load import Load, Report, Stream, under_load
from tests.e2e.multinode.groups import GroupPods, await_groups, group_values, identities, workers

#: Short answers with pauses: four pods share two cores.
STREAMS = [Stream("new", max_tokens=8, pause=3), Stream("reused", max_tokens=8, pause=3)]
#: An answer that takes longer than the drain's delay of 8 s, at about two words a second.
LONG = Stream("new", max_tokens=40, pause=1)
Record = Callable[..., None]
Change = Callable[..., None]


@pytest.fixture(scope="module")
def release(new_release: Callable[..., HelmRelease]) -> HelmRelease:
    """A name; `change` installs it."""
    addons.leader_worker_set()
    return new_release("groups")


@pytest.fixture(scope="module")
def given(release: HelmRelease) -> dict[str, Any]:  # noqa: ARG001 (the add-on must be there first)
    """Values of two groups behind the port on 127.0.0.1, as they were changed last."""
    return group_values(load_images.even_model()) | NODE_PORT_VALUES | {"replicas": 2}


@pytest.fixture(scope="module")
def change(release: HelmRelease, given: dict[str, Any]) -> Change:
    """Changes values, and returns when every pod that was there is gone."""

    def apply(**changes: Any) -> None:
        before = identities(release)
        given.update(changes)
        release.install(FILES, given)
        await_groups(release, 2, without=before)

    return apply


def _nothing_lost(report: Report) -> None:
    assert report.requests("new")
    assert report.requests("reused")
    assert not report.failures()


def test_an_update_of_two_groups_loses_nothing(change: Change, group_pods: GroupPods, record: Record) -> None:
    change()
    with under_load(Load(base_url(), MODEL, [*STREAMS, LONG])) as load:
        change(podAnnotations={"example.com/round": "1"})
    longest = max(outcome.seconds for outcome in load.report.outcomes)
    record(
        "rolling update, 2 groups of 2 pods", load.report, longest_answer=f"{longest:.0f} s", pods=group_pods.timeline()
    )
    _nothing_lost(load.report)
    assert longest > 8
    group_pods.assert_leaders_went_first()


def test_a_drained_node_takes_one_group_after_the_other(change: Change, release: HelmRelease, record: Record) -> None:
    change(podDisruptionBudget={"enabled": True}, topologySpreadConstraints=[], podAnnotations={})
    node = workers(release)[0]["spec"]["nodeName"]
    before = identities(release)
    here = [pod for pod in release.pods() if pod["spec"]["nodeName"] == node]
    try:
        with under_load(Load(base_url(), MODEL, STREAMS)) as load:
            selector = f"--pod-selector=app.kubernetes.io/instance={release.name}"
            cluster.kubectl("drain", node, "--delete-emptydir-data", "--timeout=900s", selector)
            await_groups(release, 2, without={pod["metadata"]["uid"] for pod in here})
    finally:
        cluster.kubectl("uncordon", node)
    record("node drained, 2 groups of 2 pods, PodDisruptionBudget", load.report)
    assert identities(release) != before
    _nothing_lost(load.report)


def test_a_scale_down_loses_nothing_and_an_autoscaler_scales_groups(
    change: Change, given: dict[str, Any], release: HelmRelease, group_pods: GroupPods, record: Record
) -> None:
    if not release.pods():
        change()
    with under_load(Load(base_url(), MODEL, STREAMS)) as load:
        release.kubectl("scale", "leaderworkerset", release.name, "--replicas=1")
        await_groups(release, 1)
    record("scaled down by kubectl scale, 2 groups of 2 pods to 1", load.report, pods=group_pods.timeline())
    _nothing_lost(load.report)
    group_pods.assert_leaders_went_first()
    release.install(FILES, given | {"autoscaling": {"hpa": {"enabled": True, "minReplicas": 1, "maxReplicas": 2}}})
    status = _judged(release)
    able = next(item for item in status["conditions"] if item["type"] == "AbleToScale")
    record("HorizontalPodAutoscaler of a LeaderWorkerSet", able_to_scale=able["status"], reason=able["reason"])
    assert able["status"] == "True"
    assert status["currentReplicas"] == 1


def _judged(release: HelmRelease) -> dict[str, Any]:
    """The status of the release's HorizontalPodAutoscaler as soon as it has one."""
    deadline = time.monotonic() + 120
    while True:
        found = json.loads(release.kubectl("get", "horizontalpodautoscaler", release.name, "--output=json"))
        if found.get("status", {}).get("conditions"):
            return dict(found["status"])
        assert time.monotonic() < deadline, "the autoscaler has no conditions in 2 minutes"
        time.sleep(1)
