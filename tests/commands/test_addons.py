"""What stands in for a part of a cluster's monitoring does as that part would."""

from __future__ import annotations

from typing import Any

import pytest

from ci.addons import kube_state
from ci.addons.install import discovered_by_http
from vllm_chart.errors import UserError
from vllm_chart.render import go_yaml, helm

POD: dict[str, Any] = {
    "metadata": {
        "namespace": "models",
        "name": "test-7d9c-abcde",
        "uid": "1",
        "labels": {"app.kubernetes.io/name": "vllm", "app.kubernetes.io/instance": "test"},
        "annotations": {"example.com/a-b": "c"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "test-7d9c", "controller": True}],
    },
    "spec": {
        "nodeName": "worker",
        "initContainers": [{"name": "fetch", "image": "i"}],
        "containers": [
            {"name": "vllm", "image": "v", "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}]}
        ],
    },
    "status": {
        "phase": "Running",
        "podIP": "10.0.0.7",
        "hostIP": "10.1.0.1",
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}


def _discovered(pod: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Labels without the common part of their names, by address."""
    prefix = "__meta_kubernetes_"
    return {
        address: {name.removeprefix(prefix): text for name, text in group["labels"].items()}
        for group in kube_state.targets(pod)
        for address in group["targets"]
    }


def test_a_pods_ports_are_targets_with_the_labels_that_prometheus_gives() -> None:
    found = _discovered(POD)
    assert found["10.0.0.7:8000"] == {
        "namespace": "models",
        "pod_name": "test-7d9c-abcde",
        "pod_uid": "1",
        "pod_ip": "10.0.0.7",
        "pod_host_ip": "10.1.0.1",
        "pod_node_name": "worker",
        "pod_phase": "Running",
        "pod_ready": "true",
        "pod_label_app_kubernetes_io_name": "vllm",
        "pod_labelpresent_app_kubernetes_io_name": "true",
        "pod_label_app_kubernetes_io_instance": "test",
        "pod_labelpresent_app_kubernetes_io_instance": "true",
        "pod_annotation_example_com_a_b": "c",
        "pod_annotationpresent_example_com_a_b": "true",
        "pod_controller_kind": "ReplicaSet",
        "pod_controller_name": "test-7d9c",
        "pod_container_name": "vllm",
        "pod_container_image": "v",
        "pod_container_init": "false",
        "pod_container_port_name": "http",
        "pod_container_port_number": "8000",
        "pod_container_port_protocol": "TCP",
    }


def test_a_container_without_ports_is_a_target_without_a_port() -> None:
    found = _discovered(POD)["10.0.0.7"]
    assert found["pod_container_name"] == "fetch"
    assert found["pod_container_init"] == "true"
    assert not [name for name in found if "port" in name]


def test_a_pod_without_an_address_is_no_target() -> None:
    pending = {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]}
    assert not _discovered(POD | {"status": pending})


def test_the_charts_own_job_changes_only_who_finds_the_pods() -> None:
    values = {"metrics": {"scrapeConfig": {"enabled": True}}}
    text = helm.render(values).objects.one("ConfigMap", "test-scrape-config").at("data", "test.yaml")
    (job,) = go_yaml.load(text)["scrape_configs"]
    changed = discovered_by_http(job)
    assert [d["url"] for d in changed.pop("http_sd_configs")] == [
        "http://kube-state.monitoring:8080/targets?namespace=models"
    ]
    del job["kubernetes_sd_configs"]
    assert changed == job
    read = {label for rule in job["relabel_configs"] for label in rule["source_labels"]}
    (given,) = [group["labels"] for group in kube_state.targets(POD) if group["targets"] == ["10.0.0.7:8000"]]
    assert read <= given.keys()


@pytest.mark.parametrize(
    "discovery", [{"role": "node"}, {"role": "pod", "namespaces": {"names": ["a"]}, "selectors": [{"role": "pod"}]}]
)
def test_a_discovery_that_the_stand_in_cannot_do_is_refused(discovery: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="can't discover as job a/b wants"):
        discovered_by_http({"job_name": "a/b", "kubernetes_sd_configs": [discovery]})
