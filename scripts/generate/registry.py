"""Every generator of the repository, and the files that are not what their sources give.

A new generator is a function in a module of this package, and an item of GENERATORS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ci import tools
from scripts.generate import (
    accelerators,
    changelog,
    chart_readme,
    checks,
    dashboard,
    decisions,
    project_files,
    schema,
    snapshots,
)

#: The text of each file of a generator; None for a file that should not exist.
Files = Mapping[Path, str | None]

#: Each generator by what it makes. Those that render the chart come last, as the files of the others are in it.
GENERATORS: dict[str, Callable[[], Files]] = {
    "addresses and maintainers": project_files.files,
    "index of decisions": decisions.files,
    "accelerators page": accelerators.files,
    "changelog": changelog.files,
    "list of checks": checks.files,
    "schemas": schema.files,
    "dashboard": dashboard.files,
    "chart README": chart_readme.files,
    "snapshots": snapshots.files,
}


def stale(files: Files) -> dict[Path, str | None]:
    """Return those of a generator's files that have another text on disk."""
    return {path: text for path, text in files.items() if _current(path) != text}


def _current(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def every_stale() -> Iterator[tuple[Path, str | None]]:
    """Each stale file with the text that it should have, one generator after the other."""
    tools.put_on_path("helm")
    for files in GENERATORS.values():
        yield from stale(files()).items()


def write() -> Iterator[Path]:
    """Write each stale file, delete those that should not exist, and yield their paths."""
    for path, text in every_stale():
        if text is None:
            path.unlink()
        else:
            path.write_text(text, encoding="utf-8")
        yield path
