"""Scrape configuration, rules, dashboard, traces and logs as they are rendered."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci.common import ROOT
from vllm_chart.chart import CHART
from vllm_chart.invariants import promql
from vllm_chart.render import go_yaml, helm

EVERYTHING: dict[str, Any] = {
    "metrics": {"rules": {"enabled": True, "dcgm": True}, "dashboard": {"enabled": True}},
}
MATCHERS = {("namespace", "Equal", "models"), ("pod", "Re", "test-[a-z0-9]+-[a-z0-9]{5}")}


def args(values: dict[str, Any]) -> list[str]:
    """The server's arguments."""
    found: list[str] = (
        helm.render(values).objects.one("Deployment").at("spec", "template", "spec", "containers", "vllm", "args")
    )
    return found


def env(values: dict[str, Any]) -> dict[str, Any]:
    """The server's environment."""
    items = helm.render(values).objects.one("Deployment").at("spec", "template", "spec", "containers", "vllm", "env")
    return {item["name"]: item.get("value") for item in items}


# -- scraping


def test_a_scrape_config_finds_the_servers_port_of_this_release_alone() -> None:
    scrape = {"enabled": True, "interval": "10s", "labels": {"scrape": "yes"}}
    found = helm.render({"metrics": {"scrapeConfig": scrape}}).objects.one("ConfigMap", "test-scrape-config")
    assert found.name == "test-scrape-config"
    assert found.at("metadata", "labels", "scrape") == "yes"
    (job,) = go_yaml.load(found.at("data", "test.yaml"))["scrape_configs"]
    assert job["job_name"] == "models/test"
    assert job["scrape_interval"] == "10s"
    assert job["kubernetes_sd_configs"] == [{"role": "pod", "namespaces": {"names": ["models"]}}]
    keep, *labels = job["relabel_configs"]
    right = {"name": "vllm", "instance": "test", "port": "http", "phase": "Running"}
    assert relabel(keep, right)
    for other in ({"name": "redis"}, {"instance": "test-2"}, {"port": "metrics"}, {"phase": "Failed"}):
        assert not relabel(keep, {**right, **other})
    assert {rule["target_label"]: rule["source_labels"] for rule in labels} == {
        "namespace": ["__meta_kubernetes_namespace"],
        "pod": ["__meta_kubernetes_pod_name"],
    }


def test_a_scrape_config_finds_servers_that_speak_https() -> None:
    values = {"metrics": {"scrapeConfig": {"enabled": True}}, "server": {"tls": {"existingSecret": "tls"}}}
    found = helm.render(values).objects.one("ConfigMap", "test-scrape-config")
    (job,) = go_yaml.load(found.at("data", "test.yaml"))["scrape_configs"]
    assert job["relabel_configs"][0]["regex"] == "vllm;test;https;Running"
    assert (job["scheme"], job["tls_config"]) == ("https", {"insecure_skip_verify": True})


def relabel(rule: dict[str, Any], target: dict[str, str]) -> bool:
    """True if a `keep` rule of Prometheus keeps a target."""
    names = {
        "__meta_kubernetes_pod_label_app_kubernetes_io_name": "name",
        "__meta_kubernetes_pod_label_app_kubernetes_io_instance": "instance",
        "__meta_kubernetes_pod_container_port_name": "port",
        "__meta_kubernetes_pod_phase": "phase",
    }
    assert rule["action"] == "keep"
    return bool(re.fullmatch(rule["regex"], ";".join(target[names[label]] for label in rule["source_labels"])))


def pod_name(workload: str) -> str:
    """The name that Kubernetes gives a Deployment's pod: it cuts what is longer than 58 characters."""
    return f"{workload}-7d9f8b6c54-"[:58] + "x2x4z"


@pytest.mark.parametrize("length", [1, 30, 46, 47, 48, 52, 53])
def test_the_pods_of_a_release_are_picked_and_no_others(length: int) -> None:
    name = "r" * length
    matchers = helm.render(
        {"autoscaling": {"keda": {"enabled": True, "serverAddress": "http://p"}}}, release=name
    ).objects.one("ScaledObject")
    query = matchers.at("spec", "triggers", 0, "metadata", "query")
    pattern = {label: value for label, _, value in promql.selectors(query)[0].matchers}["pod"]
    assert re.fullmatch(pattern, pod_name(name))
    for other in (f"{name}x", f"x{name}", f"{name[:40]}-chat", f"{name[:40]}-0"):
        assert not re.fullmatch(pattern, pod_name(other)), other
    if length < 47:
        assert not re.fullmatch(pattern, f"{name}-0")


@pytest.mark.parametrize("length", [47, 53])
def test_query_of_a_long_fullname_override_selects_its_pods(length: int) -> None:
    name = "r" * length
    keda = {"enabled": True, "serverAddress": "http://p"}
    values = {"fullnameOverride": name, "autoscaling": {"keda": keda}}
    query = helm.render(values).objects.one("ScaledObject").at("spec", "triggers", 0, "metadata", "query")
    (selector,) = promql.selectors(query)
    patterns = {label: value for label, _, value in selector.matchers}
    assert patterns["namespace"] == "models"
    assert re.fullmatch(patterns["pod"], pod_name(name))
    assert not re.fullmatch(patterns["pod"], pod_name("chat"))


# -- rules


def rules(values: dict[str, Any]) -> list[tuple[promql.Expression, dict[str, Any]]]:
    """Every rule that the values make."""
    return list(promql.rules(helm.render(values).objects))


def names(values: dict[str, Any]) -> set[str]:
    """Names of the alerts that the values make."""
    return {rule["alert"] for _, rule in rules(values) if "alert" in rule}


def test_both_kinds_of_objects_hold_the_same_rules() -> None:
    settings = {"enabled": True, "labels": {"team": "a"}}
    operator = helm.render({"metrics": {"rules": settings}}).objects.one("PrometheusRule")
    plain = helm.render({"metrics": {"rules": {**settings, "kind": "ConfigMap"}}}).objects.one(
        "ConfigMap", "test-rules"
    )
    assert operator.name == "test"
    assert plain.name == "test-rules"
    for item in (operator, plain):
        assert item.at("metadata", "labels", "team") == "a"
    assert go_yaml.load(plain.at("data", "test.yaml")) == operator.at("spec")


def test_every_rule_reads_only_this_release() -> None:
    found = rules(EVERYTHING)
    recorded = {rule["record"] for _, rule in found if "record" in rule}
    for expression, _ in found:
        for selector in promql.selectors(expression.text):
            if selector.name in recorded:
                wanted = {("namespace", "Equal", "models"), ("release", "Equal", "test")}
            elif selector.name.startswith("kube_deployment_"):
                wanted = {("namespace", "Equal", "models"), ("deployment", "Equal", "test")}
            else:
                wanted = MATCHERS
            assert wanted <= selector.matchers, expression


def test_every_alert_says_what_where_how_bad_and_what_to_do() -> None:
    for _, rule in rules(EVERYTHING):
        assert rule["labels"]["namespace"] == "models"
        assert rule["labels"]["release"] == "test"
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("critical", "warning")
            assert "test in namespace models" in rule["annotations"]["summary"]
            assert rule["annotations"]["description"].endswith(".")
            assert "$" not in re.sub(r"\{\{.*?\}\}", "", json.dumps(rule)), "a placeholder is left"
        else:
            group = "${1}"  # of label_replace
            assert "$" not in json.dumps(rule).replace(group, ""), "a placeholder is left"


def alerts(values: dict[str, Any], chart: Path | None = None) -> list[dict[str, Any]]:
    """Each alert's annotations."""
    groups = helm.render(values, chart=chart).objects.one("PrometheusRule").at("spec", "groups")
    return [rule["annotations"] for group in groups for rule in group["rules"] if "alert" in rule]


def test_alert_links_to_its_section_of_the_given_runbooks() -> None:
    found = alerts({"metrics": {"rules": {"enabled": True, "runbookUrl": "https://runbooks.example/vllm"}}})
    assert "https://runbooks.example/vllm#vllmenginestalled" in {alert["runbook_url"] for alert in found}


def test_alert_has_no_runbook_url_while_the_chart_has_no_home() -> None:
    assert not any("runbook_url" in alert for alert in alerts({"metrics": {"rules": {"enabled": True}}}))


def test_alert_links_to_the_runbooks_of_the_documentation_if_the_chart_has_a_home(tmp_path: Path) -> None:
    chart = shutil.copytree(CHART, tmp_path / "vllm")
    with (chart / "Chart.yaml").open("a", encoding="utf-8") as file:
        file.write("home: https://docs.example\n")
    found = alerts({"metrics": {"rules": {"enabled": True}}}, chart)
    assert "https://docs.example/runbooks.html#vllmenginestalled" in {alert["runbook_url"] for alert in found}


def test_rules_that_need_another_exporter_are_left_out_together() -> None:
    both, neither = {"enabled": True, "dcgm": True}, {"enabled": True, "kubeStateMetrics": False}
    for settings, prefixes in ((neither, ("kube_", "DCGM_")), ({"enabled": True}, ("DCGM_",))):
        read = {
            selector.name
            for expression, _ in rules({"metrics": {"rules": settings}})
            for selector in promql.selectors(expression.text)
        }
        assert not [name for name in read if name.startswith(prefixes)]
    gone = names({"metrics": {"rules": both}}) - names({"metrics": {"rules": neither}})
    expected = {"VllmNoReadyReplica", "VllmStartOverBudget", "VllmServerRestarts", "VllmLoadFailed", "VllmGpuError"}
    assert gone == expected


def test_an_alert_can_be_left_out_and_an_objective_with_all_that_it_records() -> None:
    off = {"VllmPreemptions": True, "VllmInterTokenLatencyBudgetBurn": True, "VllmQueueGrowing": False}
    left = names({"metrics": {"rules": {"enabled": True}}})
    assert left - names({"metrics": {"rules": {"enabled": True, "disabled": off}}}) == {
        "VllmPreemptions",
        "VllmInterTokenLatencyBudgetBurn",
    }
    recorded = json.dumps([rule for _, rule in rules({"metrics": {"rules": {"enabled": True, "disabled": off}}})])
    assert "inter_token_latency" not in recorded
    none = {"VllmTimeToFirstTokenBudgetBurn": True, "VllmInterTokenLatencyBudgetBurn": True}
    groups = helm.render({"metrics": {"rules": {"enabled": True, "disabled": none}}}).objects.one("PrometheusRule")
    assert [group["name"] for group in groups.at("spec", "groups")] == ["vllm-models-test"]


def test_nothing_to_scrape_is_no_alarm_where_no_server_may_run() -> None:
    keda = {"enabled": True, "serverAddress": "http://p:9090", "query": "sum(queue)", "minReplicas": 0}
    on = {"metrics": {"rules": {"enabled": True}}}
    assert "VllmNoMetrics" in names(on)
    for idle in ({"autoscaling": {"keda": keda}}, {"replicas": 0}):
        assert names(on) - names({**on, **idle}) == {"VllmNoMetrics"}


@pytest.mark.parametrize(("seconds", "bound"), [(2.5, "2.5"), (1, "1.0"), (10, "10.0"), ("1", None)])
def test_an_objective_reads_the_bucket_as_vllm_names_it(seconds: Any, bound: str | None) -> None:
    values = {"metrics": {"rules": {"enabled": True, "timeToFirstToken": {"seconds": seconds, "objective": 0.95}}}}
    if bound is None:
        with pytest.raises(helm.HelmError):
            helm.render(values)
        return
    found = {rule["record"]: expression.text for expression, rule in rules(values) if "record" in rule}
    selector, _ = promql.selectors(found["release:vllm_time_to_first_token_slow:ratio_rate5m"])
    assert ("le", "Equal", bound) in selector.matchers
    burn = next(rule for _, rule in rules(values) if rule.get("alert") == "VllmTimeToFirstTokenBudgetBurn")
    assert "14.4 * (1 - 0.95)" in burn["expr"]
    assert f"longer than {seconds} s" in burn["annotations"]["description"]


def test_buckets_of_the_users_own_count_as_vllms() -> None:
    rules = {"enabled": True, "timeToFirstToken": {"seconds": 3}}
    for buckets in ({"time_to_first_token": [1, 3]}, '{"time_to_first_token": [1, 3]}'):
        helm.render({"metrics": {"rules": rules}, "engine": {"args": {"custom-histogram-buckets": buckets}}})


def test_the_time_to_start_is_the_deployments_own_deadline() -> None:
    values = {"startup": {"timeoutSeconds": 3600}, **EVERYTHING}
    deadline = helm.render(values).objects.one("Deployment").at("spec", "progressDeadlineSeconds")
    found = {rule["alert"]: rule for _, rule in rules(values) if "alert" in rule}
    assert f"> {deadline}" in found["VllmStartOverBudget"]["expr"]
    assert found["VllmNoMetrics"]["for"] == f"{deadline}s"


# -- dashboard


def dashboard(values: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """The dashboard of a release."""
    settings = {"metrics": {"dashboard": {"enabled": True, **(values or {})}}}
    ((_, _, found),) = promql.dashboards(helm.render(settings, **options).objects)
    return found


def test_a_dashboard_is_labelled_for_the_sidecar_and_named_after_the_release() -> None:
    settings = {"enabled": True, "labels": {"dashboards": "yes"}, "annotations": {"grafana_folder": "vLLM"}}
    found = helm.render({"metrics": {"dashboard": settings}}).objects.one("ConfigMap", "test-dashboard")
    labels = found.at("metadata", "labels")
    assert (labels["grafana_dashboard"], labels["dashboards"]) == ("1", "yes")
    assert found.at("metadata", "annotations") == {"grafana_folder": "vLLM"}
    assert list(found.at("data")) == ["models-test.json"]
    plain = helm.render({"metrics": {"dashboard": {"enabled": True, "labels": None}}})
    assert plain.text == helm.render({"metrics": {"dashboard": {"enabled": True}}}).text
    shown = dashboard()
    assert shown["title"] == "vLLM: models/test"
    current = {item["name"]: item.get("current", {}).get("value") for item in shown["templating"]["list"]}
    assert current == {"datasource": None, "namespace": "models", "release": "test", "pod": "$__all", "model": "$__all"}
    assert shown["uid"] != dashboard(release="other")["uid"] != dashboard(namespace="other")["uid"]
    assert len(shown["uid"]) <= 40


def test_every_variable_that_a_panel_uses_is_declared() -> None:
    shown = dashboard()
    declared = [item["name"] for item in shown["templating"]["list"]]
    for index, variable in enumerate(shown["templating"]["list"]):
        assert variables(variable.get("query", "")) <= set(declared[:index]), variable["name"]
    used = {name for text in queries(shown["panels"]) for name in variables(text)}
    assert used | {"datasource"} == set(declared)


def queries(panels: list[dict[str, Any]]) -> Iterator[str]:
    """Every query of the panels."""
    for panel in panels:
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "$datasource"
            yield target["expr"]


def variables(text: str) -> set[str]:
    """Variables of Grafana in a text, without those that it sets by itself, and without the groups of label_replace."""
    return set(re.findall(r"\$\{?([A-Za-z]\w*)", text))


def test_panels_do_not_overlap_and_stay_in_the_grid() -> None:
    taken: dict[tuple[int, int], str] = {}
    identifiers = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(identifiers)) == len(identifiers)
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


@pytest.mark.parametrize("length", range(45, 54))
def test_the_release_is_read_from_the_name_of_a_pod(length: int) -> None:
    found = {item["name"]: item for item in dashboard()["templating"]["list"]}
    pattern = found["release"]["regex"].strip("/")
    of_pod = re.search(r'pod=~"(.*?)"', found["pod"]["query"])
    assert of_pod
    releases = ("x", "my-chat", "a-b-c", "chat-2", f"a-{'r' * (length - 2)}")
    for release in releases:
        for pod in (pod_name(release), f"{release}-0", f"{release}-12"):
            match = re.fullmatch(pattern, pod)
            assert match, pod
            assert match.group(1) == release
            shown = {other for other in releases if re.fullmatch(of_pod[1].replace("$release", other), pod)}
            assert shown == {release}


def test_panels_count_deployments_and_the_leaders_of_groups() -> None:
    (replicas,) = [panel for panel in dashboard()["panels"] if panel["title"] == "Replicas"]
    read = {
        target["legendFormat"]: {
            (selector.name, label)
            for selector in promql.selectors(promql.without_variables(target["expr"]))
            for label in selector.labels() - {"namespace"}
        }
        for target in replicas["targets"]
    }
    assert read["ready"] == {
        ("kube_deployment_status_replicas_ready", "deployment"),
        ("kube_statefulset_status_replicas_ready", "statefulset"),
    }
    assert read["wanted"] == {
        ("kube_deployment_spec_replicas", "deployment"),
        ("kube_statefulset_replicas", "statefulset"),
    }


# -- traces and logs


def test_traces_go_where_they_are_told_under_the_releases_name() -> None:
    values = {"tracing": {"endpoint": "http://collector:4318/v1/traces", "protocol": "http/protobuf"}}
    assert "--otlp-traces-endpoint=http://collector:4318/v1/traces" in args(values)
    found = env(values)
    assert found["OTEL_SERVICE_NAME"] == "test"
    assert found["OTEL_RESOURCE_ATTRIBUTES"] == "service.namespace=models"
    assert found["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] == "http/protobuf"
    assert not [name for name in env({}) if name.startswith("OTEL_")]
    assert not [item for item in args({}) if "otlp" in item]


def test_logs_are_as_vllm_has_them_unless_told_otherwise() -> None:
    assert not [item for item in args({}) if item.startswith(("--log", "--enable-log"))]
    told = args({"logging": {"level": "WARNING", "format": "json"}})
    assert "--log-level=WARNING" in told
    assert '--logging-config={"formatter":"json"}' in told


def test_a_raw_argument_can_not_undo_the_log_format() -> None:
    with pytest.raises(helm.HelmError, match=r"set logging\.format"):
        helm.render({"engine": {"extraArgs": ["--logging-config.formatter=text"]}})


# -- docs


def test_the_docs_name_every_dashboard_row_and_way_of_scraping() -> None:
    text = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    for name in ("serviceMonitor", "podMonitor", "scrapeAnnotations", "scrapeConfig", "rules", "dashboard"):
        assert f"`metrics.{name}" in text, name
