"""Mutants are small mistakes at the places that they name, and the list of survivors names mutants that there are."""

from __future__ import annotations

from pathlib import Path

from ci.common import ROOT
from scripts.mutation import trials
from scripts.mutation.branches import around, marked
from scripts.mutation.mutants import mutants
from scripts.templates import template_files
from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml

DEFAULTS = {"server": {"port": 8000, "timeout": 30}, "name": ""}
TEMPLATE = """{{- define "a" -}}
{{- if and .x (eq .y 1) -}}
port: {{ .Values.server.port | int64 }}
{{- else -}}
name: {{ .Values.name | default "vllm" | quote }}
{{- end -}}
{{- end -}}
open: true
"""


def test_a_mutant_is_one_small_mistake_in_one_place() -> None:
    found = {str(mutant): mutant for mutant in mutants("t.yaml", TEMPLATE, DEFAULTS)}
    assert set(found) >= {
        "t.yaml a: negated condition: and .x (eq .y 1) \u2192 not (and .x (eq .y 1))",
        "t.yaml a: and for or: and \u2192 or",
        "t.yaml a: eq for ne: eq \u2192 ne",
        "t.yaml a: another number: 1 \u2192 2",
        "t.yaml a: swapped path: .server.port \u2192 .server.timeout",
        "t.yaml a: lost int64: | int64 \u2192 nothing",
        't.yaml a: lost default: | default "vllm" \u2192 nothing',
        "t.yaml a: lost quote: | quote \u2192 nothing",
        "t.yaml a: another value: true \u2192 false",
        "t.yaml a: dropped line: open: true \u2192 nothing",
    }
    for mutant in found.values():
        assert mutant.applied(TEMPLATE) != TEMPLATE
    assert "port: {{ .Values.server.port }}\n" in found["t.yaml a: lost int64: | int64 \u2192 nothing"].applied(
        TEMPLATE
    )


def test_a_place_is_in_the_innermost_branch_around_it() -> None:
    _, branches = marked("t.yaml", TEMPLATE)

    def words(text: str) -> str:
        found = around(branches, "t.yaml", TEMPLATE.index(text))
        return found.words if found else ""

    assert words("{{- if") == "all of it"  # a condition is asked before its branch is reached
    assert words("port:") == "if and .x (eq .y 1)"
    assert words("name:") == "else of if and .x (eq .y 1)"
    assert words("open:") == ""
    assert around(branches, "other.yaml", TEMPLATE.index("port:")) is None


def test_every_template_has_tests_that_are_about_it() -> None:
    assert template_files(CHART).keys() == trials.TESTS.keys()
    for names in trials.TESTS.values():
        assert all((ROOT / "tests" / name).is_file() for name in names.split()), names


def test_every_survivor_is_a_mutant_of_today_and_has_a_reason() -> None:
    survivors = go_yaml.load(Path(ROOT / "tests/coverage/survivors.yaml").read_text(encoding="utf-8")) or {}
    assert not survivors.keys() - {str(mutant) for mutant in trials.every_mutant()}
    assert all(survivors.values())
