"""Renders each file of values/ into tests/snapshots, for readers of values, and for reviewers of what a change does.

A snapshot shows a file of the chart, a program or the dashboard, by its path and digest instead of its text.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ci.common import ROOT
from scripts.value_sets import SHIPPED
from vllm_chart.chart import CHART
from vllm_chart.render import helm

FOLDER = ROOT / "tests" / "snapshots"
_NOTE = "# A file of the chart is shown by its path, its digest, and the fields that the chart sets in it."


def files(folder: Path = FOLDER, chart: Path = CHART) -> dict[Path, str | None]:
    """Return the manifests of every file in values/, and no text for each file that belongs to none of them."""
    wanted = {folder / path.name: _text(path, chart) for path in sorted(SHIPPED.glob("*.yaml"))}
    return dict.fromkeys(folder.iterdir()) | wanted


def _text(values: Path, chart: Path) -> str:
    rendered = helm.render(values, chart=chart, release=values.stem)
    # Helm 4 ends a document with an empty line, Helm 3 does not
    text = re.sub(r"\n+---\n", "\n---\n", rendered.text).rstrip("\n")
    return f"# {rendered.command}\n{_NOTE}\n{shortened(text, chart)}\n"


def reference(path: Path, chart: Path = CHART) -> str:
    """Return what stands in a snapshot for the text of a file of the chart."""
    return f"# charts/vllm/{path.relative_to(chart)} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def shortened(text: str, chart: Path) -> str:
    """Return manifests with references in place of the chart's files; all else stays as it is."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    programs = {path.read_text(encoding="utf-8"): path for path in (chart / "files" / "programs").glob("*.py")}
    dashboard = chart / "files" / "data" / "dashboard.json"
    for node in reversed([node for document in yaml.compose_all(text, loader) for node in _scalars(document)]):
        lines = []
        if node.value in programs:
            lines = [reference(programs[node.value], chart)]
        elif node.value.startswith("{") and '"panels":' in node.value:
            changes = _changed(json.loads(dashboard.read_text(encoding="utf-8")), json.loads(node.value))
            lines = [reference(dashboard, chart), *(f"# {path}: {json.dumps(new)}" for path, new in changes)]
        if lines:
            start, end = node.start_mark.index, node.end_mark.index
            line = text[text.rfind("\n", 0, start) + 1 : start]
            indent = "\n" + " " * (len(line) - len(line.lstrip(" ")) + 2)
            short = f'"{lines[0]}"' if len(lines) == 1 else indent.join(["|", *lines])
            text = text[:start] + short + ("\n" if text[end - 1] == "\n" else "") + text[end:]
    return text


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """The values of a document in their order, without keys."""
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            yield from _scalars(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _scalars(item)


def _changed(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The parts of a JSON value that differ, each with the keys and numbers that lead to it."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() <= after.keys():
        pairs = [(key, before.get(key), new) for key, new in after.items()]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = [(str(number), *both) for number, both in enumerate(zip(before, after, strict=True))]
    else:
        pairs = []
        if before != after:
            yield path, after
    for key, old, new in pairs:
        yield from _changed(old, new, f"{path}.{key}" if path else key)
