"""The value sets reach everything: no file is overlooked, and no key has its default in all of them."""

from __future__ import annotations

from scripts.value_sets import SHIPPED, overlooked, unset, value_sets
from tests.lib.value_paths import FIXED
from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml


def test_every_values_file_is_a_value_set() -> None:
    assert not overlooked(), "name it *.yaml and put it into values/ or tests/render/values/"


def test_every_key_is_set_by_some_value_set() -> None:
    defaults = go_yaml.load((CHART / "values.yaml").read_text(encoding="utf-8"))
    left = set(unset(defaults, [item.values() for item in value_sets()]))
    assert left == FIXED, f"set in tests/render/values/everything.yaml, or beside it: {', '.join(left ^ FIXED)}"


def test_one_value_set_changes_nothing() -> None:
    assert [item.name for item in value_sets() if not item.values()] == ["tests/render/values/minimal.yaml"]


def test_the_common_case_is_ten_lines_with_its_comments() -> None:
    assert len((SHIPPED / "single-gpu.yaml").read_text(encoding="utf-8").splitlines()) <= 10
