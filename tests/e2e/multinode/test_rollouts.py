"""Two servers of two nodes each are updated, and a node of one is drained, under streaming load."""

from collections.abc import Callable
from typing import Any

import pytest
from e2e.conftest import FILES
from e2e.multinode.groups import await_groups, group_values, identities, workers

from scripts import addons, cluster, preload
from scripts.demo import MODEL
from scripts.load import Load, Report, Stream, under_load
from scripts.release import NODE_PORT_VALUES, Release, base_url

#: Short answers with pauses: four pods share two cores.
STREAMS = [Stream("new", max_tokens=8, pause=3), Stream("reused", max_tokens=8, pause=3)]
Record = Callable[..., None]
Change = Callable[..., None]


@pytest.fixture(scope="module")
def release(new_release: Callable[..., Release]) -> Release:
    """A name; `change` installs it."""
    addons.leader_worker_set()
    return new_release("groups")


@pytest.fixture(scope="module")
def change(release: Release) -> Change:
    """Changes values of two groups behind the port on 127.0.0.1, and returns when every pod that was there is gone."""
    given = group_values(preload.even_model()) | NODE_PORT_VALUES | {"replicas": 2}

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


def test_an_update_of_two_groups_loses_nothing(change: Change, record: Record) -> None:
    change()
    with under_load(Load(base_url(), MODEL, STREAMS)) as load:
        change(podAnnotations={"example.com/round": "1"})
    record("rolling update, 2 groups of 2 pods", load.report)
    _nothing_lost(load.report)


def test_a_drained_node_takes_one_group_after_the_other(change: Change, release: Release, record: Record) -> None:
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
