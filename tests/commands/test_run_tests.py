"""What `make test`, `make test-all` and plain pytest run with which Helm."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ci.common import ROOT, VERSIONS
from scripts import run_tests
from vllm_chart.errors import UserError


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Arguments of each run of pytest, which is not run."""
    found: list[tuple[str, ...]] = []

    def note(*arguments: str) -> int:
        found.append(arguments)
        return 0

    monkeypatch.setattr(run_tests, "_pytest", note)
    monkeypatch.setattr(run_tests, "programs", dict)
    return found


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr("sys.argv", ["scripts.run_tests", *arguments])
    with pytest.raises(SystemExit) as end:
        run_tests.run()
    return end.value.code


def test_make_test_runs_the_default_tests_once(runs: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    assert command(monkeypatch, "test", "-q") == 0
    assert runs == [(*run_tests._BY_FILE, "-q")]


def test_make_test_all_adds_tests_and_repeats_contract_and_render_with_the_oldest_helm(
    runs: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(monkeypatch, "test-all") == 0
    pinned, more, oldest = ({word for word in words if word.startswith(("tests", "--helm"))} for words in runs)
    assert pinned == {"--helm=pinned"}
    assert more == {"--helm=pinned", "tests/commands", "tests/rules", "tests/property", "tests/docs_programs"}
    assert oldest == {"--helm=oldest", "tests/contract", "tests/render"}


def test_a_failed_run_ends_make_test_all(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[tuple[str, ...]] = []
    monkeypatch.setattr(run_tests, "programs", dict)
    monkeypatch.setattr(run_tests, "_pytest", lambda *words: runs.append(words) or 1)
    assert command(monkeypatch, "test-all") == 1
    assert len(runs) == 1


def test_lint_findings_are_reported_after_the_tests_and_fail(
    runs: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    says = [sys.executable, "-c", "import sys; print(sys.argv[1]); sys.exit(sys.argv[1] != 'fine')"]
    monkeypatch.setattr(run_tests, "programs", lambda: {name: [*says, name] for name in ("fine", "first", "second")})
    monkeypatch.setattr("sys.argv", ["scripts.run_tests", "test"])
    with pytest.raises(UserError, match=r"first:\nfirst\nsecond:\nsecond$"):
        run_tests.run()
    assert runs


def collect(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Let a pytest of its own collect tests of the chart, without a Helm on PATH."""
    given = {name: value for name, value in os.environ.items() if name not in ("HELM", "PATH")}
    given |= {"PATH": "/usr/bin:/bin", "PYTHONPATH": "src"} | environment
    words = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(words, cwd=ROOT, env=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("choice", "version"), [("pinned", "version"), ("oldest", "oldest")])
def test_plain_pytest_finds_the_chosen_helm(choice: str, version: str) -> None:
    done = collect("tests/contract/test_null.py", f"--helm={choice}")
    assert f"helm: {VERSIONS['tools']['helm'][version]} (" in done.stdout, done.stderr
    assert "oldest-helm" not in done.stdout


def test_plain_pytest_repeats_marked_tests_with_the_oldest_helm() -> None:
    done = collect("tests/contract/test_null.py")
    assert (
        "[oldest-helm" in done.stdout or f"not repeated with Helm {VERSIONS['tools']['helm']['oldest']}" in done.stdout
    )


def test_plain_pytest_reports_why_it_found_no_helm(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import platform; platform.machine = lambda: 'riscv64'", encoding="utf-8"
    )
    done = collect(
        "tests/contract/test_null.py", PYTHONPATH=f"{tmp_path}{os.pathsep}src", VLLM_CHART_CACHE=str(tmp_path / "cache")
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.splitlines()[0].startswith("ERROR: helm 4.")
    assert "isn't installed" in done.stderr
