"""The files of a chart's templates, by the names that tests and tools give them."""

from __future__ import annotations

from pathlib import Path


def template_files(chart: Path) -> dict[str, Path]:
    """Return the files of a chart's templates by their path below templates/, in the order of these paths."""
    folder = chart / "templates"
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
