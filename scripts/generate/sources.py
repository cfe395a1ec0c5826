"""Reads the comments above the keys of values.yaml and above the checks in the templates.

Keys and checks are described there alone; the schemas, the chart's README and the documentation's site repeat them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from vllm_chart.chart import CHART, DATA
from vllm_chart.render import go_yaml

#: The keys that lead to a value.
KeyPath = tuple[str, ...]

_CHECK = re.compile(r"\{\{-? */\*\s*vllm\.check\.(\w+): (.*?)\*/ *-?\}\}", re.DOTALL)


@dataclass(frozen=True)
class Key:
    """A key of values.yaml: its line, counted from 0, the comment above it as one line, and its default."""

    line: int
    description: str
    default: Any


def keys() -> dict[KeyPath, Key]:
    """Return every key of values.yaml in its order, at every depth."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode), "values.yaml is a map"
    return dict(_keys(root, go_yaml.load(text), text.splitlines(), ()))


def _keys(
    node: yaml.MappingNode, defaults: dict[str, Any], lines: list[str], parent: KeyPath
) -> Iterator[tuple[KeyPath, Key]]:
    for key, value in node.value:
        path, default = (*parent, str(key.value)), defaults[key.value]
        line = key.start_mark.line
        yield path, Key(line, _comment_above(lines[:line]), default)
        if isinstance(value, yaml.MappingNode):
            yield from _keys(value, default, lines, path)


def _comment_above(lines: list[str]) -> str:
    found: list[str] = []
    for line in reversed(lines):
        if not line.lstrip().startswith("# ") or line.startswith("# -- "):
            break
        found.insert(0, line.lstrip()[2:])
    return " ".join(found)


def sections() -> list[tuple[int, str]]:
    """Return line, counted from 0, and title of each section of values.yaml."""
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    titles = [(number, re.match(r"# -- (.+?) -+$", line)) for number, line in enumerate(lines)]
    return [(number, found[1]) for number, found in titles if found]


def checks() -> dict[str, str]:
    """Return the sentence of each check by its name, in the order of the templates."""
    texts = (path.read_text(encoding="utf-8") for path in sorted((CHART / "templates").rglob("*.tpl")))
    found = [check for text in texts for check in _CHECK.findall(text)]
    return {name: _sentence(comment) for name, comment in found}


def _sentence(comment: str) -> str:
    text = " ".join(comment.split())
    return text[0].upper() + text[1:]


def alerts() -> list[str]:
    """Return the names of the alerts, sorted."""
    rules = go_yaml.load((DATA / "rules.yaml").read_text(encoding="utf-8"))
    objectives = (value["alert"] for value in rules["objectives"].values() if isinstance(value, dict))
    return sorted([*rules["alerts"], *objectives])
