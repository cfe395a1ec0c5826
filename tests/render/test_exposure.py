"""How a server is reached: paths, Ingress, HTTPRoute, InferencePool, TLS, and what a kind of model is asked first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lib.pod_paths import POD, SERVER
from vllm_chart.render import helm
from vllm_chart.render.objects import Objects

LABELS = {"app.kubernetes.io/name": "vllm", "app.kubernetes.io/instance": "test"}
TLS = {"server": {"tls": {"existingSecret": "server-tls"}}}
GATEWAY = {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public", "namespace": "gateways"}]}}
POOL = {"inferencePool": {"enabled": True, "endpointPicker": {"name": "picker"}}}


def objects(*parts: dict[str, Any]) -> Objects:
    """The objects that the values give together."""
    return helm.render({key: value for part in parts for key, value in part.items()}).objects


# -- paths


def routed(values: dict[str, Any]) -> list[str]:
    """The paths that the Ingress routes."""
    rule = helm.render({**values, "ingress": {"enabled": True}}).objects.one("Ingress").at("spec", "rules", 0)
    assert {item["pathType"] for item in rule["http"]["paths"]} == {"Prefix"}
    return [item["path"] for item in rule["http"]["paths"]]


@pytest.mark.parametrize(
    ("values", "paths"),
    [
        ({}, ["/v1"]),
        ({"model": {"kind": "embedding"}}, ["/v1"]),
        ({"model": {"kind": "classification"}}, ["/v1", "/classify"]),
        ({"server": {"rootPath": "/llm/a"}}, ["/llm/a/v1"]),
        ({"server": {"exposedPaths": ["/v1/models", "/v2"]}}, ["/v1/models", "/v2"]),
    ],
)
def test_only_paths_for_clients_are_routed(values: dict[str, Any], paths: list[str]) -> None:
    assert routed(values) == paths
    matches = objects(values, GATEWAY).one("HTTPRoute").at("spec", "rules", 0, "matches")
    assert matches == [{"path": {"type": "PathPrefix", "value": path}} for path in paths]


def test_notes_show_a_placeholder_for_the_host_of_an_ingress_without_hosts() -> None:
    assert "http://any-host/v1" in helm.notes({"ingress": {"enabled": True}})
    assert "http://llm.example/v1" in helm.notes({"ingress": {"enabled": True, "hosts": {"llm.example": {}}}})


def test_the_server_is_told_of_the_path_in_front_of_it() -> None:
    arguments = objects({"server": {"rootPath": "/llm"}}).one("Deployment").at(*SERVER, "args")
    assert "--root-path=/llm" in arguments
    assert not [item for item in objects({}).one("Deployment").at(*SERVER, "args") if "root-path" in item]


# -- Ingress, HTTPRoute, InferencePool


def test_an_ingress_has_a_rule_for_each_host_and_the_certificates_of_those_that_have_one() -> None:
    hosts = {"a.example": {"tlsSecret": "one"}, "b.example": {"tlsSecret": "one"}, "c.example": {}, "d.example": None}
    values = {"enabled": True, "className": "nginx", "annotations": {"a": "b"}, "hosts": hosts}
    ingress = objects({"ingress": values, "service": {"port": 8080}}).one("Ingress")
    assert ingress.at("metadata", "annotations") == {"a": "b"}
    assert ingress.at("spec", "ingressClassName") == "nginx"
    assert ingress.at("spec", "tls") == [{"secretName": "one", "hosts": ["a.example", "b.example"]}]
    rules = ingress.at("spec", "rules")
    assert [rule["host"] for rule in rules] == ["a.example", "b.example", "c.example"]
    for rule in rules:
        (path,) = rule["http"]["paths"]
        assert path["backend"] == {"service": {"name": "test", "port": {"name": "http"}}}


def test_an_ingress_without_hosts_takes_all_in_the_clusters_class() -> None:
    ingress = objects({"ingress": {"enabled": True}}).one("Ingress")
    assert ingress.lacks("spec", "ingressClassName")
    assert ingress.lacks("spec", "tls")
    (rule,) = ingress.at("spec", "rules")
    assert set(rule) == {"http"}


def test_a_route_leads_from_its_gateways_to_the_service_and_waits_for_long_answers() -> None:
    route = objects(GATEWAY, {"service": {"port": 8080}}).one("HTTPRoute")
    assert route.at("spec", "parentRefs") == [{"name": "public", "namespace": "gateways"}]
    assert route.lacks("spec", "hostnames")
    (rule,) = route.at("spec", "rules")
    assert rule["backendRefs"] == [{"name": "test", "port": 8080}]
    assert rule["timeouts"] == {"request": "3600s", "backendRequest": "3600s"}
    assert set(rule) == {"matches", "backendRefs", "timeouts"}, "a path is never rewritten"


def test_a_route_leads_to_the_pool_where_there_is_one() -> None:
    found = objects(GATEWAY, POOL, {"server": {"port": 9000}})
    (backend,) = found.one("HTTPRoute").at("spec", "rules", 0, "backendRefs")
    assert backend == {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "test"}
    assert found.one("InferencePool").at("spec") == {
        "selector": {"matchLabels": LABELS},
        "targetPorts": [{"number": 9000}],
        "endpointPickerRef": {"name": "picker", "port": {"number": 9002}, "failureMode": "FailClose"},
    }
    numbered = objects({"inferencePool": {"enabled": True, "endpointPicker": {"name": "123"}}})
    assert numbered.one("InferencePool").at("spec", "endpointPickerRef", "name") == "123"


def test_the_notes_say_where_the_server_is_reached_from_outside() -> None:
    values = {"ingress": {"enabled": True, "hosts": {"a.example": {"tlsSecret": "s"}}}, "server": {"rootPath": "/llm"}}
    assert "outside     https://a.example/llm/v1" in helm.notes(values)
    assert "the-gateways-host/v1" in helm.notes(GATEWAY)
    assert "outside" not in helm.notes({})


# -- TLS


def test_everything_that_speaks_to_a_server_behind_tls_speaks_tls() -> None:
    values = {**TLS, "metrics": {"serviceMonitor": {"enabled": True}, "scrapeAnnotations": {"enabled": True}}}
    values |= {"checks": {"disabled": {"metricsOnce": True}}, "networkPolicy": {"enabled": True}}
    found = objects(values)
    deployment = found.one("Deployment")
    arguments = deployment.at(*SERVER, "args")
    assert {"--ssl-certfile=/etc/vllm/tls/tls.crt", "--ssl-keyfile=/etc/vllm/tls/tls.key"} < set(arguments)
    assert deployment.at(*POD, "volumes", "tls", "secret") == {"secretName": "server-tls"}
    assert deployment.at(*SERVER, "volumeMounts", "/etc/vllm/tls")["readOnly"] is True
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert deployment.at(*SERVER, probe, "httpGet") == {"path": "/health", "port": "https", "scheme": "HTTPS"}
    annotations = deployment.at("spec", "template", "metadata", "annotations")
    assert annotations["prometheus.io/scheme"] == "https"
    (port,) = found.one("Service").at("spec", "ports")
    assert (port["name"], port["targetPort"], port["appProtocol"]) == ("https", "https", "https")
    assert found.one("NetworkPolicy").at("spec", "ingress", 0, "ports", 0, "port") == "https"
    (endpoint,) = found.one("ServiceMonitor").at("spec", "endpoints")
    assert endpoint["scheme"] == "https"
    assert endpoint["tlsConfig"] == {"insecureSkipVerify": True}
    assert command(found)[0] == "https://test.models.svc:80"
    assert "curl --insecure https://127.0.0.1:8000/v1" in helm.notes(TLS)


@pytest.mark.parametrize("secret", ["s", "123"])
@pytest.mark.parametrize("kind", ["serviceMonitor", "podMonitor"])
def test_a_monitor_verifies_the_server_by_its_authority_and_the_services_name(kind: str, secret: str) -> None:
    values = {"server": {"tls": {"existingSecret": secret, "caKey": "1"}}, "metrics": {kind: {"enabled": True}}}
    monitor = objects(values).one(kind[0].upper() + kind[1:])
    (endpoint,) = [*monitor.at("spec").get("endpoints", []), *monitor.at("spec").get("podMetricsEndpoints", [])]
    authority = {"secret": {"name": secret, "key": "1"}}
    assert endpoint["tlsConfig"] == {"ca": authority, "serverName": "test.models.svc"}


# -- the pod of helm test


def command(found: Objects) -> list[str]:
    """The arguments of the test, after its source."""
    return list(found.one("Pod").at("spec", "containers", "test", "command"))[4:]


def test_nothing_takes_the_pod_of_helm_test_for_a_server() -> None:
    values = {"podDisruptionBudget": {"enabled": True}, "metrics": {"podMonitor": {"enabled": True}}, **POOL}
    found = objects(values)
    pod = found.one("Pod")
    assert pod.at("metadata", "annotations", "helm.sh/hook") == "test"
    labels = pod.at("metadata", "labels")
    assert not LABELS.items() <= labels.items()
    assert labels["app.kubernetes.io/instance"] == "test"


def test_the_test_asks_for_every_name_below_the_root_path() -> None:
    adapters = {"sql": {"uri": "hf://team/sql"}, "gone": None}
    model = {"name": "chat", "aliases": ["a", "b"], "lora": {"adapters": adapters}}
    address, root_path, request, names = command(objects({"model": model, "server": {"rootPath": "/llm"}}))
    assert (address, root_path) == ("http://test.models.svc:80", "/llm")
    assert json.loads(names) == ["chat", "a", "b", "sql"]
    assert json.loads(request)["body"]["model"] == "chat"


def test_the_test_reads_keys_and_authority_from_their_secrets() -> None:
    keys = {"new": {"existingSecret": "a", "key": "k"}, "old": {"existingSecret": "b", "key": "l"}}
    server = {"apiKey": {"keys": keys}, "tls": {"existingSecret": "t", "caKey": "ca"}}
    pod = objects({"server": server}).one("Pod")
    assert pod.at("spec", "volumes", "api-keys", "projected", "sources") == [
        {"secret": {"name": "a", "items": [{"key": "k", "path": "new"}]}},
        {"secret": {"name": "b", "items": [{"key": "l", "path": "old"}]}},
    ]
    authority = {"secretName": "t", "items": [{"key": "ca", "path": "ca.crt"}]}
    assert pod.at("spec", "volumes", "tls", "secret") == authority
    for name in ("api-keys", "tls"):
        assert pod.at("spec", "containers", "test", "volumeMounts", f"/etc/vllm/{name}")["readOnly"] is True
    assert objects({}).one("Pod").lacks("spec", "volumes")


def test_the_test_runs_where_and_as_the_servers_do_and_is_small() -> None:
    values = {
        "image": {"pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"pool": "models"},
        "tolerations": [{"key": "models", "operator": "Exists"}],
        "serviceAccount": {"name": "server"},
    }
    found = objects(values)
    pod, server = found.one("Pod").at("spec"), found.one("Deployment").at(*POD)
    same = ("imagePullSecrets", "nodeSelector", "tolerations", "serviceAccountName", "securityContext")
    assert {key: pod[key] for key in same} == {key: server[key] for key in same}
    (test,) = pod["containers"]
    (vllm,) = [item for item in server["containers"] if item["name"] == "vllm"]
    for key in ("image", "imagePullPolicy", "securityContext", "terminationMessagePolicy"):
        assert test[key] == vllm[key], key
    assert test["imagePullPolicy"] == "Always"
    assert pod["restartPolicy"] == "Never"
    assert set(test["resources"]["requests"]) == {"cpu", "memory"}
    assert test["resources"]["limits"]["memory"].endswith("Mi")
    (near,) = pod["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert near["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    assert near["podAffinityTerm"]["labelSelector"]["matchLabels"] == LABELS


# -- kinds of model


@pytest.mark.parametrize(
    ("values", "path", "keys", "streams"),
    [
        ({}, "/v1/chat/completions", {"messages", "max_tokens"}, True),
        ({"model": {"kind": "completion"}}, "/v1/completions", {"prompt", "max_tokens"}, True),
        ({"engine": {"args": {"runner": "pooling"}}}, "/v1/embeddings", {"input"}, False),
        ({"engine": {"args": {"convert": "embed"}}}, "/v1/embeddings", {"input"}, False),
        ({"engine": {"args": {"runner": "pooling", "convert": "classify"}}}, "/classify", {"input"}, False),
        ({"engine": {"args": {"runner": "generate", "convert": None}}}, "/v1/chat/completions", {"messages"}, True),
        ({"model": {"kind": "scoring"}}, "/v1/score", {"queries", "documents"}, False),
        (
            {"model": {"kind": "reranking"}, "engine": {"args": {"runner": "pooling"}}},
            "/v1/rerank",
            {"query", "documents"},
            False,
        ),
        ({"model": {"kind": "classification"}}, "/classify", {"input"}, False),
    ],
)
def test_the_first_request_follows_the_kind_of_model(
    values: dict[str, Any], path: str, keys: set[str], streams: bool
) -> None:
    request = json.loads(command(objects(values))[2])
    assert request["path"] == path
    assert keys <= request["body"].keys() - {"model"}
    assert bool(request.get("streams")) == streams
