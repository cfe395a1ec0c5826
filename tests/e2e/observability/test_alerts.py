"""Prometheus loads and evaluates every rule, and alerts fire when their cause is there."""

from collections.abc import Callable
from typing import Any

import yaml

from ci.helm_release import HelmRelease
from ci.prometheus import Prometheus
from tests.e2e.observability.conftest import Watching, await_none, await_true
from vllm_chart.chart import app_version
from vllm_chart.invariants import promql

Record = Callable[..., None]
#: What this cluster has no exporter for.
WITHOUT_DATA = {
    "release:vllm_gpu_utilization:avg",
    "release:vllm_gpu_memory_used:ratio",
    "pod:vllm_generation_tokens_per_gpu:rate5m",
}


def _installed(release: HelmRelease) -> list[dict[str, Any]]:
    """The rules that the release brought, as its ConfigMap has them."""
    text = release.kubectl("get", f"configmap/{release.name}-rules", "--output=yaml")
    (content,) = yaml.safe_load(text)["data"].values()
    return [rule for group in yaml.safe_load(content)["groups"] for rule in group["rules"]]


def _loaded(prometheus: Prometheus, release: HelmRelease) -> list[dict[str, Any]]:
    """The rules that Prometheus has of a release, with their health."""
    return [
        rule
        for group in prometheus.ask("rules")["groups"]
        for rule in group["rules"]
        if rule["labels"]["release"] == release.name
    ]


def test_every_rule_is_loaded_and_evaluated_without_an_error(busy: HelmRelease, watching: Watching) -> None:
    for release in (busy, watching.broken):
        wanted = sorted(rule.get("alert") or rule["record"] for rule in _installed(release))
        await_true(
            lambda release=release: all(r["health"] != "unknown" for r in _loaded(watching.prometheus, release)),
            "all rules are evaluated",
        )
        loaded = _loaded(watching.prometheus, release)
        assert sorted(rule["name"] for rule in loaded) == wanted
        assert not {rule["name"]: rule["lastError"] for rule in loaded if rule["health"] != "ok"}


def test_what_rules_read_is_there(busy: HelmRelease, prometheus: Prometheus) -> None:
    read = {selector.name for rule in _installed(busy) for selector in promql.selectors(rule["expr"])}
    assert read & set(promql.vllm_metrics(app_version()))
    # a container of which none has waited has no reason to wait
    sometimes = {"kube_pod_init_container_status_waiting_reason"}
    wanted = {name for name in read - sometimes - WITHOUT_DATA if not name.startswith("DCGM_")}
    await_none(lambda: wanted - set(prometheus.ask("label/__name__/values")), "series that rules read and aren't there")


def test_what_is_recorded_has_data_under_load(busy: HelmRelease, prometheus: Prometheus) -> None:
    own = f'namespace="{busy.namespace}",release="{busy.name}"'
    recorded = {rule["record"] for rule in _installed(busy) if "record" in rule}
    assert recorded > WITHOUT_DATA

    def missing() -> set[str]:
        return {n for n in recorded - WITHOUT_DATA if not any(s.has_data() for s in prometheus.query(f"{n}{{{own}}}"))}

    await_none(missing, "records without data")


def test_refused_requests_fire_an_alert(busy: HelmRelease, watching: Watching, record: Record) -> None:
    name = "VllmAdmissionRejections"
    began = await_true(lambda: name in watching.alerts(busy, "pending") | watching.alerts(busy, "firing"), name)
    fired = await_true(lambda: name in watching.alerts(busy, "firing"), name)
    record(f"{name}, for 5m", fires_after=f"{fired - began:.0f} s pending")


def test_a_server_that_cannot_load_fires_an_alert(watching: Watching, record: Record) -> None:
    name = "VllmLoadFailed"
    await_true(lambda: name in watching.alerts(watching.broken, "firing"), name)
    (alert,) = {
        series.labels["reason"]
        for series in watching.prometheus.query(f'ALERTS{{alertname="{name}",release="{watching.broken.name}"}}')
    } & {"ImagePullBackOff"}
    record(name, reason=alert)
