"""A server of several nodes is one LeaderWorkerSet, whose leaders alone are reached, and whose pods find each other."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_chart.render import helm
from vllm_chart.render.helm import Values
from vllm_chart.render.objects import Objects, Pod, pods

GROUP: dict[str, Any] = {"parallelism": {"nodes": 2, "tensor": 2}}
LEADER = {"leaderworkerset.sigs.k8s.io/worker-index": "0"}
NAME = {"app.kubernetes.io/name": "vllm", "app.kubernetes.io/instance": "test"}


def group(*values: Values, **more: Any) -> Objects:
    """The objects of a release with two nodes."""
    return helm.render(*values, {**GROUP, **more}).objects


def members(*values: Values, **more: Any) -> tuple[Pod, Pod]:
    """The leader and the worker of its group."""
    leader, worker = pods(group(*values, **more).one("LeaderWorkerSet"))
    return leader, worker


def server(pod: Pod) -> dict[str, Any]:
    """The container in which vLLM runs."""
    (found,) = [container.body for container in pod.containers() if container.body["name"] == "vllm"]
    return found


def test_one_node_is_a_deployment_and_several_are_a_leader_worker_set() -> None:
    for parallelism in ({}, {"tensor": 2, "pipeline": 2, "data": 2}):
        assert {item.kind for item in helm.render({"parallelism": parallelism}).objects.servers()} == {"Deployment"}
    found = group(replicas=3).one("LeaderWorkerSet")
    assert {item.kind for item in group().servers()} == {"LeaderWorkerSet"}
    assert found.at("spec", "replicas") == 3
    assert found.at("spec", "leaderWorkerTemplate", "size") == 2
    assert found.at("spec", "leaderWorkerTemplate", "restartPolicy") == "RecreateGroupOnPodRestart"
    # its own headless Service for each group: the one of the whole set would be called like the chart's Service
    assert found.at("spec", "networkConfig") == {"subdomainPolicy": "UniquePerReplica"}


def test_leader_and_workers_know_their_places() -> None:
    leader, worker = (server(pod) for pod in members(parallelism={"nodes": 2, "tensor": 4, "pipeline": 2}))
    places = {
        "--nnodes=2": 2,
        "--tensor-parallel-size=4": 2,
        "--pipeline-parallel-size=2": 2,
        "--master-port=29501": 2,
        "--node-rank=0": 0,
        "--master-addr=$(VLLM_HOST_IP)": 0,
        "--node-rank=$(LWS_WORKER_INDEX)": 1,
        "--master-addr=$(LWS_LEADER_ADDRESS)": 1,
        "--headless": 1,
    }
    for argument, where in places.items():
        assert [argument in leader["args"], argument in worker["args"]] == [where in (0, 2), where in (1, 2)], argument
    for body in (leader, worker):
        assert body["command"][:2] == ["python3", "-I"]
        assert body["command"][3:] == ["mp", "600", "29502"]
        assert body["resources"]["limits"]["nvidia.com/gpu"] == 4
        host = [item for item in body["env"] if item["name"] == "VLLM_HOST_IP"]
        assert host[0]["valueFrom"]["fieldRef"]["fieldPath"] == "status.podIP"


def test_the_program_that_gathers_a_group_is_mounted_where_it_is_started() -> None:
    for pod in members():
        path = server(pod)["command"][2]
        folder, _, name = path.rpartition("/")
        assert folder in {mount["mountPath"] for mount in server(pod)["volumeMounts"]}
        assert name in group().one("ConfigMap", "test-lifecycle").at("data")
    assert "vllm_group.py" not in helm.render({}).objects.one("ConfigMap", "test-lifecycle").at("data")


def test_ray_starts_vllm_in_the_leader_alone() -> None:
    leader, worker = (server(pod) for pod in members(distributed={"backend": "ray", "joinTimeoutSeconds": 90}))
    assert "--distributed-executor-backend=ray" in leader["args"]
    for body in (leader, worker):
        assert body["command"][3:] == ["ray", "90", "6379"]
        assert not [argument for argument in body["args"] if "nnodes" in argument or "headless" in argument]
    assert {"name": "members", "containerPort": 6379, "protocol": "TCP"} in leader["ports"]


def test_devices_threads_and_shared_memory_are_those_of_one_pod() -> None:
    sizes = {"nodes": 4, "tensor": 8, "pipeline": 2}
    leader, worker = members(parallelism=sizes)
    for pod in (leader, worker):
        assert server(pod)["resources"]["limits"]["nvidia.com/gpu"] == 4
        (shared,) = [volume for volume in pod.spec["volumes"] if volume["name"] == "shm"]
        assert shared["emptyDir"]["sizeLimit"] == "4Gi"
    cpu = members(parallelism=sizes, accelerator={"type": "cpu"}, resources={"requests": {"cpu": 9}})
    for pod in cpu:
        assert {"name": "OMP_NUM_THREADS", "value": "2"} in server(pod)["env"]


def test_a_worker_has_nothing_of_an_api_server() -> None:
    keys = {name: {"existingSecret": name, "key": "key"} for name in ("one", "two")}
    settings: dict[str, Any] = {
        "server": {"apiKey": {"keys": keys}, "tls": {"existingSecret": "tls"}},
        "engine": {"args": {"api-server-count": 2, "enforce-eager": True}},
        "metrics": {"scrapeAnnotations": {"enabled": True}},
    }
    leader, worker = members(**settings)
    assert "--api-server-count=2" in server(leader)["args"]
    assert "--enforce-eager" in server(worker)["args"]
    text = str(worker.spec)
    for word in ("api-server-count", "ssl-", "api-keys", "'tls'", "server.yaml", "Probe", "'ports'"):
        assert word not in text
        assert word in str(leader.spec)
    template = ("spec", "leaderWorkerTemplate")
    found = group(**settings).one("LeaderWorkerSet")
    assert "prometheus.io/scrape" in found.at(*template, "leaderTemplate", "metadata", "annotations")
    assert "prometheus.io/scrape" not in found.at(*template, "workerTemplate", "metadata", "annotations")


def test_everything_that_looks_for_servers_finds_leaders_alone() -> None:
    found = group(
        networkPolicy={"enabled": True},
        metrics={"podMonitor": {"enabled": True}},
        inferencePool={"enabled": True, "endpointPicker": {"name": "picker"}},
    )
    assert found.one("Service").at("spec", "selector") == NAME | LEADER
    assert found.one("PodMonitor").at("spec", "selector", "matchLabels") == NAME | LEADER
    assert found.one("InferencePool").at("spec", "selector", "matchLabels") == NAME | LEADER
    assert found.one("NetworkPolicy", "test").at("spec", "podSelector", "matchLabels") == NAME | LEADER


@pytest.mark.parametrize(("given", "expected"), [(0, 0), (1, 1), (2, 3), (3, 5), ("50%", "50%")])
def test_a_budget_of_servers_is_one_of_pods_of_which_each_takes_its_group_along(given: Any, expected: Any) -> None:
    budget = {"podDisruptionBudget": {"enabled": True, "maxUnavailable": given}}
    found = group(**budget).one("PodDisruptionBudget")
    assert found.at("spec", "maxUnavailable") == expected
    # every pod counts, so that while a group is gone no pod of another may go
    assert found.at("spec", "selector", "matchLabels") == NAME
    assert helm.render(budget).objects.one("PodDisruptionBudget").at("spec", "maxUnavailable") == given


@pytest.mark.parametrize(
    ("name", "kind"), [("hpa", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")], ids=["hpa", "keda"]
)
def test_an_autoscaler_scales_groups(name: str, kind: str) -> None:
    scaler = {"enabled": True, **({"serverAddress": "http://p:9090"} if name == "keda" else {})}
    found = group(autoscaling={name: scaler})
    target = {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet", "name": "test"}
    assert found.one(kind).at("spec", "scaleTargetRef") == target
    assert found.one("LeaderWorkerSet").lacks("spec", "replicas")


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({}, {"maxSurge": 0, "maxUnavailable": 1}),
        ({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}, {"maxSurge": 1, "maxUnavailable": 0}),
    ],
)
def test_groups_are_replaced_one_after_the_other(strategy: dict[str, Any], expected: dict[str, int]) -> None:
    found = group(strategy=strategy, replicas=2).one("LeaderWorkerSet")
    assert found.at("spec", "rolloutStrategy") == {"type": "RollingUpdate", "rollingUpdateConfiguration": expected}


def test_a_group_has_a_rack_of_its_own_where_it_is_told_which_label_says_so() -> None:
    key = "leaderworkerset.sigs.k8s.io/exclusive-topology"
    found = group(distributed={"exclusiveTopology": "topology.kubernetes.io/rack"}).one("LeaderWorkerSet")
    assert found.at("metadata", "annotations", key) == "topology.kubernetes.io/rack"
    assert group().one("LeaderWorkerSet").lacks("metadata", "annotations", key)


def test_leader_and_workers_have_overlays_of_their_own_over_the_common_one() -> None:
    leader, worker = members(
        podSpec={"priorityClassName": "all", "schedulerName": "all"},
        distributed={"leaderPodSpec": {"priorityClassName": "leader"}, "workerPodSpec": {"hostNetwork": True}},
    )
    assert (leader.spec["priorityClassName"], leader.spec["schedulerName"]) == ("leader", "all")
    assert (worker.spec["priorityClassName"], worker.spec["schedulerName"]) == ("all", "all")
    assert "hostNetwork" not in leader.spec
    assert worker.spec["hostNetwork"] is True


def test_fractions_of_a_core_are_texts_as_the_definition_of_a_group_takes_no_others() -> None:
    getter = {"resources": {"limits": {"cpu": 0.5, "memory": "1Gi"}}}
    found = members(
        resources={"limits": {"cpu": 2.5, "memory": "64Gi"}, "requests": {"cpu": 2}},
        distributed={"workerPodSpec": {"containers": [{"name": "vllm", "resources": {"requests": {"cpu": 1.5}}}]}},
        initContainers={"get": {"image": "a:1", **getter}},
    )
    for pod, requested in zip(found, (2, "1.5"), strict=True):
        resources = server(pod)["resources"]
        assert resources["limits"] == {"cpu": "2.5", "memory": "64Gi", "nvidia.com/gpu": 1}
        assert resources["requests"] == {"cpu": requested}
        (get,) = [container.body for container in pod.containers() if container.body["name"] == "get"]
        assert get["resources"] == {"limits": {"cpu": "0.5", "memory": "1Gi"}}


def test_the_time_to_start_includes_that_for_gathering() -> None:
    leader, _ = members(startup={"timeoutSeconds": 300}, distributed={"joinTimeoutSeconds": 100})
    probe = server(leader)["startupProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] == 400


def test_a_stopping_leader_knows_its_workers_and_a_worker_its_leader() -> None:
    leader, worker = (server(pod)["lifecycle"]["preStop"]["exec"]["command"] for pod in members())
    alone = ["--port=8000", "--delay=15", "--timeout=120"]
    assert leader[4:] == [*alone, "--members-port=29501", "--workers=1"]
    assert worker[4:] == [*alone, "--members-port=29501"]
    single = helm.render({}).objects.one("Deployment").at("spec", "template", "spec", "containers", "vllm")
    assert single["lifecycle"]["preStop"]["exec"]["command"][4:] == alone


def test_names_of_pods_are_short_enough_to_be_labels() -> None:
    long = "release" + "-name" * 9 + "s"
    objects = helm.render(GROUP, release=long).objects
    (found,) = objects.servers()
    assert len(found.name) == 48
    assert objects.one("Service").name == long
    other = helm.render(GROUP, release=f"{long[:-1]}t").objects
    assert found.name not in {item.name for item in other.servers()}


def test_queries_see_leaders_and_workers_and_the_leaders_are_counted() -> None:
    rules = group(metrics={"rules": {"enabled": True}}).one("PrometheusRule")
    text = str(rules.at("spec"))
    assert 'pod=~"test-[0-9]+(-[0-9]+)?"' in text
    for metric in ("status_replicas_ready", "replicas", "created"):
        assert f'kube_statefulset_{metric}{{namespace="models",statefulset="test"}}' in text
    assert "kube_deployment" not in text


def test_the_notes_speak_of_groups() -> None:
    text = helm.notes({**GROUP, "replicas": 2})
    assert "by 2 \u00d7 2 pods of docker.io" in text
    assert "1 \u00d7 nvidia.com/gpu for each pod (tensor 2 \u00d7 pipeline 1 \u00d7 data 1 / nodes 2)" in text
    assert "count groups of 2 pods with 2 \u00d7 nvidia.com/gpu" in text
    assert "wait leaderworkerset/test --for condition=Available" in text
    assert "rollout status" not in text
    assert "and nothing answers for as long as one takes" not in text
    assert "and nothing answers for as long as one takes" in helm.notes(GROUP)
    # a surge cannot help a single group, so the notes suggest it for a Deployment only
    assert "maxSurge to 1 and maxUnavailable to 0" not in helm.notes(GROUP)
    assert "maxSurge to 1 and maxUnavailable to 0" in helm.notes({})


def test_the_notes_say_what_an_autoscaler_may_make_of_groups() -> None:
    for scaler in ({"hpa": {"enabled": True}}, {"keda": {"enabled": True, "serverAddress": "http://prometheus:9090"}}):
        (kind,) = scaler
        scaler[kind]["maxReplicas"] = 4
        text = helm.notes({**GROUP, "parallelism": {"nodes": 2, "tensor": 8, "pipeline": 2}, "autoscaling": scaler})
        assert "16 \u00d7 nvidia.com/gpu: up to 4 servers of 2 pods, 64 \u00d7 nvidia.com/gpu\n" in text
    assert "servers of" not in helm.notes(GROUP)
