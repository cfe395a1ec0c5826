"""Every branch of every template is reached: by a value set, or by a mistake that a check answers, or for a reason not.

`make coverage` runs this, and prints which branches nothing reaches.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.mutation.branches import Branch, Case, Reach, marked, unreached
from scripts.value_sets import value_sets
from tests.contract import test_messages as messages
from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml, helm

#: Branches that nothing reaches, each with its reason.
EXCEPTIONS = Path(__file__).with_name("unreached.yaml")

HPA = {"autoscaling": {"hpa": {"enabled": True}}}
RUNNING = {"metadata": {"annotations": {"vllm/autoscaler": "hpa"}}, "spec": {"replicas": 5}}

#: What no values file can say: another name of the chart, a cluster that answers, and a release that runs.
OTHERS = [
    Case("a subchart whose alias no Service may have", {}, subchart="chatModel"),
    Case("an autoscaler just switched off", {"replicas": 3}, live=True, running=RUNNING),
    Case("an autoscaler that stays", HPA, live=True, running=RUNNING),
]


def mistakes() -> list[Case]:
    """The examples of each check under its name and their number, with the cluster that some need."""
    live = {name: given.get("kube_version", helm.KUBE_VERSION) for name, given in messages.LIVE.items()}
    return [
        Case(f"{name} {index}", values, str(live.get(name, helm.KUBE_VERSION)), live=name in live)
        for index, (name, values, _) in enumerate(messages.EXAMPLES)
    ]


@pytest.fixture(scope="module")
def reach() -> Reach:
    return Reach(CHART)


@pytest.fixture(scope="module")
def left(reach: Reach) -> list[Branch]:
    """The branches that nothing reaches; mistakes are only looked at for what no value set reaches."""
    found = {item.name: reach.of(Case(item.name, item.path)) for item in value_sets()}
    for case in (*OTHERS, *mistakes()):
        check = case.name.split()[0]
        wanted = unreached(reach.branches, found)
        if case in OTHERS or any(branch.helper == f"vllm.check.{check}" for branch in wanted):
            found[case.name] = reach.of(case)
    return unreached(reach.branches, found)


def test_every_branch_is_reached_or_has_a_reason_not_to_be(reach: Reach, left: list[Branch]) -> None:
    exceptions: dict[str, str] = go_yaml.load(EXCEPTIONS.read_text(encoding="utf-8")) or {}
    names = {str(branch) for branch in left}
    print(f"{len(reach.branches) - len(left)} of {len(reach.branches)} branches are reached")
    missing = [f"  {branch} (line {branch.line})" for branch in left if str(branch) not in exceptions]
    assert not missing, "\n".join(
        ["no value set reaches these: set something in tests/render/values/ that does", *missing]
    )
    assert not exceptions.keys() - names, f"reached now, take them out of {EXCEPTIONS.name}"
    assert all(exceptions.values())


TEMPLATE = """{{- define "a" -}}
{{- if .x -}}
text
{{- end -}}
{{- end -}}
{{ range .items }}{{ if eq . "}}" }}one{{ else if . }}two{{ else }}three{{ end }}{{ else }}none{{ end }}
"""


def test_a_marker_stands_in_each_branch_and_keeps_the_trimming() -> None:
    text, branches = marked("t.yaml", TEMPLATE)
    assert [str(branch) for branch in branches] == [
        "t.yaml a: all of it",
        "t.yaml a: if .x",
        "t.yaml a: not if .x",
        "t.yaml: range .items",
        't.yaml: if eq . "}}"',
        "t.yaml: else if .",
        't.yaml: else of if eq . "}}"',
        "t.yaml: else of range .items",
    ]
    assert (
        '{{- if .x -}}{{ fail "branch t.yaml#1" -}}\ntext\n{{- else }}{{ fail "branch t.yaml#2" }}{{- end -}}' in text
    )


def test_a_branch_is_seen_where_it_is_reached_and_only_there(tmp_path: Path) -> None:
    chart = tmp_path / "small"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: small, version: 1.0.0}", encoding="utf-8")
    (chart / "values.yaml").write_text("{}", encoding="utf-8")
    (chart / "templates" / "a.yaml").write_text("a: {{ if .Values.x }}1{{ else }}2{{ end }}\n", encoding="utf-8")
    small = Reach(chart)

    def reached(values: dict[str, Any]) -> set[str]:
        return {branch.words for branch in small.of(Case("case", values))}

    assert reached({"x": True}) == {"if .Values.x"}
    assert reached({"x": False}) == {"else of if .Values.x"}
