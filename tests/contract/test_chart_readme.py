"""The chart's README describes everything that a user can set, and no key that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from scripts.generate import chart_readme as generator
from scripts.generate import schema as schema_generator
from scripts.generate import sources
from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml

README = (CHART / "README.md").read_text(encoding="utf-8")


def declared(schema: dict[str, Any], values: Any, path: str = "") -> Iterator[str]:
    """The dotted path of every key that has a default and no further keys of the chart below it."""
    for key, value in values.items():
        inner = schema_generator.resolve(generator.SCHEMA, schema["properties"][key])
        if isinstance(value, dict) and value and "properties" in inner:
            yield from declared(inner, value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def test_every_value_check_and_refused_flag_has_a_row_with_a_meaning() -> None:
    rows = dict(re.findall(r"^\| `([^`]+)` \|(?:.*\|)? ([^|]+) \|$", README, flags=re.MULTILINE))
    defaults = go_yaml.load((CHART / "values.yaml").read_text(encoding="utf-8"))
    wanted = {*declared(generator.SCHEMA, defaults), "enabled", "global.imageRegistry", "global.imagePullSecrets"}
    wanted |= set(sources.checks()) | set(generator.flags()["owned"]) | set(generator.flags()["removed"])
    assert not [name for name in wanted if len(rows.get(name, "")) < 5]


def test_every_key_that_the_readme_speaks_of_exists() -> None:
    root: dict[str, Any] = generator.SCHEMA
    for path in re.findall(rf"`((?:{'|'.join(root['properties'])})(?:\.[\w-]+)+)`", README):
        node = root
        for step in path.split("."):
            if node.keys() & {"$flags", "$checks", "$k8s"}:  # their keys stand elsewhere
                break
            assert step in node["properties"], path
            node = schema_generator.resolve(root, node["properties"][step])
