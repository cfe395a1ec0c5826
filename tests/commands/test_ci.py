"""The files for CI systems are YAML, and run only commands that there are; nothing here can run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ci.common import ROOT
from vllm_chart.render import go_yaml

TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))

FILES = [*sorted((ROOT / ".github" / "workflows").iterdir()), ROOT / ".pre-commit-config.yaml", ROOT / ".ci" / "run"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_ci_file_runs_targets_that_the_makefile_has(file: Any) -> None:
    text = file.read_text(encoding="utf-8")
    called = set(re.findall(r"\bmake (?:--no-print-directory )?([a-z0-9-]+)", re.sub(r"#.*", "", text)))
    assert called
    assert called <= TARGETS


def test_what_ci_leaves_out_is_told_at_its_end(tmp_path: Path) -> None:
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "Makefile", tmp_path)
    make = tmp_path / "make"  # which does nothing
    make.write_text("#!/bin/sh\n", encoding="utf-8")
    make.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    said = subprocess.check_output(["sh", tmp_path / ".ci" / "run"], env=environment, text=True)
    told = re.findall(r"[a-z0-9-]+", said.rpartition(": ")[2])
    proving = {
        name
        for name in TARGETS
        if name.startswith(("test", "e2e", "bench")) or name in ("coverage", "mutation", "soak")
    }
    assert said.count("\n") == 1
    called = set(re.findall(r"make --no-print-directory ([a-z0-9-]+)", text))
    assert set(told) == proving - called - {"test-rules"}  # which test-all does


@pytest.mark.parametrize("file", [file for file in FILES if file.suffix == ".yaml"], ids=lambda file: file.name)
def test_a_workflow_is_yaml_with_jobs_that_have_an_end(file: Any) -> None:
    body = go_yaml.load(file.read_text(encoding="utf-8"))
    for name, job in body.get("jobs", {}).items():
        assert job["timeout-minutes"] <= 90, name
        assert all("run" in step or "uses" in step for step in job["steps"]), name
