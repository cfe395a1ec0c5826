"""The wheel works alone: in an empty environment, outside the checkout, each of its commands does its work."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from ci.common import ROOT
from tests.lib.command_line import without_progress
from vllm_chart.chart import CHART, app_version
from vllm_chart.render import go_yaml

UV = str(Path(sys.executable).with_name("uv"))
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
TIMES = 60  # seconds for a command, on a machine with other work

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

HOOK: dict[str, Any] = go_yaml.load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))[0]
ACTION: dict[str, Any] = go_yaml.load((ROOT / "action.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network by the build backend of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    flags = ["--wheel", "--offline", "--no-cache", "--no-build-isolation", "--quiet", f"--python={sys.executable}"]
    subprocess.run([UV, "build", *flags, "--out-dir", folder, ROOT], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs of an environment with the wheel and its dependencies; skips if no package can be fetched."""
    # named as the action names it in RUNNER_TEMP
    environment = tmp_path_factory.mktemp("runner") / "vllm-chart"
    subprocess.run([UV, "venv", "--quiet", f"--python={sys.executable}", environment], check=True)
    install = [UV, "pip", "install", "--quiet", f"--python={environment / 'bin' / 'python'}", wheel]
    done = subprocess.run(install, capture_output=True, text=True, check=False, cwd=environment)
    if done.returncode and re.search(r"client error|dns error|[Ff]ailed to fetch|connect", done.stderr):
        pytest.skip(f"the wheel's dependencies cannot be fetched here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return environment / "bin"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder outside the checkout with files of a user."""
    assert not tmp_path.is_relative_to(ROOT)
    (tmp_path / "good.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "bad.yaml").write_text(BAD, encoding="utf-8")
    shutil.copy(ROOT / "tests" / "commands" / "manifests" / "single-gpu.yaml", tmp_path / "deployment.yaml")
    models = go_yaml.load((ROOT / "tests" / "commands" / "models.yaml").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(models[MODEL]["config"]), encoding="utf-8")
    (tmp_path / "kubeconfig").write_text(
        "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],"
        " clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}], users: [{name: u, user: {}}]}",
        encoding="utf-8",
    )
    return tmp_path


def environment(folder: Path, **more: str) -> dict[str, str]:
    """What a user's shell has: nothing of this checkout nor of this test run's Python, but where renders are kept."""
    kept = {name: os.environ[name] for name in ("PATH", "VLLM_CHART_RENDERS") if name in os.environ}
    return {"HOME": str(folder), "LANG": "C.UTF-8", **kept, **more}


@pytest.fixture
def command(bin_folder: Path, elsewhere: Path) -> Any:
    """A function that runs the installed program in the user's folder."""

    def call(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        words = [str(bin_folder / "vllm-chart"), *arguments]
        shell = environment(elsewhere, **more)
        done = subprocess.run(
            words, cwd=elsewhere, env=shell, capture_output=True, text=True, check=False, timeout=TIMES
        )
        assert "Traceback" not in done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        done.stderr = without_progress(done.stderr)
        return done

    return call


def test_version_and_help_come_from_the_installed_wheel(command: Any) -> None:
    assert command("--version").stdout.endswith(f", vLLM {app_version()}\n")
    for name in ("check", "doctor", "migrate", "size"):
        shown = command(name, "--help")
        assert (shown.returncode, "Examples:\n    vllm-chart" in shown.stdout) == (0, True)
        assert "Exit codes: 0 no problems, 1 problems found, 2" in shown.stdout


def test_check_of_good_values_finds_no_problem_in_the_packaged_chart(command: Any) -> None:
    done = command("check", "-f", "good.yaml")
    assert done.stdout.startswith("✓ No problems in good.yaml\n")
    assert (done.returncode, done.stderr) == (0, "")


def test_check_finds_the_problems_of_bad_values_in_a_vendored_chart(command: Any, elsewhere: Path) -> None:
    shutil.copytree(CHART, elsewhere / "vendored" / CHART.name)
    done = command("check", "--chart", "vendored/vllm", "-f", "bad.yaml")
    for words in ("datta", "hostPath", "no container mounts it", f"vLLM {app_version()} has no flag --no-such-flag"):
        assert words in done.stdout, words
    assert (done.returncode, done.stderr) == (1, "")


def test_migrate_writes_values_that_check_accepts(command: Any, elsewhere: Path) -> None:
    done = command("migrate", "deployment.yaml", "--to", "migrated.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert command("check", "-f", "migrated.yaml").returncode == 0
    # a schema in site-packages would be found on this machine alone
    assert "$schema" not in (elsewhere / "migrated.yaml").read_text(encoding="utf-8")


def test_size_writes_values_that_check_accepts(command: Any) -> None:
    done = command("size", MODEL, "--gpu", "L40S", "--config", "config.json", "--to", "sized.yaml", "--output", "json")
    assert (done.returncode, done.stderr) == (0, "")
    shown = json.loads(done.stdout)
    assert shown.keys() == {"file", "values", "model", "gpu", "fit", "problems"}
    assert (shown["file"], shown["fit"]["gpus"], shown["problems"]) == ("sized.yaml", 1, [])
    assert command("check", "-f", "sized.yaml").returncode == 0


@pytest.mark.parametrize(
    "arguments", [("migrate", "deployment.yaml"), ("size", MODEL, "--gpu", "L40S", "--config", "config.json")]
)
def test_values_are_written_for_the_chart_that_is_named(
    arguments: tuple[str, ...], command: Any, elsewhere: Path
) -> None:
    vendored = Path(shutil.copytree(CHART, elsewhere / "vendored" / CHART.name))
    done = command(*arguments, "--to", "written.yaml", "--chart", "vendored/vllm")
    assert "helm install NAME vendored/vllm --values written.yaml" in done.stdout
    schema = "# yaml-language-server: $schema=vendored/vllm/editor.schema.json\n"
    assert (elsewhere / "written.yaml").read_text(encoding="utf-8").startswith(schema)
    (vendored / "Chart.yaml").unlink()
    done = command(*arguments, "--to", "none.yaml", "--chart", "vendored/vllm")
    assert (done.returncode, done.stderr) == (
        2,
        "✗ vendored/vllm: no Chart.yaml. Name the chart's folder with --chart.\n",
    )
    assert not (elsewhere / "none.yaml").exists()


def test_doctor_reports_an_unreachable_cluster(command: Any) -> None:
    done = command("doctor", "llama", "-n", "llm", "--kubeconfig", "kubeconfig")
    assert done.stderr.startswith("✗ Cannot read the cluster: ")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "-f", "."], "✗ .: is a folder. Name a values file in it."),
        (["check", "-f", "/bin/sh"], "✗ /bin/sh: "),
        (["check", "-f", "gone.yaml"], "✗ gone.yaml: no such file. Name an existing values file."),
        (["check", "--no-such-option"], "✗ No such option: --no-such-option"),
        (["migrate", "."], "✗ .: is a folder. Name a manifest in it."),
        (["migrate", "good.yaml"], "✗ good.yaml "),
        (["size", "a/b", "--gpu", "L40S", "--config", "good.yaml"], "✗ good.yaml: the config is not a JSON map."),
        (["no-such-command"], "✗ No such command 'no-such-command'"),
        ([], "✗ Missing command. Run `vllm-chart --help`."),
    ],
)
def test_bad_input_ends_with_2_and_one_sentence(
    arguments: list[str], words: str, command: Any, elsewhere: Path
) -> None:
    before = sorted(elsewhere.iterdir())
    done = command(*arguments)
    assert done.stderr.startswith(words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert sorted(elsewhere.iterdir()) == before


@pytest.mark.parametrize(("name", "program"), [("check", "helm"), ("doctor", "kubectl")])
def test_missing_program_ends_with_2_and_one_sentence(name: str, program: str, command: Any) -> None:
    done = command(name, *(["llama", "-n", "llm"] if name == "doctor" else ["-f", "good.yaml"]), PATH="/nowhere")
    assert done.stderr.startswith(f"✗ {program}: program not found. Install")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_shell_completes_commands_and_options(command: Any) -> None:
    def words(*typed: str) -> list[str]:
        line = {
            "COMP_WORDS": " ".join(typed),
            "COMP_CWORD": str(len(typed) - 1),
            "_VLLM_CHART_COMPLETE": "complete_bash",
        }
        return str(command(**line).stdout).split()

    assert words("vllm-chart", "d") == ["doctor"]
    assert "--kube-version" in words("vllm-chart", "check", "--k")
    assert words("vllm-chart", "size", "--gpu", "L40") == ["L40S"]


def test_library_shows_notes_of_the_packaged_chart(bin_folder: Path, elsewhere: Path) -> None:
    program = "from pathlib import Path; from vllm_chart.render import helm; print(helm.notes(Path('good.yaml')))"
    words = [str(bin_folder / "python"), "-I", "-c", program]
    shown = subprocess.run(words, cwd=elsewhere, env=environment(elsewhere), capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("team/model is served as test")


# -- what runs `check` for others


def test_pre_commit_hook_checks_each_file(bin_folder: Path, elsewhere: Path) -> None:
    assert {"id", "name", "entry", "language", "files"} <= HOOK.keys()
    assert [bool(re.search(HOOK["files"], name)) for name in ("values.yaml", "llm/prod-values.yml", "Chart.yaml")] == [
        True,
        True,
        False,
    ]
    path = f"{bin_folder}:{os.environ['PATH']}"
    words = [*HOOK["entry"].split(), "good.yaml", "bad.yaml"]
    words[0] = shutil.which(words[0], path=path) or words[0]
    done = subprocess.run(
        words, cwd=elsewhere, env=environment(elsewhere, PATH=path), capture_output=True, text=True, check=False
    )
    assert "✓ No problems in good.yaml\n" in done.stdout
    assert "problems in bad.yaml\n" in done.stdout
    assert done.returncode == 1


def action_step(name: str, elsewhere: Path, bin_folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the shell of a step of the action as a runner does, with inputs in place of their expressions."""
    (step,) = [step for step in ACTION["runs"]["steps"] if step.get("name", step.get("id")) == name]
    given = {key: entry["default"] for key, entry in ACTION["inputs"].items()} | inputs
    variables = {
        variable: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: given[found[1]], text)
        for variable, text in step.get("env", {}).items()
    }
    shell = environment(elsewhere, RUNNER_TEMP=str(bin_folder.parents[1]), GITHUB_OUTPUT=str(elsewhere / "output"))
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    return subprocess.run(
        command, cwd=elsewhere, env=shell | variables, capture_output=True, text=True, check=False, timeout=TIMES
    )


def test_action_checks_files_on_top_of_values_and_writes_junit(bin_folder: Path, elsewhere: Path) -> None:
    (elsewhere / "two words.yaml").write_text("replicas: 2\n", encoding="utf-8")
    inputs = {"values": "good.yaml", "set": "podLabels.a=b\npodLabels.c=d e\n", "junit": "out/result.xml"}
    done = action_step("Check values", elsewhere, bin_folder, files="two words.yaml\nbad.yaml\n", **inputs)
    sets = "--set podLabels.a=b + --set podLabels.c=d e"
    assert f"problems in good.yaml + bad.yaml + {sets}" in done.stdout
    assert "good.yaml + two words.yaml + " in done.stdout
    assert done.returncode == 1, done.stderr
    assert (elsewhere / "out" / "result.xml").is_file()
    alone = action_step("Check values", elsewhere, bin_folder, values="good.yaml", **{"kube-version": "1.36"})
    assert (alone.returncode, "Kubernetes 1.36\n" in alone.stdout) == (0, True)
    assert action_step("Check values", elsewhere, bin_folder, values="gone.yaml").returncode == 2


def test_action_finds_helm_and_passes_every_input_as_a_variable(bin_folder: Path, elsewhere: Path) -> None:
    assert action_step("helm", elsewhere, bin_folder).returncode == 0
    assert (elsewhere / "output").read_text(encoding="utf-8") == "found=true\n"
    steps = ACTION["runs"]["steps"]
    assert all("shell" in step for step in steps if "run" in step)
    assert "${{" not in "".join(step.get("run", "") for step in steps)
    used = set(re.findall(r"inputs\.([\w-]+)", json.dumps(steps)))
    assert used == ACTION["inputs"].keys()


# -- what is in the wheel


def test_wheel_holds_every_file_and_requires_every_package_that_it_imports_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.endswith("/")}
        metadata = next(archive.read(name).decode() for name in held if name.endswith(".dist-info/METADATA"))
    library = ROOT / "src" / "vllm_chart"
    files = {path for path in library.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    chart = {path for path in CHART.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    expected = {path.relative_to(library.parent).as_posix() for path in files}
    expected |= {f"vllm_chart/chart/{path.relative_to(CHART).as_posix()}" for path in chart}
    assert expected == {name for name in held if name.startswith("vllm_chart/")}
    needed = {
        name.partition(".")[0]
        for path in files
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _imported(node)
    }
    third_party = needed - sys.stdlib_module_names - {"vllm_chart"}
    distributions = {packages_distributions()[name][0].lower() for name in third_party}
    required = {name.lower() for name in re.findall(r"^Requires-Dist: ([\w-]+)", metadata, flags=re.M)}
    # of one, no module is imported, but the definitions of Kubernetes are read
    assert distributions | {"kubernetes-validate"} == required


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
