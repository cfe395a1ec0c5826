"""The diagnosis of a release: its state, its problems, and what could not be read; as data, text and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from vllm_chart.doctor import cluster, rules
from vllm_chart.doctor.cluster import Reader
from vllm_chart.doctor.rules import Problem
from vllm_chart.doctor.snapshot import Snapshot


@dataclass(frozen=True)
class Diagnosis:
    """What was found of a release.

    Attributes:
        release: the release's name.
        namespace: where it is.
        summary: a line for each workload.
        notes: what is under way or chosen.
        not_read: what may not be read, with the reason.
        problems: causes first.
    """

    release: str
    namespace: str
    summary: tuple[str, ...]
    notes: tuple[str, ...]
    not_read: tuple[str, ...]
    problems: tuple[Problem, ...]


def of(snapshot: Snapshot, not_read: Iterable[str] = ()) -> Diagnosis:
    """Return the diagnosis of what was read."""
    summary, notes, problems = rules.summary(snapshot), rules.notes(snapshot), rules.diagnose(snapshot)
    return Diagnosis(
        snapshot.release, snapshot.namespace, tuple(summary), tuple(notes), tuple(not_read), tuple(problems)
    )


def examine(release: str, reader: Reader) -> Diagnosis:
    """Return the diagnosis of a release.

    Raises:
        UserError: if the cluster does not answer, or has no such release.
    """
    return of(cluster.look(release, reader), reader.unread)


def lines(diagnosis: Diagnosis) -> Iterator[str]:
    """The diagnosis as a person reads it."""
    yield f"Release {diagnosis.release} in namespace {diagnosis.namespace}"
    yield from (f"  {line}" for line in (*diagnosis.summary, *diagnosis.notes))
    yield from (f"  Not read: {thing}" for thing in diagnosis.not_read)
    for number, problem in enumerate(diagnosis.problems, 1):
        yield ""
        yield f"{number}. {problem.problem}."
        yield f"     where  {problem.where}"
        yield f"     do     {problem.remedy}"
        yield f"     look   {problem.look}"
    number = len(diagnosis.problems)
    yield ""
    yield f"{number} problem{'s' if number > 1 else ''} found." if number else "No problems found."


def document(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as a program reads it."""
    return {
        "release": diagnosis.release,
        "namespace": diagnosis.namespace,
        "workloads": list(diagnosis.summary),
        "notes": list(diagnosis.notes),
        "problems": [
            {"where": item.where, "problem": item.problem, "remedy": item.remedy, "command": item.look}
            for item in diagnosis.problems
        ],
        "notRead": list(diagnosis.not_read),
    }
