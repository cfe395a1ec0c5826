"""Statements that hold for every value set; a new values file needs no new test.

What a user's values can break, too, is stated in vllm_chart.invariants; the rest is here.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from scripts.value_sets import ValueSet
from vllm_chart.chart import CHART
from vllm_chart.invariants.registry import INVARIANTS, SKIP_SCHEMA, Subject, leaves
from vllm_chart.render import helm
from vllm_chart.render.findings import Finding
from vllm_chart.render.helm import Render
from vllm_chart.render.objects import pods

Clean = Callable[[Sequence[Finding], Render], None]

#: Selectors may hold nothing that a user or an upgrade can change.
SELECTOR_LABELS = {"app.kubernetes.io/name", "app.kubernetes.io/instance"}

#: Where an object holds a selector, by its kind.
SELECTORS: dict[str, tuple[str, ...]] = dict.fromkeys(
    ("Deployment", "PodDisruptionBudget", "ServiceMonitor", "PodMonitor", "InferencePool"),
    ("spec", "selector", "matchLabels"),
) | {"Service": ("spec", "selector"), "NetworkPolicy": ("spec", "podSelector", "matchLabels")}

#: What alone an upgrade of the chart changes in each object.
VERSION_LABEL = ("metadata", "labels", "helm.sh/chart")

#: But LeaderWorkerSet's own label, by which the leader of a group is told from its workers.
LEADER = {"leaderworkerset.sigs.k8s.io/worker-index"}


def subject(value_set: ValueSet) -> Subject:
    """A value set as the checks take it."""
    return Subject(value_set.values(), (value_set.path,))


@pytest.mark.parametrize("name", INVARIANTS)
def test_values_keep_what_is_promised_of_any(value_set: ValueSet, rendered: Render, clean: Clean, name: str) -> None:
    clean(INVARIANTS[name].findings(subject(value_set)), rendered)


def test_selectors_hold_only_name_and_instance(rendered: Render, clean: Clean) -> None:
    held = [
        (manifest, path, set(manifest.at(*path)) - LEADER)
        for manifest in rendered.objects
        for path in [SELECTORS.get(manifest.kind)]
        if path and manifest.of_chart
    ]
    clean(
        [Finding(item, path, f"holds {sorted(keys)}") for item, path, keys in held if keys != SELECTOR_LABELS], rendered
    )


def test_every_object_stands_in_the_release_namespace_with_its_labels(rendered: Render, clean: Clean) -> None:
    found = []
    for manifest in filter(lambda item: item.of_chart, rendered.objects):
        metadata = manifest.at("metadata")
        if metadata["namespace"] != "models":
            found.append(Finding(manifest, ("metadata", "namespace"), f"is {metadata['namespace']}"))
        if not metadata["labels"].keys() > SELECTOR_LABELS:
            found.append(Finding(manifest, ("metadata", "labels"), "lacks a label of the selectors"))
        if metadata["labels"].get("app.kubernetes.io/managed-by") != "Helm":
            found.append(Finding(manifest, ("metadata", "labels"), "does not name Helm"))
    clean(found, rendered)


def test_a_new_chart_version_changes_only_labels_of_objects(
    value_set: ValueSet, rendered: Render, clean: Clean, next_version: Path
) -> None:
    later = helm.render(value_set.path, chart=next_version, options=(SKIP_SCHEMA,))
    old, new = rendered.text.splitlines(), later.text.splitlines()
    changed = {line.strip() for line, other in zip(old, new, strict=True) if line != other}
    found = []
    for before, after in zip(rendered.objects, later.objects, strict=True):
        was, comes = dict(leaves(before.body)), dict(leaves(after.body))
        differing = {path for path in was.keys() | comes.keys() if was.get(path) != comes.get(path)}
        found += [Finding(before, path, "changes with the chart's version") for path in differing - {VERSION_LABEL}]
    clean(found, rendered)
    assert changed == {f"helm.sh/chart: vllm-{_version()}"}


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


def test_two_releases_in_a_namespace_share_nothing(value_set: ValueSet, rendered: Render, clean: Clean) -> None:
    if "fullnameOverride" in value_set.values():
        pytest.skip("the user gives the name")
    # names that a careless chart makes equal, as "test-vllm" contains the chart's name
    other = helm.render(value_set.path, release="test-vllm", options=(SKIP_SCHEMA,))
    shared = rendered.objects.names() & other.objects.names()
    found = [
        Finding(item, ("metadata", "name"), "another release has it, too")
        for item in rendered.objects
        if (item.kind, item.name) in shared
    ]
    theirs = [pod for workload in other.objects.servers() for pod in pods(workload)]
    found += [
        Finding(service, ("spec", "selector"), f"picks pods of {pod.manifest} of another release")
        for service in rendered.objects.of("Service")
        for pod in theirs
        if service.at("spec", "selector").items() <= pod.labels.items()
    ]
    clean(found, rendered)
