"""What a version may break: values and schema against those of the last tag, by docs/versioning.md."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from typing import Any

import pytest
import yaml
from harness import compatibility
from harness.helm import CHART, ROOT

METADATA: dict[str, Any] = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))


def git(*arguments: str) -> str | None:
    """What git prints; nothing where it isn't there, or this is no checkout."""
    if not shutil.which("git"):
        return None
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def last_tag() -> str:
    """The last release before this commit; skips, with the reason, where the checkout knows none."""
    tag = (git("describe", "--tags", "--match", "v[0-9]*", "--abbrev=0", "HEAD^") or "").strip()
    if not tag:
        pytest.skip("no tag v… in this checkout, so nothing to compare with: `git fetch --tags --unshallow`")
    return tag


def test_what_breaks_values_files_has_a_version_that_may() -> None:
    tag = last_tag()
    old = {name: git("show", f"{tag}:charts/vllm/{name}") or "" for name in ("values.schema.json", "values.yaml")}
    new = {name: (CHART / name).read_text(encoding="utf-8") for name in old}
    found = compatibility.breaches(
        json.loads(old["values.schema.json"]),
        json.loads(new["values.schema.json"]),
        yaml.safe_load(old["values.yaml"]),
        yaml.safe_load(new["values.yaml"]),
    )
    allowed = compatibility.next_version(tag.removeprefix("v"), breaking=True)
    listed = "\n".join(map(str, found))
    enough = compatibility.as_numbers(METADATA["version"]) >= compatibility.as_numbers(allowed)
    assert enough or not found, f"since {tag}:\n{listed}\nset version: {allowed} in charts/vllm/Chart.yaml"


def test_the_harness_has_the_version_of_the_chart() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == METADATA["version"]


def test_versions_that_the_documentation_names_are_the_last_or_the_next_release() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, flags=re.MULTILINE)
    known = {METADATA["version"], released[0]}
    known |= {f"{version.rpartition('.')[0]}.x" for version in known}
    written = r"(?:charts/vllm --version|targetRevision:|semver:|^ +version:) (\d+\.\d+\.[\dx]+)"
    for page in (ROOT / "docs").rglob("*.md"):
        named = re.findall(written, page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert set(named) <= known, page
