"""The parts of the chart agree: metadata, values.yaml, templates and the list of checks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from scripts.generate import schema, sources
from scripts.templates import template_files
from scripts.value_sets import ValueSet
from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml, helm

TEMPLATES = {name: path.read_text(encoding="utf-8") for name, path in template_files(CHART).items()}
METADATA = go_yaml.load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
DEFAULTS: dict[str, Any] = go_yaml.load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = go_yaml.load((CHART / "values.schema.yaml").read_text(encoding="utf-8"))
EDITOR_SCHEMA = json.loads((CHART / "editor.schema.json").read_text(encoding="utf-8"))


def test_the_chart_names_its_licence_and_the_kubernetes_versions_that_it_runs_on() -> None:
    assert METADATA["annotations"]["artifacthub.io/license"] == "Apache-2.0"
    assert METADATA["kubeVersion"] == ">=1.31.0-0"
    assert isinstance(METADATA["appVersion"], str)


def test_helm_lint_has_nothing_to_say(value_set: ValueSet) -> None:
    # an icon is all that lint misses, and it says so on standard output
    output = helm.lint(value_set.path)
    assert "[ERROR]" not in output
    assert "[WARNING]" not in output


def test_every_key_of_values_yaml_has_a_comment() -> None:
    silent = [path for path in _keys(DEFAULTS, SCHEMA) if "description" not in schema.at(EDITOR_SCHEMA, path)]
    assert not silent, f"write a comment above these keys in values.yaml: {', '.join(map('.'.join, silent))}"


def _keys(values: dict[str, Any], node: dict[str, Any], path: sources.KeyPath = ()) -> Iterator[sources.KeyPath]:
    """The keys that a user sets; a key that only holds others needs no comment."""
    for key, value in values.items():
        inner = schema.resolve(SCHEMA, node["properties"][key])
        if "properties" in inner and value:
            yield from _keys(value, inner, (*path, key))
        else:
            yield (*path, key)


def test_every_path_that_a_template_reads_is_declared() -> None:
    paths = {path for text in TEMPLATES.values() for path in re.findall(r"\.Values\)?((?:\.[a-zA-Z]+)+)", text)}
    assert not [f".Values{path}" for path in sorted(paths) if not _is_declared(path.split(".")[1:])]


def _is_declared(steps: list[str]) -> bool:
    """True if the schema lists every step of a path, and values.yaml does too outside of `global`.

    A map without listed keys takes any key, so the path is not followed below it.
    """
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
            comment = rf"^{{{{- /\* {re.escape(helper)}: (?:(?!\*/).)+ \*/ -}}}}\n\Z"
            assert re.search(comment, template[: define.start()], re.DOTALL | re.MULTILINE), f"{name}: {helper}"
            uses = (f'include "{helper}"', f'include "vllm.once" (list . "{helper}")')
            assert any(use in text for use in uses) or helper.startswith("vllm.check."), f"{name}: {helper}"


def test_no_line_of_a_template_is_longer_than_160_characters() -> None:
    lines = [(name, line) for name, text in TEMPLATES.items() for line in text.splitlines()]
    assert not [f"{name}: {line}" for name, line in lines if len(line) > 160]


def test_only_once_sets_a_key_of_the_root_context() -> None:
    setting = r"\bset (?:\.|\$|\$root) "
    assert [name for name, text in TEMPLATES.items() if re.search(setting, _code(text))] == ["_functions.tpl"]


def test_only_the_checks_fail() -> None:
    assert [name for name, text in TEMPLATES.items() if re.search(r"\b(fail|required)\b ", _code(text))] == [
        "checks/_checks.tpl"
    ]


def _code(template: str) -> str:
    without_comments = re.sub(r"\{\{- /\*.*?\*/ -\}\}", "", template, flags=re.DOTALL)
    return "\n".join(re.findall(r"\{\{.*?\}\}", without_comments, flags=re.DOTALL))


def test_each_check_is_described_by_its_comment() -> None:
    defined = re.findall(r'define "vllm\.check\.(\w+)"', "\n".join(TEMPLATES.values()))
    missing = [name for name in defined if name not in sources.checks()]
    assert not missing, f"begin the comment above vllm.check.NAME with `vllm.check.NAME: `: {missing}"
