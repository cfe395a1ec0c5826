"""The tables of docs/migration.md: each row's values are taken by the chart, and make a difference there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ci.common import ROOT
from vllm_chart.invariants.registry import INVARIANTS, Subject
from vllm_chart.render import go_yaml, helm

TEXT = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
KEYS: dict[str, list[str]] = go_yaml.load((Path(__file__).parent / "other-charts.yaml").read_text(encoding="utf-8"))


def rows(chart: str) -> list[tuple[str, str]]:
    """Key with sample of the other chart, and the cell beside it."""
    table = TEXT.partition(f"<!-- table: {chart} -->")[2].partition("\n\n## ")[0]
    found = re.findall(r"^\| `(.+?)` \| (.+) \|$", table, re.MULTILINE)
    assert len(found) > 20
    return found


#: What of a sample has another form here, or isn't new.
OTHERWISE: dict[str, set[str]] = {
    "servingEngineSpec.modelSpec[].nodeSelectorTerms": {"In"},
    "servingEngineSpec.startupProbe": {"360"},
    "image.command": {"vllm", "serve", "/data/", "--served-model-name"},
    "secrets": {"secret"},
    "customObjects": {"v1", "ConfigMap"},
    "livenessProbe": {"15"},
}
#: What is asked of a row; the others render several times, and are about names and upgrades.
ASKED = ("kubernetes", "restricted", "arguments", "references", "repetitions")

ROWS = [(chart, *row) for chart in KEYS for row in rows(chart)]


def leaves(values: Any) -> set[str]:
    """Every plain value in a map, as text."""
    if isinstance(values, dict):
        return {text for value in values.values() for text in leaves(value)}
    if isinstance(values, list):
        return {text for value in values for text in leaves(value)}
    return {str(values)}


@pytest.mark.parametrize(("chart", "theirs", "here"), ROWS)
def test_a_row_is_taken_by_the_chart_and_its_sample_is_in_what_it_makes(chart: str, theirs: str, here: str) -> None:
    key, _, sample = theirs.partition(": ")
    assert key in KEYS[chart]
    assert sample
    if here.startswith("nothing"):
        assert re.match(r"nothing: [\w/]", here)
        return
    code = re.match(r"`(.+?)`(?:[;,] .+)?$", here)
    assert code, here
    values = go_yaml.load("{" + code.group(1) + "}")
    subject = Subject(values, (values,))
    assert [str(finding) for name in ASKED for finding in INVARIANTS[name].findings(subject)] == []
    plain, made = helm.render({}).text.splitlines(), helm.render(values).text.splitlines()
    new = "\n".join(line for line in made if line not in plain)
    assert new
    sought = leaves(go_yaml.load(sample)) - {"True", "False"} - OTHERWISE.get(key, set())
    assert {text for text in sought if not re.search(rf"(?<![\w.]){re.escape(text)}(?![\w.])", new)} == set()


@pytest.mark.parametrize("chart", KEYS)
def test_every_key_that_the_other_chart_has_for_its_servers_is_in_the_table_once(chart: str) -> None:
    named = [theirs.partition(": ")[0] for theirs, _ in rows(chart)]
    assert sorted(named) == sorted(KEYS[chart])
