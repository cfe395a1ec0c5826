"""The tests that keep parts of the chart in step, and a release in step with the last, fail when one of them moves."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scripts.generate import registry
from scripts.last_release import LastRelease
from scripts.value_sets import SHIPPED
from tests.contract import test_chart, test_chart_readme, test_generated, test_schema
from tests.render import test_upgrade
from vllm_chart.render import helm
from vllm_chart.render.objects import Manifest, Objects


def templates(file: str, old: str, new: str) -> tuple[Any, str, Any]:
    """The chart's templates with a text of one changed."""
    assert old in test_chart.TEMPLATES[file]
    changed = {**test_chart.TEMPLATES, file: test_chart.TEMPLATES[file].replace(old, new)}
    return test_chart, "TEMPLATES", changed


def undescribed() -> dict[str, Any]:
    """The schema for editors without the description of one key."""
    schema = copy.deepcopy(test_chart.EDITOR_SCHEMA)
    del schema["properties"]["replicas"]["description"]
    return schema


def described() -> dict[str, Any]:
    """values.schema.yaml with a description of a key of values.yaml."""
    source = copy.deepcopy(test_schema.SOURCE)
    source["properties"]["replicas"]["description"] = "Number of replicas."
    return source


#: What moves alone, and the test that must see it: a module's constant with its new content.
DRIFTS: dict[str, tuple[Callable[[], None], tuple[Any, str, Any]]] = {
    "a value that is not declared": (
        test_chart.test_every_path_that_a_template_reads_is_declared,
        templates("network/service.yaml", ".Values.service", ".Values.services"),
    ),
    "a value that the schema has and values.yaml lacks": (
        test_chart.test_every_path_that_a_template_reads_is_declared,
        (test_chart, "DEFAULTS", {**test_chart.DEFAULTS, "service": {"type": "ClusterIP"}}),
    ),
    "a path below a value that is not declared": (
        test_chart.test_every_path_that_a_template_reads_is_declared,
        templates("_test.tpl", ".Values.service.port", ".Values.service.porrt"),
    ),
    "a key without a comment": (
        test_chart.test_every_key_of_values_yaml_has_a_comment,
        (test_chart, "EDITOR_SCHEMA", undescribed()),
    ),
    "a key that is described twice": (
        partial(test_schema.test_description_of_key_stands_in_values_yaml_alone_and_reaches_editors, ("replicas",)),
        (test_schema, "SOURCE", described()),
    ),
    "a helper that nobody uses": (
        test_chart.test_every_helper_says_what_it_returns_and_is_used,
        templates("_test.tpl", '"vllm.testCommand"', '"vllm.testCommands"'),
    ),
    "a helper without a comment": (
        test_chart.test_every_helper_says_what_it_returns_and_is_used,
        templates("workload/_group.tpl", "/* vllm.workerTemplate: ", "/* "),
    ),
    "a line that is too long": (
        test_chart.test_no_line_of_a_template_is_longer_than_160_characters,
        templates("network/service.yaml", "kind: Service", f"kind: Service # {'a' * 160}"),
    ),
    "a key that a template sets on the root context": (
        test_chart.test_only_once_sets_a_key_of_the_root_context,
        templates("network/service.yaml", "kind: Service", '{{- $_ := set . "name" 1 }}kind: Service'),
    ),
    "a fail outside the checks": (
        test_chart.test_only_the_checks_fail,
        templates("network/service.yaml", "kind: Service", 'kind: {{ fail "no" }}'),
    ),
    "a generated file that was written by hand": (
        partial(test_generated.test_generated_files_are_current, "schemas"),
        (registry, "_current", lambda path: path.read_text(encoding="utf-8") + " "),
    ),
    "a value without a row in the README": (
        test_chart_readme.test_every_value_check_and_refused_flag_has_a_row_with_a_meaning,
        (test_chart_readme, "README", test_chart_readme.README.replace("| `replicas` |", "| replicas |")),
    ),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_what_moves_alone_is_seen(drift: str, monkeypatch: pytest.MonkeyPatch) -> None:
    test, (module, name, moved) = DRIFTS[drift]
    assert moved != getattr(module, name)
    monkeypatch.setattr(module, name, moved)
    with pytest.raises(AssertionError):
        test()


# -- an upgrade


#: Values that make each kind of workload.
WORKLOADS: dict[str, helm.Values] = {"Deployment": {}, "LeaderWorkerSet": SHIPPED / "multi-node.yaml"}


def changed(*path: Any, value: Any, kind: str = "Deployment") -> test_upgrade.Upgrades:
    """An upgrade of one release in which a field of its workload gets another value."""
    before = helm.render(WORKLOADS[kind]).objects
    after = Objects([Manifest(item.source, copy.deepcopy(item.body)) for item in before])
    part: Any = after.one(kind).body
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    return {"values.yaml": (before, after)}


def test_an_upgrade_that_changes_nothing_passes() -> None:
    same = changed("spec", "replicas", value=7)
    test_upgrade.test_an_upgrade_changes_nothing_that_cannot_be_changed(same)
    test_upgrade.test_an_upgrade_makes_no_second_server_and_leaves_no_claim_behind(same)


def test_a_field_that_kubernetes_keeps_is_seen_where_it_changes() -> None:
    for kind, path in (
        ("Deployment", ("spec", "selector", "matchLabels")),
        ("LeaderWorkerSet", ("spec", "leaderWorkerTemplate", "subGroupPolicy")),
    ):
        with pytest.raises(AssertionError, match=f"{kind}/test"):
            test_upgrade.test_an_upgrade_changes_nothing_that_cannot_be_changed(
                changed(*path, value={"app": "other"}, kind=kind)
            )


@pytest.mark.parametrize("kind", WORKLOADS)
def test_a_second_server_is_seen(kind: str) -> None:
    with pytest.raises(AssertionError, match=kind):
        test_upgrade.test_an_upgrade_makes_no_second_server_and_leaves_no_claim_behind(
            changed("metadata", "name", value="test-2", kind=kind)
        )


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Deployment", ("spec", "template")),
        ("LeaderWorkerSet", ("spec", "leaderWorkerTemplate", "leaderTemplate")),
        ("LeaderWorkerSet", ("spec", "leaderWorkerTemplate", "workerTemplate")),
    ],
)
def test_a_restart_that_the_changelog_is_silent_of_is_seen(
    kind: str, path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarting = changed(*path, "spec", "priorityClassName", value="high", kind=kind)
    monkeypatch.setattr(test_upgrade, "ROOT", tmp_path)
    last = LastRelease("0.1.0", commit="")
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text("## [Unreleased]\n\n## [0.1.0]\n- Servers restart at the upgrade.\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="restart at the upgrade"):
        test_upgrade.test_pods_that_restart_at_an_upgrade_are_told_of(restarting, last)
    changelog.write_text("## [Unreleased]\n- Servers restart at\n  the upgrade.\n\n## [0.1.0]\n", encoding="utf-8")
    test_upgrade.test_pods_that_restart_at_an_upgrade_are_told_of(restarting, last)


def test_a_key_that_the_last_release_took_and_this_one_refuses_is_seen(tmp_path: Path) -> None:
    values = tmp_path / "values" / "old.yaml"
    values.parent.mkdir()
    values.write_text("replicaCount: 2\n", encoding="utf-8")
    with pytest.raises(pytest.fail.Exception, match=r"old\.yaml of the last release is refused now"):
        test_upgrade.test_values_of_the_last_release_are_still_taken(tmp_path)
