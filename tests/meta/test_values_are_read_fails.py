"""A key that no template reads is seen, and so is one that a template reads and values.yaml lacks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from scripts.value_sets import TESTED
from tests.contract.test_values_are_read import undeclared, unread
from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A copy of the chart."""
    return Path(shutil.copytree(CHART, tmp_path / CHART.name))


def replace(file: Path, old: str, new: str) -> None:
    """Replace a text that a file holds once."""
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_a_key_that_no_template_reads_is_seen(chart: Path) -> None:
    replace(chart / "values.yaml", "\nservice:\n", "\nservice:\n  sessionAffinity: None\n")
    file = chart / "values.schema.json"
    schema = json.loads(file.read_text(encoding="utf-8"))
    schema["properties"]["service"]["properties"]["sessionAffinity"] = {"type": "string"}
    file.write_text(json.dumps(schema), encoding="utf-8")
    values = go_yaml.load((TESTED / "everything.yaml").read_text(encoding="utf-8"))
    values["service"]["sessionAffinity"] = "ClientIP"
    assert unread(chart, [values], "service") == ["service.sessionAffinity"]
    replace(
        chart / "templates" / "network" / "service.yaml",
        "\nspec:\n",
        "\nspec:\n{{ toYaml .Values.service | nindent 2 }}\n",
    )
    assert not unread(chart, [values], "service")


def test_a_key_that_values_yaml_lacks_is_seen_in_any_scope(chart: Path) -> None:
    assert not undeclared(chart, {})
    replace(
        chart / "templates" / "network" / "service.yaml",
        "\nspec:\n",
        "\nspec:\n{{ with .Values.service }}{{ .missing }}{{ end }}\n",
    )
    assert undeclared(chart, {}) == "service.missing"
