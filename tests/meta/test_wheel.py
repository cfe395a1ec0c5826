"""The harness as a wheel, in a place where there is nothing of this repository but a copy of the chart."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from ci.common import ROOT
from vllm_chart.chart import CHART

#: The command of the wheel, as its console script runs it.
PROGRAM = """
import sys

sys.path.insert(0, sys.argv.pop(1))
import vllm_chart.check.command

assert vllm_chart.__file__.startswith(sys.path[0])
vllm_chart.check.command.run()
"""

GOOD = """
model: {uri: hf://team/model}
metrics: {serviceMonitor: {enabled: true}}
autoscaling: {keda: {enabled: true, serverAddress: "http://prometheus:9090"}}
"""

#: One mistake for each check that looks at a user's own values.
BAD = """
model: {uri: hf://team/model}
engine: {extraArgs: [--no-such-flag]}
extraVolumes: {host: {hostPath: {path: /}}}
extraObjects: {note: {apiVersion: v1, kind: ConfigMap, metadata: {name: note}, datta: {}}}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network by the build backend of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).with_name("uv")
    command = [
        uv,
        "build",
        "--wheel",
        "--offline",
        "--no-cache",
        "--no-build-isolation",
        "--quiet",
        "--python",
        sys.executable,
    ]
    subprocess.run([*command, "--out-dir", folder, ROOT], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed wheel and a copy of the chart."""
    folder = tmp_path_factory.mktemp("elsewhere")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    shutil.copytree(CHART, folder / "vendored" / CHART.name)
    return folder


def check(folder: Path, values: str, *arguments: str, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    """Run a program in the folder that sees the wheel and what the wheel depends on, and no other module of ours."""
    (folder / "my-values.yaml").write_text(values, encoding="utf-8")
    environment = {name: os.environ[name] for name in ("PATH", "VLLM_CHART_RENDERS") if name in os.environ}
    command = [sys.executable, "-I", "-c", program, str(folder / "site"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


CHECK = ("check", "--chart", "vendored/vllm", "-f", "my-values.yaml")


def test_the_wheel_finds_nothing_wrong_with_good_values_of_a_vendored_chart(elsewhere: Path) -> None:
    done = check(elsewhere, GOOD, *CHECK)
    assert done.stderr == ""
    assert done.stdout.startswith("✓ Nothing is wrong with my-values.yaml")
    assert done.returncode == 0


def test_the_wheel_finds_what_is_wrong_with_a_users_values(elsewhere: Path) -> None:
    done = check(elsewhere, BAD, *CHECK)
    assert done.stderr == ""
    for words in ("datta", "hostPath", "no container mounts it", "vLLM 0.32.0 has no flag --no-such-flag"):
        assert words in done.stdout, words
    assert done.returncode == 1


def test_wheel_checks_packaged_chart_by_default(elsewhere: Path) -> None:
    done = check(elsewhere, GOOD, "check", "-f", "my-values.yaml")
    assert done.stdout.startswith("✓ Nothing is wrong with my-values.yaml")
    assert done.returncode == 0


def test_the_wheel_brings_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (entries,) = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
        assert "vllm-chart = vllm_chart.cli:run" in archive.read(entries).decode()


def test_the_library_shows_notes_of_a_vendored_chart(elsewhere: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from vllm_chart.render import helm;"
        "print(helm.notes(Path('my-values.yaml'), chart=Path('vendored/vllm')))"
    )
    done = check(elsewhere, GOOD, program=program)
    assert done.stdout.startswith("team/model is served as test")


def test_the_wheel_holds_every_file_of_the_library_and_names_every_package_that_it_imports(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.endswith("/")}
        metadata = next(archive.read(name).decode() for name in held if name.endswith(".dist-info/METADATA"))
    library = ROOT / "src" / "vllm_chart"
    files = {path for path in library.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path.relative_to(library.parent).as_posix() for path in files} == {
        name for name in held if name.startswith("vllm_chart/") and not name.startswith("vllm_chart/chart/")
    }
    needed = {
        name.partition(".")[0]
        for path in files
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _imported(node)
    }
    third_party = needed - sys.stdlib_module_names - {"vllm_chart"}
    distributions = {packages_distributions()[name][0].lower() for name in third_party}
    assert distributions <= {name.lower() for name in re.findall(r"^Requires-Dist: ([\w-]+)", metadata, flags=re.M)}


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
