"""Mistakes that users bring from other charts, older guides and Kubernetes are answered with what to write instead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from scripts.generate import schema as generator
from tests.contract.conftest import Complaints, Refuse, Steps

#: What a user writes, and words of the answer. Those in one list are given to Helm at once.
MISTAKES: list[list[tuple[dict[str, Any], str]]] = [
    # the shape of one part
    [
        ({"image": "vllm/vllm-openai:v1.2.3"}, "(write registry, repository and tag)"),
        ({"model": "Qwen/Qwen3-0.6B"}, "(write uri, e.g. hf://organisation/name)"),
        ({"accelerator": "nvidia"}, "(write type, e.g. nvidia or cpu)"),
        ({"engine": {"args": ["--max-model-len", "4096"]}}, "(write a map of flags"),
        ({"engine": {"env": [{"name": "HF_HOME", "value": "/cache"}]}}, "(write a map of name to value"),
        ({"engine": {"envFrom": {"secretRef": {"name": "a"}}}}, "(write a list"),
        ({"engine": {"extraArgs": "--enable-lora --max-loras 4"}}, "(write a list with one word in each item)"),
        ({"server": {"apiKey": "sk-secret"}}, "(write keys, a map of any name"),
        ({"cache": {"model": "/models"}}, "(write type, with claimName or size)"),
        ({"checks": {"disabled": ["serviceType"]}}, "(write a map, e.g. NAME: true)"),
        ({"strategy": "Recreate"}, "(write type, e.g. Recreate)"),
        ({"resources": {"limits": {"gpu": 1}, "requests": {"memory": "16GB"}}}, "(write a quantity"),
        ({"nodeSelector": [{"pool": "gpu"}]}, "(write a map of name to text)"),
        ({"tolerations": {"key": "nvidia.com/gpu", "operator": "Exists"}}, "(write a list of such maps)"),
        ({"topologySpreadConstraints": {"maxSkew": 1}}, "(write a list of such maps)"),
        ({"imagePullSecrets": ["registry"]}, "(write name: NAME)"),
        ({"serviceAccount": "vllm"}, "(write create and name)"),
        ({"extraVolumes": [{"name": "data", "emptyDir": {}}]}, "(write a map of name to volume)"),
        ({"extraVolumeMounts": [{"name": "data", "mountPath": "/data"}]}, "(write a map of path to mount)"),
        ({"initContainers": [{"name": "get", "image": "a:1"}]}, "(write a map of name to container)"),
        ({"extraObjects": [{"apiVersion": "v1"}]}, "(write a map of any name to object)"),
        ({"podAnnotations": {"prometheus.io/scrape": True}}, "string"),
        ({"parallelism": {"tensor": "2"}}, "integer"),
        ({"replicas": "two"}, "integer"),
        ({"networkPolicy": {"from": {"podSelector": {}}}}, "(write a list of peers)"),
        ({"service": {"type": "ExternalName"}}, "LoadBalancer"),
    ],
    # a part of a part, in the words of other projects
    [
        ({"engine": {"args": {"maxModelLen": 4096, "gpu-memory-utilization": "90%"}}}, "(write a number, e.g. 0.9)"),
        ({"engine": {"model": "Qwen/Qwen3-0.6B"}}, "(write it at the root)"),
        ({"engine": {"args": {"max-num-seqs": "many", "speculative-config": "ngram"}}}, "(write a map)"),
        ({"model": {"args": {"max-model-len": 1}}}, "(write it in engine.args)"),
        ({"model": {"credentials": "hf_token"}}, "(write existingSecret, the name of a Secret, and key)"),
        ({"model": {"aliases": "chat"}}, "(write a list of names)"),
        ({"parallelism": {"tensorParallelSize": 2}}, "(write tensor, pipeline or data)"),
        ({"server": {"host": "0.0.0.0"}}, "(leave it out"),  # noqa: S104
        ({"server": {"apiKey": {"keys": [{"existingSecret": "a", "key": "b"}]}}}, "(write a map of any name"),
        ({"startup": {"initialDelaySeconds": 120}}, "(write timeoutSeconds"),
        ({"drain": {"terminationGracePeriodSeconds": 60}}, "(write delaySeconds and timeoutSeconds"),
        ({"cache": {"enabled": True, "compile": {"existingClaim": "a"}}}, "(write type existing and claimName)"),
        ({"cache": {"size": "10Gi"}}, "(write it in model or compile)"),
        ({"checks": {"serviceType": False}}, "(write it in disabled, e.g. NAME: true)"),
        ({"strategy": {"maxSurge": 1}}, "(write it in rollingUpdate)"),
        ({"resources": {"nvidia.com/gpu": 1, "limits": {"gpu": 1}}}, "(write cpu, memory or the full name"),
        ({"serviceAccount": {"automountServiceAccountToken": True}}, "(leave it out, the server needs no token)"),
        ({"podDisruptionBudget": {"minAvailable": 1}}, "(write maxUnavailable"),
        ({"metrics": {"enabled": True}}, "(write it in serviceMonitor, podMonitor or scrapeAnnotations)"),
        ({"metrics": {"serviceMonitor": {"additionalLabels": {}, "interval": "30"}}}, "(write a duration, e.g. 30s)"),
        ({"autoscaling": {"enabled": True}}, "(write it in hpa or keda)"),
        ({"autoscaling": {"hpa": {"targetCPUUtilizationPercentage": 80}}}, "(write metricName and targetPerReplica)"),
        ({"autoscaling": {"keda": {"serverAddress": "prometheus:9090"}}}, "(write a URL, e.g. http://prometheus:9090)"),
        ({"networkPolicy": {"ingress": []}}, "(write from)"),
        ({"service": {"ports": []}}, "(write port)"),
        ({"image": {"name": "vllm/vllm-openai"}}, "(write repository)"),
        ({"imagePullSecrets": "registry"}, "(write a list"),
        ({"nameOverride": "My Model"}, "(write lower-case letters, digits and dashes)"),
        ({"priorityClassName": "first\nlast"}, "(write lower-case letters, digits, dashes and dots)"),
        ({"serviceAccount": {"name": "My Account"}}, "(write lower-case letters, digits, dashes and dots)"),
    ],
    # the root
    [
        ({"vllm": {"replicas": 2}}, "(write its keys at the root"),
        ({"servingEngineSpec": {"modelSpec": []}}, "one release serves one model"),
        ({"persistence": {"enabled": True}}, "(write cache.model"),
        ({"shmSize": "20Gi"}, "(leave it out"),
        ({"deploymentStrategy": {}}, "(write strategy)"),
        ({"maxModelLen": 4096}, "(write vLLM's flags in engine.args"),
        ({"enablePrefixCaching": True}, "(write vLLM's flags in engine.args"),
        ({"hpa": {"enabled": True}}, "(write autoscaling.hpa or autoscaling.keda)"),
        ({"serviceMonitor": {"enabled": True}}, "(write metrics.serviceMonitor"),
        ({"maxUnavailablePodDisruptionBudget": 1}, "(write podDisruptionBudget)"),
        ({"servicePort": 80}, "(write service.type, service.port"),
        ({"runtimeClass": "nvidia"}, "(write runtimeClassName"),
        ({"storageUri": "hf://a/b"}, "(write model.uri"),
        ({"customObjects": []}, "(write extraObjects"),
        ({"secrets": {}}, "which reference a Secret"),
        ({"command": ["vllm", "serve"]}, "(leave it out, the image starts vllm serve"),
        ({"replicas": 2.5}, "integer"),
    ],
]


def merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """One map of all; no two may give the same key another value."""
    result: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            inner = result.get(key, {})
            assert key not in result or (isinstance(inner, dict) and isinstance(value, dict)), key
            result[key] = merged([inner, value]) if isinstance(value, dict) else value
    return result


def answers(complaints: Complaints, value: Any, path: Steps = ()) -> Iterator[str]:
    """What is said of a value below the root, and of all that is in it."""
    if path:
        yield complaints.about(path)
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in items:
        yield from answers(complaints, inner, (*path, step))


@pytest.mark.parametrize("mistakes", MISTAKES, ids=["shape", "part", "root"])
def test_a_mistake_is_answered_with_what_to_write(mistakes: list[tuple[dict[str, Any], str]], refuse: Refuse) -> None:
    complaints = refuse(merged([values for values, _ in mistakes]))
    unanswered = [
        (json.dumps(values), words)
        for values, words in mistakes
        if not any(words in said for said in answers(complaints, values))
    ]
    assert not unanswered, complaints.text


@pytest.mark.parametrize(("kind", "wrong"), [("array", [[], ["a"]]), ("object", [{}, {"a": 1}]), ("string", ["", "a"])])
def test_nothing_of_a_type_that_is_answered_with_a_text_is_valid(kind: str, wrong: list[Any]) -> None:
    keywords = generator.INSTEAD[kind]("(write a map, e.g. NAME: true)")
    schema = jsonschema.Draft7Validator({"type": ["integer", kind], **keywords})
    assert schema.is_valid(1)
    assert [value for value in wrong if schema.is_valid(value)] == []
