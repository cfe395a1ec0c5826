"""Every value set is admitted by the real API server, and GPU sets are scheduled where GPUs are."""

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pytest_helm_charts.clusters import Cluster

from ci import cluster, load_images
from ci.common import ROOT
from ci.helm_release import HelmRelease
from scripts.value_sets import ValueSet
from vllm_chart.errors import CommandError
from vllm_chart.render import helm

#: Served by operators that this cluster doesn't have.
OPERATOR_GROUPS = {
    "monitoring.coreos.com",
    "keda.sh",
    "gateway.networking.k8s.io",
    "inference.networking.k8s.io",
    "leaderworkerset.x-k8s.io",
}
NAMESPACE = "vllm-admission"


@pytest.fixture(scope="module")
def namespace(kube_cluster: Cluster) -> Iterator[HelmRelease]:
    """A namespace that enforces "restricted", for objects that are admitted, and pods that may not find an image."""
    assert kube_cluster.kube_config_path == str(cluster.KUBECONFIG)
    release = HelmRelease("gpu", NAMESPACE)
    release.create_namespace()
    yield release
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _pod_templates(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The pods that a Deployment or a LeaderWorkerSet makes, and that of `helm test`."""
    if body["kind"] == "Pod":
        return [body]
    if body["kind"] == "LeaderWorkerSet":
        group = body["spec"]["leaderWorkerTemplate"]
        return [group["leaderTemplate"], group["workerTemplate"]]
    return [body["spec"]["template"]] if body["kind"] == "Deployment" else []


def test_the_api_server_admits_every_object(value_set: ValueSet, namespace: HelmRelease) -> None:
    served = {line.split("/")[0] for line in cluster.kubectl("api-versions").split()}
    objects: list[dict[str, Any]] = []
    templates: list[dict[str, Any]] = []
    for manifest in helm.render(value_set.path).objects:
        templates += _pod_templates(manifest.body)
        if manifest.kind == "Pod":
            continue
        group = manifest.body["apiVersion"].rpartition("/")[0]
        if group and group not in served:
            assert group in OPERATOR_GROUPS, f"{manifest.kind}: no group {group} on this cluster"
            continue
        body = json.loads(json.dumps(manifest.body))
        body["metadata"]["namespace"] = namespace.namespace
        objects.append(body)
    assert objects
    # a pod's admission warnings and refusals come with the pod itself, so submit that, too
    for number, template in enumerate(templates):
        meta = {"name": f"p{number}", **template["metadata"], "namespace": namespace.namespace}
        # nobody has made the account and the classes, and without them a pod is refused before more is looked at
        made = {"serviceAccountName", "priorityClassName", "runtimeClassName"}
        spec = {key: value for key, value in template["spec"].items() if key not in made}
        objects.append({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    command = ["kubectl", f"--kubeconfig={cluster.KUBECONFIG}", "apply", "--server-side", "--dry-run=server"]
    done = subprocess.run(
        [*command, f"--namespace={namespace.namespace}", "--filename=-"],
        input=yaml.safe_dump_all(objects),
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in done.stderr.splitlines() if line.strip()]
    assert not errors, "\n".join(errors)


def test_a_monitor_that_the_cluster_does_not_know_is_refused_before_anything_is_made(namespace: HelmRelease) -> None:
    assert "monitoring.coreos.com/v1" not in cluster.kubectl("api-versions").split()
    release = HelmRelease("monitored", namespace.namespace)
    with pytest.raises(CommandError) as failure:
        release.install([], {"metrics": {"serviceMonitor": {"enabled": True}}})
    refusal = (
        "metrics.serviceMonitor.enabled is true, but the cluster has no monitoring.coreos.com/v1: install the"
        " Prometheus Operator, or set metrics.serviceMonitor.enabled to false. [check missingApi]"
    )
    assert refusal in failure.value.output
    states = ["--deployed", "--failed", "--pending"]
    assert not json.loads(release.helm("list", *states, "--filter", f"^{release.name}$", "--output=json"))
    kinds = "deployments,services,serviceaccounts,configmaps,poddisruptionbudgets"
    assert not release.kubectl("get", kinds, f"--selector=app.kubernetes.io/instance={release.name}", "--output=name")


@pytest.fixture
def gpus(kube_cluster: Cluster) -> Iterator[int]:
    """Two GPUs on a worker that has none, as a device plugin would report them."""
    assert kube_cluster.kube_config_path == str(cluster.KUBECONFIG)
    (node, *_) = load_images.workers()
    count = 2

    def report(value: str | None) -> None:
        status = {part: {"nvidia.com/gpu": value} for part in ("capacity", "allocatable")}
        patch = json.dumps({"status": status})
        cluster.kubectl("patch", "node", node, "--subresource=status", "--type=merge", f"--patch={patch}")

    report(str(count))
    yield count
    report(None)


@pytest.mark.parametrize(("values", "devices"), [("single-gpu", 1), ("multi-gpu", 2)])
def test_a_gpu_set_is_scheduled_where_its_gpus_are_free_and_not_elsewhere(
    values: str, devices: int, gpus: int, namespace: HelmRelease
) -> None:
    # this machine's cores and memory are fewer than a GPU node's; the GPUs are what is looked at
    small = {"resources": {kind: {"cpu": "10m", "memory": "256Mi"} for kind in ("requests", "limits")}}
    replicas = gpus // devices + 1
    namespace.uninstall()
    namespace.install(
        [ROOT / "values" / f"{values}.yaml"],
        small | {"replicas": replicas, "checks": {"disabled": {"hostMemory": True}}},
    )
    try:
        decisions = _decisions(namespace, replicas)
        assert decisions.count("scheduled") == gpus // devices
        assert ["Insufficient nvidia.com/gpu" in d for d in decisions if d != "scheduled"] == [True]
    finally:
        namespace.uninstall()


def _decisions(release: HelmRelease, replicas: int) -> list[str]:
    """For each pod `scheduled`, or the scheduler's reason; waits up to a minute for all."""
    deadline = time.monotonic() + 60
    while True:
        conditions = [
            condition
            for pod in release.pods()
            for condition in pod["status"].get("conditions", [])
            if condition["type"] == "PodScheduled"
        ]
        if len(conditions) == replicas:
            return ["scheduled" if c["status"] == "True" else c["message"] for c in conditions]
        assert time.monotonic() < deadline, f"the scheduler has decided about {len(conditions)} of {replicas} pods"
        time.sleep(0.5)
