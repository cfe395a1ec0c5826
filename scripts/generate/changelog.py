"""Writes into CHANGELOG.md, under Unreleased, each key, check, alert and accelerator that the last release lacks.

An entry repeats the description, for the author to reword or join; a name that stands there in backticks is left alone.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ci.common import ROOT
from scripts.generate import schema, sources
from scripts.last_release import last_release
from vllm_chart import accelerators
from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml

TARGET = ROOT / "CHANGELOG.md"
_UNRELEASED, _ADDED = "## [Unreleased]\n\n", "### Added\n\n"


def files() -> dict[Path, str]:
    """Return the changelog with an entry for each new name; unchanged where the history has no release."""
    text, release = TARGET.read_text(encoding="utf-8"), last_release()
    if not release:
        return {TARGET: text}
    old = _names(
        release.read(f"charts/{CHART.name}/values.yaml"), release.read(f"charts/{CHART.name}/values.schema.json")
    )
    told = text.partition(f"\n## [{release.version}]")[0]
    return {TARGET: with_entries(text, missing(_described(), old, told))}


def missing(described: Mapping[str, str], old: set[str], told: str) -> list[str]:
    """Return the entries of names that are neither old nor told; a key whose group is new goes with the group."""
    new = described.keys() - old
    first = [name for name in described if name in new and name.rpartition(".")[0] not in new]
    return [described[name] for name in first if not re.search(rf"`{re.escape(name)}\b", told)]


def with_entries(text: str, entries: list[str]) -> str:
    """Return a changelog with entries of at most three lines first under Added."""
    if not entries:
        return text
    added = "".join(
        textwrap.fill(f"- {entry}", 120, subsequent_indent="  ", max_lines=3, placeholder=" …") + "\n"
        for entry in entries
    )
    before, heading, rest = text.partition(_UNRELEASED)
    end = "" if rest.startswith(_ADDED) else "\n"
    return f"{before}{heading}{_ADDED}{added}{end}{rest.removeprefix(_ADDED)}"


def _described() -> dict[str, str]:
    """The entry of each name of this version."""
    keys = {".".join(path): key.description for path, key in sources.keys().items()}
    found = {name: f"`{name}`: {text}" if text else f"`{name}`." for name, text in keys.items()}
    found |= {name: f"Check `{name}`: {text}" for name, text in sources.checks().items()}
    found |= {name: f"Alert `{name}`." for name in sources.alerts()}
    return found | {name: f"Accelerator `{name}`." for name in accelerators.known()}


def _names(values: str, schemas: str) -> set[str]:
    """The same names of another version, from its values.yaml and values.schema.json."""
    root = json.loads(schemas)
    switches = [
        schema.at(root, path)["properties"] for path in (("checks", "disabled"), ("metrics", "rules", "disabled"))
    ]
    types = schema.at(root, ("accelerator", "type"))["enum"]
    return set(_paths(go_yaml.load(values))).union(*switches, types)


def _paths(values: dict[str, Any], before: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{before}{key}"
        if isinstance(value, dict):
            yield from _paths(value, f"{before}{key}.")
