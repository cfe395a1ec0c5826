"""Every invariant is shown to fail on a chart, or on values, that break it."""

from __future__ import annotations

import inspect
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.value_sets import ValueSet
from tests.render import test_invariants as invariants
from vllm_chart.chart import CHART
from vllm_chart.invariants.registry import INVARIANTS
from vllm_chart.render import helm
from vllm_chart.render.findings import report


@dataclass(frozen=True)
class Break:
    """A text to replace in one file of the chart, the values that show it, and where it must be found."""

    file: str
    old: str
    new: str
    #: Kind, name and path, as `Service/test at spec.ports.0`.
    where: str
    values: str = ""


BREAKS: dict[str, Break] = {
    "kubernetes": Break(
        "templates/network/service.yaml", "appProtocol:", "appProtokol:", "Service/test at spec.ports.0"
    ),
    "restricted": Break(
        "values.yaml",
        "allowPrivilegeEscalation: false",
        "allowPrivilegeEscalation: true",
        "Deployment/test at spec.template.spec.containers.vllm.securityContext.allowPrivilegeEscalation",
    ),
    "arguments": Break(
        "templates/workload/_args.tpl",
        "--shutdown-timeout=",
        "--shutdown-timout=",
        "Deployment/test at spec.template.spec.containers.vllm.args",
    ),
    "queries": Break(
        "files/data/rules.yaml",
        "vllm:kv_cache_usage_perc",
        "vllm:gpu_cache_usage_perc",
        "PrometheusRule/test at spec.groups.vllm-models-test.VllmKvCacheFull",
        "metrics: {rules: {enabled: true}}",
    ),
    "references": Break(
        "templates/network/service.yaml",
        'targetPort: {{ include "vllm.scheme" . }}',
        "targetPort: web",
        "Service/test at spec.ports.http",
    ),
    "repetitions": Break(
        "templates/workload/_pod.tpl",
        "    ports:\n",
        "    ports:\n      - {name: b, containerPort: 8000, protocol: TCP}\n",
        "Deployment/test at spec.template.spec.containers.vllm.ports",
    ),
    "numbers": Break(
        "templates/_functions.tpl",
        "{{- toRawJson . -}}{{- end -}}",
        "{{- . -}}{{- end -}}",
        "Deployment/test at spec.template.spec.containers.0.args.7",
        "engine: {args: {max-num-batched-tokens: 1048576}}",
    ),
    "test_selectors_hold_only_name_and_instance": Break(
        "templates/network/service.yaml",
        '"vllm.servingLabels"',
        '"vllm.podLabels"',
        "Service/test at spec.selector",
        "commonLabels: {team: a}",
    ),
    "test_every_object_stands_in_the_release_namespace_with_its_labels": Break(
        "templates/_names.tpl",
        "namespace: {{ $root.Release.Namespace | toYaml }}",
        "namespace: default",
        "Deployment/test at metadata.namespace",
    ),
    "startAndStop": Break(
        "templates/workload/_pod.tpl",
        "enableServiceLinks: false",
        "enableServiceLinks: true",
        "Deployment/test at spec.template.spec.enableServiceLinks",
    ),
    "again": Break(
        "templates/network/service.yaml",
        "protocol: TCP",
        "protocol: {{ randAlpha 8 }}",
        "Service/test at spec.ports.0.protocol",
    ),
    "test_a_new_chart_version_changes_only_labels_of_objects": Break(
        "templates/_names.tpl",
        "name: {{ include",
        "helm.sh/chart: {{ .Chart.Version }}\nname: {{ include",
        "Deployment/test at spec.selector.matchLabels.app.kubernetes.io/helm.sh/chart",
    ),
    "names": Break(
        "templates/_names.tpl",
        '(printf "%s-%s" .Chart.Name',
        '(printf "%s %s" .Chart.Name',
        "Deployment/test at metadata.labels.helm.sh/chart",
    ),
    "releaseNames": Break(
        "templates/_names.tpl",
        "[^a-z0-9-]",
        "[^a-z0-9.-]",
        "Service/vllm-7b.chat.model-v1.model-v1.model-v1.model-v1.model-1a8da57b at metadata.name",
    ),
    "test_two_releases_in_a_namespace_share_nothing": Break(
        "templates/_names.tpl",
        "{{- $name := .Release.Name -}}",
        "{{- $name := .Chart.Name -}}",
        "Deployment/vllm at metadata.name",
    ),
}


#: Statements of tests/render alone, by their test; the others are named as in vllm_chart.invariants.
TESTS = {name for name in vars(invariants) if name.startswith("test_")} - {"test_values_keep_what_is_promised_of_any"}


def test_every_invariant_has_a_broken_example() -> None:
    assert set(BREAKS) == TESTS | set(INVARIANTS)


@pytest.mark.parametrize("name", BREAKS)
def test_an_invariant_fails_on_its_broken_example(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = BREAKS[name]
    chart = tmp_path / CHART.name
    shutil.copytree(CHART, chart)
    (chart / "values.schema.json").unlink()
    text = (chart / example.file).read_text(encoding="utf-8")
    assert example.old in text
    (chart / example.file).write_text(text.replace(example.old, example.new), encoding="utf-8")
    later = tmp_path / "later" / CHART.name
    shutil.copytree(chart, later)
    metadata = later / "Chart.yaml"
    metadata.write_text(metadata.read_text(encoding="utf-8").replace("version: 0", "version: 9", 1), encoding="utf-8")
    values = tmp_path / "values.yaml"
    values.write_text(example.values, encoding="utf-8")

    manifest, _, path = example.where.partition(" at ")
    where = rf"^ +{re.escape(manifest)} \(vllm/templates/[\w./-]+\) at {re.escape(path)}: "

    monkeypatch.setattr(helm, "CHART", chart)
    if name in INVARIANTS:
        told = report(INVARIANTS[name].findings(invariants.subject(ValueSet("broken", values))), "")
        assert re.search(f"(?m){where}", told), told
        return
    invariant = getattr(invariants, name)
    arguments: dict[str, Any] = {
        "value_set": ValueSet("broken", values),
        "rendered": helm.render(values),
        "clean": _clean,
        "next_version": later,
    }
    wanted = inspect.signature(invariant).parameters
    with pytest.raises(AssertionError, match=f"(?m){where}"):
        invariant(**{key: value for key, value in arguments.items() if key in wanted})


def _clean(findings: Any, rendered: Any) -> None:
    assert not findings, report(findings, rendered.command)
