"""Statements that hold for every value set; a new values file needs no new test.

What a user's values can break, too, is stated in harness.invariants; the rest is here.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from harness import helm
from harness.findings import Finding
from harness.helm import CHART, Rendered
from harness.invariants import CHECKS, Subject
from harness.objects import pods
from harness.value_sets import ValueSet

Clean = Callable[[Sequence[Finding], Rendered], None]

#: Selectors may hold nothing that a user or an upgrade can change.
SELECTOR_LABELS = {"app.kubernetes.io/name", "app.kubernetes.io/instance"}

#: But LeaderWorkerSet's own label, by which the leader of a group is told from its workers.
LEADER = {"leaderworkerset.sigs.k8s.io/worker-index"}


def subject(value_set: ValueSet) -> Subject:
    """A value set as the checks take it."""
    return Subject(value_set.values(), (value_set.path,))


@pytest.mark.parametrize("name", CHECKS)
def test_values_keep_what_is_promised_of_any(value_set: ValueSet, rendered: Rendered, clean: Clean, name: str) -> None:
    clean(CHECKS[name].findings(subject(value_set)), rendered)


def test_selectors_hold_only_name_and_instance(rendered: Rendered) -> None:
    for manifest in rendered.objects:
        if manifest.kind == "Service":
            assert set(manifest.at("spec", "selector")) - LEADER == SELECTOR_LABELS, rendered.command
        if manifest.kind in ("Deployment", "PodDisruptionBudget", "ServiceMonitor", "PodMonitor", "InferencePool"):
            assert set(manifest.at("spec", "selector", "matchLabels")) - LEADER == SELECTOR_LABELS, rendered.command
        if manifest.kind == "NetworkPolicy":
            assert set(manifest.at("spec", "podSelector", "matchLabels")) - LEADER == SELECTOR_LABELS, rendered.command


def test_every_object_stands_in_the_release_namespace_with_its_labels(rendered: Rendered) -> None:
    for manifest in rendered.objects:
        if not manifest.of_chart:
            continue
        assert manifest.at("metadata", "namespace") == "models"
        assert manifest.at("metadata", "labels").keys() > SELECTOR_LABELS
        assert manifest.at("metadata", "labels", "app.kubernetes.io/managed-by") == "Helm"


def test_a_new_chart_version_changes_only_labels_of_objects(
    value_set: ValueSet, rendered: Rendered, next_version: Path
) -> None:
    later = helm.render(value_set.path, chart=next_version)
    changed = set(later.text.splitlines()) ^ set(rendered.text.splitlines())
    assert {line.strip() for line in changed} == {"helm.sh/chart: vllm-0.0.0-next", f"helm.sh/chart: vllm-{_version()}"}
    for before, after in zip(rendered.objects.workloads(), later.objects.workloads(), strict=True):
        assert before.at("spec") == after.at("spec")


@pytest.fixture(scope="session")
def next_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the chart with another version."""
    chart = tmp_path_factory.mktemp("next") / CHART.name
    shutil.copytree(CHART, chart)
    metadata = chart / "Chart.yaml"
    text = metadata.read_text(encoding="utf-8")
    metadata.write_text(text.replace(f"version: {_version()}", "version: 0.0.0-next", 1), encoding="utf-8")
    return chart


def _version() -> str:
    found = re.search(r"^version: (\S+)$", (CHART / "Chart.yaml").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert found
    return found.group(1)


def test_two_releases_in_a_namespace_share_nothing(value_set: ValueSet, rendered: Rendered) -> None:
    if "fullnameOverride" in value_set.values():
        pytest.skip("the user gives the name")
    # names that a careless chart makes equal, as "test-vllm" contains the chart's name
    other = helm.render(value_set.path, release="test-vllm")
    assert not rendered.objects.names() & other.objects.names()
    for service in rendered.objects.of("Service"):
        for workload in other.objects.servers():
            for pod in pods(workload):
                assert not service.at("spec", "selector").items() <= pod.labels.items()
