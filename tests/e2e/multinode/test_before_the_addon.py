"""A cluster without LeaderWorkerSet: the chart says what to install. By its name this runs before what installs it."""

import json
from collections.abc import Callable

import pytest

from ci import cluster
from ci.helm_release import HelmRelease
from tests.e2e.multinode.groups import NODES
from vllm_chart.chart import CHART
from vllm_chart.errors import CommandError


def test_a_cluster_without_leaderworkerset_is_told_what_to_install(new_release: Callable[..., HelmRelease]) -> None:
    if "leaderworkersets" in cluster.kubectl("api-resources", "--output=name"):
        pytest.skip("LeaderWorkerSet is on this cluster already")
    release = new_release("early")
    values = json.dumps({"parallelism": {"nodes": NODES, "tensor": NODES}})
    with pytest.raises(CommandError) as refusal:
        release.helm("upgrade", "--install", release.name, CHART, "--dry-run=server", "--values=-", stdin=values)
    said = " ".join(refusal.value.output.split())
    assert "[check leaderWorkerSet]" in said
    assert "kubectl apply --server-side -f https://github.com/kubernetes-sigs/lws/releases/download/v" in said
