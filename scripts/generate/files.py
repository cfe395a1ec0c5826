"""Writes a generated file, or reports that it is stale."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from ci.common import ROOT


def generated(target: Path, build: Callable[[], str], command: str) -> int:
    """Write a generated file where it is not current, or with `--check` as the program's argument only tell.

    Args:
        target: the file.
        build: returns the text that it should have.
        command: what a reader runs to write it.

    Returns:
        The program's exit code, 1 where --check finds the file out of date.
    """
    text, name = build(), target.relative_to(ROOT)
    if target.exists() and target.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in sys.argv[1:]:
        print(f"{name} is not what its sources give: run `{command}`", file=sys.stderr)
        return 1
    target.write_text(text, encoding="utf-8")
    print(f"wrote {name}")
    return 0
