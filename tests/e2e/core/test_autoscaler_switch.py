"""Switching an autoscaler on or off never resets the number of servers, whichever Helm upgrades the release.

The pods fit no node and stay Pending: all that counts is the Deployment's number of replicas.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_helm_charts.clusters import Cluster

from ci import cluster, tools
from ci.helm_release import HelmRelease
from vllm_chart.chart import CHART
from vllm_chart.errors import CommandError

VALUES: dict[str, Any] = {"accelerator": {"type": "cpu"}, "nodeSelector": {"example.com/no-such-node": "true"}}


def hpa(minimum: int) -> dict[str, Any]:
    """Values that switch an autoscaler on; its metric is served by nobody, so that it only ever keeps the minimum."""
    return {"autoscaling": {"hpa": {"enabled": True, "minReplicas": minimum, "maxReplicas": 9}}}


@pytest.fixture(params=["in use", "oldest"])
def pending(request: pytest.FixtureRequest, kube_cluster: Cluster) -> Iterator[HelmRelease]:
    """A release of the Helm in use or of the oldest one, not yet installed."""
    assert kube_cluster.kube_config_path == str(cluster.KUBECONFIG)
    program = tools.find("helm") if request.param == "in use" else tools.oldest_helm(install=True)
    release = HelmRelease("switch", "vllm-switch", str(program))
    release.create_namespace()
    release.uninstall()
    yield release
    release.uninstall()
    cluster.kubectl("delete", "namespace", release.namespace)  # waits, as the next test makes it again


def replicas(release: HelmRelease) -> int:
    """The number that the Deployment asks for."""
    return int(release.kubectl("get", f"deployment/{release.name}", "--output=jsonpath={.spec.replicas}"))


def upgrade(release: HelmRelease, **values: Any) -> int:
    """The number of replicas right after an installation or upgrade with these values."""
    release.install([], {**VALUES, **values})
    return replicas(release)


def wait_for(release: HelmRelease, count: int) -> None:
    """Return when the autoscaler has made the number that; it looks every 15 s."""
    deadline = time.monotonic() + 90
    while (found := replicas(release)) != count:
        assert time.monotonic() < deadline, f"{found} replicas after 90 s, not {count}"
        time.sleep(0.5)


def test_the_running_count_is_kept_when_an_autoscaler_comes_and_goes(pending: HelmRelease) -> None:
    assert upgrade(pending, replicas=2) == 2
    assert upgrade(pending, replicas=2, **hpa(1)) == 2
    # the number is gone from the values, not from the manifest that Helm compares with
    assert upgrade(pending, replicas=2, podLabels={"upgrade": "again"}, **hpa(1)) == 2
    upgrade(pending, replicas=2, **hpa(4))
    wait_for(pending, 4)
    assert upgrade(pending, replicas=2, podLabels={"upgrade": "again"}, **hpa(4)) == 4
    assert upgrade(pending, replicas=2) == 4
    # now the values decide again; a server-side apply must be told to take the number from the autoscaler's controller
    force = [flag for flag in ("--force-conflicts",) if flag in pending.helm("upgrade", "--help")]
    if force:
        with pytest.raises(CommandError, match=r"conflict with \\?\"kube-controller-manager"):
            upgrade(pending, replicas=1)
    pending.helm("upgrade", pending.name, CHART, "--values=-", *force, stdin=json.dumps({**VALUES, "replicas": 1}))
    assert replicas(pending) == 1


def test_a_release_that_began_with_an_autoscaler_keeps_its_count(pending: HelmRelease) -> None:
    upgrade(pending, **hpa(3))
    wait_for(pending, 3)
    assert upgrade(pending, podLabels={"upgrade": "again"}, **hpa(3)) == 3
    assert upgrade(pending, replicas=1) == 3
    assert upgrade(pending, replicas=1, podLabels={"upgrade": "again"}) == 1
