"""The parts of the chart agree: metadata, values.yaml, templates and the list of checks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from scripts.value_sets import ValueSet
from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml, helm

TEMPLATES = {path.name: path.read_text(encoding="utf-8") for path in (CHART / "templates").iterdir()}
METADATA = go_yaml.load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
DEFAULTS_TEXT = (CHART / "values.yaml").read_text(encoding="utf-8")
DEFAULTS: dict[str, Any] = go_yaml.load(DEFAULTS_TEXT)
SCHEMA = go_yaml.load((CHART / "values.schema.yaml").read_text(encoding="utf-8"))


def test_the_chart_names_its_licence_and_the_kubernetes_versions_that_it_runs_on() -> None:
    assert METADATA["annotations"]["artifacthub.io/license"] == "Apache-2.0"
    assert METADATA["kubeVersion"] == ">=1.31.0-0"
    assert isinstance(METADATA["appVersion"], str)


def test_helm_lint_has_nothing_to_say(value_set: ValueSet) -> None:
    # an icon is all that lint misses, and it says so on standard output
    output = helm.lint(value_set.path)
    assert "[ERROR]" not in output
    assert "[WARNING]" not in output


def test_every_key_of_values_yaml_is_explained_in_the_line_above() -> None:
    lines = DEFAULTS_TEXT.splitlines()
    unexplained = [
        f"line {number + 1}: {lines[number]}"
        for number in _keys(yaml.compose(DEFAULTS_TEXT), SCHEMA)
        if not lines[number - 1].lstrip().startswith("#")
    ]
    assert not unexplained


def _keys(node: yaml.MappingNode, schema: dict[str, Any]) -> Iterator[int]:
    """Line numbers, from 0, of the keys that a user sets; a key that only holds others needs no sentence."""
    for key, value in node.value:
        inner = schema["properties"].get(key.value, {})
        if isinstance(value, yaml.MappingNode) and value.value and "properties" in inner:
            yield from _keys(value, inner)
        else:
            yield key.start_mark.line


def test_every_path_that_a_template_reads_is_declared() -> None:
    paths = {path for text in TEMPLATES.values() for path in re.findall(r"\.Values\)?((?:\.[a-zA-Z]+)+)", text)}
    assert not [f".Values{path}" for path in sorted(paths) if not _is_declared(path.split(".")[1:])]


def _is_declared(steps: list[str]) -> bool:
    """Whether the schema, and values.yaml but for `global`, list each step of a path as far as they list any."""
    schema, values = SCHEMA, {**DEFAULTS, "global": {}}
    for step in steps:
        if step not in schema.get("properties", {step: {}}) or step not in (values or {step: {}}):
            return False
        schema = schema.get("properties", {}).get(step, {})
        values = values.get(step)
    return True


def test_every_helper_says_what_it_returns_and_is_used() -> None:
    text = "\n".join(TEMPLATES.values())
    for name, template in TEMPLATES.items():
        for define in re.finditer(r'\{\{- define "([^"]+)" -\}\}', template):
            helper = define.group(1)
            assert f"{{{{- /* {helper}: " in template[: define.start()].splitlines()[-1], f"{name}: {helper}"
            assert f'include "{helper}"' in text or helper.startswith("vllm.check."), f"{name}: {helper}"


def test_only_the_checks_fail() -> None:
    assert [name for name, text in TEMPLATES.items() if re.search(r"\b(fail|required)\b ", _code(text))] == [
        "_checks.tpl"
    ]


def _code(template: str) -> str:
    return "\n".join(re.findall(r"\{\{.*?\}\}", re.sub(r"\{\{- /\*.*?\*/ -\}\}", "", template), flags=re.DOTALL))


def test_checks_are_the_same_in_the_list_the_templates_and_the_schema() -> None:
    text = TEMPLATES["_checks.tpl"]
    listed = re.findall(r'^  "(\w+)"$', text, flags=re.MULTILINE)
    places = {
        "the templates of _checks.tpl": re.findall(r'define "vllm\.check\.(\w+)"', text),
        "checks.disabled of values.schema.yaml": list(
            SCHEMA["properties"]["checks"]["properties"]["disabled"]["properties"]
        ),
    }
    for place, names in places.items():
        assert set(listed) == set(names), f"only in one of {place} and the list: {sorted(set(listed) ^ set(names))}"
        assert listed == names, f"{place} and the list have another order"
