"""What `make lint` looks at."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ci.common import ROOT
from ci.go_programs import ACTIONLINT
from scripts import lint


def test_every_shell_script_is_linted() -> None:
    found = {Path(name).relative_to(ROOT).as_posix() for name in lint._shell_scripts()}
    assert {".ci/run", "ci/docker/runc-without-sys-resource", "ci/offline/node/root/usr/local/bin/entrypoint"} <= found
    assert not any(name.endswith((".py", ".yaml")) or name == "ci/offline/vllm/vllm" for name in found)


def test_workflows_are_reported_as_unchecked_without_go(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("ci.go_programs.CACHE", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "workflows" not in lint.programs()
    assert "Not checked: .github/workflows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("spelling", "a.md", "It rec" + "ieves requests.\n"),
        ("YAML", "a.yaml", "a: 1\na: 2\n"),
        ("shell scripts", "run", "#!/bin/sh\necho $1\n"),
    ],
)
def test_linter_reports_a_mistake(name: str, file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    for config in (".yamllint.yaml", "pyproject.toml"):
        shutil.copy(ROOT / config, tmp_path)
    words = lint.programs()[name]
    words = [*words[:1], file] if name == "shell scripts" else words
    assert subprocess.run(words, cwd=tmp_path, check=False, capture_output=True).returncode


@pytest.mark.skipif(
    not ACTIONLINT.folder.exists(), reason="actionlint is not built: `make lint` does so if there is Go"
)
def test_linter_reports_a_mistake_in_a_workflow(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [{run: make, uses: b}]}}\n", encoding="utf-8")
    done = subprocess.run([ACTIONLINT.folder / "actionlint", file], check=False, capture_output=True)
    assert done.returncode
