"""What podSpec makes of the pod: how it is laid over the rendered one, and the checks that look at what comes out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lib.pod_paths import POD, SERVER
from vllm_chart.render import helm
from vllm_chart.render.objects import Manifest


def deployment(pod_spec: dict[str, Any], **values: Any) -> Manifest:
    """The Deployment with that podSpec and other values."""
    return helm.render({"podSpec": pod_spec, **values}).objects.one("Deployment")


def server(**fields: Any) -> dict[str, Any]:
    """A podSpec that changes fields of the server's container."""
    return {"containers": [{"name": "vllm", **fields}]}


def test_an_empty_pod_spec_changes_nothing() -> None:
    before = helm.render({}).text
    assert helm.render({"podSpec": {"containers": [{"name": "vllm"}]}}).text == before
    assert helm.render({"podSpec": {"securityContext": {}}}).text == before
    assert helm.render({"podSpec": None}).text == before


def test_maps_are_merged_at_every_depth() -> None:
    context = deployment({"securityContext": {"runAsUser": 3000, "seLinuxOptions": {"level": "s0"}}})
    found = context.at(*POD, "securityContext")
    assert found["runAsUser"] == 3000
    assert found["seLinuxOptions"] == {"level": "s0"}
    assert found["runAsNonRoot"] is True


def test_null_removes_and_false_and_zero_count() -> None:
    manifest = deployment(
        {
            "serviceAccountName": None,
            "hostname": None,
            "enableServiceLinks": False,
            "priority": 0,
            "dnsConfig": {"nameservers": ["10.0.0.10"], "searches": None},
            **server(startupProbe=None, livenessProbe={"initialDelaySeconds": 0}, stdin=False),
        }
    )
    assert manifest.lacks(*POD, "serviceAccountName")
    assert manifest.lacks(*POD, "hostname")
    assert manifest.at(*POD, "enableServiceLinks") is False
    assert manifest.at(*POD, "priority") == 0
    assert manifest.at(*POD, "dnsConfig") == {"nameservers": ["10.0.0.10"]}
    assert manifest.lacks(*SERVER, "startupProbe")
    assert manifest.at(*SERVER, "livenessProbe", "initialDelaySeconds") == 0
    assert manifest.at(*SERVER, "livenessProbe", "httpGet", "path") == "/health"
    assert manifest.at(*SERVER, "stdin") is False


def test_containers_are_merged_by_name_and_new_ones_added() -> None:
    side = {"name": "proxy", "image": "proxy:1", "env": [{"name": "A", "value": None}]}
    manifest = deployment({"containers": [side, {"name": "vllm", "tty": True}]})
    assert [item["name"] for item in manifest.at(*POD, "containers")] == ["vllm", "proxy"]
    assert manifest.at(*SERVER, "tty") is True
    assert manifest.at(*SERVER, "image").startswith("docker.io/vllm/")
    assert manifest.at(*POD, "containers", "proxy") == {**side, "env": [{"name": "A"}]}


def test_a_variable_is_replaced_whole() -> None:
    pod_name = {"fieldRef": {"fieldPath": "metadata.name"}}
    env = [{"name": "HOME", "valueFrom": pod_name}, {"name": "VLLM_HOST_IP", "value": "::1"}, {"name": "X"}]
    found = {item["name"]: item for item in deployment(server(env=env)).at(*SERVER, "env")}
    assert found["HOME"] == {"name": "HOME", "valueFrom": pod_name}
    assert found["VLLM_HOST_IP"] == {"name": "VLLM_HOST_IP", "value": "::1"}
    assert found["X"] == {"name": "X"}
    assert found["USER"]["value"] == "vllm"


@pytest.mark.parametrize(
    ("name", "values", "overlay", "expected"),
    [
        (
            "imagePullSecrets",
            {"imagePullSecrets": [{"name": "a"}]},
            [{"name": "a"}, {"name": "b"}],
            [{"name": "a"}, {"name": "b"}],
        ),
        (
            "initContainers",
            {"initContainers": {"a": {"image": "a:1", "securityContext": {}}}},
            [{"name": "a", "tty": True}, {"name": "b", "image": "b:1"}],
            [
                {
                    "name": "a",
                    "image": "a:1",
                    "tty": True,
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                    },
                },
                {"name": "b", "image": "b:1"},
            ],
        ),
        (
            "tolerations",
            {"tolerations": [{"key": "a", "operator": "Exists"}]},
            [{"key": "a", "operator": "Exists", "effect": None}],
            [{"key": "a", "operator": "Exists"}] * 2,
        ),
        (
            "topologySpreadConstraints",
            {"topologySpreadConstraints": [{"topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1}]},
            [
                {"topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 2},
                {"topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 3},
            ],
            [
                {"topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 2},
                {"topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 3},
            ],
        ),
        (
            "hostAliases",
            {},
            [{"ip": "10.0.0.1", "hostnames": ["a"]}, {"ip": "10.0.0.1", "hostnames": ["b"]}],
            [{"ip": "10.0.0.1", "hostnames": ["b"]}],
        ),
        (
            "resourceClaims",
            {},
            [{"name": "gpu", "resourceClaimName": "a"}, {"name": "gpu", "resourceClaimName": "b"}],
            [{"name": "gpu", "resourceClaimName": "b"}],
        ),
    ],
)
def test_a_list_of_the_pod_follows_its_key(
    name: str, values: dict[str, Any], overlay: list[Any], expected: list[Any]
) -> None:
    assert deployment({name: overlay}, **values).at(*POD, name) == expected


def test_volumes_are_merged_by_name_and_mounts_by_path() -> None:
    manifest = deployment(
        {
            "volumes": [
                {"name": "shm", "emptyDir": {"sizeLimit": 1048576}},
                {"name": "tmp", "emptyDir": None, "persistentVolumeClaim": {"claimName": "scratch"}},
                {"name": "data", "emptyDir": {}},
            ],
            **server(
                volumeMounts=[
                    {"mountPath": "/home/vllm", "name": "home", "subPath": "a"},
                    {"mountPath": "/data", "name": "data"},
                ]
            ),
        }
    )
    assert manifest.at(*POD, "volumes", "shm", "emptyDir") == {"medium": "Memory", "sizeLimit": 1048576}
    assert manifest.at(*POD, "volumes", "tmp") == {"name": "tmp", "persistentVolumeClaim": {"claimName": "scratch"}}
    assert manifest.at(*POD, "volumes", "data", "emptyDir") == {}
    assert manifest.at(*SERVER, "volumeMounts", "/home/vllm") == {
        "mountPath": "/home/vllm",
        "name": "home",
        "subPath": "a",
    }
    assert manifest.at(*SERVER, "volumeMounts", "/data")["name"] == "data"


def test_ports_are_merged_by_number_and_protocol() -> None:
    ports = [{"containerPort": 8000, "hostIP": "127.0.0.1"}, {"containerPort": 8000, "protocol": "UDP"}]
    assert deployment(server(ports=ports)).at(*SERVER, "ports") == [
        {"name": "http", "containerPort": 8000, "protocol": "TCP", "hostIP": "127.0.0.1"},
        {"containerPort": 8000, "protocol": "UDP"},
    ]


def test_a_list_without_a_key_is_replaced() -> None:
    context = {"capabilities": {"drop": ["NET_RAW"]}}
    arguments = ["model", "--middleware=vllm_lifecycle.Lifecycle", "--shutdown-timeout=120", "--port=8000"]
    manifest = deployment(server(args=arguments, securityContext=context))
    assert manifest.at(*SERVER, "args") == arguments
    assert manifest.at(*SERVER, "securityContext", "capabilities", "drop") == ["NET_RAW"]


def test_init_containers_run_in_the_order_of_their_names_and_can_be_omitted() -> None:
    image = {"image": "tools:1"}
    own = {"image": "tools:1", "securityContext": {"readOnlyRootFilesystem": False}}
    manifest = helm.render({"initContainers": {"b": image, "a": own, "c": None}}).objects.one("Deployment")
    assert [item["name"] for item in manifest.at(*POD, "initContainers")] == ["a", "b"]
    first, second = manifest.at(*POD, "initContainers")
    assert second["securityContext"] == manifest.at(*SERVER, "securityContext")
    assert first["securityContext"] == {**second["securityContext"], "readOnlyRootFilesystem": False}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"podSpec": server(resources={"limits": {"nvidia.com/gpu": 2}})}, "resources.limits asks for 2"),
        ({"podSpec": server(resources={"limits": {"nvidia.com/gpu": 0}})}, "resources.limits asks for 0"),
        ({"podSpec": server(resources={"limits": {"memory": "1Gi"}})}, "resources.limits.memory is 1Gi"),
        (
            {
                "podSpec": {"volumes": [{"name": "shm", "emptyDir": {"sizeLimit": "20Gi"}}]},
                "resources": {"limits": {"memory": "16Gi"}},
            },
            "20 for /dev/shm",
        ),
        (
            {
                "accelerator": {"type": "cpu"},
                "podSpec": server(env=[{"name": "VLLM_CPU_KVCACHE_SPACE", "value": "13"}]),
                "resources": {"limits": {"memory": "16Gi"}},
            },
            "VLLM_CPU_KVCACHE_SPACE 13 + 3",
        ),
        ({"podSpec": server(env=[{"name": "HF_TOKEN", "value": "x"}])}, "env of container vllm: HF_TOKEN"),
        (
            {"initContainers": {"get": {"image": "a:1", "env": [{"name": "DB_PASSWORD", "value": "x"}]}}},
            "env of container get: DB_PASSWORD",
        ),
        ({"podSpec": {"terminationGracePeriodSeconds": 0}}, "podSpec.terminationGracePeriodSeconds is 0"),
    ],
)
def test_checks_look_at_the_pod_as_it_is_installed(values: dict[str, Any], words: str) -> None:
    with pytest.raises(helm.HelmError) as failure:
        helm.render(values)
    assert words in failure.value.text


def test_a_check_does_not_mind_what_the_pod_spec_takes_away() -> None:
    values = {"resources": {"limits": {"memory": "1Gi"}}, "engine": {"env": {"HF_TOKEN": "x"}}}
    token = {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}
    overlay = server(resources=None, env=[token])
    assert deployment(overlay, **values).lacks(*SERVER, "resources")


@pytest.mark.parametrize(
    ("resources", "threads"),
    [
        (None, "1"),
        ({"requests": None}, "5"),
        ({"requests": {"cpu": 8}}, "7"),
        ({"limits": {"cpu": 16}}, "3"),
        ({"requests": {"memory": "8Gi"}}, "3"),
    ],
)
def test_cpu_threads_follow_the_request_that_is_installed(resources: dict[str, Any] | None, threads: str) -> None:
    given = {"requests": {"cpu": 4}, "limits": {"cpu": 6}}
    manifest = deployment(server(resources=resources), accelerator={"type": "cpu"}, resources=given)
    assert manifest.at(*SERVER, "env", "OMP_NUM_THREADS", "value") == threads


def test_null_for_an_init_container_that_is_not_there_changes_nothing() -> None:
    assert helm.render({"initContainers": {"mine": None}}).text == helm.render({}).text
