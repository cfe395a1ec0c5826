"""`vllm-chart` as a whole: help, usage errors, exit codes, progress, and the targets of make that wrap it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest
from rich.console import Console

from ci.common import ROOT
from tests.lib.command_line import vllm_chart
from vllm_chart import progress, values_file
from vllm_chart.chart import PACKAGED, app_version, version
from vllm_chart.check import checker

COMMANDS = ("check", "doctor", "migrate", "size")
MANIFEST = ROOT / "tests" / "commands" / "manifests" / "single-gpu.yaml"


def test_version_is_that_of_the_chart(capsys: pytest.CaptureFixture[str]) -> None:
    assert vllm_chart(capsys, "--version") == (0, f"vllm-chart {version()}, vLLM {app_version()}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples_and_exit_codes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, errors = vllm_chart(capsys, command, "-h")
    assert f"Examples:\n    vllm-chart {command} " in out
    assert "Exit codes: 0 no problems, 1 problems found, 2 bad input or not checked, 130" in out
    assert (code, errors) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing command. Run `vllm-chart --help`."),
        (["chek"], "No such command 'chek'. Did you mean 'check'? Run `vllm-chart --help`."),
        (["--verbose"], "No such option: --verbose"),
        (["check", "--junit"], "Option '--junit' requires an argument. Run `vllm-chart"),
        (["check", "--output", "xml"], "Invalid value for '--output': 'xml' is not one of 'text', 'json'. Run"),
        (["migrate"], "Missing argument 'FILE'. Run `vllm-chart migrate --help`."),
        (["doctor", "a", "b"], "Got unexpected extra argument"),
    ],
)
def test_usage_error_is_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, errors = vllm_chart(capsys, *arguments)
    assert errors.startswith(f"✗ {words}")
    assert (code, out, errors.count("\n")) == (2, "", 1)


def test_interrupt_ends_with_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(checker, "check", interrupted)
    assert vllm_chart(capsys, "check")[:2] == (130, "")


def test_migration_as_json_hides_secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, script = tmp_path / "d.yaml", "huggingface-cli login --token hf_abcdefghijkl && vllm serve a/b"
    container = {"name": "vllm", "image": "vllm/vllm-openai:v0.30.0", "command": ["sh", "-c", script]}
    pod = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"app": "a"}}, "template": pod}
    source.write_text(
        json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec})
    )
    code, out, errors = vllm_chart(capsys, "migrate", str(source), "--to", str(tmp_path / "v.yaml"), "--output", "json")
    shown = json.loads(out)
    assert shown.keys() == {"file", "values", "comparison", "notes", "problems"}
    assert shown["notes"].keys() == {"chart", "changed", "lost", "todo"}
    assert all({"subject", "manifest", "chart", "same"} <= row.keys() for row in shown["comparison"])
    assert "login --token ***" in out
    assert "hf_abcdefghijkl" not in out
    assert (code, errors) == (0, "")


@pytest.mark.parametrize("target", ["folder", "binary", "values.yaml/below"])
def test_unwritable_target_is_rejected_in_one_sentence(
    target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\0")
    (tmp_path / "values.yaml").write_text("", encoding="utf-8")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, out, errors = vllm_chart(capsys, "migrate", str(MANIFEST), "--to", str(tmp_path / target))
    assert errors.startswith(f"✗ {tmp_path / target}: ")
    assert errors.endswith(("--to.\n", "delete it first.\n"))
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_values_file_names_the_schema_unless_the_chart_is_that_of_a_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = values_file.to_text({"replicas": 2}, "head", {}, tmp_path / "v.yaml")
    schema = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (tmp_path / schema).resolve() == ROOT / "charts" / "vllm" / "editor.schema.json"
    chart = values_file.CHART
    monkeypatch.setattr(values_file, "PACKAGED", chart)
    assert chart != PACKAGED
    assert values_file.to_text({"replicas": 2}, "head", {}, tmp_path / "v.yaml") == "# head\n\nreplicas: 2\n"


# -- progress


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_PATIENCE_SECONDS", 0)


@pytest.mark.usefixtures("impatient")
def test_slow_step_is_a_line_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.working("Checking a[b].yaml"):
        time.sleep(0.2)
    assert capsys.readouterr() == ("", "… Checking a[b].yaml\n")


def test_quick_step_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.working("Checking"):
        pass
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("term", "spins"), [("xterm", True), ("dumb", False)])
def test_slow_step_is_a_spinner_on_a_terminal(term: str, spins: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, _environ={"TERM": term})
    monkeypatch.setattr(progress, "_errors", console)
    with progress.working("Checking"):
        time.sleep(0.3)
    shown = screen.getvalue()
    assert ("⠋" in shown) is spins
    assert ("\x1b[2K" in shown) is spins, "nothing of it stays"


# -- make


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a target with this test's Python instead of an environment of its own."""
    command = ["make", "--no-print-directory", f"PYTHON={sys.executable}", "READY=Makefile", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_make_passes_any_text_as_one_word(tmp_path: Path) -> None:
    odd = tmp_path / "it's $HOME `x`.yaml"
    odd.write_text("replicas: 3\n", encoding="utf-8")
    done = make("check", f"VALUES={str(odd).replace('$', '$$')}", f"JUNIT={tmp_path}/a b.xml")
    assert done.stdout.startswith(f"✓ No problems in {odd}\n"), done.stderr
    assert (tmp_path / "a b.xml").is_file()
    done = make("check", "VALUES=values/cpu.yaml", "CHECK_FLAGS=--set 'podAnnotations.a=b c' --output json")
    assert json.loads(done.stdout)["values"] == ["values/cpu.yaml", "--set podAnnotations.a=b c"]


def test_make_targets_wrap_the_commands(tmp_path: Path) -> None:
    done = make("migrate", f"FROM={MANIFEST}", f"TO={tmp_path}/my values.yaml")
    assert (done.returncode, (tmp_path / "my values.yaml").is_file()) == (0, True)
    done = make("migrate", "FROM=gone.yaml,values/cpu.yaml")
    assert done.stderr.startswith("✗ gone.yaml: no such file.")
    assert make("doctor").stderr.startswith("✗ Missing argument 'RELEASE'.")
    done = make("new-values", "MODEL=a/b", "GPU=L40S", "CONTEXT_LENGTH=32x", "CONTEXT=prod")
    assert done.stderr.startswith("✗ --context-length 32x: not a number.")
