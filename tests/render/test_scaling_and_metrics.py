"""What metrics, autoscaling and networkPolicy make, and what becomes of the number of replicas."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_chart.render import go_yaml, helm
from vllm_chart.render.objects import Objects

TEMPLATE = ("spec", "template", "metadata")
LABELS = {"app.kubernetes.io/name": "vllm", "app.kubernetes.io/instance": "test"}


def test_nothing_of_it_is_made_unasked() -> None:
    kinds = {item.kind for item in helm.render({}).objects}
    assert kinds == {"ConfigMap", "Deployment", "Service", "ServiceAccount", "Pod"}  # the pod of helm test


@pytest.mark.parametrize(
    ("key", "kind", "endpoints"),
    [("serviceMonitor", "ServiceMonitor", "endpoints"), ("podMonitor", "PodMonitor", "podMetricsEndpoints")],
)
def test_a_monitor_scrapes_the_port_by_name(key: str, kind: str, endpoints: str) -> None:
    values = {"metrics": {key: {"enabled": True, "interval": "10s", "labels": {"release": "prometheus"}}}}
    monitor = helm.render(values).objects.one(kind)
    assert monitor.at("metadata", "labels", "release") == "prometheus"
    assert monitor.at("spec", "selector", "matchLabels") == LABELS
    assert monitor.at("spec", endpoints) == [{"port": "http", "path": "/metrics", "interval": "10s"}]


def test_scrape_annotations_follow_the_port_and_give_way_to_the_users() -> None:
    values: dict[str, Any] = {"metrics": {"scrapeAnnotations": {"enabled": True}}, "server": {"port": 9000}}
    expected = {"prometheus.io/scrape": "true", "prometheus.io/port": "9000", "prometheus.io/path": "/metrics"}

    def annotations() -> dict[str, str]:
        found = helm.render(values).objects.one("Deployment").at(*TEMPLATE, "annotations")
        return {key: value for key, value in found.items() if not key.startswith("checksum/")}

    assert annotations() == expected
    values["podAnnotations"] = {"prometheus.io/port": "9001"}
    assert annotations() == {**expected, "prometheus.io/port": "9001"}


def hpa(**values: Any) -> Objects:
    """The objects of a release with an HPA."""
    return helm.render({"autoscaling": {"hpa": {"enabled": True, **values}}}).objects


def adapter(objects: Objects) -> dict[str, Any]:
    """What prometheus-adapter is to be configured with."""
    config: dict[str, Any] = go_yaml.load(objects.one("ConfigMap", "test-adapter-config").at("data", "config.yaml"))
    return config


def test_an_hpa_reads_the_queue_of_each_pod() -> None:
    found = hpa(minReplicas=2, maxReplicas=6, targetPerReplica=1048576).one("HorizontalPodAutoscaler")
    assert found.at("spec", "scaleTargetRef") == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "test"}
    assert (found.at("spec", "minReplicas"), found.at("spec", "maxReplicas")) == (2, 6)
    assert found.at("spec", "metrics") == [
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "vllm_num_requests_waiting"},
                "target": {"type": "AverageValue", "averageValue": "1048576"},
            },
        }
    ]


@pytest.mark.parametrize(
    ("metric", "series", "function", "target"),
    [
        ("waiting", "vllm:num_requests_waiting", "sum", "5"),
        ("running", "vllm:num_requests_running", "sum", "32"),
        ("kvCache", "vllm:kv_cache_usage_perc", "avg", "0.8"),
    ],
)
def test_the_adapter_serves_what_the_hpa_reads(metric: str, series: str, function: str, target: str) -> None:
    by = {kind: {kind: {"resource": kind}} for kind in ("namespace", "pod")}
    resources = {"Pods": by["namespace"] | by["pod"], "External": by["namespace"]}
    for kind, rules in (("Pods", "rules"), ("External", "externalRules")):
        objects = hpa(metric=metric, metricType=kind)
        source = objects.one("HorizontalPodAutoscaler").at("spec", "metrics", 0, kind.lower())
        assert source["target"] == {"type": "AverageValue", "averageValue": target}
        config = adapter(objects)
        assert list(config) == [rules]
        (rule,) = config[rules]
        assert rule["name"] == {"as": source["metric"]["name"]} == {"as": series.replace(":", "_")}
        assert rule["seriesQuery"].startswith(f"{series}{{")
        assert f"{function} by (" in rule["metricsQuery"]
        assert rule["resources"] == {"overrides": resources[kind]}


def test_an_external_metric_is_the_sum_over_this_release_alone() -> None:
    (rule,) = adapter(hpa(metricType="External"))["externalRules"]
    pods = 'pod=~"test-[a-z0-9]+-[a-z0-9]{5}"'
    assert rule["seriesQuery"] == f'vllm:num_requests_waiting{{namespace="models",{pods}}}'
    assert rule["metricsQuery"] == f"sum(sum by (pod) (<<.Series>>{{<<.LabelMatchers>>,{pods}}}))"


def test_an_hpa_follows_cpu_without_an_adapter() -> None:
    for share, expected in ((0, 80), (60, 60)):
        values = {
            "resources": {"requests": {"cpu": 4}},
            "autoscaling": {"hpa": {"enabled": True, "metric": "cpu", "targetPerReplica": share}},
        }
        objects = helm.render(values).objects
        assert objects.one("HorizontalPodAutoscaler").at("spec", "metrics") == [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": expected}},
            }
        ]
        assert "test-adapter-config" not in {item.name for item in objects.of("ConfigMap")}


def test_an_hpa_reads_a_metric_by_its_own_name_and_labels() -> None:
    objects = hpa(metricType="External", metricName="queue", metricLabels={"team": "a"})
    metric = objects.one("HorizontalPodAutoscaler").at("spec", "metrics", 0)
    assert metric["type"] == "External"
    assert metric["external"]["metric"] == {"name": "queue", "selector": {"matchLabels": {"team": "a"}}}
    assert adapter(objects)["externalRules"][0]["name"] == {"as": "queue"}


def test_both_autoscalers_scale_up_at_once_and_down_slowly_unless_told_otherwise() -> None:
    keda = {"enabled": True, "serverAddress": "http://prometheus:9090"}
    scaled = helm.render({"autoscaling": {"keda": keda}}).objects.one("ScaledObject")
    behavior = hpa().one("HorizontalPodAutoscaler").at("spec", "behavior")
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 600
    assert scaled.at("spec", "advanced", "horizontalPodAutoscalerConfig", "behavior") == behavior
    own = hpa(behavior={"scaleUp": None, "scaleDown": {"selectPolicy": "Disabled"}})
    changed = own.one("HorizontalPodAutoscaler").at("spec", "behavior")
    assert "scaleUp" not in changed
    assert changed["scaleDown"]["selectPolicy"] == "Disabled"


def test_keda_asks_for_the_queue_of_this_release_or_what_it_is_told() -> None:
    keda = {"enabled": True, "serverAddress": "http://prometheus:9090"}
    found = helm.render({"autoscaling": {"keda": keda}}).objects.one("ScaledObject")
    query = 'sum(vllm:num_requests_waiting{namespace="models",pod=~"test-[a-z0-9]+-[a-z0-9]{5}"})'
    assert found.at("spec", "triggers", 0) == {
        "type": "prometheus",
        "metadata": {
            "serverAddress": "http://prometheus:9090",
            "query": query,
            "threshold": "5",
            "activationThreshold": "0",
            "ignoreNullValues": "false",
        },
    }
    own = {
        **keda,
        "serverAddress": "https://metrics.example/?a=b #c",
        "query": 'sum(queue{a="b: c"}) # of all',
        "minReplicas": 0,
        "activation": 0.5,
    }
    told = helm.render({"autoscaling": {"keda": own}}).objects.one("ScaledObject")
    assert told.at("spec", "triggers", 0, "metadata", "query") == own["query"]
    assert told.at("spec", "triggers", 0, "metadata", "serverAddress") == own["serverAddress"]
    assert told.at("spec", "triggers", 0, "metadata", "activationThreshold") == "0.5"
    assert told.at("spec", "triggers", 0, "metadata", "ignoreNullValues") == "false"
    assert told.at("spec", "minReplicaCount") == 0


def test_keda_scales_the_deployment_between_the_given_replica_counts() -> None:
    keda = {"enabled": True, "serverAddress": "http://prometheus:9090", "minReplicas": 2, "maxReplicas": 6}
    found = helm.render({"autoscaling": {"keda": keda}}).objects.one("ScaledObject")
    assert found.at("spec", "scaleTargetRef") == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "test"}
    assert (found.at("spec", "minReplicaCount"), found.at("spec", "maxReplicaCount")) == (2, 6)


@pytest.mark.parametrize("name", ["hpa", "keda"])
def test_an_autoscaler_owns_the_number_of_replicas(name: str) -> None:
    own = {"enabled": True, "maxReplicas": 3, **({"serverAddress": "http://p:9090"} if name == "keda" else {})}
    values = {"autoscaling": {name: own}, "replicas": 2}
    deployment = helm.render(values).objects.one("Deployment")
    assert deployment.lacks("spec", "replicas")
    text = helm.notes(values)
    assert "by 1 to 3 " in text
    assert ("ConfigMap test-adapter-config" in text) == (name == "hpa")
    assert f"--timeout {3 * deployment.at('spec', 'progressDeadlineSeconds')}s" in text
    assert not helm.render({}).objects.one("Deployment").lacks("spec", "replicas")


def test_a_network_policy_leaves_only_the_servers_port_and_the_given_peers() -> None:
    test = {"podSelector": {"matchLabels": {**LABELS, "app.kubernetes.io/name": "vllm-test"}}}
    found = helm.render({"networkPolicy": {"enabled": True}}).objects.one("NetworkPolicy")
    assert found.at("spec") == {
        "podSelector": {"matchLabels": LABELS},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": {}}, test], "ports": [{"port": "http", "protocol": "TCP"}]}],
    }
    peers = [{"ipBlock": {"cidr": "10.0.0.0/8"}}]
    values = {"enabled": True, "from": peers, "namespaces": {"gateway": True, "other": False}}
    other = helm.render({"networkPolicy": values}).objects.one("NetworkPolicy")
    gateway = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}}}
    assert other.at("spec", "ingress", 0, "from") == [*peers, gateway, test]


def test_custom_resources_are_refused_only_where_a_live_cluster_lacks_them() -> None:
    values = {"metrics": {"podMonitor": {"enabled": True}}}
    live = ("--api-versions", "apiregistration.k8s.io/v1")
    assert helm.render(values).objects.of("PodMonitor")
    assert helm.render(values, options=(*live, "--api-versions", "monitoring.coreos.com/v1")).objects.of("PodMonitor")
    with pytest.raises(
        helm.HelmError, match=r"metrics\.podMonitor\.enabled is true, but the cluster has no monitoring"
    ):
        helm.render(values, options=live)


def test_keda_polls_and_cools_down_as_often_and_as_long_as_set() -> None:
    keda = {"enabled": True, "serverAddress": "http://prometheus:9090", "pollingInterval": 7, "cooldownPeriod": 90}
    scaled = helm.render({"autoscaling": {"keda": keda}}).objects.one("ScaledObject")
    assert (scaled.at("spec", "pollingInterval"), scaled.at("spec", "cooldownPeriod")) == (7, 90)
