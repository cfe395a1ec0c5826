"""What `make test` and `make test-all` run with which Helm."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ci import tools
from ci.common import ROOT
from scripts import run_tests
from vllm_chart.errors import UserError

OLDEST = Path("/tools/helm-oldest/helm")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[str, ...], Path | None, Path | None]]:
    """Arguments of each run of pytest, its Helm and the one that it also asks, instead of running it."""
    found: list[tuple[tuple[str, ...], Path | None, Path | None]] = []

    def note(*arguments: str, helm: Path | None = None, also: Path | None = None) -> int:
        found.append((arguments, helm, also))
        return 0

    monkeypatch.setattr(run_tests, "_pytest", note)
    monkeypatch.setattr(run_tests, "PROGRAMS", {})
    monkeypatch.setattr(run_tests, "_renders", lambda: ROOT)
    monkeypatch.setattr(tools, "put_on_path", lambda *_, **__: None)
    monkeypatch.setenv("VLLM_CHART_RENDERS", "")
    return found


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["scripts.run_tests", *arguments])
    with pytest.raises(SystemExit) as end:
        run_tests.run()
    assert end.value.code == 0


def test_make_test_repeats_what_both_must_show_if_the_oldest_helm_is_there(
    runs: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "oldest_helm", lambda *, install: None if install else OLDEST)
    command(monkeypatch, "test", "-n", "2")
    assert runs == [(("-n", "2"), None, OLDEST)]


def test_make_test_says_what_it_left_out_if_the_oldest_helm_is_not_there(
    runs: list[object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tools, "oldest_helm", lambda *, install: OLDEST if install else None)
    command(monkeypatch, "test")
    assert runs == [((), None, None)]
    assert "Not repeated with Helm 3.17.0, which isn't there: `make test-all` installs it." in capsys.readouterr().out


def test_make_test_all_asks_commands_rules_and_random_values_and_repeats_the_contract_and_render_tests(
    runs: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "oldest_helm", lambda *, install: OLDEST if install else None)
    command(monkeypatch, "test-all")
    assert runs == [
        ((), None, None),
        (("tests/commands", "tests/rules", "tests/property", "tests/docs_programs"), None, None),
        (("tests/contract", "tests/render"), OLDEST, None),
    ]


def test_what_lint_finds_is_told_after_the_tests_and_fails(runs: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    says = [sys.executable, "-c", "import sys; print(sys.argv[1]); sys.exit(sys.argv[1] != 'fine')"]
    monkeypatch.setattr(run_tests, "PROGRAMS", {name: [*says, name] for name in ("fine", "first", "second")})
    monkeypatch.setattr(tools, "oldest_helm", lambda **_: None)
    monkeypatch.setattr("sys.argv", ["scripts.run_tests", "test"])
    with pytest.raises(UserError, match=r"first:\nfirst\nsecond:\nsecond$"):
        run_tests.run()
    assert runs


@pytest.mark.parametrize(
    ("target", "pinned"), [("test", False), ("test-all", True), ("coverage", True), ("e2e/core", False)]
)
def test_what_compares_helms_takes_the_pinned_one(
    target: str, pinned: bool, runs: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(tools, "put_on_path", lambda *names, pinned=False: asked.append((names, pinned)))
    monkeypatch.setattr(tools, "oldest_helm", lambda **_: OLDEST)
    for name in ("cluster.use", "load_images.vllm", "load_images.model"):
        monkeypatch.setattr(f"ci.{name}", lambda **_: None)
    command(monkeypatch, target)
    assert asked[0] == (("helm",), pinned)
    assert runs


def test_plugins_are_loaded_where_tests_want_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pytest.py").write_text("import sys; print(*sys.argv[1:])", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run_tests._pytest("-q")
    run_tests._pytest("tests/property", "-q")
    run_tests._pytest("tests/e2e/core")
    assert capfd.readouterr().out.splitlines() == [
        "-p no:helm-charts -p no:hypothesispytest -q",
        "-p no:helm-charts tests/property -q",
        "-p no:hypothesispytest tests/e2e/core",
    ]


def test_the_helm_of_a_repetition_is_the_one_that_the_tests_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pytest.py").write_text("from vllm_chart.render import helm; print(helm.binary())", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT / 'src'}")
    monkeypatch.setenv("HELM", "/tools/another/helm")
    assert run_tests._pytest(helm=OLDEST) == 0
    assert capfd.readouterr().out == f"{OLDEST}\n"
