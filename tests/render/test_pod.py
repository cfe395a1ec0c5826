"""What single values make of the pod."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lib.pod_paths import POD, SERVER
from vllm_chart.chart import CHART, app_version
from vllm_chart.render import helm
from vllm_chart.render.objects import Manifest


def deployment(values: dict[str, Any] | None = None) -> Manifest:
    """The Deployment that the values give."""
    return helm.render(values or {}).objects.one("Deployment")


def environment(values: dict[str, Any]) -> dict[str, Any]:
    """The server's environment: name to text, or to {valueFrom}'s content."""
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in deployment(values).at(*SERVER, "env")}


def arguments(values: dict[str, Any]) -> list[str]:
    """The server's arguments."""
    return list(deployment(values).at(*SERVER, "args"))


# -- drain and start


@pytest.mark.parametrize(("delay", "timeout"), [(15, 120), (0, 1), (30, 3600)])
def test_the_grace_period_covers_the_delay_the_drain_and_the_end(delay: int, timeout: int) -> None:
    manifest = deployment({"drain": {"delaySeconds": delay, "timeoutSeconds": timeout}})
    assert manifest.at(*POD, "terminationGracePeriodSeconds") == delay + timeout + 15
    assert f"--shutdown-timeout={timeout}" in manifest.at(*SERVER, "args")
    command = manifest.at(*SERVER, "lifecycle", "preStop", "exec", "command")
    assert command[:3] == ["python3", "-I", "-c"]
    assert command[4:] == ["--port=8000", f"--delay={delay}", f"--timeout={timeout}"]
    assert command[3] == (CHART / "files" / "programs" / "prestop.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(("budget", "failures"), [(1800, 900), (1801, 901), (1, 1)])
def test_the_startup_probe_lasts_as_long_as_the_budget(budget: int, failures: int) -> None:
    manifest = deployment({"startup": {"timeoutSeconds": budget}})
    probe = manifest.at(*SERVER, "startupProbe")
    assert probe["periodSeconds"] == 2
    assert probe["failureThreshold"] == failures
    assert environment({"startup": {"timeoutSeconds": budget}})["VLLM_ENGINE_READY_TIMEOUT_S"] == str(budget)
    assert manifest.at("spec", "progressDeadlineSeconds") > budget + manifest.at(*POD, "terminationGracePeriodSeconds")


def test_all_probes_ask_for_health_on_the_server_port() -> None:
    manifest = deployment({"server": {"port": 9000}})
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert manifest.at(*SERVER, probe, "httpGet") == {"path": "/health", "port": "http"}
    assert manifest.at(*SERVER, "ports") == [{"name": "http", "containerPort": 9000, "protocol": "TCP"}]
    assert "--port=9000" in manifest.at(*SERVER, "args")
    assert manifest.at(*SERVER, "lifecycle", "preStop", "exec", "command")[4] == "--port=9000"


def test_python_finds_the_middleware_whatever_the_user_adds() -> None:
    mounts = {m["name"]: m["mountPath"] for m in deployment({}).at(*SERVER, "volumeMounts")}
    assert environment({})["PYTHONPATH"] == mounts["lifecycle"]
    assert environment({"engine": {"env": {"PYTHONPATH": "/files"}}})["PYTHONPATH"] == f"{mounts['lifecycle']}:/files"
    arguments = deployment({"engine": {"args": {"middleware": ["own.Middleware"]}}}).at(*SERVER, "args")
    assert [a for a in arguments if a.startswith("--middleware=")] == [
        "--middleware=vllm_lifecycle.Lifecycle",
        "--middleware=own.Middleware",
    ]


def test_a_change_of_the_warm_up_restarts_the_pods() -> None:
    checksums = {
        deployment({"warmup": warmup}).at("spec", "template", "metadata", "annotations", "checksum/lifecycle")
        for warmup in ({}, {"enabled": True}, {"enabled": True, "request": {"body": {"max_tokens": 2}}})
    }
    assert len(checksums) == 3


def test_a_saturated_server_loses_traffic_long_before_it_is_restarted() -> None:
    manifest = deployment()
    readiness, liveness = (manifest.at(*SERVER, probe) for probe in ("readinessProbe", "livenessProbe"))
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 120
    assert readiness["periodSeconds"] * readiness["failureThreshold"] <= 30
    # a busy server may answer a probe late, and Kubernetes waits 1 s by default
    startup = manifest.at(*SERVER, "startupProbe")
    assert min(probe["timeoutSeconds"] for probe in (startup, readiness, liveness)) >= 5
    # one that is restarted for being broken has no requests to wait for
    assert liveness["terminationGracePeriodSeconds"] == 30 < manifest.at(*POD, "terminationGracePeriodSeconds")


# -- model


def test_a_hugging_face_model_is_named_by_organisation_and_name() -> None:
    assert arguments({"model": {"uri": "hf://Qwen/Qwen3-0.6B", "revision": "main"}})[:7] == [
        "Qwen/Qwen3-0.6B",
        "--served-model-name",
        "Qwen/Qwen3-0.6B",
        "--port=8000",
        "--shutdown-timeout=120",
        "--middleware=vllm_lifecycle.Lifecycle",
        "--revision=main",
    ]


def test_names_and_aliases_are_served_in_their_order() -> None:
    served = arguments({"model": {"name": "chat", "aliases": ["z", "a"]}})[1:5]
    assert served == ["--served-model-name", "chat", "z", "a"]


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("oci://registry.example:5000/models/smollm2:1.0", "smollm2"),
        (f"oci://smollm2@sha256:{'0' * 64}", "smollm2"),
        (f"oci://registry.example/smollm2:1@sha256:{'0' * 64}", "smollm2"),
    ],
)
def test_an_oci_model_is_mounted_read_only_and_read_offline(uri: str, name: str) -> None:
    values = {"model": {"uri": uri}, "image": {"pullPolicy": "Always"}}
    manifest = deployment(values)
    image = {"reference": uri.removeprefix("oci://"), "pullPolicy": "Always"}
    assert manifest.at(*POD, "volumes", "model") == {"name": "model", "image": image}
    assert manifest.at(*SERVER, "volumeMounts", "/model")["readOnly"] is True
    assert manifest.at(*SERVER, "args")[:3] == ["/model", "--served-model-name", name]
    assert environment(values)["HF_HUB_OFFLINE"] == "1"


def test_a_hugging_face_model_needs_no_volume_and_is_fetched() -> None:
    manifest = deployment()
    assert manifest.lacks(*POD, "volumes", "model")
    assert manifest.lacks(*SERVER, "volumeMounts", "/model")
    assert "HF_HUB_OFFLINE" not in environment({})


def test_a_token_reaches_the_server_by_reference_only() -> None:
    found = environment({"model": {"credentials": {"existingSecret": "hugging-face", "key": "token"}}})
    assert found["HF_TOKEN"] == {"secretKeyRef": {"name": "hugging-face", "key": "token"}}
    assert "HF_TOKEN" not in environment({})


# -- flags


def test_default_arguments_name_the_model_and_set_only_what_the_chart_relies_on() -> None:
    assert arguments({"model": {"uri": "hf://Qwen/Qwen3-0.6B"}}) == [
        "Qwen/Qwen3-0.6B",
        "--served-model-name",
        "Qwen/Qwen3-0.6B",
        "--port=8000",
        "--shutdown-timeout=120",
        "--middleware=vllm_lifecycle.Lifecycle",
        "--disable-access-log-for-endpoints=/health,/metrics,/ping",
    ]


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("enable-prefix-caching", True, ["--enable-prefix-caching"]),
        ("enable-prefix-caching", False, ["--no-enable-prefix-caching"]),
        ("disable-log-stats", True, ["--disable-log-stats"]),
        ("disable-log-stats", False, []),
        ("max-model-len", 1048576, ["--max-model-len=1048576"]),
        ("max-model-len", "32k", ["--max-model-len=32k"]),
        ("max-model-len", -1, ["--max-model-len=-1"]),
        ("gpu-memory-utilization", 0.9, ["--gpu-memory-utilization=0.9"]),
        ("seed", None, []),
        ("seed", 0, ["--seed=0"]),
        ("speculative-config", {"b": 1048576, "a": "<x>"}, ['--speculative-config={"a":"<x>","b":1048576}']),
        ("cudagraph-capture-sizes", [1, 1048576], ["--cudagraph-capture-sizes", "1", "1048576"]),
        ("cudagraph-capture-sizes", [], []),
        ("middleware", ["a", "b"], ["--middleware=a", "--middleware=b"]),
        ("allowed-origins", ["*"], ['--allowed-origins=["*"]']),
        ("allowed-origins", [], ["--allowed-origins=[]"]),
    ],
)
def test_a_flag_renders_as_its_value_asks(flag: str, value: Any, expected: list[str]) -> None:
    default = "--disable-access-log-for-endpoints=/health,/metrics,/ping"
    with_flag = arguments({"engine": {"args": {flag: value}}})
    without = arguments({})
    assert sorted(with_flag) == sorted([*without, *expected])
    assert default in with_flag
    start = with_flag.index(expected[0]) if expected else 0
    assert with_flag[start : start + len(expected)] == expected


def test_a_computed_flag_can_be_replaced_and_omitted() -> None:
    flag = "disable-access-log-for-endpoints"
    assert f"--{flag}=/health" in arguments({"engine": {"args": {flag: "/health"}}})
    assert not [item for item in arguments({"engine": {"args": {flag: None}}}) if flag in item]


def test_raw_arguments_come_last_and_as_they_are() -> None:
    raw = ["--new-flag", "a=b", 1048576]
    assert arguments({"engine": {"extraArgs": raw}})[-3:] == ["--new-flag", "a=b", "1048576"]


def test_dashes_alone_are_no_beginning_of_a_flag_that_the_chart_sets() -> None:
    assert arguments({"engine": {"extraArgs": ["-", "--"]}})[-2:] == ["-", "--"]


@pytest.mark.parametrize(
    ("limit", "engine", "data", "expected"),
    [
        (0, {}, 1, None),
        (100, {}, 1, "100"),
        (100, {}, 3, "33"),
        (100, {"api-server-count": 4}, 2, "25"),
        (1, {}, 2, "1"),
    ],
)
def test_the_request_limit_is_shared_by_the_api_servers(
    limit: int, engine: dict[str, Any], data: int, expected: str | None
) -> None:
    values = {
        "server": {"maxConcurrentRequests": limit},
        "engine": {"args": engine},
        "parallelism": {"data": data},
    }
    found = [item.partition("=")[2] for item in arguments(values) if item.startswith("--max-num-queued-reqs")]
    assert found == ([] if expected is None else [expected])


# -- devices


@pytest.mark.parametrize(
    ("parallelism", "engine", "devices"),
    [
        ({}, {}, 1),
        ({"tensor": 2}, {}, 2),
        ({"tensor": 4, "pipeline": 2, "data": 2}, {}, 16),
        ({"tensor": 2}, {"prefill-context-parallel-size": 2}, 4),
    ],
)
def test_the_number_of_devices_is_the_product_of_the_sizes(
    parallelism: dict[str, int], engine: dict[str, Any], devices: int
) -> None:
    manifest = deployment({"parallelism": parallelism, "engine": {"args": engine}})
    assert manifest.at(*SERVER, "resources") == {"limits": {"nvidia.com/gpu": devices}}
    assert manifest.at(*POD, "volumes", "shm", "emptyDir") == {"medium": "Memory", "sizeLimit": f"{devices}Gi"}
    for size in ("tensor", "pipeline", "data"):
        given = [item for item in manifest.at(*SERVER, "args") if item.startswith(f"--{size}-parallel-size")]
        value = parallelism.get(size, 1)
        assert given == ([f"--{size}-parallel-size={value}"] if value > 1 else [])


def test_a_resource_of_a_partitioned_gpu_replaces_that_of_the_type() -> None:
    manifest = deployment({"accelerator": {"resourceName": "nvidia.com/mig-3g.40gb", "perPod": 2}})
    assert manifest.at(*SERVER, "image") == f"docker.io/vllm/vllm-openai:v{app_version()}"
    assert manifest.at(*SERVER, "resources", "limits") == {"nvidia.com/mig-3g.40gb": 2}


def test_on_openshift_the_cluster_names_user_and_groups() -> None:
    values = {
        "securityPreset": "openshift",
        "securityContext": {"runAsUser": 5},
        "initContainers": {"a": {"image": "a:1"}},
    }
    manifest = deployment(values)
    pod = manifest.at(*POD, "securityContext")
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & pod.keys()
    assert pod["runAsNonRoot"] is True
    for path in (SERVER, (*POD, "initContainers", "a")):
        assert "runAsUser" not in manifest.at(*path, "securityContext")
        assert manifest.at(*path, "securityContext", "allowPrivilegeEscalation") is False


def test_devices_join_the_resources_that_the_user_gives() -> None:
    resources = {"requests": {"cpu": 4}, "limits": {"memory": 17179869184, "nvidia.com/gpu": 1}}
    found = deployment({"resources": resources}).at(*SERVER, "resources")
    assert found == resources


def test_pods_with_devices_are_replaced_without_surge_and_others_with() -> None:
    def rolling(values: dict[str, Any]) -> Any:
        return deployment(values).at("spec", "strategy", "rollingUpdate")

    assert rolling({}) == {"maxSurge": 0, "maxUnavailable": 1}
    assert rolling({"accelerator": {"type": "cpu"}}) == {"maxSurge": "25%", "maxUnavailable": 0}
    assert rolling({"strategy": {"type": "RollingUpdate"}}) == {"maxSurge": 0, "maxUnavailable": 1}
    assert rolling({"strategy": {"rollingUpdate": {"maxUnavailable": 2}}}) == {"maxSurge": 0, "maxUnavailable": 2}
    assert rolling({"strategy": {"rollingUpdate": {"maxSurge": 1}}}) == {"maxSurge": 1, "maxUnavailable": 0}
    # which Kubernetes would take for 25 %
    assert rolling({"strategy": {"rollingUpdate": {"maxSurge": None, "maxUnavailable": None}}}) == rolling({})
    assert deployment({"strategy": {"type": "Recreate"}}).at("spec", "strategy") == {"type": "Recreate"}


@pytest.mark.parametrize(
    ("resources", "parallelism", "threads"),
    [
        ({}, {}, "1"),
        ({"requests": {"cpu": "500m"}}, {}, "1"),
        ({"requests": {"cpu": 2}}, {}, "1"),
        ({"requests": {"cpu": "8"}}, {}, "7"),
        ({"requests": {"cpu": "3900m"}}, {}, "2"),
        ({"requests": {"cpu": 4.5}}, {}, "3"),
        ({"limits": {"cpu": 6}}, {}, "5"),
        ({"requests": {"cpu": 4}, "limits": {"cpu": 16}}, {}, "3"),
        ({"requests": {"cpu": 9}}, {"tensor": 2}, "4"),
    ],
)
def test_cpu_threads_follow_the_request_and_leave_a_core_to_the_api(
    resources: dict[str, Any], parallelism: dict[str, int], threads: str
) -> None:
    found = environment({"accelerator": {"type": "cpu"}, "resources": resources, "parallelism": parallelism})
    assert found["OMP_NUM_THREADS"] == threads
    assert found["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"


def test_threads_that_the_user_pins_are_left_to_vllm() -> None:
    env = {"VLLM_CPU_OMP_THREADS_BIND": "0-3"}
    found = environment({"accelerator": {"type": "cpu"}, "engine": {"env": env}})
    assert found["VLLM_CPU_OMP_THREADS_BIND"] == "0-3"
    assert "OMP_NUM_THREADS" not in found
    assert "VLLM_CPU_OMP_THREADS_BIND" not in environment({})


def test_notes_show_the_parallel_sizes_behind_the_number_of_devices() -> None:
    text = helm.notes({"parallelism": {"tensor": 4, "pipeline": 2, "data": 3}})
    assert "24 \u00d7 nvidia.com/gpu for each pod (tensor 4 \u00d7 pipeline 2 \u00d7 data 3)" in text


# -- scheduling


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nodeSelector", {"gpu": "h100"}),
        ("tolerations", [{"key": "nvidia.com/gpu", "operator": "Exists"}]),
        ("affinity", {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}),
        (
            "topologySpreadConstraints",
            [{"topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 1}],
        ),
        ("priorityClassName", "high"),
        ("runtimeClassName", "nvidia"),
    ],
)
def test_scheduling_constraints_reach_the_pod(field: str, value: Any) -> None:
    assert deployment({field: value}).at(*POD, field) == value
    assert deployment().lacks(*POD, field)


# -- environment, volumes, images


def test_the_users_environment_replaces_adds_and_removes() -> None:
    node_name = {"fieldRef": {"fieldPath": "spec.nodeName"}}
    env = {
        "VLLM_NO_USAGE_STATS": 0,
        "DO_NOT_TRACK": None,
        "EMPTY": "",
        "BIG": 1048576,
        "YES": True,
        "VLLM_HOST_IP": {"valueFrom": node_name},
    }
    before, after = environment({}), environment({"engine": {"env": env}})
    changed = {"VLLM_NO_USAGE_STATS": "0", "EMPTY": "", "BIG": "1048576", "YES": "true", "VLLM_HOST_IP": node_name}
    assert after == {**{name: value for name, value in before.items() if name != "DO_NOT_TRACK"}, **changed}


def test_the_users_volumes_and_mounts_replace_add_and_remove() -> None:
    manifest = deployment(
        {
            "extraVolumes": {"home": {"emptyDir": {"sizeLimit": "20Gi"}}, "data": {"emptyDir": {}}, "tmp": None},
            "extraVolumeMounts": {"/data": {"name": "data"}, "/tmp": {"name": "data", "subPath": "tmp"}},  # noqa: S108
        }
    )
    volumes = {item["name"]: item for item in manifest.at(*POD, "volumes")}
    assert set(volumes) == {"data", "home", "shm", "lifecycle", "model-cache", "compile-cache"}
    assert volumes["home"]["emptyDir"] == {"sizeLimit": "20Gi"}
    assert manifest.at(*SERVER, "volumeMounts", "/tmp") == {"mountPath": "/tmp", "name": "data", "subPath": "tmp"}  # noqa: S108
    assert manifest.at(*SERVER, "volumeMounts", "/data")["name"] == "data"


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({"image": {"tag": "v1"}}, "docker.io/vllm/vllm-openai:v1"),
        ({"image": {"registry": "", "repository": "mine"}}, f"mine:v{app_version()}"),
        (
            {"image": {"registry": "a.example"}, "global": {"imageRegistry": "b.example"}},
            f"b.example/vllm/vllm-openai:v{app_version()}",
        ),
        (
            {"image": {"digest": f"sha256:{'0' * 64}"}},
            f"docker.io/vllm/vllm-openai:v{app_version()}@sha256:{'0' * 64}",
        ),
    ],
)
def test_the_image_is_put_together_from_its_parts(values: dict[str, Any], image: str) -> None:
    assert deployment(values).at(*SERVER, "image") == image


def test_pull_secrets_are_joined_and_each_named_once() -> None:
    values = {"imagePullSecrets": [{"name": "a"}], "global": {"imagePullSecrets": ["b", {"name": "a"}]}}
    assert deployment(values).at(*POD, "imagePullSecrets") == [{"name": "a"}, {"name": "b"}]
    assert deployment().lacks(*POD, "imagePullSecrets")


def test_an_empty_default_can_be_taken_away_with_null() -> None:
    values = {
        **dict.fromkeys(["commonLabels", "commonAnnotations", "imagePullSecrets", "resources", "affinity", "strategy"]),
        "model": {
            **dict.fromkeys(["aliases", "credentials", "name", "revision", "kind", "copyFrom"]),
            "lora": {"adapters": None, "runtimeUpdates": None},
        },
        "engine": {"args": None, "extraArgs": None, "env": None, "envFrom": None, "files": None},
        "server": {"apiKey": {"keys": None}, "rootPath": None, "tls": None, "exposedPaths": None},
        "ingress": {"hosts": None, "annotations": None, "className": None},
        "networkPolicy": {"namespaces": None},
        "checks": {"disabled": None},
        "service": {"annotations": None},
        "extraVolumes": None,
        "extraVolumeMounts": None,
        "extraObjects": None,
        "initContainers": None,
        "podSpec": None,
    }
    assert helm.render(values).text == helm.render({}).text
