"""What the tests of servers on several nodes share."""

from collections.abc import Iterator

import pytest
from pytest_helm_charts.clusters import Cluster

from ci.helm_release import HelmRelease
from tests.e2e.multinode.groups import GroupPods


@pytest.fixture
def group_pods(kube_cluster: Cluster, release: HelmRelease) -> Iterator[GroupPods]:
    """When pods come and go while the test runs."""
    with GroupPods(kube_cluster.kube_config_path, release) as watching:
        yield watching
