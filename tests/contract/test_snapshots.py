"""The committed manifests are those that the values files make today, with references in place of the chart's files."""

from __future__ import annotations

import functools
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from scripts.generate import snapshots
from scripts.value_sets import SHIPPED
from vllm_chart.chart import CHART
from vllm_chart.render import helm
from vllm_chart.render.objects import Objects

DASHBOARD = CHART / "files" / "data" / "dashboard.json"
#: The files that snapshots refer to, by their reference.
FILES = {snapshots.reference(path): path for path in (*CHART.glob("files/programs/*.py"), DASHBOARD)}


def restored(value: Any) -> Any:
    """A part of a snapshot's object with the files that it refers to."""
    if isinstance(value, dict):
        return {key: restored(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [restored(item) for item in value]
    lines = value.splitlines() if isinstance(value, str) else []
    if not lines or lines[0] not in FILES:
        return value
    text = FILES[lines[0]].read_text(encoding="utf-8")
    if FILES[lines[0]] != DASHBOARD:
        return text
    dashboard = json.loads(text)
    for line in lines[1:]:
        path, new = re.fullmatch(r"# (\S+): (.*)", line).groups()  # type: ignore[union-attr]
        *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
        functools.reduce(lambda part, step: part[step], steps, dashboard)[last] = json.loads(new)
    return dashboard


def bodies(objects: Objects) -> list[Any]:
    """The objects, with JSON as what it says."""
    found = [item.body for item in objects]
    for body in found:
        for name, text in (body.get("data") or {}).items():
            if isinstance(text, str) and '"panels":' in text:
                body["data"][name] = json.loads(text)
    return found


@pytest.mark.parametrize("values", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_snapshot_and_the_files_that_it_refers_to_are_the_render(values: Path) -> None:
    text = (snapshots.FOLDER / values.name).read_text(encoding="utf-8")
    rendered = helm.render(values, release=values.stem).text
    assert [restored(item.body) for item in Objects.parse(text)] == bodies(Objects.parse(rendered))


def test_a_snapshot_begins_with_the_command_that_renders_it() -> None:
    first = (snapshots.FOLDER / "cpu.yaml").read_text(encoding="utf-8").splitlines()[0]
    command = "helm template cpu charts/vllm --namespace models --kube-version {} --values values/cpu.yaml"
    assert first == f"# {command.format(helm.KUBE_VERSION)}"


def test_no_snapshot_carries_a_line_of_a_program_or_of_the_dashboard() -> None:
    carried = {
        line.strip()
        for path in FILES.values()
        for line in path.read_text(encoding="utf-8").splitlines()
        if len(line) > 40
    }
    for path in snapshots.FOLDER.iterdir():
        assert not carried & {line.strip() for line in path.read_text(encoding="utf-8").splitlines()}, path.name


def test_a_changed_file_changes_its_digest_and_nothing_else(tmp_path: Path) -> None:
    chart = Path(shutil.copytree(CHART, tmp_path / "vllm"))
    changed = {path.name for path in FILES.values()}
    for path in chart.glob("files/programs/*.py"):
        path.write_text(path.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    dashboard = chart / DASHBOARD.relative_to(CHART)
    content = json.loads(dashboard.read_text(encoding="utf-8"))
    content["panels"][0]["title"] += ", changed"
    dashboard.write_text(json.dumps(content), encoding="utf-8")
    seen = set()
    before, after = snapshots.files(), snapshots.files(chart=chart)
    for path in before:
        for old, new in zip(before[path].splitlines()[1:], after[path].splitlines()[1:], strict=True):
            refers = re.search(r"# charts/vllm/\S+/(\S+) sha256:", old)
            seen |= {refers[1]} if refers else set()
            # the files of a pod's lifecycle are in a digest of the chart's own, too
            assert (old != new) == bool(refers or "checksum/lifecycle:" in old), f"{path.name}: {old}"
            assert re.sub(r"[0-9a-f]{64}", "", old) == re.sub(r"[0-9a-f]{64}", "", new)
    assert seen == changed, "each file is in some snapshot"
