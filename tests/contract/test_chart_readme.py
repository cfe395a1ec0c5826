"""The chart's README is what its sources give, and leaves nothing out that a user can set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from scripts.generate import chart_readme as generator
from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml

README = (CHART / "README.md").read_text(encoding="utf-8")


def declared(schema: dict[str, Any], values: Any, path: str = "") -> Iterator[str]:
    """The dotted path of every key that has a default and no further keys of the chart below it."""
    for key, value in values.items():
        if key.startswith("x-"):  # no key of a user's
            continue
        inner = generator.resolve(schema["properties"][key])
        if isinstance(value, dict) and value and "properties" in inner:
            yield from declared(inner, value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def test_the_readme_is_what_its_sources_give() -> None:
    current = generator.build() == README
    assert current, "the chart's README is not what its sources give: run `make chart-readme`"


def test_every_value_check_and_refused_flag_has_a_row_with_a_meaning() -> None:
    rows = dict(re.findall(r"^\| `([^`]+)` \|(?:.*\|)? ([^|]+) \|$", README, flags=re.MULTILINE))
    defaults = go_yaml.load((CHART / "values.yaml").read_text(encoding="utf-8"))
    wanted = {*declared(generator.SCHEMA, defaults), "enabled", "global.imageRegistry", "global.imagePullSecrets"}
    wanted |= set(generator.SCHEMA["properties"]["checks"]["properties"]["disabled"]["properties"])
    wanted |= set(generator.FLAGS["owned"]) | set(generator.FLAGS["removed"])
    assert not [name for name in wanted if len(rows.get(name, "")) < 5]


def test_every_key_that_the_readme_speaks_of_exists() -> None:
    root: dict[str, Any] = generator.SCHEMA
    for path in re.findall(rf"`((?:{'|'.join(root['properties'])})(?:\.\w+)+)`", README):
        node = root
        for step in path.split("."):
            if "$flags" in node:  # vLLM's own, which other tests hold against its parser
                break
            assert step in node["properties"], path
            node = generator.resolve(node["properties"][step])
