"""The chart's schema, as tests read it."""

from __future__ import annotations

import functools
import json
from typing import Any

from vllm_chart.chart import CHART

Schema = dict[str, Any]

SCHEMA: Schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def resolve(node: Schema) -> Schema:
    """Return the schema that a reference leads to."""
    while "$ref" in node:
        steps = node["$ref"].removeprefix("#/").split("/")
        node = functools.reduce(lambda inner, step: inner[step], steps, SCHEMA)
    return node
