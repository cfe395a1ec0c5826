"""Names the value sets over which every invariant is checked: each file in values/, and those that only tests need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import go_yaml
from harness.helm import ROOT

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


def value_sets() -> list[ValueSet]:
    """Every value set, by name."""
    paths = [*SHIPPED.glob("*.yaml"), *TESTED.glob("*.yaml")]
    return [ValueSet(str(path.relative_to(ROOT)), path) for path in sorted(paths)]
