"""What a version may break: values and schema against those of the last release, by docs/versioning.md."""

from __future__ import annotations

import json
import re
from typing import Any

from ci.common import ROOT
from scripts.last_release import LastRelease
from tests.lib import compatibility
from vllm_chart.chart import CHART
from vllm_chart.render import go_yaml

METADATA: dict[str, Any] = go_yaml.load((CHART / "Chart.yaml").read_text(encoding="utf-8"))


def test_what_breaks_values_files_has_a_version_that_may(last_release: LastRelease) -> None:
    old = {name: last_release.read(f"charts/vllm/{name}") for name in ("values.schema.json", "values.yaml")}
    new = {name: (CHART / name).read_text(encoding="utf-8") for name in old}
    found = compatibility.breaches(
        json.loads(old["values.schema.json"]),
        json.loads(new["values.schema.json"]),
        go_yaml.load(old["values.yaml"]),
        go_yaml.load(new["values.yaml"]),
    )
    allowed = compatibility.next_version(last_release.version, breaking=True)
    listed = "\n".join(map(str, found))
    enough = compatibility.as_numbers(METADATA["version"]) >= compatibility.as_numbers(allowed)
    assert enough or not found, (
        f"since {last_release.version}:\n{listed}\nset version: {allowed} in charts/vllm/Chart.yaml"
    )


def test_versions_that_the_documentation_names_are_the_last_or_the_next_release() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, flags=re.MULTILINE)
    known = {METADATA["version"], released[0]}
    known |= {f"{version.rpartition('.')[0]}.x" for version in known}
    written = r"(?:charts/vllm --version|targetRevision:|semver:|^ +version:) (\d+\.\d+\.[\dx]+(?:-[\w.]+)?)"
    for page in (ROOT / "docs").rglob("*.md"):
        named = re.findall(written, page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert set(named) <= known, page
