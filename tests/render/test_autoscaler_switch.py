"""The number of replicas where a Deployment runs already; a file stands for what Helm looks up on a live cluster."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from scripts.templates import template_files
from vllm_chart.chart import CHART
from vllm_chart.render import helm

TEMPLATE = Path("templates") / "autoscaling" / "_replicas.tpl"
LOOKUP = re.compile(r"lookup \$workload\.apiVersion \$workload\.kind \.Release\.Namespace \$workload\.name")

HPA: dict[str, Any] = {"hpa": {"enabled": True, "minReplicas": 2, "maxReplicas": 9}}
TO_ZERO: dict[str, Any] = {
    "keda": {"enabled": True, "minReplicas": 0, "serverAddress": "http://p:9090", "query": "sum(gateway_queue)"}
}


def test_the_cluster_is_asked_once_and_only_for_the_workload() -> None:
    templates = "".join(path.read_text(encoding="utf-8") for path in template_files(CHART).values())
    assert templates.count("lookup ") == len(LOOKUP.findall(templates)) == 1


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A copy of the chart that looks into running.json instead of the cluster."""
    copy = tmp_path / CHART.name
    shutil.copytree(CHART, copy)
    text = (copy / TEMPLATE).read_text(encoding="utf-8")
    (copy / TEMPLATE).write_text(LOOKUP.sub('.Files.Get "running.json" | fromJson', text), encoding="utf-8")
    return copy


def test_a_cluster_is_not_asked_for_an_api_that_it_lacks(chart: Path) -> None:
    text = (CHART / TEMPLATE).read_text(encoding="utf-8")
    (chart / TEMPLATE).write_text(LOOKUP.sub('fail "unable to get apiresource"', text), encoding="utf-8")
    live = ("--api-versions", "apiregistration.k8s.io/v1")
    with pytest.raises(helm.HelmError, match=r"install LeaderWorkerSet .*\[check leaderWorkerSet\]"):
        helm.render({"parallelism": {"tensor": 2, "nodes": 2}}, chart=chart, options=live)


@pytest.mark.parametrize(
    ("autoscaling", "running", "before", "rendered"),
    [
        pytest.param(HPA, 5, "", 5, id="switched on"),
        pytest.param(HPA, 5, "hpa", 5, id="upgraded with an autoscaler"),
        pytest.param(HPA, 0, "", 2, id="switched on without servers, which an HPA would leave at none"),
        pytest.param(TO_ZERO, 0, "keda", 0, id="scaled to zero"),
        pytest.param({}, 5, "hpa", 5, id="switched off"),
        pytest.param({}, 0, "keda", 3, id="switched off while scaled to zero"),
        pytest.param({}, 5, "", 3, id="upgraded without an autoscaler"),
    ],
)
def test_the_running_count_is_carried_over_the_switch(
    chart: Path, autoscaling: dict[str, Any], running: int, before: str, rendered: int
) -> None:
    annotations = {"vllm/autoscaler": before} if before else {"other": "one"}
    body = {"metadata": {"annotations": annotations}, "spec": {"replicas": running}}
    (chart / "running.json").write_text(json.dumps(body), encoding="utf-8")
    deployment = helm.render({"autoscaling": autoscaling, "replicas": 3}, chart=chart).objects.one("Deployment")
    assert deployment.at("spec", "replicas") == rendered
    now = next(iter(autoscaling), None)
    assert deployment.body["metadata"].get("annotations", {}).get("vllm/autoscaler") == now


def test_the_notes_say_that_a_count_is_kept_once(chart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"metadata": {"annotations": {"vllm/autoscaler": "hpa"}}, "spec": {"replicas": 5}}
    (chart / "running.json").write_text(json.dumps(body), encoding="utf-8")
    monkeypatch.setattr(helm, "CHART", chart)
    assert "5 are kept from the autoscaler this once, the next upgrade makes them 3" in helm.notes({"replicas": 3})
    assert "kept" not in helm.notes({"replicas": 5})
    assert "kept" not in helm.notes({"autoscaling": HPA})
