"""What the chart knows about metrics agrees with vLLM's own, and alerts, schema and runbooks agree with each other."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ci.common import ROOT
from scripts.generate import schema
from tests.lib.schema import SCHEMA
from vllm_chart.chart import CHART, DATA, app_version
from vllm_chart.invariants import promql
from vllm_chart.render import go_yaml

CAPTURE = promql.vllm_metrics(app_version())
KNOWN: dict[str, Any] = go_yaml.load((DATA / "metrics.yaml").read_text(encoding="utf-8"))
RULES: dict[str, Any] = go_yaml.load((DATA / "rules.yaml").read_text(encoding="utf-8"))
OBJECTIVES = {key: RULES["objectives"][key] for key in KNOWN["histograms"]}
ALERTS = sorted([*RULES["alerts"], *(item["alert"] for item in OBJECTIVES.values())])


def test_the_charts_names_are_those_of_a_real_metrics_page() -> None:
    ours = {name: metric for name, metric in CAPTURE.items() if name.startswith("vllm:")}
    assert set(KNOWN["names"]) == {name for name, metric in ours.items() if metric.type != "histogram"}
    families = {re.sub("_(bucket|count|sum)$", "", name) for name, metric in ours.items() if metric.type == "histogram"}
    assert set(KNOWN["families"]) == families
    assert not KNOWN["renamed"].keys() & CAPTURE.keys()
    assert not [name for name in CAPTURE if re.search(KNOWN["optional"], name)]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_knows_the_bounds_of_its_histogram(name: str) -> None:
    bounds = CAPTURE[f"{OBJECTIVES[name]['metric']}_bucket"].bounds
    assert [float(bound) for bound in bounds[:-1]] == KNOWN["histograms"][name]["bounds"]


def test_every_alert_can_be_left_out() -> None:
    disabled = schema.at(SCHEMA, ("metrics", "rules", "disabled"))
    assert list(disabled["properties"]) == ALERTS, "run `make generate`"


def test_every_alert_has_a_section_in_the_runbooks_and_every_section_an_alert() -> None:
    text = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (Vllm\w+)\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL))
    missing, unknown = sorted(set(ALERTS) - sections.keys()), sorted(sections.keys() - set(ALERTS))
    assert not missing, f"add to docs/runbooks.md a section `## NAME` for: {missing}"
    assert not unknown, f"add to charts/vllm/files/data/rules.yaml, or remove from docs/runbooks.md: {unknown}"
    for name, section in sections.items():
        for part in ("**Meaning.**", "**Look.**", "**Remedy.**", "**Value.**"):
            assert part in section, f"{name} lacks {part}"
        commands = re.search(r"```sh\n(.*?)```", section, flags=re.DOTALL)
        assert commands, name
        assert len(commands.group(1).splitlines()) == 3, name


def test_every_alert_has_firing_and_silent_cases_and_every_case_an_alert() -> None:
    cases = go_yaml.load((ROOT / "tests" / "rules" / "cases.yaml").read_text(encoding="utf-8"))
    complete = {name for name, case in cases.items() if case.get("fires") and case.get("silent")}
    missing, unknown = sorted(set(ALERTS) - complete), sorted(cases.keys() - set(ALERTS))
    assert not missing, f"add to tests/rules/cases.yaml when these alerts fire and when they are silent: {missing}"
    assert not unknown, f"add to charts/vllm/files/data/rules.yaml, or remove from tests/rules/cases.yaml: {unknown}"


def test_a_runbook_names_values_that_exist() -> None:
    text = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    defaults = go_yaml.load((CHART / "values.yaml").read_text(encoding="utf-8"))
    named = re.findall(rf"`((?:{'|'.join(defaults)})(?:\.[A-Za-z]\w*)+)(?:\.[a-z]+(?:-[a-z]+)+)?`", text)
    assert named
    for path in named:
        at: Any = defaults
        for step in path.split("."):
            assert step in at or at == {}, path
            at = at.get(step, {})
