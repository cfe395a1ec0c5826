"""Makes a values file of manifests that run vLLM: as data, and as the text and JSON that the command prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vllm_chart import user_file, values_file
from vllm_chart.check.checker import Problem
from vllm_chart.errors import InputError
from vllm_chart.migrate.convert import migrate
from vllm_chart.migrate.manifests import only_server, read_objects
from vllm_chart.migrate.part import HEADS, Migration
from vllm_chart.migrate.report import Row, table
from vllm_chart.requirements import require_chart, require_helm


@dataclass(frozen=True)
class Migrated:
    """A written values file, the comparison with the manifests, and why the chart rejects it, if it does."""

    file: Path
    chart: Path
    migration: Migration
    rows: list[Row]
    problems: Sequence[Problem]


def migrate_files(paths: Sequence[Path], target: Path, chart: Path | None = None) -> Migrated:
    """Write a values file that says what manifests say.

    Args:
        paths: the manifests.
        target: the values file.
        chart: the chart's folder, ours without one.

    Raises:
        InputError: if a manifest cannot be read or carried over, or the file not be written. Nothing is written then.
    """
    for path in paths:
        user_file.read(path, "manifest")
    objects = read_objects(list(paths))
    chart = require_chart(chart)
    require_helm()
    files = ", ".join(path.name for path in paths)
    try:
        server = only_server(objects, list(paths))
        migration, rows, problems = migrate(objects, server, chart)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{', '.join(map(str, paths))}: cannot be carried over ({type(error).__name__}: {error}). "
            "Correct the part that Kubernetes, vLLM or the shell would reject."
        ) from None
    head = f"{server.workload['kind']} {server.name} as values of the chart vllm; from {files}."
    text = values_file.to_text(migration.values, head, migration.comments, target, chart)
    values_file.write(target, migration.hidden(text))
    return Migrated(target, chart, migration, rows, problems)


def report(migration: Migration, rows: list[Row]) -> Iterator[str]:
    """The lines that tell what became of everything."""
    if rows:
        yield table(rows)
    for head, title in HEADS.items():
        if notes := migration.notes[head]:
            yield f"\n{title}"
            yield from (f"  {note}" for note in notes)


def lines(done: Migrated) -> Iterator[str]:
    """The result as a person reads it, without the texts of Secrets."""
    end = values_file.last_lines(done.file, done.problems, done.chart)
    yield done.migration.hidden("\n".join([*report(done.migration, done.rows), *end]))


def document(done: Migrated) -> dict[str, Any]:
    """The result as a program reads it, without the texts of Secrets."""
    document = {
        "file": str(done.file),
        "values": done.migration.values,
        "comparison": [
            {"subject": row.subject, "manifest": row.before, "chart": row.after, "same": row.before == row.after}
            | ({"reason": row.why} if row.why else {})
            for row in done.rows
        ],
        "notes": done.migration.notes,
        "problems": list(map(str, done.problems)),
    }
    shown: dict[str, Any] = _hidden(document, done.migration)
    return shown


def _hidden(value: Any, migration: Migration) -> Any:
    if isinstance(value, dict):
        return {key: _hidden(inner, migration) for key, inner in value.items()}
    if isinstance(value, list):
        return [_hidden(inner, migration) for inner in value]
    return migration.hidden(value) if isinstance(value, str) else value
