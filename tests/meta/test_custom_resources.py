"""The schemas of custom resources take what is right and refuse what is wrong, for every kind that is there."""

from __future__ import annotations

import copy
import re
from typing import Any

import jsonschema
import pytest

from ci import crds
from ci.common import VERSIONS
from vllm_chart.invariants import custom_resources, kubernetes_api
from vllm_chart.render import go_yaml
from vllm_chart.render.objects import Manifest, Objects

#: A right object of each kind, with fields of every form: numbers, amounts, lists with keys, defaults left out.
RIGHT: dict[str, dict[str, Any]] = go_yaml.load("""
PodMonitor:
  apiVersion: monitoring.coreos.com/v1
  spec:
    selector: {matchLabels: {a: b}}
    podMetricsEndpoints: [{port: http, interval: 1m30s, relabelings: [{action: drop, sourceLabels: [a]}]}]
ServiceMonitor:
  apiVersion: monitoring.coreos.com/v1
  spec:
    selector: {matchLabels: {a: b}}
    endpoints: [{port: http, targetPort: 8000, path: /metrics, scheme: http}]
PrometheusRule:
  apiVersion: monitoring.coreos.com/v1
  spec:
    groups:
      - name: vllm
        partial_response_strategy: WARN
        rules: [{alert: A, expr: up == 0, for: 5m, labels: {severity: page}}, {record: b, expr: 1}]
ScaledObject:
  apiVersion: keda.sh/v1alpha1
  spec:
    scaleTargetRef: {name: a}
    minReplicaCount: 0
    triggers: [{type: prometheus, metadata: {threshold: "5"}, authenticationRef: {name: a}}]
TriggerAuthentication:
  apiVersion: keda.sh/v1alpha1
  spec:
    secretTargetRef: [{parameter: bearerToken, name: a, key: b}]
HTTPRoute:
  apiVersion: gateway.networking.k8s.io/v1
  spec:
    parentRefs: [{name: a, sectionName: https}]
    hostnames: ["*.example.com"]
    rules:
      - matches: [{path: {type: PathPrefix, value: /v1}, headers: [{name: a, value: b}]}]
        backendRefs: [{name: a, port: 80}, {group: inference.networking.k8s.io, kind: InferencePool, name: b}]
        timeouts: {request: 0s}
InferencePool:
  apiVersion: inference.networking.k8s.io/v1
  spec:
    selector: {matchLabels: {a: b}}
    targetPorts: [{number: 8000}]
    endpointPickerRef: {name: a, port: {number: 9002}}
LeaderWorkerSet:
  apiVersion: leaderworkerset.x-k8s.io/v1
  spec:
    replicas: 2
    rolloutStrategy: {type: RollingUpdate, rollingUpdateConfiguration: {maxSurge: 25%}}
    leaderWorkerTemplate:
      size: 2
      workerTemplate:
        metadata: {labels: {a: b}}
        spec:
          containers:
            - name: vllm
              ports: [{containerPort: 8000}, {containerPort: 8000, protocol: UDP}]
              resources: {limits: {memory: 16Gi, nvidia.com/gpu: 8}}
Application:
  apiVersion: argoproj.io/v1alpha1
  spec:
    project: default
    destination: {server: https://kubernetes.default.svc, namespace: a}
    source: {repoURL: registry.example, chart: vllm, targetRevision: 1.0.0, helm: {valuesObject: {any: {thing: 1}}}}
    ignoreDifferences: [{group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}]
HelmRelease:
  apiVersion: helm.toolkit.fluxcd.io/v2
  spec:
    interval: 10m
    chartRef: {kind: OCIRepository, name: vllm}
    values: {any: {thing: 1}}
OCIRepository:
  apiVersion: source.toolkit.fluxcd.io/v1
  spec:
    interval: 1h
    url: oci://registry.example/charts/vllm
    ref: {semver: 1.x}
""")

#: Kind, path to a map or list of the right object, what is put there (None takes away), and words of the complaint.
WRONG: list[tuple[str, str, Any, str]] = [
    ("PodMonitor", "spec", {"podMetricEndpoints": []}, "podMetricEndpoints"),
    ("PodMonitor", "spec.podMetricsEndpoints.0", {"interval": "30s1m"}, "30s1m"),
    ("PodMonitor", "metadata", {"labels": ["a"]}, "metadata.labels"),
    ("PodMonitor", "metadata", {"lables": {}}, "lables"),
    ("ServiceMonitor", "spec", {"selector": None}, "'selector' is a required"),
    ("ServiceMonitor", "spec.endpoints.0", {"targetPort": 80.5}, "targetPort"),
    ("ServiceMonitor", "spec.endpoints.0", {"scheme": "ftp"}, "ftp"),
    ("PrometheusRule", "spec.groups.0.rules.0", {"expression": "up"}, "expression"),
    ("PrometheusRule", "spec.groups.0.rules.0", {"expr": ["up"]}, "expr"),
    ("PrometheusRule", "spec.groups.0", {"partial_response_strategy": "retry"}, "retry"),
    ("PrometheusRule", "spec.groups", {"name": "vllm", "rules": []}, 'vllm"] is there 2 times'),
    ("ScaledObject", "spec", {"triggers": None}, "triggers"),
    ("ScaledObject", "spec", {"maxReplicaCount": "4"}, "maxReplicaCount"),
    ("ScaledObject", "spec.triggers.0.metadata", {"threshold": 5}, "threshold"),
    ("TriggerAuthentication", "spec.secretTargetRef.0", {"secret": "a"}, "secret"),
    ("TriggerAuthentication", "spec.secretTargetRef", {"name": "a", "key": "b"}, "parameter"),
    ("HTTPRoute", "spec.rules.0.backendRefs.0", {"port": 70000}, "70000"),
    ("HTTPRoute", "spec.rules.0.matches.0.path", {"type": "Prefix"}, "'Prefix'"),
    ("HTTPRoute", "spec.rules.0", {"timeouts": {"request": "1 minute"}}, "1 minute"),
    ("HTTPRoute", "spec.rules.0.matches.0.headers", {"name": "a", "value": "c"}, 'a"] is there 2 times'),
    ("HTTPRoute", "spec", {"hostname": "a.example"}, "hostname"),
    ("InferencePool", "spec", {"targetPorts": []}, "targetPorts"),
    ("InferencePool", "spec", {"targetPortNumber": 8000}, "targetPortNumber"),
    ("InferencePool", "spec.endpointPickerRef", {"failureMode": "Open"}, "'Open'"),
    ("Application", "spec.source", {"chartName": "vllm"}, "chartName"),
    ("Application", "spec", {"project": None}, "'project' is a required"),
    ("HelmRelease", "spec", {"interval": "soon"}, "soon"),
    ("HelmRelease", "spec.chartRef", {"kind": "Chart"}, "'Chart'"),
    ("OCIRepository", "spec", {"url": "https://registry.example/charts/vllm"}, "https://registry.example"),
    ("LeaderWorkerSet", "spec.leaderWorkerTemplate", {"sizes": 2}, "sizes"),
    ("LeaderWorkerSet", "spec", {"startupPolicy": "Parallel"}, "Parallel"),
    ("LeaderWorkerSet", "spec.leaderWorkerTemplate.workerTemplate.metadata", {"label": {}}, "label"),
    ("LeaderWorkerSet", "spec.leaderWorkerTemplate.workerTemplate.spec", {"hostNetworking": True}, "hostNetworking"),
    (
        "LeaderWorkerSet",
        "spec.leaderWorkerTemplate.workerTemplate.spec.containers.0.resources.limits",
        {"memory": "16GB"},
        "16GB",
    ),
    (
        "LeaderWorkerSet",
        "spec.leaderWorkerTemplate.workerTemplate.spec.containers.0.ports",
        {"containerPort": 8000, "protocol": "TCP"},
        '[8000, "TCP"] is there 2 times',
    ),
]


def manifest(kind: str) -> Manifest:
    """A right object of the kind."""
    body = {"kind": kind, "metadata": {"name": "right", "labels": {"a": "b"}}, **copy.deepcopy(RIGHT[kind])}
    return Manifest("example", body)


def test_every_kind_has_a_right_and_a_wrong_example() -> None:
    kinds = {path.stem for path in custom_resources.FOLDER.glob("*.json")}
    assert kinds == set(RIGHT) == {kind for kind, *_ in WRONG}


@pytest.mark.parametrize("kind", RIGHT)
def test_a_right_custom_resource_is_taken_in_every_version(kind: str) -> None:
    example = manifest(kind)
    for version in custom_resources.schemas(kind):
        example.body["apiVersion"] = version
        assert [str(finding) for finding in kubernetes_api.findings(Objects([example]), "1.37")] == []


@pytest.mark.parametrize(("kind", "path", "wrong", "words"), WRONG)
def test_a_wrong_custom_resource_is_refused(kind: str, path: str, wrong: Any, words: str) -> None:
    example = manifest(kind)
    place = example.at(*[int(step) if step.isdigit() else step for step in path.split(".")])
    if isinstance(place, list):
        place.append(wrong)
    else:
        merged = {key: value for key, value in {**place, **wrong}.items() if value is not None}
        place.clear()
        place.update(merged)
    (finding,) = kubernetes_api.findings(Objects([example]), "1.37")
    assert words in str(finding)


def test_an_object_is_as_open_as_its_definition_says() -> None:
    schema = {
        "type": "object",
        "required": ["kept", "given", "filled"],
        "properties": {
            "kept": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "given": {"type": "integer", "nullable": True},
            "filled": {"type": "string", "default": "x"},
            "empty": {"type": "object"},
            "unique": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        },
    }
    validator = custom_resources.Validator(custom_resources.strict(schema))
    right = {"kept": {"any": 1}, "given": None, "empty": {}, "unique": ["a", "b"]}
    assert validator.is_valid(right)
    for wrong in ({"other": 1}, {"empty": {"a": 1}}, {"given": "1"}, {"unique": ["a", "a"]}):
        assert not validator.is_valid(right | wrong), wrong


def test_every_schema_is_one_that_python_can_use() -> None:
    for path in custom_resources.FOLDER.glob("*.json"):
        for schema in custom_resources.schemas(path.stem).values():
            # of their keywords draft 7 says what 2020-12 says, in a fifth of the time
            checker = jsonschema.Draft7Validator.FORMAT_CHECKER
            jsonschema.Draft7Validator.check_schema(schema, format_checker=checker)


def test_the_schemas_are_of_the_versions_that_versions_toml_names() -> None:
    text = (custom_resources.FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"controller-gen {VERSIONS['custom-resources']['controller-tools']} " in text, "run `make crds`"
    listed = dict(re.findall(r"^\| (\w+) \| .* \| (\S+ v\S+) \|$", text, flags=re.MULTILINE))
    pinned = {kind: f"{source.module} v{source.version}" for source in crds.SOURCES for kind in source.kinds}
    assert listed == pinned, "run `make crds`"
    assert {path.stem for path in custom_resources.FOLDER.glob("*.json")} == set(pinned), "run `make crds`"
