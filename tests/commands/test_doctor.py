"""What `vllm-chart doctor` finds in objects as the API server has them, and how it ends where it can't look."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.lib.command_line import vllm_chart
from vllm_chart.doctor import diagnosis, reasons, rules
from vllm_chart.doctor.rules import Problem, diagnose
from vllm_chart.doctor.snapshot import Object, Snapshot

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LABELS = {"app.kubernetes.io/name": "vllm", "app.kubernetes.io/instance": "llama"}
IMAGE = "docker.io/vllm/vllm-openai:v1.2.3"


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def thing(kind: str, name: str, spec: Object | None = None, status: Object | None = None, **metadata: Any) -> Object:
    head = {"name": name, "namespace": "llm", "uid": f"{kind}-{name}", "creationTimestamp": ago(600)}
    return {"kind": kind, "metadata": head | metadata, "spec": spec or {}, "status": status or {}}


def pod_spec(**changes: Any) -> Object:
    server = {
        "name": "vllm",
        "image": IMAGE,
        "args": ["org/model", "--served-model-name", "llama", "--port=8000"],
        "env": [{"name": "VLLM_CPU_OMP_THREADS_BIND", "value": "nobind"}],
        "resources": {"requests": {"cpu": "4", "memory": "16Gi"}, "limits": {"memory": "16Gi"}},
        "startupProbe": {"failureThreshold": 900, "periodSeconds": 2},
        "livenessProbe": {"failureThreshold": 12, "periodSeconds": 10},
    }
    return {"containers": [server | changes.pop("server", {})]} | changes


def deployment(
    spec: Object | None = None, *, ready: int = 0, conditions: list[Object] | None = None, **more: Any
) -> Object:
    selector = {"matchLabels": LABELS}
    whole = {
        "replicas": 1,
        "selector": selector,
        "template": {"spec": spec or pod_spec()},
        "progressDeadlineSeconds": 2550,
    }
    status = {"readyReplicas": ready, "conditions": conditions or []}
    return thing("Deployment", "llama", whole | more, status, labels=LABELS)


def server_status(**changes: Any) -> Object:
    usual = {"name": "vllm", "image": IMAGE, "ready": True, "started": True, "restartCount": 0}
    return usual | {"state": {"running": {"startedAt": ago(300)}}, "lastState": {}} | changes


def pod(status: Object | None = None, spec: Object | None = None, **more: Any) -> Object:
    own = server_status() if status is None else status
    conditions = [{"type": "Ready", "status": "True" if own.get("ready") else "False"}]
    whole = {"phase": "Running", "conditions": conditions, "containerStatuses": [own]} | more.pop("also", {})
    return thing("Pod", "llama-1", (spec or pod_spec()) | {"nodeName": "w1"}, whole, labels=LABELS, **more)


def pending(message: str, spec: Object | None = None) -> Object:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return thing("Pod", "llama-1", spec or pod_spec(), {"phase": "Pending", "conditions": [condition]}, labels=LABELS)


def node(
    name: str = "w1",
    labels: dict[str, str] | None = None,
    taints: list[Object] | None = None,
    offers: dict[str, str] | None = None,
) -> Object:
    offered = {"cpu": "8", "memory": "64Gi"} | (offers or {})
    status = {"allocatable": offered, "conditions": [{"type": "Ready", "status": "True"}]}
    return thing("Node", name, {"taints": taints or []}, status, labels=labels or {})


def event(of: Object, reason: str, message: str, seconds: float = 10) -> Object:
    about = {"kind": of["kind"], "name": of["metadata"]["name"], "uid": of["metadata"]["uid"]}
    head = {"name": f"e-{reason}-{seconds}", "creationTimestamp": ago(seconds)}
    whole = {"reason": reason, "message": message, "lastTimestamp": ago(seconds), "involvedObject": about}
    return {"kind": "Event", "metadata": head, **whole}


def snapshot(*objects: Object, **more: Any) -> Snapshot:
    return Snapshot(release="llama", namespace="llm", now=NOW, objects=objects, **more)


def only(found: Snapshot) -> Problem:
    findings = diagnose(found)
    assert len(findings) == 1, findings
    return findings[0]


def crashed(words: str = "", **ended: Any) -> Snapshot:
    last = {"exitCode": 1, "reason": "Error", "startedAt": ago(90), "finishedAt": ago(30), "message": words} | ended
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}
    status = server_status(
        ready=False, started=False, restartCount=3, state={"waiting": waiting}, lastState={"terminated": last}
    )
    return snapshot(deployment(), pod(status))


# -- Nothing wrong -----------------------------------------------------------------------------------------------------


def test_a_release_that_serves_has_no_finding_and_says_what_it_serves() -> None:
    healthy = snapshot(deployment(ready=1), pod(), helm="deployed")
    lines = list(diagnosis.lines(diagnosis.of(healthy)))
    assert lines[-1] == "No problems found."
    assert f"deployment/llama serves llama: 1 of 1 ready, 0 restarts, {IMAGE}" in lines[1]


def test_a_server_that_loads_within_its_budget_is_no_finding_but_told() -> None:
    loading = snapshot(deployment(), pod(server_status(ready=False, started=False)))
    assert diagnose(loading) == []
    assert rules.notes(loading) == ["pod/llama-1 has been loading for 300 s of 1800 s (startup.timeoutSeconds)."]


def test_a_pod_that_stops_within_its_grace_period_is_no_finding_but_told() -> None:
    stopping = snapshot(deployment(ready=1), pod(deletionTimestamp=ago(-40)))
    assert diagnose(stopping) == []
    assert rules.notes(stopping) == ["pod/llama-1 stops; its requests have 40 s left."]


def test_a_restart_of_long_ago_is_counted_but_no_finding() -> None:
    last = {"terminated": {"exitCode": 1, "startedAt": ago(9000), "finishedAt": ago(7200)}}
    recovered = snapshot(deployment(ready=1), pod(server_status(restartCount=1, lastState=last)))
    assert diagnose(recovered) == []
    assert "1 restarts" in rules.summary(recovered)[0]


def test_a_pod_of_helm_test_that_failed_is_no_server() -> None:
    test_pod = thing("Pod", "llama-test", {"containers": [{"name": "test"}]}, {"phase": "Failed"}, labels=LABELS)
    assert diagnose(snapshot(deployment(ready=1), pod(), test_pod)) == []


# -- A node ------------------------------------------------------------------------------------------------------------

GPU = pod_spec(server={"resources": {"limits": {"nvidia.com/gpu": "2"}, "requests": {"nvidia.com/gpu": "2"}}})
MESSAGE = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
PLANE = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]


def test_gpus_that_no_node_offers_want_a_device_plugin() -> None:
    found = only(snapshot(deployment(GPU), pending(MESSAGE, GPU), node("w1"), node("w2"), node("plane", taints=PLANE)))
    assert found.problem == "No node takes the pod: w1, w2: nvidia.com/gpu wanted 2, there 0"
    assert "no node offers nvidia.com/gpu: install its device plugin" in found.remedy
    assert found.look == "kubectl -n llm describe pod llama-1"


def test_gpus_that_no_node_has_so_many_of_want_less_parallelism_or_a_larger_node() -> None:
    found = only(
        snapshot(deployment(GPU), pending(MESSAGE, GPU), node("w1", offers={"nvidia.com/gpu": "1"}), node("w2"))
    )
    assert (
        found.problem
        == "No node takes the pod: w1: nvidia.com/gpu wanted 2, there 1; w2: nvidia.com/gpu wanted 2, there 0"
    )
    assert "lower parallelism" in found.remedy
    assert "device plugin" not in found.remedy


def test_gpus_that_are_taken_say_how_many_are_free() -> None:
    other = thing("Pod", "other", GPU | {"nodeName": "w1"}, {"phase": "Running"})
    found = only(
        snapshot(
            deployment(GPU), pending(MESSAGE, GPU), node("w1", offers={"nvidia.com/gpu": "2"}), neighbours=(other,)
        ),
    )
    assert found.problem == "No node takes the pod: w1: nvidia.com/gpu wanted 2, 0 of 2 free"
    assert "free some nvidia.com/gpu" in found.remedy


@pytest.mark.parametrize(
    ("offers", "problem", "remedy"),
    [
        ({"memory": "8Gi"}, "w1: memory wanted 16.0Gi, there 8.0Gi", "lower resources.requests.memory"),
        ({"cpu": "3500m"}, "w1: cpu wanted 4, there 3.5", "lower resources.requests.cpu"),
    ],
)
def test_too_little_memory_or_cpu_names_the_request(offers: dict[str, str], problem: str, remedy: str) -> None:
    found = only(snapshot(deployment(), pending("0/1 nodes are available: 1 Insufficient …"), node(offers=offers)))
    assert problem in found.problem
    assert remedy in found.remedy


def test_a_node_selector_that_no_node_has_names_label_and_what_nodes_have() -> None:
    spec = pod_spec(nodeSelector={"gpu": "h100"})
    found = only(snapshot(deployment(spec), pending("didn't match", spec), node("w1", {"gpu": "a100"}), node("w2")))
    assert found.problem == "No node takes the pod: w1: gpu=a100 and not h100; w2: no label gpu"
    assert "correct nodeSelector, or label a node: kubectl label node NODE gpu=h100" in found.remedy


def test_an_affinity_that_no_node_has_is_named() -> None:
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    spec = pod_spec(affinity={"nodeAffinity": required})
    found = only(snapshot(deployment(spec), pending("didn't match", spec), node("w1", {"zone": "c"})))
    assert found.problem == "No node takes the pod: w1: no match for affinity.nodeAffinity"


def test_a_taint_gives_the_toleration_to_write() -> None:
    taint = [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
    found = only(snapshot(deployment(), pending("untolerated taint"), node("w1", taints=taint)))
    assert found.problem == "No node takes the pod: w1: taint nvidia.com/gpu=present:NoSchedule"
    assert "add to tolerations {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}" in found.remedy


def test_of_nodes_with_several_obstacles_the_remedy_is_for_the_nearest() -> None:
    taint = [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]
    gpus, plain = (
        node("gpus", taints=taint, offers={"nvidia.com/gpu": "2"}),
        node("plain", taints=taint, offers={"memory": "1Gi"}),
    )
    found = only(snapshot(deployment(GPU), pending(MESSAGE, GPU), gpus, plain))
    assert found.remedy == "add to tolerations {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}"


def test_a_tolerated_taint_is_no_obstacle_and_the_schedulers_words_count() -> None:
    taint = [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]
    spec = pod_spec(tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}])
    message = "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints."
    found = only(snapshot(deployment(spec), pending(message, spec), node("w1", taints=taint)))
    assert found.problem == "No node keeps topologySpreadConstraints"


def test_a_cordoned_node_is_named() -> None:
    cordoned = node("w1", taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}])
    cordoned["spec"]["unschedulable"] = True
    found = only(snapshot(deployment(), pending("1 node(s) were unschedulable"), cordoned))
    assert found.problem == "No node takes the pod: w1: cordoned"
    assert "kubectl uncordon" in found.remedy


# -- Refusals of the API server ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "problem", "remedy"),
    [
        (
            'pods "llama-7d-x" is forbidden: violates PodSecurity "restricted:latest": '
            'allowPrivilegeEscalation != false (container "side" must set '
            "securityContext.allowPrivilegeEscalation=false)",
            "Pod Security restricted:latest refuses the pod: allowPrivilegeEscalation != false",
            "securityContext",
        ),
        (
            'pods "llama-7d-x" is forbidden: exceeded quota: team, requested: limits.memory=5Gi,requests.cpu=1, used: '
            "limits.memory=0,requests.cpu=0, limited: limits.memory=1Gi,requests.cpu=4",
            "Quota team is used up: the pod wants limits.memory=5Gi,requests.cpu=1, used are limits.memory=0",
            "have the quota raised",
        ),
        (
            'pods "x" is forbidden: failed quota: team: must specify limits.cpu for: vllm; requests.cpu for: vllm',
            "Quota team wants every pod to say its limits.cpu for: vllm",
            "set resources.requests",
        ),
        (
            'pods "x" is forbidden: maximum memory usage per Container is 1Gi, but limit is 5Gi',
            "A LimitRange of the namespace refuses the pod: maximum memory usage per Container is 1Gi",
            "change resources",
        ),
        (
            'pods "x" is forbidden: error looking up service account llm/nobody: serviceaccount "nobody" not found',
            "Service account nobody isn't there",
            "serviceAccount.name",
        ),
        (
            'pods "x" is forbidden: no PriorityClass with name high was found',
            "There is no PriorityClass high",
            "priorityClassName",
        ),
        (
            'pods "x" is forbidden: pod rejected: RuntimeClass "nvidia" not found',
            "There is no RuntimeClass nvidia",
            "runtimeClassName",
        ),
        (
            'admission webhook "validate.kyverno.svc" denied the request: policy require-labels: label team is missing',
            "The cluster's policy validate.kyverno.svc refuses the pod: policy require-labels",
            "who owns the policy",
        ),
    ],
)
def test_a_pod_that_is_not_let_in_says_by_whom_and_why(message: str, problem: str, remedy: str) -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    replicas = thing("ReplicaSet", "llama-7d", {"replicas": 1}, {"conditions": [failure]}, labels=LABELS)
    found = only(snapshot(deployment(), replicas))
    assert problem in found.problem
    assert remedy in found.remedy


# -- Claims and Secrets ------------------------------------------------------------------------------------------------

WITH_CLAIM = pod_spec(volumes=[{"name": "model-cache", "persistentVolumeClaim": {"claimName": "weights"}}])


def claim(storage_class: str | None, modes: tuple[str, ...] = ("ReadWriteOnce",), phase: str = "Pending") -> Object:
    named = {"storageClassName": storage_class} if storage_class is not None else {}
    return thing("PersistentVolumeClaim", "weights", named | {"accessModes": list(modes)}, {"phase": phase})


def storage_class(name: str, *, default: bool = False, mode: str = "WaitForFirstConsumer") -> Object:
    marks = {"storageclass.kubernetes.io/is-default-class": str(default).lower()}
    return thing("StorageClass", name, annotations=marks) | {"volumeBindingMode": mode}


def unbound(*objects: Object) -> Snapshot:
    return snapshot(
        deployment(WITH_CLAIM), pending("pod has unbound immediate PersistentVolumeClaims", WITH_CLAIM), *objects
    )


def test_a_claim_that_is_not_there_names_the_value() -> None:
    found = only(unbound())
    assert found.problem == "Claim weights isn't there"
    assert "cache.model" in found.remedy


def test_a_claim_without_class_where_there_is_no_default() -> None:
    found = only(unbound(claim(None), storage_class("fast")))
    assert found.problem == "Claim weights has no storage class, and the cluster no default"
    assert "cache.model.storageClassName" in found.remedy
    assert "there are fast" in found.remedy


def test_a_claim_with_a_class_that_is_not_there() -> None:
    found = only(unbound(claim("gold"), storage_class("fast")))
    assert found.problem == "Claim weights wants storage class gold, which isn't there"


def test_a_claim_with_an_access_mode_that_its_class_cannot_give() -> None:
    wanted = claim("fast", ("ReadWriteMany",))
    message = (
        "failed to provision volume: NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes"
    )
    found = only(unbound(wanted, storage_class("fast"), event(wanted, "ProvisioningFailed", message)))
    assert "Storage class fast can't give claim weights the access mode ReadWriteMany" in found.problem
    assert "cache.model.accessModes" in found.remedy


def test_a_claim_that_waits_for_its_pod_is_not_the_cause() -> None:
    gpus = pod_spec(volumes=WITH_CLAIM["volumes"]) | {"containers": GPU["containers"]}
    found = only(snapshot(deployment(gpus), pending(MESSAGE, gpus), claim("fast"), storage_class("fast"), node("w1")))
    assert "nvidia.com/gpu" in found.problem


WITH_TOKEN = pod_spec(
    server={"env": [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}]}
)


def config_error(message: str, **secrets: frozenset[str] | None) -> Snapshot:
    status = server_status(
        ready=False, started=False, state={"waiting": {"reason": "CreateContainerConfigError", "message": message}}
    )
    return snapshot(deployment(WITH_TOKEN), pod(status, WITH_TOKEN), secrets=secrets)


def test_a_secret_that_is_not_there_names_the_value_and_how_to_make_it() -> None:
    found = only(config_error('secret "hub" not found', hub=None))
    assert found.problem == "Secret hub isn't there"
    assert "correct model.credentials: kubectl -n llm create secret generic hub --from-literal=token=…" in found.remedy


def test_a_secret_without_the_key_names_the_keys_that_it_has() -> None:
    found = only(config_error("couldn't find key token in Secret llm/hub", hub=frozenset({"hf", "api"})))
    assert found.problem == "Secret hub has no key token; it has api, hf"
    assert "model.credentials" in found.remedy


def test_a_secret_that_may_not_be_read_is_found_by_what_the_kubelet_says() -> None:
    found = only(config_error("couldn't find key token in Secret llm/hub"))
    assert found.problem == "Secret llm/hub has no key token"


def test_a_missing_certificate_of_the_ingress_is_found() -> None:
    tls = {"ingressClassName": "nginx", "tls": [{"secretName": "llm-tls", "hosts": ["llm.example.com"]}]}
    ingress = thing("Ingress", "llama", tls, {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}})
    found = only(
        snapshot(deployment(ready=1), pod(), ingress, thing("IngressClass", "nginx"), secrets={"llm-tls": None}),
    )
    assert found.problem == "Secret llm-tls isn't there"
    assert found.where == "ingress/llama"


def test_a_mounted_secret_that_lacks_a_key_is_found() -> None:
    spec = pod_spec(volumes=[{"name": "tls", "secret": {"secretName": "cert"}}])
    status = server_status(ready=False, state={"waiting": {"reason": "ContainerCreating"}})
    waits = pod(status, spec)
    why = 'MountVolume.SetUp failed for volume "tls" : secret "cert" not found'
    found = only(snapshot(deployment(spec), waits, event(waits, "FailedMount", why), secrets={"cert": None}))
    assert found.problem == "Secret cert isn't there"
    assert "server.tls" in found.remedy


def test_a_volume_that_another_node_holds_says_which_access_mode_shares() -> None:
    waits = pod(server_status(ready=False, state={"waiting": {"reason": "ContainerCreating"}}))
    why = 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) llama-0'
    found = only(snapshot(deployment(), waits, event(waits, "FailedAttachVolume", why)))
    assert found.problem == "Another node still has the volume, which only one may mount"
    assert "ReadWriteMany" in found.remedy


# -- Images ------------------------------------------------------------------------------------------------------------


def no_image(message: str, reason: str = "ErrImagePull", spec: Object | None = None) -> Snapshot:
    status = server_status(ready=False, started=False, state={"waiting": {"reason": reason, "message": message}})
    return snapshot(deployment(spec), pod(status, spec), secrets={"registry": None})


@pytest.mark.parametrize(
    ("message", "problem", "remedy"),
    [
        (
            f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": {IMAGE}: not found',
            f"The registry has no {IMAGE}",
            "image.tag",
        ),
        (
            f'failed to pull and unpack image "{IMAGE}": pull access denied, repository does not exist or may require '
            "authorization: server message: insufficient_scope: authorization failed",
            f"The registry doesn't give out {IMAGE}: the pod has no pull secret",
            "imagePullSecrets",
        ),
        (
            f'failed to pull and unpack image "{IMAGE}": failed to do request: Head "https://registry.example/v2/": '
            "dial tcp: lookup registry.example: no such host",
            f"The node can't reach the registry of {IMAGE}",
            "image.registry",
        ),
        (
            f'failed to pull image "{IMAGE}": tls: failed to verify certificate: x509: certificate signed by unknown '
            "authority",
            "The node doesn't trust the registry's certificate",
            "authority",
        ),
        (f'image "{IMAGE}": 429 Too Many Requests - toomanyrequests', "The registry has given out too many", "mirror"),
    ],
)
def test_an_image_that_is_not_pulled_says_why_and_which_value(message: str, problem: str, remedy: str) -> None:
    found = only(no_image(message))
    assert problem in found.problem
    assert remedy in found.remedy


def test_an_image_in_back_off_is_explained_by_the_last_event() -> None:
    found = no_image(f'Back-off pulling image "{IMAGE}"', "ImagePullBackOff")
    why = event(found.servers()[0], "Failed", f'Failed to pull image "{IMAGE}": {IMAGE}: not found')
    assert only(replace(found, objects=(*found.objects, why))).problem == f"The registry has no {IMAGE}"


def test_a_pull_secret_that_is_not_there_is_told_beside_the_refusal() -> None:
    spec = pod_spec(imagePullSecrets=[{"name": "registry"}])
    found = only(no_image(f'image "{IMAGE}": 401 Unauthorized', spec=spec))
    assert "pull secret registry (which isn't there)" in found.problem


def test_a_models_image_names_the_models_value() -> None:
    reference = "registry.example/models/qwen:1"
    spec = pod_spec(volumes=[{"name": "model", "image": {"reference": reference}}])
    found = only(no_image(f'Back-off pulling image "{reference}": {reference}: not found', "ImagePullBackOff", spec))
    assert found.problem == f"The registry has no {reference}"
    assert "correct model.uri" in found.remedy


# -- Starts and ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "problem", "remedy"),
    [
        (
            "vllm: error: unrecognized arguments: --no-such-flag",
            "doesn't know the argument --no-such-flag",
            "extraArgs",
        ),
        (
            "vllm serve: error: argument --max-model-len: invalid value: 'x'",
            "vLLM refuses its arguments: argument --max-model-len",
            "engine.args",
        ),
        (
            "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached snapshot folder for the "
            "specified revision on the local disk and outgoing traffic has been disabled.",
            "neither in the cache nor can it be fetched",
            "HTTPS_PROXY",
        ),
        (
            "401 Client Error. (Request ID: Root=1)\n\nRepository Not Found for url: https://huggingface.co/api/models/o/m."
            "\nPlease make sure you specified the correct `repo_id` and `repo_type`.\nIf you are trying to access a "
            "private or gated repo, make sure you are authenticated.\nInvalid username or password.",
            "has no such model, or hides it",
            "model.uri",
        ),
        (
            "huggingface_hub.errors.HfHubHTTPError: 401 Client Error: Unauthorized for url: https://huggingface.co/x "
            "Invalid credentials in Authorization header",
            "refuses the token (401)",
            "model.credentials",
        ),
        (
            "OSError: You are trying to access a gated repo.\nMake sure to have access to it at "
            "https://huggingface.co/meta-llama/x.\n401 Client Error.",
            "gated",
            "accept the model's terms",
        ),
        (
            "(EngineCore pid=100) ERROR 11-23 10:00:00 [core.py:1] ValueError: To serve at least one request with the "
            "model's max seq len (8192), (1.00 GiB KV cache is needed, which is larger than the available KV cache "
            "memory (0.50 GiB). Based on the available memory, the estimated maximum model length is 4096. Try "
            "increasing `gpu_memory_utilization`",
            "The KV cache has 0.50 GiB, and one request of 8192 tokens needs 1.00 GiB",
            "lower engine.args.max-model-len (vLLM estimates that 4096 fit)",
        ),
        (
            "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when "
            "initializing the engine",
            "Nothing is left for the KV cache",
            "gpu-memory-utilization",
        ),
        (
            "ValueError: User-specified max_model_len (99999) is greater than the derived max_model_len "
            "(max_position_embeddings=8192 or model_max_length=None in model's config.json).",
            "engine.args.max-model-len is 99999, and the model is made for 8192",
            "to 8192 or less",
        ),
        (
            "RuntimeError: The NVIDIA driver on your system is too old (found version 12080).",
            "driver of the node's GPUs is older than the image's CUDA wants",
            "-cu129",
        ),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
            "device's memory is full",
            "quantize",
        ),
        (
            "ValueError: Free memory on device cuda:0 (10.5/79.1 GiB) on startup is less than desired GPU memory "
            "utilization (0.92, 72.8 GiB).",
            "Something else uses the device: 10.5 of 79.1 GiB are free, and gpu-memory-utilization is 0.92",
            "lower engine.args.gpu-memory-utilization",
        ),
        (
            "RuntimeError: Insufficient space in /dev/shm for shared-memory allocation: 160 MiB required, 64 MiB free",
            "Shared memory is too small",
            "volume shm",
        ),
        ("RuntimeError: Failed to infer device type, please set", "finds no device", "runtimeClassName"),
        (
            "ValueError: Total number of attention heads (9) must be divisible by tensor parallel size (2).",
            "The model's 9 attention heads can't be shared by 2 devices",
            "parallelism.tensor to a divisor of 9",
        ),
        (
            "ValueError: Invalid repository ID or local directory specified: '/model'.",
            "There is no model in /model",
            "model.uri",
        ),
        ("ValueError: LoRA rank 64 is greater than max_lora_rank 16.", "has rank 64", "max-lora-rank to 64"),
        (
            "Warm-up failed: POST /v1/chat/completions was answered with 404: The model `x` does not exist.",
            "The first request of the warm-up failed: POST /v1/chat/completions was answered with 404",
            "warmup.request",
        ),
        ("s3://b/adapter can't be fetched: there is nothing under this path", "s3://b/adapter can't be fetched", "URI"),
    ],
)
def test_what_vllm_says_before_it_ends_is_explained_with_the_value_to_change(
    words: str, problem: str, remedy: str
) -> None:
    found = only(crashed(words))
    assert problem in found.problem
    assert remedy in found.remedy
    assert found.where == "pod/llama-1, container vllm, 3 restarts"
    assert found.look == "kubectl -n llm logs llama-1 -c vllm --previous --tail=100"


def test_an_error_that_is_not_known_is_quoted_from_the_engines_log() -> None:
    log = (
        "(EngineCore pid=99) ERROR 11-23 07:38:54 [core.py:929] ValueError: the moon is full\n"
        "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s):"
    )
    found = only(replace(crashed(), logs={("llama-1", "vllm"): log}))
    assert found.problem == "The container ended with code 1: ValueError: the moon is full"


def test_a_container_that_ran_out_of_memory_names_limit_and_remedy() -> None:
    found = only(crashed(reason="OOMKilled", exitCode=137))
    assert found.problem == "The kernel ended the container for want of memory, at its limit of 16Gi (OOMKilled)"
    assert "raise resources.limits.memory, or lower VLLM_CPU_KVCACHE_SPACE" in found.remedy


def test_an_engine_that_died_ends_with_code_0() -> None:
    found = only(crashed(exitCode=0, reason="Completed"))
    assert "vLLM does when a process of its engine dies" in found.problem


@pytest.mark.parametrize(
    ("message", "problem", "remedy"),
    [
        (
            "Container vllm failed startup probe, will be restarted",
            "wasn't ready within 1800 s",
            "raise startup.timeoutSeconds",
        ),
        ("Container vllm failed liveness probe, will be restarted", "/health for 120 s", "stallTimeoutSeconds"),
    ],
)
def test_a_server_that_the_kubelet_restarted_says_which_probe(message: str, problem: str, remedy: str) -> None:
    killed = crashed("torch.OutOfMemoryError in an older line", exitCode=137)
    found = only(replace(killed, objects=(*killed.objects, event(killed.servers()[0], "Killing", message, 45))))
    assert problem in found.problem
    assert remedy in found.remedy


@pytest.mark.parametrize("code", [137, 143])
def test_a_server_that_was_killed_at_the_end_of_its_time_to_start_says_so_without_an_event(code: int) -> None:
    late = crashed(exitCode=code, startedAt=ago(1860))
    assert "wasn't ready within 1800 s" in only(late).problem
    assert "told to stop" in only(crashed(exitCode=143, startedAt=ago(900))).problem


def test_a_server_that_was_killed_after_failed_liveness_probes_says_so_without_an_event() -> None:
    killed = crashed(exitCode=137, startedAt=ago(9000))
    failed = event(killed.servers()[0], "Unhealthy", "Liveness probe failed: context deadline exceeded", 120)
    assert "/health for 120 s" in only(replace(killed, objects=(*killed.objects, failed))).problem
    long_ago = event(killed.servers()[0], "Unhealthy", "Liveness probe failed: context deadline exceeded", 900)
    assert "was killed" in only(replace(killed, objects=(*killed.objects, long_ago))).problem
    before = event(killed.servers()[0], "Killing", "Container vllm failed liveness probe, will be restarted", 9900)
    assert "/health for 120 s" in only(replace(killed, objects=(*killed.objects, before))).problem


def test_a_probe_that_killed_an_earlier_run_is_not_blamed_for_the_last() -> None:
    killed = crashed("vllm: error: unrecognized arguments: --x")
    old = event(killed.servers()[0], "Killing", "Container vllm failed startup probe, will be restarted", 500)
    assert "--x" in only(replace(killed, objects=(*killed.objects, old))).problem


@pytest.mark.parametrize("state", ["RunContainerError", "CrashLoopBackOff"])
def test_an_init_container_without_cp_names_the_value(state: str) -> None:
    message = 'exec: "cp": executable file not found in $PATH'
    last = {"exitCode": 128, "reason": "StartError", "message": message}
    copy = {"name": "copy-model", "image": "x", "ready": False, "restartCount": 2, "lastState": {"terminated": last}}
    copy["state"] = {"waiting": {"reason": state, "message": message}}
    spec = pod_spec(initContainers=[{"name": "copy-model", "image": "x"}])
    waits = server_status(ready=False, started=False, state={"waiting": {"reason": "PodInitializing"}})
    found = only(snapshot(deployment(spec), pod(waits, spec, also={"initContainerStatuses": [copy]})))
    assert "no cp, which model.copyFrom needs" in found.problem


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("HTTP probe failed with statuscode: 503", "its engine is dead or makes no progress"),
        ('Get "http://10.0.0.1:8000/health": context deadline exceeded', "doesn't answer /health in time"),
    ],
)
def test_a_server_that_stopped_being_ready_says_what_its_probe_sees(message: str, problem: str) -> None:
    sick = pod(server_status(ready=False))
    found = only(snapshot(deployment(), sick, event(sick, "Unhealthy", f"Readiness probe failed: {message}")))
    assert problem in found.problem


def test_a_pod_beyond_its_grace_period_on_a_dead_node_says_so() -> None:
    dead = node("w1")
    dead["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    found = only(snapshot(deployment(ready=1), pod(deletionTimestamp=ago(100)), dead))
    assert found.problem == "The pod should have been gone 100 s ago, its grace period is over"
    assert "node w1 doesn't answer" in found.remedy


def test_an_evicted_pod_says_what_its_node_lacked() -> None:
    gone = pod(
        also={"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: ephemeral-storage."}
    )
    found = only(snapshot(deployment(ready=1), gone))
    assert "Evicted" in found.problem
    assert "cache.model.type" in found.remedy


# -- What follows, and what is around ----------------------------------------------------------------------------------

LATE = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]


def test_a_late_rollout_without_another_cause_is_told() -> None:
    loading = pod(server_status(ready=False, started=False))
    found = only(snapshot(deployment(conditions=LATE), loading))
    assert found.problem == "The rollout isn't done after 2550 s, its deadline"
    assert "helm -n llm rollback llama" in found.remedy


def test_a_late_rollout_is_left_out_where_its_cause_is_found() -> None:
    found = crashed("vllm: error: unrecognized arguments: --x")
    late = deployment(conditions=LATE)
    assert "--x" in only(replace(found, objects=(late, *found.objects[1:]))).problem


def test_a_paused_rollout_says_how_to_go_on() -> None:
    assert "rollout resume deployment/llama" in only(snapshot(deployment(ready=1, paused=True), pod())).remedy


def test_a_service_that_selects_no_pod_is_told() -> None:
    service = thing("Service", "llama", {"selector": {"app": "other"}})
    assert only(snapshot(deployment(ready=1), pod(), service)).problem == "The Service selects none of the ready pods"


def test_a_service_with_endpoints_is_fine() -> None:
    service = thing("Service", "llama", {"selector": LABELS})
    slices = thing("EndpointSlice", "llama-a", labels={"kubernetes.io/service-name": "llama"})
    slices["endpoints"] = [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}]
    assert diagnose(snapshot(deployment(ready=1), pod(), service, slices)) == []


def scaler(reason: str, message: str, **metadata: Any) -> Object:
    conditions = [
        {"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale"},
        {"type": "ScalingActive", "status": "False", "reason": reason, "message": message},
    ]
    return thing("HorizontalPodAutoscaler", "llama", {}, {"conditions": conditions}, **metadata)


def test_an_autoscaler_without_metrics_names_the_adapter_and_its_rules() -> None:
    message = "unable to get metric vllm_num_requests_waiting: no metrics returned from custom metrics API"
    found = only(snapshot(deployment(ready=1), pod(), scaler("FailedGetPodsMetric", message)))
    assert "gets no metrics: unable to get metric vllm_num_requests_waiting" in found.problem
    assert "prometheus-adapter with the rules of ConfigMap llama-adapter-config" in found.remedy


def test_an_autoscaler_on_cpu_without_metrics_names_metrics_server() -> None:
    found = only(snapshot(deployment(ready=1), pod(), scaler("FailedGetResourceMetric", "no metrics")))
    assert "install metrics-server" in found.remedy


def test_an_autoscaler_has_no_metrics_as_long_as_no_server_is_ready() -> None:
    loading = pod(server_status(ready=False, started=False))
    assert diagnose(snapshot(deployment(), loading, scaler("FailedGetPodsMetric", "no metrics"))) == []


def scaled_object(reason: str) -> Object:
    message = "Triggers defined in ScaledObject are not working correctly"
    condition = {"type": "Ready", "status": "False", "reason": reason, "message": message}
    return thing("ScaledObject", "llama", {}, {"conditions": [condition]}, labels=LABELS)


def test_a_query_of_keda_without_an_answer_is_told() -> None:
    for servers in ([], [pod()]):
        workload = deployment(ready=len(servers), replicas=len(servers))
        found = only(snapshot(workload, *servers, scaled_object("TriggerError")))
        assert "KEDA can't use the ScaledObject: Triggers defined" in found.problem
        assert "its query has an answer" in found.remedy


def test_a_query_of_keda_has_no_answer_as_long_as_the_first_server_loads() -> None:
    loading = pod(server_status(ready=False, started=False))
    assert diagnose(snapshot(deployment(), loading, scaled_object("TriggerError"))) == []
    assert diagnose(snapshot(deployment(), loading, scaled_object("ScaledObjectCheckFailed"))) != []


def test_a_monitor_without_a_prometheus_is_told() -> None:
    found = only(snapshot(deployment(ready=1), pod(), thing("ServiceMonitor", "llama", labels=LABELS)))
    assert found.problem == "No Prometheus of the Prometheus Operator is there to read it"


def test_a_monitor_that_no_prometheus_picks_names_the_labels_to_add() -> None:
    prometheus = thing("Prometheus", "k8s", {"podMonitorSelector": {"matchLabels": {"release": "kps"}}})
    monitor = thing("PodMonitor", "llama", labels=LABELS)
    found = only(snapshot(deployment(ready=1), pod(), monitor, prometheus))
    assert found.problem == "No Prometheus picks it: they want release: kps"
    assert "metrics.podMonitor.labels" in found.remedy
    picked = thing("PodMonitor", "llama", labels=LABELS | {"release": "kps"})
    assert diagnose(snapshot(deployment(ready=1), pod(), picked, prometheus)) == []


@pytest.mark.parametrize(
    ("wanted", "classes", "problem"),
    [
        ("nginx", [], "There is no IngressClass nginx"),
        (None, ["contour"], "The Ingress has no class, and the cluster no default"),
        ("contour", ["contour"], "The Ingress has no address yet"),
    ],
)
def test_an_ingress_that_nobody_serves_says_why(wanted: str | None, classes: list[str], problem: str) -> None:
    ingress = thing("Ingress", "llama", {"ingressClassName": wanted} if wanted else {})
    controllers = [thing("IngressClass", name, {"controller": "example.com/c"}) for name in classes]
    assert only(snapshot(deployment(ready=1), pod(), ingress, *controllers)).problem == problem


def test_a_route_that_its_gateway_refuses_quotes_it() -> None:
    condition = {"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners", "message": "no namespace"}
    parent = {"parentRef": {"name": "public"}, "conditions": [condition]}
    route = thing("HTTPRoute", "llama", {"parentRefs": [{"name": "public"}]}, {"parents": [parent]})
    found = only(snapshot(deployment(ready=1), pod(), route))
    assert found.problem == "Gateway public refuses the route (NotAllowedByListeners): no namespace"


def test_a_failed_operation_of_helm_is_told_beside_other_findings() -> None:
    findings = diagnose(replace(crashed("vllm: error: unrecognized arguments: --x"), helm="failed"))
    assert [f.problem for f in findings][-1] == "Helm's last operation failed"
    assert len(findings) == 2


def test_the_same_problem_of_two_pods_is_one_finding() -> None:
    found = crashed("vllm: error: unrecognized arguments: --x")
    second = json.loads(json.dumps(found.objects[1]).replace("llama-1", "llama-2"))
    both = only(replace(found, objects=(*found.objects, second)))
    assert both.where == "pod/llama-1, container vllm, 3 restarts; pod/llama-2, container vllm, 3 restarts"


# -- The command -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "token hf_abcdefghijklmnop was refused",
        "Authorization: Bearer s3cr3t-s3cr3t",
        "GET https://bucket/x?X-Amz-Signature=abcdef0123456789",
        "proxy http://user:s3cr3t@proxy:3128 refused",
    ],
)
def test_tokens_in_messages_are_masked(text: str) -> None:
    masked = reasons.masked(text)
    assert "***" in masked
    assert not any(word in masked for word in ("abcdef", "s3cr3t"))


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a kubectl that says what a test writes into it; it is all of PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def answer(folder: Path, script: str) -> None:
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)


UNREACHABLE = 'echo "Unable to connect to the server: dial tcp 192.0.2.1:6443: i/o timeout" >&2; exit 1'
FORBIDDEN = """
case "$*" in
  *"--raw /apis"*) echo '{"groups": []}';;
  *) echo 'Error from server (Forbidden): pods is forbidden: User "jo" cannot list resource "pods"' >&2; exit 1;;
esac
"""


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (UNREACHABLE, "Cannot read the cluster: dial tcp 192.0.2.1:6443: i/o timeout. Check --kube-context and"),
        (
            FORBIDDEN,
            'llama: deployments (pods is forbidden: User "jo" cannot list resource "pods"). Use an account with',
        ),
        ("echo no kubectl", "kubectl: does not answer like kubectl. Put kubectl on PATH."),
        (None, "kubectl: program not found. Install it and put it on PATH."),
    ],
)
def test_unreachable_cluster_missing_permission_and_missing_kubectl_are_reported_in_one_sentence(
    script: str | None, words: str, kubectl: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if script:
        answer(kubectl, script)
    else:
        monkeypatch.setenv("PATH", str(kubectl))
    code, out, errors = vllm_chart(capsys, "doctor", "llama", "-n", "llm")
    assert words in errors
    assert (code, out, errors.count("\n")) == (2, "", 1)


def test_unknown_context_is_reported_in_one_sentence(kubectl: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer(kubectl, 'echo "error: no context exists with the name: \\"$1\\"" >&2; exit 1')
    code, out, errors = vllm_chart(capsys, "doctor", "llama", "--kube-context", "prod")
    assert 'Cannot read kubectl\'s configuration: no context exists with the name: "--context=prod". Check' in errors
    assert (code, out, errors.count("\n")) == (2, "", 1)


def test_missing_and_malformed_release_names_are_rejected(kubectl: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer(kubectl, SERVER)
    assert vllm_chart(capsys, "doctor")[::2] == (2, "✗ Missing argument 'RELEASE'. Run `vllm-chart doctor --help`.\n")
    code, _, errors = vllm_chart(capsys, "doctor", "a b", "-n", "llm")
    assert (code, errors.startswith("✗ a b: not a release name.")) == (2, True)


SERVER = """
case "$*" in
  *"--raw /apis"*) echo '{"groups": []}';;
  *"get secrets --selector"*) ;;
  *"get deployments --output=json --all-namespaces"*) cat "$(dirname "$0")/everywhere.json";;
  *"get deployments,"*) cat "$(dirname "$0")/release.json";;
  *"get secret "*) echo 'Error from server (Forbidden): secrets "hub" is forbidden' >&2; exit 1;;
  *"config view"*) echo llm;;
  *) echo '{"items": []}';;
esac
"""


@pytest.fixture
def cluster(kubectl: Path) -> Path:
    """A kubectl that answers with release.json and everywhere.json of its folder."""
    answer(kubectl, f"""printf '%s\\n' "$*" >> "$(dirname "$0")/calls"{SERVER}""")
    for name in ("release", "everywhere"):
        (kubectl / f"{name}.json").write_text('{"items": []}', encoding="utf-8")
    return kubectl


def write(folder: Path, name: str, *objects: Object) -> None:
    (folder / f"{name}.json").write_text(json.dumps({"items": objects}), encoding="utf-8")


def test_unknown_release_names_those_of_the_cluster(cluster: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(cluster, "everywhere", deployment())
    code, out, errors = vllm_chart(capsys, "doctor", "llama", "-n", "llm")
    assert "Namespace llm: no release llama of the chart. The cluster has llama in llm. Check" in errors
    assert (code, out, errors.count("\n")) == (2, "", 1)


def test_a_healthy_release_ends_with_0(cluster: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(cluster, "release", deployment(ready=1), pod())
    code, out, errors = vllm_chart(capsys, "doctor", "llama", "-n", "llm")
    assert "No problems found." in out
    assert (code, errors) == (0, "")


def test_cluster_and_namespace_are_those_of_the_options(cluster: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(cluster, "release", deployment(ready=1), pod())
    assert vllm_chart(capsys, "doctor", "llama", "--kube-context", "prod", "--kubeconfig", "k.yaml")[0] == 0
    calls = (cluster / "calls").read_text(encoding="utf-8").splitlines()
    assert all(call.startswith("--context=prod --kubeconfig=k.yaml ") for call in calls)
    assert all("--namespace llm " in call for call in calls[1:])


def test_a_broken_release_ends_with_1_and_says_what_could_not_be_read(
    cluster: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(cluster, "release", *config_error("couldn't find key token in Secret llm/hub").objects)
    code, out, _ = vllm_chart(capsys, "doctor", "llama", "-n", "llm")
    assert "1. Secret llm/hub has no key token." in out
    assert 'Not read: secret hub (secrets "hub" is forbidden)' in out
    assert (code, out.splitlines()[-1]) == (1, "1 problem found.")


def test_json_has_the_documented_shape(cluster: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(cluster, "release", *config_error("couldn't find key token in Secret llm/hub").objects)
    code, out, errors = vllm_chart(capsys, "doctor", "llama", "-n", "llm", "--output", "json")
    shown = json.loads(out)
    assert shown.keys() == {"release", "namespace", "workloads", "notes", "problems", "notRead"}
    assert [problem.keys() for problem in shown["problems"]] == [{"where", "problem", "remedy", "command"}]
    assert shown["notRead"] == ['secret hub (secrets "hub" is forbidden)']
    assert (code, errors) == (1, "")
