"""Every function that finds breaches of an invariant reports a broken object, so that its silence means something."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.lib.pod_paths import POD, SERVER
from vllm_chart.chart import app_version
from vllm_chart.invariants import kubernetes_api, names, pod_security, promql, references, vllm_arguments
from vllm_chart.render import helm
from vllm_chart.render.findings import Finding, report
from vllm_chart.render.objects import Manifest, Objects

Change = Callable[[Manifest], Any]


#: Values that make an object of each kind.
VALUES: dict[str, Any] = {
    "podDisruptionBudget": {"enabled": True},
    "networkPolicy": {"enabled": True},
    "metrics": {
        "serviceMonitor": {"enabled": True},
        "podMonitor": {"enabled": True},
        "rules": {"enabled": True},
    },
    "autoscaling": {"keda": {"enabled": True, "serverAddress": "http://prometheus:9090"}},
    "ingress": {"enabled": True},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
    "checks": {"disabled": {"metricsOnce": True}},
}


def broken(kind: str, change: Change) -> Objects:
    """The chart's objects with one of them changed."""
    manifests = [Manifest(item.source, copy.deepcopy(item.body)) for item in helm.render(VALUES).objects]
    (target,) = [item for item in manifests if item.kind == kind]
    change(target)
    return Objects(manifests)


def merge(*path: str | int, **values: Any) -> Change:
    """A change that puts values into the map at the path."""
    return lambda manifest: manifest.at(*path).update(values)


def drop(*path: str) -> Change:
    """A change that takes the last key of the path away."""
    return lambda manifest: manifest.at(*path[:-1]).pop(path[-1])


def append(*path: str, item: Any) -> Change:
    """A change that adds an item to the list at the path."""
    return lambda manifest: manifest.at(*path).append(item)


CONTEXT = (*SERVER, "securityContext")
BACKEND = ("spec", "rules", 0, "http", "paths", 0, "backend", "service")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (merge(*POD, hostNetwork=True), "hostNetwork"),
        (merge(*POD, hostPID=True), "hostPID"),
        (merge(*POD, hostIPC=True), "hostIPC"),
        (append(*POD, "volumes", item={"name": "host", "hostPath": {"path": "/"}}), "hostPath"),
        (merge(*POD, "securityContext", sysctls=[{"name": "kernel.msgmax", "value": "1"}]), "kernel.msgmax"),
        (merge(*POD, "securityContext", runAsUser=0), "runAsUser: must not be 0"),
        (merge(*CONTEXT, runAsNonRoot=False), "vllm.securityContext.runAsNonRoot: must not be false"),
        (merge(*POD, "securityContext", runAsNonRoot=False), "spec.securityContext.runAsNonRoot: must not be false"),
        (drop(*POD, "securityContext", "runAsNonRoot"), "runAsNonRoot: must be true"),
        (drop(*POD, "securityContext", "seccompProfile"), "seccompProfile: must be set"),
        (merge(*POD, "securityContext", seccompProfile={"type": "Unconfined"}), "Unconfined"),
        (merge(*POD, "securityContext", appArmorProfile={"type": "Unconfined"}), "appArmorProfile"),
        (merge(*POD, "securityContext", seLinuxOptions={"type": "spc_t"}), "seLinuxOptions"),
        (merge(*POD, "securityContext", seLinuxOptions={"user": "root"}), "seLinuxOptions"),
        (merge(*POD, "securityContext", windowsOptions={"hostProcess": True}), "hostProcess"),
        (merge(*CONTEXT, runAsUser=0), "vllm.securityContext.runAsUser"),
        (merge(*CONTEXT, privileged=True), "privileged"),
        (merge(*CONTEXT, procMount="Unmasked"), "procMount"),
        (drop(*CONTEXT, "allowPrivilegeEscalation"), "allowPrivilegeEscalation"),
        (drop(*CONTEXT, "capabilities"), "capabilities.drop"),
        (merge(*CONTEXT, "capabilities", add=["SYS_ADMIN"]), "SYS_ADMIN"),
        (merge(*SERVER, ports=[{"containerPort": 8000, "hostPort": 8000}]), "hostPort 8000"),
        (merge(*SERVER, "startupProbe", "httpGet", host="node.example"), "startupProbe: must not name a host"),
        (merge(*SERVER, "lifecycle", "preStop", httpGet={"host": "x", "port": 1}), "preStop: must not name a host"),
        (
            merge(*POD, initContainers=[{"name": "init", "securityContext": {"allowPrivilegeEscalation": False}}]),
            "initContainers.init",
        ),
    ],
)
def test_each_control_of_the_restricted_standard_is_seen(change: Change, words: str) -> None:
    finding, *_ = pod_security.findings(broken("Deployment", change))
    assert words in str(finding)


@pytest.mark.parametrize("minor", kubernetes_api.supported())
@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("Deployment", merge("spec", replikas=1), "replikas"),
        ("Deployment", merge("spec", replicas="2"), "spec.replicas"),
        ("Deployment", merge(*SERVER, "startupProbe", failureThreshold=1.5), "failureThreshold"),
        ("Deployment", drop("spec", "selector"), "selector"),
        ("Deployment", append(*SERVER, "env", item={"value": "x"}), "name"),
        ("Service", merge("spec", sessionAfinity="None"), "sessionAfinity"),
        ("ServiceAccount", merge("metadata", labels=["a"]), "metadata.labels"),
        ("PodDisruptionBudget", merge("spec", maxUnavailabel=1), "maxUnavailabel"),
        ("NetworkPolicy", merge("spec", ingres=[]), "ingres"),
        ("ServiceMonitor", drop("spec", "selector"), "selector"),
        ("PodMonitor", merge("spec", endpoints=[]), "endpoints"),
        ("PrometheusRule", merge("spec", "groups", 0, "rules", 0, severity="a"), "severity"),
        ("ScaledObject", merge("spec", maxReplicaCount="4"), "maxReplicaCount"),
        ("ScaledObject", drop("spec", "triggers"), "triggers"),
        ("Ingress", merge("spec", rulez=[]), "rulez"),
        ("HTTPRoute", merge("spec", "rules", 0, "timeouts", request="1 hour"), "1 hour"),
        ("HTTPRoute", merge("spec", "rules", 0, "matches", 0, "path", type="Prefix"), "Prefix"),
    ],
)
def test_an_object_that_kubernetes_refuses_is_seen(kind: str, change: Change, words: str, minor: str) -> None:
    found = kubernetes_api.findings(broken(kind, change), minor)
    assert found
    assert words in str(found[0])


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("Service", merge("metadata", name="7b"), "metadata.name: is no DNS label"),
        ("Service", merge("metadata", name="a.b"), "metadata.name: is no DNS label"),
        ("Deployment", merge("metadata", name="chatModel"), "metadata.name: is no DNS name"),
        ("Deployment", merge("metadata", name="a" * 64), "of 63 characters"),
        ("Deployment", merge("metadata", "labels", a="b" * 64), "labels.a"),
        ("Deployment", merge("spec", "template", "metadata", "labels", a="_b"), "template.metadata.labels.a: _b"),
    ],
)
def test_a_name_that_kubernetes_refuses_is_seen(kind: str, change: Change, words: str) -> None:
    (finding,) = names.findings(broken(kind, change))
    assert words in str(finding)


def test_a_kind_that_kubernetes_does_not_have_is_an_error() -> None:
    with pytest.raises(kubernetes_api.UnknownKindError, match="Widget"):
        kubernetes_api.findings(broken("Service", lambda item: item.body.update(kind="Widget")), "1.37")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the model must be the first argument"),
        (["--port=1"], "the model must be the first argument"),
        (["m", "--max-model-length=1"], "no flag --max-model-length"),
        (["m", "--max-model=1"], "no flag --max-model"),
        (["m", "--port", "1", "2"], "2 belongs to no flag"),
        (["m", "--port"], "--port has no value"),
        (["m", "--port=a"], "takes a number, not 'a'"),
        (["m", "--max-model-len=32q"], "takes a number"),
        (["m", "--gpu-memory-utilization=x"], "takes a number"),
        (["m", "--port=1", "--port=2"], "--port is given twice"),
        (["m", "--enforce-eager=true"], "is a switch"),
        (["m", "--enforce-eager", "true"], "true belongs to no flag"),
        (["m", "--block-size=sixteen"], "--block-size"),
        (["m", "--dtype=fp3"], "does not take 'fp3'"),
        (["m", "--compilation-config={a}"], "takes JSON"),
        (["m", "--speculative-config={a}"], "takes JSON"),
        (["m", "--cudagraph-capture-sizes", "1", "x"], "takes a number, not 'x'"),
    ],
)
def test_an_argument_that_vllm_refuses_is_seen(arguments: list[str], words: str) -> None:
    (problem,) = vllm_arguments.parser(app_version()).problems(arguments)
    assert words in problem


def test_arguments_that_vllm_takes_pass() -> None:
    arguments = ["m", "--served-model-name", "a", "b", "--port=1", "--max-model-len", "32k", "-tp", "2"]
    arguments += ["--no-enable-prefix-caching", "--middleware=a", "--middleware=b", "--compilation-config={}"]
    assert not vllm_arguments.parser(app_version()).problems(arguments)


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("Deployment", merge(*POD, serviceAccountName="other"), "ServiceAccount other is not there"),
        ("Deployment", append(*SERVER, "volumeMounts", item={"name": "x", "mountPath": "/x"}), "no volume x"),
        ("Deployment", append(*POD, "volumes", item={"name": "x", "emptyDir": {}}), "no container mounts it"),
        ("Deployment", merge(*SERVER, "livenessProbe", "httpGet", port="htpp"), "no port htpp"),
        ("Deployment", merge(*SERVER, envFrom=[{"secretRef": {"name": "x"}}]), "Secret x is not there"),
        ("Deployment", merge(*SERVER, envFrom=[{"configMapRef": {"name": "x"}}]), "ConfigMap x is not there"),
        ("Deployment", merge(*SERVER, envFrom=[{"configMapRef": {}}]), "names no ConfigMap"),
        (
            "Deployment",
            append(*SERVER, "env", item={"name": "A", "valueFrom": {"secretKeyRef": {"key": "k"}}}),
            "env.A: names no Secret",
        ),
        ("Deployment", merge(*POD, "volumes", "tmp", secret={}), "volumes.tmp: names no Secret"),
        ("Deployment", merge(*POD, "volumes", "tmp", projected={"sources": [{"secret": {}}]}), "names no Secret"),
        (
            "Deployment",
            append(*SERVER, "env", item={"name": "A", "valueFrom": {"secretKeyRef": {"name": "x", "key": "k"}}}),
            "Secret x is not there",
        ),
        (
            "Deployment",
            merge(*POD, "volumes", "tmp", persistentVolumeClaim={"claimName": "x"}),
            "PersistentVolumeClaim x is not there",
        ),
        ("Deployment", merge(*POD, "volumes", "tmp", configMap={"name": "x"}), "ConfigMap x is not there"),
        ("Service", merge("spec", "selector", tier="x"), "picks nothing, not one workload"),
        ("Service", merge("spec", "ports", "http", targetPort="web"), "has no port web"),
        ("PodDisruptionBudget", merge("spec", "selector", "matchLabels", tier="x"), "picks nothing"),
        ("NetworkPolicy", merge("spec", "podSelector", "matchLabels", tier="x"), "picks nothing"),
        ("NetworkPolicy", merge("spec", "ingress", 0, "ports", 0, port="web"), "has no port web"),
        ("ServiceMonitor", merge("spec", "selector", "matchLabels", tier="x"), "picks nothing"),
        ("ServiceMonitor", merge("spec", "endpoints", 0, port="web"), "has no port web"),
        ("PodMonitor", merge("spec", "podMetricsEndpoints", 0, port="web"), "has no port web"),
        ("ScaledObject", merge("spec", "scaleTargetRef", name="x"), "Deployment x is not there"),
        ("Ingress", merge(*BACKEND, name="x"), "Service x is not there"),
        ("Ingress", merge(*BACKEND, "port", name="web"), "has no port web"),
        ("Ingress", merge("spec", tls=[{"secretName": "x"}]), "Secret x is not there"),
        ("HTTPRoute", merge("spec", "rules", 0, "backendRefs", 0, name="x"), "Service x is not there"),
        ("HTTPRoute", merge("spec", "rules", 0, "backendRefs", 0, port=81), "has no port 81"),
        ("HTTPRoute", merge("spec", "rules", 0, "backendRefs", 0, kind="InferencePool"), "InferencePool test is not"),
        (
            "Deployment",
            append(*POD, "volumes", item={"name": "tmp", "projected": {"sources": [{"secret": {"name": "x"}}]}}),
            "Secret x is not there",
        ),
    ],
)
def test_a_name_that_leads_nowhere_is_seen(kind: str, change: Change, words: str) -> None:
    (finding,) = references.findings(broken(kind, change), set())
    assert words in str(finding)


def test_a_selector_that_takes_the_pod_of_helm_test_for_a_server_is_seen() -> None:
    labels = {"app.kubernetes.io/name": "vllm"}
    found = references.findings(broken("Pod", merge("metadata", "labels", **labels)), set())
    assert any("picks Deployment/test, Pod/test-test, not one workload" in str(finding) for finding in found)


#: A server of two nodes, with everything that must find its leader.
GROUP = VALUES | {"parallelism": {"nodes": 2, "tensor": 2}}
WORKER = ("spec", "leaderWorkerTemplate", "workerTemplate", "spec", "containers", "vllm")
LEADER = "leaderworkerset.sigs.k8s.io/worker-index"


def broken_group(kind: str, name: str, change: Change) -> Objects:
    """The objects of a server of two nodes with one of them changed."""
    manifests = [Manifest(item.source, copy.deepcopy(item.body)) for item in helm.render(GROUP).objects]
    (target,) = [item for item in manifests if (item.kind, item.name) == (kind, name)]
    change(target)
    return Objects(manifests)


def test_a_group_without_faults_is_clean() -> None:
    objects = helm.render(GROUP).objects
    assert not references.findings(objects, set())
    assert not references.repetitions(objects)
    assert not pod_security.findings(objects)
    assert not vllm_arguments.findings(objects, app_version())
    assert not names.findings(objects)


@pytest.mark.parametrize(
    ("kind", "name", "change", "words"),
    [
        ("Service", "test", drop("spec", "selector", LEADER), "LeaderWorkerSet/test has no port http"),
        ("PodMonitor", "test", drop("spec", "selector", "matchLabels", LEADER), "has no port http"),
        ("NetworkPolicy", "test", merge("spec", "podSelector", "matchLabels", **{LEADER: "1"}), "has no port http"),
        ("Service", "test", merge("spec", "selector", **{LEADER: "2"}), "picks nothing"),
        ("LeaderWorkerSet", "test", append(*WORKER, "volumeMounts", item={"name": "x", "mountPath": "/x"}), "volume x"),
        ("ScaledObject", "test", merge("spec", "scaleTargetRef", kind="Deployment"), "Deployment test is not there"),
    ],
)
def test_a_name_that_leads_past_the_leader_is_seen(kind: str, name: str, change: Change, words: str) -> None:
    found = references.findings(broken_group(kind, name, change), set())
    assert found
    assert all(words in str(finding) for finding in found)


def test_faults_of_a_worker_are_seen() -> None:
    insecure = merge(*WORKER, "securityContext", privileged=True)
    assert "workerTemplate" in str(pod_security.findings(broken_group("LeaderWorkerSet", "test", insecure))[0])
    twice = append(*WORKER, "env", item={"name": "HOME", "value": "/"})
    assert "HOME is there 2 times" in str(references.repetitions(broken_group("LeaderWorkerSet", "test", twice))[0])
    wrong = append(*WORKER, "args", item="--node-ranks=1")
    (finding,) = vllm_arguments.findings(broken_group("LeaderWorkerSet", "test", wrong), app_version())
    assert "no flag --node-ranks" in str(finding)
    unknown = append(*WORKER, "args", item="--block-size=$(NOWHERE)")
    (finding,) = vllm_arguments.findings(broken_group("LeaderWorkerSet", "test", unknown), app_version())
    assert "takes a number, not '$(NOWHERE)'" in str(finding)
    long = merge("metadata", name="a" * 49)
    assert "of 48 characters" in str(names.findings(broken_group("LeaderWorkerSet", "test", long))[0])


def test_an_inference_pool_without_picker_servers_or_their_port_is_seen() -> None:
    pool = {"inferencePool": {"enabled": True, "endpointPicker": {"name": "picker"}}}
    objects = helm.render(pool).objects
    (finding,) = references.findings(objects, set())
    assert "Service picker is not there" in str(finding)
    changed = Objects([Manifest(item.source, copy.deepcopy(item.body)) for item in objects])
    changed.one("InferencePool").at("spec", "targetPorts", 0)["number"] = 9000
    (finding,) = references.findings(changed, {("Service", "picker")})
    assert "Deployment/test has no port 9000" in str(finding)


def test_what_the_user_declares_to_exist_is_taken_as_there() -> None:
    values = {
        "model": {"credentials": {"existingSecret": "a", "key": "k"}},
        "engine": {"envFrom": [{"secretRef": {"name": "b"}}, {"configMapRef": {"name": "c"}}]},
        "extraVolumes": {
            "data": {"persistentVolumeClaim": {"claimName": "d"}},
            "scales": {"configMap": {"name": "i"}},
            "keys": {"secret": {"secretName": "j"}},
            "both": {"projected": {"sources": [{"configMap": {"name": "k"}}, {"secret": {"name": "l"}}]}},
            "scratch": {"emptyDir": {}},
            "taken out": None,
        },
        "other": [{"uri": "pvc://e/folder"}, {"tlsSecret": "f"}, {"endpointPicker": {"name": "g"}}],
        "without a name": [{"endpointPicker": {}}, {"secretRef": {}}],
        "serviceAccount": {"create": False, "name": "h"},
        "another chart": {"serviceAccount": {"create": True, "name": "made by the chart"}},
    }
    expected = {("Secret", "a"), ("Secret", "b"), ("ConfigMap", "c"), ("PersistentVolumeClaim", "d")}
    expected |= {("PersistentVolumeClaim", "e"), ("Secret", "f"), ("Service", "g"), ("ServiceAccount", "h")}
    expected |= {("ConfigMap", "i"), ("Secret", "j"), ("ConfigMap", "k"), ("Secret", "l")}
    assert references.declared_external(values) == expected


SPREAD = {"topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (append(*SERVER, "env", item={"name": "HOME", "value": "/"}), "HOME is there 2 times"),
        (append(*SERVER, "ports", item={"containerPort": 8000, "protocol": "TCP"}), "8000 TCP is there 2 times"),
        (append(*SERVER, "volumeMounts", item={"name": "tmp", "mountPath": "/tmp"}), "/tmp is there 2 times"),  # noqa: S108
        (append(*POD, "volumes", item={"name": "tmp", "emptyDir": {}}), "tmp is there 2 times"),
        (merge(*POD, imagePullSecrets=[{"name": "a"}, {"name": "a"}]), "a is there 2 times"),
        (merge(*POD, resourceClaims=[{"name": "a"}, {"name": "a"}]), "a is there 2 times"),
        (merge(*POD, hostAliases=[{"ip": "10.0.0.1"}, {"ip": "10.0.0.1"}]), "10.0.0.1 is there 2 times"),
        (
            merge(*POD, topologySpreadConstraints=[SPREAD | {"maxSkew": 1}, SPREAD | {"maxSkew": 2}]),
            "zone ScheduleAnyway is there 2 times",
        ),
        (merge(*POD, initContainers=[{"name": "a"}, {"name": "a"}]), "a is there 2 times"),
    ],
)
def test_a_list_item_given_twice_is_seen(change: Change, words: str) -> None:
    (finding,) = references.repetitions(broken("Deployment", change))
    assert words in str(finding)


def test_an_object_given_twice_is_seen() -> None:
    objects = helm.render({}).objects
    (finding,) = references.repetitions(Objects([*objects, objects.one("Service")]))
    assert "Service/test" in str(finding)


def test_a_report_names_object_template_path_and_command() -> None:
    rendered = helm.render({"replicas": 2})
    finding = Finding(rendered.objects.one("Deployment"), ("spec", "replicas"), "is wrong")
    text = report([finding], rendered.command)
    assert "Deployment/test (vllm/templates/workload/deployment.yaml) at spec.replicas: is wrong" in text
    assert """echo '{"replicas": 2}' | helm template test charts/vllm""" in text
    assert not report([], rendered.command)


# -- queries

KNOWN = promql.known_metrics(app_version())
PARTIAL = 'sum(rate(http_requests_total{status="5xx"}[5m])) / on () sum(rate(http_requests_total[5m]))'


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sum(rate(vllm:num_requests_waiting[5m])", "does not parse"),
        ("sum(rate(vllm:generation_tokens_total))", "does not parse"),
        ("vllm:num_requests_waiting{pod=~}", "does not parse"),
        ("max(vllm:gpu_cache_usage_perc)", "nobody exposes vllm:gpu_cache_usage_perc"),
        ("sum(rate(vllm:time_to_first_token_seconds[5m]))", "nobody exposes vllm:time_to_first_token_seconds"),
        ("rate(vllm:time_to_first_token_seconds_created[5m])", "nobody exposes"),
        (f"{PARTIAL} > 0 unless invented", "nobody exposes invented"),
        ("max_over_time(sum(invented)[1h:5m])", "nobody exposes invented"),
        ("-invented", "nobody exposes invented"),
        ('{__name__="invented"}', "nobody exposes invented"),
        ("release:recorded:sum", "nobody exposes release:recorded:sum"),
        ('vllm:num_requests_waiting{status="5xx"}', "vllm:num_requests_waiting has no label status"),
        ('kube_pod_created{phase="Running"}', "kube_pod_created has no label phase"),
        ('rate(vllm:inter_token_latency_seconds_bucket{le="0.12"}[5m])', "has no bucket 0.12"),
        ('rate(vllm:time_to_first_token_seconds_bucket{le="1"}[5m])', "has no bucket 1"),
    ],
)
def test_a_query_that_reads_what_is_not_there_is_seen(query: str, words: str) -> None:
    (problem,) = promql.problems(query, KNOWN, {"release:other:sum"})
    assert words in problem


def test_a_query_of_what_is_there_passes() -> None:
    buckets = 'sum by (le) (rate(vllm:time_to_first_token_seconds_bucket{namespace="a",pod=~"b"}[5m]))'
    for query in (PARTIAL, f"histogram_quantile(0.99, {buckets})", "release:recorded:sum > 5", "absent(up == 1)"):
        assert not promql.problems(query, KNOWN, {"release:recorded:sum"})


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"metrics": {"rules": {"enabled": True}}}, "PrometheusRule"),
        ({"metrics": {"rules": {"enabled": True, "kind": "ConfigMap"}}}, "ConfigMap/test-rules"),
        ({"metrics": {"dashboard": {"enabled": True}}}, "ConfigMap/test-dashboard"),
        ({"autoscaling": {"keda": {"enabled": True, "serverAddress": "http://p:9090"}}}, "ScaledObject"),
        ({"autoscaling": {"hpa": {"enabled": True}}}, "ConfigMap/test-adapter-config"),
    ],
)
def test_an_invented_metric_is_seen_wherever_queries_stand(values: dict[str, Any], where: str) -> None:
    text = helm.render(values).text.replace("vllm:num_requests_waiting", "vllm:queue_size")
    found = promql.findings(Objects.parse(text), app_version())
    assert found
    assert all(where in str(item) and "nobody exposes vllm:queue_size" in str(item) for item in found)


def test_a_trigger_may_read_what_others_expose() -> None:
    keda = {"enabled": True, "serverAddress": "http://p:9090", "query": "sum(gateway_queue)"}
    assert not promql.findings(helm.render({"autoscaling": {"keda": keda}}).objects, app_version())


def test_metrics_are_read_from_a_page_of_metrics() -> None:
    page = """# HELP a_seconds Some "text".
# TYPE a_seconds histogram
a_seconds_bucket{engine="0",le="0.5",model_name="a\\"b,c"} 1.0
a_seconds_bucket{engine="0",le="+Inf",model_name="a"} 2.0
a_seconds_count{engine="0",model_name="a"} 2.0
a_seconds_sum{engine="0",model_name="a"} 1e-05
# TYPE b_total counter
b_total 2.0
"""
    labels = frozenset(["engine", "model_name"])
    assert promql.parse_metrics(page) == {
        "a_seconds_bucket": promql.Metric("histogram", labels | {"le"}, ("0.5", "+Inf")),
        "a_seconds_count": promql.Metric("histogram", labels),
        "a_seconds_sum": promql.Metric("histogram", labels),
        "b_total": promql.Metric("counter", frozenset()),
    }
