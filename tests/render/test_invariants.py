"""Statements that hold for every value set; a new values file needs no new test."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from harness import helm, kubernetes_api, names, pod_security, promql, references, vllm_arguments
from harness.findings import Finding
from harness.helm import CHART, Rendered
from harness.objects import Container, Manifest, containers, pods
from harness.value_sets import ValueSet

Clean = Callable[[Sequence[Finding], Rendered], None]

#: Release names as long as Helm takes them, one plain and one that no Service may have.
LONG_NAME = "release" + "-name" * 9 + "s"
ODD_NAME = "7b.chat" + ".model-v1" * 5 + "s"

#: Selectors may hold nothing that a user or an upgrade can change.
SELECTOR_LABELS = {"app.kubernetes.io/name", "app.kubernetes.io/instance"}

#: But LeaderWorkerSet's own label, by which the leader of a group is told from its workers.
LEADER = {"leaderworkerset.sigs.k8s.io/worker-index"}


def servers(workload: Manifest) -> list[Container]:
    """The containers of a workload in which vLLM runs; there is one at least."""
    found = [container for container in containers(workload) if container.body["name"] == "vllm"]
    assert found, f"{workload} runs no vLLM"
    return found


@pytest.mark.parametrize("minor", kubernetes_api.SUPPORTED)
def test_kubernetes_takes_every_object(rendered: Rendered, clean: Clean, minor: str) -> None:
    clean(kubernetes_api.findings(rendered.objects, minor), rendered)


def test_pods_meet_the_restricted_standard(rendered: Rendered, clean: Clean) -> None:
    clean(pod_security.findings(rendered.objects), rendered)


def test_vllm_takes_every_argument(value_set: ValueSet, rendered: Rendered) -> None:
    raw = [str(item) for item in value_set.values().get("engine", {}).get("extraArgs", [])]
    for workload in rendered.objects.servers():
        for container in servers(workload):
            arguments = vllm_arguments.arguments(container)
            assert arguments[len(arguments) - len(raw) :] == raw
            checked = arguments[: len(arguments) - len(raw)]
            assert not vllm_arguments.parser(helm.app_version()).problems(checked), rendered.command


def test_every_query_reads_what_is_there(rendered: Rendered, clean: Clean) -> None:
    clean(promql.findings(rendered.objects, helm.app_version()), rendered)


def test_every_name_leads_somewhere(value_set: ValueSet, rendered: Rendered, clean: Clean) -> None:
    clean(references.findings(rendered.objects, references.declared_external(value_set.values())), rendered)


def test_nothing_is_given_twice(rendered: Rendered, clean: Clean) -> None:
    clean(references.repetitions(rendered.objects), rendered)


def test_no_number_loses_its_form(rendered: Rendered) -> None:
    assert not [line for line in rendered.text.splitlines() if re.search(r"\de\+\d", line)], rendered.command


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
        if manifest.source.endswith("extra-objects.yaml"):
            continue
        assert manifest.at("metadata", "namespace") == "models"
        assert manifest.at("metadata", "labels").keys() > SELECTOR_LABELS
        assert manifest.at("metadata", "labels", "app.kubernetes.io/managed-by") == "Helm"


def test_a_pod_can_start_and_stop_as_vllm_needs(rendered: Rendered) -> None:
    for workload in rendered.objects.servers():
        for pod in pods(workload):
            assert pod.spec["enableServiceLinks"] is False
            assert pod.spec["automountServiceAccountToken"] is False
        for container in servers(workload):
            writable = {mount["mountPath"] for mount in container.body["volumeMounts"] if not mount.get("readOnly")}
            assert {"/tmp", "/dev/shm"} < writable  # noqa: S108
            environment = {item["name"]: item.get("value") for item in container.body["env"]}
            assert environment["HOME"] in writable
            assert {"USER", "LOGNAME", "HF_HOME", "VLLM_CACHE_ROOT"} < environment.keys()
            assert container.body["terminationMessagePolicy"] == "FallbackToLogsOnError"
            assert not container.body["image"].endswith(":latest")


def test_an_upgrade_renders_like_an_install(value_set: ValueSet, rendered: Rendered) -> None:
    # a second render: nothing is drawn by lot either
    upgrade = helm.render(value_set.path, options=("--is-upgrade",))
    assert upgrade.text == rendered.text


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


@pytest.mark.parametrize("release", [LONG_NAME, ODD_NAME])
def test_every_release_name_gives_names_that_kubernetes_takes(value_set: ValueSet, clean: Clean, release: str) -> None:
    assert len(release) == 53
    rendered = helm.render(value_set.path, release=release)
    clean(names.findings(rendered.objects), rendered)


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
