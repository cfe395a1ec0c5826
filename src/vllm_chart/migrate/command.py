"""`make migrate FROM=deployment.yaml[,service.yaml…] [TO=values.yaml]`: manifests that run vLLM become a values file.

It prints what the chart does by itself, what was carried over in another form and what was not, each with the reason,
and compares what the manifests said with what the chart makes of the file.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from vllm_chart import values_file
from vllm_chart.command import main
from vllm_chart.errors import InputError, UserError
from vllm_chart.migrate.convert import migrate
from vllm_chart.migrate.manifests import only_server, read_objects
from vllm_chart.migrate.part import HEADS, Migration
from vllm_chart.migrate.report import Row, table


def report(migration: Migration, rows: list[Row], problems: list[str]) -> Iterator[str]:
    """The lines that the command prints."""
    if rows:
        yield table(rows)
    for head, title in HEADS.items():
        if notes := migration.notes[head]:
            yield f"\n{title}"
            yield from (f"  {note}" for note in notes)
    if problems:
        yield "\nThe chart refuses the values; mend these"
        yield from (f"  {problem}" for problem in problems)


def run() -> None:
    """Read the manifests, write the values file, and tell what became of everything."""
    source, target = (*sys.argv[1:], "", "")[:2]
    paths = [Path(name).expanduser() for name in source.split(",") if name]
    if not paths:
        raise InputError("No manifest is named: write `make migrate FROM=deployment.yaml`, with commas for more.")
    target = target or "values.yaml"
    objects = read_objects(paths)
    try:
        server = only_server(objects, paths)
        migration, rows, problems = migrate(objects, server)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{source} can't be carried over ({type(error).__name__}: {error}): look for a part that lacks what "
            "Kubernetes, vLLM or the shell wants of it."
        ) from None
    files = ", ".join(path.name for path in paths)
    head = f"{server.workload['kind']} {server.name} as values of the chart vllm; from {files}."
    text = values_file.to_text(migration.values, head, migration.comments, Path(target))
    values_file.write(Path(target), migration.hidden(text))
    print(migration.hidden("\n".join(report(migration, rows, problems))))
    name = shlex.quote(target)
    if problems:
        raise UserError(f"{target} is written, but the chart refuses it as it is: see above.")
    print(f"\nwrote {target}; install it with `helm install NAME charts/vllm --values {name}`")


if __name__ == "__main__":
    main(run)
