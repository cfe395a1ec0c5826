"""Names the value sets over which every invariant is checked.

In this repository they are each file in values/, and those that only tests need; elsewhere, name the folders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.common import ROOT
from vllm_chart.render import go_yaml

SHIPPED = ROOT / "values"
TESTED = ROOT / "tests" / "render" / "values"


@dataclass(frozen=True)
class ValueSet:
    """One values file."""

    name: str
    path: Path

    def values(self) -> dict[str, Any]:
        """Return the file's content; an empty file is an empty map."""
        return go_yaml.load(self.path.read_text(encoding="utf-8")) or {}


def value_sets(folders: Sequence[Path] = (SHIPPED, TESTED)) -> list[ValueSet]:
    """Every value set in the folders, by path."""
    paths = sorted(path for folder in folders for path in folder.glob("*.yaml"))
    return [ValueSet(str(path).removeprefix(f"{ROOT}/"), path) for path in paths]


def overlooked(folders: Sequence[Path] = (SHIPPED, ROOT / "tests")) -> list[Path]:
    """Files in folders called values that are no value set, as their name or place keeps them from being picked up."""
    known = {item.path for item in value_sets()}
    found = {
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and "values" in path.relative_to(folder.parent).parts[:-1]
    }
    return sorted(found - known)


def unset(defaults: dict[str, Any], sets: Sequence[dict[str, Any]], path: str = "") -> Iterator[str]:
    """Keys of the defaults that have their default in every set, as dotted paths."""
    for key, default in defaults.items():
        given = [values[key] for values in sets if key in values]
        if isinstance(default, dict) and default:
            yield from unset(default, [item for item in given if isinstance(item, dict)], f"{path}{key}.")
        elif all(item == default for item in given):
            yield f"{path}{key}"
