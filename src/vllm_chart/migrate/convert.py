"""Turns the manifests of one vLLM server into values of the chart."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vllm_chart.chart import CHART
from vllm_chart.check import checker
from vllm_chart.check.checker import Problem
from vllm_chart.invariants.registry import Subject
from vllm_chart.migrate import report
from vllm_chart.migrate.arguments import arguments, with_config_file
from vllm_chart.migrate.autoscaling import autoscaling
from vllm_chart.migrate.environment import environment
from vllm_chart.migrate.exposure import ingress, service
from vllm_chart.migrate.image import image
from vllm_chart.migrate.lifecycle import lifecycle
from vllm_chart.migrate.manifests import Body, Server, servers
from vllm_chart.migrate.model import model
from vllm_chart.migrate.other_objects import other_objects
from vllm_chart.migrate.part import Migration, merge
from vllm_chart.migrate.pod import pod
from vllm_chart.migrate.resources import accelerator, cpu_and_memory
from vllm_chart.migrate.storage import storage
from vllm_chart.render.helm import HelmError


def convert(objects: list[Body], server: Server) -> tuple[Migration, Server]:
    """Return what the manifests become, and the server with the flags of its --config file."""
    server, config = with_config_file(objects, server)
    process = merge([config, image(server), accelerator(server), model(server), arguments(objects, server)])
    workload = merge(
        [
            process,
            environment(server, process.values),
            cpu_and_memory(server),
            lifecycle(server),
            storage(server, process.mounts),
            pod(objects, server),
            service(objects, server),
            ingress(objects, server),
            autoscaling(objects, server),
        ]
    )
    return merge([workload, other_objects(objects, server, workload.values)]), server


def migrate(
    objects: list[Body], server: Server, chart: Path = CHART
) -> tuple[Migration, list[report.Row], Sequence[Problem]]:
    """Return the migration, the comparison with what the chart makes of it, and what of the chart's rules it breaks."""
    migration, server = convert(objects, server)
    problems = checker.problems(subject := _subject(migration, chart))
    if _raise_memory(migration, problems):
        problems = checker.problems(subject := _subject(migration, chart))
    rows: list[report.Row] = []
    with suppress(HelmError):
        bodies = [manifest.body for manifest in subject.objects()]
        before, after = report.facts(objects, server), report.facts(bodies, servers(bodies)[0])
        rows = report.rows(before, after, migration.explained)
        if extra := report.added(before, after):
            migration.notes["chart"].append(f"added: {', '.join(extra)}")
    return migration, rows, problems


def _subject(migration: Migration, chart: Path) -> Subject:
    return Subject(migration.values, (migration.values,), chart)


def _raise_memory(migration: Migration, problems: Sequence[Problem]) -> bool:
    """Raise the memory limit to what the chart's check hostMemory asks for, and return whether it was too low."""
    found = re.search(r"the server needs ([\d.]+)Gi of host memory (\(.*?\))", "\n".join(map(str, problems)))
    if found is None:
        return False
    enough = f"{math.ceil(float(found.group(1)))}Gi"
    limits = migration.values["resources"]["limits"]
    requests = migration.values["resources"].get("requests", {})
    if requests.get("memory") == limits["memory"]:
        requests["memory"] = enough
        migration.explained["requests.memory"] = "raised with the limit"
    migration.note(
        "changed",
        "limits.memory",
        f"raised from {limits['memory']} to {enough}, below which vLLM is killed {found.group(2)}",
    )
    limits["memory"] = enough
    return True
