"""Real vLLM, installed by values/cpu.yaml, answers as its API promises."""

import base64
import json
import re
from collections.abc import Callable

import httpx
import pytest
import yaml
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from ci.chat import lines
from ci.common import ROOT
from ci.demo import MODEL
from ci.helm_release import HelmRelease
from vllm_chart.sizing import model_memory

MODELS = ROOT / "tests" / "commands" / "models.yaml"  # whose configs are worked by hand there
BLOCK_TOKENS = 128  # on CPU
FRANCE = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "max_tokens": 32,
    "temperature": 0,
}


def _finished_requests(api: httpx.Client) -> float:
    metrics = api.get("/metrics").raise_for_status().text
    counts = re.findall(rf'^vllm:request_success_total\{{[^}}]*model_name="{MODEL}"[^}}]*\}} (\S+)$', metrics, re.M)
    assert counts, "vllm:request_success_total isn't in /metrics"
    return sum(map(float, counts))


def test_the_models_endpoint_lists_the_served_name(api: httpx.Client) -> None:
    listed = api.get("/v1/models").raise_for_status().json()
    assert [model["id"] for model in listed["data"]] == [MODEL]


def test_a_chat_completion_knows_the_capital_of_france(api: httpx.Client) -> None:
    answer = api.post("/v1/chat/completions", json=FRANCE).raise_for_status().json()
    (choice,) = answer["choices"]
    assert "Paris" in choice["message"]["content"]
    assert choice["finish_reason"] in ("stop", "length")


def test_a_streamed_completion_arrives_in_pieces_and_ends_in_done(api: httpx.Client) -> None:
    with api.stream("POST", "/v1/chat/completions", json=FRANCE | {"stream": True}) as response:
        assert response.status_code == 200
        events = [line.removeprefix("data: ") for line in lines(response) if line]
    assert events[-1] == "[DONE]"
    pieces = [json.loads(event)["choices"][0]["delta"].get("content") for event in events[:-1]]
    assert len([piece for piece in pieces if piece]) > 1
    assert "Paris" in "".join(piece or "" for piece in pieces)


def test_metrics_count_each_finished_request(api: httpx.Client) -> None:
    before = _finished_requests(api)
    api.post("/v1/chat/completions", json=FRANCE).raise_for_status()
    assert _finished_requests(api) == before + 1


def test_the_kv_cache_holds_what_make_new_values_reckons(release: HelmRelease, api: httpx.Client) -> None:
    api.get("/health").raise_for_status()
    (pod,) = [pod["metadata"]["name"] for pod in release.pods()]
    reported = re.search(r"CPU KV cache size: ([\d,]+) tokens", release.kubectl("logs", pod, "--tail=-1"))
    assert reported, "vLLM doesn't say how large its KV cache is"
    small = model_memory.read(
        yaml.safe_load(MODELS.read_text())["HuggingFaceTB/SmolLM2-135M-Instruct"]["config"], MODEL
    )
    engine = yaml.safe_load((ROOT / "values" / "cpu.yaml").read_text())["engine"]
    space = int(engine["env"]["VLLM_CPU_KVCACHE_SPACE"]) * model_memory.GIB
    token = small.token(cache_bytes={"float32": 4, "bfloat16": 2}[engine["args"]["dtype"]])
    blocks = space // (small.layers * token * BLOCK_TOKENS)
    assert int(reported[1].replace(",", "")) == blocks * BLOCK_TOKENS


def test_the_record_that_helm_keeps_of_a_release_is_small(release: HelmRelease, record: Callable[..., None]) -> None:
    secret = release.kubectl("get", "secret", "--selector=owner=helm,status=deployed", "--output=json")
    (kept,) = [len(base64.b64decode(item["data"]["release"])) for item in json.loads(secret)["items"]]
    record("Helm's Secret of the release", size=f"{kept / 1000:.0f} kB")
    assert kept < 250_000


def test_no_container_has_restarted(release: HelmRelease, api: httpx.Client) -> None:
    api.get("/health").raise_for_status()
    restarts = {
        f"{pod['metadata']['name']}/{status['name']}": status["restartCount"]
        for pod in release.pods()
        for status in pod["status"]["containerStatuses"]
    }
    assert restarts, "the release has no running container"
    assert set(restarts.values()) == {0}, restarts


def test_the_namespace_admits_the_pod_and_refuses_a_privileged_one(
    release: HelmRelease, core: client.CoreV1Api
) -> None:
    labels = core.read_namespace(release.namespace).metadata.labels
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    privileged = client.V1Pod(
        metadata=client.V1ObjectMeta(name="privileged"),
        spec=client.V1PodSpec(
            containers=[
                client.V1Container(name="c", image="x:1", security_context=client.V1SecurityContext(privileged=True))
            ]
        ),
    )
    with pytest.raises(ApiException) as refusal:
        core.create_namespaced_pod(release.namespace, privileged, dry_run="All")
    assert refusal.value.status == 403
    assert "violates PodSecurity" in refusal.value.body


def test_a_pod_resolves_service_names_and_reaches_the_server_by_its_own(
    release: HelmRelease, core: client.CoreV1Api
) -> None:
    (pod,) = [pod["metadata"]["name"] for pod in release.pods()]
    url = f"http://{release.name}.{release.namespace}.svc.cluster.local/health"
    script = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=10).status)"
    assert core.read_namespaced_service(release.name, release.namespace).spec.ports[0].port == 80
    assert release.kubectl("exec", pod, "--", "python3", "-c", script).strip() == "200"


def test_helm_test_passes_and_says_what_it_looked_at(release: HelmRelease, api: httpx.Client) -> None:
    api.get("/health").raise_for_status()
    said = release.helm("test", release.name, "--logs", "--timeout=3m")
    assert "Succeeded" in said
    assert MODEL in said
