"""What single values make of the objects around the pod, of names and labels, and of the notes."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from vllm_chart.invariants import kubernetes_api
from vllm_chart.render import go_yaml, helm


def test_the_service_leads_to_the_server_by_port_name() -> None:
    service = helm.render({"service": {"port": 8080}}).objects.one("Service")
    assert service.at("spec", "type") == "ClusterIP"
    assert service.at("spec", "ports") == [
        {"name": "http", "port": 8080, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}
    ]


def test_a_node_port_is_given_or_left_to_the_cluster() -> None:
    checks = {"disabled": {"serviceType": True}}
    chosen = helm.render({"service": {"type": "NodePort", "nodePort": 30080}, "checks": checks}).objects.one("Service")
    free = helm.render({"service": {"type": "NodePort"}, "checks": checks}).objects.one("Service")
    assert chosen.at("spec", "ports", "http", "nodePort") == 30080
    assert free.lacks("spec", "ports", "http", "nodePort")


@pytest.mark.parametrize(
    ("account", "made", "used"),
    [
        ({}, "test", "test"),
        ({"name": "other"}, "other", "other"),
        ({"create": False}, None, "default"),
        ({"create": False, "name": "there"}, None, "there"),
        ({"name": "123"}, "123", "123"),
    ],
)
def test_the_service_account_is_made_or_named(account: dict[str, Any], made: str | None, used: str) -> None:
    objects = helm.render({"serviceAccount": account}).objects
    assert [item.name for item in objects.of("ServiceAccount")] == ([made] if made else [])
    assert objects.one("Deployment").at("spec", "template", "spec", "serviceAccountName") == used
    assert objects.one("Pod").at("spec", "serviceAccountName") == used


def test_service_account_mounts_no_token() -> None:
    # the server never calls the Kubernetes API
    account = helm.render({}).objects.one("ServiceAccount")
    assert account.at("automountServiceAccountToken") is False


def test_a_disruption_budget_keeps_all_servers_but_one() -> None:
    budget = helm.render({"podDisruptionBudget": {"enabled": True}, "replicas": 3}).objects.one("PodDisruptionBudget")
    assert budget.at("spec") == {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": {"app.kubernetes.io/name": "vllm", "app.kubernetes.io/instance": "test"}},
    }
    assert not helm.render({}).objects.of("PodDisruptionBudget")


def test_common_labels_reach_objects_and_pods_but_never_selectors() -> None:
    labels = {"team": "a", "app.kubernetes.io/name": "mine", "app.kubernetes.io/instance": "mine"}
    objects = helm.render({"commonLabels": labels, "commonAnnotations": {"owner": "b"}}).objects
    for manifest in objects:
        assert manifest.at("metadata", "labels", "team") == "a"
        assert manifest.at("metadata", "labels", "app.kubernetes.io/name").startswith("vllm")
        assert manifest.at("metadata", "annotations", "owner") == "b"
    deployment = objects.one("Deployment")
    assert deployment.at("spec", "template", "metadata", "labels") == {
        "team": "a",
        "app.kubernetes.io/name": "vllm",
        "app.kubernetes.io/instance": "test",
    }
    assert "owner" not in deployment.at("spec", "template", "metadata", "annotations")


def test_long_names_are_cut_with_a_hash_so_that_two_never_meet() -> None:
    names = {helm.render({"fullnameOverride": "a" * 70 + last}).objects.one("Service").name for last in "bc"}
    assert len(names) == 2
    assert {len(name) for name in names} == {63}


def test_name_with_suffix_is_cut_at_63_characters() -> None:
    fullname = "a" * 63
    found = {item.name for item in helm.render({"fullnameOverride": fullname}).objects}
    digests = [hashlib.sha256(f"{fullname}-{suffix}".encode()).hexdigest() for suffix in ("lifecycle", "test")]
    assert found == {fullname, *(f"{'a' * 54}-{digest[:8]}" for digest in digests)}


@pytest.mark.parametrize(
    ("release", "name"), [("7b", "vllm-7b"), ("llama-3.1", "llama-3-1"), ("a--b", None), ("gemma2-9", None)]
)
def test_a_release_name_that_no_service_may_have_is_changed_with_a_hash(release: str, name: str | None) -> None:
    found = {item.name for item in helm.render({}, release=release).objects}
    expected = f"{name}-{hashlib.sha256(release.encode()).hexdigest()[:8]}" if name else release
    assert found == {expected, f"{expected}-lifecycle", f"{expected}-test"}
    assert f"service/{expected} " in helm.notes({}, release=release)


#: Names that Helm and Kubernetes take, and that are no texts to YAML unless they are quoted.
MISREAD = ["on", "no", "null", "123", "0x1f", "1e3"]


@pytest.mark.parametrize("name", MISREAD)
def test_a_name_that_yaml_takes_for_something_else_stays_a_name(name: str) -> None:
    values = {
        "priorityClassName": name,
        "runtimeClassName": name,
        "serviceAccount": {"name": name},
        "ingress": {"enabled": True, "className": name},
        "cache": {"model": {"type": "claim", "size": "1Gi", "storageClassName": name}},
        "autoscaling": {"hpa": {"enabled": True, "metricName": name}},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
        "metrics": {"scrapeConfig": {"enabled": True}},
    }
    for nodes in (1, 2):
        given = {**values, "parallelism": {"nodes": nodes, "tensor": 2}, "checks": {"disabled": {"claimAccess": True}}}
        rendered = helm.render(given, release=name, namespace=name)
        assert not kubernetes_api.findings(rendered.objects, "1.37"), rendered.command
        assert {item.at("metadata", "namespace") for item in rendered.objects} == {name}
        for text in rendered.objects.one("ConfigMap", f"{rendered_name(rendered)}-scrape-config").at("data").values():
            (job,) = go_yaml.load(text)["scrape_configs"]
            assert job["kubernetes_sd_configs"][0]["namespaces"]["names"] == [name]


def rendered_name(rendered: helm.Render) -> str:
    """The name of the release's objects."""
    return rendered.objects.one("Service").name


def test_extra_objects_are_installed_with_their_templates_filled_in() -> None:
    extra = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-x"}, "data": {"n": "1"}}
    other = {**extra, "metadata": {"name": "y"}}
    objects = helm.render({"extraObjects": {"x": extra, "y": other}}).objects
    assert objects.one("ConfigMap", "test-x").at("data") == {"n": "1"}
    assert objects.one("ConfigMap", "y").at("data") == {"n": "1"}


# -- notes

UNAVAILABLE_2 = {"rollingUpdate": {"maxUnavailable": 2}}
#: Which LeaderWorkerSet does with more than one replica only.
SURGE_1 = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "50%"}}
UNKNOWN = {"rollingUpdate": {"maxSurge": None, "maxUnavailable": None}}


def test_the_notes_show_the_derived_numbers() -> None:
    values = {
        "parallelism": {"tensor": 2, "pipeline": 2},
        "replicas": 2,
        "startup": {"timeoutSeconds": 900},
        "engine": {"extraArgs": ["--new-flag", 1048576]},
    }
    text = helm.notes(values)
    assert "4 \u00d7 nvidia.com/gpu for each pod (tensor 2 \u00d7 pipeline 2 \u00d7 data 1)" in text
    assert "up to 900 s" in text
    deadline = helm.render(values).objects.one("Deployment").at("spec", "progressDeadlineSeconds")
    assert f"--timeout {2 * deadline}s" in text
    assert "unchecked   engine.extraArgs are passed on as they are: --new-flag 1048576\n" in text


def test_the_notes_count_devices_of_a_claim_as_such() -> None:
    taken = {"name": "vllm", "resources": {"claims": [{"name": "gpus"}], "limits": {"nvidia.com/gpu": None}}}
    claims = [{"name": "gpus", "resourceClaimTemplateName": "two"}]
    values = {"parallelism": {"tensor": 2}, "podSpec": {"resourceClaims": claims, "containers": [taken]}}
    server = ("spec", "template", "spec", "containers", "vllm", "resources")
    resources = helm.render(values).objects.one("Deployment").at(*server)
    assert resources == {"claims": [{"name": "gpus"}], "limits": {}}
    text = helm.notes(values)
    assert "2 by claim gpus for each pod (tensor 2 \u00d7 pipeline 1 \u00d7 data 1)" in text
    assert "a surge needs 2 free devices\n" in text
    assert "nvidia.com/gpu" not in text
    group = helm.notes({**values, "parallelism": {"tensor": 4, "nodes": 2}})
    assert "count groups of 2 pods with 4 by claim gpus\n" in group
    # a claim beside the counted devices is of something else
    beside = {**values, "podSpec": {"resourceClaims": claims}, "resources": {"claims": [{"name": "gpus"}]}}
    assert "2 \u00d7 nvidia.com/gpu for each pod" in helm.notes(beside)


@pytest.mark.parametrize(
    ("values", "gap"),
    [
        ({}, True),
        ({"replicas": 2}, False),
        ({"accelerator": {"type": "cpu"}}, False),
        ({"replicas": 2, "strategy": {"rollingUpdate": {"maxUnavailable": "99%"}}}, False),
        ({"replicas": 2, "strategy": {"rollingUpdate": {"maxUnavailable": "100%"}}}, True),
        ({"replicas": 3, "strategy": {"rollingUpdate": {"maxUnavailable": 3, "maxSurge": 1}}}, True),
        ({"replicas": 3, "strategy": {"type": "Recreate"}}, True),
        ({"strategy": {"rollingUpdate": {"maxSurge": 1}}}, False),
        ({"strategy": {"rollingUpdate": {"maxSurge": "1%"}}}, False),
        ({"accelerator": {"type": "cpu"}, "strategy": {"type": "Recreate"}}, True),
        ({"accelerator": {"type": "cpu"}, "strategy": {"rollingUpdate": {"maxSurge": "0%"}}}, True),
        ({"accelerator": {"type": "cpu"}, "strategy": {"rollingUpdate": {"maxUnavailable": 1}}}, True),
        ({"accelerator": {"type": "cpu"}, "strategy": {"rollingUpdate": {"maxUnavailable": "50%"}}}, False),
        ({"autoscaling": {"hpa": {"enabled": True, "minReplicas": 1, "maxReplicas": 4}}}, True),
        ({"autoscaling": {"hpa": {"enabled": True, "minReplicas": 2, "maxReplicas": 4}}}, False),
        ({"parallelism": {"nodes": 2, "tensor": 2}}, True),
        ({"parallelism": {"nodes": 2, "tensor": 2}, "replicas": 2}, False),
        ({"parallelism": {"nodes": 2, "tensor": 2}, "replicas": 2, "strategy": UNAVAILABLE_2}, True),
        ({"parallelism": {"nodes": 2, "tensor": 2}, "replicas": 1, "strategy": SURGE_1}, True),
        ({"parallelism": {"nodes": 2, "tensor": 2}, "replicas": 2, "strategy": SURGE_1}, False),
        ({"parallelism": {"nodes": 2, "tensor": 2}, "replicas": 2, "strategy": UNKNOWN}, False),
        ({"parallelism": {"nodes": 2, "tensor": 2}, "replicas": 1, "strategy": UNKNOWN}, True),
    ],
)
def test_the_notes_say_when_a_rollout_leaves_nobody_to_answer(values: dict[str, Any], gap: bool) -> None:
    assert ("and nothing answers for as long as one takes" in helm.notes(values)) is gap


def test_the_notes_say_how_to_close_the_gap() -> None:
    scaled = " ".join(helm.notes({"autoscaling": {"hpa": {"enabled": True}}}).split())
    assert "set autoscaling.hpa.minReplicas to at least 2 and" in scaled
    recreated = " ".join(helm.notes({"strategy": {"type": "Recreate"}}).split())
    assert (
        "set strategy.type to RollingUpdate, and with room for one more server set replicas to at least 2" in recreated
    )
    assert "maxUnavailable to 1, or maxSurge to 1 and maxUnavailable to 0 " in recreated
    assert "maxSurge" not in helm.notes({"parallelism": {"nodes": 2, "tensor": 2}})


def labelled(text: str) -> dict[str, str]:
    """The notes between the first paragraph and the commands, by their label; a long note is one line."""
    _, notes, watch, *_ = text.split("\n\n")
    assert watch == "Watch it start:"
    pairs = re.findall(r"^  (\w+) +(.*(?:\n {10,}.*)*)", notes, flags=re.MULTILINE)
    return {label: " ".join(note.split()) for label, note in pairs}


def test_notes_are_those_that_concern_the_release() -> None:
    adapter = "the HorizontalPodAutoscaler needs prometheus-adapter with the rules in ConfigMap test-adapter-config"
    every = {
        "accelerator": {"type": "tpu", "perPod": 4},
        "parallelism": {"nodes": 2, "tensor": 8},
        "autoscaling": {"hpa": {"enabled": True, "maxReplicas": 3}},
        "engine": {"extraArgs": ["--flag"]},
        "server": {
            "apiKey": {"keys": {"main": {"existingSecret": "api", "key": "key"}}},
            "tls": {"existingSecret": "tls"},
        },
        "ingress": {"enabled": True, "hosts": {"a.example": {}}},
        "checks": {"disabled": {"imageTag": True}},
    }
    group = labelled(helm.notes(every))
    assert list(group) == [
        *("devices", "start", "counts", "loss", "stop", "Helm", "rollout", "gap"),
        *("untested", "adapter", "unchecked", "outside", "checks"),
    ]
    assert group["adapter"] == adapter
    assert group["gap"].endswith(
        "and start: with room for one more server set autoscaling.hpa.minReplicas to at least 2 and "
        "strategy.rollingUpdate.maxUnavailable to 1"
    )

    common = ["devices", "start", "stop", "Helm"]
    recreated = labelled(helm.notes({"autoscaling": {"hpa": {"enabled": True}}, "strategy": {"type": "Recreate"}}))
    assert list(recreated) == [*common, "gap", "adapter"]
    assert recreated["adapter"] == adapter
    assert "start: set strategy.type to RollingUpdate, and with room for one more server set " in recreated["gap"]

    cpu = {"accelerator": {"type": "cpu"}, "resources": {"requests": {"cpu": 4}}}
    scaled = {"hpa": {"enabled": True, "metric": "cpu"}}
    assert list(labelled(helm.notes({**cpu, "autoscaling": scaled}))) == common
    keda = {"enabled": True, "serverAddress": "http://prometheus:9090"}
    assert list(labelled(helm.notes({**cpu, "autoscaling": {"keda": keda}}))) == common


def test_the_notes_hold_a_first_request_that_the_server_understands() -> None:
    text = helm.notes({"model": {"name": "chat"}, "service": {"port": 8080}}, release="one", namespace="two")
    assert "kubectl --namespace two port-forward service/one 8000:8080" in text
    body = re.search(r"-d '(.*)'", text)
    assert body
    assert json.loads(body.group(1))["model"] == "chat"
    assert "Authorization" not in text


def test_the_notes_lead_from_the_start_to_an_answer() -> None:
    text = helm.notes({})
    steps = [
        "Watch it start:",
        "rollout status deployment/test",
        "Ask it, from two terminals:",
        "port-forward",
        "curl ",
    ]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)


def test_the_notes_name_the_checks_that_are_off() -> None:
    disabled = {"serviceType": True, "imageTag": False}
    assert "checks      switched off: serviceType \n" in helm.notes({"checks": {"disabled": disabled}})
    assert "switched off" not in helm.notes({})


def test_the_notes_say_what_was_never_run() -> None:
    assert "untested    accelerator.type tpu" in helm.notes({"accelerator": {"type": "tpu"}})
    assert "untested" not in helm.notes({})


def test_the_notes_ask_a_pooling_model_for_a_vector() -> None:
    text = helm.notes({"engine": {"args": {"runner": "pooling"}}})
    assert "/v1/embeddings" in text
    body = re.search(r"-d '(.*)'", text)
    assert body
    assert set(json.loads(body.group(1))) == {"model", "input"}


def test_the_notes_read_the_key_from_its_secret() -> None:
    text = helm.notes({"server": {"apiKey": {"keys": {"main": {"existingSecret": "api", "key": "my.key"}}}}})
    assert """get secret api -o go-template='{{index .data "my.key" | base64decode}}'""" in text
    assert '-H "Authorization: Bearer $KEY"' in text


def test_pod_labels_override_common_labels_on_pods_only() -> None:
    labels = {"commonLabels": {"team": "a"}, "podLabels": {"team": "b"}}
    deployment = helm.render(labels).objects.one("Deployment")
    assert deployment.at("metadata", "labels", "team") == "a"
    assert deployment.at("spec", "template", "metadata", "labels", "team") == "b"
